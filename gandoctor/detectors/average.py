"""GD303, GD703 in checkpoints: a moving average of weights that stands still, or lies where its decay cannot put it.

An average e ← β·e + (1 - β)·w holds the weight (1 - β)·βᵏ of the network w as it was k steps ago. With steps of size
δ it lies between δβ/(1 + β) (steps that take each other back) and δβ/(1 - β) (steps that all go one way) behind w;
and after ten memories 1/(1 - β) nothing of what was before is left in it (e⁻¹⁰).
Averages of GANs: Yazıcı et al. 2018, arXiv:1806.04498; Karras et al. 2017, arXiv:1710.10196.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from gandoctor.detectors import detector
from gandoctor.detectors.layers import still_since, these
from gandoctor.findings import Evidence, Finding, Kind, NotExamined, Param, Severity, State
from gandoctor.interpret.snapshots import History
from gandoctor.interpret.view import G_LR, SNAPSHOTS, RunView
from gandoctor.thresholds import Limits

if TYPE_CHECKING:
    from gandoctor.interpret.networks import Network

NO_AVERAGE = "no-moving-average"
_SLOWEST = 0.9999  # the decay that is taken for granted where none is known: of BigGAN and DDPM
_MEMORIES = 10  # after which what was before is gone
_YOUNG = 100  # steps: before, an average may not have begun


def _averages(view: RunView) -> list[tuple[History, History]]:
    """Each moving average with the network that it should follow, at the snapshots that hold both."""
    found = []
    for average in view.snapshots.networks:
        live = [one for one in view.snapshots.players if one.role == (average.role or "G")]
        if average.ema and live:
            steps = sorted(set(average.steps) & set(live[0].steps))
            if steps:
                found.append((_at(average, steps), _at(live[0], steps)))
    return found


def _at(history: History, steps: list[int]) -> History:
    states = tuple(history.states[history.steps.index(step)] for step in steps)
    return History(history.role, history.name, history.ema, tuple(steps), states)


@detector("GD303", needs=(SNAPSHOTS,), min_points=2)
def average_frozen(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report a moving average of weights that is the same to the last bit from some snapshot to the end while the
    weights that it should follow move: no decay below 1 allows that.

    Not an illness: copies of one checkpoint, where nothing moves.
    """
    averages = [pair for pair in _averages(view) if len(pair[0].states) > 1]
    for average, live in (yield from these("GD303", averages, NO_AVERAGE)):
        stretch = still_since(average, view, beside=[live])
        if stretch is None:
            continue
        evidence = Evidence(Kind.WEIGHTS, "steps without any change of the moving average",
                            float(average.steps[-1] - stretch.onset), None, (), view.window(stretch))  # fmt: skip
        yield Finding("GD303", Severity.WARNING, stretch, (evidence,), view.subject(average.role, average.name),
                      {"layer": average.name})  # fmt: skip


