"""GD401, GD402, GD403: sample grids whose tiles are alike, less varied than the reals, or deaf to z."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from gandoctor.detectors import detector
from gandoctor.findings import Evidence, Finding, Kind, NotExamined, Param, Severity, State, Threshold
from gandoctor.interpret import features
from gandoctor.interpret.features import Look
from gandoctor.interpret.frames import Frame, Held, Shows, Stream
from gandoctor.interpret.view import FIXED_GRIDS, FRAMES, REAL_GRIDS, RunView
from gandoctor.thresholds import Limits

_FEWEST = 8  # samples in which variety can be seen


@detector("GD401", needs=(FRAMES,), min_points=1)
def tiles_alike(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report frames whose tiles are all alike, to the end.

    Without reals: images differ among each other by less than a tenth of their variance, which is far below
    data whose samples are aligned (0.3 for glyphs at one place, 0.5 for faces of one cat); or so many of
    them repeat that there seem to be three or fewer. Points: within a twentieth of their distance from the
    origin. Equal to a thousandth, they no longer depend on z. Blank tiles are GD503.
    """
    same = limits["same"]
    bounds = {False: (limits["alike"], limits["distinct"]),
              True: (limits["alike_points"], limits["distinct_points"])}  # fmt: skip
    seen = False
    for stream in view.frames.samples():
        seen = seen or _judged(stream)

        def ill(look: Look, _frame: Frame) -> bool:
            alike, number = bounds[look.points]
            return _enough(look) and (
                features.spread(look) <= alike.value or features.effective_number(look) < number.value
            )

        held = stream.since(ill)
        if held is None:
            continue
        value = features.spread(held.look)
        bound, number = bounds[held.look.points]
        statistic = "variance between tiles / all of it"
        severe = value <= same.value
        if value > bound.value:
            statistic, bound = "different samples, by near-duplicates", number
            value = features.effective_number(held.look)
        yield finding_from(view, "GD401", held, statistic, value, bound, _tiles(held.look), severe=severe)
    if not seen:
        yield not_split(view, "GD401")


