"""The sample grids of a run as ordered streams of frames: what they show, of which noise, at which step.

Nothing is decoded before a detector asks. Then about nine frames of a stream are opened, spread over the
run, and where something changed between two of them, those between by bisection: of F frames at most
9 + log2(F) for each question asked. Only the measures of a frame are kept, not its pixels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from pathlib import Path

import numpy as np

from gandoctor.contents.pictures import Batch, Pixels, Unreadable, is_batch, read_batch, read_picture, size_of
from gandoctor.interpret.embedding import Embedding, Failed
from gandoctor.interpret.features import Look, look_at_points, look_at_tiles, same_tiles
from gandoctor.interpret.tiles import Layout, cut, find_layout
from gandoctor.run import ImageGrid, LogProblem

CHOSEN = 9  # frames of a stream that are opened at first
_MOST = 8  # streams of a kind that are looked at
_TOGETHER = 4  # frames that are split together
_AT_ONCE = 60_000_000  # pixels that are held at once to find a layout
_ONE_COLOUR = 2  # levels of 255 by which a blank picture may differ
_BLANK = 8  # tiles, and their pixels, that stand for a blank picture
_SINGLES = 4  # pictures of one step that are tiles themselves


class Shows(StrEnum):
    """What a stream's frames show. NOISE: samples of noise that may be fixed or random."""

    FIXED = "fixed-noise"
    RANDOM = "random-noise"
    NOISE = "noise"
    INTERPOLATION = "interpolation"
    REAL = "reals"
    PAIRS = "pairs"
    OTHER = "other"


_NAMES: Sequence[tuple[str, Shows]] = (
    (r"init|initial|spec(?:tro\w*)?|mels?|attn|attention|align\w*|heat\w*|figures?|hist\w*|masks?|grads?|weights?|filters?",
     Shows.OTHER),
    (r"recon\w*|rec|cycle?|cyc|compar\w*|pairs?|inputs?|source|cond\w*|translat\w*|idt|[ab](?:to|2)[ab]", Shows.PAIRS),
    (r"interp\w*|s?lerp|walks?|travers\w*|morph\w*", Shows.INTERPOLATION),
    (r"reals?|gt|ground|truth|targets?|originals?|dataset|train|batch", Shows.REAL),
    (r"fixed|static|const\w*", Shows.FIXED),
    (r"random|rand", Shows.RANDOM),
)  # fmt: skip


def shows(name: str) -> Shows:
    """What a picture shows by its name.

    >>> [shows(name).value for name in ("fixed", "Random Samples", "GAN Interpolations", "real_A", "fakes")]
    ['fixed-noise', 'random-noise', 'interpolation', 'reals', 'noise']
    """
    said = re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower()
    fake = re.search(r"(?<![a-z])(fakes?|generated|samples?|gen)(?![a-z])", said) is not None
    for words, what in _NAMES:
        if re.search(rf"(?<![a-z])(?:{words})(?![a-z])", said):
            if what is Shows.REAL and fake:
                return Shows.NOISE if re.search("train|batch", said) else Shows.PAIRS
            return what
    return Shows.NOISE


_OF_NOISE = (Shows.RANDOM, Shows.NOISE, Shows.FIXED)


@dataclass(frozen=True, slots=True)
class Frame:
    """What was saved of a stream at one step. step: on the run's own axis, its end where the name has none."""

    pictures: tuple[ImageGrid, ...]
    step: int

    @property
    def file(self) -> Path:
        """Where it lies."""
        return self.pictures[0].source


@dataclass(frozen=True, slots=True)
class Held:
    """Since when something holds to the end of a stream: the first such frame, and the last one without it."""

    first: Frame
    before: Frame | None
    last: Frame
    look: Look


@dataclass(slots=True)
class Opened:
    """What was seen of frames so far, shared by every part of a run; None for one that could not be read.

    embedding: the user's features, until they fail.
    """

    looks: dict[tuple[ImageGrid, ...], Look | None] = field(default_factory=dict)
    layouts: dict[tuple[str, tuple[int, int]], Layout | None] = field(default_factory=dict)
    problems: list[LogProblem] = field(default_factory=list)
    embedding: Embedding | None = None

    def forget(self) -> None:
        """Give back the memory of what was seen; it can be opened again, and what was wrong stays said."""
        self.looks.clear()


