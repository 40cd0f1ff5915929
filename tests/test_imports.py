"""What is loaded when; how long it takes is measured by tests/bench/startup.py."""

from __future__ import annotations

import json
import subprocess
import sys
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


def test_importing_gandoctor_loads_nothing_heavy() -> None:
    code = "import sys, gandoctor; gandoctor.__version__; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY.isdisjoint(done.stdout.split())


@pytest.mark.parametrize(
    "words", [["--version"], ["--help"], ["diagnose", "--help"], ["compare", "--help"], ["journal", "--help"]]
)
def test_version_and_help_load_nothing_heavy(words: list[str]) -> None:
    assert HEAVY.isdisjoint(loaded(*words))


def test_a_small_csv_as_json_loads_no_plots_torch_or_tensorboard(tmp_path: Path) -> None:
    modules = loaded("diagnose", str(write_gan(tmp_path / "log.csv")), "--format", f"json:{tmp_path}/x.json")
    assert json.loads((tmp_path / "x.json").read_text())["runs"]
    assert modules.isdisjoint({"torch", "plotly", "tensorboard", "scipy.stats", "jinja2", "PIL"})
