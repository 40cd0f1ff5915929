"""The rules of thumb that other tools and guides apply to the same logs, for comparison.

losslint: divergence, spikes and stagnation of a loss. ganhacks (Chintala et al. 2016): D's loss at 0, a G loss
that falls steadily, gradient norms over 100. They get the right series, whatever it is called.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from gandoctor.stats import rolling_median

Values = npt.NDArray[np.float64]

# Each rule's symptom, the one that says most first: where several fire, it is what the peers would name.
RULES = {
    "non-finite": "GD105", "d-zero": "GD201", "gradient-100": "GD302", "divergence": "GD101",
    "g-falls": "GD202", "spikes": "GD103", "stagnation": "GD104",
}  # fmt: skip


def verdicts(series: Mapping[str, Values]) -> list[str]:
    """The rules that fire, in the order of RULES. series: our tag ("loss/D") -> values in the order of steps."""
    fired = set(_fired(series))
    return [rule for rule in RULES if rule in fired]


def _fired(series: Mapping[str, Values]) -> Iterator[str]:
    losses = {tag: series[tag] for tag in ("loss/D", "loss/G") if len(series.get(tag, ())) >= 20}
    if any(not np.isfinite(values).all() for values in series.values()):
        yield "non-finite"
    for tag, values in losses.items():
        values = values[np.isfinite(values)]
        if len(values) < 20:
            continue
        tenth = len(values) // 10
        first, last = float(np.median(values[:tenth])), float(np.median(values[-tenth:]))
        if last > first + 0.25 * abs(first):
            yield "divergence"
        usual = np.abs(rolling_median(values, 11))
        if (np.abs(values) > 10 * np.maximum(usual, 1e-12)).any():
            yield "spikes"
        before, after = np.array_split(values[-(len(values) // 4) :], 2)
        if float(np.median(before) - np.median(after)) < 0.01 * abs(float(np.median(before))):
            yield "stagnation"
        if tag == "loss/D" and abs(last) < 0.05:
            yield "d-zero"
        if tag == "loss/G" and last < first - 0.5 * abs(first):
            yield "g-falls"
    for tag in ("grad_norm/D", "grad_norm/G"):
        norms = series.get(tag, np.empty(0))
        if (norms[np.isfinite(norms)] > 100).any():
            yield "gradient-100"
