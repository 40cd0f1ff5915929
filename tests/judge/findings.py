"""Findings to judge, made by hand."""

from __future__ import annotations

from collections.abc import Iterable

from gandoctor.findings import Evidence, Finding, Kind, Severity, Stretch, Subject
from gandoctor.judge.diagnosis import Judged


def finding(
    code: str,
    onset: int = 1_000,
    severity: Severity = Severity.WARNING,
    *,
    slack: int = 0,
    end: int | None = None,
    kinds: Iterable[Kind] = (Kind.GAME,),
    pair: str = "",
    network: str = "",
    overwhelming: bool = False,
) -> Finding:
    """A finding of a code. slack: how much earlier and later than `onset` it may have begun."""
    stretch = Stretch(onset, (onset - slack, onset + slack), end)
    evidence = tuple(Evidence(kind, "made up", 1.0) for kind in kinds)
    return Finding(code, severity, stretch, evidence, Subject(pair, network), overwhelming=overwhelming)


def judged(
    code: str, onset: int = 1_000, severity: Severity = Severity.WARNING, number: int = 1, **more: object
) -> Judged:
    return Judged(f"{code}-{number}", finding(code, onset, severity, **more), 0.7, "prior")  # type: ignore[arg-type]
