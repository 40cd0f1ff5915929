"""Reading histograms: `python -m tests.bench.histograms [TENSORS] [STEPS]`.

Writes one event file with histograms of TENSORS tensors (default 50) at STEPS steps (default 200), as PyTorch's
SummaryWriter would, then reads its scalars, and then the norms that are made of the histograms. Prints processor
time, which a busy machine leaves alone.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from tensorboard.compat.proto.summary_pb2 import Summary

from gandoctor import load
from gandoctor.contents.histograms import distributions
from tests.histograms import proto, write


def main(tensors: int = 50, steps: int = 200) -> None:
    """Write, read, print."""
    rng = np.random.default_rng(0)
    pool = [proto(rng.normal(0, 0.02 + 0.001 * at, 4_096)) for at in range(50)]
    with tempfile.TemporaryDirectory() as folder:
        events = (
            (step, [
                Summary.Value(tag="loss/D", simple_value=1.0),
                *(Summary.Value(tag=f"netG/{n}.weight.grad", histo=pool[(n + step) % 50]) for n in range(tensors)),
            ])
            for step in range(steps)
        )  # fmt: skip
        path = write(Path(folder) / "events.out.tfevents.1.h", events)
        size = path.stat().st_size / 1e6
        started = time.process_time()
        run = load(folder)
        scalars = time.process_time() - started
        started = time.process_time()
        found, problems = distributions(run.histograms)
        decoded = time.process_time() - started
    count = len(run.histograms)
    assert len(found) == tensors
    assert not problems
    print(f"{count:,} histograms, {size:.0f} MB: found in {scalars:.2f} s, decoded in {decoded:.2f} s, "
          f"{1e6 * decoded / count:.0f} µs each")  # fmt: skip


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
