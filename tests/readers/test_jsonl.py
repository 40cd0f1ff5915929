from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gandoctor.readers import blocks, jsonl
from gandoctor.readers.head import Head
from gandoctor.run import RunParts, Series, Unit
from tests.readers.mangle import check_reads, kinds, mangled

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
PLAIN = "".join(f'{{"step": {n}, "d": {1.5 - n / 8}, "g": {0.5 + n / 8}}}\n' for n in range(8))
TICK = (
    '{{"Loss/G/loss": {{"num": 32, "mean": {g}, "std": 0.5}},'
    ' "Loss/pl": {{"num": {n}, "mean": {pl}, "std": NaN}},'
    ' "Progress/kimg": {{"num": 1, "mean": {kimg}, "std": 0.0}}, "timestamp": {wall}}}\n'
)
STATS = "".join(
    TICK.format(
        g=3.5 - tick, n=tick % 2, pl="2.0" if tick % 2 else "NaN", kimg=0.032 + 4 * tick, wall=1.7e9 + tick
    )
    for tick in range(3)
)
METRIC = '{"results": {"fid": 30.5}, "metric": "fid", "snapshot_pkl": "network-snapshot-000040.pkl"}\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jsonl")


def parts(folder: Path, text: str | bytes, name: str = "log.jsonl") -> list[RunParts]:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return jsonl.read(path)


def series(folder: Path, text: str | bytes, name: str = "log.jsonl") -> dict[str, Series]:
    [part] = parts(folder, text, name)
    return {one.tag: one for one in part.series}


def sniffs(text: str, name: str = "log.jsonl", size: int | None = None) -> bool:
    data = text.encode()
    return jsonl.sniff(Head(Path(name), size or len(data), data))


def test_a_record_a_line(folder: Path) -> None:
    found = series(folder, PLAIN)
    assert sniffs(PLAIN)
    assert set(found) == {"d", "g"}
    assert found["d"].steps.tolist() == list(range(8))
    assert found["d"].values.tolist() == [1.5 - n / 8 for n in range(8)]
    assert found["d"].order.tolist() == list(range(1, 9))  # lines


def test_statistics_of_stylegan(folder: Path) -> None:
    found = series(folder, STATS)
    assert set(found) == {"Loss/G/loss", "Loss/G/loss.std", "Loss/pl"}
    g = found["Loss/G/loss"]
    assert (g.steps.tolist(), g.unit) == ([0, 4, 8], Unit.KIMG)
    assert g.values.tolist() == [3.5, 2.5, 1.5]
    assert g.wall_time is not None
    assert g.wall_time.tolist() == [1.7e9, 1.7e9 + 1, 1.7e9 + 2]
    assert found["Loss/G/loss.std"].values.tolist() == [0.5, 0.5, 0.5]
    assert found["Loss/pl"].steps.tolist() == [4]  # num 0: nothing was sampled, so NaN is no illness


def test_a_nan_mean_of_samples_is_evidence(folder: Path) -> None:
    found = series(folder, STATS + TICK.format(g="NaN", n=1, pl="Infinity", kimg=12.032, wall=1.8e9))
    assert np.isnan(found["Loss/G/loss"].values[-1])
    assert found["Loss/pl"].values.tolist() == [2.0, np.inf]


def test_metrics_of_stylegan_have_their_step_in_the_name_of_the_snapshot(folder: Path) -> None:
    text = (
        METRIC
        + METRIC.replace("000040", "000120").replace("30.5", "NaN")
        + METRIC.replace('"network-snapshot-000040.pkl"', "null")
    )
    [part] = parts(folder, text, "metric-fid.jsonl")
    [fid] = part.series
    assert (fid.tag, fid.unit, fid.steps.tolist()) == ("results/fid", Unit.KIMG, [40, 120])
    assert fid.values[0] == 30.5
    assert np.isnan(fid.values[1])
    assert [(p.kind, p.place) for p in part.problems] == [("no-step", "line 3")]


