from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import gandoctor
from gandoctor.capture import measures
from gandoctor.capture.grids import ROWS, between, tiled
from gandoctor.capture.measures import diversity, fetched, outputs, pair_accuracy, spread
from gandoctor.capture.norms import layer_of, norms, norms_of_runs
from gandoctor.capture.writers import FORMATS
from gandoctor.errors import UserError
from gandoctor.findings import State
from gandoctor.interpret import view as signals
from gandoctor.interpret.view import RunView, Signal
from tests.runs import view_of

LATENT = 4
WHOLE = {
    "loss/D", "loss/G", "loss/D_real", "loss/D_fake", "loss/D_heldout", "penalty", "lr/D", "lr/G",
    "out/real_mean", "out/real_std", "out/fake_mean", "out/fake_std", "out/heldout_mean", "out/heldout_std",
    "out/pair_accuracy", "samples/fake_std", "samples/real_std", "samples/diversity",
    *(f"{kind}_norm/{network}" for kind in ("grad", "weight", "step") for network in "GD"),
}  # fmt: skip
LAYERED = {
    f"{kind}_norm/{network}/{layer}"
    for kind in ("grad", "weight", "step")
    for network in "GD"
    for layer in "02"
}


class Net(nn.Sequential):
    """A network with a `forward` of its own, without which torch compiles none in place."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


class Toy:
    """A tiny GAN on points, one step at a time."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        torch.set_num_threads(1)
        self.G = Net(nn.Linear(LATENT, 16), nn.ReLU(), nn.Linear(16, 2))
        self.D = Net(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
        self.opt_G = Adam(self.G.parameters(), 1e-3, betas=(0.5, 0.9))
        self.opt_D = Adam(self.D.parameters(), 2e-3, betas=(0.5, 0.9))
        self.seen: list[dict[str, float]] = []
        self.call: dict[str, nn.Module] = {"G": self.G, "D": self.D}

    @property
    def parts(self) -> dict[str, object]:
        return {"G": self.G, "D": self.D, "opt_G": self.opt_G, "opt_D": self.opt_D}

    def step(self) -> dict[str, Tensor]:
        """One step of D, one of G, and what a loop knows of them; the norms go to `seen`."""
        G, D = self.call["G"], self.call["D"]
        real, held = torch.randn(32, 2) * 0.1 + 1, torch.randn(32, 2) * 0.1 + 1
        fake = G(torch.randn(32, LATENT))
        self.opt_D.zero_grad()
        on_real, on_fake, on_held = D(real), D(fake.detach()), D(held)
        d_real, d_fake = F.softplus(-on_real).mean(), F.softplus(on_fake).mean()
        penalty = on_real.square().mean()
        (d_real + d_fake + 0.01 * penalty).backward()
        norms = {"grad_norm/D": norm(p.grad for p in self.D.parameters())}
        before = [p.detach().clone() for p in self.D.parameters()]
        self.opt_D.step()
        norms["step_norm/D"] = norm(p.detach() - q for p, q in zip(self.D.parameters(), before, strict=True))
        self.opt_G.zero_grad()
        g = F.softplus(-D(fake)).mean()
        g.backward()  # adds to D's gradients, too
        norms["grad_norm/G"] = norm(p.grad for p in self.G.parameters())
        norms["grad_norm/G/0"] = float(self.G[0].weight.grad.norm())  # type: ignore[union-attr, operator]
        self.opt_G.step()
        norms["weight_norm/G"] = norm(p.detach() for p in self.G.parameters())
        self.seen.append(norms)
        return {
            "loss_D": d_real + d_fake, "loss_D_real": d_real, "loss_D_fake": d_fake, "loss_G": g,
            "loss_D_heldout": F.softplus(-on_held).mean() + d_fake, "penalty": penalty, "real_output": on_real,
            "fake_output": on_fake, "heldout_output": on_held, "real": real, "fake": fake,
        }  # fmt: skip


def norm(tensors: object) -> float:
    return float(torch.cat([one.flatten() for one in tensors]).norm())  # type: ignore[attr-defined]


def recorded(folder: Path, steps: int = 60, **options: object) -> Toy:
    toy = Toy()
    options = {**toy.parts, "every": 1, "latent": LATENT, "samples_every": 30, **options}
    with gandoctor.Recorder(folder, **options) as rec:  # type: ignore[arg-type]
        for step in range(steps):
            rec.step(step, **toy.step())  # type: ignore[arg-type]
    return toy


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Toy, RunView, gandoctor.Recorder]:
    folder = tmp_path_factory.mktemp("run")
    toy = recorded(folder, checkpoints_every=30, settings={"loss": "non-saturating"})
    return toy, view_of(gandoctor.load(folder)), gandoctor.diagnose(folder)  # type: ignore[return-value]


