"""Is an illness the configuration's, or the seed's luck? Several seeds of one configuration, counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gandoctor.config import Config
from gandoctor.errors import UserError
from gandoctor.judge.diagnosis import Verdict
from gandoctor.loop.compare import differing
from gandoctor.loop.equal import rate_of, read, restricted, terms_of
from gandoctor.loop.proportions import exact, seeds_until
from gandoctor.loop.sides import Health, Member, Tally, codes_of, diagnosed, tally
from gandoctor.run import Run
from gandoctor.stats import wilson
from gandoctor.thresholds import limits


class Origin(StrEnum):
    """Where the illness comes from.

    CONFIGURATION: more than half of all seeds fall ill, by the exact interval. LUCK: some do and some do not.
    SOUND: fewer than half do, none of these. NOT_ENOUGH: too few seeds to tell.
    """

    CONFIGURATION = "configuration"
    LUCK = "luck"
    SOUND = "sound"
    NOT_ENOUGH = "not-enough"


@dataclass(frozen=True, slots=True)
class Share:
    """A share of seeds with its 95% intervals: exact (Clopper and Pearson) and Wilson's."""

    ill: int
    known: int
    exact: tuple[float, float]
    wilson: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Several seeds, counted. ill: runs with a symptom, a warning at least; failing: with an error at their end.

    symptoms: with their shares, the commonest first. more: seeds that would settle it if they fall out alike.
    differs: settings in which the runs differ besides the seed. dropped: what only some of the logs have.
    """

    members: tuple[Member, ...]
    ill: Share
    failing: Share
    symptoms: tuple[tuple[Tally, Share], ...]
    origin: Origin
    more: int | None
    differs: tuple[str, ...]
    dropped: tuple[str, ...]
    unit: str


def sensitivity_of(runs: Sequence[Run], config: Config | None = None) -> Sensitivity:
    """Count the illness over several seeds, on equal logging. Raises UserError for fewer than two runs."""
    if len(runs) < 2:
        where = str(runs[0].path) if runs else ""
        raise UserError(
            "one run says nothing about seeds", where=where, hint="name two runs or more, or their folder"
        )
    views = [read(run, config) for run in runs]
    rates = [rate_of(views[0][0], own[0]) for own in views]
    for run, own, rate in zip(runs, views, rates, strict=True):
        if rate is None:
            units = f"{own[0].unit.value}s, those of the first {views[0][0].unit.value}s"
            raise UserError(f"its steps count {units}", where=str(run.path))
    known_rates = [rate or 1.0 for rate in rates]
    terms = terms_of(runs, views, known_rates)
    members = []
    for run, own, rate in zip(runs, views, known_rates, strict=True):
        equal = restricted(run, own, terms, rate)
        members.append(Member(diagnosed(equal, config), rate))
    states = _states(members)
    share = _share(states.count(Health.ILL), len(states) - states.count(Health.UNKNOWN))
    alpha = limits("loop", config.thresholds if config else None)["alpha"].value
    origin = _origin(share)
    symptoms = [(one, _share(one.ill, one.known)) for one in _tallies(members)]
    symptoms.sort(key=lambda pair: (-pair[0].ill, pair[0].code))
    return Sensitivity(
        members=tuple(members),
        ill=share,
        failing=_share(_failing(members), share.known),
        symptoms=tuple(symptoms),
        origin=origin,
        more=seeds_until(share.ill, share.known, alpha) if origin is Origin.NOT_ENOUGH else None,
        differs=tuple(differing([own[0] for own in views])),
        dropped=terms.dropped,
        unit=views[0][0].unit.value,
    )


def _states(members: Sequence[Member]) -> list[Health]:
    """Ill, well or unknown, a run each: well only what is as long as the others needed to fall ill."""
    ill = [member for member in members if member.symptoms()]
    need = max((_shown(member) / member.rate for member in ill), default=0.0)
    return [
        Health.ILL
        if member in ill
        else Health.UNKNOWN
        if member.diagnosis.verdict is Verdict.UNKNOWN or not member.reached(need)
        else Health.WELL
        for member in members
    ]


def _failing(members: Sequence[Member]) -> int:
    return sum(member.diagnosis.verdict is Verdict.FAILING for member in members)


def _shown(member: Member) -> int:
    """The step by which an ill run's illness could be known."""
    known = member.diagnosis.known_at_step
    onsets = [judged.finding.stretch.onset for _, judged in member.symptoms().values()]
    return known if known is not None else min(onsets)


def _tallies(members: Sequence[Member]) -> list[Tally]:
    made = []
    for code in codes_of(members):
        onsets = [
            found[code][1].finding.stretch.onset_interval[1] / member.rate
            for member in members
            if code in (found := member.symptoms())
        ]
        made.append(tally(members, code, max(onsets)))
    return made


def _share(k: int, n: int) -> Share:
    return Share(k, n, exact(k, n), wilson(k, n))


def _origin(share: Share) -> Origin:
    low, high = share.exact
    if low > 0.5:
        return Origin.CONFIGURATION
    if 0 < share.ill < share.known:
        return Origin.LUCK
    return Origin.SOUND if share.ill == 0 and high < 0.5 else Origin.NOT_ENOUGH
