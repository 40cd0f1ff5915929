from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import gandoctor.interpret.layers as layers_module
from gandoctor import cli, diagnose, diagnose_all
from gandoctor.config import Config
from gandoctor.errors import UserError
from gandoctor.interpret.roles import OTHER, role_of_histogram
from gandoctor.interpret.view import D_GRAD, D_WEIGHT, G_GRAD, G_WEIGHT, views_of
from gandoctor.readers.load import load_all
from gandoctor.run import Run, Values
from tests.histograms import histogram_run
from tests.readers import wandb_file
from tests.runs import view_of

STEPS = 60


def tensor(size: int, scale: float = 0.1, seed: int = 0) -> list[Values]:
    rng = np.random.default_rng(seed)
    return [rng.normal(0, scale, size) for _ in range(STEPS)]


def norms(rows: Iterable[Values]) -> list[float]:
    return [float(np.linalg.norm(row)) for row in rows]


def as_series(run: Run) -> dict[str, str]:
    return {tag: str(role) for tag, role in view_of(run).roles.items()}


@pytest.mark.parametrize(
    ("tag", "role", "part"),
    [
        ("gradients/netG.main.0.weight", "G.grad_norm.kernel.main.0", "kernel"),
        ("netD/conv1.weight.grad", "D.grad_norm.kernel.conv1", "kernel"),
        ("netD.layers.3.bias/grad", "D.grad_norm.added.layers.3.bias", "added"),
        ("grad/D/conv1.weight", "D.grad_norm.kernel.conv1", "kernel"),
        ("D_grad/conv1.weight", "D.grad_norm.kernel.conv1", "kernel"),
        ("netG.fc.weight_grad", "G.grad_norm.kernel.fc", "kernel"),
        ("module.netD.main.0.weight", "D.weight_norm.kernel.main.0", "kernel"),
        ("discriminator.main.0.weight_orig", "D.weight_norm.kernel.main.0", "kernel"),
        ("generator/dense/kernel_0", "G.weight_norm.kernel.dense", "kernel"),
        ("generator/dense/kernel/histogram", "G.weight_norm.kernel.dense", "kernel"),
        ("Generator/conv2d/kernel:0", "G.weight_norm.kernel.conv2d", "kernel"),
        ("discriminator/conv2d_1/bias_0", "D.weight_norm.added.conv2d_1.bias_0", "added"),
        ("weights/G.fc", "G.weight_norm.kernel.fc", "kernel"),
        ("gradients/G", "G.grad_norm", ""),
        ("weights/D", "D.weight_norm", ""),
        # whose it is, nobody says: W&B's watch of two models, SAGAN's attention, weight norm's g
        ("gradients/main.0.weight", "-.grad_norm.kernel.main.0", "kernel"),
        ("gradients/graph_1main.0.weight", "-.grad_norm.kernel.main.0", "kernel"),
        ("gradients/attn.g.weight", "-.grad_norm.kernel.attn.g", "kernel"),
        ("conv.weight_g", "-.weight_norm.added.conv.weight_g", "added"),
        ("parameters/main.0.weight", "-.weight_norm.kernel.main.0", "kernel"),
    ],
)
def test_what_a_histogram_is_of(tag: str, role: str, part: str) -> None:
    found = role_of_histogram(tag)
    assert (str(found), found.part) == (role, part)


@pytest.mark.parametrize(
    "tag",
    ["D/logits", "activations/G.conv1", "fake", "z", "weight", "D.bn1.running_mean", "loss_hist", "G.out"],
)
def test_histograms_of_something_else(tag: str) -> None:
    assert role_of_histogram(tag) == OTHER


def test_layers_and_whole_networks_by_the_log_s_order() -> None:
    tensors = {f"netG/main.{n}.weight": tensor(64, 0.1 * (n + 1), n) for n in (0, 2, 10)}
    tensors["netG/main.0.bias"] = tensor(16, 0.01)
    view = view_of(histogram_run(tensors))
    whole, *layers = view.all(G_WEIGHT)
    assert whole.tags == ("‖netG/main.*‖",)
    assert [view.roles[track.tags[0]].layer for track in layers] == ["main.0", "main.2", "main.10"]
    assert layers[1].values == pytest.approx(norms(tensors["netG/main.2.weight"]))
    assert layers[1].steps.tolist() == list(range(0, 100 * STEPS, 100))
    assert whole.values**2 == pytest.approx(
        np.sum([np.square(norms(rows)) for rows in tensors.values()], axis=0)
    )


