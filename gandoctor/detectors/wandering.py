"""GD102, GD202: fakes whose outputs move more from batch to batch than within one, before a D that they outrun."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gandoctor.detectors import detector
from gandoctor.detectors.oscillation import bursts
from gandoctor.findings import Evidence, Finding, Kind, Param, Severity, Stretch
from gandoctor.interpret.view import G_GRAD, SCORES, SPREADS, RunView
from gandoctor.run import Steps, Values
from gandoctor.stats import MAD_TO_SIGMA
from gandoctor.thresholds import Limits

_MOST_POINTS = 10_000  # of a longer log every nth point: the scatter from batch to batch stays
_WINDOWS, _LEAST, _PART = (
    40,
    24,
    5,
)  # places where the scatter is measured; points that it takes: a part of the run
_CALM = 0.8  # of the run: falling rates may quieten what is left


@detector("GD102", needs=(SCORES, SPREADS), min_points=60)
def samples_wander(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report samples that hop from place to place: D's mean output on a batch of fakes moves against that on
    reals by more than D's outputs differ within the batch, and D never comes to tell fakes from reals.

    Needs no loss family. A D that faces the same few samples for long learns to tell them; one that cannot,
    though they are alike, is being outrun. Where nothing moves, the gap of the means of two batches of B
    outputs scatters by sqrt((s_real² + s_fake²) / B): what a small batch scatters does not count. Less is
    enough where G's gradient comes in bursts too. Reversed labels, where D ranks fakes above reals for ever,
    are quiet.
    """
    found = _outrun(view, limits, limits["led"].value)
    if found is None:
        return
    share: dict[str, Param] = {"tag": found.tags[0], "share": found.stretch.share}
    yield Finding(
        "GD102", Severity.WARNING, found.stretch, found.evidence(view, limits), view.subject("G"), share
    )


