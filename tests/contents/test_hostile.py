"""Checkpoints that attack: nothing runs, nothing large is allocated, and the message is clear."""

from __future__ import annotations

import gc
import json
import os
import pickle
import struct
import sys
import tracemalloc
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gandoctor.contents import _arrays, _torch, _unpickle
from gandoctor.contents.checkpoint import Inert, Tensor, Unreadable, open_checkpoint
from gandoctor.contents.tensors import tensor_stats
from tests.contents.hostile import TARGETS, WRAPPED, calls, text, torch_zip, write_sparse
from tests.contents.trees import tensors_of
from tests.limits import finishes

FORMATS = pytest.mark.parametrize("format", ["torch", "torch-legacy", "pickle"])
_events: list[str] = []
_watching: list[bool] = []


def _hook(event: str, args: tuple[object, ...]) -> None:
    if _watching:
        _events.append(f"import {args[0]}" if event == "import" else event)


@contextmanager
def nothing_runs() -> Iterator[None]:
    """Python's audit events (PEP 578) in here are those of reading a file."""
    if not hasattr(nothing_runs, "hooked"):
        sys.addaudithook(_hook)
        nothing_runs.hooked = True  # type: ignore[attr-defined]
        for codec in ("cp437", "raw-unicode-escape"):  # Python imports its own when they are first used
            b"x".decode(codec)
    _events.clear()
    gc.disable()  # what is collected elsewhere has events of its own
    _watching.append(True)
    try:
        yield
    finally:
        _watching.clear()
        gc.enable()
    assert set(_events) <= {"open", "builtins.id"}, _events


@contextmanager
def cheap(megabytes: float = 24) -> Iterator[None]:
    """In here little memory is taken, and the work ends."""
    tracemalloc.start()
    try:
        with finishes():
            yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < megabytes * 1e6, f"{peak / 1e6:.0f} MB"


def opened(tmp_path: Path, data: bytes, format: str) -> Any:
    path = tmp_path / "checkpoint"
    path.write_bytes(data)
    return open_checkpoint(path, format)


def walked(tree: object) -> int:
    """Use every tensor of a tree; each gives numbers or says why not."""
    count = 0
    for _, tensor in tensors_of(tree):
        count += 1
        try:
            if tensor.size < 1_000_000:
                tensor.array()
                tensor_stats(tensor)
        except Unreadable as wrong:
            assert str(wrong)  # noqa: PT017
    return count


# -- Code.


@FORMATS
@pytest.mark.parametrize(
    ("module", "name", "args"), TARGETS, ids=lambda one: one if isinstance(one, str) else ""
)
def test_nothing_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str, module: str, name: str, args: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    for way, program in calls(module, name, args):
        data = WRAPPED[format](b"\x80\x04" + program + b".")
        with nothing_runs():
            tree = opened(tmp_path, data, format)
            walked(tree)
        if way == "REDUCE" and (module, name) not in _unpickle._KNOWN:
            assert isinstance(tree, Inert), way
            assert (tree.module, tree.name) == (module, name)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_a_chain_of_getattr(tmp_path: Path) -> None:
    program = (
        b"cbuiltins\ngetattr\n(cbuiltins\n__import__\n("
        + text("os")
        + b"tR"
        + text("system")
        + b"tR("
        + text("id")
        + b"tR."
    )
    for format, wrap in WRAPPED.items():
        with nothing_runs():
            tree = opened(tmp_path, wrap(b"\x80\x02" + program), format)
        assert isinstance(tree, Inert)
        assert tree.args == ("id",)


class Attack:
    def __reduce__(self) -> Any:
        return os.system, ("touch written",)


@pytest.mark.parametrize("protocol", range(6))
def test_reduce_in_a_real_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: int) -> None:
    monkeypatch.chdir(tmp_path)
    program = pickle.dumps({"a": [1, Attack()], "step": 5}, protocol)
    for format, wrap in WRAPPED.items():
        with nothing_runs():
            tree = opened(tmp_path, wrap(program), format)
        assert tree["step"] == 5
        assert tree["a"][1].args == ("touch written",)
    assert not (tmp_path / "written").exists()


