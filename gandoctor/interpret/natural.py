"""The size that a loss has by nature, and whether a log holds losses of batches or sums over many."""

from __future__ import annotations

import math

import numpy as np

from gandoctor.interpret.families import FAMILIES
from gandoctor.interpret.view import RunView, Track

_FIRST = 3  # points at the start


def natural_loss(view: RunView, network: str) -> float | None:
    """What one loss of a network is large or small against, None where nothing says it.

    network: "D": the loss at equilibrium; where no family fits at all, the largest that any has, if D's loss and its
    halves are never negative, as a critic's would be. "G": one debt, where G's loss stands alone and cannot drift,
    as hinge's and a critic's do.
    """
    scale, game = view.family, view.game
    if network == "G":
        loose = (
            not scale.defined or not game.alone or game.weighted or not math.isfinite(scale.best.family.g_low)
        )
        return None if loose else scale.best.family.debt_unit * scale.best.g_factor
    if scale.defined:
        return scale.best.d_equilibrium
    if scale.forms or any(len(t) and t.values.min() < 0 for t in (game.d, game.real, game.fake)):
        return None
    return max(2 * family.d_half for family in FAMILIES.values() if family.d_half is not None)


def of_batches(view: RunView, most: float, fell: float) -> bool:
    """Whether the losses are those of batches, not sums over an epoch, which are huge from the first point on.

    They are if one of them began below `most` times its natural size, lies below that size in the median, or fell by
    a factor of `fell`, as no sum does.
    """
    for track, network in ((view.game.d, "D"), (view.game.g, "G")):
        natural = natural_loss(view, network)
        if natural is None or not len(track):
            continue
        first, middle = np.abs(track.values[:_FIRST]), _middle(view, track)
        if first.min() < most * natural or middle < natural or first.max() >= fell * middle:
            return True
    return False


def _middle(view: RunView, track: Track) -> float:
    size = np.abs(track.values[view.after_warm_up(track.steps)])
    return float(np.median(size)) if len(size) else math.nan
