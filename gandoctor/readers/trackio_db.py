"""Trackio's projects, `PROJECT.db` (SQLite, in WAL mode while it is written).

    metrics(run_id, timestamp, run_name, step, metrics)   metrics: a JSON object, "NaN" and "Infinity" as texts
    configs(run_id or run_name, config, …)                config: a JSON object

Nested objects become names joined with "/". The file is never written to.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from gandoctor.readers._sqlite import MAX_ROWS, Columns, columns_of, has_tables, opened, series_of, told_apart
from gandoctor.readers.faults import Faults
from gandoctor.readers.head import Head
from gandoctor.readers.numbers import to_number
from gandoctor.readers.settings import settings_of
from gandoctor.run import RunParts, Setting

KIND = "log"
ORDER = 14

_MAX_DEPTH = 8


def sniff(head: Head) -> bool:
    """Whether this is a database with Trackio's table of metrics."""
    return has_tables(head, {"metrics": {"run_name", "step", "metrics", "timestamp"}})


def read(path: Path) -> list[RunParts]:
    """Every run of the project. Raises OSError if the file cannot be opened."""
    faults = Faults(path)
    runs: dict[str, dict[str, Columns]] = {}
    names: dict[str, str] = {}
    settings: dict[str, dict[str, Setting]] = {}
    try:
        with opened(path) as base:
            _read_metrics(base, runs, names, faults)
            settings = _configs(base, path, faults)
    except sqlite3.Error as fault:
        faults.add("", "bad-database", f"SQLite says: {fault}")
    labels = told_apart(names)
    made = [
        RunParts(
            label=labels[run],
            series=series_of(runs[run], path),
            settings=settings.get(run) or settings.get(names[run]) or {},
        )
        for run in sorted(runs, key=labels.__getitem__)
    ]
    made = made or [RunParts()]
    made[0].problems += faults.problems()
    return made


def _read_metrics(
    base: sqlite3.Connection, runs: dict[str, dict[str, Columns]], names: dict[str, str], faults: Faults
) -> None:
    known = "run_id" if "run_id" in columns_of(base, "metrics") else "run_name"
    query = (
        f"SELECT coalesce({known}, run_name), run_name, step, timestamp, metrics FROM metrics ORDER BY rowid"
    )
    for order, (run, name, step, time, text) in enumerate(base.execute(query)):
        if order >= MAX_ROWS:
            faults.add("metrics", "too-long", f"only the first {MAX_ROWS:,} rows were read")
            return
        record = _json(text)
        if not isinstance(record, dict) or not isinstance(step, int):
            faults.add(
                f"row {order + 1}",
                "bad-record",
                "a step that is no number, or metrics that are no JSON object",
            )
            continue
        run = str(run)
        names.setdefault(run, str(name))
        tags = runs.setdefault(run, {})
        when = _seconds(time)
        for tag, value in _numbers(record, "", 0):
            one = tags.setdefault(tag, Columns())
            one.steps.append(step)
            one.values.append(value)
            one.times.append(when)
            one.orders.append(order)


def _json(text: object) -> object:
    if isinstance(text, bytes):
        text = text.decode("utf-8", errors="replace")
    try:
        return json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None


def _numbers(record: dict[str, object], prefix: str, depth: int) -> Iterator[tuple[str, float]]:
    """The numbers of a record by their names; media (objects with a "_type") and texts are passed by."""
    for key, value in record.items():
        if isinstance(value, dict):
            if "_type" not in value and depth < _MAX_DEPTH:
                yield from _numbers(value, f"{prefix}{key}/", depth + 1)
            continue
        number = to_number(value) if isinstance(value, str) else value
        if isinstance(number, int | float) and not isinstance(number, bool):
            try:
                yield prefix + key, float(number)
            except OverflowError:
                yield prefix + key, math.copysign(math.inf, number)


def _seconds(time: object) -> float:
    """Trackio writes times as ISO texts."""
    if isinstance(time, int | float):
        return float(time)
    try:
        return datetime.fromisoformat(str(time)).timestamp()
    except (ValueError, OverflowError):
        return math.nan


def _configs(base: sqlite3.Connection, path: Path, faults: Faults) -> dict[str, dict[str, Setting]]:
    """The configuration of each run, by its id or its name; what Trackio adds ("_Username") is left out."""
    columns = columns_of(base, "configs")
    found: dict[str, dict[str, Setting]] = {}
    if "config" not in columns:
        return found
    for known in [name for name in ("run_name", "run_id") if name in columns]:
        for run, text in base.execute(f"SELECT {known}, config FROM configs"):
            tree = _json(text)
            if not isinstance(tree, dict):
                faults.once("configs", "bad-record", "a configuration that is no JSON object")
                continue
            own = {key: value for key, value in tree.items() if not str(key).startswith("_")}
            found[str(run)] = settings_of(own, path)
    return found