def test_every_tag_is_written_and_read_right(run: tuple[Toy, RunView, object]) -> None:
    view = run[1]
    assert set(view.series) == WHOLE | LAYERED
    for tag, role in view.roles.items():
        assert role.quantity != "other", tag
        assert role.certainty >= 0.9, tag
        assert len(view.series[tag]) == 60
    assert {role.layer for tag, role in view.roles.items() if tag in LAYERED} == {"0", "2"}


def test_every_signal_that_it_writes_is_examined(run: tuple[Toy, RunView, gandoctor.Recorder]) -> None:
    _, view, diagnosis = run
    known = {one.name: one for one in vars(signals).values() if isinstance(one, Signal)}
    elsewhere = {
        "d-accuracy",
        "d-signs",
        "quality-metric",
        "augment-p",
        "loss-scale",
        "g-weight-histograms",
        "d-weight-histograms",
        "probe",
    }
    for name, signal in known.items():
        assert view.has(signal) == (name not in elsewhere), name
    states = {line.code: line for line in diagnosis.coverage}  # type: ignore[attr-defined]
    for code in ("GD101", "GD102", "GD103", "GD105", "GD201", "GD202", "GD203", "GD204", "GD301", "GD302", "GD401",
                 "GD402", "GD601", "GD604", "GD701", "GD703"):  # fmt: skip
        assert states[code].state is State.EXAMINED, states[code]
    assert view.family.name == "non-saturating"


def test_norms_are_those_of_the_moment_of_the_step(run: tuple[Toy, RunView, object]) -> None:
    toy, view, _ = run
    for tag in toy.seen[0]:
        assert view.series[tag].values == pytest.approx([one[tag] for one in toy.seen], rel=1e-4), tag


def test_outputs_and_batches(tmp_path: Path) -> None:
    real, fake = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[0.0], [2.0]])
    with gandoctor.Recorder(tmp_path, every=1, format="csv") as rec:
        rec.step(0, real_output=real, fake_output=fake, real=real, fake=fake)
        rec.step(1, real_output=[real, real + 1], fake_output=[fake, fake])
    series = gandoctor.load(tmp_path).series
    assert series["out/real_mean"].values == pytest.approx([2.0, 2.5])
    assert series["out/fake_std"].values[0] == pytest.approx(2**0.5)
    assert series["out/pair_accuracy"].values[0] == pytest.approx((1 + 1.5 + 2) / 6)
    assert series["samples/real_std"].values.tolist() == [1.0]


def test_grids_and_checkpoints(run: tuple[Toy, RunView, object]) -> None:
    folder = run[1].run.path
    names = sorted(path.name for path in (folder / "samples").iterdir())
    kinds = ("fixed", "interpolation", "random")
    drawn = [f"{kind}_{step:08d}.npy" for kind in kinds for step in (0, 30, 59)]
    assert names == [*drawn, "reals_00000000.npy"]
    assert np.load(folder / "samples/reals_00000000.npy").shape == (32, 2)
    fixed = [np.load(folder / f"samples/fixed_{step:08d}.npy") for step in (0, 59)]
    assert fixed[0].shape == (64, 2)
    assert not np.array_equal(*fixed)
    assert [(one.step, one.format) for one in run[1].run.checkpoints] == [(30, "torch"), (59, "torch")]
    saved = torch.load(folder / "checkpoints/checkpoint_00000059.pt")
    assert torch.equal(saved["G"]["0.weight"], run[0].G[0].weight)
    assert set(saved) == {"step", "G", "D", "opt_G", "opt_D"}


