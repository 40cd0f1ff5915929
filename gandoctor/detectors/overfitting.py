"""GD203: the discriminator knows the training reals by heart."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gandoctor.detectors import detector
from gandoctor.findings import Evidence, Finding, Kind, NotExamined, Param, Severity, State
from gandoctor.interpret.view import D_LOSS, SCORES, SIGNS, RunView, Signal
from gandoctor.stats import MAD_TO_SIGMA, mad, rolling_median
from gandoctor.thresholds import Limits

HELDOUT = Signal("d-heldout-loss", "D", "heldout_loss", ("total", ""), 65)
HELDOUT_SCORES = Signal("d-heldout-outputs", "D", "score", ("heldout",), 64)


@detector("GD203", needs=(SIGNS,), min_points=20)
def signs_near_one(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report r_t = E[sign C(x)] above what adaptive augmentation aims at, to the end.

    Source: Karras 2020, arXiv:2006.06676. Quiet on runs held at the target of 0.6.
    """
    track = view.blocks(view.get(SIGNS))
    bound = limits["signs"]
    stretch = view.stretch(track.steps, track.values >= bound.value, share=limits["share"].value)
    if stretch is None or stretch.end is not None:
        return
    value = float(np.median(track.values[view.inside(stretch, track.steps)]))
    evidence = Evidence(
        Kind.GAME, "E[sign C(x)] on training reals", value, bound, track.tags, view.window(stretch)
    )
    params: dict[str, Param] = {"gap": value}
    yield Finding("GD203", Severity.WARNING, stretch, (evidence,), view.subject("D"), params)


@detector("GD203", needs=(D_LOSS, HELDOUT), min_points=20)
def heldout_drifts(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report a D loss on held-out data that leaves the training one behind."""
    game = view.game
    if not game.scale.defined:
        yield NotExamined("GD203", State.NOT_EXAMINABLE, "no-equilibrium", game.scale.name, SIGNS.name)
        return
    heldout = view.get(HELDOUT)
    steps, (own, other) = view.aligned(view.blocks(game.d), view.blocks(heldout))
    gap = (other - own) / (game.scale.best.d_equilibrium or 1.0)
    bound = limits["gap"]
    stretch = view.stretch(steps, gap >= bound.value, share=limits["share"].value)
    if stretch is None or stretch.end is not None:
        return
    value = float(np.median(gap[view.inside(stretch, steps)]))
    tags = (*game.d.tags, *heldout.tags)
    evidence = Evidence(
        Kind.GAME, "(held-out - training) D loss / equilibrium", value, bound, tags, view.window(stretch)
    )
    yield Finding("GD203", Severity.WARNING, stretch, (evidence,), view.subject("D"), {"gap": value})


@detector("GD203", needs=(SCORES, HELDOUT_SCORES), min_points=20)
def heldout_reals_look_fake(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report that D's outputs on held-out reals have moved from the training reals towards the fakes.

    The share of the way, r_v, has no unit and needs no loss family. Source: Karras 2020, arXiv:2006.06676. A D
    at chance has no way to divide: there the drift must also stand out from the noise of its own batches.
    """
    tracks = view.part(SCORES, "real"), view.part(SCORES, "fake"), view.get(HELDOUT_SCORES)
    steps, (real, fake, heldout) = view.aligned(*map(view.blocks, tracks))
    drift, way = real - heldout, real - fake
    noise = 3 * MAD_TO_SIGMA * mad(drift - rolling_median(drift, 9))
    bound = limits["drift"]
    mask = (way > 0) & (drift >= bound.value * way) & (drift > noise)
    stretch = view.stretch(steps, mask, share=limits["share"].value)
    if stretch is None or stretch.end is not None:
        return
    inside = view.inside(stretch, steps) & (way > 0)
    value = float(np.median(drift[inside] / way[inside]))
    tags = tuple(tag for track in tracks for tag in track.tags)
    statistic = "share of the way from training reals to fakes that D puts held-out reals"
    evidence = Evidence(Kind.GAME, statistic, value, bound, tags, view.window(stretch))
    yield Finding("GD203", Severity.WARNING, stretch, (evidence,), view.subject("D"), {"gap": value})
