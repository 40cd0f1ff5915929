"""What `gandoctor lab` does: from options to a study, its report and its calibration."""

from __future__ import annotations

import csv
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gandoctor.errors import UserError
from gandoctor.lab.table import Row, read_table, write_table
from gandoctor.thresholds import rules_folder, version

CALIBRATED = ("calibration.toml", "thresholds.toml")
TABLE, REPORT, EVALUATIONS = "detect.csv.xz", "detect.md", "evaluations.csv"
_EVALUATION = ("date", "commit", "thresholds", "runs", "test_runs", "seeds")


def detect(study: Path, *, runs: int, seed: int, side: int, steps: int | None, **options: Any) -> Path:
    """Run a study as the options say, and return its table. Raises UserError as `study.detect` does."""
    from gandoctor.lab import study as studies

    plan = studies.Plan(runs=runs, seed=seed, side=side, steps=steps)
    return studies.detect(study, plan, **options)


def report(table: Path, write: Path | None, part: str = "test") -> str:
    """The figures of a table, as Markdown, and where asked for table and figures in the folder `write`.

    Each look at the runs of *test* leaves a line in evaluations.csv there, or beside the table; the part *fit* may
    be looked at as often as one likes. Raises UserError if the table cannot be read or used.
    """
    from gandoctor.lab.report import report as figures

    path = _table_at(table)
    rows = read_table(path)
    text = figures(rows, part)
    folder = write or path.parent
    if write is not None:
        write.mkdir(parents=True, exist_ok=True)
        if path.resolve() != (write / TABLE).resolve():
            write_table(rows, write / TABLE)
        name = REPORT if part == "test" else f"{part}-{REPORT}"
        (write / name).write_text(f"# Detection study: every figure\n\n{text}", encoding="utf-8")
        if part == "test":
            from gandoctor.lab.charts import charts

            for file, svg in charts(rows).items():
                (write / file).write_text(svg, encoding="utf-8")
    if part == "test":
        _note(rows, folder / EVALUATIONS)
    return text


def cure(
    study: Path, *, seed: int, controls: int, screen: int, final: int, steps: int | None, only: Sequence[str],
    most: int | None, **options: Any,
) -> Path:  # fmt: skip
    """Run a cure study as the options say, and return its table. Raises UserError as `cure.cure` does."""
    from gandoctor.lab import cure as studies

    plan = studies.Plan(seed, controls, screen, final, steps, tuple(only), most)
    return studies.cure(study, plan, **options)


def cures(table: Path, *, write: bool = False, root: Path | None = None) -> str:
    """The figures of a cure study, as Markdown; where asked for, they and what they are made from go below `root`.

    Raises UserError if the table cannot be read, or `root` is no checkout.
    """
    from gandoctor.lab import cure as studies
    from gandoctor.lab import cure_table
    from gandoctor.lab.cure_report import report as figures

    if (table / studies.PLAN).is_file():
        rows = studies.rows_in(table)
    else:
        found = table / cure_table.TABLE if table.is_dir() else table
        if not found.is_file():
            raise UserError("no cure study is there", where=str(table), hint="gandoctor lab cure makes one")
        rows = read_table(found, cure_table.COLUMNS)
    rows = [{name: str(row.get(name, "")) for name in cure_table.COLUMNS} for row in rows]
    if not rows:
        raise UserError("no run of this study is done yet", where=str(table))
    text = figures(rows)
    if write:
        root = root or rules_folder().parent
        if not ((root / "rules").is_dir() and (root / "docs").is_dir()):
            raise UserError(
                "no checkout with rules/ and docs/ is there", where=str(root), hint="--root FOLDER"
            )
        (root / "docs" / "lab").mkdir(exist_ok=True)
        write_table(rows, root / "docs" / "lab" / cure_table.TABLE, cure_table.COLUMNS)
        (root / "docs" / "cures.md").write_text(text, encoding="utf-8")
        cure_table.write_efficacy(rows, root / "rules" / "efficacy.csv")
    return text


def calibrate(table: Path, folder: Path | None) -> tuple[Path, Path]:
    """Fit the confidences on the part *fit* of a table, and the promise on *calibrate*; write both.

    folder: where calibration.toml and thresholds.toml lie; rules/ unless given. What is missing there begins as a
    copy of the ones in rules/. Returns their paths. Raises UserError if the table cannot be read, or has too few
    primaries.
    """
    from gandoctor.lab import calibrate as fitting
    from gandoctor.lab import promise

    folder = folder or rules_folder()
    rows = [row for row in read_table(_table_at(table)) if row["style"] and not row["error"]]
    lab = fitting.fit([row for row in rows if row["part"] == "fit"])
    folder.mkdir(parents=True, exist_ok=True)
    for name in CALIBRATED:
        if not (folder / name).is_file():
            shutil.copyfile(rules_folder() / name, folder / name)
    seeds = sorted(int(row["seed"]) for row in rows)
    study = f"the study of seeds {seeds[0]} to {seeds[-1]}, at {commit()}, thresholds {version()}"
    confidences, thresholds = (folder / name for name in CALIBRATED)
    fitting.write(lab, f"part fit of {study}", confidences)
    promise.write(rows, f"parts fit and calibrate of {study}", thresholds)
    return confidences, thresholds


def _table_at(place: Path) -> Path:
    """A table; of a study's folder, the table of what is done."""
    from gandoctor.lab import study as studies

    if (place / studies.PLAN).is_file():
        return studies.collect(place)
    found = place / TABLE if place.is_dir() else place
    if not found.is_file():
        raise UserError(
            "no table of a study is there", where=str(place), hint="gandoctor lab detect makes one"
        )
    return found


def _note(rows: list[Row], path: Path) -> None:
    """Append that the runs of *test* were looked at."""
    seeds = [int(row["seed"]) for row in rows if row["seed"]]
    style = next(row["style"] for row in rows if row["style"])
    mine = [row for row in rows if row["style"] == style]
    new = not path.is_file()
    with path.open("a", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        if new:
            table.writerow(_EVALUATION)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        test = sum(row["part"] == "test" for row in mine)
        table.writerow([now, commit(), version(), len(mine), test, f"{min(seeds)}-{max(seeds)}"])


def commit() -> str:
    """The git commit of this code, with "+changes" where files differ from it; "" outside a checkout."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(here), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        found = git("rev-parse", "--short=12", "HEAD")
        return found + ("+changes" if found and git("status", "--porcelain", "--", str(here.parent)) else "")
    except OSError:
        return ""
