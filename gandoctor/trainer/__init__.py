"""The reference trainer: small GANs that learn in seconds, faults to make them ill, and the measured truth.

Only `train` and `train_many` need torch; configurations, faults and their descriptions do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gandoctor.errors import UserError
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


def __getattr__(name: str) -> Any:
    """Load what needs torch on first use. Raises UserError where torch is not installed."""
    if name not in {"train", "train_many", "Truth"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from gandoctor.trainer import loop
    except ModuleNotFoundError as missing:
        if missing.name != "torch":
            raise
        raise UserError(
            "the trainer needs PyTorch, which is not installed", hint="pip install 'gandoctor[torch]'"
        ) from missing
    return getattr(loop, name)
