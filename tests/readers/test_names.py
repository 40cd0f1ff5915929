"""Steps in the names of checkpoints and pictures."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gandoctor.readers.names import split_step
from tests.limits import finishes


@pytest.mark.parametrize(
    ("name", "left", "step"),
    [
        ("discriminator.pth", "discriminator", None),
        ("G_5000.pth", "G", 5000),
        ("do_00005000", "do", 5000),
        ("100_net_G.pth", "net_G", 100),
        ("latest_net_D.pth", "latest_net_D", None),
        ("network-snapshot-000040.pkl", "network-snapshot", 40),
        ("epoch=3-step=1000.ckpt", "epoch-step", 1000),
        ("epoch=9-v1.ckpt", "epoch-v1", 9),
        ("model.ckpt-5000.index", "model.ckpt", 5000),
        ("weights.05-0.12.hdf5", "weights-0.12", 5),
        ("G_20k.pth", "G", 20_000),
        ("gen_100epochs.pt", "gen_epochs", 100),
        ("model_v2.pth", "model_v2", None),
        ("generator_64x64.pth", "generator_64x64", None),
        ("inception-2015-12-05.pkl", "inception-2015-12-05", None),
        ("run_20240101123000.pt", "run_20240101123000", None),
        ("fid_12.34.pth", "fid_12.34", None),
        ("pix2pix.pth", "pix2pix", None),
        ("epoch0.png", "epoch", 0),
        ("0.png", "", 0),
        ("fake_samples_epoch_006.png", "fake_samples_epoch", 6),
        ("epoch001_fake_B.png", "epoch_fake_B", 1),
        ("epoch_10_iter_500.png", "epoch_iter", 500),
        ("fakes_init.png", "fakes_init", None),
        ("fake_B_0_2580a6ca7c968f8d7e47.png", "fake_B", 0),
        ("real-000400.png", "real", 400),
    ],
)
def test_real_names(name: str, left: str, step: int | None) -> None:
    assert split_step(name) == (left, step)


@settings(deadline=None)
@given(st.text(st.sampled_from("aekpst0159.-_=x v"), max_size=60))
def test_any_name_has_a_sane_step(name: str) -> None:
    left, step = split_step(name)
    assert len(left) <= len(name)
    assert step is None or 0 <= step < 10**14


def test_a_long_hostile_name_is_quick() -> None:
    with finishes(5):
        for part in ("1", "a1", "1.", "step_", "1x", "-", "v1.", "epoch=", "1_", "_"):
            split_step(part * 255)
