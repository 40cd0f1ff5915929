"""What can be measured on samples without a network of one's own: variety, lattices, noise, blank tiles.

Light features by choice: pixels at 32 x 32 and energies of cosine bands for distances, spectra at full size
for textures. Nothing is downloaded, nothing is random. Distances are root mean squares over the values of a
sample, or of a user's own embedding of it where there is one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from gandoctor.stats import Mask, vendi_score

Samples: TypeAlias = npt.NDArray[np.float32]
Matrix: TypeAlias = npt.NDArray[np.float64]
Tiles: TypeAlias = npt.NDArray[np.uint8]

SIDE = 32  # pixels to which tiles are averaged for distances
MOST = 256  # samples of a frame that are looked at
_WINDOW = 128  # pixels of a tile whose spectrum is taken
_SPECTRA = 64  # tiles whose spectra are taken
_COMPARED = 96  # samples between whose features distances to reals are taken
_TEXTURED = 16  # pixels that a tile needs for its texture to be judged
_NEAR = 0.15  # of the standard distance of two samples: closer ones are near-duplicates


def _nothing() -> Samples:
    return np.empty((0, 0), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What one frame of n samples shows.

    values: float32 (n, d), points as they are, images as averaged pixels between 0 and 1.
    shape: height, width and channels of an averaged tile, whose product is d; (0, 0, 0) for points.
    index: int64 (n,), which samples of the frame these are. side: pixels of a tile's shorter side, 0 for
    points. lattice, peak: share of the tiles' variance in lines at the reciprocals of 2 and 4 pixels, and
    the highest of them over its surroundings; NaN where tiles are too small, or were resampled.
    smooth: float64 (n,), correlation of neighbouring pixels, NaN for points and blank tiles.
    blank: bool (n,), tiles of one colour, points at the corners of [-1, 1]. clipped: float64 (n,), share of a
    tile's values at the ends of their range, NaN for points. level, contrast: float64 (c,),
    mean and standard deviation of each channel, 0 to 255. cols: columns of the grid, 0 where there is none.
    not_finite: share of samples with NaN or infinity. bands: float32 (n, 63), log energies of cosine bands,
    (n, 0) for points and small tiles. embedded: float32 (n, e), the user's features; (n, 0) without.
    """

    values: Samples
    index: npt.NDArray[np.int64]
    side: int
    lattice: float
    peak: float
    smooth: Matrix
    blank: Mask
    clipped: Matrix
    level: Matrix
    contrast: Matrix
    shape: tuple[int, int, int] = (0, 0, 0)
    cols: int = 0
    not_finite: float = 0.0
    bands: Samples = field(default_factory=_nothing)
    embedded: Samples = field(default_factory=_nothing)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def points(self) -> bool:
        """Whether these are points and not images."""
        return self.side == 0

    @property
    def noisy(self) -> bool:
        """Whether most tiles are noise: neighbouring pixels have little to do with each other."""
        seen = self.smooth[np.isfinite(self.smooth)]
        return bool(len(seen)) and self.side >= _TEXTURED and float(np.median(seen)) < 0.3


def look_at_points(points: npt.NDArray[Any]) -> Look:
    """What a frame of points shows, (n, d) in their own units."""
    index = _some(len(points))
    values = np.ascontiguousarray(points[index], np.float32)
    good = np.isfinite(values).all(axis=1)
    values, kept = values[good], index[good]
    nothing = np.full(len(values), np.nan)
    size = np.abs(values)
    blank = cast("Mask", (size >= 0.999).all(axis=1) & (size <= 1).all(axis=1))  # a saturated tanh or sigmoid
    cols = round(len(points) ** 0.5)
    return Look(values, kept, 0, np.nan, np.nan, nothing, blank, nothing, np.empty(0), np.empty(0),
                cols=cols if cols * cols == len(kept) else 0, not_finite=float(1 - good.mean()))  # fmt: skip


