"""Loss families as scales: what a loss value says about who is ahead.

A family is a pair of scales, so that no detector branches on it. D's lead is 0 at equilibrium and 1
at a perfect D: for the families here, whose D loss is bounded below by 0, it is 1 − L_D / L_D,eq. For
binary cross-entropy that is a lower bound of the Jensen–Shannon divergence between reals and fakes
in bits (Goodfellow 2014, arXiv:1406.2661, section 4). G's debt is 0 at equilibrium and grows as G
starves, in natural units of the loss.

Every family also has a *floor*: G's loss and the fake half of D's loss are means of two convex
functions of the same outputs C(G(z)), so by Jensen's inequality the fake half cannot lie below a
function of G's loss. What lies below comes from two different games.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gandoctor.run import Values

LOG2 = float(np.log(2))
# Losses are printed to 3 decimals in many logs: below this they are 0.
RESOLUTION = 5e-4


@dataclass(frozen=True, slots=True)
class Family:
    """One loss family.

    d_half: D's loss on reals, and on fakes, at equilibrium; None where the family has no such point.
    g: G's loss at equilibrium. debt_unit: what one unit of debt is in G's loss.
    starved: G's debt at which G gets no useful answer from D, None where debt has no natural end.
    g_low, g_high, d_low, d_high: the range of G's loss and of D's (sum of halves); medians
        outside speak against the family.
    least_d: the least D loss for mean raw outputs on reals and on fakes (Jensen's inequality).
    least_g: the least G loss for a mean raw output on fakes.
    floor: the least fake half of D for a value of G's loss.
    saturates: whether G's debt ends at 1, the loss of a perfect D.
    """

    name: str
    prior: float
    d_half: float | None
    g: float
    debt_unit: float
    g_low: float
    g_high: float
    d_low: float
    d_high: float
    least_d: Callable[[Values, Values], Values] | None = None
    least_g: Callable[[Values], Values] | None = None
    floor: Callable[[Values], Values] | None = None
    saturates: bool = False


def _bce_floor(g: Values) -> Values:
    return -np.log(-np.expm1(-np.clip(g, 1e-9, None)))


def _lsgan_floor(g: Values) -> Values:
    floor: Values = np.clip(1 - np.sqrt(np.clip(g, 0, None)), 0, None) ** 2
    return floor


def _hinge_floor(g: Values) -> Values:
    return np.clip(1 - g, 0, None)


def _bce_of(real: Values, fake: Values) -> Values:
    least: Values = np.logaddexp(0, -real) + np.logaddexp(0, fake)
    return least


def _lsgan_of(real: Values, fake: Values) -> Values:
    least: Values = (real - 1) ** 2 + fake**2
    return least


def _hinge_of(real: Values, fake: Values) -> Values:
    return np.clip(1 - real, 0, None) + np.clip(1 + fake, 0, None)


def _critic_of(real: Values, fake: Values) -> Values:
    return fake - real  # exactly, but for the penalty, which is never negative


def _bce_g_of(fake: Values) -> Values:
    return np.logaddexp(0, -fake)


def _lsgan_g_of(fake: Values) -> Values:
    least: Values = (fake - 1) ** 2
    return least


def _minus_of(fake: Values) -> Values:
    return -fake  # exactly


def _relativistic_of(real: Values, fake: Values) -> Values:
    return np.logaddexp(0, fake - real)


_INF = float("inf")
FAMILIES = {
    family.name: family
    for family in (
        Family("non-saturating", 0.47, LOG2, LOG2, LOG2, 0, _INF, 0, _INF, _bce_of, _bce_g_of, _bce_floor),
        Family("minimax", 0.04, LOG2, -LOG2, LOG2, -_INF, 0, 0, _INF, _bce_of, None, None, True),
        # Outputs of a least-squares D leave [0, 1] a little: its losses do not leave [0, 1.5].
        Family("lsgan", 0.20, 0.25, 0.25, 0.75, 0, 1.5, 0, 2.0, _lsgan_of, _lsgan_g_of, _lsgan_floor, True),
        Family("hinge", 0.08, 1.0, 0.0, 1.0, -_INF, _INF, 0, _INF, _hinge_of, _minus_of, _hinge_floor),
        Family("wgan", 0.06, None, 0.0, 1.0, -_INF, _INF, -_INF, _INF, _critic_of, _minus_of),
        Family("wgan-gp", 0.09, None, 0.0, 1.0, -_INF, _INF, -_INF, _INF, _critic_of, _minus_of),
        Family("relativistic", 0.004, LOG2 / 2, LOG2, LOG2, 0, _INF, 0, _INF, _relativistic_of, None, _bce_floor),
        # SRGAN code with L_D = 1 − D(x) + D(G(z)): 1 at chance, 0 for a perfect D; linear, no logs.
        Family("srgan-linear", 0.005, 0.5, 0.5, 0.5, -_INF, _INF, 0, 2.0, saturates=True),
        # Boundary equilibrium (Berthelot 2017, arXiv:1703.10717): losses of an autoencoder, known by
        # its names k and measure; no scale of ours fits it.
        Family("began", 1e-6, None, _INF, 1.0, -_INF, _INF, -_INF, _INF),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Form:
    """A supposed family with the factors in which the losses were logged.

    d_factor: 1 where D's loss is the sum of its halves, 0.5 where it is their mean; times the number of
    sub-discriminators. g_factor likewise.
    """

    family: Family
    d_factor: float
    g_factor: float
    probability: float = 0.0

    @property
    def d_equilibrium(self) -> float | None:
        """D's loss as logged at equilibrium."""
        return None if self.family.d_half is None else 2 * self.family.d_half * self.d_factor

    @property
    def g_equilibrium(self) -> float:
        """G's loss as logged at equilibrium."""
        return self.family.g * self.g_factor

    def lead(self, d: Values) -> Values:
        """D's lead from D's loss as logged, float64 (n,)."""
        assert self.d_equilibrium is not None
        return 1 - d / self.d_equilibrium

    def debt(self, g: Values) -> Values:
        """G's debt from G's loss as logged, float64 (n,)."""
        if self.family.name == "minimax":
            return 1 - g / self.g_equilibrium
        return (g / self.g_factor - self.family.g) / self.family.debt_unit

    def d_at(self, lead: float) -> float:
        """D's loss as logged at a lead."""
        assert self.d_equilibrium is not None
        return (1 - lead) * self.d_equilibrium

    def g_at(self, debt: float) -> float:
        """G's loss as logged at a debt."""
        if self.family.name == "minimax":
            return (1 - debt) * self.g_equilibrium
        return (self.family.g + debt * self.family.debt_unit) * self.g_factor

    def short_of_outputs(self, d: Values, real: Values, fake: Values) -> Values:
        """How far D's loss as logged lies below what its mean raw outputs allow, in the size of that.

        d, real, fake: float64 (n,). Above 0 what no D with these outputs can have.
        """
        assert self.family.least_d is not None
        least = self.family.least_d(real, fake)
        short: Values = (least - d / self.d_factor) / np.maximum(1.0, np.abs(least))
        return short

    def below_floor(self, g: Values, d_fake: Values, slack: float) -> float:
        """Share of points at which exp(−L_D,fake) exceeds what G's loss allows by more than `slack`.

        d_fake: the fake half as logged, or D's whole loss where only that is logged (a weaker test,
        as it is never smaller). The excess is exp(−L_D,fake) − exp(−floor), which for binary
        cross-entropy is exp(−L_G) + exp(−L_D,fake) − 1.
        """
        if self.family.floor is None or not len(g):
            return 0.0
        with np.errstate(over="ignore"):
            excess = np.exp(-d_fake / self.d_factor) - np.exp(-self.family.floor(g / self.g_factor))
        return float(np.mean(excess > slack))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the log shows of the game, for the inference of the family.

    d: D's loss, float64 (n,); g: G's loss at the same steps, or None; fake: D's fake half there, or None.
    halves: whether `d` is the sum of two logged halves (so its factor is known to be one a half).
    start: whether the first point lies at the start of training.
    said: family → log-odds that names and configuration add; surely: the family given by the user.
    k: the number of summed sub-discriminators, 0 where unknown.
    scores: (real, fake) mean outputs at the same steps, or None.
    """

    d: Values | None
    g: Values | None
    fake: Values | None
    halves: bool
    start: bool
    said: dict[str, float]
    surely: str = ""
    k: int = 0
    scores: tuple[Values, Values] | None = None


@dataclass(frozen=True, slots=True)
class Scale:
    """Who is ahead, as far as the family is known: the forms that remain, most likely first.

    Where several remain, lead and debt are the least that any likely form gives: an unsure family
    widens what is healthy and never invents a symptom. fit: 0 or less, how well the values suit the most
    likely form.
    """

    forms: tuple[Form, ...]
    fit: float = 0.0

    @property
    def name(self) -> str:
        """The most likely family, all its forms together."""
        by_name = self._by_name()
        return max(by_name, key=lambda name: by_name[name]) if by_name else "unknown"

    @property
    def confidence(self) -> float:
        """Probability of that family."""
        return self._by_name().get(self.name, 0.0)

    @property
    def certainty(self) -> float:
        """Probability of the scale: families that share one (WGAN with clipping or penalty) add up."""
        if not self.forms:
            return 0.0
        same = self.best.family.least_d
        return sum(f.probability for f in self.forms if same is not None and f.family.least_d is same)

    def _by_name(self) -> dict[str, float]:
        total: dict[str, float] = {}
        for form in self.forms:
            total[form.family.name] = total.get(form.family.name, 0.0) + form.probability
        return total

    @property
    def likely(self) -> tuple[Form, ...]:
        """The forms that must be reckoned with: at least a fifth of the probability."""
        return tuple(form for form in self.forms if form.probability >= 0.2) or self.forms[:1]

    @property
    def defined(self) -> bool:
        """Whether D's lead has a meaning in every likely form (a WGAN critic's has none)."""
        return bool(self.forms) and all(form.family.d_half is not None for form in self.likely)

    def lead(self, d: Values) -> Values:
        """D's lead, float64 (n,): 0 at equilibrium, 1 at a perfect D."""
        least: Values = np.min([form.lead(d) for form in self.likely], axis=0)
        return least

    def debt(self, g: Values) -> Values:
        """G's debt, float64 (n,): 0 at equilibrium, growing as G starves."""
        least: Values = np.min([form.debt(g) for form in self.likely], axis=0)
        return least

    @property
    def saturates(self) -> bool:
        """Whether G's debt ends at 1, the loss of a perfect D (least squares, minimax)."""
        return bool(self.forms) and self.forms[0].family.saturates

    @property
    def best(self) -> Form:
        """The most likely form."""
        return self.forms[0]


