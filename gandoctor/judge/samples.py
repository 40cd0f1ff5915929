"""Two scores of the samples, quality and variety, apart; and which grids there are, how often, how often would do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gandoctor.interpret import features
from gandoctor.interpret.frames import Frame, Shows, Stream
from gandoctor.interpret.view import RunView
from gandoctor.judge.diagnosis import Grids, Samples

_FEWEST = 8  # samples of which a score means something
_FEWEST_REALS = 16
# Bisection dates an illness between two neighbouring frames: within a tenth of the run where no gap is longer
# than that. Twice as many stand a frame that cannot be read, and need two to hold to the end.
_WITHIN = 0.1
_WANTED = 20


def samples_of(view: RunView) -> Samples | None:
    """What the sample grids of a run come to; None where it has no pictures."""
    if not view.frames.streams:
        return None
    reals = [last for stream in view.frames.of(Shows.REAL) if (last := stream.last()) is not None]
    real = max((look for _, look in reals), key=len, default=None)
    for stream in view.frames.samples():
        last = stream.last()
        if last is None or len(last[1]) < _FEWEST:
            continue
        frame, look = last
        if real is not None and len(real) >= _FEWEST_REALS and features.comparable(look, real):
            quality = features.precision(look, real)
            variety, beside = features.distance_ratio(look, real)[0], "reals"
        else:
            quality = None
            best = max(features.spread(one) for _, one in stream.looks())
            variety, beside = (features.spread(look) / best if best > 0 else 0.0), "best-frame"
        return Samples(quality, variety, beside, stream.name, frame.step, _grids(view))
    return Samples(None, None, "", "", None, _grids(view))


def _grids(view: RunView) -> tuple[Grids, ...]:
    """The three kinds of grids, the longest stream of each."""
    noise = view.frames.of(Shows.NOISE)
    named = {
        "fixed-noise": view.frames.of(Shows.FIXED) or [one for one in noise if one.fixed],
        "random-noise": view.frames.of(Shows.RANDOM) or [one for one in noise if not one.fixed],
        "interpolation": view.frames.of(Shows.INTERPOLATION),
    }
    first, last = view.span
    return tuple(_of_kind(kind, streams, first, last) for kind, streams in named.items())


def _of_kind(kind: str, streams: Sequence[Stream], first: int, last: int) -> Grids:
    frames: Sequence[Frame] = streams[0].frames if streams else ()
    if first <= _WITHIN * last:  # the log begins with its first entry, the run before it
        first = 0
    steps = np.unique([min(max(frame.step, first), last) for frame in frames]).astype(np.int64)
    wanted = _round((last - first) / _WANTED)
    if not len(steps):
        return Grids(kind, 0, None, wanted, False)
    gaps = np.diff(np.concatenate([[first], steps, [last]]))
    inner = np.diff(steps)
    every = int(np.median(inner)) if len(inner) else None
    return Grids(
        kind,
        len(frames),
        every,
        wanted,
        last > first and bool(gaps.max() <= max(1, _WITHIN * (last - first))),
    )


def _round(steps: float) -> int:
    """Down to one digit, at least 1."""
    if steps < 1:
        return 1
    unit = 10 ** int(np.floor(np.log10(steps)))
    return int(steps // unit * unit)
