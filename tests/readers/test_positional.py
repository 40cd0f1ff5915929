from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gandoctor.readers import positional
from gandoctor.readers.head import Head, head_of
from gandoctor.readers.positional import is_whole_number, list_names
from gandoctor.run import RunParts, Series, Unit

CORPUS = Path(__file__).parents[2] / "../shared/corpus"


def read(tmp_path: Path, name: str, printed: str | bytes) -> RunParts:
    path = tmp_path / name
    path.write_bytes(printed if isinstance(printed, bytes) else printed.encode())
    assert positional.sniff(head_of(path))
    [parts] = positional.read(path)
    return parts


def series(parts: RunParts) -> dict[str, Series]:
    return {one.tag: one for one in parts.series}


def sniffs(name: str, printed: str) -> bool:
    return positional.sniff(Head(Path(name), len(printed), printed.encode()))


def test_edgeconnect(tmp_path: Path) -> None:
    rows = "".join(f"{e} {e * 20 + i} 0.69 0.7{i} 2.05 0.11 0.13\n" for e in (1, 2) for i in (10, 20))
    parts = read(tmp_path, "log_edge.dat", rows)
    found = series(parts)
    assert list(found) == ["epoch", "l_d1", "l_g1", "l_fm", "precision", "recall"]
    assert found["l_g1"].steps.tolist() == [30, 40, 50, 60]
    assert found["l_g1"].values.tolist() == [0.71, 0.72, 0.71, 0.72]
    assert parts.problems == []


@pytest.mark.parametrize(
    ("name", "width", "tags"),
    [
        ("log_inpaint.dat", 9, ["epoch", "l_d2", "l_g2", "l_l1", "l_per", "l_sty", "psnr", "mae"]),
        ("log_edge_inpaint.dat", 9, ["epoch", "l_d2", "l_g2", "l_l1", "l_per", "l_sty", "psnr", "mae"]),
        ("log_joint.dat", 14, ["epoch", "l_d1", "l_g1", "l_fm", "precision", "recall", "l_d2", "l_g2", "l_l1", "l_per",
                               "l_sty", "psnr", "mae"]),
    ],
)  # fmt: skip
def test_edgeconnects_other_models(tmp_path: Path, name: str, width: int, tags: list[str]) -> None:
    rows = "".join(f"1 {i} " + " ".join(["0.5"] * (width - 2)) + "\n" for i in (10, 20))
    assert list(series(read(tmp_path, name, rows))) == tags


def test_nul_bytes_at_the_end_are_a_problem_and_no_numbers(tmp_path: Path) -> None:
    parts = read(
        tmp_path, "log_edge.dat", b"1 10 0.69 0.7 2.05 0.1 0.1\n1 20 0.6 0.7 2.0 0.1 0.1\n" + b"\0" * 50
    )
    assert [(problem.place, problem.kind) for problem in parts.problems] == [("line 3", "nul-bytes")]
    assert len(series(parts)["l_d1"]) == 2


def test_kerass_loss_and_accuracy(tmp_path: Path) -> None:
    found = series(read(tmp_path, "d_loss_real.txt", "0.69 0.50\n0.61 0.62\n\n"))
    assert list(found) == ["d_loss_real", "d_acc_real"]
    assert found["d_acc_real"].values.tolist() == [0.5, 0.62]
    assert (found["d_loss_real"].steps.tolist(), found["d_loss_real"].unit) == ([0, 1], Unit.RECORD)


def test_one_column(tmp_path: Path) -> None:
    found = series(read(tmp_path, "g_loss.txt", "6.9e-01\nnan\n-inf\n"))
    np.testing.assert_array_equal(found["g_loss"].values, [0.69, np.nan, -np.inf])


def test_a_step_and_a_value(tmp_path: Path) -> None:
    found = series(read(tmp_path, "loss_G.txt", "0 0.9\n100 0.8\n200 0.7\n"))
    assert list(found) == ["loss_G"]
    assert found["loss_G"].steps.tolist() == [0, 100, 200]


