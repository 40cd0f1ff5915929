"""`gandoctor explain CODE` and `gandoctor rules`: what is known of a symptom, for a terminal or a page.

Two steps: a rule and its thresholds to a `Page` of plain strings in one language, a page to text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from rich.cells import cell_len

from gandoctor.errors import UserError
from gandoctor.findings import Threshold
from gandoctor.interpret.facts import FACTS
from gandoctor.judge.rules import Condition, Range, RemedyRule, Rule, set_text, word

_WORDS = {
    "en": {
        "what": "What it is",
        "causes": "What may lie behind it",
        "effects": "What it may lead to",
        "no_causes": "nothing that gandoctor knows: it stands at the beginning",
        "no_effects": "nothing that gandoctor knows: it stands at the end",
        "looks": "What decides (name, value, unit, source)",
        "remedies": "Remedies, best first",
        "conditions": "A condition on a fact that is not known of a run does not exclude the remedy.",
        "hypothesis": "Supposed cause",
        "set": "Set",
        "why": "Why",
        "when": "For runs with",
        "not_when": "Not for runs with",
        "when_not": "When not",
        "expect": "Expect",
        "references": "References",
        "and": " and ",
        "or": " or ",
        "colon": ": ",
        "stop": ".",
        "rules": "{n} remedies",
    },
    "zh": {
        "what": "这是什么",
        "causes": "可能的病因",
        "effects": "可能的后果",
        "no_causes": "gandoctor 未收录：它位于因果链的起点",
        "no_effects": "gandoctor 未收录：它位于因果链的终点",
        "looks": "判定依据（名称、数值、单位、来源）",
        "remedies": "处方，按优先顺序",
        "conditions": "若某个条件涉及的信息在该次训练中未知，不会因此排除该处方。",
        "hypothesis": "推测的原因",
        "set": "设置",
        "why": "原理",
        "when": "适用于",
        "not_when": "不适用于",
        "when_not": "何时不用",
        "expect": "预期",
        "references": "参考文献",
        "and": " 且 ",
        "or": " 或 ",
        "colon": "：",
        "stop": "。",
        "rules": "{n} 条处方",
    },
}


@dataclass(frozen=True, slots=True)
class RemedyText:
    """A remedy in one language. set, when, not_when and when_not are "" where there is nothing to say."""

    id: str
    hypothesis: str
    change: str
    set: str
    why: str
    when: str
    not_when: str
    when_not: str
    expect: str
    references: tuple[str, ...]
    snippet: str


@dataclass(frozen=True, slots=True)
class Page:
    """All that is known of one symptom, in one language.

    causes, effects: (code, title) of its neighbours in the graph of causes.
    """

    code: str
    slug: str
    lang: str
    title: str
    summary: str
    causes: tuple[tuple[str, str], ...]
    effects: tuple[tuple[str, str], ...]
    limits: tuple[Threshold, ...]
    remedies: tuple[RemedyText, ...]


def find_code(name: str, rules: Mapping[str, Rule]) -> str:
    """The code that a user means by "GD201", "gd201" or "discriminator-overpowers".

    Raises UserError, with the nearest name, if there is none.
    """
    if name.upper() in rules:
        return name.upper()
    slugs = {rule.slug: code for code, rule in rules.items()}
    if name.lower() in slugs:
        return slugs[name.lower()]
    close = get_close_matches(name.upper(), list(rules), n=1) or get_close_matches(name.lower(), slugs, n=1)
    guess = f"did you mean {close[0]}? " if close else ""
    raise UserError(f"no symptom is called '{name}'", hint=f"{guess}`gandoctor rules` lists them all")


def page_of(code: str, rules: Mapping[str, Rule], limits: Mapping[str, Threshold], lang: str = "en") -> Page:
    """The page of one code. limits: the thresholds of this code (`thresholds.limits(code)`)."""
    rule = rules[code]
    return Page(
        code,
        rule.slug,
        lang,
        rule.title.pick(lang),
        rule.summary.pick(lang),
        tuple((c, other.title.pick(lang)) for c, other in rules.items() if code in other.leads_to),
        tuple((c, rules[c].title.pick(lang)) for c in rule.leads_to),
        tuple(limits.values()),
        tuple(remedy_text(remedy, lang) for remedy in rule.remedies),
    )


def remedy_text(remedy: RemedyRule, lang: str = "en") -> RemedyText:
    """The texts of a remedy, its conditions in words."""
    words = _WORDS[lang]
    return RemedyText(
        remedy.id,
        remedy.hypothesis.pick(lang),
        remedy.change.pick(lang),
        set_text(remedy),
        remedy.why.pick(lang),
        words["and"].join(_condition(*one, lang) for one in remedy.when.items()),
        words["or"].join(_condition(*one, lang) for one in remedy.not_when.items()),
        remedy.when_not.pick(lang) if remedy.when_not else "",
        remedy.expect.pick(lang),
        remedy.references,
        remedy.snippet.strip("\n"),
    )


def _condition(fact: str, allowed: Condition, lang: str) -> str:
    """`lr_ratio ≥ 5`, `0 ≤ beta1 ≤ 0.5`, `family = minimax or hinge`."""
    if not isinstance(allowed, Range):
        return f"{fact} = " + _WORDS[lang]["or"].join(word(value) for value in allowed)
    low, high = (f"{bound:g}" if math.isfinite(bound) else "" for bound in (allowed.min, allowed.max))
    if low and high:
        return f"{low} ≤ {fact} ≤ {high}" if low != high else f"{fact} = {low}"
    return f"{fact} ≥ {low}" if low else f"{fact} ≤ {high}"


# --- text ----------------------------------------------------------------------------------------------


def explain(
    code: str,
    rules: Mapping[str, Rule],
    limits: Mapping[str, Threshold],
    lang: str = "en",
    width: int = 100,
) -> str:
    """Everything about one code as text, lines at most `width` cells wide (snippets are not wrapped)."""
    page = page_of(code, rules, limits, lang)
    words = _WORDS[lang]
    lines = [f"{page.code}  {page.slug}", page.title, "", words["what"]]
    lines += wrap(page.summary, width, "  ")
    for key, neighbours in (("causes", page.causes), ("effects", page.effects)):
        lines += ["", words[key]]
        lines += [f"  {c}  {title}" for c, title in neighbours] or [f"  {words['no_' + key]}"]
    if page.limits:
        lines += ["", words["looks"]]
        for limit in page.limits:
            lines += wrap(f"{limit.name} = {limit.value:g} {limit.unit}", width, "  ")
            lines += wrap(limit.source, width, "    ")
    lines += ["", words["remedies"], *wrap(words["conditions"], width, "  ")]
    for rank, remedy in enumerate(page.remedies, start=1):
        lines += ["", *_remedy_lines(rank, remedy, lang, width)]
    return "\n".join(lines) + "\n"


def _remedy_lines(rank: int, remedy: RemedyText, lang: str, width: int) -> Iterator[str]:
    words = _WORDS[lang]
    first, *more = wrap(_sentence(remedy.change, lang), width, "      ")
    yield f"{rank:3}.  {first.lstrip()}"
    yield from more
    for key in ("set", "hypothesis", "why", "when", "not_when", "when_not", "expect"):
        if text := getattr(remedy, key):
            text = text if key in ("set", "when", "not_when") else _sentence(text, lang)
            yield from wrap(f"{words[key]}{words['colon']}{text}", width, "      ", "        ")
    if remedy.references:
        text = words["references"] + words["colon"] + "; ".join(remedy.references)
        yield from wrap(text, width, "      ", "        ")
    for line in remedy.snippet.splitlines():
        yield f"          {line}".rstrip()


def _sentence(text: str, lang: str) -> str:
    return text if text.endswith((".", "。", "!", "！", "?", "？")) else text + _WORDS[lang]["stop"]


def list_rules(rules: Mapping[str, Rule], lang: str = "en") -> str:
    """One line a code: code, slug, title, how many remedies."""
    slug = max((cell_len(rule.slug) for rule in rules.values()), default=0)
    title = max((cell_len(rule.title.pick(lang)) for rule in rules.values()), default=0)
    lines = [
        f"{code}  {_pad(rule.slug, slug)}  {_pad(rule.title.pick(lang), title)}  "
        + _WORDS[lang]["rules"].format(n=len(rule.remedies))
        for code, rule in rules.items()
    ]
    return "\n".join(lines) + "\n"


def list_facts(lang: str = "en") -> str:
    """One line a fact: name, kind and unit, what it is, the words it may take."""
    lines = []
    for name, fact in FACTS.items():
        kind = f"{fact.kind} ({fact.unit})" if fact.unit else fact.kind
        choices = f" [{', '.join(fact.choices)}]" if fact.choices else ""
        lines.append(f"{_pad(name, 20)}  {_pad(kind, 18)}  {fact.zh if lang == 'zh' else fact.en}{choices}")
    return "\n".join(lines) + "\n"


def _pad(text: str, cells: int) -> str:
    return text + " " * (cells - cell_len(text))


# A word, or one wide character, with the closing marks that must not begin a line.
_WIDE = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uff60"
_PIECE = re.compile(rf"(?:[“（《「]*[{_WIDE}]|[^\s{_WIDE}]+)[，。、；：！？）》」”％]*|\s+")


def wrap(text: str, width: int, indent: str = "", hanging: str | None = None) -> list[str]:
    """Break text into lines of at most `width` terminal cells; Chinese may break between characters.

    indent: before the first line; hanging: before the others, as `indent` if None.
    A word wider than the line stands alone on a line of its own.
    """
    lines, hanging = [], indent if hanging is None else hanging
    line, started = indent, False
    for piece in _PIECE.findall(text):
        blank = piece.isspace()
        if started and not blank and cell_len(line) + cell_len(piece) > width:
            lines.append(line.rstrip())
            line, started = hanging, False
        if not (blank and not started):
            line += " " if blank else piece
            started = True
    return [*lines, line.rstrip()] if started or not lines else lines
