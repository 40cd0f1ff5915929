"""`gandoctor roles`: how each tag was read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from gandoctor.cli._options import reading
from gandoctor.cli._output import OK, USAGE, stdout_console, tell
from gandoctor.cli._runs import check_tags, configuration, find, no_log


@click.command()
@reading
def roles(paths: Sequence[str], **options: Any) -> int:
    """Show how each tag of the runs at PATHS was read."""
    from gandoctor.judge.diagnose import diagnose_run, fitting
    from gandoctor.readers.load import load_run
    from gandoctor.reports.terminal import print_roles

    config = configuration(**options)
    found, faults = find(paths)
    runs = [run for one in found for run in load_run(one)]
    check_tags(options["roles"], (tag for run in runs for tag in run.tags))
    diagnoses = [diagnose_run(run, fitting(config, run)) for run in runs]
    if not diagnoses and not faults:
        faults.append(no_log(paths))
    print_roles(diagnoses, stdout_console(), config.lang)
    for fault in faults:
        tell(str(fault))
    return OK if any(run.files for run in runs) else USAGE
