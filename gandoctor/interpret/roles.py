"""What a tag means: network, quantity, part, layer, pair."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Role:
    """The meaning of one tag.

    network: "G", "D" or "-". quantity: "loss", "score", "score_std", "accuracy", "pair_accuracy",
    "sign_rate", "grad_norm", "weight_norm", "step_norm", "penalty", "lr", "sample_std", "diversity",
    "metric", "augment_p", "loss_scale", "time", "progress" or "other".
    part: "real", "fake", "total", "adversarial", "auxiliary", or a metric's name ("fid").
    certainty: 0 to 1. how: "name", "values" or "you".
    """

    network: str
    quantity: str
    part: str = ""
    layer: str = ""
    pair: str = ""
    certainty: float = 1.0
    how: str = "name"

    def __str__(self) -> str:
        """`D.loss.real`: network, quantity, part, layer, as in `--map TAG=ROLE`."""
        return ".".join(filter(None, (self.network, self.quantity, self.part, self.layer)))
