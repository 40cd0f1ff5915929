"""The inert pickle reader: agrees with Python's on plain data, and runs nothing."""

from __future__ import annotations

import collections
import pickle
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gandoctor.readers.pickles import RawArray, Refused, is_pickle, load_inert
from tests.limits import finishes

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(-(10**9), 10**9), inner, max_size=5)
    ),
    max_leaves=20,
)


def value_of(data: bytes) -> Any:
    loaded = load_inert(data)
    assert (loaded.fault, loaded.refused, loaded.end) == ("", (), len(data))
    return loaded.value


@settings(deadline=None)
@given(PLAIN, st.integers(0, 5))
def test_plain_data_is_what_python_reads(tree: object, protocol: int) -> None:
    assert value_of(pickle.dumps(tree, protocol)) == tree


@settings(deadline=None)
@given(PLAIN, st.integers(0, 5), st.data())
def test_no_mutation_raises(tree: object, protocol: int, data: st.DataObject) -> None:
    raw = bytearray(pickle.dumps(tree, protocol))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    loaded = load_inert(bytes(raw))
    assert 0 <= loaded.at <= len(raw)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise(raw: bytes) -> None:
    load_inert(raw)


@pytest.mark.parametrize("protocol", range(6))
def test_numpy(protocol: int) -> None:
    tree = {
        "f4": np.float32(0.5), "f8": np.float64(-2.25), "i8": np.int64(7), "big": np.dtype(">f4").type(1.5),
        "a": np.arange(6, dtype="<f4").reshape(2, 3), "b": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "be": np.arange(3, dtype=">i4"),
    }  # fmt: skip
    read = value_of(pickle.dumps(tree, protocol))
    assert [read[key] for key in ("f4", "f8", "i8", "big")] == [0.5, -2.25, 7, 1.5]
    for key in ("a", "b", "be"):
        assert isinstance(read[key], RawArray)
        np.testing.assert_array_equal(read[key].value(), tree[key])


def test_containers_become_plain() -> None:
    made = collections.defaultdict(list)
    made["d"].append(0.5)
    tree = {
        "o": collections.OrderedDict(a=1),
        "d": made,
        "q": collections.deque([1, 2]),
        "s": {3},
        "b": bytearray(b"x"),
    }
    for protocol in range(6):
        read = value_of(pickle.dumps(tree, protocol))
        assert read == {"o": {"a": 1}, "d": {"d": [0.5]}, "q": [1, 2], "s": [3], "b": b"x"}, protocol


def test_python_2() -> None:
    # What cPickle of Python 2 wrote for {"cost": {0: numpy.float32(0.5)}}, and its own str.
    scalar = (
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
    )
    old = b"(dp1\nS'cost'\np2\n(dp3\nI0\n" + scalar + rb"S'\x00\x00\x00?'" + b"\ntRss."
    assert value_of(old) == {"cost": {0: 0.5}}
    assert value_of(b"\x80\x02U\x04caf\xe9.") == "café"
    ordered = b"ccollections\nOrderedDict\n((lp0\n(lp1\nS'g'\naF0.25\naatR."
    assert value_of(ordered) == {"g": 0.25}


