"""How strongly a run shows each symptom, also where its detector is silent.

The score of a code is the largest factor of FACTORS by which its thresholds can be tightened, or need not be
loosened, and one of its detectors still warns: 1 is just enough today, 0.5 a run that would be called ill with
thresholds half as strict, 0 one that not even then would. The order of runs by score needs no new detector,
and a threshold on it is a threshold on all of a code's numbers at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from gandoctor.detectors import Detector, all_detectors, run_detector
from gandoctor.findings import Finding, Severity
from gandoctor.interpret.view import RunView
from gandoctor.thresholds import limits

FACTORS = (0.5, 0.63, 0.8, 0.9, 1.0, 1.1, 1.25, 1.6, 2.0, 2.5, 4.0)

# Thresholds that a value must pass upwards, and downwards, to count as ill. All others (how long a stretch must
# be, what tells one symptom from another) stay as they are.
UPWARDS = {
    "GD101": ("growth", "effect", "level"),
    "GD102": ("bursts", "peak", "other", "other_images", "wander", "beside_bursts", "burst"),
    "GD103": ("height", "factor"),
    "GD201": (
        "won", "starved", "share", "hungry", "late", "famished", "leading", "perfect", "saturated", "pair_accuracy",
        "pair_certain", "real_probability", "accuracy",
    ),
    "GD202": ("share", "inverted", "wander", "beside_bursts", "burst"),
    "GD203": ("signs", "gap", "drift", "share"),
    "GD302": ("growth", "share"),
    "GD303": ("dead",),
    "GD404": ("jump", "share"),
    "GD501": ("lattice", "peak"),
    "GD503": ("share",),
    "GD504": ("lost", "relative"),
    "GD601": ("growth",),
    "GD602": ("growth", "excess"),
    "GD603": ("share",),
    "GD604": ("heavy", "weight", "dominates", "share"),
    "GD605": ("wild",),
    "GD606": ("variance", "empty"),
    "GD701": ("jensen", "share"),
    "GD702": ("beyond", "apart"),
    "GD703": ("apart", "high", "sweep", "jump"),
}  # fmt: skip
DOWNWARDS = {
    "GD104": ("still",),
    "GD201": ("fake_probability",),
    "GD204": ("still",),
    "GD301": ("low", "floor", "depth", "fades"),
    "GD401": ("suspect", "spread", "samples", "certain", "fallen", "alike", "alike_points", "low"),
    "GD402": ("spread", "samples", "grid", "low", "nearer", "fallen"),
    "GD502": ("smooth",),
    "GD605": ("still", "frozen"),
    "GD703": ("low",),
}


@lru_cache(maxsize=1_024)
def scaled(code: str, factor: float) -> dict[str, float]:
    """The thresholds of a code, stricter by a factor over 1, looser by one under 1."""
    known = limits(code)
    up = {f"{code}.{name}": known[name].value * factor for name in UPWARDS.get(code, ()) if name in known}
    down = {f"{code}.{name}": known[name].value / factor for name in DOWNWARDS.get(code, ()) if name in known}
    return up | down


def scores(views: Sequence[RunView], codes: Sequence[str]) -> dict[str, float]:
    """The score of each code. Codes without a threshold that moves score 1 if they fire and 0 if not."""
    detectors: dict[str, list[Detector]] = {code: [] for code in codes}
    for one in all_detectors():
        if one.code in detectors:
            detectors[one.code].append(one)
    return {code: _score(code, views, mine) for code, mine in detectors.items()}


def _score(code: str, views: Sequence[RunView], detectors: Sequence[Detector]) -> float:
    def fires(factor: float) -> bool:
        overrides = scaled(code, factor)
        return any(
            isinstance(said, Finding) and said.severity >= Severity.WARNING
            for view in views
            for one in detectors
            for said in run_detector(one, view, overrides)
        )

    now = fires(1.0)
    if not scaled(code, 1.0):
        return float(now)
    if now:
        best = 1.0
        for factor in (factor for factor in FACTORS if factor > 1):
            if not fires(factor):
                break
            best = factor
        return best
    looser = sorted(factor for factor in FACTORS if factor < 1)
    best = 0.0
    for factor in looser:  # the loosest first: mostly that is silent too, and the search ends
        if not fires(factor):
            break
        best = factor
    return best