def test_columns_that_nobody_knows_can_be_mapped(tmp_path: Path) -> None:
    assert list(series(read(tmp_path, "train_log.txt", "0.9 0.8 0.7\n0.8 0.7 0.6\n"))) == [
        "column 1", "column 2", "column 3",
    ]  # fmt: skip


def test_biggan(tmp_path: Path) -> None:
    rows = "".join(f"{i}: {i / 1000:.3e}\n" for i in (50, 100, 150, 100, 150))
    [one] = read(tmp_path, "D_loss_real.log", rows).series
    assert one.tag == "D_loss_real"
    assert one.steps.tolist() == [50, 100, 150, 100, 150]  # it was resumed: `sessions.py` sees to that
    assert one.values.tolist() == [0.05, 0.1, 0.15, 0.1, 0.15]


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("numbers.txt", "1 2\n3 4\n"),  # the name does not say what they are
        ("requirements.txt", "1.0\n2.0\n"),
        ("d_loss.txt", "0.5\n0.5 0.6\n"),
        ("d_loss.txt", "loss 0.5\nloss 0.4\n"),
        ("d_loss.csv", "0.5\n0.6\n"),
        ("times.txt", "12: 30\nnoon\n"),
        ("d_loss.txt", ""),
        ("d_loss.txt", "\0\0\0\0 1"),
    ],
)
def test_no_columns(name: str, printed: str) -> None:
    assert not sniffs(name, printed)


def test_other_lines_are_problems_and_reading_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "d_loss.txt"
    path.write_text("0.5 0.6\n0.4\n0.3 x\n0.2 0.1 0.0\n0.1 0.2\n")
    [parts] = positional.read(path)
    assert [(problem.place, problem.kind) for problem in parts.problems] == [
        ("line 2", "bad-line"), ("line 3", "bad-line"), ("line 4", "bad-line"),
    ]  # fmt: skip
    assert series(parts)["d_loss"].values.tolist() == [0.5, 0.1]
    assert series(parts)["d_loss"].order.tolist() == [1, 5]


def test_many_bad_lines_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "d_loss.txt"
    path.write_text("0.5\n" + "x\n" * 1_000)
    [parts] = positional.read(path)
    assert len(parts.problems) == 21
    assert parts.problems[-1].message == "980 more lines like that"


def test_a_cut_last_number_is_not_read(tmp_path: Path) -> None:
    parts = read(tmp_path, "g_loss.txt", "0.512\n0.498\n0.4")
    assert [problem.kind for problem in parts.problems] == ["truncated"]
    assert series(parts)["g_loss"].values.tolist() == [0.512, 0.498]


@pytest.mark.parametrize(
    ("text", "before", "whole"),
    [
        ("0.233", "0.184", True),
        ("0.23", "0.184", False),
        ("0.6931471805599453", "0.69", True),
        ("6.931471805599e-0", "6.9e-01", False),
        ("12", "100", False),
        ("0.5]", "", True),
    ],
)
def test_whether_the_last_number_is_whole(text: str, before: str, whole: bool) -> None:
    assert is_whole_number(text, before) is whole


def test_lists_need_their_whole_number() -> None:
    assert list_names("", ["1", "2", "3", "4", "5", "200", "0.1"])[-2:] == ("step", "lr")
    assert list_names("", ["1", "2", "3", "4", "5", "0.5", "0.1"]) == ()


@given(data=st.binary(max_size=300))
def test_random_bytes_raise_nothing(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("log") / "d_loss.txt"
    path.write_bytes(data)
    positional.sniff(Head(path, len(data), data))
    positional.read(path)


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real logs is not here")
def test_real_files() -> None:
    [edge] = positional.read(CORPUS / "edgeconnect-nul-tail/log_edge.dat")
    assert [problem.kind for problem in edge.problems] == ["nul-bytes"]
    assert series(edge)["l_d1"].steps[[0, -1]].tolist() == [10, 50_110]
    [keras] = positional.read(CORPUS / "txt-keras-two-columns/d_loss.txt")
    assert [len(one) for one in keras.series] == [101, 101]
