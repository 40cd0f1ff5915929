"""The rules' vocabulary and the trainer's settings: facts of a configuration, and what a remedy changes in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from gandoctor.judge.rules import RemedyRule, fill
from gandoctor.run import Scalar
from gandoctor.trainer.config import BASELINES, TrainConfig, baseline

# The trainer's loss families by the rules' names.
FAMILY = {
    "minimax": "minimax", "non-saturating": "ns", "lsgan": "lsgan", "hinge": "hinge", "wgan": "wgan-clip",
    "wgan-gp": "wgan-gp", "relativistic": "rpgan",
}  # fmt: skip
_NAME = {own: name for name, own in FAMILY.items()}

# What a remedy leaves open: the half-life of about 10,000 samples, and a sixtieth of the run.
EMA, WARMUP, LOOKAHEAD = 0.995, 0.02, 5


def facts_of(config: TrainConfig) -> dict[str, Scalar]:
    """The facts that a project with this configuration would tell."""
    facts: dict[str, Scalar] = {
        "lr_G": config.lr_g, "lr_D": config.lr_d, "lr_ratio": config.lr_d / config.lr_g,
        "beta1": config.beta1, "beta2": config.beta2, "weight_decay": config.weight_decay,
        "optimizer": "lookahead-adam" if config.lookahead else "adamw" if config.decoupled else "adam",
        "lr_schedule": "warmup" if config.warmup else "constant" if config.lr_end == 1 else "linear",
        "batch_size": config.batch, "n_critic": config.d_steps, "g_steps": config.g_steps, "steps": config.steps,
        "family": _NAME[config.family],
        "penalty": "gp" if config.gp else "r1+r2" if config.r2 else "r1" if config.r1 else "none",
        "spectral_norm": config.spectral_norm, "batch_norm_D": config.batch_norm, "batch_norm_G": False,
        "label_smoothing": config.smoothing, "instance_noise": config.noise if config.noise_end else 0.0,
        "dropout_D": config.dropout, "augmentation": "none", "packing": config.pack, "ema": config.ema > 0,
        "z_dim": config.latent, "grad_clip": config.grad_clip, "conditional": False, "amp": False, "precision": "fp32",
        "activation_output": "tanh" if config.output_g == "tanh" else "none", "data": config.data,
    }  # fmt: skip
    if config.gp or config.r1:
        facts["penalty_weight"] = config.gp or config.r1
    if config.clip:
        facts["clip_value"] = config.clip
    return facts


def with_remedy(config: TrainConfig, remedy: RemedyRule) -> TrainConfig | None:
    """The configuration with one remedy's change; None where the trainer cannot make it, or nothing changes.

    What the rules give by a name only (a penalty, a family, an average) gets the weight of the healthy baseline of
    that family on this data set, as the texts advise for small inputs.
    """
    changed: TrainConfig | None
    if remedy.id in _BY_ID:
        changed = _BY_ID[remedy.id](config)
    else:
        changes = {change.knob: change.new for change in fill(remedy, facts_of(config))}
        changed = turned(config, changes) if changes else None
    return None if changed == config else changed


def turned(config: TrainConfig, changes: Mapping[str, Scalar]) -> TrainConfig | None:
    """The configuration with facts set anew; None where the trainer has no such setting."""
    left = dict(changes)
    if (family := left.pop("family", None)) is not None:
        config = _of_family(config, FAMILY[str(family)])
    penalty = left.pop("penalty", None)
    if penalty is not None and family is None:
        config = _with_penalty(config, str(penalty))
    for knob, value in left.items():
        setting = _KNOBS.get(knob)
        if setting is None or value is None or (made := setting(config, value)) is None:
            return None
        config = made
    return config


def _healthy(family: str, data: str) -> TrainConfig:
    return baseline(family, data if (family, data) in BASELINES else "ring8")


def _of_family(config: TrainConfig, family: str) -> TrainConfig:
    """Another loss with its own penalty; a critic also gets its usual steps and β1: such is the recipe."""
    usual = _healthy(family, config.data)
    own = {name: getattr(usual, name) for name in ("r1", "r2", "gp", "clip")}
    if family in ("ns", "minimax", "lsgan", "hinge"):  # a change of the loss alone
        own |= {"r1": config.r1, "r2": config.r2}
    if family.startswith("wgan"):
        own |= {"d_steps": max(config.d_steps, usual.d_steps), "beta1": usual.beta1}
    return replace(config, family=family, smoothing=0.0, **own)


def _with_penalty(config: TrainConfig, penalty: str) -> TrainConfig:
    usual = _healthy(config.family, config.data)
    weight = usual.r1 or _healthy("ns", config.data).r1
    values: dict[str, Any] = {"r1": 0.0, "r2": 0.0, "gp": 0.0}
    match penalty:
        case "r1":
            values |= {"r1": weight}
        case "r1+r2":
            values |= {"r1": weight, "r2": weight}
        case "gp":
            values |= {"gp": _healthy("wgan-gp", config.data).gp}
    return replace(config, **values)


def _weight(config: TrainConfig, value: Any) -> TrainConfig | None:
    if config.gp:
        return replace(config, gp=value)
    return replace(config, r1=value, r2=value if config.r2 else 0.0) if config.r1 else None


def _optimizer(config: TrainConfig, value: Any) -> TrainConfig | None:
    match value:
        case "adam":
            return replace(config, decoupled=False, lookahead=0)
        case "adamw":
            return replace(config, decoupled=True)
        case "lookahead-adam":
            return replace(config, lookahead=LOOKAHEAD)
        case "rmsprop":  # Adam without momentum, but for the first steps; at half the rate, as the rules say
            return replace(config, beta1=0.0, beta2=0.99, lr_g=config.lr_g / 2, lr_d=config.lr_d / 2)
    return None


def _noise(config: TrainConfig, value: Any) -> TrainConfig:
    """Noise of that size, falling to 0 by half of the run; none wanted: what there is falls so."""
    return replace(config, noise=value or config.noise, noise_end=0.0)


def _schedule(config: TrainConfig, value: Any) -> TrainConfig | None:
    shapes: dict[str, dict[str, Any]] = {
        "linear": {"lr_end": 0.05},
        "constant": {"lr_end": 1.0},
        "warmup": {"warmup": WARMUP},
    }
    found: dict[str, Any] | None = shapes.get(value)
    return None if found is None else replace(config, **found)


def _plain(name: str) -> Callable[[TrainConfig, Any], TrainConfig]:
    return lambda config, value: replace(config, **{name: value})


_KNOBS: dict[str, Callable[[TrainConfig, Any], TrainConfig | None]] = {
    "lr_G": _plain("lr_g"), "lr_D": _plain("lr_d"), "beta1": _plain("beta1"), "beta2": _plain("beta2"),
    "weight_decay": _plain("weight_decay"), "optimizer": _optimizer, "lr_schedule": _schedule,
    "batch_size": _plain("batch"), "n_critic": _plain("d_steps"), "g_steps": _plain("g_steps"),
    "penalty_weight": _weight, "clip_value": lambda c, v: replace(c, clip=v) if c.clip else None,
    "spectral_norm": _plain("spectral_norm"), "batch_norm_D": _plain("batch_norm"), "dropout_D": _plain("dropout"),
    "label_smoothing": _plain("smoothing"), "instance_noise": _noise, "packing": _plain("pack"),
    "ema": lambda c, v: replace(c, ema=EMA if v else 0.0), "z_dim": _plain("latent"), "grad_clip": _plain("grad_clip"),
    "activation_output": lambda c, v: replace(c, output_g="linear" if v == "none" else str(v)),
}  # fmt: skip

# Remedies whose change is one of code, where the trainer has that code.
_BY_ID: dict[str, Callable[[TrainConfig], TrainConfig]] = {
    "minibatch-std": lambda c: replace(c, minibatch_std=True),
    "mode-seeking": lambda c: replace(c, mode_seeking=1.0),
    "larger-generator": lambda c: replace(c, width_g=2 * c.width_g),
    "smaller-d": lambda c: replace(c, width_d=max(1, c.width_d // 2)),
    "larger-d": lambda c: replace(c, width_d=2 * c.width_d),
    "stronger-d": lambda c: replace(c, width_d=2 * c.width_d),
    "initialisation": lambda c: replace(c, init_g=0.0, init_d=0.0),
    "proper-initialisation": lambda c: replace(c, init_g=0.0, init_d=0.0),
    "he-init": lambda c: replace(c, init_g=0.0, init_d=0.0),
    "activations": lambda c: replace(c, hidden_g="relu", hidden_d="leaky_relu"),
    "leaky-activations": lambda c: replace(c, hidden_g="leaky_relu", hidden_d="leaky_relu"),
    "normalise-d": lambda c: replace(c, batch_norm=False),
    "unblind-d": lambda c: replace(c, noise=0.0, dropout=0.0, smoothing=0.0),
}
