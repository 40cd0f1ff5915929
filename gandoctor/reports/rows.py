"""From a diagnosis to the plain rows of the contract: every sentence rendered, nothing computed.

The terminal and the HTML report read these rows too, so that no two outputs can disagree.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from msgspec import UNSET

import gandoctor
from gandoctor.findings import Evidence
from gandoctor.judge.rules import Expression, RemedyRule, Rule, Text, load_rules, read_set, render
from gandoctor.readers._remote import address
from gandoctor.reports import contract, texts
from gandoctor.reports.texts import encodable

if TYPE_CHECKING:
    from pathlib import Path

    from gandoctor.judge.diagnosis import (
        Baseline,
        Change,
        Coverage,
        Diagnosis,
        Grids,
        Judged,
        Remedy,
        Samples,
        Snapshot,
    )
    from gandoctor.run import Scalar

Rules = Mapping[str, Rule]


def report(
    diagnoses: Sequence[Diagnosis], lang: str = "en", rules: Rules | None = None, version: str = ""
) -> contract.Report:
    """The whole object of the contract. version: of gandoctor; the installed one unless given."""
    from gandoctor.thresholds import version as thresholds_version

    rules = load_rules() if rules is None else rules
    used = {diagnosis.thresholds_version for diagnosis in diagnoses} or {thresholds_version()}
    return contract.Report(
        schema=contract.VERSION,
        gandoctor=version or gandoctor.__version__,
        thresholds=", ".join(sorted(used)),
        language=lang,
        runs=tuple(run_rows(diagnosis, lang, rules) for diagnosis in diagnoses),
    )


def run_rows(diagnosis: Diagnosis, lang: str, rules: Rules) -> contract.Run:
    """One run of the contract."""
    run = diagnosis.run
    pairs = tuple(contract.Pair(encodable(v.pair), _family(v)) for v in diagnosis.views)
    primary = diagnosis.primary
    return contract.Run(
        path=_path(run.path),
        name=encodable(run.name),
        verdict=diagnosis.verdict.value,
        unit=unit_of(diagnosis),
        steps=span_of(diagnosis),
        examined=tuple(kind.value for kind in diagnosis.examined),
        primary=None if primary is None else _primary(primary, diagnosis, lang, rules),
        findings=tuple(_finding(judged, diagnosis, lang, rules) for judged in diagnosis.findings),
        chain=diagnosis.chain,
        pairs=pairs,
        loss_family=pairs[0].loss_family if pairs else contract.LossFamily("unknown", 0.0),
        facts=_facts(diagnosis),
        roles={encodable(tag): str(role) for tag, role in _roles(diagnosis).items()},
        coverage=tuple(_coverage(line, lang, rules) for line in diagnosis.coverage),
        log_next=tuple(_log_next(name, lang) for name in diagnosis.log_next),
        samples=None if diagnosis.samples is None else _samples(diagnosis.samples, unit_of(diagnosis), lang),
        prescription=tuple(_remedy(one, lang, rules) for one in diagnosis.prescription),
        best_snapshot=None if diagnosis.best_snapshot is None else _snapshot(diagnosis.best_snapshot),
        known_at_step=diagnosis.known_at_step,
        baseline=None if diagnosis.baseline is None else _baseline(diagnosis.baseline),
        problems=tuple(
            contract.Problem(_path(p.file), encodable(p.place), p.kind, encodable(p.message))
            for p in run.problems
        ),
    )


def unit_of(diagnosis: Diagnosis) -> str:
    """What a step of the run counts, a value of `run.Unit`."""
    return diagnosis.views[0].unit.value if diagnosis.views else "iteration"


def span_of(diagnosis: Diagnosis) -> tuple[int, int]:
    """First and last step of the run's log; without one, from 0 to its last checkpoint, or those of its samples."""
    with_steps = (view for view in diagnosis.views if view.series or view.run.checkpoints or view.run.images)
    spans = [view.span for view in with_steps]
    return (min(first for first, _ in spans), max(last for _, last in spans)) if spans else (0, 0)


def fraction(step: int, span: tuple[int, int]) -> float:
    """Where in the run a step lies, 0 to 1."""
    first, last = span
    return min(max((step - first) / (last - first), 0.0), 1.0) if last > first else 0.0


def rule_of(code: str, rules: Rules) -> Rule:
    """The rule of a code; a bare one where a detector of the user's has none."""
    bare = Text(code)
    return rules.get(code) or Rule(code, code.lower(), bare, bare, bare)


