"""Tensors that stay in their file until they are asked for, and their statistics in small pieces.

A tensor is read with plain reads, not mapped: a job that overwrites its checkpoint while we look
would end this process with SIGBUS if it were mapped. Every read checks that the file is still the
one that was opened.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

MAX_ARRAY = 1 << 31  # bytes of a tensor that array() takes into memory; chunks() has no limit
_MAX_DIMENSIONS = 32  # numpy 1's limit
_MAX_SIZE = 1 << 40  # of one axis
_MAX_REPEATED = 1 << 24  # elements of a view that shows the same element many times
_AT_MAX = 0.99  # of the largest size
_DOT = 1 << 13
CHUNK = 1 << 17  # elements: with its float64 copy 1.5 MB, which stays in the cache of one core

_BFLOAT16 = "bfloat16"


class Unreadable(Exception):
    """A checkpoint, or one tensor in it, that cannot be read.

    place: "byte 1204", an entry's or a tensor's name, or "" for the whole file.
    """

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}" if place else message)
        self.place = place
        self.message = message


@dataclass(frozen=True, slots=True)
class File:
    """A file as it was when it was opened: size in bytes, and what changes when someone writes to it."""

    path: Path
    size: int
    stamp: tuple[int, int]

    @classmethod
    def of(cls, path: Path) -> File:
        """Raises Unreadable if there is no such file, or if it is not a regular one."""
        try:
            if not path.is_file():  # to open a pipe might wait for ever
                raise Unreadable("", "no such file" if not path.exists() else "not a regular file")
            with path.open("rb") as file:
                return cls(path, *_state(file))
        except OSError as wrong:
            raise Unreadable("", wrong.strerror or str(wrong)) from None

    def opened(self) -> io.RawIOBase:
        """The open file. Raises Unreadable if it is gone, or was written to since."""
        try:
            file = self.path.open("rb", buffering=0)
        except OSError as wrong:
            raise Unreadable("", wrong.strerror or str(wrong)) from None
        if _state(file) != (self.size, self.stamp):
            file.close()
            raise Unreadable("", "the file was written to while it was read")
        return file


def _state(file: io.IOBase) -> tuple[int, tuple[int, int]]:
    listed = getattr(getattr(file, "raw", file), "state", None)
    if listed is not None:  # it lies in a store: to ask for its descriptor would fetch it all
        return listed  # type: ignore[no-any-return]
    state = os.fstat(file.fileno())
    return state.st_size, (state.st_mtime_ns, state.st_ino)


@dataclass(frozen=True, slots=True)
class Part:
    """A run of bytes: `size` from `at` on, in a file or in memory."""

    origin: File | bytes
    at: int
    size: int

    def part(self, at: int, size: int) -> Part:
        """A part of this part. Raises Unreadable if it reaches beyond."""
        if at < 0 or size < 0 or at + size > self.size:
            raise Unreadable(
                f"byte {self.at + max(at, 0)}", "ends early: the file is cut or still being written"
            )
        return Part(self.origin, self.at + at, size)

    def read(self, at: int = 0, size: int | None = None) -> bytes:
        """These bytes of the part, or all of it. Raises Unreadable if they are not there."""
        part = self.part(at, self.size - at if size is None else size)
        if isinstance(part.origin, bytes):
            return part.origin[part.at : part.at + part.size]
        return self.taken(at, part.size).tobytes()

    def taken(self, at: int, size: int) -> Array:
        """These bytes of the part, uint8 (size,). Raises Unreadable if they are not there."""
        buffer = np.empty(size, np.uint8)
        with self.part(at, size).open() as file:
            _fill(file, buffer)
        return buffer

    def open(self) -> io.RawIOBase:
        """A stream that stands at the part's first byte (and reads on beyond its last)."""
        file: Any = self.origin.opened() if isinstance(self.origin, File) else io.BytesIO(self.origin)
        file.seek(self.at)
        return file  # type: ignore[no-any-return]


def _fill(file: Any, buffer: Any) -> None:
    """Read until the buffer is full. Raises Unreadable if the file ends or fails before."""
    view = memoryview(buffer).cast("B")
    done = 0
    while done < len(view):
        try:
            count = file.readinto(view[done:])
        except OSError as wrong:
            raise Unreadable("", wrong.strerror or str(wrong)) from None
        if not count:
            raise Unreadable("", "ends early: the file is cut or still being written")
        done += count


