"""What mkdocs needs to know of this repository: pages link to files outside docs/, and the symptoms are many."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
REPOSITORY = "repository"  # the folder of the site that holds what pages show of the repository
_LINK = re.compile(r"(!?\[[^\]]*\]\()([^)#:\s]+)")


def outside(page: str, link: str) -> str:
    """The path in the repository of a link that leads out of docs/, "" of any other."""
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link))
    return "" if path.startswith("docs/") or not (ROOT / path).is_file() else path


def on_config(config: Any) -> Any:
    """Add each symptom to the navigation, below the index."""
    pages = sorted((ROOT / "docs/symptoms").glob("GD*.md"))
    titled = [{_title(page): f"symptoms/{page.name}"} for page in pages]
    for part in config["nav"]:
        if "Symptoms" in part:
            part["Symptoms"] = [{"All symptoms": "symptoms/README.md"}, *titled]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Put the files of the repository that pages link to into the site."""
    found: set[str] = set()
    todo = [(file.src_uri, file.content_string) for file in files.documentation_pages()]
    for page, text in todo:
        for _, link in _LINK.findall(text):
            path = outside(page, link)
            if path and path not in found:
                found.add(path)
                text_of = (ROOT / path).read_text("utf-8")
                name = f"{REPOSITORY}/{_name(path)}"
                shown = text_of if path.endswith(".md") else f"# {path}\n\n```\n{text_of}\n```\n"
                files.append(File.generated(config, name, content=_inward(path, shown)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let links out of docs/ lead to those files."""
    here = page.file.src_uri

    def inward(match: re.Match[str]) -> str:
        path = outside(here, match[2])
        if not path:
            return match[0]
        return match[1] + posixpath.relpath(f"{REPOSITORY}/{_name(path)}", posixpath.dirname(here) or ".")

    return markdown if here.startswith(REPOSITORY) else _LINK.sub(inward, markdown)


def _inward(path: str, text: str) -> str:
    """A file of the repository as a page: its links to docs/ lead there, its others become plain text."""

    def link(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), match[2]))
        if target.startswith("docs/") and (ROOT / target).is_file():
            return match[1] + posixpath.relpath(target.removeprefix("docs/"), REPOSITORY)
        return f"{match[1]}README.md" if target == "docs" else match[0]

    return _LINK.sub(link, text)


def _name(path: str) -> str:
    """Its name in the site: README.md would become the index of its folder."""
    stem = path.strip(".").replace("/", "-")
    return stem.replace("README.md", "readme.md") if path.endswith(".md") else f"{stem}.md"


def _title(page: Path) -> str:
    text = page.read_text("utf-8")
    return next(line[2:] for line in text.splitlines() if line.startswith("# "))
