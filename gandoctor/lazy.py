"""Names of a package that need PyTorch, loaded on first use."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection
from typing import Any

from gandoctor.errors import UserError


def from_torch(module: str, names: Collection[str], what: str) -> Callable[[str], Any]:
    """The `__getattr__` of a package whose `names` stand in a `module` that needs torch.

    what: the subject of the message where torch is missing: "the trainer". What is returned raises UserError
    then, AttributeError for other names.
    """

    def load(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module.rpartition('.')[0]!r} has no attribute {name!r}")
        try:
            return getattr(importlib.import_module(module), name)
        except ModuleNotFoundError as missing:
            if missing.name != "torch":
                raise
            raise UserError(
                f"{what} needs PyTorch, which is not installed", hint="pip install 'gandoctor[torch]'"
            ) from missing

    return load
