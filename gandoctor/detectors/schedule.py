"""GD703: learning rates that are zero, out of the usual, or gone too early, by what is set or by what it does."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gandoctor.detectors import detector
from gandoctor.findings import Evidence, Finding, Kind, Param, Severity, Stretch
from gandoctor.interpret.view import (
    ANY,
    D_GRAD,
    D_LR,
    D_STEP,
    D_WEIGHT,
    G_GRAD,
    G_LR,
    G_STEP,
    G_WEIGHT,
    RunView,
    Signal,
)
from gandoctor.thresholds import Limits


@detector("GD703", needs=(ANY,), min_points=40)
def rates_out_of_the_usual(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report learning rates of the configuration far from what trains a GAN with Adam.

    Only orders of magnitude count: published settings lie between 5e-5 and 2.5e-3.
    """
    optimizer = view.facts.get("optimizer")
    if optimizer is not None and str(optimizer.value).startswith("sgd"):
        return  # plain SGD takes other rates
    first, _ = view.span
    for knob, network in (("lr_G", "G"), ("lr_D", "D")):
        fact = view.facts.get(knob)
        if fact is None or not isinstance(fact.value, int | float):
            continue
        value = float(fact.value)
        high, low = limits["high"], limits["low"]
        if low.value <= value < high.value:
            continue
        bound = high if value >= high.value else low
        stretch = Stretch(first, (first, first))
        evidence = Evidence(
            Kind.CONFIGURATION, f"{knob} ({fact.source})", value, bound, (), view.window(stretch)
        )
        params: dict[str, Param] = {"knob": knob, "value": value, "usual": "5e-5 to 2.5e-3"}
        yield Finding("GD703", Severity.WARNING, stretch, (evidence,), view.subject(network), params)


