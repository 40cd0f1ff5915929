"""One configuration: trained, diagnosed in every logging style, and turned into rows. Runs in a worker process."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gandoctor.api import load_all
from gandoctor.findings import State
from gandoctor.judge.confidence import features
from gandoctor.judge.diagnose import diagnose_run
from gandoctor.lab.design import WRONG_FROM, Configuration
from gandoctor.lab.peers import verdicts
from gandoctor.lab.scores import scores
from gandoctor.lab.styles import STYLES, Style, as_logged, restricted
from gandoctor.lab.table import Row
from gandoctor.trainer.config import TrainConfig
from gandoctor.trainer.faults import FAULTS, visible
from gandoctor.trainer.truth import FALSE, FILE, GREY, TRUE, primaries
from gandoctor.trainer.truth import State as TruthState

if TYPE_CHECKING:
    from gandoctor.run import Run

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})  # a full disk: no fault of the configuration
ROOM = 2**20  # bytes: with less, a fault is the disk's
LATE = ("cov", "q", "top", "div", "flow", "auc")


def rows_of(configuration: Configuration, part: str, folder: Path | None, keep: bool) -> list[Row]:
    """Train the runs of a configuration, unless `folder` holds them, and return a row a run and style.

    folder: where the runs go, None for a temporary place. keep: leave them there.
    A fault of the configuration becomes a row with the error. Raises OSError where the disk is full.
    """
    common = _common(configuration, part)
    place = tempfile.TemporaryDirectory() if folder is None else nullcontext(str(folder))
    with place as root:
        try:
            truths, seconds = train(configuration.runs, Path(root))
            rows = [
                common | row
                for number, (config, truth) in enumerate(zip(configuration.runs, truths, strict=True))
                for row in _rows_of_run(config, truth, Path(root) / f"run{number}", seconds / len(truths))
            ]
        except Exception as fault:
            if isinstance(fault, OSError) and fault.errno in FULL:
                raise
            if shutil.disk_usage(Path(root).parent).free < ROOM:  # torch and tensorboard word it otherwise
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), root) from fault
            rows = [common | {"seed": configuration.runs[0].seed, "error": told(fault)}]
        if folder is not None and not keep:
            shutil.rmtree(folder, ignore_errors=True)
    return rows


def _common(configuration: Configuration, part: str) -> Row:
    """What all rows of a configuration share."""
    one = configuration.runs[0]
    return {
        "configuration": configuration.id, "part": part, "held": " ".join(configuration.held),
        "kind": configuration.kind, "family": one.family, "data": one.data, "fault": one.fault, "dose": one.dose,
        "steps": one.steps, "tags": configuration.tags, "format": one.log.format, "points": one.log.points,
        "config": int(one.log.config),
    }  # fmt: skip


def failed(configuration: Configuration, part: str, error: str) -> list[Row]:
    """The row of a configuration that could not be finished."""
    return [_common(configuration, part) | {"seed": configuration.runs[0].seed, "error": error}]


def told(fault: Exception) -> str:
    """A fault in one line: its kind, its words, its place."""
    where = traceback.extract_tb(fault.__traceback__)[-1]
    return f"{type(fault).__name__}: {fault} ({Path(where.filename).name}:{where.lineno})"[:300]


def train(configs: Sequence[TrainConfig], root: Path) -> tuple[list[Mapping[str, Any]], float]:
    """Train runs side by side into root/run0, root/run1, …, unless they lie there already.

    Returns their measured truths, as in truth.json, and the seconds of processor time that training took;
    by the clock where they lay there.
    """
    folders = [root / f"run{number}" for number in range(len(configs))]
    truths = _kept(folders)
    if truths is not None:
        return truths, max((float(truth["seconds"]) for truth in truths), default=0.0)
    from gandoctor.trainer import train_many

    shutil.rmtree(root, ignore_errors=True)  # what a kill left half done
    root.mkdir(parents=True, exist_ok=True)
    started = time.process_time()
    train_many(configs, folders)
    return _kept(folders) or [], time.process_time() - started


def _kept(folders: Sequence[Path]) -> list[Mapping[str, Any]] | None:
    """The truths that lie in all the folders, None if one is missing or damaged."""
    try:
        return [json.loads((folder / FILE).read_text(encoding="utf-8")) for folder in folders]
    except (OSError, ValueError):
        return None


def _rows_of_run(config: TrainConfig, truth: Mapping[str, Any], folder: Path, seconds: float) -> list[Row]:
    """A row a style of one run."""
    from gandoctor.trainer.logs import TAGS

    runs = load_all(folder)
    about = _truth_columns(config, truth) | {
        "seed": config.seed,
        "seconds": round(seconds, 2),
        "runs": len(runs),
    }
    rows = []
    for style in STYLES:
        row = about | _acceptable(config, truth, style) | {"style": style.name}
        if not runs:
            rows.append(row | {"verdict": "unread"})
            continue
        started = time.process_time()
        try:
            called = _diagnosed(restricted(runs[0], config, style, TAGS), config)
        except Exception as fault:  # a detector's own: it costs this row only
            called = {"error": told(fault)}
        rows.append(row | called | {"diagnosis_seconds": round(time.process_time() - started, 3)})
    return rows


def _states(config: TrainConfig, truth: Mapping[str, Any]) -> dict[str, TruthState]:
    """The state of each code. What a fault makes true by construction is grey at a dose that may be harmless."""
    states = {code: TruthState(**state) for code, state in truth["codes"].items()}
    if config.fault and config.dose < WRONG_FROM:
        states |= {code: TruthState(GREY) for code in FAULTS[config.fault].known if code in states}
    return states


def _truth_columns(config: TrainConfig, truth: Mapping[str, Any]) -> Row:
    states = _states(config, truth)
    row: Row = {
        name: " ".join(sorted(code for code, it in states.items() if it.state == state))
        for name, state in (("true", TRUE), ("grey", GREY), ("false", FALSE))
    }
    row["onsets"] = " ".join(
        f"{code}:{it.onset}"
        for code, it in sorted(states.items())
        if it.state == TRUE and it.onset is not None
    )
    late = {name: truth["late"].get(name) for name in LATE}
    row |= {name: "" if value is None else round(value, 3) for name, value in late.items()}
    return row | {"outcome": truth["outcome"]}


def _acceptable(config: TrainConfig, truth: Mapping[str, Any], style: Style) -> Row:
    """What counts as a right primary in a style, and whether anything logged shows it."""
    fault = FAULTS[config.fault] if config.fault else None
    known = fault.known if fault and config.dose >= WRONG_FROM else ()
    logged = as_logged(config, style)
    auc = truth["late"].get("auc_train")
    names = primaries(
        _states(config, truth), fault.causes if fault else (), known,
        math.nan if auc is None else auc, lambda code: visible(code, logged),
    )  # fmt: skip
    return {"acceptable": " ".join(names), "visible": int(any(visible(code, logged) for code in names))}


def _diagnosed(run: Run, config: TrainConfig) -> Row:
    """What is said of a run, how strongly it shows each symptom, and what the peers' rules say."""
    diagnosis = diagnose_run(run)
    examined = [line.code for line in diagnosis.coverage if line.state is State.EXAMINED]
    found = [one.finding for one in diagnosis.findings]
    strengths = scores(diagnosis.views, examined)
    own = {config.log.tags.get(tag, tag): tag for tag in _PEERS_READ}
    row: Row = {
        "verdict": diagnosis.verdict.value,
        "findings": " ".join(f"{one.code}:{one.severity.slug}:{one.stretch.onset}" for one in found),
        "examined": " ".join(examined),
        "scores": " ".join(f"{code}:{value:g}" for code, value in sorted(strengths.items()) if value),
        "peers": " ".join(verdicts({own[tag]: s.values for tag, s in run.series.items() if tag in own})),
    }
    if (primary := diagnosis.primary) is not None:
        sure = {view.pair: view.family.certainty for view in diagnosis.views}
        finding = primary.finding
        sureness = sure.get(finding.subject.pair, max(sure.values(), default=0.0))
        row |= {
            "primary": finding.code, "severity": finding.severity.slug, "confidence": primary.confidence,
            "features": " ".join(features(finding, sureness)), "onset": finding.stretch.onset,
        }  # fmt: skip
    return row


_PEERS_READ = ("loss/D", "loss/G", "grad_norm/D", "grad_norm/G")
