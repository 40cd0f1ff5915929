"""Saved weights: found here, opened by `contents/checkpoint.py`.

torch zip (`PK`, an entry `ROOT/data.pkl`), torch legacy (a pickled magic number), safetensors
(u64le length of a JSON header), HDF5, Keras 3 (`PK`, an entry `model.weights.h5`), TensorFlow's
`X.index`, .npz archives of weights (names such as `predictor/conv1/W`), pickles of models such as StyleGAN's
`network-snapshot-000040.pkl`, and the shards of torch.distributed.checkpoint (`step_100/__0_0.distcp`: several
archives in a row, of which the first stands for the folder).
"""

from __future__ import annotations

from pathlib import Path

from gandoctor.readers.head import Head, head_of
from gandoctor.readers.names import split_step
from gandoctor.readers.npy import is_network
from gandoctor.readers.pickles import is_pickle
from gandoctor.run import Checkpoint, LogProblem, RunParts

KIND = "checkpoint"
ORDER = 30

_LEGACY = bytes.fromhex("80028a0a6cfc9c46f920")
_TF_TABLE = bytes.fromhex("57fb808b247547db")  # the last 8 bytes of a table file
_MAX_HEADER = 100_000_000  # the safetensors library's own limit
_MODEL_LIBRARIES = (b"torch", b"dnnlib", b"tensorflow", b"keras", b"chainer", b"jax", b"flax", b"paddle")


def sniff(head: Head) -> bool:
    """Whether these are saved weights of a kind we know by its first bytes."""
    return _format(head) is not None


def read(path: Path) -> list[RunParts]:
    """One reference to the file, with the step that its name tells."""
    form = _format(head_of(path))
    if form is None:
        problem = LogProblem(path, "", "unreadable", "not a checkpoint of a known format")
        return [RunParts(problems=[problem])]
    return [RunParts(checkpoints=[Checkpoint(path, split_step(path.name)[1], form)])]


def _format(head: Head) -> str | None:
    data = head.data
    if head.name.endswith(".distcp"):
        return "distcp" if head.name == "__0_0.distcp" else None
    if data.startswith(b"PK\x03\x04"):
        if b"data.pkl" in data[:512]:
            return "torch"
        if is_network(data):
            return "npz"
        return "keras" if head.name.endswith(".keras") else None
    if data.startswith(_LEGACY):
        return "torch-legacy"
    if data.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5"
    if data[8:10] == b'{"' and 2 <= int.from_bytes(data[:8], "little") <= min(_MAX_HEADER, head.size - 8):
        return "safetensors"
    if head.name.endswith(".index") and (
        data.endswith(_TF_TABLE) or (head.size > len(data) and b"\0" in data)
    ):
        return "tensorflow"
    if is_pickle(data) and is_model(head):
        return "pickle"
    return None


def is_model(head: Head) -> bool:
    """Whether a pickle holds networks: by StyleGAN's file name, or by a library that it names."""
    return head.name.startswith("network-snapshot-") or any(name in head.data for name in _MODEL_LIBRARIES)
