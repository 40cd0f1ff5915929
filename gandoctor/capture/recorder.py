"""Logs from a training loop what the detectors need, under tags that are read right.

with gandoctor.Recorder("runs/x", G=G, D=D, opt_G=opt_G, opt_D=opt_D, latent=100) as rec:
for step, real in enumerate(batches):
...
rec.step(step, loss_G=loss_G, loss_D=loss_D, real_output=D_real, fake_output=D_fake, real=real, fake=fake)
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from gandoctor.capture import measures
from gandoctor.capture.grids import Grids, Sampler, gaussian
from gandoctor.capture.measures import Number, Numbers
from gandoctor.capture.norms import Meter, own, unwrapped
from gandoctor.capture.writers import FORMATS, Writer, save_checkpoint, write_settings
from gandoctor.errors import UserError

Outputs: TypeAlias = Tensor | Sequence[Tensor]


class Recorder:
    """Records a run in `folder`, for `gandoctor diagnose folder`.

    Everything but the folder may be left out: what is not given costs only what it would have told.

    G, D: the networks: norms of their weights, whole and by layer.
    opt_G, opt_D: their optimisers: norms of gradients and of steps, taken as the optimiser steps, and
        learning rates.
    latent: size or shape of one z: grids of fixed noise, of fresh noise and of interpolations; of reals one.
    sample: z (n, *latent) → samples, where that is not G itself (an average of its weights, a condition).
    span: the values of samples that are black and white.
    settings: what else is to stand in config.json, e.g. {"loss": "hinge", "penalty_weight": 10}.
    every: calls of `step` for one that is logged; the others cost next to nothing.
    samples_every, checkpoints_every: calls of `step` for a set of grids, for a checkpoint; 0 for none.
    format: "tensorboard", "csv" or "jsonl".

    Networks may be compiled or wrapped for several devices, optimisers wrapped by Lightning or Accelerate: what
    lies within is measured, sampled and saved.

    Raises UserError for arguments that do not fit. Once training runs, a log that cannot be written warns
    and is given up: it never ends a run.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        G: nn.Module | None = None,
        D: nn.Module | None = None,
        opt_G: torch.optim.Optimizer | None = None,
        opt_D: torch.optim.Optimizer | None = None,
        latent: int | Sequence[int] | None = None,
        sample: Sampler | None = None,
        span: tuple[float, float] = (-1.0, 1.0),
        settings: Mapping[str, Any] | None = None,
        every: int = 50,
        samples_every: int = 2_000,
        checkpoints_every: int = 0,
        format: str = "tensorboard",
    ) -> None:
        _check(every, samples_every, checkpoints_every, format, span)
        self.folder = Path(folder)
        self._every, self._samples_every, self._checkpoints_every = every, samples_every, checkpoints_every
        self._networks = {name: unwrapped(one) for name, one in (("G", G), ("D", D)) if one is not None}
        self._optimizers = {name: own(one) for name, one in (("G", opt_G), ("D", opt_D)) if one is not None}
        self._settings = dict(settings or {})
        self._calls, self._last = 0, -1
        self._sampled = self._saved = -1  # the steps of the latest grids and checkpoint
        self._kept: Numbers = {}
        self._written = self._broken = False
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._writer: Writer = FORMATS[format](self.folder)
        except OSError as fault:
            raise UserError(f"the log cannot be written: {fault.strerror}", where=str(folder)) from fault
        self._meters = [
            Meter(name, self._networks.get(name), self._optimizers.get(name), lambda: self.due)
            for name in "GD"
        ]
        shape = [latent] if isinstance(latent, int) else latent
        draw: Sampler | None = unwrapped(sample) if isinstance(sample, nn.Module) else sample
        drawn = {one for one in (draw, self._networks.get("G")) if isinstance(one, nn.Module)}
        draw = draw or self._networks.get("G")
        self._grids = (
            Grids(self.folder / "samples", draw, gaussian(shape), networks=drawn, span=span)
            if shape and draw and samples_every
            else None
        )

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(last=kind is None)

    def close(self, *, last: bool = True) -> None:
        """Write what is held back. last: with grids and a checkpoint of the end, where these are wanted."""
        if last and self._calls:
            self._save(end=True)
        for meter in self._meters:
            meter.close()
        self._safely(self._writer.close)

    def step(
        self,
        step: int,
        *,
        loss_G: Number | None = None,
        loss_D: Number | None = None,
        loss_D_real: Number | None = None,
        loss_D_fake: Number | None = None,
        loss_D_heldout: Number | None = None,
        real_output: Outputs | None = None,
        fake_output: Outputs | None = None,
        heldout_output: Outputs | None = None,
        real: Tensor | None = None,
        fake: Tensor | None = None,
        penalty: Number | None = None,
        metrics: Mapping[str, Number] | None = None,
        scalars: Mapping[str, Number] | None = None,
    ) -> None:
        """Tell what happened in one step; call it once a step, at its end. Nothing is kept of what is given.

        step: what the log shall count, in any unit that grows.
        loss_G: the adversarial one; others belong into `scalars`. loss_D: without the penalty. loss_D_real,
            loss_D_fake: its halves. loss_D_heldout: on reals that D is not trained on.
        real_output, fake_output, heldout_output: D's raw outputs (before a sigmoid), of any shape, or several of
            them (a sub-discriminator each): mean, standard deviation, and how often a real ranks above a fake.
        real, fake: batches (n, ...) as D sees them: their standard deviations.
        penalty: the gradient penalty; given at some steps only, the latest counts.
        metrics: quality metrics by name ("fid"), logged at whatever step they come.
        scalars: other numbers, by their own tags.
        """
        self._last = step
        if penalty is not None:  # a copy: memory of a compiled step is used again by the next
            self._kept = {tag: value.clone() for tag, value in measures.numbers({"penalty": penalty}).items()}
        found = measures.numbers({f"metric/{name}": value for name, value in (metrics or {}).items()})
        if self.due:
            losses = {
                "loss/D": loss_D, "loss/G": loss_G, "loss/D_real": loss_D_real, "loss/D_fake": loss_D_fake,
                "loss/D_heldout": loss_D_heldout, **self._kept, **(scalars or {}),
            }  # fmt: skip
            outputs = {"real": real_output, "fake": fake_output, "heldout": heldout_output}
            found |= self._measured(losses, outputs, {"fake": fake, "real": real})
            self._kept = {}
        if found:
            self._log(step, found)
        self._save(real)
        self._calls += 1

    @property
    def due(self) -> bool:
        """Whether the call of `step` that comes next is logged: what is made for the log alone, such as D's
        outputs on held-out reals, need not be made otherwise.
        """
        return self._calls % self._every == 0 and not self._broken

    @torch.no_grad()
    def _measured(
        self,
        losses: Mapping[str, Number | None],
        outputs: Mapping[str, Outputs | None],
        batches: Mapping[str, Tensor | None],
    ) -> Numbers:
        """All numbers of a step, still on their device."""
        found = measures.numbers(losses)
        found |= measures.outputs(
            {side: measures.flat(one) for side, one in outputs.items() if one is not None}
        )
        flat = {side: one.detach().flatten(1).float() for side, one in batches.items()
                if one is not None and len(one) > 1}  # fmt: skip
        found |= {f"samples/{side}_std": measures.spread(one) for side, one in flat.items()}
        if len(flat) == 2 and min(map(len, flat.values())) >= measures.COMPARABLE:
            found["samples/diversity"] = measures.diversity(flat["real"], flat["fake"])
        for meter in self._meters:
            found |= meter.take()
        for name, optimizer in self._optimizers.items():
            rate = optimizer.param_groups[0]["lr"]
            found[f"lr/{name}"] = torch.as_tensor(rate, dtype=torch.float32).reshape(())
        if not self._written:
            self._written = True
            size = next((len(one) for one in (batches["real"], batches["fake"]) if one is not None), None)
            self._safely(lambda: write_settings(self.folder, self._all_settings(size)))
        return found

    def _log(self, step: int, found: Numbers) -> None:
        """Fetch the numbers of a step from their device, all at once, and write them."""
        values = measures.fetched(found)
        for meter in self._meters:
            values = meter.left_out(values)
        self._safely(lambda: self._writer.write(step, values))

    def _save(self, real: Tensor | None = None, end: bool = False) -> None:
        """The grids and the checkpoint that are due, or those of the end."""
        step = self._last
        if (
            self._grids is not None
            and self._sampled != step
            and (end or self._calls % self._samples_every == 0)
        ):
            self._sampled, grids = step, self._grids
            self._safely(lambda: grids.save(step, real))
        every = self._checkpoints_every
        if every and self._saved != step and (end or (self._calls and self._calls % every == 0)):
            self._saved = step
            self._safely(lambda: save_checkpoint(self.folder, step, self._state()))

    def _state(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        state = {name: network.state_dict() for name, network in self._networks.items()}
        return state | {f"opt_{name}": one.state_dict() for name, one in self._optimizers.items()}

    def _all_settings(self, batch: int | None) -> dict[str, Any]:
        """What the optimisers and the batch say of the configuration, and over it what the user says."""
        settings: dict[str, Any] = {}
        for name, optimizer in self._optimizers.items():
            group, low = optimizer.param_groups[0], name.lower()
            settings |= {
                f"optimizer_{low}": type(optimizer).__name__.lower(),
                f"lr_{low}": float(group["lr"]),
            }
            if "betas" in group:
                settings |= {f"beta1_{low}": float(group["betas"][0]), "beta2": float(group["betas"][1])}
            if "weight_decay" in group:
                settings[f"weight_decay_{low}"] = float(group["weight_decay"])
        settings |= {"batch_size": batch} if batch is not None else {}
        return settings | self._settings

    def _safely(self, act: Callable[[], object]) -> None:
        """Do what writes. Where it cannot, warn and log no more: training goes on."""
        if self._broken:
            return
        try:
            act()
        except OSError as fault:
            self._broken = True
            message = f"gandoctor.Recorder stops logging to {self.folder}: {fault}"
            warnings.warn(message, RuntimeWarning, stacklevel=2)


def _check(every: int, samples: int, checkpoints: int, format: str, span: tuple[float, float]) -> None:
    if format not in FORMATS:
        raise UserError(
            f"no format is called {format!r}", where="format", hint=f"one of: {', '.join(FORMATS)}"
        )
    for name, value, least in (
        ("every", every, 1), ("samples_every", samples, 0), ("checkpoints_every", checkpoints, 0),
    ):  # fmt: skip
        if value < least:
            raise UserError(f"{value} is too small", where=name, hint=f"{least} or more")
    if not span[0] < span[1]:
        raise UserError(f"{span} is no range", where="span", hint="(-1, 1) for tanh, (0, 1) for sigmoid")