@detector("GD703", needs=(SNAPSHOTS,), min_points=1)
def average_without_memory(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report a moving average that lies nearer to its network than a single step: it averages nothing.

    Only info: training does not feel it. A network before its first hundred steps, or one whose rate has come down
    to nothing, says nothing: there average and network are one. An average that is to start late looks like this
    until it does.
    """
    averages = _averages(view)
    if not averages:
        yield NotExamined("GD703", State.NOT_EXAMINABLE, "missing-signal", G_LR.name, G_LR.name)
        return
    decay = _decay(view, 0.9)
    bound = limits["memory"]
    for average, live in averages:
        shares = []
        for mean, now in zip(average.states, live.states, strict=True):
            step, apart = _step(now), _apart(mean, now)
            least = step * decay / (1 + decay)
            shares.append(apart / least if least > 0 else math.nan)
        stretch = average.lasting([share < bound.value for share in shares], view.span[0])
        if stretch is None:
            continue
        evidence = Evidence(Kind.WEIGHTS, "distance of average and network / the least that its decay allows",
                            shares[-1], bound, (), view.window(stretch))  # fmt: skip
        params: dict[str, Param] = {"knob": "ema_decay", "value": 0.0, "usual": "0.99 to 0.9999"}
        subject = view.subject(average.role or "G", average.name)
        yield Finding("GD703", Severity.INFO, stretch, (evidence,), subject, params)


@detector("GD703", needs=(SNAPSHOTS,), min_points=2)
def average_left_behind(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report a moving average further from its network than that has moved in ten memories of the average.

    It should lie among what the network was in that time. Not an illness: a long memory beside a short interval,
    which is why a decay that nobody tells is taken for the slowest usual one; weights that only jitter, whose average
    lies in the middle (0.7 of the distance between two snapshots).
    """
    averages = [pair for pair in _averages(view) if len(pair[0].states) > 1]
    if not averages:
        yield NotExamined("GD703", State.NOT_EXAMINABLE, "missing-signal", G_LR.name, G_LR.name)
        return
    memory = 1 / (1 - _decay(view, _SLOWEST))
    bound = limits["behind"]
    for average, live in averages:
        ratios = [_behind(average, live, at, memory) for at in range(len(live.states))]
        stretch = average.lasting([ratio > bound.value for ratio in ratios], view.span[0])
        if stretch is None:
            continue
        evidence = Evidence(Kind.WEIGHTS, "distance of average and network / what the network moved in ten memories",
                            ratios[-1], bound, (), view.window(stretch))  # fmt: skip
        params: dict[str, Param] = {"knob": "ema_decay", "value": 1.0, "usual": "0.99 to 0.9999"}
        subject = view.subject(average.role or "G", average.name)
        yield Finding("GD703", Severity.WARNING, stretch, (evidence,), subject, params)


def _behind(average: History, live: History, at: int, memory: float) -> float:
    """How far the average is behind at a snapshot, in moves of its network since the last two that lie ten memories
    back; NaN where none does.
    """
    done = _steps(live.states[at])
    old = [
        state for state in live.states[:at] if done - _steps(state) >= _MEMORIES * memory and _steps(state)
    ]
    if not old or all(average.moves(i, list(average.states[i].tensors)) is False for i in range(at)):
        return math.nan  # an average that never moved is GD303
    moved = max(_apart(state, live.states[at]) for state in old[-2:])
    return _apart(average.states[at], live.states[at]) / moved if moved > 0 else math.nan


def _decay(view: RunView, otherwise: float) -> float:
    """The average's decay by the configuration."""
    fact = view.facts.get("ema_decay")
    known = fact is not None and isinstance(fact.value, float) and 0 < fact.value < 1
    return float(fact.value) if known and fact is not None and isinstance(fact.value, float) else otherwise


def _steps(network: Network) -> int:
    return network.optimiser.steps if network.optimiser is not None else 0


def _step(network: Network) -> float:
    """The RMS of the next step of a network's matrices, by Adam's moments; NaN where that is not known."""
    optimiser = network.optimiser
    if optimiser is None or optimiser.steps < _YOUNG:
        return math.nan
    sizes = {one.name: one for one in optimiser.moments}
    mine = [sizes[layer.key] for layer in network.matrices if layer.key in sizes]
    total = sum(one.size for one in mine)
    return (
        optimiser.lr * math.sqrt(sum(one.step**2 * one.size for one in mine) / total) if total else math.nan
    )


def _apart(one: Network, two: Network) -> float:
    """The RMS difference of two networks' matrices, over the elements that are kept; NaN where none are shared."""
    squares, size = 0.0, 0
    for layer in two.matrices:
        a, b = one.tensors.get(layer.key), layer.weight
        if a is not None and a.stats.n == b.stats.n and not (a.stats.nonfinite or b.stats.nonfinite):
            squares += float(np.mean((a.sample.astype(np.float64) - b.sample) ** 2)) * b.stats.n
            size += b.stats.n
    return math.sqrt(squares / size) if size else math.nan
