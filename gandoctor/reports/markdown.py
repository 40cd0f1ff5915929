"""Markdown for issues, pull requests and job summaries: a table of the runs, then each ill run in short."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from gandoctor.judge.diagnosis import Diagnosis
    from gandoctor.judge.rules import Rule
    from gandoctor.reports import contract

FORMAT = "markdown"
SUFFIXES = (".md", ".markdown")

_MOST = 50  # ill runs that are told in full
_RANK = {"failing": 0, "warning": 1, "unknown": 2, "healthy": 3}


def write(
    diagnoses: Sequence[Diagnosis],
    out: TextIO,
    *,
    lang: str = "en",
    rules: Mapping[str, Rule] | None = None,
) -> None:
    """Write the worst runs first. Nothing from a log is taken for markup."""
    from gandoctor.reports import rows
    from gandoctor.reports.texts import say

    runs = sorted(rows.report(diagnoses, lang, rules).runs, key=lambda run: _RANK[run.verdict])
    lines = list(_table(runs, lang)) if len(runs) > 1 else [] if runs else [say("no-runs", lang)]
    ill = [run for run in runs if run.verdict in ("failing", "warning")]
    for run in (ill if len(runs) > 1 else runs)[:_MOST]:
        lines += ["", *_run(run, lang)] if lines else list(_run(run, lang))
    if len(ill) > _MOST:
        lines += ["", say("and-more", lang, count=len(ill) - _MOST)]
    out.write("\n".join(lines) + "\n")


def _table(runs: Sequence[contract.Run], lang: str) -> Iterator[str]:
    from gandoctor.reports.texts import SYMBOLS, all_texts, at_step, say

    heads = [say(key, lang) for key in ("verdict", "run", "primary", "onset", "family")]
    yield f"| {' | '.join(heads)} |"
    yield "|" + " --- |" * len(heads)
    for run in runs:
        one = run.primary
        cells = [
            f"{SYMBOLS[run.verdict]} {all_texts().verdicts[run.verdict].pick(lang)}",
            escaped(run.name),
            f"{one.code} {one.slug}" if one else "–",
            at_step(one.onset_step, run.unit, lang) if one else "–",
            run.loss_family.name,
        ]
        yield f"| {' | '.join(cells)} |"


def _run(run: contract.Run, lang: str) -> Iterator[str]:
    from gandoctor.reports import texts
    from gandoctor.reports.terminal import changes, onset_line, snapshot_line
    from gandoctor.reports.texts import say

    verdict = texts.all_texts().verdicts[run.verdict].pick(lang)
    yield f"### {texts.SYMBOLS[run.verdict]} {escaped(run.name)} – {verdict}"
    yield ""
    if run.primary is None:
        yield escaped(texts.verdict_line(run.verdict, run.examined, lang))
    else:
        yield f"**{run.primary.code} {escaped(run.primary.title)}**"
        yield ""
        yield escaped(run.primary.message)
        yield ""
        yield f"{say('onset', lang)} {escaped(onset_line(run, lang))}"
    others = [one for one in run.findings if run.primary is None or one.id != run.primary.id]
    if others:
        yield ""
        for one in others:
            severity = texts.all_texts().severities[one.severity].pick(lang)
            yield f"- {one.code} ({severity}): {escaped(one.message)}"
    for place, remedy in enumerate(run.prescription[:3]):
        if place == 0:
            yield ""
            yield f"**{say('do-first', lang)}**"
            yield ""
        turned = changes(remedy, lang)
        sets = f" `{turned.replace('`', chr(39))}`" if turned else ""
        yield f"{place + 1}. {escaped(remedy.change)}{sets} – {escaped(remedy.why)}"
    if run.best_snapshot is not None:
        yield ""
        yield f"{say('keep', lang)} {escaped(snapshot_line(run.best_snapshot, run, lang))}"


def escaped(text: str) -> str:
    """Text in which nothing is markup: one line, with every sign that Markdown or HTML could take for its
    own behind a backslash or as an entity.
    """
    from gandoctor.reports.texts import clean

    line = " ".join(clean(text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for sign in "\\`*_[]|~#":
        line = line.replace(sign, "\\" + sign)
    return line.replace("@", "@\u2060").replace("://", ":\u2060//")  # no mention, no link
