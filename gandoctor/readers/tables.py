"""What the words in a table say about its numbers: long form, several runs, training and validation.

    step,metric,value      a series for each metric
    run,step,loss          a RunParts for each run
    phase,epoch,loss       "val/loss" beside "loss"

Shared by the CSV and the JSON readers, which fill a `Table` and ask it for its parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gandoctor.readers.columns import Columns, counts_steps, plain
from gandoctor.readers.faults import Faults
from gandoctor.run import RunParts, Setting, Start, Steps, Values

MAX_TAGS = 20_000
_MAX_WORDS = 20_000  # different words in a column; more is running text
_RUN = ("run", "runname", "runid", "experiment", "experimentname", "expname", "exp")
_TAG = ("tag", "metric", "metricname", "name", "key", "variable", "scalar", "quantity")
_PHASE = ("phase", "split", "mode", "subset", "partition", "stage", "set")
_VALUE = ("value", "scalarvalue", "metricvalue", "val")
_TRAINING = ("train", "training")
_OTHER_PHASES = ("val", "valid", "validation", "eval", "evaluation", "test", "testing", "dev")
_EXPORT = re.compile(r"(?P<run>.+) - (?P<key>.+?)(?P<bound>__MIN|__MAX)?")

Column = tuple[Steps, Values]


def holds_words(name: str) -> bool:
    """Whether the words in a column of this name say what the numbers on their row are."""
    return plain(name) in (*_RUN, *_TAG, *_PHASE)


@dataclass(frozen=True, slots=True)
class _Words:
    """A column of words. rows int64 (n,), ascending; codes int64 (n,): which of `names` stands there."""

    rows: Steps
    codes: Steps
    names: list[str]

    def at(self, rows: Steps) -> Steps:
        """The code at each of `rows`, -1 where there is no word."""
        place = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        return np.where(self.rows[place] == rows, self.codes[place], -1)


class Table:
    """Columns of numbers, and of the words that say what they are; filled block by block."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.starts: list[Start] = []
        self.settings: dict[str, Setting] = {}
        self._columns = Columns()
        self._known: set[str] = set()
        self._deviations: dict[str, list[Column]] = {}
        self._words: dict[str, list[tuple[Steps, Steps]]] = {}
        self._codes: dict[str, dict[str, int]] = {}

    def numbers(self, name: str, rows: Steps, values: Values) -> None:
        """Add numbers: rows int64 (n,), values float64 (n,), NaN and Inf where they were logged."""
        if not len(rows):
            return
        if name not in self._known:
            if len(self._known) >= MAX_TAGS:
                self.faults.once("", "too-many-tags", f"only the first {MAX_TAGS:,} names were read")
                return
            self._known.add(name)
        self._columns.add_column(name, rows, values)

    def deviations(self, name: str, rows: Steps, values: Values) -> None:
        """Add standard deviations, as `numbers` does; a column that is 0 throughout will be left out."""
        self._deviations.setdefault(name, []).append((rows, values))

    def words(self, name: str, rows: Steps, cells: Iterable[str]) -> None:
        """Add words, if the column's name says that they matter."""
        if not holds_words(name) or not len(rows):
            return
        codes = self._codes.setdefault(name, {})
        if len(codes) <= _MAX_WORDS:
            coded = np.fromiter((codes.setdefault(cell, len(codes)) for cell in cells), np.int64, len(rows))
            self._words.setdefault(name, []).append((rows, coded))

    def parts(self, *, clock: Sequence[str] | None = None, tag: str = "") -> list[RunParts]:
        """The runs in the table, each with its series; the first one has the problems.

        clock: the columns that count the steps, if the format says which.
        tag: what the single column "value" of a table without names is a series of.
        """
        for name, pieces in list(self._deviations.items()):
            if any(np.any(values > 0) for _, values in pieces) or name in self._known:
                for rows, values in self._deviations.pop(name):
                    self.numbers(name, rows, values)
        columns = {name: column for name, column in self._columns.columns().items() if len(column[0])}
        words = {plain(name): self._joined(name) for name in self._words}
        made = []
        for label, own in _by_run(columns, words).items():
            named = _by_phase(_by_tag(own, words, tag), words)
            series = _columns_of(named).series(self.faults.file, clock=clock)
            made.append(RunParts(label=label, series=series))
        made = made or [RunParts()]
        if len(made) == 1:
            made[0].label = ""
            made[0].starts = self.starts
        made[0].settings = self.settings
        made[0].problems = self.faults.problems()
        return made

    def _joined(self, name: str) -> _Words:
        rows, codes = map(np.concatenate, zip(*self._words[name], strict=True))
        order = np.argsort(rows, kind="stable")
        return _Words(rows[order], codes[order], list(self._codes[name]))


