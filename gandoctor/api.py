"""The Python interface: load, diagnose, write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gandoctor.config import Config
from gandoctor.errors import UserError
from gandoctor.judge.diagnose import diagnose_run
from gandoctor.judge.diagnosis import Diagnosis
from gandoctor.readers.load import load_all
from gandoctor.run import Run

__all__ = ["diagnose", "diagnose_all", "load", "load_all", "write"]


def load(path: str | Path) -> Run:
    """The one run at or below `path`. Raises UserError if there is none, or more than one."""
    runs = load_all(path)
    if not runs:
        raise UserError("no training log was found there", where=str(path))
    if len(runs) > 1:
        names = ", ".join(run.name for run in runs[:8])
        raise UserError(
            f"{len(runs)} runs are there: {names}", where=str(path), hint="load_all gives them all"
        )
    return runs[0]


def diagnose(run: Run | str | Path, config: Config | None = None) -> Diagnosis:
    """The diagnosis of one run, or of the one run at a path."""
    return diagnose_run(run if isinstance(run, Run) else load(run), config)


def diagnose_all(path: str | Path, config: Config | None = None) -> list[Diagnosis]:
    """The diagnoses of every run at or below a path."""
    return [diagnose_run(run, config) for run in load_all(path)]


def write(
    diagnoses: Diagnosis | Sequence[Diagnosis], path: str | Path, format: str = "", lang: str = "en"
) -> None:
    """Write a report. format: by the path's suffix unless given."""
    from gandoctor.reports import write_report

    several = [diagnoses] if isinstance(diagnoses, Diagnosis) else list(diagnoses)
    write_report(several, Path(path), format=format, lang=lang)
