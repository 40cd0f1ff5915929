"""Joins what the files of one folder hold into runs, and tells a restart from a new run.

A folder's log may hold several starts of training, one after the other. Where steps go back:

- into the first 5% of the steps so far, with losses that restart near their first level: a new run;
- into the first 5%, with losses that go on from their last level: the counter restarted, the run
  did not, and the steps go on from where they were;
- to somewhere in between: a resume, and the later write wins.

A start that gave up before `MIN_POINTS` points is no run of its own where there is a longer one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from gandoctor.run import LogProblem, Run, RunParts, Series, Steps, Unit, Values

MIN_POINTS = 20
MIN_LABELLED = 10
_FIRST_SHARE = 0.05
_MANY_CUTS = 200
_FILE_STRIDE = 1 << 40  # orders of the next file begin here: a file has fewer records

Part = tuple[Path, str, RunParts]


@dataclass(slots=True)
class _Stream:
    """Logs that continue each other: the same tags, written one file after the other."""

    format: str
    series: dict[str, list[Series]] = field(default_factory=lambda: defaultdict(list))
    starts: list[tuple[int, int | None]] = field(default_factory=list)  # (order, purge step)
    files: list[Path] = field(default_factory=list)

    def add(self, path: Path, parts: RunParts, prefix: str = "") -> None:
        base = len(self.files) * _FILE_STRIDE
        if self.files:
            self.starts.append((base, None))
        self.starts += [(base + start.order, start.purge_step) for start in parts.starts]
        for one in parts.series:
            self.series[prefix + one.tag].append(replace(one, tag=prefix + one.tag, order=one.order + base))
        self.files.append(path)

    def joined(self) -> dict[str, Series]:
        return {tag: _concatenate(tag, pieces) for tag, pieces in self.series.items()}


@dataclass(frozen=True, slots=True)
class _Session:
    """One start of training within a stream. offset: to be added to its steps."""

    series: dict[str, Series]
    points: int


def join(folder: Path, read: Sequence[Part]) -> list[Run]:
    """Make the runs of one folder from the parts of its files."""
    lengths: dict[str, int] = {}
    for _, kind, parts in read:
        if kind == "log" and parts.label:
            longest = max((len(one) for one in parts.series), default=0)
            lengths[parts.label] = max(lengths.get(parts.label, 0), longest)
    # A notebook prints a few numbers in many cells: they are no runs beside one that is.
    enough = MIN_LABELLED if max(lengths.values(), default=0) >= MIN_LABELLED else 0
    labels = sorted(label for label, length in lengths.items() if length >= enough)
    runs: list[Run] = []
    for label in labels or [""]:
        mine = [(path, kind, parts) for path, kind, parts in read if parts.label in ("", label)]
        name = f"{folder.name} [{label}]" if label else folder.name
        runs.extend(_runs(folder, name, mine))
    return runs


def _runs(folder: Path, name: str, read: Sequence[Part]) -> list[Run]:
    logs = sorted(
        ((path, parts) for path, kind, parts in read if kind == "log"), key=lambda pair: str(pair[0])
    )
    streams, sides = _streams(folder, logs)
    sessions: list[tuple[_Stream | None, _Session]] = []
    problems: list[LogProblem] = []
    for one in streams:
        sessions += [(one, session) for session in _sessions(one, problems)]
    kept: list[tuple[_Stream | None, _Session]] = []
    kept += [pair for pair in sessions if pair[1].points >= MIN_POINTS] or sessions[-1:]
    for stream, session in sessions:
        if stream is not None and not any(session is other for _, other in kept):
            where = stream.files[0]
            message = f"a start of training that ended after {session.points} points was left out"
            problems.append(LogProblem(where, "", "false-start", message))
    if not kept:
        kept = [(None, _Session({}, 0))]
    runs = []
    for number, (stream, session) in enumerate(kept, start=1):
        title = name if number == 1 else f"{name}#{number}"
        path = stream.files[0] if stream is not None and len(streams) > 1 and len(kept) > 1 else folder
        run = Run(path, title, series=dict(session.series))
        if number == len(kept):  # what stands beside the log belongs to its latest run
            run.series = {**{s.tag: s for s in map(_settled, sides)}, **run.series}
            run.problems = [*problems, *(problem for _, _, parts in read for problem in parts.problems)]
        for _, _, parts in read:
            run.settings.update(parts.settings)
            if number == len(kept):
                run.images += parts.images
                run.histograms += parts.histograms
                run.checkpoints += parts.checkpoints
        run.files = [p for p, _, _ in read]
        run.series = _in_kimg(dict(sorted(run.series.items())))
        runs.append(run)
    return runs


def _in_kimg(series: dict[str, Series]) -> dict[str, Series]:
    """StyleGAN's event files count steps in kimg: then the steps are the values of `Progress/kimg`."""
    for tag, one in series.items():
        if tag.lower().endswith("kimg") and len(one) > 1 and one.unit is Unit.ITERATION:
            if np.all(np.abs(one.values - one.steps) <= 1):
                return {name: replace(other, unit=Unit.KIMG) for name, other in series.items()}
    return series


