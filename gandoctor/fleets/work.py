"""From a unit of a fleet to its rows: a pure function, errors are values. Runs in a worker of any engine."""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gandoctor.errors import UserError
from gandoctor.fleets.units import Unit
from gandoctor.interpret.facts import FACTS
from gandoctor.many import diagnose_folder
from gandoctor.readers._remote import fetched, forget, remote_root
from gandoctor.readers.load import RunFiles, find_runs

if TYPE_CHECKING:
    from gandoctor.config import Config
    from gandoctor.judge.diagnosis import Diagnosis, Judged
    from gandoctor.run import Run

Row = dict[str, Any]
_GRACE = 2.0  # times the limit: after that code that no signal interrupts ends with its process


@dataclass(frozen=True, slots=True)
class Result:
    """What a unit gave: a row a run and a row a finding, as `table.py` has them. error: why it has no diagnosis."""

    unit: Unit
    runs: list[Row] = field(default_factory=list)
    findings: list[Row] = field(default_factory=list)
    error: str = ""
    seconds: float = 0.0  # of processor time
    fetched: int = 0  # bytes from a store


class _TimeOut(BaseException):
    """Not an Exception: whoever guards against faults of one file lets it pass."""


def diagnose_units(units: Sequence[Unit], config: Config | None, limit: float) -> list[Result]:
    """The results of some units, each in its own turn. limit: seconds for one of them."""
    return [_diagnosed(unit, config, limit) for unit in units]


def _diagnosed(unit: Unit, config: Config | None, limit: float) -> Result:
    started = time.thread_time()
    root: Path | None = None
    try:
        with _time_limit(limit):
            root = Path(unit.path) if unit.listing is None else remote_root(unit.listing.url, unit.listing)
            runs, findings = [], []
            for found in find_runs(root, below=not unit.loose):
                for diagnosis in diagnose_folder(_named(found, unit, root), config, 0):
                    row, own = _rows(unit, diagnosis)
                    runs.append(row)
                    findings += own
        made = Result(unit, runs, findings)
    except _TimeOut:
        made = failed(unit, f"time-out: not done within {limit:g} seconds")
    except UserError as fault:  # gone since it was listed, or not readable
        made = failed(unit, f"unreadable: {fault.message}")
    except MemoryError:
        made = failed(unit, "out-of-memory")
    except Exception as fault:
        made = failed(unit, f"internal-error: {type(fault).__name__}: {fault}"[:500])
    bytes_fetched = 0
    if root is not None and unit.listing is not None:
        bytes_fetched = fetched(root)[0]
        forget(root)
    return replace(made, seconds=time.thread_time() - started, fetched=bytes_fetched)


def failed(unit: Unit, error: str) -> Result:
    """The result of a unit that could not be diagnosed: one row with the error."""
    row = _row(unit, unit.path, unit.name or Path(unit.path).name) | {
        "verdict": "error",
        "error": _text(error),
    }
    return Result(unit, [row], error=error)


def _named(found: RunFiles, unit: Unit, root: Path) -> RunFiles:
    """The same run, named from the fleet's root on."""
    if not unit.name:
        return found
    own = found.path != root
    name = f"{unit.name}/{found.name}" if own or root.is_file() else unit.name
    return replace(found, name=name, inside=f"{unit.name}/{found.inside}")


# --- rows ------------------------------------------------------------------------------------------------


def _row(unit: Unit, path: str, name: str) -> Row:
    return {"unit": _text(unit.key), "path": _text(path), "name": _text(name), "verdict": "", "error": ""}


