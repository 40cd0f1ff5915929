"""A text log in blocks of whole lines, in UTF-8 whatever the file is in; memory stays bounded."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from io import RawIOBase, TextIOWrapper
from pathlib import Path
from typing import IO, AnyStr

import numpy as np

from gandoctor.readers.faults import Faults

BLOCK_BYTES = 1 << 22
LONGEST_LINE = 1 << 26  # 64 MiB without a line's end is no log
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines, each with its end; only the last line of a file may lack it.

    line: the number of the first line in the file, from 1.
    """

    data: bytes
    line: int


def blocks(path: Path, faults: Faults, size: int = BLOCK_BYTES, *, numbered: bool = True) -> Iterator[Block]:
    r"""Read a file in blocks of about `size` bytes, cut at line ends ("\n").

    UTF-8 and UTF-16 by their byte order mark, else UTF-8, else Latin-1 with a problem. NUL bytes
    (left by a crash) are taken out with a problem, and so are lines longer than 64 MiB.
    numbered: False saves the counting of lines, for who asks for no line's number.
    Raises OSError if the file cannot be read.
    """
    line = 1
    for data in _utf8(path, faults, size):
        if not data.isascii():
            data = _decoded(data, line, faults)
        if data:
            yield Block(data, line)
        line += count(data, b"\n") if numbered else 0


class NewLines:
    r"""The lines of a file that grows, each given once, as soon as it has its end ("\n").

    What has no end yet waits in memory for the rest of it. As `blocks`, but for UTF-16: `CannotFollow`.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._offset = 0
        self._line = 1
        self._rest = b""

    def take(self, file: RawIOBase, size: int) -> Iterator[Block]:
        """The whole lines among what is new up to byte `size` of the file."""
        for data in new_bytes(file, self._offset, size):
            if self._offset == 0:
                data = without_mark(data)
            self._offset = file.tell()
            data = self._rest + data.replace(b"\0", b"")
            cut = data.rfind(b"\n") + 1
            data, self._rest = data[:cut], data[cut:]
            if not data:
                continue
            yield Block(data if data.isascii() else _decoded(data, self._line, self._faults), self._line)
            self._line += count(data, b"\n")
        if len(self._rest) > LONGEST_LINE:
            raise CannotFollow


class CannotFollow(Exception):
    """The file cannot be read on from where it ended: it must be read whole."""


def new_bytes(file: RawIOBase, offset: int, size: int) -> Iterator[bytes]:
    """Bytes [offset, size) of a file, piece by piece; fewer if it has shrunk."""
    file.seek(offset)
    while offset < size and (data := file.read(min(BLOCK_BYTES, size - offset))):
        offset += len(data)
        yield data


def without_mark(data: bytes) -> bytes:
    """The first bytes of a file without UTF-8's byte order mark. Raises CannotFollow for another's."""
    if data.startswith(_UTF16) or data.startswith(codecs.BOM_UTF32_BE):
        raise CannotFollow
    return data.removeprefix(codecs.BOM_UTF8)


def count(data: bytes, byte: bytes) -> int:
    """How often one byte occurs; faster than `bytes.count` where it occurs often."""
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == byte[0]))


def _utf8(path: Path, faults: Faults, size: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        start = file.read(3)
        if start.startswith(_UTF16):
            file.seek(0)
            text = TextIOWrapper(file, "utf-16", errors="replace", newline="")
            for piece in _whole_lines(text, "\n", size, faults):
                yield piece.replace("\0", "").encode()
            return
        if start != codecs.BOM_UTF8:
            file.seek(0)
        offset = file.tell()
        for data in _whole_lines(file, b"\n", size, faults):
            begin, offset = offset, offset + len(data)
            if b"\0" in data:
                place = f"byte {begin + data.index(0)}"
                faults.once(place, "nul-bytes", "NUL bytes in a text file were left out")
                data = data.replace(b"\0", b"")
            yield data


def _whole_lines(file: IO[AnyStr], end: AnyStr, size: int, faults: Faults) -> Iterator[AnyStr]:
    while data := file.read(size):
        rest = file.readline(LONGEST_LINE)
        if len(rest) < LONGEST_LINE or rest.endswith(end):
            yield data + rest
            continue
        faults.once("", "long-line", f"what is longer than {LONGEST_LINE >> 20} MiB on one line was left out")
        while rest and not rest.endswith(end):
            rest = file.readline(LONGEST_LINE)
        yield data[: data.rfind(end) + 1]


def _decoded(data: bytes, line: int, faults: Faults) -> bytes:
    try:
        data.decode()
    except UnicodeDecodeError as fault:
        place = f"line {line + data.count(bytes([10]), 0, fault.start)}"
        faults.once(place, "encoding", "not UTF-8; read as Latin-1, so names may look odd")
        return data.decode("latin-1").encode()
    return data
