"""Pickles of checkpoints, as data: plain containers, numbers, tensors, and inert records of all else.

The machine is that of `readers/pickles.py`: Python's own unpickler is never used, and the only
functions ever called are those of the table below, which take what the pickle gives them apart.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from gandoctor.contents.tensors import Inert, Part, Storage, Tensor, Unreadable, row_major
from gandoctor.readers.pickles import Machine, Program

MAX_PICKLE = 64 << 20  # bytes of a pickle beside the arrays in it
_MAX_OPERATIONS = 4_000_000  # each may cost 100 bytes
_KEPT_IN_FILE = 4_096  # bytes from which on a byte string stays in the file
_MAX_NAME = 200
_MAX_NESTED = 100_000  # tensors that are each a stream of their own (StyleGAN)
_MAX_KEY = 8  # parts of a tuple that is a dict's key
_PAGE = 1 << 16
_FREE_COPIES = 1_000_000  # items that calls may copy, beyond four for each byte of the pickle

_NUMERIC = re.compile(r"[<>|=]?([?]|b1|[iu][1248]|f[248]|c8|c16)$")


@dataclass(slots=True)
class _Pages:
    """A part as a pickle's program, read page by page."""

    part: Part
    low: int = 0
    page: bytes = b""

    def __len__(self) -> int:
        return self.part.size

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            if self.low <= at.start and at.stop <= self.low + len(self.page):
                return self.page[at.start - self.low : at.stop - self.low]
            return self.part.read(at.start, at.stop - at.start)
        if not 0 <= at - self.low < len(self.page):
            if at >= self.part.size:
                raise IndexError
            self.low = at
            self.page = self.part.read(at, min(_PAGE, self.part.size - at))
        byte: int = self.page[at - self.low]
        return byte

    def find(self, what: bytes, start: int, /) -> int:
        """Where one byte stands at or after `start`, or -1; it is looked for over MAX_PICKLE bytes at most."""
        end = min(start + MAX_PICKLE, self.part.size)
        while start < end:
            self[start]  # brings its page
            found = self.page.find(what, start - self.low)
            if found >= 0:
                return self.low + found
            start = self.low + len(self.page)
        return -1


@dataclass(slots=True)
class Context:
    """What lies around a pickle.

    storages: those it named so far, by key; filled when they are found. nested: reads a stream of
    its own that stands in this one.
    """

    nested: Callable[[Part], object] | None = None
    storages: dict[str, Storage] = field(default_factory=dict)


class Unpickler(Machine):
    """The machine with a checkpoint's vocabulary."""

    __slots__ = ("context", "letters", "part", "streams")

    def __init__(self, program: Program, part: Part, context: Context, at: int) -> None:
        super().__init__(program, at, most=_MAX_OPERATIONS)
        self.part = part
        self.context = context
        self.letters = 0
        self.streams: dict[tuple[int, int], tuple[object, Part]] = {}

    def take(self, length: int) -> bytes:
        """The next bytes of the program, which go into memory."""
        self._count(length)
        return Machine.take(self, length)

    def line(self) -> bytes:
        """The bytes up to the end of the line."""
        found = Machine.line(self)
        self._count(len(found))
        return found

    def _count(self, length: int) -> None:
        self.letters += length
        if self.letters > MAX_PICKLE:
            raise ValueError(f"more than {MAX_PICKLE >> 20} MB beside the arrays")

    def blob(self, length: int) -> object:
        """The next bytes, as a value: many of them stay in the file."""
        if length < _KEPT_IN_FILE:
            return self.take(length)
        if self.at + length > len(self.data):
            self.at = len(self.data)
            raise IndexError
        part = self.part.part(self.at, length)
        self.at += length
        return part

    def named(self, module: object, name: object) -> object:
        """A global: a type of numbers by its name, anything else inert."""
        if not (isinstance(module, str) and isinstance(name, str) and len(module) + len(name) <= _MAX_NAME):
            return Inert("", "a global without a proper name")
        if module == "torch" and name in TORCH_TYPES:
            return f"torch.{name}"
        return Inert(module, name)

    def refuse(self, name: str) -> object:
        """Something outside the pickle."""
        return Inert("", name)

    def call(self, function: object, args: object) -> object:
        """What a call gives: an inert record, unless the table knows the function."""
        given = tuple(args) if isinstance(args, list | tuple) else (args,)
        self.copied += len(given) + sum(len(one) for one in given if isinstance(one, list | tuple | dict))
        if self.copied > 4 * min(len(self.data), MAX_PICKLE) + _FREE_COPIES:
            raise ValueError("the pickle copies the same data over and over")
        if not isinstance(function, Inert) or function.args is not None:
            return Inert(
                "",
                f"a call of {function!r}"[:_MAX_NAME]
                if isinstance(function, Inert)
                else "a call of no function",
                given,
            )
        known = _KNOWN.get((function.module, function.name))
        made = NOT_MADE if known is None else known(self, given)
        return Inert(function.module, function.name, given) if made is NOT_MADE else made

    def build(self, target: object, state: object) -> None:
        """Give an object its state; attributes of plain containers and tensors are left aside."""
        if isinstance(target, _Array):
            target.set_state(state)
        elif isinstance(target, Inert):
            target.state = _merged(state)

    def persistent(self, identity: object) -> object:
        """A storage outside the pickle, as a tensor of one dimension; or a class saved with its source."""
        if not isinstance(identity, tuple) or not identity:
            return Inert("", "a persistent id")
        if identity[0] == "module" and len(identity) > 1:
            return identity[1]
        return _storage(self, identity)

    def give(self, container: object, items: list[object], keyed: bool = False) -> None:
        """Append to or set items of a container, also of an unknown class."""
        if isinstance(container, Inert):
            if container.items is None:
                container.items = {} if keyed else []
            container = container.items
        Machine.give(self, container, items, keyed)

    def put(self, target: dict[object, object], items: list[object]) -> None:
        """Set a dict's keys; one that would take long to hash is dropped."""
        for key, value in zip(items[::2], items[1::2], strict=False):
            if _is_key(key):
                target[key] = value


