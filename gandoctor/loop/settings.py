"""What changed in the configuration, by meaning: `lr_g: 2e-4` and `optimizer.g.lr: 0.0002` are one value.

Facts (`interpret/facts.py`) come first; settings that no fact speaks for are compared by their names.
Paths, seeds, names, dates, the machine, and how often something is logged or saved are no change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from gandoctor.interpret.configuration import FactValue
from gandoctor.interpret.facts import FACTS
from gandoctor.interpret.view import RunView
from gandoctor.run import Run, Scalar

_DERIVED = ("lr_ratio", "steps")  # of other facts; the length is compared apart
_FROM_LOG = "the log: "
_SAME, _SAME_LOGGED = (
    1e-6,
    0.02,
)  # relative: of settings; of rates read off a log, whose first point may be late
_IGNORED = re.compile(
    r"""(\w+_)?(random_?)?seeds?(_\w+)? | random_state
    | ((run|exp|experiment|job|project|trial|sweep|group|wandb|model_save)_?)?(name|id|uuid|tags?|notes?|comments?)
    | (run|exp|experiment|job|project|trial|sweep|entity|description|desc|user(name)?|host(name)?|version|git\w*|commit)
    | (\w+_)?(dir|dirs|directory|path|paths|folder|folders|root|file|files|filename|logdir|outdir|url)
    | (out|output|outputs|dest|results?)
    | (\w+_)?(date|time|datetime|timestamp|created|started|created_at|started_at|hours|seconds)
    | (\w+_)?(device|devices|gpus?|gpu_ids?|cuda|workers|num_workers|n_cpu|rank|local_rank|world_size|port)
    | (log|logs|logging|print|display|save|sample|samples|eval|checkpoint|checkpoints|ckpt|snapshot|snap|summary|vis
       |visdom|wandb|tensorboard|progress)(_\w+)?
    | verbose | debug | quiet | resume | total_steps | \w*max_?(steps|iters?|epochs?) | (n|num)_?(steps|iters?|epochs?)
    | epochs? | steps | iterations?""",
    re.VERBOSE,
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?")
_OFF = (None, False, 0, "none", "off", "")


@dataclass(frozen=True, slots=True)
class Changed:
    """One setting that stands elsewhere. name: a fact, or the setting's own. old, new: None where not given."""

    name: str
    old: Scalar
    new: Scalar
    fact: bool


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs between two sides. known: whether both have a configuration, or rates in their logs.

    things: each a group of settings that one turn moves together.
    """

    things: tuple[tuple[Changed, ...], ...]
    known: bool

    @property
    def settings(self) -> tuple[Changed, ...]:
        """Every setting that changed."""
        return tuple(one for thing in self.things for one in thing)


@dataclass(frozen=True, slots=True)
class _Config:
    facts: Mapping[str, FactValue]
    rest: Mapping[str, Scalar]


def changes(old: RunView, new: RunView) -> Changes:
    """What differs in the configuration between two runs."""
    a, b = _config(old), _config(new)
    both = bool(old.run.settings) and bool(new.run.settings)
    found: list[tuple[tuple[str, str], Changed]] = []
    for name in FACTS:
        if name in _DERIVED:
            continue
        one, other = a.facts.get(name), b.facts.get(name)
        if (one is None or other is None) and not both:
            continue  # where one side has no configuration, silence says nothing
        if _moved(name, one, other):
            change = Changed(name, _value(one), _value(other), True)
            found.append(((_source(one), _source(other)), change))
    if both:
        moved = {(str(c.old).lower(), str(c.new).lower()) for _, c in found}
        for name in sorted({*a.rest, *b.rest}):
            one_raw, other_raw = a.rest.get(name), b.rest.get(name)
            if not same(one_raw, other_raw) and (str(one_raw).lower(), str(other_raw).lower()) not in moved:
                found.append(((name, name), Changed(name, one_raw, other_raw, False)))
    groups: dict[object, list[Changed]] = {}
    turned = {change.name: change for _, change in found}
    for source, change in found:
        groups.setdefault(_thing(change, turned) or source, []).append(change)
    known = both or bool(set(a.facts) & set(b.facts))
    return Changes(tuple(map(tuple, groups.values())), known)


def _thing(change: Changed, turned: Mapping[str, Changed]) -> str:
    """What a setting is a part of, where another one turned with it; "" where it stands alone.

    The same setting of both networks moved alike is one thing; so is what only says how another works.
    """
    name, network = change.name[:-2], change.name[-2:]
    if network in ("_G", "_D"):
        twin = turned.get(name + ("_D" if network == "_G" else "_G"))
        if twin is not None and _alike(change, twin):
            return name
    if change.name in ("penalty", "penalty_weight") and "penalty" in turned:
        new = (turned["penalty"].new, turned["family"].new if "family" in turned else None)
        return "family" if new == ("gp", "wgan-gp") else "penalty"
    if (
        change.name == "clip_value"
        and "family" in turned
        and "wgan" in (turned["family"].new, turned["family"].old)
    ):
        return "family"
    if change.name == "lr_schedule" or (not change.fact and change.name.startswith(("lr_", "scheduler"))):
        return "lr_schedule" if "lr_schedule" in turned else ""
    return "family" if change.name == "family" else ""


def _alike(one: Changed, other: Changed) -> bool:
    """Whether two settings moved by the same factor, or from and to the same values."""
    values = (one.old, one.new, other.old, other.new)
    if all(isinstance(v, float) and v > 0 for v in values):
        a, b, c, d = (float(v) for v in values if isinstance(v, float))
        return same(b / a, d / c)
    return same(one.old, other.old) and same(one.new, other.new)


def alike(views: Sequence[RunView]) -> list[list[int]]:
    """The places of views of one configuration together, in the order in which they first come."""
    groups: list[list[int]] = []
    for place, view in enumerate(views):
        for group in groups:
            if not changes(views[group[0]], view).things:
                group.append(place)
                break
        else:
            groups.append([place])
    return groups


def hyperparameters(run: Run) -> dict[str, Scalar]:
    """The settings that matter, by their names, as the configuration has them."""
    return {name: s.value for name, s in sorted(run.settings.items()) if not _ignored(name, s.value)}


def _config(view: RunView) -> _Config:
    spoken = {_source(fact) for fact in view.facts.values()}
    rest = {
        _plain(name): setting.value
        for name, setting in view.run.settings.items()
        if name not in spoken and not _ignored(name, setting.value)
    }
    return _Config(view.facts, rest)


def _source(fact: FactValue | None) -> str:
    """The name of the setting that gave a fact ("config.json: lr_g" → "lr_g"); "" for none."""
    return "" if fact is None else fact.source.partition(": ")[2] or fact.source


def _value(fact: FactValue | None) -> Scalar:
    return None if fact is None else fact.value


def _plain(name: str) -> str:
    return re.sub(r"[-\s/]", "_", name.strip()).lower()


def _ignored(name: str, value: Scalar) -> bool:
    plain = _plain(name)
    if any(_IGNORED.fullmatch(part) for part in (plain, plain.rpartition(".")[2])):
        return True
    if plain.partition(".")[0] in ("log", "logging", "logger", "wandb", "hydra", "tensorboard"):
        return True
    return isinstance(value, str) and (_is_path(value) or bool(_DATE.fullmatch(value.strip())))


def _is_path(value: str) -> bool:
    text = value.strip()
    return text.startswith(("/", "./", "../", "~/")) or bool(re.match(r"[A-Za-z]:\\", text)) or "\\" in text


def _moved(name: str, one: FactValue | None, other: FactValue | None) -> bool:
    a, b = _value(one), _value(other)
    if name == "data":
        a, b = (PurePath(v.replace("\\", "/")).name if isinstance(v, str) else v for v in (a, b))
    usual = FACTS[name].usual
    if (a is None or b is None) and usual is not None:
        a, b = (usual if v is None else v for v in (a, b))
    logged = any(fact is not None and fact.source.startswith(_FROM_LOG) for fact in (one, other))
    return not same(a, b, _SAME_LOGGED if logged else _SAME)


def same(one: Scalar, other: Scalar, tolerance: float = _SAME) -> bool:
    """Whether two values mean the same: 1e-4 and "0.0001", true and "True", not given and off."""
    a, b = _read(one), _read(other)
    if isinstance(a, float) and isinstance(b, float):
        return a == b or abs(a - b) <= tolerance * max(abs(a), abs(b)) or (a != a and b != b)
    if a is None or b is None:
        return a in _OFF and b in _OFF
    return a == b


def _read(value: Scalar) -> Scalar:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return float(value)
    text = value.strip().lower()
    if text in ("true", "false"):
        return text == "true"
    if text in ("null", "none", ""):
        return None
    try:
        return float(text)
    except ValueError:
        return text


def names(changed: Iterable[Changed]) -> list[str]:
    """Their names, each once."""
    return list(dict.fromkeys(one.name for one in changed))
