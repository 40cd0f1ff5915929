# ruff: noqa: E501 (lines of logs as they are printed)
from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gandoctor.readers.record import NOTHING, key_of, record_of
from tests.limits import finishes


def read(line: str) -> dict[str, float]:
    """The numbers of a line by name; how far a counter runs is called `NAME of`."""
    return {field.name.replace("\0length", " of"): field.value for field in record_of(line).fields}


# One line of each program, in its own spelling, with invented numbers.
LINES = {
    "pix2pix": (
        "(epoch: 7, iters: 300, time: 0.210, data: 0.003) G_GAN: 1.250 G_L1: 14.100 D_real+fake: -0.210 ",
        {"epoch": 7, "iters": 300, "time": 0.21, "data": 0.003, "G_GAN": 1.25, "G_L1": 14.1, "D_real+fake": -0.21},
    ),
    "basicsr": (
        "2025-01-03 10:20:30,401 INFO: [exp1..][epoch:  2, iter:   1,300, lr:(1.000e-04,)] "
        "[eta: 1 day, 2:03:04, time (data): 0.410 (0.002)] l_g_pix: 1.5000e-02 l_d_real: 6.9e-01 ",
        {"epoch": 2, "iter": 1300, "lr": 1e-4, "time (data)": 0.41, "l_g_pix": 0.015, "l_d_real": 0.69},
    ),
    "hifi-gan": (
        "Steps : 40, Gen Loss Total : 61.203, Mel-Spec. Error : 1.021, s/b : 0.311",
        {"Steps": 40, "Gen Loss Total": 61.203, "Mel-Spec. Error": 1.021, "s/b": 0.311},
    ),
    "pytorch-gan": (
        "[Epoch 4/50] [Batch 12/99] [D loss: 0.512000] [G loss: 1.210000, adv: 0.310000]",
        {"Epoch": 4, "Epoch of": 50, "Batch": 12, "Batch of": 99, "D loss": 0.512, "G loss": 1.21, "adv": 0.31},
    ),
    "keras-gan": (
        "250 [D loss: 0.612, acc.: 62.50%] [G loss: 0.911]",
        {"step": 250, "D loss": 0.612, "acc.": 0.625, "G loss": 0.911},
    ),
    "dcgan example": (
        "[2/25][30/800] Loss_D: 0.6100 Loss_G: 1.9000 D(x): 0.7000 D(G(z)): 0.2100 / 0.1500",
        {"epoch": 2, "batch": 30, "batch of": 800, "Loss_D": 0.61, "Loss_G": 1.9, "D(x)": 0.7,
         "D(G(z)).1": 0.21, "D(G(z)).2": 0.15},
    ),
    "wgan": (
        "[1/25][6/300][41] Loss_D: -0.710000 Loss_G: 0.300000 Loss_D_real: -0.4 Loss_D_fake 0.310000",
        {"epoch": 1, "batch": 6, "batch of": 300, "iteration": 41, "Loss_D": -0.71, "Loss_G": 0.3,
         "Loss_D_real": -0.4, "Loss_D_fake": 0.31},
    ),
    "keras tutorials": (
        ">3, 12/90, d1=0.650, d2=0.701 g=0.880",
        {"epoch": 3, "batch": 12, "batch of": 90, "d1": 0.65, "d2": 0.701, "g": 0.88},
    ),
    "styletts": (
        "INFO:2025-04-05 06:07:08,910: Epoch [2/9], Step [30/70], Adv Loss: 0.70100, Disc Loss: 1.38500",
        {"Epoch": 2, "Epoch of": 9, "Step": 30, "Step of": 70, "Adv Loss": 0.701, "Disc Loss": 1.385},
    ),
    "torch-mimicry": (
        "INFO: [Epoch 1/10][Global Step: 50/100] ",
        {"Epoch": 1, "Epoch of": 10, "Global Step": 50, "Global Step of": 100},
    ),
    "stylegan": (
        "tick 9     kimg 36.0     time 1h 02m 03s   sec/tick 90.1    sec/kimg 22.50   gpumem 5.10   augment 0.120",
        {"tick": 9, "kimg": 36, "sec/tick": 90.1, "sec/kimg": 22.5, "gpumem": 5.1, "augment": 0.12},
    ),
    "tflib": (
        "iter 299\ttrain disc cost\t-4.25\ttime\t0.21\tdev disc cost\t-3.5",
        {"iter": 299, "train disc cost": -4.25, "time": 0.21, "dev disc cost": -3.5},
    ),
    "ctgan": (
        "Gen. (-01.25) | Discrim. (00.31):  40%|████      | 12/30 [00:05<00:07,  2.41it/s]",
        {"Gen.": -1.25, "Discrim.": 0.31, "it": 12, "it of": 30},
    ),
    "lightning": (
        "Epoch 2:  50%|█████     | 10/20 [00:01<00:01,  9.71it/s, v_num=3, g_loss=0.810, d_loss=0.620]",
        {"Epoch": 2, "it": 10, "it of": 20, "v_num": 3, "g_loss": 0.81, "d_loss": 0.62},
    ),
    "keras 2": (
        "10/10 [==============================] - 1s 12ms/step - d_loss: 0.6100 - g_loss: 0.8200",
        {"d_loss": 0.61, "g_loss": 0.82},
    ),
    "keras 3": ("4/10 ━━━━━━━━━━━━━━━━━━━━ 3s 12ms/step - d_loss: 0.6300", {"d_loss": 0.63}),
    "biggan": ("itr: 70, G_loss : +0.310, D_loss_real : -0.201", {"itr": 70, "G_loss": 0.31, "D_loss_real": -0.201}),
    "vits": (
        "2024-02-03 04:05:06,789\tbase\tINFO\t[2.9, 3.1, 5.0, 60.2, 1.8, 2.1, 200, 0.0002]",
        {"loss_disc": 2.9, "loss_gen": 3.1, "loss_fm": 5, "loss_mel": 60.2, "loss_dur": 1.8, "loss_kl": 2.1,
         "step": 200, "lr": 2e-4},
    ),
    "so-vits 3": (
        "2024-02-03 04:05:06,789\t32k\tINFO\t[2.9, 3.1, 5.0, 60.2, 2.1, 400, 0.0002]",
        {"loss_disc": 2.9, "loss_gen": 3.1, "loss_fm": 5, "loss_mel": 60.2, "loss_kl": 2.1, "step": 400, "lr": 2e-4},
    ),
    "so-vits 4": (
        "2024-02-03 04:05:06,789\t44k\tINFO\tLosses: [2.9, 3.1, 5.0, 60.2, 2.1], step: 400, lr: 0.0001, reference_loss: 73.3",
        {"loss_disc": 2.9, "loss_gen": 3.1, "loss_fm": 5, "loss_mel": 60.2, "loss_kl": 2.1, "step": 400, "lr": 1e-4,
         "reference_loss": 73.3},
    ),
    "rvc": ("2024-02-03 04:05:06,789\tmodel\tINFO\t[1200, 9.9e-05]", {"step": 1200, "lr": 9.9e-5}),
    "rvc losses": (
        "2024-02-03 04:05:06,789\tmodel\tINFO\tloss_disc=3.912, loss_gen=3.101, loss_fm=8.120,loss_mel=19.200, loss_kl=1.300",
        {"loss_disc": 3.912, "loss_gen": 3.101, "loss_fm": 8.12, "loss_mel": 19.2, "loss_kl": 1.3},
    ),
    "paddle, after cleaning": (
        "损失:[2.9, 3.1, 5.0, 60.2, 2.1],步数:8,学习率:0.0001",
        {"loss_disc": 2.9, "loss_gen": 3.1, "loss_fm": 5, "loss_mel": 60.2, "loss_kl": 2.1, "步数": 8, "学习率": 1e-4},
    ),
    "pytorch imagenet example": (
        "Epoch: [3][ 40/200]\tTime  0.310 ( 0.402)\tLoss 1.2000e+00 (1.3000e+00)",
        {"Epoch": 3, "batch": 40, "batch of": 200, "Time": 0.31, "Loss": 1.2},
    ),
    "pytorch mnist example": (
        "Train Epoch: 2 [640/6000 (11%)]\tLoss: 0.412000",
        {"Train Epoch": 2, "batch": 640, "batch of": 6000, "Loss": 0.412},
    ),
    "espnet": (
        "2021-05-06 01:02:03,456 (trainer:702) INFO: 2epoch:train:51-100batch: generator_loss=39.1, optim0_lr0=2.000e-04",
        {"epoch": 2, "batch": 100, "generator_loss": 39.1, "optim0_lr0": 2e-4},
    ),
    "parallel wavegan": (
        "2021-05-06 01:02:03,456 (train:500) INFO: (Steps: 700) train/generator_loss = 2.3450.",
        {"Steps": 700, "train/generator_loss": 2.345},
    ),
    "mmgeneration": (
        "2021-05-06 01:02:03,456 - mmgen - INFO - Iter [100/300]\tlr_generator: 2.000e-04, eta: 5:05:05, loss_disc_fake: 0.6",
        {"Iter": 100, "Iter of": 300, "lr_generator": 2e-4, "loss_disc_fake": 0.6},
    ),
    "sagan": ("Elapsed [0:00:10], G_step [20/90], D_step[20/90], d_out_real: 0.41", {
        "G_step": 20, "G_step of": 90, "D_step": 20, "D_step of": 90, "d_out_real": 0.41}),
    "iteration with a dash": ("Iter-300; D_loss: 1.2; G_loss: 0.9", {"Iter": 300, "D_loss": 1.2, "G_loss": 0.9}),
    "blanks alone": ("epoch 2 iter 70 loss_D 0.51 loss_G 0.92", {"epoch": 2, "iter": 70, "loss_D": 0.51, "loss_G": 0.92}),
    "a printed dict": ("{'loss_D': 0.5, 'loss_G': nan, 'epoch': 3}", {"loss_D": 0.5, "loss_G": math.nan, "epoch": 3}),
    "tensors": (
        "epoch 3: D loss = tensor(0.5300, device='cuda:0', grad_fn=<AddBackward0>), G loss = tensor([0.7000])",
        {"epoch": 3, "D loss": 0.53, "G loss": 0.7},
    ),
    "tensorflow": (
        "D: <tf.Tensor: shape=(), dtype=float32, numpy=0.42> G: tf.Tensor(0.81, shape=(), dtype=float32)",
        {"D": 0.42, "G": 0.81},
    ),
    "numpy": ("d_loss=np.float64(0.25), g_loss=np.float32(1.5)", {"d_loss": 0.25, "g_loss": 1.5}),
    "windows": ("loss_D: 1.#INF loss_G: -1.#IND", {"loss_D": math.inf, "loss_G": math.nan}),
    "means in brackets": ("D loss: 0.62 (0.60) G loss: 0.5 (0.4)", {"D loss": 0.62, "G loss": 0.5}),
    "a count and its whole": ("modes covered: 7 / 8", {"modes covered": 7}),
    "decibels": ("PSNR: 24.10 dB SSIM: 0.7100", {"PSNR": 24.1, "SSIM": 0.71}),
    "a number ends the sentence": ("after all, D loss: 0.25.", {"D loss": 0.25}),
    "the part of the data": ("Val - loss: 0.4 acc: 0.5", {"Val/loss": 0.4, "Val/acc": 0.5}),
    "a key twice": ("[D loss: 0.6, acc: 50%] [G loss: 0.8, acc: 10%]",
                    {"D loss": 0.6, "acc": 0.5, "G loss": 0.8, "acc.1": 0.1}),
    "google's logs": ("I0203 04:05:06.789012 140 train.py:55] step: 5 d_loss: 0.5", {"step": 5, "d_loss": 0.5}),
}  # fmt: skip


