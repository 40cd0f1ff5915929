from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from gandoctor.detectors.depth import d_fades_with_depth, g_fades_with_depth
from gandoctor.findings import Kind, Severity
from gandoctor.run import Run
from tests.histograms import histogram_run
from tests.runs import Shape, hears, level, make_run, measured, noisy, one_finding, pieces

fades = {"G": hears(g_fades_with_depth), "D": hears(d_fades_with_depth)}
NETWORKS = pytest.mark.parametrize("network", ["G", "D"])


def layered(profile: Sequence[float | Shape], network: str = "G") -> Run:
    """Logged gradient norms of layers, first to last, with the noise of batches."""
    shapes = [one if callable(one) else level(one) for one in profile]
    return make_run({f"grad_norm_{network}/layer{at}": noisy(one, 0.3, at) for at, one in enumerate(shapes)})


def geometric(layers: int, factor: float) -> list[float]:
    """Norms that fall by a factor at each layer, from the last to the first."""
    return [factor ** -(layers - 1 - at) for at in range(layers)]


FIRES = {
    "g_fades_with_depth": layered(geometric(8, 4)),
    "d_fades_with_depth": layered(geometric(8, 4), "D"),
}
SILENT = {
    "g_fades_with_depth": layered([1e-4, 1e-4, 1.5e-4, 1e-4, 1, 1.5, 2, 1]),  # a mapping network before it
    "d_fades_with_depth": layered([0.02, 0.03, 0.1, 0.08, 0.2, 0.3, 0.5, 1.0], "D"),
}


@NETWORKS
def test_a_geometric_fall_is_a_warning_at_the_first_layer(network: str) -> None:
    finding = one_finding(fades[network](layered(geometric(8, 4), network)))
    assert (finding.severity, finding.stretch.end) == (Severity.WARNING, None)
    assert (finding.subject.network, finding.subject.layer) == (network, "layer0")
    assert {evidence.kind for evidence in finding.evidence} == {Kind.GRADIENTS}
    values = measured(finding)
    # Means of the two first and the two last layers: six layers apart.
    assert values[f"gradient norm of {network}'s first layers / its last layers"] == pytest.approx(
        4**-6, rel=0.2
    )
    assert values[f"correlation of log gradient norm of {network} with depth"] > 0.97


@pytest.mark.parametrize(("factor", "fires"), [(2.5, 0), (4.0, 1)])  # to the sixth: 0.004, 0.0002
def test_a_thousandth_decides(factor: float, fires: int) -> None:
    assert len(fades["G"](layered(geometric(8, factor)))) == fires


def test_silent_on_the_reverse_and_on_disorder() -> None:
    assert fades["G"](layered(geometric(8, 4)[::-1])) == []
    assert fades["G"](layered([1e-4, 1, 1e-3, 0.5, 1e-4, 0.1, 1e-3, 1])) == []


def test_silent_on_three_layers_and_on_whole_networks() -> None:
    assert fades["G"](layered(geometric(3, 50))) == []
    assert fades["G"](make_run({"grad_norm_G": noisy(level(1.0), 0.3)})) == []


def test_silent_on_a_first_layer_alone() -> None:
    assert fades["G"](layered([1e-5, 0.8, 1.0, 0.9, 1.1, 1.0])) == []


def test_its_onset_and_its_end() -> None:
    healthy, ill = [0.5] * 8, geometric(8, 4)
    late = layered([pieces((0, a), (0.5, b)) for a, b in zip(healthy, ill, strict=True)])
    assert one_finding(fades["G"](late)).stretch.onset == pytest.approx(10_000, abs=200)
    early = layered([pieces((0, b), (0.3, a)) for a, b in zip(healthy, ill, strict=True)])
    assert fades["G"](early) == []  # what training itself repaired


def test_layers_that_are_not_updated_at_every_step() -> None:
    run = layered(geometric(8, 4))
    for one in run.series.values():
        one.values[::3] = 0.0
    assert len(fades["G"](run)) == 1


@pytest.mark.parametrize(("factor", "fires"), [(1.3, 0), (5.0, 1)])
def test_from_histograms_as_from_logged_norms(factor: float, fires: int) -> None:
    rng = np.random.default_rng(0)
    sizes = geometric(8, factor)
    run = histogram_run(
        {
            f"netG/main.{n}.weight.grad": [rng.normal(0, size, 256) for _ in range(30)]
            for n, size in enumerate(sizes)
        }
    )
    said = fades["G"](run)
    assert [one.subject.layer for one in said] == ["main.0"] * fires  # type: ignore[union-attr]
