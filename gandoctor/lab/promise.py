"""The promise, per run: at most a share ALPHA of healthy runs is called ill, by conformal ranks.

Source: Vovk et al. 2005, Algorithmic Learning in a Random World. It holds for runs exchangeable with the lab's.
"""

from __future__ import annotations

import json
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gandoctor.lab.scores import FACTORS, scaled
from gandoctor.lab.statistics import Array, alarm_threshold, level_band, rank_score
from gandoctor.lab.table import Row
from gandoctor.thresholds import limits

ALPHA = 0.03  # of healthy runs, at most, are called ill
FEWEST_OF_A_FAMILY = 20  # healthy runs of *fit*, for ranks within a family
_MARK = "# Measured by the lab"


def clean(row: Row) -> bool:
    """Whether a run is healthy with no true mechanism: whatever is said of it is a false alarm."""
    return bool(row["outcome"] == "healthy" and not row["true"])


def scores_of(row: Row) -> dict[str, float]:
    """The score of each code that was examined."""
    given = {code: float(value) for code, value in (one.split(":") for one in row["scores"].split())}
    return {code: given.get(code, 0.0) for code in row["examined"].split()}


class Ranks:
    """Rank scores against the healthy runs of *fit*, in one style: a run's is the largest over its codes."""

    def __init__(self, fit: Sequence[Row]) -> None:
        self.by: dict[tuple[str, str], Array] = {}
        healthy = [row for row in fit if clean(row)]
        values: dict[tuple[str, str], list[float]] = defaultdict(list)
        for row in healthy:
            for code, score in scores_of(row).items():
                values[code, ""].append(score)
                values[code, row["family"]].append(score)
        for key, scores in values.items():
            if not key[1] or len(scores) >= FEWEST_OF_A_FAMILY:
                self.by[key] = np.array(scores)

    def of(self, row: Row) -> float:
        """The largest rank score over the codes that were examined; ranks within the family where it has enough."""
        ranks = [
            rank_score(score, self.by.get((code, row["family"]), self.by[code, ""]))
            for code, score in scores_of(row).items()
            if score > 0 and (code, "") in self.by
        ]
        return max(ranks, default=0.0)

    def allowed(self, limit: float) -> dict[str, float]:
        """The least factor of each code whose rank is over a limit; codes that no factor brings there are left out."""
        least = {}
        for (code, family), healthy in self.by.items():
            over = [factor for factor in FACTORS if not family and rank_score(factor, healthy) > limit]
            if over:
                least[code] = min(over)
        return least


@dataclass(frozen=True, slots=True)
class Promise:
    """Of one logging style. healthy: runs of *calibrate*, one a configuration. limit: None where they are too few.

    band: 5-95% of the level that the limit really has. allowed: `Ranks.allowed`.
    """

    ranks: Ranks
    healthy: int
    limit: float | None
    band: tuple[float, float]
    allowed: Mapping[str, float]


def promise(rows: Sequence[Row]) -> Promise:
    """The promise from the rows of one logging style, of *fit* and *calibrate*."""
    ranks = Ranks([row for row in rows if row["part"] == "fit"])
    first: dict[str, Row] = {}
    for row in (row for row in rows if row["part"] == "calibrate" and clean(row)):
        first.setdefault(row["configuration"], row)  # runs of one configuration are not exchangeable
    limit = alarm_threshold([ranks.of(row) for row in first.values()], ALPHA)
    allowed = {} if limit is None else ranks.allowed(limit)
    return Promise(ranks, len(first), limit, level_band(len(first), ALPHA), allowed)


def write(rows: Sequence[Row], fitted_on: str, path: Path) -> dict[str, float]:
    """Write into a file of thresholds by how much each must be stricter for the promise to hold in every style.

    rows: usable ones, of every style, diagnosed with the thresholds of that file. Returns threshold → factor.
    """
    promises = {style: promise([row for row in rows if row["style"] == style])
                for style in dict.fromkeys(row["style"] for row in rows)}  # fmt: skip
    least: dict[str, float] = {}
    for made in promises.values():
        for code, factor in made.allowed.items():
            least[code] = max(least.get(code, 0.0), factor)
    text = path.read_text(encoding="utf-8")
    standing: Mapping[str, float] = tomllib.loads(text).get("lab", {}).get("factors", {})
    factors = {name: float(factor) for name, factor in standing.items()}
    for code, factor in least.items():
        if factor > 1:
            for name, value in scaled(code, factor).items():
                now = limits(code)[name.partition(".")[2]].value
                if now:
                    factors[name] = round(factors.get(name, 1.0) * value / now, 4)
    lines = [
        f"{_MARK}: written by `gandoctor lab calibrate`, not by hand. At most {ALPHA:.0%} of healthy runs are called",
        "# ill, by the healthy configurations of part calibrate; for it the thresholds below are multiplied.",
        "[lab]",
        f"fitted_on = {json.dumps(fitted_on)}",
        f"alpha = {ALPHA}",
        "",
        "[lab.healthy]",
        *(f"{style} = {made.healthy}" for style, made in promises.items()),
        "",
        "[lab.factors]",
        *(f"{json.dumps(name)} = {factor}" for name, factor in sorted(factors.items())),
    ]
    path.write_text(
        text.split(f"\n{_MARK}", 1)[0].rstrip("\n") + "\n\n" + "\n".join(lines) + "\n", encoding="utf-8"
    )
    return factors
