"""GD204: no game is played; neither network learns from the other. GD104: a game whose D is blind."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from gandoctor.detectors import detector
from gandoctor.findings import Evidence, Finding, Kind, NotExamined, Param, Severity, State, Stretch
from gandoctor.interpret.view import (
    D_LOSS,
    D_STEP,
    D_WEIGHT,
    G_STEP,
    G_WEIGHT,
    QUALITY,
    SCORES,
    SPREADS,
    RunView,
    Track,
)
from gandoctor.run import Steps, Values
from gandoctor.stats import Mask, noise, remembered, rolling_median
from gandoctor.thresholds import Limits

_MOST_POINTS = 10_000  # of a longer log every nth point: the jitter from batch to batch stays
_WINDOW = 9  # points over which a loss must stand still to be called frozen
_LEAST = 40  # points from which the memory of a series can be told: its standard error is 0.16
_STARTS = 12  # tried as the point from which nothing moves
_TINY = 1e-100


@detector("GD204", needs=(D_LOSS,), min_points=40)
def stands_still(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report a D loss that stands at a constant, or at chance with hardly any jitter.

    A live game jitters from batch to batch by the spread of D's outputs, at equilibrium too; a loss
    without jitter means that D answers the same whatever it sees. Judged on the points as logged, not
    on block medians, which would hide the jitter. A log that prints too few digits near 0 stays
    quiet: the constant must lie off 0. So does a D with outputs near 0 that still tells reals from fakes
    (a huge R1 weight): the loss of one that does not is never below the equilibrium, by Jensen's
    inequality.
    """
    if (unjudged := _unjudged(view, "GD204")) is not None:
        yield unjudged
        return
    game = view.game
    d = view.every_nth(game.d, _MOST_POINTS)
    equilibrium = game.scale.best.d_equilibrium or 1.0
    jitter = _jitter(d.values) / equilibrium
    frozen = (jitter < limits["frozen"].value) & (np.abs(d.values) > 0.02 * equilibrium)
    lead = game.scale.best.lead(d.values)
    blind = (np.abs(lead) < limits["blind"].value) & (jitter < limits["blind"].value)
    stretch = view.stretch(d.steps, frozen | blind, share=limits["share"].value, hold=0.8)
    if stretch is None:
        return
    # The jitter of a point is that of its neighbours too: the game may have stopped half a window before.
    at = int(np.searchsorted(d.steps, stretch.onset_interval[0]))
    earliest = int(d.steps[max(at - _WINDOW // 2, 0)])
    stretch = replace(stretch, onset_interval=(earliest, stretch.onset_interval[1]))
    inside = view.inside(stretch, d.steps)
    at_chance = abs(float(np.median(lead[inside]))) < 2 * limits["blind"].value
    if at_chance and _tells(d.values[inside], lead[inside], limits["ahead"].value):
        return
    quality, falls = _quality_falls(view, stretch)
    had_won = bool(np.count_nonzero(lead[d.steps < stretch.onset] > 0.5) > 5)
    died = at_chance and had_won and not view.conditional
    if not (died or falls) and np.mean(frozen[inside]) < 0.5:
        return  # chance with little jitter, never won before: convergence looks the same
    bound = limits["blind"] if at_chance else limits["frozen"]
    window = view.window(stretch)
    evidence = (
        Evidence(Kind.GAME, "half range of D's loss / equilibrium", float(np.median(jitter[inside])), bound, d.tags,
                 window),
        Evidence(Kind.GAME, "share of steps without a game", stretch.share, limits["share"], d.tags, window),
        *quality,
    )  # fmt: skip
    params: dict[str, Param] = {
        "network": "D",
        "level": float(np.median(d.values[inside])),
        "share": stretch.share,
    }
    error = stretch.end is None and (died or falls)
    severity = Severity.ERROR if error else Severity.WARNING
    yield Finding("GD204", severity, stretch, evidence, view.subject("D"), params, overwhelming=died)


def _unjudged(view: RunView, code: str) -> NotExamined | None:
    """Why D's loss cannot be held against its equilibrium."""
    if view.game.started is None:
        return NotExamined(code, State.NOT_EXAMINABLE, "adversarial-part-not-run", "D's loss is always 0")
    if not view.game.scale.defined:
        return NotExamined(code, State.NOT_EXAMINABLE, "no-equilibrium", view.game.scale.name, D_STEP.name)
    return None


def _jitter(values: Values) -> Values:
    """Half of the 5-95% range in a window around each point, float64 (n,)."""
    width = min(_WINDOW, len(values))
    padded = np.pad(values, (width // 2, width - 1 - width // 2), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, width)
    low, high = np.quantile(windows, (0.05, 0.95), axis=1)
    half: Values = (high - low) / 2
    return half


def _tells(values: Values, lead: Values, share: float) -> bool:
    """Whether D's loss lies below its equilibrium at nearly every point, and not by rounding alone: then it
    has many values.
    """
    return float(np.mean(lead > 0)) >= share and len(np.unique(values)) > _WINDOW


def _quality_falls(view: RunView, stretch: Stretch) -> tuple[list[Evidence], bool]:
    """Whether a quality metric got worse within the stretch, and the evidence of it."""
    found, falls = [], False
    for track in view.all(QUALITY):
        inside = view.inside(stretch, track.steps)
        if np.count_nonzero(inside) < 6 or not np.ptp(track.values):
            continue
        values = rolling_median(track.values, 5)[inside]
        gain = values[-1] - values[0]
        worse = gain < 0 if view.better_when_higher(track.tags[0]) else gain > 0
        share = abs(gain) / max(float(np.median(np.abs(track.values))), 1e-12)
        if worse and share > 0.1:
            falls = True
            window = (int(track.steps[inside][0]), int(track.steps[inside][-1]))
            found.append(
                Evidence(Kind.QUALITY, "relative change of the metric, for the worse", float(share), None,
                         track.tags, window)
            )  # fmt: skip
    return found, falls


@detector("GD104", needs=(D_LOSS,), min_points=26)
def never_led(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report a D that stood at chance from the first point on, though its loss moves: a false equilibrium.

    Every live D that can see a difference gets ahead at the start. Convergence to equilibrium looks the same
    at the end but not at the start. A run that continues another one (its steps begin late) may have
    converged before: quiet. So is a D without jitter, which is no game at all (GD204).
    """
    if (unjudged := _unjudged(view, "GD104")) is not None:
        yield unjudged
        return
    chance = _chance(view, limits)
    jitter = _jitter(view.every_nth(view.game.d, _MOST_POINTS).values) / (
        view.family.best.d_equilibrium or 1.0
    )
    if chance is None or view.conditional or float(np.median(jitter)) < limits["moves"].value:
        return
    params: dict[str, Param] = {"check": "false-equilibrium", "lead": max(chance.evidence[1].value, 0.0)}
    yield replace(chance, code="GD104", params=params)


@detector("GD204", needs=(D_LOSS,), min_points=26)
def never_joined(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report the same beside a content loss, which carries G and may progress: D has no part in it."""
    if (unjudged := _unjudged(view, "GD204")) is not None:
        yield unjudged
    elif view.conditional and (chance := _chance(view, limits)) is not None:
        yield chance


def _chance(view: RunView, limits: Limits) -> Finding | None:
    """A D at chance in the median, which led in no tenth of the run."""
    first, last = view.span
    if first > 0.05 * last:
        return None
    d = view.blocks(view.game.d, 10)
    leads = np.array([form.lead(d.values) for form in view.family.likely])  # (forms, blocks): all must agree
    off, ahead = float(np.max(np.abs(np.median(leads, axis=1)))), float(np.max(leads))
    if off > limits["chance"].value or ahead > limits["ever"].value:
        return None
    start = int(view.game.d.steps[0])
    stretch = Stretch(start, (start, start))
    window = view.window(stretch)
    evidence = (
        Evidence(Kind.GAME, "|median lead of D|", off, limits["chance"], d.tags, window),
        Evidence(Kind.GAME, "largest lead of D in any block", ahead, limits["ever"], d.tags, window),
    )
    params: dict[str, Param] = {"network": "D", "level": float(np.median(d.values)), "share": 1.0}
    return Finding("GD204", Severity.WARNING, stretch, evidence, view.subject("D"), params)


@detector("GD204", needs=(SCORES, SPREADS), min_points=40)
def outputs_stand(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report a D whose outputs on reals and fakes show nothing but the noise of batches, from the start or
    from early on to the end: neither network moves.

    Needs no loss family. While both networks stand, the mean of a batch of B outputs with standard deviation
    s scatters by s / sqrt(B), and no point remembers the one before. A live game breaks one of the two.
    Logged often, its outputs drift: they have memory. Logged seldom they may have none, but then they scatter
    by a good part of s. Not judged on the last part of a run, where falling rates leave a healthy game at
    its equilibrium little to do.
    """
    tracks = [view.part(signal, side) for signal in (SCORES, SPREADS) for side in ("real", "fake")]
    steps, values = view.aligned(*(view.every_nth(track, _MOST_POINTS) for track in tracks))
    if len(steps) < _LEAST:
        return
    bound = limits["scatter"]
    batch = view.facts["batch_size"].value if "batch_size" in view.facts else None
    if isinstance(batch, int) and batch > 0:  # at most twice the variance of such a batch's mean
        bound = replace(bound, value=min(bound.value, math.sqrt(2 / batch)))
    last = len(steps) - max(_LEAST, math.ceil(limits["lasting"].value * len(steps)))
    starts = np.unique(np.linspace(0, last, _STARTS).astype(np.intp)).tolist()
    for begin in starts:
        rest = [one[begin:] for one in values]
        if min(float(np.median(spread)) for spread in rest[2:]) < _TINY:
            return  # no spread: batches of one, or a D that is constant, which `stands_still` sees
        if min(len(np.unique(one)) for one in rest) <= _WINDOW:
            return  # printed with too few digits to show the noise of batches
        scatter, breath, remembered = _noise(rest)
        if (
            scatter <= bound.value
            and breath <= limits["breath"].value
            and remembered <= limits["memory"].value
        ):
            break
    else:
        return
    before = starts[max(starts.index(begin) - 1, 0)]
    share = float(len(steps) - begin) / len(steps)
    stretch = Stretch(int(steps[begin]), (int(steps[before]), int(steps[begin])), None, share)
    window = view.window(stretch)
    tags = tuple(tag for track in tracks for tag in track.tags)
    evidence = (
        Evidence(Kind.GAME, "scatter of D's mean output / its spread in a batch", scatter, bound, tags[:2], window),
        Evidence(Kind.GAME, "scatter of the spread's logarithm", breath, limits["breath"], tags[2:], window),
        Evidence(Kind.GAME, "largest correlation of D's outputs with the point before", remembered,
                 limits["memory"], tags, window),
    )  # fmt: skip
    yield Finding("GD204", Severity.WARNING, stretch, evidence, view.subject(), {"share": share})


def _noise(values: Sequence[Values]) -> tuple[float, float, float]:
    """How far D's mean outputs and their spreads scatter, and how much they remember.

    values: its mean outputs on reals and on fakes, its spreads there, float64 (n,) each. Returns the larger
    standard deviation of the means, in units of the spread; that of the logarithm of the spreads; and the
    largest lag-1 autocorrelation of the four.
    """
    real, fake, *spreads = values
    means = [one / float(np.median(spread)) for one, spread in zip((real, fake), spreads, strict=True)]
    widths = [np.log(np.maximum(spread, _TINY)) for spread in spreads]
    noises = [[noise(one) for one in pair] for pair in (means, widths)]
    wide = [max(float(np.std(around)) for around in pair) for pair in noises]
    pairs = zip((*means, *widths), (*noises[0], *noises[1]), strict=True)
    return wide[0], wide[1], max(remembered(one, around) for one, around in pairs)


@detector("GD204", needs=(G_STEP, G_WEIGHT), min_points=40)
def g_stands(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report a generator whose steps are nothing beside its weights from the start."""
    yield from _stands(view, limits, "G", view.get(G_STEP), view.get(G_WEIGHT))


@detector("GD204", needs=(D_STEP, D_WEIGHT), min_points=40)
def d_stands(view: RunView, limits: Limits) -> Iterator[Finding]:
    """The same for the discriminator."""
    yield from _stands(view, limits, "D", view.get(D_STEP), view.get(D_WEIGHT))


def _stands(view: RunView, limits: Limits, network: str, step: Track, weight: Track) -> Iterator[Finding]:
    steps, (moved, size) = view.aligned(view.blocks(step), view.blocks(weight))
    ratio = moved / np.where(size > 0, size, np.inf)
    stretch = view.stretch(steps, ratio < limits["still"].value, share=0.8)
    if stretch is None or not _from_the_start(view, stretch, steps, ratio < limits["still"].value):
        return
    value = float(np.median(ratio))
    tags = (*step.tags, *weight.tags)
    evidence = Evidence(
        Kind.WEIGHTS, "median step / weight norm", value, limits["still"], tags, view.window(stretch)
    )
    params: dict[str, Param] = {"network": network, "share": stretch.share}
    yield Finding(
        "GD204", Severity.ERROR, stretch, (evidence,), view.subject(network), params, overwhelming=True
    )


def _from_the_start(view: RunView, stretch: Stretch, steps: Steps, mask: Mask) -> bool:
    return bool(mask[: max(3, len(mask) // 20)].all()) and stretch.end is None
