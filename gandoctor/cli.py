"""The command line. The only place that turns errors into exit codes.

Nothing heavy is imported here: a command imports what it needs when it runs.
"""

from __future__ import annotations

import itertools
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gandoctor import __version__
from gandoctor.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from gandoctor.config import Config
    from gandoctor.findings import Severity
    from gandoctor.judge.diagnosis import Diagnosis
    from gandoctor.judge.rules import Rule
    from gandoctor.watch import Look

OK, FAILED, USAGE, UNKNOWN = 0, 1, 2, 3
INTERNAL, INTERRUPTED = 70, 130  # 70: EX_SOFTWARE, never taken for a run that fails
F = TypeVar("F", bound=Callable[..., Any])
_KNOWN_LOGS = (
    "TensorBoard events, CSV, JSON(L), text logs, W&B offline runs, MLflow, Trackio, dvclive, notebooks, npy files"
    " and pickles of losses are read; a CSV with the columns step, loss_D and loss_G will do"
)
_DEBUG = "GANDOCTOR_DEBUG"
_BAR_FROM = 5  # folders; fewer are done before a bar is drawn
_SECTIONS: dict[str, tuple[str, ...]] = {  # of the help; what stands in none comes last
    "What went wrong": ("diagnose", "check", "watch", "fleet"),
    "Did the change help": ("compare", "sensitivity", "journal", "rehearse"),
    "Ask": ("explain", "rules", "roles"),
    "See more, and measure": ("probe", "train", "lab"),
}


class _Group(click.Group):
    """Bad usage and UserError give one helpful message on stderr and exit 2."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by what they are for."""
        told = {name for own in _SECTIONS.values() for name in own}
        left = tuple(name for name in self.list_commands(ctx) if name not in told)
        wide = formatter.width - 6 - max(map(len, self.commands), default=0)
        for title, names in {**_SECTIONS, "More": left}.items():
            rows = [
                (name, self.commands[name].get_short_help_str(wide))
                for name in names
                if name in self.commands
            ]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

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
    """Read what a GAN run left behind, find what went wrong and when, and say what to change first.

    \b
    gandoctor diagnose runs/exp1       a summary, and gandoctor-report.html
    gandoctor explain GD201            all about a symptom
    gandoctor COMMAND --help           what a command takes
    """  # noqa: D301 (click's mark for lines that stand as they are)


# --- options ---------------------------------------------------------------------------------------------

_LANG = click.option(
    "--lang", type=click.Choice(["en", "zh", "auto"]), help="Language of texts; auto: your locale's [en]."
)
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


def _checking(command: F) -> F:
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


# --- commands --------------------------------------------------------------------------------------------


@main.command()
@_reading
@_FEATURES
@_FORMAT
@click.option("-o", "--output", type=click.Path(), help="Where the report goes [gandoctor-report.html].")
@click.option("--no-report", is_flag=True, help="Print the summary only.")
@click.option(
    "--plotlyjs",
    type=click.Choice(["inline", "cdn", "none"]),
    default="inline",
    show_default=True,
    help="Where the report's plots come from: the page itself, a server, or no plots.",
)
@click.option(
    "--single-file", is_flag=True, help="Up to 20 runs in one HTML file, without a folder beside it."
)
@_JOBS
def diagnose(
    paths: Sequence[str], formats: Sequence[str], output: str | None, no_report: bool, plotlyjs: str,
    single_file: bool, jobs: int, **options: Any,
) -> int:  # fmt: skip
    """Say what went wrong in the runs at PATHS; write a report.

    PATHS: folders or files, as runs/exp1, lightning_logs or train.log; every run at or below them counts.
    Prints a summary and writes an HTML report.

    --format replaces both. Exits 0 if at least one file was read, else 2.
    """
    wanted = _wanted(formats, output)
    html = {"plotlyjs": plotlyjs, "single_file": single_file, "command": _given(options)}
    with _empty_object_on_error(wanted):
        config = _config(**options)
        diagnoses, faults = _diagnose(paths, config, jobs, options["roles"])
        read = any(diagnosis.run.files for diagnosis in diagnoses)
        if not read and not faults:
            faults.append(UserError("no training log was found", where=", ".join(paths), hint=_KNOWN_LOGS))
        if wanted:
            _write(diagnoses, wanted, config, html)
        elif diagnoses:
            report = None if no_report else _report(diagnoses, output, config, html)
            _summary(diagnoses, config, report)
    for fault in faults:
        _say(str(fault))
    return OK if read else USAGE


