from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gandoctor.cli import main
from gandoctor.errors import UserError
from gandoctor.judge.efficacy import read_entries
from gandoctor.judge.rules import load_rules
from gandoctor.lab import command
from gandoctor.lab import cure as studies
from gandoctor.lab.cure import Plan, admitted, cure, first_ranked, groups_of, rows_in
from gandoctor.lab.cure_design import CONFIGURATIONS, Treated, chosen
from gandoctor.lab.cure_report import report
from gandoctor.lab.cure_table import COLUMNS, TABLE
from gandoctor.lab.table import Row, read_table
from gandoctor.trainer import baseline

pytest.importorskip("torch")
ONE = "ns-slow-d-ring"
PLAN = Plan(seed=5, controls=2, screen=1, final=2, steps=120, only=(ONE,), most=2)
WORDS = ["--seed", "5", "--controls", "2", "--screen", "1", "--final", "2", "--steps", "120", "--only", ONE,
         "--most", "2"]  # fmt: skip
RULES = load_rules()


def untimed(rows: list[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def times_written(study: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (study / "done").glob("*.json")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that was never stopped."""
    study = tmp_path_factory.mktemp("cure") / "study"
    cure(study, PLAN)
    return study


def test_stages_follow_each_other_with_seeds_of_their_own(whole: Path) -> None:
    rows = read_table(whole / TABLE, COLUMNS)
    assert not any(row["error"] for row in rows)
    stages = {
        stage: [row for row in rows if row["stage"] == stage] for stage in ("control", "screen", "final")
    }
    assert {stage: len(some) for stage, some in stages.items()} == {"control": 2, "screen": 2, "final": 6}
    seeds = [{row["seed"] for row in some} for some in stages.values()]
    assert not seeds[0] & seeds[1] | seeds[1] & seeds[2] | seeds[0] & seeds[2]
    assert {row["code"] for row in stages["final"]} == {"GD202"}
    assert {row["remedy"] for row in stages["final"]} == {"", "level-the-rates", "more-d-steps"}
    for row in stages["final"]:  # twice the budget is measured on those that count alone
        assert row["later"] in {"healthy", "ill", "grey"}
        assert row["outcome"] in {"healthy", "ill", "grey"}
    assert {row["later"] for row in stages["screen"]} == {""}


def test_a_study_killed_at_any_moment_goes_on(whole: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    words = ["lab", "cure", str(study), *WORDS]
    with subprocess.Popen(
        [sys.executable, "-m", "gandoctor", *words], stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        until = time.monotonic() + 500
        while not times_written(study) and time.monotonic() < until and process.poll() is None:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    before = times_written(study)
    assert before
    (study / "done" / ".half.json.part").write_text(
        "[{", encoding="utf-8"
    )  # as a kill in the middle leaves it
    assert CliRunner().invoke(main, words).exit_code == 2  # it says that a study is there
    done = CliRunner().invoke(main, [*words, "--resume"])
    assert done.exit_code == 0, done.output
    assert {name: times_written(study)[name] for name in before} == before
    assert untimed(rows_in(study)) == untimed(rows_in(whole))


def test_figures_and_the_efficacy_file_are_made_from_the_table(whole: Path, tmp_path: Path) -> None:
    for folder in ("rules", "docs"):
        (tmp_path / folder).mkdir()
    done = CliRunner().invoke(main, ["lab", "cures", str(whole), "--write", "--root", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "docs" / "cures.md").read_text(encoding="utf-8") == done.output
    entries = read_entries(tmp_path / "rules" / "efficacy.csv")
    assert [(one.stage, one.remedy, one.tally.tried, one.tally.control_tried) for one in entries] == [
        ("final", "level-the-rates", 2, 2), ("final", "more-d-steps", 2, 2),
        ("screen", "level-the-rates", 1, 2), ("screen", "more-d-steps", 1, 2),
    ]  # fmt: skip
    again = command.cures(tmp_path / "docs" / "lab" / TABLE)
    assert again == done.output
    with pytest.raises(UserError, match="no checkout"):
        command.cures(whole, write=True, root=tmp_path / "docs")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "a study is there already"),
        ({"plan": replace(PLAN, seed=6), "resume": True}, "another study is there: seed 5"),
        ({"plan": replace(PLAN, only=("no",))}, "no configuration is called 'no'"),
    ],
)
def test_another_study_is_left_alone(whole: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        cure(whole, options.pop("plan", PLAN), **options)


def test_what_is_no_study_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="holds no study"):
        cure(tmp_path, PLAN)
    with pytest.raises(UserError, match="no cure study is there"):
        command.cures(tmp_path)
    (tmp_path / "done").mkdir()
    (tmp_path / "done" / "x.json").write_text("[", encoding="utf-8")
    with pytest.raises(UserError, match=r"x\.json: cannot be read"):
        rows_in(tmp_path)


def test_a_full_disk_stops_and_keeps_what_is_done(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = sorted(times_written(whole))[-1]
    (whole / "done" / lost).unlink()
    before = times_written(whole)

    def full(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(studies, "write_safely", full)
    with pytest.raises(UserError, match="the disk is full") as stopped:
        cure(whole, PLAN, resume=True)
    assert "--resume" in stopped.value.hint
    assert times_written(whole) == before
    monkeypatch.undo()
    cure(whole, PLAN, resume=True)
    assert len(times_written(whole)) == len(before) + 1


def test_runs_that_crash_are_rows() -> None:
    [group] = groups_of("control", PLAN, PLAN.configurations(), RULES, [])
    broken = replace(group, runs=tuple(replace(run, hidden_g="no such unit") for run in group.runs))
    rows = studies.rows_of(broken)
    assert len(rows) == 2
    assert all("no such unit" in row["error"] for row in rows)
    assert "2 runs crashed" in report([{name: str(row.get(name, "")) for name in COLUMNS} for row in rows])


# --- what follows from rows, without training


def runs(
    configuration: str, stage: str, outcomes: str, remedy: str = "", code: str = "GD402", split: str = "rank",
    own: int = 1, origin: str = "GD402", true: str = "GD402",
) -> list[Row]:  # fmt: skip
    """Rows of a configuration: "h" healthy, "i" ill of `true`."""
    plain = dict.fromkeys(COLUMNS, "") | {
        "configuration": configuration,
        "family": "ns",
        "data": "glyphs",
        "stage": stage,
    }
    plain |= {"command": "gandoctor lab cure STUDY", "seconds": "1.0"}
    if stage != "control":
        plain |= {"code": code, "split": split}
    if remedy:
        plain |= {"remedy": remedy, "origin": origin, "own": str(own)}
    kinds = {
        "h": {"outcome": "healthy", "later": "healthy", "false": "GD402 GD401"},
        "i": {"outcome": "ill", "true": true},
    }
    return [plain | kinds[one] | {"seed": str(seed)} for seed, one in enumerate(outcomes)]


NAMES = [ill.name for ill in CONFIGURATIONS[:3]]


def two_configurations() -> list[Row]:
    rows: list[Row] = []
    for name, split in zip(NAMES[:2], ("rank", "judge"), strict=True):
        rows += runs(name, "control", "iiiiiiiiih")
        rows += runs(name, "final", "iiiiiiiiii", split=split)
        rows += runs(name, "final", "hhhhhhhhii" if split == "rank" else "hhhhhiiiii", "wgan-gp", split=split)
    rows += runs(NAMES[0], "final", "hiiiiiiiii", "pack-2")
    rows += runs(NAMES[0], "final", "iiiiiiiiii", "add-r1")
    rows += runs(
        NAMES[1], "final", "hhhhhhhhhh", "minibatch-std", split="judge"
    )  # had no part in the ranking
    rows += runs(NAMES[0], "final", "hhhhhhhhhh", "larger-d", own=0, origin="GD202")
    rows += runs(NAMES[2], "control", "iiiiihhhhh")
    return rows


def test_configurations_of_one_symptom_rank_and_judge_in_turn() -> None:
    found = admitted(CONFIGURATIONS[:3], two_configurations())
    assert [(ill.name, code, split) for ill, code, split in found] == [
        (NAMES[0], "GD402", "rank"), (NAMES[1], "GD402", "judge"),
    ]  # fmt: skip


def test_the_first_ranked_is_chosen_without_the_judges() -> None:
    assert first_ranked(two_configurations(), RULES) == {"GD402": "wgan-gp"}


def test_what_ranked_first_is_tried_on_the_judges() -> None:
    """Where it is not among their own best three: nothing was screened here, so those are the expert's first."""
    rows = [row for name in NAMES[:2] for row in runs(name, "control", "iiiiiiiiii")]
    rows += runs(NAMES[0], "final", "iiiiiiiiii") + runs(NAMES[0], "final", "hhhhhhhhhh", "larger-batch")
    [group] = groups_of("judge", Plan(), CONFIGURATIONS[:2], RULES, rows)
    about = [dict(one) for one in group.about]
    assert {(one["configuration"], one["remedy"], one["split"], one["stage"]) for one in about} == {
        (NAMES[1], "larger-batch", "judge", "final")
    }
    assert [one["seed"] for one in about] == list(Plan().seeds(CONFIGURATIONS[1], "final"))
    assert {(run.batch, run.overtime) for run in group.runs} == {(256, 2_000)}
    rows += runs(NAMES[0], "final", "hhhhhhhhhh", "wgan-gp")  # ranks as high, and stands before it
    assert groups_of("judge", Plan(), CONFIGURATIONS[:2], RULES, rows) == []


def test_the_best_go_on_and_ties_keep_the_experts_order() -> None:
    def treated(id: str, own: bool = True) -> Treated:
        return Treated("GD402" if own else "GD401", id, own, baseline())

    a, b, c, d, e = (treated(id) for id in "abcde")
    stranger = treated("s", own=False)
    assert chosen([(a, 1, 1), (b, 3, 3), (c, 1, 2), (d, 1, 1), (e, 0, 3)]) == [b, c, a]
    assert chosen([(a, 1, 1), (b, 2, 3), (c, 1, 2), (stranger, 3, 3)]) == [b, c, a, stranger]
    assert chosen([(a, 1, 1), (b, 2, 3), (c, 1, 2), (stranger, 2, 3)]) == [b, c, a]
    assert chosen([(a, 0, 0), (stranger, 1, 1)]) == [a, stranger]


def test_the_report_in_full() -> None:
    text = report(two_configurations())
    assert "4 rows" not in text
    assert f"| `{NAMES[2]}` | ns | glyphs | 5/10 (24–76%) | GD402 5 | apart: not ill enough | – |" in text
    assert "| 1 | `minibatch-std` | 10/10 (72–100%) | 0/10 (0–28%) |" in text
    assert f"| GD402 | `wgan-gp` | `{NAMES[1]}` | 5/10 (24–76%) | 0/10 (0–28%) | +50 (+12 to +76) |" in text
    assert "`add-r1` | GD402 |" in text.split("## Surprises")[1]
    assert "cures, and is not among the remedies of GD402" in text
    assert f"`larger-d` (of GD202) | `{NAMES[0]}` | 10/10" in text


def test_ids_are_names_of_files() -> None:
    rows = [row for name in NAMES for row in runs(name, "control", "iiiiiiiiii")]
    groups = groups_of("screen", Plan(), CONFIGURATIONS[:3], RULES, rows)
    assert len({group.id for group in groups}) == len(groups)
    assert all(len(group.runs) <= studies.SIDE for group in groups)
    assert json.dumps([dict(about) for group in groups for about in group.about])
