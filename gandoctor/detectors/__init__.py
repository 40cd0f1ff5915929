"""The registry: a detector is a function, a decorator names its code and what it needs.

    @detector("GD201", needs=(D_LOSS, G_LOSS))
    def discriminator_overpowers(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]: ...

Several functions may look for one symptom, each through its own signals; a code counts as examined
when any of them could look. Before a detector runs, the registry makes sure that all its `needs`
are in the run with enough points, and else says so itself: a detector never checks for presence.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gandoctor.findings import Finding, NotExamined, State
from gandoctor.thresholds import Limits, limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gandoctor.interpret.view import RunView, Signal

Detect = Callable[["RunView", Limits], Iterable[Finding | NotExamined]]


@dataclass(frozen=True, slots=True)
class Detector:
    """A registered detector. min_points: finite points that each needed signal must have."""

    code: str
    needs: tuple[Signal, ...]
    min_points: int
    detect: Detect


_registry: list[Detector] = []


def detector(code: str, *, needs: Iterable[Signal], min_points: int = 20) -> Callable[[Detect], Detect]:
    """Register a function as a detector of `code`; it runs once for each pair of networks."""

    def register(detect: Detect) -> Detect:
        _registry.append(Detector(code, tuple(needs), min_points, detect))
        return detect

    return register


def all_detectors() -> tuple[Detector, ...]:
    """Every detector of the package, in a stable order."""
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name):
        importlib.import_module(f"{__name__}.{module.name}")
    return tuple(sorted(_registry, key=lambda d: (d.code, d.detect.__module__, d.detect.__name__)))


def run_detector(
    which: Detector, view: RunView, overrides: Mapping[str, float] | None = None
) -> Iterator[Finding | NotExamined]:
    """Run one detector on one pair, or say why it could not look."""
    for signal in which.needs:
        if not view.has(signal):
            yield NotExamined(which.code, State.NOT_EXAMINABLE, "missing-signal", signal.name, signal.name)
            return
        if (points := view.points(signal)) < which.min_points:
            yield NotExamined(
                which.code, State.TOO_SHORT, "too-few-points", f"{points} of {which.min_points}"
            )
            return
    yield from which.detect(view, limits(which.code, overrides))
