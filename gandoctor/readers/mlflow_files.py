"""MLflow's file store, `mlruns/EXPERIMENT/RUN/`: read by way of the run's `meta.yaml`.

metrics/KEY     1795552099192 0.5 0       milliseconds, value, step; "nan", "-inf"; "/" in a key makes folders
params/KEY      the value as text
tags/KEY        the value as text; MLflow's own begin with "mlflow."
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from gandoctor.readers._sqlite import Columns, series_of, setting
from gandoctor.readers.faults import Faults
from gandoctor.readers.head import Head
from gandoctor.run import RunParts

KIND = "log"
ORDER = 15

_MAX_FILES = 20_000
_MAX_BYTES = 1 << 30  # of one metric
_MAX_TEXT = 64 << 10
_RUN = re.compile(r"^(run_id|run_uuid): *\S", re.MULTILINE)


def sniff(head: Head) -> bool:
    """Whether this is the description of an MLflow run."""
    return head.name == "meta.yaml" and head.text is not None and _RUN.search(head.text) is not None


def read(path: Path) -> list[RunParts]:
    """The run in the folder of its `meta.yaml`. Raises OSError if that cannot be opened."""
    path.open("rb").close()
    faults = Faults(path)
    tags: dict[str, Columns] = {}
    order = 0
    for tag, file in _files(path.parent / "metrics", faults):
        one = Columns()
        order = _read_metric(file, tag, one, order, faults)
        if one.steps:
            tags[tag] = one
    parts = RunParts(series=series_of(tags, path))
    for folder, prefix in (("params", ""), ("tags", "tags.")):
        for key, file in _files(path.parent / folder, faults):
            if key.startswith("mlflow."):
                continue
            try:
                with file.open("rb") as text:
                    value = text.read(_MAX_TEXT).decode("utf-8", errors="replace").rstrip("\r\n")
            except OSError as fault:
                faults.add(f"{folder}/{key}", "unreadable", fault.strerror or str(fault))
                continue
            parts.settings[f"{prefix}{key}"] = setting(value, file)
    parts.problems = faults.problems()
    return [parts]


def _files(folder: Path, faults: Faults) -> Iterator[tuple[str, Path]]:
    """The files below a folder by their keys."""
    if not folder.is_dir():
        return
    for count, file in enumerate(sorted(folder.rglob("*"))):
        if count >= _MAX_FILES:
            faults.add(folder.name, "too-many-tags", f"only the first {_MAX_FILES:,} files were read")
            return
        if file.is_file() and not file.is_symlink() and not file.name.startswith("."):
            yield file.relative_to(folder).as_posix(), file


def _read_metric(file: Path, tag: str, one: Columns, order: int, faults: Faults) -> int:
    """Fill the columns from a file; the next write position."""
    try:
        with file.open("rb") as text:
            data = text.read(_MAX_BYTES)
    except OSError as fault:
        faults.add(f"metrics/{tag}", "unreadable", fault.strerror or str(fault))
        return order
    whole = data.endswith(b"\n")
    lines = data.split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        words = line.split()
        try:
            if len(words) not in (2, 3):  # the oldest files have no step
                raise ValueError
            time, value, step = int(words[0]), float(words[1]), int(words[2]) if len(words) == 3 else 0
        except ValueError:
            cut = number == len(lines) and not whole
            kind, said = (
                ("truncated-tail", "the last line is cut off") if cut else ("bad-line", "not TIME VALUE STEP")
            )
            faults.add(f"metrics/{tag} line {number}", kind, said)
            continue
        if abs(step) >= 1 << 62:
            faults.add(f"metrics/{tag} line {number}", "bad-line", "a step beyond all counters")
            continue
        one.steps.append(step)
        one.values.append(value)
        one.times.append(time / 1000)
        one.orders.append(order)
        order += 1
    return order
