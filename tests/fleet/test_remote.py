"""Runs in a store give what they give on the disk, from no more bytes than are read, and nothing is written there."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gandoctor.api import diagnose_all, load_all
from gandoctor.errors import UserError
from gandoctor.readers import _remote
from gandoctor.readers.load import find_runs
from gandoctor.reports.rows import report
from tests.readers.logs import write_gan

fsspec = pytest.importorskip("fsspec")
FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture
def store() -> Iterator[str]:
    """The fixtures in fsspec's memory."""
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    for name in ("d-wins", "clip-too-small", "constant-z", "healthy-ns"):
        memory.put(str(FIXTURES / name), f"/bucket/runs/{name}", recursive=True)
    yield "memory://bucket/runs"
    memory.store.clear()


def test_a_store_gives_what_the_disk_gives(store: str, tmp_path: Path) -> None:
    for name in ("d-wins", "clip-too-small", "constant-z", "healthy-ns"):
        shutil.copytree(FIXTURES / name, tmp_path / "runs" / name)
    here, there = (report(diagnose_all(path)) for path in (tmp_path / "runs", store))
    for one, other in zip(here.runs, there.runs, strict=True):
        assert other.path == f"memory://bucket/runs/{one.name}"
        for field in ("name", "verdict", "findings", "facts", "roles", "coverage", "samples", "prescription"):
            mine, theirs = getattr(one, field), getattr(other, field)
            assert repr(theirs).replace("memory://bucket", tmp_path.as_posix()) == repr(mine), field


def test_processes_read_a_store_too(tmp_path: Path) -> None:
    for name in ("d-wins", "healthy-ns"):
        shutil.copytree(FIXTURES / name, tmp_path / "runs" / name)
    store = f"local://{tmp_path}/runs"
    assert [d.primary.finding.code if d.primary else "" for d in diagnose_all(store, jobs=2)] == [
        d.primary.finding.code if d.primary else "" for d in diagnose_all(store)
    ]


def test_searching_fetches_heads_only_and_reading_each_byte_once(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    log = write_gan(tmp_path / "log.csv")
    body = log.read_bytes()
    rows = body.partition(b"\n")
    big = rows[0] + rows[1] + rows[2] * (400_000 // len(rows[2]) + 1)
    memory.pipe("/b/run1/log.csv", big)
    root = _remote.remote_root("memory://b/run1")
    (found,) = find_runs(root)
    assert _remote.fetched(root) == (8192, 1)
    assert load_all(root)[0].series
    count, requests = _remote.fetched(root)
    assert count == len(big)
    assert requests <= 4
    assert found.files[0][0].stat().st_size == len(big)
    _remote.forget(root)
    assert not root.exists()


def test_of_a_checkpoint_only_what_is_asked_for_is_fetched() -> None:
    safetensors = (64).to_bytes(
        8, "little"
    ) + b'{"w":{"dtype":"F32","shape":[1000000],"data_offsets":[0,4000000]}}'[:64]
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    header = b'{"w":{"dtype":"F32","shape":[1000000],"data_offsets":[0,4000000]}}'
    safetensors = len(header).to_bytes(8, "little") + header + bytes(4_000_000)
    memory.pipe("/b/run/model.safetensors", safetensors)
    root = _remote.remote_root("memory://b/run")
    from gandoctor.contents.checkpoint import open_checkpoint

    tree = open_checkpoint(root / "model.safetensors", "safetensors")
    assert "w" in tree  # type: ignore[operator]
    assert _remote.fetched(root)[0] < 50_000
    assert tree["w"].array().shape == (1_000_000,)  # type: ignore[index]
    assert _remote.fetched(root)[0] <= len(safetensors)


def test_the_bytes_kept_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANDOCTOR_CACHE_BYTES", "250000")
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    for number in range(8):
        memory.pipe(f"/b/run/{number}.bin", bytes([number]) * 60_000)
    root = _remote.remote_root("memory://b/run")
    for _ in range(2):
        for number in range(8):
            assert (root / f"{number}.bin").read_bytes() == bytes([number]) * 60_000
    kept = sum(file.stat().st_size for file in root.parents[1].glob("data-*/*"))
    assert kept <= 250_000


def test_paths_go_through_pickle_and_open_like_files() -> None:
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pipe("/b/run/a.txt", b"one\ntwo\n")
    path = pickle.loads(pickle.dumps(_remote.remote_root("memory://b/run") / "a.txt"))
    assert path.read_text() == "one\ntwo\n"
    with open(path) as file:
        assert file.read() == "one\ntwo\n"
    with pytest.raises(OSError, match="only read"):
        path.write_text("x")
    with open(path, "rb") as file:
        assert os.fstat(file.fileno()).st_size == 8
    assert path.name in os.fspath(path.parent / "a.txt") or path.exists()
    assert memory.cat("/b/run/a.txt") == b"one\ntwo\n"


def test_what_is_missing_is_said() -> None:
    with pytest.raises(UserError, match="no such file"):
        find_runs("memory://nowhere/at/all")
    with pytest.raises(UserError, match="no store is called nope://"):
        find_runs("nope://x/y")


def test_no_password_is_printed() -> None:
    assert _remote.public("ftp://me:pw@host/a?token=1") == "ftp://host/a"
    os.environ["SOME_SECRET_KEY"] = "hunter22"
    try:
        assert "hunter22" not in _remote._told(ValueError("refused hunter22"))
    finally:
        del os.environ["SOME_SECRET_KEY"]


def test_the_library_that_a_store_needs_is_named() -> None:
    code = (
        "import sys; sys.modules['gcsfs'] = None\n"
        "from gandoctor.readers.load import find_runs\n"
        "from gandoctor.errors import UserError\n"
        "try:\n    find_runs('gs://bucket/x')\nexcept UserError as fault:\n    print(fault)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "gcsfs" in done.stdout
