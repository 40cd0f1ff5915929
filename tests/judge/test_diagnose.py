from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from gandoctor.config import Config
from gandoctor.errors import UserError
from gandoctor.findings import Kind, Severity, State
from gandoctor.judge.diagnose import _joined, diagnose_run
from gandoctor.judge.diagnosis import Diagnosis, Verdict
from gandoctor.judge.rules import load_rules
from gandoctor.run import Checkpoint, LogProblem, Run, Unit, Values
from tests.drawn import drawn, faces, nearer
from tests.judge.findings import finding
from tests.runs import game, jump, level, logged, make_run, noisy, pieces, ramp

HALVES = ("loss_D_real", "loss_D_fake", "loss_G")
TORN = LogProblem(Path("run/events"), "byte 12", "truncated", "cut off")


def healthy(**options: object) -> Run:
    return logged(game("non-saturating", ramp(0.1, 0.8), ramp(-0.1, -0.8)), *HALVES, **options)


def won(at: float = 0.3, until: float = 2.0) -> dict[str, Values]:
    real, fake = pieces((0, 0.7), (at, 6.0), (until, 0.7)), pieces((0, -0.7), (at, -8.0), (until, -0.7))
    return game("non-saturating", real, fake)


def with_series(run: Run, **series: object) -> Run:
    run.series.update(make_run(series).series)  # type: ignore[arg-type]
    return run


def codes(diagnosis: Diagnosis) -> dict[str, Severity]:
    return {one.finding.code: one.finding.severity for one in diagnosis.findings}


def states(diagnosis: Diagnosis) -> dict[str, tuple[State, str]]:
    return {line.code: (line.state, line.reason) for line in diagnosis.coverage}


# --- verdicts


def test_a_healthy_run() -> None:
    diagnosis = diagnose_run(healthy())
    assert (diagnosis.verdict, diagnosis.primary, diagnosis.findings) == (Verdict.HEALTHY, None, ())
    assert diagnosis.prescription == ()
    assert diagnosis.known_at_step is None
    assert diagnosis.examined == (Kind.GAME,)


def test_an_error_to_the_end_is_failing() -> None:
    diagnosis = diagnose_run(logged(won(), *HALVES))
    assert diagnosis.verdict is Verdict.FAILING
    assert diagnosis.primary is not None
    assert diagnosis.primary.finding.code == "GD201"


def test_nan_at_the_end_is_failing_however_short_the_log() -> None:
    broken = np.where(np.arange(12) < 6, 1.0, np.nan)
    diagnosis = diagnose_run(make_run({"loss_D": broken, "loss_G": level(1.0)}, points=12))
    assert diagnosis.verdict is Verdict.FAILING


@pytest.mark.parametrize(
    ("until", "verdict"), [(0.75, Verdict.WARNING), (0.9, Verdict.FAILING), (2.0, Verdict.FAILING)]
)
def test_what_is_over_no_longer_fails(until: float, verdict: Verdict) -> None:
    assert diagnose_run(logged(won(0.15, until), *HALVES)).verdict is verdict


