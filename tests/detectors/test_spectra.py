from __future__ import annotations

import numpy as np
import pytest

from gandoctor.detectors.spectra import (
    generator_passes_one_direction,
    saved_weights_grow,
    singular_value_explodes,
    spectral_norm_not_in_force,
    spectrum_collapses,
    weights_at_clip,
)
from gandoctor.findings import Finding, Severity
from gandoctor.run import Run
from tests.checkpoints import D_SIZES, G_SIZES, Array, Net, Tree, healthy, net, saved, snapshot
from tests.runs import game, hears, logged, measured, one_finding

grows, explodes, collapses, narrow, enforced, clipped = map(
    hears,
    (saved_weights_grow, singular_value_explodes, spectrum_collapses, generator_passes_one_direction,
     spectral_norm_not_in_force, weights_at_clip),
)  # fmt: skip


def grown(factors: tuple[float, ...], *keys: str, every: int = 4_000) -> Run:
    """A discriminator whose weights (all by default) are multiplied, snapshot by snapshot."""
    made = {}
    for at, factor in enumerate(factors, 1):
        d = net(D_SIZES, 2)
        for key in keys or tuple(d):
            d[key] = d[key] * np.float32(factor)
        made[at * every] = snapshot(net(G_SIZES, 1), d, at * every)
    return saved(made)


def one_direction(weight: Array, share: float) -> Array:
    """The weights with this share of their square in one direction."""
    rng = np.random.default_rng(5)
    line = np.outer(rng.standard_normal(weight.shape[0]), rng.standard_normal(weight.shape[1]))
    line *= np.linalg.norm(weight) / np.linalg.norm(line)
    return (np.sqrt(share) * line + np.sqrt(1 - share) * weight).astype(np.float32)


def narrowed(network: str, share: float, family: str = "non-saturating") -> Run:
    made = healthy(2)
    for tree in made.values():
        tree[network]["2.weight"] = one_direction(tree[network]["2.weight"], share)
    return saved(made, logged(game(family, 0.6, -0.6), "loss_D_real", "loss_D_fake", "loss_G"))


def normalised(excess: float, steps: int = 4_000, parametrised: bool = False) -> Run:
    """A discriminator under spectral normalisation whose u and v tell 1/excess of the true σ."""
    plain, made = net(D_SIZES, 2), {}
    for key, value in plain.items():
        layer, _, what = key.partition(".")
        if what == "bias":
            made[key] = value
            continue
        left, _, right = np.linalg.svd(value)
        # u turned away from the first direction, so that uᵀWv is σ / excess
        turned = left[:, 0] / excess + left[:, -1] * np.sqrt(1 - excess**-2) if len(left) > 1 else left[:, 0]
        names = (
            "parametrizations.weight.original",
            "parametrizations.weight.0._u",
            "parametrizations.weight.0._v",
        )
        for name, array in zip(names if parametrised else ("weight_orig", "weight_u", "weight_v"),
                               (value, turned, right[0]), strict=True):  # fmt: skip
            made[f"{layer}.{name}"] = array.astype(np.float32)
    return saved({steps: snapshot(net(G_SIZES, 1), made, steps)})


def critic(share: float, clip: float = 0.01, after: bool = True) -> Run:
    """A critic with this share of its weights at ±c; clipped before the step, they lie beside it."""
    rng = np.random.default_rng(0)
    d: Net = {}
    for key, value in net(D_SIZES, 2).items():
        at = rng.random(value.shape) < share
        signs = rng.choice([-1.0, 1.0], value.shape)
        values = np.where(at, clip * signs, rng.uniform(-clip, clip, value.shape))
        if not after:
            values = values * rng.uniform(0.97, 1.03, value.shape)
        d[key] = values.astype(np.float32)
    return saved({1_000: snapshot(net(G_SIZES, 1), d, 1_000)})


FIRES = {
    "saved_weights_grow": grown((1, 2, 5, 9, 16)),
    "singular_value_explodes": grown((1, 2, 5, 15, 40), "4.weight"),
    "spectrum_collapses": narrowed("D", 0.95),
    "generator_passes_one_direction": narrowed("G", 0.95),
    "spectral_norm_not_in_force": normalised(3.0),
    "weights_at_clip": critic(0.8),
}
SILENT = {
    "saved_weights_grow": grown((1, 6, 8, 8.4, 8.5)),
    "singular_value_explodes": grown((1, 9, 13, 14, 14.5), "4.weight"),
    "spectrum_collapses": narrowed("D", 0.95, "wgan"),
    "generator_passes_one_direction": narrowed("G", 0.6),
    "spectral_norm_not_in_force": normalised(1.1),
    "weights_at_clip": critic(0.4),
}


