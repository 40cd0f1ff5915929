"""How likely a finding is right. Made here and nowhere else, from its evidence and a calibration table."""

from __future__ import annotations

import math
import tomllib
from functools import lru_cache
from typing import Any

from gandoctor.findings import Finding, Kind
from gandoctor.thresholds import rules_folder


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    return tomllib.loads((rules_folder() / "calibration.toml").read_text(encoding="utf-8"))


def source() -> str:
    """Where the confidence comes from: "prior" until the lab has calibrated it, then "lab"."""
    return str(_table()["source"])


def confidence(finding: Finding, family_confidence: float) -> float:
    """The probability, 0 to 1, that a finding is right.

    family_confidence: of the pair's loss family, for findings that rest on its scale.
    """
    table = _table()
    base = float(table["severity"][finding.severity.slug])
    odds = math.log(base / (1 - base))
    weights = table["evidence"]
    kinds = {evidence.kind for evidence in finding.evidence}
    if len(kinds) > 1:
        odds += weights["second_kind"]
    if finding.overwhelming:
        odds += weights["overwhelming"]
    if finding.stretch.end is None:
        odds += weights["to_the_end"]
    if kinds == {Kind.GAME} and family_confidence < 0.6:
        odds += weights["unsure_family"]
    return round(1 / (1 + math.exp(-odds)), 3)
