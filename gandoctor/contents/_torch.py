"""What torch.save writes: a zip archive since PyTorch 1.6, a row of pickles and raw storages before.

    zip      ROOT/data.pkl, ROOT/data/0, ROOT/data/1, ...; entries are stored, not compressed
    legacy   pickles (magic number, protocol 1001, system, object, keys), then for every key
             u64 elements and the raw bytes

A tensor in the pickle names a storage by a persistent id: torch/serialization.py.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from gandoctor.contents._unpickle import MAX_PICKLE, Context, load
from gandoctor.contents._zip import Entry, entries_of
from gandoctor.contents.tensors import Part, Storage, Unreadable

LEGACY_START = bytes.fromhex("80028a0a6cfc9c46f920")
_PROTOCOL = 1001
_MAX_DEPTH = 2  # streams in streams: StyleGAN's pickles have one


def read_zip(file: Part) -> object:
    """The tree of a zip archive. Raises Unreadable; a storage that is missing spoils only its tensors."""
    entries = entries_of(file)
    roots = [
        name[: -len("/data.pkl")] for name in entries if name.count("/") == 1 and name.endswith("/data.pkl")
    ]
    if len(roots) != 1:
        raise Unreadable("", "a zip archive without one ROOT/data.pkl: not written by torch.save")
    [root] = roots
    program = _program(file, entries[f"{root}/data.pkl"])
    order = entries.get(f"{root}/byteorder")
    big = order is not None and order.size == 3 and order.part(file).read() == b"big"
    context = Context(_nested(0))
    [tree], _ = load(program, context)
    for key, storage in context.storages.items():
        entry = entries.get(f"{root}/data/{key}")
        if entry is None:
            continue
        storage.order = ">" if big else "<"
        _place(storage, file, entry)
    return tree


def _program(file: Part, entry: Entry) -> Part:
    if entry.size > MAX_PICKLE:
        raise Unreadable(entry.name, f"{entry.size:,} bytes; at most {MAX_PICKLE >> 20} MB are read")
    data = entry.part(file).read()
    if zlib.crc32(data) != entry.crc:
        raise Unreadable(entry.name, "its checksum is wrong: the file is damaged")
    return Part(data, 0, len(data))


def _place(storage: Storage, file: Part, entry: Entry) -> None:
    try:
        part = entry.part(file)
    except Unreadable as wrong:
        storage.problem = str(wrong)
        return
    if part.size < storage.size:
        storage.problem = f"{entry.name}: {part.size:,} bytes of {storage.size:,}"
    else:
        storage.part, storage.problem = part, ""


def read_legacy(file: Part, depth: int = 0) -> object:
    """The tree of a legacy stream. Raises Unreadable; storages behind a cut spoil only their tensors."""
    context = Context(_nested(depth + 1))
    if file.read(0, min(file.size, len(LEGACY_START))) != LEGACY_START:
        raise Unreadable(f"byte {file.at}", "not a stream of torch.save")
    [_, protocol, system, tree, keys], at = load(file, context, 5)
    if protocol != _PROTOCOL:
        raise Unreadable(f"byte {file.at}", f"protocol {protocol!r} of torch.save is not known"[:100])
    big = isinstance(system, dict) and system.get("little_endian") is False
    for key in keys if isinstance(keys, list) else []:
        storage = context.storages.get(key) if isinstance(key, str) else None
        if storage is None:  # its width is not known, so nor is where the next one starts
            break
        try:
            [count] = struct.unpack(">Q" if big else "<Q", file.read(at, 8))
            storage.order = ">" if big else "<"
            part = file.part(at + 8, count * storage.unit)
        except Unreadable as wrong:
            for other in context.storages.values():
                if other.part is None:
                    other.problem = str(wrong)
            break
        at += 8 + part.size
        if part.size < storage.size:
            storage.problem = f"{part.size:,} bytes of {storage.size:,}"
        else:
            storage.part, storage.problem = part, ""
    return tree


def read_pickle(file: Part) -> object:
    """The tree of a plain pickle: StyleGAN's snapshots, numpy arrays in containers. Raises Unreadable."""
    [tree], _ = load(file, Context(_nested(0)))
    return tree


def _nested(depth: int) -> Callable[[Part], object] | None:
    if depth >= _MAX_DEPTH:
        return None
    return lambda part: read_legacy(part, depth)
