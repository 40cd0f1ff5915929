"""What a run leaves in its folder: scalars, configuration, sample grids and checkpoints."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from gandoctor.errors import UserError
from gandoctor.trainer.config import LOG_FORMATS, LOG_LEVELS, TrainConfig
from gandoctor.trainer.game import Game
from gandoctor.trainer.models import Mlp

# The tags of each level, beside those of the levels before it.
TAGS: dict[str, tuple[str, ...]] = {
    "losses": ("loss/D", "loss/G", "loss/D_real", "loss/D_fake", "penalty"),
    "outputs": ("out/real_mean", "out/real_std", "out/fake_mean", "out/fake_std", "out/pair_accuracy"),
    "norms": (
        "grad_norm/D", "grad_norm/G", "weight_norm/D", "weight_norm/G", "step_norm/D", "step_norm/G",
    ),
    "samples": ("samples/fake_std", "samples/real_std"),
    "all": ("lr/D", "lr/G"),
}  # fmt: skip


Writer = Callable[[int, Mapping[str, float]], None]  # takes the numbers of one logged step


def open_log(config: TrainConfig, folder: Path, files: ExitStack) -> Writer:
    """Open a run's scalar log in its format and return what writes a step; `files` closes it.

    Raises UserError for an unknown level or format.
    """
    log = config.log
    for name, known in ((log.level, LOG_LEVELS), (log.format, LOG_FORMATS)):
        if name not in known:
            raise UserError(f"unknown name {name!r}", hint=f"one of: {', '.join(known)}")
    levels = LOG_LEVELS[: LOG_LEVELS.index(log.level) + 1]
    names = {tag: log.tags.get(tag, tag) for level in levels for tag in TAGS[level]}
    write = {"tensorboard": _tensorboard, "csv": _csv, "jsonl": _jsonl}[log.format](folder, files)

    def step_of(step: int, values: Mapping[str, float]) -> None:
        if log.halve_d:
            values = {**values, "loss/D": values["loss/D"] / 2}
        write(step, {name: values[tag] for tag, name in names.items() if tag in values})

    return step_of


def _tensorboard(folder: Path, files: ExitStack) -> Writer:
    from torch.utils.tensorboard import SummaryWriter

    events = SummaryWriter(str(folder))
    files.callback(events.close)

    def write(step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            events.add_scalar(name, value, step)

    return write


def _csv(folder: Path, files: ExitStack) -> Writer:
    file = files.enter_context((folder / "metrics.csv").open("w", newline="", encoding="utf-8"))
    table = csv.writer(file, lineterminator="\n")

    def write(step: int, values: Mapping[str, float]) -> None:
        if file.tell() == 0:
            table.writerow(["step", *values])
        table.writerow([step, *(f"{value:.6g}" for value in values.values())])

    return write


def _jsonl(folder: Path, files: ExitStack) -> Writer:
    file = files.enter_context((folder / "metrics.jsonl").open("w", encoding="utf-8"))

    def write(step: int, values: Mapping[str, float]) -> None:
        numbers = {name: float(f"{value:.6g}") for name, value in values.items()}
        file.write(json.dumps({"step": step, **numbers}) + "\n")

    return write


def write_config(config: TrainConfig, folder: Path) -> None:
    """Write config.json as a project would: what its author meant to run, under the field's common names."""
    penalty = "gp" if config.gp else "r1+r2" if config.r2 else "r1" if config.r1 else "none"
    settings: dict[str, Any] = {
        "dataset": config.data,
        "loss": {"ns": "non-saturating", "wgan-clip": "wgan"}.get(config.family, config.family),
        "optimizer": "adam",
        "lr_g": config.lr_g,
        "lr_d": config.lr_d,
        "beta1": config.beta1,
        "beta2": config.beta2,
        "weight_decay": config.weight_decay,
        "lr_schedule": "constant" if config.lr_end == 1 else "linear",
        "lr_final_factor": config.lr_end,
        "batch_size": config.batch,
        "total_steps": config.steps,
        "n_critic": config.d_steps,
        "g_steps": config.g_steps,
        "penalty": penalty,
        "penalty_weight": config.gp or config.r1,
        "clip_value": config.clip or None,
        "latent_dim": config.latent,
        "spectral_norm": config.spectral_norm,
        "batch_norm_d": config.batch_norm,
        "instance_noise": config.noise,
        "dropout_d": config.dropout,
        "seed": config.seed,
        "log_every": max(1, config.steps // config.log.points),
    }
    (folder / "config.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


def save_samples(samples: Mapping[str, Tensor], image: bool, folder: Path, step: int) -> None:
    """Save samples (64, dim): tiles of 8 x 8 pixels as a PNG, points as an .npy of float32 (64, 2).

    samples: "fixed", "random", "interpolation" -> tensor.
    """
    place = folder / "samples"
    place.mkdir(exist_ok=True)
    for kind, tensor in samples.items():
        name = f"{kind}_{step:06d}"
        if image:
            Image.fromarray(_grid(tensor.numpy())).save(place / f"{name}.png", optimize=True)
        else:
            np.save(place / f"{name}.npy", tensor.numpy())


def _grid(tiles: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Lay 64 tiles of 8 x 8 pixels in [-1, 1] out 8 a row with a black border of 2 pixels."""
    scaled = np.nan_to_num(tiles, nan=-1.0).clip(-1, 1) * 127.5 + 127.5
    padded = np.pad(scaled.reshape(8, 8, 8, 8), ((0, 0), (0, 0), (2, 0), (2, 0)))  # row, column, y, x
    grid = padded.transpose(0, 2, 1, 3).reshape(80, 80)
    return np.pad(grid, (0, 2)).round().astype(np.uint8)


def save_checkpoint(game: Game, run: int, lr: Mapping[str, float], folder: Path, step: int) -> None:
    """Save one run's weights and optimiser state as a PyTorch loop would: names and shapes of nn.Sequential.

    lr: of "G" and "D", for the optimisers' param_groups.
    """
    saved: dict[str, Any] = {"step": step}
    networks = {"G": (game.generator, game.adam_g), "D": (game.discriminator, game.adam_d)}
    for name, (network, adam) in networks.items():
        layout = _layout(network)
        saved[name] = {key: part(network.flat[run]) for key, part in layout.items()}
        if network.singular:
            for layer, vector in enumerate(network.singular):
                saved[name][f"{2 * layer}.weight_orig"] = saved[name].pop(f"{2 * layer}.weight")
                saved[name][f"{2 * layer}.weight_v"] = vector[run, :, 0].clone()
        moments = [(part(adam.mean[run]), part(adam.square[run])) for part in layout.values()]
        saved[f"opt_{name}"] = {
            "state": {
                i: {"step": torch.tensor(float(adam.steps)), "exp_avg": mean, "exp_avg_sq": square}
                for i, (mean, square) in enumerate(moments)
            },
            "param_groups": [{
                "lr": lr[name], "betas": (float(adam.beta1[run]), float(adam.beta2[run])), "eps": 1e-8,
                "weight_decay": float(adam.weight_decay[run]), "params": list(range(len(moments))),
            }],
        }  # fmt: skip
    place = folder / "checkpoints"
    place.mkdir(exist_ok=True)
    torch.save(saved, place / f"checkpoint_{step:06d}.pt")


def _layout(network: Mlp) -> dict[str, Callable[[Tensor], Tensor]]:
    """How to cut a run's row (P,) into nn.Sequential's parameters: weights (out, in), biases (out,)."""
    cuts: dict[str, Callable[[Tensor], Tensor]] = {}
    at = 0
    for layer, (fan_in, fan_out) in enumerate(zip(network.sizes[:-1], network.sizes[1:], strict=True)):
        size = fan_in * fan_out

        def weight(row: Tensor, at: int = at, fan_in: int = fan_in, size: int = size) -> Tensor:
            return row[at : at + size].view(fan_in, -1).T.contiguous().cpu()

        def bias(row: Tensor, at: int = at + size, size: int = fan_out) -> Tensor:
            return row[at : at + size].clone().cpu()

        cuts |= {f"{2 * layer}.weight": weight, f"{2 * layer}.bias": bias}
        at += size + fan_out
    return cuts
