"""GD104, GD504, GD505: quality metrics that do not progress, turn worse, or cannot be believed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gandoctor.detectors import detector
from gandoctor.findings import Evidence, Finding, Kind, NotExamined, Param, Severity, State, Stretch
from gandoctor.interpret.view import ANY, G_STEP, G_WEIGHT, QUALITY, RunView, Track
from gandoctor.run import Values
from gandoctor.stats import Mask, rolling_median
from gandoctor.thresholds import Limits, limits

_NEVER_NEGATIVE = frozenset(
    {"fid", "is", "ssim", "psnr", "precision", "recall", "coverage", "density", "ppl", "lpips"}
)


_DISTANCES = frozenset({"fid", "kid", "swd", "mmd", "fvd"})


def broken(view: RunView, track: Track, limit: float) -> float:
    """The share of a metric's values that no such metric can have."""
    return float(np.mean(impossible(view, track.tags[0], limit)))


def impossible(view: RunView, tag: str, limit: float) -> Mask:
    """Which values of a metric no such metric can have, bool (n,) over all points, finite or not."""
    values = view.series[tag].values
    bad: Mask = ~np.isfinite(values) | (np.abs(values) > limit)
    if view.roles[tag].part in _NEVER_NEGATIVE:
        bad |= values < 0
    return bad


