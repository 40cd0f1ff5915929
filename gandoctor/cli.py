"""The command line. The only place that turns errors into exit codes.

Nothing heavy is imported here: a command imports what it needs when it runs.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gandoctor import __version__
from gandoctor.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from gandoctor.config import Config
    from gandoctor.judge.diagnosis import Diagnosis

OK, FAILED, USAGE, UNKNOWN = 0, 1, 2, 3
INTERNAL, INTERRUPTED = 70, 130  # 70: EX_SOFTWARE, never taken for a run that fails
F = TypeVar("F", bound=Callable[..., Any])
_KNOWN_LOGS = (
    "TensorBoard events, CSV, JSON(L), text logs, W&B offline runs, MLflow, Trackio, dvclive, notebooks, npy files"
    " and pickles of losses are read"
)
_DEBUG = "GANDOCTOR_DEBUG"
_BAR_FROM = 5  # folders; fewer are done before a bar is drawn


class _Group(click.Group):
    """Bad usage and UserError give one helpful message on stderr and exit 2."""

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
            _say(fault.format_message() + _usage_hint(fault))
            code = USAGE
        except (click.Abort, KeyboardInterrupt):
            _say("interrupted")
            code = INTERRUPTED
        except UserError as fault:
            _say(str(fault))
            code = USAGE
        except BrokenPipeError:  # the reader of our output went away: nothing is wrong
            _discard_output()
        except Exception as fault:
            if os.environ.get(_DEBUG):
                raise
            from gandoctor.readers.load import internal_error

            _say(f"{internal_error(Path(), fault).message}\nhint: {_DEBUG}=1 shows the traceback")
            code = INTERNAL
        sys.exit(code if isinstance(code, int) else OK)


def _say(text: str) -> None:
    """One message to a person, on stderr, without the control characters that a file's name may hold."""
    safe = "".join(sign if sign.isprintable() or sign == "\n" else "\ufffd" for sign in text)
    click.echo(f"gandoctor: {safe}", err=True)


