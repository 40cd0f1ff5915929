from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gandoctor.detectors.stillness import (
    d_stands,
    g_stands,
    never_joined,
    never_led,
    outputs_stand,
    stands_still,
)
from gandoctor.findings import Severity
from gandoctor.interpret.families import FAMILIES, Form, Scale
from gandoctor.run import Run, Values
from gandoctor.thresholds import limits
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
    view_of,
)

still = hears(stands_still)
unled, unjoined, outputs = hears(never_led), hears(never_joined), hears(outputs_stand)
d_moves, g_moves = hears(d_stands), hears(g_stands)

CHANCE = 2 * np.log(2)
HALVES = ("loss_D_real", "loss_D_fake", "loss_G")
OUTPUTS = ("out/real", "out/fake", "out/real_std", "out/fake_std")


def dies(at: float = 0.5, until: float = 2.0, before: tuple[float, float] = (5.0, -6.0)) -> dict[str, Values]:
    """A game whose D answers 0 whatever it sees from `at` on: exact constants."""
    real, fake = (pieces((0, mean), (at, 0.0), (until, mean)) for mean in before)
    t = np.linspace(0, 1, 400)
    living, dead = game("non-saturating", real, fake), game("non-saturating", 0.0, 0.0, spread=0.0)
    return {tag: np.where((t >= at) & (t < until), dead[tag], living[tag]) for tag in living}


def fading(start: float) -> Run:
    """A D that leads by `start` at first and then stands at chance, with the jitter of its small spread."""
    real, fake = pieces((0, start), (0.15, 0.0)), pieces((0, -start), (0.15, 0.0))
    return logged(game("non-saturating", real, fake, spread=0.05), *HALVES)


def carried(run: Run) -> Run:
    """The same run with a content loss, which carries G."""
    points = len(run.series["loss_G"])
    run.series |= make_run({"loss_G_L1": noisy(ramp(0.5, 0.2), 0.05)}, points=points).series
    return run


def outputs_of(
    family: str = "wgan", real: Shape | float = 1.0, fake: Shape | float = 0.3, **options: object
) -> Run:
    """A run that logs D's outputs: of fixed networks where the means and spreads are constant."""
    points = options.get("points", 400)
    settings = options.pop("settings", None)
    played = game(family, real, fake, **options)  # type: ignore[arg-type]
    return logged(played, "loss_D", "loss_G", *OUTPUTS, points=points, settings=settings)


def norms(ratio: Shape | float, network: str = "G") -> Run:
    shape = ratio if callable(ratio) else level(ratio)
    return make_run({f"step_norm/{network}": lambda t: 20 * shape(t), f"weight_norm/{network}": level(20.0)})


FIRES = {
    "stands_still": logged(dies(), *HALVES),
    "never_led": fading(0.0),
    "never_joined": carried(fading(0.0)),
    "outputs_stand": outputs_of(),
    "g_stands": norms(1e-7),
    "d_stands": norms(1e-7, "D"),
}
SILENT = {
    "stands_still": logged(game("non-saturating", 0.0, 0.0, spread=0.3), *HALVES),
    "never_led": fading(1.0),
    "never_joined": carried(fading(1.0)),
    "outputs_stand": outputs_of(real=ramp(0.0, 1.0), fake=ramp(0.0, -1.0)),
    "g_stands": norms(1e-3),
    "d_stands": norms(1e-3, "D"),
}


# --- a D loss that stands


@pytest.mark.parametrize("family", ["non-saturating", "lsgan", "hinge"])
def test_silent_on_a_live_game_at_equilibrium(family: str) -> None:
    middle = 0.5 if family == "lsgan" else 0.0
    run = logged(game(family, middle, middle, spread=0.2), *HALVES)
    assert still(run, family=family) == []


def test_silent_on_an_equilibrium_of_little_jitter_that_was_never_won() -> None:
    run = logged(game("non-saturating", 0.05, -0.05, spread=0.05), *HALVES)
    assert still(run) == []


def test_silent_on_a_perfect_d_printed_with_few_digits() -> None:
    run = make_run({"loss_D": pieces((0, noisy(level(0.5), 0.2)), (0.3, 0.0002)), "loss_G": ramp(1, 9)})
    assert still(run) == []


