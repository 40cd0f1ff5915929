from __future__ import annotations

from pathlib import Path

import pytest

from gandoctor.interpret.configuration import facts_of
from gandoctor.interpret.facts import FACTS
from gandoctor.run import Run, Scalar, Setting


def facts(**settings: Scalar) -> dict[str, Scalar]:
    return {name: fact.value for name, fact in facts_of(run(settings)).items()}


def run(settings: dict[str, Scalar]) -> Run:
    made = Run(Path("run"), "run")
    made.settings = {name: Setting(value, Path("conf/opt.yml")) for name, value in settings.items()}
    return made


# How public repositories write their settings: name, value → fact, value.
SPELLINGS: list[tuple[str, Scalar, str, Scalar]] = [
    ("lr_g", 2e-4, "lr_G", 2e-4),
    ("lrG", 1e-4, "lr_G", 1e-4),
    ("g_lr", "0.0001", "lr_G", 1e-4),
    ("optim_g.lr", 1e-4, "lr_G", 1e-4),
    ("train.optim_g.lr", 1e-4, "lr_G", 1e-4),
    ("generator.optimizer.lr", 3e-4, "lr_G", 3e-4),
    ("learning_rate_d", 4e-4, "lr_D", 4e-4),
    ("d_lr", 4e-4, "lr_D", 4e-4),
    ("D_opt_kwargs.lr", 0.0025, "lr_D", 0.0025),
    ("G_opt_kwargs.lr", 0.0025, "lr_G", 0.0025),
    ("beta1", 0.5, "beta1", 0.5),
    ("b1", 0.5, "beta1", 0.5),
    ("batch_size", 64, "batch_size", 64),
    ("batchSize", 1, "batch_size", 1),
    ("n_critic", 5, "n_critic", 5),
    ("critic_iterations", 5, "n_critic", 5),
    ("gan_mode", "lsgan", "family", "lsgan"),
    ("gan_mode", "vanilla", "family", "non-saturating"),
    ("gan_mode", "wgangp", "family", "wgan-gp"),
    ("train.gan_opt.gan_type", "wgan_softplus", "family", "wgan"),
    ("loss_type", "hinge", "family", "hinge"),
    ("lambda_gp", 10, "penalty_weight", 10),
    ("r1_gamma", 0.2, "penalty_weight", 0.2),
    ("gp_weight", 0, "penalty_weight", 0),
    ("clip_value", 0.01, "clip_value", 0.01),
    ("spectral_norm", True, "spectral_norm", True),
    ("use_spectral_norm", "False", "spectral_norm", False),
    ("label_smoothing", 0.1, "label_smoothing", 0.1),
    ("disc_start", 50_001, "d_start_step", 50_001),
    ("latent_dim", 100, "z_dim", 100),
    ("nz", 100, "z_dim", 100),
    ("num_D", 2, "n_subdiscriminators", 2),
    ("lambda_adv", 0.005, "adversarial_weight", 0.005),
    ("pac", 10, "packing", 10),
    ("fp16_run", True, "amp", True),
    ("max_grad_norm", 1.0, "grad_clip", 1.0),
    ("no_lsgan", True, "family", "non-saturating"),
    ("no_lsgan", "False", "family", "lsgan"),
]


@pytest.mark.parametrize(("name", "value", "fact", "expected"), SPELLINGS)
def test_spellings_from_the_wild(name: str, value: Scalar, fact: str, expected: Scalar) -> None:
    assert facts(**{name: value}).get(fact) == expected


def test_a_fact_names_its_file_and_setting() -> None:
    assert facts_of(run({"optim_g.lr": 1e-4}))["lr_G"].source == "opt.yml: optim_g.lr"


def test_the_rate_of_one_network_is_not_the_other_ones() -> None:
    assert "lr_D" not in facts_of(run({"optim_g.lr": 1e-4}))
    assert "lr_G" not in facts_of(run({"discriminator.optimizer.lr": 1e-4}))


@pytest.mark.parametrize("name", ["lr", "learning_rate", "optimizer.lr", "trainer.opt.init_lr"])
def test_one_rate_is_that_of_both(name: str) -> None:
    found = facts(**{name: 2e-4})
    assert (found["lr_G"], found["lr_D"], found["lr_ratio"]) == (2e-4, 2e-4, 1.0)


def test_a_rate_of_one_network_outranks_the_shared_one() -> None:
    found = facts(lr=2e-4, lr_d=8e-4)
    assert (found["lr_G"], found["lr_D"], found["lr_ratio"]) == (2e-4, 8e-4, 4.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr_g", "auto"), ("lr_g", -1e-4), ("lr_g", float("nan")), ("lr_g", float("inf")), ("lr_g", True), ("lr_g", None),
        ("beta1", 1.5), ("batch_size", 0), ("batch_size", "large"), ("gan_mode", "mystery"), ("gan_mode", 3),
        ("spectral_norm", "perhaps"), ("clip_value", ""),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_left_out(name: str, value: Scalar) -> None:
    assert facts(**{name: value}) == {}


@pytest.mark.parametrize(
    "name",
    [
        "my_lr_of_nothing",
        "color",
        "alpha",
        "glr_path",
        "model_dir",
        "beta1_start",
        "discount",
        "log_batch_size_every",
    ],
)
def test_names_that_only_look_like_it(name: str) -> None:
    assert facts(**{name: 0.5}) == {}


def test_of_several_names_the_surest_then_the_shortest() -> None:
    assert facts(**{"data.batch_size": 7, "batch_size": 64})["batch_size"] == 64
    assert facts(**{"model": "wgan", "gan_mode": "hinge"})["family"] == "hinge"


def test_case_and_separators_do_not_matter() -> None:
    assert facts(**{"LR-G": 1e-4})["lr_G"] == 1e-4
    assert facts(**{"Lambda GP": 10})["penalty_weight"] == 10


def test_every_fact_fits_its_vocabulary() -> None:
    found = facts(**{name: value for name, value, _, _ in SPELLINGS if name != "no_lsgan"})
    for name, value in found.items():
        known = FACTS[name]
        if known.numeric:
            assert known.low <= float(value) <= known.high  # type: ignore[arg-type]
        if known.choices:
            assert value in known.choices


def test_a_run_without_configuration_has_no_facts() -> None:
    assert facts_of(Run(Path("run"), "run")) == {}