@detector("GD401", needs=(FRAMES,), min_points=3)
def tiles_grew_alike(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report a variety between tiles that fell to half of the run's best frame, and is low by itself.

    Samples that come out of noise vary less than the noise, so that frames of noise are no best ones.
    """
    yield from _fell(view, "GD401", limits["fallen"], limits["low"])


@detector("GD402", needs=(FRAMES,), min_points=3)
def tiles_grew_less_varied(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report a variety between tiles well below the run's best frame, short of a collapse."""
    for finding in _fell(view, "GD402", limits["grid"], limits["low"]):
        fallen = finding.evidence[0].value <= limits["collapsed"].value
        if not (fallen and float(finding.params["value"]) <= limits["lowest"].value):  # else it is GD401
            yield finding


@detector("GD401", needs=(FRAMES, REAL_GRIDS), min_points=1)
def tiles_closer_than_reals(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report tiles whose mean distance is under half of that of the reals on disk."""
    yield from _against_reals(view, "GD401", limits["samples"], severe=limits["certain"].value)


@detector("GD402", needs=(FRAMES, REAL_GRIDS), min_points=1)
def tiles_less_varied_than_reals(view: RunView, limits: Limits) -> Iterator[Finding | NotExamined]:
    """Report tiles clearly nearer to each other than the reals: two standard errors count."""
    yield from _against_reals(view, "GD402", limits["nearer"], above=limits["collapsed"].value)


@detector("GD403", needs=(FRAMES, FIXED_GRIDS), min_points=1)
def random_grid_is_constant(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report random-noise grids whose tiles are all equal, or equal to the fixed-noise grid, while the fixed
    or interpolated z still change the output: z is not drawn anew where the grid is made.
    """
    same = limits["same"]
    other = view.fixed_stream
    for stream in view.frames.of(Shows.RANDOM) if other is not None else ():
        at_step = {frame.step: at for at, frame in enumerate(other.frames)} if other is not None else {}

        def ill(look: Look, frame: Frame, at_step: Mapping[int, int] = at_step) -> bool:
            there = other.look(at_step[frame.step]) if other is not None and frame.step in at_step else None
            if there is None or not (_enough(look) and _enough(there)):
                return False
            varies = features.spread(there) > 10 * same.value
            return varies and (features.spread(look) <= same.value or features.moved(look, there) == 0)

        held = stream.since(ill)
        if held is not None:
            value = features.spread(held.look)
            yield finding_from(view, "GD403", held, "variance between tiles / all of it", value, same,
                               _tiles(held.look), share=value)  # fmt: skip


@detector("GD403", needs=(FRAMES,), min_points=1)
def rows_are_one(view: RunView, limits: Limits) -> Iterator[Finding]:
    """Report grids in which each row repeats one tile while rows differ: conditions alone make the output."""
    bound = limits["rows"]
    for stream in view.frames.samples():

        def ill(look: Look, _frame: Frame) -> bool:
            ratio = _within_rows(look)
            return ratio is not None and ratio <= bound.value

        held = stream.since(ill)
        if held is not None:
            value = _within_rows(held.look) or 0.0
            yield finding_from(view, "GD403", held, "distance within rows / between rows", value, bound,
                               f"0-{held.look.cols - 1}", share=value)  # fmt: skip


# --- what they share ------------------------------------------------------------------------------------


def _enough(look: Look) -> bool:
    return len(look) >= _FEWEST and float(look.blank.mean()) <= 0.5


def _judged(stream: Stream) -> bool:
    last = stream.last()
    return last is not None and len(last[1]) >= _FEWEST


def _fell(view: RunView, code: str, bound: Threshold, low: Threshold) -> Iterator[Finding]:
    for stream in view.frames.samples():
        looks = [(frame, look) for frame, look in stream.looks() if _enough(look) and not look.noisy]
        if len(looks) < 3:
            continue
        variety = [features.spread(look) for _, look in looks]
        best = float(np.max(np.minimum(variety[:-1], variety[1:])))  # of two in a row: one frame may be odd

        def ill(look: Look, _frame: Frame, best: float = best) -> bool:
            value = features.spread(look)
            return _enough(look) and value <= bound.value * best and value <= low.value

        held = stream.since(ill)
        if held is None or held.before is None or best <= 0:
            continue
        value = features.spread(held.look)
        most = looks[int(np.argmax(variety))][1]
        finding = finding_from(view, code, held, "variety of the tiles, last / best", value / best, bound,
                               _tiles(held.look), signal=held.last.file.name, value=value, best=best)  # fmt: skip
        yield _with_vendi(finding, held.look, most)


def _against_reals(
    view: RunView, code: str, bound: Threshold, *, severe: float = 0.0, above: float = 0.0
) -> Iterator[Finding | NotExamined]:
    """Fakes whose mean distance is at most `bound` times that of the reals, and to the end not at most `above`
    times: an error below `severe`.
    """
    reals = [look for look in last_looks(view.frames.of(Shows.REAL)) if _enough(look)]
    streams = [stream for stream in view.frames.samples() if _judged(stream)]
    if not reals or not streams:
        yield not_split(view, code)
        return
    real = max(reals, key=len)

    def nearer(stream: Stream, most: float) -> Held | None:
        def ill(look: Look, _frame: Frame) -> bool:
            if not _enough(look) or look.values.shape[1:] != real.values.shape[1:]:
                return False
            ratio, error = features.distance_ratio(look, real)
            return ratio <= most and ratio + 2 * error < 1

        return stream.since(ill)

    for stream in streams:
        held = nearer(stream, bound.value)
        if held is None or (above and nearer(stream, above) is not None):
            continue
        value, _ = features.distance_ratio(held.look, real)
        finding = finding_from(view, code, held, "mean distance of fakes / of reals", value, bound,
                               _tiles(held.look), severe=value < severe)  # fmt: skip
        yield _with_vendi(finding, held.look, real)


def _with_vendi(finding: Finding, look: Look, than: Look) -> Finding:
    """The finding with a second number beside what decided: the Vendi score against that of what it was held against."""
    window = finding.evidence[0].window
    beside = Evidence(Kind.SAMPLES, "Vendi score / of what it is held against", features.vendi(look, than), None, (),
                      window)  # fmt: skip
    return replace(finding, evidence=(*finding.evidence, beside))


def _within_rows(look: Look) -> float | None:
    """Root mean square distance within the rows of a grid over that between rows; None where rows tell nothing."""
    rows = len(look) // look.cols if look.cols else 0
    if rows < 3 or look.cols < 3 or len(look) != look.index[-1] + 1 or not _enough(look):
        return None
    table = look.values[: rows * look.cols].reshape(rows, look.cols, -1).astype(np.float64)
    within = float(((table - table.mean(axis=1, keepdims=True)) ** 2).mean())
    between = float(((table.mean(axis=1) - table.mean(axis=(0, 1))) ** 2).mean())
    return (within / between) ** 0.5 if between > 1e-6 else None


def _tiles(look: Look) -> str:
    """The nearest tiles of a frame, "3 = 17, 5 = 9"; the first two where none is near another."""
    pairs = features.duplicate_pairs(look) or [(int(look.index[0]), int(look.index[1]))]
    return ", ".join(f"{a + 1} = {b + 1}" for a, b in pairs)


def finding_from(
    view: RunView,
    code: str,
    held: Held,
    statistic: str,
    measured: float,
    bound: Threshold | None,
    tiles: str = "",
    *,
    severe: bool = False,
    **more: Param,
) -> Finding:
    """A finding that holds since some frame of a stream, with the last frame and the tiles that show it.

    tiles: their numbers in the frame from 1 on, row by row; "3 = 17" for two that are alike.
    """
    stretch = view.since(held)
    evidence = Evidence(Kind.SAMPLES, statistic, measured, bound, (), view.window(stretch))
    params: dict[str, Param] = {"grid": held.last.file.name, "frame": held.last.step, **more}
    if tiles:
        params["tiles"] = tiles
    severity = Severity.ERROR if severe else Severity.WARNING
    return Finding(code, severity, stretch, (evidence,), view.subject("G"), params, overwhelming=severe)


def last_looks(streams: Iterable[Stream]) -> list[Look]:
    """What the last frame of each stream shows, of those that can be read."""
    return [last[1] for stream in streams if (last := stream.last()) is not None]


def ends(held: Held) -> str:
    """The first and the last frame of a stretch, for a sentence."""
    return f"{held.first.file.name} … {held.last.file.name}"


def not_split(view: RunView, code: str) -> NotExamined:
    """Say that there are frames, and none that could be read as samples."""
    names = ", ".join(stream.name for stream in view.frames.samples())
    return NotExamined(code, State.NOT_EXAMINABLE, "grid-not-split", names)


def beside_reals(
    view: RunView, code: str, fewest: int, fits: Callable[[Look, Look], bool]
) -> tuple[Look, list[Stream]] | NotExamined:
    """The reals, and the streams of samples that fit them, with at least so many samples of either; or why not.

    fits: (samples, reals) -> whether they can be compared.
    """
    reals = last_looks(view.frames.of(Shows.REAL))
    streams = [(stream, last[1]) for stream in view.frames.samples() if (last := stream.last()) is not None]
    if not reals or not streams:
        return not_split(view, code)
    real = max(reals, key=len)
    enough = [(stream, look) for stream, look in streams if min(len(look), len(real)) >= fewest]
    fit = [stream for stream, look in enough if fits(look, real)]
    if fit:
        return real, fit
    reason, detail = ("tiles-not-like-reals", "") if enough else ("too-few-tiles", str(fewest))
    return NotExamined(code, State.NOT_EXAMINABLE, reason, detail, REAL_GRIDS.name)
