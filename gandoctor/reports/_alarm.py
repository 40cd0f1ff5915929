"""Why a job should end, or a test fails, in a few lines: what, since when, by what evidence, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from gandoctor.judge.checking import Check, accepted, failing, missing
from gandoctor.judge.diagnosis import Verdict
from gandoctor.reports import rows
from gandoctor.reports.texts import at_step, clauses, clean, number, say, verdict_line

if TYPE_CHECKING:
    from gandoctor.config import Config
    from gandoctor.findings import Severity
    from gandoctor.judge.diagnosis import Diagnosis, Judged
    from gandoctor.reports import contract


def told(diagnosis: Diagnosis, judged: Judged, config: Config) -> str:
    """One finding of a run: its sentence, its onset, its evidence, and the first remedy of the run."""
    from gandoctor.judge.rules import load_rules

    lang = config.lang
    run = rows.run_rows(diagnosis, lang, load_rules(*config.rules))
    finding = next(one for one in run.findings if one.id == judged.id)
    return "\n".join(clean(line) for line in _lines(run, finding, lang))


def ills(diagnoses: Sequence[Diagnosis], path: str, config: Config, allow_unknown: bool = False) -> str:
    """What is wrong with the runs at a path, by what a configuration lets pass; "" if nothing is.

    Raises UserError if the configuration's baseline cannot be read.
    """
    known = accepted(config)
    parts = [_ill(diagnosis, config, known, allow_unknown) for diagnosis in diagnoses]
    if not diagnoses and not allow_unknown:
        parts.append(say("not-judged", config.lang, run=clean(path), why=say("no-log-yet", config.lang)))
    return "\n\n".join(filter(None, parts))


def _ill(
    diagnosis: Diagnosis, config: Config, known: Mapping[str, Severity], allow_unknown: bool
) -> str:  # fmt: skip
    own, lang, run = config.for_path(diagnosis.run.path), config.lang, clean(diagnosis.run.name)
    check = Check.of(own, known)
    found, lacking = failing(diagnosis, check, own), missing(diagnosis, check)
    lines = [say("not-healthy", lang, run=run)] if found or lacking else []
    if found:
        primary = diagnosis.primary
        first = next((one for one in found if primary is not None and one.id == primary.id), found[0])
        lines.append(told(diagnosis, first, own))
    if len(found) > 1:
        lines.append(say("more-findings", lang, count=len(found) - 1))
    if lacking:
        lines.append(say("not-logged", lang, roles=", ".join(lacking)))
    if not lines and diagnosis.verdict is Verdict.UNKNOWN and not allow_unknown:
        why = verdict_line(diagnosis.verdict, diagnosis.examined, lang)
        lines.append(say("not-judged", lang, run=run, why=why))
    return "\n".join(lines)


def ended(diagnosis: Diagnosis, judged: Judged, config: Config) -> str:
    """Why a running job should end."""
    said = say("ended", config.lang, run=clean(diagnosis.run.name), code=judged.finding.code)
    return f"{said}\n{told(diagnosis, judged, config)}"


def _lines(run: contract.Run, finding: contract.Finding, lang: str) -> Iterator[str]:
    from gandoctor.reports.terminal import changes

    def labelled(key: str, text: str) -> str:
        return say("labelled", lang, label=say(key, lang), text=text)

    yield f"{finding.code} {finding.title}"
    yield finding.message
    source = say(finding.confidence_source, lang)
    sure = say("confidence", lang, value=f"{finding.confidence:.2f}", source=source)
    yield labelled("onset", clauses([at_step(finding.onset_step, run.unit, lang), sure], lang))
    evidence = [
        f"{one.statistic} {number(one.value, one.value_text or '')}"
        + (f" ({say('limit', lang, value=number(one.threshold))})" if one.threshold is not None else "")
        for one in finding.evidence
    ]
    if evidence:
        yield labelled("evidence", "; ".join(evidence))
    if run.prescription:
        remedy = run.prescription[0]
        turned = changes(remedy, lang)
        yield labelled("do-first", remedy.change + (f" ({turned})" if turned else ""))
