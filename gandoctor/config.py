"""What the user decided: `gandoctor.toml`, or `[tool.gandoctor]` in `pyproject.toml`, or the command line."""

from __future__ import annotations

import locale
import math
import os
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gandoctor.errors import UserError

_KEYS = ("thresholds", "thresholds-version", "select", "ignore", "map", "loss-family", "rules", "lang")


@dataclass(frozen=True, slots=True)
class Config:
    """thresholds: "GD201.won" → value. select, ignore: codes or their beginnings ("GD2"), which decide
    verdict and primary; roles: tag → "D.loss.real". rules: folders with the user's own rule files.
    """

    thresholds: dict[str, float] = field(default_factory=dict)
    thresholds_version: str = ""
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    roles: dict[str, str] = field(default_factory=dict)
    family: str = ""
    rules: tuple[Path, ...] = ()
    lang: str = "en"

    def wants(self, code: str) -> bool:
        """Whether a code counts, by `select` and `ignore`."""
        chosen = not self.select or any(code.startswith(start) for start in self.select)
        return chosen and not any(code.startswith(start) for start in self.ignore)

    def changed(self, **changes: Any) -> Config:
        """The same with some values changed; None and empty values change nothing."""
        return replace(self, **{name: value for name, value in changes.items() if value})


def language(asked: str) -> str:
    """The language of texts: as asked, or for "auto" Chinese where the locale is, else English.

    Of the locale, the first that is set of LC_ALL, LC_MESSAGES and LANG decides, as POSIX has it; where none
    is, the system's own.
    """
    if asked != "auto":
        return asked
    said = next(filter(None, map(os.environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), None)
    if said is None:
        said = locale.getlocale()[0] or ""
    return "zh" if said.lower().startswith(("zh", "chinese")) else "en"


def find_config(start: Path) -> Config:
    """The configuration of the nearest folder at or above `start` that has one; defaults if none has.

    Raises UserError if the file is not valid.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        own = folder / "gandoctor.toml"
        if own.is_file():
            return _read(own, _load(own))
        project = folder / "pyproject.toml"
        if project.is_file():
            table = _ours(project)
            if table is not None:
                return _read(project, table)
    return Config()


def read_config(path: Path) -> Config:
    """The configuration of one file. Raises UserError if it is missing or not valid."""
    if not path.is_file():
        raise UserError("no such file", where=str(path))
    if path.name == "pyproject.toml":
        return _read(path, _ours(path) or {})
    return _read(path, _load(path))


def _ours(project: Path) -> dict[str, Any] | None:
    """The table [tool.gandoctor] of a project file, None where it has none."""
    table: Any = _load(project)
    for key in ("tool", "gandoctor"):
        table = table.get(key)
        if table is None:
            return None
        if not isinstance(table, dict):
            raise UserError(f"'{key}' must be a table", where=str(project))
    ours: dict[str, Any] = table
    return ours


def _load(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise UserError(f"not valid TOML: {fault}", where=str(path)) from fault
    except OSError as fault:
        raise UserError(f"cannot be read: {fault.strerror or fault}", where=str(path)) from fault


def _read(path: Path, table: dict[str, Any]) -> Config:
    for key in table:
        if key not in _KEYS:
            raise UserError(f"unknown key '{key}'", where=str(path), hint="the keys are: " + ", ".join(_KEYS))

    def typed(key: str, kind: type, default: Any) -> Any:
        value = table.get(key, default)
        if not isinstance(value, kind):
            raise UserError(f"'{key}' must be {_WORDS[kind]}", where=str(path))
        return value

    rules = typed("rules", list, [])
    if not all(isinstance(folder, str) for folder in rules):
        raise UserError("'rules' must be a list of texts, the folders", where=str(path))
    thresholds = typed("thresholds", dict, {})
    for name, value in thresholds.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise UserError(f"threshold '{name}' must be a number", where=str(path))
    return Config(
        thresholds={name: float(value) for name, value in thresholds.items()},
        thresholds_version=typed("thresholds-version", str, ""),
        select=tuple(map(str, typed("select", list, []))),
        ignore=tuple(map(str, typed("ignore", list, []))),
        roles={str(tag): str(role) for tag, role in typed("map", dict, {}).items()},
        family=typed("loss-family", str, ""),
        rules=tuple(path.parent / folder for folder in rules),
        lang=typed("lang", str, "en"),
    )


_WORDS: dict[type, str] = {dict: "a table", list: "a list", str: "a text"}
