"""Small runs for tests: made, not mocked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np

from gandoctor.detectors import Detector, all_detectors, run_detector
from gandoctor.findings import Finding, NotExamined
from gandoctor.interpret.view import RunView, views_of
from gandoctor.run import LogProblem, Run, Series, Setting, Steps, Unit, Values

HERE = Path("run/log.csv")
Shape = Callable[[Values], Values]  # time in [0, 1] → value


def level(value: float) -> Shape:
    """A constant."""
    return lambda t: np.full_like(t, value)


def ramp(start: float, end: float) -> Shape:
    """A straight line over the run."""
    return lambda t: start + (end - start) * t


def jump(before: float, after: float, at: float) -> Shape:
    """A step at the share `at` of the run."""
    return lambda t: np.where(t < at, before, after)


def noisy(shape: Shape, sigma: float, seed: int = 0) -> Shape:
    """A shape times log-normal noise: losses scatter in proportion to their size."""

    def values(t: Values) -> Values:
        noise = np.random.default_rng(seed).normal(0, sigma, len(t))
        made: Values = shape(t) * np.exp(noise)
        return made

    return values


def make_run(
    shapes: dict[str, Shape | Values], *, points: int = 400, every: int = 50, unit: Unit = Unit.ITERATION,
    settings: dict[str, float | int | str | bool] | None = None, problems: Iterable[LogProblem] = (),
) -> Run:  # fmt: skip
    """A run whose tags follow shapes, or hold given values, at every `every` steps."""
    run = Run(HERE.parent, "run", problems=list(problems))
    for tag, shape in shapes.items():
        if callable(shape):
            values = shape(np.linspace(0, 1, points))
        else:
            values = np.asarray(shape, np.float64)
        steps: Steps = np.arange(1, len(values) + 1, dtype=np.int64) * every
        run.series[tag] = Series(tag, steps, values, np.arange(len(values), dtype=np.int64), HERE, unit)
    run.settings = {name: Setting(value, Path("config.json")) for name, value in (settings or {}).items()}
    return run


def bce_run(d: Shape, g: Shape, **options: object) -> Run:
    """A run that logs `loss_D` (sum of its halves) and `loss_G`."""
    return make_run({"loss_D": d, "loss_G": g}, **options)  # type: ignore[arg-type]


def scaled(run: Run, factor: int) -> Run:
    """The same run with its steps multiplied."""
    return _mapped(run, lambda one: (one.steps * factor, one.values))


def thinned(run: Run, every: int) -> Run:
    """The same run with every nth point."""
    return _mapped(run, lambda one: (one.steps[::every], one.values[::every]))


def _mapped(run: Run, change: Callable[[Series], tuple[Steps, Values]]) -> Run:
    made = Run(run.path, run.name, settings=run.settings)
    for tag, one in run.series.items():
        steps, values = change(one)
        made.series[tag] = Series(tag, steps, values, np.arange(len(steps), dtype=np.int64), one.source, one.unit)
    return made


def view_of(run: Run, **options: object) -> RunView:
    """The only view of a run with one pair."""
    [view] = views_of(run, **options)  # type: ignore[arg-type]
    return view


def said_by(code: str, run: Run, **options: object) -> list[Finding | NotExamined]:
    """Everything that the detectors of a code say of a run."""
    mine: list[Detector] = [which for which in all_detectors() if which.code == code]
    assert mine, f"no detector of {code}"
    return [said for view in views_of(run, **options) for which in mine for said in run_detector(which, view)]  # type: ignore[arg-type]


def findings_of(code: str, run: Run, **options: object) -> list[Finding]:
    """The findings that the detectors of a code make on a run."""
    return [one for one in said_by(code, run, **options) if isinstance(one, Finding)]


def finder(code: str) -> Callable[..., list[Finding]]:
    """`findings_of` for one code."""
    return partial(findings_of, code)
