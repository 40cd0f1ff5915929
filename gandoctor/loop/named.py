"""Runs as a command line names them: folders that hold one or several, patterns, and two sides of a comparison."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from gandoctor.errors import UserError
from gandoctor.readers.load import load_all
from gandoctor.run import Run

VERSUS = "vs"  # the word between two sides


def runs_at(paths: Sequence[str | Path]) -> list[Run]:
    """Every run at or below the paths, each once, in their order; a name with * ? or [ may be a pattern.

    Raises UserError if a path does not exist, a pattern fits nothing, or no log is there.
    """
    found: dict[tuple[Path, str], Run] = {}
    for path in paths:
        for one in _expanded(path):
            for run in load_all(one):
                found.setdefault((run.path.resolve(), run.name), run)
    if not found:
        raise UserError("no training log was found", where=", ".join(map(str, paths)))
    return list(found.values())


def _expanded(path: str | Path) -> list[str | Path]:
    text = str(path)
    if Path(text).exists() or not glob.has_magic(text):
        return [path]
    fits: list[str | Path] = list(sorted(glob.glob(text, recursive=True)))
    if not fits:
        raise UserError("the pattern fits no file or folder", where=text)
    return fits


def sides(words: Sequence[str], more_baseline: Sequence[str] = ()) -> tuple[list[str], list[str]]:
    """The paths of the baseline and of the candidates.

    They are parted by the word "vs"; without it the first is the baseline. Raises UserError if a side is empty.
    """
    if words.count(VERSUS) > 1:
        raise UserError("'vs' stands there twice", hint="gandoctor compare BASELINE… vs CANDIDATE…")
    if VERSUS in words and not Path(VERSUS).exists():
        at = words.index(VERSUS)
        first, second = list(words[:at]), list(words[at + 1 :])
    elif more_baseline:
        first, second = [], list(words)
    else:
        first, second = list(words[:1]), list(words[1:])
    first += more_baseline
    if not first or not second:
        missing = "baseline" if not first else "candidate"
        hint = "gandoctor compare BASELINE CANDIDATE…, or BASELINE… vs CANDIDATE…"
        raise UserError(f"there is no {missing}", hint=hint)
    return first, second


def noted(path: Path, name: str) -> Run:
    """The run that a journal remembers, read anew. Raises UserError if it is not there any more."""
    try:
        runs = load_all(path)
    except UserError as fault:
        hint = "name the runs to compare with: --baseline RUN"
        raise UserError(
            f"the run that the journal remembers is gone: {fault.message}", where=str(path), hint=hint
        ) from fault
    for run in runs:
        if run.name == name:
            return run
    if len(runs) == 1:
        return runs[0]
    raise UserError(
        f"no run is called '{name}' there any more", where=str(path), hint="--baseline RUN names another"
    )
