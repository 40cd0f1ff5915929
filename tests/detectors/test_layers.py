from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gandoctor.detectors.layers import layers_frozen, network_frozen, units_dead, weights_not_finite
from gandoctor.findings import Finding, Severity
from gandoctor.run import Run
from tests.checkpoints import Net, Tree, healthy, saved
from tests.runs import hears, measured, one_finding, refusal

not_finite, frozen, still, dead = map(hears, (weights_not_finite, network_frozen, layers_frozen, units_dead))
Change = Callable[[Tree], object]


def changed(change: Change, since: int = 0, count: int = 5) -> dict[int, Tree]:
    """Healthy snapshots, changed from some step on."""
    made = healthy(count)
    for step, tree in made.items():
        if step >= since:
            change(tree)
    return made


def held(network: str, *keys: str, since: int = 0) -> dict[int, Tree]:
    """Snapshots in which some weights (all by default) stay as they are from a step on."""
    made = healthy()
    kept: Net = next(tree[network] for step, tree in made.items() if step >= since)
    for step, tree in made.items():
        if step >= since:
            tree[network] = {**tree[network], **{key: kept[key] for key in keys or kept}}
    return made


def nan_in_d(tree: Tree) -> None:
    tree["D"]["2.weight"] = tree["D"]["2.weight"].copy()
    tree["D"]["2.weight"][3, :7] = np.nan


def unfed(share: float) -> Change:
    """No gradient has ever reached this share of the second layer's units in G."""

    def change(tree: Tree) -> None:
        square = tree["opt_G"]["state"][2]["exp_avg_sq"]
        square[: round(share * len(square))] = 0

    return change


def some_dead(share: float) -> Run:
    return saved(changed(unfed(share)))


FIRES = {
    "weights_not_finite": saved(changed(nan_in_d, 12_000)),
    "network_frozen": saved(held("G")),
    "layers_frozen": saved(held("D", "4.weight", since=8_000)),
    "units_dead": some_dead(0.95),
}
# The last bias of a critic has no gradient by construction, and half of a layer may be dead in health.
SILENT = {
    "weights_not_finite": saved(healthy()),
    "network_frozen": saved(held("G", "2.weight")),
    "layers_frozen": saved(held("D", "6.bias")),
    "units_dead": some_dead(0.6),
}


# --- GD105


def test_nan_in_weights_to_the_end_is_an_error() -> None:
    finding = one_finding(not_finite(FIRES["weights_not_finite"]))
    assert finding.severity is Severity.ERROR
    assert finding.overwhelming
    assert finding.params["tag"] == "D.2.weight"
    assert finding.stretch.onset == 12_000
    assert finding.stretch.onset_interval == (8_000, 12_000)
    assert measured(finding)["share of a tensor that is not finite"] == pytest.approx(7 / 48**2)


def test_nan_that_went_is_a_warning() -> None:
    made = healthy()
    nan_in_d(made[8_000])
    finding = one_finding(not_finite(saved(made)))
    assert (finding.severity, finding.stretch.end) == (Severity.WARNING, 8_000)


def test_nan_in_the_optimizer_alone_is_a_warning() -> None:
    def change(tree: Tree) -> None:
        tree["opt_G"]["state"][4]["exp_avg_sq"][0] = np.inf

    finding = one_finding(not_finite(saved(changed(change))))
    assert finding.severity is Severity.WARNING
    assert finding.params["tag"] == "G.optimizer state of 4.weight"


def test_an_attention_mask_may_be_infinite() -> None:
    def change(tree: Tree) -> None:
        tree["D"]["attention.mask"] = np.triu(np.full((4, 4), -np.inf, np.float32), 1)

    assert not_finite(saved(changed(change))) == []


# --- GD204


def test_a_frozen_generator_beside_a_moving_discriminator_is_an_error() -> None:
    finding = one_finding(frozen(FIRES["network_frozen"]))
    assert (finding.severity, finding.params["network"]) == (Severity.ERROR, "G")
    assert finding.stretch.onset == 4_000


def test_a_generator_that_stops_is_a_warning() -> None:
    finding = one_finding(frozen(saved(held("G", since=12_000))))
    assert (finding.severity, finding.stretch.onset) == (Severity.WARNING, 12_000)


def test_copies_of_one_checkpoint_are_no_frozen_run() -> None:
    one = healthy(1)[4_000]
    assert frozen(saved({4_000: one, 8_000: one})) == []


def test_both_frozen_while_their_optimizers_count_are_found() -> None:
    one = healthy(1)[4_000]
    later = healthy(2)[8_000]
    both = {4_000: one, 8_000: {**later, "G": one["G"], "D": one["D"]}}
    findings = [said for said in frozen(saved(both)) if isinstance(said, Finding)]
    assert {finding.params["network"] for finding in findings} == {"G", "D"}
    assert {finding.severity for finding in findings} == {Severity.WARNING}


# --- GD303


def test_a_layer_that_stops_is_named_with_its_onset() -> None:
    finding = one_finding(still(FIRES["layers_frozen"]))
    assert finding.severity is Severity.WARNING
    assert finding.params["layer"] == "D.4"
    assert finding.stretch.onset == 8_000


def test_first_layers_that_never_move_may_be_meant() -> None:
    # FreezeD, Mo et al. 2020, arXiv:2002.10964
    said = still(saved(held("D", "0.weight", "2.weight")))
    assert [one.severity for one in said if isinstance(one, Finding)] == [Severity.INFO, Severity.INFO]


def test_a_last_layer_that_never_moves_is_a_warning() -> None:
    assert one_finding(still(saved(held("G", "6.weight")))).severity is Severity.WARNING


def test_an_rgb_layer_that_growth_left_behind_is_quiet() -> None:
    made = healthy()
    for tree in made.values():
        tree["G"]["to_rgb_4x4.weight"] = np.ones((3, 48), np.float32)
    assert still(saved(made)) == []


def test_a_whole_network_is_not_a_layer() -> None:
    assert still(FIRES["network_frozen"]) == []


def test_one_checkpoint_is_too_few_to_compare() -> None:
    assert refusal(still(saved(healthy(1))))[:2] == ("too-short", "too-few-points")


@pytest.mark.parametrize(("share", "fires"), [(0.85, 0), (0.95, 1)])
def test_nine_in_ten_dead_units_decide(share: float, fires: int) -> None:
    assert len(dead(some_dead(share))) == fires


def test_rows_of_zeros_are_dead_and_a_layer_of_zeros_is_not() -> None:
    def rows(most: int) -> Change:
        def change(tree: Tree) -> None:
            tree["G"]["2.weight"] = tree["G"]["2.weight"].copy()
            tree["G"]["2.weight"][:most] = 0

        return change

    assert one_finding(dead(saved(changed(rows(46))))).params["layer"] == "G.2"
    assert dead(saved(changed(rows(48)))) == []


def test_pixels_that_never_vary_are_not_dead() -> None:
    def change(tree: Tree) -> None:
        tree["opt_G"]["state"][6]["exp_avg_sq"][:23] = 0

    assert dead(saved(changed(change))) == []


def test_checkpoints_are_asked_for() -> None:
    for hear in (not_finite, frozen, still, dead):
        assert refusal(hear(Run(FIRES["layers_frozen"].path, "run"))) == (
            "not-examinable", "missing-signal", "checkpoints",
        )  # fmt: skip
