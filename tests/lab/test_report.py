from __future__ import annotations

import csv
from pathlib import Path

import pytest

from gandoctor.errors import UserError
from gandoctor.lab import command
from gandoctor.lab.promise import Ranks, clean, scores_of
from gandoctor.lab.report import report
from gandoctor.lab.table import Row, read_table, write_table
from tests.lab.rows import healthy, in_every_style, row


def section(text: str, title: str) -> str:
    return text.split(f"## {title}", 1)[1].split("\n## ", 1)[0]


def line(text: str, start: str) -> list[str]:
    found = next(one for one in text.splitlines() if one.startswith(f"| {start} |"))
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_what_is_counted_by_style() -> None:
    rows = [
        row(), row(primary="GD401", findings="GD401:error:9"), row(verdict="healthy", primary="", findings=""),
        row(visible=0, primary="", verdict="healthy", findings=""), row(visible=0, primary="GD102"),
        healthy(), healthy(verdict="warning", primary="GD101", findings="GD101:warning:5", severity="warning",
                           confidence=0.5, onset=5),
        healthy(verdict="unknown"), healthy(true="GD601", verdict="failing"), row(outcome="grey"),
        row(part="fit"), row(error="ValueError: x"),
    ]  # fmt: skip
    text = section(report(rows), "Primary symptoms")
    norms = line(text, "norms")
    assert norms[1].startswith("1/3 = 33.3% (6.1%–79.2%;")
    assert norms[2].startswith("1/4")
    assert norms[3] == "1 of 2"
    assert norms[4].startswith("1/3")
    assert norms[5].startswith("1/3")  # a true mechanism in a healthy run is no false alarm
    assert norms[6] == "0"
    assert line(text, "losses")[1] == "–"


def test_recall_is_of_examined_runs_and_precision_leaves_unknown_out() -> None:
    rows = [
        row(), row(findings=""), row(findings="", examined=""),
        healthy(findings="GD201:warning:3"), healthy(findings="GD506:warning:3"),
        row(findings="GD506:warning:3", true="", false=""),
    ]  # fmt: skip
    text = section(report(rows), "Codes")
    assert line(text, "GD201")[3] == "1/2 = 50% of 3; 1/2 = 50%"
    assert line(text, "GD506")[3] == "0/0 of 0; 0/1 = 0%"  # not measured in the ill run


def test_onset_errors_are_shares_of_the_run() -> None:
    text = section(report([row(), row(onset=0), row(onset=300)]), "Onset")
    assert line(text, "norms") == ["norms", "3", "+0.0%", "2.0%", "8.4%"]


def test_the_promise_needs_enough_healthy_configurations() -> None:
    def study(n: int) -> list[Row]:
        rows = [
            healthy(part="fit", configuration=f"f{i}", scores="GD201:0.5" if i % 2 else "") for i in range(10)
        ]
        rows += [healthy(part="calibrate", configuration=f"c{i}") for i in range(n) for _ in range(2)]
        return [*rows, row(), healthy(), healthy(scores="GD201:0.5", configuration="other")]

    few = line(section(report(study(32)), "The promise"), "norms")
    assert few[1:3] == ["32", "none: it takes 33"]
    enough = line(section(report(study(40)), "The promise"), "norms")
    assert enough[1] == "40"
    assert enough[4].startswith("1/2")
    assert enough[5].startswith("1/1")
    # Half of the healthy runs of fit score 0.5: a rank of 1 - 6/11, under that of 0.63 and more, 1 - 1/11.
    assert line(section(report(study(40)), "The promise"), "GD201")[3] == "0.5"


