"""`gandoctor train`: a small GAN, healthy or ill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gandoctor.cli._output import OK
from gandoctor.errors import UserError


@click.command()
@click.argument("folder", type=click.Path(file_okay=False), required=False)
@click.option("--family", help="Loss family [ns, or the first that the fault goes with].")
@click.option("--data", help="Data set [ring8, or the first that the fault goes with].")
@click.option("--fault", help="A fault to make on purpose.")
@click.option("--list-faults", is_flag=True, help="List the data sets, families and faults, and exit.")
@click.option("--steps", type=click.IntRange(1), help="Generator steps.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--format",
    "log_format",
    type=click.Choice(["tensorboard", "csv", "jsonl"]),
    default="tensorboard",
    show_default=True,
    help="Of the log.",
)
@click.option(
    "--log",
    "level",
    type=click.Choice(["losses", "outputs", "norms", "samples", "all"]),
    default="all",
    show_default=True,
    help="What is logged; each holds all that stand before it.",
)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
def train(folder: str | None, list_faults: bool, **options: Any) -> int:
    """Train a small GAN, healthy or ill, into FOLDER (needs torch)."""
    from gandoctor.trainer.command import fault_table, run

    if list_faults:
        click.echo(fault_table())
        return OK
    if folder is None:
        raise UserError("FOLDER is missing: where the run is to go", hint="gandoctor train runs/ring")
    run(Path(folder), **options)
    return OK