def test_d_won_then_died_is_an_error_from_the_death_on() -> None:
    finding = one_finding(still(logged(dies(0.5), *HALVES)))
    assert (finding.severity, finding.overwhelming) == (Severity.ERROR, True)
    assert abs(finding.stretch.onset - 10_000) <= 9 * 50
    earliest, latest = finding.stretch.onset_interval
    assert earliest <= 10_000 <= latest
    assert finding.stretch.end is None
    assert finding.params["level"] == pytest.approx(CHANCE)
    assert measured(finding) == pytest.approx(
        {"half range of D's loss / equilibrium": 0.0, "share of steps without a game": 0.55}, abs=0.02
    )


def test_a_death_that_ended_is_a_warning_with_its_end() -> None:
    finding = one_finding(still(logged(dies(0.3, until=0.7), *HALVES)))
    assert finding.severity is Severity.WARNING
    assert finding.stretch.end is not None
    assert abs(finding.stretch.end - 14_000) <= 9 * 50


def test_constants_off_chance_are_a_warning() -> None:
    # A leak of D's loss into G: L_D stands at log(3) / 2 in half form.
    rng = np.random.default_rng(0)
    frozen = {"loss_D": 0.5493 + 1e-5 * rng.normal(size=400), "loss_G": level(0.4055)}
    finding = one_finding(still(make_run(frozen)))
    assert finding.severity is Severity.WARNING
    assert finding.params["level"] == pytest.approx(0.5493, abs=1e-4)


@pytest.mark.parametrize(("sigma", "fires"), [(0.0004, 1), (0.002, 0)])
def test_jitter_of_a_thousandth_of_the_equilibrium_decides(sigma: float, fires: int) -> None:
    # The half range (5 to 95%) of nine normal values is about 1.3 sigma.
    values = 0.9 + CHANCE * sigma * np.random.default_rng(0).normal(size=400)
    run = make_run({"loss_D": values, "loss_G": noisy(level(1.0), 0.1)})
    assert len(still(run)) == fires


@pytest.mark.parametrize(
    ("at", "fires"), [(0.8, 0), (0.6, 1)]
)  # of the nine tenths after warm-up: 0.22, 0.44
def test_it_must_stand_for_a_third_of_the_run(at: float, fires: int) -> None:
    assert len(still(logged(dies(at), *HALVES))) == fires


@pytest.mark.parametrize(("end", "severity"), [(20.0, Severity.ERROR), (31.0, Severity.WARNING)])
def test_a_metric_that_falls_with_it_makes_it_an_error(end: float, severity: Severity) -> None:
    t = np.linspace(0, 1, 400)
    linear = {  # SRGAN's D: L_D = 1 - D(x) + D(G(z)), both scores run together to 1
        "Loss_D": np.where(t < 0.3, 0.6 + 0.05 * np.sin(97 * t), 1.0),
        "Loss_G": noisy(level(0.006), 0.1)(t),
        "Score_D": np.where(t < 0.3, 0.7 + 0.05 * np.sin(31 * t), 1.0),
        "PSNR": np.interp(t, [0, 0.3, 1], [20, 30, end]),
    }
    linear["Score_G"] = linear["Loss_D"] - 1 + linear["Score_D"]
    finding = one_finding(still(make_run(linear)))
    assert finding.severity is severity
    kinds = {evidence.kind for evidence in finding.evidence}
    assert (len(kinds) == 2) is (severity is Severity.ERROR)


def test_before_the_adversarial_part_runs_there_is_nothing_to_judge() -> None:
    run = make_run({"loss_D": level(0.0), "loss_G": level(0.0)})
    assert refusal(still(run)) == ("not-examinable", "adversarial-part-not-run", "")


def test_the_part_before_d_starts_is_no_standstill() -> None:
    played = game("non-saturating", 1.0, -1.0)
    late = {tag: np.where(np.arange(400) < 200, 0.0, played[tag]) for tag in ("loss_D", "loss_G")}
    assert still(make_run(late)) == []


