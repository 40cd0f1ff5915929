"""GD301, GD302: gradient norms that vanish or explode, for a network or a layer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gandoctor.detectors import detector
from gandoctor.findings import Evidence, Finding, Kind, NotExamined, Param, Severity, State
from gandoctor.interpret.natural import natural_loss, of_batches
from gandoctor.interpret.view import D_GRAD, D_LOSS, D_WEIGHT, G_GRAD, G_WEIGHT, RunView, Signal, Track
from gandoctor.thresholds import Limits

_APART = 20  # points: more critic steps for one of G are not usual


@detector("GD301", needs=(G_GRAD,), min_points=40)
def g_vanishes(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report gradients of G that stay near nothing. A network not updated at some steps logs zeros there:
    those do not count.
    """
    yield from _vanishing(view, limits, "G", G_GRAD)


@detector("GD301", needs=(D_GRAD,), min_points=40)
def d_vanishes(view: RunView, limits: Limits) -> Iterator[Finding]:
    """The same for D."""
    yield from _vanishing(view, limits, "D", D_GRAD)


def _reference(view: RunView, track: Track) -> float:
    """The median norm at 10-30% of the run."""
    first, last = view.extent(track.steps)
    early = (track.steps >= first + 0.1 * (last - first)) & (track.steps <= first + 0.3 * (last - first))
    return float(np.median(track.values[early])) if early.any() else float("nan")


def _updates(track: Track) -> Track:
    """The steps at which the network was updated: without the zeros between values that are not, where those
    lie at most `_APART` points apart. Longer stretches of zeros stay, they are the illness.
    """
    values, live = track.values, np.flatnonzero(track.values)
    if len(live) in (0, len(values)):
        return track
    after = np.searchsorted(live, np.arange(len(values)))  # for each point, the next live one
    between = (after > 0) & (after < len(live))
    gap = live[np.minimum(after, len(live) - 1)] - live[np.maximum(after - 1, 0)]
    keep = (values != 0) | ~between | (gap > _APART)
    return Track(track.steps[keep], values[keep], track.tags)


def _vanishing(view: RunView, limits: Limits, network: str, signal: Signal) -> Iterator[Finding]:
    for track in (view.blocks(_updates(track)) for track in view.all(signal)):
        if len(track) < 20:
            continue
        early = _reference(view, track)
        relative = np.nan_to_num(limits["low"].value * early)
        mask = (track.values < limits["floor"].value) | (track.values < relative)
        stretch = view.stretch(track.steps, mask, share=limits["share"].value)
        if stretch is None:
            continue
        value = float(np.median(track.values[view.inside(stretch, track.steps)]))
        layer = view.roles[track.tags[0]].layer
        bound = limits["floor"] if value < limits["floor"].value or not early > 0 else limits["low"]
        measured = value if bound is limits["floor"] else value / early
        evidence = Evidence(Kind.GRADIENTS, f"gradient norm of {network}", measured, bound, track.tags,
                            view.window(stretch))  # fmt: skip
        params: dict[str, Param] = {"network": network, "value": value}
        if layer:
            params["layer"] = layer
        # Nothing trains on a gradient under 1e-6 to the end; a fall to a thousandth alone is a warning.
        dead = value < limits["floor"].value and stretch.end is None and not layer
        severity = Severity.ERROR if dead else Severity.WARNING
        yield Finding(
            "GD301", severity, stretch, (evidence,), view.subject(network, layer), params, overwhelming=dead
        )


@detector("GD302", needs=(G_GRAD,), min_points=40)
def g_explodes(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report gradient norms of G that grew to many times their own settled level.

    No absolute bound: healthy critics live with norms over 100.
    """
    yield from _exploding(view, limits, "G", G_GRAD, G_WEIGHT)


@detector("GD302", needs=(D_GRAD,), min_points=40)
def d_explodes(view: RunView, limits: Limits) -> Iterator[Finding]:
    """The same for D."""
    yield from _exploding(view, limits, "D", D_GRAD, D_WEIGHT)


def _exploding(
    view: RunView, limits: Limits, network: str, signal: Signal, weight: Signal
) -> Iterator[Finding]:
    for track in (view.blocks(_updates(track)) for track in view.all(signal)):
        if len(track) < 20:
            continue
        early = _reference(view, track)
        if not early > 1e-9:
            continue
        growth = limits["growth"]
        stretch = view.stretch(track.steps, track.values > growth.value * early, share=limits["share"].value)
        if stretch is None:
            continue
        factor = float(np.median(track.values[view.inside(stretch, track.steps)])) / early
        evidence = Evidence(Kind.GRADIENTS, f"gradient norm of {network} / its level at 10-30%", factor, growth,
                            track.tags, view.window(stretch))  # fmt: skip
        layer = view.roles[track.tags[0]].layer
        params: dict[str, Param] = {"network": network, "factor": factor}
        if layer:
            params["layer"] = layer
        yield Finding("GD302", Severity.WARNING, stretch, (evidence,), view.subject(network, layer), params)


@detector("GD302", needs=(G_GRAD, D_LOSS), min_points=40)
def g_is_huge(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report gradient norms of G that are huge, from the start perhaps, beside losses far out of their range.

    Growth cannot tell what began too large. Size alone says nothing, and no more do the losses alone.
    """
    yield from _huge(view, limits, "G", G_GRAD)


@detector("GD302", needs=(D_GRAD, D_LOSS), min_points=40)
def d_is_huge(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """The same for D."""
    yield from _huge(view, limits, "D", D_GRAD)


def _huge(view: RunView, limits: Limits, network: str, signal: Signal) -> Iterator[Finding | NotExamined]:
    track = view.get(signal)
    sizes = [
        (loss, unit)
        for loss, of in ((view.game.d, "D"), (view.game.g, "G"))
        if len(loss) and (unit := natural_loss(view, of)) is not None
    ]
    if not sizes:
        yield NotExamined("GD302", State.NOT_EXAMINABLE, "no-equilibrium", view.game.scale.name)
        return
    if view.roles[track.tags[0]].layer or not of_batches(view, limits["growth"].value, limits["fell"].value):
        return
    tracks = [view.blocks(one) for one in (_updates(track), *(loss for loss, _ in sizes))]
    steps, (norm, *losses) = view.aligned(*tracks)
    beyond = np.max([np.abs(x) / unit for x, (_, unit) in zip(losses, sizes, strict=True)], axis=0)
    large, level = limits["large"], limits["level"]
    stretch = view.stretch(
        steps, (norm >= large.value) & (beyond >= level.value), share=limits["share"].value
    )
    if stretch is None:
        return
    inside, window = view.inside(stretch, steps), view.window(stretch)
    tags = tuple(tag for loss, _ in sizes for tag in loss.tags)
    evidence = (
        Evidence(Kind.GRADIENTS, f"gradient norm of {network}", float(np.median(norm[inside])), large, track.tags,
                 window),
        Evidence(Kind.GAME, "loss / equilibrium", float(np.median(beyond[inside])), level, tags, window),
    )  # fmt: skip
    yield Finding("GD302", Severity.WARNING, stretch, evidence, view.subject(network), {"network": network})
