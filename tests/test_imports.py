"""What is loaded when, and how long it takes. Times are of the processor, so that a busy machine may wait."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.readers.logs import write_gan

HEAVY = {
    "numpy",
    "torch",
    "pandas",
    "scipy",
    "plotly",
    "tensorboard",
    "rich",
    "jinja2",
    "msgspec",
    "orjson",
    "yaml",
}
TRACE = """
import json, sys
from gandoctor.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def loaded(*words: str) -> set[str]:
    """The modules that a command has loaded at its end."""
    done = subprocess.run([sys.executable, "-c", TRACE, *words], capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr.splitlines()[-1]))


def seconds(command: Sequence[str], tries: int = 3) -> float:
    """The least processor time of a few tries, user and system, of the whole process."""
    best = float("inf")
    for _ in range(tries):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        best = min(best, used.ru_utime + used.ru_stime)
    return best


def test_importing_gandoctor_loads_nothing_heavy() -> None:
    code = "import sys, gandoctor; gandoctor.__version__; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY.isdisjoint(done.stdout.split())


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["diagnose", "--help"]])
def test_version_and_help_load_nothing_heavy(words: list[str]) -> None:
    assert HEAVY.isdisjoint(loaded(*words))


def test_a_small_csv_as_json_loads_no_plots_torch_or_tensorboard(tmp_path: Path) -> None:
    modules = loaded("diagnose", str(write_gan(tmp_path / "log.csv")), "--format", f"json:{tmp_path}/x.json")
    assert json.loads((tmp_path / "x.json").read_text())["runs"]
    assert modules.isdisjoint({"torch", "plotly", "tensorboard", "scipy.stats", "jinja2", "PIL"})


@pytest.mark.parametrize(
    ("code", "limit"),
    [
        ("import gandoctor", 0.1),
        ("from gandoctor.cli import main; main(['--version'])", 0.15),
        ("from gandoctor.cli import main; main(['diagnose', 'log.csv', '--format', 'json'])", 1.5),
    ],
)
def test_it_starts_quickly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, limit: float) -> None:
    monkeypatch.chdir(tmp_path)
    write_gan(tmp_path / "log.csv")
    assert seconds([sys.executable, "-c", code]) < limit
