"""What the events of a TensorBoard file hold, and the reading of events one by one.

Numbers come from TensorBoard's own protobuf classes; the places of histograms and images in the
file, which those do not tell, from a walk over the fields (`tensorboard/compat/proto/*.proto`).
"""

from __future__ import annotations

import json
import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gandoctor.readers._tfrecord import HEADER, Block
from gandoctor.readers.faults import Faults
from gandoctor.readers.settings import settings_of
from gandoctor.run import Histogram, ImageGrid, RunParts, Series, Start, Steps, Values

if TYPE_CHECKING:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto

_Piece: TypeAlias = tuple[Steps, Steps, Values, Values]  # order, steps, values, wall times

WALL, STEP, VERSION, SUMMARY, SESSION = 1, 2, 3, 5, 7  # fields of Event
TAG, SIMPLE, IMAGE, HISTO, TENSOR, METADATA = 1, 2, 4, 5, 8, 9  # fields of Summary.Value
_ONE_OF = range(3, 10)
_SCALAR_CLASS = 1
# How a tensor of each dtype lists its values, and how they lie in its content.
_TYPES = {
    1: ("float_val", "<f4"), 2: ("double_val", "<f8"), 3: ("int_val", "<i4"), 4: ("int_val", "u1"),
    5: ("int_val", "<i2"), 6: ("int_val", "i1"), 9: ("int64_val", "<i8"), 10: ("bool_val", "b1"),
    14: ("half_val", "<f4"), 17: ("int_val", "<u2"), 19: ("half_val", "<f2"),
    22: ("uint32_val", "<u4"), 23: ("uint64_val", "<u8"),
}  # fmt: skip
_BFLOAT16 = 14
_RELATIVE = 1e8  # seconds; a wall time below it counts from the run's start (StyleGAN)
_HPARAMS = "_hparams_/session_start_info"
_LONGEST_CONFIG = 1 << 20  # bytes of a text that is tried as JSON


