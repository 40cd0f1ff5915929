"""Finds in a checkpoint the weights that fit the user's generator, by keys and shapes, and loads them.

Nothing of the checkpoint is executed: tensors come from our own reader. What wrappers put before the keys
(`module.`, `generator.`) is found by what the generator's own keys are. Spectral and weight normalisation fit
in their old form (`weight_orig`) and in their parametrised one, and are folded into plain weights where the
generator has none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

import numpy as np
import torch
from torch import nn

from gandoctor.contents.tensors import Tensor, Unreadable
from gandoctor.errors import UserError
from gandoctor.interpret.networks import StateDict

_FORMS = {  # the parametrised form's names → the old form's
    "parametrizations.weight.original": "weight_orig",
    "parametrizations.weight.0._u": "weight_u",
    "parametrizations.weight.0._v": "weight_v",
    "parametrizations.weight.original0": "weight_g",
    "parametrizations.weight.original1": "weight_v",
}
_OPTIONAL = ("num_batches_tracked",)  # kept since PyTorch 0.4.1, and told by nobody's samples
_TOLD = 3  # differences that a message names


@dataclass(frozen=True, slots=True)
class Fit:
    """How a state dict fits a module. weights: by the module's own keys. wrong: what does not fit, in words."""

    name: str
    ema: bool
    weights: Mapping[str, Tensor | torch.Tensor] = field(default_factory=dict)
    wrong: tuple[str, ...] = ()
    fitting: int = 0


def load(module: nn.Module, found: Sequence[StateDict], where: str, ema: bool | None = None) -> Fit:
    """Load the weights that fit into the generator, in place; says which.

    found: the state dicts of the snapshot's files. ema: whether a moving average is wanted; None takes one where
    there is one. Raises UserError if nothing fits, naming the nearest and what differs.
    """
    fits = [fit for one in found for target, before in _targets(module) for fit in _fits(target, before, one)]
    good = [fit for fit in fits if not fit.wrong and (ema is None or fit.ema is ema)]
    if not good:
        raise _misfit(module, fits, where, ema)
    chosen = max(good, key=lambda fit: fit.ema)  # the first of equals
    own = module.state_dict(keep_vars=True)
    with torch.no_grad():
        for key, value in chosen.weights.items():
            try:
                own[key].copy_(_as_torch(value).to(own[key].dtype))
            except Unreadable as wrong:
                raise UserError(f"{chosen.name}: {key} cannot be read: {wrong}", where=where) from wrong
    return chosen


