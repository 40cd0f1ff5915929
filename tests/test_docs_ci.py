"""What docs/ci.md shows, runs."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from gandoctor import cli
from gandoctor.api import check_config
from gandoctor.config import read_config
from gandoctor.thresholds import version
from tests.test_ci_templates import ACTION, GITLAB, loaded

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/ci.md").read_text("utf-8")
CODES = {"late-collapse --once": 1, "late-collapse --write-baseline": 0, "late-collapse --baseline": 0,
         "late-collapse fixtures/healthy-ns": 1}  # fmt: skip


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands(work: Path) -> None:
    commands = [line[2:] for block in blocks("console") for line in block.splitlines()]
    assert len(commands) == len(CODES)
    for command in commands:
        result = CliRunner().invoke(cli.main, shlex.split(command)[1:])
        [code] = [code for words, code in CODES.items() if words in command]
        assert result.exit_code == code, command + result.output
    assert (work / "out.sarif").is_file()
    assert (work / "out.xml").is_file()


def test_the_settings(work: Path) -> None:
    [text] = blocks("toml")
    (work / "pyproject.toml").write_text(text, "utf-8")
    config = read_config(work / "pyproject.toml")
    check_config(config)
    assert tomllib.loads(text)["tool"]["gandoctor"]["thresholds-version"] == version()
    legacy = config.for_path(work / "runs/legacy-2/exp")
    assert (legacy.ignore, legacy.fail_on) == (("GD901", "GD5"), ("GD105",))


def test_the_python(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from gandoctor.pytest_plugin import Doctor

    test, loop = blocks("python")
    space: dict[str, object] = {}
    exec(test, space)
    space["test_training_is_healthy"](Doctor())  # type: ignore[operator]
    exec(loop, {})
    assert capsys.readouterr().out == ""


def test_the_yaml() -> None:
    github, gitlab = (yaml.safe_load(text) for text in blocks("yaml"))
    assert set(github["steps"][0]["with"]) <= set(loaded(ACTION)["inputs"])
    job = gitlab["check-run"]
    assert job["extends"] in loaded(GITLAB)
    assert set(job["variables"]) <= set(loaded(GITLAB)[job["extends"]]["variables"])


def test_links_and_options_exist() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists()
    known = {
        name
        for command in ("check", "watch")
        for option in cli.main.commands[command].params
        for name in option.opts
    }
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) <= known


def test_exit_codes_in_the_table_are_those_of_the_program() -> None:
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    assert told == {cli.OK, cli.FAILED, cli.USAGE, cli.UNKNOWN, cli.INTERNAL, cli.INTERRUPTED}
