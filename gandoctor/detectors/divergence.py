"""GD101, GD103: a loss that leaves its range for good, or for moments."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gandoctor.detectors import detector
from gandoctor.findings import Evidence, Finding, Kind, NotExamined, Param, Severity, State, Stretch
from gandoctor.interpret.natural import natural_loss, of_batches
from gandoctor.interpret.view import D_LOSS, G_LOSS, RunView, Track
from gandoctor.run import Values
from gandoctor.stats import MAD_TO_SIGMA, Mask, block_peaks, mad, rolling_median, trend_effect
from gandoctor.thresholds import Limits

_MOST_POINTS = 10_000  # longer losses are searched for spikes by the peaks of their blocks


@detector("GD101", needs=(D_LOSS,), min_points=40)
def d_diverges(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report a D loss that grows without bound, or stands far above what its family allows.

    A critic's loss that starts large and shrinks, and the penalty's transient at the start, stay
    quiet: the level of the end is held against the settled stretch before it.
    """
    yield from _diverges(view, limits, view.game.d, "D")


@detector("GD101", needs=(G_LOSS,), min_points=40)
def g_diverges(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """The same for G. A starved G's loss climbs by the logit margin: that is GD201, and mostly stays below; where it
    does not, GD201 is its cause.
    """
    yield from _diverges(view, limits, view.game.g, "G")


def _diverges(view: RunView, limits: Limits, track: Track, network: str) -> Iterator[Finding | NotExamined]:
    thin = view.blocks(track)
    size = np.abs(thin.values)
    late = view.after_warm_up(thin.steps)
    first, last = view.extent(thin.steps)
    settled = size[late & (thin.steps <= first + 0.4 * (last - first))]
    if len(settled) < 8:
        detail = f"{len(settled)} of 8 points before 40% of the run"
        yield NotExamined("GD101", State.TOO_SHORT, "too-few-points", detail)
        return
    base = max(float(np.median(settled)), _unit(view, network))
    half = thin.steps >= first + 0.5 * (last - first)
    growing = trend_effect(thin.steps[half], np.log(size[half] + 1e-3 * base))
    level = limits["level"]
    scale = view.family
    natural = natural_loss(view, network)
    reached = float(np.median(size[late]))
    beyond = natural is not None and reached >= level.value * natural
    # A sum over an epoch is huge from its first point on: no growth, no divergence.
    beyond = beyond and of_batches(view, limits["growth"].value, limits["fell"].value)
    growth = limits["growth"]
    mask = size >= (level.value * natural if beyond and natural is not None else growth.value * base)
    stretch = view.stretch(thin.steps, mask, share=limits["share"].value)
    if stretch is None or not (beyond or (growing >= limits["effect"].value and stretch.end is None)):
        return
    window = view.window(stretch)
    reached = float(np.median(size[view.inside(stretch, thin.steps)]))
    evidence = [
        Evidence(Kind.GAME, "loss / settled level or unit", reached / base, growth, track.tags, window)
        if not beyond
        else Evidence(Kind.GAME, "loss / equilibrium", reached / (natural or 1.0), level, track.tags, window),
    ]
    if not beyond:
        evidence.append(
            Evidence(
                Kind.GAME,
                "rise of log |loss| over the last half",
                growing,
                limits["effect"],
                track.tags,
                window,
            )
        )
    severe = beyond or reached >= growth.value * growth.value * base
    params: dict[str, Param] = {
        "tag": track.tags[0],
        "factor": reached / (natural if beyond and natural else base),
    }
    # A critic's loss has no bound: its growth alone is a mechanism, not yet an illness, until absurd.
    error = severe and (scale.defined or reached >= growth.value**3 * base)
    error = error and not (beyond and network == "G")  # a G that is starved for long comes here too
    yield Finding(
        "GD101", Severity.ERROR if error else Severity.WARNING, stretch, tuple(evidence),
        view.subject(network, tag=track.tags[0]), params, overwhelming=error,
    )  # fmt: skip


def _unit(view: RunView, network: str) -> float:
    """What a loss of the network is measured in, so that a return from near 0 is no growth: D's equilibrium,
    one debt of G; beside a critic, whose outputs drift freely together, the distance it sees; where G's loss
    may be weighted, next to nothing.
    """
    scale, game = view.family, view.game
    if not scale.defined:
        first, last = view.extent(game.d.steps)
        early = view.after_warm_up(game.d.steps) & (game.d.steps <= first + 0.4 * (last - first))
        distance = float(np.median(np.abs(game.d.values[early]))) if network == "G" and early.any() else 0.0
        return max(distance, 1e-3)
    if network == "D":
        return scale.best.d_equilibrium or 1e-3
    whole = game.alone and not game.weighted
    return scale.best.family.debt_unit * scale.best.g_factor if whole else 1e-3


@detector("GD103", needs=(D_LOSS,), min_points=50)
def d_spikes(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report isolated excursions of D's loss that recover.

    In log units, since the noise of a loss is as large as its level. Batch-1 losses are noisy without
    being ill: a spike must be 8 MADs *and* 5 times the level, and rare.
    """
    yield from _spikes(view, limits, view.game.d, "D")


@detector("GD103", needs=(G_LOSS,), min_points=50)
def g_spikes(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """The same for G."""
    yield from _spikes(view, limits, view.game.g, "G")


def _spikes(view: RunView, limits: Limits, track: Track, network: str) -> Iterator[Finding | NotExamined]:
    late = view.after_warm_up(track.steps)
    values, steps = track.values[late], track.steps[late]
    if len(values) < 30:
        yield NotExamined("GD103", State.TOO_SHORT, "too-few-points", f"{len(values)} of 30 after warm-up")
        return
    if values.min() <= 0:  # it has no log
        yield NotExamined("GD103", State.NOT_EXAMINABLE, "loss-crosses-0", track.tags[0])
        return
    steps, peaks, samples = block_peaks(steps, values, _MOST_POINTS)
    smooth = rolling_median(np.log(samples), 41)
    noise = max(mad(np.log(samples) - smooth) * MAD_TO_SIGMA, 0.02)
    rest = np.log(peaks) - smooth
    spikes = (rest > limits["height"].value * noise) & (rest > np.log(limits["factor"].value))
    spikes &= _matters(view, peaks, np.exp(smooth), network)
    count = int(np.count_nonzero(np.diff(np.concatenate([[0], spikes.astype(np.int8)])) > 0))
    if count == 0 or np.mean(spikes) > limits["most"].value or np.count_nonzero(spikes) < 2:
        return
    where = np.flatnonzero(spikes)
    if where[-1] >= len(spikes) - 2:
        return  # not yet recovered: nobody knows
    size = float(np.exp(rest[where].max()))
    at = int(where[0])
    stretch = Stretch(int(steps[at]), (int(steps[max(at - 1, 0)]), int(steps[at])), int(steps[where[-1]]),
                      float(np.mean(spikes)))  # fmt: skip
    window = view.window(stretch)
    evidence = (
        Evidence(Kind.GAME, "largest spike / rolling median", size, limits["factor"], track.tags, window),
        Evidence(Kind.GAME, "largest spike in MADs of log loss", float(rest[where].max() / noise), limits["height"],
                 track.tags, window),
    )  # fmt: skip
    params: dict[str, Param] = {"count": count, "tag": track.tags[0], "size": size}
    yield Finding(
        "GD103", Severity.WARNING, stretch, evidence, view.subject(network, tag=track.tags[0]), params
    )


def _matters(view: RunView, values: Values, level: Values, network: str) -> Mask:
    """Which points lie far from the level on the game's own scale, where there is one.

    Near 0 a loss may jump twentyfold without meaning anything.
    """
    scale, game = view.family, view.game
    if network == "D" and scale.defined:
        return scale.best.lead(level) - scale.best.lead(values) > 0.5
    if (
        network == "G"
        and scale.defined
        and game.alone
        and not game.weighted
        and np.isfinite(scale.best.family.g)
    ):
        return scale.best.debt(values) - scale.best.debt(level) > 3
    return np.ones(len(values), bool)
