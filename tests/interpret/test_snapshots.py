from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gandoctor import load_all
from gandoctor.contents.tensors import Inert, Tensor
from gandoctor.detectors import all_detectors, run_detector
from gandoctor.findings import Finding, Severity
from gandoctor.interpret.networks import Layer, Network, contents_of
from gandoctor.interpret.singular import spectral_norm
from gandoctor.interpret.snapshots import Opened, Snapshots, moved
from gandoctor.interpret.view import SNAPSHOTS, RunView, views_of
from gandoctor.judge.diagnose import diagnose_run
from gandoctor.judge.diagnosis import Verdict
from gandoctor.run import Run, Unit
from tests.checkpoints import D_SIZES, G_SIZES, adam, folder, healthy, net, run_with, saved, snapshot
from tests.histograms import histogram_run
from tests.runs import bce_run, level, noisy, view_of

torch = pytest.importorskip("torch")
nn = torch.nn


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Such small networks gain nothing from two."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def dcgan(channels: int = 1) -> tuple[Any, Any]:
    """Radford et al. 2015, arXiv:1511.06434, small: 16 x 16 pixels."""
    g = nn.Sequential(
        nn.ConvTranspose2d(16, 32, 4, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.ConvTranspose2d(32, 16, 4, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.ConvTranspose2d(16, channels, 4, 2, 1, bias=False), nn.Tanh(),
    )  # fmt: skip
    d = nn.Sequential(
        nn.Conv2d(channels, 16, 4, 2, 1, bias=False), nn.LeakyReLU(0.2),
        nn.Conv2d(16, 32, 4, 2, 1, bias=False), nn.BatchNorm2d(32), nn.LeakyReLU(0.2), nn.Conv2d(32, 1, 4, bias=False),
    )  # fmt: skip
    return g, d


def stepped(g: Any, d: Any, times: int = 3) -> tuple[Any, Any]:
    """Train a few steps, so that the optimisers and the buffers hold something; returns both optimisers."""
    torch.manual_seed(0)
    optimisers = tuple(torch.optim.Adam(one.parameters(), lr=2e-4, betas=(0.5, 0.999)) for one in (g, d))
    for _ in range(times):
        loss = nn.functional.softplus(-d(g(torch.randn(8, 16, 1, 1)))).mean()
        for one in optimisers:
            one.zero_grad()
        loss.backward()
        for one in optimisers:
            one.step()
    return optimisers


def snapshots(run: Run) -> Snapshots:
    return view_of(run).snapshots


def names(run: Run) -> list[tuple[str, str, bool]]:
    return [(one.role, one.name, one.ema) for one in snapshots(run).networks]


def layers(network: Network) -> dict[str, Layer]:
    return {one.name: one for one in network.layers}


def last(run: Run, role: str) -> Network:
    [history] = [one for one in snapshots(run).networks if one.role == role and not one.ema]
    return history.last


# --- finding networks


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"a_000100.pt": ("G", "D")}, {("G", "G"), ("D", "D")}),
        ({"a_000100.pt": ("netG", "netD")}, {("G", "netG"), ("D", "netD")}),
        ({"a_000100.pt": ("generator", "discriminator")}, {("G", "generator"), ("D", "discriminator")}),
        ({"a_000100.pt": ("gen_state_dict", "critic_state_dict")}, {("G", "gen_state_dict"), ("D", "critic_state_dict")}),
        ({"a_000100.pt": ("model_a", "model_b")}, {("G", "model_a"), ("D", "model_b")}),
        ({"netG_epoch_5.pth": "G", "netD_epoch_5.pth": "D"}, {("G", "netG_epoch"), ("D", "netD_epoch")}),
        ({"5_net_G.pth": "G", "5_net_D.pth": "D"}, {("G", "net_G"), ("D", "net_D")}),
        ({"net_g_5000.pth": ("params", None), "net_d_5000.pth": (None, "params")}, {("G", "params"), ("D", "params")}),
        ({"g_00005000": ("generator", None), "do_00005000": (None, "mpd")}, {("G", "generator"), ("D", "mpd")}),
    ],
)  # fmt: skip
def test_names_and_shapes_tell_the_networks(files: dict[str, Any], found: set[tuple[str, str]]) -> None:
    g, d = net(G_SIZES, 1), net(D_SIZES, 2)
    trees: dict[str, Any] = {}
    for name, what in files.items():
        if isinstance(what, str):
            trees[name] = g if what == "G" else d
        else:
            trees[name] = {key: one for key, one in zip(what, (g, d), strict=True) if key}
    run = run_with(trees)
    assert {(role, name) for role, name, _ in names(run)} == found
    assert len(snapshots(run)) == 1


