"""The wheel holds all that is needed: built, installed alone, and used far from the checkout."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import gandoctor
from gandoctor.thresholds import rules_folder
from tests.test_api import failing

ROOT = Path(__file__).parents[1]


def output_of(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("dist")
    output_of(sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", folder, ROOT, cwd=folder)
    [path] = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def bin_folder(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel, and what it needs from the one of the tests."""
    home = tmp_path_factory.mktemp("env")
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin/python"
    output_of(
        sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=home
    )
    [site] = home.glob("lib/python*/site-packages")
    # A path added so is not searched for .pth files: the editable install of the tests stays out of it.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin"


def test_it_holds_rules_schema_and_templates_but_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    rules = {f"gandoctor/rules/{path.name}" for path in (ROOT / "rules").glob("*.toml")}
    assert rules <= set(names)
    assert {"gandoctor/py.typed", "gandoctor/reports/schema.json", "gandoctor/reports/texts.toml"} <= set(
        names
    )
    assert any(name.startswith("gandoctor/reports/templates/") for name in names)
    assert {name.split("/")[0] for name in names} == {
        "gandoctor",
        f"gandoctor-{gandoctor.__version__}.dist-info",
    }


def test_it_works_far_from_the_checkout(bin_folder: Path, tmp_path: Path) -> None:
    code = "import gandoctor.thresholds as t; print(t.__file__); print(t.rules_folder())"
    module, rules = map(Path, output_of(bin_folder / "python", "-c", code, cwd=tmp_path).split())
    assert module.is_relative_to(bin_folder.parent)
    assert rules == module.parent / "rules"
    assert (
        output_of(bin_folder / "gandoctor", "--version", cwd=tmp_path)
        == f"gandoctor {gandoctor.__version__}\n"
    )
    assert output_of(bin_folder / "gandoctor", "explain", "GD201", cwd=tmp_path).startswith("GD201  ")
    failing(tmp_path / "exp/log.csv")
    told = output_of(
        bin_folder / "gandoctor",
        "diagnose",
        "exp",
        "--format",
        "json",
        "--format",
        "html:x.html",
        cwd=tmp_path,
    )
    assert json.loads(told)["runs"][0]["primary"]["code"] == "GD201"
    assert (tmp_path / "x.html").read_text().startswith("<!doctype html>")


def test_the_checkout_finds_its_rules() -> None:
    assert rules_folder() == ROOT / "rules"
