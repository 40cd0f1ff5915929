"""TensorBoard event files, read without a Python object per event.

A file is a chain of frames (`_tfrecord.py`), each around one Event message; a scalar of step 300:

    09 ‹wall time f64› 10 ac 02 2a 0f 0a 0d 0a 06 ‹Loss/D› 15 ‹f32›

Records of one tag differ in a few bytes only. So the records of one length are taken together: the
first is parsed, and all that agree with it in every byte but the wall time, the step's seven-bit
groups, the tags and the values are decoded at once. What this does not know goes, record by record,
to TensorBoard's own protobuf classes. Histograms and images stay in the file, by reference.
Fields: `tensorboard/compat/proto/{event,summary,tensor}.proto`.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from io import BufferedIOBase, RawIOBase
from pathlib import Path

import numpy as np

from gandoctor.readers._crc32c import Positions, length_crc
from gandoctor.readers._events import (
    METADATA,
    SIMPLE,
    STEP,
    SUMMARY,
    TAG,
    TENSOR,
    WALL,
    Events,
    fields_of,
    parts_of,
)
from gandoctor.readers._tfrecord import (
    HEADER,
    Block,
    Damage,
    Frames,
    Mask,
    Words,
)
from gandoctor.readers.head import Head
from gandoctor.run import LogProblem, RunParts, Steps, Values

KIND = "log"
ORDER = 10

# Field and wire type of the parts of an event that has a scalar, as all writers emit them.
_SHAPES = ([(WALL, 1), (SUMMARY, 2)], [(WALL, 1), (STEP, 0), (SUMMARY, 2)])
# A Tensor's number by field (tensor_content, float_val, double_val), dtype, wire type and bytes.
_FLOATS = {
    (4, 1, 2, 4): "<f4", (5, 1, 2, 4): "<f4", (5, 1, 5, 4): "<f4",
    (4, 2, 2, 8): "<f8", (6, 2, 2, 8): "<f8", (6, 2, 1, 8): "<f8",
}  # fmt: skip
_POINTER = b"version https://git-lfs"  # what Git LFS leaves where a file was not fetched
_LAYOUTS = 24  # layouts tried on the records of one length before the rest goes one by one
_SHOWN = 20  # damaged stretches reported one by one


def sniff(head: Head) -> bool:
    """Say whether this is an event file: by its first record, or its name if it is binary or a pointer."""
    if len(head.data) > HEADER and head.data[HEADER] == 0x09:  # the wall time of a first event
        n, crc = struct.unpack_from("<QI", head.data)
        if crc == length_crc(n):
            return True
    named = "tfevents" in head.name and not head.name.endswith(".profile-empty")
    return named and (head.text is None or head.data.startswith(_POINTER))


def read(path: Path) -> list[RunParts]:
    """Read an event file. Raises OSError if it cannot be opened.

    Problems: "truncated-tail" (a last record is cut off: normal while the run is being written),
    "corrupt-record" (a damaged stretch was skipped), "bad-record" (sound, but no Event),
    "unknown-value" (a scalar of a type that is no number), "empty", "not-fetched" (Git LFS).
    """
    with path.open("rb") as file:
        if file.peek(len(_POINTER)).startswith(_POINTER):
            message = "only a Git LFS pointer is here: run `git lfs pull`"
            return [RunParts(problems=[LogProblem(path, "", "not-fetched", message)])]
        return [read_events(file, os.fstat(file.fileno()).st_size, path)]


def read_events(file: BufferedIOBase, size: int, source: Path, *, columnar: bool = True) -> RunParts:
    """Read `size` bytes of an open event file. With columnar=False every record goes one by one."""
    reading = _Reading(source, columnar)
    reading.take(file, size)
    return reading.parts()


class Following:
    """An event file that grows."""

    def __init__(self, path: Path) -> None:
        self._reading = _Reading(path)

    def take(self, file: BufferedIOBase | RawIOBase, size: int) -> None:
        """Read what was written since the last time; a record that is cut off is left for the next."""
        self._reading.take(file, size)

    def parts(self) -> list[RunParts]:
        """What `read` gives of the file so far."""
        return [self._reading.parts()]


class _Reading:
    """How far the reading of a file has come. With columnar=False every record goes one by one."""

    def __init__(self, source: Path, columnar: bool = True) -> None:
        self.source, self.columnar = source, columnar
        self.events = Events(source)
        self.frames: Frames | None = None

    def take(self, file: BufferedIOBase | RawIOBase, size: int) -> None:
        """Take what is new up to `size` bytes of an open file."""
        if self.frames is None:
            self.frames = Frames(file, size)
        self.frames.file, self.frames.size = file, size
        events = self.events
        left: list[tuple[int, Block, int]] = []  # (order, block, row) of what must go one by one
        base = -1
        for block in self.frames.blocks():
            if block.base != base:
                events.take_each(left)
                base, left = block.base, []
            rows = _take_columns(block, events) if self.columnar else range(len(block))
            left += [(int(block.order[row]), block, row) for row in rows]
        events.take_each(left)

    def parts(self) -> RunParts:
        """All of it so far."""
        parts = self.events.parts()
        if self.frames is not None:
            if self.frames.size == 0:
                parts.problems.append(LogProblem(self.source, "", "empty", "the file has no bytes yet"))
            parts.problems += _damage(self.frames, self.source)
        return parts


def _damage(frames: Frames, source: Path) -> Iterator[LogProblem]:
    """One problem for each damaged stretch, and one for a cut tail."""
    if frames.count == 0 and frames.damage:
        yield LogProblem(source, "byte 0", "corrupt-record", "there is no sound record in the file")
        return
    stretches = _merged(frames.damage)
    for stretch in stretches[:_SHOWN]:
        yield LogProblem(source, f"byte {stretch.start}", "corrupt-record", _sentence(stretch))
    if rest := stretches[_SHOWN:]:
        total = Damage(0, sum(one.end - one.start for one in rest), sum(one.lost for one in rest), False)
        message = f"{len(rest):,} more damaged stretches: {_sentence(total)}"
        yield LogProblem(source, f"byte {rest[0].start}", "corrupt-record", message)
    if frames.truncated is not None:
        cut = frames.size - frames.truncated
        message = f"the last record is cut off, {cut:,} bytes of it are there; all before was read"
        yield LogProblem(source, f"byte {frames.truncated}", "truncated-tail", message)


def _sentence(damage: Damage) -> str:
    if damage.lost == 0:
        return "a length field is damaged; its record fits its own checksum and was read"
    least = "" if damage.exact else "at least "
    records = "1 record" if damage.lost == 1 else f"{damage.lost:,} records"
    return f"{damage.end - damage.start:,} bytes were skipped, {least}{records} lost (checksum mismatch)"


def _merged(damage: Iterable[Damage]) -> list[Damage]:
    """Stretches in the file's order, those that touch made one."""
    merged: list[Damage] = []
    for one in sorted(damage, key=lambda d: d.start):
        if merged and merged[-1].end == one.start and merged[-1].lost and one.lost:
            last = merged[-1]
            merged[-1] = Damage(last.start, one.end, last.lost + one.lost, last.exact and one.exact)
        else:
            merged.append(one)
    return merged


