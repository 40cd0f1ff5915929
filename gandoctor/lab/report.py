"""Every figure of the detection study, as Markdown, from its table alone. Never pooled over logging styles only."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from gandoctor.errors import UserError
from gandoctor.lab import calibrate
from gandoctor.lab.calibrate import judged, right
from gandoctor.lab.peers import RULES
from gandoctor.lab.promise import ALPHA, FEWEST_OF_A_FAMILY, clean, promise
from gandoctor.lab.statistics import (
    Array,
    bins_of,
    brier,
    calibration_error,
    calibration_interval,
    calibration_slope,
    cluster_bootstrap,
    perfect_calibration,
)
from gandoctor.lab.styles import STYLES
from gandoctor.lab.table import Row
from gandoctor.stats import wilson

NAMES = tuple(style.name for style in STYLES)
ILL, HEALTHY_OUTCOME = "ill", "healthy"
PEER_STYLE = "norms"  # the first style that has all that the peers' rules read


def report(rows: Sequence[Row], part: str = "test") -> str:
    """The study's tables, on the runs of *test*, or on those of *fit* while something is being made better.

    Raises UserError if the table has no usable row.
    """
    usable = [row for row in rows if not row["error"] and row["style"]]
    if not usable:
        raise UserError("no run of the table could be used", hint="its column `error` says why")
    mine = [row for row in usable if row["part"] == part]
    final = part == "test"
    out = [row for row in usable if row["part"] == "held-out"] if final else []
    both = f"{part} and held-out" if final else part
    parts = [
        "Shares: k/n (Wilson 95% over runs; 95% by configuration: bootstrap, or Wilson over configurations where all"
        " runs agree).",
        _size(rows),
        _section(f"Primary symptoms and false alarms, by what is logged ({part})", _by_style(mine)),
        _section(f"Codes: precision and recall ({part})", _codes(mine)),
        _section(f"Onset of right primaries ({part})", _onsets(mine)),
        _section(f"Which primary was named for which ({part}, outputs and norms logged)", _confusion(mine)),
        _section(f"Confidence of the primary ({part})", _confidence(mine, usable if final else ())),
        *([_section(f"The promise: at most {ALPHA:.0%} of healthy runs called ill", _promise(usable))] if final else []),
        _section(f"Peers' rules on the same runs ({part})", _peers(mine)),
        _section(f"By family, data and names of tags ({both})", _transfer(mine, out)),
        _section(f"Dose ({both}, outputs and norms logged)", _doses([*mine, *out])),
        _section(f"False alarms and misses ({part})", _wrong(mine)),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _section(title: str, lines: Iterable[str]) -> str:
    return "\n".join([f"## {title}", "", *lines])


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return lines + [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]


# --- what is counted -------------------------------------------------------------------------------------


def alarmed(row: Row) -> bool:
    """Whether a run was called ill."""
    return row["verdict"] in {"warning", "failing"}


def shown(row: Row) -> bool:
    """Whether a run is ill and logs something that shows an acceptable primary."""
    return bool(row["outcome"] == ILL and row["visible"] == "1")


def share(rows: Sequence[Row], hit: Callable[[Row], bool]) -> str:
    """K of n with the Wilson interval over runs, and the bootstrap's over configurations."""
    hits = [hit(row) for row in rows]
    if not hits:
        return "–"
    low, high = wilson(sum(hits), len(hits))
    configurations = [row["configuration"] for row in rows]
    if 0 < sum(hits) < len(hits):
        by = cluster_bootstrap(hits, configurations)
    else:  # a bootstrap of equal hits says nothing: as if each configuration were one run
        count = len(set(configurations))
        by = wilson(count if all(hits) else 0, count)
    return (
        f"{sum(hits)}/{len(hits)} = {sum(hits) / len(hits):.1%} ({low:.1%}–{high:.1%}; "
        f"by configuration {by[0]:.1%}–{by[1]:.1%})"
    )


def found(row: Row) -> set[str]:
    """The codes found as a warning or worse."""
    return {code for code, severity, _ in _findings(row) if severity != "info"}


def mentioned(row: Row) -> set[str]:
    """The codes said as information only."""
    return {code for code, _, _ in _findings(row)} - found(row)


def _findings(row: Row) -> list[list[str]]:
    return [one.split(":") for one in row["findings"].split()]


def named_by_peers(row: Row) -> str:
    """What the first of the peers' rules that fires would name, "" where none does."""
    fired = row["peers"].split()
    return RULES[fired[0]] if fired else ""


def _of(rows: Iterable[Row], style: str) -> list[Row]:
    return [row for row in rows if row["style"] == style]


# --- the tables ------------------------------------------------------------------------------------------


