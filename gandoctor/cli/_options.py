"""The options that several commands take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

LANG = click.option(
    "--lang", type=click.Choice(["en", "zh", "auto"]), help="Language of texts; auto: your locale's [en]."
)
RULES = click.option(
    "--rules", "rule_folders", multiple=True, type=click.Path(file_okay=False, exists=True),
    help="A folder of your own rules.",
)  # fmt: skip
FEATURES = click.option(
    "--features", metavar="MODULE:CALLABLE",
    help="Your own embedding of samples, uint8 (n, h, w, c) to (n, d), which is imported and run.",
)  # fmt: skip
JOBS = click.option("-j", "--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
FORMAT = click.option(
    "--format", "formats", multiple=True, metavar="FORMAT[:FILE]",
    help="json, terminal, html, …; to FILE, or to standard output. Repeatable.",
)  # fmt: skip


def reading(command: F) -> F:
    """The options of every command that reads runs."""
    for option in reversed(
        (
            click.argument("paths", nargs=-1, required=True, type=click.Path()),
            click.option("--map", "roles", multiple=True, metavar="TAG=ROLE",
                         help="What a tag means, e.g. loss1=D.loss; * in TAG stands for anything."),
            click.option("--loss-family", "family", metavar="FAMILY", help="The loss family, if it is read wrongly."),
            click.option("--select", multiple=True, metavar="CODE",
                         help="Count only these codes (GD2 means all GD2xx)."),
            click.option("--ignore", multiple=True, metavar="CODE", help="Do not count these codes."),
            click.option("--config", type=click.Path(dir_okay=False), help="A gandoctor.toml to use."),
            RULES,
            LANG,
        )
    ):  # fmt: skip
        command = option(command)
    return command


def checks(command: F) -> F:
    """The options that say what makes a run fail."""
    for option in reversed(
        (
            click.option("--fail-on", multiple=True, metavar="error|warning|CODE",
                         help="What makes a run fail [error]. Repeatable."),
            click.option("--min-confidence", type=click.FloatRange(0, 1),
                         help="Findings less sure than this do not count [0]."),
            click.option("--allow-unknown", is_flag=True,
                         help="A run that cannot be judged is no failure (exit 0 instead of 3)."),
            click.option("--require", multiple=True, metavar="ROLE",
                         help="A role that each run must log, as `gandoctor roles` shows it (D.loss, G.grad_norm)."
                         " Repeatable."),
            click.option("--baseline", type=click.Path(dir_okay=False), metavar="FILE",
                         help="Findings accepted by --write-baseline: only new or worse ones count."),
        )
    ):  # fmt: skip
        command = option(command)
    return command