@pytest.mark.parametrize(("end", "verdict"), [(150, Verdict.WARNING), (170, Verdict.FAILING)])  # 80% of 200
def test_failing_means_active_in_the_last_fifth(
    end: int, verdict: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = finding("GD201", 20, Severity.ERROR, end=end, overwhelming=True)
    monkeypatch.setattr("gandoctor.judge.diagnose._joined", lambda _: [made])
    run = make_run({"loss_D": level(1.0), "loss_G": level(1.0)}, points=200, every=1)
    assert diagnose_run(run).verdict is verdict


def test_too_short_is_unknown() -> None:
    for run in (healthy(), logged(won(), *HALVES)):
        short = Run(run.path, run.name, {tag: one.take(slice(0, 20)) for tag, one in run.series.items()})
        diagnosis = diagnose_run(short)
        assert (diagnosis.verdict, diagnosis.primary) == (Verdict.UNKNOWN, None)
        assert states(diagnosis)["GD201"][0] is State.TOO_SHORT


def test_few_iterations_are_unknown_but_as_many_epochs_are_not() -> None:
    assert diagnose_run(healthy(every=2)).verdict is Verdict.UNKNOWN  # 800 iterations
    assert diagnose_run(healthy(every=2, unit=Unit.EPOCH)).verdict is Verdict.HEALTHY


def test_a_run_without_g_is_unknown_but_a_critic_speaks_for_both() -> None:
    played = game("non-saturating", 0.5, -0.5)
    assert diagnose_run(logged(played, "loss_D_real", "loss_D_fake")).verdict is Verdict.UNKNOWN
    critic = game("wgan", lambda t: 3 - 2 * t, lambda t: -3 + 2 * t)
    assert diagnose_run(logged(critic, "loss_D", settings={"gan_mode": "wgan-gp"})).verdict is Verdict.HEALTHY


def test_a_run_without_anything() -> None:
    diagnosis = diagnose_run(Run(Path("run"), "run"))
    assert (diagnosis.verdict, diagnosis.findings, diagnosis.examined) == (Verdict.UNKNOWN, (), ())
    assert {line.state for line in diagnosis.coverage} == {State.NOT_EXAMINABLE}


def test_the_same_run_gives_the_same_diagnosis() -> None:
    first, second = (
        diagnose_run(with_series(logged(won(), *HALVES), fid=noisy(level(200.0), 0.05))) for _ in range(2)
    )
    for name in (one.name for one in fields(Diagnosis) if one.name not in ("run", "views")):
        assert getattr(first, name) == getattr(second, name), name


# --- the log's own problems


def test_log_problems_move_neither_verdict_nor_primary() -> None:
    diagnosis = diagnose_run(healthy(problems=[TORN]))
    assert (diagnosis.verdict, diagnosis.primary) == (Verdict.HEALTHY, None)
    assert codes(diagnosis) == {"GD901": Severity.INFO}
    ill = diagnose_run(logged(won(), *HALVES, problems=[TORN]))
    assert ill.primary is not None
    assert (ill.verdict, ill.primary.finding.code) == (Verdict.FAILING, "GD201")


# --- evidence


def test_an_error_of_one_kind_must_be_overwhelming() -> None:
    lone = finding("GD201", severity=Severity.ERROR)
    assert [one.severity for one in _joined([lone])] == [Severity.WARNING]
    assert [one.severity for one in _joined([replace(lone, overwhelming=True)])] == [Severity.ERROR]


@pytest.mark.parametrize(
    ("kind", "end", "severity"),
    [
        (Kind.QUALITY, None, Severity.ERROR),
        (Kind.GAME, None, Severity.WARNING),
        (Kind.QUALITY, 5_000, Severity.WARNING),
    ],
)
def test_two_kinds_of_warning_make_an_error_if_they_last(
    kind: Kind, end: int | None, severity: Severity
) -> None:
    [joined] = _joined([finding("GD401", end=end), finding("GD401", kinds=[kind], end=end)])
    assert joined.severity is severity
    assert [evidence.kind for evidence in joined.evidence] == [Kind.GAME, kind]


def test_information_is_no_second_kind() -> None:
    mild = finding("GD401", severity=Severity.INFO, kinds=[Kind.SAMPLES])
    assert [one.severity for one in _joined([finding("GD401"), mild])] == [Severity.WARNING]


def test_findings_of_other_networks_pairs_and_codes_stay_apart() -> None:
    several = [
        finding("GD302", network="G"),
        finding("GD302", network="D"),
        finding("GD302", pair="B"),
        finding("GD301"),
    ]
    assert len(_joined(several)) == 4


def test_collapse_by_two_kinds_of_evidence_is_an_error() -> None:
    alike = {"out/fake_std": jump(1.8, 0.7, at=0.5), "out/real_std": level(2.0)}
    samples = {"samples/fake_std": jump(0.5, 0.21, at=0.5), "samples/real_std": level(0.5)}
    assert codes(diagnose_run(with_series(healthy(), **alike)))["GD402"] is Severity.WARNING
    both = diagnose_run(with_series(healthy(), **alike, **samples))
    assert codes(both)["GD401"] is Severity.ERROR
    assert both.verdict is Verdict.FAILING


def test_rising_quality_outweighs_a_loss_that_looks_odd() -> None:
    good = diagnose_run(
        with_series(logged(won(), *HALVES), fid=noisy(lambda t: 200 * np.exp(-2.5 * t), 0.03))
    )
    assert (good.verdict, codes(good)["GD201"]) == (Verdict.WARNING, Severity.WARNING)
    bad = diagnose_run(with_series(logged(won(), *HALVES), fid=noisy(level(200.0), 0.03)))
    assert bad.verdict is Verdict.FAILING


def test_a_broken_metric_outweighs_nothing() -> None:
    fid = np.where(np.arange(400) < 200, 1e57, 200 - 0.3 * np.arange(400))
    assert diagnose_run(with_series(logged(won(), *HALVES), fid=fid)).verdict is Verdict.FAILING


# --- ids, order, coverage


def test_ids_number_the_findings_of_a_code_worst_first() -> None:
    vanishing = {"grad_norm_G": jump(2.0, 1e-8, at=0.5), "grad_norm_G/conv1": jump(2.0, 1e-8, at=0.3)}
    diagnosis = diagnose_run(with_series(healthy(), **vanishing))
    ids = [(one.id, one.finding.severity, one.finding.subject.layer) for one in diagnosis.findings]
    assert ids == [("GD301-1", Severity.ERROR, ""), ("GD301-2", Severity.WARNING, "conv1")]


def test_coverage_has_one_line_a_code_and_says_what_hinders() -> None:
    diagnosis = diagnose_run(healthy())
    assert [line.code for line in diagnosis.coverage] == sorted(load_rules())
    said = states(diagnosis)
    assert said["GD201"] == (State.EXAMINED, "")
    assert said["GD301"] == (State.NOT_EXAMINABLE, "missing-signal")
    assert said["GD506"] == (State.NOT_EXAMINABLE, "missing-signal")


def test_silence_of_detectors_that_cannot_look_is_no_health() -> None:
    critic = game("wgan", lambda t: 4 * t, lambda t: -3 + 4 * t)  # outputs drift together through 0
    said = states(diagnose_run(logged(critic, "loss_D", "loss_G")))
    assert said["GD101"][0] is State.EXAMINED
    for code in ("GD103", "GD201", "GD202", "GD204", "GD604", "GD701"):
        assert said[code][0] is State.NOT_EXAMINABLE, code


def test_at_most_three_signals_to_log_next_the_most_telling_first() -> None:
    assert diagnose_run(make_run({"loss_D": level(1.0)})).log_next[:1] == ("g-loss",)
    for run in (healthy(), Run(Path("run"), "run"), logged(won(), *HALVES)):
        assert len(diagnose_run(run).log_next) <= 3
    assert "quality-metric" in diagnose_run(healthy()).log_next


# --- select, ignore, thresholds


def test_ignored_codes_decide_neither_verdict_nor_primary() -> None:
    run = logged(won(), *HALVES)
    ignoring = diagnose_run(run, Config(ignore=("GD2",)))
    assert ignoring.verdict is not Verdict.FAILING
    assert ignoring.primary is None or not ignoring.primary.finding.code.startswith("GD2")
    assert "GD201" in codes(ignoring)  # shown all the same
    assert diagnose_run(run, Config(select=("GD201",))).verdict is Verdict.FAILING
    assert diagnose_run(run, Config(select=("GD3",))).verdict is not Verdict.FAILING


def test_a_threshold_of_the_users_own() -> None:
    run = logged(won(), *HALVES)
    changed = diagnose_run(
        run, Config(thresholds={"GD201.starved": 50.0, "GD201.hungry": 50.0, "GD201.famished": 50.0})
    )
    assert "GD201" not in codes(changed)
    lowered = diagnose_run(run, Config(thresholds={"GD201.starved": 2.0}))
    [own] = [one for one in lowered.findings if one.finding.code == "GD201"]
    sources = {
        evidence.threshold.source for evidence in own.finding.evidence if evidence.threshold is not None
    }
    assert "your configuration" in sources


def test_a_threshold_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UserError, match="no threshold is called"):
        diagnose_run(healthy(), Config(thresholds={"GD201.lost": 1.0}))


