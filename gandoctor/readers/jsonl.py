"""JSON Lines: one object a line, e.g. {"step": 10, "loss_D": 1.31, "loss_G": 0.72}.

Among them StyleGAN's `stats.jsonl` ({"Loss/G/loss": {"num": 32, "mean": 3.48, "std": 0.89}, …}; its
step is `Progress/kimg`) and `metric-*.jsonl` ({"results": {"fid50k_full": 12.3}, "snapshot_pkl":
"network-snapshot-000040.pkl"}; the step, in kimg, stands in the snapshot's name), BigGAN's and
MMCV's logs. Read in blocks: a file of any length takes the memory of its numbers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from io import RawIOBase
from pathlib import Path, PurePosixPath

import numpy as np
import orjson

from gandoctor.readers.blocks import Block, NewLines, blocks
from gandoctor.readers.columns import counts_steps
from gandoctor.readers.faults import Faults
from gandoctor.readers.head import Head
from gandoctor.readers.names import split_step
from gandoctor.readers.records import CONFIG_KEYS, Record, spread
from gandoctor.readers.tables import Table
from gandoctor.run import LogProblem, RunParts

KIND = "log"
ORDER = 40

_NON_FINITE = {  # the word first, and what stands before it afterwards: the search is much faster
    word: re.compile(word + rb"(?<=[:,\[\s]" + word + rb")(?=[\s,}\]])")
    for word in (b"NaN", b"-Infinity", b"Infinity")
}
_SUFFIXES = (".jsonl", ".ndjson", ".jsonlines")


def sniff(head: Head) -> bool:
    """Say whether the lines of the head are objects, and one of them holds a number besides a step."""
    text = head.text if head.text is not None else head.data.replace(b"\0", b"").decode(errors="replace")
    if "{" not in text[:4096]:
        return False
    named = head.path.suffix.lower() in _SUFFIXES
    lines = text.splitlines()
    if head.size > len(head.data):
        cut = lines.pop()
        if not lines:  # one line longer than the head
            return named and cut.startswith("{")
    lines = [line for line in map(str.strip, lines) if line]
    objects = [line for line in lines if line[0] == "{" and line[-1] == "}"]
    if 2 * len(objects) < len(lines):
        return False
    records = [record for line in objects if isinstance(record := _loads(line.encode()), dict)]
    if 2 * len(records) < len(lines) or not (named or len(records) > 1):
        return False
    return any(_measures(record) for record in records)


def read(path: Path) -> list[RunParts]:
    """Read every number of every line; a bad line is a problem and reading goes on.

    Raises OSError if the file cannot be read.
    """
    faults = Faults(path)
    reading = _Reading(faults)
    for block in blocks(path, faults):
        reading.add(block)
    return reading.parts()


class Following:
    """A file of JSON Lines that grows."""

    def __init__(self, path: Path) -> None:
        faults = Faults(path)
        self._lines, self._reading = NewLines(faults), _Reading(faults)

    def take(self, file: RawIOBase, size: int) -> None:
        """Read the whole lines written since the last time. Raises CannotFollow."""
        for block in self._lines.take(file, size):
            self._reading.add(block)

    def parts(self) -> list[RunParts]:
        """What `read` gives of the whole lines so far."""
        return self._reading.parts()


class _Reading:
    """How far the reading of a file has come."""

    def __init__(self, faults: Faults) -> None:
        self.faults, self.table = faults, Table(faults)
        self.empty = True

    def add(self, block: Block) -> None:
        """Take the objects of some lines."""
        records, numbers = _parse(block, self.faults)
        if b'"snapshot_pkl"' in block.data:
            records, numbers = _at_snapshots(records, numbers, self.faults)
        if records:
            self.empty = False
            spread(self.table, records, np.array(numbers, np.int64))

    def parts(self) -> list[RunParts]:
        """All of it so far."""
        # A configuration on the first line starts nothing again.
        self.table.starts = [start for start in self.table.starts if start.order > 1]
        made = self.table.parts()
        if self.empty:
            made[0].problems.append(LogProblem(self.faults.file, "", "empty", "no line holds an object"))
        return made


def _loads(line: bytes) -> object:
    """The value of a line, or the ValueError that says why it has none. NaN and Infinity are read."""
    try:
        return orjson.loads(line)
    except ValueError:
        try:
            return json.loads(line)
        except ValueError as fault:
            return fault
        except RecursionError:
            return ValueError("nested too deep")


def _quoted(data: bytes) -> bytes:
    """The lines with bare NaN and Infinity as texts, which orjson reads. In a text they make a bad line."""
    for word, pattern in _NON_FINITE.items():
        if word in data:
            data = pattern.sub(b'"' + word + b'"', data)
    return data


def _parse(block: Block, faults: Faults) -> tuple[list[Record], Sequence[int]]:
    """The objects of the lines, and the number of each one's line."""
    lines = _quoted(block.data).split(b"\n")
    ended = not lines[-1]
    lines = lines[:-1] if ended else lines
    try:
        found: list[Record] = list(map(orjson.loads, lines))
        if set(map(type, found)) == {dict}:
            return found, range(block.line, block.line + len(lines))
    except ValueError:  # an empty line, or a bad one
        lines = block.data.split(b"\n")[: len(lines)]
    records, numbers = [], []
    for number, line in enumerate(lines, start=block.line):
        if not line.strip():
            continue
        value = _loads(line)
        if isinstance(value, dict):
            records.append(value)
            numbers.append(number)
        elif isinstance(value, ValueError) and not ended and number == block.line + len(lines) - 1:
            faults.add(f"line {number}", "truncated-tail", "the last line is cut off")
        else:
            why = str(value) if isinstance(value, ValueError) else f"a {type(value).__name__}, not an object"
            faults.add(f"line {number}", "bad-line", why)
    return records, numbers


def _at_snapshots(
    records: Sequence[Record], numbers: Sequence[int], faults: Faults
) -> tuple[list[Record], list[int]]:
    """Give StyleGAN's metrics the step in their snapshot's name; without a name they have no place."""
    placed: list[Record] = []
    rows: list[int] = []
    for number, record in zip(numbers, records, strict=True):
        if "snapshot_pkl" in record and isinstance(record.get("results"), dict):
            snapshot = record["snapshot_pkl"]
            kimg = split_step(PurePosixPath(snapshot).name)[1] if isinstance(snapshot, str) else None
            if kimg is None:
                faults.add(f"line {number}", "no-step", "the metric names no snapshot, so it has no step")
                continue
            record = {"kimg": kimg, "results": record["results"], "timestamp": record.get("timestamp")}
        placed.append(record)
        rows.append(number)
    return placed, rows


def _measures(record: Record) -> bool:
    """Whether a record holds a number that does not count steps, at its top or one level below."""
    if not CONFIG_KEYS.isdisjoint(record) and not any(map(counts_steps, record)):
        return False
    inner = [value for value in record.values() if isinstance(value, dict)]
    return any(
        type(value) in (int, float) and not counts_steps(key)
        for one in [record, *inner]
        for key, value in one.items()
    )
