from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gandoctor.detectors.divergence import d_diverges, d_spikes, g_diverges, g_spikes
from gandoctor.findings import Finding, Severity
from gandoctor.run import Run, Values
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

d_runs_away, g_runs_away = hears(d_diverges), hears(g_diverges)
d_peaks, g_peaks = hears(d_spikes), hears(g_spikes)


def swelling(rate: float, at: float = 0.5) -> Run:
    """D's and G's outputs grow with the weights: exp(rate · t) from `at` on, and D does not win."""
    rng, t = np.random.default_rng(0), np.linspace(0, 1, 400)[:, None]
    size = np.exp(rate * np.clip(t - at, 0, None))
    real, fake = size * rng.normal(0.5, 1, (400, 64)), size * rng.normal(-0.5, 1, (400, 64))
    halves = {"loss_D_real": np.logaddexp(0, -real), "loss_D_fake": np.logaddexp(0, fake)}
    return make_run({tag: x.mean(1) for tag, x in {**halves, "loss_G": np.logaddexp(0, -fake)}.items()})


def spiky(height: float, where: tuple[int, ...] = (150, 200, 201, 300), level_at: float = 0.6) -> Values:
    """A calm loss with isolated excursions to `height` times its level."""
    values = level_at * np.exp(np.random.default_rng(0).normal(0, 0.05, 400))
    values[list(where)] = height * level_at
    return values


def with_spikes(d: Values | Shape, g: Values | Shape) -> Run:
    return make_run({"loss_D": d, "loss_G": g})


CALM_D, CALM_G = noisy(level(0.9), 0.1), noisy(level(1.3), 0.1, seed=1)
FIRES = {
    "d_diverges": swelling(20),
    "g_diverges": swelling(20),
    "d_spikes": with_spikes(spiky(6), CALM_G),
    "g_spikes": with_spikes(CALM_D, spiky(8, level_at=1.3)),
}
SILENT = {
    "d_diverges": make_run({"loss_D": noisy(ramp(0.02, 1.2), 0.1), "loss_G": noisy(ramp(5, 1), 0.1)}),
    "g_diverges": logged(game("non-saturating", ramp(0.5, 5.5), ramp(-0.5, -9.5))),
    "d_spikes": with_spikes(noisy(level(0.5), 1.0), noisy(level(1.5), 1.0, seed=1)),
    "g_spikes": with_spikes(noisy(level(0.5), 1.0), noisy(level(1.5), 1.0, seed=1)),
}


# --- GD101


def test_silent_on_a_d_that_g_catches_up_with() -> None:
    recovery = lambda t: 0.005 + 2.2 * np.clip(t - 0.5, 0, None)  # noqa: E731
    run = make_run({"loss_D": noisy(recovery, 0.1), "loss_G": noisy(ramp(7, 1), 0.1)})
    assert d_runs_away(run) == []


def test_silent_on_a_hinge_g_whose_level_drifts() -> None:
    drift = 0.03 * np.random.default_rng(0).normal(size=400) + 3 * np.clip(
        np.linspace(-0.5, 0.5, 400), 0, None
    )
    run = make_run({"loss_D": noisy(level(1.6), 0.05), "loss_G": drift})
    assert g_runs_away(run) == []


@pytest.mark.parametrize(
    ("first", "late", "fires"),
    [
        ([2.0, 500, 1_000], 2_000, 1),  # exploded after the first step
        ([4e8, 3e7, 1e6], 5_000, 1),  # first weights far too large
        ([6_000, 5_000, 4_000], 2_000, 0),  # a sum over an epoch
        ([2.0, 500, 1_000], -2_000, 0),  # a critic
    ],
)
def test_a_loss_that_no_family_has_is_held_against_the_largest_equilibrium(
    first: list[float], late: float, fires: int
) -> None:
    rng = np.random.default_rng(0)
    d = np.concatenate([first, late * np.exp(rng.normal(0, 0.3, 397))])
    g = np.concatenate([first, -3 * late * np.abs(rng.normal(0, 1, 397))])
    said = d_runs_away(make_run({"D_real": 0.3 * d, "D_fake": 0.7 * d, "loss_G": g}))
    assert len([one for one in said if isinstance(one, Finding)]) == fires


