"""What of a fleet can be read by itself: folders that hold runs, told by names and never by opening a file.

A unit is the folder of one run, or a small folder whose runs only its files tell apart. `find_runs` on every unit
gives the runs that it would give on the whole; a listing is all that it takes to know which units changed.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gandoctor.errors import UserError
from gandoctor.readers._remote import Entry, Listing, is_remote, list_files, public
from gandoctor.readers.folders import may_be_run, names_a_run
from gandoctor.readers.load import looked_at

MOST_FOLDERS = 256  # of one unit, where names do not tell its runs apart

# Files that are no logs, whatever they hold; a log beside run folders may belong to one of them.
_NO_LOG = re.compile(
    r".*\.(md|rst|py|sh|ya?ml|toml|cfg|ini|lock|html?|pdf|png|jpe?g|gif|svg|zip|gz)|licen[cs]e|readme|makefile"
    r"|dockerfile|truth\.json|requirements.*\.txt",
    re.IGNORECASE,
)
_PART = re.compile(
    r"wandb|plots?|artifacts?|\.hydra|\.aim|samples?|images?|imgs?|fakes?|generated|checkpoints?|ckpts?|weights|media"
    r"|models?|tensorboard|data",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Unit:
    """A part of a fleet that is read by itself.

    path: a folder, a file or a URL, as people read it. name: below the place that was asked for, "" is that itself.
    stamp: of the names, sizes and times (or ETags) of its files. size: their bytes. changed: the latest time of a file
    in seconds since 1970, 0 where none is known. loose: only the files in the folder, not what lies below.
    listing: of a place in a store.
    """

    path: str
    name: str
    stamp: str
    size: int
    changed: float
    loose: bool = False
    listing: Listing | None = None

    @property
    def key(self) -> str:
        """What tells it from every other unit."""
        return f"{self.path}/*" if self.loose else self.path


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    size: int
    stamp: str
    modified: float


class _Source(Protocol):
    """A tree of folders; "" is its root."""

    def list(self, folder: str) -> tuple[list[str], list[_File]]:
        """The names of the sub-folders, and the files, both sorted and without what is never looked at."""

    def unit(self, folder: str, files: dict[str, _File], loose: bool) -> Unit:
        """A unit of these files, by their paths below the folder."""


def units(path: str | Path) -> Iterator[Unit]:
    """The units at or below a path or a URL, in the order of their names; what cannot be listed is left out.

    Raises UserError if the place does not exist or cannot be listed.
    """
    if is_remote(path):
        yield from _below(_Store(str(path)), "", "")
        return
    root = Path(os.path.abspath(path))
    try:
        if not root.is_dir():
            state = root.stat()
            file = _File(root.name, state.st_size, str(state.st_mtime_ns), state.st_mtime)
            yield _unit(str(root), "", {root.name: file}, False, None)
            return
        os.scandir(root).close()
    except FileNotFoundError as fault:
        raise UserError("no such file or directory", where=str(path)) from fault
    except OSError as fault:
        raise UserError(f"cannot be read: {fault.strerror or fault}", where=str(path)) from fault
    yield from _below(_Disk(str(root)), "", root.name)


def _below(source: _Source, folder: str, name: str) -> Iterator[Unit]:
    folders, files = source.list(folder)
    if not _is_shelf(folders, files):
        tree = _tree(source, folder, folders, files)
        if tree is not None:
            if tree:
                yield source.unit(folder, tree, False)
            return
    loose = {file.name: file for file in files if not _NO_LOG.fullmatch(file.name)}
    if loose:
        yield source.unit(folder, loose, True)
    for inner in folders:
        yield from _below(source, f"{folder}/{inner}" if folder else inner, inner)


def _is_shelf(folders: list[str], files: list[_File]) -> bool:
    """Whether every sub-folder is surely for itself: no log beside them, and no name of a part of a run."""
    return (
        bool(folders)
        and all(_NO_LOG.fullmatch(file.name) for file in files)
        and not any(_PART.fullmatch(name) or not names_a_run(name) for name in folders)
        and any(map(may_be_run, folders))
        and not any(file.name == "meta.yaml" and not _holds_runs(folders) for file in files)
    )


def _holds_runs(folders: list[str]) -> bool:
    """Whether these are MLflow's runs, below the folder of an experiment."""
    return all(re.fullmatch(r"[0-9a-f]{32}", name) for name in folders)


