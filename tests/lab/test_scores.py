from __future__ import annotations

from pathlib import Path

import pytest

from gandoctor.api import diagnose
from gandoctor.findings import Severity, State
from gandoctor.lab.scores import DOWNWARDS, FACTORS, UPWARDS, scaled, scores
from gandoctor.thresholds import limits

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.mark.parametrize("table", [UPWARDS, DOWNWARDS])
def test_every_threshold_that_moves_exists(table: dict[str, tuple[str, ...]]) -> None:
    for code, names in table.items():
        assert set(names) <= set(limits(code)), code
        assert len(set(names)) == len(names)


def test_none_moves_both_ways() -> None:
    for code in UPWARDS.keys() & DOWNWARDS.keys():
        assert not set(UPWARDS[code]) & set(DOWNWARDS[code])


def test_stricter_means_harder_to_pass() -> None:
    usual = limits("GD201")
    strict = scaled("GD201", 2.0)
    assert strict["GD201.won"] == 2 * usual["won"].value
    assert strict["GD201.fake_probability"] == usual["fake_probability"].value / 2
    assert "GD204.blind" not in scaled("GD204", 2.0)


@pytest.mark.parametrize(
    "name", ["d-wins", "healthy-ns", "hopping-collapse", "lr-too-high", "healthy-wgan-gp"]
)
def test_a_score_of_one_is_what_fires_today(name: str) -> None:
    diagnosis = diagnose(FIXTURES / name)
    examined = [line.code for line in diagnosis.coverage if line.state is State.EXAMINED]
    given = scores(diagnosis.views, examined)
    fired = {j.finding.code for j in diagnosis.findings if j.finding.severity >= Severity.WARNING}
    assert {code for code, score in given.items() if score >= 1} == fired
    assert set(given) == set(examined)
    assert set(given.values()) <= {0.0, *FACTORS}
    if name == "d-wins":
        assert given["GD201"] >= 1
