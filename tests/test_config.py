from __future__ import annotations

from pathlib import Path

import pytest

from gandoctor.config import Config, find_config, read_config
from gandoctor.errors import UserError

FULL = """
select = ["GD2", "GD401"]
ignore = ["GD202"]
loss-family = "hinge"
thresholds-version = "2026.11"
rules = ["my-rules"]
lang = "zh"

[thresholds]
"GD201.won" = 0.9
"GD302.growth" = 20

[map]
loss1 = "D.loss"
"""


def written(folder: Path, text: str, name: str = "gandoctor.toml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_every_key_is_read(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, FULL))
    assert config == Config(
        thresholds={"GD201.won": 0.9, "GD302.growth": 20.0}, thresholds_version="2026.11", select=("GD2", "GD401"),
        ignore=("GD202",), roles={"loss1": "D.loss"}, family="hinge", rules=(tmp_path / "my-rules",), lang="zh",
    )  # fmt: skip


def test_a_project_file_has_a_table_of_ours(tmp_path: Path) -> None:
    path = written(tmp_path, '[project]\nname = "x"\n[tool.gandoctor]\nselect = ["GD1"]\n', "pyproject.toml")
    assert read_config(path).select == ("GD1",)
    assert read_config(written(tmp_path / "other", '[project]\nname = "x"\n', "pyproject.toml")) == Config()


def test_the_nearest_folder_with_a_configuration_counts(tmp_path: Path) -> None:
    written(tmp_path, 'select = ["GD1"]')
    written(tmp_path / "a", '[tool.gandoctor]\nselect = ["GD2"]\n', "pyproject.toml")
    written(tmp_path / "a" / "b", '[project]\nname = "not ours"\n', "pyproject.toml")
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir()
    assert find_config(deep).select == ("GD2",)
    assert find_config(tmp_path).select == ("GD1",)


def test_a_file_of_our_own_outranks_the_project_file_beside_it(tmp_path: Path) -> None:
    written(tmp_path, '[tool.gandoctor]\nselect = ["GD2"]\n', "pyproject.toml")
    written(tmp_path, 'select = ["GD1"]')
    assert find_config(tmp_path).select == ("GD1",)


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "gandoctor.toml"
    path.write_bytes(b"\xef\xbb\xbf" + b'lang = "zh"\n')
    assert read_config(path).lang == "zh"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("selct = []", "unknown key 'selct'"),
        ("select = 'GD2'", "'select' must be a list"),
        ("lang = 3", "'lang' must be a text"),
        ("thresholds = 3", "'thresholds' must be a table"),
        ("[thresholds]\n'GD201.won' = 'high'", "threshold 'GD201.won' must be a number"),
        ("[thresholds]\n'GD201.won' = true", "threshold 'GD201.won' must be a number"),
        ("[thresholds]\n'GD201.won' = nan", "threshold 'GD201.won' must be a number"),
        ("select = [", "not valid TOML"),
    ],
)
def test_faults_name_the_file_and_the_key(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UserError) as fault:
        read_config(path)
    assert message in str(fault.value)
    assert str(path) in fault.value.where


@pytest.mark.parametrize("text", ["[tool]\ngandoctor = 5", "tool = 5"])
def test_a_table_that_is_none(tmp_path: Path, text: str) -> None:
    written(tmp_path, text, "pyproject.toml")
    with pytest.raises(UserError, match="must be a table"):
        find_config(tmp_path)
    with pytest.raises(UserError, match="must be a table"):
        read_config(tmp_path / "pyproject.toml")


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "gandoctor.toml"
    path.write_bytes(b"lang = '\xff\xfe'")
    with pytest.raises(UserError, match="not valid TOML"):
        read_config(path)


def test_a_folder_of_rules_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'rules'"):
        read_config(written(tmp_path, "rules = [3]"))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_config(tmp_path / "gandoctor.toml")


@pytest.mark.parametrize(
    ("select", "ignore", "code", "wanted"),
    [
        ((), (), "GD201", True), (("GD2",), (), "GD201", True), (("GD2",), (), "GD301", False),
        (("GD2",), ("GD201",), "GD201", False), ((), ("GD9",), "GD901", False), (("GD201",), (), "GD20", False),
    ],
)  # fmt: skip
def test_codes_are_chosen_by_their_beginnings(
    select: tuple[str, ...], ignore: tuple[str, ...], code: str, wanted: bool
) -> None:
    assert Config(select=select, ignore=ignore).wants(code) is wanted


def test_the_command_line_changes_what_it_names() -> None:
    config = Config(select=("GD2",), lang="zh")
    assert config.changed(select=None, family="", lang="en") == Config(select=("GD2",), lang="en")


PATHS = """
ignore = ["GD9"]
fail-on = ["warning"]
require = ["D.loss"]
min-confidence = 0.3
baseline = "accepted.json"
map = {a = "D.loss"}

[per-path."runs/old*"]
ignore = ["GD5"]
thresholds = {"GD201.won" = 0.9}
map = {b = "G.loss"}
fail-on = ["GD105"]

[per-path."runs/old/best"]
fail-on = ["error"]
loss-family = "hinge"
require = []
"""


def test_settings_for_some_paths_only(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, PATHS))
    other = config.for_path(tmp_path / "runs" / "new")
    assert (other.ignore, other.fail_on, other.require) == (("GD9",), ("warning",), ("D.loss",))
    assert (other.min_confidence, other.baseline) == (0.3, tmp_path / "accepted.json")
    old = config.for_path(tmp_path / "runs" / "older" / "exp1" / "log.csv")
    assert (old.ignore, old.fail_on, old.thresholds) == (("GD9", "GD5"), ("GD105",), {"GD201.won": 0.9})
    assert (old.roles, old.family) == ({"a": "D.loss", "b": "G.loss"}, "")
    best = config.for_path(tmp_path / "runs" / "old" / "best")
    assert (best.fail_on, best.family, best.require, best.ignore) == (("error",), "hinge", (), ("GD9", "GD5"))
    assert config.for_path(Path("/elsewhere/runs/old")).ignore == ("GD9",)


def test_patterns_count_from_the_folder_of_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs").mkdir()
    config = read_config(written(tmp_path, PATHS))
    monkeypatch.chdir(tmp_path / "runs")
    assert config.for_path(Path("old/a")).fail_on == ("GD105",)


def test_the_command_line_outranks_settings_of_paths(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, PATHS))
    told = config.changed(
        fail_on=("GD3",), ignore=("GD1",), roles={"a": "D.loss", "b": "D.lr"}, min_confidence=0.0
    )
    old = told.for_path(tmp_path / "runs" / "old" / "best")
    assert (old.fail_on, old.ignore, old.min_confidence) == (("GD3",), ("GD1",), 0.0)
    assert old.roles == {"a": "D.loss", "b": "D.lr"}
    assert old.family == "hinge"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("per-path = 3", "'per-path' must be a table"),
        ("[per-path]\n'runs' = 3", "in per-path 'runs': must be a table"),
        ("[per-path.'runs']\nlang = 'zh'", "in per-path 'runs': unknown key 'lang'"),
        ("[per-path.'runs']\nignore = 'GD2'", "in per-path 'runs': 'ignore' must be a list"),
        ("fail-on = [3]", "'fail-on' must be a list of texts"),
        ("min-confidence = 2", "'min-confidence' must be from 0 to 1"),
        ("baseline = 3", "'baseline' must be a text"),
    ],
)
def test_faults_in_settings_of_paths(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError) as fault:
        read_config(written(tmp_path, text))
    assert message in str(fault.value)
