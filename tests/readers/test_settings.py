"""Flattened settings: names, limits, and trees that share or contain themselves."""

from __future__ import annotations

import math
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from gandoctor.readers.settings import MAX_SETTINGS, settings_of

HERE = Path("config.yaml")


def values(tree: object) -> dict[str, object]:
    return {name: setting.value for name, setting in settings_of(tree, HERE).items()}


def test_names_are_paths() -> None:
    tree = {"lr": 2e-4, "G": {"opt": {"betas": (0.5, 0.9)}}, "amp": False, "resume": None, 3: "x"}
    assert values(tree) == {
        "lr": 2e-4, "G.opt.betas.0": 0.5, "G.opt.betas.1": 0.9, "amp": False, "resume": None, "3": "x",
    }  # fmt: skip


def test_data_and_objects_are_no_settings() -> None:
    assert values({"z": list(range(1000)), "f": object(), "ok": 1}) == {"ok": 1}
    assert values(5) == values([]) == values("text") == {}


def test_non_finite_values_stay() -> None:
    assert math.isinf(values({"max": math.inf})["max"])  # type: ignore[arg-type]


def test_a_bomb_of_shared_lists_is_cut_off() -> None:
    bomb: list[object] = [1] * 16
    for _ in range(14):
        bomb = [bomb] * 16  # 16 ** 15 leaves
    assert len(values({"a": bomb})) == MAX_SETTINGS
    empty: list[object] = []
    for _ in range(14):
        empty = [empty] * 16  # 16 ** 14 branches and not one leaf
    assert values({"a": empty, "b": 1}) == {"b": 1}


def test_a_tree_that_holds_itself_ends() -> None:
    loop: dict[str, object] = {"lr": 1}
    loop["self"] = loop
    assert values(loop)["lr"] == 1


@settings(deadline=None)
@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_any_tree_gives_scalars(tree: object) -> None:
    assert all(v is None or isinstance(v, str | int | float) for v in values(tree).values())
