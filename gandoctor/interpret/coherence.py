"""Whether the parts of a sample belong together: dependence between patches, against the reals'.

A tile is cut into 4 x 4 patches, each described by its mean colour, slope and contrast. Three measures say
how the patches of a tile hang together; of patches that were shuffled each is 0 in the mean, so that
fakes / reals says where the fakes stand between a patch-shuffle of the reals and the reals themselves.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt

from gandoctor.interpret.features import Look, Matrix

Parts: TypeAlias = npt.NDArray[np.float64]

FEWEST = 16  # tiles of either kind in which dependence can be measured
_MOST = 48  # tiles that are compared
_CUTS = 4  # patches along each side
SMALLEST = 4 * _CUTS  # averaged pixels of a tile's side
_SHUFFLES = 199
_NEAR, _FAR, _PLACE = range(3)
NAMES = (
    "dependence of neighbouring patches, fakes / reals",
    "dependence of distant patches, fakes / reals",
    "variance of patches by their place, fakes / reals",
)


def can_be_cut(look: Look) -> bool:
    """Whether the tiles are large enough to be cut into patches."""
    return min(look.shape[:2]) >= SMALLEST


def parts(look: Look) -> Parts:
    """The patches of each tile, float64 (n, 16, c + 3): mean colour, slopes across and down, log contrast."""
    high, wide, channels = (size // _CUTS for size in (*look.shape[:2], _CUTS * look.shape[2]))
    which = np.linspace(0, len(look) - 1, min(len(look), _MOST)).round().astype(np.intp)
    tiles = look.values[which].astype(np.float64).reshape(len(which), *look.shape)
    tiles = tiles[:, : _CUTS * high, : _CUTS * wide]
    patches = tiles.reshape(len(tiles), _CUTS, high, _CUTS, wide, channels).swapaxes(2, 3)
    grey = patches.mean(axis=5)
    colour = patches.mean(axis=(3, 4))
    across = grey[..., wide - wide // 2 :].mean(axis=(3, 4)) - grey[..., : wide // 2].mean(axis=(3, 4))
    down = grey[..., high - high // 2 :, :].mean(axis=(3, 4)) - grey[..., : high // 2, :].mean(axis=(3, 4))
    contrast = np.log(grey.std(axis=(3, 4)) + 1 / 255)  # a step of 8 bits: below it there is nothing
    found = np.concatenate([colour, np.stack([across, down, contrast], axis=3)], axis=3)
    return cast("Parts", found.reshape(len(tiles), _CUTS**2, channels + 3))


def locally_alike(fakes: Parts, reals: Parts, shift: float, scale: float) -> bool:
    """Whether the patches by themselves are like the reals': means within `shift` standard deviations of the
    reals, standard deviations within a factor of `scale`. Else something nearer at hand is wrong.
    """
    ours, theirs = (one.reshape(-1, one.shape[2]) for one in (fakes, reals))
    spread = np.maximum(theirs.std(axis=0), 1e-6)
    apart = np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) / spread
    ratio = ours.std(axis=0) / spread
    return bool(apart.max() <= shift and ratio.max() <= scale and ratio.min() >= 1 / scale)


def compared(fakes: Parts, reals: Parts) -> tuple[Matrix, Matrix]:
    """The three measures of the fakes and of the reals, float64 (3,) each.

    Dependence: bias-corrected squared distance correlation (Székely and Rizzo 2013, J. Multivar. Anal. 117:193)
    over pairs of neighbouring and of distant places. Place: the share of the patches' variance that lies
    between places, without what chance puts there.
    """
    both, tables = _pooled(fakes, reals)
    n = len(fakes)
    return _measures(both[:n], tables[:, :n, :n]), _measures(both[n:], tables[:, n:, n:])


def chance(fakes: Parts, reals: Parts, measure: int) -> float:
    """The probability that the reals pass the fakes by as much in one measure if the two were drawn alike.

    By permutation of the labels over tiles, which are independent; 1 as soon as one of 199 does, else 1/200.
    """
    both, tables = _pooled(fakes, reals)
    n = len(fakes)
    random = np.random.default_rng(0)
    seen: float | None = None
    for order in [np.arange(len(both)), *(random.permutation(len(both)) for _ in range(_SHUFFLES))]:
        a, b = order[:n], order[n:]
        ours = _measures(both[a], tables[:, a[:, None], a])[measure]
        gap = _measures(both[b], tables[:, b[:, None], b])[measure] - ours
        if seen is None:
            seen = float(gap)
        elif gap >= seen:
            return 1.0
    return 1 / (_SHUFFLES + 1)


def _pooled(fakes: Parts, reals: Parts) -> tuple[Parts, npt.NDArray[np.float64]]:
    """All tiles in units of the reals' standard deviations, (n, 16, f), and their distances place by place."""
    spread = reals.reshape(-1, reals.shape[2]).std(axis=0)
    both = np.concatenate([fakes, reals]) / np.maximum(spread, 1e-6)
    places = both.swapaxes(0, 1)
    squares = ((places[:, :, None] - places[:, None]) ** 2).sum(axis=3)
    return both, np.sqrt(squares)


def _measures(patches: Parts, tables: npt.NDArray[np.float64]) -> Matrix:
    """Dependence of neighbouring places, of distant places, and variance by place, float64 (3,)."""
    n = len(patches)
    rows = tables.sum(axis=2) / (n - 2)
    centred = (
        tables
        - rows[:, :, None]
        - rows[:, None]
        + tables.sum(axis=(1, 2))[:, None, None] / ((n - 1) * (n - 2))
    )
    centred[:, np.arange(n), np.arange(n)] = 0
    flat = centred.reshape(len(tables), -1)
    products = flat @ flat.T
    sizes = np.sqrt(np.maximum(np.diag(products), 0))
    whole = np.outer(sizes, sizes)
    near, far = _pairs()
    found = [float(products[which].sum() / max(whole[which].sum(), 1e-12)) for which in (near, far)]
    means = patches.mean(axis=0)
    within = float(patches.var(axis=0, ddof=1).mean())
    between = float(means.var(axis=0, ddof=1).mean()) - within / n
    return np.array([*found, between / max(between + within, 1e-12)])


@lru_cache(maxsize=1)
def _pairs() -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which pairs of places are neighbours, and which lie half of the side apart, bool (16, 16) each."""
    row, col = np.divmod(np.arange(_CUTS**2), _CUTS)
    apart = np.maximum(np.abs(row[:, None] - row), np.abs(col[:, None] - col))
    return apart == 1, apart >= _CUTS // 2