def look_at_tiles(
    tiles: Tiles, cols: int = 0, *, resampled: bool = False, embed: Callable[[Tiles], Samples] | None = None
) -> Look:
    """What a frame of tiles shows, uint8 (n, h, w, c), in so many columns.

    resampled: drawn at another size, as figures are. embed: the user's features, (n, h, w, c) -> (n, e).
    """
    index = _some(len(tiles))
    tiles = tiles[index]
    _, height, width, _ = tiles.shape
    side = min(height, width)
    flat = tiles.reshape(len(tiles), -1)
    blank = cast("Mask", flat.max(axis=1).astype(np.int16) - flat.min(axis=1) <= 2)
    lattice, peak = np.nan, np.nan
    if side >= _TEXTURED and not resampled and not blank.all():
        lattice, peak = _lattice(_middle(tiles[~blank][_some(int((~blank).sum()), _SPECTRA)]))
    smooth = np.full(len(tiles), np.nan)
    if not blank.all():
        smooth[~blank] = _smooth(_middle(tiles[~blank]))
    level, contrast = _levels(tiles)
    averaged = _averaged(tiles)
    shape = cast("tuple[int, int, int]", averaged.shape[1:])
    values = averaged.reshape(len(tiles), -1)
    clipped = ((flat <= 1) | (flat >= 254)).mean(axis=1)
    return Look(values, index, side, lattice, peak, smooth, blank, clipped, level, contrast, shape, cols,
                bands=band_energies(tiles) if side >= _BLOCK else _nothing(),
                embedded=_nothing() if embed is None else embed(tiles))  # fmt: skip


def _some(n: int, most: int = MOST) -> npt.NDArray[np.int64]:
    """At most so many of n, evenly spread."""
    return np.arange(n) if n <= most else np.linspace(0, n - 1, most).round().astype(np.int64)


