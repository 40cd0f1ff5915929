"""CSV and TSV: a table of numbers, as loggers, spreadsheets and people write it.

    epoch,d_loss,g_loss          Epoch;Loss D;Loss G        ,losses_g,losses_d
    0,1.386,0.693                0;1,386;0,693              0,"tensor(10.5290, grad_fn=<…>)",0.0009

An empty cell and NA mean "not logged here"; nan means that NaN was logged. Pandas' C parser reads
the whole table at once if it is regular; else block by block, and row by row a block that it cannot
read without loss.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import RawIOBase
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gandoctor.readers.blocks import Block, CannotFollow, NewLines, blocks, count
from gandoctor.readers.columns import counts_steps
from gandoctor.readers.csv_layout import HEAD_CHARACTERS, Layout, is_missing, layout_of, named
from gandoctor.readers.faults import Faults
from gandoctor.readers.head import Head
from gandoctor.readers.numbers import NUMBER, to_number
from gandoctor.readers.tables import Table, holds_words, tag_from
from gandoctor.run import LogProblem, RunParts, Start, Steps

if TYPE_CHECKING:
    import pandas as pd

_Cells: TypeAlias = tuple[npt.NDArray[Any], Steps | None]  # and the rows on which something stands, None: all

KIND = "log"
ORDER = 60

_SUFFIXES = (".csv", ".tsv", ".tab")
_OTHER_SUFFIX = re.compile(  # code, prose, markup, point clouds
    r"\.(pyi?|ipynb|md|rst|tex|html?|xml|svg|[jt]s|css|jsonl?|ndjson|ya?ml|toml|ini|cfg|sh|bat|c|h|cc|cpp|cu"
    r"|java|m|r|lua|obj|ply|pts|xyz|srt|bib)"
)
_CONTROL = re.compile(r"[\x01-\x08\x0b\x0e-\x1f]")  # but tab, line ends and form feed
_TENSOR = re.compile(
    rb'"?tensor\(\[*(?P<number>' + NUMBER.encode() + rb")\]*"
    rb'(?:, (?:device|grad_fn|dtype|requires_grad)=[^"\n]*?)?\)"?'
)
_MISSING = ["", "NA", "na", "N/A", "n/a", "None", "none", "NULL", "null", "-", "--", "<NA>"]
_NAN = ["nan", "NaN", "NAN", "-nan", "-NaN"]
_NAN_WORDS = (b"nan", b"NaN", b"NAN")  # each of the above holds one of these
_BLOCK_BYTES = 1 << 23
_PIECE_BYTES = 1 << 18  # when the whole file is read at once: stays in the processor's cache
_FEW_ROWS, _MANY_CELLS = 8, 50  # a table of fewer rows and more columns lies on its side
_LONGEST_CELL = 1 << 20  # bytes; a quote that is open for longer was never meant as one


def sniff(head: Head) -> bool:
    """Say whether the head is a table: rows of one length with numbers in at least two columns.

    A file called .csv or .tsv may have a single column, or no header.
    """
    suffix = head.path.suffix.lower()
    text = head.text if head.text is not None else head.data.replace(b"\0", b"").decode(errors="replace")
    if (
        _OTHER_SUFFIX.fullmatch(suffix)
        or _CONTROL.search(text)
        or text.lstrip().startswith(("{", "[", "<", "%"))
    ):
        return False
    is_csv = suffix in _SUFFIXES
    whole = head.size <= len(head.data)
    if not is_csv and _digits(text.partition("\n")[2]) < 0.2:
        return False
    text = _bare(text.encode()).decode()
    layout = layout_of(text, whole=whole, named_csv=is_csv)
    if layout is None:
        return is_csv and bool(_lying(text if whole else text[: text.rfind(",") + 1]))
    return is_csv or len(layout.header) == len(layout.names)


def read(path: Path) -> list[RunParts]:
    """Read the table's columns of numbers as series; several runs in it give several RunParts.

    Raises OSError if the file cannot be read.
    """
    faults = Faults(path)
    reading = _Reading(Table(faults), faults)
    small = path.stat().st_size <= _BLOCK_BYTES
    head = _pieces(path, faults, _BLOCK_BYTES if small else _PIECE_BYTES)
    first = next(head, Block(b"", 1))
    if small and (lying := _lying(first.data.decode(errors="replace"))):
        for name, cells in lying:
            _add_lying(reading, name, cells)
        return reading.table.parts()
    _find_layout(reading, first, path)
    if reading.layout is not None and not _read_whole(reading, path):
        for block in _body(reading.layout, _pieces(path, faults, _BLOCK_BYTES)):
            if not _read_fast(reading, block):
                _read_rows(reading, block)
    return _parts(reading)


class Following:
    """A table that grows. Its layout is told by its head, so that far it is read anew at each look."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._faults = Faults(path)
        self._lines = NewLines(self._faults)
        self._reading = _Reading(Table(self._faults), self._faults)
        self._head = b""
        self._held = Block(b"", 1)

    def take(self, file: RawIOBase, size: int) -> None:
        """Read the whole rows written since the last time. Raises CannotFollow."""
        for block in self._lines.take(file, size):
            if self._reading.layout is not None:
                self._add(self._reading, Block(_bare(block.data), block.line))
                continue
            self._head += block.data
            if len(self._head) >= HEAD_CHARACTERS:
                self._begin(self._reading)
                self._head = b""
                if self._reading.layout is None:
                    raise CannotFollow

    def parts(self) -> list[RunParts]:
        """What `read` gives of the whole rows so far."""
        reading = self._reading
        if reading.layout is None:
            faults = Faults(self.path)
            reading = _Reading(Table(faults), faults)
            if lying := _lying(self._head.decode(errors="replace")):
                for name, cells in lying:
                    _add_lying(reading, name, cells)
                return reading.table.parts()
            self._begin(reading)
            self._held = Block(b"", 1)
        return _parts(reading)

    def _begin(self, reading: _Reading) -> None:
        first = Block(_bare(self._head), 1)
        _find_layout(reading, first, self.path)
        if reading.layout is not None:
            for block in _body(reading.layout, iter([first])):
                self._add(reading, block)

    def _add(self, reading: _Reading, block: Block) -> None:
        """Add rows; what ends inside of quotes waits for the rest of its cell."""
        if self._held.data:
            block = Block(self._held.data + block.data, self._held.line)
            self._held = Block(b"", 1)
        if b'"' in block.data and count(block.data, b'"') % 2 and len(block.data) < _LONGEST_CELL:
            self._held = block
        elif not _read_fast(reading, block):
            _read_rows(reading, block)