def test_wrappers_are_taken_off() -> None:
    g, d = dcgan()
    tree = {
        "netG": nn.DataParallel(g).state_dict(),
        "netD": {f"_orig_mod.{k}": v for k, v in d.state_dict().items()},
    }
    run = run_with({"checkpoint_5.pt": tree})
    assert list(layers(last(run, "G"))) == ["0", "1", "3", "4", "6"]
    assert list(layers(last(run, "D"))) == ["0", "2", "3", "5"]


def test_lightning_keeps_both_networks_in_one_dict() -> None:
    g, d = dcgan()
    opt_g, opt_d = stepped(g, d)
    keys = {f"generator.{k}": v for k, v in g.state_dict().items()}
    keys |= {f"discriminator.{k}": v for k, v in d.state_dict().items()}
    keys |= {f"perceptual_loss.vgg.{k}": v for k, v in dcgan()[1].state_dict().items()}
    tree = {"epoch": 1, "global_step": 6, "state_dict": keys,
            "optimizer_states": [opt_g.state_dict(), opt_d.state_dict()]}  # fmt: skip
    run = run_with({"epoch=1-step=6.ckpt": tree})
    assert names(run) == [("G", "state_dict/generator", False), ("D", "state_dict/discriminator", False)]
    for role in "GD":
        optimiser = last(run, role).optimiser
        assert optimiser is not None
        assert optimiser.steps == 3


def test_what_is_beside_a_discriminator_is_the_generator() -> None:
    # VQGAN: encoder and decoder, a discriminator within the loss, a perceptual network
    g, d = dcgan()
    keys = {f"decoder.{k}": v for k, v in g.state_dict().items()}
    keys |= {f"loss.discriminator.{k}": v for k, v in d.state_dict().items()}
    keys |= {f"loss.perceptual_loss.{k}": v for k, v in dcgan()[1].state_dict().items()}
    run = run_with({"last.ckpt": {"state_dict": keys, "global_step": 10}})
    assert sorted(role for role, _, _ in names(run)) == ["D", "G"]
    assert not any("perceptual" in name for name in last(run, "G").tensors)


def test_a_moving_average_is_no_player() -> None:
    g = net(G_SIZES, 1)
    run = run_with({"checkpoint_5.pt": {"G": g, "G_ema": g, "D": net(D_SIZES, 2)}})
    assert ("G", "G_ema", True) in names(run)
    assert [one.name for one in snapshots(run).players] == ["G", "D"]


def test_a_folder_of_shards_is_told_how_to_become_a_file() -> None:
    from torch.distributed import checkpoint

    place = folder()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without a process group: one process
        checkpoint.save({"D": net(D_SIZES)}, checkpoint_id=str(place / "step_100"))
    [run] = load_all(place)
    diagnose_run(run)
    [problem] = run.problems
    assert (problem.file.name, problem.kind) == ("__0_0.distcp", "unreadable")
    assert "dcp_to_torch_save" in problem.message


