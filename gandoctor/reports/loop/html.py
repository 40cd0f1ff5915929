"""A comparison as one page: the verdict, the tables, and the runs of both sides drawn over each other.

It is made of the parts of the report of a run (`reports/html.py`): the same style, the same plots.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from gandoctor.errors import UserError
from gandoctor.interpret.view import WARM_UP
from gandoctor.judge.rules import load_rules
from gandoctor.reports import html as page
from gandoctor.reports import rows as run_rows
from gandoctor.reports.loop import contract, rows, terminal
from gandoctor.reports.loop.pictures import last_samples
from gandoctor.reports.loop.words import SYMBOLS, TONES, say

if TYPE_CHECKING:
    from gandoctor.loop.compare import Comparison
    from gandoctor.loop.sides import Member
    from gandoctor.reports._figures import Figure, Line

_SEEDS = 3  # of a side that are drawn
_FOCUS_FROM = 3  # times that all values are wider than those after the warm-up
_MARKS = 12  # findings of a run that are marked


def write_pages(
    comparisons: Sequence[Comparison], path: Path, lang: str = "en", rules: rows.Rules | None = None
) -> list[Path]:
    """Write a page a comparison: `path`, then `path` with -2, -3, … before its suffix. Raises UserError."""
    report = rows.compare_report(comparisons, lang, rules)
    written = []
    for place, one in enumerate(comparisons):
        own = path if place == 0 else path.with_name(f"{path.stem}-{place + 1}{path.suffix}")
        text = compare_page(
            one, msgspec.structs.replace(report, comparisons=(report.comparisons[place],)), rules
        )
        try:
            own.parent.mkdir(parents=True, exist_ok=True)
            own.write_text(text, encoding="utf-8", newline="\n")
        except OSError as fault:
            raise UserError(
                f"the page cannot be written: {fault.strerror or fault}", where=str(own)
            ) from fault
        written.append(own)
    return written


def compare_page(one: Comparison, report: contract.CompareReport, rules: rows.Rules | None = None) -> str:
    """The page of the one comparison that a report holds."""
    lang = report.language
    shown = msgspec.convert(page._cleaned(msgspec.to_builtins(report.comparisons[0])), contract.Comparison)
    drawn = overlaid(one, lang)
    lanes = _lanes(one, lang, load_rules() if rules is None else rules)
    data = {
        "figures": [page._figure_data(figure) for figure in drawn],
        "findings": [lane["mark"] for lane in lanes],
        "span": (min(_firsts(one), default=0), one.steps),
        "selected": None,
        "words": {key: say(key, lang) for key in page._SCRIPT_WORDS},
        "axis": say(f"axis-{one.unit}", lang),
    }
    pictures = [
        (say(side, lang), last_samples(members[0].diagnosis, lang=lang))
        for side, members in (("Baseline", one.baseline), ("Candidate", one.candidate))
    ]
    return page._page(
        "compare.html",
        report,  # type: ignore[arg-type]  # base.html asks for the versions only, which it has
        one=shown,
        w=lambda key, **fields: say(key, lang, **fields),
        tone=TONES[shown.verdict],
        symbol=SYMBOLS[shown.verdict],
        cells=terminal,
        name=lambda runs: terminal.side_name(runs, lang),
        next_steps=list(terminal.next_steps(shown, lang)),
        lanes=lanes,
        figures=page._cleaned(page._figure_rows(drawn, one.unit, lang)),
        pictures=[(side, picture) for side, picture in pictures if picture is not None],
        data=page._json(data),
        plotly=page._embedded(),
    )


def overlaid(one: Comparison, lang: str) -> list[Figure]:
    """The figures of both sides, those of one kind in one: the baseline dashed, the candidate solid.

    Steps are the baseline's: a candidate that counts images or epochs of other batches is scaled to them.
    """
    from gandoctor.reports._figures import Figure, figures

    several = max(len(one.baseline), len(one.candidate)) > 1
    found: dict[str, Figure] = {}
    for side, members in (("Baseline", one.baseline), ("Candidate", one.candidate)):
        for member in members[:_SEEDS]:
            for figure in figures(member.diagnosis, lang):
                if not isinstance(figure, Figure):  # two heat maps cannot lie over each other
                    continue
                # With several seeds there is no room for what is not drawn at first.
                lines = [line for line in figure.lines if not (several and line.hidden)]
                mine = replace(
                    figure, lines=tuple(_line(line, side, member, several, lang) for line in lines)
                )
                known = found.get(figure.id)
                found[figure.id] = mine if known is None else _joined(known, mine)
    return [_focused(figure, one.steps) for figure in found.values()]


def _focused(figure: Figure, last: int) -> Figure:
    """The figure with the values after the warm-up shown first, where the start is far off them."""
    lines = [(line.steps, line.values) for line in figure.lines]
    late = [values[(steps >= WARM_UP * last) & np.isfinite(values)] for steps, values in lines]
    every = [values[np.isfinite(values)] for _, values in lines]
    if figure.focus is not None or figure.log or not sum(map(len, late)):
        return figure
    inner, whole = np.concatenate(late), np.concatenate(every)
    low, high = float(inner.min()), float(inner.max())
    pad = 0.1 * (high - low)
    wide = float(whole.max() - whole.min()) > _FOCUS_FROM * (high - low) > 0
    return replace(figure, focus=(low - pad, high + pad)) if wide else figure


def _line(line: Line, side: str, member: Member, several: bool, lang: str) -> Line:
    name = f"{say(side, lang)} {member.diagnosis.run.name}" if several else say(side, lang)
    trend = line.trend
    if member.rate != 1:
        line = replace(line, steps=_scaled(line.steps, member.rate), broken=_scaled(line.broken, member.rate))
        trend = None if trend is None else replace(trend, steps=_scaled(trend.steps, member.rate))
    return replace(
        line, name=f"{name}: {line.name}", dash="dash" if side == "Baseline" else "solid", trend=trend
    )


def _scaled(steps: Any, rate: float) -> Any:
    return (steps / rate).round().astype(steps.dtype)


def _joined(one: Figure, other: Figure) -> Figure:
    """One figure of two. Its levels are the baseline's; a focus holds both."""
    both = (one.focus, other.focus)
    focus = None
    if one.focus is not None and other.focus is not None:
        focus = (min(one.focus[0], other.focus[0]), max(one.focus[1], other.focus[1]))
    return replace(
        one,
        lines=(*one.lines, *other.lines),
        levels=one.levels or other.levels,
        log=one.log or other.log,
        focus=focus if None not in both else None,
        left_out=one.left_out + other.left_out,
    )


