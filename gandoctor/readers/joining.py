"""From what the files of one folder hold to runs: a run for each start of training in each stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gandoctor.readers.sessions import Session, sessions_of, told_apart
from gandoctor.readers.streams import Stream, streams_of
from gandoctor.run import LogProblem, Run, RunParts, Series, Unit

_FEWEST_LABELLED = 10  # points of a labelled part beside a longer one

Part = tuple[Path, str, RunParts]  # file, what its kind is to a run, what it holds


def join(
    path: Path, name: str, inside: str, read: Sequence[Part], problems: Sequence[LogProblem]
) -> list[Run]:
    """Make the runs of one folder (or of one file, `path`) from the parts of its files; at least one.

    inside: what the name of a run that is one file of several begins with.
    """
    lengths: dict[str, int] = {}
    for _, kind, parts in read:
        if kind == "log" and parts.label:
            longest = max((len(one) for one in parts.series), default=0)
            lengths[parts.label] = max(lengths.get(parts.label, 0), longest)
    # A notebook prints a few numbers in many cells: they are no runs beside one that is.
    enough = _FEWEST_LABELLED if max(lengths.values(), default=0) >= _FEWEST_LABELLED else 0
    labels = sorted(label for label, length in lengths.items() if length >= enough)
    runs: list[Run] = []
    for label in labels or [""]:
        mine = [part for part in read if part[2].label in ("", label)]
        runs += _Folder(path, name, inside, label).runs(mine)
    runs[0].problems = [*problems, *runs[0].problems]
    return runs


class _Folder:
    """One folder, or one label of it, on its way to runs."""

    def __init__(self, path: Path, name: str, inside: str, label: str) -> None:
        self.path, self.name, self.inside = path, name, inside
        self.label = f" [{label}]" if label else ""
        self.made: list[Run] = []

    def runs(self, read: Sequence[Part]) -> list[Run]:
        """The runs of all parts."""
        folder = self.path if self.path.is_dir() else self.path.parent
        streams, sides = streams_of(folder, [(path, parts) for path, kind, parts in read if kind == "log"])
        one = len(streams) < 2
        sessions: list[Session] = []
        for number, stream in enumerate(streams, start=1):
            path, title = (self.path, self.name) if one else self._title(stream, number)
            sessions = self._take(stream, path, title + self.label)
        if not self.made:
            self.made = [Run(self.path, self.name + self.label)]
        for side in sides:
            if one:
                _add_side(self.made, sessions, side)
            else:
                self._add_to_namesake(side)
        self._add_rest(read, {id(log.parts) for stream in streams for log in stream.logs}, one)
        for run in self.made:
            run.series = _in_kimg(dict(sorted(run.series.items())))
            run.files = [path for path, _, _ in read]
            for _, _, parts in read:
                run.settings.update(parts.settings)
        return self.made

    def _title(self, stream: Stream, number: int) -> tuple[Path, str]:
        """Path and name of one of several streams."""
        log = stream.logs[0]
        if log.events:
            return log.path, self.name if number == 1 else f"{self.name}#{number}"
        return log.path, self.inside + log.title

    def _take(self, stream: Stream, path: Path, title: str) -> list[Session]:
        """Make the runs of one stream, and note where it was cut and what was left out."""
        sessions = sessions_of(stream)
        kept, early = told_apart(sessions)
        for number, session in enumerate(kept, start=1):
            run = Run(path, title if number == 1 else f"{title}#{number}", session.series)
            if number > 1 and session.back is not None:
                last, first = session.back
                message = f"steps begin again at {first:,} after {last:,}: taken as a run of its own"
                run.problems.append(LogProblem(session.source, "", "new-run", message))
            run.problems += session.problems
            self.made.append(run)
        latest = self.made[-1]
        if early:
            starts = "a start" if len(early) == 1 else f"{len(early):,} starts"
            most = max(session.points for session in early)
            message = f"{starts} of training with at most {most:,} points left out"
            latest.problems.append(LogProblem(early[-1].source, "", "false-start", message))
        for log in stream.logs:
            latest.problems += log.parts.problems
            _refer(latest, log.parts)
        return sessions

    def _add_to_namesake(self, side: Stream) -> None:
        """Add a log beside several runs to the one that is called like it."""
        log = side.logs[0]
        mine = [run for run in self.made if run.path.stem == log.path.stem]
        if mine:
            _add_side(mine, [], side)
        else:
            message = "which of the runs here this belongs to is not told: it was not used"
            self.made[-1].problems.append(LogProblem(log.path, "", "not-assigned", message))

    def _add_rest(self, read: Sequence[Part], taken: set[int], one: bool) -> None:
        """What lies beside the logs belongs to the latest run; beside several logs to none of them."""
        latest = self.made[-1]
        rest = [(path, parts) for path, _, parts in read if id(parts) not in taken]
        for _, parts in rest:
            latest.problems += parts.problems
            if one:
                _refer(latest, parts)
        loose = [path for path, parts in rest if parts.images or parts.histograms or parts.checkpoints]
        if loose and not one:
            message = f"{len(loose):,} files of samples or weights: which run here they belong to is not told"
            latest.problems.append(LogProblem(loose[0], "", "not-assigned", message))


def _refer(run: Run, parts: RunParts) -> None:
    run.images += parts.images
    run.histograms += parts.histograms
    run.checkpoints += parts.checkpoints


def _add_side(runs: Sequence[Run], sessions: Sequence[Session], side: Stream) -> None:
    """Add the series of a log beside the main one: to the run of the same start, else to the latest."""
    own = sessions_of(side)
    if len(own) == len(sessions):
        pairs = [(run, part) for main, part in zip(sessions, own, strict=True) for run in runs
                 if run.series is main.series]  # fmt: skip
    else:
        pairs = [(runs[-1], max(own, key=lambda session: session.points))]
    for run, part in pairs:
        for tag, one in part.series.items():
            run.series.setdefault(tag, one)
        run.problems += part.problems


def _in_kimg(series: dict[str, Series]) -> dict[str, Series]:
    """StyleGAN's event files count steps in kimg: then the steps are the values of `Progress/kimg`."""
    for tag, one in series.items():
        counts = tag.lower().endswith("kimg") and len(one) > 1 and one.unit is Unit.ITERATION
        if counts and np.all(np.abs(one.values - one.steps) <= 1):
            return {name: replace(other, unit=Unit.KIMG) for name, other in series.items()}
    return series
