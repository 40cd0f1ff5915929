"""Logged histograms as columns of numbers: size, ends, and how much lies near 0 and at the ends.

What the bins hold is taken to be spread evenly within each. TensorBoard's own message also has the exact
sums (encoding "tb-histo"); where only the bins are, a root mean square is approximate.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from gandoctor.readers._events import fields_of
from gandoctor.readers.faults import Faults
from gandoctor.readers.wandb_log import read_histograms
from gandoctor.run import Histogram, LogProblem, Steps, Values

MOST = 200  # histograms of a tag: as many points as detectors look at
EXACT = frozenset({"tb-histo"})  # encodings that hold the sum of squares itself
_LONGEST = 4 << 20  # bytes of one histogram
_NEAR = 1e-3  # of the largest absolute value: what is near 0
_HUGE = 1e100  # beyond it squares overflow
_SLACK = 1.01  # sums in float32 are a little off

# Fields of HistogramProto and of TensorProto.
_MIN, _MAX, _NUM, _SUM_SQUARES, _LIMIT, _BUCKET = 1, 2, 3, 5, 6, 7
_DTYPE, _SHAPE, _CONTENT, _FLOATS, _DOUBLES = 1, 2, 4, 5, 6
_TYPES = {1: "<f4", 2: "<f8"}


@dataclass(frozen=True, slots=True)
class Bins:
    """One histogram. low, high: the least and the largest value. num: how many values.

    left, right: float64 (k,), ascending, the ends of each bin, none beyond `low` or `high`.
    counts: float64 (k,). sum_squares: None where the log holds the bins only.
    """

    low: float
    high: float
    num: float
    left: Values
    right: Values
    counts: Values
    sum_squares: float | None = None

    @property
    def largest(self) -> float:
        """The largest absolute value."""
        return max(abs(self.low), abs(self.high))

    @property
    def rms(self) -> float:
        """The root mean square."""
        squares = self.sum_squares
        if squares is None:
            a, b = self.left, self.right
            squares = float(self.counts @ (a * a + a * b + b * b)) / 3
        return math.sqrt(squares / self.num)

    @property
    def near_zero(self) -> float:
        """The share of values below a thousandth of the largest."""
        bound = _NEAR * self.largest
        reach = slice(
            int(np.searchsorted(self.right, -bound)), int(np.searchsorted(self.left, bound, "right"))
        )
        left, right, counts = self.left[reach], self.right[reach], self.counts[reach]
        width = right - left
        point = width <= 0  # a bin without width is within or not
        inside = np.minimum(right, bound) - np.maximum(left, -bound)
        share = np.where(point, np.abs(left) <= bound, inside / np.where(point, 1.0, width))
        return min(float(counts @ share) / self.total, 1.0)

    @property
    def at_ends(self) -> tuple[float, float]:
        """The shares of the values that are piled up at the lower and at the upper end.

        What an outermost bin holds above the density of its inner neighbours: next to nothing for a
        distribution whose density changes little from bin to bin; clipping puts all that it cuts off there.
        """
        held = self.counts > 0
        first, last = int(held.argmax()), len(held) - 1 - int(held[::-1].argmax())
        if first == last:
            return 0.0, 0.0  # one bin does not tell its ends apart
        width = self.right[first : last + 1] - self.left[first : last + 1]
        counts = self.counts[first : last + 1]
        return _piled(width, counts) / self.total, _piled(width[::-1], counts[::-1]) / self.total

    @property
    def total(self) -> float:
        """The sum of the counts."""
        return float(self.counts.sum())


def _piled(width: Values, counts: Values) -> float:
    """The count of the first bin above that of its neighbours, at their density."""
    room, held = float(width[1]), float(counts[1])
    for at in range(2, len(width)):  # neighbours as wide as the bin itself, two of them at least
        room, held = room + float(width[at]), held + float(counts[at])
        if room >= width[0]:
            break
    density = held / room if room > 0 else 0.0
    return max(float(counts[0]) - density * float(width[0]), 0.0)


@dataclass(frozen=True, slots=True)
class Distributions:
    """The histograms of one tag over the run, all columns of equal length n.

    steps: int64 (n,), ascending. The others: float64 (n,). low, high: the ends. num: how many values.
    rms: their root mean square; times the square root of num it is the norm. largest: absolute value.
    near_zero: share below a thousandth of the largest. at_low, at_high: shares piled up at the ends.
    exact: whether rms is from the log's own sum of squares. logged: how many histograms the log has.
    """

    tag: str
    source: Path
    steps: Steps
    low: Values
    high: Values
    num: Values
    rms: Values
    largest: Values
    near_zero: Values
    at_low: Values
    at_high: Values
    exact: bool
    logged: int

    def __len__(self) -> int:
        return len(self.steps)

    def until(self, step: int) -> Distributions:
        """Those up to a step."""
        kept = self.steps <= step
        columns = ("steps", "low", "high", "num", "rms", "largest", "near_zero", "at_low", "at_high")
        return replace(self, **{name: getattr(self, name)[kept] for name in columns})

    @property
    def norm(self) -> Values:
        """The Euclidean norm of the values, float64 (n,)."""
        return self.rms * np.sqrt(self.num)


def distributions(
    references: Iterable[Histogram], most: int = MOST
) -> tuple[dict[str, Distributions], list[LogProblem]]:
    """The histograms that are referred to, by tag, and what could not be read of them.

    Of a tag with more than `most` every nth is read. Of several at one step the last written counts.
    Files are read once, in their own order: a tenth of a millisecond a histogram.
    """
    by_tag: dict[str, list[Histogram]] = {}
    for one in references:
        by_tag.setdefault(one.tag, []).append(one)
    logged = {tag: len(mine) for tag, mine in by_tag.items()}
    chosen = {tag: _chosen(mine, most) for tag, mine in by_tag.items()}
    rows: dict[tuple[str, int], tuple[float, ...]] = {}
    problems: list[LogProblem] = []
    everything = [one for mine in chosen.values() for one in mine]
    everything.sort(key=lambda one: (str(one.source), one.encoding == "wandb", one.offset))
    for (source, wandb), group in groupby(everything, key=lambda one: (one.source, one.encoding == "wandb")):
        faults = Faults(source)
        read = _read_wandb if wandb else _read_events
        for reference, bins in read(source, list(group), faults):
            if bins.num > 0:
                rows[reference.tag, reference.step] = (
                    bins.low, bins.high, bins.num, bins.rms, bins.largest, bins.near_zero, *bins.at_ends,
                )  # fmt: skip
        problems += faults.problems()
    found = {}
    for tag, mine in chosen.items():
        steps = sorted({one.step for one in mine if (tag, one.step) in rows})
        table = np.array([rows[tag, step] for step in steps], np.float64).reshape(len(steps), 8)
        exact = all(one.encoding in EXACT for one in mine)
        low, high, num, rms, largest, near_zero, at_low, at_high = table.T
        found[tag] = Distributions(
            tag, mine[0].source, np.array(steps, np.int64), low, high, num, rms, largest, near_zero,
            at_low, at_high, exact, logged[tag],
        )  # fmt: skip
    return found, problems


def _chosen(mine: Sequence[Histogram], most: int) -> list[Histogram]:
    """One reference a step, the last of them, and of these every nth."""
    last = {one.step: one for one in mine}
    steps = sorted(last)
    return [last[step] for step in steps[:: -(-len(steps) // most)]]


def _read_events(
    source: Path, references: Sequence[Histogram], faults: Faults
) -> Iterator[tuple[Histogram, Bins]]:
    """Those of one event file, with what is wrong put into `faults`."""
    try:
        file = source.open("rb", buffering=0)
    except OSError as fault:
        faults.add("", "unreadable", f"its histograms cannot be read: {fault.strerror}")
        return
    with file:
        for one in references:
            try:
                if one.length > _LONGEST:
                    raise ValueError(f"it has {one.length:,} bytes")
                file.seek(one.offset)
                data = file.read(one.length)
                if len(data) < one.length:
                    raise ValueError("the file ends within it")
                yield one, (_of_message if one.encoding == "tb-histo" else _of_tensor)(data)
            except (ValueError, OSError) as fault:
                faults.add(f"byte {one.offset}", "bad-histogram", f"{one.tag[:200]} is not used: {fault}")


def _read_wandb(
    source: Path, references: Sequence[Histogram], faults: Faults
) -> Iterator[tuple[Histogram, Bins]]:
    """Those of one W&B file: each record is read once, whatever it holds of them."""
    try:
        for offset, group in groupby(references, key=lambda one: one.offset):
            mine = {one.tag: one for one in group}
            held = read_histograms(source, offset, mine)
            for tag, one in mine.items():
                found = held[tag]
                try:
                    if isinstance(found, ValueError):
                        raise found
                    edges, counts = found
                    yield one, _checked(edges[:-1], edges[1:], counts)
                except ValueError as fault:
                    faults.add(f"byte {offset}", "bad-histogram", f"{tag[:200]} is not used: {fault}")
    except OSError as fault:
        faults.add("", "unreadable", f"its histograms cannot be read: {fault.strerror}")


def _checked(
    left: Values, right: Values, counts: Values, *,
    ends: tuple[float, float] | None = None, num: float | None = None, sum_squares: float | None = None,
) -> Bins:  # fmt: skip
    """A histogram from its parts, cut to its ends. Raises ValueError where they contradict each other."""
    total = float(counts.sum())
    if not math.isfinite(total) or (len(counts) and counts.min() < 0):
        raise ValueError("its counts are no counts")
    if not total or num == 0:
        return Bins(0.0, 0.0, 0.0, left, right, counts)
    if ends is None:
        held = np.flatnonzero(counts)
        ends = float(left[held[0]]), float(right[held[-1]])
    low, high = ends
    if not -_HUGE < low <= high < _HUGE:
        raise ValueError(f"it runs from {low} to {high}")
    left, right = (np.minimum(np.maximum(side, low), high) for side in (left, right))
    if not ((right[1:] >= right[:-1]).all() and (left <= right).all()):  # NaN is neither
        raise ValueError("its bins do not ascend")
    if sum_squares is not None and sum_squares == math.inf:
        sum_squares = None  # summed in float32, beyond which it lies
    bins = Bins(low, high, total if num is None else num, left, right, counts, sum_squares)
    fits = bins.num > 0 and (sum_squares is None or sum_squares >= 0) and bins.rms <= _SLACK * bins.largest
    if not fits:
        raise ValueError("its sum of squares does not fit its range")
    return bins


def _of_message(data: bytes) -> Bins:
    """A HistogramProto. Raises ValueError."""
    numbers = dict.fromkeys((_MIN, _MAX, _NUM, _SUM_SQUARES), 0.0)
    limits, counts = [np.empty(0)], [np.empty(0)]
    for field, wire, value in _fields(data):
        if wire == 1 and field in numbers:
            numbers[field] = struct.unpack("<d", value)[0]
        elif field in (_LIMIT, _BUCKET) and wire in (1, 2):
            (limits if field == _LIMIT else counts).append(_doubles(value, "<f8"))
    right, count = np.concatenate(limits), np.concatenate(counts)
    if len(right) != len(count):
        raise ValueError(f"it has {len(right)} limits for {len(count)} counts")
    left = np.concatenate([[-np.inf], right[:-1]]) if len(right) else right
    return _checked(
        left, right, count, ends=(numbers[_MIN], numbers[_MAX]), num=numbers[_NUM],
        sum_squares=numbers[_SUM_SQUARES],
    )  # fmt: skip


def _of_tensor(data: bytes) -> Bins:
    """A tensor of rows (left, right, count). Raises ValueError."""
    dtype, flat = 0, [np.empty(0)]
    for field, wire, value in _fields(data):
        if field == _DTYPE and wire == 0:
            dtype = value[0]
        elif field == _SHAPE and wire == 2:
            dims = [dim for number, kind, dim in _fields(value) if (number, kind) == (2, 2)]
            if len(dims) != 2 or dims[1] != b"\x08\x03":  # {1 size: 3}
                raise ValueError("its tensor has not three columns")
        elif field == _CONTENT and wire == 2:
            flat.append(_doubles(value, _TYPES.get(dtype, "")))
        elif field in (_FLOATS, _DOUBLES) and wire in (1, 2, 5):
            flat.append(_doubles(value, "<f4" if field == _FLOATS else "<f8"))
    table = np.concatenate(flat)
    if len(table) % 3:
        raise ValueError("its tensor is no table of left, right and count")
    left, right, counts = table.reshape(-1, 3).T
    return _checked(left, right, counts)


def _doubles(data: bytes, dtype: str) -> Values:
    """Packed floats as float64 (n,). Raises ValueError."""
    if not dtype or len(data) % np.dtype(dtype).itemsize:
        raise ValueError("its numbers are cut off, or no floats")
    return np.frombuffer(data, dtype).astype(np.float64)


def _fields(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """The fields of a protobuf message: number, wire type, bytes. Raises ValueError."""
    return ((number, wire, data[a:b]) for number, wire, a, b in fields_of(data, 0, len(data)))
