"""The parts of a training run, so that a fault can exchange one of them and leave the loop as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TypeAlias

import torch
from torch import Tensor

from gandoctor.errors import UserError
from gandoctor.trainer import data
from gandoctor.trainer.config import PER_RUN, TrainConfig
from gandoctor.trainer.data import Data
from gandoctor.trainer.models import Adam, Mlp
from gandoctor.trainer.objectives import OBJECTIVES, Objective, smoothed

Streams: TypeAlias = Sequence[torch.Generator]


@dataclass(frozen=True, slots=True)
class Game:
    """E runs that train side by side; all tensors have the run in front."""

    config: TrainConfig  # what all runs share; PER_RUN settings are those of the first run
    data: Data
    train: Tensor  # (E, N, dim) training points
    held_out: Tensor  # (E, M, dim) reals that D never sees
    generator: Mlp
    discriminator: Mlp
    adam_g: Adam
    adam_d: Adam
    objective: Objective
    latents: Callable[[int, Streams], Tensor]  # n -> z (E, n, latent)
    present: Callable[[Tensor], Tensor]  # reals as the pipeline hands them to D
    blur: Callable[[Tensor], Tensor]  # what D sees of any sample: noise on its inputs
    anneal: Callable[[float], None]  # share of the run done: sets that noise
    rates: Callable[[float], tuple[Tensor, Tensor]]  # share of the run done -> lr of G, of D, (E, 1)
    spoil: Callable[[str, Tensor], Tensor]  # "G" or "D", its gradient (E, P) -> what Adam gets of it
    r1: Tensor | None  # weights of the penalties (E,), None where no run has one
    r2: Tensor | None
    gp: Tensor | None
    clip: Tensor | None  # (E, 1)
    grad_clip: Tensor | None  # (E, 1), infinite where a run has none
    mode_seeking: Tensor | None  # (E,)
    ema: Tensor | None  # decay a round (E, 1)
    average: Mlp  # what is measured: the moving average of G's weights, or G itself
    full: bool  # whether norms by layer and the batch's diversity are measured
    fixed: Tensor  # (E, 64, latent) the z of the fixed-noise grid
    streams: Streams  # random numbers of the training, a generator a run
    probes: Streams  # those of measurements, so that looking at a run does not change it

    def reals(self, n: int) -> Tensor:
        """Return n training points a run, as D gets them: (E, n, dim)."""
        size = self.train.shape[1]
        which = torch.stack([torch.randint(size, (n, 1), generator=stream) for stream in self.streams])
        return self.present(torch.take_along_dim(self.train, which.to(self.train.device), 1))

    def fakes(self, n: int) -> Tensor:
        """Return n samples a run, (E, n, dim), of G as it trains."""
        return self.generator(self.latents(n, self.streams))

    def measured_fakes(self, n: int) -> Tensor:
        """Return n samples a run, (E, n, dim), of G as it is measured; the training's random numbers stay."""
        return self.average(self.latents(n, self.probes))

    def packed(self, x: Tensor) -> Tensor:
        """Samples (E, B, dim) as D sees them: (E, B / pack, pack * dim)."""
        pack = self.config.pack
        return x if pack == 1 else x.reshape(x.shape[0], x.shape[1] // pack, pack * x.shape[2])

    def outputs(self, x: Tensor) -> Tensor:
        """Return D's raw outputs (E, B / pack) on samples (E, B, dim), without noise."""
        return self.discriminator(self.packed(x)).squeeze(-1)

    def judge(self, x: Tensor) -> Tensor:
        """Return D's raw outputs (E, B / pack) on samples (E, B, dim)."""
        return self.outputs(self.blur(x))


def set_up(configs: Sequence[TrainConfig]) -> Game:
    """Build the healthy game of one or more runs.

    Raises ValueError if their shapes differ, UserError if they cannot run here.
    """
    config = configs[0]
    if config.steps < 1:
        raise UserError(f"a run needs at least one step, not {config.steps}")
    if config.batch % config.pack:
        raise UserError(f"a batch of {config.batch} cannot be packed by {config.pack}")
    if config.device != "cpu" and not torch.cuda.is_available():
        raise UserError(
            f"no device {config.device!r} here: PyTorch finds no CUDA", hint="use the device 'cpu'"
        )
    for field in fields(TrainConfig):
        values = {getattr(c, field.name) for c in configs} if field.name not in PER_RUN else set()
        if len(values) > 1:
            raise ValueError(f"runs that train side by side differ in {field.name}: {values}")
    device = torch.device(config.device)
    streams = [torch.Generator().manual_seed(c.seed) for c in configs]
    torch.manual_seed(config.seed)  # dropout and noise on D's inputs

    def per_run(name: str) -> Tensor:
        return torch.tensor([float(getattr(c, name)) for c in configs], device=device)

    def normal(*shape: int, of: Streams = streams) -> Tensor:
        return torch.stack([torch.randn(*shape, generator=stream) for stream in of]).to(device)

    dataset = data.load(config.data)
    points = torch.stack([dataset.draw(config.n_train + 2_000, stream) for stream in streams]).to(device)
    generator = Mlp(
        [config.latent, *[config.width_g] * config.depth_g, dataset.dim],
        config.hidden_g, config.output_g, [c.init_g for c in configs], streams, config.device,
    )  # fmt: skip
    discriminator = Mlp(
        [config.pack * dataset.dim, *[config.width_d] * config.depth_d, 1],
        config.hidden_d, "linear", [c.init_d for c in configs], streams, config.device,
        config.spectral_norm, config.batch_norm, config.dropout, config.minibatch_std,
    )  # fmt: skip
    betas = per_run("beta1")[:, None], per_run("beta2")[:, None], per_run("weight_decay")[:, None]
    first_g, first_d, end = per_run("lr_g")[:, None], per_run("lr_d")[:, None], per_run("lr_end")[:, None]
    noise, noise_end, clip = (
        per_run("noise")[:, None, None],
        per_run("noise_end")[:, None, None],
        per_run("clip"),
    )
    noise_now, warmup, smoothing = noise.clone(), per_run("warmup")[:, None], per_run("smoothing")
    objective = OBJECTIVES[config.family]
    if smoothing.any():
        try:
            objective = smoothed(config.family, smoothing)
        except KeyError:
            raise UserError(f"labels cannot be smoothed: {config.family} has none") from None
    grad_clip, ema = per_run("grad_clip"), per_run("ema")

    def rates(done: float) -> tuple[Tensor, Tensor]:
        factor = (1 - (1 - end) * done) * (done / warmup.clamp_min(1e-9)).clamp(max=1).where(warmup > 0, 1.0)
        return first_g * factor, first_d * factor

    def anneal(done: float) -> None:
        noise_now.copy_(noise * (1 - (1 - noise_end) * min(1.0, 2 * done)))

    return Game(
        config=config,
        data=dataset,
        train=points[:, 2_000:],
        held_out=points[:, :2_000],
        generator=generator,
        discriminator=discriminator,
        adam_g=Adam(generator.flat, *betas, config.decoupled),
        adam_d=Adam(discriminator.flat, *betas, config.decoupled),
        objective=objective,
        latents=lambda n, of: normal(n, config.latent, of=of),
        present=lambda x: x,
        blur=(lambda x: x + noise_now * torch.randn_like(x)) if noise.any() else (lambda x: x),
        anneal=anneal,
        rates=rates,
        spoil=lambda network, gradient: gradient,
        r1=_used(per_run("r1")),
        r2=_used(per_run("r2")),
        gp=_used(per_run("gp")),
        clip=None if not clip.any() else clip.where(clip > 0, torch.inf)[:, None],
        grad_clip=None if not grad_clip.any() else grad_clip.where(grad_clip > 0, torch.inf)[:, None],
        mode_seeking=_used(per_run("mode_seeking")),
        ema=ema[:, None] if ema.any() else None,
        average=generator.twin() if ema.any() else generator,
        full=any(c.log.full for c in configs),
        fixed=normal(64, config.latent),
        streams=streams,
        probes=[torch.Generator().manual_seed(c.seed + 2**32) for c in configs],
    )


def _used(weights: Tensor) -> Tensor | None:
    return weights if weights.any() else None
