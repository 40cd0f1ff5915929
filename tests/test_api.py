"""Load, diagnose, write; many runs in several processes, and what goes wrong in one of them."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gandoctor
from gandoctor import UserError, many
from gandoctor.api import check_config
from gandoctor.config import Config
from gandoctor.judge.diagnosis import Diagnosis
from gandoctor.readers import csv_log
from gandoctor.thresholds import version
from tests.readers.logs import falling, write_csv, write_gan
from tests.runs import bce_run, jump, level, noisy


def failing(path: Path, points: int = 400) -> Path:
    """A run in which D wins at a third."""
    step = np.arange(points)
    won = step > points // 3
    noise = np.exp(np.random.default_rng(0).normal(0, 0.1, points))
    return write_csv(
        path, step=50 * step, loss_D=np.where(won, 0.002, 1.3) * noise, loss_G=np.where(won, 9.0, 0.8) * noise
    )


def as_json(diagnoses: list[Diagnosis], path: Path) -> bytes:
    gandoctor.write(diagnoses, path)
    return path.read_bytes()


# --- one run ---------------------------------------------------------------------------------------------


def test_the_promised_four_lines(tmp_path: Path) -> None:
    failing(tmp_path / "exp/log.csv")
    run = gandoctor.load(tmp_path / "exp")
    diagnosis = gandoctor.diagnose(run)
    assert diagnosis.primary is not None
    assert diagnosis.primary.finding.code == "GD201"
    assert diagnosis.prescription
    gandoctor.write(diagnosis, tmp_path / "out/report.json")
    assert json.loads((tmp_path / "out/report.json").read_text())["runs"][0]["verdict"] == "failing"
    assert gandoctor.diagnose(tmp_path / "exp").verdict == diagnosis.verdict


def test_load_wants_exactly_one_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no training log was found there"):
        gandoctor.load(tmp_path)
    for number in range(10):
        write_gan(tmp_path / f"run{number}/log.csv")
    with pytest.raises(UserError, match=r"10 runs are there: run0, .*run7, …\nhint: load_all gives them all"):
        gandoctor.load(tmp_path)
    assert len(gandoctor.load_all(tmp_path)) == 10


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    failing(tmp_path / "exp/log.csv")
    first = as_json(gandoctor.diagnose_all(tmp_path), tmp_path / "a.json")
    assert first == as_json(gandoctor.diagnose_all(tmp_path), tmp_path / "b.json")


# --- configuration ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            Config(thresholds_version="2020.01"),
            "thresholds-version: the configuration pins the thresholds of 2020.01",
        ),
        (Config(family="gaan"), "--loss-family: no loss family is called 'gaan'"),
        (Config(select=("GD999",)), "--select: no code begins with 'GD999'"),
        (Config(ignore=("",)), "--ignore: no code begins with ''"),
        (Config(lang="fr"), "--lang: no language 'fr'"),
        (Config(roles={"loss": "D.lss"}), "--map: 'D.lss' is no role"),
        (Config(thresholds={"GD201.wonn": 1.0}), "thresholds: no threshold is called 'GD201.wonn'"),
    ],
)
def test_what_a_configuration_may_not_say(config: Config, said: str) -> None:
    with pytest.raises(UserError) as caught:
        check_config(config)
    assert str(caught.value).startswith(said)
    assert caught.value.hint


def test_a_pin_tells_how_to_pin_anew() -> None:
    check_config(Config(thresholds_version=version()))
    with pytest.raises(UserError, match=f'thresholds-version = "{version()}"'):
        gandoctor.diagnose(bce_run(level(1.3), level(0.7)), Config(thresholds_version="2020.01"))


def test_roles_count_in_the_runs_that_have_the_tag(tmp_path: Path) -> None:
    write_csv(tmp_path / "a/log.csv", step=np.arange(60), first=falling(60), second=falling(60, seed=1))
    write_gan(tmp_path / "b/log.csv")
    a, b = gandoctor.diagnose_all(tmp_path, Config(roles={"first": "D.loss", "second": "G.loss"}))
    assert [len(diagnosis.views[0].game.d) for diagnosis in (a, b)] == [60, 60]


# --- many runs -------------------------------------------------------------------------------------------


@pytest.fixture
def several(tmp_path: Path) -> Path:
    for number in range(6):
        (failing if number % 2 else write_gan)(tmp_path / f"runs/exp{number}/log.csv")
    return tmp_path / "runs"


@pytest.mark.parametrize("jobs", [2, 5])
def test_processes_change_nothing(several: Path, tmp_path: Path, jobs: int) -> None:
    alone = as_json(gandoctor.diagnose_all(several), tmp_path / "1.json")
    assert as_json(gandoctor.diagnose_all(several, jobs=jobs), tmp_path / "2.json") == alone
    names = [run["name"] for run in json.loads(alone)["runs"]]
    assert names == [f"exp{number}" for number in range(6)]


def test_several_paths_are_one_job(several: Path) -> None:
    seen: list[int] = []
    paths = [several / "exp3", several / "exp1"]
    found = gandoctor.diagnose_all(paths, jobs=2, done=seen.append)
    assert [diagnosis.run.name for diagnosis in found] == ["exp3", "exp1"]
    assert seen == [2, 2]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_fault_of_ours_costs_one_run(several: Path, monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    whole = many.diagnose_run

    def broken(run: gandoctor.api.Run, config: Config | None = None) -> Diagnosis:
        if run.name == "exp3" and run.series:
            raise ZeroDivisionError("ours")
        return whole(run, config)

    monkeypatch.setattr(many, "diagnose_run", broken)
    monkeypatch.setattr(many, "process_context", lambda: multiprocessing.get_context("fork"))
    found = gandoctor.diagnose_all(several, jobs=jobs)
    assert [len(diagnosis.run.problems) for diagnosis in found] == [0, 0, 0, 1, 0, 0]
    assert (found[3].verdict, found[1].verdict) == ("unknown", "failing")
    [problem] = found[3].run.problems
    assert problem.kind == "internal-error"
    assert "please report it: ZeroDivisionError: ours (test_api.py:" in problem.message
    assert [path.name for path in found[3].run.files] == ["log.csv"]


def test_the_death_of_a_process_costs_one_run(several: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parent, whole = os.getpid(), csv_log.read

    def deadly(path: Path) -> object:
        if path.parent.name in ("exp0", "exp4") and os.getpid() != parent:
            os._exit(9)
        return whole(path)

    monkeypatch.setattr(csv_log, "read", deadly)
    monkeypatch.setattr(many, "process_context", lambda: multiprocessing.get_context("fork"))
    found = gandoctor.diagnose_all(several, jobs=2)
    assert [diagnosis.run.name for diagnosis in found] == [f"exp{number}" for number in range(6)]
    died = [d.run.name for d in found if any(p.kind == "internal-error" for p in d.run.problems)]
    assert died == ["exp0", "exp4"]
    assert "the process that read it died" in found[0].run.problems[0].message


def test_a_mistake_in_the_configuration_is_no_fault_of_a_run(several: Path) -> None:
    with pytest.raises(UserError, match="no threshold is called"):
        many.diagnose_found(many_found(several), Config(thresholds={"GD201.wonn": 1.0}), jobs=2)


def many_found(path: Path) -> list[many.RunFiles]:
    from gandoctor.readers.load import find_runs

    return find_runs(path)


# --- small results ---------------------------------------------------------------------------------------


def test_a_thinned_diagnosis_keeps_extremes_ends_and_verdict() -> None:
    run = bce_run(noisy(jump(1.3, 0.02, 0.4), 0.2), noisy(jump(0.8, 6.0, 0.4), 0.2), points=100_000, every=1)
    run.series["loss_D"].values[70_001] = 99.0
    run.series["loss_G"].values[[80_002, 80_003]] = np.nan
    whole = gandoctor.diagnose(run)
    small = many.thinned(whole)
    assert (small.verdict, small.primary, small.findings) == (whole.verdict, whole.primary, whole.findings)
    for tag, one in small.run.series.items():
        was = run.series[tag]
        assert len(one) <= 4_010
        assert one.points == 100_000
        assert (one.steps[0], one.steps[-1]) == (was.steps[0], was.steps[-1])
        assert np.nanmax(one.values) == np.nanmax(was.values)
        assert np.nanmin(one.values) == np.nanmin(was.values)
        assert np.all(np.diff(one.steps) > 0)
        late = slice(len(one) // 2, None)
        np.testing.assert_allclose(
            np.nanmedian(one.values[late]), np.nanmedian(was.values[50_000:]), rtol=0.02
        )
    assert 80_003 in small.run.series["loss_G"].steps[np.isnan(small.run.series["loss_G"].values)]
    assert small.views[0].game.scale == whole.views[0].game.scale
    assert len(small.views[0].game.d) <= 4_010
    assert len(run.series["loss_D"]) == 100_000, "the run itself is left alone"


def test_short_series_stay_as_they_are() -> None:
    diagnosis = gandoctor.diagnose(bce_run(level(1.3), level(0.7), points=500))
    small = many.thinned(diagnosis)
    assert small.run.series["loss_D"] is diagnosis.run.series["loss_D"]


def test_one_run_is_not_thinned_and_several_are(tmp_path: Path) -> None:
    failing(tmp_path / "a/log.csv", points=9_000)
    [one] = gandoctor.diagnose_all(tmp_path)
    assert len(one.run.series["loss_D"]) == 9_000
    write_gan(tmp_path / "b/log.csv")
    first, _ = gandoctor.diagnose_all(tmp_path)
    assert len(first.run.series["loss_D"]) <= 4_010
    assert first.run.series["loss_D"].points == 9_000


@pytest.mark.parametrize("guarded", [False, True])
def test_processes_beside_torch_are_started_anew(several: Path, tmp_path: Path, guarded: bool) -> None:
    """They import the script again, so it needs the usual guard; without, the error says so."""
    call = f"print(len(gandoctor.diagnose_all({str(several)!r}, jobs=2)))"
    lines = ["import sys, types, gandoctor", "sys.modules.setdefault('torch', types.ModuleType('torch'))"]
    script = tmp_path / "script.py"
    script.write_text("\n".join([*lines, f'if __name__ == "__main__": {call}' if guarded else call]) + "\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    if guarded:
        assert done.stdout == "6\n"
    else:
        assert 'under `if __name__ == "__main__":`' in done.stderr
