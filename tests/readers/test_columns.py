from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gandoctor.readers.columns import Columns, counts_steps
from gandoctor.run import Series, Unit

LOG = Path("log.csv")


def series(**columns: list[float | None]) -> dict[str, Series]:
    """The series of a small table; None is a cell that was not logged. "_" in a name stands for "/"."""
    made = Columns()
    for name, cells in columns.items():
        rows = [row for row, cell in enumerate(cells) if cell is not None]
        made.add_column(name, rows, [cell for cell in cells if cell is not None])
    return {one.tag: one for one in made.series(LOG)}


def test_an_iteration_counts_the_steps() -> None:
    found = series(epoch=[0, 0, 1], step=[10, 20, 30], loss=[3, 2, 1])
    assert set(found) == {"epoch", "loss"}
    assert found["loss"].steps.tolist() == [10, 20, 30]
    assert found["loss"].unit is Unit.ITERATION


def test_a_batch_that_starts_again_goes_on_from_epoch_to_epoch() -> None:
    found = series(Epoch=[0, 0, 0, 1, 1, 1], Batch=[0, 1, 2, 0, 1, 2], loss=[6, 5, 4, 3, 2, 1])
    assert found["loss"].steps.tolist() == [0, 1, 2, 3, 4, 5]
    assert set(found) == {"loss"}


def test_a_constant_batch_is_a_size_not_a_counter() -> None:
    found = series(batch=[64, 64, 64], epoch=[1, 2, 3], loss=[3, 2, 1])
    assert found["loss"].steps.tolist() == [1, 2, 3]
    assert found["loss"].unit is Unit.EPOCH
    assert found["batch"].values.tolist() == [64, 64, 64]


def test_a_fractional_step_is_no_counter() -> None:
    found = series(step=[1e-3, 1e-3, 5e-4], loss=[3, 2, 1])
    assert found["loss"].unit is Unit.RECORD
    assert "step" in found


def test_epochs_of_training_and_validation_may_stand_on_two_rows() -> None:
    found = series(epoch=[1, 1, 2, 2], loss=[4, None, 3, None], val_loss=[None, 5, None, 6])
    assert found["loss"].steps.tolist() == [1, 2]
    assert found["val_loss"].steps.tolist() == [1, 2]
    assert found["loss"].unit is Unit.EPOCH


def test_many_rows_an_epoch_are_counted_as_records() -> None:
    found = series(epoch=[1, 1, 1, 2, 2, 2], loss=[6, 5, 4, 3, 2, 1], fid=[None, None, 9, None, None, 8])
    assert found["loss"].steps.tolist() == [0, 1, 2, 3, 4, 5]
    assert found["fid"].steps.tolist() == [2, 5]
    assert found["epoch"].unit is Unit.RECORD


@pytest.mark.parametrize(
    ("index", "steps", "unit"),
    [([0, 1, 2], [0, 1, 2], Unit.RECORD), ([0, 100, 200], [0, 100, 200], Unit.ITERATION)],
)
def test_a_nameless_index(index: list[float], steps: list[int], unit: Unit) -> None:
    found = series(**{"": index, "loss": [3.0, 2.0, 1.0]})
    assert set(found) == {"loss"}
    assert found["loss"].steps.tolist() == steps
    assert found["loss"].unit is unit


def test_an_index_beside_a_counter_is_no_series() -> None:
    assert set(series(**{"": [0, 1, 2], "epoch": [1, 2, 3], "loss": [3, 2, 1]})) == {"loss"}


def test_kimg_are_whole_unless_that_merges_steps() -> None:
    ticks = series(kimg=[0.032, 4.032, 8.064, 8.4], loss=[4, 3, 2, 1])["loss"]
    assert (ticks.steps.tolist(), ticks.unit) == ([0, 4, 8, 8], Unit.KIMG)
    long = series(kimg=[4.0 * k for k in range(50)] + [196.4], loss=[float(k) for k in range(51)])["loss"]
    assert (long.steps[-2:].tolist(), long.unit) == ([196, 196], Unit.KIMG)
    fine = series(kimg=[0.1, 0.2, 0.3], loss=[3, 2, 1])["loss"]
    assert (fine.steps.tolist(), fine.unit) == ([100, 200, 300], Unit.IMAGE)


def test_the_time_of_day_goes_with_every_series() -> None:
    seconds = 1.7e9
    found = series(step=[1, 2, 3], timestamp=[seconds, seconds + 1, seconds + 2], loss=[3, None, 1])
    assert set(found) == {"loss"}
    wall = found["loss"].wall_time
    assert wall is not None
    assert wall.tolist() == [seconds, seconds + 2]
    ms = series(step=[1, 2], timestamp=[1.7e12, 1.7e12 + 500], loss=[3, 1])["loss"].wall_time
    assert ms is not None
    assert ms.tolist() == [1.7e9, 1.7e9 + 0.5]


def test_a_step_that_was_not_logged_on_a_row_is_the_one_before() -> None:
    assert series(step=[5, None, 7], loss=[3, 2, 1])["loss"].steps.tolist() == [5, 5, 7]


def test_rows_and_columns_may_be_mixed() -> None:
    columns = Columns()
    columns.add(0, {"step": 1, "loss": 0.5})
    columns.add(1, {"step": 2, "loss": float("nan")})
    columns.add_column("fid", np.array([1]), np.array([30.0]))
    fid, loss = columns.series(LOG)
    assert (fid.steps.tolist(), loss.steps.tolist()) == ([2], [1, 2])
    assert np.isnan(loss.values[1])
    with pytest.raises(ValueError, match="2 rows for 1 values"):
        columns.add_column("x", [0, 1], [1.0])


def test_columns_with_the_same_rows_share_their_steps() -> None:
    columns = Columns()
    rows = np.arange(3)
    for name in ("step", "d", "g"):
        columns.add_column(name, rows, np.array([1.0, 2.0, 3.0]))
    d, g = columns.series(LOG)
    assert d.steps is g.steps


def test_which_names_count() -> None:
    assert counts_steps("trainer/global_step")
    assert counts_steps("Epoch")
    assert not counts_steps("loss_D")


@given(
    st.dictionaries(
        st.sampled_from(["step", "epoch", "batch", "kimg", "time", "", "loss_D", "loss_G"]),
        st.lists(st.one_of(st.none(), st.floats()), min_size=6, max_size=6),
    )
)
def test_any_table_gives_series_whose_values_stand_in_it(table: dict[str, list[float | None]]) -> None:
    for tag, one in series(**table).items():
        logged = [cell for cell in table[tag] if cell is not None]
        assert np.array_equal(one.values, logged, equal_nan=True)
        assert len(one.steps) == len(one.order) == len(one.values)
