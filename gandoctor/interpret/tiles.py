"""Splits a sample grid into its tiles without being told how it was laid out.

Evidence, the surest first: lines of one colour between the tiles (torchvision's padding); the margins of
dark tiles on a dark ground, whose period must add up to the picture's size; seams, where rows next to
each other differ as unrelated pictures do; the white gutters of a figure. Where none decides there is
no answer: a wrong split would make every statistic of the samples wrong.

Several frames of one run have one layout, and their evidence adds up. Cost is linear in the pixels, and
wide pictures are thinned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    lines = [_Lines(planes, axis) for axis in (0, 1)]
    found = _by_lines(lines) or _by_margins(lines) or _by_figure(planes) or _by_seams(images, lines)
    if found is None:
        return None
    rows, cols, how = found
    if _could_begin_elsewhere(rows, cols, how, (high, wide)) and _are_alike(planes, rows, cols):
        return None
    return Layout(rows.starts, cols.starts, rows.length, cols.length, how, _count(planes, rows, cols))


@dataclass(frozen=True, slots=True)
class _Axis:
    """The tiles along one axis: the first pixel of each, and their length.

    apart: pixels between the only whole tile and those that are cut, if any.
    """

    starts: tuple[int, ...]
    length: int
    apart: int | None = None

    @property
    def gap(self) -> int | None:
        """Pixels between two tiles; None where there is only one."""
        return self.starts[1] - self.starts[0] - self.length if len(self.starts) > 1 else self.apart


_Found: TypeAlias = tuple[_Axis, _Axis, str]


def _plane(image: Pixels) -> Pixels:
    """One level a pixel, (h, w): (R + 2 G + B) / 4, in bytes, or the only channel."""
    if image.shape[2] < 3:
        return image[..., 0]
    red, green, blue = (image[..., channel] for channel in range(3))
    return cast("Pixels", (red >> 2) + (green >> 1) + (blue >> 2))


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
        if np.abs(tiles.astype(np.int16) - int(last[0, 0])).max() > _BLANK:
            break
        empty += 1
    return n - empty if empty < len(cols.starts) else n


def _could_begin_elsewhere(rows: _Axis, cols: _Axis, how: str, shape: tuple[int, int]) -> bool:
    """Whether the picture's edges do not tell where tiles begin, if these are all alike.

    What looks like padding, or stands out on a ground, may be part of each tile.
    """
    gap = rows.gap if rows.gap is not None else cols.gap or 0
    ends = [n - axis.starts[-1] - axis.length for axis, n in zip((rows, cols), shape, strict=True)]
    if how == "figure":
        return all(
            n == len(axis.starts) * (axis.length + (axis.gap or 0))
            for axis, n in zip((rows, cols), shape, strict=True)
        )
    return {rows.starts[0], cols.starts[0], *ends} not in ({0}, {gap})


def _are_alike(planes: Sequence[Pixels], rows: _Axis, cols: _Axis) -> bool:
    """Whether nearly all tiles are the same, within a few levels."""
    tiles = [
        plane[top : top + rows.length, left : left + cols.length].astype(np.int16)
        for plane in planes
        for top in rows.starts
        for left in cols.starts
    ]
    return float(np.mean([np.abs(tile - tiles[0]).mean() < 6 for tile in tiles])) > 0.9


# --- lines of one colour --------------------------------------------------------------------------------

_BLANK = 8  # levels of 255 by which a blank tile of a JPEG may be off
_WIDEST = 16  # pixels of padding
# What still counts as a line: the share of its pixels, and by how many levels they may be off. Lossless
# padding is exact; the others are for JPEG, which rings at edges, and need more tiles to be believed.
_STRICTNESS = ((1.0, 0), (1.0, 16), (0.95, 16), (0.9, 32), (0.75, 40))
_FEW = 4  # tiles with margins: two things on a plain ground may be one picture
_SOFT = 4  # tiles along an axis that lines which are not exact need


_THINNED = 400  # pixels of a line of which a share is asked for


class _Lines:
    """The lines along one axis of frames: their lowest and highest level (n,), and some of their pixels."""

    def __init__(self, planes: Sequence[Pixels], axis: int) -> None:
        self.low = np.min([plane.min(axis=1 - axis) for plane in planes], axis=0)
        self.high = np.max([plane.max(axis=1 - axis) for plane in planes], axis=0)
        thin = []
        for plane in planes:
            turned = plane if axis == 0 else plane.T
            step = -(-turned.shape[1] // _THINNED)
            thin.append(
                turned[:, :: step + (step > 1 and step % 2 == 0)]
            )  # odd: in step with no power of two
        self._thin = np.concatenate(thin, axis=1)

    def of(self, colour: int, share: float, near: int) -> Mask:
        """Which lines have one colour, in that share of their pixels and so nearly, bool (n,)."""
        if share == 1:
            return cast("Mask", (self.low >= colour - near) & (self.high <= colour + near))
        fits = (self._thin >= max(colour - near, 0)) & (self._thin <= min(colour + near, 255))
        return cast("Mask", fits.mean(axis=1) >= share)

    def are_plain(self, axis: _Axis) -> bool:
        """Whether where tiles meet, the lines on one side of all seams are nearly of one colour, unlike others."""
        seams = np.array(axis.starts[1:])
        if len(seams) == 0:
            return False
        usual = _evenness(self._thin[np.linspace(0, len(self._thin) - 1, 100).astype(np.intp)])
        return any(_evenness(self._thin[seams + off]) > max(0.85, (1 + usual) / 2) for off in (-1, 0))


def _evenness(lines: Pixels) -> float:
    """The share of pixels that are near the median of all, (k, m)."""
    return float((np.abs(lines - np.median(lines)) <= 24).mean())


def _by_lines(lines: Sequence[_Lines]) -> _Found | None:
    """Padding all around: bands between lines of one colour, all equally long and equally far apart."""
    shape = tuple(len(one.low) for one in lines)
    for share, near in _STRICTNESS:
        for colour in _line_colours(lines):
            rows, cols = (_bands(one.of(colour, share, near)) for one in lines)
            joined = rows and cols and _joined(rows, cols, shape)
            if joined and (near == 0 or max(len(axis.starts) for axis in joined) >= _SOFT):
                return *joined, "lines"
    return None


def _line_colours(lines: Sequence[_Lines]) -> list[int]:
    """Levels of lines that go from edge to edge, the most frequent first; then the usual padding."""
    counts = np.zeros(256, np.int64)
    for one in lines:
        counts += np.bincount(one.low[one.high - one.low <= 3], minlength=256)
    found = [int(level) for level in np.argsort(-counts)[:3] if counts[level]]
    return list(dict.fromkeys([*found, 0, 255, 127]))


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
        gaps = {int(gap) for gap in bands[1:, 0] - bands[:-1, 1]}
        if len(gaps) > 1 or max(gaps, default=0) > max(_WIDEST, length // 2):
            return None
        return _Axis((int(whole[0, 0]),), length, *gaps)
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
    elif max(before, after) >= period:
        return None
    cut = bool((lengths < length).any())
    if not cut and first not in (0, gap) and n - last - length not in (0, gap):
        return None  # these may be the margins of tiles that are all alike
    return _Axis(tuple(range(first, last + 1, period)), length)


def _joined(rows: _Axis, cols: _Axis, shape: tuple[int, ...]) -> tuple[_Axis, _Axis] | None:
    """Both axes, where their gaps agree. A lone row or column must have the other axis's border, or none."""
    if rows.gap is not None and cols.gap is not None:
        return (rows, cols) if rows.gap == cols.gap else None
    many, lone = (cols, rows) if rows.gap is None else (rows, cols)
    n, across = (shape[0], shape[1]) if rows.gap is None else (shape[1], shape[0])
    gap, border = many.gap, many.starts[0]
    if gap is None or border not in (0, gap) or across - many.starts[-1] - many.length != border:
        return None
    period = lone.length + gap
    if (n + gap - 2 * border) % period or (lone.starts[0] - border) % period:
        return None
    lone = _Axis(tuple(range(border, n - lone.length + 1, period)), lone.length)  # others may be blank
    rows, cols = (lone, many) if rows.gap is None else (many, lone)
    if border == 0 and len(many.starts) < 3 and lone.length != many.length:
        return None
    return rows, cols


