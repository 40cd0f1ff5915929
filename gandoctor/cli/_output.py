"""What a command gives back: its exit code, messages, reports."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gandoctor.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from gandoctor.config import Config
    from gandoctor.judge.diagnosis import Diagnosis

OK, FAILED, USAGE, UNKNOWN = 0, 1, 2, 3
INTERNAL, INTERRUPTED = 70, 130  # 70: EX_SOFTWARE, never taken for a run that fails
Outputs = list[tuple[str, Path | None]]  # format and file, None for standard output


def check_code(failed: bool, unreadable: bool, unknown: bool) -> int:
    """The exit code of a check."""
    return FAILED if failed else USAGE if unreadable else UNKNOWN if unknown else OK


def tell(text: str) -> None:
    """One message to a person, on stderr, without the control characters that a file's name may hold."""
    safe = "".join(sign if sign.isprintable() or sign == "\n" else "\ufffd" for sign in text)
    click.echo(f"gandoctor: {safe}", err=True)


def discard_output() -> None:
    """Let what is still to be printed go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def wanted_outputs(formats: Iterable[str], output: str | None) -> Outputs:
    """The outputs that --format asks for, and -o where it goes with one. Raises UserError."""
    from gandoctor.reports import reporter

    made: Outputs = []
    for one in formats:
        name, _, file = one.partition(":")
        reporter(name)
        made.append((name, Path(file) if file else None))
    if output is not None and len(made) == 1 and made[0][1] is None:
        made = [(made[0][0], Path(output))]
    elif output is not None and made:
        raise UserError(
            "one file for several outputs", where="-o", hint="--format FORMAT:FILE names each file"
        )
    if sum(file is None for _, file in made) > 1:
        hint = "give all but one a file, as in --format sarif:report.sarif"
        raise UserError("two formats cannot share standard output", where="--format", hint=hint)
    return made


@contextmanager
def empty_object_on_error(wanted: Outputs) -> Iterator[None]:
    """Who asked for JSON on standard output gets an object there, whatever is wrong."""
    try:
        yield
    except UserError:
        if ("json", None) in wanted:
            from gandoctor.reports import write_report

            write_report([], None, format="json")
        raise


def write_outputs(
    diagnoses: Sequence[Diagnosis], wanted: Outputs, config: Config, html: dict[str, Any]
) -> None:
    from gandoctor.judge.rules import load_rules
    from gandoctor.reports import write_report

    for name, file in wanted:
        write_report(diagnoses, file, format=name, lang=config.lang, rules=load_rules(*config.rules), **html)


def stdout_console() -> Console:
    from rich.console import Console

    class Quiet(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would exit with 1, which is for a run that fails

    return Quiet(highlight=False)


def given_options(options: dict[str, Any]) -> list[str]:
    """The options that decide what is found, as they were given."""
    command: list[str] = []
    for name, option in (("roles", "--map"), ("family", "--loss-family"), ("select", "--select"),
                         ("ignore", "--ignore"), ("config", "--config"), ("rule_folders", "--rules"),
                         ("features", "--features")):  # fmt: skip
        given = options[name] or ()
        command += [
            part for value in ([given] if isinstance(given, str) else given) for part in (option, value)
        ]
    return command
