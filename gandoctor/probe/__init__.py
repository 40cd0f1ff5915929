"""Draws samples from snapshots through the user's own generator, and measures what the samples alone do not tell.

Opt-in: it runs the user's code (never a checkpoint's). Needs torch, which is loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gandoctor.lazy import from_torch

if TYPE_CHECKING:
    from gandoctor.probe.probing import Options, Probed, probe

__all__ = ["Options", "Probed", "probe"]

__getattr__ = from_torch("gandoctor.probe.probing", __all__, "the probe")
