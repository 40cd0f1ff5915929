"""The first bytes of a file, read once and shown to every reader's `sniff`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

HEAD_BYTES = 8192


@dataclass(frozen=True)
class Head:
    """path, size in bytes, and up to the first 8 KiB of a file."""

    path: Path
    size: int
    data: bytes

    @cached_property
    def name(self) -> str:
        """The file's name in lower case."""
        return self.path.name.lower()

    @cached_property
    def text(self) -> str | None:
        """The head as text, or None if it is binary. UTF-16 needs its byte order mark."""
        if self.data.startswith((b"\xff\xfe", b"\xfe\xff")):
            return self.data.decode("utf-16", errors="replace")
        if b"\0" in self.data:
            return None
        return self.data.decode("utf-8-sig", errors="replace")


def head_of(path: Path) -> Head:
    """Read the head of a regular file. Raises OSError if it cannot be opened."""
    with path.open("rb") as file:
        data = file.read(HEAD_BYTES)
    return Head(path, path.stat().st_size, data)
