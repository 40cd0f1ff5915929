"""The command line: what it prints where, and its exit codes."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner, Result

import gandoctor
from gandoctor import cli
from gandoctor.reports import formats
from tests.readers.logs import falling, write_csv, write_gan
from tests.test_api import failing

SCHEMA = json.loads((Path(gandoctor.__file__).parent / "reports/schema.json").read_text())


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without configuration above it; reports go there."""
    folder = tmp_path_factory.mktemp("work")
    monkeypatch.chdir(folder)
    return folder


def run(*words: str | Path, **options: Any) -> Result:
    return CliRunner().invoke(cli.main, [str(word) for word in words], **options)


def healthy(path: Path) -> Path:
    """A run at the equilibrium of the non-saturating loss, with a little noise."""
    n = np.arange(400)
    noise = np.exp(np.random.default_rng(3).normal(0, 0.03, 400))
    return write_csv(path, step=50 * n, loss_D=1.30 * noise, loss_G=0.75 * noise[::-1])


def short(path: Path) -> Path:
    return write_csv(path, step=[1, 2, 3], loss_D=[1.3, 1.2, 1.3], loss_G=[0.7, 0.8, 0.7])


def tool(*words: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gandoctor", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


# --- diagnose --------------------------------------------------------------------------------------------


def test_diagnose_prints_a_summary_and_writes_a_report_here(tmp_path: Path, elsewhere: Path) -> None:
    failing(tmp_path / "exp/log.csv")
    result = run("diagnose", tmp_path / "exp")
    assert result.exit_code == 0
    assert result.stderr == ""
    for told in ("Failing", "GD201", "Do first", "gandoctor-report.html"):
        assert told in result.stdout
    assert (elsewhere / "gandoctor-report.html").stat().st_size > 1000
    assert [path.name for path in (tmp_path / "exp").iterdir()] == ["log.csv"], (
        "nothing is written beside the log"
    )


def test_several_runs_get_an_index(tmp_path: Path, elsewhere: Path) -> None:
    failing(tmp_path / "a/log.csv")
    healthy(tmp_path / "b/log.csv")
    assert run("diagnose", tmp_path / "a", tmp_path / "b").exit_code == 0
    assert (elsewhere / "gandoctor-report/index.html").is_file()


@pytest.mark.parametrize(
    ("given", "made"), [("x.html", "x.html"), ("new/", "new/index.html"), ("x.json", "x.json")]
)
def test_output_says_where_the_report_goes(tmp_path: Path, elsewhere: Path, given: str, made: str) -> None:
    result = run("diagnose", failing(tmp_path / "log.csv"), "-o", given)
    assert result.exit_code == 0
    assert made in result.stdout
    start = (elsewhere / made).read_text()[:20].lower()
    assert start.startswith("{" if given.endswith("json") else "<!doctype html")


def test_no_report_is_written_if_none_is_wanted(tmp_path: Path, elsewhere: Path) -> None:
    assert run("diagnose", failing(tmp_path / "log.csv"), "--no-report").exit_code == 0
    assert run("diagnose", tmp_path / "log.csv", "--format", "terminal").exit_code == 0
    assert list(elsewhere.iterdir()) == []


def test_json_is_an_object_whatever_is_wrong(tmp_path: Path) -> None:
    failing(tmp_path / "log.csv")
    (tmp_path / "empty").mkdir()
    for paths, options, code, runs in (
        ([tmp_path / "log.csv"], [], 0, 1),
        ([tmp_path / "log.csv", tmp_path / "nowhere"], [], 0, 1),
        ([tmp_path / "nowhere"], [], 2, 0),
        ([tmp_path / "empty"], [], 2, 0),
        ([tmp_path / "log.csv"], ["--map", "nothing=D.loss"], 2, 0),
        ([tmp_path / "log.csv"], ["--select", "GD999"], 2, 0),
    ):  # fmt: skip
        result = run("diagnose", *paths, *options, "--format", "json")
        told = json.loads(result.stdout)
        jsonschema.validate(told, SCHEMA)
        assert (result.exit_code, len(told["runs"])) == (code, runs)
        assert (result.stderr == "") == (options == [] and paths == [tmp_path / "log.csv"])


def test_formats_go_to_files_and_one_of_them_to_standard_output(tmp_path: Path, elsewhere: Path) -> None:
    log = failing(tmp_path / "log.csv")
    result = run("diagnose", log, "--format", "json", "--format", "html:out/page.html")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["runs"][0]["primary"]["code"] == "GD201"
    assert sorted(str(path.relative_to(elsewhere)) for path in elsewhere.rglob("*.*")) == ["out/page.html"]
    result = run("diagnose", log, "--format", "json", "-o", "out/x.json")
    assert (result.stdout, json.loads((elsewhere / "out/x.json").read_text())["schema"]) == ("", "1.0")
    result = run("diagnose", log, "--format", "json", "--format", "terminal")
    assert (result.exit_code, "cannot share standard output" in result.stderr) == (2, True)


def test_an_unknown_format_lists_the_formats(tmp_path: Path) -> None:
    result = run("diagnose", failing(tmp_path / "log.csv"), "--format", "pdf")
    assert result.exit_code == 2
    assert result.stderr.startswith("gandoctor: no format is called 'pdf'\nhint: formats: ")
    assert all(name in result.stderr for name in formats())


def test_a_missing_path_does_not_hide_the_others(tmp_path: Path) -> None:
    failing(tmp_path / "log.csv")
    result = run("diagnose", tmp_path / "nowhere", tmp_path / "log.csv", "--no-report")
    assert result.exit_code == 0
    assert "GD201" in result.stdout
    assert result.stderr == f"gandoctor: {tmp_path / 'nowhere'}: no such file or directory\n"


def test_a_missing_path_is_told_with_what_is_like_it(tmp_path: Path) -> None:
    failing(tmp_path / "log.csv")
    result = run("diagnose", tmp_path / "logg.csv")
    where = tmp_path / "logg.csv"
    assert result.stderr == (
        f"gandoctor: {where}: no such file or directory\nhint: did you mean {tmp_path / 'log.csv'}?\n"
    )
    result = run("diagnose", tmp_path / "no/log.csv")
    assert f"hint: nor is there a folder {tmp_path / 'no'}; the working directory is " in result.stderr


def test_every_command_stands_in_one_section_of_the_help() -> None:
    text = run("--help").stdout
    for name in cli.main.commands:
        assert text.count(f"\n  {name} ") == 1


def test_map_and_family_change_the_reading(tmp_path: Path) -> None:
    n = np.arange(400)
    log = write_csv(tmp_path / "log.csv", step=50 * n, first=np.where(n > 99, 0.002, 1.3) + n % 7 / 1e4,
                    second=np.where(n > 99, 9.0, 0.8) + n % 5 / 10)  # fmt: skip
    hint = run("diagnose", log, "--no-report").stdout
    assert "--map" in hint
    options = ["--map", "first=D.loss", "--map", "second=G.loss", "--loss-family", "non-saturating"]
    told = json.loads(run("diagnose", log, *options, "--format", "json").stdout)["runs"][0]
    assert told["primary"]["code"] == "GD201"
    assert told["roles"]["first"] == "D.loss.total"
    assert told["loss_family"]["name"] == "non-saturating"


def test_ignored_codes_are_found_and_do_not_count(tmp_path: Path) -> None:
    log = failing(tmp_path / "log.csv")
    told = json.loads(run("diagnose", log, "--ignore", "gd", "--format", "json").stdout)["runs"][0]
    assert "GD201" in [finding["code"] for finding in told["findings"]]
    assert (told["primary"], told["verdict"]) == (None, "healthy")


# --- check -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "options", "code"),
    [
        ([healthy], [], 0),
        ([healthy, failing], [], 1),
        ([failing, short], [], 1),
        ([failing, "nowhere"], [], 1),
        ([healthy, "nowhere"], [], 2),
        ([short, "nowhere"], [], 2),
        ([healthy, short], [], 3),
        ([short], ["--allow-unknown"], 0),
        (["empty"], [], 3),
        (["empty"], ["--allow-unknown"], 0),
        ([failing], ["--min-confidence", "1"], 0),
        ([failing], ["--fail-on", "GD301"], 0),
        ([failing], ["--fail-on", "warning"], 1),
        ([failing], ["--fail-on", "GD2"], 1),
        ([failing], ["--ignore", "GD"], 0),
        ([failing, "nowhere"], ["--exit-zero"], 0),
        ([failing], ["--fail-on", "GD999"], 2),
        ([failing], ["--fail-on", "errors"], 2),
        ([healthy], ["--require", "D.loss", "--require", "G.loss.total"], 0),
        ([healthy], ["--require", "D.loss", "--require", "G.grad_norm"], 1),
        ([healthy], ["--require", "loss_G"], 2),
        ([healthy], ["--baseline", "nowhere.json"], 2),
    ],
)
def test_exit_codes_of_check(tmp_path: Path, made: list[Any], options: list[str], code: int) -> None:
    (tmp_path / "empty").mkdir()
    paths = [
        tmp_path / one if isinstance(one, str) else one(tmp_path / one.__name__ / "log.csv").parent
        for one in made
    ]
    assert run("check", *paths, *options).exit_code == code


