from __future__ import annotations

import numpy as np
import pytest

from gandoctor.findings import Stretch
from gandoctor.interpret.view import (
    ANY,
    D_GRAD,
    D_LOSS,
    EMPTY,
    G_GRAD,
    G_LOSS,
    QUALITY,
    SCORES,
    RunView,
    Track,
    views_of,
)
from gandoctor.run import Run, Series, Unit, Values
from tests.runs import game, jump, level, logged, make_run, noisy, pieces, ramp, view_of

CHANCE = 2 * np.log(2)
HALVES = ("loss_D_real", "loss_D_fake", "loss_G")
PLAYED = game("non-saturating", 0.8, -0.8)


def track(steps: list[int], values: list[float]) -> Track:
    return Track(np.array(steps, np.int64), np.array(values), ("made",))


def late(played: dict[str, Values], at: int, *tags: str, before: float = 0.0) -> Run:
    """A run whose adversarial part begins at a point: exact zeros (or another constant) before."""
    points = np.arange(len(played["loss_G"]))
    return make_run({tag: np.where(points < at, before, played[tag]) for tag in tags})


# --- signals


def test_a_signal_is_its_finite_points() -> None:
    values = np.array([1.0, np.nan, 2.0, np.inf, 3.0])
    view = view_of(make_run({"grad_norm_G": values}))
    assert view.get(G_GRAD).values.tolist() == [1.0, 2.0, 3.0]
    assert view.get(G_GRAD).steps.tolist() == [50, 150, 250]
    assert (view.points(G_GRAD), view.points(ANY), view.has(D_GRAD)) == (3, 5, False)


def test_numbers_beyond_float32_are_cut_to_sizes_that_can_be_reckoned_with() -> None:
    values = view_of(make_run({"grad_norm_G": np.array([1e300, -1e300, 1e-300, 3.0])})).get(G_GRAD).values
    assert values.tolist() == [1e100, -1e100, 0.0, 3.0]


def test_a_signal_of_two_sides_has_as_many_points_as_the_shorter() -> None:
    run = make_run({"D(x)": level(0.7), "D(G(z))": level(0.3)})
    run.series["D(G(z))"] = run.series["D(G(z))"].take(slice(0, 30))
    view = view_of(run)
    assert view.points(SCORES) == 30
    assert view.part(SCORES, "fake").tags == ("D(G(z))",)
    assert view_of(make_run({"D(x)": level(0.7)})).points(SCORES) == 0


def test_whole_networks_come_before_layers() -> None:
    run = make_run(
        {"grad_norm_G/conv1": level(1.0), "grad_norm_G": level(2.0), "grad_norm_G/conv2": level(3.0)}
    )
    tags = [one.tags[0] for one in view_of(run).all(G_GRAD)]
    assert tags == ["grad_norm_G", "grad_norm_G/conv1", "grad_norm_G/conv2"]


# --- common steps


def test_aligned_at_the_steps_that_all_share() -> None:
    view = view_of(make_run({}))
    steps, (a, b) = view.aligned(track([1, 2, 3, 4], [1, 2, 3, 4]), track([2, 3, 4, 5], [20, 30, 40, 50]))
    assert steps.tolist() == [2, 3, 4]
    assert (a.tolist(), b.tolist()) == ([2, 3, 4], [20, 30, 40])


def test_no_value_is_carried_past_the_end_of_its_series() -> None:
    view = view_of(make_run({"loss_D": level(1.0)}))
    ended, long = track([5, 15, 25], [1, 2, 3]), track(list(range(0, 400, 100)), [1, 2, 3, 4])
    steps, _ = view.aligned(ended, long)
    assert steps.tolist() == [5, 15, 25]
    steps, (a, b) = view.aligned(track([0, 150, 290], [1, 2, 3]), track(list(range(1, 900, 2)), [7.0] * 450))
    assert (steps.tolist(), a.tolist(), b.tolist()) == ([150, 290], [2, 3], [7, 7])
    steps, (a, _) = view.aligned(
        track(list(range(0, 100, 2)), [1.0] * 50), track([51, 98, 99, 150, 250], [1.0] * 5)
    )
    assert steps.tolist() == [51, 98, 99]


def test_aligned_at_the_sparsest_with_the_last_value_before() -> None:
    view = view_of(make_run({}))
    dense, sparse = track(list(range(1, 101)), list(range(1, 101))), track([5, 55, 95], [0.5, 5.5, 9.5])
    steps, (a, b) = view.aligned(dense, sparse)
    assert (steps.tolist(), a.tolist(), b.tolist()) == ([5, 55, 95], [5, 55, 95], [0.5, 5.5, 9.5])
    odd = track([10, 60, 96], [1.0, 6.0, 9.6])
    steps, (a, b) = view.aligned(odd, sparse)  # no common step: from the first at which both have begun
    assert (steps.tolist(), a.tolist(), b.tolist()) == ([10, 60, 96], [1.0, 6.0, 9.6], [0.5, 5.5, 9.5])