def test_the_configuration_is_written_and_understood(run: tuple[Toy, RunView, object]) -> None:
    facts = {name: fact.value for name, fact in run[1].facts.items()}
    wanted = {"lr_G": 1e-3, "lr_D": 2e-3, "beta1_G": 0.5, "beta1_D": 0.5, "beta2": 0.9, "batch_size": 32,
              "optimizer": "adam", "optimizer_D": "adam", "family": "non-saturating"}  # fmt: skip
    assert {name: facts.get(name) for name in wanted} == pytest.approx(wanted)


def test_a_configuration_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"mine": 1}')
    recorded(tmp_path, steps=2)
    assert json.loads((tmp_path / "config.json").read_text()) == {"mine": 1}


def test_recording_does_not_change_the_training(tmp_path: Path) -> None:
    plain, watched = Toy(), None
    for _ in range(20):
        plain.step()
    watched = recorded(tmp_path, steps=20, samples_every=5)
    assert all(torch.equal(a, b) for a, b in zip(plain.G.parameters(), watched.G.parameters(), strict=True))
    assert not watched.opt_G._optimizer_step_pre_hooks
    assert watched.G.training


# --- what is left out costs only what it would have given


LEFT_OUT: dict[str, tuple[str, ...]] = {
    "opt_G": ("lr/G", "grad_norm/G", "step_norm/G"),
    "opt_D": ("lr/D", "grad_norm/D", "step_norm/D"),
    "G": ("weight_norm/G", "grad_norm/G/", "step_norm/G/"),
    "D": ("weight_norm/D", "grad_norm/D/", "step_norm/D/"),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_an_argument_that_is_left_out(tmp_path: Path, name: str) -> None:
    recorded(tmp_path, steps=3, **{name: None})
    gone = {tag for tag in WHOLE | LAYERED if tag.startswith(LEFT_OUT[name])}
    assert set(gandoctor.load(tmp_path).series) == (WHOLE | LAYERED) - gone


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("loss_G", {"loss/G"}),
        ("real_output", {"out/real_mean", "out/real_std", "out/pair_accuracy"}),
        ("fake", {"samples/fake_std", "samples/diversity"}),
        ("penalty", {"penalty"}),
    ],
)
def test_a_number_that_is_left_out(tmp_path: Path, name: str, gone: set[str]) -> None:
    toy = Toy()
    with gandoctor.Recorder(tmp_path, every=1, **toy.parts) as rec:  # type: ignore[arg-type]
        for step in range(3):
            rec.step(step, **{key: value for key, value in toy.step().items() if key != name})  # type: ignore[arg-type]
    assert set(gandoctor.load(tmp_path).series) == (WHOLE | LAYERED) - gone


def test_nothing_but_the_folder(tmp_path: Path) -> None:
    with gandoctor.Recorder(tmp_path) as rec:
        rec.step(0)
        rec.step(1, loss_D=0.5)
    assert not list(tmp_path.glob("samples"))


def test_the_cadence_and_what_comes_in_between(tmp_path: Path) -> None:
    with gandoctor.Recorder(tmp_path, every=10, format="csv") as rec:
        for step in range(30):
            late = {"penalty": float(step)} if step % 16 == 3 else {}  # lazy regularisation
            rec.step(step * 2, loss_D=1.0, metrics={"fid": 30.0 - step} if step == 15 else None, **late)  # type: ignore[arg-type]
    series = gandoctor.load(tmp_path).series
    assert series["loss/D"].steps.tolist() == [0, 20, 40]
    assert (series["penalty"].steps.tolist(), series["penalty"].values.tolist()) == ([20, 40], [3.0, 19.0])
    assert (series["metric/fid"].steps.tolist(), series["metric/fid"].values.tolist()) == ([30], [15.0])


