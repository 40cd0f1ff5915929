"""`gandoctor probe`: snapshots sampled through the user's generator."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from gandoctor.cli._output import OK, stdout_console, tell
from gandoctor.errors import UserError


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@click.option("--generator", required=True, metavar="MODULE:FUNCTION", help="Your function that builds G.")
@click.option("--latent", metavar="N[,M…]", help="Shape of one z [by G's first layer].")
@click.option(
    "--labels", type=click.IntRange(0), default=0, metavar="K", help="G takes (z, class), of K classes."
)
@click.option(
    "--features",
    default="",
    metavar="MODULE:FUNCTION",
    help="Samples to rows in which distances count [pixels].",
)
@click.option("--samples", type=click.IntRange(8), default=64, show_default=True, help="Fixed z.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--linear", is_flag=True, help="Straight paths between z (uniform ones) instead of arcs.")
@click.option(
    "--weights", type=click.Choice(["auto", "ema", "live"]), default="auto", show_default=True,
    help="The moving average or the live weights; auto: the average where there is one.",
)  # fmt: skip
@click.option("--span", metavar="LOW,HIGH", help="Values drawn black and white [by the samples].")
@click.option(
    "--most", type=click.IntRange(0), default=0, metavar="N", help="Only N snapshots, evenly spread."
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("-o", "--output", type=click.Path(file_okay=False), help="Where results go [in the run].")
@click.option(
    "--format", "form", type=click.Choice(["terminal", "json"]), default="terminal", show_default=True
)
def probe(paths: Sequence[str], latent: str | None, span: str | None, form: str, output: str | None,
          **options: Any) -> int:  # fmt: skip
    """Sample snapshots at PATHS through your generator (needs torch).

    PATHS: a run's folder, or checkpoint files. Runs your code, never a checkpoint's. Results go into the run,
    for `gandoctor diagnose`. Exits 0 if at least one snapshot was probed, else 2.
    """
    from gandoctor.probe import Options
    from gandoctor.probe import probe as probed_at

    shape = _numbers(latent, "--latent", int) if latent else ()
    ends = _numbers(span, "--span", float) if span else None
    if any(size < 1 for size in shape):
        raise UserError(f"'{latent}' is no shape", where="--latent", hint="for example 100, or 100,1,1")
    if ends is not None and not (len(ends) == 2 and ends[0] < ends[1]):
        raise UserError(f"'{span}' is no range", where="--span", hint="-1,1 for tanh, 0,1 for sigmoid")
    place = None if output is None else Path(output)
    wanted = Options(latent=shape, span=ends, output=place, **options)
    if sys.stderr.isatty():
        from gandoctor.probe.table import progress

        with progress() as done:
            made = probed_at(paths, wanted, done)
    else:
        made = probed_at(paths, wanted)
    for problem in made.problems:
        tell(problem)
    if form == "json":
        import json

        click.echo(json.dumps(made.as_json(), indent=1))
    else:
        from gandoctor.probe.table import show

        show(made, stdout_console())
    return OK


def _numbers(text: str, where: str, kind: type[Any]) -> tuple[Any, ...]:
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        raise UserError(f"'{text}' is not numbers with commas between", where=where) from None