@main.command()
@_reading
@_FEATURES
@_checking
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
    paths: Sequence[str], fail_on: Sequence[str], min_confidence: float | None, allow_unknown: bool,
    require: Sequence[str], baseline: str | None, write_baseline: str | None, exit_zero: bool,
    formats: Sequence[str], jobs: int, **options: Any,
) -> int:  # fmt: skip
    """For CI: a line a run, and an exit code.

    Exits 1 if a run at or below PATHS fails, else 2 for bad usage or an unreadable path, else 3 if a run
    cannot be judged, else 0.
    """
    from gandoctor.api import check_config
    from gandoctor.judge import checking

    wanted = _wanted(formats, None)
    with _empty_object_on_error(wanted):
        config = _checked(_config(**options), fail_on, min_confidence, require, baseline)
        check_config(config)
        accepted = {} if write_baseline else checking.accepted(config)
        diagnoses, faults = _diagnose(paths, config, jobs, options["roles"])
        judged = [_judged(diagnosis, config, accepted) for diagnosis in diagnoses]
        failed = [why or ", ".join(lacking) for why, lacking in judged]
        machine = any(file is None for _, file in wanted)
        try:
            for diagnosis, why, (_, lacking) in zip(diagnoses, failed, judged, strict=True):
                click.echo(_check_line(diagnosis, why, lacking, options), err=machine)
            _write(diagnoses, wanted, config, {"command": _given(options)})
        except BrokenPipeError:  # what is left of the check is its exit code
            _discard_output()
    for fault in faults:
        _say(str(fault))
    if not diagnoses and not faults:
        _say(str(UserError("no training log was found", where=", ".join(paths), hint=_KNOWN_LOGS)))
    if write_baseline:
        count = checking.write_baseline(diagnoses, Path(write_baseline))
        _say(f"{count} findings accepted in {write_baseline}")
    if exit_zero or write_baseline:
        return OK
    unknown = not diagnoses or any(diagnosis.verdict == "unknown" for diagnosis in diagnoses)
    return _code(any(failed), bool(faults), unknown and not allow_unknown)


@main.command()
@_reading
@_checking
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

    config = _checked(_config(**options), fail_on, min_confidence, require, baseline)
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
        _say(_dashboard.went_quiet(quiet, lang))
    for fault in look.faults:
        _say(str(fault))
    return _code(look.fails, bool(look.faults), look.unknown and not allow_unknown)


@contextmanager
def _shown(lang: str, rules: Mapping[str, Rule]) -> Iterator[Callable[[Look, str], None]]:
    """What shows a look: a panel on a terminal that is drawn anew, else a line where something has changed."""
    from gandoctor.reports import _dashboard

    console = _console()
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


def _code(failed: bool, unreadable: bool, unknown: bool) -> int:
    """The exit code of a check."""
    return FAILED if failed else USAGE if unreadable else UNKNOWN if unknown else OK


@main.command()
@_reading
def roles(paths: Sequence[str], **options: Any) -> int:
    """Show how each tag of the runs at PATHS was read."""
    from gandoctor.judge.diagnose import diagnose_run, fitting
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
    from gandoctor.config import language
    from gandoctor.judge.rules import load_rules
    from gandoctor.reports.explain import explain as text_of
    from gandoctor.reports.explain import find_code
    from gandoctor.thresholds import limits

    known = load_rules(*map(Path, rule_folders))
    found = find_code(code, known)
    click.echo(text_of(found, known, limits(found), language(lang or "en")), nl=False)
    return OK


