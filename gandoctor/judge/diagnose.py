"""From a run to its diagnosis: runs the detectors, joins their findings, and judges them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gandoctor.config import Config
from gandoctor.detectors import Detector, all_detectors, run_detector
from gandoctor.findings import Finding, Kind, NotExamined, Severity, State
from gandoctor.interpret.roles import names_one
from gandoctor.interpret.view import SNAPSHOTS, RunView, views_of
from gandoctor.judge.baseline import nearest
from gandoctor.judge.causes import chain_of, primary_of
from gandoctor.judge.confidence import confidence, source
from gandoctor.judge.diagnosis import Coverage, Diagnosis, Judged, Verdict
from gandoctor.judge.prescription import facts_for, prescribe
from gandoctor.judge.quality import outweighed
from gandoctor.judge.rules import Rule, load_rules
from gandoctor.judge.samples import samples_of
from gandoctor.judge.snapshot import best_snapshot
from gandoctor.run import Run, Unit
from gandoctor.thresholds import limits, version

if TYPE_CHECKING:
    from gandoctor.findings import Subject

LAST = 0.2  # of the run: an illness that is over before is no failure of the run
_PREFIXES = 8  # beginnings of the run on which the primary's detectors are asked again
_LOG_NEXT = 3
_FEWEST_FRAMES = 4


@dataclass(frozen=True, slots=True)
class _Looked:
    """What the detectors said of one run."""

    findings: list[Finding]
    examined: set[str]
    skipped: list[NotExamined]


def diagnose_run(run: Run, config: Config | None = None) -> Diagnosis:
    """The diagnosis of one run. Pure: the same run and configuration give the same diagnosis."""
    config = config or Config()
    rules = load_rules(*config.rules)
    views = views_of(run, roles=config.roles, family=config.family, features=config.features, inside=True)
    looked = _look(views, all_detectors(), config)
    judged = _judged(_weighed(_joined(looked.findings), views), views, config)
    chain = chain_of(judged, rules, min(view.span[0] for view in views))
    primary = primary_of([j for j in judged if config.wants(j.finding.code)], chain)
    examined = _examined_kinds(views)
    coverage = _coverage(rules, looked)
    verdict = _verdict(judged, views, config)
    if verdict is Verdict.UNKNOWN:
        primary = None
    known_at = known_at_step(primary, views, config)
    samples = samples_of(views[0]) if views else None
    seen = [problem for view in views for problem in view.sample_problems]
    for view in views:
        view.forget_samples()
    return Diagnosis(
        run=replace(run, problems=[*run.problems, *seen]) if seen else run,
        views=tuple(views),
        verdict=verdict,
        examined=examined,
        findings=tuple(judged),
        primary=primary,
        chain=chain,
        coverage=coverage,
        prescription=prescribe(primary, judged, chain, rules, views),
        best_snapshot=best_snapshot(views, primary),
        known_at_step=known_at,
        log_next=_log_next(coverage),
        thresholds_version=version(),
        baseline=nearest(facts_for(views[0])) if views else None,
        samples=samples,
    )


def fitting(config: Config | None, run: Run) -> Config | None:
    """The configuration for a run's path, with the roles of those tags only that the run has."""
    if config is None:
        return None
    config = config.for_path(run.path)
    return replace(config, roles={tag: r for tag, r in config.roles.items() if names_one(tag, run.tags)})


def _look(views: Iterable[RunView], detectors: Iterable[Detector], config: Config) -> _Looked:
    looked = _Looked([], set(), [])
    for view in views:
        for which in detectors:
            said = list(run_detector(which, view, config.thresholds))
            skipped = [one for one in said if isinstance(one, NotExamined)]
            looked.findings.extend(one for one in said if isinstance(one, Finding))
            looked.skipped.extend(skipped)
            if not skipped:
                looked.examined.add(which.code)
    return looked


