from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from gandoctor.detectors.implementation import (
    below_the_floor,
    d_gradients_add_up,
    double_sigmoid,
    g_against_its_outputs,
    g_below_every_family,
    g_gradients_add_up,
    negative_cross_entropy,
    out_of_range,
    outputs_contradict,
)
from gandoctor.findings import Finding, Kind, Severity
from gandoctor.run import Run, Values
from tests.runs import (
    LOSSES,
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
    softplus,
)

floor, contradict, own_outputs = (
    hears(below_the_floor),
    hears(outputs_contradict),
    hears(g_against_its_outputs),
)
sinking, sigmoids, ranges = hears(negative_cross_entropy), hears(double_sigmoid), hears(out_of_range)
adding_up = {"G": hears(g_gradients_add_up), "D": hears(d_gradients_add_up)}
NETWORKS = pytest.mark.parametrize("network", ["G", "D"])

NAMED = {"loss_D_real": "D_real", "loss_D_fake": "D_fake", "loss_G": "G_GAN"}


def named(played: dict[str, Values], **options: object) -> Run:
    """A game logged under pix2pix' names, which say that G's loss is the adversarial term alone."""
    return make_run({new: played[old] for old, new in NAMED.items()}, **options)  # type: ignore[arg-type]


def outputs_of(*means: float, points: int = 400, batch: int = 64, seed: int = 0) -> list[Values]:
    """D's raw outputs around growing means, float64 (points, batch) each."""
    rng, grows = np.random.default_rng(seed), np.linspace(0.1, 1, points)[:, None]
    return [mean * grows + rng.normal(size=(points, batch)) for mean in means]


def swapped(family: str = "non-saturating", names: dict[str, str] | None = None) -> Run:
    """D learns with real and fake exchanged and wins; G is paid by the same outputs."""
    real, fake = outputs_of(-15.0, 15.0)
    on_real, on_fake, of_g = LOSSES[family]
    made = {"loss_D_real": on_real(fake), "loss_D_fake": on_fake(real), "loss_G": of_g(fake)}
    scores = {"out/real": real, "out/fake": fake}
    return make_run(
        {**{NAMED[tag]: x.mean(1) for tag, x in made.items()}, **{t: x.mean(1) for t, x in scores.items()}}
    )


def two_discriminators(share: float) -> Run:
    """A share of the points has G's loss from another D, which takes its samples for real."""
    other = np.random.default_rng(1).random(400) < share
    g = np.where(other, 0.1, 3.2) * np.exp(np.random.default_rng(2).normal(0, 0.1, 400))
    return make_run(
        {"D_real": noisy(level(0.05), 0.1), "D_fake": noisy(level(0.05), 0.1, seed=3), "G_GAN": g}
    )


def double(points: int = 400, seed: int = 0, means: tuple[float, float] = (2.0, -2.0)) -> dict[str, Values]:
    """BCE-with-logits on outputs that already went through a sigmoid: σ(σ(x)) lies in [0.5, 0.731]."""
    real, fake = (1 / (1 + np.exp(-x)) for x in outputs_of(*means, points=points, seed=seed))
    made = {"loss_D_real": softplus(-real), "loss_D_fake": softplus(fake), "loss_G": softplus(-fake)}
    return {tag: x.mean(1) for tag, x in made.items()}


def wrong_sign() -> Run:
    """L_G = log(1 - D(G)) becomes log D(G): G runs where D is surest."""
    real, fake = ramp(0, 3), ramp(0, -30)
    played = game("non-saturating", real, fake)
    return make_run({"loss_D": played["loss_D"], "loss_G": -played["loss_G"]})


def with_outputs(played: dict[str, Values], **changes: Values) -> Run:
    return logged({**played, **changes}, "loss_D", "loss_G", "out/real", "out/fake")


