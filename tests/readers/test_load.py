"""Where a run begins, and which files belong to it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from gandoctor.errors import UserError
from gandoctor.readers.load import find_runs, load_all, load_run
from gandoctor.run import Run
from tests.readers.logs import falling, rows_of, write_csv, write_events, write_gan

CORPUS = Path(__file__).parents[2] / "../shared/corpus"
PNG = bytes.fromhex("89504e470d0a1a0a") + b"\0" * 60


def runs_at(path: Path) -> dict[str, Run]:
    found = load_all(path)
    named = {run.name: run for run in found}
    assert len(named) == len(found), "names are unique"
    return named


def put(path: Path, data: bytes = PNG) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def small(
    tags: tuple[str, ...] = ("loss_D", "loss_G"), points: int = 30
) -> list[tuple[int, dict[str, float]]]:
    return rows_of(range(points), **{tag: falling(points, seed=n) for n, tag in enumerate(tags)})


# --- folders ---------------------------------------------------------------------------------------------


def test_each_folder_with_a_log_is_a_run(tmp_path: Path) -> None:
    write_gan(tmp_path / "a/metrics.csv")
    write_gan(tmp_path / "b/version_0/metrics.csv")
    write_gan(tmp_path / "b/version_1/metrics.csv")
    assert list(runs_at(tmp_path)) == ["a", "b/version_0", "b/version_1"]


def test_samples_checkpoints_and_configuration_go_to_the_nearest_run_above(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_gan(tmp_path / name / "log.csv")
        put(tmp_path / name / "samples/deep/fakes000010.png")
        put(tmp_path / name / "config.json", b'{"lr_d": 0.0004, "lr_g": 0.0001, "batch_size": 64}')
    put(tmp_path / "samples/fakes000020.png")  # shared by both: of neither
    found = runs_at(tmp_path)
    assert {name: [image.step for image in run.images] for name, run in found.items()} == {
        "a": [10],
        "b": [10],
    }
    assert found["a"].settings["lr_d"].value == 0.0004


def test_what_lies_beside_the_only_run_below_belongs_to_it(tmp_path: Path) -> None:
    """`cp/` beside `cp/logs`."""
    write_gan(tmp_path / "logs/metrics.csv")
    put(tmp_path / "fakes000010.png")
    put(tmp_path / "out/fakes000020.png")
    [run] = load_all(tmp_path)
    assert run.path == tmp_path / "logs"
    assert sorted(image.step or 0 for image in run.images) == [10, 20]


def test_without_a_log_there_is_one_run(tmp_path: Path) -> None:
    put(tmp_path / "exp/samples/fakes000010.png")
    put(tmp_path / "exp/more/fakes000020.png")
    [run] = load_all(tmp_path)
    assert (run.path, run.name, len(run.images)) == (tmp_path / "exp", "exp", 2)
    (tmp_path / "exp/more/fakes000020.png").unlink()
    [run] = load_all(tmp_path)
    assert run.name == "exp", "`samples` would say nothing"


def test_the_name_of_the_working_directory_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_gan(tmp_path / "exp/metrics.csv")
    monkeypatch.chdir(tmp_path / "exp")
    [run] = load_all(".")
    assert run.name == "exp"


def test_train_and_validation_join_their_parent(tmp_path: Path) -> None:
    write_events(tmp_path / "train", small())
    write_events(tmp_path / "validation", small(("loss_D",)))
    [run] = load_all(tmp_path)
    assert set(run.series) == {"loss_D", "loss_G", "validation/loss_D"}


def test_eval_joins_a_parent_with_a_log(tmp_path: Path) -> None:
    write_events(tmp_path / "ljs", small())
    write_events(tmp_path / "ljs/eval", small(("mel",)))
    assert set(runs_at(tmp_path)["ljs"].series) == {"loss_D", "loss_G", "eval/mel"}


def test_a_run_may_be_called_test(tmp_path: Path) -> None:
    write_gan(tmp_path / "test/metrics.csv")
    assert list(runs_at(tmp_path)) == ["test"]
    write_gan(tmp_path / "exp2/metrics.csv")
    write_gan(tmp_path / "train/metrics.csv")
    assert list(runs_at(tmp_path)) == ["exp2", "test", "train"]


def test_a_tensorboard_folder_joins_the_log_beside_it(tmp_path: Path) -> None:
    write_gan(tmp_path / "exp/metrics.csv")
    write_events(tmp_path / "exp/tb", small(("grad_norm_G",)))
    [run] = load_all(tmp_path)
    assert set(run.series) == {"loss_D", "loss_G", "grad_norm_G"}


def test_a_log_beside_the_folder_it_is_called_after_belongs_to_it(tmp_path: Path) -> None:
    """BigGAN-PyTorch."""
    for metric, seed in {"G_loss": 1, "D_loss_real": 2}.items():
        lines = [f"{100 * n}: {value:e}" for n, value in enumerate(falling(60, seed=seed))]
        put(tmp_path / f"logs/C10_bs8/{metric}.log", "\n".join(lines).encode())
    rows = [f'{{"itr": {2000 * n}, "IS_mean": 2.5, "FID": {90 - n}}}\n' for n in range(30)]
    put(tmp_path / "logs/C10_bs8_log.jsonl", "".join(rows).encode())
    [run] = load_all(tmp_path)
    assert (run.name, set(run.series)) == ("logs/C10_bs8", {"G_loss", "D_loss_real", "IS_mean", "FID"})


def test_copies_of_the_state_in_checkpoints_are_one_run(tmp_path: Path) -> None:
    for last in (20, 40, 60):
        write_csv(
            tmp_path / f"exp/checkpoint-{last}/log.csv", step=np.arange(last), loss_D=falling(60)[:last]
        )
    [run] = load_all(tmp_path)
    assert (run.name, list(run.series), len(run.series["loss_D"])) == ("exp", ["loss_D"], 60)


@pytest.mark.parametrize("library", ["torch.utils.tensorboard", "tensorboardX"])
def test_folders_of_add_scalars_and_hparams_join_their_writer(tmp_path: Path, library: str) -> None:
    module = pytest.importorskip(library)
    writer = module.SummaryWriter(str(tmp_path / "exp"))
    for step in range(25):
        writer.add_scalar("lr", 0.1, step)
        writer.add_scalars("loss/raw", {"D": 1.0 / (1 + step), "G(z)": 2.0}, step)
    writer.add_hparams({"batch_size": 64}, {"best": 1.0})
    writer.close()
    [run] = load_all(tmp_path)
    assert {"lr", "loss/raw/D", "loss/raw/G(z)"} <= set(run.series)
    assert run.series["loss/raw/D"].values[1] == pytest.approx(0.5)
    assert run.settings["batch_size"].value == 64


def test_a_folder_a_metric_is_one_run(tmp_path: Path) -> None:
    """torch-mimicry: the tag is its group's name; images have a folder of their own."""
    for metric, tag in {"errD": "loss", "errG": "loss", "D(x)": "prob", "lr_D": "lr_D"}.items():
        write_events(tmp_path / "exp/data" / metric, small((tag,)))
    put(tmp_path / "exp/images/fake_samples_step_500.png")
    [run] = load_all(tmp_path)
    assert run.name == "exp"
    assert set(run.series) == {"loss/errD", "loss/errG", "prob/D(x)", "lr_D"}
    assert len(run.images) == 1


