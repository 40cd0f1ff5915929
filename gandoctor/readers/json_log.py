"""One JSON document that holds a log: records, or lists of numbers under their names.

    [{"iteration": 100, "loss_gen": 9.28, "loss_dis": 1.23, "epoch": 0}, …]     Chainer's `log`
    {"log_history": [{"step": 500, "loss": 0.4}, …], "global_step": 9000}       trainer_state.json
    {"train": {"d_loss": [1.38, 1.2, …], "g_loss": [0.7, …]}}                   lists, nested or not
    {"d_loss": {"0": 1.38, "1": 1.2, …}}                                        pandas' to_json
    {"loss.D": {"steps": [0, 10], "values": [1.3, 1.2], "timestamps": […]}}     Sacred's metrics.json
    [[1700000000.5, 0, 1.38], …]                                                TensorBoard's export

A cut document is read up to the cut. Settings, annotations and vocabularies are no logs.
"""

from __future__ import annotations

import codecs
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import orjson

from gandoctor.readers.columns import counts_steps, plain
from gandoctor.readers.faults import Faults
from gandoctor.readers.head import Head
from gandoctor.readers.records import CONFIG_KEYS, MAX_DEPTH, Record, as_numbers, spread
from gandoctor.readers.settings import settings_of
from gandoctor.readers.tables import Table, tag_from
from gandoctor.run import RunParts

KIND = "log"
ORDER = 45
MAX_BYTES = 512 << 20

_HISTORIES = ("loghistory", "history", "logs", "log", "records", "metrics", "losses", "epochs", "iterations",
              "scalars", "results", "stats", "trainlog", "traininglog", "traininghistory")  # fmt: skip
_PHASES = ("train", "training", "val", "valid", "validation", "test", "eval")
_LONG = 20  # numbers in a list: longer than a setting's
_SHORT = 4
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?P<end>"?)|[\[\]{},]', re.DOTALL)
_KEY_NUMBER = re.compile(r"\d+(?:\.0)?")
_BLANKS = re.compile(r"[\s,]*")
_SEEN = 50  # records looked at by `sniff`
_EPOCH_2001 = 1e9


def sniff(head: Head) -> bool:
    """Say whether the head is a JSON document with records or lists of numbers, as far as it goes."""
    text = (head.text or "").lstrip()
    if head.path.suffix.lower() in (".ipynb", ".jsonl", ".ndjson") or not text.startswith(("{", "[")):
        return False
    document = _loads(text)
    if isinstance(document, ValueError):
        document = _loads(_closed(text))
    return _is_log(document)


def read(path: Path) -> list[RunParts]:
    """Read every record and every list of numbers of the document.

    A document of more than 512 MiB is refused with a problem. Raises OSError if the file cannot be read.
    """
    faults = Faults(path)
    document: object = None
    if path.stat().st_size > MAX_BYTES:
        faults.add("", "too-large", f"a JSON document of more than {MAX_BYTES >> 20} MiB; use JSON Lines")
    else:
        document = _document(path, faults)
    log = _Log(faults)
    log.take(document, "", 0)
    return log.parts()


def _document(path: Path, faults: Faults) -> object:
    data = path.read_bytes()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        data = data.decode("utf-16", errors="replace").encode()
    data = data.removeprefix(codecs.BOM_UTF8)
    if b"\0" in data:
        faults.add(f"byte {data.index(0)}", "nul-bytes", "NUL bytes in a text file were left out")
        data = data.replace(b"\0", b"")
    try:
        return orjson.loads(data)
    except ValueError:
        text = data.decode(errors="replace")
    document = _loads(text)
    if isinstance(document, json.JSONDecodeError):
        faults.add(f"line {document.lineno}", "truncated", f"{document.msg}; read as far as here")
        document = _loads(_closed(text[: document.pos]))
    if isinstance(document, ValueError):
        faults.add("", "unreadable", str(document))
    return document


