"""The JSON Schemas of the loop's contract. `python -m gandoctor.reports.loop.schema` writes them anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from gandoctor.reports.loop import contract

HERE = Path(__file__).parent
KINDS: dict[str, Any] = {"compare": contract.CompareReport, "sensitivity": contract.SensitivityReport}


def file(kind: str) -> Path:
    """Where the schema of a command lies."""
    return HERE / f"{kind}.schema.json"


def text(kind: str) -> str:
    """The schema as the shipped file holds it (JSON Schema 2020-12)."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"gandoctor {kind}, contract {contract.VERSION}",
    }
    made = {**head, **msgspec.json.schema(KINDS[kind])}
    return json.dumps(made, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for one in KINDS:
        file(one).write_text(text(one), encoding="utf-8", newline="\n")
