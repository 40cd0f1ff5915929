"""Runs in object stores: `s3://bucket/runs`, `gs://…`, `az://…`, and whatever else fsspec opens.

A place is listed once. Its files are then `RemotePath`s: paths of a folder of empty stand-ins with the true sizes,
so that searching costs no request, and whose bytes are fetched when something reads them: a head to look at, all of
a log, a zip's directory and the entries that are asked for. What was fetched is kept on the disk for this process,
up to `CACHE_BYTES`. Nothing is ever written to the source.
"""

from __future__ import annotations

import atexit
import errno
import io
import itertools
import os
import re
import shutil
import tempfile
import threading
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from gandoctor.errors import UserError

CACHE_BYTES = 2 << 30  # kept on the disk by one process; GANDOCTOR_CACHE_BYTES sets another limit
_SMALL = 64 << 10  # files up to this come whole with the first request
_HEAD = 8 << 10  # the first request for a larger one, unless more is asked for
_LEAST, _MOST = 256 << 10, 8 << 20  # a request for what follows what is there

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_SECRET = re.compile(r"key|secret|token|password|credential|signature|sas", re.IGNORECASE)
_MANIFEST = "listing.json"


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One object: its key in the store, its size in bytes, and what changes when it does (ETag or time)."""

    key: str
    size: int
    stamp: str
    modified: float = 0.0


class Listing(msgspec.Struct, frozen=True):
    """What lies at a place. files: by path below it, joined with "/"; of one file "" is its name."""

    url: str
    files: dict[str, Entry]


def is_remote(path: str | Path) -> bool:
    """Whether a path is a URL of a store, or a path made from one."""
    if isinstance(path, RemotePath):
        return True
    return isinstance(path, str) and _URL.match(path) is not None and not path.startswith("file://")


def list_files(url: str) -> Listing:
    """Every file at or below a URL, by one listing. Raises UserError if there is none, or the library is missing."""
    safe = public(url)
    try:
        system, path = _system(url)
        found = system.find(path, detail=True)
    except UserError:
        raise
    except FileNotFoundError:
        found = {}
    except Exception as fault:
        raise UserError(f"cannot be listed: {_told(fault)}", where=safe) from None
    root = path.rstrip("/")
    files: dict[str, Entry] = {}
    for key, about in sorted(found.items()):
        inner = key[len(root) + 1 :] if key.startswith(root + "/") else "" if key == root else None
        if inner is None or about.get("type", "file") != "file" or about.get("size") is None:
            continue
        if inner and any(part in ("", ".", "..") or "\0" in part for part in inner.split("/")):
            continue  # no name that a file could have here
        files[inner] = Entry(key, int(about["size"]), _stamp(about), _modified(about))
    if not files:
        raise UserError("no such file or directory", where=safe, hint="nothing lies at or below this address")
    return Listing(url, files)


def _system(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it. Credentials come from the environment, as its library finds them."""
    scheme = url.partition("://")[0].lower()
    try:
        import fsspec
    except ImportError:
        raise UserError(
            "reading from object stores needs fsspec",
            where=public(url),
            hint='pip install "gandoctor[remote]"',
        ) from None
    try:
        fsspec.get_filesystem_class(scheme)
    except ImportError as fault:
        name = {
            "s3": "s3fs",
            "s3a": "s3fs",
            "gs": "gcsfs",
            "gcs": "gcsfs",
            "az": "adlfs",
            "abfs": "adlfs",
        }.get(scheme)
        hint = f"pip install {name}" if name else str(fault)
        raise UserError(
            f"reading {scheme}:// needs {name or 'a library'}", where=public(url), hint=hint
        ) from None
    except ValueError:
        raise UserError(f"no store is called {scheme}://", where=public(url)) from None
    system, path = fsspec.url_to_fs(url, use_listings_cache=False)
    return system, str(path)


def _stamp(about: Mapping[str, Any]) -> str:
    for name in ("ETag", "etag", "md5Hash", "content_md5", "crc32c", "LastModified", "mtime", "updated",
                 "last_modified", "created"):  # fmt: skip
        if about.get(name):
            return str(about[name])
    return ""


def _modified(about: Mapping[str, Any]) -> float:
    for name in ("LastModified", "mtime", "updated", "last_modified", "created"):
        when = about.get(name)
        if isinstance(when, datetime):
            return when.timestamp()
        if isinstance(when, int | float):
            return float(when)
        if isinstance(when, str):
            try:
                return datetime.fromisoformat(when).timestamp()
            except ValueError:
                continue
    return 0.0


def public(url: str) -> str:
    """A URL without a user, a password or a signature in it.

    >>> public("ftp://me:secret@host/runs?sig=abc")
    'ftp://host/runs'
    """
    return re.sub(r"^([A-Za-z][A-Za-z0-9+.-]+://)[^/@]*@", r"\1", url).partition("?")[0]


