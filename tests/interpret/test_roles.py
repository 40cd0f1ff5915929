from __future__ import annotations

import pytest

from gandoctor.errors import UserError
from gandoctor.interpret.roles import parse_role, resolve, role_of

# Names as public repositories write them.
NAMES = """
Loss_D D.loss.total | Loss_G G.loss.total | errD D.loss.total | errG G.loss.total | D_loss D.loss.total
D(x) D.score.real | D(G(z)) D.score.fake | D_G_z1 D.score.fake | D_G_z__ D.score.fake
D loss D.loss.total | G loss G.loss.total | d_loss_real D.loss.real | errD_fake D.loss.fake
G_GAN G.loss.adversarial | G_GAN_Feat G.loss.auxiliary | G_VGG G.loss.auxiliary | G_L1 G.loss.auxiliary
D_real D.loss.real | D_fake D.loss.fake | D_real+fake D.loss.total | Cyc_A G.loss.auxiliary
Gen Loss G.loss.total | Disc Loss D.loss.total | critic_loss D.loss.total | val_disc_loss D.heldout_loss.total
dis/loss D.loss.total | loss_gen G.loss.total | Adv Loss G.loss.adversarial | Mel Loss G.loss.auxiliary
train disc cost D.loss.total | dev disc cost D.heldout_loss.total | wasserstein_distance D.balance.distance
D/loss_real D.loss.real | D/loss_cls D.loss.auxiliary | D/loss_gp D.penalty | G/loss_fake G.loss.adversarial
loss/g/total G.loss.total | loss/g/mel G.loss.auxiliary | loss/g/0 G.loss.adversarial.0 | loss/d_g/0 D.loss.fake.0
grad_norm_g G.grad_norm | training/mel_spec_error -.metric.mel | l_g_gan G.loss.adversarial | l_g_pix G.loss.auxiliary
out_d_real D.score.real | Loss/scores/fake D.score.fake | Loss/signs/real D.sign_rate.real | Loss/D/loss D.loss.total
Progress/augment -.augment_p | Metrics/fid50k_full -.metric.fid | PSNR -.metric.psnr | Score_G D.score.fake
discriminator/acc D.accuracy | lossD_epoch D.loss.total | gen_gan_loss G.loss.adversarial | gen_l1_loss G.loss.auxiliary
out/heldout_mean D.score.heldout | val/D_real_score D.score.real | step_norm/G/main.0.weight G.step_norm.main.0
weight_norm/D/conv1 D.weight_norm.conv1 | out/heldout_std D.score_std.heldout
out/fake_std D.score_std.fake | samples/fake_std -.sample_std.fake | real_score_std D.score_std.real
fake_logits_std D.score_std.fake | std_real -.sample_std.real | out/pair_accuracy D.pair_accuracy
weight_norm/G G.weight_norm | step_norm/D D.step_norm | lr_G G.lr | disc_factor -.other | loss1 -.other
epoch -.progress | elapsed_time -.time | real_loss D.loss.real | l_d1 D.loss.total | kt -.balance.k
"""
CASES = [
    tuple(case.strip().rsplit(" ", 1)) for line in NAMES.strip().splitlines() for case in line.split(" | ")
]


@pytest.mark.parametrize(("tag", "role"), CASES)
def test_names_from_the_wild(tag: str, role: str) -> None:
    assert str(role_of(tag)) == role


def test_pairs_exist_only_where_two_of_them_do() -> None:
    both = resolve(["D_A", "G_A", "cycle_A", "D_B", "G_B"])
    assert [both[tag].pair for tag in ("D_A", "G_A", "cycle_A", "D_B")] == ["A", "A", "A", "B"]
    assert resolve(["D_A", "G_A"])["D_A"].pair == ""


def test_a_lone_accuracy_beside_a_d_loss_is_of_d() -> None:
    assert resolve(["D loss", "acc."])["acc."].network == "D"
    assert resolve(["acc."])["acc."].network == "-"


def test_the_users_word_outranks_the_name() -> None:
    roles = resolve(["loss1", "loss2"], {"loss1": "D.loss", "loss2": "G.loss.adversarial"})
    assert (str(roles["loss1"]), roles["loss1"].how) == ("D.loss.total", "you")


@pytest.mark.parametrize("text", ["loss", "X.loss", "D.foo", ""])
def test_a_role_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UserError) as fault:
        parse_role(text)
    assert "D.loss.real" in fault.value.hint


def test_a_tag_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(UserError) as fault:
        resolve(["loss_D"], {"lossD": "D.loss"})
    assert "loss_D" in fault.value.hint
