# ruff: noqa: E501 (lines of logs as they are printed)
from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gandoctor.readers import bulk, text
from gandoctor.readers.head import Head
from gandoctor.run import RunParts, Series, Unit

CORPUS = Path(__file__).parents[2] / "../shared/corpus"


def parts(printed: str, tmp_path: Path, name: str = "train.log") -> list[RunParts]:
    path = tmp_path / name
    path.write_bytes(printed.encode())
    return text.read(path)


def only(printed: str, tmp_path: Path) -> dict[str, Series]:
    """The series of a log that holds one run and no problem."""
    [run] = parts(printed, tmp_path)
    assert run.problems == []
    return {one.tag: one for one in run.series}


def lines(made: Iterable[str]) -> str:
    return "".join(line + "\n" for line in made)


def sniffs(printed: str, name: str) -> bool:
    data = printed.encode()
    return text.sniff(Head(Path(name), len(data), data[:8192]))


# --- what is a log ---

GAN = "epoch 1: d_loss: 0.5 g_loss: 0.7\nepoch 2: d_loss: 0.4 g_loss: 0.8\n"


@pytest.mark.parametrize(
    "name", ["train.log", "out.txt", "slurm-4411.out", "job.o4411", "log", "exp1.history"]
)
def test_a_log_by_its_lines(name: str) -> None:
    assert sniffs(GAN, name)


@pytest.mark.parametrize(
    "name", ["train.py", "README.md", "README", "losses.csv", "a.json", "opt.txt", "a.yaml"]
)
def test_no_log_by_its_name(name: str) -> None:
    assert not sniffs(GAN, name)


@pytest.mark.parametrize(
    "printed",
    [
        "import torch\n\ndef train(lr=0.1, steps=5):\n    return Adam(lr=0.1, eps=1e-8)\n" * 3,
        '{"loss": 0.5, "step": 1}\n{"loss": 0.4, "step": 2}\n',
        "Epoch,Loss_D\n1,0.5\n2,0.4\n",
        "numpy==1.26.0\ntorch==2.1\n",
        "lr: 0.1\nbatch: 4\n",
        "The GAN was trained for 200 epochs.\nIts FID is 12.\n",
        "<html>d_loss: 0.5 g_loss: 0.7\nd_loss: 0.5 g_loss: 0.7\n",
        "x: 0.5 y: 0.7\nx: 0.5 y: 0.7\n",
        "d_loss: 0.5 g_loss: 0.7\n\0\1\2d_loss: 0.5 g_loss: 0.7\n",
        "",
    ],
)
def test_no_log_by_its_text(printed: str) -> None:
    assert not sniffs(printed, "notes.txt")


def test_a_log_with_one_number_a_line() -> None:
    assert sniffs("Epoch: 1\nD loss: 0.5\n" * 3, "notes.txt")
    assert not sniffs("Epoch: 1\nsize: 0.5\n", "notes.txt")


def test_one_line_under_a_usual_name_is_enough() -> None:
    assert sniffs("Loading…\nD loss: 0.5\n", "nohup.out")
    assert not sniffs("Loading…\nfiles: 5\n", "nohup.out")
    assert not sniffs("Loading…\nD loss: 0.5\n", "notes.txt")


