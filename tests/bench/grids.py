"""Sample grids with a known truth, and how often a splitter finds it: right, wrong or undecided, by kind.

    python tests/bench/grids.py --cases 640 --seed 0

Drawn with numpy and Pillow: torchvision's make_grid (padded, last row incomplete), dark tiles on black
padding, white on white, no padding, cropped edges, class-conditional rows, StyleGAN's large grids, frames
as matplotlib draws them, JPEG. The tiles are smooth, natural (1/f), aligned like faces, drawn, textured,
woven through with a checkerboard, noise, all alike, or blank in part.

Some pictures cannot be split by anyone: noise without padding, blank tiles, the edge of a cropped grid
of dark tiles on black. There the only right answer is "undecided"; they are counted apart.
"""

from __future__ import annotations

import argparse
import io
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from gandoctor.stats import wilson

Pixels: TypeAlias = npt.NDArray[np.uint8]
Random: TypeAlias = np.random.Generator


@dataclass(frozen=True)
class Case:
    """A picture, uint8 (h, w, 3), and where its tiles are.

    tops, lefts: first row and column of each row and column of tiles. height, width: of a tile.
    slack: by how many pixels an edge may be off. possible: whether a splitter can know.
    """

    kind: str
    content: str
    image: Pixels
    tops: tuple[int, ...]
    lefts: tuple[int, ...]
    height: int
    width: int
    slack: int = 0
    possible: bool = True


# --- contents: (random, count, height, width) -> uint8 (count, height, width, 3) -------------------------


def _field(random: Random, height: int, width: int, cells: int, channels: int = 3) -> npt.NDArray[np.float32]:
    """A smooth random field in about [-1, 1] with `cells` bumps a side."""
    small = random.normal(size=(max(2, cells), max(2, cells), channels)).astype(np.float32)
    planes = [
        np.asarray(Image.fromarray(small[..., c]).resize((width, height), Image.Resampling.BICUBIC))
        for c in range(channels)
    ]
    return np.stack(planes, -1)


