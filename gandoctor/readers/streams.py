"""Which logs of one folder continue each other, which hold the same numbers, and which are other runs.

events.1  events.2                  one after the other: a stream
train.log.1  train.log              rotated: a stream
stats.jsonl beside events           the same numbers: counted once, what is new in it is added
train.csv  val.csv                  one run: `loss` and `val/loss`
d.csv  g.csv (both `step,loss`)     one run: `d/loss` and `g/loss`
small.csv  large.csv                the same columns, each from the start: two runs
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from gandoctor.readers.folders import full_tags
from gandoctor.run import RunParts, Series, Start, Unit, Values

_FILE_STRIDE = 1 << 40  # write positions of the next file begin here: a file has fewer records
_ALIKE = 0.5  # of the tags: two logs of one script
FIRST_SHARE = 0.05  # of the steps: a log that goes back to there begins again
_GAP = 0.5  # of a log's steps: a longer one says that another log does not continue it
_SAME = 0.95  # of the points
_ROTATED = re.compile(r"(\.\d{1,4}|\.\d{4}-\d\d-\d\d[-_\d]*)$")  # train.log.1, train.log.2024-03-01
_TEXT = frozenset({"", ".log", ".txt", ".out", ".err", ".text"})
_PHASE = re.compile(
    r"(?<![a-z])(val|valid|validation|eval|evaluation|test|testing|dev)(?![a-z])", re.IGNORECASE
)
_TRAIN = re.compile(r"(?<![a-z])(train|training)(?![a-z])", re.IGNORECASE)
_NETWORK = re.compile(
    r"(?<![a-z])((net|loss|err)?[-_]?(?P<short>[dg])|dis|disc|discriminator|critic|gen|generator)"
    r"(?=[-_.]?(loss|err|cost)|[^a-z]|$)",
    re.IGNORECASE,
)
_MOST_COLUMNS = 3  # of a file that holds one network's numbers


@dataclass(slots=True)
class Log:
    """One log file. series: by the names that its tags have in the run."""

    path: Path
    parts: RunParts
    series: dict[str, Series]

    @property
    def events(self) -> bool:
        """Whether it is a TensorBoard event file."""
        return "tfevents" in self.path.name

    @property
    def format(self) -> str:
        """What logs must share to continue each other."""
        if self.events:
            return "tfevents"
        suffix = Path(_ROTATED.sub("", self.path.name)).suffix.lower()
        return "text" if suffix in _TEXT else suffix

    @property
    def title(self) -> str:
        """Its name without suffix and rotation."""
        return Path(_ROTATED.sub("", self.path.name)).stem

    @property
    def longest(self) -> Series:
        """The series with the most points, the first of them."""
        return max(self.series.values(), key=len)


class Stream:
    """Logs that continue each other: the same tags, written one file after the other."""

    def __init__(self, log: Log) -> None:
        self.logs = [log]

    @property
    def tags(self) -> set[str]:
        """Every tag in it."""
        return {tag for log in self.logs for tag in log.series}

    @property
    def points(self) -> int:
        """The number of points of its longest series."""
        return max((len(one) for one in self.joined().values()), default=0)

    def joined(self) -> dict[str, Series]:
        """Each tag's points in the order in which they were written; `order` goes on from file to file."""
        pieces: dict[str, list[Series]] = defaultdict(list)
        for number, log in enumerate(self.logs):
            for tag, one in log.series.items():
                pieces[tag].append(replace(one, tag=tag, order=one.order + number * _FILE_STRIDE))
        return {tag: concatenated(found) for tag, found in pieces.items()}

    def file_at(self, order: int) -> Path:
        """The file that holds a write position of `joined()`."""
        return self.logs[min(order // _FILE_STRIDE, len(self.logs) - 1)].path

    def starts(self) -> list[Start]:
        """Where the log itself says that training started, and where a new file begins."""
        found: list[Start] = []
        for number, log in enumerate(self.logs):
            base = number * _FILE_STRIDE
            if number:
                found.append(Start(base, "file"))
            found += [replace(start, order=base + start.order) for start in log.parts.starts]
        return found


def streams_of(folder: Path, logs: Iterable[tuple[Path, RunParts]]) -> tuple[list[Stream], list[Stream]]:
    """The streams of a folder's logs: one a run, then those that stand beside the runs' own."""
    families: list[list[Stream]] = []
    for log in _told_apart(_in_time([_log(folder, path, parts) for path, parts in logs if parts.series])):
        _place(log, families)
    families.sort(key=lambda family: -sum(stream.points for stream in family))  # stable
    if not families:
        return [], []
    return families[0], [stream for family in families[1:] for stream in family]


def concatenated(pieces: Sequence[Series]) -> Series:
    """Several pieces of one tag as one series, in their order."""
    if len(pieces) == 1:
        return pieces[0]
    walls = [piece.wall_time for piece in pieces]
    return Series(
        pieces[0].tag,
        np.concatenate([piece.steps for piece in pieces]),
        np.concatenate([piece.values for piece in pieces]),
        np.concatenate([piece.order for piece in pieces]),
        pieces[0].source,
        pieces[0].unit,
        None if any(wall is None for wall in walls) else np.concatenate([w for w in walls if w is not None]),
    )


def _log(folder: Path, path: Path, parts: RunParts) -> Log:
    inner = path.parent.relative_to(folder) if path.is_relative_to(folder) else Path()
    names = full_tags([one.tag for one in parts.series], inner)
    return Log(path, parts, {names[one.tag]: one for one in parts.series})


# --- order and names -------------------------------------------------------------------------------------


def _in_time(logs: Sequence[Log]) -> list[Log]:
    """Logs by name, those with one name but for its numbers by the time they were written."""
    groups: dict[tuple[str, str], list[Log]] = defaultdict(list)
    for log in sorted(logs, key=lambda log: _natural(str(log.path))):
        groups[str(log.path.parent), _without_numbers(log)].append(log)
    return [log for group in groups.values() for log in _by_time(group)]


def _by_time(group: list[Log]) -> list[Log]:
    clocks = [log.longest.wall_time for log in group]
    if all(clock is not None for clock in clocks):
        return sorted(group, key=lambda log: _first(log.longest.wall_time))
    if all(log.longest.unit is not Unit.RECORD for log in group):
        by_step = sorted(group, key=lambda log: int(log.longest.steps.min()))
        if all(a.longest.steps.max() < b.longest.steps.min() for a, b in pairwise(by_step)):
            return by_step
    if any(_ROTATED.search(log.path.name) for log in group):  # train.log.2, train.log.1, train.log
        return group[:0:-1] + group[:1] if not _ROTATED.search(group[0].path.name) else group[::-1]
    return group


def _first(clock: Values | None) -> float:
    return float(clock[0]) if clock is not None and len(clock) else 0.0


def _natural(name: str) -> list[tuple[int, str]]:
    """A sort key: numbers by their value."""
    return [(int(piece[:18]), "") if piece.isdecimal() and piece.isascii() else (-1, piece)
            for piece in re.split(r"(\d+)", name)]  # fmt: skip


def _without_numbers(log: Log) -> str:
    return f"{log.format}:{re.sub(r'[^a-z]+', '', log.title.lower())}"


def _told_apart(logs: Sequence[Log]) -> list[Log]:
    """Logs with the same tags whose names say what they hold: a part of the data, or a network."""
    groups: dict[tuple[Path, str, frozenset[str]], list[Log]] = defaultdict(list)
    for log in logs:
        if not log.events:
            groups[log.path.parent, log.format, frozenset(log.series)].append(log)
    for group in groups.values():
        titles = {log.title for log in group}
        if len(titles) < 2:
            continue
        if any(map(_PHASE.search, titles)) and not all(map(_PHASE.search, titles)):
            _prefix_phases(group)
        elif len(group[0].series) <= _MOST_COLUMNS and all(map(_NETWORK.search, titles)):
            for log in group:
                log.series = {f"{log.title}/{tag}": one for tag, one in log.series.items()}
    return list(logs)


def _prefix_phases(group: Sequence[Log]) -> None:
    others = [log for log in group if not _PHASE.search(log.title)]
    # val.csv beside train.csv or log.csv is of the same run; beside several it is another one.
    if len(others) == 1 or all(_TRAIN.search(log.title) for log in others):
        for log in group:
            found = _PHASE.search(log.title)
            if found and not _same_numbers(Stream(others[0]), log, log.series):
                log.series = {f"{found[0].lower()}/{tag}": one for tag, one in log.series.items()}


# --- what belongs together -------------------------------------------------------------------------------


def _place(log: Log, families: list[list[Stream]]) -> None:
    """Put a log where it belongs: into a stream, beside one, or as the first of its own."""
    known = [(family, stream, log.series.keys() & stream.tags) for family in families for stream in family]
    known = [entry for entry in known if entry[2]]
    for _, stream, shared in known:
        if _same_numbers(stream, log, shared):
            _merge(stream, log, shared, families)
            return
    for family, stream, shared in sorted(known, key=lambda entry: -len(entry[2])):
        alike = len(shared) >= _ALIKE * min(len(log.series), len(stream.tags))
        if alike and stream.logs[-1].format == log.format:
            if _continues(stream, log, shared):
                stream.logs.append(log)
            else:
                family.append(Stream(log))
            return
    longer = [stream for _, stream, _ in known if stream.points >= len(log.longest)]
    for lesser in [log] if longer else [one for _, stream, _ in known for one in stream.logs]:
        if known:  # other numbers under the same names: the longest log keeps them
            lesser.series = {f"{lesser.title}/{tag}": one for tag, one in lesser.series.items()}
    families.append([Stream(log)])


def _merge(stream: Stream, log: Log, shared: set[str], families: list[list[Stream]]) -> None:
    """Keep the longer of two logs with the same numbers, and of the other what is not in it."""
    if len(stream.logs) == 1 and len(log.longest) > stream.points:
        stream.logs[0], log = log, stream.logs[0]
    log.series = {tag: one for tag, one in log.series.items() if tag not in shared}
    if log.series:
        families.append([Stream(log)])


def _continues(stream: Stream, log: Log, shared: Iterable[str]) -> bool:
    """Whether a log goes on where a stream ends, or goes back to somewhere within it (a resume)."""
    last = stream.logs[-1]
    if log.format == ".wandb":  # a file a run
        return False
    pairs = [(last.series[tag], log.series[tag]) for tag in shared if tag in last.series]
    if not pairs:
        return True
    if log.events:  # a new file at each start of the script; two at a time are two jobs
        return not any(_at_once(a, b) for a, b in pairs)
    if last.title == log.title:  # rotated
        return True
    a, b = max(pairs, key=lambda pair: min(map(len, pair)))
    if a.unit is not b.unit or a.unit is Unit.RECORD:
        return False
    begin, end, again = int(a.steps.min()), int(a.steps.max()), int(b.steps[0])
    if again > end:
        return again - end <= max(_GAP * (end - begin), interval(b))
    return _without_numbers(last) == _without_numbers(log) and again - begin > FIRST_SHARE * (end - begin)


def _at_once(a: Series, b: Series) -> bool:
    """Whether two series were written at the same time: they overlap for half of the shorter one."""
    if a.wall_time is None or b.wall_time is None or len(a) < 2 or len(b) < 2:
        return False
    (a0, a1), (b0, b1) = ((float(one.wall_time[0]), float(one.wall_time[-1])) for one in (a, b) if
                          one.wall_time is not None)  # fmt: skip
    shorter = min(a1 - a0, b1 - b0)
    return shorter > 0 and min(a1, b1) - max(a0, b0) > 0.5 * shorter


def interval(one: Series) -> float:
    """The usual distance of two steps of a series."""
    forward = np.diff(one.steps)
    return float(np.median(forward[forward > 0])) if np.any(forward > 0) else 1.0


def _same_numbers(stream: Stream, log: Log, shared: Iterable[str]) -> bool:
    """Whether most shared tags hold the same values, as far as they were printed.

    A constant says nothing, unless all are.
    """
    series = stream.joined()
    votes = [_same_values(series[tag], log.series[tag]) for tag in shared]
    told = [vote for vote in votes if vote is not None]
    return sum(told) > 0.5 * len(told)


def _same_values(a: Series, b: Series) -> bool | None:
    """Whether two series hold the same values at the same steps, or one after the other (other steps,
    or one more at an end). None if they cannot tell.
    """
    atol = 0.51 * max(_resolution(a.values), _resolution(b.values))
    if len(a) < 3 or len(b) < 3:
        return None
    if not np.ptp(_finite(b.values)) > 10 * atol:
        return None
    if a.unit is b.unit and _strict(a) and _strict(b):
        _, i, j = np.intersect1d(a.steps, b.steps, assume_unique=True, return_indices=True)
        if len(i) >= max(3, 0.5 * min(len(a), len(b))) and _close(a.values[i], b.values[j], atol):
            return True
    if max(len(a), len(b)) > 1.2 * min(len(a), len(b)):
        return False
    return any(_shifted(a.values, b.values, lag, atol) for lag in (0, 1, -1))


def _strict(one: Series) -> bool:
    return bool(np.all(np.diff(one.steps) > 0))


def _shifted(a: Values, b: Values, lag: int, atol: float) -> bool:
    a, b = (a[lag:], b) if lag >= 0 else (a, b[-lag:])
    n = min(len(a), len(b))
    return _close(a[:n], b[:n], atol)


def _close(a: Values, b: Values, atol: float) -> bool:
    same = np.isclose(a, b, rtol=1e-3, atol=atol + 1e-9, equal_nan=True)
    return bool(len(same)) and float(np.mean(same)) >= _SAME


def _finite(values: Values) -> Values:
    good = values[np.isfinite(values)]
    return good if len(good) else np.zeros(1)


def _resolution(values: Values) -> float:
    """The last printed digit of a series: 0.001 where every value has three decimals. At most 1."""
    sample = _finite(values)[:1000]
    for digits in range(7):
        if np.allclose(sample, np.round(sample, digits), rtol=1e-6, atol=1e-12):
            return float(10.0**-digits)
    return 0.0
