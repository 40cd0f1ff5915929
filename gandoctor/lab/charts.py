"""The three pictures of a detection study, as SVG: who is right, what is found, and whether confidences hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape

import numpy as np

from gandoctor.lab import calibrate
from gandoctor.lab.calibrate import judged, right
from gandoctor.lab.promise import clean
from gandoctor.lab.report import NAMES, PEER_STYLE, alarmed, found, named_by_peers, shown
from gandoctor.lab.statistics import bins_of
from gandoctor.lab.table import Row
from gandoctor.stats import wilson

FEWEST = 30  # runs in which a code is true
WIDTH, LEFT, RIGHT, TOP, ROW, BOTTOM = 760, 250, 40, 46, 26, 44
OURS, THEIRS, INK, GRID = "#2166ac", "#b35806", "#333", "#ddd"  # told apart without red against green
TONES = ("#b35806", "#2166ac", "#5e3c99", "#1b7837", "#666666")
_SIDE = 420


def charts(rows: Sequence[Row], part: str = "test") -> dict[str, str]:
    """Name of a file → SVG, from the rows of a study's table, as `read_table` gives them."""
    usable = [row for row in rows if row["style"] and not row["error"]]
    mine = [row for row in usable if row["part"] == part]
    return {
        "right.svg": _right(mine),
        "found.svg": _found(mine),
        "confidence.svg": _confidence(mine, [row for row in usable if row["part"] == "fit"]),
    }


def _right(rows: Sequence[Row]) -> str:
    """Share of right primaries and of false alarms, by what is logged, beside the peers' rules."""
    lines: list[tuple[str, int, int, str]] = []
    for style in NAMES:
        mine = [row for row in rows if row["style"] == style]
        ill, well = [row for row in mine if shown(row)], [row for row in mine if clean(row)]
        lines.append((f"{style}: primary right", sum(map(right, ill)), len(ill), OURS))
        lines.append((f"{style}: false alarms", sum(map(alarmed, well)), len(well), OURS))
        if style in (NAMES[0], PEER_STYLE):
            named = sum(named_by_peers(row) in row["acceptable"].split() for row in ill)
            lines.append((f"peers' rules, {style}: primary right", named, len(ill), THEIRS))
            lines.append(
                (
                    f"peers' rules, {style}: false alarms",
                    sum(bool(row["peers"]) for row in well),
                    len(well),
                    THEIRS,
                )
            )
    return _dots("Primary right on ill runs, false alarms on healthy ones (95% intervals)", lines)


def _found(rows: Sequence[Row]) -> str:
    """Recall by code, where outputs and norms are logged, and where everything is."""
    lines: list[tuple[str, int, int, str]] = []
    for code in sorted({code for row in rows for code in row["true"].split()}):
        for style, tone in ((PEER_STYLE, OURS), (NAMES[-1], THEIRS)):
            true = [
                row for row in rows
                if row["style"] == style and code in row["true"].split() and code in row["examined"].split()
            ]  # fmt: skip
            if len(true) >= FEWEST:
                lines.append((f"{code}, {style}", sum(code in found(row) for row in true), len(true), tone))
    return _dots(f"Codes found where they are true, of {FEWEST} runs and more (95% intervals)", lines)


def _dots(title: str, lines: Iterable[tuple[str, int, int, str]]) -> str:
    """A row for each (name, hits, runs, colour): a dot with its Wilson interval on an axis from 0 to 1."""
    kept = [line for line in lines if line[2]]
    height = TOP + ROW * max(len(kept), 1) + BOTTOM

    def x(share: float) -> float:
        return LEFT + share * (WIDTH - LEFT - RIGHT - 60)

    def body() -> Iterator[str]:
        for share in (0, 0.25, 0.5, 0.75, 1):
            yield _line(x(share), TOP - 8, x(share), height - BOTTOM, GRID)
            yield _text(x(share), height - BOTTOM + 18, f"{share:.0%}", "middle")
        for row, (name, hits, runs, tone) in enumerate(kept):
            at = TOP + ROW * row + ROW / 2 - 4
            low, high = wilson(hits, runs)
            yield _text(LEFT - 12, at + 4, name, "end")
            yield _line(x(low), at, x(high), at, tone, 3)
            yield f'<circle cx="{x(hits / runs):.1f}" cy="{at:.1f}" r="5" fill="{tone}"/>'
            yield _text(WIDTH - RIGHT + 28, at + 4, f"{hits}/{runs}", "end")

    return _svg(title, WIDTH, height, body())


def _confidence(rows: Sequence[Row], fit: Sequence[Row]) -> str:
    """The reliability of the fitted confidences, in five bins of each logging style."""
    lab: Mapping[str, object] | None = calibrate.fit(fit) if len(judged(fit)) >= calibrate.FEWEST else None
    size = _SIDE + TOP + BOTTOM

    def place(confidence: float, share: float) -> tuple[float, float]:
        return 64 + confidence * (_SIDE - 40), TOP + (1 - share) * (_SIDE - 40)

    def body() -> Iterator[str]:
        for share in (0, 0.25, 0.5, 0.75, 1):
            (left, at), (right_end, _) = place(0, share), place(1, share)
            yield _line(left, at, right_end, at, GRID)
            yield _text(left - 8, at + 4, f"{share:.0%}", "end")
            below, _ = place(share, 0)
            yield _text(below, place(0, 0)[1] + 18, f"{share:.0%}", "middle")
        yield _line(*place(0, 0), *place(1, 1), "#999", 1, "4 4")
        yield _text(place(0.5, 0)[0], place(0, 0)[1] + 38, "confidence given", "middle")
        for tone, style in zip(TONES, NAMES, strict=True):
            mine = judged([row for row in rows if row["style"] == style])
            if lab is None or len(mine) < 10:
                continue
            given = np.array([calibrate.predicted(lab, row) for row in mine])
            truth = np.array([right(row) for row in mine], float)
            points = [(float(given[one].mean()), float(truth[one].mean())) for one in bins_of(given)]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
            yield f'<polyline points="{path}" fill="none" stroke="{tone}" stroke-width="1.5"/>'
            yield from (
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{tone}"/>'
                for x, y in (place(*one) for one in points)
            )
            row = list(NAMES).index(style)
            yield f'<circle cx="{_SIDE + 70}" cy="{TOP + 20 * row:.1f}" r="5" fill="{tone}"/>'
            yield _text(_SIDE + 82, TOP + 20 * row + 4, f"{style}, {len(mine)} primaries", "start")

    return _svg("How often the primary is right, by the confidence given", WIDTH, size, body())


def _svg(title: str, width: float, height: float, body: Iterable[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img"'
        f' font-family="system-ui, sans-serif" font-size="13"><title>{escape(title)}</title>'
        f'<rect width="100%" height="100%" fill="#fff"/>{_text(16, 22, title, "start", 600)}{"".join(body)}</svg>\n'
    )


def _text(x: float, y: float, text: str, anchor: str, weight: int = 400) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" fill="{INK}">'
        f"{escape(text)}</text>"
    )


def _line(x1: float, y1: float, x2: float, y2: float, tone: str, width: float = 1, dash: str = "") -> str:
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{tone}" stroke-width="{width}"{dashes} fill="none"/>'