def test_runs_with_one_tag_each_stay_apart(tmp_path: Path) -> None:
    for name in ("exp1", "exp2"):
        write_events(tmp_path / name, small(("loss",)))
    assert list(runs_at(tmp_path)) == ["exp1", "exp2"]


# --- several logs in one folder --------------------------------------------------------------------------


def test_the_same_numbers_twice_are_counted_once(tmp_path: Path) -> None:
    loss, grad = falling(60), falling(60, seed=3)
    write_events(tmp_path, rows_of(range(0, 600, 10), loss_D=loss, grad_norm_D=grad))
    write_csv(
        tmp_path / "stats.csv", step=np.arange(0, 600, 10), loss_D=np.round(loss, 3), fid=falling(60, seed=5)
    )
    [run] = load_all(tmp_path)
    assert set(run.series) == {"loss_D", "grad_norm_D", "fid"}
    assert len(run.series["loss_D"]) == 60


def test_a_copy_that_counts_from_one_is_counted_once(tmp_path: Path) -> None:
    d, g = falling(80), falling(80, start=0.5, end=4.0, seed=1)
    write_csv(tmp_path / "training_log.csv", epoch=np.arange(80), disc_loss=d, gen_loss=g)
    write_csv(
        tmp_path / "val_losses.csv", epoch=np.arange(1, 81), gen_loss=g, disc_loss=d, val_gen_loss=g + 1
    )
    [run] = load_all(tmp_path)
    assert set(run.series) == {"disc_loss", "gen_loss", "val_gen_loss"}
    assert run.series["disc_loss"].steps.tolist() == list(range(80))
    write_csv(tmp_path / "val_losses.csv", epoch=np.arange(1, 80), gen_loss=g[1:], disc_loss=d[1:])
    [run] = load_all(tmp_path)
    assert set(run.series) == {"disc_loss", "gen_loss"}


