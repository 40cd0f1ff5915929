"""What is kept of a tensor of weights, and of an optimiser's moments: measured in one pass over their bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gandoctor.contents.tensors import CHUNK, Tally, Tensor, TensorStats, sum_of_squares
from gandoctor.interpret.singular import Largest, exactly, finished, is_small, spectral_norm

Floats = npt.NDArray[np.float32]
Array = npt.NDArray[Any]

LARGEST = 1 << 24  # elements of a layer whose matrix is taken into memory: 64 MB
_SAMPLE = 1_024  # elements of a tensor that are kept, evenly spaced: how far it moved, to about 3%
_PRIME = 1_000_003


@dataclass(frozen=True, slots=True)
class Measured:
    """One tensor of weights.

    digest: a checksum of its values; the same weights have the same. sample: float32 (≤ 2048,), evenly spaced
    elements. edge: the share of its elements with at least 90% of the largest size, measured where the root mean
    square is over 0.6 of that (by Markov's inequality the share is under 0.45 elsewhere), else 0.
    """

    stats: TensorStats
    digest: int
    sample: Floats
    edge: float = 0.0

    @property
    def norm(self) -> float:
        """The 2-norm of its finite elements."""
        return math.sqrt(self.stats.sum_squares)

    @property
    def rms(self) -> float:
        """The root mean square of its finite elements, 0 where there is none."""
        finite = self.stats.n - self.stats.nonfinite
        return math.sqrt(self.stats.sum_squares / finite) if finite else 0.0


@dataclass(frozen=True, slots=True)
class Layout:
    """How a layer's tensor is read as a matrix, units x rest, the way spectral normalisation does.

    axis: of the units, 0 or 1. u: float32 (units,), v: float32 (rest,): spectral normalisation's vectors, if kept.
    """

    shape: tuple[int, ...]
    axis: int
    u: Floats | None = None
    v: Floats | None = None

    @property
    def units(self) -> int:
        """Rows of the matrix."""
        return self.shape[self.axis]

    @property
    def rest(self) -> int:
        """Its columns."""
        return math.prod(self.shape) // self.units


@dataclass(frozen=True, slots=True)
class Spectrum:
    """What a layer's matrix W tells. sigma: its largest singular value; zero_units: the share of its rows that are
    exactly 0; divisor: uᵀWv, what spectral normalisation divides by, None without it.
    """

    sigma: float
    zero_units: float
    divisor: float | None


class Scratch:
    """Memory for one matrix after the other, so that its pages are not asked for anew."""

    def __init__(self) -> None:
        self._values = np.empty(0, np.float32)

    def of(self, size: int) -> Floats:
        """Room for this many elements; what was there before is overwritten."""
        if len(self._values) < size:
            self._values = np.empty(size, np.float32)
        return self._values[:size]


def measured(
    tensor: Tensor, layout: Layout | None = None, scratch: Scratch | None = None
) -> tuple[Measured, Spectrum | None]:
    """Measure a tensor in pieces, and as a matrix where a layout is given. Raises Unreadable.

    No spectrum where the tensor holds what is not finite.
    """
    rows = None if layout is None else _Rows(layout, scratch or Scratch())
    chunk = CHUNK if rows is None else rows.chunk
    every = max(1, -(-tensor.size // (2 * _SAMPLE)))
    tally = Tally()
    digest, at, kept = 0, 0, []
    into = None if rows is None else rows.into
    for piece in tensor.chunks(chunk, in_rows=rows is not None, into=into):
        for part in (piece[i : i + CHUNK] for i in range(0, len(piece), CHUNK)):  # a row may be long
            tally.add(part)
        digest = (digest * _PRIME + _checksum(piece)) % (1 << 64)
        with np.errstate(over="ignore"):
            kept.append(piece[-at % every :: every].astype(np.float32))
        at += len(piece)
        if rows is not None:
            rows.see(piece)
    again = _again(tensor, rows)
    stats = tally.stats(again)
    edge = 0.0
    if tally.rms > 0.6 * stats.max_abs and not stats.nonfinite:
        edge = tally.reaching(0.9, again) / stats.n
    sample = np.concatenate(kept) if kept else np.empty(0, np.float32)
    spectrum = None if rows is None or stats.nonfinite or not stats.n else rows.spectrum(stats)
    return Measured(stats, digest, sample, edge), spectrum


def _checksum(piece: Array) -> int:
    """The sum of the elements' bits as words, without carry."""
    bits = piece.view(np.uint16 if piece.dtype.itemsize == 2 else np.uint32)
    return int(np.add.reduce(bits, dtype=bits.dtype))


def _again(tensor: Tensor, rows: _Rows | None) -> Callable[[Sequence[bool]], Iterable[Array]]:
    """How to look at the wanted ones of the tally's parts once more: in memory, if they are there as they were."""
    if rows is None:
        return lambda wanted: tensor.chunks(CHUNK, wanted)

    def look(wanted: Sequence[bool]) -> Iterator[Array]:
        parts = -(-rows.chunk // CHUNK)  # of a piece
        pieces = [any(wanted[at : at + parts]) for at in range(0, len(wanted), parts)]
        again: Iterable[Array]
        if tensor.dtype == "float32":
            again = (rows.piece(at) for at, one in enumerate(pieces) if one)
        else:
            again = tensor.chunks(rows.chunk, pieces, in_rows=True)
        for piece in again:
            yield from (piece[at : at + CHUNK] for at in range(0, len(piece), CHUNK))

    return look


class _Rows:
    """A tensor that comes in pieces, as a matrix in memory: W (units, rest), or its transpose (rest, units) where
    the units are the second axis, so that each piece is a block of rows.
    """

    def __init__(self, layout: Layout, scratch: Scratch) -> None:
        self._layout = layout
        self._across = layout.axis == 1
        units, rest = layout.units, layout.rest
        self._width = units if self._across else rest
        size = units * rest
        self._values = scratch.of(size).reshape(-1, self._width)
        self._entry = size // layout.shape[0]
        self.chunk = max(1, CHUNK // self._entry) * self._entry
        self._full = 0  # rows
        start = layout.u if self._across else layout.v
        small = is_small(*self._values.shape)
        self._largest = None if small else Largest(self._width, [] if start is None else [start])
        self._maybe_zero: npt.NDArray[np.bool_] = np.ones(units, np.bool_)

    @property
    def into(self) -> Floats | None:
        """Where the tensor's elements may be read to, if they stay in their order."""
        return None if self._across else self._values.reshape(-1)

    def see(self, piece: Array) -> None:
        """Take the next piece, of whole entries of the first axis."""
        first, count = self._full, len(piece) // self._width
        block = self._values[first : first + count]
        with np.errstate(over="ignore", invalid="ignore"):
            if self._across:
                entries = len(piece) // self._entry
                across = piece.reshape(entries, self._width, -1).transpose(0, 2, 1)
                np.copyto(block.reshape(entries, -1, self._width), across)
            elif not np.may_share_memory(block, piece):
                np.copyto(block, piece.reshape(count, -1))
            self._full += count
            if self._largest is not None:
                left = self._largest.see(block)
                if not self._across:  # a row of zeros has products 0 with any direction
                    self._maybe_zero[first : first + count] = (left == 0).all(axis=1)

    def piece(self, at: int) -> Floats:
        """The elements of a piece, in the order of the matrix."""
        return self._values.reshape(-1)[at * self.chunk : (at + 1) * self.chunk]

    def spectrum(self, stats: TensorStats) -> Spectrum:
        """What the matrix tells. stats: of its elements.

        Without spectral normalisation σ₁ is asked for where it stands out, or grows many times: the rounds are few.
        """
        values, layout, largest = self._values, self._layout, stats.max_abs
        norm = math.sqrt(stats.sum_squares) if layout.u is None and layout.v is None else 0.0
        if self._largest is None or not 1e-12 < largest < 1e12:
            sigma = exactly(values) if 1e-12 < largest < 1e12 else spectral_norm(values)
        else:
            if self._across:
                self._maybe_zero = (self._largest.back == 0).all(axis=1)
            sigma = finished(self._largest, values, norm=norm)
        doubtful = np.flatnonzero(self._maybe_zero)
        alive = values[:, doubtful].any(axis=0) if self._across else values[doubtful].any(axis=1)
        zero = float(np.count_nonzero(~alive)) / layout.units
        return Spectrum(sigma, zero, self._divisor())

    def _divisor(self) -> float | None:
        u, v = self._layout.u, self._layout.v
        before, after = (v, u) if self._across else (u, v)  # of the matrix as it lies here
        if after is not None:
            product = np.einsum("ij,j->i", self._values, after)
            return float(np.linalg.norm(product) if before is None else np.dot(before, product))
        if before is not None:
            return float(np.linalg.norm(np.einsum("i,ij->j", before, self._values)))
        return None


# -- optimisers


@dataclass(frozen=True, slots=True)
class Moments:
    """What Adam (or RMSprop) remembers of one parameter.

    name: of the parameter; "" where no network fits. gradient: the root mean square √(mean v̂) of its recent
    gradients. step: RMS of m̂ / (√v̂ + ε), in learning rates; NaN without a first moment.
    starved: the share of its elements with √v̂ < ε. unfed: the share of its units (first dimension) none of
    whose elements ever had a gradient. bad: elements that are not finite.
    """

    name: str
    size: int
    gradient: float
    step: float
    starved: float
    unfed: float
    bad: int


def moments(
    name: str, entry: Mapping[Any, Any], done: int, beta1: float, beta2: float, eps: float
) -> Moments | None:
    """One parameter's moments, both read side by side in pieces. Raises Unreadable.

    entry: the optimiser's state of it. done: the steps that it has seen.
    """
    second = entry.get("exp_avg_sq", entry.get("square_avg"))
    first = entry.get("exp_avg")
    if not isinstance(second, Tensor) or not is_floating(second) or second.size == 0:
        return None
    if not isinstance(first, Tensor) or first.shape != second.shape or not is_floating(first):
        first = None
    adam = "exp_avg_sq" in entry  # RMSprop corrects no bias
    of_v = 1 - beta2**done if adam and done else 1.0
    of_m = 1 - beta1**done if adam and done else 1.0
    row = second.size // second.shape[0] if len(second.shape) > 1 else 0
    fed = np.zeros(second.shape[0] if row else 0, np.bool_)
    squares, moved, starved, bad, at = 0.0, 0.0, 0, 0, 0
    least, scale, small = np.float32(eps * eps * of_v), np.float32(1 / math.sqrt(of_v)), np.float32(eps)
    means = first.chunks() if first is not None else None
    room = np.empty(min(second.size, CHUNK), np.float32)
    for piece in second.chunks():
        v, lowest, wrong = _finite(piece)
        bad += wrong
        if row:
            ends = np.arange(at // row, (at + len(v) - 1) // row + 1)
            fed[ends] |= True if lowest > 0 else np.maximum.reduceat(v, np.maximum(ends * row - at, 0)) > 0
        at += len(v)
        squares += _sum(v) / of_v
        starved += int(np.count_nonzero(v < least)) if lowest < least else 0
        if means is not None:
            m, _, wrong = _finite(next(means))
            bad += wrong
            root = np.sqrt(v if lowest >= 0 else np.maximum(v, 0), out=room[: len(v)])
            root *= scale
            root += small
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                ratio = np.divide(m, root, out=root)
                moved += _sum_squares(ratio) / of_m**2
    size = second.size
    step = math.sqrt(moved / size) if means is not None else math.nan
    unfed = float(np.count_nonzero(~fed)) / len(fed) if row else 0.0
    return Moments(name, size, math.sqrt(squares / size), step, starved / size, unfed, bad)


def is_floating(tensor: Tensor) -> bool:
    """Whether a tensor holds real floating-point numbers."""
    return "float" in str(tensor.dtype) and "complex" not in str(tensor.dtype)


def _sum(values: Floats) -> float:
    """A sum of numbers ≥ 0, in single precision pairwise; in double where that would overflow."""
    with np.errstate(over="ignore"):
        quick = float(values.sum())
    return quick if math.isfinite(quick) else float(values.sum(dtype=np.float64))


def _sum_squares(ratio: Floats) -> float:
    """The sum of squares of finite numbers; 0/0, an element that nothing moves, counts as 0."""
    quick = sum_of_squares(ratio)
    if math.isfinite(quick):
        return quick
    good = np.where(np.isfinite(ratio), ratio, 0).astype(np.float64)
    return float(good @ good)


def _finite(piece: Array) -> tuple[Floats, float, int]:
    """A piece as float32 with 0 for what is not finite (in float32), its least value, and how much is not."""
    with np.errstate(over="ignore"):
        values = piece.astype(np.float32, copy=False)
    lowest = float(values.min())
    if math.isfinite(float(values.max()) - lowest):
        return values, lowest, 0
    good = np.isfinite(values)
    values = np.where(good, values, np.float32(0))
    return values, float(values.min()), int(np.count_nonzero(~good))
