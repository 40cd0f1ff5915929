"""The terminal summary: verdict, primary symptom, what to do first, what was not seen.

Colours are the terminal's own and never carry meaning alone; NO_COLOR turns them off. Nothing from a log
reaches the terminal with a control character in it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gandoctor.readers._remote import address
from gandoctor.reports import contract, rows, texts
from gandoctor.reports.texts import at_step, clean, number, say

if TYPE_CHECKING:
    from gandoctor.interpret.roles import Role
    from gandoctor.judge.diagnosis import Diagnosis
    from gandoctor.judge.rules import Rule

FORMAT = "terminal"
SUFFIXES = (".txt",)

Line = tuple[str, Text]  # a label and what it labels; with "" it goes on with the line before

_WIDEST = 120  # longer lines are hard to read
_MOST_ROWS = 60
_MOST_SUMMARIES = 3
_MOST_TAGS = 12
_UNSURE = 0.75  # the certainty of a role below which it is marked
BADGES = {
    "failing": "bold white on red",
    "warning": "bold black on yellow",
    "healthy": "bold black on green",
    "unknown": "bold black on white",
}
_RANK = {"failing": 0, "warning": 1, "unknown": 2, "healthy": 3}
# What stands for our own signs where the console's encoding lacks them.
_ASCII = str.maketrans("✗✓→·–•÷×−─", "x+>|-*/x--")


def write(
    diagnoses: Sequence[Diagnosis],
    out: TextIO,
    *,
    lang: str = "en",
    rules: Mapping[str, Rule] | None = None,
) -> None:
    """Write the summary to a stream, in colour only if it is a terminal."""
    print_summary(diagnoses, Console(file=out, highlight=False), lang, rules=rules)


def print_summary(
    diagnoses: Sequence[Diagnosis],
    console: Console,
    lang: str = "en",
    report_path: Path | None = None,
    rules: Mapping[str, Rule] | None = None,
) -> None:
    """Print one run in full; of several a table, then the worst three in full."""
    runs = rows.report(diagnoses, lang, rules).runs
    shown = list(zip(runs, diagnoses, strict=True))
    if not shown:
        _print(console, Text(say("no-runs", lang)))
    if len(shown) > 1:
        shown.sort(key=lambda pair: _RANK[pair[0].verdict])  # stable: else in the order of the paths
        console.print(_run_table([run for run, _ in shown], lang, console), width=_width(console))
        ill = [pair for pair in shown if pair[0].verdict in ("failing", "warning")]
        shown = ill[:_MOST_SUMMARIES]
        if len(ill) > len(shown):
            _print(console, Text(say("worst", lang, shown=len(shown), count=len(ill)) + "\n", "bold"))
    for run, diagnosis in shown:
        _print(console, headline(run, diagnosis, lang))
        if hint := map_hint(diagnosis, lang):  # not wrapped: the command is there to be pasted
            console.print(_encoded(Text("\n" + hint), console), soft_wrap=True)
        for block in (_primary(run, lang), _remedies(run, lang), _rest(run, lang)):
            _print_block(console, list(block), lang)
        console.print()
    if report_path is not None:
        _print(console, Text.assemble((say("report", lang), "bold"), "  ", clean(str(report_path))))


def print_roles(diagnoses: Sequence[Diagnosis], console: Console, lang: str = "en") -> None:
    """Print how every tag was read: role, certainty, points, steps; then what to do about what was not."""
    for diagnosis in diagnoses:
        _print(console, Text(clean(diagnosis.run.name), "bold"))
        console.print(_role_table(diagnosis, lang, console), width=_width(console))
        if hint := map_hint(diagnosis, lang):
            console.print(_encoded(Text(hint + "\n"), console), soft_wrap=True)


# --- one run ---------------------------------------------------------------------------------------------


def headline(run: contract.Run, diagnosis: Diagnosis, lang: str = "en") -> Text:
    """The verdict, the run's name, its length and loss family; what was examined where nothing is ill."""
    line = Text.assemble((badge(run, lang), BADGES[run.verdict]), "  ", (clean(run.name), "bold"))
    length = at_step(run.steps[1], run.unit, lang)
    line.append(" · ".join(["", length, *filter(None, [family_line(run, diagnosis)])]))
    if run.verdict in ("healthy", "unknown"):
        line.append("\n" + texts.verdict_line(run.verdict, run.examined, lang))
    return line


