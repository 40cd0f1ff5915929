from __future__ import annotations

from pathlib import Path

from gandoctor.judge.rules import load_rules
from gandoctor.reports.pages import write_pages

DOCS = Path(__file__).parents[2] / "docs" / "symptoms"


def test_the_pages_of_the_manual_are_those_of_the_rules(tmp_path: Path) -> None:
    written = write_pages(tmp_path, DOCS / "pictures")
    assert {path.stem for path in written} == {*load_rules(), "README"}
    for path in written:
        assert (DOCS / path.name).read_text(encoding="utf-8") == path.read_text(encoding="utf-8"), (
            "run `make docs`"
        )
