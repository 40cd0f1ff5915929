"""SARIF 2.1.0 for code scanning (OASIS; GitHub's limits from its "SARIF support for code scanning").

GitHub refuses a whole file over one result without a physical location, so every result has one: the log in
the repository, at the line of the onset where the log has lines; a run that lies elsewhere is anchored at
the configuration file of the project, or at its README. Run, network, layer and tag stand beside it as
logical locations.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import quote

if TYPE_CHECKING:
    from gandoctor.judge.diagnosis import Diagnosis
    from gandoctor.judge.rules import Rule
    from gandoctor.reports._ci import Reported

FORMAT = "sarif"
SUFFIXES = (".sarif", ".sarif.json")

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
RESULTS, TEXT = 5_000, 1_024  # GitHub's limits: results shown, characters of a description
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}
_ANCHORS = ("gandoctor.toml", "pyproject.toml", "README.md")


def write(
    diagnoses: Sequence[Diagnosis],
    out: TextIO,
    *,
    lang: str = "en",
    rules: Mapping[str, Rule] | None = None,
) -> None:
    """Write one log with one SARIF run, whatever the number of training runs; the worst findings first."""
    import gandoctor
    from gandoctor.judge.rules import load_rules
    from gandoctor.reports._ci import reported

    known = load_rules() if rules is None else rules
    found = list(reported(diagnoses, lang, known))[:RESULTS]
    codes = sorted({one.finding.code for one in found})
    described = [_rule(code, known, lang) for code in codes]
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "gandoctor", "version": gandoctor.__version__,
                "rules": described,
            }},
            "automationDetails": {"id": "gandoctor/"},
            "columnKind": "unicodeCodePoints",
            "results": [_result(one, codes) for one in found],
        }],
    }  # fmt: skip
    out.write(json.dumps(log, indent=2, ensure_ascii=False) + "\n")


def _rule(code: str, rules: Mapping[str, Rule], lang: str) -> dict[str, Any]:
    from gandoctor.reports.rows import rule_of

    rule = rule_of(code, rules)
    summary = rule.summary.pick(lang)
    advice = [f"- {one.change.pick(lang)}: {one.why.pick(lang)}" for one in rule.remedies]
    return {
        "id": code,
        "name": rule.slug,
        "shortDescription": {"text": rule.title.pick(lang)[:TEXT] or code},
        "fullDescription": {"text": summary[:TEXT] or code},
        "help": {"text": "\n".join([summary, *advice]), "markdown": "\n".join([summary, "", *advice])},
    }


def _result(one: Reported, codes: Sequence[str]) -> dict[str, Any]:
    from gandoctor.reports.texts import clean

    finding, subject = one.finding, one.finding.subject
    logical = [("run", one.run.name)]
    for kind in ("pair", "network", "layer", "tag"):
        if getattr(subject, kind):
            logical.append((kind, getattr(subject, kind)))
    path, line = (one.place.path, one.place.line) if one.place.inside else (_anchor(), 1)
    return {
        "ruleId": finding.code,
        "ruleIndex": codes.index(finding.code),
        "level": _LEVELS[finding.severity],
        "message": {"text": clean(f"{one.run.name}: {finding.message}")},
        "locations": [{
            "physicalLocation": {
                "artifactLocation": {"uri": quote(path)},
                "region": {"startLine": line, "startColumn": 1, "endLine": line, "endColumn": 2},
            },
            "logicalLocations": [{"name": clean(name), "kind": kind} for kind, name in logical],
        }],
        "partialFingerprints": {"primaryLocationLineHash": one.fingerprint},
        "properties": {"onsetStep": finding.onset_step, "confidence": finding.confidence},
    }  # fmt: skip


def _anchor() -> str:
    """A file of the project in the working directory to hang a result on whose run lies elsewhere."""
    return next((name for name in _ANCHORS if Path(name).is_file()), _ANCHORS[0])
