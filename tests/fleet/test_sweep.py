"""A pass over a fleet: the same table whoever works, nothing lost, nothing twice, one bad run costs its own row."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
import pandas as pd

import gandoctor
from gandoctor.errors import UserError
from gandoctor.fleets import work
from gandoctor.fleets.engine import Task, tasks
from gandoctor.fleets.units import units
from gandoctor.readers.load import find_runs, load_run
from tests.readers.logs import write_gan

FIXTURES = Path(__file__).parents[2] / "fixtures"
NAMES = ("d-wins", "healthy-ns", "bad-init", "constant-z", "late-collapse")


def frames(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    runs, findings = (pd.read_parquet(folder / name) for name in ("runs", "findings"))
    return (
        runs.sort_values(["path", "name"], ignore_index=True),
        findings.sort_values(["path", "name", "id"], ignore_index=True),
    )


def same(one: Path, other: Path) -> None:
    for mine, theirs in zip(frames(one), frames(other), strict=True):
        pd.testing.assert_frame_equal(mine, theirs)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fleet") / "runs"
    for number in range(15):
        shutil.copytree(FIXTURES / NAMES[number % 5], root / f"team{number % 3}" / f"run{number:02d}")
    write_gan(root / "extra" / "exp1" / "log.csv")
    return root


@pytest.fixture(scope="module")
def done(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    progress = gandoctor.fleet(runs, out)
    assert (progress.runs, progress.errors) == (16, 0)
    return out


def test_the_rows_are_what_diagnose_says(runs: Path, done: Path) -> None:
    rows, findings = frames(done)
    diagnoses = gandoctor.diagnose_all(runs)
    told = {str(d.run.path): d for d in diagnoses}
    assert list(rows["path"]) == sorted(told)
    for row in rows.itertuples():
        diagnosis = told[row.path]
        assert row.verdict == diagnosis.verdict
        assert row.name == diagnosis.run.name
        assert (row.primary if isinstance(row.primary, str) else None) == (
            diagnosis.primary.finding.code if diagnosis.primary else None
        )
        assert (findings["path"] == row.path).sum() == len(diagnosis.findings)


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_number_of_processes_gives_the_same_table(
    runs: Path, done: Path, tmp_path: Path, jobs: int
) -> None:
    gandoctor.fleet(runs, tmp_path, jobs=jobs)
    same(done, tmp_path)
    for file in sorted(done.glob("[rf]*/*/*.parquet")):
        assert file.read_bytes() == (tmp_path / file.relative_to(done)).read_bytes()


def test_any_executor_gives_the_same_table(runs: Path, done: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as executor:
        gandoctor.fleet(runs, tmp_path, executor=executor)
    same(done, tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_dask_gives_the_same_table(runs: Path, done: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        gandoctor.fleet(runs, tmp_path, executor=client.get_executor(pure=False))
    same(done, tmp_path)


def test_only_what_changed_is_read_again(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs, tmp_path / "runs")
    out = tmp_path / "out"
    assert gandoctor.fleet(tmp_path / "runs", out).runs == 16
    progress = gandoctor.fleet(tmp_path / "runs", out)
    assert (progress.runs, progress.unchanged, progress.gone) == (0, 16, 0)
    write_gan(tmp_path / "runs" / "extra" / "exp1" / "log.csv", points=77)
    shutil.rmtree(tmp_path / "runs" / "team0" / "run00")
    progress = gandoctor.fleet(tmp_path / "runs", out)
    assert (progress.runs, progress.unchanged, progress.gone) == (1, 14, 1)
    rows, _ = frames(out)
    assert len(rows) == 15
    assert not rows.duplicated("path").any()


def test_other_thresholds_read_everything_again(runs: Path, tmp_path: Path) -> None:
    from gandoctor.config import Config

    gandoctor.fleet(runs / "team0", tmp_path)
    progress = gandoctor.fleet(runs / "team0", tmp_path, Config(ignore=("GD2",)))
    assert progress.unchanged == 0


def test_a_unit_by_itself_reads_as_the_whole_does(tmp_path: Path) -> None:
    """What belongs to one run stays in one unit, and names are those of the whole."""
    root = tmp_path / "all"
    for path in ("a/run1/log.csv", "a/run2/logs/log.csv", "b/exp1/train/log.csv", "b/exp1/validation/log.csv",
                 "b/exp2/log.csv", "c/alice/log.csv", "c/bob/log.csv", "d/EXP1_log.csv", "d/EXP1/log.csv"):  # fmt: skip
        write_gan(root / path)
    (root / "a" / "README.md").write_text("about")
    by_units = []
    for unit in units(root):
        here = Path(unit.path)
        for found in find_runs(here, below=not unit.loose):
            by_units += [run.name for run in load_run(work._named(found, unit, here))]
    assert sorted(by_units) == sorted(run.name for found in find_runs(root) for run in load_run(found))


# --- poison ----------------------------------------------------------------------------------------------


def test_a_slow_run_costs_its_own_row(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are not read here: on a busy machine their time would count, too."""

    def slow(root: Path, below: bool = True) -> list[object]:
        if root.name == "run01":
            spin()
        return []

    monkeypatch.setattr(work, "find_runs", slow)
    for executor in (
        None,
        ThreadPoolExecutor(1),
    ):  # a signal stops the one, the other between two steps of Python
        out = tmp_path / f"out{executor is None}"
        progress = gandoctor.fleet(runs, out, executor=executor, time_limit=3)
        rows, _ = frames(out)
        assert (progress.done, progress.errors) == (16, 1)
        assert list(rows["name"]) == ["team1/run01"]
        assert rows["error"].iloc[0] == "time-out: not done within 3 seconds"
    monkeypatch.undo()
    assert gandoctor.fleet(runs, tmp_path / "outTrue").runs == 0
    assert gandoctor.fleet(runs, tmp_path / "outTrue", retry=True).runs == 1


