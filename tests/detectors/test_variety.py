from __future__ import annotations

import numpy as np
import pytest

from gandoctor.detectors.variety import (
    diversity_collapsed,
    fakes_look_alike_to_d,
    fakes_vary_less_to_d,
    recall_fell,
    samples_are_one,
    samples_vary_less,
)
from gandoctor.findings import Finding, Kind, Severity
from gandoctor.run import Run
from tests.runs import (
    Shape,
    game,
    hears,
    jump,
    level,
    logged,
    make_run,
    measured,
    noisy,
    one_finding,
    pieces,
    ramp,
    refusal,
)

one_sample, fewer = hears(samples_are_one), hears(samples_vary_less)
less = hears(fakes_vary_less_to_d)
alike, collapsed, recall = hears(fakes_look_alike_to_d), hears(diversity_collapsed), hears(recall_fell)


def stds(ratio: Shape | float, real: float = 0.5) -> Run:
    """The standard deviations of fakes and reals within a batch, with the scatter of batches."""
    shape = ratio if callable(ratio) else level(ratio)
    return make_run(
        {
            "samples/fake_std": noisy(lambda t: real * shape(t), 0.02),
            "samples/real_std": noisy(level(real), 0.02, seed=1),
        }
    )


def spreads(ratio: Shape | float) -> Run:
    """The standard deviations of D's outputs on fakes and on reals."""
    shape = ratio if callable(ratio) else level(ratio)
    return make_run(
        {"out/fake_std": noisy(lambda t: 2 * shape(t), 0.1), "out/real_std": noisy(level(2.0), 0.1, seed=1)}
    )


def evaluated(tag: str, *values: float) -> Run:
    """A measure taken every 5,000 steps."""
    return make_run({tag: np.array(values)}, every=5_000)


FIRES = {
    "samples_are_one": stds(jump(1.0, 0.2, at=0.5)),
    "samples_vary_less": stds(0.8),
    "fakes_look_alike_to_d": spreads(jump(0.9, 0.1, at=0.5)),
    "fakes_vary_less_to_d": spreads(jump(0.9, 0.3, at=0.5)),
    "diversity_collapsed": evaluated("diversity", *[0.8] * 8, *[0.3] * 8),
    "recall_fell": evaluated("recall", *[0.6] * 8, *[0.3] * 8),
}
SILENT = {
    "samples_are_one": stds(ramp(0.3, 1.0)),
    "samples_vary_less": stds(ramp(0.3, 1.2)),
    "fakes_look_alike_to_d": logged(
        game("non-saturating", 1.0, -1.0, spread=(1.5, 1.0)), "out/real_std", "out/fake_std"
    ),
    "fakes_vary_less_to_d": spreads(0.6),
    "diversity_collapsed": evaluated("diversity", *np.linspace(0.2, 0.8, 16)),
    "recall_fell": evaluated("recall", *np.linspace(0.1, 0.6, 16)),
}


# --- the samples' own spread


def test_silent_on_a_generator_that_begins_with_little_variety() -> None:
    run = stds(pieces((0, 0.1), (0.5, 1.0)))
    assert one_sample(run) == []
    assert fewer(run) == []


@pytest.mark.parametrize(
    ("ratio", "said"),
    [(0.30, ("GD401", Severity.ERROR)), (0.42, ("GD401", Severity.WARNING)), (0.60, ("GD402", Severity.WARNING)),
     (0.88, ("GD402", Severity.WARNING)), (0.96, None)],
)  # fmt: skip
def test_the_ratio_tells_collapse_from_little_variety(
    ratio: float, said: tuple[str, Severity] | None
) -> None:
    run = stds(ratio)
    heard = [(one.code, one.severity) for one in (*one_sample(run), *fewer(run)) if isinstance(one, Finding)]
    assert heard == ([said] if said else [])


def test_evidence_and_onset_of_a_collapse() -> None:
    finding = one_finding(one_sample(stds(jump(1.0, 0.2, at=0.6))))
    assert finding.overwhelming
    assert finding.stretch.onset == pytest.approx(12_000, abs=100)
    assert finding.stretch.end is None
    assert measured(finding) == pytest.approx({"std of fakes / std of reals": 0.2}, rel=0.03)
    assert finding.evidence[0].kind is Kind.SAMPLES


def test_variety_that_came_back_is_quiet() -> None:
    run = stds(pieces((0, 1.0), (0.3, 0.2), (0.7, 1.0)))
    assert one_sample(run) == []
    assert fewer(run) == []


def test_reals_without_spread_tell_nothing() -> None:
    run = make_run({"samples/fake_std": level(0.0), "samples/real_std": level(0.0)})
    assert one_sample(run) == []
    assert fewer(run) == []


def test_both_sides_are_asked_for() -> None:
    said = refusal(one_sample(make_run({"samples/fake_std": level(0.5)})))
    assert said == ("not-examinable", "missing-signal", "sample-std")


# --- D's spread


