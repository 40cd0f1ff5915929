"""The HTML report in a real browser. Needs the Python package playwright and a chromium of the system.

Opening a page costs about a second, so tests that only look share one.
"""

from __future__ import annotations

import importlib.util
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

AXE = importlib.util.find_spec("axe_playwright_python")
DRAWN = "html[data-plots=drawn]"
PATIENCE = 60_000  # ms: a busy machine is slow, not wrong


@dataclass
class Opened:
    """A page, with what it asked of the network, what it complained of, and what moved until it was ready."""

    page: Any
    shifts: list[float] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


WATCH_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => list.getEntries().forEach((one) => {
  if (!one.hadRecentInput) window.shifts.push(one.value);
})).observe({ type: "layout-shift", buffered: true });
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


def visit(browser: Any, path: Path, *, width: int = 1280, wait: str = DRAWN, offline: bool = False) -> Opened:
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme="light", offline=offline
    )
    context.set_default_timeout(PATIENCE)
    opened = Opened(context.new_page())
    opened.page.add_init_script(WATCH_SHIFTS)
    opened.page.on("request", lambda request: opened.requests.append(request.url))
    opened.page.on("console", lambda message: opened.complaints.append(message.text))
    opened.page.on("pageerror", lambda fault: opened.complaints.append(str(fault)))
    opened.page.goto(path.as_uri())
    opened.page.wait_for_selector(wait)
    opened.shifts = opened.page.evaluate("window.shifts")
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
def pictured(browser, tmp_path_factory) -> Opened:
    """A sample with grids, in Chinese."""
    folder = tmp_path_factory.mktemp("pictured")
    write_report([samples.pictured(folder)], folder / "report.html", lang="zh")
    return visit(browser, folder / "report.html")


@pytest.fixture(scope="module")
def index(browser, tmp_path_factory) -> Opened:
    """An index of three runs."""
    path = tmp_path_factory.mktemp("several") / "index.html"
    write_report([samples.healthy(), samples.failing(), samples.unknown()], path)
    return visit(browser, path, wait="#runs")


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
    mark = "(one) => one.type === 'rect' && one.yref === 'paper'"  # a band around a level ends at values
    shaded = f"document.querySelector('.canvas').layout.shapes.find({mark}).x0"
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


@pytest.mark.parametrize(
    "sample", [samples.one_step, samples.never_finite, samples.two_pairs, samples.unknown]
)
def test_odd_runs_are_drawn_without_a_complaint(sample, browser, tmp_path) -> None:
    write_report([sample()], tmp_path / "odd.html")
    opened = visit(browser, tmp_path / "odd.html")
    assert opened.complaints == []
    assert not opened.page.is_visible("#no-plots")
    for button in opened.page.locator("[data-zoom=in]").all():
        button.click()
    assert opened.complaints == []


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


# --- who cannot see, or has no mouse -----------------------------------------------------------------------


