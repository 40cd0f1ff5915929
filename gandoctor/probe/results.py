"""Where a probe's results go: a folder of its own, with a log and sample grids that the readers know.

`metrics.jsonl` has a line a snapshot, under tags that `interpret/roles.py` knows; `samples/fixed_00001000.png`,
`random_…` and `interpolation_…` are grids (of points, .npy); `gandoctor-probe.json` says how it was measured, and
which files are the probe's: only these are ever replaced.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gandoctor.capture.grids import tiled
from gandoctor.errors import UserError

RECORD = "gandoctor-probe.json"
LOG = "metrics.jsonl"
_MOST_CHANNELS = 4  # of images


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """A folder to write into; at the end its files take the place of those of an earlier probe in `folder`.

    Files that are not the probe's stay. Raises UserError where the folder holds others' files under our names,
    or cannot be written.
    """
    earlier = _earlier(folder)
    beside = None
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=".gandoctor-probe-", dir=folder.absolute().parent))
        yield beside
        made = sorted(path.relative_to(beside) for path in beside.rglob("*") if path.is_file())
        for one in set(made) - set(earlier):
            if (folder / one).exists():
                raise UserError("is there already, and not from a probe", where=str(folder / one),
                                hint="-o FOLDER writes elsewhere")  # fmt: skip
        for one in earlier:
            (folder / one).unlink(missing_ok=True)
        for one in made:
            (folder / one).parent.mkdir(parents=True, exist_ok=True)
            os.replace(beside / one, folder / one)
    except OSError as fault:
        raise UserError(
            f"the results cannot be written: {fault.strerror or fault}", where=str(folder)
        ) from fault
    finally:
        if beside is not None:
            shutil.rmtree(beside, ignore_errors=True)


def _earlier(folder: Path) -> list[Path]:
    """The files of an earlier probe, relative to the folder. Raises UserError if the folder is not ours to use."""
    record = folder / RECORD
    if folder.exists() and not folder.is_dir():
        raise UserError("is a file, not a folder", where=str(folder))
    if not record.is_file():
        return []
    try:
        named = json.loads(record.read_text(encoding="utf-8"))["files"]
        paths = [Path(name) for name in named]
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise UserError(
            "is not a probe's record", where=str(record), hint="remove it, or use -o FOLDER"
        ) from fault
    return [Path(RECORD), *(path for path in paths if not path.is_absolute() and ".." not in path.parts)]


def write_grid(folder: Path, kind: str, step: int, samples: Tensor, span: tuple[float, float]) -> bool:
    """Save samples as a grid, points as an array; False for what is neither."""
    samples = samples.detach().float().cpu()
    name = folder / "samples" / f"{kind}_{step:08d}"
    name.parent.mkdir(exist_ok=True)
    if samples.dim() == 4 and samples.shape[1] <= _MOST_CHANNELS:
        Image.fromarray(tiled(samples, span)).save(name.with_suffix(".png"))
    elif samples.dim() == 2:
        np.save(name.with_suffix(".npy"), samples.numpy())
    else:
        return False
    return True


def span_of(samples: Tensor) -> tuple[float, float]:
    """The range that images are drawn in, by their values: of a tanh, of a sigmoid, or of bytes."""
    good = samples[torch.isfinite(samples)]
    if not len(good) or float(good.min()) < -0.02:
        return (-1.0, 1.0)
    return (0.0, 1.0) if float(good.max()) <= 2 else (0.0, 255.0)


def write_log(folder: Path, unit: str, snapshots: list[dict[str, Any]], how: Mapping[str, Any]) -> None:
    """Write the log, and the record of how it was measured and of all files that are ours."""
    lines = []
    for one in snapshots:
        layers = {f"dead_units/{name}": share for name, share in one["layers"].items()}
        tags = {f"probe/G/{name}": value for name, value in {**one["measures"], **layers}.items()}
        lines.append(json.dumps({unit: one["step"], **tags}))
    (folder / LOG).write_text("\n".join(lines) + "\n", encoding="utf-8")
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    record = {**how, "files": [*files, RECORD]}
    (folder / RECORD).write_text(json.dumps(record, indent=1, default=str) + "\n", encoding="utf-8")
