# ruff: noqa: E501 (lines of logs as they are printed)
"""Broken text logs by the million: `python tests/bench/fuzz_text.py --inputs N [--seed S]`.

Each input is a log of some known shape with random damage, or random bytes; most have a few lines, one
in two hundred has a hundred. Reading must not raise, must take no longer than `SLOWEST` seconds, must give
only numbers that stand in the text, and must give the same whether lines are read one by one or many at
once, from one piece of the file or from many small ones. To meet that with small inputs, too, a seventh of
them is read again in pieces of 16 to 300 bytes, and three lines are "many" there. Prints what was found,
also when it is interrupted, and exits with 1 if anything was.
"""

from __future__ import annotations

import argparse
import codecs
import collections
import functools
import json
import math
import random
import re
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from gandoctor.readers import bulk, lines, notebook, positional, text
from gandoctor.readers.head import head_of
from gandoctor.readers.lines import clean
from gandoctor.run import RunParts

SLOWEST = 2.0
_MOST_KEPT = 20  # inputs of one kind of failure
_SIZES = (*([1, 2, 2, 3, 3, 4] * 63), *([8, 12] * 8), 60, 120)  # lines

Maker = Callable[[int, random.Random], str]
SHAPES: tuple[Maker, ...] = (
    lambda i, r: f"(epoch: {i // 9 + 1}, iters: {i % 9 * 100}, time: 0.1) G_GAN: {r.random():.3f} G_L1: {r.gauss(0, 9):.3f} ",
    lambda i, r: f"[Epoch {i // 9}/200] [Batch {i % 9}/9] [D loss: {r.random():f}, acc.: {r.random():.2%}] [G loss: {r.random():f}]",
    lambda i, r: f"[{i // 9}/25][{i % 9}/9] Loss_D: {r.random():.4f} D(x): {r.random():.4f} D(G(z)): {r.random():.4f} / {r.random():.4f}",
    lambda i, r: f"INFO:2026-03-0{i % 9 + 1} 23:25:4{i % 10},{i % 900 + 99}: Step [{i}/99], Adv Loss: {r.gauss(0, 1e-4):.3g}",
    lambda i, r: f"2023-03-26 21:08:35,153\t32k\tINFO\t[{r.random()}, {r.random()}, 3.2, 1.1, 0.2, {i}, 0.0001]",
    lambda i, r: f"Epoch {i // 9}: {i % 9}0%|## | {i % 9}/9 [00:12<00:10, 3.2it/s, d_loss={r.random():.3f}, g={r.random():.3f}]",
    lambda i, r: f"{i % 9 + 1}/9 [==>..] - ETA: 1:0{i % 9} - d_loss: {r.random():.4f} - g_loss: {r.random():.4f}",
    lambda i, r: f"step: {i} loss: tensor({r.random():.4f}, device='cuda:0', grad_fn=<AddBackward0>) lr: {r.random():.1e}",
    lambda i, r: f"tick {i}   kimg {i * 4}.0   time {i}m 0{i % 9}s   sec/tick {r.random():.2f}   augment {r.random():.3f}",
    lambda i, r: f"iter {i}\tdisc cost\t{r.gauss(0, 3):.5f}\tgen cost\t{r.gauss(0, 3):.5f}",
    lambda i, r: f"[{'ab'[i > 40]}] epoch {i % 41} | D: {r.choice(['nan', 'inf', '-inf', '1.#IND', '0.5'])} | G: {r.random():+.3f}",
    lambda i, r: f"iter: {i * 300:8,}, lr:(2.000e-04,), l_g: {r.random():.4e} time (data): {r.random():.3f} (0.2)",
    lambda i, r: f"损失：[{r.random()}, 1.5, 2.5, 3.5, 4.5]，步数：{i}，学习率：0.0001",
    lambda i, r: f"{r.random()} {r.random()}",
    lambda i, r: f"{i} {i * 10} {r.random()} {r.random()} {r.random()} {r.random()} {r.random()}",
    lambda i, r: f"{i * 50}: {r.gauss(0, 3):.3e}",
    lambda i, r: f"[{'vanilla' if i < 3 else 'lsgan'}] Epoch [{i}/9], d_loss: {r.random():.4f}, g_loss: {r.random():.4f}, D(x): {r.random():.2f}, D(G(z)): {r.random():.2f}",
    lambda i, r: f"{'val' if i % 2 else 'train'} | epoch {i // 2} | loss_D {r.random():.3f} | loss_G {r.random():.3f} | lr {r.random():.1e}",
    lambda i, r: f"step {i} losses: [{r.random():.3f}, {r.random():.3f}] scale=({r.random():.2f}, {i}) n={i * 1000:,} t={i}m",
    lambda i, r: f"{i}epoch:train:{i * 50}-{i * 50 + 50}batch: iter_time={r.random():.3e}, generator_loss={r.gauss(0, 9):.3f}, optim0_lr0={r.random():.3e}",
    lambda i, r: r.choice(("", "---- Options ----", f"batch_size: {i}", "lr: 0.0002 [default: 0.1]", "----- End -----", "=== Training Loss (today) ===", f"resuming training from: ckpt_{i}.pt", f"Namespace(lr={r.random():.4f}, n={i}, d='x')", f"{{'lr': {r.random():.3f}, 'name': 'run{i}'}}", f"loss: {r.random():.3f} step: {i}")),
)  # fmt: skip
_PIECES = (
    b"\0", b"\r", b"\n", b"\x1b[1m", b"\x1b[", b"\b", b"\xff", b"\xe5\xa4", b"nan", b"1e", b"-", b"--", b"..", b":", b"=", b"(",
    b")", b"[", b"]", b"{", b"}", b"'", b",", b"/", b"%", b"|", b"\t", b"  ", b"tensor(", b"Namespace(a=1, b='x')",
    b"{'a': {'b': 1}}", b"==== Training Loss ====", b"---- Options ----", b"1,234", b"12:30:01", b"Epoch 3",
    "：".encode(), "−".encode(), b"\x0e", b"\x85", "\u2028".encode(), b"1.#INF", b"999999999999999999999", b"1e999",
)  # fmt: skip
_NUMBERS = (
    b"nan", b"-inf", b"1e400", b"-0", b"00.5", b"1.", b".5", b"+3", b"1e-320", b"0x1f", b"1_000", b"1,000", b"1,000.5", b"--1",
    b"9007199254740993", b"-1", b"1e5", b"1E+05", b"5%", b"3/4", b"3 / 4", b"1.2.3", b"1-2", b"12:30", b"None", b"'1'", b"[1]",
    "٣".encode(), "１".encode(), b"0" * 400, b"1" * 400, b"1e", b"1.#QNAN", b"1.5e3e2", b"tensor(0.5)", b"", b"3.0", b"2e0",
)  # fmt: skip
_SIGNS = (
    b":",
    b"=",
    b" ",
    b"\t",
    b",",
    b";",
    b"|",
    b"[",
    b"]",
    b"(",
    b")",
    b"/",
    b"-",
    b" : ",
    b"  ",
    b".",
    b"loss",
    b"step",
)
_DIGITS = re.compile(rb"[-+]?[0-9.]+")
NAMES = ("train.log", "loss_log.txt", "d_loss.txt", "log_edge.dat", "G_loss.log", "out.ipynb")
_PLAIN = re.compile(r"(?=([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?))", re.ASCII)
_TOKEN = re.compile(_PLAIN.pattern[4:-2], re.ASCII)
_GROUPED = re.compile(r"(?=([-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?))", re.ASCII)