@pytest.mark.parametrize(("line", "expected"), LINES.values(), ids=LINES.keys())
def test_a_line_of(line: str, expected: dict[str, float]) -> None:
    found = read(line)
    assert found.keys() == expected.keys()
    assert list(found.values()) == pytest.approx([expected[name] for name in found], nan_ok=True)


@pytest.mark.parametrize(
    "line",
    [
        "Setting up PyTorch plugin, which may take 2 minutes",
        "numpy==1.26.0",
        "torch>=2.0",
        "(1): BatchNorm2d(64, eps=1e-05, momentum=0.1, affine=True)",
        "Namespace(batch_size=64, beta1=0.5, lr=0.0002)",
        "synthesis.b8.conv0   2622465   80   [32, 512, 8, 8]   float32",
        "Started at 2024-01-02 03:04:05",
        "see https://example.org:8080/run?id=3",
        "eta: 1:02:03, elapsed: 12s",
        "Real batch shape : torch.Size([128, 2])",
        "[0.5, 0.25, 0.125]",
        "version: 1.2.3",
    ],
)
def test_no_record(line: str) -> None:
    assert read(line) == {}


def test_a_line_without_digits_is_nothing() -> None:
    assert record_of("Done.") is NOTHING


def test_the_time_of_a_line_is_seconds_since_1970_in_utc() -> None:
    assert record_of("2025-01-02 03:04:05,250 INFO: loss: 1").wall_time == 1735787045.25
    assert record_of("INFO:2025-01-02 03:04:05,250: loss: 1").wall_time == 1735787045.25
    assert record_of("2025-13-42 03:04:05 loss: 1").wall_time is None


