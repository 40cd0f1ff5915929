"""Collects what is wrong in a file, so that ten thousand bad lines become a few problems and a count."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from gandoctor.run import LogProblem

SHOWN = 5  # of each kind


class Faults:
    """The problems of one file: the first few of each kind by place, the others counted."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._found: list[LogProblem] = []
        self._counts: Counter[str] = Counter()

    def add(self, place: str, kind: str, message: str) -> None:
        """Note one problem: its place ("line 17"), its kind and what was seen."""
        self._counts[kind] += 1
        if self._counts[kind] <= SHOWN:
            self._found.append(LogProblem(self.file, place, kind, message))

    def once(self, place: str, kind: str, message: str) -> None:
        """Note a problem of which one mention says all."""
        if kind not in self._counts:
            self.add(place, kind, message)

    def problems(self) -> list[LogProblem]:
        """The problems in the order in which they were met, then how many more there are of a kind."""
        more = [
            LogProblem(self.file, "", kind, f"{count - SHOWN:,} more of this kind")
            for kind, count in self._counts.items()
            if count > SHOWN
        ]
        return self._found + more