@pytest.mark.skipif(AXE is None, reason="axe-playwright-python is not installed")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("sample", ["failing", "chained", "pictured", "index"])
def test_axe_finds_nothing_against_wcag_22_aa(sample, scheme, request) -> None:
    page = request.getfixturevalue(sample).page
    page.emulate_media(color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    page.wait_for_timeout(200)  # the plots take their new colours
    assert AXE is not None
    script = Path(str(AXE.origin)).parent / "axe.min.js"
    page.evaluate(script.read_text(encoding="utf-8"))
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = page.evaluate(f"axe.run(document, {{runOnly: {rules}}})")
    page.emulate_media(color_scheme="light")
    said = [(one["id"], [node["target"] for node in one["nodes"]]) for one in found["violations"]]
    assert said == []
    assert len(found["passes"]) > 15


@pytest.mark.parametrize("sample", ["failing", "chained", "pictured", "index"])
def test_nothing_moves_after_it_is_shown(sample, request) -> None:
    assert request.getfixturevalue(sample).shifts == []


def test_the_keyboard_alone_zooms_and_comes_back(pictured) -> None:
    page = pictured.page
    shown = "document.querySelector('.canvas').layout.xaxis.range"
    whole = page.evaluate(shown)
    page.focus("[data-zoom=in]")
    page.keyboard.press("Enter")
    half = page.evaluate(shown)
    assert half[1] - half[0] == pytest.approx((whole[1] - whole[0]) / 2)
    assert page.inner_text("#zoomed").startswith("显示：")
    page.focus("[data-zoom=later]")
    page.keyboard.press("Space")
    assert page.evaluate(shown)[1] == whole[1]
    page.focus("[data-zoom=out]")
    page.keyboard.press("Enter")
    assert page.evaluate(shown) == whole
    assert page.is_disabled("#reset")


def test_the_keyboard_reaches_every_control(chained) -> None:
    page = chained.page
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    shown = "[...document.querySelectorAll('a[href], button:enabled, summary')].filter((one) => one.checkVisibility())"
    count = page.evaluate(f"{shown}.length")
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    reached = set()
    for _ in range(2 * count + 40):
        page.keyboard.press("Tab")
        at = page.evaluate(f"{shown}.indexOf(document.activeElement)")
        if at >= 0:
            reached.add(at)
    assert reached == set(range(count))


# --- what is linked to what --------------------------------------------------------------------------------


def test_dragging_in_one_plot_zooms_all_and_the_samples_with_them(pictured) -> None:
    page = pictured.page
    assert page.locator(".film-axis img").count() == 4
    page.locator("#figure-losses .canvas").scroll_into_view_if_needed()
    box = page.locator("#figure-losses .nsewdrag").first.bounding_box()
    y = box["y"] + 40
    page.mouse.move(box["x"] + box["width"] * 0.4, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, y, steps=5)
    page.mouse.up()
    until(page, "!document.getElementById('reset').disabled")
    first, last = page.evaluate("document.querySelector('.canvas').layout.xaxis.range")
    assert (first, last) == (pytest.approx(0.4 * 19_950, rel=0.02), pytest.approx(0.9 * 19_950, rel=0.02))
    assert page.locator(".film-axis img").count() == 2  # those of steps 10,000 and 15,000
    page.click("#reset")
    assert page.locator(".film-axis img").count() == 4


def test_the_pointer_stands_at_one_step_everywhere(browser, tmp_path) -> None:
    write_report([samples.layers(3)], tmp_path / "report.html")
    page = visit(browser, tmp_path / "report.html").page
    page.locator("#plots").scroll_into_view_if_needed()
    box = page.locator("#figure-losses .nsewdrag").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(box["x"] + box["width"] / 2 + 1, box["y"] + box["height"] / 2)
    until(page, "document.getElementById('plots').classList.contains('pointed')")
    at = page.evaluate("parseFloat(document.getElementById('plots').style.getPropertyValue('--pointer'))")
    assert at == pytest.approx(box["width"] / 2, abs=2)
    left = "getComputedStyle(document.querySelector('.canvas.heat'), '::after').left"
    assert page.evaluate(f"parseFloat({left})") == pytest.approx(at + 58, abs=1)
    page.mouse.move(2, 2)
    until(page, "!document.getElementById('plots').classList.contains('pointed')")


def test_the_pointer_says_which_findings_hold_there(chained) -> None:
    page = chained.page
    page.set_viewport_size({"width": 1280, "height": 800})
    track = page.locator(".lane .track").first
    track.scroll_into_view_if_needed()
    box = track.bounding_box()
    page.mouse.move(box["x"] + 0.215 * box["width"], box["y"] + 2)  # step 4,290
    page.mouse.move(box["x"] + 0.216 * box["width"], box["y"] + 2)
    until(page, "document.querySelectorAll('.lane.here').length > 0")
    assert page.locator(".lane.here").count() == 1
    assert "GD201" in page.inner_text(".lane.here")
    page.mouse.move(2, 2)
    page.set_viewport_size({"width": 360, "height": 800})


def test_the_keyboard_moves_the_pointer_and_hears_the_values(chained) -> None:
    page = chained.page
    page.focus("#step")
    page.keyboard.press("End")
    until(page, "document.getElementById('plots').classList.contains('pointed')")
    told = page.get_attribute("#step", "aria-valuetext")
    assert told.startswith("step 19,950, loss_D ")
    assert "not finite" in told
    assert told.endswith("GD201, GD301, GD101, GD105")  # GD402 has ended
    page.keyboard.press("Home")
    assert re.match(
        r"step 0, loss_D 1\.\d+, loss_G [01]\.\d+$", page.get_attribute("#step", "aria-valuetext")
    )
    page.evaluate("document.activeElement.blur()")
    assert page.locator("#plots.pointed").count() == 0


def test_a_finding_leads_to_the_plots(chained) -> None:
    page = chained.page
    page.click("[data-show=GD402-1]")
    pressed = page.locator(".lane[aria-pressed=true]")
    assert (pressed.count(), pressed.get_attribute("data-finding")) == (1, "GD402-1")
    assert page.url.endswith("#plots")


# --- what is on the page -----------------------------------------------------------------------------------


def test_a_layer_says_its_name_and_value_under_the_pointer(browser, tmp_path) -> None:
    write_report([samples.layers(3)], tmp_path / "report.html")
    page = visit(browser, tmp_path / "report.html").page
    heat = page.locator("#figure-by-layer-gradient-D .nsewdrag").first
    heat.scroll_into_view_if_needed()
    box = heat.bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + box["height"] / 6)
    page.mouse.move(box["x"] + 102, box["y"] + box["height"] / 6)
    page.wait_for_selector("#figure-by-layer-gradient-D .hovertext")
    assert re.match(r"layer0: [01]\.\d", page.text_content("#figure-by-layer-gradient-D .hovertext"))


