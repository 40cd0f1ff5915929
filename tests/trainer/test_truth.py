from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gandoctor.trainer import LogConfig, configure
from gandoctor.trainer.faults import visible
from gandoctor.trainer.truth import FALSE, GREY, TRUE, Measured, State, conclude, primaries

STEPS = 100 * np.arange(1, 21)
HEALTHY = {
    "cov": 1.0, "q": 0.9, "top": 0.15, "div": 1.0, "std": 1.0, "flow": 0.05, "auc": 0.55, "auc_train": 0.55,
    "clipped": np.nan, "slope": 1.5,
}  # fmt: skip
STILL = {"loss_d": 1.3, "loss_g": 0.7, "grad_d": 0.5, "grad_g": 0.5, "weight_d": 20.0, "weight_g": 20.0}


def measured(
    *, moved: float = 1.0, family: str = "ns", state: dict[str, Any] | None = None, **samples: Any
) -> Measured:
    """A made-up run: healthy but for what is given, a number or 20 of them (200 for the state)."""
    return Measured(
        sample_steps=STEPS,
        samples={
            name: np.broadcast_to(samples.get(name, value), 20) * 1.0 for name, value in HEALTHY.items()
        },
        state_steps=10 * np.arange(200),
        state={name: np.broadcast_to((state or {}).get(name, v), 200) * 1.0 for name, v in STILL.items()},
        moved=(moved, moved),
        family=family,
    )


def true_codes(run: Measured) -> set[str]:
    return {code for code, state in conclude(run)[1].items() if state.state == TRUE}


def test_healthy() -> None:
    outcome, codes, late = conclude(measured())
    assert outcome == "healthy"
    assert {state.state for state in codes.values()} == {FALSE}
    assert late["q"] == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("samples", "codes"),
    [
        ({"div": 0.1, "top": 1.0, "cov": 0.1}, {"GD401"}),
        ({"cov": 0.5}, {"GD402"}),
        ({"flow": 0.4}, {"GD102"}),
        ({"q": 0.1, "auc": 0.99, "auc_train": 0.99}, {"GD201"}),
        ({"q": 0.1, "auc": 0.4, "auc_train": 0.4, "flow": 0.5}, {"GD202", "GD102"}),
        ({"q": 0.2, "cov": 0.9}, {"GD104"}),
        ({"auc_train": 0.7}, {"GD203"}),
        ({"clipped": 0.9}, {"GD603"}),
        ({"moved": 1e-5, "q": 0.1}, {"GD204"}),
    ],
)
def test_symptoms_from_samples(samples: dict[str, Any], codes: set[str]) -> None:
    assert true_codes(measured(**samples)) == codes


@pytest.mark.parametrize(
    ("state", "codes"),
    [
        ({"grad_g": np.geomspace(1, 1e-6, 200)}, {"GD301"}),
        ({"grad_d": np.geomspace(0.1, 50, 200)}, {"GD302"}),
        ({"loss_g": np.geomspace(0.7, 2e3, 200)}, {"GD101"}),
        ({"weight_d": np.geomspace(1, 1e3, 200)}, {"GD601"}),
    ],
)
def test_mechanisms_do_not_make_a_good_run_ill(state: dict[str, Any], codes: set[str]) -> None:
    run = measured(state=state)
    assert true_codes(run) == codes
    assert conclude(run)[0] == "healthy"


@pytest.mark.parametrize(("slope", "state"), [(1.4, FALSE), (3.0, GREY), (50.0, TRUE), (0.1, TRUE)])
def test_the_penalty_of_a_wgan_has_a_target(slope: float, state: str) -> None:
    assert conclude(measured(family="wgan-gp", slope=slope))[1]["GD604"].state == state


def test_onset_is_where_it_began_to_hold() -> None:
    div = np.where(np.arange(20) >= 12, 0.1, 1.0)
    div[4] = 0.1  # a blip that did not hold
    outcome, codes, _ = conclude(measured(div=div))
    assert outcome == "ill"
    assert codes["GD401"].onset == 1300


