"""Records what the detectors need, from anyone's training loop. Needs torch, which is loaded on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gandoctor.errors import UserError

if TYPE_CHECKING:
    from gandoctor.capture.recorder import Recorder

__all__ = ["Recorder"]


def __getattr__(name: str) -> Any:
    """Load what needs torch on first use. Raises UserError where torch is not installed."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from gandoctor.capture import recorder
    except ModuleNotFoundError as missing:
        if missing.name != "torch":
            raise
        raise UserError(
            "the recorder needs PyTorch, which is not installed", hint="pip install 'gandoctor[torch]'"
        ) from missing
    return getattr(recorder, name)
