"""Finds the runs below a path, reads their files, and joins the parts into runs.

Where a run begins: at a folder that has a scalar log of its own (`folders.py`). Images, checkpoints
and configuration belong to the nearest such folder above; with none above and one below, to that one;
where there is no log at all, to one run. `joining.py` makes runs of what the files of a folder hold.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import stat
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

import gandoctor.readers as package
from gandoctor.errors import UserError
from gandoctor.readers._remote import is_remote, remote_root
from gandoctor.readers.folders import Folders, names_a_run
from gandoctor.readers.head import Head, head_of
from gandoctor.readers.joining import Part, join
from gandoctor.run import LogProblem, Run, RunParts

# Files that are never a log, our own measured truth, which a diagnosis must not see, and how the probe measured.
_SKIPPED_NAMES = frozenset(
    {
        "truth.json",
        "gandoctor.toml",
        "gandoctor-probe.json",
        "__pycache__",
        "node_modules",
        "site-packages",
        "latest-run",
    }
)
_HIDDEN_KEPT = frozenset({".hydra", ".aim"})  # the configuration of a run; a tracker that is named
# Names that say nothing of the run: then its folder's name is the better one.
_PLAIN_NAME = re.compile(
    r"(events\.out\.tfevents.*|(?:(?:loss|train|training|metrics?|output|console)[-_]?)?(?:log|logs|history|stats)"
    r"|metrics?|losses|loss|train|training|stats|progress|output|results?|nohup|trainer_state)",
    re.IGNORECASE,
)
_PLAIN_FOLDER = re.compile(
    r"(samples?|images?|imgs?|fakes?|generated|checkpoints?|ckpts?|weights|models?|logs?|tensorboard|data)",
    re.IGNORECASE,
)
MAX_FILES = 1_000_000

T = TypeVar("T")
Recogniser = Callable[[Path, list[LogProblem]], str | None]  # a file → the name of its reader, or None
FileReader = Callable[[Path, str], list[RunParts]]  # a file and the name of its reader → what it holds


class Reader(Protocol):
    """What a reader module offers; see `gandoctor/readers/__init__.py`."""

    KIND: str
    ORDER: int

    def sniff(self, head: Head) -> bool:
        """Say whether the file is of this format."""

    def read(self, path: Path) -> list[RunParts]:
        """Read one RunParts for each run in the file."""


@dataclass(frozen=True, slots=True)
class RunFiles:
    """The files of one run's folder, found and not read yet; a process can hand it to another.

    path: the folder, or the one file. name: of the run. inside: what the name of a run that is one file
    of the folder begins with. files: (path, name of its reader module).
    """

    path: Path
    name: str
    inside: str = ""
    files: tuple[tuple[Path, str], ...] = ()
    problems: tuple[LogProblem, ...] = ()


@dataclass(slots=True)
class _Finding:
    """What the search has found so far."""

    files: list[tuple[Path, str]] = field(default_factory=list)
    problems: list[LogProblem] = field(default_factory=list)


@lru_cache(maxsize=1)
def readers() -> Mapping[str, Reader]:
    """Every reader module by its name, those with the surest signature first."""
    names = [m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_")]
    modules = {name: importlib.import_module(f"{package.__name__}.{name}") for name in names}
    known = [name for name, module in modules.items() if hasattr(module, "sniff") and hasattr(module, "read")]
    return {name: modules[name] for name in sorted(known, key=lambda name: (modules[name].ORDER, name))}


def load_all(path: str | Path) -> list[Run]:
    """Every run at or below `path`, sorted by path. Empty if no file there is known.

    Raises UserError if the path does not exist or cannot be read.
    """
    return [run for found in find_runs(path) for run in load_run(found)]


def find_runs(path: str | Path, recognise: Recogniser | None = None, below: bool = True) -> list[RunFiles]:
    """The runs at or below `path` with their files, sorted by path, none of them read.

    recognise: what tells a file's reader, if not a look at its head. below: whether sub-folders are searched too.
    Raises UserError if the path does not exist or cannot be read.
    """
    root = path if isinstance(path, Path) else remote_root(path) if is_remote(path) else Path(path)
    finding = _Finding()
    is_file = _is_file(root)
    for file in [root] if is_file else _walk(root, finding.problems, below):
        reader = (recognise or reader_of)(file, finding.problems)
        if reader is not None:
            finding.files.append((file, reader))
    return _grouped(root, is_file, finding)


def load_run(found: RunFiles, read_file: FileReader | None = None) -> list[Run]:
    """Read the files of one folder: one run, or several where training began anew.

    read_file: what reads a file, if not the reader's own `read`.
    """
    problems = list(found.problems)
    read: list[Part] = []
    for path, name in found.files:
        reader = readers()[name]
        call = partial(read_file, path, name) if read_file else partial(reader.read, path)
        parts = _guarded(path, problems, call)
        read += [(path, reader.KIND, one) for one in parts or ()]
    return join(found.path, found.name, found.inside, read, problems)


def _is_file(root: Path) -> bool:
    """Whether a path is a file (and not a folder). Raises UserError if it is neither, or cannot be read."""
    try:
        mode = root.stat().st_mode
        if stat.S_ISDIR(mode):
            os.scandir(root).close()
            return False
        if not stat.S_ISREG(mode):
            raise UserError("neither a file nor a folder", where=str(root))
        root.open("rb").close()
    except FileNotFoundError as fault:
        raise UserError("no such file or directory", where=str(root), hint=_near(root)) from fault
    except OSError as fault:
        raise UserError(f"cannot be read: {fault.strerror or fault}", where=str(root)) from fault
    except ValueError as fault:  # a NUL in the name
        raise UserError("no such file or directory", where=ascii(str(root))) from fault
    return True


_NAMES = 5_000  # of a folder that are compared with one that is not there


def _near(root: Path) -> str:
    """What may have been meant by a path that is not there, "" where nothing is like it."""
    try:
        names = sorted(entry.name for entry in islice(os.scandir(root.parent), _NAMES))
    except OSError:
        return f"nor is there a folder {root.parent}; the working directory is {Path.cwd()}"
    near = get_close_matches(root.name, names, n=1)
    return f"did you mean {root.parent / near[0]}?" if near else ""


# --- the search ------------------------------------------------------------------------------------------


def _walk(root: Path, problems: list[LogProblem], deep: bool = True) -> Iterator[Path]:
    """Every file below a folder, in a stable order.

    A link to what lies inside `root`, or to a folder above it, adds nothing; other links are followed once.
    """
    inside = os.path.realpath(root)
    seen: set[str] = set()
    kind = type(root)  # a store's paths fetch what is read
    folders = [os.fspath(root)]
    count = 0
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as fault:
            problems.append(LogProblem(kind(folder), "", "unreadable", fault.strerror or str(fault)))
            continue
        below = []
        wanted = looked_at(kind(folder), [entry.name for entry in entries])
        for entry in entries:
            if entry.name not in wanted:
                continue
            if entry.is_symlink() and not _is_new(entry.path, inside, seen):
                continue
            if entry.is_dir():
                below.append(entry.path)
            elif entry.is_file():
                count += 1
                if count > MAX_FILES:
                    message = f"only {MAX_FILES:,} files were looked at"
                    problems.append(LogProblem(root, "", "too-many-files", message))
                    return
                yield kind(entry.path)
        folders += reversed(below if deep else [])


def looked_at(folder: Path, names: Sequence[str], inner: bool = False) -> set[str]:
    """Of the names in a folder those that a search looks at. inner: also what another file's reader reads."""
    skipped = _SKIPPED_NAMES | _wandbs_own(folder, names)
    if not inner:
        skipped |= _mlflows_own(names) | _dvclives_own(folder, names)
    return {name for name in names if name not in skipped and (name[:1] != "." or name in _HIDDEN_KEPT)}