def trained(
    *, cleared: bool, network: str = "G", steps: int = 2_000, every: int = 10, growth: float = 1.0,
    average: bool = False, lr: float = 1e-3, seed: int = 0,
) -> Run:  # fmt: skip
    """Norms of a network of 200 weights that Adam trains on noisy gradients of one lasting direction.

    cleared: whether the gradients are set to zero at each step. growth: how many times larger those of a
    batch are at the end than at the start. average: log means of `every` steps instead of every nth step.
    """
    rng, n = np.random.default_rng(seed), 200
    weights, lasting = rng.normal(0, 0.1, n), rng.normal(0, 0.1, n)
    pile, m, v = np.zeros(n), np.zeros(n), np.zeros(n)
    rows = []
    for t in range(steps):
        # The noise of a batch is twice as large as what lasts, and batches differ in the size of both.
        batch = (lasting + rng.normal(0, 0.2, n)) * np.exp(rng.normal(0, 0.2)) * growth ** (t / steps)
        pile = batch if cleared else pile + batch
        m, v = 0.5 * m + 0.5 * pile, 0.9 * v + 0.1 * pile**2
        move = lr * (m / (1 - 0.5 ** (t + 1))) / np.sqrt(v / (1 - 0.9 ** (t + 1)))
        weights = weights - move
        rows.append([np.linalg.norm(x) for x in (pile, move, weights)])
    table = np.array(rows).reshape(-1, every, 3)
    shown = table.mean(1) if average else table[:, 0]
    names = (f"{name}_{network}" for name in ("grad_norm", "step_norm", "weight_norm"))
    return make_run(dict(zip(names, shown.T, strict=True)), every=every)


CRITIC = game("wgan", ramp(1, 6), ramp(-1, -6))
LEAST_SQUARES = game("lsgan", 1.02, 0.35, spread=0.25)


def outputs_and_spreads(played: Mapping[str, Values], weight: float = 1.0) -> Run:
    tags = ("loss_D", "out/real", "out/fake", "out/real_std", "out/fake_std")
    return make_run({**{tag: played[tag] for tag in tags}, "loss_G": weight * played["loss_G"]})


def wrong_sign_of_least_squares() -> Run:
    """G runs from D's labels: least squares grow with the square of D's outputs."""
    return outputs_and_spreads(game("lsgan", ramp(1, 50), ramp(0, -900), spread=(1.0, 40.0)), -1.0)


FIRES = {
    "below_the_floor": swapped(),
    "outputs_contradict": swapped(),
    "g_against_its_outputs": with_outputs(CRITIC, loss_G=-CRITIC["loss_G"]),
    "g_below_every_family": wrong_sign_of_least_squares(),
    "negative_cross_entropy": wrong_sign(),
    "double_sigmoid": make_run(double()),
    "out_of_range": logged(CRITIC, settings={"gan_mode": "vanilla"}),
    "g_gradients_add_up": trained(cleared=False),
    "d_gradients_add_up": trained(cleared=False, network="D"),
}
SILENT = {
    "below_the_floor": named(game("non-saturating", ramp(0, 2), ramp(0, -2))),
    "outputs_contradict": with_outputs(game("non-saturating", ramp(0, 2), ramp(0, -2))),
    "g_against_its_outputs": with_outputs(LEAST_SQUARES),
    "g_below_every_family": outputs_and_spreads(game("minimax", ramp(0, 3), ramp(0, 40))),
    "negative_cross_entropy": logged(game("minimax", ramp(0, 3), ramp(0, -3))),
    "double_sigmoid": logged(
        game("non-saturating", 0.0, 0.0, spread=0.1), "loss_D_real", "loss_D_fake", "loss_G"
    ),
    "out_of_range": logged(game("non-saturating", 1.0, -1.0), settings={"gan_mode": "vanilla"}),
    "g_gradients_add_up": trained(cleared=True, growth=100),
    "d_gradients_add_up": trained(cleared=True, growth=100, network="D"),
}


# --- Jensen's bound


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("family", "gap"), [("non-saturating", 6.0), ("lsgan", 0.5), ("hinge", 3.0), ("minimax", 4.0)]
)
def test_silent_on_one_d_whatever_it_answers(family: str, gap: float, seed: int) -> None:
    middle, spread = (0.5, 0.3) if family == "lsgan" else (0.0, 2.0)
    real, fake = ramp(middle, middle + gap / 2), ramp(middle, middle - gap / 2)
    said = floor(named(game(family, real, fake, spread=spread, seed=seed)), family=family)
    assert [one for one in said if not hasattr(one, "reason")] == []


def test_silent_on_losses_of_batch_1_at_different_steps() -> None:
    # pix2pix logs D's loss of one step beside G's of another: 0.7 to 8% of points lie above the bound.
    rng = np.random.default_rng(0)
    fake = rng.normal(-1.5, 1.0, 801)
    run = make_run(
        {
            "D_real": softplus(rng.normal(-1.5, 1.0, 800)),
            "D_fake": softplus(fake[1:]),
            "G_GAN": softplus(-fake[:-1]),
        }
    )
    assert floor(run) == []


