from __future__ import annotations

import numpy as np
import pytest

from gandoctor.detectors.wandering import samples_outrun_d, samples_wander
from gandoctor.findings import Severity
from gandoctor.run import Run, Values
from tests.runs import Shape, game, hears, level, logged, make_run, measured, noisy, one_finding

wander, outrun = hears(samples_wander), hears(samples_outrun_d)
OUTPUTS = ("out/real", "out/fake", "out/real_std", "out/fake_std")


def hops(size: float, seed: int = 0, around: float = 0.0, since: float = 0.0) -> Shape:
    """A mean output that is somewhere else at each point, from a share of the run on."""

    def values(t: Values) -> Values:
        return around + size * np.random.default_rng(seed).normal(size=len(t)) * (t >= since)

    return values


def run(
    real: Shape | float, fake: Shape | float, spread: tuple[float, float] = (1.0, 0.3), batch: int = 64, **options: object
) -> Run:  # fmt: skip
    played = game("non-saturating", real, fake, spread=spread, batch=batch)
    gradient = options.pop("gradient", None)
    shapes = {tag: played[tag] for tag in OUTPUTS}
    if gradient is not None:
        shapes["grad_norm_G"] = gradient  # type: ignore[assignment]
    return make_run(shapes, **options)  # type: ignore[arg-type]


def bursting(height: float, points: int = 400) -> Values:
    calm = np.exp(np.random.default_rng(0).normal(0, 0.2, points))
    calm[np.arange(points) % 10 < 2] *= height
    return calm


HOPPING = run(0.0, hops(1.0))
FIRES = {"samples_wander": HOPPING, "samples_outrun_d": HOPPING}
EQUILIBRIUM = run(0.1, -0.1, (1.0, 1.0))
SILENT = {"samples_wander": EQUILIBRIUM, "samples_outrun_d": EQUILIBRIUM}


def test_samples_that_hop_before_a_d_at_chance() -> None:
    for said in (wander(HOPPING), outrun(HOPPING)):
        finding = one_finding(said)
        assert finding.severity is Severity.WARNING
        assert finding.stretch.end is None
        scatter = measured(finding)["scatter of the gap of D's outputs / their spread on fakes"]
        assert scatter == pytest.approx(1.0 / 0.3, rel=0.3)


def test_onset() -> None:
    finding = one_finding(wander(run(0.0, hops(1.0, since=0.5))))
    assert finding.stretch.onset == pytest.approx(0.5 * 400 * 50, abs=0.12 * 400 * 50)


@pytest.mark.parametrize("batch", [2, 4, 8, 16, 64])
@pytest.mark.parametrize("spread", [(1.0, 1.0), (1.0, 0.3)])
@pytest.mark.parametrize("told", [True, False])
def test_the_noise_of_batches_is_quiet(batch: int, spread: tuple[float, float], told: bool) -> None:
    quiet = run(0.1, -0.1, spread, batch, settings={"batch_size": batch} if told else None)
    assert not wander(quiet)
    assert not outrun(quiet)


def test_a_d_that_tells_the_fakes_is_not_outrun() -> None:
    assert not wander(run(2.0, hops(0.6, around=-2.0)))  # one static mode, and a D that moves


def test_swapped_labels_are_another_fault() -> None:
    assert not wander(run(-2.0, hops(0.6, around=2.0)))


def test_d_that_moves_reals_and_fakes_together_is_quiet() -> None:
    together = hops(3.0)
    assert not wander(run(together, together, (1.0, 1.0)))


def test_a_d_ahead_is_wandering_but_not_outrun() -> None:
    ahead = run(0.8, hops(0.6, around=0.0), (1.0, 0.3))
    assert wander(ahead)
    assert not outrun(ahead)


def test_bursts_of_the_gradient_make_less_enough() -> None:
    mild = hops(0.45)
    assert not wander(run(0.0, mild, (1.0, 1.0)))
    assert not wander(run(0.0, mild, (1.0, 1.0), gradient=noisy(level(3.0), 0.3)))
    finding = one_finding(wander(run(0.0, mild, (1.0, 1.0), gradient=bursting(5.0))))
    assert measured(finding)["p95 / p50 of G's gradient norm"] > 2.5


def test_bursts_do_not_make_a_signal_of_the_noise_of_a_known_batch() -> None:
    small = run(0.1, -0.1, (1.0, 1.0), 4, gradient=bursting(5.0), settings={"batch_size": 4})
    assert not wander(small)


def test_images_made_from_different_inputs_differ_by_right() -> None:
    played = game("non-saturating", 0.0, hops(1.0), spread=(1.0, 0.3))
    made = make_run({**{tag: played[tag] for tag in OUTPUTS}, "loss_G_L1": noisy(level(0.3), 0.1)})
    assert not wander(made)


def test_bursts_alone_are_quiet() -> None:
    assert not wander(run(0.1, -0.1, (1.0, 1.0), gradient=bursting(9.0)))


def test_batches_of_one_and_a_constant_d_are_quiet() -> None:
    assert not wander(run(0.0, hops(1.0), (0.0, 0.0)))
    assert not wander(logged(game("wgan", 0.0, 0.0, spread=0.0), *OUTPUTS))
