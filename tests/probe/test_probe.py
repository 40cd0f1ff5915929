"""From checkpoints through the user's generator to the run, and from there to a diagnosis."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from torch import nn

import gandoctor
from gandoctor import cli
from gandoctor.errors import UserError
from gandoctor.interpret.roles import role_of
from gandoctor.probe import Options, Probed, probe
from gandoctor.readers.load import load_all
from gandoctor.run import Unit
from tests.probe.generators import ByClass, points, save, trained_dcgan

HERE = "tests.probe.generators"
BUILD, DCGAN = f"{HERE}:build", f"{HERE}:dcgan"


def states(
    count: int, change: Callable[[int, nn.Sequential], None] = lambda at, g: None
) -> dict[int, object]:
    """Snapshots of a generator of points, each somewhat changed."""
    made: dict[int, object] = {}
    for at in range(1, count + 1):
        g = points(seed=1)
        torch.manual_seed(at)
        with torch.no_grad():
            for value in g.parameters():
                value.mul_(2).add_(0.1 * value.std() * torch.randn_like(value))
            change(at, g)
        made[1_000 * at] = {"G": g.state_dict(), "step": 1_000 * at}
    return made


def collapsed_from(first: int) -> Callable[[int, nn.Sequential], None]:
    """Samples that all lie within a hundredth of where they did, around one point."""

    def change(at: int, g: nn.Sequential) -> None:
        if at >= first:
            g[4].weight.mul_(0.01)  # type: ignore[operator, union-attr]
            g[4].bias.add_(1.0)  # type: ignore[operator, union-attr]

    return change


def probed(folder: Path, generator: str = BUILD, **options: object) -> Probed:
    return probe([folder], Options(generator, **options))  # type: ignore[arg-type]


def invoked(*words: str) -> Result:
    return CliRunner().invoke(cli.main, ["probe", *words])


def codes(folder: Path) -> set[str]:
    return {judged.finding.code for judged in gandoctor.diagnose(folder).findings}


# --- into the run


def test_a_run_gets_measures_and_grids_that_its_diagnosis_reads(tmp_path: Path) -> None:
    folder = save(tmp_path / "run", states(3))
    made = probed(folder)
    assert [one["step"] for one in made.snapshots] == [1_000, 2_000, 3_000]
    [run] = load_all(folder)
    assert (run.path, run.problems) == (folder, [])
    assert run.series["probe/G/distance"].steps.tolist() == [1_000, 2_000, 3_000]
    assert {role_of(tag).quantity for tag in run.series} == {"probed"}
    assert str(role_of("probe/G/dead_units/main.2")) == "G.probed.dead-units.main.2"
    assert {(one.name, one.step) for one in run.images} == {
        (name, step) for name in ("fixed", "random", "interpolation") for step in (1_000, 2_000, 3_000)
    }
    diagnosis = gandoctor.diagnose(folder)
    assert diagnosis.run.name == "run"
    assert "probed" not in str(diagnosis.verdict)


def test_images_become_pictures(tmp_path: Path) -> None:
    folder = save(tmp_path, {100: trained_dcgan().state_dict()}, "netG_{}.pth")
    [one] = probed(folder, DCGAN).snapshots
    assert one["measures"]["vendi"] > 60
    pictures = sorted(path.name for path in (folder / "gandoctor-probe/samples").iterdir())
    assert pictures == ["fixed_00000100.png", "interpolation_00000100.png", "random_00000100.png"]
    [view] = gandoctor.diagnose(folder).views
    assert {stream.shows.value for stream in view.frames.streams} == {
        "fixed-noise",
        "random-noise",
        "interpolation",
    }
    assert all(len(stream.looks()[0][1]) == 64 for stream in view.frames.streams)


@pytest.mark.parametrize(
    ("generator", "change", "code"),
    [
        (BUILD, collapsed_from(5), "GD401"),
        (BUILD, lambda at, g: g[4].weight.zero_() if at >= 3 else None, "GD403"),  # type: ignore[operator, union-attr]
        (BUILD, lambda at, g: g[0].bias.fill_(-1e3) if at >= 3 else None, "GD303"),  # type: ignore[operator, union-attr]
        (BUILD, lambda at, g: None, None),
    ],
    ids=["collapsed", "deaf to z", "dead layer", "healthy"],
)  # fmt: skip
def test_an_ill_generator_is_diagnosed_after_the_probe(
    generator: str, change: Callable[[int, nn.Sequential], None], code: str | None, tmp_path: Path
) -> None:
    folder = save(tmp_path, states(7, change))
    before = codes(folder)
    probed(folder, generator)
    new = codes(folder) - before
    assert (code in new) if code else not new
    [view] = gandoctor.diagnose(folder).views
    assert view.snapshots[0].step == 1_000  # dated as before


def test_a_class_that_explains_all_is_found(tmp_path: Path) -> None:
    deaf = {step: {"G": ByClass(0.05).state_dict()} for step in (1_000, 2_000, 3_000)}
    folder = save(tmp_path / "deaf", deaf)
    made = probed(folder, f"{HERE}:by_class", labels=4, latent=(8,))
    assert made.snapshots[0]["measures"]["z_share_in_class"] < 0.05
    healthy = save(
        tmp_path / "healthy", {step: {"G": ByClass().state_dict()} for step in (1_000, 2_000, 3_000)}
    )
    probed(healthy, f"{HERE}:by_class", labels=4, latent=(8,))
    assert "GD403" not in codes(healthy)


def test_a_run_that_stands_on_checkpoints_keeps_its_verdict(tmp_path: Path) -> None:
    """What the probe adds is no log of training: a run without one is judged by its checkpoints as before."""
    from tests.checkpoints import D_SIZES, net, snapshot

    tree = snapshot({k: v * np.float32(np.nan) for k, v in net((8, 32, 32, 2)).items()}, net(D_SIZES), 3_000)
    state = json.loads("{}") | {
        key: {name: torch.from_numpy(value) for name, value in tree[key].items()} for key in "GD"
    }
    folder = save(tmp_path, {3_000: state})
    before = gandoctor.diagnose(folder)
    [one] = probed(folder).snapshots
    assert np.isnan(one["measures"]["sample_std"])
    after = gandoctor.diagnose(folder)
    assert after.verdict == before.verdict
    assert before.primary is not None
    assert after.primary is not None
    assert after.primary.finding.code == before.primary.finding.code == "GD105"


# --- never to the user's harm


def test_a_second_probe_replaces_its_own_files_and_no_others(tmp_path: Path) -> None:
    folder = save(tmp_path, states(3))
    (folder / "log.csv").write_text(
        "step,loss_D,loss_G\n" + "".join(f"{s},1.3,0.7\n" for s in range(0, 3_001, 50))
    )
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    probed(folder)
    mine = folder / "gandoctor-probe/samples/mine.png"
    mine.write_bytes(b"kept")
    (folder / "checkpoints/checkpoint_001000.pt").unlink()
    probed(folder, seed=1)
    assert all(path.read_bytes() == data for path, data in before.items() if path.exists())
    assert mine.read_bytes() == b"kept"
    names = {path.name for path in (folder / "gandoctor-probe/samples").iterdir()} - {"mine.png"}
    assert names == {
        f"{kind}_0000{n}000.npy" for kind in ("fixed", "random", "interpolation") for n in (2, 3)
    }
    [run] = load_all(folder)
    assert {"loss_D", "probe/G/vendi"} <= set(run.series)
    assert not [path for path in tmp_path.rglob(".*")]


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    folder = save(tmp_path / "run", states(2))
    for name in "ab":
        probed(folder, output=tmp_path / name)
    a, b = ({p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*.*")} for n in "ab")
    assert a == b
    assert len(a) == 8
    assert not (folder / "gandoctor-probe").exists()


def test_files_that_are_not_the_probes_are_never_written_over(tmp_path: Path) -> None:
    folder = save(tmp_path / "run", states(1))
    (tmp_path / "out").mkdir()
    (tmp_path / "out/metrics.jsonl").write_text("mine")
    with pytest.raises(UserError, match="is there already, and not from a probe"):
        probed(folder, output=tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["metrics.jsonl"]
    assert (tmp_path / "out/metrics.jsonl").read_text() == "mine"


def test_a_record_that_names_other_places_removes_nothing_there(tmp_path: Path) -> None:
    folder = save(tmp_path / "run", states(1))
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "precious").write_text("mine")
    (out / "gandoctor-probe.json").write_text(
        json.dumps({"files": ["../precious", str(tmp_path / "precious")]})
    )
    probed(folder, output=out)
    assert (tmp_path / "precious").read_text() == "mine"


class Hostile:
    """Unpickled, it would make a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self.folder,)


