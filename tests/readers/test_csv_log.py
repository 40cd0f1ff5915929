from __future__ import annotations

import codecs
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gandoctor.readers import csv_log
from gandoctor.readers.head import Head
from gandoctor.run import RunParts, Series, Unit
from tests.readers.mangle import check_reads, kinds, mangled

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
LIGHTNING = "d_loss,epoch,fid,g_loss,step\n0.1,0,,,2\n,0,,0.7,2\nnan,1,,,4\n,1,30.5,0.8,4\n"
PLAIN = "epoch,d,g\n" + "".join(f"{n},{1.3 - n / 100:.2f},{0.7 + n / 100:.2f}\n" for n in range(12))
QUOTED = 'step,loss,note\n1,0.5,"two\nlines"\n2,"tensor(0.25, grad_fn=<X>)","x, y"\n3,nan,\n'
LONG = "step,metric,value\n0,d_loss,1.3\n0,g_loss,0.7\n10,d_loss,1.2\n10,g_loss,0.8\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv")


def parts(folder: Path, text: str | bytes, name: str = "log.csv") -> list[RunParts]:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return csv_log.read(path)


def series(folder: Path, text: str | bytes, name: str = "log.csv") -> dict[str, Series]:
    [part] = parts(folder, text, name)
    return {one.tag: one for one in part.series}


def values(folder: Path, text: str | bytes, name: str = "log.csv") -> dict[str, list[float]]:
    return {tag: one.values.tolist() for tag, one in series(folder, text, name).items()}


def sniffs(text: str, name: str = "log.csv") -> bool:
    data = text.encode()
    return csv_log.sniff(Head(Path(name), len(data), data[:8192]))


def test_epochs_count_the_steps(folder: Path) -> None:
    found = series(folder, PLAIN)
    assert set(found) == {"d", "g"}
    assert found["d"].steps.tolist() == list(range(12))
    assert found["d"].unit is Unit.EPOCH
    assert found["d"].values[:3].tolist() == [1.3, 1.29, 1.28]


def test_an_empty_cell_was_not_logged_and_nan_was(folder: Path) -> None:
    found = series(folder, LIGHTNING)
    assert found["d_loss"].steps.tolist() == [2, 4]
    assert np.array_equal(found["d_loss"].values, [0.1, np.nan], equal_nan=True)
    assert found["fid"].values.tolist() == [30.5]
    assert found["g_loss"].values.tolist() == [0.7, 0.8]


@pytest.mark.parametrize("missing", ["", "NA", "None", "null", "n/a", " "])
def test_what_says_that_nothing_was_logged(folder: Path, missing: str) -> None:
    found = series(folder, f"epoch,loss,val_loss\n0,0.5,{missing}\n1,0.4,0.3\n2,0.3,0.2\n")
    assert found["val_loss"].steps.tolist() == [1, 2]


def test_spellings_of_what_is_not_finite(folder: Path) -> None:
    text = "epoch,d,g\n0,inf,0.7\n1,nan,-inf\n2,1.#INF,0.9\n3,1.0,1.#QNAN\n4,NAN,Infinity\n"
    found = series(folder, text)
    inf, nan = np.inf, np.nan
    assert np.array_equal(found["d"].values, [inf, nan, inf, 1.0, nan], equal_nan=True)
    assert np.array_equal(found["g"].values, [0.7, -inf, 0.9, nan, inf], equal_nan=True)