def _tree(source: _Source, folder: str, folders: list[str], files: list[_File]) -> dict[str, _File] | None:
    """All files of a folder by their paths below it; None if there are more than `MOST_FOLDERS` folders."""
    found = {file.name: file for file in files}
    waiting = list(folders)
    for count, inner in enumerate(waiting):  # grows
        if count >= MOST_FOLDERS:
            return None
        below, own = source.list(f"{folder}/{inner}" if folder else inner)
        found.update({f"{inner}/{file.name}": file for file in own})
        waiting += [f"{inner}/{name}" for name in below]
    return found


def _unit(path: str, name: str, files: dict[str, _File], loose: bool, listing: Listing | None) -> Unit:
    told = hashlib.blake2b(digest_size=16)
    for inner in sorted(files):
        told.update(
            f"{inner}\0{files[inner].size}\0{files[inner].stamp}\0".encode("utf-8", "surrogateescape")
        )
    changed = max((file.modified for file in files.values()), default=0.0)
    size = sum(file.size for file in files.values())
    return Unit(path, name, told.hexdigest(), size, changed, loose, listing)


class _Disk:
    """Folders on the disk. A link to what lies inside the root, or above it, adds nothing."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._real = os.path.realpath(root)
        self._seen: dict[str, str] = {}

    def list(self, folder: str) -> tuple[list[str], list[_File]]:
        path = os.path.join(self._root, folder) if folder else self._root
        try:
            with os.scandir(path) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError:
            return [], []
        wanted = looked_at(Path(path), [entry.name for entry in entries], inner=True)
        folders, files = [], []
        for entry in entries:
            if entry.name not in wanted or (entry.is_symlink() and not self._is_new(entry.path)):
                continue
            try:
                if entry.is_dir():
                    folders.append(entry.name)
                elif entry.is_file():
                    state = entry.stat()
                    files.append(_File(entry.name, state.st_size, str(state.st_mtime_ns), state.st_mtime))
            except OSError:
                continue
        return folders, files

    def _is_new(self, link: str) -> bool:
        target = os.path.realpath(link)
        if os.path.commonpath([target, self._real]) in (target, self._real):
            return False
        return self._seen.setdefault(target, link) == link

    def unit(self, folder: str, files: dict[str, _File], loose: bool) -> Unit:
        path = os.path.join(self._root, folder) if folder else self._root
        return _unit(path, folder, files, loose, None)


class _Store:
    """Folders in a store, from its one listing."""

    def __init__(self, url: str) -> None:
        self._listing = list_files(url)
        self._folders: dict[str, set[str]] = defaultdict(set)
        self._files: dict[str, list[_File]] = defaultdict(list)
        for inner, entry in self._listing.files.items():
            folder, _, name = inner.rpartition("/")
            self._files[folder].append(
                _File(name or url.rpartition("/")[2], entry.size, entry.stamp, entry.modified)
            )
            while folder:
                above, _, own = folder.rpartition("/")
                if own in self._folders[above]:
                    break
                self._folders[above].add(own)
                folder = above

    def list(self, folder: str) -> tuple[list[str], list[_File]]:
        folders, files = self._folders.get(folder, set()), self._files.get(folder, [])
        wanted = looked_at(Path(folder), [*folders, *(file.name for file in files)], inner=True)
        return sorted(folders & wanted), [file for file in files if file.name in wanted]

    def unit(self, folder: str, files: dict[str, _File], loose: bool) -> Unit:
        url = self._listing.url.rstrip("/") + (f"/{folder}" if folder else "")
        start = f"{folder}/" if folder else ""
        known = self._listing.files
        own: dict[str, Entry] = {inner: known[start + inner] for inner in files if start + inner in known}
        own = own or {"": known[""]}
        return _unit(public(url), folder, files, loose, Listing(url, own))
