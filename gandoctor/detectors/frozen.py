"""GD303: layers whose weights do not change while the rest of their network does, by their histograms."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gandoctor.contents.histograms import Distributions
from gandoctor.detectors import detector
from gandoctor.detectors.layers import RGB, on_purpose
from gandoctor.findings import Evidence, Finding, Kind, NotExamined, Param, Severity, State
from gandoctor.interpret.layers import shared_steps
from gandoctor.interpret.view import D_WEIGHT_HISTOGRAMS, G_WEIGHT_HISTOGRAMS, RunView
from gandoctor.run import Steps
from gandoctor.stats import Mask
from gandoctor.thresholds import Limits

_FEWEST = 5  # steps with histograms
_CLIPPED = 0.9  # of a layer's weights at ±c: those cannot move (GD603)


@detector("GD303", needs=(G_WEIGHT_HISTOGRAMS,), min_points=2)
def g_layers_frozen(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report a layer of G whose histograms are the same in every number from some step to the end.

    Whatever moves a single weight changes the sum of squares, so this is no matter of degree. Not an illness:
    a whole network that stands still (GD204), weights that clipping holds, and biases and scales, which may
    have nothing to learn, and the RGB layers of progressive growing. Layers that never moved and are the first
    ones of the network, or at least half of it, look frozen on purpose (FreezeD, a pre-trained encoder): at
    most info, as in checkpoints (`layers.py`).
    """
    yield from _frozen(view, limits, "G")


@detector("GD303", needs=(D_WEIGHT_HISTOGRAMS,), min_points=2)
def d_layers_frozen(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """The same for D."""
    yield from _frozen(view, limits, "D")


def _frozen(view: RunView, limits: Limits, network: str) -> Iterator[Finding | NotExamined]:
    kernels = view.layers.of(network, "weight_norm", view.pair, kernels=True)
    free = [one for one in kernels if len(one) and not np.median(one.at_low + one.at_high) > _CLIPPED]
    tensors, steps = shared_steps(free)
    if len(steps) < _FEWEST:
        yield NotExamined("GD303", State.TOO_SHORT, "too-few-points", f"{len(steps)} of {_FEWEST}")
        return
    still = [_still(one, steps) for one in tensors]
    never = [one.tag for one, mask in zip(tensors, still, strict=True) if mask.all()]
    purpose = on_purpose(never, [one.tag for one in tensors])
    for at, one in enumerate(tensors):
        others = [mask for i, mask in enumerate(still) if i != at]
        if not others or RGB.search(one.tag):
            continue
        trains = ~np.all(others, axis=0)  # in each interval, whether any other layer moved
        frozen = still[at] & trains
        stretch = view.stretch(steps, frozen, share=limits["still"].value)
        if stretch is None or stretch.end is not None or not still[at][-1]:
            continue
        since = steps >= stretch.onset
        if not still[at][since].all():
            continue
        layer = view.layers.layer_of(one.tag)
        evidence = Evidence(Kind.WEIGHTS, f"share of steps without any change of a layer of {network}",
                            stretch.share, limits["still"], (), view.window(stretch))  # fmt: skip
        params: dict[str, Param] = {"layer": f"{network}.{layer}"}
        severity = Severity.INFO if purpose and one.tag in never else Severity.WARNING
        yield Finding("GD303", severity, stretch, (evidence,), view.subject(network, layer), params)


def _still(one: Distributions, steps: Steps) -> Mask:
    """For each step whether the layer is as it was at the step before; the first as the second."""
    at = np.searchsorted(one.steps, steps)
    table = np.stack([one.low, one.high, one.num, one.rms, one.near_zero])[:, at]
    same: Mask = (np.diff(table, axis=1) == 0).all(axis=0)
    return np.concatenate([same[:1], same])
