# ruff: noqa: E501 (lines of logs as they are printed)
"""Broken text logs by the thousand: `python tests/bench/fuzz_text.py --inputs N [--seed S]`.

Each input is a log of some known shape with random damage, or random bytes. Reading must not raise,
must take no longer than `SLOWEST` seconds, must give only numbers that stand in the text, and must give
the same whether lines are read one by one or many at once. Prints what was found and exits with 1 if
anything was.
"""

from __future__ import annotations

import argparse
import collections
import json
import math
import random
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from gandoctor.readers import bulk, notebook, positional, text
from gandoctor.readers.head import head_of
from gandoctor.readers.lines import clean
from gandoctor.run import RunParts

SLOWEST = 2.0

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
)  # fmt: skip
_PIECES = (
    b"\0", b"\r", b"\n", b"\x1b[1m", b"\x1b[", b"\b", b"\xff", b"\xe5\xa4", b"nan", b"1e", b"-", b"--", b"..", b":", b"=", b"(",
    b")", b"[", b"]", b"{", b"}", b"'", b",", b"/", b"%", b"|", b"\t", b"  ", b"tensor(", b"Namespace(a=1, b='x')",
    b"{'a': {'b': 1}}", b"==== Training Loss ====", b"---- Options ----", b"1,234", b"12:30:01", b"Epoch 3",
    "：".encode(), "−".encode(), b"\x0e", b"\x85", "\u2028".encode(), b"1.#INF", b"999999999999999999999", b"1e999",
)  # fmt: skip
NAMES = ("train.log", "loss_log.txt", "d_loss.txt", "log_edge.dat", "G_loss.log", "out.ipynb")
_PLAIN = re.compile(r"(?=([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?))", re.ASCII)
_GROUPED = re.compile(r"(?=([-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?))", re.ASCII)


def made(rng: random.Random) -> bytes:
    """One input: lines of one to three shapes, then damage; now and then random bytes."""
    if rng.random() < 0.05:
        return rng.randbytes(rng.randrange(1, 2_000))
    shapes = rng.sample(SHAPES, rng.choice((1, 1, 1, 2, 3)))
    end = rng.choice(("\n", "\n", "\n", "\r\n", "\r"))
    lines = [shapes[i % len(shapes)](i, rng) for i in range(rng.choice((3, 12, 60, 120)))]
    data = bytearray((end.join(lines) + end).encode())
    for _ in range(rng.choice((0, 1, 1, 2, 5, 20))):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            data[at : at + rng.choice((1, 1, 3, 40))] = b""
        elif kind == 1:
            data[at:at] = rng.choice(_PIECES) * rng.choice((1, 1, 1, 50))
        elif kind == 2 and at < len(data):
            data[at] = rng.randrange(256)
        elif kind == 3:
            other = rng.randrange(len(data) + 1)
            data[at:at] = data[other : other + rng.randrange(60)]
        else:
            del data[at:]
            break
    if rng.random() < 0.03:
        data = bytearray(bytes(data).decode("utf-8", "replace").encode("utf-16"))
    return bytes(data)


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


def faults(path: Path, printed: str) -> Iterator[str]:
    """What is wrong with how one file is read."""
    reader = next((r for r in (notebook, positional, text) if r.sniff(head_of(path))), text)
    begun = time.process_time()
    parts = reader.read(path)
    if time.process_time() - begun > SLOWEST:
        yield f"{reader.__name__}: took {time.process_time() - begun:.1f} s"
    if reader is text:
        fewest, bulk.FEWEST_LINES = bulk.FEWEST_LINES, 1 << 60
        alone = text.read(path)
        bulk.FEWEST_LINES = fewest
        if flat(parts) != flat(alone):
            yield "many at once and one by one differ"
    known: set[float] | None = None
    for part in parts:
        for one in part.series:
            if len(one) != len(one.steps) or len(one) != len(one.order):
                yield "lengths differ"
            for value in set(one.values.tolist()):
                if math.isfinite(value):
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
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for the inputs that failed")
    given = parser.parse_args()
    warnings.simplefilter("error")
    found: collections.Counter[str] = collections.Counter()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        for number in range(given.inputs):
            rng = random.Random(given.seed * 1_000_003 + number)
            data, name = made(rng), rng.choice(NAMES)
            printed = clean(data.decode("utf-16" if data[:2] == b"\xff\xfe" else "utf-8", "replace"))
            path = Path(folder, name)
            path.write_bytes(as_notebook(data, rng) if name.endswith(".ipynb") else data)
            try:
                wrong = list(faults(path, printed.replace("\0", "\n")))
            except Exception as fault:  # this is what the fuzzer is for
                wrong = [f"raised {type(fault).__name__}: {fault}"]
            if number % 1_000 == 999:
                print(f"{number + 1:,} inputs", flush=True)
            for what in wrong[:1]:
                found[re.sub(r"[-\d.e]+", "N", what)[:100]] += 1
                print(f"input {number} ({name}): {what}", file=sys.stderr)
                if given.keep:
                    given.keep.mkdir(parents=True, exist_ok=True)
                    (given.keep / f"{number}-{name}").write_bytes(path.read_bytes())
    print(f"{given.inputs:,} inputs in {time.monotonic() - begun:.0f} s, {sum(found.values())} failures")
    for what, count in found.most_common():
        print(f"{count:6} {what}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
