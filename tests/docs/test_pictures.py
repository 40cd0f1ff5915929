"""The manual's pictures: each symptom that a fixture shows has one, small and whole."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

import gandoctor
from tests.docs.pictures import MOST, picture
from tests.runs import bce_run, jump

DOCS = Path(__file__).parents[2] / "docs"
PICTURES = sorted((DOCS / "symptoms/pictures").glob("GD*.svg"))


def test_what_there_is_is_shown_on_its_page() -> None:
    assert len(PICTURES) >= 15
    for one in PICTURES:
        assert f"pictures/{one.name}" in (DOCS / f"symptoms/{one.stem}.md").read_text("utf-8")


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_a_picture_is_small_and_says_where_it_is_from(path: Path) -> None:
    assert path.stat().st_size <= MOST
    svg = ElementTree.parse(path).getroot()
    caption = svg.findtext("{http://www.w3.org/2000/svg}desc") or ""
    [run] = re.findall(r"^(fixtures/[\w-]+): ", caption)
    assert (DOCS.parent / run).is_dir()
    assert "http" not in path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")


def test_a_curve_is_drawn_with_its_stretch_shaded() -> None:
    diagnosis = gandoctor.diagnose(bce_run(d=jump(1.3, 0.001, at=0.5), g=jump(0.7, 9.0, at=0.5)))
    assert diagnosis.primary is not None
    svg = ElementTree.fromstring(picture(diagnosis, diagnosis.primary, "a < b"))
    tags = [one.tag.rpartition("}")[2] for one in svg]
    assert tags.count("rect") == 2  # ground and stretch
    assert svg[0].text == "fixtures/run: a < b"


@pytest.mark.parametrize("name", ["report.png", "report-plots.png"])
def test_screenshots_are_light(name: str) -> None:
    path = DOCS / "images" / name
    assert path.stat().st_size <= 150_000
    with Image.open(path) as shot:
        assert shot.width >= 1_000
