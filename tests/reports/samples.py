"""Small runs and their diagnoses for the tests of the reports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from gandoctor.findings import Evidence, Finding, Kind, Severity, Stretch, Subject, Threshold
from gandoctor.judge.diagnose import diagnose_run
from gandoctor.judge.diagnosis import Diagnosis, Judged, Remedy, Snapshot
from gandoctor.run import Checkpoint, ImageGrid, LogProblem, Run, Series, Setting, Unit

N = 400
STEPS = np.arange(N, dtype=np.int64) * 50
HOSTILE = '</script><script>alert(1)</script>"\x1b[31m\u202e'


def _series(tag: str, values: np.ndarray, unit: Unit = Unit.ITERATION) -> Series:
    return Series(tag, STEPS, values, np.arange(N), Path("runs/x/log.csv"), unit)


def _run(name: str, values: dict[str, np.ndarray], **more: object) -> Run:
    series = {tag: _series(tag, one) for tag, one in values.items()}
    return Run(Path("runs") / name, name, series, files=[Path(f"runs/{name}/log.csv")], **more)


def _noise(seed: int, size: float = 0.05) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, size, N)


def healthy() -> Diagnosis:
    """D a little ahead, both losses level, FID falling; best near the end."""
    fid = 200 * np.exp(-np.arange(N) / 80) + 20 + _noise(3, 0.4)
    run = _run(
        "healthy",
        {"loss_D": 1.1 + _noise(1), "loss_G": 1.0 + _noise(2), "fid": fid},
        checkpoints=[Checkpoint(Path("runs/healthy/net_15000.pt"), 15_000, "torch")],
        settings={"lr_G": Setting(2e-4, Path("config.json")), "lr_D": Setting(2e-4, Path("config.json"))},
    )
    return diagnose_run(run)


def failing() -> Diagnosis:
    """D wins from step 4,000 on; the last fifth of both losses is NaN; one line could not be read."""
    d, g = 1.2 + _noise(1), 0.9 + _noise(2)
    d[80:], g[80:] = 0.001, 9 + _noise(4)[80:]
    d[320:] = g[320:] = np.nan
    run = _run(
        "failing",
        {"loss_D": d, "loss_G": g},
        settings={"lr_G": Setting(1e-4, Path("config.json")), "lr_D": Setting(1e-3, Path("config.json"))},
        problems=[LogProblem(Path("runs/failing/log.csv"), "line 17", "bad-line", "7 fields, 5 expected")],
    )
    return diagnose_run(run)


def two_pairs() -> Diagnosis:
    """CycleGAN: pair A is at rest, D_B has won."""
    flat = np.full(N, 0.0004)
    values = {
        "D_A": 0.22 + _noise(1, 0.01),
        "G_A": 0.3 + _noise(2, 0.02),
        "D_B": flat + np.abs(_noise(6, 1e-4)),
        "G_B": 0.99 + _noise(3, 0.003),
        "cycle_A": 0.4 + _noise(4, 0.01),
        "cycle_B": 0.4 + _noise(5, 0.01),
    }
    return diagnose_run(_run("two-pairs", values))


def unknown() -> Diagnosis:
    """Tags that mean nothing, some of them hostile, in epochs."""
    run = _run("unknown " + HOSTILE, {})
    for tag in (HOSTILE, "Error", "{{ 7 * 7 }}", "<svg onload=alert(2)>"):
        run.series[tag] = _series(tag, 1 + _noise(1), Unit.EPOCH)
    run.problems.append(LogProblem(Path("runs/x/" + HOSTILE), "byte 12", "corrupt-record", HOSTILE))
    return diagnose_run(run)


def nothing() -> Diagnosis:
    """A run of which nothing was read."""
    problems = [LogProblem(Path("runs/nothing/log.csv"), "", "unreadable", "Permission denied")]
    return diagnose_run(Run(Path("runs/nothing"), "nothing", problems=problems))


def handmade() -> Diagnosis:
    """The failing run with what no detector gives: a hostile subject, numbers that are not finite."""
    limit = Threshold("GD999.x", float("inf"), "<b>units</b>", HOSTILE)
    evidence = Evidence(Kind.GAME, HOSTILE, float("nan"), limit, (HOSTILE,), (4_000, 19_950))
    subject = Subject("", "D", HOSTILE, HOSTILE, "")
    finding = Finding("GD999", Severity.ERROR, Stretch(4_000, (3_900, 4_100)), (evidence,), subject)
    judged = Judged("GD999-1", finding, 0.5, "prior")
    base = failing()
    return replace(
        base,
        findings=(judged, *base.findings),
        primary=judged,
        chain=(("GD999-1", base.findings[0].id),),
        prescription=(Remedy("no-such-remedy", "GD999", lab=(3, 4, 0, 4)), *base.prescription),
        best_snapshot=Snapshot(3_950, Path(f"runs/failing/{HOSTILE}.pt"), HOSTILE, float("nan")),
    )


ALL = (healthy, failing, two_pairs, unknown, nothing, handmade)


# --- runs for the figures --------------------------------------------------------------------------------


def wgan() -> Diagnosis:
    """A critic, whose loss has no equilibrium."""
    return diagnose_run(
        _run(
            "wgan",
            {
                "critic_loss": -5 + _noise(1),
                "g_loss": 2 + _noise(2),
                "gradient_penalty": 0.1 + _noise(3, 0.01),
            },
        )
    )


def one_step() -> Diagnosis:
    """A log that ended after its first line."""
    run = Run(Path("runs/one"), "one")
    for tag, value in (("loss_D", 1.3), ("loss_G", 0.7), ("grad_norm_g", np.nan)):
        run.series[tag] = Series(
            tag, np.array([7]), np.array([value]), np.array([0]), Path("runs/one/log.csv")
        )
    return diagnose_run(run)


def halves() -> Diagnosis:
    """D's loss in two halves."""
    values = {"d_loss_real": 0.6 + _noise(1), "d_loss_fake": 0.6 + _noise(2), "g_loss": 0.8 + _noise(3)}
    return diagnose_run(_run("halves", values))


