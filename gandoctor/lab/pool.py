"""Jobs in parallel: local processes or a Dask cluster. What is done is on the disk before the next is asked for."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from gandoctor.errors import UserError
from gandoctor.lab.work import FULL
from gandoctor.many import start_worker

_DIED = "the process that trained it died, twice: out of memory?"


class Named(Protocol):
    """A job: its id names its file."""

    @property
    def id(self) -> str:
        """Its name."""
        ...


Job = TypeVar("Job", bound=Named)
Open = Callable[[int], Executor]  # processes -> what runs them


@dataclass(frozen=True, slots=True)
class Crew(Generic[Job]):
    """How a job is done.

    send: hands it to an executor; the flag says whether the worker sees the study's folder. finish: keeps what came
    of it. failed: what stands for a job that could not be done, with the reason.
    """

    send: Callable[[Executor, Job, bool], Future[Any]]
    finish: Callable[[Job, Any], None]
    failed: Callable[[Job, str], Any]


def on_processes(jobs: int, crew: Crew[Job], waiting: Sequence[Job]) -> None:
    """Work in local processes. A job whose process dies is tried once more, alone."""

    def pool(processes: int) -> Executor:
        context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
        return ProcessPoolExecutor(processes, mp_context=context, initializer=start_worker)

    os.environ.setdefault("OMP_NUM_THREADS", "1")  # theirs: so small networks gain nothing from more
    left = deque(waiting)
    while left:
        for suspect in _until_broken(pool, jobs, crew, left):
            if _until_broken(pool, 1, crew, deque([suspect])):
                crew.finish(suspect, crew.failed(suspect, _DIED))


def on_cluster(address: str, crew: Crew[Job], waiting: Sequence[Job], *, shared: bool) -> None:
    """Work on a Dask cluster. shared: its machines see the study's folder, and are to write there.

    Raises UserError where Dask is missing or no scheduler answers.
    """
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
        _until_broken(lambda _: client.get_executor(), 2 * width, crew, deque(waiting), shared=shared)


def _until_broken(
    open_pool: Open, width: int, crew: Crew[Job], waiting: deque[Job], *, shared: bool = True
) -> list[Job]:
    """Work until nothing waits; the jobs in hand when a process died, else none."""
    in_hand: dict[Future[Any], Job] = {}
    lost: list[Job] = []
    before = set(multiprocessing.active_children())
    pool = open_pool(width)
    try:
        while (waiting or in_hand) and not lost:
            while waiting and len(in_hand) < width:
                one = waiting.popleft()
                in_hand[crew.send(pool, one, shared)] = one
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
                    rows = crew.failed(one, f"{type(fault).__name__}: {fault}")
                crew.finish(one, rows)
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
            crew.finish(one, future.result())
    return lost


def write_safely(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all, whenever a kill comes."""
    part = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def open_folder(study: Path, plan: str, asked: Mapping[str, Any], rows: str, resume: bool) -> None:
    """Begin a study in a folder, or go on with the one that is there.

    plan: the name of the file that holds what is `asked` for. rows: of the folder for what is done.
    Raises UserError if another study is there, or the same and not `resume`, or other files.
    """
    path = study / plan
    asked = json.loads(json.dumps(asked))
    if path.is_file():
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as fault:
            raise UserError(f"cannot be read: {fault}", where=str(path)) from fault
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
    (study / rows).mkdir(parents=True, exist_ok=True)
    write_safely(path, json.dumps(asked, indent=1) + "\n")


@contextmanager
def progress(done: int, total: int, what: str = "configurations") -> Iterator[Callable[[Named], None]]:
    """A bar with the time left on a terminal; else a line for each job."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        count, started = done, time.monotonic()

        def line(one: Named) -> None:
            nonlocal count
            count += 1
            left = (time.monotonic() - started) / (count - done) * (total - count) / 60
            print(f"{count}/{total} {one.id}, about {left:.0f} min left", file=sys.stderr, flush=True)

        yield line
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, speed_estimate_period=3_600) as bar:
        task = bar.add_task(what, total=total, completed=done)

        def advance(one: Named) -> None:
            bar.update(task, advance=1, description=one.id.split("-", 1)[1])

        yield advance
