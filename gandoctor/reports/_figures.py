"""From a diagnosis to the figures of the HTML report: which series go together, thinned for the eye.

Nothing is judged here. Long series are thinned to the smallest and the largest value of each stretch, so
that no spike is lost; over them lie block medians.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from gandoctor.interpret.view import Track
from gandoctor.reports._heat import HeatMap, heat_maps
from gandoctor.reports.texts import number, say
from gandoctor.run import Steps, Values
from gandoctor.thresholds import limits

if TYPE_CHECKING:
    from gandoctor.interpret.by_layer import Quantity
    from gandoctor.interpret.roles import Role
    from gandoctor.interpret.view import RunView
    from gandoctor.judge.diagnosis import Diagnosis

POINTS = 1_000  # of one line; half of it where many lines share a page
LINES = 48  # of one page
_LINES_EACH = 10  # of one figure
_METRICS = 6  # figures of quality metrics
_BROKEN = 200  # marks of values that are not finite, a line
_TREND_FROM = 600  # points from which block medians are drawn over a line
_TREND = 100  # of them
_PALETTE = 4  # colours beside those of D and G
_LOG_FROM = 200  # largest / smallest level from which a log scale shows more
_FOCUS_FROM = 3  # times that all values are wider than the levels, from which spikes are cut off at first


@dataclass(frozen=True, slots=True)
class Line:
    """One series. steps, values: thinned, NaN where the line breaks. points: of the whole series.

    trend: its block medians, None where it is short. broken: steps at which it is not finite.
    tone: "D" or "G" for the colour of a network, else a number of the palette. dash: "solid", "dash", "dot".
    hidden: not drawn at first.
    """

    name: str
    points: int
    steps: Steps
    values: Values
    trend: Track | None
    broken: Steps
    tone: str
    dash: str
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line with a meaning, e.g. a loss at equilibrium. until: where the band from it on ends,
    at most where the values do: it must not make the axis longer.
    """

    value: float
    network: str
    text: str
    until: float


@dataclass(frozen=True, slots=True)
class Figure:
    """Series that are read together.

    pair: whose, "" where the run has one. log: whether a log scale shows more. focus: the range of values
    to show first, None for all. left_out: series of this kind that are not drawn.
    """

    id: str
    title: str
    pair: str
    lines: tuple[Line, ...]
    levels: tuple[Level, ...] = ()
    log: bool = False
    focus: tuple[float, float] | None = None
    left_out: int = 0

    @property
    def shown(self) -> int:
        """Points drawn."""
        return sum(len(line.steps) for line in self.lines)

    @property
    def points(self) -> int:
        """Points that the log holds."""
        return sum(line.points for line in self.lines)

    @property
    def empty(self) -> bool:
        """Whether none of its values is finite."""
        return not any(np.isfinite(line.values).any() for line in self.lines)

    @property
    def positive(self) -> bool:
        """Whether a log scale can show it."""
        least = [np.min(line.values, where=np.isfinite(line.values), initial=np.inf) for line in self.lines]
        return not self.empty and bool(min(least) > 0)


@dataclass
class _Group:
    """A figure in the making: tags of one pair, in the order in which they are drawn."""

    id: str
    title: str
    view: RunView
    tracks: list[tuple[Track, Role | None]] = field(default_factory=list)
    levels: list[Level] = field(default_factory=list)


# Quantities that share a scale, in the order of the page: id of the group, its quantities.
_KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("other-losses", ("loss", "heldout_loss", "penalty")),
    ("scores", ("score", "score_std")),
    ("rates", ("accuracy", "pair_accuracy", "sign_rate")),
    ("gradients", ("grad_norm",)),
    ("weights", ("weight_norm",)),
    ("updates", ("step_norm",)),
    ("samples", ("sample_std", "diversity")),
    ("lr", ("lr",)),
    ("augment", ("augment_p",)),
    ("loss-scale", ("loss_scale",)),
    ("balance", ("balance",)),
)


