"""The outputs for CI systems: well-formed, located, stable, and with nothing of a log taken for markup."""

from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from gandoctor.api import diagnose_all
from gandoctor.errors import UserError
from gandoctor.judge.diagnosis import Diagnosis
from gandoctor.reports import formats, github, gitlab, junit, markdown, reporter, sarif
from tests.reports import samples

ALL = (samples.healthy, samples.failing, samples.two_pairs, samples.unknown)


def text(module: object, *diagnoses: Diagnosis, lang: str = "en") -> str:
    out = io.StringIO()
    module.write(diagnoses, out, lang=lang)  # type: ignore[attr-defined]
    return out.getvalue()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose text log shows D winning from line 122 on."""
    lines = ["# training", *(f"step {i} loss_D: 1.2{i % 7} loss_G: 0.9{i % 5}" for i in range(0, 1_000, 10))]
    lines += [f"step {i} loss_D: 0.001 loss_G: 9.{i % 9}" for i in range(1_000, 4_000, 10)]
    (tmp_path / "runs" / "a run").mkdir(parents=True)
    (tmp_path / "runs" / "a run" / "train.log").write_text("\n".join(lines) + "\n")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["junit", "sarif", "github", "gitlab", "markdown"])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_each_writes_every_sample_the_same_twice_and_keeps_control_characters_out(
    name: str, lang: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    said = text(formats()[name], *(make() for make in ALL), lang=lang)
    assert said == text(formats()[name], *(make() for make in ALL), lang=lang)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", said)
    assert text(formats()[name]) is not None  # no run at all


# --- JUnit


def test_junit_has_a_suite_a_run_and_a_case_a_symptom() -> None:
    root = ET.fromstring(text(junit, samples.failing(), samples.healthy()))
    assert [suite.get("name") for suite in root] == ["failing", "healthy"]
    failing = root[0]
    cases = {case.get("name", "").split()[0]: case for case in failing}
    assert len(cases) == len(failing) == int(failing.get("tests", "0"))  # GitLab drops equal names
    assert cases["GD105"].find("failure") is not None
    assert cases["GD301"].find("skipped") is not None
    assert int(failing.get("failures", "0")) == len(failing.findall("testcase/failure")) > 0
    assert not root[1].findall("testcase/failure")
    assert int(root.get("failures", "0")) == int(failing.get("failures", "0"))


def test_a_warning_is_a_passed_test_that_says_so() -> None:
    [suite] = ET.fromstring(text(junit, samples.two_pairs()))  # a warning, GD201
    [case] = [one for one in suite if one.get("name", "").startswith("GD201")]
    assert case.find("failure") is None
    assert case.findtext("system-out", "").startswith("warning: ")


# --- SARIF


def test_every_sarif_result_has_a_place_and_a_rule(repository: Path) -> None:
    log = json.loads(text(sarif, *diagnose_all("runs"), samples.failing()))
    assert (log["version"], len(log["runs"])) == ("2.1.0", 1)
    run = log["runs"][0]
    ids = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert run["results"]
    for result in run["results"]:
        assert ids[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in {"error", "warning", "note"}
        assert result["message"]["text"]
        [location] = result["locations"]
        physical = location["physicalLocation"]
        assert re.fullmatch(r"[\w./%-]+", physical["artifactLocation"]["uri"])
        assert not physical["artifactLocation"]["uri"].startswith("/")
        assert physical["region"]["startLine"] >= 1
        assert len(result["partialFingerprints"]["primaryLocationLineHash"]) == 64
    for rule in run["tool"]["driver"]["rules"]:
        for key in ("shortDescription", "fullDescription"):
            assert 0 < len(rule[key]["text"]) <= 1_024
    levels = [result["level"] for result in run["results"]]
    assert levels == sorted(levels, key=["error", "warning", "note"].index)


def test_a_finding_lies_at_its_onset_in_a_log_that_has_lines(repository: Path) -> None:
    log = json.loads(text(sarif, *diagnose_all("runs")))
    found = {r["ruleId"]: r["locations"][0]["physicalLocation"] for r in log["runs"][0]["results"]}
    place = found["GD201"]
    assert place["artifactLocation"]["uri"] == "runs/a%20run/train.log"
    assert 90 <= place["region"]["startLine"] <= 125  # a block of the onset's resolution before line 102


def test_the_fingerprint_stays_as_the_run_goes_on(repository: Path) -> None:
    def prints() -> dict[str, str]:
        return {
            one["check_name"]: one["fingerprint"] for one in json.loads(text(gitlab, *diagnose_all("runs")))
        }

    before = prints()
    with (repository / "runs" / "a run" / "train.log").open("a") as file:
        file.writelines(f"step {i} loss_D: 0.001 loss_G: 9.{i % 9}\n" for i in range(4_000, 6_000, 10))
    after = prints()
    assert before["gandoctor/GD201"] == after["gandoctor/GD201"]
    assert len(set(after.values())) == len(after)


# --- GitLab, GitHub


def test_gitlab_entries_hold_what_it_asks_for() -> None:
    entries = json.loads(text(gitlab, samples.failing(), samples.two_pairs(), samples.unknown()))
    assert entries
    for entry in entries:
        assert set(entry) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert entry["severity"] in {"info", "minor", "major", "critical", "blocker"}
        assert entry["location"]["path"]
        assert entry["location"]["lines"]["begin"] >= 1
    assert len({entry["fingerprint"] for entry in entries}) == len(entries)


def test_github_commands_are_one_line_each_and_escaped(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    lines = text(github, *diagnose_all("runs"), samples.failing(), samples.unknown()).splitlines()
    assert lines
    for line in lines:
        match = re.fullmatch(r"::(error|warning|notice) ([^:]*)::(.+)", line)
        assert match, line
        properties = dict(part.split("=", 1) for part in match[2].split(","))
        assert "title" in properties
    assert any("file=runs/a run/train.log,line=" in line for line in lines)
    assert [line.split()[0] for line in lines] == sorted(
        (line.split()[0] for line in lines), key=["::error", "::warning", "::notice"].index
    )


def test_the_job_summary_is_appended_and_cut_below_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    text(github, samples.failing())
    said = summary.read_text("utf-8")
    assert said.startswith("before\n### ")
    monkeypatch.setattr(github, "SUMMARY_BYTES", 200)
    summary.write_text("")
    text(github, samples.failing())
    assert len(summary.read_bytes()) <= 210
    assert summary.read_text("utf-8").endswith("…\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    with pytest.raises(UserError, match="job summary"):
        text(github, samples.failing())


# --- Markdown


def test_markdown_tells_what_to_do_first() -> None:
    said = text(markdown, samples.failing())
    assert said.startswith("### ✗ failing – ")
    assert "**GD" in said
    assert "\n1. " in said
    assert text(markdown, samples.failing(), lang="zh") != said


def test_markdown_of_several_runs_is_a_table_with_the_worst_first() -> None:
    lines = text(markdown, *(make() for make in ALL)).splitlines()
    rows = [line for line in lines if line.startswith("|")][2:]
    assert len(rows) == len(ALL)
    assert rows[0].startswith("| ✗")
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1  # no cell broke its row


def test_nothing_of_a_log_is_markup() -> None:
    said = text(markdown, samples.unknown(), samples.failing())
    assert "<script" not in said
    assert markdown.escaped("a|b\n*c* <i> `d` [e](http://f) @g #1") == (
        "a\\|b\N{REPLACEMENT CHARACTER}\\*c\\* &lt;i&gt; \\`d\\` \\[e\\](http:\u2060//f) @\u2060g \\#1"
    )


def test_the_suffix_tells_the_format() -> None:
    for name, format in {
        "r.sarif": "sarif", "r.sarif.json": "sarif", "r.json": "json", "r.codequality.json": "gitlab",
        "r.junit.xml": "junit", "r.md": "markdown",
    }.items():  # fmt: skip
        found = reporter(path=Path(name)).FORMAT
        assert found == format