def _family(view: Any) -> contract.LossFamily:
    return contract.LossFamily(view.family.name, round(view.family.confidence, 4))


def _roles(diagnosis: Diagnosis) -> dict[str, Any]:
    """Tag → role over all pairs, in the order of the run's series; norms made of histograms after them."""
    found = {tag: role for view in diagnosis.views for tag, role in view.roles.items()}
    return {**{tag: found[tag] for tag in diagnosis.run.series if tag in found}, **found}


def _primary(judged: Judged, diagnosis: Diagnosis, lang: str, rules: Rules) -> contract.Primary:
    one = _finding(judged, diagnosis, lang, rules)
    return contract.Primary(
        id=one.id,
        code=one.code,
        slug=one.slug,
        title=one.title,
        severity=one.severity,
        confidence=one.confidence,
        confidence_source=one.confidence_source,
        onset_step=one.onset_step,
        onset_fraction=round(fraction(one.onset_step, span_of(diagnosis)), 4),
        message=one.message,
    )


def _finding(judged: Judged, diagnosis: Diagnosis, lang: str, rules: Rules) -> contract.Finding:
    finding = judged.finding
    rule = rule_of(finding.code, rules)
    subject = finding.subject
    return contract.Finding(
        id=judged.id,
        code=finding.code,
        slug=rule.slug,
        title=rule.title.pick(lang),
        severity=cast(contract.Severity, finding.severity.slug),
        confidence=judged.confidence,
        confidence_source=cast(contract.ConfidenceSource, judged.confidence_source),
        onset_step=finding.stretch.onset,
        onset_interval=finding.stretch.onset_interval,
        end_step=finding.stretch.end,
        subject=contract.Subject(
            *(encodable(t) for t in (subject.pair, subject.network, subject.layer, subject.tag, subject.file))
        ),
        message=encodable(render(finding, rule, lang, unit_of(diagnosis))),
        evidence=tuple(_evidence(one) for one in finding.evidence),
    )


def _evidence(one: Evidence) -> contract.Evidence:
    value, value_text = _finite(one.value)
    limit = one.threshold
    threshold, threshold_text = _finite(limit.value) if limit else (None, UNSET)
    return contract.Evidence(
        kind=one.kind.value,
        statistic=encodable(one.statistic),
        value=cast(float | None, value),
        threshold=cast(float | None, threshold),
        threshold_name=limit.name if limit else "",
        unit=limit.unit if limit else "",
        source=limit.source if limit else "",
        series=tuple(encodable(tag) for tag in one.series),
        window=one.window,
        value_text=value_text,
        threshold_text=threshold_text,
    )


def _facts(diagnosis: Diagnosis) -> dict[str, contract.Fact]:
    facts: dict[str, contract.Fact] = {}
    for view in diagnosis.views:
        for name, fact in sorted(view.facts.items()):
            value, text = _finite(fact.value)
            facts.setdefault(name, contract.Fact(value, encodable(fact.source), text))
    return facts


def _coverage(line: Coverage, lang: str, rules: Rules) -> contract.Coverage:
    rule = rule_of(line.code, rules)
    why = texts.reason(line.reason, line.detail, lang) if line.reason else ""
    state: contract.State = line.state.value
    return contract.Coverage(
        line.code, rule.slug, rule.title.pick(lang), state, encodable(why), line.reason, line.log_next
    )


def _log_next(name: str, lang: str) -> contract.LogNext:
    logged = texts.all_texts().signals.get(name)
    if logged is None:
        return contract.LogNext(name, name.replace("-", " "), "")
    return contract.LogNext(name, logged.what.pick(lang), logged.how.pick(lang))


def _samples(one: Samples, unit: str, lang: str) -> contract.Samples:
    said = ""
    variety, text = _finite(one.variety)
    if one.step is not None and one.variety is not None:
        where = f"{encodable(one.stream)}, {texts.at_step(one.step, unit, lang)}"
        quality = f"{one.quality:.2f}" if one.quality is not None else "–"
        value = f"{one.variety:.2f}" if text is UNSET else str(text)
        said = texts.say(f"samples-{one.beside}", lang, quality=quality, variety=value, where=where)
    return contract.Samples(
        quality=one.quality,
        variety=cast(float | None, variety),
        beside=cast(Literal["reals", "best-frame", ""], one.beside),
        stream=encodable(one.stream),
        step=one.step,
        said=said,
        grids=tuple(_grids(grids, unit, lang) for grids in one.grids),
        advice=""
        if all(grids.dated for grids in one.grids)
        else texts.say("grids-advice", lang, wanted=_steps(one.grids[0].wanted, unit, lang)),
    )


