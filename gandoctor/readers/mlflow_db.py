"""MLflow's SQLite store, its default (`mlflow.db`): experiments, runs, metrics, params and tags.

    metrics(key, value, timestamp ms, run_uuid, step, is_nan)   NaN is 0 with is_nan, ±Inf is ±1.797…e308
    params(key, value, run_uuid)   tags(key, value, run_uuid)
    runs(run_uuid, name, experiment_id, lifecycle_stage, …)   experiments(experiment_id, name, …)

A run is called EXPERIMENT/NAME. Deleted runs are passed by. The file is never written to.
"""

from __future__ import annotations

import math
import sqlite3
from pathlib import Path

from gandoctor.readers._sqlite import (
    MAX_ROWS,
    Columns,
    columns_of,
    has_tables,
    opened,
    series_of,
    setting,
    told_apart,
)
from gandoctor.readers.faults import Faults
from gandoctor.readers.head import Head
from gandoctor.run import RunParts, Setting

KIND = "log"
ORDER = 13

_LARGEST = 1.797693134862315e308
_TABLES = {
    "metrics": {"key", "value", "timestamp", "run_uuid", "step", "is_nan"},
    "runs": {"run_uuid", "experiment_id", "lifecycle_stage"},
    "params": {"key", "value", "run_uuid"},
}


def sniff(head: Head) -> bool:
    """Whether this is a database with MLflow's tables."""
    return has_tables(head, _TABLES)


def read(path: Path) -> list[RunParts]:
    """Every run that is not deleted. Raises OSError if the file cannot be opened."""
    faults = Faults(path)
    made: list[RunParts] = []
    try:
        with opened(path) as base:
            made = _runs(base, path, faults)
    except sqlite3.Error as fault:
        faults.add("", "bad-database", f"SQLite says: {fault}")
    made = made or [RunParts()]
    made[0].problems += faults.problems()
    return made


def _runs(base: sqlite3.Connection, path: Path, faults: Faults) -> list[RunParts]:
    names = _names(base)
    metrics: dict[str, dict[str, Columns]] = {run: {} for run in names}
    settings: dict[str, dict[str, Setting]] = {run: {} for run in names}
    try:
        _read_metrics(base, metrics, faults)
    except sqlite3.Error as fault:  # what was read before a damaged page stays
        faults.add("", "bad-database", f"some metrics cannot be read; SQLite says: {fault}")
    for table, prefix in (("params", ""), ("tags", "tags.")):
        if not columns_of(base, table) >= {"key", "value", "run_uuid"}:
            continue
        try:
            for run, key, value in base.execute(f"SELECT run_uuid, key, value FROM {table}"):
                if run in settings and not str(key).startswith("mlflow."):
                    settings[run][f"{prefix}{key}"] = setting(value, path)
        except sqlite3.Error as fault:
            faults.add(table, "bad-database", f"SQLite says: {fault}")
    labels = told_apart(names)
    return [
        RunParts(label=labels[run], series=series_of(metrics[run], path), settings=settings[run])
        for run in sorted(names, key=labels.__getitem__)
        if metrics[run] or settings[run]
    ]


def _names(base: sqlite3.Connection) -> dict[str, str]:
    """Run → EXPERIMENT/NAME."""
    experiments: dict[object, str] = {}
    if columns_of(base, "experiments") >= {"experiment_id", "name"}:
        experiments = dict(base.execute("SELECT experiment_id, name FROM experiments"))
    name = "name" if "name" in columns_of(base, "runs") else "NULL"
    found = base.execute(f"SELECT run_uuid, {name}, experiment_id, lifecycle_stage FROM runs")
    return {
        str(run): f"{experiments.get(experiment, experiment)}/{own or str(run)[:8]}"
        for run, own, experiment, stage in found
        if stage != "deleted"
    }


def _read_metrics(base: sqlite3.Connection, metrics: dict[str, dict[str, Columns]], faults: Faults) -> None:
    rows = base.execute("SELECT run_uuid, key, step, value, timestamp, is_nan FROM metrics ORDER BY rowid")
    for order, (run, key, step, value, time, is_nan) in enumerate(rows):
        if order >= MAX_ROWS:
            faults.add("metrics", "too-long", f"only the first {MAX_ROWS:,} values were read")
            return
        tags = metrics.get(run)
        if tags is None:
            continue
        if not isinstance(step, int) or not isinstance(value, int | float):
            faults.add(f"metric {key}", "bad-value", "a step or value that is no number is left out")
            continue
        one = tags.get(key)
        if one is None:
            one = tags[key] = Columns()
        one.steps.append(step)
        if is_nan:
            value = math.nan
        elif abs(value) >= _LARGEST:
            value = math.copysign(math.inf, value)
        one.values.append(value)
        one.times.append(time / 1000 if isinstance(time, int | float) else math.nan)
        one.orders.append(order)