@dataclass(slots=True)
class _Reading:
    """How far the reading of a file has come. rows: the number of rows read so far."""

    table: Table
    faults: Faults
    layout: Layout | None = None
    rows: int = 0


def _parts(reading: _Reading) -> list[RunParts]:
    file = reading.faults.file
    made = reading.table.parts(tag=tag_from(file))
    if not reading.rows:
        made[0].problems.append(LogProblem(file, "", "empty", "no row of numbers was found"))
    return made


def _pieces(path: Path, faults: Faults, size: int, *, numbered: bool = True) -> Iterator[Block]:
    found = blocks(path, faults, size, numbered=numbered)
    return (Block(_bare(block.data), block.line) for block in found)


def _bare(data: bytes) -> bytes:
    """A table with `tensor(0.53, grad_fn=…)` written as 0.53, so that its commas part no cells."""
    if b"(" not in data or b"tensor(" not in data:  # one byte is found much faster
        return data
    return _TENSOR.sub(rb"\g<number>", data)


def _lying(text: str) -> list[tuple[str, list[str]]]:
    """The rows of a table that lies on its side (`writer.writerow(d_losses)`), each with its name or ""; else []."""
    lines = [line for line in text.split("\n", _FEW_ROWS + 1) if line.strip()]
    if not lines or len(lines) > _FEW_ROWS or lines[0].count(",") < _MANY_CELLS:
        return []
    rows = []
    for cells in (line.split(",") for line in lines):
        name = cells[0].strip().strip('"') if to_number(cells[0]) is None else ""
        cells = cells[1:] if name else cells
        if len(cells) < _MANY_CELLS or not all(is_missing(c) or to_number(c) is not None for c in cells):
            return []
        rows.append((name, cells))
    return rows


def _add_lying(reading: _Reading, name: str, cells: Sequence[str]) -> None:
    reading.rows += 1
    found = [to_number(cell) for cell in cells]
    known = np.array([value is not None for value in found])
    rows = np.flatnonzero(known)
    reading.table.numbers(name or f"row{reading.rows}", rows, np.array(found, np.float64)[known])