def _grids(one: Grids, unit: str, lang: str) -> contract.Grids:
    every = texts.say("grids-every", lang, steps=_steps(one.every, unit, lang)) if one.every else ""
    counted = texts.say("grids-frames" if one.frames else "grids-none", lang, count=f"{one.frames:,}") + every
    said = texts.say("labelled", lang, label=texts.say(f"grids-{one.kind}", lang), text=counted)
    return contract.Grids(
        cast(Literal["fixed-noise", "random-noise", "interpolation"], one.kind),
        one.frames, one.every, one.wanted, one.dated, said,
    )  # fmt: skip


def _steps(count: int, unit: str, lang: str) -> str:
    """So many steps, in words: "500 steps", "epoch", "5 kimg"."""
    word = texts.unit_word(unit, lang)
    if lang == "zh":
        return f"{count:,} {word}"
    if unit != "kimg" and count != 1:
        word += "s"
    return word if count == 1 else f"{count:,} {word}"


def _remedy(remedy: Remedy, lang: str, rules: Rules) -> contract.Remedy:
    rule = rule_of(remedy.code, rules)
    said = next((one for one in rule.remedies if one.id == remedy.id), None)
    if said is None:  # the rules given are not those of the diagnosis
        empty = Text(remedy.id)
        said = RemedyRule(remedy.id, empty, empty, empty, empty)
    return contract.Remedy(
        id=remedy.id,
        code=remedy.code,
        hypothesis=said.hypothesis.pick(lang),
        change=said.change.pick(lang),
        set={change.knob: _change(change, said) for change in remedy.changes},
        why=said.why.pick(lang),
        when_not=said.when_not.pick(lang) if said.when_not else "",
        expect=said.expect.pick(lang),
        references=said.references,
        snippet=said.snippet.strip("\n"),
        lab=_lab(remedy.lab, lang) if remedy.lab else None,
    )


def _lab(numbers: tuple[int, int, int, int], lang: str) -> contract.Lab:
    from gandoctor.stats import newcombe, wilson  # numpy is slow to load

    cured, tried, control_cured, control_tried = numbers
    low, high = wilson(cured, tried)
    lift = cured / tried - control_cured / control_tried
    lift_low, lift_high = newcombe(*numbers)
    said = texts.say(
        "lab-rate", lang, cured=cured, tried=tried, control_cured=control_cured, control_tried=control_tried,
        low=100 * low, high=100 * high, lift=100 * lift, lift_low=100 * lift_low, lift_high=100 * lift_high,
    )  # fmt: skip
    return contract.Lab(
        *numbers,
        (round(low, 3), round(high, 3)),
        round(lift, 3),
        (round(lift_low, 3), round(lift_high, 3)),
        said,
    )


def _change(change: Change, said: RemedyRule) -> contract.Change:
    old, old_text = _finite(change.old)
    new, new_text = _finite(change.new)
    if new is None and new_text is UNSET and change.knob in said.set:
        wanted = read_set(change.knob, said.set[change.knob])
        new_text = str(wanted) if isinstance(wanted, Expression) else UNSET
    return contract.Change(old, new, old_text, new_text)


def _snapshot(one: Snapshot) -> contract.Snapshot:
    value, text = _finite(one.value)
    return contract.Snapshot(
        step=one.step,
        file=None if one.file is None else _path(one.file),
        metric=encodable(one.metric),
        value=cast(float | None, value),
        value_text=text,
    )


def _baseline(one: Baseline) -> contract.Baseline:
    departures = {d.knob: contract.Departure(_finite(d.usual)[0], _finite(d.own)[0]) for d in one.departures}
    return contract.Baseline(one.id, one.name, one.source, departures)


def _path(path: Path) -> str:
    return encodable(address(path))


def _finite(value: Scalar) -> tuple[Scalar, Any]:
    """A value as JSON can hold it, and what stands beside it where it cannot."""
    if isinstance(value, str):
        return encodable(value), UNSET
    if isinstance(value, float):  # numpy's float64 is one too
        return (float(value), UNSET) if math.isfinite(value) else (None, str(float(value)))
    return value, UNSET
