"""Sample grids are split right or not at all."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from gandoctor.contents.pictures import read_picture
from gandoctor.interpret.tiles import Layout, cut, find_layout, split, split_all
from gandoctor.run import ImageGrid
from tests.bench import grids

CORPUS = Path(__file__).parents[2] / "../shared/corpus"


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def laid(content: grids.Content, rows: int, cols: int, side: int, gap: int, colour: int = 0) -> grids.Case:
    tiles = content(random(), rows * cols, side, side)
    return grids._lay("", content.__name__, tiles, rows, cols, gap, colour)


def seen(image: grids.Pixels) -> tuple[int, int, int, int, str] | None:
    found = split(image)
    if found is None:
        return None
    layout = found.layout
    return layout.rows, layout.cols, layout.height, layout.width, layout.how


# --- what is found ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "gap", "colour", "how"),
    [
        (grids.natural, 2, 0, "lines"),
        (grids.natural, 4, 255, "lines"),
        (grids.noise, 2, 128, "lines"),
        (grids.collapsed, 2, 0, "lines"),
        (grids.digits, 2, 0, "margins"),
        (grids.digits, 0, 0, "margins"),
        (grids.dark_digits, 2, 255, "margins"),
        (grids.natural, 0, 0, "seams"),
        (grids.blobs, 0, 0, "seams"),
        (grids.aligned, 0, 0, "seams"),
        (grids.checker, 0, 0, "seams"),
    ],
)
def test_each_way(content: grids.Content, gap: int, colour: int, how: str) -> None:
    case = laid(content, 5, 8, 32, gap, colour)
    assert seen(case.image) == (5, 8, 32, 32, how)


def test_tiles_are_the_pixels_that_were_laid() -> None:
    tiles = grids.natural(random(), 12, 20, 28)
    found = split(grids._lay("", "", tiles, 3, 4, 3, 255).image)
    assert found is not None
    assert np.array_equal(found.tiles, tiles)
    assert found.layout.padding == (3, 3)
    assert (found.layout.tops, found.layout.lefts) == ((3, 26, 49), (3, 34, 65, 96))


def test_the_empty_end_of_the_last_row_is_no_tile() -> None:
    tiles = grids.natural(random(), 21, 32, 32)
    found = split(grids._lay("", "", tiles, 3, 8, 2, 0).image)
    assert found is not None
    assert found.layout.count == 21
    assert np.array_equal(found.tiles, tiles)


def test_a_row_of_blank_samples_counts() -> None:
    tiles = grids.natural(random(), 24, 32, 32)
    tiles[16:] = 0
    found = split(grids._lay("", "", tiles, 3, 8, 2, 0).image)
    assert found is not None
    assert len(found.tiles) == 24


def test_one_row_and_one_picture() -> None:
    assert seen(laid(grids.natural, 1, 8, 32, 0).image) == (1, 8, 32, 32, "seams")
    assert seen(laid(grids.natural, 1, 8, 32, 2).image) == (1, 8, 32, 32, "lines")
    assert seen(laid(grids.natural, 1, 1, 64, 0).image) == (1, 1, 64, 64, "single")


def test_grey_is_split_like_colour() -> None:
    image = laid(grids.natural, 4, 8, 32, 0).image[..., :1]
    assert seen(image) == (4, 8, 32, 32, "seams")


# --- what is not ------------------------------------------------------------------------------------------


def test_what_nobody_can_split() -> None:
    assert split(laid(grids.noise, 4, 8, 32, 0).image) is None
    assert split(np.zeros((66, 130, 3), np.uint8)) is None
    assert split(np.full((64, 64, 1), 255, np.uint8)) is None


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 300, 3), (300, 1, 1)])
def test_too_small_for_a_tile(shape: tuple[int, int, int]) -> None:
    assert split(random().integers(0, 256, shape, np.uint8)) is None


def test_texture_is_no_grid() -> None:
    """Up-sampling with stride 8 draws lines at every 8th pixel of one picture; so do JPEG's blocks."""
    picture = grids.natural(random(), 1, 128, 128)[0].astype(int)
    woven = picture + np.tile(random(1).integers(-30, 31, (8, 8, 3)), (16, 16, 1))
    found = seen(np.clip(woven, 0, 255).astype(np.uint8))
    assert found is None or found[:2] == (1, 1)


