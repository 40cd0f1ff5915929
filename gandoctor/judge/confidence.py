"""How likely a finding is right. Made here and nowhere else, from its evidence and a calibration table.

`rules/calibration.toml` holds our working figures, and, once the lab has measured them, a table [lab] beside
them: it counts for the symptoms and loss families that it covers, the working figures, capped, for all others.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from gandoctor.findings import Finding, Kind
from gandoctor.thresholds import rules_folder

FEATURES = ("second_kind", "overwhelming", "to_the_end", "unsure_family")  # what moves the log-odds
SURE_FAMILY = 0.6  # below it the loss family is unsure


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    return tomllib.loads((rules_folder() / "calibration.toml").read_text(encoding="utf-8"))


def source(finding: Finding, family_confidence: float) -> str:
    """Where a finding's confidence comes from: "lab" where the lab's runs cover it, else "prior"."""
    lab = _table().get("lab")
    return "lab" if lab and finding.code in lab["code"] and family_confidence >= SURE_FAMILY else "prior"


def confidence(finding: Finding, family_confidence: float) -> float:
    """The probability, 0 to 1, that a finding is right.

    family_confidence: of the pair's loss family.
    """
    table = _table()
    given = features(finding, family_confidence)
    if source(finding, family_confidence) == "lab":
        lab = table["lab"]
        return round(probability(lab, finding.severity.slug, given, lab["code"][finding.code]), 3)
    made = probability(table, finding.severity.slug, given)
    return round(min(made, table["lab"]["cap"]) if "lab" in table else made, 3)


def features(finding: Finding, family_confidence: float) -> tuple[str, ...]:
    """Which of FEATURES a finding has: unsure_family counts where it rests on the family's scale alone."""
    kinds = {evidence.kind for evidence in finding.evidence}
    has = {
        "second_kind": len(kinds) > 1,
        "overwhelming": finding.overwhelming,
        "to_the_end": finding.stretch.end is None,
        "unsure_family": kinds == {Kind.GAME} and family_confidence < SURE_FAMILY,
    }
    return tuple(name for name in FEATURES if has[name])


def probability(table: Mapping[str, Any], severity: str, given: Iterable[str], offset: float = 0.0) -> float:
    """What a table makes of a severity and features: a logistic model; offset: of the code, in log-odds."""
    base = float(table["severity"][severity])
    odds = math.log(base / (1 - base)) + offset + sum(table["evidence"][name] for name in given)
    return 1 / (1 + math.exp(-odds))