@pytest.mark.parametrize(
    ("line", "label"),
    [
        ("[vanilla] Epoch [1/3] | D loss: 1.3", "vanilla"),
        ("INFO - [run a] D loss: 1.3", "run a"),
        ("[INFO] D loss: 1.3", ""),
        ("[Epoch 1/3] D loss: 1.3", ""),
        ("[3/25] D loss: 1.3", ""),
    ],
)
def test_a_label_in_front(line: str, label: str) -> None:
    assert record_of(line).label == label


@pytest.mark.parametrize("token", ["0.5x", "1.2.3", "1e-", "0x1f", "12:5"])
def test_what_is_no_number_is_not_read_but_kept_in_mind(token: str) -> None:
    record = record_of(f"G: 0.25 D: {token}")
    assert [field.name for field in record.fields] == ["G"]
    assert record.garbled == (("D", token),)


@pytest.mark.parametrize("blank", ["None", "NA", "-", "--"])
def test_a_missing_value_is_no_fault(blank: str) -> None:
    assert record_of(f"G: 0.25 D: {blank}").garbled == ()


def test_keys() -> None:
    assert key_of("2024, INFO:root: D loss ") == "D loss"
    assert key_of("x (epoch") == "epoch"
    assert key_of("12 34") == ""
    assert key_of("much too many words to be a name of a number") == ""


TEXT = st.text(st.sampled_from("aDG( )[]{}<>/|:=,.;'%#-+0123456789eE\tnaif_"), max_size=120)


@given(TEXT)
def test_fields_stand_where_they_say(line: str) -> None:
    record = record_of(line)
    if record.bar is not None:  # its numbers come from a line that was put together anew
        return
    for field in record.fields:
        text = line[field.start : field.end].replace(",", "")
        value = float("nan") if "#" in text else float(text)
        assert math.isnan(value) or field.value in (value, value / 100)


@pytest.mark.parametrize(
    "line",
    [
        "a" * 60_000 + ": 1",
        "a(" * 30_000,
        "A(b" * 20_000 + "=1",
        "x=" * 30_000,
        "step 1 " * 9_000,
        " " * 60_000 + "1",
        "=" * 60_000 + "1",
        "[1," * 20_000,
        "a: 1 " * 12_000,
        "%|" * 30_000,
        "1:" * 30_000,
        "a.b" * 20_000 + ".py:1",
    ],
)
def test_hostile_lines_take_no_long_time(line: str) -> None:
    with finishes(20):
        record_of(line)
