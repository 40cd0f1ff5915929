"""Pickled losses: `log.pkl` of tflib's plotter, Keras' `History.history`, lists, tables.

    {"train disc cost": {0: -0.2, 1: -0.4, ...}, "time": {...}}      tflib: {tag: {step: value}}
    {"d_loss": [0.7, 0.6, ...], "g_loss": [...]}                     columns
    [{"epoch": 0, "d_loss": 0.7}, ...]                               rows

The pickle is read as data by `pickles.py`: nothing in it runs. Models are left to `checkpoint_file.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gandoctor.readers.arrays import MAX_VALUES, WIDEST, columns_of, is_data_name, is_log_name
from gandoctor.readers.checkpoint_file import is_model
from gandoctor.readers.columns import Columns
from gandoctor.readers.head import Head
from gandoctor.readers.pickles import RawArray, is_pickle, load_inert
from gandoctor.run import LogProblem, RunParts, Series, Steps, Values

KIND = "log"
ORDER = 25

MAX_BYTES = 64 << 20
_MAX_PICKLES = 100_000  # one after the other, as `open(…, "ab")` leaves them
_MAX_DEPTH = 6
_MAX_TAGS = 10_000
_LONGEST_TAG = 200
_MAX_TAGS = 10_000
_LONGEST_TAG = 200
_LARGEST_INTEGER = 2**1000  # becomes a float without overflow
_MOST = 0.5  # of the items of a list must be numbers for it to be a column
_LARGEST_INTEGER = 2**1000  # becomes a float without overflow


def sniff(head: Head) -> bool:
    """Whether this is a pickle, of no model, and its beginning or its name looks like a log's."""
    return is_pickle(head.data) and not is_model(head) and is_log(head.data, head.path)


def is_log(data: bytes, path: Path) -> bool:
    """Whether the beginning of a pickle, or the name of its file, looks like a log's."""
    tree = load_inert(data).value
    if isinstance(tree, RawArray):
        tree = tree.value()
    keys = list(tree)[:100] if isinstance(tree, dict) else []
    if is_log_name(path.stem) or any(isinstance(key, str) and is_log_name(key) for key in keys):
        return True
    return not is_data_name(path.stem) and bool(_gathered(tree, path).series())


def read(path: Path) -> list[RunParts]:
    """Read every table of numbers in the file, which may hold several pickles."""
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        problem = LogProblem(
            path, "", "too-large", f"a pickle of more than {MAX_BYTES >> 20} MiB is not read"
        )
        return [RunParts(problems=[problem])]
    return [parts_of_pickle(data, path)]


def parts_of_pickle(data: bytes, source: Path, name: str = "") -> RunParts:
    """The series in one or more pickles; also for arrays of objects in .npy and .npz files.

    name: what to call a lone column without a name; the file's stem if not given.
    """
    values: list[object] = []
    refused: dict[str, None] = {}
    problems: list[LogProblem] = []
    at = 0
    while at < len(data) and len(values) < _MAX_PICKLES:
        loaded = load_inert(data, at)
        refused.update(dict.fromkeys(loaded.refused))
        values.append(loaded.value)
        at = loaded.end
        if loaded.fault:
            kind = "truncated" if loaded.at >= len(data) else "corrupt-record"
            problems.append(LogProblem(source, f"byte {loaded.at}", kind, loaded.fault))
            break
    gathered = _gathered(values[0] if len(values) == 1 else values, source, name)
    series = gathered.series()
    if refused:
        problems.append(LogProblem(source, "", "refused-global", _refusal(list(refused))))
    if gathered.budget < 0:
        problems.append(LogProblem(source, "", "too-large", f"only {MAX_VALUES:,} of its values were read"))
    if not series and not problems:
        problems.append(LogProblem(source, "", "no-series", "a pickle without a table of numbers"))
    return RunParts(series=series, problems=problems)


def _refusal(names: Sequence[str]) -> str:
    shown = ", ".join(name.replace(" ", ".") for name in names[:5])
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"the pickle calls for {shown}{more}: not executed, and what it would make is left out"


