"""Writes W&B logs for the tests: the format from its description, not from the reader."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

BLOCK = 32_768


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def field(number: int, value: bytes | str | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def item(key: str | tuple[str, ...], value: object) -> bytes:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    keys = field(1, key) if isinstance(key, str) else b"".join(field(2, part) for part in key)
    return keys + field(16, text)


def history(values: Mapping[Any, object]) -> bytes:
    return field(2, b"".join(field(1, item(key, value)) for key, value in values.items()))


def config(values: Mapping[str, object]) -> bytes:
    return b"".join(field(1, item(key, value)) for key, value in values.items())


def run(values: Mapping[str, object]) -> bytes:
    return field(17, field(1, "id") + field(3, "project") + field(4, config(values)))


def output(line: str) -> bytes:
    return field(13, field(3, line))


def metric(name: str, step_metric: str) -> bytes:
    return field(12, field(2, name) + field(4, step_metric))


def log(records: Iterable[bytes]) -> bytes:
    """The file: each record cut into chunks that do not cross a block's end."""
    out = bytearray(b":W&B\xe1\xbe\x00")
    for record in records:
        first = True
        while first or record:
            room = BLOCK - len(out) % BLOCK
            if room < 7:
                out += bytes(room)
                continue
            part, record = record[: room - 7], record[room - 7 :]
            kind = (1 if not record else 2) if first else (4 if not record else 3)
            crc = zlib.crc32(bytes([kind]) + part)
            out += struct.pack("<IHB", crc, len(part), kind) + part
            first = False
    return bytes(out)
