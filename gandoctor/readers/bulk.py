"""Many lines of one shape at once: what `record.py` says of one of them holds for all.

The shape is proved, not guessed: without the characters that numbers are made of, the lines must be
equal, and the stretches of such characters must stand at the same places between the others. What
stands there is then read as numbers by a parser of JSON (exact, and ten times as fast as `float`),
or by `float` where JSON has no such spelling (`+0.5`, `00.42`, `1.`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import orjson

from gandoctor.readers.columns import is_counter
from gandoctor.readers.record import Field, Record
from gandoctor.run import Values

FEWEST_LINES = 32

_DIGITS = b"0123456789.+-"
_RUN = re.compile(r"[0-9.+-]+")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")
_DIGIT_RUN = re.compile(rb"[0-9]+")
_EXPONENT = re.compile(r"[0-9.+-]+[eE][0-9+-]+")
_TIMES = re.compile(r"(?:(?:19|20)\d\d-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:\n|\Z))++", re.ASCII)
_HIDDEN = bytes(range(0x0E, 0x0E + len(_DIGITS)))  # control characters that stand for digits in names
_HIDE = bytes.maketrans(_DIGITS, _HIDDEN)
_IS_DIGIT = bytes(byte in _DIGITS for byte in range(256))
_BLANK = bytes(byte if byte in _DIGITS else 0x20 for byte in range(256))
_WIDEST_SKIP = 40
_WIDEST_COUNT = 12


def skeletons(lines: Sequence[str]) -> list[bytes]:
    """What is left of each line without its digits: lines of one shape have one skeleton."""
    text = "\n".join(lines).encode("utf-8", "surrogatepass")
    return text.translate(None, _DIGITS).split(b"\n")


def can_read(line: str, record: Record) -> bool:
    """Whether lines of the shape of this one may be read at once. record: what `record_of` gives for it."""
    simple = record.rigid and bool(record.fields) and not record.garbled and record.bar is None
    return simple and _runs(line, record) is not None


def columns_of(lines: Sequence[str], record: Record) -> tuple[list[Values], Values | None] | None:
    """The values of every field of `record` for all lines, and their times; None: read them one by one.

    record: what `record_of` gives for the first line.
    """
    runs = _runs(lines[0], record) if can_read(lines[0], record) else None
    if runs is None:
        return None
    owners, digits, others, names = runs
    block = ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")
    if len(block.translate(None, _HIDDEN)) != len(block):
        return None
    for name in names:
        block = block.replace(name, name.translate(_HIDE))
    edges = _edges(block, len(lines), len(owners))
    if edges is None:
        return None
    alike = _are_digits(block, edges, digits) and _are_alike(block, edges, others)
    table = _numbers(block, edges, owners) if alike else None
    if table is None:
        return None
    walls = None
    if record.stamp is not None:
        walls = _walls(lines, record, edges, owners)
        if walls is None:
            return None
    found = []
    kept = [owner for owner in dict.fromkeys(owners) if owner >= 0]
    for place, field in enumerate(record.fields):
        if place in kept:
            values = np.ascontiguousarray(table[:, kept.index(place)])
            found.append(values / 100 if _is_percent(lines[0], field) else values)
        else:
            found.append(np.full(len(lines), field.value))  # nan, inf: letters, the same in all lines
    return found, walls


_SKIP, _STAMP = -1, -2  # owners of a stretch of digits that is no field


def _runs(line: str, record: Record) -> tuple[list[int], list[int], list[int], list[bytes]] | None:
    """Which field owns each stretch of digits, which must be digits alone, which are no numbers (`1-9`),
    and names that have digits.

    A stretch that belongs to letters (`G_L1`) is part of the shape. A number that stands alone and is
    none of the log's must be one in all lines, too: it gets an owner of its own, after the fields.
    """
    owners: list[int] = []
    digits: list[int] = []
    no_numbers: list[int] = []
    names: dict[bytes, None] = {}
    others = len(record.fields)
    for run in _RUN.finditer(line):
        owner = _owner(run, record)
        if owner is None:
            return None
        if owner == _SKIP:
            name = _name_around(line, run)
            if name:
                names[name.encode("utf-8", "surrogatepass")] = None
                continue
            if _NUMBER.fullmatch(run[0]):
                owner, others = others, others + 1
            else:
                no_numbers.append(len(owners))
        counter = owner >= len(record.fields) or (owner >= 0 and _is_counter(record.fields[owner]))
        if counter and run[0].isdigit():
            digits.append(len(owners))
        owners.append(owner)
    whole = all(
        _is_whole(line[field.start : field.end], owners.count(place))
        for place, field in enumerate(record.fields)
    )
    return (owners, digits, no_numbers, list(names)) if whole else None


def _name_around(line: str, run: re.Match[str]) -> str:
    """The word or dash that a stretch of digits and signs belongs to, "" if it stands alone."""
    start, end = run.span()
    while start > 0 and (line[start - 1].isalnum() or line[start - 1] in "_.+-"):
        start -= 1
    while end < len(line) and (line[end].isalnum() or line[end] in "_.+-"):
        end += 1
    word = line[start:end]
    if any(letter.isalpha() or letter == "_" for letter in word):
        return word
    if not any(map(str.isdigit, word)):  # a dash between words
        return line[max(0, start - 1) : end + 1]
    return ""


def _is_whole(text: str, runs: int) -> bool:
    """Whether a field is one stretch of digits, two with an exponent's letter between, or a word (nan)."""
    if runs == 2:
        return _EXPONENT.fullmatch(text) is not None
    return _RUN.fullmatch(text) is not None if runs else text.isalpha()


