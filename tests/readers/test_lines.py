from __future__ import annotations

from pathlib import Path

import pytest

from gandoctor.readers import lines
from gandoctor.readers.lines import LONGEST_LINE, chunks, clean
from gandoctor.run import LogProblem


def split(path: Path) -> tuple[list[str], list[tuple[str, str]], bool]:
    """All lines, the problems as (place, kind), and whether the last line has its end."""
    problems: list[LogProblem] = []
    found = list(chunks(path, problems))
    first = 1
    for chunk in found:
        assert chunk.first == first
        first += len(chunk.lines)
    text = [line for chunk in found for line in chunk.lines]
    return text, [(p.place, p.kind) for p in problems], not found or found[-1].ended


def made(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "train.log"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("size", [4, 5, 7, 1 << 20])
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a: 1\nb: 2\n", ["a: 1", "b: 2"]),
        (b"a: 1\r\nb: 2\r\n", ["a: 1", "b: 2"]),
        (b"a: 1\rb: 2\r", ["a: 1", "b: 2"]),
        (b"\xef\xbb\xbfa: 1\n", ["a: 1"]),
        ("a: 1\nb: 2\n".encode("utf-16"), ["a: 1", "b: 2"]),
        (b"\xfe\xff" + "a：1\n".encode("utf-16-be"), ["a:1"]),
        (b"\x1b[1m1/2\x1b[0m \x1b[32m--\x1b[0m\x08\x08\r2/2\n", ["1/2 --", "2/2"]),
        ("训练：−0.5，好\n".encode(), ["训练:-0.5,好"]),
    ],
)
def test_lines_do_not_depend_on_how_the_file_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, data: bytes, expected: list[str]
) -> None:
    monkeypatch.setattr(lines, "CHUNK_BYTES", size)
    text, problems, _ = split(made(tmp_path, data))
    assert [line for line in text if line] == expected
    assert problems == []


def test_a_last_line_without_its_end_is_said_to_be_so(tmp_path: Path) -> None:
    assert split(made(tmp_path, b"a: 1\nb: 2"))[2] is False


def test_nul_bytes_end_a_line_and_are_reported_once(tmp_path: Path) -> None:
    data = b"1 0.5\n2 0.4\0\0\0" + b"\n3 0.3\n" + b"\0" * 3_000_000
    text, problems, _ = split(made(tmp_path, data))
    assert [line for line in text if line] == ["1 0.5", "2 0.4", "3 0.3"]
    assert problems == [("line 2", "nul-bytes")]


def test_bad_bytes_are_replaced_and_the_first_place_is_named(tmp_path: Path) -> None:
    text, problems, _ = split(made(tmp_path, b"a: 1\nb\xff: 2\nc\xfe: 3\n"))
    assert text == ["a: 1", "b\ufffd: 2", "c\ufffd: 3"]
    assert problems == [("line 2", "bad-bytes")]


def test_a_line_without_end_is_not_kept_in_memory(tmp_path: Path) -> None:
    data = b"a: 1\n" + b"x" * 9_000_000 + b"\nb: 2\n" + b"y" * (LONGEST_LINE + 1) + b"\nc: 3\n"
    text, problems, _ = split(made(tmp_path, data))
    assert text == ["a: 1", "", "b: 2", "", "c: 3"]
    assert problems == [("line 2", "long-line"), ("line 4", "long-line")]


def test_clean_leaves_plain_text_alone() -> None:
    assert clean("D loss: 0.5\nG loss: 0.7") == "D loss: 0.5\nG loss: 0.7"
