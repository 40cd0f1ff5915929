"""The table of a cure study, a row a run, and the rows of `rules/efficacy.csv` that are made from it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from gandoctor.judge import efficacy
from gandoctor.judge.efficacy import Entry, Tally
from gandoctor.lab.table import Row

TABLE = "cure.csv.xz"
# code: the symptom of the configuration, "" in its controls before it is known. stage: "control", "screen" or
# "final". origin, remedy: the rule file and the remedy in it, "" for a control; own: whether that file is the
# symptom's. later: the outcome after twice the budget. true, grey, false: codes, by truth. seconds: of processor time.
COLUMNS = (
    "configuration", "family", "data", "steps", "code", "split", "stage", "origin", "remedy", "own", "seed",
    "outcome", "later", "true", "grey", "false", "cov", "q", "flow", "seconds", "command", "error",
)  # fmt: skip


def cured(row: Row) -> bool:
    """Whether a run was healthy at the end of the base run's steps."""
    return bool(row["outcome"] == "healthy")


def later_cured(row: Row) -> bool:
    """Whether a run was healthy after twice as many."""
    return bool(row["later"] == "healthy")


def gone(row: Row, code: str) -> bool:
    """Whether a run is clearly free of a symptom, whatever else it has; grey is not gone."""
    return code in str(row["false"]).split()


def done(rows: Iterable[Row]) -> list[Row]:
    """The rows of runs that did not crash."""
    return [row for row in rows if not row["error"]]


def control_of(rows: Iterable[Row], configuration: str, stage: str) -> list[Row]:
    """The control that a stage is compared with: the final one has its own, on the remedies' seeds."""
    stage = "final" if stage == "final" else "control"
    return [
        row
        for row in done(rows)
        if row["configuration"] == configuration and row["stage"] == stage and not row["remedy"]
    ]


def tried(rows: Sequence[Row]) -> Iterator[tuple[Row, list[Row], list[Row]]]:
    """Every remedy on every configuration and stage: a row of it, its runs, and those of its control."""
    keys = ("configuration", "stage", "origin", "remedy")
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in done(rows):
        if row["remedy"]:
            groups.setdefault(tuple(str(row[key]) for key in keys), []).append(row)
    for (configuration, stage, _, _), runs in groups.items():
        control = control_of(rows, configuration, stage)
        if control:
            yield runs[0], runs, control


def tally(runs: Sequence[Row], control: Sequence[Row]) -> Tally:
    """How many were cured, with a remedy and without."""
    return Tally(sum(map(cured, runs)), len(runs), sum(map(cured, control)), len(control))


def entries_of(rows: Sequence[Row]) -> list[Entry]:
    """What `rules/efficacy.csv` would hold of these rows: a symptom's own remedies alone."""
    return [
        Entry(
            row["code"], row["remedy"], row["stage"], row["configuration"], row["split"], tally(runs, control)
        )
        for row, runs, control in tried(rows)
        if str(row["own"]) == "1"
    ]


def write_efficacy(rows: Sequence[Row], path: Path) -> int:
    """Write `efficacy.csv`, sorted by code, stage and remedy, and return the number of rows of the final stage."""
    lines = []
    for row, runs, control in tried(rows):
        if str(row["own"]) != "1":
            continue
        code, final = row["code"], row["stage"] == "final"
        numbers = dict(
            zip(
                ("cured", "tried", "control_cured", "control_tried"),
                tally(runs, control).numbers(),
                strict=True,
            )
        )
        later = {
            "later_cured": sum(map(later_cured, runs)) if final else "",
            "control_later_cured": sum(map(later_cured, control)) if final else "",
            "gone": sum(gone(one, code) for one in runs),
            "control_gone": sum(gone(one, code) for one in control),
        }
        lines.append({name: row.get(name, "") for name in efficacy.COLUMNS} | numbers | later)
    lines.sort(key=lambda line: (line["code"], line["stage"], line["remedy"], line["configuration"]))
    text = io.StringIO()
    table = csv.DictWriter(text, efficacy.COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(lines)
    path.write_text(text.getvalue(), encoding="utf-8")
    return sum(line["stage"] == "final" for line in lines)
