from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from gandoctor.cli import main
from gandoctor.lab.table import write_table
from gandoctor.thresholds import rules_folder
from tests.lab.rows import in_every_style, row
from tests.lab.test_calibrate import primaries
from tests.test_imports import HEAVY, loaded


def test_help_loads_nothing_heavy_and_a_report_no_torch(tmp_path: Path) -> None:
    assert HEAVY.isdisjoint(loaded("lab", "detect", "--help"))
    write_table(in_every_style(row()), tmp_path / "t.csv")
    assert {"torch", "pandas", "plotly"}.isdisjoint(loaded("lab", "report", str(tmp_path / "t.csv")))


def test_calibrate_uses_the_part_fit_alone(tmp_path: Path) -> None:
    fit = [one | {"part": "fit"} for one in primaries()]
    write_table([*fit, *(row(primary="GD102") for _ in range(500))], tmp_path / "t.csv.xz")
    before = (rules_folder() / "calibration.toml").read_bytes()
    folder = tmp_path / "rules"
    done = CliRunner().invoke(main, ["lab", "calibrate", str(tmp_path / "t.csv.xz"), "-o", str(folder)])
    assert done.exit_code == 0, done.output
    made = tomllib.loads((folder / "calibration.toml").read_text(encoding="utf-8"))
    assert made["lab"]["primaries"] == 240
    assert "GD102" not in made["lab"]["code"]
    assert "seeds 5000 to 5000" in made["lab"]["fitted_on"]
    assert (rules_folder() / "calibration.toml").read_bytes() == before
    thresholds = tomllib.loads((folder / "thresholds.toml").read_text(encoding="utf-8"))
    assert thresholds["lab"]["factors"] == {}  # no healthy run of *calibrate*: nothing to promise


@pytest.mark.parametrize("words", [["report"], ["calibrate"]])
def test_a_folder_without_a_study_is_said(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = CliRunner().invoke(main, ["lab", *words, str(tmp_path / "empty")])
    assert done.exit_code == 2
    assert "no table of a study is there" in done.output
    shutil.rmtree(tmp_path / "empty")
    assert CliRunner().invoke(main, ["lab", *words, str(tmp_path / "empty")]).exit_code == 2
