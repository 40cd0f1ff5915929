from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from gandoctor.lab.charts import charts
from gandoctor.lab.table import Row
from tests.lab.rows import healthy, in_every_style, row


def study() -> list[Row]:
    rows: list[Row] = []
    for i in range(40):
        wrong = {"primary": "GD401"} if i % 4 == 0 else {}
        rows += in_every_style(row(configuration=f"t{i}", **wrong))
        rows += in_every_style(healthy(configuration=f"h{i}"))
        rows += in_every_style(row(part="fit", configuration=f"f{i}", **wrong))
    return rows


@pytest.mark.parametrize("rows", [study(), [], [row()]])
def test_every_chart_is_well_formed(rows: list[Row]) -> None:
    made = charts(rows)
    assert list(made) == ["right.svg", "found.svg", "confidence.svg"]
    for svg in made.values():
        assert ElementTree.fromstring(svg).tag.endswith("svg")
        assert "nan" not in svg


def test_dots_say_the_counts() -> None:
    made = charts(study())
    texts = re.findall(r">([^<>]+)</text>", made["right.svg"])
    assert texts[texts.index("norms: primary right") + 1] == "30/40"
    assert texts[texts.index("norms: false alarms") + 1] == "0/40"
    assert texts[texts.index("peers' rules, norms: false alarms".replace("'", "&#x27;")) + 1] == "40/40"
    assert "GD201, norms" in re.findall(r">([^<>]+)</text>", made["found.svg"])


def test_reliability_needs_a_fit_and_shows_each_style() -> None:
    assert charts(study())["confidence.svg"].count("<polyline") == 5
    assert "<polyline" not in charts([row()])["confidence.svg"]