def _streams(folder: Path, logs: Iterable[tuple[Path, RunParts]]) -> tuple[list[_Stream], list[Series]]:
    """Sort the logs into streams, and the series that only stand beside one.

    A log with the numbers of another one (stats.jsonl beside event files) adds what is new in it.
    """
    streams: list[_Stream] = []
    sides: list[Series] = []
    for path, parts in logs:
        if not parts.series:
            continue
        prefix = _prefix(folder, path, parts)
        tags = {prefix + one.tag: one for one in parts.series}
        home = max(streams, key=lambda s: len(tags.keys() & s.series.keys()), default=None)
        shared = tags.keys() & home.series.keys() if home is not None else set()
        if home is None:
            streams.append(_Stream(_format(path)))
            streams[-1].add(path, parts, prefix)
        elif not shared:
            sides += [replace(one, tag=tag) for tag, one in tags.items()]
        elif _same_numbers(home, tags, shared):
            sides += [replace(one, tag=tag) for tag, one in tags.items() if tag not in shared]
        elif home.format == _format(path) and len(shared) >= 0.5 * min(len(tags), len(home.series)):
            home.add(path, parts, prefix)
        else:
            sides += [replace(one, tag=f"{path.stem}/{tag}") for tag, one in tags.items()]
    return streams, sides


def _format(path: Path) -> str:
    return "tfevents" if "tfevents" in path.name else path.suffix.lower()


def _prefix(folder: Path, path: Path, parts: RunParts) -> str:
    """What a log in an inner folder puts before its tags ("train/"), unless add_scalars named it."""
    inner = path.parent.name
    if path.parent == folder or not inner or inner[0].isdigit():
        return ""
    tags = {one.tag for one in parts.series}
    written = {tag for tag in tags if inner.startswith(tag.replace("/", "_") + "_")}
    if written and written == tags:  # add_scalars("a/b", {"c": …}) → tag a/b in the folder a_b_c
        return ""
    return "" if inner.lower() in ("train", "training") else f"{inner}/"


def _same_numbers(home: _Stream, tags: dict[str, Series], shared: Iterable[str]) -> bool:
    """Whether most shared tags hold the same values, up to the last printed digits."""
    same = [_equal_values(_concatenate(tag, home.series[tag]).values, tags[tag].values) for tag in shared]
    return bool(same) and sum(same) > 0.5 * len(same)


def _equal_values(a: Values, b: Values) -> bool:
    n = min(len(a), len(b))
    if n < 3 or max(len(a), len(b)) > 1.2 * n:
        return False
    return bool(np.allclose(a[:n], b[:n], rtol=1e-3, atol=1e-9, equal_nan=True))


def _concatenate(tag: str, pieces: Sequence[Series]) -> Series:
    if len(pieces) == 1:
        return pieces[0]
    walls = [piece.wall_time for piece in pieces]
    return Series(
        tag,
        np.concatenate([piece.steps for piece in pieces]),
        np.concatenate([piece.values for piece in pieces]),
        np.concatenate([piece.order for piece in pieces]),
        pieces[0].source,
        pieces[0].unit,
        None if any(wall is None for wall in walls) else np.concatenate([w for w in walls if w is not None]),
    )


def _sessions(stream: _Stream, problems: list[LogProblem]) -> list[_Session]:
    """Cut a stream where a new run begins; mend the steps where only a counter restarted."""
    series = stream.joined()
    cuts = _cuts(stream, series)
    current = {tag: one.take(one.order < cuts[0][0]) for tag, one in series.items()} if cuts else series
    done: list[_Session] = []
    ends = [order for order, _ in cuts[1:]] + [None]
    for (start, purge), end in zip(cuts, ends, strict=False):
        piece = {
            tag: one.take((one.order >= start) & (one.order < end) if end is not None else one.order >= start)
            for tag, one in series.items()
        }
        piece = {tag: one for tag, one in piece.items() if len(one)}
        if not piece:
            continue
        current = {tag: one for tag, one in current.items() if len(one)}
        if not current:
            current = piece
            continue
        how = "resume" if purge is not None else _relation(current, piece)
        if how == "new":
            done.append(_session(current))
            current = piece
            problems.append(
                LogProblem(stream.files[0], "", "new-run", "steps begin again: taken as a run of its own")
            )
        else:
            current = _continued(current, piece, how, purge)
            if how == "counter":
                message = "the step counter restarted while training went on: steps were carried on"
                problems.append(LogProblem(stream.files[0], "", "counter-restart", message))
    return [*done, _session(current)]


