"""Comparisons and seeds on a terminal: the verdict first, then why, what changed, and the tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gandoctor.reports import texts
from gandoctor.reports.contract import Scalar
from gandoctor.reports.loop import contract
from gandoctor.reports.loop.words import SYMBOLS, TONES, say
from gandoctor.reports.terminal import BADGES, _encoded, _print, _width, value
from gandoctor.reports.texts import at_step, clean, number

if TYPE_CHECKING:
    from pathlib import Path

Line = tuple[str, Text]

_MOST_RUNS = 20
_CHANGES = {"gone": "green", "milder": "green", "fewer": "green", "later": "green", "better": "green",
            "new": "red", "worse": "red", "more": "red", "earlier": "red"}  # fmt: skip


def print_comparisons(
    report: contract.CompareReport, console: Console, report_path: Path | None = None
) -> None:
    """Print every comparison, one after another."""
    for one in report.comparisons:
        print_comparison(one, console, report.language)
    if report_path is not None:
        _print(
            console, Text.assemble((say("report", report.language), "bold"), "  ", clean(str(report_path)))
        )


def print_comparison(one: contract.Comparison, console: Console, lang: str) -> None:
    """Print one comparison."""
    badge = f" {SYMBOLS[one.verdict]} {one.verdict_text} "
    head = Text.assemble((badge, BADGES[TONES[one.verdict]]), "  ", (clean(_versus(one, lang)), "bold"))
    head.append(f" · {say('compared-to', lang, at=at_step(one.steps, one.unit, lang))}")
    _print(console, head)
    _block(console, list(_told(one, lang)))
    console.print()
    if one.symptoms:
        console.print(_symptoms(one, lang, console), width=_width(console))
    else:
        _print(console, Text(say("no-symptoms", lang) + "\n"))
    if one.metrics:
        console.print(_metrics(one, lang, console), width=_width(console))


def _told(one: contract.Comparison, lang: str) -> Iterator[Line]:
    reasons = [said.text for said in one.reasons]
    if one.provisional:
        reasons.append(provisional(one, lang))
    for place, text in enumerate(reasons):
        yield say("why-label", lang) if place == 0 else "", Text(clean(text))
    following = list(next_steps(one, lang))
    for place, text in enumerate(following):
        yield say("next-label", lang) if place == 0 else "", Text(text)
    for place, text in enumerate(settings(thing, lang) for thing in one.changed):
        yield say("changed-label", lang) if place == 0 else "", Text(text)
    if one.restore:
        yield say("restore-label", lang), Text(restored(one, lang), "bold")
    for place, note in enumerate(one.notes):
        yield say("beware-label", lang) if place == 0 else "", Text(clean(note.text))
    if one.not_in_common:
        left = say("not-compared-text", lang, what=texts.join(list(one.not_in_common), lang))
        yield say("not-compared", lang), Text(clean(left))


def provisional(one: contract.Comparison, lang: str) -> str:
    """Why the verdict is not settled."""
    single = one.baseline_ill.known == one.candidate_ill.known == 1
    return say("one-seed", lang) if single or one.p is None else say("few-seeds", lang, p=number(one.p))


def next_steps(one: contract.Comparison, lang: str) -> Iterator[str]:
    """What would settle it."""
    if one.more_seeds:
        yield say("more-seeds", lang, count=one.more_seeds)
    if one.train_to_step is not None and not any(said.slug == "too-short" for said in one.reasons):
        yield say("train-to", lang, step=at_step(one.train_to_step, one.unit, lang))


def settings(thing: Sequence[contract.Setting], lang: str) -> str:
    """One thing that changed: `lr_G 0.03 → 0.003, lr_D 0.03 → 0.003`."""
    return ", ".join(f"{clean(s.name)} {_given(s.old, lang)} → {_given(s.new, lang)}" for s in thing)


def restored(one: contract.Comparison, lang: str) -> str:
    """What a revert sets back: `lr_G = 0.03, lr_D = 0.03`."""
    return ", ".join(f"{clean(s.name)} = {_given(s.old, lang)}" for s in one.restore)


def _given(one: Scalar, lang: str) -> str:
    return value(one, say("not-given", lang))


def _versus(one: contract.Comparison, lang: str) -> str:
    return say(
        "versus", lang, baseline=side_name(one.baseline, lang), candidate=side_name(one.candidate, lang)
    )


def side_name(runs: Sequence[contract.Run], lang: str) -> str:
    """The name of a side's run, or of the first of several."""
    first = runs[0].name
    return first if len(runs) == 1 else say("runs-named", lang, first=first, count=len(runs) - (lang != "zh"))


def _symptoms(one: contract.Comparison, lang: str, console: Console) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for key in ("symptom", "Baseline", "Candidate", "change-head"):
        table.add_column(say(key, lang), overflow="fold")
    for symptom in one.symptoms:
        cells = [
            Text(f"{symptom.code} {symptom.title}"),
            Text(side_cell(symptom.baseline, one.unit, lang)),
            Text(side_cell(symptom.candidate, one.unit, lang)),
            Text(change_cell(symptom, lang), _CHANGES.get(symptom.change, "")),
        ]
        table.add_row(*(_encoded(cell, console) for cell in cells))
    return table


