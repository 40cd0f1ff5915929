"""Faults, a small named change each: to a configuration, or to one part of the game.

`dose` 1 is the fault at the strength that the lab measured; a change of a number is geometric, so that
dose 0.5 lies half way, on a log scale, between the healthy value and the faulty one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gandoctor.errors import UserError
from gandoctor.trainer.config import LOG_LEVELS, TrainConfig, baseline

if TYPE_CHECKING:
    from torch import Tensor

    from gandoctor.trainer.game import Game

Change = Callable[[TrainConfig, float], TrainConfig]  # configuration, dose -> the faulty one

CROSS_ENTROPY = ("ns", "minimax")
BOUNDED = ("ns", "minimax", "hinge", "lsgan", "rpgan")  # losses with a value at a perfect D
ALL = (*BOUNDED, "wgan-gp", "wgan-clip")

# The first level of logging (config.LOG_LEVELS) at which a symptom leaves a trace in the scalars, from its
# definition and from what its mechanism changes; "config": where the configuration is logged; "never": no
# scalar shows it.
VISIBLE = {
    "GD101": "losses", "GD102": "outputs", "GD104": "norms", "GD105": "losses",
    "GD201": "losses", "GD202": "outputs", "GD203": "never", "GD204": "losses",
    "GD301": "norms", "GD302": "norms", "GD303": "never", "GD401": "outputs", "GD402": "outputs",
    "GD403": "never", "GD503": "samples", "GD601": "norms", "GD602": "never", "GD603": "never",
    "GD604": "config", "GD605": "never", "GD606": "never",
    "GD701": "losses", "GD702": "samples", "GD703": "config",
}  # fmt: skip

# A critic's loss has no value of its own for a D that is ahead, nor a range that wrong code leaves.
VISIBLE_CRITIC = {"GD201": "outputs", "GD701": "outputs"}

# What else a run may leave: sample grids, and weights with the optimisers' state.
VISIBLE_IN_SAMPLES = frozenset({"GD401", "GD402"})
VISIBLE_IN_CHECKPOINTS = frozenset({"GD301", "GD303", "GD602", "GD603", "GD605"})


# A false equilibrium: D cannot tell good samples from bad, so that nothing but the samples is out of order.
IN_SAMPLES = {"GD104": "samples"}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing done wrong.

    causes: the codes that count as the right primary if they measure true, or, for `known`, always:
        the fault's earliest visible causes, written down before any detector was run on it.
    known: codes that are true by construction (the code is wrong whatever the samples look like).
    shows: where a code of this fault first leaves a trace, if not where `VISIBLE` says.
    families: the losses it fits, the first one by default. data: likewise.
    since: the share of the run at which it begins.
    """

    name: str
    summary: str
    causes: tuple[str, ...]
    change: Change = lambda config, dose: config
    wrap: Callable[[Game], Game] | None = None
    known: tuple[str, ...] = ()
    shows: Mapping[str, str] = field(default_factory=dict)
    families: tuple[str, ...] = BOUNDED
    data: tuple[str, ...] = ("ring8", "grid25", "glyphs")
    since: float = 0.0


def configure(
    family: str | None = None,
    data: str | None = None,
    fault: str = "",
    dose: float = 1.0,
    **changes: Any,
) -> TrainConfig:
    """Return the healthy baseline, made ill by `fault`; `changes` are applied before the fault.

    Raises UserError for an unknown fault, or one that does not fit the family or the data.
    """
    if not fault:
        return baseline(family or "ns", data or "ring8", **changes)
    if fault not in FAULTS:
        raise UserError(f"unknown fault {fault!r}", hint="`gandoctor train --list-faults` lists them")
    it = FAULTS[fault]
    for chosen, fits in ((family, it.families), (data, it.data)):
        if chosen and chosen not in fits:
            raise UserError(f"{fault} does not apply to {chosen}", hint=f"it fits: {', '.join(fits)}")
    config = baseline(family or it.families[0], data or it.data[0], **changes)
    return replace(it.change(config, dose), fault=fault, dose=dose)


