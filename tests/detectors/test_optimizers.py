from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gandoctor.detectors.optimizers import (
    moments_lost,
    second_moments_explode,
    second_moments_vanish,
    steps_out_of_order,
)
from gandoctor.findings import Severity
from gandoctor.run import Run
from tests.checkpoints import D_SIZES, G_SIZES, adam, healthy, net, saved, snapshot
from tests.runs import hears, measured, one_finding, refusal

vanishes, explodes, steps, lost = map(
    hears, (second_moments_vanish, second_moments_explode, steps_out_of_order, moments_lost)
)


def with_adam(*states: dict[str, Any], every: int = 1_000, weights: float = 1.0, **settings: Any) -> Run:
    """Snapshots whose optimiser of G has these options, one after the other."""
    made = {}
    g, d = net(G_SIZES, 1, weights), net(D_SIZES, 2)
    for at, options in enumerate(states, 1):
        count = options.pop("steps", at * every)
        made[at * every] = snapshot(g, d, at * every, opt_G=adam(g, count, **options))
    return saved(made, **settings)


def by_depth(ratio: float, steps: int = 4_000) -> Run:
    """Gradients that shrink evenly from the last layer of G to the first, to this ratio."""
    factors = {f"{2 * at}.weight": ratio ** (1 - at / 3) for at in range(4)}
    return with_adam({"factors": factors, "steps": steps})


FIRES = {
    "second_moments_vanish": with_adam({"gradient": 1e-9}),
    "second_moments_explode": with_adam({}, {}, {"gradient": 0.5}, {"gradient": 1.0}),
    "steps_out_of_order": with_adam({"gradient": 1e-11}),
    "moments_lost": with_adam({}, {"steps": 300}),
}
SILENT = {
    "second_moments_vanish": by_depth(1e-3),
    "second_moments_explode": with_adam({}, {}, {}, {"gradient": 1.0}),
    "steps_out_of_order": with_adam({}, {"lr": 1e-3}, {"lr": 1e-9}),  # a schedule that ends at 0
    "moments_lost": with_adam({}, {}),
}


# --- GD301


def test_second_moments_tell_the_gradient_norm() -> None:
    finding = one_finding(vanishes(FIRES["second_moments_vanish"]))
    assert (finding.severity, finding.params["network"]) == (Severity.WARNING, "G")
    size = sum(value.size for value in net(G_SIZES).values())
    assert finding.params["value"] == pytest.approx(1e-9 * size**0.5, rel=0.05)


@pytest.mark.parametrize(("ratio", "fires"), [(1e-3, 0), (5e-5, 1)])
def test_the_profile_over_depth_decides(ratio: float, fires: int) -> None:
    said = vanishes(by_depth(ratio))
    assert len(said) == fires
    if fires:
        assert one_finding(said).params["layer"] == "G.0"


def test_the_first_steps_say_nothing_of_gradients() -> None:
    assert vanishes(by_depth(5e-5, steps=20)) == []


def test_layers_that_form_no_chain_have_no_depth() -> None:
    g = {"a.weight": np.ones((7, 5), np.float32), "b.weight": np.ones((4, 9), np.float32),
         "c.weight": np.ones((3, 11), np.float32)}  # fmt: skip
    state = adam(g, 4_000, factors={"a.weight": 1e-6})
    assert vanishes(saved({4_000: snapshot(g, net(D_SIZES, 2), 4_000, opt_G=state)})) == []


def test_moments_that_are_not_finite_are_another_symptom() -> None:
    run = saved(healthy(1))
    tree = healthy(1)
    for one in tree[4_000]["opt_G"]["state"].values():
        one["exp_avg_sq"][:] = np.nan
    del tree[4_000]["opt_D"]
    assert refusal(vanishes(saved(tree)))[1] == "no-optimizer-state"
    assert vanishes(run) == []


# --- GD302


def test_growth_in_two_snapshots_counts() -> None:
    finding = one_finding(explodes(FIRES["second_moments_explode"]))
    assert finding.stretch.onset == 3_000
    assert finding.params["factor"] == pytest.approx(100, rel=0.05)


def test_one_burst_does_not_count() -> None:
    assert explodes(with_adam({}, {}, {"gradient": 1.0}, {})) == []


# --- GD605


def test_epsilon_that_outweighs_the_gradients_stops_the_steps() -> None:
    finding = one_finding(steps(FIRES["steps_out_of_order"]))
    # √v̂ is 1e-11 of ε = 1e-8: a thousandth of what noise gives
    assert measured(finding)["RMS step of G / what noise alone gives"] == pytest.approx(1e-3, rel=0.1)


def test_a_rate_too_small_to_move_is_found_where_it_did_not_decay() -> None:
    finding = one_finding(steps(with_adam({"lr": 1e-8}, {"lr": 1e-8}, weights=1.0)))
    assert measured(finding)["RMS step of G / RMS weight"] < 1e-6
    # One checkpoint alone cannot tell a small rate from a decayed one; the configuration can.
    assert steps(with_adam({"lr": 1e-8})) == []
    assert len(steps(with_adam({"lr": 1e-8}, lr_g=1e-8))) == 1
    assert steps(with_adam({"lr": 1e-8}, lr_g=1e-3)) == []


@pytest.mark.parametrize(("lr", "fires"), [(0.01, 0), (0.2, 1)])
def test_steps_of_a_tenth_of_the_weights_are_wild(lr: float, fires: int) -> None:
    assert len(steps(with_adam({"lr": lr}))) == fires


def test_noise_is_quiet_whatever_the_momentum() -> None:
    for beta1 in (0.0, 0.5, 0.9, 0.99):
        assert steps(with_adam({"beta1": beta1})) == []


def test_a_counter_that_restarts_is_a_lost_state() -> None:
    finding = one_finding(lost(FIRES["moments_lost"]))
    assert (finding.severity, finding.stretch.onset) == (Severity.WARNING, 2_000)
    assert finding.params["lost"] == 700
    assert one_finding(lost(with_adam({}, {"steps": 300}, {"steps": 1_300}))).severity is Severity.INFO


def test_without_optimizers_nothing_is_said() -> None:
    tree = healthy(1)
    del tree[4_000]["opt_G"], tree[4_000]["opt_D"]
    assert refusal(steps(saved(tree))) == ("not-examinable", "no-optimizer-state", "checkpoints")
