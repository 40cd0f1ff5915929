from __future__ import annotations

from pathlib import Path

import numpy as np

from gandoctor.readers.writers import split_writers
from gandoctor.run import Series


def made(steps: list[int], tag: str = "loss") -> Series:
    n = len(steps)
    return Series(tag, np.array(steps), np.array(steps, float), np.arange(n), Path("log"))


def test_one_writer() -> None:
    series = [made(list(range(0, 5_000, 10)))]
    assert split_writers(series) == [series]
    assert split_writers([]) == [[]]


def test_restarts_are_no_second_writer() -> None:
    series = [made([*range(0, 90, 10), *range(0, 90, 10), *range(0, 900, 10)] * 3)]
    assert len(split_writers(series)) == 1


def test_many_short_restarts_are_no_second_writer() -> None:
    assert len(split_writers([made([*range(0, 40, 10)] * 40)])) == 1


def test_two_jobs_that_take_turns_are_told_apart() -> None:
    # The first is at 3,000 when the second starts; the second is a third faster.
    first, second = list(range(100, 9_001, 100)), list(range(100, 7_001, 100))
    mixed = first[:30]
    rest, late = first[30:], list(second)
    while rest or late:
        mixed += [late.pop(0) for _ in range(min(len(late), 2 - len(rest) % 2))]
        mixed += [rest.pop(0)] if rest else []
    a, b = split_writers([made(mixed), made(mixed, "other")])
    assert [one.tag for one in a] == [one.tag for one in b] == ["loss", "other"]
    assert a[0].steps.tolist() == first
    assert b[0].steps.tolist() == second


def test_a_series_on_fewer_lines_goes_with_the_line_before() -> None:
    first, second = list(range(0, 4_000, 100)), list(range(10_000, 14_000, 100))
    mixed = [step for pair in zip(first, second, strict=True) for step in pair]
    main = made(mixed)
    sparse = Series("val", np.array([0, 10_000]), np.array([1.0, 2.0]), np.array([0, 1]), Path("log"))
    a, b = split_writers([main, sparse])
    assert [one.values.tolist() for one in a if one.tag == "val"] == [[1.0]]
    assert [one.values.tolist() for one in b if one.tag == "val"] == [[2.0]]
