"""W&B logs: history, configuration, media, console output, and every kind of damage."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gandoctor.readers.head import head_of
from gandoctor.readers.load import load_all
from gandoctor.readers.wandb_log import read, read_histograms, sniff
from gandoctor.run import Histogram, ImageGrid, RunParts, Unit, Values
from tests.readers.wandb_file import BLOCK, config, field, history, item, log, metric, output, run

CORPUS = Path(__file__).parents[2] / "../shared/corpus"


def write(folder: Path, records: Iterable[bytes]) -> Path:
    path = folder / "run-1.wandb"
    path.write_bytes(log(records))
    return path


def read_one(path: Path) -> RunParts:
    [parts] = read(path)
    return parts


def bins_of(reference: Histogram) -> tuple[Values, Values]:
    found = read_histograms(reference.source, reference.offset, [reference.tag])[reference.tag]
    if isinstance(found, ValueError):
        raise found
    return found


def losses(rows: int, **extra: object) -> list[bytes]:
    return [
        history(
            {
                "_step": i,
                "_timestamp": 1.7e9 + i,
                "_runtime": i / 10,
                "loss_D": i / 4,
                ("loss", "G"): -i,
                **extra,
            }
        )
        for i in range(rows)
    ]


def test_history(tmp_path: Path) -> None:
    path = write(tmp_path, losses(3))
    assert sniff(head_of(path))
    parts = read_one(path)
    assert parts.problems == []
    assert {one.tag: one.values.tolist() for one in parts.series} == {
        "loss_D": [0, 0.25, 0.5],
        "loss.G": [0, -1, -2],
    }
    series = parts.series[0]
    assert (series.steps.tolist(), series.unit) == ([0, 1, 2], Unit.ITERATION)
    assert series.wall_time is not None
    assert series.wall_time.tolist() == [1.7e9, 1.7e9 + 1, 1.7e9 + 2]


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=90), st.floats() | st.integers(-(10**20), 10**20), min_size=1, max_size=6
    )
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_records_of_plain_numbers_are_read_like_others(tmp_path: Path, values: dict[str, float]) -> None:
    """They take a short cut; an item that is no number bars it."""
    flat = read_one(write(tmp_path, [history({**values, "_step": 3})]))
    other = read_one(write(tmp_path, [history({**values, "_step": 3, "a word" * 20: "word"})]))
    assert flat.problems == other.problems == []
    for one, two in zip(flat.series, other.series, strict=True):
        assert (one.tag, one.steps.tolist()) == (two.tag, [3])
        np.testing.assert_array_equal(one.values, two.values)


def test_values(tmp_path: Path) -> None:
    values: dict[str, object] = {
        "nan": b"NaN", "inf": b"-Infinity", "text_nan": "NaN", "huge": b"1e400", "long": b"1" * 5000,
        "flag": True, "word": "x", "none": None, "list": [1, 2], "tree": {"a": {"b": 2}, "c": 1.5},
    }  # fmt: skip
    parts = read_one(write(tmp_path, [history({"_step": 7, **values})]))
    found = {one.tag: one.values.tolist()[0] for one in parts.series}
    assert math.isnan(found.pop("nan"))
    assert math.isnan(found.pop("text_nan"))
    assert found == {"inf": -math.inf, "huge": math.inf, "long": math.inf, "tree.a.b": 2, "tree.c": 1.5}
    assert all(one.steps.tolist() == [7] for one in parts.series)


def test_the_step_of_the_record_is_used_where_there_is_no_item(tmp_path: Path) -> None:
    records = [field(2, field(1, item("d", i)) + field(2, field(1, 10 * i) if i else b"")) for i in range(3)]
    assert read_one(write(tmp_path, records)).series[0].steps.tolist() == [0, 10, 20]


def test_a_declared_step_metric_counts(tmp_path: Path) -> None:
    rows = [
        history({"_step": i, "trainer/global_step": 50 * i, "d": 1.0})
        if i != 2
        else history({"_step": 2, "d": 0.5})
        for i in range(5)
    ]
    [series] = read_one(write(tmp_path, [metric("*", "trainer/global_step"), *rows])).series
    assert series.steps.tolist() == [0, 50, 50, 150, 200]
    rows = [history({"_step": i, "epoch": i // 10, "d": 1.0}) for i in range(30)]
    parts = read_one(write(tmp_path, [metric("*", "epoch"), *rows]))
    assert [(one.tag, one.steps.tolist()) for one in parts.series] == [
        ("epoch", list(range(30))),
        ("d", list(range(30))),
    ]


def test_configuration(tmp_path: Path) -> None:
    records = [
        run({"lr": 0.0002, "opt": {"betas": [0.5, 0.999]}, "max": float("inf"), "_wandb": {"version": 1}}),
        field(5, config({"late": 3, "lr": 0.0001})),
        *losses(1),
    ]
    found = {name: setting.value for name, setting in read_one(write(tmp_path, records)).settings.items()}
    assert found == {"lr": 0.0001, "opt.betas.0": 0.5, "opt.betas.1": 0.999, "max": math.inf, "late": 3}


def test_media(tmp_path: Path) -> None:
    images = tmp_path / "files/media/images"
    images.mkdir(parents=True)
    for name in ("fake_4_ab.png", "s_4_0.png", "s_4_1.png"):
        (images / name).write_bytes(b"\x89PNG")
    values = {
        "_step": 4,
        "fake": {"_type": "image-file", "path": "media/images/fake_4_ab.png"},
        "s": {"_type": "images/separated", "filenames": ["media/images/s_4_0.png", "media/images/s_4_1.png"]},
        "gone": {"_type": "image-file", "path": "media/images/gone.png"},
        "out": {"_type": "image-file", "path": "../../etc/passwd"},
        "root": {"_type": "image-file", "path": "/etc/passwd"},
        "d": 1.0,
        "h": {"_type": "histogram", "values": [3, 1], "bins": [0.0, 0.5, 1.0]},
        ("g", "p"): {
            "_type": "histogram",
            "values": [1] * 9000,
            "packedBins": {"min": -1, "size": 2, "count": 9000},
        },
    }
    parts = read_one(write(tmp_path, [*losses(4), history(values), *losses(1)]))
    assert parts.images == [
        ImageGrid("fake", 4, images / "fake_4_ab.png"),
        ImageGrid("s", 4, images / "s_4_0.png"),
        ImageGrid("s", 4, images / "s_4_1.png"),
    ]
    assert [(problem.kind, problem.message[:2]) for problem in parts.problems] == [("missing-file", "3 ")]
    plain, packed = parts.histograms
    assert (plain.tag, plain.step, packed.tag) == ("h", 4, "g.p")
    edges, counts = bins_of(plain)
    assert (edges.tolist(), counts.tolist()) == ([0.0, 0.5, 1.0], [3.0, 1.0])
    edges, counts = bins_of(packed)
    assert (edges[:3].tolist(), len(edges), counts.sum()) == ([-1.0, 1.0, 3.0], 9001, 9000)


def test_without_numbers_the_console_is_read(tmp_path: Path) -> None:
    lines = [f"(epoch: 1, iters: {i}, time: 0.1) G_GAN: {i / 8} D_real: 0.5" for i in range(100, 500, 100)]
    records = [
        run({"lr": 0.1}),
        *(output(part) for line in lines for part in (line, "\n")),
        history({"_step": 0}),
    ]
    parts = read_one(write(tmp_path, records))
    found = {one.tag: one for one in parts.series}
    assert found["G_GAN"].values.tolist() == [12.5, 25.0, 37.5, 50.0]
    assert found["G_GAN"].steps.tolist() == [100, 200, 300, 400]
    assert parts.settings["lr"].value == 0.1
    with_history = read_one(write(tmp_path, [*records, *losses(2)]))
    assert {one.tag for one in with_history.series} == {"loss_D", "loss.G"}


def test_records_over_blocks(tmp_path: Path) -> None:
    rows = losses(40, note="x" * 5000)  # each record lies in several chunks or ends at a block's end
    rows += [history({"_step": 40, "d": 1.0, "long": "y" * 3 * BLOCK})]
    parts = read_one(write(tmp_path, rows))
    assert parts.problems == []
    assert [len(one) for one in parts.series] == [40, 40, 1]


@pytest.mark.parametrize("cut", [1, 5, 100, 4000])
def test_a_cut_tail(tmp_path: Path, cut: int) -> None:
    path = write(tmp_path, losses(40, note="x" * 5000))
    path.write_bytes(path.read_bytes()[:-cut])
    parts = read_one(path)
    assert [len(one) for one in parts.series] == [39, 39]
    [problem] = parts.problems
    assert problem.kind == "truncated"
    assert problem.place.startswith("byte ")


def test_damage_costs_one_block(tmp_path: Path) -> None:
    path = write(tmp_path, losses(2000))
    data = bytearray(path.read_bytes())
    assert len(data) > 4 * BLOCK
    data[BLOCK + 100] ^= 1
    path.write_bytes(bytes(data))
    parts = read_one(path)
    assert parts.problems[0].kind == "corrupt-record"
    steps = parts.series[0].steps
    lost = np.setdiff1d(np.arange(2000), steps)
    assert np.array_equal(lost, np.arange(lost[0], lost[-1] + 1))
    assert len(lost) < 1.2 * BLOCK / 100
    assert np.array_equal(parts.series[0].values, steps / 4)


def test_bad_records_are_named(tmp_path: Path) -> None:
    records = [
        *losses(2),
        b"\x12\xff\xff\xff\xff\x0f",  # a field longer than its record
        b"\x0b",  # a group: long out of use
        b"\x80" * 11,  # a number without end
        history({"_step": 2, "d": b"{broken", "deep": b"[" * 100_000, "loss_D": 9.0}),
        field(2, 5),  # history as a number
        b"",
    ]
    parts = read_one(write(tmp_path, records))
    assert [problem.kind for problem in parts.problems] == ["bad-record"] * 3 + ["bad-value"] * 2
    assert parts.series[0].values.tolist() == [0.0, 0.25, 9.0]


def test_a_blank_tail_is_no_damage(tmp_path: Path) -> None:
    path = write(tmp_path, losses(3))
    path.write_bytes(path.read_bytes() + bytes(5000))
    assert read_one(path).problems == []


def test_empty(tmp_path: Path) -> None:
    parts = read_one(write(tmp_path, []))
    assert (parts.series, parts.problems) == ([], [])
    (tmp_path / "x.wandb").write_bytes(b":W&B")
    assert not sniff(head_of(tmp_path / "x.wandb"))
    with pytest.raises(OSError, match="none"):
        read(tmp_path / "none.wandb")


FLAT = [history({"_step": i, "d": 0.5, ("g",): 1.5}) for i in range(5)]
RECORDS = [
    run({"lr": 0.1}),
    *losses(3),
    *FLAT,
    output("d: 0.5 g: 0.7\n"),
    history({"h": {"_type": "histogram"}}),
]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), st.booleans())
def test_no_mutation_raises(tmp_path: Path, data: st.DataObject, framed: bool) -> None:
    records = [bytearray(record) for record in RECORDS]
    if framed:  # damage that the checksums do not show
        record = data.draw(st.sampled_from(records))
        record[data.draw(st.integers(0, len(record) - 1))] = data.draw(st.integers(0, 255))
    raw = bytearray(log(map(bytes, records)))
    for _ in range(data.draw(st.integers(0, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "x.wandb"
    path.write_bytes(bytes(raw[: data.draw(st.integers(0, len(raw)))]))
    sniff(head_of(path))
    for parts in read(path):
        for histogram in parts.histograms:
            with pytest.raises(ValueError, match="histogram"):
                bins_of(histogram)


@pytest.mark.parametrize(("name", "points"), [("run-24ai9f93", 6), ("run-mg0mb8tq", 1)])
def test_corpus(name: str, points: int) -> None:
    path = CORPUS / "wandb-offline-jittor" / f"{name}.wandb"
    if not path.exists():
        pytest.skip("the corpus is not here")
    parts = read_one(path)
    assert {one.tag: len(one) for one in parts.series if one.tag[0] in "GD"} == dict.fromkeys(
        ("G_GAN", "G_L1", "D_real", "D_fake"), points
    )
    assert (parts.settings["lr"].value, parts.settings["gan_mode"].value) == (0.0002, "vanilla")
    assert parts.problems[0].kind == "truncated"


def test_a_folder_of_wandb_is_one_run(tmp_path: Path) -> None:
    run_folder = tmp_path / "wandb/offline-run-20260101_000000-abc"
    (run_folder / "files/media/images").mkdir(parents=True)
    (run_folder / "logs").mkdir()
    write(run_folder, losses(30))
    for name in ("files/output.log", "logs/debug.log", "logs/debug-internal.log", "../debug.log"):
        (run_folder / name).write_text("epoch: 1 d_loss: 0.5\nepoch: 2 d_loss: 0.25\n")
    [loaded] = load_all(tmp_path)
    assert set(loaded.series) == {"loss_D", "loss.G"}
