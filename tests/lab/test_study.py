from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gandoctor.cli import main
from gandoctor.errors import UserError
from gandoctor.lab import command
from gandoctor.lab import study as studies
from gandoctor.lab.design import draw
from gandoctor.lab.study import TABLE, Plan, detect, finished
from gandoctor.lab.styles import STYLES
from gandoctor.lab.table import Row, read_table
from gandoctor.lab.work import rows_of, train
from tests.lab.rows import die

pytest.importorskip("torch")
PLAN = Plan(runs=6, seed=700, side=2, steps=30)
TIMES = ("seconds", "diagnosis_seconds")


def untimed(table: Path) -> list[Row]:
    return [{name: value for name, value in row.items() if name not in TIMES} for row in read_table(table)]


def times_written(study: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (study / "rows").glob("*.json")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that was never stopped, its runs kept."""
    study = tmp_path_factory.mktemp("lab") / "study"
    detect(study, PLAN, keep=True)
    return study


def test_a_row_a_run_and_style(whole: Path) -> None:
    rows = read_table(whole / TABLE)
    assert len(rows) == 6 * len(STYLES)
    assert [row["seed"] for row in rows[:: len(STYLES)]] == [str(seed) for seed in range(700, 706)]
    assert not any(row["error"] for row in rows)
    assert {row["style"] for row in rows} == {style.name for style in STYLES}
    for row in rows:
        assert row["outcome"] in {"healthy", "ill", "grey"}
        assert row["verdict"] in {"healthy", "warning", "failing", "unknown"}
        assert not set(row["true"].split()) & set(row["false"].split())
    first = rows[: len(STYLES)]
    examined = [set(row["examined"].split()) for row in first]
    assert all(poor <= rich for poor, rich in pairwise(examined))
    assert (whole / "runs" / first[0]["configuration"] / "run1" / "truth.json").is_file()


def test_its_figures_are_made_from_what_is_done(whole: Path) -> None:
    text = command.report(whole, None, part="fit")
    assert "6 runs of 3 configurations" in text
    assert "0 configurations crashed, 0 diagnoses" in text


def test_what_is_done_is_not_trained_again(whole: Path) -> None:
    before = times_written(whole)
    lost = sorted(before)[1]
    (whole / "rows" / lost).unlink()
    table = (whole / TABLE).read_bytes()
    (whole / TABLE).unlink()
    detect(whole, PLAN, keep=True, resume=True)
    after = times_written(whole)
    assert {name for name in before if before[name] != after[name]} == {lost}
    assert len((whole / TABLE).read_bytes()) == pytest.approx(len(table), rel=0.2)


def test_kept_runs_are_diagnosed_again_without_training(whole: Path) -> None:
    rows = untimed(whole / TABLE)
    logs = {path: path.stat().st_mtime_ns for path in (whole / "runs").rglob("truth.json")}
    detect(whole, PLAN, again=True)
    assert untimed(whole / TABLE) == rows
    assert {path: path.stat().st_mtime_ns for path in (whole / "runs").rglob("truth.json")} == logs


def test_a_study_killed_at_any_moment_goes_on(whole: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    words = ["lab", "detect", str(study), "--runs", "6", "--seed", "700", "--side", "2", "--steps", "30"]
    words_of = [sys.executable, "-m", "gandoctor", *words]
    with subprocess.Popen(words_of, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        until = time.monotonic() + 240
        while not finished(study) and time.monotonic() < until and process.poll() is None:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)  # the parent alone: its workers must end by themselves
    before = times_written(study)
    assert before
    (study / "rows" / ".half.json.part").write_text(
        "[{", encoding="utf-8"
    )  # as a kill in the middle leaves it
    assert CliRunner().invoke(main, words).exit_code == 2  # it says that a study is there
    done = CliRunner().invoke(main, [*words, "--resume"])
    assert done.exit_code == 0, done.output
    assert {name: times_written(study)[name] for name in before} == before
    assert untimed(study / TABLE) == untimed(whole / TABLE)
    assert not list((study / "runs").glob("*"))  # not kept: gone once diagnosed


def test_a_configuration_that_crashes_is_a_row(tmp_path: Path) -> None:
    one = draw(2, 700, side=2, steps=30)[0]
    broken = replace(one, runs=tuple(replace(run, hidden_g="no such unit") for run in one.runs))
    rows = rows_of(broken, "test", tmp_path / "runs", keep=False)
    assert len(rows) == 1
    assert "no such unit" in rows[0]["error"]
    assert rows[0]["configuration"] == one.id
    assert not (tmp_path / "runs").exists()


def test_damaged_runs_are_trained_anew(tmp_path: Path) -> None:
    one = draw(1, 700, side=1, steps=30)[0]
    train(one.runs, tmp_path / "x")
    (tmp_path / "x" / "run0" / "truth.json").write_text('{"outcome": "hea', encoding="utf-8")
    truths, _ = train(one.runs, tmp_path / "x")
    assert truths[0]["outcome"]


def test_a_full_disk_stops_and_keeps_what_is_done(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = sorted(times_written(whole))[0]
    (whole / "rows" / lost).unlink()
    before = times_written(whole)

    def full(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(studies, "write_safely", full)
    with pytest.raises(UserError, match="the disk is full: 2 of 3 configurations are done") as stopped:
        detect(whole, PLAN, keep=True, resume=True)
    assert "--resume" in stopped.value.hint
    assert times_written(whole) == before
    monkeypatch.undo()
    detect(whole, PLAN, keep=True, resume=True)
    assert len(times_written(whole)) == 3


def test_a_process_that_dies_costs_its_configuration_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studies, "rows_of", die)
    rows = read_table(detect(tmp_path / "study", PLAN, jobs=2))
    assert [row["seed"] for row in rows] == ["700", "702", "704"]
    assert "died" in rows[0]["error"]
    assert not rows[1]["error"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "a study is there already"),
        ({"plan": replace(PLAN, seed=701), "resume": True}, "another study is there: seed 700"),
    ],
)
def test_another_study_is_left_alone(whole: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        detect(whole, options.pop("plan", PLAN), **options)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="holds no study"):
        detect(tmp_path, PLAN)
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match="cannot be read"):
        detect(tmp_path / "study", PLAN)


def test_nothing_kept_cannot_be_diagnosed_again(whole: Path, tmp_path: Path) -> None:
    shutil.copyfile(whole / "study.json", tmp_path / "study.json")
    with pytest.raises(UserError, match="no runs were kept"):
        detect(tmp_path, PLAN, again=True)


def test_a_study_of_other_draws_is_another(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gandoctor.lab.design.NEAR", 0.9)  # as after a change of the design
    monkeypatch.setattr("gandoctor.lab.design.HEALTHY", 0.1)
    with pytest.raises(UserError, match="another study is there: drawn"):
        detect(whole, PLAN, resume=True)


def test_a_cluster_needs_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UserError, match=r"needs dask\.distributed") as told:
        detect(tmp_path / "study", PLAN, scheduler="tcp://127.0.0.1:1")
    assert told.value.hint == "pip install distributed"
