"""`gandoctor journal`: the record of baseline, hypothesis and result."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gandoctor.cli._loop import loop_config
from gandoctor.cli._options import LANG, RULES, reading
from gandoctor.cli._output import OK, stdout_console, tell

if TYPE_CHECKING:
    from gandoctor.judge.diagnosis import Diagnosis

_JOURNAL = click.option(
    "--journal", "file", type=click.Path(dir_okay=False), metavar="FILE",
    help="The journal [gandoctor-journal.jsonl here, or in the nearest folder above].",
)  # fmt: skip
_NOTE = click.option("--note", default="", metavar="TEXT", help="A remark of yours.")


@click.group()
def journal() -> None:
    """Keep the record: baseline, hypothesis, result."""


@journal.command()
@reading
@_JOURNAL
@_NOTE
def new(paths: Sequence[str], file: str | None, note: str, **options: Any) -> int:
    """Begin with a baseline: the run at PATHS, or several seeds of it."""
    from gandoctor.judge.diagnose import diagnose_run, fitting
    from gandoctor.loop.journal import add_baseline
    from gandoctor.loop.named import runs_at
    from gandoctor.reports.loop.words import say

    config, _ = loop_config(options)
    diagnoses = [diagnose_run(run, fitting(config, run)) for run in runs_at(paths)]
    path = _journal_at(file)
    entry = add_baseline(path, diagnoses, note=note, thumbnails=_thumbnails(diagnoses))
    _wrote("baseline", entry.id, path, config.lang)
    click.echo(say("journal-next", config.lang))
    return OK


@journal.command()
@_JOURNAL
@click.option("--remedy", default="", metavar="ID", help="A remedy that the baseline's diagnosis named.")
@click.option("--code", default="", metavar="CODE", help="The symptom that it is against.")
@click.option("--change", default="", metavar="TEXT", help="The one change, in your words.")
@click.option("--because", default="", metavar="TEXT", help="The supposed cause, in your words.")
@_NOTE
@LANG
@RULES
def hypothesis(
    file: str | None, remedy: str, code: str, change: str, because: str, note: str, lang: str | None,
    rule_folders: Sequence[str],
) -> int:  # fmt: skip
    """Suppose a cause and one change, by default the first remedy not tried yet."""
    from gandoctor.judge.rules import load_rules
    from gandoctor.loop import journal as record
    from gandoctor.reports.loop import journal as told
    from gandoctor.reports.loop.words import say

    lang = lang or "en"
    path, rules = _journal_at(file), load_rules(*map(Path, rule_folders))
    if not (remedy or change) and sys.stdin.isatty():
        entries, _ = record.read(path)
        standing, done = record.baseline_of(entries), record.tried(entries)
        offers = [one for one in standing.offers if code in ("", one.code)] if standing else []
        for place, one in enumerate(offers, start=1):
            rule = told.remedy_of(one.code, one.remedy, rules)
            before = done.get((one.code, one.remedy))
            words = say(f"decided-{before}", lang) if before else ""
            past = f" ({say('tried-before', lang, decision=words)})" if words else ""
            click.echo(f"{place:3}  {one.code} {rule.change.pick(lang) if rule else one.remedy}{past}")
        fresh = [n for n, one in enumerate(offers, start=1) if (one.code, one.remedy) not in done]
        if offers:
            numbers, usual = click.IntRange(1, len(offers)), (fresh or [1])[0]
            chosen = offers[click.prompt(say("journal-which", lang), type=numbers, default=usual) - 1]
            remedy, code = chosen.remedy, chosen.code
    entry = record.add_hypothesis(
        path, remedy=remedy, code=code.upper(), because=because, change=change, note=note
    )
    _wrote("hypothesis", entry.id, path, lang)
    [shown] = told.shown([entry], lang, rules)
    _say_lines([(say("change-head", lang), shown.title), *shown.lines], lang)
    click.echo(say("journal-then", lang))
    return OK


@journal.command()
@reading
@_JOURNAL
@click.option("--keep", "decision", flag_value="keep", help="The change stays: its run is the next baseline.")
@click.option("--revert", "decision", flag_value="revert", help="The change goes.")
@click.option("--of", "number", type=int, metavar="N", help="The hypothesis, by its number [the open one].")
@click.option("-b", "--baseline", "more", multiple=True, type=click.Path(), metavar="PATH",
              help="Compare with this run in place of the one that the journal remembers. Repeatable.")  # fmt: skip
@_NOTE
def result(
    paths: Sequence[str], file: str | None, decision: str | None, number: int | None, more: Sequence[str], note: str,
    **options: Any,
) -> int:  # fmt: skip
    """Compare the run at PATHS with the baseline, and decide.

    Asks on a terminal, where neither --keep nor --revert is given; elsewhere the decision stays open.
    """
    from gandoctor.loop import journal as record
    from gandoctor.loop.compare import compare_runs
    from gandoctor.loop.named import noted, runs_at
    from gandoctor.reports.loop.rows import compare_report
    from gandoctor.reports.loop.terminal import print_comparisons
    from gandoctor.reports.loop.words import say

    config, rules = loop_config(options)
    path = _journal_at(file)
    entries, problems = record.read(path)
    supposed = record.hypothesis_of(entries, number, path)
    if more:
        baseline = runs_at(more)
    else:
        departs = record.departs_from(entries, supposed, path)
        baseline = [noted(path.parent / run.path, run.name) for run in departs.runs]
    comparison = compare_runs(baseline, runs_at(paths), config)
    print_comparisons(compare_report([comparison], config.lang, rules), stdout_console())
    if decision is None and sys.stdin.isatty():
        usual = {"keep": "keep", "revert": "revert"}.get(comparison.decision.value, "open")
        choice = click.Choice(["keep", "revert", "open"])
        decision = click.prompt(say("journal-decide", config.lang), type=choice, default=usual)
    decided: Any = decision or "open"
    entry = record.add_result(
        path, comparison, hypothesis=supposed.id, decision=decided, note=note,
        thumbnails=_thumbnails([member.diagnosis for member in comparison.candidate]),
    )  # fmt: skip
    _wrote("result", entry.id, path, config.lang)
    if entry.as_supposed is False:
        click.echo(say("note-not-as-supposed", config.lang))
    click.echo(say("journal-undecided" if decided == "open" else "journal-next", config.lang))
    for problem in problems:
        tell(f"{problem.file}: {problem.place}: {problem.message}")
    return OK


@journal.command()
@_JOURNAL
@click.option(
    "--format",
    "format_",
    type=click.Choice(["markdown", "html", "json"]),
    default="markdown",
    show_default=True,
)
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="A file in place of standard output.")
@LANG
@RULES
def show(
    file: str | None, format_: str, output: str | None, lang: str | None, rule_folders: Sequence[str]
) -> int:
    """Show the journal: Markdown, or a timeline with thumbnails (HTML)."""
    import msgspec

    from gandoctor.judge.rules import load_rules
    from gandoctor.loop import journal as record
    from gandoctor.reports.loop import journal as told

    path, lang = _journal_at(file), lang or "en"
    entries, problems = record.read(path)
    rules = load_rules(*map(Path, rule_folders))
    if format_ == "json":
        text = msgspec.json.format(msgspec.json.encode(entries), indent=2).decode() + "\n"
    else:
        write = told.timeline if format_ == "html" else told.markdown
        text = write(entries, problems, lang, rules)
    if output:
        told.write_text(Path(output), text)
    else:
        click.echo(text, nl=False)
    for problem in problems:
        tell(f"{problem.file}: {problem.place}: {problem.message}")
    return OK


def _journal_at(given: str | None) -> Path:
    """The journal: the one given, the nearest at or above the working directory, else a new one here."""
    from gandoctor.loop.journal import FILE

    if given:
        return Path(given)
    here = Path.cwd()
    return next((folder / FILE for folder in (here, *here.parents) if (folder / FILE).is_file()), Path(FILE))


def _thumbnails(diagnoses: Sequence[Diagnosis]) -> dict[int, str]:
    """The last samples of each run, small."""
    from gandoctor.reports.loop.pictures import THUMBNAIL, last_samples

    made = {place: last_samples(one, THUMBNAIL) for place, one in enumerate(diagnoses)}
    return {place: one.src for place, one in made.items() if one is not None}


def _wrote(kind: str, number: int, path: Path, lang: str) -> None:
    from gandoctor.reports.loop.words import say

    word = say(f"entry-{kind}", lang)
    click.echo(say("journal-wrote", lang, kind=word, id=number, file=path.name))


def _say_lines(lines: Iterable[tuple[str, str]], lang: str) -> None:
    from gandoctor.reports.loop.words import say
    from gandoctor.reports.texts import clean

    for label, text in lines:
        click.echo("  " + clean(say("labelled", lang, label=label, text=text)))
