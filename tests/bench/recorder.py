"""What gandoctor.Recorder costs a training loop at its default cadence.

    python -m tests.bench.recorder [PAIRS]

A DCGAN on the CPU (16 x 16 pixels, width 32, batch 64, one thread) trains in turns of 50 steps, each turn once
without and once with the recorder, which logs one step of each 50. Time is the processor's, so that a busy
machine may wait. Prints the ratio of each pair and their median, then the share of a loop's time that passes
within the recorder; grids are timed apart.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import Adam

import gandoctor
from gandoctor.capture.norms import Meter
from gandoctor.capture.recorder import Recorder

WIDTH, LATENT, BATCH, TURN = 32, 100, 64, 50


def networks() -> tuple[nn.Module, nn.Module]:
    """G and D of a DCGAN for 16 x 16 pixels."""
    G = nn.Sequential(
        nn.ConvTranspose2d(LATENT, 2 * WIDTH, 4, bias=False), nn.BatchNorm2d(2 * WIDTH), nn.ReLU(),
        nn.ConvTranspose2d(2 * WIDTH, WIDTH, 4, 2, 1, bias=False), nn.BatchNorm2d(WIDTH), nn.ReLU(),
        nn.ConvTranspose2d(WIDTH, 3, 4, 2, 1), nn.Tanh(),
    )  # fmt: skip
    D = nn.Sequential(
        nn.Conv2d(3, WIDTH, 4, 2, 1), nn.LeakyReLU(0.2),
        nn.Conv2d(WIDTH, 2 * WIDTH, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * WIDTH), nn.LeakyReLU(0.2),
        nn.Conv2d(2 * WIDTH, 1, 4),
    )  # fmt: skip
    return G, D


class Loop:
    """A plain DCGAN loop, perhaps with a recorder."""

    def __init__(self, folder: Path | None) -> None:
        torch.manual_seed(0)
        self.G, self.D = networks()
        self.opt_G = Adam(self.G.parameters(), 2e-4, betas=(0.5, 0.999))
        self.opt_D = Adam(self.D.parameters(), 2e-4, betas=(0.5, 0.999))
        self.real = torch.rand(BATCH, 3, 16, 16) * 2 - 1
        self.at = 0
        self.rec = None if folder is None else gandoctor.Recorder(
            folder, G=self.G, D=self.D, opt_G=self.opt_G, opt_D=self.opt_D
        )  # fmt: skip

    def step(self) -> None:
        """One step of D and one of G."""
        fake = self.G(torch.randn(BATCH, LATENT, 1, 1))
        self.opt_D.zero_grad()
        on_real, on_fake = self.D(self.real), self.D(fake.detach())
        loss_D = F.softplus(-on_real).mean() + F.softplus(on_fake).mean()
        loss_D.backward()
        self.opt_D.step()
        self.opt_G.zero_grad()
        loss_G = F.softplus(-self.D(fake)).mean()
        loss_G.backward()
        self.opt_G.step()
        if self.rec is not None:
            self.rec.step(
                self.at, loss_G=loss_G, loss_D=loss_D, real_output=on_real, fake_output=on_fake,
                real=self.real, fake=fake,
            )  # fmt: skip
        self.at += 1

    def turn(self) -> float:
        """Seconds of processor time for `TURN` steps."""
        started = time.process_time()
        for _ in range(TURN):
            self.step()
        return time.process_time() - started


def timed_within(folder: str) -> float:
    """The share of a loop's time that passes within the recorder: less noisy than a ratio of two loops."""
    spent = 0.0

    def timed(owner: type, name: str) -> None:
        own = getattr(owner, name)

        def call(*args: object, **kwargs: object) -> object:
            nonlocal spent
            started = time.process_time()
            try:
                return own(*args, **kwargs)
            finally:
                spent += time.process_time() - started

        setattr(owner, name, call)

    for owner, name in ((Recorder, "step"), (Meter, "_before_step"), (Meter, "_after_step")):
        timed(owner, name)
    loop = Loop(Path(folder) / "timed")
    loop.turn()
    spent = 0.0
    whole = loop.turn() + loop.turn()
    loop.rec.close()  # type: ignore[union-attr]
    return spent / whole


def main(pairs: int = 8) -> float:
    """Measure and print. Returns the median cost as a share of the plain loop's time."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        plain, watched = Loop(None), Loop(Path(folder))
        plain.turn(), watched.turn()  # what is loaded on first use
        ratios = []
        for pair in range(pairs):
            turns = [plain, watched] if pair % 2 else [watched, plain]
            seconds = {id(one): one.turn() for one in turns}
            ratios.append(seconds[id(watched)] / seconds[id(plain)])
        each = seconds[id(plain)] / TURN
        print(
            f"a step {1_000 * each:.1f} ms; with / without: {', '.join(f'{ratio:.3f}' for ratio in ratios)}"
        )
        cost = statistics.median(ratios) - 1
        print(f"median cost {cost:+.1%} of a step")
        watched.rec.close()  # type: ignore[union-attr]
        spent = timed_within(folder)
        print(f"time spent within the recorder {spent:.2%} of the loop's")
        with gandoctor.Recorder(Path(folder) / "grids", G=plain.G, latent=(LATENT, 1, 1)) as rec:
            started = time.process_time()
            rec.step(0)
            print(f"three grids {1_000 * (time.process_time() - started):.0f} ms")
    return cost


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
