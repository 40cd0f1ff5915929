"""A fleet of synthetic runs: `python -m tests.bench.fleet [--runs 10000] [--jobs 2] [--dask WORKERS] [--keep FOLDER]`.

Makes runs of about 5,000 scalars from the fixtures (their series stretched or cut to that length, each value times
1 + 0.5 % of noise, 10 variants a fixture, each run cut at a place of its own; CSV and JSONL), then passes over them
as a process of its own, twice. Prints runs a second, processor time a run, the parent's peak memory, how much faster
the second pass is, and whether the tables of the engines are the same. 10,000 runs need about 600 MB of disk.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SCALARS = 5_000
VARIANTS = 10
FIXTURES = Path(__file__).parents[2] / "fixtures"

_PASS = """
import json, resource, sys, time
from pathlib import Path
import gandoctor
if __name__ == "__main__":
    source, out, jobs, dask = sys.argv[1:]
    executor = None
    if int(dask):
        from distributed import Client, LocalCluster
        cluster = LocalCluster(n_workers=int(dask), threads_per_worker=1, dashboard_address=None)
        client = Client(cluster)
        executor = client.get_executor(pure=False)
    started = time.perf_counter()
    made = gandoctor.fleet(source, out, jobs=int(jobs), executor=executor)
    print(json.dumps({
        "seconds": time.perf_counter() - started, "runs": made.runs, "errors": made.errors,
        "unchanged": made.unchanged, "cpu": made.cpu,
        "parent_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }))
    if executor is not None:
        client.close(); cluster.close()
"""


def bodies() -> list[tuple[str, list[bytes], bytes | None]]:
    """The variants: suffix, lines (the first one is a header in a CSV), and the configuration beside."""
    from gandoctor.api import load_all

    rng = np.random.default_rng(0)
    made: list[tuple[str, list[bytes], bytes | None]] = []
    for folder in sorted(path for path in FIXTURES.iterdir() if path.is_dir()):
        series = load_all(folder)[0].series
        longest = max(len(one) for one in series.values())
        chosen = {tag: one for tag, one in series.items() if len(one) == longest}
        rows = SCALARS // len(chosen)
        config = folder / "config.json"
        about = config.read_bytes() if config.is_file() else None
        for number in range(VARIANTS):
            at = np.linspace(0, 1, rows)
            steps = next(iter(chosen.values())).steps
            where = np.round(at * (longest - 1)).astype(int)
            counts = np.round(np.interp(at, np.linspace(0, 1, longest), steps)).astype(int)
            counts = np.maximum.accumulate(counts + np.arange(rows))  # each row its own step
            columns = [one.values[where] * (1 + 0.005 * rng.normal(size=rows)) for one in chosen.values()]
            if number % 2:
                lines = [("step," + ",".join(chosen)).encode()]
                lines += [
                    (f"{count}," + ",".join(f"{value:.6g}" for value in values)).encode()
                    for count, *values in zip(counts, *columns, strict=True)
                ]
                made.append((".csv", lines, about))
            else:
                lines = [
                    json.dumps(
                        {"step": int(count), **dict(zip(chosen, map(float, values), strict=True))}
                    ).encode()
                    for count, *values in zip(counts, *columns, strict=True)
                ]
                made.append((".jsonl", lines, about))
    return made


def make(root: Path, runs: int) -> int:
    """Write the runs; their bytes."""
    rng = np.random.default_rng(1)
    known, size = bodies(), 0
    for number in range(runs):
        suffix, lines, about = known[number % len(known)]
        folder = root / f"team{number % 20:02d}" / f"run{number:06d}"
        folder.mkdir(parents=True)
        body = b"\n".join(lines[: len(lines) - int(rng.integers(0, len(lines) // 20))]) + b"\n"
        (folder / f"metrics{suffix}").write_bytes(body)
        if about is not None:
            (folder / "config.json").write_bytes(about)
        size += len(body)
    return size


def one_pass(root: Path, out: Path, jobs: int, dask: int = 0) -> dict[str, float]:
    """A pass in a process of its own."""
    script = out.parent / "one_pass.py"
    script.write_text(_PASS)
    command = [sys.executable, str(script), str(root), str(out), str(jobs), str(dask)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    told["all_cpu"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return told


def tables(out: Path) -> dict[str, bytes]:
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for name in ("runs", "findings")
        for path in sorted((out / name).glob("*/*.parquet"))
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, nargs="+", default=[2])
    parser.add_argument("--dask", type=int, default=0, help="also by a local Dask cluster of so many workers")
    parser.add_argument("--keep", type=Path, help="make the runs here and leave them, with the results")
    options = parser.parse_args()
    place = Path(tempfile.mkdtemp()) if options.keep is None else options.keep
    root = place / "runs"
    try:
        if not root.exists():
            started = time.perf_counter()
            size = make(root, options.runs)
            print(
                f"made {options.runs:,} runs, {size / 1e6:,.0f} MB, in {time.perf_counter() - started:.0f} s"
            )
        first: dict[str, bytes] = {}
        engines = [(jobs, 0) for jobs in options.jobs] + ([(1, options.dask)] if options.dask else [])
        for jobs, dask in engines:
            out = place / (f"dask{dask}" if dask else f"jobs{jobs}")
            shutil.rmtree(out, ignore_errors=True)
            told = one_pass(root, out, jobs, dask)
            again = one_pass(root, out, jobs, dask)
            name = f"Dask, {dask} workers" if dask else f"{jobs} jobs"
            print(
                f"{name}: {told['runs']:,.0f} runs, {told['errors']:.0f} errors, {told['seconds']:.1f} s, "
                f"{told['runs'] / told['seconds']:.1f} runs/s; {1000 * told['cpu'] / told['runs']:.2f} ms of processor "
                f"time a run in workers, {1000 * told['all_cpu'] / told['runs']:.2f} ms in all; "
                f"parent's peak {told['parent_mb']:.0f} MB; second pass {again['seconds']:.2f} s, "
                f"{told['seconds'] / again['seconds']:.0f} x faster, {again['all_cpu']:.1f} s of processor time"
            )
            assert again["runs"] == 0
            own = tables(out)
            first = first or own
            print(f"  the same table as the first engine's, byte for byte: {own == first}")
    finally:
        if options.keep is None:
            shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
