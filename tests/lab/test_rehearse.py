from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gandoctor.cli import main
from gandoctor.judge.baseline import nearest, settings_of
from gandoctor.judge.rules import load_rules
from gandoctor.lab import rehearse as rehearsals
from gandoctor.lab.knobs import facts_of
from gandoctor.lab.rehearse import Rehearsal, Tried, as_json, as_text, nearest_config
from gandoctor.trainer import TrainConfig, baseline
from gandoctor.trainer.config import BASELINES
from tests.test_imports import HEAVY, loaded

pytest.importorskip("torch")
ROOT = Path(__file__).parents[2]
RULES = load_rules()


@pytest.mark.parametrize(("family", "data"), BASELINES)
def test_a_run_of_the_trainer_comes_back_as_it_was(family: str, data: str) -> None:
    if data == "grid25":
        return
    config = baseline(family, data, lr_g=1e-4, beta1=0.7, lr_end=1.0, batch=32)
    made, carried, left = nearest_config(facts_of(config))
    assert facts_of(made) == facts_of(config)
    assert not any(one.assumed for one in carried)
    assert left == ()


def test_rates_are_carried_by_their_distance_from_what_is_usual() -> None:
    dcgan = {
        "family": "non-saturating",
        "lr_G": 2e-5,
        "lr_D": 2e-4,
        "beta1": 0.5,
        "batch_size": 128,
        "penalty": "none",
    }
    published = nearest(dcgan)
    assert published is not None
    usual = {name: settings_of(published.id).get(name) or 2e-4 for name in ("lr_G", "lr_D")}
    made, carried, left = nearest_config(dcgan, published)
    assert (made.family, made.data, made.r1) == ("ns", "glyphs", 0.0)
    assert made.lr_g == pytest.approx(baseline("ns", "glyphs").lr_g * 2e-5 / float(usual["lr_G"]))
    assert made.lr_d == pytest.approx(baseline("ns", "glyphs").lr_d * 2e-4 / float(usual["lr_D"]))
    alone = nearest_config(dcgan)[0]
    assert (alone.lr_g, alone.lr_d) == pytest.approx((1e-4, 1e-3))
    assert "batch_size" in left
    assert next(one for one in carried if one.fact == "data").assumed


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, {"family": "ns", "data": "glyphs"}),
        ({"family": "unknown", "data": "celeba"}, {"family": "ns"}),
        ({"family": "wgan", "clip_value": 0.1}, {"family": "wgan-clip", "clip": 0.5}),
        ({"family": "wgan-gp", "penalty": "none"}, {"family": "wgan-gp", "gp": 0.0}),
        ({"family": "hinge", "penalty": "gp"}, {"family": "hinge", "gp": 0.0, "r1": 0.3}),
        ({"family": "relativistic", "data": "grid25"}, {"family": "rpgan", "data": "glyphs"}),
        (
            {"lr_G": 1e9, "spectral_norm": True, "instance_noise": 0.2},
            {"lr_g": 1.0, "noise": 0.2, "noise_end": 1.0},
        ),
        ({"optimizer": "rmsprop", "n_critic": 5}, {"d_steps": 5, "beta1": 0.5}),
    ],
)
def test_what_is_missing_or_odd_is_taken_as_healthy(facts: dict[str, Any], expected: dict[str, Any]) -> None:
    made = nearest_config(facts)[0]
    assert {name: getattr(made, name) for name in expected} == pytest.approx(expected)


def made_up(**changes: Any) -> Rehearsal:
    first: dict[str, Any] = {
        "path": Path("runs/mine"), "code": "GD402", "config": TrainConfig(), "carried": (), "left": ("augmentation",),
        "seeds": 5, "ill": 5, "shown": 4, "control": Tried("", 0, 1, 5), "tried": (Tried("wgan-gp", 4, 5, 5),),
        "skipped": ("diff-augment",),
    }  # fmt: skip
    return Rehearsal(**first | changes)


def test_what_cured_is_said_with_its_interval_and_the_caveat() -> None:
    text = as_text(made_up(), RULES)
    assert "4 of 5 (95%: 38–96%), symptom gone in 5: wgan-gp" in text
    assert "0 of 5, symptom gone in 1: no change" in text
    assert "Not tried, since the trainer cannot make them: diff-augment." in text
    assert "not its networks, its data or its length" in text
    assert "预演" in as_text(made_up(), RULES, "zh")
    record = json.loads(as_json(made_up()))
    assert (record["version"], record["reproduced"], record["control"]["cured"]) == (1, True, 0)
    assert record["remedies"] == [
        {"id": "wgan-gp", "cured": 4, "gone": 5, "tried": 5, "interval": [0.376, 0.964],
         "lift_interval": [0.193, 0.964]}
    ]  # fmt: skip
    assert record["configuration"]["family"] == "non-saturating"


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_symptom_that_does_not_come_is_said(lang: str) -> None:
    done = made_up(ill=5, shown=2, tried=())
    assert not done.reproduced
    text = as_text(done, RULES, lang)
    assert ("does not show GD402 here" if lang == "en" else "没有重现 GD402") in text
    assert not made_up(ill=2, shown=5).reproduced  # the mechanism alone, at healthy samples, is no illness


def test_nothing_is_tried_where_the_symptom_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fixture of lost modes, rehearsed for too few steps to lose any: gandoctor says so and stops."""
    trained: list[TrainConfig] = []
    train = rehearsals._train

    def counted(config: TrainConfig, *rest: Any) -> Any:
        trained.append(config)
        return train(config, *rest)

    monkeypatch.setattr(rehearsals, "_train", counted)
    run = str(ROOT / "fixtures" / "lost-modes")
    words = ["rehearse", run, "--seeds", "1", "--steps", "20", "--format", "json"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 3, done.output
    record = json.loads(done.stdout)
    assert (record["code"], record["reproduced"], record["remedies"]) == ("GD402", False, [])
    assert len(trained) == 1
    assert (trained[0].family, trained[0].data, trained[0].r1) == ("lsgan", "glyphs", 0.0)


def test_a_run_without_a_symptom_is_told() -> None:
    done = CliRunner().invoke(main, ["rehearse", str(ROOT / "fixtures" / "healthy-hinge")])
    assert done.exit_code == 2
    assert "there is no symptom to rehearse" in done.output
    both = CliRunner().invoke(main, ["rehearse", "a", "b"])
    assert "one run is rehearsed at a time" in both.output


def test_help_loads_nothing_heavy() -> None:
    assert HEAVY.isdisjoint(loaded("rehearse", "--help"))
    assert HEAVY.isdisjoint(loaded("lab", "cure", "--help"))
