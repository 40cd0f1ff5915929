"""TFRecord framing, the container of TensorBoard's event files, read as columns.

A frame is u64le n, u32le masked CRC-32C of those 8 bytes, n bytes, u32le masked CRC-32C of them.
Both checksums of every record are verified. Where they fail, reading goes on at the next 12 bytes
that are a valid header.

Frames are found by many walkers at once, and taken in blocks of equal length: such records differ
in few bytes, and only these need a look to tell whether their checksums hold.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedIOBase, RawIOBase
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from gandoctor.readers._crc32c import (
    REACH,
    SMALL,
    Bytes,
    Positions,
    crc32c,
    length_crc,
    length_crcs,
    masked,
    masked_int,
    piece_crcs,
    small_length_crcs,
    tables,
    unaligned,
)

Words: TypeAlias = npt.NDArray[np.uint64]
Mask: TypeAlias = npt.NDArray[np.bool_]

HEADER = 12
FRAME = 16  # the header and the data's checksum
COLUMNAR = 4096  # payload bytes; longer records are few and get no columns
_CHUNK = 4 << 20  # bytes read at once: the temporaries of a chunk stay near the cache
_SEGMENT = 4160  # bytes of a lane; not a power of 2, or all lanes would share a cache set
_WINDOW = 256  # bytes at the head of a lane in which its first header must start
_TAIL = 2048  # records in which a cycle must show
_NEEDLE = 64  # records whose sizes are looked for further up
_PAD = 40  # zero bytes behind a chunk, so that a gather at its end stays inside
_LARGEST = (1 << 32) - 1  # payload bytes; a longer length field is taken for damage


@dataclass(slots=True)
class Damage:
    """A damaged stretch of the file: bytes [start, end), and how many records it cost.

    exact: whether that number is known; else it is the least that can be.
    """

    start: int
    end: int
    lost: int
    exact: bool


@dataclass(slots=True)
class Block:
    """Records of one length from one chunk of the file.

    length: payload bytes. order: int64 (k,), the records' numbers in the file.
    at: int64 (k,), where each frame starts in the file. data: the chunk, which starts at `base`.
    rows: uint64 (k, w), the frames; delta: uint64 (w, k), the same XOR the first row; varies:
        uint64 (w,), the bits that are not the same in all. All are empty (w = 0) for records longer
        than COLUMNAR. What follows a frame fills its last word.
    """

    length: int
    order: Positions
    at: Positions
    data: Bytes
    base: int
    rows: Words
    delta: Words = field(init=False)
    varies: Words = field(init=False)

    def __post_init__(self) -> None:
        self.delta = np.empty(self.rows.shape[::-1], np.uint64)
        for word in range(len(self.delta) if len(self) > 1 else 0):
            np.bitwise_xor(self.rows[:, word], self.rows[0, word], out=self.delta[word])
        if len(self) <= 1:
            self.delta.fill(0)
        self.varies = np.bitwise_or.reduce(self.delta, axis=1)

    def __len__(self) -> int:
        return len(self.at)

    def column(self, offset: int, dtype: str) -> npt.NDArray[Any]:
        """The values of type `dtype` at byte `offset` of all payloads, (k,): a view of `rows`."""
        return np.ndarray(len(self), dtype, self.rows.data, HEADER + offset, self.rows.strides[:1])

    def payload(self, row: int) -> bytes:
        """The payload of one record."""
        start = int(self.at[row]) - self.base + HEADER
        return self.data[start : start + self.length].tobytes()

    def take(self, which: Mask) -> Block:
        """The records of a mask."""
        at, order, rows = self.at[which], self.order[which], self.rows[which]
        return Block(self.length, order, at, self.data, self.base, rows)


@dataclass(slots=True)
class Frames:
    """The records of an event file. Iterate `blocks()` to its end, then look at the damage.

    file: binary, seekable. size: its length in bytes; what is written later is not read.
    truncated: where a last record starts that is cut off, or None.
    A file that has grown: set `file` and `size` anew, and `blocks()` yields what is new.
    """

    file: BufferedIOBase | RawIOBase
    size: int
    damage: list[Damage] = field(default_factory=list)
    truncated: int | None = None
    count: int = 0
    _next: int = 0  # the first byte that no sound record or damage has taken
    _cycle: Positions = field(default_factory=lambda: _NONE)  # frame sizes that come again and again
    _period: int = 0  # records in a cycle, if all of the last chunk were as it foretold
    _lost: int | None = None  # file offset of a frame that could not be followed
    _cut: bool = False  # its header is sound, but the record passes the end of the file

    def blocks(self) -> Iterator[Block]:
        """Yield every sound record, in blocks of equal length, chunk by chunk."""
        base, want = self._next, _CHUNK
        self.truncated = self._lost = None
        while base < self.size:
            self.file.seek(base)
            data = _chunk(self.file, min(want, self.size - base))
            length = len(data) - _PAD
            if length < min(want, self.size - base):
                self.size = base + length  # the file has shrunk since
            starts, resume = self._walk(data, length, base)
            yield from self._blocks(data, starts, base)
            if base + length >= self.size:
                self._finish(base + resume)
                return
            want = _CHUNK
            if resume == 0:  # the first record is longer than the chunk
                want = max(want, FRAME + int.from_bytes(data[:8].tobytes(), "little"))
            base += resume

    def _walk(self, data: Bytes, length: int, base: int) -> tuple[Positions, int]:
        """Find the frames of a chunk. Returns their starts, and where the next chunk must begin."""
        regular, at = self._regular(data, length)
        lanes = _lanes(data, length if length - at >= 8 * _SEGMENT else 0)
        finder = _Finder(data, length)
        pieces = [regular]
        singles: list[int] = []  # frames found one by one after the last piece
        while True:
            if self._lost is not None:
                found = finder.next(at)
                if found is None:
                    if base < self._lost and base + length < self.size:
                        resume, self._lost = self._lost - base, None  # again, with more behind it
                    elif base + length < self.size:
                        resume = max(at, length - HEADER + 1)
                    else:
                        resume = length
                        self._close(data, base, length, singles)
                    break
                self._close(data, base, found, singles)
                at = found
            lane, end = lanes.follow(at)
            if end > at:
                pieces += [np.array(singles, np.int64), lane]
                singles, at = [], end
            if length - at < HEADER:
                resume = at
                break
            n, crc = struct.unpack_from("<QI", data.data, at)
            sound = n <= _LARGEST and crc == length_crc(n)
            end = at + FRAME + n
            if not sound or base + end > self.size:
                if not singles:
                    singles, pieces[-1] = pieces[-1][-1:].tolist(), pieces[-1][:-1]
                at = self._open(data, base, at, sound, singles)
            elif end > length:
                resume = at
                break
            else:
                singles.append(at)
                at = end
        starts = np.concatenate([*pieces, np.array(singles, np.int64)])
        self._period = len(self._cycle) if len(starts) == len(regular) else 0
        self._cycle = _cycle_of(np.diff(starts[-_TAIL:], append=resume))
        return starts, resume

    def _regular(self, data: Bytes, length: int) -> tuple[Positions, int]:
        """The frames that go on as the last chunk ended, and where they end."""
        if self._lost is not None or not len(self._cycle):
            return _NONE, 0
        sizes = np.tile(self._cycle, length // int(self._cycle.sum()) + 1)
        ends = np.cumsum(sizes)
        starts = (ends - sizes)[ends <= length]
        head = unaligned(data, "V16")[starts]
        n = head.view(np.int64)[::2]
        sound = small_length_crcs().take(n, mode="clip") == head.view(np.uint32)[2::4]
        sound &= n == sizes[: len(n)] - FRAME
        count = len(sound) if sound.all() else int(np.argmin(sound))
        return starts[:count], int(ends[count - 1]) if count else 0

    def _open(self, data: Bytes, base: int, at: int, sound: bool, singles: list[int]) -> int:
        """Note that the frame at `at` cannot be followed. Returns where to search for the next.

        If the record before it fails its own checksum, its length is not to be trusted either
        (a piece of the file is missing): the search then starts inside that record.
        """
        skip = HEADER if sound else 1
        if singles and not sound and not _sound(data, singles[-1], at - singles[-1] - FRAME):
            at, skip = singles.pop(), HEADER
        self._lost, self._cut = base + at, sound
        return at + skip

    def _close(self, data: Bytes, base: int, end: int, singles: list[int]) -> None:
        """Note the damage that ends at `end`, where a sound header stands or the file ends."""
        if self._lost is None or (self._cut and base + end == self.size):
            return
        start, self._lost = self._lost, None
        at = start - base
        n = end - at - FRAME
        if at >= 0 and n > 0 and not self._cut and _sound(data, at, n):
            # Only the header was hit: the data's own checksum holds for all that lies between.
            data[at : at + HEADER] = np.frombuffer(struct.pack("<QI", n, length_crc(n)), np.uint8)
            singles.append(at)
            self.damage.append(Damage(start, start + HEADER, 0, True))
        else:
            self.damage.append(Damage(start, base + end, 1, False))

    def _finish(self, resume: int) -> None:
        """At the end of the file: a last record may be cut off."""
        if self._lost is not None:
            self.truncated = self._lost
        elif resume < self.size:
            self.truncated = resume
        self._next = self.size if self.truncated is None else self.truncated

    def _blocks(self, data: Bytes, starts: Positions, base: int) -> Iterator[Block]:
        """Group frames by length and verify their data."""
        if not len(starts):
            return
        lengths = unaligned(data, "<u4")[starts].astype(np.int64)
        order = np.arange(self.count, self.count + len(starts), dtype=np.int64)
        self.count += len(starts)
        sound = np.ones(len(starts), np.bool_)
        long = np.flatnonzero(lengths > REACH)
        if len(long):
            sound[long] = _long_sound(data, starts[long] + HEADER, lengths[long])
        for which in self._groups(lengths):
            n = int(lengths[which[0]])
            rows = _rows(data, starts[which], n if n <= COLUMNAR else -FRAME)
            block = Block(n, order[which], base + starts[which], data, base, rows)
            good = sound[which] if n > REACH else _short_sound(block)
            if not good.all():
                for at in block.at[~good].tolist():
                    self.damage.append(Damage(at, at + FRAME + n, 1, True))
                block = block.take(good)
            if len(block):
                yield block

    def _groups(self, lengths: Positions) -> list[Positions]:
        """The numbers of records of one length, ascending, in groups."""
        period = self._period
        if period and len(lengths) >= 64 * period and np.array_equal(lengths[period:], lengths[:-period]):
            return [np.arange(first, len(lengths), period) for first in range(period)]  # those of a tag
        # A stable sort of 16-bit keys is a radix sort.
        keys = lengths.astype(np.uint16) if lengths.max() < 1 << 16 else lengths
        by_length = np.argsort(keys, kind="stable")
        return np.split(by_length, np.flatnonzero(np.diff(lengths[by_length])) + 1)


@dataclass(slots=True)
class _Lanes:
    """Frames found by many walkers at once, each in its own segment of the chunk.

    starts: int64 (k,), ascending. A chain is a run of starts each of which follows from the last:
    first: int64 (c + 1,), where chains begin in `starts`. end: int64 (c,), where they lead to.
    """

    starts: Positions
    first: Positions
    end: Positions

    def follow(self, at: int) -> tuple[Positions, int]:
        """The frames from the one at `at` on to the end of its chain, and where that leads.

        What lanes know is only ever used from a place that the walk from the file's start has
        reached, so a false header inside a record cannot lead astray.
        """
        i = int(np.searchsorted(self.starts, at)) if len(self.starts) else 0
        if i == len(self.starts) or self.starts[i] != at:
            return self.starts[:0], at
        chain = int(np.searchsorted(self.first, i, side="right")) - 1
        return self.starts[i : self.first[chain + 1]], int(self.end[chain])


_NONE: Positions = np.empty(0, np.int64)
_NO_LANES = _Lanes(_NONE, np.zeros(1, np.int64), _NONE)


def _cycle_of(sizes: Positions) -> Positions:
    """The sizes that will follow, if these go round in a cycle; else none."""
    if len(sizes) < _TAIL:
        return _NONE
    needle = sizes[-_NEEDLE:]
    again = np.flatnonzero((sliding_window_view(sizes, _NEEDLE) == needle).all(axis=1))
    if len(again) < 2:
        return _NONE
    period = int(again[-1] - again[-2])
    return sizes[-period:] if np.array_equal(sizes[period:], sizes[:-period]) else _NONE


def _lanes(data: Bytes, length: int) -> _Lanes:
    """Walk a chunk in lanes: from the first header in each segment towards the next lane."""
    count = length // _SEGMENT
    if count == 0:
        return _NO_LANES
    rows = data[: count * _SEGMENT].reshape(count, _SEGMENT)[:, : _WINDOW + HEADER - 1]
    at = _headers(data, rows, np.arange(count) * _SEGMENT, SMALL - 1)
    at = at[np.flatnonzero(np.diff(at // _SEGMENT, prepend=-1))]  # the first of each segment
    if not len(at):
        return _NO_LANES
    limit = np.append(at[1:], length)
    lane_starts = at
    heads, crcs = unaligned(data, "V16"), small_length_crcs()
    seen, moved = [], []
    while True:
        head = heads[at]
        n = head.view(np.int64)[::2]
        end = at + n + FRAME
        moves = crcs.take(n, mode="clip") == head.view(np.uint32)[2::4]
        moves &= (n.view(np.uint64) < SMALL) & (end <= limit)
        if 8 * np.count_nonzero(moves) <= len(at):  # too few lanes still move: walk those one by one
            break
        seen.append(at)
        moved.append(moves)
        at = np.where(moves, end, at)
    if not seen:
        return _NO_LANES
    moving = np.array(moved).T
    starts = np.array(seen).T[moving]
    edge = np.concatenate([[0], np.cumsum(np.count_nonzero(moving, axis=1))])
    last = np.flatnonzero(np.append(at[:-1] != lane_starts[1:], True))  # lanes that end a chain
    return _Lanes(starts, np.concatenate([[0], edge[last + 1]]), at[last])


class _Finder:
    """The valid headers of a chunk, found as far as they are asked for."""

    def __init__(self, data: Bytes, length: int) -> None:
        self.data, self.stop = data, length - HEADER + 1
        self.searched, self.step = 0, 1 << 12
        self.found: Positions = np.empty(0, np.int64)

    def next(self, at: int) -> int | None:
        """The first valid header at `at` or later, or None. `at` must not go back past a search."""
        while at < self.stop:
            i = int(np.searchsorted(self.found, at))
            if i < len(self.found):
                return int(self.found[i])
            low = max(at, self.searched)
            if low >= self.stop:
                return None
            self.searched = min(low + self.step, self.stop)
            self.step = min(4 * self.step, 1 << 20)
            rows = self.data[None, low : self.searched + HEADER - 1]
            self.found = _headers(self.data, rows, np.array([low]), _LARGEST)
        return None


def _headers(data: Bytes, rows: Bytes, offsets: Positions, largest: int) -> Positions:
    """The valid headers of records up to `largest` bytes that start in rows of the data, ascending.

    rows: uint8 (r, L), cut from `data` at `offsets` (r,); a header must lie within its row.
    """
    zero = rows == 0  # no length passes 4 GiB: bytes 4 to 7 of a header are zero
    width = rows.shape[1] - HEADER + 1
    like = zero[:, 4 : 4 + width] & zero[:, 5 : 5 + width]
    like &= zero[:, 6 : 6 + width]
    like &= zero[:, 7 : 7 + width]
    row, byte = np.divmod(np.flatnonzero(like), width)
    at = offsets[row] + byte
    words = unaligned(data, "<u4")
    at = at[words[at] <= largest]
    found: Positions = at[length_crcs(words[at]) == words[at + 8]]
    return found


def _chunk(file: BufferedIOBase | RawIOBase, want: int) -> Bytes:
    """The next bytes of a file, and zeros behind them."""
    data = np.empty(want + _PAD, np.uint8)
    view, got = data.data, 0
    while got < want:
        more = file.readinto(view[got:want])
        if not more:
            break
        got += more
    data[got : got + _PAD] = 0
    return data[: got + _PAD]


def _rows(data: Bytes, at: Positions, n: int) -> Words:
    """uint64 (k, w): frames of payload length n, filled up to whole words with what follows."""
    width = (FRAME + n + 7) // 8
    if width == 0:
        return np.empty((len(at), 0), np.uint64)
    rows: Words = unaligned(data, f"V{8 * width}")[at].view(np.uint64).reshape(-1, width)
    return rows


def _short_sound(block: Block) -> Mask:
    """Whether the data of each record fits its checksum, by the bytes that differ from the first's."""
    table = tables()
    crc = np.full(len(block), crc32c(block.payload(0)), np.uint32)
    varies = block.varies.view(np.uint8)[HEADER : HEADER + block.length]
    for byte in np.flatnonzero(varies).tolist():
        column = block.delta[(HEADER + byte) // 8].view(np.uint8)[(HEADER + byte) % 8 :: 8]
        crc ^= table[block.length - 1 - byte].take(column)
    sound: Mask = masked(crc) == block.column(block.length, "<u4")
    return sound


def _long_sound(data: Bytes, at: Positions, n: Positions) -> Mask:
    """Whether n > 0 bytes of data from `at` on fit the checksum behind them, (k,)."""
    sound: Mask = piece_crcs(data, at, n) == unaligned(data, "<u4")[at + n]
    return sound


def _sound(data: Bytes, at: int, n: int) -> bool:
    """Whether the n bytes of data of the frame at `at` fit the checksum behind them."""
    if n > REACH:
        return bool(_long_sound(data, np.array([at + HEADER]), np.array([n]))[0])
    piece = data[at + HEADER : at + FRAME + n].tobytes()
    return masked_int(crc32c(piece[:-4])) == int.from_bytes(piece[-4:], "little")