def badge(run: contract.Run, lang: str) -> str:
    """The verdict with its sign: ` ✗ Failing `."""
    return f" {texts.SYMBOLS[run.verdict]} {texts.all_texts().verdicts[run.verdict].pick(lang)} "


def family_line(run: contract.Run, diagnosis: Diagnosis) -> str:
    """`lsgan 0.97`; "" where no loss was there to tell a family from."""
    games = [view.game for view in diagnosis.views]
    known = run.loss_family.name != "unknown" and any(len(game.d) or len(game.g) for game in games)
    return f"{run.loss_family.name} {run.loss_family.confidence:.2f}" if known else ""


def _primary(run: contract.Run, lang: str) -> Iterable[Line]:
    if run.primary is None:
        return
    yield run.primary.code, Text(run.primary.title, "bold")
    yield "", Text(clean(run.primary.message))
    yield say("onset", lang), Text(onset_line(run, lang))
    if chain := chain_line(run):
        yield say("chain", lang), Text(chain)


def onset_line(run: contract.Run, lang: str) -> str:
    """`step 1,200 (between 1,100 and 1,300), 12% into the run · confidence 0.92 (prior, ...)`."""
    one = run.primary
    assert one is not None
    finding = next(f for f in run.findings if f.id == one.id)
    first, last = finding.onset_interval
    line = at_step(one.onset_step, run.unit, lang)
    if last > first:
        line += say("bracketed", lang, text=say("between", lang, first=f"{first:,}", last=f"{last:,}"))
    share = say("of-run", lang, percent=f"{one.onset_fraction:.0%}")
    sure = say("confidence", lang, value=f"{one.confidence:.2f}", source=say(one.confidence_source, lang))
    return f"{texts.clauses([line, share], lang)} · {sure}"


def chain_line(run: contract.Run) -> str:
    """The consequences of the primary, level by level: `GD201 → GD301, GD402 → GD101`."""
    if run.primary is None or not any(cause == run.primary.id for cause, _ in run.chain):
        return ""
    level = levels(run.primary.id, run.chain)
    by_id = {finding.id: finding for finding in run.findings}
    named: list[list[str]] = [[] for _ in range(max(level.values()) + 1)]
    for one, depth in sorted(level.items()):
        finding = by_id[one]
        name = f"{finding.code} {finding.slug}" if len(level) <= 4 else finding.code
        if name not in named[depth]:
            named[depth].append(name)
    return " → ".join(", ".join(names) for names in named)


def levels(root: str, chain: Sequence[tuple[str, str]]) -> dict[str, int]:
    """How many causal steps each consequence lies below the root; the longest way counts."""
    level = {root: 0}
    for _ in chain:  # the chain has no cycles, so as many rounds settle it
        for cause, effect in chain:
            if cause in level:
                level[effect] = max(level.get(effect, 0), level[cause] + 1)
    return level


def _remedies(run: contract.Run, lang: str) -> Iterable[Line]:
    for place, remedy in enumerate(run.prescription[:3]):
        turned = changes(remedy, lang)
        if place == 0:
            yield say("do-first", lang), Text(remedy.change, "bold")
            if turned:
                yield "", Text(turned, "bold")
            yield "", Text(remedy.why)
            measured = remedy.lab.said if remedy.lab else say("lab-none", lang)
            yield "", Text(say("labelled", lang, label=say("in-lab", lang), text=measured))
        else:
            line = Text.assemble(
                "• ",
                remedy.change,
                ("  " + turned if turned else "", "bold"),
                f"  ({lab_short(remedy, lang)})",
            )
            yield say("then", lang) if place == 1 else "", line


def lab_short(remedy: contract.Remedy, lang: str) -> str:
    """`cured 9 of 10 in the lab (60–98%)`, or that it was not measured."""
    if remedy.lab is None:
        return say("lab-none", lang)
    low, high = (100 * bound for bound in remedy.lab.interval)
    return say("lab-short", lang, cured=remedy.lab.cured, tried=remedy.lab.tried, low=low, high=high)


def changes(remedy: contract.Remedy, lang: str) -> str:
    """What a remedy sets: `lr_D 0.0004 → 0.0001`."""
    parts = []
    for knob, change in remedy.set.items():
        old = value(change.old, change.old_text or "")
        new = value(change.new, change.new_text or "") or say("unset", lang)
        parts.append(f"{knob} {old} → {new}" if old else f"{knob} → {new}")
    return ", ".join(parts)


