"""What a detector says: findings with their evidence, and what could not be examined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TypeAlias


class Severity(IntEnum):
    """How bad a finding is for the run; apart from how sure we are."""

    INFO = 1
    WARNING = 2
    ERROR = 3

    @property
    def slug(self) -> str:
        """Its name in outputs: "info", "warning", "error"."""
        return self.name.lower()


class Kind(StrEnum):
    """Kinds of evidence. Losses, scores and accuracy are one kind: all are functions of D's outputs."""

    GAME = "game"
    GRADIENTS = "gradients"
    WEIGHTS = "weights"
    QUALITY = "quality"
    SAMPLES = "samples"
    CONFIGURATION = "configuration"
    LOG = "log"


@dataclass(frozen=True, slots=True)
class Threshold:
    """A number that decides, from `rules/thresholds.toml`: its value, unit and where it comes from."""

    name: str
    value: float
    unit: str
    source: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """One statistic against its threshold, over a window of steps (first, last) of named series."""

    kind: Kind
    statistic: str
    value: float
    threshold: Threshold | None = None
    series: tuple[str, ...] = ()
    window: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """The steps over which something holds.

    onset: its first step; onset_interval: where the onset may lie (earliest, latest).
    end: its last step, None where it holds to the end of the run.
    share: of the points after warm-up, between 0 and 1.
    """

    onset: int
    onset_interval: tuple[int, int]
    end: int | None = None
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Subject:
    """What a finding is about; "" where it does not apply."""

    pair: str = ""
    network: str = ""
    layer: str = ""
    tag: str = ""
    file: str = ""


Param: TypeAlias = float | int | str


@dataclass(frozen=True, slots=True)
class Finding:
    """A symptom, as a detector saw it. The sentence is in the rule file: `params` fill it.

    overwhelming: this one kind of evidence is enough for an error.
    """

    code: str
    severity: Severity
    stretch: Stretch
    evidence: tuple[Evidence, ...]
    subject: Subject = field(default_factory=Subject)
    params: Mapping[str, Param] = field(default_factory=dict)
    overwhelming: bool = False


class State(StrEnum):
    """Whether a symptom could be looked for."""

    EXAMINED = "examined"
    NOT_EXAMINABLE = "not-examinable"
    TOO_SHORT = "too-short"


@dataclass(frozen=True, slots=True)
class NotExamined:
    """Why a symptom could not be looked for, and the one thing to log that would change that.

    reason: a stable slug ("missing-signal", "too-few-points", "adversarial-part-not-run", ...).
    log_next: the name of a signal in `interpret/view.py`, "" where nothing would help.
    """

    code: str
    state: State
    reason: str
    detail: str = ""
    log_next: str = ""
