from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from gandoctor.detectors.frozen import d_layers_frozen, g_layers_frozen
from gandoctor.findings import Finding, Kind, Severity
from gandoctor.run import Run, Values
from tests.histograms import histogram_run
from tests.runs import hears, make_run, noisy, one_finding, ramp, refusal

frozen = {"G": hears(g_layers_frozen), "D": hears(d_layers_frozen)}
NETWORKS = pytest.mark.parametrize("network", ["G", "D"])
POINTS = 40


def walk(until: float = 1.0, seed: int = 0, step: float = 1e-3, size: int = 64) -> list[Values]:
    """Weights that move a little at each step, up to a share of the run."""
    rng = np.random.default_rng(seed)
    rows = [rng.normal(0, 0.1, size)]
    for at in range(1, POINTS):
        rows.append(rows[-1] + (rng.normal(0, step, size) if at < until * POINTS else 0.0))
    return rows


def network(layers: Mapping[str, list[Values]], name: str = "G") -> Run:
    return histogram_run({f"net{name}/{layer}.weight": rows for layer, rows in layers.items()})


def typical(name: str, until: float) -> Run:
    return network({"c1": walk(), "c2": walk(until, 1), "c3": walk(1.0, 2)}, name)


FIRES = {"g_layers_frozen": typical("G", 0.0), "d_layers_frozen": typical("D", 0.0)}
SILENT = {"g_layers_frozen": typical("G", 1.0), "d_layers_frozen": typical("D", 1.0)}


@NETWORKS
def test_a_layer_that_never_moves(network: str) -> None:
    finding = one_finding(frozen[network](typical(network, 0.0)))
    assert (finding.severity, finding.stretch.onset, finding.stretch.end) == (Severity.WARNING, 0, None)
    assert (finding.subject.network, finding.subject.layer) == (network, "c2")
    assert finding.params == {"layer": f"{network}.c2"}
    assert finding.evidence[0].kind is Kind.WEIGHTS


def test_a_layer_that_stopped_is_dated() -> None:
    finding = one_finding(frozen["G"](typical("G", 0.5)))
    assert finding.stretch.onset == pytest.approx(2_000, abs=100)


@pytest.mark.parametrize("step", [1e-3, 1e-5, 1e-7])
def test_silent_on_layers_that_move_ever_so_little(step: float) -> None:
    assert frozen["G"](network({"c1": walk(), "c2": walk(1.0, 1, step), "c3": walk(1.0, 2)})) == []


def test_silent_on_a_network_that_stands_still_as_a_whole() -> None:
    assert frozen["G"](network({"c1": walk(0.5), "c2": walk(0.5, 1), "c3": walk(0.5, 2)})) == []


def test_silent_on_a_layer_that_moves_again() -> None:
    rows = walk()
    assert (
        frozen["G"](network({"c1": walk(1.0, 1), "c2": [rows[0]] * 30 + rows[:10], "c3": walk(1.0, 2)})) == []
    )


def test_silent_on_clipped_weights_and_on_biases() -> None:
    held = [np.where(np.arange(64) % 2, 0.01, -0.01)] * POINTS
    assert frozen["D"](network({"c1": walk(), "c2": held, "c3": walk(1.0, 2)}, "D")) == []
    run = histogram_run(
        {"netG/c1.weight": walk(), "netG/c2.weight": walk(1.0, 1), "netG/c1.bias": [np.zeros(64)] * POINTS}
    )
    assert frozen["G"](run) == []


def test_several_layers_speak_for_themselves() -> None:
    said = frozen["G"](network({"c1": walk(0.0), "c2": walk(0.4, 1), "c3": walk(1.0, 2)}))
    assert {one.subject.layer for one in said if isinstance(one, Finding)} == {"c1", "c2"}


def test_first_layers_that_never_moved_and_half_a_network_look_frozen_on_purpose() -> None:
    first = network({"c1": walk(0.0), "c2": walk(1.0, 1), "c3": walk(1.0, 2)}, "D")
    assert one_finding(frozen["D"](first)).severity is Severity.INFO
    half = network({"c1": walk(1.0), "c2": walk(0.0, 1), "c3": walk(0.0, 2)})
    assert {one.severity for one in frozen["G"](half) if isinstance(one, Finding)} == {Severity.INFO}
    later = network({"c1": walk(0.5), "c2": walk(1.0, 1), "c3": walk(1.0, 2)}, "D")
    assert one_finding(frozen["D"](later)).severity is Severity.WARNING


def test_silent_on_layers_of_colours_that_growth_left_behind() -> None:
    assert frozen["G"](network({"c1": walk(), "to_rgb.0": walk(0.3, 1), "c3": walk(1.0, 2)})) == []


def test_histograms_are_asked_for_and_few_are_too_few() -> None:
    run = make_run({"loss_D": noisy(ramp(1, 2), 0.1)})
    assert refusal(frozen["G"](run)) == ("not-examinable", "missing-signal", "g-weight-histograms")
    few = network({"c1": walk()[:4], "c2": walk(0.0, 1)[:4]})
    assert refusal(frozen["G"](few)) == ("too-short", "too-few-points", "")
