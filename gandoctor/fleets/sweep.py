"""One pass over a fleet: find, leave out what did not change, diagnose the rest, keep the rows."""

from __future__ import annotations

import hashlib
import os
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gandoctor import __version__
from gandoctor.config import Config
from gandoctor.errors import UserError
from gandoctor.fleets.engine import run_locally, run_on, tasks, work_with
from gandoctor.fleets.table import Table, hash_of
from gandoctor.fleets.units import Unit, units
from gandoctor.fleets.work import Result
from gandoctor.readers._remote import is_remote, public
from gandoctor.thresholds import version

CHUNK = 50  # folders a task
LIMIT = 300.0  # seconds for the runs of one folder


@dataclass(slots=True)
class Progress:
    """How far a pass over a fleet has come. unchanged: folders that were not read again. runs, errors: rows that it made.

    gone: folders that the data set had and that are no longer there. fetched: bytes from a store. cpu: seconds of
    processor time in the workers. seconds: since it began. complete: whether all folders are found.
    """

    folders: int = 0
    unchanged: int = 0
    gone: int = 0
    done: int = 0
    runs: int = 0
    errors: int = 0
    fetched: int = 0
    cpu: float = 0.0
    seconds: float = 0.0
    complete: bool = False

    @property
    def rate(self) -> float:
        """Runs a second."""
        return self.runs / self.seconds if self.seconds > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds until it is done, None while that cannot be known."""
        todo = self.folders - self.unchanged - self.done
        return self.seconds * todo / self.done if self.complete and self.done else None


def sweep(
    paths: Sequence[str | Path],
    folder: Path,
    config: Config | None = None,
    *,
    jobs: int = 1,
    executor: Executor | None = None,
    ahead: int = 32,
    chunk: int = CHUNK,
    limit: float = LIMIT,
    retry: bool = False,
    tell: Callable[[Progress], None] | None = None,
) -> Progress:
    """Bring the data set in `folder` to what lies at the paths; folders that did not change are not read.

    jobs: local processes, if there is no executor. ahead: tasks in hand. limit: seconds for one folder.
    retry: read those again that ran out of time or killed their worker. tell: called now and then.
    Raises UserError if a path cannot be listed or the data set not written.
    """
    roots = [public(str(path)).rstrip("/") if is_remote(path) else os.path.abspath(path) for path in paths]
    inside = [root for root in roots if Path(folder).absolute().is_relative_to(root)]
    if inside:
        raise UserError(
            "the results would lie among the runs",
            where=str(folder),
            hint="name a folder outside of PATH with -o",
        )
    table = Table(folder, _version(config))
    keys, states = table.known(retry)
    seen = array("Q")
    progress = Progress()
    started = time.monotonic()

    def changed() -> Iterator[Unit]:
        found: set[str] = set()
        for path in paths:
            for unit in units(path):
                key = hash_of(unit.key)
                if len(paths) > 1:  # places may overlap
                    if unit.key in found:
                        continue
                    found.add(unit.key)
                seen.append(key)
                progress.folders += 1
                at = int(np.searchsorted(keys, np.uint64(key)))
                if at < len(keys) and keys[at] == key and states[at] == table.state_of(unit):
                    progress.unchanged += 1
                    continue
                yield unit
        progress.complete = True

    def done(results: list[Result]) -> None:
        table.add(results)
        progress.done += len(results)
        for one in results:
            progress.runs += len(one.runs)
            progress.errors += sum(bool(row["error"]) for row in one.runs)
            progress.cpu += one.seconds
            progress.fetched += one.fetched
        progress.seconds = time.monotonic() - started
        if tell:
            tell(progress)

    work = work_with(config, limit)
    try:
        if executor is None:
            run_locally(tasks(changed(), chunk, jobs), work, jobs, done)
        else:
            run_on(executor, tasks(changed(), chunk, max(1, ahead // 2)), work, ahead, done)
    except BaseException:
        table.flush()  # what is done stays done
        raise
    here = np.sort(np.frombuffer(seen, np.uint64)) if len(seen) else np.empty(0, np.uint64)
    gone = [unit for unit in table.units_below(roots) if not _holds(here, hash_of(unit))]
    table.settle(gone)
    progress.gone = len(gone)
    progress.seconds = time.monotonic() - started
    if tell:
        tell(progress)
    return progress


def _holds(hashes: np.ndarray[tuple[int], np.dtype[np.uint64]], one: int) -> bool:
    at = int(np.searchsorted(hashes, np.uint64(one)))
    return at < len(hashes) and int(hashes[at]) == one


def _version(config: Config | None) -> str:
    """What a diagnosis depends on besides the files: gandoctor, the thresholds, what the user decided."""
    own = config or Config()
    told = hashlib.blake2b(
        repr((own.thresholds, own.select, own.ignore, own.roles, own.family)).encode(), digest_size=6
    )
    for folder in own.rules:
        for path in sorted(folder.glob("*.toml")):
            told.update(path.read_bytes())
    return f"{__version__} {version()} {told.hexdigest()}"
