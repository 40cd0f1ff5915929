"""Diagnose a folder of labelled real runs and print: id, label, verdict, primary, whether they agree.

    python tests/bench/corpus.py [../shared/corpus]

The folder holds `labels.csv` (id, kind, label, primary, also) and a folder for each id. Rows whose kind
begins with "scalars" count; borderline and reader-only rows are shown and not scored. Where a folder
holds several runs, the one with the most points stands for it; all are shown.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from gandoctor.api import diagnose_all
from gandoctor.judge.diagnosis import Diagnosis
from gandoctor.stats import wilson

VERDICT = {"healthy": "healthy", "warning": "warning", "ill": "failing", "too-short": "unknown"}


def points(diagnosis: Diagnosis) -> int:
    """The points of the run's longest series."""
    return max((len(one) for one in diagnosis.run.series.values()), default=0)


def main(folder: Path) -> None:
    """Print the table and the counts."""
    agreed = scored = right = named = alarms = 0
    grids: list[bool] = []
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if not (folder / row["id"]).is_dir():
            continue
        diagnoses = diagnose_all(folder / row["id"])
        main_run = max(diagnoses, key=points, default=None)
        counts = row["kind"].startswith("scalars") and row["label"] in VERDICT
        agrees = main_run is not None and main_run.verdict == VERDICT.get(row["label"], "")
        wanted = {row["primary"], *row["also"].split()} - {""}
        primary = main_run.primary.finding.code if main_run is not None and main_run.primary else "-"
        scored += counts
        agreed += counts and agrees
        named += counts and bool(wanted)
        right += counts and bool(wanted) and primary in wanted
        if counts and row["label"] == "healthy":
            alarms += any(d.verdict in ("warning", "failing") for d in diagnoses)
        if row["kind"] == "samples" and main_run is not None:
            # Samples alone never make a run healthy: they agree where nothing, or one of the symptoms, is found.
            ill = main_run.verdict in ("warning", "failing")
            grids.append(ill and primary in wanted if row["label"] == "ill" else not ill)
        mark = " " if not counts else "+" if agrees else "-"
        others = "" if len(diagnoses) < 2 else f"  ({len(diagnoses)} runs: " + ", ".join(
            f"{d.verdict} {points(d)}" for d in diagnoses) + ")"  # fmt: skip
        verdict = main_run.verdict if main_run is not None else "no run"
        print(
            f"{mark} {row['id']:32} {row['label']:12} {row['primary'] or '-':6} {verdict:8} {primary:6}{others}"
        )
    low, high = wilson(agreed, scored)
    print(
        f"\nlabels agreed with: {agreed} of {scored} ({agreed / max(scored, 1):.0%}, {low:.0%} to {high:.0%})"
    )
    low, high = wilson(right, named)
    print(f"primaries right:    {right} of {named} ({right / max(named, 1):.0%}, {low:.0%} to {high:.0%})")
    print(f"healthy runs called warning or failing: {alarms}")
    print(f"sample rows agreed with: {sum(grids)} of {len(grids)}")


if __name__ == "__main__":
    default = Path(__file__).parents[2].parent / "shared" / "corpus"
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else default)