def test_series_that_never_meet_have_no_common_steps() -> None:
    view = view_of(make_run({}))
    steps, (a, b) = view.aligned(track([1, 2, 3], [1, 2, 3]), track([10, 11, 12], [1, 2, 3]))
    assert (len(steps), len(a), len(b)) == (0, 0, 0)
    assert [len(values) for values in view.aligned(EMPTY, track([1], [1.0]))[1]] == [0, 0]


def test_blocks_are_medians_of_neighbours() -> None:
    view = view_of(make_run({}))
    thin = view.blocks(track(list(range(10, 100, 10)), [1, 9, 2, 3, 3, 99, 5, 6, 7]), 3)
    assert (thin.steps.tolist(), thin.values.tolist()) == ([20, 50, 80], [2, 3, 6])
    assert view.blocks(thin, 3) is thin


# --- the run's extent


def test_a_series_of_a_small_part_of_the_run_has_an_extent_of_its_own() -> None:
    run = make_run({"loss_D": level(1.0)}, every=1)
    run.series.update(make_run({"lr_G": level(1e-4)}, every=500).series)
    view = view_of(run)
    assert view.span == (1, 200_000)
    assert view.extent(view.get(D_LOSS).steps) == (1, 400)
    assert int(np.count_nonzero(view.after_warm_up(view.get(D_LOSS).steps))) == 360
    assert view.extent(np.arange(90_000, 200_000)) == (1, 200_000)
    assert view.extent(np.empty(0, np.int64)) == (1, 200_000)


def test_the_empty_view() -> None:
    [view] = views_of(Run(view_of(make_run({})).run.path, "run"))
    assert (view.span, view.unit, view.points(ANY)) == ((0, 0), Unit.ITERATION, 0)
    assert len(view.game.d) == len(view.game.g) == 0


def test_the_unit_is_that_of_the_losses() -> None:
    assert view_of(make_run({"fid": level(1.0), "loss_D": level(1.0)}, unit=Unit.EPOCH)).unit is Unit.EPOCH


# --- stretches


STEPS = np.arange(1, 401) * 50


def stretch(*pairs: tuple[int, int], share: float = 0.2, **options: float) -> Stretch | None:
    mask = np.zeros(400, bool)
    for first, last in pairs:
        mask[first:last] = True
    return view_of(make_run({"loss_D": level(1.0)})).stretch(STEPS, mask, share=share, **options)


def test_a_stretch_has_its_onset_end_and_share() -> None:
    found = stretch((100, 300))
    assert found is not None
    assert (found.onset, found.end) == (101 * 50, 300 * 50)
    assert found.share == pytest.approx(200 / 360)
    assert found.onset_interval == (100 * 50, 121 * 50)  # from the point before to a window of 20 after


def test_only_what_reaches_the_last_window_has_no_end() -> None:
    assert [one.end for one in (stretch((100, 400)), stretch((100, 385))) if one is not None] == [None, None]
    ended = stretch((100, 370))
    assert ended is not None
    assert ended.end == 370 * 50


def test_blips_neither_make_nor_break_it() -> None:
    assert stretch((100, 105), (200, 205), (300, 305), share=0.02) is None
    found = stretch((100, 200), (203, 300))
    assert found is not None
    assert (found.onset, found.end) == (101 * 50, 300 * 50)


def test_the_first_of_several_that_are_long_enough() -> None:
    found = stretch((60, 90), (120, 220), (250, 390))
    assert found is not None
    assert found.onset == 121 * 50


def test_the_warm_up_counts_for_the_onset_but_not_for_the_share() -> None:
    assert stretch((0, 100)) is None  # 60 of 360 points
    found = stretch((0, 130))
    assert found is not None
    assert (found.onset, found.share) == (50, pytest.approx(90 / 360))
    assert found.onset_interval[0] == 50


def test_nothing_holds_in_an_empty_series() -> None:
    view = view_of(make_run({"loss_D": level(1.0)}))
    assert view.stretch(np.empty(0, np.int64), np.empty(0, bool), share=0.1) is None


def test_what_lies_inside_a_stretch() -> None:
    view = view_of(make_run({"loss_D": level(1.0)}))
    assert view.inside(Stretch(100, (50, 100), 200), STEPS).nonzero()[0].tolist() == [1, 2, 3]
    assert int(view.inside(Stretch(19_000, (0, 0)), STEPS).sum()) == 21


# --- the game: halves and totals


