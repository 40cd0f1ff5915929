"""Finds the runs below a path, reads their files, and joins the parts into runs.

Where a run begins: at a folder that has a scalar log of its own. Images, checkpoints and
configuration belong to the nearest such folder above; with none above and one below, to that one.
Folders that writers make inside a run (`train`, `eval`, hparams, `add_scalars`) join their parent.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import gandoctor.readers as package
from gandoctor.errors import UserError
from gandoctor.readers.head import Head, head_of
from gandoctor.readers.sessions import join
from gandoctor.run import LogProblem, Run, RunParts

# Folders that writers make inside a run. hparams folders are named by time(): "1712345678.12".
_INNER = re.compile(r"^(train|training|val|valid|validation|eval|test|metrics|scalars|\d{9,}\.\d+)$", re.I)
# Files that are never a log, and our own measured truth, which a diagnosis must not see.
_SKIPPED_NAMES = frozenset({"truth.json", "gandoctor.toml"})
_SKIPPED_FOLDERS = frozenset(
    {".git", ".hg", ".svn", "__pycache__", "node_modules", "site-packages", ".venv", ".ipynb_checkpoints"}
)
MAX_FILES = 1_000_000


class Reader(Protocol):
    """What a reader module offers; see `gandoctor/readers/__init__.py`."""

    KIND: str
    ORDER: int

    def sniff(self, head: Head) -> bool:
        """Say whether the file is of this format."""

    def read(self, path: Path) -> list[RunParts]:
        """Read one RunParts for each run in the file."""


@dataclass(frozen=True, slots=True)
class _Found:
    path: Path
    reader: Reader

    @property
    def kind(self) -> str:
        return self.reader.KIND


@lru_cache(maxsize=1)
def readers() -> tuple[Reader, ...]:
    """Every reader module, those with the surest signature first."""
    names = [m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_")]
    modules = [importlib.import_module(f"{package.__name__}.{name}") for name in names]
    known = [module for module in modules if hasattr(module, "sniff") and hasattr(module, "read")]
    return tuple(sorted(known, key=lambda module: (module.ORDER, module.__name__)))


def load_all(path: str | Path) -> list[Run]:
    """Every run at or below `path`, sorted by path. Empty if no file there is known.

    Raises UserError if the path does not exist or cannot be read.
    """
    root = Path(path)
    if not root.exists():
        raise UserError("no such file or directory", where=str(path))
    problems: list[LogProblem] = []
    files = [root] if root.is_file() else list(_walk(root, problems))
    found = [known for file in files if (known := _recognise(file, problems)) is not None]
    runs = [
        run
        for folder, members in sorted(_grouped(root, found).items())
        for run in _runs_of(folder, members, problems)
    ]
    if runs:
        runs[0].problems.extend(problems)
    elif problems:
        runs = [Run(root, root.name, problems=problems)]
    return runs


def _walk(root: Path, problems: list[LogProblem]) -> Iterator[Path]:
    """Every file below a folder, in a stable order. Follows links, but no folder twice."""
    seen: set[tuple[int, int]] = set()
    count = 0

    def unreadable(fault: OSError) -> None:
        place = Path(fault.filename) if fault.filename else root
        problems.append(LogProblem(place, "", "unreadable", fault.strerror or str(fault)))

    for folder, folders, files in os.walk(root, followlinks=True, onerror=unreadable):
        try:
            status = os.stat(folder)
        except OSError as fault:
            unreadable(fault)
            continue
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        skipped = _SKIPPED_FOLDERS | _SKIPPED_NAMES | _wandbs_own(Path(folder), files)
        folders[:] = sorted(name for name in folders if name not in skipped and name != "latest-run")
        for name in sorted(files):
            if name in skipped or name.startswith("."):
                continue
            count += 1
            if count > MAX_FILES:
                problems.append(LogProblem(root, "", "too-many-files", f"only {MAX_FILES:,} were looked at"))
                return
            yield Path(folder, name)


def _wandbs_own(folder: Path, files: Sequence[str]) -> set[str]:
    """What W&B writes about itself in a folder, and the console output that its log holds, too."""
    if any(name.endswith(".wandb") for name in files):
        return {"logs"}
    if folder.name == "wandb":
        return {name for name in files if name.startswith("debug") and name.endswith(".log")}
    if folder.name == "files" and "output.log" in files and any(folder.parent.glob("*.wandb")):
        return {"output.log"}
    return set()


def _recognise(path: Path, problems: list[LogProblem]) -> _Found | None:
    """The file with the first reader that knows it."""
    try:
        if not path.is_file():  # a socket, a device, a dangling link
            return None
        head = head_of(path)
    except OSError as fault:
        problems.append(LogProblem(path, "", "unreadable", fault.strerror or str(fault)))
        return None
    if head.size == 0:
        return None
    return next((_Found(path, reader) for reader in readers() if reader.sniff(head)), None)


def _grouped(root: Path, found: Sequence[_Found]) -> dict[Path, list[_Found]]:
    """The files of each run's folder."""
    base = root if root.is_dir() else root.parent
    logs = {file.path.parent for file in found if file.kind == "log"}
    roots = {_outermost(folder, logs, base) for folder in logs}
    groups: dict[Path, list[_Found]] = defaultdict(list)
    for file in found:
        folder = file.path.parent
        home = _outermost(folder, logs, base) if file.kind == "log" else _home(folder, roots, base)
        if home is not None:
            groups[home].append(file)
    return groups


def _home(folder: Path, roots: set[Path], base: Path) -> Path | None:
    """The run to which a file that is no log belongs; None if it is shared by several."""
    if not roots:
        return base
    for up in (folder, *folder.parents):
        if up in roots:
            return up
        below = [root for root in roots if up in root.parents]
        if below:
            return below[0] if len(below) == 1 else None
        if up == base:
            return None
    return None


def _outermost(folder: Path, logs: set[Path], base: Path) -> Path:
    """The folder of the run to which a log in `folder` belongs."""
    while folder != base and (_INNER.match(folder.name) or (folder.parent in logs and _is_inner(folder))):
        folder = folder.parent
    return folder


def _is_inner(folder: Path) -> bool:
    """Whether `SummaryWriter.add_scalars("a/b", {"c": …})` made a folder: `a_b_c`, holding tag a/b."""
    events = [path for path in folder.iterdir() if "tfevents" in path.name]
    if not events:
        return False
    head = head_of(events[0]).data
    parts = folder.name.split("_")
    prefixes = ("_".join(parts[:n]) for n in range(1, len(parts)))
    return any(
        re.search(re.escape(prefix).replace("_", "[_/]").encode() + rb"[\x15\x42]", head)
        for prefix in prefixes
    )


def _runs_of(folder: Path, members: Sequence[_Found], problems: list[LogProblem]) -> list[Run]:
    """Read the files of one folder and join them into one or more runs."""
    read: list[tuple[Path, str, RunParts]] = []
    for file in members:
        try:
            read.extend((file.path, file.kind, parts) for parts in file.reader.read(file.path))
        except OSError as fault:
            problems.append(LogProblem(file.path, "", "unreadable", fault.strerror or str(fault)))
    return join(folder, read)
