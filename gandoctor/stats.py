"""Robust statistics that detectors share. Plain arrays in, plain numbers out; NaN is never skipped."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gandoctor.run import Steps, Values

Mask = npt.NDArray[np.bool_]
# A normal distribution's standard deviation over its MAD: 1 / Φ⁻¹(3/4).
MAD_TO_SIGMA = 1.482602218505602


def mad(values: Values) -> float:
    """Return the median absolute deviation from the median, not rescaled.

    values: float64 (n,), finite. NaN when n is 0. 0 when more than half of the values are equal.
    Source: Hampel 1974, J. Am. Stat. Assoc. 69:383.

    >>> mad(np.array([1.0, 2.0, 3.0, 4.0, 100.0]))
    1.0
    """
    return _mad(values, float(np.median(values))) if len(values) else float("nan")


def _mad(values: Values, middle: float) -> float:
    return float(np.median(np.abs(values - middle)))


def noise(values: Values, reach: float = 4.0) -> Values:
    """Return values around their mean, outliers cut at `reach` robust standard deviations, float64 (n,).

    values: float64 (n,), n > 0, finite. Nothing is cut where more than half of them are equal.

    >>> noise(np.array([1.0, 3.0, 1.0, 3.0])).tolist()
    [-1.0, 1.0, -1.0, 1.0]
    """
    middle = float(np.median(values))
    width = reach * MAD_TO_SIGMA * _mad(values, middle)
    inside: Values = np.clip(values, middle - width, middle + width) if width > 0 else values
    around: Values = inside - inside.mean()
    return around


def memory(values: Values) -> float:
    """Return how much a point resembles the one before: the lag-1 autocorrelation of `noise(values)`.

    values: float64 (n,), n > 0, finite. 0 for independent points, within 1 / sqrt(n); near 1 for a series
    that drifts; 0 without any noise.

    >>> memory(np.array([1.0, 3.0, 1.0, 3.0]))
    -0.75
    """
    return remembered(values, noise(values))


def remembered(values: Values, around: Values) -> float:
    """The same, where `noise(values)` is at hand."""
    power = float(around @ around)
    rounding = len(values) * (1e-12 * float(np.max(np.abs(values)))) ** 2
    return float(around[1:] @ around[:-1]) / power if power > rounding else 0.0


def block_medians(steps: Steps, values: Values, blocks: int) -> tuple[Values, Values]:
    """Return (steps, values) thinned to at most `blocks` medians of neighbours.

    steps: int64 (n,), sorted. values: float64 (n,), finite. Blocks hold equal numbers of points and lie
    evenly; for that, a few points between them are left out, or, of many points, fewer than one block at
    the start. Returned arrays are float64 (m,), m = min(n, blocks), or a little less of many points.

    >>> block_medians(np.arange(4), np.array([1.0, 3.0, 5.0, 9.0]), 2)[1].tolist()
    [2.0, 7.0]
    """
    n = len(values)
    if n <= blocks:
        return steps.astype(np.float64), values.astype(np.float64)
    if n < 100 * blocks:
        edges = np.linspace(0, n, blocks + 1).astype(np.intp)
        width = int(np.diff(edges).min())
        take = edges[:-1, None] + np.arange(width)
        rows, table = steps[take], values[take]
    else:  # no copy of a long log
        width = -(-n // blocks)
        count = n // width
        rows = steps[n - width * count :].reshape(count, width)
        table = values[n - width * count :].reshape(count, width)
    middle = (rows[:, (width - 1) // 2] + rows[:, width // 2]) / 2  # sorted: its median is in the middle
    return middle, np.median(table, axis=1)


def theil_sen(steps: Values, values: Values) -> float:
    """Return the median slope over all pairs of points.

    steps: (n,), strictly increasing. values: (n,), finite. Units of `values` per step; NaN when n < 2.
    Bears 29% outliers. Memory O(n²): thin with `block_medians` first.
    Source: Sen 1968, J. Am. Stat. Assoc. 63:1379.

    >>> theil_sen(np.array([0.0, 10.0, 20.0]), np.array([1.0, 2.0, 3.0]))
    0.1
    """
    n = len(values)
    if n < 2:
        return float("nan")
    upper = np.triu_indices(n, 1)
    rise = values[upper[1]] - values[upper[0]]
    run = steps[upper[1]] - steps[upper[0]]
    return float(np.median(rise / run))


def trend_effect(steps: Steps, values: Values, blocks: int = 100) -> float:
    """Return the rise over the window in units of its own noise: slope · length / MAD of the rest.

    An effect, not a p-value: points of a training log depend on each other, and a test that takes
    them for independent calls most stationary series trending. The noise is the detrended block
    medians' MAD as a standard deviation; NaN with fewer than 8 points, ±inf for a line without noise.

    >>> float(trend_effect(np.arange(100), np.zeros(100)))
    0.0
    """
    x, y = block_medians(steps, values, blocks)
    if len(y) < 8:
        return float("nan")
    slope = theil_sen(x, y)
    rise = slope * (x[-1] - x[0])
    noise = mad(y - slope * x) * MAD_TO_SIGMA
    if rise == 0:
        return 0.0
    return rise / noise if noise > 1e-12 * abs(rise) else float(np.copysign(np.inf, rise))


def block_peaks(steps: Steps, values: Values, blocks: int) -> tuple[Steps, Values, Values]:
    """Return (steps, peaks, samples): the largest value of each block, where it lies, and its first value.

    steps: int64 (n,). values: float64 (n,). All returned are (m,), m = min(n, blocks) or a little less, for
    the last points that fill no block are left out. With n ≤ blocks nothing is thinned.

    >>> block_peaks(np.arange(4), np.array([1.0, 9.0, 2.0, 3.0]), 2)
    (array([1, 3]), array([9., 3.]), array([1., 2.]))
    """
    width = -(-len(values) // blocks)
    if width <= 1:
        return steps, values, values
    rows = len(values) // width
    table = values[: rows * width].reshape(rows, width)
    at = table.argmax(axis=1)
    index = np.arange(rows)
    return steps[: rows * width].reshape(rows, width)[index, at], table[index, at], table[:, 0]


def rolling_median(values: Values, width: int) -> Values:
    """Return the median of a centred window of `width` (made odd) points; the ends repeat inwards.

    values: float64 (n,), finite. Returns float64 (n,).
    """
    width = min(width | 1, (len(values) - 1) | 1)
    if width < 3:
        return values.astype(np.float64)
    half = width // 2
    padded = np.pad(values, half, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, width)
    return np.median(windows, axis=1)[: len(values)]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of points: first and last index (inclusive), and the share of points that held."""

    first: int
    last: int
    share: float


