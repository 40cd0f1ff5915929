r"""From the bytes of a text log to clean lines, a chunk at a time.

What a terminal would not show is taken out: colours and cursor movements, backspaces, byte order
marks, carriage returns (each begins a line of its own: a redrawn bar is many lines). NUL bytes end
a line: a machine that dies leaves a tail of them. Full-width punctuation becomes plain (`：` is `:`).

A line's number counts the lines that end in `\n`, `\r\n` or `\r`.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gandoctor.run import LogProblem

CHUNK_BYTES = 1 << 20
LONGEST_LINE = 1 << 16  # characters; a longer line is no record of a log, and is not kept in memory

_BOMS = (  # UTF-32 before UTF-16: its mark begins like that
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_INVISIBLE = re.compile(
    r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[@-Z\\^_=>78])?|[\x07\x08]"
)
_PLAIN = (
    ("：", ":"), ("，", ","), ("（", "("), ("）", ")"), ("【", "["), ("】", "]"), ("＝", "="), ("；", ";"),
    ("％", "%"), ("\u2212", "-"), ("\u00a0", " "), ("\u3000", " "), ("\ufeff", ""),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some whole lines. first: the number of the first, from 1. ended: the last one had a line end."""

    first: int
    lines: list[str]
    ended: bool = True


def clean(text: str) -> str:
    r"""Text as a terminal shows it, with `\n` as the only line end.

    >>> clean("\x1b[1m1/2\x1b[0m\rD：0.5\r\n")
    '1/2\nD:0.5\n'
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\x1b" in text or "\b" in text or "\a" in text:
        text = _INVISIBLE.sub("", text)
    if not text.isascii():
        for wide, narrow in _PLAIN:
            text = text.replace(wide, narrow)
    return text


def chunks(path: Path, problems: list[LogProblem]) -> Iterator[Chunk]:
    """The lines of a file. What could not be read goes into `problems`. Raises OSError."""
    with path.open("rb") as file:
        yield from Splitter(path, problems).run(file)


class Splitter:
    """Cuts a stream of bytes into chunks of whole lines, in bounded memory."""

    def __init__(self, path: Path, problems: list[LogProblem]) -> None:
        self.path = path
        self.problems = problems
        self.line = 1  # the number of the next line to be given
        self.nuls = 0
        self.nul_line = 0
        self.bad = 0
        self.bad_line = 0
        self.dropping = False  # inside a line that is too long
        self.rest = b""
        self.after_end = True  # whether the last byte seen was a line end

    def run(self, file: BinaryIO) -> Iterator[Chunk]:
        """The lines of a file to its end."""
        for data in _as_utf8(file):
            yield from self.feed(data)
        if self.rest or self.dropping:
            yield self._chunk(self.rest, ended=False)
        self.problems += self.faults()

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """The lines that have their end with the next bytes of a file, which are UTF-8."""
        data, self.after_end = self._without_nuls(data, self.after_end, self.rest)
        data = self.rest + data
        cut = _last_line_end(data)
        whole, self.rest = data[:cut], data[cut:]
        if whole:
            yield self._chunk(whole, ended=True)
        if len(self.rest) > 4 * LONGEST_LINE:  # UTF-8 has up to four bytes a character
            self._too_long()
            self.dropping, self.rest = True, b""

    def _without_nuls(self, data: bytes, after_end: bool, rest: bytes) -> tuple[bytes, bool]:
        """NUL bytes become one line end, or nothing where a line has just ended."""
        if b"\0" in data:
            if not self.nuls:
                before = clean((rest + data[: data.index(b"\0")]).decode("utf-8", "replace"))
                self.nul_line = self.line + before.count("\n")
            self.nuls += data.count(b"\0")
            data = re.sub(rb"(\A|[\r\n])?\0+", lambda m: _nul_end(m, after_end), data)
        return data, data[-1:] in (b"\n", b"\r") if data else after_end

    def _chunk(self, data: bytes, ended: bool) -> Chunk:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as fault:
            text = data.decode("utf-8", "replace")
            if not self.bad:
                before = data[: fault.start].decode("utf-8", "replace")
                self.bad_line = self.line + clean(before).count("\n")
            self.bad += text.count("\ufffd")
        lines = clean(text).split("\n")
        if ended:
            lines.pop()
        if self.dropping and lines:  # the end of a line that was too long
            lines[0] = ""
            self.dropping = not ended and len(lines) == 1
        first = self.line
        if max(map(len, lines), default=0) > LONGEST_LINE:
            for number, line in enumerate(lines):
                if len(line) > LONGEST_LINE:
                    self.line = first + number
                    self._too_long()
                    lines[number] = ""
        self.line = first + len(lines)
        return Chunk(first, lines, ended)

    def _too_long(self) -> None:
        if not self.dropping:
            message = f"a line of more than {LONGEST_LINE:,} characters was not read"
            self.problems.append(LogProblem(self.path, f"line {self.line}", "long-line", message))

    def faults(self) -> list[LogProblem]:
        """What was wrong with the bytes so far."""
        found = []
        if self.nuls:
            message = f"{self.nuls:,} NUL bytes: the machine may have died while it wrote"
            found.append(LogProblem(self.path, f"line {self.nul_line}", "nul-bytes", message))
        if self.bad:
            message = f"{self.bad:,} places are not UTF-8, the first one here"
            found.append(LogProblem(self.path, f"line {self.bad_line}", "bad-bytes", message))
        return found


def _nul_end(found: re.Match[bytes], after_end: bool) -> bytes:
    before = found[1]
    if before is None:
        return b"\n"
    return before if before else (b"" if after_end else b"\n")


def _as_utf8(file: BinaryIO) -> Iterator[bytes]:
    """The file's bytes as UTF-8, by its byte order mark."""
    data = file.read(CHUNK_BYTES)
    mark, encoding = next(((mark, name) for mark, name in _BOMS if data.startswith(mark)), (b"", "utf-8"))
    if encoding == "utf-8":
        data = data[len(mark) :]
        while data:
            yield data
            data = file.read(CHUNK_BYTES)
        return
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    while data:
        yield decoder.decode(data).encode("utf-8", "replace")
        data = file.read(CHUNK_BYTES)
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")


def _last_line_end(data: bytes) -> int:
    """Where the last whole line ends. A carriage return at the very end may have more to come."""
    return max(data.rfind(b"\n"), data.rfind(b"\r", 0, len(data) - 1)) + 1