def test_other_runs_in_one_folder_are_named_by_their_files(tmp_path: Path) -> None:
    write_gan(tmp_path / "exps/small.csv", seed=1)
    write_gan(tmp_path / "exps/large.csv", seed=7, points=200)
    put(tmp_path / "exps/fakes000010.png")
    found = load_all(tmp_path / "exps")
    assert [(run.name, run.path.name, len(run.series["loss_D"])) for run in found] == [
        ("large", "large.csv", 200), ("small", "small.csv", 60)]  # fmt: skip
    assert [run.images for run in found] == [[], []], "whose samples they are is not known"
    assert found[-1].problems[-1].kind == "not-assigned"
    assert list(runs_at(tmp_path)) == ["exps/large", "exps/small"]


def test_validation_beside_training_is_the_same_run(tmp_path: Path) -> None:
    write_gan(tmp_path / "train.csv")
    write_gan(tmp_path / "val.csv", seed=9)
    [run] = load_all(tmp_path)
    assert set(run.series) == {"loss_D", "loss_G", "val/loss_D", "val/loss_G"}


def test_a_file_for_each_network_is_one_run(tmp_path: Path) -> None:
    for name, seed in {"d_loss": 1, "g_loss": 2}.items():
        write_csv(tmp_path / f"{name}.csv", step=np.arange(60), loss=falling(60, seed=seed))
    [run] = load_all(tmp_path)
    assert set(run.series) == {"d_loss/loss", "g_loss/loss"}


@pytest.mark.parametrize(
    "names", [["train.log.2", "train.log.1", "train.log"], ["part-9.csv", "part-10.csv", "part-11.csv"]]
)
def test_rotated_logs_continue_each_other(tmp_path: Path, names: list[str]) -> None:
    loss = falling(90)
    for number, name in enumerate(names):
        piece = slice(30 * number, 30 * number + 30)
        steps = np.arange(90)[piece]
        if name.startswith("part"):
            write_csv(tmp_path / name, step=steps, loss_D=loss[piece])
        else:
            lines = [
                f"step: {s} loss_D: {v:.6f} loss_G: 0.7" for s, v in zip(steps, loss[piece], strict=True)
            ]
            (tmp_path / name).write_text("\n".join(lines) + "\n")
    [run] = load_all(tmp_path)
    assert run.series["loss_D"].steps.tolist() == list(range(90))
    np.testing.assert_allclose(run.series["loss_D"].values, loss, atol=1e-5)


