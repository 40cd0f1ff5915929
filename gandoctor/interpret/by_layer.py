"""One quantity of a network over its layers and over the run: what a heat map shows.

It comes from the first that has it of: norms that the log has by layer, histograms, checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from gandoctor.interpret.layers import shared_steps
from gandoctor.run import Steps, Values

if TYPE_CHECKING:
    from gandoctor.interpret.networks import Layer, Network
    from gandoctor.interpret.snapshots import History
    from gandoctor.interpret.view import RunView, Track

Quantity = Literal["gradient", "weight", "update"]
Statistic = Literal["norm", "rms", "ratio"]
Source = Literal["log", "histograms", "checkpoints"]

_FEWEST = 2  # layers
_LOGGED: Mapping[Quantity, str] = {"gradient": "grad_norm", "weight": "weight_norm", "update": "step_norm"}


@dataclass(frozen=True, slots=True)
class ByLayer:
    """A quantity of the linear and convolutional layers of one network.

    layers: their names, from input to output as the log or the file has them (l,). steps: int64 (n,), strictly
    increasing, in the unit of the run. values: float64 (l, n), ≥ 0, NaN where nothing was measured.
    statistic: "norm" is the 2-norm of a layer's tensor, "rms" its root mean square, "ratio" the size of a step
    over that of the weights; norms of layers of different sizes compare worse than the other two.
    source: where the numbers come from; the gradients of checkpoints are Adam's √v̂, their updates its next step.
    """

    network: str
    quantity: Quantity
    statistic: Statistic
    source: Source
    layers: tuple[str, ...]
    steps: Steps
    values: Values


def by_layer(view: RunView, network: str, quantity: Quantity) -> ByLayer | None:
    """What is known of a quantity of "G" or "D" layer by layer; None where fewer than two layers are."""
    return (
        _logged(view, network, quantity)
        or _histograms(view, network, quantity)
        or _checkpoints(view, network, quantity)
    )


def _logged(view: RunView, network: str, quantity: Quantity) -> ByLayer | None:
    tracks = _tracks(view, network, _LOGGED[quantity])
    weights = _tracks(view, network, "weight_norm") if quantity == "update" else {}
    ratios = {layer for layer, track in tracks.items() if "ratio" in track.tags[0].lower()}
    if quantity == "update":
        tracks = {layer: track for layer, track in tracks.items() if layer in ratios or layer in weights}
    if len(tracks) < _FEWEST:
        return None
    steps, rows = view.aligned(*tracks.values(), *(weights[one] for one in tracks if one in weights))
    values = np.array(rows[: len(tracks)])
    sizes = iter(rows[len(tracks) :])
    for at, layer in enumerate(tracks):
        size = next(sizes) if layer in weights else None
        if size is not None and layer not in ratios:
            values[at] /= np.where(size > 0, size, np.nan)
    statistic: Statistic = "ratio" if quantity == "update" else "norm"
    return ByLayer(network, quantity, statistic, "log", tuple(tracks), steps, values)


def _tracks(view: RunView, network: str, quantity: str) -> dict[str, Track]:
    """The norms that the log itself has of a network's layers, thinned, by layer."""
    found: dict[str, Track] = {}
    for tag, role in view.roles.items():
        if role.network == network and role.quantity == quantity and role.layer and tag in view.run.series:
            track = view.blocks(view.track(tag))
            if len(track):
                found.setdefault(role.layer, track)
    most = max(map(len, found.values()), default=0)
    return {layer: track for layer, track in found.items() if 2 * len(track) >= most}


def _histograms(view: RunView, network: str, quantity: Quantity) -> ByLayer | None:
    if quantity == "update":
        return None
    held, steps = shared_steps(view.layers.of(network, _LOGGED[quantity], view.pair, kernels=True))
    if len(held) < _FEWEST or not len(steps):
        return None
    values = np.array([one.rms[np.searchsorted(one.steps, steps)] for one in held])
    if quantity == "gradient" and not values.any():  # logged after zero_grad()
        return None
    names = tuple(view.layers.layer_of(one.tag) for one in held)
    return ByLayer(network, quantity, "rms", "histograms", names, steps, values)


def _checkpoints(view: RunView, network: str, quantity: Quantity) -> ByLayer | None:
    if not view.run.checkpoints:
        return None
    history = next((one for one in view.snapshots.players if one.role == network), None)
    if history is None or len(history.last.matrices) < _FEWEST:
        return None
    layers = history.last.matrices
    values = np.array([_column(history, layer, quantity) for layer in layers])
    if not np.isfinite(values).any():
        return None
    statistic: Statistic = "ratio" if quantity == "update" else "rms"
    names = tuple(layer.name for layer in layers)
    return ByLayer(
        network, quantity, statistic, "checkpoints", names, np.array(history.steps, np.int64), values
    )


def _column(history: History, layer: Layer, quantity: Quantity) -> Sequence[float]:
    """A layer's numbers, one a snapshot."""
    return [_value(state, layer.key, quantity) for state in history.states]


def _value(network: Network, key: str, quantity: Quantity) -> float:
    layer = network.layer(key)
    if layer is None:
        return float("nan")
    if quantity == "weight":
        return layer.weight.rms
    optimiser = network.optimiser
    moments = None if optimiser is None else next((m for m in optimiser.moments if m.name == key), None)
    if optimiser is None or moments is None:
        return float("nan")
    if quantity == "gradient":
        return moments.gradient
    return optimiser.lr * moments.step / layer.weight.rms if layer.weight.rms > 0 else float("nan")
