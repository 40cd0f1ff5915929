"""How fast, and in how much memory, the tensors of checkpoints are measured, beside a plain numpy sum.

    python -m tests.bench.checkpoints                      # a pair of files, 256 MB together
    python -m tests.bench.checkpoints --megabytes 2048 --formats torch safetensors

A pair of networks is written (float32 weights of Gaussian noise in convolutions' shapes), then each
contender goes over both files in a process of its own: `stats` opens them and takes `tensor_stats`
of every tensor; `numpy` reads each file with np.fromfile and sums it. The best of some rounds counts,
the contenders taking turns, after one round that warms the page cache. Peak memory is the process's,
imports and all. Nothing here is asserted: timings belong to a machine. The files are removed.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CHUNK = 1 << 20  # elements of one tensor in the file: 4 MB, as in a wide convolution
CLIP = 0.01


def write(path: Path, megabytes: int, form: str, clipped: bool) -> None:
    """Write a checkpoint of float32 tensors, piece by piece."""
    count = max(1, megabytes // 4)
    noise = np.random.default_rng(0).standard_normal(CHUNK + count, dtype=np.float32)
    if clipped:
        noise = noise.clip(-CLIP, CLIP)
    if form == "safetensors":
        header = {
            f"{i}.weight": {
                "dtype": "F32",
                "shape": [1024, 1024],
                "data_offsets": [i * 4 * CHUNK, (i + 1) * 4 * CHUNK],
            }
            for i in range(count)
        }
        text = json.dumps(header).encode()
        with path.open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for i in range(count):
                file.write(noise[i : i + CHUNK].tobytes())
        return
    import torch

    # PyTorch writes tensor by tensor, but has to hold them: views of one noise would be stored as one
    state = {
        f"{i}.weight": torch.from_numpy(noise[i : i + CHUNK].copy()).view(1024, 1024) for i in range(count)
    }
    torch.save(state, path, _use_new_zipfile_serialization=form == "torch")


def stats(paths: list[Path], form: str) -> int:
    """Open the files and measure every tensor; returns the elements seen."""
    from gandoctor.contents.checkpoint import open_checkpoint
    from gandoctor.contents.tensors import tensor_stats
    from tests.contents.trees import tensors_of

    return sum(
        tensor_stats(tensor).n for path in paths for _, tensor in tensors_of(open_checkpoint(path, form))
    )


def opened(paths: list[Path], form: str) -> int:
    """Open the files only; returns how many tensors they name."""
    from gandoctor.contents.checkpoint import open_checkpoint
    from tests.contents.trees import tensors_of

    return sum(1 for path in paths for _ in tensors_of(open_checkpoint(path, form)))


def plain(paths: list[Path], form: str) -> int:
    """Read each file and sum it."""
    seen = 0
    for path in paths:
        values = np.fromfile(path, np.float32, count=path.stat().st_size // 4)
        with np.errstate(all="ignore"):  # what is no weight, read as one
            values.sum()
        seen += values.size
    return seen


CONTENDERS = {"stats": stats, "numpy": plain, "open": opened}


def child(contender: str, form: str, paths: list[Path]) -> None:
    """In a fresh process: import, then time one pass."""
    if contender != "numpy":
        import gandoctor.contents.checkpoint
        import gandoctor.contents.tensors  # noqa: F401
    start, cpu = time.perf_counter(), time.process_time()
    CONTENDERS[contender](paths, form)
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"wall": wall, "cpu": cpu, "peak": peak}))


def measure(contender: str, form: str, paths: list[Path]) -> dict[str, float]:
    """One pass in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.checkpoints", "--child", contender, form, *map(str, paths)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=256, help="of both files together")
    parser.add_argument("--formats", nargs="+", default=["torch", "torch-legacy", "safetensors"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clipped", action="store_true", help="weights clipped at ±0.01, read twice in part")
    parser.add_argument("--folder", type=Path, help="where the files go for the time being")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--write", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        path, megabytes, form, clipped = options.write
        write(Path(path), int(megabytes), form, clipped == "clipped")
        return
    if options.child:
        child(options.child[0], options.child[1], [Path(path) for path in options.child[2:]])
        return
    print(
        f"{'format':<14}{'contender':<11}{'wall s':>9}{'cpu s':>9}{'GB/s':>8}{'peak MB':>9}{'speed / numpy':>15}"
    )
    for form in options.formats:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            paths = [Path(folder) / name for name in ("G", "D")]
            for path in paths:  # in a process of its own: what was written is in no contender's memory
                wanted = [str(path), str(options.megabytes // 2), form, "clipped" if options.clipped else ""]
                subprocess.run(
                    [sys.executable, "-m", "tests.bench.checkpoints", "--write", *wanted], check=True
                )
            size = sum(path.stat().st_size for path in paths) / 1e9
            best: dict[str, dict[str, float]] = {}
            for turn in range(options.rounds + 1):
                for contender in CONTENDERS:
                    found = measure(contender, form, paths)
                    if turn and (contender not in best or found["wall"] < best[contender]["wall"]):
                        best[contender] = found
            for contender, found in best.items():
                print(
                    f"{form:<14}{contender:<11}{found['wall']:>9.3f}{found['cpu']:>9.3f}{size / found['wall']:>8.2f}"
                    f"{found['peak']:>9.0f}{best['numpy']['wall'] / found['wall']:>15.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
