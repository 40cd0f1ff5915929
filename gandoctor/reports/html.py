"""HTML: one file with everything in it, for people, readable without a network and without a server.

One run is one file. Several are an index with a table to sort and filter, and behind it one page a run in a
folder beside it; the pages share one copy of plotly.js there. Up to `MOST_IN_ONE` runs fit in a single file,
their pages compressed in it. The same diagnoses give the same bytes.

A page's Content-Security-Policy allows the two scripts written here, by their hashes, and no request at
all: even text from a log that escaped its escaping could run nothing and send nothing.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib.util
import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, TextIO

import msgspec

from gandoctor.errors import UserError
from gandoctor.judge.rules import load_rules
from gandoctor.reports import _graph, contract, rows, terminal, texts
from gandoctor.reports.texts import at_step, clean, say

if TYPE_CHECKING:
    import jinja2

    from gandoctor.judge.diagnosis import Diagnosis
    from gandoctor.judge.rules import Rule
    from gandoctor.reports._figures import Figure, Line
    from gandoctor.reports._film import Film
    from gandoctor.reports._heat import HeatMap
    from gandoctor.run import Steps, Values

FORMAT = "html"
SUFFIXES = (".html", ".htm")
OPTIONS = ("plotlyjs", "single_file", "command")  # what `write_report` hands on
PLOTLY = ("inline", "cdn", "none")  # where plotly.js comes from
MOST_IN_ONE = 20

_HERE = Path(__file__).parent
_PLOTLY_FILE = "plotly.js"
_SCRIPT_WORDS = ("not-finite", "copied", "plots-old-browser", "plots-no-plotly", "plots-failed")
# What a page lists at most; the JSON report has it all.
_MOST_FINDINGS, _MOST_TAGS, _MOST_PROBLEMS = 80, 400, 100


def write(
    diagnoses: Sequence[Diagnosis],
    out: TextIO,
    *,
    lang: str = "en",
    rules: Mapping[str, Rule] | None = None,
    plotlyjs: str = "inline",
    single_file: bool = False,
    command: Sequence[str] = (),
) -> None:
    """Write the page of one run, or of none, to a stream; of several if single_file is set.

    plotlyjs: "inline" holds it in the page, "cdn" loads it from a server, "none" draws nothing. command: the
    options that `gandoctor diagnose` was given, for the page to show. Raises UserError for several runs.
    """
    if len(diagnoses) > 1 and not single_file:
        raise UserError(
            f"{len(diagnoses)} runs do not fit on one page",
            where="--format html",
            hint="name the file of the index: --format html:gandoctor-report/index.html",
        )
    rules = load_rules() if rules is None else rules
    report = rows.report(diagnoses, lang, rules)
    if len(diagnoses) > 1:
        out.write(_in_one(report, diagnoses, plotlyjs, rules, command))
    elif diagnoses:
        out.write(_run_page(report, diagnoses[0], _loaded(plotlyjs), rules, command))
    else:
        out.write(_index(report, [], []))


def write_files(
    diagnoses: Sequence[Diagnosis],
    path: Path,
    *,
    lang: str = "en",
    rules: Mapping[str, Rule] | None = None,
    plotlyjs: str = "inline",
    single_file: bool = False,
    command: Sequence[str] = (),
) -> None:
    """Write one run to `path`; of several an index there, and their pages in a folder beside it."""
    if len(diagnoses) < 2 or single_file:
        with path.open("w", encoding="utf-8", newline="\n") as out:
            write(
                diagnoses, out, lang=lang, rules=rules, plotlyjs=plotlyjs, single_file=single_file,
                command=command,
            )  # fmt: skip
        return
    folder = path.parent / ("runs" if path.stem == "index" else f"{path.stem}-runs")
    folder.mkdir(exist_ok=True)
    plotly = {**_loaded(plotlyjs, beside=_PLOTLY_FILE), "up": f"../{path.name}"}
    if plotlyjs == "inline":
        (folder / _PLOTLY_FILE).write_bytes(_plotly())
    rules = load_rules() if rules is None else rules
    report = rows.report(diagnoses, lang, rules)
    links = []
    for place, diagnosis in enumerate(diagnoses):
        slug = re.sub(r"[^A-Za-z0-9._-]+", "-", diagnosis.run.name).strip("-.")[:60]
        name = f"{place + 1:03d}-{slug or 'run'}.html"
        page = _run_page(_only(report, place), diagnosis, plotly, rules, command)
        (folder / name).write_text(page, encoding="utf-8", newline="\n")
        links.append(f"{folder.name}/{name}")
    path.write_text(_index(report, links, diagnoses), encoding="utf-8", newline="\n")


def _in_one(
    report: contract.Report,
    diagnoses: Sequence[Diagnosis],
    plotlyjs: str,
    rules: Mapping[str, Rule],
    command: Sequence[str],
) -> str:
    """The index with every page in it. Raises UserError for more than `MOST_IN_ONE` runs."""
    if len(diagnoses) > MOST_IN_ONE:
        raise UserError(
            f"{len(diagnoses)} runs are too many for a single file, which holds up to {MOST_IN_ONE}",
            where="--single-file",
            hint="without it their pages go to a folder beside the index, of any number of runs",
        )
    plotly = {"frame": True, **({} if plotlyjs == "inline" else _loaded(plotlyjs)), "up": "#"}
    pages = [_run_page(_only(report, at), one, plotly, rules, command) for at, one in enumerate(diagnoses)]
    held = [(f"run-{at + 1}", _compressed(page.encode())) for at, page in enumerate(pages)]
    shared = _loaded(plotlyjs) if plotlyjs == "inline" else {}
    return _index(report, [f"#{name}" for name, _ in held], diagnoses, held, shared)


def _only(report: contract.Report, place: int) -> contract.Report:
    return msgspec.structs.replace(report, runs=(report.runs[place],))


# --- pages -----------------------------------------------------------------------------------------------


def _run_page(
    report: contract.Report,
    diagnosis: Diagnosis,
    plotly: Mapping[str, Any],
    rules: Mapping[str, Rule],
    command: Sequence[str] = (),
) -> str:
    """The page of one run. plotly: where plotly.js comes from, and the way up to the index."""
    from gandoctor.reports._figures import plots
    from gandoctor.reports._film import films
    from gandoctor.reports._pictures import proofs

    lang = report.language
    run = _shown(report.runs[0])
    drawn = () if "none" in plotly else plots(diagnosis, lang)
    if not drawn:  # nothing that plotly.js would draw
        plotly = {name: value for name, value in plotly.items() if name not in ("gzip", "src")}
    onset = run.primary.onset_step if run.primary else None
    shown = [finding for finding in run.findings if finding.code != "GD901"]
    data = {
        "figures": [_figure_data(figure) for figure in drawn],
        "findings": [_mark(finding) for finding in shown],
        "span": run.steps,
        "selected": run.primary.id if run.primary else None,
        "words": {key: say(key, lang) for key in _SCRIPT_WORDS},
        "axis": say(f"axis-{run.unit}", lang),
    }
    return _page(
        "run.html",
        report,
        run=run,
        figures=_cleaned(_figure_rows(drawn, lang, run.unit)),
        films=_cleaned([_film_rows(film, onset) for film in films(diagnosis, lang)]),
        data=_json(data),
        graph=_graph.graph(run),
        box=(_graph.WIDTH, _graph.HEIGHT),
        onset=terminal.onset_line(run, lang) if run.primary else "",
        family=terminal.family_line(run, diagnosis),
        when=lambda step: _when(diagnosis, step, lang),
        proofs=proofs(diagnosis, lang),
        map_hint=clean(terminal.map_hint(diagnosis, lang), lines=True),
        certain={clean(tag): role.certainty for view in diagnosis.views for tag, role in view.roles.items()},
        length={clean(tag): one.points for view in diagnosis.views for tag, one in view.series.items()},
        most={"findings": _MOST_FINDINGS, "tags": _MOST_TAGS, "problems": _MOST_PROBLEMS},
        meaning=clean(rows.rule_of(run.primary.code, rules).summary.pick(lang)) if run.primary else "",
        command=clean(shlex.join(["gandoctor", "diagnose", run.path, *command])),
        plotly=plotly,
    )


def _film_rows(film: Film, onset: int | None) -> dict[str, Any]:
    """A strip of samples for the page, each picture marked where it lies after the onset."""
    stills = [
        {"step": step, "src": one.src, "caption": one.caption, "width": one.width, "height": one.height,
         "late": onset is not None and step >= onset}
        for step, one in film.stills
    ]  # fmt: skip
    return {"pair": film.pair, "note": film.note, "stills": stills, "late": any(s["late"] for s in stills)}


def _index(
    report: contract.Report,
    links: Sequence[str],
    diagnoses: Sequence[Diagnosis],
    held: Sequence[tuple[str, str]] = (),
    plotly: Mapping[str, Any] | None = None,
) -> str:
    """The page that lists several runs, worst first. held: pages that stand in it, by their ids."""
    from gandoctor.reports import _figures

    lang = report.language
    families = [terminal.family_line(run, d) for run, d in zip(report.runs, diagnoses, strict=False)]
    sparks = [_figures.spark(d.views[0]) if d.views else () for d in diagnoses]
    listed = [_shown(run) for run in report.runs]
    rank = {"failing": 0, "warning": 1, "unknown": 2, "healthy": 3}
    places = _places([run.path for run in listed])
    lines = sorted(
        zip(listed, links, families, places, sparks, strict=True), key=lambda line: rank[line[0].verdict]
    )
    counts = {verdict: sum(run.verdict == verdict for run in report.runs) for verdict in rank}
    shown = say("runs-shown", lang, shown="{shown}", count=f"{len(lines):,}")  # the page fills it in
    return _page(
        "index.html",
        report,
        lines=lines,
        counts=counts,
        rank=rank,
        held=held,
        spark=(_figures.SPARK_WIDTH, _figures.SPARK_HEIGHT),
        data=_json({"words": {"shown": shown}}),
        plotly=plotly or {},
    )


def _places(paths: Sequence[str]) -> list[str]:
    """Where runs lie below the folder that they share; their paths as they are where they share none."""
    try:
        common = os.path.commonpath(paths)
    except ValueError:  # none, or absolute and relative ones
        return list(paths)
    return [PurePath(path).relative_to(common).as_posix() for path in paths]


def _page(template: str, report: contract.Report, **values: Any) -> str:
    """A page with its style and script in it."""
    lang = report.language
    words: dict[str, Any] = {
        "t": lambda key, **fields: say(key, lang, **fields),
        "at": lambda step, unit: at_step(step, unit, lang),
        "fraction": rows.fraction,
        "say_verdict": lambda verdict, examined: texts.verdict_line(verdict, examined, lang),
        "word": lambda table, key: getattr(texts.all_texts(), table)[key].pick(lang),
        "percent": lambda share: f"{100 * share:.0f}%",
        "number": texts.number,
        "statistic": lambda text: texts.statistic(text, lang),
        "source_of": lambda text: texts.source(text, lang),
        "value": terminal.value,
        "diff": _diff,
        "changes": lambda remedy: terminal.changes(remedy, lang),
        "snapshot_line": lambda run: terminal.snapshot_line(run.best_snapshot, run, lang),
        "relative": terminal.relative,
        "symbols": texts.SYMBOLS,
    }
    plotly = values["plotly"]
    policy = f"'sha256-{_digest(_asset('report.js'))}'"
    if "gzip" in plotly or "frame" in plotly:
        policy += f" 'sha256-{_plotly_digest()}'"
    elif "src" in plotly:
        policy += f" {plotly['allowed']}"
    words |= {"css": _asset("report.css"), "js": _asset("report.js"), "policy": policy}
    return _environment().get_template(template).render(lang=lang, report=report, **words, **values)


def _diff(remedy: contract.Remedy) -> str:
    """What a remedy sets, as the lines of a configuration that go and come; "" where a value is not known."""
    lines = []
    for knob, change in remedy.set.items():
        old, new = (terminal.value(one) for one in (change.old, change.new))
        if not new:
            return ""
        lines += [f"- {knob}: {old}"] if old else []
        lines.append(f"+ {knob}: {new}")
    return "\n".join(lines)


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@lru_cache(maxsize=8)
def _asset(name: str) -> str:
    return (_HERE / "assets" / name).read_text(encoding="utf-8")


def _shown(run: contract.Run) -> contract.Run:
    """The same rows with every text safe to show: no control character, no change of direction."""
    return msgspec.convert(_cleaned(msgspec.to_builtins(run)), contract.Run)


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value, lines=True)
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(one) for key, one in value.items()}
    return [_cleaned(one) for one in value] if isinstance(value, list | tuple) else value


# --- data for the plots ----------------------------------------------------------------------------------


def _figure_rows(
    drawn: Sequence[Figure | HeatMap], lang: str, unit: str = "iteration"
) -> list[dict[str, Any]]:
    """What the page says about each figure. unit: of the steps, for those who do not see them."""
    from gandoctor.reports._heat import HeatMap

    return [
        _map_rows(figure, lang) if isinstance(figure, HeatMap) else _lines_rows(figure, unit, lang)
        for figure in drawn
    ]


def _lines_rows(figure: Figure, unit: str, lang: str) -> dict[str, Any]:
    note = []
    if figure.shown < figure.points:
        note.append(say("thinned", lang, shown=f"{figure.shown:,}", points=f"{figure.points:,}"))
    else:
        note.append(say("all-points", lang, points=f"{figure.points:,}"))
    if any(line.trend is not None for line in figure.lines):
        note.append(say("trend-note", lang))
    if any(len(line.broken) for line in figure.lines):
        note.append(say("broken-note", lang))
    if figure.left_out:
        note.append(say("left-out", lang, count=figure.left_out))
    said = [_said(line, unit, lang) for line in figure.lines]
    return {
        "id": figure.id,
        "title": figure.title,
        "note": texts.sentences(note, lang),
        "said": texts.sentences([say("plot-of", lang), *said], lang),
        "focus": figure.focus is not None,
        "log": figure.positive,
        "empty": figure.empty,
        "heat": 0,
        "names": [line.name for line in figure.lines],
        "lines": [
            {"name": line.name, "tone": line.tone, "dash": line.dash, "hidden": line.hidden}
            for line in figure.lines
        ],
        "levels": [{"network": level.network, "text": level.text} for level in figure.levels],
    }


def _said(line: Line, unit: str, lang: str) -> str:
    """A line in words, for those who do not see it."""
    import numpy as np

    values = line.values[np.isfinite(line.values)]
    if not len(values):
        return say("line-empty", lang, name=line.name)
    ends = (values[0], values[-1], values.min(), values.max())
    first, last, low, high = (texts.number(float(one)) for one in ends)
    return say("line-said", lang, name=line.name, first=first, last=last, low=low, high=high,
               at=at_step(int(line.steps[np.nanargmax(line.values)]), unit, lang))  # fmt: skip


def _map_rows(figure: HeatMap, lang: str) -> dict[str, Any]:
    note = [figure.source]
    note.append(say("heat-thinned" if figure.thinned else "all-points", lang, points=f"{figure.points:,}"))
    if figure.left_out:
        note.append(say("left-out", lang, count=figure.left_out))
    return {
        "id": figure.id,
        "title": figure.title,
        "note": texts.sentences(note, lang),
        "said": say("heat-of", lang, count=len(figure.names), names=texts.join(list(figure.names), lang)),
        "focus": False,
        "log": False,
        "empty": False,
        "heat": len(figure.names),
        "names": list(figure.names),
        "start": figure.start,
        "ends": _ends(figure),
        "lines": [],
        "levels": [],
    }


def _ends(figure: HeatMap) -> tuple[str, str]:
    """What the colours mean at both ends."""
    low, high = (float(one) for one in figure.scale)
    if figure.start:
        return f"÷ {texts.number(10**high)}", f"× {texts.number(10**high)}"
    return texts.number(10**low), texts.number(10**high)


def _figure_data(figure: Figure | HeatMap) -> dict[str, Any]:
    from gandoctor.reports._heat import HeatMap

    if isinstance(figure, HeatMap):
        return {
            "id": figure.id,
            "pair": clean(figure.pair),
            "heat": {
                "names": [clean(name) for name in figure.names],
                "short": [clean(name) for name in figure.short],
                "x": _packed(figure.edges),
                "z": _packed(figure.values.ravel()),
                "start": figure.start,
                "scale": figure.scale.tolist(),
            },
        }
    return {
        "id": figure.id,
        "pair": clean(figure.pair),
        "lines": [_line_data(line) for line in figure.lines],
        "levels": [
            {"value": one.value, "until": one.until, "network": one.network, "text": one.text}
            for one in figure.levels
        ],
        "log": figure.log,
        "focus": figure.focus,
        "empty": figure.empty,
    }


def _line_data(line: Line) -> dict[str, Any]:
    data: dict[str, Any] = {
        "name": clean(line.name),
        "tone": line.tone,
        "dash": line.dash,
        "hidden": line.hidden,
        "x": _packed(line.steps),
        "y": _packed(line.values),
        "broken": line.broken.tolist(),
    }
    if line.trend is not None:
        data["trend"] = {"x": _packed(line.trend.steps), "y": _packed(line.trend.values)}
    return data


def _packed(values: Steps | Values) -> list[str]:
    """Numbers as [type, base64]: little-endian, in 4 bytes where they fit, else in 8."""
    import numpy as np

    finite = np.abs(values[np.isfinite(values)]) if len(values) else values
    if values.dtype.kind == "i":
        kind = "i4" if not len(finite) or finite.max() < 2**31 else "f8"
    else:
        nonzero = finite[finite > 0]
        kind = "f4" if not len(nonzero) or (nonzero.max() < 1e37 and nonzero.min() > 1e-37) else "f8"
    return [kind, base64.b64encode(values.astype(f"<{kind}").tobytes()).decode()]


def _mark(finding: contract.Finding) -> dict[str, Any]:
    return {
        "id": finding.id,
        "code": finding.code,
        "severity": finding.severity,
        "pair": finding.subject.pair,
        "onset": finding.onset_step,
        "interval": finding.onset_interval,
        "end": finding.end_step,
    }


def _json(data: object) -> str:
    """JSON that may stand inside a script element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _when(diagnosis: Diagnosis, step: int, lang: str) -> str:
    """The time of day at a step, where the log knows it."""
    from datetime import UTC, datetime

    import numpy as np

    for one in diagnosis.run.series.values():
        if one.wall_time is not None and len(one) and one.steps[0] <= step <= one.steps[-1]:
            seconds = float(one.wall_time[int(np.searchsorted(one.steps, step))])
            if 0 < seconds < 4e9:  # until 2096; else it is no time
                at = datetime.fromtimestamp(seconds, UTC)
                return texts.time_of_day(at, lang)
    return ""


