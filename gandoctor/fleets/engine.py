"""Maps the pure function over a fleet: by local processes, a cluster, or any executor.

Only so many tasks are in hand at once, so that memory stays flat. A task whose worker is lost is done again, alone
where the engine is ours; one that is lost again is halved, until a single unit is left: that one is the poison, and
gets a row with an error.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice

from gandoctor.errors import UserError
from gandoctor.fleets.units import Unit
from gandoctor.fleets.work import Result, diagnose_units, failed, start_fleet_worker
from gandoctor.many import process_context

_TRIES = 2  # of a task, before it is halved, and of a unit alone, before it is given up
_DIED = "died: the process that read it was lost: out of memory, or a fault of gandoctor's own (then please report it)"

Work = Callable[[tuple[Unit, ...]], list[Result]]
Report = Callable[[list[Result]], None]


@dataclass(frozen=True, slots=True)
class Task:
    """Some units for one worker. lost: how often its worker was."""

    units: tuple[Unit, ...]
    lost: int = 0

    def again(self) -> list[Task]:
        """What is to be done after its worker was lost once more; [] if it is given up."""
        if self.lost + 1 < _TRIES:
            return [Task(self.units, self.lost + 1)]
        if len(self.units) == 1:
            return []
        half = len(self.units) // 2
        return [Task(self.units[:half], _TRIES - 1), Task(self.units[half:], _TRIES - 1)]


def tasks(units: Iterable[Unit], size: int, workers: int) -> Iterator[Task]:
    """The units in tasks of `size`; smaller ones where there are few units for the workers."""
    source = iter(units)
    first = list(islice(source, 4 * workers * size))
    whole = len(first) == 4 * workers * size
    step = size if whole else max(1, min(size, -(-len(first) // (4 * workers))))
    rest = chain(first, source)
    while part := tuple(islice(rest, step)):
        yield Task(part)


def run_locally(todo: Iterator[Task], work: Work, jobs: int, done: Report) -> None:
    """Do the tasks in `jobs` processes of this machine, or in this one if it is a single job."""
    if jobs < 2:
        for task in todo:
            for unit in task.units:
                done(work((unit,)))
        return
    any_done = False

    def tell(results: list[Result]) -> None:
        nonlocal any_done
        any_done = True
        done(results)

    waiting: deque[Task] = deque()
    more: Iterator[Task] = todo
    while True:
        lost = _until_broken(chain(_drained(waiting), more), work, jobs, tell)
        if not lost:
            return
        if not any_done and process_context().get_start_method() == "spawn":
            hint = 'a script that asks for several processes does so under `if __name__ == "__main__":`'
            raise UserError("no process could be started", where="jobs", hint=hint)
        alone = deque(
            lost
        )  # one of them may be the poison: none shares a pool with others until they are done
        while alone:
            task = alone.popleft()
            if not _until_broken(iter([task]), work, 1, tell):
                continue
            halves = task.again()
            alone.extendleft(reversed(halves))
            if not halves:
                tell([failed(task.units[0], _DIED)])


def _drained(waiting: deque[Task]) -> Iterator[Task]:
    while waiting:
        yield waiting.popleft()


def _until_broken(todo: Iterator[Task], work: Work, jobs: int, done: Report) -> list[Task]:
    """Work until nothing is left; the tasks in hand when a process died, else []."""
    pool = ProcessPoolExecutor(jobs, mp_context=process_context(), initializer=start_fleet_worker)
    in_hand: dict[Future[list[Result]], Task] = {}
    lost: list[Task] = []
    try:
        while not lost:
            while len(in_hand) < 2 * jobs and (task := next(todo, None)) is not None:
                try:
                    in_hand[pool.submit(work, task.units)] = task
                except BrokenExecutor:
                    lost.append(task)
                    break
            if not in_hand:
                break
            for future in wait(in_hand, return_when=FIRST_COMPLETED).done:
                task = in_hand.pop(future)
                try:
                    done(future.result())
                except BrokenExecutor:
                    lost.append(task)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    for future, task in in_hand.items():
        if future.done() and not future.cancelled() and future.exception() is None:
            done(future.result())
        else:
            lost.append(task)
    return lost


def run_on(executor: Executor, todo: Iterator[Task], work: Work, ahead: int, done: Report) -> None:
    """Do the tasks by an executor, `ahead` of them in hand. Raises UserError if the executor itself is broken."""
    waiting: deque[Task] = deque()
    in_hand: dict[Future[list[Result]], Task] = {}
    try:
        while True:
            while len(in_hand) < ahead:
                task = waiting.popleft() if waiting else next(todo, None)
                if task is None:
                    break
                try:
                    in_hand[executor.submit(work, task.units)] = task
                except (BrokenExecutor, RuntimeError) as fault:
                    raise UserError(f"the executor takes no more tasks: {fault}", where="executor") from fault
            if not in_hand:
                return
            for future in wait(in_hand, return_when=FIRST_COMPLETED).done:
                task = in_hand.pop(future)
                try:
                    done(future.result())
                except UserError:
                    raise
                except BrokenExecutor as fault:
                    raise UserError(f"the executor broke: {fault}", where="executor") from fault
                except (Exception, CancelledError):  # Dask's KilledWorker, a lost connection
                    again = task.again()
                    waiting.extend(again)
                    if not again:
                        done([failed(task.units[0], _DIED)])
    finally:
        for future in in_hand:
            future.cancel()


def work_with(config: object, limit: float) -> Work:
    """The function that a worker runs."""
    return partial(diagnose_units, config=config, limit=limit)  # type: ignore[arg-type]