def test_swapped_labels_send_both_losses_to_0() -> None:
    finding = one_finding(floor(swapped()))
    assert (finding.severity, finding.overwhelming, finding.params["check"]) == (
        Severity.ERROR,
        True,
        "swapped-labels",
    )
    assert finding.stretch.end is None
    # No family fits, so the mildest bound counts, that of least squares: exp(0) - exp(-1).
    assert measured(finding)["median excess over the bound"] == pytest.approx(0.63, abs=0.03)
    assert measured(finding)["share of points above the bound"] > 0.8


@pytest.mark.parametrize(("share", "fires"), [(0.12, 0), (0.9, 1)])
def test_two_games_are_told_by_the_share_of_points(share: float, fires: int) -> None:
    said = floor(two_discriminators(share))
    assert len(said) == fires
    for finding in said:
        assert finding.params["share"] == pytest.approx(share, abs=0.1)


def test_d_s_whole_loss_is_the_weaker_form_of_the_test() -> None:
    run = swapped()
    whole = run.series["D_real"].values + run.series["D_fake"].values
    said = floor(make_run({"loss_D": whole, "G_GAN": run.series["G_GAN"].values}))
    assert one_finding(said).params["check"] == "swapped-labels"


def test_a_g_loss_of_unknown_scale_is_not_held_against_d() -> None:
    run = make_run({"loss_D": noisy(level(0.3), 0.1), "loss_G": noisy(level(0.05), 0.1)})
    assert refusal(floor(run)) == ("not-examinable", "g-loss-scale-unknown", "d-fake-loss")


def test_both_losses_at_0_break_the_bound_whatever_g_s_weight() -> None:
    # Both had fallen before the first logged step: G's scale cannot be told from its start.
    played = {tag: one.values for tag, one in swapped().series.items()}
    whole = played["D_real"] + played["D_fake"]
    for weight in (1.0, 1e-3, 20.0):
        run = make_run({"loss_D": whole, "loss_G": weight * played["G_GAN"]})
        assert one_finding(floor(run)).params["check"] == "swapped-labels"
    negative = make_run({"loss_D": noisy(level(1e-4), 1e-5), "loss_G": noisy(level(0.0), 1e-6)})
    assert refusal(floor(negative))[1] == "no-equilibrium"  # a critic


def test_a_mixed_g_loss_and_a_critic_are_not_examined() -> None:
    mixed = make_run({"loss_D": level(0.5), "loss_G": level(30.0), "G_L1": level(20.0)})
    assert refusal(floor(mixed)) == ("not-examinable", "g-loss-mixed", "d-fake-loss")
    assert refusal(floor(logged(CRITIC)))[:2] == ("not-examinable", "no-equilibrium")


def test_a_sign_is_told_from_a_d_that_has_won_where_the_start_is_not_logged() -> None:
    # Relativistic, both losses pairs' differences: D is perfect, G's loss falls without a bound.
    d, g = noisy(level(0.01), 0.3), noisy(ramp(-4.0, -14.0), 0.05)
    assert one_finding(sinking(make_run({"loss_D": d, "loss_G": g}))).params["check"] == "sign"
    critic = make_run({"loss_D": noisy(level(0.7), 0.3), "loss_G": g})  # a penalty far too strong
    assert refusal(sinking(critic))[1] == "other-family"


# --- losses against D's own outputs


@pytest.mark.parametrize("family", ["non-saturating", "hinge", "lsgan", "wgan"])
def test_silent_on_losses_made_of_their_outputs(family: str) -> None:
    played = game(family, ramp(0.2, 3), ramp(-0.2, -3)) if family != "lsgan" else LEAST_SQUARES
    for detector in (contradict, own_outputs):
        assert detector(with_outputs(played), family=family) == []


def test_a_penalty_inside_the_critics_loss_is_no_contradiction() -> None:
    penalised = CRITIC["loss_D"] + noisy(level(1.5), 0.3)(np.linspace(0, 1, 400))
    assert contradict(with_outputs(CRITIC, loss_D=penalised)) == []