def _joined(findings: Iterable[Finding]) -> list[Finding]:
    """One finding a symptom and subject: what several detectors saw of it becomes its evidence.

    Two kinds of evidence, each at least a warning, make an error; one kind only if overwhelming.
    """
    groups: dict[tuple[str, Subject], list[Finding]] = {}
    for finding in findings:
        subject = finding.subject
        # Losses of one network are one subject; which tag showed it stands in the evidence.
        key = subject if finding.code in ("GD505", "GD504") else replace(subject, tag="", file="")
        groups.setdefault((finding.code, key), []).append(finding)
    joined = []
    for group in groups.values():
        worst = max(group, key=lambda f: (f.severity, f.overwhelming, -f.stretch.onset))
        kinds = {e.kind for f in group if f.severity >= Severity.WARNING for e in f.evidence}
        severity = worst.severity
        if severity is Severity.WARNING and len(kinds) > 1 and worst.stretch.end is None:
            severity = Severity.ERROR
        if severity is Severity.ERROR and len(kinds) < 2 and not worst.overwhelming:
            severity = Severity.WARNING
        others = [f for f in group if f is not worst]
        evidence = (*worst.evidence, *(e for f in others for e in f.evidence))
        joined.append(replace(worst, severity=severity, evidence=evidence))
    return joined


def _weighed(findings: Iterable[Finding], views: Sequence[RunView]) -> list[Finding]:
    """Findings with those made milder that rising quality outweighs."""
    by_pair = {view.pair: view for view in views}
    return [
        replace(f, severity=Severity.WARNING) if outweighed(f, by_pair.get(f.subject.pair, views[0])) else f
        for f in findings
    ]


def _judged(findings: Sequence[Finding], views: Sequence[RunView], config: Config) -> list[Judged]:
    """Worst first, with ids and confidence."""
    sure = {view.pair: view.family.certainty for view in views}
    ranked = sorted(findings, key=lambda f: (-f.severity, f.stretch.onset, f.code, str(f.subject)))
    counts: dict[str, int] = {}
    judged = []
    for finding in ranked:
        counts[finding.code] = counts.get(finding.code, 0) + 1
        sureness = sure.get(finding.subject.pair, max(sure.values(), default=0.0))
        judged.append(
            Judged(
                f"{finding.code}-{counts[finding.code]}",
                finding,
                confidence(finding, sureness),
                source(finding, sureness),
            )
        )
    return judged


def _verdict(judged: Sequence[Judged], views: Sequence[RunView], config: Config) -> Verdict:
    counted = [j.finding for j in judged if config.wants(j.finding.code) and j.finding.code != "GD901"]
    last = max((view.span[1] for view in views), default=0)
    first = min((view.span[0] for view in views), default=0)
    late = last - LAST * (last - first)
    for finding in counted:
        end = finding.stretch.end
        if finding.severity is Severity.ERROR and (end is None or end >= late):
            return Verdict.FAILING
    # What the probe adds to a run is no log of its training.
    logged = (
        len(one) for view in views for tag, one in view.series.items() if view.roles[tag].quantity != "probed"
    )
    points = max(logged, default=0)
    enough = points >= limits("run")["fewest_points"].value or (not points and _shown_otherwise(views))
    if enough and any(finding.severity >= Severity.WARNING for finding in counted):
        return Verdict.WARNING
    return Verdict.HEALTHY if _long_enough(views) else Verdict.UNKNOWN


def _shown_otherwise(views: Sequence[RunView]) -> bool:
    """Whether a run without a log has checkpoints, or a row of sample grids: what they show is then all there is."""
    return any(view.has(SNAPSHOTS) or len(view.frames) >= _FEWEST_FRAMES for view in views)


def _long_enough(views: Sequence[RunView]) -> bool:
    """Whether both networks were examined, over a run long enough for silence to mean something."""
    bounds = limits("run")
    if not views:
        return False
    for view in views:
        game = view.game
        # A critic's loss is a distance between fakes and reals: it examines both networks.
        critic = game.scale.name.startswith("wgan") and game.scale.certainty > 0.6
        both = [game.d] if critic else [game.d, game.g]
        if game.started is None or min(map(len, both)) < bounds["least_points"].value:
            return False
        if view.unit is Unit.ITERATION and view.span[1] < bounds["least_iterations"].value:
            return False
    return True


