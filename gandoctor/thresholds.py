"""The numbers that decide, from `rules/thresholds.toml`, and where the rules' data lies."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from gandoctor.errors import UserError
from gandoctor.findings import Threshold

Limits = Mapping[str, Threshold]


def rules_folder() -> Path:
    """Where the rules lie: inside the installed package, or beside it in a checkout."""
    inside = Path(__file__).parent / "rules"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "rules"


@lru_cache(maxsize=1)
def _table() -> tuple[str, dict[str, dict[str, Threshold]]]:
    path = rules_folder() / "thresholds.toml"
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    version = str(data.pop("version"))
    factors = data.pop("lab", {}).get("factors", {})  # what the lab found too loose

    def value(name: str, given: float) -> float:
        return float(given) * float(factors.get(name, 1.0))

    return version, {
        code: {
            name: Threshold(
                f"{code}.{name}", value(f"{code}.{name}", entry["value"]), entry["unit"], entry["source"]
            )
            for name, entry in entries.items()
        }
        for code, entries in data.items()
    }


def version() -> str:
    """The version of the thresholds, which stands in every output."""
    return _table()[0]


def limits(group: str, overrides: Mapping[str, float] | None = None) -> Limits:
    """The thresholds of one symptom code (or shared group), by name.

    overrides: "GD201.won" → value, from the user's configuration.
    Raises UserError if an override names no threshold.
    """
    table = _table()[1]
    found = dict(table.get(group, {}))
    for name, value in (overrides or {}).items():
        owner, _, short = name.partition(".")
        if short not in table.get(owner, {}):
            raise UserError(
                f"no threshold is called '{name}'",
                where="thresholds",
                hint="rules/thresholds.toml lists them all",
            )
        if owner == group:
            found[short] = Threshold(name, float(value), found[short].unit, "your configuration")
    return found
