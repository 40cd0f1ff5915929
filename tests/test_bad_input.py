"""Damaged, hostile and absurd files, through the public interface: no traceback, a problem that names the
file and the place, and what is readable is read.
"""

from __future__ import annotations

import json
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gandoctor
from gandoctor import cli
from gandoctor.run import LogProblem, Run
from tests.limits import finishes
from tests.readers import wandb_file
from tests.readers.logs import falling, rows_of, write_csv, write_events, write_gan
from tests.readers.mangle import mangled

POINTS = 60
STEPS = list(range(0, 10 * POINTS, 10))
D, G = falling(POINTS, start=1.4, end=0.9), falling(POINTS, start=0.5, end=0.8, seed=1)
ROWS = [
    {"step": step, "loss_D": float(d), "loss_G": float(g)} for step, d, g in zip(STEPS, D, G, strict=True)
]


def events(folder: Path) -> Path:
    return write_events(folder, rows_of(STEPS, loss_D=D, loss_G=G))


def table(folder: Path) -> Path:
    return write_csv(folder / "metrics.csv", step=STEPS, loss_D=D, loss_G=G)


def json_lines(folder: Path) -> Path:
    return written(folder / "log.jsonl", "".join(json.dumps(row) + "\n" for row in ROWS))


def json_list(folder: Path) -> Path:
    return written(folder / "log.json", json.dumps(ROWS))


def text(folder: Path) -> Path:
    return written(
        folder / "train.log",
        "".join(f"step: {r['step']} loss_D: {r['loss_D']:.6f} loss_G: {r['loss_G']:.6f}\n" for r in ROWS),
    )


def notebook(folder: Path) -> Path:
    shown = "".join(f"step: {r['step']} loss_D: {r['loss_D']:.6f} loss_G: {r['loss_G']:.6f}\n" for r in ROWS)
    cell = {
        "cell_type": "code",
        "source": "",
        "outputs": [{"output_type": "stream", "name": "stdout", "text": shown}],
    }
    return written(
        folder / "train.ipynb",
        json.dumps({"cells": [cell], "nbformat": 4, "nbformat_minor": 5, "metadata": {}}),
    )


