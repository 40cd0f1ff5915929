"""Every command and every code block of the manual runs. `python -m tests.docs.test_pages` renews the output.

A page's blocks run in order, in one folder that has the fixtures. `console` blocks print what stands below each command;
`<!-- file: PATH -->` before a block writes it there; `<!-- not run: WHY -->` leaves it out.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.shell_completion import get_completion_class
from click.testing import CliRunner

from gandoctor import cli

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BLOCK = re.compile(
    r"(?:<!-- (?P<how>file|not run): (?P<what>.*?) -->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.M | re.S
)
MINE = ("quickstart", "first-report", "logging", "recipes", "command-line", "extend", "api")
ELSEWHERE = {  # pages whose blocks other tests run
    "ci": "tests/test_docs_ci.py",
    "loop": "tests/test_loop_docs.py",
    "recorder": "tests/capture/test_recipes.py",
    "probe": "tests/probe",
    "fleet": "tests/fleet",
}
LONG = {  # commands that no test runs whole, and why; their options are checked all the same
    "gandoctor lab": "trains for hours; tests/lab runs it small",
    "gandoctor train": "needs torch; tests/trainer runs it",
    "gandoctor probe": "needs torch and a generator; tests/probe runs it",
    "gandoctor watch": "waits for a job; tests/test_watch.py runs it",
    "make": "builds environments; .ci/run calls lint, test and site",
    "python -m tests.bench": "a measurement", "python tests/bench": "a measurement",
    "python -m gandoctor.trainer.fixtures": "trains; the fixtures are its output",
}  # fmt: skip
WRONG_ON_PURPOSE = ("gandoctor diagnos fixtures",)  # pages that show what a mistake looks like


def run_console(text: str, folder: Path) -> str:
    """A console block with what its commands print."""
    said = []
    for line in text.splitlines():
        if line.startswith("$ "):
            said += [line, *_output(line[2:], folder)]
    return "\n".join(said) + "\n"


def _output(command: str, folder: Path) -> list[str]:
    program, *words = shlex.split(command)
    assert program == "gandoctor", command
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("COLUMNS", "100")
        result = CliRunner().invoke(cli.main, words, prog_name="gandoctor")
    assert result.exit_code in (cli.OK, cli.FAILED, cli.USAGE, cli.UNKNOWN), result.output
    return [line.rstrip() for line in result.output.strip("\n").splitlines()]


def rendered(page: str, folder: Path) -> str:
    """The page as it should be: all blocks run in order, output renewed."""
    if not (folder / "fixtures").exists():
        (folder / "fixtures").symlink_to(ROOT / "fixtures")
    code: list[str] = []

    def renewed(block: re.Match[str]) -> str:
        kind, text = block["kind"], block["text"]
        if block["how"] == "not run":
            assert block["what"]
        elif block["how"] == "file":
            path = folder / block["what"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif kind == "python":
            code.append(text)
            _execute(text if page != "extend" else "\n".join(code), folder)
        elif kind == "console":
            made = run_console(text, folder)
            return block[0].replace(f"```console\n{text}```", f"```console\n{made}```")
        else:
            raise AssertionError(f"{page}: a block of {kind} that nothing runs")
        return block[0]

    return BLOCK.sub(renewed, (DOCS / f"{page}.md").read_text(encoding="utf-8"))


def _execute(code: str, folder: Path) -> None:
    """In a process of its own: what registers itself stays there."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False,
        env={**__import__("os").environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", MINE)
def test_what_a_page_shows_runs_and_prints_what_it_says(tmp_path: Path, page: str) -> None:
    assert rendered(page, tmp_path) == (DOCS / f"{page}.md").read_text(encoding="utf-8")


def pages() -> list[Path]:
    return [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "rules/README.md",
        *sorted(DOCS.glob("*.md")),
    ]


def test_each_page_with_code_is_run_by_some_test() -> None:
    for page in DOCS.glob("*.md"):
        if "```console" in page.read_text("utf-8") or "```python" in page.read_text("utf-8"):
            assert page.stem in {*MINE, *ELSEWHERE}, page
    assert all((ROOT / place).exists() for place in ELSEWHERE.values())


def commands(text: str) -> Iterator[str]:
    """What a page tells one to type: indented lines, lines of console blocks, and code in the text."""
    yield from re.findall(r"^(?:    |\$ )((?:gandoctor|python|make) .*)$", text, re.M)
    for block in re.findall(r"^```console\n(.*?)^```", text, re.M | re.S):
        yield from re.findall(r"^(gandoctor .*)$", block, re.M)
    yield from re.findall(r"`((?:gandoctor|python|make) [^`]*)`", text)


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_is_named_exists_with_its_options(page: Path) -> None:
    for command in commands(page.read_text("utf-8")):
        words = shlex.split(command, comments=True)
        if command in WRONG_ON_PURPOSE:
            continue
        if words[0] == "gandoctor":
            _check_words(words[1:], command)
        elif words[0] == "make":
            assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text("utf-8"), command
        elif words[:2] == ["python", "-m"]:
            place = ROOT / words[2].replace(".", "/")
            assert (
                place.with_suffix(".py").exists() or (place / "__main__.py").exists() or "venv" in command
            ), command
        elif words[1].endswith(".py") and "/" in words[1]:
            assert (ROOT / words[1]).exists(), command


def _check_words(words: list[str], command: str) -> None:
    group: click.Command = cli.main
    options = _options(group)
    for word in words:
        if isinstance(group, click.Group) and word in group.commands:
            group = group.commands[word]
            options |= _options(group)
        elif isinstance(group, click.Group) and word.isalpha() and word.islower() and group is cli.main:
            raise AssertionError(f"no command {word!r}: {command}")
        elif word.startswith("-") and len(word) > 1 and not word[1:2].isdigit():
            assert word.partition("=")[0] in options, command


def _options(command: click.Command) -> set[str]:
    return {name for option in command.params for name in option.opts} | {"--help", "-h"}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)]*))?\)", page.read_text("utf-8")):
        there = page.parent / target if target else page
        assert there.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.*)$", there.read_text("utf-8"), re.M)
            assert anchor in {
                re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads
            }, anchor


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_as_documented(shell: str) -> None:
    text = (DOCS / "command-line.md").read_text("utf-8")
    assert f"_GANDOCTOR_COMPLETE={shell}_source gandoctor" in text
    made = get_completion_class(shell)
    assert made is not None
    complete = made(cli.main, {}, "gandoctor", "_GANDOCTOR_COMPLETE")
    assert {"diagnose", "compare", "watch"} <= {one.value for one in complete.get_completions([], "")}
    assert [one.value for one in complete.get_completions(["diagnose"], "--single")] == ["--single-file"]
    assert [one.value for one in complete.get_completions(["explain", "GD101", "--lang"], "z")] == ["zh"]


