"""A user's own embedding of samples, named as `module:callable`, in place of the light features."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from gandoctor.errors import UserError
from gandoctor.interpret.features import Samples, Tiles


class Failed(Exception):
    """An embedding that could not be used; its text says why."""


@dataclass(slots=True)
class Embedding:
    """Calls `module:callable` on tiles. width: of what it returned so far, 0 before the first call.

    Nothing is imported before the first call, in the process that makes it.
    """

    name: str
    width: int = 0

    def __call__(self, tiles: Tiles) -> Samples:
        """Embed uint8 (n, h, w, c), c = 1 or 3: float32 (n, d). Raises Failed, whatever goes wrong inside."""
        embed = _load(self.name)
        try:
            found = np.asarray(embed(tiles.copy()))
        except (Exception, SystemExit) as fault:
            raise Failed(f"{self.name} failed: {_said(fault)}") from None
        if found.ndim != 2 or len(found) != len(tiles) or not found.shape[1]:
            raise Failed(
                f"{self.name} gave an array of shape {found.shape} for {len(tiles)} tiles, not (n, d)"
            )
        if found.dtype.kind not in "fiu":
            raise Failed(f"{self.name} gave values of the kind {found.dtype}, not numbers")
        if self.width and found.shape[1] != self.width:
            raise Failed(f"{self.name} gave {found.shape[1]} values a tile, and {self.width} before")
        with np.errstate(over="ignore"):
            values = found.astype(np.float32)
        if not np.isfinite(values).all():
            raise Failed(f"{self.name} gave NaN or infinity")
        self.width = found.shape[1]
        return values


def check(name: str) -> None:
    """Raises UserError where a name is not `module:callable`; whether there is one is seen when it is called."""
    module, colon, attribute = name.partition(":")
    if not colon or not all(part.isidentifier() for part in (*module.split("."), *attribute.split("."))):
        raise UserError(f"'{name}' is not MODULE:CALLABLE", where="--features",
                        hint="for example --features my_features:embed, with my_features.py in this folder")  # fmt: skip


@lru_cache(maxsize=4)
def _load(name: str) -> Callable[[Tiles], Any]:
    """The callable, looked for in the working directory too. Raises Failed."""
    module, _, attribute = name.partition(":")
    try:
        with _working_directory_first():
            found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as fault:
        raise Failed(f"{name} cannot be imported: {_said(fault)}") from None
    if not callable(found):
        raise Failed(f"{name} is no callable")
    return found  # type: ignore[no-any-return]


@contextmanager
def _working_directory_first() -> Iterator[None]:
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _said(fault: BaseException) -> str:
    return f"{type(fault).__name__}: {fault}"[:200]
