"""The loader of the rules, and the rules themselves: texts, edges, remedies."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gandoctor.errors import UserError
from gandoctor.findings import Finding, Severity, Stretch, Subject
from gandoctor.interpret.facts import FACTS
from gandoctor.judge.diagnosis import Change
from gandoctor.judge.rules import (
    UNITS,
    Expression,
    Rule,
    Text,
    applies,
    fill,
    load_rules,
    read_set,
    render,
    set_text,
)
from gandoctor.run import Unit

HEAD = """
code = "GD999"
slug = "made-up"
params = ["debt", "layer", "network"]
title.en = "A made-up illness"
title.zh = "虚构的病"
summary.en = "s"
message.en = "G owes {debt:.1f} since {unit} {onset}[[ in {layer}]]."
"""
REMEDY = """
[[remedies]]
id = "lower"
hypothesis.en = "h"
change.en = "c"
why.en = "w"
expect.en = "e"
set = {lr_D = "lr_D / 4"}
when = {lr_ratio = {min = 1.0}, family = ["minimax", "hinge"]}
not_when = {spectral_norm = [true]}
"""


def folder(path: Path, *texts: str, name: str = "GD999.toml") -> Path:
    path.mkdir(exist_ok=True)
    (path / name).write_text("\n".join(texts), encoding="utf-8")
    return path


@pytest.fixture
def rule(tmp_path: Path) -> Rule:
    return load_rules(folder(tmp_path, HEAD, REMEDY))["GD999"]


def fault(path: Path, *texts: str, name: str = "GD999.toml") -> str:
    with pytest.raises(UserError) as caught:
        load_rules(folder(path, *texts, name=name))
    return str(caught.value).replace(str(path) + "/", "")


# --- reading -------------------------------------------------------------------------------------------


def test_a_file_becomes_a_rule(rule: Rule) -> None:
    [remedy] = rule.remedies
    assert (rule.slug, rule.title.pick("zh"), rule.summary.pick("zh")) == ("made-up", "虚构的病", "s")
    assert (remedy.id, remedy.set, set_text(remedy)) == ("lower", {"lr_D": "lr_D / 4"}, "lr_D = lr_D ÷ 4")


def test_other_toml_files_are_no_rules(tmp_path: Path) -> None:
    folder(tmp_path, "version = 1", name="thresholds.toml")
    assert "GD999" in load_rules(folder(tmp_path, HEAD))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("code = ", "GD999.toml: not TOML: Invalid value (at end of document)"),
        ('code = "GD998"', "code 'GD998' does not fit the file's name\nhint: a rule file is named"),
        ('code = "GD999"', "GD999.toml: `slug` is missing\nhint: a new code needs all of its texts"),
        (HEAD + "sumary.en = 's'", "GD999.toml: unknown key 'sumary'\nhint: did you mean 'summary'?"),
        (HEAD.replace('title.en = "A made-up illness"', ""), "title: Object missing required field `en`"),
        (HEAD.replace("made-up", "Made up"), "slug 'Made up' must be lower-case words"),
        (HEAD.replace("{debt:", "{det:"), "message.en: unknown field 'det'\nhint: did you mean 'debt'?"),
        (HEAD.replace("{debt:", "{debt.real:"), "'{debt.real}' must be a plain {name}"),
        (HEAD.replace("{onset}", "{onset"), "GD999.toml: message.en: not a message: "),
        (HEAD + 'leads_to = ["GD998"]', "GD999.toml: 'GD998' in `leads_to` is no code of a rule"),
        (HEAD + 'leads_to = ["GD999"]', "stands there twice or is itself"),
    ],
)  # fmt: skip
def test_faults_of_a_rule(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in fault(tmp_path, text)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('why.en = "w"', "", "remedies[0] (lower): Object missing required field `why`"),
        ('why.en = "w"', 'why.en = " "', "remedies[0] (lower): `why.en` is empty"),
        ('why.en = "w"', "why.en = 3", "remedies[0] (lower): why.en: Expected `str`, got `int`"),
        ("why.en", "way.en", "remedies[0] (lower): unknown key 'way'\nhint: did you mean 'why'?"),
        ('"lower"', '"Lower it"', "id 'Lower it' must be lower-case words"),
        ("lr_ratio", "lr_rato", "unknown fact 'lr_rato' in `when`\nhint: did you mean 'lr_ratio'? `gan"),
        ("spectral_norm", "spectral", "unknown fact 'spectral' in `not_when`"),
        ('lr_D = "', 'lr_d = "', "unknown fact 'lr_d' in `set`\nhint: did you mean 'lr_D'?"),
        ("lr_D / 4", "lr_D / x", "set.lr_D: 'lr_D / x' is not a fact or a number with"),
        ("lr_D / 4", "lr_D / 0", "set.lr_D: 'lr_D / 0' divides by 0"),
        ("lr_D / 4", "1.2.3 * 4", "'1.2.3 * 4' holds a number that cannot be read"),
        ("lr_D / 4", "lr_D / 4 * 2", "is not a fact or a number with at most one of"),
        ("lr_D / 4", "family * 2", "'family' in 'family * 2' is no numeric fact"),
        ("lr_D / 4", "__import__('os')", "is not a fact or a number"),
        ('"lr_D / 4"', "true", "set.lr_D: True is no number, which 'lr_D' must be"),
        ('"lr_D / 4"', "-1.0", "set.lr_D: -1.0 is outside 0 to inf"),
        ('lr_D = "lr_D / 4"', 'family = "hing"', "'hing' is no value of 'family'\nhint: did you mean 'hi"),
        ('lr_D = "lr_D / 4"', "n_critic = 2.5", "set.n_critic: 2.5 is no integer"),
        ("min = 1.0", "min = 2.0, max = 1.0", "when.lr_ratio: the range is empty"),
        ("min = 1.0", "least = 1.0", "unknown key 'least' in when"),
        ('["minimax", "hinge"]', "{min = 1}", "when.family: 'family' is no number"),
        ('["minimax", "hinge"]', "[]", "when.family: the list is empty"),
        ("[true]", "[1]", "not_when.spectral_norm: 1 is no flag"),
        ("[true]", "true", "not_when[...]: Expected `object | array`, got `bool`"),
    ],
)  # fmt: skip
def test_faults_of_a_remedy(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in REMEDY
    assert expected in fault(tmp_path, HEAD, REMEDY.replace(old, new))


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "GD999.toml").write_bytes(b'code = "\xff"')
    with pytest.raises(UserError, match=r"GD999\.toml: not UTF-8: invalid start byte at byte 8"):
        load_rules(tmp_path)
    with pytest.raises(UserError, match="no such folder of rules"):
        load_rules(tmp_path / "absent")
    assert "not TOML" in fault(tmp_path, "x = " + "[" * 5_000)


def test_a_misnamed_or_missing_file_is_not_passed_over(tmp_path: Path) -> None:
    assert "gd999.toml: this is not the name of a rule file" in fault(tmp_path / "a", HEAD, name="gd999.toml")
    assert "no rule file in this folder" in fault(tmp_path / "b", HEAD, name="rules.toml")


def test_one_id_twice(tmp_path: Path) -> None:
    assert "remedies[1] (lower): the id 'lower' stands twice" in fault(tmp_path, HEAD, REMEDY, REMEDY)


# --- two remedies, one knob ----------------------------------------------------------------------------

SECOND = REMEDY.replace('"lower"', '"second"').replace("not_when = {spectral_norm = [true]}", "")


@pytest.mark.parametrize("value", ['"lr_D / 2"', '"lr_D * 0.5"', '"lr_D - 0.0001"'])
def test_the_same_knob_in_the_same_direction(tmp_path: Path, value: str) -> None:
    message = fault(tmp_path, HEAD, REMEDY, SECOND.replace('"lr_D / 4"', value))
    assert "'lower' and 'second' turn the same knob (lr_D) in the same direction" in message


@pytest.mark.parametrize(
    "change",
    [
        ('"lr_D / 4"', '"lr_D * 2"'),  # another direction
        ("{lr_D =", "{lr_G ="),  # another knob
        ("min = 1.0", "max = 0.5"),  # disjoint ranges
        ('["minimax", "hinge"]', '["lsgan"]'),  # disjoint lists
        ("when = {", "when = {spectral_norm = [true], "),  # what excludes the first
    ],
)
def test_remedies_that_may_stand_together(tmp_path: Path, change: tuple[str, str]) -> None:
    assert len(load_rules(folder(tmp_path, HEAD, REMEDY, SECOND.replace(*change)))["GD999"].remedies) == 2


def test_a_literal_is_up_or_down_from_what_is_usual(tmp_path: Path) -> None:
    more = REMEDY.replace('lr_D = "lr_D / 4"', "n_critic = 5")
    most = SECOND.replace('lr_D = "lr_D / 4"', 'n_critic = "n_critic * 2"')
    assert "turn the same knob (n_critic)" in fault(tmp_path, HEAD, more, most)


# --- a user's folder on top ----------------------------------------------------------------------------


def test_a_users_remedy_replaces_ours_in_its_place_and_a_new_one_is_appended(tmp_path: Path) -> None:
    ours = folder(tmp_path / "ours", HEAD, REMEDY, SECOND.replace("lr_D / 4", "lr_D * 2"))
    mine = REMEDY.replace('why.en = "w"', 'why.en = "mine"')
    new = SECOND.replace("second", "third").replace("lr_D =", "lr_G =")
    theirs = folder(tmp_path / "theirs", 'code = "GD999"', mine, new)
    rule = load_rules(ours, theirs)["GD999"]
    assert [(r.id, r.why.en) for r in rule.remedies] == [("lower", "mine"), ("second", "w"), ("third", "w")]
    assert rule.title.en == "A made-up illness"


def test_a_user_may_remove_a_remedy_or_change_a_text(tmp_path: Path) -> None:
    ours = folder(tmp_path / "ours", HEAD, REMEDY)
    gone = '[[remedies]]\nid = "lower"\ndisabled = true'
    theirs = folder(tmp_path / "theirs", 'code = "GD999"\ntitle.en = "Ours"', gone)
    rule = load_rules(ours, theirs)["GD999"]
    assert (rule.title.en, rule.remedies) == ("Ours", ())


def test_removing_what_does_not_exist_is_a_fault(tmp_path: Path) -> None:
    gone = '[[remedies]]\nid = "lowr"\ndisabled = true'
    ours = folder(tmp_path / "ours", HEAD, REMEDY)
    theirs = folder(tmp_path / "theirs", 'code = "GD999"', gone)
    with pytest.raises(
        UserError, match=r"remedies\[0\] \(lowr\): no remedy is called 'lowr'\nhint: did you mean"
    ):
        load_rules(ours, theirs)


# --- a remedy on a run ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, True),
        ({"lr_ratio": 1.0, "family": "hinge", "spectral_norm": False}, True),
        ({"lr_ratio": 0.5}, False),
        ({"family": "wgan"}, False),
        ({"family": None, "lr_ratio": float("nan")}, True),
        ({"family": "unknown", "made_up": 1}, True),
        ({"spectral_norm": True}, False),
        ({"spectral_norm": None}, True),
        ({"lr_D": 0.0}, False),  # a quarter of 0 is 0: nothing would change
    ],
)
def test_applies(rule: Rule, facts: dict[str, float | str | bool | None], expected: bool) -> None:
    assert applies(rule.remedies[0], facts) is expected


@pytest.mark.parametrize(
    ("text", "facts", "expected"),
    [
        ('lr_D = "lr_D / 4"', {"lr_D": 0.0002}, Change("lr_D", 0.0002, 5e-05)),
        ('lr_D = "lr_D / 4"', {}, Change("lr_D", None, None)),
        ('lr_D = "lr_G * 4"', {"lr_G": 0.0001}, Change("lr_D", None, 0.0004)),
        ('lr_D = "3e-4"', {}, Change("lr_D", None, 0.0003)),
        ("n_critic = 5", {"n_critic": 1}, Change("n_critic", 1, 5)),
        ("spectral_norm = true", {}, Change("spectral_norm", None, True)),
        ('family = "hinge"', {"family": "wgan"}, Change("family", "wgan", "hinge")),
        ('batch_size = "batch_size / 4"', {"batch_size": 2}, Change("batch_size", 2, 1)),  # kept in range
        ('dropout_D = "dropout_D + 0.2"', {"dropout_D": 0.9}, Change("dropout_D", 0.9, 0.95)),
    ],
)
def test_fill(tmp_path: Path, text: str, facts: dict[str, float | str], expected: Change) -> None:
    rules = load_rules(folder(tmp_path, HEAD, REMEDY.replace('lr_D = "lr_D / 4"', text)))
    assert fill(rules["GD999"].remedies[0], facts) == (expected,)


@pytest.mark.parametrize("text", ["lr_D/4", "lr_D ÷ 4", " lr_D / 4 ", "lr_D * 0.25", "lr_D × 0.25"])
def test_ways_to_write_an_expression(text: str) -> None:
    expression = read_set("lr_D", text)
    assert isinstance(expression, Expression)
    assert expression.value({"lr_D": 8e-4}) == 2e-4


@pytest.mark.parametrize(("text", "value"), [("0.5 - 0.1", 0.4), ("beta1 − 0.1", 0.4), ("beta1 + 1e-1", 0.6)])
def test_sums_and_differences(text: str, value: float) -> None:
    expression = read_set("beta1", text)
    assert isinstance(expression, Expression)
    assert expression.value({"beta1": 0.5}) == value


# --- the sentence --------------------------------------------------------------------------------------


def finding(layer: str = "", **params: float | str) -> Finding:
    return Finding(
        "GD999", Severity.ERROR, Stretch(1200, (1200, 1250)), (), Subject(layer=layer), params=params
    )


def test_a_message_is_filled(rule: Rule) -> None:
    assert render(finding("fc.1", debt=3.14159), rule) == "G owes 3.1 since step 1,200 in fc.1."
    assert render(finding(debt=2), rule, unit="epoch") == "G owes 2.0 since epoch 1,200."


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0004, "0.04% in 0.0004"), (0.0, "0% in 0.0"), (0.25, "25% in 0.2"), (-0.003, "-0.3% in -0.003")],
)
def test_a_small_value_is_never_said_to_be_0(value: float, said: str) -> None:
    one = Rule("GD999", "x", Text("t"), Text(""), Text("{debt:.0%} in {debt:.1f}"))
    assert render(finding(debt=value), one) == said


@pytest.mark.parametrize("debt", [None, float("nan"), float("inf"), "much"])
def test_without_a_field_the_title_stands_in(rule: Rule, debt: float | str | None) -> None:
    params = {} if debt is None else {"debt": debt}
    assert render(finding(**params), rule) == "A made-up illness"
    assert render(finding(**params), rule, "zh") == "虚构的病"


def test_a_value_is_not_read_as_a_template(rule: Rule) -> None:
    assert render(finding("{onset}]] {x", debt=1), rule) == "G owes 1.0 since step 1,200 in {onset}]] {x."


@given(st.text(), st.dictionaries(st.text(), st.one_of(st.text(), st.floats(), st.integers())))
def test_rendering_never_fails(message: str, params: dict[str, float | int | str]) -> None:
    rule = Rule("GD999", "x", Text("title"), Text(""), Text(message))
    assert isinstance(render(finding(**params) if "layer" not in params else finding(), rule), str)


def test_every_unit_has_a_word() -> None:
    assert set(UNITS) == {unit.value for unit in Unit}


# --- our own rules -------------------------------------------------------------------------------------

OURS = load_rules()


def test_each_slug_of_ours_is_its_own() -> None:
    assert len({rule.slug for rule in OURS.values()}) == len(OURS)


@pytest.mark.parametrize("code", OURS)
def test_every_text_of_ours_is_in_both_languages(code: str) -> None:
    rule = OURS[code]
    texts = {key: getattr(rule, key) for key in ("title", "summary", "message")}
    for remedy in rule.remedies:
        keys = ("hypothesis", "change", "why", "expect", "when_not")
        texts |= {f"{remedy.id}.{key}": text for key in keys if (text := getattr(remedy, key))}
    for key, text in texts.items():
        assert text.en.strip(), key
        assert any("\u4e00" <= letter <= "\u9fff" for letter in text.zh), key
        assert not any("\u3000" <= letter <= "\u9fff" for letter in text.en), key


@pytest.mark.parametrize("code", OURS)
def test_ours_have_remedies_with_reasons_and_references(code: str) -> None:
    rule = OURS[code]
    assert len(rule.remedies) >= 4
    assert [remedy.id for remedy in rule.remedies if not remedy.references] == []


@pytest.mark.parametrize("code", OURS)
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_our_messages_stand_without_any_param(code: str, lang: str) -> None:
    sentence = render(Finding(code, Severity.ERROR, Stretch(7, (7, 7)), ()), OURS[code], lang)
    assert sentence
    assert not set("{}") & set(sentence)
    assert "[[" not in sentence


@pytest.mark.parametrize("code", OURS)
def test_our_snippets_are_python(code: str) -> None:
    for remedy in OURS[code].remedies:
        compile(remedy.snippet, remedy.id, "exec")


def test_every_fact_of_ours_is_described() -> None:
    assert all(fact.en and fact.zh and fact.low <= fact.high for fact in FACTS.values())


def test_rules_load_without_numpy() -> None:
    code = "import gandoctor.judge.rules as r, sys; r.load_rules(); print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
