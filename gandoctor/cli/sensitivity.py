"""`gandoctor sensitivity`: an illness of the configuration, or the luck of a seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from gandoctor.cli._loop import loop_config, loop_outputs, write_loop_report
from gandoctor.cli._options import reading
from gandoctor.cli._output import OK
from gandoctor.cli._runs import check_tags


@click.command()
@reading
@click.option("--format", "formats", multiple=True, metavar="FORMAT[:FILE]",
              help="terminal or json; to FILE, or to standard output. Repeatable.")  # fmt: skip
def sensitivity(paths: Sequence[str], formats: Sequence[str], **options: Any) -> int:
    """Tell an illness of the configuration from the luck of a seed.

    PATHS: several seeds of one configuration, or folders of them.
    """
    from gandoctor.loop.named import runs_at
    from gandoctor.loop.sensitivity import sensitivity_of
    from gandoctor.reports.loop.rows import sensitivity_report
    from gandoctor.reports.loop.terminal import print_sensitivity

    wanted = loop_outputs(formats, ("terminal", "json")) or [("terminal", None)]
    config, rules = loop_config(options)
    runs = runs_at(paths)
    check_tags(options["roles"], (tag for run in runs for tag in run.tags))
    report = sensitivity_report(sensitivity_of(runs, config), config.lang, rules)
    for name, file in wanted:
        write_loop_report(name, file, report, print_sensitivity)
    return OK
