"""The JSON Schema of the contract, shipped as `schema.json`.

`python -m gandoctor.reports.schema` writes it anew after a change of `contract.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from gandoctor.reports import contract

FILE = Path(__file__).parent / "schema.json"


def schema() -> dict[str, Any]:
    """The schema, generated from the types of the contract (JSON Schema 2020-12)."""
    made = msgspec.json.schema(contract.Report)
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"gandoctor diagnosis, contract {contract.VERSION}",
    }
    return {**head, **made}


def text() -> str:
    """The schema as the shipped file holds it."""
    return json.dumps(schema(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8", newline="\n")
