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
    planes = [_plane(image) for image in images]
    axes = _by_lines(planes) or _by_margins(planes) or _by_seams(images)
    if axes is None:
        return None
    rows, cols, how = axes
    return Layout(rows.starts, cols.starts, rows.length, cols.length, how, _count(planes, rows, cols))


@dataclass(frozen=True, slots=True)
class _Axis:
    """The tiles along one axis: the first pixel of each, and their length."""

    starts: tuple[int, ...]
    length: int

    @property
    def gap(self) -> int | None:
        """Pixels between two tiles; None where there is only one."""
        return self.starts[1] - self.starts[0] - self.length if len(self.starts) > 1 else None


_Found: TypeAlias = tuple[_Axis, _Axis, str]

_THINNED = 1200  # pixels across a line that are looked at


def _plane(image: Pixels) -> Pixels:
    """The mean of the channels, (h, w)."""
    if image.shape[2] == 1:
        return image[..., 0]
    total = image[..., 0].astype(np.uint16)
    for channel in range(1, image.shape[2]):
        total += image[..., channel]
    return (total // image.shape[2]).astype(np.uint8)


def _thinned(image: Pixels, axis: int) -> Pixels:
    """The picture with the axis first, (length, few, ...): across it, some 1,200 pixels at most."""
    turned = image if axis == 0 else image.swapaxes(0, 1)
    step = -(-turned.shape[1] // _THINNED)
    return turned[:, :: step + (step > 1 and step % 2 == 0)]  # odd: in step with no power of two


def _count(planes: Sequence[Pixels], rows: _Axis, cols: _Axis) -> int:
    """How many tiles there are: those at the end of the last row that are blank in every frame are none."""
    n = len(rows.starts) * len(cols.starts)
    if len(rows.starts) < 2:
        return n
    top = rows.starts[-1]
    last = planes[0][top : top + rows.length, cols.starts[-1] : cols.starts[-1] + cols.length]
    empty = 0
    for left in reversed(cols.starts):
        tiles = np.stack([plane[top : top + rows.length, left : left + cols.length] for plane in planes])
        if np.abs(tiles.astype(np.int16) - int(last[0, 0])).max() > _NEAR:
            break
        empty += 1
    return n - empty if empty < len(cols.starts) else n


# --- lines of one colour --------------------------------------------------------------------------------

_NEAR = 3  # levels of 255: lossless padding is exact
_WIDEST = 16  # pixels of padding
# What still counts as a line: the share of its pixels, and by how many levels they may be off. The later
# ones are for JPEG, which rings at edges; only a layout that fits to the pixel is taken from them.
_STRICTNESS = ((1.0, _NEAR), (1.0, 16), (0.95, 16), (0.9, 32), (0.75, 40))


def _by_lines(planes: Sequence[Pixels]) -> _Found | None:
    """Padding all around: bands between lines of one colour, all equally long and equally far apart."""
    for share, near in _STRICTNESS:
        for colour in _line_colours(planes):
            rows, cols = (_bands(_lines(planes, colour, axis, share, near)) for axis in (0, 1))
            joined = rows and cols and _joined(rows, cols, planes[0].shape)
            if joined:
                return *joined, "lines"
    return None


def _line_colours(planes: Sequence[Pixels]) -> list[int]:
    """Levels of lines that go from edge to edge, the most frequent first; then the usual padding."""
    counts = np.zeros(256, np.int64)
    for plane in planes:
        for axis in (0, 1):
            thin = _thinned(plane, axis)
            low, high = thin.min(axis=1), thin.max(axis=1)
            counts += np.bincount(low[high - low <= _NEAR], minlength=256)
    found = [int(level) for level in np.argsort(-counts)[:3] if counts[level]]
    return list(dict.fromkeys([*found, 0, 255, 127]))


def _lines(planes: Sequence[Pixels], colour: int, axis: int, share: float, near: int) -> Mask:
    """Which rows (axis 0) or columns have one colour from edge to edge in every frame, bool (length,)."""
    masks = []
    for plane in planes:
        thin = _thinned(plane, axis)
        fits = (thin >= colour - near) & (thin <= colour + near)
        masks.append(fits.all(axis=1) if share == 1 else fits.mean(axis=1) >= share)
    return cast("Mask", np.logical_and.reduce(masks))


def _runs(mask: Mask) -> npt.NDArray[np.intp]:
    """First and past index of each run of True, (k, 2)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return edges.reshape(-1, 2)


def _bands(lines: Mask) -> _Axis | None:
    """The bands between lines, where they are equally long and their period is one; cut ones are left out."""
    bands = _runs(~lines)
    n = len(lines)
    if len(bands) == 0:
        return None
    lengths = bands[:, 1] - bands[:, 0]
    length = int(lengths.max())
    at_edge = (bands[:, 0] == 0) | (bands[:, 1] == n)
    if ((lengths < length) & ~at_edge).any() or length < SMALLEST:
        return None
    whole = bands[lengths == length]
    if len(whole) == 1:
        return _Axis((int(whole[0, 0]),), length) if len(bands) == 1 else None
    steps = np.diff(whole[:, 0])
    period = int(steps.min())
    if (steps % period).any() or period - length > max(_WIDEST, length // 2):
        return None
    first, last = int(whole[0, 0]), int(whole[-1, 0])
    for begin, end in bands[lengths < length]:
        if ((begin if begin else end - length) - first) % period:
            return None
    gap = period - length
    before, after = first, n - last - length  # whole rows of blank tiles at the edges
    if before % period in (0, gap) and after % period in (0, gap):
        first, last = before % period, n - length - after % period
    return _Axis(tuple(range(first, last + 1, period)), length)


def _joined(rows: _Axis, cols: _Axis, shape: tuple[int, ...]) -> tuple[_Axis, _Axis] | None:
    """Both axes, where their gaps agree. A lone row or column must have the other axis's border, or none."""
    if rows.gap is not None and cols.gap is not None:
        return (rows, cols) if rows.gap == cols.gap else None
    many, lone, length = (cols, rows, shape[0]) if rows.gap is None else (rows, cols, shape[1])
    border = lone.starts[0]
    if many.gap is None or border != length - border - lone.length or border not in (0, many.gap):
        return None
    return rows, cols


# --- margins of dark tiles on a dark ground -------------------------------------------------------------


def _by_margins(planes: Sequence[Pixels]) -> _Found | None:
    """Square tiles whose margins have the padding's colour, so that the padding itself does not show.

    All gaps must lie where no tile shows anything, and tiles, gaps and border must add up to the picture.
    """
    high, wide = planes[0].shape
    for near in (_NEAR, 24):
        for colour in _line_colours(planes):
            masks = [_lines(planes, colour, axis, 1.0, near) for axis in (0, 1)]
            if not all(mask.any() and not mask.all() for mask in masks):
                continue
            best = _finest(_fits(masks[0], masks[1]))
            if best:
                side, gap, border = best
                edge = gap if border else 0
                rows, cols = (
                    _Axis(tuple(range(edge, length - side + 1, side + gap)), side) for length in (high, wide)
                )
                return rows, cols, "margins"
    return None


_Square: TypeAlias = tuple[int, int, bool]  # side of a tile, gap, whether the gap runs around the grid too


def _fits(rows: Mask, cols: Mask) -> dict[_Square, float]:
    """The layouts of square tiles that fit the lines of both axes, with the empty room around their gaps."""
    found: dict[_Square, float] = {}
    for side in range(SMALLEST, max(len(rows), len(cols)) + 1):
        for gap in range(min(_WIDEST, side // 2) + 1):
            for border in (True, False) if gap else (False,):
                edge = gap if border else -gap
                if (len(rows) - edge) % (side + gap) or (len(cols) - edge) % (side + gap):
                    continue
                rooms = [_room(lines, side, gap, border) for lines in (rows, cols)]
                told = [room for room in rooms if room is not None]
                if told and min(told) > 0:
                    found[side, gap, border] = min(told)
    return found


def _room(lines: Mask, side: int, gap: int, border: bool) -> float | None:
    """How many pixels around the gaps are empty in every tile; None where there is one tile.

    0 where a gap or the border is not empty, or where many tiles are.
    """
    edge, period = gap if border else 0, side + gap
    starts = np.arange(edge, len(lines) - side + 1, period)
    tiles = lines[starts[:, None] + np.arange(side)]
    gaps = lines[(starts[:-1] + side)[:, None] + np.arange(gap)]
    borders = np.concatenate([lines[:edge], lines[len(lines) - edge :]])
    if not (gaps.all() and borders.all()) or tiles.all(axis=1).mean() > 0.25:
        return 0
    if len(starts) == 1:
        return None
    filled = np.flatnonzero(~tiles.all(axis=0))
    before, after = int(filled[0]), side - 1 - int(filled[-1])
    return before + after + gap if gap or min(before, after) > 0 else 0


def _finest(fits: dict[_Square, float]) -> _Square | None:
    """The layout with the most room, multiples left out; None where another one has nearly as much."""
    left = dict(fits)
    for one, room in fits.items():
        for other in fits:
            period, wider = one[0] + one[1], other[0] + other[1]
            if wider > period and wider % period == 0 and room >= 0.6 * fits[other]:
                left.pop(other, None)
    ranked = sorted(left, key=lambda key: -left[key])
    if not ranked or (len(ranked) > 1 and left[ranked[1]] > left[ranked[0]] - 2):
        return None
    return ranked[0]


# --- seams ----------------------------------------------------------------------------------------------

_SCALES = (1, 2, 4, 8)  # pixels: texture of a period that divides the scale leaves no trace
_TEXTURE = 16  # pixels: periods of up-sampling go up to here


def _by_seams(images: Sequence[Pixels]) -> _Found | None:
    """No padding: between tiles, what is next to each other does not continue.

    A candidate is a divisor of the length. Its seams must stand out over all other lines.
    """
    shape = images[0].shape[:2]
    seen = [_seams(images, axis) for axis in (0, 1)]
    tiles = [_best(one) for one in seen]
    if tiles[0] is None and tiles[1] is None:
        return None
    for axis in (0, 1):
        if tiles[axis] is None:
            other = tiles[1 - axis]
            if other is None or shape[axis] != other or any(one.weak for one in seen[axis]):
                return None
            tiles[axis] = other
    rows, cols = (
        _Axis(tuple(range(0, length, cast("int", tile))), cast("int", tile))
        for length, tile in zip(shape, tiles, strict=True)
    )
    return rows, cols, "seams"


@dataclass(frozen=True, slots=True)
class _Seams:
    """How far the lines between tiles of one length stand out.

    effect: their mean log jump over that of other lines, in standard errors of the latter; rise: the same
    not scaled; above: the share of other lines below a seam, on average.
    """

    length: int
    effect: float
    rise: float
    above: float

    @property
    def sure(self) -> bool:
        """Whether these are seams if any are."""
        return self.above >= 0.96 and self.rise >= 0.4 and self.effect >= 4

    @property
    def weak(self) -> bool:
        """Whether these could be seams."""
        return self.above >= 0.85 and self.effect >= 2.5


def _best(seen: Sequence[_Seams]) -> int | None:
    """The length of a tile, where one stands out alone."""
    sure = sorted((one for one in seen if one.sure), key=lambda one: -one.effect)
    if not sure:
        return None
    if len(sure) > 1 and sure[1].effect > 0.85 * sure[0].effect:
        return None
    return sure[0].length


def _seams(images: Sequence[Pixels], axis: int) -> list[_Seams]:
    """Each divisor of the axis's length that can be a tile's, at the scale where it stands out most."""
    n = images[0].shape[axis]
    lengths = [length for length in range(SMALLEST, n // 2 + 1) if n % length == 0]
    profiles = {scale: _jumps(images, axis, scale) for scale in _SCALES if lengths}
    found = []
    for length in lengths:
        at = np.arange(length - 1, n - 1, length)
        options = [_compare(profiles[scale], at, scale, length) for scale in _SCALES if length >= 4 * scale]
        best = max(options, key=lambda one: (one.sure, one.effect))
        found.append(best)
    return found


def _compare(jumps: Profile, at: npt.NDArray[np.intp], scale: int, length: int) -> _Seams:
    """Seams after rows `at` against all other lines; those beside a seam are left out."""
    near = np.zeros(len(jumps), np.bool_)
    for off in range(-scale, scale + 1):
        beside = at + off
        near[beside[(beside >= 0) & (beside < len(jumps))]] = True
    others = np.sort(jumps[~near & np.isfinite(jumps)])
    own = jumps[at][np.isfinite(jumps[at])]
    if len(others) < 4 or len(own) == 0:
        return _Seams(length, 0, 0, 0)
    rise = float(own.mean() - others.mean())
    effect = rise / max(float(others.std()), 0.03) * np.sqrt(len(own))
    above = float((np.searchsorted(others, own) / len(others)).mean())
    return _Seams(length, float(effect), rise, above)


def _jumps(images: Sequence[Pixels], axis: int, scale: int) -> Profile:
    """Log of the mean jump after each row, float64 (length - 1,); NaN near the ends.

    A jump is the difference of the means of `scale` rows on both sides, less what their own trend makes
    one expect: smooth tiles have none inside.
    """
    total: Profile = np.zeros(images[0].shape[axis] - 1)
    for image in images:
        thin = _thinned(image, axis)
        n, across = thin.shape[0], thin.shape[1] // scale
        if across == 0 or n < 4 * scale:
            return np.full(n - 1, np.nan)
        blocks = thin[:, : across * scale].reshape(n, across, scale, -1)
        values = blocks.mean(axis=2, dtype=np.float32) if scale > 1 else blocks[:, :, 0].astype(np.float32)
        summed = np.zeros((n + 1, *values.shape[1:]), np.float32)
        np.cumsum(values, axis=0, out=summed[1:])
        means = (summed[scale:] - summed[:-scale]) / scale  # means[r]: of the rows r to r + scale - 1
        r = np.arange(2 * scale - 1, n - 2 * scale)
        jump = 1.5 * (means[r + 1] - means[r - scale + 1]) + 0.5 * (
            means[r - 2 * scale + 1] - means[r + scale + 1]
        )
        total[r] += np.abs(jump).mean(axis=(1, 2))
        total[: 2 * scale - 1] = total[n - 2 * scale :] = np.nan
    return cast("Profile", np.log(total / len(images) + 0.5))
