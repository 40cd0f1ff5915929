"""Sample images: PNG, JPEG, WebP and GIF files beside a log, found and never decoded here.

`fakes000120.png`, `fake_samples_epoch_006.png`, `samples/0.png`: the step is the last number.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from gandoctor.readers.head import Head
from gandoctor.readers.names import split_step
from gandoctor.run import ImageGrid, RunParts

KIND = "samples"
ORDER = 35

_SIGNATURE = re.compile(rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a|RIFF.{4}WEBP", re.DOTALL)
# Drawings of curves and networks show no samples. "plot" is not among them: many scripts save
# their samples as generated_plot_e010.png.
_FIGURE = re.compile(
    r"(?<![a-z])(loss(es)?|curves?|charts?|hist(ogram)?s?|diagrams?|architecture|logo|icon|badge)(?![a-z])"
)


def sniff(head: Head) -> bool:
    """Whether this is an image by its signature, and no figure by its name.

    Images that W&B saved are left to the reader of its log, which knows their names and steps.
    """
    if _SIGNATURE.match(head.data) is None or _FIGURE.search(head.name):
        return False
    media = next((up for up in head.path.parents if up.parts[-3:] == ("files", "media", "images")), None)
    return media is None or not _has_wandb_log(media.parents[2])


@lru_cache(maxsize=64)
def _has_wandb_log(folder: Path) -> bool:
    return any(folder.glob("*.wandb"))


def read(path: Path) -> list[RunParts]:
    """One reference to the file. Where the name is only a number, its folder names it."""
    path.open("rb").close()
    name, step = split_step(path.name)
    return [RunParts(images=[ImageGrid(name or path.absolute().parent.name, step, path)])]
