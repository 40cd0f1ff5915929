"""The cure study: ill configurations, each remedy on a few seeds, the best of them and the control on new ones.

STUDY/cure.json          what was asked for
STUDY/done/ID.json       the rows of a group of runs that is done, renamed into place once they are on the disk
STUDY/cure.csv.xz        the table of all rows

The stages follow each other: controls say what is ill, and of what; the screening, which remedies go on; the final
runs count. Last, on configurations kept for it, what ranked first on the others is tried where it was not.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import asdict, dataclass, fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gandoctor import __version__
from gandoctor.errors import UserError
from gandoctor.judge.efficacy import efficacy_of
from gandoctor.judge.rules import Rule, load_rules
from gandoctor.lab.cure_design import (
    CONFIGURATIONS,
    PRECEDENCE,
    Ill,
    Treated,
    chosen,
    remedies_of,
    symptom_of,
)
from gandoctor.lab.cure_table import COLUMNS, TABLE, cured, entries_of, gone
from gandoctor.lab.pool import Crew, Named, on_cluster, on_processes, open_folder, progress, write_safely
from gandoctor.lab.table import Row, write_table
from gandoctor.lab.work import FULL, ROOM, told, train
from gandoctor.trainer.config import PER_RUN, TrainConfig
from gandoctor.trainer.truth import FALSE, GREY, TRUE

PLAN, DONE = "cure.json", "done"
SIDE = 10  # runs that train side by side at most
APART = 1_000  # seeds of one configuration and the next
SCREEN_FROM, FINAL_FROM = 200, 400  # the first seed of a stage, after the configuration's first


@dataclass(frozen=True, slots=True)
class Plan:
    """What a study is: with these, the rules and one version of the trainer it is the same study."""

    seed: int = 100_000
    controls: int = 10
    screen: int = 3
    final: int = 10
    steps: int | None = None  # of every run, in place of its data set's own
    only: tuple[str, ...] = ()  # names of configurations
    most: int | None = None  # remedies screened on a configuration

    def configurations(self) -> list[Ill]:
        """The configurations, in the order of the design. Raises UserError for a name that it has not."""
        known = [ill.name for ill in CONFIGURATIONS]
        for name in self.only:
            if name not in known:
                raise UserError(f"no configuration is called {name!r}", hint=f"one of: {', '.join(known)}")
        length: dict[str, Any] = {} if self.steps is None else {"steps": self.steps}
        chosen = [ill for ill in CONFIGURATIONS if not self.only or ill.name in self.only]
        return [replace(ill, config=replace(ill.config, **length)) for ill in chosen]

    def seeds(self, ill: Ill, stage: str) -> range:
        """The seeds of a stage: no run of one serves in another."""
        place = [one.name for one in CONFIGURATIONS].index(ill.name)
        start, count = {
            "control": (0, self.controls), "screen": (SCREEN_FROM, self.screen), "final": (FINAL_FROM, self.final),
        }[stage]  # fmt: skip
        first = self.seed + APART * place + start
        return range(first, first + count)

    def command(self) -> str:
        """The command that makes this study."""
        words = [f"--seed {self.seed}", f"--controls {self.controls}", f"--screen {self.screen}"]
        words += [f"--final {self.final}"] + ([f"--steps {self.steps}"] if self.steps else [])
        words += [f"--only {name}" for name in self.only] + ([f"--most {self.most}"] if self.most else [])
        return " ".join(["gandoctor lab cure STUDY", *words])


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that train side by side. about: of each run, what its row says beside the measurements."""

    id: str
    runs: tuple[TrainConfig, ...]
    about: tuple[tuple[tuple[str, Any], ...], ...]


def cure(study: Path, plan: Plan, *, jobs: int = 1, scheduler: str = "", resume: bool = False) -> Path:
    """Run a study, or what is left of it, and return the path of its table.

    resume: go on with the study that is there. Raises UserError if the folder holds another study, or the disk is
    full: what is done stays.
    """
    if not scheduler and find_spec("torch") is None:
        raise UserError(
            "the lab needs PyTorch, which is not installed", hint="pip install 'gandoctor[torch]'"
        )
    rules = load_rules()
    configurations = plan.configurations()
    _open(study, plan, configurations, rules, resume)
    for stage in ("control", "screen", "final", "judge"):
        groups = groups_of(stage, plan, configurations, rules, rows_in(study))
        _work(study, stage, groups, jobs, scheduler)
    table = study / TABLE
    write_table(rows_in(study), table, COLUMNS)
    return table