@pytest.mark.parametrize(
    "opcode", [b"\x82\x01", b"\x83\x01\x00", b"\x84\x01\x00\x00\x00", b"Pos.system\n", b"\x97", b"K\x01Q"]
)
def test_what_lies_outside_the_pickle(tmp_path: Path, opcode: bytes) -> None:
    with nothing_runs():
        assert isinstance(opened(tmp_path, b"\x80\x04" + opcode + b".", "pickle"), Inert)


def test_stylegans_source_code_is_not_run(tmp_path: Path) -> None:
    source = (
        text("module_src")
        + text("open('written', 'w')")
        + text("class_name")
        + text("G")
        + text("state")
        + b"}"
    )
    program = b"\x80\x02ctorch_utils.persistence\n_reconstruct_persistent_obj\n(}(" + source + b"utR."
    with nothing_runs():
        tree = opened(tmp_path, program, "pickle")
    assert (tree.name, tree.state) == ("G", {})


# -- Bombs.


@FORMATS
@pytest.mark.parametrize(
    "program",
    [
        b"]r\xff\xff\xff\xff.",  # a memo of 2**32 slots
        b"]p" + b"9" * 4000 + b"\n.",
        b"(((" + text("lol") + b"2" * 9 + b"l" + b"2" * 9 + b"l" + b"2" * 9 + b"l.",
        b"]q\x00"
        + b"".join(b"]q%c(%se" % (i + 1, b"h%c" % i * 9) for i in range(60))
        + b".",  # billion laughs
        b")q\x00" + b"".join(b"(%stq%c" % (b"h%c" % i * 9, i + 1) for i in range(60)) + b"}h\x3cK\x01s.",
        b"]q\x00(h\x00e.",  # holds itself
        b"cx\ny\n)R}q\x00" + text("a") + b"h\x00sb.",
        b"X\xff\xff\xff\xff.",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff.",
        b"\x8b\xff\xff\xff\x7f1.",
        b"I" + b"9" * 5000 + b"\n.",
        b"F1e999999\n.",
        b"]q\x00(" + b"K\x01" * 1000 + b"e" + b"cbuiltins\nlist\nh\x00\x85R0" * 20000 + b".",
    ],
    ids=range(14),
)
def test_bombs(tmp_path: Path, format: str, program: bytes) -> None:
    with nothing_runs(), cheap():
        try:
            walked(opened(tmp_path, WRAPPED[format](b"\x80\x04" + program), format))
        except Unreadable as wrong:
            assert wrong.place.startswith("byte ")  # noqa: PT017


@FORMATS
@pytest.mark.parametrize("opcodes", [b"](", b"}(K\x01", b"\x85"], ids=["lists", "dicts", "tuples"])
def test_deep_nesting(tmp_path: Path, format: str, opcodes: bytes) -> None:
    depth = 30_000
    program = {
        b"](": b"](" * depth + b"e" * depth,
        b"}(K\x01": b"}(K\x01" * depth + b"Nu" + b"u" * (depth - 1),
        b"\x85": b")" + b"\x85" * depth,
    }[opcodes]
    with nothing_runs(), cheap(120):
        tree = opened(tmp_path, WRAPPED[format](b"\x80\x04" + program + b"."), format)
        assert walked(tree) == 0
        del tree


def test_deep_nesting_of_objects(tmp_path: Path) -> None:
    program = b"cx\nY\n)R" * 50_000 + b"b" * 49_999 + b"."
    tree = opened(tmp_path, b"\x80\x04" + program, "pickle")
    assert walked(tree) == 0


def test_keys_that_take_long_to_hash(tmp_path: Path) -> None:
    laughs = b")q\x00" + b"".join(b"(%stq%c" % (b"h%c" % i * 9, i + 1) for i in range(60))
    colliding = b"".join(
        b"\x8a\x0a" + ((2**61 - 1) * i + 2**60).to_bytes(10, "little") + b"N" for i in range(20_000)
    )
    with cheap():
        assert opened(tmp_path, b"\x80\x02" + laughs + b"0}h\x3cNs.", "pickle") == {}
        assert opened(tmp_path, b"\x80\x02}(" + colliding + b"u.", "pickle") == {}


