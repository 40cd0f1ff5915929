"""Sample grids with jumps, lattices, noise, blank tiles, or another range than the reals."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from gandoctor.api import diagnose
from gandoctor.detectors.sample_quality import (
    lattice_of_up_sampling,
    pixels_of_noise,
    reals_of_another_range,
    samples_not_finite,
    strips_that_jump,
    tiles_clipped,
    tiles_of_one_colour,
)
from gandoctor.findings import Severity
from gandoctor.run import Run
from tests.bench.grids import Pixels, digits, shapes, texture
from tests.bench.samples import clipped, uneven
from tests.drawn import between, drawn, faces, ring, scenes
from tests.runs import hears, one_finding, refusal

lattice, noise = hears(lattice_of_up_sampling), hears(pixels_of_noise)
blank, jumps, off = hears(tiles_of_one_colour), hears(strips_that_jump), hears(reals_of_another_range)
RANDOM = np.random.default_rng(0)


def woven(seed: int, dose: float = 0.4) -> Pixels:
    """Scenes out of a transposed convolution whose kernel is no multiple of its stride."""
    return uneven(scenes(seed), dose, RANDOM)


def rough(seed: int, side: int = 32) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (36, side, side, 3), np.uint8)


def strips(shares: list[float], seed: int = 0) -> Pixels:
    """8 rows from one scene to another, at these shares of the way."""
    first, second = scenes(seed, 8), scenes(seed + 100, 8)
    return np.stack([between(first, second, share) for share in shares], axis=1).reshape(-1, 32, 32, 3)


def jpeg(tiles: Pixels, quality: int) -> Pixels:
    """Each tile through JPEG."""
    made = []
    for tile in tiles:
        file = io.BytesIO()
        Image.fromarray(tile).save(file, "JPEG", quality=quality)
        made.append(np.asarray(Image.open(file)))
    return np.stack(made)


def with_nan(points: np.ndarray) -> np.ndarray:
    broken = points.copy()
    broken[3, 0] = np.nan
    return broken


BLACK = np.zeros((36, 32, 32, 3), np.uint8)
HALF = (scenes(8) // 2 + 128).astype(np.uint8)  # de-normalised twice: only the upper half of the range
EVEN = [i / 7 for i in range(8)]
FIRES: dict[str, Run] = {
    "samples_not_finite": drawn({"random": [ring(0), with_nan(ring(1)), with_nan(ring(2))]}),
    "lattice_of_up_sampling": drawn({"random": [woven(i) for i in range(3)]}),
    "pixels_of_noise": drawn({"random": [rough(i) for i in range(3)]}),
    "tiles_of_one_colour": drawn({"random": [scenes(0), BLACK, BLACK]}),
    "tiles_clipped": drawn({"random": [clipped(faces(i), 3, RANDOM) for i in range(3)], "reals": [faces(9)]}),
    "strips_that_jump": drawn(
        {"interpolation": [strips([0, 0, 0.03, 0.05, 0.95, 0.97, 1, 1]) for _ in range(2)]}
    ),
    "reals_of_another_range": drawn({"random": [HALF] * 3, "reals": [(scenes(9) // 2).astype(np.uint8)]}),
}
SILENT: dict[str, Run] = {
    "samples_not_finite": drawn({"random": [with_nan(ring(0)), ring(1), 1e30 * ring(2)]}),
    "lattice_of_up_sampling": drawn({"random": [jpeg(scenes(i), 40) for i in range(3)]}),
    "pixels_of_noise": drawn({"random": [rough(0), rough(1), scenes(0), scenes(1)]}),  # G begins with noise
    "tiles_of_one_colour": drawn({"random": [np.concatenate([scenes(i, 30), BLACK[:6]]) for i in range(3)]}),
    "tiles_clipped": drawn(  # most of a digit is black by nature
        {
            "random": [digits(np.random.default_rng(i), 36, 32, 32) for i in range(3)],
            "reals": [digits(np.random.default_rng(9), 36, 32, 32)],
        }
    ),
    "strips_that_jump": drawn({"interpolation": [strips(EVEN), strips(EVEN, 1)]}),
    "reals_of_another_range": drawn({"random": [scenes(i) for i in range(3)], "reals": [scenes(9)]}),
}


# --- lattices


def test_a_lattice_tells_its_share_of_the_variance() -> None:
    finding = one_finding(lattice(FIRES["lattice_of_up_sampling"]))
    assert finding.severity is Severity.WARNING
    assert 0.01 < finding.evidence[0].value < 0.5


def test_a_lattice_that_training_removed_is_over() -> None:
    assert lattice(drawn({"random": [woven(0), woven(1), scenes(2), scenes(3)]})) == []


@pytest.mark.parametrize("quality", [20, 50, 90])
def test_blocks_of_jpeg_are_no_lattice(quality: int) -> None:
    assert lattice(drawn({"random": [jpeg(faces(i), quality) for i in range(3)]})) == []


def test_stripes_and_shapes_are_no_lattice() -> None:
    for draw in (texture, shapes, digits):
        tiles = [draw(np.random.default_rng(i), 36, 32, 32) for i in range(3)]
        assert lattice(drawn({"random": tiles})) == [], draw.__name__


def test_data_woven_like_that_count_off() -> None:
    assert lattice(drawn({"random": [woven(i) for i in range(3)], "reals": [woven(9)]})) == []


def test_small_tiles_have_no_texture() -> None:
    said = refusal(lattice(drawn({"random": [scenes(i, side=8) for i in range(3)]})))
    assert said == ("not-examinable", "tiles-too-small", "")


# --- noise, blank tiles, NaN


def test_nothing_but_nan() -> None:
    nothing = drawn({"random": [np.full((64, 2), np.nan, np.float32)] * 3})
    finding = one_finding(hears(samples_not_finite)(nothing))
    assert (finding.overwhelming, finding.params["share"]) == (True, 1.0)
    assert {one.finding.code for one in diagnose(nothing).findings} == {"GD105"}
    images = np.full((16, 32, 32, 3), np.inf, np.float32)
    assert one_finding(hears(samples_not_finite)(drawn({"random": [images] * 3})))


def test_noise_names_its_tiles() -> None:
    finding = one_finding(noise(FIRES["pixels_of_noise"]))
    assert finding.params["tiles"] == "1, 2, 3, 4"
    assert finding.evidence[0].value == pytest.approx(0, abs=0.1)


def test_rough_data_are_no_noise_of_g() -> None:
    assert noise(drawn({"random": [rough(i) for i in range(3)], "reals": [rough(9)]})) == []


def test_digits_are_no_noise() -> None:
    tiles = [digits(np.random.default_rng(i), 36, 28, 28) for i in range(3)]
    assert noise(drawn({"random": tiles})) == []


def test_black_to_the_end_is_an_error() -> None:
    finding = one_finding(blank(FIRES["tiles_of_one_colour"]))
    assert finding.severity is Severity.ERROR
    assert finding.overwhelming
    assert blank(drawn({"random": [BLACK, BLACK, scenes(0), scenes(1)]})) == []


def test_clipping_is_told_by_the_reals() -> None:
    finding = one_finding(hears(tiles_clipped)(FIRES["tiles_clipped"]))
    assert finding.severity is Severity.WARNING
    assert 0.2 < finding.evidence[0].value < finding.params["share"] <= 1
    mild = drawn({"random": [clipped(faces(i), 0.2, RANDOM) for i in range(3)], "reals": [faces(9)]})
    assert hears(tiles_clipped)(mild) == []


def test_points_at_the_corners_of_a_tanh() -> None:
    corner = np.ones((64, 2), np.float32)
    assert one_finding(blank(drawn({"random": [ring(0), corner, corner]})))
    assert blank(drawn({"random": [ring(i) for i in range(3)]})) == []


def test_lone_pictures_tell_nothing() -> None:
    """A data set beside the log, one picture a file: black masks, textures, noise."""
    for pictures in ([BLACK[:1]] * 3, [woven(i)[:1] for i in range(3)], [rough(i)[:1] for i in range(3)]):
        run = drawn({"mask": pictures})
        for look in (lattice, noise, blank):
            assert refusal(look(run))[0] == "not-examinable"


# --- interpolations


def test_jumps_name_the_rows() -> None:
    finding = one_finding(jumps(FIRES["strips_that_jump"]))
    assert finding.params["share"] == 1
    assert str(finding.params["tiles"]).split(", ")[:2] == ["1", "9"]


def test_between_separate_kinds_one_must_jump() -> None:
    letters = [scenes(0)[np.random.default_rng(i).integers(0, 8, 36)] for i in range(2)]
    jumping = [strips([0, 0, 0, 0, 1, 1, 1, 1])] * 2
    assert jumps(drawn({"interpolation": jumping, "random": letters})) == []
    assert one_finding(jumps(drawn({"interpolation": jumping, "random": [scenes(1), scenes(2)]})))
    assert refusal(jumps(drawn({"interpolation": [ring(0)] * 2})))[1] == "grid-not-split"


# --- reals


def test_red_and_blue_swapped() -> None:
    tinted = [np.clip(scenes(i) * np.array([1.2, 1, 0.6]), 0, 255).astype(np.uint8) for i in range(4)]
    run = drawn({"random": [tile[..., ::-1] for tile in tinted[:3]], "reals": [tinted[3]]})
    assert one_finding(off(run)).evidence[0].statistic.startswith("colours")
    assert off(drawn({"random": tinted[:3], "reals": [tinted[3]]})) == []