def made(rng: random.Random) -> bytes:
    """One input: lines of one to three shapes, then damage; now and then random bytes."""
    if rng.random() < 0.03:
        return rng.randbytes(rng.randrange(1, 600))
    shapes = rng.sample(SHAPES, rng.choice((1, 1, 1, 2, 3)))
    end = rng.choice(("\n", "\n", "\n", "\r\n", "\r"))
    lines = [shapes[i % len(shapes)](i, rng) for i in range(rng.choice(_SIZES))]
    data = bytearray((end.join(lines) + end).encode())
    for _ in range(rng.choice((0, 1, 1, 2, 5, 20))):
        damage(data, rng)
    if rng.random() < 0.03:
        printed = bytes(data).decode("utf-8", "replace")
        return printed.encode(rng.choice(("utf-16", "utf-16", "utf-8-sig", "utf-32", "gb18030")), "replace")
    return bytes(data)


def damage(data: bytearray, rng: random.Random) -> None:
    """One random change."""
    at = rng.randrange(len(data) + 1)
    kind = rng.randrange(13)
    if kind == 0:
        data[at : at + rng.choice((1, 1, 3, 40))] = b""
    elif kind == 1:
        data[at:at] = rng.choice(_PIECES) * rng.choice((1, 1, 1, 50))
    elif kind == 2 and at < len(data):
        data[at] = rng.randrange(256)
    elif kind == 3:
        other = rng.randrange(len(data) + 1)
        data[at:at] = data[other : other + rng.randrange(60)]
    elif kind == 4:
        if rng.random() < 0.3:
            del data[at:]
    elif kind == 5 and at < len(data):
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 6:  # two lines become one
        place = data.find(b"\n", at)
        if place >= 0:
            data[place : place + 1] = rng.choice((b"", b" ", b"\r"))
    elif kind == 7:  # a line is written twice, or is lost
        start, stop = data.rfind(b"\n", 0, at) + 1, data.find(b"\n", at) + 1
        if stop > start:
            data[start:stop] = data[start:stop] * rng.choice((0, 2, 2, 3))
    elif kind == 8:  # another number, or what is none
        found = list(_DIGITS.finditer(data, at, at + 200))
        if found:
            start, stop = rng.choice(found).span()
            data[start:stop] = rng.choice(_NUMBERS)
    elif kind == 9:  # another sign, everywhere
        old, new = rng.choice(_SIGNS), rng.choice(_SIGNS)
        data[:] = data.replace(old, new)
    elif kind == 10:  # what a machine that dies leaves
        data[at : at + 64] = bytes(len(data[at : at + 64]))
    elif kind == 11:  # a line of another log
        place = data.find(b"\n", at) + 1
        data[place:place] = rng.choice(SHAPES)(rng.randrange(300), rng).encode() + rng.choice(
            (b"\n", b"\n", b"")
        )
    else:  # the tail stands first
        data[:] = data[at:] + data[:at]


