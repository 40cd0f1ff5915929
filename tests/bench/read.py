"""How fast logs are read, and in how much memory, beside the usual readers. One core each.

    python tests/bench/read.py                        # every part
    python tests/bench/read.py tensorboard --points 1200000 --rounds 3

Each contender reads in a process of its own that is bound to one core; the best of some rounds
counts, the contenders taking turns. Nothing here is asserted: timings belong to a machine.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import struct
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

CORE = max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
TAGS = (
    "Loss/D", "Loss/G", "Loss/D_real", "Loss/D_fake", "Score/real", "Score/fake",
    "Grad/G", "Grad/D", "LR/G", "LR/D", "Metric/FID", "Penalty/gp",
)  # fmt: skip


@dataclass(frozen=True)
class Timing:
    """One read in one process: wall and CPU seconds of the read, points read, peak MB above the start."""

    wall: float
    cpu: float
    points: int
    memory: float


def in_a_process(contender: str, path: Path) -> Timing:
    """Run a contender (a key of CHILDREN) on a file in a fresh process."""
    command = [sys.executable, __file__, "--child", contender, str(path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return Timing(**json.loads(done.stdout))


def child(contender: str, path: Path) -> None:
    """In the fresh process: read once, print a Timing."""
    if CORE is not None:
        os.sched_setaffinity(0, {CORE})
    read = CHILDREN[contender]()
    before = peak()
    cpu, wall = time.process_time(), time.perf_counter()
    points = read(path)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps({"wall": wall, "cpu": cpu, "points": points, "memory": peak() - before}))


def peak() -> float:
    """The largest resident memory of this process so far, MB; while tracing, of its allocations."""
    if tracemalloc.is_tracing():
        return tracemalloc.get_traced_memory()[1] / 2**20
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would count the parent's memory, from before exec
        return high_water(status.read_text())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def high_water(status: str) -> float:
    """The largest resident memory in the text of /proc/PID/status, MB."""
    found = re.search(r"VmHWM:\s*(\d+) kB", status)
    return int(found[1]) / 1024 if found else float("nan")


def best(timings: Sequence[Timing]) -> Timing:
    """The quickest by wall clock."""
    return min(timings, key=lambda timing: timing.wall)


def row(name: str, timing: Timing, ours: Timing | None = None) -> None:
    """Print one line of the table."""
    ratio = f"{timing.wall / ours.wall:7.1f}x {timing.cpu / ours.cpu:7.1f}x" if ours else ""
    print(f"{name:34} {timing.wall:9.3f} {timing.cpu:9.3f} {timing.points:12,} {timing.memory:9.0f} {ratio}")


def header(title: str, path: Path) -> None:
    """Print the head of a table."""
    print(f"\n{title}: {path.stat().st_size / 1e6:.1f} MB")
    print(
        f"{'':34} {'wall s':>9} {'cpu s':>9} {'points':>12} {'peak MB':>9} {'wall/ours':>8} {'cpu/ours':>8}"
    )


# ---- TensorBoard.


def tensorboard(options: argparse.Namespace) -> None:
    """12 tags of plain scalars: ours, EventAccumulator, and TensorBoard's data server (Rust)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "events.out.tfevents.1700000000.host.1.0")
        write_events(path, options.points // len(TAGS))
        ours, server = [], []
        for _ in range(options.rounds):
            ours.append(in_a_process("tensorboard", path))
            if served := data_server(path):
                server.append(served)
        header("TensorBoard, checksums verified", path)
        row("gandoctor", best(ours))
        if server:
            row("tensorboard-data-server --checksum", best(server), best(ours))
        row("EventAccumulator, all points", in_a_process("accumulator", path), best(ours))
        size = path.stat().st_size / 2**20
        print(f"peak memory {best(ours).memory / size:.2f} x the file's size (resident),", end=" ")
        print(f"{in_a_process('traced', path).memory / size:.2f} x (allocated, tracemalloc)")
        for part in (8, 4, 2, 1):
            write_events(path, options.points // len(TAGS) // part)
            timing = best([in_a_process("tensorboard", path) for _ in range(options.rounds)])
            print(f"{timing.points:12,} points: {timing.cpu / timing.points * 1e9:5.0f} ns of CPU a point")


def write_events(path: Path, steps: int) -> None:
    """An event file as torch's SummaryWriter writes it, each of the tags at each of the steps."""
    rng = np.random.default_rng(0)
    walls = 1.7e9 + np.cumsum(rng.exponential(0.01, (steps, len(TAGS))).ravel()).reshape(steps, -1)
    values = rng.normal(1, 0.3, (steps, len(TAGS))).astype("<f4")
    version = b"\x09" + struct.pack("<d", 1.7e9) + b"\x1a\x0dbrain.Event:2"
    bounds = [0, 1, 128, 128**2, 128**3, 128**4]  # where a step's varint grows
    with path.open("wb") as file:
        file.write(frames(np.frombuffer(version, np.uint8)[None]).tobytes())
        for size, (low, high) in enumerate(pairwise(bounds)):
            step = np.arange(low, min(high, steps))
            rows = [scalars(tag, step, size, walls[step, i], values[step, i]) for i, tag in enumerate(TAGS)]
            file.write(np.concatenate([frames(row) for row in rows], axis=1).tobytes())


def scalars(tag: str, steps: np.ndarray, size: int, walls: np.ndarray, values: np.ndarray) -> np.ndarray:
    """uint8 (k, n): the payloads of scalars, their steps written in `size` bytes."""
    value = b"\x0a" + bytes([len(tag)]) + tag.encode() + b"\x15" + bytes(4)
    summary = b"\x0a" + bytes([len(value)]) + value
    step = b"\x10" + bytes(size) if size else b""
    payload = b"\x09" + bytes(8) + step + b"\x2a" + bytes([len(summary)]) + summary
    rows = np.tile(np.frombuffer(payload, np.uint8), (len(steps), 1))
    rows[:, 1:9] = walls[:, None].copy().view(np.uint8)
    for byte in range(size):
        rows[:, 10 + byte] = steps >> 7 * byte & 127 | (128 if byte < size - 1 else 0)
    rows[:, -4:] = values[:, None].copy().view(np.uint8)
    return rows


def frames(payloads: np.ndarray) -> np.ndarray:
    """uint8 (k, n + 16): payloads of one length in TFRecord frames."""
    k, n = payloads.shape
    length = np.frombuffer(struct.pack("<Q", n), np.uint8)[None]
    crcs = [masked_crcs(rows).astype("<u4")[:, None].view(np.uint8) for rows in (length, payloads)]
    return np.concatenate([np.tile(length, (k, 1)), np.tile(crcs[0], (k, 1)), payloads, crcs[1]], axis=1)


def masked_crcs(rows: np.ndarray) -> np.ndarray:
    """The masked CRC-32C of each row, byte after byte: not the way the reader does it."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ np.uint32(0x82F63B78), table >> 1)
    crc = np.full(len(rows), 0xFFFFFFFF, np.uint32)
    for column in rows.T:
        crc = table[(crc ^ column) & 0xFF] ^ crc >> 8
    crc = ~crc
    return (crc >> 15 | crc << 17) + np.uint32(0xA282EAD8)


def our_tensorboard() -> Callable[[Path], int]:
    """Our reader."""
    from gandoctor.readers.tensorboard import read

    return lambda path: sum(len(one) for parts in read(path) for one in parts.series)


def traced() -> Callable[[Path], int]:
    """Our reader, its allocations traced: slow, but `memory` is exact."""
    read = our_tensorboard()
    tracemalloc.start()
    return read


def accumulator() -> Callable[[Path], int]:
    """TensorBoard's Python reader, every point kept."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def read(path: Path) -> int:
        events = EventAccumulator(str(path), {"scalars": 0})
        events.Reload()
        return sum(len(events.Scalars(tag)) for tag in events.Tags()["scalars"])

    return read


def data_server(path: Path) -> Timing | None:
    """TensorBoard's Rust server, timed by its own log: from the start to the end of its load cycle.

    With --checksum it verifies what we verify; every point is kept, and counted by a query.
    """
    try:
        import tensorboard_data_server
    except ImportError:
        return None
    port_file = path.parent / "port"
    command = [tensorboard_data_server.server_binary(), "--logdir", str(path.parent), "--reload", "once"]
    command += ["--checksum", "--samples-per-plugin", "scalars=all", "--port", "0", "--verbose"]
    command += ["--port-file", str(port_file)]
    bind = (lambda: os.sched_setaffinity(0, {CORE})) if CORE is not None else None
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=bind)
    assert server.stderr is not None
    try:
        for line in server.stderr:
            if found := re.search(r"Finished load cycle \(([\d.]+)(m?)s\)", line):
                wall = float(found[1]) / (1000 if found[2] else 1)
                break
        usage = Path(f"/proc/{server.pid}/stat").read_text().rsplit(")", 1)[1].split()
        cpu = (int(usage[11]) + int(usage[12])) / os.sysconf("SC_CLK_TCK")
        memory = high_water(Path(f"/proc/{server.pid}/status").read_text())
        return Timing(wall, cpu, served_points(int(port_file.read_text())), memory)
    finally:
        server.kill()
        server.wait()
        port_file.unlink(missing_ok=True)


def served_points(port: int) -> int:
    """How many points a data server has loaded."""
    import grpc
    from tensorboard.data.proto import data_provider_pb2 as messages
    from tensorboard.data.proto.data_provider_pb2_grpc import TensorBoardDataProviderStub

    channel = grpc.insecure_channel(f"localhost:{port}", [("grpc.max_receive_message_length", 1 << 30)])
    request = messages.ReadScalarsRequest(experiment_id="x", downsample={"num_points": 1 << 30})
    request.plugin_filter.plugin_name = "scalars"
    with channel:
        response = TensorBoardDataProviderStub(channel).ReadScalars(request)
    return sum(len(tag.data.step) for run in response.runs for tag in run.tags)


# ---- To add a format: a function that takes the options, and its contenders.

PARTS: dict[str, Callable[[argparse.Namespace], None]] = {"tensorboard": tensorboard}
CHILDREN: dict[str, Callable[[], Callable[[Path], int]]] = {
    "tensorboard": our_tensorboard,
    "traced": traced,
    "accumulator": accumulator,
}


def main() -> None:
    """Measure the parts that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--points", type=int, default=1_200_000, help="values in a log")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=2, metavar=("CONTENDER", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child[0], Path(options.child[1]))
        return
    for name in options.parts or PARTS:
        PARTS[name](options)


if __name__ == "__main__":
    main()
