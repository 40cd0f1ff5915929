"""GD704: an automatic knob that left its range."""

from __future__ import annotations

from collections.abc import Iterator

from gandoctor.detectors import detector
from gandoctor.findings import Evidence, Finding, Kind, Param, Severity
from gandoctor.interpret.view import AUGMENT_P, LOSS_SCALE, RunView
from gandoctor.thresholds import Limits


@detector("GD704", needs=(AUGMENT_P,), min_points=10)
def augmentation_runs_away(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report an adaptive augmentation that climbed past where augmentations leak into the samples."""
    track = view.blocks(view.get(AUGMENT_P))
    bound = limits["augment"]
    stretch = view.stretch(track.steps, track.values >= bound.value, share=0.1)
    if stretch is None or stretch.end is not None:
        return
    value = float(track.values[-1])
    evidence = Evidence(
        Kind.CONFIGURATION, "augmentation probability", value, bound, track.tags, view.window(stretch)
    )
    params: dict[str, Param] = {"knob": "augment", "value": value}
    yield Finding("GD704", Severity.WARNING, stretch, (evidence,), view.subject("D"), params)


@detector("GD704", needs=(LOSS_SCALE,), min_points=10)
def loss_scale_collapses(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report a dynamic loss scale that fell below 1: every step overflows."""
    track = view.get(LOSS_SCALE)
    bound = limits["scale"]
    stretch = view.stretch(track.steps, track.values < bound.value, share=0.1)
    if stretch is None or stretch.end is not None:
        return
    value = float(track.values[-1])
    evidence = Evidence(Kind.CONFIGURATION, "loss scale", value, bound, track.tags, view.window(stretch))
    params: dict[str, Param] = {"knob": "loss_scale", "value": value}
    yield Finding("GD704", Severity.WARNING, stretch, (evidence,), view.subject(), params)