def test_labels_swapped_in_d_show_in_its_outputs() -> None:
    finding = one_finding(contradict(swapped()))
    assert (finding.severity, finding.params["check"], finding.stretch.end) == (
        Severity.ERROR,
        "swapped-labels",
        None,
    )


def test_a_critic_trained_with_the_wrong_sign() -> None:
    played = game("wgan", ramp(-1, -6), ramp(1, 6))  # ranks fakes above reals
    finding = one_finding(contradict(with_outputs(played, loss_D=-played["loss_D"]), family="wgan"))
    assert finding.params["check"] == "swapped-labels"


def test_probabilities_are_not_raw_outputs() -> None:
    played = game("non-saturating", ramp(0, 4), ramp(0, -4))
    sigmoid = {tag: 1 / (1 + np.exp(-played[tag])) for tag in ("out/real", "out/fake")}
    assert contradict(with_outputs(played, **sigmoid)) == []
    assert own_outputs(with_outputs(played, **sigmoid)) == []


def test_a_critics_g_loss_at_plus_its_mean_output() -> None:
    finding = one_finding(own_outputs(with_outputs(CRITIC, loss_G=-CRITIC["loss_G"])))
    assert (finding.severity, finding.overwhelming, finding.params["check"]) == (Severity.ERROR, True, "sign")
    assert own_outputs(with_outputs(CRITIC)) == []


def test_means_near_0_tell_nothing_of_the_sign() -> None:
    small = game("wgan", 0.1, -0.1, spread=0.2)
    assert own_outputs(with_outputs(small, loss_G=-small["loss_G"])) == []


# --- shapes and ranges


def test_a_cross_entropy_that_sinks_below_what_d_allows() -> None:
    finding = one_finding(sinking(wrong_sign()))
    assert (finding.severity, finding.params["check"], finding.stretch.end) == (Severity.ERROR, "sign", None)


def test_a_g_loss_that_starts_elsewhere_is_no_cross_entropy_with_a_wrong_sign() -> None:
    assert refusal(sinking(logged(CRITIC))) == ("not-examinable", "other-family", "")


def test_double_sigmoid_is_told_by_its_bounds() -> None:
    finding = one_finding(sigmoids(make_run(double())))
    assert finding.severity is Severity.WARNING
    assert measured(finding)["largest L_G"] <= 0.6932
    assert measured(finding)["largest loss of D on reals"] <= 0.6932
    assert measured(finding)["least loss of D on fakes"] >= 0.6931
    assert finding.stretch.onset == 50


def test_double_sigmoid_is_told_where_both_outputs_saturate_and_the_log_begins_late() -> None:
    values = {tag: x[200:] for tag, x in double(points=600, means=(-4.0, -8.0)).items()}
    assert len(sigmoids(make_run(values))) == 1


def test_double_sigmoid_under_minimax() -> None:
    values = double()
    assert (
        len(
            sigmoids(
                make_run({**values, "loss_G": -values["loss_D_fake"]}),
            )
        )
        == 1
    )


def test_double_sigmoid_without_the_halves_is_told_by_its_start() -> None:
    values = double()
    whole = {"loss_D": values["loss_D_real"] + values["loss_D_fake"], "loss_G": values["loss_G"]}
    finding = one_finding(sigmoids(make_run(whole)))
    assert measured(finding)["least L_D"] >= 1.006
    assert sigmoids(make_run({tag: x[200:] for tag, x in whole.items()})) == []


@pytest.mark.parametrize("mean", [0.0, 0.02, 0.3])  # of both outputs: at equilibrium, or a G that is ahead
@pytest.mark.parametrize("spread", [0.0, 0.01, 0.1])
def test_silent_on_outputs_that_stand(mean: float, spread: float) -> None:
    played = game("non-saturating", mean, mean, spread=spread)
    assert [one for one in sigmoids(logged(played, *NAMED)) if not hasattr(one, "reason")] == []


@pytest.mark.parametrize(("tag", "at", "value"), [("loss_G", 250, 0.7), ("loss_D_fake", 250, 0.2)])
def test_one_value_out_of_the_bounds_refutes_a_double_sigmoid(tag: str, at: int, value: float) -> None:
    values = double()
    values[tag][at] = value
    assert sigmoids(make_run(values)) == []


