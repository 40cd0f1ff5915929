"""`gandoctor diagnose`: what went wrong, as a summary and a report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gandoctor.cli._options import FEATURES, FORMAT, JOBS, reading
from gandoctor.cli._output import (
    OK,
    USAGE,
    empty_object_on_error,
    given_options,
    stdout_console,
    tell,
    wanted_outputs,
    write_outputs,
)
from gandoctor.cli._runs import configuration, diagnoses_of, no_log

if TYPE_CHECKING:
    from gandoctor.config import Config
    from gandoctor.judge.diagnosis import Diagnosis


@click.command()
@reading
@FEATURES
@FORMAT
@click.option("-o", "--output", type=click.Path(), help="Where the report goes [gandoctor-report.html].")
@click.option("--no-report", is_flag=True, help="Print the summary only.")
@click.option(
    "--plotlyjs",
    type=click.Choice(["inline", "cdn", "none"]),
    default="inline",
    show_default=True,
    help="Where the report's plots come from: the page itself, a server, or no plots.",
)
@click.option(
    "--single-file", is_flag=True, help="Up to 20 runs in one HTML file, without a folder beside it."
)
@JOBS
def diagnose(
    paths: Sequence[str], formats: Sequence[str], output: str | None, no_report: bool, plotlyjs: str,
    single_file: bool, jobs: int, **options: Any,
) -> int:  # fmt: skip
    """Say what went wrong in the runs at PATHS; write a report.

    PATHS: folders or files, as runs/exp1, lightning_logs or train.log; every run at or below them counts.
    Prints a summary and writes an HTML report.

    --format replaces both. Exits 0 if at least one file was read, else 2.
    """
    wanted = wanted_outputs(formats, output)
    html = {"plotlyjs": plotlyjs, "single_file": single_file, "command": given_options(options)}
    with empty_object_on_error(wanted):
        config = configuration(**options)
        diagnoses, faults = diagnoses_of(paths, config, jobs, options["roles"])
        read = any(diagnosis.run.files for diagnosis in diagnoses)
        if not read and not faults:
            faults.append(no_log(paths))
        if wanted:
            write_outputs(diagnoses, wanted, config, html)
        elif diagnoses:
            report = None if no_report else _report(diagnoses, output, config, html)
            _summary(diagnoses, config, report)
    for fault in faults:
        tell(str(fault))
    return OK if read else USAGE


def _report(diagnoses: Sequence[Diagnosis], output: str | None, config: Config, html: dict[str, Any]) -> Path:
    """Write the report, as HTML unless the file's name says otherwise; a folder gets an index.html."""
    from gandoctor.judge.rules import load_rules
    from gandoctor.reports import formats, write_report

    several = len(diagnoses) > 1 and not html["single_file"]
    path = Path(output or ("gandoctor-report/index.html" if several else "gandoctor-report.html"))
    if path.is_dir() or str(output or "").endswith("/"):
        path = path / "index.html"
    suffixes = tuple(suffix for one in formats().values() for suffix in one.SUFFIXES)
    format = "" if path.name.lower().endswith(suffixes) else "html"
    write_report(diagnoses, path, format=format, lang=config.lang, rules=load_rules(*config.rules), **html)
    return path


def _summary(diagnoses: Sequence[Diagnosis], config: Config, report: Path | None) -> None:
    from gandoctor.judge.rules import load_rules
    from gandoctor.reports.terminal import print_summary

    print_summary(
        diagnoses, stdout_console(), config.lang, report_path=report, rules=load_rules(*config.rules)
    )
