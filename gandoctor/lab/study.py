"""The detection study: many configurations, in parallel, resumable after a kill at any moment.

STUDY/study.json          what was asked for
STUDY/rows/ID.json        the rows of a finished configuration, renamed into place once they are on the disk
STUDY/runs/ID/            its runs: while it trains, and after it if they are kept
STUDY/detect.csv.xz       the table of all rows
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from gandoctor import __version__
from gandoctor.errors import UserError
from gandoctor.lab.design import Configuration, draw
from gandoctor.lab.pool import Crew, on_cluster, on_processes, open_folder, progress, write_safely
from gandoctor.lab.table import Row, write_table
from gandoctor.lab.work import FULL, failed, rows_of

PLAN, ROWS, RUNS, TABLE = "study.json", "rows", "runs", "detect.csv.xz"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a study is: with these, and one version of the trainer, it is the same study."""

    runs: int
    seed: int
    side: int = 8  # seeds of a configuration
    steps: int | None = None  # of every run, in place of its data set's own

    def configurations(self) -> list[Configuration]:
        """The configurations, in the order in which they are trained."""
        return draw(self.runs, self.seed, self.side, self.steps)


def detect(
    study: Path,
    plan: Plan,
    *,
    jobs: int = 1,
    scheduler: str = "",
    keep: bool = False,
    resume: bool = False,
    again: bool = False,
) -> Path:
    """Run a study, or what is left of it, and return the path of its table.

    keep: leave the runs in the folder. resume: go on with the study that is there. again: diagnose the runs
    that it kept anew, in place of training. Raises UserError if the folder holds another study, or the disk is
    full: what is done stays.
    """
    if not scheduler and find_spec("torch") is None:
        raise UserError(
            "the lab needs PyTorch, which is not installed", hint="pip install 'gandoctor[torch]'"
        )
    configurations = plan.configurations()
    _open_study(study, plan, configurations, resume or again)
    if again:
        _forget_rows(study)
        configurations = [one for one in configurations if (study / RUNS / one.id).is_dir()]
        keep = True
    done = finished(study)
    waiting = [one for one in configurations if one.id not in done]
    try:
        with progress(len(done), len(done) + len(waiting)) as tell:
            crew = _crew(study, plan, keep, tell)
            if scheduler:  # where runs are kept, its machines must see the study's folder
                on_cluster(scheduler, crew, waiting, shared=keep)
            else:
                on_processes(jobs, crew, waiting)
        return collect(study)
    except OSError as fault:
        if fault.errno not in FULL:
            raise
        raise UserError(
            f"the disk is full: {len(finished(study))} of {len(done) + len(waiting)} configurations are done and kept",
            where=str(study), hint="make room, then run the same command with --resume",
        ) from fault  # fmt: skip


def _open_study(study: Path, plan: Plan, configurations: Sequence[Configuration], resume: bool) -> None:
    drawn = hashlib.sha256(" ".join(one.id for one in configurations).encode()).hexdigest()[:16]
    asked = {"gandoctor": __version__, **asdict(plan), "drawn": drawn}
    open_folder(study, PLAN, asked, ROWS, resume)


def _forget_rows(study: Path) -> None:
    if not (study / RUNS).is_dir():
        raise UserError("no runs were kept there", where=str(study), hint="train with --keep")
    shutil.rmtree(study / ROWS, ignore_errors=True)


def finished(study: Path) -> set[str]:
    """The ids of the configurations that are done."""
    return {path.stem for path in (study / ROWS).glob("*.json")}


def collect(study: Path) -> Path:
    """Write the table of what is done, in the order of the seeds, and return its path."""
    rows: list[Row] = []
    for path in sorted((study / ROWS).glob("*.json")):  # an id begins with its first seed
        rows += json.loads(path.read_text(encoding="utf-8"))
    write_table(rows, study / TABLE)
    return study / TABLE


def _crew(study: Path, plan: Plan, keep: bool, tell: Callable[[Configuration], None]) -> Crew[Configuration]:
    def send(pool: Executor, one: Configuration, shared: bool) -> Future[list[Row]]:
        place = study / RUNS / one.id if shared else None
        return pool.submit(rows_of, one, one.part(plan.seed), place, keep)

    def finish(one: Configuration, rows: Sequence[Row]) -> None:
        write_safely(study / ROWS / f"{one.id}.json", json.dumps(rows) + "\n")
        tell(one)

    return Crew(send, finish, lambda one, error: failed(one, one.part(plan.seed), error))
