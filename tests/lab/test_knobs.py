from __future__ import annotations

from typing import Any

import pytest

from gandoctor.interpret.facts import FACTS
from gandoctor.judge.rules import RemedyRule, applies, load_rules
from gandoctor.lab.cure_design import CONFIGURATIONS, FEWEST, PRECEDENCE, remedies_of, symptom_of
from gandoctor.lab.knobs import facts_of, with_remedy
from gandoctor.trainer import TrainConfig, baseline
from gandoctor.trainer.config import BASELINES

RULES = load_rules()


def remedy(code: str, id: str) -> RemedyRule:
    return next(one for one in RULES[code].remedies if one.id == id)


def changed(config: TrainConfig, code: str, id: str) -> dict[str, Any]:
    """What a remedy sets anew, by the trainer's names."""
    made = with_remedy(config, remedy(code, id))
    assert made is not None
    names = TrainConfig.__dataclass_fields__
    return {name: getattr(made, name) for name in names if getattr(made, name) != getattr(config, name)}


@pytest.mark.parametrize(("family", "data"), BASELINES)
def test_facts_are_in_the_rules_vocabulary(family: str, data: str) -> None:
    facts = facts_of(baseline(family, data))
    assert set(facts) <= set(FACTS)
    for name, value in facts.items():
        if FACTS[name].choices:
            assert value in FACTS[name].choices


@pytest.mark.parametrize(
    ("config", "code", "id", "expected"),
    [
        (baseline("ns", beta1=0.9), "GD401", "lower-beta1", {"beta1": 0.5}),
        (baseline("ns"), "GD102", "lower-both-lr", {"lr_g": 7.5e-4, "lr_d": 7.5e-4}),
        (baseline("ns", lr_end=1.0), "GD102", "decay-lr", {"lr_end": 0.05}),
        (baseline("hinge", "glyphs", r1=0.0), "GD402", "add-r1", {"r1": 0.3}),
        (baseline("hinge"), "GD402", "add-r1", {"r1": 0.0125}),  # its own healthy setting has none
        (baseline("ns"), "GD401", "raise-penalty", {"r1": 0.05}),
        (baseline("lsgan", "glyphs", r1=0.0), "GD402", "relativistic-r1-r2", {"family": "rpgan", "r1": 0.1, "r2": 0.1}),
        (baseline("ns", r1=0.0), "GD401", "wgan-gp", {"family": "wgan-gp", "gp": 0.1, "d_steps": 3, "beta1": 0.0}),
        (baseline("minimax", r1=0.0), "GD201", "non-saturating-loss", {"family": "ns"}),
        (baseline("ns"), "GD401", "pack-2", {"pack": 2}),
        (baseline("ns"), "GD201", "instance-noise", {"noise": 0.1, "noise_end": 0.0}),
        (baseline("ns", noise=0.3), "GD104", "anneal-noise", {"noise_end": 0.0}),
        (baseline("ns", noise=0.3, dropout=0.5), "GD202", "unblind-d", {"noise": 0.0, "dropout": 0.0}),
        (baseline("ns", lr_d=1e-4), "GD202", "level-the-rates", {"lr_d": 3e-3}),
        (baseline("ns", r1=0.0, spectral_norm=True), "GD202", "r1-for-spectral-norm",
         {"spectral_norm": False, "r1": 0.0125}),
        (baseline("ns", weight_decay=0.1), "GD401", "adamw", {"decoupled": True}),
        (baseline("ns"), "GD401", "minibatch-std", {"minibatch_std": True}),
        (baseline("ns"), "GD102", "momentum-free-optimiser",
         {"beta1": 0.0, "beta2": 0.99, "lr_g": 1.5e-3, "lr_d": 1.5e-3}),
        (baseline("wgan-clip"), "GD603", "wgan-gp", {"family": "wgan-gp", "gp": 0.1, "clip": 0.0}),
    ],
)  # fmt: skip
def test_a_remedy_is_one_change(config: TrainConfig, code: str, id: str, expected: dict[str, Any]) -> None:
    assert changed(config, code, id) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("code", "id"), [("GD401", "diff-augment"), ("GD401", "check-z"), ("GD201", "other-optimiser-for-d")]
)
def test_what_the_trainer_cannot_make_is_not_made(code: str, id: str) -> None:
    assert with_remedy(baseline("ns"), remedy(code, id)) is None


def test_a_remedy_that_changes_nothing_is_none() -> None:
    assert with_remedy(baseline("ns"), remedy("GD301", "initialisation")) is None


def test_every_remedy_of_every_rule_can_be_asked_for() -> None:
    for family, data in BASELINES:
        config = baseline(family, data)
        for rule in RULES.values():
            for one in rule.remedies:
                if applies(one, facts_of(config)):
                    with_remedy(config, one)


# --- the design


def test_names_are_unique_and_the_ill_are_not_the_baselines() -> None:
    assert len({ill.name for ill in CONFIGURATIONS}) == len(CONFIGURATIONS) >= 12
    healthy = [facts_of(baseline(family, data)) for family, data in BASELINES]
    for ill in CONFIGURATIONS:
        assert facts_of(ill.config) not in healthy or ill.config.width_g < 64


@pytest.mark.parametrize("ill", CONFIGURATIONS, ids=lambda ill: ill.name)
@pytest.mark.parametrize("code", ["GD402", "GD202", "GD104"])
def test_enough_remedies_are_screened_and_no_two_are_one(ill: Any, code: str) -> None:
    tried = remedies_of(ill, code, RULES)
    assert len(tried) >= FEWEST
    assert all(one.own for one in tried[:1])
    assert [one.own for one in tried] == sorted((one.own for one in tried), reverse=True)
    assert len({repr(one.config) for one in tried} | {repr(ill.config)}) == len(tried) + 1


def truths(*states: tuple[str, str]) -> list[dict[str, Any]]:
    """Runs by outcome and the codes that are true, "GD104?" for grey."""
    return [
        {
            "outcome": outcome,
            "codes": {c.rstrip("?"): {"state": "grey" if c[-1:] == "?" else "true"} for c in codes.split()},
        }
        for outcome, codes in states
    ]


@pytest.mark.parametrize(
    ("runs", "symptom"),
    [
        ([("ill", "GD402")] * 8 + [("healthy", "")] * 2, "GD402"),
        ([("ill", "GD402")] * 7 + [("healthy", "")] * 3, ""),  # 70%: reported apart
        ([("ill", "GD401 GD202")] * 10, "GD202"),  # the mechanism before what it leads to
        ([("ill", "GD401")] * 4 + [("ill", "GD402")] * 6, "GD402"),
        ([("ill", "GD104?")] * 10, "GD104"),  # ill of nothing else
        ([("ill", "GD402?")] * 10, ""),
        ([("ill", "GD703")] * 10, ""),  # true by its settings alone
        ([], ""),
    ],
)
def test_what_a_configuration_suffers_from(runs: Any, symptom: str) -> None:
    assert symptom_of(truths(*runs)) == symptom
    assert not symptom or symptom in PRECEDENCE