def test_a_pickled_module_is_read_like_its_state_dict() -> None:
    g, d = dcgan()
    stepped(g, d)
    whole = run_with({})
    place = folder()
    torch.save({"G": g, "D": d}, place / "checkpoint_5.pt")
    from gandoctor.readers.checkpoint_file import read

    whole.checkpoints += read(place / "checkpoint_5.pt")[0].checkpoints
    plain = run_with({"checkpoint_5.pt": {"G": g.state_dict(), "D": d.state_dict()}})
    for role in "GD":
        one, two = last(whole, role), last(plain, role)
        assert {k: v.digest for k, v in one.tensors.items()} == {k: v.digest for k, v in two.tensors.items()}


# --- layers


def test_kinds_shapes_and_running_statistics() -> None:
    g, d = dcgan()
    stepped(g, d)
    run = run_with({"checkpoint_5.pt": {"G": g.state_dict(), "D": d.state_dict()}})
    mine = layers(last(run, "G"))
    assert [one.kind for one in mine.values()] == ["transposed", "norm", "transposed", "norm", "transposed"]
    assert [(one.units, one.fan_in) for one in last(run, "G").matrices] == [(32, 256), (16, 512), (1, 256)]
    running = mine["1"].running
    assert running is not None
    assert (running.n, running.batches, running.untouched) == (32, 3, False)
    assert running.largest == pytest.approx(float(g[1].running_var.max()))
    assert [one.kind for one in last(run, "D").layers] == ["conv", "conv", "norm", "conv"]


@pytest.mark.parametrize("wrap", [nn.utils.spectral_norm, nn.utils.parametrizations.spectral_norm])
def test_spectral_norm_is_measured_as_pytorch_measures_it(wrap: Any) -> None:
    torch.manual_seed(0)
    net_d = nn.Sequential(
        wrap(nn.Conv2d(3, 160, 4)),
        wrap(nn.ConvTranspose2d(160, 120, 3)),
        wrap(nn.Conv2d(120, 8, 3)),
        wrap(nn.Linear(8, 1)),
    )
    with torch.no_grad():
        for _ in range(30):  # power iteration comes to rest
            x = net_d[2](net_d[1](net_d[0](torch.randn(2, 3, 12, 12))))
            net_d[3](x.mean((2, 3)))
    run = run_with({"checkpoint_50.pt": {"D": net_d.state_dict()}})
    for at, layer in enumerate(last(run, "D").matrices):
        module = net_d[at]
        stored = (
            module.weight_orig if hasattr(module, "weight_orig") else module.parametrizations.weight.original
        ).detach()
        axis = 1 if isinstance(module, nn.ConvTranspose2d) else 0
        true = float(torch.linalg.matrix_norm(stored.movedim(axis, 0).flatten(1), 2))
        assert layer.divisor is not None
        assert layer.normalised
        assert layer.units == stored.shape[axis]
        ratio = stored.flatten()[0] / module.weight.detach().flatten()[0]
        assert layer.divisor == pytest.approx(float(ratio), rel=0.02)
        assert 0.97 * true <= layer.sigma <= true * 1.001


@pytest.mark.parametrize("shape", [(1, 5), (64, 300), (200, 150), (300, 500)])
def test_singular_values_are_close_and_never_too_large(shape: tuple[int, int]) -> None:
    matrix = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    true = float(np.linalg.norm(matrix.astype(np.float64), 2))
    assert 0.9 * true <= spectral_norm(matrix) <= true * (1 + 1e-5)
    assert spectral_norm(np.zeros(shape, np.float32)) == 0
    line = np.outer(np.arange(shape[0]), np.ones(shape[1])).astype(np.float32)
    assert spectral_norm(line) == pytest.approx(float(np.linalg.norm(line)), rel=1e-4)


def test_weight_norm_is_no_spectral_norm() -> None:
    old = {"0.weight_g": np.ones((3, 1), np.float32), "0.weight_v": np.ones((3, 4), np.float32)}
    new = {
        f"0.{k}": v for k, v in nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)).state_dict().items()
    }
    for tree in (old, new):
        [found] = last(run_with({"checkpoint_5.pt": {"D": tree}}), "D").matrices
        assert found.divisor is None
        assert found.normalised


