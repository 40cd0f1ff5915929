"""GD303, GD401, GD403, GD404 by `gandoctor probe`: what samples of each snapshot, drawn again, tell of G."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from gandoctor.detectors import detector
from gandoctor.findings import Evidence, Finding, Kind, Param, Severity, Stretch, Threshold
from gandoctor.interpret.view import PROBE, WARM_UP, RunView, Signal, Track
from gandoctor.run import Steps, Values
from gandoctor.stats import Mask
from gandoctor.thresholds import Limits

_LATE = 0.2  # of the run: a snapshot there stands for its end


def _part(name: str) -> Signal:
    return replace(PROBE, parts=(name,))


STD, DISTANCE, VENDI = _part("sample-std"), _part("distance"), _part("vendi")
Z, Z_IN_CLASS, JUMPS, DEAD = _part("z-share"), _part("z-share-in-class"), _part("jumps"), _part("dead-units")
REAL_STD = Signal("sample-std", "-", "sample_std", ("real",))


@detector("GD401", needs=(STD, REAL_STD), min_points=1)
def snapshots_vary_less_than_reals(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report snapshots whose samples have a standard deviation far below that of the reals, to the end.

    At the start every generator varies too little: only what holds at the end counts.
    """
    track, bound = view.get(STD), limits["samples"]
    real = _of_reals(view)
    if real <= 0:
        return
    ratio = track.values / real
    stretch = _to_the_end(view, track, ratio < bound.value)
    if stretch is not None:
        value = float(ratio[-1])
        severe = value < limits["certain"].value
        yield _finding(view, "GD401", stretch, "std of samples / std of reals", value, bound, track, severe=severe,
                       signal=track.tags[0], value=value)  # fmt: skip


