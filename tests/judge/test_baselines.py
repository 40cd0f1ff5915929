"""rules/baselines.toml: published settings, by the names of facts, each with its source."""

import re
import tomllib

import msgspec
import pytest

from gandoctor.interpret.facts import FACTS
from gandoctor.thresholds import rules_folder

ARXIV = re.compile(r"arXiv:\d{4}\.\d{5}\b|arXiv:1[0-4]\d{2}\.\d{4}\b")
FILE = re.compile(r"[\w.-]+/[\w.-]+, \S+\.(py|json|yml|yaml|sh|md)\b|of [\w.-]+/[\w.-]+, \S+\.py")


class Baseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    name: str
    source: str
    settings: dict[str, bool | int | float | str]


class Baselines(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    baselines: tuple[Baseline, ...]


DATA = tomllib.loads((rules_folder() / "baselines.toml").read_text(encoding="utf-8"))
BASELINES = {one.id: one for one in msgspec.convert(DATA, Baselines, strict=True).baselines}
each = pytest.mark.parametrize("baseline", BASELINES.values(), ids=BASELINES)


def test_ids_and_names_are_unique() -> None:
    entries = DATA["baselines"]
    assert len(BASELINES) == len(entries)
    assert len({entry["name"] for entry in entries}) == len(entries)


@each
def test_a_source_is_a_paper_or_a_file(baseline: Baseline) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", baseline.id)
    assert ARXIV.search(baseline.source) or FILE.search(baseline.source)


@each
def test_settings_are_facts_with_values_that_they_may_have(baseline: Baseline) -> None:
    for name, value in baseline.settings.items():
        fact = FACTS[name]
        if fact.kind == "flag":
            assert isinstance(value, bool), name
        elif fact.kind == "word":
            assert value in fact.choices, name
        else:
            assert not isinstance(value, bool | str), name
            assert isinstance(value, int) or fact.kind == "number", name
            assert fact.low <= value <= fact.high, name


@each
def test_settings_do_not_contradict_each_other(baseline: Baseline) -> None:
    have = baseline.settings
    assert "family" in have
    assert "lr_ratio" not in have  # it follows from the two rates
    assert ("lr_G" in have) == ("lr_D" in have)
    assert (have.get("penalty") == "gp") == (have["family"] == "wgan-gp")
    assert "penalty_weight" not in have or have.get("penalty") in ("r1", "gp", "r1+r2")
    assert "clip_value" not in have or have["family"] == "wgan"
    assert "beta1" not in have or have["optimizer"] in ("adam", "adamw")


# What the papers print, typed in again from them rather than from the file.
@pytest.mark.parametrize(
    ("name", "lr_g", "lr_d", "betas", "n_critic"),
    [
        ("dcgan", 2e-4, 2e-4, (0.5, None), 1),
        ("wgan", 5e-5, 5e-5, (None, None), 5),
        ("wgan-gp", 1e-4, 1e-4, (0.0, 0.9), 5),
        ("sn-gan", 2e-4, 2e-4, (0.0, 0.9), 5),
        ("sagan", 1e-4, 4e-4, (0.0, None), 1),
        ("biggan", 5e-5, 2e-4, (0.0, 0.999), 2),
        ("stylegan2", 2e-3, 2e-3, (0.0, 0.99), 1),
        ("hifi-gan", 2e-4, 2e-4, (0.8, 0.99), 1),
    ],
)
def test_the_classics(
    name: str, lr_g: float, lr_d: float, betas: tuple[float | None, float | None], n_critic: int
) -> None:
    have = BASELINES[name].settings
    assert (have["lr_G"], have["lr_D"], have["n_critic"]) == (lr_g, lr_d, n_critic)
    assert (have.get("beta1"), have.get("beta2")) == betas
