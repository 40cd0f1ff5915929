from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gandoctor.api import diagnose
from gandoctor.detectors.data import reals_out_of_reach, reals_wide_to_an_untrained_d
from gandoctor.run import Run
from tests.runs import Shape, game, hears, level, make_run, measured, noisy, one_finding, pieces, ramp

out_of_reach, wide = hears(reals_out_of_reach), hears(reals_wide_to_an_untrained_d)


def stds(fake: Shape, real: float) -> Run:
    """The standard deviations of fakes and reals within a batch, with the scatter of batches."""
    return make_run(
        {"samples/fake_std": noisy(fake, 0.05), "samples/real_std": noisy(level(real), 0.02, seed=1)}
    )


def spreads(real: float, fake: float, start: int = 0) -> Run:
    """The standard deviations of D's outputs, which begin at these and then are those of any game."""
    late = np.full(400, 1.5)
    columns = {"out/real_std": late.copy(), "out/fake_std": late.copy()}
    columns["out/real_std"][0], columns["out/fake_std"][0] = real, fake
    run = make_run(columns)
    for tag, one in run.series.items():
        run.series[tag] = replace(one, steps=one.steps - one.steps[0] + start)
    return run


FIRES = {
    "reals_out_of_reach": stds(pieces((0, 0.4), (0.2, 0.01)), 64.0),  # bytes against a tanh
    "reals_wide_to_an_untrained_d": spreads(60.0, 0.5),
}
SILENT = {
    "reals_out_of_reach": stds(ramp(0.05, 0.5), 0.5),  # G begins with little
    "reals_wide_to_an_untrained_d": spreads(2.0, 0.5),
}


def test_evidence_and_onset() -> None:
    finding = one_finding(out_of_reach(FIRES["reals_out_of_reach"]))
    assert finding.overwhelming
    assert finding.stretch.onset == 50
    assert finding.stretch.end is None
    assert measured(finding)["std of reals / largest std of fakes"] == pytest.approx(62, abs=3)
    assert finding.params["ratio"] == pytest.approx(145, abs=10)


def test_norms_over_many_values() -> None:
    """Of 64 pixels: reals in bytes, fakes within the tanh."""
    assert one_finding(out_of_reach(stds(ramp(4.0, 0.6), 360.0)))


@pytest.mark.parametrize(
    "run",
    [
        stds(level(0.05), 0.6),  # collapsed within one range
        stds(level(0.0), 64.0),  # z has no effect from the start: nothing is known of G's range
        stds(level(1e-7), 28.0),  # so here, by a norm over 3 x 32 x 32 values
        stds(ramp(0.5, 60.0), 64.0),  # an output without a bound, on its way to unscaled data
        stds(ramp(1.0, 0.3), 3.0),  # norms over few values
    ],
)
def test_what_is_no_mismatch_of_ranges(run: Run) -> None:
    assert out_of_reach(run) == []


def test_it_is_named_before_the_collapse_that_it_looks_like() -> None:
    played = game("non-saturating", ramp(2.0, 8.0), ramp(-2.0, -8.0))
    run = make_run({
        **{tag: played[tag] for tag in ("loss_D", "loss_G")},
        "samples/fake_std": np.geomspace(0.5, 0.01, 400), "samples/real_std": np.full(400, 64.0),
    })  # fmt: skip
    diagnosis = diagnose(run)
    assert diagnosis.primary is not None
    assert diagnosis.primary.finding.code == "GD702"


@pytest.mark.parametrize(
    "run",
    [
        spreads(0.5, 1e-5),  # G starts tiny
        spreads(160.0, 60_000.0),  # first weights N(0, 1) in both networks
        spreads(160.0, 150.0),
        spreads(60.0, 0.5, start=1_000),  # D has been trained
    ],
)
def test_what_an_untrained_d_may_look_like(run: Run) -> None:
    assert wide(run) == []