@dataclass(frozen=True, slots=True)
class Stream:
    """Frames of one name, by step."""

    name: str
    shows: Shows
    frames: tuple[Frame, ...]
    opened: Opened

    def __len__(self) -> int:
        return len(self.frames)

    def look(self, at: int) -> Look | None:
        """What frame number `at` shows; None where it cannot be read or split."""
        frame = self.frames[at]
        if frame.pictures not in self.opened.looks:
            self.opened.looks[frame.pictures] = self._look(frame)
        return self.opened.looks[frame.pictures]

    def chosen(self, most: int = CHOSEN) -> list[int]:
        """Numbers of some frames spread over the stream, first and last among them."""
        n = len(self.frames)
        return sorted({round(i) for i in np.linspace(0, n - 1, min(n, most))})

    def looks(self, most: int = CHOSEN) -> list[tuple[Frame, Look]]:
        """The chosen frames that could be read, with what they show."""
        found = [(self.frames[at], self.look(at)) for at in self.chosen(most)]
        return [(frame, look) for frame, look in found if look is not None]

    def last(self) -> tuple[Frame, Look] | None:
        """The last frame that can be read, of the last few."""
        for at in range(len(self.frames) - 1, max(-1, len(self.frames) - 4), -1):
            if (look := self.look(at)) is not None:
                return self.frames[at], look
        return None

    def since(self, ill: Callable[[Look, Frame], bool]) -> Held | None:
        """Since which frame something holds to the end of the stream; None where it does not hold there.

        Of three frames and more the last two must have it. The first one is found by bisection.
        """
        seen = [(at, look) for at in self.chosen() if (look := self.look(at)) is not None]
        has = [ill(look, self.frames[at]) for at, look in seen]
        if not seen or not has[-1]:
            return None
        from_here = len(has)
        while from_here > 0 and has[from_here - 1]:
            from_here -= 1
        first, look = seen[from_here]
        before = seen[from_here - 1][0] if from_here else None
        if before is not None:
            low, high = before, first
            while high - low > 1:
                middle = (low + high) // 2
                there = self.look(middle)
                if there is not None and ill(there, self.frames[middle]):
                    high, look = middle, there
                else:
                    low = middle
            before, first = low, high
        last = seen[-1][0]
        if len(self.frames) >= 3 and first == last:
            return None
        return Held(self.frames[first], None if before is None else self.frames[before],
                    self.frames[last], seen[-1][1])  # fmt: skip

    @property
    def fixed(self) -> bool:
        """Whether the noise is fixed: by its name, or because the same tiles are alike over time."""
        if self.shows is not Shows.NOISE or len(self.frames) < 2:
            return self.shows is Shows.FIXED
        seen = [look for _, look in self.looks()]
        alike = [same_tiles(a, b) for a, b in pairwise(seen)]
        known = [one for one in alike if np.isfinite(one)]
        return len(known) > 0 and float(np.median(known)) > 0.5

    # -- opening ------------------------------------------------------------------------------

    def _look(self, frame: Frame) -> Look | None:
        try:
            if is_batch(frame.pictures[0]):
                return self._look_at_batch(frame, read_batch(frame.pictures[0]))
            pictures = [read_picture(one).pixels for one in frame.pictures]
        except Unreadable as fault:
            self._problem(frame.file, fault.place, "unreadable-picture", fault.message)
            return None
        if len(pictures) >= _SINGLES and len({picture.shape for picture in pictures}) == 1:
            return self._tiles(frame, np.stack(pictures))
        first = pictures[0]
        if (
            int(first.max()) - int(first.min()) <= _ONE_COLOUR
        ):  # all its tiles are blank, however many there are
            return look_at_tiles(np.repeat(first[None, :_BLANK, :_BLANK], _BLANK, axis=0))
        layout = self._layout(frame, first)
        if layout is None:
            return None
        return self._tiles(frame, cut(first, layout), layout.cols, resampled=layout.how == "figure")

    def _look_at_batch(self, frame: Frame, batch: Batch) -> Look:
        """What an array of samples shows."""
        if not batch.is_images:
            return look_at_points(batch.values)
        good = np.logical_and.reduce(np.isfinite(batch.values), axis=(1, 2, 3))
        cols = round(len(good) ** 0.5)
        look = self._tiles(frame, batch.pixels(), cols if cols * cols == len(good) else 0)
        return replace(look, not_finite=float(1 - good.mean()))

    def _tiles(self, frame: Frame, tiles: Pixels, cols: int = 0, *, resampled: bool = False) -> Look:
        """What tiles show; with the light features alone from where the user's fail."""
        try:
            return look_at_tiles(tiles, cols, resampled=resampled, embed=self.opened.embedding)
        except Failed as fault:
            self.opened.embedding = None
            self._problem(
                frame.file, "", "features-failed", f"{fault}; the light features are used from here on"
            )
            return look_at_tiles(tiles, cols, resampled=resampled)

    def _layout(self, frame: Frame, picture: Pixels) -> Layout | None:
        """The layout of the stream's frames of this size; found once, from a few of them."""
        size = (picture.shape[0], picture.shape[1])
        if (self.name, size) not in self.opened.layouts:
            found = find_layout(self._alike(frame, picture))
            if found is None:  # as its neighbours of the same size are laid out
                found = next(
                    (one for (_, other), one in self.opened.layouts.items() if other == size and one), None
                )
            if found is None:
                self._problem(
                    frame.file, "", "grid-not-split", "the picture does not tell where its tiles are"
                )
            self.opened.layouts[self.name, size] = found
        return self.opened.layouts[self.name, size]

    def _alike(self, frame: Frame, picture: Pixels) -> list[Pixels]:
        """Some frames of the same size, the given one among them."""
        most = max(1, min(_TOGETHER, _AT_ONCE // max(1, picture.shape[0] * picture.shape[1])))
        found = [picture]
        for at in self.chosen():
            other = self.frames[at]
            if len(found) >= most or other is frame:
                continue
            try:
                if size_of(other.pictures[0]) == picture.shape[:2]:
                    pixels = read_picture(other.pictures[0]).pixels
                    if pixels.shape == picture.shape:
                        found.append(pixels)
            except Unreadable:
                continue  # said when the frame itself is looked at
        return found

    def _problem(self, file: Path, place: str, kind: str, message: str) -> None:
        problem = LogProblem(file, place, kind, message)
        if problem not in self.opened.problems:
            self.opened.problems.append(problem)


@dataclass(frozen=True, slots=True)
class Frames:
    """The streams of a run. Its length is the number of frames of samples, whether they can be read or not."""

    streams: tuple[Stream, ...] = ()

    def __len__(self) -> int:
        return sum(len(one) for one in self.samples())

    def of(self, *kinds: Shows) -> tuple[Stream, ...]:
        """The longest streams that show one of these: a folder of data may hold thousands."""
        return tuple(one for one in self.streams if one.shows in kinds)[:_MOST]

    def samples(self) -> tuple[Stream, ...]:
        """Streams of samples: of random noise, else of noise that may be either, else of fixed noise."""
        return self.of(Shows.RANDOM) or self.of(Shows.NOISE) or self.of(Shows.FIXED)

    def until(self, step: int) -> Frames:
        """The frames up to a step."""
        cut = [replace(one, frames=tuple(f for f in one.frames if f.step <= step)) for one in self.streams]
        return Frames(tuple(one for one in cut if one.frames))


def frames_of(
    images: Sequence[ImageGrid],
    span: tuple[int, int] | None,
    epochs: bool,
    conditional: bool,
    opened: Opened,
) -> Frames:
    """Group a run's pictures into streams.

    span: first and last step of its series, None where there is none. epochs: whether these are epochs.
    conditional: whether G starts from pictures, so that what it gives depends on them.
    """
    groups: dict[tuple[Path, str], dict[int | None, list[ImageGrid]]] = {}
    for image in images:
        name = re.sub(r"[/_ -]\d+$", "", image.name)
        groups.setdefault((image.source.parent, name), {}).setdefault(image.step, []).append(image)
    streams = []
    for (_, name), by_step in groups.items():
        what = shows(name)
        if conditional and what is Shows.NOISE:
            what = Shows.PAIRS
        on_axis = _axis([step for step in by_step if step is not None], name, span, epochs)
        frames = sorted(
            (Frame(tuple(pictures), on_axis(step)) for step, pictures in by_step.items()),
            key=lambda frame: (frame.step, str(frame.file)),
        )
        streams.append(Stream(name, what, tuple(frames), opened))
    lone = {one.name for one in streams if one.shows in _OF_NOISE and one.frames[0].pictures[0].step is None}
    if any(one.shows in _OF_NOISE and one.name not in lone for one in streams):
        # Beside frames with steps, a picture without one is of no known time.
        streams = [one for one in streams if one.name not in lone]
    return Frames(tuple(sorted(streams, key=lambda one: (-len(one), one.name))))


def _axis(
    steps: Sequence[int], name: str, span: tuple[int, int] | None, epochs: bool
) -> Callable[[int | None], int]:
    """How the steps in the names of a stream lie on the run's axis.

    Frames counted in epochs beside losses counted in iterations are stretched to the run's end: by their name,
    or where three and more of them lie within its first twentieth.
    """
    last = max(steps, default=0)
    end = span[1] if span is not None else last
    counted = re.search(r"(?<![a-z])(epochs?|ep)(?![a-z])", name.lower()) is not None
    early = counted or (len(steps) >= 3 and last < 0.05 * end)
    stretched = (
        span is not None and last > 0 and (last > 1.2 * end or (early and not epochs and last < 0.5 * end))
    )

    def on_axis(step: int | None) -> int:
        if step is None:
            return end
        return round(step * end / last) if stretched else step

    return on_axis
