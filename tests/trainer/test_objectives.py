from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from gandoctor.trainer.objectives import OBJECTIVES, one_centred, slope, zero_centred  # noqa: E402

CHANCE = {  # D's total and G's loss at equilibrium; for LSGAN the output there is 1/2
    "ns": (1.3863, 0.6931), "minimax": (1.3863, -0.6931), "hinge": (2.0, 0.0), "lsgan": (0.25, 0.125),
    "rpgan": (0.6931, 0.6931), "wgan-gp": (0.0, 0.0), "wgan-clip": (0.0, 0.0),
}  # fmt: skip
WON = {  # where a D that is perfect by a margin of 20 brings them (real 10, fake -10; LSGAN: 1 and 0)
    "ns": (0.0, 10.0), "minimax": (0.0, 0.0), "hinge": (0.0, 10.0), "lsgan": (0.0, 0.5),
    "rpgan": (0.0, 20.0), "wgan-gp": (-20.0, 10.0), "wgan-clip": (-20.0, 10.0),
}  # fmt: skip


def losses(family: str, real: float, fake: float) -> tuple[float, float]:
    on_real, on_fake = torch.full((1, 4), real), torch.full((1, 4), fake)
    halves = OBJECTIVES[family].d(on_real, on_fake)
    return float(sum(half for half in halves if half is not None)), float(
        OBJECTIVES[family].g(on_real, on_fake)
    )


@pytest.mark.parametrize("family", OBJECTIVES)
def test_equilibrium(family: str) -> None:
    output = 0.5 if family == "lsgan" else 0.0
    assert losses(family, output, output) == pytest.approx(CHANCE[family], abs=1e-4)


@pytest.mark.parametrize("family", OBJECTIVES)
def test_perfect_discriminator(family: str) -> None:
    real, fake = (1.0, 0.0) if family == "lsgan" else (10.0, -10.0)
    assert losses(family, real, fake) == pytest.approx(WON[family], abs=1e-3)


@pytest.mark.parametrize(
    ("family", "d", "g"),
    [  # by hand, C(x) = 1, C(G) = 2
        ("ns", math.log1p(math.exp(-1)) + math.log1p(math.exp(2)), math.log1p(math.exp(-2))),
        ("hinge", 0 + 3, -2), ("lsgan", 0 + 2, 0.5), ("rpgan", math.log1p(math.e), math.log1p(math.exp(-1))),
        ("wgan-gp", 1, -2),
    ],
)  # fmt: skip
def test_fooled_discriminator(family: str, d: float, g: float) -> None:
    assert losses(family, 1.0, 2.0) == pytest.approx((d, g), rel=1e-5)


def test_penalties_of_a_linear_critic() -> None:
    x = torch.randn(1, 5, 2, requires_grad=True)
    gradient = slope(x @ torch.tensor([3.0, 4.0]), x)  # |grad C| = 5 everywhere
    assert float(zero_centred(gradient, torch.tensor([0.2]))) == pytest.approx(2.5)
    assert float(one_centred(gradient, torch.tensor([10.0]))) == pytest.approx(160)


def test_penalty_of_a_dead_critic_is_finite_and_so_is_its_gradient() -> None:
    weight = torch.zeros(2, requires_grad=True)
    x = torch.randn(1, 5, 2, requires_grad=True)
    one_centred(slope(x @ weight, x), torch.ones(1)).sum().backward()
    assert torch.isfinite(weight.grad).all()
