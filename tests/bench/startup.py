"""How long commands take to start: processor seconds of the whole process, the least of a few tries.

    python -m tests.bench.startup

Wanted: import 0.1 s, --version 0.15 s, a small CSV to JSON 1.5 s. What is loaded, which decides it, is tested
in tests/test_imports.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.readers.logs import write_gan

COMMANDS = {
    "import gandoctor": "import gandoctor",
    "gandoctor --version": "from gandoctor.cli import main; main(['--version'])",
    "diagnose a small CSV, JSON out": "from gandoctor.cli import main; main(['diagnose', 'log.csv', '--format', 'json'])",
}


def seconds(command: Sequence[str], folder: Path, tries: int = 5) -> float:
    """The least processor time of a few tries, user and system, of the whole process."""
    best = float("inf")
    for _ in range(tries):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=folder)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{command} ended with {process.returncode}")
        best = min(best, used.ru_utime + used.ru_stime)
    return best


def main() -> None:
    """Print a line a command."""
    with tempfile.TemporaryDirectory() as scratch:
        write_gan(Path(scratch) / "log.csv")
        for name, code in COMMANDS.items():
            print(f"{name:32} {seconds([sys.executable, '-c', code], Path(scratch)):.2f} s")


if __name__ == "__main__":
    main()