def test_halves_make_d_s_loss_and_say_that_it_is_their_sum() -> None:
    view = view_of(logged(PLAYED, *HALVES))
    assert np.allclose(view.game.d.values, PLAYED["loss_D"])
    assert view.game.d.tags == ("loss_D_real", "loss_D_fake")
    assert view.family.best.d_equilibrium == pytest.approx(CHANCE)


def test_halves_outrank_a_total_that_may_be_their_mean() -> None:
    run = logged({**PLAYED, "loss_D": PLAYED["loss_D"] / 2}, "loss_D", *HALVES)
    assert np.allclose(view_of(run).game.d.values, PLAYED["loss_D"])


def test_one_number_under_both_names_is_the_whole_loss() -> None:
    whole = PLAYED["loss_D"]
    view = view_of(make_run({"D_real": whole, "D_fake": whole, "G_GAN": PLAYED["loss_G"]}))
    assert np.allclose(view.game.d.values, whole)
    assert len(view.game.real) == len(view.game.fake) == 0


def test_two_halves_that_are_equal_and_constant_are_still_halves() -> None:
    view = view_of(make_run({"D_real": level(0.69), "D_fake": level(0.69), "G_GAN": level(0.69)}))
    assert view.game.d.values[0] == pytest.approx(1.38)


def test_one_half_alone_stands_for_d() -> None:
    view = view_of(logged(PLAYED, "loss_D_fake", "loss_G"))
    assert np.allclose(view.game.d.values, PLAYED["loss_D_fake"])


def test_nan_in_one_half_leaves_the_points_that_both_have() -> None:
    real = PLAYED["loss_D_real"].copy()
    real[100:120] = np.nan
    view = view_of(logged({**PLAYED, "loss_D_real": real}, *HALVES))
    assert len(view.game.d) == 380


# --- the game: where it starts


def test_d_begins_at_its_first_loss_that_is_not_0() -> None:
    view = view_of(late(PLAYED, 200, *HALVES))
    assert view.game.started == 201 * 50
    assert (int(view.game.d.steps[0]), int(view.game.g.steps[0])) == (201 * 50, 201 * 50)
    assert view.family.name == "non-saturating"
    assert view.family.confidence > 0.6


def test_d_that_never_ran() -> None:
    view = view_of(make_run({"loss_D": level(0.0), "loss_G": level(0.0)}))
    assert view.game.started is None


def test_a_loss_that_falls_to_0_later_has_started() -> None:
    view = view_of(make_run({"loss_D": jump(1.2, 0.0, at=0.5), "loss_G": level(1.0)}))
    assert view.game.started == 50
    assert len(view.game.d) == 400


# --- the game: which loss of G, and what it is made of


def test_sub_discriminators_are_summed() -> None:
    played = [game("lsgan", 0.7, 0.3, spread=0.15, seed=seed) for seed in range(6)]
    tags = {}
    for n, one in enumerate(played):
        tags |= {
            f"loss/d_r/{n}": one["loss_D_real"],
            f"loss/d_g/{n}": one["loss_D_fake"],
            f"loss/g/{n}": one["loss_G"],
        }
    view = view_of(
        make_run({**tags, "loss/g/mel": noisy(level(20.0), 0.1), "loss/g/total": noisy(level(30.0), 0.1)})
    )
    assert np.allclose(view.game.d.values, sum(one["loss_D"] for one in played))
    assert np.allclose(view.game.g.values, sum(one["loss_G"] for one in played))
    assert (view.family.name, view.family.best.d_equilibrium) == ("lsgan", pytest.approx(3.0))
    assert view.conditional


def test_of_two_g_losses_the_one_of_d_s_game_is_taken() -> None:
    # Two generators, one D: the D that is logged sees the samples of the second.
    other = game("non-saturating", 4.0, 8.0)
    run = make_run(
        {
            "D_real": PLAYED["loss_D_real"],
            "D_fake": PLAYED["loss_D_fake"],
            "G_GAN": other["loss_G"],
            "G_2_GAN": PLAYED["loss_G"],
        }
    )
    view = view_of(run)
    assert view.game.g.tags == ("G_2_GAN",)
    assert [stray.tags for stray in view.game.strays] == [("G_GAN",)]


@pytest.mark.parametrize(
    ("tags", "alone", "weighted"),
    [
        ({"loss_G": level(1.0)}, True, False),
        ({"loss_G": level(30.0), "G_L1": level(20.0)}, False, False),  # a total holds its terms
        ({"loss_G": level(1.0), "G_L1": level(20.0)}, True, False),  # smaller than its terms: no total
        ({"G_GAN": level(30.0), "G_L1": level(20.0)}, True, False),  # its name says so
        ({"l_g_gan": level(0.005), "l_g_pix": level(0.1)}, True, True),  # ESRGAN logs it after its weight
    ],
)
def test_what_g_s_loss_is_made_of(tags: dict[str, object], alone: bool, weighted: bool) -> None:
    found = view_of(make_run({"loss_D": noisy(level(1.0), 0.1), **tags})).game  # type: ignore[dict-item]
    assert (found.alone, found.weighted) == (alone, weighted)


