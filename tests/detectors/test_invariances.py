"""What must not change a diagnosis, for runs whose statistics lie well off their thresholds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gandoctor.findings import Severity
from gandoctor.judge.diagnose import diagnose_run
from gandoctor.judge.diagnosis import Diagnosis, Verdict
from gandoctor.run import Run, Series, Values
from tests.runs import Shape, game, jump, level, logged, make_run, noisy, pieces, scaled, thinned

# No shrinking: a failing run shows itself, and to look for a smaller one takes minutes.
few = settings(
    max_examples=12, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow]
)
HALVES = ("loss_D_real", "loss_D_fake", "loss_G")
POINTS = 400


def near(family: str, gap: float, seed: int) -> Run:
    """A game that begins blind and in which D then leads a little."""
    middle, spread = (0.5, 0.15) if family == "lsgan" else (0.0, 1.0)
    reach = gap / 6 if family == "lsgan" else gap / 2
    real, fake = (lambda t, way=way: middle + way * reach * np.clip(10 * t, 0, 1) for way in (1, -1))
    return logged(game(family, real, fake, spread=spread, seed=seed), *HALVES)


FAMILIES = st.sampled_from(["non-saturating", "lsgan", "hinge", "wgan"])
healthy = st.tuples(FAMILIES, st.floats(0.8, 1.8), st.integers(0, 10_000))  # what `near` takes


def won(at: float, until: float = 2.0, seed: int = 0, points: int = POINTS) -> Run:
    real, fake = pieces((0, 0.7), (at, 7.0), (until, 0.7)), pieces((0, -0.7), (at, -11.0), (until, -0.7))
    return logged(game("non-saturating", real, fake, seed=seed, points=points), *HALVES)


def beside(tag: str, shape: Shape | Values) -> Callable[[int], Run]:
    """A healthy game with one more series."""

    def made(seed: int) -> Run:
        run = near("non-saturating", 1.2, seed)
        run.series.update(make_run({tag: shape}).series)
        return run

    return made


def two(first: str, one: Shape, second: str, other: Shape) -> Callable[[int], Run]:
    def made(seed: int) -> Run:
        run = beside(first, one)(seed)
        run.series.update(make_run({second: other}).series)
        return run

    return made


# Illness → how to make it. All hold to the end, from 35% of the run on or from the start.
ILL: dict[str, Callable[[int], Run]] = {
    "GD201": lambda seed: won(0.35, seed=seed),
    "GD105": beside("grad_norm_D", pieces((0, noisy(level(2.0), 0.2)), (0.35, np.nan))),
    "GD301": beside("grad_norm_G", noisy(jump(2.0, 1e-9, at=0.35), 0.2)),
    "GD302": beside("grad_norm_D", noisy(jump(2.0, 300.0, at=0.35), 0.2)),
    "GD401": two("samples/fake_std", jump(1.0, 0.05, at=0.35), "samples/real_std", level(1.0)),
    "GD704": beside("Progress/augment", jump(0.2, 0.97, at=0.35)),
    "GD703": beside("lr_G", jump(2e-4, 0.0, at=0.35)),
}
ill = st.tuples(st.sampled_from(sorted(ILL)), st.integers(0, 10_000))  # code, seed


def codes(diagnosis: Diagnosis) -> set[str]:
    return {one.finding.code for one in diagnosis.findings if one.finding.severity >= Severity.WARNING}


def judgement(run: Run) -> tuple[Verdict, str, set[str]]:
    diagnosis = diagnose_run(run)
    primary = "" if diagnosis.primary is None else diagnosis.primary.finding.code
    return diagnosis.verdict, primary, codes(diagnosis)


def with_tag(run: Run, tag: str, values: Values) -> Run:
    made = Run(run.path, run.name, dict(run.series), run.settings)
    some = next(iter(run.series.values()))
    made.series[tag] = Series(tag, some.steps, values, some.order, some.source)
    return made


def joined(first: Run, second: Run) -> Run:
    """One run after the other, as if they were one."""
    made = Run(first.path, first.name)
    for tag, a in first.series.items():
        b = second.series[tag]
        steps = np.concatenate([a.steps, b.steps + a.steps[-1]])
        made.series[tag] = Series(
            tag, steps, np.concatenate([a.values, b.values]), np.arange(len(steps)), a.source
        )
    return made


def test_the_runs_are_what_they_are_called() -> None:
    for code, make in ILL.items():
        assert code in judgement(make(0))[2], code
    for family in ("non-saturating", "lsgan", "hinge", "wgan"):
        assert judgement(near(family, 1.2, 0)) == (Verdict.HEALTHY, "", set()), family


@few
@given(ill=ill, factor=st.integers(2, 1_000))
def test_the_unit_of_a_step_does_not_matter(ill: tuple[str, int], factor: int) -> None:
    code, run = ill[0], ILL[ill[0]](ill[1])
    found = judgement(run)
    assert code in found[2]
    assert judgement(scaled(run, factor)) == found
    onsets = [
        [one.finding.stretch.onset for one in diagnose_run(made).findings if one.finding.code == code]
        for made in (run, scaled(run, factor))
    ]
    assert onsets[1] == pytest.approx([factor * onset for onset in onsets[0]], rel=0.01)


@few
@given(game=healthy, factor=st.integers(2, 1_000))
def test_a_healthy_run_is_healthy_in_any_unit(game: tuple[str, float, int], factor: int) -> None:
    run = near(*game)
    assert judgement(run) == judgement(scaled(run, factor)) == (Verdict.HEALTHY, "", set())


@few
@given(ill=ill)
def test_half_of_the_points_tell_the_same(ill: tuple[str, int]) -> None:
    code, run = ill[0], ILL[ill[0]](ill[1])
    found = judgement(run)
    assert code in found[2]
    assert judgement(thinned(run, 2)) == found


@few
@given(game=healthy)
def test_half_of_the_points_of_a_healthy_run(game: tuple[str, float, int]) -> None:
    assert judgement(thinned(near(*game), 2)) == (Verdict.HEALTHY, "", set())


HARMLESS = st.sampled_from(["time", "epoch", "some_number", "lr_G", "data_time", "ema_decay"])


@few
@given(ill=ill, tag=HARMLESS, seed=st.integers(0, 99))
def test_a_harmless_tag_changes_nothing(ill: tuple[str, int], tag: str, seed: int) -> None:
    run = ILL[ill[0]](ill[1])
    if tag in run.series:
        return
    values = np.full(POINTS, 2e-4) if tag == "lr_G" else np.random.default_rng(seed).random(POINTS)
    assert judgement(with_tag(run, tag, values)) == judgement(run)


@few
@given(game=healthy, tag=HARMLESS)
def test_a_harmless_tag_makes_no_healthy_run_ill(game: tuple[str, float, int], tag: str) -> None:
    assert judgement(with_tag(near(*game), tag, np.linspace(2e-4, 1e-4, POINTS))) == (
        Verdict.HEALTHY,
        "",
        set(),
    )


@few
@given(game=healthy)
def test_a_longer_healthy_tail_makes_no_healthy_run_ill(game: tuple[str, float, int]) -> None:
    family, gap, seed = game
    run = joined(near(family, gap, seed), near(family, gap, seed + 1))
    assert judgement(run) == (Verdict.HEALTHY, "", set())
    assert judgement(joined(run, near(family, gap, seed + 2))) == (Verdict.HEALTHY, "", set())


@few
@given(at=st.floats(0.15, 0.25), until=st.floats(0.65, 0.75), seed=st.integers(0, 999))
def test_an_illness_that_ended_keeps_its_onset_and_end(at: float, until: float, seed: int) -> None:
    run = won(at, until, seed)
    tail = logged(game("non-saturating", 0.7, -0.7, points=100, seed=seed), *HALVES)
    for length, seen in ((20_000, run), (25_000, joined(run, tail))):
        [finding] = [one.finding for one in diagnose_run(seen).findings if one.finding.code == "GD201"]
        block = length / 30
        earliest, latest = finding.stretch.onset_interval
        assert finding.severity is Severity.WARNING
        # The first block in which it holds may begin a block after the onset; its median lies half a block on.
        assert abs(finding.stretch.onset - at * 20_000) <= 1.5 * block + 50
        assert earliest - 50 <= at * 20_000 <= latest
        assert finding.stretch.end is not None
        assert abs(finding.stretch.end - until * 20_000) <= 1.5 * block + 50


# --- whatever a log may hold

TAGS = (
    "loss_D",
    "loss_D_real",
    "loss_D_fake",
    "loss_G",
    "G_GAN",
    "G_L1",
    "D(x)",
    "D(G(z))",
    "out/real_std",
    "out/fake_std",
    "out/pair_accuracy",
    "d_acc",
    "Loss/signs/real",
    "grad_norm_G",
    "grad_norm_D/layer1",
    "weight_norm/G",
    "weight_norm/D",
    "step_norm/G",
    "step_norm/D",
    "lr_G",
    "lr_D",
    "kt",
    "samples/fake_std",
    "samples/real_std",
    "diversity",
    "ms_ssim",
    "fid",
    "recall",
    "psnr",
    "Progress/augment",
    "loss_scale",
    "r1_penalty",
    "val_disc_loss",
)
ODD = ("zeros", "ones", "huge", "tiny", "noise", "runaway", "nan", "inf", "holes", "tail", "late", "swing")


def odd(kind: str, points: int, seed: int) -> Values:
    """Series as no sound log has them, float64 (points,)."""
    rng, t = np.random.default_rng(seed), np.linspace(0, 1, points)
    made: dict[str, Values] = {
        "zeros": 0 * t, "ones": 0 * t + 1, "huge": 0 * t + 1e300, "tiny": 0 * t + 5e-324, 
        "noise": rng.normal(size=points), "runaway": np.exp(40 * t), "nan": np.nan * t, "inf": np.full(points, -np.inf),
        "holes": np.where(rng.random(points) < 0.5, np.nan, 1.0), "tail": np.where(t > 0.7, np.nan, rng.random(points)),
        "late": np.where(t < 0.5, 0.0, rng.random(points)), "swing": np.where(t > 0.5, 1e308, -1e308),
    }  # fmt: skip
    return made[kind]


@settings(few, max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(TAGS),
        st.tuples(
            st.sampled_from(ODD),
            st.sampled_from([1, 2, 5, 8, 26, 40, 101, 300]),
            st.integers(0, 9),
            st.booleans(),
        ),
        max_size=12,
    )
)
def test_no_log_breaks_a_diagnosis(series: dict[str, tuple[str, int, int, bool]]) -> None:
    run = make_run({})
    for tag, (kind, points, seed, far) in series.items():
        [one] = make_run({tag: odd(kind, points, seed)}).series.values()
        run.series[tag] = Series(tag, one.steps + 1_000_000 * far, one.values, one.order, one.source)
    diagnosis = diagnose_run(run)  # a warning of numpy's is an error here
    for one in diagnosis.findings:
        stretch = one.finding.stretch
        assert stretch.onset_interval[0] <= stretch.onset <= stretch.onset_interval[1]
        assert stretch.end is None or stretch.onset <= stretch.end
        assert 0 <= one.confidence <= 1
        for evidence in one.finding.evidence:
            assert not np.isnan(evidence.value), (one.id, evidence)
