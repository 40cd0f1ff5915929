"""The language of texts, as asked or as the locale has it."""

from __future__ import annotations

import pytest

from gandoctor.config import language


@pytest.mark.parametrize(
    ("set_to", "lang"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "de_DE.UTF-8", "LC_MESSAGES": "zh_TW"}, "zh"),
        ({"LANG": "", "LC_ALL": "fr_FR"}, "en"),
    ],
)
def test_auto_follows_the_locale(monkeypatch, set_to, lang) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in set_to.items():
        monkeypatch.setenv(name, value)
    assert language("auto") == lang
    assert language("en") == "en"
