"""Seeds of one configuration for the tests of the loop: ill (D wins at a third) or well."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gandoctor.run import Run, Setting, Unit
from tests.runs import Shape, game, jump, level, make_run, noisy

WON_AT = 1 / 3


def seed_run(
    seed: int, ill: bool, *, points: int = 400, every: int = 50, at: float = WON_AT, unit: Unit = Unit.ITERATION,
    extra: dict[str, Shape] | None = None, **settings: object,
) -> Run:  # fmt: skip
    """One seed. settings: of its configuration, the seed beside them."""
    shapes: dict[str, Shape] = {
        "loss_D": noisy(jump(1.3, 0.002, at) if ill else level(1.3), 0.05, seed),
        "loss_G": noisy(jump(0.8, 9.0, at) if ill else level(0.75), 0.05, seed + 100),
        **(extra or {}),
    }
    run = make_run(shapes, points=points, every=every, unit=unit)
    run.path, run.name = Path(f"run{seed}"), f"run{seed}"
    every_setting = {
        "loss": "non-saturating",
        "lr_g": 1e-4,
        "lr_d": 1e-4,
        "batch_size": 64,
        **settings,
        "seed": seed,
    }
    run.settings = {n: Setting(v, Path("config.json")) for n, v in every_setting.items()}  # type: ignore[arg-type]
    return run


def seeds(*ill: bool, first: int = 0, **options: object) -> list[Run]:
    """Several seeds, each ill or well."""
    return [seed_run(first + n, one, **options) for n, one in enumerate(ill)]  # type: ignore[arg-type]


def scored(run: Run) -> Run:
    """The same run with D's outputs logged as well."""
    played = game("non-saturating", 0.1, 0.0, points=400, seed=3)
    steps = next(iter(run.series.values())).steps
    more = make_run({"out/real": played["out/real"], "out/fake": played["out/fake"]}, every=int(steps[0]))
    run.series |= more.series
    return run


def fid(value: float, seed: int = 0) -> dict[str, Shape]:
    """A FID that falls to a value."""

    def shape(t: np.ndarray) -> np.ndarray:
        noise = np.random.default_rng(seed).normal(0, 0.01, len(t))
        made: np.ndarray = (value + 100 * np.exp(-8 * t)) * np.exp(noise)
        return made

    return {"fid": shape}