# --- optimisers


def test_moments_have_the_names_of_their_parameters() -> None:
    g, d = dcgan()
    opt_g, opt_d = stepped(g, d)
    run = run_with({"checkpoint_5.pt": {"G": g.state_dict(), "D": d.state_dict(), "optimizerG": opt_g.state_dict(),
                                        "optimizerD": opt_d.state_dict()}})  # fmt: skip
    optimiser = last(run, "G").optimiser
    assert optimiser is not None
    assert (optimiser.lr, optimiser.beta1, optimiser.beta2, optimiser.steps) == (2e-4, 0.5, 0.999, 3)
    assert [one.name for one in optimiser.moments] == [name for name, _ in g.named_parameters()]
    for parameter, one in zip(g.parameters(), optimiser.moments, strict=True):
        state = opt_g.state[parameter]
        v = state["exp_avg_sq"].double() / (1 - 0.999**3)
        m = state["exp_avg"].double() / (1 - 0.5**3)
        assert one.gradient == pytest.approx(float(v.mean().sqrt()), rel=1e-4)
        assert one.step == pytest.approx(float((m / (v.sqrt() + 1e-8)).pow(2).mean().sqrt()), rel=1e-4)


def test_an_optimizer_in_a_file_of_its_own_finds_its_network() -> None:
    g, d = net(G_SIZES, 1), net(D_SIZES, 2)
    others = {"mpd": d, "optim_g": adam(g, 500), "optim_d": adam(d, 500), "steps": 5_000}
    run = run_with({"g_00005000": {"generator": g}, "do_00005000": others})
    for role in "GD":
        optimiser = last(run, role).optimiser
        assert optimiser is not None
        assert optimiser.steps == 500


# --- time


def test_steps_are_those_of_the_names() -> None:
    run = saved(healthy(3), bce_run(noisy(level(1.3), 0.05), noisy(level(0.8), 0.05)))
    assert [one.step for one in snapshots(run)] == [4_000, 8_000, 12_000]


def test_epochs_are_spread_over_a_log_that_counts_iterations() -> None:
    trees = {f"netD_epoch_{epoch}.pth": net(D_SIZES, epoch) for epoch in (5, 10)}
    run = run_with(trees, bce_run(level(1.3), level(0.8)))
    assert [one.step for one in snapshots(run)] == [10_025, 20_000]
    epochs = run_with(trees, bce_run(level(1.3), level(0.8), unit=Unit.EPOCH, every=1, points=10))
    assert [one.step for one in snapshots(epochs)] == [5, 10]


def test_a_file_that_tells_its_iteration_is_believed_before_its_epoch() -> None:
    trees = {f"epoch_{epoch}.pth": snapshot(net(G_SIZES), net(D_SIZES), 700 * epoch) for epoch in (5, 10)}
    assert [one.step for one in snapshots(run_with(trees, bce_run(level(1.3), level(0.8))))] == [3_500, 7_000]


def test_an_undated_copy_beside_dated_snapshots_does_not_count() -> None:
    one = {"G": net(G_SIZES, 1), "D": net(D_SIZES, 2)}
    assert [
        s.step for s in snapshots(run_with({"model_100.pt": one, "model_200.pt": one, "best.pt": one}))
    ] == [100, 200]
    assert len(snapshots(run_with({"best.pt": one}))) == 1


def test_a_beginning_of_the_run_has_only_its_snapshots() -> None:
    run = saved(healthy(4), bce_run(level(1.3), level(0.8)))
    view = view_of(run)
    assert [one.step for one in view.until(9_000).snapshots] == [4_000, 8_000]


