"""`gandoctor check`: a line a run and an exit code, for CI."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gandoctor.cli._options import FEATURES, FORMAT, JOBS, checks, reading
from gandoctor.cli._output import (
    OK,
    check_code,
    discard_output,
    empty_object_on_error,
    given_options,
    tell,
    wanted_outputs,
    write_outputs,
)
from gandoctor.cli._runs import configuration, configured_check, diagnoses_of, no_log

if TYPE_CHECKING:
    from gandoctor.config import Config
    from gandoctor.findings import Severity
    from gandoctor.judge.diagnosis import Diagnosis


@click.command()
@reading
@FEATURES
@checks
@click.option(
    "--write-baseline",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Accept today's warnings and errors: write them to FILE and exit 0.",
)
@click.option("--exit-zero", is_flag=True, help="Exit 0 whatever the runs are like.")
@FORMAT
@JOBS
def check(
    paths: Sequence[str], fail_on: Sequence[str], min_confidence: float | None, allow_unknown: bool,
    require: Sequence[str], baseline: str | None, write_baseline: str | None, exit_zero: bool,
    formats: Sequence[str], jobs: int, **options: Any,
) -> int:  # fmt: skip
    """For CI: a line a run, and an exit code.

    Exits 1 if a run at or below PATHS fails, else 2 for bad usage or an unreadable path, else 3 if a run
    cannot be judged, else 0.
    """
    from gandoctor.api import check_config
    from gandoctor.judge import checking

    wanted = wanted_outputs(formats, None)
    with empty_object_on_error(wanted):
        config = configured_check(configuration(**options), fail_on, min_confidence, require, baseline)
        check_config(config)
        accepted = {} if write_baseline else checking.accepted(config)
        diagnoses, faults = diagnoses_of(paths, config, jobs, options["roles"])
        judged = [_judged(diagnosis, config, accepted) for diagnosis in diagnoses]
        failed = [why or ", ".join(lacking) for why, lacking in judged]
        machine = any(file is None for _, file in wanted)
        try:
            for diagnosis, why, (_, lacking) in zip(diagnoses, failed, judged, strict=True):
                click.echo(_check_line(diagnosis, why, lacking, options), err=machine)
            write_outputs(diagnoses, wanted, config, {"command": given_options(options)})
        except BrokenPipeError:  # what is left of the check is its exit code
            discard_output()
    for fault in faults:
        tell(str(fault))
    if not diagnoses and not faults:
        tell(str(no_log(paths)))
    if write_baseline:
        count = checking.write_baseline(diagnoses, Path(write_baseline))
        tell(f"{count} findings accepted in {write_baseline}")
    if exit_zero or write_baseline:
        return OK
    unknown = not diagnoses or any(diagnosis.verdict == "unknown" for diagnosis in diagnoses)
    return check_code(any(failed), bool(faults), unknown and not allow_unknown)


def _judged(
    diagnosis: Diagnosis, config: Config, accepted: Mapping[str, Severity]
) -> tuple[str, tuple[str, ...]]:
    """The id of the finding that fails a run ("" if none does), and the roles that it should log."""
    from gandoctor.judge import checking

    own = config.for_path(diagnosis.run.path)
    rules = checking.Check.of(own, accepted)
    return checking.fails(diagnosis, rules, own), checking.missing(diagnosis, rules)


def _check_line(diagnosis: Diagnosis, why: str, missing: Sequence[str], options: dict[str, Any]) -> str:
    """One line a run, ending in the command that reproduces it."""
    from gandoctor.readers._remote import address
    from gandoctor.reports.texts import clean

    primary = diagnosis.primary
    told = f" {primary.finding.code} since {primary.finding.stretch.onset}" if primary else ""
    told += f", not logged: {', '.join(missing)}" if missing else ""
    word = "FAIL" if why else diagnosis.verdict.upper() if diagnosis.verdict == "unknown" else "ok"
    command = ["gandoctor", "diagnose", address(diagnosis.run.path), *given_options(options)]
    line = f"{word:7} {diagnosis.run.name}: {diagnosis.verdict}{told}  # {shlex.join(command)}"
    return clean(line)
