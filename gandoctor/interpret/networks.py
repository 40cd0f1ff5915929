"""Networks and optimisers in the contents of a checkpoint, found by names and by structure, and measured.

Names are those that PyTorch code gives: state dicts under "G", "netD", "generator", "state_dict" or in a file
of their own ("net_g_5000.pth"), with DataParallel's `module.` and torch.compile's `_orig_mod.` before the keys.
Where no name tells, shapes do: a discriminator ends in one value, and takes what the generator gives.

A file is measured once, tensor by tensor: all that detectors ask of it is kept, the tensors are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gandoctor.contents.tensors import Inert, Tensor, Unreadable
from gandoctor.interpret.measure import (
    LARGEST,
    Floats,
    Layout,
    Measured,
    Moments,
    Scratch,
    Spectrum,
    is_floating,
    measured,
    moments,
)
from gandoctor.interpret.saved import settings_in
from gandoctor.readers.names import split_step
from gandoctor.run import Setting

Kind = Literal["linear", "conv", "transposed", "norm", "embedding", "other"]

_DEEP = 60  # levels of nesting; a sane checkpoint has under ten
_MODULES = 100_000  # of a file
_PARAMETERS = 1_000_000  # of an optimiser


@dataclass(frozen=True, slots=True)
class Running:
    """A batch norm's running statistics, of its n channels. batches: num_batches_tracked, None if not kept.

    largest: of the variances. empty: the share of variances under 1e-10. untouched: all means 0 and variances 1.
    nonfinite: how many values are.
    """

    n: int
    largest: float
    empty: float
    untouched: bool
    nonfinite: int
    batches: int | None


@dataclass(frozen=True, slots=True)
class Layer:
    """The weights of one layer.

    name: without wrappers ("main.0"). key: of its weights. kind: by shape and neighbours. shape: as stored.
    units, fan_in: outputs, and inputs to each, of linear and convolutional layers; else 0.
    weight: of the stored weights (with spectral norm, before the division).
    sigma: the largest singular value of the weights as spectral normalisation sees them, units x rest
        (Miyato et al. 2018, arXiv:1802.05957): to 0.1% for small layers and where one direction stands out; else
        a lower bound, a fifth low at most where the spectrum is flat. NaN where it was not measured.
    divisor: what spectral normalisation divides the weights by (uᵀWv), None without it.
    normalised: whether spectral or weight normalisation rescales the stored weights.
    zero_units: the share of units whose incoming weights are all exactly zero.
    running: of batch norm.
    """

    name: str
    key: str
    kind: Kind
    shape: tuple[int, ...]
    weight: Measured
    units: int = 0
    fan_in: int = 0
    sigma: float = float("nan")
    divisor: float | None = None
    normalised: bool = False
    zero_units: float = 0.0
    running: Running | None = None

    @property
    def stable_rank(self) -> float:
        """‖W‖²_F / σ₁²: 1 where one direction holds all, at most the number of units."""
        return (self.weight.norm / self.sigma) ** 2 if self.sigma > 0 else float("nan")


@dataclass(frozen=True, slots=True)
class Optimiser:
    """One optimiser's state. role: of its network, by its name; lr, first_lr: the largest of its groups, now and
    at the start (None if unsaid). steps: that it has made. kind: "adam", "adamw", "rmsprop", "sgd", "sgd-momentum",
    or "" where its groups do not tell. betas_given: whether the betas are its own, not assumed.
    """

    name: str
    role: str
    lr: float
    first_lr: float | None
    beta1: float
    beta2: float
    eps: float
    steps: int
    moments: tuple[Moments, ...]
    kind: str = ""
    betas_given: bool = False


@dataclass(frozen=True, slots=True)
class Network:
    """One network of one snapshot.

    role: "G", "D" or "" (a network that plays no part in the game, or that nobody can tell).
    name: what the file calls it. ema: a moving average of another network's weights.
    tensors: statistics of every floating tensor by name, in the file's order. parameters: how many numbers an
    optimiser would move: without buffers.
    """

    role: str
    name: str
    ema: bool
    pair: str
    layers: tuple[Layer, ...]
    tensors: Mapping[str, Measured]
    optimiser: Optimiser | None = None
    parameters: int = 0

    @property
    def size(self) -> int:
        """Its number of weights, biases and buffers."""
        return sum(one.stats.n for one in self.tensors.values())

    def layer(self, key: str) -> Layer | None:
        """The layer whose weights have this name, if it is there."""
        return next((one for one in self.layers if one.key == key), None)

    @property
    def matrices(self) -> tuple[Layer, ...]:
        """Its linear and convolutional layers, in order."""
        return tuple(one for one in self.layers if one.kind in ("linear", "conv", "transposed"))


@dataclass(slots=True)
class Contents:
    """What one file holds. step, epoch: as it says itself, None if not. optimisers: without a network.
    settings: hyperparameters saved beside them.

    problems: (place, message) of what could not be read.
    """

    step: int | None = None
    epoch: int | None = None
    networks: list[Network] = field(default_factory=list)
    optimisers: list[Optimiser] = field(default_factory=list)
    settings: dict[str, Setting] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)


# -- names --------------------------------------------------------------------------------------

_SUFFIX = r"(?:_?(?P<pair>[ab])(?:(?:2|to|_)?[ab])?|_?[xy]|_?\d+)?"
_ROLES = (
    ("G", re.compile(rf"(?:net_?|model_?)?(?:g|gen|generator){_SUFFIX}(?:_?(?:net|model))?|\w*generator\w*")),
    ("D", re.compile(rf"(?:net_?|model_?)?(?:d|dis|disc|discriminator|critic|[mc](?:p|s|r|q|cq)d){_SUFFIX}"
                     r"(?:_?(?:net|model))?|\w*(?:discriminator|critic)\w*")),
)  # fmt: skip
_EMA = re.compile(r"(?:^|(?<=[_.-]))(?:ema|shadow|running|averaged?|avg|swa|smooth)(?=$|[_.\d-])|ema$|^ema")
_NOISE = re.compile(
    r"(?:optimi[sz]ers?|optims?|opts?|solver|adam)|state_?dicts?|weights?|params?|shadow_?params"
)
_HELPERS = re.compile(
    r"vgg|lpips|perceptual|inception|arcface|clip|dino|identity|resnet50|bert|wavlm|feature_?net"
)
_WRAPPERS = ("module", "_orig_mod", "_forward_module", "n_averaged")
_STEPS = ("global_step", "step", "steps", "iteration", "iter", "iters", "current_iter", "it", "itr", "n_iter",
          "cur_nimg")  # fmt: skip


def _named(token: str) -> tuple[str, str, bool]:
    """(role, pair, ema) that one name tells; role "" where it tells none."""
    word = token.lower()
    ema = bool(_EMA.search(word))
    word = _EMA.sub("", _NOISE.sub("", word)).strip("_.- ")
    for role, pattern in _ROLES:
        if found := pattern.fullmatch(word):
            return role, (found["pair"] or "").upper(), ema
    return "", "", ema


def _named_file(path: Path) -> tuple[str, str, bool]:
    """The same for a file's name: "netG_epoch_5.pth", "g_00005000", "latest_net_D_B.pth"."""
    words = [word for word in re.split(r"[_\-. ]+", path.name) if word]
    for at, word in enumerate(words):
        role, pair, _ = _named(word)
        if role:
            after = words[at + 1].upper() if at + 1 < len(words) else ""
            return role, pair or (after if after in ("A", "B") else ""), bool(_EMA.search(path.stem.lower()))
    return "", "", bool(_EMA.search(path.stem.lower()))


