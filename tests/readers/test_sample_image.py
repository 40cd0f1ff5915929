"""Sample images: known by their signature, named and dated by their file name."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from gandoctor.readers.head import Head, head_of
from gandoctor.readers.sample_image import read, sniff
from gandoctor.run import ImageGrid

CORPUS = Path(__file__).parents[2] / "../shared/corpus"
PNG = b"\x89PNG\r\n\x1a\n"


def known(name: str, data: bytes = PNG) -> bool:
    return sniff(Head(Path(name), len(data), data))


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif"])
def test_kinds(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"fakes000120.{suffix}"
    Image.new("RGB", (4, 4)).save(path)
    assert sniff(head_of(path))
    [parts] = read(path)
    assert parts.images == [ImageGrid("fakes", 120, path)]


def test_only_the_signature_counts() -> None:
    assert known("epoch_3")
    for data in (b"", b"\x89PN", b"RIFF0000WAVE", b"GIF88a", b"BM000", b"<svg>"):
        assert not known("epoch_3.png", data)


def test_figures_are_no_samples() -> None:
    for name in ("loss.png", "G_loss.png", "loss_curve.jpg", "histogram.png"):
        assert not known(name), name
    for name in ("lossless_sample.png", "generated_plot_e010.png", "closs.png"):
        assert known(name), name


def test_a_bare_number_is_named_by_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "samples"
    folder.mkdir()
    path = folder / "5474.png"
    path.write_bytes(PNG)
    assert read(path)[0].images == [ImageGrid("samples", 5474, path)]


def test_images_of_wandb_are_left_to_its_log(tmp_path: Path) -> None:
    for run in ("with", "without"):
        folder = tmp_path / run / "files/media/images/deep"
        folder.mkdir(parents=True)
        (folder / "fake_3_2580a6ca7c968f8d7e47.png").write_bytes(PNG)
    (tmp_path / "with/run-1.wandb").touch()
    known = [path for path in tmp_path.rglob("*.png") if sniff(head_of(path))]
    assert [path.relative_to(tmp_path).parts[0] for path in known] == ["without"]
    assert read(known[0])[0].images == [ImageGrid("fake", 3, known[0])]


def test_a_missing_file_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nothing"):
        read(tmp_path / "nothing.png")


@pytest.mark.parametrize(
    ("run", "name", "steps"),
    [
        ("samples-acgan", "samples-acgan", [0, 5474, 10948, 16422, 22396, 27870, 33344, 38818]),
        ("samples-cifar-dcgan-k", "fake_samples_epoch", [0, 6, 12, 18, 24]),
        ("samples-wgan-weight-clipping", "epoch", [0, 1, 2, 3]),
        ("samples-zhihao-exp4", "Epoch", [0, 1, 3, 4, 5, 6, 8, 9]),
        ("wgangp-isic-logpkl", "samples", [10000, 28000]),
    ],
)
def test_corpus(run: str, name: str, steps: list[int]) -> None:
    if not (CORPUS / run).exists():
        pytest.skip("the corpus is not here")
    images = [read(path)[0].images[0] for path in (CORPUS / run).iterdir() if sniff(head_of(path))]
    assert sorted(image.step or 0 for image in images) == steps
    assert {image.name for image in images} == {name}
