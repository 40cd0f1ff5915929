"""Tells apart two jobs that wrote into one log at the same time.

Started twice with one output folder, a script appends to its log from both: steps 2600, 100, 2700,
200, 300, 2800, … Each job's own steps only grow, so each line belongs to the job that is just before it.
"""

from __future__ import annotations

import numpy as np

from gandoctor.run import Series, Steps

_FEWEST_SWITCHES = 20  # turns of the writers: fewer are restarts
_LIVE_ROWS = 12  # a job that wrote nothing for so many lines has ended
_SHORTEST = 5  # lines of a job
_MOST_WRITERS = 4


def split_writers(series: list[Series]) -> list[list[Series]]:
    """The series of each job, in the order of their first lines; one list if there was one job."""
    if not series:
        return [series]
    main = max(series, key=len)
    lanes = _lanes(main.steps)
    if lanes is None:
        return [series]
    split: list[list[Series]] = [[] for _ in range(int(lanes.max()) + 1)]
    for one in series:
        at = np.clip(np.searchsorted(main.order, one.order, side="right") - 1, 0, None)
        for number, mine in enumerate(split):
            which = lanes[at] == number
            if np.any(which):
                mine.append(one.take(which))
    return split


def _lanes(steps: Steps) -> Steps | None:
    """The job that wrote each line, int64 (n,), from 0; None if only one did.

    steps: int64 (n,), in the order of writing.
    """
    if len(steps) <= _FEWEST_SWITCHES or np.count_nonzero(np.diff(steps) < 0) < _FEWEST_SWITCHES:
        return None
    chains = _chains(steps.tolist(), float(np.median(np.diff(np.unique(steps)))))
    first, last, sizes = _spans(chains)
    long = sizes >= _SHORTEST
    if np.count_nonzero(np.diff(chains)) < _FEWEST_SWITCHES or sizes[long].sum() < 0.9 * len(steps):
        return None
    lane_of = np.zeros(len(sizes), np.int64)
    ends: list[int] = []  # the last line of each lane
    for chain in np.flatnonzero(long):  # chains are numbered in the order of their first lines
        lane = next((n for n, end in enumerate(ends) if end < first[chain]), len(ends))
        if lane == _MOST_WRITERS:
            return None
        ends[lane : lane + 1] = [int(last[chain])]
        lane_of[chain] = lane
    return lane_of[chains] if len(ends) > 1 else None


def _chains(steps: list[int], stride: float) -> Steps:
    """Which growing chain each step belongs to: the live one that it follows most closely."""
    ends: dict[int, tuple[int, int]] = {}  # chain → (its last step, the line of it)
    found: list[int] = []
    count = 0
    for row, step in enumerate(steps):
        ends = {chain: end for chain, end in ends.items() if row - end[1] <= _LIVE_ROWS}
        before = [(step - end, row - line, chain) for chain, (end, line) in ends.items() if end < step]
        near = min(before, default=None)
        if near is not None and near[0] <= 3 * stride:
            chain = near[2]
        else:
            chain, count = count, count + 1
        ends[chain] = step, row
        found.append(chain)
    return np.array(found, np.int64)


def _spans(chains: Steps) -> tuple[Steps, Steps, Steps]:
    """The first and last line and the number of lines of each chain."""
    _, first, sizes = np.unique(chains, return_index=True, return_counts=True)
    last = len(chains) - 1 - np.unique(chains[::-1], return_index=True)[1]
    return first, last, sizes