# -- what a file holds ----------------------------------------------------------------------------

Place = tuple[str, ...]


@dataclass(slots=True)
class _Found:
    """Tensors by the dict that holds them and their dotted names there; optimisers' raw states by place."""

    tensors: dict[Place, dict[str, Tensor]] = field(default_factory=dict)
    optimisers: dict[Place, Mapping[Any, Any]] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    visits: int = 0  # of modules: a file may hold one below itself many times over
    scratch: Scratch = field(default_factory=Scratch)
    problems: list[tuple[str, str]] = field(default_factory=list)

    def vector(self, place: str, tensor: Tensor | None) -> Floats | None:
        """A tensor as one row, float32; None if it is too large, and, with a problem noted, if it cannot be read."""
        try:
            return (
                None
                if tensor is None or tensor.size > LARGEST
                else np.asarray(tensor.array(), np.float32).reshape(-1)
            )
        except Unreadable as wrong:
            self.problems.append((place, wrong.message))
            return None


@dataclass(frozen=True, slots=True)
class StateDict:
    """The tensors that one dict (or module) of a file holds, by their names without wrappers.

    name: where it lies in the file ("state_dict", "G"), "" for the file itself. ema: whether it is called an average.
    """

    name: str
    ema: bool
    tensors: Mapping[str, Tensor]


