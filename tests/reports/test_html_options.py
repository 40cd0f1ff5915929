"""The options of the command line that only the HTML report has."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gandoctor import cli

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def diagnose(*words: str | Path) -> Result:
    return CliRunner().invoke(cli.main, ["diagnose", *map(str, words)])


def test_the_page_of_a_run_leaves_its_plots_out_on_request() -> None:
    assert diagnose(FIXTURES / "late-collapse", "--plotlyjs", "none").exit_code == 0
    page = Path("gandoctor-report.html").read_text("utf-8")
    assert len(page) < 200_000
    assert "This report was written without plots" in page


def test_several_runs_in_a_single_file() -> None:
    assert diagnose(FIXTURES / "late-collapse", FIXTURES / "d-wins", "--single-file").exit_code == 0
    assert [path.name for path in Path().iterdir()] == ["gandoctor-report.html"]
    assert 'id="page-run-2"' in Path("gandoctor-report.html").read_text("utf-8")


def test_a_page_tells_the_options_that_decide_what_is_found() -> None:
    diagnose(FIXTURES / "late-collapse", "--ignore", "GD703")
    page = Path("gandoctor-report.html").read_text("utf-8")
    assert f"gandoctor diagnose {(FIXTURES / 'late-collapse').as_posix()} --ignore GD703" in page


@pytest.mark.parametrize(("locale", "tongue"), [("zh_CN.UTF-8", "zh-CN"), ("de_DE.UTF-8", "en")])
def test_the_language_of_the_locale(locale: str, tongue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    diagnose(FIXTURES / "late-collapse", "--lang", "auto", "--plotlyjs", "none")
    assert f'<html lang="{tongue}">' in Path("gandoctor-report.html").read_text("utf-8")


def test_other_formats_do_not_mind_the_options_of_html() -> None:
    assert diagnose(FIXTURES / "late-collapse", "--format", "markdown", "--plotlyjs", "none").exit_code == 0
