"""Norms of a network's weights, gradients and steps, whole and by layer, taken where they are true.

A gradient is D's own only until G's backward pass adds to it, so it is measured when its optimiser steps.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gandoctor.capture.measures import Numbers

_WRAPPERS = re.compile(r"^(module\.|_orig_mod\.)+|(?<=\.)_orig_mod\.")


def unwrapped(network: nn.Module) -> nn.Module:
    """The network itself, without torch.compile, DataParallel and its distributed kind around it.

    Its state then has plain names, and sampling it neither compiles nor waits for the other processes.
    """
    while True:
        inner = getattr(network, "_orig_mod", None)
        if isinstance(network, nn.DataParallel | nn.parallel.DistributedDataParallel):
            inner = network.module
        if not isinstance(inner, nn.Module):
            return network
        network = inner


def own(optimizer: Optimizer) -> Optimizer:
    """The optimiser that steps, without what Lightning or Accelerate put around it."""
    while isinstance(inner := getattr(optimizer, "optimizer", None), Optimizer):
        optimizer = inner
    return optimizer


def layer_of(name: str, parameter: Tensor) -> str:
    """The layer that a parameter is the kernel of, "" for biases and scales.

    >>> layer_of("module.main.0.weight", torch.zeros(3, 2)), layer_of("main.0.bias", torch.zeros(3))
    ('main.0', '')
    """
    stem = re.sub(r"(^|\.)(parametrizations\.weight\.original1?|weight(_orig|_v)?)$", "", name)
    return "" if stem == name or parameter.dim() < 2 else _WRAPPERS.sub("", stem) or "weight"


def norms(tag: str, tensors: Sequence[Tensor], layers: Sequence[str], scale: Tensor | None = None) -> Numbers:
    """The norm of all tensors together, and of each that is a layer's kernel. One fused pass, no sync.

    tag: of the whole, e.g. "grad_norm/D"; a layer's is that and its name. layers: the layer of each tensor, ""
    for none. scale: what the tensors are to be divided by. Empty where there are no tensors.
    """
    if not tensors:
        return {}
    wide = torch.float64 if any(one.dtype == torch.float64 for one in tensors) else torch.float32
    each = torch._foreach_norm(list(tensors), 2, dtype=wide)  # the norm of halves may be too large for a half
    found = torch.stack([one.float().to(tensors[0].device) for one in each])
    return by_layer(tag, found if scale is None else found / scale.to(found.device), layers)


def norms_of_runs(tag: str, tensors: Sequence[Tensor], layers: Sequence[str]) -> Numbers:
    """As `norms`, of E networks side by side. tensors: (E, ...)."""
    return by_layer(
        tag, torch.stack([torch.linalg.vector_norm(one.flatten(1), dim=1) for one in tensors]), layers
    )


def by_layer(tag: str, each: Tensor, layers: Sequence[str]) -> Numbers:
    """The norms of T tensors (T, ...) by tag: all together, then those of layers."""
    whole = each[0] if len(each) == 1 else torch.linalg.vector_norm(each, dim=0)
    named = zip(layers, each.unbind(), strict=True)
    return {tag: whole, **{f"{tag}/{layer}": norm for layer, norm in named if layer}}


@dataclass
class Meter:
    """Measures one network at the steps of its optimiser. due: says whether this step is to be measured."""

    network: str
    module: nn.Module | None
    optimizer: Optimizer | None
    due: Callable[[], bool]
    taken: Numbers = field(default_factory=dict)
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

    def take(self) -> Numbers:
        """The norms of the first step since they were last taken, and those of the weights as they are. What
        was not measured is absent.
        """
        taken, self.taken, self._before = self.taken, {}, []
        owners = [] if self.module is None else list(self.module.parameters())
        return taken | self._norms("weight_norm", [p.detach() for p in owners], owners)

    def left_out(self, values: dict[str, float]) -> dict[str, float]:
        """The fetched numbers without those of a step that mixed precision left out: its gradients had
        overflowed, which is how the loss scale finds its level.
        """
        if not values.pop(f"skipped/{self.network}", 0.0):
            return values
        mine = tuple(f"{kind}_norm/{self.network}" for kind in ("grad", "step"))
        return {tag: value for tag, value in values.items() if not tag.startswith(mine)}

    def _stepped(self) -> list[Tensor]:
        """The parameters that the optimiser moves now: those with a gradient."""
        groups = [] if self.optimizer is None else self.optimizer.param_groups
        return [p for group in groups for p in group["params"] if p.grad is not None]

    def _norms(
        self, kind: str, tensors: Sequence[Tensor], owners: Sequence[Tensor], scale: Tensor | None = None
    ) -> Numbers:
        if any(one.is_sparse for one in tensors):
            return {}
        layers = [self._layers.get(id(owner), "") for owner in owners]
        return norms(f"{kind}/{self.network}", tensors, layers, scale)

    @torch.no_grad()
    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if not self.due() or self.taken:
            return  # of several steps the first: with lazy regularisation the others are those of the penalty
        owners = self._stepped()
        # A fused optimiser is handed the loss scale, and unscales or leaves the step out by itself.
        scale, overflow = (getattr(optimizer, name, None) for name in ("grad_scale", "found_inf"))
        grads = [p.grad for p in owners if p.grad is not None]
        self.taken = self._norms("grad_norm", grads, owners, scale)
        if overflow is not None and self.taken:
            self.taken[f"skipped/{self.network}"] = overflow.detach().clone().reshape(())
        self._before = [p.detach().clone() for p in owners]

    @torch.no_grad()
    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        owners = self._stepped()
        if self._before and len(owners) == len(self._before):
            moved = torch._foreach_sub([p.detach() for p in owners], self._before)
            self.taken |= self._norms("step_norm", moved, owners)
        self._before = []
