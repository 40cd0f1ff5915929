"""The probe: from checkpoints and the user's generator to measures, grids and a log beside the run's own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from gandoctor import __version__
from gandoctor.capture.grids import ROWS, between
from gandoctor.errors import UserError
from gandoctor.probe import measures, results
from gandoctor.probe.generator import built, function_of
from gandoctor.probe.measures import Generator, Measured, Noise
from gandoctor.probe.snapshots import FOLDER, find, tensors_of
from gandoctor.probe.weights import load
from gandoctor.run import Unit

_FEWEST = 8  # samples in which variety can be seen
_SCALE = (
    0.75  # quantile over the snapshots of their usual distance: neither a collapsed one nor one that blew up
)
_KEYS = {Unit.EPOCH: "epoch", Unit.KIMG: "kimg"}  # of a step in the log
_GUESSES = ("z_dim", "latent_dim", "latent_size", "nz", "dim_z", "z_size", "noise_dim")


@dataclass(frozen=True, slots=True)
class Options:
    """How to probe.

    generator: "package.module:build" or "file.py:build". latent: shape of one z; () to guess. labels: classes of
    G(z, y), 0 for G(z). features: "module:callable", samples → (n, k), for distances. samples: fixed z. linear:
    straight paths between z, not arcs. weights: "auto" (a moving average where there is one), "ema", "live".
    span: values drawn black and white; None by the samples. device: "auto", "cpu", "cuda". most: snapshots,
    0 for all. output: the folder for the results; None for one in the run.
    """

    generator: str
    latent: tuple[int, ...] = ()
    labels: int = 0
    features: str = ""
    samples: int = 64
    seed: int = 0
    linear: bool = False
    weights: str = "auto"
    span: tuple[float, float] | None = None
    device: str = "auto"
    most: int = 0
    output: Path | None = None


@dataclass(slots=True)
class Probed:
    """What a probe found. snapshots: step, files, network, measures, layers, notes of each, by step."""

    run: Path
    folder: Path
    how: dict[str, Any]
    snapshots: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For machines; what is not finite is null."""
        snapshots = [
            {**one, "measures": {name: value if math.isfinite(value) else None
                                 for name, value in one["measures"].items()}}
            for one in self.snapshots
        ]  # fmt: skip
        return {"schema": "1.0", "gandoctor": __version__, "run": str(self.run), "folder": str(self.folder),
                **self.how, "snapshots": snapshots, "problems": self.problems}  # fmt: skip


def probe(
    paths: Sequence[str | Path], options: Options, done: Callable[[int, int], None] | None = None
) -> Probed:
    """Probe the snapshots of one run, and write what was measured where `gandoctor diagnose` reads it.

    done: told after each snapshot how many of how many are done. Raises UserError if nothing could be probed; a
    snapshot that cannot be is named in `problems`.
    """
    if options.samples < _FEWEST:
        raise UserError(
            f"{options.samples} samples are too few", where="--samples", hint=f"{_FEWEST} or more"
        )
    found = find(paths, options.most)
    device = _device(options.device)
    module = built(options.generator, found.settings)
    features = function_of(options.features, "--features") if options.features else None
    folder = options.output or (found.run.path if found.run.path.is_dir() else found.run.path.parent) / FOLDER
    made = Probed(found.run.path, folder, {})
    drawn: list[Measured] = []
    state: _Chosen | None = None
    ema = {"auto": None, "ema": True, "live": False}[options.weights]
    with results.replaced(folder) as place:
        for at, (step, files) in enumerate(found.snapshots, start=1):
            dicts, problems = tensors_of(files)
            made.problems += problems
            where = ", ".join(str(one.path) for one in files)
            try:
                if not dicts:
                    raise UserError("holds no tensors", where=where) if not problems else UserError("")
                fit = load(module, dicts, where, ema)
            except UserError as fault:
                made.problems += [str(fault)] if fault.message else []
                continue
            if state is None:
                state = _chosen(module, device, options)
            measured, samples = measures.measure(
                state.generator, state.noise, features, linear=options.linear, seed=options.seed
            )
            drawn.append(measured)
            if not _grids(place, state, step, samples, options):
                measured.notes.append("samples of this shape are not drawn as a grid")
            made.snapshots.append(
                {"step": step, "files": [str(one.path) for one in files], "network": fit.name, "ema": fit.ema,
                 "measures": measured.measures, "layers": measured.layers, "notes": measured.notes}
            )  # fmt: skip
            if done is not None:
                done(at, len(found.snapshots))
        if state is None:
            told = "\n".join(made.problems) or "there is no snapshot"
            raise UserError(f"no snapshot could be probed\n{told}")
        if len({one["ema"] for one in made.snapshots}) > 1:
            made.problems.append("some snapshots hold no moving average: of these, live weights were taken")
        scale = _variety(drawn)
        made.how = _how(state, options, scale, device)
        results.write_log(place, _KEYS.get(found.unit, "step"), made.snapshots, made.how)
    return made