def _told(fault: BaseException) -> str:
    """What went wrong, without any secret that the environment holds."""
    text = f"{type(fault).__name__}: {fault}".replace("\n", " ")
    for name, value in os.environ.items():
        if _SECRET.search(name) and len(value) >= 4:
            text = text.replace(value, "***")
    return re.sub(r"://[^/@\s]+@", "://", text)[:300]


# --- a place with its files ------------------------------------------------------------------------------


def remote_root(url: str, listing: Listing | None = None) -> RemotePath:
    """The path of a place: of the folder that stands for it, or of its one file. Raises UserError."""
    listing = listing or list_files(url)
    base = Path(tempfile.mkdtemp(prefix="gandoctor-"))
    name = listing.url.rstrip("/").rpartition("/")[2].partition("?")[0] or "runs"
    place = _Place(base, name, listing)
    place.lay_out()
    _PLACES[str(base)] = place
    return RemotePath(base / "tree" / name)


def forget(root: Path) -> None:
    """Remove what was fetched from a place, and its stand-ins."""
    place = _place_of(str(root))
    if place is not None:
        _PLACES.pop(str(place.base), None)
        shutil.rmtree(place.base, ignore_errors=True)


def fetched(root: Path) -> tuple[int, int]:
    """The bytes that this process fetched from a place, and in how many requests."""
    place = _place_of(str(root))
    return (0, 0) if place is None else (place.bytes, place.requests)


def address(path: Path) -> str:
    """How a path is told to people: the URL of what lies in a store, else the path itself."""
    place = _place_of(str(path)) if isinstance(path, RemotePath) else None
    if place is None:
        return path.as_posix()
    inner = str(path)[len(str(place.root)) :]
    return public(place.listing.url).rstrip("/") + inner


@dataclass(slots=True)
class _Kept:
    """What is on the disk of one file: the byte ranges, ascending and apart; how many have it open."""

    data: Path
    ranges: list[tuple[int, int]] = field(default_factory=list)
    users: int = 0

    def missing(self, start: int, end: int) -> tuple[int, int] | None:
        """The first range of [start, end) that is not there."""
        place = bisect_right(self.ranges, (start, 1 << 63)) - 1
        if place >= 0 and self.ranges[place][1] > start:
            start = self.ranges[place][1]
        if start >= end:
            return None
        after = self.ranges[place + 1][0] if place + 1 < len(self.ranges) else end
        return start, min(end, after)

    def add(self, start: int, end: int) -> None:
        ranges = sorted([*self.ranges, (start, end)])
        joined = [ranges[0]]
        for one in ranges[1:]:
            if one[0] <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(joined[-1][1], one[1]))
            else:
                joined.append(one)
        self.ranges = joined

    @property
    def size(self) -> int:
        return sum(end - start for start, end in self.ranges)


class _Place:
    """A listed place. Each process keeps its own bytes: what another one fetched is not relied on."""

    def __init__(self, base: Path, name: str, listing: Listing) -> None:
        self.base, self.listing = base, listing
        self.root = base / "tree" / name
        self.bytes = self.requests = 0
        self._kept: dict[str, _Kept] = {}  # the least recently used first
        self._held = 0
        self._process = os.getpid()
        self._numbers = itertools.count()
        self._lock = threading.RLock()
        self._limit = int(os.environ.get("GANDOCTOR_CACHE_BYTES", CACHE_BYTES))

    def lay_out(self) -> None:
        """Make the stand-ins, and leave the listing for processes that are not forked."""
        self.root.parent.mkdir()
        (self.base / _MANIFEST).write_bytes(msgspec.json.encode((self.root.name, self.listing)))
        made: set[Path] = set()
        if list(self.listing.files) != [""]:
            self.root.mkdir()
        for inner, entry in self.listing.files.items():
            path = self.root / inner if inner else self.root
            try:
                if path.parent not in made:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    made.add(path.parent)
                with open(path, "xb") as file:
                    file.truncate(entry.size)
                os.utime(path, (entry.modified, entry.modified))
            except OSError:  # a key that is a folder too, or too long a name for this disk
                continue

    def entry(self, path: str) -> Entry | None:
        """The object that a path stands for."""
        inner = path[len(str(self.root)) + 1 :]
        return self.listing.files.get(inner)

    def local(self, path: str, entry: Entry) -> _Kept:
        """The file on the disk that takes the bytes of an object."""
        with self._lock:
            if self._process != os.getpid():
                self._process, self._kept, self._held = os.getpid(), {}, 0
            kept = self._kept.pop(path, None)
            if kept is None:
                folder = self.base / f"data-{os.getpid()}"
                folder.mkdir(exist_ok=True)
                kept = _Kept(folder / str(next(self._numbers)))
                with open(kept.data, "wb") as file:
                    file.truncate(entry.size)
            self._kept[path] = kept
            return kept

    def ensure(self, path: str, entry: Entry, kept: _Kept, start: int, end: int) -> None:
        """Have these bytes on the disk. Raises OSError."""
        with self._lock:
            while (gap := kept.missing(start, min(end, entry.size))) is not None:
                begin, until = _widened(gap, kept, entry.size)
                data = self._cat(entry, begin, until)
                if len(data) != until - begin:
                    raise OSError(errno.EIO, "the object changed while it was read")
                with open(kept.data, "r+b") as file:
                    file.seek(begin)
                    file.write(data)
                kept.add(begin, until)
                self._held += len(data)
                self._evict(path)

    def _cat(self, entry: Entry, begin: int, until: int) -> bytes:
        try:
            system, _ = _system(self.listing.url)
            data: bytes = system.cat_file(entry.key, start=begin, end=until)
        except UserError as fault:
            raise OSError(errno.EIO, str(fault)) from None
        except FileNotFoundError:
            raise FileNotFoundError(errno.ENOENT, "no longer there") from None
        except Exception as fault:
            raise OSError(errno.EIO, f"cannot be fetched: {_told(fault)}") from None
        self.requests += 1
        self.bytes += len(data)
        return data

    def _evict(self, mine: str) -> None:
        """Let go of the least recently used files that nobody reads, until the limit is kept."""
        for path in list(self._kept):
            if self._held <= self._limit:
                return
            kept = self._kept[path]
            if path != mine and not kept.users:
                self._held -= kept.size
                kept.data.unlink(missing_ok=True)
                del self._kept[path]


