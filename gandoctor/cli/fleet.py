"""`gandoctor fleet`: thousands of runs into tables and one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from gandoctor.cli._options import JOBS, reading
from gandoctor.cli._output import OK, USAGE, tell
from gandoctor.cli._runs import KNOWN_LOGS, configuration


@click.command()
@reading
@JOBS
@click.option(
    "--scheduler",
    default="",
    metavar="ADDRESS",
    help="A Dask scheduler, tcp://HOST:PORT or tls://HOST:PORT, in place of local processes.",
)
@click.option(
    "-o", "--output", required=True, type=click.Path(file_okay=False), help="The folder of the results."
)
@click.option(
    "--time-limit",
    type=click.FloatRange(0, min_open=True),
    default=300.0,
    show_default=True,
    help="Seconds for the runs of one folder.",
)
@click.option("--retry", is_flag=True, help="Read again what ran out of time or killed its process.")
@click.option(
    "--reports",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Write the single reports of the N worst runs, too.",
)
def fleet(
    paths: Sequence[str], jobs: int, scheduler: str, output: str, time_limit: float, retry: bool, reports: int,
    **options: Any,
) -> int:  # fmt: skip
    """Diagnose thousands of runs at PATHS into tables and one page.

    PATHS: folders, or URLs such as s3://bucket/runs. The folder of -o gets index.html and the Parquet tables `runs`
    and `findings`. Runs that did not change are not read again; a pass that was killed goes on. Exits 0 if the tables
    hold a run, else 2.
    """
    from gandoctor.fleets.command import run

    config = configuration(**options)
    rows, page = run(
        paths, Path(output), config, jobs=jobs, scheduler=scheduler, limit=time_limit, retry=retry, reports=reports
    )  # fmt: skip
    if not rows:
        tell(f"no training log was found in {', '.join(paths)}\nhint: {KNOWN_LOGS}")
        return USAGE
    tell(f"{rows:,} runs in {output}; the page: {page}")
    return OK