def holding(mask: Mask, *, window: int, hold: float = 0.8) -> list[Span]:
    """Return the stretches in which a condition holds, in order, not overlapping.

    mask: bool (n,). A stretch is the union of neighbouring windows of `window` points in each of
    which at least the share `hold` of the points holds, trimmed to its first and last such point:
    one blip neither makes nor breaks it. Cost linear in n.

    >>> holding(np.array([0, 1, 0, 0, 0, 1, 1, 1, 0, 1, 1], bool), window=4, hold=0.75)
    [Span(first=5, last=10, share=0.8333333333333334)]
    """
    n, window = len(mask), max(1, min(window, len(mask)))
    if n == 0:
        return []
    held = np.concatenate([[0], np.cumsum(mask)])
    good = held[window:] - held[:-window] >= hold * window - 1e-9  # (n - window + 1,)
    covered = np.zeros(n + 1, np.int64)
    starts = np.flatnonzero(good)
    np.add.at(covered, starts, 1)
    np.add.at(covered, starts + window, -1)
    inside = np.cumsum(covered[:-1]) > 0
    edges = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(np.int8), [0]])))
    spans = []
    for first, past in zip(edges[::2], edges[1::2], strict=True):
        points = np.flatnonzero(mask[first:past])
        if len(points):
            begin, end = int(first + points[0]), int(first + points[-1])
            spans.append(Span(begin, end, float(held[end + 1] - held[begin]) / (end - begin + 1)))
    return spans


def wilson(k: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Return the interval of a share, k of n: 95% at the usual z; (0, 1) when n is 0.

    Source: Wilson 1927, J. Am. Stat. Assoc. 22:209.

    >>> [round(bound, 2) for bound in wilson(10, 20)]
    [0.3, 0.7]
    """
    if n == 0:
        return 0.0, 1.0
    p, zz = k / n, z * z / n
    middle, half = p + zz / 2, z * math.sqrt(p * (1 - p) / n + zz / (4 * n))
    return max(0.0, (middle - half) / (1 + zz)), min(1.0, (middle + half) / (1 + zz))


def newcombe(k1: int, n1: int, k2: int, n2: int) -> tuple[float, float]:
    """Return the 95% interval of a difference of shares, k1 of n1 less k2 of n2; (-1, 1) when both n are 0.

    Source: Newcombe 1998, Stat. Med. 17:873, method 10.

    >>> [round(bound, 4) for bound in newcombe(56, 70, 48, 80)]
    [0.0524, 0.3339]
    """
    (low1, high1), (low2, high2) = wilson(k1, n1), wilson(k2, n2)
    p1, p2 = k1 / n1 if n1 else 0.5, k2 / n2 if n2 else 0.5
    below, above = math.hypot(p1 - low1, high2 - p2), math.hypot(high1 - p1, p2 - low2)
    return max(-1.0, p1 - p2 - below), min(1.0, p1 - p2 + above)


def vendi_score(similarity: npt.NDArray[np.float64]) -> float:
    """How many different samples there are, 1 to n, by their similarities (n, n) with ones on the diagonal.

    exp(entropy of the eigenvalues of K / n). Source: Friedman and Dieng 2022, arXiv:2210.02410.
    """
    values = np.linalg.eigvalsh(similarity / len(similarity))
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))