@dataclass(slots=True)
class _Layout:
    """Where the payloads of one shape have their parts, as byte offsets.

    step: offset and number of bytes, or None where it is left out (0). values: tag from, tag to,
    offset of the number, its type. fixed, tags: uint64 (w,) masks over the frame's words: bits
    that are the same in all records of this layout, and the tags' bytes.
    """

    wall: int
    step: tuple[int, int] | None
    values: list[tuple[int, int, int, str]]
    fixed: Words
    tags: Words


def _take_columns(block: Block, events: Events) -> list[int]:
    """Take the scalars of a block. Returns the rows that must go one by one."""
    left: list[int] = []
    undecided = np.ones(len(block), np.bool_)
    for _ in range(_LAYOUTS if block.delta.size else 0):
        row = int(np.argmax(undecided))
        if not undecided[row]:
            break
        layout = _layout(block.payload(row), len(block.delta))
        if layout is None:
            left.append(row)
            undecided[row] = False
            continue
        same = undecided & ~_differs(block, layout.fixed, row)
        fits = block if same.all() else block.take(same)
        left += np.flatnonzero(same)[_take_layout(fits, layout, events)].tolist()
        undecided &= ~same
    return left + np.flatnonzero(undecided).tolist()


def _differs(block: Block, mask: Words, row: int) -> Mask:
    """Which records differ from that of `row` under a mask (w,) over the words of a frame."""
    differs = np.zeros(len(block), np.bool_)
    for word in np.flatnonzero(block.varies & mask).tolist():
        differs |= (block.delta[word] ^ block.delta[word, row]) & mask[word] != 0
    return differs


def _take_layout(block: Block, layout: _Layout, events: Events) -> list[int]:
    """Take all values of records of one layout. Returns rows whose tag is no UTF-8."""
    walls: Values = block.column(layout.wall, "<f8").astype(np.float64)
    steps = _steps(block, layout)
    with np.errstate(invalid="ignore"):  # a signalling NaN is still a NaN
        values = [block.column(at, dtype).astype(np.float64) for _, _, at, dtype in layout.values]
    bad: list[int] = []
    for rows in _by_tag(block, layout.tags):
        payload = block.payload(0 if isinstance(rows, slice) else int(rows[0]))
        try:
            tags = [payload[start:end].decode() for start, end, _, _ in layout.values]
        except UnicodeDecodeError:
            bad += np.arange(len(block))[rows].tolist()
            continue
        for tag, numbers in zip(tags, values, strict=True):
            events.add(tag, block.order[rows], steps[rows], numbers[rows], walls[rows])
    return bad


