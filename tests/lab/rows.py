"""Rows of a study's table, made up; and a worker that dies."""

from __future__ import annotations

import os
from pathlib import Path

from gandoctor.lab.design import Configuration
from gandoctor.lab.styles import STYLES
from gandoctor.lab.table import COLUMNS, Row


def row(**values: object) -> Row:
    """An ill run whose primary is right, as `read_table` gives it, unless `values` say otherwise."""
    first = dict.fromkeys(COLUMNS, "") | {
        "configuration": "c1", "part": "test", "kind": "full", "family": "ns", "data": "ring8", "fault": "d-perfect",
        "dose": "1.0", "seed": "5000", "steps": "3000", "tags": "plain", "format": "csv", "points": "200",
        "config": "0", "style": "norms", "outcome": "ill", "true": "GD201", "false": "GD101 GD401", "onsets": "GD201:300",
        "acceptable": "GD201 GD301", "visible": "1", "verdict": "failing", "primary": "GD201", "severity": "error",
        "confidence": "0.9", "features": "second_kind to_the_end", "onset": "360", "findings": "GD201:error:360",
        "examined": "GD101 GD201", "scores": "GD201:1.25", "peers": "d-zero stagnation", "runs": "1", "seconds": "2.0",
        "diagnosis_seconds": "0.1",
    }  # fmt: skip
    return first | {name: str(value) for name, value in values.items()}


def healthy(**values: object) -> Row:
    """A healthy run without a fault, of which nothing is said."""
    quiet = {
        "kind": "healthy", "fault": "", "outcome": "healthy", "true": "", "false": "GD101 GD201 GD401", "onsets": "",
        "acceptable": "", "visible": "0", "verdict": "healthy", "primary": "", "severity": "", "confidence": "",
        "features": "", "onset": "", "findings": "", "scores": "", "peers": "stagnation",
    }  # fmt: skip
    return row(**quiet | values)


def in_every_style(one: Row) -> list[Row]:
    """The same in every logging style."""
    return [one | {"style": style.name} for style in STYLES]


def die(one: Configuration, part: str, place: Path | None, keep: bool) -> list[Row]:
    """Train nothing: the first configuration kills its process, the others give a row."""
    if one.runs[0].seed == 700:
        os._exit(9)
    return [{"configuration": one.id, "seed": one.runs[0].seed}]
