from __future__ import annotations

import numpy as np
import pytest

from gandoctor.detectors.controllers import augmentation_runs_away, loss_scale_collapses
from gandoctor.findings import Kind, Severity
from gandoctor.run import Run
from tests.runs import Shape, hears, level, make_run, measured, one_finding, pieces, ramp, refusal

leaks, underflows = hears(augmentation_runs_away), hears(loss_scale_collapses)


def augment(shape: Shape) -> Run:
    return make_run({"Progress/augment": shape})


def scale(shape: Shape) -> Run:
    return make_run({"loss_scale": shape})


def halving(t: np.ndarray) -> np.ndarray:
    return 65_536 * 0.5 ** np.floor(40 * t)


FIRES = {"augmentation_runs_away": augment(ramp(0, 1.1)), "loss_scale_collapses": scale(halving)}
SILENT = {
    "augmentation_runs_away": augment(pieces((0, ramp(0, 0.9)), (0.5, 0.45))),
    "loss_scale_collapses": scale(lambda t: 65_536 * 2.0 ** np.round(3 * np.sin(20 * t))),
}


@pytest.mark.parametrize(("reached", "fires"), [(0.78, 0), (0.95, 1)])
def test_augmentation_leaks_past_0_8(reached: float, fires: int) -> None:
    said = leaks(augment(pieces((0, ramp(0, reached)), (0.7, reached))))
    assert len(said) == fires
    for finding in said:
        assert (finding.severity, finding.stretch.end) == (Severity.WARNING, None)
        assert measured(finding) == {"augmentation probability": reached}


def test_the_climb_is_dated() -> None:
    finding = one_finding(leaks(augment(ramp(0, 1.0))))
    assert finding.stretch.onset == pytest.approx(0.8 * 20_000, abs=150)
    assert finding.params["knob"] == "augment"


def test_silent_on_an_augmentation_that_came_back() -> None:
    assert leaks(augment(pieces((0, 0.2), (0.3, 0.9), (0.7, 0.4)))) == []


def test_a_loss_scale_below_1_to_the_end() -> None:
    finding = one_finding(underflows(scale(halving)))
    assert finding.stretch.onset == pytest.approx(17 / 40 * 20_000, abs=50)  # 65,536 = 2^16
    assert finding.evidence[0].kind is Kind.CONFIGURATION
    assert finding.params["knob"] == "loss_scale"


@pytest.mark.parametrize(("value", "fires"), [(0.5, 1), (1.0, 0), (2.0, 0)])
def test_a_scale_of_1_is_the_limit(value: float, fires: int) -> None:
    assert len(underflows(scale(pieces((0, 65_536.0), (0.5, value))))) == fires


def test_silent_on_a_scale_that_recovered() -> None:
    assert underflows(scale(pieces((0, 65_536.0), (0.3, 0.25), (0.6, 1_024.0)))) == []


def test_controllers_are_asked_for() -> None:
    run = make_run({"loss_D": level(1.0)})
    assert refusal(leaks(run)) == ("not-examinable", "missing-signal", "augment-p")
    assert refusal(underflows(run)) == ("not-examinable", "missing-signal", "loss-scale")
