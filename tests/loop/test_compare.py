"""Two sides on equal terms: what is kept, reverted, or not told yet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gandoctor.config import Config
from gandoctor.errors import UserError
from gandoctor.findings import Kind, Severity, State
from gandoctor.judge.diagnose import diagnose_run
from gandoctor.judge.diagnosis import Judged
from gandoctor.loop.compare import Comparison, Decision, _Judge, _targets, compare_all, compare_runs
from gandoctor.loop.sides import Member
from gandoctor.run import Unit
from gandoctor.thresholds import limits
from tests.judge.findings import judged
from tests.loop.seeds import fid, scored, seed_run, seeds

KEEP, REVERT, NOT_ENOUGH = Decision.KEEP, Decision.REVERT, Decision.NOT_ENOUGH
ILL, WELL = True, False


def slugs(found: Comparison) -> list[str]:
    return [reason.slug for reason in found.reasons]


def changed(found: Comparison) -> dict[str, str]:
    return {one.code: one.change for one in found.symptoms}


def test_nothing_changed_and_nothing_ill_tells_nothing() -> None:
    found = compare_runs(seeds(WELL), seeds(WELL, first=5))
    assert (found.decision, slugs(found), changed(found)) == (NOT_ENOUGH, ["no-metric"], {})
    assert [note.slug for note in found.notes] == ["nothing-changed"]


def test_one_seed_a_side_is_a_provisional_answer() -> None:
    found = compare_runs(seeds(ILL), seeds(WELL, first=5, lr_d=2e-5))
    assert (found.decision, found.provisional, found.more) == (KEEP, True, 2)
    assert changed(found)["GD201"] == "gone"
    assert found.targets == ("GD201",)
    assert [[one.name for one in thing] for thing in found.changes.things] == [["lr_D"]]
    assert found.notes == found.restore == ()


def test_three_against_three_is_settled() -> None:
    found = compare_runs(seeds(ILL, ILL, ILL), seeds(WELL, WELL, WELL, first=5, lr_d=2e-5))
    assert (found.decision, found.provisional, found.more, found.p) == (KEEP, False, None, 0.05)
    assert found.ill == ((3, 3), (0, 3))


def test_a_change_that_does_not_help_is_reverted_and_says_what_to_set_back() -> None:
    found = compare_runs(seeds(ILL), seeds(ILL, first=5, lr_d=2e-5, width=32))
    assert (found.decision, slugs(found)) == (REVERT, ["not-gone"])
    assert {(one.name, one.old, one.new) for one in found.restore} == {
        ("lr_D", 1e-4, 2e-5),
        ("width", None, 32),
    }
    assert [note.slug for note in found.notes] == ["several-changes"]


def test_an_illness_that_the_change_brought_is_reverted() -> None:
    found = compare_runs(seeds(WELL), seeds(ILL, first=5, lr_d=1e-3))
    assert (found.decision, slugs(found)) == (REVERT, ["new-illness"])
    assert changed(found)["GD201"] == "new"


def test_seeds_that_do_not_agree_ask_for_more() -> None:
    found = compare_runs(seeds(ILL, ILL, ILL), seeds(ILL, WELL, WELL, first=5, lr_d=2e-5))
    assert (found.decision, slugs(found)) == (NOT_ENOUGH, ["mixed"])
    assert found.more is not None
    assert found.more > 0
    assert changed(found)["GD201"] == "fewer"


def test_many_seeds_without_a_difference_are_enough_to_revert() -> None:
    half = (ILL, WELL) * 6
    found = compare_runs(seeds(*half), seeds(*half, first=50, lr_d=2e-5))
    assert (found.decision, slugs(found)) == (REVERT, ["no-help"])


def test_a_candidate_must_pass_the_onset_and_the_delay() -> None:
    base = seeds(ILL)
    short = seed_run(7, WELL, points=100, lr_d=2e-5)  # ends before D wins
    found = compare_runs(base, [short])
    assert (found.decision, slugs(found)) == (NOT_ENOUGH, ["too-short"])
    assert found.need is not None
    assert found.train_to == found.need > 400 * 50 / 3
    longer = seed_run(7, WELL, points=found.need // 50 + 1, lr_d=2e-5)
    assert compare_runs(base, [longer]).decision is KEEP


def test_a_run_of_the_same_length_whose_last_line_came_earlier_is_long_enough() -> None:
    base = seeds(ILL)
    known = compare_runs(base, seeds(WELL, first=5, lr_d=2e-5)).need
    assert known is not None
    assert known <= base[0].series["loss_D"].steps[-1]
    other = seed_run(5, WELL, points=(known - 1) // 70, every=70, lr_d=2e-5)
    assert known - 70 <= other.series["loss_D"].steps[-1] < known
    assert "too-short" not in slugs(compare_runs(base, [other]))


def test_a_short_candidate_that_is_ill_already_is_no_open_question() -> None:
    found = compare_runs(seeds(WELL), [seed_run(7, ILL, points=200, lr_d=1e-3)])
    assert (found.decision, found.steps) == (REVERT, 200 * 50)


def test_a_longer_run_is_cut_to_the_shorter_one() -> None:
    base = seeds(WELL)
    late = seed_run(7, ILL, points=1_200, at=0.6, lr_d=2e-5)  # falls ill after the baseline's end
    found = compare_runs(base, [late])
    assert changed(found) == {}
    assert [(n.slug, n.fields["codes"]) for n in found.notes if n.slug == "own-log"] == [
        ("own-log", ["GD201"])
    ]
    assert found.candidate[0].last == base[0].series["loss_D"].steps[-1]


def test_a_side_that_logs_more_is_not_held_to_it() -> None:
    found = compare_runs([scored(seed_run(0, WELL))], seeds(WELL, first=5))
    assert found.dropped == ("D.score.fake", "D.score.real")
    assert set(found.baseline[0].diagnosis.run.series) == {"loss_D", "loss_G"}


def test_a_denser_log_is_thinned_to_the_sparser_one() -> None:
    found = compare_runs([seed_run(0, WELL, points=2_000, every=10)], seeds(WELL, first=5))
    counts = [len(member.diagnosis.run.series["loss_D"]) for member in (*found.baseline, *found.candidate)]
    assert counts == [400, 400]


def test_tags_may_be_called_otherwise() -> None:
    other = seed_run(5, WELL, lr_d=2e-5)
    other.series = {
        new: other.series[old]
        for old, new in (("loss_D", "Loss/discriminator"), ("loss_G", "Loss/generator"))
    }
    found = compare_runs(seeds(ILL), [other])
    assert (found.decision, found.dropped) == (KEEP, ())


def test_what_is_not_logged_in_common_cannot_be_compared() -> None:
    other = seed_run(5, WELL, lr_d=2e-5)
    del other.series["loss_D"]
    found = compare_runs(seeds(ILL), [other])
    assert found.decision is NOT_ENOUGH
    assert "D.loss.total" in " ".join(found.dropped) or "D.loss" in " ".join(found.dropped)


def test_steps_of_another_unit_are_refused() -> None:
    with pytest.raises(UserError, match="steps count epochs, those of the baseline iterations"):
        compare_runs(seeds(WELL), [seed_run(5, WELL, unit=Unit.EPOCH, every=1)])


def test_steps_that_count_images_are_compared_at_equal_steps_of_g() -> None:
    base = seed_run(0, WELL, unit=Unit.KIMG, every=10, points=400, batch_size=32)
    doubled = seed_run(5, WELL, unit=Unit.KIMG, every=10, points=400, batch_size=64)
    found = compare_runs([base], [doubled])
    assert found.candidate[0].rate == 2
    assert found.steps == 2_000  # kimg of the baseline: as many steps of G as the candidate took
    assert [member.last for member in (*found.baseline, *found.candidate)] == [2_000, 4_000]


@pytest.mark.parametrize(
    ("before", "after", "decision", "slug"),
    [
        (20.0, 8.0, KEEP, "quality-better"),
        (8.0, 20.0, REVERT, "quality-worse"),
        (9.0, 9.0, NOT_ENOUGH, "no-difference"),
    ],
)
def test_quality_decides_between_runs_without_illness(
    before: float, after: float, decision: Decision, slug: str
) -> None:
    base, other = seed_run(0, WELL, extra=fid(before)), seed_run(5, WELL, extra=fid(after, 1), lr_d=2e-5)
    found = compare_runs([base], [other])
    assert (found.decision, slugs(found)) == (decision, [slug])


def test_an_illness_that_goes_while_quality_falls_is_no_cure_yet() -> None:
    base = seed_run(0, ILL, extra=fid(8.0))
    found = compare_runs([base], [seed_run(5, WELL, extra=fid(20.0, 1), lr_d=2e-5)])
    assert (found.decision, slugs(found)) == (NOT_ENOUGH, ["gone", "but-quality-worse"])
    assert found.train_to == 30_000


def test_a_later_onset_is_called_so() -> None:
    found = compare_runs(seeds(ILL, at=0.15), [seed_run(5, ILL, at=0.45, lr_d=5e-5)])
    assert changed(found)["GD201"] == "later"
    assert found.decision is REVERT
    assert (
        changed(compare_runs(seeds(ILL, at=0.45), [seed_run(5, ILL, at=0.15, lr_d=5e-5)]))["GD201"]
        == "earlier"
    )


def test_candidates_of_several_configurations_are_compared_apart() -> None:
    found = compare_all(seeds(ILL), [*seeds(WELL, WELL, first=5, lr_d=2e-5), *seeds(ILL, first=9, width=32)])
    assert [(len(one.candidate), one.decision) for one in found] == [(2, KEEP), (1, REVERT)]


def test_a_side_of_several_configurations_is_pointed_out() -> None:
    mixed = [*seeds(ILL), *seeds(ILL, first=3, width=32)]
    [note] = [n for n in compare_runs(mixed, seeds(WELL, first=5, lr_d=2e-5)).notes if n.slug == "mixed-side"]
    assert note.fields == {"side": "baseline", "names": ["width"]}


def test_other_data_are_pointed_out() -> None:
    found = compare_runs(seeds(ILL, dataset="mnist"), seeds(WELL, first=5, dataset="celeba"))
    assert [note.slug for note in found.notes] == ["other-data"]


def test_what_the_configuration_ignores_does_not_count() -> None:
    found = compare_runs(seeds(WELL), seeds(ILL, first=5), Config(ignore=("GD2", "GD1", "GD3")))
    assert (found.decision, changed(found)) == (NOT_ENOUGH, {})


def test_an_empty_side_is_refused() -> None:
    with pytest.raises(UserError, match="needs a baseline and a candidate"):
        compare_runs([], seeds(WELL))


def test_a_run_with_nothing_in_it_cannot_be_judged() -> None:
    from pathlib import Path

    from gandoctor.run import Run

    empty = Run(Path("empty"), "empty")
    assert compare_runs([empty], [empty]).decision is NOT_ENOUGH
    assert compare_runs(seeds(ILL), [empty]).decision is NOT_ENOUGH


@given(order=st.permutations(range(3)), swapped=st.booleans())
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_order_of_seeds_and_of_sides(order: list[int], swapped: bool) -> None:
    ill, well = seeds(ILL, ILL, ILL), seeds(WELL, WELL, WELL, first=5, lr_d=2e-5)
    ill = [ill[n] for n in order]
    found = compare_runs(well, ill) if swapped else compare_runs(ill, well)
    assert (found.decision, found.p) == (REVERT if swapped else KEEP, 0.05)
    low, high = found.interval
    assert (high < 0) if swapped else (low > 0)


def test_steps_of_another_size_change_nothing() -> None:
    one = compare_runs(seeds(ILL), seeds(WELL, first=5, lr_d=2e-5))
    other = compare_runs(seeds(ILL, every=500), seeds(WELL, first=5, lr_d=2e-5, every=500))
    assert (one.decision, one.targets, changed(one)) == (other.decision, other.targets, changed(other))
    assert other.need == pytest.approx(10 * np.array(one.need), rel=0.1)


def test_another_symptom_as_bad_is_no_cure() -> None:
    other = seed_run(5, WELL, width=32)
    nan = other.series["loss_D"].values.copy()
    nan[200:] = np.nan
    other.series["loss_D"] = replace(other.series["loss_D"], values=nan)
    found = compare_runs(seeds(ILL), [other])
    assert (found.decision, slugs(found)) == (REVERT, ["gone-but-new"])
    assert changed(found)["GD105"] == "new"


# --- hand-made diagnoses ---------------------------------------------------------------------------------


def member(*found: Judged, chain: tuple[tuple[str, str], ...] = (), primary: int | None = 0) -> Member:
    """A run with findings made by hand, everything else of it examined."""
    diagnosis = diagnose_run(seed_run(0, WELL))
    coverage = tuple(replace(line, state=State.EXAMINED) for line in diagnosis.coverage)
    top = found[primary] if found and primary is not None else None
    return Member(
        replace(diagnosis, findings=found, primary=top, chain=chain, coverage=coverage, known_at_step=5_000)
    )


def decided(before: list[Member], after: list[Member]) -> tuple[Decision, list[str]]:
    targets, need = _targets([one.diagnosis for one in before], None)
    judge = _Judge(before, after, targets, need, 20_000, (), (), limits("loop")).judge()
    return judge.decision, [reason.slug for reason in judge.reasons]


ERROR = Severity.ERROR


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([judged("GD401", severity=ERROR)], [judged("GD401")], (KEEP, ["milder"])),
        ([judged("GD401", severity=ERROR)], [judged("GD401", severity=ERROR, end=9_000)], (KEEP, ["milder"])),
        ([judged("GD401", severity=ERROR)], [judged("GD402", severity=ERROR)], (REVERT, ["gone-but-new"])),
        ([judged("GD401", severity=ERROR)], [judged("GD103")], (KEEP, ["gone"])),
        ([judged("GD401")], [judged("GD103")], (REVERT, ["gone-but-new"])),
        ([judged("GD401")], [judged("GD401", severity=ERROR)], (REVERT, ["not-gone"])),
        # The primary is gone, an error that was there before is not: keep, and take that on next.
        ([judged("GD401", severity=ERROR), judged("GD102", severity=ERROR)], [judged("GD102", severity=ERROR)],
         (KEEP, ["gone", "still-there"])),
        # The primary stands as a warning, as before, but what made the run fail is gone.
        ([judged("GD201"), judged("GD204", severity=ERROR)], [judged("GD201")], (KEEP, ["less-ill"])),
        ([judged("GD201"), judged("GD204", severity=ERROR)], [judged("GD201"), judged("GD204", severity=ERROR)],
         (REVERT, ["not-gone"])),
    ],
)  # fmt: skip
def test_the_verdict_by_what_stands_before_and_after(
    before: list[Judged], after: list[Judged], expected: tuple[Decision, list[str]]
) -> None:
    assert decided([member(*before)], [member(*after)]) == expected


def test_a_primary_that_rests_on_settings_alone_must_take_its_effects_with_it() -> None:
    rate = judged("GD703", kinds=[Kind.CONFIGURATION])
    effect = judged("GD401", severity=ERROR)
    before = member(rate, effect, chain=(("GD703-1", "GD401-1"),))
    assert _targets([before.diagnosis], None)[0] == {"GD703": Severity.WARNING, "GD401": ERROR}
    assert decided([before], [member(effect, primary=None)]) == (REVERT, ["not-gone"])
    assert decided([before], [member()]) == (KEEP, ["gone"])
