"""The loss families, a function each, and the gradient penalties.

C is the discriminator's raw output: `real` and `fake` are (E, B). Losses are (E,), a number a run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

Half = Tensor | None


@dataclass(frozen=True, slots=True)
class Objective:
    """A family's two losses.

    d: (real, fake) -> D's losses on reals and on fakes; the second is None where they cannot be parted.
    g: (real, fake) -> G's loss; `real` is empty, (E, 0), unless `pairs`.
    """

    d: Callable[[Tensor, Tensor], tuple[Tensor, Half]]
    g: Callable[[Tensor, Tensor], Tensor]
    pairs: bool = False  # G's loss compares fakes with reals


def _cross_entropy(real: Tensor, fake: Tensor) -> tuple[Tensor, Half]:
    return F.softplus(-real).mean(1), F.softplus(fake).mean(1)


def _hinge(real: Tensor, fake: Tensor) -> tuple[Tensor, Half]:
    return F.relu(1 - real).mean(1), F.relu(1 + fake).mean(1)


def _least_squares(real: Tensor, fake: Tensor) -> tuple[Tensor, Half]:
    return 0.5 * (real - 1).square().mean(1), 0.5 * fake.square().mean(1)


def _wasserstein(real: Tensor, fake: Tensor) -> tuple[Tensor, Half]:
    return -real.mean(1), fake.mean(1)


def smoothed(family: str, share: Tensor) -> Objective:
    """The family's losses with the label of reals at 1 - share, (E,). Salimans et al. 2016, arXiv:1606.03498.

    Raises KeyError for a loss without labels.
    """
    label = 1 - share[:, None]

    def cross_entropy(real: Tensor, fake: Tensor) -> tuple[Tensor, Half]:
        return (F.softplus(real) - label * real).mean(1), F.softplus(fake).mean(1)

    def least_squares(real: Tensor, fake: Tensor) -> tuple[Tensor, Half]:
        return 0.5 * (real - label).square().mean(1), 0.5 * fake.square().mean(1)

    d = {"minimax": cross_entropy, "ns": cross_entropy, "lsgan": least_squares}[family]
    return replace(OBJECTIVES[family], d=d)


def mode_seeking(z: Tensor, fake: Tensor, weight: Tensor) -> Tensor:
    """MSGAN's term of G's loss, (E,): weight * |z1 - z2| / |G(z1) - G(z2)|. Mao et al. 2019, arXiv:1903.05628.

    z: (E, B, latent), fake: (E, B, dim); the halves of a batch are the pairs.
    """
    half = z.shape[1] // 2

    def gap(x: Tensor) -> Tensor:
        return (x[:, :half] - x[:, half : 2 * half]).abs().mean((1, 2))

    return weight * gap(z) / (gap(fake) + 1e-5)


OBJECTIVES = {
    # Goodfellow et al. 2014, arXiv:1406.2661: minimax, and its non-saturating form
    "minimax": Objective(_cross_entropy, lambda real, fake: -F.softplus(fake).mean(1)),
    "ns": Objective(_cross_entropy, lambda real, fake: F.softplus(-fake).mean(1)),
    # Lim & Ye 2017, arXiv:1705.02894
    "hinge": Objective(_hinge, lambda real, fake: -fake.mean(1)),
    # Mao et al. 2016, arXiv:1611.04076
    "lsgan": Objective(_least_squares, lambda real, fake: 0.5 * (fake - 1).square().mean(1)),
    # Jolicoeur-Martineau 2018, arXiv:1807.00734
    "rpgan": Objective(
        lambda real, fake: (F.softplus(fake - real).mean(1), None),
        lambda real, fake: F.softplus(real - fake).mean(1),
        pairs=True,
    ),
    # Arjovsky et al. 2017, arXiv:1701.07875; Gulrajani et al. 2017, arXiv:1704.00028
    "wgan-clip": Objective(_wasserstein, lambda real, fake: -fake.mean(1)),
    "wgan-gp": Objective(_wasserstein, lambda real, fake: -fake.mean(1)),
}


def slope(output: Tensor, x: Tensor) -> Tensor:
    """Return grad C at each point, (E, B, dim), with a graph. output: C(x), (E, B)."""
    (gradient,) = torch.autograd.grad(output.sum(), x, create_graph=True)
    return gradient


def zero_centred(gradient: Tensor, gamma: Tensor) -> Tensor:
    """R1 on reals, R2 on fakes: gamma/2 * E|grad C|^2, (E,). Mescheder et al. 2018, arXiv:1801.04406."""
    return 0.5 * gamma * gradient.square().sum(-1).mean(1)


def one_centred(gradient: Tensor, weight: Tensor) -> Tensor:
    """WGAN-GP: lambda * E(|grad C| - 1)^2, (E,), at interpolates of reals and fakes."""
    # a root's derivative at 0 is infinite: a dead critic must give a number, not NaN
    norm = gradient.square().sum(-1).add(1e-20).sqrt()
    return weight * (norm - 1).square().mean(1)
