"""Reads a pickle as data: nothing in it is imported, called or executed.

A pickle is a program for a stack machine; Python's own machine calls whatever the program names.
This one knows the opcodes of protocols 0 to 5, builds dicts, lists, tuples, numbers and strings,
and takes numpy scalars and arrays from their raw bytes. What else a pickle names or calls becomes
an inert `Refused`, and its name is told. Python 2's `str` is read as Latin-1.

The opcodes are those of CPython's `Lib/pickletools.py`. Sets are given as lists. A dict's key must
be a string, bytes or a number; entries with another key are dropped.
"""

from __future__ import annotations

import codecs
import math
import pickletools
import re
import struct
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, overload

import numpy as np

MAX_OPERATIONS = 10_000_000  # each may cost 100 bytes and takes about 0.5 µs
_MAX_LONG = 1_024  # bytes of one integer
_MAX_NAME = 200  # characters of a global's name
_MAX_REFUSED = 100  # names told
_MAX_DIMENSIONS = 32
_FREE_COPIES = 1_000_000  # items that calls may copy, beyond four for each byte of the pickle

_BINARY = re.compile(rb"\x80[\x02-\x05](?:\x95.{8})?[\]})(cNKMJGUXCT\x8c\x96\x8e]", re.DOTALL)
_OLD = re.compile(rb"\((?:[dl]p\d+\n|[dl]q)|[\]}]q[\x00\x01]|ccollections\n|cnumpy[\w.]*\n")
_NUMERIC = re.compile(r"[<>|=]?([?]|b1|[iu][1248]|f[248])$")
_STRUCT = {
    "?": "?", "b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I",
    "u8": "Q", "f2": "e", "f4": "f", "f8": "d",
}  # fmt: skip
_SCALARS = {order + code: struct.Struct(order + kind) for order in "<>" for code, kind in _STRUCT.items()}


def is_pickle(data: bytes) -> bool:
    """Whether these first bytes are a pickle's: of protocol 2 to 5, or a container in protocol 0 or 1."""
    return bool(_BINARY.match(data) or _OLD.match(data))


@dataclass(frozen=True, slots=True)
class Refused:
    """In place of something that a pickle names ("os system") or makes, and that we do not build."""

    name: str


