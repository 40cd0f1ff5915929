"""The report's pictures in the README and the manual: `python -m tests.docs.screenshots docs/images`.

Needs Playwright and the system's Chromium, as the browser tests do.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image

import gandoctor

ROOT = Path(__file__).parents[2]
WIDTH, HEIGHT = 1100, 960
COLOURS = 128  # of the palette: a page has few, and the file stays small
RUN = "fixtures/constant-z"


def shoot(folder: Path) -> list[Path]:
    """Write the first screen and the plots of one report. Returns what was written."""
    from playwright.sync_api import sync_playwright

    folder = folder.resolve()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    written = []
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as play:
        page_at = Path(temporary) / "report.html"
        with contextlib.chdir(ROOT):  # so that the page names no folder of this machine
            gandoctor.write(gandoctor.diagnose(RUN), page_at)
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(page_at.as_uri())
        page.wait_for_selector("svg.main-svg", timeout=60_000)
        page.wait_for_timeout(2_000)
        written.append(_taken(page, folder / "report.png"))
        page.locator("svg.main-svg").first.scroll_into_view_if_needed()
        page.mouse.wheel(0, HEIGHT // 2)
        page.wait_for_timeout(1_500)
        written.append(_taken(page, folder / "report-plots.png"))
        browser.close()
    return written


def _taken(page: object, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path)  # type: ignore[attr-defined]
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    small.save(path, optimize=True)
    return path


if __name__ == "__main__":
    for written in shoot(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images")):
        print(written, written.stat().st_size)
