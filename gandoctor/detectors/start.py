"""GD301, GD302 in checkpoints: first weights that shrink or multiply a signal on its way through a network."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from gandoctor.detectors import detector
from gandoctor.detectors.layers import these
from gandoctor.findings import Evidence, Finding, Kind, NotExamined, Severity
from gandoctor.interpret.snapshots import History
from gandoctor.interpret.view import SNAPSHOTS, RunView
from gandoctor.thresholds import Limits

if TYPE_CHECKING:
    from gandoctor.interpret.networks import Network

NO_START = "no-snapshot-of-the-start"
_SCALED = re.compile(
    r"w_avg|noise_strength|modulat|affine|equal|weight_?scale|(?:to|from)_?rgb|mapping", re.IGNORECASE
)


@detector("GD301", needs=(SNAPSHOTS,), min_points=1)
def starts_too_small(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report a network whose first weights leave next to nothing of a signal at its other end.

    Only info: a start, not yet an illness. A layer of fan-in n with weights of RMS w multiplies the size of what comes
    through a ReLU by w·√(n/2) (He et al. 2015, arXiv:1502.01852), which is 1 for He's weights; DCGAN's N(0, 0.02)
    relies on the batch norms between, each of which begins anew. Read only where each layer takes what the one
    before gives, and never for equalised learning rates, whose stored weights are all of size 1.
    """
    yield from _out_of_scale(view, limits, "GD301")


@detector("GD302", needs=(SNAPSHOTS,), min_points=1)
def starts_too_large(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report a network whose first weights multiply a signal many times over, as N(0, 1) does. Only info, and with
    the same reserves.
    """
    yield from _out_of_scale(view, limits, "GD302")


def _out_of_scale(view: RunView, limits: Limits, code: str) -> Iterator[Finding | NotExamined]:
    begun = [history for history in view.snapshots.players if _is_start(view, history)]
    gains = [(history, gain(history.states[0])) for history in begun]
    gains = [(history, factor) for history, factor in gains if not math.isnan(factor)]
    bound = limits["gain"]
    for history, factor in (yield from these(code, gains, NO_START)):
        if factor >= bound.value if code == "GD301" else factor <= bound.value:
            continue
        stretch = history.stretch([True] + [False] * (len(history.states) - 1), view.span[0])
        assert stretch is not None
        evidence = Evidence(Kind.WEIGHTS, f"what the first weights of {history.role} make of a signal", factor, bound,
                            (), view.window(stretch))  # fmt: skip
        yield Finding(code, Severity.INFO, stretch, (evidence,), view.subject(history.role),
                      {"network": history.role, "gain": factor})  # fmt: skip


def _is_start(view: RunView, history: History) -> bool:
    """Whether the first snapshot is from before the first step, by its optimiser or by its file's name."""
    optimiser = history.states[0].optimiser
    if optimiser is not None:
        return optimiser.steps == 0
    files = {
        path for snapshot in view.snapshots if snapshot.step == history.steps[0] for path in snapshot.files
    }
    return any(one.step == 0 for one in view.run.checkpoints if one.path in files)


def gain(network: Network) -> float:
    """By what the weights multiply a signal: the worst stretch between two normalisations, in units of He's weights.

    NaN where the layers form no chain, where weights are rescaled on the way, or where a layer starts at 0.
    """
    chain = network.matrices
    links = pairwise(chain)
    broken = any((b.shape[0] if b.kind == "transposed" else b.shape[1]) % a.units for a, b in links)
    sizes = [layer.weight.rms for layer in chain]
    spread = [max(0.05, 3 / math.sqrt(2 * layer.weight.stats.n)) for layer in chain]
    biases = [one.stats.max_abs for key, one in network.tensors.items() if key.endswith("bias")]
    equalised = all(abs(size - 1) < most for size, most in zip(sizes, spread, strict=True)) and not any(
        biases
    )
    if (
        len(chain) < 3
        or broken
        or equalised
        or any(layer.normalised for layer in chain)
        or not min(sizes) > 0
    ):
        return math.nan
    if any(_SCALED.search(key) for key in network.tensors):
        return math.nan
    logs, sums = 0.0, []
    for layer in network.layers:
        if layer.kind == "norm":
            logs = 0.0
        elif layer in chain:
            logs += math.log(layer.weight.rms * math.sqrt(layer.fan_in / 2))
            sums.append(logs)
    return math.exp(max(-700.0, min(700.0, max(sums, key=abs))))
