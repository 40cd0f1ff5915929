from __future__ import annotations

import numpy as np
import pytest

from gandoctor.detectors.weights import d_weights_grow, g_weights_grow
from gandoctor.findings import Severity
from gandoctor.run import Run
from tests.runs import Shape, hears, level, make_run, measured, noisy, one_finding, ramp, refusal

grows = {"G": hears(g_weights_grow), "D": hears(d_weights_grow)}
NETWORKS = pytest.mark.parametrize("network", ["G", "D"])


def norms(shape: Shape, network: str = "D", sigma: float = 0.005) -> Run:
    return make_run({f"weight_norm/{network}": noisy(shape, sigma)})


def growing(factor: float) -> Shape:
    """Exponential growth, `factor` from the end of the warm-up to the end."""
    return lambda t: 20 * factor ** ((t - 0.1) / 0.9)


def settling(factor: float) -> Shape:
    """Growth that is over by the middle of the run."""
    return lambda t: 20 * factor ** np.clip(2.5 * (t - 0.1), 0, 1)


FIRES = {"g_weights_grow": norms(growing(8), "G"), "d_weights_grow": norms(growing(8))}
SILENT = {"g_weights_grow": norms(settling(8), "G"), "d_weights_grow": norms(settling(8))}


@NETWORKS
def test_silent_on_growth_that_settles(network: str) -> None:
    for factor in (1.5, 4.0, 30.0):
        assert grows[network](norms(settling(factor), network)) == []


@NETWORKS
def test_silent_on_growth_like_the_square_root_of_time(network: str) -> None:
    # What noise alone gives: from 10% to the end a factor of about 3.
    assert grows[network](norms(lambda t: 20 * np.sqrt(t + 0.01), network)) == []


@NETWORKS
def test_growth_without_end_is_a_warning(network: str) -> None:
    finding = one_finding(grows[network](norms(growing(8), network)))
    assert finding.severity is Severity.WARNING
    values = measured(finding)
    assert values[f"weight norm of {network} / its value after warm-up"] == pytest.approx(8, rel=0.05)
    assert values["share of the growth in the last half"] == pytest.approx(0.5 / 0.9, abs=0.02)
    # Four times the value after warm-up is reached at 0.1 + 0.9 log 4 / log 8 = 0.7.
    assert finding.stretch.onset == pytest.approx(0.7 * 20_000, abs=150)
    assert finding.stretch.end is None


@pytest.mark.parametrize(("factor", "fires"), [(3.6, 0), (4.6, 1)])
def test_four_times_its_value_decides(factor: float, fires: int) -> None:
    assert len(grows["D"](norms(growing(factor)))) == fires


@pytest.mark.parametrize(("late", "fires"), [(0.2, 0), (0.4, 1)])
def test_the_share_that_came_late_decides(late: float, fires: int) -> None:
    def shape(t: np.ndarray) -> np.ndarray:
        return 20 * 10 ** np.interp(t, [0.1, 0.5, 1.0], [0, 1 - late, 1])

    assert len(grows["D"](norms(shape))) == fires


def test_shrinking_and_zero_norms_are_quiet() -> None:
    assert grows["D"](norms(ramp(20, 5))) == []
    assert grows["D"](make_run({"weight_norm/D": level(0.0)})) == []


def test_norms_are_asked_for() -> None:
    assert refusal(grows["G"](norms(growing(8)))) == ("not-examinable", "missing-signal", "g-weight-norm")
