from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from gandoctor.errors import UserError
from gandoctor.probe.snapshots import find, tensors_of
from gandoctor.probe.weights import Fit, load
from tests.probe.generators import DCGAN, LATENT, ByClass, OneClass, points, trained_dcgan

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.nn.utils import spectral_norm as old_spectral_norm
    from torch.nn.utils import weight_norm as old_weight_norm


def loaded(
    module: nn.Module, state: object, folder: Path, name: str = "g.pt", ema: bool | None = None
) -> Fit:
    """What `load` makes of a file that holds this."""
    path = folder / name
    torch.save(state, path)
    [(_, files)] = find([path]).snapshots
    dicts, problems = tensors_of(files)
    assert not problems
    return load(module, dicts, str(path), ema)


def same(one: nn.Module, two: nn.Module, z: Tensor | None = None) -> bool:
    z = torch.randn(4, LATENT) if z is None else z
    one.eval(), two.eval()
    with torch.no_grad():
        return torch.allclose(one(z), two(z), atol=1e-5)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"G": {f"module.{key}": value for key, value in state.items()}},
        lambda state: {"state_dict": {f"generator.{key}": value for key, value in state.items()}
                       | {f"discriminator.{key}": value + 1 for key, value in state.items()
                          if not key.startswith("0")}},
        lambda state: {"netG": state, "netD": {"0.weight": torch.ones(32, 2)}, "args": {"lr": 1e-3}},
    ],
    ids=["alone", "lightning", "data-parallel", "in one dict with D", "beside D"],
)  # fmt: skip
def test_weights_are_found_wherever_they_lie(
    wrap: Callable[[dict[str, Tensor]], object], tmp_path: Path
) -> None:
    trained, module = points(seed=1), points(seed=2)
    loaded(module, wrap(trained.state_dict()), tmp_path)
    assert same(module, trained)


def test_a_file_of_numpy_arrays(tmp_path: Path) -> None:
    trained, module = points(seed=1), points(seed=2)
    np.savez(tmp_path / "g.npz", **{key: value.numpy() for key, value in trained.state_dict().items()})
    [(_, files)] = find([tmp_path / "g.npz"]).snapshots
    load(module, tensors_of(files)[0], "g.npz")
    assert same(module, trained)


def test_a_whole_pickled_module_is_read_and_never_run(tmp_path: Path) -> None:
    trained, module = trained_dcgan(), DCGAN()
    loaded(module, trained, tmp_path)
    assert same(module, trained, torch.randn(4, 16, 1, 1))


def test_the_average_comes_first_unless_the_live_weights_are_asked_for(tmp_path: Path) -> None:
    live, average = points(seed=1), points(seed=2)
    state = {"G": live.state_dict(), "G_ema": average.state_dict()}
    module = points(seed=3)
    assert loaded(module, state, tmp_path).ema
    assert same(module, average)
    assert not loaded(module, state, tmp_path, ema=False).ema
    assert same(module, live)
    with pytest.raises(UserError, match="no moving average of the generator, only G"):
        loaded(module, {"G": live.state_dict()}, tmp_path, ema=True)


def test_a_list_of_averaged_parameters_goes_in_by_order(tmp_path: Path) -> None:
    average, module = points(seed=1), points(seed=2)
    shadow = {"decay": 0.999, "shadow_params": [one.detach() for one in average.parameters()]}
    assert loaded(module, {"G": module.state_dict(), "ema": shadow}, tmp_path).ema
    assert same(module, average)


def test_the_generator_inside_a_wrapper_is_filled(tmp_path: Path) -> None:
    trained, module = ByClass(0.3), OneClass()
    loaded(module, {"G": trained.state_dict()}, tmp_path)
    assert torch.equal(module.G.by_z.weight, trained.by_z.weight)


def test_counters_of_batches_may_be_missing(tmp_path: Path) -> None:
    trained, module = trained_dcgan(), DCGAN()
    state = {key: value for key, value in trained.state_dict().items() if "num_batches" not in key}
    loaded(module, state, tmp_path)
    assert same(module, trained, torch.randn(4, 16, 1, 1))


# --- normalised weights


def conv(normalised: Callable[[nn.Module], nn.Module] | None, seed: int) -> nn.Sequential:
    """A transposed convolution (whose units lie along the second axis) and a linear layer."""
    torch.manual_seed(seed)
    layers = [nn.ConvTranspose2d(4, 6, 3), nn.Linear(3, 5)]
    if normalised is not None:
        layers = [normalised(layer) for layer in layers]  # type: ignore[misc]
    made = nn.Sequential(*layers)
    made.train()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        for _ in range(50):
            made(torch.randn(2, 4, 1, 1))
    return made.eval()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("saved", "built"),
    [
        (old_spectral_norm, old_spectral_norm),
        (parametrizations.spectral_norm, parametrizations.spectral_norm),
        (old_spectral_norm, parametrizations.spectral_norm),
        (parametrizations.spectral_norm, old_spectral_norm),
        (old_spectral_norm, None),
        (parametrizations.spectral_norm, None),
        (old_weight_norm, parametrizations.weight_norm),
        (parametrizations.weight_norm, old_weight_norm),
        (old_weight_norm, None),
    ],
    ids=["old", "new", "old to new", "new to old", "old to none", "new to none", "weight norm to new",
         "weight norm to old", "weight norm to none"],
)  # fmt: skip
def test_normalised_weights_fit_in_either_form(
    saved: Callable[[nn.Module], nn.Module], built: Callable[[nn.Module], nn.Module] | None, tmp_path: Path
) -> None:
    trained, module = conv(saved, 1), conv(built, 2)
    z = torch.randn(3, 4, 1, 1)
    assert not same(module, trained, z)
    loaded(module, trained.state_dict(), tmp_path)
    assert same(module, trained, z)


# --- what does not fit


def test_other_sizes_are_named_with_both(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="The nearest are G, where 4 tensors fit and 2 do not") as caught:
        loaded(points(size=3), {"G": points().state_dict()}, tmp_path)
    assert "4.weight is 2x32 in the file, 3x32 in the generator" in str(caught.value)


def test_other_names_are_named_with_the_nearest(tmp_path: Path) -> None:
    state = {key.replace("main.6", "main.7"): value for key, value in DCGAN().state_dict().items()}
    with pytest.raises(UserError) as caught:
        loaded(DCGAN(), state, tmp_path)
    assert "main.6.weight is missing (the file has main.7.weight)" in str(caught.value)
    assert "main.7.weight is in the file alone" in str(caught.value)


def test_a_file_of_something_else_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no tensor in it fits the generator") as caught:
        loaded(points(), {"encoder": {"w": torch.ones(3)}}, tmp_path)
    assert "the generator's first tensor is 0.weight" in str(caught.value)


def test_weights_without_normalisation_do_not_fit_where_the_generator_has_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"0\.parametrizations\.weight\.original is missing"):
        loaded(nn.Sequential(parametrizations.spectral_norm(nn.Linear(4, 4))),
               nn.Sequential(nn.Linear(4, 4)).state_dict(), tmp_path)  # fmt: skip