@main.command()
@click.option("--facts", is_flag=True, help="List the facts that conditions and changes may name.")
@_LANG
@_RULES
def rules(facts: bool, lang: str | None, rule_folders: Sequence[str]) -> int:
    """List the symptoms that are known, with their remedies."""
    from gandoctor.config import language
    from gandoctor.judge.rules import load_rules
    from gandoctor.reports.explain import list_facts, list_rules

    lang = language(lang or "en")
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
@click.argument("study", type=click.Path(file_okay=False))
@click.option("--seed", type=click.IntRange(0), default=100_000, show_default=True, help="Of the first run.")
@click.option(
    "--controls", type=click.IntRange(1), default=10, show_default=True, help="Seeds that say what is ill."
)
@click.option(
    "--screen", type=click.IntRange(1), default=3, show_default=True, help="Seeds of each remedy at first."
)
@click.option(
    "--final",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="New seeds of the best three, and control.",
)
@click.option("--steps", type=click.IntRange(1), help="Generator steps of every run, to try it out.")
@click.option(
    "--only", multiple=True, metavar="NAME", help="This configuration of the design; may be repeated."
)
@click.option("--most", type=click.IntRange(1), help="Remedies screened on a configuration, to try it out.")
@_JOBS
@click.option(
    "--scheduler", default="", metavar="ADDRESS", help="A Dask scheduler, in place of local processes."
)
@click.option("--resume", is_flag=True, help="Go on with the study that is there.")
def cure(study: str, jobs: int, scheduler: str, resume: bool, **options: Any) -> int:
    """Try remedies on ill runs, against a control; STUDY gets the table.

    A study that was stopped, or killed, goes on with --resume; nothing is trained twice.
    """
    from gandoctor.lab.command import cure as run

    table = run(Path(study), jobs=jobs, scheduler=scheduler, resume=resume, **options)
    _say(f"the table: {table}\nnow: gandoctor lab cures {shlex.quote(study)}")
    return OK


@lab.command()
@click.argument("table", type=click.Path(exists=True))
@click.option(
    "--write", is_flag=True, help="Write rules/efficacy.csv, docs/cures.md and docs/lab/cure.csv.xz."
)
@click.option("--root", type=click.Path(file_okay=False), help="Where rules/ and docs/ lie [this checkout].")
def cures(table: str, write: bool, root: str | None) -> int:
    """Make every figure of a cure study anew from its TABLE, or from the study's folder."""
    from gandoctor.lab.command import cures as figures

    click.echo(figures(Path(table), write=write, root=Path(root) if root else None), nl=False)
    return OK


