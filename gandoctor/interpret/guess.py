"""Which unnamed column may be D's loss and which G's: a guess for the user to confirm, never used unasked."""

from __future__ import annotations

import numpy as np

from gandoctor.interpret.families import LOG2
from gandoctor.interpret.roles import words
from gandoctor.interpret.view import RunView

_NAMED = frozenset({"loss", "losses", "err", "error", "cost"})
_STARTS = ((2 * LOG2, LOG2), (2.0, 0.0))  # (D, G) at the start: cross-entropy, hinge


def guess_losses(view: RunView, missing: str) -> dict[str, str]:
    """Network → tag for the networks of `missing` ("D", "G" or "DG"); empty where there is no guess.

    Among the tags that were not understood, those called a loss come first. Of two, D's is the one that
    begins nearer to D's equilibrium, or else ends lower: D leads in most games.
    """
    other = [tag for tag, role in view.roles.items() if role.quantity == "other" and len(view.track(tag)) > 1]
    other = [tag for tag in other if tag.isprintable()]
    free = [tag for tag in other if _NAMED & set(words(tag))]
    free = (free if len(free) >= len(missing) else other)[:2]
    if len(free) < len(missing):
        return {}
    if len(missing) == 1:
        return {missing: free[0]}
    first, second = free
    return {"D": first, "G": second} if _fits(view, first, second) else {"D": second, "G": first}


def _fits(view: RunView, d: str, g: str) -> bool:
    """Whether `d` is rather D's loss and `g` G's than the other way round."""
    (d_early, d_late), (g_early, g_late) = _ends(view, d), _ends(view, g)
    ways = [(abs(d_early - a) + abs(g_early - b), abs(g_early - a) + abs(d_early - b)) for a, b in _STARTS]
    straight, crossed = (min(way[n] for way in ways) for n in (0, 1))
    if min(straight, crossed) < 0.5 and straight != crossed:
        return straight < crossed
    return d_late <= g_late


def _ends(view: RunView, tag: str) -> tuple[float, float]:
    values = view.track(tag).values
    k = max(1, len(values) // 20)
    return float(np.median(values[:k])), float(np.median(values[-5 * k :]))