def state_dicts(root: object, path: Path) -> list[StateDict]:
    """All dicts of tensors in the contents of a file, optimisers' apart. Reads none of the tensors."""
    found = _Found()
    _gather(root, (), found, 0)
    of_file = _named_file(path)[2]
    return [
        StateDict(
            "/".join(place),
            of_file or any(_named(word)[2] for word in place),
            {_bare(name): tensor for name, tensor in tensors.items()},
        )
        for place, tensors in found.tensors.items()
    ]


def counters(root: object) -> tuple[int | None, int | None]:
    """The step and the epoch that a file itself tells, None where it does not."""
    return _said(root, _STEPS), _said(root, ("epoch", "epochs", "current_epoch"))


def contents_of(root: object, path: Path) -> Contents:
    """Measure all networks and optimisers in the contents of a file. Reads each tensor once."""
    found = _Found()
    _gather(root, (), found, 0)
    made = Contents(*counters(root), problems=found.problems)
    raw: list[tuple[Network, list[tuple[str, Tensor]]]] = []
    for place, tensors in found.tensors.items():
        raw += _networks(place, tensors, path, found)
    networks = _by_shape([network for network, _ in raw])
    parameters = [kept for _, kept in raw]
    for place, state in found.optimisers.items():
        optimiser, owner = _optimiser(place, state, networks, parameters, found)
        if owner is None:
            made.optimisers.append(optimiser)
        else:
            networks[owner] = replace(networks[owner], optimiser=optimiser)
    made.networks = networks
    made.settings = settings_in(root, path)
    return made


def _said(root: object, names: Sequence[str]) -> int | None:
    """The first of these counters that a file holds."""
    if isinstance(root, Mapping):
        for key in names:
            if (number := _number(root.get(key))) is not None and 0 <= number < 2**53:
                return int(number)
    return None


def _gather(one: object, place: Place, found: _Found, depth: int) -> None:
    """Collect tensors and optimisers below an object; cycles and absurd depths end."""
    if depth > _DEEP or id(one) in found.seen:
        return
    if isinstance(one, Mapping | list | tuple | Inert):
        found.seen.add(id(one))
    if isinstance(one, Inert):
        for part in (one.state, one.items, one.args):
            _gather(part, place, found, depth + 1)
    elif isinstance(one, Mapping):
        if "param_groups" in one and isinstance(one.get("state"), Mapping):
            found.optimisers[place] = one
            return
        if "_parameters" in one and "_modules" in one:
            mine: dict[str, Tensor] = {}
            _flatten(one, "", mine, 0, found)
            if mine:
                found.tensors.setdefault(place, {}).update(mine)
            return
        mine = {str(key): value for key, value in one.items() if isinstance(value, Tensor)}
        if mine:
            found.tensors.setdefault(place, {}).update(mine)
        for key, value in one.items():
            if not isinstance(value, Tensor):
                _gather(value, place if key == "state" else (*place, str(key)), found, depth + 1)
    elif isinstance(one, list | tuple):
        mine = {str(at): value for at, value in enumerate(one) if isinstance(value, Tensor)}
        if mine:
            found.tensors.setdefault(place, {}).update(mine)
        for at, value in enumerate(one):
            if not isinstance(value, Tensor):
                _gather(value, (*place, str(at)), found, depth + 1)


def _flatten(module: object, before: str, into: dict[str, Tensor], depth: int, found: _Found) -> None:
    """A pickled nn.Module's parameters and buffers, by the names that state_dict() would give them."""
    while isinstance(module, Inert):
        inner = module.state
        if not isinstance(inner, Mapping):
            inner = next((arg for arg in module.args or () if isinstance(arg, Mapping)), None)
        module = inner
    if (
        isinstance(module, Mapping)
        and "_parameters" not in module
        and isinstance(module.get("state"), Mapping)
    ):
        module = module["state"]
    found.visits += 1
    if not isinstance(module, Mapping) or depth > _DEEP or found.visits > _MODULES:
        return
    for group in ("_parameters", "_buffers"):
        entries = module.get(group)
        for key, value in entries.items() if isinstance(entries, Mapping) else ():
            while isinstance(value, Inert):  # a Parameter with attributes of its own
                value = next((arg for arg in value.args or () if isinstance(arg, Tensor | Inert)), None)
            if isinstance(value, Tensor):
                into[f"{before}{key}"] = value
    children = module.get("_modules")
    for key, value in children.items() if isinstance(children, Mapping) else ():
        _flatten(value, f"{before}{key}.", into, depth + 1, found)


