"""The frames that prove what is said of samples, small enough to stand in a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gandoctor.contents.pictures import Unreadable, is_batch, read_batch, read_picture
from gandoctor.interpret import features
from gandoctor.interpret.tiles import cut
from gandoctor.reports.texts import at_step, clean, say

if TYPE_CHECKING:
    from PIL import Image

    from gandoctor.findings import Finding
    from gandoctor.interpret.frames import Frame, Stream
    from gandoctor.interpret.tiles import Layout
    from gandoctor.judge.diagnosis import Diagnosis, Judged

SIDE = 480  # pixels of a frame's longer side in the page
_TILE = 96  # pixels of a single tile's side
_MOST = 8  # findings with pictures: each costs up to some 100 KB
_LARGE = 3  # of them with pictures of full size
_SPECTRAL = ("GD501", "GD502")  # codes that a spectrum proves
_TEXTURE = 16  # pixels of a tile whose spectrum shows something
_PNG_BYTES = 60_000  # of more, a JPEG is made
_MARK = (230, 97, 1)  # tells itself from light and dark, and without red against green


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture. src: a data URI. caption: what it is, which is its alternative text too."""

    src: str
    caption: str
    width: int
    height: int


def proofs(diagnosis: Diagnosis, lang: str) -> dict[str, tuple[Shown, ...]]:
    """Finding id → pictures: the stream's first frame, the one that proves it, and the tiles that are alike;
    of a finding that other evidence led, the first and the last frame of the samples.

    What cannot be read any more is left out: the finding says in words what it saw.
    """
    found: dict[str, tuple[Shown, ...]] = {}
    told: set[str] = set()  # streams whose first frame stands on the page already
    for judged in diagnosis.findings:
        params = judged.finding.params
        if len(found) >= _MOST:
            break
        place = _frame(diagnosis, judged) if "grid" in params else _last_frame(diagnosis, judged)
        if place is not None:
            side = SIDE if len(found) < _LARGE else SIDE // 2
            first = side // 2 if place[0].name in told else side
            shown = tuple(_shown(*place, (first, side), judged.finding, diagnosis, lang))
            told.add(place[0].name)
            if shown:
                found[judged.id] = shown
    return found


def _frame(diagnosis: Diagnosis, judged: Judged) -> tuple[Stream, Frame] | None:
    """The frame that a finding names, and its stream."""
    params = judged.finding.params
    for view in diagnosis.views:
        for stream in view.frames.streams:
            for frame in stream.frames:
                if frame.step == params["frame"] and frame.file.name in str(params["grid"]).split(" … "):
                    return stream, frame
    return None


def _last_frame(diagnosis: Diagnosis, judged: Judged) -> tuple[Stream, Frame] | None:
    """The last frame of the samples within the window of evidence that frames gave, not series."""
    from gandoctor.findings import Kind

    seen = [one.window for one in judged.finding.evidence if one.kind is Kind.SAMPLES and not one.series]
    windows = [window for window in seen if window is not None]
    for view in diagnosis.views if windows else ():
        if view.pair == judged.finding.subject.pair or not judged.finding.subject.pair:
            for stream in view.frames.samples()[:1]:
                inside = [one for one in stream.frames if one.step <= max(last for _, last in windows)]
                return stream, (inside or stream.frames)[-1]
    return None


def _shown(
    stream: Stream, frame: Frame, sides: tuple[int, int], finding: Finding, diagnosis: Diagnosis, lang: str
) -> Iterator[Shown]:
    """sides: of the first frame and of the one that proves it, pixels."""
    code, tiles = finding.code, str(finding.params.get("tiles", ""))
    unit = diagnosis.views[0].unit.value
    named = [[int(tile) - 1 for tile in one.split("=")] for one in tiles.split(",") if tiles]
    first = stream.frames[0]
    marked = [tile for tiles_alike in named for tile in tiles_alike]
    layout: Layout | None = None
    pixels: npt.NDArray[np.uint8] | None = None
    for one, side in ((first, sides[0]), (frame, sides[1]))[first is frame :]:
        pixels = pixels_of(one)
        if pixels is None:
            continue
        layout = _layout(stream, pixels)
        caption = f"{clean(one.file.name)} · {at_step(one.step, unit, lang)}"
        if layout is not None and layout.count > 1:
            caption += " · " + say("tiles", lang, rows=layout.rows, cols=layout.cols)
        yield encoded(_framed(pixels, layout, marked if one is frame else [], side), caption)
    if layout is None or pixels is None:
        return
    cells = cut(pixels, layout)
    for a, b in [pair for pair in named if len(pair) == 2][:3]:
        if max(a, b) < len(cells):
            beside = np.concatenate([cells[a], np.full_like(cells[a][:, :2], 255), cells[b]], axis=1)
            yield encoded(sized(beside, 2 * _TILE), say("tile-pair", lang, first=a + 1, second=b + 1))
    if code in _SPECTRAL and min(cells.shape[1:3]) >= _TEXTURE:
        yield encoded(_spectrum(cells), say("spectrum", lang))


