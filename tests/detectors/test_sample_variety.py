"""Sample grids that are alike, less varied than reals, or deaf to z; and the healthy ones that look like it."""

from __future__ import annotations

import numpy as np
import pytest

from gandoctor.api import diagnose
from gandoctor.detectors.sample_variety import (
    random_grid_is_constant,
    rows_are_one,
    tiles_alike,
    tiles_closer_than_reals,
    tiles_grew_alike,
    tiles_grew_less_varied,
    tiles_less_varied_than_reals,
)
from gandoctor.findings import Severity
from gandoctor.run import Run
from tests.drawn import END, Batch, between, drawn, faces, nearer, ring, scenes
from tests.runs import hears, make_run, one_finding, refusal

alike, grew_alike, grew_less = hears(tiles_alike), hears(tiles_grew_alike), hears(tiles_grew_less_varied)
closer, less = hears(tiles_closer_than_reals), hears(tiles_less_varied_than_reals)
constant, rows = hears(random_grid_is_constant), hears(rows_are_one)


def grid_of_rows(within: float) -> Batch:
    """6 x 6 tiles: a scene to each row, and within a row so much of another."""
    base = np.repeat(scenes(1, 6), 6, axis=0)
    return between(base, scenes(2, 36), within)


GREY = np.full((36, 32, 32, 3), 128, np.uint8)
FIRES: dict[str, Run] = {
    "tiles_alike": drawn({"random": [faces(0), faces(1), nearer(faces(2), 0.1), nearer(faces(3), 0.1)]}),
    "tiles_grew_alike": drawn({"random": [faces(0), faces(1), nearer(faces(2), 0.3), nearer(faces(3), 0.3)]}),
    "tiles_grew_less_varied": drawn(
        {"random": [faces(0), faces(1), nearer(faces(2), 0.35), nearer(faces(3), 0.35)]}
    ),
    "tiles_closer_than_reals": drawn({"random": [nearer(faces(i), 0.3) for i in range(3)], "reals": [faces(9)]}),
    "tiles_less_varied_than_reals": drawn(
        {"random": [nearer(faces(i), 0.65) for i in range(3)], "reals": [faces(9)]}
    ),
    "random_grid_is_constant": drawn({"random": [scenes(i)[:1].repeat(36, 0) for i in range(3)],
                                      "fixed": [scenes(5), scenes(6), scenes(7)]}),
    "rows_are_one": drawn({"samples": [grid_of_rows(0.0), grid_of_rows(0.005)]}),
}  # fmt: skip
SILENT: dict[str, Run] = {
    # A fixed grid that repeats over time is no collapse, and aligned tiles have much in common.
    "tiles_alike": drawn({"fixed": [faces(0), faces(0), faces(0), faces(0)]}),
    # Out of noise come samples that vary less than it.
    "tiles_grew_alike": drawn(
        {"random": [np.random.default_rng(i).integers(0, 256, (36, 32, 32, 3), np.uint8) for i in range(2)]
                   + [faces(0), faces(1)]}
    ),
    "tiles_grew_less_varied": drawn({"random": [scenes(0), scenes(1), faces(0), faces(1)]}),
    "tiles_closer_than_reals": drawn({"random": [faces(i) for i in range(3)], "reals": [faces(9)]}),
    "tiles_less_varied_than_reals": drawn(
        {"random": [nearer(faces(i), 0.95) for i in range(3)], "reals": [faces(9, n=16)]}
    ),
    "random_grid_is_constant": drawn({"random": [scenes(i) for i in range(3)],
                                      "fixed": [scenes(5), scenes(6), scenes(7)]}),
    "rows_are_one": drawn({"samples": [grid_of_rows(0.3), grid_of_rows(0.3)]}),
}  # fmt: skip


