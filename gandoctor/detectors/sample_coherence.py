"""GD506: samples whose parts are right and do not belong together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gandoctor.detectors import detector
from gandoctor.detectors.sample_variety import beside_reals, finding_from
from gandoctor.findings import Finding, NotExamined, State
from gandoctor.interpret import coherence
from gandoctor.interpret.features import Look
from gandoctor.interpret.frames import Frame
from gandoctor.interpret.view import FRAMES, REAL_GRIDS, RunView
from gandoctor.thresholds import Limits


@detector("GD506", needs=(REAL_GRIDS, FRAMES), min_points=1)
def patches_apart(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report samples whose patches, each like those of the reals, depend on each other half as much or less.

    The measures are free of scale and 0 for shuffled patches: few, blurred or less varied samples depend on
    each other more, not less. Where the reals' patches hardly depend on each other (texture), nothing is missing.
    """
    bound, structure, chance = limits["coherence"], limits["structure"], limits["chance"]
    shift, scale = limits["shift"], limits["scale"]
    found = beside_reals(view, "GD506", coherence.FEWEST, _alike)
    if isinstance(found, NotExamined):
        yield found
        return
    real, streams = found
    if not coherence.can_be_cut(real):
        yield NotExamined("GD506", State.NOT_EXAMINABLE, "tiles-too-small", str(coherence.SMALLEST))
        return
    theirs = coherence.parts(real)
    for stream in streams:

        def worst(look: Look) -> tuple[float, int]:
            """The share of the reals' structure that the fakes have, in the measure that lacks most of it."""
            mine, whole = coherence.compared(coherence.parts(look), theirs)
            lacking = np.where(whole >= structure.value, whole - mine, -np.inf)
            lacking[mine > bound.value * whole] = -np.inf
            at = int(lacking.argmax())
            return float(mine[at] / whole[at]) if np.isfinite(lacking[at]) else np.inf, at

        def ill(look: Look, _frame: Frame) -> bool:
            enough = len(look) >= coherence.FEWEST and float(look.blank.mean()) <= 0.5
            if not enough or not _alike(look, real):
                return False
            mine = coherence.parts(look)
            if not coherence.locally_alike(mine, theirs, shift.value, scale.value):
                return False
            share, measure = worst(look)
            return share <= bound.value and coherence.chance(mine, theirs, measure) <= chance.value

        held = stream.since(ill)
        if held is not None:
            share, measure = worst(held.look)
            yield finding_from(view, "GD506", held, coherence.NAMES[measure], share, bound)


def _alike(look: Look, real: Look) -> bool:
    """Whether both are pictures, as large and with as many channels."""
    return not real.points and look.shape == real.shape
