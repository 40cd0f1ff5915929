from __future__ import annotations

import numpy as np
import pytest

from gandoctor.detectors.probed import (
    snapshots_follow_the_class_alone,
    snapshots_ignore_z,
    snapshots_jump,
    snapshots_lost_variety,
    snapshots_vary_less_than_reals,
    units_never_active,
)
from gandoctor.findings import Finding, Severity
from gandoctor.run import Run, Series
from tests.runs import hears, level, make_run, measured, noisy, one_finding, refusal

below, lost = hears(snapshots_vary_less_than_reals), hears(snapshots_lost_variety)
ignores, by_class = hears(snapshots_ignore_z), hears(snapshots_follow_the_class_alone)
jumps, dead = hears(snapshots_jump), hears(units_never_active)


def probed(
    measures: dict[str, list[float]], *, steps: list[int] | None = None, reals: float | None = None
) -> Run:
    """A run of 20,000 steps with losses, and what the probe wrote of some snapshots."""
    shapes = {"loss_D": noisy(level(1.3), 0.1), "loss_G": noisy(level(0.8), 0.1, seed=1)}
    if reals is not None:
        shapes["samples/real_std"] = noisy(level(reals), 0.02)
    run = make_run(shapes)
    for name, values in measures.items():
        tag = f"probe/G/{name}"
        at = np.array(steps or np.linspace(2_000, 20_000, len(values)).round(), np.int64)
        one = run.series["loss_D"]
        run.series[tag] = Series(tag, at, np.array(values), np.arange(len(at)), one.source)
    return run


VARIED, ALIKE = {"distance": [0.5] * 6, "vendi": [60.0] * 6}, [0.5] * 4 + [0.1] * 2
FIRES = {
    "snapshots_vary_less_than_reals": probed({"sample_std": [5.0, 9.0, 2.0, 2.0]}, reals=10.0),
    "snapshots_lost_variety": probed({"distance": ALIKE, "vendi": [60.0] * 4 + [3.0] * 2}),
    "snapshots_ignore_z": probed({"z_share": [0.4, 0.3, 1e-9, 1e-9]}),
    "snapshots_follow_the_class_alone": probed({"z_share_in_class": [0.4, 0.1, 0.004, 0.002]}),
    "snapshots_jump": probed({"jumps": [0.0, 0.125, 0.75, 0.75]}),
    "units_never_active": probed({"dead_units": [0.4] * 3, "dead_units/main.2": [0.1, 0.95, 0.95]}),
}
SILENT = {
    "snapshots_vary_less_than_reals": probed({"sample_std": [2.0, 7.0, 9.0]}, reals=10.0),
    # noise of much contrast at first, then data of less: all samples stay different
    "snapshots_lost_variety": probed({"distance": [1.0] * 3 + [0.3] * 7, "vendi": [64.0] * 10}),
    "snapshots_ignore_z": probed({"z_share": [0.4, 2e-4, 2e-4]}),  # collapsed: it still varies
    "snapshots_follow_the_class_alone": probed({"z_share_in_class": [0.001, 0.2, 0.3]}),
    "snapshots_jump": probed({"jumps": [0.75, 0.125, 0.25]}),
    "units_never_active": probed({"dead_units": [0.95] * 3, "dead_units/main.2": [0.56] * 3}),
}


@pytest.mark.parametrize(("std", "severity"), [(3.0, Severity.ERROR), (4.2, Severity.WARNING), (6.0, None)])
def test_reals_tell_how_far_below_them_is_ill(std: float, severity: Severity | None) -> None:
    said = below(probed({"sample_std": [9.0, std, std]}, reals=10.0))
    assert [one.severity for one in said if isinstance(one, Finding)] == ([severity] if severity else [])


def test_reals_that_do_not_vary_tell_nothing() -> None:
    assert below(probed({"sample_std": [0.0, 0.0, 0.0]}, reals=0.0)) == []


def test_a_lone_snapshot_of_the_end_is_enough_beside_reals() -> None:
    finding = one_finding(below(probed({"sample_std": [1.0]}, steps=[20_000], reals=10.0)))
    assert finding.stretch.end is None


def test_a_lone_early_snapshot_is_no_illness() -> None:
    assert below(probed({"sample_std": [1.0]}, steps=[1_000], reals=10.0)) == []


def test_what_was_seen_in_the_middle_ends_there() -> None:
    finding = one_finding(below(probed({"sample_std": [1.0]}, steps=[9_000], reals=10.0)))
    assert finding.stretch.end == 9_000


def test_variety_that_is_lost_is_dated_and_measured() -> None:
    finding = one_finding(lost(FIRES["snapshots_lost_variety"]))
    assert (finding.stretch.onset_interval, finding.stretch.onset) == ((12_800, 16_400), 16_400)
    assert measured(finding) == pytest.approx(
        {"distance of two samples, last / best": 0.2, "Vendi score, last / best": 0.05}
    )


@pytest.mark.parametrize(
    "measures",
    [
        {"distance": ALIKE, "vendi": [60.0] * 6},  # nearer to each other, all different
        {"distance": [0.5] * 6, "vendi": [60.0] * 4 + [3.0] * 2},
        {"distance": [0.5, 0.5, 0.5, 0.5, 0.5, 0.1], "vendi": [60.0] * 5 + [3.0]},  # one snapshot
        {
            "distance": [0.5, 0.5, 0.1, 0.1, 0.5, 0.5],
            "vendi": [60.0, 60.0, 3.0, 3.0, 60.0, 60.0],
        },  # it came back
        {"distance": [0.9, 0.2, 0.2, 0.2], "vendi": [60.0, 9.0, 9.0, 9.0]},  # before the end of warm-up
    ],
)
def test_one_measure_or_one_snapshot_is_no_loss(measures: dict[str, list[float]]) -> None:
    steps = [0, 6_000, 12_000, 18_000] if len(measures["vendi"]) == 4 else None
    assert lost(probed(measures, steps=steps)) == []


def test_samples_as_varied_as_the_reals_lost_nothing() -> None:
    fell = {"distance": ALIKE, "vendi": [60.0] * 4 + [20.0] * 2, "sample_std": [40.0] * 4 + [8.0] * 2}
    assert lost(probed(fell, reals=10.0)) == []
    one_finding(lost(probed(fell, reals=100.0)))


def test_a_whole_networks_dead_share_is_no_layers() -> None:
    finding = one_finding(dead(FIRES["units_never_active"]))
    assert finding.subject.layer == "main.2"
    assert finding.params["share"] == 0.95


def test_without_the_probe_it_says_what_to_run() -> None:
    said = refusal(jumps(make_run({"loss_D": level(1.3)})))
    assert said == ("not-examinable", "missing-signal", "probe")
    assert by_class(probed({"z_share_in_class": [0.2]}, steps=[20_000])) == []
    assert ignores(probed({"z_share": [0.2]}, steps=[20_000])) == []
