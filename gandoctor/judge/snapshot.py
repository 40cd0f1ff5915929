"""Which snapshot to keep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gandoctor.detectors.quality import impossible
from gandoctor.findings import Severity
from gandoctor.interpret.view import QUALITY, RunView
from gandoctor.judge.diagnosis import Judged, Snapshot

_IMPOSSIBLE = 1e5
_BROKEN = 0.2  # share of impossible values above which a metric is not believed


def best_snapshot(views: Sequence[RunView], primary: Judged | None) -> Snapshot | None:
    """The step with the best believable metric, else the last before the primary's onset; with the saved
    file nearest before it, if one is there. None where neither tells.
    """
    best: Snapshot | None = None
    for view in views:
        for track in view.all(QUALITY):
            tag = track.tags[0]
            bad = impossible(view, tag, _IMPOSSIBLE)
            one = view.series[tag].take(~bad)
            if len(one) < 3 or np.ptp(one.values) == 0 or np.mean(bad) > _BROKEN:
                continue
            high = view.better_when_higher(tag)
            at = int(np.argmax(one.values) if high else np.argmin(one.values))
            step = int(one.steps[at])
            if best is None:
                best = Snapshot(step, _file_near(view, step), tag, float(one.values[at]))
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
