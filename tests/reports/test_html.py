from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from gandoctor.errors import UserError
from gandoctor.reports import html, write_report
from gandoctor.reports._film import films
from tests.reports import samples


def page(diagnosis, lang: str = "en") -> str:
    out = io.StringIO()
    html.write([diagnosis], out, lang=lang)
    return out.getvalue()


class Elements(HTMLParser):
    """Every start tag with its attributes, and all text outside of scripts and styles."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "hr"})

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.scripts: list[str] = []
        self.open: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data) -> None:
        if self.open[-1:] == ["script"]:
            self.scripts.append(data)
        elif self.open[-1:] != ["style"]:
            self.text.append(data)

    @property
    def words(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.text))


@pytest.mark.parametrize("sample", [*samples.ALL, samples.chained], ids=lambda f: f.__name__)
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_page_is_well_formed_and_its_links_arrive(sample, lang) -> None:
    seen = Elements(page(sample(), lang))
    assert seen.open == []
    ids = [attrs["id"] for _, attrs in seen.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = [attrs["href"][1:] for _, attrs in seen.tags if (attrs.get("href") or "").startswith("#")]
    assert set(targets) <= set(ids)
    labels = " ".join(attrs.get("aria-labelledby") or "" for _, attrs in seen.tags).split()
    assert set(labels) <= set(ids)
    assert [tag for tag, _ in seen.tags].count("h1") == 1


def test_the_first_screen_of_a_failing_run() -> None:
    words = Elements(page(samples.failing())).words
    for part in (
        "✗ Failing GD201 The discriminator overpowers the generator D has won since",
        "Confidence 0.9",
        "prior, not yet calibrated",
        "Could have been known at",
        "of the run was spent after that",
        "Do first",
        "Snapshot to keep The log does not tell which snapshot is best.",
    ):
        assert part in words
    assert words.index("Do first") < words.index("Over time", words.index("Do first"))
    assert "lr_G 0.0001 → 0.001" in words


def test_a_healthy_run_says_in_what_nothing_was_seen() -> None:
    words = Elements(page(samples.healthy())).words
    assert "No illness seen in: losses, quality metrics." in words
    assert "net_15000.pt" in words


def test_a_run_without_a_remedy_says_what_to_log_first() -> None:
    seen = Elements(page(samples.healthy()))
    words = seen.words
    assert words.index("Log this next, and more can be seen Grids of samples") < words.index("Over time + −")


def test_hostile_text_stays_text() -> None:
    for sample in (samples.unknown, samples.handmade):
        source = page(sample())
        seen = Elements(source)
        assert "<script>alert(1)</script>" in seen.words
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e]", source)
        assert "{{ 7 * 7 }}" in seen.words or sample is not samples.unknown
        assert not [
            tag for tag, attrs in seen.tags if tag in ("img", "iframe") or any("onload" in a for a in attrs)
        ]
        kinds = [attrs.get("type") for tag, attrs in seen.tags if tag == "script"]
        assert kinds == ["application/json", "text/plain", None]


def test_the_policy_allows_our_two_scripts_and_no_request() -> None:
    seen = Elements(page(samples.failing()))
    [policy] = [a["content"] for t, a in seen.tags if t == "meta" and "http-equiv" in a]
    assert policy.startswith("default-src 'none'; ")
    assert not re.search(r"https?:|unsafe-eval|script-src[^;]*unsafe-inline", policy)
    hashes = re.findall(r"'sha256-(.+?)'", policy)
    scripts = [seen.scripts[-1].encode(), html._plotly()]
    assert hashes == [base64.b64encode(hashlib.sha256(one).digest()).decode() for one in scripts]


def test_nothing_on_the_page_points_outside() -> None:
    for tag, attrs in Elements(page(samples.failing())).tags:
        for name in ("src", "href", "action", "poster", "srcset"):
            assert (attrs.get(name) or "#").startswith(("#", "data:")), (tag, attrs)


def test_a_page_is_small_and_the_same_every_time() -> None:
    one = page(samples.layers(60))
    assert len(one.encode()) < 2_500_000
    assert one == page(samples.layers(60))


def test_evidence_stands_beside_its_threshold() -> None:
    words = Elements(page(samples.chained())).words
    assert "a statistic losses 1.5 1 units prior GD201.x loss_D" in words
    assert "calibrated in the lab" in words


def test_time_of_day_is_shown_where_the_log_knows_it() -> None:
    diagnosis = samples.failing()
    series = diagnosis.run.series["loss_D"]
    start = datetime(2021, 3, 4, 12, 0, tzinfo=UTC).timestamp()
    diagnosis.run.series["loss_D"] = replace(series, wall_time=start + series.steps)
    words = Elements(page(diagnosis)).words  # the onset lies 67 to 76 minutes after the start
    assert re.search(r"into the run 2021-03-04 13:(0[7-9]|1[0-6]) UTC", words)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 2**31 - 1], "i4"),
        ([0, 2**31], "f8"),
        ([0.5, np.nan, np.inf], "f4"),
        ([1e57], "f8"),
        ([1e-40], "f8"),
        ([], "f4"),
    ],
)
def test_numbers_are_packed_in_four_bytes_where_they_fit(values, kind) -> None:
    array = np.array(values, np.int64 if kind == "i4" or 2**31 in values else np.float64)
    packed = html._packed(array)
    assert packed[0] == kind
    back = np.frombuffer(base64.b64decode(packed[1]), f"<{kind}")
    np.testing.assert_allclose(back, array, rtol=1e-6)


def test_a_remedy_without_a_snippet_has_its_change_to_copy() -> None:
    words = Elements(page(samples.failing())).words
    assert "- lr_G: 0.0001 + lr_G: 0.001" in words


def test_cures_stand_with_their_interval() -> None:
    words = Elements(page(samples.handmade())).words
    assert "cured 3 of 4 (95%: 30–95%); without it 0 of 4 recovered: +75 points (" in words
    assert "not measured" in words


def test_the_command_that_made_the_page_stands_in_the_appendix(tmp_path) -> None:
    path = tmp_path / "report.html"
    write_report([samples.failing()], path, command=("--map", "a b=D.loss"))
    words = Elements(path.read_text("utf-8")).words
    assert "gandoctor diagnose runs/failing --map 'a b=D.loss'" in words


def test_samples_stand_at_their_steps_and_those_after_the_onset_are_marked(tmp_path) -> None:
    seen = Elements(page(samples.pictured(tmp_path)))
    steps = [attrs["data-step"] for tag, attrs in seen.tags if tag == "img" and "data-step" in attrs]
    assert steps == ["5000", "10000", "15000", "20000"]
    assert "samples: 4 of 4 frames. Of each, the upper left tiles. Red: since the onset." in seen.words
    assert "step 5,000 (after the onset)" in seen.words


def test_many_frames_make_no_longer_strip(tmp_path) -> None:
    [film] = films(samples.pictured(tmp_path, frames=60), "en")
    steps = [step for step, _ in film.stills]
    assert 10 <= len(steps) <= 12
    assert (steps[0], steps[-1]) == (333, 20_000)
    assert sum(len(one.src) for _, one in film.stills) < 12 * 17_000


def test_without_plots_and_from_a_server() -> None:
    out = io.StringIO()
    html.write([samples.failing()], out, plotlyjs="none")
    assert len(out.getvalue()) < 150_000
    out = io.StringIO()
    html.write([samples.failing()], out, plotlyjs="cdn")
    seen = Elements(out.getvalue())
    [remote] = [attrs for tag, attrs in seen.tags if tag == "script" and "src" in attrs]
    digest = base64.b64encode(hashlib.sha256(html._plotly()).digest()).decode()
    assert remote["integrity"] == f"sha256-{digest}"
    assert "This page works without a network." not in seen.words
    with pytest.raises(UserError, match="does not come from 'disk'"):
        html.write([samples.failing()], io.StringIO(), plotlyjs="disk")


# --- several runs ------------------------------------------------------------------------------------------


def test_several_runs_are_an_index_with_a_page_each(tmp_path) -> None:
    several = [samples.healthy(), samples.failing(), samples.unknown()]
    write_report(several, tmp_path / "report" / "index.html")
    index = Elements((tmp_path / "report" / "index.html").read_text("utf-8"))
    links = [attrs["href"] for tag, attrs in index.tags if tag == "a"]
    assert links[0] == "runs/002-failing.html"  # worst first
    for link in links:
        one = Elements((tmp_path / "report" / link).read_text("utf-8"))
        [up] = [attrs["href"] for tag, attrs in one.tags if tag == "a" and "index" in (attrs["href"] or "")]
        assert up == "../index.html"
        [shared] = [attrs["src"] for tag, attrs in one.tags if tag == "script" and "src" in attrs]
        assert (tmp_path / "report" / "runs" / shared).is_file()
    assert "3 runs" in index.words


def test_the_folder_of_pages_is_named_after_the_file(tmp_path) -> None:
    write_report([samples.healthy(), samples.failing()], tmp_path / "mine.html")
    assert sorted(p.name for p in (tmp_path / "mine-runs").iterdir()) == [
        "001-healthy.html", "002-failing.html", "plotly.js",
    ]  # fmt: skip


def test_names_of_runs_never_leave_the_folder(tmp_path) -> None:
    evil = samples.healthy()
    evil.run.name = "../../../etc/passwd"
    odd = samples.healthy()
    odd.run.name = "训练"
    write_report([evil, odd], tmp_path / "index.html")
    assert sorted(p.name for p in (tmp_path / "runs").glob("*.html")) == [
        "001-etc-passwd.html",
        "002-run.html",
    ]


def test_a_single_file_holds_twenty_runs_and_no_more(tmp_path) -> None:
    path = tmp_path / "all.html"
    write_report([samples.healthy()] * 3, path, single_file=True)
    assert list(tmp_path.iterdir()) == [path]
    index = Elements(path.read_text("utf-8"))
    links = [attrs["href"] for tag, attrs in index.tags if tag == "a"]
    assert links == ["#run-1", "#run-2", "#run-3"]
    held = {attrs["id"] for tag, attrs in index.tags if attrs.get("class") == "page"}
    assert held == {"page-run-1", "page-run-2", "page-run-3"}
    with pytest.raises(UserError, match="21 runs are too many for a single file"):
        write_report([samples.nothing()] * 21, path, single_file=True)


def test_several_runs_do_not_fit_a_stream_and_none_do() -> None:
    with pytest.raises(UserError, match="2 runs do not fit"):
        html.write([samples.healthy(), samples.failing()], io.StringIO())
    out = io.StringIO()
    html.write([], out)
    assert "No training log was read." in Elements(out.getvalue()).words


# --- colours -----------------------------------------------------------------------------------------------


def themes() -> list[dict[str, str]]:
    css = (Path(html.__file__).parent / "assets" / "report.css").read_text("utf-8")
    found = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", block))
        for block in re.findall(r":root[^{]* \{(.*?)\}", css, re.S)
    ]
    return [colours for colours in found if "ink" in colours]


def contrast(one: str, other: str) -> float:
    """WCAG 2.1: (L1 + 0.05) / (L2 + 0.05) of relative luminances."""

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(2 * d for d in colour[1:])
        parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_aa_in_every_theme() -> None:
    assert len(themes()) == 2  # light, which is also that of print, and dark
    for colours in themes():
        for ground in ("bg", "surface", "shade"):
            for ink in ("ink", "muted", "link"):
                assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
        for verdict in ("failing", "warning", "healthy", "unknown"):
            assert contrast(colours[verdict], colours[f"{verdict}-soft"]) >= 4.5, verdict
        for line in ("net-d", "net-g", "c1", "c2", "c3", "c4"):
            assert contrast(colours[line], colours["bg"]) >= 3, line


def test_data_in_the_page_is_json_and_finite() -> None:
    source = page(samples.failing())
    [data] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', source)
    assert "<" not in data
    loaded = json.loads(data)
    assert [figure["id"] for figure in loaded["figures"]] == ["losses"]
    assert loaded["selected"] == "GD201-1"