@dataclass(slots=True)
class _Gathered:
    """The tables found in a tree.

    stem: the name of what has none. budget: how many more values may be looked at; below 0, it
    was not enough. real: whether some value is no integer (integers alone are indices or labels).
    """

    source: Path
    stem: str
    budget: int
    real: bool = False
    tags: int = 0
    tables: defaultdict[int, Columns] = field(default_factory=lambda: defaultdict(Columns))  # by length
    rows: list[Columns] = field(default_factory=list)
    stepped: list[tuple[str, Steps, Values]] = field(default_factory=list)

    def add(self, tree: object, name: str = "", depth: int = _MAX_DEPTH) -> None:
        """Look for tables in a tree. name: the keys that led here, joined by "/"."""
        if isinstance(tree, RawArray):
            tree = tree.value()
        if depth == 0 or self.budget < 0:
            return
        if isinstance(tree, np.ndarray):
            self.budget -= tree.size
            for column, values in columns_of(name or self.stem, tree).items():
                self._add_column(column, len(values), np.arange(len(values)), values, tree.dtype.kind == "f")
        elif isinstance(tree, dict):
            self.budget -= len(tree)
            if tree and all(isinstance(key, int | float) for key in tree):
                self._add_steps(tree, name)
            else:
                self._add_tags(tree, name, depth)
        elif isinstance(tree, list | tuple):
            self.budget -= len(tree)
            self._add_list(tree, name, depth)

    def series(self) -> list[Series]:
        """What was found, as series; none where all are integers and nothing is named like a log."""
        made = [one for table in (*self.tables.values(), *self.rows) for one in table.series(self.source)]
        if self.stepped:
            union = np.unique(np.concatenate([steps for _, steps, _ in self.stepped]))
            made += [
                Series(tag, steps, values, np.searchsorted(union, steps).astype(np.int64), self.source)
                for tag, steps, values in self.stepped
            ]
        named = is_log_name(self.stem) or any(is_log_name(one.tag) for one in made)
        return made if self.real or named else []

    def _counted(self, numbers: Iterable[float | int], tags: int = 1) -> None:
        self.real = self.real or any(isinstance(number, float) for number in numbers)
        self.tags += tags
        if self.tags > _MAX_TAGS:
            self.budget = -1

    def _add_column(
        self,
        name: str,
        length: int,
        rows: Steps | Sequence[int],
        values: Values | Sequence[float],
        real: bool,
    ) -> None:
        self._counted([1.0] if real else [])
        self.tables[length].add_column(name, rows, values)

    def _add_tags(self, tree: Mapping[object, object], name: str, depth: int) -> None:
        for key, value in tree.items():
            text = key.decode("latin-1") if isinstance(key, bytes) else key
            if isinstance(text, str) and not is_data_name(text[:_LONGEST_TAG]):
                tag = f"{name}/{text}" if name else text
                self.add(value, tag[:_LONGEST_TAG], depth - 1)

    def _add_steps(self, tree: Mapping[object, object], name: str) -> None:
        """{step: value} or {step: {tag: value}}."""
        keys = np.array(list(tree), np.float64)
        if not np.array_equal(keys, np.floor(keys)):
            return
        if all(isinstance(value, dict) for value in tree.values()):
            self._add_rows(
                ({"step": key, **value} for key, value in tree.items() if isinstance(value, dict)), name
            )
            return
        numbers = [_number(value) for value in tree.values()]
        good = np.array([number is not None for number in numbers])
        if good.mean() < _MOST:
            return
        values = np.array([np.nan if number is None else number for number in numbers], np.float64)
        at = np.argsort(keys, kind="stable")  # a dict of Python 2 has no order
        at = at[good[at]]
        self._counted(number for number in numbers if number is not None)
        self.stepped.append((name or self.stem, keys[at].astype(np.int64), values[at]))

    def _add_list(self, tree: Sequence[object], name: str, depth: int) -> None:
        name = name or self.stem
        if tree and all(isinstance(item, dict) for item in tree):
            self._add_rows(
                (item for item in tree if isinstance(item, dict)), "" if name == self.stem else name
            )
            return
        numbers = [item if type(item) is float else _number(item) for item in tree]
        found = [number for number in numbers if number is not None]
        if tree and len(found) >= _MOST * len(tree):
            rows = [row for row, number in enumerate(numbers) if number is not None]
            self._add_column(name, len(tree), rows, found, any(isinstance(number, float) for number in found))
            return
        lengths = {_length(item) for item in tree}
        if len(tree) <= WIDEST and len(tree) <= max(lengths, default=0):  # (d_losses, g_losses)
            for i, item in enumerate(tree):
                self.add(item, f"{name}[{i}]", depth - 1)
        elif len(lengths) == 1 and 1 < max(lengths) <= WIDEST:  # [(d_loss, g_loss), ...]
            for i, column in enumerate(zip(*(_items(item) for item in tree), strict=False)):
                self.add(column, f"{name}[{i}]", depth - 1)

    def _add_rows(self, records: Iterable[Mapping[object, object]], name: str) -> None:
        table, seen = Columns(), set[str]()
        for row, record in enumerate(records):
            self.budget -= len(record)
            if self.budget < 0:
                break
            numbers = {
                (f"{name}/{key}" if name else key)[:_LONGEST_TAG]: number
                for key, value in record.items()
                if isinstance(key, str) and (number := _number(value)) is not None
            }
            self._counted(numbers.values(), tags=len(numbers.keys() - seen))
            seen |= numbers.keys()
            table.add(row, numbers)
        self.rows.append(table)


def _gathered(tree: object, source: Path, name: str = "") -> _Gathered:
    found = _Gathered(source, name or source.stem, MAX_VALUES)
    found.add(tree)
    return found


def _number(value: object) -> float | int | None:
    """A number, also from an array or list of one; None if it is none. Not a bool."""
    for _ in range(2):  # [[0.5]]
        value = value[0] if isinstance(value, list | tuple) and len(value) == 1 else value
    if isinstance(value, RawArray):
        value = value.number()
    if isinstance(value, float):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST_INTEGER:
        return value
    return None


def _items(value: object) -> Sequence[object]:
    """The items of a list, or of an array of one dimension."""
    if isinstance(value, RawArray):
        array = value.value() if isinstance(value.shape, tuple) and len(value.shape) == 1 else None
        return array.tolist() if isinstance(array, np.ndarray) else ()
    return value if isinstance(value, list | tuple) else ()


def _length(value: object) -> int:
    """How many items `_items` gives, at no cost."""
    if isinstance(value, RawArray):
        shape = value.shape
        return shape[0] if isinstance(shape, tuple) and len(shape) == 1 and isinstance(shape[0], int) else 0
    return len(value) if isinstance(value, list | tuple) else 0
