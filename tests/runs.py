"""Small runs for tests: made, not mocked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from gandoctor.detectors import Detect, Detector, all_detectors, run_detector
from gandoctor.findings import Finding, NotExamined
from gandoctor.interpret.view import RunView, views_of
from gandoctor.run import LogProblem, Run, Series, Setting, Steps, Unit, Values

HERE = Path("run/log.csv")
Shape = Callable[[Values], Values]  # time in [0, 1] → value
Loss = Callable[[Values], Values]
Said = list[Finding | NotExamined]


def softplus(x: Values) -> Values:
    return np.logaddexp(0, x)


# Family → (D's loss on reals, on fakes, G's loss), functions of D's raw outputs.
LOSSES: dict[str, tuple[Loss, Loss, Loss]] = {
    "non-saturating": (lambda r: softplus(-r), softplus, lambda f: softplus(-f)),
    "minimax": (lambda r: softplus(-r), softplus, lambda f: -softplus(f)),
    "lsgan": (lambda r: (r - 1) ** 2, lambda f: f**2, lambda f: (f - 1) ** 2),
    "hinge": (lambda r: np.maximum(0, 1 - r), lambda f: np.maximum(0, 1 + f), lambda f: -f),
    "wgan": (lambda r: -r, lambda f: f, lambda f: -f),
}


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
        values = shape(np.linspace(0, 1, points)) if callable(shape) else np.asarray(shape, np.float64)
        steps: Steps = np.arange(1, len(values) + 1, dtype=np.int64) * every
        run.series[tag] = Series(tag, steps, values, np.arange(len(values), dtype=np.int64), HERE, unit)
    run.settings = {name: Setting(value, Path("config.json")) for name, value in (settings or {}).items()}
    return run


def _shape(one: Shape | float) -> Shape:
    return one if callable(one) else level(one)


def pieces(*parts: tuple[float, Shape | float]) -> Shape:
    """Shapes one after the other: (share of the run at which it begins, shape or level)."""
    starts = [start for start, _ in parts]

    def values(t: Values) -> Values:
        made = [_shape(one)(t) for _, one in parts]
        at: Values = np.choose(np.clip(np.searchsorted(starts, t, side="right") - 1, 0, None), made)
        return at

    return values


def game(
    family: str,
    real: Shape | float,
    fake: Shape | float,
    *,
    spread: float | tuple[float, float] = 1.0,
    points: int = 400,
    batch: int = 64,
    seed: int = 0,
) -> dict[str, Values]:
    """What a game logs whose D answers normal outputs around two means, from batches of outputs.

    real, fake: D's mean raw output over the run; spread: its standard deviation on (reals, fakes).
    """
    rng, t = np.random.default_rng(seed), np.linspace(0, 1, points)
    wide = spread if isinstance(spread, tuple) else (spread, spread)
    r, f = (
        _shape(mean)(t)[:, None] + width * rng.normal(size=(points, batch))
        for mean, width in zip((real, fake), wide, strict=True)
    )  # (points, batch)
    on_real, on_fake, of_g = LOSSES[family]
    halves = {"loss_D_real": on_real(r).mean(1), "loss_D_fake": on_fake(f).mean(1)}
    return {
        "loss_D": halves["loss_D_real"] + halves["loss_D_fake"], "loss_G": of_g(f).mean(1), **halves,
        "out/real": r.mean(1), "out/fake": f.mean(1), "out/real_std": r.std(1), "out/fake_std": f.std(1),
        "out/pair_accuracy": np.array(
            [np.searchsorted(np.sort(b), a).mean() / batch for a, b in zip(r, f, strict=True)]
        ),
    }  # fmt: skip


def logged(played: Mapping[str, Values], *tags: str, **options: object) -> Run:
    """A run that logs some of what a `game` has: by default D's loss and G's."""
    return make_run({tag: played[tag] for tag in tags or ("loss_D", "loss_G")}, **options)  # type: ignore[arg-type]


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
        made.series[tag] = Series(
            tag, steps, values, np.arange(len(steps), dtype=np.int64), one.source, one.unit
        )
    return made


def view_of(run: Run, **options: object) -> RunView:
    """The only view of a run with one pair."""
    [view] = views_of(run, **options)  # type: ignore[arg-type]
    return view


def heard(detect: Detect, run: Run, *, limits: Mapping[str, float] | None = None, **options: object) -> Said:
    """Everything that one detector says of a run."""
    [which] = [one for one in all_detectors() if one.detect is detect]
    return [said for view in views_of(run, **options) for said in run_detector(which, view, limits)]  # type: ignore[arg-type]


def hears(detect: Detect) -> Callable[..., Said]:
    """`heard` for one detector."""
    return partial(heard, detect)


def one_finding(said: Said) -> Finding:
    """The only thing that was said, which must be a finding."""
    [finding] = said
    assert isinstance(finding, Finding), finding
    return finding


def refusal(said: Said) -> tuple[str, str, str]:
    """(state, reason, what to log next) of the only thing that was said: why nobody could look."""
    [one] = said
    assert isinstance(one, NotExamined), one
    return one.state, one.reason, one.log_next


def measured(finding: Finding) -> dict[str, float]:
    """Statistic → value of a finding's evidence."""
    return {evidence.statistic: evidence.value for evidence in finding.evidence}


def said_by(code: str, run: Run, **options: object) -> Said:
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
