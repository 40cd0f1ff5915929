"""Sample arrays: known by their header, and as samples by their name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gandoctor.readers.head import Head, head_of
from gandoctor.readers.load import load_all
from gandoctor.readers.sample_array import read, sniff
from gandoctor.run import ImageGrid


@pytest.mark.parametrize(
    "shape", [(64, 2), (64, 784), (16, 28, 28), (16, 32, 32, 3), (16, 3, 32, 32), (8, 1, 8, 8)]
)
def test_shapes_of_samples(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "fixed_000300.npy"
    np.save(path, np.zeros(shape, np.float32))
    assert sniff(head_of(path))
    [parts] = read(path)
    assert parts.images == [ImageGrid("fixed", 300, path)]
    for save, name in ((np.savez, "fakes_000300.npz"), (np.savez_compressed, "random_1.npz")):
        save(tmp_path / name, x=np.zeros(shape, np.uint8))
        assert sniff(head_of(tmp_path / name)), name


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("x_train.npy", np.zeros((64, 28, 28), np.float32)),  # data
        ("fixed_noise.npy", np.zeros((64, 100), np.float32)),
        ("fixed_z.npy", np.zeros((64, 2), np.float32)),
        ("fake_labels.npy", np.zeros((64, 64), np.float32)),
        ("samples.npy", np.zeros(64, np.float32)),
        ("samples.npy", np.zeros((64, 100000), np.float32)),  # sound: 316.2 squared
        ("samples.npy", np.zeros((64, 2), np.int64)),
        ("samples.npy", np.array([{}], dtype=object)),
    ],
)
def test_what_is_none(tmp_path: Path, name: str, array: np.ndarray) -> None:
    np.save(tmp_path / name, array)
    assert not sniff(head_of(tmp_path / name))


def test_the_folder_may_name_them(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    np.save(tmp_path / "samples" / "000300.npy", np.zeros((64, 2), np.float32))
    (tmp_path / "log.csv").write_text("step,loss_D,loss_G\n" + "".join(f"{i},1.3,0.7\n" for i in range(50)))
    [run] = load_all(tmp_path)
    assert [(one.name, one.step) for one in run.images] == [("samples", 300)]


def test_damaged_headers_are_none() -> None:
    for data in (
        b"",
        b"PK\x03\x04",
        b"\x93NUMPY",
        b"\x93NUMPY\x01\x00\x05\x00abcde",
        b"PK\x03\x04" + b"\xff" * 60,
    ):
        assert not sniff(Head(Path("samples/fixed_1.npy"), len(data), data))