def test_roles_and_family_of_the_user() -> None:
    played = won()
    run = make_run({"loss1": played["loss_D"], "loss2": played["loss_G"]})
    diagnosis = diagnose_run(
        run, Config(roles={"loss1": "D.loss", "loss2": "G.loss.adversarial"}, family="non-saturating")
    )
    assert diagnosis.verdict is Verdict.FAILING
    assert diagnosis.views[0].family.name == "non-saturating"


# --- pairs


def test_each_pair_is_judged_and_named() -> None:
    ill, well = won(), game("non-saturating", 0.5, -0.5)
    run = make_run({"D_A": ill["loss_D"], "G_A": ill["loss_G"], "D_B": well["loss_D"], "G_B": well["loss_G"]})
    diagnosis = diagnose_run(run, Config(family="non-saturating"))
    assert [view.pair for view in diagnosis.views] == ["A", "B"]
    assert {one.finding.subject.pair for one in diagnosis.findings} == {"A"}


# --- when it could have been known, and what to keep


@pytest.mark.parametrize("at", [0.2, 0.5])
def test_it_was_known_between_onset_and_end(at: float) -> None:
    diagnosis = diagnose_run(logged(won(at), *HALVES))
    assert diagnosis.primary is not None
    assert diagnosis.known_at_step is not None
    assert diagnosis.primary.finding.stretch.onset <= diagnosis.known_at_step <= 20_000


