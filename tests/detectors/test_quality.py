from __future__ import annotations

import numpy as np
import pytest

from gandoctor.detectors.quality import g_hardly_moves, metric_is_broken, no_progress, turns_worse
from gandoctor.findings import Kind, Severity
from gandoctor.run import Run
from tests.runs import Shape, hears, jump, level, make_run, measured, noisy, one_finding, ramp, refusal

broken, worse, flat, slow = (
    hears(metric_is_broken),
    hears(turns_worse),
    hears(no_progress),
    hears(g_hardly_moves),
)


def evaluated(tag: str, *values: float) -> Run:
    """A metric taken every 5,000 steps."""
    return make_run({tag: np.array(values)}, every=5_000)


def bouncing(*values: float, sigma: float = 0.05) -> list[float]:
    """Values as evaluations scatter."""
    return list(np.array(values) * np.exp(np.random.default_rng(0).normal(0, sigma, len(values))))


def steps_of(ratio: Shape | float) -> Run:
    shape = ratio if callable(ratio) else level(ratio)
    return make_run({"step_norm/G": noisy(lambda t: 30 * shape(t), 0.2), "weight_norm/G": level(30.0)})


FALLING = bouncing(*np.geomspace(300, 20, 20))
FIRES = {
    "metric_is_broken": evaluated("fid", *[1e57] * 5, *FALLING[:10]),
    "turns_worse": evaluated("fid", *bouncing(*np.geomspace(300, 20, 10), *np.geomspace(25, 200, 10))),
    "no_progress": evaluated("fid", *bouncing(*[250.0] * 20, sigma=0.02)),
    "g_hardly_moves": steps_of(jump(3e-3, 1e-4, at=0.4)),
}
SILENT = {
    "metric_is_broken": evaluated("fid", *FALLING),
    "turns_worse": evaluated("fid", *FALLING),
    "no_progress": evaluated("fid", *bouncing(*np.geomspace(300, 20, 10), *[20.0] * 10)),
    "g_hardly_moves": steps_of(ramp(3e-3, 1.5e-4)),  # a learning rate that falls linearly to 5%
}


# --- GD505


@pytest.mark.parametrize("wrong", [1e57, float("inf"), float("nan"), -12.0])
def test_values_that_no_fid_can_have(wrong: float) -> None:
    finding = one_finding(broken(evaluated("fid", *FALLING[:10], *[wrong] * 5)))
    assert (finding.severity, finding.subject.tag) == (Severity.WARNING, "fid")
    assert (finding.stretch.onset, finding.stretch.end) == (11 * 5_000, None)
    assert finding.params["value"] == pytest.approx(wrong, nan_ok=True)
    assert measured(finding) == pytest.approx({"share of impossible values": 1 / 3})
    assert finding.evidence[0].kind is Kind.QUALITY


def test_a_metric_that_mended_has_an_end() -> None:
    finding = one_finding(broken(evaluated("fid", *[1e57] * 5, *FALLING[:10])))
    assert (finding.stretch.onset, finding.stretch.end) == (5_000, 25_000)


@pytest.mark.parametrize(("count", "fires"), [(2, 0), (4, 1)])  # of fifteen: 0.13, 0.27
def test_one_failed_evaluation_is_not_yet_a_broken_metric(count: int, fires: int) -> None:
    values = [float("nan")] * count + FALLING[: 15 - count]
    assert len(broken(evaluated("fid", *values))) == fires


def test_kid_and_nll_may_be_negative() -> None:
    assert broken(evaluated("kid", *bouncing(0.02, 0.01, -0.0004, 0.0002, -0.0003, -0.0001))) == []


@pytest.mark.parametrize(("count", "fires"), [(4, 0), (5, 1)])
def test_a_value_that_repeats_to_the_end_was_not_updated(count: int, fires: int) -> None:
    said = broken(evaluated("fid", *FALLING[:10], *[42.5] * count))
    assert len(said) == fires
    for finding in said:
        assert finding.stretch.onset == 11 * 5_000
        assert measured(finding) == {"missed updates: equal values to the end": 5.0}
        assert finding.params["value"] == 42.5


def test_a_log_that_repeats_the_last_value_in_every_line_is_whole() -> None:
    lines = np.repeat(FALLING, 40)
    assert broken(make_run({"fid": lines})) == []
    stuck = np.concatenate([lines, np.full(200, 42.5)])
    finding = one_finding(broken(make_run({"fid": stuck})))
    assert finding.stretch.onset == (len(lines) + 1) * 50
    assert measured(finding) == {"missed updates: equal values to the end": 5.0}


def test_a_metric_that_never_changed() -> None:
    finding = one_finding(broken(evaluated("fid", *[7.0] * 8)))
    assert (finding.stretch.onset, finding.params["value"]) == (5_000, 7.0)


def test_all_modes_found_may_well_repeat() -> None:
    assert broken(evaluated("modes", 3, 6, *[8.0] * 10)) == []


def test_each_broken_metric_is_named() -> None:
    run = evaluated("fid", *[1e57] * 6)
    run.series.update(evaluated("ppl", *[float("nan")] * 6).series)
    assert {one.subject.tag for one in broken(run)} == {"fid", "ppl"}  # type: ignore[union-attr]


def test_a_run_without_metrics_says_what_to_log() -> None:
    assert refusal(broken(make_run({"loss_D": level(1.0)}))) == (
        "not-examinable",
        "missing-signal",
        "quality-metric",
    )