@pytest.mark.parametrize(
    ("ratio", "samples", "code"),
    [
        (0.55, None, ""), (0.45, None, "GD402"), (0.25, None, "GD402"), (0.15, None, "GD401"),
        (0.15, 0.9, "GD402"), (0.55, 0.9, ""),  # seen to vary: not one sample
        (0.45, 0.4, "GD401"), (0.55, 0.4, ""),  # seen to be one: D's spread agrees
    ],
)  # fmt: skip
def test_the_spread_tells_collapse_from_little_variety(
    ratio: float, samples: float | None, code: str
) -> None:
    run = spreads(ratio)
    if samples is not None:
        run.series.update(stds(samples).series)
    said = [one for one in (*alike(run), *less(run)) if isinstance(one, Finding)]
    assert [one.code for one in said] == ([code] if code else [])
    for finding in said:
        assert measured(finding) == pytest.approx({"std of C(fakes) / std of C(reals)": ratio}, rel=0.06)
        assert finding.severity is Severity.WARNING


def test_hopping_modes_count_by_the_median_of_the_late_part() -> None:
    hopping = lambda t: np.where((20 * t) % 1 < 0.75, 0.1, 0.8)  # noqa: E731
    finding = one_finding(alike(spreads(lambda t: np.where(t < 0.4, 0.9, hopping(t)))))
    assert finding.stretch.onset == pytest.approx(8_000, abs=400)


def test_silent_where_only_the_early_fakes_were_alike() -> None:
    assert alike(spreads(pieces((0, 0.2), (0.6, 0.9)))) == []


def test_a_d_that_answers_the_same_to_all_tells_nothing_of_fakes() -> None:
    assert alike(make_run({"out/fake_std": level(0.0), "out/real_std": level(0.0)})) == []


def test_a_d_that_dies_tells_what_it_saw_before() -> None:
    # Weights shrink until D is constant: from half of the run on both spreads are 0.
    dies = pieces((0, 2.0), (0.5, 0.0))
    run = make_run({"out/fake_std": lambda t: dies(t) * np.where(t < 0.1, 0.9, 1e-4), "out/real_std": dies})
    assert one_finding(alike(run)).stretch.onset == pytest.approx(2_000, abs=100)
    assert alike(make_run({"out/fake_std": lambda t: 0.9 * dies(t), "out/real_std": dies})) == []


def test_a_spread_counted_in_other_steps_is_judged_over_its_own() -> None:
    run = spreads(jump(0.9, 0.1, at=0.5))
    run.series.update(make_run({"loss_D": level(1.0)}, points=8_000).series)
    assert one_finding(alike(run)).stretch.onset == pytest.approx(10_000, abs=100)


def test_spreads_that_never_meet_tell_nothing() -> None:
    run = spreads(0.3)
    first, later = (
        run.series["out/real_std"].take(slice(0, 150)),
        run.series["out/fake_std"].take(slice(200, None)),
    )
    run.series.update({"out/real_std": first, "out/fake_std": later})
    assert alike(run) == []


# --- diversity and recall by their own best


@pytest.mark.parametrize(("late", "fires"), [(0.45, 0), (0.35, 1)])  # half of 0.8
def test_diversity_at_half_of_its_best(late: float, fires: int) -> None:
    assert len(collapsed(evaluated("diversity", *[0.8] * 6, *[late] * 6))) == fires


@pytest.mark.parametrize(("late", "fires"), [(0.50, 0), (0.40, 1)])  # three quarters of 0.6
def test_recall_at_three_quarters_of_its_best(late: float, fires: int) -> None:
    assert len(recall(evaluated("recall", *[0.6] * 6, *[late] * 6))) == fires


def test_ms_ssim_counts_upside_down() -> None:
    finding = one_finding(collapsed(evaluated("ms_ssim", *[0.2] * 6, *[0.9] * 6)))
    # 1 - 0.2 = 0.8 at best, 1 - 0.9 = 0.1 at last.
    assert measured(finding) == pytest.approx({"last / best of the run": 0.125})
    assert collapsed(evaluated("ms_ssim", *[0.9] * 6, *[0.2] * 6)) == []


def test_onset_is_the_fall_that_holds() -> None:
    finding = one_finding(
        collapsed(evaluated("diversity", *[0.8] * 4, 0.2, 0.2, 0.2, *[0.7] * 6, *[0.2] * 6))
    )
    # The fall at 25,000 recovered; the one that held came with the fourteenth measure.
    assert finding.stretch.onset == 14 * 5_000
    assert finding.stretch.onset_interval == (13 * 5_000, 14 * 5_000)


def test_one_bad_measure_is_no_fall() -> None:
    assert collapsed(evaluated("diversity", *[0.8] * 8, 0.1, *[0.8] * 3)) == []
    assert recall(evaluated("recall", *[0.6] * 11, 0.1)) == []


def test_other_metrics_are_no_variety() -> None:
    assert recall(evaluated("precision", *[0.9] * 6, *[0.1] * 6)) == []


def test_six_measures_are_the_least() -> None:
    assert refusal(collapsed(evaluated("diversity", 0.8, 0.8, 0.1, 0.1, 0.1))) == (
        "too-short",
        "too-few-points",
        "",
    )
    assert refusal(recall(make_run({"loss_D": level(1.0)}))) == (
        "not-examinable",
        "missing-signal",
        "quality-metric",
    )
