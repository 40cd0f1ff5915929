"""Dose and response of the sample detectors on drawn images, degraded by known amounts.

    python tests/bench/samples.py --runs 20 [--side 32] [--study noise]

Each run is four frames of 36 tiles of one data set (faces at one place, scenes, shapes, textures, digits,
blobs) after a degradation; printed is how often a code was found at each dose, with the Wilson interval at
dose 0. Doses: share of tiles that are near-copies of one; share of distances that is left; gain of every
second row and column of a transposed convolution with kernel 3 and stride 2, over the others; standard
deviation of noise over that of the tiles; gain of the contrast, less 1, before values are cut off; share of
patches that come from other tiles, or lie at other places; share of the way of an interpolation that lies in
one step, over the even steps; share of tiles that are blank.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection
from functools import lru_cache
from pathlib import Path

import numpy as np

from gandoctor.detectors import all_detectors, run_detector
from gandoctor.findings import Finding
from gandoctor.interpret.view import views_of
from gandoctor.run import Run
from gandoctor.stats import wilson
from tests.bench.grids import Pixels, aligned, blobs, digits, natural, shapes, texture
from tests.drawn import drawn, nearer

DATA: dict[str, Callable[..., Pixels]] = {
    "faces": aligned, "scenes": natural, "shapes": shapes, "textures": texture, "digits": digits, "blobs": blobs,
}  # fmt: skip
Random = np.random.Generator


def copies(tiles: Pixels, dose: float, random: Random) -> Pixels:
    """Make a share of the tiles near-copies of the first."""
    made = tiles.copy()
    some = random.permutation(len(tiles))[: round(dose * len(tiles))]
    made[some] = np.clip(tiles[0] + random.normal(0, 2, tiles[some].shape), 0, 255)
    return made


def alike(tiles: Pixels, dose: float, _random: Random) -> Pixels:
    """Draw the tiles towards their mean: 1 - dose of their distances is left."""
    return nearer(tiles, 1 - dose)


def uneven(tiles: Pixels, dose: float, _random: Random) -> Pixels:
    """What a transposed convolution with kernel 3 and stride 2 does whose middle weight is 1 + dose of the
    sum of the outer two: half-size tiles are doubled, every second row and column with that gain.
    """
    n, height, width, channels = tiles.shape
    half = tiles.reshape(n, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4)) / 127.5 - 1
    for axis in (1, 2):
        after = np.take(half, [*range(1, half.shape[axis]), -1], axis=axis)
        both = np.stack([(1 + dose) * half, (half + after) / 2], axis=axis + 1)
        shape = list(half.shape)
        shape[axis] *= 2
        half = both.reshape(shape)
    return np.clip(np.rint((half + 1) * 127.5), 0, 255).astype(np.uint8)


def noisy(tiles: Pixels, dose: float, random: Random) -> Pixels:
    """Add white noise, `dose` times the tiles' standard deviation; at 9 hardly anything else is left."""
    sigma = dose * float(tiles.std())
    made = (tiles - 128.0 + random.normal(0, sigma, tiles.shape)) / max(1.0, dose) + 128
    return np.clip(np.rint(made), 0, 255).astype(np.uint8)


def blank(tiles: Pixels, dose: float, random: Random) -> Pixels:
    """Make a share of the tiles black."""
    made = tiles.copy()
    made[random.permutation(len(tiles))[: round(dose * len(tiles))]] = 0
    return made


def clipped(tiles: Pixels, dose: float, _random: Random) -> Pixels:
    """Raise the contrast 1 + dose times about the middle of the range, and cut off what leaves it."""
    return np.clip(np.rint((tiles - 127.5) * (1 + dose) + 127.5), 0, 255).astype(np.uint8)


def jumping(tiles: Pixels, dose: float, _random: Random) -> Pixels:
    """Strips of eight between two tiles each, of whose way the share `dose` lies in the middle step."""
    first, second = tiles[:8].astype(np.float64), tiles[8:16].astype(np.float64)
    even = np.linspace(0, 1, 8)
    leap = np.where(np.arange(8) < 4, 0.0, 1.0)
    at = (1 - dose) * even + dose * leap
    strips = (1 - at[:, None, None, None]) * first[:, None] + at[:, None, None, None] * second[:, None]
    return np.clip(np.rint(strips.reshape(-1, *tiles.shape[1:])), 0, 255).astype(np.uint8)


def mixed(tiles: Pixels, dose: float, random: Random) -> Pixels:
    """Put a share of the patches of each place into other tiles, at the same place; 4 x 4 patches."""
    patches = _patches(tiles)
    for place in range(patches.shape[1]):
        some = np.flatnonzero(random.random(len(patches)) < dose)
        patches[some, place] = patches[random.permutation(some), place]
    return _joined(patches)


def shuffled(tiles: Pixels, dose: float, random: Random) -> Pixels:
    """Put a share of each tile's patches to other places of it; 4 x 4 patches."""
    patches = _patches(tiles)
    for tile in patches:
        some = np.flatnonzero(random.random(len(tile)) < dose)
        tile[some] = tile[random.permutation(some)]
    return _joined(patches)


