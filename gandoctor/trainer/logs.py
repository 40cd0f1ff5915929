"""What a run leaves in its folder: scalars, configuration, sample grids and checkpoints, all by the recorder's means."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gandoctor.capture.grids import Grids
from gandoctor.capture.writers import FORMATS, Writer
from gandoctor.errors import UserError
from gandoctor.trainer.config import LOG_FORMATS, LOG_LEVELS, LogConfig, TrainConfig
from gandoctor.trainer.game import Game
from gandoctor.trainer.models import Mlp

# The recorder's tags of each level, beside those of the levels before it.
TAGS: dict[str, tuple[str, ...]] = {
    "losses": ("loss/D", "loss/G", "loss/D_real", "loss/D_fake", "penalty"),
    "outputs": ("out/real_mean", "out/real_std", "out/fake_mean", "out/fake_std", "out/pair_accuracy"),
    "norms": (
        "grad_norm/D", "grad_norm/G", "weight_norm/D", "weight_norm/G", "step_norm/D", "step_norm/G",
    ),
    "samples": ("samples/fake_std", "samples/real_std"),
    "all": ("lr/D", "lr/G"),
}  # fmt: skip
DIGITS = 6  # of a step in a file's name


class Chosen:
    """Writes what a run is to log of what is measured: its level's tags, under its own names."""

    def __init__(self, writer: Writer, log: LogConfig) -> None:
        self._writer, self._log = writer, log
        levels = LOG_LEVELS[: LOG_LEVELS.index(log.level) + 1]
        self._names = {tag: log.tags.get(tag, tag) for level in levels for tag in TAGS[level]}
        self._rounded = log.format != "tensorboard"  # six digits keep a text small

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Write the numbers of a step, by the recorder's tags."""
        if self._log.halve_d:
            values = {**values, "loss/D": values["loss/D"] / 2}
        chosen = {name: values[tag] for tag, name in self._names.items() if tag in values}
        if self._log.full:
            chosen |= self._beyond(values)
        self._writer.write(
            step,
            {tag: float(f"{value:.6g}") for tag, value in chosen.items()} if self._rounded else chosen,
        )

    def _beyond(self, values: Mapping[str, float]) -> Iterator[tuple[str, float]]:
        """What the recorder logs beside the levels: norms by layer, where norms are wanted, and diversity."""
        for tag, value in values.items():
            kind, _, rest = tag.partition("/")
            network, _, layer = rest.partition("/")
            whole = "samples/fake_std" if tag == "samples/diversity" else f"{kind}/{network}" if layer else ""
            if whole in self._names:
                yield f"{self._names[whole]}/{layer}" if layer else tag, value

    def close(self) -> None:
        """Write what is still held back."""
        self._writer.close()


def open_log(config: TrainConfig, folder: Path, files: ExitStack) -> Writer:
    """Open a run's scalar log in its format and return what writes a step; `files` closes it.

    Raises UserError for an unknown level or format.
    """
    log = config.log
    for name, known in ((log.level, LOG_LEVELS), (log.format, LOG_FORMATS)):
        if name not in known:
            raise UserError(f"unknown name {name!r}", hint=f"one of: {', '.join(known)}")
    writer = Chosen(FORMATS[log.format](folder), log)
    files.callback(writer.close)
    return writer


def settings(config: TrainConfig) -> dict[str, Any]:
    """config.json as a project would have it: what its author meant to run, under the field's common names."""
    penalty = "gp" if config.gp else "r1+r2" if config.r2 else "r1" if config.r1 else "none"
    return {
        "dataset": config.data,
        "loss": {"ns": "non-saturating", "wgan-clip": "wgan"}.get(config.family, config.family),
        "optimizer": "lookahead-adam" if config.lookahead else "adamw" if config.decoupled else "adam",
        "lr_g": config.lr_g,
        "lr_d": config.lr_d,
        "beta1": config.beta1,
        "beta2": config.beta2,
        "weight_decay": config.weight_decay,
        "lr_schedule": "warmup" if config.warmup else "constant" if config.lr_end == 1 else "linear",
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
        **{name: value for name, value in _unsaid(config).items() if value},
        "seed": config.seed,
        "log_every": max(1, config.steps // config.log.points),
    }


def _unsaid(config: TrainConfig) -> dict[str, Any]:
    """Settings that most projects leave unsaid where they are off."""
    return {
        "label_smoothing": config.smoothing,
        "packing": config.pack if config.pack > 1 else 0,
        "ema": bool(config.ema),
        "grad_clip": config.grad_clip,
    }


def grids(game: Game, run: int, folder: Path) -> Grids:
    """What draws and saves one run's samples: glyphs as pictures, points as they are."""

    def draw(z: Tensor) -> Tensor:
        samples = game.generator(z.expand(len(game.fixed), *z.shape))[run]
        return samples.view(-1, 1, 8, 8) if game.config.data == "glyphs" else samples

    return Grids(
        folder / "samples",
        draw,
        lambda n: game.latents(n, game.probes)[run],
        fixed=game.fixed[run],
        digits=DIGITS,
    )


def state(game: Game, run: int, lr: Mapping[str, float]) -> dict[str, Any]:
    """One run's weights and optimiser state as a PyTorch loop would have them: names and shapes of nn.Sequential.

    lr: of "G" and "D", for the optimisers' param_groups.
    """
    saved: dict[str, Any] = {}
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
    return saved


def _layout(network: Mlp) -> dict[str, Callable[[Tensor], Tensor]]:
    """How to cut a run's row (P,) into nn.Sequential's parameters: weights (out, in), biases (out,)."""
    cuts: dict[str, Callable[[Tensor], Tensor]] = {}
    at = 0
    for layer, (fan_in, fan_out) in enumerate(network.shapes):
        size = fan_in * fan_out

        def weight(row: Tensor, at: int = at, fan_in: int = fan_in, size: int = size) -> Tensor:
            return row[at : at + size].view(fan_in, -1).T.contiguous().cpu()

        def bias(row: Tensor, at: int = at + size, size: int = fan_out) -> Tensor:
            return row[at : at + size].clone().cpu()

        cuts |= {f"{2 * layer}.weight": weight, f"{2 * layer}.bias": bias}
        at += size + fan_out
    return cuts