def test_silent_on_a_critic_that_starts_large_and_shrinks() -> None:
    t = np.linspace(0, 1, 400)
    distance = 30 * np.exp(-6 * t) + 1
    run = logged(game("wgan", lambda _: distance, lambda _: -distance, spread=2.0))
    assert d_runs_away(run) == []
    assert g_runs_away(run) == []


def test_silent_on_a_critic_whose_outputs_drift_together() -> None:
    drift = lambda t: 12 * np.sin(3 * np.pi * (t - 0.25))  # noqa: E731
    run = logged(game("wgan", lambda t: 3 + drift(t), drift, spread=1.0))
    assert g_runs_away(run) == []


def test_silent_on_the_penaltys_transient_at_the_start() -> None:
    t = np.linspace(0, 1, 400)
    run = make_run(
        {"loss_D": 300 * np.exp(-80 * t) - 2 + 0.3 * np.sin(50 * t), "loss_G": 0.5 * np.sin(40 * t)}
    )
    assert d_runs_away(run) == []


# A normal output of width s and mean s/2 costs D 0.396 s (both halves) and G 0.698 s. Ten units: D's 13.9 at
# exp(20 (t - 0.5)) = 35, G's 10.7 at 15.3.
@pytest.mark.parametrize(("runs_away", "at"), [(d_runs_away, 0.678), (g_runs_away, 0.636)])
def test_a_loss_that_explodes_is_an_error_to_the_end(runs_away: Callable[..., Said], at: float) -> None:
    finding = one_finding(runs_away(swelling(20)))
    assert (finding.severity, finding.overwhelming, finding.stretch.end) == (Severity.ERROR, True, None)
    assert finding.stretch.onset == pytest.approx(at * 20_000, abs=200)  # two blocks
    assert measured(finding)["rise of log |loss| over the last half"] > 4


def test_growth_that_is_not_yet_absurd_is_a_warning() -> None:
    finding = one_finding(d_runs_away(swelling(12)))
    assert (finding.severity, finding.overwhelming) == (Severity.WARNING, False)
    assert 10 < finding.params["factor"] < 100


def test_growth_that_stays_below_ten_levels_is_none() -> None:
    assert d_runs_away(swelling(4)) == []


def test_a_burst_that_came_back_is_no_divergence() -> None:
    t = np.linspace(0, 1, 400)
    burst = 0.9 + 200 * np.exp(-(((t - 0.6) / 0.05) ** 2))
    assert d_runs_away(make_run({"loss_D": burst, "loss_G": CALM_G})) == []


@pytest.mark.parametrize(("multiple", "fires"), [(32, 1), (28, 0)])
def test_a_level_of_30_equilibria_is_out_of_range(multiple: float, fires: int) -> None:
    # It began as a game of its family; 1.386 is the equilibrium.
    high = pieces((0, 1.3), (0.15, noisy(level(1.386 * multiple), 0.05)))
    said = d_runs_away(make_run({"loss_D": high, "loss_G": CALM_G}), family="non-saturating")
    assert len(said) == fires
    for finding in said:
        assert finding.severity is Severity.ERROR
        assert measured(finding)["loss / equilibrium"] == pytest.approx(multiple, rel=0.05)
        assert finding.stretch.onset == pytest.approx(0.15 * 20_000, abs=100)


def test_a_sum_over_an_epoch_is_no_divergence() -> None:
    run = make_run({"loss_D": noisy(level(900.0), 0.05), "loss_G": noisy(level(1_500.0), 0.05, seed=1)})
    assert d_runs_away(run) == []
    assert g_runs_away(run) == []


