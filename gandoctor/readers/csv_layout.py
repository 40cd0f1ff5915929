"""How a table of text is laid out, from its head: delimiter, decimal sign, names, where its rows begin."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from gandoctor.readers.columns import counts_steps
from gandoctor.readers.numbers import MISSING, to_number

HEAD_CHARACTERS = 1 << 16
_ROWS = 100  # looked at
_LINES = 500  # comments and a preamble included
_STABLE = 0.8  # of the rows have as many cells as most have; of a column's cells are numbers
_COMMA = re.compile(r"\s*[-+]?\d+,\d+(?:[eE][-+]?\d+)?\s*")


@dataclass(frozen=True, slots=True)
class Layout:
    """delimiter: "," ";" tab, or " " for any run of blanks. decimal: "." or ",".

    names: one a column, none twice. numeric: which columns held numbers (or nothing) in the head.
    first: how many lines stand above the first row of numbers. header: the names as they stand
    there, () if none do. mismatch: what is odd about the header, "" if nothing is.
    """

    delimiter: str
    decimal: str
    names: tuple[str, ...] = ()
    numeric: tuple[bool, ...] = ()
    first: int = 0
    header: tuple[str, ...] = ()
    mismatch: str = ""

    def number(self, cell: str) -> float | None:
        """The number in a cell, None if it holds none."""
        if self.decimal == "," and _COMMA.fullmatch(cell):
            cell = cell.replace(",", ".")
        return to_number(cell)

    def rows(self, lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
        """Rows of cells, each with the number of lines read up to its end. A cell may hold line ends.

        A line with quotes in odd places is split at its delimiters.
        """
        read = 0

        def counted() -> Iterator[str]:
            nonlocal read
            for line in lines:
                read += 1
                yield line + "\n"

        if self.delimiter == " ":
            yield from ((read, line.split()) for line in counted())
            return
        reader = csv.reader(counted(), delimiter=self.delimiter, skipinitialspace=True, strict=True)
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error:  # text behind a closing quote, a quote open to the end, a cell too long
                cells = self.torn(lines[read - 1])
            yield read, cells

    def torn(self, line: str) -> list[str]:
        """The cells of a line whose quotes say nothing."""
        cells = line.split() if self.delimiter == " " else line.split(self.delimiter)
        return [cell.strip().strip('"') for cell in cells]


@dataclass(frozen=True, slots=True)
class _Row:
    above: int  # lines before the row
    cells: list[str]
    numbers: int  # cells that hold one
    blank: int  # cells that hold nothing, or NA

    @property
    def words(self) -> int:
        return len(self.cells) - self.numbers - self.blank


def layout_of(text: str, *, whole: bool, named_csv: bool) -> Layout | None:
    """The layout that makes most of a text's cells numbers; None if the text is no table of numbers.

    whole: the text is the whole file, so its last line is whole. named_csv: the file's name says
    CSV or TSV; then a table may have a single column, no header, or a header and no rows yet.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not whole:
        text = text[: text.rfind("\n") + 1]
    lines = text.split("\n", _LINES)[:_LINES]
    comments = {number: line for number, line in enumerate(lines) if line.lstrip().startswith("#")}
    plain_lines = ["" if number in comments else line for number, line in enumerate(lines)]
    best: tuple[float, Layout] | None = None
    for delimiter, decimal in ((",", "."), (";", "."), ("\t", "."), (";", ","), ("\t", ","), (" ", ".")):
        if delimiter in ";\t" and delimiter not in text:
            continue
        trial = Layout(delimiter, decimal)
        found = _fit(trial, _rows(trial, plain_lines), comments, named_csv)
        if found is not None and (best is None or found[0] > best[0]):
            best = found
            if found[0] > 1:  # every cell of several columns is a number
                break
    return best[1] if best else None


def is_missing(cell: str) -> bool:
    """Whether a cell says that nothing was logged."""
    return cell.strip().lower() in MISSING


def named(header: Sequence[str]) -> tuple[str, ...]:
    """Names without blanks around them; a name's second column is "name.1", as pandas has it.

    A first column without a name stays so: it is an index. Others are called by their position.

    >>> named(["", "loss", "loss", ""])
    ('', 'loss', 'loss.1', 'column4')
    """
    names: dict[str, None] = {}  # in order
    for place, cell in enumerate(header):
        name = cell.strip() or (f"column{place + 1}" if place else "")
        again = (f"{name}.{n}" for n in range(1, len(header) + 1))
        names[next(one for one in (name, *again) if one not in names)] = None
    return tuple(names)


def _rows(layout: Layout, lines: Sequence[str]) -> list[_Row]:
    rows: list[_Row] = []
    above = 0
    for end, cells in layout.rows(lines):
        if any(map(str.strip, cells)):
            numbers = sum(layout.number(cell) is not None for cell in cells)
            rows.append(_Row(above, cells, numbers, sum(map(is_missing, cells))))
            if len(rows) > _ROWS:
                break
        above = end
    return rows


