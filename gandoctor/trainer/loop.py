"""The training loop: D's steps, G's steps, and what is noted of them."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from gandoctor.capture.measures import COMPARABLE, Numbers, diversity, fetched, outputs, spread
from gandoctor.capture.norms import norms_of_runs
from gandoctor.capture.writers import Writer, save_checkpoint, write_settings
from gandoctor.errors import UserError
from gandoctor.trainer import logs
from gandoctor.trainer.config import TrainConfig
from gandoctor.trainer.faults import FAULTS, visible
from gandoctor.trainer.game import Game, set_up
from gandoctor.trainer.objectives import mode_seeking, one_centred, slope, zero_centred
from gandoctor.trainer.probes import measure
from gandoctor.trainer.truth import TRUE, Measured, State, Truth, conclude, primaries

Rows = dict[str, list[float]]  # tag -> one a run
MEASUREMENTS = 20  # of the truth, evenly spaced
STATES = 200  # points at which losses and norms are kept for the truth


def train(config: TrainConfig, folder: Path, *, progress: bool = False) -> Truth:
    """Train one run, write its log, configuration, samples, checkpoints and truth.json into `folder`.

    progress: show a bar, if standard error is a terminal. Deterministic for a seed on one machine.
    Raises UserError for settings that do not exist or a folder that is not empty, OSError if it cannot
    be written.
    """
    return train_many([config], [folder], progress=progress)[0]


def train_many(
    configs: Sequence[TrainConfig], folders: Sequence[Path], *, progress: bool = False
) -> list[Truth]:
    """Train E runs side by side: E seeds, rates or weights, one program. Ten cost about three times one.

    Raises ValueError if the runs differ in a setting that shapes the program.
    """
    game = set_up(configs)
    fault = FAULTS[configs[0].fault] if configs[0].fault else None
    if fault and fault.wrap:
        game = fault.wrap(game)
    started = time.perf_counter()
    with ExitStack() as files:
        files.callback(torch.set_flush_denormal, _flushes_denormals())
        torch.set_flush_denormal(True)  # dying gradients would otherwise slow the loop 10-fold
        writers = []
        for config, folder in zip(configs, folders, strict=True):
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise UserError("the folder is not empty: two runs would mix", where=str(folder))
            if config.log.config:
                write_settings(folder, logs.settings(config))
            writers.append(logs.open_log(config, folder, files))
        files.callback(torch.set_num_threads, torch.get_num_threads())
        torch.set_num_threads(1)  # such small networks gain nothing from two, and sums keep their order
        measured = _play(game, configs, folders, writers, progress)
    seconds = time.perf_counter() - started
    truths = [_conclude(config, one, seconds) for config, one in zip(configs, measured, strict=True)]
    for truth, folder in zip(truths, folders, strict=True):
        truth.write(folder)
    return truths


def _flushes_denormals() -> bool:
    return bool(torch.tensor(1e-300, dtype=torch.float64) * 1e-10 == 0)


def _play(
    game: Game,
    configs: Sequence[TrainConfig],
    folders: Sequence[Path],
    writers: Sequence[Writer],
    progress: bool,
) -> list[Measured]:
    """The loop itself. Returns what was measured of each run."""
    config, steps = game.config, game.config.steps
    rounds = steps + config.overtime
    log_at = [_every(steps, c.log.points, rounds) for c in configs]
    state_at = _every(steps, STATES, rounds)
    measure_at = _ends(steps, MEASUREMENTS) | {
        steps + done for done in _ends(config.overtime, round(MEASUREMENTS * config.overtime / steps))
    }
    sample_at = [_ends(steps, c.log.images) for c in configs]
    save_at = [_ends(steps, c.log.checkpoints) for c in configs]
    grids = [logs.grids(game, run, folder) for run, folder in enumerate(folders)]
    noted: dict[int, Rows] = {}
    probed: dict[int, Numbers] = {}
    histogram: Tensor | None = None
    networks = game.generator, game.discriminator
    first = [network.flat.clone() for network in networks]
    moved: list[Tensor] = []
    slow = [network.flat.clone() for network in networks] if config.lookahead else []

    console = Console(stderr=True)
    with Progress(console=console, disable=not (progress and console.is_terminal), transient=True) as bar:
        for step in bar.track(range(rounds), description=f"{config.family} on {config.data}"):
            lr_g, lr_d = game.rates(min(1.0, step / steps))
            game.anneal(step / steps)
            logged = [run for run, marks in enumerate(log_at) if step in marks]
            notes: Numbers | None = {} if logged or step in state_at else None

            for _ in range(config.d_steps):
                discriminator_step(game, lr_d, notes)
            for _ in range(config.g_steps):
                generator_step(game, lr_g, notes)
            if slow and (step + 1) % config.lookahead == 0:
                for back, network in zip(slow, networks, strict=True):
                    network.flat.copy_(
                        back.lerp_(network.flat, 0.5)
                    )  # Chavdarova et al. 2021, arXiv:2006.14567
            if game.ema is not None:
                game.average.flat.lerp_(game.generator.flat, 1 - game.ema)

            if notes is not None:
                notes |= {"lr/G": lr_g[:, 0], "lr/D": lr_d[:, 0]}
                rows: Rows = fetched(notes)
                for run in logged:
                    writers[run].write(step, {tag: values[run] for tag, values in rows.items()})
                if step in state_at:
                    noted[step] = rows
            done = step + 1
            if done == steps:
                moved = [
                    (network.flat - start).norm(dim=1) / start.norm(dim=1)
                    for network, start in zip(networks, first, strict=True)
                ]
            if done in measure_at:
                probed[done], histogram = measure(game, histogram)
            for run in [run for run, marks in enumerate(sample_at) if done in marks]:
                grids[run].save(done)
            for run in [run for run, marks in enumerate(save_at) if done in marks]:
                rates = {"G": float(lr_g[run]), "D": float(lr_d[run])}
                save_checkpoint(folders[run], done, logs.state(game, run, rates), logs.DIGITS)

    return [_measured(game, run, noted, probed, moved) for run in range(len(configs))]


def discriminator_step(game: Game, lr: Tensor, notes: Numbers | None) -> None:
    """One step of D. lr: (E, 1). notes: where to write this step's numbers, or None."""
    batch = game.config.batch
    real = game.reals(batch)
    with torch.no_grad():
        fake = game.fakes(batch)
    real.requires_grad_(game.r1 is not None)
    fake.requires_grad_(game.r2 is not None)
    on_real, on_fake = game.judge(real), game.judge(fake)  # (E, B)
    on_reals, on_fakes = game.objective.d(on_real, on_fake)
    loss = on_reals if on_fakes is None else on_reals + on_fakes

    penalty = torch.zeros_like(loss)
    if game.r1 is not None:
        penalty = penalty + zero_centred(game.packed(slope(on_real, real)), game.r1)
    if game.r2 is not None:
        penalty = penalty + zero_centred(game.packed(slope(on_fake, fake)), game.r2)
    if game.gp is not None:
        share = torch.rand(*real.shape[:2], 1, device=real.device)
        between = (share * real + (1 - share) * fake).requires_grad_()
        penalty = penalty + one_centred(game.packed(slope(game.judge(between), between)), game.gp)

    gradient = _clipped(game, game.spoil("D", game.discriminator.gradient(loss + penalty)))
    before = game.discriminator.flat.clone() if notes is not None else None
    game.adam_d.step(gradient, lr)
    if game.clip is not None:
        game.discriminator.flat.clamp_(-game.clip, game.clip)

    if notes is None or before is None:
        return
    notes["loss/D"] = loss.detach()
    if on_fakes is not None:
        notes |= {"loss/D_real": on_reals.detach(), "loss/D_fake": on_fakes.detach()}
    if game.r1 is not None or game.r2 is not None or game.gp is not None:
        notes["penalty"] = penalty.detach()
    notes |= outputs({"real": on_real.detach(), "fake": on_fake.detach()})
    notes["samples/real_std"] = spread(real.detach())
    if game.full and batch >= COMPARABLE:
        notes["samples/diversity"] = diversity(real.detach(), fake.detach())
    notes |= _norms(game, "D", gradient, before)