@dataclass(slots=True)
class RawArray:
    """A numpy array as pickled: shape, dtype and raw bytes (or a list, for arrays of objects)."""

    shape: object = ()
    dtype: object = None
    fortran: bool = False
    data: object = None

    def value(self) -> object:
        """The numpy array, or the list of its objects, or its one object where it has no dimension.

        None where shape, dtype and bytes do not fit together.
        """
        if not isinstance(self.dtype, _Dtype):
            return None
        if self.dtype.code == "O":
            objects = self.data if isinstance(self.data, list) else []
            return objects[0] if self.shape == () and len(objects) == 1 else objects
        dtype, shape = self.dtype.numpy(), self.shape
        if dtype is None or not isinstance(shape, tuple) or len(shape) > _MAX_DIMENSIONS:
            return None
        if not all(type(size) is int and size >= 0 for size in shape):
            return None
        raw = _raw(self.data, math.prod(shape) * dtype.itemsize)
        if raw is None:
            return None
        return np.frombuffer(raw, dtype).reshape(shape, order="F" if self.fortran else "C")

    def set_state(self, state: Sequence[object]) -> None:
        """Take (version, shape, dtype, fortran, data); the oldest arrays have no version."""
        self.shape, self.dtype, fortran, self.data = state[-4:]
        self.fortran = fortran is True

    def number(self) -> float | int | None:
        """The one number of an array of one, else None."""
        shape = self.shape
        if isinstance(shape, tuple) and len(shape) <= _MAX_DIMENSIONS and all(size == 1 for size in shape):
            return self.dtype.number(self.data) if isinstance(self.dtype, _Dtype) else None
        return None


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a pickle holds, as far as it could be read.

    refused: names of what was not built, in order of appearance.
    fault: why reading ended early ("" if it did not), at byte `at`. end: the byte after the pickle.
    """

    value: object
    refused: tuple[str, ...] = ()
    fault: str = ""
    at: int = 0
    end: int = 0


def load_inert(data: bytes, start: int = 0) -> Loaded:
    """Read one pickle from byte `start` on. Never raises; what stood before a fault is kept."""
    machine = Machine(data, start)
    fault = machine.run()
    value = machine.salvaged() if fault else machine.stack[-1] if machine.stack else None
    return Loaded(value, tuple(machine.refused), fault, min(machine.at, len(data)), machine.at)


@dataclass(slots=True)
class _Global:
    """A name that the table below knows; it is never looked up anywhere else."""

    name: str


@dataclass(slots=True)
class _Dtype:
    """A numpy dtype: BUILD sets its byte order after it was made."""

    code: str
    order: str = "<"

    def numpy(self) -> np.dtype[Any] | None:
        return np.dtype(self.order + self.code) if self.code in _STRUCT else None

    def number(self, data: object) -> float | int | None:
        """One scalar from its bytes; None if it is no number, or not of this length."""
        form = _SCALARS.get(self.order + self.code)
        raw = None if form is None else _raw(data, form.size)
        if form is None or raw is None:
            return None
        number: float | int = form.unpack(raw)[0]
        return number


def _raw(value: object, length: int | None = None) -> bytes | None:
    """Bytes, also where Python 2 pickled them as a `str`. None if they are not of this length."""
    if not isinstance(value, bytes | str) or (length is not None and len(value) != length):
        return None
    try:
        return value.encode("latin-1") if isinstance(value, str) else value
    except UnicodeEncodeError:
        return None


# -- What stands in for the few globals that logs need: each takes the pickled arguments.


def _make_dtype(args: list[object]) -> object:
    code = args[0] if args and isinstance(args[0], str) else ""
    if re.fullmatch(r"[<>|=]?O\d*", code):
        return _Dtype("O")
    found = _NUMERIC.match(code)
    if found is None:
        return _Dtype("unknown")
    return _Dtype(found[1], ">" if code.startswith(">") else "<")


def _make_scalar(args: list[object]) -> object:
    return args[0].number(args[1]) if len(args) == 2 and isinstance(args[0], _Dtype) else None


def _make_array(args: list[object]) -> object:
    return RawArray()


def _from_buffer(args: list[object]) -> object:
    if len(args) != 4:
        return RawArray()
    return RawArray(args[2], args[1], args[3] == "F", args[0])


def _make_dict(args: list[object]) -> object:
    made: dict[object, object] = {}
    for argument in args:
        if isinstance(argument, dict):
            made.update(argument)
        elif isinstance(argument, list | tuple):  # Python 2's OrderedDict: pairs
            _put(
                made,
                [
                    part
                    for pair in argument
                    if isinstance(pair, list | tuple) and len(pair) == 2
                    for part in pair
                ],
            )
    return made


def _make_list(args: list[object]) -> object:
    return list(args[0]) if args and isinstance(args[0], list | tuple) else []


def _encode(args: list[object]) -> object:
    """`_codecs.encode(text, "latin1")`: how Python 3 writes bytes in protocols 0 to 2."""
    return _raw(args[0]) if args else b""


def _bytearray(args: list[object]) -> object:
    return (_raw(args[0]) or b"") if args else b""


def _make_nothing(args: list[object]) -> object:
    return None


def _reconstruct_object(args: list[object]) -> object:
    """`copyreg._reconstructor(class, base, state)`: only a plain container comes to life."""
    if args and isinstance(args[0], _Global):
        return _KNOWN[args[0].name]([])
    return args[0] if args and isinstance(args[0], Refused) else Refused("an object")


_Maker: TypeAlias = Callable[[list[object]], object]
_KNOWN: dict[str, _Maker] = {
    "collections OrderedDict": _make_dict,
    "collections defaultdict": _make_dict,
    "collections Counter": _make_dict,
    "collections deque": _make_list,
    "numpy dtype": _make_dtype,
    "numpy ndarray": _make_array,
    "_codecs encode": _encode,
}
for _module in ("builtins", "__builtin__"):
    _KNOWN |= {
        f"{_module} dict": _make_dict,
        f"{_module} bytearray": _bytearray,
        f"{_module} bytes": _bytearray,
    }
    _KNOWN |= {f"{_module} {name}": _make_list for name in ("list", "tuple", "set", "frozenset")}
    _KNOWN |= {f"{_module} {name}": _make_nothing for name in ("int", "float", "object", "str")}
for _module in ("numpy.core", "numpy._core"):
    _KNOWN |= {
        f"{_module}.multiarray scalar": _make_scalar,
        f"{_module}.multiarray _reconstruct": _make_array,
        f"{_module}.numeric _frombuffer": _from_buffer,
    }
for _module in ("copyreg", "copy_reg"):
    _KNOWN[f"{_module} _reconstructor"] = _reconstruct_object


def _put(target: dict[object, object], items: list[object]) -> None:
    """Set key, value, key, value, ... A key that holds others is dropped: to hash it may never end.

    So is a number beyond 2**53: such keys can be chosen to collide.
    """
    for key, value in zip(items[::2], items[1::2], strict=False):
        if isinstance(key, str | bytes) or (isinstance(key, int | float) and -(2**53) < key < 2**53):
            target[key] = value


# -- The machine.


class Program(Protocol):
    """A pickle's bytes: `bytes`, or what reads them from a file as they are asked for."""

    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, at: int, /) -> int: ...
    @overload
    def __getitem__(self, at: slice, /) -> bytes: ...
    def find(self, what: bytes, start: int, /) -> int:
        """Where `what` stands at or after `start`; -1 if nowhere."""