def _digits(text: str) -> float:
    """The share of digits in a text: tables of numbers are full of them, prose and code are not."""
    data = text.encode()
    return 1 - len(data.translate(None, b"0123456789")) / max(1, len(data))


def _find_layout(reading: _Reading, block: Block, path: Path) -> None:
    """Find the layout in the first block."""
    head = block.data[:HEAD_CHARACTERS].decode(errors="replace")
    layout = layout_of(
        head, whole=len(block.data) <= HEAD_CHARACTERS, named_csv=path.suffix.lower() in _SUFFIXES
    )
    if layout is None:
        return
    if layout.mismatch:
        reading.faults.add("", "header-mismatch", f"{layout.mismatch}; columns were told by position")
    if layout.names == ("column1",):
        layout = replace(layout, names=(path.stem,))
    reading.layout = layout


def _body(layout: Layout, pieces: Iterator[Block]) -> Iterator[Block]:
    """What is below the header, in blocks that end outside of quotes."""
    first = next(pieces, Block(b"", 1))
    line_ends = islice(re.finditer(rb"\r\n?|\n", first.data), layout.first)
    ends = [0, *(found.end() for found in line_ends)]
    begin = ends[-1] if len(ends) > layout.first else len(first.data)
    return _outside_quotes(chain([Block(first.data[begin:], first.line + layout.first)], pieces))


def _outside_quotes(pieces: Iterable[Block]) -> Iterator[Block]:
    """Blocks that end outside of quotes, so that a cell with line ends in it stays whole."""
    held = Block(b"", 1)
    for piece in pieces:
        block = Block(held.data + piece.data, held.line) if held.data else piece
        held = Block(b"", 1)
        if b'"' in block.data and count(block.data, b'"') % 2:
            cut = block.data.rfind(b"\n", 0, block.data.rfind(b'"')) + 1
            if len(block.data) - cut < _LONGEST_CELL:
                held = Block(block.data[cut:], block.line + count(block.data[:cut], b"\n"))
                block = Block(block.data[:cut], block.line)
        if block.data:
            yield block
    if held.data:
        yield held


def _read_whole(reading: _Reading, path: Path) -> bool:
    """Read the whole file by pandas' C parser; False, and nothing read, if that would lose something."""
    layout, faults = reading.layout, Faults(path)
    assert layout is not None
    columns = _parsed(layout, lambda: _body(layout, _pieces(path, faults, _PIECE_BYTES, numbered=False)))
    if columns is None or faults.problems():
        return False
    _add(reading, layout, columns)
    return True


def _read_fast(reading: _Reading, block: Block) -> bool:
    """Read a block by pandas' C parser; False, and nothing read, if that would lose something."""
    assert reading.layout is not None
    columns = _parsed(reading.layout, lambda: iter([block]))
    if columns is None:
        return False
    _add(reading, reading.layout, columns)
    return True


def _add(reading: _Reading, layout: Layout, columns: Sequence[_Cells]) -> None:
    rows = np.arange(reading.rows, reading.rows + len(columns[0][0]), dtype=np.int64)
    reading.rows += len(rows)
    for name, numeric, (cells, known) in zip(layout.names, layout.numeric, columns, strict=True):
        own, logged = (rows, cells) if known is None else (rows[known], cells[known])
        if numeric:
            reading.table.numbers(name, own, logged)
        elif holds_words(name):
            reading.table.words(name, own, map(str.strip, logged))


def _parsed(layout: Layout, body: Callable[[], Iterator[Block]]) -> list[_Cells] | None:
    """The columns of a table by pandas' C parser; None if it is not regular, or a cell is no number.

    body: gives what is below the header, as often as it is called.
    """
    feed = _Feed(body(), layout)
    frame = _frame(feed, layout, _MISSING + _NAN)
    if frame is None:
        return None
    columns = [frame[place] for place in range(len(layout.names))]
    empty = {place: mask for place, column in enumerate(columns) if np.any(mask := column.isna().to_numpy())}
    if feed.is_plain and layout.delimiter != " ":
        if feed.delimiters != (len(columns) - 1) * len(frame):
            return None
    elif len(columns) - 1 in empty:  # missing cells, or short rows?
        return None
    if feed.nans and all(layout.numeric) and feed.nans == sum(map(np.count_nonzero, empty.values())):
        empty = {}
    elif feed.nans:  # read again with nan written as inf: what is NaN then, was missing
        finite = _frame(_Feed(body(), layout, finite=True), layout, _MISSING)
        if finite is None or len(finite) != len(frame):  # the file has changed
            return None
        empty |= {place: finite[place].isna().to_numpy() for place in empty if layout.numeric[place]}
    return [
        (column.to_numpy(), np.flatnonzero(~empty[place]) if place in empty else None)
        for place, column in enumerate(columns)
    ]