def spike() -> Diagnosis:
    """A long healthy run with one excursion to 5,000."""
    steps = np.arange(4_000, dtype=np.int64)
    noise = np.random.default_rng(1).normal(0, 0.05, len(steps))
    run = Run(Path("runs/spike"), "spike")
    for tag, level in (("loss_D", 1.2), ("loss_G", 0.8)):
        values = level + noise
        values[2_000] = 5_000
        run.series[tag] = Series(tag, steps, values, steps, Path("runs/spike/log.csv"))
    return diagnose_run(run)


def never_finite() -> Diagnosis:
    """G's loss is NaN from its first point on."""
    return diagnose_run(_run("never-finite", {"loss_D": 1.2 + _noise(1), "loss_G": np.full(N, np.nan)}))


def layers(count: int) -> Diagnosis:
    """Losses, and the gradient norm of many layers."""
    norms = {f"D/layer{n}/grad_norm": 1 + _noise(n) for n in range(count)}
    return diagnose_run(_run("layers", {"loss_D": 1.2 + _noise(1), "loss_G": 0.8 + _noise(2), **norms}))


def terms(count: int) -> Diagnosis:
    """Adversarial losses, and many content losses of G."""
    content = {f"loss_cycle_{n}": 1 + _noise(n) for n in range(count)}
    return diagnose_run(_run("terms", {"loss_D": 1.2 + _noise(1), "loss_G": 0.8 + _noise(2), **content}))


def pictured(folder: Path, frames: int = 4) -> Diagnosis:
    """The failing run with grids of 36 noisy tiles in a folder, the last half of them one tile repeated."""
    random = np.random.default_rng(5)
    images = []
    for at in range(frames):
        tiles = random.integers(0, 256, (36, 16, 16, 3), dtype=np.uint8)
        if at >= frames // 2:
            tiles[:] = tiles[0]
        grid = np.zeros((110, 110, 3), np.uint8)
        for tile in range(36):
            y, x = (2 + 18 * place for place in divmod(tile, 6))
            grid[y : y + 16, x : x + 16] = tiles[tile]
        step = (at + 1) * 20_000 // frames
        path = folder / f"samples_{step:06d}.png"
        Image.fromarray(grid).save(path)
        images.append(ImageGrid("samples", step, path))
    run = failing().run
    run.images.extend(images)
    return diagnose_run(run)


def chained() -> Diagnosis:
    """The failing run with a chain that branches and joins: 201 → 301, 402, 101; 301 → 105; 402 → 105."""
    base = failing()
    codes = ("GD201", "GD301", "GD402", "GD101", "GD105")
    judged = []
    for place, code in enumerate(codes):
        onset = 4_000 + 500 * place
        stretch = Stretch(onset, (onset - 50, onset + 50), 19_000 if code == "GD402" else None)
        evidence = Evidence(
            Kind.GAME, "a statistic", 1.5, Threshold(f"{code}.x", 1, "units", "prior"), ("loss_D",)
        )
        judged.append(Judged(f"{code}-1", Finding(code, Severity.ERROR, stretch, (evidence,)), 0.9, "lab"))
    edges = (
        ("GD201", "GD301"),
        ("GD201", "GD402"),
        ("GD201", "GD101"),
        ("GD301", "GD105"),
        ("GD402", "GD105"),
    )
    chain = tuple((f"{cause}-1", f"{effect}-1") for cause, effect in edges)
    return replace(base, findings=tuple(judged), primary=judged[0], chain=chain)