def test_gradients_and_weights_of_both_networks_are_told_apart() -> None:
    tensors = {
        f"net{network}/{layer}.weight{kind}": tensor(64, scale)
        for network in "GD"
        for layer in ("conv1", "conv2")
        for kind, scale in (("", 1.0), (".grad", 0.001))
    }
    view = view_of(histogram_run(tensors))
    for signal, scale in ((G_GRAD, 0.001), (D_GRAD, 0.001), (G_WEIGHT, 1.0), (D_WEIGHT, 1.0)):
        tracks = view.all(signal)
        assert len(tracks) == 3
        assert np.median(tracks[1].values) == pytest.approx(8 * scale, rel=0.1)


def test_norms_that_are_logged_are_not_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("histograms were decoded")

    monkeypatch.setattr(layers_module, "distributions", never)
    tensors = {"netG/conv1.weight.grad": tensor(64), "netG/conv2.weight.grad": tensor(64)}
    scalars = {"grad_norm/G": np.full(STEPS, 2.0), "grad_norm/G/conv1": np.full(STEPS, 1.0)}
    view = view_of(histogram_run(tensors, scalars))
    assert [track.tags for track in view.all(G_GRAD)] == [("grad_norm/G",), ("grad_norm/G/conv1",)]
    diagnose(view.run)
    view = view_of(histogram_run(tensors))
    assert list(view.series)[-1] == "‖netG/conv2.weight.grad‖"  # known by its name; not yet read
    assert view.roles["‖netG/conv*.weight.grad‖"].quantity == "grad_norm"
    with pytest.raises(AssertionError, match="decoded"):
        view.all(G_GRAD)


def test_layers_serve_beside_a_logged_whole() -> None:
    tensors = {"netG/conv1.weight.grad": tensor(64), "netG/conv2.weight.grad": tensor(64)}
    view = view_of(histogram_run(tensors, {"grad_norm/G": np.full(STEPS, 2.0)}))
    assert [view.roles[track.tags[0]].layer for track in view.all(G_GRAD)] == ["", "conv1", "conv2"]


def test_a_bias_or_a_scale_is_no_layer() -> None:
    # A bias before batch normalisation has no gradient at all, in any healthy network.
    tensors = {"netG/c1.weight.grad": tensor(64), "netG/c2.weight.grad": tensor(64),
               "netG/c1.bias.grad": [np.zeros(32)] * STEPS, "netG/scale.weight.grad": tensor(2)}  # fmt: skip
    view = view_of(histogram_run(tensors))
    full = [view.roles[track.tags[0]].layer for track in view.all(G_GRAD) if len(track)]
    assert full == ["", "c1", "c2"]


def test_a_tensor_that_is_logged_once_does_not_hide_the_rest() -> None:
    tensors = {"D/c1.weight": tensor(64), "D/c2.weight": tensor(64), "D/odd.weight": tensor(64)[:1]}
    view = view_of(histogram_run(tensors))
    assert len(view.get(D_WEIGHT)) == STEPS


