"""Which remedies, in which order, filled with this run's own values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gandoctor.findings import Param, Severity
from gandoctor.interpret.view import RunView
from gandoctor.judge.diagnosis import Judged, Remedy
from gandoctor.judge.efficacy import NOTHING, measured
from gandoctor.judge.rules import RemedyRule, Rule, applies, fill
from gandoctor.run import Scalar

MOST = 12
_PER_SYMPTOM = 8


def prescribe(
    primary: Judged | None,
    judged: Sequence[Judged],
    chain: Sequence[tuple[str, str]],
    rules: Mapping[str, Rule],
    views: Sequence[RunView],
) -> tuple[Remedy, ...]:
    """The primary's remedies first, then those of symptoms that it did not cause.

    A symptom's remedies stand by the lift that the lab measured (`efficacy.py`), among those that fit as well.
    What the chain makes a consequence gets no remedies of its own: it should go with its cause.
    """
    if primary is None:
        return ()
    effects = {effect for _, effect in chain}
    order = [primary, *(j for j in judged if j.id != primary.id and j.id not in effects)]
    chosen: list[Remedy] = []
    seen: set[tuple[str, str]] = set()
    for one in order:
        code = one.finding.code
        if (
            one.finding.severity < Severity.WARNING
            or code not in rules
            or any(code == r.code for r in chosen)
        ):
            continue
        view = next((v for v in views if v.pair == one.finding.subject.pair), views[0])
        facts = facts_for(view)
        suited = [remedy for remedy in rules[code].remedies if applies(remedy, facts)]
        lab = measured().get(code, NOTHING)
        ranked = sorted(  # what the lab measured as equal stays in the expert's order
            (_rank(r, one.finding.params, facts), -round(lab.lift(r.id), 9), n) for n, r in enumerate(suited)
        )
        for _, _, n in ranked[:_PER_SYMPTOM]:
            remedy = suited[n]
            if (code, remedy.id) not in seen:
                seen.add((code, remedy.id))
                tally = lab.by_remedy.get(remedy.id)
                chosen.append(
                    Remedy(
                        remedy.id,
                        code,
                        fill(remedy, facts),
                        tally.numbers() if tally else None,
                        dict(one.finding.params),
                    )
                )
    return tuple(chosen[:MOST])


def _rank(remedy: RemedyRule, params: Mapping[str, Param], facts: Mapping[str, Scalar]) -> int:
    """Order before what the lab measured: remedies for what this finding shows, then those whose conditions are
    known to hold, then those that merely are not excluded, then those for something else.
    """
    shown = {params.get("check"), params.get("knob")}
    if remedy.checks:
        return 0 if shown & set(remedy.checks) else 3
    return 2 if any(facts.get(name) in (None, "unknown") for name in remedy.when) else 1


def facts_for(view: RunView) -> dict[str, Scalar]:
    """The facts that conditions and changes may use, the inferred family among them if it is sure."""
    facts: dict[str, Scalar] = {name: fact.value for name, fact in view.facts.items()}
    if "family" not in facts and view.family.confidence >= 0.6:
        facts["family"] = view.family.name
    facts.setdefault("conditional", view.conditional)
    return facts