# --- GD504


def test_silent_on_a_bounce() -> None:
    assert worse(evaluated("fid", *FALLING[:15], 60.0, *FALLING[15:])) == []
    assert worse(evaluated("fid", *bouncing(*np.geomspace(300, 20, 10), *[23.0] * 10))) == []


def test_silent_where_the_best_came_a_moment_ago() -> None:
    values = [*np.geomspace(300, 20, 20), 100.0, 150.0, 180.0]
    assert worse(evaluated("fid", *values)) == []


def test_the_best_is_dated_and_measured() -> None:
    values = [*np.linspace(300, 30, 10), *np.linspace(40, 220, 10)]
    finding = one_finding(worse(evaluated("fid", *values)))
    assert finding.severity is Severity.WARNING
    assert finding.params["best_step"] == finding.stretch.onset == 10 * 5_000
    assert finding.params["best"] == pytest.approx(40)  # the median of 60, 30 and 40
    assert finding.params["last"] == 220
    # Medians of three: from 270 down to 40 and back to 200.
    values_of = measured(finding)
    assert values_of["share of the gain lost since the best"] == pytest.approx(160 / 230)
    assert values_of["fall since the best / best"] == pytest.approx(4.0, rel=0.02)


def test_an_outlier_is_not_the_best() -> None:
    values = [*np.linspace(300, 30, 10), *np.linspace(40, 220, 10)]
    values[9] = 500.0  # one failed evaluation at the best moment
    assert one_finding(worse(evaluated("fid", *values))).params["best"] == pytest.approx(60)


@pytest.mark.parametrize(("late", "fires"), [(130.0, 0), (190.0, 1)])  # half of 300 - 30 lost at 165
def test_half_of_the_gain_must_be_lost(late: float, fires: int) -> None:
    values = [*np.linspace(300, 30, 8), *[30.0] * 3, *[late] * 9]
    assert len(worse(evaluated("fid", *values))) == fires


@pytest.mark.parametrize(("late", "fires"), [(10.9, 0), (11.2, 1)])
def test_a_small_fall_beside_the_level_is_none(late: float, fires: int) -> None:
    # The whole gain was 0.5: half of it is lost in both, but only 12% of the level matter.
    values = [10.5, *[10.0] * 6, *[late] * 9]
    assert len(worse(evaluated("fid", *values))) == fires


def test_higher_is_better_for_psnr() -> None:
    up_and_down = [*np.linspace(15, 30, 10), *np.linspace(29, 18, 10)]
    finding = one_finding(worse(evaluated("psnr", *up_and_down)))
    assert finding.stretch.onset == 10 * 5_000
    assert worse(evaluated("fid", *up_and_down[:10])) != []
    assert worse(evaluated("psnr", *up_and_down[:10])) == []


def test_a_broken_metric_is_not_believed() -> None:
    values = [*np.linspace(300, 30, 8), *[float("nan")] * 4, *np.linspace(40, 220, 8)]
    assert worse(evaluated("fid", *values)) != []  # 20% are lost, the rest is believed
    assert worse(evaluated("fid", *values, float("nan"))) == []


# --- GD104


@pytest.mark.parametrize(("end", "fires"), [(215.0, 1), (180.0, 0)])
def test_a_fifth_of_the_first_level_is_progress(end: float, fires: int) -> None:
    values = [*np.linspace(250, end, 8), *[end] * 12]
    assert len(flat(evaluated("fid", *values))) == fires


def test_silent_on_a_late_gain() -> None:
    assert flat(evaluated("fid", *[250.0] * 14, *np.linspace(250, 215, 6))) == []


def test_one_metric_that_moves_is_enough() -> None:
    run = evaluated("fid", *[250.0, 251.0] * 10)
    run.series.update(evaluated("kid", *np.linspace(0.3, 0.1, 20)).series)
    assert flat(run) == []


def test_scores_of_single_images_say_nothing_of_progress() -> None:
    said = refusal(flat(evaluated("psnr", *bouncing(*[24.0] * 20, sigma=0.01))))
    assert said == ("not-examinable", "missing-signal", "quality-metric")


def test_no_progress_is_dated_by_the_middle_of_the_run() -> None:
    finding = one_finding(flat(evaluated("fid", *bouncing(*[250.0] * 20, sigma=0.02))))
    assert (finding.severity, finding.stretch.end) == (Severity.WARNING, None)
    assert finding.stretch.onset == pytest.approx(50_000, abs=5_000)
    assert measured(finding)["largest gain of a metric / its first level"] < 0.1


@pytest.mark.parametrize(("ratio", "fires"), [(5e-4, 1), (8e-4, 0)])
def test_steps_too_small_to_go_anywhere(ratio: float, fires: int) -> None:
    said = slow(steps_of(ratio))
    assert len(said) == fires
    for finding in said:
        assert measured(finding) == pytest.approx({"median step / weight norm of G": ratio}, rel=0.05)


def test_steps_that_were_small_for_a_while_are_quiet() -> None:
    assert slow(steps_of(jump(1e-4, 3e-3, at=0.6))) == []


def test_ten_evaluations_are_the_least() -> None:
    assert refusal(flat(evaluated("fid", *[250.0] * 9))) == ("too-short", "too-few-points", "")
    assert refusal(slow(make_run({"step_norm/G": level(1.0)}))) == (
        "not-examinable",
        "missing-signal",
        "g-weight-norm",
    )
