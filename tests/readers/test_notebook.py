from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gandoctor.readers import notebook
from gandoctor.readers.head import Head, head_of
from gandoctor.run import RunParts

CORPUS = Path(__file__).parents[2] / "../shared/corpus"


def stream(text: str | list[str], name: str = "stdout") -> dict[str, object]:
    return {"output_type": "stream", "name": name, "text": text}


def made(tmp_path: Path, *cells: list[dict[str, object]]) -> Path:
    path = tmp_path / "train.ipynb"
    book = {"cells": [{"cell_type": "code", "source": "train()", "outputs": outputs} for outputs in cells]}
    path.write_text(json.dumps(book))
    return path


def read(path: Path) -> list[RunParts]:
    assert notebook.sniff(head_of(path))
    return notebook.read(path)


def epochs(first: int, last: int, front: str = "") -> str:
    return "".join(f"{front}Epoch {e} | D loss: {e}.5 | G loss: 0.7\n" for e in range(first, last + 1))


def summary(runs: list[RunParts]) -> dict[str, dict[str, list[int]]]:
    return {run.label: {one.tag: one.steps.tolist() for one in run.series} for run in runs}


def test_one_run(tmp_path: Path) -> None:
    runs = read(made(tmp_path, [stream("Using cuda\n")], [stream(epochs(1, 3).splitlines(keepends=True))]))
    assert summary(runs) == {"": {"D loss": [1, 2, 3], "G loss": [1, 2, 3]}}


def test_cells_are_runs(tmp_path: Path) -> None:
    runs = read(made(tmp_path, [stream(epochs(1, 3))], [], [stream(epochs(1, 2))]))
    assert summary(runs) == {
        "cell 1": {"D loss": [1, 2, 3], "G loss": [1, 2, 3]},
        "cell 3": {"D loss": [1, 2], "G loss": [1, 2]},
    }
    assert runs[1].series[0].order.min() > runs[0].series[0].order.max()


def test_prefixes_are_runs(tmp_path: Path) -> None:
    both = epochs(1, 2, "[vanilla] ") + epochs(1, 2, "[wgan] ")
    runs = read(
        made(
            tmp_path, [stream(both)], [stream(epochs(1, 3, "[wgan-gp] "))], [stream(epochs(1, 3, "[wgan] "))]
        )
    )
    assert [run.label for run in runs] == ["vanilla", "wgan", "wgan-gp", "wgan (cell 3)"]


def test_a_cell_that_goes_on_is_the_same_run(tmp_path: Path) -> None:
    [run] = read(made(tmp_path, [stream(epochs(1, 3))], [stream(epochs(4, 6))]))
    assert {one.tag: one.steps.tolist() for one in run.series} == {
        "D loss": [1, 2, 3, 4, 5, 6], "G loss": [1, 2, 3, 4, 5, 6],
    }  # fmt: skip


def test_a_few_numbers_at_the_end_are_no_run(tmp_path: Path) -> None:
    tests = "coverage: 7 / 8\nmean: 0.5\ncoverage: 6 / 8\n"
    runs = read(made(tmp_path, [stream(epochs(1, 3))], [stream(tests)]))
    assert list(summary(runs)) == [""]


def test_streams_that_take_turns_do_not_run_into_each_other(tmp_path: Path) -> None:
    bar = "\r 50%|#####     | 1/2 [00:01<00:01,  1.00s/it]"
    outputs = [output for e in (1, 2, 3) for output in (stream(bar, "stderr"), stream(epochs(e, e)))]
    [run] = read(made(tmp_path, outputs))
    assert {one.tag: one.steps.tolist() for one in run.series} == {"D loss": [1, 2, 3], "G loss": [1, 2, 3]}


def test_displayed_text_and_format_3(tmp_path: Path) -> None:
    path = tmp_path / "old.ipynb"
    shown = {"output_type": "display_data", "data": {"text/plain": epochs(1, 2), "image/png": "iVBOR"}}
    printed = {"output_type": "stream", "stream": "stdout", "text": [epochs(3, 4)]}
    path.write_text(json.dumps({"worksheets": [{"cells": [{"outputs": [shown, printed]}]}], "nbformat": 3}))
    assert summary(read(path)) == {"": {"D loss": [1, 2, 3, 4], "G loss": [1, 2, 3, 4]}}


def test_problems_name_the_cell(tmp_path: Path) -> None:
    text = epochs(1, 6).replace("3.5", "3.5.5")
    [run] = read(made(tmp_path, [], [stream(text)]))
    assert [(problem.place, problem.kind) for problem in run.problems] == [("cell 2, line 3", "bad-line")]


def test_a_cut_notebook_gives_its_whole_outputs(tmp_path: Path) -> None:
    path = made(tmp_path, [stream(epochs(1, 3))], [stream(epochs(1, 3))])
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"Epoch")])
    [run] = read(path)
    assert [problem.kind for problem in run.problems] == ["bad-json"]
    assert [one.steps.tolist() for one in run.series] == [[1, 2, 3], [1, 2, 3]]


@pytest.mark.parametrize(
    "book",
    [
        {},
        {"cells": None},
        {
            "cells": [
                None,
                3,
                {"outputs": {"a": 1}},
                {"outputs": [None, {"text": {"a": 1}}, {"text": [1, None]}]},
            ]
        },
        {"worksheets": [None, {"cells": 5}]},
        [1, 2],
    ],
)
def test_other_json(tmp_path: Path, book: object) -> None:
    path = tmp_path / "odd.ipynb"
    path.write_text(json.dumps(book))
    assert [run.series for run in notebook.read(path)] == [[]]


def test_only_notebooks_are_read() -> None:
    assert not notebook.sniff(Head(Path("a.json"), 2, b"{}"))
    assert not notebook.sniff(Head(Path("a.ipynb"), 2, b"\x80\x04"))


@settings(deadline=None)
@given(data=st.binary(max_size=200), cut=st.integers(0, 200))
def test_random_bytes_raise_nothing(tmp_path_factory: pytest.TempPathFactory, data: bytes, cut: int) -> None:
    path = made(tmp_path_factory.mktemp("book"), [stream(epochs(1, 2))])
    whole = path.read_bytes()
    path.write_bytes(whole[:cut] + data + whole[cut:])
    notebook.read(path)


def test_deep_nesting(tmp_path: Path) -> None:
    path = tmp_path / "deep.ipynb"
    path.write_text('{"outputs": ' + "[" * 100_000)
    [run] = read(path)
    assert [problem.kind for problem in run.problems] == ["bad-json"]


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real logs is not here")
def test_a_real_notebook() -> None:
    runs = notebook.read(CORPUS / "notebook-vanilla-ns/01_vanilla_and_nonsaturating_gan.ipynb")
    assert [run.label for run in runs] == ["Vanilla GAN", "WGAN", "WGAN-Adam"]
    assert all(one.steps.tolist() == [1, *range(25, 301, 25)] for run in runs for one in run.series)