# --- GD601


def test_growth_that_goes_on_is_a_warning() -> None:
    finding = one_finding(grows(FIRES["saved_weights_grow"]))
    assert finding.severity is Severity.WARNING
    assert measured(finding)["norm of D's saved weights / its value after warm-up"] == pytest.approx(
        16, rel=1e-3
    )
    assert finding.stretch.onset == 12_000


def test_two_snapshots_show_late_growth_only() -> None:
    assert grows(grown((1, 3))) == []
    assert len(grows(grown((1, 6)))) == 1


def test_normalised_weights_may_grow() -> None:
    made = {}
    for at in range(1, 6):
        d = {key.replace("weight", "weight_orig"): value * 2.0**at for key, value in net(D_SIZES, 2).items()}
        d |= {
            f"{layer}.weight_u": np.ones(len(d[f"{layer}.weight_orig"]), np.float32) for layer in (0, 2, 4, 6)
        }
        made[at * 1_000] = snapshot(net(G_SIZES, 1), d, at * 1_000)
    run = saved(made)
    assert grows(run) == []
    assert explodes(run) == []


# --- GD602


def test_the_layer_that_explodes_is_named() -> None:
    finding = one_finding(explodes(FIRES["singular_value_explodes"]))
    assert (finding.params["layer"], finding.severity) == ("D.4", Severity.WARNING)
    sigma = np.linalg.norm(net(D_SIZES, 2)["4.weight"], 2)
    assert finding.params["value"] == pytest.approx(40 * sigma, rel=2e-3)


def test_a_collapsed_spectrum_is_info_and_in_g_a_sign_of_collapse() -> None:
    where = one_finding(collapses(FIRES["spectrum_collapses"]))
    assert (where.params["layer"], where.severity) == ("D.2", Severity.INFO)
    what = one_finding(narrow(FIRES["generator_passes_one_direction"]))
    assert (what.code, what.severity, what.subject.network) == ("GD401", Severity.WARNING, "G")


@pytest.mark.parametrize(("share", "fires"), [(0.75, 0), (0.9, 1)])
def test_five_sixths_of_the_weight_decide(share: float, fires: int) -> None:
    assert len(narrow(narrowed("G", share))) == fires


def test_d_of_an_unknown_family_is_not_judged_by_its_spectrum() -> None:
    made = healthy(1)
    made[4_000]["D"]["2.weight"] = one_direction(made[4_000]["D"]["2.weight"], 0.95)
    assert collapses(saved(made)) == []


@pytest.mark.parametrize("parametrised", [False, True])
@pytest.mark.parametrize(("excess", "fires"), [(1.3, 0), (1.8, 1)])
def test_what_it_divides_by_decides(excess: float, fires: int, parametrised: bool) -> None:
    said = enforced(normalised(excess, parametrised=parametrised))
    assert bool(said) == bool(fires)
    for finding in said:
        assert isinstance(finding, Finding)
        assert finding.params["value"] == pytest.approx(excess, rel=0.01)


def test_random_vectors_before_the_first_step_are_no_fault() -> None:
    assert enforced(normalised(3.0, steps=0)) == []


def test_a_claim_of_the_configuration_is_held_against_the_weights() -> None:
    finding = one_finding(enforced(saved(healthy(2), spectral_norm=True)))
    assert "claimed" in finding.evidence[0].statistic
    assert enforced(saved(healthy(2), spectral_norm=False)) == []


def test_a_claim_that_the_keys_bear_out_is_no_fault() -> None:
    run = normalised(1.05)
    run.settings |= saved({}, spectral_norm=True).settings
    assert enforced(run) == []


# --- GD603


def test_most_weights_at_the_bound_are_a_warning() -> None:
    finding = one_finding(clipped(FIRES["weights_at_clip"]))
    assert finding.severity is Severity.WARNING
    assert finding.params["clip"] == pytest.approx(0.01)
    assert finding.params["share"] == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize(("share", "fires"), [(0.5, 0), (0.7, 1)])
def test_three_in_five_at_the_bound_decide(share: float, fires: int) -> None:
    assert len(clipped(critic(share))) == fires


def test_clipping_before_the_step_is_info() -> None:
    assert one_finding(clipped(critic(0.8, after=False))).severity is Severity.INFO


def test_weights_that_nothing_clips_are_quiet() -> None:
    assert clipped(saved(healthy(1))) == []


def test_a_generator_is_not_clipped() -> None:
    tree: Tree = healthy(1)[4_000]
    tree["G"] = {key: np.sign(value) * np.float32(0.01) for key, value in tree["G"].items()}
    assert clipped(saved({4_000: tree})) == []
