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
import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from gandoctor.trainer import FAULTS, LogConfig, TrainConfig, configure
from gandoctor.trainer.config import BASELINES
from gandoctor.trainer.truth import FALSE, FILE, TRUE, UNKNOWN
from tests.bench.trained import Group, Row, call_all, train_all

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

Run: TypeAlias = tuple[dict[str, Any], list[dict[str, Any]]]  # its truth, and the diagnoses of its folder


@dataclass(frozen=True, slots=True)
class Case:
    """Some runs that differ in their seed only."""

    name: str
    configs: tuple[TrainConfig, ...]

    @property
    def key(self) -> tuple[str, str, str]:
        """(case, family, data)."""
        return self.name, self.configs[0].family, self.configs[0].data


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


def rows_of(root: Path, index: Sequence[Row], calls: Sequence[Sequence[dict[str, Any]]]) -> list[Row]:
    """A row a code and case. index: the rows of index.csv, calls: the diagnoses of each, as JSON has them."""
    groups: dict[tuple[str, ...], list[Run]] = defaultdict(list)
    for row, runs in zip(index, calls, strict=True):
        truth = json.loads((root / row["folder"] / FILE).read_text(encoding="utf-8"))
        ill = "" if truth["fault"] or truth["outcome"] == "healthy" else f", {truth['outcome']}"
        groups[row["tags"] + ill, row["family"], row["data"]].append((truth, runs))
    codes = sorted({line["code"] for runs in calls for run in runs for line in run["coverage"]})
    return [
        dict(zip(COLUMNS, (code, *case, *_counts(code, runs)), strict=True))
        for code in codes
        for case, runs in groups.items()
    ]


def _counts(code: str, runs: Sequence[Run]) -> Iterator[str]:
    """The columns from "runs" on."""
    seen: Counter[str] = Counter(runs=len(runs))
    for truth, diagnoses in runs:
        # What the lab does not measure is absent from a healthy run, and unknown in another.
        unmeasured = {"state": FALSE if truth["outcome"] == "healthy" and not truth["fault"] else UNKNOWN}
        side = truth["codes"].get(code, unmeasured)["state"]
        findings = [one["severity"] for run in diagnoses for one in run["findings"] if one["code"] == code]
        lines = [line for run in diagnoses for line in run["coverage"] if line["code"] == code]
        seen["examined"] += any(line["state"] == "examined" for line in lines)
        seen[side] += 1
        if findings:
            seen[f"{side}_info" if set(findings) == {"info"} else f"{side}_found"] += 1
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
    where.add_argument("--reuse", type=Path, help="diagnose the runs of an earlier --keep again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = options.reuse or options.keep or Path(scratch)
        if not options.reuse:
            seeds = range(options.first, options.first + options.seeds)
            groups: list[Group] = [
                [(config, case.name) for config in case.configs] for case in cases(seeds, options.faults)
            ]
            train_all(groups, root, options.jobs)
        with (root / "index.csv").open(encoding="utf-8", newline="") as file:
            index = list(csv.DictReader(file))
        rows = rows_of(root, index, call_all(root, [row["folder"] for row in index]))
    print(report(rows))
    if options.write:
        with (options.write / "matrix.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
        (options.write / "matrix.md").write_text(report(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