def _discard_output() -> None:
    """Let what is still to be printed go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _usage_hint(fault: click.ClickException) -> str:
    context = getattr(fault, "ctx", None)
    return f"\nhint: {context.command_path} --help" if context is not None else ""


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="gandoctor", message="%(prog)s %(version)s")
def main() -> None:
    """Read what a GAN run left behind, find what went wrong and when, and say what to change first."""


# --- options ---------------------------------------------------------------------------------------------

_LANG = click.option("--lang", type=click.Choice(["en", "zh"]), help="Language of texts [en].")
_RULES = click.option(
    "--rules", "rule_folders", multiple=True, type=click.Path(file_okay=False, exists=True),
    help="A folder of your own rules.",
)  # fmt: skip
_FEATURES = click.option(
    "--features", metavar="MODULE:CALLABLE",
    help="Your own embedding of samples, uint8 (n, h, w, c) to (n, d), which is imported and run.",
)  # fmt: skip
_JOBS = click.option("-j", "--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
_FORMAT = click.option(
    "--format", "formats", multiple=True, metavar="FORMAT[:FILE]",
    help="json, terminal, html, …; to FILE, or to standard output. Repeatable.",
)  # fmt: skip


def _reading(command: F) -> F:
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
            _RULES,
            _LANG,
        )
    ):  # fmt: skip
        command = option(command)
    return command


# --- commands --------------------------------------------------------------------------------------------


@main.command()
@_reading
@_FEATURES
@_FORMAT
@click.option("-o", "--output", type=click.Path(), help="Where the report goes [gandoctor-report.html].")
@click.option("--no-report", is_flag=True, help="Print the summary only.")
@_JOBS
def diagnose(
    paths: Sequence[str], formats: Sequence[str], output: str | None, no_report: bool, jobs: int, **options: Any
) -> int:  # fmt: skip
    """Say what went wrong in the runs at PATHS; write a report.

    Prints a summary and writes an HTML report, for every run at or below PATHS.

    --format replaces both. Exits 0 if at least one file was read, else 2.
    """
    wanted = _wanted(formats, output)
    with _empty_object_on_error(wanted):
        config = _config(**options)
        diagnoses, faults = _diagnose(paths, config, jobs, options["roles"])
        read = any(diagnosis.run.files for diagnosis in diagnoses)
        if not read and not faults:
            faults.append(UserError("no training log was found", where=", ".join(paths), hint=_KNOWN_LOGS))
        if wanted:
            _write(diagnoses, wanted, config)
        elif diagnoses:
            report = None if no_report else _report(diagnoses, output, config)
            _summary(diagnoses, config, report)
    for fault in faults:
        _say(str(fault))
    return OK if read else USAGE


@main.command()
@_reading
@_FEATURES
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
@click.option(
    "--require",
    multiple=True,
    metavar="ROLE",
    help="A role that each run must log, as `gandoctor roles` shows it (D.loss, G.grad_norm). Repeatable.",
)
@click.option(
    "--baseline",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Findings accepted by --write-baseline: only new or worse ones count.",
)
@click.option(
    "--write-baseline",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Accept today's warnings and errors: write them to FILE and exit 0.",
)
@click.option("--exit-zero", is_flag=True, help="Exit 0 whatever the runs are like.")
@_FORMAT
@_JOBS
def check(
    paths: Sequence[str], fail_on: Sequence[str], min_confidence: float, allow_unknown: bool,
    require: Sequence[str], baseline: str | None, write_baseline: str | None, exit_zero: bool,
    formats: Sequence[str], jobs: int, **options: Any,
) -> int:  # fmt: skip
    """For CI: a line a run, and an exit code.

    Exits 1 if a run at or below PATHS fails, else 2 for bad usage or an unreadable path, else 3 if a run
    cannot be judged, else 0.
    """
    from gandoctor.api import check_codes
    from gandoctor.judge import checking

    wanted = _wanted(formats, None)
    with _empty_object_on_error(wanted):
        config = _config(**options)
        accepted = checking.read_baseline(Path(baseline)) if baseline else {}
        rules = checking.Check(tuple(fail_on), min_confidence, tuple(require), accepted)
        check_codes([word for word in fail_on if word not in ("error", "warning")], "--fail-on", config)
        diagnoses, faults = _diagnose(paths, config, jobs, options["roles"])
        failed = [
            checking.fails(diagnosis, rules, config) or ", ".join(checking.missing(diagnosis, rules))
            for diagnosis in diagnoses
        ]
        machine = any(file is None for _, file in wanted)
        try:
            for diagnosis, why in zip(diagnoses, failed, strict=True):
                lacking = checking.missing(diagnosis, rules)
                click.echo(_check_line(diagnosis, why, lacking, options), err=machine)
            _write(diagnoses, wanted, config)
        except BrokenPipeError:  # what is left of the check is its exit code
            _discard_output()
    for fault in faults:
        _say(str(fault))
    if not diagnoses and not faults:
        _say(f"no training log was found in {', '.join(paths)}")
    if write_baseline:
        count = checking.write_baseline(diagnoses, Path(write_baseline))
        _say(f"{count} findings accepted in {write_baseline}")
    if exit_zero or write_baseline:
        return OK
    if any(failed):
        return FAILED
    if faults:
        return USAGE
    unknown = not diagnoses or any(diagnosis.verdict == "unknown" for diagnosis in diagnoses)
    return UNKNOWN if unknown and not allow_unknown else OK


@main.command()
@_reading
def roles(paths: Sequence[str], **options: Any) -> int:
    """Show how each tag of the runs at PATHS was read."""
    from gandoctor.judge.diagnose import diagnose_run
    from gandoctor.many import fitting
    from gandoctor.readers.load import load_run
    from gandoctor.reports.terminal import print_roles

    config = _config(**options)
    found, faults = _find(paths)
    runs = [run for one in found for run in load_run(one)]
    _check_tags(options["roles"], (tag for run in runs for tag in run.tags))
    diagnoses = [diagnose_run(run, fitting(config, run)) for run in runs]
    if not diagnoses and not faults:
        faults.append(UserError("no training log was found", where=", ".join(paths), hint=_KNOWN_LOGS))
    print_roles(diagnoses, _console(), config.lang)
    for fault in faults:
        _say(str(fault))
    return OK if any(run.files for run in runs) else USAGE


@main.command()
@click.argument("code")
@_LANG
@_RULES
def explain(code: str, lang: str | None, rule_folders: Sequence[str]) -> int:
    """Explain a symptom: causes, limits, remedies."""
    from gandoctor.judge.rules import load_rules
    from gandoctor.reports.explain import explain as text_of
    from gandoctor.reports.explain import find_code
    from gandoctor.thresholds import limits

    known = load_rules(*map(Path, rule_folders))
    found = find_code(code, known)
    click.echo(text_of(found, known, limits(found), lang or "en"), nl=False)
    return OK


@main.command()
@click.option("--facts", is_flag=True, help="List the facts that conditions and changes may name.")
@_LANG
@_RULES
def rules(facts: bool, lang: str | None, rule_folders: Sequence[str]) -> int:
    """List the symptoms that are known, with their remedies."""
    from gandoctor.judge.rules import load_rules
    from gandoctor.reports.explain import list_facts, list_rules

    lang = lang or "en"
    text = list_facts(lang) if facts else list_rules(load_rules(*map(Path, rule_folders)), lang)
    click.echo(text.rstrip("\n"))
    return OK


@main.group()
def lab() -> None:
    """Measure on small GANs how often the diagnosis is right (needs torch)."""


@lab.command()
@click.argument("study", type=click.Path(file_okay=False))
@click.option("--runs", type=click.IntRange(1), default=3_200, show_default=True, help="How many to train.")
@click.option("--seed", type=click.IntRange(0), default=5_000, show_default=True, help="Of the first run.")
@click.option(
    "--side", type=click.IntRange(1), default=8, show_default=True, help="Seeds of a configuration."
)
@click.option("--steps", type=click.IntRange(1), help="Generator steps of every run, to try it out.")
@_JOBS
@click.option(
    "--scheduler", default="", metavar="ADDRESS", help="A Dask scheduler, in place of local processes."
)
@click.option("--keep", is_flag=True, help="Keep the runs, in STUDY/runs: 3 to 12 MB each.")
@click.option("--resume", is_flag=True, help="Go on with the study that is there.")
@click.option("--again", is_flag=True, help="Diagnose the runs that were kept anew, without training.")
def detect(study: str, **options: Any) -> int:
    """Train runs of measured truth, diagnose each in every logging style; STUDY gets the table of all.

    A study that was stopped, or killed, goes on with --resume; nothing is trained twice.
    """
    from gandoctor.lab.command import detect as run

    table = run(Path(study), **options)
    _say(f"the table: {table}\nnow: gandoctor lab report {shlex.quote(study)}")
    return OK


@lab.command()
@click.argument("table", type=click.Path(exists=True))
@click.option("--write", type=click.Path(file_okay=False), help="A folder for the table and the figures.")
@click.option(
    "--part",
    type=click.Choice(["test", "fit"]),
    default="test",
    show_default=True,
    help="Of the study's runs.",
)
def report(table: str, write: str | None, part: str) -> int:
    """Make every figure of a detection study anew from its TABLE, or from the study's folder.

    Each look at the runs of test leaves a line in evaluations.csv, beside the table or where --write says.
    """
    from gandoctor.lab.command import report as figures

    click.echo(figures(Path(table), Path(write) if write else None, part), nl=False)
    return OK


@lab.command()
@click.argument("table", type=click.Path(exists=True))
@click.option(
    "-o", "target", type=click.Path(dir_okay=False), help="The file to write [rules/calibration.toml]."
)
def calibrate(table: str, target: str | None) -> int:
    """Fit the confidences on the part *fit* of a study's TABLE."""
    from gandoctor.lab.command import calibrate as fit

    _say(f"written: {fit(Path(table), Path(target) if target else None)}")
    return OK


