"""`gandoctor explain CODE` and `gandoctor rules` as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from gandoctor.errors import UserError
from gandoctor.findings import Threshold
from gandoctor.interpret.facts import FACTS
from gandoctor.judge.rules import Range, RemedyRule, Rule, Text, load_rules
from gandoctor.reports.explain import explain, find_code, list_facts, list_rules, page_of, wrap

REMEDY = RemedyRule(
    "lower-d-lr",
    hypothesis=Text("D is too fast", "判别器太快"),
    change=Text("Lower lr_D", "降低 lr_D"),
    why=Text("It slows D.", "它使判别器变慢。"),
    expect=Text("D's loss rises.", "判别器损失上升。"),
    when_not=Text("Not for a WGAN.", "WGAN 不适用。"),
    set={"lr_D": "lr_D / 4", "spectral_norm": True},
    when={"lr_ratio": Range(min=1), "family": ("minimax", "hinge")},
    not_when={"n_critic": Range(2, 5), "amp": (True,)},
    references=("Heusel et al. 2017, arXiv:1706.08500",),
    snippet="\nfor g in groups:\n    g['lr'] /= 4\n",
)
RULES = {
    "GD201": Rule(
        "GD201", "d-wins", Text("D wins", "判别器获胜"), Text("D sees all.", "判别器全看穿了。"), Text("m"),
        leads_to=("GD301",), remedies=(REMEDY,),
    ),
    "GD301": Rule("GD301", "no-slope", Text("No gradient", "没有梯度"), Text("Flat.", "平的。"), Text("m")),
}  # fmt: skip
LIMITS = {"won": Threshold("GD201.won", 0.85, "D's lead", "measured on toys")}

ENGLISH = """\
GD201  d-wins
D wins

What it is
  D sees all.

What may lie behind it
  nothing that gandoctor knows: it stands at the beginning

What it may lead to
  GD301  No gradient

What decides (name, value, unit, source)
  GD201.won = 0.85 D's lead
    measured on toys

Remedies, best first
  A condition on a fact that is not known of a run does not
  exclude the remedy.

  1.  Lower lr_D.
      Set: lr_D = lr_D ÷ 4, spectral_norm = true
      Supposed cause: D is too fast.
      Why: It slows D.
      For runs with: lr_ratio ≥ 1 and family = minimax or hinge
      Not for runs with: 2 ≤ n_critic ≤ 5 or amp = true
      When not: Not for a WGAN.
      Expect: D's loss rises.
      References: Heusel et al. 2017, arXiv:1706.08500
          for g in groups:
              g['lr'] /= 4
"""


def test_the_whole_text() -> None:
    assert explain("GD201", RULES, LIMITS, width=64) == ENGLISH


def test_in_chinese() -> None:
    lines = explain("GD301", RULES, {}, "zh").splitlines()
    assert lines[:4] == ["GD301  no-slope", "没有梯度", "", "这是什么"]
    assert "  GD201  判别器获胜" in lines  # the edge, seen from its effect
    assert "      推测的原因：判别器太快。" in explain("GD201", RULES, {}, "zh").splitlines()


def test_a_page_is_plain_data() -> None:
    page = page_of("GD301", RULES, {})
    assert (page.causes, page.effects, page.limits, page.remedies) == ((("GD201", "D wins"),), (), (), ())


@pytest.mark.parametrize("name", ["GD201", "gd201", "d-wins", "D-Wins"])
def test_find_code(name: str) -> None:
    assert find_code(name, RULES) == "GD201"


@pytest.mark.parametrize(("name", "guess"), [("GD310", "GD301"), ("d-win", "d-wins")])
def test_an_unknown_code_gets_a_guess(name: str, guess: str) -> None:
    with pytest.raises(UserError, match=f"did you mean {guess}"):
        find_code(name, RULES)


def test_list_rules() -> None:
    expected = "GD201  d-wins    判别器获胜  1 条处方\nGD301  no-slope  没有梯度    0 条处方\n"
    assert list_rules(RULES, "zh") == expected


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_list_facts_names_each_fact(lang: str) -> None:
    assert [line.split()[0] for line in list_facts(lang).splitlines()] == list(FACTS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a bb ccc dddd", ["a bb", "ccc", "dddd"]),
        ("long-words-stay whole", ["long-words-stay", "whole"]),
        ("学习率过高", ["学习率", "过高"]),
        ("降低学。好", ["降低", "学。好"]),  # a full stop does not begin a line
        ("", [""]),
    ],
)
def test_wrap(text: str, expected: list[str]) -> None:
    assert wrap(text, 6) == expected


@given(st.text(alphabet="ab 学。，（x"), st.integers(6, 30))
def test_wrapping_loses_nothing_but_blanks(text: str, width: int) -> None:
    lines = wrap(text, width, "  ")
    assert "".join("".join(lines).split()) == "".join(text.split())
    pieces = max((cell_len(word) for word in text.split()), default=0)
    assert all(cell_len(line) <= max(width, pieces + 2) for line in lines)


OURS = load_rules()


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("code", OURS)
def test_ours_fit_a_terminal(code: str, lang: str) -> None:
    lines = explain(code, OURS, {}, lang, width=100).splitlines()
    snippet = "          "  # snippets are not wrapped
    assert [line for line in lines if cell_len(line) > 100 and not line.startswith(snippet)] == []
