from __future__ import annotations

import pytest

from gandoctor.errors import UserError
from gandoctor.loop.sensitivity import Origin, sensitivity_of
from tests.loop.seeds import seed_run, seeds

ILL, WELL = True, False


@pytest.mark.parametrize(
    ("ill", "of", "origin", "more"),
    [
        (6, 6, Origin.CONFIGURATION, None),
        (3, 3, Origin.NOT_ENOUGH, 3),
        (0, 3, Origin.NOT_ENOUGH, 3),
        (0, 6, Origin.SOUND, None),
        (2, 5, Origin.LUCK, None),
        (1, 2, Origin.LUCK, None),
        (9, 10, Origin.CONFIGURATION, None),
    ],
)
def test_configuration_or_luck(ill: int, of: int, origin: Origin, more: int | None) -> None:
    found = sensitivity_of(seeds(*[n < ill for n in range(of)]))
    assert (found.ill.ill, found.ill.known, found.origin, found.more) == (ill, of, origin, more)
    assert found.ill.exact[0] <= ill / of <= found.ill.exact[1]
    shares = {tally.code: (share.ill, share.known) for tally, share in found.symptoms}
    assert shares.get("GD201", (0, of)) == (ill, of)


def test_a_run_too_short_to_fall_ill_does_not_count_as_well() -> None:
    found = sensitivity_of([*seeds(ILL, ILL), seed_run(7, WELL, points=100)])
    assert (found.ill.ill, found.ill.known) == (2, 2)


def test_runs_that_differ_in_more_than_the_seed_are_named() -> None:
    assert sensitivity_of(seeds(ILL, ILL)).differs == ()
    assert sensitivity_of([*seeds(ILL), *seeds(WELL, first=4, width=32, lr_d=1e-3)]).differs == (
        "lr_D",
        "width",
    )


def test_one_run_says_nothing() -> None:
    with pytest.raises(UserError, match="one run says nothing about seeds"):
        sensitivity_of(seeds(ILL))
