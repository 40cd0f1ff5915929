"""The reference trainer: small GANs that learn in seconds, faults to make them ill, and the measured truth.

Only `train` and `train_many` need torch; configurations, faults and their descriptions do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gandoctor.lazy import from_torch
from gandoctor.trainer.config import DATA, FAMILIES, LogConfig, TrainConfig, baseline
from gandoctor.trainer.faults import FAULTS, Fault, configure

if TYPE_CHECKING:
    from gandoctor.trainer.loop import train, train_many
    from gandoctor.trainer.truth import Truth

__all__ = [
    "DATA",
    "FAMILIES",
    "FAULTS",
    "Fault",
    "LogConfig",
    "TrainConfig",
    "Truth",
    "baseline",
    "configure",
    "train",
    "train_many",
]


__getattr__ = from_torch("gandoctor.trainer.loop", ("train", "train_many", "Truth"), "the trainer")