def _open(
    study: Path, plan: Plan, configurations: Sequence[Ill], rules: Mapping[str, Rule], resume: bool
) -> None:
    tried = [[remedies_of(ill, code, rules) for code in PRECEDENCE] for ill in configurations]
    drawn = hashlib.sha256(repr((configurations, tried)).encode()).hexdigest()[:16]
    asked = {"gandoctor": __version__, **asdict(plan), "drawn": drawn}
    open_folder(study, PLAN, asked, DONE, resume)


def rows_in(study: Path) -> list[Row]:
    """The rows of what is done, in the order of the groups' ids. Raises UserError for a damaged file."""
    rows: list[Row] = []
    for path in sorted((study / DONE).glob("*.json")):
        try:
            rows += json.loads(path.read_text(encoding="utf-8"))
        except ValueError as fault:
            raise UserError(
                f"cannot be read: {fault}", where=str(path), hint="delete it, then --resume"
            ) from fault
    return rows


# --- what is to be trained -------------------------------------------------------------------------------


def groups_of(
    stage: str, plan: Plan, configurations: Sequence[Ill], rules: Mapping[str, Rule], rows: Sequence[Row]
) -> list[Group]:
    """The groups of a stage, by the rows of the stages before it."""
    if stage == "control":
        return [
            group
            for number, ill in enumerate(configurations)
            for group in _grouped(number, stage, plan, ill, "", "", [_CONTROL])
        ]
    found: list[Group] = []
    firsts = first_ranked(rows, rules) if stage == "judge" else {}
    for number, (ill, code, split) in enumerate(admitted(configurations, rows)):
        screened = remedies_of(ill, code, rules)[: plan.most]
        tries: list[Treated | None] = []
        if stage == "screen":
            tries = [*screened]
        else:
            last = chosen([(one, *_counts(rows, ill, one, code)) for one in screened])
            if stage == "final":
                tries = [_CONTROL, *last]
            elif split == "judge" and (first := firsts.get(code)):
                applies = [one for one in remedies_of(ill, code, rules) if one.own and one.id == first]
                tries = [one for one in applies if one not in last]
        found += _grouped(number, stage, plan, ill, code, split, tries)
    return found


_CONTROL = None


def admitted(configurations: Sequence[Ill], rows: Sequence[Row]) -> list[tuple[Ill, str, str]]:
    """The configurations that are ill enough, of what, and whether they rank remedies or judge what was ranked.

    Those of one symptom rank and judge in turn.
    """
    found: list[tuple[Ill, str, str]] = []
    for ill in configurations:
        code = symptom_of(_truths(row for row in rows if _is(row, ill.name, "control")))
        if code:
            before = sum(one[1] == code for one in found)
            found.append((ill, code, ("rank", "judge")[before % 2]))
    return found


def first_ranked(rows: Sequence[Row], rules: Mapping[str, Rule]) -> dict[str, str]:
    """The remedy of each symptom with the largest lift on the configurations that rank, expert's order at ties."""
    found = efficacy_of(entry for entry in entries_of(rows) if entry.split == "rank")
    order = {code: [remedy.id for remedy in rules[code].remedies] for code in found}
    return {
        code: min(one.by_remedy, key=lambda id: (-round(one.lift(id), 9), order[code].index(id)))
        for code, one in found.items()
    }


def _is(row: Row, configuration: str, stage: str) -> bool:
    return bool(row["configuration"] == configuration and row["stage"] == stage and not row["error"])


def _truths(rows: Iterable[Row]) -> list[Mapping[str, Any]]:
    return [
        {
            "outcome": row["outcome"],
            "codes": {code: {"state": name} for name in (TRUE, GREY) for code in str(row[name]).split()},
        }
        for row in rows
    ]


def _counts(rows: Sequence[Row], ill: Ill, one: Treated, code: str) -> tuple[int, int]:
    mine = [
        row
        for row in rows
        if _is(row, ill.name, "screen") and (row["origin"], row["remedy"]) == (one.code, one.id)
    ]
    return sum(map(cured, mine)), sum(gone(row, code) for row in mine)


