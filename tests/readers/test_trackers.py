"""MLflow, Trackio and dvclive: their runs with names, steps, numbers that are none, settings; and no trace left."""

from __future__ import annotations

import json
import math
import os
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from gandoctor.readers.load import load_all

POINTS = 40


def mlflow_db(path: Path, wal: bool = False) -> sqlite3.Connection:
    """Two runs of one experiment with the same name, one deleted run; by MLflow's own schema."""
    base = sqlite3.connect(path)
    if wal:
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA wal_autocheckpoint = 0")
    base.executescript(
        """
        CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY, name VARCHAR(256), lifecycle_stage VARCHAR(32));
        CREATE TABLE runs (run_uuid VARCHAR(32) PRIMARY KEY, name VARCHAR(250), status VARCHAR(9), start_time BIGINT,
            end_time BIGINT, lifecycle_stage VARCHAR(20), artifact_uri VARCHAR(200), experiment_id INTEGER);
        CREATE TABLE metrics (key VARCHAR(250), value FLOAT NOT NULL, timestamp BIGINT NOT NULL,
            run_uuid VARCHAR(32) NOT NULL, step BIGINT NOT NULL DEFAULT 0, is_nan BOOLEAN NOT NULL DEFAULT 0,
            PRIMARY KEY (key, timestamp, step, run_uuid, value, is_nan));
        CREATE TABLE params (key VARCHAR(250), value VARCHAR(8000), run_uuid VARCHAR(32));
        CREATE TABLE tags (key VARCHAR(250), value VARCHAR(8000), run_uuid VARCHAR(32));
        INSERT INTO experiments VALUES (1, 'dcgan', 'active');
        """
    )
    for run, stage in (("a" * 32, "active"), ("b" * 32, "active"), ("c" * 32, "deleted")):
        base.execute("INSERT INTO runs VALUES (?, 'base', 'FINISHED', 0, 0, ?, '', 1)", (run, stage))
        for step in range(POINTS):
            for key, value, bad in (("D/loss", 1.3 + step / 100, 0), ("G/loss", 0.8, 0)):
                if run[0] == "b" and step == POINTS - 1:
                    value, bad = (0.0, 1) if key == "D/loss" else (1.7976931348623157e308, 0)
                row = (key, value, 1795552099192 + 1000 * step, run, 10 * step, bad)
                base.execute("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)", row)
        for key, value in (("lr_d", "0.0004"), ("ema", "True"), ("loss", "hinge")):
            base.execute("INSERT INTO params VALUES (?, ?, ?)", (key, value, run))
        for key, value in (("mlflow.user", "me"), ("team", "vision")):
            base.execute("INSERT INTO tags VALUES (?, ?, ?)", (key, value, run))
    base.commit()
    return base


def test_mlflows_database(tmp_path: Path) -> None:
    mlflow_db(tmp_path / "mlflow.db").close()
    one, other = load_all(tmp_path)
    assert one.name.endswith("[dcgan/base aaaaaaaa]")
    assert other.name.endswith("[dcgan/base bbbbbbbb]")
    loss = one.series["D/loss"]
    assert list(loss.steps) == list(range(0, 10 * POINTS, 10))
    assert loss.values[3] == pytest.approx(1.33)
    assert loss.wall_time is not None
    assert loss.wall_time[0] == pytest.approx(1795552099.192)
    assert math.isnan(other.series["D/loss"].values[-1])
    assert other.series["G/loss"].values[-1] == math.inf
    told = {name: found.value for name, found in one.settings.items()}
    assert told == {"lr_d": 0.0004, "ema": True, "loss": "hinge", "tags.team": "vision"}


def test_a_database_that_is_being_written_is_read_whole_and_left_alone(tmp_path: Path) -> None:
    base = mlflow_db(tmp_path / "mlflow.db", wal=True)
    assert (tmp_path / "mlflow.db-wal").stat().st_size > 0
    shutil.copytree(tmp_path, tmp_path / "copy")  # as after a crash: a -wal that nobody merged
    before = snapshot(tmp_path / "copy")
    (run, _) = load_all(tmp_path / "copy")
    assert len(run.series["D/loss"]) == POINTS
    assert snapshot(tmp_path / "copy") == before
    base.close()


def test_a_database_in_wal_mode_gets_no_files_beside_it(tmp_path: Path) -> None:
    base = mlflow_db(tmp_path / "mlflow.db", wal=True)
    base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    base.close()
    before = snapshot(tmp_path)
    assert [name for name, *_ in before] == ["mlflow.db"]
    assert len(load_all(tmp_path)) == 2
    assert snapshot(tmp_path) == before


def snapshot(folder: Path) -> list[tuple[str, int, int]]:
    return [
        (name, (folder / name).stat().st_mtime_ns, (folder / name).stat().st_size)
        for name in sorted(os.listdir(folder))
        if (folder / name).is_file() and not name.endswith("-shm")
    ]