class Evil:
    """What a malicious file would hold."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = (function, args)

    def __reduce__(self) -> Any:
        return self.call


def test_nothing_runs(tmp_path: Any) -> None:
    import os

    flag = tmp_path / "flag"
    for protocol in range(6):
        data = pickle.dumps({"d_loss": [0.5], "x": Evil(os.system, f"touch {flag}")}, protocol)
        loaded = load_inert(data)
        assert loaded.refused == ("posix system",)
        assert loaded.value == {"d_loss": [0.5], "x": Refused("posix system")}
    for data in (
        b"cos\nsystem\n(S'touch %b'\ntR." % str(flag).encode(),
        b"(S'touch %b'\nios\nsystem\n." % str(flag).encode(),
        b"(cos\nsystem\nS'touch %b'\no." % str(flag).encode(),
        b'c__builtin__\neval\n(S\'open("%b","w")\'\ntR.' % str(flag).encode(),
    ):
        assert len(load_inert(data).refused) == 1
    assert not flag.exists()


def test_known_names_cannot_be_bent() -> None:
    # BUILD on a function or dtype would set attributes in Python's own machine.
    for target in (b"cnumpy\ndtype\n", b"ccollections\nOrderedDict\n", b"cos\nsystem\n"):
        load_inert(target + b"(dS'__code__'\nNsb.")
        load_inert(target + b"N(dS'__defaults__'\nNs\x86b.")
    assert value_of(pickle.dumps({"a": np.float32(0.5)})) == {"a": 0.5}


@pytest.mark.parametrize(
    "code", [b"\x82\x01", b"\x83\x01\x00", b"\x84\x01\x00\x00\x00", b"Pabc\n", b"NQ", b"\x97"]
)
def test_what_lies_outside_is_refused(code: bytes) -> None:
    loaded = load_inert(b"]" + code + b"a.")
    assert len(loaded.refused) == 1
    assert loaded.fault == ""


def quick(data: bytes) -> Any:
    with finishes():
        return load_inert(data)


def test_bombs() -> None:
    assert quick(b"\x80\x02}r\xff\xff\xff\x7f.").fault == ""  # a memo slot of 2**31 in C's machine: 16 GB
    assert "ends early" in quick(b"\x80\x04\x8e" + b"\xff" * 8 + b"abc").fault  # claims 2**64 bytes
    assert "ends early" in quick(b"\x80\x05\x96" + struct.pack("<Q", 2**40)).fault
    assert "bytes" in quick(b"\x8b" + struct.pack("<i", 5000) + b"\x01" * 5000 + b".").fault
    assert quick(b"I" + b"9" * 100_000 + b"\n.").fault != ""
    assert quick(b"(" * 300_000).fault != ""
    assert quick(b"]" * 300_000 + b"a" * 299_999 + b".").fault == ""  # lists in lists
    deep_key = b"}" + b")" + b"\x85" * 300_000 + b"Ns."  # to hash such a key overflows C's stack
    assert quick(deep_key).value == {}
    colliding = b"".join(
        b"\x8a\x0b" + (i * (2**61 - 1)).to_bytes(11, "little") + b"N" for i in range(1, 20_000)
    )
    assert quick(b"}(" + colliding + b"u.").value == {}
    laughs = b"](q\x00" + b"".join(b"](" + b"h\x00" * 50 + b"eq\x00" for _ in range(200)) + b"e."
    quick(laughs)
    copies = b"ccollections\ndeque\nq\x00](" + b"N" * 100_000 + b"e\x85q\x01" + b"h\x00h\x01R" * 20_000 + b"."
    assert "over and over" in quick(copies).fault


def test_a_cut_pickle_gives_what_stood_before() -> None:
    tree = {"d": {i: i / 4 for i in range(3000)}, "g": [float(i) for i in range(3000)]}
    for protocol in range(6):
        data = pickle.dumps(tree, protocol)
        loaded: Any = load_inert(data[: len(data) // 2])
        assert "ends early" in loaded.fault
        d = {key: value for key, value in loaded.value["d"].items() if value is not None}
        assert len(d) > 500
        assert all(value == key / 4 for key, value in d.items())


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 5), st.floats(0, 1))
def test_a_cut_pickle_tells_no_lies(protocol: int, share: float) -> None:
    tree: dict[str, Any] = {"d": {i: i / 4 for i in range(40)}, "g": [float(i) for i in range(40)]}
    data = pickle.dumps(tree, protocol)
    value = load_inert(data[: int(share * len(data))]).value
    if isinstance(value, dict):
        assert all(v == k / 4 for k, v in value.get("d", {}).items())
        assert value.get("g", []) == tree["g"][: len(value.get("g", []))]


def test_arrays_that_do_not_fit_their_bytes() -> None:
    whole = pickle.dumps(np.arange(4.0), 2)
    for shape in (b"K\x05", b"K\x03", b"J\xff\xff\xff\xff"):
        array = load_inert(whole.replace(b"K\x04\x85", shape + b"\x85")).value
        assert isinstance(array, RawArray)
        assert array.value() is None
    assert value_of(pickle.dumps(np.array([{"d": 1.5}, None], object))).value() == [{"d": 1.5}, None]
    strings = value_of(pickle.dumps(np.array(["a", "b"])))
    assert strings.value() is None


def test_recognised() -> None:
    tree = {"d_loss": [0.5, 1.0]}
    assert all(is_pickle(pickle.dumps(tree, protocol)) for protocol in range(6))
    for data in (b"", b"{}", b"(1, 2)", b"\x80abc", b"PK\x03\x04", b"loss: 0.5\n", b"]]>", b"(deprecated)"):
        assert not is_pickle(data)