def test_an_early_illness_is_known_early() -> None:
    known = diagnose_run(logged(won(0.2), *HALVES)).known_at_step
    assert known is not None
    assert known <= 12_000


def test_the_best_snapshot_is_that_of_the_best_believable_metric() -> None:
    run = with_series(
        healthy(), fid=np.concatenate([np.linspace(300, 20, 300), [-5.0], np.linspace(21, 25, 99)])
    )
    run.checkpoints = [
        Checkpoint(Path(f"run/net-{step}.pt"), step, "torch") for step in (5_000, 14_000, 19_000)
    ]
    best = diagnose_run(run).best_snapshot
    assert best is not None
    assert (best.step, best.value, best.file) == (300 * 50, 20.0, Path("run/net-14000.pt"))


def test_without_a_metric_the_last_snapshot_before_the_onset_is_kept() -> None:
    run = logged(won(0.5), *HALVES)
    run.checkpoints = [
        Checkpoint(Path(f"run/net-{step}.pt"), step, "torch") for step in (5_000, 9_000, 15_000)
    ]
    best = diagnose_run(run).best_snapshot
    assert best is not None
    assert (best.step, best.file) == (9_000, Path("run/net-9000.pt"))
    assert diagnose_run(healthy()).best_snapshot is None


# --- samples without a log


def test_samples_alone_can_be_ill_and_never_healthy() -> None:
    steps = [nearer(faces(i), 0.05) for i in range(4)]
    ill = diagnose_run(drawn({"random": steps}, losses=False))
    assert (ill.verdict, ill.primary and ill.primary.finding.code) == (Verdict.WARNING, "GD401")
    assert ill.examined == (Kind.SAMPLES,)
    fine = diagnose_run(drawn({"random": [faces(i) for i in range(4)]}, losses=False))
    assert (fine.verdict, fine.findings, fine.examined) == (Verdict.UNKNOWN, (), (Kind.SAMPLES,))
    assert diagnose_run(drawn({"random": steps[:2]}, losses=False)).verdict is Verdict.UNKNOWN


def test_samples_agree_with_the_spread_that_is_logged() -> None:
    """Two ways to see one kind of evidence are no second kind."""
    run = drawn({"random": [nearer(faces(i), 0.05) for i in range(4)]})
    spread = {"samples/fake_std": level(0.2), "samples/real_std": level(0.5)}
    [finding] = [
        j.finding for j in diagnose_run(with_series(run, **spread)).findings if j.finding.code == "GD401"
    ]
    assert {evidence.kind for evidence in finding.evidence} == {Kind.SAMPLES}
    assert len(finding.evidence) == 2