def _cuts(stream: _Stream, series: dict[str, Series]) -> list[tuple[int, int | None]]:
    """Write positions where training may have restarted: the log says so, or steps go back."""
    cuts: dict[int, int | None] = {order: purge for order, purge in stream.starts if order > 0}
    longest = max((len(one) for one in series.values()), default=0)
    backs: list[int] = []
    for one in series.values():
        if len(one) >= 0.5 * longest and len(one) > 1:
            backs += one.order[1:][np.diff(one.steps) < 0].tolist()
    for order in sorted(backs):
        # Tags of one record go back within a few records of each other: one cut.
        if not any(abs(order - known) <= max(2 * len(series), 8) for known in cuts):
            cuts[order] = None
    if len(cuts) > _MANY_CUTS:  # a counter that restarts all the time is no chain of runs
        return []
    return sorted(cuts.items())


def _relation(old: dict[str, Series], new: dict[str, Series]) -> str:
    """How a piece of log goes with what came before it: "on", "resume", "counter" or "new"."""
    shared = [tag for tag in new if tag in old]
    if not shared:
        return "on"
    first = min(int(old[tag].steps.min()) for tag in shared)
    last = max(int(old[tag].steps.max()) for tag in shared)
    again = min(int(new[tag].steps[0]) for tag in shared)
    if again > last:
        return "on"
    if again - first > _FIRST_SHARE * (last - first) and last > first:
        return "resume"
    votes = sum(_restarts_at_first_level(old[tag].values, new[tag].values) for tag in shared)
    return "counter" if votes < 0 else "new"  # unsure: split


def _restarts_at_first_level(old: Values, new: Values) -> float:
    """Vote of one series: > 0 if the new piece begins nearer to the old one's start than to its end."""
    old, new = old[np.isfinite(old)], new[np.isfinite(new)]
    if len(old) < 6 or len(new) < 3:
        return 0.0
    k = int(np.clip(len(old) // 20, 3, 25))
    first, last, again = (float(np.median(part)) for part in (old[:k], old[-k:], new[: min(k, len(new))]))
    noise = float(np.median(np.abs(np.diff(old)))) / np.sqrt(k) + 1e-12
    if abs(first - last) < 3 * noise:
        return 0.0
    return float(np.clip((abs(again - last) - abs(again - first)) / abs(first - last), -1, 1))


def _continued(
    old: dict[str, Series], new: dict[str, Series], how: str, purge: int | None
) -> dict[str, Series]:
    """Join a piece to what came before it."""
    joined = dict(old)
    if how == "counter":
        last = max(int(one.steps.max()) for one in old.values())
        first = min(int(one.steps.min()) for one in new.values())
        new = {tag: replace(one, steps=one.steps + (last - first + 1)) for tag, one in new.items()}
    back_to = purge
    if how == "resume" and back_to is None:
        back_to = min(int(one.steps[0]) for one in new.values())
    if back_to is not None:
        joined = {tag: one.take(one.steps < back_to) for tag, one in joined.items()}
    for tag, one in new.items():
        joined[tag] = _concatenate(tag, [joined[tag], one]) if tag in joined and len(joined[tag]) else one
    return joined


def _session(series: dict[str, Series]) -> _Session:
    settled = {tag: _settled(one) for tag, one in series.items() if len(one)}
    return _Session(settled, max((len(one) for one in settled.values()), default=0))


def _settled(one: Series) -> Series:
    """Sorted by step, one value a step: the later write wins.

    Where more than 5% of the steps repeat (all are 0, or the log counts epochs but writes batches)
    they do not tell the points apart, and the write order takes their place.
    """
    order = np.lexsort((one.order, one.steps))
    steps: Steps = one.steps[order]
    last = np.append(steps[1:] != steps[:-1], True)
    if np.count_nonzero(~last) > 0.05 * len(steps):
        ranked = one.take(np.argsort(one.order, kind="stable"))
        return replace(ranked, steps=np.arange(len(one), dtype=np.int64), unit=Unit.RECORD)
    return one.take(order[last])