def test_nothing_of_a_checkpoint_is_executed(tmp_path: Path) -> None:
    state = {"G": points().state_dict(), "args": Hostile(tmp_path / "made")}
    folder = save(tmp_path / "run", {1_000: state})
    assert len(probed(folder).snapshots) == 1
    assert not (tmp_path / "made").exists()
    torch.load(folder / "checkpoints/checkpoint_001000.pt", weights_only=False)
    assert (tmp_path / "made").exists()  # it was armed


# --- which snapshots


def test_a_checkpoint_file_goes_to_the_run_above_it(tmp_path: Path) -> None:
    folder = save(tmp_path / "run", states(3))
    (folder / "log.csv").write_text(
        "step,loss_D,loss_G\n" + "".join(f"{s},1.3,0.7\n" for s in range(0, 3_000, 50))
    )
    files = [folder / f"checkpoints/checkpoint_00{n}000.pt" for n in (1, 3)]
    made = probe(files, Options(BUILD))
    assert made.folder == folder / "gandoctor-probe"
    assert [one["step"] for one in made.snapshots] == [1_000, 2_950]  # of a log that ends at 2,950
    made = probe([folder / "checkpoints"], Options(BUILD))
    assert made.folder.resolve() == (folder / "gandoctor-probe").resolve()