def test_records_far_down_are_found_under_a_usual_name(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("layer   512\n" * 2_000 + "tick 0   kimg 0.0   augment 0.000\n")
    assert text.sniff(Head(path, path.stat().st_size, path.read_bytes()[:8192]))


# --- steps, restarts, runs ---


def test_pix2pix(tmp_path: Path) -> None:
    def run(day: str) -> list[str]:
        header = f"================ Training Loss (Mon May  {day} 01:02:03 2023) ================"
        rows = [f"(epoch: {e}, iters: {i}, time: 0.2, data: 0.1) G_GAN: {e}.{i // 100}00 D_real: 0.5 "
                for e in (1, 2, 3) for i in (100, 200, 300)]  # fmt: skip
        return [header, *rows]

    [found] = parts(lines([*run("1"), *run("2")]), tmp_path)
    [g, *_] = [one for one in found.series if one.tag == "G_GAN"]
    assert g.steps.tolist() == list(range(100, 1_000, 100)) * 2
    assert g.values[:4].tolist() == [1.1, 1.2, 1.3, 2.1]
    assert g.order.tolist() == [*range(2, 11), *range(12, 21)]
    assert [(start.order, start.reason) for start in found.starts] == [(2, "header"), (12, "header")]


def test_a_stated_range_gives_exact_steps(tmp_path: Path) -> None:
    found = only(
        lines(f"[Epoch {e}/3] [Batch {b}/938] [D loss: 0.5]" for e in range(3) for b in (0, 400, 800)),
        tmp_path,
    )
    assert found["D loss"].steps.tolist() == [0, 400, 800, 938, 1338, 1738, 1876, 2276, 2676]
    assert found["D loss"].unit is Unit.ITERATION


def test_one_record_over_many_lines(tmp_path: Path) -> None:
    found = only(
        lines(
            f"INFO: [Epoch 1/9][Global Step: {s}/90]\n| D(x): 0.{s}\n| errD: 1.{s}\n(0.0050 sec/idx)"
            for s in (10, 20, 30)
        ),
        tmp_path,
    )
    assert found["errD"].steps.tolist() == [10, 20, 30]
    assert found["D(x)"].values.tolist() == [0.1, 0.2, 0.3]
    assert set(found) == {"D(x)", "errD"}


def test_a_list_and_its_losses_on_two_lines(tmp_path: Path) -> None:
    stamp = "2024-01-02 03:04:0{},000\tmodel\tINFO\t"
    found = only(
        lines(
            stamp.format(n) + rest
            for n in range(1, 4)
            for rest in (f"Train Epoch: {n} [0%]", f"[{n * 200}, 0.0001]", f"loss_disc=3.{n}, loss_gen=2.5")
        ),
        tmp_path,
    )
    assert found["loss_disc"].steps.tolist() == [200, 400, 600]
    assert found["lr"].steps.tolist() == [200, 400, 600]
    wall = found["loss_disc"].wall_time
    assert wall is not None
    assert np.diff(wall).tolist() == [1, 1]


def test_epochs_where_there_is_no_iteration(tmp_path: Path) -> None:
    found = only(lines(f"Epoch {e}/9 | D loss: 0.{e} | G loss: 1.0" for e in range(1, 5)), tmp_path)
    assert (found["D loss"].steps.tolist(), found["D loss"].unit) == ([1, 2, 3, 4], Unit.EPOCH)


def test_lines_are_counted_where_nothing_else_is(tmp_path: Path) -> None:
    found = only(lines(["D loss: 0.5, G loss: 1"] * 3), tmp_path)
    assert (found["D loss"].steps.tolist(), found["D loss"].unit) == ([0, 1, 2], Unit.RECORD)


def test_kimg(tmp_path: Path) -> None:
    found = only(lines(f"tick {t}   kimg {4 * t}.0   augment 0.{t}" for t in range(4)), tmp_path)
    assert (found["augment"].steps.tolist(), found["augment"].unit) == ([0, 4, 8, 12], Unit.KIMG)


def test_carriage_returns_alone(tmp_path: Path) -> None:
    printed = "".join(f"\r[Epoch {e}/9] [Batch {b}/2] [D loss: 0.{e}{b}]" for e in range(3) for b in range(2))
    found = only(printed, tmp_path)
    assert found["D loss"].values.tolist() == [0.0, 0.01, 0.1, 0.11, 0.2, 0.21]
    assert found["D loss"].steps.tolist() == [0, 1, 2, 3, 4, 5]


def test_a_keras_bar_counts_once_an_epoch(tmp_path: Path) -> None:
    printed = ""
    for epoch in (1, 2, 3):
        printed += f"Epoch {epoch}/3\n"
        printed += "".join(
            f"\r\x1b[1m{n}/4\x1b[0m \x1b[32m━━━━━\x1b[0m 1s 9ms/step - d_loss: {epoch}.{n}\x08\x08\x08"
            for n in range(1, 5)
        )
        printed += "\r1/1 ━━━━━━━━━━━━━━━━━━━━ 0s 20ms/step\n"
    found = only(printed, tmp_path)
    assert found["d_loss"].values.tolist() == [1.4, 2.4, 3.4]
    assert (found["d_loss"].steps.tolist(), found["d_loss"].unit) == ([1, 2, 3], Unit.EPOCH)


def test_a_keras_bar_that_is_cut_off_is_not_read(tmp_path: Path) -> None:
    bar = "\r{0}/9 [==>.....] - ETA: 1s - d_loss: 0.{0}000 - g_loss: 0.5{0}00"
    [run] = parts("".join(bar.format(n) for n in (1, 2, 3))[:-2], tmp_path)
    assert [one.values.tolist() for one in run.series] == [[0.2], [0.52]]
    assert [problem.kind for problem in run.problems] == ["truncated"]


def test_a_redrawn_bar_counts_once_a_step(tmp_path: Path) -> None:
    bar = "Epoch {}:  50%|#####     | {}/3 [00:01<00:01,  9.71it/s{}]"
    printed = "".join(
        "\r" + bar.format(e, n, rest)
        for e in range(3)
        for n in range(1, 4)
        for rest in ("", f", d_loss=0.{e}{n}", f", d_loss=0.{e}{n}5")
    )
    found = only(printed + "\n", tmp_path)
    assert found["d_loss"].values.tolist() == [0.015, 0.025, 0.035, 0.115, 0.125, 0.135, 0.215, 0.225, 0.235]
    assert found["d_loss"].steps.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_the_zeros_of_a_bar_that_has_not_begun_are_no_values(tmp_path: Path) -> None:
    bar = "Gen. ({:05.2f}) | Discrim. ({:05.2f}):   0%|          | {}/9 [00:00<?, ?it/s]"
    printed = "\r".join(bar.format(*row) for row in ((0, 0, 0), (0.5, -0.25, 1), (-0.5, 0.25, 2)))
    found = only(printed + "\n", tmp_path)
    assert found["Gen."].values.tolist() == [0.5, -0.5]
    assert found["Discrim."].steps.tolist() == [1, 2]


def test_bars_without_numbers_count_the_lines_between_them(tmp_path: Path) -> None:
    bar = "\rdefault<data>:   {0}%|  | {0}/100 [00:12<10:00,  3.1it/s]\nG: 1.{0} | D: 0.{0}\n"
    found = only("".join(bar.format(n) for n in (10, 20, 30)), tmp_path)
    assert found["D"].steps.tolist() == [10, 20, 30]


def test_lines_that_a_logger_prints_twice_count_once(tmp_path: Path) -> None:
    found = only(
        lines(f"{level}step: {s} D: 0.{s}" for s in range(1, 9) for level in ("", "INFO ")), tmp_path
    )
    assert found["D"].steps.tolist() == list(range(1, 9))


def test_runs_told_apart_by_a_prefix(tmp_path: Path) -> None:
    made = [
        f"[{run}] Epoch [{e}/3] | D loss: {e}.5 | G loss: 1.0"
        for run in ("vanilla", "wgan")
        for e in (1, 2, 3)
    ]
    first, second = parts(lines(["Using device: cuda", *made]), tmp_path)
    assert (first.label, second.label) == ("vanilla", "wgan")
    assert [one.steps.tolist() for one in second.series] == [[1, 2, 3], [1, 2, 3]]


def test_prefixes_that_take_turns_belong_to_the_names(tmp_path: Path) -> None:
    made = [f"[{who}] epoch {e} loss: {e}.{n}" for e in (1, 2, 3) for n, who in enumerate(("a", "b"))]
    found = only(lines(made), tmp_path)
    assert set(found) == {"a/loss", "b/loss"}
    assert found["a/loss"].steps.tolist() == [1, 2, 3]


def test_train_and_validation_are_no_runs(tmp_path: Path) -> None:
    made = [f"[{part}] epoch {e} loss: 0.5" for part in ("Train", "Val") for e in (1, 2, 3)]
    assert set(only(lines(made), tmp_path)) == {"Train/loss", "Val/loss"}


def test_one_prefix_alone_says_nothing(tmp_path: Path) -> None:
    [run] = parts(lines(f"[exp] epoch {e} loss: 0.5" for e in (1, 2, 3)), tmp_path)
    assert run.label == ""
    assert [one.tag for one in run.series] == ["loss"]


def test_two_jobs_in_one_log(tmp_path: Path) -> None:
    rows = [f"step: {step} D: 0.5" for n in range(40) for step in (5_000 + n * 100, n * 100)]
    runs = parts(lines(rows), tmp_path)
    assert [run.label for run in runs] == ["writer 1", "writer 2"]
    assert runs[0].problems[0].kind == "two-writers"
    assert runs[1].series[0].steps.tolist() == list(range(0, 4_000, 100))


# --- configuration ---


def test_a_printed_dict_is_the_configuration_and_a_start(tmp_path: Path) -> None:
    config = "2024-01-02 03:04:05,000\t32k\tINFO\t{'train': {'learning_rate': 0.0001, 'betas': [0.8, 0.99]}, 'fp16': True}"
    [run] = parts(lines([config, "step: 1, D: 0.5", "step: 2, D: 0.4", config, "step: 2, D: 0.4"]), tmp_path)
    assert {name: one.value for name, one in run.settings.items()} == {
        "train.learning_rate": 0.0001, "train.betas.0": 0.8, "train.betas.1": 0.99, "fp16": True,
    }  # fmt: skip
    assert [(start.order, start.reason) for start in run.starts] == [(2, "config"), (5, "config")]
    assert [one.tag for one in run.series] == ["D"]


def test_a_namespace_is_read_and_never_run(tmp_path: Path) -> None:
    line = (
        "Namespace(lr=0.0002, b1=0.5, out='a b', device=device(type='cuda'), evil=__import__('os').abort())"
    )
    [run] = parts(lines([line, "step: 1, D: 0.5"]), tmp_path)
    assert {name: one.value for name, one in run.settings.items()} == {"lr": 0.0002, "b1": 0.5, "out": "a b"}


def test_a_block_of_options(tmp_path: Path) -> None:
    block = [
        "------------ Options -------------",
        "  beta1: 0.5   \t[default: None]",
        "gan_mode: lsgan",
        "-------------- End ----------------",
    ]
    [run] = parts(lines([*block, "(epoch: 1, iters: 100) D_A: 0.5"]), tmp_path)
    assert {name: one.value for name, one in run.settings.items()} == {"beta1": 0.5, "gan_mode": "lsgan"}
    assert [one.tag for one in run.series] == ["D_A"]


def test_a_block_of_options_without_its_end(tmp_path: Path) -> None:
    rows = ["----- Options -----", "beta1: 0.5", *(f"step: {n} D: 0.5 G: 0.7" for n in (1, 2, 3))]
    [run] = parts(lines(rows), tmp_path)
    assert [(one.tag, len(one)) for one in run.series] == [("D", 3), ("G", 3)]
    assert run.settings["beta1"].value == 0.5


def test_a_block_of_options_without_its_end_before_lines_of_one_number(tmp_path: Path) -> None:
    rows = ["===== Parameters =====", "lr: 0.5", *(f"d_loss: 0.{n}" for n in range(10, 60))]
    [run] = parts(lines(rows), tmp_path)
    assert [(one.tag, len(one)) for one in run.series] == [("d_loss", 48)]
    assert run.settings["lr"].value == 0.5


def test_a_damaged_digit_is_no_digit(tmp_path: Path) -> None:
    rows = [f"epoch {n} | loss_D 0.5 | loss_G {g}" for n, g in enumerate(("0.7", "0.54\u0663", "0.6"))]
    found = only(lines(rows), tmp_path)
    assert found["loss_G"].values.tolist() == [0.7, 0.6]
    assert found["loss_G"].steps.tolist() == [0, 2]


def test_numbers_before_training_are_settings(tmp_path: Path) -> None:
    head = ["Num images:  912", "batch_size: 16", "epochs: 200", "layer.b4:0   8192   16"]
    [run] = parts(lines([*head, *(f"epoch {e}: D: 0.{e} G: 0.5" for e in range(1, 6))]), tmp_path)
    assert run.settings["Num images"].value == 912
    assert run.settings["batch_size"].value == 16
    assert {one.tag for one in run.series} == {"D", "G"}
    assert run.series[0].steps.tolist() == [1, 2, 3, 4, 5]


def test_a_printed_option_file_is_no_training(tmp_path: Path) -> None:
    head = ["INFO:", "  scale: 4", "  lr: 0.1", "  betas: [0.9, 0.99]", "  iter: 400000"]
    rows = [f"[epoch: 0, iter:{i * 300:8,}, lr:(1.000e-04,)] l_pix: 1.{i}e-02" for i in range(1, 9)]
    [run] = parts(lines([*head, *rows]), tmp_path)
    by_tag = {one.tag: one for one in run.series}
    assert set(by_tag) == {"lr", "l_pix"}
    assert by_tag["l_pix"].steps.tolist() == list(range(300, 2_401, 300))
    assert (run.settings["scale"].value, run.settings["betas.2"].value) == (4, 0.99)


def test_where_training_resumed_from(tmp_path: Path) -> None:
    [run] = parts(lines(['Resuming from "out/network-snapshot-000200.pkl"', "step: 1, D: 0.5"]), tmp_path)
    assert run.settings["resumed_from"].value == "out/network-snapshot-000200.pkl"


@pytest.mark.parametrize(
    "deep", ["{'a': " * 2_000 + "None" + "}" * 2_000, "Namespace(a=" + "(" * 5_000, "{'a': '\\d'}"]
)
def test_hostile_configuration(tmp_path: Path, deep: str) -> None:
    [run] = parts(lines([deep, "step: 1, D: 0.5"]), tmp_path)
    assert [one.tag for one in run.series] == ["D"]


# --- damage ---


def problems(printed: bytes, tmp_path: Path) -> list[tuple[str, str]]:
    path = tmp_path / "train.log"
    path.write_bytes(printed)
    return [(problem.place, problem.kind) for run in text.read(path) for problem in run.problems]


ROWS = b"".join(b"step: %d D: 0.%d50 G: 0.%d00\n" % (n, n, n) for n in range(1, 7))


def test_a_whole_log_has_no_problems(tmp_path: Path) -> None:
    assert problems(ROWS + b"Saving the model.\nDone in 5 s\n", tmp_path) == []


@pytest.mark.parametrize("garbled", [b"0.5x50", b"0.4.50", b"0.3e", b"..."])
def test_a_garbled_number_is_a_problem_and_its_neighbours_are_read(tmp_path: Path, garbled: bytes) -> None:
    damaged = ROWS.replace(b"0.350", garbled)
    assert problems(damaged, tmp_path) == [("line 3", "bad-line")]
    [run] = text.read(tmp_path / "train.log")
    by_tag = {one.tag: one for one in run.series}
    assert len(by_tag["D"]) == 5
    assert len(by_tag["G"]) == 6


@pytest.mark.parametrize("cut", range(1, 24))
def test_a_cut_last_line_never_gives_a_wrong_number(tmp_path: Path, cut: int) -> None:
    found = problems(ROWS[:-cut], tmp_path)
    [run] = text.read(tmp_path / "train.log")
    for one in run.series:
        whole = {"D": [0.15, 0.25, 0.35, 0.45, 0.55, 0.65], "G": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}[one.tag]
        assert one.values.tolist() == whole[: len(one)]
        assert one.steps.tolist() == [1, 2, 3, 4, 5, 6][: len(one)]
    # Where only the line's end is missing it is whole, and "step:" alone is no line of numbers.
    assert found == ([] if cut == 1 or cut >= 20 else [("line 6", "truncated")])


def test_bad_bytes_and_nul_bytes(tmp_path: Path) -> None:
    assert problems(ROWS + b"caf\xe9: 1\n" + b"\0" * 99, tmp_path) == [
        ("line 8", "nul-bytes"),
        ("line 7", "bad-bytes"),
    ]


def test_too_many_names(tmp_path: Path) -> None:
    printed = b"".join(b"loss_%d: 1 " % n + (b"\n" if n % 100 == 99 else b"") for n in range(5_000))
    assert problems(printed, tmp_path) == [("", "too-many-names")]


# --- many lines at once ---


def shape(i: int, rng: random.Random) -> str:
    return rng.choice(
        (
            f"(epoch: {i}, iters: {i * 100}, time: 0.1) G_L1: {rng.gauss(0, 9):.3f} D_real+fake: {rng.random():.3f} ",
            f"step: {i} D: {rng.gauss(0, 1e-4):.3g} G: {rng.choice(['nan', 'inf', '-inf', '0.5'])}",
            f"2024-01-02 03:04:{i % 60:02},{i % 1000:03} [Epoch {i}/9] acc.: {rng.random():.2%} d1={rng.random():+.3f}",
            "Saving the model.",
        )
    )


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 32), damage=st.binary(max_size=3))
def test_many_lines_at_once_are_read_like_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, seed: int, damage: bytes
) -> None:
    rng = random.Random(seed)
    data = bytearray("".join(shape(i, rng) + "\n" for i in range(400)).encode())
    at = rng.randrange(len(data))
    data[at : at + rng.randrange(3)] = damage
    path = tmp_path_factory.mktemp("log") / "train.log"
    path.write_bytes(data)
    at_once = text.read(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "FEWEST_LINES", 1 << 60)
        alone = text.read(path)
    assert [run.problems for run in at_once] == [run.problems for run in alone]
    for a, b in zip(at_once, alone, strict=True):
        assert [one.tag for one in a.series] == [one.tag for one in b.series]
        for x, y in zip(a.series, b.series, strict=True):
            np.testing.assert_array_equal(x.values, y.values)
            np.testing.assert_array_equal(x.steps, y.steps)
            np.testing.assert_array_equal(x.order, y.order)
            assert (x.wall_time is None) == (y.wall_time is None)


