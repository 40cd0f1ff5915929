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