def _text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _rows(unit: Unit, diagnosis: Diagnosis) -> tuple[Row, list[Row]]:
    """The row of a run, and of each of its findings."""
    from gandoctor.readers._remote import address
    from gandoctor.reports.rows import fraction, span_of, unit_of

    run, primary = diagnosis.run, diagnosis.primary
    first, last = span_of(diagnosis)
    row = _row(unit, address(run.path), run.name)
    faults = [problem for problem in run.problems if problem.kind == "internal-error"]
    ended = _ended(run)
    views = diagnosis.views
    row |= {
        "verdict": diagnosis.verdict.value,
        "error": _text(f"internal-error: {faults[0].message}") if faults else "",
        "family": views[0].family.name if views else "unknown",
        "step_unit": unit_of(diagnosis),
        "first_step": first,
        "last_step": last,
        "scalars": sum(one.points for one in run.series.values()),
        "tags": len(run.series),
        "files": len(run.files),
        "problems": len(run.problems),
        "ended": ended or unit.changed or None,
        "ended_by": "log" if ended else "file" if unit.changed else "",
        "known_at_step": diagnosis.known_at_step,
        "settings": json.dumps(
            {_text(name): one.value for name, one in sorted(run.settings.items())},
            default=str,
            ensure_ascii=True,
        ),
    }
    if primary is not None:
        onset = primary.finding.stretch.onset
        row |= {
            "primary": primary.finding.code,
            "severity": primary.finding.severity.slug,
            "confidence": float(primary.confidence),
            "onset_step": onset,
            "onset_fraction": fraction(onset, (first, last)),
        }
    for view in views:
        for name, fact in view.facts.items():
            if name in FACTS:
                row.setdefault(f"fact_{name}", _typed(name, fact.value))
    return row, [_finding(row, diagnosis, one) for one in diagnosis.findings]


def _typed(name: str, value: object) -> object:
    """A fact as its column holds it, None where it does not fit."""
    kind = FACTS[name].kind
    if kind == "flag":
        return value if isinstance(value, bool) else None
    if kind in ("number", "integer"):
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    return _text(str(value))


def _finding(row: Row, diagnosis: Diagnosis, judged: Judged) -> Row:
    finding = judged.finding
    proof = finding.evidence[0] if finding.evidence else None
    return {
        "unit": row["unit"],
        "path": row["path"],
        "name": row["name"],
        "id": judged.id,
        "code": finding.code,
        "severity": finding.severity.slug,
        "confidence": float(judged.confidence),
        "primary": diagnosis.primary is not None and diagnosis.primary.id == judged.id,
        "onset_step": finding.stretch.onset,
        "end_step": finding.stretch.end,
        "network": finding.subject.network,
        "pair": _text(finding.subject.pair),
        "layer": _text(finding.subject.layer),
        "tag": _text(finding.subject.tag),
        "statistic": proof.statistic if proof else "",
        "value": float(proof.value) if proof else None,
        "threshold": float(proof.threshold.value) if proof and proof.threshold else None,
    }


def _ended(run: Run) -> float:
    """The last time of day in the log, in seconds since 1970; 0 where it has none."""
    latest = 0.0
    for one in run.series.values():
        if one.wall_time is not None and len(one.wall_time):
            last = float(one.wall_time[-1])
            if 1e8 < last < 4e9:  # 1973 to 2096; what is less counts from the run's start
                latest = max(latest, last)
    return latest


# --- the time limit --------------------------------------------------------------------------------------


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raises _TimeOut in the block after some seconds.

    In a process's main thread by a signal; code that lets no signal through ends with its process at twice the limit.
    In another thread, as in Dask's workers, between two steps of Python.
    """
    if seconds <= 0:
        yield
    elif threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer"):
        before = signal.signal(signal.SIGALRM, _ring)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        worker = _IN_WORKER.get(os.getpid())
        if worker is not None:
            faulthandler.dump_traceback_later(_GRACE * seconds + 1, exit=True, file=worker)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            if worker is not None:
                faulthandler.cancel_dump_traceback_later()
    else:
        mine, over = threading.get_ident(), threading.Event()

        def ring() -> None:
            if not over.is_set():
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(mine), ctypes.py_object(_TimeOut))

        timer = threading.Timer(seconds, ring)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            over.set()
            timer.cancel()


def _ring(*_: object) -> None:
    raise _TimeOut


_IN_WORKER: dict[int, Any] = {}  # the process that may be ended, and where its last words go


def start_fleet_worker() -> None:
    """What a local process does first."""
    from gandoctor.many import start_worker

    start_worker()
    _IN_WORKER[os.getpid()] = open(os.devnull, "w")  # noqa: SIM115
