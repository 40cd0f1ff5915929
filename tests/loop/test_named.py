from __future__ import annotations

from pathlib import Path

import pytest

from gandoctor.errors import UserError
from gandoctor.loop.named import noted, runs_at, sides
from tests.readers.logs import write_gan


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("base/s0", "base/s1", "lower-0", "lower-1"):
        write_gan(tmp_path / name / "log.csv")
    return tmp_path


def named(*paths: str) -> list[str]:
    return [run.path.as_posix() for run in runs_at(paths)]


def test_a_folder_a_pattern_and_a_run() -> None:
    assert named("base") == ["base/s0", "base/s1"]
    assert named("lower-*") == ["lower-0", "lower-1"]
    assert named("base/s1", "base") == ["base/s1", "base/s0"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nothing-*", "the pattern fits no file"),
        ("nothing", "no such file"),
        ("empty", "no training log was found"),
    ],
)
def test_what_is_not_there(path: str, message: str) -> None:
    Path("empty").mkdir()
    with pytest.raises(UserError, match=message):
        runs_at([path])


def test_a_name_with_a_bracket_is_a_name_where_it_exists() -> None:
    write_gan(Path("run[1]/log.csv"))
    assert named("run[1]") == ["run[1]"]


@pytest.mark.parametrize(
    ("words", "more", "first", "second"),
    [
        (["a", "b", "c"], [], ["a"], ["b", "c"]),
        (["a", "b", "vs", "c"], [], ["a", "b"], ["c"]),
        (["b", "c"], ["a"], ["a"], ["b", "c"]),
        (["a", "vs", "c"], ["x"], ["a", "x"], ["c"]),
    ],
)
def test_two_sides(words: list[str], more: list[str], first: list[str], second: list[str]) -> None:
    assert sides(words, more) == (first, second)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a"], "no candidate"),
        (["a", "vs"], "no candidate"),
        (["vs", "a"], "no baseline"),
        (["a", "vs", "b", "vs"], "twice"),
    ],
)
def test_a_side_that_is_missing(words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        sides(words)


def test_a_run_that_is_gone() -> None:
    assert noted(Path("base/s0"), "s0").name == "s0"
    with pytest.raises(UserError, match="the run that the journal remembers is gone") as caught:
        noted(Path("base/s9"), "s9")
    assert "--baseline RUN" in caught.value.hint
    with pytest.raises(UserError, match="no run is called 's9'"):
        noted(Path("base"), "s9")