def test_a_bad_line_is_told_and_reading_goes_on(folder: Path) -> None:
    [part] = parts(folder, PLAIN + 'not json\n[1, 2]\n\n{"step": 9, "d": 0.25}\n{"step": 10, "d": 0.')
    assert [(p.kind, p.place) for p in part.problems] == [
        ("bad-line", "line 9"),
        ("bad-line", "line 10"),
        ("truncated-tail", "line 13"),
    ]
    assert part.series[0].steps.tolist()[-2:] == [7, 9]
    assert kinds(parts(folder, PLAIN.rstrip())) == []  # a whole last line without its end


def test_values_of_all_kinds(folder: Path) -> None:
    lines = [
        {"step": 1, "a": 1, "text": "x", "list": [1, 2], "flag": True, "n": {"b": {"c": 2}}},
        {"step": 2, "a": "tensor(0.5, grad_fn=<X>)", "n": {"b": {"c": None}}},
        {"step": 3, "a": None, "n": {"b": 7}},
        {"step": 4, "a": "NaN"},
        {"step": 5, "a": 10**400, "flag": False},
    ]
    found = series(folder, "".join(json.dumps(line) + "\n" for line in lines))
    assert set(found) == {"a", "n/b", "n/b/c"}
    assert found["a"].steps.tolist() == [1, 2, 4, 5]
    assert np.array_equal(found["a"].values, [1.0, 0.5, np.nan, np.inf], equal_nan=True)
    assert (found["n/b/c"].values.tolist(), found["n/b"].values.tolist()) == ([2.0], [7.0])


def test_bare_nan_and_infinity(folder: Path) -> None:
    text = PLAIN + '{"step": 8, "d": NaN, "g": -Infinity, "note": "is NaN, sadly"}\n'
    found = series(folder, text)
    assert np.isnan(found["d"].values[-1])
    assert found["g"].values[-1] == -np.inf


def test_records_of_several_shapes_keep_their_order(folder: Path) -> None:
    text = "".join(
        json.dumps({"step": n, "d": n / 4} if n % 3 else {"fid": n / 2, "step": n, "d": n / 4}) + "\n"
        for n in range(30)
    )
    found = series(folder, text)
    assert found["d"].steps.tolist() == list(range(30))
    assert found["d"].values.tolist() == [n / 4 for n in range(30)]
    assert found["fid"].steps.tolist() == list(range(0, 30, 3))


def test_a_configuration_is_settings_and_a_later_one_a_start(folder: Path) -> None:
    config = '{"config": {"lr": 0.0002, "adam": {"beta1": 0.5}}, "seed": 3}\n'
    [part] = parts(folder, config + PLAIN + config + PLAIN)
    assert {name: one.value for name, one in part.settings.items()} == {"lr": 0.0002, "adam.beta1": 0.5}
    assert [(start.order, start.reason) for start in part.starts] == [(10, "config")]
    assert {one.tag for one in part.series} == {"d", "g"}