def _grouped(
    number: int, stage: str, plan: Plan, ill: Ill, code: str, split: str, tries: Sequence[Treated | None]
) -> list[Group]:
    """The runs of one configuration and stage, side by side where their shapes are the same."""
    by_shape: dict[str, list[tuple[TrainConfig, dict[str, Any]]]] = {}
    seeds = plan.seeds(ill, "final" if stage == "judge" else stage)
    for one in tries:
        config = ill.config if one is None else one.config
        if stage in ("final", "judge"):
            config = replace(config, overtime=config.steps)
        about = {
            "configuration": ill.name, "family": ill.config.family, "data": ill.config.data, "steps": ill.config.steps,
            "code": code, "split": split, "stage": "final" if stage == "judge" else stage,
            "origin": one.code if one else "", "remedy": one.id if one else "", "own": int(one.own) if one else "",
            "command": plan.command(),
        }  # fmt: skip
        runs = by_shape.setdefault(_shape(config), [])
        runs += [(replace(config, seed=seed), about | {"seed": seed}) for seed in seeds]
    groups = []
    for shape, runs in enumerate(by_shape.values()):
        for part, start in enumerate(range(0, len(runs), SIDE)):
            configs, abouts = zip(*runs[start : start + SIDE], strict=True)
            id = f"{_STAGES.index(stage)}-{stage}-{number:02d}-{ill.name}-{shape:02d}-{part:02d}"
            groups.append(Group(id, configs, tuple(tuple(about.items()) for about in abouts)))
    return groups


_STAGES = ("control", "screen", "final", "judge")
_PLAIN: dict[str, Any] = {
    field.name: field.default for field in fields(TrainConfig) if field.name in PER_RUN - {"log"}
}


def _shape(config: TrainConfig) -> str:
    """What runs that train side by side have in common."""
    return repr(replace(config, **_PLAIN))


# --- in the worker ---------------------------------------------------------------------------------------


def rows_of(group: Group) -> list[Row]:
    """Train the runs of a group, and return a row a run; a fault becomes a row with its error.

    Raises OSError where the disk is full.
    """
    with tempfile.TemporaryDirectory() as root:
        try:
            truths, seconds = train(group.runs, Path(root) / "runs")
        except Exception as fault:
            if isinstance(fault, OSError) and fault.errno in FULL:
                raise
            if shutil.disk_usage(root).free < ROOM:  # torch words it otherwise
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), root) from fault
            return failed(group, told(fault))
    share = round(seconds / len(truths), 3)
    return [
        dict(about) | _measured(truth) | {"seconds": share, "error": ""}
        for about, truth in zip(group.about, truths, strict=True)
    ]


def failed(group: Group, error: str) -> list[Row]:
    """The rows of runs that could not be finished."""
    return [dict(about) | {"error": error} for about in group.about]


def _measured(truth: Mapping[str, Any]) -> Row:
    row: Row = {"outcome": truth["outcome"], "later": truth["outcome_later"]}
    for name, state in (("true", TRUE), ("grey", GREY), ("false", FALSE)):
        row[name] = " ".join(sorted(code for code, it in truth["codes"].items() if it["state"] == state))
    for name in ("cov", "q", "flow"):
        value = truth["late"].get(name)
        row[name] = "" if value is None else round(value, 3)
    return row


def _work(study: Path, stage: str, groups: Sequence[Group], jobs: int, scheduler: str) -> None:
    done = {path.stem for path in (study / DONE).glob("*.json")}
    waiting = [group for group in groups if group.id not in done]
    try:
        with progress(len(groups) - len(waiting), len(groups), stage) as tell:
            crew = _crew(study, tell)
            if scheduler and waiting:
                on_cluster(scheduler, crew, waiting, shared=False)
            else:
                on_processes(jobs, crew, waiting)
    except OSError as fault:
        if fault.errno not in FULL:
            raise
        raise UserError(
            "the disk is full: what is done is kept",
            where=str(study), hint="make room, then run the same command with --resume",
        ) from fault  # fmt: skip


def _crew(study: Path, tell: Callable[[Named], None]) -> Crew[Group]:
    def send(pool: Executor, group: Group, shared: bool) -> Future[list[Row]]:
        return pool.submit(rows_of, group)

    def finish(group: Group, rows: Sequence[Row]) -> None:
        write_safely(study / DONE / f"{group.id}.json", json.dumps(rows) + "\n")
        tell(group)

    return Crew(send, finish, failed)