def test_wandb_says_that_it_is_near(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows, sizes = [], []
    for step in range(STEPS):
        row: dict[str, object] = {"_step": step, "loss_D": 1.3, "loss_G": 0.8}
        for layer in (10, 2, 0):  # as the backward pass meets them
            values = rng.normal(0, 0.1, 500)
            counts, edges = np.histogram(values, bins=64)
            row[f"gradients/netG.main.{layer}.weight"] = {
                "_type": "histogram", "values": counts.tolist(), "bins": edges.tolist()}  # fmt: skip
            sizes += [np.linalg.norm(values)] if layer == 2 else []
        rows.append(wandb_file.history(row))
    (tmp_path / "run-1.wandb").write_bytes(wandb_file.log(rows))
    [run] = load_all(tmp_path)
    whole, *layers = view_of(run).all(G_GRAD)
    assert whole.tags == ("≈‖gradients/netG.main.*.weight‖",)
    assert [track.tags[0] for track in layers] == [f"≈‖gradients/netG.main.{n}.weight‖" for n in (0, 2, 10)]
    assert layers[1].values == pytest.approx(sizes, rel=0.05)


def test_the_user_says_whose_they_are() -> None:
    tags = ["gradients/main.0.weight", "gradients/graph_1main.0.weight"]
    run = histogram_run({tag: tensor(64) for tag in tags})
    assert [str(role) for role in view_of(run).roles.values()][-2:] == ["-.grad_norm.main.0"] * 2
    view = view_of(run, roles={tags[0]: "G.grad_norm", tags[1]: "D.grad_norm"})
    assert [len(view.all(signal)) for signal in (G_GRAD, D_GRAD)] == [1, 1]
    assert diagnose(run)
    with pytest.raises(UserError, match="no tag is called 'nothing'"):
        views_of(run, roles={"nothing": "G.grad_norm"})


def test_patterns_name_many_tags_at_once() -> None:
    tags = [f"gradients/{graph}main.{n}.weight" for graph in ("", "graph_1") for n in (0, 3)]
    run = histogram_run({tag: tensor(64, 1.0 if "graph" in tag else 0.1) for tag in tags})
    view = view_of(run, roles={"gradients/graph_1*": "D.grad_norm", "gradients/*": "G.grad_norm"})
    assert [len(view.all(signal)) for signal in (G_GRAD, D_GRAD)] == [3, 3]
    assert [np.median(view.all(s)[1].values) for s in (G_GRAD, D_GRAD)] == pytest.approx([0.8, 8], rel=0.1)
    with pytest.raises(UserError, match="no tag is called 'nothing/"):
        views_of(run, roles={"nothing/*": "G.grad_norm"})


def test_patterns_from_the_command_line() -> None:
    run = histogram_run({f"gradients/main.{n}.weight": tensor(64) for n in (0, 3)})
    done = CliRunner().invoke(cli.main, ["roles", str(run.path), "--map", "gradients/*=G.grad_norm"])
    assert done.exit_code == 0, done.output
    assert done.stdout.count("G.grad_norm") == 3
    done = CliRunner().invoke(
        cli.main, ["diagnose", str(run.path), "--no-report", "--map", "nothing*=G.grad_norm"]
    )
    assert done.exit_code == 2
    assert "no tag is called 'nothing*'" in done.stderr
    [diagnosis] = diagnose_all(
        run.path, Config(roles={"gradients/*": "G.grad_norm", "elsewhere/*": "D.loss"})
    )
    assert diagnosis.views[0].has(G_GRAD)


def test_histograms_of_nobody_are_told() -> None:
    run = histogram_run({"gradients/main.0.weight": tensor(64)})
    view_of(run)
    view_of(run)
    [problem] = run.problems
    assert problem.kind == "not-assigned"
    assert "'gradients/main.0.weight'" in problem.message


def test_gradients_that_were_logged_after_they_were_reset_are_no_dead_gradients() -> None:
    moving = [np.full(64, 1 + 0.01 * step) for step in range(STEPS)]
    zero = [np.zeros(64)] * STEPS
    gradients = {"netG/c1.weight.grad": zero, "netG/c2.weight.grad": zero}
    weights = {"netG/c1.weight": moving, "netG/c2.weight": moving}
    view = view_of(histogram_run({**gradients, **weights}))
    assert [len(track) for track in view.all(G_GRAD)] == [0, 0, 0]
    assert [problem.kind for problem in view.run.problems] == ["zero-gradients"]
    assert not any(found.finding.code == "GD301" for found in diagnose(view.run).findings)
    still = view_of(histogram_run({**gradients, **{tag: [np.ones(64)] * STEPS for tag in weights}}))
    assert [len(track) for track in still.all(G_GRAD)] == [STEPS] * 3  # a network that is dead indeed


def test_pairs_have_their_own() -> None:
    scalars = {tag: np.full(STEPS, 0.5) for tag in ("D_A", "G_A", "D_B", "G_B", "loss_D_A", "loss_D_B")}
    tensors = {f"netG_{pair}.model.{n}.weight.grad": tensor(64, scale) for n in (1, 4)
               for pair, scale in (("A", 1.0), ("B", 0.1))}  # fmt: skip
    run = histogram_run(tensors, scalars)
    views = views_of(run)
    assert [view.pair for view in views] == ["A", "B"]
    assert [len(view.all(G_GRAD)) for view in views] == [3, 3]
    assert [np.median(view.all(G_GRAD)[1].values) for view in views] == pytest.approx([8, 0.8], rel=0.1)


def test_a_beginning_of_the_run_has_the_beginning_of_its_norms() -> None:
    view = view_of(histogram_run({"D/c1.weight": tensor(64), "D/c2.weight": tensor(64)}))
    short = view.until(1_000)
    assert [len(track) for track in short.all(D_WEIGHT)] == [11, 11, 11]
    assert [len(one) for one in short.d_weight_histograms] == [11, 11]
    assert [len(track) for track in view.all(D_WEIGHT)] == [STEPS] * 3


def test_a_broken_histogram_is_told_once_in_the_run() -> None:
    run = histogram_run({"D/c1.weight": tensor(64), "D/c2.weight": tensor(64)})
    raw = bytearray(run.histograms[4].source.read_bytes())
    raw[run.histograms[4].offset] = 0xFF
    run.histograms[4].source.write_bytes(bytes(raw))
    first, second = diagnose(run), diagnose(run)
    assert [problem.kind for problem in run.problems] == ["bad-histogram"]
    assert first.findings == second.findings
    lengths = [len(track) for track in view_of(run).all(D_WEIGHT)]
    assert lengths == [STEPS - 1, STEPS - 1, STEPS]
