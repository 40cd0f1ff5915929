"""Writes small logs for tests: CSV files and TensorBoard event files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

Numbers = npt.NDArray[np.float64]
WALL = 1_700_000_000.0


def falling(points: int, *, start: float = 2.0, end: float = 0.5, seed: int = 0) -> Numbers:
    """A loss that falls from `start` to `end`, with noise. float64 (points,)."""
    time = np.linspace(0, 1, points)
    curve: Numbers = end + (start - end) * np.exp(-6 * time)
    return curve * np.exp(np.random.default_rng(seed).normal(0, 0.02, points))


def write_csv(path: Path, **columns: Sequence[float] | npt.NDArray[np.generic]) -> Path:
    """Write columns as a table; each may be shorter than the others, then its last cells are empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = max(map(len, columns.values()))
    lines = [",".join(columns)]
    for row in range(rows):
        lines.append(",".join(f"{c[row]:.6g}" if row < len(c) else "" for c in columns.values()))
    path.write_text("\n".join(lines) + "\n")
    return path


def write_gan(path: Path, points: int = 60, *, first: int = 0, every: int = 1, seed: int = 0) -> Path:
    """A CSV of a whole small training: step, loss_D, loss_G."""
    return write_csv(
        path,
        step=first + every * np.arange(points),
        loss_D=falling(points, start=1.4, end=0.9, seed=seed),
        loss_G=falling(points, start=0.5, end=0.8, seed=seed + 1),
    )


def event(tag: str, step: int, value: float, wall: float) -> Event:
    return Event(
        wall_time=wall, step=step, summary=Summary(value=[Summary.Value(tag=tag, simple_value=value)])
    )


def write_events(
    folder: Path, rows: Sequence[tuple[int, Mapping[str, float]]], *, wall: float = WALL,
    purge: int | None = None, name: str = "", seconds: float = 1.0,
) -> Path:  # fmt: skip
    """An event file with one record a value. rows: (step, {tag: value}), `seconds` apart."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (name or f"events.out.tfevents.{int(wall)}.host")
    events = [Event(wall_time=wall, file_version="brain.Event:2")]
    if purge is not None:
        events.append(Event(wall_time=wall, step=purge, session_log=SessionLog(status=SessionLog.START)))
    for number, (step, values) in enumerate(rows):
        events += [event(tag, step, value, wall + seconds * number) for tag, value in values.items()]
    with path.open("wb") as file:
        writer = RecordWriter(file)
        for one in events:
            writer.write(one.SerializeToString())
        writer.flush()
    return path


def rows_of(steps: Sequence[int], **series: Numbers) -> list[tuple[int, dict[str, float]]]:
    """Rows for `write_events`: every series at every step."""
    return [(int(step), {tag: float(one[n]) for tag, one in series.items()}) for n, step in enumerate(steps)]
