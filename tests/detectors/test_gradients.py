from __future__ import annotations

import numpy as np
import pytest

from gandoctor.detectors.gradients import (
    d_explodes,
    d_is_huge,
    d_vanishes,
    g_explodes,
    g_is_huge,
    g_vanishes,
)
from gandoctor.findings import Finding, Kind, Severity
from gandoctor.run import Run
from tests.runs import (
    Said,
    Shape,
    game,
    hears,
    jump,
    level,
    make_run,
    measured,
    noisy,
    one_finding,
    pieces,
    ramp,
    refusal,
)

vanishes = {"G": hears(g_vanishes), "D": hears(d_vanishes)}
explodes = {"G": hears(g_explodes), "D": hears(d_explodes)}
is_huge = {"G": hears(g_is_huge), "D": hears(d_is_huge)}
NETWORKS = pytest.mark.parametrize("network", ["G", "D"])


def norms(shape: Shape, network: str = "G", layer: str = "") -> Run:
    return make_run({f"grad_norm_{network}" + (f"/{layer}" if layer else ""): noisy(shape, 0.3)})


def decay(start: float, end: float) -> Shape:
    return lambda t: start * (end / start) ** t


def huge(network: str, fake: float = -300.0, norm: float = 900.0, fold: float = 1.0) -> Run:
    """A cross-entropy game of first weights far too large, and the gradient norm of a network. fold: batches summed."""
    played = game("non-saturating", 0.5, fake, spread=(1.0, max(1.0, abs(fake) / 5)))
    losses = {tag: fold * played[tag] for tag in ("loss_D", "loss_G", "loss_D_real", "loss_D_fake")}
    return make_run({**losses, f"grad_norm_{network}": noisy(level(norm), 0.3)})


FIRES = {
    "g_vanishes": norms(jump(2.0, 1e-8, at=0.5)),
    "d_vanishes": norms(jump(2.0, 1e-8, at=0.5), "D"),
    "g_explodes": norms(jump(2.0, 100.0, at=0.5)),
    "d_explodes": norms(jump(2.0, 100.0, at=0.5), "D"),
    "g_is_huge": huge("G"),
    "d_is_huge": huge("D"),
}
SILENT = {
    "g_vanishes": norms(decay(5.0, 0.05)),
    "d_vanishes": norms(decay(5.0, 0.05), "D"),
    "g_explodes": norms(level(400.0)),  # healthy critics live with norms over 100
    "d_explodes": norms(level(400.0), "D"),
    "g_is_huge": huge("G", fake=-0.5),  # large norms beside ordinary losses
    "d_is_huge": huge("D", fake=-0.5),
}


# --- GD301


@pytest.mark.parametrize("every", [2, 5, 20])
@NETWORKS
def test_silent_on_a_network_that_is_not_updated_at_every_step(network: str, every: int) -> None:
    values = np.where(np.arange(4_000) % every == 0, 3.0, 0.0)  # n_critic: zeros in between
    assert vanishes[network](make_run({f"grad_norm_{network}": values})) == []


def test_zeros_to_the_end_are_no_skipped_updates() -> None:
    values = np.where(np.arange(4_000) % 5 == 0, 3.0, 0.0)
    values[2_000:] = 0.0
    finding = one_finding(vanishes["G"](make_run({"grad_norm_G": values})))
    assert finding.severity is Severity.ERROR
    assert finding.stretch.onset == pytest.approx(100_000, abs=1_500)


@NETWORKS
def test_a_dead_gradient_is_an_overwhelming_error(network: str) -> None:
    finding = one_finding(vanishes[network](norms(jump(2.0, 1e-8, at=0.5), network)))
    assert (finding.severity, finding.overwhelming, finding.stretch.end) == (Severity.ERROR, True, None)
    assert finding.stretch.onset == pytest.approx(10_000, abs=100)
    assert finding.evidence[0].kind is Kind.GRADIENTS
    assert measured(finding)[f"gradient norm of {network}"] == pytest.approx(1e-8, rel=0.1)
    assert finding.evidence[0].threshold.name == "GD301.floor"  # type: ignore[union-attr]
    assert (finding.subject.network, finding.subject.layer) == (network, "")


def test_a_fall_to_a_thousandth_is_a_warning_in_shares_of_its_early_level() -> None:
    finding = one_finding(vanishes["G"](norms(jump(5.0, 0.002, at=0.6))))
    assert finding.severity is Severity.WARNING
    assert measured(finding)["gradient norm of G"] == pytest.approx(0.002 / 5.0, rel=0.1)
    assert finding.evidence[0].threshold.name == "GD301.low"  # type: ignore[union-attr]


@pytest.mark.parametrize(("low", "fires"), [(7e-4, 1), (1.5e-3, 0)])
def test_a_thousandth_of_the_early_median_decides(low: float, fires: int) -> None:
    assert len(vanishes["G"](norms(jump(1.0, low, at=0.5)))) == fires


@pytest.mark.parametrize(("norm", "fires"), [(7e-7, 1), (1.5e-6, 0)])
def test_from_the_start_only_the_floor_can_decide(norm: float, fires: int) -> None:
    said = vanishes["D"](norms(level(norm), "D"))
    assert [finding.severity for finding in said if isinstance(finding, Finding)] == [Severity.ERROR] * fires