@detector("GD401", needs=(DISTANCE, VENDI), min_points=3)
def snapshots_lost_variety(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report samples whose distance from each other and whose number (Vendi score) both fell to half of the best of
    earlier snapshots, to the end.

    Not an illness: samples that are noise at first and settle to data of less contrast. Their distance falls, but
    all of them stay different, so that their number does not. Nor samples that vary as much as the reals do.
    """
    bound = limits["fallen"]
    steps, (distance, vendi) = view.aligned(view.get(DISTANCE), view.get(VENDI))
    late = _after_warm_up(view, steps)
    if np.count_nonzero(late) < 3 or _as_varied_as_reals(view, limits["samples"].value):
        return
    track = Track(steps, distance, view.get(DISTANCE).tags)
    left = [_of_best(values, late) for values in (distance, vendi)]
    stretch = _to_the_end(view, track, late & (left[0] <= bound.value) & (left[1] <= bound.value))
    if stretch is None:
        return
    window = view.window(stretch)
    number = Evidence(
        Kind.SAMPLES, "Vendi score, last / best", float(left[1][-1]), bound, view.get(VENDI).tags, window
    )
    found = _finding(view, "GD401", stretch, "distance of two samples, last / best", float(left[0][-1]), bound, track,
                     signal=track.tags[0], value=float(distance[-1]), best=_best(distance[late]))  # fmt: skip
    yield replace(found, evidence=(*found.evidence, number))


@detector("GD403", needs=(Z,), min_points=1)
def snapshots_ignore_z(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report samples that are the same for every z, to what 8 bits can show. A collapsed G still varies more."""
    track, bound = view.get(Z), limits["unmoved"]
    stretch = _to_the_end(view, track, track.values <= bound.value)
    if stretch is not None:
        value = float(track.values[-1])
        yield _finding(view, "GD403", stretch, "variance over z / mean square of the samples", value, bound, track,
                       share=value)  # fmt: skip


@detector("GD403", needs=(Z_IN_CLASS,), min_points=1)
def snapshots_follow_the_class_alone(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report a conditional G whose samples of one class hardly differ beside what classes differ."""
    track, bound = view.get(Z_IN_CLASS), limits["in_class"]
    stretch = _to_the_end(view, track, track.values <= bound.value)
    if stretch is not None:
        value = float(track.values[-1])
        yield _finding(view, "GD403", stretch, "variance over z within classes / all of it", value, bound, track,
                       share=value)  # fmt: skip


@detector("GD404", needs=(JUMPS,), min_points=1)
def snapshots_jump(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report paths between z more than half of whose way lies within a thousandth of the path, in most of them.

    Data of separate kinds must be crossed somewhere: a G that has learnt them is steep there, over some per cent of
    the path. What is as steep as this is a step: halving the path goes on without halving the change.
    """
    track, bound = view.get(JUMPS), limits["share"]
    stretch = _to_the_end(view, track, track.values >= bound.value)
    if stretch is not None:
        value = float(track.values[-1])
        yield _finding(view, "GD404", stretch, "paths with a jump", value, bound, track, share=value)


@detector("GD303", needs=(DEAD,), min_points=1)
def units_never_active(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report layers of ReLUs nearly all of whose units are 0 for every z that was tried, to the end.

    Not an illness: some dead units, of which healthy generators have many (up to 0.56 of a layer).
    """
    bound = limits["dead"]
    for track in view.all(DEAD):
        layer = view.roles[track.tags[0]].layer
        stretch = _to_the_end(view, track, track.values >= bound.value) if layer else None
        if stretch is not None:
            value = float(track.values[-1])
            found = _finding(view, "GD303", stretch, "share of a layer's units that are never active", value, bound,
                             track, layer=layer, share=value)  # fmt: skip
            yield replace(found, subject=view.subject("G", layer))


# --- what they share ------------------------------------------------------------------------------------


def _to_the_end(view: RunView, track: Track, holds: Mask) -> Stretch | None:
    """The last stretch of snapshots in which something holds, to the last one; of three and more the last two
    must have it. None where it does not, or where no snapshot is from after warm-up.
    """
    if not holds[-1] or not _after_warm_up(view, track.steps)[-1]:
        return None
    at = len(holds) - 1
    while at and holds[at - 1]:
        at -= 1
    if len(holds) >= 3 and at == len(holds) - 1:
        return None
    first, last = view.span
    onset = int(track.steps[at])
    before = int(track.steps[at - 1]) if at else min(first, onset)
    late = track.steps[-1] >= last - _LATE * (last - first)
    end = None if late else int(track.steps[-1])
    return Stretch(onset, (before, onset), end, float(holds.mean()))


def _after_warm_up(view: RunView, steps: Steps) -> Mask:
    """Which steps lie after the run's warm-up, however few snapshots were probed."""
    first, last = view.span
    return steps >= first + WARM_UP * (last - first)


def _best(values: Values) -> float:
    """The best of earlier snapshots: of two in a row, since one may be odd."""
    return float(np.max(np.minimum(values[:-1], values[1:])))


def _of_best(values: Values, late: Mask) -> Values:
    """Values over the best one after warm-up."""
    best = _best(values[late])
    return values / best if best > 0 else np.ones_like(values)


def _of_reals(view: RunView) -> float:
    """The standard deviation of the reals, over the log; 0 where they do not vary either, which tells nothing."""
    return float(np.median(view.get(REAL_STD).values))


def _as_varied_as_reals(view: RunView, bound: float) -> bool:
    std = view.get(STD).values
    return bool(len(std)) and view.has(REAL_STD) and float(std[-1]) >= bound * _of_reals(view)


def _finding(
    view: RunView,
    code: str,
    stretch: Stretch,
    statistic: str,
    measured: float,
    bound: Threshold,
    track: Track,
    *,
    severe: bool = False,
    **params: Param,
) -> Finding:
    evidence = Evidence(Kind.SAMPLES, statistic, measured, bound, track.tags, view.window(stretch))
    severity = Severity.ERROR if severe else Severity.WARNING
    return Finding(code, severity, stretch, (evidence,), view.subject("G"), params, overwhelming=severe)