@main.command()
@click.argument("folder", type=click.Path(file_okay=False), required=False)
@click.option("--family", help="Loss family [ns, or the first that the fault goes with].")
@click.option("--data", help="Data set [ring8, or the first that the fault goes with].")
@click.option("--fault", help="A fault to make on purpose.")
@click.option("--list-faults", is_flag=True, help="List the data sets, families and faults, and exit.")
@click.option("--steps", type=click.IntRange(1), help="Generator steps.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--format",
    "log_format",
    type=click.Choice(["tensorboard", "csv", "jsonl"]),
    default="tensorboard",
    show_default=True,
    help="Of the log.",
)
@click.option(
    "--log",
    "level",
    type=click.Choice(["losses", "outputs", "norms", "samples", "all"]),
    default="all",
    show_default=True,
    help="What is logged; each holds all that stand before it.",
)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
def train(folder: str | None, list_faults: bool, **options: Any) -> int:
    """Train a small GAN, healthy or ill, into FOLDER (needs torch)."""
    from gandoctor.trainer.command import fault_table, run

    if list_faults:
        click.echo(fault_table())
        return OK
    if folder is None:
        raise UserError("FOLDER is missing: where the run is to go", hint="gandoctor train runs/ring")
    run(Path(folder), **options)
    return OK


