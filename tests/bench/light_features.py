"""Which light features tell degraded images from healthy ones best, by the energy distance to the reals.

    python tests/bench/light_features.py --seeds 12

Candidates: pixels averaged to 32 x 32; log energies of 8 x 8 DCT bands; means over the picture of two layers
of random convolutions. Printed for each degradation: by how many standard deviations of healthy samples'
distances (over the seeds) its distance lies above theirs, the median over six drawn data sets.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from gandoctor.interpret.features import band_energies, energy_distance, look_at_tiles
from tests.bench.grids import Pixels
from tests.bench.samples import DATA, alike, copies, mixed, noisy, pool_of, uneven

Random = np.random.Generator
Features = npt.NDArray[np.float64]


def blurred(tiles: Pixels, dose: float, _random: Random) -> Pixels:
    made = [np.asarray(Image.fromarray(tile).filter(ImageFilter.GaussianBlur(dose))) for tile in tiles]
    return np.stack(made)


DEGRADED: dict[str, tuple[Callable[[Pixels, float, Random], Pixels], float]] = {
    "noise 0.1": (noisy, 0.1), "noise 0.5": (noisy, 0.5), "blur 0.7": (blurred, 0.7), "blur 1.5": (blurred, 1.5),
    "kernel 3/2 0.1": (uneven, 0.1), "patches mixed": (mixed, 1), "distances -30%": (alike, 0.3),
    "half copies": (copies, 0.5),
}  # fmt: skip


def pixels(tiles: Pixels) -> Features:
    return look_at_tiles(tiles).values.astype(np.float64)


def bands(tiles: Pixels) -> Features:
    return band_energies(tiles).astype(np.float64)


def convolved(tiles: Pixels) -> Features:
    """Two layers of 3 x 3 random convolutions with ReLU and pooling by 2; mean and spread of each channel."""
    random = np.random.default_rng(0)
    x = tiles.astype(np.float32) / 127.5 - 1
    found = []
    for width in (32, 64):
        kernel = random.normal(size=(3, 3, x.shape[3], width)).astype(np.float32) / (9 * x.shape[3]) ** 0.5
        windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
        x = np.maximum(np.einsum("nhwcij,ijco->nhwo", windows, kernel, optimize=True), 0)
        found += [x.mean(axis=(1, 2)), x.std(axis=(1, 2))]
        high, wide = (size // 2 * 2 for size in x.shape[1:3])
        x = x[:, :high, :wide].reshape(len(x), high // 2, 2, wide // 2, 2, width).mean(axis=(2, 4))
    return np.concatenate(found, axis=1).astype(np.float64)


def joined(*parts: Callable[[Pixels], Features]) -> Callable[[Pixels, Pixels], tuple[Features, Features]]:
    """Features of fakes and reals, each part scaled so that two reals lie 1 apart in it."""

    def both(fakes: Pixels, reals: Pixels) -> tuple[Features, Features]:
        made = []
        for part in parts:
            mine, theirs = part(fakes), part(reals)
            scale = max(float(((theirs - theirs.mean(axis=0)) ** 2).sum(axis=1).mean() * 2) ** 0.5, 1e-9)
            made.append((mine / scale, theirs / scale))
        return np.concatenate([a for a, _ in made], axis=1), np.concatenate([b for _, b in made], axis=1)

    return both


CANDIDATES = {
    "pixels": joined(pixels), "bands": joined(bands), "convolved": joined(convolved),
    "pixels + bands": joined(pixels, bands), "pixels + convolved": joined(pixels, convolved),
    "all": joined(pixels, bands, convolved),
}  # fmt: skip


def main(seeds: int, side: int) -> None:
    """Print the table."""
    found: dict[tuple[str, str], list[float]] = {}
    for data in DATA:
        for name, features in CANDIDATES.items():
            healthy, worse = [], {what: [] for what in DEGRADED}  # type: ignore[var-annotated]
            for seed in range(seeds):
                pool, random = pool_of(data, seed, side), np.random.default_rng(seed)
                fakes, reals = pool[:36], pool[144:]
                healthy.append(energy_distance(*features(fakes, reals))[0])
                for what, (degrade, dose) in DEGRADED.items():
                    worse[what].append(energy_distance(*features(degrade(fakes, dose, random), reals))[0])
            scatter = max(float(np.std(healthy)), 1e-6)
            for what, values in worse.items():
                found.setdefault((what, name), []).append((np.mean(values) - np.mean(healthy)) / scatter)
    print(f"{'':16}" + "".join(f"{name:>20}" for name in CANDIDATES))
    for what in DEGRADED:
        print(f"{what:16}" + "".join(f"{np.median(found[what, name]):20.1f}" for name in CANDIDATES))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--side", type=int, default=32)
    given = parser.parse_args()
    main(given.seeds, given.side)
