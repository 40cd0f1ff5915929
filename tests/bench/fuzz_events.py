"""Mutates small event files and reads them: no exception, no number that was not written.

    python tests/bench/fuzz_events.py --inputs 1000000 --seed 0

Two kinds of input, half each:

- damaged: bits flipped, bytes cut, dropped, inserted, zeroed, repeated, files spliced. Every point
  that is read must be one of those written.
- hostile: the payloads are mutated and their checksums made right again. The columns and the
  protobuf classes must agree on every point.

A third of the inputs is read in chunks of some 50 to 300 bytes, so that their borders are met too.
Totals are printed also when it is interrupted (SIGINT, SIGTERM).
"""

from __future__ import annotations

import argparse
import io
import random
import signal
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto

from gandoctor.readers import _tfrecord
from gandoctor.readers._crc32c import crc32c, length_crc, masked_int
from gandoctor.readers.tensorboard import read_events

SOURCE = Path("events.out.tfevents.1.host")
WALL = 1_700_000_000.25
Point = tuple[str, int, str]


def seeds() -> list[list[bytes]]:
    """The payloads of small valid files, a list each."""

    def event(step: int, *values: Summary.Value) -> Event:
        return Event(wall_time=WALL + step, step=step, summary=Summary(value=values))

    def tensor(tag: str, proto: TensorProto, plugin: str = "scalars") -> Summary.Value:
        metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=plugin))
        return Summary.Value(tag=tag, tensor=proto, metadata=metadata)

    def old(tag: str, value: float) -> Summary.Value:
        return Summary.Value(tag=tag, simple_value=value)

    version = Event(wall_time=WALL, file_version="brain.Event:2")
    start = Event(wall_time=WALL, step=3, session_log=SessionLog(status=SessionLog.START))
    image = Summary.Image(height=1, width=1, encoded_image_string=b"\x89PNG")
    floats = TensorProto(dtype=1, float_val=[0.5])
    content = TensorProto(dtype=1, tensor_content=struct.pack("<f", 1.5))
    files = [
        [event(step, old(tag, step + 0.5)) for step in (0, 127, 128) for tag in ("Loss/D", "Loss/G", "lr")],
        [event(step, tensor("d", floats), tensor("g", content)) for step in (1, 2, -1)],
        [event(7, tensor("x", TensorProto(dtype=2, double_val=[0.1]))), event(2**40, old("x" * 130, 3))],
        [
            start,
            event(3, old("a", 1), old("b", 2), old("c", 3)),
            event(4, old("a", 4), old("b", 5), old("c", 6)),
        ],
        [
            event(
                1, Summary.Value(tag="h", histo=HistogramProto(num=2)), Summary.Value(tag="i", image=image)
            ),
            event(1, tensor("n", TensorProto(dtype=9, int64_val=[7]))),
            event(2, tensor("imgs", TensorProto(dtype=7, string_val=[b"1", b"1", b"\x89PNG"]), "images")),
            event(2, tensor("text", TensorProto(dtype=7, string_val=[b'{"lr": 1}']), "text")),
            event(3, tensor("half", TensorProto(dtype=19, half_val=[0x3E00]), "")),
        ],
    ]
    return [[one.SerializeToString() for one in (version, *events)] for events in files]


def framed(payloads: list[bytes]) -> bytes:
    return b"".join(
        struct.pack("<QI", len(one), length_crc(len(one))) + one + struct.pack("<I", masked_int(crc32c(one)))
        for one in payloads
    )


def points(data: bytes, *, columnar: bool = True) -> set[Point]:
    """What is read, as (tag, step, value); the value as text, so that NaN is itself."""
    parts = read_events(io.BytesIO(data), len(data), SOURCE, columnar=columnar)
    return {
        (one.tag, step, repr(value))
        for one in parts.series
        for step, value in zip(one.steps.tolist(), one.values.tolist(), strict=True)
    }


def mutated(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """A few random changes."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        if not out:
            break
        at, size = rng.randrange(len(out)), rng.randint(1, 64)
        how = rng.randrange(9)
        if how < 3:
            out[at] ^= 1 << rng.randrange(8)
        elif how == 3:
            out[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif how == 4:
            del out[at:]
        elif how == 5:
            del out[at : at + size]
        elif how == 6:
            out[at:at] = rng.choice((rng.randbytes(size), bytes(size), bytes(out[at : at + size])))
        elif how == 7:
            out[at : at + size] = bytes(len(out[at : at + size]))
        else:
            cut = rng.randrange(len(other))
            out[at:] = other[cut : cut + rng.randint(1, 200)]
    return bytes(out)


def fuzz(inputs: int, seed: int, say: Callable[[str], None], counts: Counter[str]) -> None:
    """Read so many mutated files. Counts inputs, exceptions, wrong numbers and points read."""
    rng, chunk = random.Random(seed), _tfrecord._CHUNK
    files = seeds()
    frames = [framed(payloads) for payloads in files]
    written = set().union(*(points(data, columnar=columnar) for data in frames for columnar in (True, False)))
    began = time.perf_counter()
    for number in range(inputs):
        which = rng.randrange(len(files))
        hostile = number % 2 == 1
        if hostile:
            payloads = list(files[which])
            victim = rng.randrange(len(payloads))
            payloads[victim] = mutated(payloads[victim], rng.choice(rng.choice(files)), rng)
            data = framed(payloads)
        else:
            data = mutated(frames[which], rng.choice(frames), rng)
        _tfrecord._CHUNK = rng.choice((chunk, chunk, rng.randint(50, 300)))
        counts["inputs"] += 1
        try:
            found = points(data)
            wrong = found ^ points(data, columnar=False) if hostile else found - written
        except Exception as fault:  # the one thing that this program is here to find
            counts[f"exceptions: {type(fault).__name__}"] += 1
            say(f"{number}: {fault!r}: {data.hex()}")
            continue
        counts["points"] += len(found)
        if wrong:
            counts["inputs with a wrong number"] += 1
            say(f"{number}: wrong {sorted(wrong)[:3]}: {data.hex()}")
        if number % 50_000 == 49_999:
            say(f"{number + 1:,} inputs, {time.perf_counter() - began:.0f} s")


def main() -> int:
    """Fuzz and print the counts; 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    counts: Counter[str] = Counter()
    began = time.perf_counter()
    try:
        fuzz(options.inputs, options.seed, lambda line: print(line, file=sys.stderr, flush=True), counts)
    except KeyboardInterrupt:
        print("interrupted")
    print(f"seconds: {time.perf_counter() - began:.0f} ({time.process_time():.0f} of a processor)")
    for name, count in counts.items():
        print(f"{name}: {count:,}")
    return int(any(name.startswith(("exceptions", "inputs with")) for name in counts))


if __name__ == "__main__":
    sys.exit(main())
