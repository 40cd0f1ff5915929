"""Samples that come no nearer to the reals, leave them again, or go in circles; and healthy slow or late ones."""

from __future__ import annotations

import numpy as np
import pytest

from gandoctor.api import diagnose
from gandoctor.detectors.sample_stall import (
    fixed_grid_returns,
    samples_come_no_nearer,
    samples_leave_the_reals,
)
from gandoctor.findings import Severity
from gandoctor.run import Run
from tests.bench.grids import Pixels, digits
from tests.bench.samples import noisy
from tests.drawn import Batch, between, drawn, faces, ring, scenes
from tests.runs import hears, one_finding, refusal

leave, stuck = hears(samples_leave_the_reals), hears(samples_come_no_nearer)
circle = hears(fixed_grid_returns)
RANDOM = np.random.default_rng(0)


def far_off(*doses: float) -> list[Pixels]:
    """Faces in so much noise."""
    return [noisy(faces(i), dose, RANDOM) for i, dose in enumerate(doses)]


def glyphs(seed: int) -> Pixels:
    return digits(np.random.default_rng(seed), 64, 32, 32)


def beside(frames: list[Pixels], reals: Pixels | None = None) -> Run:
    return drawn({"random": frames, "reals": [faces(99, 64) if reals is None else reals]})


def fixed(*turns: float) -> Run:
    """A fixed grid on a circle between scenes, at these parts of a turn."""
    mean, first, second = (one.astype(np.float64) for one in (scenes(0) // 2 + 64, scenes(1), scenes(2)))
    made: list[Batch] = []
    for turn in turns:
        a, b = np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)
        tiles = 128 + 0.2 * (mean - 128) + 0.7 * (a * (first - 128) + b * (second - 128))
        made.append(np.clip(np.rint(tiles), 0, 255).astype(np.uint8))
    return drawn({"fixed": made})


FIRES: dict[str, Run] = {
    "samples_leave_the_reals": beside(far_off(9, 2, 0, 0, 0, 2, 4, 4)),
    "samples_come_no_nearer": beside([scenes(i) for i in range(8)], glyphs(99)),
    "fixed_grid_returns": fixed(*(0.5 * i for i in range(9))),
}
SILENT: dict[str, Run] = {
    "samples_leave_the_reals": beside(far_off(9, 4, 2, 1, 0.5, 0.2, 0.3, 0.25)),  # it bounces at the end
    "samples_come_no_nearer": beside([faces(i) for i in range(8)]),  # all was learnt before the first frame
    "fixed_grid_returns": drawn({"fixed": [scenes(i) for i in range(9)]}),  # restless, without a way back
}


def test_the_turn_is_dated_and_the_best_frame_named() -> None:
    finding = one_finding(leave(FIRES["samples_leave_the_reals"]))
    assert finding.stretch.onset_interval == (12_500, 15_000)
    assert finding.params["best_step"] in (7_500, 10_000, 12_500)
    assert finding.severity is Severity.WARNING
    judged = diagnose(FIRES["samples_leave_the_reals"])
    assert "GD504" in {one.finding.code for one in judged.findings}


def test_one_odd_frame_at_the_end_is_no_turn() -> None:
    assert leave(beside(far_off(9, 2, 0, 0, 0, 0, 0, 4))) == []


def test_healthy_samples_scatter_about_the_reals() -> None:
    for draw in (faces, scenes):
        run = beside([draw(i, 24) for i in range(9)], draw(99, 24))
        assert (leave(run), stuck(run)) == ([], []), draw.__name__


def test_progress_that_stands_near_the_data_is_convergence() -> None:
    assert stuck(beside(far_off(9, 1, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3))) == []


def test_a_slow_run_still_comes_nearer() -> None:
    slow = [between(scenes(i), glyphs(i)[:36], i / 20) for i in range(8)]
    assert stuck(beside(slow, glyphs(99))) == []


def test_texture_that_never_gets_right_is_no_standstill() -> None:
    assert stuck(beside([noisy(scenes(i), 0.3, RANDOM) for i in range(8)], scenes(99, 64))) == []


def test_no_progress_is_told_from_the_middle_on() -> None:
    stretch = one_finding(stuck(FIRES["samples_come_no_nearer"])).stretch
    assert (stretch.onset, stretch.end) == (10_025, None)


@pytest.mark.parametrize("turn", [1 / 2, 1 / 3, 1 / 4])
def test_circles_of_any_period(turn: float) -> None:
    assert one_finding(circle(fixed(*(turn * i for i in range(9))))).evidence[0].value < 0.3


def test_an_arc_and_a_swing_that_settles_are_no_circles() -> None:
    assert circle(fixed(*(0.05 * i for i in range(9)))) == []
    assert circle(drawn({"fixed": [between(scenes(0), scenes(1), 1 - 0.7**i) for i in range(9)]})) == []


def test_points_have_a_distance_too() -> None:
    lost = [ring(i, modes=8) if i < 4 else ring(i, modes=1) for i in range(8)]
    started = [np.random.default_rng(i).normal(size=(64, 2)).astype(np.float32) * 4 for i in range(2)]
    run = drawn({"random": [*started, *lost], "reals": [ring(99, 128)]})
    assert one_finding(leave(run))


def test_without_comparable_reals_it_cannot_be_told() -> None:
    for look in (leave, stuck):
        assert refusal(look(drawn({"random": [faces(i) for i in range(4)]})))[1] == "missing-signal"
        small = drawn({"random": [faces(i) for i in range(4)], "reals": [faces(9, side=16)]})
        assert refusal(look(small))[1] == "tiles-not-like-reals"
        few = drawn({"random": [faces(i) for i in range(4)], "reals": [faces(9, 8)]})
        assert refusal(look(few))[1] == "too-few-tiles"
