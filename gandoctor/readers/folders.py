"""To which run a folder belongs: what writers make inside a run joins it.

exp/events…  exp/validation/events…  exp/1712345678.12/events… (hparams)     one run: exp
exp/events…  exp/loss_D/events…  exp/loss_G/events… (add_scalars)             one run: exp
exp/data/errD/events…  exp/data/errG/events… (torch-mimicry, a folder a tag)  one run: exp
runs/a/events…  runs/b/log.csv                                                two runs
"""

from __future__ import annotations

import re
import struct
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath

from gandoctor.readers._events import SIMPLE, SUMMARY, TAG, TENSOR, fields_of
from gandoctor.readers.head import head_of

# Parts of the data: folders that Keras, PyTorch scripts and VITS write beside each other.
_PHASE = re.compile(r"(train|training|val|valid|validation|eval|evaluation|test|testing|dev)", re.IGNORECASE)
# Folders for one kind of log: part of the run above, if that has a log of its own.
_KEPT = re.compile(
    r"(logs?|tb|tb_?logs?|tensorboard|tfevents|events?|summar(y|ies)|scalars|metrics|history|files|csv"
    r"|stats?|losses)",
    re.IGNORECASE,
)
# add_hparams names its folder by the time; Hugging Face puts a copy of the log beside each checkpoint;
# `gandoctor probe` adds a folder to the run whose snapshots it measured.
_INNER = re.compile(r"\d{9,}\.\d+|checkpoint[-_]\d+|gandoctor-probe", re.IGNORECASE)
_SILENT = re.compile(rf"train|training|data|{_INNER.pattern}", re.IGNORECASE)  # say nothing of a tag
_UNSAFE = re.compile(r"[^-/\w.]")  # what tensorboardX writes as "_" in a tag
_RUN_NAME = re.compile(r"\d|run|exp|trial|seed|fold|version", re.IGNORECASE)


class Folders:
    """The folders below `base` that hold logs, and the runs they belong to.

    logs: the log files of each folder.
    """

    def __init__(self, base: Path, logs: Mapping[Path, Sequence[Path]]) -> None:
        self._base = base
        self._logs = logs
        self._tags: dict[Path, frozenset[str]] = {}
        self._below: dict[Path, set[Path]] = defaultdict(set)  # folder → its sub-folders that hold logs
        for folder in logs:
            while folder != base and folder not in self._below[folder.parent]:
                self._below[folder.parent].add(folder)
                folder = folder.parent
        self._by_metric: dict[Path, bool] = {}
        self._run: dict[Path, Path] = {}
        self.runs = {self.run_of(folder) for folder in logs}
        self._owner: dict[Path, Path | None] = {}
        self._first: dict[Path, Path] = {}  # folder → the only run below it
        self._several: set[Path] = set()
        for run in sorted(self.runs):
            self._note(run)

    def run_of(self, folder: Path) -> Path:
        """The folder of the run to which the logs in a folder belong."""
        if folder not in self._run:
            up = self._up(folder)
            self._run[folder] = folder if up is None else self.run_of(up)
        return self._run[folder]

    def owner_of(self, folder: Path) -> Path | None:
        """The run to which files that are no logs belong: the nearest above, else the only one below.

        None if several runs share them. Where there is no run at all, the base.
        """
        if not self.runs:
            return self._base
        passed = []
        found: Path | None = None
        while True:
            if folder in self._owner:
                found = self._owner[folder]
                break
            passed.append(folder)
            if folder in self.runs:
                found = folder
                break
            if folder in self._several:
                break
            if folder in self._first:
                found = self._first[folder]
                break
            if folder == self._base or folder.parent == folder:
                break
            folder = folder.parent
        self._owner.update(dict.fromkeys(passed, found))
        return found

    def _note(self, run: Path) -> None:
        """Tell every folder above a run of it."""
        folder = run
        while folder != self._base and folder.parent != folder:
            folder = folder.parent
            if folder in self._first:
                self._several.add(folder)
            self._first.setdefault(folder, run)

    def _up(self, folder: Path) -> Path | None:
        """The folder to which a folder's logs belong rather than to itself, None if to itself."""
        if folder == self._base:
            return None
        parent = folder.parent
        above_logs = parent in self._logs
        if _INNER.fullmatch(folder.name) or (above_logs and _KEPT.fullmatch(folder.name)):
            return parent
        if _PHASE.fullmatch(folder.name) and (above_logs or self._only_phases(parent)):
            return parent
        writer = self._writer(folder)
        if writer is None and folder in self._logs and self._is_metric(folder):
            return parent.parent if parent.name == "data" and parent != self._base else parent
        return writer

    def _only_phases(self, parent: Path) -> bool:
        """Whether a folder without logs holds nothing but parts of the data: a lone `test` is a run."""
        names = [one.name for one in self._below[parent]]
        return all(map(_PHASE.fullmatch, names)) and (len(names) > 1 or names[0].lower().startswith("train"))

    def _writer(self, folder: Path) -> Path | None:
        """The folder of the writer whose `add_scalars` made this one."""
        tags = self._tags_of(folder)
        above = folder
        while tags and above != self._base:
            above = above.parent
            if above in self._logs:
                inner = folder.relative_to(above)
                if all(add_scalars(tag, inner) is not None for tag in tags):
                    return above
        return None

    def _is_metric(self, folder: Path) -> bool:
        """Whether a folder is one of several siblings with one tag each, as torch-mimicry writes them.

        A folder that is called like a run is one.
        """
        parent = folder.parent
        if parent not in self._by_metric:
            siblings = [one for one in self._below[parent] if one in self._logs]
            self._by_metric[parent] = (
                len(siblings) > 1
                and len(siblings) == len(self._below[parent])
                and not any(_RUN_NAME.search(one.name) and "(" not in one.name for one in siblings)
                and all(len(self._tags_of(one)) <= 1 for one in siblings)
                and sum(len(self._tags_of(one)) for one in siblings) > 1
            )
        return self._by_metric[parent]

    def _tags_of(self, folder: Path) -> frozenset[str]:
        """The scalar tags at the front of the event files in a folder; empty if other logs lie there."""
        if folder not in self._tags:
            files = self._logs.get(folder, ())
            events = files and all("tfevents" in file.name for file in files)
            found = (scalar_tags(file) for file in files) if events else ()
            self._tags[folder] = frozenset[str]().union(*found)
        return self._tags[folder]


