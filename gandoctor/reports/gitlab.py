"""GitLab's code quality report: a JSON array of findings (docs.gitlab.com, "Code Quality", report format)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from gandoctor.judge.diagnosis import Diagnosis
    from gandoctor.judge.rules import Rule

FORMAT = "gitlab"
SUFFIXES = (".codequality.json",)

_SEVERITY = {"error": "critical", "warning": "minor", "info": "info"}


def write(
    diagnoses: Sequence[Diagnosis],
    out: TextIO,
    *,
    lang: str = "en",
    rules: Mapping[str, Rule] | None = None,
) -> None:
    """Write the array, one entry a finding. GitLab merges equal fingerprints: those hold the run's path."""
    from gandoctor.reports._ci import reported
    from gandoctor.reports.texts import clean

    entries = [
        {
            "description": clean(f"{one.run.name}: {one.finding.code} {one.finding.message}"),
            "check_name": f"gandoctor/{one.finding.code}",
            "fingerprint": one.fingerprint,
            "severity": _SEVERITY[one.finding.severity],
            "location": {"path": one.place.path, "lines": {"begin": one.place.line}},
        }
        for one in reported(diagnoses, lang, rules)
    ]
    out.write(json.dumps(entries, indent=2, ensure_ascii=False) + "\n")