class _Feed:
    """Blocks as the file that pandas reads, and what is seen of them in passing.

    delimiters, nans: how many there are; nan is counted in words, too. is_plain: there are no quotes.
    is_whole: False if quotes stand in odd places; it ends there.
    """

    def __init__(self, body: Iterator[Block], layout: Layout, *, finite: bool = False) -> None:
        self._body = body
        self._delimiter = layout.delimiter.encode()
        self._finite = finite
        self.delimiters = self.nans = 0
        self.is_plain = self.is_whole = True

    def __iter__(self) -> Iterator[Block]:  # what pandas tells a file by; it calls `read` alone
        return self._body

    def read(self, _size: int = -1) -> bytes:
        """The next block, b"" at the end."""
        data = next((block.data for block in self._body), b"")
        if b'"' in data:
            self.is_plain = False
            if not _quotes_cells(data):
                self.is_whole = False
                return b""
        self.delimiters += count(data, self._delimiter)
        if b"a" in data or b"A" in data:  # one byte is found much faster than a word
            for word in (word for word in _NAN_WORDS if word[:1] in data):
                self.nans += data.count(word)
                data = data.replace(word, b"inf") if self._finite else data
        return data


def _frame(feed: _Feed, layout: Layout, absent: Sequence[str]) -> pd.DataFrame | None:
    """A table as numbers and categories of words; NaN where one of `absent` stands. None if it is no such table."""
    import pandas as pd

    try:
        frame: pd.DataFrame = pd.read_csv(  # type: ignore[call-overload]
            feed,
            sep=r"\s+" if layout.delimiter == " " else layout.delimiter,
            header=None,
            names=range(len(layout.names)),
            decimal=layout.decimal,
            engine="c",
            dtype={
                place: np.float64 if numeric else "category" for place, numeric in enumerate(layout.numeric)
            },
            na_values=absent,
            keep_default_na=False,
        )
    except (ValueError, OverflowError):  # a cell that is no number, a row too long, nothing in it
        return None
    # Rows longer than the header make an index of their first cells.
    return frame if feed.is_whole and isinstance(frame.index, pd.RangeIndex) else None


def _quotes_cells(data: bytes) -> bool:
    """Whether quotes come in pairs and stand at the edges of cells only: pandas reads `"1"5` as 15."""
    cells = np.frombuffer(b"\n" + data + b"\n", np.uint8)
    quotes = np.flatnonzero(cells == ord('"'))
    edges = np.frombuffer(b",;\t\n\r ", np.uint8)
    at_edge = np.isin(cells[quotes - 1], edges) | np.isin(cells[quotes + 1], edges)
    return len(quotes) % 2 == 0 and bool(np.all(at_edge))


def _read_rows(reading: _Reading, block: Block) -> None:
    """Read a block row by row: comments, repeated headers, ragged rows, `tensor(…)` cells."""
    text = block.data.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    ended = text.endswith("\n")
    lines = text.split("\n")[: -1 if ended else None]
    found = _rows_of(reading, lines, block.line)
    kept: list[list[str]] = []
    places: list[int] = []
    for line, cells in found:
        layout = reading.layout
        assert layout is not None
        if _is_regular(layout, cells):
            pass
        elif header := _header_in(layout, cells):
            _flush(reading, kept, places)
            kept, places = [], []
            reading.table.starts.append(Start(reading.rows, "header"))
            reading.layout = header
            continue
        elif not _has_numbers(layout, cells):
            reading.faults.add(f"line {line}", "bad-line", f"no row of numbers: {' '.join(cells)[:60]!r}")
            continue
        width = len(layout.names)
        last = not ended and line == block.line + len(lines) - 1
        if last and len(cells) < width:
            reading.faults.add(f"line {line}", "truncated-tail", "the last row is cut off")
            cells = cells[:-1]
        elif len(cells) < width or any(map(str.strip, cells[width:])):
            reading.faults.add(f"line {line}", "ragged-row", f"{len(cells)} cells in place of {width}")
        kept.append(cells[:width])
        places.append(line)
    _flush(reading, kept, places)


