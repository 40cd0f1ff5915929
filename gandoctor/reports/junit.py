"""JUnit XML: a test suite a run, a test case a symptom, as GitLab, Jenkins and others show it.

An error is a failed test, a symptom that could not be examined a skipped one. A warning is a passed test
that says so: whether it fails a build is the business of `gandoctor check`.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from gandoctor.judge.diagnosis import Diagnosis
    from gandoctor.judge.rules import Rule
    from gandoctor.reports import contract

FORMAT = "junit"
SUFFIXES = (".junit.xml", ".xml")


def write(
    diagnoses: Sequence[Diagnosis],
    out: TextIO,
    *,
    lang: str = "en",
    rules: Mapping[str, Rule] | None = None,
) -> None:
    """Write one document; names and texts carry no control characters."""
    from gandoctor.reports import rows

    root = ET.Element("testsuites", name="gandoctor")
    for run in rows.report(diagnoses, lang, rules).runs:
        root.append(_suite(run, lang))
    for count in ("tests", "failures", "skipped"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    _printable(root)
    ET.indent(root)
    out.write('<?xml version="1.0" encoding="UTF-8"?>\n')
    out.write(ET.tostring(root, encoding="unicode") + "\n")


def _suite(run: contract.Run, lang: str) -> ET.Element:
    from gandoctor.reports._ci import RANK, relative
    from gandoctor.reports.texts import clean, say

    suite = ET.Element("testsuite", name=clean(run.name))
    place = relative(Path(run.path)).path
    failures = skipped = 0
    for line in run.coverage:
        # The class is shown as the suite by GitLab, which ignores a name that it has seen in one.
        case = ET.SubElement(
            suite,
            "testcase",
            classname=clean(run.name),
            name=f"{line.code} {line.slug}",
            time="0",
            file=place,
        )
        found = sorted((f for f in run.findings if f.code == line.code), key=lambda f: RANK[f.severity])
        if found and found[0].severity == "error":
            failure = ET.SubElement(case, "failure", type=line.code, message=clean(found[0].message))
            failure.text = "\n".join(_told(f) for f in found)
            failures += 1
        elif found:
            ET.SubElement(case, "system-out").text = "\n".join(_told(f) for f in found)
        elif line.state != "examined":
            ET.SubElement(case, "skipped", message=clean(line.reason) or say("not-seen", lang))
            skipped += 1
    suite.set("tests", str(len(run.coverage)))
    suite.set("failures", str(failures))
    suite.set("skipped", str(skipped))
    return suite


def _printable(root: ET.Element) -> None:
    """Take out the two characters that XML 1.0 forbids and `clean` lets pass."""
    table = dict.fromkeys((0xFFFE, 0xFFFF), "\ufffd")
    for element in root.iter():
        element.text = element.text and element.text.translate(table)
        for name, value in element.items():
            element.set(name, value.translate(table))


def _told(finding: contract.Finding) -> str:
    from gandoctor.reports.texts import clean

    return clean(f"{finding.severity}: {finding.message}")
