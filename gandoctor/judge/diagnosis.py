"""The diagnosis of one run: what the judge makes of the findings."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from gandoctor.findings import Finding, Kind, Param, State

if TYPE_CHECKING:
    from gandoctor.interpret.view import RunView
    from gandoctor.run import Run, Scalar


class Verdict(StrEnum):
    """What the run comes to; HEALTHY says no more than: no illness seen in what was logged."""

    HEALTHY = "healthy"
    WARNING = "warning"
    FAILING = "failing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Judged:
    """A finding with its id within the run ("GD201-1") and how likely it is right (0 to 1)."""

    id: str
    finding: Finding
    confidence: float
    confidence_source: str  # "prior" or "lab"


@dataclass(frozen=True, slots=True)
class Coverage:
    """One line a code: whether it was examined and, if not, why and what to log."""

    code: str
    state: State
    reason: str = ""
    detail: str = ""
    log_next: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One knob, from this run's value (None where unknown) to the proposed one."""

    knob: str
    old: Scalar
    new: Scalar


@dataclass(frozen=True, slots=True)
class Remedy:
    """A remedy of a rule, filled in for this run. Texts stay in the rule file, by code and id."""

    id: str
    code: str
    changes: tuple[Change, ...] = ()
    lab: tuple[int, int, int, int] | None = None  # cured, tried, control cured, control tried
    params: dict[str, Param] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Departure:
    """A knob that stands elsewhere than in a published setting."""

    knob: str
    usual: Scalar
    own: Scalar


@dataclass(frozen=True, slots=True)
class Baseline:
    """The nearest published setting, its source, and where this run departs from it."""

    id: str
    name: str
    source: str
    departures: tuple[Departure, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The snapshot to keep: its step, its file where one was found, and why it."""

    step: int
    file: Path | None
    metric: str
    value: float


@dataclass(frozen=True, slots=True)
class Grids:
    """The grids of one kind: "fixed-noise", "random-noise" or "interpolation".

    every: steps from one frame to the next, None of fewer than two. wanted: steps that would date an illness
    within a tenth of the run; dated: whether these frames do.
    """

    kind: str
    frames: int
    every: int | None
    wanted: int
    dated: bool


@dataclass(frozen=True, slots=True)
class Samples:
    """The last samples of a run, by two scores: they can each be good and all alike.

    quality: the share that lies as near to some real as its neighbours do, None without reals. variety: mean distance
    of two samples over that of two reals, or without reals what varies over that in the run's best frame.
    beside: "reals", "best-frame", "" without scores. stream, step: which samples.
    """

    quality: float | None
    variety: float | None
    beside: str
    stream: str
    step: int | None
    grids: tuple[Grids, ...]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything that a report may show of one run.

    views: one a pair of networks. findings: worst first. chain: (cause id, effect id).
    known_at_step: the earliest step at which the primary symptom could have been known.
    log_next: at most three signals, the most telling first. samples: None where there are no pictures.
    """

    run: Run
    views: tuple[RunView, ...]
    verdict: Verdict
    examined: tuple[Kind, ...]
    findings: tuple[Judged, ...]
    primary: Judged | None
    chain: tuple[tuple[str, str], ...]
    coverage: tuple[Coverage, ...]
    prescription: tuple[Remedy, ...]
    best_snapshot: Snapshot | None
    known_at_step: int | None
    log_next: tuple[str, ...]
    thresholds_version: str
    baseline: Baseline | None = None
    samples: Samples | None = None
