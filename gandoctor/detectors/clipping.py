"""GD603: WGAN's clipped weights pile up at the clipping bound, by the histograms of D's weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from gandoctor.contents.histograms import Distributions
from gandoctor.detectors import detector
from gandoctor.findings import Evidence, Finding, Kind, NotExamined, Param, Severity, State
from gandoctor.interpret.layers import shared_steps
from gandoctor.interpret.view import D_WEIGHT_HISTOGRAMS, RunView
from gandoctor.stats import Mask
from gandoctor.thresholds import Limits

_FEWEST = 5  # steps with histograms
_EQUAL = 1e-5  # of the bound: the ends of float32 weights, through float64 or JSON and back


@detector("GD603", needs=(D_WEIGHT_HISTOGRAMS,), min_points=1)
def weights_at_the_bound(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report that most of D's weights lie at ±c.

    Clipping leaves a mark that no smooth distribution has: both ends of a tensor at the same distance from
    0, the same in every tensor and at every step, and more in the outermost bins than their neighbours'
    density accounts for. Weights that only reach far, or were drawn from a uniform distribution, have no
    such mark; healthy clipped critics have it, with fewer weights at it.
    """
    tensors, steps = shared_steps(view.d_weight_histograms)
    if len(steps) < _FEWEST:
        detail = f"{len(steps)} of {_FEWEST}"
        yield NotExamined("GD603", State.TOO_SHORT, "too-few-points", detail)
        return
    rows = [np.searchsorted(one.steps, steps) for one in tensors]
    bound = _bound(tensors, rows)
    if bound is None:
        return
    total, piled = np.zeros(len(steps)), np.zeros(len(steps))
    for one, at in zip(tensors, rows, strict=True):
        clipped = _at(one, bound)[at]
        total += one.num[at]
        piled += np.where(clipped, one.num * (one.at_low + one.at_high), 0.0)[at]
    share = piled / total
    most = limits["share"]
    stretch = view.stretch(steps, share >= most.value, share=limits["lasts"].value)
    if stretch is None:
        return
    value = float(np.median(share[view.inside(stretch, steps)]))
    evidence = Evidence(Kind.WEIGHTS, "share of D's weights at the clipping bound", value, most, (),
                        view.window(stretch))  # fmt: skip
    params: dict[str, Param] = {"share": value, "clip": bound}
    yield Finding("GD603", Severity.WARNING, stretch, (evidence,), view.subject("D"), params)


def _at(one: Distributions, bound: float) -> Mask:
    """At which steps both ends of a tensor are at the bound."""
    close = _EQUAL * bound
    at: Mask = (np.abs(one.high - bound) <= close) & (np.abs(one.low + bound) <= close)
    return at


def _bound(tensors: Sequence[Distributions], rows: Sequence[npt.NDArray[np.intp]]) -> float | None:
    """The clipping bound c, if the weights are clipped: where most tensors have both their ends at most of
    the steps. Tensors of few values need not reach it.
    """
    sizes = [float(np.median(one.num)) for one in tensors]
    largest = tensors[int(np.argmax(sizes))]
    bound = float(np.median(largest.high))
    if not bound > 0:
        return None
    marked = sum(
        size * float(np.mean(_at(one, bound)[at])) for one, at, size in zip(tensors, rows, sizes, strict=True)
    )
    return bound if marked > 0.5 * sum(sizes) else None