# --- plotly.js -------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _plotly() -> bytes:
    """plotly.js as the Python package ships it; that package itself is not imported."""
    spec = importlib.util.find_spec("plotly")
    path = Path(spec.origin or "").parent / "package_data" / "plotly.min.js" if spec else Path()
    if not path.is_file():
        raise UserError(
            "plotly.js was not found", where=str(path), hint="pip install --force-reinstall plotly"
        )
    return path.read_bytes()


@lru_cache(maxsize=1)
def _plotly_digest() -> str:
    return base64.b64encode(hashlib.sha256(_plotly()).digest()).decode()


def _loaded(plotlyjs: str, beside: str = "") -> dict[str, Any]:
    """How a page gets plotly.js. beside: the file that holds it, where several pages share one.

    Raises UserError for a word that is not in `PLOTLY`.
    """
    if plotlyjs == "none":
        return {"none": True}
    if plotlyjs == "cdn":
        version = re.search(rb"plotly\.js v([\w.+-]+)", _plotly()[:300])
        if version is None:
            raise UserError(
                "plotly.js does not tell its version", where="--plotlyjs cdn", hint="--plotlyjs inline"
            )
        src = f"https://cdn.plot.ly/plotly-{version[1].decode()}.min.js"
        return {"src": src, "allowed": src, "integrity": f"sha256-{_plotly_digest()}"}
    if plotlyjs != "inline":
        raise UserError(
            f"plotly.js does not come from '{plotlyjs}'", where="--plotlyjs", hint=", ".join(PLOTLY)
        )
    return {"src": beside, "allowed": "'self' file:"} if beside else _embedded()


@lru_cache(maxsize=1)
def _embedded() -> dict[str, Any]:
    """plotly.js for the inside of a page, which the browser inflates itself."""
    return {"gzip": _compressed(_plotly())}


def _compressed(data: bytes) -> str:
    """Bytes as gzip in base64; no time in it, so that the same bytes come out the same."""
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode()


@lru_cache(maxsize=4)
def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