def test_every_term_of_the_glossary_is_the_word_of_the_texts() -> None:
    pairs = list(_texts())
    rows = re.findall(
        r"^\| ([a-z][^|]*?) \| ([^|]*?[一-鿿][^|]*?) \|", (DOCS / "glossary.md").read_text("utf-8"), re.M
    )
    assert len(rows) > 40
    for english, chinese in rows:
        for term in re.sub(r" \([A-Z]\)", "", english).split(", "):
            stem = re.sub(r"(?<=.{5})(ation|ting|ing|ed)$", "", term)
            told = [zh for en, zh in pairs if re.search(r"\b" + re.escape(stem), en, re.I)]
            kept = [zh for zh in told if any(form in zh for form in chinese.split(" / "))]
            assert told, f"{term}: no text has it"
            assert len(kept) >= 0.8 * len(told), (term, chinese, [zh for zh in told if zh not in kept][:5])


def _texts() -> Iterator[tuple[str, str]]:
    """Every text of rules and interface in both languages."""
    files = [*(ROOT / "rules").glob("GD*.toml"), ROOT / "gandoctor/reports/texts.toml"]
    todo: list[object] = [tomllib.loads(path.read_text("utf-8")) for path in files]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            if isinstance(one.get("en"), str) and isinstance(one.get("zh"), str):
                yield one["en"], one["zh"]
            todo += one.values()
        elif isinstance(one, list):
            todo += one


if __name__ == "__main__":
    import tempfile

    for name in sys.argv[1:] or MINE:
        with tempfile.TemporaryDirectory() as temporary:
            made = rendered(name, Path(temporary))
        (DOCS / f"{name}.md").write_text(made, encoding="utf-8")
