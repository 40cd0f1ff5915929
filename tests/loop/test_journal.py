"""The journal as a file: two writers, kills, full disks, damaged lines; and what its entries say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gandoctor.errors import UserError
from gandoctor.judge.diagnose import diagnose_run
from gandoctor.loop.compare import compare_runs
from gandoctor.loop.journal import (
    Baseline,
    Code,
    Hypothesis,
    Result,
    add_baseline,
    add_hypothesis,
    add_result,
    append,
    baseline_of,
    code_version,
    departs_from,
    hypothesis_of,
    open_hypothesis,
    read,
    tried,
)  # fmt: skip
from gandoctor.reports.loop.journal import markdown, timeline
from tests.loop.seeds import seeds

ILL, WELL = True, False
WRITER = """
import sys
from pathlib import Path
from gandoctor.loop.journal import Baseline, append
path, count = Path(sys.argv[1]), int(sys.argv[2])
for n in range(count):
    append(path, lambda number, _: Baseline(id=number, time="", runs=(), note="x" * 5_000))
    print(n, flush=True)
"""


def plain(path: Path, note: str = "") -> Baseline:
    return append(
        path, lambda number, _: Baseline(id=number, time="2026-01-01T00:00:00+00:00", runs=(), note=note)
    )


def writer(path: Path, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def ids(path: Path) -> list[int]:
    return [entry.id for entry in read(path)[0]]


# --- the file --------------------------------------------------------------------------------------------


def test_entries_are_lines_that_are_only_added(tmp_path: Path) -> None:
    path = tmp_path / "sub/journal.jsonl"
    assert read(path) == ([], [])
    plain(path)
    first = path.read_bytes()
    plain(path, "zwei\nZeilen, 两行")
    assert path.read_bytes().startswith(first)
    assert path.read_bytes().count(b"\n") == 2
    assert ids(path) == [1, 2]
    assert read(path)[0][1].note == "zwei\nZeilen, 两行"


def test_several_writers_lose_nothing_and_number_every_entry_once(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    writers = [writer(path, 25) for _ in range(4)]
    assert [one.communicate()[0].count("\n") for one in writers] == [25] * 4
    assert ids(path) == list(range(1, 101))
    assert read(path)[1] == []


def test_a_killed_writer_leaves_what_it_had_finished(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    for wait in (0.0, 0.01, 0.05):
        done = len(ids(path))
        process = writer(path, 100_000)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        finished = 1 + process.communicate()[0].count("\n")
        entries, problems = read(path)
        assert len(entries) >= done + finished
        assert len(problems) <= 1
        plain(path)  # the lock went with the process
        numbers = ids(path)
        assert len(set(numbers)) == len(numbers) > len(entries)


@given(share=st.floats(0, 1, exclude_max=True))
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_line_cut_anywhere_costs_that_line_only(
    tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    path = tmp_path_factory.mktemp("cut") / "journal.jsonl"
    plain(path)
    whole = path.read_bytes()
    plain(path, "the second")
    line = path.read_bytes()[len(whole) :]
    keep = int(share * len(line))
    path.write_bytes(whole + line[:keep])
    left = 2 if keep == len(line) - 1 else 1  # all but its newline
    assert ids(path) == [1, 2][:left]
    third = plain(path, "the third")
    entries, problems = read(path)
    assert [one.note for one in entries][-1] == "the third"
    assert len(entries) == left + 1
    assert third.id not in [entry.id for entry in entries[:-1]]
    assert [one.place for one in problems] == (["line 2"] if 0 < keep < len(line) - 1 else [])


@pytest.mark.parametrize(
    "line",
    [b"not json", b"{}", b'{"kind": "later", "id": 4}', b'{"kind": "baseline", "id": "x", "time": "", "runs": []}',
     b"\xff\xfe", b"[" * 100_000, b"\x00" * 50,
     b'{"kind":"result","id":9,"of":1,"time":"","runs":[],"advice":"keep","decision":"maybe"}'],
)  # fmt: skip
def test_a_damaged_line_is_named_and_the_others_are_kept(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    plain(path)
    with path.open("ab") as file:
        file.write(line + b"\n")
    assert plain(path).id == 3
    entries, [problem] = read(path)
    assert [entry.id for entry in entries] == [1, 3]
    assert (problem.file, problem.place, problem.kind) == (path, "line 2", "damaged-line")


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    plain(path)
    before = path.read_bytes()
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from gandoctor.errors import UserError\nfrom tests.loop.test_journal import plain\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) + 30},) * 2)\n"
        "try:\n    plain(Path(sys.argv[1]))\nexcept UserError as fault:\n    print(fault.message)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "cannot be written: File too large\n"
    assert path.read_bytes() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_leave_to_write(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot be written"):
        plain(tmp_path / "journal.jsonl")


def test_a_folder_in_the_files_place(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        plain(tmp_path)
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path)


# --- what the entries say --------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def test_a_whole_round(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    begun = add_baseline(path, [diagnose_run(run) for run in seeds(ILL)], note="as published")
    assert begun.time == "2023-11-14T22:13:20+00:00"
    assert begun.runs[0].primary is not None
    assert begun.runs[0].primary.code == "GD201"
    assert "seed" not in begun.runs[0].settings
    assert begun.runs[0].facts["lr_D"] == 1e-4

    supposed = add_hypothesis(path)
    assert (supposed.of, supposed.code, supposed.remedy) == (1, "GD201", begun.offers[0].remedy)
    entries, _ = read(path)
    assert open_hypothesis(entries) == supposed
    assert departs_from(entries, supposed, path) == begun

    better = seeds(WELL, first=5, width=32)
    told = add_result(path, compare_runs(seeds(ILL), better), decision="keep")
    assert (told.of, told.advice, told.decision, told.provisional, told.things) == (
        2,
        "keep",
        "keep",
        True,
        1,
    )
    assert told.symptoms["GD201"] == "gone"
    assert told.as_supposed is (False if supposed.set else None)
    entries, problems = read(path)
    assert problems == []
    assert baseline_of(entries) == told
    assert open_hypothesis(entries) is None
    assert tried(entries) == {("GD201", begun.offers[0].remedy): "keep"}


def test_the_next_hypothesis_is_one_not_tried_yet(path: Path) -> None:
    begun = add_baseline(path, [diagnose_run(run) for run in seeds(ILL)])
    said = [add_hypothesis(path).remedy for _ in range(2)]
    assert said == [offer.remedy for offer in begun.offers[:2]]
    assert add_hypothesis(path, remedy=said[0]).remedy == said[0]


def test_a_change_that_is_not_the_supposed_one_is_said(path: Path) -> None:
    add_baseline(path, [diagnose_run(run) for run in seeds(ILL)])
    append(
        path,
        lambda n, _: Hypothesis(id=n, time="", of=1, code="GD201", remedy="x", set={"lr_D": (1e-4, 2.5e-5)}),
    )
    told = add_result(path, compare_runs(seeds(ILL), seeds(WELL, first=5, width=32)))
    assert told.as_supposed is False
    assert "not what the hypothesis said" in markdown(read(path)[0], [])


def test_a_reverted_result_leaves_the_baseline_and_an_open_one_the_hypothesis(path: Path) -> None:
    begun = add_baseline(path, [diagnose_run(run) for run in seeds(ILL)])
    supposed = add_hypothesis(path, change="wider", because="too narrow")
    assert (supposed.code, supposed.remedy) == ("GD201", "")
    comparison = compare_runs(seeds(ILL), seeds(ILL, first=5, width=32))
    add_result(path, comparison)
    assert open_hypothesis(read(path)[0]) == supposed
    add_result(path, comparison, decision="revert")
    entries, _ = read(path)
    assert open_hypothesis(entries) is None
    assert baseline_of(entries) == begun


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda path: add_hypothesis(path), "the journal has no baseline"),
        (lambda path: hypothesis_of([], None, path), "no hypothesis is open"),
        (lambda path: hypothesis_of([], 3, path), "entry 3 is no hypothesis"),
    ],
)
def test_what_is_missing_is_said(path: Path, call: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        call(path)  # type: ignore[operator]


def test_no_such_remedy(path: Path) -> None:
    add_baseline(path, [diagnose_run(run) for run in seeds(ILL)])
    with pytest.raises(UserError, match="names no remedy 'no-such'") as caught:
        add_hypothesis(path, remedy="no-such")
    assert "it names: GD201" in caught.value.hint


def test_the_code_version_is_the_commit_and_whether_files_differ(tmp_path: Path) -> None:
    assert code_version(tmp_path) is None

    def git(*words: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        return subprocess.run(
            ["git", *who, *words], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout

    git("init", "-q")
    assert code_version(tmp_path) is None
    (tmp_path / "train.py").write_text("lr = 1\n")
    git("add", "."), git("commit", "-qm", "first")
    commit = git("rev-parse", "HEAD").strip()
    assert code_version(tmp_path) == Code(commit, False)
    (tmp_path / "gandoctor-journal.jsonl").write_text("")  # the journal itself makes no difference
    assert code_version(tmp_path) == Code(commit, False)
    (tmp_path / "train.py").write_text("lr = 2\n")
    assert code_version(tmp_path) == Code(commit, True)


def test_hostile_text_stays_text(path: Path) -> None:
    bad = "<script>alert(1)</script> **x** \x1b[31m"
    add_baseline(
        path, [diagnose_run(run) for run in seeds(ILL)], note=bad, thumbnails={0: "javascript:alert(1)"}
    )
    add_hypothesis(path, change=bad, because=bad)
    entries, problems = read(path)
    assert problems == []
    for lang in ("en", "zh"):
        page, text = timeline(entries, problems, lang), markdown(entries, problems, lang)
        assert "<script>alert" not in page
        assert "javascript:alert" not in page
        assert "<script>" not in text
        assert "\x1b" not in page + text


def test_pages_and_markdown_tell_of_damaged_lines(path: Path) -> None:
    plain(path)
    with path.open("ab") as file:
        file.write(b"oops\n")
    for lang, word in (("en", "Lines that could not be read: 1"), ("zh", "有 1 行无法读取")):
        assert word in markdown(*read(path), lang)
        assert word in timeline(*read(path), lang)


def test_an_empty_journal_says_how_to_begin() -> None:
    assert "gandoctor journal new RUN" in timeline([], [])
    assert "gandoctor journal new RUN" in markdown([], [])


def test_what_is_written_is_what_is_read(path: Path) -> None:
    entry = Result(id=1, time="", of=0, runs=(), advice="keep", changed={"lr_D": (1e-4, None)})
    append(path, lambda *_: entry)
    assert read(path) == ([entry], [])
    assert msgspec.json.decode(path.read_bytes())["kind"] == "result"
