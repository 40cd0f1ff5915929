"""The page of a comparison in a real browser."""

from __future__ import annotations

from pathlib import Path

from gandoctor.loop.compare import compare_runs
from gandoctor.reports.loop.html import write_pages
from tests.loop.seeds import seeds
from tests.reports.test_html_browser import browser, pytestmark, visit

__all__ = ["browser", "pytestmark"]


def test_both_sides_are_drawn_over_each_other(browser: object, tmp_path: Path) -> None:
    write_pages([compare_runs(seeds(True), seeds(False, first=5, lr_d=2e-5))], tmp_path / "c.html")
    opened = visit(browser, tmp_path / "c.html")
    page = opened.page
    assert opened.requests == [page.url]
    assert opened.complaints == []
    paths = page.locator("#figure-losses .scatterlayer .trace path.js-line").all()
    dashes = [path.evaluate("(line) => line.style.strokeDasharray") for path in paths]
    drawn = [dash for dash in dashes if dash != "8px, 4px"]  # but for the levels
    assert [bool(dash) and dash != "none" for dash in drawn] == [True, True, False, False]
    mark = "(one) => one.type === 'rect' && one.yref === 'paper'"  # a band around a level ends at values
    shaded = f"document.querySelector('.canvas').layout.shapes.filter({mark}).length"
    assert page.evaluate(shaded) == 0
    page.locator(".lane").first.click()
    page.wait_for_function(f"{shaded} === 2")
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") == 360
