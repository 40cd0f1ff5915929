"""Text logs: what a training script printed, `name: number` and `name=number` on its lines.

    ================ Training Loss (Fri May 17 00:29:50 2019) ================
    (epoch: 1, iters: 100, time: 0.189, data: 0.278) G_GAN: 2.261 G_L1: 40.529 D_real: 0.056 D_fake: 0.233

`record.py` has the grammar of a line, `lines.py` the way from bytes to lines, `columns.py` finds out
what counts the steps. Here: runs that share a file (`[vanilla] …`), redrawn progress bars, printed
configuration, where training began anew, and what is wrong with the file.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from io import RawIOBase
from itertools import pairwise
from pathlib import Path

import numpy as np

from gandoctor.readers import bulk
from gandoctor.readers.blocks import new_bytes, without_mark
from gandoctor.readers.columns import Columns, is_counter
from gandoctor.readers.head import Head
from gandoctor.readers.lines import LONGEST_LINE, Chunk, Splitter, chunks, clean
from gandoctor.readers.numbers import to_number
from gandoctor.readers.positional import is_whole_number
from gandoctor.readers.record import Bar, Record, record_of, running_bar
from gandoctor.readers.settings import settings_of
from gandoctor.readers.writers import split_writers
from gandoctor.run import LogProblem, RunParts, Series, Setting, Start, Steps, Unit, Values

KIND = "log"
ORDER = 80

MOST_NAMES = 2_000  # tags of one file: more are no log
_MOST_LABELS = 64
_MOST_PROBLEMS = 20
_MOST_GARBLED = 1_000
_MOST_OPTIONS = 300
_TIME = "timestamp\0"  # the times at the front of lines: no name of the log is like that
_KNOWN_AFTER = 3  # records with a key, until a line that garbles it is a problem
_FURTHER_HEAD = 1 << 18

_END = re.compile(r"[-+.\deE]+\s*$")
_HEADER = re.compile(r"\s*={4,}.{0,40}\bLoss\b.{0,80}={4,}\s*$", re.IGNORECASE)
_OPTIONS = re.compile(
    r"\s*[-=*]{4,}\s*(?:options|arguments|config(?:uration)?|parameters)\s*[-=*]{4,}\s*$", re.IGNORECASE
)
_OPTIONS_WORD = re.compile(rb"option|argument|config|parameter", re.IGNORECASE)
_RULES = ("=", "-", "*")
_OPTIONS_END = re.compile(r"\s*[-=*]{4,}\s*(?:end\b.*)?[-=*]{4,}\s*$", re.IGNORECASE)
_OPTION = re.compile(r"\s*(?P<name>[A-Za-z_][\w.-]{0,60})\s*[:=]\s*(?P<value>.*?)\s*(?:\[default:.*)?$")
_FURTHER_NUMBER = re.compile(r"[:=][ \t]*[-+]?\d")
_NAMESPACE = re.compile(r"(?<![\w.])\w{0,40}(?:Namespace|Config|Args|Arguments|Params|Options)\((?=\w+=)")
_RESUMED = re.compile(r"\bresum\w+ (?:training )?from:? +[\"']?(?P<from>[^\"'\s]+)", re.IGNORECASE)
# Two parts of the data, two networks: they stand before keys, and are no runs of their own.
_NO_RUN = re.compile(
    r"train(ing)?|val|valid(ation)?|test(ing)?|eval(uation)?|dev"
    r"|(net)?[dg]|dis(c|criminator)?|gen(erator)?|critic|loss(es)?|metrics|(rank|gpu|cuda:?)\d+",
    re.IGNORECASE,
)

_KNOWN_NAMES = re.compile(
    r"(loss_log|train|training|log|logs|output|stdout|stderr|console|nohup|history|record|results?)[\w.-]*"
    r"\.(txt|log|out|err)|nohup\.out|log|[\w.-]+\.(log|out|o\d+|e\d+)"
)
_NO_LOG_NAMES = re.compile(
    r"(readme|licen[cs]e|copying|changelog|changes|requirements|environment|cmakelists|makefile|dockerfile|setup"
    r"|manifest|authors|contributing|train_opt|test_opt|opt|robots|metadata|pkg-info|news|todo)([.\w-]*)"
)
_SUFFIX = re.compile(r"|\.(txt|text|log|logs|out|err|dat|stdout|stderr|history|[oe]?\d+)")
# Words of training: a log under any other name has one of them among its keys.
_TOLD = re.compile(
    r"loss|epoch|iter|step|err|acc|fid|psnr|score|disc|critic|kimg|(^|[^a-z])([dg]|gen|dis|lr)([^a-z]|$)|[dg]\(",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"\s*(?:import [\w., ]+$|from [\w.]+ import |def \w+\(|class \w+[(:]|#include|@\w+|return\b|if __name__"
    r"|(?:const|let|var|function|public|static|void) |\}\s*$|for \w+ in .*:$|elif |else:$|try:$|%%?\w+)"
)


def sniff(head: Head) -> bool:
    """Whether two lines of the head hold two numbers with names, or one line under a log's usual name.

    Source code, documents, configuration and tables are none, whatever they hold.
    """
    name, suffix = head.name, head.path.suffix.lower()
    if not _SUFFIX.fullmatch(suffix) or _NO_LOG_NAMES.fullmatch(name):
        return False
    known = _KNOWN_NAMES.fullmatch(name) is not None
    lines = _head_lines(head.data, head.size)
    if lines is None or _is_other_text(lines):
        return False
    found = _evidence(lines, known)
    if not found and known and head.size > len(head.data):  # StyleGAN prints its layers first
        lines = _head_lines(_first_bytes(head.path), head.size) or []
        found = _evidence(lines, known)
    return found


def _evidence(lines: Iterable[str], known: bool) -> bool:
    """Whether enough lines hold numbers with the names of a log's."""
    good, told = 0, False
    alone: Counter[str] = Counter()
    for line in lines:
        names = [one.name for one in record_of(line).fields if "\0" not in one.name]
        good += len(names) >= 2
        said = any(map(_TOLD.search, names))
        told = told or said
        alone[names[0] if len(names) == 1 and said else ""] += 1
        if told and (good >= 2 or known):
            return True
    del alone[""]
    return max(alone.values(), default=0) >= _KNOWN_AFTER


