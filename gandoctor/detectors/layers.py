"""GD105, GD204, GD303 in checkpoints: weights that are not finite, networks and layers that do not move."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

from gandoctor.detectors import detector
from gandoctor.findings import Evidence, Finding, Kind, NotExamined, Param, Severity, State, Stretch, Subject
from gandoctor.interpret.snapshots import History, moved
from gandoctor.interpret.view import SNAPSHOTS, RunView
from gandoctor.thresholds import Limits

if TYPE_CHECKING:
    from gandoctor.interpret.networks import Network

_Found = TypeVar("_Found")
RGB = re.compile(r"(?:to|from)_?rgb", re.IGNORECASE)
NO_NETWORK = "no-network-recognised"
NO_MOMENTS = "no-optimizer-state"


def these(
    code: str, found: Iterable[_Found], reason: str = NO_NETWORK
) -> Generator[NotExamined, None, Sequence[_Found]]:
    """What a detector goes through; where the checkpoints lack it, it is said so.

    `for history in (yield from these("GD601", view.snapshots.players)): ...`
    """
    held = list(found)
    if not held:
        yield NotExamined(code, State.NOT_EXAMINABLE, reason, log_next=SNAPSHOTS.name)
    return held


def label(history: History, layer: str) -> str:
    """A layer's name for people, with its network's: "G.main.0"."""
    return f"{history.name}.{layer}" if layer else history.name


def subject(view: RunView, history: History, layer: str) -> Subject:
    """A layer as a finding's subject: by its own name, as a log has it, if its network is the only one of its role."""
    alone = len(view.snapshots.of(history.role)) == 1
    return view.subject(history.role, layer if alone else label(history, layer))