def _bare(name: str) -> str:
    """A key without what wrappers put before it."""
    parts = name.split(".")
    while len(parts) > 1 and parts[0] in _WRAPPERS:
        parts.pop(0)
    return ".".join(parts)


# -- networks -------------------------------------------------------------------------------------


def _networks(
    place: Place, tensors: Mapping[str, Tensor], path: Path, found: _Found
) -> Iterator[tuple[Network, list[tuple[str, Tensor]]]]:
    """The networks in one dict of tensors, with their tensors by bare name."""
    plain = {_bare(name): tensor for name, tensor in tensors.items()}
    role, pair, ema, called = "", "", False, "/".join(place)
    for word in reversed(place):
        told, its_pair, averaged = _named(word)
        ema |= averaged
        if told and not role:
            role, pair = told, its_pair
    if role:
        yield _network(role, called, ema, pair, plain, found)
        return
    groups: dict[tuple[str, str, bool, str], dict[str, Tensor]] = {}
    for name, tensor in plain.items():
        words = name.split(".")[:-1][:2]
        key: tuple[str, str, bool, str] = ("", "", False, words[0] if words else "")
        for depth, word in enumerate(words, 1):
            told, its_pair, averaged = _named(word)
            if told:
                key = (told, its_pair, averaged, ".".join(words[:depth]))
                break
        groups.setdefault(key, {})[name] = tensor
    known = [key for key in groups if key[0]]
    told, its_pair, averaged = _named_file(path)
    if not known or (told and len(plain) > 3 * sum(len(groups[key]) for key in known)):
        yield _network(told, called or split_step(path.name)[0], ema or averaged, its_pair, plain, found)
        return
    rest: dict[str, Tensor] = {}
    for key, group in groups.items():
        its_role, its_pair, averaged, its_name = key
        if its_role:
            inner = {_bare(name[len(its_name) + 1 :]): tensor for name, tensor in group.items()}
            full = "/".join(filter(None, (called, its_name)))
            yield _network(its_role, full, ema or averaged, its_pair, inner, found)
        elif not any(_HELPERS.search(word.lower()) for name in group for word in name.split(".")[:3]):
            rest.update(group)
    if (
        rest
    ):  # beside a discriminator, what is no helper network is the generator: VQGAN's encoder and decoder
        alone = {key[0] for key in known} == {"D"}
        yield _network("G" if alone else "", called or split_step(path.name)[0], ema, "", rest, found)


def _network(
    role: str, name: str, ema: bool, pair: str, tensors: Mapping[str, Tensor], found: _Found
) -> tuple[Network, list[tuple[str, Tensor]]]:
    plans = _plans(tensors, found)
    layouts = {plan.key: plan.layout for plan in plans}
    stats: dict[str, Measured] = {}
    spectra: dict[str, Spectrum] = {}
    for key, tensor in tensors.items():
        if is_floating(tensor):
            try:
                stats[key], spectrum = measured(tensor, layouts.get(key), found.scratch)
            except Unreadable as wrong:
                found.problems.append((f"{name}.{key}", wrong.message))
                continue
            if spectrum is not None:
                spectra[key] = spectrum
    layers = tuple(
        _layer(plan, stats[plan.key], spectra.get(plan.key), tensors, found)
        for plan in plans
        if plan.key in stats
    )
    kept = [(key, tensor) for key, tensor in tensors.items() if _parameter(key, tensors)]
    count = sum(tensor.size for _, tensor in kept)
    return Network(role, name, ema, pair, layers, stats, parameters=count), kept


_BUFFER = re.compile(r"running_(?:mean|var)|num_batches_tracked|weight_u|_u|_v|u\d*|sv\d*|stored_\w+|\w*filter|\w*mask|"
                     r"noise_const|w_avg|position_ids|n_averaged")  # fmt: skip