def test_a_critic_has_no_chance_level_and_asks_for_step_norms() -> None:
    critic = logged(game("wgan", ramp(1, 5), ramp(-1, -5)))
    assert refusal(still(critic)) == ("not-examinable", "no-equilibrium", "d-step-norm")
    assert refusal(unled(critic)) == ("not-examinable", "no-equilibrium", "d-step-norm")


def test_a_d_near_0_that_tells_reals_from_fakes_is_no_constant() -> None:
    # As under a huge R1 weight: D's loss jitters by 2e-4 of its equilibrium, always a little below it.
    weak = logged(game("non-saturating", 0.002, -0.002, spread=0.004), *HALVES)
    blind = logged(game("non-saturating", 0.0, 0.0, spread=0.004), *HALVES)
    assert [len(still(weak)), len(still(blind))] == [0, 1]


# --- a D that never led


@pytest.mark.parametrize(("start", "fires"), [(0.0, 1), (0.038, 1), (0.048, 0), (1.0, 0)])
def test_every_live_d_gets_ahead_at_the_start(start: float, fires: int) -> None:
    # Outputs s and -s: a lead of s / (2 log 2), 0.0274 and 0.0346 on both sides of the 0.03.
    assert len(unled(fading(start))) == fires


def test_a_d_at_chance_that_moves_is_a_false_equilibrium_and_one_that_does_not_is_no_game() -> None:
    blinded, dead = fading(0.0), logged(game("non-saturating", 0.0, 0.0, spread=0.0), *HALVES)
    assert [one.code for run in (blinded, dead) for one in (*unled(run), *still(run))] == ["GD104", "GD204"]
    assert one_finding(unled(blinded)).params["check"] == "false-equilibrium"


def test_beside_a_content_loss_a_d_at_chance_has_no_part_in_the_game() -> None:
    run = carried(fading(0.0))
    assert unled(run) == []
    finding = one_finding(unjoined(run))
    assert (finding.code, finding.severity) == ("GD204", Severity.WARNING)
    assert unjoined(fading(0.0)) == []


def test_a_run_that_continues_another_may_have_converged_before() -> None:
    run = fading(0.0)
    late = make_run({tag: one.values for tag, one in run.series.items()})
    for tag, one in late.series.items():
        run.series[tag] = type(one)(tag, one.steps + 2_000, one.values, one.order, one.source)
    assert unled(run) == []


def test_an_unsure_family_must_have_never_led_on_any_of_its_scales() -> None:
    # L_D at 1.0: the middle of two summed least-squares discriminators, but a lead of a half for hinge.
    view = view_of(make_run({"loss_D": noisy(level(1.0), 0.002), "loss_G": noisy(level(0.8), 0.05)}))
    sure, other = Form(FAMILIES["lsgan"], 2.0, 2.0, 0.6), Form(FAMILIES["hinge"], 1.0, 1.0, 0.4)
    found = []
    for forms in ((sure,), (sure, other)):
        view.__dict__["game"] = replace(view.game, scale=Scale(forms))
        found.append(len(list(never_led(view, limits("GD104")))))
    assert found == [1, 0]


def test_evidence_of_a_d_that_never_led() -> None:
    finding = one_finding(unled(fading(0.0)))
    assert (finding.severity, finding.stretch.onset, finding.stretch.end) == (Severity.WARNING, 50, None)
    assert measured(finding)["|median lead of D|"] < 0.005
    assert measured(finding)["largest lead of D in any block"] < 0.03


def test_26_points_are_the_least() -> None:
    assert refusal(unled(make_run({"loss_D": level(1.386)}, points=25))) == (
        "too-short",
        "too-few-points",
        "",
    )


# --- outputs that are nothing but the noise of batches


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("batch", [32, 64, 256])
@pytest.mark.parametrize("family", ["non-saturating", "lsgan", "hinge", "wgan"])
def test_fixed_networks_show_the_noise_of_batches_in_every_family(family: str, batch: int, seed: int) -> None:
    finding = one_finding(outputs(outputs_of(family, batch=batch, seed=seed)))
    assert (finding.severity, finding.stretch.onset, finding.stretch.end) == (Severity.WARNING, 50, None)
    assert measured(finding)["scatter of D's mean output / its spread in a batch"] == pytest.approx(
        batch**-0.5, rel=0.2
    )


