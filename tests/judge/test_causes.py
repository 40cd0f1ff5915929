from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gandoctor.detectors import all_detectors
from gandoctor.findings import Severity
from gandoctor.judge.causes import ORDER, chain_of, primary_of
from gandoctor.judge.diagnosis import Judged
from gandoctor.judge.rules import load_rules
from tests.judge.findings import judged

RULES = load_rules()
CODES = sorted(RULES)


def chain(*ill: Judged) -> set[tuple[str, str]]:
    return set(chain_of(ill, RULES, 0))


def primary(*ill: Judged) -> str:
    found = primary_of(ill, chain_of(ill, RULES, 0))
    return "" if found is None else found.id


# --- edges


def test_an_edge_runs_from_the_cause_to_what_came_later() -> None:
    # GD302 leads to GD105 (a gradient explodes at 1,200, NaN at 1,350).
    assert chain(judged("GD302", 1_200), judged("GD105", 1_350)) == {("GD302-1", "GD105-1")}


def test_no_edge_backward_in_time() -> None:
    assert chain(judged("GD302", 1_500), judged("GD105", 1_350)) == set()


def test_a_cause_may_begin_later_by_less_than_the_slack() -> None:
    assert chain(judged("GD302", 1_360, slack=50), judged("GD105", 1_350, slack=20)) == {
        ("GD302-1", "GD105-1")
    }
    assert chain(judged("GD302", 1_380, slack=60), judged("GD105", 1_350, slack=20)) == set()


def test_winning_explains_nothing_that_the_first_point_shows() -> None:
    assert chain(judged("GD201", 0), judged("GD301", 0)) == set()
    assert chain(judged("GD201", 0), judged("GD301", 50)) == {("GD201-1", "GD301-1")}


def test_no_edge_between_codes_that_do_not_lead_to_each_other() -> None:
    assert chain(judged("GD505", 100), judged("GD201", 5_000)) == set()


def test_no_edge_between_pairs_but_one_to_the_run_as_a_whole() -> None:
    a, b = judged("GD201", 100, pair="A"), judged("GD301", 200, pair="B")
    assert chain(a, b) == set()
    assert chain(a, judged("GD301", 200)) == {("GD201-1", "GD301-1")}


def test_mere_information_is_neither_cause_nor_effect() -> None:
    assert chain(judged("GD302", 100, Severity.INFO), judged("GD105", 200)) == set()


def test_mutual_causes_go_by_their_onsets_else_by_the_order() -> None:
    # GD201 and GD401 lead to each other by way of GD402, or at once: collapse first, or D ahead first.
    mutual = [(a, b) for a in CODES for b in RULES[a].leads_to if a in RULES[b].leads_to]
    for a, b in mutual:
        assert chain(judged(a, 100), judged(b, 5_000)) == {(f"{a}-1", f"{b}-1")}
        first = min((a, b), key=ORDER.index)
        other = b if first == a else a
        assert chain(judged(a, 100), judged(b, 100)) == {(f"{first}-1", f"{other}-1")}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(CODES), st.integers(0, 5), st.integers(0, 3)), max_size=9))
def test_a_chain_has_no_cycle_and_no_step_back(ill: list[tuple[str, int, int]]) -> None:
    made = [judged(code, 1_000 * at, slack=500 * slack, number=n) for n, (code, at, slack) in enumerate(ill)]
    edges = chain_of(made, RULES, 0)
    by_id = {one.id: one.finding.stretch for one in made}
    for cause, effect in edges:
        assert by_id[cause].onset_interval[0] <= by_id[effect].onset_interval[0]
        assert by_id[cause].onset <= by_id[effect].onset_interval[1]
    left = {one.id for one in made}
    while left:  # take away what has no cause left, until nothing is left
        roots = left - {effect for cause, effect in edges if cause in left}
        assert roots, "a cycle"
        left -= roots


# --- the primary symptom


def test_no_finding_no_primary() -> None:
    assert primary() == ""
    assert primary(judged("GD105", 50, Severity.INFO)) == ""


def test_the_log_itself_is_never_primary() -> None:
    assert primary(judged("GD901", 0, Severity.ERROR)) == ""
    assert primary(judged("GD901", 0, Severity.ERROR), judged("GD103", 500)) == "GD103-1"


def test_what_is_not_finite_comes_first_with_its_own_cause() -> None:
    assert primary(judged("GD401", 100, Severity.ERROR), judged("GD105", 5_000, Severity.ERROR)) == "GD105-1"
    assert (
        primary(
            judged("GD401", 100, Severity.ERROR),
            judged("GD302", 4_000),
            judged("GD105", 5_000, Severity.ERROR),
        )
        == "GD302-1"
    )


def test_no_progress_is_named_where_nothing_else_is() -> None:
    assert primary(judged("GD104", 100), judged("GD401", 5_000)) == "GD401-1"
    assert primary(judged("GD104", 100)) == "GD104-1"
    assert primary(judged("GD104", 100, Severity.ERROR), judged("GD401", 50)) == "GD104-1"


def test_the_cause_of_the_worst_is_primary_though_milder() -> None:
    ill = [judged("GD105", 1_350, Severity.ERROR), judged("GD302", 1_200, Severity.WARNING)]
    assert primary(*ill) == "GD302-1"


def test_an_older_warning_that_caused_nothing_is_not_primary() -> None:
    ill = [judged("GD505", 0, Severity.WARNING), judged("GD201", 5_000, Severity.ERROR)]
    assert primary(*ill) == "GD201-1"


def test_the_root_of_a_long_chain_is_primary() -> None:
    # Weights grow, the gradient explodes, the loss diverges, NaN.
    ill = [
        judged("GD105", 4_000, Severity.ERROR), judged("GD101", 3_000), judged("GD302", 2_000), judged("GD601", 1_000),
    ]  # fmt: skip
    assert chain(*ill) >= {("GD601-1", "GD302-1"), ("GD302-1", "GD101-1"), ("GD101-1", "GD105-1")}
    assert primary(*ill) == "GD601-1"


def test_of_two_errors_without_edge_the_earlier_is_primary() -> None:
    ill = [judged("GD202", 9_000, Severity.ERROR), judged("GD505", 2_000, Severity.ERROR)]
    assert primary(*ill) == "GD505-1"


def test_onsets_that_cannot_be_told_apart_go_by_the_order() -> None:
    ill = [
        judged("GD504", 2_000, Severity.ERROR, slack=500),
        judged("GD701", 2_300, Severity.ERROR, slack=500),
    ]
    assert primary(*ill) == "GD701-1"


@pytest.mark.parametrize("ill", permutations([("GD201", 100), ("GD301", 300), ("GD104", 900)]))
def test_the_order_in_which_findings_come_does_not_matter(ill: tuple[tuple[str, int], ...]) -> None:
    assert primary(*(judged(code, onset, Severity.ERROR) for code, onset in ill)) == "GD201-1"


def test_every_code_that_a_detector_gives_has_a_place_in_the_order() -> None:
    assert {which.code for which in all_detectors()} - {"GD901"} <= set(ORDER)
    assert len(ORDER) == len(set(ORDER))
