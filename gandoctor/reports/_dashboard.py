"""A running job on the terminal: a panel that is drawn anew at each look, or lines where none is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from gandoctor.reports import rows
from gandoctor.reports.terminal import BADGES, badge
from gandoctor.reports.texts import at_step, clauses, clean, number, say

if TYPE_CHECKING:
    from rich.console import RenderableType

    from gandoctor.judge.rules import Rule
    from gandoctor.reports import contract
    from gandoctor.run import Series, Values
    from gandoctor.watch import Look, Seen

_MOST_ROWS = 12
_MOST_CURVES = 6
_WIDTH = 40  # characters of a curve
_BARS = "▁▂▃▄▅▆▇█"
_RANK = {"failing": 0, "warning": 1, "unknown": 2, "healthy": 3}


def panel(look: Look, head: str, lang: str, rules: Mapping[str, Rule]) -> RenderableType:
    """The runs with their verdicts, the worst first, and of one run its losses as curves."""
    parts: list[RenderableType] = [Text(clean(head), "dim")]
    parts += [Text(waiting(fault.message, fault.where, lang)) for fault in look.faults]
    if not look.seen and not look.faults:
        parts.append(Text(say("no-log-yet", lang)))
    if look.seen:
        parts.append(_table(look, lang, rules))
    if len(look.seen) == 1:
        parts.append(_curves(look.seen[0]))
    return Group(*parts)


def lines(look: Look, lang: str, rules: Mapping[str, Rule]) -> Iterator[tuple[str, str]]:
    """A line a run or missing path, each with a key: `failing exp1, step 4,000: GD201 …, step 1,200 · stands`."""
    for fault in look.faults:
        yield fault.where, waiting(fault.message, fault.where, lang)
    for seen in look.seen:
        run = rows.run_rows(seen.diagnosis, lang, rules)
        told = clauses([f"{run.verdict:7} {run.name}", at_step(run.steps[1], run.unit, lang)], lang)
        what = _what(seen, run, lang)
        yield f"{run.path}\n{run.name}", clean(say("labelled", lang, label=told, text=what) if what else told)


def went_quiet(seconds: float, lang: str) -> str:
    """That the job has stopped writing."""
    return say("went-quiet", lang, quiet=span(seconds, lang))


def heading(paths: Sequence[str], looks: int, taken: int, quiet: float, lang: str) -> str:
    """What is watched, how often it was looked at, how much was read, how long nothing has changed."""
    read = f"{taken / 1e6:,.1f} MB" if taken >= 100_000 else f"{taken / 1e3:,.1f} kB"
    told = say("watched", lang, looks=looks, read=read, quiet=span(quiet, lang))
    return clean(" · ".join([", ".join(paths), told]))


def span(seconds: float, lang: str) -> str:
    """A length of time for people: `42 s`, `5 min`, `3.2 h`."""
    if seconds < 100:
        return say("span-s", lang, count=f"{seconds:.0f}")
    if seconds < 6_000:
        return say("span-min", lang, count=f"{seconds / 60:.0f}")
    return say("span-h", lang, count=f"{seconds / 3_600:.1f}")


def waiting(why: str, path: str, lang: str) -> str:
    """What is waited for."""
    return clean(say("waiting", lang, path=path, why=why))


def _table(look: Look, lang: str, rules: Mapping[str, Rule]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for key in ("verdict", "run", "steps", "primary"):
        table.add_column(say(key, lang), no_wrap=key != "primary", overflow="ellipsis")
    shown = [(rows.run_rows(seen.diagnosis, lang, rules), seen) for seen in look.seen]
    shown.sort(key=lambda pair: _RANK[pair[0].verdict])  # stable: else in the order of the paths
    for run, seen in shown[:_MOST_ROWS]:
        table.add_row(
            Text(badge(run, lang), BADGES[run.verdict]), Text(clean(run.name)),
            Text(f"{run.steps[1]:,}"), Text(clean(_what(seen, run, lang)) or "–"),
        )  # fmt: skip
    if len(shown) > _MOST_ROWS:
        table.add_row("", say("and-more", lang, count=len(shown) - _MOST_ROWS))
    return table


def _what(seen: Seen, run: contract.Run, lang: str) -> str:
    """The symptom to look at, since when, and whether it stands; what should be logged and is not."""
    said = []
    chosen = seen.standing or seen.failing
    first = chosen[0].id if chosen else run.primary.id if run.primary else ""
    for finding in run.findings:
        if finding.id == first:
            text = f"{finding.code} {finding.title}"
            said.append(clauses([text, at_step(finding.onset_step, run.unit, lang)], lang))
    if chosen:
        said.append(say("stands" if seen.standing else "not-yet", lang))
    if seen.missing:
        said.append(say("not-logged", lang, roles=", ".join(seen.missing)))
    return " · ".join(said)


def _curves(seen: Seen) -> Table:
    """The losses of a run, each as a curve of block medians with its last value."""
    grid = Table.grid(padding=(0, 2))
    series = seen.diagnosis.run.series
    roles = {tag: role for view in seen.diagnosis.views for tag, role in view.roles.items()}
    losses = [tag for tag, role in roles.items() if role.quantity in ("loss", "metric") and tag in series]
    losses.sort(key=lambda tag: (roles[tag].quantity, roles[tag].part not in ("", "total"), tag))
    for tag in losses[:_MOST_CURVES]:
        grid.add_row(Text(clean(tag)), Text(curve(series[tag]), "bold"), Text(number(_last(series[tag]))))
    return grid


def _last(one: Series) -> float | None:
    value = float(one.values[-1]) if len(one) else float("nan")
    return value if np.isfinite(value) else None


def curve(one: Series, width: int = _WIDTH) -> str:
    """A series as bars of equal stretches of its steps; a stretch without a finite value is `×` or blank."""
    if not len(one):
        return ""
    steps = one.steps.astype(np.float64)
    place = (steps - steps[0]) / max(1.0, float(steps[-1] - steps[0])) * width
    blocks: Sequence[Values] = np.split(one.values, np.searchsorted(place, np.arange(1, width)))
    levels = [
        np.median(block[np.isfinite(block)]) if np.isfinite(block).any() else np.nan for block in blocks
    ]
    known = np.array(levels)[np.isfinite(levels)]
    size = float(np.max(np.abs(known), initial=0.0)) or 1.0  # so that no difference overflows
    low, high = (float(known.min()) / size, float(known.max()) / size) if len(known) else (0.0, 0.0)
    bars = []
    for block, level in zip(blocks, levels, strict=True):
        if np.isfinite(level):
            bars.append(_BARS[int((level / size - low) / (high - low) * 7.999) if high > low else 3])
        else:
            bars.append("×" if len(block) else " ")
    return "".join(bars)
