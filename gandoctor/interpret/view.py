"""RunView: one pair of networks of a run, with its series by meaning instead of by tag."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from gandoctor.contents.histograms import Distributions
from gandoctor.findings import Stretch, Subject
from gandoctor.interpret import families
from gandoctor.interpret.by_layer import ByLayer, Quantity, by_layer
from gandoctor.interpret.configuration import FactValue, facts_of, ratio_of
from gandoctor.interpret.embedding import Embedding
from gandoctor.interpret.families import RESOLUTION, Scale
from gandoctor.interpret.frames import Frame, Frames, Held, Shows, Stream, frames_of
from gandoctor.interpret.frames import Opened as OpenedGrids
from gandoctor.interpret.layers import Layers, WithNorms
from gandoctor.interpret.roles import METRICS, Role, named, resolve
from gandoctor.interpret.saved import saved_facts
from gandoctor.interpret.snapshots import Opened, Snapshots
from gandoctor.run import LogProblem, Run, Series, Steps, Unit, Values
from gandoctor.stats import Mask, block_medians, holding

WARM_UP = 0.1  # of the steps: early on D wins for a while in every game
_ENOUGH = 4_000
# Beyond what float32 can hold: cut off, so that no sum, square or ratio of such numbers overflows.
_HUGE, _TINY = 1e100, 1e-150
BLOCKS = 200  # block medians to which long series are thinned


@dataclass(frozen=True, slots=True)
class Signal:
    """Something that a detector may need, by the role of its series.

    name: its slug in coverage and `log_next`. worth: how much logging it would tell (for `log_next`).
    source: the view's attribute that holds it, where it is no series; its length counts as points.
    """

    name: str
    network: str
    quantity: str
    parts: tuple[str, ...] = ()
    worth: int = 0
    source: str = "series"


D_LOSS = Signal("d-loss", "D", "loss", ("total", "real", "fake"), 90)
G_LOSS = Signal("g-loss", "G", "loss", ("adversarial", "total"), 89)
SCORES = Signal("d-outputs", "D", "score", ("real", "fake"), 80)
SPREADS = Signal("d-output-spreads", "D", "score_std", ("real", "fake"), 79)
PAIR_ACCURACY = Signal("pair-accuracy", "D", "pair_accuracy", (), 60)
ACCURACY = Signal("d-accuracy", "D", "accuracy", (), 40)
SIGNS = Signal("d-signs", "D", "sign_rate", ("real",), 50)
G_GRAD = Signal("g-grad-norm", "G", "grad_norm", (), 70)
D_GRAD = Signal("d-grad-norm", "D", "grad_norm", (), 69)
G_WEIGHT = Signal("g-weight-norm", "G", "weight_norm", (), 45)
D_WEIGHT = Signal("d-weight-norm", "D", "weight_norm", (), 44)
G_WEIGHT_HISTOGRAMS = Signal("g-weight-histograms", "G", "weight_norm", (), 16, "g_weight_histograms")
D_WEIGHT_HISTOGRAMS = Signal("d-weight-histograms", "D", "weight_norm", (), 15, "d_weight_histograms")
G_STEP = Signal("g-step-norm", "G", "step_norm", (), 56)
D_STEP = Signal("d-step-norm", "D", "step_norm", (), 55)
PENALTY = Signal("penalty", "D", "penalty", (), 30)
G_LR = Signal("lr", "G", "lr", (), 20)
D_LR = Signal("lr", "D", "lr", (), 20)
SAMPLE_STD = Signal("sample-std", "-", "sample_std", ("fake", "real"), 76)
DIVERSITY = Signal("diversity", "-", "diversity", (), 75)
QUALITY = Signal("quality-metric", "-", "metric", (), 85)
AUGMENT_P = Signal("augment-p", "-", "augment_p", (), 10)
LOSS_SCALE = Signal("loss-scale", "-", "loss_scale", (), 10)
SNAPSHOTS = Signal("checkpoints", "*", "snapshots", worth=65, source="snapshots")
ANY = Signal("any-series", "*", "*", (), 1)
FRAMES = Signal("sample-grids", "*", "samples", (), 88, source="frames")
FIXED_GRIDS = Signal("fixed-noise-grids", "*", "samples", (), 74, source="fixed")
STRIPS = Signal("interpolation-grids", "*", "samples", (), 35, source="strips")
REAL_GRIDS = Signal("real-grids", "*", "samples", (), 73, source="reals")
PROBE = Signal("probe", "G", "probed", (), 5)


@dataclass(frozen=True, slots=True)
class Track:
    """A signal as one column: steps int64 (n,), values float64 (n,) finite, and the tags it is made of."""

    steps: Steps
    values: Values
    tags: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.steps)


EMPTY = Track(np.empty(0, np.int64), np.empty(0), ())


def _shared(role: Role) -> bool:
    """Whether a series without a network is of both: a lone learning rate."""
    return role.quantity == "lr" and role.network == "-"


@dataclass(frozen=True)
class RunView:
    """One pair of networks: what its series mean, and on which scale its losses are read.

    pair: "" where the run has one. series, roles: by tag, of this pair and of the run as a whole; norms that
    the log has as histograms only are among them (`interpret/layers.py`).
    facts: what the configuration says, by the names of `interpret/facts.py`.
    opened: the run's checkpoint files, shared by its views. pictured: whether the run's samples are this pair's
    to judge. horizon: the step at which the view ends, if cut.
    """

    run: Run
    pair: str
    series: Mapping[str, Series]
    roles: Mapping[str, Role]
    facts: Mapping[str, FactValue]
    family_given: str = ""
    opened: Opened | None = field(default=None, compare=False)
    layers: Layers = field(default_factory=lambda: Layers(Run(Path(), "")))
    pictured: bool = True
    horizon: int | None = None
    _cache: dict[Signal, Track] = field(default_factory=dict)
    _blocks: dict[tuple[int, int], tuple[Track, Track]] = field(default_factory=dict)
    _opened: OpenedGrids = field(default_factory=OpenedGrids)
    _by_layer: dict[tuple[str, Quantity], ByLayer | None] = field(default_factory=dict)

    # -- signals ------------------------------------------------------------------------------

    def has(self, signal: Signal) -> bool:
        """Whether the run holds the signal at all."""
        return self.points(signal) > 0

    def points(self, signal: Signal) -> int:
        """How many points the signal has."""
        if signal.source != "series":
            return len(getattr(self, signal.source))
        if signal is ANY:
            return max((len(one) for one in self.series.values()), default=0)
        if signal.parts and set(signal.parts) <= {"real", "fake"} and signal is not SIGNS:
            return min(len(self.part(signal, side)) for side in signal.parts)
        return len(self.get(signal))

    def get(self, signal: Signal) -> Track:
        """The signal as one column of finite values; empty where it is not logged."""
        if signal not in self._cache:
            if signal is D_LOSS:
                track = self.game.d
            elif signal is G_LOSS:
                track = self.game.g
            else:
                track = next(iter(self.all(signal)), EMPTY)
            self._cache[signal] = track
        return self._cache[signal]

    def all(self, signal: Signal) -> list[Track]:
        """Every series of the signal, one a tag (layers, metrics): whole networks, then layers as the log has
        them, first to last.
        """
        mine = [
            tag
            for tag, role in self._by_quantity.get(signal.quantity, ())
            if (role.network == signal.network or signal.network == "*" or _shared(role))
            and (not signal.parts or role.part in signal.parts)
        ]
        mine.sort(key=lambda tag: (bool(self.roles[tag].layer), _shared(self.roles[tag]),
                                   self.roles[tag].pair != self.pair,
                                   "" if self.roles[tag].layer else tag))  # fmt: skip
        return [self.track(tag) for tag in mine]

    @cached_property
    def _by_quantity(self) -> dict[str, list[tuple[str, Role]]]:
        found: dict[str, list[tuple[str, Role]]] = {}
        for tag, role in self.roles.items():
            found.setdefault(role.quantity, []).append((tag, role))
        return found

    def part(self, signal: Signal, part: str) -> Track:
        """One side of a signal, e.g. D's mean output on fakes."""
        return next((track for track in self.all(signal) if self.roles[track.tags[0]].part == part), EMPTY)

    def track(self, tag: str) -> Track:
        """The finite points of one tag, cut to sizes that can be reckoned with."""
        one = self.series[tag]
        steps, values = one.steps, one.values
        good = np.isfinite(values)
        if not good.all():
            steps, values = steps[good], values[good]
        size = np.abs(values)
        if ((size > _HUGE) | ((size < _TINY) & (size > 0))).any():
            values = np.where(size < _TINY, 0.0, np.clip(values, -_HUGE, _HUGE))
        return Track(steps, values, (tag,))

    # -- the game -----------------------------------------------------------------------------

    @cached_property
    def game(self) -> Game:
        """The adversarial losses of the pair and the scale on which to read them."""
        return _game(self)

    @property
    def family(self) -> Scale:
        """The scale of the pair's losses: family, lead, debt."""
        return self.game.scale

    @cached_property
    def content(self) -> tuple[Track, ...]:
        """Losses that carry G besides the adversarial one (L1, cycle, mel), as they were logged."""
        found = (self.track(tag) for tag, role in self.roles.items()
                 if role.quantity == "loss" and role.part == "auxiliary" and role.network == "G")  # fmt: skip
        return tuple(t for t in found if len(t) and np.median(np.abs(t.values)) > RESOLUTION)

    @cached_property
    def g_weight_histograms(self) -> list[Distributions]:
        """The histograms of G's weights, one a tensor."""
        return [one for one in self.layers.of("G", "weight_norm", self.pair) if len(one)]

    @cached_property
    def d_weight_histograms(self) -> list[Distributions]:
        """The histograms of D's weights, one a tensor."""
        return [one for one in self.layers.of("D", "weight_norm", self.pair) if len(one)]

    @cached_property
    def conditional(self) -> bool:
        """Whether a content loss carries G, so that a dead game is not yet a dead run."""
        said = self.facts.get("conditional")
        return (
            bool(said.value)
            if said is not None
            else bool(self.content) or self.metric_kind("psnr") is not None
        )

    def metric_kind(self, name: str) -> Track | None:
        """The first series of one quality metric ("psnr"), if it is logged."""
        return next((t for t in self.all(QUALITY) if self.roles[t.tags[0]].part == name and len(t)), None)

    def better_when_higher(self, tag: str) -> bool:
        """Whether more is better for the metric that a tag holds."""
        return METRICS.get(self.roles[tag].part, False)

    # -- samples ------------------------------------------------------------------------------

    @cached_property
    def frames(self) -> Frames:
        """The sample grids of the run, none of them opened before a detector asks."""
        if not self.pictured:
            return Frames()
        ends = [(int(s.steps[0]), int(s.steps[-1])) for s in self.run.series.values() if len(s)]
        found = frames_of(
            self.run.images,
            (min(a for a, _ in ends), max(b for _, b in ends)) if ends else None,
            bool(self.series) and self.unit is Unit.EPOCH,
            self.conditional,
            self._opened,
        )
        return found if self.horizon is None else found.until(self.horizon)

    @cached_property
    def fixed(self) -> tuple[Frame, ...]:
        """The frames of the longest stream whose noise is fixed, by its name or by what it shows."""
        stream = self.fixed_stream
        return stream.frames if stream is not None else ()

    @cached_property
    def fixed_stream(self) -> Stream | None:
        """The longest stream of fixed noise."""
        return next((s for s in self.frames.of(Shows.FIXED, Shows.NOISE) if s.fixed), None)

    @property
    def strips(self) -> tuple[Frame, ...]:
        """The frames that show interpolations."""
        return tuple(frame for stream in self.frames.of(Shows.INTERPOLATION) for frame in stream.frames)

    @property
    def reals(self) -> tuple[Frame, ...]:
        """The frames that show reals."""
        return tuple(frame for stream in self.frames.of(Shows.REAL) for frame in stream.frames)

    def since(self, held: Held) -> Stretch:
        """The steps over which something holds that was seen in frames.

        It began after the last frame without it: with the first one that has it, or where every frame has it,
        with the run, for all that can be seen. Where the frames end early, it ends with them.
        """
        first, last = self.span
        seen = min(max(held.first.step, first), last)
        before = first if held.before is None else min(max(held.before.step, first), seen)
        onset = first if held.before is None else seen
        end = min(max(held.last.step, seen), last)
        stops = end < first + 0.8 * (last - first)
        share = (last - onset) / max(1, last - first)
        return Stretch(onset, (before, seen), end if stops else None, share)

    def forget_samples(self) -> None:
        """Give back the memory of the samples that were looked at."""
        self._opened.forget()

    @property
    def sample_problems(self) -> Sequence[LogProblem]:
        """What went wrong with the pictures that were opened so far."""
        return tuple(self._opened.problems)

    # -- windows ------------------------------------------------------------------------------

    @cached_property
    def span(self) -> tuple[int, int]:
        """First and last step of the run, over all series; from 0 to its last snapshot where it has no series."""
        ends = [(int(s.steps[0]), int(s.steps[-1])) for s in self.series.values() if len(s)]
        if not ends and self.run.checkpoints:
            ends += [(0, one.step) for one in self.snapshots]
        if not ends:  # samples alone
            ends = [(one.step, one.step) for one in self.run.images if one.step is not None]
        return (min(a for a, _ in ends), max(b for _, b in ends)) if ends else (0, 0)

    @cached_property
    def snapshots(self) -> Snapshots:
        """The run's checkpoints in order; opened and measured at the first look inside."""
        return Snapshots(self.opened or Opened.of(self.run), self.pair, self.horizon)

    def by_layer(self, network: str, quantity: Quantity) -> ByLayer | None:
        """A quantity of "G" or "D" layer by layer over the run, from logged norms, else histograms, else
        checkpoints: "gradient", "weight" or "update" (step / weight). None where fewer than two layers are known.
        """
        key = network, quantity
        if key not in self._by_layer:
            self._by_layer[key] = by_layer(self, network, quantity)
        return self._by_layer[key]

    def extent(self, steps: Steps) -> tuple[int, int]:
        """First and last step between which the steps of a series are early or late: the run's, or their own
        where they cover less than half of it (losses counted in epochs beside norms counted in iterations, a
        discriminator that starts late).
        """
        first, last = self.span
        if len(steps) and 2 * int(steps[-1] - steps[0]) < last - first:
            return int(steps[0]), int(steps[-1])
        return first, last

    @property
    def unit(self) -> Unit:
        """The unit of the steps of the pair's losses, or of the first series."""
        tags = self.game.d.tags or self.game.g.tags or tuple(self.series)[:1]
        return self.series[tags[0]].unit if tags else Unit.ITERATION

    def after_warm_up(self, steps: Steps) -> Mask:
        """Which of a series' steps lie after the warm-up."""
        first, last = self.extent(steps)
        return steps >= first + WARM_UP * (last - first)

    def every_nth(self, track: Track, most: int) -> Track:
        """A track with every nth point, at most `most`: as a sparser log would have it."""
        every = -(-len(track) // most)
        return track if every <= 1 else Track(track.steps[::every], track.values[::every], track.tags)

    def blocks(self, track: Track, blocks: int = BLOCKS) -> Track:
        """A track thinned to at most `blocks` block medians."""
        if len(track) <= blocks:
            return track
        key = (id(track.values), blocks)
        if key not in self._blocks:
            steps, values = block_medians(track.steps, track.values, blocks)
            thinned = Track(steps.astype(np.int64), values, track.tags)
            self._blocks[key] = (track, thinned)  # with the track, so that its id is not given again
        return self._blocks[key][1]

    def aligned(self, *tracks: Track) -> tuple[Steps, list[Values]]:
        """Several tracks at common steps: where they share too few, at the sparsest one's steps, each
        with its last value before. None is carried on past its end by more than its own interval.
        """
        steps = tracks[0].steps
        if all(np.array_equal(steps, track.steps) for track in tracks[1:]):
            return steps, [track.values for track in tracks]
        for track in tracks[1:]:
            if not np.array_equal(steps, track.steps):
                steps = np.intersect1d(steps, track.steps, assume_unique=True)
        shortest = min(tracks, key=len)
        if len(steps) < 0.5 * len(shortest):
            start = max(int(track.steps[0]) for track in tracks)
            end = min(int(track.steps[-1]) + _interval(track.steps) for track in tracks)
            steps = shortest.steps[(shortest.steps >= start) & (shortest.steps <= end)]
        return steps, [
            track.values[np.clip(np.searchsorted(track.steps, steps, side="right") - 1, 0, None)]
            for track in tracks
        ]

    def stretch(
        self, steps: Steps, mask: Mask, *, share: float, hold: float = 0.8, window: float = 0.05
    ) -> Stretch | None:
        """The first stretch after warm-up in which a condition holds over `share` of the points there.

        steps: int64 (n,), mask: bool (n,). window: in shares of the points, at least 5 of them. One
        that reaches the last window has no end.
        """
        late = self.after_warm_up(steps)
        total = int(np.count_nonzero(late))
        if total == 0 or np.count_nonzero(mask & late) < share * total:
            return None
        size = max(5, round(window * len(steps)))
        for span in holding(mask, window=size, hold=hold):
            inside = int(
                np.count_nonzero(mask[span.first : span.last + 1] & late[span.first : span.last + 1])
            )
            if inside < share * total:
                continue
            before = max(span.first - 1, 0)
            after = min(span.first + size, span.last)
            to_end = span.last >= len(steps) - size - 1
            return Stretch(
                onset=int(steps[span.first]),
                onset_interval=(int(steps[before]), int(steps[after])),
                end=None if to_end else int(steps[span.last]),
                share=inside / total,
            )
        return None

    def until(self, step: int) -> RunView:
        """The same pair as it stood at a step."""
        cut = {tag: one.take(one.steps <= step) for tag, one in self.series.items()}
        layers = self.layers.until(step)
        return replace(self, series=cut, layers=layers, horizon=step, _cache={}, _blocks={}, _by_layer={})

    def window(self, stretch: Stretch) -> tuple[int, int]:
        """First and last step of a stretch; to the run's last step where it has no end."""
        return stretch.onset, self.span[1] if stretch.end is None else stretch.end

    def inside(self, stretch: Stretch, steps: Steps) -> Mask:
        """Which steps lie in a stretch."""
        first, last = self.window(stretch)
        return (steps >= first) & (steps <= last)

    def subject(self, network: str = "", layer: str = "", tag: str = "") -> Subject:
        """A finding's subject within this pair."""
        return Subject(self.pair, network, layer, tag)


def _interval(steps: Steps) -> int:
    """The usual number of steps from one point to the next."""
    return int(np.median(np.diff(steps))) if len(steps) > 1 else 0


@dataclass(frozen=True, slots=True)
class Game:
    """The adversarial losses of a pair.

    d: D's loss; where only its halves are logged, their sum. real, fake: the halves (empty if not
    logged). g: G's adversarial loss. alone: whether `g` holds nothing but the adversarial term.
    started: D's first step with a loss that is not exactly 0; None if D never ran.
    strays: other G losses of this pair that do not fit D's.
    """

    d: Track
    g: Track
    real: Track
    fake: Track
    scale: Scale
    alone: bool
    weighted: bool
    started: int | None
    strays: tuple[Track, ...] = ()


def _game(view: RunView) -> Game:
    total, real, fake = _d_losses(view)
    d, halves = total, False
    if len(real) and len(fake):
        steps, (r, f) = view.aligned(real, fake)
        d, halves = Track(steps, r + f, (*real.tags, *fake.tags)), True
    elif not len(d):
        d = real if len(real) else fake
    started = _started(d)
    if started is not None:
        live = d.steps >= started
        d = Track(d.steps[live], d.values[live], d.tags)
    fits = []
    for g in _g_losses(view) or [EMPTY]:
        if started is not None and len(g):
            g = Track(g.steps[g.steps >= started], g.values[g.steps >= started], g.tags)
        seen = _evidence(view, d, g, fake, halves)
        scale = families.infer(seen)
        d_fake = seen.fake if seen.fake is not None else seen.d
        bad = 1.0
        if scale.forms and seen.g is not None and d_fake is not None:
            bad = scale.best.below_floor(seen.g, d_fake, 0.2)
        fits.append((scale is families.UNKNOWN, bad > 0.2, g, scale))
    fits.sort(key=lambda fit: (*fit[:2], -fit[3].fit))
    _, _, g, scale = fits[0]
    alone = _alone(view, g)
    if scale.name == "srgan-linear":  # its G loss is the content loss with a thousandth of the adversary
        alone = bool(g.tags) and view.roles[g.tags[0]].part == "adversarial"
    weighted = any(re.search(r"\bl_g_gan\b", tag) for tag in g.tags)
    return Game(d, g, real, fake, scale, alone, weighted, started, tuple(fit[2] for fit in fits[1:]))


def _alone(view: RunView, g: Track) -> bool:
    """Whether a G loss holds the adversarial term only: by its name, or because it is smaller than the
    sum of the other terms that are logged beside it, which a total could not be.
    """
    if not g.tags:
        return False
    if view.roles[g.tags[0]].part == "adversarial" or not view.content:
        return True
    others = sum(float(np.median(track.values)) for track in view.content)
    return bool(len(g)) and float(np.median(g.values)) < 0.9 * others


def _d_losses(view: RunView) -> tuple[Track, Track, Track]:
    """D's total loss and its real and fake halves, in one row a network (sub-discriminators summed)."""
    found = {}
    for part in ("total", "real", "fake"):
        tracks = [t for t in view.all(D_LOSS) if view.roles[t.tags[0]].part == part and len(t)]
        own = [t for t in tracks if view.roles[t.tags[0]].pair == view.pair] or tracks
        layered = [t for t in own if view.roles[t.tags[0]].layer]
        if layered and len(layered) == len(own):
            steps, values = view.aligned(*layered)
            found[part] = Track(steps, np.sum(values, axis=0), tuple(t.tags[0] for t in layered))
        else:
            own.sort(key=lambda t: -view.roles[t.tags[0]].certainty)
            found[part] = own[0] if own else EMPTY
    total, real, fake = found["total"], found["real"], found["fake"]
    if (
        len(real)
        and len(real) == len(fake)
        and np.array_equal(real.values, fake.values)
        and np.ptp(real.values)
    ):
        # One number logged under both names is D's whole loss, not two halves.
        return (total if len(total) else real), EMPTY, EMPTY
    return total, real, fake


def _g_losses(view: RunView) -> list[Track]:
    """Candidates for G's adversarial loss, the likeliest first."""
    tracks = [t for t in view.all(G_LOSS) if len(t)]
    own = [t for t in tracks if view.roles[t.tags[0]].pair == view.pair] or tracks
    adversarial = [t for t in own if view.roles[t.tags[0]].part == "adversarial"]
    layered = [t for t in adversarial if view.roles[t.tags[0]].layer]
    if len(layered) > 1:
        steps, values = view.aligned(*layered)
        return [Track(steps, np.sum(values, axis=0), tuple(t.tags[0] for t in layered))]
    chosen = adversarial or own
    return sorted(chosen, key=lambda t: (-view.roles[t.tags[0]].certainty, len(t.tags[0]), t.tags[0]))


def _started(d: Track) -> int | None:
    """D's first step with a loss that is not exactly 0 (VQGAN's disc_start); None if it never ran."""
    live = np.flatnonzero(d.values != 0)
    return int(d.steps[live[0]]) if len(live) else None


def _evidence(view: RunView, d: Track, g: Track, fake: Track, halves: bool) -> families.Evidence:
    d_values: Values | None = None
    g_values: Values | None = None
    fake_values: Values | None = None
    scores: tuple[Values, Values] | None = None
    judged = _alone(view, g) and not any("l_g_gan" in tag for tag in g.tags)
    real_score, fake_score = view.part(SCORES, "real"), view.part(SCORES, "fake")
    if len(d) and judged and len(g):
        tracks = [d, g] + ([fake] if halves and len(fake) else [])
        _, values = view.aligned(*tracks)
        d_values, g_values = values[0], values[1]
        fake_values = values[2] if len(tracks) == 3 else None
    elif len(d):
        d_values = d.values
    elif len(g) and judged:
        g_values = g.values
    if len(d) and len(real_score) and len(fake_score):
        _, (d_scored, r, f) = view.aligned(d, real_score, fake_score)
        if d_values is not None and 0 < len(d_scored) == len(d_values):
            scores = (r, f)
    third = int(d.steps[2]) if len(d) > 2 else 1_000
    start = bool(third <= 60 and len(d) and view.series[d.tags[0]].unit is Unit.ITERATION)
    said, surely = _said(view)
    k = view.facts.get("n_subdiscriminators")
    # A loss that was summed over sub-discriminators here has a tag for each of them.
    summed = max(len(g.tags), len(fake.tags), 1 if halves else len(d.tags))
    count = summed if summed > 1 else k.value if k is not None and isinstance(k.value, int) else 0
    # Quantiles and shares need no more than a few thousand points: every nth, so that they stay aligned.
    every = max(1, max((len(v) for v in (d_values, g_values) if v is not None), default=0) // _ENOUGH)
    thin = slice(None, None, every)
    return families.Evidence(
        d=None if d_values is None else d_values[thin],
        g=None if g_values is None else g_values[thin],
        fake=None if fake_values is None else fake_values[thin],
        halves=halves,
        start=start,
        said=said,
        surely=surely,
        k=count,
        scores=None if scores is None else (scores[0][thin], scores[1][thin]),
    )


_NAMES: Sequence[tuple[str, dict[str, float]]] = (
    (r"wgan[-_ ]?gp|grad(ient)?[-_ ]?penalty|\bgp\b|loss_gp", {"wgan-gp": 5.0, "wgan": 1.0}),
    (r"wasserstein|w_dist|\bwgan|emd", {"wgan-gp": 4.0, "wgan": 4.0}),
    (r"critic", {"wgan-gp": 2.5, "wgan": 2.5}),
    (r"disc(riminator)? cost|gen(erator)? cost", {"wgan-gp": 1.5, "wgan": 1.0}),
    (r"(\bkt?\b|\bk_t\b).*(measure|m_global)|convergence_?measure", {"began": 18.0}),
    # pix2pixHD, CycleGAN and vocoders play least squares unless told otherwise; pix2pix does not.
    (r"gan_feat|(?:\b|_)fm\b.*mel|mel.*(?:\b|_)fm\b|mel_spec", {"lsgan": 3.0}),
    (r"\b(cycle|cyc|idt)_[ab]\b", {"lsgan": 2.5, "non-saturating": 0.5}),
    (r"\bg_gan\b.*\bg_l1\b", {"non-saturating": 1.5, "lsgan": 1.0}),
    (r"lsgan|least[-_ ]?sq", {"lsgan": 5.0}),
    (r"hinge", {"hinge": 5.0}),
    (r"relativ|ragan|rpgan", {"relativistic": 4.0}),
    (r"\br1\b|r1[-_]penalty|signs/real", {"non-saturating": 3.0, "hinge": 0.5}),
    (r"\bbce\b|vanilla", {"non-saturating": 3.0}),
)


def _said(view: RunView) -> tuple[dict[str, float], str]:
    """What names and configuration say of the family."""
    if view.family_given:
        return {}, view.family_given
    fact = view.facts.get("family")
    if fact is not None and fact.value in families.FAMILIES:
        return {str(fact.value): 8.0}, ""
    odds: dict[str, float] = {}
    text = " ".join(sorted(view.series)).lower()
    for pattern, weights in _NAMES:
        if re.search(pattern, text):
            for name, weight in weights.items():
                odds[name] = odds.get(name, 0.0) + weight
    return odds, ""


def views_of(
    run: Run,
    *,
    roles: Mapping[str, str] | None = None,
    family: str = "",
    facts: Mapping[str, FactValue] | None = None,
    features: str = "",
    inside: bool = False,
) -> list[RunView]:
    """One view a pair of networks; one for the run where it has no pairs.

    roles: the user's word, tag or pattern with `*` → "D.loss.real". family: a name of `families.FAMILIES`, from the user.
    features: the user's embedding of samples, "module:callable".
    inside: open the checkpoints for the facts that they hold; the log and the configuration beside it come first.
    """
    given = named(roles or {}, run.tags)
    apart = {tag: role for tag, role in given.items() if tag not in run.series and tag in run.tags}
    known = resolve(run.series, {tag: role for tag, role in given.items() if tag not in apart})
    pairs = sorted({r.pair for r in known.values() if r.pair and r.quantity == "loss" and r.network == "D"})
    if len(pairs) < 2:
        pairs = [""]
    layers, opened = Layers(run, known, apart, pairs), Opened.of(run, [one for one in pairs if one])
    saved = saved_facts(opened) if inside and run.checkpoints else {}
    found = {**saved, **_logged_rates(run, known), **facts_of(run), **(facts or {})}
    found = {**found, **ratio_of(found)}
    made = []
    for pair in pairs:
        mine = {tag: role for tag, role in known.items() if not pair or role.pair in ("", pair)}
        norms = {tag: role for tag, role in layers.roles.items() if not pair or role.pair in ("", pair)}
        series: Mapping[str, Series] = {tag: run.series[tag] for tag in mine} if pair else run.series
        if norms:
            series = WithNorms(series, norms, layers.series)
        roles_of_pair = {**mine, **norms}
        made.append(
            RunView(
                run,
                pair,
                series,
                roles_of_pair,
                found,
                family,
                opened,
                layers,
                pair == pairs[0],
                _opened=OpenedGrids(embedding=Embedding(features) if features else None),
            )
        )
    return made


def _logged_rates(run: Run, roles: Mapping[str, Role]) -> dict[str, FactValue]:
    """The learning rates as the log itself has them: their highest values."""
    found = {}
    for tag, role in roles.items():
        values = run.series[tag].values
        values = values[np.isfinite(values)]
        if role.quantity == "lr" and len(values) and not role.layer:
            for network in role.network.replace("-", "GD"):
                found[f"lr_{network}"] = FactValue(float(values.max()), f"the log: {tag}")
    return found