def value(one: contract.Scalar, text: str = "") -> str:
    """A setting's value as configuration files write it; `text` where there is none."""
    if one is None:
        return clean(text)
    if isinstance(one, bool):
        return str(one).lower()
    return f"{one:g}" if isinstance(one, float) else clean(str(one))


def _rest(run: contract.Run, lang: str) -> Iterable[Line]:
    """The snapshot to keep, what was not seen, the samples, and what could not be read."""
    if run.best_snapshot is not None:
        yield say("keep", lang), Text(snapshot_line(run.best_snapshot, run, lang))
    missing = sum(line.state != "examined" for line in run.coverage)
    if missing:
        said = [say("not-examined", lang, count=missing, all=len(run.coverage))]
        said += [say("log-to-see", lang)] if run.log_next else []
        yield say("not-seen", lang), Text(texts.sentences(said, lang))
    for signal in run.log_next:
        how = say("labelled", lang, label=signal.what, text=signal.how) if signal.how else signal.what
        yield "", Text("• " + how)
    if run.samples is not None:
        few = [grids.said for grids in run.samples.grids if not grids.dated]
        said = [run.samples.said, texts.listed([*few, run.samples.advice], lang) if few else ""]
        for place, text in enumerate(filter(None, said)):
            yield say("samples", lang) if place == 0 else "", Text(clean(text))
    if run.problems:
        yield say("reading", lang), Text(_problem_line(run, lang))


def snapshot_line(one: contract.Snapshot, run: contract.Run, lang: str) -> str:
    """`step 4,000 (net_4000.pt) · best fid, 21.3`."""
    if one.metric == "before-onset":
        why = say("snapshot-before", lang)
    else:
        best = number(one.value, one.value_text or "")
        why = say("snapshot-best", lang, metric=clean(one.metric), value=best)
    where = clean(relative(one.file, run.path)) if one.file else say("no-file", lang)
    return f"{at_step(one.step, run.unit, lang)} ({where}) · {why}"


def _problem_line(run: contract.Run, lang: str) -> str:
    first = run.problems[0]
    count = len(run.problems)
    what = say("problem", lang) if count == 1 else say("problems", lang, count=f"{count:,}")
    place = texts.clauses([part for part in (relative(first.file, run.path), first.place) if part], lang)
    return clean(
        say("labelled", lang, label=what, text=say("labelled", lang, label=place, text=first.message))
    )


def relative(file: str, folder: str) -> str:
    """A file's path below its run's folder, or as it is."""
    path = PurePath(file)
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) and file != folder else file


# --- what to do when the columns were not understood -----------------------------------------------------


def map_hint(diagnosis: Diagnosis, lang: str = "en") -> str:
    """What is missing, how the columns were read, and the command to paste; "" where D and G are known."""
    if not (missing := _missing(diagnosis)):
        return ""
    roles = {tag: role for tag, role in _roles(diagnosis).items() if role.quantity != "probed"}
    if not roles:
        return say("no-series", lang)
    lacking = {"DG": "no-roles", "D": "no-d", "G": "no-g"}[missing]
    lines = [texts.sentences([say(lacking, lang), say("columns", lang)], lang)]
    lines += [f"  {clean(tag)}  {role}" for tag, role in list(roles.items())[:_MOST_TAGS]]
    if len(roles) > _MOST_TAGS:
        lines.append("  " + say("and-more", lang, count=len(roles) - _MOST_TAGS))
    lines.append(say("map-guess" if len(_guesses(diagnosis, missing)) == len(missing) else "map-edit", lang))
    lines.append(map_command(diagnosis))
    return "\n".join(lines)


def map_command(diagnosis: Diagnosis) -> str:
    """`gandoctor diagnose PATH --map TAG=D.loss ...`, with the best guess of what is missing."""
    missing = _missing(diagnosis)
    guesses = _guesses(diagnosis, missing)
    command = ["gandoctor", "diagnose", clean(address(diagnosis.run.path))]
    for network in missing:
        command += ["--map", f"{guesses.get(network, 'TAG')}={network}.loss"]
    return shlex.join(command)


def _missing(diagnosis: Diagnosis) -> str:
    """The networks of which no tag is read as an adversarial loss: "", "D", "G" or "DG"."""
    known = {
        role.network
        for role in _roles(diagnosis).values()
        if role.quantity == "loss" and role.part != "auxiliary"
    }
    return "".join(network for network in "DG" if network not in known)


