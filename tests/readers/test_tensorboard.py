"""TensorBoard event files: what writers write, what damage does, and both ways of reading."""

from __future__ import annotations

import io
import json
import math
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from tensorboard.summary.writer.record_writer import RecordWriter

from gandoctor.readers import _tfrecord, tensorboard
from gandoctor.readers._crc32c import length_crc, piece_crcs
from gandoctor.readers.head import head_of
from gandoctor.run import RunParts, Series

SOURCE = Path("events.out.tfevents.1.host")
WALL = 1_700_000_000.25
CORPUS = Path(__file__).parents[2] / "../shared/corpus"
INF, NAN = math.inf, math.nan


def scalar(tag: str, step: int, value: float, wall: float = WALL) -> Event:
    return Event(
        wall_time=wall, step=step, summary=Summary(value=[Summary.Value(tag=tag, simple_value=value)])
    )


def tensor(tag: str, step: int, proto: TensorProto, plugin: str = "scalars") -> Event:
    """An event as TF2 writes it."""
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=plugin))
    value = Summary.Value(tag=tag, tensor=proto, metadata=metadata if plugin else None)
    return Event(wall_time=WALL, step=step, summary=Summary(value=[value]))


def float_content(value: float) -> TensorProto:
    return TensorProto(dtype=1, tensor_shape=TensorShapeProto(), tensor_content=struct.pack("<f", value))


VERSION = Event(wall_time=WALL, file_version="brain.Event:2")


def framed(events: Iterable[Event | bytes]) -> bytes:
    """An event file, framed by TensorBoard's own writer."""
    out = io.BytesIO()
    for event in events:
        RecordWriter(out).write(event if isinstance(event, bytes) else event.SerializeToString())
    return out.getvalue()


def read(data: bytes, *, columnar: bool = True) -> RunParts:
    return tensorboard.read_events(io.BytesIO(data), len(data), SOURCE, columnar=columnar)


def same(a: Series, b: Series) -> bool:
    assert (a.wall_time is None) == (b.wall_time is None)
    pairs = [(a.steps, b.steps), (a.values, b.values), (a.order, b.order)]
    pairs += [(a.wall_time, b.wall_time)] if a.wall_time is not None else []
    return a.tag == b.tag and all(np.array_equal(x, y, equal_nan=x.dtype.kind == "f") for x, y in pairs)


def both(data: bytes) -> dict[str, Series]:
    """The series of a file, which must be the same by columns and one by one."""
    fast, slow = read(data), read(data, columnar=False)
    assert [one.tag for one in fast.series] == [one.tag for one in slow.series]
    assert all(map(same, fast.series, slow.series))
    assert fast.problems == slow.problems
    assert fast.starts == slow.starts
    assert fast.images == slow.images
    assert fast.histograms == slow.histograms
    return {one.tag: one for one in fast.series}


def points(series: Series) -> list[tuple[int, float]]:
    return list(zip(series.steps.tolist(), series.values.tolist(), strict=True))


