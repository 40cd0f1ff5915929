"""What remedies need of the trainer, each beside what it must equal."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from gandoctor.errors import UserError  # noqa: E402
from gandoctor.trainer import LogConfig, TrainConfig, baseline, train, train_many  # noqa: E402
from gandoctor.trainer.game import set_up  # noqa: E402
from gandoctor.trainer.models import Adam, Mlp  # noqa: E402
from gandoctor.trainer.objectives import OBJECTIVES, mode_seeking, smoothed  # noqa: E402

QUIET = LogConfig(format="csv", images=0, checkpoints=0, points=40)


def short(family: str = "ns", data: str = "ring8", steps: int = 40, **changes: Any) -> TrainConfig:
    return baseline(family, data, steps=steps, log=QUIET, **changes)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_off_is_the_plain_run(tmp_path: Path) -> None:
    """A setting that is on in a neighbour changes nothing in the run where it is off."""
    on = {
        "smoothing": 0.1, "grad_clip": 0.5, "warmup": 0.2, "ema": 0.99, "mode_seeking": 0.1, "noise": 0.1,
        "noise_end": 0.0,
    }  # fmt: skip
    train_many([short(), short(**on)], [tmp_path / "off", tmp_path / "on"])
    train(short(), tmp_path / "alone")
    for tag in ("loss/D", "loss/G", "grad_norm/G", "lr/G"):
        beside = [float(row[tag]) for row in rows(tmp_path / "off")]
        alone = [float(row[tag]) for row in rows(tmp_path / "alone")]
        assert beside == pytest.approx(alone, rel=2e-3)
    assert rows(tmp_path / "on") != rows(tmp_path / "alone")


@pytest.mark.parametrize(
    "changes",
    [{"minibatch_std": True}, {"pack": 2}, {"lookahead": 5}, {"decoupled": True, "weight_decay": 0.01}],
)
@pytest.mark.parametrize(("family", "data"), [("rpgan", "ring8"), ("wgan-gp", "glyphs"), ("lsgan", "ring8")])
def test_each_runs_with_every_penalty(changes: Any, family: str, data: str, tmp_path: Path) -> None:
    log = replace(QUIET, images=1, checkpoints=1)
    truth = train(replace(short(family, data, 5, **changes), log=log), tmp_path)
    assert truth.codes["GD105"].state == "false"


def test_smoothed_labels_equal_cross_entropy_with_that_label() -> None:
    real, fake, share = torch.randn(2, 6), torch.randn(2, 6), torch.tensor([0.0, 0.1])
    on_reals, on_fakes = smoothed("ns", share).d(real, fake)
    for run, label in enumerate((1.0, 0.9)):
        expected = torch.nn.functional.binary_cross_entropy_with_logits(real[run], torch.full((6,), label))
        assert float(on_reals[run]) == pytest.approx(float(expected), rel=1e-5)
    plain = OBJECTIVES["ns"].d(real, fake)[1]
    assert torch.equal(on_fakes, plain)
    assert float(smoothed("lsgan", share).d(real, fake)[0][1]) == pytest.approx(
        float(0.5 * (real[1] - 0.9).square().mean())
    )


def test_a_loss_without_labels_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="labels cannot be smoothed: hinge"):
        train(short("hinge", smoothing=0.1), tmp_path)


def test_packing_shows_d_pairs() -> None:
    game = set_up([short(pack=2, batch=8)])
    x = torch.arange(16.0).view(1, 8, 2)
    assert game.packed(x)[0, 0].tolist() == [0, 1, 2, 3]
    assert game.outputs(x).shape == (1, 4)
    with pytest.raises(UserError, match="cannot be packed"):
        set_up([short(pack=3)])


def test_minibatch_std_sees_the_batch() -> None:
    network = Mlp([2, 8, 1], "relu", "linear", [0.0], [torch.Generator().manual_seed(0)], minibatch_std=True)
    assert network.flat.shape[1] == 2 * 8 + 8 + 9 + 1
    x = torch.randn(1, 1, 2)
    alike, mixed = x.expand(-1, 8, -1), torch.cat([x, torch.randn(1, 7, 2)], 1)
    with torch.no_grad():
        assert float(network(alike)[0, 0]) != pytest.approx(float(network(mixed)[0, 0]), rel=1e-4)


def test_mode_seeking_falls_as_samples_part() -> None:
    z = torch.randn(1, 8, 4)
    near, far = (
        mode_seeking(z, scale * torch.ones(1, 8, 2).cumsum(1), torch.ones(1)) for scale in (0.1, 1.0)
    )
    assert float(near) == pytest.approx(10 * float(far), rel=1e-2)


def test_adamw_is_pytorchs() -> None:
    one = lambda value: torch.full((1, 1), value)  # noqa: E731
    start = torch.randn(1, 5)
    flat, weight = start.clone(), torch.nn.Parameter(start[0].clone())
    adam = Adam(flat, one(0.5), one(0.9), one(0.1), decoupled=True)
    theirs = torch.optim.AdamW([weight], lr=0.01, betas=(0.5, 0.9), weight_decay=0.1)
    for _ in range(3):
        gradient = torch.randn(1, 5)
        adam.step(gradient, one(0.01))
        weight.grad = gradient[0]
        theirs.step()
    assert torch.allclose(flat[0], weight.detach(), atol=1e-6)


def test_the_gradient_is_clipped_to_its_bound(tmp_path: Path) -> None:
    train(short(grad_clip=0.01), tmp_path)
    assert max(float(row["grad_norm/D"]) for row in rows(tmp_path)) == pytest.approx(0.01, rel=1e-3)


def test_noise_is_gone_by_half_of_the_run_and_rates_rise() -> None:
    game = set_up([short(noise=0.3, noise_end=0.0, warmup=0.1)])
    x = torch.zeros(1, 64, 2)
    game.anneal(0.0)
    assert float(game.blur(x).std()) == pytest.approx(0.3, rel=0.3)
    game.anneal(0.5)
    assert float(game.blur(x).abs().max()) == 0
    assert float(game.rates(0.0)[0]) == 0
    assert float(game.rates(0.05)[0]) == pytest.approx(0.5 * 3e-3 * (1 - 0.95 * 0.05), rel=1e-4)


def test_overtime_leaves_the_run_as_it_was(tmp_path: Path) -> None:
    plain = train(short(), tmp_path / "plain")
    longer = train(short(overtime=40), tmp_path / "longer")
    assert rows(tmp_path / "longer")[:40] == rows(tmp_path / "plain")
    assert (longer.outcome, longer.codes) == (plain.outcome, plain.codes)
    assert longer.late == pytest.approx(plain.late, nan_ok=True)
    assert (plain.outcome_later, longer.outcome_later != "") == ("", True)
    assert len(longer.measurements["step"]) == 40
    assert float(rows(tmp_path / "longer")[-1]["lr/G"]) == pytest.approx(0.05 * 3e-3, rel=1e-3)


def test_an_average_is_what_is_measured(tmp_path: Path) -> None:
    still, moving = (train(short(ema=ema, steps=200), tmp_path / str(ema)).measurements for ema in (1.0, 0.0))
    spread = [max(one["std"]) - min(one["std"]) for one in (still, moving)]
    assert spread[0] < 0.1 < spread[1]  # it stays at the first weights, but for the z drawn