def side_cell(one: contract.Tally, unit: str, lang: str) -> str:
    """`2 of 3, error, step 1,200`."""
    if not one.known:
        return say("does-not-tell", lang)
    said = [say("ill-of", lang, ill=one.ill, known=one.known)]
    if one.severity is not None and one.onset_steps:
        middle = one.onset_steps[len(one.onset_steps) // 2]
        said += [texts.all_texts().severities[one.severity].pick(lang), at_step(middle, unit, lang)]
    return texts.clauses(said, lang)


def change_cell(one: contract.Symptom, lang: str) -> str:
    """`gone`, with its p where there is one."""
    word = say(f"change-{one.change}", lang)
    return f"{word} (p = {number(one.p)})" if one.p is not None and one.change != "same" else word


def _metrics(one: contract.Comparison, lang: str, console: Console) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for key in ("metric-head", "Baseline", "Candidate", "change-head"):
        table.add_column(say(key, lang), overflow="fold")
    for metric in one.metrics:
        word = Text(say(f"metric-{metric.change}", lang), _CHANGES.get(metric.change, ""))
        cells = [
            Text(clean(metric.name)),
            Text(values(metric.baseline)),
            Text(values(metric.candidate)),
            word,
        ]
        table.add_row(*(_encoded(cell, console) for cell in cells))
    return table


def values(found: Sequence[float | None]) -> str:
    """Values of a side's runs."""
    return ", ".join(number(one) for one in found)


# --- seeds -----------------------------------------------------------------------------------------------


def print_sensitivity(report: contract.SensitivityReport, console: Console) -> None:
    """Print the seeds, counted."""
    lang = report.language
    badge = f" {say(f'origin-{report.verdict}', lang)} "
    count = say("seeds", lang, count=len(report.runs))
    head = Text.assemble((badge, BADGES[TONES[report.verdict]]), "  ", (count, "bold"))
    _print(console, head)
    lines: list[Line] = [(say("why-label", lang), Text(report.verdict_text))]
    if report.more_seeds:
        lines.append((say("next-label", lang), Text(say("seeds-more", lang, count=report.more_seeds))))
    for place, note in enumerate(report.notes):
        lines.append((say("beware-label", lang) if place == 0 else "", Text(clean(note.text))))
    if report.not_in_common:
        left = say("not-compared-text", lang, what=texts.join(list(report.not_in_common), lang))
        lines.append((say("not-compared", lang), Text(clean(left))))
    _block(console, lines)
    console.print()
    console.print(_shares(report, lang, console), width=_width(console))
    console.print(_runs(report, lang, console), width=_width(console))


def _shares(report: contract.SensitivityReport, lang: str, console: Console) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for key in ("symptom", "seed-share", "share-exact", "share-wilson", "onsets"):
        table.add_column(say(key, lang), overflow="fold")
    rows = [(say("any-symptom", lang), report.ill, ""), (say("any-error", lang), report.failing, "")]
    for one in report.symptoms:
        rows.append((f"{one.code} {one.title}", one.share, onsets(one.onset_steps)))
    for name, share, onset in rows:
        ill = say("ill-of", lang, ill=share.ill, known=share.known)
        cells = [name, ill, span(share.exact), span(share.wilson), onset]
        table.add_row(*(_encoded(Text(cell), console) for cell in cells))
    return table


def _runs(report: contract.SensitivityReport, lang: str, console: Console) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for key in ("run", "verdict", "primary", "steps"):
        table.add_column(say(key, lang), overflow="fold")
    for run in report.runs[:_MOST_RUNS]:
        verdict = f"{texts.SYMBOLS[run.verdict]} {texts.all_texts().verdicts[run.verdict].pick(lang)}"
        cells = [clean(run.name), verdict, run.primary or "–", f"{run.last_step:,}"]
        table.add_row(*(_encoded(Text(cell), console) for cell in cells))
    if len(report.runs) > _MOST_RUNS:
        table.add_row(say("and-more", lang, count=len(report.runs) - _MOST_RUNS))
    return table


def span(interval: tuple[float, float]) -> str:
    """`29%–100%`."""
    return f"{100 * interval[0]:.0f}%–{100 * interval[1]:.0f}%"


def onsets(steps: Sequence[int]) -> str:
    """`1,200`, or `900–1,500`."""
    if not steps:
        return "–"
    return f"{steps[0]:,}" if steps[0] == steps[-1] else f"{steps[0]:,}–{steps[-1]:,}"


# --- to the console --------------------------------------------------------------------------------------


def _block(console: Console, lines: Sequence[Line]) -> None:
    """Print lines after a blank one, with their labels in a column of their own."""
    if not lines:
        return
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="bold", min_width=max(Text(label).cell_len for label, _ in lines))
    grid.add_column(overflow="fold")
    for label, text in lines:
        grid.add_row(_encoded(Text(label), console), _encoded(text, console))
    console.print()
    console.print(grid, width=_width(console))