def test_a_penalty_is_kept_as_it_was(tmp_path: Path) -> None:
    with gandoctor.Recorder(tmp_path, every=2, format="csv") as rec:
        rec.step(0)
        penalty = torch.tensor(3.0)
        rec.step(1, penalty=penalty)
        penalty.zero_()  # a compiled step uses its memory again
        rec.step(2)
    assert gandoctor.load(tmp_path).series["penalty"].values.tolist() == [3.0]


def test_of_several_steps_of_an_optimiser_the_first_is_measured(tmp_path: Path) -> None:
    toy, seen = Toy(), []
    with gandoctor.Recorder(tmp_path, every=1, format="csv", D=toy.D, opt_D=toy.opt_D) as rec:
        for step in range(4):
            for _ in range(5):
                toy.step()
            seen.append(toy.seen[-5]["grad_norm/D"])
            rec.step(step)
    assert gandoctor.load(tmp_path).series["grad_norm/D"].values == pytest.approx(seen, rel=1e-4)


def test_numbers_that_are_not_finite_are_logged(tmp_path: Path) -> None:
    for format in FORMATS:
        with gandoctor.Recorder(tmp_path / format, every=1, format=format) as rec:
            rec.step(0, loss_D=torch.tensor(float("nan")), loss_G=float("inf"))
        series = gandoctor.load(tmp_path / format).series
        assert np.isnan(series["loss/D"].values).all()
        assert np.isinf(series["loss/G"].values).all()


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_a_text_is_gone_on_with(tmp_path: Path, format: str) -> None:
    for start in (0, 5):
        with gandoctor.Recorder(tmp_path, every=1, format=format) as rec:
            for step in range(start, start + 5):
                rec.step(step, loss_D=1.0, scalars={"loss/G_L1": 2.0} if start else None)
    series = gandoctor.load(tmp_path).series
    assert series["loss/D"].steps.tolist() == list(range(10))
    assert series["loss/G_L1"].steps.tolist() == list(range(5, 10))


def test_what_is_made_for_the_log_alone_can_wait_until_it_is_due(tmp_path: Path) -> None:
    with gandoctor.Recorder(tmp_path, every=4, format="csv") as rec:
        for step in range(9):
            rec.step(step, heldout_output=torch.ones(3) if rec.due else None)
    assert gandoctor.load(tmp_path).series["out/heldout_mean"].steps.tolist() == [0, 4, 8]


def test_diversity_of_a_batch(tmp_path: Path) -> None:
    real, fake = 3.0 * torch.arange(8)[:, None], 1.0 * torch.arange(8)[:, None]
    with gandoctor.Recorder(tmp_path, every=1, format="csv") as rec:
        rec.step(0, real=real, fake=fake)
        rec.step(1, real=fake, fake=real)  # farther apart than the reals: no more varied
        rec.step(2, real=real * 0, fake=fake * 0)
        rec.step(3, real=real, fake=fake[:7])  # too few to tell
    assert gandoctor.load(tmp_path).series["samples/diversity"].values == pytest.approx([1 / 3, 1.0, 1.0])
    one_mode = torch.randn(500, 20) * 0.01
    assert float(diversity(torch.randn(500, 20), one_mode)) == pytest.approx(0.01, rel=0.1)


# --- what lies around networks and optimisers