def test_training_and_validation_and_several_runs(folder: Path) -> None:
    lines = [
        {"mode": mode, "epoch": e, "loss": e + (mode == "val") / 2}
        for e in (1, 2)
        for mode in ("train", "val")
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    found = series(folder, text)
    assert {tag: one.values.tolist() for tag, one in found.items()} == {
        "loss": [1, 2],
        "val/loss": [1.5, 2.5],
    }
    assert found["val/loss"].unit is Unit.EPOCH
    one, two = parts(folder, text.replace("mode", "run"))
    assert (one.label, two.label) == ("train", "val")


def test_encodings(folder: Path) -> None:
    for encoding in ("utf-8-sig", "utf-16"):
        assert series(folder, PLAIN.encode(encoding))["d"].values[0] == 1.5
    [part] = parts(folder, b'{"step": 1, "perte\xe9": 0.5}\n' + b"\0" * 9)
    assert kinds([part]) == ["nul-bytes", "encoding"]
    assert part.series[0].values.tolist() == [0.5]


def test_blocks_and_the_whole_file_give_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (PLAIN + STATS) * 20
    whole = series(folder, text)
    monkeypatch.setattr(blocks.blocks, "__defaults__", (100,))
    pieces = series(folder, text)
    assert set(whole) == set(pieces)
    for tag, one in whole.items():
        assert np.array_equal(one.values, pieces[tag].values, equal_nan=True)
        assert np.array_equal(one.order, pieces[tag].order)


def test_hostile_lines(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = '{"a":' * 40 + "1" + "}" * 40 + "\n"
    assert kinds(parts(folder, PLAIN + deep)) == ["too-deep"]
    assert kinds(parts(folder, PLAIN + '{"a":' * 100_000 + "\n")) == ["bad-line"]
    assert kinds(parts(folder, PLAIN + '{"a": NaN, "b":' + "[" * 100_000 + "\n")) == ["bad-line"]
    monkeypatch.setattr("gandoctor.readers.tables.MAX_TAGS", 3)
    many = json.dumps({f"tag{n}": n for n in range(9)}) + "\n"
    [part] = parts(folder, many)
    assert (kinds([part]), len(part.series)) == (["too-many-tags"], 3)
    monkeypatch.setattr(blocks, "LONGEST_LINE", 50)
    [part] = parts(folder, PLAIN + '{"a": "' + "x" * 10_000_000 + '"}\n' + PLAIN)
    assert kinds([part]) == ["long-line"]
    assert len(part.series[0]) == 16


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", "log.jsonl"),
        ('{"lr": 0.1, "batch": 64}\n', "config.json"),
        ('{\n "lr": 0.1\n}\n', "config.json"),
        ('{"step": 1}\n{"step": 2}\n', "steps.jsonl"),
        ('{"file": "a.png", "text": "a cat"}\n{"file": "b.png", "text": "a dog"}\n', "captions.jsonl"),
        ('[{"iter": 1, "metric": "loss", "value": 2}]\n' * 3, "metrics.jsonl"),
        ("x = {\n 'a': 1\n}\n", "code.py"),
        ('{"a": ' + "1" * 8192, "vocabulary.json"),
    ],
)
def test_silent_on_what_is_no_log(text: str, name: str) -> None:
    assert not sniffs(text, name, size=10_000 if len(text) > 8000 else None)


def test_lines_tell_more_than_the_name() -> None:
    assert sniffs(PLAIN, "20240102.log.json")
    assert sniffs(PLAIN, "scalars")
    assert sniffs('9, "d": 0.5}\n' + PLAIN, "rotated.log")
    assert sniffs('{"a": ' + "1" * 8186, size=10_000)


@settings(max_examples=150, deadline=None)
@given(data=mangled(*(text.encode() for text in (PLAIN, STATS, METRIC, PLAIN + STATS))))
def test_no_damage_raises_or_invents_a_number(folder: Path, data: bytes) -> None:
    check_reads(jsonl, folder / "mangled.jsonl", data)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.sampled_from("abc"), st.none() | st.floats() | st.integers(-(2**53), 2**53)),
        min_size=1,
        max_size=20,
    )
)
def test_what_is_written_is_read(folder: Path, records: list[dict[str, float | None]]) -> None:
    found = series(folder, "".join(json.dumps(record) + "\n" for record in records))
    for tag in "abc":
        logged = [value for record in records if (value := record.get(tag)) is not None]
        assert np.array_equal(found[tag].values if tag in found else [], logged, equal_nan=True)


@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus of real logs is not beside the checkout")
def test_a_real_stylegan() -> None:
    [stats] = jsonl.read(CORPUS / "stylegan-sprite" / "stats.jsonl")
    [metric] = jsonl.read(CORPUS / "stylegan-sprite" / "metric-fid50k_full.jsonl")
    found = {one.tag: one for one in stats.series}
    assert (stats.problems, metric.problems) == ([], [])
    assert found["Loss/G/loss"].steps.tolist()[:3] == [0, 4, 8]
    assert found["Loss/D/loss"].values[0] == 0.16591492295265198
    assert "Progress/kimg" not in found
    assert "Timing/Gmain.std" not in found
    assert metric.series[0].steps.tolist() == list(range(0, 281, 40))
    assert metric.series[0].values[0] == 1.1769565753850026e57
