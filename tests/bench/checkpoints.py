"""How fast, and in how much memory, the tensors of checkpoints are measured, beside a plain numpy sum.

    python -m tests.bench.checkpoints                      # a pair of files, 256 MB together
    python -m tests.bench.checkpoints --megabytes 2048 --formats torch safetensors
    python -m tests.bench.checkpoints --adam

A pair of networks is written (float32 weights of Gaussian noise in 1024 x 1024 matrices, with Adam's moments of
each by `--adam`), then each contender goes over both files in a process of its own: `snapshots` measures them the
way `diagnose` does, all that detectors ask for (norms, largest elements, singular values, moments); `stats` opens
them and takes `tensor_stats` of every tensor; `numpy` reads each file with np.fromfile and sums it; `torch` loads
them (memory-mapped where the format allows) and takes the norm of every tensor, and the largest singular value of
none. The best of some rounds counts (of wall time and of processor
time, which a busy machine disturbs less), the contenders taking turns, after one round that warms the page cache. Peak
memory is the process's, imports and all. Nothing here is asserted: timings belong to a machine. The files are
removed.
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


def write(path: Path, megabytes: int, form: str, clipped: bool, adam: bool) -> None:
    """Write a checkpoint of float32 tensors, piece by piece."""
    count = max(1, megabytes // (12 if adam else 4))
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
    tree: object = state
    if adam:
        moments = {i: {"step": torch.tensor(1000.0), "exp_avg": value * 1e-3, "exp_avg_sq": value**2 * 1e-6}
                   for i, value in enumerate(state.values())}  # fmt: skip
        group = {"lr": 2e-4, "betas": (0.5, 0.999), "eps": 1e-8, "params": list(range(count))}
        tree = {path.name: state, f"opt_{path.name}": {"state": moments, "param_groups": [group]}}
    torch.save(tree, path, _use_new_zipfile_serialization=form == "torch")


def snapshots(paths: list[Path], form: str) -> int:
    """All that `diagnose` measures; returns the elements of weights seen."""
    from gandoctor.interpret.snapshots import Opened
    from gandoctor.run import Checkpoint, LogProblem

    problems: list[LogProblem] = []
    opened = Opened([Checkpoint(path, 1, form) for path in paths], problems)
    [snapshot] = opened.snapshots
    assert not problems
    assert len(snapshot.networks) == len(paths)
    return sum(network.size for network in snapshot.networks)


def by_torch(paths: list[Path], form: str) -> int:
    """What PyTorch needs to load the files and take the norm of every tensor."""
    import torch
    from torch.utils._pytree import tree_leaves

    seen = 0
    for path in paths:
        if form == "safetensors":
            from safetensors.torch import load_file

            tree: object = load_file(path)
        else:
            tree = torch.load(path, mmap=form == "torch")
        for one in tree_leaves(tree):
            if isinstance(one, torch.Tensor):
                torch.linalg.vector_norm(one)
                seen += one.numel()
    return seen


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


CONTENDERS = {"snapshots": snapshots, "stats": stats, "numpy": plain, "open": opened, "torch": by_torch}


def child(contender: str, form: str, paths: list[Path]) -> None:
    """In a fresh process: import, then time one pass."""
    if contender == "torch":
        import torch  # noqa: F401
    elif contender != "numpy":
        import gandoctor.contents.checkpoint
        import gandoctor.interpret.networks
        import gandoctor.interpret.snapshots  # noqa: F401
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
    parser.add_argument(
        "--adam", action="store_true", help="two thirds of the bytes are Adam's moments (torch only)"
    )
    parser.add_argument("--contenders", nargs="+", default=["snapshots", "stats", "numpy", "open"],
                        choices=list(CONTENDERS))  # fmt: skip
    parser.add_argument("--clipped", action="store_true", help="weights clipped at ±0.01, read twice in part")
    parser.add_argument("--folder", type=Path, help="where the files go for the time being")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--write", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        path, megabytes, form, clipped, adam = options.write
        write(Path(path), int(megabytes), form, clipped == "clipped", adam == "adam")
        return
    if options.child:
        child(options.child[0], options.child[1], [Path(path) for path in options.child[2:]])
        return
    print(
        f"{'format':<14}{'contender':<11}{'wall s':>9}{'cpu s':>9}{'GB/s':>8}{'peak MB':>9}"
        f"{'speed / numpy':>15}{'by cpu':>8}"
    )
    for form in options.formats:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            paths = [Path(folder) / name for name in ("G", "D")]
            for path in paths:  # in a process of its own: what was written is in no contender's memory
                wanted = [str(path), str(options.megabytes // 2), form, 
                          "clipped" if options.clipped else "", "adam" if options.adam else ""]  # fmt: skip
                subprocess.run(
                    [sys.executable, "-m", "tests.bench.checkpoints", "--write", *wanted], check=True
                )
            size = sum(path.stat().st_size for path in paths) / 1e9
            best: dict[str, dict[str, float]] = {}
            for turn in range(options.rounds + 1):
                for contender in dict.fromkeys([*options.contenders, "numpy"]):
                    found = measure(contender, form, paths)
                    if turn:
                        known = best.setdefault(contender, found)
                        best[contender] = {what: min(value, known[what]) for what, value in found.items()}
            for contender, found in best.items():
                print(
                    f"{form:<14}{contender:<11}{found['wall']:>9.3f}{found['cpu']:>9.3f}{size / found['wall']:>8.2f}"
                    f"{found['peak']:>9.0f}{best['numpy']['wall'] / found['wall']:>15.2f}"
                    f"{best['numpy']['cpu'] / found['cpu']:>8.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
