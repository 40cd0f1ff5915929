"""What the cure study tries: ill configurations, the remedies of each, and the order in which it goes on.

A strong injected fault is cured only by undoing it, so the configurations stand at the edge: mild doses, and losses
that are ill by themselves. Whether one is ill, and of what, is measured first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gandoctor.judge.rules import RemedyRule, Rule, applies
from gandoctor.lab.knobs import facts_of, with_remedy
from gandoctor.trainer.config import LogConfig, TrainConfig, baseline
from gandoctor.trainer.faults import configure

FEWEST = 8  # remedies screened on a configuration, where the rules have as many
FINALISTS = 3
ILL = 0.8  # the share of control seeds that must be ill
SHOWN = 0.5  # of those, the share that must show the symptom

# Mechanisms first, then what they lead to: where several hold, the first is what a prescription is for.
PRECEDENCE = (
    "GD105", "GD204", "GD202", "GD201", "GD102", "GD401", "GD402", "GD203", "GD302", "GD101", "GD301", "GD104",
)  # fmt: skip
_LAST = PRECEDENCE[-1]
_QUIET = LogConfig(level="losses", format="csv", points=1, images=0, checkpoints=0, config=False)


@dataclass(frozen=True, slots=True)
class Ill:
    """A configuration that is supposed to be ill. config: seed 0, nothing logged but the losses."""

    name: str
    config: TrainConfig


def _made(name: str, family: str, data: str, fault: str = "", dose: float = 1.0, **changes: Any) -> Ill:
    config = configure(family, data, fault, dose) if fault else baseline(family, data)
    return Ill(name, replace(config, log=_QUIET, **changes))


BARE: dict[str, Any] = {"r1": 0.0, "r2": 0.0}

# Written down before the study; doses by trials of three seeds each.
CONFIGURATIONS = (
    _made("lsgan-bare-glyphs", "lsgan", "glyphs", "bare-loss"),
    _made("ns-bare-glyphs", "ns", "glyphs", "bare-loss"),
    _made("rpgan-bare-glyphs", "rpgan", "glyphs", "bare-loss"),
    _made("ns-fast-d-ring", "ns", "ring8", **BARE, lr_d=6e-3, lr_g=1e-3, d_steps=3, lr_end=1.0),
    _made("ns-small-g-ring", "ns", "ring8", "small-g", latent=2, width_g=6),
    _made("hinge-momentum-ring", "hinge", "ring8", "no-r1-momentum", 0.9),
    _made("ns-momentum-ring", "ns", "ring8", "no-r1-momentum"),
    _made("ns-high-rates-ring", "ns", "ring8", "lr-too-high"),
    _made("minimax-perfect-d-ring", "minimax", "ring8", "d-perfect", 0.5),
    _made("lsgan-perfect-d-ring", "lsgan", "ring8", "d-perfect", 0.6),
    _made("ns-decay-ring", "ns", "ring8", "l2-in-adam", 0.4),
    _made("ns-slow-d-ring", "ns", "ring8", **BARE, lr_d=1.5e-4, lr_end=1.0),
    _made("hinge-slow-d-ring", "hinge", "ring8", lr_d=1.5e-4, lr_end=1.0),
    _made("ns-spectral-ring", "ns", "ring8", r1=0.0, spectral_norm=True),
    _made("ns-slow-g-ring", "ns", "ring8", "g-too-slow", 0.9),
    _made("hinge-slow-g-ring", "hinge", "ring8", "g-too-slow", 0.9),
    _made("lsgan-slow-g-glyphs", "lsgan", "glyphs", "g-too-slow", 0.75),
    _made("ns-noise-ring", "ns", "ring8", "noise-forever", 0.7),
    _made("ns-low-rates-ring", "ns", "ring8", lr_g=5e-5, lr_d=5e-5),
    _made("hinge-dropout-ring", "hinge", "ring8", "dropout-d", dropout=0.6),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Treated:
    """A remedy on a configuration. code: the rule file that it stands in. own: that of the symptom itself."""

    code: str
    id: str
    own: bool
    config: TrainConfig


def symptom_of(truths: Sequence[Mapping[str, Any]]) -> str:
    """What a configuration suffers from, by its control runs: "" where it is not ill enough, or of nothing in the list.

    truths: as in truth.json. What is true by the configuration alone (a rate that is too high) does not count: its
    remedy is to undo it.
    """
    ill = [truth for truth in truths if truth["outcome"] == "ill"]
    if not truths or len(ill) < ILL * len(truths):
        return ""
    for code in PRECEDENCE:
        # Ill of nothing else, at a quality that may still creep up: it has not converged.
        enough = ("true", "grey") if code == _LAST else ("true",)
        shown = sum(truth["codes"].get(code, {}).get("state") in enough for truth in ill)
        if shown >= SHOWN * len(ill):
            return code
    return ""


def remedies_of(ill: Ill, code: str, rules: Mapping[str, Rule]) -> list[Treated]:
    """The remedies to screen, the expert's first: all of the symptom's that apply and that the trainer can make.

    Where these are fewer than FEWEST, remedies of other symptoms join them, in the order of PRECEDENCE: whether a
    remedy is missing in a rule file is worth to know as well.
    """
    found: list[Treated] = []
    facts = facts_of(ill.config)
    seen = {_settings(ill.config)}
    for other in (code, *(one for one in PRECEDENCE if one != code)):
        for remedy in rules[other].remedies:
            if other != code and len(found) >= FEWEST:
                return found
            made = _treated(ill.config, remedy) if applies(remedy, facts) else None
            if made is not None and _settings(made) not in seen:
                seen.add(_settings(made))
                found.append(Treated(other, remedy.id, other == code, made))
    return found


def _treated(config: TrainConfig, remedy: RemedyRule) -> TrainConfig | None:
    try:
        return with_remedy(config, remedy)
    except (TypeError, ValueError):  # a value that this configuration cannot take
        return None


def _settings(config: TrainConfig) -> str:
    return repr(config)


def chosen(screened: Sequence[tuple[Treated, int, int]]) -> list[Treated]:
    """The remedies for the final stage: the best of the symptom's own, and a stranger that beat them all.

    screened: remedy, runs cured, runs in which the symptom was gone, in the expert's order, which breaks ties.
    """
    own = sorted((one for one in screened if one[0].own), key=lambda one: (-one[1], -one[2]))
    best = [one[0] for one in own[:FINALISTS]]
    strangers = sorted((one for one in screened if not one[0].own), key=lambda one: (-one[1], -one[2]))
    most = own[0][1] if own else 0
    if len(best) < FINALISTS:
        best += [one[0] for one in strangers[: FINALISTS - len(best)]]
    elif strangers and strangers[0][1] > most:
        best.append(strangers[0][0])
    return best
