"""Opens a checkpoint as data: dicts, lists, numbers, text, tensors that stay in the file, inert records.

**Nothing from a checkpoint is ever executed**, and PyTorch is not needed. What a pickle names
beyond plain containers, numbers and tensors becomes an `Inert` record that keeps its arguments and
state: an argparse.Namespace is one whose state is a dict of hyperparameters.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gandoctor.contents._arrays import read_npz, read_safetensors
from gandoctor.contents._torch import LEGACY_START, read_legacy, read_pickle, read_zip
from gandoctor.contents.tensors import File, Inert, Part, Tensor, Unreadable

__all__ = ["Inert", "Tensor", "Unreadable", "open_checkpoint"]

_KERAS = "load it in Keras and save `{w.path: w.numpy() for w in model.weights}` with np.savez"
_EXPORT = {
    "hdf5": f"an HDF5 file is not read: {_KERAS}",
    "keras": f"a .keras file is not read: {_KERAS}",
    "distcp": "a checkpoint in shards (torch.distributed.checkpoint, FSDP) is not read: make one file of its folder "
    "by `torch.distributed.checkpoint.format_utils.dcp_to_torch_save(folder, 'whole.pt')`",
    "tensorflow": "a TensorFlow checkpoint is not read: with `r = tf.train.load_checkpoint(path)`, save "
    "`{name: r.get_tensor(name) for name in r.get_variable_to_shape_map()}` with np.savez",
}


def _pickle(file: Part) -> object:
    start = file.read(0, min(file.size, len(LEGACY_START)))
    return read_legacy(file) if start == LEGACY_START else read_pickle(file)


_READERS: dict[str, Callable[[Part], object]] = {
    "torch": read_zip,
    "torch-legacy": read_legacy,
    "pickle": _pickle,
    "safetensors": read_safetensors,
    "npz": read_npz,
}


def open_checkpoint(path: Path, format: str) -> object:
    """The tree of a checkpoint: nested dict, list, tuple, text, number, None, Tensor and Inert.

    format: as `readers/checkpoint_file.py` names it, or "npz". Sets are lists; numpy scalars and
    bytes are Python's; paths, dates, torch.device and torch.dtype are text. A tensor that cannot be
    read says so in `problem`, and the rest is still there. Byte strings of 4 KB and more that are no
    array's stay in the file as a `Part`. Raises Unreadable for the file as a whole.
    """
    if format in _EXPORT:
        raise Unreadable("", _EXPORT[format])
    if format not in _READERS:
        raise Unreadable("", f"checkpoints of the format {format!r} are not read")
    file = File.of(path)
    if file.size == 0:
        raise Unreadable("", "the file is empty")
    return _READERS[format](Part(file, 0, file.size))
