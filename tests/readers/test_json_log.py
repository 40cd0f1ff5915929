from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gandoctor.readers import json_log
from gandoctor.readers.head import Head
from gandoctor.run import RunParts, Series, Unit
from tests.readers.mangle import check_reads, kinds, mangled

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
D, G = [1.5, 1.25, 1.0, 0.75, 0.5], [0.5, 0.75, 1.0, 1.25, 1.5]
CHAINER = json.dumps(
    [
        {"loss_gen": g, "iteration": 100 * n, "epoch": n // 3, "loss_dis": d}
        for n, (d, g) in enumerate(zip(D, G, strict=True), start=1)
    ],
    indent=4,
)
LISTS = json.dumps({"train": {"d_loss": D, "g_loss": G}, "val": {"d_loss": D[::-1]}})
TRAINER = json.dumps(
    {
        "best_metric": None,
        "epoch": 2.0,
        "global_step": 20,
        "log_history": [
            {"epoch": 1.0, "loss": 0.5, "step": 10},
            {"epoch": 2.0, "loss": 0.25, "step": 20},
            {"epoch": 2.0, "eval_loss": 0.75, "step": 20},
        ],
        "max_steps": 20,
    },
    indent=2,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("json")


def parts(folder: Path, text: str | bytes, name: str = "log.json") -> list[RunParts]:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return json_log.read(path)


def series(folder: Path, text: str | bytes, name: str = "log.json") -> dict[str, Series]:
    [part] = parts(folder, text, name)
    return {one.tag: one for one in part.series}


def sniffs(text: str, name: str = "log.json") -> bool:
    data = text.encode()
    return json_log.sniff(Head(Path(name), len(data), data[:8192]))


def test_chainer_s_list_of_records(folder: Path) -> None:
    found = series(folder, CHAINER, "log")
    assert sniffs(CHAINER, "log")
    assert set(found) == {"loss_gen", "loss_dis", "epoch"}
    assert found["loss_dis"].steps.tolist() == [100, 200, 300, 400, 500]
    assert (found["loss_dis"].values.tolist(), found["loss_dis"].unit) == (D, Unit.ITERATION)


def test_the_history_in_trainer_state(folder: Path) -> None:
    found = series(folder, TRAINER, "trainer_state.json")
    assert sniffs(TRAINER)
    assert {tag: one.steps.tolist() for tag, one in found.items()} == {
        "epoch": [10, 20, 20],
        "loss": [10, 20],
        "eval_loss": [20],
    }


def test_lists_under_their_names(folder: Path) -> None:
    found = series(folder, LISTS)
    assert sniffs(LISTS)
    assert {tag: one.values.tolist() for tag, one in found.items()} == {
        "train/d_loss": D,
        "train/g_loss": G,
        "val/d_loss": D[::-1],
    }
    assert found["train/d_loss"].unit is Unit.RECORD


def test_a_list_may_count_the_steps_of_those_as_long(folder: Path) -> None:
    [part] = parts(folder, json.dumps({"iters": [0, 50, 100, 150, 200], "d": D, "fid": [30, 20]}))
    found = {one.tag: one for one in part.series}
    assert found["d"].steps.tolist() == [0, 50, 100, 150, 200]
    assert (found["fid"].steps.tolist(), found["fid"].unit) == ([0, 1], Unit.RECORD)
    assert kinds([part]) == ["unequal-lengths"]


def test_what_was_not_logged_and_what_is_not_finite(folder: Path) -> None:
    found = series(folder, '{"d": [1.5, NaN, Infinity, null, "NaN"], "g": [1, 2, 3, 4, 1' + "0" * 400 + "]}")
    assert found["d"].steps.tolist() == [0, 1, 2, 4]
    assert np.array_equal(found["d"].values, [1.5, np.nan, np.inf, np.nan], equal_nan=True)
    assert found["g"].values[-1] == np.inf


def test_data_frames_of_pandas(folder: Path) -> None:
    columns = json.dumps(
        {"d": {str(n): d for n, d in enumerate(D)}, "g": {str(n): g for n, g in enumerate(G)}}
    )
    index = json.dumps({str(100 * n): {"d": d, "g": g} for n, (d, g) in enumerate(zip(D, G, strict=True))})
    assert sniffs(columns)
    assert sniffs(index)
    assert series(folder, columns)["d"].values.tolist() == D
    assert series(folder, columns)["d"].unit is Unit.RECORD
    assert series(folder, index)["g"].values.tolist() == G
    assert series(folder, index)["g"].steps.tolist() == [0, 100, 200, 300, 400]


def test_metrics_of_sacred(folder: Path) -> None:
    text = json.dumps({"loss.D": {"steps": [0, 10], "timestamps": ["a", "b"], "values": [1.5, 1.25]}})
    assert sniffs(text)
    assert series(folder, text)["loss.D"].steps.tolist() == [0, 10]
    assert series(folder, text)["loss.D"].values.tolist() == [1.5, 1.25]


def test_the_export_of_tensorboard(folder: Path) -> None:
    text = json.dumps([[1.7e9 + n, 10 * n, d] for n, d in enumerate(D)])
    assert sniffs(text)
    [(tag, one)] = series(folder, text, "run-exp-tag-Loss_D.json").items()
    assert (tag, one.steps.tolist(), one.values.tolist()) == ("Loss_D", [0, 10, 20, 30, 40], D)
    assert one.wall_time is not None


def test_documents_after_each_other_are_records(folder: Path) -> None:
    text = "\n".join(json.dumps({"epoch": n, "d": d, "g": n}, indent=1) for n, d in enumerate(D))
    assert sniffs(text)
    assert series(folder, text)["d"].values.tolist() == D


def test_a_configuration_inside_is_settings(folder: Path) -> None:
    [part] = parts(
        folder, json.dumps({"config": {"lr": 0.0002, "betas": [0.5, 0.9]}, "d": D * 9, "g": G * 9})
    )
    assert {name: one.value for name, one in part.settings.items()} == {
        "lr": 0.0002,
        "betas.0": 0.5,
        "betas.1": 0.9,
    }
    assert {one.tag for one in part.series} == {"d", "g"}


def test_a_cut_document_is_read_up_to_the_cut(folder: Path) -> None:
    [records] = parts(folder, CHAINER[:-60])
    assert kinds([records]) == ["truncated"]
    assert {one.tag: one.values.tolist() for one in records.series}["loss_dis"] == D[:4]
    [lists] = parts(folder, json.dumps({"d": D, "g": G})[:-4])  # "… 1.25, 1": the 1 may be cut
    found = {one.tag: one.values.tolist() for one in lists.series}
    assert found == {"d": D, "g": G[:4]}
    assert "truncated" in kinds([lists])


def test_encodings(folder: Path) -> None:
    for encoding in ("utf-8-sig", "utf-16"):
        assert series(folder, CHAINER.encode(encoding))["loss_dis"].values.tolist() == D
    assert kinds(parts(folder, CHAINER.encode() + b"\0\0")) == ["nul-bytes"]


def test_hostile_documents(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kinds(parts(folder, "[" * 100_000)) == ["unreadable", "empty"]
    assert kinds(parts(folder, '{"a":' * 40 + "[1, 2, 3]" + "}" * 40)) == ["too-deep", "empty"]
    assert "empty" in kinds(parts(folder, ""))
    monkeypatch.setattr(json_log, "MAX_BYTES", 100)
    assert kinds(parts(folder, CHAINER)) == ["too-large", "empty"]


@pytest.mark.parametrize(
    "document",
    [
        {"lr": 2e-4, "betas": [0.5, 0.999], "epochs": 100, "channels": [64, 128, 256, 512]},
        {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
        {"step": 1, "loss": 2.0},
        {"images": [{"id": 1, "width": 2}], "annotations": [{"id": 1, "bbox": [1, 2, 3, 4]}]},
        {"0": "tench", "1": "goldfish"},
        {"the": 1, "of": 2, "and": 3},
        {"cells": [], "nbformat": 4, "outputs": [1.0] * 50},
        {"model": {"in": {"channels": [64, 128, 256, 512], "kernel": 3, "act": "relu"}, "depth": 4}},
        [1, 2, 3],
        ["a", "b"],
        [{"file": "a.png", "label": 3}],
        {},
    ],
)
def test_silent_on_what_is_no_log(document: object) -> None:
    assert not sniffs(json.dumps(document))
    assert not sniffs(json.dumps(document, indent=2))


def test_silent_on_other_files() -> None:
    assert not sniffs("[Epoch 0/200] [Batch 3/938] [D loss: 0.63]\n" * 300, "train.log")
    assert not sniffs(CHAINER, "log.ipynb")
    assert not sniffs("{% for x in y %}", "page.html")


def test_a_document_longer_than_the_head_is_known_by_its_beginning() -> None:
    assert sniffs(json.dumps([{"iteration": n, "d": 0.5, "g": 1.5} for n in range(5000)]))
    assert sniffs(json.dumps({"d": [0.5] * 5000, "g": [0.5] * 5000}, indent=1))
    assert not sniffs(json.dumps({f"word{n}": n for n in range(5000)}))


@settings(max_examples=150, deadline=None)
@given(data=mangled(*(text.encode() for text in (CHAINER, LISTS, TRAINER))))
def test_no_damage_raises_or_invents_a_number(folder: Path, data: bytes) -> None:
    check_reads(json_log, folder / "mangled.json", data)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from("abc"), st.lists(st.none() | st.floats(), max_size=20)))
def test_what_is_written_is_read(folder: Path, lists: dict[str, list[float | None]]) -> None:
    found = series(folder, json.dumps(lists))
    for tag, cells in lists.items():
        logged = [value for value in cells if value is not None]
        assert np.array_equal(found[tag].values if tag in found else [], logged, equal_nan=True)


@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus of real logs is not beside the checkout")
def test_real_logs_of_chainer() -> None:
    logs = sorted(CORPUS.glob("chainer-*/log"))
    assert len(logs) == 5
    for path in logs:
        data = path.read_bytes()
        assert json_log.sniff(Head(path, len(data), data[:8192]))
        [part] = json_log.read(path)
        found = {one.tag: one for one in part.series}
        assert part.problems == []
        assert found["loss_dis"].steps[:2].tolist() == [100, 200]
        assert len(found["loss_dis"]) == len(json.loads(data))
