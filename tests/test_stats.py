from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gandoctor import stats
from gandoctor.run import Values
from gandoctor.stats import (
    Span,
    block_medians,
    block_peaks,
    holding,
    mad,
    memory,
    noise,
    rolling_median,
    theil_sen,
    trend_effect,
)

REALS = st.floats(-1e3, 1e3)


def red(rho: float, points: int, seed: int = 0) -> Values:
    values = np.random.default_rng(seed).normal(0, 1, points)
    for i in range(1, points):
        values[i] += rho * values[i - 1]
    return values


# --- mad


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1, 2, 3, 4, 100], 1.0), ([5, 5, 5], 0.0), ([0, 0, 0, 9], 0.0), ([-2, 2], 2.0), ([7], 0.0)],
)
def test_mad_by_hand(values: list[float], expected: float) -> None:
    assert mad(np.array(values, float)) == expected


def test_mad_of_nothing_is_nan() -> None:
    assert np.isnan(mad(np.empty(0)))


def test_mad_rescaled_is_the_standard_deviation_of_normal_values() -> None:
    values = np.random.default_rng(0).normal(3, 2, 100_000)
    assert mad(values) * stats.MAD_TO_SIGMA == pytest.approx(2, rel=0.01)


# --- noise and memory


def test_outliers_are_cut_at_four_robust_standard_deviations() -> None:
    values = np.append(np.random.default_rng(0).normal(size=1_000), [1e6])
    around = noise(values)
    assert np.std(around) == pytest.approx(1, abs=0.05)
    assert np.max(around) == pytest.approx(4 * stats.MAD_TO_SIGMA * mad(values), abs=0.05)
    assert abs(float(around.mean())) < 1e-12


def test_values_that_are_mostly_equal_keep_what_differs() -> None:
    assert noise(np.array([0.0, 0.0, 0.0, 4.0])).tolist() == [-1.0, -1.0, -1.0, 3.0]


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_memory_is_the_correlation_with_the_point_before(rho: float) -> None:
    assert memory(red(rho, 4_000)) == pytest.approx(rho, abs=0.05)


def test_a_constant_has_no_memory() -> None:
    assert memory(np.full(9, 2.3)) == 0.0


# --- blocks


def test_few_points_are_left_as_they_are() -> None:
    steps, values = block_medians(np.array([1, 5, 9]), np.array([3.0, 1.0, 2.0]), 3)
    assert (steps.tolist(), values.tolist()) == ([1, 5, 9], [3, 1, 2])


def test_blocks_by_hand() -> None:
    # Seven points in three blocks of two or three: of a longer one the last point is dropped.
    steps, values = block_medians(np.arange(7), np.array([1.0, 3, 5, 7, 9, 11, 13]), 3)
    assert (steps.tolist(), values.tolist()) == ([0.5, 2.5, 4.5], [2, 6, 10])