def _steps(block: Block, layout: _Layout) -> Steps:
    """The steps: varints of one known length."""
    if layout.step is None:
        return np.zeros(len(block), np.int64)
    at, size = layout.step
    word = block.column(at, "<u8").astype(np.uint64)
    steps = word & np.uint64(0x7F)
    for byte in range(1, min(size, 8)):
        steps |= (word >> np.uint64(byte)) & np.uint64(0x7F << 7 * byte)
    for byte in range(8, size):  # the tenth has one bit left
        steps |= block.column(at + byte, "u1").astype(np.uint64) << np.uint64(7 * byte)
        steps &= np.uint64((1 << min(7 * byte + 7, 64)) - 1)
    return steps.view(np.int64)


def _by_tag(block: Block, mask: Words) -> list[Positions] | list[slice]:
    """The rows of each tag, ascending; mask (w,): where in a frame the tags lie."""
    words = [block.delta[word] & mask[word] for word in np.flatnonzero(block.varies & mask)]
    if not words:
        return [slice(None)]
    mixed = np.zeros(len(block), np.uint64)
    for word, factor in zip(words, _factors(len(words)), strict=True):
        mixed += word * factor  # the upper bits are a hash: multiply-shift
    # A stable sort of 16-bit keys is a radix sort. Tags that share a key cut each other's rows into
    # more groups than need be, all in order; many tags are sorted by all 64 bits instead.
    for keys in ((mixed >> np.uint64(48)).astype(np.uint16), mixed):
        sort = np.argsort(keys, kind="stable")
        changes = np.zeros(len(sort) - 1, np.bool_)
        for word in words:
            ordered = word[sort]
            changes |= ordered[1:] != ordered[:-1]
        edges = np.flatnonzero(changes) + 1
        if len(edges) < 512:
            break
    return np.split(sort, edges)


@cache
def _factors(count: int) -> Words:
    """uint64 (count,): odd multipliers."""
    return np.random.default_rng(0).integers(0, 1 << 63, count, np.uint64) * np.uint64(2) + np.uint64(1)


def _layout(payload: bytes, width: int) -> _Layout | None:
    """How a record of scalars lies in its bytes; None if it is anything else.

    width: words of a frame.
    """
    try:
        event = list(fields_of(payload, 0, len(payload)))
        if [(number, wire) for number, wire, _, _ in event] not in _SHAPES:
            return None
        place = {number: (start, end) for number, _, start, end in event}
        values = [_scalar(payload, *where) for where in parts_of(payload, *place[SUMMARY])]
    except ValueError:
        return None
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    step = place.get(STEP)
    wall = place[WALL][0]
    fixed = np.zeros(8 * width, np.uint8)
    tags = np.zeros(8 * width, np.uint8)
    fixed[HEADER : HEADER + len(payload)] = 0xFF
    fixed[HEADER + wall : HEADER + wall + 8] = 0
    if step is not None:
        fixed[HEADER + step[0] : HEADER + min(step[1], step[0] + 9)] = 0x80
    for tag_from, tag_to, at, dtype in known:
        fixed[HEADER + tag_from : HEADER + tag_to] = 0
        tags[HEADER + tag_from : HEADER + tag_to] = 0xFF
        fixed[HEADER + at : HEADER + at + int(dtype[-1])] = 0
    return _Layout(
        wall,
        None if step is None else (step[0], step[1] - step[0]),
        known,
        fixed.view(np.uint64),
        tags.view(np.uint64),
    )


def _scalar(payload: bytes, start: int, end: int) -> tuple[int, int, int, str] | None:
    """Tag from, tag to, offset and type of the number of a Summary.Value, if it is a plain one."""
    tag: tuple[int, int] | None = None
    number: tuple[int, str] | None = None
    named = simple = False
    for what, wire, a, b in fields_of(payload, start, end):
        if what == TAG and wire == 2 and tag is None:
            tag = a, b
        elif what == SIMPLE and wire == 5 and number is None:
            number, simple = (a, "<f4"), True
        elif what == TENSOR and wire == 2 and number is None:
            number = _number_in(payload, a, b)
            if number is None:
                return None
        elif what == METADATA and wire == 2 and not named:
            named = _plugin(payload, a, b) == b"scalars"
            if not named:
                return None
        else:
            return None
    if tag is None or number is None or not (simple or named):
        return None
    return (*tag, *number)


def _number_in(payload: bytes, start: int, end: int) -> tuple[int, str] | None:
    """Offset and type of the only float of a Tensor of no dimensions."""
    dtype = 0
    number: tuple[int, str] | None = None
    for what, wire, a, b in fields_of(payload, start, end):
        if what == 1 and wire == 0 and b - a == 1 and dtype == 0:
            dtype = payload[a]
        elif what == 2 and wire == 2 and a == b:
            pass  # the shape of a scalar
        elif number is None and (what, dtype, wire, b - a) in _FLOATS:
            number = a, _FLOATS[what, dtype, wire, b - a]
        else:
            return None
    return number


def _plugin(payload: bytes, start: int, end: int) -> bytes:
    """The plugin's name in a SummaryMetadata."""
    for what, wire, a, b in fields_of(payload, start, end):
        if what == 1 and wire == 2:
            for inner, kind, name_from, name_to in fields_of(payload, a, b):
                if inner == 1 and kind == 2:
                    return payload[name_from:name_to]
    return b""
