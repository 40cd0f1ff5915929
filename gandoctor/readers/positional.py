"""Formats whose numbers have no names: a table of what stands at which place.

A file of columns, blanks between them (EdgeConnect's `log_edge.dat`, `numpy.savetxt`):

    1 10 0.6908508539199829 0.7006512880325317 2.058990955352783 0.1185 0.1300

One or two columns in a file named by what it holds (`d_loss.txt`: Keras' loss and accuracy):

    0.6422474682331085 0.5871212184429169

BigGAN-PyTorch's file a metric (`G_loss.log`: iteration, value), appended on resume:

    137500: 1.234e+00

Lists inside a log of other lines (VITS and its kin) are read by `text.py`, with the names from here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gandoctor.readers.columns import Columns
from gandoctor.readers.head import Head
from gandoctor.readers.lines import chunks, clean
from gandoctor.readers.numbers import to_number
from gandoctor.run import LogProblem, RunParts

KIND = "log"
ORDER = 75

MOST_COLUMNS = 64
_MOST_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class ListLayout:
    """A list of numbers in a log. key: what stands before it, plain; whole: the place of a whole number."""

    names: tuple[str, ...]
    key: str = ""
    whole: int | None = None


@dataclass(frozen=True, slots=True)
class FileLayout:
    """A file of columns, told by its name and their number. clock: the columns that count steps."""

    file: str
    names: tuple[str, ...]
    clock: tuple[str, ...] = ()


_VITS = ("loss_disc", "loss_gen", "loss_fm", "loss_mel", "loss_dur", "loss_kl")
_SOVITS = ("loss_disc", "loss_gen", "loss_fm", "loss_mel", "loss_kl")
# Sources: the training scripts of jaywalnut310/vits, so-vits-svc 3 and 4, RVC and their forks, which
# print these variables in this order. GPT-SoVITS has kl_ssl in the place of loss_dur.
LISTS = (
    ListLayout((*_VITS, "step", "lr"), whole=6),
    ListLayout((*_SOVITS, "step", "lr"), whole=5),
    ListLayout(("grad_norm_d", "grad_norm_g", *_VITS, "step", "lr"), whole=8),
    ListLayout(("step", "lr"), whole=0),
    ListLayout(_VITS, key="losses"),
    ListLayout(_SOVITS, key="losses"),
    ListLayout(_SOVITS, key="损失"),
)
# Source: knazeri/edge-connect, src/edge_connect.py and src/models.py, which have these names.
_EDGE = ("l_d1", "l_g1", "l_fm")
_INPAINT = ("l_d2", "l_g2", "l_l1", "l_per", "l_sty", "psnr", "mae")
FILES = (
    FileLayout(r"log_edge.*\.dat", ("epoch", "iter", *_EDGE, "precision", "recall"), ("iter",)),
    FileLayout(r"log_(edge_)?inpaint.*\.dat", ("epoch", "iter", *_INPAINT), ("iter",)),
    FileLayout(r"log_joint.*\.dat", ("epoch", "iter", *_EDGE, "precision", "recall", *_INPAINT), ("iter",)),
)
_QUANTITY = re.compile(
    r"loss|err(or)?s?([^a-z]|$)|cost|score|acc|(^|[^a-z])(fid|kid|psnr|ssim|log|train(ing)?)([^a-z]|$)"
)
_SUFFIXES = frozenset({"", ".txt", ".dat", ".log", ".out"})
_ITEM = re.compile(r"(\d{1,15}): (\S{1,40})")


def list_names(key: str, texts: Sequence[str]) -> tuple[str, ...]:
    """The names of a list's numbers as they are written; empty if the list is not known.

    >>> list_names("", ["0", "0.0001"]), list_names("Losses", ["2.2", "2.6"])
    (('step', 'lr'), ())
    """
    plain_key = key.lower().strip()
    for layout in LISTS:
        fits = layout.key == plain_key and len(layout.names) == len(texts)
        if fits and (layout.whole is None or texts[layout.whole].isdigit()):
            return layout.names
    return ()


def sniff(head: Head) -> bool:
    """Whether the head is columns of numbers under a name that says what they are, or BigGAN's pairs."""
    lines = _head_lines(head)
    if not lines or head.path.suffix.lower() not in _SUFFIXES:
        return False
    if all(_item(line) is not None for line in lines):
        return len(lines) >= 2 or head.path.suffix.lower() == ".log"
    widths = {_width(line) for line in lines}
    if len(widths) != 1 or 0 in widths:
        return False
    return _layout(head.name, widths.pop()) is not None


def read(path: Path) -> list[RunParts]:
    """Read a file of columns; a line with another number of columns is a problem."""
    problems: list[LogProblem] = []
    reading = _Table(path, problems)
    for chunk in chunks(path, problems):
        last = len(chunk.lines) - 1
        for number, line in enumerate(chunk.lines):
            if line and not line.isspace():
                reading.line(chunk.first + number, line, whole=chunk.ended or number != last)
    return [reading.parts()]


