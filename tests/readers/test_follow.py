"""A log that is read while it grows gives what it gives read whole, and each byte of it is read once."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gandoctor.errors import UserError
from gandoctor.readers.follow import Follower
from gandoctor.readers.head import HEAD_BYTES
from gandoctor.readers.load import load_all
from gandoctor.run import Run
from tests.readers.logs import rows_of, write_events

STEPS = range(0, 3_000, 10)
RNG = np.random.default_rng(5)
D, G = RNG.uniform(0.5, 1.5, len(STEPS)), RNG.uniform(0.5, 1.5, len(STEPS))


def events(folder: Path) -> bytes:
    path = write_events(folder / "events.out.tfevents.1.host", rows_of(STEPS, **{"Loss/D": D, "Loss/G": G}))
    return path.read_bytes()


def csv(_: Path) -> bytes:
    rows = [
        f"{step},{d:.4f},{'' if n % 9 else g}" for n, (step, d, g) in enumerate(zip(STEPS, D, G, strict=True))
    ]
    return ("step,loss_D,loss_G\n" + "\n".join(rows) + "\n").encode()


def long_csv(_: Path) -> bytes:
    """More than the head that tells the layout, in which the last column is empty at first."""
    rows = [
        f"{n},{n % 7 / 7:.12f},{n % 11 / 11:.12f},{'0.5' if n > 2_000 and n % 50 == 0 else ''}"
        for n in range(3_000)
    ]
    return ("step,loss_D,loss_G,fid\n" + "\n".join(rows) + "\n").encode()


def quoted_csv(_: Path) -> bytes:
    rows = [f'{n},{n % 7 / 7:.12f},{n % 11 / 11:.12f},"a\n""b"""' for n in range(2_500)]
    return ("step,loss_D,loss_G,note\n" + "\n".join(rows) + "\n").encode()


def jsonl(_: Path) -> bytes:
    rows = [
        f'{{"step": {step}, "loss_D": {d}, "loss_G": {g}}}' for step, d, g in zip(STEPS, D, G, strict=True)
    ]
    return ("\n".join(rows) + "\n").encode()


def stylegan(_: Path) -> bytes:
    row = '{{"Loss/D/loss": {{"num": 8, "mean": {d}, "std": {s}}}, "Progress/kimg": {{"num": 1, "mean": {k}, "std": 0}}}}'
    rows = [row.format(d=d, s=0 if n < 100 else 0.3, k=n * 4) for n, d in enumerate(D)]
    return ("\n".join(rows) + "\n").encode()


def text(_: Path) -> bytes:
    rows = [f"[Epoch {n // 50}/6] [Batch {n % 50}/50] [D loss: {d:.6f}] [G loss: {g:.6f}]"
            for n, (d, g) in enumerate(zip(D, G, strict=True))]  # fmt: skip
    return ("Namespace(lr=0.0002, batch_size=64, name='a')\n" + "\r\n".join(rows) + "\r\n").encode()


MADE = {
    "events.out.tfevents.1.host": events, "log.csv": csv, "long.csv": long_csv, "quoted.csv": quoted_csv,
    "log.jsonl": jsonl, "stats.jsonl": stylegan, "train.log": text,
}  # fmt: skip


@pytest.fixture(params=MADE)
def grown(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, bytes]:
    """A path in an empty folder, and what is to be written there."""
    made: Callable[[Path], bytes] = MADE[request.param]
    return tmp_path / "run" / request.param, made(tmp_path / "made")


