"""The command line. The only place that turns errors into exit codes.

Nothing heavy is imported here: a command imports what it needs when it runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gandoctor import __version__
from gandoctor.errors import UserError

if TYPE_CHECKING:
    from gandoctor.config import Config
    from gandoctor.judge.diagnosis import Diagnosis

OK, FAILED, USAGE, UNKNOWN = 0, 1, 2, 3
F = TypeVar("F", bound=Callable[..., Any])


class _Group(click.Group):
    """Bad usage and UserError give one helpful line on stderr and exit 2."""

    def main(self, *args: Any, **extra: Any) -> Any:
        extra["standalone_mode"] = False
        try:
            code = super().main(*args, **extra)
        except click.exceptions.Exit as stop:
            code = stop.exit_code
        except click.ClickException as fault:
            click.echo(f"gandoctor: {fault.format_message()}", err=True)
            code = USAGE
        except (click.Abort, KeyboardInterrupt):
            click.echo("gandoctor: interrupted", err=True)
            code = 130
        except UserError as fault:
            click.echo(f"gandoctor: {fault}", err=True)
            code = USAGE
        except BrokenPipeError:  # the reader of our output went away: nothing is wrong
            sys.stderr.close()
            code = OK
        sys.exit(code if isinstance(code, int) else OK)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="gandoctor", message="%(prog)s %(version)s")
def main() -> None:
    """Read what a GAN run left behind, find what went wrong and when, and say what to change first."""


def _reading(command: F) -> F:
    """The options of every command that reads runs."""
    for option in reversed(
        (
            click.argument("paths", nargs=-1, required=True, type=click.Path()),
            click.option("--map", "roles", multiple=True, metavar="TAG=ROLE", help="What a tag means, e.g. loss1=D.loss."),
            click.option("--loss-family", "family", metavar="FAMILY", help="The loss family, if it is read wrongly."),
            click.option("--select", multiple=True, metavar="CODE", help="Count only these codes (GD2 means all GD2xx)."),
            click.option("--ignore", multiple=True, metavar="CODE", help="Do not count these codes."),
            click.option("--config", type=click.Path(dir_okay=False), help="A gandoctor.toml to use."),
            click.option("--rules", "rule_folders", multiple=True, type=click.Path(file_okay=False, exists=True),
                         help="A folder of your own rules."),
            click.option("--lang", type=click.Choice(["en", "zh"]), help="Language of texts."),
            click.option("-j", "--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


@main.command()
@_reading
@click.option(
    "--format",
    "formats",
    multiple=True,
    metavar="FORMAT[:FILE]",
    help="json, terminal, html, …; to FILE, or to standard output. Repeatable; replaces the defaults.",
)
@click.option("-o", "--output", type=click.Path(), help="Where the HTML report goes [gandoctor-report.html].")
@click.option("--no-report", is_flag=True, help="Print the summary only.")
def diagnose(
    paths: Sequence[str], formats: Sequence[str], output: str | None, no_report: bool, **options: Any
) -> int:  # fmt: skip
    """Diagnose the runs at or below PATHS: print a summary and write an HTML report.

    Exits 0 if at least one file was read.
    """
    config = _config(paths, **options)
    diagnoses, faults = _diagnose(paths, config, options["jobs"])
    for fault in faults:
        click.echo(f"gandoctor: {fault}", err=True)
    if formats:
        for wanted in formats:
            _report(diagnoses, wanted, config.lang)
    else:
        if not diagnoses:
            raise UserError("no training log was found", where=", ".join(paths), hint=_KNOWN_LOGS)
        report = None if no_report else _html(diagnoses, output, config.lang)
        from gandoctor.reports.terminal import print_summary

        print_summary(diagnoses, _console(), config.lang, report_path=report)
    return OK if diagnoses else USAGE


_KNOWN_LOGS = "TensorBoard events, CSV, JSON(L), text logs, W&B offline runs, notebooks, npy and pickles of losses are read"


@main.command()
@_reading
@click.option(
    "--fail-on",
    multiple=True,
    default=["error"],
    show_default=True,
    metavar="error|warning|CODE",
    help="What makes the check fail. Repeatable.",
)
@click.option(
    "--min-confidence",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Findings less sure than this do not count.",
)
@click.option(
    "--allow-unknown", is_flag=True, help="A run that cannot be judged is no failure (exit 0 instead of 3)."
)
@click.option("--exit-zero", is_flag=True, help="Always exit 0.")
@click.option(
    "--format",
    "formats",
    multiple=True,
    metavar="FORMAT[:FILE]",
    help="Reports besides the lines. Repeatable.",
)
def check(
    paths: Sequence[str], fail_on: Sequence[str], min_confidence: float, allow_unknown: bool, exit_zero: bool,
    formats: Sequence[str], **options: Any,
) -> int:  # fmt: skip
    """Check the runs at or below PATHS, for CI: one line a run and an exit code.

    1 if a run fails, else 2 for bad usage or an unreadable path, else 3 if a run cannot be judged, else 0.
    """
    config = _config(paths, **options)
    diagnoses, faults = _diagnose(paths, config, options["jobs"])
    from gandoctor.judge.checking import Check, fails

    rules = Check(tuple(fail_on), min_confidence)
    failed = [fails(diagnosis, rules, config) for diagnosis in diagnoses]
    for diagnosis, why in zip(diagnoses, failed, strict=True):
        click.echo(_check_line(diagnosis, why))
    for wanted in formats:
        _report(diagnoses, wanted, config.lang)
    for fault in faults:
        click.echo(f"gandoctor: {fault}", err=True)
    unknown = not diagnoses or any(diagnosis.verdict == "unknown" for diagnosis in diagnoses)
    if not diagnoses and not faults:
        click.echo(f"gandoctor: no training log was found in {', '.join(paths)}", err=True)
    if exit_zero:
        return OK
    if any(failed):
        return FAILED
    if faults:
        return USAGE
    return UNKNOWN if unknown and not allow_unknown else OK


@main.command()
@_reading
def roles(paths: Sequence[str], **options: Any) -> int:
    """Show what was read of the runs at PATHS, tag by tag, with role and certainty."""
    config = _config(paths, **options)
    diagnoses, faults = _diagnose(paths, config, options["jobs"])
    for fault in faults:
        click.echo(f"gandoctor: {fault}", err=True)
    from gandoctor.reports.terminal import print_roles

    print_roles(diagnoses, _console(), config.lang)
    return OK if diagnoses else USAGE


@main.command()
@click.argument("code")
@click.option("--lang", type=click.Choice(["en", "zh"]), default="en", help="Language of the text.")
@click.option(
    "--rules",
    "rule_folders",
    multiple=True,
    type=click.Path(file_okay=False, exists=True),
    help="A folder of your own rules.",
)
def explain(code: str, lang: str, rule_folders: Sequence[str]) -> int:
    """Explain a symptom: what it is, what causes it, what is looked for, and its remedies."""
    from gandoctor.judge.rules import load_rules
    from gandoctor.reports.explain import explain as text_of
    from gandoctor.reports.explain import find_code
    from gandoctor.thresholds import limits

    known = load_rules(*map(Path, rule_folders))
    found = find_code(code, known)
    click.echo(text_of(found, known, limits(found), lang))
    return OK


@main.command()
@click.option("--facts", is_flag=True, help="List the facts that conditions and changes may name.")
@click.option("--lang", type=click.Choice(["en", "zh"]), default="en", help="Language of the text.")
@click.option(
    "--rules",
    "rule_folders",
    multiple=True,
    type=click.Path(file_okay=False, exists=True),
    help="A folder of your own rules.",
)
def rules(facts: bool, lang: str, rule_folders: Sequence[str]) -> int:
    """List the symptoms that are known, with their remedies."""
    from gandoctor.judge.rules import load_rules
    from gandoctor.reports.explain import list_facts, list_rules

    click.echo(list_facts(lang) if facts else list_rules(load_rules(*map(Path, rule_folders)), lang))
    return OK


@main.command()
@click.argument("folder", type=click.Path(file_okay=False), required=False)
@click.option("--family", default="ns", show_default=True, help="Loss family.")
@click.option("--data", default="ring8", show_default=True, help="ring8, grid25 or glyphs.")
@click.option("--fault", help="A fault to make on purpose; --list-faults names them.")
@click.option("--list-faults", is_flag=True, help="List the faults and exit.")
@click.option("--steps", type=click.IntRange(1), help="Generator steps.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--format",
    "log_format",
    type=click.Choice(["tensorboard", "csv", "jsonl"]),
    default="tensorboard",
    show_default=True,
)
@click.option(
    "--log",
    "level",
    type=click.Choice(["losses", "outputs", "norms", "samples", "all"]),
    default="all",
    show_default=True,
    help="What is logged.",
)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
def train(folder: str | None, list_faults: bool, **options: Any) -> int:
    """Train the reference GAN, healthy or with a fault, into FOLDER."""
    from gandoctor.trainer.command import fault_table, run

    if list_faults:
        click.echo(fault_table())
        return OK
    if folder is None:
        raise UserError("Missing argument 'FOLDER'", hint="gandoctor train runs/ring")
    run(Path(folder), **options)
    return OK


def _config(
    paths: Sequence[str], roles: Sequence[str], family: str | None, select: Sequence[str], ignore: Sequence[str],
    config: str | None, rule_folders: Sequence[str], lang: str | None, jobs: int,
) -> Config:  # fmt: skip
    """The configuration found near the working directory, with the command line on top."""
    from gandoctor.config import find_config, read_config

    found = read_config(Path(config)) if config else find_config(Path.cwd())
    given = {}
    for item in roles:
        tag, equals, role = item.rpartition("=")
        if not equals or not tag:
            raise UserError(f"'{item}' is not TAG=ROLE", where="--map", hint="for example --map loss1=D.loss")
        given[tag] = role
    if family:
        from gandoctor.interpret.families import FAMILIES

        if family not in FAMILIES:
            raise UserError(f"no loss family is called '{family}'", where="--loss-family",
                            hint="the families are: " + ", ".join(FAMILIES))  # fmt: skip
    return found.changed(
        roles={**found.roles, **given}, family=family, select=tuple(select), ignore=tuple(ignore), lang=lang,
        rules=(*found.rules, *map(Path, rule_folders)),
    )  # fmt: skip


def _diagnose(paths: Sequence[str], config: Config, jobs: int) -> tuple[list[Diagnosis], list[UserError]]:
    """The diagnoses of every path that can be read, and what is wrong with the others."""
    from gandoctor.api import diagnose_all

    diagnoses: list[Diagnosis] = []
    faults: list[UserError] = []
    for path in paths:
        try:
            diagnoses.extend(diagnose_all(path, config, jobs=jobs))
        except UserError as fault:
            if fault.where.startswith("--"):  # a mistake in the call, not in this path
                raise
            faults.append(fault)
    return diagnoses, faults


def _report(diagnoses: Sequence[Diagnosis], wanted: str, lang: str) -> None:
    """Write one `FORMAT[:FILE]`."""
    from gandoctor.reports import write_report

    name, _, file = wanted.partition(":")
    write_report(list(diagnoses), Path(file) if file else None, format=name, lang=lang)


def _html(diagnoses: Sequence[Diagnosis], output: str | None, lang: str) -> Path:
    from gandoctor.reports import write_report

    several = len(diagnoses) > 1
    path = Path(output or ("gandoctor-report/index.html" if several else "gandoctor-report.html"))
    if path.is_dir() or str(output or "").endswith("/"):
        path = path / "index.html"
    write_report(list(diagnoses), path, format="html", lang=lang)
    return path


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False)


def _check_line(diagnosis: Diagnosis, why: str) -> str:
    """One line a run, ending in the command that reproduces it."""
    import shlex

    from gandoctor.reports.texts import clean

    primary = diagnosis.primary
    told = f" {primary.finding.code} since {primary.finding.stretch.onset}" if primary else ""
    word = "FAIL" if why else diagnosis.verdict.upper() if diagnosis.verdict == "unknown" else "ok"
    path = shlex.quote(clean(str(diagnosis.run.path)))
    return f"{word:7} {clean(diagnosis.run.name)}: {diagnosis.verdict}{told}  # gandoctor diagnose {path}"


if __name__ == "__main__":
    main()