def visible(code: str, config: TrainConfig) -> bool:
    """Whether a symptom leaves a trace in what a run logs: scalars, configuration, samples, checkpoints."""
    if config.log.images and code in VISIBLE_IN_SAMPLES:
        return True
    if config.log.checkpoints and code in VISIBLE_IN_CHECKPOINTS:
        return True
    critic = VISIBLE_CRITIC if config.family.startswith("wgan") else {}
    own = FAULTS[config.fault].shows if config.fault else {}
    level = {**VISIBLE, **critic, **own}.get(code, "never")
    if code == "GD703" and config.log.level == LOG_LEVELS[-1]:
        return True  # the learning rates themselves
    if level == "config":
        return config.log.config
    return level in LOG_LEVELS[: LOG_LEVELS.index(config.log.level) + 1]


def _set(**values: Any) -> Change:
    """A fault that sets values, whatever the dose."""
    return lambda config, dose: replace(config, **values)


def _scale(*, constant: bool = False, bare: bool = False, **factors: float) -> Change:
    """A fault that multiplies settings by factor ** dose.

    constant: the learning rate does not decay. bare: no penalty either.
    """

    def change(config: TrainConfig, dose: float) -> TrainConfig:
        values: dict[str, Any] = {
            name: getattr(config, name) * factor**dose for name, factor in factors.items()
        }
        values |= {"d_steps": max(1, round(values["d_steps"]))} if "d_steps" in values else {}
        values |= {"g_steps": max(1, round(values["g_steps"]))} if "g_steps" in values else {}
        values |= {"lr_end": 1.0} if constant else {}
        values |= {"r1": 0.0, "r2": 0.0, "gp": 0.0} if bare else {}
        return replace(config, **values)

    return change


def _momentum(config: TrainConfig, dose: float) -> TrainConfig:
    beta1 = 1 - 0.5 * 0.2**dose  # 0.9 at dose 1, 0.5 at 0
    return replace(config, beta1=beta1, r1=0.0, r2=0.0, gp=0.0, lr_end=1.0)


def _perfect(config: TrainConfig, dose: float) -> TrainConfig:
    return replace(_scale(bare=True, lr_g=0.1, d_steps=5.0)(config, dose), init_g=0.01)


def _penalty(config: TrainConfig, dose: float) -> TrainConfig:
    if config.gp:
        return replace(config, gp=config.gp * (1_000 / config.gp) ** dose)
    first = config.r1 or 0.0125
    return replace(config, r1=first * (100 / first) ** dose)


def _clip(bound: float) -> Change:
    return lambda config, dose: replace(config, clip=config.clip * (bound / config.clip) ** dose)


def _swap_labels(game: Game) -> Game:
    d = game.objective.d
    return replace(game, objective=replace(game.objective, d=lambda real, fake: d(fake, real)))


def _flip_sign(game: Game) -> Game:
    g = game.objective.g
    return replace(game, objective=replace(game.objective, g=lambda real, fake: -g(real, fake)))


def _detach_g(game: Game) -> Game:
    g = game.objective.g
    return replace(game, objective=replace(game.objective, g=lambda real, fake: g(real, fake.detach())))


def _leak(game: Game) -> Game:
    """D's loss reaches G, as without detach and with one zero_grad for both."""
    objective = game.objective

    def g(real: Tensor, fake: Tensor) -> Tensor:
        on_real, on_fake = objective.d(real, fake)
        leaked = on_real if on_fake is None else on_real + on_fake
        return objective.g(real, fake) + (leaked - leaked.detach())  # the gradient leaks, the value does not

    return replace(game, objective=replace(objective, g=g, pairs=True))


def _double_sigmoid(game: Game) -> Game:
    objective = game.objective
    return replace(
        game,
        objective=replace(
            objective,
            d=lambda real, fake: objective.d(real.sigmoid(), fake.sigmoid()),
            g=lambda real, fake: objective.g(real.sigmoid(), fake.sigmoid()),
        ),
    )


def _bare_log(game: Game) -> Game:
    """Cross-entropy written by hand: log(sigmoid), no epsilon."""
    return replace(
        game,
        objective=replace(
            game.objective,
            d=lambda real, fake: (-real.sigmoid().log().mean(1), -(1 - fake.sigmoid()).log().mean(1)),
            g=lambda real, fake: -fake.sigmoid().log().mean(1),
        ),
    )


def _half_precision(game: Game) -> Game:
    """Gradients scaled by 2^20 for float16 and back, with no check for overflow."""
    return replace(game, spoil=lambda _, gradient: (gradient * 2.0**20).half().float() / 2.0**20)


