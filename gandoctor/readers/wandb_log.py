"""Weights & Biases runs: `run-ID.wandb`, as written off-line or beside an on-line run.

The file is a log of records in blocks of 32,768 bytes, counted from its first byte:

    :W&B e1 be 00
    u32le crc (zlib's, of type and data) · u16le length · u8 type (1 whole, 2 first, 3 middle, 4 last) · data

A record is a protobuf message `Record` of wandb's `wandb_internal.proto`; its values are JSON texts.
Runs that live or were killed end within a record; damage costs the rest of a block. Where a run
logged no number, its console output is read like a text log.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, TypeAlias

import numpy as np

from gandoctor.readers.columns import Columns
from gandoctor.readers.faults import Faults
from gandoctor.readers.head import Head
from gandoctor.readers.settings import settings_of
from gandoctor.readers.text import parts_of
from gandoctor.run import Histogram, ImageGrid, RunParts, Values

KIND = "log"
ORDER = 10

_MAGIC = b":W&B\xe1\xbe\x00"
_BLOCK = 32_768
_CHUNK = struct.Struct("<IHB")  # crc, length, type
_DAMAGE, _WHOLE, _FIRST, _LAST = 0, 1, 2, 4  # 3: a part between first and last
_MAX_RECORD = 256 << 20
_MAX_OUTPUT = 64 << 20  # characters
_MAX_DEPTH = 8  # of nested metrics

# Field numbers: of Record, ...
_HISTORY, _OUTPUT, _CONFIG, _METRIC, _OUTPUT_RAW, _RUN = 2, 4, 5, 12, 13, 17
# ... RunRecord, HistoryRecord and ConfigRecord, their items, OutputRecord and MetricRecord.
_RUN_CONFIG, _ITEM, _HISTORY_STEP = 4, 1, 2
_KEY, _NESTED_KEY, _VALUE_JSON = 1, 2, 16
_LINE = 3
_METRIC_NAME, _METRIC_GLOB, _STEP_METRIC = 1, 2, 4

_STEP = "_step"
_DECLARED = (
    "define_metric/global_step"  # our name for the column that `define_metric("*", step_metric=…)` names
)
_OWN = frozenset({_STEP, _DECLARED, "_runtime", "_timestamp"})

Tree: TypeAlias = dict[str, object]


def sniff(head: Head) -> bool:
    """Whether the file begins as a W&B log does."""
    return head.data.startswith(_MAGIC)


def read(path: Path) -> list[RunParts]:
    """Read history, configuration and references to media; without history, the console output."""
    run = _Run(path, Faults(path))
    with path.open("rb") as file:
        for order, record in enumerate(_records(file, run.faults)):
            try:
                run.take(order, record)
            except ValueError as fault:
                run.faults.add(f"byte {record.offset}", "bad-record", str(fault))
    parts = run.parts()
    text = "" if parts.series else run.text()
    if not text.strip():
        return [parts]
    told = parts_of(text, path) or [RunParts()]
    for one in told:
        one.settings = {**one.settings, **parts.settings}
    told[0].images += parts.images
    told[0].histograms += parts.histograms
    told[0].problems += parts.problems
    return told


def read_histograms(
    source: Path, offset: int, tags: Iterable[str]
) -> dict[str, tuple[Values, Values] | ValueError]:
    """The histograms in the record at a byte: tag → edges (k + 1,) and counts (k,), or why there are none.

    Raises OSError if the file is gone.
    """
    with source.open("rb") as file:
        record = next(_records(file, Faults(source), offset), None)
    held: dict[str, object] = {}
    try:
        for history in [] if record is None else _messages(record.data, _HISTORY):
            held.update(_leaves(_items(history, _logged, Faults(source), ""), _MAX_DEPTH))
    except ValueError:
        pass  # none of it can be read: each tag says so below
    found: dict[str, tuple[Values, Values] | ValueError] = {}
    for tag in tags:
        try:
            found[tag] = _edges_and_counts(held.get(tag))
        except ValueError as fault:
            found[tag] = fault
    return found


def _edges_and_counts(found: object) -> tuple[Values, Values]:
    """A histogram as W&B logs it. Raises ValueError."""
    if not isinstance(found, dict):
        raise ValueError("the file no longer holds this histogram")
    counts, bins, packed = _column(found.get("values")), found.get("bins"), found.get("packedBins")
    if isinstance(packed, dict):
        even = _column([packed.get(name) for name in ("min", "size", "count")])
        fits = len(even) == 3 and even[2] == len(counts)
        edges = even[0] + even[1] * np.arange(len(counts) + 1) if fits else np.empty(0)
    else:
        edges = _column(bins)
    if len(edges) != len(counts) + 1:
        raise ValueError(f"a histogram with {len(edges)} edges for {len(counts)} counts")
    return edges, counts


def _column(values: object) -> Values:
    """A list of numbers as float64 (n,), empty if it is none."""
    good = isinstance(values, list) and all(isinstance(value, int | float) for value in values)
    try:
        return np.array(values if good else [], np.float64)
    except OverflowError:  # an integer beyond all floats
        return np.empty(0)


# -- Blocks to records.


@dataclass(frozen=True, slots=True)
class _Record:
    """A record: its bytes, and where in the file its chunks begin and end."""

    data: bytes
    offset: int
    end: int


def _records(file: IO[bytes], faults: Faults, start: int = len(_MAGIC)) -> Iterator[_Record]:
    """The records from byte `start` on, where a chunk begins. Skips what is damaged and says so."""
    pending: list[bytes] = []
    begun, held = -1, 0  # where the pending record began, below 0: none; its bytes so far
    for offset, kind, data in _chunks(file, faults, start):
        if begun >= 0 and (kind in (_WHOLE, _FIRST, _DAMAGE) or held > _MAX_RECORD):
            faults.add(
                f"byte {begun}", "corrupt-record", "a record that does not end, or never ends, is skipped"
            )
            begun = -1
        if kind in (_WHOLE, _FIRST):
            begun, held, pending = offset, 0, []
        if begun < 0:
            continue  # damage, or what is left of a record behind it
        pending.append(data)
        held += len(data)
        if kind in (_WHOLE, _LAST):
            yield _Record(b"".join(pending), begun, offset + _CHUNK.size + len(data))
            begun = -1
    if begun >= 0:
        faults.add(f"byte {begun}", "truncated", "the file ends within a record")


def _chunks(file: IO[bytes], faults: Faults, start: int) -> Iterator[tuple[int, int, bytes]]:
    """The chunks as (offset, type, data); type 0 where the rest of a block is damaged."""
    base, at = start - start % _BLOCK, start % _BLOCK
    file.seek(base)
    while block := file.read(_BLOCK):
        while at + _CHUNK.size <= len(block):
            crc, length, kind = _CHUNK.unpack_from(block, at)
            end = at + _CHUNK.size + length
            if end > len(block) and len(block) < _BLOCK:
                faults.add(f"byte {base + at}", "truncated", "the file ends within a record")
                return
            if end > len(block) or not _WHOLE <= kind <= _LAST or zlib.crc32(block[at + 6 : end]) != crc:
                if any(block[at:]):  # else it was never written
                    faults.add(
                        f"byte {base + at}",
                        "corrupt-record",
                        "wrong checksum; its block is skipped from here",
                    )
                yield base + at, _DAMAGE, b""
                break
            yield base + at, kind, block[at + _CHUNK.size : end]
            at = end
        base, at = base + _BLOCK, 0


# -- Records to fields: protobuf's wire format.


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """An integer of up to 10 bytes, and the byte after it."""
    if at < len(data) and data[at] < 128:
        return data[at], at + 1
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("a number without its end")


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message by number; those of fixed width are skipped. Raises ValueError."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if wire not in (1, 2, 5):
            raise ValueError(f"wire type {wire} in a message")
        length, at = _varint(data, at) if wire == 2 else (8 if wire == 1 else 4, at)
        if at + length > len(data):
            raise ValueError("a field that goes on after its message")
        if wire == 2:
            yield key >> 3, data[at : at + length]
        at += length


def _messages(data: bytes, number: int) -> Iterator[bytes]:
    """The messages (or texts) in one field."""
    return (value for found, value in _fields(data) if found == number and isinstance(value, bytes))


def _text(data: bytes, number: int) -> str:
    """The text in a field, "" if there is none."""
    return next((value.decode("utf-8", errors="replace") for value in _messages(data, number)), "")


def _items(data: bytes, parse: Callable[[bytes], object], faults: Faults, place: str) -> Tree:
    """The items of a history or configuration record as one tree of values. Raises ValueError."""
    tree: Tree = {}
    for item in _messages(data, _ITEM):
        path: list[str] = []
        text = b""
        for number, value in _fields(item):
            if not isinstance(value, bytes):
                continue
            if number in (_KEY, _NESTED_KEY):
                path.append(value.decode("utf-8", errors="replace"))
            elif number == _VALUE_JSON:
                text = value
        if path:
            try:
                _put(tree, path, parse(text))
            except (ValueError, RecursionError):
                faults.add(place, "bad-value", f"{'.'.join(path)[:80]} is no JSON: {text[:40]!r}")
    return tree


def _flat_numbers(data: bytes) -> dict[str, float] | None:
    """The same for a history record of plain numbers, as most are, five times faster; None for others.

    Such an item is, with all lengths below 128: 0a ‹n› · 0a or 12 ‹k› key · 82 01 ‹v› number. The
    record's own step (12 …) comes last.
    """
    numbers: dict[str, float] = {}
    at, end = 0, len(data)
    try:
        while at < end and data[at] == 0x0A:
            middle = at + 4 + data[at + 3]
            after = at + 2 + data[at + 1]
            if (
                data[at + 2] not in (0x0A, 0x12)
                or data[middle : middle + 2] != b"\x82\x01"
                or middle + 3 + data[middle + 2] != after
                or after > end
                or max(data[at + 1], data[at + 3], data[middle + 2]) > 127
            ):
                return None
            numbers[_name(data[at + 4 : middle])] = float(data[middle + 3 : after])
            at = after
    except (ValueError, IndexError):
        return None
    return numbers if at == end or (data[at] == 0x12 and _STEP in numbers) else None


@lru_cache(maxsize=4096)
def _name(key: bytes) -> str:
    return key.decode("utf-8", errors="replace")


def _put(tree: Tree, path: list[str], value: object) -> None:
    for name in path[:-1]:
        inner = tree.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        tree = inner
    tree[path[-1]] = value


def _logged(text: bytes) -> object:
    """A value of the history. Bare NaN and Infinity occur, and so do their names as strings."""
    try:
        return float(text)
    except ValueError:
        value: object = json.loads(text)
    return float(value) if value in ("NaN", "Infinity", "-Infinity") else value


# -- Fields to what a run is.


@dataclass(frozen=True, slots=True)
class _Media:
    """Media of one row: an image's path below `files/`, or a histogram ("") in its record."""

    row: int
    name: str
    path: str
    record: _Record


