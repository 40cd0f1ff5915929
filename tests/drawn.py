"""Runs with sample grids drawn for tests: images and points of known variety, saved as arrays.

The files lie in one temporary folder that goes with the process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gandoctor.run import ImageGrid, Run
from tests.bench.grids import Pixels, aligned, natural
from tests.runs import level, make_run, noisy

END = 20_000  # the last step of `make_run`'s default
Batch = npt.NDArray[Any]
_number = count()


@lru_cache(maxsize=1)
def _room() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="gandoctor-drawn-")


def save(name: str, step: int | None, batch: Batch) -> ImageGrid:
    """Save one batch, (n, h, w, c) or (n, d), as a reader would find it."""
    path = Path(_room().name) / f"{next(_number):05d}.npy"
    np.save(path, batch)
    return ImageGrid(name, step, path)


def drawn(frames: Mapping[str, Sequence[Batch]], *, losses: bool = True) -> Run:
    """A run with streams of frames, evenly spread to its end: name → batches."""
    shape = {"loss_D": noisy(level(1.2), 0.05), "loss_G": noisy(level(0.9), 0.05, seed=1)}
    run = make_run(shape if losses else {})
    for name, batches in frames.items():
        for at, batch in enumerate(batches):
            run.images.append(save(name, round(END * (at + 1) / len(batches)), batch))
    return run


def faces(seed: int, n: int = 36, side: int = 32) -> Pixels:
    """Tiles like faces: one template, own colours and backgrounds. All seeds share the template."""
    return _kind(aligned, seed, n, side)


def scenes(seed: int, n: int = 36, side: int = 32) -> Pixels:
    """Tiles with nothing in common."""
    return natural(np.random.default_rng(seed), n, side, side)


def _kind(draw: Callable[..., Pixels], seed: int, n: int, side: int) -> Pixels:
    """n of a set of 400 tiles, chosen by the seed: other samples of one data set."""
    return _pool(draw, side)[np.random.default_rng(seed).choice(400, n, replace=False)]


@lru_cache(maxsize=8)
def _pool(draw: Callable[..., Pixels], side: int) -> Pixels:
    return draw(np.random.default_rng(7), 400, side, side)


def nearer(tiles: Pixels, share: float) -> Pixels:
    """Tiles drawn towards their mean: distances times `share`."""
    mean = tiles.astype(np.float64).mean(axis=0)
    return np.clip(np.rint(mean + share * (tiles - mean)), 0, 255).astype(np.uint8)


def between(first: Pixels, second: Pixels, share: float) -> Pixels:
    """Tiles on the way from one batch to another."""
    return np.clip(np.rint((1 - share) * first.astype(np.float64) + share * second), 0, 255).astype(np.uint8)


def ring(seed: int, n: int = 64, modes: int = 8, sigma: float = 0.05) -> npt.NDArray[np.float32]:
    """Points around `modes` of eight modes on a circle."""
    random = np.random.default_rng(seed)
    angles = random.integers(0, modes, n) * (2 * np.pi / 8)
    centres = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return (centres + sigma * random.normal(size=(n, 2))).astype(np.float32)
