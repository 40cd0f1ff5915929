"""GD105: NaN or Inf in a loss, gradient, weight or output; where it began and what came before."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gandoctor.detectors import detector
from gandoctor.findings import Evidence, Finding, Kind, Param, Severity, Stretch
from gandoctor.interpret.view import ANY, RunView
from gandoctor.run import Series
from gandoctor.stats import MAD_TO_SIGMA, Mask, mad
from gandoctor.thresholds import Limits

_KINDS = {
    "loss": Kind.GAME, "score": Kind.GAME, "score_std": Kind.GAME, "grad_norm": Kind.GRADIENTS,
    "weight_norm": Kind.WEIGHTS, "step_norm": Kind.WEIGHTS, "penalty": Kind.GAME, "sample_std": Kind.SAMPLES,
    "probed": Kind.SAMPLES,
}  # fmt: skip


@detector("GD105", needs=(ANY,), min_points=1)
def non_finite(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report the first non-finite value of the run's losses, norms and outputs.

    Not an illness: a gradient norm that is Inf in the odd step under dynamic loss scaling, and a first
    point before the scale has settled (both at most info); a metric that is NaN is GD505.
    """
    sick = []
    for tag, role in view.roles.items():
        one = view.series[tag]
        if role.quantity in _KINDS and len(one) and (bad := ~np.isfinite(one.values)).any():
            sick.append((int(one.steps[np.argmax(bad)]), tag, one, bad))
    if not sick:
        return

    def skips(tag: str, bad: Mask) -> bool:
        """Whether the odd step was skipped for an overflow, as dynamic loss scaling does; the last one too."""
        odd = float(bad.mean()) <= limits["recovers"].value
        return _KINDS[view.roles[tag].quantity] is Kind.GRADIENTS and odd and not bad[-2:].all()

    # The series that ends non-finite tells most, the first of them to do so; else the one that fell ill first.
    ended = [
        (_last_good(one, bad), tag, one, bad) for _, tag, one, bad in sick if bad[-1] and not skips(tag, bad)
    ]
    onset, tag, one, bad = min(ended or sick, key=lambda item: (skips(item[1], item[3]), item[0], item[1]))
    share = float(bad.mean())
    kind = _KINDS[view.roles[tag].quantity]
    forever = bool(ended)
    end = None if forever else int(one.steps[len(bad) - 1 - int(np.argmax(bad[::-1]))])
    before = int(one.steps[max(int(np.searchsorted(one.steps, onset)) - 1, 0)])
    stretch = Stretch(onset, (before, onset), end, share)
    params: dict[str, Param] = {"tag": tag, "share": share}
    if (precursor := _precursor(view, onset)) is not None:
        params["precursor"] = precursor
    evidence = Evidence(kind, "share of points that are not finite", share, limits["recovers"], (tag,),
                        view.window(stretch))  # fmt: skip
    skipped = skips(tag, bad)
    at_start = np.count_nonzero(bad) == 1 and bad[0] and len(bad) > 1
    severity = (
        Severity.ERROR
        if forever and len(bad) > 1
        else Severity.INFO
        if skipped or at_start
        else Severity.WARNING
    )
    if forever and len(bad) == 1:
        severity = Severity.INFO  # one point, and the log ends: nothing can be told
    network = view.roles[tag].network
    subject = view.subject("" if network == "-" else network, tag=tag)
    yield Finding(
        "GD105", severity, stretch, (evidence,), subject, params, overwhelming=severity is Severity.ERROR
    )


def _last_good(one: Series, bad: np.ndarray) -> int:
    """The first step of the non-finite tail."""
    good = np.flatnonzero(~bad)
    at = int(good[-1]) + 1 if len(good) else 0
    return int(one.steps[at])


def _precursor(view: RunView, onset: int) -> str | None:
    """The tag that ran away in the last tenth before the onset, if one did, by its robust z-score."""
    first, _ = view.span
    look_back = onset - max(0.1 * (onset - first), 1)
    worst, found = 8.0, None
    for tag, role in view.roles.items():
        if role.quantity not in ("loss", "grad_norm", "weight_norm", "step_norm"):
            continue
        track = view.track(tag)
        recent = (track.steps >= look_back) & (track.steps < onset)
        earlier = track.steps < look_back
        if np.count_nonzero(earlier) < 8 or not recent.any():
            continue
        calm = track.values[earlier]
        spread = mad(calm) * MAD_TO_SIGMA + 1e-9 * float(np.max(np.abs(calm)))
        score = float(np.max(np.abs(track.values[recent] - np.median(calm)))) / max(spread, 1e-300)
        if score > worst:
            worst, found = score, tag
    return found
