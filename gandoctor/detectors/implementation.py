"""GD701: losses that their family cannot produce, gradients that add up; the code is wrong, not the game."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gandoctor.detectors import detector
from gandoctor.findings import (
    Evidence,
    Finding,
    Kind,
    NotExamined,
    Param,
    Severity,
    State,
    Stretch,
    Threshold,
)
from gandoctor.interpret import families
from gandoctor.interpret.families import FAMILIES, Form
from gandoctor.interpret.view import (
    D_GRAD,
    D_LOSS,
    D_STEP,
    D_WEIGHT,
    G_GRAD,
    G_LOSS,
    G_STEP,
    G_WEIGHT,
    SCORES,
    SPREADS,
    RunView,
    Signal,
)
from gandoctor.run import Steps, Values
from gandoctor.stats import MAD_TO_SIGMA, Mask, memory
from gandoctor.thresholds import Limits

_LEAST_WEIGHT = 1e-3  # of an adversarial term (Ledig 2017, arXiv:1609.04802)
_MOST_POINTS = 20_000  # of a longer log every nth point
# −log σ(s) at s = 1 and −log(1 − σ(s)) there, less and more what a log rounds
_SIGMOID_LEAST = float(np.log1p(np.exp(-1))) - families.RESOLUTION
_SIGMOID_MOST = float(np.log1p(np.exp(1))) + families.RESOLUTION


@detector("GD701", needs=(D_LOSS, G_LOSS), min_points=40)
def below_the_floor(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report losses that Jensen's inequality forbids for one D on the same fakes.

    For binary cross-entropy exp(−L_G) + exp(−L_D,fake) ≤ 1. Says nothing where G's loss may carry an
    unknown weight or other terms: it must be named as the adversarial part, or have started near the
    equilibrium of its family, to be held against D's. Else it may carry any weight down to a thousandth
    (SRGAN's, the least in use), and both losses must be near 0 to break the bound.
    """
    game = view.game
    if not game.alone or game.weighted:
        yield NotExamined("GD701", State.NOT_EXAMINABLE, "g-loss-mixed", "", "d-fake-loss")
        return
    fake = game.fake if len(game.fake) and len(game.real) else game.d
    steps, (g, d_fake) = view.aligned(*(view.every_nth(t, _MOST_POINTS) for t in (game.g, fake)))
    if len(steps) < 20:
        return
    known = bool(game.scale.forms)
    forms = (
        [game.scale.best]
        if known
        else [f for f in _all_forms() if f.family.floor is not None and f.family.g > 0]
    )
    if any(form.family.floor is None for form in forms):
        yield NotExamined("GD701", State.NOT_EXAMINABLE, "no-equilibrium", game.scale.name)
        return
    scaled = _on_a_scale(view, forms, g)
    if not scaled and (min(g.min(), d_fake.min()) < 0 or any(form.family.g_low < 0 for form in forms)):
        yield NotExamined("GD701", State.NOT_EXAMINABLE, "g-loss-scale-unknown", "", "d-fake-loss")
        return
    # Whatever its weight, a loss that is never negative is no larger than this.
    most = g if scaled else g / _LEAST_WEIGHT
    # Where the family is unknown, every family's bound must be broken.
    excess = np.min([_excess(form, most, d_fake) for form in forms], axis=0)
    mask = excess > limits["jensen"].value
    share = float(np.mean(mask))
    stretch = view.stretch(steps, mask, share=limits["share"].value, hold=0.7)
    if share <= limits["share"].value or stretch is None:
        if not scaled:
            yield NotExamined("GD701", State.NOT_EXAMINABLE, "g-loss-scale-unknown", "", "d-fake-loss")
        return
    both = limits["both"].value
    small = np.mean((d_fake < both * families.LOG2) & (np.abs(g) < both * families.LOG2))
    params: dict[str, Param] = {"check": "swapped-labels" if small > 0.5 else "jensen", "share": share}
    tags = (*game.g.tags, *fake.tags)
    evidence = (
        Evidence(Kind.GAME, "share of points above the bound", share, limits["share"], tags, view.window(stretch)),
        Evidence(Kind.GAME, "median excess over the bound", float(np.median(excess[mask])), limits["jensen"], tags,
                 view.window(stretch)),
    )  # fmt: skip
    lasting = stretch.end is None and stretch.share > 0.5
    severity = Severity.ERROR if lasting else Severity.WARNING
    yield Finding("GD701", severity, stretch, evidence, view.subject(), params, overwhelming=lasting)


