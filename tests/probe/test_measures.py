from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gandoctor.probe.measures import (
    Generator,
    Measured,
    Noise,
    measure,
    on_path,
    squared_distances,
    usual_distance,
    variety,
)
from tests.probe.generators import ByClass, points, trained_dcgan

CPU = torch.device("cpu")


class Linear(nn.Module):
    """x = A z + b, whose Jacobian is A everywhere."""

    def __init__(self, a: Tensor, b: float = 0.0) -> None:
        super().__init__()
        self.a = nn.Parameter(a)
        self.b = b

    def forward(self, z: Tensor) -> Tensor:
        return z @ self.a.T + self.b


class Step(nn.Module):
    """Two points, with a way between them of some width in the first coordinate of z."""

    def __init__(self, width: float) -> None:
        super().__init__()
        self.width = width
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(z[:, :1] / self.width).expand(-1, 4) * self.scale


def with_values(rows: int, values: list[float], seed: int = 0) -> Tensor:
    """A matrix (rows, n) with these singular values."""
    stream = torch.Generator().manual_seed(seed)
    left, _ = torch.linalg.qr(torch.randn(rows, len(values), generator=stream))
    right, _ = torch.linalg.qr(torch.randn(len(values), len(values), generator=stream))
    return left @ torch.diag(torch.tensor(values)) @ right.T


def measured(
    module: nn.Module, latent: tuple[int, ...] = (8,), *, labels: int = 0, linear: bool = False
) -> Measured:
    noise = Noise.of(latent, 64, 0)
    return measure(Generator(module, CPU, labels), noise, None, linear=linear, seed=0)[0]


# --- the Jacobian


def test_condition_number_of_a_linear_generator_is_exact() -> None:
    found = measured(Linear(with_values(20, [8.0, 4, 4, 4, 2, 2, 2, 1]))).measures
    assert found["condition"] == pytest.approx(8, rel=1e-3)
    assert found["sigma_max"] == pytest.approx(8, rel=1e-3)
    assert found["log_volume"] == pytest.approx(math.log(8 * 4**3 * 2**3) / 8, rel=1e-3)
    assert found["log_volume_spread"] == pytest.approx(0, abs=1e-4)


def test_fewer_outputs_than_inputs_have_as_many_singular_values_as_outputs() -> None:
    found = measured(Linear(with_values(40, [6.0, 2.0]).T.contiguous()), (40,)).measures
    assert found["condition"] == pytest.approx(3, rel=1e-3)


def test_of_many_directions_the_condition_number_is_a_lower_bound_and_the_largest_value_found() -> None:
    values = np.linspace(1, 10, 64).tolist()
    values[-1] = 100.0
    found = measured(Linear(with_values(80, values)), (64,)).measures
    assert found["sigma_max"] == pytest.approx(100, rel=1e-2)
    assert 10 < found["condition"] <= 100 * (1 + 1e-3)


def test_a_generator_without_forward_derivatives_is_taken_by_differences() -> None:
    class Rare(torch.autograd.Function):
        @staticmethod
        def forward(ctx: object, x: Tensor) -> Tensor:
            return 2 * x

        @staticmethod
        def backward(ctx: object, grad: Tensor) -> Tensor:  # type: ignore[override]
            return 2 * grad

    class Doubled(Linear):
        def forward(self, z: Tensor) -> Tensor:
            made: Tensor = Rare.apply(super().forward(z))  # type: ignore[no-untyped-call]
            return made

    found = measured(Doubled(with_values(20, [4.0, 1, 1, 1, 1, 1, 1, 1]))).measures
    assert found["sigma_max"] == pytest.approx(8, rel=1e-2)
    assert found["condition"] == pytest.approx(4, rel=1e-2)


def test_the_jacobian_of_a_convolutional_generator_is_that_of_automatic_differentiation() -> None:
    module = trained_dcgan().eval()
    found = measured(module, (16, 1, 1)).measures
    z = Noise.of((16, 1, 1), 64, 0).fixed[:8]
    full = [torch.autograd.functional.jacobian(module, one[None]).reshape(-1, 16).double() for one in z]
    values = [torch.linalg.svdvals(one) for one in full]
    assert found["sigma_max"] == pytest.approx(float(np.median([float(one[0]) for one in values])), rel=1e-3)
    exact = np.median([float(one[0] / one[-1]) for one in values])
    assert found["condition"] == pytest.approx(exact, rel=1e-3)


# --- paths


def test_path_length_of_a_linear_generator_on_straight_paths() -> None:
    a = with_values(20, [3.0, 2, 1, 1, 1, 1, 1, 1])
    found = measured(Linear(a), linear=True).measures
    noise = Noise.of((8,), 64, 0)
    half = len(noise.ends) // 2
    exact = float(((noise.ends[half:] - noise.ends[:half]) @ a.T).square().mean())  # |A(z2 - z1)|² / d
    assert found["ppl"] == pytest.approx(exact, rel=0.02)
    assert found["ppl"] == pytest.approx(2 * float(a.square().sum()) / 20, rel=0.3)  # its mean, 2 |A|² / d


def test_the_arc_keeps_the_norm_and_the_ends() -> None:
    a, b = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(1))
    a, b = (nn.functional.normalize(one, dim=1) for one in (a, b))
    half = on_path(a, b, torch.full((5,), 0.5), linear=False)
    assert half.norm(dim=1).numpy() == pytest.approx(1, rel=1e-5)
    assert torch.allclose(on_path(a, b, torch.ones(5), linear=False), b, atol=1e-6)
    assert torch.allclose(on_path(a, b, torch.full((5,), 0.5), linear=True), (a + b) / 2, atol=1e-6)