def test_epochs_without_a_log_stay_epochs(tmp_path: Path) -> None:
    three = list(states(3).values())
    snapshots = {at: {"G": state["G"]} for at, state in zip((5, 10, 40), three, strict=True)}  # type: ignore[index]
    folder = save(tmp_path, snapshots, "netG_epoch_{}.pth")
    for _ in range(2):
        probed(folder)
        [view] = gandoctor.diagnose(folder).views
        assert view.series["probe/G/vendi"].unit is Unit.EPOCH
        assert (
            [one.step for one in view.snapshots] == [5, 10, 40] == view.series["probe/G/vendi"].steps.tolist()
        )


def test_some_of_many_are_evenly_spread(tmp_path: Path) -> None:
    folder = save(tmp_path, states(7))
    assert [one["step"] for one in probed(folder, most=3).snapshots] == [1_000, 4_000, 7_000]


def test_one_bad_snapshot_does_not_end_the_probe(tmp_path: Path) -> None:
    folder = save(tmp_path, {**states(2), 3_000: points(size=5).state_dict()})
    whole = (folder / "checkpoints/checkpoint_001000.pt").read_bytes()
    (folder / "checkpoints/checkpoint_004000.pt").write_bytes(whole[: len(whole) // 2])
    made = probed(folder)
    assert [one["step"] for one in made.snapshots] == [1_000, 2_000]
    assert "checkpoint_003000.pt: no weights in it fit the generator" in "\n".join(made.problems)
    assert "checkpoint_004000.pt" in "\n".join(made.problems)


def test_several_runs_are_refused_by_name(tmp_path: Path) -> None:
    for name in ("a", "b"):
        folder = save(tmp_path / name, states(1))
        (folder / "log.csv").write_text("step,loss_D\n" + "".join(f"{s},1.3\n" for s in range(0, 3_000, 50)))
    with pytest.raises(UserError, match="several runs") as caught:
        probed(tmp_path)
    assert str(tmp_path / "a") in str(caught.value)


# --- the user's code


@pytest.mark.parametrize(
    ("generator", "message"),
    [
        ("nowhere.models:build", "there is no module 'nowhere.models'"),
        (f"{HERE}:bild", f"{HERE} has no function 'bild'\nhint: it has build"),
        (f"{HERE}", "is not MODULE:FUNCTION"),
        ("nowhere/models.py:build", "there is no file nowhere/models.py"),
        (f"{HERE}:broken", "broken failed: ValueError: no such width \\(.*generators.py:"),
        (f"{HERE}:number", "returned int, not a torch.nn.Module"),
    ],
)
def test_what_is_wrong_with_the_function_is_said(generator: str, message: str, tmp_path: Path) -> None:
    folder = save(tmp_path, states(1))
    with pytest.raises(UserError) as caught:
        probed(folder, generator)
    assert re.search(message, str(caught.value)), str(caught.value)
    assert not (folder / "gandoctor-probe").exists()


def test_a_shape_of_z_that_does_not_fit_is_said(tmp_path: Path) -> None:
    folder = save(tmp_path, states(1))
    with pytest.raises(
        UserError, match=r"no samples can be drawn from z of shape \(5,\): RuntimeError"
    ) as caught:
        probed(folder, latent=(5,))
    assert "--latent 100,1,1" in caught.value.hint


def test_settings_of_the_run_build_the_generator(tmp_path: Path) -> None:
    folder = save(tmp_path, {10: points(size=5).state_dict()})
    (folder / "config.json").write_text(json.dumps({"size": 5, "lr": 1e-3}))
    assert len(probed(folder, f"{HERE}:sized").snapshots) == 1


def test_the_users_features_are_the_space_of_distances(tmp_path: Path) -> None:
    folder = save(tmp_path, states(1))
    [one] = probed(folder, features=f"{HERE}:halved", output=tmp_path / "a").snapshots
    [other] = probed(folder, output=tmp_path / "b").snapshots
    assert one["measures"]["distance"] != other["measures"]["distance"]


def test_features_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    folder = save(tmp_path, states(1))
    with pytest.raises(UserError, match="no finite rows"):
        probed(folder, features=f"{HERE}:without_end")


def test_snapshots_without_an_average_beside_some_with_one_are_said(tmp_path: Path) -> None:
    mixed = states(2)
    mixed[3_000] = {"G": points(seed=4).state_dict(), "G_ema": points(seed=5).state_dict()}
    made = probed(save(tmp_path, mixed))
    assert [one["ema"] for one in made.snapshots] == [False, False, True]
    assert "hold no moving average" in " ".join(made.problems)


# --- the command


def test_the_command_prints_a_table_and_ends_well(tmp_path: Path) -> None:
    folder = save(tmp_path, states(2))
    result = invoked(str(folder), "--generator", BUILD, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert re.search(r"snapshot +distance +Vendi", result.output)
    assert re.search(r"^ +2,000 +\d", result.output, re.MULTILINE)
    assert "spherical paths, ε 0.0001" in result.output


def test_the_command_gives_json(tmp_path: Path) -> None:
    folder = save(tmp_path, states(2))
    out = str(tmp_path / "out")
    words = [str(folder), "--generator", BUILD, "--latent", "8", "-o", out, "--format", "json"]
    result = invoked(*words)
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["schema"] == "1.0"
    assert said["latent"] == [8]
    assert [one["step"] for one in said["snapshots"]] == [1_000, 2_000]
    assert {"distance", "vendi", "ppl", "condition", "z_share"} <= said["snapshots"][0]["measures"].keys()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--generator", BUILD, "--latent", "x"], "--latent: 'x' is not numbers"),
        (["--generator", BUILD, "--span", "1,0"], "--span: '1,0' is no range"),
        (["--generator", "nowhere:build"], "no module 'nowhere'"),
        ([], "Missing option '--generator'"),
    ],
)
def test_bad_usage_ends_with_2(words: list[str], message: str, tmp_path: Path) -> None:
    folder = save(tmp_path, states(1))
    result = invoked(str(folder), *words)
    assert result.exit_code == 2
    assert message in result.output


def test_a_folder_without_checkpoints_ends_with_2(tmp_path: Path) -> None:
    result = invoked(str(tmp_path), "--generator", BUILD)
    assert (result.exit_code, "no checkpoint was found" in result.output) == (2, True)


SCRIPT = "import argparse\nargparse.ArgumentParser().parse_args()\nraise SystemExit(0)\n"


def test_a_file_in_the_working_directory_and_a_script(tmp_path: Path) -> None:
    folder = save(tmp_path / "run", states(1))
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n\ndef build():\n"
        "    return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))\n"
    )
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(Path(gandoctor.__file__).parents[1])}

    def run(generator: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "gandoctor", "probe", str(folder), "--generator", generator]
        return subprocess.run(
            words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    for generator in ("mine:build", "mine.py:build"):
        done = run(generator)
        assert done.returncode == 0, done.stderr
    done = run("script:build")
    assert done.returncode == 2
    assert "importing script ended the program: it runs a script" in done.stderr


LAZY = """
import sys
import gandoctor.probe as probe
assert not {"torch", "numpy"} & set(sys.modules), "heavy import"
sys.modules["torch"] = None  # as if it were not installed
try:
    probe.probe
except Exception as error:
    print(type(error).__name__, error)
"""


def test_without_torch_it_says_what_to_install() -> None:
    done = subprocess.run([sys.executable, "-c", LAZY], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "UserError the probe needs PyTorch" in done.stdout
    assert "pip install 'gandoctor[torch]'" in done.stdout