@lab.command()
@click.argument("table", type=click.Path(exists=True))
@click.option(
    "-o", "folder", type=click.Path(file_okay=False),
    help="The folder of calibration.toml and thresholds.toml [rules/].",
)  # fmt: skip
def calibrate(table: str, folder: str | None) -> int:
    """Fit the confidences, and the promise, on the parts *fit* and *calibrate* of a study's TABLE."""
    from gandoctor.lab.command import calibrate as fit

    for path in fit(Path(table), Path(folder) if folder else None):
        _say(f"written: {path}")
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
@_reading
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True, help="Runs of each setting.")
@click.option("--top", type=click.IntRange(1), default=3, show_default=True, help="Remedies to try.")
@click.option("--steps", type=click.IntRange(1), help="Generator steps of every run.")
@click.option(
    "--format", "form", type=click.Choice(["terminal", "json"]), default="terminal", show_default=True
)
def rehearse(paths: Sequence[str], form: str, seeds: int, top: int, steps: int | None, **options: Any) -> int:
    """Try the first remedies for the one run at PATHS on a small GAN that is ill alike (needs torch; minutes).

    Builds the nearest configuration of the reference trainer, checks that it shows the same primary symptom, and
    tries remedies beside a control. Exits 0 if the symptom was reproduced, else 3.
    """
    from gandoctor.api import diagnose as diagnosed
    from gandoctor.judge.rules import load_rules
    from gandoctor.lab.rehearse import as_json, as_text
    from gandoctor.lab.rehearse import rehearse as rehearsed

    if len(paths) > 1:
        raise UserError("one run is rehearsed at a time", hint=f"gandoctor rehearse {shlex.quote(paths[0])}")
    config = _config(**options)
    known = load_rules(*config.rules)
    done = rehearsed(
        diagnosed(paths[0], config), known, seeds=seeds, top=top, steps=steps,
        tell=lambda remedy: _say(f"training {seeds} runs, " + (f"with {remedy}" if remedy else "without a change")),
    )  # fmt: skip
    click.echo(as_json(done, config.lang) if form == "json" else as_text(done, known, config.lang), nl=False)
    return OK if done.reproduced else UNKNOWN


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


# --- the loop: one change at a time ------------------------------------------------------------------------

_JOURNAL = click.option(
    "--journal", "file", type=click.Path(dir_okay=False), metavar="FILE",
    help="The journal [gandoctor-journal.jsonl here, or in the nearest folder above].",
)  # fmt: skip
_NOTE = click.option("--note", default="", metavar="TEXT", help="A remark of yours.")


@main.command()
@_reading
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

    wanted = _loop_wanted(formats, ("terminal", "json", "html"))
    config, rules = _loop_config(options)
    first, second = sides(paths, more)
    baseline, candidates = runs_at(first), runs_at(second)
    _check_tags(options["roles"], (tag for run in (*baseline, *candidates) for tag in run.tags))
    found = compare_all(baseline, candidates, config)
    report = compare_report(found, config.lang, rules)
    for name, file in wanted:
        if name == "html":
            write_pages(found, file or Path("gandoctor-compare.html"), config.lang, rules)
        else:
            _loop_out(name, file, report, print_comparisons)
    if not wanted:
        page = Path(output or "gandoctor-compare.html")
        written = [] if no_report else write_pages(found, page, config.lang, rules)
        print_comparisons(report, _console(), written[0] if written else None)
    said = {one.decision for one in found}
    if not exit_code:
        return OK
    return FAILED if Decision.REVERT in said else UNKNOWN if Decision.NOT_ENOUGH in said else OK


@main.command()
@_reading
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

    wanted = _loop_wanted(formats, ("terminal", "json")) or [("terminal", None)]
    config, rules = _loop_config(options)
    runs = runs_at(paths)
    _check_tags(options["roles"], (tag for run in runs for tag in run.tags))
    report = sensitivity_report(sensitivity_of(runs, config), config.lang, rules)
    for name, file in wanted:
        _loop_out(name, file, report, print_sensitivity)
    return OK


@main.group()
def journal() -> None:
    """Keep the record: baseline, hypothesis, result."""


@journal.command()
@_reading
@_JOURNAL
@_NOTE
def new(paths: Sequence[str], file: str | None, note: str, **options: Any) -> int:
    """Begin with a baseline: the run at PATHS, or several seeds of it."""
    from gandoctor.judge.diagnose import diagnose_run, fitting
    from gandoctor.loop.journal import add_baseline
    from gandoctor.loop.named import runs_at
    from gandoctor.reports.loop.words import say

    config, _ = _loop_config(options)
    diagnoses = [diagnose_run(run, fitting(config, run)) for run in runs_at(paths)]
    path = _journal_at(file)
    entry = add_baseline(path, diagnoses, note=note, thumbnails=_thumbnails(diagnoses))
    _wrote("baseline", entry.id, path, config.lang)
    click.echo(say("journal-next", config.lang))
    return OK