def accumulated(path: Path) -> dict[str, list[tuple[int, float]]]:
    """All scalars by TensorBoard's own reader."""
    everything = dict.fromkeys(("scalars", "tensors", "images", "audio", "histograms", "distributions"), 0)
    reader = EventAccumulator(str(path), everything, purge_orphaned_data=False)
    reader.Reload()
    found = {tag: [(e.step, e.value) for e in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}
    for tag in reader.Tags()["tensors"]:  # what TF2 and torch's new style become
        if reader.SummaryMetadata(tag).plugin_data.plugin_name == "scalars":
            tensors = reader.Tensors(tag)
            numbers = [_number_of(e.tensor_proto) for e in tensors]
            found[tag] = [(e.step, number) for e, number in zip(tensors, numbers, strict=True)]
    return found


def _number_of(proto: TensorProto) -> float:
    from tensorboard.util.tensor_util import make_ndarray

    return float(make_ndarray(proto).reshape(-1)[0])


# ---- Writers.


def write_torch(folder: Path, **style: bool) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        for step in [*range(140), *range(16_380, 16_390)]:
            writer.add_scalar("Loss/D", math.sin(step), step, **style)
            writer.add_scalar("Loss/G", step / 7, step, **style)
            if step % 10 == 0:
                writer.add_scalar("a longer tag than the others", NAN if step == 20 else -INF, step, **style)


def write_tensorboardx(folder: Path) -> None:
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        for step in range(300):
            writer.add_scalar("D(G(z))", math.cos(step), step)
            writer.add_scalars("loss", {"g": step / 3, "d": -step}, step)


def write_tf2(folder: Path) -> None:
    events = [tensor(tag, step, float_content(step / 3)) for step in range(300) for tag in ("d", "g_loss")]
    folder.mkdir()
    (folder / SOURCE.name).write_bytes(framed([VERSION, *events]))


def write_tf1(folder: Path) -> None:
    """Many tags in one event, the summaries' set changing now and then."""
    names = [f"layer_{i}/weights" for i in range(12)] + ["loss/d_loss", "loss/g_loss"]
    events = []
    for step in range(200):
        some = names if step % 5 == 0 else names[-2:]
        values = [Summary.Value(tag=tag, simple_value=step + len(tag)) for tag in some]
        events.append(Event(wall_time=WALL + step, step=step, summary=Summary(value=values)))
    folder.mkdir()
    (folder / SOURCE.name).write_bytes(framed([VERSION, *events]))


WRITERS: dict[str, Callable[[Path], None]] = {
    "torch": write_torch,
    "torch new_style": lambda folder: write_torch(folder, new_style=True),
    "torch double_precision": lambda folder: write_torch(folder, new_style=True, double_precision=True),
    "tensorboardX": write_tensorboardx,
    "TF2": write_tf2,
    "TF1": write_tf1,
}


@pytest.mark.parametrize("writer", WRITERS)
def test_numbers_are_those_of_tensorboard(writer: str, tmp_path: Path) -> None:
    WRITERS[writer](tmp_path / "run")
    files = list((tmp_path / "run").rglob("*tfevents*"))
    for file in files:
        found = {tag: points(one) for tag, one in both(file.read_bytes()).items()}
        assert repr(found) == repr({tag: accumulated(file)[tag] for tag in found})  # repr: NaN is NaN
        assert found.keys() == accumulated(file).keys()
        assert len(file.read_bytes()) > 88
    assert files


def test_plain_scalars_need_no_protobuf(tmp_path: Path) -> None:
    for writer in ("torch", "torch new_style", "torch double_precision", "TF2", "TF1"):
        WRITERS[writer](tmp_path / writer)
    code = (
        "import sys; from pathlib import Path; from gandoctor.readers import tensorboard\n"
        "n = sum(len(s) for f in sys.argv[1:] for p in tensorboard.read(Path(f)) for s in p.series)\n"
        "print(n, 'google.protobuf' in sys.modules)"
    )
    files = [str(file) for file in tmp_path.rglob("*tfevents*")]
    done = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(3 * 315 + 600 + 40 * 14 + 160 * 2), "False"]


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real logs is not here")
def test_real_files_read_as_by_tensorboard() -> None:
    files = sorted(CORPUS.glob("**/*tfevents*"))
    for file in files:
        found = {tag: points(one) for tag, one in both(file.read_bytes()).items()}
        assert repr(sorted(found.items())) == repr(sorted(accumulated(file).items()))
    assert len(files) > 20


# ---- Numbers.


def test_steps_of_every_varint_length() -> None:
    steps = [
        0,
        1,
        127,
        128,
        16_383,
        16_384,
        2_097_151,
        2_097_152,
        2**32 + 5,
        2**56 - 1,
        2**56,
        2**62,
        2**63 - 1,
    ]
    steps += [-1, -128, -(2**63)]
    found = both(framed(scalar(tag, step, 0.5) for step in steps for tag in ("D", "G/x")))
    assert found["D"].steps.tolist() == found["G/x"].steps.tolist() == steps
    assert found["D"].order.tolist() == list(range(0, 2 * len(steps), 2))