def names_a_run(folder: str) -> bool:
    """Whether a folder's name may be a run's, and not one that writers give to a part of every run."""
    return not any(pattern.fullmatch(folder) for pattern in (_PHASE, _KEPT, _INNER, _SILENT))


def may_be_run(folder: str) -> bool:
    """Whether a folder is called as runs are: with a number, or a word such as "exp"."""
    return _RUN_NAME.search(folder) is not None and "(" not in folder


def add_scalars(tag: str, inner: PurePath) -> str | None:
    """The tag that `add_scalars` meant, None if it did not make the folder.

    `add_scalars("loss", {"D": …})` writes the tag `loss` in the folder `loss_D` (torch) or `loss/D`
    (tensorboardX).

    >>> add_scalars("loss/raw", PurePath("loss_raw_D")), add_scalars("loss", PurePath("loss/D"))
    ('loss/raw/D', 'loss/D')
    """
    name = inner.as_posix()
    for said, end in ((name, "_"), (_UNSAFE.sub("_", name), "/")):
        start = (tag.replace("/", "_") if end == "_" else tag) + end
        if said.startswith(start) and len(said) > len(start):
            return f"{tag}/{name[len(start) :]}"  # `said` is as long as `name`
    return None


def full_tags(tags: Iterable[str], inner: PurePath) -> dict[str, str]:
    """The tags of a log in an inner folder as the whole run knows them: tag → name.

    >>> full_tags(["loss"], PurePath("validation")), full_tags(["loss"], PurePath("errD"))
    ({'loss': 'validation/loss'}, {'loss': 'loss/errD'})
    """
    tags = list(tags)
    made = {tag: add_scalars(tag, inner) for tag in tags}
    if all(made.values()):
        return {tag: name or tag for tag, name in made.items()}
    said = [part for part in inner.parts if not _SILENT.fullmatch(part) and not _KEPT.fullmatch(part)]
    if not said:
        return {tag: tag for tag in tags}
    last = said[-1]
    if len(tags) == 1 and not _PHASE.fullmatch(last):  # a folder a tag
        return {tag: tag if tag == last else f"{tag}/{last}" for tag in tags}
    prefix = "/".join(said)
    return {tag: f"{prefix}/{tag}" for tag in tags}


def scalar_tags(path: Path) -> frozenset[str]:
    """The scalar tags in the first records of an event file, as far as its head tells."""
    try:
        data = head_of(path).data
    except OSError:
        return frozenset()
    found: set[str] = set()
    at = 0
    while at + 16 <= len(data):
        (size,) = struct.unpack_from("<Q", data, at)
        start, end = at + 12, at + 12 + size
        if end > len(data):
            break
        try:
            found.update(_tags_in(data, start, end))
        except ValueError:
            break
        at = end + 4
    return frozenset(found)


def _tags_in(data: bytes, start: int, end: int) -> Iterable[str]:
    for number, _, summary, summary_end in fields_of(data, start, end):
        if number != SUMMARY:
            continue
        for _, _, value, value_end in fields_of(data, summary, summary_end):
            fields = {what: (a, b) for what, _, a, b in fields_of(data, value, value_end)}
            if TAG in fields and fields.keys() & {SIMPLE, TENSOR}:
                a, b = fields[TAG]
                tag = data[a:b].decode("utf-8", errors="replace")
                if not tag.startswith("_hparams_/"):
                    yield tag
