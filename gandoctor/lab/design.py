"""What a study trains: configurations drawn at random, each with several seeds, and the part each serves.

A configuration is a family, a data set, a fault or none, its dose, the optimiser and its schedule, and the
style of its log. All its seeds train side by side and stand on one side of the split.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from gandoctor.lab.styles import CHECKPOINTS, IMAGES, TAG_STYLES
from gandoctor.trainer import FAULTS, LogConfig, TrainConfig, configure
from gandoctor.trainer.config import BASELINES

# Never in fit, calibrate or test: what a random split cannot show, because it only interpolates.
HELD_FAULTS = frozenset({"no-zero-grad", "data-range", "noise-forever", "sn-stale"})
HELD_FAMILY, HELD_DATA, HELD_TAGS = "rpgan", "grid25", "stylegan"

HEALTHY = 0.5  # the share of configurations without a fault at its dose
NEAR = 0.25  # of those, such as lie just beside a fault
EDGE = 0.4  # of the ill ones, at a dose where the illness is not sure
NEAR_DOSE, EDGE_DOSE, FULL_DOSE = (0.05, 0.2), (0.35, 0.65), (0.85, 1.15)
WRONG_FROM = 0.5  # the dose from which a setting counts as wrong by construction
PARTS = (("fit", 0.3), ("calibrate", 0.3), ("test", 0.4))
RARE = 0.4  # how often the held-out names are drawn, against each other style of names


@dataclass(frozen=True, slots=True)
class Configuration:
    """Some runs that differ in their seed only. kind: "healthy", "varied", "near", "edge" or "full"."""

    id: str
    kind: str
    tags: str  # one of TAG_STYLES
    runs: tuple[TrainConfig, ...]

    @property
    def held(self) -> tuple[str, ...]:
        """What of it is held out: any of "fault", "family", "data", "tags"."""
        one = self.runs[0]
        out = {
            "fault": one.fault in HELD_FAULTS, "family": one.family == HELD_FAMILY,
            "data": one.data == HELD_DATA, "tags": self.tags == HELD_TAGS,
        }  # fmt: skip
        return tuple(name for name, held in out.items() if held)

    def part(self, study_seed: int) -> str:
        """The side of the split: "fit", "calibrate", "test", or "held-out"."""
        if self.held:
            return "held-out"
        at = int.from_bytes(_digest(f"{study_seed}:{self.id}")[:8], "big") / 2**64
        for name, share in PARTS:
            at -= share
            if at < 0:
                return name
        return PARTS[-1][0]


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def draw(runs: int, seed: int, side: int = 8, steps: int | None = None) -> list[Configuration]:
    """Draw the configurations of a study of `runs` runs, `side` seeds each; the same arguments draw the same.

    The first n configurations of a longer study are those of a shorter one. seed: also the first run's.
    steps: a length for every run, in place of its data set's own (for trying out).
    """
    rng = random.Random(seed)
    healthy, ill = _healthy_kinds(rng), _ill_kinds(rng)
    made: list[Configuration] = []
    first = seed
    while first < seed + runs:
        size = min(side, seed + runs - first)
        is_healthy = len(made) * HEALTHY % 1 < HEALTHY  # evenly mixed, so that a part is a fair sample too
        family, data, fault, kind = next(healthy if is_healthy else ill)
        one, tags = _draw(rng, family, data, fault, kind)
        if steps is not None:
            one = replace(one, steps=steps)
        made.append(_configuration(one, tags, kind, range(first, first + size)))
        first += size
    return made


def _configuration(one: TrainConfig, tags: str, kind: str, seeds: Sequence[int]) -> Configuration:
    settings = json.dumps(asdict(replace(one, seed=seeds[0])), sort_keys=True)
    name = "-".join(part for part in (one.family, one.data, one.fault or kind) if part)
    id = f"{seeds[0]:06d}-{name}-{_digest(settings).hex()[:8]}"
    return Configuration(id, kind, tags, tuple(replace(one, seed=seed) for seed in seeds))


def _healthy_kinds(rng: random.Random) -> Iterator[tuple[str, str, str, str]]:
    """(family, data, fault, kind): every baseline in turn, as it is, varied, or with a trace of a fault."""
    near = [name for name, fault in FAULTS.items() if not fault.wrap and _has_dose(name)]
    while True:
        for family, data in rng.sample(BASELINES, len(BASELINES)):
            kind = rng.choices(("healthy", "varied", "near"), ((1 - NEAR) / 2, (1 - NEAR) / 2, NEAR))[0]
            fits = [n for n in near if family in FAULTS[n].families and data in FAULTS[n].data]
            if kind == "near" and fits:
                yield family, data, rng.choice(fits), kind
            else:
                yield family, data, "", "varied" if kind == "near" else kind


def _ill_kinds(rng: random.Random) -> Iterator[tuple[str, str, str, str]]:
    """(family, data, fault, kind): every fault in turn, at the edge or in full."""
    while True:
        for fault in (FAULTS[name] for name in rng.sample(list(FAULTS), len(FAULTS))):
            fits = [(f, d) for f, d in BASELINES if f in fault.families and d in fault.data]
            kind = "edge" if _has_dose(fault.name) and rng.random() < EDGE else "full"
            yield (*rng.choice(fits), fault.name, kind)


def _has_dose(fault: str) -> bool:
    """Whether a fault's change grows with its dose."""
    mild, full = (replace(configure(fault=fault, dose=dose), dose=1.0) for dose in (0.1, 1.0))
    return mild != full


