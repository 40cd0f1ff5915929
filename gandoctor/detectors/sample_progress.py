"""GD204, GD104, GD102: fixed-noise grids that do not change, stop changing, or never stay themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from gandoctor.detectors import detector
from gandoctor.detectors.sample_variety import finding_from
from gandoctor.findings import Finding
from gandoctor.interpret import features
from gandoctor.interpret.frames import Held, Shows, Stream
from gandoctor.interpret.view import FIXED_GRIDS, FRAMES, RunView
from gandoctor.thresholds import Limits


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
                             bound, severe=most == 0, network="G", grid=_ends(held))  # fmt: skip
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
                       signal=stream.name, grid=_ends(held))  # fmt: skip


@detector("GD102", needs=(FRAMES,), min_points=3)
def samples_hop(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report frames that each lie far from the next, against the spread of their samples, and get nowhere.

    Healthy samples keep their mean once the first third is over; a drift goes one way. Images change their
    tint and brightness together, so that they must hop further. Samples that are all one have no spread to
    compare with.
    """
    way, alike = limits["straight"], limits["alike"]
    first, end = view.span
    for stream in view.frames.samples():
        looks = [
            (f, look)
            for f, look in stream.looks()
            if f.step >= first + 0.3 * (end - first) and len(look) >= 8
        ]
        if len(looks) < 3 or len({look.values.shape[1] for _, look in looks}) > 1:
            continue
        if any(features.spread(look) <= alike.value for _, look in looks):
            continue
        bound = limits["hop"] if looks[0][1].points else limits["hop_images"]
        hops = [features.hop(a, b) for (_, a), (_, b) in pairwise(looks)]
        if min(hops) < bound.value or features.straightness([look for _, look in looks]) > way.value:
            continue
        held = Held(looks[0][0], None, looks[-1][0], looks[-1][1])
        yield finding_from(view, "GD102", held, "way between frames / spread within them", float(np.median(hops)),
                           bound, grid=_ends(held))  # fmt: skip


def _ends(held: Held) -> str:
    """The first and the last frame, to be laid side by side."""
    return f"{held.first.file.name} = {held.last.file.name}"


def _short(view: RunView, first: int, last: int) -> bool:
    """Whether frames cover too little of the run to say that nothing moved in it."""
    return last - first < 0.3 * (view.span[1] - view.span[0])


def _called_samples(stream: Stream) -> bool:
    return any(word in stream.name.lower() for word in ("fake", "sample", "gen"))
