"""From JSON records to the columns of a table, many records of one shape at a time.

    {"step": 10, "loss": {"D": 1.3, "G": 0.7}}                     loss/D, loss/G
    {"Loss/G/loss": {"num": 32, "mean": 3.48, "std": 0.89}}        Loss/G/loss, Loss/G/loss.std

A list in a record is no number and is left out; null means "not logged"; NaN, also as the text
"NaN", means that NaN was logged, except as the mean of no samples ("num": 0).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from gandoctor.readers.columns import counts_steps
from gandoctor.readers.numbers import to_number
from gandoctor.readers.settings import settings_of
from gandoctor.readers.tables import Table, holds_words
from gandoctor.run import Start, Steps, Values

MAX_DEPTH = 16
CONFIG_KEYS = frozenset({"config", "cfg", "args", "hparams", "params", "hyperparameters", "opt", "env_info"})
_STATISTICS = ("num", "mean", "std")
_NUMBERS = frozenset({int, float})

Record = dict[str, object]


def spread(table: Table, records: Sequence[Record], rows: Steps, prefix: str = "", depth: int = 0) -> None:
    """Add every number of the records to the table, by its path joined with "/".

    rows: int64 (n,), the row of each record. Levels below the 16th are left out with a problem.
    """
    if depth > MAX_DEPTH:
        table.faults.once("", "too-deep", f"what is nested deeper than {MAX_DEPTH} levels was left out")
        return
    if not records:
        return
    for keys, own, cells in _by_shape(records, rows):
        if depth == 0 and _is_opening(keys):
            _open(table, keys, cells, own)
            continue
        if prefix and sorted(keys) == sorted(_STATISTICS):
            _add_statistics(table, prefix[:-1], keys, cells, own)
            continue
        width = len(keys)
        matrix = _matrix(cells, width)
        for place, key in enumerate(keys):
            if matrix is not None:
                table.numbers(prefix + key, own, matrix[place])
            else:
                _add_column(table, prefix + key, cells[place::width], own, depth)


def _by_shape(
    records: Sequence[Record], rows: Steps
) -> Iterator[tuple[tuple[str, ...], Steps, list[object]]]:
    """The records that have the same keys: the keys, their rows, and their values, record after record."""
    keys = tuple(records[0])
    if set(map(len, records)) == {len(keys)}:
        try:
            yield keys, rows, _cells(records, keys)
            return
        except KeyError:  # as many keys, but others
            pass
    places: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, record in enumerate(records):
        places[tuple(record)].append(place)
    for shape, chosen in places.items():
        yield shape, rows[chosen], _cells([records[place] for place in chosen], shape)


def _cells(records: Sequence[Record], keys: Sequence[str]) -> list[object]:
    if len(keys) == 1:
        return [record[keys[0]] for record in records]
    return list(chain.from_iterable(map(itemgetter(*keys), records))) if keys else []


def _is_opening(keys: Sequence[str]) -> bool:
    """Whether records are no measurements but the configuration that a writer logs when it starts."""
    return not CONFIG_KEYS.isdisjoint(keys) and not any(map(counts_steps, keys))


def _open(table: Table, keys: Sequence[str], cells: Sequence[object], rows: Steps) -> None:
    table.starts.extend(Start(row, "config") for row in rows.tolist())
    for place, key in enumerate(keys):
        for cell in cells[place :: len(keys)] if key in CONFIG_KEYS else []:
            if isinstance(cell, Mapping):
                table.settings.update(settings_of(cell, table.faults.file))


def _matrix(cells: Sequence[object], width: int) -> npt.NDArray[np.float64] | None:
    """All cells of records with `width` keys as float64 (width, n); None if one is no number."""
    if not width or not _NUMBERS.issuperset(map(type, cells)):
        return None
    try:
        return np.ascontiguousarray(np.array(cells, np.float64).reshape(-1, width).T)
    except OverflowError:  # an integer beyond 1e308
        return None


def _add_column(table: Table, name: str, cells: Sequence[object], rows: Steps, depth: int) -> None:
    """Add the cells of one key, whatever they are."""
    kinds = set(map(type, cells))
    if str in kinds and holds_words(name):
        places = [place for place, cell in enumerate(cells) if type(cell) is str]
        table.words(name, rows[places], (str(cells[place]).strip() for place in places))
    elif not kinds.isdisjoint((int, float, str)):
        values, known = as_numbers(cells)
        if np.all(known):  # columns that share their rows are joined once
            table.numbers(name, rows, values)
        else:
            table.numbers(name, rows[known], values[known])
    if dict in kinds:
        inner: list[Record] = [cell for cell in cells if type(cell) is dict]
        if len(inner) < len(cells):
            rows = rows[[type(cell) is dict for cell in cells]]
        spread(table, inner, rows, f"{name}/", depth + 1)


def as_numbers(cells: Sequence[object]) -> tuple[Values, npt.NDArray[np.bool_]]:
    """The cells as float64 (n,), and which of them hold a number: a JSON number, or a text of one."""
    found = list(cells)
    odd = [place for place, kind in enumerate(map(type, cells)) if kind not in _NUMBERS]
    words = {cell for cell in map(cells.__getitem__, odd) if type(cell) is str}
    texts = {word: to_number(word) for word in words}
    for place in odd:
        cell = found[place]
        found[place] = texts[cell] if type(cell) is str else None
    known = np.ones(len(cells), np.bool_)
    known[[place for place in odd if found[place] is None]] = False
    try:
        return np.array(found, np.float64), known
    except OverflowError:  # an integer beyond 1e308
        return np.array(list(map(_float, found)), np.float64), known


def _float(number: object) -> float | None:
    try:
        return None if number is None else float(number)  # type: ignore[arg-type]
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")  # type: ignore[operator]


def _add_statistics(
    table: Table, name: str, keys: Sequence[str], cells: Sequence[object], rows: Steps
) -> None:
    """Add mean and standard deviation of each interval; without samples in it, nothing was logged."""
    matrix = _matrix(cells, len(keys))
    everywhere = np.ones(len(rows), np.bool_)
    parts = {
        key: (matrix[place], everywhere) if matrix is not None else as_numbers(cells[place :: len(keys)])
        for place, key in enumerate(keys)
    }
    (num, counted), (mean, has_mean), (std, has_std) = (parts[key] for key in _STATISTICS)
    sampled = counted & (num > 0)
    known = sampled & has_mean
    spread_known = sampled & has_std
    if np.all(known) and np.all(spread_known):
        table.numbers(name, rows, mean)
        table.deviations(f"{name}.std", rows, std)
    else:
        table.numbers(name, rows[known], mean[known])
        table.deviations(f"{name}.std", rows[spread_known], std[spread_known])
