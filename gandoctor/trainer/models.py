"""Multi-layer perceptrons of one shape, E of them side by side, and their Adam.

All weights of a network lie in one buffer (E, P), a row a run: a norm, a step or an update is one
operation, and the runs never mix, so that a NaN stays in its own run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import copy
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: x,
    "relu": F.relu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}


class Mlp:
    """E perceptrons. Input (E, B, sizes[0]), output (E, B, sizes[-1]).

    sizes: units of each layer. std: (E,) standard deviation of the first weights, 0 for He. minibatch_std: the
    last layer has one input more, how much the batch varies (Karras et al. 2018, arXiv:1710.10196).
    """

    def __init__(
        self,
        sizes: Sequence[int],
        hidden: str,
        last: str,
        std: Sequence[float],
        generators: Sequence[torch.Generator],
        device: str = "cpu",
        spectral_norm: bool = False,
        batch_norm: bool = False,
        dropout: float = 0.0,
        minibatch_std: bool = False,
    ) -> None:
        self.dropout, self.batch_norm, self.minibatch_std = dropout, batch_norm, minibatch_std
        self.shapes = [*pairwise(sizes)]  # (fan in, fan out) of each layer
        if minibatch_std:
            self.shapes[-1] = (sizes[-2] + 1, sizes[-1])
        self.hidden, self.last = ACTIVATIONS[hidden], ACTIVATIONS[last]
        runs = len(generators)
        rows = [
            torch.cat([part for layer in self.shapes for part in _first(*layer, s, g)])
            for s, g in zip(std, generators, strict=True)
        ]
        self.flat = torch.stack(rows).to(device)  # (E, P)
        self.weights = self._views()  # into flat: (E, in, out), (E, 1, out), ...
        # power iteration's estimate of each layer's first singular vector: (E, in, 1)
        self.singular = [torch.ones(runs, n, 1, device=device) / n**0.5 for n, _ in self.shapes]
        self.singular = self.singular if spectral_norm else []
        self.iterate = True  # whether power iteration goes on

    def __call__(self, x: Tensor) -> Tensor:
        """Return the outputs (E, B, sizes[-1]) for inputs (E, B, sizes[0])."""
        layers = len(self.shapes)
        for layer in range(layers):
            if self.minibatch_std and layer == layers - 1:
                x = _with_std(x)
            x = torch.baddbmm(self.weights[2 * layer + 1], x, self._weight(layer))
            if layer == layers - 1:
                return self.last(x)
            if self.batch_norm:
                x = (x - x.mean(1, keepdim=True)) / (x.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
            x = self.hidden(x)
            if self.dropout:
                x = F.dropout(x, self.dropout)
        return x

    def twin(self) -> Mlp:
        """The same network with weights of its own, equal at first."""
        other = copy(self)
        other.flat = self.flat.detach().clone()
        other.weights = other._views()
        return other

    def _views(self) -> list[Tensor]:
        views, at = [], 0
        for fan_in, fan_out in self.shapes:
            for height in (fan_in, 1):
                view = self.flat[:, at : at + height * fan_out].view(-1, height, fan_out)
                views.append(view.requires_grad_())
                at += height * fan_out
        return views

    def cut(self, flat: Tensor) -> list[Tensor]:
        """Return the parts of a buffer (E, P) that belong to each of `weights`, (E, size)."""
        return list(torch.split(flat, [weight[0].numel() for weight in self.weights], 1))

    @property
    def layers(self) -> list[str]:
        """The layer that each of `weights` is the kernel of, by nn.Sequential's names, "" for biases."""
        return [str(at) if at % 2 == 0 else "" for at in range(len(self.weights))]

    def gradient(self, loss: Tensor) -> Tensor:
        """Return the gradient (E, P) of each run's own loss (E,); zeros if the loss has no graph."""
        if not loss.requires_grad:
            return torch.zeros_like(self.flat)
        grads = torch.autograd.grad(loss.sum(), self.weights, materialize_grads=True)
        return torch.cat([grad.flatten(1) for grad in grads], 1)

    def place(self, layer: int) -> tuple[int, int]:
        """Where a layer's weights and biases begin and end in a row of `flat`; the biases stand last."""
        ends = [0]
        for fan_in, fan_out in self.shapes:
            ends.append(ends[-1] + (fan_in + 1) * fan_out)
        return ends[layer], ends[layer + 1]

    def _weight(self, layer: int) -> Tensor:
        """One layer's weights (E, in, out), divided by their largest singular value if so asked."""
        weight = self.weights[2 * layer]
        if not self.singular:
            return weight
        with torch.no_grad():
            right = F.normalize(weight.mT @ self.singular[layer], dim=1)  # (E, out, 1)
            if self.iterate:
                self.singular[layer] = F.normalize(weight @ right, dim=1)
        sigma = self.singular[layer].mT @ weight @ right  # (E, 1, 1), with a gradient
        divided: Tensor = weight / sigma
        return divided


def _first(fan_in: int, fan_out: int, std: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A layer's first weights, flat, and biases. He et al. 2015, arXiv:1502.01852, unless std is given."""
    std = std or math.sqrt(2 / fan_in)
    return std * torch.randn(fan_in * fan_out, generator=generator), torch.zeros(fan_out)


def _with_std(x: Tensor) -> Tensor:
    """Features (E, B, n) with the mean over them of their standard deviation over the batch, (E, B, n + 1)."""
    spread = (x.var(1, unbiased=False, keepdim=True) + 1e-8).sqrt().mean(2, keepdim=True)  # (E, 1, 1)
    return torch.cat([x, spread.expand(-1, x.shape[1], -1)], 2)


class Adam:
    """Adam with a learning rate, betas and L2 weight of its own for each run.

    Kingma & Ba 2014, arXiv:1412.6980. torch.optim has one rate a group, so E runs would need E groups.
    decoupled: the decay of AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) in place of L2.
    """

    def __init__(
        self, flat: Tensor, beta1: Tensor, beta2: Tensor, weight_decay: Tensor, decoupled: bool = False
    ) -> None:
        self.decoupled = decoupled
        self.flat, self.beta1, self.beta2, self.weight_decay = flat, beta1, beta2, weight_decay  # (E, 1)
        self.mean, self.square = torch.zeros_like(flat), torch.zeros_like(flat)
        self.decays = bool((weight_decay > 0).any())
        self.steps = 0

    def forget(self) -> None:
        """Start anew: no moments, no steps."""
        self.mean.zero_()
        self.square.zero_()
        self.steps = 0

    def step(self, gradient: Tensor, lr: Tensor) -> None:
        """Move the weights (E, P) in place. gradient: (E, P). lr: (E, 1)."""
        self.steps += 1
        if self.decays and self.decoupled:
            self.flat.mul_(1 - lr * self.weight_decay)
        elif self.decays:
            gradient = gradient + self.weight_decay * self.flat
        self.mean.lerp_(gradient, 1 - self.beta1)
        self.square.lerp_(gradient.square(), 1 - self.beta2)
        scale = lr / (1 - self.beta1**self.steps)
        root = (self.square / (1 - self.beta2**self.steps)).sqrt_().add_(1e-8)
        self.flat.addcdiv_(self.mean * -scale, root)
