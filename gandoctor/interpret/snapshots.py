"""The checkpoints of a run as an ordered series of snapshots, opened when a detector asks for them.

Each file is opened and measured once for all detectors, pairs and beginnings of the run. What cannot be read
becomes a problem of the run, as in its logs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np

from gandoctor.findings import Stretch
from gandoctor.run import Checkpoint, LogProblem, Run, Setting, Unit

if TYPE_CHECKING:
    from gandoctor.interpret.networks import Contents, Network, Optimiser

_BEYOND = (
    1.05  # of the log's last step: a checkpoint saved after the last logged point counts in the same unit
)
_EPOCH = re.compile(r"(?<![a-z])ep(?:och)?s?(?![a-z])", re.IGNORECASE)


class Opened:
    """The measured contents of a run's checkpoint files, shared by its views.

    checkpoints: the files. problems: where those go that come up. logged: first and last step of the run's log,
    None without one. unit: of those steps. pairs: of networks, in order.
    """

    def __init__(
        self,
        checkpoints: Sequence[Checkpoint],
        problems: list[LogProblem],
        logged: tuple[int, int] | None = None,
        unit: Unit = Unit.ITERATION,
        pairs: Sequence[str] = (),
    ) -> None:
        self.checkpoints, self.problems = checkpoints, problems
        self.logged, self.unit, self.pairs = logged, unit, tuple(pairs)

    @classmethod
    def of(cls, run: Run, pairs: Sequence[str] = ()) -> Opened:
        """Those of a run, none of them opened yet."""
        some = [one for one in run.series.values() if len(one)]
        ends = [(int(one.steps[0]), int(one.steps[-1])) for one in some]
        logged = (min(a for a, _ in ends), max(b for _, b in ends)) if ends else None
        return cls(run.checkpoints, run.problems, logged, some[0].unit if some else Unit.ITERATION, pairs)

    def __reduce__(self) -> tuple[object, ...]:
        """Without what was measured: a diagnosis that is sent to another process needs none of it."""
        return Opened, (self.checkpoints, self.problems, self.logged, self.unit, self.pairs)

    @cached_property
    def snapshots(self) -> tuple[Snapshot, ...]:
        """All files as snapshots, in order. Opens and measures every file, once."""
        return tuple(_dated(self))

    @property
    def settings(self) -> dict[str, Setting]:
        """The hyperparameters that the files hold; of several values the last snapshot's."""
        return {name: one for snapshot in self.snapshots for name, one in snapshot.settings.items()}

    def contents(self, one: Checkpoint) -> Contents:
        """What a file holds; empty, and a problem noted, where it cannot be read."""
        # What opens and measures weights is loaded by runs that have some.
        from gandoctor.contents.checkpoint import Unreadable, open_checkpoint
        from gandoctor.interpret.networks import Contents, contents_of

        try:
            made = contents_of(open_checkpoint(one.path, one.format), one.path)
        except Unreadable as wrong:
            made = Contents(problems=[(wrong.place, wrong.message)])
        for place, message in made.problems:
            problem = LogProblem(one.path, place, "unreadable", message)
            if problem not in self.problems:
                self.problems.append(problem)
        return made


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that was saved at one step, in the unit of the run's log: one file, or one a network.

    settings: the hyperparameters saved there.
    """

    step: int
    files: tuple[Path, ...]
    networks: tuple[Network, ...]
    settings: Mapping[str, Setting]


@dataclass(frozen=True, slots=True)
class History:
    """One network over the snapshots that hold it. steps: strictly increasing, one for each of `states`."""

    role: str
    name: str
    ema: bool
    steps: tuple[int, ...]
    states: tuple[Network, ...]

    @property
    def last(self) -> Network:
        """As it was saved last."""
        return self.states[-1]

    @property
    def plays(self) -> bool:
        """Whether it is a generator or discriminator that trains, not a moving average."""
        return bool(self.role) and not self.ema

    def stretch(self, holds: Sequence[bool], since: int) -> Stretch | None:
        """The last stretch of snapshots in which something holds, None where it never does.

        holds: one for each state. since: the step before which nothing can have begun.
        """
        if not any(holds):
            return None
        last = max(at for at, one in enumerate(holds) if one)
        first = last
        while first and holds[first - 1]:
            first -= 1
        onset = self.steps[first]
        before = self.steps[first - 1] if first else min(since, onset)
        end = None if last == len(holds) - 1 else self.steps[last]
        return Stretch(onset, (before, onset), end, sum(holds) / len(holds))

    def lasting(self, holds: Sequence[bool], since: int) -> Stretch | None:
        """The stretch in which something holds to the last snapshot, None where it does not hold there."""
        return self.stretch(holds, since) if holds and holds[-1] else None

    def moves(self, at: int, names: Sequence[str]) -> bool:
        """Whether any of these tensors changed from the snapshot `at` to the next."""
        return any(moved(self.states[at], self.states[at + 1], name) != 0 for name in names)


class Snapshots(Sequence[Snapshot]):
    """The snapshots of a pair in the order of their steps; the files are opened at the first look.

    until: snapshots after this step do not count.

    A file's step is the number in its name, else what the file itself says. Epochs beside a log that counts
    iterations, and steps beyond the log's end (Lightning counts those of all optimisers), are spread over the
    log in proportion. A file that tells no step is taken as saved at the end, if no other holds its networks.
    """

    def __init__(self, opened: Opened, pair: str = "", until: int | None = None) -> None:
        self._opened, self._pair, self._until = opened, pair, until

    def __len__(self) -> int:
        return len(self._mine)

    @overload
    def __getitem__(self, at: int) -> Snapshot: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Snapshot, ...]: ...
    def __getitem__(self, at: int | slice) -> Snapshot | tuple[Snapshot, ...]:
        return self._mine[at]

    def __iter__(self) -> Iterator[Snapshot]:
        return iter(self._mine)

    @cached_property
    def networks(self) -> tuple[History, ...]:
        """Each network over time, in the order of the files."""
        found: dict[tuple[str, str, bool], list[tuple[int, Network]]] = {}
        for snapshot in self._mine:
            for one in snapshot.networks:
                found.setdefault((one.role, one.name, one.ema), []).append((snapshot.step, one))
        return tuple(
            History(*key, tuple(step for step, _ in states), tuple(state for _, state in states))
            for key, states in found.items()
        )

    @property
    def players(self) -> tuple[History, ...]:
        """The generators and discriminators that train."""
        return tuple(one for one in self.networks if one.plays)

    def of(self, role: str) -> tuple[History, ...]:
        """The generators ("G") or discriminators ("D") that train."""
        return tuple(one for one in self.players if one.role == role)

    @cached_property
    def _mine(self) -> tuple[Snapshot, ...]:
        limit = float("inf") if self._until is None else self._until
        made = self._opened.snapshots
        mine = (replace(one, networks=self._of_pair(one.networks)) for one in made if one.step <= limit)
        return tuple(one for one in mine if one.networks)

    def _of_pair(self, networks: tuple[Network, ...]) -> tuple[Network, ...]:
        """The networks of this pair; those of no pair belong to the first one."""
        pairs = self._opened.pairs
        if not pairs:
            return networks
        return tuple(one for one in networks if (one.pair if one.pair in pairs else pairs[0]) == self._pair)


def _dated(opened: Opened) -> list[Snapshot]:
    """All files as snapshots, in order."""
    logged, unit = opened.logged, opened.unit
    raw: dict[int, list[Path]] = {}
    epochs: dict[int, list[Path]] = {}
    undated: list[Path] = []
    contents: dict[Path, Contents] = {}
    for one in sorted(opened.checkpoints, key=lambda one: str(one.path)):
        inside = contents[one.path] = opened.contents(one)
        counted = one.step
        by_epoch = (
            counted is not None and bool(_EPOCH.search(one.path.name)) and "step" not in one.path.name.lower()
        )
        if counted is None or (by_epoch and unit is not Unit.EPOCH and inside.step is not None):
            by_epoch = inside.step is None or (unit is Unit.EPOCH and inside.epoch is not None)
            counted = inside.epoch if by_epoch else inside.step
        if counted is None:
            undated.append(one.path)
        else:
            (epochs if by_epoch and unit is not Unit.EPOCH else raw).setdefault(counted, []).append(one.path)
    dated: dict[int, list[Path]] = {}
    for counts, spread in ((raw, False), (epochs, True)):
        top = max(counts, default=0)
        for count, paths in counts.items():
            step = count
            if logged is not None:
                first, last = logged
                if top > 0 and (spread or top > _BEYOND * last):
                    step = round(first + (last - first) * count / top)
                step = min(max(step, first), last)
            dated.setdefault(step, []).extend(paths)
    made = [_snapshot(step, paths, contents) for step, paths in sorted(dated.items())]
    known = {(n.role, n.ema) for one in made for n in one.networks}
    if loose := [p for p in undated if not known & {(n.role, n.ema) for n in contents[p].networks}]:
        end = logged[1] if logged else made[-1].step if made else 0
        paths = [*dated.get(end, []), *loose]
        made = [*(one for one in made if one.step != end), _snapshot(end, paths, contents)]
    return made


def _snapshot(step: int, paths: Sequence[Path], contents: dict[Path, Contents]) -> Snapshot:
    """One step's files together. An optimiser in a file of its own goes to the network of its role."""
    networks: dict[tuple[str, str, bool], Network] = {}
    spare: list[Optimiser] = []
    for path in paths:
        for one in contents[path].networks:
            networks.setdefault((one.role, one.name, one.ema), one)
        spare += contents[path].optimisers
    for optimiser in spare:
        mine = [key for key, one in networks.items()
                if one.role == optimiser.role != "" and not one.ema and one.optimiser is None]  # fmt: skip
        if len(mine) == 1:
            networks[mine[0]] = replace(networks[mine[0]], optimiser=optimiser)
    settings = {name: one for path in paths for name, one in contents[path].settings.items()}
    return Snapshot(step, tuple(paths), tuple(networks.values()), settings)


def moved(before: Network, after: Network, name: str) -> float:
    """How far a tensor moved between two snapshots, ‖after − before‖ / ‖before‖ over the kept elements.

    Exactly 0 only where all of its values are the same. NaN where it cannot be compared.
    """
    one, two = before.tensors.get(name), after.tensors.get(name)
    if one is None or two is None or one.stats.n != two.stats.n or one.stats.nonfinite or two.stats.nonfinite:
        return float("nan")
    if one.digest == two.digest and one.stats == two.stats:
        return 0.0
    size = float(np.linalg.norm(one.sample.astype(np.float64)))
    change = float(np.linalg.norm(two.sample.astype(np.float64) - one.sample))
    return max(change / size, 1e-12) if size > 0 else float("inf") if change else 1e-12