UNKNOWN = Scale(())
# About one value that the family cannot take, in the units of `_ranges`. How rare a family is or where its
# losses started makes it unlikely, but is no contradiction.
MISFIT = 6.0


def infer(seen: Evidence) -> Scale:
    """The loss family and the form in which it was logged, from names, configuration and values."""
    weighed = []
    levels = _levels(seen)
    for form in _forms(seen):
        score = np.log(form.family.prior) + _form_prior(form, seen) + seen.said.get(form.family.name, 0.0)
        fit = _ranges(form, seen, levels) + _jensen(form, seen) + _outputs(form, seen)
        score += fit + _start(form, seen, levels)
        if seen.surely:
            score += 0.0 if form.family.name == seen.surely else -50.0
        weighed.append((float(score), fit, form))
    if not weighed:
        return UNKNOWN
    top, fit, first = max(weighed, key=lambda one: one[0])
    if fit < -MISFIT and not seen.surely and seen.said.get(first.family.name, 0.0) < 3:
        return UNKNOWN  # nothing fits: another family, or two losses that are not of one game
    odds = [(np.exp(score - top), form) for score, _, form in weighed]
    total = sum(odd for odd, _ in odds)
    forms = [
        Form(f.family, f.d_factor, f.g_factor, float(odd / total)) for odd, f in odds if odd / total > 0.005
    ]
    return Scale(tuple(sorted(forms, key=lambda form: -form.probability)), fit)