@settings(deadline=None)
@given(n=st.integers(1, 3_000), blocks=st.integers(1, 25))
def test_blocks_are_medians_that_cover_the_series_evenly(n: int, blocks: int) -> None:
    values = np.random.default_rng(n).normal(size=n)
    steps, medians = block_medians(np.arange(n), values, blocks)
    assert 0.95 * min(n, blocks) - 1 <= len(steps) == len(medians) <= min(n, blocks)
    if n > blocks:
        gaps = np.diff(steps)
        width = n / blocks
        assert np.all(gaps > 0)
        assert max(gaps, default=0) <= width + 1
        assert steps[0] <= 1.5 * width + 1  # nothing of the start is left out but a part of a block
        assert n - 1 - steps[-1] <= width + 1
    middle = len(steps) // 2
    for wide in (n // blocks, -(-n // blocks), 1):
        start = steps[middle] - (wide - 1) / 2
        if start == int(start) and np.median(values[int(start) : int(start) + wide]) == medians[middle]:
            return
    raise AssertionError("not the median of neighbours")


def test_peaks_keep_the_extremes_and_where_they_lie() -> None:
    values = np.ones(1_000)
    values[[123, 700]] = (50.0, 20.0)
    steps, peaks, samples = block_peaks(np.arange(1_000) * 10, values, 100)
    assert len(steps) == len(peaks) == len(samples) == 100
    assert steps[peaks > 10].tolist() == [1_230, 7_000]
    assert peaks[peaks > 10].tolist() == [50, 20]


# --- slopes and trends


@pytest.mark.parametrize(
    ("steps", "values", "slope"),
    [([0, 10, 20], [1, 2, 3], 0.1), ([0, 1, 2, 3], [0, 1, 100, 3], 1.0), ([0, 4], [8, 0], -2)],
)
def test_theil_sen_by_hand(steps: list[float], values: list[float], slope: float) -> None:
    assert theil_sen(np.array(steps, float), np.array(values, float)) == pytest.approx(slope)


def test_theil_sen_bears_outliers_and_few_points() -> None:
    x = np.arange(50.0)
    y = 3 * x + np.random.default_rng(0).normal(0, 0.1, 50)
    y[::4] = 1e6
    assert theil_sen(x, y) == pytest.approx(3, rel=0.05)
    assert np.isnan(theil_sen(np.array([1.0]), np.array([2.0])))


def test_a_trend_is_measured_in_its_own_noise() -> None:
    x = np.arange(100)
    noise = np.random.default_rng(0).normal(0, 1, 100)
    # A rise of 10 over noise of 1.
    assert trend_effect(x, 10 * x / 99 + noise) == pytest.approx(10, abs=2)
    assert trend_effect(x, -10 * x / 99 + noise) == pytest.approx(-10, abs=2)
    assert abs(trend_effect(x, noise)) < 1.5


def test_the_effect_depends_on_neither_unit() -> None:
    x, y = np.arange(300), np.cumsum(np.random.default_rng(0).normal(size=300))
    assert trend_effect(x * 1_000, 7 * y) == pytest.approx(trend_effect(x, y))


def test_trends_without_noise() -> None:
    x = np.arange(50)
    assert trend_effect(x, np.full(50, 3.0)) == 0
    assert trend_effect(x, 2.0 * x) == np.inf
    assert trend_effect(x, -2.0 * x) == -np.inf


def test_seven_points_have_no_trend() -> None:
    assert np.isnan(trend_effect(np.arange(7), np.arange(7.0)))


# --- rolling medians


@pytest.mark.parametrize(
    ("values", "width", "expected"),
    [
        ([1, 9, 2, 3, 8], 3, [9, 2, 3, 3, 3]),
        ([1, 9, 2], 1, [1, 9, 2]),
        ([4], 9, [4]),
        ([4, 8], 3, [4, 8]),
        ([], 5, []),
    ],
)
def test_rolling_median_by_hand(values: list[float], width: int, expected: list[float]) -> None:
    assert rolling_median(np.array(values, float), width).tolist() == expected


@settings(deadline=None)
@given(arrays(float, st.integers(1, 60), elements=REALS), st.integers(1, 80))
def test_rolling_median_has_a_value_for_each_point(values: Values, width: int) -> None:
    smooth = rolling_median(values, width)
    assert len(smooth) == len(values)
    assert smooth.min() >= values.min()
    assert smooth.max() <= values.max()


# --- stretches that hold


def spans(text: str, window: int, hold: float) -> list[str]:
    """The stretches of a mask drawn as `.#`, cut out of it."""
    mask = np.array([mark == "#" for mark in text])
    return [text[one.first : one.last + 1] for one in holding(mask, window=window, hold=hold)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("..........", []), ("##########", ["##########"]), (".#..#..#..", []), ("...####...", ["####"]),
        ("..##.###..", ["##.###"]), ("####..####", ["####..####"]), ("####.....####", ["####", "####"]), ("", []),
        (".........#", []), ("......####", ["####"]), ("####......", ["####"]),
    ],
)  # fmt: skip
def test_holding_by_eye(text: str, found: list[str]) -> None:
    assert spans(text, window=4, hold=0.5 if ".." in text and text.count("#") > 7 else 0.75) == found


def test_the_share_of_points_that_held() -> None:
    assert holding(np.array([0, 1, 1, 0, 1, 1, 0], bool), window=4, hold=0.75) == [Span(1, 5, 0.8)]


@settings(deadline=None)
@given(arrays(bool, st.integers(0, 60)), st.integers(1, 12), st.sampled_from([0.5, 0.6, 0.75, 0.8, 1.0]))
def test_holding_equals_the_loop(mask: np.ndarray, window: int, hold: float) -> None:
    width = min(window, len(mask))
    covered = np.zeros(len(mask), bool)
    for start in range(len(mask) - width + 1 if width else 0):
        if mask[start : start + width].sum() >= hold * width - 1e-9:
            covered[start : start + width] = True
    expected, at = [], 0
    while at < len(mask):
        if not covered[at]:
            at += 1
            continue
        past = at
        while past < len(mask) and covered[past]:
            past += 1
        inside = [i for i in range(at, past) if mask[i]]
        expected.append((inside[0], inside[-1]))
        at = past
    assert [(one.first, one.last) for one in holding(mask, window=window, hold=hold)] == expected