def test_of_other_numbers_under_one_name_the_longest_log_keeps_it(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", step=np.arange(4), loss_D=falling(4, seed=5))
    write_events(tmp_path, small())
    write_csv(tmp_path / "z.csv", step=np.arange(4), loss_D=falling(4, seed=6), loss_G=falling(4, seed=7))
    [run] = load_all(tmp_path)
    assert {tag: len(one) for tag, one in run.series.items()} == {
        "loss_D": 30, "loss_G": 30, "a/loss_D": 4, "z/loss_D": 4, "z/loss_G": 4}  # fmt: skip


def test_two_jobs_that_write_event_files_at_once_are_two_runs(tmp_path: Path) -> None:
    write_events(tmp_path, small(), name="events.out.tfevents.1700000000.host.1.0")
    write_events(tmp_path, rows_of(range(30), loss_D=falling(30, seed=8), loss_G=falling(30, seed=9)),
                 name="events.out.tfevents.1700000001.host.2.0", wall=1_700_000_001.0)  # fmt: skip
    assert [run.path.name[-8:] for run in load_all(tmp_path)] == ["host.1.0", "host.2.0"]


def test_one_metric_file_beside_the_log_is_no_run(tmp_path: Path) -> None:
    write_gan(tmp_path / "log.csv", points=200)
    write_csv(tmp_path / "fid.csv", step=np.arange(0, 200, 50), fid=[90.0, 60.0, 40.0, 30.0])
    [run] = load_all(tmp_path)
    assert run.series["fid"].steps.tolist() == [0, 50, 100, 150]


# --- paths -----------------------------------------------------------------------------------------------


def test_a_path_may_be_one_file(tmp_path: Path) -> None:
    path = write_gan(tmp_path / "exp/metrics.csv")
    write_gan(tmp_path / "exp/other.csv", seed=4)
    [run] = load_all(path)
    assert (run.path, run.name, len(run.series)) == (path, "exp", 2)
    [run] = load_all(tmp_path / "exp/other.csv")
    assert run.name == "other"


def test_a_missing_path_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file or directory"):
        load_all(tmp_path / "nothing")
    with pytest.raises(UserError, match="no such file or directory"):
        load_all("a\0b")


def test_what_is_neither_file_nor_folder_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="neither a file nor a folder"):
        load_all(tmp_path / "pipe")
    assert load_all(tmp_path) == []


def test_an_empty_folder_has_no_runs(tmp_path: Path) -> None:
    assert load_all(tmp_path) == []
    (tmp_path / "empty.csv").touch()
    (tmp_path / "README.md").write_text("loss: 0.5\n")
    assert load_all(tmp_path) == []


def test_the_measured_truth_is_never_read(tmp_path: Path) -> None:
    write_gan(tmp_path / "log.csv")
    (tmp_path / "truth.json").write_text('{"fault": "d-wins", "lr_d": 1.0, "loss_type": "hinge"}')
    [run] = load_all(tmp_path)
    assert [path.name for path in run.files] == ["log.csv"]
    assert run.settings == {}


@pytest.mark.parametrize("runs", [0, 1, 2])
def test_a_tracker_that_is_not_read_is_told_and_is_no_run(tmp_path: Path, runs: int) -> None:
    put(tmp_path / ".aim/meta/CURRENT", b"MANIFEST-000004\n")
    for number in range(runs):
        write_gan(tmp_path / f"exp{number}/log.csv")
    found = load_all(tmp_path)
    assert len(found) == max(runs, 1)
    assert [problem.kind for run in found for problem in run.problems] == ["foreign-format"]


def test_links_add_nothing_twice_and_loops_end(tmp_path: Path) -> None:
    write_gan(tmp_path / "runs/exp/log.csv")
    write_gan(tmp_path / "elsewhere/log.csv", seed=2)
    (tmp_path / "runs/exp/loop").symlink_to(tmp_path / "runs")
    (tmp_path / "runs/above").symlink_to(tmp_path)
    (tmp_path / "runs/exp/self").symlink_to("self")
    (tmp_path / "runs/aaa-latest").symlink_to("exp")
    (tmp_path / "runs/exp/copy.csv").symlink_to("log.csv")
    (tmp_path / "runs/dangling").symlink_to("nowhere")
    (tmp_path / "runs/mounted").symlink_to(tmp_path / "elsewhere")
    found = load_all(tmp_path / "runs")
    assert [(run.name, len(run.files), run.problems) for run in found] == [("exp", 1, []), ("mounted", 1, [])]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_a_problem_and_the_rest_is_read(tmp_path: Path) -> None:
    write_gan(tmp_path / "exp/log.csv")
    for shut in (write_gan(tmp_path / "exp/shut.csv", seed=3), tmp_path / "exp/folder"):
        shut.mkdir() if not shut.exists() else None
        shut.chmod(0)
    [run] = load_all(tmp_path)
    (tmp_path / "exp/folder").chmod(0o700)
    assert len(run.series["loss_D"]) == 60
    assert sorted((p.file.name, p.kind) for p in run.problems) == [
        ("folder", "unreadable"),
        ("shut.csv", "unreadable"),
    ]
    with pytest.raises(UserError, match="cannot be read"):
        load_all(tmp_path / "exp/shut.csv")


