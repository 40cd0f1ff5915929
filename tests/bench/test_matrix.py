from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gandoctor.trainer import configure
from tests.bench.matrix import LOG, Case, report, rows_of, runs_of

pytest.importorskip("torch")


def test_a_case_is_trained_once_and_counted(tmp_path: Path) -> None:
    short = {"log": replace(LOG, images=1, checkpoints=1, points=60), "steps": 60}
    made = [
        Case("healthy", (configure("ns", "ring8", seed=1, **short),)),
        Case("swapped-labels", (configure("ns", "ring8", "swapped-labels", seed=2, **short),)),
    ]
    runs = [runs_of(case, tmp_path) for case in made]
    again = runs_of(made[0], tmp_path)  # from what lies there
    assert again[0][0] == runs[0][0][0]
    rows = {(row["code"], row["case"]): row for row in rows_of(made, runs)}
    swapped = next(
        row for (code, case), row in rows.items() if code == "GD701" and case.startswith("swapped")
    )
    assert (swapped["runs"], swapped["true"], swapped["examined"]) == ("1", "1", "1")
    assert "| GD701 |" in report(list(rows.values()))