def _size(rows: Sequence[Row]) -> str:
    failed = [row for row in rows if row["error"] and not row["style"]]
    runs = _of(rows, NAMES[0])
    hours = sum(float(row["seconds"] or 0) for row in runs) / 3600
    hours_read = sum(float(row["diagnosis_seconds"] or 0) for row in rows) / 3600
    lines = []
    for part in ("fit", "calibrate", "test", "held-out"):
        mine = [row for row in runs if row["part"] == part]
        outcomes = Counter(row["outcome"] for row in mine)
        configurations = len({row["configuration"] for row in mine})
        healthy = len({row["configuration"] for row in mine if clean(row)})
        grey = f"{outcomes['grey'] / len(mine):.1%}" if mine else "–"
        lines.append((
            part, configurations, len(mine), f"{outcomes[HEALTHY_OUTCOME]} ({sum(map(clean, mine))} without a true"
            f" mechanism, of {healthy} configurations)", outcomes[ILL], outcomes["grey"], grey,
        ))  # fmt: skip
    head = ("part", "configurations", "runs", "healthy", "ill", "grey", "share of grey")
    text = [
        f"{len(runs)} runs of {len({row['configuration'] for row in runs})} configurations;"
        f" {hours:.2f} hours of one core to train, {hours_read:.2f} to diagnose in {len(NAMES)} styles;"
        f" {len(failed)} configurations crashed, {sum(bool(row['error']) for row in rows) - len(failed)} diagnoses;"
        f" {sum(row['runs'] not in {'', '1'} for row in runs)} logs were read as several runs, or none.",
        *(f"- {row['configuration']}: {row['error']}" for row in failed[:20]),
        "", *_table(head, lines),
    ]  # fmt: skip
    return _section("The study", text)


def _by_style(test: Sequence[Row]) -> list[str]:
    lines = []
    for style in NAMES:
        mine = _of(test, style)
        ill = [row for row in mine if row["outcome"] == ILL]
        hidden = [row for row in ill if row["visible"] != "1"]
        visible = [row for row in ill if row["visible"] == "1"]
        strict = visible + [row for row in hidden if row["primary"]]
        lines.append((
            style, share(visible, right), share(strict, right),
            f"{sum(not row['primary'] for row in hidden)} of {len(hidden)}",
            share(visible, lambda row: row["verdict"] == "healthy"), share([r for r in mine if clean(r)], alarmed),
            sum(alarmed(row) and clean(row) and row["primary"] in row["grey"].split() for row in mine),
        ))  # fmt: skip
    head = (
        "logged", "primary right, of ill runs that show it", "wrong names where nothing shows counted in",
        "silent where nothing shows", "ill called healthy", "false alarms on healthy runs", "of them naming a grey code",
    )  # fmt: skip
    return _table(head, lines)


def _codes(test: Sequence[Row]) -> list[str]:
    """By style: recall among runs in which the code is true and was examined, precision where truth is known."""
    codes = sorted({code for row in test for code in (*row["true"].split(), *found(row))})
    lines = []
    for code in codes:
        cells: list[str] = [code]
        for style in NAMES:
            mine = _of(test, style)
            true = [row for row in mine if code in row["true"].split()]
            examined = [row for row in true if code in row["examined"].split()]
            called = [row for row in mine if code in found(row) and _state(row, code) != "unknown"]
            hits = sum(code in found(row) for row in examined)
            good = sum(code in row["true"].split() for row in called)
            noted = sum(code in mentioned(row) for row in examined)
            more = f" (+{noted} as information)" if noted else ""
            cells.append(f"{_ratio(hits, len(examined))}{more} of {len(true)}; {_ratio(good, len(called))}")
        lines.append(cells)
    return [
        "Recall: found of those examined, of all runs in which it is true. Then precision: true of those found;"
        " runs in which it is grey or was not measured are left out. Per-code rates are reported, not promised.",
        "", *_table(("code", *NAMES), lines),
    ]  # fmt: skip


def _ratio(k: int, n: int) -> str:
    return f"{k}/{n}" + (f" = {k / n:.0%}" if n else "")


def _state(row: Row, code: str) -> str:
    """true, false or unknown. What the lab does not measure is absent from a healthy run without a fault."""
    for state in ("true", "false"):
        if code in row[state].split():
            return state
    unmeasured = code not in row["grey"].split()
    return "false" if unmeasured and row["outcome"] == HEALTHY_OUTCOME and not row["fault"] else "unknown"


