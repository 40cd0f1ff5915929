"""GD105, GD404, GD501, GD502, GD503, GD702: samples with NaN, jumps, lattices, noise, blank tiles, another range."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gandoctor.detectors import detector
from gandoctor.detectors.sample_variety import finding_from, last_looks, not_split
from gandoctor.findings import Finding, NotExamined, State
from gandoctor.interpret import features
from gandoctor.interpret.features import Look
from gandoctor.interpret.frames import Frame, Shows
from gandoctor.interpret.view import FRAMES, REAL_GRIDS, STRIPS, RunView
from gandoctor.stats import Mask
from gandoctor.thresholds import Limits

_SPECTRAL = 16  # pixels a tile needs to have a texture
_FEWEST = 8  # tiles over which spectra and shares mean something; lone pictures may be anything
_LONG = 6  # tiles of a strip on which a jump can be told from a step


@detector("GD501", needs=(FRAMES,), min_points=1)
def lattice_of_up_sampling(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report spectral lines at the reciprocals of 2 and 4 pixels that hold a visible share of the variance.

    Data woven at such a period have them, too: the reals' share counts off. JPEG's blocks are 8 pixels
    and sharpest at 1/8, so that their harmonics hold far less; resampled figures are not judged.
    """
    lattice, peak = limits["lattice"], limits["peak"]
    real = max((look.lattice for look in _reals(view) if np.isfinite(look.lattice)), default=0.0)
    seen = False
    for stream in view.frames.samples():
        last = stream.last()
        seen = seen or (last is not None and len(last[1]) >= _FEWEST and bool(np.isfinite(last[1].lattice)))

        def ill(look: Look, _frame: Frame) -> bool:
            clear = look.lattice - 3 * real >= lattice.value and look.peak >= peak.value
            return clear and len(look) >= _FEWEST

        held = stream.since(ill)
        if held is not None:
            share = held.look.lattice
            yield finding_from(view, "GD501", held, "variance in spectral lines at 1/2 and 1/4", share, lattice,
                               variance=share)  # fmt: skip
    if not seen:
        yield _too_small(view, "GD501")


