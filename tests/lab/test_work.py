from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gandoctor.lab.styles import STYLES
from gandoctor.lab.work import _acceptable, _truth_columns
from gandoctor.trainer import configure

LOSSES, EVERYTHING = STYLES[0], STYLES[-1]


def truth(**codes: str) -> dict[str, Any]:
    """As truth.json has it; a fault's known codes are in it as true."""
    states = {
        code: {"state": state, "onset": 0 if state == "true" else None} for code, state in codes.items()
    }
    return {"outcome": "ill", "codes": states, "late": {"auc": 0.7, "q": None}}


def test_a_setting_that_is_hardly_off_is_grey() -> None:
    measured = truth(GD703="true", GD402="true", GD401="false")
    full, near = (configure("ns", "ring8", "d-too-fast", dose=dose) for dose in (1.0, 0.1))
    assert _truth_columns(full, measured)["true"] == "GD402 GD703"
    assert _truth_columns(full, measured)["onsets"] == "GD402:0 GD703:0"
    columns = _truth_columns(near, measured)
    assert (columns["true"], columns["grey"], columns["false"]) == ("GD402", "GD703", "GD401")
    assert columns["q"] == ""  # not a number


@pytest.mark.parametrize(
    ("codes", "style", "acceptable", "visible"),
    [
        ({"GD703": "true", "GD402": "true"}, EVERYTHING, "GD703 GD402", 1),
        (
            {"GD703": "true", "GD402": "true"},
            LOSSES,
            "GD703 GD402",
            0,
        ),  # no config.json, no rates, no outputs
        ({"GD703": "true", "GD201": "true"}, LOSSES, "GD703 GD201", 1),
    ],
)
def test_what_counts_as_right_goes_by_style(
    codes: dict[str, str], style: Any, acceptable: str, visible: int
) -> None:
    config = configure("ns", "ring8", "d-too-fast")
    config = replace(config, log=replace(config.log, config=False))
    assert _acceptable(config, truth(**codes), style) == {"acceptable": acceptable, "visible": visible}


def test_without_a_fault_every_true_code_counts() -> None:
    config = configure("ns", "ring8")
    assert _acceptable(config, truth(GD402="true", GD601="true"), EVERYTHING)["acceptable"] == "GD402 GD601"
