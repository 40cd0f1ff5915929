"""The HTML report in a real browser. Needs the Python package playwright and a chromium of the system.

Opening a page costs about a second, so tests that only look share one.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gandoctor.reports import write_report
from tests.reports import samples

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this system")

DRAWN = "html[data-plots=drawn]"
PATIENCE = 60_000  # ms: a busy machine is slow, not wrong


@dataclass
class Opened:
    """A page, with what it asked of the network and what it complained of."""

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


def visit(browser: Any, path: Path, *, width: int = 1280, wait: str = DRAWN) -> Opened:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme="light")
    context.set_default_timeout(PATIENCE)
    opened = Opened(context.new_page())
    opened.page.on("request", lambda request: opened.requests.append(request.url))
    opened.page.on("console", lambda message: opened.complaints.append(message.text))
    opened.page.on("pageerror", lambda fault: opened.complaints.append(str(fault)))
    opened.page.goto(path.as_uri())
    opened.page.wait_for_selector(wait)
    return opened


def until(page: Any, expression: str) -> None:
    """Wait until an expression holds. wait_for_function would need eval, which the page's policy forbids."""
    for _ in range(PATIENCE // 100):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"never: {expression}")


@pytest.fixture(scope="module")
def failing(browser, tmp_path_factory) -> Opened:
    """The failing sample, with a hostile finding on top."""
    path = tmp_path_factory.mktemp("failing") / "report.html"
    write_report([samples.handmade()], path)
    return visit(browser, path)


@pytest.fixture(scope="module")
def chained(browser, tmp_path_factory) -> Opened:
    """A sample with a long chain, opened on a narrow screen."""
    path = tmp_path_factory.mktemp("chained") / "report.html"
    write_report([samples.chained()], path)
    return visit(browser, path, width=360)


def test_it_draws_off_line_without_a_request_or_a_complaint(failing) -> None:
    assert failing.requests == [failing.page.url]
    assert failing.complaints == []
    paths = failing.page.locator("#figure-losses .scatterlayer .trace path.js-line").all()
    assert len(paths) == 4  # two levels, two losses
    assert all(len(path.get_attribute("d")) > 500 for path in paths[2:])
    assert failing.page.locator("#figure-losses .points path").count() == 160  # steps that are not finite


def test_paper_is_light_narrow_and_has_everything_open(failing) -> None:
    width = "document.querySelector('.canvas').querySelector('svg').getAttribute('width')"
    stroke = "document.querySelector('#figure-losses path.js-line').style.stroke"
    failing.page.emulate_media(color_scheme="dark")
    failing.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert failing.page.locator("details:not([open])").count() == 0
    assert failing.page.evaluate(f"[{width}, {stroke}]") == ["680", "rgb(0, 103, 168)"]
    failing.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert failing.page.locator("details:not([open])").count() > 5
    assert failing.page.evaluate(f"[{width}, {stroke}]") == ["1080", "rgb(109, 185, 242)"]
    failing.page.emulate_media(color_scheme="light")


def test_dark_mode_reaches_the_plots(failing) -> None:
    stroke = "document.querySelector('#figure-losses path.js-line').style.stroke"
    ground = "getComputedStyle(document.body).backgroundColor"
    until(failing.page, f"{stroke} === 'rgb(0, 103, 168)'")
    light = failing.page.evaluate(f"[{ground}, {stroke}]")
    failing.page.emulate_media(color_scheme="dark")
    until(failing.page, f"{stroke} !== '{light[1]}'")
    dark = failing.page.evaluate(f"[{ground}, {stroke}]")
    failing.page.emulate_media(color_scheme="light")
    assert [light, dark] == [
        ["rgb(250, 250, 248)", "rgb(0, 103, 168)"],
        ["rgb(19, 21, 23)", "rgb(109, 185, 242)"],
    ]


def test_the_policy_stops_a_script_and_a_request(failing) -> None:
    """As if text from a log had escaped its escaping."""
    failing.page.evaluate(
        "() => { const script = document.createElement('script'); script.textContent = 'window.bad = 1';"
        " document.head.append(script); new Image().src = 'http://example.invalid/x.png'; }"
    )
    failing.page.wait_for_timeout(200)
    assert failing.page.evaluate("typeof window.bad") == "undefined"
    assert len(failing.complaints) == 2
    assert all("Content Security Policy" in complaint for complaint in failing.complaints)


def test_a_narrow_page_does_not_scroll_sideways(chained) -> None:
    chained.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    assert chained.page.evaluate("document.documentElement.scrollWidth") == 360


def test_a_finding_is_marked_by_the_keyboard(chained) -> None:
    shaded = "document.querySelector('.canvas').layout.shapes.find((one) => one.type === 'rect').x0"
    assert chained.page.evaluate(shaded) == 4_000
    chained.page.locator(".lane").nth(2).focus()
    chained.page.keyboard.press("Enter")
    assert chained.page.evaluate(shaded) == 5_000
    assert chained.page.locator(".lane[aria-pressed=true]").count() == 1


def test_zoom_moves_the_lanes_and_can_be_undone(chained) -> None:
    first = "document.querySelector('.canvas').layout.xaxis.range[0]"
    chained.page.evaluate(
        "Plotly.relayout(document.querySelector('.canvas'), {'xaxis.range[0]': 4500, 'xaxis.range[1]': 9000})"
    )
    chained.page.wait_for_selector("#reset:not([hidden])")
    assert chained.page.evaluate(first) == 4_500
    assert chained.page.locator(".lane .bar").nth(1).evaluate("(bar) => bar.style.left") == "0%"
    chained.page.click("#reset")
    assert chained.page.evaluate(first) == 0


def test_a_spike_is_cut_off_at_first_and_shown_on_request(browser, tmp_path) -> None:
    write_report([samples.spike()], tmp_path / "spike.html")
    page = visit(browser, tmp_path / "spike.html").page
    top = "document.querySelector('#figure-losses .canvas')._fullLayout.yaxis.range[1]"
    assert page.evaluate(top) < 10
    page.click("#figure-losses [data-full]")
    until(page, f"{top} > 1000")


def test_the_index_sorts_and_leads_to_the_pages(browser, tmp_path) -> None:
    write_report([samples.healthy(), samples.failing()], tmp_path / "index.html")
    opened = visit(browser, tmp_path / "index.html", wait="#runs")
    page = opened.page
    first = "document.querySelector('#runs tbody th a').innerText"
    assert page.evaluate(first) == "failing"
    page.click("#runs thead th:nth-child(2) button")
    page.click("#runs thead th:nth-child(2) button")
    assert page.evaluate(first) == "healthy"
    assert page.get_attribute("#runs thead th:nth-child(2)", "aria-sort") == "descending"
    page.click("#runs tbody a >> text=failing")
    page.wait_for_selector(DRAWN)
    names = {re.sub(r".*/", "", url) for url in opened.requests}
    assert names == {"index.html", "002-failing.html", "plotly.js"}
    assert opened.complaints == []
