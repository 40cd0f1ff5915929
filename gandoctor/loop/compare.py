"""Did a change help? Two sides of runs on equal terms, what differs between them, and keep or revert.

Equal terms are the roles that every log has, at the density of the sparsest, up to the steps of G that both
sides reached. A candidate is called well only once it has passed the step at which the baseline's symptom
could have been known. One seed a side gives a provisional answer: what it can tell, and how many more
seeds would settle it by Fisher's exact test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from gandoctor.config import Config
from gandoctor.errors import UserError
from gandoctor.findings import Kind, Severity
from gandoctor.interpret.view import RunView
from gandoctor.judge.diagnose import fitting, known_at_step
from gandoctor.judge.diagnosis import Diagnosis, Judged, Verdict
from gandoctor.loop.equal import rate_of, read, restricted, terms_of, until
from gandoctor.loop.metrics import MetricChange, metric_changes
from gandoctor.loop.proportions import fewer, more_seeds, newcombe
from gandoctor.loop.settings import Changed, Changes, alike, changes, names
from gandoctor.loop.sides import Health, Member, Tally, codes_of, diagnosed, tally, worst
from gandoctor.run import Run
from gandoctor.thresholds import Limits, limits

_LONGER = 1.5  # times the steps, for a run whose symptom is gone but whose quality lags


class Decision(StrEnum):
    """What a comparison comes to."""

    KEEP = "keep"
    REVERT = "revert"
    NOT_ENOUGH = "not-enough"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why, as the name of a sentence and its fields; the sentences are the reports'."""

    slug: str
    fields: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SymptomChange:
    """One symptom on both sides.

    change: "gone", "new", "milder", "worse", "fewer", "more" (of the runs), "later", "earlier", "same", or
    "unknown" where a side does not tell. p: Fisher's, one-sided, in the direction seen; None for one run a side.
    """

    code: str
    change: str
    baseline: Tally
    candidate: Tally
    p: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides, and what the change did.

    steps: up to which they were compared, in the baseline's. targets: the symptoms whose end is asked for, the
    baseline's primaries. need: the baseline's step that a run must have passed, None without a target.
    ill: the runs in which a target stands, or what came is as bad, of those that tell, on each side.
    interval: 95%, of how much smaller the candidate's share is. p: Fisher's one-sided, that luck did as much.
    provisional: the answer rests on too few seeds; more: how many more a side would settle it.
    restore: what to set back, where the verdict is to revert. dropped: what only some of the logs have.
    """

    baseline: tuple[Member, ...]
    candidate: tuple[Member, ...]
    changes: Changes
    symptoms: tuple[SymptomChange, ...]
    metrics: tuple[MetricChange, ...]
    steps: int
    unit: str
    targets: tuple[str, ...]
    need: int | None
    ill: tuple[tuple[int, int], tuple[int, int]]
    interval: tuple[float, float]
    p: float | None
    decision: Decision
    reasons: tuple[Reason, ...]
    provisional: bool
    more: int | None
    train_to: int | None
    restore: tuple[Changed, ...]
    dropped: tuple[str, ...]
    notes: tuple[Reason, ...] = ()


def compare_all(
    baseline: Sequence[Run], candidates: Sequence[Run], config: Config | None = None
) -> list[Comparison]:
    """One comparison a configuration among the candidates; runs that differ in the seed only are pooled."""
    views = [read(run, config)[0] for run in candidates]
    return [compare_runs(baseline, [candidates[n] for n in group], config) for group in alike(views)]


def compare_runs(
    baseline: Sequence[Run], candidate: Sequence[Run], config: Config | None = None
) -> Comparison:
    """Compare the seeds of a baseline with those of one candidate. Raises UserError if a side is empty,
    or the steps of the logs count different things.
    """
    if not baseline or not candidate:
        raise UserError(
            "a comparison needs a baseline and a candidate", hint="gandoctor compare BASELINE CANDIDATE…"
        )
    runs = [*baseline, *candidate]
    views = [read(run, config) for run in runs]
    rates = [_rate(views[0][0], own[0], run) for own, run in zip(views, runs, strict=True)]
    terms = terms_of(runs, views, rates)
    equal = [restricted(run, own, terms, rate) for run, own, rate in zip(runs, views, rates, strict=True)]
    count = len(baseline)
    whole = [diagnosed(run, config) for run in equal[:count]]  # of full length: to know what must be passed
    last = [_last(own) / rate for own, rate in zip(views, rates, strict=True)]
    steps = min(max(last[:count]), max(last[count:]))
    members: list[Member] = []
    for place, (run, rate) in enumerate(zip(equal, rates, strict=True)):
        short = until(run, round(steps * rate))
        own = whole[place] if place < count and short is run else diagnosed(short, config)
        members.append(Member(own, rate))
    a, b = members[:count], members[count:]
    bounds = limits("loop", config.thresholds if config else None)
    targets, need = _targets(whole, config)
    symptoms = _symptoms(a, b, targets, need, bounds)
    metrics = metric_changes(a, b, bounds)
    changed = changes(views[0][0], views[count][0])
    judged = _Judge(a, b, targets, need, steps, metrics, terms.dropped, bounds).judge()
    return Comparison(
        tuple(a), tuple(b), changed, tuple(symptoms), tuple(metrics), int(steps), views[0][0].unit.value,
        targets=tuple(targets),
        need=need,
        ill=judged.ill,
        interval=newcombe(*judged.ill[0], *judged.ill[1]),
        p=judged.p,
        decision=judged.decision,
        reasons=tuple(judged.reasons),
        provisional=judged.provisional,
        more=judged.more,
        train_to=judged.train_to,
        restore=changed.settings if judged.decision is Decision.REVERT else (),
        dropped=terms.dropped,
        notes=(*_notes(changed, [own[0] for own in views], count), *_left_out(candidate, b, config)),
    )  # fmt: skip


def _rate(first: RunView, other: RunView, run: Run) -> float:
    rate = rate_of(first, other)
    if rate is None:
        raise UserError(
            f"its steps count {other.unit.value}s, those of the baseline {first.unit.value}s",
            where=str(run.path),
            hint="runs can be compared at equal steps only: log both in the same unit",
        )
    return rate


def _last(views: Sequence[RunView]) -> int:
    return max(view.span[1] for view in views)


# --- what must go ----------------------------------------------------------------------------------------


def _targets(whole: Sequence[Diagnosis], config: Config | None) -> tuple[dict[str, Severity], int | None]:
    """The symptoms whose end is asked for, with how bad they are, and the step by which each could be known.

    They are the baseline's primaries. One that rests on settings alone goes with the setting: then what it
    caused must go, too.
    """
    found: dict[str, Severity] = {}
    need: int | None = None
    for diagnosis in whole:
        primary = diagnosis.primary
        if primary is None:
            continue
        standing = Member(diagnosis).symptoms()
        asked = [primary]
        if {one.kind for one in primary.finding.evidence} <= {Kind.CONFIGURATION}:
            by_id = {judged.id: judged for judged in diagnosis.findings}
            asked += [by_id[e] for cause, e in diagnosis.chain if cause == primary.id and e in by_id]
        for judged in asked:
            code = judged.finding.code
            if code in standing:
                found[code] = max(standing[code][0], found.get(code, Severity.WARNING))
                need = max(need or 0, _known(judged, diagnosis, config))
    return found, need


def _known(judged: Judged, diagnosis: Diagnosis, config: Config | None) -> int:
    """The step at which a symptom could have been known: its onset and the delay of its detection."""
    if diagnosis.primary is judged and diagnosis.known_at_step is not None:
        return diagnosis.known_at_step
    known = known_at_step(judged, diagnosis.views, fitting(config, diagnosis.run) or Config())
    return judged.finding.stretch.onset_interval[1] if known is None else known


# --- symptom by symptom ----------------------------------------------------------------------------------


def _symptoms(
    a: Sequence[Member],
    b: Sequence[Member],
    targets: Mapping[str, Severity],
    need: int | None,
    bounds: Limits,
) -> list[SymptomChange]:
    made = []
    for code in codes_of([*a, *b]):
        onsets = [
            found[code][1].finding.stretch.onset_interval[1] / member.rate
            for member in (*a, *b)
            if code in (found := member.symptoms())
        ]
        passed = max(need or 0, max(onsets)) if code in targets else max(onsets)
        first, second = tally(a, code, passed), tally(b, code, passed)
        single = len(a) == len(b) == 1
        p = None
        if not single and first.known and second.known:
            counts = ((first.ill, first.known), (second.ill, second.known))
            p = min(fewer(*counts[0], *counts[1]), fewer(*counts[1], *counts[0]))
        made.append(SymptomChange(code, _change(first, second, b[0].rate, a, bounds), first, second, p))
    # What matters first: the targets, then what is new, then by code.
    return sorted(made, key=lambda one: (one.code not in targets, one.change != "new", one.code))


def _change(first: Tally, second: Tally, rate: float, baseline: Sequence[Member], bounds: Limits) -> str:
    """The word for what became of a symptom."""
    if not first.known or not second.known:
        return "unknown"
    if first.ill and not second.ill:
        return "gone"
    if second.ill and not first.ill:
        return "new"
    shares = second.ill * first.known - first.ill * second.known
    if shares:
        return "fewer" if shares < 0 else "more"
    assert first.severity is not None
    assert second.severity is not None
    if first.severity != second.severity:
        return "milder" if second.severity < first.severity else "worse"
    early, late = (edge * rate for edge in first.interval)
    far = bounds["later"].value * max(member.last for member in baseline) * rate
    onset, own = second.onset or 0, (first.onset or 0) * rate
    if second.interval[0] > late and onset - own >= far:
        return "later"
    return "earlier" if second.interval[1] < early and own - onset >= far else "same"


# --- the verdict -----------------------------------------------------------------------------------------


@dataclass
class _Judge:
    """Comes from counts and metrics to the decision, its reasons, and what would settle it."""

    a: Sequence[Member]
    b: Sequence[Member]
    targets: Mapping[str, Severity]
    need: int | None
    steps: float
    metrics: Sequence[MetricChange]
    dropped: Sequence[str]
    bounds: Limits
    decision: Decision = Decision.NOT_ENOUGH
    reasons: list[Reason] = field(default_factory=list)
    ill: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    p: float | None = None
    provisional: bool = False
    more: int | None = None
    train_to: int | None = None

    def judge(self) -> _Judge:
        """Decide."""
        before = worst(self.a)
        # Cut to the steps in common the baseline may be less ill than at its end: that is what must go.
        self.targets = {code: before.get(code, severity) for code, severity in self.targets.items()}
        first = [self._health(member, before) for member in self.a]
        second = [self._health(member, before) for member in self.b]
        (i, n), (j, m) = self.ill = _count(first), _count(second)
        if not n or (self.targets and not i):
            self._baseline_does_not_tell([why for _, why in first], m)
        elif not m:
            self._candidate_does_not_tell([why for _, why in second])
        else:
            self._by_counts(i, n, j, m)
        silent = [why for health, why in second if health is Health.UNKNOWN]
        if silent and m:
            self.reasons.append(Reason("some-do-not-tell", {"count": len(silent), "all": len(second)}))
        return self

    def _health(self, member: Member, before: Mapping[str, Severity]) -> tuple[Health, str]:
        """Whether a run has what must go, or something as bad in its place that the baseline has not."""
        worse = min(self.targets.values(), default=Severity.WARNING)
        if any(
            s >= worse and s > before.get(code, Severity.INFO) for code, (s, _) in member.symptoms().items()
        ):
            return Health.ILL, "new"
        if not self.targets and member.diagnosis.verdict is Verdict.UNKNOWN:
            return Health.UNKNOWN, "not-judged"
        states = [member.health(code, self.need or 0, severity) for code, severity in self.targets.items()]
        if any(state is Health.ILL for state, _ in states):
            return (Health.WELL, "milder") if self._errors_gone(member, before) else (Health.ILL, "")
        return next((state for state in states if state[0] is Health.UNKNOWN), (Health.WELL, ""))

    def _errors_gone(self, member: Member, before: Mapping[str, Severity]) -> bool:
        """Whether what made the baseline fail is gone, where its primary is but a warning that led to errors."""
        errors = [code for code, severity in before.items() if severity is Severity.ERROR]
        if not errors or max(self.targets.values()) is Severity.ERROR:
            return False
        return all(member.health(code, self.need or 0, Severity.ERROR)[0] is Health.WELL for code in errors)

    def _baseline_does_not_tell(self, why: Sequence[str], candidates: int) -> None:
        if self.targets and self.need is not None and self.steps < self.need:
            self._too_short()
        elif self.targets:
            self.reasons.append(
                Reason("not-in-common", {"codes": list(self.targets), "dropped": list(self.dropped)})
            )
        else:
            self.reasons.append(Reason("baseline-unknown", {"log": self._log_next(self.a)}))

    def _candidate_does_not_tell(self, why: Sequence[str]) -> None:
        if "too-short" in why:
            self._too_short()
        elif "not-examined" in why:
            fields = {
                "codes": list(self.targets),
                "dropped": list(self.dropped),
                "log": self._log_next(self.b),
            }
            self.reasons.append(Reason("not-examined", fields))
        else:
            self.reasons.append(Reason("candidate-unknown", {"log": self._log_next(self.b)}))

    def _too_short(self) -> None:
        assert self.need is not None
        self.train_to = -int(-self.need * self.b[0].rate // 1)
        self.reasons.append(Reason("too-short", {"step": self.train_to, "last": max(m.last for m in self.b)}))

    def _by_counts(self, i: int, n: int, j: int, m: int) -> None:
        alpha = self.bounds["alpha"].value
        counts = {"a": i, "of_a": n, "b": j, "of_b": m}
        better, worse = i * m > j * n, j * n > i * m
        self.p = fewer(i, n, j, m) if better else fewer(j, m, i, n) if worse else None
        settled = self.p is not None and self.p <= alpha
        unanimous = {i, n - i} == {0, n} and {j, m - j} == {0, m}
        quality = self._quality()
        if better and (settled or unanimous):
            self._improved(counts, quality)
            self.provisional = self.decision is not Decision.NOT_ENOUGH and not settled
            self.more = more_seeds(i, n, j, m, alpha) if self.provisional else None
        elif worse and (settled or unanimous):
            self.decision = Decision.REVERT
            self.reasons.append(Reason("new-illness", {**counts, "codes": self._new()}))
            self.provisional = not settled
            self.more = more_seeds(j, m, i, n, alpha) if self.provisional else None
        elif i == j == 0:
            self._by_quality(quality)
        elif unanimous:  # all ill, on both sides
            self._still_ill(counts, quality)
        elif not better and newcombe(i, n, j, m)[1] < self.bounds["useful"].value:
            self.decision = Decision.REVERT
            self.reasons.append(Reason("no-help", counts))
        else:
            self.more = more_seeds(i, n, j, m, alpha) if better else more_seeds(j, m, i, n, alpha)
            self.reasons.append(Reason("mixed", counts))

    def _improved(self, counts: Mapping[str, object], quality: str) -> None:
        after = worst(self.b)
        stays = [code for code in self.targets if code in after]
        as_bad = [code for code in stays if after[code] >= self.targets[code]]
        slug = "less-ill" if as_bad and counts["b"] == 0 else "milder" if stays else "gone"
        gone = [code for code, s in worst(self.a).items() if s is Severity.ERROR and after.get(code, 0) < s]
        self.reasons.append(Reason(slug, {**counts, "codes": list(self.targets), "new": sorted(gone)}))
        if quality == "worse":
            self.reasons.append(Reason("but-quality-worse"))
            self.train_to = int(_LONGER * max(member.last for member in self.b))
            return
        self.decision = Decision.KEEP
        left = [code for code, severity in after.items() if severity is Severity.ERROR]
        if left:
            self.reasons.append(Reason("still-there", {"codes": sorted(left)}))

    def _still_ill(self, counts: Mapping[str, object], quality: str) -> None:
        new = self._new()
        if quality == "better" and not new:
            self.decision = Decision.KEEP
            self.reasons.append(Reason("ill-but-quality-better", {"codes": list(self.targets)}))
        else:
            self.decision = Decision.REVERT
            stays = [c for c in self.targets if any(c in member.symptoms() for member in self.b)]
            slug = "not-gone" if stays else "gone-but-new"
            self.reasons.append(Reason(slug, {**counts, "codes": stays or list(self.targets), "new": new}))
        self.provisional = counts["of_a"] == counts["of_b"] == 1

    def _by_quality(self, quality: str) -> None:
        if quality in ("better", "worse"):
            self.decision = Decision.KEEP if quality == "better" else Decision.REVERT
            self.reasons.append(Reason(f"quality-{quality}"))
            self.provisional = len(self.a) == len(self.b) == 1
        else:
            self.reasons.append(Reason("no-difference" if self.metrics else "no-metric"))

    def _quality(self) -> str:
        said = {metric.change for metric in self.metrics} - {"same"}
        return said.pop() if len(said) == 1 else "mixed" if said else "same"

    def _new(self) -> list[str]:
        before = worst(self.a)
        return sorted(
            code for code, severity in worst(self.b).items() if severity > before.get(code, Severity.INFO)
        )

    def _log_next(self, side: Sequence[Member]) -> str:
        return next((name for member in side for name in member.diagnosis.log_next), "")


def _count(states: Sequence[tuple[Health, str]]) -> tuple[int, int]:
    said = [state for state, _ in states]
    return said.count(Health.ILL), len(said) - said.count(Health.UNKNOWN)


# --- beside the verdict ----------------------------------------------------------------------------------


def _notes(changed: Changes, views: Sequence[RunView], count: int) -> list[Reason]:
    """What a reader must know before believing the comparison."""
    notes = []
    if not changed.known:
        notes.append(Reason("no-configuration"))
    elif not changed.things:
        notes.append(Reason("nothing-changed"))
    elif len(changed.things) > 1:
        notes.append(
            Reason("several-changes", {"count": len(changed.things), "names": names(changed.settings)})
        )
    if any(one.name == "data" for one in changed.settings):
        notes.append(Reason("other-data"))
    for side, own in (("baseline", views[:count]), ("candidate", views[count:])):
        differs = differing(own)
        if differs:
            notes.append(Reason("mixed-side", {"side": side, "names": differs}))
    if len({view.facts["g_steps"].value for view in views if "g_steps" in view.facts}) > 1:
        notes.append(Reason("g-steps-differ"))
    return notes


def _left_out(runs: Sequence[Run], members: Sequence[Member], config: Config | None) -> list[Reason]:
    """What the candidates show beyond equal terms: in signals of their own, or after the steps in common."""
    cut = [run for run, member in zip(runs, members, strict=True) if not _same_log(run, member.diagnosis.run)]
    whole = worst([Member(diagnosed(run, config)) for run in cut])
    more = sorted(whole.keys() - worst(members).keys())
    return [Reason("own-log", {"codes": more})] if more else []


def _same_log(run: Run, other: Run) -> bool:
    """Whether nothing was cut from a run."""
    series = run.series.keys() == other.series.keys()
    extras = (run.images, run.checkpoints, run.histograms) == (
        other.images,
        other.checkpoints,
        other.histograms,
    )
    return series and extras and all(len(one) == len(other.series[tag]) for tag, one in run.series.items())


def differing(views: Sequence[RunView]) -> list[str]:
    """The settings besides the seed in which runs of one side differ."""
    return sorted({name for view in views[1:] for name in names(changes(views[0], view).settings)})