def decoded(data: bytes) -> str:
    """The text of an input, by its byte order mark."""
    marks = (
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    )
    encoding = next((name for mark, name in marks if data.startswith(mark)), "utf-8-sig")
    return data.decode(encoding, "replace")


def as_notebook(data: bytes, rng: random.Random) -> bytes:
    """The input as the printed text of a notebook's cells, the notebook now and then cut."""
    printed = data.decode("utf-8", "replace")
    cut = rng.randrange(len(printed) + 1)
    cells = [
        {"outputs": [{"output_type": "stream", "name": "stdout", "text": piece}]}
        for piece in (printed[:cut], printed[cut:])
    ]
    book = json.dumps({"cells": cells, "nbformat": 4}).encode()
    return book[: rng.randrange(len(book))] if rng.random() < 0.2 else book


def faults(path: Path, printed: str, rng: random.Random) -> Iterator[str]:
    """What is wrong with how one file is read."""
    begun = time.process_time()
    head = head_of(path)
    reader = next((r for r in (notebook, positional, text) if r.sniff(head)), text)
    fewest, piece = bulk.FEWEST_LINES, lines.CHUNK_BYTES
    again = reader is text and (rng.random() < 0.15 or printed.count("\n") >= fewest)
    try:
        if again:
            bulk.FEWEST_LINES = rng.choice((fewest, 3))
        parts = reader.read(path)
        if time.process_time() - begun > SLOWEST:
            yield f"{reader.__name__}: took {time.process_time() - begun:.1f} s"
        if again:
            bulk.FEWEST_LINES, lines.CHUNK_BYTES = 1 << 60, rng.choice((piece, rng.randint(16, 300)))
            if flat(parts) != flat(text.read(path)):
                yield "many at once and one by one differ"
    finally:
        bulk.FEWEST_LINES, lines.CHUNK_BYTES = fewest, piece
    known: set[float] | None = None
    most: set[float] = set()
    for part in parts:
        for one in part.series:
            if len(one) != len(one.steps) or len(one) != len(one.order):
                yield "lengths differ"
            for value in set(one.values.tolist()):
                if not math.isfinite(value) or value in most:
                    continue
                if not most:
                    most = tokens_in(printed)
                if value in most:
                    continue
                known = known if known is not None else numbers_in(printed)
                if value not in known:
                    yield f"{reader.__name__}: {one.tag!r} has {value!r}, which stands nowhere"


