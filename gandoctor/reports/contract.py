"""The JSON contract: what `gandoctor diagnose --format json` prints, as frozen types of its own.

An inner rename cannot alter it; `schema.json` is generated from it. A number that is not finite is null,
and a sibling `*_text` says which one it was ("nan", "inf", "-inf").
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType, field

VERSION = "1.0"

Verdict = Literal["healthy", "warning", "failing", "unknown"]
Severity = Literal["info", "warning", "error"]
Kind = Literal["game", "gradients", "weights", "quality", "samples", "configuration", "log"]
State = Literal["examined", "not-examinable", "too-short"]
ConfidenceSource = Literal["prior", "lab"]
Scalar = str | int | float | bool | None


class Primary(Struct, frozen=True):
    """The earliest cause visible in what was logged. onset_fraction: of the run, 0 to 1."""

    id: str
    code: str
    slug: str
    title: str
    severity: Severity
    confidence: float
    confidence_source: ConfidenceSource
    onset_step: int
    onset_fraction: float
    message: str


class Evidence(Struct, frozen=True):
    """One statistic against its threshold. window: first and last step. threshold_name: as in --threshold."""

    kind: Kind
    statistic: str
    value: float | None
    threshold: float | None
    threshold_name: str
    unit: str
    source: str
    series: tuple[str, ...]
    window: tuple[int, int] | None
    value_text: str | UnsetType = UNSET
    threshold_text: str | UnsetType = UNSET


class Subject(Struct, frozen=True):
    """What a finding is about; "" where it does not apply."""

    pair: str
    network: str
    layer: str
    tag: str
    file: str


class Finding(Struct, frozen=True):
    """A symptom. end_step: null where it holds to the end of the run. message: the rendered sentence."""

    id: str
    code: str
    slug: str
    title: str
    severity: Severity
    confidence: float
    confidence_source: ConfidenceSource
    onset_step: int
    onset_interval: tuple[int, int]
    end_step: int | None
    subject: Subject
    message: str
    evidence: tuple[Evidence, ...]


class LossFamily(Struct, frozen=True):
    """The loss family and how likely it is, 0 to 1."""

    name: str
    confidence: float


class Pair(Struct, frozen=True):
    """A pair of networks; name "" where the run has one."""

    name: str
    loss_family: LossFamily


class Fact(Struct, frozen=True):
    """One value of the configuration, and where it comes from."""

    value: Scalar
    source: str
    value_text: str | UnsetType = UNSET


class Coverage(Struct, frozen=True):
    """Whether a symptom could be examined.

    reason: a sentence, "" where examined; reason_slug: its stable name. log_next: the name of the signal
    that would change that, "" where none would.
    """

    code: str
    slug: str
    title: str
    state: State
    reason: str
    reason_slug: str
    log_next: str


class Change(Struct, frozen=True):
    """One knob, from this run's value (null where unknown) to the proposed one.

    to_text: where the new value cannot be computed, how it is made ("lr_D ÷ 4").
    """

    old: Scalar = field(name="from")
    new: Scalar = field(name="to")
    old_text: str | UnsetType = field(name="from_text", default=UNSET)
    new_text: str | UnsetType = field(name="to_text", default=UNSET)


class Lab(Struct, frozen=True):
    """How often the remedy cured in the lab, and how often the illness went without it.

    interval: 95% of the share cured (Wilson). lift: of the share cured over the control's; lift_interval: 95%
    (Newcombe). said: all that in words.
    """

    cured: int
    tried: int
    control_cured: int
    control_tried: int
    interval: tuple[float, float]
    lift: float
    lift_interval: tuple[float, float]
    said: str


class Remedy(Struct, frozen=True):
    """One change, why, and what the logs will show if it works."""

    id: str
    code: str
    hypothesis: str
    change: str
    set: dict[str, Change]
    why: str
    when_not: str
    expect: str
    references: tuple[str, ...]
    snippet: str
    lab: Lab | None


class Snapshot(Struct, frozen=True):
    """The snapshot to keep. metric: the tag that chose it, or "before-onset" (value: the onset step)."""

    step: int
    file: str | None
    metric: str
    value: float | None
    value_text: str | UnsetType = UNSET


class Problem(Struct, frozen=True):
    """Something in a file that could not be read as it stands."""

    file: str
    place: str
    kind: str
    message: str


class LogNext(Struct, frozen=True):
    """A signal worth logging: its name, what it is, and how to log it."""

    signal: str
    what: str
    how: str


class Departure(Struct, frozen=True):
    """A setting that stands elsewhere than in the published one."""

    usual: Scalar
    own: Scalar


class Baseline(Struct, frozen=True):
    """The nearest published setting, and where this run departs from it, by the name of the setting."""

    id: str
    name: str
    source: str
    departures: dict[str, Departure]


class Grids(Struct, frozen=True):
    """The sample grids of one kind. every: steps between frames; wanted: steps that would date an illness within a
    tenth of the run; dated: whether these do. said: what there is, in words.
    """

    kind: Literal["fixed-noise", "random-noise", "interpolation"]
    frames: int
    every: int | None
    wanted: int
    dated: bool
    said: str


class Samples(Struct, frozen=True):
    """The last samples, by two scores apart. quality: share of samples as near to the reals as these are to each
    other, null without reals. variety: distance of two samples over that of two reals, or over the best frame's.
    said: both as a sentence, "" without them. advice: which interval of grids would do, "" where all kinds have it.
    """

    quality: float | None
    variety: float | None
    beside: Literal["reals", "best-frame", ""]
    stream: str
    step: int | None
    said: str
    grids: tuple[Grids, ...]
    advice: str


class Run(Struct, frozen=True):
    """One run. steps: first and last step of its log, in `unit`."""

    path: str
    name: str
    verdict: Verdict
    unit: str
    steps: tuple[int, int]
    examined: tuple[Kind, ...]
    primary: Primary | None
    findings: tuple[Finding, ...]
    chain: tuple[tuple[str, str], ...]
    pairs: tuple[Pair, ...]
    loss_family: LossFamily
    facts: dict[str, Fact]
    roles: dict[str, str]
    coverage: tuple[Coverage, ...]
    log_next: tuple[LogNext, ...]
    samples: Samples | None
    prescription: tuple[Remedy, ...]
    best_snapshot: Snapshot | None
    known_at_step: int | None
    baseline: Baseline | None
    problems: tuple[Problem, ...]


class Report(Struct, frozen=True):
    """The object that is printed. schema: the version of this contract; thresholds: of the limits used."""

    schema: str
    gandoctor: str
    thresholds: str
    language: str
    runs: tuple[Run, ...]