def _all_forms() -> Iterator[Form]:
    """Every family with bounds, in every usual form."""
    for family in FAMILIES.values():
        if family.least_d is not None:
            for k in (1.0, 2.0, 3.0) if family.name == "lsgan" else (1.0,):
                yield from (Form(family, d * k, k) for d in (0.5, 1.0))


def _excess(form: Form, g: Values, d_fake: Values) -> Values:
    """How far exp(−L_D,fake) lies above what G's loss allows, float64 (n,)."""
    assert form.family.floor is not None
    with np.errstate(over="ignore"):
        above: Values = np.exp(-d_fake / form.d_factor) - np.exp(-form.family.floor(g / form.g_factor))
    return above


def _on_a_scale(view: RunView, forms: Sequence[Form], g: Values) -> bool:
    """Whether G's loss is known to be on its family's scale: by its name, or by where it began."""
    role = view.roles[view.game.g.tags[0]]
    if role.part == "adversarial" and not view.facts.get("adversarial_weight"):
        return True
    if len(forms) > 1:  # an unknown family may be on any scale
        forms = [form for form in forms if form.family.name == "non-saturating"]
    early = float(np.median(g[: max(3, len(g) // 50)]))
    return any(abs(early / form.g_equilibrium - 1) < 0.3 for form in forms if form.g_equilibrium)


@detector("GD701", needs=(D_LOSS, SCORES), min_points=40)
def outputs_contradict(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report a D loss below what D's own mean outputs allow.

    D's loss is a mean of convex functions of its outputs, so by Jensen's inequality it is at least
    those functions of the mean outputs (for a critic: exactly, but for the penalty). A loss below that
    was not made of these outputs; if it fits with reals and fakes exchanged, the labels are swapped.
    Outputs logged as probabilities stay quiet: the functions are those of raw outputs.
    """
    game = view.game
    real, fake = view.part(SCORES, "real"), view.part(SCORES, "fake")
    steps, (d, r, f) = view.aligned(game.d, real, fake)
    if not len(steps) or families.probabilities(r, f):
        return
    # Where no family fits, every family's bound must be broken.
    known = bool(game.scale.forms)
    if known and (game.scale.certainty < 0.6 or game.scale.best.family.least_d is None):
        yield NotExamined("GD701", State.NOT_EXAMINABLE, "other-family", game.scale.name)
        return
    forms = [game.scale.best] if known else list(_all_forms())
    slack = limits["contradiction"].value
    short = np.min([form.short_of_outputs(d, r, f) for form in forms], axis=0)
    mask = short > slack
    stretch = view.stretch(steps, mask, share=limits["share"].value * 2, hold=0.7)
    if stretch is None:
        return
    exchanged = np.min([form.short_of_outputs(d, f, r) for form in forms], axis=0)
    fits = float(np.mean(exchanged[mask] <= slack)) > 0.8
    tags = (*game.d.tags, *real.tags, *fake.tags)
    evidence = (
        Evidence(Kind.GAME, "share of points below the bound", float(np.mean(mask)), limits["share"], tags,
                 view.window(stretch)),
        Evidence(Kind.GAME, "median shortfall of D's loss", float(np.median(short[mask])), limits["contradiction"], tags,
                 view.window(stretch)),
    )  # fmt: skip
    params: dict[str, Param] = {
        "check": "swapped-labels" if fits else "jensen",
        "share": float(np.mean(mask)),
    }
    lasting = stretch.end is None
    severity = Severity.ERROR if lasting else Severity.WARNING
    yield Finding("GD701", severity, stretch, evidence, view.subject("D"), params, overwhelming=lasting)


@detector("GD701", needs=(G_LOSS, SCORES), min_points=40)
def g_against_its_outputs(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report a G loss that is the mean output on fakes with the wrong sign.

    A critic's G loss is minus that mean, and so is the hinge loss's: exactly, up to the step between two
    logged values. Means near 0 tell nothing: quiet.
    """
    game = view.game
    if game.scale.forms and game.scale.certainty >= 0.6 and game.scale.best.family.least_g is None:
        yield NotExamined("GD701", State.NOT_EXAMINABLE, "other-family", game.scale.name)
        return
    fake = view.part(SCORES, "fake")
    steps, (g, f) = view.aligned(game.g, fake)
    real = view.part(SCORES, "real")
    if not len(steps) or (len(real) and families.probabilities(real.values, fake.values)):
        return
    size = np.maximum(np.abs(f), 1.0)
    slack = limits["contradiction"].value
    flipped = (np.abs(g - f) < slack * size) & (np.abs(g + f) > 2 * slack * size)
    for form in game.scale.likely or _all_forms():
        if form.family.least_g is not None and np.isfinite(form.family.g_low):
            # A bent loss takes that value by right (least squares near 0.38): it must lie below its bound.
            flipped &= g / form.g_factor < form.family.least_g(f) - slack * size
    stretch = view.stretch(steps, flipped, share=0.5, hold=0.7)
    if stretch is None:
        return
    share = float(np.mean(flipped))
    tags = (*game.g.tags, *fake.tags)
    evidence = Evidence(Kind.GAME, "share of points with G's loss at plus the mean output on fakes", share,
                        limits["share"], tags, view.window(stretch))  # fmt: skip
    params: dict[str, Param] = {"check": "sign", "share": share}
    lasting = stretch.end is None
    severity = Severity.ERROR if lasting else Severity.WARNING
    yield Finding("GD701", severity, stretch, (evidence,), view.subject("G"), params, overwhelming=lasting)


@detector("GD701", needs=(G_LOSS, SCORES, SPREADS), min_points=40)
def g_below_every_family(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report a G loss further below 0 than any family's can lie for such outputs of D: its sign is wrong.

    Minimax has −E softplus(C), hinge and critics −E C; both are at least −(E|C| + log 2), and E|C| is at most
    |mean| + standard deviation. A weight on the loss may multiply that; a loss of least squares with the wrong
    sign goes with the square. Means of probabilities say nothing of the outputs behind them: quiet.
    """
    game = view.game
    fake, real = view.part(SCORES, "fake"), view.part(SCORES, "real")
    steps, (g, f, spread) = view.aligned(game.g, fake, view.part(SPREADS, "fake"))
    if not game.alone or not len(steps) or (len(real) and families.probabilities(real.values, fake.values)):
        return
    ratio = -g / (np.abs(f) + spread + families.LOG2)
    bound, share = limits["below"], limits["share"]
    stretch = view.stretch(steps, ratio >= bound.value, share=share.value, hold=0.7)
    if stretch is None:
        return
    value = float(np.median(ratio[view.inside(stretch, steps)]))
    evidence = Evidence(Kind.GAME, "minus G's loss / the size of D's outputs on fakes", value, bound,
                        (*game.g.tags, *fake.tags), view.window(stretch))  # fmt: skip
    params: dict[str, Param] = {"check": "sign", "share": stretch.share}
    lasting = stretch.end is None
    severity = Severity.ERROR if lasting else Severity.WARNING
    yield Finding("GD701", severity, stretch, (evidence,), view.subject("G"), params, overwhelming=lasting)


@detector("GD701", needs=(D_LOSS, G_LOSS), min_points=40)
def negative_cross_entropy(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report a G loss that sinks far below what D's loss allows: its sign is wrong.

    The saturating loss is negative too, but it is minus D's fake half, and D's loss grows with it; so does
    hinge's. A critic's outputs drift freely: its G loss counts only if it started at −0.69, as no critic's
    does, or if D's loss is never negative and ends near 0, which in a critic would be chance and no drift.
    """
    game = view.game
    steps, (d, g) = view.aligned(game.d, game.g)
    if not game.alone or len(g) < 20:
        return
    early = float(np.median(g[: max(3, len(g) // 50)]))
    d_early = float(np.median(d[: max(3, len(d) // 50)]))
    started = abs(early + families.LOG2) <= 0.3 and d_early >= 0.3
    won = d.min() >= 0 and float(np.median(d)) <= limits["won"].value
    if not (started or won):
        yield NotExamined("GD701", State.NOT_EXAMINABLE, "other-family", game.scale.name)
        return
    mask = -g > 3 * np.abs(d) + 2
    stretch = view.stretch(steps, mask, share=limits["share"].value, hold=0.7)
    if stretch is None:
        return
    share = float(np.mean(mask))
    evidence = Evidence(Kind.GAME, "share of points with G's loss far below minus D's", share, limits["share"],
                        (*game.d.tags, *game.g.tags), view.window(stretch))  # fmt: skip
    params: dict[str, Param] = {"check": "sign", "share": share}
    lasting = stretch.end is None
    severity = Severity.ERROR if lasting else Severity.WARNING
    yield Finding("GD701", severity, stretch, (evidence,), view.subject("G"), params, overwhelming=lasting)


@detector("GD701", needs=(D_LOSS, G_LOSS), min_points=100)
def double_sigmoid(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report cross-entropy losses that never leave what a sigmoid before the loss allows.

    With s = σ(x) in (0, 1), −log σ(s) lies in (0.313, 0.693) and −log(1 − σ(s)) in (0.693, 1.313): D's loss
    on fakes is never below log 2; its loss on reals is never above, nor is G's. Without the extra sigmoid all
    three cross log 2: at equilibrium by the noise of batches, else as soon as D leads. Only a D that stands
    still may keep them apart, by chance: these must drift. Where D's halves are not logged, a G that stays
    ahead could do the same: then the losses must also have begun at 0.474 and 1.448, those of σ(σ(0)).
    """
    game = view.game
    form = game.scale.best if game.scale.forms else None
    halves = bool(len(game.real) and len(game.fake))
    # Raw outputs beside such losses contradict every family: then the values alone say which it is.
    bent = halves and bool(len(game.g)) and float(game.g.values.min()) > _SIGMOID_LEAST
    name = form.family.name if form is not None else "non-saturating" if bent else ""
    known = name == "non-saturating" or (name == "minimax" and halves)  # whose G loss is minus D's on fakes
    if not known or not game.alone or (form is not None and form.d_factor != 1.0):
        yield NotExamined("GD701", State.NOT_EXAMINABLE, "other-family", game.scale.name)
        return
    d, g, real, fake = (track.values for track in (game.d, game.g, game.real, game.fake))
    highest, lowest = limits["sigmoid_high"], limits["sigmoid_low"]
    measured = []
    if name == "non-saturating":
        measured.append(("largest L_G", float(g.max()), highest, game.g.tags))
    if halves:
        moves = memory(view.every_nth(game.fake, _MOST_POINTS).values) >= limits["sigmoid_drift"].value
        possible = moves and real.min() > _SIGMOID_LEAST and fake.max() < _SIGMOID_MOST
        measured.append(("largest loss of D on reals", float(real.max()), highest, game.real.tags))
        measured.append(("least loss of D on fakes", float(fake.min()), lowest, game.fake.tags))
    else:
        early = slice(0, max(3, len(g) // 100))
        possible = (
            abs(float(np.median(g[early])) - 0.474) < 0.06 and abs(float(np.median(d[early])) - 1.448) < 0.08
        )
        measured.append(("least L_D", float(d.min()), limits["sigmoid_d"], game.d.tags))
    kept = all(x <= bound.value if bound is highest else x >= bound.value for _, x, bound, _ in measured)
    if not possible or not kept:
        return
    stretch = _whole(game.d.steps)
    window = view.window(stretch)
    evidence = tuple(Evidence(Kind.GAME, what, x, bound, tags, window) for what, x, bound, tags in measured)
    params: dict[str, Param] = {"check": "double-sigmoid", "share": 1.0}
    yield Finding("GD701", Severity.WARNING, stretch, evidence, view.subject(), params)


@detector("GD701", needs=(D_LOSS,), min_points=40)
def out_of_range(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report a D loss below 0 where the configuration or the user names a family that has no such values."""
    named = view.family_given or _named(view)
    family = FAMILIES.get(named)
    if family is None or family.d_low < 0:
        reason = "family-not-named" if family is None else "other-family"
        yield NotExamined("GD701", State.NOT_EXAMINABLE, reason, named)
        return
    d = view.game.d
    mask: Mask = d.values < family.d_low - families.RESOLUTION
    share = float(np.mean(mask))
    bound: Threshold = limits["negative"]
    if share <= bound.value:
        return
    stretch = view.stretch(d.steps, mask, share=bound.value) or _whole(d.steps)
    evidence = Evidence(
        Kind.GAME, f"share of points below 0, for {named}", share, bound, d.tags, view.window(stretch)
    )
    params: dict[str, Param] = {"check": "range", "share": share}
    yield Finding("GD701", Severity.ERROR, stretch, (evidence,), view.subject("D"), params, overwhelming=True)


@detector("GD701", needs=(G_GRAD, G_STEP, G_WEIGHT), min_points=40)
def g_gradients_add_up(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report gradients of G that were never set to zero, so that each is the sum of all so far.

    The norm of a sum of n gradients is at least √n times that of one (more if they agree), from the first
    steps on, and hardly jitters, since each batch adds only a 1/n-th to it. The steps then hardly jitter
    either, and the weights go far. The gradients of one batch, by contrast, scatter from point to point;
    those that really explode grow late, or with the jitter of their batches. Averages over many batches
    jitter as little: they stay quiet unless they grow as fast and the weights with them.
    """
    yield from _adding_up(view, limits, "G", (G_GRAD, G_STEP, G_WEIGHT))


@detector("GD701", needs=(D_GRAD, D_STEP, D_WEIGHT), min_points=40)
def d_gradients_add_up(view: RunView, limits: Limits) -> Iterator[Finding]:
    """The same for D."""
    yield from _adding_up(view, limits, "D", (D_GRAD, D_STEP, D_WEIGHT))


def _adding_up(
    view: RunView, limits: Limits, network: str, signals: tuple[Signal, Signal, Signal]
) -> Iterator[Finding]:
    grads, moves, sizes = (view.get(signal) for signal in signals)
    if any(view.roles[view.get(one).tags[0]].layer and len(view.all(one)) > 1 for one in signals):
        return  # norms of layers alone: those of different layers do not belong together
    steps, (gradient, step, weight) = view.aligned(grads, moves, sizes)
    if len(steps) < 40 or min(gradient.min(), step.min(), weight.min()) <= 0:
        return
    early = slice(2, len(steps) // 4)  # later the terms may vanish: then the sum stands
    root = np.sqrt(np.arange(1, len(steps) + 1))
    summed = float(np.mean(gradient[early] >= gradient[0] * root[early]))
    grown = float(np.median(weight[-3:]) / weight[0])
    jitter, unsteady = _jitter(gradient), _jitter(step)
    if summed < limits["summed"].value or grown < limits["grown"].value:
        return
    if jitter > limits["smooth"].value or unsteady > limits["steady"].value:
        return
    stretch = _whole(steps)
    window = view.window(stretch)
    evidence = (
        Evidence(Kind.GRADIENTS, f"share of the first quarter with {network}'s gradient norm above √n x the first",
                 summed, limits["summed"], grads.tags, window),
        Evidence(Kind.GRADIENTS, f"jitter of {network}'s gradient norm from point to point", jitter,
                 limits["smooth"], grads.tags, window),
        Evidence(Kind.WEIGHTS, f"jitter of {network}'s step norm from point to point", unsteady, limits["steady"],
                 moves.tags, window),
        Evidence(Kind.WEIGHTS, f"weight norm of {network} at the end / at the start", grown, limits["grown"],
                 sizes.tags, window),
    )  # fmt: skip
    params: dict[str, Param] = {"check": "summed-gradients"}
    yield Finding("GD701", Severity.ERROR, stretch, evidence, view.subject(network), params)


def _jitter(values: Values) -> float:
    """The relative noise from point to point of positive values: the standard deviation of white noise in
    their logarithm that has the same median second difference. A trend does not count.
    """
    bend = np.abs(np.diff(np.log(values), 2))
    return float(np.median(bend)) * MAD_TO_SIGMA / 6**0.5


def _named(view: RunView) -> str:
    fact = view.facts.get("family")
    return str(fact.value) if fact is not None else ""


def _whole(steps: Steps) -> Stretch:
    return Stretch(int(steps[0]), (int(steps[0]), int(steps[0])))
