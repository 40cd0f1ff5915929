"""What the outputs for CI systems share: where a finding lies in the repository, and its fingerprint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gandoctor.judge.checking import fingerprint
from gandoctor.reports import contract, rows
from gandoctor.reports.texts import clean

if TYPE_CHECKING:
    from gandoctor.judge.diagnosis import Diagnosis, Judged
    from gandoctor.judge.rules import Rule

# Readers of these count the lines of the file; of others a position is no line.
_LINED = (".txt", ".log", ".jsonl", ".ndjson")
RANK = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a finding lies. path: relative to the working directory where it is below it, with "/".
    inside: whether it is. line: 1 for files that have no lines.
    """

    path: str
    line: int
    inside: bool


@dataclass(frozen=True, slots=True)
class Reported:
    """A finding, the run that has it, its place and a fingerprint that stays the same from run to run."""

    run: contract.Run
    finding: contract.Finding
    place: Place
    fingerprint: str


def reported(
    diagnoses: Sequence[Diagnosis], lang: str, rules: Mapping[str, Rule] | None
) -> Iterator[Reported]:
    """Every finding of every run, errors first: what CI systems cut off should be the least."""
    runs = rows.report(diagnoses, lang, rules).runs
    found = [
        Reported(run, finding, _place(judged, diagnosis), fingerprint(diagnosis, judged))
        for run, diagnosis in zip(runs, diagnoses, strict=True)
        for finding, judged in zip(run.findings, diagnosis.findings, strict=True)
    ]
    yield from sorted(found, key=lambda one: RANK[one.finding.severity])  # stable: else in the runs' order


def relative(path: Path, line: int = 1) -> Place:
    """A path as CI systems want it: below the working directory, which there is the repository's root."""
    full, here = path.absolute(), Path.cwd()
    inside = full.is_relative_to(here)
    name = (full.relative_to(here) if inside else full).as_posix()
    return Place(clean(name), line, inside)


def _place(judged: Judged, diagnosis: Diagnosis) -> Place:
    """The log that shows a finding first, and the line of its onset where the log has lines."""
    run, finding = diagnosis.run, judged.finding
    for evidence in finding.evidence:
        for tag in evidence.series:
            series = run.series.get(tag)
            if series is None or not len(series):
                continue
            if series.source.suffix.lower() not in _LINED:
                return relative(series.source)
            at = min(int(series.steps.searchsorted(finding.stretch.onset)), len(series) - 1)
            return relative(series.source, max(1, int(series.order[at])))
    files = sorted(run.files)
    return relative(files[0] if files else run.path)