def _firsts(one: Comparison) -> list[int]:
    return [view.span[0] for member in (*one.baseline, *one.candidate) for view in member.diagnosis.views]


def _lanes(one: Comparison, lang: str, rules: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A bar a finding, of the first run of each side; where it lies, and its mark in the plots."""
    first = min(_firsts(one), default=0)
    length = max(one.steps - first, 1)
    made = []
    for side, members in (("Baseline", one.baseline), ("Candidate", one.candidate)):
        member = members[0]
        told = run_rows.run_rows(member.diagnosis, lang, rules)
        shown = [
            finding for finding in told.findings if finding.severity != "info" and finding.code != "GD901"
        ]
        for finding in sorted(shown, key=lambda f: f.onset_step)[:_MARKS]:
            mark = page._mark(finding)
            end = one.steps if finding.end_step is None else round(finding.end_step / member.rate)
            onset = round(finding.onset_step / member.rate)
            mark |= {
                "id": f"{side}-{finding.id}",
                "onset": onset,
                "interval": [round(step / member.rate) for step in finding.onset_interval],
                "end": None if finding.end_step is None else end,
            }
            made.append(
                {
                    "mark": mark,
                    "side": say(side, lang),
                    "title": finding.title,
                    "onset": finding.onset_step,
                    "left": 100 * (onset - first) / length,
                    "width": 100 * (end - onset) / length,
                }
            )
    return page._cleaned(made)  # type: ignore[no-any-return]
