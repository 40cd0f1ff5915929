"""GD104, GD504, GD102: samples that come no nearer to the reals, move away again, or go in circles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from gandoctor.detectors import detector
from gandoctor.detectors.sample_variety import beside_reals, ends, finding_from
from gandoctor.findings import Finding, NotExamined, Stretch
from gandoctor.interpret import features
from gandoctor.interpret.features import Look
from gandoctor.interpret.frames import Frame, Held, Stream
from gandoctor.interpret.view import FIXED_GRIDS, FRAMES, REAL_GRIDS, RunView
from gandoctor.thresholds import Limits

_FEWEST = 16  # samples of either kind between which a distance means something
_FRAMES = 4  # frames in which progress can be told from a step


@detector("GD504", needs=(REAL_GRIDS, FRAMES), min_points=1)
def samples_leave_the_reals(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report samples whose distance to the reals grew back by half of what it had fallen, to the end.

    Frames scatter: the growth must be several standard errors and half of the best distance (or of that of the
    reals' mean, where the best is nearer), the better of two frames in a row counts, and it must lie well back.
    """
    lost, errors, after = limits["lost"], limits["errors"].value, limits["after"].value
    found = beside_reals(view, "GD504", _FEWEST, features.comparable)
    if isinstance(found, NotExamined):
        yield found
        return
    real, streams = found
    first, last = view.span
    known = features.distance_of_mean(real)
    for stream in streams:
        looks = _beside(stream, real)
        if len(looks) < _FRAMES:
            continue
        far = np.array([features.distance_to_reals(look, real)[0] for _, look in looks])
        at = int(np.argmin(np.maximum(far[:-1], far[1:])))
        at += int(far[at + 1] < far[at])
        best, error = features.distance_to_reals(looks[at][1], real)
        whole = max(float(far[0]) - best, best, known)

        def ill(
            look: Look, frame: Frame, since: int = looks[at][0].step, best: float = best, whole: float = whole,
            error: float = error,
        ) -> bool:  # fmt: skip
            if frame.step <= since or not _enough(look, real):
                return False
            value, own = features.distance_to_reals(look, real)
            return value - best >= max(lost.value * whole, errors * float(np.hypot(own, error)))

        held = stream.since(ill)
        if held is None or last - looks[at][0].step < after * (last - first):
            continue
        value = features.distance_to_reals(held.look, real)[0]
        rise = (value - best) / whole
        yield finding_from(view, "GD504", held, "distance to the reals: rise / fall before", rise, lost,
                           metric=f"|{stream.name} − reals|", best=best, best_step=looks[at][0].step,
                           last=value)  # fmt: skip


@detector("GD104", needs=(REAL_GRIDS, FRAMES), min_points=1)
def samples_come_no_nearer(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report samples whose distance to the reals hardly fell in the whole run, and not in its last half, and which
    end no nearer to them than one picture, the mean of the reals, lies.

    A run that has converged gained before its first frame: it is near, and quiet. Textures do not count: few
    generators get their finest frequencies right.
    """
    gain, flat = limits["gain"], limits["flat"]
    found = beside_reals(view, "GD104", _FEWEST, features.comparable)
    if isinstance(found, NotExamined):
        yield found
        return
    real, streams = found
    first, last = view.span
    for stream in streams:
        looks = _beside(stream, real)
        if len(looks) < _FRAMES or looks[-1][0].step - looks[0][0].step < 0.5 * (last - first):
            continue
        far = np.array([features.distance_to_reals(look, real, textures=False)[0] for _, look in looks])
        if far.min() < features.distance_of_mean(real):
            continue
        half = len(far) // 2
        fell = (float(far[0]) - float(far.min())) / float(far[0])
        late = (float(far[:half].min()) - float(far[half:].min())) / float(far[0])
        if fell > gain.value or late > flat.value:
            continue
        held = Held(looks[0][0], None, looks[-1][0], looks[-1][1])
        finding = finding_from(view, "GD104", held, "fall of the distance to the reals / its first level", fell, gain,
                               signal=stream.name)  # fmt: skip
        middle = first + (last - first) // 2
        yield replace(finding, stretch=Stretch(middle, (first, middle), share=0.5))


@detector("GD102", needs=(FIXED_GRIDS,), min_points=6)
def fixed_grid_returns(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report fixed-noise samples that change who they are from frame to frame and come back to what they were.

    On a way that leads somewhere, frames further apart differ more: nearer to an earlier frame than to the next
    is a circle. Samples that are all one, or little changed, are not looked at.
    """
    returns, changes, alike = limits["returns"], limits["changes"].value, limits["alike"].value
    stream = view.fixed_stream
    if stream is None:
        return
    first, end = view.span
    looks = [
        (f, look) for f, look in stream.looks() if f.step >= first + 0.3 * (end - first) and len(look) >= 8
    ]
    if len(looks) < 5 or any(features.spread(look) <= alike for _, look in looks):
        return
    apart = np.array([[features.moved(a, b) for _, b in looks] for _, a in looks])
    near = [apart[i, i + 1] for i in range(len(looks) - 2)]
    back = [apart[i, i + 2 :].min() for i in range(len(looks) - 2)]
    if not np.isfinite(apart).all() or min(near) < changes:
        return
    value = float(np.median(np.array(back) / np.array(near)))
    if value <= returns.value:
        held = Held(looks[0][0], None, looks[-1][0], looks[-1][1])
        yield finding_from(view, "GD102", held, "way back to a later frame / way to the next", value, returns,
                           grid=ends(held))  # fmt: skip


# --- what they share ------------------------------------------------------------------------------------


def _enough(look: Look, real: Look) -> bool:
    return min(len(look), len(real)) >= _FEWEST and features.comparable(look, real)


def _beside(stream: Stream, real: Look) -> Sequence[tuple[Frame, Look]]:
    """The frames of a stream that can be compared with the reals."""
    return [(frame, look) for frame, look in stream.looks() if _enough(look, real)]
