from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gandoctor.detectors.schedule import (
    d_is_swept_away,
    d_rate_is_gone,
    d_steps_jump,
    g_is_swept_away,
    g_rate_is_gone,
    g_steps_jump,
    rates_far_apart,
    rates_out_of_the_usual,
)
from gandoctor.findings import Kind, Severity
from gandoctor.run import Run
from tests.runs import (
    Said,
    Shape,
    hears,
    jump,
    level,
    make_run,
    measured,
    noisy,
    one_finding,
    pieces,
    ramp,
    refusal,
)

unusual, apart = hears(rates_out_of_the_usual), hears(rates_far_apart)
gone = {"G": hears(g_rate_is_gone), "D": hears(d_rate_is_gone)}
jumps = {"G": hears(g_steps_jump), "D": hears(d_steps_jump)}
swept = {"G": hears(g_is_swept_away), "D": hears(d_is_swept_away)}
NETWORKS = pytest.mark.parametrize("network", ["G", "D"])


def configured(**settings: float | str) -> Run:
    return make_run(
        {"loss_D": noisy(level(0.9), 0.1), "loss_G": noisy(level(1.2), 0.1)}, settings=dict(settings)
    )


def rate(shape: Shape, network: str = "G") -> Run:
    return make_run({f"lr_{network}": shape, "loss_D": level(1.0)})


def cosine(t: np.ndarray) -> np.ndarray:
    return 1e-4 * (1 + np.cos(np.pi * t))


def trained(
    lr: float, *, network: str = "G", clip: float = np.inf, decay: float = 0.0, layer: str = "", steps: int = 400,
    first: float = 0.1,
) -> Run:  # fmt: skip
    """Norms of a network of 500 weights that Adam trains on noisy gradients, logged every 10 steps from 0 on.

    clip: bound of the weights. decay: L2 weight in the gradient. first: standard deviation of the first weights.
    """
    rng, n = np.random.default_rng(0), 500
    weights, lasting = rng.normal(0, first, n), rng.normal(0, 0.5, n)
    m, v = np.zeros(n), np.zeros(n)
    rows = []
    for t in range(steps):
        gradient = lasting + rng.normal(0, 0.2, n) + decay * weights
        m, v = 0.5 * m + 0.5 * gradient, 0.9 * v + 0.1 * gradient**2
        before = weights
        weights = weights - lr * (m / (1 - 0.5 ** (t + 1))) / np.sqrt(v / (1 - 0.9 ** (t + 1)))
        weights = np.clip(weights, -clip, clip)
        rows.append((np.linalg.norm(weights - before), np.linalg.norm(weights)))
    end = f"_{network}" + (f"/{layer}" if layer else "")
    moved, size = np.array(rows)[::10].T
    return make_run({f"step_norm{end}": moved, f"weight_norm{end}": size}, every=10)


def stepping(shape: Shape, network: str = "G", gradient: Shape | None = None) -> Run:
    return make_run(
        {
            f"step_norm_{network}": noisy(shape, 0.2),
            f"grad_norm_{network}": noisy(gradient or level(2.0), 0.3, seed=1),
        }
    )


def restarts(t: np.ndarray) -> np.ndarray:
    return 0.05 + np.cos(np.pi / 2 * (4 * t % 1)) ** 2


FIRES = {
    "rates_out_of_the_usual": configured(lr_g=0.1, lr_d=2e-4),
    "rates_far_apart": configured(lr_g=1e-5, lr_d=4e-4),
    "g_rate_is_gone": rate(pieces((0, 2e-4), (0.5, 0.0))),
    "d_rate_is_gone": rate(pieces((0, 2e-4), (0.5, 0.0)), "D"),
    "g_is_swept_away": trained(1.0),
    "d_is_swept_away": trained(1.0, network="D"),
    "g_steps_jump": stepping(jump(0.1, 1.0, at=0.6)),
    "d_steps_jump": stepping(jump(0.1, 1.0, at=0.6), "D"),
}
SILENT = {
    "rates_out_of_the_usual": configured(lr_g=1e-4, lr_d=4e-4),
    "rates_far_apart": configured(lr_g=1e-4, lr_d=4e-4),
    "g_rate_is_gone": rate(cosine),
    "d_rate_is_gone": rate(cosine, "D"),
    "g_is_swept_away": trained(3e-3),
    "d_is_swept_away": trained(3e-3, network="D"),
    "g_steps_jump": stepping(restarts),
    "d_steps_jump": stepping(restarts, "D"),
}


# --- rates of the configuration


