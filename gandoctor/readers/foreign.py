"""Trackers whose files only their own libraries read: named, with the way to export from them.

SwanLab backups begin with `:SWL`; an Aim repository is a RocksDB below `.aim/`; a Comet archive is a zip
that holds `experiment.json`; VisualDL records are named `vdlrecords.*.log`.
"""

from __future__ import annotations

from pathlib import Path

from gandoctor.readers.head import Head, head_of
from gandoctor.run import LogProblem, RunParts

KIND = "tracker"
ORDER = 12

_EXPORT = {
    "SwanLab": "export the run's scalars as CSV from its web page, or log to TensorBoard beside it",
    "Aim": "export with `aim runs` and its Python SDK (`Run.metrics()`) to CSV, or log to TensorBoard beside it",
    "Comet": "download the metrics as CSV or JSON from the experiment's page, or by `APIExperiment.get_metrics()`",
    "VisualDL": "export the scalars from VisualDL's page as CSV, or log to TensorBoard beside it",
}


def sniff(head: Head) -> bool:
    """Whether a file belongs to one of these trackers."""
    return _tracker(head) != ""


def _tracker(head: Head) -> str:
    if head.data.startswith(b":SWL"):
        return "SwanLab"
    if head.name == "current" and head.data.startswith(b"MANIFEST-") and ".aim" in head.path.parts:
        return "Aim"
    if head.data.startswith(b"PK") and b"experiment.json" in head.data and b"comet" in head.data.lower():
        return "Comet"
    return "VisualDL" if head.name.startswith("vdlrecords") else ""


def read(path: Path) -> list[RunParts]:
    """Nothing but the problem, with the way out."""
    tracker = _tracker(head_of(path))
    message = f"{tracker} keeps its own format, which is not read: {_EXPORT.get(tracker, 'export it as CSV')}"
    return [RunParts(problems=[LogProblem(path, "", "foreign-format", message)])]
