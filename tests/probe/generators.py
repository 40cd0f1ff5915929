"""Generators for tests, as a user's module would build them; run folders with their snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

LATENT = 8


def points(seed: int = 0, size: int = 2, inplace: bool = False) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(LATENT, 32), nn.ReLU(inplace), nn.Linear(32, 32), nn.ReLU(inplace), nn.Linear(32, size)
    )


def build() -> nn.Module:
    return points()


def sized(settings: Mapping[str, Any]) -> nn.Module:
    return points(size=int(settings["size"]))


def broken() -> nn.Module:
    raise ValueError("no such width")


def number() -> int:
    return 3


def failing() -> nn.Module:
    class Failing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = points()

        def forward(self, z: Tensor) -> Tensor:
            raise RuntimeError("needs a style")

    return Failing()


class DCGAN(nn.Module):
    """16 x 16 pixels out of 16 numbers."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(16, 2 * width, 4, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU(True),
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1), nn.BatchNorm2d(width), nn.ReLU(True),
            nn.ConvTranspose2d(width, 3, 4, 2, 1), nn.Tanh(),
        )  # fmt: skip

    def forward(self, z: Tensor) -> Tensor:
        made: Tensor = self.main(z)
        return made


def dcgan(width: int = 8) -> nn.Module:
    return DCGAN(width)


def trained_dcgan(seed: int = 0) -> DCGAN:
    """With running statistics of its own activations and weights of a size that tells samples apart."""
    torch.manual_seed(seed)
    made = DCGAN()
    for layer in made.modules():
        if isinstance(layer, nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, std=0.15)
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None
    with torch.no_grad():
        for _ in range(4):
            made(torch.randn(64, 16, 1, 1))
    return made


class ByClass(nn.Module):
    """A mean of its own for each of four classes, and z beside it."""

    def __init__(self, share: float = 1.0) -> None:
        super().__init__()
        self.means = nn.Embedding(4, 2)
        self.means.weight.data = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
        self.by_z = nn.Linear(LATENT, 2, bias=False)
        self.by_z.weight.data = torch.randn(2, LATENT, generator=torch.Generator().manual_seed(0)) * share

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        made: Tensor = self.means(y) + self.by_z(z)
        return made


def by_class() -> nn.Module:
    return ByClass()


class OneClass(nn.Module):
    """Takes z alone: what a conditional generator is wrapped in."""

    def __init__(self) -> None:
        super().__init__()
        self.G = ByClass()
        self.register_buffer("y", torch.tensor([1]))

    def forward(self, z: Tensor) -> Tensor:
        made: Tensor = self.G(z, self.y.expand(len(z)))
        return made


def one_class() -> nn.Module:
    return OneClass()


def halved(rows: Tensor) -> Tensor:
    return rows.flatten(1)[:, :1]


def without_end(rows: Tensor) -> Tensor:
    return rows.flatten(1) / 0


def save(folder: Path, snapshots: Mapping[int, object], name: str = "checkpoint_{:06d}.pt") -> Path:
    """Checkpoint files by step, in a run's folder of them."""
    place = folder / "checkpoints"
    place.mkdir(parents=True, exist_ok=True)
    for step, state in snapshots.items():
        torch.save(state, place / name.format(step))
    return folder