def arrays(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    np.savez(folder / "losses.npz", d_losses=D, g_losses=G)
    return folder / "losses.npz"


def pickled(folder: Path) -> Path:
    path = folder / "log.pkl"
    path.write_bytes(
        pickle.dumps(
            {
                "loss_D": dict(zip(STEPS, D.tolist(), strict=True)),
                "loss_G": dict(zip(STEPS, G.tolist(), strict=True)),
            }
        )
    )
    return path


def wandb(folder: Path) -> Path:
    path = folder / "run-abc.wandb"
    path.write_bytes(
        wandb_file.log(
            wandb_file.history({"_step": r["step"], "loss_D": r["loss_D"], "loss_G": r["loss_G"]})
            for r in ROWS
        )
    )
    return path


def configuration(folder: Path) -> Path:
    return written(folder / "config.yaml", "lr_g: 0.0001\nlr_d: 0.0004\nbatch_size: 64\nloss: hinge\n")


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


LOGS: list[Callable[[Path], Path]] = [
    events,
    table,
    json_lines,
    json_list,
    text,
    notebook,
    arrays,
    pickled,
    wandb,
]


@cache
def sound(make: Callable[[Path], Path]) -> tuple[str, bytes]:
    """A sound log of one format: its usual name, its bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = make(Path(folder))
        return path.name, path.read_bytes()


def problems_of(runs: list[Run]) -> list[LogProblem]:
    return [problem for run in runs for problem in run.problems]


def check(folder: Path) -> list[Run]:
    """Load and diagnose all that lies in a folder; what must hold whatever lies there."""
    runs = gandoctor.load_all(folder)
    for problem in problems_of(runs):
        assert problem.kind != "internal-error", problem.message
        assert problem.file.is_relative_to(folder)
        assert problem.message
    for run in runs:
        for one in run.series.values():
            assert len(one.steps) == len(one.values) == len(one.order)
            assert np.all(np.diff(one.steps) > 0)
    diagnoses = gandoctor.diagnose_all(folder)
    assert [d.run.name for d in diagnoses] == [run.name for run in runs]
    assert not any(p.kind == "internal-error" for d in diagnoses for p in d.run.problems)
    return runs


def run_tool(*words: str | Path) -> Result:
    return CliRunner().invoke(cli.main, [str(word) for word in words])


TITLES = [
    "events.out.tfevents.1.host", "log.csv", "log.jsonl", "log.json", "train.log", "a.ipynb", "loss.npy", "loss.npz",
    "log.pkl", "run-a.wandb", "config.yaml", "config.json", "config.toml", "config.ini", "opt.txt", "model.pt",
    "fake_1.png", "x.safetensors", "anything",
]  # fmt: skip


# --- damage ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", LOGS)
def test_the_logs_are_sound_before_they_are_damaged(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    make(tmp_path)
    [run] = check(tmp_path)
    assert problems_of([run]) == []
    assert [len(one) for tag, one in run.series.items() if "os" in tag] == [POINTS, POINTS]


# What holds its numbers as one whole is not readable to the cut.
@pytest.mark.parametrize("make", [make for make in LOGS if make not in (arrays, json_list)])
def test_a_log_that_was_cut_off_is_read_up_to_there(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    path = make(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: int(0.61 * len(data))])
    [run] = check(tmp_path)
    longest = max((len(one) for one in run.series.values()), default=0)
    if make in (notebook, pickled):  # what they hold of it, if anything
        assert run.problems or longest
    else:
        assert 0.4 * POINTS < longest < 0.7 * POINTS
        np.testing.assert_allclose(run.series["loss_D"].values, D[: len(run.series["loss_D"])], rtol=1e-4)
    if make is not table and make is not text:  # a last line that may be whole is no fault
        assert [problem.file for problem in run.problems][:1] == [path]


@pytest.mark.parametrize("make", [json_list, arrays])
def test_one_that_cannot_be_read_to_the_cut_says_so(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    path = make(tmp_path)
    path.write_bytes(path.read_bytes()[:-200])
    [run] = check(tmp_path)
    assert run.problems[0].file == path


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize("make", [*LOGS, configuration])
def test_no_damage_is_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, make: Callable[[Path], Path], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    title, whole = sound(make)
    (folder / title).write_bytes(data.draw(mangled(whole)))
    write_gan(folder / "beside/log.csv")
    assert "beside" in [run.name for run in check(folder)], "the others are read"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=2_000), title=st.sampled_from(TITLES))
def test_no_garbage_is_a_traceback(tmp_path_factory: pytest.TempPathFactory, data: bytes, title: str) -> None:
    folder = tmp_path_factory.mktemp("garbage")
    (folder / title).write_bytes(data)
    check(folder)


def test_damage_in_the_middle_costs_the_records_it_hits(tmp_path: Path) -> None:
    path = events(tmp_path)
    data = bytearray(path.read_bytes())
    at = len(data) // 2
    data[at] ^= 0xFF
    path.write_bytes(data)
    [run] = check(tmp_path)
    [problem] = run.problems
    assert problem.file == path
    assert 0 <= at - int(problem.place.removeprefix("byte ")) < 100
    assert sum(map(len, run.series.values())) >= 2 * POINTS - 2


def test_a_bad_line_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    path = json_lines(tmp_path)
    lines = path.read_text().splitlines()
    lines[30] = '{"step": 300, "loss_D": oops}'
    path.write_text("\n".join(lines) + "\n")
    [run] = check(tmp_path)
    assert [(p.file, p.place) for p in run.problems] == [(path, "line 31")]
    assert len(run.series["loss_D"]) == POINTS - 1


# --- odd encodings and sizes -----------------------------------------------------------------------------


@pytest.mark.parametrize("make", [table, text])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_other_encodings_with_a_mark_are_read(
    tmp_path: Path, make: Callable[[Path], Path], encoding: str
) -> None:
    path = make(tmp_path)
    path.write_text(path.read_text(), encoding=encoding)
    [run] = check(tmp_path)
    np.testing.assert_allclose(run.series["loss_D"].values, D, rtol=1e-4)


@pytest.mark.parametrize("make", [*LOGS, configuration])
@pytest.mark.parametrize("content", [b"", b"\0", b"\0" * 5_000, b"\xff" * 5_000, b"\n" * 5_000])
def test_files_without_content(tmp_path: Path, make: Callable[[Path], Path], content: bytes) -> None:
    make(tmp_path).write_bytes(content)
    assert all(not run.series for run in check(tmp_path))


def test_a_tail_of_nul_bytes_is_told_and_left_out(tmp_path: Path) -> None:
    path = text(tmp_path)
    path.write_bytes(path.read_bytes() + b"\0" * 4_096)
    [run] = check(tmp_path)
    assert len(run.series["loss_D"]) == POINTS
    assert [(p.file, p.kind, p.place) for p in run.problems] == [(path, "nul-bytes", f"line {POINTS + 1}")]


@pytest.mark.parametrize("filler", ["x", "7", "[", "{", ",", '"', " ", "1,", "\0"])
def test_many_megabytes_in_one_line(tmp_path: Path, filler: str) -> None:
    for make in (table, text, json_lines):
        path = make(tmp_path)
        with path.open("a") as file:
            if filler == "\0":
                file.truncate(50_000_000)  # sparse
            else:
                file.write(filler * (16_000_000 // len(filler)))
        with finishes():
            [run] = check(tmp_path)
        assert len(run.series["loss_D"]) >= POINTS
        path.unlink()


def test_the_length_a_record_claims_is_not_believed(tmp_path: Path) -> None:
    path = events(tmp_path)
    data = bytearray(path.read_bytes())
    data[0:8] = (1 << 62).to_bytes(8, "little")
    path.write_bytes(data)
    [run] = check(tmp_path)
    assert len(run.series["loss_D"]) == POINTS
    assert run.problems[0].place == "byte 0"


def test_deep_nesting_is_no_crash(tmp_path: Path) -> None:
    for name in ("log.json", "log.jsonl", "config.json"):
        written(tmp_path / name, '{"step": 1, "loss_D": 1.0}\n' * 3 + '{"a":' * 100_000)
    written(tmp_path / "config.yaml", "lr: 1\na: " + "[" * 50_000)
    write_gan(tmp_path / "log.csv")
    [run] = check(tmp_path)
    assert len(run.series["loss_D"]) == POINTS


class Evil:
    """Runs a command if it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.path}",)

    path = ""


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    Evil.path = str(tmp_path / "owned")
    folder = tmp_path / "runs"
    folder.mkdir()
    (folder / "log.pkl").write_bytes(pickle.dumps({"loss_D": {0: 1.0, 1: 2.0}, "evil": Evil()}))
    (folder / "network-snapshot-000001.pkl").write_bytes(pickle.dumps(Evil()))
    np.save(folder / "losses.npy", np.array([Evil(), 1.0], object), allow_pickle=True)
    written(
        folder / "config.yaml",
        f'lr_d: !!python/object/apply:os.system ["touch {tmp_path}/owned"]\nlr_g: 0.1\nbatch_size: 8\n',
    )
    written(
        folder / "train.log",
        f"Namespace(lr=__import__('os').system('touch {tmp_path}/owned'))\nloss_D: 1.0 loss_G: 2.0\n" * 3,
    )
    check(folder)
    assert not (tmp_path / "owned").exists()