def test_curves_on_white_are_no_samples() -> None:
    figure = np.full((200, 420, 3), 255, np.uint8)
    for left in (20, 230):
        figure[20:180, [left, left + 170]] = 0
        figure[[20, 179], left : left + 171] = 0
        x = np.arange(170)
        figure[(100 + 60 * np.sin(x / 20)).astype(int), left + x] = (0, 0, 255)
    assert split(figure) is None


# --- several frames ---------------------------------------------------------------------------------------


def test_frames_add_up() -> None:
    """All frames of a run get one layout."""
    frames = [
        grids._lay("", "", grids.shapes(random(seed), 8, 28, 28), 1, 8, 0, 0).image for seed in range(6)
    ]
    found = split_all(frames)
    assert found is not None
    assert {one.layout for one in found} == {Layout((0,), tuple(range(0, 224, 28)), 28, 28, "seams", 8)}
    assert np.array_equal(found[2].tiles, cut(frames[2], found[0].layout))


@pytest.mark.parametrize("gap", [0, 2])
def test_a_blank_frame_takes_nothing_away(gap: int) -> None:
    good = laid(grids.natural, 4, 8, 32, gap).image
    layout = find_layout([good, np.zeros_like(good)])
    assert layout is not None
    assert (layout.rows, layout.cols, layout.height) == (4, 8, 32)


def test_frames_of_other_sizes_are_an_error() -> None:
    with pytest.raises(ValueError, match="different sizes"):
        find_layout([np.zeros((64, 64, 3), np.uint8), np.zeros((64, 66, 3), np.uint8)])


# --- rates ------------------------------------------------------------------------------------------------


def test_rates_on_drawn_grids() -> None:
    """A sample of what `tests/bench/grids.py` measures: hardly ever wrong, mostly right."""
    counts: Counter[str] = Counter()
    for case in grids.cases(32, seed=5):
        found = split(case.image)
        says = grids.verdict(case, found and found.layout)
        counts[says if case.possible else f"impossible {says}"] += 1
    assert counts["wrong"] + counts["impossible wrong"] == 0
    assert counts["right"] >= 25


TRUTH = {  # rows, columns, side, padding
    "samples-acgan": (8, 5, 32, 2),
    "samples-wgan-gp": (8, 5, 32, 2),
    "samples-wgan-weight-clipping": (8, 5, 32, 2),
    "samples-cifar-dcgan-k": (16, 8, 64, 2),
    "samples-zhihao-exp4": (8, 8, 64, 0),
    "tb-cats-dcgan-2000": (4, 4, 64, 0),
    "tb-cats-dcgan-basic": (4, 4, 64, 0),
    "tb-cats-dcgan-deluxe": (4, 4, 64, 0),
    "tb-cats-dcgan-diffaug": (4, 4, 64, 0),
    "wgangp-isic-logpkl": (16, 8, 128, 2),
}


@pytest.mark.parametrize("run", TRUTH)
def test_corpus(run: str) -> None:
    """Each grid of the corpus is split right or not at all, and most are."""
    if not (CORPUS / run).exists():
        pytest.skip("the corpus is not here")
    files = [path for path in (CORPUS / run).iterdir() if path.suffix in (".png", ".jpg")]
    answers = [split(read_picture(ImageGrid("", None, path)).pixels) for path in files]
    layouts = [one.layout for one in answers if one is not None]
    found = {(one.rows, one.cols, one.height, one.width, *one.padding) for one in layouts}
    rows, cols, side, gap = TRUTH[run]
    assert found == {(rows, cols, side, side, gap, gap)}
    assert len(layouts) >= len(files) - 1
