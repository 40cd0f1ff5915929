"""The last samples of a run, small enough for a page or a line of the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gandoctor.reports._pictures import Shown, encoded, pixels_of, sized
from gandoctor.reports.texts import at_step, clean

if TYPE_CHECKING:
    from gandoctor.judge.diagnosis import Diagnosis

SIDE = 320  # pixels in a page
THUMBNAIL = 128  # pixels in the journal


def last_samples(diagnosis: Diagnosis, side: int = SIDE, lang: str = "en") -> Shown | None:
    """The last frame of generated samples that can be read; None where there is none."""
    for view in diagnosis.views:
        for stream in view.frames.samples():
            for frame in reversed(stream.frames[-3:]):
                pixels = pixels_of(frame)
                if pixels is not None:
                    caption = f"{clean(diagnosis.run.name)} · {at_step(frame.step, view.unit.value, lang)}"
                    return encoded(sized(pixels, side), caption)
    return None
