from __future__ import annotations

import math
import shutil
import tomllib
from pathlib import Path

import pytest

from gandoctor.errors import UserError
from gandoctor.findings import Kind, Severity
from gandoctor.judge import confidence as judge
from gandoctor.lab.calibrate import CAP, fit, judged, predicted, write
from gandoctor.lab.table import Row
from gandoctor.thresholds import rules_folder
from tests.judge.findings import finding
from tests.lab.rows import healthy, row

WRONG = {"primary": "GD401"}


def primaries() -> list[Row]:
    """Errors with two kinds of evidence are right in 90 of 100, lone warnings in 60 of 100, GD103 never."""
    rows = [row(configuration=f"a{i}", **WRONG if i < 10 else {}) for i in range(100)]
    lone = {"severity": "warning", "features": "to_the_end"}
    rows += [row(configuration=f"b{i}", **lone, **WRONG if i < 40 else {}) for i in range(100)]
    return rows + [
        healthy(configuration=f"c{i}", primary="GD103", **lone, verdict="warning") for i in range(40)
    ]


def test_only_what_can_be_judged_counts() -> None:
    rows = [row(), healthy(), row(outcome="grey"), row(error="x"), row(primary="GD402", grey="GD402")]
    assert judged(rows) == [row()]
    assert judged([row(grey="GD301", primary="GD301")])  # a grey cause of the fault is right
    assert not judged([healthy(grey="GD703", primary="GD703", acceptable="GD703")])


def test_the_fit_gives_the_shares_back() -> None:
    lab = fit(primaries())
    assert (lab["primaries"], lab["configurations"], lab["families"]) == (240, 240, ["ns"])
    assert predicted(lab, row(**WRONG)) < predicted(lab, row())
    strong = [predicted(lab, one) for one in primaries()[:100]]
    weak = [predicted(lab, one) for one in primaries()[100:200]]
    assert sum(strong) == pytest.approx(90, abs=3)
    assert sum(weak) == pytest.approx(60, abs=4)
    assert predicted(lab, healthy(primary="GD103", severity="warning", features="")) < 0.2


def test_more_evidence_never_lowers_it() -> None:
    flipped = [
        one | {"severity": "warning" if one["severity"] == "error" else "error"} for one in primaries()
    ]
    lab = fit(flipped)
    assert lab["severity"]["error"] >= lab["severity"]["warning"] >= lab["severity"]["info"]
    assert all(lab["evidence"][name] >= 0 for name in ("second_kind", "overwhelming", "to_the_end"))
    assert lab["evidence"]["unsure_family"] <= 0


def test_too_few_are_refused() -> None:
    with pytest.raises(UserError, match="49 primaries"):
        fit([row()] * 49)


def test_what_the_lab_does_not_cover_is_capped() -> None:
    lab = fit(primaries())
    assert "GD301" not in lab["code"]
    assert predicted(lab, row(primary="GD301")) <= CAP


def test_the_file_keeps_its_working_figures_and_the_judge_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "calibration.toml"
    shutil.copyfile(rules_folder() / "calibration.toml", path)
    before = tomllib.loads(path.read_text(encoding="utf-8"))
    lab = fit(primaries())
    for _ in range(2):  # written twice, it stands there once
        write(lab, 'study "x"', path)
    after = tomllib.loads(path.read_text(encoding="utf-8"))
    assert after["severity"] == before["severity"]
    assert after["evidence"] == before["evidence"]
    assert after["lab"]["code"] == lab["code"]
    assert after["lab"]["fitted_on"] == 'study "x"'

    monkeypatch.setattr(judge, "_table", lambda: after)
    known = finding("GD201", severity=Severity.ERROR, kinds=(Kind.GAME, Kind.GRADIENTS))
    assert judge.source(known, 0.9) == "lab"
    assert judge.confidence(known, 0.9) == pytest.approx(predicted(lab, row()), abs=0.001)
    assert judge.source(known, 0.5) == "prior"  # the family is unsure
    unknown = finding(
        "GD506", severity=Severity.ERROR, kinds=(Kind.SAMPLES, Kind.GRADIENTS), overwhelming=True
    )
    assert judge.source(unknown, 0.9) == "prior"
    assert judge.confidence(unknown, 0.9) == CAP
    odds = math.log(0.85 / 0.15) + 0.8 + 0.5 + 0.2
    assert 1 / (1 + math.exp(-odds)) > CAP
