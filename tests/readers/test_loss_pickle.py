"""Pickled losses: the shapes people use, what is refused, and what is left to others."""

from __future__ import annotations

import argparse
import collections
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gandoctor.readers.head import head_of
from gandoctor.readers.loss_pickle import read, sniff
from gandoctor.run import RunParts, Unit

CORPUS = Path(__file__).parents[2] / "../shared/corpus"


def saved(folder: Path, tree: object, name: str = "log.pkl", protocol: int = 4) -> Path:
    path = folder / name
    path.write_bytes(pickle.dumps(tree, protocol))
    return path


def read_one(path: Path) -> RunParts:
    [parts] = read(path)
    return parts


def columns(parts: RunParts) -> dict[str, list[float]]:
    return {one.tag: one.values.tolist() for one in parts.series}


def steps(parts: RunParts) -> dict[str, list[int]]:
    return {one.tag: one.steps.tolist() for one in parts.series}


@pytest.mark.parametrize("protocol", range(6))
def test_tflib(tmp_path: Path, protocol: int) -> None:
    tree: dict[str, Any] = collections.defaultdict(dict)
    tree["train disc cost"] = {10: np.float32(-0.5), 0: np.float32(2.0), 20: np.float32("nan")}
    tree["./tmp/dev cost"] = {20: np.array([1.5], np.float32)}
    path = saved(tmp_path, tree, protocol=protocol)
    assert sniff(head_of(path))
    parts = read_one(path)
    assert parts.problems == []
    assert steps(parts) == {"train disc cost": [0, 10, 20], "./tmp/dev cost": [20]}
    np.testing.assert_array_equal(parts.series[0].values, [2.0, -0.5, np.nan])
    assert [one.order.tolist() for one in parts.series] == [[0, 1, 2], [2]]  # shared by both


def test_shapes(tmp_path: Path) -> None:
    d, g = [0.5, 0.25, 1.0], [1.0, 2.0, 4.0]
    shapes: dict[str, Any] = {
        "history": {"d": d, "g": g},
        "nested": {"train": {"d": d}, "g": g},
        "arrays": {"d": np.array(d), "g": np.array(g, np.float32)},
        "rows": [{"d": a, "g": b} for a, b in zip(d, g, strict=True)],
        "pairs": list(zip(d, g, strict=True)),
        "two lists": (d, g),
        "ones": [[0.5], [0.25], [1.0]],
        "table": np.array([d, g]).T,
        "list": d,
        "steps": {0: {"d": 0.5}, 100: {"d": 0.25}, 200: {"d": 1.0}},
        "objects": np.array({"d": d, "g": g}, object),
    }
    read_tags = {
        name: columns(read_one(saved(tmp_path, tree, f"{name}.pkl"))) for name, tree in shapes.items()
    }
    assert read_tags == {
        "history": {"d": d, "g": g},
        "nested": {"train/d": d, "g": g},
        "arrays": {"d": d, "g": g},
        "rows": {"d": d, "g": g},
        "pairs": {"pairs[0]": d, "pairs[1]": g},
        "two lists": {"two lists[0]": d, "two lists[1]": g},
        "ones": {"ones": d},
        "table": {"table[0]": d, "table[1]": g},
        "list": {"list": d},
        "steps": {"d": d},
        "objects": {"d": d, "g": g},
    }
    assert steps(read_one(tmp_path / "steps.pkl")) == {"d": [0, 100, 200]}
    assert read_one(tmp_path / "list.pkl").series[0].unit is Unit.RECORD
    assert all(sniff(head_of(tmp_path / f"{name}.pkl")) for name in shapes)


def test_columns_of_one_length_share_a_clock(tmp_path: Path) -> None:
    tree = {"iteration": [0, 50, 100], "d": [0.5, 1.0, 1.5], "fid": [90.0, 80.0]}
    assert steps(read_one(saved(tmp_path, tree))) == {"d": [0, 50, 100], "fid": [0, 1]}


def test_missing_values_are_left_out(tmp_path: Path) -> None:
    parts = read_one(saved(tmp_path, {"d": [0.5, None, 1.5, float("inf")]}))
    assert columns(parts) == {"d": [0.5, 1.5, float("inf")]}
    assert parts.series[0].order.tolist() == [0, 2, 3]


def test_one_pickle_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "log.pkl"
    path.write_bytes(b"".join(pickle.dumps({"epoch": i, "d": i / 2}) for i in range(4)))
    parts = read_one(path)
    assert columns(parts) == {"d": [0.0, 0.5, 1.0, 1.5]}
    assert parts.series[0].unit is Unit.EPOCH


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("exit 1",)


