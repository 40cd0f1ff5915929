"""What was read: a run as columns, before anyone asks what the numbers mean.

Readers make `RunParts`, one or more a file, in the order in which the file was written;
`readers/load.py` finds the runs and joins their parts into `Run`s, sorted by step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Steps: TypeAlias = npt.NDArray[np.int64]
Values: TypeAlias = npt.NDArray[np.float64]
Scalar: TypeAlias = str | int | float | bool | None


class Unit(StrEnum):
    """What a step counts. RECORD: the log has no steps, its lines were counted."""

    ITERATION = "iteration"
    EPOCH = "epoch"
    KIMG = "kimg"
    IMAGE = "image"
    RECORD = "record"


@dataclass(frozen=True, slots=True)
class LogProblem:
    """Something in a file that could not be read as it stands; reading went on after it.

    place: "byte 1204", "line 17", or "" for the whole file.
    kind: a short, stable slug, e.g. "corrupt-record", "truncated", "bad-line", "unreadable".
    """

    file: Path
    place: str
    kind: str
    message: str


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """The values of one tag.

    steps: int64 (n,). values: float64 (n,), NaN and Inf kept: they are evidence.
    order: int64 (n,), where in the file each value was written (line, record or row number,
        any count that grows), shared by all series of a file.
    wall_time: float64 (n,) seconds since the epoch, or None.

    From a reader: in write order, steps may repeat or go back. In a `Run`: sorted by step.
    logged: how many points the log has, where only some of them are kept; else 0.
    """

    tag: str
    steps: Steps
    values: Values
    order: Steps
    source: Path
    unit: Unit = Unit.ITERATION
    wall_time: Values | None = None
    logged: int = 0

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def points(self) -> int:
        """How many points the log has of this tag."""
        return self.logged or len(self)

    def take(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.intp] | slice) -> Series:
        """The same series at some of its points: a mask, indices or a slice."""
        wall = None if self.wall_time is None else self.wall_time[which]
        return Series(
            self.tag, self.steps[which], self.values[which], self.order[which],
            self.source, self.unit, wall,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Start:
    """A place where the log itself says that training (re)started.

    order: the first write position after the start. purge_step: if given, earlier points at this
    step or later were taken back by the writer (TensorBoard's `purge_step`).
    """

    order: int
    reason: str
    purge_step: int | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """One value of the configuration beside the logs, by its name there ("optimizer.lr_g")."""

    value: Scalar
    source: Path


@dataclass(frozen=True, slots=True)
class ImageGrid:
    """A reference to sample images: a file, or a byte range (offset, length) of an encoded image."""

    name: str
    step: int | None
    source: Path
    offset: int = 0
    length: int | None = None


@dataclass(frozen=True, slots=True)
class Histogram:
    """A reference to one logged histogram: the byte range of its message in `source`.

    encoding: "tb-histo", "tb-tensor" or "wandb": how a reader of histograms must decode it.
    """

    tag: str
    step: int
    source: Path
    offset: int
    length: int
    encoding: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A reference to saved weights. step: from the file's name, None where it has none."""

    path: Path
    step: int | None
    format: str


@dataclass(slots=True)
class RunParts:
    """What one file holds of one run, in write order.

    label: tells several runs in one file apart ("" where there is one).
    settings: configuration by its flattened name there ("optimizer.lr_g").
    """

    label: str = ""
    series: list[Series] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    settings: dict[str, Setting] = field(default_factory=dict)
    images: list[ImageGrid] = field(default_factory=list)
    histograms: list[Histogram] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    problems: list[LogProblem] = field(default_factory=list)


@dataclass(slots=True)
class Run:
    """One training run: its series by tag, sorted by step, and references to the rest."""

    path: Path
    name: str
    series: dict[str, Series] = field(default_factory=dict)
    settings: dict[str, Setting] = field(default_factory=dict)
    images: list[ImageGrid] = field(default_factory=list)
    histograms: list[Histogram] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    problems: list[LogProblem] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)

    @property
    def tags(self) -> list[str]:
        """What has a role: the tags of its series and of its histograms, each once."""
        return list(dict.fromkeys([*self.series, *(one.tag for one in self.histograms)]))
