"""The header of a .npy file, read as data, and the names in a .npz archive.

Byte 93, `NUMPY`, a version, the length of the header, and the header, a Python literal:
{'descr': '<f8', 'fortran_order': False, 'shape': (240,), }.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
import zlib
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

MAGIC = b"\x93NUMPY"
MAX_HEADER = 65_536

_MAX_DIMENSIONS = 32
_MEMBER = re.compile(rb"PK\x03\x04.{4}(?P<method>..).{16}(?P<name>..)(?P<extra>..)", re.DOTALL)
_NETWORK = re.compile(  # of Chainer, of Keras, of a state_dict
    r"(^|[/.])(W|b|weight|bias|gamma|beta|kernel|avg_mean|running_mean)$|^updater/"
)
_CODE = re.compile(r"[<>|=]?[?biufcmMSUVO]\d{0,9}(\[\w+\])?")


@dataclass(frozen=True, slots=True)
class NpyHeader:
    """What stands before the data: the data begins at byte `start`."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    start: int

    @property
    def bytes(self) -> int:
        """How long the data are."""
        return math.prod(self.shape) * self.dtype.itemsize


def npy_header(data: bytes) -> NpyHeader:
    """Read the header at the beginning of these bytes. Raises ValueError if it is none."""
    if not data.startswith(MAGIC) or len(data) < 12:
        raise ValueError("no header of a NumPy array")
    width = 2 if data[6] == 1 else 4
    start = 8 + width + int.from_bytes(data[8 : 8 + width], "little")
    if start > min(len(data), MAX_HEADER):
        raise ValueError(f"a header of {start:,} bytes")
    text = data[8 + width : start].decode("latin-1")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python, about odd literals
            fields = ast.literal_eval(re.sub(r"(\d)L\b", r"\1", text).strip())  # Python 2 wrote (240L,)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise ValueError("a header that is no Python literal") from None
    if not isinstance(fields, dict) or not {"descr", "shape", "fortran_order"} <= fields.keys():
        raise ValueError("a header without descr, shape and fortran_order")
    shape = fields["shape"]
    if not isinstance(shape, tuple) or len(shape) > _MAX_DIMENSIONS:
        raise ValueError("a shape that is no tuple")
    if not all(type(size) is int and 0 <= size < 2**62 for size in shape):
        raise ValueError(f"an impossible shape {str(shape)[:60]}")
    return NpyHeader(_dtype(fields["descr"]), shape, fields["fortran_order"] is True, start)


def _dtype(descr: object) -> np.dtype[Any]:
    """A dtype from its description: a code, or a flat list of (name, code)."""
    if isinstance(descr, list):
        pairs = [pair for pair in descr if isinstance(pair, tuple) and len(pair) == 2]
        good = len(pairs) == len(descr) and all(
            _is_code(code) and isinstance(name, str) for name, code in pairs
        )
    else:
        good = _is_code(descr)
    try:
        dtype = np.dtype(descr) if good else None  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        dtype = None
    if dtype is None or dtype.itemsize == 0:
        raise ValueError(f"values of a kind we do not read: {str(descr)[:60]}")
    return cast("np.dtype[Any]", dtype)


def _is_code(code: object) -> bool:
    return isinstance(code, str) and _CODE.fullmatch(code) is not None


def members_of(data: bytes) -> list[re.Match[bytes]]:
    """The arrays in the first bytes of a .npz archive; none where it does not begin with one."""
    found = [one for one in _MEMBER.finditer(data) if _whole_name(data, one).endswith(".npy")]
    return found if found and found[0].start() == 0 else []


def member_name(data: bytes, found: re.Match[bytes]) -> str:
    """The name of an array in a .npz archive."""
    return _whole_name(data, found)[: -len(".npy")]


def member_start(data: bytes, found: re.Match[bytes]) -> bytes:
    """The first bytes of a member of a .npz archive, of which only the beginning is at hand."""
    start = found.end() + int.from_bytes(found["name"], "little") + int.from_bytes(found["extra"], "little")
    if found["method"] == b"\0\0":
        return data[start:]
    if found["method"] != b"\x08\0":
        return b""
    try:
        return zlib.decompressobj(-15).decompress(data[start:], 4096)
    except zlib.error:
        return b""


def _whole_name(data: bytes, found: re.Match[bytes]) -> str:
    length = int.from_bytes(found["name"], "little")
    return data[found.end() : found.end() + length].decode("latin-1")


def is_network(data: bytes) -> bool:
    """Whether these first bytes are of a .npz archive of weights, by their names."""
    return any(_NETWORK.search(member_name(data, found)) for found in members_of(data))