def test_no_number_is_changed() -> None:
    values = [0.0, -0.0, 1e-45, 3.4e38, INF, -INF, NAN, 1 / 3]
    wide = [*values, 1e300, 1e-320]
    doubles = [TensorProto(dtype=2, double_val=[value]) for value in wide]
    events = [scalar("f", step, value) for step, value in enumerate(values)]
    events += [tensor("d", step, proto) for step, proto in enumerate(doubles)]
    found = both(framed(events))
    assert repr(found["f"].values.tolist()) == repr(np.array(values, np.float32).astype(float).tolist())
    assert repr(found["d"].values.tolist()) == repr(wide)


def test_tags_long_short_and_foreign() -> None:
    tags = ["", "x", "a" * 127, "a" * 128, "a" * 300, "b" * 5000, "损失/判别器", "nul\0byte", "D", "E"]
    found = both(framed(scalar(tag, step, len(tag)) for step in range(3) for tag in tags))
    assert list(found) == tags  # in the order of their first value
    assert all(points(found[tag]) == [(step, len(tag)) for step in range(3)] for tag in tags)


def test_thousands_of_tags_of_one_length() -> None:
    tags = [f"layer.{i:04}.grad" for i in range(3000)]
    found = both(framed(scalar(tag, step, i * step) for step in (1, 2, 3) for i, tag in enumerate(tags)))
    assert all(points(found[tag]) == [(1, i), (2, 2 * i), (3, 3 * i)] for i, tag in enumerate(tags))


def test_a_tag_twice_in_an_event_keeps_the_order() -> None:
    values = [Summary.Value(tag="x", simple_value=v) for v in (1, 2)]
    events = [Event(wall_time=WALL, step=s, summary=Summary(value=values)) for s in range(3)]
    assert both(framed(events))["x"].values.tolist() == [1, 2] * 3


def test_fields_in_any_order() -> None:
    event = scalar("x", 5, 1.5)
    summary = b"\x2a" + bytes([event.summary.ByteSize()]) + event.summary.SerializeToString()
    wall = b"\x09" + struct.pack("<d", WALL)
    orders = [wall + summary + b"\x10\x05", b"\x10\x05" + wall + summary, summary + b"\x10\x05" + wall]
    orders += [b"\x10\x07" + wall + b"\x10\x05" + summary]  # the last of two steps counts
    assert points(both(framed(orders))["x"]) == [(5, 1.5)] * 4


@pytest.mark.parametrize(
    ("dtype", "field", "listed", "content", "number"),
    [
        (1, "float_val", 1.5, struct.pack("<f", 1.5), 1.5),
        (2, "double_val", 0.1, struct.pack("<d", 0.1), 0.1),
        (3, "int_val", -7, struct.pack("<i", -7), -7),
        (4, "int_val", 200, b"\xc8", 200),
        (5, "int_val", -300, struct.pack("<h", -300), -300),
        (6, "int_val", -5, b"\xfb", -5),
        (9, "int64_val", 2**40, struct.pack("<q", 2**40), 2**40),
        (10, "bool_val", True, b"\x01", 1),
        (14, "half_val", 0x3FC0, b"\xc0\x3f", 1.5),  # bfloat16
        (17, "int_val", 60_000, struct.pack("<H", 60_000), 60_000),
        (19, "half_val", 0x3E00, b"\x00\x3e", 1.5),  # half
        (22, "uint32_val", 2**31, struct.pack("<I", 2**31), 2**31),
        (23, "uint64_val", 2**63, struct.pack("<Q", 2**63), 2**63),
    ],
)
def test_tensors_of_every_type(dtype: int, field: str, listed: float, content: bytes, number: float) -> None:
    one = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    protos = [
        TensorProto(dtype=dtype, **{field: [listed]}),
        TensorProto(dtype=dtype, tensor_content=content),
        TensorProto(dtype=dtype, tensor_shape=one, tensor_content=content),
        TensorProto(dtype=dtype),  # nothing listed is zero
    ]
    for plugin in ("scalars", ""):  # one element is a scalar without metadata too
        found = both(framed(tensor("x", step, proto, plugin) for step, proto in enumerate(protos)))
        assert found["x"].values.tolist() == [number, number, number, 0]


