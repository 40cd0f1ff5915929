"""GD201, GD202: one network overpowers the other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from gandoctor.detectors import detector
from gandoctor.findings import Evidence, Finding, Kind, NotExamined, Severity, State, Stretch, Threshold
from gandoctor.interpret.view import (
    ACCURACY,
    D_LOSS,
    G_LOSS,
    PAIR_ACCURACY,
    SCORES,
    SPREADS,
    RunView,
    Track,
)
from gandoctor.stats import Mask
from gandoctor.thresholds import Limits

BLOCKS = 30  # medians over a run: each of them wide enough to smooth the noise of single batches


@detector("GD201", needs=(D_LOSS, G_LOSS), min_points=40)
def d_overpowers_by_losses(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report the stretch in which D has won and G is starved.

    Quiet on a D that merely leads, as with spectral normalisation, R1 or image-to-image models: lead
    and debt must both hold, and to the end for an error. Where a content loss carries G, only a D that
    is as good as perfect is one.
    """
    game = view.game
    if not game.scale.defined:
        yield NotExamined("GD201", State.NOT_EXAMINABLE, "no-equilibrium", game.scale.name, SCORES.name)
        return
    if not game.alone or game.weighted:
        yield from _d_alone(view, limits)
        return
    steps, (d_values, g_values) = view.aligned(view.blocks(game.d, BLOCKS), view.blocks(game.g, BLOCKS))
    lead, debt = game.scale.lead(d_values), game.scale.debt(g_values)
    saturates = game.scale.saturates
    starved = limits["saturated"] if saturates else limits["starved"]
    hungry = limits["saturated"] if saturates else limits["hungry"]
    won = limits["perfect"] if view.conditional else limits["won"]

    def found(
        mask: Mask, share: Threshold, severity: Severity, levels: tuple[Threshold, Threshold]
    ) -> Finding | None:
        hold = 0.7 if severity is Severity.ERROR else 0.6
        stretch = view.stretch(steps, mask, share=share.value, hold=hold)
        if stretch is None:
            return None
        # The steps are medians of blocks: the onset may lie half a block before the last that did not hold.
        half = int(steps[1] - steps[0]) // 2
        earliest, latest = stretch.onset_interval
        stretch = replace(stretch, onset_interval=(max(int(steps[0]), earliest - half), latest))
        if stretch.end is not None:
            severity = Severity.WARNING  # it is over: no longer certain that the run is lost
        inside = view.inside(stretch, steps)
        lead_there, debt_there = float(np.median(lead[inside])), float(np.median(debt[inside]))
        tags = (*game.d.tags, *game.g.tags)
        return Finding(
            "GD201", severity, stretch,
            (
                _evidence(view, "share of steps with D ahead and G starved", stretch.share, share, tags, stretch),
                _evidence(view, "median lead of D", lead_there, levels[0], tags, stretch),
                _evidence(view, "median debt of G", debt_there, levels[1], tags, stretch),
            ),
            view.subject("D"), {"lead": lead_there, "debt": debt_there, "share": stretch.share},
            overwhelming=severity is Severity.ERROR,
        )  # fmt: skip

    certain = found(
        (lead >= won.value) & (debt >= starved.value), limits["share"], Severity.ERROR, (won, starved)
    )
    if certain is not None:
        yield certain
        return
    mask = (lead >= limits["won"].value) & (debt >= hungry.value)
    mild = found(mask, limits["late"], Severity.WARNING, (limits["won"], hungry))
    if mild is not None and (mild.stretch.end is None or mild.stretch.share >= limits["share"].value / 2):
        yield mild
        return
    if not saturates:
        hunger = found(
            (lead >= limits["leading"].value) & (debt >= limits["famished"].value), limits["late"], Severity.WARNING,
            (limits["leading"], limits["famished"]),
        )  # fmt: skip
        if hunger is not None:
            yield hunger


def _d_alone(view: RunView, limits: Limits) -> Iterator[Finding]:
    """D's loss alone, where G's adversarial term is not logged on a scale of its own."""
    d = view.blocks(view.game.d)
    lead = view.family.lead(d.values)
    # Only a perfect D counts here: without G's debt a good D is no illness.
    perfect = 1 - (1 - limits["perfect"].value) / 4
    stretch = view.stretch(d.steps, lead >= perfect, share=limits["share"].value)
    if stretch is None:
        return
    share = _evidence(
        view, "share of steps with a perfect D", stretch.share, limits["share"], d.tags, stretch
    )
    certain = stretch.end is None and not view.conditional
    severity = Severity.ERROR if certain else Severity.WARNING
    params = {"lead": float(np.median(lead)), "share": stretch.share}
    yield Finding(
        "GD201",
        severity,
        stretch,
        (share,),
        view.subject("D"),
        params,
        overwhelming=severity is Severity.ERROR,
    )


