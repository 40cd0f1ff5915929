from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gandoctor.detectors.average import average_frozen, average_left_behind, average_without_memory
from gandoctor.findings import Finding, Severity
from gandoctor.interpret.view import views_of
from gandoctor.run import Run
from tests.checkpoints import G_SIZES, Net, adam, healthy, net, saved
from tests.runs import hears, measured, one_finding, refusal

frozen, memory, behind = map(hears, (average_frozen, average_without_memory, average_left_behind))

STEP = {"drift": 1e-6, "walk": 1e-5, "jitter": 1e-3}  # RMS


def averaged(mean: Net, now: Net, decay: float) -> Net:
    return {key: value + np.float32(1 - decay) * (now[key] - value) for key, value in mean.items()}


def trained(
    decay: float, *, kind: str = "drift", every: int = 2_000, count: int = 8, substeps: int = 200,
    lr: float | None = None, since: int = 0, **settings: Any,
) -> Run:  # fmt: skip
    """Snapshots of a G that drifts, walks at random, or jitters around a place, with its average.

    The average is reckoned in `substeps` between snapshots, with the decay to the power of the steps that each stands
    for; before the snapshot `since` it stands still.
    """
    rate = STEP[kind] * 3**0.5 if lr is None else lr  # noise alone: RMS m̂/√v̂ = 1/√3 at β₁ = 0.5
    rng = np.random.default_rng(0)
    start = net(G_SIZES, 1)
    way = {key: rng.standard_normal(value.shape).astype(np.float32) for key, value in start.items()}
    now, mean = dict(start), dict(start)
    length = every / substeps  # steps of the optimiser that one stands for
    trees = {}
    for at in range(1, count + 1):
        for _ in range(substeps):
            noise = {key: rng.standard_normal(value.shape).astype(np.float32) for key, value in start.items()}
            if kind == "drift":
                now = {key: value + np.float32(STEP[kind] * length) * way[key] for key, value in now.items()}
            elif kind == "walk":
                now = {
                    key: value + np.float32(STEP[kind] * length**0.5) * noise[key]
                    for key, value in now.items()
                }
            else:
                now = {key: value + np.float32(STEP[kind]) * noise[key] for key, value in start.items()}
            if at > since:
                mean = averaged(mean, now, decay**length)
        trees[at * every] = {"G": now, "opt_G": adam(now, at * every, lr=rate), "G_ema": dict(mean)}
    return saved(trees, **settings)


FIRES = {
    "average_frozen": trained(1.0),
    "average_without_memory": trained(0.0),
    "average_left_behind": trained(0.9999, every=1_000, count=16, ema_decay=0.99),
}
SILENT = {
    "average_frozen": trained(0.999),
    "average_without_memory": trained(0.9),
    "average_left_behind": trained(0.999, every=10_000, count=4, ema_decay=0.999),
}


def test_an_average_that_never_moves_is_named() -> None:
    finding = one_finding(frozen(FIRES["average_frozen"]))
    assert (finding.params["layer"], finding.severity) == ("G_ema", Severity.WARNING)
    assert refusal(frozen(saved(healthy())))[1] == "no-moving-average"
    copies = trained(0.999, count=1).checkpoints
    run = trained(0.999, count=1)
    run.checkpoints = [*copies, *run.checkpoints]
    assert not any(isinstance(one, Finding) for one in frozen(run))


def test_a_copy_is_only_told() -> None:
    finding = one_finding(memory(FIRES["average_without_memory"]))
    assert (finding.severity, finding.subject.layer) == (Severity.INFO, "G_ema")
    assert measured(finding) == {"distance of average and network / the least that its decay allows": 0}


@pytest.mark.parametrize("decay", [0.9, 0.99, 0.999, 0.9999])
@pytest.mark.parametrize("kind", ["drift", "walk", "jitter"])
def test_real_averages_of_any_decay_are_quiet(decay: float, kind: str) -> None:
    run = trained(decay, kind=kind, every=5_000, count=5, ema_decay=decay)
    for hear in (frozen, memory, behind):
        assert not any(isinstance(one, Finding) for one in hear(run)), hear


def test_a_rate_that_came_down_to_nothing_leaves_no_distance() -> None:
    assert memory(trained(0.0, lr=0.0)) == []


def test_nothing_is_said_of_a_young_network() -> None:
    assert memory(trained(0.0, every=10, count=3, substeps=10)) == []


@pytest.mark.parametrize(("claimed", "fires"), [({"ema_decay": 0.99}, 1), ({"ema_decay": 0.999}, 0), ({}, 0)])
def test_the_claimed_decay_tells_how_far_is_too_far(claimed: dict[str, float], fires: int) -> None:
    said = behind(trained(0.9999, every=1_000, count=16, **claimed))
    assert len([one for one in said if isinstance(one, Finding)]) == fires


def test_an_average_that_started_late_catches_up() -> None:
    late = trained(0.99, every=2_000, count=8, since=5, ema_decay=0.99)
    assert behind(late) == []
    assert frozen(late) == []


def test_without_an_average_there_is_nothing_to_see() -> None:
    for hear in (memory, behind):
        assert refusal(hear(saved(healthy()))) == ("not-examinable", "missing-signal", "lr")
    [view] = views_of(FIRES["average_left_behind"])
    assert view.facts["ema_decay"].value == 0.99