def _mlflows_own(names: Sequence[str]) -> set[str]:
    """What the reader of an MLflow run's `meta.yaml` reads beside it."""
    return {"metrics", "params", "tags", "inputs", "outputs"} if "meta.yaml" in names else set()


def _dvclives_own(folder: Path, names: Sequence[str]) -> set[str]:
    """What the reader of dvclive's `metrics.json` reads below it."""
    own = folder.name == "plots" and "metrics" in names and (folder.parent / "metrics.json").is_file()
    return {"metrics"} if own else set()


def _wandbs_own(folder: Path, names: Sequence[str]) -> set[str]:
    """What W&B writes about itself in a folder, and the console output that its log holds, too."""
    if any(name.endswith(".wandb") for name in names):
        return {"logs"}
    if folder.name == "wandb":
        return {name for name in names if name.startswith("debug") and name.endswith(".log")}
    if folder.name == "files" and "output.log" in names and any(folder.parent.glob("*.wandb")):
        return {"output.log"}
    return set()


def _is_new(link: str, inside: str, seen: set[str]) -> bool:
    target = os.path.realpath(link)
    if os.path.commonpath([target, inside]) in (target, inside) or target in seen:
        return False
    seen.add(target)
    return True


def reader_of(path: Path, problems: list[LogProblem]) -> str | None:
    """The name of the first reader that knows the file."""
    head = _guarded(path, problems, lambda: head_of(path))
    if head is None or head.size == 0:
        return None
    return next(
        (
            name
            for name, reader in readers().items()
            if _guarded(path, problems, lambda reader=reader: reader.sniff(head))  # type: ignore[misc]
        ),
        None,
    )