def _columns_of(columns: Mapping[str, Column]) -> Columns:
    made = Columns()
    for name, (rows, values) in columns.items():
        made.add_column(name, rows, values)
    return made


def _where(columns: Mapping[str, Column], words: _Words, code: int) -> dict[str, Column]:
    """The part of each column that stands on rows with this word. Columns keep sharing their rows."""
    masks: dict[int, tuple[Steps, np.ndarray[tuple[int], np.dtype[np.bool_]]]] = {}
    found = {}
    for name, (rows, values) in columns.items():
        if id(rows) not in masks:
            mask = words.at(rows) == code
            masks[id(rows)] = rows[mask], mask
        own, mask = masks[id(rows)]
        if len(own):
            found[name] = own, values[mask]
    return found


def _by_run(columns: Mapping[str, Column], words: Mapping[str, _Words]) -> dict[str, Mapping[str, Column]]:
    """The columns of each run, by its name; {"": columns} where there is one."""
    runs = next((words[name] for name in _RUN if name in words), None)
    if runs is not None and 1 < len(runs.names) <= 1000:
        found = {label: _where(columns, runs, code) for code, label in enumerate(runs.names)}
        return {label: own for label, own in found.items() if own}
    return _by_export(columns)


def _by_export(columns: Mapping[str, Column]) -> dict[str, Mapping[str, Column]]:
    """The runs in a CSV that Weights & Biases' site exports with its `RUN - KEY` and `RUN - KEY__MIN`."""
    matches = {name: _EXPORT.fullmatch(name) for name in columns}
    keyed = {name: found for name, found in matches.items() if found is not None}
    shared = {name: column for name, column in columns.items() if name not in keyed}
    if not keyed or len(shared) > 1 or not any(found["bound"] for found in keyed.values()):
        return {"": columns}
    runs: dict[str, dict[str, Column]] = {}
    for name, found in keyed.items():
        # With one run a group, the bounds repeat the value; a step beside `Step` says nothing new.
        if not found["bound"] and not (shared and found["key"] == "_step" and any(map(counts_steps, shared))):
            runs.setdefault(found["run"], dict(shared))[found["key"]] = columns[name]
    return dict(runs)


def _by_tag(columns: Mapping[str, Column], words: Mapping[str, _Words], tag: str) -> Mapping[str, Column]:
    """Long form made wide: a column for each tag in place of the column "value"."""
    values = [name for wanted in _VALUE for name in columns if plain(name) == wanted]
    tags = next((words[name] for name in _TAG if name in words), None)
    if not values:
        return columns
    rest = {name: column for name, column in columns.items() if name != values[0]}
    rows, numbers = columns[values[0]]
    if tags is None:
        lone = tag and all(map(counts_steps, rest))
        return {**rest, tag: (rows, numbers)} if lone else columns
    codes = tags.at(rows)
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(tags.names) + 1))
    made = dict(rest)
    for code, name in enumerate(tags.names):
        chosen = order[bounds[code] : bounds[code + 1]]
        if len(chosen):
            made[name] = rows[chosen], numbers[chosen]
    return made


def _by_phase(columns: Mapping[str, Column], words: Mapping[str, _Words]) -> Mapping[str, Column]:
    """Training under its own names, other phases with theirs before the name ("val/loss")."""
    phases = next((words[name] for name in _PHASE if name in words), None)
    if phases is None or len(phases.names) < 2:
        return columns
    known = [plain(name) for name in phases.names]
    if not any(name in _OTHER_PHASES for name in known) or len(known) > 8:
        return columns
    made = {name: column for name, column in columns.items() if counts_steps(name)}
    quantities = {name: column for name, column in columns.items() if name not in made}
    for code in range(-1, len(known)):
        training = code == -1 or known[code] in _TRAINING
        for name, column in _where(quantities, phases, code).items():
            title = name if training else f"{phases.names[code]}/{name}"
            made[title] = column if title not in made else _merged(made[title], column)
    return made


def _merged(one: Column, other: Column) -> Column:
    rows = np.concatenate([one[0], other[0]])
    order = np.argsort(rows, kind="stable")
    return rows[order], np.concatenate([one[1], other[1]])[order]


def tag_from(path: Path) -> str:
    """The tag in the name of a file that TensorBoard's page exports: `run-NAME-tag-TAG.csv`; else its stem.

    >>> tag_from(Path("run-exp1-tag-Loss_D.csv")), tag_from(Path("d_loss.csv"))
    ('Loss_D', 'd_loss')
    """
    return path.stem.rpartition("-tag-")[2]