@detector("GD502", needs=(FRAMES,), min_points=1)
def pixels_of_noise(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report tiles whose neighbouring pixels have nothing to do with each other, to the end.

    No picture is like that; an untrained G is. Data of noise would be: the reals are asked where there are any.
    """
    smooth, share = limits["smooth"], limits["share"]
    rough_data = any(_rough(look, smooth.value) > 0.5 for look in _reals(view))
    seen = False
    for stream in view.frames.samples():
        last = stream.last()
        seen = seen or (last is not None and len(last[1]) >= _FEWEST and last[1].side >= _SPECTRAL)

        def ill(look: Look, _frame: Frame) -> bool:
            return not rough_data and len(look) >= _FEWEST and _rough(look, smooth.value) >= share.value

        held = stream.since(ill)
        if held is not None:
            rough = held.look.smooth < smooth.value
            value = float(np.nanmedian(held.look.smooth))
            yield finding_from(view, "GD502", held, "correlation of neighbouring pixels", value, smooth,
                               _numbers(held.look, rough), share=float(rough.mean()))  # fmt: skip
    if not seen:
        yield _too_small(view, "GD502")


@detector("GD503", needs=(FRAMES,), min_points=1)
def tiles_of_one_colour(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report frames nearly all of whose tiles are one colour: black, white or any other. Points are so where
    every value lies at the end of a tanh's range.
    """
    bound = limits["share"]
    seen = False
    for stream in view.frames.samples():
        last = stream.last()
        seen = seen or (last is not None and len(last[1]) >= _FEWEST)

        def ill(look: Look, _frame: Frame) -> bool:
            return len(look) >= _FEWEST and float(look.blank.mean()) >= bound.value

        held = stream.since(ill)
        if held is not None:
            share = float(held.look.blank.mean())
            yield finding_from(view, "GD503", held, "tiles of one colour", share, bound,
                               _numbers(held.look, held.look.blank), severe=True, share=share)  # fmt: skip
    if not seen:
        yield _too_small(view, "GD503")


@detector("GD503", needs=(FRAMES, REAL_GRIDS), min_points=1)
def tiles_clipped(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report samples far more of whose values lie at the ends of their range than of the reals', to the end.

    Digits and skies lie there by nature: only the excess over the reals counts, beyond five standard errors.
    """
    bound, errors = limits["clipped"], limits["errors"].value
    reals = [look for look in _reals(view) if len(look) >= _FEWEST and not look.points]
    streams = [s for s in view.frames.samples() if (last := s.last()) is not None and not last[1].points]
    if not reals or not streams:
        yield not_split(view, "GD503")
        return
    real = max(reals, key=len)

    def excess(look: Look) -> float:
        return float(look.clipped.mean() - real.clipped.mean())

    def ill(look: Look, _frame: Frame) -> bool:
        if len(look) < _FEWEST or look.points:
            return False
        scatter = float(look.clipped.var() / len(look) + real.clipped.var() / len(real))
        return excess(look) >= max(bound.value, errors * float(np.sqrt(scatter)))

    for stream in streams:
        held = stream.since(ill)
        if held is not None:
            yield finding_from(view, "GD503", held, "share of values at the ends of their range, over the reals'",
                               excess(held.look), bound, share=float(held.look.clipped.mean()))  # fmt: skip


@detector("GD105", needs=(FRAMES,), min_points=1)
def samples_not_finite(view: RunView, _limits: Limits) -> Iterator[Finding]:
    """Report sample arrays that hold NaN or infinity to the end. Pictures cannot: there they are one colour."""
    for stream in view.frames.samples():
        held = stream.since(lambda look, _frame: look.not_finite > 0)
        if held is not None:
            share = held.look.not_finite
            yield finding_from(view, "GD105", held, "share of samples that are not finite", share, None,
                               severe=True, tag=stream.name, share=share)  # fmt: skip


@detector("GD404", needs=(STRIPS,), min_points=1)
def strips_that_jump(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report interpolations most of whose way lies in one step, in most strips.

    Data of separate kinds must be jumped between: of points, and where samples repeat as often as letters at
    one place do, nothing is said.
    """
    jump, share = limits["jump"], limits["share"]
    kinds = any(features.effective_number(look) < 2 * len(look) for look in last_looks(view.frames.samples()))
    seen = False
    for stream in view.frames.of(Shows.INTERPOLATION):
        last = stream.last()
        seen = seen or (last is not None and last[1].cols >= _LONG and not last[1].points)

        def ill(look: Look, _frame: Frame) -> bool:
            jumps = _jumps(look, jump.value)
            return jumps is not None and not kinds and float(jumps.mean()) >= share.value

        held = stream.since(ill)
        jumps = _jumps(held.look, jump.value) if held is not None else None
        if held is not None and jumps is not None:
            value = float(jumps.mean())
            tiles = ", ".join(str(row * held.look.cols + 1) for row in np.flatnonzero(jumps)[:4])
            yield finding_from(view, "GD404", held, "strips with a jump", value, share, tiles, share=value)
    if not seen:
        names = ", ".join(stream.name for stream in view.frames.of(Shows.INTERPOLATION))
        yield NotExamined("GD404", State.NOT_EXAMINABLE, "grid-not-split", names)


@detector("GD702", needs=(FRAMES, REAL_GRIDS), min_points=1)
def reals_of_another_range(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report samples that to the end keep to another range than the reals, or have red and blue swapped.

    Only samples with half of the reals' contrast: black or white ones are GD503.
    """
    apart, swapped = limits["apart"], limits["swapped"]
    reals = [look for look in _reals(view) if len(look.level)]
    streams = [s for s in view.frames.samples() if (last := s.last()) is not None and len(last[1].level)]
    if not reals or not streams:
        yield not_split(view, "GD702")
        return
    real = max(reals, key=len)
    for stream in streams:

        def off(look: Look, _frame: Frame) -> bool:
            same_kind = (
                len(look.level) == len(real.level) and look.contrast.mean() >= 0.5 * real.contrast.mean()
            )
            return bool(same_kind) and _apart(look, real) >= apart.value

        def turned(look: Look, _frame: Frame) -> bool:
            return _turned(look, real) >= swapped.value

        held = stream.since(off)
        if held is not None:
            value = _apart(held.look, real)
            yield finding_from(
                view, "GD702", held, "level of fakes from reals / contrast of reals", value, apart
            )
        held = stream.since(turned)
        if held is not None:
            value = _turned(held.look, real)
            yield finding_from(view, "GD702", held, "colours from the reals', as they are / red for blue", value,
                               swapped)  # fmt: skip


# --- what they share ------------------------------------------------------------------------------------


def _reals(view: RunView) -> list[Look]:
    """The last frame of each stream of reals."""
    return [look for look in last_looks(view.frames.of(Shows.REAL)) if len(look) >= 4]


def _rough(look: Look, bound: float) -> float:
    """Share of tiles whose pixels hang together less than the bound."""
    return float((look.smooth < bound).mean()) if look.side >= _SPECTRAL and len(look) else 0.0


def _numbers(look: Look, which: Mask) -> str:
    return ", ".join(str(int(one) + 1) for one in look.index[which][:4])


def _too_small(view: RunView, code: str) -> NotExamined:
    """Say that no frame has tiles in which textures show."""
    readable = any(stream.last() is not None for stream in view.frames.samples())
    if not readable:
        return not_split(view, code)
    return NotExamined(code, State.NOT_EXAMINABLE, "tiles-too-small", str(_SPECTRAL))


def _jumps(look: Look, bound: float) -> Mask | None:
    """Which strips of a grid have most of their way in one step, bool (rows,); None where there are no strips."""
    if look.points or look.cols < _LONG or len(look) != look.index[-1] + 1:
        return None
    steps = features.steps_along(look.values, look.cols)
    way = steps.sum(axis=1)
    if len(steps) < 2 or not (way > 1e-6).all():
        return None
    found: Mask = steps.max(axis=1) >= bound * way
    return found


def _apart(look: Look, real: Look) -> float:
    """How far the mean colour lies from the reals', in standard deviations of the reals."""
    return float(np.abs(look.level.mean() - real.level.mean()) / max(1.0, float(real.contrast.mean())))


def _turned(look: Look, real: Look) -> float:
    """How much nearer the reals' mean colour is with red and blue swapped; 0 where the reals have no tint."""
    if len(look.level) != 3 or len(real.level) != 3 or abs(real.level[0] - real.level[2]) < 16:
        return 0.0
    mine, theirs = (one.level - one.level.mean() for one in (look, real))
    straight = float(np.linalg.norm(mine - theirs))
    swapped = float(np.linalg.norm(mine[::-1] - theirs))
    return straight / max(swapped, 2.0)
