"""Looks at running jobs again and again, and says when one should end.

A finding that would fail a check ends a job only if it stands: if the log as it was a little earlier
shows it, too. So a flash ends nothing, and who begins to watch late need not wait.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gandoctor.config import Config
from gandoctor.errors import UserError
from gandoctor.findings import Severity
from gandoctor.judge.checking import Check, failing, fingerprint, missing
from gandoctor.judge.diagnose import fitting
from gandoctor.judge.diagnosis import Diagnosis, Judged, Verdict
from gandoctor.many import diagnose_one
from gandoctor.readers.follow import Follower
from gandoctor.run import Run

# Shares of the run so far at which a finding must have been there already. With the first look this
# makes three; tests/bench/early_stop.py measures how many healthy runs they would have ended.
EARLIER = (0.9, 0.8)
LEAST_REST = 9  # times as long as a look took: looking takes a tenth of a core at most


@dataclass(frozen=True, slots=True)
class Seen:
    """A run at one look. failing: what would fail a check; standing: what of this should end the job.

    missing: the roles that it should log and does not, so far.
    """

    diagnosis: Diagnosis
    failing: tuple[Judged, ...] = ()
    standing: tuple[Judged, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at one look: the runs, and what is wrong with the paths.

    changed: whether a file has changed since the last look. seconds: what the look took.
    taken: bytes of logs that were read, in all looks.
    """

    seen: tuple[Seen, ...]
    faults: tuple[UserError, ...]
    changed: bool
    seconds: float
    taken: int

    @property
    def standing(self) -> tuple[Seen, Judged] | None:
        """The run that should end, and the first finding that says so."""
        return next(((one, one.standing[0]) for one in self.seen if one.standing), None)

    @property
    def fails(self) -> bool:
        """Whether a check of the runs would fail now."""
        return any(one.failing or one.missing for one in self.seen)

    @property
    def unknown(self) -> bool:
        """Whether a run cannot be judged, or none is there."""
        return not self.seen or any(one.diagnosis.verdict is Verdict.UNKNOWN for one in self.seen)


class Watch:
    """The runs at or below some paths, as they grow; a look costs what is new in the logs and one diagnosis
    of each run that has changed (three of one that fails).
    """

    def __init__(
        self, paths: Iterable[str | Path], config: Config, accepted: Mapping[str, Severity] | None = None
    ) -> None:
        self._config, self._accepted = config, accepted or {}
        self._followers = [Follower(path) for path in paths]
        self._last: dict[tuple[Path, str], tuple[object, Seen]] = {}

    def look(self) -> Look:
        """Read what is new and judge it. Raises UserError if the configuration does not fit."""
        begin = time.perf_counter()
        seen: dict[tuple[Path, str], tuple[object, Seen]] = {}
        faults: list[UserError] = []
        any_change = False
        for follower in self._followers:
            try:
                runs, changed = follower.look()
            except UserError as fault:
                faults.append(fault)
                continue
            any_change = any_change or changed
            for run in runs:
                key, state = (run.path, run.name), _state_of(run)
                known = self._last.get(key)
                seen[key] = known if known is not None and known[0] == state else (state, self._seen(run))
        self._last = seen
        return Look(
            tuple(one for _, one in seen.values()), tuple(faults), any_change, time.perf_counter() - begin,
            sum(follower.taken for follower in self._followers),
        )  # fmt: skip

    def _seen(self, run: Run) -> Seen:
        own = self._config.for_path(run.path)
        check = Check.of(own, self._accepted)
        diagnosis = diagnose_one(run, fitting(self._config, run))
        found = failing(diagnosis, check, own)
        standing = {fingerprint(diagnosis, one) for one in found}
        for share in EARLIER if found else ():
            before = diagnose_one(until(run, share), fitting(self._config, run))
            standing &= {fingerprint(before, one) for one in failing(before, check, own)}
            if not standing:
                break
        stands = tuple(one for one in found if fingerprint(diagnosis, one) in standing)
        return Seen(diagnosis, tuple(found), stands, missing(diagnosis, check))


def until(run: Run, share: float) -> Run:
    """A run as it was when it had come to a share of its steps: series, samples and snapshots up to there."""
    ends = [(int(one.steps[0]), int(one.steps[-1])) for one in run.series.values() if len(one)]
    if not ends:
        return run
    first, last = min(a for a, _ in ends), max(b for _, b in ends)
    cut = first + share * (last - first)
    series = {tag: one.take(one.steps <= cut) for tag, one in run.series.items()}
    return replace(
        run,
        series={tag: one for tag, one in series.items() if len(one)},
        images=[one for one in run.images if one.step is None or one.step <= cut],
        histograms=[one for one in run.histograms if one.step <= cut],
        checkpoints=[one for one in run.checkpoints if one.step is None or one.step <= cut],
        problems=list(run.problems),
    )


def _state_of(run: Run) -> object:
    """What tells whether a run has changed, without a look at all of its numbers."""
    series = [
        (tag, len(one), int(one.steps[-1]), float(one.values[0]).hex(), float(one.values[-1]).hex())
        for tag, one in run.series.items()
        if len(one)
    ]
    rest = (run.images, run.histograms, run.checkpoints, run.settings, run.files)
    return series, [len(one) for one in rest], run.problems