def grow(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(data)


def same(a: list[Run], b: list[Run]) -> bool:
    if [(run.name, list(run.series), run.settings) for run in a] != [
        (r.name, list(r.series), r.settings) for r in b
    ]:
        return False
    pairs = [
        (one, other.series[tag]) for run, other in zip(a, b, strict=True) for tag, one in run.series.items()
    ]
    return all(
        np.array_equal(one.steps, other.steps) and np.array_equal(one.values, other.values, equal_nan=True)
        for one, other in pairs
    ) and [run.problems for run in a] == [run.problems for run in b]


def test_what_grew_in_pieces_is_what_was_read_whole(grown: tuple[Path, bytes], tmp_path: Path) -> None:
    path, data = grown

    @settings(max_examples=12, deadline=None)
    @given(st.lists(st.integers(1, len(data) - 1), max_size=6, unique=True))
    def check(cuts: list[int]) -> None:
        path.unlink(missing_ok=True)
        follower = None
        for a, b in itertools.pairwise([0, *sorted(cuts), len(data)]):
            grow(path, data[a:b])
            follower = follower or Follower(path.parent)
            runs, _ = follower.look()
        assert same(runs, load_all(path.parent))

    check()


def test_each_byte_is_read_once(grown: tuple[Path, bytes]) -> None:
    path, data = grown
    grow(path.parent.parent / "other" / path.name, data)
    load_all(path.parent.parent / "other")  # imports what it needs
    follower = Follower(path.parent)
    pieces = 30
    edges = [len(data) * n // pieces for n in range(pieces + 1)]
    grow(path, data[: edges[1]])
    follower.look()
    before = characters_read()
    for a, b in itertools.pairwise(edges[1:]):
        grow(path, data[a:b])
        follower.look()
    # Until the head is whole it is looked at anew, and with a printed configuration may be taken for that.
    heads = 2 * sum(edge for edge in edges if edge <= 2 * HEAD_BYTES)
    overhead = 1_024 * pieces  # the seams, what /proc itself says, a record that is not whole yet
    assert follower.taken <= len(data) + 256 * pieces
    assert characters_read() - before <= len(data) + heads + overhead
    assert follower.look()[1] is False


def characters_read() -> int:
    """The bytes that this process has read from files, as Linux counts them."""
    try:
        told = Path("/proc/self/io").read_text()
    except OSError:
        pytest.skip("this system does not count the bytes that a process reads")
    return int(told.split()[1])


def test_a_file_that_was_cut_or_rewritten_is_read_anew(grown: tuple[Path, bytes]) -> None:
    path, data = grown
    whole = len(data) // 2 if "tfevents" in path.name else data.rindex(b"\n", 0, len(data) // 2) + 1
    follower = Follower(path.parent)
    grow(path, data)
    follower.look()
    path.write_bytes(data[:whole])
    assert same(follower.look()[0], load_all(path.parent))
    follower.look()
    if "tfevents" not in path.name:
        data = data.replace(b"1.", b"2.").replace(b"0.", b"1.")  # a new training, from the start
    path.write_bytes(data)
    assert same(follower.look()[0], load_all(path.parent))


def test_a_rotated_log_goes_on_in_the_new_file(tmp_path: Path) -> None:
    path = tmp_path / "run" / "train.log"
    data = [
        f"step {step} loss_D: {d:.4f} loss_G: {g:.4f}\n".encode()
        for step, d, g in zip(STEPS, D, G, strict=True)
    ]
    follower = Follower(path.parent)
    grow(path, b"".join(data[:150]))
    follower.look()
    path.rename(path.with_name("train.log.1"))
    grow(path, b"".join(data[150:]))
    runs, changed = follower.look()
    assert changed
    assert same(runs, load_all(path.parent))
    assert [len(one) for one in runs[0].series.values()] == [len(STEPS)] * 2


def test_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "later")
    with pytest.raises(UserError, match="no such file"):
        follower.look()
    grow(tmp_path / "later" / "log.csv", b"")
    assert follower.look() == ([], False)
    grow(tmp_path / "later" / "log.csv", csv(tmp_path))
    [run], changed = follower.look()
    assert changed
    assert set(run.series) == {"loss_D", "loss_G"}
    (tmp_path / "later" / "log.csv").unlink()
    assert follower.look() == ([], True)


def test_other_files_are_read_again_only_when_they_change(tmp_path: Path) -> None:
    path = tmp_path / "run" / "log"
    rows = ", ".join(f'{{"iteration": {n}, "dis/loss": 1.{n % 7}, "gen/loss": 0.{n % 5}}}' for n in range(60))
    grow(path, f"[{rows}]".encode())
    follower = Follower(path.parent)
    follower.look()
    taken = follower.taken
    assert follower.look()[1] is False
    assert follower.taken == taken == path.stat().st_size
    os.utime(path, (1, 1))
    assert follower.look()[1] is True
    assert follower.taken == 2 * taken


def test_utf16_is_read_whole_each_time(tmp_path: Path) -> None:
    path = tmp_path / "run" / "log.csv"
    grow(path, csv(tmp_path).decode().encode("utf-16"))
    follower = Follower(path.parent)
    assert same(follower.look()[0], load_all(path.parent))


def test_a_file_that_could_not_be_read_once_is_read_at_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(tmp_path / "run" / "log.csv", csv(tmp_path))
    follower = Follower(tmp_path / "run")

    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("gandoctor.readers.follow._following", broken)
        [run], _ = follower.look()
    assert [(one.kind, one.message) for one in run.problems] == [("unreadable", "Input/output error")]
    assert same(follower.look()[0], load_all(tmp_path / "run"))
