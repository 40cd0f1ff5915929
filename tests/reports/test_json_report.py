from __future__ import annotations

import io
import json

import jsonschema
import pytest

from gandoctor.reports import json_report, schema
from tests.reports import samples


def written(*diagnoses: object, lang: str = "en") -> str:
    out = io.StringIO()
    json_report.write(diagnoses, out, lang=lang)
    return out.getvalue()


def run_of(diagnosis: object, lang: str = "en") -> dict:
    [run] = json.loads(written(diagnosis, lang=lang))["runs"]
    return run


@pytest.mark.parametrize("sample", samples.ALL, ids=lambda f: f.__name__)
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_output_fits_the_shipped_schema(sample, lang) -> None:
    shipped = json.loads(schema.FILE.read_text(encoding="utf-8"))
    jsonschema.validate(json.loads(written(sample(), lang=lang)), shipped)


def test_the_shipped_schema_is_the_one_of_the_contract() -> None:
    assert schema.FILE.read_text(encoding="utf-8") == schema.text(), "run python -m gandoctor.reports.schema"


def test_the_schema_refuses_what_is_not_the_contract() -> None:
    good = json.loads(written(samples.failing()))
    for spoil in ({"verdict": "ill"}, {"steps": [1]}, {"chain": [["GD201-1"]]}, {"primary": {}}):
        bad = {**good, "runs": [{**good["runs"][0], **spoil}]}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, schema.schema())


def test_the_same_run_gives_the_same_bytes() -> None:
    assert written(samples.failing(), samples.healthy()) == written(samples.failing(), samples.healthy())


def test_no_run_is_an_empty_list() -> None:
    assert json.loads(written())["runs"] == []


def test_the_fields_of_the_contract_stand_there_by_name_and_in_order() -> None:
    run = run_of(samples.failing())
    named = (
        "path name verdict unit steps examined primary findings chain pairs loss_family facts roles coverage "
        "log_next samples prescription best_snapshot known_at_step baseline problems"
    )
    assert list(run) == named.split()
    primary = "id code slug title severity confidence confidence_source onset_step onset_fraction message"
    assert list(run["primary"]) == primary.split()
    remedy = "id code hypothesis change set why when_not expect references snippet lab"
    assert list(run["prescription"][0]) == remedy.split()


def test_a_failing_run_in_full() -> None:
    run = run_of(samples.failing())
    assert (run["path"], run["name"], run["verdict"], run["unit"]) == (
        "runs/failing", "failing", "failing", "iteration",
    )  # fmt: skip
    assert run["steps"] == [0, 19_950]
    assert run["primary"]["code"] == "GD201"
    assert abs(run["primary"]["onset_fraction"] - 0.2) < 0.05
    assert "GD105" in {finding["code"] for finding in run["findings"]}
    assert run["facts"]["lr_D"] == {"value": 0.001, "source": "config.json: lr_D"}
    assert run["roles"] == {"loss_D": "D.loss.total", "loss_G": "G.loss.total"}
    assert run["pairs"] == [{"name": "", "loss_family": run["loss_family"]}]
    departures = {name: (one["usual"], one["own"]) for name, one in run["baseline"]["departures"].items()}
    assert departures["lr_D"][1] == 0.001
    [problem] = run["problems"]
    assert list(problem.values()) == ["runs/failing/log.csv", "line 17", "bad-line", "7 fields, 5 expected"]
    knobs = {knob: change for remedy in run["prescription"] for knob, change in remedy["set"].items()}
    assert knobs["lr_G"] == {"from": 0.0001, "to": 0.001}


def test_each_pair_has_its_family() -> None:
    run = run_of(samples.two_pairs())
    assert [pair["name"] for pair in run["pairs"]] == ["A", "B"]
    assert run["loss_family"] == run["pairs"][0]["loss_family"]
    assert {finding["subject"]["pair"] for finding in run["findings"]} == {"B"}


def test_numbers_that_are_not_finite_are_null_with_their_text() -> None:
    run = run_of(samples.handmade())
    [evidence] = run["findings"][0]["evidence"]
    assert (evidence["value"], evidence["value_text"]) == (None, "nan")
    assert (evidence["threshold"], evidence["threshold_text"]) == (None, "inf")
    assert run["best_snapshot"]["value_text"] == "nan"
    assert "value_text" not in run_of(samples.failing())["findings"][0]["evidence"][0]


def test_a_change_that_cannot_be_computed_says_how_it_is_made() -> None:
    diagnosis = samples.two_pairs()  # no configuration, so no learning rate is known
    changes = [change for remedy in run_of(diagnosis)["prescription"] for change in remedy["set"].values()]
    assert {"from": None, "to": None, "to_text": "lr_D"} in changes


def test_names_that_utf8_cannot_hold_are_written_as_escapes() -> None:
    diagnosis = samples.failing()
    diagnosis.run.name = "run\udcff"
    assert run_of(diagnosis)["name"] == "run\\udcff"


def test_coverage_is_a_sentence_and_a_slug() -> None:
    by_code = {line["code"]: line for line in run_of(samples.failing())["coverage"]}
    assert by_code["GD201"]["state"] == "examined"
    assert by_code["GD504"]["reason"] == "a quality metric such as FID was not logged"
    assert (by_code["GD504"]["reason_slug"], by_code["GD504"]["log_next"]) == (
        "missing-signal",
        "quality-metric",
    )
    zh = {line["code"]: line for line in run_of(samples.failing(), "zh")["coverage"]}
    assert zh["GD504"]["reason"] == "没有记录质量指标，如 FID"