def test_cells_that_are_printed_tensors(folder: Path) -> None:
    text = 'g,d\r\n"tensor(10.5290, grad_fn=<B>)","tensor(0.0009)"\r\r\n"tensor(9.9)","tensor(0.0004)"\r\r\n'
    assert values(folder, text) == {"g": [10.529, 9.9], "d": [0.0009, 0.0004]}
    bare = (
        "g,d\ntensor(10.5290, grad_fn=<B>),tensor([[0.0009]])\ntensor(9.9, device='cuda:0'),tensor(0.0004)\n"
    )
    assert sniffs(bare)
    assert values(folder, bare) == {"g": [10.529, 9.9], "d": [0.0009, 0.0004]}
    array = 'step,loss\n1,"tensor(0.5,\n       grad_fn=<X>)"\n2,[0.25]\n'
    assert values(folder, array) == {"loss": [0.5, 0.25]}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Epoch;D;G\n0;1,386;0,693\n1;1,2;0,7\n", "log.csv"),
        ("Epoch;D;G\n0;1.386;0.693\n1;1.2;0.7\n", "log.csv"),
        ("Epoch\tD\tG\n0\t1,386\t0,693\n1\t1,2\t0,7\n", "log.tsv"),
        ("Epoch  D  G\n  0  1.386 0.693\n  1  1.2   0.7\n", "log.txt"),
        ("# Epoch D G\n0 1.386 0.693\n1 1.2 0.7\n", "log.txt"),
        ("Epoch, D , G\n0, 1.386, 0.693\n1, 1.2, 0.7\n", "log.csv"),
        ("Epoch,D,G\r0,1.386,0.693\r1,1.2,0.7\r", "log.csv"),
        ("Epoch,D,G,\n0,1.386,0.693,\n1,1.2,0.7,\n", "log.csv"),
        ("My run\nlr=0.0002\n\nEpoch,D,G\n0,1.386,0.693\n1,1.2,0.7\n", "log.csv"),
        ('"Epoch","D","G"\n"0","1.386","0.693"\n"1","1.2","0.7"\n', "log.csv"),
        ("Epoch,D,G\n# started, lr 0.1\n0,1.386,0.693\n# again\n1,1.2,0.7\n", "log.csv"),
    ],
)
def test_delimiters_decimals_and_what_stands_above(folder: Path, text: str, name: str) -> None:
    assert sniffs(text, name)
    assert values(folder, text, name) == {"D": [1.386, 1.2], "G": [0.693, 0.7]}
    assert kinds(parts(folder, text, name)) == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_says_the_encoding(folder: Path, encoding: str) -> None:
    assert values(folder, "época,d,g\n0,1.5,0.5\n1,1.25,0.75\n".encode(encoding))["d"] == [1.5, 1.25]
    data = codecs.BOM_UTF16_LE + "époque,d\n".encode("utf-16-le")
    assert csv_log.sniff(Head(Path("x.csv"), len(data), data)) is False


def test_what_is_not_utf_8_is_read_as_latin_1_with_a_problem(folder: Path) -> None:
    [part] = parts(folder, "époque,d\n0,1.5\n1,1.25\n".encode("latin-1"))
    assert [one.tag for one in part.series] == ["époque", "d"]
    assert [(p.kind, p.place) for p in part.problems] == [("encoding", "line 1")]


def test_nul_bytes_are_left_out_with_a_problem(folder: Path) -> None:
    [part] = parts(folder, b"epoch,d\n0,1.5\n1,1.25\n" + b"\0" * 40 + b"\n2,1.0\n3,0.5\n")
    assert part.series[0].values.tolist() == [1.5, 1.25, 1.0, 0.5]
    assert [(p.kind, p.place) for p in part.problems] == [("nul-bytes", "byte 21")]


def test_without_a_header_columns_are_called_by_position(folder: Path) -> None:
    assert values(folder, "0,1.5\n1,1.25\n") == {"column1": [0, 1], "column2": [1.5, 1.25]}
    assert values(folder, "1.5\n1.25\n", "d_loss.csv") == {"d_loss": [1.5, 1.25]}
    assert values(folder, ",0,1\n0,0.5,0.25\n1,0.75,1.0\n") == {
        "column2": [0.5, 0.75],
        "column3": [0.25, 1.0],
    }


def test_a_table_on_its_side(folder: Path) -> None:
    d, g = [n / 8 for n in range(2000)], [n / 16 for n in range(400)]
    text = ",".join(map(str, d)) + "\n" + ",".join(map(str, g)) + "\n"
    assert sniffs(text)
    assert values(folder, text) == {"row1": d, "row2": g}
    assert values(folder, '"d",' + text.replace("\n", "\ng,", 1)) == {"d": d, "g": g}


def test_a_nameless_index_and_a_repeated_name(folder: Path) -> None:
    assert values(folder, ",loss,loss\n0,1.5,0.5\n1,1.25,0.75\n") == {
        "loss": [1.5, 1.25],
        "loss.1": [0.5, 0.75],
    }
    assert values(folder, '"d","g"\n"1",1.5,0.5\n"2",1.25,0.75\n') == {"d": [1.5, 1.25], "g": [0.5, 0.75]}