def test_empty_containers_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_unpickle, "_MAX_OPERATIONS", 10_000)
    path = tmp_path / "x"
    path.write_bytes(b"\x80\x04" + b"}" * 60_000)
    with pytest.raises(Unreadable, match="byte 10001: more than 10,000 operations"):
        open_checkpoint(path, "pickle")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_bomb(tmp_path: Path, method: int) -> None:
    zeros = bytes(80 << 20)
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", method) as archive:
        archive.writestr("archive/data.pkl", zeros)
    del zeros
    with cheap(), pytest.raises(Unreadable, match=r"at most 64 MB|compressed"):
        open_checkpoint(tmp_path / "bomb.pt", "torch")


def test_compressed_storage(tmp_path: Path) -> None:
    program = tensor_program(4, 0, (4,), (1,))
    tree = (
        opened(tmp_path, torch_zip(program, {"0": bytes(16)}, zipfile.ZIP_DEFLATED), "torch")
        if False
        else None
    )
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/data/0", bytes(16), zipfile.ZIP_DEFLATED)
    tree = open_checkpoint(tmp_path / "x.pt", "torch")
    assert isinstance(tree, Tensor)
    assert "compressed" in tree.problem


def test_a_large_pickle_in_the_archive(tmp_path: Path) -> None:
    data = bytearray(torch_zip(b"N."))
    for signature, at in ((b"PK\x03\x04", 18), (b"PK\x01\x02", 20)):
        where = data.index(signature) + at
        data[where : where + 8] = struct.pack("<II", 100 << 20, 100 << 20)
    with cheap(), pytest.raises(Unreadable, match="64 MB"):
        opened(tmp_path, bytes(data), "torch")


def test_a_large_directory(tmp_path: Path) -> None:
    size = 1 << 30
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65_535, 65_535, size - 22 - 4, 4, 0)
    write_sparse(tmp_path / "x.pt", size, b"PK\x03\x04", end)
    with cheap(), pytest.raises(Unreadable, match="zip archive"):
        open_checkpoint(tmp_path / "x.pt", "torch")


def test_names_that_climb(tmp_path: Path) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    for root in ("..", "/etc", "../.."):
        with zipfile.ZipFile(folder / "x.pt", "w") as archive:
            archive.writestr(f"{root}/data.pkl", tensor_program(4, 0, (4,), (1,), key="../../passwd"))
            archive.writestr(f"{root}/data/../../passwd", bytes(16))
        try:
            walked(open_checkpoint(folder / "x.pt", "torch"))
        except Unreadable as wrong:
            assert "data.pkl" in wrong.message  # noqa: PT017
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["inside", "x.pt"]


def test_wrong_checksum(tmp_path: Path) -> None:
    data = bytearray(torch_zip(b"\x80\x02K\x01."))
    where = data.index(b"PK\x01\x02") + 16
    data[where] ^= 0xFF
    with pytest.raises(Unreadable, match=r"archive/data\.pkl: its checksum is wrong"):
        opened(tmp_path, bytes(data), "torch")


def test_streams_in_streams(tmp_path: Path) -> None:
    inner = WRAPPED["torch-legacy"](b"\x80\x02K\x05.")
    for _ in range(5):
        inner = WRAPPED["torch-legacy"](
            b"\x80\x02ctorch.storage\n_load_from_bytes\nB" + struct.pack("<I", len(inner)) + inner + b"\x85R."
        )
    with nothing_runs(), cheap():
        assert isinstance(opened(tmp_path, inner, "torch-legacy"), Inert)
    once = WRAPPED["torch-legacy"](b"\x80\x02]" + b"K\x05a" * 20_000 + b".")
    program = (
        b"\x80\x03B"
        + struct.pack("<I", len(once))
        + once
        + b"q\x00"
        + b"0ctorch.storage\n_load_from_bytes\nh\x00\x85R" * 2_000
        + b"."
    )
    with cheap():
        assert len(opened(tmp_path, program, "pickle")) == 20_000


# -- Tensors that are not what they say.


