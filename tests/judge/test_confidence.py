from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gandoctor.findings import Kind, Severity
from gandoctor.judge.confidence import confidence, source
from tests.judge.findings import finding

TABLE = {
    "severity": {"error": 0.85, "warning": 0.65, "info": 0.4},
    "evidence": {"second_kind": 0.8, "overwhelming": 0.5, "unsure_family": -0.7, "to_the_end": 0.2},
}


@pytest.fixture
def _fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of its own, so that a new calibration changes no test."""
    monkeypatch.setattr("gandoctor.judge.confidence._table", lambda: TABLE)


def test_the_table_says_prior_until_the_lab_has_spoken() -> None:
    assert source(finding("GD201"), 1.0) in ("prior", "lab")
    assert source(finding("GD506"), 1.0) == "prior"  # the lab makes none


@pytest.mark.usefixtures("_fixed")
def test_a_lone_warning_that_ended() -> None:
    # The base of a warning and nothing that adds to it.
    assert confidence(finding("GD103", end=5_000), 1.0) == pytest.approx(0.65)


@pytest.mark.usefixtures("_fixed")
@pytest.mark.parametrize(
    ("more", "expected"),
    # log(0.65 / 0.35) = 0.619; then 1 / (1 + exp(-odds)).
    [({}, 0.694), ({"kinds": (Kind.GAME, Kind.QUALITY)}, 0.835), ({"overwhelming": True}, 0.789)],
)
def test_what_adds_to_it(more: dict[str, object], expected: float) -> None:
    assert confidence(finding("GD201", **more), 1.0) == pytest.approx(expected, abs=0.001)  # type: ignore[arg-type]


def test_an_unsure_family_counts_only_where_the_game_is_all_there_is() -> None:
    game, both = finding("GD201"), finding("GD201", kinds=(Kind.GAME, Kind.GRADIENTS))
    assert confidence(game, 0.5) < confidence(game, 0.7)
    assert confidence(both, 0.5) == confidence(both, 0.7)


def test_severity_ranks() -> None:
    ranked = [confidence(finding("GD201", severity=one), 1.0) for one in Severity]
    assert ranked == sorted(ranked)


@given(
    severity=st.sampled_from(Severity), kinds=st.sets(st.sampled_from(Kind), min_size=1), overwhelming=st.booleans(),
    end=st.none() | st.integers(1_000, 2_000), sure=st.floats(0, 1),
)  # fmt: skip
def test_it_is_a_probability(
    severity: Severity, kinds: set[Kind], overwhelming: bool, end: int | None, sure: float
) -> None:
    made = finding("GD201", severity=severity, kinds=kinds, overwhelming=overwhelming, end=end)
    assert 0 < confidence(made, sure) < 1
