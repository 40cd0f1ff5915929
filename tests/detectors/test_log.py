from __future__ import annotations

from pathlib import Path

from gandoctor.detectors.log import log_problems
from gandoctor.findings import Kind, Severity
from gandoctor.run import LogProblem, Run
from tests.runs import hears, level, make_run, measured, one_finding, refusal

problems = hears(log_problems)
TORN = (LogProblem(Path("run/events.out"), "byte 1204", "truncated", "cut off"),
        LogProblem(Path("run/log.txt"), "line 17", "bad-line", "no number"))  # fmt: skip

FIRES = {"log_problems": make_run({"loss_D": level(1.0)}, problems=TORN)}
SILENT = {"log_problems": make_run({"loss_D": level(1.0)})}


def test_problems_are_counted_and_only_mentioned() -> None:
    finding = one_finding(problems(make_run({"loss_D": level(1.0)}, problems=TORN)))
    assert (finding.code, finding.severity) == ("GD901", Severity.INFO)
    assert measured(finding) == {"problems while reading": 2.0}
    assert finding.evidence[0].kind is Kind.LOG
    assert finding.params == {"count": 2, "file": "events.out"}


def test_a_run_without_series_is_not_examined() -> None:
    assert refusal(problems(Run(Path("run"), "run", problems=list(TORN)))) == (
        "not-examinable", "missing-signal", "any-series",
    )  # fmt: skip