def test_how_far_a_tensor_moved() -> None:
    one, two, three = (
        last(saved({5: {"D": d}}), "D") for d in (net(D_SIZES, 1), net(D_SIZES, 1), net(D_SIZES, 2))
    )
    assert moved(one, two, "2.weight") == 0
    assert moved(one, three, "2.weight") == pytest.approx(2**0.5, rel=0.1)
    assert np.isnan(moved(one, two, "no such tensor"))


# --- reading


def test_each_file_is_opened_once_and_only_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from gandoctor.contents import checkpoint as module

    opened: list[Path] = []
    really = module.open_checkpoint
    monkeypatch.setattr(
        module, "open_checkpoint", lambda path, form: (opened.append(path), really(path, form))[1]
    )
    run = saved(healthy(3), bce_run(noisy(level(1.3), 0.05), noisy(level(0.8), 0.05)))
    view = view_of(run)
    assert view.family.name
    assert not opened
    diagnose_run(run)
    assert len(opened) == 3


def test_a_broken_file_is_a_problem_and_the_others_are_read() -> None:
    run = saved(healthy(3), bce_run(noisy(level(1.3), 0.05), noisy(level(0.8), 0.05)))
    path = run.checkpoints[1].path
    path.write_bytes(path.read_bytes()[:5_000])
    diagnosis = diagnose_run(run)
    assert [one.step for one in view_of(run).snapshots] == [4_000, 12_000]
    [problem] = run.problems
    assert (problem.file, problem.kind) == (path, "unreadable")
    assert any(one.finding.code == "GD901" for one in diagnosis.findings)
    diagnose_run(run)
    assert len(run.problems) == 1


def test_a_cycle_in_a_file_ends() -> None:
    tree: dict[str, Any] = {"D": {}}
    tree["D"]["again"] = tree
    assert contents_of(tree, Path("a.pt")).networks == []


def test_pairs_share_the_files_and_see_their_own_networks() -> None:
    g, d = net(G_SIZES, 1), net(D_SIZES, 2)
    run = run_with({f"5_net_{name}.pth": g if name[0] == "G" else d for name in ("G_A", "D_A", "G_B", "D_B")})
    run.series |= bce_run(level(1.3), level(0.8)).series
    shared = Opened.of(run, ("A", "B"))
    for pair in "AB":
        found = [one.name for one in Snapshots(shared, pair).networks]
        assert found == [f"net_D_{pair}", f"net_G_{pair}"]


def test_what_was_measured_does_not_travel() -> None:
    view = view_of(saved(healthy(2)))
    assert len(view.snapshots) == 2
    copy = pickle.loads(pickle.dumps(view.opened))
    assert copy.__dict__.keys() == {"checkpoints", "problems", "logged", "unit", "pairs"}


# --- a lone checkpoint


def test_a_lone_checkpoint_is_a_run() -> None:
    tree = healthy(1)[4_000]
    tree["D"]["2.weight"][0, 0] = np.nan
    diagnosis = diagnose_run(saved({4_000: tree}))
    [found] = [one.finding for one in diagnosis.findings]
    assert (found.code, found.overwhelming) == ("GD105", True)
    assert diagnosis.verdict is Verdict.FAILING
    assert diagnosis.examined == ("weights",)
    states = {line.code: line.state for line in diagnosis.coverage}
    assert states["GD105"] == states["GD603"] == states["GD605"] == "examined"
    assert states["GD201"] == "not-examinable"
    clipped = healthy(1)[4_000]
    clipped["D"] = {key: np.sign(value) * np.float32(0.01) for key, value in clipped["D"].items()}
    diagnosis = diagnose_run(saved({4_000: clipped}))
    assert diagnosis.verdict is Verdict.WARNING
    assert diagnosis.primary is not None
    assert diagnosis.primary.finding.code == "GD603"
    assert diagnose_run(saved(healthy(1))).verdict is Verdict.UNKNOWN
    without = diagnose_run(bce_run(level(1.3), level(0.8)))
    told = {line.code: line.log_next for line in without.coverage}
    assert {told[code] for code in ("GD303", "GD602", "GD603", "GD605", "GD606")} == {"checkpoints"}


