"""The page of a fleet: how many are ill and since when, which symptoms go with what, and every run in a table."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from gandoctor.errors import UserError
from gandoctor.judge.rules import Text, load_rules
from gandoctor.reports import texts
from gandoctor.reports.texts import clean

if TYPE_CHECKING:
    import pandas as pd

    from gandoctor.config import Config

MOST_ROWS = 20_000  # of the table on the page
_MOST_PAIRS, _MOST_BARS, _MOST_FAMILIES = 30, 60, 10
_SURE = 0.05  # q
_RANK = {"failing": 0, "warning": 1, "error": 2, "unknown": 3, "healthy": 4}
_COLUMNS = ("unit", "path", "name", "verdict", "error", "primary", "confidence", "onset_fraction", "family",
            "last_step", "ended")  # fmt: skip


@lru_cache(maxsize=1)
def all_texts() -> dict[str, Text]:
    """The sentences of the page by their names."""
    text = (Path(__file__).parent / "texts.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), dict[str, Text])


def write_page(folder: Path, config: Config, reports: int = 0) -> tuple[int, Path]:
    """Write `index.html` beside the tables, and the single reports of the worst runs; how many runs it tells of.

    reports: how many single reports. Raises UserError if the tables cannot be read or the page not written.
    """
    runs = read_runs(folder)
    page = folder / "index.html"
    links = _single_reports(runs, folder, config, reports) if reports else {}
    try:
        page.write_text(render(runs, config, links), encoding="utf-8", newline="\n")
    except OSError as fault:
        raise UserError(f"the page cannot be written: {fault.strerror or fault}", where=str(page)) from fault
    return len(runs), page


def read_runs(folder: Path) -> pd.DataFrame:
    """The table `runs`, the worst first."""
    import pandas as pd
    import pyarrow.parquet as pq

    from gandoctor.fleets.table import schemas

    columns = [name for name in schemas()["runs"].names if name in _COLUMNS or name.startswith("fact_")]
    parts = [
        pq.ParquetFile(path).read(columns=columns).to_pandas()
        for path in sorted((folder / "runs").glob("bucket=*/part.parquet"))
    ]
    if not parts:
        empty: pd.DataFrame = schemas()["runs"].empty_table().to_pandas()
        return empty[columns]
    runs = pd.concat([part.dropna(axis=1, how="all") for part in parts], ignore_index=True).reindex(
        columns=columns
    )
    rank = runs["verdict"].map(_RANK)
    order = pd.DataFrame({"rank": rank, "sure": -runs["confidence"].fillna(0.0), "path": runs["path"],
                          "name": runs["name"]})  # fmt: skip
    worst: pd.DataFrame = runs.loc[order.sort_values(["rank", "sure", "path", "name"]).index].reset_index(
        drop=True
    )
    return worst


def render(runs: pd.DataFrame, config: Config, links: dict[int, str]) -> str:
    """The page. runs: as `read_runs` gives them. links: the single reports by the row of their run."""
    import gandoctor
    from gandoctor.fleets.associations import associations
    from gandoctor.reports import contract, html
    from gandoctor.thresholds import version

    lang = config.lang
    rules = load_rules(*config.rules)
    own = all_texts()

    def say(key: str, **fields: object) -> str:
        return own[key].pick(lang).format(**fields) if key in own else texts.say(key, lang, **fields)

    def word(verdict: str) -> str:
        return say("error") if verdict == "error" else texts.all_texts().verdicts[verdict].pick(lang)

    codes = sorted(set(runs["primary"].dropna()) - {""})
    titles = {code: rules[code].title.pick(lang) if code in rules else code for code in codes}
    counted = runs["verdict"].value_counts()
    pairs = associations(runs)
    sure = [pair for pair in pairs if pair.q <= _SURE][:_MOST_PAIRS]
    families, matrix = _by_family(runs, titles)
    cut = ""
    if len(runs) > MOST_ROWS:
        cut = say("runs-cut", shown=f"{MOST_ROWS:,}", count=f"{len(runs):,}")
    data = {
        "rows": _rows(runs.head(MOST_ROWS), links),
        "titles": titles,
        "rank": _RANK,
        "words": {verdict: word(verdict) for verdict in _RANK}
        | {"shown": own["shown"].pick(lang), "report": say("report")},
    }
    script = html._asset("fleet.js")
    about = contract.Report(contract.VERSION, gandoctor.__version__, version(), lang, ())
    page: str = html._environment().get_template("fleet.html").render(
        lang=lang, report=about, t=say, word=word, symbols=texts.SYMBOLS | {"error": "?"},
        css=html._asset("report.css") + html._asset("fleet.css"), js=script,
        policy=f"'sha256-{html._digest(script)}'", data=html._json(data), count=f"{len(runs):,}",
        counts={verdict: int(counted.get(verdict, 0)) for verdict in _RANK}, bars=_over_time(runs, word),
        families=families, matrix=matrix, pairs=[_cleaned(pair) for pair in sure], tests=f"{len(pairs):,}",
        titles=titles, cut=cut, listed=min(len(runs), MOST_ROWS),
    )  # fmt: skip
    return page


def _cleaned(pair: Any) -> Any:
    from dataclasses import replace

    return replace(pair, value=clean(pair.value))


def _rows(runs: pd.DataFrame, links: dict[int, str]) -> list[list[Any]]:
    """The rows of the table, as the script reads them."""
    ended = [None if when is None else round(1000 * when) for when in _seconds(runs)]
    rows = []
    for place, (name, path, verdict, error, primary, sure, onset, family, last) in enumerate(
        zip(*(runs[key] for key in ("name", "path", "verdict", "error", "primary", "confidence", "onset_fraction",
                                    "family", "last_step")), strict=True)
    ):  # fmt: skip
        said = f"{name} ({error})" if error else name
        rows.append(
            [verdict, clean(said)[:300], clean(path), _word(primary), _number(sure, 2), _number(onset, 4),
             _word(family), _number(last, 0), ended[place], links.get(place, "")]
        )  # fmt: skip
    return rows


def _word(value: object) -> str:
    return clean(value) if isinstance(value, str) else ""


def _number(value: Any, digits: int) -> float | int | None:
    if value is None or value != value:
        return None
    return round(float(value), digits) if digits else int(value)


def _seconds(runs: pd.DataFrame) -> list[float | None]:
    import pandas as pd

    times = pd.to_datetime(runs["ended"], utc=True)
    return [None if pd.isna(when) else when.timestamp() for when in times]


def _by_family(runs: pd.DataFrame, titles: dict[str, str]) -> tuple[list[str], list[dict[str, Any]]]:
    """The counts of each primary symptom, over all and in each family, most frequent first."""
    judged = runs[runs["verdict"].isin(["failing", "warning", "healthy"])]
    sizes = judged["family"].value_counts()
    families = [str(name) for name in sizes.index[:_MOST_FAMILIES]]
    counts = judged.groupby(["primary", "family"]).size()
    totals = judged["primary"].value_counts()
    lines = []
    for code in totals.index:
        if not code:
            continue
        cells = [(int(totals[code]), len(judged))]
        cells += [(int(counts.get((code, name), 0)), int(sizes[name])) for name in families]
        told = [{"count": count, "share": count / size if size else 0.0} for count, size in cells]
        lines.append({"code": code, "title": titles[code], "cells": told})
    return [clean(name) for name in families], lines


def _over_time(runs: pd.DataFrame, word: Any) -> list[dict[str, Any]]:
    """The bars: shares of ill runs by day, week, month or year, whichever gives at most `_MOST_BARS`."""
    import pandas as pd

    judged = runs[runs["verdict"].isin(["failing", "warning", "healthy"]) & runs["ended"].notna()]
    if judged.empty:
        return []
    times = pd.to_datetime(judged["ended"], utc=True).dt.tz_localize(None)
    for period in ("h", "D", "W", "M", "Y"):
        starts = times.dt.to_period(period)
        first, last = starts.min(), starts.max()
        count = (last - first).n + 1
        if count <= _MOST_BARS:
            break
    form = {"h": "%m-%d %H:00", "D": "%Y-%m-%d", "W": "%Y-%m-%d", "M": "%Y-%m", "Y": "%Y"}[period]
    width = 956 / count
    bars = []
    labels = max(1, -(-count // 10))
    groups = judged.groupby(starts)["verdict"].value_counts()
    for place in range(count):
        when = first + place
        own = {verdict: int(groups.get((when, verdict), 0)) for verdict in ("failing", "warning", "healthy")}
        total = sum(own.values())
        label = when.start_time.strftime(form)
        title = f"{label}: " + ", ".join(f"{word(verdict)} {number:,}" for verdict, number in own.items())
        bars.append(
            {
                "x": round(44 + place * width, 2),
                "width": round(max(width - 2, 0.5), 2),
                "title": title,
                "failing": own["failing"] / total if total else 0.0,
                "ill": (own["failing"] + own["warning"]) / total if total else 0.0,
                "label": label if place % labels == 0 else "",
            }
        )
    return bars


def _single_reports(runs: pd.DataFrame, folder: Path, config: Config, most: int) -> dict[int, str]:
    """Write the reports of the worst runs, diagnosed anew; their links by the rows of their runs."""
    from gandoctor.many import diagnose_found
    from gandoctor.readers._remote import address, is_remote
    from gandoctor.readers.load import find_runs
    from gandoctor.reports import write_report

    wanted = runs[runs["verdict"].isin(["failing", "warning"])].head(most)
    diagnoses, places = [], []
    for place, unit, path, name in zip(
        wanted.index, wanted["unit"], wanted["path"], wanted["name"], strict=True
    ):
        loose = unit.endswith("/*")
        try:
            found = find_runs(unit.removesuffix("/*"), below=not loose)
        except UserError:  # gone since
            continue
        for diagnosis in diagnose_found(found, config):
            same = address(diagnosis.run.path) == path if not is_remote(path) else True
            if same and (name.endswith(diagnosis.run.name) or len(found) == 1):
                diagnoses.append(diagnosis)
                places.append(int(place))
                break
    if not diagnoses:
        return {}
    index = folder / "reports" / "index.html"
    for old in (folder / "reports" / "runs").glob("*.html"):
        old.unlink()
    write_report(diagnoses, index, format="html", lang=config.lang, rules=load_rules(*config.rules))
    pages = sorted((folder / "reports" / "runs").glob("*.html")) if len(diagnoses) > 1 else [index]
    return {place: page.relative_to(folder).as_posix() for place, page in zip(places, pages, strict=True)}