def test_a_header_that_does_not_fit_is_a_problem(folder: Path) -> None:
    wide = parts(folder, "epoch,d,g\n0,1,3,0,7\n1,1,2,0,8\n")  # decimal commas between commas
    assert kinds(wide) == ["header-mismatch"]
    assert [one.tag for one in wide[0].series] == [f"column{n}" for n in range(1, 6)]
    narrow = parts(folder, "epoch,d,g,fid\n0,1.5,0.5\n1,1.25,0.75\n")
    assert kinds(narrow) == ["header-mismatch"]
    assert [one.tag for one in narrow[0].series] == ["d", "g"]


def test_a_repeated_header_is_a_start(folder: Path) -> None:
    [part] = parts(folder, PLAIN + PLAIN)
    assert [(start.order, start.reason) for start in part.starts] == [(12, "header")]
    assert part.series[0].steps.tolist() == [*range(12), *range(12)]
    assert part.problems == []


def test_a_new_header_may_have_other_columns(folder: Path) -> None:
    text = "epoch,d,g\n0,1.5,0.5\n1,1.25,0.75\nepoch,g,d,fid\n0,0.5,1.0,30\n1,0.25,2.0,20\n"
    [part] = parts(folder, text)
    found = {one.tag: one.values.tolist() for one in part.series}
    assert found == {"d": [1.5, 1.25, 1.0, 2.0], "g": [0.5, 0.75, 0.5, 0.25], "fid": [30, 20]}
    assert [start.order for start in part.starts] == [2]


def test_ragged_rows_are_read_and_told(folder: Path) -> None:
    [part] = parts(folder, PLAIN + "12,1.1\n13,1.0,0.9,7\n14,0.9,0.8\n")
    assert [(p.kind, p.place) for p in part.problems] == [
        ("ragged-row", "line 14"),
        ("ragged-row", "line 15"),
    ]
    d, g = part.series
    assert d.steps.tolist() == list(range(15))
    assert g.steps.tolist() == [*range(12), 13, 14]


def test_a_cut_last_row_loses_the_cell_that_may_be_cut(folder: Path) -> None:
    [part] = parts(folder, PLAIN + "12,1.1")
    assert kinds([part]) == ["truncated-tail"]
    assert part.series[0].steps.tolist() == list(range(12))
    [whole] = parts(folder, PLAIN + "12,1.1,0.9")
    assert kinds([whole]) == []
    assert whole.series[1].values[-1] == 0.9


def test_what_is_no_number_is_told_by_line(folder: Path) -> None:
    [part] = parts(folder, PLAIN + "Traceback (most recent call last)\n12,oops,0.9\n13,1.5,0.5\n")
    assert [(p.kind, p.place) for p in part.problems] == [("bad-line", "line 14"), ("bad-cell", "line 15")]
    assert "'oops' in column 'd'" in part.problems[1].message
    assert part.series[1].values[-2:].tolist() == [0.9, 0.5]


def test_many_problems_are_counted(folder: Path) -> None:
    [part] = parts(folder, PLAIN + "12,1.1\n" * 100)
    assert kinds([part]) == ["ragged-row"] * 6
    assert part.problems[-1].message == "95 more of this kind"


def test_quoted_line_ends_and_a_stray_quote(folder: Path) -> None:
    assert values(folder, QUOTED.replace("nan", "0.125")) == {"loss": [0.5, 0.25, 0.125]}
    rows = "".join(f'{n},0.5,"a{n}"\n' for n in range(4, 20))
    [part] = parts(folder, 'step,loss,note\n1,0.5,"a"\n2,0.25,"b\n3,0.125,"c"\n' + rows)
    assert part.series[0].steps.tolist() == list(range(1, 20))
    assert [(p.kind, p.place) for p in part.problems] == [("stray-quote", "line 3")]


def test_a_quote_inside_a_number_makes_no_other_number(folder: Path) -> None:
    [part] = parts(folder, PLAIN + '12,"1"5,0.9\n13,0.5,0."75\n14,0.25,0.125\n')
    d, g = part.series
    assert (d.values[-2:].tolist(), g.values[-2:].tolist()) == ([0.5, 0.25], [0.9, 0.125])
    assert [(p.kind, p.place) for p in part.problems if p.kind == "bad-cell"] == [
        ("bad-cell", "line 14"),
        ("bad-cell", "line 15"),
    ]


def test_blocks_end_outside_of_quotes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_log, "_BLOCK_BYTES", 64)
    rows = [f'{n},{n / 8},"line\nend, {n}"\n' for n in range(200)]
    found = series(folder, "step,loss,note\n" + "".join(rows))
    assert found["loss"].steps.tolist() == list(range(200))
    assert found["loss"].values.tolist() == [n / 8 for n in range(200)]