def _draw(rng: random.Random, family: str, data: str, fault: str, kind: str) -> tuple[TrainConfig, str]:
    """One configuration and the names of its tags."""
    weights = [RARE if name == HELD_TAGS else 1.0 for name in TAG_STYLES]
    tags = rng.choices(list(TAG_STYLES), weights)[0]
    log = LogConfig(
        format=rng.choice(("tensorboard", "csv", "jsonl")),
        points=rng.choice((100, 200, 200, 500)),
        tags=TAG_STYLES[tags],
        halve_d=not family.startswith("wgan") and rng.random() < 0.25,
        config=rng.random() < 0.5,
        full=rng.random() < 0.5,
        images=IMAGES,
        checkpoints=CHECKPOINTS,
    )
    base = configure(family, data)
    changes = _variation(rng, base) if kind != "healthy" else {}
    if not fault:
        return replace(base, log=log, **changes), tags
    low, high = {"near": NEAR_DOSE, "edge": EDGE_DOSE, "full": FULL_DOSE}[kind]
    dose = round(rng.uniform(low, high), 3) if _has_dose(fault) else 1.0
    return configure(family, data, fault, dose, log=log, **changes), tags


def _variation(rng: random.Random, base: TrainConfig) -> dict[str, Any]:
    """What careful people set otherwise without harm; each is drawn apart."""
    changes: dict[str, Any] = {}
    rate = rng.choice((1.0, 1.0, 0.7, 1.2))
    if base.lr_end < 1 and rng.random() < 0.5:  # a constant rate, a little lower
        changes["lr_end"], rate = 1.0, rate * 2 / 3
    ratio = rng.choice((1.0, 1.0, 1.0, 1.5, 0.75))  # two time scales
    changes |= {"lr_g": base.lr_g * rate, "lr_d": base.lr_d * rate * ratio}
    if rng.random() < 0.25:
        changes["beta2"] = rng.choice((0.99, 0.999))
    if rng.random() < 0.25:
        changes["batch"] = rng.choice((base.batch // 2, base.batch * 2))
    if rng.random() < 0.25:
        factor = rng.choice((0.75, 1.25))
        changes |= {"width_g": round(base.width_g * factor), "width_d": round(base.width_d * factor)}
    if rng.random() < 0.2:
        changes["latent"] = base.latent * 2
    if rng.random() < 0.15:
        changes["noise"] = 0.02
    return changes
