"""GD301, GD302, GD605 in checkpoints: what Adam's moments say of gradients and steps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from gandoctor.detectors import detector
from gandoctor.detectors.layers import NO_MOMENTS, label, subject, these
from gandoctor.findings import Evidence, Finding, Kind, NotExamined, Param, Severity
from gandoctor.interpret.snapshots import History
from gandoctor.interpret.view import SNAPSHOTS, WARM_UP, RunView
from gandoctor.thresholds import Limits

if TYPE_CHECKING:
    from gandoctor.interpret.measure import Moments
    from gandoctor.interpret.networks import Network, Optimiser

_YOUNG = 100  # steps: before, moments and weights are still at their start


def _with_moments(view: RunView, least: int = 1) -> list[History]:
    """The networks that train, at the snapshots that hold their optimiser's moments, all of them finite: at least
    so many.
    """
    found = []
    for history in view.snapshots.players:
        kept = [(step, state) for step, state in zip(history.steps, history.states, strict=True)
                if state.optimiser is not None and state.optimiser.moments
                and not any(one.bad for one in state.optimiser.moments)]  # fmt: skip
        if len(kept) >= least:
            steps, states = zip(*kept, strict=True)
            found.append(History(history.role, history.name, history.ema, steps, states))
    return found


def _optimiser(network: Network) -> Optimiser:
    assert network.optimiser is not None
    return network.optimiser


def _gradient(network: Network) -> float:
    """The norm of the network's recent gradients, √(Σ v̂)."""
    return math.sqrt(sum(one.gradient**2 * one.size for one in _optimiser(network).moments))


def _weights_of(network: Network) -> list[Moments]:
    """The moments of the weights of linear and convolutional layers, in order."""
    by_name = {one.name: one for one in _optimiser(network).moments}
    return [by_name[layer.key] for layer in network.matrices if layer.key in by_name]


