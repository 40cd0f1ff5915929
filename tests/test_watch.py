"""A job that is watched: growing, rotated, killed, not there yet; when it should end, and with what code."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import gandoctor
from gandoctor import cli
from gandoctor.config import Config
from gandoctor.reports import _dashboard
from gandoctor.run import Series
from gandoctor.watch import Watch, until
from tests.test_api import failing
from tests.test_cli import healthy, short

N = 400
RNG = np.random.default_rng(7)
NOISE = np.exp(RNG.normal(0, 0.03, (2, N)))


def rows(first: int, last: int, ill: Sequence[int] = ()) -> str:
    """Lines of a text log; D wins at the rows of `ill`."""
    lines = []
    for n in range(first, last):
        d, g = (0.001, 9.0) if n in ill else (1.3, 0.74)
        lines.append(f"step {50 * n} loss_D: {d * NOISE[0, n]:.5f} loss_G: {g * NOISE[1, n]:.5f}\n")
    return "".join(lines)


def append(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(text)
    return path


# --- the engine


def test_a_finding_ends_a_job_only_if_it_stands(tmp_path: Path) -> None:
    log, ill = tmp_path / "train.log", range(100, N)
    watch = Watch([tmp_path], Config())
    seen = []
    for first in range(0, N, 10):
        append(log, rows(first, first + 10, ill))
        look = watch.look()
        seen.append((bool(look.seen[0].failing), look.standing is not None))
    assert seen[-1] == (True, True)
    began, stood = seen.index((True, False)), seen.index((True, True))
    assert began < stood  # seen first, and later sure
    assert not any(stands for fails, stands in seen if not fails)


def test_a_flash_ends_nothing(tmp_path: Path) -> None:
    log, ill = tmp_path / "train.log", {*range(60, 75), *range(150, 160)}
    watch = Watch([tmp_path], Config())
    for first in range(0, N, 10):
        append(log, rows(first, first + 10, ill))
        assert watch.look().standing is None


def test_who_begins_late_need_not_wait(tmp_path: Path) -> None:
    append(tmp_path / "train.log", rows(0, N, range(100, N)))
    look = Watch([tmp_path], Config()).look()
    assert look.standing is not None
    seen, judged = look.standing
    assert judged.finding.code == "GD201"
    assert seen.diagnosis.verdict == "failing"


def test_only_what_counts_ends_a_job(tmp_path: Path) -> None:
    append(tmp_path / "train.log", rows(0, N, range(100, N)))
    for config in (Config(ignore=("GD",)), Config(fail_on=("GD401",)), Config(min_confidence=1.0)):
        look = Watch([tmp_path], config).look()
        assert look.standing is None
        assert not look.fails


def test_a_run_that_has_not_changed_is_not_judged_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        append(tmp_path / name / "train.log", rows(0, 100))
    watch = Watch([tmp_path], Config())
    first = watch.look()
    append(tmp_path / "b" / "train.log", rows(100, 120))
    second = watch.look()
    same = [one.diagnosis is two.diagnosis for one, two in zip(first.seen, second.seen, strict=True)]
    assert same == [True, False, True]
    assert (second.changed, watch.look().changed) == (True, False)


def test_a_killed_writer_leaves_half_a_line(tmp_path: Path) -> None:
    log = append(tmp_path / "train.log", rows(0, 300) + "step 15000 loss_D: 1.")
    watch = Watch([tmp_path], Config())
    [seen] = watch.look().seen
    assert seen.diagnosis.verdict == "healthy"
    assert len(seen.diagnosis.run.series["loss_D"]) == 300
    append(log, "3 loss_G: 0.7\n")
    [seen] = watch.look().seen
    assert seen.diagnosis.run.series["loss_D"].values[-1] == 1.3


def test_a_rotated_log_is_one_run(tmp_path: Path) -> None:
    log = append(tmp_path / "train.log", rows(0, 200))
    watch = Watch([tmp_path], Config())
    watch.look()
    log.rename(tmp_path / "train.log.1")
    append(log, rows(200, N, range(200, N)))
    [seen] = watch.look().seen
    assert len(seen.diagnosis.run.series["loss_D"]) == N
    assert seen.failing


def test_until_cuts_a_run_at_a_share_of_its_steps(tmp_path: Path) -> None:
    run = gandoctor.load(append(tmp_path / "train.log", rows(0, 101)))
    half = until(run, 0.5)
    assert (half.series["loss_D"].steps[-1], len(half.series["loss_D"])) == (2_500, 51)
    assert run.series["loss_D"].steps[-1] == 5_000


# --- the command


def run(*words: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.main, ["watch", *map(str, words)])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("work"))


@pytest.mark.parametrize(("made", "code"), [(healthy, 0), (failing, 1), (short, 3), (None, 2)])
@pytest.mark.parametrize("how", [["--once"], ["--until-quiet", "0.01", "--interval", "0.05"]])
def test_the_exit_code_is_that_of_check(tmp_path: Path, made, code: int, how: list[str]) -> None:
    if made is not None:
        made(tmp_path / "exp/log.csv")
    assert run(tmp_path / "exp", *how)[0] == code
    assert CliRunner().invoke(cli.main, ["check", str(tmp_path / "exp")]).exit_code == code


def test_options_of_the_check(tmp_path: Path) -> None:
    failing(tmp_path / "exp/log.csv")
    short(tmp_path / "new/log.csv")
    assert run(tmp_path / "exp", "--once", "--fail-on", "GD4")[0] == 0
    assert run(tmp_path / "exp", "--once", "--fail-on", "GD4", "--require", "G.grad_norm")[0] == 1
    assert run(tmp_path / "new", "--once", "--allow-unknown")[0] == 0
    code, _, said = run(tmp_path / "exp", "--once", "--fail-on", "GD999")
    assert (code, "no code begins with 'GD999'" in said) == (2, True)


def started(*words: str | Path, **options) -> subprocess.Popen[str]:  # type: ignore[no-untyped-def]
    command = [sys.executable, "-u", "-m", "gandoctor", "watch", "--interval", "0.05", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def test_it_waits_for_a_folder_and_ends_when_the_run_is_ill(tmp_path: Path) -> None:
    watching = started(tmp_path / "later")
    assert watching.stdout is not None
    assert watching.stdout.readline() == f"waiting for {tmp_path}/later: no such file or directory\n"
    append(tmp_path / "later" / "train.log", rows(0, 100))
    assert watching.stdout.readline().startswith("healthy later, step 4,950")
    append(tmp_path / "later" / "train.log", rows(100, N, range(100, N)))
    out, err = watching.communicate(timeout=60)
    assert "stands\nlater should end: GD201 stands.\nGD201 The discriminator" in out
    assert "\nDo first: " in out
    assert "\x1b" not in out
    assert (watching.returncode, err) == (1, "")


def test_it_ends_when_the_job_has_gone_quiet(tmp_path: Path) -> None:
    append(tmp_path / "train.log", rows(0, 200) + "step 10000 loss_D")  # its writer was killed
    watching = started(tmp_path, "--until-quiet", "0.3", "--lang", "zh")
    out, err = watching.communicate(timeout=60)
    assert watching.returncode == 0
    assert out.count("\n") == 1
    assert err == "gandoctor: 0 秒内没有文件变化。\n"


def test_ctrl_c_is_clean(tmp_path: Path) -> None:
    append(tmp_path / "train.log", rows(0, 200))
    watching = started(tmp_path)
    assert watching.stdout is not None
    watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    out, err = watching.communicate(timeout=60)
    assert (watching.returncode, out, err) == (130, "", "\ngandoctor: interrupted\n")


def test_on_a_terminal_a_panel_is_drawn_anew(tmp_path: Path) -> None:
    append(tmp_path / "exp" / "train.log", rows(0, 200))
    outer, inner = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "gandoctor",
        "watch",
        str(tmp_path),
        "--interval",
        "0.05",
        "--until-quiet",
        "0.4",
    ]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    done = subprocess.Popen(command, stdout=inner, stderr=subprocess.DEVNULL, env=environment)
    os.close(inner)
    text = b""
    try:
        while piece := os.read(outer, 65_536):
            text += piece
    except OSError:  # the other end was closed
        pass
    os.close(outer)
    assert done.wait() == 0
    said = text.decode()
    assert said.count("loss_D") >= 2
    assert re.search("[▁-█]{10}", said)
    assert said.count("\x1b[?25l") == said.count("\x1b[?25h") == 1  # the cursor comes back


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([0, 1, 2, 3], "▁▃▆█"), ([1, 1, 1, 1], "▄▄▄▄"), ([np.nan, 1, np.inf, 2], "×▁×█"), ([np.nan] * 4, "××××"),
        ([-1e308, 0, 0, 1e308], "▁▄▄█"), ([], ""),
    ],
)  # fmt: skip
def test_curves(values: list[float], drawn: str) -> None:
    steps = np.arange(len(values))
    assert _dashboard.curve(Series("x", steps, np.array(values, float), steps, Path("x")), width=4) == drawn


@pytest.mark.parametrize(("seconds", "told"), [(42.4, "42 s"), (300, "5 min"), (11_520, "3.2 h")])
def test_lengths_of_time(seconds: float, told: str) -> None:
    assert _dashboard.span(seconds, "en") == told


def test_hostile_names_stay_off_the_terminal(tmp_path: Path) -> None:
    failing(tmp_path / "a\x1b[31m\nb" / "log.csv")
    _, out, err = run(tmp_path, "--once")
    assert "\x1b" not in out + err
    assert out.count("\n") == 1


# --- EarlyStop


def test_a_loop_ends_when_its_run_is_ill(tmp_path: Path) -> None:
    doctor = gandoctor.EarlyStop(tmp_path / "run", every=10, share=1)
    steps = 0
    for steps in range(N):
        append(tmp_path / "run" / "train.log", rows(steps, steps + 1, range(100, N)))
        if doctor.should_stop():
            break
    assert 110 < steps < N - 1
    assert doctor.stopped
    assert doctor.should_stop()
    assert doctor.reason.startswith("GD201 The discriminator overpowers the generator\n")
    assert doctor.diagnosis is not None
    assert doctor.diagnosis.verdict == "failing"


def test_a_healthy_loop_goes_on(tmp_path: Path) -> None:
    doctor = gandoctor.EarlyStop(tmp_path, every=50, share=1)
    for step in range(N):
        append(tmp_path / "train.log", rows(step, step + 1))
        assert not doctor.should_stop()
    assert (doctor.reason, doctor.fault) == ("", "")
    assert doctor.diagnosis is not None
    assert doctor.diagnosis.verdict == "healthy"


def test_it_looks_no_more_often_than_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    monkeypatch.setattr(
        "gandoctor.watch.Watch.look", lambda self: looks.append(1) or time.sleep(0.02) or (1 / 0)
    )
    doctor = gandoctor.EarlyStop(tmp_path, every=7)
    for _ in range(6):
        doctor.should_stop()
    assert looks == []
    doctor.should_stop()
    assert looks == [1]


def test_a_dear_look_puts_off_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append(tmp_path / "train.log", rows(0, 100))
    clock = [0.0]
    looks = []
    real = Watch.look

    def slow(self: Watch):  # type: ignore[no-untyped-def]
        looks.append(clock[0])
        clock[0] += 2
        return real(self)

    monkeypatch.setattr("gandoctor.early_stop.time.monotonic", lambda: clock[0])
    monkeypatch.setattr(Watch, "look", slow)
    doctor = gandoctor.EarlyStop(tmp_path, every=1, share=0.1)
    for _ in range(100):
        clock[0] += 1
        doctor.should_stop()
    assert looks == [1, 21, 41, 61, 81, 101]  # 2 of 20 seconds


def test_it_never_raises_into_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog) -> None:  # type: ignore[no-untyped-def]
    def broken(_: Watch) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(Watch, "look", broken)
    doctor = gandoctor.EarlyStop(tmp_path, every=1)
    assert not any(doctor.should_stop() for _ in range(5))
    assert doctor.fault == "ZeroDivisionError('ours')"
    assert len(caplog.records) == 1


def test_a_log_that_is_not_there_is_no_fault(tmp_path: Path) -> None:
    doctor = gandoctor.EarlyStop(tmp_path / "nowhere", every=1, share=1)
    assert not any(doctor.should_stop() for _ in range(3))
    assert (doctor.fault, doctor.diagnosis) == ("", None)


def test_mistakes_are_told_before_training(tmp_path: Path) -> None:
    with pytest.raises(gandoctor.UserError, match="no code begins with 'GD999'"):
        gandoctor.EarlyStop(tmp_path, ignore=["GD999"])
    with pytest.raises(ValueError, match="every"):
        gandoctor.EarlyStop(tmp_path, every=0)