def number(value: object) -> bytes:
    """The opcodes that push one value."""
    return pickle.dumps(value, 2)[2:-1].replace(b"q\x00", b"").replace(b"q\x01", b"")


def tensor_program(
    numel: object,
    offset: object,
    size: object,
    stride: object,
    key: object = "0",
    kind: str = "FloatStorage",
    version: str = "2",
) -> bytes:
    """A pickle of one tensor."""
    storage = (
        b"("
        + text("storage")
        + f"ctorch\n{kind}\n".encode()
        + number(key)
        + text("cpu")
        + number(numel)
        + b"tQ"
    )
    arguments = (
        storage + number(offset) + number(size) + number(stride) + b"\x89ccollections\nOrderedDict\n)R"
    )
    return b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"tR."


BAD_VIEWS = [
    (6, 4, (3,), (1,)),  # one element beyond
    (6, 0, (2, 3), (4, 1)),
    (6, -1, (2,), (1,)),
    (6, 2**63, (2,), (1,)),
    (6, 0, (2, 2), (-1, 1)),
    (6, 0, (2, 2), (2**62, 1)),
    (6, 0, (2, 2), (2**200, 1)),
    (6, 0, (10**15,), (1,)),
    (6, 0, (10**15,), (0,)),  # shows one element 10**15 times
    (6, 0, (10**8, 10**7), (0, 0)),
    (6, 0, (2**40 + 1, 0), (0, 0)),
    (6, 0, (-2,), (1,)),
    (6, 0, (-2, -3), (1, 1)),
    (6, 0, (2.0,), (1,)),
    (6, 0, ("2",), (1,)),
    (6, 0, (True,), (1,)),
    (6, 0, (None,), (1,)),
    (6, 0, (2, 3), (3,)),
    (6, 0, (1,) * 65, (1,) * 65),
    (10**15, 0, (10**15,), (1,)),  # the entry is shorter
    (10**15, 0, (2,), (1,)),
    (-6, 0, (2,), (1,)),
    ("6", 0, (2,), (1,)),
    (True, 0, (2,), (1,)),
    (6, "0", (2,), (1,)),
    (6, None, (2,), (1,)),
]


@pytest.mark.parametrize("view", BAD_VIEWS, ids=str)
def test_views_outside_the_storage(tmp_path: Path, view: tuple[Any, ...]) -> None:
    with cheap():
        tree = opened(tmp_path, torch_zip(tensor_program(*view), {"0": bytes(24)}), "torch")
        assert isinstance(tree, Tensor)
        assert tree.problem
        for use in (tree.array, lambda: list(tree.chunks()), lambda: tensor_stats(tree)):
            with pytest.raises(Unreadable, match=r"."):
                use()
        assert repr(tree)
        assert tree.nbytes >= 0


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [
        ((), (), 0),
        ((1, 1), (2**70, 5), 5),
        ((0, 7), (2**70, 5), 2**30),
        ((3,), (2,), 1),
        ((4, 2), (0, 1), 4),
        ((6,), (1,), 0),
    ],
)
def test_views_inside_the_storage(tmp_path: Path, size: Any, stride: Any, offset: int) -> None:
    data = np.arange(6, dtype="<f4")
    tree = opened(
        tmp_path, torch_zip(tensor_program(6, offset, size, stride), {"0": data.tobytes()}), "torch"
    )
    assert tree.problem == ""
    assert tree.array().shape == size
    assert tensor_stats(tree).n == tree.size


@pytest.mark.parametrize("size", [[2], 2, None, "2"])
def test_arguments_of_other_types(tmp_path: Path, size: Any) -> None:
    assert isinstance(opened(tmp_path, torch_zip(tensor_program(6, 0, size, (1,))), "torch"), Inert)


def test_storages_that_are_not_there(tmp_path: Path) -> None:
    good = tensor_program(6, 0, (6,), (1,))[2:-1]
    missing = tensor_program(6, 0, (6,), (1,), key="7")[2:-1]
    strange = tensor_program(6, 0, (6,), (1,), kind="OddStorage")[2:-1]
    program = b"\x80\x02](" + good + missing + strange + b"e."
    tree = opened(tmp_path, torch_zip(program, {"0": bytes(24)}), "torch")
    assert tree[0].array().tolist() == [0] * 6
    assert tree[1].problem == "its data are not in the file"
    assert "OddStorage" in tree[2].problem or "Odd" in tree[2].problem