def test_the_proof_names_the_frame_and_its_tiles() -> None:
    copied = faces(3)
    copied[[4, 11]] = copied[2]
    run = drawn({"random": [faces(0), faces(1), nearer(copied, 0.1), nearer(copied, 0.1)]})
    finding = one_finding(alike(run))
    assert finding.params["grid"] == run.images[3].source.name
    assert finding.params["frame"] == END
    assert {"3 = 5", "3 = 12", "5 = 12"} <= set(str(finding.params["tiles"]).split(", "))
    assert finding.stretch.onset_interval == (END // 2, END * 3 // 4)
    assert finding.stretch.end is None


@pytest.mark.parametrize(("share", "severity"), [(0.1, Severity.WARNING), (0.0, Severity.ERROR)])
def test_only_equal_tiles_are_an_error_without_reals(share: float, severity: Severity) -> None:
    run = drawn({"random": [nearer(faces(i), share) for i in range(4)]})
    assert one_finding(alike(run)).severity is severity


def test_a_collapse_in_every_frame_began_with_the_run() -> None:
    finding = one_finding(alike(drawn({"random": [nearer(faces(i), 0.05) for i in range(4)]})))
    assert (finding.stretch.onset, finding.stretch.onset_interval) == (50, (50, END // 4))


def test_three_tiles_over_and_over() -> None:
    some = faces(0)[np.arange(36) % 2]
    finding = one_finding(alike(drawn({"random": [some, some]})))
    assert finding.evidence[0].statistic == "different samples, by near-duplicates"
    assert finding.evidence[0].value == pytest.approx(2, abs=0.1)


def test_ten_kinds_of_near_duplicates_are_as_many_as_letters() -> None:
    assert alike(drawn({"random": [faces(0)[np.arange(36) % 10] for _ in range(3)]})) == []


def test_points() -> None:
    assert one_finding(alike(drawn({"random": [ring(i, modes=1, sigma=0.02) for i in range(3)]})))
    assert (
        one_finding(alike(drawn({"random": [np.full((64, 2), 0.3, np.float32)] * 3}))).severity
        is Severity.ERROR
    )
    assert alike(drawn({"random": [ring(i) for i in range(3)]})) == []
    assert alike(drawn({"random": [ring(i, modes=2) for i in range(3)]})) == []


def test_points_without_variety_in_any_frame_break_nothing() -> None:
    nothing = drawn(
        {"random": [np.zeros((64, 2), np.float32)] * 4, "fixed": [np.zeros((64, 2), np.float32)] * 4}
    )
    assert grew_alike(nothing) == []
    assert diagnose(nothing).run.problems == []


def test_one_odd_frame_is_no_collapse() -> None:
    assert alike(drawn({"random": [faces(0), nearer(faces(1), 0.0), faces(2), faces(3)]})) == []
    assert alike(drawn({"random": [faces(0), faces(1), faces(2), nearer(faces(3), 0.0)]})) == []


def test_blank_tiles_are_another_symptom() -> None:
    assert alike(drawn({"random": [GREY] * 4})) == []


def test_random_grids_speak_before_fixed_ones() -> None:
    run = drawn({"random": [faces(i) for i in range(3)], "fixed": [nearer(faces(0), 0.0)] * 3})
    assert alike(run) == []


def test_collapse_against_reals_is_graded() -> None:
    def at(share: float) -> list[tuple[str, Severity]]:
        run = drawn({"random": [nearer(faces(i), share) for i in range(3)], "reals": [faces(9)]})
        return [(one.code, one.severity) for one in (*closer(run), *less(run))]  # type: ignore[union-attr]

    assert at(0.2) == [("GD401", Severity.ERROR)]
    assert at(0.42) == [("GD401", Severity.WARNING)]
    assert at(0.7) == [("GD402", Severity.WARNING)]
    assert at(0.9) == []


def test_a_fixed_grid_in_place_of_a_random_one() -> None:
    grids = [scenes(i) for i in range(3)]
    assert one_finding(constant(drawn({"random": grids, "fixed": grids})))


def test_too_few_tiles_are_said_to_be_too_few() -> None:
    said = alike(drawn({"random": [faces(0)[:4]] * 3}))
    assert refusal(said) == ("not-examinable", "grid-not-split", "")


def test_without_grids_they_are_asked_for() -> None:
    run = make_run({"loss_D": np.ones(50)})
    assert refusal(alike(run)) == ("not-examinable", "missing-signal", "sample-grids")
    with_grids = drawn({"random": [faces(0)] * 3})
    assert refusal(closer(with_grids)) == ("not-examinable", "missing-signal", "real-grids")
