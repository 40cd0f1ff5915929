"""compare, sensitivity and journal from the command line."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gandoctor import cli
from tests.test_api import failing
from tests.test_cli import healthy


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(cli.main, [str(word) for word in words])


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs with their configurations, in the working directory."""
    monkeypatch.chdir(tmp_path)
    for name, rate in (("base", 4e-4), ("lower", 1e-4)):
        (failing if name == "base" else healthy)(tmp_path / name / "log.csv")
        settings = {"loss": "non-saturating", "lr_d": rate, "lr_g": 1e-4, "seed": 0, "run_name": name}
        (tmp_path / name / "config.json").write_text(json.dumps(settings))
    return tmp_path


def test_compare_prints_and_writes_a_page_here(work: Path) -> None:
    done = run("compare", "base", "lower")
    assert done.exit_code == 0, done.output
    assert "Keep the change" in done.output
    assert "lr_D 0.0004 → 0.0001" in done.output
    assert (work / "gandoctor-compare.html").read_text().startswith("<!doctype html>")


def test_compare_formats_and_exit_codes(work: Path) -> None:
    data = json.loads(run("compare", "base", "vs", "lower", "--format", "json").stdout)
    assert data["comparisons"][0]["verdict"] == "keep"
    assert not (work / "gandoctor-compare.html").exists()
    assert run("compare", "base", "lower", "--no-report", "--exit-code").exit_code == 0
    assert run("compare", "lower", "base", "--no-report", "--exit-code").exit_code == 1
    assert run("compare", "lower", "lower", "--no-report", "--exit-code").exit_code == 3
    assert (
        run("compare", "base", "lower", "--format", "html:x.html", "--format", "json:x.json").exit_code == 0
    )
    assert (work / "x.html").exists()
    assert json.loads((work / "x.json").read_text()) == data
    assert run("compare", "base", "lower", "--format", "terminal:x.txt").exit_code == 0
    assert "Keep the change" in (work / "x.txt").read_text()
    assert "保留改动" in run("compare", "base", "lower", "--no-report", "--lang", "zh").output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compare", "base"], "there is no candidate"),
        (["compare", "base", "none"], "no such file"),
        (["compare", "base", "lower", "--format", "sarif"], "no format is called 'sarif' here"),
        (["compare", "base", "lower", "--map", "nope=D.loss"], "no tag is called 'nope'"),
        (["sensitivity", "base"], "one run says nothing about seeds"),
        (["journal", "hypothesis"], "the journal has no baseline"),
        (["journal", "result", "lower"], "no hypothesis is open"),
        (["journal", "new", "none"], "no such file"),
    ],
)
def test_bad_usage_is_one_message(words: list[str], message: str) -> None:
    done = run(*words)
    assert done.exit_code == 2
    assert message in done.output
    assert "Traceback" not in done.output


def test_sensitivity(work: Path) -> None:
    data = json.loads(run("sensitivity", "base", "lower", "--format", "json").stdout)
    assert (data["verdict"], data["differs"]) == ("luck", ["lr_D"])
    assert "It is the seed's luck" in run("sensitivity", ".").output


def test_a_round_of_the_journal(work: Path) -> None:
    assert run("journal", "new", "base", "--note", "as published").exit_code == 0
    done = run("journal", "hypothesis", "--remedy", "slower-d-faster-g")
    assert done.exit_code == 0, done.output
    assert "lr_D 0.0004 → 0.0002, lr_G 0.0001 → 0.0002" in done.output
    settings = {"loss": "non-saturating", "lr_d": 2e-4, "lr_g": 2e-4}
    (work / "lower/config.json").write_text(json.dumps(settings))
    done = run("journal", "result", "lower", "--keep")
    assert done.exit_code == 0, done.output
    assert "Keep the change" in done.output
    lines = [json.loads(line) for line in (work / "gandoctor-journal.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["baseline", "hypothesis", "result"]
    assert (lines[2]["decision"], lines[2]["as_supposed"]) == ("keep", True)
    assert lines[0]["runs"][0]["path"] == "base"
    shown = run("journal", "show").output
    assert "Hypotheses: 1 (kept: 1, reverted: 0, open: 0)" in shown
    assert "as published" in shown
    assert run("journal", "show", "--format", "html", "-o", "j.html").exit_code == 0
    assert (work / "j.html").read_text().startswith("<!doctype html>")
    assert len(json.loads(run("journal", "show", "--format", "json").stdout)) == 3


def test_the_journal_is_found_from_a_folder_below(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("journal", "new", "base")
    monkeypatch.chdir(work / "base")
    assert run("journal", "hypothesis").exit_code == 0
    assert not (work / "base/gandoctor-journal.jsonl").exists()
    monkeypatch.chdir(work)
    done = run("journal", "result", "lower")
    assert "Not decided" in done.output


def test_a_damaged_line_is_named_on_stderr(work: Path) -> None:
    run("journal", "new", "base")
    with (work / "gandoctor-journal.jsonl").open("a") as file:
        file.write('{"kind": "hypo')
    done = run("journal", "show")
    assert done.exit_code == 0
    assert "gandoctor-journal.jsonl: line 2: no entry of a journal" in done.stderr
    assert run("journal", "hypothesis").exit_code == 0
    assert "Hypothesis" in run("journal", "show").output


def test_a_baseline_that_is_gone_can_be_named_anew(work: Path) -> None:
    run("journal", "new", "base")
    run("journal", "hypothesis")
    (work / "base").rename(work / "moved")
    done = run("journal", "result", "lower", "--keep")
    assert (done.exit_code, "the run that the journal remembers is gone" in done.output) == (2, True)
    assert run("journal", "result", "lower", "--keep", "-b", "moved").exit_code == 0


def test_it_asks_on_a_terminal(work: Path) -> None:
    run("journal", "new", "base")
    run("journal", "hypothesis")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "gandoctor", "journal", "result", "lower"]
    process = subprocess.Popen(
        command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    os.close(theirs)
    os.write(ours, b"revert\n")
    output, _ = process.communicate()
    os.close(ours)
    assert "Keep the change?" in output
    last = json.loads((work / "gandoctor-journal.jsonl").read_text().splitlines()[-1])
    assert (last["advice"], last["decision"]) == ("keep", "revert")


def test_the_python_interface(work: Path) -> None:
    import gandoctor

    found = gandoctor.compare("base", ["lower"])
    assert found.decision == "keep"
    assert gandoctor.compare(gandoctor.load("base"), gandoctor.load("lower")).symptoms == found.symptoms
    assert gandoctor.sensitivity(["base", "lower"]).origin == "luck"
    with pytest.raises(gandoctor.UserError, match="no such file"):
        gandoctor.compare("base", "none")
