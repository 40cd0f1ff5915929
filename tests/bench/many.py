"""Many runs at once: `python -m tests.bench.many [--runs 1000] [--format events|csv] [--jobs 2]`.

Writes runs of 60,000 scalars each (6 tags x 10,000 steps: losses of a healthy or of an ill game, gradient
norms, a learning rate), then runs `gandoctor diagnose FOLDER --jobs N --format json` on them as a process of
its own. Prints elapsed time, processor time and peak memory. 1,000 runs need 2.7 GB (events) of disk.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.readers.logs import Numbers, write_csv

POINTS = 10_000
TAGS = ("loss_D", "loss_G", "grad_norm_D", "grad_norm_G", "lr_D", "lr_G")


def curves(seed: int) -> dict[str, Numbers]:
    """Six series of float64 (POINTS,): every third run has a D that wins at a third of it."""
    rng = np.random.default_rng(seed)
    noise = np.exp(rng.normal(0, 0.1, (4, POINTS)))
    won = (np.arange(POINTS) > POINTS // 3) & (seed % 3 == 0)
    made = (
        np.where(won, 0.002, 1.3) * noise[0],
        np.where(won, 9.0, 0.8) * noise[1],
        np.where(won, 0.01, 1.0) * noise[2],
        np.where(won, 20.0, 2.0) * noise[3],
        np.full(POINTS, 4e-4),
        np.full(POINTS, 1e-4),
    )
    return dict(zip(TAGS, made, strict=True))


def write_events_fast(path: Path, series: dict[str, Numbers], every: int) -> None:
    """An event file with true checksums, a record a value."""
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    path.parent.mkdir(parents=True, exist_ok=True)
    lengths: dict[int, bytes] = {}
    out = bytearray()

    def frame(payload: bytes) -> None:
        size = len(payload)
        if size not in lengths:
            head = struct.pack("<Q", size)
            lengths[size] = head + struct.pack("<I", masked_crc32c(head))
        out.extend(lengths[size] + payload + struct.pack("<I", masked_crc32c(payload)))

    frame(struct.pack("<Bd", 0x09, 1.7e9) + b"\x1a\x0dbrain.Event:2")
    for row in range(POINTS):
        step = varint(row * every)
        wall = struct.pack("<Bd", 0x09, 1.7e9 + row)
        for tag, values in series.items():
            name = tag.encode()
            value = b"\x0a" + bytes([len(name)]) + name + b"\x15" + struct.pack("<f", values[row])
            summary = b"\x0a" + bytes([len(value)]) + value
            frame(wall + (b"\x10" + step if row else b"") + b"\x2a" + bytes([len(summary)]) + summary)
    path.write_bytes(out)


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def make(folder: Path, runs: int, form: str, kinds: int = 12) -> None:
    """Write the runs: `kinds` different ones, copied."""
    sound: list[bytes] = []
    for number in range(runs):
        path = (
            folder
            / f"exp{number:04}"
            / ("metrics.csv" if form == "csv" else "events.out.tfevents.1700000000.host")
        )
        if number < kinds:
            series = curves(number)
            if form == "csv":
                write_csv(path, step=50 * np.arange(POINTS), **series)
            else:
                write_events_fast(path, series, 50)
            sound.append(path.read_bytes())
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(sound[number % kinds])


def measure(folder: Path, jobs: int) -> tuple[float, float, float, list[dict[str, object]]]:
    """Elapsed and processor seconds, peak MB of the largest process, and the runs that were reported."""
    with tempfile.TemporaryFile() as out:
        begin = time.perf_counter()
        command = [
            sys.executable,
            "-m",
            "gandoctor",
            "diagnose",
            str(folder),
            "--jobs",
            str(jobs),
            "--format",
            "json",
        ]
        process = subprocess.Popen(command, stdout=out)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        elapsed = time.perf_counter() - begin
        assert process.returncode == 0
        out.seek(0)
        runs = json.load(out)["runs"]
    return elapsed, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--format", choices=["events", "csv"], default="events")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="a folder for the runs; used again if it is there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        if not (folder / "exp0000").exists():
            make(folder, given.runs, given.format)
        elapsed, processor, peak, runs = measure(folder, given.jobs)
    verdicts = [run["verdict"] for run in runs]
    print(f"{len(runs):,} runs of {POINTS * len(TAGS):,} scalars ({given.format}), --jobs {given.jobs}: "
          f"{elapsed:.1f} s, {processor:.1f} s of processor time, peak {peak:,.0f} MB; "
          f"{verdicts.count('failing')} failing, {verdicts.count('healthy')} healthy")  # fmt: skip


if __name__ == "__main__":
    main()