def _forms(seen: Evidence) -> list[Form]:
    counts: Sequence[int] = (seen.k,) if seen.k else (1, 2, 3, 6, 8)
    forms = {}
    for family in FAMILIES.values():
        if family.name == "began" and not seen.said.get("began") and seen.surely != "began":
            continue  # it forbids no value: only names speak for it
        halvable = family.d_half is not None
        for k in counts if family.name == "lsgan" or seen.k else (1,):
            for d_factor in (1.0, 0.5) if halvable else (1.0,):
                for g_factor in (1.0, 0.5) if halvable and np.isfinite(family.g) and k == 1 else (1.0,):
                    forms[family.name, d_factor * k, g_factor * k] = Form(family, d_factor * k, g_factor * k)
    return list(forms.values())


def _form_prior(form: Form, seen: Evidence) -> float:
    k = 1 if form.family.name != "lsgan" and not seen.k else max(1, round(form.g_factor))
    halved_d, halved_g = form.d_factor / k <= 0.5, form.g_factor / k <= 0.5
    score = (np.log(0.08) if halved_d else np.log(0.92)) if seen.halves else (np.log(0.5))
    if seen.g is not None:
        # G is rarely halved, and then hardly ever without D.
        score += np.log(0.12 if halved_d else 0.02) if halved_g else np.log(0.9)
    return float(
        score
        + (np.log(0.2 if seen.said.get(form.family.name, 0) > 2 else 0.02) if not seen.k and k > 1 else 0.0)
    )