@dataclass(eq=False, slots=True, repr=False)
class Inert:
    """An object or a function that a pickle names; nothing of it was imported or run.

    args: what it was called with, None if it was only named. state: what its __setstate__ would
    have got, a dict of attributes as a rule (slots merged in). items: what it holds as a subclass
    of dict or list.
    """

    module: str
    name: str
    args: tuple[object, ...] | None = None
    state: object = None
    items: dict[object, object] | list[object] | None = None

    def __repr__(self) -> str:
        return f"Inert({self.module}.{self.name})"


class Storage:
    """The bytes that tensors share. part: None while they are not known, and where they cannot be had.

    size: as the file declares it, in bytes. order: "<" or ">". inflate: reads them where they are compressed.
    """

    __slots__ = ("inflate", "order", "part", "problem", "size", "unit")

    def __init__(self, size: int, part: Part | None = None, order: str = "<", unit: int = 1) -> None:
        self.size = size
        self.part = part
        self.order = order
        self.unit = unit
        self.problem = ""
        self.inflate: Any = None


class Tensor:
    """A tensor that stays in its file until it is asked for.

    shape; dtype: numpy's name for what array() gives ("float32" for bfloat16, which numpy lacks);
    stored: the name of the type in the file; problem: why it cannot be read, "" if it can.
    """

    __slots__ = ("_offset", "_problem", "_storage", "_strides", "dtype", "shape", "stored")

    def __init__(
        self,
        storage: Storage | None,
        stored: str,
        shape: tuple[int, ...],
        strides: tuple[int, ...] | None = None,
        offset: int = 0,
        problem: str = "",
    ) -> None:
        """Count strides and offset in elements; without strides the elements lie row by row."""
        self.shape, self.stored = shape, stored
        self._storage, self._offset, self._problem = storage, offset, problem
        self.dtype = "float32" if stored == _BFLOAT16 else stored
        self._strides: tuple[int, ...] = () if strides is None else strides
        if not problem:
            self._problem = self._check(strides)

    def _check(self, strides: tuple[int, ...] | None) -> str:
        """Why shape, strides and offset do not fit the storage; "" if they do."""
        shape = self.shape
        numbers = (*shape, *(strides or ()), self._offset)
        if any(type(one) is not int or one < 0 for one in numbers):
            self.shape = ()
            return "its sizes, strides and offset are not all natural numbers"
        if len(shape) > _MAX_DIMENSIONS or max(shape, default=0) > _MAX_SIZE:
            return f"more than {_MAX_DIMENSIONS} dimensions, or more than {_MAX_SIZE:,} elements along one"
        if strides is None:
            strides = row_major(shape)
        if len(strides) != len(shape):
            return f"{len(strides)} strides for {len(shape)} dimensions"
        # an axis of one element never takes its stride, which may be any number
        self._strides = tuple(step if size > 1 else 0 for size, step in zip(shape, strides, strict=True))
        if self.size == 0:
            return ""
        if self._storage is None:
            return "its data are not in the file"
        kept = self._storage.size // self._kept().itemsize
        last = self._offset + self._span() - 1
        if last >= kept:
            return f"it reaches to element {last:,} of a storage of {kept:,}"
        if self.size > max(kept, _MAX_REPEATED):
            return f"{self.size:,} elements over a storage of {kept:,}"
        return ""

    def __repr__(self) -> str:
        return f"Tensor({self.shape}, {self.stored}{', unreadable' if self.problem else ''})"

    @property
    def problem(self) -> str:
        """Why the tensor cannot be read, "" if it can."""
        if self._problem or self._storage is None or self.size == 0:
            return self._problem
        return self._storage.problem

    @property
    def own_problem(self) -> str:
        """The problem that it has beside that of its storage."""
        return self._problem

    def viewed(
        self, stored: str, shape: tuple[Any, ...], strides: tuple[Any, ...], offset: Any, problem: str = ""
    ) -> Tensor:
        """Another tensor over the same storage; its offset counts from where this one starts."""
        start = offset + self._offset if type(offset) is int and offset >= 0 else -1
        return Tensor(self._storage, stored, shape, strides, start, problem)

    @property
    def size(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that array() takes, if no element is shown twice."""
        return 0 if self._problem else self.size * np.dtype(self.dtype).itemsize

    def _kept(self) -> np.dtype[Any]:
        """The numpy type of the elements as they are stored."""
        kept = np.dtype("u2" if self.stored == _BFLOAT16 else self.stored)
        return kept.newbyteorder(">" if self._storage is not None and self._storage.order == ">" else "<")

    def _span(self) -> int:
        """Elements from the first to the last that it shows."""
        return 1 + sum((size - 1) * step for size, step in zip(self.shape, self._strides, strict=True))

    def _by_rows(self) -> bool:
        """Whether its elements lie row by row."""
        steps = zip(self._strides, row_major(self.shape), self.shape, strict=True)
        return all(step == usual for step, usual, size in steps if size > 1)

    def _block(self) -> Part | None:
        """The bytes that hold its elements, each once and nothing else; None if they do not lie so."""
        expected = 1
        for step, size in sorted((s, n) for s, n in zip(self._strides, self.shape, strict=True) if n > 1):
            if step != expected:
                return None
            expected *= size
        storage, width = self._storage, self._kept().itemsize
        if storage is None or storage.part is None:
            return None
        return storage.part.part(self._offset * width, self.size * width)

    def _checked(self) -> None:
        if self.problem:
            raise Unreadable("", self.problem)

    def array(self) -> Array:
        """The tensor as a numpy array, in the machine's byte order; a view shows the file's strides.

        Raises Unreadable if it cannot be read, or takes more than MAX_ARRAY bytes.
        """
        self._checked()
        if self.size == 0:
            return np.empty(self.shape, self.dtype)
        storage, kept = self._storage, self._kept()
        assert storage is not None
        length = self._span() * kept.itemsize
        if max(length, self.nbytes) > MAX_ARRAY:
            raise Unreadable("", f"the tensor takes {max(length, self.nbytes):,} bytes of memory")
        start = self._offset * kept.itemsize
        if storage.inflate is not None:
            data = storage.inflate()[start : start + length]
        elif storage.part is not None:
            data = storage.part.taken(start, length)
        else:
            raise Unreadable("", "its data are not in the file")
        flat = _converted(np.frombuffer(data, kept), self.stored)
        steps = tuple(step * flat.itemsize for step in self._strides)
        return np.lib.stride_tricks.as_strided(flat, self.shape, steps, writeable=False)

    def chunks(
        self,
        chunk: int = CHUNK,
        wanted: Sequence[bool] | None = None,
        *,
        in_rows: bool = False,
        into: Array | None = None,
    ) -> Iterator[Array]:
        """Every element once, in arrays (≤ chunk,); the buffer is used again.

        wanted: which of the pieces are to be read, all by default. in_rows: in the order of rows, not of the file.
        into: (size,), where they go if it has their type; the pieces are parts of it then. Raises Unreadable if
        the tensor cannot be read.
        """
        self._checked()
        if self.size == 0:
            return
        block = None if in_rows and not self._by_rows() else self._block()
        if block is None:
            flat = self.array().reshape(-1)
            starts = range(0, flat.size, chunk)
            yield from (flat[at : at + chunk] for i, at in enumerate(starts) if wanted is None or wanted[i])
            return
        whole = into if into is not None and into.dtype == self._kept() and into.flags.c_contiguous else None
        buffer = np.empty(min(chunk, self.size), self._kept()) if whole is None else whole
        with block.open() as file:
            for i, at in enumerate(range(0, self.size, chunk)):
                if wanted is not None and not wanted[i]:
                    continue
                file.seek(block.at + at * buffer.itemsize)
                start = 0 if whole is None else at
                piece = buffer[start : start + min(chunk, self.size - at)]
                _fill(file, piece.view("u1"))
                yield _converted(piece, self.stored)


def _converted(flat: Array, stored: str) -> Array:
    """Elements in the machine's byte order; bfloat16 is the upper half of a float32."""
    flat = flat.astype(flat.dtype.newbyteorder("="), copy=False)
    if stored == _BFLOAT16:
        return (flat.astype(np.uint32) << 16).view(np.float32)
    return flat


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides in elements of an array that lies row by row."""
    steps: list[int] = []
    step = 1
    for size in reversed(shape):
        steps.append(step)
        step *= max(size, 1)
    return tuple(reversed(steps))


@dataclass(frozen=True, slots=True)
class TensorStats:
    """n: elements; nonfinite: how many are NaN or infinite. The rest is over the finite ones, in float64.

    at_max: share of the finite elements whose size is within 1% of the largest, 0 where all are 0.
    """

    n: int
    nonfinite: int
    sum_squares: float
    max_abs: float
    at_max: float


class Tally:
    """The statistics of a tensor whose pieces are shown one after the other, each looked at once."""

    def __init__(self) -> None:
        self._count = self._nonfinite = 0
        self._squares = 0.0
        self._peaks: list[float] = []
        self._buffer = np.empty(0)
        self._values = self._buffer

    def add(self, piece: Array) -> None:
        """Take the next piece, one-dimensional."""
        real = _real(piece)
        if len(self._buffer) < real.size:
            self._buffer = np.empty(real.size)
        peak, values = _peak(real), _widened(real, self._buffer)
        if not math.isfinite(peak):
            values = values[np.isfinite(values)]
            peak = _peak(values)
            self._nonfinite += real.size - values.size
        self._count += real.size
        with np.errstate(over="ignore"):
            self._squares += sum_of_squares(values)
        self._peaks.append(peak)
        self._values = values

    @property
    def rms(self) -> float:
        """The root mean square of the finite elements so far, 0 where there is none."""
        finite = self._count - self._nonfinite
        return math.sqrt(self._squares / finite) if finite else 0.0

    @property
    def largest(self) -> float:
        """The largest size of a finite element so far."""
        return max(self._peaks, default=0.0)

    def reaching(self, share: float, again: Callable[[Sequence[bool]], Iterable[Array]]) -> int:
        """How many elements have at least this share of the largest size.

        again: gives the wanted ones of the pieces once more. They are those that are known to reach it: few,
        unless values are clipped; and none where there was one piece.
        """
        limit = share * self.largest
        if not limit > 0:
            return 0
        if len(self._peaks) == 1:
            return _reaching(self._values, limit)
        found = 0
        for piece in again([peak >= limit for peak in self._peaks]):
            values = _widened(_real(piece), self._buffer)
            found += _reaching(values[np.isfinite(values)] if self._nonfinite else values, limit)
        return found

    def stats(self, again: Callable[[Sequence[bool]], Iterable[Array]]) -> TensorStats:
        """What was found, after a second look at the pieces that hold the largest elements."""
        finite = self._count - self._nonfinite
        at_max = self.reaching(_AT_MAX, again) / finite if finite else math.nan
        return TensorStats(self._count, self._nonfinite, self._squares, self.largest, at_max)


def tensor_stats(tensor: Tensor, chunk: int = CHUNK) -> TensorStats:
    """Statistics of a tensor of numbers, read in pieces of `chunk` elements.

    A complex tensor counts as its real and imaginary parts. Raises Unreadable.
    """
    tally = Tally()
    for piece in tensor.chunks(chunk):
        tally.add(piece)
    return tally.stats(lambda wanted: tensor.chunks(chunk, wanted))


def _real(piece: Array) -> Array:
    """Numbers (n,), real and imaginary parts apart."""
    return piece.view(piece.real.dtype) if piece.dtype.kind == "c" else piece


def _widened(real: Array, buffer: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The numbers as float64, in the buffer."""
    values = buffer[: real.size]
    with np.errstate(invalid="ignore"):  # a signalling NaN, as damage makes them
        np.copyto(values, real)
    return values


def _peak(values: Array) -> float:
    """The largest size; NaN or infinite where a value is."""
    return max(-float(values.min()), float(values.max())) if values.size else 0.0


def sum_of_squares(values: Array) -> float:
    """The sum of squares of numbers (n,), in their own precision.

    By dot products short enough for BLAS to stay on one thread: that is faster where the processors are busy.
    """
    whole = len(values) // _DOT * _DOT
    rows, rest = values[:whole].reshape(-1, 1, _DOT), values[whole:]
    return float((rows @ rows.reshape(-1, _DOT, 1)).sum()) + float(rest @ rest)


def _reaching(values: npt.NDArray[np.float64], limit: float) -> int:
    """How many values are at least this large, either way."""
    return int(np.count_nonzero(values >= limit)) + int(np.count_nonzero(values <= -limit))
