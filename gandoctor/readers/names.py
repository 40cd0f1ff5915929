"""What the name of a checkpoint or a picture says: its step, and what is left without it."""

from __future__ import annotations

import re

_UNITS = "(?:kimg|steps?|iters?|its?|epochs?|ep|imgs?|images)"
_TOKEN = re.compile(
    rf"""(?:(?:19|20)\d\d[-_.](?:0\d|1[0-2])[-_.][0-3]\d(?:[-_T ]\d\d[-:_.]\d\d(?:[-:_.]\d\d)?)?  # a date
      |(?<![^\W_])[0-9a-f]{{16,}}(?![^\W_])  # a hash
      |\d+\.\d+(?:e[-+]?\d+)?   # a score
      |\d+x\d+                  # a size
      |(?<![a-z])v\d[\d.]*      # a version
      |\d{{11,}}                # a time
      |(?P<step>\d+)(?P<kilo>k)?{_UNITS}?(?![a-z\d])
      |\d+)""",
    re.VERBOSE | re.IGNORECASE,
)
_LABELS = [  # the surest first: a global step says more than the epoch beside it
    re.compile(rf"(?<![a-z]){word}s?[-_=. ]*(?P<step>\d{{1,10}})(?P<kilo>k)?(?![a-z\d]|\.\d)", re.IGNORECASE)
    for word in ("(?:global[-_]?)?step", "(?:iteration|iter|itr)", "kimg", "(?:epoch|ep)")
]
_WANDB = re.compile(r"(?P<key>.*)_(?P<step>\d{1,10})_[0-9a-f]{20}$")  # KEY_STEP_HASH.png
_SUFFIX = re.compile(r"\.[a-z][a-z0-9]{0,11}$", re.IGNORECASE)


def split_step(name: str) -> tuple[str, int | None]:
    """A file's name without suffix and step, and the step: the last number, None if there is none.

    A number that is called a step, an iteration or an epoch goes before others. Dates, hashes,
    sizes (64x64), versions (v2) and decimals (a score) are no steps; 20k is 20,000.

    >>> split_step("netG_epoch_99.pth"), split_step("fakes000120.png"), split_step("best.pth")
    (('netG_epoch', 99), ('fakes', 120), ('best', None))
    >>> split_step("epoch=3-step=1000-val_loss=0.53.ckpt")[1]
    1000
    """
    stem = _SUFFIX.sub("", name)
    if found := _WANDB.match(stem):
        return found["key"], int(found["step"])
    labelled = [found for label in _LABELS for found in [*label.finditer(stem)][-1:]]
    plain = [found for found in _TOKEN.finditer(stem) if found["step"]]
    chosen = labelled[0] if labelled else plain[-1] if plain else None
    if chosen is None:
        return stem, None
    spans = {
        (found.start("step"), found.end("step") + len(found["kilo"] or "")) for found in [chosen, *labelled]
    }
    for start, end in sorted(spans, reverse=True):
        stem = stem[:start] + stem[end:]
    left = re.sub(r"[-_=. ]+([-_=. ])", r"\1", stem).strip("-_=. ")
    return left, int(chosen["step"]) * (1000 if chosen["kilo"] else 1)
