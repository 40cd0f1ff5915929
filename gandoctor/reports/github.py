"""GitHub Actions: annotations on standard output, and the Markdown report in the job's summary.

Workflow commands as https://docs.github.com/actions/reference/workflow-commands-for-github-actions gives
them. GitHub shows 10 annotations of a kind a step and drops the others unsaid, so only the worst 10 of each
are written, and how many more there are; a summary over 1 MiB would be refused as a whole, so it is cut.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from gandoctor.judge.diagnosis import Diagnosis
    from gandoctor.judge.rules import Rule

FORMAT = "github"
SUFFIXES: tuple[str, ...] = ()

SUMMARY_BYTES = 900_000
SHOWN = 10  # annotations of a kind
TITLE, TEXT = 255, 16_000  # characters of an annotation; its text may have 64 KB
_LEVELS = {"error": "error", "warning": "warning", "info": "notice"}


def write(
    diagnoses: Sequence[Diagnosis],
    out: TextIO,
    *,
    lang: str = "en",
    rules: Mapping[str, Rule] | None = None,
) -> None:
    """Write one workflow command a finding; append the summary to the file that GITHUB_STEP_SUMMARY names.

    Raises UserError where that file cannot be written.
    """
    from gandoctor.reports._ci import reported
    from gandoctor.reports.texts import say

    written: Counter[str] = Counter()
    for one in reported(diagnoses, lang, rules):
        level = _LEVELS[one.finding.severity]
        written[level] += 1
        if written[level] > _most(level):
            continue
        title = f"{one.finding.code} {one.finding.title} ({one.run.name})"[:TITLE]
        where = {"file": one.place.path, "line": str(one.place.line)} if one.place.inside else {}
        told = ",".join(f"{key}={_property(value)}" for key, value in {**where, "title": title}.items())
        out.write(f"::{level} {told}::{_message(one.finding.message[:TEXT])}\n")
    more = sum(max(0, count - _most(level)) for level, count in written.items())
    if more:
        out.write(f"::notice title=gandoctor::{_message(say('more-findings', lang, count=more))}\n")
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        _append(Path(summary), diagnoses, lang, rules)


def _most(level: str) -> int:
    return SHOWN - 1 if level == "notice" else SHOWN  # the last notice says how many more there are


def _append(path: Path, diagnoses: Sequence[Diagnosis], lang: str, rules: Mapping[str, Rule] | None) -> None:
    import io

    from gandoctor.errors import UserError
    from gandoctor.reports import markdown

    text = io.StringIO()
    markdown.write(diagnoses, text, lang=lang, rules=rules)
    data = text.getvalue().encode("utf-8")
    if len(data) > SUMMARY_BYTES:
        data = data[: data.rindex(b"\n", 0, SUMMARY_BYTES)] + b"\n\n\xe2\x80\xa6\n"
    try:
        with path.open("ab") as file:
            file.write(data)
    except OSError as fault:
        raise UserError(
            f"the job summary cannot be written: {fault.strerror or fault}", where=str(path)
        ) from fault


def _message(text: str) -> str:
    from gandoctor.reports.texts import clean

    return clean(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
