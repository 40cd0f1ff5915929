"""What must hold for every detector: its code's rule, its cases, its thresholds, its words.

Each module of detectors has a module of tests of the same name with two tables, FIRES and SILENT: for every
detector function a run on which it speaks, and the healthy run that looks most like the illness.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

import gandoctor.detectors as package
import gandoctor.judge.diagnose
import gandoctor.loop.compare
import gandoctor.loop.metrics
from gandoctor.detectors import Detector, all_detectors, run_detector
from gandoctor.findings import Finding, NotExamined, Severity, State
from gandoctor.interpret import view as signals
from gandoctor.interpret.view import RunView, Signal, views_of
from gandoctor.judge.rules import load_rules, render
from gandoctor.thresholds import _table, limits, rules_folder
from tests.runs import Said, make_run, noisy, ramp

DETECTORS = all_detectors()
EACH = pytest.mark.parametrize("which", DETECTORS, ids=lambda d: f"{d.code}-{d.detect.__name__}")
RULES = load_rules()


def module_of(which: Detector) -> str:
    return which.detect.__module__.rpartition(".")[2]


@cache
def case(which: Detector, table: str) -> list[RunView]:
    tests = importlib.import_module(f"tests.detectors.test_{module_of(which)}")
    return views_of(getattr(tests, table)[which.detect.__name__])


def said(which: Detector, views: list[RunView]) -> Said:
    return [one for view in views for one in run_detector(which, view)]


# --- cases


@EACH
def test_a_case_on_which_it_speaks(which: Detector) -> None:
    findings = [one for one in said(which, case(which, "FIRES")) if isinstance(one, Finding)]
    assert findings, "FIRES has no illness for it"
    assert {finding.code for finding in findings} == {which.code}


@EACH
def test_a_case_on_which_it_looks_and_keeps_silent(which: Detector) -> None:
    assert said(which, case(which, "SILENT")) == []


def test_no_case_is_left_over() -> None:
    names = {(module_of(which), which.detect.__name__) for which in DETECTORS}
    for module in {module for module, _ in names}:
        tests = importlib.import_module(f"tests.detectors.test_{module}")
        for table in (tests.FIRES, tests.SILENT):
            assert {(module, name) for name in table} <= names


@EACH
def test_on_a_run_without_its_signals_it_says_so(which: Detector) -> None:
    empty = views_of(make_run({"some_other_number": noisy(ramp(1, 2), 0.1)}))
    for one in said(which, empty):
        assert isinstance(one, NotExamined)
        assert one.state is not State.EXAMINED


# --- findings


@EACH
def test_a_finding_can_be_checked_by_eye(which: Detector) -> None:
    [view] = case(which, "FIRES")
    first, last = view.span
    for finding in said(which, [view]):
        assert isinstance(finding, Finding)
        stretch = finding.stretch
        assert first <= stretch.onset_interval[0] <= stretch.onset <= stretch.onset_interval[1] <= last
        assert stretch.end is None or stretch.onset <= stretch.end <= last
        assert 0 <= stretch.share <= 1
        assert finding.evidence
        for evidence in finding.evidence:
            assert set(evidence.series) <= set(view.series)
            assert evidence.window is None or first <= evidence.window[0] <= evidence.window[1] <= last
            if evidence.threshold is not None:
                assert evidence.threshold.name.startswith(which.code)


@EACH
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_finding_has_its_sentence(which: Detector, lang: str) -> None:
    rule = RULES[which.code]
    for finding in said(which, case(which, "FIRES")):
        assert isinstance(finding, Finding)
        text = render(finding, rule, lang)
        assert text != rule.title.pick(lang), f"no field of the message could be filled: {finding.params}"
        assert not re.search(r"[{}\[\]]", text)


@EACH
def test_an_error_of_one_kind_is_overwhelming_or_no_error(which: Detector) -> None:
    for finding in said(which, case(which, "FIRES")):
        assert isinstance(finding, Finding)
        kinds = {evidence.kind for evidence in finding.evidence}
        if finding.severity is Severity.ERROR:
            assert finding.overwhelming or len(kinds) > 1


# --- codes and signals


def test_every_detector_has_a_rule_of_its_code() -> None:
    assert {which.code for which in DETECTORS} <= set(RULES)


def test_every_rule_file_is_named_by_its_code() -> None:
    named = {path.stem for path in rules_folder().glob("GD*.toml")}
    assert named == set(RULES)
    assert {rule.code for rule in RULES.values()} == named


def test_every_signal_has_a_name_of_its_own() -> None:
    known = [one for one in vars(signals).values() if isinstance(one, Signal)]
    names = [one.name for one in known if one.name != "lr"]  # one signal to log, a network each to look at
    assert len(names) == len(set(names))


@EACH
def test_what_to_log_next_is_a_signal(which: Detector) -> None:
    known = {one.name for one in _signals()}
    for table in ("FIRES", "SILENT"):
        for other in DETECTORS:
            for one in said(which, case(other, table)):
                if isinstance(one, NotExamined) and one.log_next:
                    assert one.log_next in known, one


def _signals() -> Iterator[Signal]:
    """Those of the view, what detectors need of their own, and d-fake-loss, the halves apart."""
    yield from (one for one in vars(signals).values() if isinstance(one, Signal))
    yield from (signal for which in DETECTORS for signal in which.needs)
    yield Signal("d-fake-loss", "D", "loss", ("real", "fake"))


# --- thresholds


class Watched(dict[str, object]):
    """Limits that remember which of them were asked for."""

    def __init__(self, limits: Mapping[str, object]) -> None:
        super().__init__(limits)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> object:
        self.asked.add(name)
        return super().__getitem__(name)


def named_in_sources(module: str) -> set[str]:
    source = inspect.getsource(importlib.import_module(f"gandoctor.detectors.{module}"))
    return set(re.findall(r'limits\["(\w+)"\]', source))


def test_every_threshold_decides_something() -> None:
    modules: dict[str, set[str]] = {}
    for which in DETECTORS:
        modules.setdefault(which.code, set()).add(module_of(which))
    unused = {
        f"{code}.{name}"
        for code, names in _table()[1].items()
        if code in modules
        for name in names
        if not any(name in named_in_sources(module) for module in modules[code])
    }
    judge = inspect.getsource(gandoctor.judge.diagnose)
    unused |= {f"run.{name}" for name in limits("run") if f'"{name}"' not in judge}
    loop = "".join(inspect.getsource(one) for one in (gandoctor.loop.compare, gandoctor.loop.metrics))
    unused |= {f"loop.{name}" for name in limits("loop") if f'"{name}"' not in loop}
    unused |= {code for code, names in _table()[1].items() if names and code not in {*modules, "run", "loop"}}
    assert unused == set()


@pytest.mark.parametrize("module", sorted({module_of(which) for which in DETECTORS}))
def test_every_threshold_that_is_named_exists(module: str) -> None:
    codes = {which.code for which in DETECTORS if module_of(which) == module}
    known = {name for code in codes for name in limits(code)}
    assert named_in_sources(module) <= known


@EACH
def test_no_detector_asks_for_a_threshold_of_another_code(which: Detector) -> None:
    watched = Watched(limits(which.code))
    for table in ("FIRES", "SILENT"):
        for view in case(which, table):
            if all(view.points(signal) >= which.min_points for signal in which.needs):
                list(which.detect(view, watched))  # type: ignore[arg-type]
    assert watched.asked <= set(limits(which.code))


def test_thresholds_have_a_unit_and_a_source() -> None:
    for code, names in _table()[1].items():
        for threshold in names.values():
            assert threshold.unit, f"{code}: {threshold.name}"
            assert threshold.source, f"{code}: {threshold.name}"


def test_no_detector_module_is_without_tests() -> None:
    modules = {path.stem for path in Path(package.__path__[0]).glob("*.py")} - {"__init__"}
    tested = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    assert modules <= tested
