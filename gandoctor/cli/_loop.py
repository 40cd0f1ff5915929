"""What the commands of the loop, one change at a time, have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gandoctor.cli._output import Outputs, stdout_console
from gandoctor.cli._runs import configuration
from gandoctor.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from gandoctor.config import Config


def loop_config(options: dict[str, Any]) -> tuple[Config, Any]:
    """The configuration, and the rules that go with it."""
    from gandoctor.judge.rules import load_rules

    config = configuration(**options)
    return config, load_rules(*config.rules)


def loop_outputs(formats: Sequence[str], known: Sequence[str]) -> Outputs:
    """The outputs that --format asks for. Raises UserError."""
    made: Outputs = []
    for one in formats:
        name, _, file = one.partition(":")
        if name not in known:
            raise UserError(f"no format is called '{name}' here", hint="formats: " + ", ".join(known))
        made.append((name, Path(file) if file else None))
    return made


def write_loop_report(
    name: str, file: Path | None, report: Any, write: Callable[[Any, Console], None]
) -> None:
    """A report as JSON, or as on a terminal, to a file or to standard output."""
    import io

    import msgspec
    from rich.console import Console as Plain

    from gandoctor.reports.loop.journal import write_text

    if name == "json":
        text = msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n"
        if file is None:
            click.echo(text, nl=False)
        else:
            write_text(file, text)
    elif file is None:
        write(report, stdout_console())
    else:
        out = io.StringIO()
        write(report, Plain(file=out, highlight=False, width=100))
        write_text(file, out.getvalue())
