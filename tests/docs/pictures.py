"""A picture a symptom, from the fixture that shows it best: `python -m tests.docs.pictures docs/symptoms/pictures`.

Curves where curves are the evidence, else the samples. Symptoms that no fixture shows get no picture.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import numpy as np

import gandoctor
from gandoctor.findings import Kind
from gandoctor.judge.diagnosis import Diagnosis, Judged
from gandoctor.judge.rules import Rule, load_rules
from gandoctor.reports import _figures
from gandoctor.reports._film import films
from gandoctor.reports.rows import run_rows
from gandoctor.run import Steps, Values

ROOT = Path(__file__).parents[2]
MOST = 30_000  # bytes of a picture
POINTS = 150  # of a line
WIDTH, HEIGHT = 720, 250
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 34, 40
STILLS, SIDE = 6, 104
TONES = {"D": "#b35806", "G": "#2166ac"}  # as in the report: told apart without red against green
OTHERS = ("#5e3c99", "#1b7837", "#666666", "#c51b7d")


def best(diagnoses: Sequence[Diagnosis]) -> dict[str, tuple[Diagnosis, Judged]]:
    """Code → the run that shows it: where it is primary before others, then where it is surest."""
    found: dict[str, tuple[tuple[bool, int, float], Diagnosis, Judged]] = {}
    for one in diagnoses:
        for judged in one.findings:
            code = judged.finding.code
            rank = (judged is one.primary, int(judged.finding.severity), judged.confidence)
            if code not in found or rank > found[code][0]:
                found[code] = (rank, one, judged)
    return {code: (one, judged) for code, (_, one, judged) in sorted(found.items())}


def picture(diagnosis: Diagnosis, judged: Judged, sentence: str) -> str:
    """An SVG, or "" where neither curves nor samples prove the finding."""
    caption = f"fixtures/{diagnosis.run.name}: {sentence}"
    if any(one.kind is Kind.SAMPLES for one in judged.finding.evidence[:1]):
        strip = list(samples(diagnosis))
        if strip:
            return _svg(caption, SIDE + 26, "".join(strip), 8 + len(strip) // 2 * (SIDE + 14))
    figure = _curves(diagnosis, judged)
    return _svg(caption, HEIGHT, "".join(curves(figure, judged, diagnosis))) if figure else ""


def _curves(diagnosis: Diagnosis, judged: Judged) -> _figures.Figure | None:
    """The figure that holds most of the series in the evidence; the losses where no series is its evidence."""
    tags = {tag for one in judged.finding.evidence for tag in one.series}
    drawn = [one for one in _figures.figures(diagnosis) if not one.empty]
    named = [sum(bool(tags & set(line.name.split(" + "))) for line in one.lines) for one in drawn]
    return drawn[int(np.argmax(named))] if drawn else None


def curves(figure: _figures.Figure, judged: Judged, diagnosis: Diagnosis) -> Iterator[str]:
    """Lines over steps, the levels beside them, and the stretch of the finding shaded."""
    tags = {tag for one in judged.finding.evidence for tag in one.series}
    lines = [one for one in figure.lines if tags & set(one.name.split(" + "))][:4]
    if not any(np.isfinite(one.values).any() for one in lines):  # something to see beside what is broken
        lines += [one for one in figure.lines if one not in lines][:3]
    log = figure.log and figure.positive
    low, high = _range(lines, figure.levels, log)
    last = max(int(one.steps[-1]) for one in lines)
    first = min(int(one.steps[0]) for one in lines)

    def x(step: Steps | float) -> Values:
        share = (np.asarray(step, dtype=float) - first) / max(1, last - first)
        return np.asarray(LEFT + share * (WIDTH - LEFT - RIGHT))

    def y(value: Values | float) -> Values:
        scaled = np.log10(np.maximum(value, 1e-300)) if log else np.asarray(value, dtype=float)
        share = np.clip((scaled - low) / (high - low), -0.02, 1.02)
        return np.asarray(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM))

    stretch = judged.finding.stretch
    start = float(x(max(first, stretch.onset)))
    width = float(x(last if stretch.end is None else min(last, stretch.end))) - start
    size = f'width="{max(2.0, width):.1f}" height="{HEIGHT - TOP - BOTTOM}"'
    yield f'<rect x="{start:.1f}" y="{TOP}" {size} fill="#fde0c5"/>'
    for share in (0.0, 0.5, 1.0):
        value = low + share * (high - low)
        at = HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
        yield f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
        yield _text(LEFT - 6, at + 4, f"{10**value if log else value:.3g}", "end")
    for step in (first, (first + last) // 2, last):
        yield _text(float(x(step)), HEIGHT - BOTTOM + 16, f"{step:,}", "end" if step == last else "middle")
    unit = diagnosis.views[0].unit.value if diagnosis.views else "step"
    yield _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, unit, "middle")
    if len(figure.levels) <= 4:
        for level in figure.levels:
            at = float(y(level.value))
            if TOP <= at <= HEIGHT - BOTTOM:
                tone = TONES.get(level.network, "#666")
                yield f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" stroke="{tone}" stroke-dasharray="2 4"/>'
    place = LEFT
    for index, line in enumerate(lines):
        tone = TONES.get(line.tone, "") if len(lines) <= 2 else ""
        tone = tone or OTHERS[index % len(OTHERS)]
        steps, values = _figures.thin(line.steps, line.values, POINTS)
        yield f'<path d="{_path(x(steps), y(values), values)}" fill="none" stroke="{tone}" stroke-width="1.5"/>'
        if len(line.broken):
            ticks = "".join(
                f"M{float(at):.1f} {TOP}v8" for at in x(line.broken[:: 1 + len(line.broken) // 100])
            )
            yield f'<path d="{ticks}" stroke="{tone}" stroke-width="2"/>'
        yield f'<path d="M{place} 18h18" stroke="{tone}" stroke-width="3"/>'
        name = line.name + (" (ticks: not finite)" if len(line.broken) else "")
        yield _text(place + 23, 22, name)
        place += 40 + 7 * len(name)


def samples(diagnosis: Diagnosis) -> Iterator[str]:
    """A strip of the run's samples, each over its step."""
    for film in films(diagnosis, "en")[:1]:
        chosen = np.unique(np.linspace(0, len(film.stills) - 1, STILLS).astype(int))
        for place, index in enumerate(chosen):
            step, shown = film.stills[index]
            x = 8 + place * (SIDE + 14)
            yield f'<image x="{x}" y="4" width="{SIDE}" height="{SIDE}" href="{shown.src}"/>'
            yield _text(x + SIDE / 2, SIDE + 20, f"{step:,}", "middle")


