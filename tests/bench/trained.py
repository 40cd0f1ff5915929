"""The accuracy study: train runs of known truth, diagnose them, count who was right.

    python tests/bench/trained.py --healthy 60 --ill 60 --seed 2000 --jobs 2 --keep /tmp/study
    python tests/bench/trained.py --reuse /tmp/study          # diagnose the same runs again

Configurations are drawn at random: family, data, fault and dose, seed, learning rate schedule, names of
the tags, what is logged, and how. Seeds below 2000 served development; the final figures come from seeds
of 2000 and above, on which no threshold was chosen.

A primary is right if it is one of the acceptable ones, which `gandoctor/trainer/faults.py` writes down by
fault and by what is logged. Where nothing that is logged shows any of them (a collapse in a log of losses),
silence is the right answer: such ill runs are counted apart.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from gandoctor.stats import wilson
from gandoctor.trainer import FAULTS, LogConfig, TrainConfig, configure
from gandoctor.trainer.config import BASELINES, LOG_LEVELS, PER_RUN
from gandoctor.trainer.faults import Fault, visible
from gandoctor.trainer.truth import FILE, State, primaries

# Names that other people give to the same quantities; what a style leaves out keeps our name.
TAG_STYLES: dict[str, dict[str, str]] = {
    "plain": {},
    "dcgan": {
        "loss/D": "Loss_D", "loss/G": "Loss_G", "loss/D_real": "errD_real", "loss/D_fake": "errD_fake",
        "lr/D": "lr_D", "lr/G": "lr_G", "grad_norm/D": "netD/grad_norm", "grad_norm/G": "netG/grad_norm",
    },
    "mimicry": {
        "loss/D": "errD", "loss/G": "errG", "lr/D": "lr_D", "lr/G": "lr_G", "penalty": "grad_penalty",
    },
    "snake": {
        "loss/D": "d_loss", "loss/G": "g_loss", "loss/D_real": "d_loss_real", "loss/D_fake": "d_loss_fake",
        "penalty": "gradient_penalty", "grad_norm/D": "d_grad_norm", "grad_norm/G": "g_grad_norm",
        "lr/D": "d_lr", "lr/G": "g_lr", "out/real_mean": "real_score", "out/fake_mean": "fake_score",
        "out/real_std": "real_score_std", "out/fake_std": "fake_score_std",
    },
    "words": {
        "loss/D": "Disc Loss", "loss/G": "Gen Loss", "loss/D_real": "Disc Loss Real",
        "loss/D_fake": "Disc Loss Fake", "penalty": "Gradient Penalty",
    },
    "slashes": {
        "loss/D": "discriminator/loss", "loss/G": "generator/loss", "loss/D_real": "discriminator/loss_real",
        "loss/D_fake": "discriminator/loss_fake", "penalty": "discriminator/penalty",
        "grad_norm/D": "discriminator/grad_norm", "grad_norm/G": "generator/grad_norm",
    },
    "stylegan": {
        "loss/D": "Loss/D/loss", "loss/G": "Loss/G/loss", "penalty": "Loss/D/reg",
        "out/real_mean": "Loss/scores/real", "out/fake_mean": "Loss/scores/fake",
    },
}  # fmt: skip

COLUMNS = (
    "folder", "family", "data", "fault", "dose", "seed", "steps", "lr_end", "level", "format", "tags",
    "halve_d", "config", "images", "checkpoints", "points", "outcome", "true_codes", "grey_codes",
    "acceptable_primaries", "visible", "cov", "q", "top", "div", "flow", "auc", "seconds",
)  # fmt: skip

Group = list[tuple[TrainConfig, str]]  # configurations that train side by side, with their tag style


def draw(
    healthy: int, ill: int, seed: int, side: int = 4, faults: Sequence[str] = tuple(FAULTS)
) -> list[Group]:
    """Draw the study's configurations, `side` runs of one shape; the same seed draws the same."""
    rng = random.Random(seed)
    groups: list[Group] = []
    kinds, left = {"": _healthy_kinds(rng), "ill": _ill_kinds(rng, faults)}, {"": healthy, "ill": ill}
    while any(left.values()):
        for kind in [kind for kind in left if left[kind]]:  # in turn, so that a part is a fair sample too
            family, data, fault = next(kinds[kind])
            size = min(side, left[kind])
            group = [_draw_run(rng, family, data, fault, seed + i) for i in range(size)]
            groups.append([(_same_shape(config, group[0][0]), style) for config, style in group])
            left[kind] -= size
            seed += size
    return groups