def _widened(gap: tuple[int, int], kept: _Kept, size: int) -> tuple[int, int]:
    """The range to ask for: a small file whole, and the more of a file the more of it was read in a row."""
    start, end = gap
    if size <= _SMALL and not kept.ranges:
        return 0, size
    before = next((one for one in kept.ranges if one[1] == start), None)
    if before is None:
        wanted = max(end, start + _HEAD)
    else:
        wanted = max(end, start + min(max(before[1] - before[0], _LEAST), _MOST))
    after = next((one[0] for one in kept.ranges if one[0] >= end), size)
    return start, min(wanted, after)


_PLACES: dict[str, _Place] = {}
_OWNER = os.getpid()


@atexit.register
def _clean() -> None:
    if os.getpid() == _OWNER:
        for base in list(_PLACES):
            shutil.rmtree(base, ignore_errors=True)


def _place_of(path: str) -> _Place | None:
    """The place to which a path belongs; read from its listing in a process that did not make it."""
    base, found, _ = path.partition("/tree/")
    if not found:
        return None
    if base not in _PLACES:
        try:
            name, listing = msgspec.json.decode(Path(base, _MANIFEST).read_bytes(), type=tuple[str, Listing])
        except (OSError, msgspec.MsgspecError):
            return None
        _PLACES[base] = _Place(Path(base), name, listing)
    return _PLACES[base]


class RemotePath(type(Path())):  # type: ignore[misc]
    """The path of a file or folder in a store: whoever opens it gets its bytes, fetched as they are read."""

    __slots__ = ()

    def open(  # type: ignore[no-untyped-def]
        self, mode="r", buffering=-1, encoding=None, errors=None, newline=None
    ):
        """Open for reading. Raises OSError if the bytes cannot be fetched when they are read."""
        if set(mode) - set("rbt"):
            raise OSError(errno.EROFS, "a store is only read", str(self))
        found = self._found()
        if found is None:
            return open(str(self), mode, buffering, encoding, errors, newline)  # says why not
        raw = _Stream(*found)
        if "b" in mode and buffering == 0:
            return raw
        file = io.BufferedReader(raw, _HEAD)
        return file if "b" in mode else io.TextIOWrapper(file, encoding, errors, newline)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Size and time as the listing has them."""
        return os.stat(str(self), follow_symlinks=follow_symlinks)

    def __fspath__(self) -> str:
        """A path that any library can open: of a file that is all there."""
        found = self._found()
        if found is None:
            return str(self)
        place, path, entry = found
        kept = place.local(path, entry)
        place.ensure(path, entry, kept, 0, entry.size)
        kept.users += 1  # who opens it by its name does not say when it is done
        return str(kept.data)

    def _found(self) -> tuple[_Place, str, Entry] | None:
        path = str(self)
        place = _place_of(path)
        entry = None if place is None else place.entry(path)
        return None if place is None or entry is None else (place, path, entry)


class _Stream(io.RawIOBase):
    """An object as a stream that can seek. state: what `contents.tensors` compares to see that it did not change."""

    def __init__(self, place: _Place, path: str, entry: Entry) -> None:
        self._place, self._path, self._entry = place, path, entry
        self._kept = place.local(path, entry)
        self._kept.users += 1
        self._file = open(self._kept.data, "rb", buffering=0)  # noqa: SIM115
        self.state = entry.size, (hash(entry.stamp), 0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any, /) -> int:
        at = self._file.tell()
        self._place.ensure(self._path, self._entry, self._kept, at, at + len(memoryview(buffer).cast("B")))
        return self._file.readinto(buffer) or 0

    def fileno(self) -> int:
        """For who maps or reads the file by its number: all of it is there then."""
        self._place.ensure(self._path, self._entry, self._kept, 0, self._entry.size)
        return self._file.fileno()

    def close(self) -> None:
        if not self.closed:
            self._file.close()
            self._kept.users -= 1
        super().close()