def _pile_up(game: Game) -> Game:
    """Gradients are never set to zero: each network's Adam sees the sum of all so far."""
    piles: dict[str, Tensor] = {}

    def spoil(network: str, gradient: Tensor) -> Tensor:
        piles[network] = gradient + piles[network] if network in piles else gradient
        return piles[network]

    return replace(game, spoil=spoil)


def _byte_range(game: Game) -> Game:
    """Reals reach D in [0, 255]; G ends in a tanh."""
    return replace(game, present=lambda x: 127.5 * (x + 1))


def _constant_z(game: Game) -> Game:
    z = game.fixed[:, :1]
    return replace(game, latents=lambda n, _: z.expand(-1, n, -1), fixed=z.expand_as(game.fixed))


def _late_jump(game: Game) -> Game:
    """At 60% of the run G's learning rate jumps, as after a resume with the wrong setting."""
    rates, factor = game.rates, 20**game.config.dose

    def late(done: float) -> tuple[Tensor, Tensor]:
        lr_g, lr_d = rates(done)
        return (lr_g if done < 0.6 else rates(0.0)[0] * factor), lr_d

    return replace(game, rates=late)


def _early_zero(game: Game) -> Game:
    """A scheduler brings both learning rates to 0 within the first 12% of the run."""
    rates = game.rates

    def early(done: float) -> tuple[Tensor, Tensor]:
        lr_g, lr_d = rates(0.0)
        left = max(0.0, 1 - done / 0.12)
        return lr_g * left, lr_d * left

    return replace(game, rates=early)


def _frozen_layer(game: Game) -> Game:
    """G's second layer of weights is not among the parameters that its optimiser was given."""
    start, end = game.generator.place(1)

    def spoil(network: str, gradient: Tensor) -> Tensor:
        if network == "G":
            gradient[:, start:end] = 0
        return gradient

    return replace(game, spoil=spoil)


