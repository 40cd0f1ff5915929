from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

import gandoctor.thresholds
from gandoctor.lab.promise import ALPHA, promise, write
from gandoctor.lab.table import Row
from gandoctor.thresholds import _table, limits, rules_folder
from tests.lab.rows import healthy


def study(fits: int, loud: int, scores: str = "GD201:1.1", runs: int = 40) -> list[Row]:
    """Healthy runs of *fit* and of *calibrate*, a share of which some detector calls ill."""

    def some(part: str, n: int, which: int) -> list[Row]:
        return [
            healthy(part=part, configuration=f"{part}{i}", scores=scores if i < which else "")
            for i in range(n)
        ]

    return [*some("fit", 100, fits), *some("calibrate", runs, loud)]


def test_too_few_healthy_configurations_promise_nothing() -> None:
    made = promise(study(0, 0, runs=32))
    assert (made.healthy, made.limit, made.allowed) == (32, None, {})


def test_quiet_detectors_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "thresholds.toml"
    shutil.copyfile(rules_folder() / "thresholds.toml", path)
    assert write(study(0, 0), "study x", path) == {}
    made = tomllib.loads(path.read_text(encoding="utf-8"))["lab"]
    assert made["fitted_on"] == "study x"
    assert made["alpha"] == ALPHA
    assert made["healthy"] == {"norms": 40}


def test_a_detector_that_calls_healthy_runs_ill_is_tightened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "thresholds.toml"
    shutil.copyfile(rules_folder() / "thresholds.toml", path)
    before = limits("GD201")
    factors = write(study(10, 4), "study x", path)  # a tenth of them at up to 1.1 times today's thresholds
    assert factors["GD201.won"] == pytest.approx(1.25)  # the next that was tried
    assert factors["GD201.fake_probability"] == pytest.approx(0.8)
    assert not [name for name in factors if not name.startswith("GD201.")]
    for _ in range(2):  # the quiet runs of a study diagnosed with them change nothing more
        assert write(study(0, 0), "study y", path) == factors
    assert path.read_text(encoding="utf-8").count("[lab]") == 1

    _table.cache_clear()
    monkeypatch.setattr(gandoctor.thresholds, "rules_folder", lambda: tmp_path)
    try:
        after = limits("GD201")
        assert after["won"].value == pytest.approx(1.25 * before["won"].value)
        assert after["share"].value == pytest.approx(1.25 * before["share"].value)
        assert limits("GD201", {"GD201.won": 0.7})["won"].value == 0.7  # the user's word is final
        assert "lab" not in _table()[1]
    finally:
        _table.cache_clear()