@journal.command()
@_JOURNAL
@click.option("--remedy", default="", metavar="ID", help="A remedy that the baseline's diagnosis named.")
@click.option("--code", default="", metavar="CODE", help="The symptom that it is against.")
@click.option("--change", default="", metavar="TEXT", help="The one change, in your words.")
@click.option("--because", default="", metavar="TEXT", help="The supposed cause, in your words.")
@_NOTE
@_LANG
@_RULES
def hypothesis(
    file: str | None, remedy: str, code: str, change: str, because: str, note: str, lang: str | None,
    rule_folders: Sequence[str],
) -> int:  # fmt: skip
    """Suppose a cause and one change, by default the first remedy not tried yet."""
    from gandoctor.judge.rules import load_rules
    from gandoctor.loop import journal as record
    from gandoctor.reports.loop import journal as told
    from gandoctor.reports.loop.words import say

    lang = lang or "en"
    path, rules = _journal_at(file), load_rules(*map(Path, rule_folders))
    if not (remedy or change) and sys.stdin.isatty():
        entries, _ = record.read(path)
        standing, done = record.baseline_of(entries), record.tried(entries)
        offers = [one for one in standing.offers if code in ("", one.code)] if standing else []
        for place, one in enumerate(offers, start=1):
            rule = told.remedy_of(one.code, one.remedy, rules)
            before = done.get((one.code, one.remedy))
            words = say(f"decided-{before}", lang) if before else ""
            past = f" ({say('tried-before', lang, decision=words)})" if words else ""
            click.echo(f"{place:3}  {one.code} {rule.change.pick(lang) if rule else one.remedy}{past}")
        fresh = [n for n, one in enumerate(offers, start=1) if (one.code, one.remedy) not in done]
        if offers:
            numbers, usual = click.IntRange(1, len(offers)), (fresh or [1])[0]
            chosen = offers[click.prompt(say("journal-which", lang), type=numbers, default=usual) - 1]
            remedy, code = chosen.remedy, chosen.code
    entry = record.add_hypothesis(
        path, remedy=remedy, code=code.upper(), because=because, change=change, note=note
    )
    _wrote("hypothesis", entry.id, path, lang)
    [shown] = told.shown([entry], lang, rules)
    _say_lines([(say("change-head", lang), shown.title), *shown.lines], lang)
    click.echo(say("journal-then", lang))
    return OK


@journal.command()
@_reading
@_JOURNAL
@click.option("--keep", "decision", flag_value="keep", help="The change stays: its run is the next baseline.")
@click.option("--revert", "decision", flag_value="revert", help="The change goes.")
@click.option("--of", "number", type=int, metavar="N", help="The hypothesis, by its number [the open one].")
@click.option("-b", "--baseline", "more", multiple=True, type=click.Path(), metavar="PATH",
              help="Compare with this run in place of the one that the journal remembers. Repeatable.")  # fmt: skip