class Counting:
    """A compiler that counts what it compiles."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., object]:
        self.graphs += 1
        return graph.forward


@pytest.mark.filterwarnings("ignore")  # torch's own, when it compiles
@pytest.mark.parametrize("around", ["compile", "in-place", "parallel", "both"])
def test_wrapped_networks(tmp_path: Path, around: str) -> None:
    plain, toy, backend = recorded(tmp_path / "plain", steps=6), Toy(), Counting()
    torch._dynamo.reset()
    parts = toy.parts
    for name in "GD":
        network = getattr(toy, name)
        if around in ("parallel", "both"):
            network = nn.DataParallel(network)
        if around == "in-place":
            network.compile(backend=backend)
        elif around != "parallel":
            network = torch.compile(network, backend=backend)
        parts[name] = network
    toy.call = {name: parts[name] for name in "GD"}  # type: ignore[misc]
    options: dict[str, Any] = {"every": 1, "latent": LATENT, "samples_every": 2, "checkpoints_every": 5}
    with gandoctor.Recorder(tmp_path / "x", **parts, **options) as rec:
        rec.step(0, **toy.step())
        compiled = backend.graphs
        for step in range(1, 6):
            rec.step(step, **toy.step())
    assert (compiled > 0) == (around != "parallel")
    assert backend.graphs == compiled  # sampling compiles nothing
    series, wanted = gandoctor.load(tmp_path / "x").series, gandoctor.load(tmp_path / "plain").series
    assert set(series) == set(wanted) == WHOLE | LAYERED
    for tag in wanted:
        assert series[tag].values == pytest.approx(wanted[tag].values, rel=1e-3, abs=1e-6), tag
    saved = torch.load(tmp_path / "x/checkpoints/checkpoint_00000005.pt")
    assert list(saved["G"]) == list(plain.G.state_dict())


class Around(torch.optim.Optimizer):
    """An optimiser around another, as Accelerate's, which has no hooks of its own."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer

    def step(self, closure: None = None) -> None:
        self.optimizer.step(closure)


def test_a_wrapped_optimiser(tmp_path: Path) -> None:
    toy = Toy()
    with gandoctor.Recorder(tmp_path, D=toy.D, opt_D=Around(toy.opt_D), every=1) as rec:
        rec.step(0, **toy.step())  # type: ignore[arg-type]
    assert gandoctor.load(tmp_path).series["grad_norm/D"].values == pytest.approx(
        [toy.seen[0]["grad_norm/D"]]
    )


@pytest.mark.parametrize("fused", [False, True])
def test_mixed_precision(tmp_path: Path, fused: bool) -> None:
    torch.manual_seed(0)
    D = nn.Linear(3, 1)
    opt = torch.optim.SGD(D.parameters(), 0.0, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    x, seen = torch.randn(8, 3), []
    with gandoctor.Recorder(tmp_path, D=D, opt_D=opt, every=1, format="csv") as rec:
        for step in range(4):
            opt.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                loss = D(x).float().square().mean() * (float("inf") if step == 1 else 1.0)
            scaler.scale(loss).backward()
            if step != 1:  # the scale is a power of two
                seen.append(norm(p.grad for p in D.parameters()) / scaler.get_scale())
            scaler.step(opt)
            scaler.update()
            rec.step(step, loss_D=loss)
    series = gandoctor.load(tmp_path).series
    assert series["grad_norm/D"].steps.tolist() == [0, 2, 3]  # the step that overflowed was none
    assert series["grad_norm/D"].values == pytest.approx(seen, rel=1e-4)
    assert not any(tag.startswith("skipped") for tag in series)


def test_norms_of_halves_are_not_too_large_for_a_half() -> None:
    found = norms("x", [torch.full((100_000,), 300.0).half(), torch.ones(3).bfloat16()], ["a", ""])
    assert float(found["x/a"]) == pytest.approx(300 * 100_000**0.5, rel=1e-3)
    assert set(found) == {"x", "x/a"}


# --- mistakes and accidents


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"format": "xml"}, "no format"),
        ({"every": 0}, "too small"),
        ({"samples_every": -1}, "too small"),
        ({"span": (1.0, 1.0)}, "no range"),
    ],
)
def test_arguments_that_do_not_fit(tmp_path: Path, options: dict[str, object], word: str) -> None:
    with pytest.raises(UserError, match=word):
        gandoctor.Recorder(tmp_path, **options)  # type: ignore[arg-type]


