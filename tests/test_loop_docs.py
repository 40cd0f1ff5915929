"""The commands in docs/loop.md print what it says, run one after another. `python -m tests.test_loop_docs` renews it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.test_readme import CONSOLE, ROOT, output_of

PAGE = ROOT / "docs/loop.md"
MOMENT = "1790000000"


def rendered(text: str, folder: Path) -> str:
    """The page with the output of each command, run in order in one folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", MOMENT)
        return CONSOLE.sub(
            lambda block: f"```console\n$ {block['command']}\n{output_of(block['command'], folder)}```\n",
            text,
        )


def test_commands_print_what_it_says(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert len(CONSOLE.findall(text)) == 7
    assert rendered(text, tmp_path) == text
    assert (tmp_path / "gandoctor-compare.html").is_file()
    assert (tmp_path / "gandoctor-journal.jsonl").is_file()


def test_the_python_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [code] = re.findall(r"```python\n([^`]*)```", PAGE.read_text(encoding="utf-8"))
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert capsys.readouterr().out == "keep ((3, 3), (0, 3)) 0.05\nnot-enough\n"


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", PAGE.read_text(encoding="utf-8")):
        assert (PAGE.parent / target).exists()


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as temporary:
        PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8"), Path(temporary)), encoding="utf-8")
