"""From what is known of a network by layer to heat maps: a row a layer, a column a stretch of the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np

from gandoctor.reports.texts import say
from gandoctor.run import Values

if TYPE_CHECKING:
    from gandoctor.interpret.by_layer import ByLayer, Quantity
    from gandoctor.interpret.view import RunView

COLUMNS = 200  # of one map
ROWS = 60  # of one map: first and last layers, and some between
_SHORT = 8  # letters of a layer's name that stand beside its row
_DECADES = 9.0  # that colours tell apart; what is smaller looks like 0
_LEAST = float(np.log10(1.25))  # a change that fills the scale at least: what is less is none


@dataclass(frozen=True, slots=True)
class HeatMap:
    """A quantity by layer. names: of the layers (l,), from the input on; short: what fits beside a row.

    edges: of the columns, steps, float64 (c + 1,). values: float64 (l, c), NaN where nothing was measured.
    start: values are shown in units of a layer's first one. points: that were measured. left_out: layers.
    """

    id: str
    title: str
    pair: str
    names: tuple[str, ...]
    short: tuple[str, ...]
    edges: Values
    values: Values
    start: bool
    source: str
    points: int
    left_out: int

    @property
    def scale(self) -> Values:
        """What the colours run over, float64 (2,): decades of the values, or of their ratio to the first ones."""
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.start:
                first = np.array(
                    [next((v for v in row if np.isfinite(v) and v > 0), np.nan) for row in self.values]
                )
                size = np.abs(np.log10(self.values / first[:, None]))
                reach = max(float(np.max(size, where=np.isfinite(size), initial=0.0)), _LEAST)
                return np.array([-min(reach, _DECADES), min(reach, _DECADES)])
            size = np.log10(self.values)
        shown = size[np.isfinite(size)]
        if not len(shown):
            return np.array([-1.0, 0.0])
        high = float(np.ceil(shown.max()))
        return np.array([max(float(np.floor(shown.min())), high - _DECADES), high])

    @property
    def thinned(self) -> bool:
        """Whether a column holds several points."""
        return self.points > int(np.isfinite(self.values).sum())


def heat_maps(view: RunView, quantity: Quantity, lang: str) -> Iterator[HeatMap]:
    """The maps of a quantity, D's before G's."""
    for network in "DG":
        known = view.by_layer(network, quantity)
        if known is None or not np.isfinite(known.values).any() or len(known.steps) < 2:
            continue
        rows = _spread(len(known.layers))
        edges, values = _binned(known, rows)
        title = say(f"figure-by-layer-{quantity}", lang, network=network)
        name = f"by-layer-{quantity}-{network}"
        names = tuple(known.layers[row] for row in rows)
        yield HeatMap(
            id=f"{name}-{view.pair}" if view.pair else name,
            title=f"{title} ({view.pair})" if view.pair else title,
            pair=view.pair,
            names=names,
            short=short_names(names),
            edges=edges,
            values=values,
            start=quantity == "weight",
            source=say(f"by-layer-{known.source}-{quantity}", lang),
            points=int(np.isfinite(known.values[rows]).sum()),
            left_out=len(known.layers) - len(rows),
        )


def _spread(count: int) -> list[int]:
    """Which of `count` layers are shown: all, or some evenly chosen."""
    return sorted({round(at) for at in np.linspace(0, count - 1, min(count, ROWS))})


def _binned(known: ByLayer, rows: Sequence[int]) -> tuple[Values, Values]:
    """Edges and values of the columns: one a step, or for long series the value of each stretch that lies
    furthest from its layer's median, so that no surge and no gap is lost.
    """
    steps, values = known.steps.astype(np.float64), known.values[list(rows)]
    if len(steps) <= COLUMNS:
        middle = (steps[1:] + steps[:-1]) / 2
        first, last = steps[0] - (middle[0] - steps[0]), steps[-1] + (steps[-1] - middle[-1])
        return np.concatenate([[first], middle, [last]]), values
    edges = np.linspace(steps[0], steps[-1], COLUMNS + 1)
    column = np.clip(np.searchsorted(edges, steps, "right") - 1, 0, COLUMNS - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.log(np.abs(values))
        finite = np.where(np.isfinite(size), size, np.nan)
        middle = np.array(
            [np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else 0 for row in finite]
        )
        far = np.where(np.isnan(values), -1.0, np.abs(size - middle[:, None]))  # a 0 lies infinitely far
    made = np.full((len(values), COLUMNS), np.nan)
    for row, distance in enumerate(far):
        order = np.lexsort((distance, column))  # the furthest of a column comes last
        made[row, column[order]] = values[row, order]
    return edges, made


def short_names(names: Sequence[str]) -> tuple[str, ...]:
    """What tells names apart in a few letters; their numbers where that is not enough.

    >>> short_names(["main.0.conv", "main.10.conv"]), short_names(["encoder.block", "decoder.block"])
    (('0', '10'), ('encoder', 'decoder'))
    >>> short_names(["a.very.long.name", "another.long.name"])
    ('a.very', 'another')
    """
    if len(names) < 2:
        return tuple(name[-_SHORT:] for name in names)
    parts = [name.split(".") for name in names]
    before, after = _alike(parts), _alike([part[::-1] for part in parts])
    cut = [".".join(part[before : len(part) - after]) for part in parts]
    if all(0 < len(one) <= _SHORT for one in cut) and len(set(cut)) == len(cut):
        return tuple(cut)
    tails = [one[-_SHORT + 1 :] for one in cut]
    if all(tails) and len(set(tails)) == len(tails):
        return tuple(one if len(one) < _SHORT else "…" + one[-_SHORT + 1 :] for one in cut)
    return tuple(str(at + 1) for at in range(len(names)))


def _alike(parts: Sequence[Sequence[str]]) -> int:
    """How many parts all names have in common, from the first on."""
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*parts, strict=False)))
