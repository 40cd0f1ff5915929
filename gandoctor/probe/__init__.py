"""Draws samples from snapshots through the user's own generator, and measures what the samples alone do not tell.

Opt-in: it runs the user's code (never a checkpoint's). Needs torch, which is loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gandoctor.errors import UserError

if TYPE_CHECKING:
    from gandoctor.probe.probing import Options, Probed, probe

__all__ = ["Options", "Probed", "probe"]


def __getattr__(name: str) -> Any:
    """Load what needs torch on first use. Raises UserError where torch is not installed."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as missing:
        if missing.name != "torch":
            raise
        raise UserError(
            "the probe needs PyTorch, which is not installed", hint="pip install 'gandoctor[torch]'"
        ) from missing
    from gandoctor.probe import probing

    return getattr(probing, name)