# --- hostile names ---------------------------------------------------------------------------------------


HOSTILE = "<script>alert(1)<!--\x1b[31m\u202e\x07"


def test_hostile_names_are_data_in_every_report(tmp_path: Path) -> None:
    home = tmp_path / f"exp {HOSTILE}"
    tags = {"loss_D": D, "loss_G": G, f"{HOSTILE}</script>loss": D}
    write_events(home, rows_of(STEPS, **tags))
    [run] = check(tmp_path)
    assert set(run.series) == set(tags)
    result = run_tool("diagnose", tmp_path, "--format", "terminal", "--format", f"html:{tmp_path}/x.html",
                      "--format", f"json:{tmp_path}/x.json")  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert not set("\x1b\x07") & set(result.output)
    page = (tmp_path / "x.html").read_text()
    assert "<script>alert" not in page
    assert "\x1b" not in page
    assert json.loads((tmp_path / "x.json").read_text())["runs"][0]["path"] == home.as_posix()
    assert "\x1b" not in run_tool("roles", tmp_path).output


def test_a_name_that_is_no_utf8_is_read_and_written(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/exp\xff\xfe"))
    write_gan(folder / "log.csv")
    check(tmp_path)
    for form in ("json", "terminal"):
        result = run_tool("diagnose", tmp_path, "--format", form)
        assert result.exit_code == 0, result.stderr
    assert run_tool("check", tmp_path).exit_code in (0, 3)


# --- folders ---------------------------------------------------------------------------------------------


def test_folders_with_nothing_in_them(tmp_path: Path) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    assert check(tmp_path) == []
    assert run_tool("check", tmp_path).exit_code == 3


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    write_gan(tmp_path / "exp/log.csv")
    (tmp_path / "exp/again").symlink_to("..")
    (tmp_path / "exp/nowhere").symlink_to("nowhere")
    [run] = check(tmp_path)
    assert run.problems == []


def test_a_very_deep_folder(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["d" * 100] * 20)
    folder.mkdir(parents=True)
    write_gan(folder / "log.csv")
    [run] = check(tmp_path)
    assert len(run.series["loss_D"]) == POINTS


@pytest.fixture
def shut(tmp_path: Path) -> Iterator[Path]:
    """A folder with a run, and beside it a file and a folder that may not be read."""
    write_gan(tmp_path / "good/log.csv")
    write_gan(tmp_path / "shut/log.csv")
    write_gan(tmp_path / "good/other/log.csv").chmod(0)
    (tmp_path / "shut").chmod(0)
    yield tmp_path
    (tmp_path / "shut").chmod(0o700)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_named(shut: Path) -> None:
    runs = check(shut)
    assert [run.name for run in runs] == ["good"]
    assert {(p.file.relative_to(shut).as_posix(), p.kind) for p in runs[0].problems} == {
        ("shut", "unreadable"), ("good/other/log.csv", "unreadable")}  # fmt: skip
    assert run_tool("check", shut / "shut").exit_code == 2
