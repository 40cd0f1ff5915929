"""Samples whose patches come from different images; and blurred, few, class-wise or plain ones that are coherent."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from gandoctor.api import diagnose
from gandoctor.detectors.sample_coherence import patches_apart
from gandoctor.run import Run
from tests.bench.grids import Pixels, aligned, digits, natural, texture
from tests.bench.samples import mixed, shuffled
from tests.drawn import drawn, faces, nearer, scenes
from tests.runs import hears, one_finding, refusal

apart = hears(patches_apart)
RANDOM = np.random.default_rng(0)


def beside(*frames: Pixels, reals: Pixels | None = None) -> Run:
    return drawn({"random": list(frames), "reals": [faces(9) if reals is None else reals]})


def blurred(tiles: Pixels, radius: float) -> Pixels:
    made = [np.asarray(Image.fromarray(tile).filter(ImageFilter.GaussianBlur(radius))) for tile in tiles]
    return np.stack(made)


FIRES: dict[str, Run] = {"patches_apart": beside(faces(0), *(mixed(faces(i), 1, RANDOM) for i in (1, 2, 3)))}
SILENT: dict[str, Run] = {"patches_apart": beside(*(faces(i) for i in range(4)))}


def test_the_parts_of_a_face_from_several_faces() -> None:
    finding = one_finding(apart(FIRES["patches_apart"]))
    assert finding.evidence[0].statistic.startswith("dependence of neighbouring patches")
    assert finding.evidence[0].value < 0.2
    assert finding.stretch.onset_interval == (5_000, 10_000)
    judged = diagnose(FIRES["patches_apart"])
    assert {one.finding.code for one in judged.findings} == {"GD506"}


def test_the_parts_of_a_face_at_other_places() -> None:
    run = beside(*(shuffled(faces(i), 1, RANDOM) for i in range(3)))
    assert one_finding(apart(run)).evidence[0].value < 0.3


def test_what_became_coherent_is_well() -> None:
    assert apart(beside(mixed(faces(0), 1, RANDOM), mixed(faces(1), 1, RANDOM), faces(2), faces(3))) == []


@pytest.mark.parametrize("radius", [0.7, 1.5, 3])
def test_blurred_samples_are_coherent(radius: float) -> None:
    for draw in (faces, scenes):
        run = beside(*(blurred(draw(i), radius) for i in range(3)), reals=draw(9))
        assert apart(run) == [], draw.__name__


@pytest.mark.parametrize("count", [2, 4, 16])
def test_few_samples_are_coherent(count: int) -> None:
    some = [faces(i)[np.random.default_rng(i).integers(0, count, 36)] for i in range(3)]
    assert apart(beside(*some)) == []


def test_less_varied_samples_are_coherent() -> None:
    assert apart(beside(*(nearer(faces(i), 0.5) for i in range(3)))) == []


def test_class_rows_are_coherent() -> None:
    rows = [np.repeat(faces(i, 6), 6, axis=0) // 2 + faces(i + 10) // 2 for i in range(3)]
    assert apart(beside(*rows)) == []


def test_noise_is_wrong_nearer_at_hand() -> None:
    noise = [np.random.default_rng(i).integers(0, 256, (36, 32, 32, 3), np.uint8) for i in range(3)]
    assert apart(beside(*noise)) == []


def test_shuffled_texture_misses_nothing() -> None:
    plaids = [texture(np.random.default_rng(i), 36, 32, 32) for i in range(4)]
    run = beside(*(shuffled(tiles, 1, RANDOM) for tiles in plaids[:3]), reals=plaids[3])
    assert apart(run) == []


@pytest.mark.parametrize("draw", [aligned, natural, digits])
def test_twenty_tiles_are_enough(draw) -> None:  # type: ignore[no-untyped-def]
    pool = draw(np.random.default_rng(3), 80, 32, 32)
    healthy = drawn({"random": [pool[:20], pool[20:40], pool[40:60]], "reals": [pool[60:]]})
    assert apart(healthy) == []


def test_without_reals_it_cannot_be_told() -> None:
    assert refusal(apart(drawn({"random": [faces(i) for i in range(3)]})))[1] == "missing-signal"
    few = drawn({"random": [faces(i) for i in range(3)], "reals": [faces(9, 8)]})
    assert refusal(apart(few))[1:] == ("too-few-tiles", "real-grids")
    grey = drawn({"random": [faces(i) for i in range(3)], "reals": [faces(9)[..., :1]]})
    assert refusal(apart(grey))[1] == "tiles-not-like-reals"