NOT_MADE = object()
_Maker: TypeAlias = Callable[[Unpickler, tuple[object, ...]], object]


def _is_key(key: object) -> bool:
    if isinstance(key, tuple):
        return len(key) <= _MAX_KEY and all(_is_key(part) and not isinstance(part, tuple) for part in key)
    if isinstance(key, int | float):
        return -(2**53) < key < 2**53
    return key is None or isinstance(key, str | bytes | Tensor | Inert)


def _merged(state: object) -> object:
    """An object's attributes; (attributes, slots), as objects with __slots__ give them, as one dict."""
    if (
        isinstance(state, tuple)
        and len(state) == 2
        and all(one is None or isinstance(one, dict) for one in state)
    ):
        return {key: value for one in state if isinstance(one, dict) for key, value in one.items()}
    return state


def load(part: Part, context: Context, pickles: int = 1) -> tuple[list[object], int]:
    """The values of the first pickles of a part, one after the other, and the byte after them.

    Raises Unreadable, with the place, where a pickle is no whole one.
    """
    # only what is asked for is read from a file: arrays between the opcodes stay where they are
    program = part.read() if isinstance(part.origin, bytes) else _Pages(part)
    values: list[object] = []
    at = 0
    for _ in range(pickles):
        machine = Unpickler(program, part, context, at)
        fault = machine.run()
        at = machine.at
        if fault or not machine.stack:
            raise Unreadable(f"byte {part.at + min(at, part.size)}", fault or "the pickle holds nothing")
        values.append(machine.stack[-1])
    return values, at


# -- PyTorch's types, and numpy's names for them. "" is one that numpy cannot show.

_TYPES: dict[str, tuple[str, int]] = {
    "Float": ("float32", 4), "Double": ("float64", 8), "Half": ("float16", 2), "BFloat16": ("bfloat16", 2),
    "Byte": ("uint8", 1), "Char": ("int8", 1), "Short": ("int16", 2), "Int": ("int32", 4), "Long": ("int64", 8),
    "Bool": ("bool", 1), "ComplexFloat": ("complex64", 8), "ComplexDouble": ("complex128", 16),
    "QInt8": ("", 1), "QUInt8": ("", 1), "QInt32": ("", 4), "QUInt4x2": ("", 1), "QUInt2x4": ("", 1),
    "Untyped": ("uint8", 1),
}  # fmt: skip
TORCH_TYPES: dict[str, str] = {name: name for name, _ in _TYPES.values() if name}
TORCH_TYPES |= {name: name for name in ("uint16", "uint32", "uint64")}
TORCH_TYPES |= {
    name: "" for name in (
        "complex32", "qint8", "quint8", "qint32", "quint4x2", "quint2x4", "float8_e4m3fn", "float8_e5m2",
        "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn_x2", "bits8", "bits16",
    )
}  # fmt: skip


