"""GD102: a game that swings and does not settle."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from gandoctor.detectors import detector
from gandoctor.findings import Evidence, Finding, Kind, Param, Severity
from gandoctor.interpret.view import D_LOSS, G_GRAD, G_LOSS, SCORES, SPREADS, RunView, Track
from gandoctor.run import Values
from gandoctor.stats import Mask, block_medians
from gandoctor.thresholds import Limits

_LATE, _FEWEST = 0.6, 24  # where bursts are sought, and in how many points
_POINTS = 512  # for the spectrum: a period must show at least twice and at most 1/8 of the points


@detector("GD102", needs=(G_GRAD,), min_points=60)
def gradients_burst(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report a gradient norm of G that comes in bursts over the last 40% of the run.

    Modes that hop give calm stretches and bursts; a noisy but stationary norm has a p95 / p50 near 2. Where D's
    outputs are logged, `wandering` weighs the bursts beside them.
    """
    if view.has(SCORES) and view.has(SPREADS):
        return
    track = view.get(G_GRAD)
    late, ratio = bursts(view, track)
    bound = limits["bursts"]
    if not ratio >= bound.value:
        return
    stretch = view.stretch(track.steps, late, share=0.1)
    if stretch is None:
        return
    evidence = Evidence(
        Kind.GRADIENTS, "p95 / p50 of G's gradient norm", ratio, bound, track.tags, view.window(stretch)
    )
    params: dict[str, Param] = {"tag": track.tags[0], "share": stretch.share}
    yield Finding("GD102", Severity.WARNING, stretch, (evidence,), view.subject("G"), params)


def bursts(view: RunView, track: Track) -> tuple[Mask, float]:
    """The last 40% of the run, bool (n,), and p95 / p50 of the values there: NaN where they are too few, or 0."""
    first, last = view.extent(track.steps)
    late = track.steps >= first + _LATE * (last - first)
    values = track.values[late]
    middle = float(np.median(values)) if len(values) >= _FEWEST else 0.0
    return late, float(np.quantile(values, 0.95)) / middle if middle > 0 else math.nan


@detector("GD102", needs=(D_LOSS, G_LOSS), min_points=120)
def losses_cycle(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report a period that both losses share, with one following the other.

    A spectral peak counts against an AR(1) process of the series' own autocorrelation, since GAN losses
    are red noise. Counter-phase without a lag is no evidence: the two losses are functions of the same
    outputs, and independent outputs give it too. Learning-rate cycles and a validation interval that
    leaks into the losses move both without a lag: quiet.
    """
    game = view.game
    steps, (d, g) = view.aligned(game.d, game.g)
    late = view.after_warm_up(steps)
    steps, d, g = steps[late], d[late], g[late]
    if len(steps) < 100:
        return
    _, d = block_medians(steps, d, _POINTS)
    at, g = block_medians(steps, g, _POINTS)
    d_power, g_power = _excess(d), _excess(g)
    low, high = 3, len(d) // 8
    if high <= low:
        return
    both = np.minimum(d_power, g_power)[low:high]
    best = low + int(np.argmax(both))
    bound = limits["peak"]
    if both[best - low] < bound.value or not _lagged(d, g, best):
        return
    period = float((at[-1] - at[0]) / best)
    track = Track(at.astype(np.int64), d, (*game.d.tags, *game.g.tags))
    stretch = view.stretch(track.steps, np.ones(len(track), bool), share=0.5)
    if stretch is None:
        return
    evidence = Evidence(Kind.GAME, "peak of the losses' common spectrum over red noise", float(both[best - low]), bound,
                        track.tags, view.window(stretch))  # fmt: skip
    params: dict[str, Param] = {"tag": game.d.tags[0], "period": round(period), "share": stretch.share}
    yield Finding("GD102", Severity.WARNING, stretch, (evidence,), view.subject(), params)


def _excess(values: Values) -> Values:
    """The periodogram over the spectrum of an AR(1) process with the series' own lag-1 correlation.

    values: float64 (n,). Returns float64 (n // 2 + 1,), near 1 on average for red noise (its ordinates are
    exponential: the largest of 100 is near 4.6). Source: Mann & Lees 1996, Climatic Change 33:409.
    """
    n = len(values)
    t = np.linspace(-1, 1, n)
    rest = values - np.polyval(np.polyfit(t, values, 2), t)
    power = np.abs(np.fft.rfft(rest * np.hanning(n))) ** 2
    variance = float(rest @ rest)
    rho = float(rest[1:] @ rest[:-1]) / variance if variance > 0 else 0.0
    rho = min(max(rho, 0.0), 0.99)
    frequency = np.arange(len(power)) / n
    red = (1 - rho**2) / (1 - 2 * rho * np.cos(2 * np.pi * frequency) + rho**2)
    ratio = power / red
    middle = float(np.median(ratio[3:])) / np.log(2) if len(ratio) > 3 else 0.0
    return ratio / middle if middle > 0 else np.zeros_like(ratio)


def _lagged(d: Values, g: Values, k: int) -> bool:
    """Whether the two losses keep a phase lag at the k-th frequency that is neither 0 nor a half turn.

    Judged in three overlapping pieces: the lags must agree within a quarter turn.
    """
    n = len(d)
    piece = n // 2
    lags = []
    for start in (0, n // 4, n - piece):
        window = np.hanning(piece)
        wave = np.exp(-2j * np.pi * k * np.arange(start, start + piece) / n)
        a = np.sum((d[start : start + piece] - d[start : start + piece].mean()) * window * wave)
        b = np.sum((g[start : start + piece] - g[start : start + piece].mean()) * window * wave)
        lags.append(float(np.angle(a * np.conj(b))))
    spread = np.abs(np.mean(np.exp(1j * np.array(lags))))
    mean = abs(float(np.angle(np.mean(np.exp(1j * np.array(lags))))))
    return bool(spread > 0.7 and 0.15 * np.pi < mean < 0.85 * np.pi)
