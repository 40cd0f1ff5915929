"""`gandoctor fleet`: a pass, what it says while it works, and the page."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gandoctor.errors import UserError
from gandoctor.fleets.report import write_page
from gandoctor.fleets.sweep import Progress, sweep

if TYPE_CHECKING:
    from gandoctor.config import Config

_EVERY = 30.0  # seconds between two lines where there is no terminal
_EVERY_TERMINAL = 0.2


def run(
    paths: Sequence[str], folder: Path, config: Config, *, jobs: int, scheduler: str, limit: float, retry: bool,
    reports: int,
) -> tuple[int, Path]:  # fmt: skip
    """Diagnose the runs at the paths into a folder; how many rows its table has, and its page. Raises UserError."""
    with _executor(scheduler) as (executor, ahead):
        progress = sweep(
            paths, folder, config, jobs=jobs, executor=executor, ahead=ahead, limit=limit, retry=retry, tell=_teller()
        )  # fmt: skip
    print(f"gandoctor: {_line(progress)}", file=sys.stderr)
    return write_page(folder, config, reports)


@contextmanager
def _executor(address: str) -> Iterator[tuple[Any, int]]:
    """A cluster's executor, and how many tasks to have in hand."""
    if not address:
        yield None, 0
        return
    try:
        from distributed import Client
    except ImportError:
        raise UserError("--scheduler needs Dask's distributed", hint="pip install distributed") from None
    try:
        client = Client(address, timeout=20)
    except (OSError, ValueError, TimeoutError) as fault:
        raise UserError(f"no scheduler answers: {fault}", where=address) from fault
    try:
        workers = sum(client.nthreads().values())
        yield client.get_executor(pure=False), 2 * max(1, workers)
    finally:
        client.close()


def _teller() -> Callable[[Progress], None]:
    """Tells the progress: on one line of a terminal, else on a line now and then."""
    terminal = sys.stderr.isatty()
    last = time.monotonic()

    def tell(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last < (_EVERY_TERMINAL if terminal else _EVERY):
            return
        last = time.monotonic()
        start, end = ("\r\x1b[K", "") if terminal else ("", "\n")
        print(f"{start}gandoctor: {_line(progress)}", end=end, file=sys.stderr, flush=True)

    return tell


def _line(progress: Progress) -> str:
    todo = progress.folders - progress.unchanged
    parts = [
        f"{progress.done:,} of {todo:,}{'' if progress.complete else '+'} folders read",
        f"{progress.unchanged:,} unchanged",
        f"{progress.runs:,} runs",
        f"{progress.rate:.1f} runs/s",
    ]
    if progress.errors:
        parts.append(f"{progress.errors:,} with an error")
    if progress.gone:
        parts.append(f"{progress.gone:,} gone")
    if progress.left:
        parts.append(f"{progress.left:,.0f} s left")
    return ", ".join(parts)