def _storage(machine: Unpickler, identity: tuple[object, ...]) -> object:
    """("storage", class, key, device, elements[, view]) of torch.save, as a tensor of one dimension."""
    if len(identity) < 5 or identity[0] != "storage":
        return Inert("", "a persistent id", identity)
    kind, key, device, count = identity[1:5]
    name = kind.name.removesuffix("Storage") if isinstance(kind, Inert) else ""
    if name not in _TYPES or not isinstance(key, str) or type(count) is not int or count < 0:
        return Tensor(
            None, "float32", (), problem=f"a storage of an unknown kind, {name or 'none'}"[:_MAX_NAME]
        )
    stored, width = _TYPES[name]
    known = machine.context.storages.get(key)
    if known is None:
        known = machine.context.storages[key] = Storage(count * width, unit=width)
        known.problem = "a meta tensor has no data" if device == "meta" else "its data are not in the file"
    if not stored:
        return Tensor(known, "float32", (), problem=f"numbers of type {name} are not read")
    view = identity[5] if len(identity) > 5 else None
    if isinstance(view, tuple) and len(view) == 3:
        return Tensor(known, stored, (view[2],), (1,), view[1])
    return Tensor(known, stored, (count,))


def _tensor(machine: Unpickler, args: tuple[object, ...]) -> object:
    """`_rebuild_tensor(storage, offset, size, stride)`, and v2 with (requires_grad, hooks, metadata) behind."""
    return _view(args, "", args[6:7]) if len(args) >= 4 else NOT_MADE


def _tensor_of_type(machine: Unpickler, args: tuple[object, ...]) -> object:
    """`_rebuild_tensor_v3`: as v2, over an untyped storage, with the type as the seventh argument."""
    return _view(args, args[6], args[7:8]) if len(args) >= 7 else NOT_MADE


def _view(args: tuple[object, ...], kind: object, metadata: tuple[object, ...]) -> object:
    """A tensor over a storage. metadata: of a view that shows other numbers than those stored."""
    storage, offset, size, stride = args[:4]
    if not isinstance(storage, Tensor) or not isinstance(size, tuple) or not isinstance(stride, tuple):
        return NOT_MADE
    name = str(kind).removeprefix("torch.") if kind else ""
    stored = TORCH_TYPES.get(name, "") if name else storage.stored
    problem = storage.own_problem
    for marks in metadata:
        if isinstance(marks, dict) and (marks.get("conj") or marks.get("neg")):
            problem = "a conjugated or negated view, which is not read"
    if not stored:
        stored, problem = "float32", f"numbers of type {name} are not read"[:_MAX_NAME]
    return storage.viewed(stored, size, stride, offset, problem)


def _first(machine: Unpickler, args: tuple[object, ...]) -> object:
    """A Parameter is the tensor that it holds."""
    return args[0] if args and isinstance(args[0], Tensor) else NOT_MADE


def _unread(why: str) -> _Maker:
    """A tensor of a kind that is not read, so that the rest of the file is."""
    return lambda machine, args: Tensor(None, "float32", (), problem=why)


def _typed(machine: Unpickler, args: tuple[object, ...]) -> object:
    """`_rebuild_from_type(_v2)(function, class, arguments, state)`: a tensor with attributes, or of a subclass."""
    if len(args) < 3 or not isinstance(args[0], Inert) or not isinstance(args[2], tuple):
        return NOT_MADE
    inner = _TENSORS.get((args[0].module, args[0].name))
    return NOT_MADE if inner is None else inner(machine, args[2])


def _stream(machine: Unpickler, args: tuple[object, ...]) -> object:
    """`torch.storage._load_from_bytes(b)`: a storage saved as a stream of its own."""
    if machine.context.nested is None or len(args) != 1:
        return NOT_MADE
    part = args[0] if isinstance(args[0], Part) else None
    if isinstance(args[0], bytes):
        part = Part(args[0], 0, len(args[0]))
    if part is None:
        return NOT_MADE
    place = (part.at, part.size) if not isinstance(part.origin, bytes) else (id(part.origin), -1)
    if place not in machine.streams:
        if len(machine.streams) >= _MAX_NESTED:
            raise ValueError(f"more than {_MAX_NESTED:,} streams in the stream")
        try:
            machine.streams[place] = machine.context.nested(part), part
        except Unreadable as wrong:
            machine.streams[place] = Tensor(None, "float32", (), problem=str(wrong)), part
    return machine.streams[place][0]


# -- numpy.


