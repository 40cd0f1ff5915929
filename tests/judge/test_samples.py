"""The two scores of the samples, and which grids would date an illness."""

from __future__ import annotations

import numpy as np
import pytest

from gandoctor.api import diagnose
from gandoctor.judge.diagnosis import Samples
from gandoctor.reports import rows
from gandoctor.run import Run
from tests.bench.samples import noisy
from tests.drawn import drawn, faces, nearer
from tests.runs import level, make_run

RANDOM = np.random.default_rng(0)


def samples(run: Run) -> Samples:
    found = diagnose(run).samples
    assert found is not None
    return found


def test_quality_and_variety_are_told_apart() -> None:
    reals = faces(99, 64)
    good = samples(drawn({"random": [faces(0), faces(1)], "reals": [reals]}))
    alike = samples(drawn({"random": [nearer(faces(0), 0.1)] * 2, "reals": [reals]}))
    rough = samples(drawn({"random": [noisy(faces(0), 0.5, RANDOM)] * 2, "reals": [reals]}))
    assert [one.beside for one in (good, alike, rough)] == ["reals"] * 3
    assert good.quality is not None
    assert alike.quality is not None
    assert rough.quality is not None
    assert min(good.quality, alike.quality) > 0.8 > 0.2 > rough.quality
    assert good.variety == pytest.approx(1, abs=0.15)
    assert rough.variety == pytest.approx(1, abs=0.2)
    assert alike.variety == pytest.approx(0.1, abs=0.03)


def test_without_reals_there_is_no_quality() -> None:
    found = samples(drawn({"random": [faces(0), faces(1), nearer(faces(2), 0.3)]}))
    assert (found.quality, found.beside) == (None, "best-frame")
    assert found.variety is not None
    assert found.variety < 0.5


def test_without_pictures_there_is_nothing() -> None:
    assert diagnose(make_run({"loss_D": level(1.2)})).samples is None


def test_grids_that_are_missing_or_too_seldom() -> None:
    run = drawn({"random": [faces(i) for i in range(20)], "fixed": [faces(i) for i in range(4)]})
    kinds = {one.kind: one for one in samples(run).grids}
    assert (kinds["random-noise"].frames, kinds["random-noise"].every, kinds["random-noise"].dated) == (
        20,
        1_000,
        True,
    )
    assert (kinds["fixed-noise"].every, kinds["fixed-noise"].dated) == (5_000, False)
    assert (kinds["interpolation"].frames, kinds["interpolation"].every) == (0, None)
    assert kinds["interpolation"].wanted == 1_000  # a twentieth
    shown = rows.report([diagnose(run)]).runs[0].samples
    assert shown is not None
    assert [one.said for one in shown.grids] == [
        "grids of fixed noise: 4 frames, one every 5,000 steps",
        "grids of random noise: 20 frames, one every 1,000 steps",
        "grids of interpolations: none",
    ]
    assert shown.advice == "one of each every 1,000 steps would date an illness within 10% of the run"
    chinese = rows.report([diagnose(run)], "zh").runs[0].samples
    assert chinese is not None
    assert chinese.grids[2].said == "插值网格：没有"
    assert chinese.advice.startswith("每种每 1,000 步存一帧")


@pytest.mark.parametrize(("frames", "dated"), [(9, False), (10, True)])
def test_ten_frames_date_within_a_tenth(frames: int, dated: bool) -> None:
    """Ten gaps of a tenth each; the run begins at step 50."""
    found = samples(drawn({"random": [faces(i) for i in range(frames)]}))
    assert [one.dated for one in found.grids if one.kind == "random-noise"] == [dated]
