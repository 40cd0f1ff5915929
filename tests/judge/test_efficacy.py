from __future__ import annotations

from pathlib import Path

import pytest

from gandoctor.errors import UserError
from gandoctor.judge import prescription
from gandoctor.judge.diagnose import diagnose_run
from gandoctor.judge.diagnosis import Diagnosis
from gandoctor.judge.efficacy import COLUMNS, FILE, NOTHING, Efficacy, Tally, efficacy_of, read_entries
from gandoctor.judge.rules import load_rules
from gandoctor.reports import rows
from gandoctor.thresholds import rules_folder
from tests.runs import game, logged, pieces

HEAD = ",".join(COLUMNS)


def line(remedy: str, numbers: str, configuration: str = "c1", stage: str = "final") -> str:
    return f"GD201,{remedy},{numbers},{stage},ns,ring8,{configuration},rank,0,0,0,0,gandoctor lab cure S"


def written(folder: Path, *lines: str, head: str = HEAD) -> Path:
    path = folder / FILE
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return path


def test_every_row_of_ours_names_a_remedy_that_exists() -> None:
    rules = load_rules()
    for entry in read_entries(rules_folder() / FILE):
        assert entry.code in rules
        assert entry.remedy in {remedy.id for remedy in rules[entry.code].remedies}
        assert entry.split in ("rank", "judge")


def test_only_the_final_stage_counts_and_configurations_are_pooled(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        line("add-r1", "3,3,0,10", stage="screen"),
        line("add-r1", "8,10,1,10"),
        line("add-r1", "6,10,0,10", "c2"),
        line("wgan-gp", "2,10,0,10", "c2"),
    )
    found = efficacy_of(read_entries(path))["GD201"]
    assert found.by_remedy["add-r1"].numbers() == (14, 20, 1, 20)
    assert found.means == (16 / 30, 1 / 20)  # the control of c2 counts once


def test_the_lift_is_drawn_to_the_symptoms_mean() -> None:
    found = Efficacy(
        {"good": Tally(10, 10, 0, 10), "lucky": Tally(1, 1, 0, 1), "bad": Tally(0, 10, 0, 10)}, (0.5, 0.0)
    )
    assert found.lift("good") == pytest.approx((10 + 1) / 12)
    assert found.lift("lucky") == pytest.approx((1 + 1) / 3)  # one of one proves less than ten of ten
    assert found.lift("never tried") == 0.5
    assert found.lift("good") > found.lift("lucky") > found.lift("never tried") > found.lift("bad")
    assert NOTHING.lift("any") == 0


def d_wins() -> Diagnosis:
    real, fake = pieces((0, 0.7), (0.3, 6.0)), pieces((0, -0.7), (0.3, -8.0))
    return diagnose_run(logged(game("non-saturating", real, fake), "loss_D_real", "loss_D_fake", "loss_G"))


def test_what_cured_comes_first_and_what_failed_last(monkeypatch: pytest.MonkeyPatch) -> None:
    expert = [remedy.id for remedy in d_wins().prescription if remedy.code == "GD201"]
    tallies = {expert[2]: Tally(9, 10, 0, 10), expert[0]: Tally(0, 10, 0, 10), expert[1]: Tally(5, 10, 0, 10)}
    monkeypatch.setattr(prescription, "measured", lambda: {"GD201": Efficacy(tallies, (14 / 30, 0.0))})
    monkeypatch.setattr(prescription, "_rank", lambda *_: 0)
    prescribed = [remedy for remedy in d_wins().prescription if remedy.code == "GD201"]
    assert [one.id for one in prescribed[:2]] == [expert[2], expert[1]]
    assert expert[0] not in [one.id for one in prescribed[:7]]
    assert (prescribed[0].lab, prescribed[3].lab) == ((9, 10, 0, 10), None)


def test_a_condition_that_holds_comes_before_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    before = d_wins().prescription
    last = before[-1]
    monkeypatch.setattr(
        prescription, "measured", lambda: {"GD201": Efficacy({last.id: Tally(9, 10, 0, 10)}, (0.9, 0))}
    )
    order = [remedy.id for remedy in d_wins().prescription]
    assert order[0] == before[0].id
    assert order.index(last.id) < len(order) - 1 or before[-2].lab is None


def test_a_report_says_k_of_n_with_its_interval() -> None:
    lab = rows._lab((9, 10, 1, 10), "en")
    assert lab.said == ("cured 9 of 10 (95%: 60–98%); without it 1 of 10 recovered: +80 points (+37 to +92)")
    assert (lab.interval, lab.lift, lab.lift_interval) == ((0.596, 0.982), 0.8, (0.37, 0.916))
    assert "10 次中治好 9 次" in rows._lab((9, 10, 1, 10), "zh").said


@pytest.mark.parametrize(
    ("lines", "head", "message"),
    [
        ([line("add-r1", "11,10,0,10")], HEAD, "line 2: more runs were cured than tried"),
        ([line("add-r1", "0,0,0,10")], HEAD, "none was tried"),
        ([line("add-r1", "x,10,0,10")], HEAD, "a count is no whole number"),
        ([line("add-r1", "1,10,0,10", stage="third")], HEAD, "'third' is no stage"),
        (["GD201"], HEAD, "a count is no whole number"),
        ([], "code,remedy", "it lacks the columns cured, tried"),
    ],
)
def test_a_damaged_file_is_told(lines: list[str], head: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as told:
        read_entries(written(tmp_path, *lines, head=head))
    assert message in str(told.value)
    with pytest.raises(UserError, match="cannot be read"):
        read_entries(tmp_path / "none.csv")
