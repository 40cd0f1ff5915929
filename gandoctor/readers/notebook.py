"""Jupyter notebooks: what the cells printed, line by line as a text log.

    {"cells": [{"cell_type": "code", "outputs": [{"output_type": "stream", "name": "stdout",
                "text": ["[vanilla] Epoch [1/300] | D loss: 1.3644 | G loss: 0.7006", …]}]}], "nbformat": 4}

A cell that printed a quantity at two steps or more (or five times, without steps) is a run, unless
it goes on where the cell before it stopped. Several runs are told apart by their prefix in brackets,
or by the number of their cell, counted from 1. Pictures and tracebacks are not read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from gandoctor.readers.head import Head
from gandoctor.readers.text import TextLog
from gandoctor.run import LogProblem, RunParts, Series, Unit

KIND = "log"
ORDER = 20

_OUTPUTS = re.compile(r'(?<!\\)"outputs"\s*:\s*(?=\[)')
_MOST_BYTES = 1 << 30
_FEWEST_RECORDS = 5


def sniff(head: Head) -> bool:
    """Whether a file called .ipynb begins like JSON."""
    return head.path.suffix.lower() == ".ipynb" and (head.text or "").lstrip().startswith("{")


def read(path: Path) -> list[RunParts]:
    """Read the runs that a notebook's outputs show; of a damaged notebook, the outputs that are whole."""
    problems: list[LogProblem] = []
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        data = data[:_MOST_BYTES]
        problems.append(LogProblem(path, f"byte {_MOST_BYTES}", "too-long", "the rest was not read"))
    runs: list[tuple[int, RunParts]] = []
    row = 1
    settings = {}
    for number, outputs in enumerate(_cells(data, path, problems), start=1):
        text = _printed(outputs)
        if not text:
            continue
        found: list[LogProblem] = []
        log = TextLog(path, found, place=f"cell {number}, ", first_row=row)
        log.add_text(text)
        row = log.next_row
        for parts in log.parts():
            settings.update(parts.settings)
            if any(map(_is_training, parts.series)):
                parts.label = parts.label or log.sole_label
                runs.append((number, parts))
        problems += found
    merged = _continued(runs)
    several = len(merged) > 1
    used: set[str] = set()
    for number, parts in merged:
        parts.label = _label(parts.label, number, used) if several else ""
        parts.settings = dict(settings)
        parts.problems = []
    done = [parts for _, parts in merged] or [RunParts(settings=settings)]
    done[0].problems = problems
    return done


def _cells(data: bytes, path: Path, problems: list[LogProblem]) -> Iterator[list[object]]:
    """The outputs of every cell, in the notebook's order."""
    text = data.decode("utf-8-sig", errors="replace")
    try:
        book = json.loads(text)
    except (ValueError, RecursionError) as fault:
        place = f"line {fault.lineno}" if isinstance(fault, json.JSONDecodeError) else ""
        message = f"no valid JSON ({fault}): only whole outputs were read"
        problems.append(LogProblem(path, place, "bad-json", message))
        yield from _whole_outputs(text)
        return
    cells = book.get("cells") if isinstance(book, dict) else None
    if cells is None and isinstance(book, dict):  # format 3
        sheets = _list(book.get("worksheets"))
        cells = [cell for sheet in sheets if isinstance(sheet, dict) for cell in _list(sheet.get("cells"))]
    for cell in _list(cells):
        yield _list(cell.get("outputs")) if isinstance(cell, dict) else []


def _whole_outputs(text: str) -> Iterator[list[object]]:
    """The lists of outputs that can be read in damaged JSON."""
    decoder = json.JSONDecoder()
    position = 0
    while (found := _OUTPUTS.search(text, position)) is not None:
        position = found.end()
        try:
            outputs, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            continue
        yield _list(outputs)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _printed(outputs: list[object]) -> str:
    """What a cell printed. Two streams that take turns are kept on lines of their own."""
    pieces: list[str] = []
    before = None
    for output in outputs:
        if not isinstance(output, dict):
            continue
        data = output.get("data")
        text = _joined(output.get("text", data.get("text/plain") if isinstance(data, dict) else None))
        stream = output.get("name", output.get("stream"))
        if text and pieces and stream != before and not pieces[-1].endswith(("\n", "\r")):
            pieces.append("\n")
        if text:
            pieces.append(text)
            before = stream
    return "".join(pieces)


def _joined(text: object) -> str:
    if isinstance(text, str):
        return text
    return "".join(piece for piece in _list(text) if isinstance(piece, str))


def _is_training(one: Series) -> bool:
    """Whether a series is one of training, and not a few numbers printed at the end."""
    return len(one) >= (_FEWEST_RECORDS if one.unit is Unit.RECORD else 2) and one.steps[0] != one.steps[-1]


def _continued(runs: list[tuple[int, RunParts]]) -> list[tuple[int, RunParts]]:
    """Join a cell to the one before where it has the same quantities and its steps go on from there."""
    joined: list[tuple[int, RunParts]] = []
    for number, parts in runs:
        if joined and _goes_on(joined[-1][1], parts):
            old = joined[-1][1]
            old.series = [_one_after_other(a, b) for a, b in zip(old.series, parts.series, strict=True)]
            old.starts += parts.starts
        else:
            joined.append((number, parts))
    return joined


def _goes_on(old: RunParts, new: RunParts) -> bool:
    if old.label != new.label or [one.tag for one in old.series] != [one.tag for one in new.series]:
        return False
    return all(
        a.unit == b.unit != Unit.RECORD and b.steps.min() > a.steps.max()
        for a, b in zip(old.series, new.series, strict=True)
    )


def _one_after_other(a: Series, b: Series) -> Series:
    walls = None
    if a.wall_time is not None and b.wall_time is not None:
        walls = np.concatenate([a.wall_time, b.wall_time])
    return replace(
        a,
        steps=np.concatenate([a.steps, b.steps]),
        values=np.concatenate([a.values, b.values]),
        order=np.concatenate([a.order, b.order]),
        wall_time=walls,
    )


def _label(prefix: str, number: int, used: set[str]) -> str:
    label = prefix or f"cell {number}"
    if label in used:
        label = f"{label} (cell {number})"
    used.add(label)
    return label
