"""GD604: a gradient penalty that does nothing, or that is nearly all of D's loss."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gandoctor.detectors import detector
from gandoctor.findings import Evidence, Finding, Kind, NotExamined, Param, Severity, State, Stretch
from gandoctor.interpret.view import ANY, D_LOSS, PENALTY, SNAPSHOTS, RunView
from gandoctor.thresholds import Limits

_NOTHING = 1e-8


@detector("GD604", needs=(D_LOSS,), min_points=40)
def critic_without_bound(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report a critic whose Lipschitz bound is switched off: penalty weight 0, or a penalty that is
    always 0, without clipping and without spectral normalisation.

    Families other than WGAN need no penalty: quiet.
    """
    weight, clip = view.facts.get("penalty_weight"), view.facts.get("clip_value")
    spectral = view.facts.get("spectral_norm")
    track = view.get(PENALTY)
    if weight is None and not len(track):
        yield NotExamined("GD604", State.NOT_EXAMINABLE, "missing-signal", PENALTY.name, PENALTY.name)
        return
    if not view.family.name.startswith("wgan") or view.family.certainty < 0.6:
        yield NotExamined("GD604", State.NOT_EXAMINABLE, "other-family", view.family.name)
        return
    if (clip is not None and clip.value) or (spectral is not None and spectral.value):
        return
    silent = len(track) >= 20 and float(np.max(np.abs(track.values))) < _NOTHING
    off = weight is not None and weight.value == 0
    if not (silent or off):
        return
    first, _ = view.span
    stretch = Stretch(first, (first, first))
    evidence = []
    if off and weight is not None:
        evidence.append(
            Evidence(
                Kind.CONFIGURATION, f"penalty_weight ({weight.source})", 0.0, None, (), view.window(stretch)
            )
        )
    if silent:
        largest = float(np.max(np.abs(track.values)))
        evidence.append(
            Evidence(Kind.GAME, "largest penalty", largest, None, track.tags, view.window(stretch))
        )
    params: dict[str, Param] = {"value": 0.0, "target": 1.0}
    # Without a bound the critic's loss grows, but the samples may stay good: at most a warning.
    yield Finding("GD604", Severity.WARNING, stretch, tuple(evidence[:1]), view.subject("D"), params)


@detector("GD604", needs=(D_LOSS, PENALTY), min_points=40)
def penalty_dominates(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report a penalty that outweighs the rest of D's loss for most of the run.

    Its transient at the start, and a small loss near equilibrium beside a small penalty, are usual: it must
    hold for half of the steps after warm-up, and the penalty must be as large as the equilibrium (or 1).
    A steep D makes a usual weight weigh much: only a weight out of the usual makes it a warning.
    """
    d, penalty = view.blocks(view.game.d), view.blocks(view.get(PENALTY))
    steps, (loss, cost) = view.aligned(d, penalty)
    scale = view.family.best.d_equilibrium if view.family.defined else None
    size = np.maximum(np.abs(loss), scale or 1.0)
    bound, share = limits["dominates"], limits["share"]
    stretch = view.stretch(steps, cost > bound.value * size, share=share.value)
    if stretch is None:
        return
    value = float(np.median((cost / size)[view.inside(stretch, steps)]))
    tags = (*d.tags, *penalty.tags)
    evidence = Evidence(Kind.GAME, "penalty / size of D's loss", value, bound, tags, view.window(stretch))
    params: dict[str, Param] = {"value": value, "target": bound.value}
    weight = view.facts.get("penalty_weight")
    large = (
        weight is not None
        and isinstance(weight.value, int | float)
        and weight.value >= limits["weight"].value
    )
    severity = Severity.WARNING if large else Severity.INFO
    yield Finding("GD604", severity, stretch, (evidence,), view.subject("D"), params)


@detector("GD604", needs=(ANY,), min_points=40)
def weight_out_of_the_usual(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report a penalty weight of the configuration at least ten times the published ones."""
    yield from _heavy(view, limits)


@detector("GD604", needs=(SNAPSHOTS,), min_points=1)
def saved_weight_out_of_the_usual(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """The same for a checkpoint without a log, whose hyperparameters tell the weight; and a critic whose bound is
    switched off there: weight 0 in the family of WGAN, without clipping and without spectral normalisation.
    """
    if view.has(ANY):  # the other detectors look at these
        yield NotExamined("GD604", State.NOT_EXAMINABLE, "missing-signal", PENALTY.name, PENALTY.name)
        return
    yield from _heavy(view, limits)
    family, weight = view.facts.get("family"), view.facts.get("penalty_weight")
    bounded = any(
        (one := view.facts.get(name)) is not None and one.value for name in ("clip_value", "spectral_norm")
    )
    if (
        weight is not None
        and weight.value == 0
        and family is not None
        and "wgan" in str(family.value)
        and not bounded
    ):
        first, _ = view.span
        stretch = Stretch(first, (first, first))
        evidence = Evidence(Kind.CONFIGURATION, f"penalty_weight ({weight.source})", 0.0, None, (),
                            view.window(stretch))  # fmt: skip
        params: dict[str, Param] = {"value": 0.0, "target": 1.0}
        yield Finding("GD604", Severity.WARNING, stretch, (evidence,), view.subject("D"), params)


def _heavy(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    weight = view.facts.get("penalty_weight")
    if weight is None or not isinstance(weight.value, int | float):
        yield NotExamined("GD604", State.NOT_EXAMINABLE, "missing-signal", PENALTY.name, PENALTY.name)
        return
    bound = limits["heavy"]
    if weight.value < bound.value:
        return
    first, _ = view.span
    stretch = Stretch(first, (first, first))
    evidence = Evidence(Kind.CONFIGURATION, f"penalty_weight ({weight.source})", float(weight.value), bound, (),
                        view.window(stretch))  # fmt: skip
    params: dict[str, Param] = {"value": float(weight.value), "target": 10.0}
    yield Finding("GD604", Severity.WARNING, stretch, (evidence,), view.subject("D"), params)
