"""What checkpoints say besides weights: hyperparameters that code saves beside them, and its optimisers' groups.

{"netG": {...}, "args": Namespace(lr=0.0002, lambda_gp=10), "config": {...}}     torch.save
{"state_dict": {...}, "hyper_parameters": {...}}                                  Lightning
{"state": {...}, "param_groups": [{"lr": 0.0002, "betas": (0.5, 0.999)}]}         an optimiser's state
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from gandoctor.contents.tensors import Inert, Tensor
from gandoctor.interpret.configuration import FactValue, facts_in, ratio_of
from gandoctor.readers.settings import MAX_DEPTH, settings_of
from gandoctor.run import Scalar, Setting

if TYPE_CHECKING:
    from gandoctor.interpret.networks import Network
    from gandoctor.interpret.snapshots import Opened

_HOLDS = re.compile(
    r"args?|arguments|opts?|options?|config(?:uration)?|cfg|conf|h|hps?|hparams|hyper_?param(?:eter)?s|params"
    r"|param(?:eter)?s_?dict|settings|flags|training_(?:options|set_kwargs)|loss_kwargs|\w+_(?:args|config|cfg|kwargs)",
    re.IGNORECASE,
)
_COUNTERS = re.compile(
    r"(?:global_?|current_?|cur_?|total_?|num_?|n_?)?(?:steps?|iter(?:ation)?s?|epochs?|it|itr|nimg|kimg|batch(?:es)?)"
    r"|best\w*|\w*(?:loss|fid|score|time|version|seed)\w*",
    re.IGNORECASE,
)
_SHORT = 8  # betas, layers; what is longer is a record
_MOST = 10_000  # entries of one container


def settings_in(root: object, path: Path) -> dict[str, Setting]:
    """The hyperparameters that a file holds, by the names that a configuration file would give them.

    Those in a Namespace, in an entry with a telling name ("args", "config"), and numbers and words at the top, but
    for counters. Weights and optimisers are passed by. What stands deeper wins over what stands at the top.
    """
    if not isinstance(root, Mapping):
        return {}
    tree: dict[str, object] = {}
    for key, value in islice(root.items(), _MOST):
        if not isinstance(key, str):
            continue
        items = value if isinstance(value, list | tuple) else (value,)
        if len(items) < _SHORT and all(isinstance(one, str | bool | int | float) for one in items):
            if not _COUNTERS.fullmatch(key):
                tree[key] = value
        elif _HOLDS.fullmatch(key) or (isinstance(value, Inert) and value.name == "Namespace"):
            inner = _plain(value, 0)
            if isinstance(inner, Mapping):
                tree |= {str(name): one for name, one in inner.items()}
    return settings_of(tree, path)


def _plain(one: object, depth: int) -> object:
    """Containers of any library as dicts and lists: Namespace, OmegaConf, EasyDict, ConfigDict. None for the rest."""
    if depth > MAX_DEPTH:
        return None
    if one is None or isinstance(one, str | bool | int | float):
        return one
    if isinstance(one, Inert):
        state = one.state if isinstance(one.state, Mapping) else {}
        inner = next(
            (state[name] for name in ("_content", "_val", "_fields", "_store") if name in state), None
        )
        if inner is None:
            inner = one.items if one.items else state
        return _plain(inner, depth + 1)
    if isinstance(one, Mapping):
        return {
            str(key): _plain(value, depth + 1)
            for key, value in islice(one.items(), _MOST)
            if not isinstance(value, Tensor)
        }
    if isinstance(one, list | tuple):
        return [_plain(value, depth + 1) for value in islice(one, _MOST)]
    return None


def saved_facts(opened: Opened) -> dict[str, FactValue]:
    """The facts that a run's checkpoints tell. Opens and measures the files.

    Learning rates are the highest that any snapshot has, or had at its start: the last one may have decayed.
    """
    found: dict[str, FactValue] = {}
    for snapshot in opened.snapshots:
        file = snapshot.files[0].name if len(snapshot.files) == 1 else "checkpoints"
        for network in snapshot.networks:
            if network.role and not network.ema:
                _of_optimiser(network, file, found)
                _of_layers(network, file, found)
            elif network.ema:
                found["ema"] = FactValue(True, f"{file}: {network.name}", measured=True)
    betas = {name: found.get(name) for name in ("beta1_G", "beta1_D")}
    if (
        (beta := betas["beta1_G"]) is not None
        and betas["beta1_D"] is not None
        and beta.value == betas["beta1_D"].value
    ):
        found["beta1"] = beta
    sizes = [found.get(name) for name in ("parameters_G", "parameters_D")]
    if sizes[0] is not None and sizes[1] is not None:
        g, d = sizes[0].value, sizes[1].value
        if isinstance(g, int) and isinstance(d, int) and g > 0:
            found["capacity_ratio"] = FactValue(d / g, sizes[1].source, measured=True)
    said = facts_in(opened.settings)
    for name in (
        "lr_G",
        "lr_D",
    ):  # one setting for both networks, of which an optimiser may have been given another
        if name in found and name in said and _number(found[name]) > _number(said[name]):
            del said[name]
    found |= said
    return {**found, **ratio_of(found)}


def _number(fact: FactValue) -> float:
    return fact.value if isinstance(fact.value, float) else 0.0


def _of_optimiser(network: Network, file: str, found: dict[str, FactValue]) -> None:
    optimiser, role = network.optimiser, network.role
    if optimiser is None:
        return
    place = f"{file}: {optimiser.name}"

    def say(fact: str, value: Scalar, what: str) -> None:
        found[fact] = FactValue(value, f"{place}.{what}", measured=True)

    rate, known = max(optimiser.lr, optimiser.first_lr or 0.0), found.get(f"lr_{role}")
    if rate > 0 and (known is None or not isinstance(known.value, float) or rate > known.value):
        say(f"lr_{role}", rate, "lr")
    if optimiser.kind:
        say("optimizer_D" if role == "D" else "optimizer", optimiser.kind, "param_groups")
    if optimiser.kind in ("", "adam", "adamw") and optimiser.betas_given:
        say(f"beta1_{role}", optimiser.beta1, "betas.0")
        say("beta2", optimiser.beta2, "betas.1")


def _of_layers(network: Network, file: str, found: dict[str, FactValue]) -> None:
    source = f"{file}: {network.name}"
    if network.parameters:
        found[f"parameters_{network.role}"] = FactValue(network.parameters, source, measured=True)
    if network.role == "D" and any(layer.divisor is not None for layer in network.layers):
        found["spectral_norm"] = FactValue(True, source, measured=True)
    if any(layer.running is not None for layer in network.layers):
        found[f"batch_norm_{network.role}"] = FactValue(True, source, measured=True)
