"""Quality metrics of two sides: better, worse, or no clear difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from gandoctor.interpret.view import QUALITY
from gandoctor.loop.proportions import ranks_differ
from gandoctor.loop.sides import Member
from gandoctor.stats import mad
from gandoctor.thresholds import Limits

_FEWEST = 3  # points of a metric
_LAST = 5  # a fifth of its points is its end


@dataclass(frozen=True, slots=True)
class MetricChange:
    """One metric at the end of equal steps. baseline, candidate: a value for each run that has it.

    change: "better", "worse" or "same", which is: not clearly either. p: of Mann and Whitney, None for one run
    a side, whose difference is held against the noise of its own last points.
    """

    name: str
    higher_is_better: bool
    baseline: tuple[float, ...]
    candidate: tuple[float, ...]
    change: str
    p: float | None


def metric_changes(
    baseline: Sequence[Member], candidate: Sequence[Member], limits: Limits
) -> list[MetricChange]:
    """Every metric that both sides logged and that can be believed."""
    first, second = [_ends(member) for member in baseline], [_ends(member) for member in candidate]
    names = sorted({name for one in first for name in one} & {name for one in second for name in one})
    made = []
    for name in names:
        a = [one[name] for one in first if name in one]
        b = [one[name] for one in second if name in one]
        higher = a[0][2]
        old, new = tuple(value for value, _, _ in a), tuple(value for value, _, _ in b)
        rise = (median(new) - median(old)) * (1 if higher else -1)
        level = max(abs(median(old)), abs(median(new)))
        p = None
        if len(old) == len(new) == 1:
            clear = abs(rise) > limits["metric_noise"].value * max(a[0][1], b[0][1])
        else:
            p = ranks_differ(old, new)
            clear = p <= limits["alpha"].value
        if not clear or abs(rise) <= limits["metric_level"].value * level:
            change = "same"
        else:
            change = "better" if rise > 0 else "worse"
        made.append(MetricChange(name, higher, old, new, change, p))
    return made


def _ends(member: Member) -> dict[str, tuple[float, float, bool]]:
    """Metric → its middle value over the last fifth of its points, their spread, whether higher is better."""
    broken = {j.finding.subject.tag for j in member.diagnosis.findings if j.finding.code == "GD505"}
    found: dict[str, tuple[float, float, bool]] = {}
    for view in member.diagnosis.views:
        for track in view.all(QUALITY):
            tag = track.tags[0]
            name = " ".join(filter(None, (view.pair, view.roles[tag].part)))
            if tag in broken or len(track) < _FEWEST or name in found:
                continue
            last = track.values[-max(_FEWEST, len(track) // _LAST) :]
            found[name] = (float(np.median(last)), mad(last), view.better_when_higher(tag))
    return found
