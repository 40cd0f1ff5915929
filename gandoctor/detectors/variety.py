"""GD401, GD402: the samples are one or few, or less varied than the data, by what the log says of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gandoctor.detectors import detector
from gandoctor.findings import Evidence, Finding, Kind, Param, Severity, Stretch, Threshold
from gandoctor.interpret.view import DIVERSITY, QUALITY, SAMPLE_STD, SPREADS, RunView, Track
from gandoctor.run import Steps, Values
from gandoctor.stats import Mask, holding, rolling_median
from gandoctor.thresholds import Limits

# Of the largest spread of D's outputs on reals: below it D answers the same to all, which tells nothing of G.
_DEAD = 1e-3
_OF_VARIETY = frozenset({"recall", "coverage", "modes"})


@detector("GD401", needs=(SAMPLE_STD,), min_points=40)
def samples_are_one(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report fakes whose standard deviation within a batch is far below the reals'."""
    yield from _std(view, limits, "GD401", limits["samples"])


@detector("GD402", needs=(SAMPLE_STD,), min_points=40)
def samples_vary_less(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report fakes that vary less than the reals. Lost modes at the centre of the data do not show."""
    yield from _std(view, limits, "GD402", limits["samples"], limits["one"].value)  # below: GD401


def _ratio(fake: Values, real: Values) -> Values:
    """Fake / real, float64 (n,); inf where the reals do not vary either, since that tells nothing."""
    return np.divide(fake, real, out=np.full_like(fake, np.inf), where=real > 0)


def _std(
    view: RunView, limits: Limits, code: str, bound: Threshold, above: float = -np.inf
) -> Iterator[Finding]:
    fake, real = view.part(SAMPLE_STD, "fake"), view.part(SAMPLE_STD, "real")
    steps, (f, r) = view.aligned(view.blocks(fake), view.blocks(real))
    # A batch's own scatter is some per cent: what lasts is in the medians of neighbours.
    ratio = rolling_median(_ratio(f, r), max(5, len(f) // 20))
    # The end counts: at the start every generator varies too little.
    stretch = view.stretch(steps, ratio < bound.value, share=limits["share"].value)
    if stretch is None or stretch.end is not None:
        return
    value = float(np.median(ratio[view.inside(stretch, steps)]))
    if value < above:
        return
    tags = (*fake.tags, *real.tags)
    evidence = Evidence(Kind.SAMPLES, "std of fakes / std of reals", value, bound, tags, view.window(stretch))
    severe = code == "GD401" and value < limits["certain"].value
    params: dict[str, Param] = {"signal": fake.tags[0], "value": value}
    severity = Severity.ERROR if severe else Severity.WARNING
    yield Finding(code, severity, stretch, (evidence,), view.subject("G"), params, overwhelming=severe)


@detector("GD401", needs=(SPREADS,), min_points=40)
def fakes_look_alike_to_d(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report that D's outputs on fakes hardly vary beside those on reals: to D the fakes are all alike.

    The measure that told collapse and hopping from health best in the lab; it needs no equilibrium. Quiet
    where the samples themselves are seen to vary: then it is GD402.
    """
    late = _late_samples(view)
    if np.isnan(late):
        yield from _spread(view, "GD401", limits["share"], limits["spread"])
    elif late < limits["samples"].value:
        yield from _spread(view, "GD401", limits["share"], limits["suspect"])


@detector("GD402", needs=(SPREADS,), min_points=40)
def fakes_vary_less_to_d(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report that D's outputs vary less on fakes than on reals, though the fakes need not be one sample."""
    late = _late_samples(view)
    if np.isnan(late):
        yield from _spread(view, "GD402", limits["share"], limits["spread"], limits["one_to_d"].value)
    elif late >= limits["one"].value:
        yield from _spread(view, "GD402", limits["share"], limits["spread"])


def _late(steps: Steps) -> Mask:
    """Which steps lie in the last 40%, where the lab's statistics were taken."""
    begin = int(steps[0] + 0.6 * (steps[-1] - steps[0]))
    return np.greater_equal(steps, begin)


def _late_samples(view: RunView) -> float:
    """The late std of fakes / std of reals, NaN where it is not logged."""
    steps, (f, r) = view.aligned(view.part(SAMPLE_STD, "fake"), view.part(SAMPLE_STD, "real"))
    return float(np.median(_ratio(f, r)[_late(steps)])) if len(steps) else np.nan


def _spread(
    view: RunView, code: str, share: Threshold, bound: Threshold, above: float = -np.inf
) -> Iterator[Finding]:
    """D's outputs on fakes vary by at most `bound` times as on reals, and late by more than `above` times."""
    fake, real = view.part(SPREADS, "fake"), view.part(SPREADS, "real")
    steps, (f, r) = view.aligned(view.blocks(fake), view.blocks(real))
    alive = r > _DEAD * r.max(initial=0.0)
    steps, ratio = steps[alive], _ratio(f[alive], r[alive])
    late = view.after_warm_up(steps)
    if not late.any():
        return
    value = float(np.median(ratio[late & _late(steps)]))
    smooth = rolling_median(ratio, max(5, len(ratio) // 20))
    stretch = view.stretch(steps, smooth <= bound.value, share=share.value, hold=0.6)
    if not above < value <= bound.value or stretch is None:
        return
    evidence = Evidence(Kind.GAME, "std of C(fakes) / std of C(reals)", value, bound, (*fake.tags, *real.tags),
                        view.window(stretch))  # fmt: skip
    params: dict[str, Param] = {"signal": fake.tags[0], "value": value}
    yield Finding(code, Severity.WARNING, stretch, (evidence,), view.subject("G"), params)


@detector("GD401", needs=(DIVERSITY,), min_points=6)
def diversity_collapsed(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report a logged diversity that fell to half of its best; MS-SSIM and duplicates count upside down."""
    for track in view.all(DIVERSITY):
        yield from _fallen(view, track, "GD401", limits["fallen"])


@detector("GD402", needs=(QUALITY,), min_points=6)
def recall_fell(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report recall, coverage or the number of modes well below the run's own best."""
    for track in view.all(QUALITY):
        if view.roles[track.tags[0]].part in _OF_VARIETY and len(track) >= 6:
            yield from _fallen(view, track, "GD402", limits["fallen"])


def _fallen(view: RunView, track: Track, code: str, bound: Threshold) -> Iterator[Finding]:
    if len(track) < 6:
        return
    values = rolling_median(track.values, 3)
    part = view.roles[track.tags[0]].part
    if part in ("ms-ssim", "duplicates"):
        values = 1 - np.clip(values, 0, 1)
    best = int(np.argmax(values))
    last = float(np.median(values[-3:]))
    if values[best] <= 0 or last / values[best] > bound.value or best >= len(values) - 3:
        return
    # The last of the falls that hold: after an earlier one it recovered.
    at = best + holding(values[best:] <= bound.value * values[best], window=3, hold=0.6)[-1].first
    stretch = Stretch(int(track.steps[at]), (int(track.steps[at - 1]), int(track.steps[at])))
    evidence = Evidence(Kind.SAMPLES, "last / best of the run", last / float(values[best]), bound, track.tags,
                        view.window(stretch))  # fmt: skip
    params: dict[str, Param] = {"signal": track.tags[0], "value": last, "best": float(values[best])}
    yield Finding(code, Severity.WARNING, stretch, (evidence,), view.subject("G"), params)
