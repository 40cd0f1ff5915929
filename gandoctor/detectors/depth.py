"""GD301 by depth: gradients that shrink from layer to layer, from the last to the first."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gandoctor.detectors import detector
from gandoctor.findings import Evidence, Finding, Kind, Param, Severity
from gandoctor.interpret.view import D_GRAD, G_GRAD, RunView, Signal
from gandoctor.thresholds import Limits

_LAYERS = 4  # fewer have no profile
_CLIFF = 0.6  # of the whole fall in one place is a border between two parts of a network


@detector("GD301", needs=(G_GRAD,), min_points=20)
def g_fades_with_depth(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report gradient norms of G's layers that fall geometrically towards the first.

    Each layer passes on a share of what it gets, so a gradient that depth eats falls by a similar factor at
    each layer: a straight line over depth in logarithms. Activations that saturate do this, as their
    outputs stay large while what they pass back is small. Not so where one part of a network has other
    sizes than the rest (a mapping network with a lower learning rate is such a part, and healthy): there
    all of the fall lies in one place.
    """
    yield from _fading(view, limits, "G", G_GRAD)


@detector("GD301", needs=(D_GRAD,), min_points=20)
def d_fades_with_depth(view: RunView, limits: Limits) -> Iterator[Finding]:
    """The same for D."""
    yield from _fading(view, limits, "D", D_GRAD)


def _fading(view: RunView, limits: Limits, network: str, signal: Signal) -> Iterator[Finding]:
    layers = [track for track in map(view.blocks, view.all(signal)) if view.roles[track.tags[0]].layer]
    layers = [track for track in layers if 2 * len(track) >= max(map(len, layers))]
    if len(layers) < _LAYERS:
        return
    steps, columns = view.aligned(*layers)
    norms = np.array(columns)  # (layers, n), first to last
    live = (norms > 0).all(axis=0)  # zeros are no profile: the network was not updated, or is dead
    if len(steps) < 10 or live.mean() < 0.5:
        return
    steps, logs = steps[live], np.log(norms[:, live])
    ends = max(1, len(layers) // 4)
    fall = logs[-ends:].mean(axis=0) - logs[:ends].mean(axis=0)
    rises = np.diff(logs, axis=0)
    centred = np.arange(len(layers)) - (len(layers) - 1) / 2
    spread = np.linalg.norm(logs - logs.mean(axis=0), axis=0) * np.linalg.norm(centred)
    straight = centred @ logs / np.maximum(spread, 1e-12)  # correlation with depth
    most = limits["fades"]
    mask = (
        (fall > -np.log(most.value))
        & (rises.max(axis=0) < _CLIFF * fall)
        & (straight > limits["straight"].value)
    )
    stretch = view.stretch(steps, mask, share=limits["share"].value)
    if stretch is None or stretch.end is not None:
        return
    inside = view.inside(stretch, steps)
    first = layers[0].tags[0]
    tags, window = tuple(track.tags[0] for track in layers), view.window(stretch)
    evidence = (
        Evidence(Kind.GRADIENTS, f"gradient norm of {network}'s first layers / its last layers",
                 float(np.exp(-np.median(fall[inside]))), most, tags, window),
        Evidence(Kind.GRADIENTS, f"correlation of log gradient norm of {network} with depth",
                 float(np.median(straight[inside])), limits["straight"], tags, window),
    )  # fmt: skip
    layer = view.roles[first].layer
    value = float(np.exp(np.median(logs[0][inside])))
    params: dict[str, Param] = {"network": network, "layer": layer, "value": value}
    yield Finding("GD301", Severity.WARNING, stretch, evidence, view.subject(network, layer), params)
