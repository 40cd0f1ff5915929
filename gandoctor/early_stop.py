"""Ends a training loop whose run is ill: `gandoctor.EarlyStop`."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gandoctor.config import Config

if TYPE_CHECKING:
    from gandoctor.judge.diagnosis import Diagnosis

_LOG = logging.getLogger("gandoctor")


class EarlyStop:
    """Watches the log that a training loop writes, from inside the loop.

        doctor = gandoctor.EarlyStop("runs/x", every=200)
        for step in range(steps):
            ...                      # train, log
            if doctor.should_stop():
                print(doctor.reason)
                break

    every: calls of `should_stop` between two looks at the log. share: of the loop's time that looks may take
    at most; after a dear one the next is put off. fail_on, ignore, min_confidence: as of
    `gandoctor check`. config: settings beyond these; by default those found near the working directory.

    Only what was written to disk is seen: flush the writer now and then. With several processes, ask in one
    of them and send its answer to the others. Raises UserError if an argument names what does not exist.
    """

    def __init__(
        self, path: str | Path, *, every: int = 100, fail_on: Sequence[str] = (), ignore: Sequence[str] = (),
        min_confidence: float | None = None, share: float = 0.02, config: Config | None = None,
    ) -> None:  # fmt: skip
        from gandoctor.api import check_config
        from gandoctor.config import find_config
        from gandoctor.detectors import all_detectors
        from gandoctor.judge.checking import accepted
        from gandoctor.readers.load import readers
        from gandoctor.watch import Watch

        if every < 1 or not 0 < share <= 1:
            raise ValueError("every must be at least 1, share above 0 and at most 1")
        found = find_config(Path.cwd()) if config is None else config
        self._config = found.changed(
            fail_on=tuple(fail_on), ignore=tuple(ignore), min_confidence=min_confidence
        )
        check_config(self._config)
        all_detectors()  # imported before training, not at the first look
        readers()
        self._path, self._every, self._share = Path(path), every, share
        self._watch = Watch([self._path], self._config, accepted(self._config))
        self._calls = 0
        self._look_at = 0.0
        self.reason = ""
        self.diagnosis: Diagnosis | None = None
        self.fault = ""

    @property
    def stopped(self) -> bool:
        """Whether a look has found a reason to stop."""
        return bool(self.reason)

    def should_stop(self) -> bool:
        """Whether the loop should end; `reason` then says why, and `diagnosis` has all of it.

        Never raises: a fault of the diagnosis is logged once and kept in `fault`, and training goes on.
        """
        if self.stopped:
            return True
        self._calls += 1
        if self._calls % self._every or time.monotonic() < self._look_at:
            return False
        begin = time.monotonic()
        try:
            self._look()
        except Exception as fault:
            if not self.fault:
                _LOG.warning("gandoctor.EarlyStop looks no more at %s: %r", self._path, fault)
            self.fault = repr(fault)
            self._look_at = float("inf")
            return False
        now = time.monotonic()
        self._look_at = now + (now - begin) * (1 / self._share - 1)
        return self.stopped

    def _look(self) -> None:
        look = self._watch.look()
        if look.seen:
            self.diagnosis = look.seen[-1].diagnosis
        if look.standing is not None:
            from gandoctor.reports._alarm import told

            seen, judged = look.standing
            self.diagnosis = seen.diagnosis
            self.reason = told(seen.diagnosis, judged, self._config)
