"""GD601: weights that grow without bound."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gandoctor.detectors import detector
from gandoctor.findings import Evidence, Finding, Kind, Param, Severity
from gandoctor.interpret.view import D_WEIGHT, G_WEIGHT, RunView, Signal
from gandoctor.thresholds import Limits


@detector("GD601", needs=(D_WEIGHT,), min_points=40)
def d_weights_grow(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report a norm of D's weights that multiplied and still grows at the end.

    Weights always grow at first: what counts is that the growth does not settle.
    """
    yield from _growing(view, limits, "D", D_WEIGHT)


@detector("GD601", needs=(G_WEIGHT,), min_points=40)
def g_weights_grow(view: RunView, limits: Limits) -> Iterator[Finding]:
    """The same for G."""
    yield from _growing(view, limits, "G", G_WEIGHT)


def _growing(view: RunView, limits: Limits, network: str, signal: Signal) -> Iterator[Finding]:
    for track in map(view.blocks, view.all(signal)):
        first, last = view.extent(track.steps)
        late = view.after_warm_up(track.steps)
        values, steps = track.values[late], track.steps[late]
        if len(values) < 20 or values.min() <= 0:
            continue
        logs = np.log(values)
        total = float(np.median(logs[-3:]) - np.median(logs[:3]))
        second = float(np.median(logs[-3:]) - logs[np.searchsorted(steps, first + (last - first) / 2) - 1])
        growth, settled = limits["growth"], limits["late"]
        if total < np.log(growth.value) or second < settled.value * total:
            continue
        stretch = view.stretch(track.steps, track.values > growth.value * values[0], share=0.05)
        if stretch is None:
            continue
        layer = view.roles[track.tags[0]].layer
        window = view.window(stretch)
        evidence = (
            Evidence(Kind.WEIGHTS, f"weight norm of {network} / its value after warm-up", float(np.exp(total)), growth,
                     track.tags, window),
            Evidence(Kind.WEIGHTS, "share of the growth in the last half", second / total, settled, track.tags, window),
        )  # fmt: skip
        params: dict[str, Param] = {"network": network, "factor": float(np.exp(total))}
        yield Finding("GD601", Severity.WARNING, stretch, evidence, view.subject(network, layer), params)