@dataclass(frozen=True, slots=True)
class _Levels:
    """Of D's loss and G's as logged: 2%, middle and 98% of all values; middle and largest of the first three."""

    d: tuple[float, float]
    g: tuple[float, float, float]
    d_early: float
    d_top: float
    g_early: float


def _levels(seen: Evidence) -> _Levels:
    d, g = (np.empty(0) if one is None else one for one in (seen.d, seen.g))
    nothing = (math.nan, math.nan, math.nan)
    d_low, d_mid, _ = np.quantile(d, (0.02, 0.5, 0.98)).tolist() if len(d) else nothing
    low, mid, high = np.quantile(g, (0.02, 0.5, 0.98)).tolist() if len(g) else nothing
    early, g_early = (float(np.median(one[:3])) if len(one) >= 3 else math.nan for one in (d, g))
    return _Levels(
        (d_low, d_mid), (low, mid, high), early, float(d[:3].max()) if len(d) else math.nan, g_early
    )


def _ranges(form: Form, seen: Evidence, levels: _Levels) -> float:
    """Values that the family cannot take."""
    score = 0.0
    family = form.family
    if seen.d is not None and len(seen.d):
        low, mid = (one / form.d_factor for one in levels.d)
        score -= 12.0 * (low < family.d_low - RESOLUTION) + 6.0 * (mid > family.d_high)
        if family.d_half is None:  # a critic better than chance has a negative loss
            negative = family.name != "began"
            score -= 8.0 * (negative and low >= 0) + 3.0 * (negative and mid > RESOLUTION)
        if family.d_half is not None:  # for long worse than blind: not the level of this form
            score -= 4.0 * (mid > 2.7 * family.d_half) + 12.0 * (mid > 40 * family.d_half)
    if seen.g is not None and len(seen.g):
        low, mid, high = (one / form.g_factor for one in levels.g)
        score -= 12.0 * (low < family.g_low - RESOLUTION) + 8.0 * (mid > family.g_high)
        score -= 1.5 * (high > family.g_high + RESOLUTION) + 6.0 * (mid < family.g_low)
        if family.name == "minimax":  # G's loss is minus the fake half, but for a step between them
            score -= 8.0 * (high > RESOLUTION)
            if seen.d is not None:  # and the fake half is a part of D's loss
                above = -seen.g / form.g_factor > 2 * seen.d / form.d_factor + 1
                score -= 7.0 * bool(np.mean(above) > 0.2)
            if seen.fake is not None:
                off = np.median(np.abs(seen.g / form.g_factor + seen.fake / form.d_factor))
                score -= 6.0 * bool(off > 0.6 * np.median(seen.fake / form.d_factor) + 0.1)
        if family.g_low == -np.inf and family.d_half is None and seen.fake is not None:
            # A critic's too, in size at least: projects differ in the sign.
            sizes = np.abs(seen.g), np.abs(seen.fake)
            off = np.median(np.abs(sizes[0] - sizes[1]))
            score -= 6.0 * bool(off > 0.6 * max(map(np.median, sizes)) + 0.1)
        if family.name == "hinge":  # a mean of D's outputs changes its sign or its size freely
            score -= 3.0 * (low >= 0)
        if family.d_half is None and low > 0:
            score -= 0.5
    return float(score)