def test_blocks_and_the_whole_file_give_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = LIGHTNING + "".join(f"{n / 7},{n // 3},,{'nan' if n % 5 else ''},{n}\n" for n in range(5, 300))
    whole = series(folder, text + LIGHTNING)
    monkeypatch.setattr(csv_log, "_BLOCK_BYTES", 100)
    pieces = series(folder, text + LIGHTNING)
    assert set(whole) == set(pieces)
    for tag, one in whole.items():
        assert np.array_equal(one.values, pieces[tag].values, equal_nan=True)
        assert np.array_equal(one.steps, pieces[tag].steps)
        assert np.array_equal(one.order, pieces[tag].order)


@pytest.mark.parametrize("cell", ["nan", "NaN", "NAN", "-nan", "", "NA", "inf"])
def test_pieces_and_blocks_give_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch, cell: str) -> None:
    regular = "step,d,g\n" + "".join(
        f'{n},"{n / 8}",{cell if n % 3 else "nan" if n % 2 else n / 7}\n' for n in range(300)
    )
    monkeypatch.setattr(csv_log, "_PIECE_BYTES", 64)
    at_once = series(folder, regular)
    monkeypatch.setattr(csv_log, "_read_whole", lambda reading, path: False)
    monkeypatch.setattr(csv_log, "_BLOCK_BYTES", 500)
    in_blocks = series(folder, regular)
    monkeypatch.setattr(csv_log, "_read_fast", lambda reading, block: False)
    by_row = series(folder, regular)
    for tag in ("d", "g"):
        for other in (in_blocks, by_row):
            assert np.array_equal(at_once[tag].steps, other[tag].steps)
            assert np.array_equal(at_once[tag].values, other[tag].values, equal_nan=True)
            assert np.array_equal(at_once[tag].order, other[tag].order)


def test_a_short_row_is_no_missing_cell(folder: Path) -> None:
    rows = [f"{n},{n / 8},{n / 4 if n % 3 else ''}\n" for n in range(60)]
    [part] = parts(folder, "step,d,g\n" + "".join(rows))
    assert part.problems == []
    rows[42] = "42,5.25\n"
    [part] = parts(folder, "step,d,g\n" + "".join(rows))
    assert [(p.kind, p.place) for p in part.problems] == [("ragged-row", "line 44")]


def test_letters_in_words_are_no_nan(folder: Path) -> None:
    text = "step,metric,value\n0,luminance,nan\n0,fid,\n1,luminance,0.5\n1,fid,30\n2,luminance,\n2,fid,nan\n"
    found = series(folder, text)
    assert np.array_equal(found["luminance"].values, [np.nan, 0.5], equal_nan=True)
    assert np.array_equal(found["fid"].values, [30, np.nan], equal_nan=True)
    wrong = PLAIN + "12,5nan,0.5\n13,nan,0.5\n14,nano,0.5\n"
    assert kinds(parts(folder, wrong)) == ["bad-cell", "bad-cell"]


def test_long_form_gives_a_series_for_each_metric(folder: Path) -> None:
    found = series(folder, LONG)
    assert {tag: one.values.tolist() for tag, one in found.items()} == {
        "d_loss": [1.3, 1.2],
        "g_loss": [0.7, 0.8],
    }
    assert found["g_loss"].steps.tolist() == [0, 10]


def test_several_runs_in_one_table(folder: Path) -> None:
    one, two = parts(folder, "run,step,loss\na,0,1.5\na,10,1.25\nb,0,2.5\nb,10,2.25\n")
    assert (one.label, two.label) == ("a", "b")
    assert one.series[0].values.tolist() == [1.5, 1.25]
    assert two.series[0].steps.tolist() == [0, 10]


def test_training_and_validation_are_told_apart(folder: Path) -> None:
    text = "epoch,phase,loss\n0,train,1.5\n0,val,2.5\n1,train,1.25\n1,val,2.25\n"
    found = series(folder, text)
    assert {tag: one.values.tolist() for tag, one in found.items()} == {
        "loss": [1.5, 1.25],
        "val/loss": [2.5, 2.25],
    }
    assert found["val/loss"].steps.tolist() == [0, 1]


