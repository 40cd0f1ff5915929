"""Histograms of tensors in event files: the bins as PyTorch makes them, the file by TensorBoard's own classes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from gandoctor.readers.load import load_all
from gandoctor.run import Run, Values

WALL = 1.7e9
_UP = 1e-12 * 1.1 ** np.arange(774)
EDGES = np.concatenate([-_UP[::-1], [0.0], _UP])  # torch.utils.tensorboard's bins="tensorflow"
_KEPT = tempfile.TemporaryDirectory(prefix="gandoctor-histograms-")  # to the end of the tests


def proto(values: Values) -> HistogramProto:
    """A histogram as SummaryWriter.add_histogram logs it."""
    counts, edges = np.histogram(values, bins=EDGES)
    held = np.flatnonzero(counts)
    first, last = max(int(held[0]) - 1, 0), int(held[-1])
    return HistogramProto(
        min=values.min(), max=values.max(), num=len(values), sum=values.sum(), sum_squares=values @ values,
        bucket_limit=edges[first + 1 : last + 2], bucket=counts[first : last + 1],
    )  # fmt: skip


def write(path: Path, events: Iterable[tuple[int, Iterable[Summary.Value]]]) -> Path:
    """An event file with the values of each step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(wall_time=WALL, file_version="brain.Event:2").SerializeToString())
        for step, values in events:
            for value in values:
                event = Event(wall_time=WALL + step, step=step, summary=Summary(value=[value]))
                writer.write(event.SerializeToString())
        writer.flush()
    return path


def histogram_run(
    tensors: Mapping[str, Iterable[Values]], scalars: Mapping[str, Iterable[float]] | None = None, every: int = 100
) -> Run:  # fmt: skip
    """A run with losses that logs one histogram a tag at every `every` steps, read from its file.

    tensors: tag → the values of a tensor at each logged step.
    """
    folder = Path(tempfile.mkdtemp(dir=_KEPT.name))
    columns = {tag: list(rows) for tag, rows in tensors.items()}
    logged = {tag: list(rows) for tag, rows in (scalars or {}).items()}
    length = max(map(len, [*columns.values(), *logged.values()]))
    losses = np.random.default_rng(0).normal([1.3, 0.8], 0.05, (length, 2))

    def values(at: int) -> Iterable[Summary.Value]:
        yield Summary.Value(tag="loss/D", simple_value=losses[at, 0])
        yield Summary.Value(tag="loss/G", simple_value=losses[at, 1])
        for tag, rows in logged.items():
            yield Summary.Value(tag=tag, simple_value=rows[at])
        for tag, tensor in columns.items():
            if at < len(tensor):
                yield Summary.Value(tag=tag, histo=proto(np.asarray(tensor[at], np.float64)))

    write(
        folder / "events.out.tfevents.1700000000.host.1.0", ((at * every, values(at)) for at in range(length))
    )
    [run] = load_all(folder)
    return run
