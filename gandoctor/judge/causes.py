"""What caused what: edges between findings, and the primary symptom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gandoctor.findings import Severity
from gandoctor.judge.diagnosis import Judged
from gandoctor.judge.rules import Rule

# Which symptom is named first where onsets do not tell: data and code first (they explain all else
# and cost least to mend), then schedule, norms, the balance of the game, samples, and the metrics.
ORDER = (
    "GD701", "GD702", "GD703", "GD606", "GD602", "GD601", "GD604", "GD302", "GD105", "GD204", "GD201", "GD202",
    "GD203", "GD101", "GD401", "GD102", "GD402", "GD301", "GD603", "GD303", "GD605", "GD403", "GD404", "GD503",
    "GD502", "GD501", "GD506", "GD704", "GD104", "GD103", "GD504", "GD505",
)  # fmt: skip
# Winning takes training: it cannot explain what the first logged point already shows.
_OF_TRAINING = frozenset({"GD201", "GD202", "GD203"})
_OUTCOMES = frozenset({"GD104", "GD504"})
_AT_ONCE = frozenset({"GD204", "GD301"})
_RANK = {code: rank for rank, code in enumerate(ORDER)}


def chain_of(judged: Sequence[Judged], rules: Mapping[str, Rule], start: int) -> tuple[tuple[str, str], ...]:
    """The edges (cause id, effect id) between the warnings and errors of a run. start: its first step.

    Drawn only where the cause's onset interval starts no later than its effect's ends, within one pair.
    Edges between codes may form cycles; within a run the later onset is never the cause.
    """
    ill = [j for j in judged if j.finding.severity >= Severity.WARNING and j.finding.code in rules]
    edges = []
    for cause in ill:
        for effect in ill:
            a, b = cause.finding, effect.finding
            if cause is effect or b.code not in rules[a.code].leads_to:
                continue
            if a.subject.pair and b.subject.pair and a.subject.pair != b.subject.pair:
                continue
            if a.code in _OF_TRAINING and b.code in _AT_ONCE and b.stretch.onset <= start:
                continue
            mutual = a.code in rules[b.code].leads_to
            if _before(cause, effect) and not (
                mutual and _before(effect, cause) and _rank(effect) < _rank(cause)
            ):
                edges.append((cause.id, effect.id))
    return tuple(_acyclic(edges, {j.id: j.finding.stretch.onset for j in ill}))


def _before(cause: Judged, effect: Judged) -> bool:
    """Whether a cause may have begun before its effect: its onset interval starts no later, and its onset
    itself lies no later than the latest the effect can have begun.
    """
    a, b = cause.finding.stretch, effect.finding.stretch
    return a.onset_interval[0] <= b.onset_interval[0] and a.onset <= b.onset_interval[1]


def _rank(judged: Judged) -> int:
    return _RANK.get(judged.finding.code, len(ORDER))


def _acyclic(edges: Sequence[tuple[str, str]], onset: Mapping[str, int]) -> list[tuple[str, str]]:
    """Drop the edges that close a cycle, those with the latest cause first to go."""
    kept: list[tuple[str, str]] = []
    for cause, effect in sorted(edges, key=lambda edge: (onset[edge[0]], edge)):
        if cause not in _reachable(effect, kept):
            kept.append((cause, effect))
    return kept


def _reachable(start: str, edges: Sequence[tuple[str, str]]) -> set[str]:
    seen, waiting = set(), [start]
    while waiting:
        at = waiting.pop()
        if at not in seen:
            seen.add(at)
            waiting += [effect for cause, effect in edges if cause == at]
    return seen


def primary_of(judged: Sequence[Judged], chain: Sequence[tuple[str, str]]) -> Judged | None:
    """The earliest cause of the worst findings; onsets that cannot be told apart go by ORDER.

    What is not finite ends the run: then the earliest cause of that. What only tells how the run comes out
    (no progress, stalled quality) is named where nothing else of its severity is.
    """
    ill = [j for j in judged if j.finding.severity >= Severity.WARNING and j.finding.code != "GD901"]
    if not ill:
        return None
    worst = max(j.finding.severity for j in ill)
    named = [j for j in ill if j.finding.severity == worst]
    fatal = [j for j in named if j.finding.code == "GD105" and worst is Severity.ERROR]
    named = fatal or [j for j in named if j.finding.code not in _OUTCOMES] or named
    by_id = {j.id: j for j in ill}
    backwards = [(effect, cause) for cause, effect in chain]
    roots: dict[str, Judged] = {}
    for judged_one in named:
        ancestors = [by_id[one] for one in _reachable(judged_one.id, backwards) if one in by_id]
        for one in ancestors:
            if not any(cause in by_id for effect, cause in backwards if effect == one.id):
                roots[one.id] = one
    first = min(roots.values(), key=lambda j: (j.finding.stretch.onset, _rank(j), j.id))
    latest = first.finding.stretch.onset_interval[1]
    tied = [j for j in roots.values() if j.finding.stretch.onset_interval[0] <= latest]
    return min(tied, key=lambda j: (_rank(j), j.finding.stretch.onset, j.id))
