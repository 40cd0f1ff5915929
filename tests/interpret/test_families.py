"""The scales against the losses' own mathematics, and the inference on games that are simulated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gandoctor.interpret.families import FAMILIES, LOG2, Evidence, Form, infer
from gandoctor.run import Values
from tests.runs import LOSSES

BLIND = {"lsgan": 0.5}  # D's output where it cannot tell; 0 elsewhere
SEEN = {"halves": True, "start": False, "said": {}}


def game(
    family: str, gap: float, points: int = 300, batch: int = 64, seed: int = 0
) -> tuple[Values, Values, Values]:
    """(D's loss, its fake half, G's loss) of a game whose outputs drift `gap` apart, float64 (points,)."""
    rng = np.random.default_rng(seed)
    grows = gap * np.linspace(0.1, 1, points)[:, None]
    middle = BLIND.get(family, 0.0)
    spread = 0.15 if family == "lsgan" else 1.0
    real = middle + grows / 2 + spread * rng.normal(size=(points, batch))
    fake = middle - grows / 2 + spread * rng.normal(size=(points, batch))
    d_real, d_fake, g = LOSSES[family]
    return (d_real(real) + d_fake(fake)).mean(1), d_fake(fake).mean(1), g(fake).mean(1)


@pytest.mark.parametrize(
    ("family", "d", "g"),
    [
        ("non-saturating", 2 * LOG2, LOG2),
        ("minimax", 2 * LOG2, -LOG2),
        ("lsgan", 0.5, 0.25),
        ("hinge", 2.0, 0.0),
    ],
)
def test_lead_and_debt_are_0_at_equilibrium(family: str, d: float, g: float) -> None:
    form = Form(FAMILIES[family], 1.0, 1.0)
    assert form.lead(np.array([d])) == pytest.approx(0)
    assert form.debt(np.array([g])) == pytest.approx(0)


@pytest.mark.parametrize("family", ["non-saturating", "minimax", "lsgan", "hinge"])
def test_lead_is_1_at_a_perfect_d(family: str) -> None:
    assert Form(FAMILIES[family], 1.0, 1.0).lead(np.array([0.0])) == 1


@pytest.mark.parametrize(("family", "g"), [("lsgan", 1.0), ("minimax", 0.0)])
def test_debt_ends_at_1_where_g_saturates(family: str, g: float) -> None:
    assert Form(FAMILIES[family], 1.0, 1.0).debt(np.array([g])) == pytest.approx(1)


@given(family=st.sampled_from(["non-saturating", "lsgan", "hinge"]), seed=st.integers(0, 99),
       centre=st.floats(-6, 6), spread=st.floats(0.01, 4))  # fmt: skip
def test_no_outputs_whatever_lie_below_the_floor(
    family: str, seed: int, centre: float, spread: float
) -> None:
    fake = centre + spread * np.random.default_rng(seed).normal(size=64)
    _, d_fake, g = LOSSES[family]
    floor = FAMILIES[family].floor
    assert floor is not None
    assert d_fake(fake).mean() >= floor(np.array([g(fake).mean()]))[0] - 1e-9


@pytest.mark.parametrize("family", ["non-saturating", "minimax", "lsgan", "hinge", "wgan"])
@pytest.mark.parametrize("gap", [0.3, 1.5])
def test_the_family_is_read_off_the_values(family: str, gap: float) -> None:
    d, fake, g = game(family, gap if family != "lsgan" else gap / 3)
    scale = infer(Evidence(d, g, fake, **SEEN))
    names = {"wgan", "wgan-gp"} if family == "wgan" else {family}
    assert sum(form.probability for form in scale.forms if form.family.name in names) > 0.5


def test_a_mean_of_the_halves_is_told_from_their_sum_by_its_start() -> None:
    d, _, g = game("non-saturating", 1.5)
    for factor in (1.0, 0.5):
        scale = infer(Evidence(d * factor, g, None, halves=False, start=True, said={}))
        assert scale.best.d_factor == factor


def test_summed_sub_discriminators_scale_the_equilibrium() -> None:
    d, fake, g = game("lsgan", 0.3)
    scale = infer(Evidence(8 * d, 8 * g, 8 * fake, **SEEN, k=8))
    assert scale.best.d_equilibrium == pytest.approx(4)
    assert scale.best.g_equilibrium == pytest.approx(2)


def test_an_unsure_family_takes_the_mildest_reading() -> None:
    sure = infer(
        Evidence(np.full(100, 0.1), np.full(100, 3.0), None, False, False, {}, surely="non-saturating")
    )
    assert len(sure.likely) == 2  # sum or mean: the log does not tell
    assert sure.lead(np.array([0.1]))[0] == pytest.approx(1 - 0.1 / LOG2)


def test_a_critic_has_no_lead() -> None:
    d, _, g = game("wgan", 1.5)
    assert not infer(Evidence(d, g, None, False, False, {"wgan": 4.0})).defined


def test_srgan_code_with_a_linear_loss_is_known_by_its_scores() -> None:
    rng = np.random.default_rng(0)
    real, fake = rng.uniform(0.3, 0.9, (2, 200))
    seen = Evidence(1 - real + fake, np.full(200, 0.01), None, False, False, {}, scores=(real, fake))
    assert infer(seen).name == "srgan-linear"


def test_a_rare_family_that_starts_far_off_is_unlikely_but_no_contradiction() -> None:
    # Minimax from weights N(0, 1): D's loss falls from 200, G's rises from -50 to -0.
    fake = np.concatenate([[50.0, 57, 35, 40], np.geomspace(20, 1e-6, 196)])
    d = fake + np.concatenate([[212.0, 143, 85, 42], np.geomspace(20, 1e-6, 196)])
    seen = Evidence(d=d, g=-fake, fake=fake, halves=True, start=True, said={})
    assert infer(seen).name == "minimax"


def test_boundary_equilibrium_is_known_by_its_names_alone() -> None:
    nothing_fits = np.linspace(-5.0, 300.0, 200)
    seen = Evidence(d=nothing_fits, g=-nothing_fits, fake=None, halves=False, start=False, said={})
    assert infer(seen).name != "began"
    named = Evidence(
        d=nothing_fits, g=-nothing_fits, fake=None, halves=False, start=False, said={"began": 18.0}
    )
    assert infer(named).name == "began"
