"""JSON: one object, the contract of `contract.py`, for programs.

    {"schema": "1.0", "gandoctor": "0.1.0", "thresholds": "2026.11", "language": "en", "runs": [{...}]}

The same diagnoses give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from gandoctor.judge.diagnosis import Diagnosis
    from gandoctor.judge.rules import Rule

FORMAT = "json"
SUFFIXES = (".json",)


def write(
    diagnoses: Sequence[Diagnosis],
    out: TextIO,
    *,
    lang: str = "en",
    rules: Mapping[str, Rule] | None = None,
) -> None:
    """Write the object, indented, with a newline at its end; `runs` is [] where there is none."""
    import msgspec

    from gandoctor.reports.rows import report

    data = msgspec.json.encode(report(diagnoses, lang, rules))
    out.write(msgspec.json.format(data, indent=2).decode() + "\n")
