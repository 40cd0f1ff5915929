"""GD606 in checkpoints: batch norm's running statistics."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from gandoctor.detectors import detector
from gandoctor.detectors.layers import label, subject, these
from gandoctor.findings import Evidence, Finding, Kind, NotExamined, Param, Severity
from gandoctor.interpret.snapshots import History
from gandoctor.interpret.view import SNAPSHOTS, RunView
from gandoctor.thresholds import Limits

if TYPE_CHECKING:
    from gandoctor.interpret.networks import Layer, Network, Running

NO_BATCH_NORM = "no-running-statistics"


def _normed(view: RunView, least: int = 1) -> list[tuple[History, Layer]]:
    """The layers with running statistics of the networks that train."""
    return [
        (history, layer)
        for history in view.snapshots.players
        if len(history.states) >= least
        for layer in history.last.layers
        if layer.running is not None
    ]


def _by_network(layers: Iterable[tuple[History, Layer]]) -> list[tuple[History, list[Layer]]]:
    """Each network with its layers."""
    found: dict[int, tuple[History, list[Layer]]] = {}
    for history, layer in layers:
        found.setdefault(id(history), (history, []))[1].append(layer)
    return list(found.values())


def _running(network: Network, key: str) -> Running | None:
    layer = network.layer(key)
    return None if layer is None else layer.running


@detector("GD606", needs=(SNAPSHOTS,), min_points=1)
def statistics_absurd(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report batch norms whose running variance is blown up, or 0 for most channels.

    A first layer on inputs in [0, 255] has a large variance by nature: normalisation before any weight is not
    judged by size.
    """
    for history, layer in (yield from these("GD606", _normed(view), NO_BATCH_NORM)):
        first = history.last.layers[0].key == layer.key
        checks = (
            ("largest running variance", "variance", _largest, limits["variance"]),
            ("share of channels without any variance", "empty", _empty, limits["empty"]),
        )
        for statistic, param, value, bound in checks[1:] if first else checks:
            kept = [_running(state, layer.key) for state in history.states]
            values = [math.nan if one is None else value(one) for one in kept]
            stretch = history.lasting([one > bound.value for one in values], view.span[0])
            if stretch is None:
                continue
            tag = label(history, layer.name)
            evidence = Evidence(Kind.WEIGHTS, statistic, values[-1], bound, (), view.window(stretch))
            params: dict[str, Param] = {"layer": tag, param: values[-1]}
            yield Finding(
                "GD606", Severity.WARNING, stretch, (evidence,), subject(view, history, layer.name), params
            )
            break


def _largest(running: Running) -> float:
    return running.largest


def _empty(running: Running) -> float:
    return running.empty


@detector("GD606", needs=(SNAPSHOTS,), min_points=1)
def statistics_never_updated(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report batch norms that still hold their first statistics (mean 0, variance 1, no batch seen) after the
    network has trained: it trains in eval() mode.

    A checkpoint from before the first step looks like this, too: what counts is that the optimiser has counted
    steps or that the weights moved. All batch norms of the network must be so: one alone may be unused.
    """
    for history, mine in _by_network((yield from these("GD606", _normed(view), NO_BATCH_NORM))):
        trained = _trained(history)
        holds = []
        for at, state in enumerate(history.states):
            kept = [_running(state, layer.key) for layer in mine]
            asleep = all(one is not None and one.untouched and one.batches in (None, 0) for one in kept)
            holds.append(asleep and trained[at])
        stretch = history.lasting(holds, view.span[0])
        if stretch is None:
            continue
        tag = label(history, mine[0].name)
        evidence = Evidence(Kind.WEIGHTS, "batch norms that have never seen a batch", float(len(mine)), None, (),
                            view.window(stretch))  # fmt: skip
        params: dict[str, Param] = {"layer": tag, "unseen": len(mine)}
        yield Finding(
            "GD606", Severity.WARNING, stretch, (evidence,), subject(view, history, mine[0].name), params
        )


def _trained(history: History) -> list[bool]:
    """For each snapshot, whether the network had been trained by then."""
    names = [layer.key for layer in history.last.matrices]
    made = []
    for at, state in enumerate(history.states):
        counted = state.optimiser is not None and state.optimiser.steps > 0
        made.append(counted or (at > 0 and any(history.moves(earlier, names) for earlier in range(at))))
    return made


@detector("GD606", needs=(SNAPSHOTS,), min_points=1)
def statistics_stand_still(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report batch norms whose count of batches stands still from some snapshot to the end while the weights of
    the network move: it went to eval() and did not come back.

    A network whose weights stand as well is frozen or a copy: not judged here.
    """
    layers = [(history, layer) for history, layer in _normed(view, 2)
              if layer.running is not None and layer.running.batches]  # fmt: skip
    for history, mine in _by_network((yield from these("GD606", layers, NO_BATCH_NORM))):
        names = [layer.key for layer in history.last.matrices]
        holds = []
        for at in range(len(history.states) - 1):
            pairs = [[_running(state, layer.key) for layer in mine] for state in history.states[at : at + 2]]
            same = all(
                a is not None and b is not None and a.batches == b.batches
                for a, b in zip(*pairs, strict=True)
            )
            holds.append(same and history.moves(at, names))
        if not holds[-1]:
            continue
        stretch = history.stretch([*holds, True], view.span[0])
        assert stretch is not None
        tag = label(history, mine[0].name)
        evidence = Evidence(Kind.WEIGHTS, "steps without a batch in batch norm's count",
                            float(history.steps[-1] - stretch.onset), None, (), view.window(stretch))  # fmt: skip
        params: dict[str, Param] = {"layer": tag, "idle": evidence.value}
        yield Finding(
            "GD606", Severity.WARNING, stretch, (evidence,), subject(view, history, mine[0].name), params
        )