def test_what_is_no_number_is_told() -> None:
    three = TensorProto(dtype=1, float_val=[1, 2, 3], tensor_shape=TensorShapeProto(dim=[{"size": 3}]))
    odd = [three, TensorProto(dtype=8, scomplex_val=[1, 2]), TensorProto(dtype=1, tensor_content=b"\0\0")]
    parts = read(framed(tensor("x", step, proto) for step, proto in enumerate(odd)))
    assert parts.series == []
    assert [problem.kind for problem in parts.problems] == ["unknown-value"] * 3
    assert parts.problems[1].place == f"byte {len(framed([tensor('x', 0, three)]))}"
    assert read(framed([tensor("curve", 1, three, "pr_curves"), tensor("?", 1, three, "")])).problems == []


def test_metadata_of_the_first_value_counts_for_all() -> None:
    first, later = tensor("mesh", 1, float_content(1), "mesh"), tensor("mesh", 2, float_content(2), "")
    assert read(framed([first, later])).series == []


# ---- What else a file holds.


def test_histograms_and_images_stay_in_the_file() -> None:
    histo = HistogramProto(min=-1, max=2, num=3, bucket_limit=[0, 2], bucket=[1, 2])
    image = Summary.Image(height=2, width=3, colorspace=3, encoded_image_string=b"\x89PNG old")
    old = [Summary.Value(tag="w", histo=histo), Summary.Value(tag="fakes", image=image)]
    buckets = TensorProto(dtype=2, tensor_content=bytes(24))
    batch = TensorProto(dtype=7, string_val=[b"3", b"2", b"\x89PNG one", b"\x89PNG two"])
    events = [VERSION, Event(wall_time=WALL, step=5, summary=Summary(value=old)), scalar("x", 5, 1)]
    events += [tensor("b", 6, buckets, "histograms"), tensor("grid", 7, batch, "images")]
    data = framed(events)
    both(data)
    parts = read(data)
    first, second = ((h, data[h.offset : h.offset + h.length]) for h in parts.histograms)
    assert (first[0].tag, first[0].step, first[0].encoding) == ("w", 5, "tb-histo")
    assert HistogramProto.FromString(first[1]) == histo
    assert (second[0].tag, second[0].step, second[0].encoding) == ("b", 6, "tb-tensor")
    assert TensorProto.FromString(second[1]) == buckets
    bytes_of = {i.name: data[i.offset : i.offset + (i.length or 0)] for i in parts.images}
    assert bytes_of == {"fakes": b"\x89PNG old", "grid/0": b"\x89PNG one", "grid/1": b"\x89PNG two"}
    assert [i.step for i in parts.images] == [5, 7, 7]


def test_hyperparameters_and_configurations_are_settings(tmp_path: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    config = {"optim": {"lr_d": 4e-4}, "batch": 64}
    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_hparams({"lr": 2e-4, "loss": "hinge", "sn": True}, {"hparam/fid": 30.0}, run_name=".")
        writer.add_text("config", json.dumps(config))
        writer.add_text("note", "{not json")
    found = {}
    for file in tmp_path.rglob("*tfevents*"):
        [parts] = tensorboard.read(file)
        found.update({name: setting.value for name, setting in parts.settings.items()})
        assert parts.problems == []
    assert found == {"lr": 2e-4, "loss": "hinge", "sn": True, "optim.lr_d": 4e-4, "batch": 64}


def test_a_session_start_takes_back_steps(tmp_path: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path), purge_step=200) as writer:
        writer.add_scalar("x", 1.0, 200)
    [start] = read(next(tmp_path.iterdir()).read_bytes()).starts
    assert (start.order, start.purge_step) == (2, 200)
    later = Event(wall_time=WALL, session_log=SessionLog(status=SessionLog.CHECKPOINT))
    assert read(framed([VERSION, later])).starts == []


