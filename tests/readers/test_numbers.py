from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gandoctor.readers.numbers import MISSING, to_number
from tests.limits import finishes


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0.53", 0.53),
        (" -1e-3 ", -0.001),
        ("1e400", math.inf),
        ("-Infinity", -math.inf),
        ("1.#INF", math.inf),
        ("-1.#INF", -math.inf),
        ("50.0%", 0.5),
        ("[0.5]", 0.5),
        ("tensor(10.5290, grad_fn=<BinaryCrossEntropyBackward0>)", 10.529),
        ("tensor([[0.5]], device='cuda:0',\n       grad_fn=<MeanBackward0>)", 0.5),
        ("tensor(-inf)", -math.inf),
        ("np.float64(0.25)", 0.25),
        ("array(2., dtype=float32)", 2.0),
        ("tf.Tensor(0.53, shape=(), dtype=float32)", 0.53),
        ("<tf.Tensor: shape=(), dtype=float32, numpy=0.53>", 0.53),
        ("\n[0.25]\n<NDArray 1 @cpu(0)>", 0.25),
    ],
)
def test_what_holds_a_number(text: str, number: float) -> None:
    assert to_number(text) == number


@pytest.mark.parametrize("text", ["nan", "NaN", "-nan", "1.#IND", "-1.#QNAN", "-nan(ind)", "tensor(nan)"])
def test_nan_is_a_number_that_was_logged(text: str) -> None:
    value = to_number(text)
    assert value is not None
    assert math.isnan(value)


@pytest.mark.parametrize(
    "text",
    ["", "NA", "None", "epoch", "G_2", "1_000", "2024-01-02", "10:20", "0.5,0.6", "1.2.3", "nano", "True",
     "tensor([0.1, 0.2])", "lr(0.5)", "0x10", "0.54\u0663", "\u0663", "5\uff11", "tensor(\u0663)", *sorted(MISSING)],
)  # fmt: skip
def test_what_holds_none(text: str) -> None:
    assert to_number(text) is None


@given(st.floats(allow_nan=False))
def test_wrapping_changes_no_number(value: float) -> None:
    for text in (
        repr(value),
        f"tensor({value!r}, device='cuda:0')",
        f"[{value!r}]",
        f"np.float64({value!r})",
    ):
        assert to_number(text) == value


@given(st.text(alphabet="0123456789.eE+-naifNI#%[]()tensor, _"))
def test_no_text_raises(text: str) -> None:
    to_number(text)


@pytest.mark.parametrize(
    "text", [" " * 100_000, "[" * 100_000, "tensor(" + " " * 100_000, "1" * 100_000 + "x"]
)
def test_hostile_cells_take_no_time(text: str) -> None:
    with finishes(10):
        assert to_number(text) is None