def test_a_latent_of_the_wrong_shape_is_told_at_the_first_step(tmp_path: Path) -> None:
    toy = Toy()
    with (
        gandoctor.Recorder(tmp_path, G=toy.G, latent=LATENT + 1) as rec,
        pytest.raises(UserError, match=r"\(64, 5\)"),
    ):
        rec.step(0)


def test_no_number_is_told(tmp_path: Path) -> None:
    with gandoctor.Recorder(tmp_path) as rec, pytest.raises(UserError, match="loss/D is no number: 'x'"):
        rec.step(0, loss_D="x")  # type: ignore[arg-type]


def test_a_log_that_cannot_be_written_ends_no_training(tmp_path: Path) -> None:
    toy = Toy()
    rec = gandoctor.Recorder(tmp_path / "x", every=1, format="csv", **toy.parts)  # type: ignore[arg-type]
    rec.step(0, **toy.step())  # type: ignore[arg-type]
    (tmp_path / "x/metrics.csv").unlink()
    (tmp_path / "x/metrics.csv").mkdir()
    with pytest.warns(RuntimeWarning, match="stops logging"):
        rec.step(1, **toy.step())  # type: ignore[arg-type]
    rec.step(2, **toy.step())  # type: ignore[arg-type]
    rec.close()


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        gandoctor.Recorder(tmp_path / "x")


# --- its parts


def test_images_become_a_grid(tmp_path: Path) -> None:
    G = nn.Sequential(nn.ConvTranspose2d(8, 3, 4), nn.BatchNorm2d(3), nn.Tanh())
    before = [one.clone() for one in G.buffers()]
    with gandoctor.Recorder(tmp_path, G=G, latent=(8, 1, 1)) as rec:
        rec.step(0)
    with Image.open(tmp_path / "samples/fixed_00000000.png") as picture:
        assert (picture.size, picture.mode) == ((ROWS * 6 + 2, ROWS * 6 + 2), "RGB")
    assert all(torch.equal(a, b) for a, b in zip(before, G.buffers(), strict=True))  # statistics stay
    assert all(module.training for module in G.modules())


def test_tiles_by_their_place_and_range() -> None:
    samples = torch.stack([torch.full((1, 2, 3), at / 8 - 1) for at in range(16)])
    samples[5] = torch.nan
    picture = tiled(samples, (-1.0, 1.0))
    assert picture.shape == (2 * 4 + 2, 8 * 5 + 2)
    assert picture[2, 2 + 5 * 3] == round(3 / 16 * 255)
    assert picture[6, 2] == round(255 / 2)
    assert (picture[2, 2 + 5 * 5], picture[0, 0]) == (0, 0)


def test_interpolations_keep_the_norm_between_their_ends() -> None:
    ends = torch.randn(2 * ROWS, 64, generator=torch.Generator().manual_seed(0))
    rows = between(ends).reshape(ROWS, ROWS, 64)
    assert torch.allclose(rows[:, 0], ends[:ROWS], atol=1e-5)
    assert torch.allclose(rows[:, -1], ends[ROWS:], atol=1e-5)
    assert float(rows.norm(dim=2).min()) > 6


@pytest.mark.parametrize(
    ("name", "shape", "layer"),
    [
        ("module._orig_mod.main.0.weight", (3, 2), "main.0"),
        ("conv.parametrizations.weight.original", (3, 2, 3, 3), "conv"),
        ("conv.weight_orig", (3, 2), "conv"),
        ("bn.weight", (3,), ""),
        ("main.0.bias", (3,), ""),
        ("const", (1, 3, 4), ""),
        ("weight", (3, 2), "weight"),
    ],
)
def test_layers_by_their_kernels(name: str, shape: tuple[int, ...], layer: str) -> None:
    assert layer_of(name, torch.zeros(shape)) == layer


CODE = """
import sys
import gandoctor
assert not {"torch", "numpy"} & set(sys.modules), "heavy import"
sys.modules["torch"] = None  # as if it were not installed
try:
    gandoctor.Recorder
except gandoctor.UserError as error:
    print(error)
"""


