"""How fast tables are read: `python -m tests.bench.read_tables [rows]` (default 1,000,000).

Each line: the reader's best time of five, and its ratio to a plain parse of the same file in the
same run, the two taken in turn: `pandas.read_csv` for CSV, `orjson.loads` of each line for JSON
Lines. Processor time, since other work on the machine must not count.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson
import pandas as pd

from gandoctor.readers import csv_log, json_log, jsonl

ROUNDS = 5


def main(rows: int) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "step": np.arange(rows),
            "d_loss": rng.random(rows),
            "g_loss": rng.random(rows),
            "lr": rng.random(rows),
        }
    )
    holed = table.mask(rng.random(table.shape) < 0.3).assign(step=table["step"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "log.csv")
        table.to_csv(path, index=False)
        compare("csv, numbers", path, csv_log.read, pd.read_csv, rows)
        table.to_csv(path, index=False, lineterminator="\r\n")
        compare("csv, CRLF", path, csv_log.read, pd.read_csv, rows)
        holed.to_csv(path, index=False)
        compare("csv, 30% missing", path, csv_log.read, pd.read_csv, rows)
        holed.to_csv(path, index=False, na_rep="nan")
        compare("csv, 30% nan", path, csv_log.read, pd.read_csv, rows)
        table.to_csv(path, index=False, sep=";", decimal=",")
        compare(
            "csv, decimal comma", path, csv_log.read, lambda p: pd.read_csv(p, sep=";", decimal=","), rows
        )
        few = table.head(rows // 10).map(lambda value: f"tensor({value}, grad_fn=<X>)")
        few.to_csv(path, index=False)
        compare("csv, tensor(…)", path, csv_log.read, pd.read_csv, len(few))

        path = Path(folder, "log.jsonl")
        table.to_json(path, orient="records", lines=True, double_precision=15)
        compare("jsonl, short lines", path, jsonl.read, parse_lines, rows)
        table.mask(rng.random(table.shape) < 0.01).to_json(path, orient="records", lines=True)
        path.write_bytes(path.read_bytes().replace(b"null", b"NaN"))
        compare("jsonl, 4% of lines with NaN", path, jsonl.read, json_lines, rows)
        ticks = rows // 50
        path.write_text("".join(map(tick, range(ticks))))
        compare("jsonl, StyleGAN's stats", path, jsonl.read, parse_lines, ticks)

        path = Path(folder, "log.json")
        table.head(rows // 5).to_json(path, orient="records")
        compare("json, records", path, json_log.read, lambda p: orjson.loads(p.read_bytes()), rows // 5)


def tick(n: int) -> str:
    """One line of `stats.jsonl`, about 1.9 KB."""
    record: dict[str, object] = {
        f"Loss/part{k}/loss": {"num": 4000, "mean": 1.25 + n / 7 + k, "std": 0.5 + k / 3} for k in range(24)
    }
    record["Progress/kimg"] = {"num": 1, "mean": 4.0 * n, "std": 0.0}
    return json.dumps(record | {"timestamp": 1.7e9 + n}) + "\n"


def parse_lines(path: Path) -> None:
    """What any reader of JSON Lines must do."""
    for line in path.read_bytes().splitlines():
        orjson.loads(line)


def json_lines(path: Path) -> None:
    """The same where orjson refuses NaN."""
    for line in path.read_bytes().splitlines():
        json.loads(line)


def compare(
    title: str, path: Path, ours: Callable[[Path], object], plain: Callable[[Path], object], rows: int
) -> None:
    times = np.array([[seconds(one, path) for one in (ours, plain)] for _ in range(ROUNDS)])
    mine, other = times.min(axis=0)
    size = path.stat().st_size / 1e6
    print(f"{title:28} {size:6.0f} MB {mine:7.3f} s {rows / mine:12,.0f} rows/s  ratio {mine / other:5.2f}")


def seconds(function: Callable[[Path], object], path: Path) -> float:
    begin = time.process_time()
    function(path)
    return time.process_time() - begin


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
