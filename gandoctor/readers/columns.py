"""From rows of named numbers to series: what CSV, JSON, text, notebook and W&B readers share.

A row is a line of the log. Which column counts the steps is decided here, for all of them:
an iteration counter, or an epoch with a counter that starts again in each epoch, or the epoch,
or else the row's place in the log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gandoctor.run import Series, Steps, Unit, Values

_ITERATION = (
    "globalstep", "globalsteps", "totalsteps", "totaliters", "batchesdone", "iteration", "iterations",
    "iter", "iters", "itr", "niter", "step", "steps", "update", "updates", "genstep", "it",
)  # fmt: skip
_WITHIN = ("batch", "batches", "batchidx", "batchindex", "minibatch", "batchid", "i")
_EPOCH = ("epoch", "epochs", "ep", "currentepoch", "epochnum", "epochnumber")
_KIMG = ("kimg",)
_IMAGE = ("nimg", "curnimg", "images", "imgs", "samplesseen")
_INDEX = ("", "unnamed0", "index")
_WALL = ("walltime", "timestamp", "time")
_EPOCH_2001 = 1e9  # seconds since 1970: later than any relative clock


def plain(name: str) -> str:
    """A column's name reduced to what matters: its last part, lower case, letters and digits only.

    >>> plain("trainer/global_step"), plain("Progress/kimg"), plain("_step")
    ('globalstep', 'kimg', 'step')
    """
    return re.sub(r"[^a-z0-9]", "", re.split(r"[/\\]", name)[-1].lower())


def counts_steps(name: str) -> bool:
    """Whether a column of this name may count steps or tell the time, for all that stands on its row."""
    return plain(name) in {*_ITERATION, *_WITHIN, *_EPOCH, *_KIMG, *_IMAGE, *_INDEX, *_WALL}


@dataclass(frozen=True, slots=True)
class _Clock:
    """The step of every row, its unit, and the columns it was made of."""

    rows: Steps
    steps: Steps
    unit: Unit
    used: frozenset[str]


class Columns:
    """Collects rows, then gives series. A name that is absent from a row was not logged there.

    `add` takes a row at a time; `add_column` a whole column. `row` is the write position
    (line or record number): it must not go back.
    """

    def __init__(self) -> None:
        self._rows: dict[str, list[Steps | Sequence[int]]] = {}
        self._values: dict[str, list[Values | Sequence[float]]] = {}
        self._loose_rows: dict[str, list[int]] = {}
        self._loose_values: dict[str, list[float]] = {}

    def add(self, row: int, record: Mapping[str, float]) -> None:
        """Add one row of numbers."""
        for name, value in record.items():
            try:
                self._loose_rows[name].append(row)
                self._loose_values[name].append(value)
            except KeyError:
                self._loose_rows[name] = [row]
                self._loose_values[name] = [value]

    def add_column(self, name: str, rows: Steps | Sequence[int], values: Values | Sequence[float]) -> None:
        """Add many values of one name: rows int (n,), values float (n,)."""
        if len(rows) != len(values):
            raise ValueError(f"{len(rows)} rows for {len(values)} values of {name!r}")
        self._rows.setdefault(name, []).append(rows)
        self._values.setdefault(name, []).append(values)

    def names(self) -> list[str]:
        """The names seen so far, in order of appearance."""
        return list(dict.fromkeys([*self._rows, *self._loose_rows]))

    def columns(self) -> dict[str, tuple[Steps, Values]]:
        """Every column as (rows int64 (n,), values float64 (n,))."""
        found = {}
        joined: dict[tuple[int, ...], Steps] = {}  # the rows that several columns share are joined once
        for name in self.names():
            rows, values = [*self._rows.get(name, [])], [*self._values.get(name, [])]
            if name in self._loose_rows:
                rows.append(self._loose_rows[name])
                values.append(self._loose_values[name])
            shared = tuple(map(id, rows))
            if shared not in joined:
                joined[shared] = np.concatenate([np.asarray(part, np.int64) for part in rows])
            found[name] = (
                joined[shared],
                np.asarray(values[0], np.float64)
                if len(values) == 1
                else np.concatenate([np.asarray(part, np.float64) for part in values]),
            )
        return found

    def series(self, source: Path, *, clock: Sequence[str] | None = None) -> list[Series]:
        """All columns but those that count steps or tell the time, as series in write order.

        clock: the columns that count the steps, if the format says which; else they are found.
        """
        columns = {name: column for name, column in self.columns().items() if len(column[0])}
        if not columns:
            return []
        time = _clock(columns, clock)
        wall_name, wall = _wall(columns, time.rows)
        made = []
        at: dict[int, tuple[Steps, Values | None]] = {}  # columns with the same rows share their steps
        for name, (rows, values) in columns.items():
            if name in time.used or name == wall_name:
                continue
            if id(rows) not in at:
                place = slice(None) if rows is time.rows else np.searchsorted(time.rows, rows)
                at[id(rows)] = time.steps[place], None if wall is None else wall[place]
            steps, own_wall = at[id(rows)]
            made.append(Series(name, steps, values, rows, source, time.unit, own_wall))
        return made


def _all_rows(columns: Mapping[str, tuple[Steps, Values]]) -> Steps:
    """The rows on which anything was logged, each once, int64 (n,)."""
    distinct = list({id(rows): rows for rows, _ in columns.values()}.values())
    if len(distinct) == 1 and np.all(np.diff(distinct[0]) > 0):
        return distinct[0]
    rows: Steps = np.unique(np.concatenate(distinct))
    return rows


def _clock(columns: Mapping[str, tuple[Steps, Values]], given: Sequence[str] | None) -> _Clock:
    """Find the columns that count steps and give every row its step."""
    rows = _all_rows(columns)
    candidates = {
        name: columns[name] for name in (given if given is not None else columns) if name in columns
    }

    def first(names: tuple[str, ...], *, whole: bool = False) -> str | None:
        ranked = [(names.index(plain(name)), name) for name in candidates if plain(name) in names]
        in_order = [name for _, name in sorted(ranked, key=lambda pair: pair[0])]
        return next((name for name in in_order if _counts(columns[name][1], whole)), None)

    for name, unit in ((first(_KIMG), Unit.KIMG), (first(_IMAGE), Unit.IMAGE)):
        if name is not None:
            counts = _filled(rows, columns[name])
            if unit is Unit.KIMG and _rounding_merges(counts):
                return _Clock(rows, np.round(counts * 1000).astype(np.int64), Unit.IMAGE, frozenset({name}))
            return _Clock(rows, np.round(counts).astype(np.int64), unit, frozenset({name}))

    index = first(_INDEX, whole=True)
    numbered = {index} if index is not None and _by_one(columns[index][1]) else set()
    epoch = first(_EPOCH)
    epochs = None if epoch is None else _filled(rows, columns[epoch])
    counter = first(_ITERATION, whole=True) or first(_WITHIN, whole=True)
    if counter is not None:
        counts = _filled(rows, columns[counter])
        used = numbered | {counter}
        if _starts_again(counts, epochs):
            if epochs is None:
                epochs = np.concatenate([[0.0], np.cumsum(np.diff(counts) < 0)])
            else:
                used.add(epoch or "")
            counts = _unrolled(np.floor(epochs), counts)
        return _Clock(rows, counts.astype(np.int64), Unit.ITERATION, frozenset(used))
    if epoch is not None and epochs is not None and _once_an_epoch(columns, rows, epochs):
        return _Clock(rows, epochs.astype(np.int64), Unit.EPOCH, frozenset(numbered | {epoch}))
    if index is not None and not numbered:  # a data frame's index that counts by more than one
        counts = _filled(rows, columns[index])
        return _Clock(rows, counts.astype(np.int64), Unit.ITERATION, frozenset({index}))
    return _Clock(rows, np.arange(len(rows), dtype=np.int64), Unit.RECORD, frozenset(numbered))


def _counts(values: Values, whole: bool = False) -> bool:
    """Whether a column can count steps: finite, not negative, not constant, and it mostly grows or stands.

    whole: its numbers must be whole, too. A constant "batch" is the size of a batch.
    """
    finite = values[np.isfinite(values)]
    if len(finite) < 0.9 * len(values) or not len(finite) or finite.min() < 0 or finite.max() > 2**53:
        return False
    if whole and not np.array_equal(finite, np.floor(finite)):
        return False
    if len(finite) < 3:
        return True
    return bool(np.ptp(finite) > 0 and np.count_nonzero(np.diff(finite) < 0) <= 0.5 * len(finite))


def _by_one(values: Values) -> bool:
    """Whether a column only numbers the rows."""
    return len(values) < 2 or bool(np.count_nonzero(np.diff(values) != 1) <= 0.05 * len(values))


def _rounding_merges(counts: Values) -> bool:
    """Whether whole numbers are too coarse for a counter: more than 1 in 20 steps would vanish.

    The last tick of a run is often shorter than the others and does not count.
    """
    moved = np.diff(counts[:-1]) != 0
    lost = moved & (np.diff(np.round(counts[:-1])) == 0)
    return bool(np.count_nonzero(lost) > 0.05 * np.count_nonzero(moved))


def _once_an_epoch(columns: Mapping[str, tuple[Steps, Values]], rows: Steps, epochs: Values) -> bool:
    """Whether epochs are whole, and every quantity was logged about once in each.

    Training and validation of one epoch may stand on two rows.
    """
    if not np.array_equal(epochs, np.floor(epochs)):
        return False
    quantities = [own for name, (own, _) in columns.items() if not counts_steps(name)]
    distinct = {id(own): own for own in quantities or [rows]}
    own_epochs = [epochs[np.searchsorted(rows, own)] for own in distinct.values()]
    again = sum(int(np.count_nonzero(np.diff(own) == 0)) for own in own_epochs)
    return again <= 0.05 * sum(map(len, own_epochs))


def _filled(rows: Steps, column: tuple[Steps, Values]) -> Values:
    """A column at every row: where it was not logged, the last value before (or the first after)."""
    own, values = column
    good = np.isfinite(values)
    if own is rows and np.all(good):
        return values
    own, values = own[good], values[good]
    at = np.clip(np.searchsorted(own, rows, side="right") - 1, 0, None)
    return values[at]


def _starts_again(counts: Values, epochs: Values | None) -> bool:
    """Whether a counter starts again in each epoch (and so counts batches within it)."""
    back = np.flatnonzero(np.diff(counts) < 0)
    if not len(back):
        return False
    if epochs is not None:
        return float(np.mean(np.diff(epochs)[back] > 0)) >= 0.6
    # Without an epoch: at least three rounds of nearly one length, each from near the start.
    tops, starts = counts[back], counts[back + 1]
    return len(back) >= 3 and bool(np.ptp(tops) <= 0.1 * tops.max() and starts.max() <= 0.1 * tops.max() + 1)


def _unrolled(epochs: Values, counts: Values) -> Values:
    """One counter from an epoch and a counter within it: epochs are as long as the largest count."""
    forward = np.diff(counts)
    stride = float(np.median(forward[forward > 0])) if np.any(forward > 0) else 1.0
    length = counts.max() + (stride if counts.min() == 0 else 0.0)
    # Absolute, not from the first epoch seen: after a resume the numbers must go on.
    steps: Values = (epochs - min(1.0, epochs.min())) * length + counts
    return steps


def _wall(columns: Mapping[str, tuple[Steps, Values]], rows: Steps) -> tuple[str, Values | None]:
    """The column that holds seconds since 1970, if there is one, and its value at every row."""
    for name, column in columns.items():
        values = column[1]
        if plain(name) in _WALL and np.all(np.isfinite(values)) and values.min() > _EPOCH_2001:
            seconds = _filled(rows, column)
            return name, seconds / 1000 if values.min() > 1000 * _EPOCH_2001 else seconds  # some log ms
    return "", None
