"""GD702: reals and fakes differ in what no training can bring together, by what the log says of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gandoctor.detectors import detector
from gandoctor.findings import Evidence, Finding, Kind, Severity, Stretch
from gandoctor.interpret.view import SAMPLE_STD, SPREADS, RunView
from gandoctor.run import Unit
from gandoctor.thresholds import Limits


@detector("GD702", needs=(SAMPLE_STD,))
def reals_out_of_reach(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report reals whose spread no bounded output reaches, while the fakes stay far below it throughout.

    A value in [-1, 1] has a standard deviation of at most 1 (Popoviciu 1935), and the fakes' largest one
    bounds it from below where the log holds a norm over many values. So reals at ten times both, from the
    first point to the last, are scaled otherwise. Fakes that do not vary at all tell nothing of their
    range: that is a collapse from the start. A G without a bound grows towards its data, and passes 1.
    """
    fake, real = view.part(SAMPLE_STD, "fake"), view.part(SAMPLE_STD, "real")
    reals = float(np.median(real.values))
    low, most = float(np.quantile(real.values, 0.1)), float(fake.values.max())
    beyond, alive = limits["beyond"], limits["alive"]
    ratio = low / max(most, 1.0)
    if ratio < beyond.value or most < alive.value * reals:
        return
    first, last = int(fake.steps[0]), int(fake.steps[-1])
    tags = (*fake.tags, *real.tags)
    evidence = Evidence(
        Kind.SAMPLES, "std of reals / largest std of fakes", ratio, beyond, tags, (first, last)
    )
    yield Finding("GD702", Severity.ERROR, Stretch(first, (first, first)), (evidence,), view.subject("G"),
                  {"ratio": reals / most}, overwhelming=True)  # fmt: skip


@detector("GD702", needs=(SPREADS,))
def reals_wide_to_an_untrained_d(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report reals on which an untrained D's outputs spread far more widely than on fakes, and than any should.

    With ReLU or leaky ReLU layers and no biases yet, a network's outputs scale with its inputs, and usual
    first weights keep their size (He 2015, arXiv:1502.01852): outputs of tens come from inputs of tens. A
    G that starts tiny makes the same ratio, but then the outputs on reals are of order 1; first weights
    far too large widen both.
    """
    fake, real = view.part(SPREADS, "fake"), view.part(SPREADS, "real")
    first = int(real.steps[0])
    if (
        view.unit is not Unit.ITERATION
        or first != fake.steps[0]
        or not 0 <= first <= limits["untrained"].value
    ):
        return
    wide, ratio = limits["wide"], float(real.values[0]) / max(float(fake.values[0]), 1e-12)
    if real.values[0] < wide.value or ratio < limits["beyond"].value:
        return
    tags, window = (*fake.tags, *real.tags), (first, first)
    evidence = (
        Evidence(Kind.GAME, "std of C(reals) at the first step", float(real.values[0]), wide, real.tags, window),
        Evidence(Kind.GAME, "std of C(reals) / std of C(fakes) at the first step", ratio, limits["beyond"], tags,
                 window),
    )  # fmt: skip
    yield Finding(
        "GD702", Severity.WARNING, Stretch(first, window), evidence, view.subject("G"), {"ratio": ratio}
    )
