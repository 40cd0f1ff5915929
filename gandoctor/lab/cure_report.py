"""`docs/cures.md`: every figure of a cure study, made from its table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gandoctor.judge.efficacy import Efficacy, efficacy_of
from gandoctor.judge.rules import load_rules
from gandoctor.lab.cure import first_ranked
from gandoctor.lab.cure_design import FINALISTS, ILL, PRECEDENCE
from gandoctor.lab.cure_table import control_of, cured, done, entries_of, gone, later_cured, tally, tried
from gandoctor.lab.table import Row
from gandoctor.stats import newcombe, wilson

HEAD = """# What cures

Measured by the lab on small GANs, against a control; [the lab](lab.md) tells how. *Cured*: healthy at the end of the
run by held-out truth that no detector reads. *Gone*: the symptom is absent, whatever else is wrong. *Twice the budget*:
cured after as many steps again, at the last rates. Intervals are 95%: of a share by Wilson, of the lift over the
control by Newcombe. A cure on a small GAN is evidence, not proof, for yours.
"""


def report(rows: Sequence[Row]) -> str:
    """The figures as Markdown."""
    parts = [HEAD, *_size(rows), "\n## The configurations\n", *_configurations(rows)]
    codes = [code for code in PRECEDENCE if any(row["code"] == code for row in rows)]
    found = efficacy_of(entries_of(rows))
    for code in codes:
        parts += [f"\n## {code}: {load_rules()[code].title.en}\n", *_symptom(rows, code, found.get(code))]
    parts += ["\n## The first-ranked remedy, on other configurations\n", *_judged(rows)]
    parts += ["\n## Surprises\n", *_surprises(rows)]
    return "\n".join(parts).rstrip("\n") + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [f"| {' | '.join(map(str, row))} |" for row in rows]
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *lines] if lines else ["None."]


def _share(k: int, n: int) -> str:
    if not n:
        return "–"
    low, high = wilson(k, n)
    return f"{k}/{n} ({100 * low:.0f}–{100 * high:.0f}%)"


def _lift(runs: Sequence[Row], control: Sequence[Row]) -> str:
    numbers = tally(runs, control)
    low, high = newcombe(*numbers.numbers())
    lift = numbers.cured / numbers.tried - numbers.control_cured / numbers.control_tried
    return f"{100 * lift:+.0f} ({100 * low:+.0f} to {100 * high:+.0f})"


def _size(rows: Sequence[Row]) -> list[str]:
    seconds = sum(float(row["seconds"] or 0) for row in done(rows))
    crashed = len(rows) - len(done(rows))
    names = dict.fromkeys(row["configuration"] for row in rows)
    commands = dict.fromkeys(row["command"] for row in rows)
    final = sum(entry.stage == "final" for entry in entries_of(rows))
    return [
        f"{len(rows)} runs of {len(names)} configurations, {seconds / 3600:.2f} core-hours of training; {crashed} runs"
        f" crashed. {final} rows of the final stage. Made by "
        + ", ".join(f"`{one}`" for one in commands)
        + "."
    ]


def _configurations(rows: Sequence[Row]) -> list[str]:
    lines = []
    for name in dict.fromkeys(row["configuration"] for row in rows):
        mine = [row for row in rows if row["configuration"] == name]
        control = control_of(rows, name, "control")
        ill = sum(row["outcome"] == "ill" for row in control)
        known = next((row for row in mine if row["code"]), None)
        seen: dict[str, int] = {}
        for row in control:
            for code in str(row["true"]).split() if row["outcome"] == "ill" else ():
                seen[code] = seen.get(code, 0) + 1
        shows = ", ".join(f"{code} {count}" for code, count in sorted(seen.items(), key=lambda one: -one[1]))
        why = "not ill enough" if ill < ILL * len(control) else "no one symptom"
        lines.append(
            (
                f"`{name}`", mine[0]["family"], mine[0]["data"], _share(ill, len(control)), shows or "–",
                known["code"] if known else f"apart: {why}", known["split"] if known else "–",
            )
        )  # fmt: skip
    text = (
        f"A configuration enters if at least {100 * ILL:.0f}% of its control seeds are ill; the others stand apart. Of"
        " one symptom, configurations rank remedies and judge what was ranked, in turn.\n"
    )
    return [text, *_table(("configuration", "family", "data", "ill", "with", "symptom", "split"), lines)]


def _symptom(rows: Sequence[Row], code: str, found: Efficacy | None) -> list[str]:
    lines: dict[str, list[tuple[object, ...]]] = {"final": [], "screen": []}
    for row, runs, control in tried(rows):
        if row["code"] != code:
            continue
        name = f"`{row['remedy']}`" + ("" if str(row["own"]) == "1" else f" (of {row['origin']})")
        one = tally(runs, control)
        common = (name, f"`{row['configuration']}`", _share(one.cured, one.tried))
        if row["stage"] == "final":
            lines["final"].append((
                *common, _share(one.control_cured, one.control_tried), _lift(runs, control),
                f"{sum(map(later_cured, runs))}/{len(runs)}; {sum(map(later_cured, control))}/{len(control)}",
                f"{sum(gone(r, code) for r in runs)}/{len(runs)}; {sum(gone(r, code) for r in control)}/{len(control)}",
            ))  # fmt: skip
        else:
            lines["screen"].append(
                (*common[:2], f"{one.cured}/{one.tried}", f"{sum(gone(r, code) for r in runs)}/{len(runs)}")
            )
    text = []
    if found is not None:
        order = sorted(found.by_remedy, key=lambda id: -found.lift(id))
        ranked = [
            (place, f"`{id}`", _share(*found.by_remedy[id].numbers()[:2]), _share(*found.by_remedy[id].numbers()[2:]),
             f"{100 * found.lift(id):+.0f}")
            for place, id in enumerate(order, start=1)
        ]  # fmt: skip
        text += ["Ranked by the posterior mean of the lift, configurations pooled:\n"]
        text += [*_table(("", "remedy", "cured", "control", "lift"), ranked), ""]
    head = (
        "remedy",
        "configuration",
        "cured",
        "control",
        "lift",
        "twice the budget; control",
        "gone; control",
    )
    text += ["Final runs:\n", *_table(head, lines["final"])]
    text += ["\nScreening, which only chooses what goes on:\n"]
    return [*text, *_table(("remedy", "configuration", "cured", "gone"), lines["screen"])]


def _judged(rows: Sequence[Row]) -> list[str]:
    """The rate of what ranked first, on configurations that had no part in the ranking."""
    firsts = first_ranked(rows, load_rules())
    lines = []
    total: list[tuple[list[Row], list[Row]]] = []
    for code, remedy in firsts.items():
        judged = [
            (runs, control)
            for row, runs, control in tried(rows)
            if (row["code"], row["remedy"], row["stage"], row["split"]) == (code, remedy, "final", "judge")
        ]
        runs, control = _joined(judged)
        names = ", ".join(f"`{pair[0][0]['configuration']}`" for pair in judged)
        if not judged:
            lines.append(
                (code, f"`{remedy}`", "no other configuration, or it does not apply there", "–", "–", "–")
            )
            continue
        total.append((runs, control))
        lines.append((
            code, f"`{remedy}`", names, _share(sum(map(cured, runs)), len(runs)),
            _share(sum(map(cured, control)), len(control)), _lift(runs, control),
        ))  # fmt: skip
    if total:
        runs, control = _joined(total)
        lines.append((
            "all", "", "", _share(sum(map(cured, runs)), len(runs)),
            _share(sum(map(cured, control)), len(control)), _lift(runs, control),
        ))  # fmt: skip
    return _table(("symptom", "first-ranked", "judged on", "cured", "control", "lift"), lines)


def _joined(pairs: Iterable[tuple[list[Row], list[Row]]]) -> tuple[list[Row], list[Row]]:
    """The runs of several pairs, and their controls."""
    pairs = list(pairs)
    return [row for runs, _ in pairs for row in runs], [row for _, control in pairs for row in control]


def _surprises(rows: Sequence[Row]) -> list[str]:
    """Remedies of the rules that cured none of the final runs, or did worse than nothing; and strangers that cured."""
    lines = []
    for row, runs, control in tried(rows):
        if row["stage"] != "final":
            continue
        one = tally(runs, control)
        low, high = newcombe(*one.numbers())
        own = str(row["own"]) == "1"
        if own and high < 0:
            what = "harms"
        elif own and not one.cured:
            what = "does not cure"
        elif not own and low > 0:
            what = f"cures, and is not among the remedies of {row['code']}"
        else:
            continue
        lines.append((
            f"`{row['remedy']}`", row["code"], f"`{row['configuration']}`", what, _share(one.cured, one.tried),
            _share(one.control_cured, one.control_tried),
        ))  # fmt: skip
    text = f"Of the {FINALISTS} best of each screening.\n"
    return [text, *_table(("remedy", "symptom", "configuration", "", "cured", "control"), lines)]
