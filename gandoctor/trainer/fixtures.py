"""Remakes fixtures/: small runs of known truth, for tests and for a first look at a report.

python -m gandoctor.trainer.fixtures [FOLDER] [--only NAME ...]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gandoctor.trainer.config import LogConfig, TrainConfig
from gandoctor.trainer.faults import configure


@dataclass(frozen=True, slots=True)
class Fixture:
    """One run to make. points, images, checkpoints keep a log under 100 KB and a run under 600 KB."""

    name: str
    family: str
    data: str
    fault: str
    format: str
    level: str
    points: int = 200
    images: int = 0
    checkpoints: int = 0
    halve_d: bool = False
    config: bool = True
    dose: float = 1.0

    def settings(self) -> TrainConfig:
        """The run's configuration; all have seed 0."""
        log = LogConfig(
            level=self.level, format=self.format, points=self.points, halve_d=self.halve_d,
            config=self.config, images=self.images, checkpoints=self.checkpoints,
        )  # fmt: skip
        return configure(self.family, self.data, self.fault, self.dose, log=log)


FIXTURES = [
    Fixture("healthy-ns", "ns", "ring8", "", "tensorboard", "all", points=80, images=2, checkpoints=1),
    Fixture("healthy-wgan-gp", "wgan-gp", "ring8", "", "csv", "norms"),
    Fixture("healthy-hinge", "hinge", "glyphs", "", "jsonl", "samples", points=120, images=3),
    Fixture("healthy-lsgan", "lsgan", "ring8", "", "csv", "losses", halve_d=True, config=False),
    Fixture(
        "hopping-collapse", "ns", "ring8", "no-r1-momentum", "tensorboard", "all", 80, images=3, dose=1.2
    ),
    Fixture("lost-modes", "lsgan", "glyphs", "bare-loss", "jsonl", "samples", points=120, images=3),
    Fixture("late-collapse", "ns", "ring8", "late-collapse", "csv", "all"),
    Fixture("constant-z", "ns", "glyphs", "z-constant", "csv", "samples", images=3),
    Fixture("small-g", "rpgan", "ring8", "small-g", "csv", "samples"),
    Fixture("d-perfect", "minimax", "ring8", "d-perfect", "csv", "norms"),
    Fixture("d-wins", "ns", "ring8", "g-too-slow", "jsonl", "outputs", config=False),
    Fixture("g-wins", "ns", "ring8", "g-too-fast", "tensorboard", "norms", points=100),
    Fixture("lr-too-high", "ns", "ring8", "lr-too-high", "csv", "all"),
    Fixture("lr-explode", "ns", "ring8", "lr-explode", "csv", "norms"),
    Fixture("lr-zero", "hinge", "ring8", "lr-zero", "tensorboard", "norms", points=100),
    Fixture("lr-dies-early", "ns", "ring8", "lr-dies-early", "csv", "all"),
    Fixture("bad-init", "ns", "ring8", "bad-init", "csv", "norms"),
    Fixture("vanishing-by-depth", "ns", "ring8", "deep-sigmoid-d", "csv", "norms"),
    Fixture("half-precision", "ns", "glyphs", "fp16-overflow", "jsonl", "losses"),
    Fixture("swapped-labels", "ns", "ring8", "swapped-labels", "csv", "outputs"),
    Fixture("g-detached", "ns", "ring8", "g-detached", "jsonl", "norms", points=120),
    Fixture("critic-unbound", "wgan-gp", "ring8", "no-penalty", "csv", "norms"),
    Fixture("clip-too-small", "wgan-clip", "ring8", "clip-too-small", "csv", "norms", checkpoints=1),
    Fixture("penalty-too-big", "wgan-gp", "ring8", "huge-gamma", "csv", "norms"),
    Fixture("data-range", "ns", "glyphs", "data-range", "tensorboard", "samples", points=80, images=2),
    Fixture("d-overfits", "ns", "glyphs", "tiny-data", "csv", "outputs"),
]


def make(fixture: Fixture, root: Path) -> dict[str, Any]:
    """Train one fixture into root/name, in place of what was there; return its truth."""
    from gandoctor.trainer.loop import train

    folder = root / fixture.name
    shutil.rmtree(folder, ignore_errors=True)
    train(fixture.settings(), folder)
    for events in folder.glob("events.out.tfevents.*"):  # its own name holds this host's
        events.rename(folder / "events.out.tfevents.0000000000.fixture.0")
    return _truth(folder)


def _truth(folder: Path) -> dict[str, Any]:
    truth: dict[str, Any] = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    return truth


def write_readme(root: Path) -> None:
    """Write README.md: what each run is, from its own truth.json."""
    lines = [
        "# Fixtures",
        "",
        "Small runs of the reference trainer, each with its measured truth in `truth.json`, which",
        "`gandoctor diagnose` never reads. All have seed 0. This command remakes them and this page:",
        "",
        "    python -m gandoctor.trainer.fixtures",
        "",
        "The same seed gives the same numbers on one machine; another processor or version of PyTorch",
        "may give another run with the same illness.",
        "",
        "| run | loss, data | fault | log | outcome | codes measured true | right primaries |",
        "|---|---|---|---|---|---|---|",
    ]
    for it in FIXTURES:
        truth = _truth(root / it.name)
        true = sorted(code for code, state in truth["codes"].items() if state["state"] == "true")
        lines.append(
            f"| {it.name} | {it.family}, {it.data} | {it.fault or 'none'} | {it.format}, {it.level}"
            f" | {truth['outcome']} | {' '.join(true)} | {' '.join(truth['acceptable_primaries'])} |"
        )
    (root / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Make all fixtures, or those named by --only."""
    parser = argparse.ArgumentParser(description="Remake the fixtures of the reference trainer.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("fixtures"))
    parser.add_argument("--only", nargs="+", choices=[it.name for it in FIXTURES], metavar="NAME")
    options = parser.parse_args(arguments)
    for fixture in FIXTURES:
        if options.only and fixture.name not in options.only:
            continue
        truth = make(fixture, options.folder)
        print(f"{fixture.name}: {truth['outcome']}", file=sys.stderr)
    write_readme(options.folder)


if __name__ == "__main__":
    main()