def _fit(
    trial: Layout, rows: list[_Row], comments: dict[int, str], named_csv: bool
) -> tuple[float, Layout] | None:
    """How well a delimiter fits, as the share of cells that hold numbers, and the layout it gives."""
    start = _first_of_numbers(rows)
    if start is None:
        return _header_only(trial, rows) if named_csv else None
    body = _until_next_header(rows[start:])
    if not body:
        return None
    lengths = Counter(len(row.cells) for row in body)
    width, steady = lengths.most_common(1)[0]
    header = rows[start - 1].cells if start else _commented(trial, comments, body[0].above, width)
    if len(header) > width and lengths[len(header)]:  # most rows are short, but some are as the header says
        width, steady = len(header), steady + lengths[len(header)]
    even = [row for row in body if len(row.cells) == width]
    numeric = [_holds_numbers(trial, [row.cells[j] for row in even]) for j in range(width)]
    if not _mostly(steady, len(body)) or numeric.count(True) < (1 if width == 1 else 2):
        return None
    if width == 1 and not (named_csv and trial.delimiter == ","):
        return None
    share = sum(row.numbers + row.blank for row in even) / (width * len(even))
    if trial.delimiter == " " and (share < 1 or not (header or named_csv)):
        return None
    names, mismatch = _names(header, even)
    layout = replace(
        trial,
        names=names,
        numeric=tuple(one is not False for one in numeric),
        first=body[0].above,
        header=named(header),
        mismatch=mismatch,
    )
    return share + width * 1e-6, layout


def _first_of_numbers(rows: Sequence[_Row]) -> int | None:
    """The place of the first row of numbers: those above it are words, most of those below it are not."""
    for place, row in enumerate(rows):
        below = rows[place:]
        if row.numbers and sum(one.numbers > 0 for one in below) >= 0.6 * len(below):
            heads = len(below) > 1 and _is_header(row, below[1])
            return place + 1 if heads else place
    return None


def _until_next_header(body: list[_Row]) -> list[_Row]:
    """The rows up to the next of nothing but words: a writer that starts again may have other columns."""
    ends = (place for place, row in enumerate(body) if row.words == len(row.cells) > 1)
    return body[: next(ends, len(body))]


def _is_header(row: _Row, next_row: _Row) -> bool:
    """Whether a row with numbers in it is a header all the same: `,0,1,2`, or `step,loss,1`."""
    if row.words:
        return row.words >= 0.5 * len(row.cells) and next_row.words < row.words
    cells = [cell.strip() for cell in row.cells]
    cells = cells[1:] if not cells[0] else cells
    counted = [str(n) for n in range(len(cells))]
    return len(cells) > 1 and cells == counted and [c.strip() for c in next_row.cells][-len(cells) :] != cells


def _commented(trial: Layout, comments: dict[int, str], above: int, width: int) -> list[str]:
    """The header in the last comment above the first row (numpy.savetxt writes it there), or []."""
    line = comments.get(above - 1, "").strip().lstrip("#").strip()
    cells = next(trial.rows([line]))[1] if line else []
    words = [cell for cell in cells if trial.number(cell) is None and not is_missing(cell)]
    return cells if len(cells) == len(words) == width else []


def _header_only(trial: Layout, rows: Sequence[_Row]) -> tuple[float, Layout] | None:
    """A run that has just begun: names, one of which counts steps, and no row yet."""
    if len(rows) != 1 or len(rows[0].cells) < 2 or trial.delimiter == " ":
        return None
    names = named(rows[0].cells)
    if not any(name and counts_steps(name) for name in names):
        return None
    numeric = (True,) * len(names)
    return 0.0, replace(trial, names=names, numeric=numeric, first=rows[0].above + 1, header=names)


def _holds_numbers(trial: Layout, cells: Sequence[str]) -> bool | None:
    """Whether a column's cells are numbers; None if they are all missing."""
    logged = [cell for cell in cells if not is_missing(cell)]
    if not logged:
        return None
    return _mostly(sum(trial.number(cell) is not None for cell in logged), len(logged))


def _mostly(good: int, all_: int) -> bool:
    """Whether nearly all are good; of a few, one may be odd."""
    return good >= _STABLE * all_ or good >= max(all_ - 1, 0.5 * all_)


def _names(header: Sequence[str], even: Sequence[_Row]) -> tuple[tuple[str, ...], str]:
    """Names for the columns, and what is odd about them."""
    width = len(even[0].cells)
    if not header or all(cell.strip().isdigit() or not cell.strip() for cell in header):
        blank = [""] if header and not header[0].strip() else []
        return tuple(blank + [f"column{n + 1}" for n in range(len(blank), width)]), ""
    if len(header) == width:
        return named(header), ""
    odd = f"the header has {len(header)} names, the rows have {width} cells"
    if len(header) == width - 1:
        if all(not row.cells[-1].strip() for row in even):  # a delimiter at the end of each row
            return named([*header, ""]), ""
        if not counts_steps(header[0]) and _numbers_the_rows(even):  # an index without a name
            return named(["", *header]), ""
        return named([*header, f"column{width}"]), odd
    if len(header) > width:
        return named(header[:width]), odd
    return tuple(f"column{n + 1}" for n in range(width)), odd


def _numbers_the_rows(even: Sequence[_Row]) -> bool:
    found = [to_number(row.cells[0]) for row in even]
    return found[0] in (0.0, 1.0) and found == [found[0] + n for n in range(len(even))]