# Groups beside which a heat map stands if the quantity is known by layer; its layers are no lines then.
_BY_LAYER: dict[str, Quantity] = {"gradients": "gradient", "weights": "weight", "updates": "update"}


def figures(diagnosis: Diagnosis, lang: str = "en") -> tuple[Figure, ...]:
    """Every series of a run as a line, in the order of the page; each in one figure."""
    return tuple(one for one in _drawn(diagnosis, lang, maps=False) if isinstance(one, Figure))


def plots(diagnosis: Diagnosis, lang: str = "en") -> tuple[Figure | HeatMap, ...]:
    """Figures and heat maps of a run, in the order of the page; a layer's series is in one or the other."""
    return _drawn(diagnosis, lang, maps=True)


def _drawn(diagnosis: Diagnosis, lang: str, *, maps: bool) -> tuple[Figure | HeatMap, ...]:
    used: set[str] = set()
    groups = [group for view in diagnosis.views for group in _groups(view, used, lang, maps)]
    groups += _not_understood(diagnosis.views, used, lang)
    groups.sort(key=lambda group: group.id != "losses")  # every pair's losses first; else as they come
    count = sum(min(len(group.tracks), _LINES_EACH) for group in groups if isinstance(group, _Group))
    points = POINTS if count <= LINES // 2 else POINTS // 2
    left = LINES
    made: list[Figure | HeatMap] = []
    for group in groups:
        if isinstance(group, HeatMap):
            made.append(group)
            continue
        figure = _figure(group, points, min(left, _LINES_EACH))
        if figure.lines:
            made.append(figure)
            left -= len(figure.lines)
    return tuple(made)


def _groups(view: RunView, used: set[str], lang: str, by_layer: bool) -> Iterator[_Group | HeatMap]:
    yield _losses(view, used, lang)
    for name, quantities in _KINDS:
        if name == "lr":  # metrics, each kind on its own scale, come before the settings
            tags = _unused(view, ("metric",), used)
            kinds = list(dict.fromkeys(view.roles[tag].part for tag in tags))
            for kind in kinds[:_METRICS]:
                title = say("figure-metric", lang, metric=kind)
                mine = [tag for tag in tags if view.roles[tag].part == kind]
                yield _Group(f"metric-{kind}", _titled(title, view), view, _take(view, mine, used))
        maps = tuple(heat_maps(view, _BY_LAYER[name], lang)) if by_layer and name in _BY_LAYER else ()
        if maps:
            used |= {tag for tag in _unused(view, quantities, used) if view.roles[tag].layer}
        tags = _unused(view, quantities, used)
        tags.sort(key=lambda tag: (bool(view.roles[tag].layer), view.roles[tag].network))
        title = _titled(say(f"figure-{name}", lang), view)
        yield _Group(name, title, view, _take(view, tags, used))
        yield from maps


def _losses(view: RunView, used: set[str], lang: str) -> _Group:
    """The adversarial losses of a pair: D's whole with its halves, G's, and where they rest."""
    game = view.game
    tracks: list[tuple[Track, Role | None]] = []
    for track in (game.d, game.g, game.real, game.fake):
        if len(track) and not any(track.tags == other.tags for other, _ in tracks):
            tracks.append((track, view.roles[track.tags[0]] if len(track.tags) == 1 else None))
    used.update(tag for track, _ in tracks for tag in track.tags)
    # A total beside its halves; a loss that is never finite, of which the game knows nothing.
    rest = [tag for tag in _unused(view, ("loss",), used) if _adversarial(view.roles[tag])]
    tracks += _take(view, rest, used)
    group = _Group("losses", _titled(say("figure-losses", lang), view), view, tracks)
    if game.scale.defined and game.started is not None:
        best, bounds = game.scale.best, limits("GD201")
        starved = bounds["saturated" if game.scale.saturates else "starved"].value
        ends = (
            ("D", best.d_equilibrium, best.d_at(bounds["won"].value), game.d),
            ("G", best.g_equilibrium, best.g_at(starved), game.g),
        )
        for network, value, until, track in ends:
            if value is not None and np.isfinite(value) and len(track) and (network == "D" or game.alone):
                key = f"equilibrium-{network.lower()}"
                text = say(key, lang, value=number(value), until=number(round(until, 2)))
                group.levels.append(Level(float(value), network, text, float(until)))
    return group