def array_program(shape: object, code: str, data: bytes, order: str = "<") -> bytes:
    kind = (
        b"cnumpy\ndtype\n("
        + text(code)
        + b"\x89\x88tR(K\x03"
        + text(order)
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR"
    return (
        b"\x80\x03" + made + b"(K\x01" + number(shape) + kind + b"\x89C" + bytes([len(data)]) + data + b"tb."
    )


@pytest.mark.parametrize(
    ("shape", "code"),
    [
        ((10**15,), "f4"),
        ((-1,), "f4"),
        ((2,), "V1000000000"),
        ((2,), "O8"),
        ((2,), "f4,f4"),
        ((2,), "U2"),
        ((2,), "M8[ns]"),
        ((1,) * 40, "f4"),
        ("x", "f8"),
        ((2**62, 4), "f4"),
    ],
)
def test_arrays_that_are_not_what_they_say(tmp_path: Path, shape: Any, code: str) -> None:
    with cheap():
        tree = opened(tmp_path, array_program(shape, code, bytes(4)), "pickle")
        assert isinstance(tree, Tensor)
        assert tree.problem


def test_an_array_as_it_should_be(tmp_path: Path) -> None:
    tree = opened(tmp_path, array_program((2,), "f4", np.array([1, 2], ">f4").tobytes(), ">"), "pickle")
    assert tree.array().tolist() == [1, 2]


# -- safetensors and npz.


def tensors_file(header: object, data: bytes = bytes(16), length: int | None = None) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(raw) if length is None else length).to_bytes(8, "little") + raw + data


@pytest.mark.parametrize(
    "data",
    [
        tensors_file(b"{}", length=2**63),
        tensors_file(b"{}", length=2**64 - 1),
        tensors_file(b"{}", length=100_000_000),
        tensors_file(b"[" * 100_000 + b"]" * 100_000),
        tensors_file(b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
        tensors_file(b"[]"),
        tensors_file(b"{"),
        tensors_file(b"\xff\xfe"),
        tensors_file(b'{"a": ' + b"9" * 5000 + b"}"),
        b"\0" * 7,
        b"{",
    ],
    ids=range(11),
)
def test_safetensors_headers(tmp_path: Path, data: bytes) -> None:
    with cheap(), pytest.raises(Unreadable, match=r"byte|ends"):
        opened(tmp_path, data, "safetensors")


@pytest.mark.parametrize(
    "info",
    [
        {"dtype": "F32", "shape": [6], "data_offsets": [0, 24]},
        {"dtype": "F32", "shape": [4], "data_offsets": [0, 12]},
        {"dtype": "F32", "shape": [4], "data_offsets": [16, 0]},
        {"dtype": "F32", "shape": [4], "data_offsets": [-16, 0]},
        {"dtype": "F32", "shape": [10**15], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [10**15], "data_offsets": [0, 4 * 10**15]},
        {"dtype": "F32", "shape": [-2, -2], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [4.0], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": ["4"], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": 4, "data_offsets": [0, 16]},
        {"dtype": ["F32"], "shape": [4], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [4]},
        {},
        [],
        None,
        5,
        {"dtype": "F32", "shape": [4], "data_offsets": [True, 16]},
        {"dtype": "O", "shape": [4], "data_offsets": [0, 16]},
    ],
    ids=str,
)
def test_safetensors_entries(tmp_path: Path, info: Any) -> None:
    good = {"dtype": "F32", "shape": [1], "data_offsets": [16, 20]}
    with cheap():
        tree = opened(tmp_path, tensors_file({"bad": info, "good": good}, bytes(20)), "safetensors")
        assert tree["bad"].problem
        with pytest.raises(Unreadable, match=r"."):
            tree["bad"].array()
    assert tree["good"].array().tolist() == [0]


def test_safetensors_that_overlap(tmp_path: Path) -> None:
    header = {
        name: {"dtype": "F32", "shape": [2], "data_offsets": [at, at + 8]}
        for name, at in (("a", 0), ("b", 4), ("c", 12))
    }
    tree = opened(tmp_path, tensors_file(header, bytes(20)), "safetensors")
    assert (tree["a"].problem, tree["c"].problem) == ("", "")
    assert tree["b"].problem == "its bytes overlap those of a"


def npy(header: str, data: bytes = bytes(16)) -> bytes:
    raw = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(raw)) + raw + data