def test_a_content_loss_of_0_carries_nothing() -> None:
    assert not view_of(make_run({"loss_G": level(1.0), "G_L1": level(0.0)})).conditional
    assert view_of(make_run({"loss_G": level(1.0), "psnr": level(25.0)})).conditional
    told = make_run({"loss_G": level(1.0), "G_L1": level(9.0)}, settings={"conditional": False})
    assert len(view_of(told).content) == 1


# --- pairs


def cyclegan() -> Run:
    a, b = game("lsgan", 0.7, 0.3, spread=0.2), game("lsgan", 0.6, 0.4, spread=0.2, seed=1)
    named = {"D_A": a["loss_D"] / 2, "G_A": a["loss_G"], "D_B": b["loss_D"] / 2, "G_B": b["loss_G"]}
    return make_run(
        {**named, "cycle_A": level(1.0), "cycle_B": level(1.2), "idt_A": level(0.5), "lr": level(2e-4)}
    )


def test_each_pair_has_a_view_of_its_own() -> None:
    views = views_of(cyclegan())
    assert [view.pair for view in views] == ["A", "B"]
    assert [(view.game.d.tags, view.game.g.tags) for view in views] == [
        (("D_A",), ("G_A",)),
        (("D_B",), ("G_B",)),
    ]
    assert [sorted(set(view.series) - {"lr"}) for view in views] == [
        ["D_A", "G_A", "cycle_A", "idt_A"], ["D_B", "G_B", "cycle_B"],
    ]  # fmt: skip
    assert all("lr" in view.series for view in views)
    assert all(view.conditional for view in views)
    assert views[1].subject("D").pair == "B"


def test_a_lone_pair_is_the_run() -> None:
    view = view_of(make_run({"D_A": level(0.2), "G_A": level(0.3)}))
    assert view.pair == ""


# --- the rest


def test_the_view_as_it_stood_at_a_step() -> None:
    run = logged(PLAYED, *HALVES)
    view = view_of(run)
    assert len(view.get(D_LOSS)) == 400
    short = view.until(5_000)
    assert (len(short.get(D_LOSS)), len(short.get(G_LOSS)), short.span) == (100, 100, (50, 5_000))
    assert len(view.get(D_LOSS)) == 400
    assert isinstance(view.until(0), RunView)


def test_metrics_know_which_way_is_better() -> None:
    view = view_of(make_run({"fid": level(1.0), "psnr": level(1.0), "recall": level(1.0)}))
    assert {tag: view.better_when_higher(tag) for tag in view.series} == {
        "fid": False,
        "psnr": True,
        "recall": True,
    }
    assert len(view.all(QUALITY)) == 3
    assert view.metric_kind("psnr") is not None
    assert view.metric_kind("kid") is None


def test_the_family_of_the_user_and_of_the_configuration_outrank_the_values() -> None:
    run = logged(PLAYED, *HALVES, settings={"gan_mode": "lsgan"})
    assert view_of(run).family.name in ("lsgan", "non-saturating")  # one voice among others
    assert view_of(run, family="hinge").family.name == "hinge"


def test_rates_of_the_log_are_facts_unless_the_configuration_has_them() -> None:
    run = make_run({"lr_G": pieces((0, 1e-4), (0.5, 1e-5)), "lr_D": level(4e-4)}, settings={"lr_d": 2e-4})
    facts = view_of(run).facts
    assert (facts["lr_G"].value, facts["lr_G"].source) == (1e-4, "the log: lr_G")
    assert (facts["lr_D"].value, facts["lr_D"].source) == (2e-4, "config.json: lr_d")
    assert facts["lr_ratio"].value == pytest.approx(2.0)


def test_thinning_does_not_change_the_family() -> None:
    long = game("non-saturating", ramp(0.1, 1.5), ramp(-0.1, -1.5), points=9_000, batch=16)
    run = logged(long, *HALVES, every=1)
    assert view_of(run).family.name == "non-saturating"


def test_a_series_is_never_changed_by_looking_at_it() -> None:
    run = logged({**PLAYED, "loss_G": np.where(np.arange(400) == 9, 1e300, PLAYED["loss_G"])}, *HALVES)
    before = {tag: one.values.copy() for tag, one in run.series.items()}
    view_of(run).game  # noqa: B018
    assert all(np.array_equal(before[tag], one.values) for tag, one in run.series.items())
    assert all(isinstance(one, Series) for one in run.series.values())