@pytest.mark.parametrize(("width", "jumps"), [(1.0, False), (0.1, False), (0.02, False), (1e-5, True)])
def test_a_step_is_a_jump_and_a_steep_way_between_two_kinds_is_none(width: float, jumps: bool) -> None:
    found = measured(Step(width)).measures
    crossing = found["jumps"]
    assert crossing >= 0.5 if jumps else crossing == 0


# --- z


def test_a_constant_generator_depends_on_nothing() -> None:
    found = measured(Linear(torch.zeros(20, 8), b=0.7)).measures
    assert found["z_share"] == 0
    assert found["sigma_max"] == 0
    assert found["sample_std"] == 0
    assert not {"condition", "jumps"} & set(found)


def test_share_of_z_beside_a_constant() -> None:
    a = torch.eye(8)  # variance 1 in each value, mean 3
    found = measured(Linear(a, b=3.0)).measures
    assert found["z_share"] == pytest.approx(1 / 10, rel=0.3)
    assert found["sample_std"] == pytest.approx(math.sqrt(8), rel=0.1)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0.0), (0.25, 0.43), (1.0, 0.92)])
def test_share_of_z_within_classes(share: float, expected: float) -> None:
    """Variance over z: s²|W|²; over the four classes: 4/3 in all."""
    module = ByClass(share)
    weight = share**2 * float(ByClass().by_z.weight.detach().square().sum())
    found = measured(module, labels=4).measures
    assert found["z_share_in_class"] == pytest.approx(weight / (weight + 4 / 3), abs=0.1)
    assert found["z_share_in_class"] == pytest.approx(expected, abs=0.12)


def test_a_generator_with_noise_of_its_own_is_not_measured_on_paths() -> None:
    class Noisy(Linear):
        def forward(self, z: Tensor) -> Tensor:
            return super().forward(z) + torch.randn(len(z), 20)

    found = measured(Noisy(with_values(20, [1.0] * 8)))
    assert not {"ppl", "condition", "jumps"} & set(found.measures)
    assert found.measures["noise_share"] == pytest.approx(20 / 28, abs=0.15)  # variance 20 beside 8
    assert "random numbers of its own" in " ".join(found.notes)


def test_samples_that_are_not_finite_are_said_and_not_averaged() -> None:
    found = measured(Linear(torch.full((4, 8), math.nan)))
    assert math.isnan(found.measures["sample_std"])
    assert found.squares is None
    assert "100% of the samples are not finite" in found.notes[0]


# --- variety


def test_variety_counts_clusters() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(4, 50))
    x = np.repeat(centres, 16, axis=0) + 1e-3 * rng.normal(size=(64, 50))
    squares = squared_distances(x)
    found = variety(squares, usual_distance(squares))
    assert found["vendi"] == pytest.approx(4, rel=0.01)
    assert found["duplicates"] == 1


def test_variety_of_samples_with_nothing_in_common() -> None:
    x = np.random.default_rng(0).normal(size=(64, 500))
    squares = squared_distances(x)
    found = variety(squares, usual_distance(squares))
    assert found["vendi"] == pytest.approx(64, rel=0.01)
    assert found["duplicates"] == 0
    assert found["distance"] == pytest.approx(math.sqrt(2), rel=0.02)


def test_variety_is_measured_on_the_scale_of_all_snapshots() -> None:
    """A small blob has its own inner variety: beside what G made before, it is one sample."""
    blob = squared_distances(0.01 * np.random.default_rng(0).normal(size=(64, 2)))
    assert variety(blob, usual_distance(blob))["vendi"] > 10
    assert variety(blob, 1.0)["vendi"] == pytest.approx(1, abs=0.05)


def test_equal_samples_are_one() -> None:
    squares = squared_distances(np.ones((16, 3)))
    assert variety(squares, 0.0) == {"distance": 0.0, "vendi": 1.0, "duplicates": 1.0}


# --- units


def test_dead_units_are_counted_by_layer() -> None:
    module = points()
    with torch.no_grad():
        module[0].bias[:8] = -1e3  # type: ignore[operator, union-attr]
        module[2].weight.zero_()  # type: ignore[operator, union-attr]
        module[2].bias.fill_(-1.0)  # type: ignore[operator, union-attr]
    found = measured(module)
    assert found.layers["1"] == pytest.approx(0.25, abs=0.07)
    assert found.layers["3"] == 1
    assert found.measures["dead_units"] == pytest.approx(0.625, abs=0.04)


def test_a_relu_that_is_used_twice_is_two_layers() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.last = nn.Linear(8, 16), nn.Linear(16, 16), nn.Linear(16, 2)
            self.relu = nn.ReLU(inplace=True)
            nn.init.constant_(self.two.bias, -1e3)

        def forward(self, z: Tensor) -> Tensor:
            made: Tensor = self.last(self.relu(self.two(self.relu(self.one(z)))))
            return made

    found = measured(Shared()).layers
    assert found["relu"] < 0.5
    assert found["relu#1"] == 1


def test_without_relu_modules_it_says_so() -> None:
    found = measured(Linear(torch.eye(8)))
    assert "dead_units" not in found.measures
    assert any("no ReLU modules" in note for note in found.notes)


# --- the module afterwards


def test_measuring_changes_neither_the_module_nor_the_random_numbers() -> None:
    module = trained_dcgan().train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = measured(module, (16, 1, 1)).measures
    assert torch.rand(1) == expected
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert measured(module, (16, 1, 1)).measures == first
