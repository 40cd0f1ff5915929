"""Records what the detectors need, from anyone's training loop. Needs torch, which is loaded on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gandoctor.lazy import from_torch

if TYPE_CHECKING:
    from gandoctor.capture.recorder import Recorder

__all__ = ["Recorder"]

__getattr__ = from_torch("gandoctor.capture.recorder", __all__, "the recorder")
