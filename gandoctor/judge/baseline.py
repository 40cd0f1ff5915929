"""The nearest published setting, and where a run departs from it."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from functools import lru_cache

from gandoctor.judge.diagnosis import Baseline, Departure
from gandoctor.run import Scalar
from gandoctor.thresholds import rules_folder

_SHARED = 3  # facts that must be known on both sides before "nearest" means anything


@lru_cache(maxsize=1)
def _baselines() -> tuple[dict[str, object], ...]:
    data = tomllib.loads((rules_folder() / "baselines.toml").read_text(encoding="utf-8"))
    return tuple(data["baselines"])


def nearest(facts: Mapping[str, Scalar]) -> Baseline | None:
    """The published setting that differs least from a run's facts; None where too few are known.

    Numbers differ by the log of their ratio (a factor of e counts 1, at most 3), words and flags by 1.
    """
    best: tuple[float, str] | None = None
    chosen: dict[str, object] = {}
    for entry in _baselines():
        settings = _settings(entry)
        shared = [name for name in settings if facts.get(name) is not None]
        if len(shared) < _SHARED:
            continue
        cost = sum(_distance(settings[name], facts[name]) for name in shared) / len(shared)
        key = (round(cost, 9), str(entry["id"]))
        if best is None or key < best:
            best, chosen = key, entry
    if best is None:
        return None
    settings = _settings(chosen)
    departures = tuple(
        Departure(name, settings[name], facts[name])
        for name in settings
        if facts.get(name) is not None and _distance(settings[name], facts[name]) > 0.05
    )
    return Baseline(str(chosen["id"]), str(chosen["name"]), str(chosen["source"]), departures)


def settings_of(id: str) -> Mapping[str, Scalar]:
    """The settings of a published recipe, by its id; none for an unknown one."""
    return next((_settings(entry) for entry in _baselines() if entry["id"] == id), {})


def _settings(entry: Mapping[str, object]) -> dict[str, Scalar]:
    settings = entry["settings"]
    assert isinstance(settings, dict)
    return settings


def _distance(usual: Scalar, own: Scalar) -> float:
    if isinstance(usual, bool) or isinstance(own, bool) or isinstance(usual, str) or isinstance(own, str):
        return 0.0 if usual == own else 1.0
    if usual is None or own is None:
        return 0.0
    if usual <= 0 or own <= 0:
        return min(3.0, abs(usual - own) * 2)
    return min(3.0, abs(math.log(own / usual)))
