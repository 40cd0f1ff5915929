"""The rows of a fleet as a Parquet data set: `runs`, `findings` and `units`, in 16 partitions each.

    FOLDER/runs/bucket=7/part.parquet       a row a run, sorted by path; the same rows whoever worked in what order
    FOLDER/findings/bucket=7/part.parquet   a row a finding
    FOLDER/units/bucket=7/part.parquet      what was read, by which version, at what cost: the key to go on by
    FOLDER/journal/000001.*.parquet         what was read since, written as it comes; then settled into the above

A unit's rows are in the set once. Whatever kills the process: a journal counts when its `units` file is there, which
is renamed into its place last; to settle a journal twice gives what settling it once gives.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gandoctor.errors import UserError
from gandoctor.fleets.units import Unit
from gandoctor.fleets.work import Result, Row
from gandoctor.interpret.facts import FACTS

BUCKETS = 16
_FLUSH = 1_000  # units in a journal
_SETTLE = 50_000  # units in all journals: more would not stay in memory
TABLES = ("findings", "runs", "units")  # units last: it makes a journal count

Hashes = npt.NDArray[np.uint64]


def hash_of(text: str) -> int:
    """64 bits of a text, the same in every process."""
    return int.from_bytes(
        hashlib.blake2b(text.encode("utf-8", "backslashreplace"), digest_size=8).digest(), "little"
    )


def need_arrow() -> None:
    """Raises UserError if pyarrow is missing."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise UserError("a fleet needs pyarrow", hint='pip install "gandoctor[fleet]"') from None


@lru_cache(maxsize=1)
def schemas() -> dict[str, Any]:
    """The schema of each table."""
    import pyarrow as pa

    kinds = {"number": pa.float64(), "integer": pa.float64(), "flag": pa.bool_(), "word": pa.string()}
    text, whole, real = pa.string(), pa.int64(), pa.float64()
    runs = {
        "unit": text, "path": text, "name": text, "verdict": text, "error": text, "primary": text,
        "severity": text, "confidence": real, "onset_step": whole, "onset_fraction": real, "known_at_step": whole,
        "family": text, "step_unit": text, "first_step": whole, "last_step": whole, "scalars": whole, "tags": whole,
        "files": whole, "problems": whole, "ended": pa.timestamp("ms", "UTC"), "ended_by": text, "settings": text,
    } | {f"fact_{name}": kinds[fact.kind] for name, fact in FACTS.items()}  # fmt: skip
    findings = {
        "unit": text, "path": text, "name": text, "id": text, "code": text, "severity": text, "confidence": real,
        "primary": pa.bool_(), "onset_step": whole, "end_step": whole, "network": text, "pair": text, "layer": text,
        "tag": text, "statistic": text, "value": real, "threshold": real,
    }  # fmt: skip
    units = {"unit": text, "stamp": text, "version": text, "runs": whole, "size": whole, "error": text,
             "seconds": real, "fetched": whole}  # fmt: skip
    return {"runs": pa.schema(runs), "findings": pa.schema(findings), "units": pa.schema(units)}


