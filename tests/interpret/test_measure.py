"""Tensors measured in one pass: what numpy and PyTorch give over the whole array."""

from __future__ import annotations

import math
from dataclasses import astuple
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gandoctor.contents.tensors import CHUNK, Part, Storage, Tensor, tensor_stats
from gandoctor.interpret.measure import Layout, Measured, Scratch, Spectrum, measured, moments


def tensor_of(array: Any, stored: str = "", strides: tuple[int, ...] | None = None) -> Tensor:
    """A tensor over the bytes of an array, in memory."""
    data = np.ascontiguousarray(array).tobytes()
    return Tensor(
        Storage(len(data), Part(data, 0, len(data))), stored or array.dtype.name, array.shape, strides
    )


def noise(*shape: int, seed: int = 0, kind: str = "f4") -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(kind)


def as_matrix(array: Any, axis: int) -> Any:
    """Units x rest, as PyTorch's spectral norm has it."""
    return np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1).astype(np.float64)


def seen(tensor: Tensor, axis: int, **vectors: Any) -> tuple[Measured, Spectrum]:
    one, spectrum = measured(tensor, Layout(tuple(tensor.shape), axis, **vectors), Scratch())
    assert spectrum is not None
    return one, spectrum


SHAPES = [
    ((64, 3, 4, 4), 0), ((3, 64, 4, 4), 1), ((300, 500), 0), ((300, 500), 1), ((1, 70_000), 0), ((70_000, 1), 0),
    ((100, 256, 4, 4), 1), ((256, 100, 3, 3), 0), ((7, 11, 5), 1), ((2, 200_000), 0), ((3, 2, 40_000), 1),
    ((90, 1500), 0), ((1, 1), 0),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_a_layer_is_measured_as_a_whole_array_would_be(shape: tuple[int, ...], axis: int) -> None:
    array = noise(*shape)
    matrix = as_matrix(array, axis)
    one, spectrum = seen(tensor_of(array), axis)
    assert astuple(one.stats) == pytest.approx(astuple(tensor_stats(tensor_of(array))), rel=1e-12, abs=1e-12)
    assert one.norm == pytest.approx(float(np.linalg.norm(matrix)), rel=1e-9)
    true = float(np.linalg.norm(matrix, 2))
    assert 0.75 * true <= spectrum.sigma <= true * (1 + 1e-5)
    assert (spectrum.zero_units, spectrum.divisor) == (0, None)


@pytest.mark.parametrize(("shape", "axis"), SHAPES[:4] + SHAPES[6:9] + SHAPES[11:12])
def test_one_direction_that_stands_out_is_found_whole(shape: tuple[int, ...], axis: int) -> None:
    units, rest = shape[axis], math.prod(shape) // shape[axis]
    size = 3 * (units**0.5 + rest**0.5) / (units * rest) ** 0.5
    line = size * np.outer(noise(units, seed=1), noise(rest, seed=2)).astype(np.float32)
    array = noise(*shape) + np.moveaxis(line.reshape(units, *np.delete(shape, axis)), 0, axis)
    _, spectrum = seen(tensor_of(array.astype("f4")), axis)
    assert spectrum.sigma == pytest.approx(float(np.linalg.norm(as_matrix(array, axis), 2)), rel=2e-3)


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_units_without_weights_and_the_divisor(shape: tuple[int, ...], axis: int) -> None:
    units = shape[axis]
    array = noise(*shape)
    np.moveaxis(array, axis, 0)[: units // 3] = 0
    matrix = as_matrix(array, axis)
    u, v = noise(units, seed=1), noise(matrix.shape[1], seed=2)
    u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)
    _, both = seen(tensor_of(array), axis, u=u, v=v)
    _, left = seen(tensor_of(array), axis, u=u)
    _, right = seen(tensor_of(array), axis, v=v)
    assert both.zero_units == pytest.approx(units // 3 / units)
    assert both.divisor == pytest.approx(float(u @ matrix @ v), rel=1e-3, abs=1e-4)
    assert left.divisor == pytest.approx(float(np.linalg.norm(u @ matrix)), rel=1e-4)
    assert right.divisor == pytest.approx(float(np.linalg.norm(matrix @ v)), rel=1e-4)


@pytest.mark.parametrize("kind", ["f2", "f8"])
@pytest.mark.parametrize("axis", [0, 1])
def test_other_precisions(kind: str, axis: int) -> None:
    array = noise(128, 90, 3, 3, kind=kind).clip(-0.5, 0.5)  # the second look at what is clipped
    one, spectrum = seen(tensor_of(array), axis)
    assert astuple(one.stats) == pytest.approx(astuple(tensor_stats(tensor_of(array))), rel=1e-12, abs=1e-12)
    assert one.edge == pytest.approx(float((np.abs(array.astype("f8")) >= 0.45).mean()))
    true = float(np.linalg.norm(as_matrix(array, axis), 2))
    assert 0.75 * true <= spectrum.sigma <= true * (1 + 1e-3)


def test_bfloat16() -> None:
    bits = (noise(128, 600).view(np.uint32) >> 16).astype(np.uint16)
    array = (bits.astype(np.uint32) << 16).view(np.float32)
    one, spectrum = seen(tensor_of(bits, "bfloat16"), 0)
    assert astuple(one.stats) == pytest.approx(astuple(tensor_stats(tensor_of(array))), rel=1e-12, abs=1e-12)
    assert spectrum.sigma == seen(tensor_of(array), 0)[1].sigma


@pytest.mark.parametrize("axis", [0, 1])
def test_a_tensor_that_lies_in_another_order(axis: int) -> None:
    array = noise(96, 80, 3, 3)
    last = np.ascontiguousarray(array.transpose(0, 2, 3, 1))  # channels last
    data = last.tobytes()
    steps = tuple(step // 4 for step in last.transpose(0, 3, 1, 2).strides)
    tensor = Tensor(Storage(len(data), Part(data, 0, len(data))), "float32", array.shape, steps)
    _, plain = seen(tensor_of(array), axis)
    _, turned = seen(tensor, axis)
    assert turned.sigma == plain.sigma


def test_clipped_weights_are_looked_at_again_in_memory() -> None:
    for axis in (0, 1):
        array = noise(200, 1_000).clip(-0.3, 0.3)
        one, _ = seen(tensor_of(array), axis)
        assert one.stats.at_max == pytest.approx(float((np.abs(array) >= np.float32(0.297)).mean()), abs=1e-5)
        assert one.edge == pytest.approx(float((np.abs(array) >= np.float32(0.27)).mean()), abs=1e-5)


@pytest.mark.parametrize("size", [5, CHUNK - 1, CHUNK + 1, 3 * CHUNK + 7])
def test_a_single_bit_changes_the_digest(size: int) -> None:
    array = noise(size)
    one, _ = measured(tensor_of(array))
    assert measured(tensor_of(array))[0].digest == one.digest
    array.view(np.uint32)[size // 2] ^= 1
    assert measured(tensor_of(array))[0].digest != one.digest


def test_what_is_not_finite_or_out_of_range_spoils_no_other_number() -> None:
    array = noise(100, 2_000)
    array[3, 4] = np.nan
    one, spectrum = measured(tensor_of(array), Layout((100, 2_000), 0), Scratch())
    assert (one.stats.nonfinite, spectrum) == (1, None)
    for scale in (1e-25, 1e25):
        large = noise(100, 2_000) * np.float32(scale)
        _, found = seen(tensor_of(large), 0)
        true = scale * float(np.linalg.norm(noise(100, 2_000).astype(np.float64), 2))
        assert 0.75 * true <= found.sigma <= 1.0001 * true
    _, zeros = seen(tensor_of(np.zeros((100, 2_000), np.float32)), 0)
    assert (zeros.sigma, zeros.zero_units) == (0, 1)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 90), st.integers(1, 90), st.integers(0, 1), st.floats(-3, 3), st.integers(0, 10),
)  # fmt: skip
def test_no_singular_value_is_too_large(rows: int, width: int, axis: int, tilt: float, seed: int) -> None:
    array = noise(rows, width, seed=seed) * np.exp(tilt * np.linspace(0, 1, width, dtype=np.float32))
    _, spectrum = seen(tensor_of(array), axis)
    true = float(np.linalg.norm(array.astype(np.float64), 2))
    assert 0.8 * true <= spectrum.sigma <= true * (1 + 1e-5)


# -- moments


@pytest.mark.parametrize("shape", [(5,), (40, 7, 3, 3), (2, 100_000), (300, 400)])
def test_moments_in_pieces(shape: tuple[int, ...]) -> None:
    m, v = 1e-3 * noise(*shape), 1e-6 * noise(*shape, seed=1) ** 2
    v[: shape[0] // 2] = 0
    v.reshape(-1)[-1] = 1e-20
    entry = {"exp_avg": tensor_of(m), "exp_avg_sq": tensor_of(v)}
    found = moments("x", entry, 1_000, 0.5, 0.999, 1e-8)
    assert found is not None
    v_hat, m_hat = v.astype("f8") / (1 - 0.999**1_000), m.astype("f8") / (1 - 0.5**1_000)
    step = m_hat / (np.sqrt(v_hat) + 1e-8)
    assert found.gradient == pytest.approx(float(np.sqrt(v_hat.mean())), rel=1e-5)
    assert found.step == pytest.approx(float(np.sqrt((step**2).mean())), rel=1e-3)
    assert found.starved == pytest.approx(float((np.sqrt(v_hat) < 1e-8).mean()))
    unfed = (v.reshape(shape[0], -1) == 0).all(axis=1).mean() if len(shape) > 1 else 0
    assert found.unfed == pytest.approx(float(unfed))


def test_moments_that_are_broken() -> None:
    v, m = np.full((4, 5), 1e-8, np.float32), np.full((4, 5), 1e-5, np.float32)
    v[0, 0], m[1, 1] = np.nan, np.inf
    found = moments("x", {"exp_avg": tensor_of(m), "exp_avg_sq": tensor_of(v)}, 0, 0.0, 0.99, 0.0)
    assert found is not None
    assert found.bad == 2
    assert math.isfinite(found.step)
    nothing = {"exp_avg": tensor_of(0 * m[2:]), "exp_avg_sq": tensor_of(0 * v[2:])}
    still = moments("x", nothing, 10, 0.5, 0.999, 0.0)
    assert still is not None
    assert (still.step, still.unfed) == (0, 1)