@_NOTE
def result(
    paths: Sequence[str], file: str | None, decision: str | None, number: int | None, more: Sequence[str], note: str,
    **options: Any,
) -> int:  # fmt: skip
    """Compare the run at PATHS with the baseline, and decide.

    Asks on a terminal, where neither --keep nor --revert is given; elsewhere the decision stays open.
    """
    from gandoctor.loop import journal as record
    from gandoctor.loop.compare import compare_runs
    from gandoctor.loop.named import noted, runs_at
    from gandoctor.reports.loop.rows import compare_report
    from gandoctor.reports.loop.terminal import print_comparisons
    from gandoctor.reports.loop.words import say

    config, rules = _loop_config(options)
    path = _journal_at(file)
    entries, problems = record.read(path)
    supposed = record.hypothesis_of(entries, number, path)
    if more:
        baseline = runs_at(more)
    else:
        departs = record.departs_from(entries, supposed, path)
        baseline = [noted(path.parent / run.path, run.name) for run in departs.runs]
    comparison = compare_runs(baseline, runs_at(paths), config)
    print_comparisons(compare_report([comparison], config.lang, rules), _console())
    if decision is None and sys.stdin.isatty():
        usual = {"keep": "keep", "revert": "revert"}.get(comparison.decision.value, "open")
        choice = click.Choice(["keep", "revert", "open"])
        decision = click.prompt(say("journal-decide", config.lang), type=choice, default=usual)
    decided: Any = decision or "open"
    entry = record.add_result(
        path, comparison, hypothesis=supposed.id, decision=decided, note=note,
        thumbnails=_thumbnails([member.diagnosis for member in comparison.candidate]),
    )  # fmt: skip
    _wrote("result", entry.id, path, config.lang)
    if entry.as_supposed is False:
        click.echo(say("note-not-as-supposed", config.lang))
    click.echo(say("journal-undecided" if decided == "open" else "journal-next", config.lang))
    for problem in problems:
        _say(f"{problem.file}: {problem.place}: {problem.message}")
    return OK


@journal.command()
@_JOURNAL
@click.option(
    "--format",
    "format_",
    type=click.Choice(["markdown", "html", "json"]),
    default="markdown",
    show_default=True,
)
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="A file in place of standard output.")
@_LANG
@_RULES
def show(
    file: str | None, format_: str, output: str | None, lang: str | None, rule_folders: Sequence[str]
) -> int:
    """Show the journal: Markdown, or a timeline with thumbnails (HTML)."""
    import msgspec

    from gandoctor.judge.rules import load_rules
    from gandoctor.loop import journal as record
    from gandoctor.reports.loop import journal as told

    path, lang = _journal_at(file), lang or "en"
    entries, problems = record.read(path)
    rules = load_rules(*map(Path, rule_folders))
    if format_ == "json":
        text = msgspec.json.format(msgspec.json.encode(entries), indent=2).decode() + "\n"
    else:
        write = told.timeline if format_ == "html" else told.markdown
        text = write(entries, problems, lang, rules)
    if output:
        told.write_text(Path(output), text)
    else:
        click.echo(text, nl=False)
    for problem in problems:
        _say(f"{problem.file}: {problem.place}: {problem.message}")
    return OK


def _loop_config(options: dict[str, Any]) -> tuple[Config, Any]:
    """The configuration, and the rules that go with it."""
    from gandoctor.judge.rules import load_rules

    config = _config(**options)
    return config, load_rules(*config.rules)


def _loop_wanted(formats: Sequence[str], known: Sequence[str]) -> Wanted:
    """The outputs that --format asks for. Raises UserError."""
    made: Wanted = []
    for one in formats:
        name, _, file = one.partition(":")
        if name not in known:
            raise UserError(f"no format is called '{name}' here", hint="formats: " + ", ".join(known))
        made.append((name, Path(file) if file else None))
    return made


def _loop_out(name: str, file: Path | None, report: Any, write: Callable[[Any, Console], None]) -> None:
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
        write(report, _console())
    else:
        out = io.StringIO()
        write(report, Plain(file=out, highlight=False, width=100))
        write_text(file, out.getvalue())


def _journal_at(given: str | None) -> Path:
    """The journal: the one given, the nearest at or above the working directory, else a new one here."""
    from gandoctor.loop.journal import FILE

    if given:
        return Path(given)
    here = Path.cwd()
    return next((folder / FILE for folder in (here, *here.parents) if (folder / FILE).is_file()), Path(FILE))


def _thumbnails(diagnoses: Sequence[Diagnosis]) -> dict[int, str]:
    """The last samples of each run, small."""
    from gandoctor.reports.loop.pictures import THUMBNAIL, last_samples

    made = {place: last_samples(one, THUMBNAIL) for place, one in enumerate(diagnoses)}
    return {place: one.src for place, one in made.items() if one is not None}