def _roles(diagnosis: Diagnosis) -> dict[str, Role]:
    return {tag: role for view in diagnosis.views for tag, role in view.roles.items()}


def _guesses(diagnosis: Diagnosis, missing: str) -> dict[str, str]:
    from gandoctor.interpret.guess import guess_losses  # here, since it brings numpy

    return guess_losses(diagnosis.views[0], missing) if diagnosis.views else {}


# --- tables ----------------------------------------------------------------------------------------------


def _run_table(runs: Sequence[contract.Run], lang: str, console: Console) -> Table:
    """One row a run."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column(say("verdict", lang), no_wrap=True)
    table.add_column(say("run", lang), overflow="fold", min_width=12)
    table.add_column(say("primary", lang), overflow="fold")
    table.add_column(say("onset", lang), justify="right", no_wrap=True)
    table.add_column(say("family", lang))
    table.add_column(say("steps", lang), justify="right", no_wrap=True)
    widest = max(Text(badge(run, lang)).cell_len for run in runs)
    for run in runs[:_MOST_ROWS]:
        one, marked = run.primary, Text(badge(run, lang), BADGES[run.verdict])
        marked.pad_right(widest - marked.cell_len)
        cells = [
            marked,
            Text(clean(run.name)),
            Text(f"{one.code} {one.slug}" if one else "–"),
            Text(at_step(one.onset_step, run.unit, lang) if one else "–"),
            Text(run.loss_family.name),
            Text(f"{run.steps[1]:,}"),
        ]
        table.add_row(*(_encoded(cell, console) for cell in cells))
    if len(runs) > _MOST_ROWS:
        table.add_row("", say("and-more", lang, count=len(runs) - _MOST_ROWS))
    return table


def _role_table(diagnosis: Diagnosis, lang: str, console: Console) -> Table:
    """One row a tag."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column(say("tag", lang), overflow="fold", min_width=12)
    table.add_column(say("role", lang), overflow="fold")
    table.add_column(say("certainty", lang), justify="right")
    table.add_column(say("points", lang), justify="right", no_wrap=True)
    table.add_column(say("steps", lang), justify="right", no_wrap=True)
    series = {tag: one for view in diagnosis.views for tag, one in view.series.items()}
    for tag, role in _roles(diagnosis).items():
        one = series[tag]
        sure = f"{role.certainty:.2f}" if role.quantity != "other" else "–"
        if role.quantity != "other" and role.certainty < _UNSURE:
            sure = f"{say('unsure', lang)} {sure}"
        span = f"{one.steps[0]:,}–{one.steps[-1]:,}" if len(one) else "–"
        cells = [Text(clean(tag)), Text(str(role)), Text(sure), Text(f"{one.points:,}"), Text(span)]
        table.add_row(*(_encoded(cell, console) for cell in cells))
    return table


# --- to the console --------------------------------------------------------------------------------------


def _width(console: Console) -> int:
    return min(console.width, _WIDEST)


def _print(console: Console, text: Text) -> None:
    console.print(_encoded(text, console), width=_width(console))


def _print_block(console: Console, lines: Sequence[Line], lang: str) -> None:
    """Print lines after a blank one, with their labels in a column of their own."""
    if not lines:
        return
    labels = [say(key, lang) for key in ("chain", "do-first", "then", "keep", "not-seen", "reading", "onset")]
    wide = max(Text(label).cell_len for label in labels)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="bold", min_width=wide)
    grid.add_column(overflow="fold")
    for label, text in lines:
        hung = _hanging(text, _width(console) - wide - 2, console)
        grid.add_row(_encoded(Text(label), console), _encoded(hung, console))
    console.print()
    console.print(grid, width=_width(console))


def _hanging(text: Text, width: int, console: Console) -> Text:
    """An item of a list with its further lines below its words, not below its bullet."""
    if not text.plain.startswith("• "):
        return text
    first, *rest = text[2:].wrap(console, width - 2)
    return Text("\n").join([Text("• ") + first, *(Text("  ") + line for line in rest)])


def _encoded(text: Text, console: Console) -> Text:
    """The same text in characters that the console's encoding has."""
    encoding = console.encoding or "utf-8"
    if encoding.lower().replace("-", "").startswith("utf"):
        return text
    same = text.copy()
    same.plain = text.plain.translate(_ASCII).encode(encoding, "replace").decode(encoding)
    return same
