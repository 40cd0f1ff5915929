from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, fisher_exact

from gandoctor.loop.proportions import exact, fewer, more_seeds, newcombe, ranks_differ, seeds_until

SIDES = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda n: st.tuples(st.integers(0, n[0]), st.just(n[0]), st.integers(0, n[1]), st.just(n[1]))
)


@given(st.integers(0, 30).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_exact_interval_holds_the_share_and_mirrors(counts: tuple[int, int]) -> None:
    k, n = counts
    low, high = exact(k, n)
    assert 0 <= low <= (k / n if n else 0.5) <= high <= 1
    mirrored = exact(n - k, n)
    assert low == pytest.approx(1 - mirrored[1], abs=1e-9)


@pytest.mark.parametrize("n", [1, 3, 8, 15])
@pytest.mark.parametrize("p", [0.01, 0.2, 0.5, 0.77, 0.99])
def test_the_exact_interval_never_covers_less_than_it_says(n: int, p: float) -> None:
    covered = sum(binom.pmf(k, n, p) for k in range(n + 1) if exact(k, n)[0] <= p <= exact(k, n)[1])
    assert covered >= 0.95


def test_nothing_known_is_anything_possible() -> None:
    assert exact(0, 0) == (0.0, 1.0)
    assert newcombe(0, 0, 1, 2) == (-1.0, 1.0)
    assert fewer(0, 0, 1, 3) == 1.0


@given(SIDES)
def test_fisher_agrees_with_scipy(counts: tuple[int, int, int, int]) -> None:
    a, n, b, m = counts
    theirs = fisher_exact([[a, n - a], [b, m - b]], alternative="greater").pvalue
    assert fewer(a, n, b, m) == pytest.approx(theirs, abs=1e-12)


def test_fisher_by_every_way_of_dealing_the_ill() -> None:
    runs = range(7)  # the first 4 on the first side; 3 of all are ill
    dealt = list(itertools.combinations(runs, 3))
    as_good = sum(sum(run >= 4 for run in ill) <= 0 for ill in dealt)
    assert fewer(3, 4, 0, 3) == pytest.approx(as_good / len(dealt))


@given(SIDES)
def test_newcombe_holds_the_difference_and_turns_with_the_sides(counts: tuple[int, int, int, int]) -> None:
    a, n, b, m = counts
    low, high = newcombe(a, n, b, m)
    assert -1 - 1e-9 <= low <= a / n - b / m + 1e-9
    assert a / n - b / m - 1e-9 <= high <= 1 + 1e-9
    assert newcombe(b, m, a, n) == pytest.approx((-high, -low))


@given(SIDES)
def test_so_many_more_seeds_settle_it_and_one_less_does_not(counts: tuple[int, int, int, int]) -> None:
    a, n, b, m = counts
    more = more_seeds(a, n, b, m, 0.05)
    if a * m <= b * n:
        assert more is None
    elif more is not None:
        scaled = [(round(a * (n + k) / n), n + k, round(b * (m + k) / m), m + k) for k in (more, more - 1)]
        assert fewer(*scaled[0]) <= 0.05
        assert more == 0 or fewer(*scaled[1]) > 0.05


def test_three_of_three_against_none_of_three_is_the_least_that_tells() -> None:
    assert fewer(3, 3, 0, 3) == 0.05
    assert fewer(2, 2, 0, 2) > 0.05
    assert more_seeds(1, 1, 0, 1, 0.05) == 2
    assert more_seeds(2, 2, 0, 2, 0.05) == 1


def test_six_alike_bring_the_interval_clear_of_a_half() -> None:
    assert seeds_until(3, 3, 0.05) == 3
    assert seeds_until(0, 6, 0.05) == 0
    assert seeds_until(2, 5, 0.05) is None


def test_ranks() -> None:
    assert ranks_differ([1, 2, 3, 4], [5, 6, 7, 8]) == pytest.approx(2 / math.comb(8, 4))
    assert ranks_differ([1.0], [1.0]) == 1.0
    assert ranks_differ([], [1.0]) == 1.0