def _guarded(path: Path, problems: list[LogProblem], call: Callable[[], T]) -> T | None:
    """The result of a call on a file; None where it failed, with the problem noted.

    A fault of ours in one reader costs that file, says so, and not the other files and runs.
    """
    try:
        return call()
    except OSError as fault:
        problems.append(LogProblem(path, "", "unreadable", fault.strerror or str(fault)))
    except Exception as fault:
        problems.append(internal_error(path, fault))
    return None


def internal_error(path: Path, fault: BaseException) -> LogProblem:
    """A fault of gandoctor's own, worded for a report of it."""
    last = traceback.extract_tb(fault.__traceback__)[-1:]
    where = f" ({Path(last[0].filename).name}:{last[0].lineno})" if last else ""
    message = f"a fault of gandoctor's own, please report it: {type(fault).__name__}: {fault}{where}"
    return LogProblem(path, "", "internal-error", message)


def _grouped(root: Path, is_file: bool, finding: _Finding) -> list[RunFiles]:
    """The files of each run."""
    kinds = {name: reader.KIND for name, reader in readers().items()}
    if is_file:
        plain = _PLAIN_NAME.fullmatch(root.stem) or _PLAIN_NAME.fullmatch(root.name)
        name = root.absolute().parent.name if plain else root.stem
        found = RunFiles(root, name, "", tuple(finding.files), tuple(finding.problems))
        return [found] if found.files or found.problems else []
    place = _places([path for path, reader in finding.files if kinds[reader] == "log"])
    logs: dict[Path, list[Path]] = defaultdict(list)
    for path, folder in place.items():
        logs[folder].append(path)
    folders = Folders(root, logs)
    nameless = _common([path for path, _ in finding.files], root)
    files: dict[Path, list[tuple[Path, str]]] = {run: [] for run in sorted(folders.runs)}
    for path, reader in finding.files:
        owner = folders.run_of(place[path]) if path in place else folders.owner_of(path.parent)
        if owner is None and kinds[reader] == "tracker":  # shared by several: told once
            owner = next(iter(files))
        if owner is not None:
            files.setdefault(owner if folders.runs else nameless, []).append((path, reader))
    problems: dict[Path, list[LogProblem]] = defaultdict(list)
    for problem in finding.problems:
        owner = folders.owner_of(problem.file.parent)
        problems[owner if owner in files else next(iter(files), root)].append(problem)
    return [
        RunFiles(
            home,
            home.relative_to(root).as_posix() if home != root else home.absolute().name or str(home),
            home.relative_to(root).as_posix() + "/" if home != root else "",
            tuple(files.get(home, ())),
            tuple(problems.get(home, ())),
        )
        for home in files or problems
    ]


def _places(logs: Iterable[Path]) -> dict[Path, Path]:
    """The folder of each log: its own, or the one beside it that it is called after.

    BigGAN writes `EXP_log.jsonl` beside the folder `EXP` with the other logs of that run.
    """
    found = {path: path.parent for path in logs}
    beside: dict[Path, set[str]] = defaultdict(set)
    for folder in set(found.values()):
        if names_a_run(folder.name):
            beside[folder.parent].add(folder.name)
    for path in found:
        name = path.stem
        ends = [
            at
            for at, sign in enumerate(name)
            if not sign.isalnum() and name[:at] in beside.get(path.parent, ())
        ]
        if ends:
            found[path] = path.parent / name[: ends[-1]]
    return found


def _common(paths: Iterable[Path], root: Path) -> Path:
    """The common folder of some files; above it where its name only says what lies there."""
    parents = {path.parent for path in paths}
    home = type(root)(os.path.commonpath(parents)) if parents else root
    while home != root and (_PLAIN_FOLDER.fullmatch(home.name) or "/." in f"/{home.relative_to(root)}"):
        home = home.parent
    return home