def _head_lines(data: bytes, size: int) -> list[str] | None:
    """The whole lines at the front of a file, None if it is no text."""
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text = data.decode(encoding, errors="replace").rstrip("\0")
    if "\0" in text or text.count("\ufffd") > 0.1 * len(text):
        return None
    lines = clean(text).split("\n")
    return lines[:-1] if size > len(data) and len(lines) > 1 else lines


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_FURTHER_HEAD)
    except OSError:
        return b""


def _is_other_text(lines: Sequence[str]) -> bool:
    """Whether text is markup, JSON or source code by its looks."""
    first = next((line.lstrip() for line in lines if line.strip()), "")
    if first.startswith(("<?", "<!", "<html", "<svg", '{"', "[{", "#!", "%PDF", "---")) or first in (
        "{",
        "[",
    ):
        return True
    return sum(_CODE.match(line) is not None for line in lines) > max(2, 0.1 * len(lines))


def read(path: Path) -> list[RunParts]:
    """Read a text log; several runs of one file come with labels."""
    problems: list[LogProblem] = []
    log = TextLog(path, problems)
    for chunk in chunks(path, problems):
        log.add(chunk)
    return log.parts()


class Following:
    """A text log that grows."""

    def __init__(self, path: Path) -> None:
        self._problems: list[LogProblem] = []
        self._splitter = Splitter(path, self._problems)
        self._log = TextLog(path, self._problems)
        self._offset = 0

    def take(self, file: RawIOBase, size: int) -> None:
        """Read the whole lines written since the last time. Raises CannotFollow."""
        for data in new_bytes(file, self._offset, size):
            if self._offset == 0:
                data = without_mark(data)
            self._offset = file.tell()
            for chunk in self._splitter.feed(data):
                self._log.add(chunk)

    def parts(self) -> list[RunParts]:
        """What `read` gives of the whole lines so far, but for a progress bar that is still being drawn."""
        log = self._log
        drawn, faults, count = log.drawn, log.faults, len(self._problems)
        log.drawn = None
        made = log.parts()
        made[0].problems = [*self._problems, *self._splitter.faults()]
        log.drawn, log.faults = drawn, faults
        del self._problems[count:]
        return made


def parts_of(text: str, source: Path) -> list[RunParts]:
    """The runs in printed text that some other file holds (a tracker's record of the console)."""
    log = TextLog(source, [])
    log.add_text(text)
    return log.parts()