def test_a_chinese_page_is_chinese(pictured) -> None:
    page = pictured.page
    assert page.get_attribute("html", "lang") == "zh-CN"
    assert page.inner_text(".badge").strip().endswith("训练失败")
    english = page.evaluate(
        "[...document.querySelectorAll('h1, h2, h3, th, dt, summary, .intro, .note, button, figcaption')]"
        ".map((one) => one.innerText.trim()).filter((text) => text && !/[\\u4e00-\\u9fff]/.test(text))"
    )
    assert [text for text in english if re.search("[a-z]{4,}", text) and "loss_" not in text] == []
    assert pictured.complaints == []


def test_copying_puts_the_snippet_on_the_clipboard(browser, tmp_path) -> None:
    write_report([samples.failing()], tmp_path / "report.html")
    page = visit(browser, tmp_path / "report.html").page
    page.evaluate(
        "Object.defineProperty(navigator, 'clipboard', {value: {writeText: async (text) => { window.told = text; }}})"
    )
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    button = page.locator(".copy").first
    button.click()
    until(page, "document.querySelector('.copy').textContent === 'Copied'")
    assert page.evaluate("window.told") == page.evaluate(
        "document.getElementById(document.querySelector('.copy').dataset.copy).textContent"
    )


def test_it_prints(browser, tmp_path) -> None:
    write_report([samples.chained()], tmp_path / "report.html")
    page = visit(browser, tmp_path / "report.html").page
    paper = page.pdf(format="A4", print_background=True)
    assert paper.startswith(b"%PDF")
    assert 4 <= len(re.findall(rb"/Type\s*/Page\b", paper)) <= 30


@pytest.mark.parametrize("width", [360, 390, 700, 1280, 2560])
@pytest.mark.parametrize("sample", ["pictured", "index"])
def test_no_width_scrolls_sideways(sample, width, request) -> None:
    page = request.getfixturevalue(sample).page
    page.set_viewport_size({"width": width, "height": 800})
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": 1280, "height": 800})


# --- several runs ------------------------------------------------------------------------------------------


def test_the_index_filters_by_words_and_verdicts(index) -> None:
    page = index.page
    rows = page.locator("#runs tbody tr:visible")
    assert rows.count() == 3
    page.fill("#filter", "GD201 fail")
    assert (rows.count(), page.inner_text("#shown")) == (1, "1 of 3 runs shown")
    page.fill("#filter", "no such run")
    assert rows.count() == 0
    page.fill("#filter", "")
    page.click("[data-verdict='0']")
    assert rows.count() == 2
    assert page.get_attribute("[data-verdict='0']", "aria-pressed") == "false"
    page.click("[data-verdict='0']")
    assert rows.count() == 3


def test_the_index_shows_losses_and_the_best_metric(index) -> None:
    row = index.page.locator("#runs tbody tr", has_text="healthy")
    assert row.locator(".spark path").count() == 2
    assert "fid" in row.inner_text()
    width = index.page.evaluate("document.querySelector('#runs').getBoundingClientRect().right")
    assert width <= 1280


def test_runs_in_a_single_file_open_and_close_without_a_request(browser, tmp_path) -> None:
    path = tmp_path / "all.html"
    write_report([samples.healthy(), samples.failing()], path, single_file=True)
    assert [one.name for one in tmp_path.iterdir()] == ["all.html"]
    opened = visit(browser, path, wait="#runs")
    page = opened.page
    page.click("#runs tbody a >> text=failing")
    page.wait_for_selector("iframe.viewer")
    frame = page.frames[1]
    frame.wait_for_selector(DRAWN)
    assert frame.locator("#figure-losses .scatterlayer .trace").count() >= 2
    frame.click("nav a[href='#findings']")
    assert frame.locator("#findings").is_visible()  # and not the index in its own frame
    frame.click("[data-up]")
    page.wait_for_selector("iframe.viewer", state="detached")
    page.go_back()
    page.wait_for_selector("iframe.viewer")
    assert {url for url in opened.requests if not url.startswith(("about:", "blob:", "data:"))} == {
        path.as_uri()
    }
    assert opened.complaints == []


def test_plots_can_be_left_out_or_come_from_a_server(browser, tmp_path) -> None:
    write_report([samples.failing()], tmp_path / "none.html", plotlyjs="none")
    assert (tmp_path / "none.html").stat().st_size < 150_000
    opened = visit(browser, tmp_path / "none.html", wait="#no-plots")
    assert opened.page.inner_text("#no-plots").startswith("This report was written without plots")
    assert opened.requests == [opened.page.url]
    write_report([samples.failing()], tmp_path / "cdn.html", plotlyjs="cdn")
    opened = visit(browser, tmp_path / "cdn.html", wait="#no-plots:visible", offline=True)
    assert "plotly.js was not loaded" in opened.page.inner_text("#no-plots")
    [asked] = [url for url in opened.requests if url != opened.page.url]
    assert re.fullmatch(r"https://cdn\.plot\.ly/plotly-[\d.]+\.min\.js", asked)
