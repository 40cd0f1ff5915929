"""The recipes of docs/recorder.md, run as they stand there."""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import gandoctor
from gandoctor.findings import State
from gandoctor.judge.diagnosis import Coverage

MANUAL = Path(__file__).parents[2] / "docs/recorder.md"


def blocks(title: str) -> list[str]:
    """The Python of one chapter of the manual."""
    chapter = MANUAL.read_text().split(f"## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", chapter, re.DOTALL)


def too_short(coverage: tuple[Coverage, ...]) -> list[str]:
    return [line.code for line in coverage if line.state is State.TOO_SHORT]


def test_a_plain_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (loop,) = blocks("A plain loop")
    monkeypatch.chdir(tmp_path)
    exec(loop, {})
    diagnosis = gandoctor.diagnose("runs/x")
    assert len(diagnosis.run.series["loss/D"]) == 60
    assert too_short(diagnosis.coverage) == []


@pytest.mark.filterwarnings("ignore")  # Lightning's own, about loggers and workers
def test_lightning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    L = pytest.importorskip("lightning", reason="the recipe needs Lightning, which is not installed")
    (module,) = blocks("Lightning")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "recipe"}
    exec(module, names)
    torch.manual_seed(0)
    reals = torch.utils.data.DataLoader(torch.randn(64 * 150, 2) * 0.1 + 1, batch_size=64)
    trainer = L.Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(names["GAN"](), reals)
    diagnosis = gandoctor.diagnose("runs/lightning")
    series = diagnosis.run.series
    assert series["loss/D"].steps.tolist() == list(range(0, 300, 5))
    assert {"grad_norm/G/0", "step_norm/D/2", "lr/G", "samples/diversity"} <= set(series)
    assert list(Path("runs/lightning/samples").glob("fixed_*299.npy"))
    assert too_short(diagnosis.coverage) == []


# --- a training loop of the shape of stylegan2-ada-pytorch's


class Statistics:
    """Its module of statistics: every number is reported by name."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def report(self, name: str, value: Tensor) -> Tensor:
        self.names.append(name)
        return value


class Synthesis(nn.Module):
    """A generator that is called as StyleGAN's are."""

    def __init__(self) -> None:
        super().__init__()
        self.mapping, self.synthesis = nn.Linear(8, 16), nn.Linear(16, 3 * 8 * 8)

    def forward(self, z: Tensor, c: Tensor, noise_mode: str = "random") -> Tensor:
        return self.synthesis(self.mapping(z).relu()).tanh().view(-1, 3, 8, 8)


class Critic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc, self.out = nn.Linear(3 * 8 * 8, 16), nn.Linear(16, 1)

    def forward(self, img: Tensor, c: Tensor) -> Tensor:
        return self.out(F.leaky_relu(self.fc(img.flatten(1)), 0.2))


def accumulate(s: SimpleNamespace, phase: str, real: Tensor, z: Tensor) -> None:
    """What `accumulate_gradients` does of a phase."""
    report = s.training_stats.report
    if phase == "Gmain":
        logits = s.D(s.G(z, None), None)
        report("Loss/scores/fake", logits)
        report("Loss/G/loss", F.softplus(-logits)).mean().backward()
    if phase == "Dmain":
        logits = s.D(s.G(z, None), None)
        report("Loss/scores/fake", logits)
        on_fake = F.softplus(logits)
        on_fake.mean().backward()
    if phase in ("Dmain", "Dreg"):
        real = real.detach().requires_grad_(phase == "Dreg")
        logits = s.D(real, None)
        report("Loss/scores/real", logits)
        if phase == "Dmain":
            report("Loss/D/loss", on_fake + F.softplus(-logits))
            F.softplus(-logits).mean().backward()
        else:
            (gradient,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
            penalty = gradient.square().sum([1, 2, 3])
            report("Loss/D/reg", penalty * 5).mean().mul(16).backward()


def test_stylegan(tmp_path: Path) -> None:
    set_up, after_a_step, at_the_end = blocks("StyleGAN2-ADA, StyleGAN3")
    torch.manual_seed(0)
    G, D, G_ema = Synthesis(), Critic(), Synthesis().eval()
    opt_G, opt_D = (torch.optim.Adam(net.parameters(), 2e-3, betas=(0.0, 0.99)) for net in (G, D))
    phases = [
        SimpleNamespace(name=name, opt=opt, module=net, interval=interval)
        for name, opt, net, interval in (
            ("Gmain", opt_G, G, 1), ("Greg", opt_G, G, 4), ("Dmain", opt_D, D, 1), ("Dreg", opt_D, D, 16),
        )
    ]  # fmt: skip
    statistics = Statistics()
    own = statistics.report
    s = SimpleNamespace(G=G, D=D, training_stats=statistics)
    scope: dict[str, Any] = {
        "os": os, "torch": torch, "rank": 0, "run_dir": str(tmp_path), "G": G, "D": D, "G_ema": G_ema,
        "phases": phases, "training_stats": statistics, "grid_z": torch.randn(16, 8).split(4),
        "grid_c": torch.zeros(16, 0).split(4), "batch_idx": 0,
    }  # fmt: skip
    exec(set_up, scope)
    assert statistics.report != own
    for _ in range(150):
        scope["phase_real_img"] = (torch.rand(8, 3, 8, 8) * 2 - 1).split(4)
        for phase in phases:
            if scope["batch_idx"] % phase.interval:
                continue
            phase.opt.zero_grad(set_to_none=True)
            phase.module.requires_grad_(True)
            for real in scope["phase_real_img"]:  # accumulated over rounds
                accumulate(s, phase.name, real, torch.randn(4, 8))
            phase.module.requires_grad_(False)
            phase.opt.step()
        scope["batch_idx"] += 1
        exec(after_a_step, scope)
    exec(at_the_end, scope)
    assert len(statistics.names) > 150 * 3 * 2  # what StyleGAN itself collects still arrives
    series = gandoctor.load(tmp_path / "recorder").series
    assert series["loss/G"].steps.tolist() == [1, 51, 101]
    assert series["penalty"].steps.tolist() == [1, 51, 101]
    assert {
        "out/real_std",
        "out/pair_accuracy",
        "samples/fake_std",
        "grad_norm/G/mapping",
        "step_norm/D/out",
    } <= set(series)


def test_a_process_that_is_not_the_first_records_nothing(tmp_path: Path) -> None:
    set_up, after_a_step, at_the_end = blocks("StyleGAN2-ADA, StyleGAN3")
    scope: dict[str, Any] = {"rank": 1}
    for block in (set_up, after_a_step, at_the_end):
        exec(block, scope)
    assert scope["rec"] is None
