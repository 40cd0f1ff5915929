"""The raw table of a study: a row a run and logging style, as compressed CSV."""

from __future__ import annotations

import csv
import io
import lzma
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from gandoctor.errors import UserError

Row: TypeAlias = dict[str, Any]

# Lists of codes are separated by spaces. onsets: code:step. findings: code:severity:onset step. scores:
# code:factor (`scores.py`), where it is not 0. features: of the primary (`judge/confidence.py`). seconds:
# of processor time to train, this run's share. "" where it does not apply.
COLUMNS = (
    "configuration", "part", "held", "kind", "family", "data", "fault", "dose", "seed", "steps",
    "tags", "format", "points", "config", "style",
    "outcome", "true", "grey", "false", "onsets", "acceptable", "visible", "cov", "q", "top", "div", "flow", "auc",
    "verdict", "primary", "severity", "confidence", "features", "onset", "findings", "examined", "scores", "peers",
    "runs", "seconds", "diagnosis_seconds", "error",
)  # fmt: skip


def write_table(rows: Iterable[Row], path: Path, columns: Sequence[str] = COLUMNS) -> None:
    """Write the rows as CSV, compressed if the name ends in .xz. The same rows give the same bytes."""
    text = io.StringIO()
    table = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    data = text.getvalue().encode()
    path.write_bytes(lzma.compress(data, preset=9) if path.suffix == ".xz" else data)


def read_table(path: Path, columns: Sequence[str] = COLUMNS) -> list[Row]:
    """The rows of a table, every value as text. Raises UserError if it is none."""
    try:
        data = path.read_bytes()
        text = (lzma.decompress(data) if path.suffix == ".xz" else data).decode()
    except (OSError, lzma.LZMAError, UnicodeDecodeError) as fault:
        raise UserError(f"cannot be read: {fault}", where=str(path)) from fault
    table = csv.DictReader(io.StringIO(text, newline=""))
    if missing := [name for name in columns if name not in (table.fieldnames or ())]:
        raise UserError(f"no table of a study: it lacks {', '.join(missing[:4])}", where=str(path))
    return list(table)