class _Array(Tensor):
    """A numpy array, which gets its contents by BUILD after it was made."""

    __slots__ = ()

    def __init__(self) -> None:
        Tensor.__init__(self, None, "float32", (), problem="an array without contents")

    def set_state(self, state: object) -> None:
        """(version, shape, dtype, fortran, data); the oldest arrays have no version."""
        if isinstance(state, tuple) and len(state) in (4, 5):
            shape, kind, fortran, data = state[-4:]
            self.fill(data, kind, shape, fortran is True)

    def fill(self, data: object, kind: object, shape: object, fortran: bool) -> None:
        stored, order = _numpy_type(kind)
        part = _as_part(data)
        if not isinstance(shape, tuple):
            shape = ()
        if not stored or part is None:
            what = "objects" if isinstance(data, list) else "something else than numbers"
            Tensor.__init__(self, None, "float32", (), problem=f"an array of {what}")
            return
        steps = tuple(reversed(row_major(shape[::-1]))) if fortran and _natural(shape) else None
        Tensor.__init__(self, Storage(part.size, part, order), stored, shape, steps)


def _natural(shape: tuple[object, ...]) -> bool:
    return all(type(size) is int and size >= 0 for size in shape)


def _as_part(data: object) -> Part | None:
    """Bytes in memory or in the file; Python 2 pickled them as `str`."""
    if isinstance(data, Part):
        return data
    raw = _bytes(data)
    return None if raw is None else Part(raw, 0, len(raw))


def _bytes(value: object) -> bytes | None:
    if isinstance(value, bytes):
        return value
    try:
        return value.encode("latin-1") if isinstance(value, str) else None
    except UnicodeEncodeError:
        return None


def _numpy_type(kind: object) -> tuple[str, str]:
    """The name in numpy and the byte order of a pickled dtype; "" if it is none of numbers."""
    if not (isinstance(kind, Inert) and kind.name == "dtype" and kind.args and isinstance(kind.args[0], str)):
        return "", "<"
    found = _NUMERIC.match(kind.args[0])
    if found is None:
        return "", "<"
    state = kind.state
    order = state[1] if isinstance(state, tuple) and len(state) > 1 else "<"
    return np.dtype(found[1]).name, ">" if order == ">" or kind.args[0].startswith(">") else "<"


def _array(machine: Unpickler, args: tuple[object, ...]) -> object:
    return _Array()


def _array_from_buffer(machine: Unpickler, args: tuple[object, ...]) -> object:
    """`_frombuffer(data, dtype, shape, order)`."""
    made = _Array()
    if len(args) == 4:
        made.fill(args[0], args[1], args[2], args[3] == "F")
    return made


def _scalar(machine: Unpickler, args: tuple[object, ...]) -> object:
    """One number, as Python's own."""
    if len(args) != 2:
        return NOT_MADE
    stored, order = _numpy_type(args[0])
    raw = _bytes(args[1])
    if not stored or raw is None:
        return NOT_MADE
    kind = np.dtype(stored).newbyteorder(">" if order == ">" else "<")
    return np.frombuffer(raw, kind)[0].item() if len(raw) == kind.itemsize else NOT_MADE


# -- Python's own.


def _dict(machine: Unpickler, args: tuple[object, ...]) -> object:
    made: dict[object, object] = {}
    for given in args:
        if isinstance(given, dict):
            made.update(given)
        elif isinstance(given, list | tuple):
            pairs = [pair for pair in given if isinstance(pair, list | tuple) and len(pair) == 2]
            machine.put(made, [part for pair in pairs for part in pair])
    return made


def _list(machine: Unpickler, args: tuple[object, ...]) -> object:
    return list(args[0]) if args and isinstance(args[0], list | tuple) else []


def _tuple(machine: Unpickler, args: tuple[object, ...]) -> object:
    return tuple(args[0]) if args and isinstance(args[0], list | tuple) else ()


def _complex(machine: Unpickler, args: tuple[object, ...]) -> object:
    if len(args) == 2 and all(isinstance(one, int | float) and abs(one) < math.inf for one in args):
        return complex(float(args[0]), float(args[1]))  # type: ignore[arg-type]
    return NOT_MADE


def _encode(machine: Unpickler, args: tuple[object, ...]) -> object:
    """`_codecs.encode(text, "latin1")`: how Python 3 writes bytes in protocols 0 to 2."""
    raw = _bytes(args[0]) if args else b""
    return NOT_MADE if raw is None else raw


def _raw(machine: Unpickler, args: tuple[object, ...]) -> object:
    """`bytes` and `bytearray`, of bytes, of text in Latin-1, or of nothing."""
    if not args:
        return b""
    return args[0] if isinstance(args[0], Part) else _encode(machine, args)


def _path(machine: Unpickler, args: tuple[object, ...]) -> object:
    """A path as text."""
    if not all(isinstance(one, str) for one in args):
        return NOT_MADE
    return "/".join(str(one) for one in args).replace("//", "/", 1)


def _device(machine: Unpickler, args: tuple[object, ...]) -> object:
    """A `torch.device` as text: "cuda:0"."""
    return ":".join(str(one) for one in args) if all(isinstance(one, str | int) for one in args) else NOT_MADE


