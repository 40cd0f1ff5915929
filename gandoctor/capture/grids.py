"""Sample grids of fixed noise, of fresh noise, of interpolations and of reals, drawn without touching the training."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn

from gandoctor.errors import UserError

ROWS = 8  # of a grid, and tiles a row
_PAD = 2  # pixels between tiles

Sampler = Callable[[Tensor], Tensor]
Noise = Callable[[int], Tensor]


class Grids:
    """Draws samples of a generator and saves them in `folder`.

    draw: z (n, *latent) → samples (n, C, H, W), or (n, d) for points. noise: n → z (n, *latent). fixed: the z
    (64, *latent) of the fixed grid and of the ends of the interpolations; drawn once where not given.
    networks: what `draw` draws from, set to evaluation meanwhile. span: the values that are drawn as black and
    white. digits: of the step in a name, at least.
    """

    def __init__(
        self, folder: Path, draw: Sampler, noise: Noise, *, fixed: Tensor | None = None,
        networks: Iterable[nn.Module] = (), span: tuple[float, float] = (-1.0, 1.0), digits: int = 8,
    ) -> None:  # fmt: skip
        self.folder, self.draw, self.noise, self.span = folder, draw, noise, span
        self._fixed = noise(ROWS * ROWS) if fixed is None else fixed
        self._networks, self._digits = list(networks), digits
        weights = (p.device for network in self._networks for p in network.parameters())
        self._device = next(weights, self._fixed.device)
        self._has_reals = False

    def save(self, step: int, reals: Tensor | None = None) -> None:
        """Draw and save the grids of a step; of reals (n, C, H, W) or (n, d), as D sees them, once. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with undisturbed(self._networks, self._device):
            batches = {
                "fixed": self._fixed,
                "random": self.noise(ROWS * ROWS),
                "interpolation": between(self._fixed[: 2 * ROWS]),
            }
            for kind, z in batches.items():
                self._write(kind, step, self._samples(z))
        if reals is not None and not self._has_reals:
            self._write("reals", step, reals[: ROWS * ROWS].detach().float().cpu())
            self._has_reals = True

    def _write(self, kind: str, step: int, samples: Tensor) -> None:
        path = self.folder / f"{kind}_{step:0{self._digits}d}"
        if samples.dim() == 4:
            Image.fromarray(tiled(samples, self.span)).save(path.with_suffix(".png"))
        else:
            np.save(path.with_suffix(".npy"), samples.flatten(1).numpy())

    def _samples(self, z: Tensor) -> Tensor:
        try:
            return self.draw(z.to(self._device)).detach().float().cpu()
        except (RuntimeError, TypeError) as fault:
            raise UserError(
                f"no samples can be drawn from z of shape {tuple(z.shape)}: {fault}",
                where="Recorder",
                hint="latent=(100, 1, 1) is a DCGAN's; sample=lambda z: G(z, labels) a conditional generator's",
            ) from fault


def gaussian(latent: Sequence[int]) -> Noise:
    """Standard normal z from a stream of their own, so that looking does not change the training."""
    stream = torch.Generator().manual_seed(0)
    return lambda n: torch.randn(n, *latent, generator=stream)


def between(ends: Tensor) -> Tensor:
    """Rows of `ROWS` points on arcs between pairs of z: (2 m, ...) → (m · ROWS, ...).

    Spherical: points between two Gaussian z keep the norm that G is used to. White 2016, arXiv:1609.04468.
    """
    first, last = ends.flatten(1).chunk(2)
    cosine = torch.nn.functional.cosine_similarity(first, last, dim=1).clamp(-1 + 1e-6, 1 - 1e-6)
    angle = cosine.arccos()[:, None, None]
    share = torch.linspace(0, 1, ROWS, device=ends.device)[None, :, None]
    rows = ((1 - share) * angle).sin() * first[:, None] + (share * angle).sin() * last[:, None]
    return (rows / angle.sin()).reshape(-1, *ends.shape[1:])


def tiled(samples: Tensor, span: tuple[float, float]) -> npt.NDArray[np.uint8]:
    """Images (n, C, H, W) as one picture uint8, `ROWS` a row, with black lines between.

    One channel gives grey (h, w), three or more RGB (h, w, 3). What is not finite is black.
    """
    low, high = span
    grey = samples.shape[1] < 3
    pixels = torch.nan_to_num(samples[:, : 1 if grey else 3], nan=low, posinf=high, neginf=low)
    pixels = ((pixels - low) / (high - low)).clamp(0, 1).mul(255).round().byte()
    n, channels, height, width = pixels.shape
    rows = -(-n // ROWS)
    picture = np.zeros((rows * (height + _PAD) + _PAD, ROWS * (width + _PAD) + _PAD, channels), np.uint8)
    for at, tile in enumerate(pixels.permute(0, 2, 3, 1).numpy()):
        y, x = (at // ROWS) * (height + _PAD) + _PAD, (at % ROWS) * (width + _PAD) + _PAD
        picture[y : y + height, x : x + width] = tile
    return picture[:, :, 0] if grey else picture


@contextmanager
def undisturbed(networks: Iterable[nn.Module], device: torch.device) -> Iterator[None]:
    """Evaluation mode without gradients, and without compiling for shapes that training does not have.

    Modes and random numbers are afterwards as they were.
    """
    modules = [module for network in networks for module in network.modules()]
    modes = [module.training for module in modules]
    cuda = [device] if device.type == "cuda" else []
    loaded = "torch._dynamo" in sys.modules  # else nothing is compiled, and setting the stance would load it
    eager = torch.compiler.set_stance("force_eager") if loaded else nullcontext()
    with torch.random.fork_rng(devices=cuda), torch.no_grad(), eager:
        try:
            for module in modules:
                module.training = False
            yield
        finally:
            for module, mode in zip(modules, modes, strict=True):
                module.training = mode
