"""The entries of a zip archive and where their bytes lie. Nothing is extracted.

PKWARE, APPNOTE.TXT. zipfile reads the directory; a directory of more than 8 MB is refused unread.
"""

from __future__ import annotations

import io
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

from gandoctor.contents.tensors import File, Part, Unreadable

_MAX_DIRECTORY = 8 << 20  # bytes: 100,000 entries, each costing 700 bytes of memory
_LOCAL = struct.Struct("<4s22xHH")


@dataclass(frozen=True, slots=True)
class Entry:
    """name, bytes when unpacked, checksum, and where its header stands."""

    name: str
    size: int
    crc: int
    at: int
    stored: bool
    packed: int

    def part(self, file: Part) -> Part:
        """Its bytes. Raises Unreadable if they are compressed, or not where the directory has them."""
        if not self.stored or self.packed != self.size:
            raise Unreadable(self.name, "a compressed entry, which torch.save does not write")
        signature, name, extra = _LOCAL.unpack(file.read(self.at, _LOCAL.size))
        if signature != b"PK\x03\x04":
            raise Unreadable(self.name, f"no entry at byte {self.at}: the archive is damaged")
        return file.part(self.at + _LOCAL.size + name + extra, self.size)


class _Bounded(io.RawIOBase):
    """A file that zipfile cannot make read much at once."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _MAX_DIRECTORY:
            raise zipfile.BadZipFile(f"a directory of {size:,} bytes")
        return self._file.read(_MAX_DIRECTORY if size is None or size < 0 else size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()


def entries_of(file: Part) -> dict[str, Entry]:
    """Entries by name. Raises Unreadable where there is no directory, as in a file cut short."""
    assert isinstance(file.origin, File)
    try:
        with _Bounded(file.origin.path) as stream, zipfile.ZipFile(stream) as archive:
            return {
                one.filename: Entry(
                    one.filename, one.file_size, one.CRC, one.header_offset,
                    one.compress_type == zipfile.ZIP_STORED and not one.flag_bits & 1, one.compress_size,
                )
                for one in archive.infolist()
            }  # fmt: skip
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, OSError) as wrong:
        raise Unreadable("", f"no whole zip archive ({wrong}): cut short or still being written") from None