def spin() -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        pass


POISON = """
import os, signal, sys, time
from pathlib import Path
import gandoctor
from gandoctor.fleets import engine, work
real = work.find_runs
work._GRACE = 1.0
engine._TRIES = 1
def poisonous(root, below=True):
    if root.name in {names}:
        {what}
    return real(root, below=below) if float(sys.argv[3]) >= 60 else []  # on a busy machine their time would count
work.find_runs = poisonous
if __name__ == "__main__":
    gandoctor.fleet(sys.argv[1], sys.argv[2], jobs=2, time_limit=float(sys.argv[3]))
"""


@pytest.mark.parametrize(
    ("what", "names", "limit"),
    [
        ("os._exit(9)", ("run04", "run11"), 60),
        ("signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM]); time.sleep(60)", ("run04",), 4),
    ],
)
def test_a_run_that_kills_its_process_costs_its_own_row(
    runs: Path, done: Path, tmp_path: Path, what: str, names: tuple[str, ...], limit: float
) -> None:
    """The second one lets no signal through: its process ends itself."""
    script = tmp_path / "script.py"
    script.write_text(POISON.format(what=what, names=names))
    subprocess.run([sys.executable, str(script), str(runs), str(tmp_path / "out"), str(limit)], check=True)
    rows, _ = frames(tmp_path / "out")
    bad = rows[rows["error"] != ""]
    assert [Path(name).name for name in sorted(bad["name"])] == list(names)
    assert bad["error"].str.startswith("died").all()
    good = rows[rows["error"] == ""].reset_index(drop=True)
    whole, _ = frames(done)
    whole = whole[whole["path"].isin(good["path"])].reset_index(drop=True)
    assert len(good) == (14 if limit >= 60 else 0)
    if len(good):
        pd.testing.assert_frame_equal(
            good, whole, check_dtype=False
        )  # without a number an error's row has NaN


SLOWED = """
import os, sys, time
from pathlib import Path
import gandoctor
from gandoctor.fleets import table, work
real = work.find_runs
def slowed(root, below=True):
    Path(sys.argv[3], f"{os.getpid()}").touch()
    time.sleep(0.1)
    return real(root, below=below)
work.find_runs = slowed
table._FLUSH = 2
if __name__ == "__main__":
    gandoctor.fleet(sys.argv[1], sys.argv[2], jobs=2)
"""


@pytest.mark.parametrize("whom", ["worker", "parent"])
def test_nothing_is_lost_or_twice_after_a_kill(runs: Path, done: Path, tmp_path: Path, whom: str) -> None:
    script, marks, out = tmp_path / "script.py", tmp_path / "marks", tmp_path / "out"
    script.write_text(SLOWED)
    marks.mkdir()
    command = [sys.executable, str(script), str(runs), str(out), str(marks)]
    process = subprocess.Popen(command)
    journal = out / "journal"
    until = time.monotonic() + 120
    while time.monotonic() < until and not list(journal.glob("*.units.parquet")):
        time.sleep(0.02)
    workers = [int(mark.name) for mark in marks.iterdir()]
    assert workers
    if whom == "worker":
        os.kill(workers[0], signal.SIGKILL)
        assert process.wait(120) == 0
    else:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(120)
        assert list(journal.glob("*.units.parquet"))
        while time.monotonic() < until and any(map(_lives, workers)):
            time.sleep(0.05)
        assert not any(map(_lives, workers))  # no orphan goes on
        progress = gandoctor.fleet(runs, out)
        assert progress.unchanged > 0
    same(done, out)


def _lives(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_journal_that_was_settled_half_is_settled_again(runs: Path, done: Path, tmp_path: Path) -> None:
    from gandoctor.fleets.sweep import _version
    from gandoctor.fleets.table import Table

    out = tmp_path / "out"
    table = Table(out, _version(None))
    for unit in units(runs):
        table.add(work.diagnose_units([unit], None, 60))
    table.flush()
    journal = tmp_path / "journal"
    shutil.copytree(out / "journal", journal)
    table.settle()
    shutil.rmtree(out / "journal")
    shutil.rmtree(out / "findings" / "bucket=0", ignore_errors=True)
    shutil.copytree(journal, out / "journal")
    (out / "journal" / "000099.runs.parquet").write_bytes(b"cut")  # a flush that did not come to its end
    assert gandoctor.fleet(runs, out).runs == 0
    same(done, out)


# --- parts -----------------------------------------------------------------------------------------------


def test_few_units_are_shared_out_and_many_come_in_full_tasks(runs: Path) -> None:
    one = next(iter(units(runs)))
    assert [len(task.units) for task in tasks([one] * 8, 50, 2)] == [1] * 8
    assert [len(task.units) for task in tasks([one] * 1000, 50, 2)] == [50] * 20


def test_a_lost_task_is_tried_again_then_halved_until_one_is_left(runs: Path) -> None:
    one = next(iter(units(runs)))
    task = Task((one,) * 3)
    (again,) = task.again()
    assert [len(half.units) for half in again.again()] == [1, 2]
    assert again.again()[0].again() == []


def test_results_do_not_go_among_the_runs(runs: Path) -> None:
    with pytest.raises(UserError, match="among the runs"):
        gandoctor.fleet(runs, runs / "out")
    with pytest.raises(UserError, match="no such file"):
        gandoctor.fleet(runs / "missing", runs.parent / "elsewhere")
