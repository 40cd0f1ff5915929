"""The commands and code in the README run, and print what it says. `python -m tests.test_readme` renews it."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from gandoctor import cli
from gandoctor.config import read_config
from gandoctor.detectors import all_detectors
from gandoctor.judge.rules import load_rules

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
CONSOLE = re.compile(r"```console\n\$ (?P<command>.*)\n(?P<output>[^`]*)```\n")


def output_of(command: str, folder: Path) -> str:
    """What a command prints, run in a folder that has the fixtures; lines without blanks at their ends."""
    program, *words = shlex.split(command)
    assert program == "gandoctor"
    if not (folder / "fixtures").exists():
        (folder / "fixtures").symlink_to(ROOT / "fixtures")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("COLUMNS", "100")
        result = CliRunner().invoke(cli.main, words)
    return "\n".join(line.rstrip() for line in result.output.strip("\n").splitlines()) + "\n"


@pytest.mark.parametrize(
    "block", list(CONSOLE.finditer(README.read_text())), ids=lambda block: block["command"]
)
def test_commands_print_what_it_says(tmp_path: Path, block: re.Match[str]) -> None:
    assert output_of(block["command"], tmp_path) == block["output"]


def test_the_python_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [code] = re.findall(r"```python\n([^`]*)```", README.read_text())
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert capsys.readouterr().out.startswith("failing GD105 ")
    assert (tmp_path / "report.html").is_file()


def test_the_configuration_is_valid(tmp_path: Path) -> None:
    [text] = re.findall(r"```toml\n([^`]*)```", README.read_text())
    assert tomllib.loads(text)
    (tmp_path / "gandoctor.toml").write_text(text)
    from gandoctor.api import check_config

    check_config(read_config(tmp_path / "gandoctor.toml"))


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_and_make_targets_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (ROOT / target).exists(), target
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:`|^ +)make ([a-z-]+)", text, re.MULTILINE):
        assert f"\n{target}:" in makefile


def test_every_symptom_that_it_counts_is_looked_for() -> None:
    known = load_rules().keys()
    assert known == {which.code for which in all_detectors()}
    assert re.findall(r"knows (\d+) symptoms", README.read_text()) == [str(len(known))]


def renew(folder: Path) -> None:
    """Write the output of each command into the README."""
    text = README.read_text()
    made = CONSOLE.sub(
        lambda b: f"```console\n$ {b['command']}\n{output_of(b['command'], folder)}```\n", text
    )
    README.write_text(made)


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as temporary:
        renew(Path(temporary))