_KIND_OF = {
    "loss": Kind.GAME, "score": Kind.GAME, "score_std": Kind.GAME, "accuracy": Kind.GAME, "pair_accuracy": Kind.GAME,
    "sign_rate": Kind.GAME, "grad_norm": Kind.GRADIENTS, "weight_norm": Kind.WEIGHTS, "step_norm": Kind.WEIGHTS,
    "metric": Kind.QUALITY, "sample_std": Kind.SAMPLES, "diversity": Kind.SAMPLES, "probed": Kind.SAMPLES,
    "lr": Kind.CONFIGURATION,
}  # fmt: skip


def _examined_kinds(views: Sequence[RunView]) -> tuple[Kind, ...]:
    """The kinds of evidence that the log holds, in their order."""
    found = {
        _KIND_OF[role.quantity] for view in views for role in view.roles.values() if role.quantity in _KIND_OF
    }
    if any(not fact.measured for view in views for fact in view.facts.values()):
        found.add(Kind.CONFIGURATION)
    if any(view.has(SNAPSHOTS) for view in views):
        found.add(Kind.WEIGHTS)
    if any(stream.last() is not None for view in views for stream in view.frames.samples()):
        found.add(Kind.SAMPLES)
    return tuple(kind for kind in Kind if kind in found)


def _coverage(rules: Mapping[str, Rule], looked: _Looked) -> tuple[Coverage, ...]:
    """One line a code. What hinders it is the nearest miss: too short before not usable before not logged.

    Of several signals that are not logged it names the one whose logging would tell most.
    """
    worth, lines = _worth(), []
    for code in sorted(rules):
        if code in looked.examined:
            lines.append(Coverage(code, State.EXAMINED))
            continue
        skipped = [one for one in looked.skipped if one.code == code]
        skipped.sort(key=lambda one: (one.state is not State.TOO_SHORT, one.reason == "missing-signal",
                                      -worth.get(one.log_next, 0)))  # fmt: skip
        if skipped:
            one = skipped[0]
            lines.append(Coverage(code, one.state, one.reason, one.detail, one.log_next))
        else:
            lines.append(Coverage(code, State.NOT_EXAMINABLE, "no-detector"))
    return tuple(lines)


def _log_next(coverage: Iterable[Coverage]) -> tuple[str, ...]:
    """The signals whose logging would tell most, at most three."""
    worth = _worth()
    wanted = {line.log_next for line in coverage if line.log_next}
    return tuple(sorted(wanted, key=lambda name: (-worth.get(name, 0), name))[:_LOG_NEXT])


def _worth() -> dict[str, int]:
    """How much logging each signal would tell, by its name."""
    from gandoctor.interpret import view as signals

    return {s.name: s.worth for s in vars(signals).values() if isinstance(s, signals.Signal)}


def known_at_step(primary: Judged | None, views: Sequence[RunView], config: Config) -> int | None:
    """The earliest step at which a symptom could have been known, the primary above all: the shortest
    beginning of the run, of a few tried after the onset, in which its own detectors already fire.
    """
    if primary is None or primary.finding.severity < Severity.WARNING:
        return None
    code, pair = primary.finding.code, primary.finding.subject.pair
    view = next((view for view in views if view.pair == pair), views[0])
    mine = [which for which in all_detectors() if which.code == code]
    onset, last = primary.finding.stretch.onset, view.span[1]
    for end in np.linspace(onset, last, _PREFIXES + 1)[1:-1].astype(np.int64).tolist():
        short = view.until(end)
        if any(f.severity >= Severity.WARNING for f in _look([short], mine, config).findings):
            return int(end)
    return last