@dataclass(slots=True)
class _Run:
    """What the records told so far. step_metric: what `define_metric("*", step_metric=…)` named."""

    path: Path
    faults: Faults
    columns: Columns = field(default_factory=Columns)
    config: Tree = field(default_factory=dict)
    raw_output: list[str] = field(default_factory=list)
    output: list[str] = field(default_factory=list)
    media: list[_Media] = field(default_factory=list)
    step_metric: str = ""

    def take(self, row: int, record: _Record) -> None:
        """Take one record. Raises ValueError where it is no message of the kind it should be."""
        place = f"byte {record.offset}"
        for number, value in _fields(record.data):
            if not isinstance(value, bytes):
                continue
            if number == _HISTORY:
                self._take_history(row, value, record)
            elif number == _CONFIG:
                self.config.update(_items(value, json.loads, self.faults, place))
            elif number == _RUN:
                for config in _messages(value, _RUN_CONFIG):
                    self.config.update(_items(config, json.loads, self.faults, place))
            elif number == _METRIC:
                if "*" in (_text(value, _METRIC_NAME), _text(value, _METRIC_GLOB)):
                    self.step_metric = _text(value, _STEP_METRIC) or self.step_metric
            elif number in (_OUTPUT, _OUTPUT_RAW):
                (self.output if number == _OUTPUT else self.raw_output).append(_text(value, _LINE))

    def text(self) -> str:
        """The console output; its raw form has every character."""
        return "".join(self.raw_output or self.output)[:_MAX_OUTPUT]

    def parts(self) -> RunParts:
        """Everything but the console output."""
        clock = self._clock()
        ours = _OWN | ({self.step_metric} if clock == _DECLARED else set())
        series = [one for one in self.columns.series(self.path, clock=[clock]) if one.tag not in ours]
        config = {name: value for name, value in self.config.items() if name != "_wandb"}
        parts = RunParts(series=series, settings=settings_of(config, self.path))
        self._refer(parts, clock)
        parts.problems = self.faults.problems()
        return parts

    def _take_history(self, row: int, data: bytes, record: _Record) -> None:
        numbers = _flat_numbers(data)
        if numbers is None:
            numbers = self._take_items(row, data, record)
        if self.step_metric in numbers:
            numbers[_DECLARED] = numbers[self.step_metric]
        self.columns.add(row, numbers)

    def _take_items(self, row: int, data: bytes, record: _Record) -> dict[str, float]:
        """The numbers of a row of any kind; its media are kept."""
        tree = _items(data, _logged, self.faults, f"byte {record.offset}")
        numbers: dict[str, float] = {}
        for name, value in _leaves(tree, _MAX_DEPTH):
            if isinstance(value, float):
                numbers[name] = value
            elif isinstance(value, dict):
                self.media += [_Media(row, name, path, record) for path in _media_paths(value)]
        for step in _messages(data, _HISTORY_STEP):
            numbers.setdefault(_STEP, float(next((n for _, n in _fields(step) if isinstance(n, int)), 0)))
        return numbers

    def _clock(self) -> str:
        """The declared step metric, if it counts the rows (and not the epochs), else W&B's own step."""
        _, declared = self.columns.columns().get(_DECLARED, (None, np.empty(0)))
        good = len(declared) > 0 and bool(np.all(np.isfinite(declared)) and np.all(np.diff(declared) >= 0))
        return _DECLARED if good and 2 * len(np.unique(declared)) > len(declared) else _STEP

    def _refer(self, parts: RunParts, clock: str) -> None:
        """Add the references to images and histograms, at the steps of their rows."""
        rows, steps = self.columns.columns().get(clock, (np.empty(0, np.int64), np.empty(0)))
        missing = 0
        for one in self.media:
            at = int(np.searchsorted(rows, one.row, side="right")) - 1
            step = int(steps[at]) if at >= 0 and np.isfinite(steps[at]) else None
            if not one.path:
                offset, length = one.record.offset, one.record.end - one.record.offset
                parts.histograms.append(Histogram(one.name, step or 0, self.path, offset, length, "wandb"))
                continue
            file = self.path.parent / "files" / one.path
            if ".." not in file.parts and not Path(one.path).is_absolute() and file.is_file():
                parts.images.append(ImageGrid(one.name, step, file))
            else:
                missing += 1
        if missing:
            self.faults.add("", "missing-file", f"{missing:,} logged images are not in the folder `files`")


def _leaves(tree: Mapping[str, object], depth: int, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Numbers by their path joined with dots, and media as they are."""
    for key, value in tree.items():
        name = prefix + key
        if isinstance(value, dict) and "_type" not in value:
            if depth:
                yield from _leaves(value, depth - 1, name + ".")
        elif isinstance(value, int) and not isinstance(value, bool):  # within nested JSON
            yield name, float(value)
        else:
            yield name, value


def _media_paths(media: Mapping[str, object]) -> list[str]:
    """The images that a value refers to; "" for a histogram."""
    kind, path, names = media.get("_type"), media.get("path"), media.get("filenames")
    if kind == "histogram":
        return [""]
    if kind == "image-file" and isinstance(path, str):
        return [path]
    if kind == "images/separated" and isinstance(names, list):
        return [name for name in names if isinstance(name, str)]
    return []