# --- margins of dark tiles on a dark ground -------------------------------------------------------------


def _by_margins(lines: Sequence[_Lines]) -> _Found | None:
    """Square tiles whose margins have the padding's colour, so that the padding itself does not show.

    All gaps must lie where no tile shows anything, and tiles, gaps and border must add up to the picture.
    """
    high, wide = (len(one.low) for one in lines)
    for near in (0, 24):
        for colour in _line_colours(lines):
            masks = [one.of(colour, 1.0, near) for one in lines]
            if not all(mask.any() and not mask.all() for mask in masks):
                continue
            best = _finest(_fits(masks[0], masks[1]))
            if best and (near == 0 or max(high, wide) >= _SOFT * best[0]):
                side, gap, border = best
                edge = gap if border else 0
                rows, cols = (
                    _Axis(tuple(range(edge, length - side + 1, side + gap)), side) for length in (high, wide)
                )
                if len(rows.starts) * len(cols.starts) >= _FEW:
                    return rows, cols, "margins"
    return None


_Square: TypeAlias = tuple[int, int, bool]  # side of a tile, gap, whether the gap runs around the grid too


def _fits(rows: Mask, cols: Mask) -> dict[_Square, float]:
    """The layouts of square tiles that fit the lines of both axes, with the empty room around their gaps."""
    found: dict[_Square, float] = {}
    for side in range(SMALLEST, max(len(rows), len(cols)) + 1):
        for gap in range(min(_WIDEST // 2, side // 2) + 1):
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
    always = tiles.all(axis=0)
    filled = np.flatnonzero(~always)
    inner = _runs(always[filled[0] : filled[-1]])
    if (inner[:, 1] - inner[:, 0] > 1).any():  # more than one tile
        return 0
    if len(starts) == 1:
        return None
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


# --- figures --------------------------------------------------------------------------------------------


def _by_figure(planes: Sequence[Pixels]) -> _Found | None:
    """Subplots on a plain ground, as matplotlib draws them: gutters of any width, titles, axes and ticks.

    Tiles are where lines are full; text and ticks fill little of a line.
    """
    ground = int(planes[0][0, 0])
    edges = [edge for plane in planes for edge in (plane[0], plane[-1], plane[:, 0], plane[:, -1])]
    if any(np.abs(edge.astype(np.int16) - ground).max() > 12 for edge in edges):
        return None
    plane = np.stack(planes)
    content = np.abs(plane.astype(np.int16) - ground) > 12
    content = np.logical_or.reduce(content)
    axes = []
    for axis in (0, 1):
        filled = content.sum(axis=1 - axis)
        if filled.max() < SMALLEST:
            return None
        bands = _runs(filled >= 0.4 * filled.max())
        lengths = bands[:, 1] - bands[:, 0]
        steps = np.diff(bands[:, 0])
        if lengths.min() < max(SMALLEST, lengths.max() - 2) or (len(steps) and np.ptp(steps) > 1):
            return None
        axes.append((bands[:, 0], int(lengths.min())))
    (tops, height), (lefts, width) = axes
    if len(tops) * len(lefts) < _FEW:
        return None
    cells = [content[top : top + height, left : left + width].mean() for top in tops for left in lefts]
    if np.mean(np.array(cells) >= 0.5) < 0.5:  # curves on white are no samples
        return None
    sides = [
        content[edge, left : left + width]
        for top in tops
        for edge in (top, top + height - 1)
        for left in lefts
    ]
    sides += [
        content[top : top + height, edge]
        for left in lefts
        for edge in (left, left + width - 1)
        for top in tops
    ]
    if np.mean([side.mean() for side in sides]) < 0.7:  # what stands there is not rectangular
        return None
    edge = min(_frame(plane, tops, lefts, height, width), (min(height, width) - SMALLEST) // 2)
    rows = _Axis(tuple(int(top) + edge for top in tops), height - 2 * edge)
    cols = _Axis(tuple(int(left) + edge for left in lefts), width - 2 * edge)
    return rows, cols, "figure"


def _frame(
    plane: Pixels, tops: npt.NDArray[np.intp], lefts: npt.NDArray[np.intp], height: int, width: int
) -> int:
    """How thick the dark frame around each subplot is, up to three pixels; 0 where there is none."""
    tiles = np.stack([plane[:, top : top + height, left : left + width] for top in tops for left in lefts])
    dark = (tiles < 96).mean(axis=(0, 1, 3)) > 0.98
    thick = int(np.argmin(dark))
    return thick if not dark.all() and thick <= 3 else 0


# --- seams ----------------------------------------------------------------------------------------------

_SCALES = (1, 2, 4, 8)  # pixels: texture of a period that divides the scale leaves no trace
_TEXTURE = 16  # pixels: up-sampling leaves patterns with periods up to here
_ACROSS = 320  # pixels across the axis that are looked at
_MOST = 32  # tiles along an axis of a picture that may be one
_STRIP = (
    4  # square tiles in a row that are a strip, and not by chance a picture as many times as wide as high
)


def _by_seams(images: Sequence[Pixels], lines: Sequence[_Lines]) -> _Found | None:
    """No padding: between tiles, what is next to each other does not continue.

    Either the seams stand out over all other lines, or the tiles are one picture over and over; one
    picture goes on everywhere.
    """
    axes = [_SeamAxis([_sampled(image, axis) for image in images]) for axis in (0, 1)]
    found = [axis.decide() for axis in axes]
    for own in (0, 1):
        other = found[1 - own]
        if (
            found[own] is None
            and other is not None
            and (len(other.starts) > 1 or axes[own].n >= _STRIP * other.length)
        ):
            found[own] = axes[own].supports(other.length)
    high, wide = images[0].shape[:2]
    for own in (0, 1):  # one square picture, plain where it could be cut along this axis
        other = found[1 - own]
        lone = other is not None and len(other.starts) == 1
        if found[own] is None and lone and high == wide and axes[own].is_plain():
            found[own] = other
    rows, cols = found
    if rows is None or cols is None:
        return None
    if len(rows.starts) == len(cols.starts) == 1:
        if any(_has_inner_lines(one) for one in lines):
            return None
        return rows, cols, "single"
    if {rows.starts[0], cols.starts[0], high % rows.length, wide % cols.length} != {0} and any(
        one.are_plain(axis) for one, axis in zip(lines, (rows, cols), strict=True)
    ):
        return None  # padding, whose edges are seams, too
    return rows, cols, "seams"


def _has_inner_lines(lines: _Lines) -> bool:
    """Whether lines of one colour from edge to edge part a picture's content into what could be tiles."""
    bands = _runs(lines.low != lines.high)
    return bool(((bands[:, 1] - bands[:, 0]) >= SMALLEST).sum() > 1)


def _sampled(image: Pixels, axis: int) -> npt.NDArray[np.float32]:
    """The picture with the axis first, (length, few, 8, c): across it, some 320 pixels in blocks of 8."""
    turned = image if axis == 0 else image.swapaxes(0, 1)
    n, across, channels = turned.shape
    width = min(8, across)
    step = max(1, round(across / _ACROSS))
    step += step > 1 and step % 2 == 0
    starts = np.arange(0, across - width + 1, width * step)
    picked = turned[:, starts[:, None] + np.arange(width)]
    return picked.reshape(n, len(starts), width, channels).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A tile's length and what speaks for it.

    effect: mean log jump at its seams over that at other lines, in standard errors; rise: the same not
    scaled; above: the share of other lines below a seam. foreign: how far rows that meet at a seam differ,
    as a share of the difference between rows of unrelated tiles: 1 between tiles, near 0 within one.
    rest: what is left of the picture without the mean tile, as a share.
    """

    length: int
    effect: float
    rise: float
    above: float
    foreign: float
    rest: float

    @property
    def sure(self) -> bool:
        """Whether these are seams if any are."""
        if self.length <= _TEXTURE and self.rest < 0.12:
            return False  # a texture, or tiles all alike
        clear = self.above >= 0.93 and self.rise >= 0.3 and self.effect >= 3.5 and self.foreign >= 0.7
        return clear or (self.above >= 0.98 and self.rise >= 1 and self.effect >= 6 and self.foreign >= 0.5)

    @property
    def likely(self) -> bool:
        """Whether these are seams where the other axis has tiles of this length."""
        return self.effect >= 2 and (
            (self.above >= 0.9 and self.foreign >= 0.5) or (self.above >= 0.7 and self.foreign >= 0.75)
        )

    @property
    def repeats(self) -> bool:
        """Whether the picture is one tile over and over. A small one may be a texture."""
        return self.rest < 0.12 and self.length > _TEXTURE


class _SeamAxis:
    """One axis of a picture without padding. frames: float32 (n, m, 8, c) each."""

    def __init__(self, frames: Sequence[npt.NDArray[np.float32]]) -> None:
        self.n = len(frames[0])
        self._frames = frames
        self._jumps = {scale: _jumps(frames, scale) for scale in _SCALES}
        lengths = [n for n in range(SMALLEST, self.n // 2 + 1) if self.n % n == 0]
        self._seen = [self._candidate(length) for length in lengths]

    def decide(self) -> _Axis | None:
        """The tiles along the axis; None where nothing decides."""
        repeating = [one for one in self._seen if one.repeats]
        if repeating and all(one.rest > 0.4 for one in self._seen if one.length < repeating[0].length):
            return self._tiles(repeating[0].length)
        sure = [one for one in self._seen if one.sure]
        if sure:
            apart = sorted((one for one in sure if self._is_whole(one.length)), key=lambda one: -one.effect)
            if not apart or (len(apart) > 1 and apart[1].effect > 0.85 * apart[0].effect):
                return None
            best = apart[0]
            if best.length <= _TEXTURE and self.n < 3 * best.length:
                return None  # one seam in so small a picture is an edge in it
            clearer = any(one.length > _TEXTURE and one.effect > 1.2 * best.effect for one in sure)
            blocks = best.length <= _TEXTURE and any(  # the finer lines may be JPEG's blocks
                one.length > best.length and one.effect > 0.8 * best.effect for one in sure
            )
            if clearer or blocks:
                return None
            return self._tiles(best.length)
        if any(one.foreign >= 0.5 and one.above >= 0.8 for one in self._seen):
            return None
        return self._tiles(self.n) if self._goes_on() else self._cut_tiles()

    def supports(self, length: int) -> _Axis | None:
        """The tiles along the axis, where it agrees with tiles as long as the other axis's: square ones."""
        if length == self.n:
            likely = any(one.above >= 0.85 and one.foreign >= 0.75 for one in self._seen)
            return None if likely else self._tiles(length)
        own = next((one for one in self._seen if one.length == length), None)
        if own is not None:
            best = own.effect >= max(one.effect for one in self._seen if one.likely or one is own)
            lone = (
                own.effect >= 1.5 and own.above >= 0.95 and own.foreign >= 0.75
            )  # one seam has no more effect
            return self._tiles(length) if (own.likely or lone) and best else None
        _, first = self._folded(length)
        cut = self._candidate(length, first) if length <= self.n // 2 else None
        return self._tiles(length, first) if cut is not None and cut.likely and cut.above >= 0.97 else None

    def is_plain(self) -> bool:
        """Whether nothing looks like a seam, and where the picture does not go on it has one colour."""
        return not any(one.likely for one in self._seen) and self._goes_on(plain=True)

    def _tiles(self, length: int, first: int = 0) -> _Axis:
        return _Axis(tuple(range(first, self.n - length + 1, length)), length)

    def _candidate(self, length: int, first: int = 0) -> _Candidate:
        """What speaks for tiles of this length, the first of which begins at `first`."""
        at = np.arange(first or length, self.n, length)
        options = [_standing(self._jumps[scale], at - 1, scale) for scale in _SCALES if length >= 4 * scale]
        effect, rise, above = max(options, key=lambda one: (one[2] >= 0.95, one[0]))
        foreign, _ = _pooled([_foreign(frame, length, first) for frame in self._frames])
        rest = float(np.mean([_rest(frame, length, first) for frame in self._frames]))
        return _Candidate(length, effect, rise, above, foreign, rest)

    def _is_whole(self, length: int) -> bool:
        """Whether tiles of this length are neither parts of larger ones (JPEG's blocks) nor hold several."""
        others = [one.length for one in self._seen]
        wider = [other for other in others if other > length and other % length == 0]
        finer = [other for other in others if other < length and length % other == 0]
        at = np.arange(length, self.n, length)
        halves = [at[::2], at[1::2]] if len(at) > 3 else []  # every other line may be none, in a cut grid
        return (
            all(self._are_seams(at[at % other != 0], length, 0.7, 0.5) for other in wider)
            and all(self._are_seams(half, length, 0.7, 0.5) for half in halves)
            and not any(self._are_seams(self._between(length, other), other, 0.9, 0.6) for other in finer)
        )

    def _between(self, length: int, finer: int) -> npt.NDArray[np.intp]:
        """Where tiles of the finer layout begin and those of the other do not."""
        at = np.arange(finer, self.n, finer)
        return cast("npt.NDArray[np.intp]", at[at % length != 0])

    def _are_seams(self, at: npt.NDArray[np.intp], length: int, above: float, foreign: float) -> bool:
        """Whether there are seams before rows `at`, some of those of a layout."""
        every = np.arange(length, self.n, length) - 1
        scales = [scale for scale in _SCALES if length >= 4 * scale]
        seen = max(_standing(self._jumps[scale], at - 1, scale, every)[2] for scale in scales)
        begins = np.concatenate([[0], at])
        share, _ = _pooled([_share(frame, begins, length) for frame in self._frames])
        return seen >= above and share >= foreign

    def _cut_tiles(self) -> _Axis | None:
        """Tiles of a picture of which edges are cut away: their length need not divide the axis's."""
        options = [(*self._folded(length), length) for length in range(SMALLEST, self.n // 3 + 1)]
        if not options:
            return None
        _, first, length = max(options)
        one = self._candidate(length, first)
        good = one.above >= 0.98 and one.rise >= 0.5 and one.effect >= 6 and one.foreign >= 0.75
        tiles = self._tiles(length, first)
        return tiles if good and len(tiles.starts) > 2 else None

    def _folded(self, length: int) -> tuple[float, int]:
        """Where tiles of this length must begin for their seams to stand out most: that effect, first row."""
        jumps = self._jumps[1]
        if not np.isfinite(jumps).any():
            return 0.0, 0
        table = jumps[: len(jumps) // length * length].reshape(-1, length)
        seen = np.isfinite(table)
        means = np.where(seen, table, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
        means[seen.sum(axis=0) < max(1, len(table) / 2)] = -np.inf
        at = int(means.argmax())
        effect = float(means[at] - np.nanmean(jumps)) / max(float(np.nanstd(jumps)), 0.03)
        return effect * float(np.sqrt(len(table))), (at + 1) % length

    def _goes_on(self, plain: bool = False) -> bool:
        """Whether the picture continues everywhere: it is one. plain: or has one colour there."""
        if any(_breaks(frame) for frame in self._frames):
            return False
        for count in range(2, min(_MOST, self.n // SMALLEST) + 1):
            at = np.rint(np.arange(1, count) * self.n / count).astype(np.intp)
            share, contrast = _pooled([_continues(frame, at) for frame in self._frames])
            most = 0.6 if count > 3 else 0.35  # one seam or two can be faint by chance
            proved = (share < most and contrast >= 4) or (share < 0.2 and contrast >= 1)
            if not (proved or (plain and contrast < 4)):
                return False
        return True


def _standing(
    jumps: Profile, at: npt.NDArray[np.intp], scale: int, aside: npt.NDArray[np.intp] | None = None
) -> tuple[float, float, float]:
    """Effect, rise and share above (see `_Candidate`) of jumps after rows `at`.

    Lines near `at` and near `aside` are not compared with.
    """
    near = np.zeros(len(jumps), np.bool_)
    for off in range(-scale, scale + 1):
        beside = (at if aside is None else aside) + off
        near[beside[(beside >= 0) & (beside < len(jumps))]] = True
    others = np.sort(jumps[~near & np.isfinite(jumps)])
    own = jumps[at][np.isfinite(jumps[at])]
    if len(others) < 4 or len(own) < len(at) / 2 or len(own) == 0:
        return 0.0, 0.0, 0.0
    rise = float(own.mean() - others.mean())
    effect = rise / max(float(others.std()), 0.03) * float(np.sqrt(len(own)))
    return effect, rise, float((np.searchsorted(others, own) / len(others)).mean())


def _pooled(found: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Share and contrast of several frames: one without contrast (blank) has no say in the share."""
    contrast = float(np.mean([one[1] for one in found]))
    return float(np.mean([one[0] * one[1] for one in found])) / max(contrast, 1e-6), contrast


def _foreign(frame: npt.NDArray[np.float32], length: int, first: int) -> tuple[float, float]:
    """As `_share` for all tiles of one length; small ones also without the mean tile, which a texture is."""
    n = len(frame)
    share, contrast = _share(frame, np.arange(first, n, length), length)
    if length <= _TEXTURE:
        whole = (n - first) // length
        fine = frame[first : first + whole * length, :, 0].reshape(whole, length, *frame[0, :, 0].shape)
        fine = fine - fine.mean(axis=0)
        share = min(share, _meeting(fine[:-1, -1], fine[:, 0])[0])
    return share, contrast


def _rest(frame: npt.NDArray[np.float32], length: int, first: int) -> float:
    """What is left of a picture without the mean tile, as a share; 1 for one that is plain."""
    whole = (len(frame) - first) // length
    coarse = frame[first : first + whole * length].mean(axis=2)
    spread = float(np.abs(coarse - coarse.mean(axis=(0, 1))).mean())
    if spread < 2 or whole < 2:
        return 1.0
    tiles = coarse.reshape(whole, length, *coarse.shape[1:])
    return float(np.abs(tiles - tiles.mean(axis=0)).mean()) / spread


def _share(frame: npt.NDArray[np.float32], begins: npt.NDArray[np.intp], length: int) -> tuple[float, float]:
    """How foreign (see `_Candidate`) are rows that meet where tiles begin; how far unrelated rows differ, in levels.

    Of larger tiles, means of several rows are compared too, in which no texture shows.
    """
    share, contrast = _meeting(frame[begins[1:] - 1, :, 0], frame[begins, :, 0])
    if length > _TEXTURE:
        rows = 8 if length >= 32 else 4
        means = _row_means(frame, rows)
        begins = begins[begins < len(means)]
        share = min(share, _meeting(means[begins[1:] - rows], means[begins])[0])
    return share, contrast


def _meeting(ends: npt.NDArray[np.float32], begins: npt.NDArray[np.float32]) -> tuple[float, float]:
    """How far ends (k - 1, ...) differ from the begins (k, ...) after them, as a share of others; and others."""
    if len(ends) == 0:
        return 0.0, 0.0
    met = float(np.abs(ends - begins[1:]).mean())
    count = len(begins)
    unrelated = [
        np.abs(ends - np.roll(begins, shift, axis=0)[1:]).mean() for shift in range(1, min(count, 9))
    ]
    if count == 2 and ends.shape[1] > 2:  # the only other end is the same tile's: what lies beside it, too
        unrelated += [
            np.abs(ends - np.roll(begins[1:], ends.shape[1] // part, axis=1)).mean() for part in (2, 3)
        ]
    other = float(np.mean(unrelated))
    return met / max(other, 1e-6), other


def _continues(frame: npt.NDArray[np.float32], at: npt.NDArray[np.intp]) -> tuple[float, float]:
    """As `_meeting` for a picture cut before rows `at`, or one row off: the least smooth counts.

    Of several cuts, means of several rows are compared too, in which no texture shows.
    """
    found = []
    for rows in (1, 4, 8) if len(at) > 2 else (1,):
        inner = at[(at > 2 * rows) & (at < len(frame) - 2 * rows)]
        if len(inner) == 0:
            continue
        means = _row_means(frame, rows)
        met = max(float(_surprise(means, inner + off, rows).mean()) for off in (-1, 0, 1))
        other = _meeting(means[inner - rows], means[np.concatenate([[0], inner])])[1]
        found.append((met / max(other, 1e-6), other))
    return min(found, default=(1.0, 0.0))


def _breaks(frame: npt.NDArray[np.float32]) -> bool:
    """Whether a picture breaks off anywhere: rows that meet differ as rows far from each other do.

    A seam goes from edge to edge, so that the median over the pixels of a row counts.
    """
    n = len(frame)
    if n < 2 * SMALLEST:
        return False
    for rows in (1, 4, 8):
        at = np.arange(2 * rows, n - 2 * rows + 1)
        if len(at) < 2:
            continue
        means = _row_means(frame, rows)
        far = [
            np.median(np.abs(means - np.roll(means, n // part, axis=0)), axis=(1, 2)) for part in (2, 3, 5)
        ]
        if float(_surprise(means, at, rows, np.median).max()) < 0.6 * float(np.mean(far)):
            return False
    return True


def _row_means(frame: npt.NDArray[np.float32], rows: int) -> npt.NDArray[np.float32]:
    """Means of the rows r to r + rows - 1 and of eight pixels across, (n - rows + 1, m, c)."""
    coarse = frame.mean(axis=2)
    summed = np.cumsum(np.concatenate([np.zeros_like(coarse[:1]), coarse]), axis=0)
    return cast("npt.NDArray[np.float32]", (summed[rows:] - summed[:-rows]) / rows)


def _surprise(
    means: npt.NDArray[np.float32],
    at: npt.NDArray[np.intp],
    rows: int,
    over: Callable[..., npt.NDArray[np.float32]] = np.mean,
) -> npt.NDArray[np.float32]:
    """How far the rows from `at` on differ from those before, or from what their trend makes one expect.

    over: the mean or the median over the pixels of a row. Returns (k,).
    """
    jump = means[at] - means[at - rows]
    last = len(means) - 1
    trend = (means[np.minimum(at + rows, last)] - means[at] + means[at - rows] - means[at - 2 * rows]) / 2
    plain, bent = over(np.abs(jump), axis=(1, 2)), over(np.abs(jump - trend), axis=(1, 2))
    return np.minimum(plain, bent)


def _jumps(frames: Sequence[npt.NDArray[np.float32]], scale: int) -> Profile:
    """Log of the mean jump after each row, float64 (length - 1,); NaN near the ends.

    A jump is the difference of the means of `scale` rows on both sides, less what their own trend makes
    one expect: smooth tiles have none inside.
    """
    n = len(frames[0])
    total: Profile = np.full(n - 1, np.nan)
    if n < 4 * scale:
        return total
    r = np.arange(2 * scale - 1, n - 2 * scale)
    total[r] = 0
    for frame in frames:
        values = frame.reshape(n, -1, scale, frame.shape[3]).mean(axis=2) if scale > 1 else frame[:, :, 0]
        if scale > 1:
            values = values[:, :: max(1, 8 // scale)]
        summed = np.zeros((n + 1, *values.shape[1:]), np.float32)
        np.cumsum(values, axis=0, out=summed[1:])
        means = (summed[scale:] - summed[:-scale]) / scale  # means[r]: of the rows r to r + scale - 1
        inner = means[r + 1] - means[r - scale + 1]
        trend = means[r - 2 * scale + 1] - means[r + scale + 1]
        total[r] += np.abs(1.5 * inner + 0.5 * trend).mean(axis=(1, 2))
    total[total < 0.3 * len(frames)] = np.nan  # both sides plain and alike: that says nothing
    return cast("Profile", np.log(total / len(frames) + 0.5))
