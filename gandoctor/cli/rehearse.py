"""`gandoctor rehearse`: remedies tried on a small GAN that is ill alike."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import click

from gandoctor.cli._options import reading
from gandoctor.cli._output import OK, UNKNOWN, tell
from gandoctor.cli._runs import configuration
from gandoctor.errors import UserError


@click.command()
@reading
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True, help="Runs of each setting.")
@click.option("--top", type=click.IntRange(1), default=3, show_default=True, help="Remedies to try.")
@click.option("--steps", type=click.IntRange(1), help="Generator steps of every run.")
@click.option(
    "--format", "form", type=click.Choice(["terminal", "json"]), default="terminal", show_default=True
)
def rehearse(paths: Sequence[str], form: str, seeds: int, top: int, steps: int | None, **options: Any) -> int:
    """Try the first remedies for the one run at PATHS on a small GAN that is ill alike (needs torch; minutes).

    Builds the nearest configuration of the reference trainer, checks that it shows the same primary symptom, and
    tries remedies beside a control. Exits 0 if the symptom was reproduced, else 3.
    """
    from gandoctor.api import diagnose as diagnosed
    from gandoctor.judge.rules import load_rules
    from gandoctor.lab.rehearse import as_json, as_text
    from gandoctor.lab.rehearse import rehearse as rehearsed

    if len(paths) > 1:
        raise UserError("one run is rehearsed at a time", hint=f"gandoctor rehearse {shlex.quote(paths[0])}")
    config = configuration(**options)
    known = load_rules(*config.rules)
    done = rehearsed(
        diagnosed(paths[0], config), known, seeds=seeds, top=top, steps=steps,
        tell=lambda remedy: tell(f"training {seeds} runs, " + (f"with {remedy}" if remedy else "without a change")),
    )  # fmt: skip
    click.echo(as_json(done, config.lang) if form == "json" else as_text(done, known, config.lang), nl=False)
    return OK if done.reproduced else UNKNOWN