def _bytes(values: npt.NDArray[Any]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def blobs(random: Random, count: int, height: int, width: int) -> Pixels:
    cells = int(random.integers(2, 6))
    noise = random.choice([0, 2, 6])
    tiles = np.stack([128 + 60 * _field(random, height, width, cells) for _ in range(count)])
    return _bytes(tiles + noise * random.normal(size=tiles.shape).astype(np.float32))


def _natural(random: Random, height: int, width: int, tint: float = 40) -> npt.NDArray[np.float32]:
    """Octaves with amplitude 1/frequency, mostly grey, about a random colour."""
    total = np.zeros((height, width, 3), np.float32)
    cells = 2
    while cells <= max(4, min(height, width) // 2):
        total += (
            1.6
            / cells
            * (_field(random, height, width, cells, 1) + 0.3 * _field(random, height, width, cells))
        )
        cells *= 2
    return 60 * total + (128 + tint * random.normal(size=3)).astype(np.float32)


def natural(random: Random, count: int, height: int, width: int) -> Pixels:
    return _bytes(np.stack([_natural(random, height, width) for _ in range(count)]))


def aligned(random: Random, count: int, height: int, width: int) -> Pixels:
    """Like faces: a common template at the same place in each tile, other backgrounds and colours."""
    template = _natural(random, height, width) - 128
    y, x = np.mgrid[:height, :width]
    inside = ((y / height - 0.5) ** 2 / 0.16 + (x / width - 0.5) ** 2 / 0.09 < 1)[..., None]
    tiles = []
    for _ in range(count):
        own = _natural(random, height, width)
        face = 0.9 * template + 0.3 * (own - 128) + (140 + 25 * random.normal(size=3))
        tiles.append(np.where(inside, face, own))
    return _bytes(np.stack(tiles))


def shapes(random: Random, count: int, height: int, width: int) -> Pixels:
    tiles = []
    for _ in range(count):
        tile = Image.new("RGB", (width, height), tuple(int(v) for v in random.integers(0, 256, 3)))
        draw = ImageDraw.Draw(tile)
        for _ in range(int(random.integers(1, 5))):
            xs, ys = np.sort(random.integers(0, width + 1, 2)), np.sort(random.integers(0, height + 1, 2))
            colour = tuple(int(v) for v in random.integers(0, 256, 3))
            shape = draw.ellipse if random.random() < 0.5 else draw.rectangle
            shape([int(xs[0]), int(ys[0]), int(xs[1]), int(ys[1])], fill=colour)
        tiles.append(np.asarray(tile))
    return np.stack(tiles)


def digits(random: Random, count: int, height: int, width: int) -> Pixels:
    """White strokes on black in the middle of the tile, as MNIST's."""
    tiles = []
    margin = float(random.uniform(0.1, 0.2))
    for _ in range(count):
        big = Image.new("L", (4 * width, 4 * height))
        draw = ImageDraw.Draw(big)
        points = [
            (
                float(4 * width * random.uniform(margin, 1 - margin)),
                float(4 * height * random.uniform(margin, 1 - margin)),
            )
            for _ in range(int(random.integers(3, 6)))
        ]
        draw.line(points, fill=255, width=max(4, min(height, width) * 4 // 12), joint="curve")
        grey = np.asarray(big.resize((width, height), Image.Resampling.BOX))
        tiles.append(np.repeat(grey[..., None], 3, -1))
    return np.stack(tiles)


def dark_digits(random: Random, count: int, height: int, width: int) -> Pixels:
    """Black strokes on white."""
    return 255 - digits(random, count, height, width)


def texture(random: Random, count: int, height: int, width: int) -> Pixels:
    """Stripes and plaids, another period, direction and colour in each tile."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    tiles = []
    for _ in range(count):
        tile = np.full((height, width, 3), 128, np.float32)
        for _ in range(int(random.integers(1, 3))):
            angle, period = random.uniform(0, np.pi), random.uniform(3, 20)
            wave = np.sin(2 * np.pi * (np.cos(angle) * x + np.sin(angle) * y) / period + random.uniform(0, 6))
            tile += wave[..., None] * random.normal(0, 40, 3).astype(np.float32)
        tiles.append(tile + random.normal(0, 30, 3))
    return _bytes(np.stack(tiles))


def checker(random: Random, count: int, height: int, width: int) -> Pixels:
    """Natural tiles with the periodic pattern of transposed convolutions laid over them."""
    period = int(random.choice([2, 4, 8]))
    pattern = random.normal(0, random.uniform(8, 45), (period, period, 3))
    woven = np.tile(pattern, (-(-height // period), -(-width // period), 1))[:height, :width]
    return _bytes(natural(random, count, height, width) + woven)


def noise(random: Random, count: int, height: int, width: int) -> Pixels:
    if random.random() < 0.5:
        return random.integers(0, 256, (count, height, width, 3), np.uint8)
    return _bytes(128 + 40 * random.normal(size=(count, height, width, 3)))


def collapsed(random: Random, count: int, height: int, width: int) -> Pixels:
    """One sample over and over, with or without a faint difference."""
    one = random.choice(np.array([blobs, natural, shapes, checker], object))(random, 1, height, width)
    tiles = np.repeat(one, count, 0)
    spread = random.choice([0, 0, 3])
    return _bytes(tiles + spread * random.normal(size=tiles.shape)) if spread else tiles


def half_blank(random: Random, count: int, height: int, width: int) -> Pixels:
    tiles = natural(random, count, height, width)
    tiles[random.random(count) < 0.5] = random.choice([0, 255, 128])
    return tiles


VARIED = (blobs, natural, aligned, shapes, texture, checker, collapsed, half_blank)
Content: TypeAlias = Callable[[Random, int, int, int], Pixels]

# --- layouts --------------------------------------------------------------------------------------------


def _size(random: Random, largest: int = 256) -> tuple[int, int]:
    """Height and width of a tile: mostly square and usual, else anything from 8 pixels on."""
    usual = [size for size in (8, 16, 28, 32, 32, 48, 64, 64, 96, 128, 256) if size <= largest]
    if random.random() < 0.65:
        side = int(random.choice(usual))
        return side, side
    sides = np.exp(random.uniform(np.log(8), np.log(largest), 2)).round().astype(int)
    return (int(sides[0]), int(sides[0])) if random.random() < 0.4 else (int(sides[0]), int(sides[1]))


def _counts(random: Random, height: int, width: int, pixels: int = 700_000) -> tuple[int, int]:
    """Rows and columns, at least two tiles, within so many pixels."""
    most = max(2, pixels // (height * width))
    while True:
        rows = int(random.choice([1, 2, 3, 4, 5, 8, 8, 16, int(random.integers(1, 33))]))
        cols = int(random.choice([2, 4, 5, 8, 8, 8, 10, 16, int(random.integers(1, 17))]))
        if 2 <= rows * cols <= most:
            return rows, cols


def _lay(
    kind: str, content: str, tiles: Pixels, rows: int, cols: int, gap: int, colour: int | Sequence[int],
    *, border: bool = True,
) -> Case:  # fmt: skip
    """Lay tiles out row by row, `gap` pixels apart and, with a border, from the edge; as make_grid does."""
    _, height, width, _ = tiles.shape
    edge = gap if border else 0
    tops = tuple(edge + i * (height + gap) for i in range(rows))
    lefts = tuple(edge + j * (width + gap) for j in range(cols))
    image = np.empty((tops[-1] + height + edge, lefts[-1] + width + edge, 3), np.uint8)
    image[:] = colour
    for k, tile in enumerate(tiles):
        top, left = tops[k // cols], lefts[k % cols]
        image[top : top + height, left : left + width] = tile
    return Case(kind, content, image, tops, lefts, height, width)


def _pick(random: Random, among: Sequence[Content] = VARIED) -> tuple[str, Content]:
    made = among[int(random.integers(len(among)))]
    return made.__name__, made


def _colour(random: Random) -> int:
    return int(random.choice([0, 0, 255, 128]))


def padded(random: Random) -> Case:
    height, width = _size(random)
    rows, cols = _counts(random, height, width)
    name, content = _pick(random, (*VARIED, noise))
    tiles = content(random, rows * cols, height, width)
    gap = int(random.choice([1, 2, 2, 2, 4, int(random.integers(1, 9))]))
    border = random.random() < 0.8
    return _lay("padded", name, tiles, rows, cols, gap, _colour(random), border=border)


def dark_on_black(random: Random) -> Case:
    """Also without padding."""
    side = int(random.choice([28, 28, 32, 64]))
    rows, cols = _counts(random, side, side, 300_000)
    tiles = digits(random, rows * cols, side, side)
    return _lay("dark-on-black", "digits", tiles, rows, cols, int(random.choice([0, 1, 2, 2, 4])), 0)


def white_on_white(random: Random) -> Case:
    case = dark_on_black(random)
    return replace(case, kind="white-on-white", content="dark_digits", image=255 - case.image)


def incomplete(random: Random) -> Case:
    """The last row is not full; the rest of it has the padding's colour."""
    height, width = _size(random, 128)
    rows, cols = _counts(random, height, width)
    rows, cols = max(2, rows), max(2, cols)
    name, content = _pick(random, (*VARIED, digits))
    count = rows * cols - int(random.integers(1, cols))
    tiles = content(random, count, height, width)
    gap = int(random.choice([0, 2, 2, 2, 4]))
    return _lay("incomplete", name, tiles, rows, cols, gap, 0)


def cropped(random: Random) -> Case:
    """A padded or unpadded grid of which some edges are cut away: the whole tiles that are left."""
    height, width = _size(random, 128)
    rows, cols = (max(3, n) for n in _counts(random, height, width, 400_000))
    gap = int(random.choice([0, 2, 2, 4]))
    name, content = _pick(random, (*VARIED, digits))
    colour = _colour(random)
    case = _lay("cropped", name, content(random, rows * cols, height, width), rows, cols, gap, colour)
    cut = [int(random.integers(0, 2 * side // 3)) * (random.random() < 0.6) for side in (height, width) * 2]
    high, wide, _ = case.image.shape
    tops = tuple(t - cut[0] for t in case.tops if t >= cut[0] and t + height <= high - cut[2])
    lefts = tuple(v - cut[1] for v in case.lefts if v >= cut[1] and v + width <= wide - cut[3])
    image = case.image[cut[0] : high - cut[2], cut[1] : wide - cut[3]]
    # Where dark tiles meet a dark edge, nothing shows where a tile begins.
    hidden = name == "digits" and (gap == 0 or colour == 0) and any(cut)
    return replace(case, image=image, tops=tops, lefts=lefts, possible=not hidden)


def unpadded(random: Random) -> Case:
    height, width = _size(random)
    rows, cols = _counts(random, height, width)
    name, content = _pick(random)
    return _lay("unpadded", name, content(random, rows * cols, height, width), rows, cols, 0, 0)


def stylegan(random: Random) -> Case:
    """StyleGAN's fakes.png, a few of its columns and rows: no padding, tiles of 64 to 256."""
    side = int(random.choice([64, 128, 256]))
    cols, rows = max(7, min(32, 1920 // side)), max(4, min(32, 1080 // side))
    name, content = _pick(random, (natural, aligned, blobs, checker, collapsed))
    return _lay("stylegan", name, content(random, rows * cols, side, side), rows, cols, 0, 0)


def class_rows(random: Random) -> Case:
    """Each row is a class: its tiles are alike but for a small part of their own."""
    height, width = _size(random, 128)
    rows, cols = (max(2, n) for n in _counts(random, height, width, 500_000))
    classes = [_pick(random, (natural, shapes, blobs))[1](random, 1, height, width)[0] for _ in range(rows)]
    own = natural(random, rows * cols, height, width).reshape(rows, cols, height, width, 3)
    weight = float(random.uniform(0.1, 0.5))
    tiles = _bytes((1 - weight) * np.stack(classes)[:, None] + weight * own).reshape(-1, height, width, 3)
    gap = int(random.choice([0, 2, 2]))
    return _lay("class-rows", "natural", tiles, rows, cols, gap, _colour(random))


def jpeg(random: Random) -> Case:
    case = random.choice(np.array([padded, unpadded, dark_on_black, class_rows], object))(random)
    packed = io.BytesIO()
    quality, subsampling = int(random.choice([75, 85, 92])), int(random.choice([0, 2]))
    Image.fromarray(case.image).save(packed, "JPEG", quality=quality, subsampling=subsampling)
    name = f"jpeg-{case.kind}"
    return replace(case, kind=name, image=np.asarray(Image.open(packed)).copy())


def grey(random: Random) -> Case:
    case = random.choice(np.array([padded, unpadded, incomplete], object))(random)
    plane = np.asarray(Image.fromarray(case.image).convert("L"))
    return replace(case, kind=f"grey-{case.kind}", image=np.ascontiguousarray(plane[..., None]))


def single(random: Random) -> Case:
    """One sample, no grid."""
    height, width = _size(random)
    name, content = _pick(random, (blobs, natural, shapes, checker, digits))
    return _lay("single", name, content(random, 1, height, width), 1, 1, 0, 0)


def strip(random: Random) -> Case:
    """TensorBoard's add_images: a batch in one row, without padding."""
    height, width = _size(random, 128)
    cols = int(random.choice([4, 8, 16]))
    name, content = _pick(random)
    return _lay("strip", name, content(random, cols, height, width), 1, cols, 0, 0)


def figure(random: Random) -> Case:
    """As matplotlib draws subplots: scaled tiles on white, fractional gutters, titles, axes with ticks."""
    rows, cols = int(random.integers(2, 9)), int(random.integers(2, 9))
    name, content = _pick(random, (blobs, natural, aligned, shapes, digits))
    source = content(random, rows * cols, *(int(random.choice([28, 32, 64])),) * 2)
    side = int(random.integers(28, 90))
    axes, titles = random.random() < 0.4, random.random() < 0.4
    gutter = float(random.uniform(0.1, 0.35)) * side + (22 if axes else 0)
    above = gutter + (12 if titles else 0)
    left0, top0 = float(random.uniform(20, 90)), float(random.uniform(20, 90))
    lefts = tuple(round(left0 + j * (side + gutter)) for j in range(cols))
    tops = tuple(round(top0 + i * (side + above)) for i in range(rows))
    size = (lefts[-1] + side + int(random.integers(20, 90)), tops[-1] + side + int(random.integers(30, 90)))
    picture = Image.new("RGB", size, (255, 255, 255))
    draw = ImageDraw.Draw(picture)
    for k, tile in enumerate(source):
        top, left = tops[k // cols], lefts[k % cols]
        picture.paste(Image.fromarray(tile).resize((side, side), Image.Resampling.NEAREST), (left, top))
        if axes:
            draw.rectangle([left - 1, top - 1, left + side, top + side], outline=(0, 0, 0))
            for tick in (0.1, 0.6):
                x, y = left + round(tick * side), top + round(tick * side)
                draw.line([x, top + side, x, top + side + 3], fill=(0, 0, 0))
                draw.line([left - 4, y, left - 1, y], fill=(0, 0, 0))
                draw.text((left - 17, y - 6), str(round(tick * 50)), fill=(0, 0, 0))
                draw.text((x - 5, top + side + 4), str(round(tick * 50)), fill=(0, 0, 0))
        if titles:
            draw.text((left + side // 2 - 10, top - 14), f"{k % 10}", fill=(0, 0, 0))
    if random.random() < 0.4:
        draw.text((size[0] // 2 - 30, 4), "Epoch 12", fill=(0, 0, 0))
    return Case("figure", name, np.asarray(picture), tops, lefts, side, side, slack=1)


def impossible(random: Random) -> Case:
    """Nothing in the picture tells where the tiles are."""
    height, width = _size(random, 64)
    rows, cols = (max(2, n) for n in _counts(random, height, width, 300_000))
    if random.random() < 0.7:
        case = _lay("impossible", "noise", noise(random, rows * cols, height, width), rows, cols, 0, 0)
    else:
        blank = np.full((rows * cols, height, width, 3), _colour(random), np.uint8)
        case = _lay("impossible", "blank", blank, rows, cols, 2, int(blank[0, 0, 0, 0]))
    return replace(case, possible=False)


KINDS: tuple[Callable[[Random], Case], ...] = (
    padded, padded, dark_on_black, white_on_white, incomplete, cropped, unpadded, unpadded, stylegan, class_rows,
    jpeg, grey, single, strip, figure, impossible,
)  # fmt: skip


def cases(count: int, seed: int) -> Iterator[Case]:
    """So many pictures, the kinds in turn; the same for the same seed."""
    for k in range(count):
        yield KINDS[k % len(KINDS)](np.random.default_rng([seed, k]))


def verdict(case: Case, found: Any) -> str:
    """Compare a splitter's answer (None, or a layout with tops, lefts, height, width) with the truth."""
    if found is None:
        return "undecided"
    if not case.possible:
        return "wrong"
    pairs = [(case.tops, found.tops), (case.lefts, found.lefts)]
    if any(len(true) != len(seen) for true, seen in pairs):
        return "wrong"
    off = [abs(a - b) for true, seen in pairs for a, b in zip(true, seen, strict=True)]
    off += [abs(case.height - found.height), abs(case.width - found.width)]
    return "right" if max(off) <= case.slack + (case.slack > 0) else "wrong"


def main() -> None:
    """Score the splitter and print the table."""
    from gandoctor.interpret.tiles import split

    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=640)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", action="store_true", help="name each case that is not right")
    options = parser.parse_args()
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    took = pixels = 0.0
    for k, case in enumerate(cases(options.cases, options.seed)):
        before = time.perf_counter()
        tiles = split(case.image)
        found = tiles and tiles.layout
        took += time.perf_counter() - before
        pixels += case.image.shape[0] * case.image.shape[1]
        says = verdict(case, found)
        counts[case.kind if case.possible else "nobody can"][says] += 1
        if options.show and says != ("right" if case.possible else "undecided"):
            shape = f"{len(case.tops)}x{len(case.lefts)} of {case.height}x{case.width}"
            seen = (
                found
                and f"{len(found.tops)}x{len(found.lefts)} of {found.height}x{found.width} by {found.how}"
            )
            print(f"{k:5} {case.kind:18} {case.content:11} {says:9} {shape}  {case.image.shape[:2]}  {seen}")
    print(f"{'kind':24} {'right':>6} {'wrong':>6} {'undecided':>9}")
    for kind, one in sorted(counts.items()):
        print(f"{kind:24} {one['right']:6} {one['wrong']:6} {one['undecided']:9}")
    for title, left_out in (("grids", {"nobody can", "single"}), ("grids and lone pictures", {"nobody can"})):
        total = sum((one for kind, one in counts.items() if kind not in left_out), Counter[str]())
        shares = []
        for what in ("right", "wrong", "undecided"):
            low, high = wilson(total[what], total.total())
            shares.append(f"{what} {total[what] / total.total():.1%} ({low:.1%} to {high:.1%})")
        print(f"{title}, {total.total()}: " + ", ".join(shares))
    print(f"{took / options.cases * 1e3:.1f} ms a picture, {took / pixels * 1e9:.0f} ns a pixel")


if __name__ == "__main__":
    main()
