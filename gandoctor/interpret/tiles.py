"""Splits a sample grid into its tiles without being told how it was laid out.

Evidence, the surest first: lines of one colour between the tiles (torchvision's padding); the margins of
dark tiles on a dark ground, whose period must add up to the picture's size; seams, where rows next to
each other differ as unrelated pictures do; the white gutters of a figure. Where none decides there is
no answer: a wrong split would make every statistic of the samples wrong.

Several frames of one run have one layout, and their evidence adds up. Cost is linear in the pixels, and
wide pictures are thinned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt

Pixels: TypeAlias = npt.NDArray[np.uint8]
Profile: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]

SMALLEST = 8  # side of a tile, in pixels


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the tiles are: tile (i, j) has rows tops[i] to tops[i] + height, columns lefts[j] to + width.

    how: "lines", "margins", "seams", "figure" or "single". count: tiles, row by row; below rows * cols
    where the end of the last row is empty.
    """

    tops: tuple[int, ...]
    lefts: tuple[int, ...]
    height: int
    width: int
    how: str
    count: int

    @property
    def rows(self) -> int:
        """Rows of tiles."""
        return len(self.tops)

    @property
    def cols(self) -> int:
        """Columns of tiles."""
        return len(self.lefts)

    @property
    def padding(self) -> tuple[int, int]:
        """Pixels between rows and between columns; 0 where there is one."""
        rows = self.tops[1] - self.tops[0] - self.height if self.rows > 1 else 0
        cols = self.lefts[1] - self.lefts[0] - self.width if self.cols > 1 else 0
        return rows, cols


@dataclass(frozen=True, slots=True, eq=False)
class Tiles:
    """The tiles of a picture, uint8 (n, height, width, c), row by row, and their layout."""

    tiles: Pixels
    layout: Layout


def split(image: Pixels) -> Tiles | None:
    """Split one grid, uint8 (h, w, c). None where the picture does not tell where its tiles are."""
    found = split_all([image])
    return None if found is None else found[0]


def split_all(images: Sequence[Pixels]) -> list[Tiles] | None:
    """Split several frames of one run (and its reals), all uint8 (h, w, c) of one size, by one layout."""
    layout = find_layout(images)
    if layout is None:
        return None
    return [Tiles(cut(image, layout), layout) for image in images]


def cut(image: Pixels, layout: Layout) -> Pixels:
    """The tiles of a picture, (h, w, c) -> (n, height, width, c): a copy."""
    tiles = [
        image[top : top + layout.height, left : left + layout.width]
        for top in layout.tops
        for left in layout.lefts
    ]
    return cast("Pixels", np.stack(tiles[: layout.count]))


def find_layout(images: Sequence[Pixels]) -> Layout | None:
    """The layout that frames of one size share, or None. images: at least one, uint8 (h, w, c) each.

    Raises ValueError where the sizes differ.
    """
    if len({image.shape for image in images}) != 1:
        raise ValueError("frames of different sizes have no common layout")
    high, wide, _ = images[0].shape
    if min(high, wide) < SMALLEST:
        return None
    return None
