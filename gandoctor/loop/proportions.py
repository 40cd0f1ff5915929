"""Exact statistics for a handful of seeds: shares with intervals, and whether two shares differ."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gandoctor.stats import wilson

_MOST_SEEDS = 200  # a side, tried when asking how many more would tell


def exact(k: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a share, k of n; (0, 1) when n is 0.

    Never covers less than `level`, however few the seeds.
    Source: Clopper & Pearson 1934, Biometrika 26:404.

    >>> [round(bound, 3) for bound in exact(3, 3)]
    [0.292, 1.0]
    """
    from scipy.special import betaincinv

    half = (1 - level) / 2
    low = 0.0 if k == 0 else float(betaincinv(k, n - k + 1, half))
    high = 1.0 if k == n else float(betaincinv(k + 1, n - k, 1 - half))
    return low, high


def fewer(a: int, of_a: int, b: int, of_b: int) -> float:
    """Return Fisher's exact one-sided p: how often chance alone leaves b or fewer of the a + b on the second side.

    a of of_a on the first side, b of of_b on the second. 1 where a side is empty.
    Source: Fisher 1935, J. R. Stat. Soc. 98:39; the hypergeometric distribution, in whole numbers.

    >>> fewer(3, 3, 0, 3)
    0.05
    """
    both, every = a + b, of_a + of_b
    ways = sum(math.comb(of_b, k) * math.comb(of_a, both - k) for k in range(b + 1) if both - k <= of_a)
    return ways / math.comb(every, both)


def newcombe(a: int, of_a: int, b: int, of_b: int) -> tuple[float, float]:
    """Return the 95% interval of the difference of two shares, a/of_a - b/of_b; (-1, 1) where a side is empty.

    Source: Newcombe 1998, Stat. Med. 17:873, method 10 (from two Wilson intervals).

    >>> [round(bound, 3) for bound in newcombe(56, 70, 48, 80)]
    [0.052, 0.334]
    """
    if not of_a or not of_b:
        return -1.0, 1.0
    p, q = a / of_a, b / of_b
    (low_p, high_p), (low_q, high_q) = wilson(a, of_a), wilson(b, of_b)
    return p - q - math.hypot(p - low_p, high_q - q), p - q + math.hypot(high_p - p, q - low_q)


def more_seeds(a: int, of_a: int, b: int, of_b: int, alpha: float) -> int | None:
    """Return how many more seeds a side would tell a from b, if they fall out as those so far.

    0 where they already do; None where the second side is no better, or `_MOST_SEEDS` would not do.
    Before rounding the shares stay as they are, so it is a plan and not a promise.

    >>> more_seeds(1, 1, 0, 1, alpha=0.05)
    2
    """
    if not of_a or not of_b or a * of_b <= b * of_a:
        return None
    for more in range(_MOST_SEEDS):
        n, m = of_a + more, of_b + more
        if fewer(round(a * n / of_a), n, round(b * m / of_b), m) <= alpha:
            return more
    return None


def seeds_until(k: int, n: int, alpha: float) -> int | None:
    """Return how many more seeds bring an all-or-none result, k of n, clear of one half; None for a mixed one.

    >>> seeds_until(3, 3, 0.05)
    3
    """
    if 0 < k < n:
        return None
    for more in range(_MOST_SEEDS):
        if exact(0, n + more, 1 - alpha)[1] < 0.5:
            return more
    return None


def ranks_differ(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the two-sided p of Mann and Whitney: whether values of two sides differ. 1 where a side is empty.

    Exact for fewer than 8 values a side without ties.
    Source: Mann & Whitney 1947, Ann. Math. Stat. 18:50.
    """
    from scipy.stats import mannwhitneyu

    if not first or not second or len({*first, *second}) == 1:
        return 1.0
    return float(mannwhitneyu(first, second, alternative="two-sided").pvalue)
