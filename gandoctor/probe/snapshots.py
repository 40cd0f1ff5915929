"""Which snapshots are probed: the checkpoint files at a path, on the step axis of the run that they belong to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gandoctor.contents.checkpoint import Unreadable, open_checkpoint
from gandoctor.errors import UserError
from gandoctor.interpret.networks import Contents, StateDict, counters, state_dicts
from gandoctor.interpret.snapshots import Opened
from gandoctor.readers.load import RunFiles, find_runs, load_run, readers
from gandoctor.run import Checkpoint, LogProblem, Run, Unit

FOLDER = "gandoctor-probe"  # of a run, where the results go; the readers know it
_ABOVE = 3  # folders above a checkpoint's own in which its run may begin
_MOST_BESIDE = 200  # files of a folder that are asked whether they are a log
_PLAIN = re.compile(r"(checkpoints?|ckpts?|cp|weights|models?|snapshots?|saved?(_models?)?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Found:
    """The snapshots to probe, by step. unit: of the steps, as they are to be logged."""

    run: Run
    snapshots: tuple[tuple[int, tuple[Checkpoint, ...]], ...]
    unit: Unit

    @property
    def settings(self) -> dict[str, object]:
        """What the configuration beside the run says, by name."""
        return {name: one.value for name, one in self.run.settings.items()}


class _Dated(Opened):
    """Checkpoints of which only the counters are looked at: to date them, no tensor need be read."""

    def contents(self, one: Checkpoint) -> Contents:
        try:
            return Contents(*counters(open_checkpoint(one.path, one.format)))
        except Unreadable as wrong:
            self.problems.append(LogProblem(one.path, wrong.place, "unreadable", wrong.message))
            return Contents()


def find(paths: Sequence[str | Path], most: int = 0) -> Found:
    """The snapshots at some paths: one run's folder, or checkpoint files of one run.

    most: how many at most, evenly spread with first and last among them; 0 for all. Raises UserError.
    """
    given = [Path(path) for path in paths]
    files: list[Path] = []
    for path in given:
        mine = _checkpoints(find_runs(path))
        if not mine:
            raise UserError(
                "no checkpoint was found" if path.is_dir() else "not a checkpoint of a known format",
                where=str(path),
                hint=".pt, .pth, .ckpt, .safetensors, .npz and StyleGAN's .pkl are read",
            )
        files += mine
    wanted = {file.resolve() for file in files}
    run, checkpoints = _run_of(given, wanted)
    logged = {tag: one for tag, one in run.series.items() if FOLDER not in one.source.parts}
    run.series = logged
    dated = Opened.of(run)
    opened = _Dated(checkpoints, run.problems, dated.logged, dated.unit)
    by_path = {one.path: one for one in checkpoints}
    steps = [(one.step, tuple(by_path[path] for path in one.files)) for one in opened.snapshots]
    chosen = [steps[at] for at in _spread(len(steps), most)]
    return Found(run, tuple(chosen), dated.unit if logged else _unit(opened, steps))


def tensors_of(checkpoints: Sequence[Checkpoint]) -> tuple[list[StateDict], list[str]]:
    """The state dicts in a snapshot's files, none of them read, and what could not be opened."""
    found: list[StateDict] = []
    problems = []
    for one in checkpoints:
        try:
            found += state_dicts(open_checkpoint(one.path, one.format), one.path)
        except Unreadable as wrong:
            problems.append(f"{one.path}: {wrong}")
    return found, problems


def _spread(n: int, most: int) -> Iterator[int]:
    if most <= 0 or n <= most:
        yield from range(n)
    else:
        yield from sorted({round(at * (n - 1) / max(1, most - 1)) for at in range(most)})


def _unit(opened: Opened, steps: Sequence[tuple[int, object]]) -> Unit:
    """In which unit steps must be logged beside checkpoints without a log, so that these keep their dates."""
    ends = (min(step for step, _ in steps), max(step for step, _ in steps))
    again = _Dated(opened.checkpoints, [], ends, Unit.ITERATION)
    same = [one.step for one in again.snapshots] == [step for step, _ in steps]
    return Unit.ITERATION if same else Unit.EPOCH


def _run_of(given: Sequence[Path], wanted: set[Path]) -> tuple[Run, list[Checkpoint]]:
    """The run that the wanted files belong to, and their references in it. Raises UserError if there are several."""
    homes = {_home(path) for path in given}
    if len(homes) > 1:
        raise UserError("the checkpoints belong to several runs: " + ", ".join(map(str, sorted(homes))),
                        hint="probe one run at a time")  # fmt: skip
    [home] = homes
    mine = [one for one in find_runs(home) if wanted & {path.resolve() for path in _checkpoints([one])}]
    if len(mine) > 1:
        raise UserError("there are checkpoints of several runs: " + ", ".join(str(one.path) for one in mine),
                        where=str(home), hint="probe one run at a time")  # fmt: skip
    runs = load_run(mine[0]) if mine else []
    for run in runs:
        found = [one for one in run.checkpoints if one.path.resolve() in wanted]
        if found:
            return run, found
    # The checkpoints lie where a run does not claim them, as beside several logs of one folder.
    raise UserError("which run the checkpoints belong to is not told", where=str(home),
                    hint="put them into a folder of their own, or below their run's")  # fmt: skip


def _home(path: Path) -> Path:
    """The folder of the run that a path lies in: a folder that is named, or the file's own. Above it where its name
    says that it holds a run's checkpoints and no log lies in it.
    """
    folder = path if path.is_dir() else path.parent
    for _ in range(_ABOVE):
        if not _PLAIN.fullmatch(folder.absolute().name) or _has_log(folder):
            break
        folder = folder.parent if folder.name else folder.absolute().parent
    return folder


def _has_log(folder: Path) -> bool:
    """Whether a log lies in a folder itself."""
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())[:_MOST_BESIDE]
    except OSError:
        return False
    return any(_is_log(one) for path in files for one in find_runs(path))


def _is_log(found: RunFiles) -> bool:
    return any(
        readers()[name].KIND == "log" and FOLDER not in path.parts and path.name != "gandoctor-probe.json"
        for path, name in found.files
    )


def _checkpoints(found: Sequence[RunFiles]) -> list[Path]:
    return [path for one in found for path, name in one.files if readers()[name].KIND == "checkpoint"]