def test_what_is_refused_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    tree = {"d_loss": [0.5, 0.7], "args": argparse.Namespace(lr=1), "x": Evil()}
    parts = read_one(saved(tmp_path, tree))
    assert columns(parts) == {"d_loss": [0.5, 0.7]}
    [problem] = parts.problems
    assert problem.kind == "refused-global"
    assert "argparse.Namespace, posix.system" in problem.message


def test_nothing_to_read_is_said(tmp_path: Path) -> None:
    for tree in ({}, [], "text", {"a": "b"}, None, {"labels": [0.5, 1.5]}, [1, 2, 3]):
        path = saved(tmp_path, tree, "x.pkl")
        assert not sniff(head_of(path))
        [problem] = read_one(path).problems
        assert problem.kind == "no-series"


def test_models_and_data_are_left_alone(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"loss": torch.ones(2)}, tmp_path / "new.pkl")
    torch.save({"loss": torch.ones(2)}, tmp_path / "old.pkl", _use_new_zipfile_serialization=False)
    saved(tmp_path, {"loss": torch.ones(2)}, "tensors.pkl")
    saved(tmp_path, {"G": np.ones(3)}, "network-snapshot-000040.pkl")
    batch = {b"batch_label": b"1 of 5", b"labels": list(range(10)), b"data": np.zeros((10, 3072), np.uint8)}
    saved(tmp_path, batch, "data_batch_1")
    saved(tmp_path, [5, 3, 1], "split.pkl")
    (tmp_path / "text.pkl").write_text("d_loss: 0.5\n")
    assert [path.name for path in tmp_path.iterdir() if sniff(head_of(path))] == []


def test_a_log_longer_than_the_head_is_known(tmp_path: Path) -> None:
    assert sniff(head_of(saved(tmp_path, {"D": [i / 3 for i in range(9000)]}, "out.pkl")))
    assert sniff(head_of(saved(tmp_path, {"d_loss": np.arange(9000.0)}, "out.pkl")))
    assert sniff(head_of(saved(tmp_path, {"gen": {i: np.float32(i) for i in range(9000)}}, "out.pkl", 2)))


def test_cut(tmp_path: Path) -> None:
    path = saved(tmp_path, {"d": [0.5] * 3000, "g": [0.25] * 3000})
    data = path.read_bytes()
    path.write_bytes(data[:-9000])
    parts = read_one(path)
    assert columns(parts)["d"] == [0.5] * 3000
    assert 1000 < len(columns(parts)["g"]) < 3000
    [problem] = parts.problems
    assert (problem.kind, problem.place) == ("truncated", f"byte {len(data) - 9000}")


def test_shared_lists_do_not_multiply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gandoctor.readers.loss_pickle.MAX_VALUES", 100_000)
    shared = [float(i) for i in range(1_000)]
    parts = read_one(saved(tmp_path, {f"loss {i}": shared for i in range(5000)}))
    assert sum(len(one) for one in parts.series) <= 101_000
    assert [problem.kind for problem in parts.problems] == ["too-large"]


def test_a_list_that_holds_itself(tmp_path: Path) -> None:
    loop: list[Any] = [[0.5, 1.0, 2.0]]
    loop += [loop, {"self": loop}]
    parts = read_one(saved(tmp_path, loop))
    assert len(parts.series) < 5000


SMALL = pickle.dumps({"d": {0: np.float32(1), 5: np.float32(2)}, "h": [0.5, 1.0], "a": np.arange(3.0)}, 2)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_mutation_raises(tmp_path: Path, data: st.DataObject) -> None:
    raw = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 5))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "log.pkl"
    path.write_bytes(bytes(raw)[: data.draw(st.integers(0, len(raw)))])
    sniff(head_of(path))
    for one in read_one(path).series:
        assert len(one.steps) == len(one.values) == len(one.order)


@pytest.mark.parametrize(
    ("run", "tags", "longest"),
    [("acwgan-gangogh-logpkl", 15, 200), ("wgangp-isic-logpkl", 5, 26001), ("wgangp-mnist-logpkl", 3, 20000)],
)
def test_corpus(run: str, tags: int, longest: int) -> None:
    path = CORPUS / run / "log.pkl"
    if not path.exists():
        pytest.skip("the corpus is not here")
    parts = read_one(path)
    assert sniff(head_of(path))
    assert parts.problems == []
    assert len(parts.series) == tags
    assert max(len(one) for one in parts.series) == longest
    assert all(np.all(np.diff(one.steps) > 0) and np.all(np.isfinite(one.values)) for one in parts.series)
