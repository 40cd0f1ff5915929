from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gandoctor.interpret.by_layer import ByLayer
from gandoctor.reports._figures import figures, plots, spark, thin
from gandoctor.reports._graph import HEIGHT, WIDTH, fold, graph
from gandoctor.reports._heat import HeatMap, _binned
from gandoctor.reports.rows import run_rows
from tests.reports import samples


def by_id(diagnosis) -> dict:
    return {figure.id: figure for figure in plots(diagnosis)}


def test_short_series_are_drawn_whole() -> None:
    steps, values = thin(np.arange(10), np.arange(10.0), 10)
    assert steps.tolist() == list(range(10))
    assert values.tolist() == list(range(10))


@pytest.mark.parametrize("at", [1, 4_999, 31_415, 99_998])
def test_no_spike_is_lost(at) -> None:
    values = np.sin(np.arange(100_000) / 50)
    values[at], values[at - 1] = 1e6, -1e6
    steps, thinned = thin(np.arange(100_000), values, 1_000)
    assert len(steps) <= 1_002
    assert thinned[steps == at] == 1e6
    assert thinned[steps == at - 1] == -1e6


def test_what_is_not_finite_breaks_the_line() -> None:
    values = np.ones(10_000)
    values[5_000:8_000] = np.nan
    values[8_000:] = np.inf
    steps, thinned = thin(np.arange(10_000), values, 100)
    assert np.isfinite(thinned[steps < 5_000]).all()
    assert np.isnan(thinned[steps >= 5_000]).all()
    assert 5_000 in steps
    assert 9_999 in steps


@given(n=st.integers(1, 5_000), most=st.integers(4, 400))
def test_thinning_keeps_order_ends_and_extremes(n: int, most: int) -> None:
    values = np.cos(np.arange(n) * 1.7) * np.arange(n)
    steps, thinned = thin(np.arange(n), values, most)
    assert (np.diff(steps) > 0).all()
    assert (steps[0], steps[-1]) == (0, n - 1)
    assert len(steps) <= most + 2
    assert (thinned == values[steps]).all()
    assert (thinned.min(), thinned.max()) == (values.min(), values.max())


def test_series_of_one_kind_share_a_figure_and_each_is_drawn_once() -> None:
    drawn = by_id(samples.healthy())
    assert list(drawn) == ["losses", "metric-fid"]
    assert [line.name for line in drawn["losses"].lines] == ["loss_D", "loss_G"]
    assert [line.tone for line in drawn["losses"].lines] == ["D", "G"]
    names = [line.name for figure in figures(samples.two_pairs()) for line in figure.lines]
    assert sorted(names) == ["D_A", "D_B", "G_A", "G_B", "cycle_A", "cycle_B"]


def test_each_pair_has_its_figures_losses_first() -> None:
    drawn = figures(samples.two_pairs())
    assert [(f.id, f.pair) for f in drawn[:2]] == [("losses-A", "A"), ("losses-B", "B")]
    assert drawn[0].title == "Adversarial losses (A)"


def test_the_equilibrium_is_a_level_where_the_family_has_one() -> None:
    levels = by_id(samples.healthy())["losses"].levels
    assert [(level.network, round(level.value, 3)) for level in levels] == [("D", 1.386), ("G", 0.693)]
    assert "0.21" in levels[0].text  # a lead of 85%
    assert "4.85" in levels[1].text  # a debt of 6 scales
    lines = by_id(samples.healthy())["losses"].lines
    shown = np.concatenate([[level.value for level in levels], *(line.values for line in lines)])
    for level in levels:  # no further than the values, lest the axis grow
        assert shown.min() - 1e-9 <= level.until <= shown.max() + 1e-9
    assert by_id(samples.wgan())["losses"].levels == ()


def test_steps_that_are_not_finite_are_marked_and_the_marks_are_bounded() -> None:
    [losses] = figures(samples.failing())
    assert [int(line.broken[0]) for line in losses.lines] == [16_000, 16_000]
    assert all(len(line.broken) == 80 for line in losses.lines)


def test_halves_of_d_are_hidden_where_their_sum_is_drawn() -> None:
    lines = by_id(samples.halves())["losses"].lines
    assert [(line.name, line.hidden) for line in lines] == [
        ("d_loss_real + d_loss_fake", False), ("g_loss", False), ("d_loss_real", True), ("d_loss_fake", True),
    ]  # fmt: skip


