"""What the tests of text readers share: files that went wrong, and the numbers that stand in one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import numpy as np
from hypothesis import strategies as st

from gandoctor.readers.head import Head, head_of
from gandoctor.readers.numbers import NUMBER
from gandoctor.run import RunParts


class Reader(Protocol):
    def sniff(self, head: Head) -> bool: ...
    def read(self, path: Path) -> list[RunParts]: ...


@st.composite
def mangled(draw: st.DrawFn, *files: bytes) -> bytes:
    """One of some files with bytes cut off, overwritten, put in or doubled."""
    data = bytearray(draw(st.sampled_from(files)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        junk = draw(
            st.one_of(
                st.binary(max_size=8),
                st.sampled_from([b"\0\0", b"\n", b"\r\n", b",", b'"', b"nan", b"[", b"{", b"}", b"]", b"#"]),
            )
        )
        match draw(st.sampled_from(["cut", "overwrite", "insert", "repeat", "drop"])):
            case "cut":
                del data[at:]
            case "overwrite":
                data[at : at + len(junk)] = junk
            case "insert":
                data[at:at] = junk
            case "repeat":
                data[at:at] = data[: at // 2]
            case _:
                del data[at : at + draw(st.integers(1, 40))]
    return bytes(data)


def numbers_in(data: bytes) -> set[float]:
    """Every number that a file shows, wherever it begins; NUL bytes do not part numbers."""
    text = data.replace(b"\0", b"").decode("latin-1")
    found = set()
    for start in re.finditer(r"(?<![\d.])[-+]?[.\d]|(?<=[\d.])\d", text):
        number = re.compile(NUMBER).match(text, start.start())
        if number is not None:
            found.add(float(number[0]))
    return found


def check_reads(reader: Reader, path: Path, data: bytes) -> list[RunParts]:
    """Read `data`; every number must stand in it, and every series be whole."""
    path.write_bytes(data)
    reader.sniff(head_of(path))
    parts = reader.read(path)
    shown = numbers_in(data)
    for part in parts:
        for one in part.series:
            assert len(one.steps) == len(one.values) == len(one.order)
            assert np.all(np.diff(one.order) >= 0)
            unseen = [value for value in one.values[np.isfinite(one.values)] if value not in shown]
            assert not unseen, (one.tag, unseen)
        assert all(problem.file == path and problem.kind and problem.message for problem in part.problems)
    return parts


def kinds(parts: Iterable[RunParts]) -> list[str]:
    """The kinds of the problems, in order."""
    return [problem.kind for part in parts for problem in part.problems]
