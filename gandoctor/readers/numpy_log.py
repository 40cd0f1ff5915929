"""NumPy files of losses: d_losses.npy, history.npz.

A .npy file is byte 93, `NUMPY`, a version, the length of a header, and the header, a Python literal:
{'descr': '<f8', 'fortran_order': False, 'shape': (240,), }. A .npz file is a zip of them.

Series take the name of the file or of the key in the archive; they have no steps, unless a column
beside them counts. Images, latents and labels are left alone. Arrays of objects hold a pickle,
which `pickles.py` reads as data.
"""

from __future__ import annotations

import lzma
import math
import struct
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from gandoctor.readers import loss_pickle
from gandoctor.readers.arrays import MAX_VALUES, columns_of, is_data_name, is_log_name, is_table, series_of
from gandoctor.readers.faults import Faults
from gandoctor.readers.head import Head
from gandoctor.readers.npy import (
    MAGIC,
    MAX_HEADER,
    NpyHeader,
    is_network,
    member_name,
    member_start,
    members_of,
    npy_header,
)
from gandoctor.run import LogProblem, RunParts, Series, Values

KIND = "log"
ORDER = 20

_MAX_BYTES = 16 * MAX_VALUES
_MAX_MEMBERS = 1_000
_BAD_ARCHIVE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, ValueError,
    struct.error,
)  # fmt: skip


def sniff(head: Head) -> bool:
    """Whether this is a table of losses, by the header of its (first) array and by names."""
    if head.data.startswith(MAGIC):
        return _is_log(head.data, head.path.stem, head.path)
    members = members_of(head.data)
    if not members or is_network(head.data):
        return False
    keys = [member_name(head.data, found) for found in members]
    if all(is_data_name(key) for key in keys):
        return False
    if any(is_log_name(key) for key in keys):
        return True
    name = f"{head.path.stem} {keys[0]}"
    return _is_log(member_start(head.data, members[0]), name, head.path)


def read(path: Path) -> list[RunParts]:
    """Read every table of numbers in a .npy or .npz file."""
    found = _Found(path, Faults(path))
    with path.open("rb") as file:
        is_array = file.read(len(MAGIC)) == MAGIC
        file.seek(0)
        if is_array:
            found.add_array(file, path.stem, path.stat().st_size)
        else:
            found.add_archive(file)
    series = series_of(found.columns, path) + found.series
    return [RunParts(series=series, problems=found.faults.problems() + found.problems)]


def _is_log(data: bytes, name: str, path: Path) -> bool:
    """Whether an array is a series or a table of losses, by its header and name."""
    try:
        header = npy_header(data)
    except ValueError:
        return False
    if header.dtype.hasobject:
        return loss_pickle.is_log(data[header.start :], path)
    if is_data_name(name) or not is_table(header.shape):
        return False
    if header.dtype.names is not None:
        return any(header.dtype[field].kind == "f" for field in header.dtype.names)
    # A narrow table without a telling name is as often points in the plane, and integers are labels.
    lone = header.dtype.kind == "f" and sum(size > 1 for size in header.shape) <= 1
    return header.dtype.kind in "iuf" and (lone or is_log_name(name))


@dataclass(slots=True)
class _Found:
    """What a file holds: columns by name, series and problems from the pickles of object arrays."""

    path: Path
    faults: Faults
    columns: dict[str, Values] = field(default_factory=dict)
    series: list[Series] = field(default_factory=list)
    problems: list[LogProblem] = field(default_factory=list)

    def add_archive(self, file: IO[bytes]) -> None:
        """Read the arrays of a .npz archive."""
        try:
            archive = zipfile.ZipFile(file)
        except _BAD_ARCHIVE as fault:
            self.faults.add("", "unreadable", f"not a whole zip archive: {fault}")
            return
        members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
        if len(members) > _MAX_MEMBERS:
            self.faults.add("", "too-large", f"of {len(members):,} arrays, {_MAX_MEMBERS:,} are read")
        for member in members[:_MAX_MEMBERS]:
            key = member.filename[:-4]
            try:
                with archive.open(member) as inner:
                    self.add_array(inner, key, member.file_size, place=f"array {key}")
            except (*_BAD_ARCHIVE, OSError) as fault:  # OSError: what bz2 raises for bad data
                self.faults.add(f"array {key}", "corrupt-record", str(fault) or "it ends early")

    def add_array(self, file: IO[bytes], name: str, size: int, place: str = "") -> None:
        """Read one array, if it is a table. size: of file or member, in bytes."""
        begin = file.read(MAX_HEADER)
        try:
            header = npy_header(begin)
        except ValueError as fault:
            self.faults.add(place, "corrupt-record", str(fault))
            return
        rest = begin[header.start :]
        if header.dtype.hasobject:
            parts = loss_pickle.parts_of_pickle(rest + file.read(loss_pickle.MAX_BYTES), self.path, name)
            self.series += parts.series
            self.problems += parts.problems
        elif math.prod(header.shape) > MAX_VALUES or header.bytes > _MAX_BYTES:
            self.faults.add(place, "too-large", f"{math.prod(header.shape):,} values are no series")
        elif is_table(header.shape) and not is_data_name(name):
            raw = (rest + file.read(max(0, min(header.bytes, size - header.start) - len(rest))))[
                : header.bytes
            ]
            values = self._values(header, raw, place)
            self.columns.update(columns_of(name, values))

    def _values(self, header: NpyHeader, raw: bytes, place: str) -> npt.NDArray[Any]:
        """The array; where the file is cut, the rows that are there."""
        shape = header.shape
        if len(raw) < header.bytes:
            rows = len(raw) // (header.bytes // shape[0])
            if header.fortran and len(shape) > 1:
                rows = 0  # column after column: no row is whole
            self.faults.add(place, "truncated", f"{shape[0]:,} rows in the header, {rows:,} in the file")
            shape = (rows, *shape[1:])
        values = np.frombuffer(raw, header.dtype, count=math.prod(shape))
        return values.reshape(shape, order="F" if header.fortran else "C")
