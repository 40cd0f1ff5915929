"""`gandoctor lab`: studies of how often the diagnosis is right."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from gandoctor.cli._options import JOBS
from gandoctor.cli._output import OK, tell


@click.group()
def lab() -> None:
    """Measure on small GANs how often the diagnosis is right (needs torch)."""


@lab.command()
@click.argument("study", type=click.Path(file_okay=False))
@click.option("--runs", type=click.IntRange(1), default=3_200, show_default=True, help="How many to train.")
@click.option("--seed", type=click.IntRange(0), default=5_000, show_default=True, help="Of the first run.")
@click.option(
    "--side", type=click.IntRange(1), default=8, show_default=True, help="Seeds of a configuration."
)
@click.option("--steps", type=click.IntRange(1), help="Generator steps of every run, to try it out.")
@JOBS
@click.option(
    "--scheduler", default="", metavar="ADDRESS", help="A Dask scheduler, in place of local processes."
)
@click.option("--keep", is_flag=True, help="Keep the runs, in STUDY/runs: 3 to 12 MB each.")
@click.option("--resume", is_flag=True, help="Go on with the study that is there.")
@click.option("--again", is_flag=True, help="Diagnose the runs that were kept anew, without training.")
def detect(study: str, **options: Any) -> int:
    """Train runs of measured truth, diagnose each in every logging style; STUDY gets the table of all.

    A study that was stopped, or killed, goes on with --resume; nothing is trained twice.
    """
    from gandoctor.lab.command import detect as run

    table = run(Path(study), **options)
    tell(f"the table: {table}\nnow: gandoctor lab report {shlex.quote(study)}")
    return OK


@lab.command()
@click.argument("table", type=click.Path(exists=True))
@click.option("--write", type=click.Path(file_okay=False), help="A folder for the table and the figures.")
@click.option(
    "--part",
    type=click.Choice(["test", "fit"]),
    default="test",
    show_default=True,
    help="Of the study's runs.",
)
def report(table: str, write: str | None, part: str) -> int:
    """Make every figure of a detection study anew from its TABLE, or from the study's folder.

    Each look at the runs of test leaves a line in evaluations.csv, beside the table or where --write says.
    """
    from gandoctor.lab.command import report as figures

    click.echo(figures(Path(table), Path(write) if write else None, part), nl=False)
    return OK


@lab.command()
@click.argument("study", type=click.Path(file_okay=False))
@click.option("--seed", type=click.IntRange(0), default=100_000, show_default=True, help="Of the first run.")
@click.option(
    "--controls", type=click.IntRange(1), default=10, show_default=True, help="Seeds that say what is ill."
)
@click.option(
    "--screen", type=click.IntRange(1), default=3, show_default=True, help="Seeds of each remedy at first."
)
@click.option(
    "--final",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="New seeds of the best three, and control.",
)
@click.option("--steps", type=click.IntRange(1), help="Generator steps of every run, to try it out.")
@click.option(
    "--only", multiple=True, metavar="NAME", help="This configuration of the design; may be repeated."
)
@click.option("--most", type=click.IntRange(1), help="Remedies screened on a configuration, to try it out.")
@JOBS
@click.option(
    "--scheduler", default="", metavar="ADDRESS", help="A Dask scheduler, in place of local processes."
)
@click.option("--resume", is_flag=True, help="Go on with the study that is there.")
def cure(study: str, jobs: int, scheduler: str, resume: bool, **options: Any) -> int:
    """Try remedies on ill runs, against a control; STUDY gets the table.

    A study that was stopped, or killed, goes on with --resume; nothing is trained twice.
    """
    from gandoctor.lab.command import cure as run

    table = run(Path(study), jobs=jobs, scheduler=scheduler, resume=resume, **options)
    tell(f"the table: {table}\nnow: gandoctor lab cures {shlex.quote(study)}")
    return OK


@lab.command()
@click.argument("table", type=click.Path(exists=True))
@click.option(
    "--write", is_flag=True, help="Write rules/efficacy.csv, docs/cures.md and docs/lab/cure.csv.xz."
)
@click.option("--root", type=click.Path(file_okay=False), help="Where rules/ and docs/ lie [this checkout].")
def cures(table: str, write: bool, root: str | None) -> int:
    """Make every figure of a cure study anew from its TABLE, or from the study's folder."""
    from gandoctor.lab.command import cures as figures

    click.echo(figures(Path(table), write=write, root=Path(root) if root else None), nl=False)
    return OK


@lab.command()
@click.argument("table", type=click.Path(exists=True))
@click.option(
    "-o", "folder", type=click.Path(file_okay=False),
    help="The folder of calibration.toml and thresholds.toml [rules/].",
)  # fmt: skip
def calibrate(table: str, folder: str | None) -> int:
    """Fit the confidences, and the promise, on the parts *fit* and *calibrate* of a study's TABLE."""
    from gandoctor.lab.command import calibrate as fit

    for path in fit(Path(table), Path(folder) if folder else None):
        tell(f"written: {path}")
    return OK
