"""Cuts a log into runs where training began anew, and mends the steps where only a counter did.

A log may hold several starts of training, one after the other. Where steps go back:

- into the first 5% of the steps so far, with losses that restart near their first level: a new run;
- into the first 5%, with losses that go on from their last level: the counter restarted, the run
  did not, and the steps go on from where they were; so does a counter that restarts each epoch;
- to somewhere in between: a resume, and the later write wins.

Where this cannot be told, the log is cut. A start that gave up before `MIN_POINTS` points is no run
of its own where there is a longer one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from gandoctor.readers.streams import FIRST_SHARE, Stream, concatenated, interval
from gandoctor.run import LogProblem, Series, Steps, Unit, Values

MIN_POINTS = 20
_MANY_CUTS = 200
_ROUNDS = 3  # cuts at equal distances: a counter that restarts each epoch
_MOST_VOTES = 50
_GOES_ON = -0.25  # mean vote of the series from which on a run is said to go on
_AGAIN = 0.25
_FEWEST_OLD, _FEWEST_NEW = 6, 3  # points that a series needs to vote
_REPEATS = 0.05  # of the points: with more the steps do not tell them apart
_CLOCKS = re.compile(
    r"(?:^|[/_. ])(time|data|eta|elapsed\w*|sec|seconds|speed|fps|it/s|mem\w*)$", re.IGNORECASE
)

Logged = Mapping[str, Series]


@dataclass(slots=True)
class Session:
    """One start of training. series: sorted by step. source: the file in which it begins.

    back: (last step before, first step) at its start.
    """

    series: dict[str, Series]
    source: Path
    back: tuple[int, int] | None = None
    problems: list[LogProblem] = field(default_factory=list)

    @property
    def points(self) -> int:
        """The number of points of its longest series."""
        return max((len(one) for one in self.series.values()), default=0)

    def note(self, kind: str, message: str) -> None:
        """Note what was done to its steps."""
        self.problems.append(LogProblem(self.source, "", kind, message))


def sessions_of(stream: Stream) -> list[Session]:
    """The starts of training in a stream, in their order; each with what was done to its steps."""
    series = stream.joined()
    cuts = _cuts(stream, series)
    whole = Session({}, stream.logs[0].path)
    unrolled = _unrolled(series, len(cuts))
    if unrolled is not None:
        series, length = unrolled
        whole.note(
            "counter-restart", f"the step counter starts again about every {length:,} steps: carried on"
        )
    if unrolled is not None or len(cuts) > _MANY_CUTS:  # too many for a chain of runs: the write order tells
        whole.series = _settled(series)
        return [whole]
    current, done = whole, []
    for (start, purge), end in zip([(0, None), *cuts], [*(order for order, _ in cuts), None], strict=True):
        piece = _between(series, start, end)
        if not piece:
            continue
        how = "resume" if purge is not None else _relation(current.series, piece)
        if how == "new":
            done.append(current)
            back = _last(current.series), _first(piece)
            current = Session(piece, stream.file_at(start), back)
            continue
        if how == "counter":
            last, first = _last(current.series), _first(piece)
            told = f"steps begin again at {first:,} after {last:,} while the losses go on: carried on"
            current.note("counter-restart", told)
        current.series = _continued(current.series, piece, how, purge)
    done.append(current)
    for session in done:
        session.series = _settled(session.series)
    return [session for session in done if session.series]


def told_apart(sessions: Sequence[Session]) -> tuple[list[Session], list[Session]]:
    """The sessions that are runs, and those that gave up early. Where all did, the longest is a run."""
    kept = [session for session in sessions if session.points >= MIN_POINTS]
    if not kept and sessions:
        most = max(session.points for session in sessions)
        kept = [session for session in sessions if session.points == most][-1:]
    return kept, [session for session in sessions if not any(session is one for one in kept)]


# --- where training may have started again ---------------------------------------------------------------


def _cuts(stream: Stream, series: Logged) -> list[tuple[int, int | None]]:
    """Write positions where training may have restarted, with the purge step if the log gives one."""
    first = min(int(one.order[0]) for one in series.values())
    starts = {start.order: start.purge_step for start in stream.starts() if start.order > first}
    longest = max(map(len, series.values()))
    backs = [one.order[1:][np.diff(one.steps) < 0] for one in series.values() if len(one) >= 0.5 * longest]
    # Tags of one record go back within a few records of each other, and of a header: one cut.
    near = max(2 * len(series), 8)
    cuts: list[tuple[int, int | None]] = []
    for order in sorted({*starts, *np.concatenate(backs).tolist()}):
        if order in starts or not cuts or order - cuts[-1][0] > near:
            cuts.append((order, starts.get(order)))
    return cuts


def _between(series: Logged, start: int, end: int | None) -> dict[str, Series]:
    """What was written from `start` on, before `end`."""
    found = {}
    for tag, one in series.items():
        a = int(np.searchsorted(one.order, start))
        b = len(one) if end is None else int(np.searchsorted(one.order, end))
        if b > a:
            found[tag] = one.take(slice(a, b))
    return found


def _unrolled(series: Logged, cuts: int) -> tuple[dict[str, Series], int] | None:
    """The series with steps that go on where a counter restarts each epoch, and its length; else None.

    The rounds are equally long and the losses do not start again. cuts: how many there are in all; with
    headers between the rounds, or restarts at odd places, these are no epochs.
    """
    main = max(series.values(), key=len)
    orders = main.order[1:][np.diff(main.steps) < 0]
    if len(orders) < max(_ROUNDS, cuts):
        return None
    at = np.searchsorted(main.order, orders)
    starts, tops = main.steps[np.append(0, at)], np.append(main.steps[at - 1], main.steps[-1])
    top = float(np.median(tops[:-1]))
    if np.ptp(tops[:-1]) > 0.1 * top or tops[-1] > 1.1 * top or starts.max() > 0.1 * top + interval(main):
        return None
    if _restart_again(series, orders) > _AGAIN:
        return None
    length = int(top - starts.min() + interval(main))
    return {
        tag: replace(one, steps=one.steps + length * np.searchsorted(orders, one.order, side="right"))
        for tag, one in series.items()
    }, length


def _restart_again(series: Logged, orders: Steps) -> float:
    """The mean vote of the losses over several restarts, each compared with the round before it."""
    votes = []
    bounds = [0, *orders.tolist(), None]
    for number in np.unique(np.linspace(1, len(orders), _MOST_VOTES).astype(int)).tolist():
        old = _between(series, bounds[number - 1] or 0, bounds[number])
        votes.append(_vote(old, _between(series, bounds[number] or 0, bounds[number + 1])))
    return float(np.mean(votes))


# --- what a restart is -----------------------------------------------------------------------------------


def _relation(old: Logged, new: Logged) -> str:
    """How a piece of log goes with what came before it: "on", "resume", "counter" or "new"."""
    shared = [tag for tag in new if tag in old]
    if not shared:
        return "on"
    again = {tag: _begin(new[tag], old[tag]) for tag in shared}
    behind = [tag for tag in shared if again[tag] <= int(old[tag].steps.max())]
    if 2 * len(behind) <= len(shared):  # a tag that lags behind the others is no restart
        return "on"
    into = [again[tag] - int(old[tag].steps.min()) for tag in behind]
    beyond = [max(FIRST_SHARE * int(np.ptp(old[tag].steps)), 1.5 * interval(old[tag])) for tag in behind]
    if np.median(np.array(into) - np.array(beyond)) > 0:
        return "resume"
    return "counter" if _vote(old, new) <= _GOES_ON else "new"


def _begin(new: Series, old: Series) -> int:
    """The first step of a piece, but for one stray step that was written late."""
    if len(new) > 2:
        usual = interval(new.take(slice(1, None)))
        if new.steps[1] - new.steps[0] > 5 * usual and new.steps[1] >= old.steps.max():
            return int(new.steps[1])
    return int(new.steps[0])


def _vote(old: Logged, new: Logged) -> float:
    """The mean over the series of: 1, it begins again at its first level, to -1, it goes on. 0: unsure."""
    votes = [
        _vote_of(old[tag].values, new[tag].values)
        for tag in new
        if tag in old and not _CLOCKS.search(tag) and np.any(new[tag].values)
    ]
    return float(np.mean(votes)) if votes else 0.0


def _vote_of(old: Values, new: Values) -> float:
    old, new = old[np.isfinite(old)], new[np.isfinite(new)]
    if len(old) < _FEWEST_OLD or len(new) < _FEWEST_NEW:
        return 0.0
    k = int(np.clip(len(old) // 20, 3, 25))
    first, last, again = (float(np.median(part)) for part in (old[:k], old[-k:], new[: min(k, len(new))]))
    noise = float(np.median(np.abs(np.diff(old)))) / np.sqrt(k) + 1e-12
    if abs(first - last) < 3 * noise:
        return 0.0
    return float(np.clip((abs(again - last) - abs(again - first)) / abs(first - last), -1, 1))


def _first(series: Logged) -> int:
    return min(int(one.steps[0]) for one in series.values())


def _last(series: Logged) -> int:
    return max(int(one.steps.max()) for one in series.values())


def _continued(old: Logged, new: Logged, how: str, purge: int | None) -> dict[str, Series]:
    """Join a piece to what came before it."""
    joined = dict(old)
    if how == "counter":
        usual = interval(max(old.values(), key=len))
        offset = int(_last(old) + usual) - _first(new)
        new = {tag: replace(one, steps=one.steps + offset) for tag, one in new.items()}
    if how == "resume":
        back_to = (
            _first({tag: one for tag, one in new.items() if tag in old} or new) if purge is None else purge
        )
        before = {tag: one.take(one.steps < back_to) for tag, one in joined.items()}
        joined = {tag: one for tag, one in before.items() if len(one)}
    for tag, one in new.items():
        joined[tag] = concatenated([joined[tag], one]) if tag in joined else one
    return joined


# --- one value a step ------------------------------------------------------------------------------------


def _settled(series: Logged) -> dict[str, Series]:
    """Sorted by step, one value a step: the later write wins.

    Where the steps of the main series repeat (all are 0, or the log counts epochs but writes batches)
    the write order takes their place. Where only a lesser one's do, it takes the steps of the records
    around it. An epoch beside each row repeats itself, not the steps: a validation metric has a row of its
    own at a step that the losses have, too.
    """
    series = {tag: one for tag, one in series.items() if len(one)}
    if not series:
        return {}
    longest = max(map(len, series.values()))
    main = [one for one in series.values() if len(one) >= 0.5 * longest]
    repeating = [one for one in main if _repeats(one)]
    reference = max(main, key=len)
    if len(repeating) == len(main) or any(map(_differs, repeating)):
        return {
            tag: _last_of_each(replace(one, steps=_places(reference, one), unit=Unit.RECORD))
            for tag, one in series.items()
        }
    return {
        tag: _last_of_each(
            replace(one, steps=reference.steps[_places(reference, one)]) if _repeats(one) else one
        )
        for tag, one in series.items()
    }


def _repeats(one: Series) -> bool:
    if _grows(one):
        return False
    again = np.count_nonzero(np.diff(np.sort(one.steps)) == 0)
    return bool(again > _REPEATS * len(one))


def _differs(one: Series) -> bool:
    """Whether a step that repeats has more than one value, somewhere."""
    order = np.lexsort((one.order, one.steps))
    steps, values = one.steps[order], one.values[order]
    return bool(np.any((steps[1:] == steps[:-1]) & (values[1:] != values[:-1])))


def _grows(one: Series) -> bool:
    return bool(np.all(np.diff(one.steps) > 0))


def _places(reference: Series, one: Series) -> Steps:
    """Where in the reference series each point was written, int64 (n,)."""
    places: Steps = np.searchsorted(reference.order, one.order, side="right") - 1
    return np.maximum(places, 0).astype(np.int64)


def _last_of_each(one: Series) -> Series:
    if _grows(one):
        return one
    order = np.lexsort((one.order, one.steps))
    steps = one.steps[order]
    return one.take(order[np.append(steps[1:] != steps[:-1], True)])
