"""The detection study: many configurations, in parallel, resumable after a kill at any moment.

STUDY/study.json          what was asked for
STUDY/rows/ID.json        the rows of a finished configuration, renamed into place once they are on the disk
STUDY/runs/ID/            its runs: while it trains, and after it if they are kept
STUDY/detect.csv.xz       the table of all rows
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gandoctor import __version__
from gandoctor.errors import UserError
from gandoctor.lab.design import Configuration, draw
from gandoctor.lab.table import Row, write_table
from gandoctor.lab.work import FULL, failed, rows_of
from gandoctor.many import start_worker

PLAN, ROWS, RUNS, TABLE = "study.json", "rows", "runs", "detect.csv.xz"
_DIED = "the process that trained it died, twice: out of memory?"


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


Open = Callable[[int], Executor]  # processes -> what runs them


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
        with _progress(len(done), len(done) + len(waiting)) as tell:
            if scheduler:
                _on_cluster(scheduler, study, plan, waiting, keep, tell)
            else:
                _on_processes(jobs, study, plan, waiting, keep, tell)
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
    path = study / PLAN
    if path.is_file():
        there = _plan_of(path)
        if there != asked:
            told = ", ".join(f"{key} {there.get(key)}" for key in asked if there.get(key) != asked[key])
            raise UserError(
                f"another study is there: {told}", where=str(study), hint="choose a folder of its own"
            )
        if not resume:
            raise UserError("a study is there already", where=str(study), hint="--resume goes on with it")
        return
    if study.is_dir() and any(study.iterdir()):
        raise UserError("the folder is not empty, and holds no study", where=str(study))
    (study / ROWS).mkdir(parents=True, exist_ok=True)
    _write_safely(path, json.dumps(asked, indent=1) + "\n")


def _plan_of(path: Path) -> dict[str, Any]:
    try:
        there: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise UserError(f"cannot be read: {fault}", where=str(path)) from fault
    return there


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


def _write_safely(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all, whenever a kill comes."""
    part = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


# --- in parallel -----------------------------------------------------------------------------------------

Told = Callable[[Configuration], None]


def _on_processes(
    jobs: int, study: Path, plan: Plan, waiting: Sequence[Configuration], keep: bool, tell: Told
) -> None:
    """Work in local processes. A configuration whose process dies is tried once more, alone."""

    def pool(processes: int) -> Executor:
        context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
        return ProcessPoolExecutor(processes, mp_context=context, initializer=start_worker)

    os.environ.setdefault("OMP_NUM_THREADS", "1")  # theirs: so small networks gain nothing from more
    left = deque(waiting)
    while left:
        for suspect in _until_broken(pool, jobs, study, plan, left, keep, tell):
            if _until_broken(pool, 1, study, plan, deque([suspect]), keep, tell):
                _finish(study, suspect, failed(suspect, suspect.part(plan.seed), _DIED), tell)


def _on_cluster(
    address: str, study: Path, plan: Plan, waiting: Sequence[Configuration], keep: bool, tell: Told
) -> None:
    """Work on a Dask cluster. Where runs are kept, its machines must see the study's folder."""
    try:
        from distributed import Client
    except ModuleNotFoundError as missing:
        raise UserError(
            "--scheduler needs dask.distributed, which is not installed", hint="pip install distributed"
        ) from missing
    try:
        client = Client(address, timeout=20)
    except OSError as fault:
        raise UserError(f"no scheduler answers: {fault}", where=address) from fault
    with client:
        width = max(1, sum(client.nthreads().values()))
        _until_broken(
            lambda _: client.get_executor(), 2 * width, study, plan, deque(waiting), keep, tell, shared=keep
        )


def _until_broken(
    open_pool: Open, width: int, study: Path, plan: Plan, waiting: deque[Configuration], keep: bool, tell: Told,
    *, shared: bool = True,
) -> list[Configuration]:  # fmt: skip
    """Work until nothing waits; the configurations in hand when a process died, else none.

    shared: the workers write into the study's folder, not into a temporary one of theirs.
    """
    in_hand: dict[Future[list[Row]], Configuration] = {}
    lost: list[Configuration] = []
    before = set(multiprocessing.active_children())
    pool = open_pool(width)
    try:
        while (waiting or in_hand) and not lost:
            while waiting and len(in_hand) < width:
                one = waiting.popleft()
                place = study / RUNS / one.id if shared else None
                in_hand[pool.submit(rows_of, one, one.part(plan.seed), place, keep)] = one
            for future in wait(in_hand, return_when=FIRST_COMPLETED).done:
                one = in_hand.pop(future)
                try:
                    rows = future.result()
                except BrokenProcessPool:
                    lost.append(one)
                    continue
                except Exception as fault:  # a cluster that gives up on its worker
                    if isinstance(fault, OSError) and fault.errno in FULL:
                        raise
                    rows = failed(one, one.part(plan.seed), f"{type(fault).__name__}: {fault}")
                _finish(study, one, rows, tell)
    except BaseException:  # a full disk, or the user: what is in hand is given up
        for future in in_hand:
            future.cancel()
        pool.shutdown(wait=False)
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
        raise
    pool.shutdown(wait=True)
    for future, one in in_hand.items():  # what came to its end before the pool broke
        if future.cancelled() or future.exception() is not None:
            lost.append(one)
        else:
            _finish(study, one, future.result(), tell)
    return lost


def _finish(study: Path, one: Configuration, rows: Sequence[Row], tell: Told) -> None:
    _write_safely(study / ROWS / f"{one.id}.json", json.dumps(rows) + "\n")
    tell(one)


@contextmanager
def _progress(done: int, total: int) -> Iterator[Told]:
    """A bar with the time left on a terminal; else a line for each configuration."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        count, started = done, time.monotonic()

        def line(one: Configuration) -> None:
            nonlocal count
            count += 1
            left = (time.monotonic() - started) / (count - done) * (total - count) / 60
            print(f"{count}/{total} {one.id}, about {left:.0f} min left", file=sys.stderr, flush=True)

        yield line
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, speed_estimate_period=3_600) as bar:
        task = bar.add_task("configurations", total=total, completed=done)

        def advance(one: Configuration) -> None:
            bar.update(task, advance=1, description=one.id.split("-", 1)[1])

        yield advance