def _adversarial(role: Role) -> bool:
    return role.network in ("D", "G") and role.part != "auxiliary" and not role.layer


def _unused(view: RunView, quantities: Sequence[str], used: set[str]) -> list[str]:
    return [
        tag
        for tag, role in view.roles.items()
        if role.quantity in quantities and tag not in used and len(view.series[tag])
    ]


def _not_understood(views: Iterable[RunView], used: set[str], lang: str) -> Iterator[_Group]:
    """Where no loss of either network was recognised: the series that nobody understood, each alone."""
    for view in views:
        if len(view.game.d) or len(view.game.g):
            continue
        for place, tag in enumerate(_unused(view, ("other",), used)[:_METRICS]):
            title = say("figure-other", lang, tag=tag)
            yield _Group(f"other-{place + 1}", title, view, _take(view, [tag], used))


def _take(view: RunView, tags: Iterable[str], used: set[str]) -> list[tuple[Track, Role | None]]:
    taken: list[tuple[Track, Role | None]] = [(view.track(tag), view.roles[tag]) for tag in tags]
    used.update(tag for track, _ in taken for tag in track.tags)
    return taken


def _titled(title: str, view: RunView) -> str:
    return f"{title} ({view.pair})" if view.pair else title


# --- from tracks to lines --------------------------------------------------------------------------------


def _figure(group: _Group, points: int, most: int) -> Figure:
    styles = _styles(group)
    lines = tuple(
        _line(group.view, track, points, style)
        for (track, _), style in zip(group.tracks[:most], styles, strict=False)
    )
    levels = tuple(group.levels) if any(np.isfinite(line.values).any() for line in lines) else ()
    low, high = _range(lines, levels, whole=False)
    lowest, highest = _range(lines, levels, whole=True)
    wide = highest - lowest > _FOCUS_FROM * (high - low) > 0
    pad = 0.1 * (high - low)
    name = f"{group.id}-{group.view.pair}" if group.view.pair else group.id
    return Figure(
        id=name,
        title=group.title,
        pair=group.view.pair,
        lines=lines,
        levels=tuple(replace(one, until=min(max(one.until, lowest), highest)) for one in levels),
        log=bool(lowest > 0 and low * _LOG_FROM < high),
        focus=(low - pad, high + pad) if wide else None,
        left_out=max(len(group.tracks) - most, 0),
    )