def test_the_export_of_the_weights_and_biases_site(folder: Path) -> None:
    header = ",".join(f'"{run} - D{bound}"' for run in ("r1", "r - 2") for bound in ("", "__MIN", "__MAX"))
    one, two = parts(
        folder, f'"Step",{header}\n"0","1.5","1.5","1.5","","",""\n"9","1","1","1","2","2","2"\n'
    )
    assert (one.label, two.label) == ("r1", "r - 2")
    assert [(s.tag, s.steps.tolist(), s.values.tolist()) for s in one.series] == [("D", [0, 9], [1.5, 1.0])]
    assert [(s.tag, s.steps.tolist(), s.values.tolist()) for s in two.series] == [("D", [9], [2.0])]


def test_the_export_of_tensorboard_has_its_tag_in_its_name(folder: Path) -> None:
    text = "Wall time,Step,Value\n1700000000.5,0,1.5\n1700000010.5,10,1.25\n"
    found = series(folder, text, "run-exp1-tag-Loss_D.csv")
    assert found["Loss_D"].steps.tolist() == [0, 10]
    wall = found["Loss_D"].wall_time
    assert wall is not None
    assert wall.tolist() == [1700000000.5, 1700000010.5]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", "log.csv"),
        ("id,name,city\n1,a,b\n2,c,d\n", "people.csv"),
        ("0.5 0.6\n0.4 0.3\n", "d_loss.txt"),
        ("| epoch | loss |\n|---|---|\n| 1 | 0.5 |\n| 2 | 0.4 |\n", "README.txt"),
        ("Epoch 1, loss: 0.5\nEpoch 2, loss: 0.4\n", "train.log"),
        ("(epoch: 1, iters: 100, time: 0.189) G_GAN: 2.261\n" * 3, "loss_log.txt"),
        ("x = [1, 2, 3]\ny = [4, 5, 6]\nz = (7, 8, 9)\n", "code.txt"),
        ("a,b\n1,2\n3,4\n", "table.py"),
        ('[{"step": 1, "loss": 2}]', "log.csv"),
        ("\x1b[1m1,2\x1b[0m\n3,4\n", "log.csv"),
        ("202599\n5_o_Clock Bald\n1.jpg -1 1\n2.jpg 1 -1\n3.jpg 1 1\n", "list_attr_celeba.txt"),
    ],
)
def test_silent_on_what_is_no_table_of_numbers(text: str, name: str) -> None:
    assert not sniffs(text, name)


def test_a_header_without_rows_is_known_and_told(folder: Path) -> None:
    assert sniffs("epoch,d_loss,g_loss\n")
    assert kinds(parts(folder, "epoch,d_loss,g_loss\n")) == ["empty"]
    assert kinds(parts(folder, "")) == ["empty"]


@settings(max_examples=150, deadline=None)
@given(data=mangled(*(text.encode() for text in (PLAIN, LIGHTNING, QUOTED, LONG, PLAIN + PLAIN))))
def test_no_damage_raises_or_invents_a_number(folder: Path, data: bytes) -> None:
    check_reads(csv_log, folder / "mangled.csv", data)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.floats(), st.none() | st.floats()), min_size=3, max_size=30),
    delimiter=st.sampled_from(",;\t"),
    comma=st.booleans(),
)
def test_what_is_written_is_read(
    folder: Path, rows: list[tuple[float, float | None]], delimiter: str, comma: bool
) -> None:
    comma = comma and delimiter != ","
    lines = [delimiter.join(["step", "d", "g"])]
    for step, (d, g) in enumerate(rows):
        cells = [str(step), repr(d), "" if g is None else repr(g)]
        lines.append(delimiter.join(cell.replace(".", ",") if comma else cell for cell in cells))
    found = series(folder, "\n".join(lines) + "\n")
    logged = [g for _, g in rows if g is not None]
    assert np.array_equal(found["d"].values, [d for d, _ in rows], equal_nan=True)
    assert np.array_equal(found["g"].values if "g" in found else [], logged, equal_nan=True)


@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus of real logs is not beside the checkout")
def test_real_logs_are_read_without_a_problem() -> None:
    files = [path for path in sorted(CORPUS.glob("*/*.csv"))]
    assert len(files) >= 12
    for path in files:
        data = path.read_bytes()
        assert csv_log.sniff(Head(path, len(data), data[:8192]))
        [part] = csv_log.read(path)
        assert part.problems == []
        assert len(part.series) >= 2
    assert not csv_log.sniff(Head(CORPUS / "labels.csv", 10**6, (CORPUS / "labels.csv").read_bytes()[:8192]))
