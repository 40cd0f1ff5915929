"""The loop's outputs: the JSON contract, the terminal, the page, and the words in both languages."""

from __future__ import annotations

import ast
import io
import json
import re
import string
from functools import lru_cache
from pathlib import Path

import jsonschema
import msgspec
import pytest
from rich.console import Console

import gandoctor.loop
from gandoctor.loop.compare import Comparison, compare_runs
from gandoctor.loop.sensitivity import Origin, Sensitivity, sensitivity_of
from gandoctor.reports.loop import html, rows, schema, terminal, words
from tests.loop.seeds import fid, seed_run, seeds

ILL, WELL = True, False
LANGS = pytest.mark.parametrize("lang", ["en", "zh"])


@lru_cache(maxsize=1)
def comparisons() -> dict[str, Comparison]:
    base = seeds(ILL)
    return {
        "keep": compare_runs(base, seeds(WELL, first=5, lr_d=2e-5)),
        "revert": compare_runs(base, seeds(ILL, first=5, width=32, lr_d=2e-5)),
        "too-short": compare_runs(base, [seed_run(5, WELL, points=100)]),
        "mixed": compare_runs(seeds(ILL, ILL, ILL), seeds(WELL, ILL, first=5, lr_d=2e-5)),
        "quality": compare_runs([seed_run(0, WELL, extra=fid(20))], [seed_run(1, WELL, extra=fid(9))]),
        "hostile": compare_runs(base, seeds(ILL, first=5, **{"<script>\x1b[31m": "</script>"})),
    }


@lru_cache(maxsize=1)
def seen() -> Sensitivity:
    return sensitivity_of([*seeds(ILL, WELL, ILL), seed_run(9, WELL, points=100, width=3)])


NAMES = pytest.mark.parametrize("name", ["keep", "revert", "too-short", "mixed", "quality", "hostile"])


def valid(report: object, kind: str) -> dict:
    data = json.loads(msgspec.json.encode(report))
    jsonschema.validate(data, json.loads(schema.file(kind).read_text(encoding="utf-8")))
    return data


def printed(report: object, how: object) -> str:
    out = io.StringIO()
    how(report, Console(file=out, width=100, highlight=False))  # type: ignore[operator]
    return out.getvalue()


@NAMES
@LANGS
def test_every_comparison_fits_the_shipped_schema_and_prints(name: str, lang: str) -> None:
    report = rows.compare_report([comparisons()[name]], lang)
    [data] = valid(report, "compare")["comparisons"]
    text = printed(report, terminal.print_comparisons)
    assert data["verdict_text"] in text
    assert "\x1b" not in text
    assert "{" not in text


@LANGS
def test_seeds_fit_the_shipped_schema_and_print(lang: str) -> None:
    report = rows.sensitivity_report(seen(), lang)
    data = valid(report, "sensitivity")
    assert (data["verdict"], data["ill"]["ill"], data["ill"]["known"]) == ("luck", 2, 3)
    assert [note["slug"] for note in data["notes"]] == ["seeds-differ", "seeds-untold"]
    assert "GD201" in printed(report, terminal.print_sensitivity)


@pytest.mark.parametrize("kind", list(schema.KINDS))
def test_the_shipped_schema_is_the_one_of_the_contract(kind: str) -> None:
    shipped = schema.file(kind).read_text(encoding="utf-8")
    assert shipped == schema.text(kind), "run python -m gandoctor.reports.loop.schema"


def test_the_schema_refuses_what_is_not_the_contract() -> None:
    good = valid(rows.compare_report([comparisons()["keep"]]), "compare")
    for spoil in (
        {"verdict": "better"},
        {"steps": "all"},
        {"changed": [{}]},
        {"symptoms": [{"change": "odd"}]},
    ):
        bad = {**good, "comparisons": [{**good["comparisons"][0], **spoil}]}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, json.loads(schema.text("compare")))


def test_the_fields_stand_there_by_name_and_in_order() -> None:
    [data] = valid(rows.compare_report([comparisons()["revert"]]), "compare")["comparisons"]
    named = (
        "baseline candidate verdict verdict_text reasons provisional more_seeds train_to_step restore notes "
        "configuration_known changed unit steps targets need_step baseline_ill candidate_ill difference_interval p "
        "symptoms metrics not_in_common"
    )
    assert list(data) == named.split()
    assert {one["name"]: (one["from"], one["to"]) for one in data["restore"]} == {
        "lr_D": (1e-4, 2e-5), "width": (None, 32)
    }  # fmt: skip


@NAMES
@LANGS
def test_a_page_holds_everything_and_asks_for_nothing(name: str, lang: str) -> None:
    one = comparisons()[name]
    page = html.compare_page(one, rows.compare_report([one], lang))
    assert page.startswith("<!doctype html>")
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "<script>\ufffd" not in page
    data = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])  # type: ignore[index]
    names = [line["name"] for figure in data["figures"] for line in figure["lines"]]
    assert any(words.say("Baseline", lang) in one for one in names)
    assert any(words.say("Candidate", lang) in one for one in names)
    for figure in data["figures"]:
        assert f'id="figure-{figure["id"]}"' in page
    assert page == html.compare_page(one, rows.compare_report([one], lang))


def test_a_page_a_comparison(tmp_path: Path) -> None:
    pages = html.write_pages([comparisons()["keep"], comparisons()["revert"]], tmp_path / "out/c.html")
    assert [page.name for page in pages] == ["c.html", "c-2.html"]


# --- words -----------------------------------------------------------------------------------------------


def test_every_text_has_both_languages_and_the_same_fields() -> None:
    for key, text in words.own_words().items():
        assert text.en.strip(), key
        assert text.zh.strip(), key
        fields = [
            {name for _, name, _, _ in string.Formatter().parse(t)} - {None} for t in (text.en, text.zh)
        ]
        assert fields[0] == fields[1], key


def test_every_reason_and_note_has_a_sentence() -> None:
    slugs = set()
    for path in Path(gandoctor.loop.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            made = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Reason"
            if made and isinstance(node.args[0], ast.Constant):
                slugs.add(node.args[0].value)
    slugs |= {
        "milder",
        "less-ill",
        "gone",
        "not-gone",
        "gone-but-new",
        "quality-better",
        "quality-worse",
        "no-metric",
        "no-difference",
    }
    known = words.own_words()
    assert len(slugs) > 20
    assert [slug for slug in slugs if f"reason-{slug}" not in known and f"note-{slug}" not in known] == []


def test_no_sentence_is_left_over() -> None:
    root = Path(gandoctor.loop.__path__[0]).parent
    files = [
        *root.glob("reports/loop/*.py"),
        *root.glob("reports/templates/*.html"),
        *root.glob("cli/*.py"),
        *root.glob("loop/*.py"),
    ]
    source = "\n".join(path.read_text(encoding="utf-8") for path in files)
    built = ("reason-", "note-", "change-", "metric-", "origin-", "because-", "entry-", "decided-")
    unused = [
        key
        for key in words.own_words()
        if f'"{key}"' not in source
        and f"'{key}'" not in source
        and not key.startswith(built)
        and not key.endswith(("-change", "-side"))
    ]
    assert unused == []


def test_every_origin_has_its_words() -> None:
    for origin in Origin:
        assert {f"origin-{origin}", f"because-{origin}"} <= set(words.own_words())
        assert origin in words.TONES
