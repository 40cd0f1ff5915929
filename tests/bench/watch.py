"""What a look at a long log costs once it has been read: bytes, and time as a share of the first look.

python tests/bench/watch.py --points 400000
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from pathlib import Path

import numpy as np

from gandoctor.config import Config
from gandoctor.readers.follow import Follower
from gandoctor.watch import Watch
from tests.readers.logs import rows_of, write_events


def written(folder: Path, kind: str, points: int) -> tuple[Path, bytes]:
    """A log of two losses, and where it goes."""
    rng = np.random.default_rng(0)
    d, g = 1.3 * np.exp(rng.normal(0, 0.05, points)), 0.74 * np.exp(rng.normal(0, 0.05, points))
    if kind == "events":
        path = write_events(
            folder / "events.out.tfevents.1.host", rows_of(range(points), **{"Loss/D": d, "Loss/G": g})
        )
        return Path(path.name), path.read_bytes()
    line = {
        "csv": "{},{:.5f},{:.5f}\n", "jsonl": '{{"step": {}, "loss_D": {:.5f}, "loss_G": {:.5f}}}\n',
        "log": "step {} loss_D: {:.5f} loss_G: {:.5f}\n",
    }[kind]  # fmt: skip
    head = "step,loss_D,loss_G\n" if kind == "csv" else ""
    text = head + "".join(line.format(*row) for row in zip(range(points), d, g, strict=True))
    return Path(f"train.{kind}"), text.encode()


def measured(kind: str, points: int) -> str:
    """One line of the table: the log is read at 90%, then in ten pieces to its end."""
    with tempfile.TemporaryDirectory() as scratch:
        name, data = written(Path(scratch) / "made", kind, points)
        path = Path(scratch) / "run" / name
        path.parent.mkdir()
        edges = [len(data) * n // 100 for n in range(90, 101)]
        path.write_bytes(data[: edges[0]])
        follower, watch = Follower(path.parent), Watch([path.parent], Config())
        begin = time.perf_counter()
        follower.look()
        first = time.perf_counter() - begin
        whole = watch.look().seconds
        reads, looks, taken = [], [], follower.taken
        for a, b in itertools.pairwise(edges):
            with path.open("ab") as file:
                file.write(data[a:b])
            begin = time.perf_counter()
            follower.look()
            reads.append(time.perf_counter() - begin)
            looks.append(watch.look().seconds)
        again = (follower.taken - taken) / (len(data) - edges[0])
        later, look = np.median(reads) / first, np.median(looks) / whole
        return (
            f"{kind:7} {len(data) / 1e6:6.1f} MB  first reading {first:6.2f} s, later {later:.2f} of it;"
            f" bytes read / new {again:.3f}; a whole look at first {whole:6.2f} s, later {look:.2f} of it"
        )


def main() -> None:
    """Measure each format."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, default=400_000, help="lines of the log")
    options = parser.parse_args()
    for kind in ("events", "csv", "jsonl", "log"):
        print(measured(kind, options.points), flush=True)


if __name__ == "__main__":
    main()