def _loads(text: str) -> object:
    """The document, or the ValueError that says why there is none. NaN and Infinity are read.

    Documents that follow each other (each run appended its own) give their list.
    """
    decoder = json.JSONDecoder()
    documents: list[object] = []
    place = _after_blanks(text, 0)
    try:
        while place < len(text) or not documents:
            document, end = decoder.raw_decode(text, place)
            documents.append(document)
            place = _after_blanks(text, end)
    except json.JSONDecodeError as fault:
        return fault
    except RecursionError:
        return ValueError("nested too deep")
    return documents[0] if len(documents) == 1 else documents


def _after_blanks(text: str, place: int) -> int:
    found = _BLANKS.match(text, place)
    return found.end() if found else place


def _closed(text: str) -> str:
    """A cut document made whole: cut back to the last complete element, and its brackets closed."""
    open_: list[str] = []
    end, closing = 0, ""
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark[0] == '"':
            if not token["end"]:
                break
        elif mark in "{[":
            open_.append("}" if mark == "{" else "]")
        elif mark in "}]":
            if not open_ or open_.pop() != mark:
                break
            end, closing = token.end(), "".join(reversed(open_))
        elif mark == ",":
            end, closing = token.start(), "".join(reversed(open_))
        if len(open_) > 100:
            break
    return text[:end] + closing


