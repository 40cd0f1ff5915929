"""Runs on equal terms: the same roles, the same density of points, the same length in G's steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gandoctor.config import Config
from gandoctor.interpret.view import RunView, views_of
from gandoctor.judge.diagnose import fitting
from gandoctor.run import Run, Series, Unit

_DENSER = 2.0  # times as many points a step, from which a log is thinned to the sparser one
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """What several logs have in common.

    roles: of series, by pair and meaning. density: points a step, of the sparsest log that has the role.
    images, checkpoints, histograms: whether every run has them. dropped: roles that only some have, sorted.
    """

    roles: frozenset[Key]
    density: Mapping[Key, float]
    images: bool
    checkpoints: bool
    histograms: bool
    dropped: tuple[str, ...]


def read(run: Run, config: Config | None) -> list[RunView]:
    """The views of a run, by the user's roles and family."""
    fits = fitting(config, run) or Config()
    return views_of(run, roles=fits.roles, family=fits.family)


def terms_of(runs: Sequence[Run], views: Sequence[Sequence[RunView]], rates: Sequence[float]) -> Terms:
    """What the logs have in common. rates: of each run, its steps for one step of the first."""
    held = [_held(own) for own in views]
    common = frozenset.intersection(*(frozenset(one) for one in held))
    every = frozenset().union(*held)
    density = {
        key: min(
            _density(run.series[one[key][0]]) * rate for run, one, rate in zip(runs, held, rates, strict=True)
        )
        for key in common
    }
    missing = {
        " ".join(filter(None, (key[0], key[1].removeprefix("-."))))
        for key in every - common
        if key[1] != "other"
    }
    extras = {
        "samples": [bool(run.images) for run in runs],
        "checkpoints": [bool(run.checkpoints) for run in runs],
        "histograms": [bool(run.histograms) for run in runs],
    }
    missing |= {name for name, have in extras.items() if any(have) and not all(have)}
    return Terms(
        common, density, all(extras["samples"]), all(extras["checkpoints"]), all(extras["histograms"]),
        tuple(sorted(missing)),
    )  # fmt: skip


def restricted(run: Run, views: Sequence[RunView], terms: Terms, rate: float) -> Run:
    """The run as a log of the common roles would have it; the run itself where nothing is to be left out."""
    series: dict[str, Series] = {}
    for key, tags in _held(views).items():
        if key in terms.roles:
            series |= {tag: _thinned(run.series[tag], terms.density[key] / rate) for tag in tags}
    cut = replace(
        run,
        series=series,
        images=run.images if terms.images else [],
        checkpoints=run.checkpoints if terms.checkpoints else [],
        histograms=run.histograms if terms.histograms else [],
    )
    whole = series.keys() == run.series.keys() and all(series[tag] is run.series[tag] for tag in series)
    extras = ("images", "checkpoints", "histograms")
    return run if whole and all(getattr(cut, name) is getattr(run, name) for name in extras) else cut


def until(run: Run, step: int) -> Run:
    """The run as it stood at a step."""
    if all(not len(one) or one.steps[-1] <= step for one in run.series.values()):
        return run
    return replace(
        run,
        series={tag: one.take(one.steps <= step) for tag, one in run.series.items()},
        images=[one for one in run.images if one.step is None or one.step <= step],
        checkpoints=[one for one in run.checkpoints if one.step is None or one.step <= step],
        histograms=[one for one in run.histograms if one.step <= step],
    )


def rate_of(view: RunView, other: RunView) -> float | None:
    """Steps of `other` for one step of `view`, so that G takes equally many; None where they cannot be compared.

    A step is one of G. Where steps count images, or epochs of the same data, a larger batch takes fewer of G.
    """
    if view.unit is not other.unit:
        return None
    if view.unit in (Unit.KIMG, Unit.IMAGE, Unit.EPOCH):
        a, b = view.facts.get("batch_size"), other.facts.get("batch_size")
        if a is not None and b is not None and isinstance(a.value, int) and isinstance(b.value, int):
            return b.value / a.value
    return 1.0


def _held(views: Iterable[RunView]) -> dict[Key, list[str]]:
    """Meaning → tags, of the series that the log itself has; one that nobody understood goes by its tag."""
    found: dict[Key, list[str]] = {}
    for view in views:
        for tag, role in view.roles.items():
            if tag not in view.run.series:
                continue
            key = ("", "other", tag) if role.quantity == "other" else (role.pair, str(role))
            if tag not in found.setdefault(key, []):
                found[key].append(tag)
    return found


def _density(series: Series) -> float:
    """Points a step."""
    if len(series) < 2 or series.steps[-1] == series.steps[0]:
        return float("inf")
    return (len(series) - 1) / float(series.steps[-1] - series.steps[0])


def _thinned(series: Series, density: float) -> Series:
    """The series at about `density` points a step: every nth point, the last among them."""
    every = int(_density(series) / density) if 0 < density < float("inf") else 1
    first = (len(series) - 1) % every
    return series.take(slice(first, None, every)) if every >= _DENSER and len(series) > 2 else series