def test_check_prints_a_line_a_run_with_the_command_that_reproduces_it(tmp_path: Path) -> None:
    failing(tmp_path / "a b/log.csv")
    healthy(tmp_path / "c/log.csv")
    result = run("check", tmp_path, "--loss-family", "non-saturating")
    first, second = result.stdout.splitlines()
    assert re.fullmatch(
        rf"FAIL    a b: failing GD201 since \d+  # gandoctor diagnose '{tmp_path}/a b' --loss-family non-saturating",
        first,
    )
    assert second.startswith("ok      c: healthy  # gandoctor diagnose ")
    again = tool(*first.partition("# gandoctor ")[2].replace(f"'{tmp_path}/a b'", "a b").split(" --")[0].split(" ", 1),
                 "--format", "json", cwd=tmp_path)  # fmt: skip
    assert json.loads(again.stdout)["runs"][0]["verdict"] == "failing"


def test_what_must_be_logged_and_is_not_is_named(tmp_path: Path) -> None:
    result = run("check", healthy(tmp_path / "log.csv"), "--require", "G.grad_norm", "--require", "D.loss")
    assert re.match(r"FAIL    .*: healthy, not logged: G\.grad_norm  # gandoctor ", result.stdout)


def test_a_baseline_accepts_what_is_there_and_not_what_is_new_or_worse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    failing(tmp_path / "runs/a/log.csv")
    wrote = run("check", "runs", "--write-baseline", "accepted.json")
    assert (wrote.exit_code, "accepted in accepted.json" in wrote.stderr) == (0, True)
    assert run("check", "runs", "--baseline", "accepted.json").exit_code == 0
    Path("milder.json").write_text(Path("accepted.json").read_text().replace('"error"', '"warning"'))
    assert run("check", "runs", "--baseline", "milder.json").exit_code == 1
    failing(tmp_path / "runs/b/log.csv")
    both = run("check", "runs", "--baseline", "accepted.json")
    assert both.exit_code == 1
    assert [line.split()[:2] for line in both.stdout.splitlines()] == [["ok", "a:"], ["FAIL", "b:"]]


