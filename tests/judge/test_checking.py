from __future__ import annotations

from pathlib import Path

import pytest

from gandoctor.config import Config
from gandoctor.errors import UserError
from gandoctor.findings import Severity
from gandoctor.judge.checking import Check, fails
from gandoctor.judge.diagnosis import Diagnosis, Judged, Verdict
from gandoctor.run import Run
from tests.judge.findings import finding

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO


def diagnosis(verdict: Verdict, *ill: tuple[str, Severity, float]) -> Diagnosis:
    judged = tuple(
        Judged(f"{code}-1", finding(code, severity=severity), confidence, "prior")
        for code, severity, confidence in ill
    )
    return Diagnosis(
        Run(Path("run"), "run"),
        (),
        verdict,
        (),
        judged,
        judged[0] if judged else None,
        (),
        (),
        (),
        None,
        None,
        (),
        "1",
    )


FAILING = diagnosis(Verdict.FAILING, ("GD201", ERROR, 0.9), ("GD301", WARNING, 0.6), ("GD105", INFO, 0.4))
OVER = diagnosis(Verdict.WARNING, ("GD201", ERROR, 0.9))  # an error that ended long before
MILD = diagnosis(Verdict.WARNING, ("GD401", WARNING, 0.7), ("GD105", INFO, 0.4))
HEALTHY = diagnosis(Verdict.HEALTHY, ("GD105", INFO, 0.4))


@pytest.mark.parametrize(
    ("seen", "fail_on", "expected"),
    [
        (FAILING, ("error",), "GD201-1"), (OVER, ("error",), ""), (MILD, ("error",), ""), (HEALTHY, ("error",), ""),
        (OVER, ("warning",), "GD201-1"), (MILD, ("warning",), "GD401-1"), (HEALTHY, ("warning",), ""),
        (FAILING, ("GD301",), "GD301-1"), (FAILING, ("GD3",), "GD301-1"), (FAILING, ("GD4",), ""),
        (MILD, ("error", "GD401"), "GD401-1"), (HEALTHY, ("GD1",), "GD105-1"), (FAILING, (), ""),
    ],
)  # fmt: skip
def test_what_fails_a_check(seen: Diagnosis, fail_on: tuple[str, ...], expected: str) -> None:
    assert fails(seen, Check(fail_on), Config()) == expected


@pytest.mark.parametrize(("least", "expected"), [(0.0, "GD201-1"), (0.9, "GD201-1"), (0.91, "")])
def test_a_finding_must_be_sure_enough(least: float, expected: str) -> None:
    assert fails(FAILING, Check(("error",), least), Config()) == expected


def test_less_sure_findings_step_aside_for_surer_ones() -> None:
    both = diagnosis(Verdict.FAILING, ("GD201", ERROR, 0.5), ("GD302", ERROR, 0.8))
    assert fails(both, Check(("error",), 0.6), Config()) == "GD302-1"


def test_what_the_user_ignores_fails_nothing() -> None:
    assert fails(FAILING, Check(("error", "warning")), Config(ignore=("GD2", "GD3"))) == ""
    assert fails(FAILING, Check(("warning",)), Config(select=("GD3",))) == "GD301-1"


@pytest.mark.parametrize("word", ["errors", "gd201", "info", ""])
def test_a_word_that_is_none_is_refused(word: str) -> None:
    with pytest.raises(UserError) as fault:
        Check((word,))
    assert fault.value.where == "--fail-on"
