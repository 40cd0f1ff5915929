"""Norms of networks and of their layers, made of the histograms that a run logs of gradients and weights.

A histogram's root mean square times the square root of its count is the norm of its tensor; the squares of
all tensors of a network add up to its own. Nothing is read before the first number is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path

import numpy as np

from gandoctor.contents.histograms import EXACT, Distributions, distributions
from gandoctor.interpret.roles import Role, parse_role, role_of_histogram
from gandoctor.run import Histogram, LogProblem, Run, Series, Steps, Unit

NORMS = ("grad_norm", "weight_norm")
_FEWEST = 8  # values of a tensor: a scale or a bias has a norm, but tells nothing of a layer
_Key = tuple[str, str, str]  # network, quantity, pair


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a network, or a network as a whole, by the tag of its histograms in the log."""

    tag: str
    role: Role
    references: tuple[Histogram, ...]

    @property
    def key(self) -> _Key:
        """Whose and what it is."""
        return self.role.network, self.role.quantity, self.role.pair


class Layers:
    """The tensors of a run that were logged as histograms, in the log's order: first to last layer.

    known: the roles of the run's series; norms that are logged are not made anew. given: the user's roles,
    tag → "G.grad_norm". pairs: the run's, if it has several. Problems met on reading are added to the run's.
    """

    def __init__(
        self, run: Run, known: Mapping[str, Role] | None = None, given: Mapping[str, str] | None = None,
        pairs: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self._run = run
        self._known = known or {}
        self._tensors = list(_tensors(run.histograms, given or {}, pairs))
        self._made = self._series_to_make()
        self.roles: dict[str, Role] = {tag: role for tag, (role, _) in self._made.items()}
        self._read: dict[str, Distributions] | None = None
        self._cache: dict[str, Series] = {}
        self._whole, self._last = self, 0
        if nobody := [one for one in self._tensors if one.role.network == "-"]:
            self._tell(LogProblem(
                nobody[0].references[0].source, "", "not-assigned",
                f"histograms of {len(nobody):,} tensors, such as {nobody[0].tag[:80]!r}, do not say which network "
                "is theirs and are not judged: --map 'gradients/*=G.grad_norm' would",
            ))  # fmt: skip

    def _tell(self, problem: LogProblem) -> None:
        """Note a problem of the run, once."""
        if problem not in self._run.problems:
            self._run.problems.append(problem)

    def of(
        self, network: str, quantity: str, pair: str = "", *, kernels: bool = False
    ) -> list[Distributions]:
        """The histograms of a network's tensors, first to last layer; not those of the whole network.

        kernels: without biases and scales.
        """
        mine = [one for one in self._tensors
                if one.role.layer and one.key[:2] == (network, quantity) and one.role.pair in ("", pair)]  # fmt: skip
        if kernels:
            mine = [one for one in mine if one.role.part == "kernel"]
        return [self._distributions[one.tag] for one in mine]

    def layer_of(self, tag: str) -> str:
        """The layer that the histograms of a tag are of."""
        return next(one.role.layer for one in self._tensors if one.tag == tag)

    def until(self, step: int) -> Layers:
        """The same as they stood at a step."""
        cut = copy(self)
        cut._whole, cut._last, cut._read, cut._cache = self, step, None, {}
        return cut

    def series(self, tag: str) -> Series:
        """The norm of a layer or network as a series, by its own tag. Raises KeyError if there is none."""
        if tag not in self._cache:
            role, tensors = self._made[tag]
            parts = [self._distributions[one.tag] for one in tensors]
            if role.quantity == "grad_norm" and self._emptied(role, parts):
                message = (
                    f"the gradients of {role.network} are 0 at every step though its weights move: logged after "
                    "zero_grad(), they are not used"
                )
                self._tell(LogProblem(parts[0].source, "", "zero-gradients", message))
                parts = [one.until(-1) for one in parts]
            self._cache[tag] = self._norm(tag, parts)
        return self._cache[tag]

    def _emptied(self, role: Role, parts: Sequence[Distributions]) -> bool:
        """Whether gradients were logged when they had been set to 0: weights that move had some."""
        if not all(len(one) and not one.largest.any() for one in parts):
            return False
        weights = self.of(role.network, "weight_norm", role.pair)
        return any(len(one) > 1 and np.ptp(one.rms) > 0 for one in weights)

    @property
    def _distributions(self) -> dict[str, Distributions]:
        """All of them, read at once, so that each file is read once."""
        if self._read is None and self._whole is not self:
            self._read = {tag: one.until(self._last) for tag, one in self._whole._distributions.items()}
        elif self._read is None:
            self._read, problems = distributions(r for one in self._tensors for r in one.references)
            for problem in problems:
                self._tell(problem)
        return self._read

    def _series_to_make(self) -> dict[str, tuple[Role, list[Tensor]]]:
        """Tag → role and tensors of each norm that the log itself does not have."""
        logged = {(r.network, r.quantity, bool(r.layer)) for r in self._known.values()}
        made: dict[str, tuple[Role, list[Tensor]]] = {}
        for key in dict.fromkeys(one.key for one in self._tensors):
            network, quantity, pair = key
            mine = [one for one in self._tensors if one.key == key]
            whole = [one for one in mine if not one.role.layer]
            alone = [one for one in mine if one.role.layer and one.role.part == "kernel"]
            if (network, quantity, False) not in logged:
                if whole:
                    made |= {_tag([one]): (replace(one.role, part=""), [one]) for one in whole}
                elif len(alone) > 1 and network != "-":
                    role = Role(network, quantity, pair=pair, certainty=0.9)
                    tag = _tag(mine)
                    made[tag if tag not in made else f"{tag} {role}"] = (role, mine)
            if (network, quantity, True) not in logged:
                made |= {_tag([one]): (replace(one.role, part=""), [one]) for one in alone}
        return made

    def _norm(self, tag: str, parts: Sequence[Distributions]) -> Series:
        """The root of the summed squares, at the steps that all the parts have."""
        held, steps = shared_steps(parts)
        if len(parts) == 1 and len(held) and np.median(held[0].num) < _FEWEST:
            held, steps = [], steps[:0]
        squares = np.zeros(len(steps))
        for one in held:
            squares += one.norm[np.searchsorted(one.steps, steps)] ** 2
        source = parts[0].source
        return Series(
            tag, steps, np.sqrt(squares), np.arange(len(steps), dtype=np.int64), source, self._unit(source),
            logged=max((one.logged for one in held), default=0),
        )  # fmt: skip

    def _unit(self, source: Path) -> Unit:
        """What the steps of a file count, as its series have it."""
        series = self._run.series.values()
        same = (one.unit for one in series if one.source == source)
        return next(same, next((one.unit for one in series), Unit.ITERATION))


def shared_steps(parts: Sequence[Distributions]) -> tuple[list[Distributions], Steps]:
    """The tensors that were logged at least half as often as the most logged one, and their common steps."""
    most = max(map(len, parts), default=0)
    held = [one for one in parts if len(one) and 2 * len(one) >= most]
    steps: Steps = reduce(np.intersect1d, [one.steps for one in held]) if held else np.empty(0, np.int64)
    return held, steps


class WithNorms(Mapping[str, Series]):
    """The series of a run, and after them the norms that are made of histograms when they are asked for."""

    def __init__(
        self, logged: Mapping[str, Series], tags: Iterable[str], make: Callable[[str], Series]
    ) -> None:
        self._logged, self._tags, self._make = logged, dict.fromkeys(tags), make

    def __getitem__(self, tag: str) -> Series:
        if tag in self._logged:
            return self._logged[tag]
        if tag not in self._tags:
            raise KeyError(tag)
        return self._make(tag)

    def __iter__(self) -> Iterator[str]:
        yield from self._logged
        yield from self._tags

    def __len__(self) -> int:
        return len(self._logged) + len(self._tags)


def _tensors(
    histograms: Sequence[Histogram], given: Mapping[str, str], pairs: Sequence[str]
) -> Iterator[Tensor]:
    """The tensors, in the order of their first histograms. A given role has what it leaves out by name."""
    by_tag: dict[str, list[Histogram]] = {}
    for one in histograms:
        by_tag.setdefault(one.tag, []).append(one)
    # W&B writes gradients as the backward pass meets them, or in no order: layers go by their names there.
    named = all(one.encoding == "wandb" for one in histograms)
    for tag, mine in sorted(by_tag.items(), key=lambda item: _natural(item[0])) if named else by_tag.items():
        role = role_of_histogram(tag)
        if tag in given:
            said = parse_role(given[tag])
            part = said.part or role.part or ("kernel" if said.layer or role.layer else "")
            role = replace(said, part=part, layer=said.layer or role.layer)
        if role.pair not in pairs:
            role = replace(role, pair="")
        if role.quantity in NORMS:
            yield Tensor(tag, role, tuple(mine))


def _natural(tag: str) -> list[tuple[int, str]]:
    """A key by which layer 10 comes after layer 9."""
    return [(int(digits or -1), text) for digits, text in re.findall(r"(\d{1,9})|(\D+)", tag)]


def _tag(tensors: Sequence[Tensor]) -> str:
    """The tag of a norm: that of the histogram between double bars, ≈ before it where only bins are logged;
    of several what they have in common.
    """
    exact = all(r.encoding in EXACT for one in tensors for r in one.references)
    tags = [one.tag for one in tensors]
    name = tags[0]
    if len(tags) > 1:
        shortest = min(map(len, tags))
        start = next((i for i in range(shortest) if len({tag[i] for tag in tags}) > 1), shortest)
        end = next((i for i in range(shortest - start) if len({tag[-1 - i] for tag in tags}) > 1), 0)
        name = f"{name[:start]}*{name[len(name) - end :]}"
    return f"{'' if exact else '≈'}‖{name}‖"