def test_non_finite_ends_the_matter() -> None:
    loss = np.where(np.arange(200) >= 50, np.nan, 1.3)
    outcome, codes, _ = conclude(measured(state={"loss_d": loss}))
    assert outcome == "ill"
    assert codes == {"GD105": State(TRUE, 500)}


@pytest.mark.parametrize("samples", [{"q": 0.6}, {"flow": 0.2}, {"cov": 0.8}])
def test_the_border_is_grey(samples: dict[str, float]) -> None:
    assert conclude(measured(**samples))[0] == "grey"


def test_primaries_are_the_causes_that_are_true() -> None:
    codes = {"GD401": State(TRUE, 0), "GD102": State(FALSE), "GD301": State(TRUE, 0), "GD104": State(GREY)}

    def of(causes: tuple[str, ...], known: tuple[str, ...] = (), auc: float = 0.5) -> tuple[str, ...]:
        return primaries(codes, causes, known, auc, lambda code: True)

    assert of(("GD401", "GD102")) == ("GD401",)
    assert of(("GD401", "GD104")) == ("GD401", "GD104")
    assert of(("GD703", "GD401"), ("GD703",)) == ("GD703", "GD401")
    assert of(()) == ("GD301", "GD401")
    assert of(("GD201", "GD401"), auc=0.98) == ("GD201", "GD401")


def test_where_no_cause_is_visible_its_visible_consequences_count() -> None:
    codes = {"GD703": State(TRUE, 0), "GD401": State(TRUE, 0), "GD301": State(TRUE, 0)}
    assert primaries(codes, ("GD703",), (), 0.5, {"GD703", "GD401"}.__contains__) == ("GD703",)
    assert primaries(codes, ("GD703",), (), 0.5, {"GD401"}.__contains__) == ("GD703", "GD401")
    assert primaries(codes, ("GD703",), (), 0.5, set[str]().__contains__) == ("GD703",)


@pytest.mark.parametrize(
    ("fault", "family", "code", "level", "config", "seen"),
    [
        ("lr-too-high", "ns", "GD703", "losses", True, True),
        ("lr-too-high", "ns", "GD703", "samples", False, False),
        ("lr-too-high", "ns", "GD703", "all", False, True),
        ("late-collapse", "ns", "GD703", "samples", True, False),  # a jump is in no configuration
        ("late-collapse", "ns", "GD401", "losses", True, False),
        ("late-collapse", "ns", "GD401", "outputs", True, True),
        ("swapped-labels", "ns", "GD701", "losses", False, True),
        ("swapped-labels", "wgan-gp", "GD701", "losses", False, False),
        ("no-detach", "ns", "GD701", "all", True, False),
    ],
)
def test_what_a_log_can_show(
    fault: str, family: str, code: str, level: str, config: bool, seen: bool
) -> None:
    log = LogConfig(level=level, config=config, images=0, checkpoints=0)
    assert visible(code, configure(family, "ring8", fault, log=log)) is seen


def test_samples_and_checkpoints_show_what_scalars_do_not() -> None:
    bare = LogConfig(level="losses", config=False, images=0, checkpoints=0)
    for code, log in (("GD401", replace(bare, images=3)), ("GD603", replace(bare, checkpoints=2))):
        assert visible(code, configure("wgan-clip", "ring8", log=log))
        assert not visible(code, configure("wgan-clip", "ring8", log=bare))


def test_where_the_causes_are_grey_only_what_is_true_is_right_too() -> None:
    codes = {"GD703": State(GREY), "GD402": State(TRUE, 10)}
    assert set(primaries(codes, ("GD703",), (), 0.5, lambda code: True)) == {"GD703", "GD402"}
    assert primaries(codes, ("GD703", "GD402"), (), 0.5, lambda code: True) == ("GD703", "GD402")
