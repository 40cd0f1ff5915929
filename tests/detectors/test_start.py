from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gandoctor.detectors.start import starts_too_large, starts_too_small
from gandoctor.findings import Finding, Severity
from gandoctor.run import Run
from tests.checkpoints import D_SIZES, G_SIZES, Net, adam, healthy, net, run_with, saved
from tests.runs import hears, measured, one_finding, refusal

torch = pytest.importorskip("torch")
nn = torch.nn

small, large = map(hears, (starts_too_small, starts_too_large))

EMPTY = {"state": {}, "param_groups": [{"lr": 1e-3, "betas": (0.5, 0.999), "params": list(range(8))}]}
DEEP = (16,) * 9 + (1,)


def begun(d: Net, **more: Any) -> Run:
    """A snapshot of step 0, and one of later."""
    later = {"D": {key: value * 1.1 for key, value in d.items()}, "opt_D": adam(d, 500)}
    return saved({0: {"D": d, "opt_D": EMPTY, **more}, 500: later})


def normal(sizes: tuple[int, ...], sigma: float) -> Net:
    made = net(sizes)
    rng = np.random.default_rng(0)
    return {key: rng.normal(0, sigma, value.shape).astype(np.float32) for key, value in made.items()}


FIRES = {"starts_too_small": begun(normal(DEEP, 0.01)), "starts_too_large": begun(normal(D_SIZES, 1.0))}
SILENT = {"starts_too_small": begun(net(DEEP)), "starts_too_large": begun(net(D_SIZES))}


def quiet(run: Run) -> bool:
    return not any(isinstance(one, Finding) for hear in (small, large) for one in hear(run))


def test_what_first_weights_make_of_a_signal() -> None:
    finding = one_finding(large(FIRES["starts_too_large"]))
    assert (finding.severity, finding.stretch.onset, finding.stretch.end) == (Severity.INFO, 0, 0)
    # √(24/2) · √(48/2)³ at σ 1
    assert measured(finding)["what the first weights of D make of a signal"] == pytest.approx(407, rel=0.1)
    assert one_finding(small(FIRES["starts_too_small"])).params["gain"] == pytest.approx(
        (0.01 * 8**0.5) ** 9, rel=0.5
    )


@pytest.mark.parametrize(("sigma", "fires"), [(0.5, 0), (0.65, 1)])
def test_fifty_times_decides(sigma: float, fires: int) -> None:
    said = large(begun(normal(D_SIZES, sigma)))  # 407 · σ⁴ = 25 and 73
    assert len(said) == fires


def dcgan() -> tuple[Any, Any]:
    """Radford et al. 2015, arXiv:1511.06434, with its first weights."""
    torch.manual_seed(0)
    g = nn.Sequential(
        nn.ConvTranspose2d(100, 128, 4, bias=False), nn.BatchNorm2d(128), nn.ReLU(),
        nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
        nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), nn.Tanh(),
    )  # fmt: skip
    d = nn.Sequential(
        nn.Conv2d(3, 64, 4, 2, 1, bias=False), nn.LeakyReLU(0.2), nn.Conv2d(64, 128, 4, 2, 1, bias=False),
        nn.BatchNorm2d(128), nn.LeakyReLU(0.2), nn.Conv2d(128, 1, 4, bias=False),
    )  # fmt: skip
    for one in (g, d):
        for module in one.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, 0, 0.02)
    return g, d


def test_published_first_weights_are_quiet() -> None:
    g, d = dcgan()
    run = run_with({"model_0.pt": {"G": g.state_dict(), "D": d.state_dict()}})
    assert small(run) == []
    assert large(run) == []
    usual = nn.Sequential(*(nn.Linear(64, 64) for _ in range(12)), nn.Linear(64, 1))
    assert quiet(run_with({"model_0.pt": {"D": usual.state_dict()}}))


def test_equalised_rates_are_no_illness() -> None:
    # stored weights of size 1, scaled when they are used: Karras et al. 2017, arXiv:1710.10196
    d = normal(D_SIZES, 1.0) | {f"{2 * at}.bias": np.zeros(n, np.float32) for at, n in enumerate(D_SIZES[1:])}
    assert quiet(begun(d))
    assert quiet(begun(normal(D_SIZES, 1.0) | {"mapping.w_avg": np.zeros(8, np.float32)}))


def test_layers_that_form_no_chain_or_are_rescaled_are_not_judged() -> None:
    apart = normal(D_SIZES, 1.0)
    apart["4.weight"] = apart["4.weight"][:, :40]
    assert refusal(large(begun(apart)))[1] == "no-snapshot-of-the-start"
    wrapped = nn.Sequential(*(nn.utils.spectral_norm(nn.Linear(16, 16)) for _ in range(4)))
    for module in wrapped:
        nn.init.normal_(module.weight_orig, 0, 1.0)
    assert quiet(run_with({"model_0.pt": {"D": wrapped.state_dict()}}))
    zero = net(DEEP)
    zero["4.weight"] = np.zeros_like(zero["4.weight"])  # a residual branch that starts at nothing
    assert quiet(begun(zero))


def test_later_snapshots_are_no_start() -> None:
    assert refusal(large(saved({500: {"D": normal(D_SIZES, 1.0), "opt_D": adam(net(D_SIZES), 500)}})))[0] == (
        "not-examinable"
    )
    assert (
        refusal(small(run_with({"best.pt": {"G": normal(G_SIZES, 1e-4)}})))[1] == "no-snapshot-of-the-start"
    )
    assert refusal(small(saved(healthy())))[2] == "checkpoints"
