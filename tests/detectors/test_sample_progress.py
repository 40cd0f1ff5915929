"""Fixed-noise grids that never change, stop changing, or hop; and healthy ones that change slowly."""

from __future__ import annotations

import numpy as np

from gandoctor.detectors.sample_progress import grid_never_changes, grid_stopped_changing, samples_hop
from gandoctor.findings import Severity
from gandoctor.run import Run
from tests.bench.grids import Pixels
from tests.drawn import between, drawn, faces, nearer, ring, scenes
from tests.runs import hears, one_finding

never, stopped, hop = hears(grid_never_changes), hears(grid_stopped_changing), hears(samples_hop)


def on_the_way(*shares: float) -> list[Pixels]:
    """A fixed grid so far on its way from one state to another."""
    first, second = scenes(0), scenes(1)
    return [between(first, second, share) for share in shares]


def at_mode(mode: int, seed: int) -> np.ndarray:
    angle = mode * 2 * np.pi / 8
    points = np.array([np.cos(angle), np.sin(angle)]) + 0.05 * np.random.default_rng(seed).normal(
        size=(64, 2)
    )
    return points.astype(np.float32)


FIRES: dict[str, Run] = {
    "grid_never_changes": drawn({"fixed": [scenes(0)] * 4}),
    "grid_stopped_changing": drawn({"fixed": [scenes(1), scenes(2), *[scenes(0)] * 6]}),
    "samples_hop": drawn({"random": [at_mode(mode, i) for i, mode in enumerate((0, 3, 6, 1, 4, 2, 7, 5))]}),
}
SILENT: dict[str, Run] = {
    "grid_never_changes": drawn({"fixed": on_the_way(0, 0.05, 0.1, 0.12)}),  # a slow one
    "grid_stopped_changing": drawn(  # a rate that falls to nothing
        {"fixed": on_the_way(0, 0.4, 0.6, 0.8, 0.9, 0.96, 0.99, 1, 1)}
    ),
    "samples_hop": drawn({"random": [ring(i) for i in range(8)]}),
}


def test_a_grid_that_is_the_same_to_the_bit_is_an_error() -> None:
    finding = one_finding(never(FIRES["grid_never_changes"]))
    assert finding.severity is Severity.ERROR
    assert finding.stretch.onset == 50
    assert finding.params["network"] == "G"


def test_a_grid_that_hardly_changes_is_dated_by_its_first_frame() -> None:
    finding = one_finding(never(drawn({"fixed": on_the_way(0, 0.001, 0.002, 0.003)})))
    assert finding.severity is Severity.WARNING
    assert finding.stretch.onset == finding.stretch.onset_interval[1] > 50


def test_a_stream_without_a_telling_name_may_hold_inputs() -> None:
    assert never(drawn({"x": [scenes(0)] * 4})) == []
    assert one_finding(never(drawn({"fakes": [scenes(0)] * 4})))


def test_random_noise_that_repeats_is_not_looked_at() -> None:
    assert never(drawn({"random": [scenes(0)] * 4}))[0].state == "not-examinable"  # type: ignore[union-attr]


def test_a_collapsed_grid_may_stand_still() -> None:
    one = faces(0)[:1].repeat(36, 0)
    assert never(drawn({"fixed": [one] * 4})) == []


def test_standing_still_is_dated() -> None:
    finding = one_finding(stopped(FIRES["grid_stopped_changing"]))
    assert (finding.stretch.onset_interval, finding.stretch.end) == ((5_000, 7_500), None)


def test_a_grid_that_never_moved_is_no_stall() -> None:
    assert stopped(drawn({"fixed": [scenes(0)] * 8})) == []


def test_colours_that_drift_less_and_less_are_no_hops() -> None:
    tints = [np.array([0.6 + 0.4 * i / 8, 1, 1]) for i in range(8)]
    frames = [np.clip(faces(i) * tint, 0, 255).astype(np.uint8) for i, tint in enumerate(tints)]
    assert hop(drawn({"random": frames})) == []


def test_images_hop_when_they_leave_their_spread_behind() -> None:
    one, other = (nearer(scenes(i), 0.3) for i in (0, 1))
    dark = (other // 3).astype(np.uint8)
    assert one_finding(hop(drawn({"random": [one, dark, one, dark, one, dark, one, dark]})))
    bright = scenes(0)
    dimmed = (bright * 0.85).astype(np.uint8)
    assert hop(drawn({"random": [bright, dimmed, bright, dimmed, bright, dimmed, bright, dimmed]})) == []


def test_a_drift_goes_one_way() -> None:
    assert hop(drawn({"random": [ring(i) + np.float32(3 * i) for i in range(8)]})) == []


def test_one_mode_is_left_behind_and_another_found() -> None:
    run = drawn({"random": [ring(0), at_mode(0, 1), at_mode(4, 2), at_mode(1, 3)]})
    assert one_finding(hop(run)).stretch.onset_interval[1] == 10_000