def test_an_unbounded_critic_is_at_most_a_warning_until_absurd() -> None:
    def critic(rate: float) -> Run:
        def apart(t: Values) -> Values:
            return np.exp(rate * np.clip(t - 0.4, 0, None))

        return logged(game("wgan", apart, lambda t: -apart(t), spread=0.5))

    # Ten times the settled level at 0.4 + 2.3 / rate; in the middle of what follows, 63 and 5,700 times.
    assert one_finding(d_runs_away(critic(10), family="wgan")).severity is Severity.WARNING
    assert one_finding(d_runs_away(critic(25), family="wgan")).severity is Severity.ERROR


# --- GD103


def test_silent_on_the_noise_of_batch_1() -> None:
    for seed in range(5):
        run = with_spikes(noisy(level(0.3), 1.2, seed), noisy(level(1.5), 1.0, seed + 10))
        assert d_peaks(run) == []
        assert g_peaks(run) == []


def test_spikes_are_counted_dated_and_measured() -> None:
    finding = one_finding(d_peaks(with_spikes(spiky(6), CALM_G)))
    assert (finding.severity, finding.params["count"]) == (Severity.WARNING, 3)  # 200 and 201 are one
    assert (finding.stretch.onset, finding.stretch.end) == (151 * 50, 301 * 50)
    assert finding.stretch.onset_interval == (150 * 50, 151 * 50)
    values = measured(finding)
    assert values["largest spike / rolling median"] == pytest.approx(6, rel=0.1)
    # log 6 over a noise of 0.05: 36 standard deviations.
    assert values["largest spike in MADs of log loss"] == pytest.approx(36, rel=0.15)


@pytest.mark.parametrize(("height", "fires"), [(4.6, 0), (5.5, 1)])
def test_a_spike_must_be_five_times_the_level(height: float, fires: int) -> None:
    assert len(d_peaks(with_spikes(spiky(height), CALM_G))) == fires


@pytest.mark.parametrize(("sigma", "fires"), [(0.15, 1), (0.4, 0)])
def test_a_spike_must_stand_out_of_the_noise(sigma: float, fires: int) -> None:
    values = 0.5 * np.exp(np.random.default_rng(0).normal(0, sigma, 400))
    values[[150, 250]] = 0.5 * 8
    assert len(d_peaks(with_spikes(values, CALM_G))) == fires


def test_a_spike_must_matter_in_the_game() -> None:
    # Twentyfold near a perfect D is still a perfect D.
    near_0 = with_spikes(spiky(20, level_at=0.003), ramp(3, 7))
    assert d_peaks(near_0) == []
    assert g_peaks(with_spikes(CALM_D, spiky(6, level_at=0.3))) == []  # 0.3 to 1.8: two debts


def test_what_happens_often_is_no_spike() -> None:
    often = tuple(range(60, 400, 6))
    assert d_peaks(with_spikes(spiky(8, often), CALM_G)) == []


def test_one_lone_point_or_one_at_the_very_end_is_not_reported() -> None:
    assert d_peaks(with_spikes(spiky(8, (200,)), CALM_G)) == []
    assert d_peaks(with_spikes(spiky(8, (200, 399)), CALM_G)) == []


def test_spikes_of_the_warm_up_do_not_count() -> None:
    assert d_peaks(with_spikes(spiky(8, (3, 10, 25)), CALM_G)) == []


def test_a_loss_that_crosses_0_has_no_ratio_to_its_level() -> None:
    critic = logged(game("wgan", ramp(1, 5), ramp(-1, -5)))
    assert refusal(d_peaks(critic)) == ("not-examinable", "loss-crosses-0", "")


def test_a_loss_that_began_late_has_no_settled_level() -> None:
    late = np.where(np.arange(400) < 180, 0.0, 1.0) * CALM_D(np.linspace(0, 1, 400))
    run = make_run({"loss_D": late, "loss_G": CALM_G})
    assert refusal(d_runs_away(run)) == ("too-short", "too-few-points", "")


def test_too_few_points_to_tell() -> None:
    run = make_run({"loss_D": level(1.0)}, points=45)
    assert refusal(d_peaks(run)) == ("too-short", "too-few-points", "")
    assert refusal(g_runs_away(run)) == ("not-examinable", "missing-signal", "g-loss")