class Table:
    """The data set in a folder, and the journals that are not in it yet. Raises UserError if it cannot be written."""

    def __init__(self, folder: Path, version: str) -> None:
        need_arrow()
        self.folder, self._version = folder, version
        self._journal = folder / "journal"
        try:
            self._journal.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise UserError(f"cannot be written: {fault.strerror or fault}", where=str(folder)) from fault
        self._rows: dict[str, list[Row]] = {name: [] for name in TABLES}
        self._number = 0
        self._held = 0
        for path in sorted(self._journal.iterdir()):
            number = int(path.name.partition(".")[0]) if path.name[:1].isdigit() else 0
            self._number = max(self._number, number)
            if path.name.endswith(".tmp") or not self._file(number, "units").exists():
                path.unlink()  # of a flush that was cut short
        if any(self._journal.iterdir()):
            self.settle()  # what a killed pass left

    def known(self, again: bool) -> tuple[Hashes, Hashes]:
        """The units in the set, and what each was when it was read: uint64 (n,), sorted by the first.

        again: leave out those that ran out of time, or whose process died.
        """
        import pyarrow.compute as pc

        keys: list[int] = []
        states: list[int] = []
        for bucket in range(BUCKETS):
            table = self._bucket("units", bucket)
            if again:
                table = table.filter(pc.equal(table["error"], ""))
            for unit, stamp, version in zip(
                *(table[name].to_pylist() for name in ("unit", "stamp", "version")), strict=True
            ):
                keys.append(hash_of(unit))
                states.append(hash_of(f"{stamp} {version}"))
        order = np.argsort(np.array(keys, np.uint64), kind="stable")
        return np.array(keys, np.uint64)[order], np.array(states, np.uint64)[order]

    def state_of(self, unit: Unit) -> int:
        """What a unit is now."""
        return hash_of(f"{unit.stamp} {self._version}")

    def add(self, results: Iterable[Result]) -> None:
        """Take results; now and then they are written."""
        for one in results:
            self._rows["runs"] += one.runs
            self._rows["findings"] += one.findings
            self._rows["units"].append(
                {
                    "unit": one.unit.key.encode("utf-8", "backslashreplace").decode(),
                    "stamp": one.unit.stamp,
                    "version": self._version,
                    "runs": len(one.runs),
                    "size": one.unit.size,
                    "error": one.error,
                    "seconds": one.seconds,
                    "fetched": one.fetched,
                }
            )
        if len(self._rows["units"]) >= _FLUSH:
            self.flush()
            if self._held >= _SETTLE:
                self.settle()

    def flush(self) -> None:
        """Write what was taken to a journal."""
        if not self._rows["units"]:
            return
        self._number += 1
        self._held += len(self._rows["units"])
        for name in TABLES:
            self._write(self._table(name, self._rows[name]), self._file(self._number, name))
            self._rows[name] = []

    def settle(self, gone: Sequence[str] = ()) -> None:
        """Put the journals into the set, in place of what it has of their units. gone: units to drop."""
        import pyarrow as pa
        import pyarrow.compute as pc

        self.flush()
        numbers = sorted({int(path.name.partition(".")[0]) for path in self._journal.glob("*.units.parquet")})
        if not numbers and not gone:
            return
        latest: dict[str, int] = {}  # the last journal that has a unit
        for number in numbers:
            latest.update(
                dict.fromkeys(self._read(self._file(number, "units"), "units")["unit"].to_pylist(), number)
            )
        fresh: dict[str, Any] = {}
        for name in TABLES:
            parts = []
            for number in numbers:
                table = self._read(self._file(number, name), name)
                mine = pa.array([latest[unit] == number for unit in table["unit"].to_pylist()], pa.bool_())
                parts.append(table.filter(mine))
            fresh[name] = pa.concat_tables([schemas()[name].empty_table(), *parts])
        changed = pa.array([*latest, *gone], pa.string())
        for bucket in range(BUCKETS):
            for name in TABLES:
                old = self._bucket(name, bucket)
                own = pa.array(
                    [bucket_of(unit) == bucket for unit in fresh[name]["unit"].to_pylist()], pa.bool_()
                )
                kept = old.filter(pc.invert(pc.is_in(old["unit"], value_set=changed)))
                added = fresh[name].filter(own)
                table = pa.concat_tables([kept, added])
                order = ("unit",) if name == "units" else ("path", "name", "id")
                columns = [(column, "ascending") for column in order if column in table.column_names]
                place = self.folder / name / f"bucket={bucket}" / "part.parquet"
                first = (
                    bucket == 0 and not place.exists()
                )  # so that every table can be read, with rows or without
                if not len(added) and len(kept) == len(old) and not first:
                    continue
                self._write(table.sort_by(columns), place)
        shutil.rmtree(self._journal)
        self._journal.mkdir()
        self._held = 0

    def units_below(self, roots: Sequence[str]) -> Iterable[str]:
        """The units in the set at or below some places."""
        for bucket in range(BUCKETS):
            for unit in self._bucket("units", bucket)["unit"].to_pylist():
                if any(unit == root or unit.startswith(root.rstrip("/") + "/") for root in roots):
                    yield unit

    def _bucket(self, name: str, bucket: int) -> Any:
        return self._read(self.folder / name / f"bucket={bucket}" / "part.parquet", name)

    def _read(self, path: Path, name: str) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = schemas()[name]
        if not path.exists():
            return schema.empty_table()
        try:
            table = pq.ParquetFile(path).read()
            return pa.Table.from_arrays(
                [
                    table[one.name].cast(one.type)
                    if one.name in table.column_names
                    else pa.nulls(len(table), one.type)
                    for one in schema
                ],
                schema=schema,
            )
        except (OSError, pa.ArrowException) as fault:
            raise UserError(f"no Parquet file of ours: {fault}"[:300], where=str(path)) from fault

    def _table(self, name: str, rows: list[Row]) -> Any:
        import pyarrow as pa

        schema = schemas()[name]
        columns = []
        for one in schema:
            values: list[Any] = [row.get(one.name) for row in rows]
            if one.name == "ended":
                values = [None if value is None else round(1000 * value) for value in values]
            columns.append(pa.array(values, one.type))
        return pa.Table.from_arrays(columns, schema=schema)

    def _file(self, number: int, name: str) -> Path:
        return self._journal / f"{number:06d}.{name}.parquet"

    def _write(self, table: Any, path: Path) -> None:
        """Write a file; it is there whole or not at all."""
        import pyarrow.parquet as pq

        temporary = path.with_name(path.name + ".tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, temporary, compression="zstd")
            os.replace(temporary, path)
        except OSError as fault:
            raise UserError(f"cannot be written: {fault.strerror or fault}", where=str(path)) from fault


def bucket_of(unit: str) -> int:
    """The partition of a unit."""
    return hash_of(unit) % BUCKETS
