from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gandoctor import Recorder  # noqa: E402
from gandoctor.capture.writers import FORMATS  # noqa: E402
from gandoctor.errors import UserError  # noqa: E402
from gandoctor.trainer import FAULTS, LogConfig, TrainConfig, configure, train, train_many  # noqa: E402
from gandoctor.trainer.config import BASELINES, LOG_FORMATS  # noqa: E402
from gandoctor.trainer.logs import TAGS  # noqa: E402

ALL_TAGS = {tag for tags in TAGS.values() for tag in tags}


def short(
    family: str = "ns", data: str = "ring8", fault: str = "", steps: int = 5, **log: Any
) -> TrainConfig:
    quiet = {"format": "csv", "images": 0, "checkpoints": 0, **log}
    return replace(configure(family, data, fault, log=LogConfig(**quiet)), steps=steps)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_healthy_run_learns(tmp_path: Path) -> None:
    truth = train(short(steps=1_200), tmp_path)
    last = json.loads((tmp_path / "truth.json").read_text())["late"]
    assert truth.codes["GD105"].state == "false"
    assert last["q"] > 0.6
    assert last["cov"] >= 0.85


@pytest.mark.parametrize(("family", "data"), BASELINES)
def test_every_baseline_runs(family: str, data: str, tmp_path: Path) -> None:
    train(short(family, data), tmp_path)
    first = rows(tmp_path)[0]
    assert all(np.isfinite(float(value)) for value in first.values())
    assert ("loss/D_fake" in first) == (family != "rpgan")


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_builds_and_runs(fault: str, tmp_path: Path) -> None:
    it = FAULTS[fault]
    truth = train(short(it.families[0], it.data[0], fault), tmp_path)
    assert truth.fault == fault
    assert set(it.known) <= {code for code, state in truth.codes.items() if state.state == "true"}
    assert it.summary
    assert it.causes


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_fits_all_its_families(fault: str) -> None:
    it = FAULTS[fault]
    for family, data in BASELINES:
        if family in it.families and data in it.data:
            assert configure(family, data, fault) != configure(family, data)


def test_same_seed_same_numbers(tmp_path: Path) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    train(replace(short(steps=40), seed=3), a)
    train(replace(short(steps=40), seed=3, log=LogConfig(format="csv", points=40, images=2)), b)
    train(replace(short(steps=40), seed=4), c)
    assert rows(a) == rows(b)  # what is saved beside it changes nothing
    assert rows(a) != rows(c)


def test_runs_side_by_side_keep_their_own_seed(tmp_path: Path) -> None:
    configs = [replace(short(steps=3), seed=seed) for seed in (3, 4)]
    folders = [tmp_path / "3", tmp_path / "4"]
    train_many(configs, folders)
    train(configs[1], tmp_path / "alone")
    beside, alone = rows(folders[1]), rows(tmp_path / "alone")
    for tag in ("loss/D", "loss/G", "grad_norm/G"):
        assert float(beside[2][tag]) == pytest.approx(float(alone[2][tag]), rel=1e-3)


def test_runs_of_different_shape_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="differ in batch"):
        train_many([short(), replace(short(), batch=8)], [tmp_path / "a", tmp_path / "b"])


def test_logs_hold_their_level_and_no_more(tmp_path: Path) -> None:
    seen: set[str] = set()
    for level, tags in TAGS.items():
        train(short(level=level), tmp_path / level)
        seen |= set(tags)
        assert set(rows(tmp_path / level)[0]) == seen | {"step"}


def test_the_full_log_has_the_recorders_tags(tmp_path: Path) -> None:
    train(replace(short(full=True, steps=2), depth_d=1, depth_g=1), tmp_path / "trainer")
    G, D = (
        torch.nn.Sequential(torch.nn.Linear(n, 8), torch.nn.ReLU(), torch.nn.Linear(8, m))
        for n, m in ((4, 2), (2, 1))
    )
    optimizers = {f"opt_{name}": torch.optim.Adam(net.parameters()) for name, net in (("G", G), ("D", D))}
    with Recorder(tmp_path / "recorder", G=G, D=D, **optimizers, format="csv") as rec:
        real, fake = torch.randn(8, 2), G(torch.randn(8, 4))
        out = D(fake)
        out.mean().backward()
        for optimizer in optimizers.values():
            optimizer.step()
        losses = dict.fromkeys(("loss_G", "loss_D", "loss_D_real", "loss_D_fake", "penalty"), out.mean())
        rec.step(0, **losses, real_output=out, fake_output=out, real=real, fake=fake)
    ours, theirs = (set(rows(tmp_path / name)[0]) for name in ("trainer", "recorder"))
    assert ours == theirs


