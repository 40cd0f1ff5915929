"""Runs in S3, by moto's server on this machine: requests, bytes, nothing written, no credential printed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("s3fs")
moto_server = pytest.importorskip("moto.server")

from gandoctor.fleets.units import units  # noqa: E402
from gandoctor.fleets.work import diagnose_units  # noqa: E402
from gandoctor.many import diagnose_found  # noqa: E402
from gandoctor.readers import _remote  # noqa: E402
from gandoctor.readers.load import find_runs  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
FIXTURES = Path(__file__).parents[2] / "fixtures"
KEY, SECRET = "AKIAGANDOCTORTEST", "wJalr-very-secret-7d1f"


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    patch = pytest.MonkeyPatch()
    for name, value in (("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET),
                        ("AWS_ENDPOINT_URL", f"http://{host}:{port}"), ("AWS_DEFAULT_REGION", "us-east-1"),
                        ("FSSPEC_S3_ENDPOINT_URL", f"http://{host}:{port}")):  # fmt: skip
        patch.setenv(name, value)
    import s3fs

    store = s3fs.S3FileSystem(endpoint_url=f"http://{host}:{port}")
    store.mkdir("bucket")
    for name in ("d-wins", "bad-init", "healthy-ns"):
        for file in sorted((FIXTURES / name).rglob("*")):
            if file.is_file():
                store.pipe_file(
                    f"bucket/runs/{name}-1/{file.relative_to(FIXTURES / name).as_posix()}", file.read_bytes()
                )
    rows = (FIXTURES / "bad-init" / "metrics.csv").read_bytes().split(b"\n")
    for number in range(4):  # logs of some length, as most are
        store.pipe_file(
            f"bucket/runs/long-{number}/metrics.csv", b"\n".join([*rows[:-1]] + rows[1:-1] * 60) + b"\n"
        )
    yield "s3://bucket/runs"
    patch.undo()
    server.stop()


def test_bytes_fetched_are_those_of_the_logs(bucket: str) -> None:
    root = _remote.remote_root(bucket)
    before = {key: entry.stamp for key, entry in _remote.list_files(bucket).files.items()}
    found = find_runs(root)
    assert len(diagnose_found(found)) >= 7
    read = sum(path.stat().st_size for one in found for path, _ in one.files)
    count, requests = _remote.fetched(root)
    files = sum(len(one.files) for one in found)
    print(f"{len(found)} runs, {files} files, {read:,} bytes of logs, {count:,} fetched, {requests} requests")
    assert count <= 1.2 * read
    assert requests <= 4 * files
    assert {key: entry.stamp for key, entry in _remote.list_files(bucket).files.items()} == before
    _remote.forget(root)


def test_a_fleet_in_a_store_is_listed_once(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    listings: list[str] = []
    real = _remote.list_files
    monkeypatch.setattr("gandoctor.fleets.units.list_files", lambda url: listings.append(url) or real(url))
    found = list(units(bucket))
    assert [unit.name for unit in found] == [
        "bad-init-1",
        "d-wins-1",
        "healthy-ns-1",
        *(f"long-{n}" for n in range(4)),
    ]
    results = diagnose_units(found, None, 300)
    assert listings == [bucket]
    assert not [one.error for one in results if one.error]
    for one in results:
        assert one.runs[0]["path"] == f"{bucket}/{one.unit.name}"
        assert one.fetched <= 1.2 * one.unit.size
    here = diagnose_units(list(units(FIXTURES / "d-wins")), None, 300)[0].runs[0]
    there = next(one.runs[0] for one in results if one.unit.name == "d-wins-1")
    for name in ("verdict", "primary", "onset_step", "confidence", "scalars", "settings"):
        assert here.get(name) == there.get(name)


def test_no_credential_is_printed(bucket: str) -> None:
    for url in (bucket, "s3://no-such-bucket/x"):
        command = [sys.executable, "-m", "gandoctor", "diagnose", url, "--no-report"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == (0 if url == bucket else 2)
        for secret in (KEY, SECRET):
            assert secret not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