@dataclass(slots=True)
class Machine:
    """The program, the byte it has come to, its stack, the stacks below each mark, and its memo.

    A subclass decides what globals, calls, states and persistent ids stand for.
    """

    data: Program
    at: int
    stack: list[object] = field(default_factory=list)
    marks: list[list[object]] = field(default_factory=list)
    memo: dict[int, object] = field(default_factory=dict)
    refused: dict[str, None] = field(default_factory=dict)
    copied: int = 0
    most: int = MAX_OPERATIONS

    def run(self) -> str:
        """Run the program to its end. Never raises: returns why it broke off at `at`, or ""."""
        try:
            self._run()
        except IndexError:
            ends = self.at >= len(self.data)
            return "the pickle ends early" if ends else "the pickle takes more from its stack than there is"
        except KeyError as missing:
            return f"the pickle recalls {missing}, which it never stored"
        except (ValueError, OverflowError, struct.error) as wrong:
            return str(wrong)
        return ""

    def _run(self) -> None:
        for _ in range(self.most):
            code = self.data[self.at]
            self.at += 1
            operation = _OPERATIONS.get(code)
            if operation is not None:
                operation(self)
            elif code == _STOP:
                return
            else:
                raise ValueError(f"byte {code:#04x} is no opcode of a pickle")
        raise ValueError(f"more than {self.most:,} operations")

    def take(self, length: int) -> bytes:
        """The next bytes of the program."""
        end = self.at + length
        if end > len(self.data) or length < 0:
            self.at = len(self.data)
            raise IndexError
        part = self.data[self.at : end]
        self.at = end
        return part

    def line(self) -> bytes:
        """The bytes up to the end of the line."""
        end = self.data.find(b"\n", self.at)
        if end < 0:
            self.at = len(self.data)
            raise IndexError
        part = self.data[self.at : end]
        self.at = end + 1
        return part

    def blob(self, length: int) -> object:
        """The next bytes, as a value."""
        return self.take(length)

    def push(self, value: object) -> None:
        """Put on the stack."""
        self.stack.append(value)

    def store(self, slot: int) -> None:
        """Keep the top of the stack in the memo, a dict: a large slot costs nothing."""
        self.memo[slot] = self.stack[-1]

    def recall(self, slot: int) -> None:
        """Put on the stack what a slot of the memo holds."""
        self.stack.append(self.memo[slot])

    def to_mark(self) -> list[object]:
        """Everything above the last mark, which is taken off."""
        below = self.marks.pop()
        items, self.stack = self.stack, below
        return items

    def named(self, module: object, name: object) -> object:
        """What stands for a global."""
        if not (isinstance(module, str) and isinstance(name, str) and len(module) + len(name) <= _MAX_NAME):
            return self.refuse("a global without a proper name")
        full = f"{module} {name}"
        return _Global(full) if full in _KNOWN else self.refuse(full)

    def refuse(self, name: str) -> object:
        """Note a name that is not known, and give what stands for it."""
        if len(self.refused) < _MAX_REFUSED:
            self.refused[name] = None
        return Refused(name)

    def call(self, function: object, args: object) -> object:
        """What a call gives: only the table's own functions are ever called."""
        if not isinstance(function, _Global):
            return function if isinstance(function, Refused) else Refused("a call of no function")
        given = args if isinstance(args, list | tuple) else []
        self.copied += len(given) + sum(len(one) for one in given if isinstance(one, Sized))
        if self.copied > 4 * len(self.data) + _FREE_COPIES:
            raise ValueError("the pickle copies the same data over and over")
        return _KNOWN[function.name](list(given))

    def build(self, target: object, state: object) -> None:
        """Give an object its state: only numpy's dtypes and arrays take one."""
        if not isinstance(state, tuple):
            return
        if isinstance(target, _Dtype) and len(state) > 1 and state[1] == ">":
            target.order = ">"
        elif isinstance(target, RawArray) and len(state) in (4, 5):
            target.set_state(state)

    def persistent(self, identity: object) -> object:
        """What a persistent id stands for: something outside the pickle."""
        return self.refuse("a persistent id")

    def give(self, container: object, items: list[object], keyed: bool = False) -> None:
        """Append to a list, or set a dict's key, value, key, value, ... keyed: the pickle means the latter."""
        if isinstance(container, list):
            container.extend(items)
        elif isinstance(container, dict):
            self.put(container, items)
        elif isinstance(container, RawArray) and len(items) > 4 and isinstance(items[4], list):
            items[4].extend(items[5:])  # an array of objects, cut before its state was whole
            container.set_state(items[:5])

    def put(self, target: dict[object, object], items: list[object]) -> None:
        """Set a dict's key, value, key, value, ..."""
        _put(target, items)

    def salvaged(self) -> object:
        """What was built when reading broke off: open containers get what was meant for them."""
        while self.marks:
            items = self.to_mark()
            if self.stack:
                self.give(self.stack[-1], items)
            else:
                self.stack.append(items)
        for i in range(len(self.stack) - 2, -1, -1):  # protocol 0 sets items one by one
            if isinstance(self.stack[i], list | dict):
                self.give(self.stack[i], self.stack[i + 1 :])
                del self.stack[i + 1 :]
        return self.stack[0] if self.stack else None


