r"""The record that a systematic person keeps: one JSON object a line, in the project's own folder.

    {"kind": "baseline", "id": 1, "time": "2026-11-30T20:00:00+00:00", "runs": [{"path": "runs/base", ...}], ...}
    {"kind": "hypothesis", "id": 2, "of": 1, "code": "GD201", "remedy": "lower-d-lr", "set": {"lr_D": [4e-4, 1e-4]}, ...}
    {"kind": "result", "id": 3, "of": 2, "advice": "keep", "decision": "keep", ...}

Lines are only ever added. A writer holds a lock on the file, numbers its entry, and appends it in one write
that is on the disk before it returns. A line that a kill cut off is closed by the next writer and reported by
every reader; the other lines are kept.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct

import gandoctor
from gandoctor.errors import UserError
from gandoctor.judge.diagnosis import Diagnosis, Judged
from gandoctor.loop.compare import Comparison
from gandoctor.loop.settings import hyperparameters, same
from gandoctor.run import LogProblem, Scalar
from gandoctor.thresholds import version

FILE = "gandoctor-journal.jsonl"
_LARGEST = 256 << 20  # bytes that are read
_GIT_SECONDS = 10

Decision = Literal["keep", "revert", "open"]


class Symptom(Struct, frozen=True):
    """A symptom of a run: how bad, since when (in the log's own unit), how sure (0 to 1)."""

    code: str
    severity: str
    onset_step: int
    confidence: float


class Offer(Struct, frozen=True):
    """A remedy that the diagnosis named: the symptom's code, its id, and knob → [from, to]."""

    code: str
    remedy: str
    set: dict[str, tuple[Scalar, Scalar]] = {}


class RunNote(Struct, frozen=True):
    """What is remembered of a run. path: relative to the journal's folder where it lies in it.

    settings: the hyperparameters by their own names. facts: by the vocabulary of rules.
    """

    path: str
    name: str
    verdict: str
    unit: str
    last_step: int
    primary: Symptom | None = None
    symptoms: tuple[Symptom, ...] = ()
    settings: dict[str, Scalar] = {}
    facts: dict[str, Scalar] = {}
    thumbnail: str = ""  # a data URI


class Code(Struct, frozen=True):
    """The project's version. dirty: whether files differ from the commit."""

    commit: str
    dirty: bool


class _Entry(Struct, frozen=True, kw_only=True, tag_field="kind"):
    id: int
    time: str  # ISO 8601, UTC
    gandoctor: str = ""
    thresholds: str = ""
    code_version: Code | None = None  # None where there is no git
    note: str = ""


class Baseline(_Entry, frozen=True, kw_only=True, tag="baseline"):
    """Where a series of changes starts: one run, or several seeds."""

    runs: tuple[RunNote, ...]
    offers: tuple[Offer, ...] = ()


class Hypothesis(_Entry, frozen=True, kw_only=True, tag="hypothesis"):
    """A supposed cause and the one change that would mend it. of: the entry that it departs from.

    remedy: its id among the rule's, "" for one of your own, whose sentences stand in because and change.
    """

    of: int
    code: str = ""
    remedy: str = ""
    because: str = ""
    change: str = ""
    expect: str = ""
    set: dict[str, tuple[Scalar, Scalar]] = {}


class Result(_Entry, frozen=True, kw_only=True, tag="result"):
    """What came of a hypothesis. advice: the comparison's verdict; decision: yours.

    changed: the settings that really changed, name → [from, to]; as_supposed: whether those that the hypothesis
    named came to what it said, None where it named none. reasons: the comparison's, by their slugs.
    """

    of: int
    runs: tuple[RunNote, ...]
    advice: str
    decision: Decision = "open"
    provisional: bool = False
    reasons: tuple[str, ...] = ()
    changed: dict[str, tuple[Scalar, Scalar]] = {}
    things: int = 0
    as_supposed: bool | None = None
    symptoms: dict[str, str] = {}
    compared_to: int = 0
    offers: tuple[Offer, ...] = ()


Entry = Baseline | Hypothesis | Result
_DECODER = msgspec.json.Decoder(Entry)
E_ = TypeVar("E_", Baseline, Hypothesis, Result)


# --- reading ---------------------------------------------------------------------------------------------


def read(path: Path) -> tuple[list[Entry], list[LogProblem]]:
    """Every entry of a journal, and what is wrong with the lines that are none. Both empty without a file.

    Raises UserError if the file cannot be read.
    """
    try:
        if not path.exists():
            return [], []
        if path.stat().st_size > _LARGEST:
            raise UserError("too large for a journal", where=str(path))
        with path.open("rb") as file, _locked(file.fileno(), shared=True):
            data = file.read()
    except OSError as fault:
        raise UserError(f"cannot be read: {fault.strerror or fault}", where=str(path)) from fault
    entries, problems, _ = _parsed(data, path)
    return entries, problems


def _parsed(data: bytes, path: Path) -> tuple[list[Entry], list[LogProblem], int]:
    """The entries, the damaged lines, and the highest number that may be taken."""
    entries: list[Entry] = []
    problems: list[LogProblem] = []
    taken = 0
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        taken += 1
        try:
            entry = _DECODER.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
            problems.append(
                LogProblem(path, f"line {number}", "damaged-line", f"no entry of a journal: {fault}")
            )
            continue
        entries.append(entry)
        taken = max(taken, entry.id)
    return entries, problems, taken


def baseline_of(entries: Sequence[Entry]) -> Baseline | Result | None:
    """What the next change departs from: the last baseline, or the last result since then that was kept."""
    standing: Baseline | Result | None = None
    for entry in entries:
        if isinstance(entry, Baseline) or (isinstance(entry, Result) and entry.decision == "keep"):
            standing = entry
    return standing


def open_hypothesis(entries: Sequence[Entry]) -> Hypothesis | None:
    """The last hypothesis that no result has decided."""
    decided = {entry.of for entry in entries if isinstance(entry, Result) and entry.decision != "open"}
    pending = [entry for entry in entries if isinstance(entry, Hypothesis) and entry.id not in decided]
    return pending[-1] if pending else None


def decisions(entries: Sequence[Entry]) -> dict[int, Decision]:
    """Hypothesis → what was decided about it; the last word counts."""
    return {entry.of: entry.decision for entry in entries if isinstance(entry, Result)}


def tried(entries: Sequence[Entry]) -> dict[tuple[str, str], Decision]:
    """(code, remedy) → what was decided about it, of every hypothesis so far."""
    decided = decisions(entries)
    return {
        (e.code, e.remedy): decided.get(e.id, "open")
        for e in entries
        if isinstance(e, Hypothesis) and e.remedy
    }


# --- writing ---------------------------------------------------------------------------------------------


def append(path: Path, make: Callable[[int, Sequence[Entry]], E_]) -> E_:
    """Add an entry: `make` gets its number and the entries so far, none of which can change meanwhile.

    Raises UserError if the file cannot be written; what stood in it stays as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644)
    except OSError as fault:
        raise UserError(f"cannot be written: {fault.strerror or fault}", where=str(path)) from fault
    try:
        with _locked(handle):
            data = _all_of(handle)
            entries, _, taken = _parsed(data, path)
            entry = make(taken + 1, entries)
            line = msgspec.json.encode(entry) + b"\n"
            _write_whole(handle, (b"\n" if data and not data.endswith(b"\n") else b"") + line, len(data))
    except OSError as fault:
        raise UserError(f"cannot be written: {fault.strerror or fault}", where=str(path)) from fault
    finally:
        os.close(handle)
    return entry


def _all_of(handle: int) -> bytes:
    os.lseek(handle, 0, os.SEEK_SET)
    parts = []
    while part := os.read(handle, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def _write_whole(handle: int, data: bytes, size: int) -> None:
    """Append and bring to the disk; a disk that is full leaves the file as it was."""
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    except OSError:
        os.ftruncate(handle, size)
        raise


@contextmanager
def _locked(handle: int, *, shared: bool = False) -> Iterator[None]:
    """Hold the file against other writers, or with other readers; the system lets go of it when a process dies."""
    if os.name == "nt":  # pragma: no cover
        import msvcrt

        os.lseek(handle, 1 << 40, os.SEEK_SET)  # a byte that nobody writes
        msvcrt.locking(handle, msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined]
        try:
            yield
        finally:
            os.lseek(handle, 1 << 40, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined]
        return
    import fcntl

    fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)


# --- entries ---------------------------------------------------------------------------------------------


def add_baseline(
    path: Path, diagnoses: Sequence[Diagnosis], *, note: str = "", thumbnails: Mapping[int, str] | None = None
) -> Baseline:
    """Begin with one run, or several seeds. thumbnails: place among the diagnoses → data URI."""
    common = _common(path, note)
    runs, offers = _noted(path, diagnoses, thumbnails or {}), _offers(diagnoses)
    return append(path, lambda number, _: Baseline(id=number, runs=runs, offers=offers, **common))


def add_hypothesis(
    path: Path, *, remedy: str = "", code: str = "", because: str = "", change: str = "", note: str = ""
) -> Hypothesis:
    """A supposed cause and one change: a remedy that the baseline's diagnosis named, or your own words.

    remedy, code: of the baseline's remedies the first that fits, and was not tried yet where neither is given.
    Raises UserError where there is no baseline, or no such remedy.
    """
    common = _common(path, note)

    def make(number: int, entries: Sequence[Entry]) -> Hypothesis:
        standing = baseline_of(entries)
        if standing is None:
            raise UserError("the journal has no baseline", where=str(path), hint="gandoctor journal new RUN")
        if change and not remedy:
            primary = standing.runs[0].primary if standing.runs else None
            symptom = code or ("" if primary is None else primary.code)
            return Hypothesis(
                id=number, of=standing.id, code=symptom, because=because, change=change, **common
            )
        chosen = chosen_offer(standing.offers, tried(entries), remedy, code, path)
        return Hypothesis(
            id=number, of=standing.id, code=chosen.code, remedy=chosen.remedy, set=chosen.set, because=because,
            change=change, **common,
        )  # fmt: skip

    return append(path, make)


def chosen_offer(
    offers: Sequence[Offer], done: Mapping[tuple[str, str], Decision], remedy: str, code: str, path: Path
) -> Offer:
    """The remedy that is meant. Raises UserError if none is."""
    fits = [one for one in offers if remedy in ("", one.remedy) and code in ("", one.code)]
    fresh = fits if remedy else [one for one in fits if (one.code, one.remedy) not in done]
    if fresh:
        return fresh[0]
    hint = "in your own words: --change TEXT --because TEXT"
    if not offers:
        raise UserError("the baseline's diagnosis names no remedy", where=str(path), hint=hint)
    if fits:
        raise UserError(
            "every remedy that fits was tried already", where=str(path), hint=f"--remedy ID, or {hint}"
        )
    known = ", ".join(f"{one.code} {one.remedy}" for one in offers)
    raise UserError(
        f"the baseline's diagnosis names no remedy '{remedy or code}'",
        where=str(path),
        hint=f"it names: {known}; or {hint}",
    )


def add_result(
    path: Path,
    comparison: Comparison,
    *,
    hypothesis: int | None = None,
    decision: Decision = "open",
    note: str = "",
    thumbnails: Mapping[int, str] | None = None,
) -> Result:
    """What came of a hypothesis, the open one unless given by its number. Raises UserError if there is none."""
    common = _common(path, note)
    diagnoses = [member.diagnosis for member in comparison.candidate]
    runs, offers = _noted(path, diagnoses, thumbnails or {}), _offers(diagnoses)

    def make(number: int, entries: Sequence[Entry]) -> Result:
        supposed = hypothesis_of(entries, hypothesis, path)
        changed = comparison.changes.settings
        return Result(
            id=number,
            of=supposed.id,
            runs=runs,
            advice=comparison.decision.value,
            decision=decision,
            provisional=comparison.provisional,
            reasons=tuple(reason.slug for reason in comparison.reasons),
            changed={one.name: (_plain(one.old), _plain(one.new)) for one in changed},
            as_supposed=_as_supposed(supposed, {one.name: one.new for one in changed}),
            things=len(comparison.changes.things),
            symptoms={one.code: one.change for one in comparison.symptoms},
            compared_to=comparison.steps,
            offers=offers,
            **common,
        )

    return append(path, make)


def _as_supposed(hypothesis: Hypothesis, changed: Mapping[str, Scalar]) -> bool | None:
    """Whether the settings that a hypothesis named came to what it said; None where it named none."""
    wanted = {knob: new for knob, (_, new) in hypothesis.set.items() if knob != "lr_ratio"}
    if not wanted or not changed:
        return None
    return all(knob in changed and (new is None or same(new, changed[knob])) for knob, new in wanted.items())


def hypothesis_of(entries: Sequence[Entry], number: int | None, path: Path) -> Hypothesis:
    """The hypothesis of a number, or the open one. Raises UserError if there is none."""
    if number is None:
        pending = open_hypothesis(entries)
        if pending is None:
            raise UserError("no hypothesis is open", where=str(path), hint="gandoctor journal hypothesis")
        return pending
    for entry in entries:
        if entry.id == number and isinstance(entry, Hypothesis):
            return entry
    raise UserError(
        f"entry {number} is no hypothesis", where=str(path), hint="gandoctor journal show lists them"
    )


def departs_from(entries: Sequence[Entry], hypothesis: Hypothesis, path: Path) -> Baseline | Result:
    """The entry with which a hypothesis's result is to be compared. Raises UserError if its line is damaged."""
    for entry in entries:
        if entry.id == hypothesis.of and not isinstance(entry, Hypothesis):
            return entry
    raise UserError(
        f"entry {hypothesis.of}, from which hypothesis {hypothesis.id} departs, cannot be read", where=str(path),
        hint="name the runs to compare with: --baseline RUN",
    )  # fmt: skip


def _common(path: Path, note: str) -> dict[str, Any]:
    return {
        "time": _now(),
        "gandoctor": gandoctor.__version__,
        "thresholds": version(),
        "code_version": code_version(path.parent),
        "note": note,
    }


def _now() -> str:
    """The time, to the second; SOURCE_DATE_EPOCH stands in for it where output must be reproducible."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    moment = datetime.fromtimestamp(int(given), UTC) if given.isdigit() else datetime.now(UTC)
    return moment.isoformat(timespec="seconds")


def code_version(folder: Path) -> Code | None:
    """The commit of the project that a folder belongs to; None without git, or before the first commit."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    status = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return Code(commit.strip(), bool(status and status.strip()))


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *words],
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_GIT_SECONDS,
            check=False,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _noted(path: Path, diagnoses: Sequence[Diagnosis], thumbnails: Mapping[int, str]) -> tuple[RunNote, ...]:
    return tuple(_note(path, one, thumbnails.get(place, "")) for place, one in enumerate(diagnoses))


