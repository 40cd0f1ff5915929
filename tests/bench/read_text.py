"""How fast text logs are read: `python tests/bench/read_text.py [--lines N]`.

Prints, for logs of several shapes made here, the seconds of processor time, the lines a second and the
peak of memory.
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from gandoctor.readers import text

Line = Callable[[int, random.Random], str]


def pix2pix(i: int, rng: random.Random) -> str:
    """One line of pix2pix' loss_log.txt."""
    return (
        f"(epoch: {i // 1000 + 1}, iters: {i % 1000 * 100 + 100}, time: {rng.random():.3f}, data: 0.002) "
        f"G_GAN: {3 * rng.random():.3f} G_L1: {30 * rng.random():.3f} D_real: {rng.random():.3f} "
        f"D_fake: {rng.random():.3f} "
    )


def pytorch_gan(i: int, rng: random.Random) -> str:
    """One line of PyTorch-GAN."""
    return (
        f"[Epoch {i // 938}/200] [Batch {i % 938}/938] [D loss: {rng.random():f}] [G loss: {rng.random():f}]"
    )


def styletts(i: int, rng: random.Random) -> str:
    """One line of StyleTTS, with a time of day and terms that may be negative."""
    return (
        f"INFO:2026-03-{i // 86400 % 28 + 1:02}T{i // 3600 % 24:02}:{i // 60 % 60:02}:{i % 60:02},"
        f"{i % 1000:03}: "
        f"Epoch [{i // 62 + 1}/5000], Step [{i % 62 + 1}/62], Mel Loss: {rng.gauss(0, 1):.5f}, "
        f"Adv Loss: {rng.gauss(0, 1e-3):.3g}, Disc Loss: {rng.random():.5f}"
    )


def mixed(i: int, rng: random.Random) -> str:
    """Lines of three shapes and, now and then, prose."""
    if i % 50 == 49:
        return f"saving the latest model (epoch {i // 1000 + 1}, total_iters {i})"
    return (pix2pix, pytorch_gan, styletts)[i % 3](i, rng)


def bar(i: int, rng: random.Random) -> str:
    """A bar of tqdm, each a line of its own shape."""
    done = i % 300
    return (
        f"Epoch {i // 300}: {done // 3:3}%|{'#' * (done // 30):<10}| {done}/300 [00:{done // 10:02}<00:10, "
        f"{rng.uniform(9, 11):.2f}it/s, d_loss={rng.random():.3f}, g_loss={rng.random():.3f}]"
    )


def main() -> None:
    """Make the logs, read them, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    lines = parser.parse_args().lines
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        for shape, count in ((pix2pix, lines), (pytorch_gan, lines), (styletts, lines), (mixed, lines),
                             (bar, lines // 10)):  # fmt: skip
            path = Path(folder, "train.log")
            path.write_text("".join(shape(i, rng) + "\n" for i in range(count)))
            begun = time.process_time()
            [parts] = text.read(path)
            took = time.process_time() - begun
            points = sum(map(len, parts.series))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"{shape.__name__:12} {count:9,} lines {path.stat().st_size / 1e6:6.1f} MB {took:6.2f} s "
                f"{count / took:9,.0f} lines/s {points:10,} points, peak {peak:,.0f} MiB, "
                f"problems: {len(parts.problems)}"
            )


if __name__ == "__main__":
    main()