def drifting(sigma: float, memory: float, seed: int = 0) -> Shape:
    """A mean output that wanders around 0 by `sigma`, with lag-1 autocorrelation `memory`."""

    def values(t: Values) -> Values:
        rng = np.random.default_rng(seed)
        made = [float(rng.normal())]
        for step in rng.normal(size=len(t) - 1) * np.sqrt(1 - memory**2):
            made.append(memory * made[-1] + float(step))
        return sigma * np.array(made)

    return values


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("sigma", "memory"), [(0.3, 0.0), (0.15, 0.95), (1.0, 0.5)])
def test_a_live_game_at_equilibrium_drifts_or_scatters(sigma: float, memory: float, seed: int) -> None:
    # Logged seldom it has no memory but scatters; logged often it drifts.
    move = drifting(sigma, memory, seed)
    assert outputs(outputs_of("non-saturating", real=move, fake=move, seed=seed)) == []


def test_a_g_that_moves_is_a_game() -> None:
    assert outputs(outputs_of(fake=ramp(0.3, 1.0))) == []


def test_a_spread_that_changes_is_a_game() -> None:
    run = outputs_of()
    run.series["out/fake_std"].values[:] *= np.linspace(1, 0.3, 400)
    assert outputs(run) == []


@pytest.mark.parametrize(("at", "fires"), [(0.12, 1), (0.3, 0)])
def test_a_standstill_is_judged_where_it_begins_early(at: float, fires: int) -> None:
    # Later it may be the end of a schedule.
    run = outputs_of(real=pieces((0, ramp(-3, 1 / at)), (at, 1.0)), fake=pieces((0, ramp(2, -3)), (at, 0.3)))
    said = outputs(run)
    assert len(said) == fires
    for finding in said:
        earliest, latest = finding.stretch.onset_interval
        assert earliest <= at * 20_000 + 400
        assert latest >= at * 20_000 - 400


def test_a_batch_size_that_is_known_bounds_the_noise() -> None:
    # Outputs scatter as those of batches of 32: too much for 128.
    assert len(outputs(outputs_of(batch=32, settings={"batch_size": 32}))) == 1
    assert outputs(outputs_of(batch=32, settings={"batch_size": 128})) == []


def test_outputs_of_few_digits_do_not_show_the_noise_of_batches() -> None:
    run = outputs_of()
    for tag in OUTPUTS:
        run.series[tag].values[:] = np.round(run.series[tag].values, 1)
    assert outputs(run) == []


def test_batches_of_one_have_no_spread_to_measure_by() -> None:
    assert outputs(outputs_of(batch=1)) == []


# --- step and weight norms


@pytest.mark.parametrize(("ratio", "fires"), [(8e-6, 1), (1.2e-5, 0)])
@pytest.mark.parametrize("network", ["G", "D"])
def test_steps_of_a_hundred_thousandth_of_the_weights(network: str, ratio: float, fires: int) -> None:
    said = (g_moves if network == "G" else d_moves)(norms(noisy(level(ratio), 0.05), network))
    assert len(said) == fires
    for finding in said:
        assert (finding.severity, finding.overwhelming) == (Severity.ERROR, True)
        assert measured(finding)["median step / weight norm"] == pytest.approx(ratio, rel=0.02)
        assert finding.subject.network == network


@pytest.mark.parametrize(
    "shape", [jump(1e-3, 1e-7, at=0.2), jump(1e-7, 1e-3, at=0.8), noisy(ramp(1e-3, 1e-4), 0.3)]
)
def test_only_what_stands_from_the_first_step_to_the_last(shape: Shape) -> None:
    assert g_moves(norms(shape)) == []


def test_norms_are_asked_for() -> None:
    assert refusal(g_moves(make_run({"step_norm/G": level(1.0)}))) == (
        "not-examinable",
        "missing-signal",
        "g-weight-norm",
    )
    assert refusal(d_moves(make_run({"loss_D": level(1.0)}))) == (
        "not-examinable",
        "missing-signal",
        "d-step-norm",
    )