def _dead_units(game: Game) -> Game:
    """Nine in ten units of G's first layer start so far below 0 that no z ever opens them."""
    weights, biases = (part.data[..., game.config.width_g // 10 :] for part in game.generator.weights[:2])
    weights.mul_(0.1)
    biases.fill_(-2.0)
    return game


def _stale_spectral_norm(game: Game) -> Game:
    """Power iteration never runs, as where spectral norm is left in evaluation mode."""
    game.discriminator.iterate = False
    return game


def _moments_lost(game: Game) -> Game:
    """At half of the run both optimisers are made anew, as after a resume that saved the weights alone."""
    rates, fresh = game.rates, [game.adam_g, game.adam_d]

    def resumed(done: float) -> tuple[Tensor, Tensor]:
        if done >= 0.5:
            while fresh:
                fresh.pop().forget()
        return rates(done)

    return replace(game, rates=resumed)


_LIST = [
    Fault(
        "no-r1-momentum",
        "no penalty and Adam's beta1 at 0.9: G hops from mode to mode",
        ("GD401", "GD402", "GD102"),
        _momentum,
    ),
    Fault(
        "bare-loss",
        "the family's penalty left out: modes are lost on images",
        ("GD401", "GD402", "GD102", "GD201", "GD203"),
        _set(r1=0.0, r2=0.0),
        data=("glyphs",),
    ),
    Fault(
        "d-too-fast",
        "D's learning rate x3, G's x0.1, 5 D steps, no penalty: G keeps a few modes",
        ("GD703", "GD201", "GD401", "GD402"),
        _scale(constant=True, bare=True, lr_d=10 / 3, lr_g=0.1, d_steps=5.0),
        known=("GD703",),
    ),
    Fault(
        "d-perfect",
        "5 D steps, slow G that starts tiny, no penalty: under minimax G's gradient vanishes",
        ("GD703", "GD201", "GD301", "GD401"),
        _perfect,
        known=("GD703",),
        families=("minimax", "ns", "hinge", "lsgan", "rpgan"),
    ),
    Fault(
        "g-too-slow",
        "G's learning rate / 100, no penalty: D wins, G's gradient stays large",
        ("GD703", "GD201", "GD104"),
        _scale(constant=True, bare=True, lr_g=0.01),
        known=("GD703",),
    ),
    Fault(
        "g-too-fast",
        "D's learning rate / 20, 8 G steps: D is fooled and follows",
        ("GD703", "GD202", "GD401", "GD402", "GD102"),
        _scale(constant=True, lr_d=0.05, g_steps=8.0),
        known=("GD703",),
        families=ALL,
    ),
    Fault(
        "lr-too-high",
        "both learning rates x10: slow hopping behind losses that look perfect",
        ("GD703", "GD102", "GD401", "GD402", "GD302"),
        _scale(constant=True, lr_g=10.0, lr_d=10.0),
        known=("GD703",),
        families=ALL,
    ),
    Fault(
        "lr-explode",
        "both learning rates at about 1: losses and weights explode",
        ("GD703", "GD302", "GD101", "GD105", "GD601"),
        _scale(constant=True, lr_g=333.0, lr_d=333.0),
        known=("GD703",),
        families=ALL,
    ),
    Fault(
        "bad-init",
        "first weights N(0, 1) in both networks",
        ("GD302", "GD101", "GD201"),
        _set(init_g=1.0, init_d=1.0),
    ),
    Fault(
        "lr-zero",
        "both learning rates near 1e-7: nothing moves",
        ("GD703", "GD204", "GD104"),
        _scale(constant=True, lr_g=3e-5, lr_d=3e-5),
        known=("GD703",),
        families=ALL,
    ),
    Fault(
        "deep-sigmoid-d",
        "D with 8 sigmoid layers, N(0, 0.01): its gradient vanishes by depth",
        ("GD301", "GD204"),
        _set(hidden_d="sigmoid", depth_d=8, init_d=0.01),
        families=("ns", "minimax", "rpgan"),
    ),
    Fault(
        "deep-sigmoid-g",
        "G with 8 sigmoid layers, N(0, 0.01): it ends in one point",
        ("GD301", "GD401"),
        _set(hidden_g="sigmoid", depth_g=8, init_g=0.01),
    ),
    Fault(
        "swapped-labels",
        "D is trained with the labels of reals and fakes swapped",
        ("GD701",),
        wrap=_swap_labels,
        known=("GD701",),
        families=ALL,
    ),
    Fault(
        "wrong-sign-g",
        "G's loss has the wrong sign",
        ("GD701", "GD101"),
        wrap=_flip_sign,
        known=("GD701",),
        families=ALL,
    ),
    Fault(
        "g-detached",
        "the fakes are detached in G's step too: G never learns",
        ("GD701", "GD204", "GD301"),
        wrap=_detach_g,
        known=("GD701",),
        families=ALL,
        shows={"GD701": "norms", "GD204": "norms"},
    ),
    Fault(
        "no-detach",
        "D's loss leaks into G's gradient",
        ("GD701",),
        wrap=_leak,
        known=("GD701",),
        families=("ns", "hinge", "lsgan"),
        shows={"GD701": "never"},
    ),
    Fault(
        "double-sigmoid",
        "a sigmoid before a loss that has its own",
        ("GD701", "GD301"),
        wrap=_double_sigmoid,
        known=("GD701",),
        families=CROSS_ENTROPY,
    ),
    Fault(
        "no-penalty",
        "a WGAN critic without its penalty: losses and weights grow",
        ("GD604", "GD601", "GD101", "GD302"),
        _set(gp=0.0),
        families=("wgan-gp",),
    ),
    Fault(
        "huge-gamma",
        "penalty far too strong (R1 100, gradient penalty 1000): D learns nothing",
        ("GD604", "GD104", "GD202"),
        _penalty,
        known=("GD604",),
        families=("ns", "minimax", "hinge", "lsgan", "wgan-gp"),
        shows={"GD604": "losses"},
    ),
    Fault(
        "clip-too-small",
        "critic clipped at 1e-4: no gradient is left",
        ("GD603", "GD301", "GD204", "GD104"),
        _clip(1e-4),
        families=("wgan-clip",),
    ),
    Fault(
        "clip-too-big",
        "critic clipped at 1: gradients explode",
        ("GD302", "GD101", "GD603", "GD104"),
        _clip(1.0),
        families=("wgan-clip",),
    ),
    Fault(
        "fp16-overflow",
        "gradients overflow in half precision",
        ("GD105",),
        wrap=_half_precision,
        known=(),
        families=ALL,
    ),
    Fault(
        "log-zero",
        "cross-entropy by hand without an epsilon, and a fast D: log of 0",
        ("GD105", "GD703", "GD201", "GD401", "GD402"),  # those of d-too-fast, where no log(0) is met
        _scale(constant=True, bare=True, lr_d=10 / 3, lr_g=0.1, d_steps=5.0),
        _bare_log,
        known=("GD703",),
        families=("ns",),
    ),
    Fault(
        "data-range",
        "reals in [0, 255], G ends in a tanh",
        ("GD702", "GD201", "GD503"),
        _set(output_g="tanh"),
        _byte_range,
        known=("GD702",),
    ),
    Fault(
        "batch-norm-d",
        "batch norm in D, reals and fakes in batches apart",
        ("GD606", "GD202", "GD102"),
        _set(batch_norm=True),
        known=("GD606",),
        shows={"GD201": "outputs", **IN_SAMPLES},  # each batch is normalised by itself
    ),
    Fault(
        "batch-of-two",
        "batch norm in D over batches of two",
        ("GD606", "GD202", "GD102"),
        _set(batch_norm=True, batch=2),
        known=("GD606",),
        shows={"GD201": "outputs", **IN_SAMPLES},
    ),
    Fault(
        "z-constant",
        "z is drawn once and used for ever",
        ("GD403", "GD401"),
        wrap=_constant_z,
        known=("GD403",),
        families=ALL,
    ),
    Fault(
        "small-g",
        "G with 4 hidden units and one-dimensional z",
        ("GD402", "GD401", "GD104", "GD201"),
        _set(latent=1, depth_g=1, width_g=4),
        families=ALL,
    ),
    Fault(
        "late-collapse",
        "at 60% of the run G's learning rate jumps x20",
        ("GD703", "GD401", "GD402", "GD102"),
        wrap=_late_jump,
        since=0.6,
        known=("GD703",),
        families=ALL,
        shows={"GD703": "all"},
    ),
    Fault(
        "lr-dies-early",
        "both learning rates reach 0 at 12% of the run",
        ("GD703", "GD104", "GD204"),
        wrap=_early_zero,
        since=0.12,
        known=("GD703", "GD204"),
        families=ALL,
        shows={"GD703": "all", "GD204": "norms"},
    ),
    Fault(
        "noise-forever",
        "noise of 0.5 on D's inputs, never annealed: a false equilibrium",
        ("GD104", "GD402"),
        lambda config, dose: replace(config, noise=0.5 * dose),
        data=("ring8", "grid25"),
        shows=IN_SAMPLES,
    ),
    Fault(
        "dropout-d",
        "dropout of 0.5 in a small D: a false equilibrium",
        ("GD104", "GD402"),
        _set(dropout=0.5),
        data=("ring8", "grid25"),
        shows=IN_SAMPLES,
    ),
    Fault(
        "l2-in-adam",
        "L2 weight of 0.1 inside Adam: the weights, then the samples, shrink to a point",
        ("GD401", "GD402", "GD104"),
        lambda config, dose: replace(config, weight_decay=0.1 * dose),
    ),
    Fault(
        "no-zero-grad",
        "gradients pile up from step to step",
        ("GD701", "GD302", "GD101", "GD102", "GD401"),
        wrap=_pile_up,
        known=("GD701",),
        families=ALL,
        shows={"GD701": "norms"},
    ),
    Fault(
        "tiny-data",
        "32 training images and no penalty: D learns them by heart",
        ("GD203", "GD402", "GD201"),  # in the log, D parts reals from fakes: those it knows by heart
        _set(n_train=32, r1=0.0, r2=0.0),
        data=("glyphs",),
    ),
    Fault(
        "frozen-layer",
        "G's second layer is left out of its optimiser",
        ("GD303",),
        wrap=_frozen_layer,
        known=("GD303",),
        families=ALL,
    ),
    Fault(
        "dead-units",
        "nine in ten units of G's first layer start dead",
        ("GD303", "GD402"),
        wrap=_dead_units,
        known=("GD303",),
        families=ALL,
    ),
    Fault(
        "sn-stale",
        "spectral norm in D whose power iteration never runs: nothing is normalised",
        ("GD602", "GD102", "GD401", "GD402"),
        _set(spectral_norm=True),
        _stale_spectral_norm,
        known=("GD602",),
    ),
    Fault(
        "optimizer-lost",
        "both optimisers forget their state at half of the run",
        ("GD605",),
        wrap=_moments_lost,
        since=0.5,
        known=("GD605",),
        families=ALL,
    ),
]

FAULTS: dict[str, Fault] = {fault.name: fault for fault in _LIST}
