"""From options to a configuration, runs and diagnoses."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gandoctor.errors import UserError

if TYPE_CHECKING:
    from gandoctor.config import Config
    from gandoctor.judge.diagnosis import Diagnosis

KNOWN_LOGS = (
    "TensorBoard events, CSV, JSON(L), text logs, W&B offline runs, MLflow, Trackio, dvclive, notebooks, npy files"
    " and pickles of losses are read; a CSV with the columns step, loss_D and loss_G will do"
)
_BAR_FROM = 5  # folders; fewer are done before a bar is drawn


def configuration(
    roles: Sequence[str], family: str | None, select: Sequence[str], ignore: Sequence[str],
    config: str | None, rule_folders: Sequence[str], lang: str | None, features: str | None = None,
) -> Config:  # fmt: skip
    """The configuration found near the working directory, with the command line on top."""
    from gandoctor.api import check_config
    from gandoctor.config import find_config, language, read_config

    found = read_config(Path(config)) if config else find_config(Path.cwd())
    lang = language(lang or found.lang)
    made = found.changed(
        roles={**found.roles, **_roles(roles)}, family=family, lang=lang, features=features,
        select=tuple(code.upper() for code in select), ignore=tuple(code.upper() for code in ignore),
        rules=(*found.rules, *map(Path, rule_folders)),
    )  # fmt: skip
    check_config(made)
    return made


def configured_check(
    config: Config, fail_on: Sequence[str], min_confidence: float | None, require: Sequence[str],
    baseline: str | None,
) -> Config:  # fmt: skip
    """The configuration with what the options of a check say on top."""
    return config.changed(
        fail_on=tuple(fail_on), min_confidence=min_confidence, require=tuple(require),
        baseline=Path(baseline) if baseline else None,
    )  # fmt: skip


def _roles(given: Iterable[str]) -> dict[str, str]:
    """The roles given as TAG=ROLE; a tag may hold "="."""
    found = {}
    for item in given:
        tag, equals, role = item.rpartition("=")
        if not equals or not tag:
            raise UserError(f"'{item}' is not TAG=ROLE", where="--map", hint="for example --map loss1=D.loss")
        found[tag] = role
    return found


def no_log(paths: Iterable[str]) -> UserError:
    """What is wrong if nothing at the paths is a log."""
    return UserError("no training log was found", where=", ".join(paths), hint=KNOWN_LOGS)


def find(paths: Iterable[str]) -> tuple[list[Any], list[UserError]]:
    """The runs at or below every path that can be read, and what is wrong with the others."""
    from gandoctor.readers.load import find_runs

    found: list[Any] = []
    faults: list[UserError] = []
    for path in paths:
        try:
            found += find_runs(path)
        except UserError as fault:
            faults.append(fault)
    return found, faults


def diagnoses_of(
    paths: Iterable[str], config: Config, jobs: int, given: Iterable[str]
) -> tuple[list[Diagnosis], list[UserError]]:
    """The diagnoses of the runs, and what is wrong with the paths that cannot be read."""
    from gandoctor.many import diagnose_found

    found, faults = find(paths)
    with _bar(len(found)) as done:
        diagnoses = diagnose_found(found, config, jobs, done)
    if diagnoses:
        check_tags(given, (tag for diagnosis in diagnoses for tag in diagnosis.run.tags))
    return diagnoses, faults


def check_tags(given: Iterable[str], tags: Iterable[str]) -> None:
    """Raises UserError if --map names a tag that no run has."""
    from difflib import get_close_matches

    from gandoctor.interpret.roles import names_one

    known = list(dict.fromkeys(tags))
    for tag in _roles(given):
        if not names_one(tag, known):
            near = get_close_matches(tag, known, n=6, cutoff=0.5) or known[:12]
            raise UserError(
                f"no tag is called '{tag}'", where="--map", hint="the tags are: " + ", ".join(near)
            )


@contextmanager
def _bar(folders: int) -> Iterator[Callable[[], None] | None]:
    """A progress bar on stderr if that is a terminal and there is enough to wait for."""
    if folders < _BAR_FROM or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("runs", total=folders)
        yield lambda: progress.advance(task)