class Events:
    """What the events of a file hold, piece by piece."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self.epoch: float | None = None  # wall time of the file's first event
        self.faults = Faults(source)
        self._pieces: dict[str, list[_Piece]] = {}
        self._loose: dict[str, _Loose] = {}
        self._plugins: dict[str, str] = {}  # written with a tag's first value only
        self._parts = RunParts()

    def add(self, tag: str, order: Steps, steps: Steps, values: Values, walls: Values) -> None:
        """Add values of one tag, in write order."""
        self._pieces.setdefault(tag, []).append((order, steps, values, walls))

    def take_each(self, records: Sequence[tuple[int, Block, int]]) -> None:
        """Take records one by one: (order, block, row)."""
        for order, block, row in sorted(records, key=lambda record: record[0]):
            start = int(block.at[row])
            try:
                self._take(block.payload(row), start + HEADER, order)
            except ValueError as fault:
                self.faults.add(f"byte {start}", "bad-record", f"no event message: {fault}")

    def parts(self) -> RunParts:
        """All of it so far, tags in the order of their first value, those of one event by name."""
        pieces = {tag: list(found) for tag, found in self._pieces.items()}
        for tag, loose in self._loose.items():
            pieces.setdefault(tag, []).append(loose.arrays())
        series = [self._series(tag, found) for tag, found in pieces.items()]
        series.sort(key=lambda one: (int(one.order[0]), one.tag))
        return replace(self._parts, series=series, problems=self.faults.problems())

    def _series(self, tag: str, pieces: list[_Piece]) -> Series:
        order, steps, values, walls = (np.concatenate(column) for column in zip(*pieces, strict=True))
        if np.any(np.diff(order) < 0):
            sort = np.argsort(order, kind="stable")
            order, steps, values, walls = order[sort], steps[sort], values[sort], walls[sort]
        return Series(tag, steps, values, order, self.source, wall_time=_wall_time(walls, self.epoch))

    def _take(self, payload: bytes, at: int, order: int) -> None:
        """Take one event, whose message starts at byte `at` of the file. Raises ValueError."""
        fields = list(fields_of(payload, 0, len(payload)))
        # Only one of fields 3 to 9 counts: the last.
        kind = next((number for number, *_ in reversed(fields) if number in _ONE_OF), None)
        if kind == VERSION:
            clock = [start for number, wire, start, _ in fields if number == WALL and wire == 1]
            if self.epoch is None and clock:
                self.epoch = float(struct.unpack_from("<d", payload, clock[-1])[0])
        elif kind == SESSION:
            event = _event(payload)
            if event.session_log.status == event.session_log.START:
                self._parts.starts.append(Start(order, "session start", purge_step=event.step))
        elif kind == SUMMARY:
            event = _event(payload)
            summaries = _Span(payload, 0, len(payload), at).all(SUMMARY)
            where = [span for summary in summaries for span in summary.all(1)]
            for value, span in zip(event.summary.value, where, strict=True):
                self._take_value(event, value, order, span)

    def _take_value(self, event: Event, value: Summary.Value, order: int, span: _Span) -> None:
        """Take one value of a summary."""
        plugin = value.metadata.plugin_data.plugin_name
        if plugin:
            self._plugins.setdefault(value.tag, plugin)
        else:
            plugin = self._plugins.get(value.tag, "")
        kind = value.WhichOneof("value")
        number: float | None = None
        if value.tag == _HPARAMS:
            found = _hparams(value.metadata.plugin_data.content)
            self._parts.settings.update(settings_of(found, self.source))
        elif kind == "simple_value":
            number = value.simple_value
        elif kind == "histo":
            self._refer_histogram(value.tag, event.step, span.last(HISTO), "tb-histo")
        elif kind == "image":
            self._refer_images(value.tag, event.step, span.last(IMAGE).all(4)[-1:])
        elif kind != "tensor":
            return
        elif plugin == "histograms":
            self._refer_histogram(value.tag, event.step, span.last(TENSOR), "tb-tensor")
        elif plugin == "images":  # width, height, then one encoded image after the other
            self._refer_images(value.tag, event.step, span.last(TENSOR).all(8)[2:])
        elif plugin == "text":
            self._parts.settings.update(settings_of(_config(value.tensor), self.source))
        elif plugin in ("", "scalars") or value.metadata.data_class == _SCALAR_CLASS:
            number = _number(value.tensor)
            if number is None and plugin:
                message = f"the tensor of the scalar {value.tag[:200]!r} is not one number"
                self.faults.add(f"byte {span.at - HEADER}", "unknown-value", message)
        if number is not None:
            self._loose.setdefault(value.tag, _Loose()).add(order, event.step, number, event.wall_time)

    def _refer_histogram(self, tag: str, step: int, span: _Span, encoding: str) -> None:
        self._parts.histograms.append(Histogram(tag, step, self.source, span.offset, len(span), encoding))

    def _refer_images(self, tag: str, step: int, spans: Sequence[_Span]) -> None:
        """Refer to the images of one value; those of a batch are told apart by their number."""
        for number, span in enumerate(spans):
            name = f"{tag}/{number}" if len(spans) > 1 else tag
            if len(span):
                self._parts.images.append(ImageGrid(name, step, self.source, span.offset, len(span)))


@dataclass(slots=True)
class _Loose:
    """Values taken one by one, eight bytes each."""

    order: array[int] = field(default_factory=lambda: array("q"))
    steps: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))
    walls: array[float] = field(default_factory=lambda: array("d"))

    def add(self, order: int, step: int, value: float, wall: float) -> None:
        self.order.append(order)
        self.steps.append(step)
        self.values.append(value)
        self.walls.append(wall)

    def arrays(self) -> _Piece:
        whole, real = np.int64, np.float64
        return (
            np.array(self.order, whole), np.array(self.steps, whole),
            np.array(self.values, real), np.array(self.walls, real),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Span:
    """A part of a payload, which itself starts at byte `at` of the file."""

    payload: bytes
    start: int
    end: int
    at: int

    def __len__(self) -> int:
        return self.end - self.start

    @property
    def offset(self) -> int:
        """Its first byte in the file."""
        return self.at + self.start

    def all(self, number: int) -> list[_Span]:
        """The messages or strings of one field number in it."""
        parts = parts_of(self.payload, self.start, self.end, number)
        return [_Span(self.payload, a, b, self.at) for a, b in parts]

    def last(self, number: int) -> _Span:
        """The last of them, which is the one that counts. There must be one."""
        return self.all(number)[-1]


def _event(payload: bytes) -> Event:
    """Parse an event by TensorBoard's own classes. Raises ValueError."""
    from tensorboard.compat.proto.event_pb2 import Event

    return _parsed(Event, payload)


