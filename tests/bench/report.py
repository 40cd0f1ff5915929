"""Size and speed of the HTML report, in the system's Chromium.

    python tests/bench/report.py [--scalars 1200000] [--runs 1000] [--repeat 3]

A log of that many scalars (24 series of one run: losses, outputs, norms, layers, settings) is diagnosed and
its report opened from disk; then an index of that many runs. Printed: bytes, seconds to write, and from the
start of the navigation, the best of the repetitions: until something is painted, the page is loaded, its
lines are sketched, the first and the last plot is drawn, and how long the page's thread worked; for the
index how long it takes to filter and to sort.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from gandoctor.judge.diagnose import diagnose_run
from gandoctor.judge.diagnosis import Diagnosis
from gandoctor.many import thinned
from gandoctor.reports import write_report
from gandoctor.run import Run, Series
from tests.reports.test_html_browser import CHROMIUM, DRAWN

TAGS = (
    "loss_D", "loss_G", "D/score_real", "D/score_fake", "D/score_real_std", "D/score_fake_std", "fid", "lr_G", "lr_D",
    "D/grad_norm", "G/grad_norm", "D/weight_norm", "G/weight_norm", "penalty",
    *(f"{network}/layer{n}/grad_norm" for network in "DG" for n in range(5)),
)  # fmt: skip
PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
LOADED = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"


def made(scalars: int, name: str = "big", seed: int = 0) -> Diagnosis:
    """A run of that many scalars, whose D wins at 60% of it."""
    random = np.random.default_rng(seed)
    n = max(scalars // len(TAGS), 40)
    steps = np.arange(n, dtype=np.int64)
    run = Run(Path("runs") / name, name)
    for tag in TAGS:
        values = np.abs(1 + random.normal(0, 0.1, n))
        if tag in ("loss_D", "loss_G"):
            values[int(0.6 * n) :] = (0.01 if tag == "loss_D" else 8.0) + random.random(n - int(0.6 * n))
        values[random.integers(0, n)] = 900.0  # a lone spike, which must be seen
        run.series[tag] = Series(tag, steps, values, steps, Path(f"runs/{name}/log.csv"))
    return diagnose_run(run)


def opened(browser: Any, path: Path, wait: str) -> tuple[Any, dict[str, float]]:
    """A page, and the milliseconds until it was painted, loaded and ready."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.add_init_script(
        "window.at = {}; new MutationObserver(() => { const now = document.documentElement.dataset.plots;"
        " if (now) window.at[now] ??= performance.now(); }).observe(document, { attributes: true, subtree: true })"
    )
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(path.as_uri())
    page.wait_for_selector(wait)
    page.wait_for_timeout(200)
    at = {"painted": page.evaluate(PAINT), "loaded": page.evaluate(LOADED)}
    if wait == DRAWN:
        names = {"sketched": "sketched", "first": "first plot", "drawn": "all plots"}
        at |= {name: page.evaluate(f"window.at.{key}") for key, name in names.items()}
        found = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
        at["the page's thread worked"] = 1_000 * found["TaskDuration"]
    return page, at


def best(browser: Any, path: Path, wait: str, repeat: int) -> str:
    """The least of each time over the repetitions."""
    seen = []
    for _ in range(repeat):
        page, at = opened(browser, path, wait)
        page.close()
        seen.append(at)
    return ", ".join(f"{name} {min(one[name] for one in seen):,.0f} ms" for name in seen[0])


def written(diagnoses: list[Diagnosis], path: Path, **options: Any) -> str:
    """Write a report: its size and how long it took."""
    start = time.perf_counter()
    write_report(diagnoses, path, **options)
    return f"{path.stat().st_size:,} bytes, written in {time.perf_counter() - start:.2f} s"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scalars", type=int, default=1_200_000)
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        big = made(args.scalars)
        points = sum(len(one) for one in big.run.series.values())
        for plotlyjs in ("inline", "none"):
            path = Path(folder) / f"{plotlyjs}.html"
            print(
                f"one run, {points:,} scalars, plotly.js {plotlyjs}: {written([big], path, plotlyjs=plotlyjs)}"
            )
            print(f"    {best(browser, path, DRAWN if plotlyjs == 'inline' else 'h1', args.repeat)}")
        several = [thinned(made(4_000, f"run-{n:04d}", n), 1_000) for n in range(args.runs)]
        path = Path(folder) / "several" / "index.html"
        path.parent.mkdir()
        print(f"index of {args.runs:,} runs with their pages: {written(several, path)}")
        print(f"    {best(browser, path, '#runs', args.repeat)}")
        page, _ = opened(browser, path, "#runs")
        timed = (
            "(() => {{ const start = performance.now(); {}; document.body.offsetHeight;"
            " return performance.now() - start }})()"
        )
        typed = "const f = document.getElementById('filter'); f.value = '0042'; f.dispatchEvent(new Event('input'))"
        print(f"    filtered in {page.evaluate(timed.format(typed)):,.0f} ms", end=", ")
        page.reload()
        page.wait_for_selector("#runs")
        sort = "document.querySelector('#runs thead th:nth-child(2) button').click()"
        print(f"sorted in {page.evaluate(timed.format(sort)):,.0f} ms")
        path = Path(folder) / "single.html"
        print(f"20 runs in a single file: {written(several[:20], path, single_file=True)}")


if __name__ == "__main__":
    main()