@detector("GD105", needs=(SNAPSHOTS,), min_points=1)
def weights_not_finite(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report NaN or Inf in weights, buffers or an optimiser's state, by the first tensor of the first snapshot.

    Not an illness: a constant mask that holds -Inf (attention), which is the same in its every element else.
    """
    for history in view.snapshots.networks:
        bad = [_not_finite(state) for state in history.states]
        stretch = history.stretch([bool(one) for one in bad], view.span[0])
        if stretch is None:
            continue
        at = history.steps.index(stretch.onset)
        name, share = bad[at][0]
        tag = label(history, name)
        evidence = Evidence(Kind.WEIGHTS, "share of a tensor that is not finite", share, None, (),
                            view.window(stretch))  # fmt: skip
        params: dict[str, Param] = {"tag": tag}
        in_weights = any(name in history.states[at].tensors for name, _ in bad[at])
        forever = stretch.end is None and history.plays and in_weights
        severity = Severity.ERROR if forever else Severity.WARNING
        yield Finding("GD105", severity, stretch, (evidence,), view.subject(history.role, tag), params,
                      overwhelming=forever)  # fmt: skip


def _not_finite(network: Network) -> list[tuple[str, float]]:
    """(tensor, share that is not finite), the weights before the optimiser's state."""
    found = [
        (name, one.stats.nonfinite / one.stats.n)
        for name, one in network.tensors.items()
        if one.stats.nonfinite and not (one.stats.max_abs in (0.0, 1.0) and "mask" in name.lower())
    ]
    if network.optimiser is not None:
        found += [
            (f"optimizer state of {one.name or at}", one.bad / (2 * one.size))
            for at, one in enumerate(network.optimiser.moments)
            if one.bad
        ]
    return found


@detector("GD204", needs=(SNAPSHOTS,), min_points=2)
def network_frozen(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report a network all of whose weights are the same to the last bit from some snapshot to the end, while
    the other one moves or its own optimiser counts on.

    Not an illness: copies of one checkpoint (nothing moves, no counter counts), a discriminator that is to
    start later (its loss is 0 so far), and weights that clipping holds at ±c (GD603).
    """
    players = [history for history in view.snapshots.players if len(history.states) > 1]
    for history in (yield from these("GD204", players)):
        if history.role == "D" and view.game.started is None and len(view.game.d):
            continue
        others = [other for other in players if other.role != history.role]
        stretch = still_since(history, view)
        if stretch is None:
            continue
        first = history.steps.index(stretch.onset)
        beside = any(_moved_between(other, stretch.onset, history.steps[-1]) for other in others)
        if not beside and _steps(history.last) <= _steps(history.states[first]):
            continue
        share = (history.steps[-1] - stretch.onset) / max(view.span[1] - view.span[0], 1)
        evidence = Evidence(Kind.WEIGHTS, f"steps without any change of {history.role}'s weights",
                            float(history.steps[-1] - stretch.onset), None, (), view.window(stretch))  # fmt: skip
        params: dict[str, Param] = {"network": history.role, "share": min(share, 1.0)}
        hopeless = history.role == "G" and beside and first == 0
        severity = Severity.ERROR if hopeless else Severity.WARNING
        yield Finding("GD204", severity, stretch, (evidence,), view.subject(history.role), params,
                      overwhelming=hopeless)  # fmt: skip


def _matrices(history: History) -> list[str]:
    """The weights of linear and convolutional layers, without those that clipping holds at ±c."""
    return [layer.key for layer in history.last.matrices if layer.weight.stats.at_max < 0.9]


def still_since(history: History, view: RunView, beside: Sequence[History] = ()) -> Stretch | None:
    """The stretch to the end in which nothing of a network changes, None if there is none.

    beside: networks of which one must have moved in every interval meanwhile, if any are given.
    """
    names = _matrices(history)
    still = [not history.moves(at, names) for at in range(len(history.states) - 1)]
    if not names or not still[-1]:
        return None
    stretch = history.stretch([*still, True], view.span[0])
    assert stretch is not None
    moved = any(_moved_between(other, stretch.onset, history.steps[-1]) for other in beside)
    return stretch if moved or not beside else None


def _moved_between(history: History, first: int, last: int) -> bool:
    """Whether a network changed in every interval between two steps, of which there must be one."""
    inside = [at for at, step in enumerate(history.steps) if first <= step <= last]
    return len(inside) > 1 and all(history.moves(at, _matrices(history)) for at in inside[:-1])


def _steps(network: Network) -> int:
    return network.optimiser.steps if network.optimiser is not None else 0


@detector("GD303", needs=(SNAPSHOTS,), min_points=2)
def layers_frozen(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report layers whose weights are the same to the last bit from some snapshot to the end, while most of
    their network moves.

    Biases do not count: that of a critic's last layer has no gradient by construction. Nor do weights that
    clipping holds at ±c (GD603), nor the RGB layers of progressive growing, of which only one is in use (Karras et
    al. 2017, arXiv:1710.10196). Layers that never moved and are the first ones of the network, or at least half of
    it, look frozen on purpose (FreezeD, a pre-trained encoder): at most info.
    """
    players = [history for history in view.snapshots.players if len(history.states) > 1]
    for history in (yield from these("GD303", players)):
        names = _matrices(history)
        still = {name: _still(history, name) for name in names}
        dead = [name for name in names if still[name][-1] and not RGB.search(name)]
        if not dead or len(dead) == len(names):
            continue
        never = [name for name in dead if all(still[name])]
        purpose = on_purpose(never, names)
        for name in dead:
            stretch = history.stretch([*still[name], True], view.span[0])
            assert stretch is not None
            layer = history.last.layer(name)
            assert layer is not None
            tag = label(history, layer.name)
            evidence = Evidence(Kind.WEIGHTS, "steps without any change of a layer's weights",
                                float(history.steps[-1] - stretch.onset), None, (), view.window(stretch))  # fmt: skip
            severity = Severity.INFO if purpose and name in never else Severity.WARNING
            yield Finding(
                "GD303", severity, stretch, (evidence,), subject(view, history, layer.name), {"layer": tag}
            )


def on_purpose(never: Sequence[str], names: Sequence[str]) -> bool:
    """Whether the layers of a network that never moved are its first ones, or at least half of it."""
    return list(never) == list(names[: len(never)]) or 2 * len(never) >= len(names)


def _still(history: History, name: str) -> list[bool]:
    """For each snapshot but the last, whether a tensor is the same in the next one."""
    return [moved(one, two, name) == 0 for one, two in pairwise(history.states)]


@detector("GD303", needs=(SNAPSHOTS,), min_points=1)
def units_dead(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report hidden layers most of whose units are dead: no weight of theirs has any gradient in Adam's memory
    (exp_avg_sq is exactly 0) or all their incoming weights are exactly 0, while other units' are not.

    Not an illness: some dead ReLUs (a healthy G of the reference trainer had up to 56% of a layer), a layer that
    starts at zero, the rows of an embedding, and the outputs of the last layer (pixels that never vary).
    """
    for history in (yield from these("GD303", view.snapshots.players)):
        for layer in history.last.matrices[:-1]:
            shares = [_dead_share(state, layer.key) for state in history.states]
            holds = [limits["dead"].value <= share < 1 for share in shares]
            stretch = history.lasting(holds, view.span[0])
            if stretch is None:
                continue
            tag = label(history, layer.name)
            evidence = Evidence(Kind.WEIGHTS, "share of a layer's units that are dead", shares[-1], limits["dead"],
                                (), view.window(stretch))  # fmt: skip
            params: dict[str, Param] = {"layer": tag, "share": shares[-1]}
            yield Finding(
                "GD303", Severity.WARNING, stretch, (evidence,), subject(view, history, layer.name), params
            )


def _dead_share(network: Network, key: str) -> float:
    layer = network.layer(key)
    if layer is None or layer.units < 8:
        return 0.0
    moments: Sequence[float] = ()
    if network.optimiser is not None and layer.kind != "transposed":
        moments = [one.unfed for one in network.optimiser.moments if one.name == key]
    return max(layer.zero_units, *moments, 0.0)