def _parsed(message: Any, data: bytes) -> Any:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        return message.FromString(data)
    except DecodeError as fault:
        raise ValueError(str(fault)) from fault


def _number(tensor: TensorProto) -> float | None:
    """The number in a tensor of one element; None if it has more, or is of a type that is no number.

    A tensor that lists no value is zero (TensorFlow, `tensor.cc`: FromProtoField).
    """
    listed_in, dtype = _TYPES.get(tensor.dtype, ("", ""))
    if not dtype or tensor.tensor_shape.unknown_rank or any(dim.size != 1 for dim in tensor.tensor_shape.dim):
        return None
    content = tensor.tensor_content
    if not content:
        listed = getattr(tensor, listed_in)
        if len(listed) > 1:
            return None
        if listed_in != "half_val" or not listed:
            return float(listed[0]) if listed else 0.0
        content = (listed[0] & 0xFFFF).to_bytes(2, "little")
    if tensor.dtype == _BFLOAT16:  # the upper half of a float32
        content = b"\0\0" + content
    return float(np.frombuffer(content, dtype)[0]) if len(content) == int(dtype[-1]) else None


def _hparams(content: bytes) -> dict[str, Any]:
    """The hyperparameters in the content of the hparams plugin. Raises ValueError."""
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    hparams = _parsed(HParamsPluginData, content).session_start_info.hparams
    return {name: _plain(value) for name, value in hparams.items()}


def _plain(value: Any) -> Any:
    """A google.protobuf.Value as Python's own."""
    kind = value.WhichOneof("kind")
    if kind == "list_value":
        return [_plain(item) for item in value.list_value.values]
    if kind == "struct_value":
        return {name: _plain(item) for name, item in value.struct_value.fields.items()}
    return getattr(value, kind) if kind in ("number_value", "string_value", "bool_value") else None


def _config(tensor: TensorProto) -> object:
    """A text summary that is a configuration in JSON, else None."""
    text = b"".join(tensor.string_val[:1]).strip()
    if not text.startswith(b"{") or len(text) > _LONGEST_CONFIG:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _wall_time(walls: Values, epoch: float | None) -> Values | None:
    """Seconds since 1970; None where they are not known for every point."""
    if not np.all(np.isfinite(walls)) or not walls.any():
        return None
    relative = walls < _RELATIVE
    if not relative.any():
        return walls
    if epoch is None or not epoch >= _RELATIVE:
        return None
    return np.where(relative, walls + epoch, walls)


def fields_of(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """The fields of a protobuf message in data[at:end]: number, wire type, content from, to.

    Raises ValueError if the message is malformed or has groups, which Event never had.
    """
    while at < end:
        key, at = _varint(data, at, end)
        wire = key & 7
        if wire == 2:
            size, at = _varint(data, at, end)
        elif wire == 0:
            size = _varint(data, at, end)[1] - at
        else:
            size = {1: 8, 5: 4}.get(wire, -1)
        if size < 0 or at + size > end or key < 8:
            raise ValueError("malformed message")
        yield key >> 3, wire, at, at + size
        at += size


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """A varint and where it ends."""
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            if value >> 64:
                break
            return value, at
    raise ValueError("malformed varint")


def parts_of(data: bytes, start: int, end: int, number: int = 1) -> list[tuple[int, int]]:
    """Where the messages or strings of one field number lie in a message."""
    return [(a, b) for what, wire, a, b in fields_of(data, start, end) if what == number and wire == 2]
