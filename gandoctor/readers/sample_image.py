"""Sample images: PNG, JPEG, WebP and GIF files beside a log, found and never decoded here.

`fakes000120.png`, `fake_samples_epoch_006.png`, `samples/0.png`: the step is the last number.
"""

from __future__ import annotations

import re
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
    """Whether this is an image, by its signature, and not a figure of the training by its name."""
    return _SIGNATURE.match(head.data) is not None and _FIGURE.search(head.name) is None


def read(path: Path) -> list[RunParts]:
    """One reference to the file. Where the name is only a number, its folder names it."""
    path.open("rb").close()
    name, step = split_step(path.name)
    return [RunParts(images=[ImageGrid(name or path.absolute().parent.name, step, path)])]
