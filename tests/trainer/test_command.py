from __future__ import annotations

import json
from pathlib import Path

import pytest

from gandoctor.errors import UserError
from gandoctor.trainer import FAULTS
from gandoctor.trainer.command import fault_table, run, settings


def test_the_table_names_every_fault() -> None:
    lines = fault_table().splitlines()
    for fault in FAULTS.values():
        assert any(line.split()[:1] == [fault.name] and fault.summary in line for line in lines)


def test_a_fault_brings_its_own_family_and_data() -> None:
    assert settings(fault="no-penalty").family == "wgan-gp"
    assert settings(fault="tiny-data").data == "glyphs"
    assert settings().family == "ns"
    with pytest.raises(UserError, match="does not apply to ns"):
        settings(family="ns", fault="no-penalty")


def test_run_says_what_came_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    run(tmp_path / "a", fault="g-detached", steps=5, log_format="jsonl", level="losses")
    said = capsys.readouterr()
    assert said.out == ""
    assert "The samples say: ill" in said.err
    first = json.loads((tmp_path / "a" / "metrics.jsonl").read_text().splitlines()[0])
    assert set(first) == {"step", "loss/D", "loss/G", "loss/D_real", "loss/D_fake", "penalty"}