def _onsets(test: Sequence[Row]) -> list[str]:
    lines = []
    for style in NAMES:
        errors = []
        for row in _of(test, style):
            onsets = dict(one.split(":") for one in row["onsets"].split())
            if row["primary"] in onsets and right(row):
                errors.append((int(row["onset"]) - int(onsets[row["primary"]])) / int(row["steps"]))
        if errors:
            size = np.abs(errors)
            lines.append((
                style, len(errors), f"{np.median(errors):+.1%}", f"{np.median(size):.1%}",
                f"{np.quantile(size, 0.9):.1%}",
            ))  # fmt: skip
    head = ("logged", "runs", "median error", "median size", "90% of sizes below")
    return ["Share of the run's length; positive: found later than it began.", "", *_table(head, lines)]


def _confusion(test: Sequence[Row]) -> list[str]:
    """The first acceptable primary against the one that was named."""
    pairs: dict[str, Counter[str]] = defaultdict(Counter)
    for row in _of(test, PEER_STYLE):
        if row["outcome"] == "grey":
            continue
        wanted = row["acceptable"].split()
        named = row["primary"] or "none"
        first = (named if named in wanted else wanted[0]) if wanted else "none"
        pairs[first][named] += 1
    named = sorted({name for counts in pairs.values() for name in counts})
    lines = [(first, *(pairs[first][name] or "" for name in named)) for first in sorted(pairs)]
    return [
        "Rows: the acceptable primary (the one named, if it is among them, else the first). Columns: named.",
        "", *_table(("", *named), lines),
    ]  # fmt: skip


def _confidence(mine: Sequence[Row], rows: Sequence[Row]) -> list[str]:
    """As printed, and as a model that is fitted on the part *fit* of `rows` would have it."""
    fit = [row for row in rows if row["part"] == "fit"]
    lab, told = None, f"it takes {calibrate.FEWEST} primaries of other runs, there are {len(judged(fit))}"
    if len(judged(fit)) >= calibrate.FEWEST:
        lab = calibrate.fit(fit)
        told = f"fitted on {lab['primaries']} primaries of {lab['configurations']} configurations of *fit*"
    test = judged(mine)
    lines = []
    for name, group in (("all styles", test), *((style, _of(test, style)) for style in NAMES)):
        if len(group) < 10:
            continue
        truth = np.array([right(row) for row in group], float)
        clusters = [row["configuration"] for row in group]
        lines.append((name, "printed", *_calibration(_printed(group), truth, clusters)))
        if lab:
            fitted = np.array([calibrate.predicted(lab, row) for row in group])
            lines.append((name, "fitted", *_calibration(fitted, truth, clusters)))
    head = (
        "logged", "confidence", "n", "mean", "right", "ECE (95%)", "ECE of a perfect one at this n (95%)",
        "Brier", "slope", "five bins: confidence → right",
    )  # fmt: skip
    return [
        f"Printed: as the diagnosis gave it. Fitted: {told}.",
        "",
        *_table(head, lines),
    ]


def _printed(rows: Sequence[Row]) -> Array:
    return np.array([float(row["confidence"]) for row in rows])


def _calibration(confidence: Array, truth: Array, clusters: Sequence[str]) -> tuple[object, ...]:
    low, high = calibration_interval(confidence, truth, clusters)
    mean, band = perfect_calibration(confidence)
    bins = ", ".join(
        f"{confidence[part].mean():.2f} → {truth[part].mean():.2f}" for part in bins_of(confidence)
    )
    slope = calibration_slope(confidence, truth)
    return (
        len(truth), f"{confidence.mean():.3f}", f"{truth.mean():.3f}",
        f"{calibration_error(confidence, truth):.3f} ({low:.3f}–{high:.3f})",
        f"{mean:.3f} ({band[0]:.3f}–{band[1]:.3f})", f"{brier(confidence, truth):.3f}",
        "–" if math.isnan(slope) else f"{slope:.2f}", bins,
    )  # fmt: skip


def _promise(rows: Sequence[Row]) -> list[str]:
    lines: list[tuple[object, ...]] = []
    allowed: dict[str, dict[str, str]] = {}
    for style in NAMES:
        mine = _of(rows, style)
        made = promise(mine)
        if made.limit is None:
            lines.append((style, made.healthy, f"none: it takes {math.ceil(1 / ALPHA - 1)}", "", "", ""))
            continue
        low, high = made.band
        over = [row | {"over": made.ranks.of(row) > made.limit} for row in mine if row["part"] == "test"]
        lines.append((
            style, made.healthy, f"{made.limit:.3f}", f"{low:.1%}–{high:.1%}",
            share([row for row in over if clean(row)], lambda row: row["over"]),
            share([row for row in over if shown(row)], lambda row: row["over"]),
        ))  # fmt: skip
        for code, factor in made.allowed.items():
            allowed.setdefault(code, {})[style] = f"{factor:g}"
    factors = [(code, *(by.get(name, "–") for name in NAMES)) for code, by in sorted(allowed.items())]
    head = (
        "logged", "healthy calibrate runs, one a configuration", "threshold", "5–95% band of the level",
        "test: healthy runs above it", "test: ill runs above it",
    )  # fmt: skip
    return [
        "A run's score is the largest of its codes' ranks among the healthy runs of *fit* (within its family where"
        f" that has {FEWEST_OF_A_FAMILY}); the threshold holds for runs exchangeable with these. Real logs are not.",
        "", *_table(head, lines),
        "", "The factor on a code's thresholds of today (1; looser below) from which a run would be over that threshold,"
        " pooled over families; –: from none that was tried. `gandoctor lab calibrate` tightens those over 1.",
        "", *_table(("code", *NAMES), factors),
    ]  # fmt: skip


