"""A side of a comparison: the seeds of one configuration, diagnosed on equal terms, and counted by symptom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from gandoctor.config import Config
from gandoctor.findings import Finding, Severity, State
from gandoctor.judge.diagnose import LAST, diagnose_run, fitting
from gandoctor.judge.diagnosis import Diagnosis, Judged, Verdict
from gandoctor.run import Run

_SLACK = 0.02  # of a run: a sparser log does not excuse more


class Health(StrEnum):
    """What one run says of a symptom."""

    ILL = "ill"
    WELL = "well"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Member:
    """One run of a side. diagnosis: on equal terms. rate: its steps for one step of the first run."""

    diagnosis: Diagnosis
    rate: float = 1.0

    @property
    def last(self) -> int:
        """Its last step."""
        return max((view.span[1] for view in self.diagnosis.views), default=0)

    def reached(self, step: float) -> bool:
        """Whether it is as long as a step of the first run, but for the way from one line of its log to the next."""
        gaps = [float(np.median(np.diff(s.steps))) for s in self.diagnosis.run.series.values() if len(s) > 2]
        return self.last + min(max(gaps, default=0.0), _SLACK * self.last) >= step * self.rate

    def symptoms(self) -> dict[str, tuple[Severity, Judged]]:
        """Code → how bad it is in this run, and its worst finding; what is only info is left out.

        An error that ended before the last fifth of the run counts as a warning, as in the verdict.
        """
        first = min((view.span[0] for view in self.diagnosis.views), default=0)
        late = self.last - LAST * (self.last - first)
        found: dict[str, tuple[Severity, Judged]] = {}
        for judged in self.diagnosis.findings:
            severity = _standing(judged.finding, late)
            if judged.finding.code == "GD901" or severity < Severity.WARNING:
                continue
            known = found.get(judged.finding.code)
            if known is None or severity > known[0]:
                found[judged.finding.code] = (severity, judged)
        return found

    def health(self, code: str, need: float, at_least: Severity = Severity.WARNING) -> tuple[Health, str]:
        """What the run says of a symptom, and why it does not: "too-short", "not-examined", "not-judged".

        need: the step of the first run that it must have passed to be called well.
        """
        seen = self.symptoms().get(code)
        if seen is not None and seen[0] >= at_least:
            return Health.ILL, ""
        if not self.reached(need):
            return Health.UNKNOWN, "too-short"
        if seen is None and not self.examined(code):
            return Health.UNKNOWN, "not-examined"
        if self.diagnosis.verdict is Verdict.UNKNOWN:
            return Health.UNKNOWN, "not-judged"
        return Health.WELL, ""

    def examined(self, code: str) -> bool:
        """Whether the symptom could be looked for."""
        return any(line.code == code and line.state is State.EXAMINED for line in self.diagnosis.coverage)


def diagnosed(run: Run, config: Config | None) -> Diagnosis:
    """The diagnosis of a run, without what the configuration says does not count."""
    found = diagnose_run(run, fitting(config, run))
    if config is None or not (config.select or config.ignore):
        return found
    return replace(found, findings=tuple(j for j in found.findings if config.wants(j.finding.code)))


def _standing(finding: Finding, late: float) -> Severity:
    end = finding.stretch.end
    over = finding.severity is Severity.ERROR and end is not None and end < late
    return Severity.WARNING if over else finding.severity


@dataclass(frozen=True, slots=True)
class Tally:
    """A symptom in the runs of a side: ill of known. severity: the worst, None where none is ill.

    onsets: of those that are ill, in their own steps, sorted; interval: the earliest and latest they may be.
    """

    code: str
    ill: int
    known: int
    severity: Severity | None
    onsets: tuple[int, ...]
    interval: tuple[int, int]

    @property
    def onset(self) -> int | None:
        """The middle onset."""
        return self.onsets[len(self.onsets) // 2] if self.onsets else None


def tally(members: Sequence[Member], code: str, need: float) -> Tally:
    """Count a symptom over the runs of a side."""
    states = [member.health(code, need)[0] for member in members]
    seen = [found for member in members if (found := member.symptoms().get(code)) is not None]
    stretches = [judged.finding.stretch for _, judged in seen]
    ends = [stretch.onset_interval for stretch in stretches]
    return Tally(
        code,
        ill=states.count(Health.ILL),
        known=len(states) - states.count(Health.UNKNOWN),
        severity=max((severity for severity, _ in seen), default=None),
        onsets=tuple(sorted(stretch.onset for stretch in stretches)),
        interval=(min(a for a, _ in ends), max(b for _, b in ends)) if ends else (0, 0),
    )


def codes_of(members: Iterable[Member]) -> list[str]:
    """Every symptom that some run shows."""
    return sorted({code for member in members for code in member.symptoms()})


def worst(members: Iterable[Member]) -> Mapping[str, Severity]:
    """Code → the worst that any of the runs shows."""
    found: dict[str, Severity] = {}
    for member in members:
        for code, (severity, _) in member.symptoms().items():
            found[code] = max(severity, found.get(code, severity))
    return found
