"""Whether a diagnosis fails a check, and the baseline of findings that were accepted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gandoctor.config import Config
from gandoctor.errors import UserError
from gandoctor.findings import Severity
from gandoctor.interpret.roles import parse_role
from gandoctor.judge.diagnosis import Diagnosis, Judged, Verdict

SEVERITIES = ("error", "warning")  # what --fail-on takes beside codes


@dataclass(frozen=True, slots=True)
class Check:
    """fail_on: "error", "warning" or codes ("GD2" means all GD2xx). min_confidence: 0 to 1.

    require: roles that each run must log ("G.grad_norm"; "D.loss" means all its parts).
    accepted: fingerprint → severity, of findings that fail nothing unless they have become worse.
    """

    fail_on: tuple[str, ...] = ("error",)
    min_confidence: float = 0.0
    require: tuple[str, ...] = ()
    accepted: Mapping[str, Severity] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Config, accepted: Mapping[str, Severity] | None = None) -> Check:
        """The check that a configuration asks for. Raises UserError."""
        return cls(config.fail_on, config.min_confidence, config.require, accepted or {})

    def __post_init__(self) -> None:
        for role in self.require:
            parse_role(role, "--require")
        for word in self.fail_on:
            if word not in SEVERITIES and not word.startswith("GD"):
                raise UserError(f"'{word}' is neither error, warning nor a code", where="--fail-on",
                                hint="for example --fail-on warning --fail-on GD401")  # fmt: skip


def missing(diagnosis: Diagnosis, check: Check) -> tuple[str, ...]:
    """The roles that the check requires and the run does not log."""
    logged = {f"{role}." for view in diagnosis.views for role in view.roles.values()}
    return tuple(
        role for role in check.require if not any(one.startswith(role.rstrip(".") + ".") for one in logged)
    )


def fails(diagnosis: Diagnosis, check: Check, config: Config) -> str:
    """The id of the first finding that fails the check, "" if none does."""
    return next((judged.id for judged in failing(diagnosis, check, config)), "")


def failing(diagnosis: Diagnosis, check: Check, config: Config) -> list[Judged]:
    """The findings that fail the check.

    "error" means what makes the verdict failing: an error still active at the end of the run.
    """
    return [
        judged
        for judged in diagnosis.findings
        if _counts(judged, check, config)
        and not _accepted(judged, diagnosis, check)
        and _is_named(judged, diagnosis, check)
    ]


def _is_named(judged: Judged, diagnosis: Diagnosis, check: Check) -> bool:
    """Whether --fail-on names a finding, by its code or its severity."""
    severity, code = judged.finding.severity, judged.finding.code
    if any(word.startswith("GD") and code.startswith(word) for word in check.fail_on):
        return True
    if "warning" in check.fail_on and severity >= Severity.WARNING:
        return True
    return "error" in check.fail_on and severity is Severity.ERROR and diagnosis.verdict is Verdict.FAILING


def _counts(judged: Judged, check: Check, config: Config) -> bool:
    return judged.confidence >= check.min_confidence and config.wants(judged.finding.code)


def _accepted(judged: Judged, diagnosis: Diagnosis, check: Check) -> bool:
    known = check.accepted.get(fingerprint(diagnosis, judged))
    return known is not None and judged.finding.severity <= known


def fingerprint(diagnosis: Diagnosis, judged: Judged) -> str:
    """The run, the code and the subject, hashed (SHA-256, hexadecimal): the same as the run goes on.

    Not the step, which moves, nor the folder in which the command runs: a run's path counts from there.
    """
    path, subject = diagnosis.run.path.absolute(), judged.finding.subject
    name = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    parts = (
        name.as_posix(), diagnosis.run.name, judged.finding.code, subject.pair, subject.network, subject.layer,
        subject.tag,
    )  # fmt: skip
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def write_baseline(diagnoses: Sequence[Diagnosis], path: Path) -> int:
    """Write the warnings and errors of today to a file that `read_baseline` reads; return how many.

    One line a finding, sorted, so that a diff shows what was accepted. Raises UserError.
    """
    found = {
        fingerprint(diagnosis, judged): {
            "severity": judged.finding.severity.slug, "code": judged.finding.code, "run": diagnosis.run.name,
        }
        for diagnosis in diagnoses
        for judged in diagnosis.findings
        if judged.finding.severity >= Severity.WARNING
    }  # fmt: skip
    lines = [f"  {json.dumps(key)}: {json.dumps(found[key])}" for key in sorted(found)]
    text = '{"gandoctor-baseline": 1, "findings": {\n' + ",\n".join(lines) + "\n}}\n"
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as fault:
        raise UserError(f"cannot be written: {fault.strerror or fault}", where=str(path)) from fault
    return len(found)


def accepted(config: Config) -> dict[str, Severity]:
    """What the baseline of a configuration accepts, nothing where it names none. Raises UserError."""
    return read_baseline(config.baseline) if config.baseline else {}


def read_baseline(path: Path) -> dict[str, Severity]:
    """Fingerprint → severity of the findings that were accepted. Raises UserError if it is no such file."""
    hint = "gandoctor check PATH --write-baseline FILE makes one"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["gandoctor-baseline"] != 1:
            raise UserError("the baseline is of another version", where=str(path), hint=hint)
        return {str(key): Severity[one["severity"].upper()] for key, one in data["findings"].items()}
    except OSError as fault:
        raise UserError(f"cannot be read: {fault.strerror or fault}", where=str(path), hint=hint) from fault
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise UserError("not a baseline of gandoctor", where=str(path), hint=hint) from fault