def _peers(test: Sequence[Row]) -> list[str]:
    mine = _of(test, PEER_STYLE)
    healthy, ill = [row for row in mine if clean(row)], [row for row in mine if row["outcome"] == ILL]

    def fires(rule: str) -> Callable[[Row], bool]:
        return lambda row: rule in row["peers"].split()

    lines: list[tuple[str, ...]] = []
    for rule in RULES:
        lines.append((rule, RULES[rule], share(healthy, fires(rule)), share(ill, fires(rule)), ""))
    for style in (NAMES[0], PEER_STYLE):
        own = _of(test, style)
        groups = (
            [row for row in own if clean(row)],
            [row for row in own if row["outcome"] == ILL],
            [row for row in own if shown(row)],
        )
        peers = (lambda row: bool(row["peers"]),) * 2 + (
            lambda row: named_by_peers(row) in row["acceptable"].split(),
        )
        ours = (alarmed, alarmed, right)
        for who, hits in (("any of them", peers), ("gandoctor", ours)):
            lines.append((f"{who}, {style}", "", *(share(*pair) for pair in zip(groups, hits, strict=True))))
    return _table(("rule", "names", "fires on healthy runs", "on ill runs", "primary right"), lines)


def _transfer(test: Sequence[Row], out: Sequence[Row]) -> list[str]:
    groups: list[tuple[str, list[Row]]] = [("all", list(test))]
    for what in ("fault", "family", "data", "tags") if out else ():
        groups.append((f"held-out {what}", [row for row in out if what in row["held"].split()]))
    for column in ("family", "data", "tags"):
        names = sorted({row[column] for row in test})
        groups += [(name, [row for row in test if row[column] == name]) for name in names]
    lines = []
    for name, group in groups:
        for style in (NAMES[0], PEER_STYLE, NAMES[-1]):
            mine = _of(group, style)
            lines.append((
                name, style, share([row for row in mine if shown(row)], right),
                share([row for row in mine if clean(row)], alarmed),
            ))  # fmt: skip
    return _table(("runs", "logged", "primary right", "false alarms on healthy"), lines)


def _doses(rows: Sequence[Row]) -> list[str]:
    mine = _of(rows, PEER_STYLE)
    lines = []
    for kind in ("healthy", "varied", "near", "edge", "full"):
        group = [row for row in mine if row["kind"] == kind]
        outcomes = Counter(row["outcome"] for row in group)
        told = ", ".join(f"{name} {outcomes[name]}" for name in (HEALTHY_OUTCOME, "grey", ILL))
        lines.append((
            kind, told, share([row for row in group if shown(row)], right),
            share([row for row in group if clean(row)], alarmed),
        ))  # fmt: skip
    faults = [(row["fault"], [r for r in mine if r["fault"] == row["fault"] and r["kind"] in {"edge", "full"}])
              for row in {row["fault"]: row for row in mine if row["fault"]}.values()]  # fmt: skip
    by_fault = [
        (name, len(group), share([row for row in group if shown(row)], right))
        for name, group in sorted(faults, key=lambda one: one[0])
    ]
    return [
        *_table(("configurations", "outcomes", "primary right", "false alarms on healthy"), lines),
        "", *_table(("fault, at the edge and in full", "runs", "primary right"), by_fault),
    ]  # fmt: skip


def _wrong(test: Sequence[Row]) -> list[str]:
    """One line a configuration and style in which something was wrong, with how many of its runs."""
    wrong: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in test:
        if clean(row) and alarmed(row):
            wrong["false alarm", row["style"], row["configuration"], row["primary"]].append(row)
        elif row["outcome"] == ILL and not right(row) and (row["visible"] == "1" or row["primary"]):
            wrong["wrong or missed", row["style"], row["configuration"], row["primary"] or "none"].append(row)
    lines = [
        (what, style, f"`{one}`", len(rows), named, rows[0]["acceptable"], rows[0]["true"])
        for (what, style, one, named), rows in sorted(wrong.items())
    ]
    head = ("what", "logged", "configuration", "runs", "named", "acceptable (first run)", "true (first run)")
    return _table(head, lines)
