from __future__ import annotations

import json
import subprocess
import sys

import pytest

from gandoctor.errors import UserError
from gandoctor.reports import formats, reporter, write_report
from tests.reports import samples


def test_every_output_has_a_format_of_its_own_name() -> None:
    assert {"json", "terminal"} <= set(formats())
    suffixes = [suffix for one in formats().values() for suffix in one.SUFFIXES]
    assert len(suffixes) == len(set(suffixes))
    assert all(suffix.startswith(".") for suffix in suffixes)


def test_the_format_comes_from_the_suffix_unless_it_is_given(tmp_path) -> None:
    assert reporter(path=tmp_path / "Report.JSON").FORMAT == "json"
    write_report([samples.healthy()], tmp_path / "new" / "report.json")
    assert json.loads((tmp_path / "new" / "report.json").read_text("utf-8"))["runs"][0]["name"] == "healthy"
    write_report([samples.healthy()], tmp_path / "plain", format="terminal")
    assert "No illness seen" in (tmp_path / "plain").read_text("utf-8")


def test_without_a_path_it_goes_to_standard_output(capsys) -> None:
    write_report([], None, format="json")
    assert json.loads(capsys.readouterr().out)["runs"] == []


@pytest.mark.parametrize(
    ("path", "format", "said"),
    [("x.json", "sartf", "no format is called 'sartf'"), ("x.doc", "", "does not tell the format")],
)
def test_an_unknown_format_names_those_that_exist(tmp_path, path, format, said) -> None:
    with pytest.raises(UserError, match=said) as raised:
        write_report([], tmp_path / path, format=format)
    assert "json" in raised.value.hint


def test_a_file_that_cannot_be_written_is_said(tmp_path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_report([], tmp_path / "taken" / "report.json")


def test_the_table_of_formats_loads_nothing_heavy() -> None:
    code = (
        "import sys, gandoctor.reports as r\n"
        "assert not [m for m in sys.modules if m.startswith('gandoctor.reports.')]\n"
        "r.formats()\n"
        "heavy = {'numpy', 'pandas', 'scipy', 'torch', 'plotly', 'jinja2'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