def _note(path: Path, diagnosis: Diagnosis, thumbnail: str) -> RunNote:
    primary = diagnosis.primary
    return RunNote(
        path=_relative(diagnosis.run.path, path.parent),
        name=_utf8(diagnosis.run.name),
        verdict=diagnosis.verdict.value,
        unit=diagnosis.views[0].unit.value if diagnosis.views else "",
        last_step=max((view.span[1] for view in diagnosis.views), default=0),
        primary=None if primary is None else _symptom(primary),
        symptoms=tuple(_symptom(j) for j in diagnosis.findings if j.finding.severity.slug != "info"),
        settings={_utf8(name): _plain(value) for name, value in hyperparameters(diagnosis.run).items()},
        facts={name: _plain(fact.value) for view in diagnosis.views[:1] for name, fact in view.facts.items()},
        thumbnail=thumbnail,
    )


def _symptom(judged: Judged) -> Symptom:
    finding = judged.finding
    return Symptom(finding.code, finding.severity.slug, finding.stretch.onset, round(judged.confidence, 4))


def _offers(diagnoses: Sequence[Diagnosis]) -> tuple[Offer, ...]:
    """The remedies of the first run that has any."""
    for diagnosis in diagnoses:
        if diagnosis.prescription:
            return tuple(
                Offer(one.code, one.id, {c.knob: (_plain(c.old), _plain(c.new)) for c in one.changes})
                for one in diagnosis.prescription
            )
    return ()


def _plain(value: Scalar) -> Scalar:
    """A value as JSON can hold it."""
    if isinstance(value, float):
        value = float(value)  # numpy's float64 is one too
        return value if value - value == 0 else str(value)
    return _utf8(value) if isinstance(value, str) else value


def _utf8(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _relative(path: Path, folder: Path) -> str:
    """A path as seen from the journal's folder, or whole where it lies elsewhere; links are not followed."""
    own, root = Path(os.path.abspath(path)), Path(os.path.abspath(folder))
    return _utf8((own.relative_to(root) if own.is_relative_to(root) else own).as_posix())
