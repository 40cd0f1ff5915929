"""Opens a tracker's SQLite file without leaving a trace: no -wal, no -shm, no lock, no write.

SQLite, URI filenames: `mode=ro` still makes both files beside a database in WAL mode; `immutable=1` does not, but
passes by what stands in the -wal. Where there is one with something in it, copies of both are read.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import numpy as np

from gandoctor.readers.head import Head
from gandoctor.run import Series, Setting, Unit

MAGIC = b"SQLite format 3\0"
MAX_ROWS = 20_000_000  # 640 MB of numbers
_MAX_TEXT = 1 << 20  # characters of one cell
_STEPS = 20_000_000_000  # of SQLite's machine: minutes; an honest query over `MAX_ROWS` takes fewer


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The database, read-only. Raises OSError or sqlite3.Error."""
    wal = path.with_name(path.name + "-wal")
    copied = wal.is_file() and wal.stat().st_size > 0
    with tempfile.TemporaryDirectory() as place:
        local = os.fspath(path)
        if copied:
            local = str(Path(place) / "copy.db")
            shutil.copyfile(path, local)
            shutil.copyfile(wal, local + "-wal")
        mode = "mode=rw" if copied else "mode=ro&immutable=1"
        base = sqlite3.connect(f"file:{quote(os.path.abspath(local))}?{mode}", uri=True)
        try:
            base.execute("PRAGMA trusted_schema = OFF")
            base.text_factory = lambda data: data[:_MAX_TEXT].decode("utf-8", errors="replace")
            left = _STEPS // 1_000_000
            base.set_progress_handler(_Countdown(left), 1_000_000)
            yield base
        finally:
            base.close()


class _Countdown:
    def __init__(self, left: int) -> None:
        self.left = left

    def __call__(self) -> int:
        self.left -= 1
        return int(self.left < 0)


def has_tables(head: Head, wanted: dict[str, set[str]]) -> bool:
    """Whether a file is a database with these tables, each with these columns."""
    if not head.data.startswith(MAGIC):
        return False
    try:
        with opened(head.path) as base:
            return all(columns <= columns_of(base, table) for table, columns in wanted.items())
    except (OSError, sqlite3.Error):
        return False


def columns_of(base: sqlite3.Connection, table: str) -> set[str]:
    """The columns of a table; none if there is no such table (a view is none). Raises sqlite3.Error."""
    known = base.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)).fetchone()
    return {str(row[1]) for row in base.execute(f'PRAGMA table_info("{table}")')} if known else set()


class Columns:
    """The values of one metric of a run as they come: steps, values, times and write positions."""

    __slots__ = ("orders", "steps", "times", "values")

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.values: list[float] = []
        self.times: list[float] = []
        self.orders: list[int] = []


def series_of(tags: dict[str, Columns], path: Path) -> list[Series]:
    """The series of one run. Where no step was ever given (all are 0) the values of a tag are counted."""
    stepless = all(not any(one.steps) for one in tags.values()) and any(
        len(one.steps) > 1 for one in tags.values()
    )
    made = []
    for tag, one in sorted(tags.items()):
        count = len(one.steps)
        steps = np.arange(count, dtype=np.int64) if stepless else np.array(one.steps, np.int64)
        times = np.array(one.times, np.float64)
        wall = times if np.isfinite(times).all() and times.all() else None
        order = np.array(one.orders, np.int64)
        unit = Unit.RECORD if stepless else Unit.ITERATION
        made.append(Series(tag, steps, np.array(one.values, np.float64), order, path, unit, wall))
    return made


def setting(text: object, path: Path) -> Setting:
    """A parameter, which trackers keep as text."""
    if not isinstance(text, str):
        return Setting(text if isinstance(text, int | float | bool) else None, path)
    said = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in said:
        return Setting(said[text.lower()], path)
    for kind in (int, float):
        try:
            return Setting(kind(text), path)
        except ValueError:
            continue
    return Setting(text, path)


def told_apart(names: dict[str, str]) -> dict[str, str]:
    """The same names by their ids, where several are equal with the beginning of the id."""
    counts: dict[str, int] = {}
    for name in names.values():
        counts[name] = counts.get(name, 0) + 1
    return {own: name if counts[name] == 1 else f"{name} {own[:8]}" for own, name in names.items()}