def _targets(module: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    """The module, and those below it that hold all of its parameters: what wrappers wrap."""
    whole = [name for name, _ in module.named_parameters()]
    for name, inner in module.named_modules():
        if not name or (whole and all(key.startswith(f"{name}.") for key in whole)):
            yield inner, f"{name}." if name else ""


def canonical(name: str) -> str:
    """A key in the old form of spectral and weight normalisation.

    >>> canonical("main.0.parametrizations.weight.original"), canonical("main.0.weight")
    ('main.0.weight_orig', 'main.0.weight')
    """
    for new, old in _FORMS.items():
        if name == new or name.endswith(f".{new}"):
            return name[: len(name) - len(new)] + old
    return name


def _fits(module: nn.Module, before: str, one: StateDict) -> Iterator[Fit]:
    """How a state dict fits a module, below each prefix that its keys may have there."""
    own = {canonical(name): (name, value) for name, value in module.state_dict().items()}
    if not own:
        return
    if _is_list(one):  # torch_ema keeps a list of parameters, in their order
        params = dict(module.named_parameters())
        listed = [tensor for _, tensor in sorted(one.tensors.items(), key=lambda item: int(item[0]))]
        if [tuple(p.shape) for p in params.values()] == [tensor.shape for tensor in listed]:
            weights = {before + name: tensor for name, tensor in zip(params, listed, strict=True)}
            yield Fit(one.name, True, weights, (), len(weights))
        return
    theirs = {canonical(name): tensor for name, tensor in one.tensors.items()}
    for prefix in _prefixes(own, theirs):
        mine = {name[len(prefix) :]: tensor for name, tensor in theirs.items() if name.startswith(prefix)}
        name = "/".join(filter(None, (one.name, prefix.rstrip(".")))) or "the file"
        yield _fit(own, mine, before, name, one.ema or _averaged(prefix))


def _averaged(prefix: str) -> bool:
    return any(word in prefix.lower() for word in ("ema", "shadow", "averag"))


def _is_list(one: StateDict) -> bool:
    return all(name.isdecimal() for name in one.tensors)


def _prefixes(own: Mapping[str, object], theirs: Mapping[str, object]) -> list[str]:
    """What may stand before the module's keys in the file, the likeliest first; at least "" for the message."""
    counts: dict[str, int] = {}
    for key in own:
        for name in theirs:
            if name == key or name.endswith(f".{key}"):
                prefix = name[: len(name) - len(key)]
                counts[prefix] = counts.get(prefix, 0) + 1
    most = max(counts.values(), default=0)
    return [one for one, count in counts.items() if 2 * count >= most] or [""]


def _fit(
    own: Mapping[str, tuple[str, torch.Tensor]],
    mine: Mapping[str, Tensor],
    before: str,
    name: str,
    ema: bool,
) -> Fit:
    weights: dict[str, Tensor | torch.Tensor] = {}
    used, wrong = set(), []
    for key, (full, value) in own.items():
        tensor: Tensor | torch.Tensor | None = mine.get(key)
        used.add(key)
        if tensor is None and key.rpartition(".")[2] == "weight":
            tensor, parts = _folded(key, mine, value)
            used.update(parts)
        if tensor is None:
            if key.rpartition(".")[2] not in _OPTIONAL:
                near = get_close_matches(key, mine, n=1, cutoff=0.6)
                wrong.append(f"{full} is missing" + (f" (the file has {near[0]})" if near else ""))
        elif tuple(tensor.shape) != tuple(value.shape):
            there, here = (_shape(tuple(one.shape)) for one in (tensor, value))
            wrong.append(f"{full} is {there} in the file, {here} in the generator")
        else:
            weights[before + full] = tensor
    for key in mine:
        if key not in used and key.rpartition(".")[2] not in _OPTIONAL:
            wrong.append(f"{key} is in the file alone")
    return Fit(name, ema, weights, tuple(wrong), len(weights))


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a number"


def _folded(
    key: str, mine: Mapping[str, Tensor], value: torch.Tensor
) -> tuple[torch.Tensor | None, tuple[str, ...]]:
    """Plain weights out of normalised ones: W / (uᵀWv), or g v / ‖v‖. With the keys that they are made of."""
    parts = tuple(f"{key}{end}" for end in ("_orig", "_u", "_v", "_g"))
    original, u, v, g = (mine.get(part) for part in parts)
    try:
        if original is not None and u is not None and tuple(original.shape) == tuple(value.shape):
            weight, left = _as_torch(original).double(), _as_torch(u).double().reshape(-1)
            # A transposed convolution's units lie along its second axis.
            axis = next((at for at in (0, 1) if at < weight.dim() and weight.shape[at] == len(left)), 0)
            if v is not None and len(left) * v.size == weight.numel():
                right = _as_torch(v).double().reshape(-1)
                axis = next((at for at in (0, 1) if weight.shape[at] == len(left) and _agrees(weight, at, left, right)),
                            axis)  # fmt: skip
            matrix = weight.movedim(axis, 0).reshape(weight.shape[axis], -1)
            if len(left) != len(matrix):
                return None, parts
            if v is None:
                right = nn.functional.normalize(matrix.T @ left, dim=0)
            sigma = left @ matrix @ right
            return (weight / sigma).to(value.dtype), parts
        if g is not None and v is not None and tuple(v.shape) == tuple(value.shape):
            direction, size = _as_torch(v).double(), _as_torch(g).double()
            axes = [at for at in range(direction.dim()) if at >= size.dim() or size.shape[at] == 1]
            norm = direction.square().sum(dim=axes, keepdim=True).sqrt()
            return (size.reshape(norm.shape) * direction / norm).to(value.dtype), parts
    except Unreadable:
        return None, parts
    return None, ()


def _agrees(weight: torch.Tensor, axis: int, u: torch.Tensor, v: torch.Tensor) -> bool:
    """Whether u is what the power iteration makes of v along this axis."""
    matrix = weight.movedim(axis, 0).reshape(weight.shape[axis], -1)
    return bool(nn.functional.cosine_similarity(matrix @ v, u, dim=0) > 0.9)


def _as_torch(value: Tensor | torch.Tensor) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        return value
    return torch.from_numpy(np.array(value.array()))  # a copy: the file's is read-only


def _misfit(module: nn.Module, fits: Sequence[Fit], where: str, ema: bool | None) -> UserError:
    complete = [fit for fit in fits if not fit.wrong]
    if complete:
        kind = "moving average" if ema else "live weights"
        return UserError(f"the file has no {kind} of the generator, only {complete[0].name}", where=where,
                         hint="--weights auto takes what there is")  # fmt: skip
    if not any(fit.fitting for fit in fits):
        first = next(iter(module.state_dict()), "")
        others = sorted({name for fit in fits for name in fit.wrong if name.endswith("alone")})[:_TOLD]
        hint = f"the generator's first tensor is {first}" if first else "the generator has no parameters"
        return UserError("no tensor in it fits the generator", where=where,
                         hint="; ".join([hint, *others]))  # fmt: skip
    near = max(fits, key=lambda fit: (fit.fitting, -len(fit.wrong)))
    more = len(near.wrong) - _TOLD
    told = "; ".join(near.wrong[:_TOLD]) + (f"; and {more} more" if more > 0 else "")
    return UserError(
        f"no weights in it fit the generator. The nearest are {near.name}, where {near.fitting} tensors fit"
        f" and {len(near.wrong)} do not: {told}",
        where=where,
        hint="build the generator with the sizes it was trained with",
    )
