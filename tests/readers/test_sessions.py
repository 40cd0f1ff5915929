"""Restarts, resumes, counters that start again: what becomes of the steps, on small files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gandoctor.readers.load import load_all
from gandoctor.run import Run, Unit
from tests.readers.logs import WALL, Numbers, falling, rows_of, write_csv, write_events, write_gan

HEADER = "================ Training Loss (Fri May 17 00:29:50 2019) ================\n"


def one_file(folder: Path, *starts: tuple[list[int], Numbers]) -> list[Run]:
    """The runs of one event file into which several starts wrote, one after the other."""
    rows = [row for steps, loss in starts for row in rows_of(steps, loss_D=loss, loss_G=1.5 * loss)]
    write_events(folder, rows)
    return load_all(folder)


def kinds(run: Run) -> list[str]:
    return [problem.kind for problem in run.problems]


def test_one_run_is_left_alone(tmp_path: Path) -> None:
    [run] = one_file(tmp_path, (list(range(0, 600, 10)), falling(60)))
    assert (run.problems, run.series["loss_D"].steps.tolist()) == ([], list(range(0, 600, 10)))


def test_steps_that_begin_again_with_losses_that_do_are_a_new_run(tmp_path: Path) -> None:
    steps = list(range(0, 600, 10))
    first, second = one_file(tmp_path, (steps, falling(60)), (steps, falling(60, seed=4)))
    assert (first.name, second.name) == (tmp_path.name, f"{tmp_path.name}#2")
    np.testing.assert_allclose(second.series["loss_D"].values, falling(60, seed=4), rtol=1e-6)
    assert kinds(first) == []
    assert [(p.kind, p.message) for p in second.problems] == [
        ("new-run", "steps begin again at 0 after 590: taken as a run of its own")
    ]


def test_losses_that_go_on_tell_that_only_the_counter_restarted(tmp_path: Path) -> None:
    loss = falling(120)
    [run] = one_file(tmp_path, (list(range(0, 600, 10)), loss[:60]), (list(range(0, 600, 10)), loss[60:]))
    assert run.series["loss_D"].steps.tolist() == list(range(0, 1200, 10))
    assert kinds(run) == ["counter-restart"]


def test_unsure_is_split(tmp_path: Path) -> None:
    flat = np.random.default_rng(1).normal(1.0, 0.1, 60)
    assert len(one_file(tmp_path, (list(range(60)), flat), (list(range(60)), flat[::-1].copy()))) == 2


def test_a_resume_takes_back_what_the_writer_had_lost(tmp_path: Path) -> None:
    old, new = falling(60), falling(60, start=0.4, end=0.3, seed=2)
    [run] = one_file(tmp_path, (list(range(60)), old), (list(range(40, 100)), new))
    loss = run.series["loss_D"]
    assert loss.steps.tolist() == list(range(100))
    np.testing.assert_allclose(loss.values, np.concatenate([old[:40], new]), rtol=1e-6)
    assert run.problems == []


def test_a_purge_step_takes_back_later_points(tmp_path: Path) -> None:
    write_events(tmp_path, rows_of(range(60), loss_D=falling(60), loss_G=falling(60, seed=1)))
    write_events(tmp_path, rows_of(range(30, 35), loss_D=np.full(5, 9.0)), wall=1_700_009_000.0, purge=30)
    [run] = load_all(tmp_path)
    assert run.series["loss_D"].steps.tolist() == list(range(35))
    assert run.series["loss_G"].steps.tolist() == list(range(30))
    assert run.series["loss_D"].values[-1] == 9.0


def test_a_purge_of_everything_leaves_what_came_after(tmp_path: Path) -> None:
    write_events(tmp_path, rows_of(range(60), loss_D=falling(60), loss_G=falling(60, seed=1)))
    write_events(tmp_path, rows_of(range(40), loss_D=falling(40, seed=2)), wall=WALL + 9_000, purge=0)
    [run] = load_all(tmp_path)
    assert {tag: len(one) for tag, one in run.series.items()} == {"loss_D": 40}


def test_a_second_file_from_the_start_is_a_second_run(tmp_path: Path) -> None:
    for number in (1, 2):
        write_events(
            tmp_path,
            rows_of(range(60), loss_D=falling(60, seed=number)),
            wall=WALL + 9_000 * number,
        )
    first, second = load_all(tmp_path)
    assert second.name == f"{first.name}#2"
    assert second.problems[0].file.name == "events.out.tfevents.1700018000.host"


def test_event_files_follow_each_other_by_their_time(tmp_path: Path) -> None:
    loss = falling(90)
    for number in (0, 1, 2):
        piece = slice(30 * number, 30 * number + 30)
        rows = rows_of(range(90)[piece], loss_D=loss[piece])
        write_events(tmp_path, rows, wall=WALL + 9_000 * number, name=f"events.out.tfevents.{'cab'[number]}")
    [run] = load_all(tmp_path)
    np.testing.assert_allclose(run.series["loss_D"].values, loss, rtol=1e-6)


def test_false_starts_are_left_out_and_told(tmp_path: Path) -> None:
    write_events(tmp_path, rows_of(range(60), loss_D=falling(60)), wall=1_700_050_000.0)
    for number in range(3):
        write_events(
            tmp_path, rows_of(range(4), loss_D=falling(60, seed=number)[:4]), wall=WALL + 9_000 * number
        )
    [run] = load_all(tmp_path)
    assert len(run.series["loss_D"]) == 60
    assert [(p.kind, p.message) for p in run.problems] == [
        ("false-start", "3 starts of training with at most 4 points left out")
    ]


def test_where_every_start_gave_up_the_longest_is_the_run(tmp_path: Path) -> None:
    for number, points in enumerate((2, 11, 1)):
        write_events(tmp_path, rows_of(range(points), loss_D=falling(points)), wall=WALL + 9_000 * number)
    [run] = load_all(tmp_path)
    assert len(run.series["loss_D"]) == 11


@pytest.mark.parametrize("epochs", [4, 300])
def test_a_counter_that_restarts_each_epoch_is_carried_on(tmp_path: Path, epochs: int) -> None:
    loss = falling(20 * epochs)
    starts = [(list(range(20)), loss[20 * n : 20 * n + 20]) for n in range(epochs)]
    [run] = one_file(tmp_path, *starts)
    assert run.series["loss_D"].steps.tolist() == list(range(20 * epochs))
    np.testing.assert_allclose(run.series["loss_D"].values, loss, rtol=1e-6)
    assert kinds(run) == ["counter-restart"]


def test_equal_runs_one_after_the_other_are_no_epochs(tmp_path: Path) -> None:
    starts = [(list(range(40)), falling(40, seed=n)) for n in range(5)]
    assert [len(run.series["loss_D"]) for run in one_file(tmp_path, *starts)] == [40] * 5


def test_pix2pix_logs_are_appended_for_ever(tmp_path: Path) -> None:
    text = ""
    for seed, epochs in ((1, 30), (2, 1), (3, 40)):
        loss = falling(160, seed=seed)[: 4 * epochs]
        text += HEADER
        for n, value in enumerate(loss):
            text += (
                f"(epoch: {n // 4 + 1}, iters: {100 * (n % 4 + 1)}, time: 0.1, data: 0.2) "
                f"G_GAN: {value:.3f} G_L1: {9 * value:.3f} D_real: 0.3 D_fake: 0.4\n"
            )
    (tmp_path / "loss_log.txt").write_text(text)
    first, second = load_all(tmp_path)
    assert [len(run.series["G_GAN"]) for run in (first, second)] == [120, 160]
    assert first.series["G_GAN"].steps[:5].tolist() == [100, 200, 300, 400, 500]
    assert sorted(kinds(second)) == ["false-start", "new-run"]


def test_steps_that_are_all_0_give_way_to_the_write_order(tmp_path: Path) -> None:
    loss = falling(60)
    rows = [(0, {"loss_D": float(d), **({"loss_G": 1.0} if n % 3 == 0 else {})}) for n, d in enumerate(loss)]
    write_events(tmp_path, rows)
    [run] = load_all(tmp_path)
    assert run.series["loss_D"].unit is Unit.RECORD
    np.testing.assert_allclose(run.series["loss_D"].values, loss, rtol=1e-6)
    assert run.series["loss_G"].steps.tolist() == list(range(0, 60, 3)), "on the clock of loss_D"


def test_a_tag_without_steps_takes_those_around_it(tmp_path: Path) -> None:
    rows: list[tuple[int, dict[str, float]]] = []
    for step in range(0, 600, 10):
        rows.append((step, {"loss_D": 1.0 + step / 600}))
        if step % 100 == 0:
            rows.append((0, {"fid": 90.0 - step / 10}))
    write_events(tmp_path, rows)
    [run] = load_all(tmp_path)
    assert run.series["fid"].steps.tolist() == [0, 100, 200, 300, 400, 500]
    assert run.series["loss_D"].unit is Unit.ITERATION


def test_one_late_record_is_no_restart(tmp_path: Path) -> None:
    rows = rows_of(range(60), loss_D=falling(60), loss_G=falling(60, seed=1))
    rows.insert(50, (3, {"loss_D": 1.0}))
    write_events(tmp_path, rows)
    [run] = load_all(tmp_path)
    assert run.series["loss_D"].steps.tolist() == list(range(60))
    assert run.series["loss_D"].values[3] == 1.0, "the later write wins"


def test_a_log_beside_the_main_one_follows_its_restarts(tmp_path: Path) -> None:
    for number in (1, 2):
        wall = WALL + 9_000 * number
        write_events(tmp_path, rows_of(range(60), loss_D=falling(60, seed=number)), wall=wall)
        write_events(
            tmp_path / "validation", rows_of(range(60), mel=falling(60, seed=10 + number)), wall=wall
        )
    first, second = load_all(tmp_path)
    np.testing.assert_allclose(first.series["validation/mel"].values, falling(60, seed=11), rtol=1e-6)
    np.testing.assert_allclose(second.series["validation/mel"].values, falling(60, seed=12), rtol=1e-6)


def test_nan_is_no_hindrance(tmp_path: Path) -> None:
    loss = falling(60)
    loss[30:] = math.nan
    steps = list(range(60))
    first, second = one_file(tmp_path, (steps, loss), (steps, falling(60, seed=4)))
    assert int(np.isnan(first.series["loss_D"].values).sum()) == 30
    assert not np.isnan(second.series["loss_D"].values).any()


def test_a_csv_that_was_appended_to(tmp_path: Path) -> None:
    write_gan(tmp_path / "log.csv", seed=1)
    again = write_gan(tmp_path / "again.txt", seed=5).read_text()
    (tmp_path / "again.txt").unlink()
    with (tmp_path / "log.csv").open("a") as file:
        file.write(again)  # with its header, as fastai's history.csv
    assert [len(run.series["loss_D"]) for run in load_all(tmp_path)] == [60, 60]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(cut=st.integers(5, 55), back=st.integers(1, 20), every=st.sampled_from([1, 7, 1000]))
def test_no_point_is_lost_or_doubled_by_a_resume(tmp_path: Path, cut: int, back: int, every: int) -> None:
    back = min(back, cut - 4)
    loss = falling(60)
    steps = [*range(cut), *range(cut - back, 60)]
    write_csv(tmp_path / "log.csv", step=[every * step for step in steps], loss_D=loss[steps])
    [run] = load_all(tmp_path)
    assert run.series["loss_D"].steps.tolist() == [every * step for step in range(60)]


def test_rows_of_a_validation_metric_leave_the_steps_of_a_csv_alone(tmp_path: Path) -> None:
    lines = ["d_loss,epoch,g_loss,step,val_fid"]  # Lightning's CSVLogger
    for i in range(60):
        lines.append(f"{1.38 - i / 1_000},{i // 10},{0.69 + i / 1_000},{49 + 50 * i},")
        if i % 10 == 9:
            lines.append(f",{i // 10},,{49 + 50 * i},{200 - i}")
    (tmp_path / "metrics.csv").write_text("\n".join(lines) + "\n")
    [run] = load_all(tmp_path)
    assert {one.unit for one in run.series.values()} == {Unit.ITERATION}
    assert run.series["d_loss"].steps[[0, -1]].tolist() == [49, 2_999]
    assert run.series["val_fid"].steps[:2].tolist() == [499, 999]
