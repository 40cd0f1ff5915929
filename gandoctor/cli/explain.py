"""`gandoctor explain`: all about a symptom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from gandoctor.cli._options import LANG, RULES
from gandoctor.cli._output import OK


@click.command()
@click.argument("code")
@LANG
@RULES
def explain(code: str, lang: str | None, rule_folders: Sequence[str]) -> int:
    """Explain a symptom: causes, limits, remedies."""
    from gandoctor.config import language
    from gandoctor.judge.rules import load_rules
    from gandoctor.reports.explain import explain as text_of
    from gandoctor.reports.explain import find_code
    from gandoctor.thresholds import limits

    known = load_rules(*map(Path, rule_folders))
    found = find_code(code, known)
    click.echo(text_of(found, known, limits(found), language(lang or "en")), nl=False)
    return OK