@detector("GD202", needs=(SCORES, SPREADS), min_points=60)
def samples_outrun_d(view: RunView, limits: Limits) -> Iterator[Finding]:
    """The same before a D that is at chance: G runs ahead to wherever D happens to be wrong.

    D at chance alone is equilibrium, where the gap scatters by the noise of batches only.
    """
    found = _outrun(view, limits, limits["even"].value)
    if found is None:
        return
    even = Evidence(Kind.GAME, "pair accuracy of D, from its outputs", found.accuracy, limits["even"], found.tags,
                    view.window(found.stretch))  # fmt: skip
    yield Finding(
        "GD202", Severity.WARNING, found.stretch, (*found.evidence(view, limits), even), view.subject("G"),
        {"share": found.stretch.share},
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Outrun:
    """A stretch of wandering fakes. noise: standard deviations of batches; known: whether the
    batch size is. bursts: NaN where they played no part.
    """

    stretch: Stretch
    scatter: float
    noise: float
    known: bool
    accuracy: float
    bursts: float
    tags: tuple[str, ...]
    gradient: tuple[str, ...]

    def evidence(self, view: RunView, limits: Limits) -> tuple[Evidence, ...]:
        window = view.window(self.stretch)
        beside = math.isfinite(self.bursts)
        moved = Evidence(Kind.GAME, "scatter of the gap of D's outputs / their spread on fakes", self.scatter,
                         limits["beside_bursts" if beside else "wander"], self.tags, window)  # fmt: skip
        if beside:
            return moved, Evidence(Kind.GRADIENTS, "p95 / p50 of G's gradient norm", self.bursts, limits["burst"],
                                   self.gradient, window)  # fmt: skip
        return moved, Evidence(Kind.GAME, "scatter of the gap of D's outputs / noise of batches", self.noise,
                               limits["noise"] if self.known else limits["noise_guessed"], self.tags, window)  # fmt: skip


def _outrun(view: RunView, limits: Limits, most: float) -> _Outrun | None:
    """The stretch to the end of the run in which fakes wander before a D of a pair accuracy below `most`."""
    tracks = [view.part(signal, side) for signal in (SCORES, SPREADS) for side in ("real", "fake")]
    steps, values = view.aligned(*(view.every_nth(track, _MOST_POINTS) for track in tracks))
    if len(steps) < 60 or view.conditional:
        return None  # what is made from different inputs differs from batch to batch by right
    real, fake, real_spread, fake_spread = values
    wide = np.sqrt(real_spread**2 + fake_spread**2)
    if not float(np.median(wide)) > 0:
        return None  # batches of one, or a D that is constant
    wide = np.maximum(wide, 1e-12 * float(np.median(wide)))
    gap = real - fake
    at, scatter = _scatter(steps, gap)
    near = np.searchsorted(steps, at)
    spread = np.maximum(_smooth(fake_spread)[near], 1e-12 * _smooth(wide)[near])
    moved, noise = scatter / spread, scatter / (_smooth(wide)[near] * _batch_noise(view, real_spread))
    known = _batch(view) is not None
    gradient = view.get(G_GRAD)
    _, burst = bursts(view, gradient) if len(gradient) else (None, math.nan)
    first, last = view.extent(steps)
    alone = (moved >= limits["wander"].value) & (
        noise >= (limits["noise"] if known else limits["noise_guessed"]).value
    )
    beside = (moved >= limits["beside_bursts"].value) & (burst >= limits["burst"].value)
    if known:
        beside &= noise >= limits["noise_guessed"].value
    for mask, ratio in ((alone, math.nan), (beside, burst)):
        stretch = view.stretch(at, mask, share=limits["lasting"].value)
        if stretch is None or (stretch.end is not None and stretch.end < first + _CALM * (last - first)):
            continue
        inside = view.inside(stretch, steps)
        distance = gap[inside] / wide[inside]
        accuracy = 0.5 * (1 + math.erf(float(np.median(distance)) / math.sqrt(2)))
        if accuracy >= most or np.mean(gap[inside] < 0) > limits["reversed"].value:
            continue
        there = view.inside(stretch, at)
        return _Outrun(
            stretch, float(np.median(moved[there])), float(np.median(noise[there])), known, accuracy, ratio,
            tuple(tag for track in tracks for tag in track.tags), gradient.tags,
        )  # fmt: skip
    return None


def _scatter(steps: Steps, gap: Values) -> tuple[Steps, Values]:
    """Half of the 16-84% range of the detrended gap, in windows along the run: at (m,), scatter float64 (m,)."""
    width = min(max(_LEAST, len(gap) // _PART), len(gap))
    windows = np.lib.stride_tricks.sliding_window_view(gap, width)
    every = max(1, len(windows) // _WINDOWS)
    windows = windows[::every]
    t = np.linspace(-1, 1, width)
    rest = windows - windows.mean(1, keepdims=True)
    rest = rest - np.outer(rest @ t / (t @ t), t)
    low, high = np.quantile(rest, (0.16, 0.84), axis=1)
    return steps[width // 2 :: every][: len(windows)], (high - low) / 2


def _smooth(values: Values) -> Values:
    """Medians over the windows of `_scatter`, one for each point; held at the ends."""
    width = min(max(_LEAST, len(values) // _PART), len(values))
    padded = np.pad(values, (width // 2, width - 1 - width // 2), mode="edge")
    middle: Values = np.median(np.lib.stride_tricks.sliding_window_view(padded, width), axis=1)
    return middle


def _batch(view: RunView) -> int | None:
    batch = view.facts["batch_size"].value if "batch_size" in view.facts else None
    return batch if isinstance(batch, int) and batch > 0 else None


def _batch_noise(view: RunView, spread: Values) -> float:
    """1 / sqrt(B) for a batch of B, in the configuration or from the jitter of the reals' spread, which is at least
    1 / sqrt(2 (B - 1)) of it: outputs with heavy tails, and a D that moves, make B seem smaller.
    """
    batch = _batch(view)
    if batch is not None:
        return 1 / math.sqrt(batch)
    known = spread[spread > 0]
    if len(known) < 3:
        return 1.0
    jitter = float(np.median(np.abs(np.diff(np.log(known))))) * MAD_TO_SIGMA / math.sqrt(2)
    return 1 / math.sqrt(1 + 1 / max(2 * jitter**2, 1e-12))
