"""Norms of a network's weights, gradients and steps, whole and by layer, taken where they are true.

A gradient is D's own only until G's backward pass adds to it, so it is measured when its optimiser steps.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

_WRAPPERS = re.compile(r"^(module\.|_orig_mod\.)+")


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers that still lie on their device: names, and a tensor (n,)."""

    names: Sequence[str]
    values: Tensor


def layer_of(name: str, parameter: Tensor) -> str:
    """The layer that a parameter is the kernel of, "" for biases and scales.

    >>> layer_of("module.main.0.weight", torch.zeros(3, 2)), layer_of("main.0.bias", torch.zeros(3))
    ('main.0', '')
    """
    stem = re.sub(r"(^|\.)(parametrizations\.weight\.original1?|weight(_orig|_v)?)$", "", name)
    return "" if stem == name or parameter.dim() < 2 else _WRAPPERS.sub("", stem) or "weight"


def norms(kind: str, network: str, tensors: Sequence[Tensor], layers: Sequence[str]) -> Numbers | None:
    """The norm of all tensors together, and of each that is a layer's kernel. One fused pass, no sync.

    kind: "grad_norm", ... layers: the layer of each tensor, "" for none. None where there are no tensors.
    """
    if not tensors:
        return None
    each = torch.stack([one.float().to(tensors[0].device) for one in torch._foreach_norm(list(tensors))])
    at = [i for i, layer in enumerate(layers) if layer]
    whole = torch.linalg.vector_norm(each).reshape(1)
    tag = f"{kind}/{network}"
    return Numbers([tag, *(f"{tag}/{layers[i]}" for i in at)], torch.cat([whole, each[at]]) if at else whole)


@dataclass
class Meter:
    """Measures one network at the steps of its optimiser. due: says whether this step is to be measured."""

    network: str
    module: nn.Module | None
    optimizer: torch.optim.Optimizer | None
    due: Callable[[], bool]
    taken: list[Numbers] = field(default_factory=list)
    _before: list[Tensor] = field(default_factory=list)
    _handles: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        named = [] if self.module is None else list(self.module.named_parameters())
        self._layers = {id(parameter): layer_of(name, parameter) for name, parameter in named}
        if self.optimizer is not None:
            self._handles = [
                self.optimizer.register_step_pre_hook(self._before_step),
                self.optimizer.register_step_post_hook(self._after_step),
            ]

    def close(self) -> None:
        """Leave the optimiser as it was."""
        for handle in self._handles:
            handle.remove()
        self._handles, self._before = [], []

    def take(self) -> list[Numbers]:
        """The norms of the first step since they were last taken, and those of the weights as they are. What
        was not measured is absent.
        """
        taken, self.taken, self._before = self.taken, [], []
        owners = [] if self.module is None else list(self.module.parameters())
        return [*taken, *filter(None, [self._norms("weight_norm", [p.detach() for p in owners], owners)])]

    def _stepped(self) -> list[Tensor]:
        """The parameters that the optimiser moves now: those with a gradient."""
        groups: Iterable[dict[str, Any]] = [] if self.optimizer is None else self.optimizer.param_groups
        return [p for group in groups for p in group["params"] if p.grad is not None]

    def _norms(self, kind: str, tensors: Sequence[Tensor], owners: Sequence[Tensor]) -> Numbers | None:
        if any(one.is_sparse for one in tensors):
            return None
        return norms(kind, self.network, tensors, [self._layers.get(id(owner), "") for owner in owners])

    @torch.no_grad()
    def _before_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if not self.due() or self.taken:
            return  # of several steps the first: with lazy regularisation the others are those of the penalty
        owners = self._stepped()
        found = self._norms("grad_norm", [p.grad for p in owners if p.grad is not None], owners)
        if found is not None:
            scale = getattr(optimizer, "grad_scale", None)  # a fused optimiser unscales within its step
            values = found.values if scale is None else found.values / scale.to(found.values.device)
            self.taken = [Numbers(found.names, values)]
        self._before = [p.detach().clone() for p in owners]

    @torch.no_grad()
    def _after_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        owners = self._stepped()
        if not self._before or len(owners) != len(self._before):
            self._before = []
            return
        moved = torch._foreach_sub([p.detach() for p in owners], self._before)
        found = self._norms("step_norm", moved, owners)
        if found is not None:
            self.taken.append(found)
        self._before = []
