"""From a study's table to `rules/calibration.toml`: the confidences that gandoctor prints.

A logistic model of whether a primary is right, on the runs of *fit* alone: more evidence never lowers it, and
each symptom has an offset of its own that a penalty holds near 0 where it was seen seldom.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gandoctor.errors import UserError
from gandoctor.judge.confidence import FEATURES, probability
from gandoctor.lab.statistics import fit_logistic
from gandoctor.lab.table import Row

FEWEST = 50  # primaries to fit on
FEWEST_OF_A_CODE = 5  # seen so often, a symptom counts as covered
RIDGE, RIDGE_CODE = 0.1, 1.0  # one is a normal prior with a standard deviation of 1 in log-odds
CAP = 0.8  # no confidence above it where a run lies outside what the lab covers
_SIGNS = {"second_kind": 1, "overwhelming": 1, "to_the_end": 1, "unsure_family": -1}


def judged(rows: Sequence[Row]) -> list[Row]:
    """The rows with a primary that can be called right or wrong.

    Left out: grey outcomes, and grey codes, but for those that count as a right name of an ill run.
    """
    return [
        row for row in rows
        if row["primary"] and not row["error"] and row["outcome"] != "grey"
        and (row["primary"] not in row["grey"].split() or (row["outcome"] == "ill" and right(row)))
    ]  # fmt: skip


def right(row: Row) -> bool:
    """Whether the primary is one that was written down as acceptable before."""
    return row["primary"] in row["acceptable"].split()


def fit(rows: Sequence[Row]) -> dict[str, Any]:
    """The table [lab] from the primaries among `rows`. Raises UserError if they are too few."""
    used = judged(rows)
    if len(used) < FEWEST:
        raise UserError(
            f"{len(used)} primaries to fit a confidence on", hint=f"it takes {FEWEST}: a larger study"
        )
    seen = Counter(row["primary"] for row in used)
    codes = sorted(code for code, times in seen.items() if times >= FEWEST_OF_A_CODE)
    x = np.array([
        [row["severity"] == "error", *(name in row["features"].split() for name in FEATURES),
         *(row["primary"] == code for code in codes)]
        for row in used
    ], float)  # fmt: skip
    y = np.array([right(row) for row in used], float)
    bounds: list[tuple[float | None, float | None]] = [(0, None)]
    bounds += [(0, None) if _SIGNS[name] > 0 else (None, 0) for name in FEATURES]
    bounds += [(None, None)] * len(codes)
    ridge = np.array([RIDGE] * (1 + len(FEATURES)) + [RIDGE_CODE] * len(codes))
    base, error, *weights = fit_logistic(x, y, ridge, bounds).round(3).tolist()
    warning = 1 / (1 + math.exp(-base))
    return {
        "primaries": len(used),
        "configurations": len({row["configuration"] for row in used}),
        "families": sorted({row["family"] for row in used}),
        "cap": CAP,
        "severity": {
            "error": round(1 / (1 + math.exp(-base - error)), 4),
            "warning": round(warning, 4),
            "info": round(min(0.4, warning), 4),
        },
        "evidence": dict(zip(FEATURES, weights, strict=False)),
        "code": dict(zip(codes, weights[len(FEATURES) :], strict=True)),
    }


def predicted(lab: Mapping[str, Any], row: Row) -> float:
    """What the table [lab] gives the primary of a row; its cap for a symptom that it does not cover."""
    offset = lab["code"].get(row["primary"])
    made = probability(lab, row["severity"], row["features"].split(), offset or 0.0)
    return made if offset is not None else min(made, float(lab["cap"]))


def write(lab: Mapping[str, Any], fitted_on: str, path: Path) -> None:
    """Write the table [lab] into a calibration file; its working figures and comments stay."""
    text = path.read_text(encoding="utf-8").split("\n# Measured by the lab", 1)[0].rstrip("\n")
    path.write_text(f"{text}\n\n{as_toml(lab, fitted_on)}", encoding="utf-8")
    tomllib.loads(path.read_text(encoding="utf-8"))


def as_toml(lab: Mapping[str, Any], fitted_on: str) -> str:
    """The table [lab] as TOML."""
    lines = [
        "# Measured by the lab: written by `gandoctor lab calibrate`, not by hand. It counts for the symptoms",
        "# under [lab.code]; all others keep the working figures above, up to the cap.",
        "[lab]",
        f"fitted_on = {json.dumps(fitted_on)}",
        f"primaries = {lab['primaries']}",
        f"configurations = {lab['configurations']}",
        f"families = {json.dumps(lab['families'])}",
        f"cap = {lab['cap']}",
    ]
    for part in ("severity", "evidence", "code"):
        lines += ["", f"[lab.{part}]", *(f"{name} = {value}" for name, value in lab[part].items())]
    return "\n".join(lines) + "\n"
