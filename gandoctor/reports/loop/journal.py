"""The journal for people: Markdown, and a timeline as one page with thumbnails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

import gandoctor
from gandoctor.errors import UserError
from gandoctor.judge.rules import RemedyRule, Rule, load_rules
from gandoctor.loop.journal import Baseline, Entry, Hypothesis, Result, RunNote, decisions
from gandoctor.reports import html as page
from gandoctor.reports import texts
from gandoctor.reports.contract import Scalar
from gandoctor.reports.loop.words import SYMBOLS, own_words, say
from gandoctor.reports.markdown import escaped
from gandoctor.reports.rows import rule_of
from gandoctor.reports.terminal import value
from gandoctor.reports.texts import at_step, join
from gandoctor.run import LogProblem
from gandoctor.thresholds import version

_DECISION = {"keep": "healthy", "revert": "failing", "open": "unknown"}


@dataclass(frozen=True, slots=True)
class Shown:
    """One entry for people. tone: its colour. lines: label and text. pictures: of runs, as data URIs with names."""

    id: int
    kind: str
    title: str
    when: str
    tone: str
    badge: str
    lines: tuple[tuple[str, str], ...]
    pictures: tuple[tuple[str, str], ...]


class _Head(msgspec.Struct, frozen=True):
    """What a page's foot says."""

    schema: str
    gandoctor: str
    thresholds: str
    language: str


def shown(entries: Sequence[Entry], lang: str, rules: Mapping[str, Rule] | None = None) -> list[Shown]:
    """Every entry in words, in order."""
    known = load_rules() if rules is None else rules
    decided = decisions(entries)
    return [_shown(entry, decided, lang, known) for entry in entries]


def counts(entries: Sequence[Entry], lang: str) -> str:
    """`3 hypotheses, 1 kept, 1 reverted, 1 open`."""
    said = decisions(entries)
    ids = [entry.id for entry in entries if isinstance(entry, Hypothesis)]
    words = [said.get(one, "open") for one in ids]
    return say(
        "journal-counts", lang, hypotheses=len(ids), kept=words.count("keep"), reverted=words.count("revert"),
        open=words.count("open"),
    )  # fmt: skip


def markdown(
    entries: Sequence[Entry],
    problems: Sequence[LogProblem],
    lang: str = "en",
    rules: Mapping[str, Rule] | None = None,
) -> str:
    """The journal as Markdown. Nothing from a log is taken for markup."""
    return "\n".join(_markdown(entries, problems, lang, rules)) + "\n"


def _markdown(
    entries: Sequence[Entry], problems: Sequence[LogProblem], lang: str, rules: Mapping[str, Rule] | None
) -> Iterator[str]:
    yield f"# {say('journal', lang)}"
    yield ""
    yield counts(entries, lang) if entries else say("journal-empty", lang)
    if problems:
        yield ""
        yield "> " + escaped(damaged(problems, lang))
    for one in shown(entries, lang, rules):
        yield ""
        badge = f" – {one.badge}" if one.badge else ""
        yield f"## {one.id}. {one.kind}: {escaped(one.title)}{badge}"
        yield ""
        yield f"- {one.when}"
        for label, text in one.lines:
            yield f"- {say('labelled', lang, label=f'**{label}**', text=escaped(text))}"


def timeline(
    entries: Sequence[Entry],
    problems: Sequence[LogProblem],
    lang: str = "en",
    rules: Mapping[str, Rule] | None = None,
) -> str:
    """The journal as a page."""
    head = _Head("1.0", gandoctor.__version__, version(), lang)
    told = [
        {
            "id": one.id, "kind": one.kind, "title": one.title, "when": one.when, "tone": one.tone, "badge": one.badge,
            "lines": one.lines, "pictures": [p for p in one.pictures if p[1].startswith("data:image/")],
        }
        for one in shown(entries, lang, rules)
    ]  # fmt: skip
    return page._page(
        "journal.html",
        head,  # type: ignore[arg-type]  # base.html asks for the versions only, which it has
        w=lambda key, **fields: say(key, lang, **fields),
        entries=page._cleaned(told),
        counts=counts(entries, lang) if entries else say("journal-empty", lang),
        damaged=texts.clean(damaged(problems, lang)) if problems else "",
        data="{}",
        plotly={},
    )


def damaged(problems: Sequence[LogProblem], lang: str) -> str:
    """How many lines could not be read, and the first of them."""
    first = say(
        "labelled", lang, label=f"{problems[0].file.name} {problems[0].place}", text=problems[0].message
    )
    return say("journal-damaged", lang, count=len(problems), first=first)


# --- one entry -------------------------------------------------------------------------------------------


def _shown(entry: Entry, decided: Mapping[int, str], lang: str, rules: Mapping[str, Rule]) -> Shown:
    made: tuple[str, str, str, list[tuple[str, str]]]
    pictures: tuple[tuple[str, str], ...] = ()
    if isinstance(entry, Hypothesis):
        made = _hypothesis(entry, decided.get(entry.id, "open"), lang, rules)
    else:
        made = _baseline(entry, lang, rules) if isinstance(entry, Baseline) else _result(entry, lang, rules)
        pictures = tuple((run.name, run.thumbnail) for run in entry.runs if run.thumbnail)
    title, tone, badge, lines = made
    if entry.note:
        lines.append((say("note-label", lang), entry.note))
    lines.append((say("code-version", lang), _code(entry, lang)))
    kind = {Baseline: "baseline", Hypothesis: "hypothesis", Result: "result"}[type(entry)]
    when = entry.time.replace("T", " ").replace("+00:00", " UTC")
    return Shown(entry.id, say(f"entry-{kind}", lang), title, when, tone, badge, tuple(lines), pictures)


