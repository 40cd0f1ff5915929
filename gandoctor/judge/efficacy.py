"""How often each remedy cured in the lab, from `rules/efficacy.csv`, and what that says of its lift.

Of several seeds on ill configurations of the reference trainer, so many were healthy at the end of the run; the same
configurations without the change are the control. `gandoctor lab cures` writes the file. A remedy without a row was
not measured.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from gandoctor.errors import UserError
from gandoctor.thresholds import rules_folder

FILE = "efficacy.csv"
# stage: "screen" (few seeds, chooses what is tried further) or "final" (new seeds; only these count).
# split: "rank" or "judge": the first-ranked remedy of the one is judged on the other. later: after twice the
# budget. gone: the symptom absent, whatever else is wrong.
COLUMNS = (
    "code", "remedy", "cured", "tried", "control_cured", "control_tried", "stage", "family", "data", "configuration",
    "split", "later_cured", "control_later_cured", "gone", "control_gone", "command",
)  # fmt: skip
PRIOR = 2.0  # pseudo-runs, at the symptom's mean


@dataclass(frozen=True, slots=True)
class Tally:
    """Runs with a remedy, and without it on the same configurations."""

    cured: int = 0
    tried: int = 0
    control_cured: int = 0
    control_tried: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.cured + other.cured,
            self.tried + other.tried,
            self.control_cured + other.control_cured,
            self.control_tried + other.control_tried,
        )

    def numbers(self) -> tuple[int, int, int, int]:
        """Cured, tried, control cured, control tried."""
        return self.cured, self.tried, self.control_cured, self.control_tried


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the file: a remedy on one configuration."""

    code: str
    remedy: str
    stage: str
    configuration: str
    split: str
    tally: Tally


@dataclass(frozen=True, slots=True)
class Efficacy:
    """All that was measured of one symptom's remedies. means: shares cured with a remedy and without."""

    by_remedy: Mapping[str, Tally]
    means: tuple[float, float] = (0.0, 0.0)

    def lift(self, remedy: str) -> float:
        """The posterior mean of the share cured with the remedy less that without.

        Beta priors of PRIOR pseudo-runs at the symptom's means, so what was not measured stands at their
        difference, among the average.
        """
        tally = self.by_remedy.get(remedy, Tally())
        with_it = (tally.cured + PRIOR * self.means[0]) / (tally.tried + PRIOR)
        without = (tally.control_cured + PRIOR * self.means[1]) / (tally.control_tried + PRIOR)
        return with_it - without


NOTHING = Efficacy({})


def efficacy_of(entries: Iterable[Entry]) -> dict[str, Efficacy]:
    """Pool the final rows of each symptom. A control that serves several remedies counts once in the mean."""
    found: dict[str, Efficacy] = {}
    final = [entry for entry in entries if entry.stage == "final"]
    for code in dict.fromkeys(entry.code for entry in final):
        by_remedy: dict[str, Tally] = {}
        controls: dict[str, Tally] = {}
        for entry in (one for one in final if one.code == code):
            by_remedy[entry.remedy] = by_remedy.get(entry.remedy, Tally()) + entry.tally
            controls[entry.configuration] = replace(entry.tally, cured=0, tried=0)
        treated, control = sum(by_remedy.values(), Tally()), sum(controls.values(), Tally())
        means = treated.cured / treated.tried, control.control_cured / control.control_tried
        found[code] = Efficacy(by_remedy, means)
    return found


@lru_cache(maxsize=1)
def measured() -> Mapping[str, Efficacy]:
    """What the lab measured, by code; a code that is not there was not measured."""
    return efficacy_of(read_entries(rules_folder() / FILE))


def read_entries(path: Path) -> list[Entry]:
    """The rows of an efficacy file. Raises UserError that names the line and what is wrong in it."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        raise UserError(f"cannot be read: {fault}", where=str(path)) from fault
    table = csv.DictReader(lines)
    if missing := [name for name in COLUMNS if name not in (table.fieldnames or ())]:
        raise UserError(f"it lacks the columns {', '.join(missing)}", where=str(path))
    return [_entry(row, f"{path}: line {table.line_num}") for row in table]


def _entry(row: Mapping[str, str], where: str) -> Entry:
    try:
        tally = Tally(*(int(row[name]) for name in ("cured", "tried", "control_cured", "control_tried")))
    except (TypeError, ValueError) as fault:
        raise UserError("a count is no whole number", where=where) from fault
    sane = 0 <= tally.cured <= tally.tried and 0 <= tally.control_cured <= tally.control_tried
    if not sane or not tally.tried or not tally.control_tried:
        raise UserError("more runs were cured than tried, or none was tried", where=where)
    if row["stage"] not in ("screen", "final"):
        raise UserError(f"'{row['stage']}' is no stage", where=where, hint="screen or final")
    return Entry(row["code"], row["remedy"], row["stage"], row["configuration"], row["split"], tally)