def test_a_damaged_database_gives_a_problem_and_what_is_readable(tmp_path: Path) -> None:
    mlflow_db(tmp_path / "mlflow.db").close()
    data = bytearray((tmp_path / "mlflow.db").read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    (tmp_path / "mlflow.db").write_bytes(data)
    runs = load_all(tmp_path)
    assert any(problem.kind == "bad-database" for run in runs for problem in run.problems)
    for cut in (20, 100, 5000):
        (tmp_path / "mlflow.db").write_bytes(bytes(data[:cut]))
        load_all(tmp_path)


def test_another_database_is_none_of_ours(tmp_path: Path) -> None:
    base = sqlite3.connect(tmp_path / "app.db")
    base.execute("CREATE TABLE metrics (a, b)")
    base.commit()
    base.close()
    assert load_all(tmp_path) == []


def test_mlflows_files(tmp_path: Path) -> None:
    run = tmp_path / "mlruns" / "0" / ("d" * 32)
    for name in ("metrics/D", "params", "tags", "artifacts"):
        (run / name).mkdir(parents=True)
    (tmp_path / "mlruns" / "0" / "meta.yaml").write_text("experiment_id: '0'\nname: Default\n")
    (run / "meta.yaml").write_text(f"run_id: {'d' * 32}\nrun_name: base\nlifecycle_stage: active\n")
    lines = [f"{1795552099192 + step} {1.3 + step / 100} {step}" for step in range(POINTS)]
    (run / "metrics" / "D" / "loss").write_text("\n".join([*lines, f"1795552100000 nan {POINTS}"]) + "\n")
    (run / "metrics" / "g_loss").write_text("\n".join(line for line in lines) + "\n1795552")
    (run / "params" / "lr_d").write_text("0.0004")
    (run / "tags" / "mlflow.runName").write_text("base")
    (run / "tags" / "team").write_text("vision")
    (one,) = load_all(tmp_path)
    assert one.path == run
    assert sorted(one.series) == ["D/loss", "g_loss"]
    assert len(one.series["D/loss"]) == POINTS + 1
    assert math.isnan(one.series["D/loss"].values[-1])
    assert {name: found.value for name, found in one.settings.items()} == {
        "lr_d": 0.0004,
        "tags.team": "vision",
    }
    assert [problem.kind for problem in one.problems] == ["truncated-tail"]


def test_trackio(tmp_path: Path) -> None:
    base = sqlite3.connect(tmp_path / "gan.db")
    base.executescript(
        """
        CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT, timestamp TEXT NOT NULL,
            run_name TEXT NOT NULL, step INTEGER NOT NULL, metrics TEXT NOT NULL);
        CREATE TABLE configs (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT, run_name TEXT NOT NULL,
            config TEXT NOT NULL, created_at TEXT NOT NULL);
        """
    )
    for name in ("one", "two"):
        for step in range(POINTS):
            record = {"loss": {"D": 1.3, "G": "NaN" if step == 5 else 0.7}, "fid": "Infinity", "note": "words",
                      "sample": {"_type": "trackio.image", "size": 3}}  # fmt: skip
            row = (
                f"id-{name}",
                f"2026-11-01T00:00:{step:02d}+00:00",
                name,
                step,
                json.dumps(record).encode(),
            )
            base.execute(
                "INSERT INTO metrics (run_id, timestamp, run_name, step, metrics) VALUES (?, ?, ?, ?, ?)", row
            )
        config = json.dumps({"lr_d": 4e-4, "_Username": "me"})
        base.execute("INSERT INTO configs (run_id, run_name, config, created_at) VALUES (?, ?, ?, '')",
                     (f"id-{name}", name, config))  # fmt: skip
    base.execute(
        "INSERT INTO metrics (run_id, timestamp, run_name, step, metrics) VALUES ('id-one', '', 'one', 99, 'x')"
    )
    base.commit()
    base.close()
    one, two = load_all(tmp_path)
    assert (one.name[-5:], two.name[-5:]) == ("[one]", "[two]")
    assert sorted(one.series) == ["fid", "loss/D", "loss/G"]
    assert math.isnan(one.series["loss/G"].values[5])
    assert np.isinf(one.series["fid"].values).all()
    assert {name: found.value for name, found in one.settings.items()} == {"lr_d": 4e-4}
    assert [problem.kind for problem in one.problems] == ["bad-record"]
    assert os.listdir(tmp_path) == ["gan.db"]


def test_dvclive(tmp_path: Path) -> None:
    for tag in ("loss_D", "train/loss_G"):
        file = tmp_path / "dvclive" / "plots" / "metrics" / f"{tag}.tsv"
        file.parent.mkdir(parents=True, exist_ok=True)
        rows = [f"{step}\t{1 + step / 10}" for step in range(POINTS)]
        file.write_text("\n".join(["step\t" + file.stem, *rows, f"{POINTS}\tnan"]) + "\n")
    (tmp_path / "dvclive" / "metrics.json").write_text(
        '{"loss_D": 1.0, "train": {"loss_G": 2.0}, "step": 40}'
    )
    (tmp_path / "dvclive" / "params.yaml").write_text("lr_d: 0.0004\nbatch_size: 64\n")
    (one,) = load_all(tmp_path)
    assert sorted(one.series) == ["loss_D", "train/loss_G"]
    assert len(one.series["loss_D"]) == POINTS + 1
    assert math.isnan(one.series["loss_D"].values[-1])
    assert one.settings["lr_d"].value == 0.0004
    assert not one.problems