@pytest.mark.parametrize(("value", "fires"), [(9e-7, 1), (1.1e-6, 0), (0.009, 0), (0.01, 1)])
def test_only_orders_of_magnitude_count(value: float, fires: int) -> None:
    said = unusual(configured(lr_g=value, lr_d=2e-4))
    assert len(said) == fires
    for finding in said:
        assert (finding.severity, finding.subject.network, finding.params["knob"]) == (
            Severity.WARNING,
            "G",
            "lr_G",
        )
        assert measured(finding) == {"lr_G (config.json: lr_g)": value}
        assert finding.evidence[0].kind is Kind.CONFIGURATION
        assert (finding.stretch.onset, finding.stretch.end) == (50, None)


@pytest.mark.parametrize("published", [5e-5, 1e-4, 2e-4, 4e-4, 2.5e-3])
def test_silent_on_published_rates(published: float) -> None:
    assert unusual(configured(lr=published)) == []


def test_one_rate_for_both_is_told_of_both() -> None:
    assert [finding.subject.network for finding in unusual(configured(lr=0.1))] == ["G", "D"]


def test_plain_sgd_takes_other_rates() -> None:
    assert unusual(configured(lr=0.1, optimizer="sgd")) == []
    assert len(unusual(configured(lr=0.1, optimizer="adam"))) == 2


def test_a_run_without_configuration_is_quiet() -> None:
    assert unusual(configured()) == []
    assert apart(configured()) == []


@pytest.mark.parametrize(
    ("lr_g", "lr_d", "fires", "slow"),
    [(1e-4, 9e-4, 0, ""), (1e-4, 1.1e-3, 1, "G"), (1.1e-3, 1e-4, 1, "D"), (2e-4, 5e-5, 0, "")],
)
def test_rates_ten_times_apart(lr_g: float, lr_d: float, fires: int, slow: str) -> None:
    said = apart(configured(lr_g=lr_g, lr_d=lr_d))
    assert [finding.subject.network for finding in said] == [slow] * fires
    for finding in said:
        assert finding.params["knob"] == f"lr_{slow}"
        assert finding.evidence[0].value == pytest.approx(11)


# --- rates of the log

SCHEDULES: list[Shape] = [
    cosine, ramp(2e-4, 0.0), ramp(2e-4, 1e-5), lambda t: 2e-4 * 0.99 ** (400 * t),
    pieces((0, 2e-4), (0.8, 0.0)), lambda t: 2e-4 * np.clip(10 * t, 0, 1),
]  # fmt: skip


@pytest.mark.parametrize("network", ["G", "D"])
@pytest.mark.parametrize("shape", SCHEDULES)
def test_silent_on_usual_schedules(shape: Shape, network: str) -> None:
    assert gone[network](rate(shape, network)) == []


@pytest.mark.parametrize("network", ["G", "D"])
def test_a_rate_that_was_gone_at_half_time(network: str) -> None:
    finding = one_finding(gone[network](rate(pieces((0, 2e-4), (0.5, 0.0)), network)))
    assert (finding.stretch.onset, finding.stretch.onset_interval, finding.stretch.end) == (
        10_050,
        (10_000, 10_050),
        None,
    )
    # 9,950 of the 19,950 steps between the first point and the last.
    assert measured(finding) == pytest.approx(
        {f"share of the run at a learning rate of {network} near 0": 9_950 / 19_950}
    )
    assert finding.params["usual"] == "0.0002"


@pytest.mark.parametrize(("at", "fires"), [(0.66, 1), (0.74, 0)])
def test_three_tenths_of_the_run_must_be_left(at: float, fires: int) -> None:
    assert len(gone["G"](rate(pieces((0, 2e-4), (at, 1e-9))))) == fires


@pytest.mark.parametrize(("rest", "fires"), [(1.8e-7, 1), (2.2e-7, 0)])
def test_a_thousandth_of_the_peak_is_nothing(rest: float, fires: int) -> None:
    assert len(gone["G"](rate(pieces((0, 2e-4), (0.5, rest))))) == fires


def test_a_scheduler_stepped_at_each_batch() -> None:
    run = rate(lambda t: 2e-4 * 0.99 ** (4_000 * t))  # 1e-21 at the end
    assert one_finding(gone["G"](run)).stretch.onset == pytest.approx(
        0.172 * 20_000, abs=75
    )  # 0.99^687 = 1e-3


def test_a_lone_rate_is_that_of_both_but_yields_to_one_of_its_own() -> None:
    lone = make_run({"lr": pieces((0, 2e-4), (0.5, 0.0)), "loss_D": level(1.0)})
    assert [one_finding(gone[network](lone)).subject.network for network in "GD"] == ["G", "D"]
    lone.series.update(rate(cosine).series)
    assert gone["G"](lone) == []