def generator_step(game: Game, lr: Tensor, notes: Numbers | None) -> None:
    """One step of G. lr: (E, 1). notes: where to write this step's numbers, or None."""
    z = game.latents(game.config.batch, game.streams)
    fake = game.generator(z)
    on_fake = game.judge(fake)
    on_real = game.judge(game.reals(game.config.batch)) if game.objective.pairs else on_fake[:, :0]
    loss = game.objective.g(on_real, on_fake)
    if game.mode_seeking is not None:
        loss = loss + mode_seeking(z, fake, game.mode_seeking)

    gradient = _clipped(game, game.spoil("G", game.generator.gradient(loss)))
    before = game.generator.flat.clone() if notes is not None else None
    game.adam_g.step(gradient, lr)

    if notes is None or before is None:
        return
    notes["loss/G"] = loss.detach()
    notes["samples/fake_std"] = spread(fake.detach())
    notes |= _norms(game, "G", gradient, before)


def _clipped(game: Game, gradient: Tensor) -> Tensor:
    """A network's gradient (E, P) with each run's norm bounded."""
    if game.grad_clip is None:
        return gradient
    share: Tensor = (game.grad_clip / gradient.norm(dim=1, keepdim=True).clamp_min(1e-12)).clamp(max=1)
    return gradient * share


