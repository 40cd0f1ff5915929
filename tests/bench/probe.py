"""What the probe's measures and detectors say of trained runs, healthy and ill.

    python -m tests.bench.probe [SEEDS] [WORD...]

Trains the reference trainer's families and some faults (those that a WORD names, if any) on SEEDS seeds each, with
eight checkpoints, probes them through a generator of the same shape, and asks the detectors of
`gandoctor/detectors/probed.py` alone. Prints for each case how many runs each of them speaks of, and the range of
the last snapshot's measures.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from gandoctor.detectors import all_detectors, run_detector
from gandoctor.findings import Finding
from gandoctor.interpret.view import views_of
from gandoctor.probe import Options, Probed, probe
from gandoctor.readers.load import load_all
from gandoctor.trainer import LogConfig, TrainConfig, configure, train_many

HEALTHY = [("ns", "ring8"), ("hinge", "ring8"), ("wgan-gp", "ring8"), ("ns", "grid25"), ("ns", "glyphs"),
           ("lsgan", "glyphs")]  # fmt: skip
FAULTS = [("late-collapse", "ring8"), ("z-constant", "ring8"), ("d-too-fast", "ring8"), ("lr-too-high", "ring8"),
          ("deep-sigmoid-g", "ring8"), ("l2-in-adam", "ring8"), ("late-collapse", "glyphs"),
          ("tiny-data", "glyphs")]  # fmt: skip
SHOWN = ("distance", "vendi", "z_share", "ppl", "jumps", "condition", "log_volume_spread", "dead_units")
_HIDDEN = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "leaky_relu": lambda: nn.LeakyReLU(0.2), "tanh": nn.Tanh}
_config = TrainConfig()


def build() -> nn.Module:
    """The generator of the runs at hand, as nn.Sequential; glyphs become images."""
    config, layers = _config, []
    size = config.latent
    for _ in range(config.depth_g):
        layers += [nn.Linear(size, config.width_g), _HIDDEN[config.hidden_g]()]
        size = config.width_g
    layers.append(nn.Linear(size, 64 if config.data == "glyphs" else 2))
    if config.output_g == "tanh":
        layers.append(nn.Tanh())
    if config.data == "glyphs":
        layers.append(nn.Unflatten(1, (1, 8, 8)))
    return nn.Sequential(*layers)


def said(folder: Path) -> dict[str, str]:
    """Detector → code of what the probe's detectors say of a run."""
    mine = [which for which in all_detectors() if which.detect.__module__.endswith(".probed")]
    return {
        which.detect.__name__: one.code
        for run in load_all(folder)
        for view in views_of(run)
        for which in mine
        for one in run_detector(which, view)
        if isinstance(one, Finding)
    }


def case(
    config: TrainConfig, seeds: Sequence[int], place: Path
) -> tuple[list[Probed], Counter[str], list[str]]:
    """Train one configuration on some seeds, and probe each run."""
    global _config
    _config = config
    configs = [replace(config, seed=seed, log=LogConfig(level="all", checkpoints=8)) for seed in seeds]
    folders = [place / str(seed) for seed in seeds]
    truths = train_many(configs, folders)
    latent = (config.latent,)
    probes = [probe([folder], Options("tests.bench.probe:build", latent=latent)) for folder in folders]
    spoke: Counter[str] = Counter()
    for folder in folders:
        spoke.update(f"{code} {name}" for name, code in said(folder).items())
    return probes, spoke, [str(truth.outcome) for truth in truths]


def main(seeds: int, words: Sequence[str] = ()) -> None:
    """Print the table."""
    cases = [("", *one) for one in HEALTHY]
    cases += [(fault, "", data) for fault, data in FAULTS]
    cases = [one for one in cases if not words or set(words) & {*one}]
    for fault, family, data in cases:
        config = configure(family or None, data, fault)
        with tempfile.TemporaryDirectory() as folder:
            probes, spoke, outcomes = case(config, range(3_000, 3_000 + seeds), Path(folder))
        print(f"\n{fault or 'healthy'} {config.family} {data}: {dict(Counter(outcomes))}")
        for name, count in sorted(spoke.items()):
            print(f"  {count} of {seeds}  {name}")
        for name in SHOWN:
            values = [one.snapshots[-1]["measures"].get(name) for one in probes]
            known = sorted(value for value in values if value is not None)
            if known:
                print(f"  {name:18} {known[0]:.3g} to {known[-1]:.3g}", flush=True)


if __name__ == "__main__":
    sys.modules.setdefault("tests.bench.probe", sys.modules["__main__"])
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3, sys.argv[2:])
