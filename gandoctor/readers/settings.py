"""From nested configuration to settings by flattened names: what config files and trackers share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from gandoctor.run import Scalar, Setting

MAX_SETTINGS = 10_000
MAX_DEPTH = 16
_MAX_NODES = 100_000  # visited in all: lists that share their items can be endless
_LONGEST_LIST = 16  # betas, milestones, resolutions; longer lists are data, not settings
_LONGEST_TEXT = 1_000


def settings_of(tree: object, source: Path) -> dict[str, Setting]:
    """Every scalar of a nested configuration, by its path joined with dots; list items by number.

    Lists of more than 16 items, levels below the 16th and what is neither a scalar nor a container
    are left out; at most 10,000 settings are given. Sharing and cycles in `tree` do no harm.

    >>> found = settings_of({"lr": 2e-4, "adam": {"betas": [0.5, 0.999]}}, Path("config.yaml"))
    >>> {name: setting.value for name, setting in found.items()}
    {'lr': 0.0002, 'adam.betas.0': 0.5, 'adam.betas.1': 0.999}
    """
    return {
        name: Setting(value[:_LONGEST_TEXT] if isinstance(value, str) else value, source)
        for name, value in islice(_leaves(tree), MAX_SETTINGS)
    }


def _leaves(tree: object) -> Iterator[tuple[str, Scalar]]:
    waiting: list[tuple[str, object, int]] = [("", tree, 0)]
    left = _MAX_NODES
    while waiting:
        name, node, depth = waiting.pop()
        if node is None or isinstance(node, str | bool | int | float):
            if name:
                yield name, node
            continue
        if depth == MAX_DEPTH:
            continue
        prefix = f"{name}." if name else ""
        children = [
            (prefix + (str(key) if isinstance(key, str | int | float) else "?"), child, depth + 1)
            for key, child in islice(_children(node), left)
        ]
        left -= len(children)
        waiting += reversed(children)


def _children(node: object) -> Iterable[tuple[object, object]]:
    if isinstance(node, Mapping):
        return node.items()
    if isinstance(node, list | tuple) and len(node) <= _LONGEST_LIST:
        return enumerate(node)
    return ()