def _averaged(tiles: Tiles) -> Samples:
    """Tiles averaged to at most SIDE pixels on their shorter side, float32 (n, h, w, c) between 0 and 1."""
    n, height, width, channels = tiles.shape
    block = max(1, -(-min(height, width) // SIDE))
    high, wide = height // block, width // block
    cut = tiles[:, : high * block, : wide * block]
    means = cut.reshape(n, high, block, wide, block, channels).mean(axis=(2, 4), dtype=np.float32)
    return cast("Samples", means / 255)


def _middle(tiles: Tiles) -> Tiles:
    """The middle of the tiles, a multiple of 8 pixels high and wide where they are that large."""
    _, height, width, _ = tiles.shape
    high, wide = (min(_WINDOW, size // 8 * 8 or size) for size in (height, width))
    top, left = (height - high) // 2, (width - wide) // 2
    return tiles[:, top : top + high, left : left + wide]


def _levels(tiles: Tiles) -> tuple[Matrix, Matrix]:
    """Mean and standard deviation of each channel, float64 (c,)."""
    flat = tiles.reshape(-1, tiles.shape[3])
    flat = flat[:: max(1, len(flat) // 1_000_000)]
    return flat.mean(axis=0, dtype=np.float64), flat.std(axis=0, dtype=np.float64)


def _smooth(tiles: Tiles) -> Matrix:
    """Correlation of neighbouring pixels of each tile, the lesser of across and down, float64 (n,)."""
    pixels = tiles.astype(np.float32)
    pixels -= pixels.mean(axis=(1, 2), keepdims=True)
    power = np.maximum((pixels**2).mean(axis=(1, 2, 3)), 1e-9)
    across = (pixels[:, :, 1:] * pixels[:, :, :-1]).mean(axis=(1, 2, 3)) / power
    down = (pixels[:, 1:] * pixels[:, :-1]).mean(axis=(1, 2, 3)) / power
    return cast("Matrix", np.minimum(across, down).astype(np.float64))


# --- variety --------------------------------------------------------------------------------------------


@lru_cache(maxsize=24)
def distances(look: Look, light: bool = False) -> Matrix:
    """Root mean square difference of every two samples, float64 (n, n), in the user's features if there are any.

    light: in pixels, whatever there is.
    """
    values = look.values if light or not look.embedded.size else look.embedded
    n, width = values.shape
    if look.points or values is look.embedded:
        values = values.astype(np.float64)  # squares may overflow
    found = np.zeros((n, n))
    for at in range(n - 1):  # by rows: exact, small in memory, and no threads of a matrix product are woken
        squares = (values[at + 1 :] - values[at]) ** 2
        found[at, at + 1 :] = np.sqrt(squares.sum(axis=1, dtype=np.float64) / max(1, width))
    return found + found.T


def spread(look: Look) -> float:
    """Which share of what varies in a frame varies from sample to sample, between 0 and 1.

    Of images: the variance between tiles over that variance and the mean tile's own, so that tiles all
    alike give 0, whatever they show, and tiles with nothing in common 1. Of points: their root mean square
    distance from their mean over that from the origin. Brightness, contrast and size cancel. NaN of no samples.
    """
    values = look.values.astype(np.float64)
    if not len(values):
        return math.nan
    mean = values.mean(axis=0)
    between = float(((values - mean) ** 2).mean())
    if look.points:
        shared = float((mean**2).mean())
    else:
        colours = mean.reshape(-1, max(1, len(look.level)))
        shared = float(((colours - colours.mean(axis=0)) ** 2).mean())
    total = between + shared
    if total <= 0:
        return 0.0
    share = between / total
    return share**0.5 if look.points else share


def effective_number(look: Look) -> float:
    """How many different samples there seem to be: s(s - 1) / (2 x near-duplicate pairs), at least 1.

    The collision estimate of 1 / sum p^2 over what G makes, after the birthday paradox. Near-duplicates lie
    within 0.15 of the standard distance of two samples, so this counts clusters, however near each other
    they are. inf without a pair. Source: Arora and Zhang 2017, arXiv:1706.08224.
    """
    n = len(look)
    pairs = _duplicates(distances(look))
    return n * (n - 1) / 2 / len(pairs) if len(pairs) else float("inf")


def vendi(look: Look, than: Look) -> float:
    """The Vendi score of a frame over that of another one, of as many samples: how many different ones it has.

    Of a Gaussian kernel as wide as near-duplicates of the other frame lie apart, so that both count alike.
    """
    n = min(len(look), len(than))
    tables = [distances(one)[:n, :n] for one in (look, than)]
    width = _NEAR * float(np.sqrt((tables[1] ** 2).sum() / max(1, n * (n - 1))))
    if width <= 0:
        return 1.0
    own, other = (vendi_score(np.exp(-(table**2) / (2 * width**2))) for table in tables)
    return own / other


def duplicate_pairs(look: Look, most: int = 4) -> list[tuple[int, int]]:
    """The closest near-duplicates of a frame, by the numbers of their tiles."""
    table = distances(look)
    pairs = _duplicates(table)
    order = np.argsort(table[pairs[:, 0], pairs[:, 1]], kind="stable")[:most]
    return [(int(look.index[a]), int(look.index[b])) for a, b in pairs[order]]


def _duplicates(table: Matrix) -> npt.NDArray[np.intp]:
    """Near-duplicate pairs, (k, 2)."""
    n = len(table)
    if n < 2:
        return np.empty((0, 2), np.intp)
    first, second = np.triu_indices(n, 1)
    usual = float(np.sqrt((table[first, second] ** 2).mean()))
    near = table[first, second] <= _NEAR * usual
    return np.stack([first[near], second[near]], axis=1)


def distance_ratio(fakes: Look, reals: Look) -> tuple[float, float]:
    """Mean distance of two fakes over that of two reals, and its standard error (delta method over samples)."""
    found = []
    light = not (fakes.embedded.size and reals.embedded.size)
    for look in (fakes, reals):
        n = len(look)
        each = distances(look, light).sum(axis=1) / max(1, n - 1)
        mean = float(each.mean())
        found.append((mean, 2 * float(each.std()) / max(1, n) ** 0.5))
    (fake, fake_error), (real, real_error) = found
    if real <= 0:
        return float("inf"), float("inf")
    ratio = fake / real
    relative = ((fake_error / fake) ** 2 if fake > 0 else 0.0) + (real_error / real) ** 2
    return ratio, ratio * relative**0.5


def same_tiles(before: Look, after: Look) -> float:
    """How much more alike a tile is to itself in another frame than to the others there, correlation.

    Near 1: the noise is fixed. Near 0: it is drawn anew, or all tiles are alike. NaN for other counts.
    """
    if before.values.shape != after.values.shape or len(before) < 4:
        return float("nan")
    a, b = (look.values.astype(np.float64) - look.values.mean(axis=0) for look in (before, after))
    power = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / power if power > 0 else float("nan")


def moved(before: Look, after: Look) -> float:
    """Root mean square change of each tile from one frame to another, over their standard distance.

    0: nothing moved. NaN where the counts differ.
    """
    if before.values.shape != after.values.shape or not len(before):
        return float("nan")
    change = float(((after.values.astype(np.float64) - before.values) ** 2).mean())
    both = np.concatenate([before.values, after.values]).astype(np.float64)
    usual = 2 * float(((both - both.mean(axis=0)) ** 2).mean())
    return (change / usual) ** 0.5 if usual > 0 else 0.0


def otherness(before: Look, after: Look) -> tuple[float, float]:
    """How far the samples of two frames are from having one distribution, and the standard error: the energy
    distance over twice the mean distance between the frames, 0 for one distribution (in the mean, however few
    they are) and 1 for two points. The user's features, else pixels without each tile's tint and brightness,
    which flicker in healthy training. Source: as `energy_distance`.
    """
    embedded = bool(before.embedded.size and after.embedded.size)
    kept = [look.embedded if embedded else _untinted(look) for look in (before, after)]
    first, second = (one[_some(len(one), _COMPARED)].astype(np.float64) for one in kept)
    value, error, own, theirs = _energy(first, second)
    whole = value + own + theirs
    return (value / whole, error / whole) if whole > 0 else (0.0, 0.0)


def _untinted(look: Look) -> Samples:
    """Images (n, d) less each one's mean colour; points as they are."""
    if look.points:
        return look.values
    colours = look.values.reshape(len(look), -1, max(1, len(look.level)))
    bare: Samples = (colours - colours.mean(axis=1, keepdims=True)).reshape(look.values.shape)
    return bare


def straightness(looks: Sequence[Look]) -> float:
    """Distance of the last frame's mean from the first's over the way between them: 1 for a drift."""
    means = [look.values.mean(axis=0, dtype=np.float64) for look in looks]
    way = sum(float(np.linalg.norm(b - a)) for a, b in pairwise(means))
    return float(np.linalg.norm(means[-1] - means[0])) / way if way > 0 else 1.0


# --- textures -------------------------------------------------------------------------------------------


def _lattice(tiles: Tiles) -> tuple[float, float]:
    """Share of variance in spectral lines at multiples of 1/2 and 1/4 cycles a pixel, and the highest line
    over its surroundings. tiles: uint8 (n, h, w, c).

    Up-convolutions whose kernel is no multiple of their stride leave such lines (Odena et al. 2016, Distill);
    natural spectra fall smoothly through these frequencies.
    """
    _, height, width, _ = tiles.shape
    power = spectrum(tiles)
    lines = {
        (a * height // stride, b * width // stride)
        for stride in (2, 4)
        for a in range(stride)
        for b in range(stride)
        if (a or b) and a * height % stride == 0 and b * width % stride == 0
    }
    masked = np.zeros(power.shape, np.bool_)
    for row, col in (*lines, (0, 0)):
        masked[_around(row, 1, height)[:, None], _around(col, 1, width)] = True
    whole = float(power.sum())
    share = highest = 0.0
    for row, col in lines:
        rows, cols = _around(row, 2, height)[:, None], _around(col, 2, width)
        ground = power[rows, cols][~masked[rows, cols]]
        if not len(ground):
            continue
        level = max(float(np.median(ground)), 1e-12 * whole)
        ratio = float(power[row, col]) / level
        highest = max(highest, ratio)
        if ratio > 6:  # the median of a few exponential ordinates passes by chance what one of them is
            near = power[_around(row, 1, height)[:, None], _around(col, 1, width)] - level
            share += float(np.maximum(near, 0).sum()) / whole
    return share, highest


def _around(at: int, reach: int, size: int) -> npt.NDArray[np.intp]:
    return cast("npt.NDArray[np.intp]", np.arange(at - reach, at + reach + 1) % size)


def spectrum(tiles: Tiles) -> Matrix:
    """Mean power spectrum of the tiles, each without its mean, under a Hann window, float64 (h, w)."""
    _, height, width, _ = tiles.shape
    pixels = tiles.astype(np.float32) / 255
    pixels -= pixels.mean(axis=(1, 2), keepdims=True)
    window = np.outer(np.hanning(height + 1)[:height], np.hanning(width + 1)[:width]).astype(np.float32)
    waves = np.fft.fft2(pixels * window[None, :, :, None], axes=(1, 2))
    power = (waves.real**2 + waves.imag**2).mean(axis=(0, 3), dtype=np.float64)
    return cast("Matrix", power)


_BLOCK = 8  # pixels of a side of the blocks whose cosine transform is taken


def band_energies(tiles: Tiles) -> Samples:
    """Log energy of each tile in the bands of the 8 x 8 cosine transform of its brightness, float32 (n, 63).

    uint8 (n, h, w, c), h, w >= 8. A step of 8 bits is added, below which there is nothing to see.
    """
    n, height, width, _ = tiles.shape
    high, wide = height // _BLOCK, width // _BLOCK
    grey = tiles[:, : high * _BLOCK, : wide * _BLOCK].mean(axis=3, dtype=np.float32)
    blocks = grey.reshape(n, high, _BLOCK, wide, _BLOCK)
    at = np.arange(_BLOCK)
    waves = np.cos(np.pi * at[:, None] * (2 * at + 1) / (2 * _BLOCK)).astype(np.float32) * (2 / _BLOCK) ** 0.5
    waves[0] /= 2**0.5
    energy = (np.einsum("ki,nhiwj,lj->nhwkl", waves, blocks, waves, optimize=True) ** 2).mean(axis=(1, 2))
    return cast("Samples", np.log(energy.reshape(n, -1)[:, 1:] + 1).astype(np.float32))


# --- quality --------------------------------------------------------------------------------------------


def comparable(look: Look, other: Look) -> bool:
    """Whether the samples of two frames are of one size and kind, so that a distance between them means something."""
    return (
        look.shape == other.shape
        and look.side == other.side
        and look.values.shape[1] == other.values.shape[1]
    )


def side_by_side(fakes: Look, reals: Look, *, textures: bool = True) -> tuple[Matrix, Matrix]:
    """Features of two comparable frames for distances between them, float64 (n, d) and (m, d), n, m at most 96.

    The user's; else pixels and band energies, each scaled so that two reals lie 1 apart in them. Pixels alone
    hardly see texture: docs/samples.md has what each tells. textures: False leaves the bands out.
    """
    if fakes.embedded.size and reals.embedded.size:
        kinds = [(fakes.embedded, reals.embedded)]
    else:
        kinds = [(fakes.values, reals.values), (fakes.bands, reals.bands)][: 2 if textures else 1]
    scaled = []
    for mine, theirs in kinds:
        if theirs.size:
            first, second = (one[_some(len(one), _COMPARED)].astype(np.float64) for one in (mine, theirs))
            scale = max(float((2 * second.var(axis=0).sum()) ** 0.5), 1e-9)
            scaled.append((first / scale, second / scale))
    return np.concatenate([a for a, _ in scaled], axis=1), np.concatenate([b for _, b in scaled], axis=1)


@lru_cache(maxsize=64)
def distance_to_reals(fakes: Look, reals: Look, *, textures: bool = True) -> tuple[float, float]:
    """Energy distance of two comparable frames, and its standard error. textures: whether bands count."""
    return energy_distance(*side_by_side(fakes, reals, textures=textures))


def distance_of_mean(reals: Look) -> float:
    """The energy distance of one picture, the mean of the reals, to them: what knows no more than that. In pixels."""
    _, theirs = side_by_side(reals, reals, textures=False)
    mean = theirs.mean(axis=0, keepdims=True)
    return energy_distance(mean.repeat(2, axis=0), theirs)[0]


def precision(fakes: Look, reals: Look, nearest: int = 5) -> float:
    """The share of fakes that lie no further from some real than its fifth neighbour among the reals does.

    Each sample by itself counts: fakes all alike may have 1. Reals against reals have about 0.9.
    Source: Kynkäänniemi et al. 2019, arXiv:1904.06991; valid for any features, Naeem et al. 2020, arXiv:2002.09797.
    """
    mine, theirs = side_by_side(fakes, reals)
    radius = np.sort(_apart(theirs, theirs), axis=1)[:, min(nearest, len(theirs) - 1)]
    return float((_apart(mine, theirs) <= radius).any(axis=1).mean())


def energy_distance(fakes: Matrix, reals: Matrix) -> tuple[float, float]:
    """Energy distance of two sets of features over the mean distance of two reals, and its standard error.

    2 E|X - Y| - E|X - X'| - E|Y - Y'|, without bias: 0 in the mean where both are drawn alike, however few
    they are, and above it else. The error is of first order (Hájek projection over samples).
    fakes, reals: float64 (n, d), (m, d), n, m >= 2. Source: Székely and Rizzo 2013, J. Stat. Plan. Inference 143:1249.
    """
    value, error, _, scale = _energy(fakes, reals)
    return (value / scale, error / scale) if scale > 0 else (float("inf"), float("inf"))


def _energy(first: Matrix, second: Matrix) -> tuple[float, float, float, float]:
    """Energy distance, its standard error, and the mean distances within either set."""
    cross, own, theirs = _apart(first, second), _apart(first, first), _apart(second, second)
    n, m = cross.shape
    of_first = 2 * cross.mean(axis=1) - 2 * own.sum(axis=1) / (n - 1)
    of_second = 2 * cross.mean(axis=0) - 2 * theirs.sum(axis=1) / (m - 1)
    within, beyond = float(own.sum()) / (n * (n - 1)), float(theirs.sum()) / (m * (m - 1))
    value = 2 * float(cross.mean()) - within - beyond
    error = (float(of_first.var(ddof=1)) / n + float(of_second.var(ddof=1)) / m) ** 0.5
    return value, error, within, beyond


def _apart(first: Matrix, second: Matrix) -> Matrix:
    """Distances, float64 (n, m)."""
    return cast("Matrix", np.sqrt(np.stack([((second - one) ** 2).sum(axis=1) for one in first])))


# --- paths ----------------------------------------------------------------------------------------------


def steps_along(values: Samples, cols: int) -> Matrix:
    """Length of each step along the rows of a grid of interpolations, float64 (rows, cols - 1)."""
    rows = len(values) // cols
    strips = values[: rows * cols].reshape(rows, cols, -1).astype(np.float64)
    return cast("Matrix", np.sqrt(((strips[:, 1:] - strips[:, :-1]) ** 2).mean(axis=2)))
