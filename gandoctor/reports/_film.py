"""The samples of a run as a strip of small pictures, each at its step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gandoctor.interpret.frames import Shows
from gandoctor.reports import _pictures
from gandoctor.reports.texts import at_step, clean, say, sentences

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from gandoctor.interpret.frames import Frame, Stream
    from gandoctor.interpret.view import RunView
    from gandoctor.judge.diagnosis import Diagnosis

FRAMES = 10  # of a strip
_SIDE = 144  # pixels of a picture's longer side in the page
_TILES = 4  # a side; of a larger grid its upper left part is shown, so that a tile stays legible
_PNG_BYTES = 12_000


@dataclass(frozen=True, slots=True)
class Film:
    """Pictures in the order of their steps. pair: whose, "" where the run has one. note: what they show."""

    pair: str
    note: str
    stills: tuple[tuple[int, _pictures.Shown], ...]


def films(diagnosis: Diagnosis, lang: str) -> tuple[Film, ...]:
    """One strip a pair that has samples, of the noise that was fixed if there is such a stream."""
    return tuple(film for view in diagnosis.views if (film := _film(view, diagnosis, lang)) is not None)


def _film(view: RunView, diagnosis: Diagnosis, lang: str) -> Film | None:
    stream = _stream(view)
    if stream is None:
        return None
    primary = diagnosis.primary
    onset = primary.finding.stretch.onset if primary is not None else None
    shown, cropped = [], False
    for frame in _chosen(stream, onset):
        pixels = _pictures.pixels_of(frame)
        if pixels is None:
            continue
        part = _part(pixels, stream)
        cropped |= part is not pixels
        caption = f"{clean(frame.file.name)} · {at_step(frame.step, view.unit.value, lang)}"
        picture = _pictures.encoded(_pictures.sized(part, _SIDE), caption, _PNG_BYTES)
        shown.append((frame.step, picture))
    if not shown:
        return None
    note = [say("film-of", lang, name=clean(stream.name), count=f"{len(shown):,}", all=f"{len(stream):,}")]
    note += [say("film-cropped", lang)] if cropped else []
    return Film(view.pair, sentences(note, lang), tuple(shown))


def _stream(view: RunView) -> Stream | None:
    """The stream to show: fixed noise tells most over time, then random noise, then what G makes of inputs."""
    order = (Shows.FIXED, Shows.RANDOM, Shows.NOISE, Shows.PAIRS)
    for kind in order:
        if streams := view.frames.of(kind):
            return streams[0]
    return None


def _chosen(stream: Stream, onset: int | None) -> Iterator[Frame]:
    """Some frames spread over the stream, and the last before and the first after an onset among them."""
    frames = stream.frames
    at = set(stream.chosen(FRAMES))
    if onset is not None and len(frames) > FRAMES:
        after = next((i for i, one in enumerate(frames) if one.step >= onset), None)
        if after is not None:
            at |= {max(after - 1, 0), after}
    for place in sorted(at):
        yield frames[place]


def _part(pixels: npt.NDArray[np.uint8], stream: Stream) -> npt.NDArray[np.uint8]:
    """A frame, or the upper left of a grid of many tiles."""
    layout = stream.opened.layouts.get((stream.name, (pixels.shape[0], pixels.shape[1])))
    if layout is None or min(layout.rows, layout.cols) <= _TILES:
        return pixels
    bottom = layout.tops[_TILES - 1] + layout.height
    right = layout.lefts[_TILES - 1] + layout.width
    return pixels[layout.tops[0] : bottom, layout.lefts[0] : right]
