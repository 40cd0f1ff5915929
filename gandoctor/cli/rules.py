"""`gandoctor rules`: the symptoms that are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from gandoctor.cli._options import LANG, RULES
from gandoctor.cli._output import OK


@click.command()
@click.option("--facts", is_flag=True, help="List the facts that conditions and changes may name.")
@LANG
@RULES
def rules(facts: bool, lang: str | None, rule_folders: Sequence[str]) -> int:
    """List the symptoms that are known, with their remedies."""
    from gandoctor.config import language
    from gandoctor.judge.rules import load_rules
    from gandoctor.reports.explain import list_facts, list_rules

    lang = language(lang or "en")
    text = list_facts(lang) if facts else list_rules(load_rules(*map(Path, rule_folders)), lang)
    click.echo(text.rstrip("\n"))
    return OK
