"""What is measured of a step, by tag: losses, D's outputs, the spread of batches. Nothing here waits for a device.

Any leading axes are kept: the numbers of one run are tensors (), those of E runs side by side (E,).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from gandoctor.errors import UserError

Number: TypeAlias = Tensor | float | int
Numbers: TypeAlias = dict[str, Tensor]  # tag → (), or one a run (E,), where it was made

_PAIRED = 4_096  # outputs of each side that are compared pair by pair
_COMPARED = 64  # samples of each side whose distances are taken
COMPARABLE = 8  # samples of each side that a mean distance needs: those of 4 halve by chance in 1 run of 60


def numbers(given: Mapping[str, Number | None]) -> Numbers:
    """The numbers that were given; the mean of those that have several elements.

    Raises UserError for what is no number.
    """
    found: Numbers = {}
    for tag, value in given.items():
        if isinstance(value, Tensor):
            found[tag] = value.detach().float().mean()
        elif value is not None:
            try:
                found[tag] = torch.tensor(float(value))
            except (TypeError, ValueError) as fault:
                raise UserError(f"{tag} is no number: {value!r}", where="Recorder.step") from fault
    return found


def outputs(given: Mapping[str, Tensor]) -> Numbers:
    """Mean and standard deviation of D's raw outputs (..., n) by side, and how often a real ranks above a fake."""
    found: Numbers = {}
    for side, values in given.items():
        if values.shape[-1]:
            found[f"out/{side}_mean"] = values.mean(-1)
        if values.shape[-1] > 1:
            found[f"out/{side}_std"] = values.std(-1)
    if all(side in given and given[side].shape[-1] for side in ("real", "fake")):
        found["out/pair_accuracy"] = pair_accuracy(given["real"], given["fake"])
    return found


def pair_accuracy(real: Tensor, fake: Tensor) -> Tensor:
    """P(C(x) > C(G(z))), ties counted half: the area under the ROC curve. real: (..., n), fake: (..., m).

    Of many outputs 4,096 of each side are compared. NaN where an output is.
    """
    real, fake = (side[..., :: math.ceil(side.shape[-1] / _PAIRED)].contiguous() for side in (real, fake))
    ordered = real.sort(-1).values
    below = torch.searchsorted(ordered, fake) + torch.searchsorted(ordered, fake, right=True)
    share: Tensor = 1 - below.float().mean(-1) / (2 * real.shape[-1])
    return share.masked_fill(real.isnan().any(-1) | fake.isnan().any(-1), torch.nan)


def spread(batch: Tensor) -> Tensor:
    """The norm of the standard deviations of all dimensions of a batch (..., n, d)."""
    norm: Tensor = torch.linalg.vector_norm(batch.std(-2), dim=-1)
    return norm


def diversity(real: Tensor, fake: Tensor) -> Tensor:
    """Mean distance of two fakes over that of two reals, at most 1. real: (..., n, d), fake: (..., m, d).

    Fakes that lie farther apart than the reals are no more varied, and a fall from there is no loss. Of large
    batches the first 64 are compared; below `COMPARABLE` it says little. Mean pairwise distance as a measure of
    diversity: Zhu et al. 2017, arXiv:1711.11586.
    """
    of_real, of_fake = (_distance(side[..., :_COMPARED, :]) for side in (real, fake))
    share: Tensor = (of_fake / of_real).clamp(max=1)
    return share.masked_fill(of_real == 0, 1)  # nothing is less varied than reals that are all one


def _distance(samples: Tensor) -> Tensor:
    n = samples.shape[-2]
    distances: Tensor = torch.cdist(samples, samples).sum((-2, -1)) / (n * (n - 1))
    return distances


def fetched(measured: Numbers) -> dict[str, Any]:
    """The numbers by tag, as float, or one a run as list of float. One copy from the device.

    What lies on the processor already costs no wait.
    """
    found: dict[str, Any] = {}
    for there in dict.fromkeys(value.device for value in measured.values()):
        mine = {tag: value for tag, value in measured.items() if value.device == there}
        values = torch.stack([value.float() for value in mine.values()]).tolist()
        found |= zip(mine, values, strict=True)
    return found


def flat(given: Tensor | Sequence[Tensor]) -> Tensor:
    """D's outputs of any shape, or several tensors of them, as one column (n,)."""
    parts = [given] if isinstance(given, Tensor) else list(given)
    return torch.cat([part.detach().float().reshape(-1) for part in parts]) if parts else torch.empty(0)