@pytest.mark.parametrize(("at", "fires"), [(0.75, 1), (0.86, 0)])  # of nine tenths: 0.28, 0.16
def test_it_must_last_a_fifth_of_the_run(at: float, fires: int) -> None:
    assert len(vanishes["G"](norms(jump(2.0, 1e-8, at=at)))) == fires


def test_a_gradient_that_came_back_is_a_warning_with_its_end() -> None:
    finding = one_finding(vanishes["G"](norms(pieces((0, 2.0), (0.4, 1e-8), (0.7, 2.0)))))
    assert (finding.severity, finding.overwhelming) == (Severity.WARNING, False)
    assert finding.stretch.end == pytest.approx(14_000, abs=100)


def test_a_layer_is_named_and_never_an_error_of_its_own() -> None:
    run = norms(jump(2.0, 1e-9, at=0.5), layer="conv1")
    run.series.update(norms(level(2.0)).series)
    finding = one_finding(vanishes["G"](run))
    assert (finding.severity, finding.subject.layer, finding.params["layer"]) == (
        Severity.WARNING,
        "conv1",
        "conv1",
    )


def test_every_layer_speaks_for_itself() -> None:
    run = norms(jump(2.0, 1e-9, at=0.5), layer="conv1")
    run.series.update(norms(jump(2.0, 1e-9, at=0.3), layer="conv2").series)
    onsets = {one.subject.layer: one.stretch.onset for one in vanishes["G"](run) if isinstance(one, Finding)}
    assert onsets == {"conv1": pytest.approx(10_000, abs=100), "conv2": pytest.approx(6_000, abs=100)}


# --- GD302


@NETWORKS
def test_growth_over_its_own_level_is_a_warning(network: str) -> None:
    finding = one_finding(explodes[network](norms(jump(2.0, 100.0, at=0.5), network)))
    assert (finding.severity, finding.stretch.end) == (Severity.WARNING, None)
    assert finding.stretch.onset == pytest.approx(10_000, abs=100)
    assert measured(finding) == pytest.approx(
        {f"gradient norm of {network} / its level at 10-30%": 50.0}, rel=0.1
    )


@pytest.mark.parametrize(("factor", "fires"), [(13.0, 1), (7.0, 0)])
def test_ten_times_the_early_median_decides(factor: float, fires: int) -> None:
    assert len(explodes["G"](norms(jump(3.0, 3.0 * factor, at=0.5)))) == fires


def test_silent_on_growth_that_keeps_below_ten_times() -> None:
    assert explodes["D"](norms(ramp(10, 60), "D")) == []


def test_silent_on_bursts_that_do_not_last() -> None:
    values = np.where(np.arange(400) % 40 < 3, 300.0, 3.0)
    assert explodes["G"](make_run({"grad_norm_G": values})) == []


def test_a_surge_that_ended_keeps_its_end() -> None:
    finding = one_finding(explodes["D"](norms(pieces((0, 2.0), (0.4, 100.0), (0.7, 2.0)), "D")))
    assert finding.stretch.onset == pytest.approx(8_000, abs=100)
    assert finding.stretch.end == pytest.approx(14_000, abs=100)


def test_zeros_between_updates_do_not_hide_a_surge() -> None:
    values = np.where(np.arange(4_000) % 5 == 0, 3.0, 0.0) * np.where(np.arange(4_000) < 2_000, 1, 50)
    assert one_finding(explodes["G"](make_run({"grad_norm_G": values}))).stretch.onset == pytest.approx(
        100_000, abs=1_500
    )


def test_a_network_without_gradient_cannot_explode() -> None:
    assert explodes["G"](make_run({"grad_norm_G": jump(0.0, 5.0, at=0.5)})) == []


def test_norms_are_asked_for() -> None:
    run = make_run({"grad_norm_D": level(1.0)}, points=30)
    assert refusal(vanishes["G"](run)) == ("not-examinable", "missing-signal", "g-grad-norm")
    assert refusal(explodes["D"](run)) == ("too-short", "too-few-points", "")


# --- GD302 beside losses out of their range


def huge_said(network: str, run: Run) -> Said:
    return is_huge[network](run)


@NETWORKS
def test_huge_from_the_first_point_on(network: str) -> None:
    finding = one_finding([one for one in huge_said(network, huge(network)) if isinstance(one, Finding)])
    assert finding.severity is Severity.WARNING
    assert finding.stretch.onset <= 0.12 * 20_000
    assert measured(finding)[f"gradient norm of {network}"] == pytest.approx(900, rel=0.1)
    assert measured(finding)["loss / equilibrium"] > 100


@NETWORKS
def test_neither_a_large_norm_nor_a_large_loss_is_enough(network: str) -> None:
    assert huge_said(network, huge(network, fake=-0.5)) == []
    assert huge_said(network, huge(network, norm=20.0)) == []


@NETWORKS
def test_sums_over_an_epoch_are_not_huge(network: str) -> None:
    assert huge_said(network, huge(network, fake=-0.5, fold=500.0)) == []


@NETWORKS
def test_a_critic_has_no_range_to_leave(network: str) -> None:
    played = game("wgan", 300.0, -300.0, spread=50.0)
    run = make_run(
        {tag: played[tag] for tag in ("loss_D", "loss_G")}
        | {f"grad_norm_{network}": level(900.0)(np.zeros(400))}
    )
    assert refusal(huge_said(network, run))[1] == "no-equilibrium"