def test_a_full_log_keeps_to_its_level_and_names(tmp_path: Path) -> None:
    configs = [short(level=level, full=full, steps=2, tags={"grad_norm/G": "gradG"})
               for level, full in (("outputs", True), ("norms", True), ("samples", False))]  # fmt: skip
    folders = [tmp_path / str(at) for at in range(3)]
    train_many(configs, folders)
    outputs, norms, bare = (rows(folder)[0] for folder in folders)
    assert set(outputs) == {"step", *TAGS["losses"], *TAGS["outputs"]}
    layers = [float(norms[f"gradG/{layer}"]) for layer in (0, 2, 4, 6)]
    assert 0 < sum(one**2 for one in layers) <= float(norms["gradG"]) ** 2
    assert "samples/diversity" not in norms
    assert not any(tag.count("/") > 1 for tag in bare)
    assert float(bare["gradG"]) == pytest.approx(float(norms["gradG"]), rel=1e-3)


def test_every_format_is_the_recorders() -> None:
    assert set(LOG_FORMATS) == set(FORMATS)


def test_tensorboard_holds_the_tags(tmp_path: Path) -> None:
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train(short(format="tensorboard", tags={"loss/D": "errD"}), tmp_path)
    events = event_accumulator.EventAccumulator(str(tmp_path))
    events.Reload()
    assert set(events.Tags()["scalars"]) == (ALL_TAGS - {"loss/D"}) | {"errD"}
    assert [event.step for event in events.Scalars("errD")] == [0, 1, 2, 3, 4]


def test_jsonl_and_halved_d(tmp_path: Path) -> None:
    train(short(format="jsonl"), tmp_path / "whole")
    train(short(format="jsonl", halve_d=True), tmp_path / "half")
    whole, half = (
        json.loads((tmp_path / name / "metrics.jsonl").read_text().splitlines()[3])
        for name in ("whole", "half")
    )
    assert half["step"] == 3
    assert half["loss/D"] == pytest.approx(whole["loss/D"] / 2, rel=1e-4)
    assert half["loss/D_real"] == whole["loss/D_real"]


def test_files_beside_the_log(tmp_path: Path) -> None:
    train(short("wgan-gp", "glyphs", images=1, checkpoints=1), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["n_critic"], config["penalty"], config["penalty_weight"]) == (3, "gp", 1.0)
    assert {path.name for path in (tmp_path / "samples").iterdir()} == {
        "fixed_000005.png", "random_000005.png", "interpolation_000005.png",
    }  # fmt: skip
    saved = torch.load(tmp_path / "checkpoints" / "checkpoint_000005.pt", weights_only=True)
    assert saved["D"]["0.weight"].shape == (128, 64)
    assert saved["opt_D"]["state"][0]["exp_avg"].shape == (128, 64)
    assert float(saved["opt_D"]["state"][0]["step"]) == 15
    assert saved["opt_G"]["param_groups"][0]["betas"] == (0.0, pytest.approx(0.9))


def test_points_are_saved_as_arrays(tmp_path: Path) -> None:
    train(short(images=1), tmp_path)
    assert np.load(tmp_path / "samples" / "fixed_000005.npy").shape == (64, 2)


def test_configuration_never_names_the_fault(tmp_path: Path) -> None:
    train(short(fault="swapped-labels"), tmp_path)
    assert "swapped" not in (tmp_path / "config.json").read_text()
    assert "swapped" in (tmp_path / "truth.json").read_text()


@pytest.mark.parametrize(
    "bad",
    [
        {"family": "no"},
        {"data": "no"},
        {"fault": "no"},
        {"family": "ns", "fault": "no-penalty"},
        {"family": "wgan-gp", "data": "grid25"},
    ],
)
def test_wrong_names_are_told(bad: dict[str, str]) -> None:
    with pytest.raises(UserError) as error:
        configure(**bad)
    assert error.value.hint


def test_what_cannot_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least one step"):
        train(short(steps=0), tmp_path / "a")
    train(short(steps=1), tmp_path / "b")
    with pytest.raises(UserError, match="not empty"):
        train(short(steps=1), tmp_path / "b")


def test_swapped_labels_drive_both_losses_to_zero(tmp_path: Path) -> None:
    train(short(fault="swapped-labels", steps=300), tmp_path)
    last = rows(tmp_path)[-1]
    assert float(last["loss/D"]) < 0.1
    assert float(last["loss/G"]) < 0.1


def test_detached_generator_has_no_gradient(tmp_path: Path) -> None:
    truth = train(short(fault="g-detached", steps=20), tmp_path)
    assert {float(row["grad_norm/G"]) for row in rows(tmp_path)} == {0.0}
    assert truth.codes["GD204"].state == "true"


def test_half_precision_overflows_at_once(tmp_path: Path) -> None:
    truth = train(short(fault="fp16-overflow", steps=20), tmp_path)
    assert truth.outcome == "ill"
    assert truth.codes["GD105"].state == "true"
