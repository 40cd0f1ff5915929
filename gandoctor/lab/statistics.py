"""Statistics of a study: intervals by configuration, calibration, and the promise about a healthy run."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

Array = npt.NDArray[np.float64]
DRAWS = 2_000


def cluster_bootstrap(
    hits: Sequence[float], clusters: Sequence[str], draws: int = DRAWS, seed: int = 0
) -> tuple[float, float]:
    """Return the 95% interval of the mean of `hits`, whole clusters drawn with replacement; (0, 1) of none.

    hits: (n,). clusters: (n,), the configuration of each. Runs of one configuration resemble each other: an
    interval over runs is too narrow. Source: Davison & Hinkley 1997, Bootstrap Methods, section 3.8.
    """
    if not len(hits):
        return 0.0, 1.0
    _, which = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.bincount(which, weights=np.asarray(hits, float))
    sizes = np.bincount(which).astype(float)
    rng = np.random.default_rng(seed)
    times = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=draws)
    low, high = np.quantile((times @ sums) / (times @ sizes), (0.025, 0.975))
    return float(low), float(high)


def alarm_threshold(scores: Sequence[float], alpha: float) -> float | None:
    """Return the score that a new healthy run passes with a probability of at most alpha.

    scores: (n,) of healthy runs, exchangeable with the new one: the ⌈(n+1)(1-α)⌉-th smallest, None if that is
    more than n. Ties only lower the probability. Source: Vovk et al. 2005, Algorithmic Learning in a Random World.
    """
    rank = math.ceil(round((len(scores) + 1) * (1 - alpha), 9))
    return sorted(scores)[rank - 1] if rank <= len(scores) else None


def level_band(n: int, alpha: float) -> tuple[float, float]:
    """Return the 5% and 95% quantiles of the level that n calibration runs realise at `alarm_threshold`.

    The level given the threshold is Beta(n + 1 - k, k) for the k-th smallest score, without ties.
    """
    rank = math.ceil(round((n + 1) * (1 - alpha), 9))
    if rank > n:
        return 0.0, 1.0
    low, high = stats.beta.ppf((0.05, 0.95), n + 1 - rank, rank)
    return float(low), float(high)


def rank_score(value: float, healthy: Array) -> float:
    """Return how far up among healthy runs a value stands: 0 to 1, ties counted against it.

    healthy: float64 (m,). 1 - p of a one-sided rank test with p = (1 + #{healthy >= value}) / (m + 1).
    """
    return 1 - (1 + float((healthy >= value).sum())) / (len(healthy) + 1)


def bins_of(confidence: Array, bins: int = 5) -> list[npt.NDArray[np.intp]]:
    """Return the indices of `bins` groups of equal size (give or take one), by rising confidence."""
    return [part for part in np.array_split(np.argsort(confidence, kind="stable"), bins) if len(part)]


def calibration_error(confidence: Array, right: Array, bins: int = 5) -> float:
    """Return the expected calibration error over bins of equal mass: mean |share right - mean confidence|.

    confidence, right: float64 (n,), n > 0. Source: Naeini et al. 2015, AAAI; equal mass: Nixon et al. 2019,
    arXiv:1904.01685.
    """
    gaps = (
        len(part) * abs(right[part].mean() - confidence[part].mean()) for part in bins_of(confidence, bins)
    )
    return float(sum(gaps) / len(right))


def perfect_calibration(
    confidence: Array, bins: int = 5, draws: int = DRAWS, seed: int = 0
) -> tuple[float, tuple[float, float]]:
    """Return mean and 95% band of the calibration error if each confidence were exactly true, at this n."""
    rng = np.random.default_rng(seed)
    parts = bins_of(confidence, bins)
    right = rng.random((draws, len(confidence))) < confidence
    gaps = [len(part) * np.abs(right[:, part].mean(axis=1) - confidence[part].mean()) for part in parts]
    errors = np.sum(gaps, axis=0) / len(confidence)
    low, high = np.quantile(errors, (0.025, 0.975))
    return float(errors.mean()), (float(low), float(high))


def calibration_interval(
    confidence: Array, right: Array, clusters: Sequence[str], draws: int = 500, seed: int = 0
) -> tuple[float, float]:
    """Return the 95% interval of the calibration error, whole clusters drawn with replacement."""
    _, which = np.unique(np.asarray(clusters), return_inverse=True)
    members = [np.flatnonzero(which == one) for one in range(which.max() + 1)]
    rng = np.random.default_rng(seed)
    errors = []
    for _ in range(draws):
        take = np.concatenate([members[one] for one in rng.integers(len(members), size=len(members))])
        errors.append(calibration_error(confidence[take], right[take]))
    low, high = np.quantile(errors, (0.025, 0.975))
    return float(low), float(high)


def brier(confidence: Array, right: Array) -> float:
    """Return the mean squared difference of confidence and truth: 0 at best, 0.25 for 0.5 throughout."""
    return float(np.mean((confidence - right) ** 2))


def calibration_slope(confidence: Array, right: Array) -> float:
    """Return the slope of truth on the log-odds of confidence: 1 if right, below 1 if overconfident.

    NaN where all are right, all wrong, or all equally confident. Source: Cox 1958, Biometrika 45:562.
    """
    inner = np.clip(confidence, 1e-6, 1 - 1e-6)
    odds = np.log(inner / (1 - inner))
    if right.min() == right.max() or np.ptp(odds) < 1e-9:
        return math.nan
    fitted = fit_logistic(odds[:, None], right, ridge=np.zeros(1), bounds=[(None, None)])
    return float(fitted[1])


def fit_logistic(
    x: Array, y: Array, ridge: Array, bounds: Sequence[tuple[float | None, float | None]]
) -> Array:
    """Return intercept and weights (1 + k,) of a logistic model, weights within bounds.

    x: float64 (n, k). y: float64 (n,), 0 or 1. ridge: (k,), the penalty ridge * weight² / 2 of each; bounds
    on the sign of a weight make the model monotone.
    """
    design = np.column_stack([np.ones(len(y)), x])
    strength = np.concatenate([[0.0], ridge])

    def loss(weights: Array) -> tuple[float, Array]:
        odds = design @ weights
        value = np.logaddexp(0, odds).sum() - y @ odds + (strength * weights**2).sum() / 2
        gradient = design.T @ (1 / (1 + np.exp(-np.clip(odds, -500, 500))) - y) + strength * weights
        return float(value), gradient

    start = np.zeros(design.shape[1])
    done = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(None, None), *bounds])
    fitted: Array = done.x
    return fitted