class _Table:
    """The columns of a file, as its lines come in."""

    def __init__(self, path: Path, problems: list[LogProblem]) -> None:
        self.path = path
        self.problems = problems
        self.faults = 0
        self.width = 0
        self.pairs = False
        self.rows: list[int] = []
        self.values: list[list[float]] = []
        self.before = ""

    def line(self, number: int, line: str, whole: bool) -> None:
        item = _item(line) if self.pairs or not self.width else None
        cells = list(item) if item is not None else line.split()
        if not self.width:
            self.pairs, self.width = item is not None, min(len(cells), MOST_COLUMNS)
        values = [to_number(cell) for cell in cells[: MOST_COLUMNS + 1]]
        row = [value for value in values if value is not None]
        cut = not whole and not is_whole_number(cells[-1], self.before)
        if cut or len(cells) != self.width or len(row) != len(cells) or self.pairs != (item is not None):
            kind = "truncated" if not whole else "bad-line"
            self._problem(number, kind, f"{line.strip()[:60]!r} is no line of {self.width} numbers")
            return
        self.before = cells[-1]
        self.rows.append(number)
        self.values.append(row)

    def _problem(self, number: int, kind: str, message: str) -> None:
        self.faults += 1
        if self.faults <= _MOST_PROBLEMS:
            self.problems.append(LogProblem(self.path, f"line {number}", kind, message))

    def parts(self) -> RunParts:
        """Everything read."""
        if self.faults > _MOST_PROBLEMS:
            message = f"{self.faults - _MOST_PROBLEMS:,} more lines like that"
            self.problems.append(LogProblem(self.path, "", "bad-line", message))
        parts = RunParts(problems=self.problems)
        if not self.rows:
            return parts
        stem = self.path.stem
        layout = (
            FileLayout("", ("iter", stem), ("iter",))
            if self.pairs
            else _layout(self.path.name.lower(), self.width) or _plain_layout("column", self.width)
        )
        table = np.array(self.values, dtype=np.float64)
        rows = np.array(self.rows, dtype=np.int64)
        names = [name.replace("{}", stem) for name in layout.names]
        if not layout.clock and self.width > 1 and _counts(table[:, 0]):
            names = ["step", *([stem] if self.width == 2 else names[1:])]
            layout = FileLayout("", (), ("step",))
        columns = Columns()
        for name, column in zip(names, table.T, strict=True):
            columns.add_column(name, rows, np.ascontiguousarray(column))
        parts.series = columns.series(self.path, clock=layout.clock)
        return parts


def is_whole_number(text: str, before: str) -> bool:
    """Whether the last number of a file without a last line end was written to its end.

    before: the number that stood in its place a line earlier. Twelve digits are enough in any case:
    what may be missing does not matter then.

    >>> is_whole_number("0.233", "0.184"), is_whole_number("0.2", "0.184"), is_whole_number("50.0%)", "")
    (True, False, True)
    """
    if not text[-1:].isalnum() and text[-1:] not in ".+-":
        return True
    digits = sum(map(str.isdigit, text))
    if digits >= 12 and "e" not in text.lower():
        return True
    decimals, decimals_before = text.partition(".")[2], before.partition(".")[2]
    return bool(decimals_before) and len(decimals) == len(decimals_before)


def _counts(column: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> bool:
    return len(column) >= 3 and bool(np.all(column == np.floor(column)) and np.all(np.diff(column) > 0))


def _layout(name: str, width: int) -> FileLayout | None:
    """What the columns of a file of this name are; None if the name says nothing."""
    for layout in FILES:
        if len(layout.names) == width and re.fullmatch(layout.file, name):
            return layout
    stem = name.rpartition(".")[0] or name
    if not _QUANTITY.search(stem):
        return None
    if width == 1:
        return FileLayout("", ("{}",))
    if width == 2:  # what Keras' train_on_batch returns
        accuracy = "{}_acc" if "loss" not in stem else stem.replace("loss", "acc", 1)
        return FileLayout("", ("{}", accuracy))
    return _plain_layout("column", width) if width <= MOST_COLUMNS else None


def _plain_layout(word: str, width: int) -> FileLayout:
    """Columns that nobody knows: named by their number, for the user to map."""
    return FileLayout("", tuple(f"{word} {number}" for number in range(1, width + 1)))


def _item(line: str) -> tuple[str, str] | None:
    found = _ITEM.fullmatch(line.strip())
    return (found[1], found[2]) if found is not None and to_number(found[2]) is not None else None


def _width(line: str) -> int:
    """How many numbers a line holds; 0 if it holds anything else."""
    cells = line.split()
    return len(cells) if all(to_number(cell) is not None for cell in cells) else 0


def _head_lines(head: Head) -> list[str]:
    """The whole lines of the head, without blank ones; none if it is no text."""
    data = head.data.rstrip(b"\0")
    if b"\0" in data:
        return []
    text = clean(data.decode("utf-8-sig", errors="replace"))
    lines = text.split("\n")
    if head.size > len(head.data):
        lines = lines[:-1]
    return [line for line in lines if line and not line.isspace()]
