from __future__ import annotations

import numpy as np
import pytest

from gandoctor.detectors import all_detectors, run_detector
from gandoctor.detectors.penalty import (
    critic_without_bound,
    penalty_dominates,
    saved_weight_out_of_the_usual,
    weight_out_of_the_usual,
)
from gandoctor.findings import Kind, Severity
from gandoctor.interpret.view import views_of
from gandoctor.run import Run
from tests.checkpoints import healthy, saved
from tests.runs import (
    Said,
    Shape,
    game,
    hears,
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

unbound, dominates = hears(critic_without_bound), hears(penalty_dominates)
heavy = hears(weight_out_of_the_usual)


def critic(penalty: Shape | None = None, **settings: float | str | bool) -> Run:
    """A critic, perhaps with a logged penalty beside its loss."""
    run = logged(game("wgan", ramp(0.5, 4), ramp(-0.5, -4)), settings={"gan_mode": "wgan-gp", **settings})
    if penalty is not None:
        run.series.update(make_run({"gradient_penalty": penalty}).series)
    return run


def penalised(penalty: Shape, **settings: float) -> Run:
    """A cross-entropy game near 1.2 with R1."""
    run = logged(
        game("non-saturating", 0.3, -0.3), "loss_D_real", "loss_D_fake", "loss_G", settings=dict(settings)
    )
    run.series.update(make_run({"r1_penalty": penalty}).series)
    return run


FIRES = {
    "critic_without_bound": critic(lambda_gp=0.0),
    "penalty_dominates": penalised(noisy(level(5.0), 0.2), r1_gamma=1000.0),
    "saved_weight_out_of_the_usual": saved(healthy(1), lambda_gp=1000.0),
    "weight_out_of_the_usual": critic(lambda_gp=1000.0),
}
SILENT = {
    "saved_weight_out_of_the_usual": saved(healthy(1), lambda_gp=10.0),
    "critic_without_bound": critic(noisy(level(0.1), 0.5), lambda_gp=10.0),
    "penalty_dominates": penalised(noisy(level(0.05), 0.5), r1_gamma=1.0),
    "weight_out_of_the_usual": critic(lambda_gp=10.0),
}


# --- a critic without bound


def test_silent_where_something_else_bounds_the_critic() -> None:
    assert unbound(critic(lambda_gp=0.0, clip_value=0.01)) == []
    assert unbound(critic(lambda_gp=0.0, spectral_norm=True)) == []


def test_families_that_need_no_penalty_are_not_for_it() -> None:
    said = unbound(logged(game("hinge", 0.5, -0.5), settings={"gan_mode": "hinge", "r1_gamma": 0.0}))
    assert refusal(said) == ("not-examinable", "other-family", "")


def test_a_penalty_weight_of_0_is_a_warning_from_the_start() -> None:
    finding = one_finding(unbound(critic(lambda_gp=0.0)))
    assert (finding.severity, finding.stretch.onset, finding.stretch.end) == (Severity.WARNING, 50, None)
    assert [evidence.kind for evidence in finding.evidence] == [Kind.CONFIGURATION]


@pytest.mark.parametrize(("largest", "fires"), [(0.0, 1), (1e-9, 1), (1e-6, 0)])
def test_a_logged_penalty_that_is_always_0(largest: float, fires: int) -> None:
    said = unbound(critic(level(largest)))
    assert [measured(finding) for finding in said] == [{"largest penalty": pytest.approx(largest)}] * fires


def test_a_penalty_taken_every_16_steps_is_none_of_0() -> None:
    assert unbound(critic(lambda t: np.where(np.arange(len(t)) % 16 == 0, 0.3, 0.0))) == []


def test_neither_weight_nor_penalty_is_known() -> None:
    assert refusal(unbound(critic())) == ("not-examinable", "missing-signal", "penalty")


# --- a penalty that is nearly all


def test_silent_on_the_transient_at_the_start() -> None:
    assert dominates(penalised(pieces((0, 10.0), (0.3, 0.05)), r1_gamma=1000.0)) == []


def test_silent_on_a_small_penalty_beside_a_small_loss() -> None:
    # A critic near equilibrium: loss 0.1, penalty 0.5, both below 1.
    run = logged(game("wgan", 0.05, -0.05, spread=0.1))
    run.series.update(make_run({"gradient_penalty": noisy(level(0.5), 0.2)}).series)
    assert dominates(run, family="wgan-gp") == []


@pytest.mark.parametrize(("penalty", "fires"), [(1.2, 0), (1.6, 1)])  # the equilibrium is 1.386
def test_it_must_outweigh_the_equilibrium(penalty: float, fires: int) -> None:
    said = dominates(penalised(noisy(level(penalty), 0.02), r1_gamma=1000.0))
    assert len(said) == fires
    for finding in said:
        assert measured(finding) == pytest.approx({"penalty / size of D's loss": penalty / 1.386}, rel=0.02)


@pytest.mark.parametrize(
    ("settings", "severity"),
    [({"r1_gamma": 60.0}, Severity.WARNING), ({"r1_gamma": 40.0}, Severity.INFO), ({}, Severity.INFO)],
)
def test_only_a_weight_out_of_the_usual_is_an_illness(settings: dict[str, float], severity: Severity) -> None:
    assert one_finding(dominates(penalised(noisy(level(5.0), 0.2), **settings))).severity is severity


def test_penalties_are_asked_for() -> None:
    assert refusal(dominates(make_run({"loss_D": level(1.0)}))) == (
        "not-examinable",
        "missing-signal",
        "penalty",
    )


# --- a weight of the configuration


@pytest.mark.parametrize(("weight", "fires"), [(0.1, 0), (10.0, 0), (50.0, 0), (90.0, 0), (110.0, 1)])
def test_ten_times_the_published_weights(weight: float, fires: int) -> None:
    said = heavy(critic(lambda_gp=weight))
    assert [measured(finding) for finding in said] == [
        {"penalty_weight (config.json: lambda_gp)": weight}
    ] * fires


def test_a_weight_is_asked_for() -> None:
    assert refusal(heavy(make_run({"loss_D": level(1.0)}))) == ("not-examinable", "missing-signal", "penalty")


def test_a_lone_checkpoint_tells_its_weight() -> None:
    def lone(**args: object) -> Said:
        run = saved({5_000: {**healthy(1)[4_000], "args": args}})
        [view] = views_of(run, inside=True)
        [which] = [one for one in all_detectors() if one.detect is saved_weight_out_of_the_usual]
        return list(run_detector(which, view))

    assert measured(one_finding(lone(lambda_gp=500.0))) == {
        "penalty_weight (checkpoint_005000.pt: lambda_gp)": 500
    }
    assert one_finding(lone(lambda_gp=0.0, gan_mode="wgangp")).severity is Severity.WARNING
    assert lone(lambda_gp=10.0, gan_mode="wgangp") == []
    assert lone(lambda_gp=0.0, gan_mode="hinge") == []
    assert lone(lambda_gp=0.0, gan_mode="wgan", clip_value=0.01) == []
    assert refusal(lone(gan_mode="wgan")) == ("not-examinable", "missing-signal", "penalty")