@detector("GD703", needs=(ANY,), min_points=40)
def rates_far_apart(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report learning rates of D and G that lie further apart than any published setting has them.

    Two time scales are usual (D up to 4 times G's rate, or G's up to 4 times D's): quiet.
    """
    ratio = view.facts.get("lr_ratio")
    if ratio is None or not isinstance(ratio.value, int | float) or ratio.value <= 0:
        return
    apart = max(ratio.value, 1 / ratio.value)
    bound = limits["apart"]
    if apart <= bound.value:
        return
    first, _ = view.span
    stretch = Stretch(first, (first, first))
    evidence = Evidence(Kind.CONFIGURATION, f"lr_D / lr_G, either way ({ratio.source})", apart, bound, (),
                        view.window(stretch))  # fmt: skip
    slow = "lr_G" if ratio.value > 1 else "lr_D"
    params: dict[str, Param] = {
        "knob": slow,
        "value": float(ratio.value),
        "usual": "lr_D / lr_G from 0.25 to 4",
    }
    yield Finding("GD703", Severity.WARNING, stretch, (evidence,), view.subject(slow[-1]), params)


@detector("GD703", needs=(G_LR,), min_points=20)
def g_rate_is_gone(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report a learning rate of G that fell to nothing long before the end."""
    yield from _gone(view, limits, "G", G_LR)


@detector("GD703", needs=(D_LR,), min_points=20)
def d_rate_is_gone(view: RunView, limits: Limits) -> Iterator[Finding]:
    """The same for D."""
    yield from _gone(view, limits, "D", D_LR)


def _gone(view: RunView, limits: Limits, network: str, signal: Signal) -> Iterator[Finding]:
    track = view.get(signal)
    peak = float(track.values.max())
    first, last = view.extent(track.steps)
    mask = track.values <= limits["decayed"].value * peak
    if peak <= 0:
        mask = np.ones(len(track), bool)
    if not mask[-1]:
        return
    alive = np.flatnonzero(~mask)
    at = int(alive[-1]) + 1 if len(alive) else 0
    left = (last - int(track.steps[at])) / max(last - first, 1)
    if left < limits["early"].value:
        return
    stretch = Stretch(int(track.steps[at]), (int(track.steps[max(at - 1, 0)]), int(track.steps[at])))
    evidence = Evidence(Kind.CONFIGURATION, f"share of the run at a learning rate of {network} near 0", left,
                        limits["early"], track.tags, view.window(stretch))  # fmt: skip
    params: dict[str, Param] = {
        "knob": f"lr_{network}",
        "value": float(track.values[-1]),
        "usual": f"{peak:g}",
    }
    yield Finding("GD703", Severity.WARNING, stretch, (evidence,), view.subject(network), params)


@detector("GD703", needs=(G_STEP, G_WEIGHT), min_points=20)
def g_is_swept_away(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report a first step of G as large as its weights: the learning rate is larger than any that trains.

    Adam's first step has the size of the learning rate in every weight, so usual rates move the weights by
    a thousandth to a few hundredths of their norm. Only the first step of a run counts: weights that decay,
    or that are clipped to near nothing, have steps as large as they are later on, at any rate.
    """
    yield from _swept(view, limits, "G", G_STEP, G_WEIGHT)


@detector("GD703", needs=(D_STEP, D_WEIGHT), min_points=20)
def d_is_swept_away(view: RunView, limits: Limits) -> Iterator[Finding]:
    """The same for D, if its weights then go on growing: the first clipping of a critic's weights moves them
    as far, but hardly lets them grow. One that is known to be clipped is not judged.
    """
    clip = view.facts.get("clip_value")
    if clip is None or not isinstance(clip.value, int | float) or clip.value == 0:
        yield from _swept(view, limits, "D", D_STEP, D_WEIGHT)


def _swept(view: RunView, limits: Limits, network: str, step: Signal, weight: Signal) -> Iterator[Finding]:
    moves, sizes = view.get(step), view.get(weight)
    steps, (moved, size) = view.aligned(moves, sizes)
    # A layer alone may start at zero: any step is large beside it.
    if len(steps) < 4 or size[0] <= 0 or view.roles[moves.tags[0]].layer or view.roles[sizes.tags[0]].layer:
        return
    if steps[0] > 0.05 * view.span[1]:
        return  # the log of a run that goes on
    sweep, swept = limits["sweep"], limits["swept"]
    relative, grown = float(moved[0] / size[0]), float(np.median(size[1:4]) / size[0])
    if relative < sweep.value or (network == "D" and grown < swept.value):
        return
    stretch = Stretch(int(steps[0]), (int(steps[0]), int(steps[0])))
    window = view.window(stretch)
    tags = (*moves.tags, *sizes.tags)
    evidence = [
        Evidence(Kind.WEIGHTS, f"first step norm / weight norm of {network}", relative, sweep, tags, window)
    ]
    if network == "D":
        evidence.append(
            Evidence(Kind.WEIGHTS, "weight norm of D at the next points / at the first", grown, swept, sizes.tags, window)
        )  # fmt: skip
    params: dict[str, Param] = {"knob": f"lr_{network}", "step": relative, "usual": "< 5%"}
    yield Finding("GD703", Severity.WARNING, stretch, tuple(evidence), view.subject(network), params)


@detector("GD703", needs=(G_STEP, G_GRAD), min_points=40)
def g_steps_jump(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report steps of G that all at once are far larger than any since warm-up, for a twentieth of the run,
    though the gradient of that step was none: the learning rate jumped, as after a resume with another
    setting. The gradients that follow, of weights thrown far off, may well be larger.

    A warm-up ends before, a warm restart returns to a rate that was there before, and a gradient that
    explodes takes the steps of plain SGD with it: quiet.
    """
    yield from _jumping(view, limits, "G", G_STEP, G_GRAD)


@detector("GD703", needs=(D_STEP, D_GRAD), min_points=40)
def d_steps_jump(view: RunView, limits: Limits) -> Iterator[Finding]:
    """The same for D."""
    yield from _jumping(view, limits, "D", D_STEP, D_GRAD)


def _jumping(view: RunView, limits: Limits, network: str, step: Signal, grad: Signal) -> Iterator[Finding]:
    moves, grads = view.get(step), view.get(grad)
    steps, (moved, gradient) = view.aligned(view.blocks(moves), view.blocks(grads))
    late, width = np.flatnonzero(view.after_warm_up(steps)), max(5, len(steps) // 20)
    if view.roles[moves.tags[0]].layer or len(late) < 2 * width:
        return
    start = int(late[0])
    highest = np.maximum.accumulate(moved[start:])
    places = range(start + width, len(steps) - width)
    windows = np.lib.stride_tricks.sliding_window_view(moved, width)
    after = np.median(windows[places.start : places.stop], axis=1)
    before = highest[width - 1 : width - 1 + len(after)]
    if not len(after) or before.min() <= 0:
        return
    best = int(np.argmax(after / before))
    # The window may begin before the jump itself, which lies where it passes half of its height (in log).
    at = places[best] + int(np.argmax(moved[places[best] :] > np.sqrt(after[best] * before[best])))
    surge = float(gradient[at]) / max(float(np.median(gradient[at - width : at])), 1e-30)
    jump = float(after[best] / before[best]) / max(surge, 1.0)
    if jump < limits["jump"].value:
        return
    stretch = Stretch(int(steps[at]), (int(steps[at - 1]), int(steps[at])))
    window = view.window(stretch)
    evidence = Evidence(Kind.WEIGHTS, f"step norm of {network} / its largest since warm-up, over the gradient's jump",
                        jump, limits["jump"], (*moves.tags, *grads.tags), window)  # fmt: skip
    params: dict[str, Param] = {"check": "jump", "factor": float(after[best] / before[best])}
    yield Finding("GD703", Severity.WARNING, stretch, (evidence,), view.subject(network), params)
