"""The JSON contract of `gandoctor compare` and `gandoctor sensitivity`, as frozen types of their own.

`compare.schema.json` and `sensitivity.schema.json` are generated from it by `python -m gandoctor.reports.loop.schema`.
A number that is not finite is null.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from gandoctor.reports.contract import Scalar, Severity, Verdict

VERSION = "1.0"

Decision = Literal["keep", "revert", "not-enough"]
Change = Literal["gone", "new", "milder", "worse", "fewer", "more", "later", "earlier", "same", "unknown"]
MetricWord = Literal["better", "worse", "same"]
Origin = Literal["configuration", "luck", "sound", "not-enough"]


class Run(Struct, frozen=True):
    """One run, as it stands on equal terms. last_step: of its log, cut to the steps that are compared."""

    path: str
    name: str
    verdict: Verdict
    primary: str | None
    last_step: int


class Setting(Struct, frozen=True):
    """One setting that changed. fact: whether it is a fact's name, else the setting's own."""

    name: str
    old: Scalar = field(name="from")
    new: Scalar = field(name="to")
    fact: bool = False


class Share(Struct, frozen=True):
    """Ill of those that tell, with the exact 95% interval of the share (Clopper and Pearson)."""

    ill: int
    known: int
    interval: tuple[float, float]


class Tally(Struct, frozen=True):
    """A symptom on one side. severity: the worst, null where none is ill. onset_steps: of the ill runs, sorted."""

    ill: int
    known: int
    interval: tuple[float, float]
    severity: Severity | None
    onset_steps: tuple[int, ...]


class Symptom(Struct, frozen=True):
    """What became of a symptom. p: Fisher's exact, one-sided; null for one run a side."""

    code: str
    slug: str
    title: str
    change: Change
    baseline: Tally
    candidate: Tally
    p: float | None


class Metric(Struct, frozen=True):
    """A quality metric at the end of equal steps, a value a run. p: of Mann and Whitney; null for one run a side."""

    name: str
    higher_is_better: bool
    baseline: tuple[float | None, ...]
    candidate: tuple[float | None, ...]
    change: MetricWord
    p: float | None


class Said(Struct, frozen=True):
    """A sentence and its stable name."""

    slug: str
    text: str


class Comparison(Struct, frozen=True):
    """A baseline and one candidate.

    changed: each thing that changed, with the settings that one turn moves together. targets: the symptoms whose
    end is asked for. need_step: the baseline's step that a run must have passed to be called well. ill: the runs
    with a target, or with something new as bad, on each side. difference_interval: 95% (Newcombe), baseline
    minus candidate. p: Fisher's exact, one-sided, that luck did as much. restore: what a revert sets back.
    """

    baseline: tuple[Run, ...]
    candidate: tuple[Run, ...]
    verdict: Decision
    verdict_text: str
    reasons: tuple[Said, ...]
    provisional: bool
    more_seeds: int | None
    train_to_step: int | None
    restore: tuple[Setting, ...]
    notes: tuple[Said, ...]
    configuration_known: bool
    changed: tuple[tuple[Setting, ...], ...]
    unit: str
    steps: int
    targets: tuple[str, ...]
    need_step: int | None
    baseline_ill: Share
    candidate_ill: Share
    difference_interval: tuple[float, float]
    p: float | None
    symptoms: tuple[Symptom, ...]
    metrics: tuple[Metric, ...]
    not_in_common: tuple[str, ...]


class CompareReport(Struct, frozen=True):
    """What `gandoctor compare --format json` prints."""

    schema: str
    gandoctor: str
    thresholds: str
    language: str
    comparisons: tuple[Comparison, ...]


class SeedShare(Struct, frozen=True):
    """A share of seeds, with both of its 95% intervals."""

    ill: int
    known: int
    exact: tuple[float, float]
    wilson: tuple[float, float]


class SeedSymptom(Struct, frozen=True):
    """A symptom over the seeds."""

    code: str
    slug: str
    title: str
    severity: Severity | None
    share: SeedShare
    onset_steps: tuple[int, ...]


class SensitivityReport(Struct, frozen=True):
    """What `gandoctor sensitivity --format json` prints. ill: runs with a symptom; failing: with an error at the end.

    differs: settings in which the runs differ besides the seed.
    """

    schema: str
    gandoctor: str
    thresholds: str
    language: str
    runs: tuple[Run, ...]
    unit: str
    verdict: Origin
    verdict_text: str
    ill: SeedShare
    failing: SeedShare
    more_seeds: int | None
    notes: tuple[Said, ...]
    differs: tuple[str, ...]
    symptoms: tuple[SeedSymptom, ...]
    not_in_common: tuple[str, ...]