def test_a_range_is_held_against_the_family_that_was_named() -> None:
    run = logged(CRITIC, settings={"gan_mode": "vanilla"})
    finding = one_finding(ranges(run))
    assert (finding.severity, finding.params["check"], finding.params["share"]) == (
        Severity.ERROR,
        "range",
        1.0,
    )
    assert refusal(ranges(logged(CRITIC)))[1] == "family-not-named"
    assert refusal(ranges(logged(CRITIC), family="wgan"))[1] == "other-family"
    assert one_finding(ranges(logged(CRITIC), family="lsgan")).severity is Severity.ERROR


@pytest.mark.parametrize(("until", "fires"), [(0.18, 0), (0.25, 1)])  # share of points below 0
def test_a_few_negative_values_are_no_other_family(until: float, fires: int) -> None:
    run = make_run({"loss_D": pieces((0, -0.5), (until, 0.9)), "loss_G": level(1.0)})
    assert len(ranges(run, family="non-saturating")) == fires


# --- gradients that add up


@pytest.mark.parametrize("every", [1, 4, 25])
@NETWORKS
def test_gradients_that_are_never_cleared(network: str, every: int) -> None:
    finding = one_finding(adding_up[network](trained(cleared=False, network=network, every=every)))
    assert finding.severity is Severity.ERROR
    assert finding.params["check"] == "summed-gradients"
    assert finding.subject.network == network
    assert {evidence.kind for evidence in finding.evidence} == {Kind.GRADIENTS, Kind.WEIGHTS}
    assert (finding.stretch.onset, finding.stretch.end) == (every, None)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("growth", [1e-2, 1.0, 1e2, 1e4])
@pytest.mark.parametrize("average", [False, True])
def test_silent_on_gradients_of_one_batch_however_they_grow(growth: float, average: bool, seed: int) -> None:
    run = trained(cleared=True, growth=growth, average=average, seed=seed)
    assert adding_up["G"](run) == []


def test_silent_on_gradients_that_grow_smoothly_but_late() -> None:
    """A game that runs away: no jitter, and weights that go far, but no growth at first."""
    t = np.linspace(0, 1, 200)
    run = make_run(
        {
            "grad_norm_G": 2 * np.exp(12 * t**4),
            "step_norm_G": level(0.2),
            "weight_norm_G": 20 * np.exp(3 * t**4),
        }
    )
    assert adding_up["G"](run) == []


def test_silent_on_a_network_that_is_not_updated_at_every_step() -> None:
    every_other = np.where(np.arange(200) % 2 == 0, 1.0, 0.0)
    run = trained(cleared=False)
    made = {tag: one.values * every_other for tag, one in run.series.items()}
    assert adding_up["G"](make_run(made)) == []


# --- G's loss below what any family has


def test_least_squares_with_the_wrong_sign() -> None:
    finding = one_finding(hears(g_below_every_family)(wrong_sign_of_least_squares()))
    assert finding.severity is Severity.ERROR
    assert finding.params["check"] == "sign"
    assert measured(finding)["minus G's loss / the size of D's outputs on fakes"] > 10


@pytest.mark.parametrize("family", ["non-saturating", "minimax", "lsgan", "hinge", "wgan"])
@pytest.mark.parametrize("fake", [-60.0, 0.0, 60.0])
@pytest.mark.parametrize("weight", [1.0, 8.0])
def test_no_family_goes_below_its_outputs(family: str, fake: float, weight: float) -> None:
    played = game(family, 5.0, ramp(0, fake), spread=(1.0, 3.0))
    assert hears(g_below_every_family)(outputs_and_spreads(played, weight)) == []


def test_a_double_sigmoid_beside_the_raw_outputs_that_it_bends() -> None:
    raw = dict(
        zip(
            ("out/real", "out/fake"),
            (x.mean(1) for x in outputs_of(2.0, -2.0, points=400, seed=0)),
            strict=True,
        )
    )
    finding = one_finding(hears(double_sigmoid)(make_run({**double(), **raw})))
    assert finding.params["check"] == "double-sigmoid"


def test_unbent_losses_beside_outputs_that_contradict_them_are_no_double_sigmoid() -> None:
    played = game("non-saturating", 2.0, -2.0)
    assert not [
        one for one in hears(double_sigmoid)(make_run({
            **{tag: played[tag] for tag in ("loss_D_real", "loss_D_fake", "loss_G")},
            "out/real": -3 * played["out/real"], "out/fake": -3 * played["out/fake"],
        })) if isinstance(one, Finding)
    ]  # fmt: skip
