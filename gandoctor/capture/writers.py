"""What a run leaves in its folder: numbers as TensorBoard's events, CSV or JSON lines; settings; checkpoints."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch


class Writer(Protocol):
    """Takes the numbers of one step."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Write the numbers of a step, by tag. Raises OSError."""

    def close(self) -> None:
        """Write what is still held back."""


class TensorBoard:
    """An event file in a folder."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._events = SummaryWriter(str(folder))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Write the numbers of a step, by tag."""
        for tag, value in values.items():
            self._events.add_scalar(tag, value, step)

    def close(self) -> None:
        """Write what is still held back."""
        self._events.close()


class Table:
    """A table with a row a step. A column that comes later is added to the rows before it, empty there.

    A table that is there already is gone on with.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "metrics.csv"
        self._columns: list[str] = []
        if self._path.exists():
            with self._path.open(newline="", encoding="utf-8") as file:
                self._columns = next(csv.reader(file), [])

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Write the numbers of a step, by tag."""
        new = [name for name in ["step", *values] if name not in self._columns]
        if new:
            self._widen(new)
        row = {"step": str(step), **{tag: f"{value:.7g}" for tag, value in values.items()}}
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerow([row.get(name, "") for name in self._columns])

    def _widen(self, new: list[str]) -> None:
        rows: list[list[str]] = []
        if self._columns:
            with self._path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.reader(file))[1:]
        self._columns += new
        beside = self._path.with_suffix(".csv.new")
        with beside.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(self._columns)
            table.writerows([*row, *[""] * (len(self._columns) - len(row))] for row in rows)
        beside.replace(self._path)

    def close(self) -> None:
        """Nothing is held back."""


class Lines:
    """JSON lines: an object a step. A file that is there already is gone on with."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "metrics.jsonl"

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Write the numbers of a step, by tag."""
        line = json.dumps({"step": step, **{tag: float(f"{value:.7g}") for tag, value in values.items()}})
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def close(self) -> None:
        """Nothing is held back."""


FORMATS: Mapping[str, Callable[[Path], Writer]] = {"tensorboard": TensorBoard, "csv": Table, "jsonl": Lines}


def write_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Write config.json, as a project would; one that is there already stays. Raises OSError."""
    path = folder / "config.json"
    if not path.exists():
        path.write_text(json.dumps(settings, indent=1, default=str) + "\n", encoding="utf-8")


def save_checkpoint(folder: Path, step: int, state: Mapping[str, Any], digits: int = 8) -> None:
    """Save what training needs to go on as checkpoints/checkpoint_STEP.pt; whole, or not at all. Raises OSError.

    state: "G", "D", "opt_G", "opt_D" → their state_dict. digits: of the step in the name, at least.
    """
    place = folder / "checkpoints"
    place.mkdir(exist_ok=True)
    name = f"checkpoint_{step:0{digits}d}"
    beside = place / f".{name}.part"
    try:
        torch.save({"step": step, **state}, beside)
    except RuntimeError as fault:  # torch's word for a full disk
        beside.unlink(missing_ok=True)
        raise OSError(f"{beside.name} cannot be written: {fault}") from fault
    os.replace(beside, place / f"{name}.pt")