@detector("GD201", needs=(PAIR_ACCURACY,), min_points=40)
def d_overpowers_by_pairs(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report the stretch in which D tells nearly every pair of a real and a fake apart.

    Needs no equilibrium, so it holds for every family. Quiet on healthy image runs with D well ahead
    (pair accuracy up to 0.93 in the lab).
    """
    yield from _by_pairs(view, limits, view.blocks(view.get(PAIR_ACCURACY)), "pair accuracy of D")


@detector("GD201", needs=(SCORES, SPREADS), min_points=40)
def d_overpowers_by_outputs(view: RunView, limits: Limits) -> Iterator[Finding]:
    """The same from the means and standard deviations of D's raw outputs.

    For normal outputs P(C(x) > C(G(z))) = Φ(d'/√2) with d' the distance of the means in pooled
    standard deviations (Green & Swets 1966, Signal Detection Theory).
    """
    if view.has(PAIR_ACCURACY):
        return
    tracks = [
        view.part(SCORES, "real"),
        view.part(SCORES, "fake"),
        view.part(SPREADS, "real"),
        view.part(SPREADS, "fake"),
    ]
    steps, (real, fake, real_std, fake_std) = view.aligned(*map(view.blocks, tracks))
    pooled = np.sqrt((real_std**2 + fake_std**2) / 2)
    distance = (real - fake) / np.where(pooled > 0, pooled, np.inf)
    accuracy = np.array([0.5 * (1 + math.erf(x / 2)) for x in distance.tolist()])
    track = Track(steps, accuracy, tuple(track.tags[0] for track in tracks[:2]))
    yield from _by_pairs(view, limits, track, "pair accuracy of D, from its outputs")


def _by_pairs(view: RunView, limits: Limits, track: Track, statistic: str) -> Iterator[Finding]:
    for bound, severity in (
        (limits["pair_certain"], Severity.ERROR),
        (limits["pair_accuracy"], Severity.WARNING),
    ):
        stretch = view.stretch(track.steps, track.values >= bound.value, share=limits["share"].value)
        if stretch is None:
            continue
        early = not view.after_warm_up(track.steps)[track.steps <= stretch.onset].any()
        if stretch.end is not None and early:
            continue  # D leads at the start of every game, and G has caught up
        if stretch.end is None or severity is Severity.WARNING:
            value = float(np.median(track.values[view.inside(stretch, track.steps)]))
            evidence = _evidence(view, statistic, value, bound, track.tags, stretch)
            params = {"accuracy": value, "share": stretch.share}
            overwhelming = severity is Severity.ERROR and not view.conditional
            yield Finding("GD201", severity, stretch, (evidence,), view.subject("D"), params, overwhelming)
            return


@detector("GD201", needs=(SCORES,), min_points=40)
def d_overpowers_by_probabilities(view: RunView, limits: Limits) -> Iterator[Finding]:
    """D(x) near 1 and D(G(z)) near 0, where D's outputs are logged as probabilities."""
    real, fake = view.blocks(view.part(SCORES, "real")), view.blocks(view.part(SCORES, "fake"))
    steps, (r, f) = view.aligned(real, fake)
    if not len(steps) or min(r.min(), f.min()) < 0 or max(r.max(), f.max()) > 1:
        return
    high, low = limits["real_probability"], limits["fake_probability"]
    stretch = view.stretch(steps, (r >= high.value) & (f <= low.value), share=limits["share"].value)
    if stretch is None:
        return
    inside = view.inside(stretch, steps)
    evidence = (
        _evidence(view, "median D(x)", float(np.median(r[inside])), high, real.tags, stretch),
        _evidence(view, "median D(G(z))", float(np.median(f[inside])), low, fake.tags, stretch),
    )
    yield Finding("GD201", Severity.WARNING, stretch, evidence, view.subject("D"), {"share": stretch.share})


@detector("GD201", needs=(ACCURACY,), min_points=40)
def d_overpowers_by_accuracy(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """D's accuracy near 1. Says nothing where the middle of D's outputs is not the threshold (LSGAN, WGAN)."""
    if view.family.name not in ("non-saturating", "minimax", "hinge"):
        yield NotExamined("GD201", State.NOT_EXAMINABLE, "other-family", view.family.name, PAIR_ACCURACY.name)
        return
    track = view.blocks(view.get(ACCURACY))
    values = track.values / (100 if np.median(track.values) > 1.5 else 1)
    stretch = view.stretch(track.steps, values >= limits["accuracy"].value, share=limits["share"].value)
    if stretch is not None:
        value = float(np.median(values[view.inside(stretch, track.steps)]))
        evidence = _evidence(view, "median accuracy of D", value, limits["accuracy"], track.tags, stretch)
        yield Finding(
            "GD201", Severity.WARNING, stretch, (evidence,), view.subject("D"), {"share": stretch.share}
        )


@detector("GD202", needs=(D_LOSS, G_LOSS), min_points=40)
def g_overpowers_by_losses(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report the stretch in which D is no better than blind and G's loss far below its equilibrium.

    Equilibrium itself (D at chance, G at its own) stays quiet, and so do families whose G equilibrium
    is not positive (minimax, hinge): there a low G loss is health.
    """
    game = view.game
    if not game.scale.defined or game.scale.best.family.g <= 0 or not np.isfinite(game.scale.best.family.g):
        yield NotExamined("GD202", State.NOT_EXAMINABLE, "no-equilibrium", game.scale.name, SCORES.name)
        return
    if not game.alone or game.weighted:
        yield NotExamined("GD202", State.NOT_EXAMINABLE, "g-loss-mixed", "", SCORES.name)
        return
    steps, (d, g) = view.aligned(view.blocks(game.d), view.blocks(game.g))
    # The most favourable reading of both levels: every likely form must call D blind and G far below.
    lead = np.max([form.lead(d) for form in game.scale.likely], axis=0)
    positive = [form for form in game.scale.likely if form.g_equilibrium > 0]
    rest = np.max([g / form.g_equilibrium for form in positive], axis=0)
    mask = (lead <= limits["blind"].value) & (rest <= limits["fooled"].value)
    stretch = view.stretch(steps, mask, share=limits["share"].value)
    if stretch is None:
        return
    inside = view.inside(stretch, steps)
    tags = (*game.d.tags, *game.g.tags)
    low = float(np.median(rest[inside]))
    evidence = (
        _evidence(
            view, "share of steps with D blind and G far below its equilibrium", stretch.share, limits["share"], tags,
            stretch,
        ),
        _evidence(view, "median L_G / equilibrium", low, limits["fooled"], tags, stretch),
    )  # fmt: skip
    params = {"lead": float(np.median(lead[inside])), "debt": low, "share": stretch.share}
    yield Finding("GD202", Severity.WARNING, stretch, evidence, view.subject("G"), params)


@detector("GD202", needs=(SCORES,), min_points=40)
def g_overpowers_by_outputs(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report the stretch in which D ranks fakes above reals: D(G(z)) > D(x) for long."""
    real, fake = view.blocks(view.part(SCORES, "real")), view.blocks(view.part(SCORES, "fake"))
    steps, (r, f) = view.aligned(real, fake)
    if not len(steps):
        return
    spread = max(float(np.ptp(np.concatenate([r, f]))), 1e-12)
    scale = 1.0 if min(r.min(), f.min()) >= 0 and max(r.max(), f.max()) <= 1 else spread
    inverted = limits["inverted"]
    stretch = view.stretch(steps, (f - r) / scale >= inverted.value, share=limits["share"].value)
    if stretch is not None:
        value = float(np.median(((f - r) / scale)[view.inside(stretch, steps)]))
        evidence = _evidence(
            view, "median D(G(z)) - D(x)", value, inverted, (*real.tags, *fake.tags), stretch
        )
        yield Finding(
            "GD202", Severity.WARNING, stretch, (evidence,), view.subject("G"), {"share": stretch.share}
        )


def _evidence(
    view: RunView, statistic: str, value: float, threshold: Threshold, tags: tuple[str, ...], stretch: Stretch
) -> Evidence:
    return Evidence(Kind.GAME, statistic, value, threshold, tags, view.window(stretch))
