"""gandoctor: reads what a GAN run left behind, says what went wrong, when and why, and what to change.

    run = gandoctor.load("runs/exp1")            # one Run; load_all gives the list
    diagnosis = gandoctor.diagnose(run)          # one Diagnosis; also takes a path; diagnose_all: the list
    diagnosis.primary; diagnosis.prescription
    gandoctor.write(diagnosis, "report.html")    # the format from the suffix, or format="json"
    gandoctor.compare("runs/base", "runs/lower-lr").decision  # keep, revert, not-enough; seeds are pooled
    with gandoctor.Recorder("runs/exp1", G=G, D=D) as rec: ...  # logs what a diagnosis needs
    doctor = gandoctor.EarlyStop("runs/exp1")    # in a loop: if doctor.should_stop(): break

Names are loaded on first use: `import gandoctor` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gandoctor.api import compare, diagnose, diagnose_all, fleet, load, load_all, sensitivity, write
    from gandoctor.capture import Recorder
    from gandoctor.early_stop import EarlyStop
    from gandoctor.errors import UserError

__version__ = "0.1.0"
__all__ = [
    "EarlyStop", "Recorder", "UserError", "__version__", "compare", "diagnose", "diagnose_all", "fleet", "load",
    "load_all", "sensitivity", "write",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "UserError":
        return importlib.import_module("gandoctor.errors").UserError
    if name == "EarlyStop":
        return importlib.import_module("gandoctor.early_stop").EarlyStop
    if name == "Recorder":
        return importlib.import_module("gandoctor.capture").Recorder
    if name in __all__:
        return getattr(importlib.import_module("gandoctor.api"), name)
    raise AttributeError(f"module 'gandoctor' has no attribute {name!r}")
