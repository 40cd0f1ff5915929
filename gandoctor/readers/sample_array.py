"""Sample batches as arrays: fixed_000300.npy, samples/epoch_10.npz, found and never decoded here.

Images are (n, h, w), (n, h, w, c), (n, c, h, w) or flat (n, h * w); points are (n, 2) or (n, 3). Such
shapes are as often data, so that the name must say that they are samples.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

from gandoctor.readers.head import Head
from gandoctor.readers.names import split_step
from gandoctor.readers.npy import MAGIC, member_start, members_of, npy_header
from gandoctor.run import ImageGrid, RunParts

KIND = "samples"
ORDER = 36

_SAMPLES = re.compile(
    r"(?<![a-z])(samples?|fakes?|fixed|random|interp\w*|reals?|generated|recon\w*)(?![a-z])", re.IGNORECASE
)
# What lies beside samples and is none: "fixed_noise.npy", "sample_weights.npy".
_OTHER = re.compile(
    r"(?<![a-z])(z|zs|noises?|latents?|labels?|index|indices|idx|ids|weights?|features?|feats?|scores?|loss(es)?"
    r"|stats|mu|sigma|seeds?|state)(?![a-z])",
    re.IGNORECASE,
)


def sniff(head: Head) -> bool:
    """Whether this is an array of images or points by its header, and of samples by its name or its folder's."""
    if not _SAMPLES.search(f"{head.path.parent.name}/{head.path.stem}") or _OTHER.search(head.path.stem):
        return False
    data = head.data
    if data.startswith(b"PK\x03\x04"):
        members = members_of(data)
        if not members:
            return False
        data = member_start(data, members[0])
    if not data.startswith(MAGIC):
        return False
    try:
        header = npy_header(data)
    except ValueError:
        return False
    return header.dtype.kind in "fu" and _holds_samples(header.shape)


def _holds_samples(shape: tuple[int, ...]) -> bool:
    """Whether an array of this shape can be a batch of points or of images.

    >>> _holds_samples((64, 2)), _holds_samples((64, 784)), _holds_samples((64, 3, 32, 32)), _holds_samples((64, 128))
    (True, True, True, False)
    """
    if len(shape) < 2 or shape[0] < 2:
        return False
    if len(shape) == 2:
        grey = math.isqrt(shape[1]) ** 2 == shape[1]
        return shape[1] in (2, 3) or (shape[1] >= 64 and grey)
    return len(shape) <= 4 and min(sorted(shape[1:])[-2:]) >= 4


def read(path: Path) -> list[RunParts]:
    """One reference to the file. Where the name is only a number, its folder names it."""
    path.open("rb").close()
    name, step = split_step(path.name)
    return [RunParts(images=[ImageGrid(name or path.absolute().parent.name, step, path)])]