@pytest.mark.parametrize(
    "content",
    [
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000000,), }"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-4,), }"),
        npy("{'descr': '<f4', 'fortran_order': True, 'shape': (-4, -4), }"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (True,), }"),
        npy("{'descr': '|O', 'fortran_order': False, 'shape': (4,), }", b"cos\nsystem\n(S'id'\ntR."),
        npy("__import__('os').system('id')"),
        npy("{'descr': '<f4'" + "," * 30_000),
        npy("(" * 60_000),
        npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4,), }"),
        b"",
        b"\x93NUMPY",
        b"x" * 100,
        npy("{'descr': '|V1000000000', 'fortran_order': False, 'shape': (4,), }"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (5,), }"),
    ],
    ids=range(14),
)
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_arrays_in_archives(tmp_path: Path, content: bytes, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w", method) as archive:
        archive.writestr("bad.npy", content)
        archive.writestr("good.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }"))
    with cheap():
        tree: Any = open_checkpoint(tmp_path / "x.npz", "npz")
        assert tree["bad"].problem
        assert tree["good"].array().tolist() == [0] * 4


def test_an_archive_that_inflates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_arrays, "_MAX_INFLATED", 30 << 20)
    with (
        zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("w.npy", "w", force_zip64=True) as entry,
    ):
        entry.write(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (262144, 40), }", b""))
        for _ in range(40):
            entry.write(bytes(1 << 20))
    with cheap():
        tree: Any = open_checkpoint(tmp_path / "x.npz", "npz")
        with pytest.raises(Unreadable, match="compressed array of"):
            tree["w"].array()


# -- Cut, half-written and damaged files.


def real(kind: str, tmp_path: Path) -> tuple[bytes, dict[str, Any]]:
    torch = pytest.importorskip("torch")
    arrays = {f"w{i}": np.random.default_rng(i).standard_normal((20, 7)).astype("f4") for i in range(4)}
    path = tmp_path / "real"
    if kind.startswith("torch"):
        torch.save(
            {k: torch.from_numpy(v) for k, v in arrays.items()},
            path,
            _use_new_zipfile_serialization=kind == "torch",
        )
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(arrays))
    elif kind == "npz":
        np.savez(path.with_suffix(".npz"), **arrays)
        path = path.with_suffix(".npz")
    else:
        header = {
            k: {"dtype": "F32", "shape": [20, 7], "data_offsets": [i * 560, (i + 1) * 560]}
            for i, k in enumerate(arrays)
        }
        path.write_bytes(tensors_file(header, b"".join(v.tobytes() for v in arrays.values())))
    return path.read_bytes(), arrays


KINDS = pytest.mark.parametrize("kind", ["torch", "torch-legacy", "pickle", "npz", "safetensors"])


