"""The rules: one TOML file a symptom, `rules/GD201.toml`, with its texts, causal edges and remedies.

    code = "GD201"
    slug = "discriminator-overpowers"
    leads_to = ["GD301", "GD402"]            # causal edges, each at its cause
    params = ["lead", "debt"]                # what a finding may carry: the fields of the message
    title.en = "The discriminator overpowers the generator"
    title.zh = "判别器压倒生成器"
    summary.en = "..."
    message.en = "D has won since {unit} {onset}[[; G's loss is {debt:.1f} scales too high]]."

    [[remedies]]                             # best first: the order is the prior rank
    id = "lower-d-lr"
    hypothesis.en = "..."                    # the supposed cause
    change.en = "..."                        # the one change
    why.en = "..."
    expect.en = "..."                        # what the logs will show if it works
    when_not.en = "..."                      # for people: when not to use it
    set = {lr_D = "lr_D / 4"}                # knobs: a literal, or a fact or number, op, number
    when = {lr_ratio = {min = 1.0}}          # facts of the run that must hold ...
    not_when = {spectral_norm = [true]}      # ... and any of which excludes it
    checks = ["swapped-labels"]              # optional: the `check` or `knob` of a finding that it answers
    references = ["Heusel et al. 2017, arXiv:1706.08500"]
    snippet = "..."                          # optional Python

Every text is {en, zh}. A message has fields in the manner of `str.format`: `{onset}`, `{unit}`, `{end}`,
`{network}`, `{layer}`, `{tag}`, `{file}` and the code's `params`. A part in [[ ]] vanishes where one of its
fields is absent; where a field outside such a part is absent, the title stands in for the message. Facts
are named in `interpret/facts.py`; an unknown fact never excludes a remedy.

A user's folder holds files of the same names. There a file may give only what it changes: a text replaces
ours, a remedy with our id replaces ours, a new id is appended, `disabled = true` removes.
"""

from __future__ import annotations

import math
import re
import string
import tomllib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from gandoctor.errors import UserError
from gandoctor.findings import Finding, Param
from gandoctor.interpret.facts import FACTS, Fact
from gandoctor.judge.diagnosis import Change
from gandoctor.thresholds import rules_folder

if TYPE_CHECKING:
    from gandoctor.run import Scalar

Value = str | bool | int | float
UNITS = {
    "iteration": {"en": "step", "zh": "步"},
    "epoch": {"en": "epoch", "zh": "个 epoch "},
    "kimg": {"en": "kimg", "zh": "kimg "},
    "image": {"en": "image", "zh": "张图像"},
    "record": {"en": "record", "zh": "条记录"},
}
ALWAYS = ("onset", "unit", "end")  # fields that every message may use
_LIST_FACTS = "`gandoctor rules --facts` lists them all"
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_FILE = re.compile(r"GD\d{3}\.toml")


class Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A text in English and, where it has been written, in Chinese."""

    en: str
    zh: str = ""

    def pick(self, lang: str) -> str:
        """The text in "en" or "zh"; English where there is no other."""
        return self.zh if lang == "zh" and self.zh else self.en


class Range(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A range of a numeric fact, both ends included."""

    min: float = -math.inf
    max: float = math.inf


Condition = tuple[Value, ...] | Range


class RemedyRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One remedy of a symptom, for any run; `fill` and `applies` bring a run's facts in."""

    id: str
    hypothesis: Text
    change: Text
    why: Text
    expect: Text
    when_not: Text | None = None
    set: dict[str, Value] = {}
    when: dict[str, Condition] = {}
    not_when: dict[str, Condition] = {}
    checks: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    snippet: str = ""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that is known of one symptom. remedies: best first."""

    code: str
    slug: str
    title: Text
    summary: Text
    message: Text
    leads_to: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    remedies: tuple[RemedyRule, ...] = ()


class Expression(msgspec.Struct, frozen=True):
    """`lr_D / 4`: a fact's name or a number, and at most one operation with a number."""

    start: str | float
    op: str = ""
    operand: float = 0.0

    def __str__(self) -> str:
        start = self.start if isinstance(self.start, str) else f"{self.start:g}"
        return f"{start} {self.op} {self.operand:g}" if self.op else start

    def value(self, facts: Mapping[str, Scalar]) -> float | None:
        """Its value with these facts, to six digits; None where its fact is unknown."""
        start = _number(facts.get(self.start)) if isinstance(self.start, str) else self.start
        if start is None:
            return None
        match self.op:
            case "×":
                start *= self.operand
            case "÷":
                start /= self.operand  # not 0: such an expression does not load
            case "+":
                start += self.operand
            case "−":
                start -= self.operand
        return float(f"{start:.6g}")


# --- what a remedy means for a run ---------------------------------------------------------------------


def applies(remedy: RemedyRule, facts: Mapping[str, Scalar]) -> bool:
    """Whether a remedy suits a run with these facts; None or a missing name is an unknown fact.

    All of `when` must hold, none of `not_when` may. An unknown fact never excludes a remedy.
    A remedy whose every knob already stands at its new value has nothing to change: it does not apply.
    """
    known = {name: value for name, value in facts.items() if _is_known(name, value)}
    if not all(_holds(known[name], allowed) for name, allowed in remedy.when.items() if name in known):
        return False
    if any(_holds(known[name], allowed) for name, allowed in remedy.not_when.items() if name in known):
        return False
    changes = fill(remedy, facts)
    return not changes or any(change.old is None or change.old != change.new for change in changes)


def fill(remedy: RemedyRule, facts: Mapping[str, Scalar]) -> tuple[Change, ...]:
    """What a remedy sets, from this run's values to the new ones.

    A literal stays as it is. An expression whose fact is unknown has `new` None: show its text
    (`set_text`). New numbers are kept within the fact's sensible range, integers are rounded.
    """
    changes = []
    for knob, value in remedy.set.items():
        new: Scalar = value
        if isinstance(expression := read_set(knob, value), Expression):
            result = expression.value(facts)
            new = None if result is None else _fit(result, FACTS[knob])
        changes.append(Change(knob, facts.get(knob), new))
    return tuple(changes)


def set_text(remedy: RemedyRule) -> str:
    """`set` for people, without a run: "lr_D = lr_D ÷ 4, n_critic = 5"."""
    parts = (f"{knob} = {word(read_set(knob, value))}" for knob, value in remedy.set.items())
    return ", ".join(parts)


def word(value: Value | Expression) -> str:
    """A value as configuration files write it: true, 5, 0.0001, hinge."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


_EXPRESSION = re.compile(
    r"\s*([A-Za-z_]\w*|[\d.]+(?:e[-+]?\d+)?)\s*(?:([-*/+×÷−])\s*([\d.]+(?:e[-+]?\d+)?)\s*)?", re.IGNORECASE
)


@lru_cache(maxsize=1024, typed=True)  # typed: True, 1 and 1.0 are one key to a plain cache
def read_set(knob: str, value: Value) -> Value | Expression:
    """The value that `set` gives a knob: an Expression for a number given as text, else the literal.

    Raises ValueError with a sentence if it is neither.
    """
    if not (FACTS[knob].numeric and isinstance(value, str)):
        return value
    match = _EXPRESSION.fullmatch(value)
    if match is None:
        raise ValueError(f"'{value}' is not a fact or a number with at most one of × ÷ + − and a number")
    start, op, operand = match.groups()
    try:
        number = float(operand or 0)
        if start[0].isdigit():
            start = float(start)
    except ValueError:
        raise ValueError(f"'{value}' holds a number that cannot be read") from None
    if isinstance(start, str) and not (start in FACTS and FACTS[start].numeric):
        raise ValueError(f"'{start}' in '{value}' is no numeric fact")
    if op is None:
        return Expression(start)
    if op in "/÷" and number == 0:
        raise ValueError(f"'{value}' divides by 0")
    return Expression(start, {"*": "×", "/": "÷", "-": "−"}.get(op, op), number)


def _number(value: Scalar) -> float | None:
    """The value as a finite float, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _is_known(name: str, value: Scalar) -> bool:
    if value is None or value == "unknown":
        return False
    return name in FACTS and (not FACTS[name].numeric or _number(value) is not None)


