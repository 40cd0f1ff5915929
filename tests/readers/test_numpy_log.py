"""NumPy files: tables of losses are read, data is left alone, headers are not trusted."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gandoctor.readers.head import head_of
from gandoctor.readers.numpy_log import read, sniff
from gandoctor.run import RunParts, Unit

CORPUS = Path(__file__).parents[2] / "../shared/corpus"


def saved(folder: Path, name: str, array: Any) -> Path:
    np.save(folder / name, array, allow_pickle=True)
    return folder / name


def with_header(path: Path, header: str, data: bytes) -> Path:
    text = header.encode("latin-1") + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data)
    return path


def read_one(path: Path) -> RunParts:
    [parts] = read(path)
    return parts


def columns(path: Path) -> dict[str, list[float]]:
    parts = read_one(path)
    assert parts.problems == []
    return {one.tag: one.values.tolist() for one in parts.series}


def test_one_column(tmp_path: Path) -> None:
    for dtype in ("<f8", ">f4", "<f2"):
        path = saved(tmp_path, "d_losses.npy", np.array([0.5, np.inf, -1.0], dtype))
        assert sniff(head_of(path))
        [series] = read_one(path).series
        assert series.values.tolist() == [0.5, np.inf, -1.0]
        assert (series.tag, series.unit, series.steps.tolist()) == ("d_losses", Unit.RECORD, [0, 1, 2])
    assert columns(saved(tmp_path, "g.npy", np.ones((2, 1)))) == {"g": [1.0, 1.0]}


def test_narrow_tables(tmp_path: Path) -> None:
    table = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    wanted = {"losses[0]": [1.0, 3.0, 5.0], "losses[1]": [2.0, 4.0, 6.0]}
    for array in (table, np.asfortranarray(table), table.T):
        path = saved(tmp_path, "losses.npy", array)
        assert sniff(head_of(path))
        assert columns(path) == wanted


def test_structured(tmp_path: Path) -> None:
    array = np.array([(10, 0.5, b"a"), (20, 1.5, b"b")], [("step", "i4"), ("d", "f4"), ("note", "S1")])
    path = saved(tmp_path, "x.npy", array)
    assert sniff(head_of(path))
    [series] = read_one(path).series
    assert (series.tag, series.steps.tolist(), series.values.tolist()) == ("d", [10, 20], [0.5, 1.5])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_archive(tmp_path: Path, save: Any) -> None:
    path = tmp_path / "out.npz"
    save(
        path,
        d=np.arange(4.0),
        g=np.ones(2),
        iteration=np.array([0, 10, 20, 30]),
        images=np.ones((2, 8, 8, 3)),
    )
    assert sniff(head_of(path))
    parts = read_one(path)
    assert parts.problems == []
    assert {one.tag: one.steps.tolist() for one in parts.series} == {"d": [0, 10, 20, 30], "g": [0, 1]}


def test_objects_are_read_as_data(tmp_path: Path) -> None:
    history = {"d_loss": [0.5] * 5000, "g_loss": [1.0] * 5000}
    path = saved(tmp_path, "training.npy", history)
    assert sniff(head_of(path))
    assert columns(path) == history
    ragged = np.array([[0.5, 1.0], [1.5, 2.0, 2.5]], object)
    assert columns(saved(tmp_path, "x.npy", ragged)) == {"x[0]": [0.5, 1.0], "x[1]": [1.5, 2.0, 2.5]}
    np.savez(tmp_path / "h.npz", history=np.array(history, object))
    assert columns(tmp_path / "h.npz") == history
    parts = read_one(saved(tmp_path, "losses.npy", np.array([Path("x")], object)))
    assert [problem.kind for problem in parts.problems] == ["refused-global"]


def test_data_is_left_alone(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {
        "images.npy": np.zeros((4, 8, 8, 3)), "out.npy": np.zeros((4, 3, 8, 8)), "fixed_z.npy": np.zeros(100),
        "x_train.npy": np.zeros((10, 784)), "y.npy": np.zeros(10, int), "points.npy": np.zeros((50, 2)),
        "moons.npy": np.zeros((50, 2)), "scalar.npy": np.float64(1), "empty.npy": np.zeros(0),
        "bools.npy": np.zeros(5, bool), "words.npy": np.array(["a"]), "c.npy": np.zeros(5, complex),
        "names.npy": np.array(["a", None], object),
    }  # fmt: skip
    for name, array in arrays.items():
        saved(tmp_path, name, array)
    np.savez(tmp_path / "inception.npz", mu=np.zeros(2048), sigma=np.zeros((2048, 2048)))
    np.savez(tmp_path / "snapshot.npz", allow_pickle=False, **{"updater/model:main/l1/b": np.zeros(5)})
    np.savez(tmp_path / "img.npz", np.zeros((4, 8, 8, 3)))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("loss.txt", "0.5")
    assert [path.name for path in tmp_path.iterdir() if sniff(head_of(path))] == []


def test_cut(tmp_path: Path) -> None:
    path = saved(tmp_path, "d.npy", np.arange(1000.0))
    path.write_bytes(path.read_bytes()[:-1203])
    parts = read_one(path)
    assert parts.series[0].values.tolist() == list(range(849))
    assert [(p.kind, p.message) for p in parts.problems] == [
        ("truncated", "1,000 rows in the header, 849 in the file")
    ]
    path = saved(tmp_path, "losses.npy", np.asfortranarray(np.ones((100, 2))))
    path.write_bytes(path.read_bytes()[:-8])
    assert (read_one(path).series, read_one(path).problems[0].kind) == ([], "truncated")
    np.savez(tmp_path / "l.npz", d=np.ones(3))
    (tmp_path / "l.npz").write_bytes((tmp_path / "l.npz").read_bytes()[:-30])
    assert read_one(tmp_path / "l.npz").problems[0].kind == "unreadable"


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (9999999,), }", "truncated"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }", "too-large"),
        (
            "{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 4611686018427387904), }",
            "corrupt",
        ),
        (
            "{'descr': [('a', '|V999999999'), ('b', '<f8')], 'fortran_order': False, 'shape': (9, ), }",
            "too-large",
        ),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }", "corrupt"),
        ("{'descr': '|V0', 'fortran_order': False, 'shape': (3,), }", "corrupt"),
        ("{'descr': '(9,9)f8', 'fortran_order': False, 'shape': (3,), }", "corrupt"),
        ("{'descr': [('a', [('b', '<f8')])], 'fortran_order': False, 'shape': (3,), }", "corrupt"),
        ("{'descr': __import__('os').system('false'), 'fortran_order': False, 'shape': (3,)}", "corrupt"),
        ("{'shape': (3,)}", "corrupt"),
        ("(" * 9000, "corrupt"),
        ("-" * 60000, "corrupt"),
        ("", "corrupt"),
    ],
)
def test_hostile_headers(tmp_path: Path, header: str, kind: str) -> None:
    path = with_header(tmp_path / "losses.npy", header, np.arange(3.0).tobytes())
    sniff(head_of(path))
    parts = read_one(path)
    assert [problem.kind.startswith(kind) for problem in parts.problems] == [True]
    assert [one.values.tolist() for one in parts.series] == ([[0.0, 1.0, 2.0]] if kind == "truncated" else [])


def test_python_2_header(tmp_path: Path) -> None:
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (3L,), }"
    assert columns(with_header(tmp_path / "d.npy", header, np.arange(3.0).tobytes())) == {
        "d": [0.0, 1.0, 2.0]
    }


def test_a_zip_bomb_is_not_inflated(tmp_path: Path) -> None:
    path = tmp_path / "losses.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**9,)})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("d.npy", "w") as member:
        member.write(header.getvalue())
        for _ in range(50):
            member.write(bytes(1 << 20))
    parts = read_one(path)
    assert (parts.series, [problem.kind for problem in parts.problems]) == ([], ["too-large"])


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), st.booleans())
def test_no_mutation_raises(tmp_path: Path, data: st.DataObject, archived: bool) -> None:
    made = io.BytesIO()
    if archived:
        np.savez_compressed(
            made, d_loss=np.arange(20.0), g=np.ones((20, 2)), o=np.array([{"a": 1.5}], object)
        )
    else:
        np.save(made, np.arange(20.0))
    raw = bytearray(made.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "losses"
    path.write_bytes(bytes(raw[: data.draw(st.integers(0, len(raw)))]))
    sniff(head_of(path))
    read(path)


def test_corpus() -> None:
    folder = CORPUS / "npy-wgangp"
    if not folder.exists():
        pytest.skip("the corpus is not here")
    for name, length in (("d_losses", 1080), ("g_losses", 240)):
        path = folder / f"{name}.npy"
        assert sniff(head_of(path))
        assert len(columns(path)[name]) == length
