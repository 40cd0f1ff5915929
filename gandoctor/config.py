"""What the user decided: `gandoctor.toml`, or `[tool.gandoctor]` in `pyproject.toml`, or the command line."""

from __future__ import annotations

import locale
import math
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from gandoctor.errors import UserError

_OF_PATHS = ("thresholds", "select", "ignore", "map", "loss-family", "fail-on", "min-confidence", "require")
_KEYS = (*_OF_PATHS, "thresholds-version", "rules", "lang", "baseline", "per-path")


@dataclass(frozen=True, slots=True)
class PathSettings:
    """Settings for the runs at or below the paths that a pattern names.

    pattern: of paths from the configuration's folder, with "/"; * stands for anything.
    values: by the names of `Config`'s fields.
    """

    pattern: str
    values: Mapping[str, Any]

    def names(self, path: str) -> bool:
        """Whether the pattern names a path ("runs/a/b"), or a folder above it."""
        parts = path.split("/")
        return any(fnmatchcase("/".join(parts[:n]), self.pattern) for n in range(1, len(parts) + 1))

    def onto(self, config: Config) -> Config:
        """A configuration with these settings on top: tables are joined, lists of codes to ignore add up."""
        values = dict(self.values)
        for name in ("thresholds", "roles"):
            if name in values:
                values[name] = {**getattr(config, name), **values[name]}
        if "ignore" in values:
            values["ignore"] = (*config.ignore, *values["ignore"])
        return replace(config, **values)


@dataclass(frozen=True, slots=True)
class Config:
    """thresholds: "GD201.won" → value. select, ignore: codes or their beginnings ("GD2"), which decide
    verdict and primary; roles: tag → "D.loss.real". rules: folders with the user's own rule files.
    features: the user's embedding of samples, "module:callable"; it runs code, so that no file may set it.
    fail_on, min_confidence, require, baseline: what `check` and `watch` go by. per_path: settings for some
    runs only, whose patterns count from `folder`.
    """

    thresholds: dict[str, float] = field(default_factory=dict)
    thresholds_version: str = ""
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    roles: dict[str, str] = field(default_factory=dict)
    family: str = ""
    rules: tuple[Path, ...] = ()
    lang: str = "en"
    features: str = ""
    fail_on: tuple[str, ...] = ("error",)
    min_confidence: float = 0.0
    require: tuple[str, ...] = ()
    baseline: Path | None = None
    per_path: tuple[PathSettings, ...] = ()
    folder: Path = Path()

    def wants(self, code: str) -> bool:
        """Whether a code counts, by `select` and `ignore`."""
        chosen = not self.select or any(code.startswith(start) for start in self.select)
        return chosen and not any(code.startswith(start) for start in self.ignore)

    def changed(self, **changes: Any) -> Config:
        """The same with some values changed, for all paths; None and empty values change nothing."""
        given = {name: value for name, value in changes.items() if value not in (None, "", (), {})}
        roles = {tag for tag, role in given.get("roles", {}).items() if self.roles.get(tag) != role}
        kept = []
        for one in self.per_path:
            values = {name: value for name, value in one.values.items() if name not in given}
            if "roles" in one.values:
                values["roles"] = {tag: r for tag, r in one.values["roles"].items() if tag not in roles}
            kept.append(PathSettings(one.pattern, values))
        return replace(self, per_path=tuple(kept), **given)

    def for_path(self, path: Path) -> Config:
        """The configuration of the run at a path; of several patterns that name it the later ones win."""
        if not self.per_path:
            return self
        full, base = path.absolute(), self.folder.absolute()
        name = (full.relative_to(base) if full.is_relative_to(base) else full).as_posix()
        made = replace(self, per_path=())
        for one in self.per_path:
            made = one.onto(made) if one.names(name) else made
        return made

    def variants(self) -> Iterator[Config]:
        """The configuration, then what each of its patterns makes of it."""
        yield self
        for one in self.per_path:
            yield one.onto(replace(self, per_path=()))


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
    _refuse_unknown(path, table, _KEYS, "")
    rules = _texts(path, table, "rules", "")
    baseline = _typed(path, table, "baseline", str, "")
    per_path = []
    for pattern, own in _typed(path, table, "per-path", dict, {}).items():
        inside = f"in per-path '{pattern}': "
        if not isinstance(own, dict):
            raise UserError(f"{inside}must be a table", where=str(path))
        _refuse_unknown(path, own, _OF_PATHS, inside)
        per_path.append(PathSettings(pattern.rstrip("/"), _values(path, own, inside)))
    return Config(
        thresholds_version=_typed(path, table, "thresholds-version", str, ""),
        rules=tuple(path.parent / folder for folder in rules),
        lang=_typed(path, table, "lang", str, "en"),
        baseline=path.parent / baseline if baseline else None,
        per_path=tuple(per_path),
        folder=path.parent if per_path else Path(),
        **_values(path, table, ""),
    )


def _values(path: Path, table: Mapping[str, Any], inside: str) -> dict[str, Any]:
    """The settings in a table that may hold for some paths only, by the names of `Config`'s fields."""
    found: dict[str, Any] = {}
    for key in ("select", "ignore", "fail-on", "require"):
        if key in table:
            found[key.replace("-", "_")] = _texts(path, table, key, inside)
    if "thresholds" in table:
        thresholds = _typed(path, table, "thresholds", dict, {}, inside)
        found["thresholds"] = {
            name: _number(path, value, f"{inside}threshold '{name}'") for name, value in thresholds.items()
        }
    if "map" in table:
        found["roles"] = {
            str(tag): str(role) for tag, role in _typed(path, table, "map", dict, {}, inside).items()
        }
    if "loss-family" in table:
        found["family"] = _typed(path, table, "loss-family", str, "", inside)
    if "min-confidence" in table:
        found["min_confidence"] = _number(path, table["min-confidence"], f"{inside}'min-confidence'")
        if not 0 <= found["min_confidence"] <= 1:
            raise UserError(f"{inside}'min-confidence' must be from 0 to 1", where=str(path))
    return found


def _refuse_unknown(path: Path, table: Mapping[str, Any], known: tuple[str, ...], inside: str) -> None:
    for key in table:
        if key not in known:
            hint = "the keys are: " + ", ".join(known)
            raise UserError(f"{inside}unknown key '{key}'", where=str(path), hint=hint)


def _typed(path: Path, table: Mapping[str, Any], key: str, kind: type, default: Any, inside: str = "") -> Any:
    value = table.get(key, default)
    if not isinstance(value, kind):
        raise UserError(f"{inside}'{key}' must be {_WORDS[kind]}", where=str(path))
    return value


def _texts(path: Path, table: Mapping[str, Any], key: str, inside: str) -> tuple[str, ...]:
    texts = _typed(path, table, key, list, [], inside)
    if not all(isinstance(text, str) for text in texts):
        raise UserError(f"{inside}'{key}' must be a list of texts", where=str(path))
    return tuple(texts)


def _number(path: Path, value: object, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(f"{what} must be a number", where=str(path))
    return float(value)


_WORDS: dict[type, str] = {dict: "a table", list: "a list", str: "a text"}
