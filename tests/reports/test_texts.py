from __future__ import annotations

import ast
import re
import string
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

import gandoctor.detectors
from gandoctor.findings import Kind, Severity, State
from gandoctor.interpret.view import Signal
from gandoctor.judge.diagnosis import Verdict
from gandoctor.reports import texts
from gandoctor.thresholds import rules_folder

DETECTORS = Path(gandoctor.detectors.__file__).parent
CALLS = [
    node
    for path in sorted([*DETECTORS.glob("*.py"), *(DETECTORS.parent / "judge").glob("*.py")])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
]


def constants(name: str, place: int) -> set[str]:
    """The literal strings at one place of all calls of a name."""
    args = [call.args[place] for call in CALLS if call.func.id == name and len(call.args) > place]
    return {arg.value for arg in args if isinstance(arg, ast.Constant) and arg.value}


def signals() -> set[str]:
    import gandoctor.interpret.view as view

    own = {one.name for one in vars(view).values() if isinstance(one, Signal)}
    return own | constants("Signal", 0) | constants("NotExamined", 4)


def test_every_signal_says_what_to_log_and_how() -> None:
    assert len(signals()) > 20
    assert signals() <= set(texts.all_texts().signals)


def test_every_reason_of_a_detector_has_a_sentence() -> None:
    slugs = constants("NotExamined", 2) | constants("Coverage", 2)
    assert "missing-signal" in slugs
    assert slugs <= set(texts.all_texts().reasons)


@pytest.mark.parametrize(("table", "names"), [("verdicts", Verdict), ("kinds", Kind), ("states", State)])
def test_every_value_has_a_word(table, names) -> None:
    assert set(getattr(texts.all_texts(), table)) == {one.value for one in names}


def test_every_severity_has_a_word() -> None:
    assert set(texts.all_texts().severities) == {severity.slug for severity in Severity}


def test_both_languages_have_the_same_fields() -> None:
    for key, text in texts.all_texts().words.items():
        fields = [
            {name for _, name, _, _ in string.Formatter().parse(t)} - {None} for t in (text.en, text.zh)
        ]
        assert fields[0] == fields[1], key


# --- statistics and thresholds in Chinese ----------------------------------------------------------------


def literal(node: ast.expr) -> str:
    """A string as it is written, "1" in place of what an f-string fills in; "" for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value.replace("{}", "1")
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "1" for part in node.values)
    return ""


def statistics() -> set[str]:
    """The statistics that detectors name: in evidence, or handed to what makes evidence."""
    place = {"Evidence": 1, "_evidence": 1, "finding_from": 3, "_by_pairs": 3}
    found = {literal(c.args[place[c.func.id]]) for c in CALLS if len(c.args) > place.get(c.func.id, 99)}
    for path in DETECTORS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assign) and "statistic" in ast.unparse(node.targets[0]):
                found |= {literal(one) for one in getattr(node.value, "elts", [node.value])[:1]}
    return found - {""}


def test_every_statistic_has_a_chinese_name() -> None:
    assert len(statistics()) > 60
    missing = {name for name in statistics() if texts.statistic(name, "zh") == name}
    assert missing <= NEUTRAL, f"write them in gandoctor/reports/statistics.toml: {missing - NEUTRAL}"


def test_every_threshold_has_a_chinese_unit_and_source() -> None:
    groups = tomllib.loads((rules_folder() / "thresholds.toml").read_text(encoding="utf-8"))
    groups.pop("lab", None)  # what the lab wrote, not thresholds
    entries = [entry for group in groups.values() if isinstance(group, dict) for entry in group.values()]
    assert len(entries) > 100
    units = {one["unit"] for one in entries if texts.statistic(one["unit"], "zh") == one["unit"]}
    sources = {one["source"] for one in entries if texts.source(one["source"], "zh") == one["source"]}
    assert units <= NEUTRAL, f"write them in gandoctor/reports/statistics.toml: {units - NEUTRAL}"
    sources = {one for one in sources if not re.fullmatch(r"GD\d{3}\.\w+", one)}  # as another threshold
    assert sources == set(), f"write them in gandoctor/reports/statistics.toml: {sources}"


# Formulas read the same in both languages.
NEUTRAL = {"E[sign C(x)]", "P(C(x) > C(G(z)))", "D(x)", "D(G(z))", "‖W‖²_F / σ₁²", "loss_scale"}


def test_what_is_filled_in_stays_and_the_narrower_pattern_wins() -> None:
    said = "gradient norm of D by Adam's second moments / after warm-up"
    assert texts.statistic(said, "zh") == "由 Adam 二阶矩得出的 D 梯度范数 / 预热后的值"
    assert texts.statistic("gradient norm of G", "zh") == "G 的梯度范数"
    assert texts.statistic("gradient norm of G", "en") == "gradient norm of G"
    assert texts.statistic("what nobody knows", "zh") == "what nobody knows"


def test_dates_by_language() -> None:
    at = datetime(2021, 3, 4, 5, 6, tzinfo=UTC)
    assert texts.time_of_day(at, "en") == "2021-03-04 05:06 UTC"
    assert texts.time_of_day(at, "zh") == "2021 年 3 月 4 日 05:06 UTC"


def test_verdicts_in_words() -> None:
    assert texts.verdict_line("healthy", ("game", "weights", "configuration"), "en") == (
        "No illness seen in: losses, weight norms."
    )
    assert texts.verdict_line("healthy", ("game", "weights"), "zh") == "未见异常，已检查：损失、权重范数。"
    assert texts.verdict_line("unknown", (), "en") == "The log does not hold enough to judge D and G."


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0004, "0.0004"), (1.2e-5, "1.2e-05"), (12_300.4, "12,300"), (8.35284, "8.353"), (3, "3"),
     (-2.0, "-2"), (1e57, "1e+57"), (None, "–"), (True, "1")],
)  # fmt: skip
def test_numbers_for_people(value, shown) -> None:
    assert texts.number(value) == shown


def test_unknown_reasons_and_details_still_read() -> None:
    assert texts.reason("some-new-slug", "3 of 4", "en") == "some new slug: 3 of 4"
    assert texts.reason("missing-signal", "no-such-signal", "en") == "no-such-signal was not logged"
