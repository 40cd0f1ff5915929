"""Every tensor in the contents of a checkpoint, by a walk of the tests' own."""

from __future__ import annotations

from collections.abc import Iterator

from gandoctor.contents.tensors import Inert, Tensor

_LONGEST_PATH = 1_000  # characters
_OF_MODULES = ("_parameters", "_buffers", "_modules")  # what a torch.nn.Module keeps its tensors in


def tensors_of(tree: object) -> Iterator[tuple[str, Tensor]]:
    """Every tensor below a checkpoint's tree, with its dotted path: ("G.main.0.weight", tensor).

    Modules that were saved whole are named as their state_dict would name them. A container that
    stands in several places is walked once, so that the walk ends whatever the file holds.
    """
    seen: set[int] = set()
    waiting: list[tuple[str, object]] = [("", tree)]
    while waiting:
        path, node = waiting.pop()
        if isinstance(node, Tensor):
            yield path, node
            continue
        children = _children(node)
        if not children or id(node) in seen or len(path) > _LONGEST_PATH:
            continue
        seen.add(id(node))
        waiting.extend(
            (f"{path}.{name}" if path and name else path or name, child) for name, child in reversed(children)
        )


def _children(node: object) -> list[tuple[str, object]]:
    """What a container holds, by name."""
    if isinstance(node, dict):
        return [(str(key), value) for key, value in node.items() if isinstance(key, str | int)]
    if isinstance(node, list | tuple):
        return [(str(i), value) for i, value in enumerate(node)]
    if isinstance(node, Inert):
        return _children_of_object(node)
    return []


def _children_of_object(node: Inert) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = [("", node.args)] if node.args else []
    found += [] if node.items is None else [("", node.items)]
    if not isinstance(node.state, dict):
        return found if node.state is None else [*found, ("", node.state)]
    for key, value in node.state.items():
        found.append(("" if key in _OF_MODULES else str(key), value))
    return found
