"""GD401, GD601, GD602, GD603 in checkpoints: the size of weights, their singular values, and clipping."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from gandoctor.detectors import detector
from gandoctor.detectors.layers import label, subject, these
from gandoctor.findings import Evidence, Finding, Kind, NotExamined, Param, Severity, Stretch, Threshold
from gandoctor.interpret.families import UNKNOWN
from gandoctor.interpret.snapshots import History
from gandoctor.interpret.view import SNAPSHOTS, WARM_UP, RunView
from gandoctor.thresholds import Limits

if TYPE_CHECKING:
    from gandoctor.interpret.networks import Layer, Network

_WIDE = 16  # rows and columns from which on a matrix has a spectrum to lose


@detector("GD601", needs=(SNAPSHOTS,), min_points=2)
def saved_weights_grow(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report a network whose saved weights multiplied since the warm-up and still grow at the end.

    As for logged norms, growth that settles does not count; weights under spectral or weight normalisation do
    not, either, since their size is divided away.
    """
    for history in (yield from these("GD601", view.snapshots.players)):
        sizes = [_size(state) for state in history.states]
        found = _growth(history, sizes, view, limits["growth"], limits["late"])
        if found is None:
            continue
        stretch, factor, late = found
        evidence = (
            Evidence(Kind.WEIGHTS, f"norm of {history.role}'s saved weights / its value after warm-up", factor,
                     limits["growth"], (), view.window(stretch)),
            Evidence(Kind.WEIGHTS, "share of the growth in the last half", late, limits["late"], (),
                     view.window(stretch)),
        )  # fmt: skip
        params: dict[str, Param] = {"network": history.role, "factor": factor}
        yield Finding("GD601", Severity.WARNING, stretch, evidence, view.subject(history.role), params)


def _size(network: Network) -> float:
    return math.sqrt(sum(one.weight.norm**2 for one in network.matrices if not one.normalised))


def _growth(
    history: History, sizes: Sequence[float], view: RunView, growth: Threshold, settled: Threshold
) -> tuple[Stretch, float, float] | None:
    """(stretch, factor, share of it in the last half) of a size that grew without settling.

    The half is that of the run. Where no snapshot lies in the first half, all growth seen is late growth.
    """
    first, last = view.span
    late = [at for at, step in enumerate(history.steps) if step >= first + WARM_UP * (last - first)]
    if len(late) < 2 or not all(0 < sizes[at] < math.inf for at in late):
        return None
    logs = {at: math.log(sizes[at]) for at in late}
    total = logs[late[-1]] - logs[late[0]]
    middle = max((at for at in late if history.steps[at] <= first + (last - first) / 2), default=late[0])
    second = logs[late[-1]] - logs[middle]
    if total < math.log(growth.value) or second < settled.value * total:
        return None
    holds = [at in logs and logs[at] - logs[late[0]] >= math.log(growth.value) for at in range(len(sizes))]
    stretch = history.stretch(holds, first)
    return None if stretch is None else (stretch, math.exp(total), second / total)