@dataclass(slots=True)
class _Chosen:
    """What holds for all snapshots: set at the first."""

    generator: Generator
    noise: Noise
    latent: tuple[int, ...]
    span: tuple[float, float] | None
    values: int = 0  # of a sample


def _chosen(module: nn.Module, device: torch.device, options: Options) -> _Chosen:
    generator = Generator(module, device, options.labels)
    latent = options.latent or _latent(generator)
    return _Chosen(generator, Noise.of(latent, options.samples, options.seed), latent, options.span)


def _latent(generator: Generator) -> tuple[int, ...]:
    """The shape of a z by the generator's attributes and first layer, as far as samples can be drawn from it."""
    module = generator.module
    guesses: list[tuple[int, ...]] = []
    for inner in module.modules():
        sizes = [getattr(inner, name, None) for name in _GUESSES]
        guesses += [(size,) for size in sizes if isinstance(size, int) and size > 0]
    for inner in module.modules():
        if isinstance(inner, nn.Linear):
            guesses.append((inner.in_features,))
            break
        if isinstance(inner, nn.ConvTranspose2d):
            guesses.append((inner.in_channels, 1, 1))
            break
    for guess in dict.fromkeys([*guesses, *((*guess, 1, 1) for guess in guesses if len(guess) == 1)]):
        try:
            with generator.sampling(0):
                generator(torch.randn(2, *guess))
            return guess
        except UserError:
            continue
    raise UserError(
        "the shape of z is not told by the generator",
        where="--latent",
        hint="--latent 100, or --latent 100,1,1; conditional generators need --labels K, or a build() that returns"
        " a module that takes z alone",
    )


def _device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("no CUDA device is there", where="--device", hint="--device cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def _grids(place: Path, state: _Chosen, step: int, fixed: torch.Tensor, options: Options) -> bool:
    """Save the grids of a snapshot: the fixed z, other z at each snapshot, arcs between z."""
    state.values = fixed[0].numel()
    if state.span is None:
        state.span = results.span_of(fixed)
    stream = torch.Generator().manual_seed((options.seed + 1) * 1_000_003 + step)
    count = min(len(fixed), ROWS * ROWS)
    fresh = torch.randn(count, *state.latent, generator=stream)
    strips = between(torch.randn(2 * ROWS, *state.latent, generator=stream))
    with state.generator.sampling(options.seed):
        random = state.generator(fresh)
        # One class a row, so that a strip shows z alone.
        arcs = state.generator(strips, state.generator.turns(ROWS).repeat_interleave(ROWS))
    wrote = [
        results.write_grid(place, kind, step, samples, state.span)
        for kind, samples in (("fixed", fixed[:count]), ("random", random), ("interpolation", arcs))
    ]
    return all(wrote)


def _variety(drawn: Sequence[Measured]) -> float:
    """Add the measures of variety, on one scale for all snapshots; returns it."""
    usual = [measures.usual_distance(one.squares) for one in drawn if one.squares is not None]
    scale = float(np.quantile(usual, _SCALE, method="nearest")) if usual else 0.0
    for one in drawn:
        if one.squares is not None:
            one.measures |= measures.variety(one.squares, scale)
    return scale


def _how(state: _Chosen, options: Options, scale: float, device: torch.device) -> dict[str, Any]:
    """How it was measured, for who wants to repeat it."""
    exact = min(math.prod(state.latent), state.values) <= measures.DIRECTIONS
    return {
        "generator": options.generator,
        "latent": list(state.latent),
        "labels": options.labels,
        "samples": options.samples,
        "seed": options.seed,
        "device": str(device),
        "distances": options.features or "pixels",
        "near": measures.NEAR * scale,
        "paths": "linear" if options.linear else "spherical",
        "epsilon": measures.EPSILON,
        "jacobian": f"at {measures.POINTS} z, " + ("exact" if exact else
                    f"along {measures.DIRECTIONS} random directions of z: the condition number is a lower bound"),
        "span": list(state.span or ()),
    }  # fmt: skip
