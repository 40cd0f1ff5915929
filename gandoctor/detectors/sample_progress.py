"""GD204, GD104, GD102: fixed-noise grids that do not change, stop changing, or never stay themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from gandoctor.detectors import detector
from gandoctor.detectors.sample_variety import ends, finding_from
from gandoctor.findings import Finding
from gandoctor.interpret import features
from gandoctor.interpret.frames import Held, Shows, Stream
from gandoctor.interpret.view import FIXED_GRIDS, FRAMES, RunView
from gandoctor.thresholds import Limits

_FEWEST = 8  # samples of a frame between which a distance means something
_FRAMES = 3  # frames in which wandering can be told from one step


@detector("GD204", needs=(FIXED_GRIDS,), min_points=2)
def grid_never_changes(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report a fixed-noise grid that is the same in every frame: G does not move.

    A stream without a telling name that never changes may hold inputs or reals: it must look like noise.
    """
    bound = limits["unmoved"]
    stream = view.fixed_stream
    looks = stream.looks() if stream is not None else []
    if stream is None or len(looks) < 2 or _short(view, looks[0][0].step, looks[-1][0].step):
        return
    if any(features.spread(look) <= limits["alike"].value for _, look in looks):
        return  # one sample whatever z is: a collapse, or an output that is saturated, may stand still
    if stream.shows is Shows.NOISE and not looks[-1][1].noisy and not _called_samples(stream):
        return
    most = max(features.moved(looks[0][1], look) for _, look in looks[1:])
    if most <= bound.value:
        held = Held(looks[0][0], None, looks[-1][0], looks[-1][1])
        found = finding_from(view, "GD204", held, "change of the fixed-noise grid / distance of two tiles", most,
                             bound, severe=most == 0, network="G", grid=ends(held))  # fmt: skip
        if most > 0:  # a G that moves a little may have stood still only since the first frame
            seen = replace(found.stretch, onset=found.stretch.onset_interval[1])
            found = replace(found, stretch=seen)
        yield found


@detector("GD104", needs=(FIXED_GRIDS,), min_points=4)
def grid_stopped_changing(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report a fixed-noise grid that changed once and has stood still for half of the run and to its end.

    Learning rates that fall to nothing at the end of a schedule stop it later than that.
    """
    bound, share = limits["unmoved"], limits["stood"]
    stream = view.fixed_stream
    looks = stream.looks() if stream is not None else []
    if stream is None or len(looks) < 4:
        return
    last = looks[-1][1]
    at = len(looks) - 1
    while at > 0 and features.moved(looks[at - 1][1], last) <= bound.value:
        at -= 1
    first, end = view.span
    if at == 0 or looks[-1][0].step - looks[at][0].step < share.value * (end - first):
        return
    held = Held(looks[at][0], looks[at - 1][0], looks[-1][0], last)
    value = max(features.moved(look, last) for _, look in looks[at:-1])
    yield finding_from(view, "GD104", held, "change of the fixed-noise grid / distance of two tiles", value, bound,
                       signal=stream.name, grid=ends(held))  # fmt: skip


@detector("GD102", needs=(FRAMES,), min_points=3)
def samples_hop(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report frames whose samples come from another distribution than those of the next, and get nowhere.

    Once the first third is over, healthy samples keep their distribution; those that still learn go one way,
    so that frames further apart differ more: the distance of distributions grows with the square of the way for
    a steady drift, with the way for a random walk, and not at all for samples that go from mode to mode and
    back. Images must differ more than points: a grid of them shows less of what all have in common. Samples that
    are all one are left to GD401.
    """
    settles, errors, alike = limits["settles"], limits["errors"].value, limits["alike"].value
    first, end = view.span
    for stream in view.frames.samples():
        kept = [(f, look) for f, look in stream.looks() if len(look) >= _FEWEST]
        looks = [(f, look) for f, look in kept if f.step >= first + 0.3 * (end - first)]
        if len(looks) < _FRAMES or not all(features.comparable(look, looks[0][1]) for _, look in looks):
            continue
        if any(features.spread(look) <= alike for _, look in looks):
            continue
        bound = limits["other"] if looks[0][1].points else limits["other_images"]
        apart = np.array([[features.otherness(a, b) for _, b in looks] for _, a in looks])  # (n, n, 2)
        near, error = np.median([apart[i, i + 1] for i in range(len(looks) - 1)], axis=0)
        far = float(np.median([apart[i, j, 0] for i in range(len(looks)) for j in range(i + 2, len(looks))]))
        if near < max(bound.value, errors * error) or near < settles.value * far:
            continue
        if features.straightness([look for _, look in looks]) > limits["straight"].value:
            continue  # steps so large that all distances are about 1
        learning = (
            kept[-len(looks) - 1][0] if len(kept) > len(looks) else None
        )  # while samples change by right
        held = Held(looks[0][0], learning, looks[-1][0], looks[-1][1])
        yield finding_from(view, "GD102", held, "distance of the distributions of one frame and the next", float(near),
                           bound, grid=ends(held))  # fmt: skip


def _short(view: RunView, first: int, last: int) -> bool:
    """Whether frames cover too little of the run to say that nothing moved in it."""
    return last - first < 0.3 * (view.span[1] - view.span[0])


def _called_samples(stream: Stream) -> bool:
    return any(word in stream.name.lower() for word in ("fake", "sample", "gen"))
