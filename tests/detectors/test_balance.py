from __future__ import annotations

import numpy as np
import pytest

from gandoctor.detectors.balance import (
    d_overpowers_by_accuracy,
    d_overpowers_by_losses,
    d_overpowers_by_outputs,
    d_overpowers_by_pairs,
    d_overpowers_by_probabilities,
    g_overpowers_by_losses,
    g_overpowers_by_outputs,
)
from gandoctor.findings import NotExamined, Severity
from gandoctor.run import Run
from tests.runs import (
    Shape,
    game,
    hears,
    jump,
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

by_losses = hears(d_overpowers_by_losses)
by_pairs = hears(d_overpowers_by_pairs)
by_outputs = hears(d_overpowers_by_outputs)
by_probabilities = hears(d_overpowers_by_probabilities)
by_accuracy = hears(d_overpowers_by_accuracy)
fooled = hears(g_overpowers_by_losses)
inverted = hears(g_overpowers_by_outputs)

BLOCK = 400 * 50 / 30  # steps in one of the 30 blocks of a run of 400 points
HALVES = ("loss_D_real", "loss_D_fake", "loss_G")
OUTPUTS = ("out/real", "out/fake", "out/real_std", "out/fake_std")


def won(at: float, until: float = 2.0, family: str = "non-saturating", **options: float) -> Run:
    """A game that D wins for a while: its outputs part from 1.4 to 14."""
    real, fake = pieces((0, 0.7), (at, 6.0), (until, 0.7)), pieces((0, -0.7), (at, -8.0), (until, -0.7))
    return logged(game(family, real, fake, **options), *HALVES)  # type: ignore[arg-type]


def pinned(real: float, fake: float, family: str = "non-saturating") -> Run:
    """A game whose outputs hardly move, so that lead and debt are known to two digits."""
    return logged(game(family, real, fake, spread=0.05), *HALVES)


def outputs(distance: float | Shape) -> Run:
    """D's means and standard deviations, `distance` standard deviations apart."""
    apart = distance if callable(distance) else level(distance)
    return make_run(
        {"out/real": apart, "out/fake": level(0.0), "out/real_std": level(2.0), "out/fake_std": level(2.0)}
    )


def probabilities(real: Shape, fake: Shape) -> Run:
    return make_run({"D(x)": real, "D(G(z))": fake})


FIRES = {
    "d_overpowers_by_losses": won(0.3),
    "d_overpowers_by_pairs": make_run({"out/pair_accuracy": jump(0.8, 0.97, at=0.3)}),
    "d_overpowers_by_outputs": outputs(jump(2, 5, at=0.3)),
    "d_overpowers_by_probabilities": probabilities(jump(0.7, 0.99, at=0.3), jump(0.3, 0.01, at=0.3)),
    "d_overpowers_by_accuracy": make_run({"loss_D": level(0.9), "loss_G": level(1.2), "d_acc": level(0.99)}),
    "g_overpowers_by_losses": logged(
        game("non-saturating", pieces((0, 0.3), (0.2, 0.5)), pieces((0, -0.3), (0.2, 1.3)), spread=0.3),
        *HALVES,
    ),
    "g_overpowers_by_outputs": probabilities(level(0.4), level(0.6)),
}
SILENT = {
    "d_overpowers_by_losses": logged(game("non-saturating", 2.0, -2.0), *HALVES),
    "d_overpowers_by_pairs": make_run({"out/pair_accuracy": noisy(level(0.91), 0.005)}),
    "d_overpowers_by_outputs": outputs(1.5),
    "d_overpowers_by_probabilities": probabilities(level(0.9), level(0.1)),
    "d_overpowers_by_accuracy": make_run({"loss_D": level(0.9), "loss_G": level(1.2), "d_acc": level(0.9)}),
    "g_overpowers_by_losses": logged(game("non-saturating", 0.0, 0.0), *HALVES),
    "g_overpowers_by_outputs": probabilities(level(0.5), level(0.5)),
}


# --- GD201 by the losses


@pytest.mark.parametrize("gap", [0.5, 1.5, 3.0, 5.0])
def test_silent_on_a_d_that_merely_leads(gap: float) -> None:
    assert by_losses(logged(game("non-saturating", gap / 2, -gap / 2), *HALVES)) == []


def test_silent_on_a_win_in_the_first_tenth() -> None:
    early = game("non-saturating", pieces((0, 6.0), (0.12, 0.7)), pieces((0, -8.0), (0.12, -0.7)))
    assert by_losses(logged(early, *HALVES)) == []


def test_silent_on_a_perfect_d_whose_g_is_not_starved() -> None:
    run = make_run({"loss_D_real": level(0.01), "loss_D_fake": level(0.05), "loss_G": noisy(level(3.2), 0.1)})
    assert by_losses(run) == []


def test_silent_on_the_long_debt_of_a_noisy_batch_of_1() -> None:
    rng = np.random.default_rng(0)
    fake, real = rng.normal(-1.5, 2.5, 800), rng.normal(1.5, 2.5, 800)
    run = make_run(
        {"D_real": np.logaddexp(0, -real), "D_fake": np.logaddexp(0, fake), "G_GAN": np.logaddexp(0, -fake)}
    )
    assert by_losses(run) == []


@pytest.mark.parametrize("family", ["non-saturating", "hinge", "minimax"])
@pytest.mark.parametrize("at", [0.2, 0.4])
def test_onset_lies_within_a_block_of_the_win(family: str, at: float) -> None:
    finding = one_finding(by_losses(won(at, family=family), family=family))
    true_onset = 400 * 50 * at
    assert finding.severity is Severity.ERROR
    assert finding.overwhelming
    assert abs(finding.stretch.onset - true_onset) <= BLOCK
    earliest, latest = finding.stretch.onset_interval
    assert earliest <= true_onset <= latest
    assert finding.stretch.end is None


def test_least_squares_has_d_win_where_g_stands_at_its_dead_value() -> None:
    played = game("lsgan", pieces((0, 0.7), (0.3, 1.0)), pieces((0, 0.3), (0.3, 0.0)), spread=0.1)
    finding = one_finding(by_losses(logged(played, *HALVES)))
    assert (finding.severity, finding.stretch.end) == (Severity.ERROR, None)
    assert finding.params["debt"] == pytest.approx(1.0, abs=0.05)  # (1 - 0.25) / 0.75


def test_evidence_holds_the_lead_the_debt_and_the_share() -> None:
    finding = one_finding(by_losses(pinned(5.0, -8.0)))
    # L_D = log(1 + e^-5) + log(1 + e^-8) = 0.00705, of 2 log 2; L_G = 8.0003.
    assert measured(finding) == pytest.approx(
        {
            "median lead of D": 0.9949,
            "median debt of G": 10.54,
            "share of steps with D ahead and G starved": 1.0,
        },
        abs=0.02,
    )
    assert finding.evidence[0].window == (finding.stretch.onset, 20_000)
    assert finding.stretch.onset <= BLOCK
    assert set(finding.evidence[0].series) == set(HALVES)


def test_a_win_that_ended_is_a_warning_with_its_end() -> None:
    finding = one_finding(by_losses(won(0.15, until=0.75)))
    assert finding.severity is Severity.WARNING
    assert abs(finding.stretch.onset - 3_000) <= BLOCK
    assert finding.stretch.end is not None
    assert abs(finding.stretch.end - 15_000) <= BLOCK


@pytest.mark.parametrize(
    ("fake", "severity"),
    # L_G = log(1 + e^-fake): 6 debts are 4.852, 4.5 are 3.812.
    [(-5.0, Severity.ERROR), (-4.7, Severity.WARNING), (-4.0, Severity.WARNING), (-3.6, None)],
)
def test_severity_follows_the_debt(fake: float, severity: Severity | None) -> None:
    assert [finding.severity for finding in by_losses(pinned(6.0, fake))] == ([severity] if severity else [])


@pytest.mark.parametrize(
    ("real", "severity"),
    # The real half is the lead here: 0.15 of 2 log 2 is 0.208 = log(1 + e^-real) at real = 1.465.
    [(1.6, Severity.ERROR), (1.3, Severity.WARNING), (0.1, Severity.WARNING), (-0.3, None)],
)
def test_severity_follows_the_lead(real: float, severity: Severity | None) -> None:
    assert [finding.severity for finding in by_losses(pinned(real, -9.0))] == ([severity] if severity else [])


@pytest.mark.parametrize(("at", "severity"), [(0.5, Severity.ERROR), (0.62, Severity.WARNING), (0.9, None)])
def test_severity_follows_the_share_of_the_run(at: float, severity: Severity | None) -> None:
    assert [finding.severity for finding in by_losses(won(at))] == ([severity] if severity else [])


def test_a_content_loss_asks_for_a_perfect_d() -> None:
    lead_97 = {"D_real": level(0.02), "D_fake": level(0.02), "G_GAN": level(6.0)}
    assert one_finding(by_losses(make_run(lead_97))).severity is Severity.ERROR
    assert one_finding(by_losses(make_run({**lead_97, "G_L1": level(12.0)}))).severity is Severity.WARNING
    perfect = {**lead_97, "D_real": level(0.001), "D_fake": level(0.001), "G_L1": level(12.0)}
    assert one_finding(by_losses(make_run(perfect))).severity is Severity.ERROR


def test_a_g_loss_mixed_with_others_leaves_d_alone_to_judge() -> None:
    mixed = {
        "loss_D_real": level(1e-4),
        "loss_D_fake": level(1e-4),
        "loss_G": level(40.0),
        "G_L1": level(30.0),
    }
    finding = one_finding(by_losses(make_run(mixed)))
    assert finding.severity is Severity.WARNING
    assert "debt" not in finding.params
    assert by_losses(make_run({**mixed, "loss_D_fake": level(0.05)})) == []


@pytest.mark.parametrize(
    ("tags", "options", "said"),
    [
        ({"loss_G": level(1.0)}, {}, ("not-examinable", "missing-signal", "d-loss")),
        ({"loss_D": level(1.0)}, {}, ("not-examinable", "missing-signal", "g-loss")),
        ({"loss_D": level(1.0), "loss_G": level(1.0)}, {"points": 39}, ("too-short", "too-few-points", "")),
    ],
)
def test_where_it_cannot_look_it_says_why(
    tags: dict[str, Shape], options: dict[str, int], said: tuple[str, str, str]
) -> None:
    assert refusal(by_losses(make_run(tags, **options))) == said


def test_a_critic_has_no_perfect_d_and_asks_for_its_outputs() -> None:
    run = logged(game("wgan", ramp(2, 30), ramp(-2, -30)))
    assert refusal(by_losses(run)) == ("not-examinable", "no-equilibrium", "d-outputs")


# --- GD201 by pair accuracy and outputs


@pytest.mark.parametrize(
    ("accuracy", "severity"),
    [(0.92, None), (0.94, Severity.WARNING), (0.98, Severity.WARNING), (0.995, Severity.ERROR)],
)
def test_pair_accuracy_decides(accuracy: float, severity: Severity | None) -> None:
    said = by_pairs(make_run({"out/pair_accuracy": level(accuracy)}))
    assert [finding.severity for finding in said] == ([severity] if severity else [])


def test_pair_accuracy_holds_for_a_critic_too() -> None:
    critic = game("wgan", pieces((0, 0.5), (0.3, 3.0)), pieces((0, -0.5), (0.3, -3.0)), spread=1.0)
    finding = one_finding(by_pairs(logged(critic, "loss_D", "loss_G", "out/pair_accuracy")))
    assert abs(finding.stretch.onset - 6_000) <= 100
    assert finding.stretch.end is None


@pytest.mark.parametrize("late", [0.95, 0.999])
def test_a_d_that_leads_from_the_start_until_g_catches_up_is_no_illness(late: float) -> None:
    assert by_pairs(make_run({"out/pair_accuracy": pieces((0, late), (0.5, 0.7))})) == []


def test_pairs_told_apart_for_a_while_are_a_warning_with_an_end() -> None:
    run = make_run({"out/pair_accuracy": pieces((0, 0.7), (0.2, 0.999), (0.8, 0.7))})
    finding = one_finding(by_pairs(run))
    assert finding.severity is Severity.WARNING
    assert finding.stretch.end is not None
    assert abs(finding.stretch.end - 16_000) <= 100
    assert measured(finding)["pair accuracy of D"] == pytest.approx(0.999)


@pytest.mark.parametrize(
    ("distance", "accuracy", "severity"),
    # Φ(d / √2): 0.93 at 2.087, 0.99 at 3.290.
    [
        (2.0, 0.9214, None),
        (2.2, 0.9401, Severity.WARNING),
        (3.2, 0.9882, Severity.WARNING),
        (3.4, 0.9919, Severity.ERROR),
    ],
)
def test_means_and_spreads_give_the_pair_accuracy(
    distance: float, accuracy: float, severity: Severity | None
) -> None:
    said = by_outputs(outputs(2.0 * distance))
    assert [finding.severity for finding in said] == ([severity] if severity else [])
    for finding in said:
        assert measured(finding) == pytest.approx(
            {"pair accuracy of D, from its outputs": accuracy}, abs=1e-4
        )


def test_the_accuracy_from_outputs_agrees_with_the_counted_one() -> None:
    played = game("non-saturating", 2.5, -2.5, spread=1.5, batch=256)
    from_outputs = one_finding(by_outputs(logged(played, *OUTPUTS))).params["accuracy"]
    counted = one_finding(by_pairs(logged(played, "out/pair_accuracy"))).params["accuracy"]
    assert from_outputs == pytest.approx(counted, abs=0.005)


def test_outputs_yield_to_a_logged_pair_accuracy() -> None:
    played = game("non-saturating", 4.0, -4.0)
    assert by_outputs(logged(played, *OUTPUTS, "out/pair_accuracy")) == []


def test_outputs_without_spread_are_quiet() -> None:
    stuck = make_run(
        {
            "out/real": level(5.0),
            "out/fake": level(0.0),
            "out/real_std": level(0.0),
            "out/fake_std": level(0.0),
        }
    )
    assert by_outputs(stuck) == []


def test_spreads_are_asked_for() -> None:
    assert refusal(by_outputs(make_run({"out/real": level(1.0), "out/fake": level(0.0)}))) == (
        "not-examinable", "missing-signal", "d-output-spreads",
    )  # fmt: skip


# --- GD201 by probabilities and accuracy


@pytest.mark.parametrize(("real", "fake", "fires"), [(0.96, 0.04, 1), (0.94, 0.04, 0), (0.96, 0.06, 0)])
def test_both_probabilities_must_be_extreme(real: float, fake: float, fires: int) -> None:
    said = by_probabilities(probabilities(level(real), level(fake)))
    assert len(said) == fires
    for finding in said:
        assert measured(finding) == pytest.approx({"median D(x)": real, "median D(G(z))": fake})


def test_raw_outputs_are_no_probabilities() -> None:
    assert by_probabilities(probabilities(level(4.0), level(0.01))) == []
    assert by_probabilities(probabilities(level(0.97), level(-2.0))) == []


@pytest.mark.parametrize("unit", [1, 100])
@pytest.mark.parametrize(("accuracy", "fires"), [(0.98, 1), (0.96, 0)])
def test_accuracy_as_a_share_or_in_percent(unit: int, accuracy: float, fires: int) -> None:
    said = by_accuracy(
        make_run({"loss_D": level(0.9), "loss_G": level(1.2), "d_acc": level(accuracy * unit)})
    )
    assert [measured(finding)["median accuracy of D"] for finding in said] == pytest.approx(
        [accuracy] * fires
    )


def test_accuracy_says_nothing_of_least_squares() -> None:
    run = logged(game("lsgan", 0.7, 0.3, spread=0.15))
    run.series.update(make_run({"d_acc": level(1.0)}).series)
    assert refusal(by_accuracy(run)) == ("not-examinable", "other-family", "pair-accuracy")


# --- GD202


@pytest.mark.parametrize(("fake", "fires"), [(0.75, 0), (1.0, 1)])  # half of log 2 is the loss at 0.881
def test_g_must_lie_under_half_of_its_equilibrium(fake: float, fires: int) -> None:
    assert len(fooled(pinned(0.0, fake))) == fires


def test_evidence_of_a_fooled_d() -> None:
    finding = one_finding(fooled(pinned(0.0, 2.0)))
    assert finding.severity is Severity.WARNING
    # L_G = log(1 + e^-2) = 0.1269, of log 2.
    assert measured(finding) == pytest.approx(
        {
            "share of steps with D blind and G far below its equilibrium": 1.0,
            "median L_G / equilibrium": 0.1831,
        },
        abs=0.002,
    )


@pytest.mark.parametrize(
    ("until", "fires"), [(0.3, 0), (0.4, 1)]
)  # of the nine tenths after warm-up: 0.22, 0.33
def test_a_fooled_d_must_stay_fooled(until: float, fires: int) -> None:
    run = logged(game("non-saturating", 0.0, pieces((0, 2.0), (until, 0.0)), spread=0.3), *HALVES)
    said = fooled(run)
    assert len(said) == fires
    for finding in said:
        assert finding.stretch.end is not None
        assert abs(finding.stretch.end - 8_000) <= 100


def test_a_low_g_loss_beside_a_d_that_leads_is_no_win() -> None:
    assert fooled(pinned(5.0, 0.92)) == []  # L_D 1.26, L_G 0.34


@pytest.mark.parametrize("family", ["hinge", "minimax", "wgan"])
def test_a_g_loss_without_positive_equilibrium_cannot_tell(family: str) -> None:
    run = logged(game(family, 0.0, 2.0), *HALVES)
    assert refusal(fooled(run, family=family)) == ("not-examinable", "no-equilibrium", "d-outputs")


def test_a_mixed_g_loss_cannot_tell() -> None:
    run = make_run({"loss_D": level(1.5), "loss_G": level(20.0), "G_L1": level(15.0)})
    assert refusal(fooled(run)) == ("not-examinable", "g-loss-mixed", "d-outputs")


@pytest.mark.parametrize(("real", "fake", "fires"), [(0.40, 0.52, 1), (0.40, 0.48, 0), (0.6, 0.4, 0)])
def test_fakes_ranked_above_reals_by_a_tenth(real: float, fake: float, fires: int) -> None:
    said = inverted(probabilities(level(real), level(fake)))
    assert len(said) == fires
    for finding in said:
        assert measured(finding) == pytest.approx({"median D(G(z)) - D(x)": fake - real})


def test_raw_outputs_are_held_against_their_own_range() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, (2, 400))
    chance = make_run({"out/real": noise[0], "out/fake": noise[1] + 0.3})
    beaten = make_run({"out/real": noise[0], "out/fake": noise[1] + 4.0})
    assert inverted(chance) == []
    assert one_finding(inverted(beaten)).stretch.end is None


def test_scores_that_never_meet_are_no_evidence() -> None:
    run = probabilities(level(0.99), level(0.01))
    late = make_run({"D(G(z))": level(0.01)}, points=800)
    run.series["D(G(z))"] = late.series["D(G(z))"].take(slice(400, None))
    for detector in (by_probabilities, inverted):
        assert not [said for said in detector(run) if not isinstance(said, NotExamined)]