@detector("GD602", needs=(SNAPSHOTS,), min_points=2)
def singular_value_explodes(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report layers whose largest singular value multiplied since the warm-up and still grows: in BigGAN that of
    G's layers exploded at collapse (Brock et al. 2018, arXiv:1809.11096).

    Without normalisation only. Growth that settles is how every layer begins.
    """
    for history in (yield from these("GD602", view.snapshots.players)):
        for layer in history.last.matrices:
            if layer.normalised:
                continue
            sigmas = [_sigma(state.layer(layer.key)) for state in history.states]
            found = _growth(history, sigmas, view, limits["growth"], limits["late"])
            if found is not None:
                stretch, factor, late = found
                evidence = (
                    Evidence(Kind.WEIGHTS, "σ₁ of a layer / its value after warm-up", factor, limits["growth"], (),
                             view.window(stretch)),
                    Evidence(Kind.WEIGHTS, "share of the growth in the last half", late, limits["late"], (),
                             view.window(stretch)),
                )  # fmt: skip
                yield _anomaly(view, history, layer, stretch, evidence, sigmas[-1])


@detector("GD602", needs=(SNAPSHOTS,), min_points=1)
def spectrum_collapses(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report hidden layers nearly all of whose weight lies in one direction: ‖W‖²_F / σ₁² near 1.

    Only info: it says where, GD401 says what follows from it. Healthy hidden layers of the reference trainer
    kept it at 4.9 and more. A clipped or unpenalised critic comes to 1 in health, too: D is looked at only where
    its loss is known to be no critic's.
    """
    for history in (yield from these("GD602", view.snapshots.players)):
        for layer, stretch, rank in _collapsed(view, history, limits["rank"]):
            evidence = Evidence(Kind.WEIGHTS, "‖W‖² / σ₁² of a hidden layer", rank, limits["rank"], (),
                                view.window(stretch))  # fmt: skip
            tag = label(history, layer.name)
            params: dict[str, Param] = {"layer": tag, "rank": rank}
            yield Finding(
                "GD602", Severity.INFO, stretch, (evidence,), subject(view, history, layer.name), params
            )


@detector("GD401", needs=(SNAPSHOTS,), min_points=1)
def generator_passes_one_direction(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report a generator with a hidden layer nearly all of whose weight lies in one direction: whatever z is,
    what comes out follows one number.

    Liu et al. 2019, arXiv:1908.10999: spectra collapse with the modes. Layers with few rows or columns, and
    those under spectral or weight normalisation, are not judged.
    """
    for history in (yield from these("GD401", view.snapshots.of("G"))):
        found = _collapsed(view, history, limits["rank"])
        if not found:
            continue
        layer, stretch, rank = min(found, key=lambda one: one[2])
        evidence = Evidence(Kind.WEIGHTS, "‖W‖² / σ₁² of a hidden layer of G", rank, limits["rank"], (),
                            view.window(stretch))  # fmt: skip
        params: dict[str, Param] = {"signal": f"‖W‖²/σ₁² ({label(history, layer.name)})", "value": rank}
        yield Finding("GD401", Severity.WARNING, stretch, (evidence,), view.subject("G"), params)


def _collapsed(view: RunView, history: History, bound: Threshold) -> list[tuple[Layer, Stretch, float]]:
    """The hidden layers whose spectrum is one direction at the end: (layer, since when, stable rank)."""
    family = view.family
    known = len(view.game.d) > 0 or view.family_given or "family" in view.facts
    critic = not known or family.name.startswith("wgan") or family is UNKNOWN or family.certainty <= 0.6
    if history.role == "D" and critic:
        return []
    found = []
    for layer in history.last.matrices[1:-1]:
        if layer.normalised or min(layer.units, layer.fan_in) < _WIDE:
            continue
        ranks = [_rank(state.layer(layer.key)) for state in history.states]
        stretch = history.lasting([rank < bound.value for rank in ranks], view.span[0])
        if stretch is not None:
            found.append((layer, stretch, ranks[-1]))
    return found


@detector("GD602", needs=(SNAPSHOTS,), min_points=1)
def spectral_norm_not_in_force(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report layers whose spectral normalisation divides by far less than their largest singular value, and
    discriminators without any although the configuration claims it.

    Power iteration is a step behind, so a little is allowed, and a checkpoint from before the first step says
    nothing: there u and v are random. σ₁ is measured as PyTorch reshapes (units x rest), never too large.
    """
    claimed = view.facts.get("spectral_norm")
    for history in (yield from these("GD602", view.snapshots.players)):
        bare = []
        for layer in history.last.matrices:
            ratios = [_excess(state.layer(layer.key)) for state in history.states]
            later = [
                step > 0 and _begun(state) for step, state in zip(history.steps, history.states, strict=True)
            ]
            holds = [ratio > limits["excess"].value and ok for ratio, ok in zip(ratios, later, strict=True)]
            stretch = history.stretch(holds, view.span[0])
            if layer.divisor is None:
                bare.append(layer)
            elif stretch is not None and stretch.end is None:
                evidence = Evidence(Kind.WEIGHTS, "σ₁ of a layer / what spectral normalisation divides by",
                                    min(ratios[-1], 1e9), limits["excess"], (), view.window(stretch))  # fmt: skip
                yield _anomaly(view, history, layer, stretch, (evidence,), min(ratios[-1], 1e9))
        alone = len(view.snapshots.of("D")) == 1
        if (
            history.role == "D"
            and alone
            and claimed is not None
            and claimed.value is True
            and not _has_vectors(history)
        ):
            steep = [one for one in bare if one.sigma > limits["excess"].value]
            stretch = history.stretch([bool(steep)] * len(history.states), view.span[0])
            if stretch is None:
                continue
            layer = max(steep, key=lambda one: one.sigma)
            evidence = Evidence(Kind.WEIGHTS, "σ₁ of a layer of D, with spectral normalisation claimed", layer.sigma,
                                limits["excess"], (), view.window(stretch))  # fmt: skip
            yield _anomaly(view, history, layer, stretch, (evidence,), layer.sigma)


def _has_vectors(history: History) -> bool:
    """Whether a network keeps anything that spectral normalisation needs, under which name ever."""
    words = (
        "weight_u",
        "weight_v",
        "_u",
        "_v",
        "u0",
        "sv0",
        "u",
        "sigma",
        "weight_orig",
        "weight_bar",
        "original",
    )
    keys = [key.split(".")[-1] for key in history.last.tensors]
    return any(layer.normalised for layer in history.last.layers) or any(key in words for key in keys)


def _excess(layer: Layer | None) -> float:
    """σ₁ over what it is divided by: 1 where the normalisation is in force."""
    if layer is None or layer.divisor is None or not layer.sigma > 0:
        return math.nan
    return layer.sigma / layer.divisor if layer.divisor > 0 else math.inf


def _begun(network: Network) -> bool:
    return network.optimiser is None or network.optimiser.steps > 0


def _sigma(layer: Layer | None) -> float:
    return math.nan if layer is None else layer.sigma


def _rank(layer: Layer | None) -> float:
    return math.nan if layer is None else layer.stable_rank


def _anomaly(
    view: RunView,
    history: History,
    layer: Layer,
    stretch: Stretch,
    evidence: tuple[Evidence, ...],
    value: float,
) -> Finding:
    tag = label(history, layer.name)
    params: dict[str, Param] = {"layer": tag, "value": value}
    return Finding("GD602", Severity.WARNING, stretch, evidence, subject(view, history, layer.name), params)


@detector("GD603", needs=(SNAPSHOTS,), min_points=1)
def weights_at_clip(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report a discriminator most of whose weights lie at ±c.

    c is the largest size of at least two layers alike, to the last bit, as clipping after the step leaves it;
    healthy clipped critics have up to 45% of their weights within 1% of it. Code that clips before the step
    leaves the weights a step on either side of c: then what lies within a tenth of the largest size is at most
    info, for healthy clipped critics come to 68% there.
    """
    for history in (yield from these("GD603", view.snapshots.of("D"))):
        found = [_clipped(state) for state in history.states]
        stretch = history.lasting([share >= limits["share"].value for share, _, _ in found], view.span[0])
        if stretch is None:
            continue
        share, clip, exact = found[-1]
        near = "1%" if exact else "10%"
        evidence = Evidence(Kind.WEIGHTS, f"share of D's weights within {near} of ±c", share, limits["share"], (),
                            view.window(stretch))  # fmt: skip
        params: dict[str, Param] = {"share": share, "clip": float(f"{clip:.3g}")}
        severity = Severity.WARNING if exact else Severity.INFO
        yield Finding("GD603", severity, stretch, (evidence,), view.subject("D"), params)


def _clipped(network: Network) -> tuple[float, float, bool]:
    """(share of the weights at ±c, c, whether c is exact); share 0 where no c is common to the layers."""
    weights = [one.weight for one in network.matrices if not one.normalised]
    sizes = [one.stats.max_abs for one in weights]
    clip, total = max(sizes, default=0.0), sum(one.stats.n for one in weights)
    if len(sizes) < 2 or not 0 < clip < math.inf:
        return 0.0, 0.0, True
    if sizes.count(clip) > 1:
        at = sum(one.stats.at_max * one.stats.n for one in weights if one.stats.max_abs == clip)
        return at / total, clip, True
    alike = min(sizes) >= 0.9 * clip
    return (sum(one.edge * one.stats.n for one in weights) / total if alike else 0.0), clip, False