@dataclass(slots=True)
class _Numbers:
    """All values of one name under one label, as they come in: piece by piece and one by one."""

    pieces: list[tuple[Steps, Values]] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def column(self) -> tuple[Steps, Values]:
        """The rows, int64 (n,), and values, float64 (n,), in the order of the file."""
        rows, values = np.array(self.rows, np.int64), np.array(self.values, np.float64)
        if self.pieces:
            rows = np.concatenate([*(rows for rows, _ in self.pieces), rows])
            values = np.concatenate([*(values for _, values in self.pieces), values])
        if (rows[1:] < rows[:-1]).any():
            order = np.argsort(rows, kind="stable")
            rows, values = rows[order], values[order]
        return rows, values

    def __len__(self) -> int:
        return len(self.rows) + sum(len(rows) for rows, _ in self.pieces)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A progress bar as it was drawn last. record: None until it is needed."""

    row: int
    line: str
    bar: Bar
    record: Record | None = None


Column = tuple[Steps, Values]


class TextLog:
    """The runs of a text log, as its lines come in.

    place: put before "line N" in problems, for text inside another file ("cell 4, ").
    first_row: the write position of the first line.
    """

    def __init__(self, source: Path, problems: list[LogProblem], place: str = "", first_row: int = 1) -> None:
        self.source = source
        self.problems = problems
        self.place = place
        self.first_row = first_row
        self.next_row = first_row
        self.numbers: dict[str, dict[str, _Numbers]] = {}
        self.names = 0
        self.starts: list[Start] = []
        self.settings: dict[str, Setting] = {}
        self.walls = _Numbers()
        self.drawn: _Drawn | None = None
        self.empty_bars: list[tuple[int, int, int]] = []  # row, count, length
        self.options = 0  # lines left of a printed block of options
        self.optioned: Counter[str] = Counter()  # its names with numbers
        self.known: dict[str, int] = defaultdict(int)
        # The last number of the latest line, and the line, by the line's names.
        self.ends: dict[tuple[str, ...], tuple[int, str]] = {}
        self.garbled: list[tuple[int, str, str]] = []
        self.faults = 0
        self.sole_label = ""  # the one label in a text that has no other

    def add_text(self, text: str) -> None:
        """Add text that is complete: its last line need not end."""
        lines = [line if len(line) <= LONGEST_LINE else "" for line in clean(text).split("\n")]
        self.add(Chunk(self.next_row, lines))

    def add(self, chunk: Chunk) -> None:
        """Add some lines, in the order of the file."""
        self.next_row = chunk.first + len(chunk.lines)
        lines = chunk.lines if chunk.ended else chunk.lines[:-1]
        skeletons = bulk.skeletons(lines) if len(lines) >= bulk.FEWEST_LINES else []
        heads = _option_heads(lines, skeletons)
        at = 0
        while at < len(lines):
            if self.options:  # what a line in a block of options says depends on those before
                self._line(chunk.first + at, lines[at])
                at += 1
                continue
            stop = next((head + 1 for head in heads if head >= at), len(lines))
            for number in self._in_bulk(lines[at:stop], skeletons[at:stop], chunk.first + at):
                self._line(chunk.first + at + number, lines[at + number])
            at = stop
        if not chunk.ended and chunk.lines[-1].strip("\0 \t"):
            self._half_line(chunk.first + len(lines), chunk.lines[-1])

    # --- many lines at once ---

    def _in_bulk(self, lines: Sequence[str], skeletons: Sequence[bytes], first: int) -> Iterable[int]:
        """Read the lines of which there are many alike; the numbers of the others."""
        if len(lines) < bulk.FEWEST_LINES:
            return range(len(lines))
        groups: dict[bytes, list[int]] = {}
        if skeletons.count(skeletons[0]) == len(skeletons):
            groups[skeletons[0]] = list(range(len(lines)))
        else:
            for number, skeleton in enumerate(skeletons):
                groups.setdefault(skeleton, []).append(number)
        left: list[int] = []
        for skeleton, group in groups.items():
            if skeleton and not skeleton.isspace():
                self._group(lines, first, group, left)
        return sorted(left)

    def _group(self, lines: Sequence[str], first: int, group: Sequence[int], left: list[int]) -> None:
        """Read lines of one skeleton; where they differ after all, by halves."""
        if len(group) < bulk.FEWEST_LINES:
            left.extend(group)
            return
        middle = len(group) // 2
        record = record_of(lines[group[0]])
        # One line may be damaged without a trace in its skeleton: three must agree.
        others = [record_of(lines[group[middle]]), record_of(lines[group[-1]])]
        agree = all(_names(other) == _names(record) for other in others)
        if agree and not bulk.can_read(lines[group[0]], record):
            left.extend(group)
            return
        mine = lines if len(group) == len(lines) else [lines[number] for number in group]
        found = bulk.columns_of(mine, record) if agree and not _is_configuration(mine[0]) else None
        if found is None:
            self._group(lines, first, group[:middle], left)
            self._group(lines, first, group[middle:], left)
            return
        values, walls = found
        rows = np.array(group, np.int64) + first
        for one, column in zip(record.fields, values, strict=True):
            numbers = self._of(record.label, one.name)
            if numbers is not None:
                numbers.pieces.append((rows, column))
            self.known[one.name] += len(group)
        if walls is not None:
            self.walls.pieces.append((rows, walls))
        self._note_end(first + group[-1], others[-1], lines[group[-1]])

    # --- one line ---

    def _line(self, row: int, line: str) -> None:
        if not line or line.isspace() or self._is_other(row, line):
            return
        bar = running_bar(line)
        if bar is not None:  # only its last drawing is read
            self._draw(_Drawn(row, line, bar))
            return
        record = record_of(line)
        if len(self.garbled) < _MOST_GARBLED:
            self.garbled += [(row, key, token) for key, token in record.garbled]
        if record.bar is not None:
            values = _quantities(record)
            if not values and record.bar.length:
                self.empty_bars.append((row, record.bar.count, record.bar.length))
            if any(values) or (values and record.bar.count):  # zeros before the first step are no values
                self._draw(_Drawn(row, line, record.bar, record))
        elif record.fields:
            self._record(row, record)
            self._note_end(row, record, line)

    def _record(self, row: int, record: Record) -> None:
        for one in record.fields:
            numbers = self._of(record.label, one.name)
            if numbers is None:
                continue
            numbers.rows.append(row)
            numbers.values.append(one.value)
            self.known[one.name] += 1
        if record.wall_time is not None:
            self.walls.rows.append(row)
            self.walls.values.append(record.wall_time)

    def _of(self, label: str, name: str) -> _Numbers | None:
        """The values of one name; None once there are too many names."""
        many = len(self.numbers) >= _MOST_LABELS
        mine = self.numbers.setdefault("" if many and label not in self.numbers else label, {})
        if name not in mine:
            self.names += 1
            if self.names > MOST_NAMES:
                if self.names == MOST_NAMES + 1:
                    message = f"more than {MOST_NAMES:,} names: the rest was left out"
                    self.problems.append(LogProblem(self.source, self.place, "too-many-names", message))
                return None
            mine[name] = _Numbers()
        return mine[name]

    def _draw(self, drawn: _Drawn) -> None:
        """A progress bar is a record once it is not drawn anew: a later drawing takes its place."""
        if self.drawn is not None and not _is_redrawn(self.drawn, drawn):
            self._finish_bar()
        self.drawn = drawn

    def _finish_bar(self) -> None:
        if self.drawn is not None:
            record = self.drawn.record or record_of(self.drawn.line)
            if _quantities(record):
                self._record(self.drawn.row, record)
        self.drawn = None

    # --- lines that are no records ---

    def _is_other(self, row: int, line: str) -> bool:
        """Whether a line says something but a record: a header, a configuration, a resume."""
        if self.options:
            if _OPTIONS_END.match(line):
                self.options = 0
                return True
            option = _OPTION.match(line)
            self.options -= 1
            if option is not None and _FURTHER_NUMBER.search(option["value"]) is not None:
                self.options = 0  # a record: the end of the block is missing
            elif option is not None and self._is_repeated(option):
                self.options = 0
            elif option is not None:
                self._set({option["name"]: _literal(option["value"], plain=True)})
                return True
        if line[:80].lstrip().startswith(_RULES):
            if _HEADER.match(line):
                self.starts.append(Start(row + 1, "header"))
                return True
            if _OPTIONS.match(line):
                self.options = _MOST_OPTIONS
                self.optioned.clear()
                self.starts.append(Start(row + 1, "config"))
                return True
        if _is_configuration(line):
            tree = _configuration(line)
            if tree is not None:
                self._set(tree)
                self.starts.append(Start(row + 1, "config"))
                return True
        resumed = _RESUMED.search(line) if "esum" in line else None
        if resumed is not None:
            self.settings["resumed_from"] = Setting(resumed["from"], self.source)
        return False

    def _is_repeated(self, option: re.Match[str]) -> bool:
        """Whether a name comes with a number again and again, as in a log: the end of the block is missing."""
        if to_number(option["value"]) is not None:
            self.optioned[option["name"]] += 1
        return self.optioned[option["name"]] >= _KNOWN_AFTER

    def _set(self, tree: Mapping[str, object]) -> None:
        self.settings.update(settings_of(tree, self.source))

    # --- the end of the file ---

    def _half_line(self, row: int, line: str) -> None:
        """The last line has no end: is it whole? A number at its very end may have lost digits."""
        if self._is_other(row, line):
            return
        record = record_of(line)
        names = tuple(one.name for one in record.fields)
        if record.bar is not None and names:
            end, before = _END.search(line), _END.search(self.drawn.line if self.drawn is not None else "")
            if end is not None and not is_whole_number(end[0].strip(), before[0].strip() if before else ""):
                self._problem(row, "truncated", f"the last line is cut off: {line[-40:]!r}")
                return
        if not names or record.bar is not None:
            self._line(row, line)
            return
        last = record.fields[-1]
        at_end = not line[last.end :].strip()
        whole = not at_end or is_whole_number(line[last.start : last.end], self.ends.get(names, (0, ""))[1])
        begun = any(known[: len(names)] == names for known in self.ends if len(known) > len(names))
        if not whole:
            record = Record(record.fields[:-1], record.label, record.wall_time)
        if not whole or (begun and names not in self.ends):
            self._problem(row, "truncated", f"the last line is cut off: {line[-40:]!r}")
        self._record(row, record)

    def _note_end(self, row: int, record: Record, line: str) -> None:
        if record.fields and len(self.ends) < MOST_NAMES:
            names, last = tuple(one.name for one in record.fields), record.fields[-1]
            if row >= self.ends.get(names, (0, ""))[0]:
                self.ends[names] = row, line[last.start : last.end]

    def _problem(self, row: int, kind: str, message: str) -> None:
        self.faults += 1
        if self.faults <= _MOST_PROBLEMS:
            line = row - self.first_row + 1
            self.problems.append(LogProblem(self.source, f"{self.place}line {line}", kind, message))

    def parts(self) -> list[RunParts]:
        """The runs, each with its label where there are several."""
        self._finish_bar()
        for row, key, token in self.garbled:
            if self.known.get(key, 0) >= _KNOWN_AFTER:
                self._problem(row, "bad-line", f"'{key}' is followed by {token!r}, which is no number")
        self.sole_label = next(iter(self.numbers)) if len(self.numbers) == 1 else ""
        if self.faults > _MOST_PROBLEMS:
            message = f"{self.faults - _MOST_PROBLEMS:,} more lines like these"
            self.problems.append(LogProblem(self.source, self.place, "bad-line", message))
        runs = [
            part
            for label, columns in _runs(self.numbers).items()
            if columns
            for part in self._parts(label, columns)
        ] or [RunParts(starts=self.starts, settings=self.settings)]
        runs[0].problems = self.problems
        return runs

    def _parts(self, label: str, found: dict[str, _Numbers]) -> list[RunParts]:
        columns = {name: numbers.column() for name, numbers in found.items()}
        in_order = sorted(columns, key=lambda name: (columns[name][0][0], name))  # not as they were read
        columns = {name: columns[name] for name in in_order}
        settings = dict(self.settings)
        self._set_aside(columns, settings)
        bars = self._bars_as_clock(columns)
        if bars is not None:
            columns["it"] = bars
        if "loss_dur" in columns and any(name.endswith("semantic_frame_rate") for name in settings):
            columns["kl_ssl"] = columns.pop("loss_dur")  # GPT-SoVITS, see positional.py
        table = Columns()
        shared: dict[bytes, Steps] = {}  # columns of the same rows share them: steps are found once
        for name, (rows, values) in columns.items():
            table.add_column(name, shared.setdefault(rows.tobytes(), rows), values)
        if len(self.walls) and columns:
            table.add_column(_TIME, *self._times(columns))
        series = [
            _told_apart(one)
            for one in table.series(self.source)
            if not is_counter(one.tag) and one.tag != _TIME
        ]
        jobs = split_writers(series)
        if len(jobs) > 1:
            message = f"{len(jobs)} jobs wrote into this log at the same time: taken as runs of their own"
            self.problems.append(LogProblem(self.source, self.place, "two-writers", message))
        return [
            RunParts(
                f"{label} writer {number}".strip() if len(jobs) > 1 else label,
                job,
                self._starts(columns),
                settings,
            )
            for number, job in enumerate(jobs, start=1)
        ]

    def _set_aside(self, columns: dict[str, Column], settings: dict[str, Setting]) -> None:
        """Take out what stands before training, a lone number as a setting."""
        begun = _begun(columns)
        for name, (rows, values) in list(columns.items()):
            if "\0" in name or begun is None or int(rows[0]) >= begun:
                continue
            if len(rows) < _KNOWN_AFTER and int(rows[-1]) < begun:
                del columns[name]
                if len(rows) == 1:
                    value = float(values[0])
                    settings.setdefault(
                        name, Setting(int(value) if value.is_integer() else value, self.source)
                    )
            elif is_counter(name) and values[0] > values[1]:  # "iter: 300000", how long it shall run
                columns[name] = rows[1:], values[1:]

    def _bars_as_clock(self, columns: Mapping[str, Column]) -> Column | None:
        """The counts of bars without numbers of their own, if one bar runs through and nothing else counts."""
        if any(map(is_counter, columns)) or not columns or len({bar[2] for bar in self.empty_bars}) != 1:
            return None
        rows, counts, _ = np.array(self.empty_bars, np.int64).T
        return (rows, counts.astype(np.float64)) if np.all(np.diff(counts) >= 0) else None

    def _times(self, columns: Mapping[str, Column]) -> Column:
        rows, times = self.walls.column()
        first = min(int(own[0]) for own, _ in columns.values())  # runs of one file do not overlap
        last = max(int(own[-1]) for own, _ in columns.values())
        mine = slice(np.searchsorted(rows, first), np.searchsorted(rows, last, side="right"))
        return rows[mine], times[mine]

    def _starts(self, columns: Mapping[str, Column]) -> list[Start]:
        if not columns:
            return self.starts
        last = max(int(rows[-1]) for rows, _ in columns.values())
        return [start for start in self.starts if start.order <= last] if last else self.starts


def _option_heads(lines: Sequence[str], skeletons: Sequence[bytes]) -> list[int]:
    """The numbers of the lines that begin a printed block of options. skeletons: of all lines, or none."""
    likely = {skeleton for skeleton in set(skeletons) if _OPTIONS_WORD.search(skeleton) is not None}
    if not likely:
        return []
    return [n for n, one in enumerate(skeletons) if one in likely and _OPTIONS.match(lines[n]) is not None]


def _names(record: Record) -> tuple[object, ...]:
    return record.label, record.stamp is None, record.rigid, *(one.name for one in record.fields)


def _quantities(record: Record) -> list[float]:
    """The values of a record that are no counters."""
    return [one.value for one in record.fields if not is_counter(one.name) and "\0" not in one.name]


def _is_redrawn(old: _Drawn, new: _Drawn) -> bool:
    """Whether a bar is the old one again: at the same place, or further on with the means so far."""
    if old.bar.running != new.bar.running or old.bar.length != new.bar.length:
        return False
    if old.record is None or new.record is None:
        return new.bar.count >= old.bar.count
    return new.bar.count == old.bar.count and _epoch(old.record) == _epoch(new.record)


def _epoch(record: Record) -> tuple[float, ...]:
    return tuple(one.value for one in record.fields if is_counter(one.name) and one.name != "it")


def _is_configuration(line: str) -> bool:
    if "{" in line and "}" in line and "'" in line:
        return True
    return "(" in line and "=" in line and _NAMESPACE.search(line) is not None


def _configuration(line: str) -> dict[str, object] | None:
    """A printed dict or Namespace with more in it than numbers; None if the line holds none."""
    if len(line) > LONGEST_LINE:
        return None
    space = _NAMESPACE.search(line)
    if space is not None:
        tree = _keywords(line[space.start() :].strip())
    else:
        found = _literal(line[line.index("{") : line.rindex("}") + 1])
        tree = found if isinstance(found, dict) else None
    if not tree or all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in tree.values()
    ):
        return None
    return {str(key): value for key, value in tree.items()}


def _keywords(text: str) -> dict[str, object] | None:
    parsed = _parsed(text)
    if parsed is None or not isinstance(parsed.body, ast.Call):
        return None
    found = {}
    for keyword in parsed.body.keywords:
        try:
            found[str(keyword.arg)] = ast.literal_eval(keyword.value)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            continue  # an object: its print is no value
    return found


def _literal(text: str, plain: bool = False) -> object:
    """The value of a literal. plain: text that is none stands for itself; else None."""
    parsed = _parsed(text)
    try:
        if parsed is not None:
            return ast.literal_eval(parsed)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        pass
    return text if plain else None


def _parsed(text: str) -> ast.Expression | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" in a printed path
            return ast.parse(text, mode="eval")
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _runs(numbers: dict[str, dict[str, _Numbers]]) -> dict[str, dict[str, _Numbers]]:
    """The runs of a file, by label.

    Labels name runs if each stands over one stretch of the file. Labels that take turns, or name a
    part of the data or a network, belong to the keys; a single label says nothing.
    """
    labels = [label for label in numbers if label]
    part_of_key = any(map(_NO_RUN.fullmatch, labels))
    if len(labels) < 2 and not part_of_key:
        return {"": _joined(numbers, {})}
    spans = {label: _span(numbers[label].values()) for label in labels}
    in_order = sorted(spans, key=lambda label: spans[label])
    apart = all(spans[a][1] < spans[b][0] for a, b in pairwise(in_order))
    if part_of_key or not apart or min(map(len, (numbers[label] for label in labels))) == 0:
        return {"": _joined(numbers, {label: f"{label}/" for label in labels})}
    if "" not in numbers:
        return {label: numbers[label] for label in in_order}
    firsts = [spans[label][0] for label in in_order[1:]]
    runs = {label: dict(numbers[label]) for label in in_order}
    for name, found in numbers[""].items():  # lines without a label belong to the run around them
        rows, values = found.column()
        places = np.searchsorted(np.array(firsts), rows, side="right")
        for place, label in enumerate(in_order):
            mine = places == place
            if np.any(mine):
                piece = _Numbers([(rows[mine], values[mine])])
                runs[label][name] = _merged(runs[label].get(name), piece)
    return runs


def _joined(
    numbers: Mapping[str, Mapping[str, _Numbers]], prefixes: Mapping[str, str]
) -> dict[str, _Numbers]:
    """All labels as one; counters never take a prefix."""
    joined: dict[str, _Numbers] = {}
    for label, columns in numbers.items():
        for name, found in columns.items():
            bare = is_counter(name) or "\0" in name
            called = name if bare else prefixes.get(label, "") + name
            joined[called] = _merged(joined.get(called), found)
    return joined


def _merged(one: _Numbers | None, other: _Numbers) -> _Numbers:
    if one is None:
        return other
    return _Numbers([one.column(), other.column()])


def _span(found: Iterable[_Numbers]) -> tuple[int, int]:
    rows = [numbers.column()[0] for numbers in found]
    return min(int(own[0]) for own in rows), max(int(own[-1]) for own in rows)


def _begun(columns: Mapping[str, Column]) -> int | None:
    """The row on which training begins: the first with two names that are repeated, or with one.

    None: too little is repeated. What stands before is configuration, or a model's table.
    """
    most = max((len(rows) for rows, _ in columns.values()), default=0)
    repeated = [rows for rows, _ in columns.values() if len(rows) >= max(_KNOWN_AFTER, 0.1 * most)]
    if not repeated:
        return None
    firsts = sorted({int(rows[0]) for rows in repeated})[:_MOST_LABELS]
    return next(
        (row for row in firsts if sum(_holds(rows, row) for rows in repeated) >= 2),
        firsts[0],
    )


def _holds(rows: Steps, row: int) -> bool:
    place = int(rows.searchsorted(row))
    return place < len(rows) and int(rows[place]) == row


def _told_apart(one: Series) -> Series:
    """A series without points that repeat the one before: some loggers print each line twice."""
    if one.unit is Unit.RECORD or len(one) < 2:
        return one
    again = one.steps[1:] == one.steps[:-1]
    if not again.any():
        return one
    again &= one.values[1:] == one.values[:-1]
    return one.take(np.append(True, ~again)) if again.any() else one
