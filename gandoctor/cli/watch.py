"""`gandoctor watch`: looks at running jobs until one is surely ill."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from gandoctor.cli._options import checks, reading
from gandoctor.cli._output import FAILED, check_code, stdout_console, tell
from gandoctor.cli._runs import configuration, configured_check

if TYPE_CHECKING:
    from gandoctor.judge.rules import Rule
    from gandoctor.watch import Look


@click.command()
@reading
@checks
@click.option(
    "--interval",
    type=click.FloatRange(0.05),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Between two looks, at least.",
)
@click.option("--once", is_flag=True, help="Look once and exit as `check` does.")
@click.option(
    "--until-quiet",
    "quiet",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="When no file has changed for so long, exit as `check` does.",
)
def watch(
    paths: Sequence[str], fail_on: Sequence[str], min_confidence: float | None, allow_unknown: bool,
    require: Sequence[str], baseline: str | None, interval: float, once: bool, quiet: float | None,
    **options: Any,
) -> int:  # fmt: skip
    """Follow running jobs; end with 1 as soon as one is surely ill.

    Looks at the runs at or below PATHS, which need not be there yet, again and again, and reads only what is
    new. Exits 1 when a finding that --fail-on names stands: when the log shows it now, and showed it
    when the run was a tenth and a fifth shorter. Without --once and --until-quiet it goes on until then,
    or Ctrl-C.
    """
    from gandoctor.api import check_config
    from gandoctor.judge import checking
    from gandoctor.judge.rules import load_rules
    from gandoctor.reports import _alarm, _dashboard
    from gandoctor.watch import LEAST_REST, Watch

    config = configured_check(configuration(**options), fail_on, min_confidence, require, baseline)
    check_config(config)
    lang, rules = config.lang, load_rules(*config.rules)
    watching = Watch(paths, config, checking.accepted(config))
    changed_at = time.monotonic()
    with _shown(lang, rules) as show:
        for looks in itertools.count(1):
            look = watching.look()
            now = time.monotonic()
            changed_at = now if look.changed else changed_at
            show(look, _dashboard.heading(paths, looks, look.taken, now - changed_at, lang))
            ended = quiet is not None and now - changed_at >= quiet
            if once or ended or look.standing is not None:
                break
            wait = max(interval, LEAST_REST * look.seconds)
            time.sleep(wait if quiet is None else min(wait, changed_at + quiet - now))
    if look.standing is not None and not once:
        seen, judged = look.standing
        click.echo(_alarm.ended(seen.diagnosis, judged, config))
        return FAILED
    if ended and quiet is not None:
        tell(_dashboard.went_quiet(quiet, lang))
    for fault in look.faults:
        tell(str(fault))
    return check_code(look.fails, bool(look.faults), look.unknown and not allow_unknown)


@contextmanager
def _shown(lang: str, rules: Mapping[str, Rule]) -> Iterator[Callable[[Look, str], None]]:
    """What shows a look: a panel on a terminal that is drawn anew, else a line where something has changed."""
    from gandoctor.reports import _dashboard

    console = stdout_console()
    if console.is_terminal:
        from rich.live import Live

        with Live(console=console, auto_refresh=False) as live:
            yield lambda look, head: live.update(_dashboard.panel(look, head, lang, rules), refresh=True)
        return
    said: dict[str, str] = {}

    def show(look: Look, _: str) -> None:
        for key, line in _dashboard.lines(look, lang, rules):
            if said.get(key) != line:
                said[key] = line
                click.echo(line)

    yield show
