"""Diagnoses many runs, in several processes if asked to; what goes wrong with one costs that one only.

A diagnosis of many keeps no more of each series than a report can show: `thinned`.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from itertools import product
from multiprocessing import connection
from typing import get_args

import numpy as np
import numpy.typing as npt

from gandoctor.config import Config
from gandoctor.errors import UserError
from gandoctor.interpret.by_layer import Quantity
from gandoctor.interpret.layers import Layers
from gandoctor.interpret.view import RunView, Track
from gandoctor.judge.diagnose import diagnose_run, fitting
from gandoctor.judge.diagnosis import Diagnosis
from gandoctor.readers.load import RunFiles, internal_error, load_run
from gandoctor.run import LogProblem, Run, Series, Values

POINTS = 4_000  # kept of a series
POINTS_OF_MANY = 1_000  # where there are more than `MANY` runs: as many as a report draws
MANY = 100
_AHEAD = 2  # tasks handed to the pool for each process

_GUARD = 'a script that asks for several processes does so under `if __name__ == "__main__":`'

Done = Callable[[], None]


def diagnose_found(
    found: Sequence[RunFiles], config: Config | None = None, jobs: int = 1, done: Done | None = None
) -> list[Diagnosis]:
    """The diagnoses of all runs found, in their order. jobs: processes. done: called after each folder.

    Series are thinned where there are several folders. A fault of ours in one run, or the death of the
    process that read it, gives that run a problem of the kind "internal-error".
    Raises UserError if the configuration does not fit (an unknown tag, code or threshold).
    """
    points = 0 if len(found) < 2 else POINTS if len(found) <= MANY else POINTS_OF_MANY
    made: list[list[Diagnosis]] = [[] for _ in found]
    if jobs < 2 or len(found) < 2:
        for number, one in enumerate(found):
            made[number] = diagnose_folder(one, config, points)
            if done:
                done()
    else:
        _Processes(found, config, points, jobs, made, done).run()
    return [diagnosis for own in made for diagnosis in own]


def diagnose_folder(found: RunFiles, config: Config | None, points: int) -> list[Diagnosis]:
    """The diagnoses of the runs in one folder. points: kept of a series, 0 for all. Raises UserError."""
    try:
        runs = load_run(found)
    except Exception as fault:  # ours: it must not cost the other runs
        runs = [_empty(found, internal_error(found.path, fault))]
    made = [diagnose_one(run, fitting(config, run)) for run in runs]
    return [thinned(diagnosis, points) for diagnosis in made] if points else made


def diagnose_one(run: Run, config: Config | None) -> Diagnosis:
    """The diagnosis of a run; a fault of ours gives one of nothing that says so. Raises UserError."""
    try:
        return diagnose_run(run, config)
    except UserError:
        raise
    except Exception as fault:
        run = Run(run.path, run.name, files=run.files, problems=run.problems)
        run.problems.append(internal_error(run.path, fault))
        return diagnose_run(run, config)


def _empty(found: RunFiles, problem: LogProblem) -> Run:
    return Run(found.path, found.name, problems=[*found.problems, problem])


# --- processes -------------------------------------------------------------------------------------------


class _Processes:
    """Maps `diagnose_folder` over folders. A folder whose process dies is tried once more, alone."""

    def __init__(
        self, found: Sequence[RunFiles], config: Config | None, points: int, jobs: int,
        made: list[list[Diagnosis]], done: Done | None,
    ) -> None:  # fmt: skip
        self.found, self.config, self.points, self.jobs = found, config, points, jobs
        self.made, self.done = made, done

    def run(self) -> None:
        """Fill `made`."""
        waiting = deque(range(len(self.found)))
        while waiting:
            for number in self._until_broken(waiting, self.jobs):
                if self._until_broken(deque([number]), 1):
                    if not any(self.made) and process_context().get_start_method() == "spawn":
                        raise UserError("no process could be started", where="jobs", hint=_GUARD)
                    self.made[number] = self._died(self.found[number])
                    self._tell()

    def _until_broken(self, waiting: deque[int], processes: int) -> list[int]:
        """Work until nothing waits; the folders in hand when a process died, sorted, else []."""
        in_hand: dict[Future[list[Diagnosis]], int] = {}
        lost: list[int] = []
        pool = ProcessPoolExecutor(processes, mp_context=process_context(), initializer=_ignore_interrupts)
        try:
            while (waiting or in_hand) and not lost:
                while waiting and len(in_hand) < _AHEAD * processes:
                    number = waiting.popleft()
                    try:
                        task = pool.submit(diagnose_folder, self.found[number], self.config, self.points)
                    except BrokenProcessPool:
                        lost.append(number)
                        break
                    in_hand[task] = number
                for task in wait(in_hand, return_when=FIRST_COMPLETED).done:
                    number = in_hand.pop(task)
                    try:
                        self.made[number] = task.result()
                    except BrokenProcessPool:
                        lost.append(number)
                        continue
                    self._tell()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        for task, number in in_hand.items():
            if task.done() and not task.cancelled() and task.exception() is None:
                self.made[number] = task.result()
                self._tell()
            else:
                lost.append(number)
        return sorted(lost)

    def _tell(self) -> None:
        if self.done:
            self.done()

    def _died(self, found: RunFiles) -> list[Diagnosis]:
        message = "the process that read it died: out of memory, or a fault of gandoctor's own (then please report it)"
        run = _empty(found, LogProblem(found.path, "", "internal-error", message))
        return [diagnose_run(run, fitting(self.config, run))]


def process_context() -> multiprocessing.context.BaseContext:
    """Forked processes start at once, but not where threads run that they would lose."""
    can = "fork" in multiprocessing.get_all_start_methods() and sys.platform != "darwin"
    alone = threading.active_count() == 1 and "torch" not in sys.modules
    return multiprocessing.get_context("fork" if can and alone else "spawn")


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops its processes


def start_worker() -> None:
    """Leave interrupts to the process that started this worker, and end when that is gone, however it ended."""
    _ignore_interrupts()
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


# --- small results ---------------------------------------------------------------------------------------


def thinned(diagnosis: Diagnosis, points: int = POINTS) -> Diagnosis:
    """The same diagnosis with at most about `points` points of each series.

    Of each stretch stay the smallest, the middle and the largest value, and the first that is not
    finite: so extremes and medians, and what a report draws of them, stay as they are.
    """
    series = {tag: _thin_series(one, points) for tag, one in diagnosis.run.series.items()}
    run = replace(diagnosis.run, series=series)
    return replace(diagnosis, run=run, views=tuple(_thin_view(view, run, points) for view in diagnosis.views))


def _thin_view(view: RunView, run: Run, points: int) -> RunView:
    game = view.game  # judged on every point: it must not be made anew from a few
    d, g, real, fake = (_thin_track(track, points) for track in (game.d, game.g, game.real, game.fake))
    strays = tuple(_thin_track(track, points) for track in game.strays)
    made = {tag: _thin_series(view.series[tag], points) for tag in view.series if tag not in run.series}
    mine = {tag: run.series[tag] for tag in view.series if tag in run.series}
    for network, quantity in product("GD", get_args(Quantity)):
        view.by_layer(network, quantity)  # kept by the view: what it is made of is not
    small = replace(view, run=run, series={**mine, **made}, layers=Layers(Run(run.path, run.name)), _cache={})
    vars(small)["game"] = replace(game, d=d, g=g, real=real, fake=fake, strays=strays)
    return small


def _thin_series(one: Series, points: int) -> Series:
    if len(one) <= points:
        return one
    return replace(one.take(_telling(one.values, points)), logged=one.points)


def _thin_track(track: Track, points: int) -> Track:
    if len(track) <= points:
        return track
    which = _telling(track.values, points)
    return Track(track.steps[which], track.values[which], track.tags)


def _telling(values: Values, points: int) -> npt.NDArray[np.intp]:
    """The indices to keep, ascending: of each stretch smallest, middle, largest, first not finite.

    values: float64 (n,), n > points.
    """
    width = -(-len(values) // (points // 4))
    rows = -(-len(values) // width)
    padded = np.full(rows * width, np.nan)
    padded[: len(values)] = values
    stretches = padded.reshape(rows, width)
    finite = np.isfinite(stretches)
    count = finite.sum(axis=1)
    ranked = np.argsort(np.where(finite, stretches, np.inf), axis=1, kind="stable")  # not finite ones last
    row = np.arange(rows)
    picks = [
        ranked[row, np.minimum(place, width - 1)]
        for place in (np.zeros(rows, np.intp), count // 2, np.maximum(count - 1, 0))
    ]
    picks.append(np.argmin(finite, axis=1))
    kept: npt.NDArray[np.intp] = np.unique(np.concatenate([*(row * width + pick for pick in picks), [0]]))
    return np.append(kept[kept < len(values) - 1], len(values) - 1)
