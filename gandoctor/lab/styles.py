"""Logging styles: what a run leaves behind, and under which names.

A run is trained once and logs everything; a style is what is then left of it to read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gandoctor.trainer.config import LOG_LEVELS, TrainConfig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gandoctor.run import Run

IMAGES, CHECKPOINTS = 8, 4  # sample grids and checkpoints that a run of the study saves


@dataclass(frozen=True, slots=True)
class Style:
    """What is logged: the scalars of a level, with or without sample grids and checkpoints."""

    name: str
    level: str
    files: bool = False


STYLES = (
    *(Style(level, level) for level in LOG_LEVELS[:-1]),
    Style("everything", LOG_LEVELS[-1], files=True),  # and learning rates, sample grids, checkpoints
)

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


def as_logged(config: TrainConfig, style: Style) -> TrainConfig:
    """The configuration as if the run had logged in this style."""
    log = replace(config.log, level=style.level)
    return replace(config, log=log if style.files else replace(log, images=0, checkpoints=0))


def restricted(run: Run, config: TrainConfig, style: Style, levels: Mapping[str, Sequence[str]]) -> Run:
    """The run with only what a style logs. levels: the tags of each level, by our names.

    What is logged layer by layer ("grad_norm/D/0.weight") goes with the whole, diversity with the samples.
    """
    if style.files:
        return run
    above = LOG_LEVELS[LOG_LEVELS.index(style.level) + 1 :]
    hidden = {config.log.tags.get(tag, tag) for level in above for tag in levels[level]}
    hidden |= {"samples/diversity"} if "samples" in above else set()
    layers = tuple(f"{tag}/" for tag in hidden)
    series = {tag: one for tag, one in run.series.items() if tag not in hidden and not tag.startswith(layers)}
    return replace(run, series=series, images=[], histograms=[], checkpoints=[])