@detector("GD505", needs=(ANY,), min_points=1)
def metric_is_broken(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report a metric with impossible values, or one that repeats a value to the end: never updated."""
    if not any(role.quantity == "metric" for role in view.roles.values()):
        yield NotExamined("GD505", State.NOT_EXAMINABLE, "missing-signal", QUALITY.name, QUALITY.name)
        return
    for tag, role in view.roles.items():
        if role.quantity != "metric" or not len(view.series[tag]):
            continue
        one = view.series[tag]
        bad = impossible(view, tag, limits["impossible"].value)
        share = float(np.mean(bad))
        value = float(one.values[np.argmax(bad)]) if bad.any() else float(one.values[-1])
        end = None
        if share > limits["most"].value:
            statistic, bound, measured = "share of impossible values", None, share
            onset = int(one.steps[np.argmax(bad)])
            end = None if bad[-1] else int(one.steps[np.flatnonzero(bad)[-1]])
        elif (run := _repeated(one.values)) >= limits["repeated"].value and role.part not in (
            "coverage",
            "modes",
        ):
            statistic, bound, measured = "missed updates: equal values to the end", limits["repeated"], run
            differ = np.flatnonzero(one.values != one.values[-1])
            onset = int(one.steps[differ[-1] + 1 if len(differ) else 0])
        else:
            continue
        stretch = Stretch(onset, (onset, onset), end, share or 1.0)
        evidence = Evidence(Kind.QUALITY, statistic, measured, bound, (tag,), view.window(stretch))
        params: dict[str, Param] = {"metric": tag, "value": value, "share": share}
        yield Finding("GD505", Severity.WARNING, stretch, (evidence,), view.subject(tag=tag), params)


def _repeated(values: Values) -> float:
    """How many updates a metric missed at its end: equal values there, over the usual number of equal values
    before (a log that repeats the last value in every line has many of them).
    """
    if len(values) < 2:
        return 0.0
    changes = np.flatnonzero(values[1:] != values[:-1]) + 1
    starts = np.concatenate([[0], changes])
    usual = float(np.median(np.diff(starts))) if len(changes) else 1.0
    return (len(values) - int(starts[-1])) / usual


def believable(view: RunView) -> list[Track]:
    """The quality metrics that can be believed, with at least 6 points."""
    own = limits("GD505")
    bound, most = own["impossible"].value, own["most"].value
    tracks = [track for track in view.all(QUALITY) if len(track) >= 6 and broken(view, track, bound) <= most]
    return [view.blocks(track, 50) for track in tracks]


@detector("GD504", needs=(QUALITY,), min_points=6)
def turns_worse(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report a metric that gave back most of what it had gained, and when it was best.

    Metrics bounce from one evaluation to the next: medians of three are compared, the fall must be half
    of the whole gain and a tenth of the best value, and the best must lie well back.
    """
    for track in believable(view):
        sign = 1.0 if view.better_when_higher(track.tags[0]) else -1.0
        smooth = sign * rolling_median(track.values, 3)
        best = int(np.argmax(smooth))
        gain, loss = smooth[best] - smooth[0], smooth[best] - float(np.median(smooth[-3:]))
        first, last = view.extent(track.steps)
        since = (last - int(track.steps[best])) / max(last - first, 1)
        whole = max(gain, 0.25 * loss, 1e-12)
        best_value = sign * float(smooth[best])
        relative = loss / max(abs(best_value), 1e-12)
        if (
            loss / whole < limits["lost"].value
            or relative < limits["relative"].value
            or since < limits["after"].value
        ):
            continue
        stretch = Stretch(int(track.steps[best]), (int(track.steps[max(best - 1, 0)]), int(track.steps[best])), None,
                          float(since))  # fmt: skip
        window = view.window(stretch)
        evidence = (
            Evidence(Kind.QUALITY, "share of the gain lost since the best", float(min(loss / whole, 4.0)),
                     limits["lost"], track.tags, window),
            Evidence(Kind.QUALITY, "fall since the best / best", float(relative), limits["relative"], track.tags, window),
        )  # fmt: skip
        params: dict[str, Param] = {
            "metric": track.tags[0], "best": best_value, "best_step": int(track.steps[best]),
            "last": float(track.values[-1]),
        }  # fmt: skip
        yield Finding("GD504", Severity.WARNING, stretch, evidence, view.subject(tag=track.tags[0]), params)


@detector("GD104", needs=(QUALITY,), min_points=10)
def no_progress(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report distances to the data (FID and its kin) that hardly fell in the whole run, and not in its
    last half.

    A run that has converged gained before: quiet. PSNR, SSIM and other scores of single images move by a
    few per cent in the best of runs, so their standing still says nothing.
    """
    tracks = [track for track in believable(view) if view.roles[track.tags[0]].part in _DISTANCES]
    if not tracks:
        yield NotExamined("GD104", State.NOT_EXAMINABLE, "missing-signal", QUALITY.name, QUALITY.name)
        return
    measured = []
    for track in tracks:
        sign = 1.0 if view.better_when_higher(track.tags[0]) else -1.0
        smooth = sign * rolling_median(track.values, 3)
        level = max(abs(float(smooth[0])), 1e-12)
        half = len(smooth) // 2
        measured.append((float(np.ptp(smooth)) / level, (smooth[half:].max() - smooth[:half].max()) / level))
    gain, late = (float(max(pair[n] for pair in measured)) for n in (0, 1))
    if gain > limits["gain"].value or late > limits["flat"].value:
        return
    first, last = view.extent(tracks[0].steps)
    middle = first + (last - first) // 2
    stretch = Stretch(middle, (first, middle))
    tags = tuple(track.tags[0] for track in tracks)
    evidence = (
        Evidence(
            Kind.QUALITY,
            "largest gain of a metric / its first level",
            gain,
            limits["gain"],
            tags,
            (first, last),
        ),
        Evidence(
            Kind.QUALITY, "gain in the last half / first level", late, limits["flat"], tags, (middle, last)
        ),
    )
    yield Finding("GD104", Severity.WARNING, stretch, evidence, params={"signal": tags[0], "share": 0.5})


@detector("GD104", needs=(G_STEP, G_WEIGHT), min_points=40)
def g_hardly_moves(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report a generator whose steps have become too small beside its weights to go anywhere."""
    step, weight = view.get(G_STEP), view.get(G_WEIGHT)
    steps, (moved, size) = view.aligned(view.blocks(step), view.blocks(weight))
    ratio = moved / np.where(size > 0, size, np.inf)
    stretch = view.stretch(steps, ratio <= limits["still"].value, share=0.4)
    if stretch is None or stretch.end is not None:
        return
    value = float(np.median(ratio[view.inside(stretch, steps)]))
    tags = (*step.tags, *weight.tags)
    evidence = Evidence(
        Kind.WEIGHTS, "median step / weight norm of G", value, limits["still"], tags, view.window(stretch)
    )
    params: dict[str, Param] = {"signal": step.tags[0], "share": stretch.share}
    yield Finding("GD104", Severity.WARNING, stretch, (evidence,), view.subject("G"), params)
