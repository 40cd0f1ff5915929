"""GD901: what stands in the way of reading the log itself."""

from __future__ import annotations

from collections.abc import Iterator

from gandoctor.detectors import detector
from gandoctor.findings import Evidence, Finding, Kind, Param, Severity, Stretch
from gandoctor.interpret.view import ANY, RunView
from gandoctor.thresholds import Limits


@detector("GD901", needs=(ANY,), min_points=1)
def log_problems(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report that some of the log was not read as it stands. Never an illness of the run."""
    problems = view.run.problems
    if not problems:
        return
    first, _ = view.span
    evidence = Evidence(Kind.LOG, "problems while reading", float(len(problems)))
    params: dict[str, Param] = {"count": len(problems), "file": problems[0].file.name}
    yield Finding("GD901", Severity.INFO, Stretch(first, (first, first)), (evidence,), params=params)