def _fit(value: float, fact: Fact) -> float | int:
    inside = min(max(value, fact.low), fact.high)
    return round(inside) if fact.kind == "integer" else inside


def _holds(value: Scalar, allowed: Condition) -> bool:
    if isinstance(allowed, Range):
        number = _number(value)
        return number is not None and allowed.min <= number <= allowed.max
    return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in allowed)


# --- the sentence of a finding -------------------------------------------------------------------------


def render(finding: Finding, rule: Rule, lang: str = "en", unit: str = "iteration") -> str:
    """The sentence of a finding, from its rule's message; the title where a field is missing.

    unit: what a step of this run counts, a value of `run.Unit`.
    """
    words = UNITS.get(unit, UNITS["iteration"])
    subject = {name: getattr(finding.subject, name) for name in ("network", "layer", "tag", "file")}
    fields = {
        "onset": f"{finding.stretch.onset:,}",
        "end": None if finding.stretch.end is None else f"{finding.stretch.end:,}",
        "unit": words["zh" if lang == "zh" else "en"],
        **{name: text for name, text in subject.items() if text},
        **finding.params,
    }
    fields = {name: value for name, value in fields.items() if _is_there(value)}
    parts = re.split(r"\[\[(.*?)\]\]", rule.message.pick(lang))
    filled = [_filled(part, fields) for part in parts]
    if None in filled[::2]:  # the odd ones stood in [[ ]]
        return rule.title.pick(lang)
    return "".join(part or "" for part in filled)


def _is_there(value: Param | None) -> bool:
    """Whether a field has something to show: a number that is not finite would read as nonsense."""
    return value not in (None, "") and not (isinstance(value, float) and not math.isfinite(value))


class _Number(float):
    """A number that no format rounds to 0 unless it is 0: two significant digits stand instead."""

    def __format__(self, spec: str) -> str:
        text = super().__format__(spec)
        if not self or spec[-1:] not in ("f", "%") or re.search("[1-9]", text):
            return text
        sign = "+" if "+" in spec else ""
        return f"{100 * self:{sign}.2g}%" if spec.endswith("%") else f"{float(self):{sign}.2g}"


def _filled(template: str, fields: Mapping[str, Any]) -> str | None:
    fields = {name: _Number(one) if isinstance(one, float) else one for name, one in fields.items()}
    try:
        return template.format_map(fields)
    except (KeyError, ValueError, IndexError, AttributeError, TypeError):  # absent, or of another kind
        return None


# --- loading -------------------------------------------------------------------------------------------


class Rules(Mapping[str, Rule]):
    """Rules by code, in order of code. Each is read when it is first asked for.

    To parse all files takes a tenth of a second, and a diagnosis needs a few of them.
    """

    def __init__(self, files: Mapping[str, Sequence[Path]]) -> None:
        self._files = dict(sorted(files.items()))  # code → the file that founds it, then what changes it
        self._rules: dict[str, Rule] = {}

    def __getitem__(self, code: str) -> Rule:
        if code not in self._rules:
            rule: Rule | None = None
            for path in self._files[code]:
                rule = _read(path, rule)
                _check_edges(rule, self._files, str(path))
            assert rule is not None
            self._rules[code] = rule
        return self._rules[code]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def load_rules(*extra_folders: Path) -> Mapping[str, Rule]:
    """Every rule by its code: the package's, then each folder's on top of them.

    What a user's folder touches is validated here, our own rules when they are read (and by the tests).
    Raises UserError that names the file, the key and the fault.
    """
    if not extra_folders:
        return _own_rules()
    files = {path.stem: [path] for path in _rule_files(rules_folder())}
    touched = []
    for folder in extra_folders:
        if not folder.is_dir():
            raise UserError("no such folder of rules", where=str(folder))
        if not (paths := _rule_files(folder)):
            raise UserError("no rule file in this folder", where=str(folder), hint=_NAMES)
        for path in paths:
            files.setdefault(path.stem, []).append(path)
            touched.append(path.stem)
    rules = Rules(files)
    for code in touched:
        rules[code]
    return rules


