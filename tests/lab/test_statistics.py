from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from gandoctor.lab.statistics import (
    alarm_threshold,
    bins_of,
    brier,
    calibration_error,
    calibration_interval,
    calibration_slope,
    cluster_bootstrap,
    fit_logistic,
    level_band,
    perfect_calibration,
    rank_score,
)


def test_the_threshold_is_the_score_of_that_rank() -> None:
    scores = list(range(1, 100))  # n + 1 = 100
    assert alarm_threshold(scores, 0.05) == 95
    assert alarm_threshold(scores, 0.01) == 99
    assert alarm_threshold(scores, 0.009) is None  # rank 100 of 99
    assert alarm_threshold([1.0] * 32, 0.03) is None  # it takes 1 / 0.03 - 1 = 32.3
    assert alarm_threshold([1.0] * 33, 0.03) == 1.0


def test_a_new_healthy_run_passes_it_as_seldom_as_promised() -> None:
    rng = np.random.default_rng(0)
    passed = []
    for _ in range(4_000):
        scores = rng.random(49)
        limit = alarm_threshold(scores[:39].tolist(), 0.1)
        assert limit is not None
        passed.append((scores[39:] > limit).mean())
    assert np.mean(passed) == pytest.approx(0.1, abs=0.005)  # 4 of 40: exactly
    low, high = level_band(39, 0.1)
    exact = stats.binom(10, 0.1)  # the levels themselves are Beta(4, 36)
    assert (low, high) == pytest.approx(stats.beta(4, 36).interval(0.9))
    assert exact.mean() == 1.0
    assert level_band(32, 0.03) == (0.0, 1.0)


def test_ranks_count_ties_against_a_value() -> None:
    healthy = np.array([0.0, 0.0, 0.5, 1.0])
    assert rank_score(2.0, healthy) == pytest.approx(0.8)  # p = 1/5
    assert rank_score(1.0, healthy) == pytest.approx(0.6)
    assert rank_score(0.0, healthy) == 0.0


def test_calibration_error_by_hand() -> None:
    confidence = np.array([0.1, 0.2, 0.6, 0.8])
    right = np.array([0.0, 1.0, 1.0, 1.0])
    # Bins {0.1, 0.2} and {0.6, 0.8}: |0.5 - 0.15| and |1 - 0.7|, half each.
    assert calibration_error(confidence, right, bins=2) == pytest.approx(0.325)
    assert brier(confidence, right) == pytest.approx((0.01 + 0.64 + 0.16 + 0.04) / 4)


def test_bins_have_equal_mass() -> None:
    parts = bins_of(np.array([0.5] * 7 + [0.9] * 6))
    assert [len(part) for part in parts] == [3, 3, 3, 2, 2]
    assert sorted(np.concatenate(parts).tolist()) == list(range(13))


def test_perfect_calibration_is_the_mean_of_its_simulation() -> None:
    # One bin of n equal confidences: E|mean - p| = sqrt(2 p (1 - p) / (pi n)) for large n.
    mean, (low, high) = perfect_calibration(np.full(400, 0.5), bins=1)
    assert mean == pytest.approx(math.sqrt(2 * 0.25 / (math.pi * 400)), rel=0.05)
    assert low < mean < high


def test_a_calibrated_confidence_has_slope_one_and_lies_in_the_band() -> None:
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0.05, 0.95, 5_000)
    right = (rng.random(5_000) < confidence).astype(float)
    assert calibration_slope(confidence, right) == pytest.approx(1.0, abs=0.1)
    _, (low, high) = perfect_calibration(confidence)
    assert low <= calibration_error(confidence, right) <= high
    odds = 2 * np.log(confidence / (1 - confidence))  # twice as sure as it should be
    assert calibration_slope(1 / (1 + np.exp(-odds)), right) == pytest.approx(0.5, abs=0.05)
    assert math.isnan(calibration_slope(confidence, np.ones(5_000)))
    low, high = calibration_interval(confidence, right, [str(i // 10) for i in range(5_000)], draws=50)
    assert low < high < 0.1


def test_the_bootstrap_goes_by_cluster() -> None:
    hits = [1.0] * 50 + [0.0] * 50
    alone = cluster_bootstrap(hits, [str(i) for i in range(100)])
    exact = stats.norm(0.5, math.sqrt(0.25 / 100)).interval(0.95)
    assert alone == pytest.approx(exact, abs=0.02)
    together = cluster_bootstrap(hits, [str(i // 10) for i in range(100)])  # each cluster all or none
    assert together[1] - together[0] > 2 * (alone[1] - alone[0])
    assert cluster_bootstrap([], []) == (0.0, 1.0)
    assert cluster_bootstrap(hits, ["one"] * 100) == (0.5, 0.5)


def test_a_logistic_fit_with_one_binary_feature_is_the_table_of_shares() -> None:
    x = np.array([0.0] * 100 + [1.0] * 100)[:, None]
    y = np.array([1.0] * 30 + [0.0] * 70 + [1.0] * 80 + [0.0] * 20)
    base, weight = fit_logistic(x, y, np.zeros(1), [(None, None)])
    assert base == pytest.approx(math.log(30 / 70), abs=1e-3)
    assert weight == pytest.approx(math.log(80 / 20) - math.log(30 / 70), abs=1e-3)
    base, weight = fit_logistic(x, y, np.zeros(1), [(None, 0)])  # against the data's sign: no effect
    assert weight == 0
    assert base == pytest.approx(math.log(110 / 90), abs=1e-3)


@pytest.mark.parametrize("seed", range(20))
def test_errors_stay_in_their_range(seed: int) -> None:
    rng = np.random.default_rng(seed)
    confidence, right = rng.random(5 + seed), rng.integers(0, 2, 5 + seed).astype(float)
    error = calibration_error(confidence, right)
    assert 0 <= error <= 1
    assert brier(confidence, right) >= error**2 - 1e-9  # Jensen
