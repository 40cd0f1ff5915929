"""The Python interface: load, diagnose, write; compare, sensitivity."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from gandoctor.config import Config
from gandoctor.errors import UserError
from gandoctor.interpret.embedding import check as check_features
from gandoctor.interpret.families import FAMILIES
from gandoctor.interpret.roles import parse_role
from gandoctor.judge.checking import SEVERITIES, Check
from gandoctor.judge.diagnose import diagnose_run
from gandoctor.judge.diagnosis import Diagnosis
from gandoctor.judge.rules import load_rules
from gandoctor.many import diagnose_found
from gandoctor.readers.load import find_runs, load_all
from gandoctor.run import Run
from gandoctor.thresholds import limits, version

if TYPE_CHECKING:
    from gandoctor.fleets.sweep import Progress
    from gandoctor.loop.compare import Comparison
    from gandoctor.loop.sensitivity import Sensitivity

__all__ = ["compare", "diagnose", "diagnose_all", "fleet", "load", "load_all", "sensitivity", "write"]

Runs: TypeAlias = Run | str | Path | Sequence[Run | str | Path]

_NAMED = 8
LANGUAGES = ("en", "zh")


def load(path: str | Path) -> Run:
    """The one run at or below `path`. Raises UserError if there is none, or more than one."""
    runs = load_all(path)
    if not runs:
        raise UserError("no training log was found there", where=str(path))
    if len(runs) > 1:
        names = ", ".join(run.name for run in runs[:_NAMED]) + (", …" if len(runs) > _NAMED else "")
        raise UserError(
            f"{len(runs)} runs are there: {names}", where=str(path), hint="load_all gives them all"
        )
    return runs[0]


def diagnose(run: Run | str | Path, config: Config | None = None) -> Diagnosis:
    """The diagnosis of one run, or of the one run at a path. Raises UserError as `load` does."""
    check_config(config)
    run = run if isinstance(run, Run) else load(run)
    return diagnose_run(run, config and config.for_path(run.path))


def diagnose_all(
    paths: str | Path | Iterable[str | Path],
    config: Config | None = None,
    jobs: int = 1,
    *,
    done: Callable[[int], None] | None = None,
) -> list[Diagnosis]:
    """The diagnoses of every run at or below a path, or several, sorted by path within each.

    A role that `config` gives to a tag counts in the runs that have the tag. With more than one folder of
    logs the series of each `diagnosis.run` are thinned (to at most about 4,000 points, extremes kept);
    `load_all` has them whole. jobs: processes. done: called with the number of folders, after each.
    Raises UserError if a path does not exist or cannot be read, or the configuration does not fit.
    """
    check_config(config)
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    found = [run for path in several for run in find_runs(path)]
    tell = None if done is None else lambda: done(len(found))
    return diagnose_found(found, config, jobs, tell)


def fleet(
    paths: str | Path | Iterable[str | Path],
    output: str | Path,
    config: Config | None = None,
    *,
    jobs: int = 1,
    executor: Executor | None = None,
    time_limit: float = 300.0,
    retry: bool = False,
    tell: Callable[[Progress], None] | None = None,
) -> Progress:
    """Diagnose every run at or below the paths (folders, or URLs of a store) into a Parquet data set in `output`.

    Folders that did not change since the last pass are not read again; a pass that was killed goes on. What goes
    wrong with a run is the error in its row. jobs: local processes. executor: any `concurrent.futures.Executor`
    instead, such as that of Dask's `Client.get_executor()`. time_limit: seconds for the runs of one folder.
    retry: read again what ran out of time or killed its process. tell: called with the progress.
    Raises UserError if a path cannot be listed, the data set not written, or the executor breaks.
    """
    from gandoctor.fleets.sweep import sweep

    check_config(config)
    several = [paths] if isinstance(paths, str | Path) else list(paths)
    return sweep(
        several, Path(output), config, jobs=jobs, executor=executor, limit=time_limit, retry=retry, tell=tell
    )  # fmt: skip


def write(
    diagnoses: Diagnosis | Sequence[Diagnosis], path: str | Path, format: str = "", lang: str = "en"
) -> None:
    """Write a report. format: by the path's suffix unless given."""
    from gandoctor.reports import write_report

    several = [diagnoses] if isinstance(diagnoses, Diagnosis) else list(diagnoses)
    write_report(several, Path(path), format=format, lang=lang)


def compare(baseline: Runs, candidate: Runs, config: Config | None = None) -> Comparison:
    """What a change did: the seeds of a baseline against those of one candidate, on equal terms.

    Each side is a run, a path, or several; every run at or below a path belongs to its side.
    Raises UserError if a side has no run, steps count different things, or the configuration does not fit.
    """
    from gandoctor.loop.compare import compare_runs

    check_config(config)
    return compare_runs(_runs(baseline), _runs(candidate), config)


def sensitivity(runs: Runs, config: Config | None = None) -> Sensitivity:
    """How many seeds of one configuration fall ill, and with what. Raises UserError for fewer than two runs."""
    from gandoctor.loop.sensitivity import sensitivity_of

    check_config(config)
    return sensitivity_of(_runs(runs), config)


def _runs(given: Runs) -> list[Run]:
    from gandoctor.loop.named import runs_at

    several = [given] if isinstance(given, Run | str | Path) else list(given)
    return [run for one in several for run in ([one] if isinstance(one, Run) else runs_at([one]))]


def check_config(config: Config | None) -> None:
    """Raises UserError if a configuration names what does not exist, or pins other thresholds."""
    if config is None:
        return
    if config.thresholds_version and config.thresholds_version != version():
        raise UserError(
            f"the configuration pins the thresholds of {config.thresholds_version}, these are of {version()}",
            where="thresholds-version",
            hint="verdicts may differ: read CHANGELOG.md, then set "
            f'thresholds-version = "{version()}", or install the gandoctor that has the pinned ones',
        )
    if config.features:
        check_features(config.features)
    if config.lang not in LANGUAGES:
        raise UserError(
            f"no language '{config.lang}'", where="--lang", hint="one of: " + ", ".join(LANGUAGES)
        )
    for own in config.variants():
        if own.family and own.family not in FAMILIES:
            raise UserError(
                f"no loss family is called '{own.family}'",
                where="--loss-family",
                hint="the families are: " + ", ".join(FAMILIES),
            )
        for role in own.roles.values():
            parse_role(role)
        limits("run", own.thresholds)
        check_codes(own.select, "--select", own)
        check_codes(own.ignore, "--ignore", own)
        Check.of(own)
        check_codes([word for word in own.fail_on if word not in SEVERITIES], "--fail-on", own)


def check_codes(starts: Sequence[str], where: str, config: Config) -> None:
    """Raises UserError if one of `starts` ("GD2", "GD201") is the beginning of no code."""
    known = load_rules(*config.rules)
    for start in starts:
        if not start or not any(code.startswith(start) for code in known):
            hint = "a code is GD201, or GD2 for all that begin so; `gandoctor rules` lists them"
            raise UserError(f"no code begins with '{start}'", where=where, hint=hint)
