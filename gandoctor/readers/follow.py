"""Reads a running job again and again, and of what is appended to its logs only what is new.

Event files, CSV, JSON Lines and text logs are read on from where they ended; other files (a JSON list
that is rewritten at each step, W&B's log, pictures' names) are read again when they have changed.
A file that shrank, was replaced or rewritten is read anew; so is one that was renamed (rotated).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from io import RawIOBase
from pathlib import Path
from typing import Protocol

from gandoctor.readers.blocks import CannotFollow
from gandoctor.readers.head import HEAD_BYTES
from gandoctor.readers.load import find_runs, load_run, reader_of, readers
from gandoctor.run import LogProblem, Run, RunParts

_OPEN_END = 1 << 18  # bytes; a file that no reader knew at this size will not become a log
_SEAM = 64  # bytes before the place where reading goes on: they tell whether it is still the same file


class Following(Protocol):
    """How far the reading of one growing file has come; see `gandoctor/readers/__init__.py`."""

    def take(self, file: RawIOBase, size: int) -> None:
        """Read what was written since the last time, up to byte `size`. Raises CannotFollow."""

    def parts(self) -> list[RunParts]:
        """What all that was taken holds."""


@dataclass(slots=True)
class _State:
    """A file as it was at the last look."""

    size: int
    changed: int  # modification time, ns
    inode: int

    @classmethod
    def of(cls, path: Path) -> _State:
        found = path.stat()
        return cls(found.st_size, found.st_mtime_ns, found.st_ino)

    def grown_from(self, old: _State) -> bool:
        return self.inode == old.inode and self.size >= old.size


@dataclass(slots=True)
class _File:
    state: _State
    reader: str
    following: Following | None
    seam: bytes = b""
    parts: list[RunParts] = field(default_factory=list)


class Follower:
    """The runs at or below a path, looked at again and again.

    taken: how many bytes of logs were read so far.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.taken = 0
        self._known: dict[Path, tuple[_State, str | None]] = {}  # every file, also those that are no logs
        self._before = self._known
        self._files: dict[Path, _File] = {}
        self._changed = False

    def look(self) -> tuple[list[Run], bool]:
        """The runs as they are now, and whether a file has changed since the last look.

        Raises UserError if the path does not exist or cannot be read.
        """
        self._changed = False
        self._before, self._known = self._known, {}
        found = find_runs(self.path, self._recognise)
        there = {path for one in found for path, _ in one.files}
        self._changed = self._changed or bool(self._files.keys() - there)
        self._files = {path: one for path, one in self._files.items() if path in there}
        runs = [run for one in found for run in load_run(one, self._read)]
        return runs, self._changed

    def _recognise(self, path: Path, problems: list[LogProblem]) -> str | None:
        """The reader of a file, told by its head as soon as that is whole, and anew at each look before."""
        try:
            now = _State.of(path)
        except OSError:  # gone since the folder was listed
            return None
        before = self._before.get(path)
        if before is None or not now.grown_from(before[0]):
            reader = reader_of(path, problems)
        elif before[0] == now or before[0].size >= (HEAD_BYTES if before[1] else _OPEN_END):
            reader = before[1]
        else:
            reader = reader_of(path, problems)
        self._known[path] = now, reader
        return reader

    def _read(self, path: Path, reader: str) -> list[RunParts]:
        now = _State.of(path)
        known = self._files.pop(path, None)  # not kept if reading fails: the next look begins anew
        if known is None or known.reader != reader or known.state != now:
            self._changed = True
            known = self._taken_on(path, reader, known, now)
        self._files[path] = known
        return known.parts

    def _taken_on(self, path: Path, reader: str, known: _File | None, now: _State) -> _File:
        """A file with what was written to it since, or read anew."""
        if known is None or known.reader != reader or not now.grown_from(known.state):
            known = _File(now, reader, _following(path, reader))
        if known.following is not None and not self._goes_on(path, known, now):
            known.following = _following(path, reader)  # rewritten: from its start
            if known.following is not None and not self._goes_on(path, known, now):
                known.following = None
        if known.following is None:
            self.taken += now.size if readers()[reader].KIND == "log" else 0
            known.parts = readers()[reader].read(path)
        known.state = now
        return known

    def _goes_on(self, path: Path, known: _File, now: _State) -> bool:
        """Read what is new; False if this is not the file that was read before, or it cannot be followed."""
        assert known.following is not None
        with path.open("rb", buffering=0) as file:  # a buffer would read ahead what is read again
            start = known.state.size if known.seam else 0
            if known.seam:
                file.seek(start - len(known.seam))
                if file.read(len(known.seam)) != known.seam:
                    known.seam = b""
                    return False
            size = min(now.size, os.fstat(file.fileno()).st_size)
            try:
                known.following.take(file, size)
            except CannotFollow:
                known.seam = b""
                return False
            self.taken += size - start
            file.seek(max(0, size - _SEAM))
            known.seam = file.read(min(_SEAM, size))
        now.size = size
        known.parts = known.following.parts()
        return True


def _following(path: Path, reader: str) -> Following | None:
    made: type[Following] | None = getattr(readers()[reader], "Following", None)
    return None if made is None else made(path)  # type: ignore[call-arg]