def test_what_a_check_goes_by_stands_in_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    failing(tmp_path / "runs/old/log.csv")
    failing(tmp_path / "runs/new/log.csv")
    healthy(tmp_path / "runs/good/log.csv")
    settings = tmp_path / "gandoctor.toml"

    def failed(*options: str) -> list[str]:
        result = run("check", "runs", *options)
        lines = [line.split() for line in result.stdout.splitlines()]
        assert result.exit_code == any(words[0] == "FAIL" for words in lines)
        return [words[1].strip(":") for words in lines if words[0] == "FAIL"]

    assert failed() == ["new", "old"]
    settings.write_text('[per-path."runs/old"]\nfail-on = ["GD401"]\n')
    assert failed() == ["new"]
    assert failed("--fail-on", "GD2") == ["new", "old"]
    settings.write_text('fail-on = ["GD401"]\n[per-path."runs/o*"]\nfail-on = ["error"]\n')
    assert failed() == ["old"]
    settings.write_text(
        '[per-path."runs/good"]\nrequire = ["G.grad_norm"]\n[per-path."runs/*"]\nignore = ["GD"]\n'
    )
    assert failed() == ["good"]
    settings.write_text("min-confidence = 1.0\n")
    assert failed() == []
    assert failed("--min-confidence", "0") == ["new", "old"]
    run("check", "runs/old", "--write-baseline", "accepted.json")
    settings.write_text('baseline = "accepted.json"\n')
    assert failed() == ["new"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"gandoctor-baseline": 2, "findings": {}}',
                                  '{"gandoctor-baseline": 1, "findings": {"x": 3}}'])  # fmt: skip
def test_a_file_that_is_no_baseline_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "b.json").write_text(text)
    result = run("check", healthy(tmp_path / "log.csv"), "--baseline", tmp_path / "b.json")
    assert result.exit_code == 2
    assert "baseline" in result.stderr


