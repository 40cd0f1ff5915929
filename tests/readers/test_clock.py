"""Steps of logs that count epochs and, in each, batches anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gandoctor.readers.columns import Columns, is_counter, length_of, plain
from gandoctor.run import Series, Unit


def steps(epochs: list[int], counts: list[int], length: int | None = None) -> list[int]:
    """The steps of a log with an epoch and an iteration within it; length: that of an epoch, if stated."""
    made = Columns()
    rows = list(range(len(counts)))
    made.add_column("epoch", rows, epochs)
    made.add_column("iters", rows, counts)
    made.add_column("loss", rows, [1.0] * len(rows))
    if length is not None:
        made.add_column(length_of("iters"), rows, [length] * len(rows))
    return one(made).steps.tolist()


def one(columns: Columns, tag: str = "loss") -> Series:
    [found] = [series for series in columns.series(Path("log")) if series.tag == tag]
    return found


@given(length=st.integers(150, 1_200), every=st.sampled_from([10, 50, 100]), epochs=st.integers(3, 9))
def test_steps_are_the_iterations_of_pix2pix(length: int, every: int, epochs: int) -> None:
    # pix2pix prints every `every` iterations of all, and how many of them are of this epoch.
    true = range(every, length * epochs + 1, every)
    found = steps([(i - 1) // length + 1 for i in true], [(i - 1) % length + 1 for i in true])
    # Two epochs may say no more of the length than its last multiple of `every`.
    assert np.all(np.diff(found) > 0)
    assert max(abs(a - b) for a, b in zip(found, true, strict=True)) <= every * epochs


@given(length=st.integers(150, 1_200), start=st.integers(0, 1))
def test_a_stated_length_is_exact(length: int, start: int) -> None:
    counts = list(range(start, length, 50))
    found = steps([1] * len(counts) + [2] * len(counts), counts * 2, length)
    assert found == counts + [length + count for count in counts]


def test_a_counter_of_its_own_length_goes_on_into_the_next_epoch() -> None:
    # Epochs of 400 iterations, of which the script subtracts only 200.
    found = steps([1, 1, 2, 2, 3, 3, 4, 4], [300, 400, 500, 600, 700, 800, 900, 1000])
    assert found == [300, 400, 500, 600, 700, 800, 900, 1000]
    epochs = [e for e in range(1, 6) for _ in range(4)]
    counts = [(e - 1) * 200 + i * 100 for e in range(1, 6) for i in range(1, 5)]
    assert steps(epochs, counts) == list(range(100, 2_001, 100))


def test_many_restarts_do_not_make_a_counter_of_one_epoch_a_global_one() -> None:
    restarts = [(1, 100), (1, 200)] * 8
    run = [(e, i) for e in range(1, 5) for i in (100, 200, 300)]
    epochs, counts = zip(*restarts, *run, strict=True)
    del epochs, counts
    pairs = restarts + run
    found = steps([e for e, _ in pairs], [i for _, i in pairs])
    assert found[-12:] == list(range(100, 1_201, 100))
    assert found[:4] == [100, 200, 100, 200]


def test_each_start_has_its_own_length() -> None:
    small = [(e, i) for e in range(1, 4) for i in (10, 20)]
    large = [(e, i) for e in range(1, 4) for i in (10, 20, 30, 40, 50, 60)]
    pairs = small + large
    found = steps([e for e, _ in pairs], [i for _, i in pairs])
    assert found == list(range(10, 61, 10)) + list(range(10, 181, 10))


def test_a_resume_goes_back_on_the_same_scale() -> None:
    pairs = [(e, i) for e in range(1, 6) for i in (100, 200, 250)]
    again = [(4, 100), (4, 200), (4, 250)]
    found = steps([e for e, _ in pairs + again], [i for _, i in pairs + again])
    assert found[-3:] == found[9:12]


def test_a_global_counter_beside_epochs_is_taken_as_it_is() -> None:
    assert steps([1, 1, 2, 2, 3], [10, 20, 30, 40, 50]) == [10, 20, 30, 40, 50]
    resumed = steps([1, 1, 2, 2, 1, 2, 2], [10, 20, 30, 40, 20, 30, 40])
    assert resumed == [10, 20, 30, 40, 20, 30, 40]


def test_a_counter_named_in_passing_counts_nothing() -> None:
    made = Columns()
    for row in range(12):
        if row % 4 == 3:
            made.add(row, {"total_iters": row * 1_000})
        else:
            made.add(row, {"iters": row, "loss": 1.0})
    assert one(made).steps.tolist() == [0, 1, 2, 4, 5, 6, 8, 9, 10]


def test_steps_too_large_to_be_exact_are_none() -> None:
    made = Columns()
    for row in range(6):
        made.add(row, {"epoch": 1e15 * (row // 2 + 1), "iters": 1e15 * (row % 2 + 1), "loss": 1.0})
    assert one(made).steps.tolist() == [0, 1, 2, 3, 4, 5]


def test_chinese_counters() -> None:
    assert plain("步数") == "步数"
    made = Columns()
    for row in range(3):
        made.add(row, {"步数": row * 200, "损失": 1.0})
    found = one(made, "损失")
    assert (found.steps.tolist(), found.unit) == ([0, 200, 400], Unit.ITERATION)


@pytest.mark.parametrize(
    ("name", "expected"), [("Epoch", True), ("global step", True), ("time", False), ("", False)]
)
def test_counters_by_name(name: str, expected: bool) -> None:
    assert is_counter(name) is expected
