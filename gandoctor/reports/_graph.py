"""The causal chain as a picture: boxes in columns, causes left of effects, with curves between them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from gandoctor.reports import contract

WIDTH, HEIGHT = 240, 100  # of a box
_GAP_X, _GAP_Y, _EDGE = 60, 20, 8
_LINE = 24  # half-width characters of a title in one line


@dataclass(frozen=True, slots=True)
class Box:
    """One finding: its place, and its title in at most three lines."""

    finding: contract.Finding
    x: int
    y: int
    title: tuple[str, ...]
    primary: bool


@dataclass(frozen=True, slots=True)
class Graph:
    """Boxes, and an SVG path for each edge."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    paths: tuple[str, ...]


def graph(run: contract.Run) -> Graph | None:
    """The picture of a run's causal chain; None where it has none."""
    if not run.chain:
        return None
    column = _columns(run.chain)
    by_id = {finding.id: finding for finding in run.findings}
    count = 1 + max(column.values())
    ids = [[f.id for f in _by_onset(run) if column.get(f.id) == place] for place in range(count)]
    tallest = max(len(names) for names in ids)
    height = tallest * (HEIGHT + _GAP_Y) - _GAP_Y + 2 * _EDGE
    boxes = {}
    for place, names in enumerate(ids):
        own = len(names) * (HEIGHT + _GAP_Y) - _GAP_Y
        for row, name in enumerate(names):
            x = _EDGE + place * (WIDTH + _GAP_X)
            y = (height - own) // 2 + row * (HEIGHT + _GAP_Y)
            primary = run.primary is not None and run.primary.id == name
            boxes[name] = Box(by_id[name], x, y, fold(by_id[name].title), primary)
    width = count * (WIDTH + _GAP_X) - _GAP_X + 2 * _EDGE
    paths = tuple(_path(boxes[cause], boxes[effect]) for cause, effect in run.chain)
    return Graph(width, height, tuple(boxes.values()), paths)


def _by_onset(run: contract.Run) -> list[contract.Finding]:
    return sorted(run.findings, key=lambda finding: (finding.onset_step, finding.id))


def _columns(chain: Sequence[tuple[str, str]]) -> dict[str, int]:
    """How many causal steps each finding lies behind the first cause; the longest way counts."""
    column = {one: 0 for edge in chain for one in edge}
    for _ in column:  # the chain has no cycles, so as many rounds settle it
        for cause, effect in chain:
            column[effect] = max(column[effect], column[cause] + 1)
    return column


def _path(cause: Box, effect: Box) -> str:
    x1, y1 = cause.x + WIDTH, cause.y + HEIGHT // 2
    x2, y2 = effect.x - 7, effect.y + HEIGHT // 2  # short of the box: the arrow's head
    bend = (x2 - x1) // 2
    return f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"


def fold(text: str, width: int = _LINE) -> tuple[str, ...]:
    """A title in at most three lines of `width` half-width characters; what is left over becomes "…".

    >>> fold("The discriminator overpowers the generator")
    ('The discriminator', 'overpowers the generator')
    """
    lines = [""]
    for piece in _pieces(text):
        if _width(lines[-1] + piece.rstrip()) > width and lines[-1]:
            lines.append("")
        lines[-1] += piece
    if len(lines) > 3:
        lines = [*lines[:2], lines[2].rstrip() + "…"]
    return tuple(line.rstrip() for line in lines)


def _pieces(text: str) -> list[str]:
    """Where a line may end: after a blank, and after every wide character."""
    pieces, at = [], ""
    for letter in text:
        at += letter
        if letter == " " or unicodedata.east_asian_width(letter) in "WF":
            pieces.append(at)
            at = ""
    return [*pieces, at] if at else pieces


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