def _healthy_kinds(rng: random.Random) -> Iterator[tuple[str, str, str]]:
    while True:
        yield from ((family, data, "") for family, data in rng.sample(BASELINES, len(BASELINES)))


def _ill_kinds(rng: random.Random, faults: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    while True:
        for fault in (FAULTS[name] for name in rng.sample(faults, len(faults))):
            fits = [(f, d) for f, d in BASELINES if f in fault.families and d in fault.data]
            yield (*rng.choice(fits), fault.name)


def _draw_run(rng: random.Random, family: str, data: str, fault: str, seed: int) -> tuple[TrainConfig, str]:
    """One run: its dose, schedule and what it logs under which names."""
    style = rng.choice(list(TAG_STYLES))
    log = LogConfig(
        level=rng.choices(("losses", "outputs", "norms", "samples", "all"), (3, 2, 2, 1, 2))[0],
        format=rng.choice(("tensorboard", "csv", "jsonl")),
        points=rng.choice((100, 200, 200, 500)),
        tags=TAG_STYLES[style],
        halve_d=not family.startswith("wgan") and rng.random() < 0.25,
        config=rng.random() < 0.5,
        images=rng.choice((0, 3)),
        checkpoints=rng.choice((0, 0, 2)),
    )
    config = configure(
        family, data, fault, dose=rng.uniform(0.85, 1.15) if fault else 1.0, seed=seed, log=log
    )
    if config.lr_end < 1 and rng.random() < 0.5:  # a constant rate, a little lower
        config = replace(config, lr_end=1.0, lr_g=config.lr_g * 2 / 3, lr_d=config.lr_d * 2 / 3)
    return config, style


def _same_shape(config: TrainConfig, shape: TrainConfig) -> TrainConfig:
    """Give a configuration the step counts of its group, which the dose may have moved."""
    own = {name: getattr(config, name) for name in PER_RUN}
    return replace(shape, **own)


def _logging(config: TrainConfig, level: str) -> TrainConfig:
    return replace(config, log=replace(config.log, level=level))


def train_group(job: tuple[Group, Path, int]) -> list[dict[str, Any]]:
    """Train one group into numbered folders; return its rows of the index."""
    from gandoctor.trainer.loop import train_many

    group, root, first = job
    folders = [root / f"run{first + i:04d}" for i in range(len(group))]
    truths = train_many([config for config, _ in group], folders)
    rows = []
    for (config, style), folder, truth in zip(group, folders, truths, strict=True):
        states = {code: it.state for code, it in truth.codes.items()}
        rows.append({
            "folder": folder.name, "family": config.family, "data": config.data, "fault": config.fault,
            "dose": round(config.dose, 3), "seed": config.seed, "steps": config.steps,
            "lr_end": config.lr_end, "level": config.log.level, "format": config.log.format, "tags": style,
            "halve_d": int(config.log.halve_d), "config": int(config.log.config), "images": config.log.images,
            "checkpoints": config.log.checkpoints, "points": config.log.points, "outcome": truth.outcome,
            "true_codes": " ".join(code for code in sorted(states) if states[code] == "true"),
            "grey_codes": " ".join(code for code in sorted(states) if states[code] == "grey"),
            "acceptable_primaries": " ".join(truth.acceptable_primaries),
            "visible": int(truth.visible),
            **{name: round(truth.late[name], 3) for name in ("cov", "q", "top", "div", "flow", "auc")},
            "seconds": round(truth.seconds / len(group), 2),
        })  # fmt: skip
    return rows


def train_all(groups: Sequence[Group], root: Path, jobs: int) -> None:
    """Train all groups; index.csv grows by a group at a time."""
    root.mkdir(parents=True, exist_ok=True)
    sizes = [len(group) for group in groups]
    work = [(group, root, sum(sizes[:i])) for i, group in enumerate(groups)]
    with (root / "index.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        with ProcessPoolExecutor(jobs) as pool:
            for rows in pool.map(train_group, work):
                table.writerows(rows)
                file.flush()
                kind = f"{rows[0]['family']} {rows[0]['data']} {rows[0]['fault'] or '-'}"
                print(kind, *(row["outcome"] for row in rows), file=sys.stderr)


Row = dict[str, str]


def rescored(root: Path, rows: Sequence[Row]) -> list[Row]:
    """The rows with what counts as right by today's table of faults: the truth was measured, and stays."""
    done = []
    for row in rows:
        truth = json.loads((root / row["folder"] / FILE).read_text(encoding="utf-8"))
        codes = {code: State(**state) for code, state in truth["codes"].items()}
        fault = FAULTS[row["fault"]] if row["fault"] else Fault("", "", ())
        config = replace(
            TrainConfig(), family=row["family"], fault=row["fault"],
            log=LogConfig(level=row["level"], config=row["config"] == "1", images=int(row["images"]),
                          checkpoints=int(row["checkpoints"])),
        )  # fmt: skip

        def seen(code: str, config: TrainConfig = config) -> bool:
            return visible(code, config)

        auc = truth["late"]["auc"]
        names = primaries(codes, fault.causes, fault.known, math.nan if auc is None else auc, seen)
        done.append(
            row | {"acceptable_primaries": " ".join(names), "visible": str(int(any(map(seen, names))))}
        )
    return done


def diagnose_all(root: Path, rows: Sequence[Row], chunk: int = 40) -> list[Row]:
    """Diagnose each run by the command line; return the rows with verdict, primary and confidence added."""
    called = call_all(root, [row["folder"] for row in rows], chunk)
    return [row | _call(runs) for row, runs in zip(rows, called, strict=True)]


def call_all(root: Path, folders: Sequence[str], chunk: int = 40) -> list[list[dict[str, Any]]]:
    """What `diagnose --format json` says of the runs in each folder."""
    called: dict[Path, list[dict[str, Any]]] = {(root / folder).resolve(): [] for folder in folders}
    for at in range(0, len(folders), chunk):
        places = list(called)[at : at + chunk]
        command = [sys.executable, "-m", "gandoctor", "diagnose", *map(str, places), "--format", "json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command[:4])} failed with {done.returncode}:\n{done.stderr}")
        for run in json.loads(done.stdout)["runs"]:
            place = Path(run["path"]).resolve()
            called[next(folder for folder in places if place.is_relative_to(folder))].append(run)
    return list(called.values())


def _call(runs: Sequence[dict[str, Any]]) -> Row:
    """What was said about one folder. One that was read as several runs is judged by the first of them."""
    if not runs:
        return {"verdict": "unread", "primary": "", "confidence": "", "runs": "0", "findings": ""}
    primary = runs[0]["primary"] or {"code": "", "confidence": ""}
    found = {f["code"] for f in runs[0]["findings"] if f["severity"] != "info"}
    return {
        "verdict": runs[0]["verdict"], "primary": primary["code"], "confidence": str(primary["confidence"]),
        "runs": str(len(runs)), "findings": " ".join(sorted(found)),
    }  # fmt: skip


def share(k: int, n: int) -> str:
    """A share with its interval, for a table."""
    low, high = wilson(k, n)
    return f"{k}/{n} ({low:.2f}-{high:.2f})"


def right(row: Row) -> bool:
    """Whether the primary is one that was written down as acceptable before."""
    return row["primary"] in row["acceptable_primaries"].split()


def true(row: Row) -> bool:
    """Whether the primary is acceptable or any mechanism that was measured true."""
    return right(row) or row["primary"] in row["true_codes"].split()


def report(rows: Sequence[Row]) -> str:
    """The study's tables as text."""
    sick = [row for row in rows if row["outcome"] == "ill"]
    ill = [row for row in sick if row["visible"] == "1"]
    hidden = [row for row in sick if row["visible"] == "0"]
    strict = ill + [row for row in hidden if row["primary"]]
    clean = [row for row in rows if row["outcome"] == "healthy" and not row["true_codes"]]
    harmless = [row for row in rows if row["outcome"] == "healthy" and row["true_codes"]]
    grey = sum(row["outcome"] == "grey" for row in rows)
    alarms = [row for row in clean if row["verdict"] not in {"healthy", "unknown"}]
    missed = [row for row in ill if row["verdict"] == "healthy"]
    split = sum(row["runs"] not in {"0", "1"} for row in rows)
    lines = [
        f"{len(rows)} runs: {len(sick)} ill, {len(clean)} healthy, {len(harmless)} healthy with a true"
        f" mechanism, {grey} grey (left out); {split} folders read as several runs",
        f"primary right on ill runs: {share(sum(map(right, ill)), len(ill))} of those that log anything that"
        " shows it",
        f"  and where nothing shows: {sum(not row['primary'] for row in hidden)} of {len(hidden)} silent,"
        f" {sum(map(right, hidden))} named right; all that were named wrong counted as wrong: "
        f"{share(sum(map(right, strict)), len(strict))}",
        f"primary among all true codes or the acceptable ones: {share(sum(map(true, ill)), len(ill))}",
        f"ill runs called healthy:   {share(len(missed), len(ill))}",
        f"false alarms on healthy:   {share(len(alarms), len(clean))}",
        f"harmless faults called failing: "
        f"{share(sum(row['verdict'] == 'failing' for row in harmless), len(harmless))}",
    ]
    lines += _table("ill, by fault", ill, lambda row: row["fault"] or "(none)")
    lines += _table("ill, by what is logged", ill, lambda row: row["level"])
    lines += _table(
        "ill, by fault and what is logged", ill, lambda row: f"{row['fault'] or '(none)'} {row['level']}"
    )
    lines += _table("healthy, by what is logged", clean, lambda row: row["level"], score=False)
    lines += _table(
        "healthy, by family and data", clean, lambda row: f"{row['family']} {row['data']}", score=False
    )
    lines += _calibration([row for row in rows if row["outcome"] != "grey" and row["primary"]])
    lines += ["", "ill runs whose primary was not right"]
    lines += [_line(row) for row in sick if not right(row) and (row["visible"] == "1" or row["primary"])]
    lines += ["", "false alarms"] + [_line(row) for row in alarms]
    return "\n".join(lines)


def _table(title: str, rows: Sequence[Row], key: Callable[[Row], str], *, score: bool = True) -> list[str]:
    lines = ["", title]
    for name in sorted({key(row) for row in rows}):
        group = [row for row in rows if key(row) == name]
        verdicts = Counter(row["verdict"] for row in group)
        counts = " ".join(f"{verdict} {verdicts[verdict]}" for verdict in sorted(verdicts))
        mark = f"primary right {share(sum(map(right, group)), len(group)):22}" if score else ""
        lines.append(f"  {name:32} n {len(group):3}  {mark}  {counts}")
    return lines


def _calibration(rows: Sequence[Row]) -> list[str]:
    """Of the primaries given with a confidence, how many were right."""
    lines = ["", "confidence of primaries against their being right"]
    for low, high in ((0.0, 0.5), (0.5, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 1.01)):
        group = [row for row in rows if low <= float(row["confidence"]) < high]
        lines.append(f"  {low:.1f}-{min(high, 1):.1f}  {share(sum(map(right, group)), len(group))}")
    return lines


def _line(row: Row) -> str:
    return (
        f"  {row['folder']} {row['family']} {row['data']} {row['fault'] or '-'}"
        f" [{row['level']}, {row['format']}]"
        f" said {row['verdict']} {row['primary'] or '-'}; acceptable {row['acceptable_primaries'] or '-'};"
        f" true {row['true_codes'] or '-'}; found {row['findings'] or '-'}"
    )


def main() -> None:
    """Train, diagnose, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--healthy", type=int, default=60, help="runs without a fault")
    parser.add_argument("--ill", type=int, default=60, help="runs with a fault")
    parser.add_argument("--seed", type=int, default=2000, help="below 2000: development")
    parser.add_argument("--jobs", type=int, default=2, help="processes that train")
    parser.add_argument("--side", type=int, default=4, help="runs of one fault, trained side by side")
    parser.add_argument("--level", choices=LOG_LEVELS, help="what every run logs, in place of a draw")
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=list(FAULTS), metavar="NAME")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--keep", type=Path, help="train into this folder and keep it")
    where.add_argument("--reuse", type=Path, help="diagnose the runs of an earlier --keep again")
    parser.add_argument("--only-train", action="store_true", help="do not diagnose")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = options.reuse or options.keep or Path(scratch)
        if not options.reuse:
            groups = draw(options.healthy, options.ill, options.seed, options.side, options.faults)
            if options.level:
                groups = [[(_logging(c, options.level), style) for c, style in group] for group in groups]
            train_all(groups, root, options.jobs)
        if options.only_train:
            return
        with (root / "index.csv").open(encoding="utf-8", newline="") as file:
            rows = diagnose_all(root, rescored(root, list(csv.DictReader(file))))
        with (root / "results.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
        print(report(rows))


if __name__ == "__main__":
    main()