def _parameter(key: str, tensors: Mapping[str, Tensor]) -> bool:
    """Whether an optimiser would know a tensor; buffers it does not."""
    before, _, last = key.rpartition(".")
    if last == "weight_v":  # of spectral norm a buffer, of weight norm a parameter
        return f"{before}.weight_g".lstrip(".") in tensors
    return is_floating(tensors[key]) and not _BUFFER.fullmatch(last)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the names and shapes tell of a layer before anything is measured. its: what it holds → key."""

    name: str
    its: Mapping[str, str]
    key: str
    kind: Kind
    axis: int
    spectral: bool
    layout: Layout | None

    @property
    def weight_norm(self) -> bool:
        """Whether its weights are stored as a direction and a size."""
        return "weight_g" in self.its or "weight_original0" in self.its


def _plans(tensors: Mapping[str, Tensor], found: _Found) -> list[_Plan]:
    """The layers of a network in the order of the file."""
    parts: dict[str, dict[str, str]] = {}  # layer -> what -> key
    for key in tensors:
        before, _, last = key.rpartition(".")
        if before.endswith("parametrizations.weight"):
            before, last = before.removesuffix("parametrizations.weight").rstrip("."), f"weight_{last}"
        elif before.endswith("parametrizations.weight.0"):
            before, last = before.removesuffix("parametrizations.weight.0").rstrip("."), f"weight{last}"
        parts.setdefault(before, {})[last] = key
    named = [(name, its, _weight_key(its)) for name, its in parts.items()]
    shapes = [tuple(tensors[key].shape) if key else () for _, _, key in named]
    kinds = _kinds(named, shapes, tensors)
    return [
        _plan(name, its, key, kind, tensors, found)
        for (name, its, key), kind in zip(named, kinds, strict=True)
        if key is not None
    ]


def _weight_key(its: Mapping[str, str]) -> str | None:
    """Which tensor holds a layer's weights, under which name ever."""
    for name in (
        "weight",
        "weight_orig",
        "weight_original",
        "weight_bar",
        "weight_v",
        "weight_original1",
        "running_var",
    ):
        if name in its:
            return its[name]
    return None


def _running(its: Mapping[str, str], tensors: Mapping[str, Tensor], found: _Found) -> Running | None:
    mean, var = (
        found.vector(its.get(name, ""), tensors.get(its.get(name, "")))
        for name in ("running_mean", "running_var")
    )
    if mean is None or var is None or not len(var):
        return None
    good = var[np.isfinite(var)]
    bad = int(np.count_nonzero(~np.isfinite(mean))) + len(var) - len(good)
    batches = _number(tensors.get(its.get("num_batches_tracked", "")))
    return Running(
        n=len(var),
        largest=float(good.max()) if len(good) else float("nan"),
        empty=float(np.count_nonzero(good < 1e-10)) / len(var),
        untouched=not mean.any() and bool((var == 1).all()),
        nonfinite=bad,
        batches=None if batches is None else int(batches),
    )


def _kinds(
    plans: Sequence[tuple[str, Mapping[str, str], str | None]],
    shapes: Sequence[tuple[int, ...]],
    tensors: Mapping[str, Tensor],
) -> list[Kind]:
    """What kind each layer is. A transposed convolution is stored (in, out, ...): its bias, the normalisation
    that follows it, spectral norm's u, or its neighbours' channels tell.
    """
    kinds: list[Kind] = []
    channels = 0  # that come out of the layer before
    for at, ((name, its, key), shape) in enumerate(zip(plans, shapes, strict=True)):
        if "running_mean" in its or (key is not None and len(shape) == 1 and _norm_like(its)):
            kinds.append("norm")
            continue
        if key is None or len(shape) < 2 or min(shape) == 0:
            kinds.append("other")
            continue
        if len(shape) == 2:
            embeds = bool(re.search(r"emb", name.lower())) and "bias" not in its
            kinds.append("embedding" if embeds else "linear")
            channels = channels if embeds else shape[0]
            continue
        rows = (tensors[its[one]].shape for one in ("bias", "weight_u") if one in its)
        units = next((row[0] for row in rows if len(row) == 1), 0)
        if not units and at + 1 < len(plans) and shapes[at + 1] and len(shapes[at + 1]) == 1:
            units = shapes[at + 1][0]
        first, second = shape[0], shape[1]
        if units in (first, second) and first != second:
            transposed = units == second
        else:
            transposed = first == channels != second or bool(
                re.search(r"deconv|convt|transpose", name.lower())
                or (first == second and "transposed" in kinds)
            )
        kinds.append("transposed" if transposed else "conv")
        channels = second if transposed else first
    return kinds


def _norm_like(its: Mapping[str, str]) -> bool:
    return set(its) <= {"weight", "bias", "num_batches_tracked"} and "weight" in its