_STOP = 0x2E
_Operation: TypeAlias = Callable[[Machine], None]


def _fixed(layout: str) -> _Operation:
    """Push one number of fixed size."""
    form = struct.Struct(layout)
    return lambda machine: machine.push(form.unpack(machine.take(form.size))[0])


def _counted(width: int, decode: Callable[[bytes], object]) -> _Operation:
    """Push what `decode` makes of a byte string, whose length stands before it in `width` bytes."""
    return lambda machine: machine.push(decode(machine.take(int.from_bytes(machine.take(width), "little"))))


def _blob(width: int) -> _Operation:
    """Push bytes whose length stands before them in `width` bytes."""
    return lambda machine: machine.push(machine.blob(int.from_bytes(machine.take(width), "little")))


def _spelled(decode: Callable[[bytes], object]) -> _Operation:
    """Push what `decode` makes of a line of text."""
    return lambda machine: machine.push(decode(machine.line()))


def _latin(raw: bytes) -> str:
    return raw.decode("latin-1")


def _utf8(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace")


def _escaped(line: bytes) -> str:
    return line.decode("raw-unicode-escape")


def _quoted(line: bytes) -> str:
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise ValueError("a string without its quotes")
    return _latin(codecs.escape_decode(line[1:-1])[0])


def _integer(line: bytes) -> object:
    if line in (b"00", b"01"):
        return line == b"01"
    return int(line.rstrip(b"L"))


def _long(raw: bytes) -> int:
    if len(raw) > _MAX_LONG:
        raise ValueError(f"an integer of {len(raw):,} bytes")
    return int.from_bytes(raw, "little", signed=True)


def _mark(machine: Machine) -> None:
    machine.marks.append(machine.stack)
    machine.stack = []


def _pop(machine: Machine) -> None:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.to_mark()


def _pop_mark(machine: Machine) -> None:
    machine.to_mark()


def _items_as(kind: type[list[object]] | type[tuple[object, ...]]) -> _Operation:
    """Push what stands above the mark as one list or tuple."""
    return lambda machine: machine.push(kind(machine.to_mark()))


def _tuple1(machine: Machine) -> None:
    machine.stack[-1] = (machine.stack[-1],)


def _tuple2(machine: Machine) -> None:
    second, first = machine.stack.pop(), machine.stack.pop()
    machine.push((first, second))


def _tuple3(machine: Machine) -> None:
    third, second, first = machine.stack.pop(), machine.stack.pop(), machine.stack.pop()
    machine.push((first, second, third))


def _dict(machine: Machine) -> None:
    made: dict[object, object] = {}
    machine.put(made, machine.to_mark())
    machine.push(made)


def _append(machine: Machine) -> None:
    item = machine.stack.pop()
    machine.give(machine.stack[-1], [item])


def _extend(machine: Machine) -> None:
    items = machine.to_mark()
    machine.give(machine.stack[-1], items)


def _set_items(machine: Machine) -> None:
    items = machine.to_mark()
    machine.give(machine.stack[-1], items, keyed=True)


def _set_item(machine: Machine) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    machine.give(machine.stack[-1], [key, value], keyed=True)


def _stack_global(machine: Machine) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.push(machine.named(module, name))


def _reduce(machine: Machine) -> None:
    args, function = machine.stack.pop(), machine.stack.pop()
    machine.push(machine.call(function, args))


def _reduce_with_keywords(machine: Machine) -> None:
    machine.stack.pop()
    _reduce(machine)


def _instance(machine: Machine) -> None:
    function = machine.named(_utf8(machine.line()), _utf8(machine.line()))
    machine.push(machine.call(function, machine.to_mark()))


def _object(machine: Machine) -> None:
    function, *args = machine.to_mark() or [None]
    machine.push(machine.call(function, args))


def _build(machine: Machine) -> None:
    state, target = machine.stack.pop(), machine.stack[-1]
    machine.build(target, state)


def _skipping(width: int) -> _Operation:
    """Do nothing, but step over the argument."""

    def operation(machine: Machine) -> None:
        machine.take(width)

    return operation


def _refusing(name: str, width: int = 0) -> _Operation:
    """Push an inert object for something that lies outside the pickle."""

    def operation(machine: Machine) -> None:
        machine.take(width)
        machine.push(machine.refuse(name))

    return operation


def _persistent_line(machine: Machine) -> None:
    machine.push(machine.persistent(_latin(machine.line())))


def _persistent(machine: Machine) -> None:
    machine.stack[-1] = machine.persistent(machine.stack[-1])


_BY_NAME: dict[str, _Operation] = {
    "NONE": lambda machine: machine.push(None),
    "NEWTRUE": lambda machine: machine.push(True),
    "NEWFALSE": lambda machine: machine.push(False),
    "BININT1": _fixed("<B"), "BININT2": _fixed("<H"), "BININT": _fixed("<i"), "BINFLOAT": _fixed(">d"),
    "INT": _spelled(_integer), "LONG": _spelled(_integer), "FLOAT": _spelled(float),
    "LONG1": _counted(1, _long), "LONG4": _counted(4, _long),
    "STRING": _spelled(_quoted), "SHORT_BINSTRING": _counted(1, _latin), "BINSTRING": _counted(4, _latin),
    "UNICODE": _spelled(_escaped), "SHORT_BINUNICODE": _counted(1, _utf8), "BINUNICODE": _counted(4, _utf8),
    "BINUNICODE8": _counted(8, _utf8),
    "SHORT_BINBYTES": _blob(1), "BINBYTES": _blob(4), "BINBYTES8": _blob(8), "BYTEARRAY8": _blob(8),
    "PROTO": _skipping(1), "FRAME": _skipping(8), "READONLY_BUFFER": _skipping(0),
    "PUT": lambda machine: machine.store(int(machine.line())),
    "BINPUT": lambda machine: machine.store(machine.take(1)[0]),
    "LONG_BINPUT": lambda machine: machine.store(int.from_bytes(machine.take(4), "little")),
    "MEMOIZE": lambda machine: machine.store(len(machine.memo)),
    "GET": lambda machine: machine.recall(int(machine.line())),
    "BINGET": lambda machine: machine.recall(machine.take(1)[0]),
    "LONG_BINGET": lambda machine: machine.recall(int.from_bytes(machine.take(4), "little")),
    "MARK": _mark, "POP": _pop, "POP_MARK": _pop_mark,
    "DUP": lambda machine: machine.push(machine.stack[-1]),
    "EMPTY_LIST": lambda machine: machine.push([]),
    "EMPTY_SET": lambda machine: machine.push([]),
    "EMPTY_DICT": lambda machine: machine.push({}),
    "EMPTY_TUPLE": lambda machine: machine.push(()),
    "LIST": _items_as(list),
    "FROZENSET": _items_as(list),
    "TUPLE": _items_as(tuple),
    "TUPLE1": _tuple1, "TUPLE2": _tuple2, "TUPLE3": _tuple3, "DICT": _dict,
    "APPEND": _append, "APPENDS": _extend, "ADDITEMS": _extend, "SETITEMS": _set_items, "SETITEM": _set_item,
    "GLOBAL": lambda machine: machine.push(machine.named(_utf8(machine.line()), _utf8(machine.line()))),
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce, "NEWOBJ": _reduce, "NEWOBJ_EX": _reduce_with_keywords,
    "INST": _instance, "OBJ": _object, "BUILD": _build,
    "EXT1": _refusing("the extension registry", 1), "EXT2": _refusing("the extension registry", 2),
    "EXT4": _refusing("the extension registry", 4),
    "PERSID": _persistent_line, "BINPERSID": _persistent,
    "NEXT_BUFFER": _refusing("an out-of-band buffer"),
}  # fmt: skip
_OPERATIONS = {ord(one.code): _BY_NAME[one.name] for one in pickletools.opcodes if one.name in _BY_NAME}