def _moment(kind: type[datetime.datetime] | type[datetime.date]) -> _Maker:
    """A date or a time as ISO 8601 text."""

    def make(machine: Unpickler, args: tuple[object, ...]) -> object:
        raw = _bytes(args[0]) if args else None
        try:
            return NOT_MADE if raw is None else kind(raw).isoformat()  # type: ignore[arg-type, call-arg]
        except (TypeError, ValueError):
            return NOT_MADE

    return make


def _reconstructed(machine: Unpickler, args: tuple[object, ...]) -> object:
    """`copyreg._reconstructor(class, base, state)` of protocols 0 and 1."""
    if not args or not isinstance(args[0], Inert):
        return NOT_MADE
    if (args[0].module, args[0].name) in _CONTAINERS:
        return _CONTAINERS[args[0].module, args[0].name](machine, args[2:])
    items = args[2] if len(args) > 2 and isinstance(args[2], list | dict) else None
    return Inert(args[0].module, args[0].name, (), items=items)


def _persistent_object(machine: Unpickler, args: tuple[object, ...]) -> object:
    """StyleGAN's `_reconstruct_persistent_obj`, which would run the source code in it: only name and state.

    NVIDIA, stylegan2-ada-pytorch, torch_utils/persistence.py.
    """
    meta = args[0] if args else None
    fields = meta.items if isinstance(meta, Inert) else meta
    if not isinstance(fields, dict):
        return NOT_MADE
    return Inert(
        "torch_utils.persistence", str(fields.get("class_name", ""))[:_MAX_NAME], (), fields.get("state")
    )


_TENSORS: dict[tuple[str, str], _Maker] = {
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _tensor_of_type,
    ("torch._utils", "_rebuild_parameter"): _first,
    ("torch._utils", "_rebuild_parameter_with_state"): _first,
    ("torch._utils", "_rebuild_device_tensor_from_cpu_tensor"): _first,
    ("torch._utils", "_rebuild_device_tensor_from_numpy"): _first,
    ("torch._utils", "_rebuild_qtensor"): _unread("a quantised tensor, which is not read"),
    ("torch._utils", "_rebuild_sparse_tensor"): _unread("a sparse tensor, which is not read"),
    ("torch._utils", "_rebuild_sparse_csr_tensor"): _unread("a sparse tensor, which is not read"),
    ("torch._utils", "_rebuild_nested_tensor"): _unread("a nested tensor, which is not read"),
    ("torch._utils", "_rebuild_meta_tensor_no_storage"): _unread("a meta tensor has no data"),
    ("torch._utils", "_rebuild_wrapper_subclass"): _unread("a tensor of a subclass without storage"),
}
_CONTAINERS: dict[tuple[str, str], _Maker] = {
    ("collections", "OrderedDict"): _dict,
    ("collections", "Counter"): _dict,
    ("collections", "deque"): _list,
    ("torch", "Size"): _tuple,
}
_KNOWN: dict[tuple[str, str], _Maker] = {
    **_TENSORS,
    **_CONTAINERS,
    ("collections", "defaultdict"): lambda machine, args: _dict(machine, args[1:]),
    ("torch._tensor", "_rebuild_from_type"): _typed,
    ("torch._tensor", "_rebuild_from_type_v2"): _typed,
    ("torch.tensor", "_rebuild_from_type"): _typed,
    ("torch.storage", "_load_from_bytes"): _stream,
    ("torch", "device"): _device,
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _persistent_object,
    ("_codecs", "encode"): _encode,
    ("datetime", "datetime"): _moment(datetime.datetime),
    ("datetime", "date"): _moment(datetime.date),
}
for _module in ("builtins", "__builtin__"):
    _KNOWN |= {(_module, name): _list for name in ("list", "set", "frozenset")}
    _KNOWN |= {(_module, name): _raw for name in ("bytes", "bytearray")}
    _KNOWN |= {(_module, "dict"): _dict, (_module, "tuple"): _tuple, (_module, "complex"): _complex}
for _module in ("numpy.core", "numpy._core"):
    _KNOWN |= {
        (f"{_module}.multiarray", "scalar"): _scalar,
        (f"{_module}.multiarray", "_reconstruct"): _array,
        (f"{_module}.numeric", "_frombuffer"): _array_from_buffer,
    }
for _module in ("copyreg", "copy_reg"):
    _KNOWN[_module, "_reconstructor"] = _reconstructed
for _module in ("pathlib", "pathlib._local"):
    for _name in ("Path", "PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath"):
        _KNOWN[_module, _name] = _path
