"""The sentences of the loop, in English and Chinese, from `texts.toml` beside this file."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from pathlib import Path

import msgspec

from gandoctor.judge.rules import Text
from gandoctor.reports import texts

SYMBOLS = {"keep": "✓", "revert": "✗", "not-enough": "?"}
# The colours of the verdicts of a run serve those of the loop, too.
TONES = {
    "keep": "healthy", "revert": "failing", "not-enough": "unknown",
    "configuration": "failing", "luck": "warning", "sound": "healthy",
}  # fmt: skip


@lru_cache(maxsize=1)
def own_words() -> dict[str, Text]:
    """The sentences by their names, read once."""
    text = (Path(__file__).parent / "texts.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text)["words"], dict[str, Text])


def say(key: str, lang: str, **fields: object) -> str:
    """A sentence of the loop, or of the interface, its fields filled in."""
    own = own_words()
    return own[key].pick(lang).format(**fields) if key in own else texts.say(key, lang, **fields)