@pytest.mark.parametrize(
    ("head", "walls", "expected"),
    [
        ([VERSION], [5.0, 9.5], [WALL + 5, WALL + 9.5]),  # StyleGAN: seconds since the start
        ([VERSION], [WALL + 1, WALL + 2], [WALL + 1, WALL + 2]),
        ([], [5.0, 9.5], None),  # since when?
        ([VERSION], [0.0, 0.0], None),
        ([VERSION], [WALL, NAN], None),
    ],
)
def test_wall_time(head: Sequence[Event], walls: Sequence[float], expected: list[float] | None) -> None:
    found = both(framed([*head, *(scalar("x", step, 1, wall) for step, wall in enumerate(walls))]))
    wall_time = found["x"].wall_time
    assert (None if wall_time is None else wall_time.tolist()) == expected


# ---- Damage. The file: 14 records of several kinds.

SMALL = [VERSION]
SMALL += [
    scalar(tag, step, step + len(tag)) for step in (126, 127, 128) for tag in ("Loss/D", "Loss/G", "lr")
]
SMALL += [tensor("t", 5, float_content(0.25)), tensor("i", 5, TensorProto(dtype=9, int64_val=[3]))]
SMALL += [
    Event(
        wall_time=WALL, step=9, summary=Summary(value=[Summary.Value(tag="w", histo=HistogramProto(num=3))])
    )
]
SMALL += [scalar("Loss/D", 129, 7.5)]
DATA = framed(SMALL)
EDGES = np.cumsum([0, *(len(framed([event])) for event in SMALL)]).tolist()


def flipped(data: bytes, at: int, bit: int = 0) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def triples(data: bytes, *, columnar: bool = True) -> set[tuple[str, int, float]]:
    return {(s.tag, *point) for s in read(data, columnar=columnar).series for point in points(s)}


WHOLE = triples(DATA)


def test_a_cut_file_gives_all_whole_records() -> None:
    for cut in range(len(DATA)):
        parts = read(DATA[:cut])
        whole = sum(edge <= cut for edge in EDGES) - 1
        found = {(s.tag, *point) for s in parts.series for point in points(s)}
        assert found == {(s.tag, *point) for s in parts_of(EDGES[whole]) for point in points(s)}
        problems = [(problem.kind, problem.place) for problem in parts.problems]
        tail = [("truncated-tail", f"byte {EDGES[whole]}")] if cut else [("empty", "")]
        assert problems == ([] if cut and cut in EDGES else tail)


@cache
def parts_of(end: int) -> list[Series]:
    return read(DATA[:end]).series


@pytest.mark.parametrize("record", range(len(SMALL)))
def test_a_record_that_fails_its_checksum_is_lost_alone(record: int) -> None:
    start, end = EDGES[record], EDGES[record + 1]
    expected = triples(DATA[:start] + DATA[end:])
    for at in (start + 13, end - 2):
        parts = read(flipped(DATA, at))
        assert {(s.tag, *point) for s in parts.series for point in points(s)} == expected
        [problem] = parts.problems
        assert (problem.kind, problem.place) == ("corrupt-record", f"byte {start}")
        assert problem.message == f"{end - start} bytes were skipped, 1 record lost (checksum mismatch)"


@pytest.mark.parametrize("record", range(len(SMALL)))
@pytest.mark.parametrize("byte", [0, 3, 7, 8])
def test_a_record_with_a_damaged_length_is_read_by_its_own_checksum(record: int, byte: int) -> None:
    damaged = flipped(DATA, EDGES[record] + byte, 4)
    [problem] = read(damaged).problems
    assert (problem.kind, problem.place) == ("corrupt-record", f"byte {EDGES[record]}")
    assert "was read" in problem.message
    assert triples(damaged) == WHOLE


def test_what_follows_a_damaged_stretch_is_read() -> None:
    start, end = EDGES[4] + 3, EDGES[7] - 5
    for middle in (b"", bytes(end - start), b"\xff" * 1000, bytes(5000)):
        damaged = DATA[:start] + middle + DATA[end:]
        parts = read(damaged)
        assert triples(damaged) == triples(DATA[: EDGES[4]] + DATA[EDGES[7] :])
        skipped = EDGES[7] - EDGES[4] + len(middle) - (end - start)
        [problem] = parts.problems
        assert problem.place == f"byte {EDGES[4]}"
        assert (
            problem.message == f"{skipped:,} bytes were skipped, at least 1 record lost (checksum mismatch)"
        )


