from __future__ import annotations

import numpy as np
import pytest

from gandoctor.detectors.oscillation import gradients_burst, losses_cycle
from gandoctor.findings import Severity
from gandoctor.run import Run, Values
from tests.runs import game, hears, jump, level, logged, make_run, measured, noisy, one_finding, ramp, refusal

bursts, cycles = hears(gradients_burst), hears(losses_cycle)
HALVES = ("loss_D_real", "loss_D_fake", "loss_G")


def bursting(height: float, share: float = 0.2, points: int = 400) -> Run:
    """Calm stretches of a gradient norm, and bursts."""
    calm = np.exp(np.random.default_rng(0).normal(0, 0.2, points))
    calm[np.arange(points) % 40 < 40 * share] *= height
    return make_run({"grad_norm_G": calm})


def turning(
    lag: float, size: float = 0.8, turns: int = 12, points: int = 800, noise: float = 0.0, seed: int = 0
) -> Run:
    """D's outputs go round, those on fakes `lag` of a turn behind those on reals."""
    wander = noise * np.random.default_rng(seed + 1).normal(size=(2, points))

    def real(t: Values) -> Values:
        return 0.5 + size * np.sin(2 * np.pi * turns * t) + wander[0]

    def fake(t: Values) -> Values:
        return -0.5 + size * np.sin(2 * np.pi * (turns * t - lag)) + wander[1]

    return logged(game("non-saturating", real, fake, points=points, seed=seed), *HALVES)


def red(seed: int, rho: float = 0.95, points: int = 800) -> Values:
    """An AR(1) process around 0: what GAN losses look like."""
    shocks = np.random.default_rng(seed).normal(0, np.sqrt(1 - rho**2), points)
    for i in range(1, points):
        shocks[i] += rho * shocks[i - 1]
    return shocks


FIRES = {"gradients_burst": bursting(8.0), "losses_cycle": turning(0.25)}
SILENT = {
    "gradients_burst": make_run({"grad_norm_G": noisy(level(3.0), 0.4)}),
    "losses_cycle": logged(game("non-saturating", 0.5, -0.5, points=800), *HALVES),
}


# --- bursts of G's gradient


@pytest.mark.parametrize(("height", "fires"), [(3.2, 0), (5.5, 1)])
def test_p95_over_p50_decides(height: float, fires: int) -> None:
    said = bursts(bursting(height))
    assert len(said) == fires
    for finding in said:
        assert finding.severity is Severity.WARNING
        # The bursts hold the highest fifth; their own scatter of 0.2 lies on top of them.
        assert measured(finding)["p95 / p50 of G's gradient norm"] == pytest.approx(1.1 * height, rel=0.15)
        assert finding.stretch.onset == pytest.approx(0.6 * 20_000, abs=100)


def test_silent_on_early_bursts() -> None:
    run = bursting(8.0)
    calm = np.exp(np.random.default_rng(0).normal(0, 0.2, 400))
    values = np.where(np.arange(400) < 240, run.series["grad_norm_G"].values, calm)
    assert bursts(make_run({"grad_norm_G": values})) == []


def test_silent_on_a_norm_that_changed_its_level_once() -> None:
    assert bursts(make_run({"grad_norm_G": noisy(jump(8.0, 1.0, at=0.5), 0.3)})) == []


def test_gradients_are_asked_for() -> None:
    assert refusal(bursts(make_run({"loss_D": level(1.0)}))) == (
        "not-examinable",
        "missing-signal",
        "g-grad-norm",
    )


# --- a period of both losses


@pytest.mark.parametrize("seed", range(8))
def test_silent_on_red_noise(seed: int) -> None:
    d, g = np.exp(0.3 * red(seed)), 1.3 * np.exp(0.3 * red(seed + 100))
    assert cycles(make_run({"loss_D": d, "loss_G": g})) == []


@pytest.mark.parametrize("seed", range(4))
def test_silent_on_outputs_that_wander(seed: int) -> None:
    played = game("non-saturating", lambda t: 0.5 + red(seed), lambda t: -0.5 + red(seed + 50), points=800)
    assert cycles(logged(played, *HALVES)) == []


def test_silent_on_a_learning_rate_cycle_that_moves_both_at_once() -> None:
    wave = 1 + 0.4 * np.sin(2 * np.pi * 12 * np.linspace(0, 1, 800))
    rng = np.random.default_rng(0)
    run = make_run(
        {
            "loss_D": 0.8 * wave * np.exp(rng.normal(0, 0.05, 800)),
            "loss_G": 1.2 * wave * np.exp(rng.normal(0, 0.05, 800)),
        }
    )
    assert cycles(run) == []


def test_silent_on_counter_phase() -> None:
    # Only the outputs on fakes go round: the losses are functions of the same outputs.
    played = game("non-saturating", 0.5, lambda t: -0.5 + 0.8 * np.sin(24 * np.pi * t), points=800)
    assert cycles(logged(played, *HALVES)) == []


@pytest.mark.parametrize("turns", [8, 20])
def test_the_period_is_found(turns: int) -> None:
    finding = one_finding(cycles(turning(0.25, turns=turns)))
    assert finding.severity is Severity.WARNING
    assert finding.params["period"] == pytest.approx(800 * 50 / turns, rel=0.06)
    assert measured(finding)["peak of the losses' common spectrum over red noise"] > 12


def test_a_faint_period_in_the_noise_of_batches_is_none() -> None:
    assert cycles(turning(0.25, size=0.02)) == []


def test_a_trend_is_no_period() -> None:
    assert cycles(logged(game("non-saturating", ramp(0, 3), ramp(0, -3), points=800), *HALVES)) == []


def test_120_points_are_the_least() -> None:
    run = make_run({"loss_D": level(1.0), "loss_G": level(1.0)}, points=119)
    assert refusal(cycles(run)) == ("too-short", "too-few-points", "")
