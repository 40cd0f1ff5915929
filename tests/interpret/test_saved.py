"""Hyperparameters and optimisers in checkpoints become facts, and none of their objects is built."""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gandoctor.contents.checkpoint import open_checkpoint
from gandoctor.interpret.saved import settings_in
from gandoctor.interpret.view import views_of
from gandoctor.judge.diagnose import diagnose_run
from gandoctor.run import Run
from tests.checkpoints import D_SIZES, G_SIZES, adam, folder, healthy, net, run_with, saved, snapshot
from tests.runs import bce_run, level, make_run, noisy

torch = pytest.importorskip("torch")


class Options(dict):  # type: ignore[type-arg]
    """As easydict and addict have it: attributes are items."""


def settings(tree: Any) -> dict[str, Any]:
    path = folder() / "a.pt"
    torch.save(tree, path)
    found = settings_in(open_checkpoint(path, "torch"), path)
    assert all(one.source == path for one in found.values())
    return {name: one.value for name, one in found.items()}


def facts(run: Run) -> dict[str, Any]:
    [view] = views_of(run, inside=True)
    return {name: one.value for name, one in view.facts.items()}


HYPER = {"lr": 2e-4, "lambda_gp": 10.0, "betas": (0.5, 0.9)}


@pytest.mark.parametrize(
    "tree",
    [
        {"args": argparse.Namespace(**HYPER)},
        {"anything": argparse.Namespace(**HYPER)},
        {"hyper_parameters": HYPER},
        {"config": Options(HYPER)},
        {"opt": defaultdict(list, HYPER)},
        {"args": argparse.Namespace(lr=np.float64(2e-4), lambda_gp=np.float32(10), betas=[0.5, 0.9])},
        {**HYPER, "epoch": 5, "global_step": 700, "best_fid": 12.0, "G": net(G_SIZES)},
    ],
)
def test_hyperparameters_are_found(tree: Any) -> None:
    tree = {
        key: {k: torch.tensor(v) for k, v in one.items()} if key == "G" else one for key, one in tree.items()
    }
    assert settings(tree) == {"lr": 2e-4, "lambda_gp": 10, "betas.0": 0.5, "betas.1": 0.9}


def test_weights_counters_and_cycles_are_no_settings() -> None:
    tree: dict[str, Any] = {"params": {"0.weight": torch.zeros(3)}, "epoch": 3, "steps": 900, "iter": 7}
    assert settings(tree) == {}
    loop: dict[str, Any] = {"lr": 1.0}
    loop["again"] = loop
    assert settings_in({"args": loop}, Path("a.pt"))["lr"].value == 1.0
    assert settings_in([1, 2], Path("a.pt")) == {}
    assert settings_in({1: 2}, Path("a.pt")) == {}


def test_a_lone_checkpoint_tells_family_rates_penalty_and_clipping() -> None:
    g, d = net(G_SIZES, 1), net(D_SIZES, 2)
    args = {
        "gan_mode": "wgan-gp",
        "lambda_gp": 10.0,
        "clip_value": 0.01,
        "batch_size": 64,
        "ema_decay": 0.999,
    }
    tree = snapshot(g, d, 5_000, args=args, opt_D=adam(d, 25_000, lr=4e-3, beta1=0.0))
    found = facts(saved({5_000: tree}))
    assert found == {
        "family": "wgan-gp", "penalty_weight": 10.0, "clip_value": 0.01, "batch_size": 64, "ema_decay": 0.999,
        "lr_G": 1e-3, "lr_D": 4e-3, "lr_ratio": 4.0, "beta1_G": 0.5, "beta1_D": 0.0, "beta2": 0.999,
        "parameters_G": 6312, "parameters_D": 5953, "capacity_ratio": 5953 / 6312,
    }  # fmt: skip


def test_rates_are_those_before_a_decay() -> None:
    trees = {step: dict(tree) for step, tree in healthy(3).items()}
    for step, tree in trees.items():
        tree["opt_G"] = adam(tree["G"], step, lr=1e-3 * (1 - step / 12_000))
    assert facts(saved(trees))["lr_G"] == pytest.approx(1e-3 * 2 / 3)


def test_optimisers_tell_their_kind_and_networks_their_normalisation() -> None:
    g = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.BatchNorm1d(16), torch.nn.Linear(16, 4))
    d = torch.nn.Sequential(torch.nn.utils.spectral_norm(torch.nn.Linear(4, 16)), torch.nn.Linear(16, 1))
    opt_g, opt_d = torch.optim.AdamW(g.parameters(), 1e-4), torch.optim.RMSprop(d.parameters(), 5e-5)
    d(g(torch.randn(5, 8))).mean().backward()
    opt_g.step()
    opt_d.step()
    tree = {
        "G": g.state_dict(),
        "D": d.state_dict(),
        "opt_G": opt_g.state_dict(),
        "opt_D": opt_d.state_dict(),
    }
    found = facts(run_with({"checkpoint_5.pt": tree}))
    assert found["optimizer"] == "adamw"
    assert found["optimizer_D"] == "rmsprop"
    assert found["spectral_norm"] is True
    assert found["batch_norm_G"] is True
    assert "beta1_D" not in found


def test_what_is_configured_or_logged_comes_first() -> None:
    run = saved({5_000: snapshot(net(G_SIZES, 1), net(D_SIZES, 2), 5_000, args={"lr_g": 0.5, "batch_size": 7})},
                batch_size=64)  # fmt: skip
    run.series |= make_run({"lr_G": level(2e-4)}).series
    found = facts(run)
    assert (found["batch_size"], found["lr_G"], found["lr_D"]) == (64, 2e-4, 1e-3)


def test_nothing_is_opened_for_facts_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    from gandoctor.contents import checkpoint as module

    monkeypatch.setattr(module, "open_checkpoint", lambda *args: pytest.fail("opened"))
    run = saved(healthy(2), bce_run(noisy(level(1.3), 0.05), noisy(level(0.8), 0.05)))
    [view] = views_of(run)
    assert view.facts == {}


def test_a_diagnosis_uses_and_shows_them() -> None:
    tree = snapshot(net(G_SIZES, 1), net(D_SIZES, 2), 5_000, args=argparse.Namespace(gan_mode="hinge"))
    diagnosis = diagnose_run(saved({5_000: tree}))
    [view] = diagnosis.views
    assert view.facts["family"].value == "hinge"
    assert view.facts["family"].source == "checkpoint_005000.pt: gan_mode"
    assert view.facts["lr_G"].source == "checkpoint_005000.pt: opt_G.lr"


def test_an_optimiser_with_a_rate_of_its_own_is_believed_before_a_shared_setting() -> None:
    g, d = net(G_SIZES, 1), net(D_SIZES, 2)
    tree = snapshot(g, d, 5_000, hyper_parameters={"lr": 1e-3}, opt_D=adam(d, 5_000, lr=4e-3))
    found = facts(saved({5_000: tree}))
    assert (found["lr_G"], found["lr_D"], found["lr_ratio"]) == (1e-3, 4e-3, 4.0)
    decayed = snapshot(g, d, 5_000, hyper_parameters={"lr": 1e-2})
    assert facts(saved({5_000: decayed}))["lr_G"] == 1e-2