def test_a_fault_of_ours_costs_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gandoctor.readers import csv_log

    write_gan(tmp_path / "a/good.csv")
    write_gan(tmp_path / "a/bad.csv", seed=3)
    whole = csv_log.read

    def broken(path: Path) -> object:
        return 1 // 0 if path.name == "bad.csv" else whole(path)

    monkeypatch.setattr(csv_log, "read", broken)
    [run] = load_all(tmp_path)
    [problem] = run.problems
    assert (problem.file.name, problem.kind) == ("bad.csv", "internal-error")
    assert "please report it: ZeroDivisionError" in problem.message
    assert len(run.series["loss_D"]) == 60


def test_finding_runs_reads_no_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gandoctor.readers import csv_log

    write_gan(tmp_path / "a/log.csv")
    monkeypatch.setattr(csv_log, "read", lambda path: pytest.fail("read"))
    [found] = find_runs(tmp_path)
    assert (found.name, [path.name for path, _ in found.files]) == ("a", ["log.csv"])
    monkeypatch.undo()
    [run] = load_run(found)
    assert run.series["loss_D"].source == tmp_path / "a/log.csv"


def test_cost_is_linear_in_files(tmp_path: Path) -> None:
    def calls(runs: int) -> int:
        root = tmp_path / str(runs)
        for number in range(runs):
            folder = root / f"exp{number}"
            write_gan(folder / "log.csv", points=3)
            (folder / "samples").mkdir()
            for step in range(20):
                (folder / f"samples/fakes{step:06}.png").write_bytes(PNG)
        made = 0

        def count(*_: object) -> None:
            nonlocal made
            made += 1

        sys.setprofile(count)
        try:
            found = find_runs(root)
        finally:
            sys.setprofile(None)
        assert len(found) == runs
        return made

    calls(5)
    assert calls(200) < 9 * calls(25)  # 8 times the files


# --- other people's runs ---------------------------------------------------------------------------------


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not here")
@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("csv-qpo-cgan-1", [100]),  # a second CSV with the same columns, one epoch on
        ("cyclegan-stain", [29]),  # a start of one point after the run
        ("cyclegan-ukiyoe", [56, 62, 54]),
        ("deblurgan-cc", [50, 160, 235]),  # the last two written at the same time
        ("pix2pix-edges2shoes", [863]),
        ("pix2pix-iterrefine-1gan", [1486]),
        ("pix2pix-iterrefine-2gan", [1486]),
        ("pix2pix-iterrefine-g", [222, 1122]),
        ("pix2pix-jittor-facades", [20, 800, 5950]),
        ("pix2pix-liveness-face", [11]),  # every start gave up early
        ("pix2pix-liveness-facades", [800]),
        ("pix2pix-luoyaxiong", [1025]),  # the counter restarted, the losses go on
        ("stylegan-sprite", [81]),  # events and stats.jsonl: the same numbers
        ("styletts-train-log", [27, 20]),  # three starts from scratch, the last one of 9 points
        ("tb-cats-cyclegan-two-runs", [1000, 1000]),
        ("tb-vits-step0", [1]),  # three starts, dead after a point
    ],
)
def test_corpus(name: str, points: list[int]) -> None:
    found = load_all(CORPUS / name)
    assert [max(len(one) for one in run.series.values()) for run in found] == points
    assert [problem for run in found for problem in run.problems if problem.kind == "internal-error"] == []
