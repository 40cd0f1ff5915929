"""A guard against work that never ends."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def finishes(seconds: float = 60) -> Iterator[None]:
    """Raise TimeoutError after that many seconds of the processor's time: a busy machine changes nothing.

    Not a measure of speed, but of growth: hostile inputs are so large that anything worse than about linear
    work on them takes far longer.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"{seconds} seconds of processor time were not enough")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