def _jensen(form: Form, seen: Evidence) -> float:
    """Points below the family's floor; with D's whole loss alone the test is weaker."""
    if seen.g is None or seen.d is None or form.family.floor is None or not len(seen.g):
        return 0.0
    d = seen.fake if seen.fake is not None else seen.d
    share = form.below_floor(seen.g, d, slack=0.2)
    score = -7.0 * min(1.0, share / 0.2) if share > 0.02 else 0.0
    # A small but steady shortfall speaks too, in halves of the equilibrium.
    assert form.family.d_half is not None
    short = form.family.floor(seen.g / form.g_factor) - d / form.d_factor
    lasting = float(np.median(short)) / form.family.d_half
    score -= min(6.0, 15.0 * lasting) if lasting > 0.03 else 0.0
    return score


def _start(form: Form, seen: Evidence, levels: _Levels) -> float:
    """The first losses lie near the equilibrium, for a D whose outputs start near 0.

    He-initialised networks start anywhere within a factor of two, so this only weighs.
    """
    score = 0.0
    if form.family.d_half is None or form.d_equilibrium is None:
        return -1.0 if seen.start else 0.0
    if seen.d is not None and len(seen.d) >= 3:
        early = levels.d_early / form.d_equilibrium
        if seen.start and form.family.name != "lsgan":
            score -= min(2.0, 4.0 * abs(np.log(max(early, 1e-3))) ** 2)
        # D starts blind, so its first losses are not far above the equilibrium.
        # Least squares starts with outputs near 0, which costs the reals 1: twice the equilibrium.
        above = levels.d_top / form.d_equilibrium / (2.0 if form.family.name == "lsgan" else 1.0)
        score -= 1.5 * (above > 1.35) + 1.5 * (above > 2.2)
    if seen.start and seen.g is not None and len(seen.g) >= 3 and np.isfinite(form.family.g):
        off = abs(levels.g_early - form.g_equilibrium) / (form.family.debt_unit * form.g_factor)
        score -= min(1.5, 2.0 * off**2)
    return float(score)


def _outputs(form: Form, seen: Evidence) -> float:
    """D's loss against its own mean outputs, where they are logged."""
    linear = form.family.name == "srgan-linear"
    if seen.scores is None or seen.d is None:
        return -8.0 if linear else 0.0
    real, fake = seen.scores
    if linear:  # L_D = 1 − D(x) + D(G(z)) holds to the digit in SRGAN code, and in no other
        off = np.abs(seen.d - (1 - real + fake))
        return 14.0 if np.median(off) < 0.02 and form.d_factor == 1 else -8.0
    if form.family.least_d is None or probabilities(real, fake):
        return 0.0
    share = float(np.mean(form.short_of_outputs(seen.d, real, fake) > 0.3))
    return -7.0 * min(1.0, share / 0.2) if share > 0.02 else 0.0


def probabilities(real: Values, fake: Values) -> bool:
    """Whether D's outputs were logged as probabilities, by their range."""
    low, high = min(real.min(), fake.min()), max(real.max(), fake.max())
    return bool(low >= -1e-6 and high <= 1 + 1e-6)
