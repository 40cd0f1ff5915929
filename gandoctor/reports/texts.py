"""The sentences of the interface, in English and Chinese, from `texts.toml`: one place.

Those of symptoms and remedies stand in `rules/`.
"""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gandoctor.judge.rules import UNITS, Text

if TYPE_CHECKING:
    from datetime import datetime

SYMBOLS = {"failing": "✗", "warning": "!", "healthy": "✓", "unknown": "?"}


class Logged(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A signal worth logging. what: its name for people; how: the one line that logs it."""

    what: Text
    how: Text


class Texts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All sentences by their names; `texts.toml` says what each table is for."""

    signals: dict[str, Logged]
    reasons: dict[str, Text]
    verdicts: dict[str, Text]
    severities: dict[str, Text]
    kinds: dict[str, Text]
    states: dict[str, Text]
    words: dict[str, Text]


@lru_cache(maxsize=1)
def all_texts() -> Texts:
    """The sentences, read once."""
    text = (Path(__file__).parent / "texts.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), Texts)


def say(key: str, lang: str, **fields: object) -> str:
    """A sentence of the interface in "en" or "zh", its fields filled in."""
    return all_texts().words[key].pick(lang).format(**fields)


def join(words: list[str], lang: str) -> str:
    """A list for a sentence: "losses, samples" or "损失、样本"."""
    return ("、" if lang == "zh" else ", ").join(words)


def clauses(said: list[str], lang: str) -> str:
    """Parts of one sentence: "step 7, 12% into the run" or "第 7 步，全程的 12% 处"."""
    return ("，" if lang == "zh" else ", ").join(said)


def listed(said: list[str], lang: str) -> str:
    """Clauses that hold commas themselves, one after another."""
    return ("；" if lang == "zh" else "; ").join(said)


def sentences(said: list[str], lang: str) -> str:
    """Sentences one after another; Chinese has no space between them."""
    return ("" if lang == "zh" else " ").join(said)


def at_step(step: int, unit: str, lang: str) -> str:
    """`step 12,000`, `epoch 7`, or `第 12,000 步`."""
    return say("at", lang, unit=unit_word(unit, lang), step=f"{step:,}")


def unit_word(unit: str, lang: str) -> str:
    """What a step counts: "step", "epoch", "个 epoch"."""
    return UNITS.get(unit, UNITS["iteration"])["zh" if lang == "zh" else "en"].strip()


def time_of_day(at: datetime, lang: str) -> str:
    """A date and time in UTC: `2021-03-04 12:33 UTC` or `2021 年 3 月 4 日 12:33 UTC`."""
    date = f"{at.year} 年 {at.month} 月 {at.day} 日" if lang == "zh" else f"{at:%Y-%m-%d}"
    return f"{date} {at:%H:%M} UTC"


def reason(slug: str, detail: str, lang: str) -> str:
    """Why a symptom could not be examined, as a sentence; the slug itself where it has none."""
    known = all_texts()
    if slug not in known.reasons:
        return ": ".join(filter(None, (slug.replace("-", " "), detail)))
    signal = known.signals[detail].what.pick(lang) if detail in known.signals else detail
    if lang == "zh" and signal[:1].isascii() and signal[:1].isalnum():
        signal = f" {signal}"  # Chinese and Latin letters do not touch
    return known.reasons[slug].pick(lang).format(signal=signal, detail=detail)


def statistic(text: str, lang: str) -> str:
    """A statistic's name or a threshold's unit, which the code and the rules have in English."""
    return _translated(text, "names") if lang == "zh" else text


def source(text: str, lang: str) -> str:
    """Where a threshold comes from."""
    return _translated(text, "sources") if lang == "zh" else text


def _translated(text: str, table: str) -> str:
    """The Chinese of an English text of `statistics.toml`; the text itself where it has none."""
    exact, patterns = _statistics()[table]
    if text in exact:
        return exact[text]
    for pattern, chinese in patterns:
        if found := pattern.fullmatch(text):
            return chinese.format(*found.groups())
    return text


@lru_cache(maxsize=1)
def _statistics() -> dict[str, tuple[dict[str, str], list[tuple[re.Pattern[str], str]]]]:
    """For each table of the file: exact texts, and those with blanks ("{}") as patterns."""
    data = tomllib.loads((Path(__file__).parent / "statistics.toml").read_text(encoding="utf-8"))
    made = {}
    for name, table in data.items():
        blanks = [
            (re.compile("(.+?)".join(map(re.escape, english.split("{}")))), chinese)
            for english, chinese in table.items()
            if "{}" in english
        ]
        made[name] = ({english: chinese for english, chinese in table.items() if "{}" not in english}, blanks)
    return made


def verdict_line(verdict: str, examined: tuple[str, ...], lang: str) -> str:
    """The verdict in words; a run without findings says in what nothing was seen."""
    kinds = join([all_texts().kinds[kind].pick(lang) for kind in examined if kind != "configuration"], lang)
    if verdict == "healthy":
        return say("seen-in", lang, kinds=kinds or say("nothing", lang))
    if verdict == "unknown":
        return say("unknown-seen", lang, kinds=kinds) if kinds else say("unknown-why", lang)
    return all_texts().verdicts[verdict].pick(lang)


# Characters that could drive a terminal, or turn the direction of a line: C0 and C1 controls, line and
# paragraph separators, marks and overrides of direction, and the halves of surrogate pairs.
_UNSAFE = dict.fromkeys(
    [*range(0x20), *range(0x7F, 0xA0), 0x061C, *range(0x200E, 0x2010), *range(0x2028, 0x202F),
     *range(0x2066, 0x206A), 0xFEFF, *range(0xD800, 0xE000)],
    "\ufffd",
)  # fmt: skip
_UNSAFE_IN_LINES = {code: sign for code, sign in _UNSAFE.items() if chr(code) not in "\n\t"}


def clean(text: str, lines: bool = False) -> str:
    r"""Text from a log, safe to print: every control character is a replacement character.

    lines: newlines and tabs may stay, as in a snippet.

    >>> clean("loss\x1b[31m")
    'loss�[31m'
    """
    return text.translate(_UNSAFE_IN_LINES if lines else _UNSAFE)


def encodable(text: str) -> str:
    r"""Text that UTF-8 can hold: a byte of a file name that is no UTF-8 is written as an escape.

    >>> encodable("run\udcff")
    'run\\udcff'
    """
    return text.encode("utf-8", "backslashreplace").decode()


def number(value: float | int | None, text: str = "") -> str:
    """A number for people, to four digits: 0.0004, 12,300, 1.2e-05. text: what stands for no number."""
    if value is None:
        return text or "–"
    if isinstance(value, int) or (value == int(value) and abs(value) < 1e15):
        return f"{int(value):,}"
    if 1e-4 <= abs(value) < 1e4:
        return f"{value:.4g}"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e7 else f"{value:.3g}"