def test_warm_restarts_are_quiet() -> None:
    assert gone["G"](rate(lambda t: 1e-4 * (1 + np.cos(np.pi * (4 * t % 1))))) == []


def test_a_rate_of_0_throughout() -> None:
    finding = one_finding(gone["D"](rate(level(0.0), "D")))
    assert (finding.stretch.onset, finding.evidence[0].value) == (50, 1.0)


@pytest.mark.parametrize("look", gone.values(), ids=["G", "D"])
def test_rates_are_asked_for(look: Callable[..., Said]) -> None:
    assert refusal(look(make_run({"loss_D": level(1.0)}))) == ("not-examinable", "missing-signal", "lr")


# --- steps as large as the weights


@pytest.mark.parametrize(("lr", "fires"), [(1e-4, 0), (3e-3, 0), (0.03, 0), (0.3, 1), (1.0, 1), (30.0, 1)])
@NETWORKS
def test_a_first_step_as_large_as_the_weights(network: str, lr: float, fires: int) -> None:
    said = swept[network](trained(lr, network=network))
    assert len(said) == fires
    for finding in said:
        assert (finding.severity, finding.subject.network) == (Severity.WARNING, network)
        assert finding.params["knob"] == f"lr_{network}"
        assert {evidence.kind for evidence in finding.evidence} == {Kind.WEIGHTS}
        assert (finding.stretch.onset, finding.stretch.end) == (10, None)


@pytest.mark.parametrize("clip", [1e-4, 0.01, 0.05])
def test_silent_on_weights_that_the_first_step_clips(clip: float) -> None:
    """A projection moves the weights by more than they have left."""
    run = trained(5e-5, network="D", clip=clip)
    assert run.series["step_norm_D"].values[0] > run.series["weight_norm_D"].values[0]
    assert swept["D"](run) == []


def test_silent_on_a_critic_that_is_said_to_be_clipped() -> None:
    run = trained(1.0, network="D")
    assert len(swept["D"](run)) == 1
    run.settings = configured(weight_clip=0.3).settings
    assert swept["D"](run) == []
    run.settings = configured(weight_clip=0.0).settings
    assert len(swept["D"](run)) == 1


@NETWORKS
def test_silent_on_a_log_that_begins_when_weights_have_decayed_to_the_size_of_a_step(network: str) -> None:
    run = trained(0.01, network=network, decay=1e4)
    for one in run.series.values():
        run.series[one.tag] = one.take(np.arange(len(one)) >= 10)
    moved, size = (run.series[f"{name}_{network}"].values for name in ("step_norm", "weight_norm"))
    assert np.median(moved / size) > 0.5
    assert swept[network](run) == []


def test_silent_on_a_layer_that_starts_at_zero() -> None:
    """Biases do: any step is large beside them."""
    assert swept["G"](trained(1e-3, first=0.0, layer="bias")) == []


# --- steps that jump


@pytest.mark.parametrize(("factor", "fires"), [(2, 0), (10, 1), (100, 1)])
@pytest.mark.parametrize("at", [0.3, 0.6, 0.85])
@NETWORKS
def test_a_jump_of_the_steps_is_dated(network: str, at: float, factor: float, fires: int) -> None:
    said = jumps[network](stepping(jump(0.1, 0.1 * factor, at=at), network))
    assert len(said) == fires
    for finding in said:
        assert (finding.severity, finding.subject.network) == (Severity.WARNING, network)
        assert finding.stretch.onset == pytest.approx(at * 400 * 50, abs=100)


@pytest.mark.parametrize(
    "shape", [ramp(0.1, 3.0), jump(1e-3, 1.0, at=0.08), pieces((0, 0.1), (0.5, 1.0), (0.52, 0.1)), level(0.1)]
)
def test_silent_on_steps_that_climb_warm_up_or_come_back(shape: Shape) -> None:
    assert jumps["G"](stepping(shape)) == []


def test_silent_on_steps_that_follow_their_gradient() -> None:
    """As plain SGD's do."""
    leap = jump(1.0, 50.0, at=0.6)
    assert jumps["G"](stepping(leap, gradient=leap)) == []


def test_gradients_that_grow_after_the_jump_are_its_effect() -> None:
    run = stepping(jump(0.1, 1.0, at=0.6), gradient=jump(1.0, 10.0, at=0.605))
    assert one_finding(jumps["G"](run)).params["check"] == "jump"


def test_silent_on_a_dead_network_that_comes_back() -> None:
    dead = jump(0.0, 0.1, at=0.6)
    assert jumps["G"](stepping(dead, gradient=dead)) == []
