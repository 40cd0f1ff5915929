"""Checkpoints: what is one by its first bytes, and the step in its name."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gandoctor.readers import numpy_log
from gandoctor.readers.checkpoint_file import read, sniff
from gandoctor.readers.head import Head, head_of
from gandoctor.run import Checkpoint

CORPUS = Path(__file__).parents[2] / "../shared/corpus"


def known(path: Path) -> Checkpoint | None:
    if not sniff(head_of(path)):
        return None
    [parts] = read(path)
    [checkpoint] = parts.checkpoints
    assert (parts.series, parts.problems) == ([], [])
    return checkpoint


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def safetensors(header: bytes, length: int | None = None) -> bytes:
    return (len(header) if length is None else length).to_bytes(8, "little") + header + b"\0" * 4


def test_torch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    state = {"weight": torch.ones(3), "step": 5}
    torch.save(state, tmp_path / "netG_epoch_99.pth")
    torch.save(state, tmp_path / "D_5000.pt", _use_new_zipfile_serialization=False)
    torch.save(state, tmp_path / "do_00000100")
    assert known(tmp_path / "netG_epoch_99.pth") == Checkpoint(tmp_path / "netG_epoch_99.pth", 99, "torch")
    assert known(tmp_path / "D_5000.pt") == Checkpoint(tmp_path / "D_5000.pt", 5000, "torch-legacy")
    assert known(tmp_path / "do_00000100") == Checkpoint(tmp_path / "do_00000100", 100, "torch")


@pytest.mark.parametrize(
    ("name", "data", "form", "step"),
    [
        (
            "G.safetensors",
            safetensors(b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'),
            "safetensors",
            None,
        ),
        ("weights.05-0.12.hdf5", b"\x89HDF\r\n\x1a\n" + bytes(90), "hdf5", 5),
        ("ckpt-7.index", bytes(40) + bytes.fromhex("57fb808b247547db"), "tensorflow", 7),
        ("network-snapshot-000040.pkl", pickle.dumps({"G": [1.0]}), "pickle", 40),
        ("G_1.pkl", pickle.dumps("torch._utils"), "pickle", 1),
        ("__0_0.distcp", b"PK\x03\x04 archive/data.pkl", "distcp", 0),
    ],
)
def test_others(tmp_path: Path, name: str, data: bytes, form: str, step: int | None) -> None:
    path = written(tmp_path / name, data)
    assert known(path) == Checkpoint(path, step, form)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("log.pkl", pickle.dumps({"d_loss": {0: np.float32(1)}})),
        ("a.safetensors", safetensors(b'{"w":', 10**7)),  # a header longer than the file
        ("b.safetensors", safetensors(b'{"w":', 2**63)),
        ("book.index", b"chapter one\n"),
        ("losses.json", b'{"loss": [1, 2]}'),
        ("cut.pth", b"PK\x03\x04"),
        ("__1_0.distcp", b"PK\x03\x04 archive/data.pkl"),  # the first shard stands for all
        ("empty.pth", b""),
    ],
)
def test_not_checkpoints(tmp_path: Path, name: str, data: bytes) -> None:
    path = written(tmp_path / name, data)
    assert known(path) is None
    assert [problem.kind for problem in read(path)[0].problems] == ["unreadable"]


def test_other_archives_are_none(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "src.zip", "w") as archive:
        archive.writestr("src/model.py", "import torch")
    np.savez(tmp_path / "losses.npz", d=np.ones(3))
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.0"}))
    assert [known(tmp_path / name) for name in ("src.zip", "losses.npz")] == [None, None]
    keras = known(tmp_path / "model.keras")
    assert keras is not None
    assert keras.format == "keras"


@pytest.mark.parametrize(
    "keys",
    [
        ("updater/iteration", "updater/model:main/l1/W"),
        ("predictor/conv1/W", "predictor/conv1/b"),
        ("main.0.weight", "main.0.bias"),
        ("sequential/dense/kernel", "sequential/dense/bias"),
    ],
)
def test_archives_of_weights(tmp_path: Path, keys: tuple[str, ...]) -> None:
    path = tmp_path / "snapshot_iter_9000.npz"
    np.savez(path, **{key: np.ones((3, 4), np.float32) for key in keys})
    assert known(path) == Checkpoint(path, 9000, "npz")
    assert not numpy_log.sniff(head_of(path))


def test_archives_of_losses_and_data_are_none(tmp_path: Path) -> None:
    for keys in (("d_loss", "g_loss"), ("weight_norm",), ("images", "labels"), ("mu", "sigma"), ("arr_0",)):
        np.savez(tmp_path / "x.npz", **{key: np.ones(30) for key in keys})
        assert known(tmp_path / "x.npz") is None


@settings(deadline=None)
@given(
    st.binary(max_size=64), st.sampled_from(["x.pth", "x.index", "network-snapshot-1.pkl", "x.safetensors"])
)
def test_sniff_never_raises(data: bytes, name: str) -> None:
    for start in (b"", b"PK\x03\x04", b"\x80\x02\x8a\x0a", b"\x80\x04", b"\x10\0\0\0\0\0\0\0"):
        sniff(Head(Path(name), len(data), start + data))


def test_a_missing_file_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nothing"):
        read(tmp_path / "nothing.pth")


@pytest.mark.parametrize("run", ["checkpoint-dcgan", "checkpoint-wgan-weight-clipping"])
def test_corpus(run: str) -> None:
    path = CORPUS / run / "discriminator.pth"
    if not path.exists():
        pytest.skip("the corpus is not here")
    assert known(path) == Checkpoint(path, None, "torch")