def _spectrum(cells: npt.NDArray[np.uint8]) -> Image.Image:
    """The mean spectrum of tiles (n, h, w, c) on a log scale, frequency 0 in the middle; 1/4 and 1/2 marked."""
    from PIL import ImageDraw

    power = np.log(np.fft.fftshift(features.spectrum(cells)) + 1e-12)
    low, high = np.quantile(power, (0.05, 0.999))
    shade = np.clip((power - low) / max(high - low, 1e-9), 0, 1)
    picture = sized(np.repeat((255 * shade).astype(np.uint8)[:, :, None], 3, axis=2), SIDE // 2)
    draw = ImageDraw.Draw(picture)
    rows, cols = power.shape
    for row, col in product((0, 1, 2, 3), repeat=2):
        if (row, col) != (2, 2):
            x = (col * cols // 4 + 0.5) * picture.width / cols
            y = (row * rows // 4 + 0.5) * picture.height / rows
            draw.ellipse((x - 5, y - 5, x + 5, y + 5), outline=_MARK, width=1)
    return picture


def _layout(stream: Stream, pixels: npt.NDArray[np.uint8]) -> Layout | None:
    """Where a frame's tiles are, as found when it was judged."""
    return stream.opened.layouts.get((stream.name, (pixels.shape[0], pixels.shape[1])))


def pixels_of(frame: Frame) -> npt.NDArray[np.uint8] | None:
    """A frame as uint8 (h, w, 3); points as a drawing of them."""
    try:
        if not is_batch(frame.pictures[0]):
            pixels = read_picture(frame.pictures[0]).pixels
        else:
            batch = read_batch(frame.pictures[0])
            pixels = _side_by_side(batch.pixels()) if batch.is_images else _drawn(batch.values)
    except Unreadable:
        return None
    return pixels if pixels.shape[2] == 3 else np.repeat(pixels[:, :, :1], 3, axis=2)


def _side_by_side(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Up to 64 images (n, h, w, c) in rows of eight."""
    images = images[:64]
    missing = -len(images) % 8
    images = np.concatenate([images, np.zeros((missing, *images.shape[1:]), np.uint8)])
    n, h, w, c = images.shape
    return images.reshape(n // 8, 8, h, w, c).swapaxes(1, 2).reshape(n // 8 * h, 8 * w, c)


def _drawn(points: npt.NDArray[np.float32], side: int = 240) -> npt.NDArray[np.uint8]:
    """The first two dimensions of points, float32 (n, d), as dark squares on white."""
    canvas = np.full((side, side, 3), 255, np.uint8)
    flat = points[np.isfinite(points).all(axis=1), :2]
    if not len(flat) or flat.shape[1] < 2:
        return canvas
    reach = max(1.3, float(np.quantile(np.abs(flat), 0.98)) * 1.1)
    place = ((flat / reach * np.array([1, -1]) + 1) / 2 * (side - 1)).round().astype(int)
    for x, y in place[((place >= 2) & (place < side - 2)).all(axis=1)]:
        canvas[y - 2 : y + 3, x - 2 : x + 3] = (31, 78, 121)
    return canvas


def _framed(
    pixels: npt.NDArray[np.uint8], layout: Layout | None, marked: list[int], side: int
) -> Image.Image:
    """A frame at its size in the page, the marked tiles in a frame of their own."""
    from PIL import ImageDraw

    picture = sized(pixels, side)
    if layout is not None and marked:
        draw = ImageDraw.Draw(picture)
        x, y = picture.width / pixels.shape[1], picture.height / pixels.shape[0]
        for tile in marked:
            row, col = divmod(tile, layout.cols)
            if row < layout.rows:
                top, left = layout.tops[row], layout.lefts[col]
                box = (left * x, top * y, (left + layout.width) * x - 1, (top + layout.height) * y - 1)
                draw.rectangle(box, outline=_MARK, width=2)
    return picture


def sized(pixels: npt.NDArray[np.uint8], side: int) -> Image.Image:
    """At most `side` pixels long; a small one grows by a whole factor, so that its pixels stay sharp."""
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(pixels))
    longest = max(picture.size)
    if longest <= side:
        factor = max(1, side // longest)
        return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    return picture.resize(
        (max(1, picture.width * side // longest), max(1, picture.height * side // longest)),
        Image.Resampling.BOX,
    )


def encoded(picture: Image.Image, caption: str, most: int = _PNG_BYTES) -> Shown:
    """A picture for the page: a PNG of at most `most` bytes, else a JPEG."""
    kinds: tuple[tuple[str, dict[str, Any]], ...] = (("PNG", {"optimize": True}), ("JPEG", {"quality": 85}))
    for kind, options in kinds:
        file = io.BytesIO()
        picture.save(file, kind, **options)
        if file.tell() <= most:
            break
    data = file.getvalue()
    src = f"data:image/{kind.lower()};base64," + base64.b64encode(data).decode("ascii")
    return Shown(src, caption, picture.width, picture.height)