@KINDS
def test_cut_files(tmp_path: Path, kind: str) -> None:
    data, arrays = real(kind, tmp_path)
    kept = 0
    for length in [*range(0, len(data), max(1, len(data) // 60)), len(data) - 1]:
        try:
            tree = opened(tmp_path, data[:length], kind)
        except Unreadable as wrong:
            assert wrong.message  # noqa: PT017
            continue
        for name, tensor in tensors_of(tree):
            try:
                found = tensor.array()
            except Unreadable as wrong:
                assert wrong.message  # noqa: PT017
                continue
            np.testing.assert_array_equal(found, arrays[name])
            kept += 1
    assert kept > 0 or kind in ("torch", "npz", "pickle")  # whose directory, or whole, stands at the end


@KINDS
@settings(deadline=None, max_examples=60)
@given(changes=st.data())
def test_damaged_files(tmp_path_factory: pytest.TempPathFactory, kind: str, changes: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    raw = bytearray(real(kind, folder)[0])
    for _ in range(changes.draw(st.integers(1, 4))):
        raw[changes.draw(st.integers(0, len(raw) - 1))] = changes.draw(st.integers(0, 255))
    try:
        walked(opened(folder, bytes(raw), kind))
    except Unreadable as wrong:
        assert wrong.message  # noqa: PT017


@settings(deadline=None, max_examples=200)
@given(changes=st.data())
def test_damaged_pickles_with_a_right_checksum(
    tmp_path_factory: pytest.TempPathFactory, changes: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    program = bytearray(
        array_program((2,), "f4", bytes(8))[:-1] + b"0" + tensor_program(6, 1, (2, 2), (2, 1))[2:]
    )
    for _ in range(changes.draw(st.integers(1, 6))):
        program[changes.draw(st.integers(2, len(program) - 1))] = changes.draw(st.integers(0, 255))
    for format, wrap in WRAPPED.items():
        try:
            walked(opened(folder, wrap(bytes(program)), format))
        except Unreadable as wrong:
            assert wrong.message  # noqa: PT017


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200), st.sampled_from(["torch", "torch-legacy", "pickle", "npz", "safetensors"]))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes, kind: str) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    for start in (b"", b"\x80\x02", b"PK\x03\x04", _torch.LEGACY_START):
        try:
            walked(opened(folder, start + data, kind))
        except Unreadable as wrong:
            assert wrong.message  # noqa: PT017


@KINDS
def test_no_file(tmp_path: Path, kind: str) -> None:
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    for path, why in (
        (tmp_path / "empty", "empty"),
        (tmp_path / "missing", "no such file"),
        (tmp_path, "not a regular"),
        (tmp_path / "pipe", "not a regular"),
    ):
        with pytest.raises(Unreadable, match=why):
            open_checkpoint(path, kind)


@pytest.mark.parametrize("kind", ["torch", "torch-legacy", "npz", "safetensors"])
@pytest.mark.parametrize("change", ["shorter", "longer", "gone", "anew"])
def test_a_file_that_a_job_overwrites(tmp_path: Path, kind: str, change: str) -> None:
    data, _ = real(kind, tmp_path)
    tree = opened(tmp_path, data, kind)
    path = tmp_path / "checkpoint"
    if change == "gone":
        path.unlink()
    elif change == "anew":
        (tmp_path / "new").write_bytes(data)
        (tmp_path / "new").replace(path)
    else:
        path.write_bytes(data[:100] if change == "shorter" else data + bytes(10))
    for _, tensor in tensors_of(tree):
        with pytest.raises(Unreadable, match=r"written to|No such file"):
            tensor.array()
        with pytest.raises(Unreadable, match=r"written to|No such file"):
            tensor_stats(tensor)


@pytest.mark.parametrize("kind", ["torch-legacy", "pickle"])
def test_pages_of_any_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    data, arrays = real(kind, tmp_path)
    for page in (1, 7, 64, 1 << 20):
        monkeypatch.setattr(_unpickle, "_PAGE", page)
        monkeypatch.setattr(_unpickle, "_KEPT_IN_FILE", 100)
        for name, tensor in tensors_of(opened(tmp_path, data, kind)):
            np.testing.assert_array_equal(tensor.array(), arrays[name])
        with pytest.raises(Unreadable, match="ends early"):
            opened(tmp_path, data[:50], kind)


def test_a_large_sparse_file(tmp_path: Path) -> None:
    write_sparse(tmp_path / "x", 1 << 36, _torch.LEGACY_START + b"\x6a\xa8P\x19.")
    with cheap(), pytest.raises(Unreadable, match=r"byte 1\d: "):
        open_checkpoint(tmp_path / "x", "torch-legacy")
    header = json.dumps({"w": {"dtype": "F32", "shape": [1 << 33], "data_offsets": [0, 1 << 35]}}).encode()
    write_sparse(tmp_path / "y", 1 << 36, len(header).to_bytes(8, "little") + header)
    with cheap(), pytest.raises(Unreadable, match="bytes of memory"):
        open_checkpoint(tmp_path / "y", "safetensors")["w"].array()  # type: ignore[index]
