"""Which snapshot to keep."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gandoctor.detectors.quality import impossible
from gandoctor.findings import Severity
from gandoctor.interpret.view import QUALITY, RunView
from gandoctor.judge.diagnosis import Judged, Snapshot
from gandoctor.run import Checkpoint
from gandoctor.thresholds import limits

_BROKEN = 0.2  # share of impossible values above which a metric is not believed


def best_snapshot(views: Sequence[RunView], primary: Judged | None) -> Snapshot | None:
    """The step with the best believable metric, else the last before the primary's onset; with the saved
    file nearest before it, if one is there. None where neither tells.
    """
    best: Snapshot | None = None
    for view in views:
        for track in view.all(QUALITY):
            tag = track.tags[0]
            bad = impossible(view, tag, limits("GD505")["impossible"].value)
            one = view.series[tag].take(~bad)
            if len(one) < 3 or np.ptp(one.values) == 0 or np.mean(bad) > _BROKEN:
                continue
            high = view.better_when_higher(tag)
            at = int(np.argmax(one.values) if high else np.argmin(one.values))
            step = int(one.steps[at])
            if best is None:
                saved = _last_saved(view, step)
                best = Snapshot(step, None if saved is None else saved.path, tag, float(one.values[at]))
    if best is None and primary is not None and primary.finding.severity is Severity.ERROR:
        onset = primary.finding.stretch.onset
        last = _last_saved(views[0], onset - 1)
        if last is not None and last.step is not None:
            best = Snapshot(last.step, last.path, "before-onset", float(onset))
    return best


def _last_saved(view: RunView, step: int) -> Checkpoint | None:
    """The checkpoint saved at a step, or the last one before it."""
    saved = [c for c in view.run.checkpoints if c.step is not None and c.step <= step]
    return max(saved, key=lambda c: (c.step or 0, str(c.path)), default=None)