@detector("GD301", needs=(SNAPSHOTS,), min_points=1)
def second_moments_vanish(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report networks whose gradients, by Adam's second moments, are near nothing, or shrink towards the first
    layer by more than depth explains.

    A network before its first hundred steps says nothing. The profile is read only where each layer takes what
    the one before gives, so that the order in the file is the order of the network.
    """
    for history in (yield from these("GD301", _with_moments(view), NO_MOMENTS)):
        old = [_optimiser(state).steps >= _YOUNG for state in history.states]
        norms = [_gradient(state) for state in history.states]
        holds = [norm < limits["floor"].value and ok for norm, ok in zip(norms, old, strict=True)]
        stretch = history.lasting(holds, view.span[0])
        if stretch is not None:
            evidence = Evidence(Kind.GRADIENTS, f"gradient norm of {history.role} by Adam's second moments", norms[-1],
                                limits["floor"], (), view.window(stretch))  # fmt: skip
            params: dict[str, Param] = {"network": history.role, "value": norms[-1]}
            yield Finding("GD301", Severity.WARNING, stretch, (evidence,), view.subject(history.role), params)
            continue
        ratios = [_depth(state) for state in history.states]
        holds = [ratio < limits["depth"].value and ok for ratio, ok in zip(ratios, old, strict=True)]
        stretch = history.lasting(holds, view.span[0])
        if stretch is None:
            continue
        name = history.last.matrices[0].name
        first = label(history, name)
        evidence = Evidence(Kind.GRADIENTS, "RMS gradient of the first layer / of the last", ratios[-1],
                            limits["depth"], (), view.window(stretch))  # fmt: skip
        params = {"network": history.role, "layer": first, "value": _weights_of(history.last)[0].gradient}
        yield Finding("GD301", Severity.WARNING, stretch, (evidence,), subject(view, history, name), params)


def _depth(network: Network) -> float:
    """RMS gradient of the first layer over that of the last; NaN where the layers form no chain."""
    layers, moments = network.matrices, _weights_of(network)
    if len(layers) < 3 or len(moments) != len(layers) or not moments[-1].gradient > 0:
        return math.nan
    for before, after in pairwise(layers):
        takes = after.shape[0] if after.kind == "transposed" else after.shape[1]
        if takes % before.units:  # a flattened feature map is a multiple
            return math.nan
    return moments[0].gradient / moments[-1].gradient


@detector("GD302", needs=(SNAPSHOTS,), min_points=3)
def second_moments_explode(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report networks whose gradients, by Adam's second moments, grew to many times their level after the
    warm-up in the last two snapshots: one burst does not count.
    """
    first, last = view.span
    for history in (yield from these("GD302", _with_moments(view, 3), NO_MOMENTS)):
        norms = [_gradient(state) for state in history.states]
        late = [at for at, step in enumerate(history.steps) if step >= first + WARM_UP * (last - first)]
        if len(late) < 3 or not norms[late[0]] > 1e-9:
            continue
        growth = [norm / norms[late[0]] if at in late else 0.0 for at, norm in enumerate(norms)]
        holds = [one > limits["growth"].value for one in growth]
        stretch = history.stretch(holds, first)
        if stretch is None or not all(holds[-2:]):
            continue
        evidence = Evidence(Kind.GRADIENTS,
                            f"gradient norm of {history.role} by Adam's second moments / after warm-up", growth[-1],
                            limits["growth"], (), view.window(stretch))  # fmt: skip
        params: dict[str, Param] = {"network": history.role, "factor": growth[-1]}
        yield Finding("GD302", Severity.WARNING, stretch, (evidence,), view.subject(history.role), params)


@detector("GD605", needs=(SNAPSHOTS,), min_points=1)
def steps_out_of_order(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report networks whose next step, by Adam's moments, would be far smaller than noise alone makes it, a
    vanishing or a large part of the weights.

    Noise alone gives an RMS of m̂ / √v̂ of √((1-β₁)/(1+β₁)); far less means that ε outweighs the gradients
    or that they have just died. A vanishing step counts only where the learning rate has not been brought down
    on purpose, and a small one only where ε is at most 1e-6: a larger one is meant to shrink it.
    """
    for history in (yield from these("GD605", _with_moments(view), NO_MOMENTS)):
        old = [_optimiser(state).steps >= _YOUNG for state in history.states]
        sizes = [_step(state) for state in history.states]
        noise = [
            math.sqrt((1 - _optimiser(one).beta1) / (1 + _optimiser(one).beta1)) for one in history.states
        ]
        relative = [size / level if _optimiser(one).eps <= 1e-6 else math.nan
                    for size, level, one in zip(sizes, noise, history.states, strict=True)]  # fmt: skip
        peak = _peak_rate(view, history)
        moves = [_optimiser(one).lr * size / _rms(one) if _rms(one) > 0 else math.nan
                 for size, one in zip(sizes, history.states, strict=True)]  # fmt: skip
        undiminished = [_optimiser(one).lr >= 0.5 * peak > 0 for one in history.states]
        checks: Sequence[tuple[str, str, list[float], list[bool], str]] = (
            ("RMS step of {} / what noise alone gives", "noise", relative,
             [one < limits["still"].value for one in relative], "still"),
            ("RMS step of {} / RMS weight", "moves", moves,
             [one < limits["frozen"].value and full for one, full in zip(moves, undiminished, strict=True)], "frozen"),
            ("RMS step of {} / RMS weight", "moves", moves, [one > limits["wild"].value for one in moves], "wild"),
        )  # fmt: skip
        for statistic, param, values, holds, bound in checks:
            stretch = history.lasting([one and ok for one, ok in zip(holds, old, strict=True)], view.span[0])
            if stretch is None:
                continue
            evidence = Evidence(Kind.WEIGHTS, statistic.format(history.role), values[-1], limits[bound], (),
                                view.window(stretch))  # fmt: skip
            params: dict[str, Param] = {"network": history.role, param: values[-1]}
            yield Finding("GD605", Severity.WARNING, stretch, (evidence,), view.subject(history.role), params)
            break


def _step(network: Network) -> float:
    """RMS of m̂ / (√v̂ + ε) over the network's weights, in learning rates; NaN without first moments."""
    moments = _weights_of(network) or list(_optimiser(network).moments)
    return math.sqrt(sum(one.step**2 * one.size for one in moments) / sum(one.size for one in moments))


def _rms(network: Network) -> float:
    total = sum(one.weight.stats.n for one in network.matrices)
    return math.sqrt(sum(one.weight.norm**2 for one in network.matrices) / total) if total else 0.0


def _peak_rate(view: RunView, history: History) -> float:
    """The largest learning rate that is known of a network; 0 where its schedule cannot be known."""
    rates = [_optimiser(one).lr for one in history.states]
    told = [rate for one in history.states if (rate := _optimiser(one).first_lr) is not None]
    fact = view.facts.get(f"lr_{history.role}")
    if fact is not None and isinstance(fact.value, float):
        told.append(fact.value)
    return max([*rates, *told]) if told or len(rates) > 1 else 0.0


@detector("GD605", needs=(SNAPSHOTS,), min_points=2)
def moments_lost(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report an optimiser whose own count of steps is lower than in an earlier snapshot: its state was lost on
    the way, and Adam's first steps had full size for every weight.

    Not an illness: the start of a new run in the same folder, whose steps restart as well and then count less.
    """
    for history in (yield from these("GD605", _with_moments(view, 2), NO_MOMENTS)):
        counts = [_optimiser(one).steps for one in history.states]
        lost = [0 < after < before for before, after in pairwise(counts)]
        if not any(lost):
            continue
        at = lost.index(True) + 1
        stretch = history.stretch([one == at for one in range(len(counts))], view.span[0])
        assert stretch is not None
        evidence = Evidence(Kind.WEIGHTS, f"steps that the optimiser of {history.role} lost",
                            float(counts[at - 1] - counts[at]), None, (), view.window(stretch))  # fmt: skip
        severity = Severity.WARNING if stretch.end is None else Severity.INFO
        params: dict[str, Param] = {"network": history.role, "lost": evidence.value}
        yield Finding("GD605", severity, stretch, (evidence,), view.subject(history.role), params)