def _code(entry: Entry, lang: str) -> str:
    if entry.code_version is None:
        return say("no-git", lang)
    commit = entry.code_version.commit[:12]
    return texts.clauses([commit, say("code-dirty", lang)], lang) if entry.code_version.dirty else commit


def _baseline(
    entry: Baseline, lang: str, rules: Mapping[str, Rule]
) -> tuple[str, str, str, list[tuple[str, str]]]:
    lines = _runs(entry.runs, lang, rules)
    settings = entry.runs[0].facts if entry.runs else {}
    if settings:
        said = ", ".join(f"{name} {value(one)}" for name, one in settings.items() if name != "lr_ratio")
        lines.append((say("settings-label", lang), said))
    worst = _worst(entry.runs)
    return _names(entry.runs, lang), worst, texts.all_texts().verdicts[worst].pick(lang), lines


def _hypothesis(
    entry: Hypothesis, decision: str, lang: str, rules: Mapping[str, Rule]
) -> tuple[str, str, str, list[tuple[str, str]]]:
    remedy = remedy_of(entry.code, entry.remedy, rules)
    change = entry.change or (remedy.change.pick(lang) if remedy else entry.remedy)
    because = entry.because or (remedy.hypothesis.pick(lang) if remedy else "")
    lines = []
    if entry.code:
        lines.append(
            (say("for-symptom", lang), f"{entry.code} {rule_of(entry.code, rules).title.pick(lang)}")
        )
    if because:
        lines.append((say("hypothesis", lang), because))
    if entry.set:
        lines.append((say("change-one", lang), _sets(entry.set, lang)))
    expect = entry.expect or (remedy.expect.pick(lang) if remedy else "")
    if expect:
        lines.append((say("expected", lang), expect))
    return change, _DECISION[decision], _decided(decision, lang), lines


def _result(
    entry: Result, lang: str, rules: Mapping[str, Rule]
) -> tuple[str, str, str, list[tuple[str, str]]]:
    lines = _runs(entry.runs, lang, rules)
    if entry.changed:
        lines.append((say("changed-label", lang), _sets(entry.changed, lang)))
    if entry.things > 1:
        names = join(list(entry.changed), lang)
        lines.append(
            (say("beware-label", lang), say("note-several-changes", lang, count=entry.things, names=names))
        )
    if entry.as_supposed is False:
        lines.append((say("beware-label", lang), say("note-not-as-supposed", lang)))
    for code, change in entry.symptoms.items():
        lines.append(
            (code, f"{rule_of(code, rules).title.pick(lang)}: {_word(f'change-{change}', change, lang)}")
        )
    advice = f"{SYMBOLS.get(entry.advice, '?')} {_word(f'{entry.advice}-change', entry.advice, lang)}"
    if entry.provisional:
        advice += f" ({say('provisional', lang)})"
    lines.append((say("advice", lang), advice))
    title = f"{_names(entry.runs, lang)} ({say('of-entry', lang, id=entry.of)})"
    return title, _DECISION[entry.decision], _decided(entry.decision, lang), lines


def remedy_of(code: str, remedy: str, rules: Mapping[str, Rule]) -> RemedyRule | None:
    """A remedy of a rule, if it still has it."""
    return next((one for one in rule_of(code, rules).remedies if one.id == remedy), None)


def _runs(runs: Sequence[RunNote], lang: str, rules: Mapping[str, Rule]) -> list[tuple[str, str]]:
    lines = []
    for run in runs:
        verdict = texts.all_texts().verdicts.get(run.verdict)
        said = [verdict.pick(lang) if verdict else run.verdict]
        if run.primary is not None:
            title = rule_of(run.primary.code, rules).title.pick(lang)
            said += [f"{run.primary.code} {title}", at_step(run.primary.onset_step, run.unit, lang)]
        lines.append((say("run", lang), f"{run.path}: {texts.clauses(said, lang)}"))
    return lines


def _names(runs: Sequence[RunNote], lang: str) -> str:
    if not runs:
        return "–"
    first = runs[0].name
    return first if len(runs) == 1 else say("runs-named", lang, first=first, count=len(runs) - (lang != "zh"))


def _worst(runs: Sequence[RunNote]) -> str:
    found = {run.verdict for run in runs}
    return next((one for one in ("failing", "warning", "unknown", "healthy") if one in found), "unknown")


def _sets(changed: Mapping[str, tuple[Scalar, Scalar]], lang: str) -> str:
    return ", ".join(
        f"{name} {value(old, say('not-given', lang))} → {value(new, say('not-given', lang))}"
        for name, (old, new) in changed.items()
    )


def _decided(decision: str, lang: str) -> str:
    return say(f"decided-{decision}", lang)


def _word(key: str, otherwise: str, lang: str) -> str:
    """A word of ours; the slug itself where a later version wrote one that is not known here."""
    return say(key, lang) if key in own_words() else otherwise


def write_text(path: Path, text: str) -> None:
    """Write a file, its folders too. Raises UserError if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as fault:
        raise UserError(f"cannot be written: {fault.strerror or fault}", where=str(path)) from fault
