"""Which settings go with which symptom: odds ratios. Associations only: runs of a sweep are no random sample.

For a symptom and a setting, four counts: runs that have the symptom as their primary one or not, with the setting or
without it. A number of many values is split at its median. Odds ratio with 1/2 added to each count (Haldane 1940,
Anscombe 1956), 95 % interval by the standard error of its logarithm (Woolf 1955), p by Fisher's exact test (twice the
smaller tail), q over all pairs by Benjamini & Hochberg (1995).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 5  # runs with the symptom, with the setting, and without it
_LEVELS = 6  # a setting of more values is a number that is split, or too varied to say anything
_NORMAL = 1.959964  # standard errors on each side of a 95 % interval

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Association:
    """A symptom and a setting ("lr_D", "> 0.0004"). ill, of: runs that have both, of those with the setting.

    other_ill, other: the same without the setting. ratio: odds ratio, low to high its interval. p, q: see above.
    """

    code: str
    setting: str
    value: str
    ill: int
    of: int
    other_ill: int
    other: int
    ratio: float
    low: float
    high: float
    p: float
    q: float


def associations(runs: pd.DataFrame) -> list[Association]:
    """All pairs with enough runs, the surest first. runs: the table `runs`; what could not be judged is left out."""
    from scipy.stats import hypergeom

    judged = runs[runs["verdict"].isin(["failing", "warning", "healthy"])]
    primary = judged["primary"].fillna("").to_numpy(str)
    codes = sorted(code for code in set(primary) - {""} if np.count_nonzero(primary == code) >= FEWEST)
    made: list[tuple[str, str, str]] = []
    counts: list[tuple[int, int, int, int]] = []
    for setting, value, known, has in _splits(judged):
        with_it, without = int(np.count_nonzero(known & has)), int(np.count_nonzero(known & ~has))
        if min(with_it, without) < FEWEST:
            continue
        for code in codes:
            ill = known & (primary == code)
            both = int(np.count_nonzero(ill & has))
            made.append((code, setting, value))
            counts.append((both, with_it, int(np.count_nonzero(ill)) - both, without))
    if not made:
        return []
    a, n1, c, n0 = np.array(counts, np.float64).T
    cells = np.array([a, n1 - a, c, n0 - c]) + 0.5
    logs = np.log(cells[0]) - np.log(cells[1]) - np.log(cells[2]) + np.log(cells[3])
    errors = np.sqrt((1 / cells).sum(axis=0))
    total, ill_total = n1 + n0, a + c
    tails = np.minimum(hypergeom.cdf(a, total, ill_total, n1), hypergeom.sf(a - 1, total, ill_total, n1))
    p = np.minimum(1.0, 2 * tails)
    q = benjamini_hochberg(p)
    found = [
        Association(
            code, setting, value, int(a[i]), int(n1[i]), int(c[i]), int(n0[i]), float(np.exp(logs[i])),
            float(np.exp(logs[i] - _NORMAL * errors[i])), float(np.exp(logs[i] + _NORMAL * errors[i])),
            float(p[i]), float(q[i]),
        )
        for i, (code, setting, value) in enumerate(made)
    ]  # fmt: skip
    return sorted(found, key=lambda one: (one.q, one.p, one.code, one.setting, one.value))


def _splits(runs: pd.DataFrame) -> Iterator[tuple[str, str, Mask, Mask]]:
    """Each setting and one of its values: the runs where it is known, and those that have the value."""
    import pandas as pd

    columns = {name.removeprefix("fact_"): name for name in runs.columns if name.startswith("fact_")}
    columns["family"] = "family"
    for setting, name in sorted(columns.items()):
        column = runs[name]
        known = column.notna().to_numpy(bool)
        levels = sorted(column[known].unique(), key=lambda one: (str(type(one)), one))
        if len(levels) < 2:
            continue
        if len(levels) <= _LEVELS:
            chosen = levels[1:] if len(levels) == 2 else levels  # of two, the other one says the same
            for level in chosen:
                yield setting, f"= {_told(level)}", known, (column == level).fillna(False).to_numpy(bool)
        elif pd.api.types.is_numeric_dtype(column):
            middle = float(column[known].median())
            yield setting, f"> {_told(middle)}", known, (column > middle).to_numpy(bool)


def _told(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float | int) else str(value)


def benjamini_hochberg(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Q values of p values, float64 (n,).

    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03, 0.005])).round(3).tolist()
    [0.02, 0.04, 0.04, 0.02]
    """
    order = np.argsort(p)
    raised = p[order] * len(p) / np.arange(1, len(p) + 1)
    q = np.empty(len(p))
    q[order] = np.minimum(1.0, np.minimum.accumulate(raised[::-1])[::-1])
    return q