@lru_cache(maxsize=1)
def _own_rules() -> Rules:
    return Rules({path.stem: [path] for path in _rule_files(rules_folder())})


_NAMES = "a rule file is named after its code: GD201.toml"


def _rule_files(folder: Path) -> list[Path]:
    for path in folder.glob("*.toml"):
        if path.name.lower().startswith("gd") and not _FILE.fullmatch(path.name):
            raise UserError("this is not the name of a rule file", where=str(path), hint=_NAMES)
    return sorted(path for path in folder.glob("GD*.toml") if path.is_file())


class _RuleFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file as it stands: all but the code may be missing where it changes another rule."""

    code: str
    slug: str = ""
    title: Text | None = None
    summary: Text | None = None
    message: Text | None = None
    leads_to: tuple[str, ...] | None = None
    params: tuple[str, ...] | None = None
    remedies: tuple[dict[str, Any], ...] = ()


class _Disabled(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    disabled: bool


def _read(path: Path, base: Rule | None) -> Rule:
    """Read a file, on top of the rule that it changes (None where it is new), and validate the result."""
    where = str(path)
    file = _convert(_toml(path), _RuleFile, where)
    if file.code != path.stem:
        raise UserError(f"code '{file.code}' does not fit the file's name", where=where, hint=_NAMES)
    old = base or Rule(file.code, "", Text(""), Text(""), Text(""))
    rule = Rule(
        file.code,
        file.slug or old.slug,
        file.title or old.title,
        file.summary or old.summary,
        file.message or old.message,
        old.leads_to if file.leads_to is None else file.leads_to,
        old.params if file.params is None else file.params,
        tuple(_merged(old.remedies, file.remedies, where)),
    )
    _check(rule, where)
    return rule


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as fault:
        raise UserError(f"not UTF-8: {fault.reason} at byte {fault.start}", where=str(path)) from fault
    except (tomllib.TOMLDecodeError, RecursionError) as fault:
        raise UserError(f"not TOML: {fault}", where=str(path)) from fault
    except OSError as fault:
        raise UserError(f"cannot be read: {fault.strerror}", where=str(path)) from fault


def _merged(old: Iterable[RemedyRule], new: tuple[dict[str, Any], ...], where: str) -> Iterable[RemedyRule]:
    """The remedies of `new` on top of `old`, by id."""
    remedies = {remedy.id: remedy for remedy in old}
    seen: set[str] = set()
    for index, entry in enumerate(new):
        name = entry.get("id")
        place = f"{where}: remedies[{index}]" + (f" ({name})" if isinstance(name, str) else "")
        if name in seen:
            raise UserError(f"the id '{name}' stands twice in this file", where=place)
        if "disabled" in entry:
            gone = _convert(entry, _Disabled, place)
            if gone.disabled and gone.id not in remedies:
                raise _no_such(f"no remedy is called '{gone.id}'", gone.id, remedies, place)
            if gone.disabled:
                del remedies[gone.id]
        else:
            remedy = _convert(entry, RemedyRule, place)
            _check_remedy(remedy, place)
            remedies[remedy.id] = remedy
        seen.add(str(name))
    return remedies.values()


_T = TypeVar("_T")


def _convert(data: object, kind: type[_T], where: str) -> _T:
    """`data` as `kind`; a fault is named by its key, with a guess at what was meant."""
    try:
        return msgspec.convert(data, kind, strict=True)
    except msgspec.ValidationError as fault:
        message, _, key = str(fault).partition(" - at `$")
        key = key.strip("`.")
        wrong = re.search(r"unknown field `(.+)`", message)
        allowed = [*kind.__struct_fields__, "en", "zh", "min", "max", "disabled"]  # type: ignore[attr-defined]
        if wrong:
            message = f"unknown key '{wrong[1]}'" + (f" in {key}" if key else "")
            raise _no_such(message, wrong[1], allowed, where) from fault
        raise UserError(f"{key}: {message}" if key else message, where=where) from fault


def _no_such(message: str, name: str, names: Iterable[str], where: str, hint: str = "") -> UserError:
    """An error about a name that does not exist, with the nearest that does."""
    names = list(names)
    close = [one for one in names if one.lower() == name.lower()] or get_close_matches(name, names, n=1)
    guess = f"did you mean '{close[0]}'?" if close else ""
    return UserError(message, where=where, hint=" ".join(filter(None, (guess, hint))))


# --- validation ----------------------------------------------------------------------------------------


def _check(rule: Rule, where: str) -> None:
    for key in ("slug", "title", "summary", "message"):
        value = getattr(rule, key)
        if not (value if isinstance(value, str) else value.en).strip():
            raise UserError(f"`{key}` is missing", where=where, hint="a new code needs all of its texts")
    if not _SLUG.fullmatch(rule.slug):
        raise UserError(f"slug '{rule.slug}' must be lower-case words joined by hyphens", where=where)
    for lang in ("en", "zh"):
        _check_message(rule.message.pick(lang), rule, f"{where}: message.{lang}")
    turned: dict[tuple[str, str], RemedyRule] = {}
    for remedy in rule.remedies:
        for turn in _turns(remedy):
            other = turned.setdefault(turn, remedy)
            if other is not remedy and not _exclusive(remedy, other):
                raise UserError(
                    f"'{other.id}' and '{remedy.id}' turn the same knob ({turn[0]}) in the same direction",
                    where=f"{where}: remedies",
                    hint="keep the better one, or give them conditions that exclude each other",
                )


def _check_message(message: str, rule: Rule, where: str) -> None:
    """Refuse a message that could not be filled: unknown fields, other syntax than {name:format}."""
    bare = message.replace("[[", "").replace("]]", "")
    known = (*ALWAYS, "network", "layer", "tag", "file", *rule.params)
    try:
        for _, name, spec, conversion in string.Formatter().parse(bare):
            if name is None:
                continue
            if not name.isidentifier() or conversion or "{" in (spec or ""):
                raise UserError(f"'{{{name}}}' must be a plain {{name}} or {{name:format}}", where=where)
            if rule.params and name not in known:
                hint = "`params` lists what this code's findings carry"
                raise _no_such(f"unknown field '{name}'", name, known, where, hint)
    except ValueError as fault:  # unbalanced braces
        raise UserError(f"not a message: {fault}", where=where) from fault


def _check_remedy(remedy: RemedyRule, where: str) -> None:
    if not _SLUG.fullmatch(remedy.id):
        raise UserError(f"id '{remedy.id}' must be lower-case words joined by hyphens", where=where)
    for key in ("hypothesis", "change", "why", "expect", "when_not"):
        text: Text | None = getattr(remedy, key)
        if text is not None and not text.en.strip():
            raise UserError(f"`{key}.en` is empty", where=where)
    for knob, value in remedy.set.items():
        _check_fact(knob, "set", where)
        try:
            result = read_set(knob, value)
        except ValueError as fault:
            raise UserError(f"set.{knob}: {fault}", where=where) from fault
        if not isinstance(result, Expression):
            _check_value(knob, result, f"set.{knob}", where)
    for key, conditions in (("when", remedy.when), ("not_when", remedy.not_when)):
        for name, allowed in conditions.items():
            _check_fact(name, key, where)
            _check_condition(name, allowed, f"{key}.{name}", where)


def _check_fact(name: str, key: str, where: str) -> None:
    if name not in FACTS:
        raise _no_such(f"unknown fact '{name}' in `{key}`", name, FACTS, where, _LIST_FACTS)


def _check_condition(name: str, allowed: Condition, key: str, where: str) -> None:
    if isinstance(allowed, Range):
        if not FACTS[name].numeric:
            raise UserError(f"{key}: '{name}' is no number, so it takes a list of values", where=where)
        if allowed.min > allowed.max or allowed == Range():
            raise UserError(f"{key}: the range is empty or without bounds", where=where)
        return
    if not allowed:
        raise UserError(f"{key}: the list is empty", where=where)
    for value in allowed:
        _check_value(name, value, key, where)


def _check_value(name: str, value: Value, key: str, where: str) -> None:
    fact = FACTS[name]
    fits = {
        "flag": isinstance(value, bool),
        "word": isinstance(value, str),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": _number(value if not isinstance(value, str) else None) is not None,
    }
    if not fits[fact.kind]:
        raise UserError(f"{key}: {value!r} is no {fact.kind}, which '{name}' must be", where=where)
    if isinstance(value, str) and fact.choices and value not in fact.choices:
        hint = f"one of: {', '.join(fact.choices)}"
        raise _no_such(f"{key}: '{value}' is no value of '{name}'", value, fact.choices, where, hint)
    if fact.numeric and not fact.low <= float(value) <= fact.high:
        raise UserError(f"{key}: {value} is outside {fact.low:g} to {fact.high:g}", where=where)


def _turns(remedy: RemedyRule) -> Iterator[tuple[str, str]]:
    """Each knob that a remedy turns, and its direction: up, down, or to a value."""
    for knob, value in remedy.set.items():
        result, usual = read_set(knob, value), FACTS[knob].usual
        if isinstance(result, Expression):
            factor = result.operand > 1 if result.op in "×÷" else result.operand > 0
            up = factor == (result.op in "×+")
            yield knob, ("up" if up else "down") if result.start == knob else f"= {result}"
        elif usual is not None and not isinstance(result, str) and result != usual:
            yield knob, "up" if result > usual else "down"
        else:
            yield knob, f"= {word(result)}"


def _exclusive(one: RemedyRule, other: RemedyRule) -> bool:
    """Whether no run (of which all is known) meets the conditions of both."""
    return (
        any(_disjoint(one.when[name], other.when[name]) for name in one.when.keys() & other.when.keys())
        or any(_within(one.when[n], other.not_when[n]) for n in one.when.keys() & other.not_when.keys())
        or any(_within(other.when[n], one.not_when[n]) for n in other.when.keys() & one.not_when.keys())
    )


def _disjoint(one: Condition, other: Condition) -> bool:
    if isinstance(one, Range) and isinstance(other, Range):
        return one.max < other.min or other.max < one.min
    values, allowed = (other, one) if isinstance(one, Range) else (one, other)
    assert not isinstance(values, Range)
    return not any(_holds(value, allowed) for value in values)


def _within(inner: Condition, outer: Condition) -> bool:
    if isinstance(inner, Range):
        return isinstance(outer, Range) and outer.min <= inner.min and inner.max <= outer.max
    return all(_holds(value, outer) for value in inner)


def _check_edges(rule: Rule, codes: Container[str], where: str) -> None:
    for effect in rule.leads_to:
        if effect not in codes:
            raise UserError(f"'{effect}' in `leads_to` is no code of a rule", where=where)
        if effect == rule.code or rule.leads_to.count(effect) > 1:
            raise UserError(f"'{effect}' in `leads_to` stands there twice or is itself", where=where)