class _Log:
    """The tables of a document: one for each list of records, one for each length of lists."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._records: list[Table] = []
        self._lists: dict[int, Table] = defaultdict(lambda: Table(faults))
        self._names: dict[int, str] = {}
        self._indexed: set[int] = set()
        self._settings: dict[str, object] = {}

    def take(self, value: object, name: str, depth: int) -> None:
        """Take what stands under a name: "" is the document, "train/d_loss" a list in it."""
        if depth > MAX_DEPTH:
            self.faults.once("", "too-deep", f"what is nested deeper than {MAX_DEPTH} levels was left out")
        elif isinstance(value, list):
            self._take_list(value, name)
        elif isinstance(value, dict) and _by_number(value):
            self._take_numbered(value, name)
        elif isinstance(value, dict) and _is_sacred(value):
            self._take_sacred(value, name)
        elif isinstance(value, dict):
            for key, inner in value.items():
                if plain(key) in CONFIG_KEYS and isinstance(inner, dict):
                    self._settings.update(inner)
                elif isinstance(inner, list | dict):
                    self.take(inner, f"{name}/{key}" if name else key, depth + 1)

    def parts(self) -> list[RunParts]:
        """All runs in the document; where there is one, its tables are joined in one RunParts."""
        if len(self._lists) > 1:
            lengths = ", ".join(f"{self._names[n]!r} {n:,}" for n in sorted(self._lists)[:5])
            self.faults.add("", "unequal-lengths", f"lists of several lengths, such as {lengths}")
        tag = tag_from(self.faults.file)
        made = [part for table in (*self._records, *self._lists.values()) for part in table.parts(tag=tag)]
        if all(not part.label for part in made):
            made = [_joined(made)]
        if not any(part.series for part in made):
            self.faults.once("", "empty", "no list of numbers or of records was found")
        made[0].problems = self.faults.problems()
        made[0].settings |= settings_of(self._settings, self.faults.file)
        return made

    def _take_list(self, cells: list[object], name: str) -> None:
        records = [(row, cell) for row, cell in enumerate(cells) if isinstance(cell, dict)]
        if records and 2 * len(records) >= len(cells):
            table = Table(self.faults)
            rows = np.array([row for row, _ in records], np.int64)
            lone = not name or plain(name) in _HISTORIES
            spread(table, [record for _, record in records], rows, "" if lone else f"{name}/")
            table.starts = [start for start in table.starts if start.order]
            self._records.append(table)
        elif not name and _is_export(cells):
            table = Table(self.faults)
            rows = np.arange(len(cells), dtype=np.int64)
            for place, title in enumerate(("Wall time", "Step", "Value")):
                values, known = as_numbers([cell[place] for cell in cells])  # type: ignore[index]
                table.numbers(title, rows[known], values[known])
            self._records.append(table)
        elif name:
            self._add(name, cells)

    def _take_numbered(self, value: Record, name: str) -> None:
        """A column or records of a data frame: {"0": 1.38, "1": 1.2}, or {"0": {"loss": 1.38}, …}."""
        steps = np.array([float(key) for key in value])
        if any(isinstance(cell, dict) for cell in value.values()):
            records: list[object] = [
                {"": step, **cell} for step, cell in zip(steps.tolist(), value.values(), strict=True)
                if isinstance(cell, dict)
            ]  # fmt: skip
            self._take_list(records, name)
        elif name:
            self._add(name, list(value.values()), steps.tolist())

    def _take_sacred(self, value: Record, name: str) -> None:
        table = Table(self.faults)
        for title, cells in ((name, value["values"]), ("step", value["steps"])):
            assert isinstance(cells, list)
            values, known = as_numbers(cells)
            table.numbers(title, np.flatnonzero(known), values[known])
        self._records.append(table)

    def _add(self, name: str, cells: list[object], index: Sequence[float] | None = None) -> None:
        values, known = as_numbers(cells)
        if not np.any(known):
            return
        table = self._lists[len(cells)]
        self._names.setdefault(len(cells), name)
        rows = np.flatnonzero(known)
        table.numbers(name, rows, values[known])
        if index is not None and len(cells) not in self._indexed:
            self._indexed.add(len(cells))
            table.numbers("", np.arange(len(cells), dtype=np.int64), np.array(index, np.float64))


def _joined(made: Sequence[RunParts]) -> RunParts:
    whole = RunParts()
    for part in made:
        whole.series += part.series
        whole.starts += part.starts
        whole.settings |= part.settings
    return whole


def _is_log(document: object) -> bool:
    """Whether a document, or the part of it in a head, holds a log and no settings."""
    if isinstance(document, list):
        return _has_records(document) or _is_export(document)
    if not isinstance(document, dict) or "nbformat" in document:
        return False
    for key, value in document.items():
        if plain(key) in (*_HISTORIES, *_PHASES) and isinstance(value, list) and _has_records(value):
            return True
        if isinstance(value, dict) and _is_sacred(value):
            return True
    if _by_number(document):
        return _has_records(list(document.values()))
    leaves = list(_leaves(document, 4))
    lengths = [length for length in leaves if length]
    longest = max(lengths, default=0)
    alike = lengths.count(longest) > 1 and 2 * len(lengths) > len(leaves)
    return longest >= _LONG or (longest >= _SHORT and alike)


def _leaves(tree: Mapping[str, object], depth: int) -> Iterator[int]:
    """For every leaf of a document that is no configuration: how many numbers it lists, 0 for others."""
    for key, value in tree.items():
        if isinstance(value, dict) and value and not _by_number(value):
            if depth and plain(key) not in CONFIG_KEYS:
                yield from _leaves(value, depth - 1)
            continue
        cells = list(value.values()) if isinstance(value, dict) else value
        if isinstance(cells, list):
            values, known = as_numbers(cells[:_SEEN])
            yield len(cells) if np.count_nonzero(known) >= max(1, 0.5 * len(values)) else 0
        else:
            yield 0


def _has_records(cells: Sequence[object]) -> bool:
    """Whether a list is one of records with two numbers or more, not only of what counts steps."""
    seen = cells[:_SEEN]
    records = [cell for cell in seen if isinstance(cell, dict)]
    return 2 * len(records) >= len(seen) and any(_is_record(record) for record in records)


def _is_record(record: Mapping[str, object]) -> bool:
    inner = [value for value in record.values() if isinstance(value, dict)]
    numbers = [key for one in [record, *inner] for key, value in one.items() if type(value) in (int, float)]
    return len(numbers) > 1 and not all(map(counts_steps, numbers))


def _by_number(value: Mapping[str, object]) -> bool:
    return bool(value) and all(map(_KEY_NUMBER.fullmatch, value))


def _is_sacred(value: Mapping[str, object]) -> bool:
    steps, values = value.get("steps"), value.get("values")
    return isinstance(steps, list) and isinstance(values, list) and len(steps) == len(values)


def _is_export(cells: Sequence[object]) -> bool:
    """Whether a list is TensorBoard's export of one tag: [wall time, step, value], …."""
    return bool(cells) and all(
        isinstance(cell, list)
        and len(cell) == 3
        and all(type(one) in (int, float) for one in cell[:2])
        and cell[0] > _EPOCH_2001
        for cell in cells
    )