def _owner(run: re.Match[str], record: Record) -> int | None:
    start, end = run.span()
    if record.stamp is not None and start < record.stamp[1] and end > record.stamp[0]:
        further = run[0][max(0, record.stamp[1] - start) :]
        return None if any(map(str.isdigit, further)) else _STAMP  # 23:25:44,3.0: the time ends within
    for place, field in enumerate(record.fields):
        if start < field.end and end > field.start:
            return place if field.start <= start and end <= field.end else None
    return _SKIP


def _edges(block: bytes, lines: int, runs: int) -> npt.NDArray[np.int64] | None:
    """Where each stretch of digits begins and ends, int64 (lines, 2 · runs); None if shapes differ."""
    skeleton = block.translate(None, _DIGITS)
    if not runs or skeleton != skeleton[: skeleton.index(b"\n") + 1] * lines:
        return None
    is_digit = np.frombuffer(block.translate(_IS_DIGIT), np.bool_)
    places = np.flatnonzero(is_digit[1:] != is_digit[:-1]) + 1
    if is_digit[0]:
        places = np.concatenate([[0], places])
    if len(places) != 2 * runs * lines:
        return None
    edges = places.reshape(lines, 2 * runs)
    between = edges[:, 2::2] - edges[:, 1:-1:2]
    ends = edges[1:, 0] - edges[:-1, -1]  # from the last digit of a line to the first of the next
    around = edges[0, 0] + block.index(b"\n") + 1 - edges[0, -1]
    if np.any(between != between[0]) or np.any(ends != around):
        return None
    return edges


def _is_counter(field: Field) -> bool:
    return is_counter(field.name) or "\0" in field.name


def _are_digits(block: bytes, edges: npt.NDArray[np.int64], places: Sequence[int]) -> bool:
    """Whether the stretches at these places are digits without sign or point, in all lines."""
    letters = np.frombuffer(block, np.uint8)
    for place in places:
        starts, widths = edges[:, 2 * place], edges[:, 2 * place + 1] - edges[:, 2 * place]
        for step in range(int(widths.max())):
            found = letters[(starts + step)[step < widths]]
            if step >= _WIDEST_COUNT or np.any((found < 0x30) | (found > 0x39)):
                return False
    return True


def _are_alike(block: bytes, edges: npt.NDArray[np.int64], places: Sequence[int]) -> bool:
    """Whether the stretches at each of these places differ in their digits only: `-9` is no `1-9`."""
    for place in places:
        found = {block[start:end] for start, end in edges[:, 2 * place : 2 * place + 2].tolist()}
        if len({_DIGIT_RUN.sub(b"0", text) for text in found}) > 1:
            return False
    return True


def _numbers(
    block: bytes, edges: npt.NDArray[np.int64], owners: Sequence[int]
) -> npt.NDArray[np.float64] | None:
    """The numbers of the fields, float64 (lines, fields); None if one does not parse."""
    text = bytearray(block.translate(_BLANK))
    letters = np.frombuffer(text, np.uint8)
    kept = 0
    last = 0
    for place, owner in enumerate(owners):
        starts, ends = edges[:, 2 * place], edges[:, 2 * place + 1]
        if owner < 0:
            widths = ends - starts
            if widths.max() > _WIDEST_SKIP:
                return None
            for step in range(int(widths.max())):
                letters[(starts + step)[step < widths]] = 0x20
        elif place + 1 < len(owners) and owners[place + 1] == owner:
            letters[ends] = ord("e")  # its exponent follows
        else:
            letters[ends] = ord(",")
            kept, last = kept + 1, int(ends[-1])
    letters[last] = 0x20
    raw = bytes(text)
    # JSON's whole numbers have no minus zero.
    flat = None if b"-" in raw and (b"-0," in raw or b"-0 " in raw) else _from_json(raw)
    if flat is None:
        try:
            flat = np.array(list(map(float, raw.split(b","))), dtype=np.float64)
        except ValueError:
            return None
    return flat.reshape(len(edges), kept) if flat.shape == (len(edges) * kept,) else None


def _from_json(raw: bytes) -> Values | None:
    try:
        return np.array(orjson.loads(b"[" + raw + b"]"), dtype=np.float64)
    except orjson.JSONDecodeError:
        return None


def _walls(
    lines: Sequence[str], record: Record, edges: npt.NDArray[np.int64], owners: Sequence[int]
) -> Values | None:
    """The time of each line, seconds since 1970; None if the times are not all written alike."""
    assert record.stamp is not None
    last = max(place for place, owner in enumerate(owners) if owner == _STAMP)
    widths = edges[:, 1 : 2 * last + 2 : 2] - edges[:, : 2 * last + 1 : 2]
    if np.any(widths != widths[0]):
        return None
    start, end = record.stamp
    text = "\n".join(line[start:end] for line in lines)
    text = text.replace(",", ".").replace("/", "-").replace("_", " ")
    if _TIMES.fullmatch(text) is None:  # numpy would take "+026-03-06" and, with a warning, time zones
        return None
    try:
        times = np.array(text.split("\n"), dtype="datetime64[us]")
    except ValueError:
        return None
    walls: Values = times.astype(np.int64) / 1e6
    return walls if abs(walls[0] - (record.wall_time or 0.0)) < 1e-3 else None


def _is_percent(line: str, field: Field) -> bool:
    return re.match(r" ?%", line[field.end : field.end + 2]) is not None
