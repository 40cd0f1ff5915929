from __future__ import annotations

import numpy as np
import pytest

from gandoctor.interpret import features
from gandoctor.interpret.features import look_at_points, look_at_tiles
from tests.bench.samples import uneven
from tests.drawn import faces, nearer, ring, scenes

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("modes", [2, 4, 8])
def test_the_effective_number_counts_modes(modes: int) -> None:
    """1 / sum p^2 of equal modes is their number."""
    look = look_at_points(ring(0, n=256, modes=modes, sigma=0.01))
    assert features.effective_number(look) == pytest.approx(modes, rel=0.1)


def test_the_effective_number_of_unequal_modes() -> None:
    points = np.repeat(np.eye(3), (128, 64, 64), axis=0)
    assert features.effective_number(look_at_points(points)) == pytest.approx(1 / (1 / 4 + 1 / 8), rel=0.02)


def test_no_pair_is_alike() -> None:
    assert features.effective_number(look_at_tiles(scenes(0))) == float("inf")
    assert features.duplicate_pairs(look_at_tiles(scenes(0))) == []


def test_the_closest_pairs_come_first_and_by_their_numbers_in_the_grid() -> None:
    tiles = scenes(0, n=300)  # of which 256 are looked at
    tiles[299] = tiles[0]
    assert features.duplicate_pairs(look_at_tiles(tiles)) == [(0, 299)]


def test_spread_knows_neither_brightness_nor_contrast() -> None:
    tiles = faces(0).astype(np.float64)
    usual = features.spread(look_at_tiles(faces(0)))
    darker = features.spread(look_at_tiles((0.4 * tiles + 20).astype(np.uint8)))
    assert darker == pytest.approx(usual, abs=0.01)
    assert features.spread(look_at_tiles(nearer(faces(0), 0.0))) < 1e-3
    assert features.spread(look_at_tiles(RANDOM.integers(0, 256, (64, 32, 32, 3), np.uint8))) > 0.95


def test_distances_are_exact_far_from_the_origin() -> None:
    points = np.array([[1e6, 0.0], [1e6, 2.0]])
    assert features.distances(look_at_points(points))[0, 1] == pytest.approx(2 / 2**0.5)


def test_the_ratio_to_reals_has_its_error() -> None:
    ratio, error = features.distance_ratio(look_at_tiles(faces(0)), look_at_tiles(faces(1)))
    assert abs(ratio - 1) < 2 * error < 0.3
    half, _ = features.distance_ratio(look_at_tiles(nearer(faces(0), 0.5)), look_at_tiles(faces(0)))
    assert half == pytest.approx(0.5, abs=0.02)


def test_movement_and_sameness() -> None:
    one, other = look_at_tiles(scenes(0)), look_at_tiles(scenes(1))
    assert features.moved(one, one) == 0
    assert features.moved(one, other) == pytest.approx(1, abs=0.1)
    assert features.same_tiles(one, one) == pytest.approx(1)
    assert features.same_tiles(one, other) == pytest.approx(0, abs=0.2)
    assert np.isnan(features.moved(one, look_at_tiles(scenes(0, n=9))))


@pytest.mark.parametrize("side", [16, 32, 64])
def test_a_checkerboard_is_all_of_the_variance(side: int) -> None:
    tile = (np.indices((side, side)).sum(axis=0) % 2 * 200).astype(np.uint8)
    look = look_at_tiles(np.repeat(tile[None, ..., None], 9, axis=0))
    assert look.lattice > 0.95
    assert look.peak > 1000


def test_the_lattice_grows_with_the_unevenness() -> None:
    shares = [look_at_tiles(uneven(scenes(0, side=64), dose, RANDOM)).lattice for dose in (0, 0.1, 0.2, 0.4)]
    assert shares == sorted(shares)
    assert shares[0] < 1e-3 < 0.01 < shares[-1]


def test_resampled_and_small_tiles_have_none() -> None:
    assert np.isnan(look_at_tiles(scenes(0), resampled=True).lattice)
    assert np.isnan(look_at_tiles(scenes(0, side=8)).lattice)


def test_blank_tiles_and_points_that_are_not_finite() -> None:
    look = look_at_tiles(np.full((16, 32, 32, 3), 7, np.uint8))
    assert look.blank.all()
    assert np.isnan(look.smooth).all()
    assert features.spread(look) == 0
    points = np.array([[0.0, 1.0], [np.nan, 1.0], [np.inf, 0.0], [1.0, 1.0]])
    look = look_at_points(points)
    assert (len(look), look.not_finite) == (2, 0.5)
    assert len(look_at_points(np.full((4, 2), np.nan))) == 0


@pytest.mark.filterwarnings("error")
def test_points_that_ran_away_are_reckoned_with() -> None:
    far = look_at_points(ring(0) * np.float32(1e37))
    assert features.effective_number(far) == pytest.approx(features.effective_number(look_at_points(ring(0))))
    assert features.spread(far) == pytest.approx(features.spread(look_at_points(ring(0))))
    assert abs(features.otherness(far, far)[0]) < 0.05


def test_the_vendi_score_counts_different_samples() -> None:
    varied = look_at_tiles(scenes(0))
    assert features.vendi(varied, varied) == pytest.approx(1)
    few = look_at_tiles(np.repeat(scenes(0)[:9], 4, axis=0))  # 9 of 36
    assert features.vendi(few, varied) == pytest.approx(9 / 36, rel=0.05)
    one = look_at_tiles(np.repeat(scenes(0)[:1], 36, axis=0))
    assert features.vendi(one, varied) == pytest.approx(1 / 36, rel=0.05)


def test_distributions_that_are_one_and_others() -> None:
    rng = np.random.default_rng(0)

    def points(centre: float, n: int = 64) -> features.Look:
        return look_at_points(rng.normal(centre, 1, (n, 2)))

    same = [features.otherness(points(0), points(0)) for _ in range(200)]
    values, errors = (np.array(column) for column in zip(*same, strict=True))
    assert abs(values.mean()) < 0.002  # no bias
    assert np.mean(values > 3 * errors) < 0.02
    near, far = (
        np.mean([features.otherness(points(0), points(shift))[0] for _ in range(50)]) for shift in (0.3, 0.6)
    )
    assert 3 < far / near < 5  # as the square of a small way
    assert features.otherness(points(0), points(1e6))[0] == pytest.approx(1, abs=1e-3)
