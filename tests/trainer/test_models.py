from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gandoctor.trainer.models import Adam, Mlp  # noqa: E402


def mlp(runs: int = 2, **options: bool) -> Mlp:
    streams = [torch.Generator().manual_seed(i) for i in range(runs)]
    return Mlp([3, 8, 8, 1], "leaky_relu", "linear", [0.0] * runs, streams, **options)


def test_equals_a_sequential_of_the_same_weights() -> None:
    network, x = mlp(), torch.randn(2, 5, 3)
    plain = torch.nn.Sequential(
        torch.nn.Linear(3, 8), torch.nn.LeakyReLU(0.2), torch.nn.Linear(8, 8), torch.nn.LeakyReLU(0.2),
        torch.nn.Linear(8, 1),
    )  # fmt: skip
    for layer in range(3):
        plain[2 * layer].weight.data = network.weights[2 * layer][1].detach().T
        plain[2 * layer].bias.data = network.weights[2 * layer + 1][1, 0].detach()
    assert torch.allclose(network(x)[1], plain(x[1]), atol=1e-6)


def test_a_nan_stays_in_its_run() -> None:
    network = mlp()
    network.flat[0, 0] = torch.nan
    gradient = network.gradient(network(torch.randn(2, 5, 3)).square().mean((1, 2)))
    assert not torch.isfinite(gradient[0]).all()
    assert torch.isfinite(gradient[1]).all()


def test_adam_is_torch_adam() -> None:
    flat = torch.randn(1, 6, generator=torch.Generator().manual_seed(0))
    reference = torch.nn.Parameter(flat.clone())
    theirs = torch.optim.Adam([reference], lr=0.01, betas=(0.5, 0.9), weight_decay=0.1)
    ours = Adam(flat, torch.tensor([[0.5]]), torch.tensor([[0.9]]), torch.tensor([[0.1]]))
    for i in range(5):
        gradient = torch.full((1, 6), float(i - 2))
        reference.grad = gradient.clone()
        theirs.step()
        ours.step(gradient, torch.tensor([[0.01]]))
    assert torch.allclose(flat, reference.detach(), atol=1e-6)


def test_spectral_norm_brings_every_layer_to_one() -> None:
    network = mlp(spectral_norm=True)
    for _ in range(50):
        network(torch.zeros(2, 1, 3))
    largest = [torch.linalg.matrix_norm(network._weight(layer), 2) for layer in range(3)]
    assert torch.allclose(torch.stack(largest), torch.ones(3, 2), atol=1e-3)


def test_batch_norm_takes_the_mean_and_scale_of_a_batch_away() -> None:
    network = mlp(batch_norm=True)
    x = torch.randn(2, 200, 3)
    assert torch.allclose(network(x), network(x * 7), atol=1e-3)
