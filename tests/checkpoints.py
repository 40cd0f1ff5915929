"""Small checkpoints for tests: networks as dicts of arrays, written as PyTorch writes them."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gandoctor.run import Checkpoint, Run
from tests.runs import make_run

Array = npt.NDArray[np.float32]
Net = dict[str, Array]
Tree = dict[str, Any]

G_SIZES, D_SIZES = (8, 48, 48, 48, 24), (24, 48, 48, 48, 1)
_place: list[Path] = []


def net(sizes: Sequence[int], seed: int = 0, scale: float = 1.0) -> Net:
    """A perceptron with He's first weights (He et al. 2015, arXiv:1502.01852), times a scale."""
    rng = np.random.default_rng(seed)
    made: Net = {}
    for layer, (takes, gives) in enumerate(pairwise(sizes)):
        weight = rng.normal(0, scale * (2 / takes) ** 0.5, (gives, takes))
        made[f"{2 * layer}.weight"] = weight.astype(np.float32)
        made[f"{2 * layer}.bias"] = rng.normal(0, 0.01, gives).astype(np.float32)
    return made


def walked(start: Net, seed: int, size: float = 0.1) -> Net:
    """The network somewhat later: each weight has moved by a share of the layer's size."""
    rng = np.random.default_rng(seed)
    return {
        key: value + (size * value.std() * rng.standard_normal(value.shape)).astype(np.float32)
        for key, value in start.items()
    }


def adam(
    weights: Net, steps: int, *, gradient: float = 1e-2, seed: int = 0, lr: float = 1e-3, beta1: float = 0.5,
    factors: Mapping[str, float] | None = None,
) -> Tree:  # fmt: skip
    """Adam's state where gradients are noise of one size, times a factor a parameter."""
    rng = np.random.default_rng(seed)
    state = {}
    for at, (key, value) in enumerate(weights.items()):
        size = gradient * (factors or {}).get(key, 1.0)
        mean = (
            size * (1 - beta1**steps) * ((1 - beta1) / (1 + beta1)) ** 0.5 * rng.standard_normal(value.shape)
        )
        square = (1 - 0.999**steps) * size**2 * rng.uniform(0.5, 1.5, value.shape)
        state[at] = {
            "step": np.array(float(steps), np.float32),
            "exp_avg": mean.astype(np.float32),
            "exp_avg_sq": square.astype(np.float32),
        }
    group = {
        "lr": lr,
        "betas": (beta1, 0.999),
        "eps": 1e-8,
        "weight_decay": 0.0,
        "params": list(range(len(state))),
    }
    return {"state": state, "param_groups": [group]}


def snapshot(g: Net, d: Net, steps: int, **more: Any) -> Tree:
    """What a training loop saves; more replaces or adds entries."""
    return {"step": steps, "G": g, "D": d, "opt_G": adam(g, steps), "opt_D": adam(d, steps, seed=1), **more}


def healthy(count: int = 5, every: int = 4_000) -> dict[int, Tree]:
    """Snapshots of two networks that wander a little."""
    g, d = net(G_SIZES, 1), net(D_SIZES, 2)
    made = {}
    for at in range(1, count + 1):
        made[at * every] = snapshot(g, d, at * every)
        g, d = walked(g, 10 + at), walked(d, 20 + at)
    return made


def folder() -> Path:
    """A new folder that goes when the tests end."""
    if not _place:
        _place.append(Path(tempfile.mkdtemp(prefix="gandoctor-")))
        atexit.register(shutil.rmtree, _place[0], ignore_errors=True)
    return Path(tempfile.mkdtemp(dir=_place[0]))


def write(tree: object, path: Path) -> None:
    """Save a tree of arrays as torch.save does."""
    import torch

    def converted(one: Any) -> Any:
        if isinstance(one, np.ndarray):
            return torch.from_numpy(np.ascontiguousarray(one))
        if isinstance(one, dict):
            return {key: converted(value) for key, value in one.items()}
        if isinstance(one, list | tuple):
            return type(one)(converted(value) for value in one)
        return one

    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(converted(tree), path)


def run_with(files: Mapping[str, object], run: Run | None = None) -> Run:
    """A run with these checkpoint files, by name."""
    from gandoctor.readers.checkpoint_file import read

    made = run if run is not None else Run(Path("run"), "run")
    place = folder()
    for name, tree in files.items():
        write(tree, place / name)
        [parts] = read(place / name)
        made.checkpoints += parts.checkpoints
    assert all(isinstance(one, Checkpoint) for one in made.checkpoints)
    return made


def saved(snapshots: Mapping[int, object], run: Run | None = None, **settings: Any) -> Run:
    """A run that saved these trees, by step. settings: its configuration."""
    made = run_with({f"checkpoint_{step:06d}.pt": tree for step, tree in snapshots.items()}, run)
    made.settings |= make_run({}, settings=settings).settings
    return made