def test_it_is_loaded_on_first_use_and_says_what_to_install() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "pip install 'gandoctor[torch]'" in done.stdout


def test_one_copy_from_the_device_a_logged_step(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    toy, calls = Toy(), []
    rec = gandoctor.Recorder(tmp_path, every=1, format="csv", **toy.parts)  # type: ignore[arg-type]
    told = toy.step()

    def counted(name: str) -> Callable[..., object]:
        own = getattr(Tensor, name)

        def call(tensor: Tensor, *args: object) -> object:
            calls.append(name)
            return own(tensor, *args)

        return call

    for name in ("tolist", "item", "cpu", "numpy", "__float__", "__bool__", "__index__", "nonzero"):
        monkeypatch.setattr(Tensor, name, counted(name))
    rec.step(0, metrics={"fid": torch.tensor(3.0)}, scalars={"x": torch.ones(2)}, **told)  # type: ignore[arg-type]
    assert calls == ["tolist"]


class Crossings(TorchDispatchMode):
    """Notes what waits for a device: values that are read, copies to another, indices that lie elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, made = func.overloadpacket.__name__, func(*args, **(kwargs or {}))
        leaves = [one for one in tree_leaves((args, kwargs, made)) if isinstance(one, Tensor)]
        if name in ("_local_scalar_dense", "nonzero", "masked_select", "equal") or (
            len({one.device for one in leaves if one.dim() or "copy" in name}) > 1
        ):
            self.seen.append(name)
        return made


def test_nothing_else_waits_for_the_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With tensors that have no values, as on a device whose values cannot be had without waiting."""
    monkeypatch.setattr(measures, "fetched", lambda found: {tag: 0.0 for tag in found})
    toy, x = Toy(), torch.zeros(32, 2)
    toy.G.to("meta"), toy.D.to("meta")
    opt = torch.optim.SGD(toy.D.parameters(), 0.1)
    with gandoctor.Recorder(tmp_path, G=toy.G, D=toy.D, opt_D=opt, every=1, format="csv") as rec:
        fake = toy.G(x.new_zeros(32, LATENT, device="meta"))
        real, out = x.to("meta"), toy.D(fake)
        out.sum().backward()
        with Crossings() as crossings:
            opt.step()
            rec.step(
                0, loss_D=out.mean(), loss_G=0.5, penalty=out.mean(), real_output=[out, out], fake_output=out,
                real=real, fake=fake, metrics={"fid": out.mean()},
            )  # fmt: skip
    assert crossings.seen == []
    assert {"grad_norm/D/2", "step_norm/D/0", "out/pair_accuracy", "samples/diversity"} <= set(
        gandoctor.load(tmp_path).series
    )


# --- one run, and several side by side


def test_runs_side_by_side_are_measured_as_one_by_one() -> None:
    torch.manual_seed(0)
    real, fake = torch.randn(3, 40, 5), torch.randn(3, 30, 5)
    together = outputs({"real": real[..., 0], "fake": fake[..., 0]})
    together |= {"std": spread(fake), "diversity": diversity(real, fake)}
    together |= norms_of_runs("norm", [real, fake], ["a", ""])
    for run in range(3):
        alone = outputs({"real": real[run, :, 0], "fake": fake[run, :, 0]})
        alone |= {"std": spread(fake[run]), "diversity": diversity(real[run], fake[run])}
        alone |= norms("norm", [real[run], fake[run]], ["a", ""])
        rows = {tag: values[run] for tag, values in fetched(together).items()}
        assert rows == pytest.approx(fetched(alone), rel=1e-5)


def test_pairs_with_nan_are_not_ranked() -> None:
    real, fake = torch.tensor([[1.0, 2.0], [1.0, torch.nan]]), torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    assert pair_accuracy(real, fake).tolist() == pytest.approx([0.875, torch.nan], nan_ok=True)