def _plan(
    name: str, its: Mapping[str, str], key: str, kind: Kind, tensors: Mapping[str, Tensor], found: _Found
) -> _Plan:
    """A layer; as a matrix, units x rest, where it is a linear or convolutional one."""
    plan = _Plan(name, its, key, kind, 0, False, None)
    if kind not in ("linear", "conv", "transposed"):
        return plan
    shape = tuple(tensors[key].shape)
    size = int(np.prod(shape))
    u, v = (
        _vector(tensors, next((its[name] for name in names if name in its), None), found)
        for names in (("weight_u", "u0", "u"), ("weight_v", "v0", "v"))
    )
    spectral = not plan.weight_norm and (u is not None or v is not None)
    axis = 1 if kind == "transposed" else 0
    if spectral:  # u has a value a unit: its length tells the axis where the shape does not
        length = len(u) if u is not None else size // len(v) if v is not None and len(v) else 0
        axis = next((at for at in (axis, 1 - axis) if shape[at] == length), axis)
    layout = None
    if size <= LARGEST and not {"weight_original1", "weight_g"} & its.keys():
        units = shape[axis]
        fits = (u is None or len(u) == units) and (v is None or len(v) == size // units)
        layout = Layout(shape, axis, u, v) if spectral and fits else Layout(shape, axis)
    return replace(plan, axis=axis, spectral=spectral, layout=layout)


def _layer(
    plan: _Plan, weight: Measured, spectrum: Spectrum | None, tensors: Mapping[str, Tensor], found: _Found
) -> Layer:
    """A layer whose weights are measured."""
    shape = tuple(tensors[plan.key].shape)
    made = Layer(plan.name, plan.key, plan.kind, shape, weight)
    if plan.kind == "norm":
        return replace(made, running=_running(plan.its, tensors, found))
    if plan.kind not in ("linear", "conv", "transposed"):
        return made
    units = shape[plan.axis]
    made = replace(made, units=units, fan_in=int(np.prod(shape)) // units,
                   normalised=plan.spectral or plan.weight_norm)  # fmt: skip
    if spectrum is None:
        return made
    return replace(made, sigma=spectrum.sigma, zero_units=spectrum.zero_units, divisor=spectrum.divisor)


def _vector(tensors: Mapping[str, Tensor], key: str | None, found: _Found) -> Floats | None:
    """A unit vector of spectral norm; some projects store it as (1, n)."""
    if key is None or not is_floating(tensors[key]):
        return None
    values = found.vector(key, tensors[key])
    return values if values is not None and len(values) and np.isfinite(values).all() else None


# -- roles by shape -------------------------------------------------------------------------------


def _by_shape(networks: list[Network]) -> list[Network]:
    """Give roles to networks that no name tells: D ends in one value and takes what G gives."""
    ends = {at: _ends(one) for at, one in enumerate(networks) if not one.role and one.matrices}
    made = list(networks)
    taken = {one.role for one in networks}
    for at, (_, last) in ends.items():
        grows = any(layer.kind == "transposed" for layer in made[at].layers)
        if last == 1 and not grows and "D" not in taken:
            made[at] = replace(made[at], role="D")
    known = [_ends(one) for one in made if one.role == "D" and one.matrices]
    for at, (first, last) in ends.items():
        if made[at].role or "G" in taken:
            continue
        grows = any(layer.kind == "transposed" for layer in made[at].layers)
        if grows or any(last == takes != first for takes, _ in known):
            made[at] = replace(made[at], role="G")
    return made


def _ends(network: Network) -> tuple[int, int]:
    """What a network's first layer takes and its last one gives, in channels or features."""
    first, last = network.matrices[0], network.matrices[-1]
    takes = first.shape[0] if first.kind == "transposed" else first.shape[1]
    return takes, last.units


# -- optimisers -----------------------------------------------------------------------------------


def _optimiser(
    place: Place,
    raw: Mapping[Any, Any],
    networks: Sequence[Network],
    parameters: Sequence[Sequence[tuple[str, Tensor]]],
    found: _Found,
) -> tuple[Optimiser, int | None]:
    """An optimiser measured, and the index of the network whose parameters its states fit, in order."""
    groups = [group for group in _sequence(raw.get("param_groups")) if isinstance(group, Mapping)]
    listed = (
        index for group in groups for index in _sequence(group.get("params")) if isinstance(index, int | str)
    )
    order = list(islice(listed, _PARAMETERS))
    state = raw["state"]
    entries = [state.get(index, state.get(str(index))) for index in order] if order else list(state.values())
    shapes = [_shape(entry) for entry in entries]
    role = next((told for word in reversed(place) if (told := _named(word)[0])), "")
    owner, names = _owner(shapes, role, networks, parameters)
    first = groups[0] if groups else {}
    beta1, beta2 = _betas(first)
    eps = _or(_number(first.get("eps")), 1e-8)
    steps = 0
    kept: list[Moments] = []
    called = "/".join(place)
    for at, entry in enumerate(entries):
        if isinstance(entry, Mapping):
            done = int(min(max(_or(_number(entry.get("step")), 0.0), 0.0), 2.0**53))
            steps = max(steps, done)
            try:
                made = moments(names[at] if names else "", entry, done, beta1, beta2, eps)
            except Unreadable as wrong:
                found.problems.append((f"{called}.state.{at}", wrong.message))
                continue
            kept += [] if made is None else [made]
    rates = [_or(_number(group.get("lr")), 0.0) for group in groups]
    firsts = [rate for group in groups if (rate := _number(group.get("initial_lr"))) is not None]
    optimiser = Optimiser(called, role, max(rates, default=0.0), max(firsts, default=None), beta1, beta2, eps, steps,
                          tuple(kept), _kind_of(first), "betas" in first)  # fmt: skip
    return optimiser, owner


def _kind_of(group: Mapping[Any, Any]) -> str:
    """What optimiser PyTorch has groups with these entries for."""
    if "decoupled_weight_decay" in group and "amsgrad" in group:
        return "adamw" if group["decoupled_weight_decay"] is True else "adam"
    if "alpha" in group and "centered" in group:
        return "rmsprop"
    if "nesterov" in group and "dampening" in group:
        return "sgd-momentum" if group.get("momentum") else "sgd"
    return ""


def _sequence(one: object) -> Sequence[Any]:
    return one if isinstance(one, list | tuple) else ()


def _number(one: object) -> float | None:
    """A number, or a tensor of one, if it is finite."""
    if isinstance(one, Tensor) and one.shape in ((), (1,)) and not one.problem:
        try:
            one = one.array().reshape(-1)[0].item()
        except Unreadable:
            return None
    if isinstance(one, bool) or not isinstance(one, int | float):
        return None
    return float(one) if abs(one) < 1e300 else None


def _or(one: float | None, otherwise: float) -> float:
    return otherwise if one is None else one


def _betas(group: Mapping[Any, Any]) -> tuple[float, float]:
    """Adam's betas, each below 1; RMSprop's alpha stands for the second."""
    betas = _sequence(group.get("betas"))
    one, two = (betas[0], betas[1]) if len(betas) == 2 else (0.0, group.get("alpha"))
    beta1, beta2 = _or(_number(one), 0.0), _or(_number(two), 0.99)
    return (beta1 if -1 < beta1 < 1 else 0.0), (beta2 if 0 <= beta2 < 1 else 0.99)


def _shape(entry: object) -> tuple[int, ...] | None:
    """The shape of the parameter that an optimiser's entry is of; None where it has seen no gradient yet."""
    if isinstance(entry, Mapping):
        for name in ("exp_avg_sq", "square_avg", "exp_avg", "momentum_buffer"):
            if isinstance(one := entry.get(name), Tensor):
                return tuple(one.shape)
    return None


def _owner(
    shapes: Sequence[tuple[int, ...] | None],
    role: str,
    networks: Sequence[Network],
    parameters: Sequence[Sequence[tuple[str, Tensor]]],
) -> tuple[int | None, list[str]]:
    """The network whose parameters have these shapes, and their names; else the one of that role, nameless."""
    fits = []
    for at, mine in enumerate(parameters):
        same = len(mine) == len(shapes) and all(
            shape is None or shape == tuple(tensor.shape)
            for shape, (_, tensor) in zip(shapes, mine, strict=True)
        )
        if same and any(shape is not None for shape in shapes):
            fits.append(at)
    fits.sort(key=lambda at: (networks[at].ema, networks[at].role != role))
    if fits:
        return fits[0], [name for name, _ in parameters[fits[0]]]
    named = [at for at, network in enumerate(networks) if role and network.role == role and not network.ema]
    return (named[0] if len(named) == 1 else None), []