def test_check_with_json_keeps_its_lines_off_standard_output(tmp_path: Path) -> None:
    result = run("check", failing(tmp_path / "log.csv"), "--format", "json")
    assert json.loads(result.stdout)["runs"][0]["verdict"] == "failing"
    assert result.stderr.startswith("FAIL ")
    assert result.exit_code == 1


# --- the others ------------------------------------------------------------------------------------------


def test_roles_shows_every_tag(tmp_path: Path) -> None:
    write_gan(tmp_path / "a/log.csv", points=5_000)
    write_csv(tmp_path / "b/log.csv", step=np.arange(60), mystery=falling(60))
    result = run("roles", tmp_path)
    assert result.exit_code == 0
    assert re.search(r"loss_D\s+D\.loss\.total\s+0\.95\s+5,000", result.stdout)
    assert "--map" in result.stdout
    assert run("roles", tmp_path / "nowhere").exit_code == 2


@pytest.mark.parametrize("name", ["GD201", "gd201", "discriminator-overpowers"])
def test_explain_knows_code_and_slug(name: str) -> None:
    result = run("explain", name)
    assert result.exit_code == 0
    assert result.stdout.startswith("GD201  discriminator-overpowers\n")


def test_explain_guesses() -> None:
    result = run("explain", "GD209")
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.match(r"gandoctor: no symptom is called 'GD209'\nhint: did you mean GD\d0", result.stderr)


def test_explain_and_rules_speak_chinese() -> None:
    assert re.search(r"[\u4e00-\u9fff]", run("explain", "GD201", "--lang", "zh").stdout)
    assert re.search(r"[\u4e00-\u9fff]", run("rules", "--facts", "--lang", "zh").stdout)


def test_rules_lists_every_code_and_facts_every_fact() -> None:
    listed = run("rules").stdout.splitlines()
    assert len(listed) == 33
    assert all(re.match(r"GD\d{3}  [a-z-]+ ", line) for line in listed)
    assert "lr_ratio" in run("rules", "--facts").stdout


def test_a_folder_of_ones_own_rules(tmp_path: Path) -> None:
    result = run("rules", "--rules", tmp_path / "nowhere")
    assert result.exit_code == 2
    (tmp_path / "GD201.toml").write_text("code = 1\n")
    result = run("explain", "GD201", "--rules", tmp_path)
    assert result.exit_code == 2
    assert "GD201.toml" in result.stderr


def test_train_lists_its_faults() -> None:
    result = run("train", "--list-faults")
    assert result.exit_code == 0
    assert "Faults (--fault)" in result.stdout
    missing = run("train")
    assert (missing.exit_code, missing.stderr.count("\n")) == (2, 2)


def test_train_makes_a_run_that_diagnose_reads(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    options = [
        "--steps",
        "60",
        "--format",
        "csv",
        "--log",
        "losses",
        "--seed",
        "3",
        "--family",
        "ns",
        "--data",
        "ring8",
    ]
    made = tool("train", "exp", *options, cwd=tmp_path)
    assert (made.returncode, made.stdout) == (0, "")
    assert "Now: gandoctor diagnose exp" in made.stderr
    told = json.loads(run("diagnose", tmp_path / "exp", "--format", "json").stdout)["runs"][0]
    assert told["roles"]


@pytest.mark.parametrize("option", [["--fault", "no-such"], ["--family", "no-such"], ["--data", "no-such"]])
def test_train_refuses_what_it_does_not_know(tmp_path: Path, option: list[str]) -> None:
    result = run("train", tmp_path / "exp", *option)
    assert result.exit_code == 2
    assert "no-such" in result.stderr
    assert not (tmp_path / "exp").exists()


# --- usage, configuration, streams -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["diag"], "No such command 'diag'. Did you mean 'diagnose'?"),
        (["diagnose"], "Missing argument 'PATHS...'."),
        (["diagnose", "x", "--lang", "fr"], "Invalid value for '--lang'"),
        (["check", "x", "--min-confidence", "2"], "Invalid value for '--min-confidence'"),
        (["diagnose", "x", "--jobs", "0"], "Invalid value for '-j' / '--jobs'"),
        (["diagnose", "x", "--nope"], "No such option"),
        (["diagnose", "x", "--map", "loss"], "--map: 'loss' is not TAG=ROLE"),
        (["diagnose", "x", "--map", "loss=D.lss"], "--map: 'D.lss' is no role"),
        (["diagnose", "x", "--loss-family", "gan"], "--loss-family: no loss family is called 'gan'"),
        (["diagnose", "x", "--config", "nowhere.toml"], "nowhere.toml: no such file"),
    ],
)
def test_bad_usage_is_told_in_a_line_and_a_hint(words: list[str], said: str) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"gandoctor: {said}")
    assert result.stderr.count("\n") <= 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('thresholds-version = "2020.01"', 'thresholds-version = "2026'),
        ("selct = []", "unknown key 'selct'"),
        ("select = [", "not valid TOML"),
        ('select = "GD2"', "'select' must be a list"),
        ('loss-family = "gan"', "no loss family is called 'gan'"),
        ('lang = "fr"', "no language 'fr'"),
        ('[thresholds]\n"GD201.wonn" = 1', "no threshold is called 'GD201.wonn'"),
        ('[thresholds]\n"GD201.won" = true', "must be a number"),
    ],
)
def test_mistakes_in_the_configuration(elsewhere: Path, text: str, said: str) -> None:
    (elsewhere / "gandoctor.toml").write_text(text)
    healthy(elsewhere / "log.csv")
    result = run("check", "log.csv")
    assert result.exit_code == 2
    assert said in result.stderr


