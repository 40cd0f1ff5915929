from __future__ import annotations

from pathlib import Path

import pytest

from gandoctor.readers import foreign
from gandoctor.readers.head import head_of


@pytest.mark.parametrize(
    ("name", "data", "tracker"),
    [
        ("backup.swanlab", b":SWL\x01\x00", "SwanLab"),
        (".aim/seqs/CURRENT", b"MANIFEST-000004\n", "Aim"),
        ("archive.zip", b"PK\x03\x04 comet-offline experiment.json", "Comet"),
        ("vdlrecords.1690034156.log", b"\x0a\x05", "VisualDL"),
    ],
)
def test_a_foreign_tracker_is_named_with_the_way_to_export(
    tmp_path: Path, name: str, data: bytes, tracker: str
) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    assert foreign.sniff(head_of(path))
    [parts] = foreign.read(path)
    [problem] = parts.problems
    assert (problem.file, problem.kind) == (path, "foreign-format")
    assert problem.message.startswith(tracker)
    assert "CSV" in problem.message


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("CURRENT", b"MANIFEST-000004\n"),
        ("weights.zip", b"PK\x03\x04 data.pkl"),
        ("run.wandb", b":W&B\xe1\xbe\x00"),
    ],
)
def test_others_are_left_alone(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert not foreign.sniff(head_of(path))