def test_a_record_whose_end_is_missing_does_not_swallow_the_next_ones() -> None:
    long = Event(wall_time=WALL, graph_def=bytes(500))
    data = framed([VERSION, long])
    damaged = data[:-400] + framed(SMALL[1:])
    assert triples(damaged) == WHOLE  # the long record ends inside a later one, or past the file
    assert [problem.place for problem in read(damaged).problems] == ["byte 40"]


def test_a_write_torn_off_and_then_appended_to() -> None:
    assert triples(DATA[: EDGES[-1] - 9] + DATA[EDGES[1] :]) == WHOLE


def test_a_length_is_capped_by_the_file() -> None:
    for n in (10**6, 2**31, 2**40, 2**64 - 1):
        length = struct.pack("<Q", n)
        header = length + struct.pack("<I", masked_crc32c(length))
        assert triples(DATA + header + b"x" * 30) == WHOLE
        assert triples(header + DATA) == WHOLE


def test_a_sound_record_that_is_no_event_is_told() -> None:
    wrong = [b"\xff\xff\xff", b"\x09\x00", b"\x2a\x05\x0a\x03\x0a\x01\xff", b"\x2a\x03\x0a\x01\x0b", b""]
    wrong += [scalar("bad", 1, 1).SerializeToString().replace(b"bad", b"b\xffd")] * 2
    for columnar in (True, False):
        parts = read(framed([*SMALL[:3], *wrong, *SMALL[3:]]), columnar=columnar)
        assert {(s.tag, *point) for s in parts.series for point in points(s)} == WHOLE
        assert {problem.kind for problem in parts.problems} == {"bad-record"}
        assert parts.problems[0].place == f"byte {EDGES[3]}"


def test_many_damaged_stretches_become_few_problems() -> None:
    events = [scalar("x", step, step) for step in range(200)]
    size = len(framed(events[1:2]))
    data = bytearray(framed(events))
    for step in range(0, 200, 2):
        data[len(framed(events[:step])) + 20 if step < 130 else -(200 - step) * (size + 1) + 20] ^= 1
    parts = read(bytes(data))
    assert len(parts.series[0]) == 100
    assert len(parts.problems) == 21
    assert "80 records lost" in parts.problems[-1].message


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_damage_gives_a_number_that_was_not_written(data: st.DataObject) -> None:
    damaged = bytearray(DATA)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        how = data.draw(st.sampled_from(["flip", "flip", "cut", "drop", "insert", "zero", "repeat"]))
        size = data.draw(st.integers(1, 60))
        if how == "flip":
            damaged[at] ^= 1 << data.draw(st.integers(0, 7))
        elif how == "cut":
            del damaged[max(at, 1) :]
        elif how == "drop":
            del damaged[at : min(at + size, len(damaged) - 1)]
        elif how == "insert":
            damaged[at:at] = data.draw(st.binary(min_size=size, max_size=size))
        elif how == "zero":
            damaged[at : at + size] = bytes(len(damaged[at : at + size]))
        else:
            damaged[at:at] = damaged[at : at + size]
    for columnar in (True, False):
        assert triples(bytes(damaged), columnar=columnar) <= WHOLE


# ---- Long files: chunks, lanes, checksums of any length.


def irregular(count: int, seed: int) -> tuple[list[bytes], set[tuple[str, int, float]]]:
    """Records in no order that could be guessed, some of them longer than a chunk."""
    random = np.random.default_rng(seed)
    records, written = [], set()
    for step in range(count):
        tag = "tag" + "x" * int(random.integers(1, 40))
        records.append(scalar(tag, step, step).SerializeToString())
        written.add((tag, step, float(step)))
        if random.random() < 0.01:
            blob = random.bytes(int(random.choice([300, 5_000, 90_000])))
            records.append(Event(wall_time=WALL, graph_def=blob).SerializeToString())
    return records, written


