"""The command line. The only place that turns errors into exit codes.

A command is a module of this package that holds a click command of the same name, and a word in `_SECTIONS`.
Nothing heavy is imported here: a command imports what it needs when it runs.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import click

from gandoctor import __version__
from gandoctor.cli._output import (
    FAILED,
    INTERNAL,
    INTERRUPTED,
    OK,
    UNKNOWN,
    USAGE,
    discard_output,
    tell,
)
from gandoctor.errors import UserError

__all__ = ["FAILED", "INTERNAL", "INTERRUPTED", "OK", "UNKNOWN", "USAGE", "main"]

_DEBUG = "GANDOCTOR_DEBUG"
_SECTIONS = {  # of the help, in its order
    "What went wrong": ("diagnose", "check", "watch", "fleet"),
    "Did the change help": ("compare", "sensitivity", "journal", "rehearse"),
    "Ask": ("explain", "rules", "roles"),
    "See more, and measure": ("probe", "train", "lab"),
}


class _Group(click.Group):
    """Bad usage and UserError give one helpful message on stderr and exit 2."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by what they are for."""
        wide = formatter.width - 6 - max(map(len, self.commands))
        for title, names in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(wide)) for name in names])

    def main(self, *args: Any, **extra: Any) -> Any:
        extra["standalone_mode"] = False
        code: Any = OK
        try:
            code = super().main(*args, **extra)
            sys.stdout.flush()
        except click.exceptions.Exit as stop:
            code = stop.exit_code
        except click.exceptions.NoArgsIsHelpError as fault:  # a bare `gandoctor`
            click.echo(fault.format_message(), err=True)
            code = USAGE
        except click.ClickException as fault:
            tell(fault.format_message() + _usage_hint(fault))
            code = USAGE
        except (click.Abort, KeyboardInterrupt):
            tell("interrupted")
            code = INTERRUPTED
        except UserError as fault:
            tell(str(fault))
            code = USAGE
        except BrokenPipeError:  # the reader of our output went away: nothing is wrong
            discard_output()
        except Exception as fault:
            if os.environ.get(_DEBUG):
                raise
            from gandoctor.readers.load import internal_error

            tell(f"{internal_error(Path(), fault).message}\nhint: {_DEBUG}=1 shows the traceback")
            code = INTERNAL
        sys.exit(code if isinstance(code, int) else OK)


def _usage_hint(fault: click.ClickException) -> str:
    context = getattr(fault, "ctx", None)
    return f"\nhint: {context.command_path} --help" if context is not None else ""


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="gandoctor", message="%(prog)s %(version)s")
def main() -> None:
    """Read what a GAN run left behind, find what went wrong and when, and say what to change first.

    \b
    gandoctor diagnose runs/exp1       a summary, and gandoctor-report.html
    gandoctor explain GD201            all about a symptom
    gandoctor COMMAND --help           what a command takes
    """  # noqa: D301 (click's mark for lines that stand as they are)


for _names in _SECTIONS.values():
    for _name in _names:
        main.add_command(getattr(importlib.import_module(f"{__name__}.{_name}"), _name))
