"""Whether a diagnosis fails a check."""

from __future__ import annotations

from dataclasses import dataclass

from gandoctor.config import Config
from gandoctor.errors import UserError
from gandoctor.findings import Severity
from gandoctor.judge.diagnosis import Diagnosis, Judged, Verdict


@dataclass(frozen=True, slots=True)
class Check:
    """fail_on: "error", "warning" or codes ("GD2" means all GD2xx). min_confidence: 0 to 1."""

    fail_on: tuple[str, ...] = ("error",)
    min_confidence: float = 0.0

    def __post_init__(self) -> None:
        for word in self.fail_on:
            if word not in ("error", "warning") and not word.startswith("GD"):
                raise UserError(f"'{word}' is neither error, warning nor a code", where="--fail-on",
                                hint="for example --fail-on warning --fail-on GD401")  # fmt: skip


def fails(diagnosis: Diagnosis, check: Check, config: Config) -> str:
    """The id of the finding that fails the check, "" if none does.

    "error" means what makes the verdict failing: an error still active at the end of the run.
    """
    counted = [j for j in diagnosis.findings if _counts(j, check, config)]
    for judged in counted:
        severity, code = judged.finding.severity, judged.finding.code
        if any(word.startswith("GD") and code.startswith(word) for word in check.fail_on):
            return judged.id
        if "warning" in check.fail_on and severity >= Severity.WARNING:
            return judged.id
        if "error" in check.fail_on and severity is Severity.ERROR and diagnosis.verdict is Verdict.FAILING:
            return judged.id
    return ""


def _counts(judged: Judged, check: Check, config: Config) -> bool:
    return judged.confidence >= check.min_confidence and config.wants(judged.finding.code)
