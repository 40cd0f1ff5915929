"""Reports: one module an output, from diagnoses to a file.

A module is an output if it has

    FORMAT = "json"                    # the word after --format
    SUFFIXES = (".json",)              # of files that are written in this format; may be empty
    def write(diagnoses, out, *, lang="en", rules=None): ...        # to an open text stream
    def write_files(diagnoses, path, *, lang="en", rules=None): ... # only where one stream is not enough
    OPTIONS = ("name",)                # further keywords of both, if there are any

`rules` are the texts by code, from `judge.rules.load_rules`; None means the package's own. Such a module
imports what is heavy inside its functions, so that the table of formats costs little; modules whose name
begins with "_" are no outputs.
"""

from __future__ import annotations

import importlib
import io
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO, cast

if TYPE_CHECKING:
    from gandoctor.judge.diagnosis import Diagnosis
    from gandoctor.judge.rules import Rule


class Reporter(Protocol):
    """What an output module offers."""

    FORMAT: str
    SUFFIXES: tuple[str, ...]

    def write(
        self,
        diagnoses: Sequence[Diagnosis],
        out: TextIO,
        *,
        lang: str = "en",
        rules: Mapping[str, Rule] | None = None,
        **options: Any,
    ) -> None:
        """Write every diagnosis to an open stream."""


def formats() -> dict[str, Reporter]:
    """Every output by the name of its format, in order of the names."""
    found: dict[str, Reporter] = {}
    names = sorted(info.name for info in pkgutil.iter_modules(__path__) if not info.name.startswith("_"))
    for name in names:
        module = importlib.import_module(f"{__name__}.{name}")
        if hasattr(module, "FORMAT"):
            found[module.FORMAT] = cast(Reporter, module)
    return dict(sorted(found.items()))


def reporter(format: str = "", path: Path | None = None) -> Reporter:
    """The output of a format, or of a path's suffix. Raises UserError if there is none."""
    from gandoctor.errors import UserError

    known = formats()
    if format:
        if format not in known:
            raise UserError(f"no format is called '{format}'", hint="formats: " + ", ".join(known))
        return known[format]
    name = path.name.lower() if path is not None else ""
    suffixes = {suffix: one for one in known.values() for suffix in one.SUFFIXES}
    for suffix in sorted(suffixes, key=len, reverse=True):  # ".sarif.json" before ".json"
        if name.endswith(suffix):
            return suffixes[suffix]
    hint = "name the format, or end the file in one of: " + ", ".join(sorted(suffixes))
    raise UserError("the file's name does not tell the format", where=str(path or ""), hint=hint)


def write_report(
    diagnoses: Sequence[Diagnosis],
    path: str | Path | None,
    *,
    format: str = "",
    lang: str = "en",
    rules: Mapping[str, Rule] | None = None,
    **options: Any,
) -> None:
    """Write a report to a file, whose folders are made, or to standard output where `path` is None.

    format: a name of `formats()`; "" goes by the path's suffix. lang: "en" or "zh". options: go to the output
    that has them among its `OPTIONS`, as "plotlyjs" of HTML; others do not need them.
    Raises UserError if the format is unknown or the file cannot be written.
    """
    from gandoctor.errors import UserError

    path = None if path is None else Path(path)
    which = reporter(format, path)
    known = getattr(which, "OPTIONS", ())
    options = {name: value for name, value in options.items() if name in known}
    if path is None:
        if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
            sys.stdout.reconfigure(encoding="utf-8", newline="\n")  # machines read it, on every system
        which.write(diagnoses, sys.stdout, lang=lang, rules=rules, **options)
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_files = getattr(which, "write_files", None)
        if write_files is not None:
            write_files(diagnoses, path, lang=lang, rules=rules, **options)
        else:
            with path.open("w", encoding="utf-8", newline="\n") as out:
                which.write(diagnoses, out, lang=lang, rules=rules, **options)
    except OSError as fault:
        raise UserError(
            f"the report cannot be written: {fault.strerror or fault}", where=str(path)
        ) from fault
