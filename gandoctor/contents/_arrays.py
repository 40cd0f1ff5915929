"""Checkpoints that are no pickles: safetensors and .npz.

    safetensors   u64le length of a JSON header {name: {dtype, shape, data_offsets}}, the header, the data
    npz           a zip of .npy files, stored (np.savez) or deflated (np.savez_compressed)

https://github.com/huggingface/safetensors, numpy.lib.format.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from gandoctor.contents._zip import Entry, entries_of
from gandoctor.contents.tensors import File, Part, Storage, Tensor, Unreadable, row_major
from gandoctor.readers.npy import MAX_HEADER, npy_header

_MAX_HEADER = 16 << 20  # bytes; real ones are below 1 MB, and JSON costs many times its size in memory
_MAX_INFLATED = 1 << 29
_SAFETENSORS = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
    "C64": "complex64",
}  # fmt: skip


def read_safetensors(file: Part) -> object:
    """{name: Tensor}, and "__metadata__" where there is some. Raises Unreadable where the header is bad."""
    length = int.from_bytes(file.read(0, 8), "little")
    if length > min(_MAX_HEADER, file.size - 8):
        raise Unreadable(
            "byte 0", f"a header of {length:,} bytes in a file of {file.size:,}: cut, or no safetensors file"
        )
    try:
        header = json.loads(file.read(8, length))
    except (ValueError, RecursionError) as wrong:
        raise Unreadable("byte 8", f"the header is no JSON ({wrong})"[:200]) from None
    if not isinstance(header, dict):
        raise Unreadable("byte 8", "the header is no JSON object")
    tree: dict[str, object] = {}
    ends: list[tuple[int, int, str]] = []
    for name, info in header.items():
        if name == "__metadata__":
            tree[name] = info
            continue
        tensor, begin, end = _safetensor(info, file, 8 + length)
        tree[name] = tensor
        if end > begin and not tensor.problem:
            ends.append((begin, end, name))
    furthest, owner = 0, ""
    for begin, end, name in sorted(ends):
        if begin < furthest:
            tree[name] = Tensor(None, "float32", (), problem=f"its bytes overlap those of {owner}"[:200])
        if end > furthest:
            furthest, owner = end, name
    return tree


def _safetensor(info: object, file: Part, data: int) -> tuple[Tensor, int, int]:
    """A tensor and the bytes (from, to) that it takes behind the header."""
    fields: dict[str, Any] = info if isinstance(info, dict) else {}
    kind, shape, offsets = (fields.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not (isinstance(shape, list) and isinstance(offsets, list) and len(offsets) == 2):
        return Tensor(None, "float32", (), problem="an entry without shape and data_offsets"), 0, 0
    begin, end = offsets
    if not (type(begin) is int and type(end) is int and 0 <= begin <= end):
        return Tensor(None, "float32", (), problem="its data_offsets are no range"), 0, 0
    stored = _SAFETENSORS.get(kind) if isinstance(kind, str) else None
    if stored is None:
        return Tensor(None, "float32", (), problem=f"numbers of type {kind!r} are not read"[:200]), begin, end
    storage = Storage(end - begin)
    try:
        storage.part = file.part(data + begin, end - begin)
    except Unreadable as wrong:
        storage.problem = str(wrong)
    tensor = Tensor(storage, stored, tuple(shape))
    width = 2 if stored == "bfloat16" else np.dtype(stored).itemsize
    if not tensor.own_problem and tensor.size * width != end - begin:
        why = f"{tensor.size:,} elements in {end - begin:,} bytes"
        return Tensor(None, "float32", (), problem=why), begin, end
    return tensor, begin, end


def read_npz(file: Part) -> object:
    """{name: Tensor} of an archive of arrays. Raises Unreadable where it has no directory."""
    entries = entries_of(file)
    return {
        name.removesuffix(".npy"): _npy(file, entry)
        for name, entry in entries.items()
        if name.endswith(".npy")
    }


def _npy(file: Part, entry: Entry) -> Tensor:
    """One array; a compressed one is unpacked when it is asked for."""
    try:
        inflate = None if entry.stored else _inflater(file, entry)
        begin = inflate(MAX_HEADER) if inflate else entry.part(file).read(0, min(entry.size, MAX_HEADER))
        header = npy_header(begin)
        part = None if inflate else entry.part(file).part(header.start, entry.size - header.start)
    except (Unreadable, ValueError) as wrong:
        return Tensor(None, "float32", (), problem=str(wrong))
    dtype, shape, start = header.dtype, header.shape, header.start
    if dtype.kind not in "biufc" or dtype.itemsize > 16 or dtype.name in ("longdouble", "float128"):
        return Tensor(None, "float32", (), problem=f"an array of {dtype}, not of numbers"[:200])
    storage = Storage(entry.size - start, part, ">" if dtype.byteorder == ">" else "<")
    if inflate:
        if entry.size > _MAX_INFLATED:
            storage.problem = f"a compressed array of {entry.size:,} bytes"
        storage.inflate = lambda: inflate(entry.size)[start:]
    return Tensor(
        storage, dtype.name, shape, tuple(reversed(row_major(shape[::-1]))) if header.fortran else None
    )


def _inflater(file: Part, entry: Entry) -> Callable[[int], bytes]:
    """Unpacks the first bytes of an entry. Raises Unreadable."""

    def inflate(size: int) -> bytes:
        assert isinstance(file.origin, File)
        try:
            with (
                file.origin.opened() as stream,
                zipfile.ZipFile(stream) as archive,
                archive.open(entry.name) as one,
            ):
                return one.read(size)
        except (
            zipfile.BadZipFile,
            ValueError,
            OSError,
            RuntimeError,
            EOFError,
            NotImplementedError,
        ) as wrong:
            raise Unreadable(entry.name, str(wrong)) from None

    return inflate
