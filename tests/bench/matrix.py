"""The detector matrix: which detector speaks on which fault, on rings, grids and glyphs, and on health.

    python tests/bench/matrix.py --seeds 5 --jobs 2 --keep DIR        # train, diagnose, print the tables
    python tests/bench/matrix.py --reuse DIR --write tests/bench/results

Every fault of the trainer on every data set that it fits, with its usual loss and, where it fits one, a
Wasserstein critic; every healthy baseline; and healthy settings that look like a fault. Each run logs all
that it can: scalars, sample grids, checkpoints. A cell counts runs in which a code was found, as a warning or
worse, of those in which it was true by measurement or by construction; where it was found as information only,
that is told apart. Runs whose truth is unknown or too near the border are left out of both sides. Seeds begin at
9000, on which no threshold was chosen.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from gandoctor.api import diagnose_all
from gandoctor.findings import Severity, State
from gandoctor.judge.diagnosis import Diagnosis
from gandoctor.lab.work import train
from gandoctor.many import start_worker
from gandoctor.trainer import FAULTS, LogConfig, TrainConfig, configure
from gandoctor.trainer.config import BASELINES
from gandoctor.trainer.truth import FALSE, TRUE, UNKNOWN

LOG = LogConfig(level="all", full=True, images=12, checkpoints=6, points=200)

# Healthy by construction, yet near to a fault: what a detector of that fault must not take for it.
LOOKALIKES: dict[str, dict[str, Any]] = {
    "rate-constant": {"lr_end": 1.0, "lr_g": 2e-3, "lr_d": 2e-3},
    "batch-large": {"batch": 256},
    "spectral-norm": {"spectral_norm": True},
}

COLUMNS = (
    "code", "case", "family", "data",
    "runs", "examined", TRUE, f"{TRUE}_found", f"{TRUE}_info", FALSE, f"{FALSE}_found", f"{FALSE}_info",
)  # fmt: skip

# A row of the table in which none of these counts anything is left out of the file.
SAYING = (TRUE, f"{FALSE}_found", f"{FALSE}_info")

Row: TypeAlias = dict[str, str]
Run: TypeAlias = tuple[Mapping[str, Any], Sequence[Diagnosis]]  # its truth, and the diagnoses of its folder


@dataclass(frozen=True, slots=True)
class Case:
    """Some runs that differ in their seed only."""

    name: str
    configs: tuple[TrainConfig, ...]

    @property
    def key(self) -> tuple[str, str, str]:
        """(case, family, data)."""
        return self.name, self.configs[0].family, self.configs[0].data

    def folder(self, root: Path) -> Path:
        """Where its runs lie."""
        return root / "-".join(self.key)


def cases(seeds: Sequence[int], faults: Sequence[str]) -> Iterator[Case]:
    """All cases, healthy ones first."""
    for family, data in BASELINES:
        yield Case("healthy", tuple(configure(family, data, seed=s, log=LOG) for s in seeds))
    for name, changes in LOOKALIKES.items():
        yield Case(name, tuple(replace(configure("ns", "ring8", seed=s, log=LOG), **changes) for s in seeds))
    for fault in (FAULTS[name] for name in faults):
        for data in fault.data:
            fits = [family for family in fault.families if (family, data) in BASELINES]
            critics = [family for family in fits[1:] if family.startswith("wgan")]
            for family in [*fits[:1], *critics[:1]]:
                yield Case(
                    fault.name, tuple(configure(family, data, fault.name, seed=s, log=LOG) for s in seeds)
                )


def runs_of(case: Case, root: Path) -> list[Run]:
    """Train the runs of a case, unless they lie in its folder under `root`, and diagnose them."""
    truths, _ = train(case.configs, case.folder(root))
    return [(truth, diagnose_all(case.folder(root) / f"run{i}")) for i, truth in enumerate(truths)]


def rows_of(cases: Sequence[Case], runs: Sequence[Sequence[Run]]) -> list[Row]:
    """A row a code and case, from the runs of each case."""
    groups: dict[tuple[str, ...], list[Run]] = defaultdict(list)
    for case, mine in zip(cases, runs, strict=True):
        name, family, data = case.key
        for truth, diagnoses in mine:
            ill = "" if truth["fault"] or truth["outcome"] == "healthy" else f", {truth['outcome']}"
            groups[name + ill, family, data].append((truth, diagnoses))
    codes = sorted(
        {line.code for mine in runs for _, found in mine for one in found for line in one.coverage}
    )
    return [
        dict(zip(COLUMNS, (code, *case, *_counts(code, mine)), strict=True))
        for code in codes
        for case, mine in groups.items()
    ]


def _counts(code: str, runs: Sequence[Run]) -> Iterator[str]:
    """The columns from "runs" on."""
    seen: Counter[str] = Counter(runs=len(runs))
    for truth, diagnoses in runs:
        # What the lab does not measure is absent from a healthy run, and unknown in another.
        unmeasured = {"state": FALSE if truth["outcome"] == "healthy" and not truth["fault"] else UNKNOWN}
        side = truth["codes"].get(code, unmeasured)["state"]
        found = {j.finding.severity for one in diagnoses for j in one.findings if j.finding.code == code}
        states = {line.state for one in diagnoses for line in one.coverage if line.code == code}
        seen["examined"] += State.EXAMINED in states
        seen[side] += 1
        if found:
            seen[f"{side}_info" if found == {Severity.INFO} else f"{side}_found"] += 1
    yield from (str(seen[name]) for name in COLUMNS[4:])


def report(rows: Sequence[Row]) -> str:
    """The matrix as Markdown: by code, the cases that make it true, and all runs in which it is false."""
    lines = [
        "| code | examined | found where it is true | of them in | found where it is false: health | else |",
        "|---|---|---|---|---|---|",
    ]
    for code in sorted({row["code"] for row in rows}):
        mine = [row for row in rows if row["code"] == code]
        by_case = {
            name: [row for row in mine if row["case"] == name] for name in {r["case"]: 0 for r in mine}
        }
        true = [f"{name} {_share(group, TRUE)}" for name, group in by_case.items() if _sum(group, TRUE)]
        health = [row for row in mine if row["case"] in {"healthy", *LOOKALIKES}]
        others = [row for row in mine if row not in health]
        examined = f"{_sum(mine, 'examined')}/{_sum(mine, 'runs')}"
        cells = (
            examined, _share(mine, TRUE), ", ".join(true), _share(health, FALSE), _share(others, FALSE),
        )  # fmt: skip
        lines.append(f"| {code} | {' | '.join(cell or '–' for cell in cells)} |")
    return "\n".join(lines)


def _share(rows: Sequence[Row], side: str) -> str:
    """found/runs, with those that were found as information only."""
    info = _sum(rows, f"{side}_info")
    return f"{_sum(rows, f'{side}_found')}/{_sum(rows, side)}" + (f" (+{info} info)" if info else "")


def _sum(rows: Sequence[Row], column: str) -> int:
    return sum(int(row[column]) for row in rows)


def main() -> None:
    """Train, diagnose, count."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="runs of each case")
    parser.add_argument("--first", type=int, default=9_000, help="the first seed")
    parser.add_argument("--jobs", type=int, default=2, help="processes that train")
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=list(FAULTS), metavar="NAME")
    parser.add_argument("--write", type=Path, help="a folder for matrix.csv and matrix.md")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--keep", type=Path, help="train into this folder and keep it")
    where.add_argument(
        "--reuse", type=Path, help="diagnose the runs of an earlier --keep again, train what is missing"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = options.reuse or options.keep or Path(scratch)
        seeds = range(options.first, options.first + options.seeds)
        chosen = list(cases(seeds, options.faults))
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(options.jobs, mp_context=context, initializer=start_worker) as pool:
            rows = rows_of(chosen, list(pool.map(runs_of, chosen, [root] * len(chosen))))
    print(report(rows))
    if options.write:
        with (options.write / "matrix.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            table.writeheader()
            table.writerows(row for row in rows if any(int(row[name]) for name in SAYING))
        (options.write / "matrix.md").write_text(report(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
