from __future__ import annotations

import pytest

from tests.bench.trained import draw, report, wilson


@pytest.mark.parametrize(
    ("k", "n", "low", "high"), [(0, 20, 0.0, 0.16), (10, 20, 0.30, 0.70), (20, 20, 0.84, 1.0), (0, 0, 0, 1)]
)
def test_wilson(k: int, n: int, low: float, high: float) -> None:
    assert wilson(k, n) == pytest.approx((low, high), abs=0.005)


def test_draws_are_the_same_for_a_seed_and_never_share_one() -> None:
    groups = draw(10, 6, seed=100)
    configs = [config for group in groups for config, _ in group]
    assert [config.seed for config in configs] == list(range(100, 116))
    assert sum(not config.fault for config in configs) == 10
    assert groups == draw(10, 6, seed=100)
    assert groups != draw(10, 6, seed=101)


def row(**values: str) -> dict[str, str]:
    first = {
        "folder": "run0001", "family": "ns", "data": "ring8", "fault": "d-perfect", "level": "losses",
        "format": "csv", "outcome": "ill", "true_codes": "GD201", "acceptable_primaries": "GD201 GD301",
        "verdict": "failing", "primary": "GD201", "confidence": "0.9", "runs": "1", "findings": "GD201",
        "visible": "1",
    }  # fmt: skip
    return first | values


HEALTHY = {"fault": "", "outcome": "healthy", "true_codes": "", "acceptable_primaries": "", "primary": ""}


def test_report_counts() -> None:
    text = report([
        row(), row(primary="GD401"), row(verdict="healthy", primary=""),
        row(**HEALTHY, verdict="healthy"), row(**HEALTHY | {"primary": "GD102"}, verdict="warning"),
        row(**HEALTHY, verdict="unknown"), row(outcome="grey"),
        row(outcome="healthy", true_codes="GD601", verdict="failing"),
        row(visible="0", primary="", verdict="healthy"), row(visible="0", primary="GD102"),
    ])  # fmt: skip
    assert "10 runs: 5 ill, 3 healthy, 1 healthy with a true mechanism, 1 grey" in text
    assert "primary right on ill runs: 1/3" in text
    assert (
        "where nothing shows: 1 of 2 silent, 0 named right; all that were named wrong counted as wrong: 1/4"
        in text
    )
    assert "primary among all true codes or the acceptable ones: 1/3" in text
    assert "ill runs called healthy:   1/3" in text
    assert "false alarms on healthy:   1/3" in text
    assert "harmless faults called failing: 1/1" in text
