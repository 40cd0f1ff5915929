from __future__ import annotations

from pathlib import Path

import pytest

from gandoctor.interpret.view import RunView
from gandoctor.loop.settings import alike, changes, hyperparameters
from gandoctor.run import Setting
from tests.runs import bce_run, level, view_of


def view(**settings: object) -> RunView:
    return view_of(bce_run(level(1.3), level(0.7), settings=settings))  # type: ignore[arg-type]


def things(old: dict[str, object], new: dict[str, object]) -> list[list[tuple[str, object, object]]]:
    found = changes(view(**old), view(**new))
    return [[(one.name, one.old, one.new) for one in thing] for thing in found.things]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"lr_g": 2e-4}, {"lr_g": "0.0002"}),
        ({"lr_g": 2e-4, "lr_d": 1e-4}, {"optim_g.lr": 0.0002, "optim_d.lr": 1e-4}),
        ({"spectral_norm": True}, {"spectral_norm": "true"}),
        ({"lr_g": 1e-4, "weight_decay": 0.0}, {"lr_g": 1e-4}),
        ({"lr_g": 1e-4, "fancy": False}, {"lr_g": 1e-4}),
        ({"lr_g": 1e-4, "clip_value": None}, {"lr_g": 1e-4}),
        ({"gan_mode": "hinge"}, {"gan_mode": "Hinge"}),
        ({"dataset": "/data/celeba"}, {"dataset": "/mnt/other/celeba"}),
        *[
            ({"lr_g": 1e-4, name: old}, {"lr_g": 1e-4, name: new})
            for name, old, new in (
                ("seed", 0, 1), ("manual_seed", 3, 4), ("random_state", 1, 2), ("exp_name", "a", "b"), ("name", "a", "b"),
                ("run_id", "x", "y"), ("out_dir", "runs/a", "runs/b"), ("data_path", "a", "b"), ("logdir", "a", "b"),
                ("date", "monday", "tuesday"), ("started_at", 1, 2), ("when", "2026-01-02", "2026-01-03 10:11:12"),
                ("num_workers", 4, 8), ("device", "cpu", "cuda"), ("gpu_ids", "0", "1"), ("log_every", 10, 20),
                ("sample_interval", 100, 200), ("total_steps", 3000, 5000), ("epochs", 10, 20), ("weights", "/a/b", "/c"),
            )
        ],
    ],
)  # fmt: skip
def test_the_same_by_meaning(old: dict[str, object], new: dict[str, object]) -> None:
    assert things(old, new) == []


def test_one_thing() -> None:
    assert things({"lr_g": 1e-4, "lr_d": 4e-4}, {"lr_g": 1e-4, "lr_d": 1e-4}) == [[("lr_D", 4e-4, 1e-4)]]


def test_one_setting_for_both_networks_is_one_thing() -> None:
    [thing] = things({"lr": 1e-3}, {"lr": 1e-4})
    assert {name for name, _, _ in thing} == {"lr_G", "lr_D"}


def test_both_rates_by_the_same_factor_are_one_thing_and_by_others_two() -> None:
    old = {"lr_g": 1e-3, "lr_d": 4e-3}
    assert len(things(old, {"lr_g": 1e-4, "lr_d": 4e-4})) == 1
    assert len(things(old, {"lr_g": 1e-4, "lr_d": 1e-3})) == 2


def test_what_only_says_how_another_works_goes_with_it() -> None:
    plain: dict[str, object] = {
        "loss": "hinge",
        "penalty": "none",
        "penalty_weight": 0.0,
        "lr_schedule": "constant",
    }
    assert len(things(plain, {**plain, "penalty": "r1", "penalty_weight": 10.0})) == 1
    assert len(things(plain, {**plain, "loss": "wgan-gp", "penalty": "gp", "penalty_weight": 10.0})) == 1
    assert len(things(plain, {**plain, "lr_schedule": "linear", "lr_final_factor": 0.05})) == 1
    assert things(
        {**plain, "penalty": "r1", "penalty_weight": 1.0}, {**plain, "penalty": "r1", "penalty_weight": 2.0}
    ) == [[("penalty_weight", 1.0, 2.0)]]


def test_a_setting_that_no_fact_speaks_for_counts() -> None:
    assert things({"lr_g": 1e-4, "width": 64}, {"lr_g": 1e-4, "width": 128}) == [[("width", 64, 128)]]
    assert things({"lr_g": 1e-4}, {"lr_g": 1e-4, "fancy_loss": 0.5}) == [[("fancy_loss", None, 0.5)]]


def test_silence_of_a_side_without_configuration_says_nothing() -> None:
    found = changes(view(), view(lr_g=1e-4, beta1=0.5))
    assert (found.things, found.known) == ((), False)


def test_seeds_of_one_configuration_belong_together() -> None:
    views = [view(lr_g=rate, seed=n) for n, rate in enumerate((1e-4, 2e-4, 1e-4, 2e-4))]
    assert alike(views) == [[0, 2], [1, 3]]


def test_hyperparameters_are_what_matters() -> None:
    run = bce_run(level(1.3), level(0.7))
    given = {"lr": 1e-4, "seed": 3, "out_dir": "runs/a", "width": 64}
    run.settings = {name: Setting(value, Path("c.json")) for name, value in given.items()}
    assert hyperparameters(run) == {"lr": 1e-4, "width": 64}
