"""Where recorded numbers go: TensorBoard's event file, or a CSV table."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


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


FORMATS: Mapping[str, type[TensorBoard] | type[Table]] = {"tensorboard": TensorBoard, "csv": Table}