def test_the_configuration_above_is_used_and_the_command_line_outranks_it(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(elsewhere / "runs/log.csv")
    (elsewhere / "pyproject.toml").write_text('[tool.gandoctor]\nignore = ["GD"]\nmap = {other = "G.loss"}\n')
    monkeypatch.chdir(elsewhere / "runs")
    assert run("check", "log.csv").exit_code == 0
    assert run("check", "log.csv", "--ignore", "GD901").exit_code == 1


def test_help_and_version() -> None:
    assert run("--version").stdout == f"gandoctor {gandoctor.__version__}\n"
    assert run("-h").exit_code == 0
    bare = run()
    assert (bare.exit_code, bare.stdout) == (2, "")
    assert "diagnose" in bare.stderr
    for command in cli.main.commands:
        text = run(command, "--help")
        assert text.exit_code == 0
        assert max(map(len, text.stdout.splitlines())) <= 100


def test_hostile_names_reach_the_terminal_without_control_characters(tmp_path: Path) -> None:
    folder = tmp_path / "exp\x1b[31m\nred"
    failing(folder / "log.csv")
    for result in (
        run("check", tmp_path),
        run("diagnose", tmp_path, "--no-report"),
        run("check", tmp_path / "no\x1b[0m"),
    ):
        assert "\x1b" not in result.output
    assert run("check", tmp_path).stdout.count("\n") == 1


def test_a_fault_of_ours_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = failing(tmp_path / "log.csv")

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("gandoctor.reports.terminal.print_summary", broken)
    result = run("diagnose", log, "--no-report")
    assert result.exit_code == 70
    assert "please report it: ZeroDivisionError: ours (test_cli.py:" in result.stderr
    assert result.stderr.endswith("hint: GANDOCTOR_DEBUG=1 shows the traceback\n")


def test_the_exit_code_survives_a_closed_pipe(tmp_path: Path) -> None:
    for number in range(3):
        failing(tmp_path / f"run{number}/log.csv")
    script = f"{sys.executable} -m gandoctor check {tmp_path} {tmp_path} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("1\n", "")
    script = f"{sys.executable} -m gandoctor diagnose --no-report {tmp_path} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("0\n", "")


@pytest.mark.parametrize("no_color", [False, True])
def test_colour_on_a_terminal_only_and_never_with_no_color(tmp_path: Path, no_color: bool) -> None:
    log = failing(tmp_path / "log.csv")
    command = [sys.executable, "-m", "gandoctor", "diagnose", str(log), "--no-report"]
    environment = {**os.environ, "TERM": "xterm-256color", **({"NO_COLOR": "1"} if no_color else {})}
    outer, inner = pty.openpty()
    done = subprocess.Popen(command, stdout=inner, stderr=subprocess.DEVNULL, env=environment)
    os.close(inner)
    text = b""
    try:
        while piece := os.read(outer, 65_536):
            text += piece
    except OSError:  # the other end was closed
        pass
    os.close(outer)
    assert done.wait() == 0
    colours = re.findall(rb"\x1b\[[0-9;]*?(?:3[0-7]|4[0-7]|38;5)[0-9;]*m", text)
    assert bool(colours) is not no_color
    assert "\x1b" not in tool("diagnose", log, "--no-report", env=environment).stdout


def test_a_progress_bar_is_drawn_on_a_terminal_only(tmp_path: Path) -> None:
    for number in range(6):
        write_gan(tmp_path / f"run{number}/log.csv")
    assert tool("check", tmp_path, "--jobs", "2").stderr == ""