def test_a_loss_that_is_never_finite_is_marked_where_it_belongs() -> None:
    [losses] = figures(samples.never_finite())
    assert [(line.name, len(line.broken)) for line in losses.lines] == [("loss_D", 0), ("loss_G", 200)]


def test_a_lone_spike_does_not_flatten_the_figure() -> None:
    focus = by_id(samples.spike())["losses"].focus
    assert focus is not None
    assert focus[1] < 10
    assert by_id(samples.healthy())["losses"].focus is None


def test_many_series_are_bounded_and_it_is_said() -> None:
    drawn = by_id(samples.terms(60))
    assert len(drawn["other-losses"].lines) == 10
    assert drawn["other-losses"].left_out == 50


def test_what_is_known_by_layer_is_a_heat_map_with_bounded_rows() -> None:
    drawn = by_id(samples.layers(80))
    assert "gradients" not in drawn
    one = drawn["by-layer-gradient-D"]
    assert (len(one.names), one.left_out) == (60, 20)
    assert one.names[0].endswith("layer0")
    assert one.names[-1].endswith("layer79")
    assert one.values.shape == (60, len(one.edges) - 1)
    lines = {figure.id: figure for figure in figures(samples.layers(80))}
    assert len(lines["gradients"].lines) == 10


def test_a_column_of_a_heat_map_shows_what_lies_furthest_from_the_layers_median() -> None:
    values = np.full((3, 2_000), 1.0)
    values[0, 777], values[1, 500], values[2, 100] = 1e3, 0.0, np.nan
    known = ByLayer("D", "gradient", "norm", "log", ("a", "b", "c"), np.arange(2_000), values)
    edges, made = _binned(known, [0, 1, 2])
    assert made.shape == (3, len(edges) - 1) == (3, 200)
    assert made.max() == 1e3
    assert (made[1] == 0).sum() == 1
    assert np.isfinite(made).all()


def test_colours_run_over_decades_and_a_change_of_weights_both_ways() -> None:
    values = np.array([[1.0, 1e-3], [0.0, 20.0]])
    args = ("id", "title", "", ("a", "b"), ("a", "b"), np.arange(3.0), values)
    assert HeatMap(*args, start=False, source="", points=4, left_out=0).scale.tolist() == [-3, 2]
    assert HeatMap(*args, start=True, source="", points=4, left_out=0).scale.tolist() == [-3, 3]


def test_series_that_nobody_understood_are_drawn_where_nothing_else_was() -> None:
    assert [figure.id for figure in figures(samples.unknown())] == [
        "other-1",
        "other-2",
        "other-3",
        "other-4",
    ]
    assert figures(samples.nothing()) == ()


def test_a_spark_is_one_path_a_network_within_its_box() -> None:
    made = spark(samples.failing().views[0])
    assert [network for network, _ in made] == ["D", "G"]
    for _, path in made:
        points = np.array([point.split() for point in path[1:].split("L")], float)
        assert points[:, 0].min() >= 0
        assert points[:, 0].max() <= 120
        assert points[:, 1].min() >= 0
        assert points[:, 1].max() <= 28
    assert spark(samples.nothing().views[0]) == () if samples.nothing().views else True


# --- the causal graph --------------------------------------------------------------------------------------


def test_causes_stand_left_of_their_effects_and_no_boxes_overlap() -> None:
    drawn = graph(run_rows(samples.chained(), "en", {}))
    assert drawn is not None
    place = {box.finding.id: (box.x, box.y) for box in drawn.boxes}
    assert len(place) == len(set(place.values())) == 5
    for cause, effect in samples.chained().chain:
        assert place[cause][0] + WIDTH < place[effect][0]
    for one in drawn.boxes:
        assert one.x + WIDTH <= drawn.width
        assert one.y + HEIGHT <= drawn.height
    assert [box.finding.id for box in drawn.boxes if box.primary] == ["GD201-1"]
    assert len(drawn.paths) == 5


def test_no_chain_is_no_graph() -> None:
    assert graph(run_rows(samples.healthy(), "en", {})) is None


def test_titles_are_folded_at_words_and_between_wide_characters() -> None:
    assert fold("NaN or Inf") == ("NaN or Inf",)
    assert fold("判别器对训练数据过拟合而且还有更多", 20) == ("判别器对训练数据过拟", "合而且还有更多")
    assert fold("a " * 60, 10) == ("a a a a a", "a a a a a", "a a a a a…")
