from __future__ import annotations

import numpy as np
import pytest

from gandoctor.detectors.overfitting import heldout_drifts, heldout_reals_look_fake, signs_near_one
from gandoctor.findings import Severity
from gandoctor.run import Run
from tests.runs import (
    Shape,
    game,
    hears,
    level,
    logged,
    make_run,
    measured,
    noisy,
    one_finding,
    pieces,
    ramp,
    refusal,
)

signs, drifts, looks_fake = hears(signs_near_one), hears(heldout_drifts), hears(heldout_reals_look_fake)
HALVES = ("loss_D_real", "loss_D_fake", "loss_G")


def sign_rates(shape: Shape) -> Run:
    return make_run({"Loss/signs/real": noisy(shape, 0.03)})


def heldout(drift: Shape) -> Run:
    """A D at a lead of 0.3, and its loss on held-out data, in equilibria above."""
    run = logged(game("non-saturating", 0.6, -0.6), *HALVES)
    own = run.series["loss_D_real"].values + run.series["loss_D_fake"].values
    run.series.update(make_run({"val_disc_loss": own + 1.3863 * drift(np.linspace(0, 1, 400))}).series)
    return run


def outputs(r_v: Shape, way: float = 2.0, noise: float = 0.2) -> Run:
    """D's mean outputs on training reals, fakes and held-out reals, the last at a share of the way."""
    t, rng = np.linspace(0, 1, 400), np.random.default_rng(0)
    means = {
        "real": np.full_like(t, way / 2),
        "fake": np.full_like(t, -way / 2),
        "heldout": way / 2 - way * r_v(t),
    }
    return make_run({f"out/{side}_mean": mean + rng.normal(0, noise, 400) for side, mean in means.items()})


FIRES = {
    "signs_near_one": sign_rates(ramp(0.3, 1.0)),
    "heldout_drifts": heldout(ramp(0, 1)),
    "heldout_reals_look_fake": outputs(ramp(0, 1)),
}
SILENT = {
    "heldout_reals_look_fake": outputs(level(0.1)),
    "signs_near_one": sign_rates(pieces((0, ramp(0, 1.5)), (0.4, 0.6))),
    "heldout_drifts": heldout(level(0.1)),
}


@pytest.mark.parametrize(("rate", "fires"), [(0.6, 0), (0.76, 0), (0.84, 1)])
def test_signs_above_the_target_of_adaptive_augmentation(rate: float, fires: int) -> None:
    said = signs(sign_rates(level(rate)))
    assert len(said) == fires
    for finding in said:
        assert finding.severity is Severity.WARNING
        assert measured(finding) == pytest.approx({"E[sign C(x)] on training reals": rate}, rel=0.02)


def test_signs_are_dated() -> None:
    finding = one_finding(signs(sign_rates(pieces((0, 0.5), (0.6, 0.95)))))
    assert finding.stretch.onset == pytest.approx(12_000, abs=100)
    assert finding.stretch.end is None


def test_signs_that_came_down_are_quiet() -> None:
    assert signs(sign_rates(pieces((0, 0.5), (0.3, 0.95), (0.7, 0.6)))) == []


@pytest.mark.parametrize(("drift", "fires"), [(0.35, 0), (0.45, 1)])
def test_a_gap_of_four_tenths_of_the_equilibrium(drift: float, fires: int) -> None:
    said = drifts(heldout(pieces((0, 0.0), (0.5, drift))))
    assert len(said) == fires
    for finding in said:
        assert measured(finding) == pytest.approx(
            {"(held-out - training) D loss / equilibrium": drift}, abs=0.01
        )
        assert finding.stretch.onset == pytest.approx(10_000, abs=100)


def test_a_heldout_loss_below_the_training_one_is_quiet() -> None:
    assert drifts(heldout(level(-0.5))) == []


def test_a_sparse_heldout_loss_is_compared_where_it_was_taken() -> None:
    run = heldout(ramp(0, 1))
    run.series["val_disc_loss"] = run.series["val_disc_loss"].take(slice(7, None, 16))
    assert one_finding(drifts(run)).stretch.onset == pytest.approx(0.4 * 20_000, abs=800)


def test_a_critic_has_no_equilibrium_to_measure_in() -> None:
    run = logged(game("wgan", ramp(1, 5), ramp(-1, -5)))
    run.series.update(make_run({"val_disc_loss": level(5.0)}).series)
    assert refusal(drifts(run)) == ("not-examinable", "no-equilibrium", "d-signs")


def test_heldout_data_are_asked_for() -> None:
    run = make_run({"loss_D": level(1.0)})
    assert refusal(drifts(run)) == ("not-examinable", "missing-signal", "d-heldout-loss")
    assert refusal(signs(run)) == ("not-examinable", "missing-signal", "d-signs")


@pytest.mark.parametrize(("r_v", "fires"), [(0.35, 0), (0.65, 1)])
def test_held_out_reals_half_way_to_the_fakes(r_v: float, fires: int) -> None:
    said = looks_fake(outputs(pieces((0, 0.0), (0.5, r_v))))
    assert len(said) == fires
    for finding in said:
        assert list(measured(finding).values()) == pytest.approx([r_v], abs=0.05)
        assert finding.stretch.onset == pytest.approx(10_000, abs=300)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_their_scale_does_not_matter(scale: float) -> None:
    assert len(looks_fake(outputs(ramp(0, 1), way=2 * scale, noise=0.2 * scale))) == 1


def test_a_d_at_chance_divides_nothing() -> None:
    # Convergence: all three means are one and the same, and their order is noise.
    assert looks_fake(outputs(level(0.0), way=0.0)) == []
    assert looks_fake(outputs(level(0.0), way=0.01)) == []


def test_held_out_reals_beyond_the_training_ones_are_quiet() -> None:
    assert looks_fake(outputs(level(-0.8))) == []


def test_held_out_outputs_are_asked_for() -> None:
    run = logged(game("wgan", 0.5, -0.5), "loss_D", "out/real", "out/fake")
    assert refusal(looks_fake(run)) == ("not-examinable", "missing-signal", "d-heldout-outputs")
