"""`gandoctor compare`: did the change help."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from gandoctor.cli._loop import loop_config, loop_outputs, write_loop_report
from gandoctor.cli._options import reading
from gandoctor.cli._output import FAILED, OK, UNKNOWN, stdout_console
from gandoctor.cli._runs import check_tags


@click.command()
@reading
@click.option("-b", "--baseline", "more", multiple=True, type=click.Path(), metavar="PATH",
              help="A run of the baseline; then all PATHS are candidates. Repeatable.")  # fmt: skip
@click.option("--format", "formats", multiple=True, metavar="FORMAT[:FILE]",
              help="terminal, json or html; to FILE, or to standard output. Repeatable.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(), help="Where the page goes [gandoctor-compare.html].")
@click.option("--no-report", is_flag=True, help="Print the comparison only.")
@click.option("--exit-code", is_flag=True, help="Exit 1 to revert, 3 for not enough to tell.")
def compare(
    paths: Sequence[str], more: Sequence[str], formats: Sequence[str], output: str | None, no_report: bool,
    exit_code: bool, **options: Any,
) -> int:  # fmt: skip
    """Did the change help? Compare BASELINE with CANDIDATE….

    PATHS: the baseline first, then the candidates; or BASELINE… vs CANDIDATE…. A folder or a pattern stands
    for every run in it. Runs that differ in the seed only are pooled.
    """
    from gandoctor.loop.compare import Decision, compare_all
    from gandoctor.loop.named import runs_at, sides
    from gandoctor.reports.loop.html import write_pages
    from gandoctor.reports.loop.rows import compare_report
    from gandoctor.reports.loop.terminal import print_comparisons

    wanted = loop_outputs(formats, ("terminal", "json", "html"))
    config, rules = loop_config(options)
    first, second = sides(paths, more)
    baseline, candidates = runs_at(first), runs_at(second)
    check_tags(options["roles"], (tag for run in (*baseline, *candidates) for tag in run.tags))
    found = compare_all(baseline, candidates, config)
    report = compare_report(found, config.lang, rules)
    for name, file in wanted:
        if name == "html":
            write_pages(found, file or Path("gandoctor-compare.html"), config.lang, rules)
        else:
            write_loop_report(name, file, report, print_comparisons)
    if not wanted:
        page = Path(output or "gandoctor-compare.html")
        written = [] if no_report else write_pages(found, page, config.lang, rules)
        print_comparisons(report, stdout_console(), written[0] if written else None)
    said = {one.decision for one in found}
    if not exit_code:
        return OK
    return FAILED if Decision.REVERT in said else UNKNOWN if Decision.NOT_ENOUGH in said else OK