def _styles(group: _Group) -> Iterator[tuple[str, str, bool]]:
    """Tone, dash and whether hidden at first, for each track.

    D and G have one colour each on the whole page. What D says of reals and of fakes is told apart by the
    network that made them. What adds up to a loss that is drawn, or is its sum, is hidden at first.
    """
    taken: set[str] = set()
    others = 0
    for track, role in group.tracks:
        network = group.view.roles[track.tags[0]].network
        if role is not None and role.quantity in _SIDED and role.part in ("real", "fake"):
            yield (
                "D" if role.part == "real" else "G",
                "dot" if role.quantity.endswith("std") else "solid",
                False,
            )
        elif group.id == "losses" and network in taken and role is not None:
            yield network, "dot" if role.part == "fake" else "dash", True
        elif network in ("D", "G") and network not in taken:
            taken.add(network)
            yield network, "solid", False
        else:
            dash = ("solid", "dash", "dot")[min(others // _PALETTE, 2)]
            yield str(others % _PALETTE + 1), dash, False
            others += 1


_SIDED = ("score", "score_std", "accuracy", "sign_rate", "sample_std")


def _line(view: RunView, track: Track, points: int, style: tuple[str, str, bool]) -> Line:
    """One track as it is drawn; a track of one tag keeps the gaps of its series."""
    series = [view.series[tag] for tag in track.tags]
    broken = np.unique(np.concatenate([one.steps[~np.isfinite(one.values)] for one in series]))
    whole = (series[0].steps, series[0].values) if len(series) == 1 else (track.steps, track.values)
    steps, values = thin(*whole, points)
    return Line(
        name=" + ".join(track.tags),
        points=series[0].points if len(series) == 1 else len(track),
        steps=steps,
        values=values,
        trend=view.blocks(track, _TREND) if len(track) > _TREND_FROM else None,
        broken=_spread(broken, _BROKEN),
        tone=style[0],
        dash=style[1],
        hidden=style[2],
    )


def _spread(steps: Steps, most: int) -> Steps:
    """At most `most` of the steps, evenly chosen."""
    if len(steps) <= most:
        return steps
    return steps[np.linspace(0, len(steps) - 1, most).astype(np.int64)]


def _range(lines: Iterable[Line], levels: Iterable[Level], *, whole: bool) -> tuple[float, float]:
    """Smallest and largest value of the lines, or of their block medians; (0, 0) where none is finite."""
    shown = [line.values if whole or line.trend is None else line.trend.values for line in lines]
    values = np.concatenate([*shown, np.array([level.value for level in levels])])
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)


def thin(steps: Steps, values: Values, most: int) -> tuple[Steps, Values]:
    """The smallest and the largest value of each of `most` / 2 stretches, with first and last.

    steps: int64 (n,). values: float64 (n,). Returns both at no more than `most` + 2 points, in order.
    A value that is not finite becomes NaN; it is kept only where its whole stretch has no other.
    """
    finite = np.isfinite(values)
    clean = values if finite.all() else np.where(finite, values, np.nan)
    if len(values) <= most:
        return steps, clean
    rows = most // 2
    size = -(-len(values) // rows)
    room = rows * size - len(values)
    starts = np.arange(rows) * size
    low = np.pad(np.where(finite, values, np.inf), (0, room), constant_values=np.inf).reshape(rows, size)
    at_low = starts + low.argmin(axis=1)
    high = np.pad(np.where(finite, values, -np.inf), (0, room), constant_values=-np.inf).reshape(rows, size)
    at_high = starts + high.argmax(axis=1)
    keep = np.unique(np.concatenate([[0], at_low, at_high, [len(values) - 1]]))
    keep = keep[keep < len(values)]  # a row that is nothing but padding
    return steps[keep], clean[keep]


# --- a picture of a run for a row of the index -----------------------------------------------------------

SPARK_WIDTH, SPARK_HEIGHT = 120, 28
_SPARK_POINTS = 40


def spark(view: RunView) -> tuple[tuple[str, str], ...]:
    """The losses of a pair as a picture of a word's size: for D and for G an SVG path, on one scale.

    What one block in forty exceeds is cut off, so that a lone spike leaves the rest to be seen.
    """
    tracks = [(network, view.blocks(track, _SPARK_POINTS)) for network, track in
              (("D", view.game.d), ("G", view.game.g)) if len(track) > 1]  # fmt: skip
    if not tracks:
        return ()
    first, last = view.span
    values = np.concatenate([track.values for _, track in tracks])
    low, high = (float(one) for one in np.quantile(values, (0.025, 0.975)))
    made = []
    for network, track in tracks:
        x = (track.steps - first) / max(last - first, 1) * SPARK_WIDTH
        y = (1 - np.clip((track.values - low) / ((high - low) or 1.0), 0, 1)) * (SPARK_HEIGHT - 4) + 2
        made.append((network, "M" + "L".join(f"{a:.0f} {b:.1f}" for a, b in zip(x, y, strict=True))))
    return tuple(made)
