"""From a comparison, or seeds counted, to the plain rows of the contract: sentences rendered, nothing computed
that another output might compute otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import gandoctor
from gandoctor.judge.rules import Rule, load_rules
from gandoctor.loop.proportions import exact
from gandoctor.reports import texts
from gandoctor.reports.contract import Scalar
from gandoctor.reports.contract import Severity as SeverityWord
from gandoctor.reports.loop import contract
from gandoctor.reports.loop.words import say
from gandoctor.reports.rows import rule_of
from gandoctor.reports.texts import at_step, encodable, join
from gandoctor.thresholds import version

if TYPE_CHECKING:
    from gandoctor.loop.compare import Comparison, Reason, SymptomChange
    from gandoctor.loop.metrics import MetricChange
    from gandoctor.loop.sensitivity import Sensitivity, Share
    from gandoctor.loop.settings import Changed
    from gandoctor.loop.sides import Member, Tally

Rules = Mapping[str, Rule]
_DIGITS = 4


def compare_report(
    comparisons: Sequence[Comparison], lang: str = "en", rules: Rules | None = None
) -> contract.CompareReport:
    """The whole object that `compare` prints."""
    known = load_rules() if rules is None else rules
    rows = tuple(comparison_rows(one, lang, known) for one in comparisons)
    return contract.CompareReport(contract.VERSION, gandoctor.__version__, version(), lang, rows)


def comparison_rows(one: Comparison, lang: str, rules: Rules) -> contract.Comparison:
    """One comparison of the contract."""
    (i, n), (j, m) = one.ill
    low, high = one.interval
    return contract.Comparison(
        baseline=tuple(_run(member) for member in one.baseline),
        candidate=tuple(_run(member) for member in one.candidate),
        verdict=one.decision.value,
        verdict_text=say(f"{one.decision.value}-change", lang),
        reasons=tuple(contract.Said(r.slug, reason_text(r, one, lang)) for r in one.reasons),
        provisional=one.provisional,
        more_seeds=one.more,
        train_to_step=one.train_to,
        restore=tuple(_setting(setting) for setting in one.restore),
        notes=tuple(contract.Said(r.slug, note_text(r, lang)) for r in one.notes),
        configuration_known=one.changes.known,
        changed=tuple(tuple(_setting(setting) for setting in thing) for thing in one.changes.things),
        unit=one.unit,
        steps=one.steps,
        targets=one.targets,
        need_step=one.need,
        baseline_ill=contract.Share(i, n, _interval(*exact(i, n))),
        candidate_ill=contract.Share(j, m, _interval(*exact(j, m))),
        difference_interval=_interval(low, high),
        p=_rounded(one.p),
        symptoms=tuple(_symptom(change, lang, rules) for change in one.symptoms),
        metrics=tuple(_metric(metric) for metric in one.metrics),
        not_in_common=tuple(map(encodable, one.dropped)),
    )


def sensitivity_report(
    one: Sensitivity, lang: str = "en", rules: Rules | None = None
) -> contract.SensitivityReport:
    """The whole object that `sensitivity` prints."""
    known = load_rules() if rules is None else rules
    notes = []
    if one.differs:
        names = join(list(one.differs), lang)
        notes.append(contract.Said("seeds-differ", say("note-seeds-differ", lang, names=names)))
    bare = sum(not member.diagnosis.run.settings for member in one.members)
    if bare:
        fields = {"count": bare, "all": len(one.members)}
        notes.append(contract.Said("seeds-unknown", say("note-seeds-unknown", lang, **fields)))
    untold = len(one.members) - one.ill.known
    if untold:
        notes.append(
            contract.Said("seeds-untold", say("seeds-untold", lang, count=untold, all=len(one.members)))
        )
    low, high = (f"{100 * bound:.0f}%" for bound in one.ill.exact)
    because = say(
        f"because-{one.origin.value}", lang, ill=one.ill.ill, known=one.ill.known, low=low, high=high
    )
    return contract.SensitivityReport(
        schema=contract.VERSION,
        gandoctor=gandoctor.__version__,
        thresholds=version(),
        language=lang,
        runs=tuple(_run(member) for member in one.members),
        unit=one.unit,
        verdict=one.origin.value,
        verdict_text=because,
        ill=_seed_share(one.ill),
        failing=_seed_share(one.failing),
        more_seeds=one.more,
        notes=tuple(notes),
        differs=tuple(map(encodable, one.differs)),
        symptoms=tuple(_seed_symptom(told, share, lang, known) for told, share in one.symptoms),
        not_in_common=tuple(map(encodable, one.dropped)),
    )


# --- sentences -------------------------------------------------------------------------------------------


def reason_text(reason: Reason, one: Comparison, lang: str) -> str:
    """A reason as a sentence."""
    fields = dict(reason.fields)
    for key in ("codes", "new", "dropped"):
        if key in fields:
            fields[key] = join(list(cast("list[str]", fields[key])), lang) or say("nothing", lang)
    if "log" in fields:
        fields["log"] = _log(str(fields["log"]), lang)
    if reason.slug == "too-short":
        steps = {"need": one.need, "last": fields["last"], "step": fields["step"]}
        fields |= {key: at_step(int(cast(int, step)), one.unit, lang) for key, step in steps.items()}
    return say(f"reason-{reason.slug}", lang, **fields)


def note_text(reason: Reason, lang: str) -> str:
    """A note as a sentence."""
    fields = dict(reason.fields)
    for key in ("names", "codes"):
        if key in fields:
            fields[key] = join(list(cast("list[str]", fields[key])), lang)
    if "side" in fields:
        fields["side"] = say(f"{fields['side']}-side", lang)
    return say(f"note-{reason.slug}", lang, **fields)


def _log(signal: str, lang: str) -> str:
    known = texts.all_texts().signals.get(signal)
    return say("log-that", lang, signal=known.what.pick(lang)) if known is not None else ""


# --- rows ------------------------------------------------------------------------------------------------


def _run(member: Member) -> contract.Run:
    diagnosis = member.diagnosis
    primary = diagnosis.primary
    return contract.Run(
        path=encodable(diagnosis.run.path.as_posix()),
        name=encodable(diagnosis.run.name),
        verdict=diagnosis.verdict.value,
        primary=None if primary is None else primary.finding.code,
        last_step=member.last,
    )


def _setting(one: Changed) -> contract.Setting:
    return contract.Setting(encodable(one.name), _scalar(one.old), _scalar(one.new), one.fact)


def _symptom(one: SymptomChange, lang: str, rules: Rules) -> contract.Symptom:
    rule = rule_of(one.code, rules)
    return contract.Symptom(
        one.code, rule.slug, rule.title.pick(lang), cast(contract.Change, one.change),
        _tally(one.baseline), _tally(one.candidate), _rounded(one.p),
    )  # fmt: skip


def _tally(one: Tally) -> contract.Tally:
    return contract.Tally(
        one.ill, one.known, _interval(*exact(one.ill, one.known)), _severity(one), one.onsets
    )


def _metric(one: MetricChange) -> contract.Metric:
    old, new = (tuple(_rounded(value, 6) for value in side) for side in (one.baseline, one.candidate))
    word = cast(contract.MetricWord, one.change)
    return contract.Metric(encodable(one.name), one.higher_is_better, old, new, word, _rounded(one.p))


def _seed_symptom(told: Tally, share: Share, lang: str, rules: Rules) -> contract.SeedSymptom:
    rule = rule_of(told.code, rules)
    return contract.SeedSymptom(
        told.code, rule.slug, rule.title.pick(lang), _severity(told), _seed_share(share), told.onsets
    )


def _seed_share(one: Share) -> contract.SeedShare:
    return contract.SeedShare(one.ill, one.known, _interval(*one.exact), _interval(*one.wilson))


def _severity(one: Tally) -> SeverityWord | None:
    return None if one.severity is None else cast(SeverityWord, one.severity.slug)


def _interval(low: float, high: float) -> tuple[float, float]:
    return round(low, _DIGITS), round(high, _DIGITS)


def _rounded(value: float | None, digits: int = _DIGITS) -> float | None:
    """A number to some significant digits, None where it is not finite."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{digits}g}")


def _scalar(value: Scalar) -> Scalar:
    if isinstance(value, str):
        return encodable(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