def test_ranks_are_within_the_family_where_it_has_enough() -> None:
    fit = [healthy(scores="GD201:0.5", family="ns") for _ in range(20)]
    fit += [healthy(family="hinge") for _ in range(5)]
    ranks = Ranks(fit)
    assert ranks.of(row(scores="GD201:0.5", family="ns")) == 0.0
    pooled = ranks.of(row(scores="GD201:0.5", family="hinge"))
    assert pooled == pytest.approx(1 - 21 / 26)
    assert ranks.of(row(scores="GD201:1", family="ns")) == pytest.approx(1 - 1 / 21)
    assert scores_of(row(scores="GD201:1", examined="GD201 GD101")) == {"GD201": 1.0, "GD101": 0.0}


def test_peers_are_judged_by_the_first_that_fires() -> None:
    text = section(report([row(), row(peers="stagnation"), healthy(), healthy(peers="")]), "Peers")
    assert line(text, "d-zero")[3].startswith("1/2")
    cells = line(text, "any of them, norms")
    assert cells[2].startswith("1/2")
    assert cells[3].startswith("2/2")
    assert cells[4].startswith("1/2")


def test_held_out_runs_are_shown_apart() -> None:
    rows = [row(), row(part="held-out", held="fault tags", primary="GD102")]
    text = section(report(rows), "By family")
    assert "| held-out fault | norms | 0/1" in text
    assert "| held-out tags | norms | 0/1" in text
    assert "| held-out family | norms | – | – |" in text
    assert "| ns | norms | 1/1" in text
    fit = report([row(part="fit", primary="GD102"), *rows], part="fit")
    assert "held-out fault" not in fit  # nor anything else of what is for the end alone
    assert "The promise" not in fit
    assert line(section(fit, "Primary symptoms"), "norms")[1].startswith("0/1")


def test_a_table_survives_writing_and_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    rows = [row(), healthy(error='a, b\n"c"')]
    for name in ("a.csv.xz", "b.csv.xz", "c.csv"):
        write_table(rows, tmp_path / name)
        assert read_table(tmp_path / name) == rows
    assert (tmp_path / "a.csv.xz").read_bytes() == (tmp_path / "b.csv.xz").read_bytes()


@pytest.mark.parametrize("data", [b"", b"a,b\n1,2\n", b"\xff\xfe"])
def test_what_is_no_table_is_said(tmp_path: Path, data: bytes) -> None:
    for name in ("x.csv", "x.csv.xz"):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UserError, match=r"cannot be read|no table of a study"):
            read_table(tmp_path / name)
    with pytest.raises(UserError, match="no table of a study is there"):
        command.report(tmp_path, None)


def test_no_usable_run_is_said() -> None:
    with pytest.raises(UserError, match="no run of the table"):
        report([row(error="x", style="")])


def test_each_look_at_the_test_runs_is_noted(tmp_path: Path) -> None:
    write_table(in_every_style(row()) + in_every_style(healthy(seed=5001)), tmp_path / "t.csv")
    for _ in range(2):
        text = command.report(tmp_path / "t.csv", tmp_path / "out")
    command.report(tmp_path / "t.csv", tmp_path / "out", part="fit")  # none
    with (tmp_path / "out" / "evaluations.csv").open(encoding="utf-8") as file:
        noted = list(csv.DictReader(file))
    assert [one["runs"] for one in noted] == ["2", "2"]
    assert noted[0]["seeds"] == "5000-5001"
    assert noted[0]["thresholds"]
    assert (tmp_path / "out" / "detect.md").read_text(encoding="utf-8").endswith(text)
    assert not (tmp_path / "evaluations.csv").exists()
    again = command.report(tmp_path / "out" / "detect.csv.xz", None)  # remade from the committed table
    assert again == text
    assert len((tmp_path / "out" / "evaluations.csv").read_text(encoding="utf-8").splitlines()) == 4
    assert clean(healthy())


def test_information_is_counted_apart() -> None:
    rows = [row(**{"true": "GD605", "examined": "GD605", "findings": said, "primary": "GD605"}) for said in (
        "GD605:info:5", "GD605:warning:5", "",
    )]  # fmt: skip
    assert line(section(report(rows), "Codes"), "GD605")[3].startswith("1/3 = 33% (+1 as information) of 3")