def _range(
    lines: Sequence[_figures.Line], levels: Sequence[_figures.Level], log: bool
) -> tuple[float, float]:
    values = np.concatenate([one.values[np.isfinite(one.values)] for one in lines])
    values = np.append(values, [level.value for level in levels]) if not log else values[values > 0]
    if not len(values):
        return 0.0, 1.0
    low, high = np.quantile(np.log10(values) if log else values, (0.005, 0.995))
    margin = 0.05 * (high - low) or 0.5
    return float(low - margin), float(high + margin)


def _path(x: Values, y: Values, values: Values) -> str:
    """A line that breaks where a value is not finite."""
    said, pen = [], "M"
    for px, py, value in zip(x, y, values, strict=True):
        if not np.isfinite(value):
            pen = "M"
            continue
        said.append(f"{pen}{px:.1f} {py:.1f}")
        pen = "L"
    return "".join(said)


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(caption: str, height: int, body: str, width: int = WIDTH) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        ' font-family="sans-serif" font-size="12" fill="#222">'
        f'<desc>{escape(caption)}</desc><rect width="{width}" height="{height}" fill="#fff"/>{body}</svg>\n'
    )


def sentences(diagnosis: Diagnosis, rules: dict[str, Rule]) -> dict[str, str]:
    """Finding id → its sentence."""
    return {one.id: one.message for one in run_rows(diagnosis, "en", rules).findings}


def write_pictures(folder: Path, fixtures: Path = ROOT / "fixtures") -> list[Path]:
    """Write `CODE.svg` for each symptom that a fixture shows, and remove others. Returns what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    rules = dict(load_rules())
    for old in folder.glob("GD*.svg"):
        old.unlink()
    written = []
    for code, (diagnosis, judged) in best(gandoctor.diagnose_all(fixtures)).items():
        made = picture(diagnosis, judged, sentences(diagnosis, rules)[judged.id])
        if made and len(made.encode()) <= MOST:
            written.append(folder / f"{code}.svg")
            written[-1].write_text(made, encoding="utf-8", newline="\n")
    return written


if __name__ == "__main__":
    for path in write_pictures(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/symptoms/pictures")):
        print(path, path.stat().st_size)