def flat(parts: list[RunParts]) -> object:
    """Everything read, comparable."""
    return [
        (
            part.label,
            sorted(
                (
                    one.tag, one.unit.value, one.steps.tolist(), list(map(repr, one.values.tolist())),
                    one.order.tolist(), None if one.wall_time is None else one.wall_time.round(4).tolist(),
                )
                for one in part.series
            ),
            [start.order for start in part.starts],
            sorted((name, repr(setting.value)) for name, setting in part.settings.items()),
            [(problem.kind, problem.place) for problem in part.problems],
        )
        for part in parts
    ]  # fmt: skip


def tokens_in(printed: str) -> set[float]:
    """The numbers of a text as they follow on each other, also as percentages: most of `numbers_in`, quickly."""
    found = set(map(float, _TOKEN.findall(printed)))
    return found | {value / 100 for value in found}


def numbers_in(printed: str) -> set[float]:
    """Every number that stands in a text, also as a percentage."""
    found = set()
    for match in (*_PLAIN.finditer(printed), *_GROUPED.finditer(printed)):
        whole = match[1].replace(",", "")
        for end in range(1, len(whole) + 1):  # a number may be followed by letters: 1e5 in 1e5x is none
            try:
                value = float(whole[:end])
            except ValueError:
                continue
            found |= {value, value / 100}
    return found


def main() -> int:
    """Make inputs and read them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="the number of the first input")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for the inputs that failed")
    given = parser.parse_args()
    warnings.simplefilter("error")
    # Lines are the same when a file is looked at, read and read again, and what one says depends on nothing else.
    text.record_of = functools.lru_cache(512)(text.record_of)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    found: collections.Counter[str] = collections.Counter()
    done, size, begun = 0, 0, time.monotonic()

    def totals() -> str:
        spent = f"{time.monotonic() - begun:.0f} s ({time.process_time():.0f} s of a processor)"
        return f"{done:,} inputs, {size:,} bytes in {spent}, {sum(found.values())} failures"

    try:
        with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
            for number in range(given.first, given.first + given.inputs):
                rng = random.Random(given.seed * 1_000_003 + number)
                data, name = made(rng), rng.choice(NAMES)
                path = Path(folder, name)
                for what in tried(data, path, rng)[:1]:
                    kind = re.sub(r"(?<![a-z])[-+]?\d[-+\d.e]*", "N", what)[:100]
                    found[kind] += 1
                    print(f"input {number} ({name}): {what}", file=sys.stderr)
                    if given.keep and found[kind] <= _MOST_KEPT:
                        given.keep.mkdir(parents=True, exist_ok=True)
                        (given.keep / f"{number}-{name}").write_bytes(path.read_bytes())
                done, size = done + 1, size + len(data)
                if done % 20_000 == 0:
                    print(totals(), flush=True)
    except KeyboardInterrupt:
        print("interrupted")
    print(totals())
    for what, count in found.most_common():
        print(f"{count:6} {what}")
    return 1 if found else 0


def tried(data: bytes, path: Path, rng: random.Random) -> list[str]:
    """Write one input and read it; what is wrong."""
    printed = clean(decoded(data).replace("\0", "\n"))
    path.write_bytes(as_notebook(data, rng) if path.suffix == ".ipynb" else data)
    try:
        return list(faults(path, printed, rng))
    except Exception as fault:  # this is what the fuzzer is for
        return [f"raised {type(fault).__name__}: {fault}"]


if __name__ == "__main__":
    sys.exit(main())
