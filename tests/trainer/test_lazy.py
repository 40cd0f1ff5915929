"""The package must be usable for its lists without torch, and say what to install for the rest."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
import gandoctor.trainer as trainer
assert not {"torch", "numpy"} & set(sys.modules), "heavy import"
assert len(trainer.FAULTS) >= 12 and trainer.configure(fault="d-perfect").family == "minimax"
sys.modules["torch"] = None  # as if it were not installed
try:
    trainer.train
except Exception as error:
    print(type(error).__name__, error)
"""


def test_lists_need_no_torch_and_training_says_what_to_install() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "UserError" in done.stdout
    assert "pip install 'gandoctor[torch]'" in done.stdout