def _rows_of(reading: _Reading, lines: list[str], first: int) -> list[tuple[int, list[str]]]:
    """Rows with the number of the line on which each ends. Blank lines and comments are left out."""
    layout = reading.layout
    assert layout is not None
    lines = ["" if line.lstrip().startswith("#") else line for line in lines]
    odd = [number for number, line in enumerate(lines) if line.count('"') % 2]
    across = [(first + end - 1, cells) for end, cells in layout.rows(lines)]
    if odd:  # a cell with a line end in it, or a quote that stands alone?
        alone = [
            (first + number, layout.torn(line) if line.count('"') % 2 else next(layout.rows([line]))[1])
            for number, line in enumerate(lines)
        ]
        width = len(layout.names)
        if sum(len(cells) == width for _, cells in alone) > sum(len(cells) == width for _, cells in across):
            across = alone
            for number in odd:
                reading.faults.add(f"line {first + number}", "stray-quote", "a quote that nothing closes")
    return [(line, cells) for line, cells in across if any(map(str.strip, cells))]


def _is_regular(layout: Layout, cells: Sequence[str]) -> bool:
    """Whether the first column of numbers holds one: nearly always so, and quick to see."""
    for numeric, cell in zip(layout.numeric, cells, strict=False):
        if numeric:
            return layout.number(cell) is not None
    return False


def _has_numbers(layout: Layout, cells: Sequence[str]) -> bool:
    numeric = [cell for is_one, cell in zip(layout.numeric, cells, strict=False) if is_one]
    return any(layout.number(cell) is not None for cell in numeric)


def _header_in(layout: Layout, cells: Sequence[str]) -> Layout | None:
    """The layout below a row, if the row is a header: writers repeat it when they start again."""
    names = named(cells)
    if names == layout.header:
        return layout
    if any(layout.number(cell) is not None for cell in names):
        return None
    shared = len(set(names) & set(layout.names) - {""})
    new = len(names) > 1 and all(names[1:]) and any(counts_steps(name) for name in names if name)
    if shared < min(2, len(layout.names)) and not new:
        return None
    words = {name for name, numeric in zip(layout.names, layout.numeric, strict=True) if not numeric}
    return replace(layout, names=names, numeric=tuple(name not in words for name in names), header=names)


def _flush(reading: _Reading, kept: Sequence[Sequence[str]], places: Sequence[int]) -> None:
    """Turn rows of cells into columns. places: the line of each row, for the problems."""
    layout = reading.layout
    assert layout is not None
    if not kept:
        return
    rows = np.arange(reading.rows, reading.rows + len(kept), dtype=np.int64)
    reading.rows += len(kept)
    columns = list(zip_longest(*kept, fillvalue=""))
    for name, numeric, cells in zip(layout.names, layout.numeric, columns, strict=False):
        if numeric:
            _add_numbers(reading, layout, name, rows, cells, places)
        elif holds_words(name):
            known = np.array([not is_missing(cell) for cell in cells])
            words = [cell.strip() for cell in cells if not is_missing(cell)]
            reading.table.words(name, rows[known], words)


def _add_numbers(
    reading: _Reading, layout: Layout, name: str, rows: Steps, cells: Sequence[str], places: Sequence[int]
) -> None:
    meaning = {cell: layout.number(cell) for cell in set(cells)}
    values = np.array([meaning[cell] for cell in cells], np.float64)  # None becomes NaN, and is not known
    known = np.array([meaning[cell] is not None for cell in cells])
    unread = {cell for cell, value in meaning.items() if value is None and not is_missing(cell)}
    for place in [place for place, cell in enumerate(cells) if cell in unread] if unread else []:
        message = f"{cells[place][:60]!r} in column {name!r} is no number"
        reading.faults.add(f"line {places[place]}", "bad-cell", message)
    reading.table.numbers(name, rows[known], values[known])