def _patches(tiles: Pixels) -> Pixels:
    n, height, width, channels = tiles.shape
    parts = tiles.reshape(n, 4, height // 4, 4, width // 4, channels).swapaxes(2, 3)
    return parts.reshape(n, 16, height // 4, width // 4, channels).copy()


def _joined(patches: Pixels) -> Pixels:
    n, _, height, width, channels = patches.shape
    return (
        patches.reshape(n, 4, 4, height, width, channels)
        .swapaxes(2, 3)
        .reshape(n, 4 * height, 4 * width, channels)
    )


STUDIES: dict[str, tuple[Callable[[Pixels, float, Random], Pixels], tuple[float, ...], tuple[str, ...]]] = {
    "copies of one tile": (copies, (0, 0.3, 0.5, 0.6, 0.75, 1), ("GD401",)),
    "distances lost": (alike, (0, 0.3, 0.5, 0.7, 0.8, 0.9), ("GD401",)),
    "distances lost, reals beside": (alike, (0, 0.1, 0.2, 0.3, 0.5, 0.7), ("GD402", "GD401")),
    "kernel 3, stride 2": (uneven, (0, 0.05, 0.1, 0.2, 0.4, 0.8), ("GD501",)),
    "noise": (noisy, (0, 0.25, 0.5, 1, 2, 9), ("GD502",)),
    "clipping, reals beside": (clipped, (0, 0.2, 0.5, 1, 2, 4), ("GD503",)),
    "patches of other tiles, reals beside": (mixed, (0, 0.1, 0.25, 0.5, 0.75, 1), ("GD506",)),
    "patches at other places, reals beside": (shuffled, (0, 0.1, 0.25, 0.5, 0.75, 1), ("GD506",)),
    "jumps of interpolations": (jumping, (0, 0.3, 0.5, 0.7, 0.8, 1), ("GD404",)),
    "blank tiles": (blank, (0, 0.1, 0.5, 0.8, 0.95, 1), ("GD503",)),
}


@lru_cache(maxsize=256)
def pool_of(data: str, seed: int, side: int) -> Pixels:
    """180 tiles of one data set."""
    return DATA[data](np.random.default_rng(seed), 180, side, side)


def run_of(study: str, data: str, dose: float, seed: int, side: int) -> Run:
    """One run of a study."""
    random = np.random.default_rng(seed)
    degrade = STUDIES[study][0]
    pool = pool_of(data, seed, side)
    parts = [pool[36 * at : 36 * at + 36] for at in range(4)]
    if degrade is jumping:
        return drawn({"interpolation": [degrade(part, dose, random) for part in parts], "random": parts})
    frames = {"random": [degrade(part, dose, random) for part in parts]}
    if "reals" in study:
        frames["reals"] = [pool[144:]]
    return drawn(frames)


def codes_of(run: Run, wanted: Collection[str] = ()) -> set[str]:
    """The codes that sample detectors find; only the wanted ones are looked for, if any are named."""
    [view] = views_of(run)
    mine = [one for one in all_detectors() if one.detect.__module__.rpartition(".")[2].startswith("sample_")]
    mine = [one for one in mine if not wanted or one.code in wanted]
    said = (one for which in mine for one in run_detector(which, view))
    found = {one.code for one in said if isinstance(one, Finding)}
    for image in run.images:
        Path(image.source).unlink()
    return found


def main(runs: int, side: int, only: str) -> None:
    """Print the table of each study whose name holds `only`."""
    clean: dict[str, int] = {}
    total = 0
    for study, (_, doses, codes) in STUDIES.items():
        if only not in study:
            continue
        print(f"\n{study}: rate of {' or '.join(codes)}, of {runs * len(DATA)}; by data set at each dose")
        for dose in doses:
            by_data = {}
            for number, data in enumerate(DATA):
                seeds = range(1000 * number, 1000 * number + runs)
                wanted = codes if dose else ()
                found = [codes_of(run_of(study, data, dose, seed, side), wanted) for seed in seeds]
                by_data[data] = sum(bool(one & set(codes)) for one in found)
                if dose == 0:
                    total += runs
                    for one in found:
                        for code in one:
                            clean[code] = clean.get(code, 0) + 1
            hits = sum(by_data.values())
            low, high = wilson(hits, runs * len(DATA))
            each = " ".join(f"{data} {n}/{runs}" for data, n in by_data.items())
            print(f"  {dose:5.2f}  {hits / runs / len(DATA):4.0%} ({low:.0%}-{high:.0%})  {each}", flush=True)
    print(f"\nat dose 0, any code, of {total} runs:")
    for code in sorted(clean):
        low, high = wilson(clean[code], total)
        print(f"  {code}: {clean[code]} ({low:.1%} to {high:.1%})")
    if not clean:
        print(f"  none (at most {wilson(0, total)[1]:.1%})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--study", default="", help="only studies whose name holds this")
    given = parser.parse_args()
    main(given.runs, given.side, given.study)
