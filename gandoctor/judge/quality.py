"""Whether quality rises while the losses look odd: then it outweighs them."""

from __future__ import annotations

import numpy as np

from gandoctor.findings import Finding, Kind, Severity
from gandoctor.interpret.view import QUALITY, RunView
from gandoctor.stats import rolling_median
from gandoctor.thresholds import limits

_RISE = 0.01  # of the metric's level: PSNR gains little more in a good run
_FEWEST = 8


def outweighed(finding: Finding, view: RunView) -> bool:
    """Whether an error that rests on the game's outputs alone is milder than it looks, because a quality
    metric that can be believed got better within its stretch.
    """
    if finding.severity is not Severity.ERROR or {e.kind for e in finding.evidence} != {Kind.GAME}:
        return False
    if finding.code in ("GD105", "GD701"):
        return False
    return improves(view, *view.window(finding.stretch))


def improves(view: RunView, first: int, last: int) -> bool:
    """Whether a believable quality metric is better at the end of a window than at its start, and none is
    worse by as much.
    """
    impossible = limits("GD505")["impossible"].value
    changes = []
    for track in view.all(QUALITY):
        inside = (track.steps >= first) & (track.steps <= last)
        values = track.values[inside]
        if len(values) < _FEWEST or np.ptp(values) == 0 or np.abs(values).max() > impossible:
            continue
        smooth = rolling_median(values, 5)
        k = max(2, len(smooth) // 5)
        rise = float(np.median(smooth[-k:]) - np.median(smooth[:k]))
        sign = 1.0 if view.better_when_higher(track.tags[0]) else -1.0
        changes.append(sign * rise / max(float(np.median(np.abs(values))), 1e-12))
    return bool(changes) and max(changes) > _RISE and min(changes) > -max(changes)
