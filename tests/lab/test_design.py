from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gandoctor.lab.design import (
    HELD_DATA,
    HELD_FAMILY,
    HELD_FAULTS,
    HELD_TAGS,
    NEAR_DOSE,
    PARTS,
    Configuration,
    draw,
)
from gandoctor.lab.styles import STYLES, TAG_STYLES, as_logged, restricted
from gandoctor.run import ImageGrid, Run, Series
from gandoctor.trainer import FAULTS
from gandoctor.trainer.config import DATA, FAMILIES, PER_RUN

LEVELS = {
    "losses": ("loss/D",),
    "outputs": ("out/real_mean",),
    "norms": ("grad_norm/D",),
    "samples": ("samples/fake_std",),
    "all": ("lr/D",),
}


@pytest.fixture(scope="module")
def study() -> list[Configuration]:
    return draw(2_000, seed=100)


def test_the_same_arguments_draw_the_same_and_a_shorter_study_is_the_beginning(
    study: list[Configuration],
) -> None:
    assert draw(64, seed=100) == study[:8]
    assert draw(64, seed=101)[0] != study[0]
    assert [len(one.runs) for one in draw(20, seed=100)] == [8, 8, 4]


def test_no_seed_and_no_id_occurs_twice(study: list[Configuration]) -> None:
    seeds = [run.seed for one in study for run in one.runs]
    assert seeds == list(range(100, 2_100))
    assert len({one.id for one in study}) == len(study)


def test_runs_of_a_configuration_differ_in_their_seed_only(study: list[Configuration]) -> None:
    assert "seed" in PER_RUN
    for one in study:
        assert len({repr(replace(run, seed=0)) for run in one.runs}) == 1


def test_half_of_the_configurations_are_healthy_and_every_fault_family_and_data_set_is_drawn(
    study: list,
) -> None:  # type: ignore[type-arg]
    kinds = Counter(one.kind for one in study)
    assert kinds["healthy"] + kinds["varied"] + kinds["near"] == len(study) // 2
    assert min(kinds.values()) > 5
    assert {one.runs[0].fault for one in study} == {"", *FAULTS}
    assert {one.runs[0].family for one in study} == set(FAMILIES)
    assert {one.runs[0].data for one in study} == set(DATA)
    for one in study:
        assert bool(one.runs[0].fault) == (one.kind in {"near", "edge", "full"})
        if one.kind == "near":
            assert NEAR_DOSE[0] <= one.runs[0].dose <= NEAR_DOSE[1]


def test_what_is_held_out_is_in_no_part(study: list[Configuration]) -> None:
    parts = {one.id: one.part(100) for one in study}
    for one in study:
        run = one.runs[0]
        held = (
            run.fault in HELD_FAULTS
            or run.family == HELD_FAMILY
            or run.data == HELD_DATA
            or one.tags == HELD_TAGS
        )
        assert (parts[one.id] == "held-out") == held
    assert HELD_FAULTS.issubset(FAULTS)
    assert HELD_TAGS in TAG_STYLES
    shares = Counter(parts.values())
    split = sum(shares[name] for name, _ in PARTS)
    for name, share in PARTS:
        assert shares[name] / split == pytest.approx(share, abs=0.1)
    assert [one.part(100) for one in study] != [one.part(101) for one in study]


def test_a_style_hides_what_it_does_not_log(study: list[Configuration]) -> None:
    config = next(one.runs[0] for one in study if one.tags == "snake")
    names = ["d_loss", "real_score", "d_grad_norm", "samples/fake_std", "d_lr"]
    run = Run(Path("x"), "x", images=[ImageGrid("a", 1, Path("a.png"))])
    ours = ("loss/D", "out/real_mean", "grad_norm/D", "samples/fake_std", "lr/D")
    for tag, name in zip(ours, names, strict=True):
        assert config.log.tags.get(tag, tag) == name
        run.series[name] = Series(name, np.arange(3), np.zeros(3), np.arange(3), Path("x"))
    for number, style in enumerate(STYLES):
        left = restricted(run, config, style, LEVELS)
        assert list(left.series) == names[: number + 1]
        assert bool(left.images) == (style.name == "everything")
        logged = as_logged(config, style).log
        assert bool(logged.images) == bool(logged.checkpoints) == style.files
    assert len(run.series) == 5  # the run itself stays whole
    for name in ("d_grad_norm/0.weight", "samples/diversity"):
        run.series[name] = replace(run.series["d_loss"], tag=name)
    by_style = [set(restricted(run, config, style, LEVELS).series) for style in STYLES]
    assert ["d_grad_norm/0.weight" in tags for tags in by_style] == [False, False, True, True, True]
    assert ["samples/diversity" in tags for tags in by_style] == [False, False, False, True, True]
