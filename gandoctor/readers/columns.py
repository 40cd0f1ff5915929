"""From rows of named numbers to series: what CSV, JSON, text, notebook and W&B readers share.

A row is a line of the log. Which column counts the steps is decided here, for all of them:
an iteration counter, or an epoch with a counter that starts again in each epoch, or the epoch,
or else the row's place in the log.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gandoctor.run import Series, Steps, Unit, Values

Order: TypeAlias = npt.NDArray[np.intp]

_ITERATION = (
    "globalstep", "globalsteps", "totalsteps", "totaliters", "batchesdone", "iteration", "iterations",
    "iter", "iters", "itr", "niter", "step", "steps", "update", "updates", "genstep",
    "geniterations", "gstep", "dstep", "it", "步数", "迭代次数", "迭代",
)  # fmt: skip
_WITHIN = ("batch", "batches", "batchidx", "batchindex", "minibatch", "batchid", "i", "批次")
_EPOCH = (
    "epoch", "epochs", "ep", "currentepoch", "epochnum", "epochnumber", "trainepoch", "trainingepoch",
    "轮次", "回合", "训练回合",
)  # fmt: skip
_KIMG = ("kimg",)
_IMAGE = ("nimg", "curnimg", "images", "imgs", "samplesseen")
_INDEX = ("", "unnamed0", "index")
_WALL = ("walltime", "timestamp", "time", "stamp")
_COUNTERS = frozenset({*_ITERATION, *_WITHIN, *_EPOCH, *_KIMG, *_IMAGE, *_INDEX, *_WALL})
_LENGTH = "\0length"
_LARGEST_STEP = 2.0**53  # larger whole numbers are not exact in a float
_EPOCH_2001 = 1e9  # seconds since 1970: later than any relative clock


@lru_cache(maxsize=8192)
def plain(name: str) -> str:
    """A column's name reduced to what matters: its last part, lower case, letters (of any script) and digits.

    >>> plain("trainer/global_step"), plain("Progress/kimg"), plain("_step")
    ('globalstep', 'kimg', 'step')
    """
    return re.sub(r"[\W_]", "", re.split(r"[/\\]", name)[-1].lower())


def length_of(counter: str) -> str:
    """The name of the column that holds how far a counter runs in an epoch: the 938 of `[Batch 3/938]`.

    Such a column is never a series.
    """
    return counter + _LENGTH


def counts_steps(name: str) -> bool:
    """Whether a column of this name may count steps or tell the time, for all that stands on its row."""
    return name.endswith(_LENGTH) or plain(name) in _COUNTERS


@lru_cache(maxsize=8192)
def is_counter(name: str) -> bool:
    """Whether a number of this name counts steps. The index of a table and the time do not."""
    return plain(name) in _COUNTERS - {*_INDEX, *_WALL}


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
    (line or record number); rows may be added in any order.
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
        joined: dict[tuple[int, ...], tuple[Steps, Order | None]] = {}  # what columns share is joined once
        for name in self.names():
            rows, values = [*self._rows.get(name, [])], [*self._values.get(name, [])]
            if name in self._loose_rows:
                rows.append(self._loose_rows[name])
                values.append(self._loose_values[name])
            shared = tuple(map(id, rows))
            if shared not in joined:
                joined[shared] = _joined(rows)
            own, order = joined[shared]
            numbers = _concatenated(values, np.float64)
            found[name] = own, numbers if order is None else numbers[order]
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
            if name in time.used or name == wall_name or name.endswith(_LENGTH):
                continue
            if id(rows) not in at:
                place = slice(None) if rows is time.rows else _places(rows, time.rows)
                at[id(rows)] = time.steps[place], None if wall is None else wall[place]
            steps, own_wall = at[id(rows)]
            made.append(Series(name, steps, values, rows, source, time.unit, own_wall))
        return made


def _joined(parts: Sequence[Steps | Sequence[int]]) -> tuple[Steps, Order | None]:
    """The rows of several parts, ascending, and the order that sorted them, None if they were."""
    rows: Steps = _concatenated(parts, np.int64)
    if (rows[1:] >= rows[:-1]).all():
        return rows, None
    order = np.argsort(rows, kind="stable")
    return rows[order], order


def _concatenated(parts: Sequence[Any], kind: type[np.int64 | np.float64]) -> npt.NDArray[Any]:
    if len(parts) == 1:
        return np.asarray(parts[0], kind)
    return np.concatenate([np.asarray(part, kind) for part in parts])


def _all_rows(columns: Iterable[tuple[Steps, Values]]) -> Steps:
    """The rows on which anything was logged, each once, int64 (n,)."""
    distinct = list({id(rows): rows for rows, _ in columns}.values())
    longest = max(distinct, key=len)
    if len(distinct) == 1 and (longest[1:] > longest[:-1]).all():
        return longest
    if _is_dense(longest) and all(longest[0] <= own[0] and own[-1] <= longest[-1] for own in distinct):
        return longest
    rows: Steps = np.sort(np.concatenate(distinct), kind="stable")  # sorted runs are merged: fast
    rows = rows[np.append(True, np.diff(rows) != 0)]
    return rows


def _is_dense(rows: Steps) -> bool:
    """Whether ascending rows leave out none."""
    return bool(rows[-1] - rows[0] == len(rows) - 1 and np.all(rows[1:] > rows[:-1]))


def _places(rows: Steps, all_rows: Steps) -> npt.NDArray[np.intp]:
    """Where each of some rows stands among all of them."""
    return rows - all_rows[0] if _is_dense(all_rows) else np.searchsorted(all_rows, rows)


def _clock(columns: Mapping[str, tuple[Steps, Values]], given: Sequence[str] | None) -> _Clock:
    """Find the columns that count steps and give every row its step."""
    rows = _all_rows(columns.values())
    candidates = {
        name: columns[name] for name in (given if given is not None else columns) if name in columns
    }

    def turns(name: str, epochs: Values | None) -> npt.NDArray[np.bool_] | None:
        return None if epochs is None else np.diff(epochs[np.searchsorted(rows, columns[name][0])]) > 0

    def first(names: tuple[str, ...], *, whole: bool = False, epochs: Values | None = None) -> str | None:
        ranked = [(names.index(plain(name)), name) for name in candidates if plain(name) in names]
        in_order = [name for _, name in sorted(ranked, key=lambda pair: pair[0])]
        usable = [name for name in in_order if _counts(columns[name][1], whole, turns(name, epochs))]
        return _beside_quantities(columns, usable)

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
    counter = first((*_ITERATION, *_WITHIN), whole=True, epochs=epochs)
    if counter is not None:
        counts = _filled(rows, columns[counter])
        used = numbered | {counter}
        if _starts_again(counts, epochs):
            if epochs is None:
                epochs = np.concatenate([[0.0], np.cumsum(np.diff(counts) < 0)])
            else:
                used.add(epoch or "")
            stated = columns.get(length_of(counter))
            lengths = None if stated is None else _filled(rows, stated)
            counts = _unrolled(np.floor(epochs), counts, lengths)
        if counts.max() <= _LARGEST_STEP:
            return _Clock(rows, counts.astype(np.int64), Unit.ITERATION, frozenset(used))
    if epoch is not None and epochs is not None and _once_an_epoch(columns, rows, epochs):
        return _Clock(rows, epochs.astype(np.int64), Unit.EPOCH, frozenset(numbered | {epoch}))
    if index is not None and not numbered:  # a data frame's index that counts by more than one
        counts = _filled(rows, columns[index])
        return _Clock(rows, counts.astype(np.int64), Unit.ITERATION, frozenset({index}))
    return _Clock(rows, np.arange(len(rows), dtype=np.int64), Unit.RECORD, frozenset(numbered))


def _beside_quantities(columns: Mapping[str, tuple[Steps, Values]], ranked: Sequence[str]) -> str | None:
    """The first of some counters, but none that stands on far fewer rows with a quantity than another.

    A counter named in passing ("saving the model, total_iters 5000") would stand still in between.
    """
    if len(ranked) < 2:
        return ranked[0] if ranked else None
    quantities = [column for name, column in columns.items() if not counts_steps(name)]
    if not quantities:
        return ranked[0]
    rows = _all_rows(quantities)
    shares = [
        1.0 if columns[name][0] is rows else float(np.mean(np.isin(rows, columns[name][0], kind="sort")))
        for name in ranked
    ]
    return next(name for name, share in zip(ranked, shares, strict=True) if share >= 0.5 * max(shares))


def _counts(values: Values, whole: bool = False, turns: npt.NDArray[np.bool_] | None = None) -> bool:
    """Whether a column can count steps: finite, not negative, not constant, and it mostly grows or stands.

    whole: its numbers must be whole, too. A constant "batch" is the size of a batch.
    turns: where it may go back because an epoch begins, bool (n - 1,).
    """
    good = np.isfinite(values)
    finite = values if good.all() else values[good]
    if len(finite) < 0.9 * len(values) or not len(finite) or finite.min() < 0 or finite.max() > _LARGEST_STEP:
        return False
    if whole and (finite != np.floor(finite)).any():
        return False
    if len(finite) < 3:
        return True
    falls = finite[1:] < finite[:-1]
    if turns is not None and len(turns) == len(falls):
        falls &= ~turns
    return bool(np.ptp(finite) > 0 and np.count_nonzero(falls) <= 0.5 * len(finite))


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
    if own is rows and good.all():
        return values
    own, values = own[good], values[good]
    at = np.clip(np.searchsorted(own, rows, side="right") - 1, 0, None)
    return values[at]


def _starts_again(counts: Values, epochs: Values | None) -> bool:
    """Whether a counter starts again in each epoch (and so counts batches within it)."""
    back = np.diff(counts) < 0
    if not np.any(back):
        return False
    if epochs is not None:
        # Where the epoch stands or goes back, training was started anew: that says nothing here.
        ends = np.diff(epochs) > 0
        return bool(np.any(ends) and np.mean(back[ends]) >= 0.3)
    # Without an epoch: at least three rounds of nearly one length, each from near the start.
    tops, starts = counts[:-1][back], counts[1:][back]
    return len(tops) >= 3 and bool(np.ptp(tops) <= 0.1 * tops.max() and starts.max() <= 0.1 * tops.max() + 1)


def _unrolled(epochs: Values, counts: Values, lengths: Values | None = None) -> Values:
    """One counter from an epoch and a counter within it.

    An epoch is as long as the log states (`lengths`), or else as the counts say, anew for each start
    of training from its beginning, which may have another data set or batch size.
    """
    if lengths is None:
        lengths = _epoch_lengths(epochs, counts)
    # Absolute, not from the first epoch seen: after a resume the numbers must go on.
    steps: Values = (epochs - min(1.0, epochs.min())) * lengths + counts
    return steps


def _epoch_lengths(epochs: Values, counts: Values) -> Values:
    """The length of the epoch at every row, from the counts themselves."""
    forward, passed = np.diff(counts), np.diff(epochs)
    stride = float(np.median(forward[forward > 0])) if np.any(forward > 0) else 1.0
    young = epochs[1:] <= epochs.min() + 0.05 * np.ptp(epochs)
    anew = (passed < 0) | ((passed == 0) & (forward < 0))
    starts = np.concatenate([[0], np.flatnonzero(anew & young) + 1])
    ends = np.append(starts[1:], len(counts))
    found = np.array(
        [
            _epoch_length(epochs[start:end], counts[start:end], stride)
            for start, end in zip(starts, ends, strict=True)
        ]
    )
    # Counts are printed every `stride`: lengths that differ by less are one, the largest.
    order = np.argsort(found, kind="stable")
    for small, large in zip(order[-2::-1], order[:0:-1], strict=True):
        if found[large] - found[small] <= stride:
            found[small] = found[large]
    return np.repeat(found, ends - starts)


def _epoch_length(epochs: Values, counts: Values, stride: float) -> float:
    """The length of the epochs of one start: what makes the steps go on by `stride` into the next epoch.

    Some logs count (with a length of their own) on into the next epoch, so that each begins later
    than the last; in the others an epoch is at least as long as its largest count.
    """
    top = float(counts.max())
    turns = np.flatnonzero(np.diff(epochs) == 1)
    if not len(turns):
        return top
    length = float(np.median(counts[turns] - counts[turns + 1])) + stride
    goes_on = len(turns) >= 3 and counts[turns[-1] + 1] > counts[: turns[0] + 1].max()
    return length if goes_on else max(top, length)


def _wall(columns: Mapping[str, tuple[Steps, Values]], rows: Steps) -> tuple[str, Values | None]:
    """The column that holds seconds since 1970, if there is one, and its value at every row."""
    for name, column in columns.items():
        values = column[1]
        often = 2 * len(values) >= len(rows)
        if plain(name) in _WALL and often and np.all(np.isfinite(values)) and values.min() > _EPOCH_2001:
            seconds = _filled(rows, column)
            return name, seconds / 1000 if values.min() > 1000 * _EPOCH_2001 else seconds  # some log ms
    return "", None
