"""CSV and TSV: a table of numbers, as loggers, spreadsheets and people write it.

    epoch,d_loss,g_loss          Epoch;Loss D;Loss G        ,losses_g,losses_d
    0,1.386,0.693                0;1,386;0,693              0,"tensor(10.5290, grad_fn=<…>)",0.0009

An empty cell and NA mean "not logged here"; nan means that NaN was logged. Pandas' C parser reads
what is regular; a block of the file that it cannot read without loss is read row by row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import reduce
from io import BytesIO
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from gandoctor.readers.blocks import Block, blocks, count
from gandoctor.readers.columns import counts_steps
from gandoctor.readers.csv_layout import HEAD_CHARACTERS, Layout, is_missing, layout_of, named
from gandoctor.readers.faults import Faults
from gandoctor.readers.head import Head
from gandoctor.readers.numbers import NUMBER, to_number
from gandoctor.readers.tables import Table, holds_words, tag_from
from gandoctor.run import RunParts, Start, Steps

if TYPE_CHECKING:
    import pandas as pd

Mask: TypeAlias = npt.NDArray[np.bool_]

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
_BLOCK_BYTES = 1 << 23
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
    pieces = (Block(_bare(block.data), block.line) for block in blocks(path, faults, _BLOCK_BYTES))
    first = next(pieces, Block(b"", 1))
    small = path.stat().st_size <= _BLOCK_BYTES
    if small and (lying := _lying(first.data.decode(errors="replace"))):
        for name, cells in lying:
            _add_lying(reading, name, cells)
        return reading.table.parts()
    begin = _begin(reading, first, path)
    if reading.layout is not None:
        for block in _outside_quotes(chain([begin], pieces)):
            if not _read_fast(reading, block):
                _read_rows(reading, block)
    if not reading.rows:
        faults.add("", "empty", "no row of numbers was found")
    return reading.table.parts(tag=tag_from(path))


class Care(IntEnum):
    """What the fast way must look for in a block: nothing, missing cells, or those and logged NaN."""

    NONE = 0
    MISSING = 1
    NAN = 2


@dataclass(slots=True)
class _Reading:
    """How far the reading of a file has come. rows: the number of rows read so far."""

    table: Table
    faults: Faults
    layout: Layout | None = None
    rows: int = 0
    care: Care = Care.NONE


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


def _begin(reading: _Reading, block: Block, path: Path) -> Block:
    """Find the layout in the first block, and give what is below the header."""
    head = block.data[:HEAD_CHARACTERS].decode(errors="replace")
    layout = layout_of(
        head, whole=len(block.data) <= HEAD_CHARACTERS, named_csv=path.suffix.lower() in _SUFFIXES
    )
    if layout is None:
        return block
    if layout.mismatch:
        reading.faults.add("", "header-mismatch", f"{layout.mismatch}; columns were told by position")
    if layout.names == ("column1",):
        layout = replace(layout, names=(path.stem,))
    reading.layout = layout
    line_ends = islice(re.finditer(rb"\r\n?|\n", block.data), layout.first)
    ends = [0, *(found.end() for found in line_ends)]
    begin = ends[-1] if len(ends) > layout.first else len(block.data)
    return Block(block.data[begin:], block.line + layout.first)


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


def _read_fast(reading: _Reading, block: Block) -> bool:
    """Read a block by pandas' C parser; False, and nothing read, if that would lose something."""
    layout = reading.layout
    assert layout is not None
    if b'"' in block.data and not _quotes_cells(block.data):
        return False
    frame = _parsed(reading, layout, block.data)
    if frame is None:
        return False
    columns = [frame[place] for place in range(len(layout.names))]
    missing: dict[int, Mask] = {}
    if reading.care is not Care.NONE:
        if columns[-1].isna().any() and not _even(block.data, layout, len(frame)):
            return False
        missing = _missing(block.data, layout, reading.care, frame)
    rows = np.arange(reading.rows, reading.rows + len(frame), dtype=np.int64)
    reading.rows += len(frame)
    for place, name in enumerate(layout.names):
        known = ~missing[place] if place in missing else slice(None)
        cells = columns[place].to_numpy()[known]
        if layout.numeric[place]:
            reading.table.numbers(name, rows[known] if place in missing else rows, cells)
        elif holds_words(name):
            known = columns[place].notna().to_numpy()
            reading.table.words(name, rows[known], map(str.strip, cells[known]))
    return True


def _quotes_cells(data: bytes) -> bool:
    """Whether quotes come in pairs and stand at the edges of cells only: pandas reads `"1"5` as 15."""
    cells = np.frombuffer(b"\n" + data + b"\n", np.uint8)
    quotes = np.flatnonzero(cells == ord('"'))
    edges = np.frombuffer(b",;\t\n\r ", np.uint8)
    at_edge = np.isin(cells[quotes - 1], edges) | np.isin(cells[quotes + 1], edges)
    return len(quotes) % 2 == 0 and bool(np.all(at_edge))


def _parsed(reading: _Reading, layout: Layout, data: bytes) -> pd.DataFrame | None:
    """The block as a frame: numbers as float64, words as categories. None if a cell is neither.

    Begins with the care that the last block needed.
    """
    import pandas as pd

    types = _types(layout)
    least = reading.care if all(layout.numeric) else max(reading.care, Care.MISSING)
    for care in list(Care)[least:]:
        absent = {Care.NONE: [], Care.MISSING: _MISSING, Care.NAN: _MISSING + _NAN}[care]
        try:
            frame = _frame(
                data, layout, dtype=types, na_values=absent, keep_default_na=False, na_filter=bool(absent)
            )
        except (ValueError, OverflowError):  # a cell that is no number, a row too long, nothing in it
            continue
        # Rows longer than the header make an index of their first cells.
        if not isinstance(frame.index, pd.RangeIndex):
            return None
        reading.care = care
        return frame
    return None


def _frame(data: bytes, layout: Layout, **options: object) -> pd.DataFrame:
    import pandas as pd

    frame: pd.DataFrame = pd.read_csv(  # type: ignore[call-overload]
        BytesIO(data),
        sep=r"\s+" if layout.delimiter == " " else layout.delimiter,
        header=None,
        names=range(len(layout.names)),
        decimal=layout.decimal,
        engine="c",
        low_memory=False,  # the block is small
        **options,
    )
    return frame


def _missing(data: bytes, layout: Layout, care: Care, frame: pd.DataFrame) -> dict[int, Mask]:
    """In which cells of the columns of numbers nothing was logged, by column; none: left out."""
    if care is Care.NAN:  # read again with nan written as inf: what is NaN then, was missing
        finite = reduce(lambda data, nan: data.replace(nan, b"inf"), (b"nan", b"NaN", b"NAN"), data)
        frame = _frame(finite, layout, dtype=_types(layout), na_values=_MISSING, keep_default_na=False)
    columns = {place: frame[place] for place, numeric in enumerate(layout.numeric) if numeric}
    return {place: column.isna().to_numpy() for place, column in columns.items() if column.hasnans}


def _types(layout: Layout) -> dict[int, object]:
    return {place: np.float64 if numeric else "category" for place, numeric in enumerate(layout.numeric)}


def _even(data: bytes, layout: Layout, rows: int) -> bool:
    """Whether no row is short, told by the number of delimiters. Short rows look like missing cells."""
    if layout.delimiter == " " or b'"' in data:
        return False
    return count(data, layout.delimiter.encode()) == (len(layout.names) - 1) * rows


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
