"""dvclive: `plots/metrics/KEY.tsv`, a file a metric, read by way of the `metrics.json` above them.

    step	loss
    0	0.693

"/" in a key makes folders. Parameters are in `params.yaml`, which the reader of configurations reads.
"""

from __future__ import annotations

import math
from pathlib import Path

from gandoctor.readers._sqlite import Columns, series_of
from gandoctor.readers.faults import Faults
from gandoctor.readers.head import Head
from gandoctor.readers.numbers import to_number
from gandoctor.run import RunParts

KIND = "log"
ORDER = 16

_MAX_FILES = 20_000
_MAX_BYTES = 1 << 30


def sniff(head: Head) -> bool:
    """Whether this is the summary that dvclive keeps above its metrics."""
    return head.name == "metrics.json" and (head.path.parent / "plots" / "metrics").is_dir()


def read(path: Path) -> list[RunParts]:
    """The run whose summary this is. Raises OSError if it cannot be opened."""
    path.open("rb").close()
    faults = Faults(path)
    folder = path.parent / "plots" / "metrics"
    tags: dict[str, Columns] = {}
    for count, file in enumerate(sorted(folder.rglob("*.tsv"))):
        if count >= _MAX_FILES:
            faults.add("plots/metrics", "too-many-tags", f"only the first {_MAX_FILES:,} files were read")
            break
        tag = file.relative_to(folder).as_posix().removesuffix(".tsv")
        one = Columns()
        _fill(one, file, tag, faults)
        if one.steps:
            tags[tag] = one
    return [RunParts(series=series_of(tags, path), problems=faults.problems())]


def _fill(one: Columns, file: Path, tag: str, faults: Faults) -> None:
    try:
        with file.open("rb") as text:
            lines = text.read(_MAX_BYTES).decode("utf-8", errors="replace").split("\n")
    except OSError as fault:
        faults.add(f"plots/metrics/{tag}.tsv", "unreadable", fault.strerror or str(fault))
        return
    names = lines[0].rstrip("\r").split("\t")
    own = next((name for name in (tag.rpartition("/")[2], tag) if name in names), names[-1])
    if "step" not in names or own == "step":
        faults.add(f"plots/metrics/{tag}.tsv line 1", "bad-line", "no columns `step` and the metric's own")
        return
    at_step, at_value = names.index("step"), names.index(own)
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        cells = line.rstrip("\r").split("\t")
        step = to_number(cells[at_step]) if len(cells) == len(names) else None
        value = to_number(cells[at_value]) if len(cells) == len(names) else None
        if step is None or value is None or not 0 <= step < 1 << 53:
            cut = number == len(lines)
            kind, said = (
                ("truncated-tail", "the last line is cut off") if cut else ("bad-line", "no step and value")
            )
            faults.add(f"plots/metrics/{tag}.tsv line {number}", kind, said)
            continue
        one.steps.append(int(step))
        one.values.append(value)
        one.times.append(math.nan)
        one.orders.append(number)
