"""The page and the questions of docs/fleet.md; associations against figures reckoned by hand."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyarrow")
import pandas as pd
from click.testing import CliRunner

from gandoctor.cli import main
from gandoctor.config import Config
from gandoctor.fleets.associations import associations, benjamini_hochberg
from gandoctor.fleets.report import MOST_ROWS, all_texts, read_runs, render

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("page")
    for number, name in enumerate(("d-wins", "healthy-ns", "bad-init", "constant-z")):
        shutil.copytree(ROOT / "fixtures" / name, root / "runs" / f"run{number}")
    done = CliRunner().invoke(
        main, ["fleet", str(root / "runs"), "-o", str(root / "fleet"), "--reports", "2"]
    )
    assert done.exit_code == 0, done.output
    assert "4 runs" in done.output
    return root / "fleet"


def page_data(page: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data: dict[str, object] = json.loads(found[1])
    return data


def test_the_page_has_every_run_and_no_request(fleet: Path) -> None:
    page = (fleet / "index.html").read_text()
    rows = page_data(page)["rows"]
    assert sorted(row[1] for row in rows) == [f"run{number}" for number in range(4)]  # type: ignore[attr-defined]
    assert not re.search(r'(?:src|href)="(?!data:|reports/)[^"#]', page)
    linked = [row[9] for row in rows if row[9]]  # type: ignore[attr-defined]
    assert len(linked) == 2
    for link in linked:
        assert (fleet / link).is_file()


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_both_languages_and_hostile_names(fleet: Path, lang: str) -> None:
    runs = read_runs(fleet)
    runs.loc[0, "name"] = "</script><script>alert(1)</script>\u202e"
    page = render(runs, Config(lang=lang), {})
    assert "<script>alert" not in page
    assert "\u202e" not in page
    assert all_texts()["over-time"].pick(lang) in page
    assert f'lang="{"zh-CN" if lang == "zh" else "en"}"' in page


def test_the_page_has_an_end(fleet: Path) -> None:
    runs = pd.concat([read_runs(fleet)] * (MOST_ROWS // 4 + 10), ignore_index=True)
    page = render(runs, Config(), {})
    assert len(page_data(page)["rows"]) == MOST_ROWS  # type: ignore[arg-type]
    assert len(page) < 8_000_000


def test_no_run_gives_no_page_to_speak_of(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    done = CliRunner().invoke(main, ["fleet", str(tmp_path / "runs"), "-o", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "no training log was found" in done.output


@pytest.mark.parametrize("library", ["pandas", "duckdb", "polars"])
def test_the_questions_of_the_manual(fleet: Path, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if library != "pandas":
        pytest.importorskip(library)
    monkeypatch.chdir(fleet.parent)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "fleet.md").read_text(), re.DOTALL)
    (code,) = [block for block in blocks if f"import {library}" in block]
    names: dict[str, object] = {}
    exec(code, names)
    assert len(names["answer"])  # type: ignore[arg-type]


def test_odds_ratios_are_those_of_the_counts() -> None:
    runs = pd.DataFrame(
        {
            "verdict": ["failing"] * 40 + ["healthy"] * 60 + ["unknown"] * 9,
            "primary": ["GD201"] * 40 + [None] * 69,
            "family": "hinge",
            "fact_lr_D": [1.0] * 30 + [2.0] * 10 + [1.0] * 15 + [2.0] * 45 + [1.0] * 9,
        }
    )
    (one,) = associations(runs)
    assert (one.code, one.setting, one.value) == ("GD201", "lr_D", "= 2")
    assert (one.ill, one.of, one.other_ill, one.other) == (10, 55, 30, 45)
    ratio = 10.5 * 15.5 / (45.5 * 30.5)
    error = np.sqrt(1 / 10.5 + 1 / 45.5 + 1 / 30.5 + 1 / 15.5)
    assert one.ratio == pytest.approx(ratio)
    assert (one.low, one.high) == pytest.approx(
        (ratio * np.exp(-1.96 * error), ratio * np.exp(1.96 * error)), rel=1e-3
    )
    from scipy.stats import hypergeom

    assert one.p == pytest.approx(2 * hypergeom.cdf(10, 100, 40, 55))
    assert one.q == one.p


def test_settings_without_effect_do_not_stand_out() -> None:
    rng = np.random.default_rng(3)
    runs = pd.DataFrame(
        {"verdict": "failing", "primary": rng.choice(["GD201", "GD401", "GD703"], 2000), "family": "hinge"}
        | {f"fact_{name}": rng.normal(size=2000) for name in ("lr_D", "lr_G", "beta1", "beta2", "batch_size")}
    )
    found = associations(runs)
    assert len(found) == 15
    assert not [one for one in found if one.q < 0.05]


def test_benjamini_hochberg_is_monotone_and_bounded() -> None:
    p = np.random.default_rng(0).uniform(size=200)
    q = benjamini_hochberg(p)
    assert (q >= p - 1e-12).all()  # the largest is itself, to the last bit but one
    assert q.max() <= 1
    assert (np.diff(q[np.argsort(p)]) >= 0).all()
