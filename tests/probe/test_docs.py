"""The commands and code of the manual's page run as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from gandoctor import cli
from gandoctor.interpret.roles import role_of
from gandoctor.trainer.config import TrainConfig

PAGE = (Path(__file__).parents[2] / "docs/probe.md").read_text(encoding="utf-8")


def test_the_commands_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [models, *_] = re.findall(r"```python\n([^`]*)```", PAGE)
    [commands] = re.findall(r"```console\n([^`]*)```", PAGE)
    (tmp_path / "models.py").write_text(models)
    monkeypatch.chdir(tmp_path)
    for command in commands.splitlines():
        program, *words = shlex.split(command)
        assert program == "gandoctor"
        result = CliRunner().invoke(cli.main, words)
        assert result.exit_code == 0, result.output
    assert (tmp_path / "runs/ring/gandoctor-probe/metrics.jsonl").is_file()


def test_the_tags_of_the_page_are_those_that_are_read() -> None:
    [table] = re.findall(r"\| tag `probe/G/…` \|.*?\n\n", PAGE, re.DOTALL)
    names = re.findall(r"`([a-z_]+)`(?=[,` a-z_]* \|)", re.sub(r"\|[^|]*\|\n", "|\n", table))
    assert {"vendi", "jumps", "condition", "dead_units", "log_volume_spread"} <= set(names)
    assert {role_of(f"probe/G/{name}").quantity for name in names} == {"probed"}


def test_the_generator_of_the_page_is_the_trainers() -> None:
    config = TrainConfig()
    assert (config.latent, config.width_g, config.depth_g) == (4, 64, 3)