@pytest.mark.parametrize("chunk", [1 << 12, 70_001, 1 << 20])
def test_chunks_and_lanes_change_nothing(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tfrecord, "_CHUNK", chunk)
    records, written = irregular(1500, seed=chunk)
    sizes = np.cumsum([0, *(len(record) + 16 for record in records)])
    data = bytearray(_quickly_framed(records))
    assert triples(bytes(data)) == written
    assert read(bytes(data)).problems == []
    hit = np.random.default_rng(chunk).choice(len(records) // 3, 30, replace=False) * 3  # no neighbours
    for record in hit.tolist():  # in the header, or in the data
        data[int(sizes[record]) + (2 if record % 2 else 20)] ^= 64
    parts = read(bytes(data))
    lost = {(s.tag, *point) for s in parts.series for point in points(s)} ^ written
    bad = {Event.FromString(records[r]).step for r in hit.tolist() if r % 2 == 0 and len(records[r]) < 200}
    assert {step for _, step, _ in lost} == bad


def test_a_cycle_of_records_is_followed_and_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tfrecord, "_CHUNK", 1 << 17)  # some 3,000 records
    tags = ("Loss/D", "Loss/G", "D(x)")
    events = [scalar(tag, step, step + len(tag)) for step in range(8000) for tag in tags]
    events[20_000:20_000] = [scalar("rare", 6667, 1.0), VERSION]
    data = _quickly_framed([event.SerializeToString() for event in events])
    found = {one.tag: one for one in read(data).series}
    assert all(points(found[tag]) == [(step, step + len(tag)) for step in range(8000)] for tag in tags)
    assert points(found["rare"]) == [(6667, 1.0)]
    frames = _tfrecord.Frames(io.BytesIO(data), len(data))
    cycles = {len(frames._cycle) for _ in frames.blocks()}
    assert cycles == {0, 3}  # sought anew where it was left
    damaged = flipped(flipped(data, 500_000), 800_000)
    assert sum(len(one) for one in read(damaged).series) == 24_001 - 2
    assert triples(damaged) <= triples(data)


def _quickly_framed(records: Sequence[bytes]) -> bytes:
    """As `framed`, with our checksums: TensorBoard's take a second a megabyte."""
    lengths = np.array([len(record) for record in records])
    data = np.frombuffer(b"".join(records) + bytes(200), np.uint8)
    crcs = piece_crcs(data, np.cumsum(lengths) - lengths, lengths)
    return b"".join(
        struct.pack("<QI", len(record), length_crc(len(record))) + record + struct.pack("<I", crc)
        for record, crc in zip(records, crcs.tolist(), strict=True)
    )


def test_checksums_of_pieces_are_those_of_tensorboard() -> None:
    random = np.random.default_rng(0)
    lengths = np.array([*range(1, 400), 1000, 4096, 10_007])
    starts = np.cumsum(lengths) - lengths
    data = random.integers(0, 256, int(lengths.sum()) + 200).astype(np.uint8)
    expected = [masked_crc32c(data[a : a + n].tobytes()) for a, n in zip(starts, lengths, strict=True)]
    assert piece_crcs(data, starts, lengths).tolist() == expected


# ---- Which files.


@pytest.mark.parametrize(
    ("name", "data", "known"),
    [
        (SOURCE.name, DATA, True),
        ("renamed.bin", DATA, True),
        (SOURCE.name, flipped(DATA, 2), True),
        (SOURCE.name + ".csv", b"step,loss\n1,0.5\n", False),
        ("1.profile-empty", b"", False),
        ("x.tfevents.1.profile-empty", b"\0", False),
        ("images.tfrecord", framed([b"\x0a\x10" + bytes(16)]), False),
        ("weights.bin", bytes(100), False),
        (SOURCE.name, b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", True),
    ],
)
def test_sniff(name: str, data: bytes, known: bool, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    assert tensorboard.sniff(head_of(tmp_path / name)) == known


def test_files_without_a_record(tmp_path: Path) -> None:
    path = tmp_path / SOURCE.name
    for data, kinds in (
        (framed([VERSION]), []),
        (b"", ["empty"]),
        (b"\x01\x02" * 300, ["corrupt-record"]),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", ["not-fetched"]),
    ):
        path.write_bytes(data)
        [parts] = tensorboard.read(path)
        assert (parts.series, [problem.kind for problem in parts.problems]) == ([], kinds)
    with pytest.raises(FileNotFoundError):
        tensorboard.read(tmp_path / "absent")