def test_types_that_hold_no_numbers_are_no_weights() -> None:
    d = net(D_SIZES, 2)
    tree = {"D": {**d, "0.bits": np.zeros(3, np.uint8), "name": "x"}, "note": ["a", None, 3.5]}
    network = last(run_with({"checkpoint_5.pt": tree}), "D")
    assert set(network.tensors) == set(d)
    assert network.size == sum(value.size for value in d.values())
    assert isinstance(views_of(run_with({}))[0], RunView)
    assert Tensor(None, "float32", (2,)).problem


# --- hostile trees


def test_a_module_below_itself_many_times_over_ends() -> None:
    module: Any = {"_parameters": {}, "_buffers": {}, "_modules": {}}
    for _ in range(50):  # 2^50 paths
        module = {"_parameters": {}, "_buffers": {}, "_modules": {"a": module, "b": module}}
    assert contents_of({"G": module}, Path("a.pt")).networks == []


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3),
    st.sampled_from([Inert("argparse", "Namespace", (), {"lr": 1}), Tensor(None, "float32", (2,)),
                     Tensor(None, "float32", (0,)), Tensor(None, "object", ())]),
)  # fmt: skip
KEYS = st.sampled_from([
    "G", "D", "state", "param_groups", "params", "betas", "lr", "step", "exp_avg", "exp_avg_sq", "_parameters",
    "_modules", "_buffers", "0.weight", "0.bias", "1.running_mean", "1.running_var", "0.weight_u", "", 0, 1,
])  # fmt: skip
TREES = st.recursive(
    ODD,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(tree=TREES)
def test_any_tree_is_looked_through(tree: Any) -> None:
    contents_of(tree, Path("a.pt"))
    contents_of(
        {
            "opt_G": {
                "state": {0: tree, 1: {"exp_avg_sq": tree}},
                "param_groups": [tree, {"params": [0, tree]}],
            }
        },
        Path("a"),
    )


# --- real checkpoints

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "../shared/corpus"


def from_checkpoints(place: Path) -> dict[str, Severity]:
    """Code → severity of what the detectors of checkpoints find in a run's folder."""
    views = [view for run in load_all(place) for view in views_of(run)]
    mine = [which for which in all_detectors() if SNAPSHOTS in which.needs]
    said = [one for view in views for which in mine for one in run_detector(which, view)]
    return {one.code: one.severity for one in said if isinstance(one, Finding)}


def test_checkpoints_of_the_reference_trainer() -> None:
    assert from_checkpoints(ROOT / "fixtures/healthy-ns") == {}
    found = from_checkpoints(ROOT / "fixtures/clip-too-small")
    assert found == dict.fromkeys(("GD301", "GD603", "GD605"), Severity.WARNING)


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real runs is not on this machine")
def test_checkpoints_of_strangers() -> None:
    assert from_checkpoints(CORPUS / "checkpoint-dcgan") == {}
    # clipped before the step: no more than healthy clipped critics of the reference trainer
    assert from_checkpoints(CORPUS / "checkpoint-wgan-weight-clipping") == {"GD603": Severity.INFO}


# --- beside the log


def test_a_layer_that_histograms_and_checkpoints_show_frozen_is_one_finding() -> None:
    trees = healthy(10, 400)
    first = trees[400]["D"]["2.weight"]
    for tree in trees.values():
        tree["D"] = {**tree["D"], "2.weight": first}
    logged = {f"netD/{key}": [tree["D"][key].ravel() for tree in trees.values()]
              for key in ("0.weight", "2.weight", "4.weight", "6.weight")}  # fmt: skip
    run = saved(trees, histogram_run(logged, every=400))
    [found] = [one.finding for one in diagnose_run(run).findings if one.finding.code == "GD303"]
    assert (found.subject.network, found.subject.layer, found.severity) == ("D", "2", Severity.WARNING)
    assert len(found.evidence) == 2