@pytest.mark.parametrize(
    ("good", "damaged"),
    [
        ("[Batch 5/9] [D loss: 0.5]", "[Batch -5/9] [D loss: 0.5]"),
        ("[Batch 5/9] [D loss: 0.5]", "[Batch 5.5/9] [D loss: 0.5]"),
        ("2026-03-06 23:25:44,113: D: 0.5", "+026-03-06 23:25:44,113: D: 0.5"),
        ("2026-03-06 23:25:44+01:00 D: 0.5", "2026-03-06 23:25:44+02:00 D: 0.5"),
        ("2026-03-06 23:25:44Z D: 0.5", "2026-03-06 23:25:45Z D: 0.5"),
        ("iter 5\tdisc cost\t0.5\tgen cost\t0.7", "iter 5\tdisc cost\t0.--5\tgen cost\t0.7"),
        ("[0/25][5/9] D: 0.5 G: 0.7", "[0/-25][5/9] D: 0.5 G: 0.7"),
        ("[0/25][5/9] D: 0.5 G: 0.7", "[0/2.5][5/9] D: 0.5 G: 0.7"),
        ("iter: 10,200, D: 0.5 G: 0.7", "iter: 10,20, D: 0.5 G: 0.7"),
        ("iter: 10,20, D: 0.5 G: 0.7", "iter: 10,200, D: 0.5 G: 0.7"),
        ("D: 0.5 (0.6) G: 0.7", "D: 0.5 (0..6) G: 0.7"),
        ("G_1: 0.5 G_2: 0.7", "G_2: 0.5 G_1: 0.7"),
        ("G_1: 0.5 G_2: 0.7", "G_: 0.51 G_2: 0.7"),
        ("D: 0.5 G: 0.7", "D: 0. G: 0.57"),
        ("D: 0.5 G: 0.7", "D: 1_0 G: 0.57"),
        ("D: 0.5 G: 0.7", "D: -0 G: 0.7"),
        ("D: 0.5 G: 0.7", "D: 0.5 G: -0"),
        ("2026-03-06 23:25:44,113: D: 0.5", "2026-03-06 23:25:44,3.0: D: 0.5"),
        ("1-9 [==>..] - D: 0.5 G: 0.7", "-9 [==>..] - D: 0.5 G: 0.7"),
        ("lr: 0.5", "---- Options ----"),
        ("lr: 0.5 G: 0.7", "---- Options ----"),
    ],
)
@pytest.mark.parametrize("place", [0, 20, 50, 99])
def test_a_damaged_line_among_many_is_read_as_if_alone(
    tmp_path: Path, good: str, damaged: str, place: int
) -> None:
    rows = [good] * 100
    rows[place] = damaged
    at_once = parts(lines(rows), tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "FEWEST_LINES", 1 << 60)
        alone = parts(lines(rows), tmp_path)
    for a, b in zip(at_once, alone, strict=True):
        assert [
            (x.tag, x.steps.tolist(), [*map(repr, x.values.tolist())], x.order.tolist()) for x in a.series
        ] == [(x.tag, x.steps.tolist(), [*map(repr, x.values.tolist())], x.order.tolist()) for x in b.series]
        walls = [(x.wall_time, y.wall_time) for x, y in zip(a.series, b.series, strict=True)]
        assert all(
            (x is None) == (y is None) and (x is None or np.allclose(x, y, rtol=0, atol=1e-4))
            for x, y in walls
        )


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=400))
def test_random_bytes_raise_nothing(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("log") / "train.log"
    path.write_bytes(data)
    text.sniff(Head(path, len(data), data))
    text.read(path)


def test_text_inside_another_file() -> None:
    [run] = text.parts_of("epoch 1 loss: 0.5\nepoch 2 loss: 0.25", Path("run.wandb"))
    assert run.series[0].values.tolist() == [0.5, 0.25]
    assert run.series[0].source == Path("run.wandb")


# --- real logs ---


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real logs is not here")
@pytest.mark.parametrize(
    ("name", "tag", "points", "last_step"),
    [
        ("pix2pix-edges2shoes/loss_log.txt", "G_GAN", 863, 86_300),
        ("pix2pix-liveness-facades/loss_log.txt", "D_real", 802, None),
        ("deblurgan-cc/loss_log.txt", "D_real+fake", 509, None),
        ("sovits-train-log/train.log", "loss_disc", 245, 48_800),
        ("styletts-train-log/train.log", "Disc Loss", 56, None),
        ("stylegan-sprite/log.txt", "augment", 81, 320),
        ("paddle-visualdl/train.log", "loss_mel", 1, 0),
        ("cyclegan-ukiyoe/loss_log.txt", "Cyc_B", 172, None),
    ],
)
def test_real_logs(name: str, tag: str, points: int, last_step: int | None) -> None:
    runs = text.read(CORPUS / name)
    series = [one for run in runs for one in run.series if one.tag == tag]
    assert sum(map(len, series)) == points
    assert last_step is None or series[0].steps[-1] == last_step
    assert [p for run in runs for p in run.problems if p.kind != "two-writers"] == []