@main.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@click.option("--generator", required=True, metavar="MODULE:FUNCTION", help="Your function that builds G.")
@click.option("--latent", metavar="N[,M…]", help="Shape of one z [by G's first layer].")
@click.option(
    "--labels", type=click.IntRange(0), default=0, metavar="K", help="G takes (z, class), of K classes."
)
@click.option(
    "--features",
    default="",
    metavar="MODULE:FUNCTION",
    help="Samples to rows in which distances count [pixels].",
)
@click.option("--samples", type=click.IntRange(8), default=64, show_default=True, help="Fixed z.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--linear", is_flag=True, help="Straight paths between z (uniform ones) instead of arcs.")
@click.option(
    "--weights", type=click.Choice(["auto", "ema", "live"]), default="auto", show_default=True,
    help="The moving average or the live weights; auto: the average where there is one.",
)  # fmt: skip
@click.option("--span", metavar="LOW,HIGH", help="Values drawn black and white [by the samples].")
@click.option(
    "--most", type=click.IntRange(0), default=0, metavar="N", help="Only N snapshots, evenly spread."
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("-o", "--output", type=click.Path(file_okay=False), help="Where results go [in the run].")
@click.option(
    "--format", "form", type=click.Choice(["terminal", "json"]), default="terminal", show_default=True
)
def probe(paths: Sequence[str], latent: str | None, span: str | None, form: str, output: str | None,
          **options: Any) -> int:  # fmt: skip
    """Sample snapshots at PATHS through your generator (needs torch).

    PATHS: a run's folder, or checkpoint files. Runs your code, never a checkpoint's. Results go into the run,
    for `gandoctor diagnose`. Exits 0 if at least one snapshot was probed, else 2.
    """
    from gandoctor.probe import Options
    from gandoctor.probe import probe as probed_at

    shape = _numbers(latent, "--latent", int) if latent else ()
    ends = _numbers(span, "--span", float) if span else None
    if any(size < 1 for size in shape):
        raise UserError(f"'{latent}' is no shape", where="--latent", hint="for example 100, or 100,1,1")
    if ends is not None and not (len(ends) == 2 and ends[0] < ends[1]):
        raise UserError(f"'{span}' is no range", where="--span", hint="-1,1 for tanh, 0,1 for sigmoid")
    place = None if output is None else Path(output)
    wanted = Options(latent=shape, span=ends, output=place, **options)
    if sys.stderr.isatty():
        from gandoctor.probe.table import progress

        with progress() as done:
            made = probed_at(paths, wanted, done)
    else:
        made = probed_at(paths, wanted)
    for problem in made.problems:
        _say(problem)
    if form == "json":
        import json

        click.echo(json.dumps(made.as_json(), indent=1))
    else:
        from gandoctor.probe.table import show

        show(made, _console())
    return OK


@main.command()
@_reading
@_JOBS
@click.option(
    "--scheduler",
    default="",
    metavar="ADDRESS",
    help="A Dask scheduler, tcp://HOST:PORT or tls://HOST:PORT, in place of local processes.",
)
@click.option(
    "-o", "--output", required=True, type=click.Path(file_okay=False), help="The folder of the results."
)
@click.option(
    "--time-limit",
    type=click.FloatRange(0, min_open=True),
    default=300.0,
    show_default=True,
    help="Seconds for the runs of one folder.",
)
@click.option("--retry", is_flag=True, help="Read again what ran out of time or killed its process.")
@click.option(
    "--reports",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Write the single reports of the N worst runs, too.",
)
def fleet(
    paths: Sequence[str], jobs: int, scheduler: str, output: str, time_limit: float, retry: bool, reports: int,
    **options: Any,
) -> int:  # fmt: skip
    """Diagnose thousands of runs at PATHS into tables and one page.

    PATHS: folders, or URLs such as s3://bucket/runs. The folder of -o gets index.html and the Parquet tables `runs`
    and `findings`. Runs that did not change are not read again; a pass that was killed goes on. Exits 0 if the tables
    hold a run, else 2.
    """
    from gandoctor.fleets.command import run

    config = _config(**options)
    rows, page = run(
        paths, Path(output), config, jobs=jobs, scheduler=scheduler, limit=time_limit, retry=retry, reports=reports
    )  # fmt: skip
    if not rows:
        _say(f"no training log was found in {', '.join(paths)}\nhint: {_KNOWN_LOGS}")
        return USAGE
    _say(f"{rows:,} runs in {output}; the page: {page}")
    return OK


def _numbers(text: str, where: str, kind: type[Any]) -> tuple[Any, ...]:
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        raise UserError(f"'{text}' is not numbers with commas between", where=where) from None


# --- from options to diagnoses ---------------------------------------------------------------------------


def _config(
    roles: Sequence[str], family: str | None, select: Sequence[str], ignore: Sequence[str],
    config: str | None, rule_folders: Sequence[str], lang: str | None, features: str | None = None,
) -> Config:  # fmt: skip
    """The configuration found near the working directory, with the command line on top."""
    from gandoctor.api import check_config
    from gandoctor.config import find_config, read_config

    found = read_config(Path(config)) if config else find_config(Path.cwd())
    made = found.changed(
        roles={**found.roles, **_roles(roles)}, family=family, lang=lang, features=features,
        select=tuple(code.upper() for code in select), ignore=tuple(code.upper() for code in ignore),
        rules=(*found.rules, *map(Path, rule_folders)),
    )  # fmt: skip
    check_config(made)
    return made


def _roles(given: Iterable[str]) -> dict[str, str]:
    """The roles given as TAG=ROLE; a tag may hold "="."""
    found = {}
    for item in given:
        tag, equals, role = item.rpartition("=")
        if not equals or not tag:
            raise UserError(f"'{item}' is not TAG=ROLE", where="--map", hint="for example --map loss1=D.loss")
        found[tag] = role
    return found


def _find(paths: Iterable[str]) -> tuple[list[Any], list[UserError]]:
    """The runs at or below every path that can be read, and what is wrong with the others."""
    from gandoctor.readers.load import find_runs

    found: list[Any] = []
    faults: list[UserError] = []
    for path in paths:
        try:
            found += find_runs(path)
        except UserError as fault:
            faults.append(fault)
    return found, faults


def _diagnose(
    paths: Iterable[str], config: Config, jobs: int, given: Iterable[str]
) -> tuple[list[Diagnosis], list[UserError]]:
    """The diagnoses of the runs, and what is wrong with the paths that cannot be read."""
    from gandoctor.many import diagnose_found

    found, faults = _find(paths)
    with _bar(len(found)) as done:
        diagnoses = diagnose_found(found, config, jobs, done)
    if diagnoses:
        _check_tags(given, (tag for diagnosis in diagnoses for tag in diagnosis.run.tags))
    return diagnoses, faults


def _check_tags(given: Iterable[str], tags: Iterable[str]) -> None:
    """Raises UserError if --map names a tag that no run has."""
    from difflib import get_close_matches

    from gandoctor.interpret.roles import names_one

    known = list(dict.fromkeys(tags))
    for tag in _roles(given):
        if not names_one(tag, known):
            near = get_close_matches(tag, known, n=6, cutoff=0.5) or known[:12]
            raise UserError(
                f"no tag is called '{tag}'", where="--map", hint="the tags are: " + ", ".join(near)
            )


@contextmanager
def _bar(folders: int) -> Iterator[Callable[[], None] | None]:
    """A progress bar on stderr if that is a terminal and there is enough to wait for."""
    if folders < _BAR_FROM or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("runs", total=folders)
        yield lambda: progress.advance(task)


# --- output ----------------------------------------------------------------------------------------------

Wanted = list[tuple[str, Path | None]]  # format and file, None for standard output


def _wanted(formats: Iterable[str], output: str | None) -> Wanted:
    """The outputs that --format asks for, and -o where it goes with one. Raises UserError."""
    from gandoctor.reports import reporter

    made: Wanted = []
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
def _empty_object_on_error(wanted: Wanted) -> Iterator[None]:
    """Who asked for JSON on standard output gets an object there, whatever is wrong."""
    try:
        yield
    except UserError:
        if ("json", None) in wanted:
            from gandoctor.reports import write_report

            write_report([], None, format="json")
        raise


def _write(diagnoses: Sequence[Diagnosis], wanted: Wanted, config: Config) -> None:
    from gandoctor.judge.rules import load_rules
    from gandoctor.reports import write_report

    for name, file in wanted:
        write_report(diagnoses, file, format=name, lang=config.lang, rules=load_rules(*config.rules))


def _report(diagnoses: Sequence[Diagnosis], output: str | None, config: Config) -> Path:
    """Write the report, as HTML unless the file's name says otherwise; a folder gets an index.html."""
    from gandoctor.judge.rules import load_rules
    from gandoctor.reports import formats, write_report

    several = len(diagnoses) > 1
    path = Path(output or ("gandoctor-report/index.html" if several else "gandoctor-report.html"))
    if path.is_dir() or str(output or "").endswith("/"):
        path = path / "index.html"
    suffixes = tuple(suffix for one in formats().values() for suffix in one.SUFFIXES)
    format = "" if path.name.lower().endswith(suffixes) else "html"
    write_report(diagnoses, path, format=format, lang=config.lang, rules=load_rules(*config.rules))
    return path


def _summary(diagnoses: Sequence[Diagnosis], config: Config, report: Path | None) -> None:
    from gandoctor.judge.rules import load_rules
    from gandoctor.reports.terminal import print_summary

    print_summary(diagnoses, _console(), config.lang, report_path=report, rules=load_rules(*config.rules))


def _console() -> Console:
    from rich.console import Console

    class Quiet(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would exit with 1, which is for a run that fails

    return Quiet(highlight=False)


def _check_line(diagnosis: Diagnosis, why: str, missing: Sequence[str], options: dict[str, Any]) -> str:
    """One line a run, ending in the command that reproduces it."""
    from gandoctor.readers._remote import address
    from gandoctor.reports.texts import clean

    primary = diagnosis.primary
    told = f" {primary.finding.code} since {primary.finding.stretch.onset}" if primary else ""
    told += f", not logged: {', '.join(missing)}" if missing else ""
    word = "FAIL" if why else diagnosis.verdict.upper() if diagnosis.verdict == "unknown" else "ok"
    command = ["gandoctor", "diagnose", address(diagnosis.run.path)]
    for name, option in (("roles", "--map"), ("family", "--loss-family"), ("select", "--select"),
                         ("ignore", "--ignore"), ("config", "--config"), ("rule_folders", "--rules"),
                         ("features", "--features")):  # fmt: skip
        given = options[name] or ()
        command += [
            part for value in ([given] if isinstance(given, str) else given) for part in (option, value)
        ]
    line = f"{word:7} {diagnosis.run.name}: {diagnosis.verdict}{told}  # {shlex.join(command)}"
    return clean(line)


if __name__ == "__main__":
    main()