def _norms(game: Game, name: str, gradient: Tensor, before: Tensor) -> Numbers:
    """Norms of a network's gradient, weights and step. name: "G" or "D". gradient, before: (E, P)."""
    network = game.generator if name == "G" else game.discriminator
    found: Numbers = {}
    for kind, flat in (("grad", gradient), ("weight", network.flat), ("step", network.flat - before)):
        parts, layers = (network.cut(flat), network.layers) if game.full else ([flat], [""])
        found |= norms_of_runs(f"{kind}_norm/{name}", parts, layers)
    return found


def _every(steps: int, points: int, rounds: int) -> frozenset[int]:
    """The steps at which to log, from 0 on: every n-th, as `if step % n == 0` does."""
    return frozenset(range(0, rounds, max(1, steps // points)))


def _ends(steps: int, times: int) -> frozenset[int]:
    """`times` evenly spaced counts of steps done, the last one the end of the run."""
    return frozenset(round(steps * (i + 1) / times) for i in range(times))


def _measured(
    game: Game, run: int, noted: dict[int, Rows], probed: dict[int, Numbers], moved: Sequence[Tensor]
) -> Measured:
    """Collect one run's measurements as arrays."""
    samples: dict[str, list[float]] = defaultdict(list)
    for values in probed.values():
        for name, value in values.items():
            samples[name].append(float(value[run]))
    samples["flow"][0] = samples["flow"][min(1, len(probed) - 1)]  # there is none before the first
    names = {
        "loss_d": "loss/D", "loss_g": "loss/G", "grad_d": "grad_norm/D", "grad_g": "grad_norm/G",
        "weight_d": "weight_norm/D", "weight_g": "weight_norm/G", "std": "samples/fake_std",
    }  # fmt: skip
    state = {short: np.array([rows[tag][run] for rows in noted.values()]) for short, tag in names.items()}
    return Measured(
        sample_steps=np.array(list(probed), np.int64),
        samples={name: np.array(values) for name, values in samples.items()},
        state_steps=np.array(list(noted), np.int64),
        state=state,
        moved=(float(moved[0][run]), float(moved[1][run])),
        family=game.config.family,
    )


def _conclude(config: TrainConfig, measured: Measured, seconds: float) -> Truth:
    """Turn measurements into the truth; what is wrong by construction is added as such."""
    outcome, codes, late = conclude(measured.until(config.steps))
    fault = FAULTS[config.fault] if config.fault else None
    known: dict[str, State] = {}
    if fault:
        known = {code: State(TRUE, round(fault.since * config.steps)) for code in fault.known}

    def seen(code: str) -> bool:
        return visible(code, config)

    right = primaries(codes, fault.causes if fault else (), tuple(known), late["auc_train"], seen)
    return Truth(
        outcome=outcome,
        outcome_later=conclude(measured)[0] if config.overtime else "",
        codes={**codes, **known},
        acceptable_primaries=right,
        visible=any(map(seen, right)),
        fault=config.fault,
        dose=config.dose,
        family=config.family,
        data=config.data,
        seed=config.seed,
        late={name: round(value, 4) for name, value in late.items()},
        measurements={
            "step": measured.sample_steps.tolist(),
            **{name: values.round(4).tolist() for name, values in measured.samples.items()},
        },
        seconds=round(seconds, 2),
    )
