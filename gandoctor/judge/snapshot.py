"""Which snapshot to keep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gandoctor.findings import Severity
from gandoctor.interpret.view import QUALITY, RunView
from gandoctor.judge.diagnosis import Judged, Snapshot

_IMPOSSIBLE = 1e5


def best_snapshot(views: Sequence[RunView], primary: Judged | None) -> Snapshot | None:
    """The step with the best believable metric, else the last before the primary's onset; with the saved
    file nearest before it, if one is there. None where neither tells.
    """
    best: Snapshot | None = None
    for view in views:
        for track in view.all(QUALITY):
            if len(track) < 3 or np.ptp(track.values) == 0 or np.abs(track.values).max() > _IMPOSSIBLE:
                continue
            high = view.better_when_higher(track.tags[0])
            at = int(np.argmax(track.values) if high else np.argmin(track.values))
            step = int(track.steps[at])
            if best is None:
                best = Snapshot(step, _file_near(view, step), track.tags[0], float(track.values[at]))
    if best is None and primary is not None and primary.finding.severity is Severity.ERROR:
        view = views[0]
        onset = primary.finding.stretch.onset
        saved = [c for c in view.run.checkpoints if c.step is not None and c.step < onset]
        if saved:
            last = max(saved, key=lambda c: (c.step or 0, str(c.path)))
            best = Snapshot(int(last.step or 0), last.path, "before-onset", float(onset))
    return best


def _file_near(view: RunView, step: int) -> Path | None:
    """The checkpoint saved at a step, or the last one before it."""
    saved = [c for c in view.run.checkpoints if c.step is not None and c.step <= step]
    if not saved:
        return None
    last = max(saved, key=lambda c: (c.step or 0, str(c.path)))
    return last.path
