"""What a run is made of: one flat list of settings, and the healthy baseline of each family and data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gandoctor.errors import UserError

DATA = {
    "ring8": "8 Gaussians on a circle of radius 1, standard deviation 0.05",
    "grid25": "5 x 5 Gaussians 0.5 apart, standard deviation 0.045",
    "glyphs": "8 x 8 grey images of the letters A C E H L T X J P and the digit 1",
}

FAMILIES = {
    "ns": "non-saturating cross-entropy with R1",
    "minimax": "the original minimax loss with R1",
    "hinge": "hinge loss (with R1 on glyphs)",
    "lsgan": "least squares with R1",
    "rpgan": "relativistic pairing loss with R1 and R2",
    "wgan-gp": "Wasserstein critic with gradient penalty",
    "wgan-clip": "Wasserstein critic with clipped weights",
}

LOG_LEVELS = ("losses", "outputs", "norms", "samples", "all")  # each holds all that stand before it
LOG_FORMATS = ("tensorboard", "csv", "jsonl")


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What a run leaves behind; nothing here changes the training."""

    level: str = "all"  # one of LOG_LEVELS
    format: str = "tensorboard"  # one of LOG_FORMATS
    full: bool = False  # what the recorder logs beside the levels: norms by layer, diversity of the batch
    points: int = 200  # logged steps, evenly spaced
    tags: Mapping[str, str] = field(default_factory=dict)  # our tag -> the name to write in its place
    halve_d: bool = False  # log half of D's loss, as many projects do
    config: bool = True  # write config.json
    images: int = 4  # steps at which sample grids are saved
    checkpoints: int = 2  # steps at which weights and optimiser state are saved


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """All settings of a run. Runs that differ only in PER_RUN settings can train side by side."""

    family: str = "ns"  # loss, one of FAMILIES
    data: str = "ring8"  # one of DATA
    n_train: int = 10_000  # training points, drawn once from the data's distribution
    steps: int = 3_000  # generator steps (rounds, where the generator takes several)
    batch: int = 64
    seed: int = 0

    lr_g: float = 3e-3  # Adam
    lr_d: float = 3e-3
    beta1: float = 0.5
    beta2: float = 0.9
    weight_decay: float = 0.0  # L2 inside Adam
    decoupled: bool = False  # weight_decay as in AdamW: times the learning rate, past the moments
    lookahead: int = 0  # every so many rounds both networks step back half the way; 0: never
    lr_end: float = 0.05  # both rates fall linearly to this share; 1: constant
    warmup: float = 0.0  # share of the run over which both rates rise from 0
    grad_clip: float = 0.0  # bound of each network's gradient norm; 0: none
    d_steps: int = 1  # discriminator steps a round
    g_steps: int = 1  # generator steps a round

    r1: float = 0.0  # gamma: gamma/2 * E|grad C(x)|^2 on reals
    r2: float = 0.0  # the same on fakes
    gp: float = 0.0  # lambda: lambda * E(|grad C| - 1)^2 on interpolates
    clip: float = 0.0  # D's weights stay within +-clip after each step; 0: off
    smoothing: float = 0.0  # how far the label of reals is below 1: cross-entropy and least squares
    mode_seeking: float = 0.0  # weight of G's term that drives samples of different z apart

    latent: int = 4  # dimension of z, standard normal
    depth_g: int = 3  # hidden layers
    width_g: int = 64
    depth_d: int = 3
    width_d: int = 64
    hidden_g: str = "relu"
    hidden_d: str = "leaky_relu"  # slope 0.2
    output_g: str = "linear"
    init_g: float = 0.0  # standard deviation of the first weights; 0: He, sqrt(2 / fan in)
    init_d: float = 0.0
    spectral_norm: bool = False  # in D
    batch_norm: bool = False  # in D, batch statistics, reals and fakes apart
    dropout: float = 0.0  # in D
    minibatch_std: bool = False  # D's last layer also gets the batch's mean standard deviation
    pack: int = 1  # samples that D judges at once
    noise: float = 0.0  # standard deviation of the noise on all that D sees
    noise_end: float = 1.0  # it falls linearly to this share by half of the run; 1: constant
    ema: float = 0.0  # decay a round of the moving average of G that is measured; 0: G itself
    overtime: int = 0  # further rounds at the last rates, measured apart

    fault: str = ""  # a name in faults.FAULTS; "" is the healthy loop
    dose: float = 1.0  # 1: the fault as measured in the lab; nearer 0: milder
    device: str = "cpu"
    log: LogConfig = field(default_factory=LogConfig)


# Settings that may differ between runs that train side by side: all others shape the program.
PER_RUN = frozenset(
    {
        "seed",
        "lr_g",
        "lr_d",
        "beta1",
        "beta2",
        "weight_decay",
        "lr_end",
        "warmup",
        "grad_clip",
        "r1",
        "r2",
        "gp",
    }
    | {"clip", "smoothing", "mode_seeking", "init_g", "init_d", "noise", "noise_end", "ema", "dose", "log"}
)

_NETS: dict[str, dict[str, Any]] = {
    "ring8": {"steps": 3_000},
    "grid25": {"steps": 5_000, "batch": 128},
    "glyphs": {
        "steps": 2_000, "latent": 16, "output_g": "tanh", "lr_g": 1e-3, "lr_d": 1e-3, "lr_end": 1.0,
        "depth_g": 2, "width_g": 128, "depth_d": 2, "width_d": 128,
    },
}  # fmt: skip

_CRITIC: dict[str, Any] = {"d_steps": 3, "beta1": 0.0}

# Measured: 10 of 10 seeds reach all modes with quality above 0.8 (WGAN clip on glyphs: 0.81).
_LOSSES: dict[tuple[str, str], dict[str, Any]] = {
    ("ns", "ring8"): {"r1": 0.0125},
    ("minimax", "ring8"): {"r1": 0.0125},
    ("hinge", "ring8"): {},
    ("lsgan", "ring8"): {"r1": 0.0125},
    ("rpgan", "ring8"): {"r1": 0.0125, "r2": 0.0125},
    ("wgan-gp", "ring8"): {"gp": 0.1, **_CRITIC},
    ("wgan-clip", "ring8"): {"clip": 0.3, **_CRITIC},
    ("ns", "grid25"): {"r1": 0.003},
    ("ns", "glyphs"): {"r1": 0.1},
    ("minimax", "glyphs"): {"r1": 0.1},
    ("hinge", "glyphs"): {"r1": 0.3},
    ("lsgan", "glyphs"): {"r1": 3.0},
    ("rpgan", "glyphs"): {"r1": 0.1, "r2": 0.1},
    ("wgan-gp", "glyphs"): {"gp": 1.0, **_CRITIC},
    ("wgan-clip", "glyphs"): {"clip": 0.05, "steps": 1_500, **_CRITIC},
}

BASELINES = tuple(_LOSSES)


def baseline(family: str = "ns", data: str = "ring8", **changes: Any) -> TrainConfig:
    """Return the healthy settings of a loss family on a data set, with `changes` on top.

    Raises UserError if the family, the data set, or the two together are unknown.
    """
    for name, known in ((family, FAMILIES), (data, DATA)):
        if name not in known:
            raise UserError(f"unknown name {name!r}", hint=f"one of: {', '.join(known)}")
    if (family, data) not in _LOSSES:
        fits = ", ".join(known for known, where in _LOSSES if where == data)
        raise UserError(f"no healthy settings are known for {family} on {data}", hint=f"{data} has: {fits}")
    settings = {**_NETS[data], **_LOSSES[family, data]}
    return replace(TrainConfig(family=family, data=data, **settings), **changes)
