"""What early stopping saves: replays the logs of trained runs and asks at each twentieth whether to stop.

    gandoctor lab detect STUDY --runs 160 --seed 100000 --jobs 2 --keep
    python tests/bench/early_stop.py STUDY --jobs 2

Any folder with runs of the reference trainer below it will do: what is true of them stands in their truth.json.

Of the ill runs that log anything that shows it: how many would have been stopped, and what share of all
their steps that saves. Of the healthy ones: how many would have been stopped, and when. Three rules are
compared: to stop at the first look that fails, and to stop if the log as it was a tenth earlier, or also a
fifth, failed for the same finding (`gandoctor.watch.EARLIER`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeAlias

from gandoctor.config import Config
from gandoctor.judge.checking import Check, failing, fingerprint
from gandoctor.many import diagnose_one
from gandoctor.readers.load import load_all
from gandoctor.stats import wilson
from gandoctor.trainer.truth import FILE, TRUE
from gandoctor.watch import EARLIER, until

LOOKS = [n / 20 for n in range(1, 21)]
RULES: dict[str, tuple[float, ...]] = {"at once": (), "a tenth earlier, too": EARLIER[:1], "both": EARLIER}
CONFIDENCES = (0.0, 0.5, 0.8)

Row: TypeAlias = dict[str, str]
Failing = dict[str, tuple[str, float]]  # fingerprint → code, confidence


def row_of(folder: Path) -> Row:
    """What is true of the run in a folder."""
    truth = json.loads((folder / FILE).read_text(encoding="utf-8"))
    true = sorted(code for code, it in truth["codes"].items() if it["state"] == TRUE)
    return {
        "folder": f"{folder.parent.name}/{folder.name}", "family": truth["family"], "data": truth["data"],
        "fault": truth["fault"], "outcome": truth["outcome"], "visible": str(int(truth["visible"])),
        "true_codes": " ".join(true), "acceptable_primaries": " ".join(truth["acceptable_primaries"]),
    }  # fmt: skip


def share(k: int, n: int) -> str:
    """A share with its interval."""
    low, high = wilson(k, n)
    return f"{k}/{n} ({low:.2f}-{high:.2f})"


def replayed(folder: Path) -> dict[float, Failing]:
    """What fails a check at each look and at the shares before it that the rules ask for."""
    runs = load_all(folder)
    if not runs:
        return {}
    run = max(runs, key=lambda one: max((len(s) for s in one.series.values()), default=0))
    places = {round(at * back, 6) for at in LOOKS for back in (1.0, *EARLIER)}
    found = {}
    for place in sorted(places):
        diagnosis = diagnose_one(until(run, place), Config())
        found[place] = {
            fingerprint(diagnosis, one): (one.finding.code, one.confidence)
            for one in failing(diagnosis, Check(), Config())
        }
    return found


def stopped_at(
    found: Mapping[float, Failing], earlier: Sequence[float], least: float
) -> tuple[float, str] | None:
    """The share of the run at which a rule stops it, and the code; None if it never does."""
    for at in LOOKS:
        now = {key: one for key, one in found.get(at, {}).items() if one[1] >= least}
        for back in earlier:
            before = found.get(round(at * back, 6), {})
            now = {key: one for key, one in now.items() if key in before and before[key][1] >= least}
        if now:
            return at, min(code for code, _ in now.values())
    return None


def report(rows: Sequence[Row], replays: Sequence[Mapping[float, Failing]]) -> str:
    """The table of rules, then every healthy run that the strictest would have stopped."""
    groups: dict[str, list[int]] = {"ill": [], "healthy": [], "harmless": []}
    for number, row in enumerate(rows):
        if row["outcome"] == "ill" and row["visible"] == "1":
            groups["ill"].append(number)
        elif row["outcome"] == "healthy":
            groups["harmless" if row["true_codes"] else "healthy"].append(number)
    lines = [
        f"{len(rows)} runs: {len(groups['ill'])} ill that log what shows it, {len(groups['healthy'])} healthy,"
        f" {len(groups['harmless'])} healthy with a true mechanism; {len(LOOKS)} looks at each",
        "a check at the end fails "
        + ", ".join(
            f"{share(sum(bool(replays[n].get(1.0)) for n in of), len(of))} {kind}"
            for kind, of in groups.items()
        ),
        f"{'rule':22} {'sure':>5}  {'ill runs stopped':22} {'steps saved':>11}  {'healthy stopped':22} harmless",
    ]
    for name, earlier in RULES.items():
        for least in CONFIDENCES:
            stops = {
                kind: [stopped_at(replays[number], earlier, least) for number in numbers]
                for kind, numbers in groups.items()
            }
            # Stopped at the last look, nothing is saved, and a check afterwards would say the same.
            early = {kind: [one for one in some if one and one[0] < 1] for kind, some in stops.items()}
            saved = _mean([1 - one[0] for one in early["ill"]], len(groups["ill"]))
            lines.append(
                f"{name:22} {least:5.1f}  {share(len(early['ill']), len(groups['ill'])):22} {saved:11.0%}  "
                f"{share(len(early['healthy']), len(groups['healthy'])):22} "
                f"{len(early['harmless'])}/{len(groups['harmless'])}"
            )
    lines += ["", "healthy runs that would have been stopped, with both earlier looks"]
    for number in groups["healthy"] + groups["harmless"]:
        stop = stopped_at(replays[number], EARLIER, 0.0)
        if stop and stop[0] < 1:
            row = rows[number]
            lines.append(
                f"  {row['folder']} {row['family']} {row['data']} {row['fault'] or '-'}"
                f" {stop[1]} at {stop[0]:.0%}; true {row['true_codes'] or '-'}"
            )
    lines += ["", "ill runs that would not have been stopped, with both earlier looks"]
    for number in groups["ill"]:
        stop = stopped_at(replays[number], EARLIER, 0.0)
        if not stop or stop[0] == 1:
            row = rows[number]
            lines.append(
                f"  {row['folder']} {row['family']} {row['data']} {row['fault'] or '-'}"
                f" acceptable {row['acceptable_primaries']}"
            )
    return "\n".join(lines)


def _mean(values: Sequence[float], count: int) -> float:
    """The mean over `count` of which those that are not listed are 0."""
    return sum(values) / count if count else 0.0


def main() -> None:
    """Replay, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", type=Path, help="a folder with trained runs below it")
    parser.add_argument("--jobs", type=int, default=2, help="processes that diagnose")
    options = parser.parse_args()
    folders = [path.parent for path in sorted(options.study.rglob(FILE))]
    with ProcessPoolExecutor(options.jobs) as pool:
        replays = list(pool.map(replayed, folders))
    print(report([row_of(folder) for folder in folders], replays))


if __name__ == "__main__":
    main()
