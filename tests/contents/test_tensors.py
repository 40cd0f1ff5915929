"""Statistics of tensors in pieces: what numpy gives over the whole array."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gandoctor.contents.tensors import (
    CHUNK,
    File,
    Inert,
    Part,
    Storage,
    Tensor,
    Unreadable,
    tensor_stats,
)
from tests.contents.trees import tensors_of


def tensor_of(array: Any, stored: str = "") -> Tensor:
    """A tensor over the bytes of an array, in memory."""
    array = np.ascontiguousarray(array)
    data = array.tobytes()
    return Tensor(Storage(len(data), Part(data, 0, len(data))), stored or array.dtype.name, array.shape)


def expected(array: Any) -> tuple[int, int, float, float, float, float]:
    """n, nonfinite, sum of squares, largest size, mean, share within 1% of the largest, all at once."""
    flat = array.reshape(-1)
    flat = np.concatenate([flat.real, flat.imag]) if flat.dtype.kind == "c" else flat
    values = flat.astype(np.float64)
    good = values[np.isfinite(values)]
    largest = float(np.abs(good).max()) if good.size else 0.0
    share = float((np.abs(good) >= 0.99 * largest).mean()) if largest else 0.0
    return (
        values.size,
        values.size - good.size,
        float((good**2).sum()),
        largest,
        share if good.size else math.nan,
    )


def check(array: Any, chunk: int = CHUNK) -> None:
    found = tensor_stats(tensor_of(array), chunk)
    n, nonfinite, squares, largest, share = expected(array)
    assert (found.n, found.nonfinite, found.max_abs) == (n, nonfinite, largest)
    assert found.sum_squares == pytest.approx(squares, rel=1e-12, abs=0)
    assert found.at_max == pytest.approx(share, nan_ok=True)


NUMBERS = st.floats(width=32) | st.sampled_from(
    [0.01, -0.01, 1.0, 0.995, -0.9901, math.nan, math.inf, -math.inf, 0.0]
)


@settings(deadline=None)
@given(st.lists(NUMBERS, max_size=40), st.integers(1, 12))
def test_statistics_in_pieces(values: list[float], chunk: int) -> None:
    check(np.array(values, np.float32), chunk)


@pytest.mark.parametrize("kind", ["f2", "f8", "i1", "i8", "u1", "u8", "?", "c8", "c16", ">f4", "<i4"])
@pytest.mark.parametrize("chunk", [3, CHUNK])
def test_types(kind: str, chunk: int) -> None:
    values = np.random.default_rng(0).integers(-100, 100, (5, 4))
    array = values.astype("i4").astype(kind)
    data = array.tobytes()
    tensor = Tensor(
        Storage(len(data), Part(data, 0, len(data)), ">" if kind[0] == ">" else "<"), array.dtype.name, (5, 4)
    )
    found = tensor_stats(tensor, chunk)
    n, _, squares, largest, share = expected(array)
    assert (found.n, found.max_abs) == (n, largest)
    assert (found.sum_squares, found.at_max) == pytest.approx((squares, share))


def test_the_smallest_integer() -> None:
    assert tensor_stats(tensor_of(np.array([-128, 5], "i1"))).max_abs == 128


def test_tiny_and_huge_numbers() -> None:
    assert tensor_stats(tensor_of(np.full(10, 1e-30, "f4"))).sum_squares == pytest.approx(1e-59)
    assert tensor_stats(tensor_of(np.full(10, 1e30, "f4"))).sum_squares == pytest.approx(1e61)
    assert tensor_stats(tensor_of(np.full(10, 1e200))).sum_squares == math.inf


@pytest.mark.parametrize("size", [CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_many_pieces(size: int) -> None:
    values = np.random.default_rng(size).standard_normal(size).astype("f4")
    check(values)
    check(values.clip(-1, 1))
    values[[0, -1]] = [math.nan, math.inf]
    check(values)


def test_nothing_and_only_nan() -> None:
    empty = tensor_stats(tensor_of(np.empty((0, 3), "f4")))
    assert (empty.n, empty.max_abs) == (0, 0)
    assert math.isnan(empty.at_max)
    check(np.full(5, math.nan, "f4"))
    check(np.zeros(5, "f4"))


@settings(deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple), st.randoms(), st.integers(1, 9))
def test_views(shape: tuple[int, ...], random: Any, chunk: int) -> None:
    base = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    axes = list(range(len(shape)))
    random.shuffle(axes)
    view = base.transpose(axes)[tuple(slice(random.randint(0, 1), None, random.randint(1, 2)) for _ in axes)]
    data = base.tobytes()
    offset = int(view.reshape(-1)[0]) if view.size else 0
    strides = tuple(step // 4 for step in view.strides)
    tensor = Tensor(Storage(len(data), Part(data, 0, len(data))), "float32", view.shape, strides, offset)
    assert tensor.problem == ""
    np.testing.assert_array_equal(tensor.array(), view)
    pieces = [piece.copy() for piece in tensor.chunks(chunk)]
    assert all(piece.size <= chunk for piece in pieces)
    flat = np.concatenate(pieces) if pieces else np.empty(0)
    np.testing.assert_array_equal(np.sort(flat), np.sort(view, axis=None))


def test_a_tensor_larger_than_memory_is_still_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gandoctor.contents import tensors

    monkeypatch.setattr(tensors, "MAX_ARRAY", 1000)
    np.ones((20, 20), np.float32).tofile(tmp_path / "x")
    tensor = Tensor(Storage(1600, Part(File.of(tmp_path / "x"), 0, 1600)), "float32", (20, 20))
    with pytest.raises(Unreadable, match="1,600 bytes of memory"):
        tensor.array()
    assert tensor_stats(tensor).sum_squares == 400


def test_signalling_nan() -> None:
    bits = np.array([0x7F800001, 0x3F800000], np.uint32)
    found = tensor_stats(tensor_of(bits.view(np.float32)))
    assert (found.nonfinite, found.sum_squares) == (1, 1)
    halves = np.array([0x7C01, 0x3C00], np.uint16)
    assert tensor_stats(tensor_of(halves.view(np.float16))).nonfinite == 1


def test_arrays_cannot_be_written_to() -> None:
    array = tensor_of(np.ones(3, "f4")).array()
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 2


def test_a_tree_with_objects() -> None:
    one = tensor_of(np.ones(2, "f4"))
    inner = Inert("torch.nn", "Linear", (), {"_parameters": {"weight": one, "bias": None}, "training": True})
    outer = Inert("x", "G", (), {"_modules": {"main": inner}, "_buffers": {"scale": one}})
    inner.state["_modules"] = {"parent": outer}  # type: ignore[index]
    assert sorted(name for name, _ in tensors_of({"G": outer})) == ["G.main.weight", "G.scale"]
    assert [name for name, _ in tensors_of(one)] == [""]
    assert [name for name, _ in tensors_of([one, {3: one}])] == ["0", "1.3"]