def _wrote(kind: str, number: int, path: Path, lang: str) -> None:
    from gandoctor.reports.loop.words import say

    word = say(f"entry-{kind}", lang)
    click.echo(say("journal-wrote", lang, kind=word, id=number, file=path.name))


def _say_lines(lines: Iterable[tuple[str, str]], lang: str) -> None:
    from gandoctor.reports.loop.words import say
    from gandoctor.reports.texts import clean

    for label, text in lines:
        click.echo("  " + clean(say("labelled", lang, label=label, text=text)))


# --- from options to diagnoses ---------------------------------------------------------------------------


def _config(
    roles: Sequence[str], family: str | None, select: Sequence[str], ignore: Sequence[str],
    config: str | None, rule_folders: Sequence[str], lang: str | None, features: str | None = None,
) -> Config:  # fmt: skip
    """The configuration found near the working directory, with the command line on top."""
    from gandoctor.api import check_config
    from gandoctor.config import find_config, language, read_config

    found = read_config(Path(config)) if config else find_config(Path.cwd())
    lang = language(lang or found.lang)
    made = found.changed(
        roles={**found.roles, **_roles(roles)}, family=family, lang=lang, features=features,
        select=tuple(code.upper() for code in select), ignore=tuple(code.upper() for code in ignore),
        rules=(*found.rules, *map(Path, rule_folders)),
    )  # fmt: skip
    check_config(made)
    return made


def _checked(
    config: Config, fail_on: Sequence[str], min_confidence: float | None, require: Sequence[str],
    baseline: str | None,
) -> Config:  # fmt: skip
    """The configuration with what the options of a check say on top."""
    return config.changed(
        fail_on=tuple(fail_on), min_confidence=min_confidence, require=tuple(require),
        baseline=Path(baseline) if baseline else None,
    )  # fmt: skip


def _judged(
    diagnosis: Diagnosis, config: Config, accepted: Mapping[str, Severity]
) -> tuple[str, tuple[str, ...]]:
    """The id of the finding that fails a run ("" if none does), and the roles that it should log."""
    from gandoctor.judge import checking

    own = config.for_path(diagnosis.run.path)
    rules = checking.Check.of(own, accepted)
    return checking.fails(diagnosis, rules, own), checking.missing(diagnosis, rules)


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


def _write(diagnoses: Sequence[Diagnosis], wanted: Wanted, config: Config, html: dict[str, Any]) -> None:
    from gandoctor.judge.rules import load_rules
    from gandoctor.reports import write_report

    for name, file in wanted:
        write_report(diagnoses, file, format=name, lang=config.lang, rules=load_rules(*config.rules), **html)


def _report(diagnoses: Sequence[Diagnosis], output: str | None, config: Config, html: dict[str, Any]) -> Path:
    """Write the report, as HTML unless the file's name says otherwise; a folder gets an index.html."""
    from gandoctor.judge.rules import load_rules
    from gandoctor.reports import formats, write_report

    several = len(diagnoses) > 1 and not html["single_file"]
    path = Path(output or ("gandoctor-report/index.html" if several else "gandoctor-report.html"))
    if path.is_dir() or str(output or "").endswith("/"):
        path = path / "index.html"
    suffixes = tuple(suffix for one in formats().values() for suffix in one.SUFFIXES)
    format = "" if path.name.lower().endswith(suffixes) else "html"
    write_report(diagnoses, path, format=format, lang=config.lang, rules=load_rules(*config.rules), **html)
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
    command = ["gandoctor", "diagnose", address(diagnosis.run.path), *_given(options)]
    line = f"{word:7} {diagnosis.run.name}: {diagnosis.verdict}{told}  # {shlex.join(command)}"
    return clean(line)


def _given(options: dict[str, Any]) -> list[str]:
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


if __name__ == "__main__":
    main()
