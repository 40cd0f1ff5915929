from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gandoctor.detectors.clipping import weights_at_the_bound
from gandoctor.findings import Kind, Severity
from gandoctor.run import Run, Values
from tests.histograms import histogram_run
from tests.runs import game, hears, logged, measured, one_finding, refusal

clips = hears(weights_at_the_bound)
Draw = Callable[[np.random.Generator, float, int], Values]  # random numbers, share of the run done, size


def critic(draw: Draw, points: int = 30, layers: tuple[int, ...] = (64, 512, 32)) -> Run:
    """A run that logs histograms of D's weights, drawn at each of its steps."""
    rng = np.random.default_rng(0)
    return histogram_run(
        {
            f"netD/{at}.weight": [draw(rng, step / points, size) for step in range(points)]
            for at, size in enumerate(layers)
        }
    )


def clipped(share: float, c: float = 0.01) -> Draw:
    """Weights of which a share lies beyond ±c and is clipped, the rest is even between."""

    def draw(rng: np.random.Generator, _: float, size: int) -> Values:
        free = rng.uniform(-c, c, size)
        out = rng.random(size) < share
        out[:2] = True
        made: Values = np.where(out, np.where(np.arange(size) % 2, c, -c), free)
        return made

    return draw


def then(before: Draw, after: Draw, at: float) -> Draw:
    return lambda rng, t, size: (before if t < at else after)(rng, t, size)


FIRES = {"weights_at_the_bound": critic(clipped(0.9))}
SILENT = {"weights_at_the_bound": critic(clipped(0.4))}  # healthy clipped critics have up to 45% there


def test_weights_piled_up_from_the_start_are_a_warning() -> None:
    finding = one_finding(clips(critic(clipped(0.9))))
    assert (finding.severity, finding.stretch.end) == (Severity.WARNING, None)
    assert finding.evidence[0].kind is Kind.WEIGHTS
    assert measured(finding) == {"share of D's weights at the clipping bound": pytest.approx(0.9, abs=0.03)}
    assert finding.params["clip"] == pytest.approx(0.01)
    assert (finding.subject.network, finding.subject.layer) == ("D", "")


def test_the_onset_is_where_they_pile_up() -> None:
    finding = one_finding(clips(critic(then(clipped(0.2), clipped(0.85), 0.5))))
    assert finding.stretch.onset == pytest.approx(1_500, abs=100)


@pytest.mark.parametrize(("share", "fires"), [(0.5, 0), (0.7, 1)])
@pytest.mark.parametrize("c", [1e-4, 0.01, 1.0])
def test_the_share_decides_whatever_the_bound(share: float, fires: int, c: float) -> None:
    assert len(clips(critic(clipped(share, c)))) == fires


SMOOTH: dict[str, Draw] = {
    "normal": lambda rng, t, size: rng.normal(0, 0.02 + 0.1 * t, size),
    "uniform as initialised": lambda rng, t, size: rng.uniform(-0.05, 0.05, size),
    "heavy tails": lambda rng, t, size: rng.standard_t(2, size),
    "all alike": lambda rng, t, size: np.full(size, 0.02),
    "zero": lambda rng, t, size: np.zeros(size),
    "two-sided far out": lambda rng, t, size: rng.choice([-1, 1], size) * rng.normal(1, 0.1, size),
    "clipped on one side": lambda rng, t, size: np.minimum(rng.normal(0, 1, size), 0.1),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_silent_on_weights_that_nothing_clips(name: str) -> None:
    assert clips(critic(SMOOTH[name])) == []


def test_silent_on_a_scale_that_moves_with_the_weights() -> None:
    # Signs times a scale, as in binary networks: both ends alike, but no bound.
    assert clips(critic(lambda rng, t, size: (0.1 + t) * rng.choice([-1.0, 1.0], size))) == []


def test_one_layer_of_signs_is_no_clipping() -> None:
    run = critic(SMOOTH["normal"])
    signs = critic(lambda rng, t, size: rng.choice([-0.5, 0.5], size), layers=(64,))
    run.histograms += [one for one in signs.histograms]
    assert clips(run) == []


def test_g_is_not_asked() -> None:
    rng = np.random.default_rng(0)
    run = histogram_run({"netG/0.weight": [clipped(0.9)(rng, 0, 64) for _ in range(30)]})
    assert refusal(clips(run)) == ("not-examinable", "missing-signal", "d-weight-histograms")


def test_without_histograms_they_are_asked_for_and_few_are_too_few() -> None:
    run = logged(game("wgan", 0.5, -0.5))
    assert refusal(clips(run)) == ("not-examinable", "missing-signal", "d-weight-histograms")
    assert refusal(clips(critic(clipped(0.9), points=4))) == ("too-short", "too-few-points", "")
