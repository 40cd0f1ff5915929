"""A user's own embedding: used where it works, named and left where it does not."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner
from PIL import Image

from gandoctor.api import diagnose, diagnose_all
from gandoctor.cli import main
from gandoctor.config import Config
from gandoctor.errors import UserError
from gandoctor.interpret.embedding import Embedding, Failed, check
from tests.bench.grids import Pixels
from tests.drawn import drawn, faces

HERE = __name__
TILES = faces(0, 8)


def colours(tiles: Pixels) -> npt.NDArray[np.float64]:
    return tiles.mean(axis=(1, 2))


def constant(tiles: Pixels) -> npt.NDArray[np.float64]:
    return np.ones((len(tiles), 2)) + 1e-9 * np.arange(len(tiles))[:, None]


def flat(tiles: Pixels) -> npt.NDArray[np.uint8]:
    return tiles.reshape(-1)


def raises(tiles: Pixels) -> None:
    raise RuntimeError("no GPU here")


def leaves(tiles: Pixels) -> None:
    raise SystemExit(3)


def of_text(tiles: Pixels) -> npt.NDArray[np.str_]:
    return np.full((len(tiles), 2), "x")


def not_finite(tiles: Pixels) -> npt.NDArray[np.float64]:
    return np.full((len(tiles), 2), np.nan)


def writes(tiles: Pixels) -> npt.NDArray[np.float64]:
    tiles[:] = 0
    return np.zeros((len(tiles), 2))


NUMBER = 3


def test_an_embedding_gives_a_row_a_tile() -> None:
    found = Embedding(f"{HERE}:colours")(TILES)
    assert (found.shape, found.dtype) == ((8, 3), np.float32)


def test_an_embedding_cannot_change_the_tiles() -> None:
    tiles = TILES.copy()
    Embedding(f"{HERE}:writes")(tiles)
    assert np.array_equal(tiles, TILES)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("no_such_module_here:embed", "cannot be imported: ModuleNotFoundError"),
        (f"{HERE}:nothing", "cannot be imported: AttributeError"),
        (f"{HERE}:NUMBER", "is no callable"),
        (f"{HERE}:flat", "gave an array of shape (24576,) for 8 tiles, not (n, d)"),
        (f"{HERE}:raises", "failed: RuntimeError: no GPU here"),
        (f"{HERE}:leaves", "failed: SystemExit: 3"),
        (f"{HERE}:of_text", "not numbers"),
        (f"{HERE}:not_finite", "gave NaN or infinity"),
    ],
)
def test_what_goes_wrong_is_said_and_the_diagnosis_goes_on(name: str, why: str) -> None:
    with pytest.raises(Failed) as fault:
        Embedding(name)(TILES)
    assert why in str(fault.value)
    run = drawn({"random": [faces(i) for i in range(3)], "reals": [faces(9)]})
    judged = diagnose(run, Config(features=name))
    [problem] = judged.run.problems
    assert problem.kind == "features-failed"
    assert problem.message.startswith(name)
    plain = diagnose(run)
    assert judged.samples == plain.samples
    assert judged.verdict == plain.verdict


@pytest.mark.parametrize("name", ["", "module", "a:", ":b", "a b:c", "a:b()", "../x:y"])
def test_what_is_no_name_is_bad_usage(name: str) -> None:
    with pytest.raises(UserError, match="MODULE:CALLABLE"):
        check(name)


def test_variety_is_measured_in_the_users_features() -> None:
    run = drawn({"random": [faces(i) for i in range(3)], "reals": [faces(9)]})
    assert diagnose(run, Config(features=f"{HERE}:colours")).findings == ()
    centred = [faces(i) - faces(i).mean(axis=(1, 2), keepdims=True) + 128 for i in range(3)]
    tinted = [np.clip(tiles, 0, 255).astype(np.uint8) for tiles in centred]  # all of one mean colour
    said = diagnose(drawn({"random": tinted, "reals": [faces(9)]}), Config(features=f"{HERE}:colours"))
    assert {"GD401"} <= {one.finding.code for one in said.findings}
    assert said.samples is not None
    assert said.samples.variety is not None
    assert said.samples.variety < 0.3


def _folder(path: Path, name: str) -> Path:
    """A run with three grids and reals, as pictures."""
    folder = path / name
    folder.mkdir()
    (folder / "log.csv").write_text("step,loss_D,loss_G\n" + "".join(f"{i},1.2,0.9\n" for i in range(100)))
    for at, stem in [(0, "fake_000010"), (1, "fake_000050"), (2, "fake_000099"), (9, "real_000099")]:
        grid = np.zeros((6 * 34 + 2, 6 * 34 + 2, 3), np.uint8)
        for k, tile in enumerate(faces(at)):
            top, left = 2 + k // 6 * 34, 2 + k % 6 * 34
            grid[top : top + 32, left : left + 32] = tile
        Image.fromarray(grid).save(folder / f"{stem}.png")
    return folder


def test_it_reaches_the_processes_of_many_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a module in the working directory, which the parent never imports."""
    (tmp_path / "mine.py").write_text("def embed(tiles):\n    return tiles.mean(axis=(1, 2)) / 'x'\n")
    for name in "ab":
        _folder(tmp_path, name)
    monkeypatch.chdir(tmp_path)
    for judged in diagnose_all([tmp_path / "a", tmp_path / "b"], Config(features="mine:embed"), jobs=2):
        assert [problem.kind for problem in judged.run.problems] == ["features-failed"]
        pickle.dumps(judged.views[0].frames)


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _folder(tmp_path, "a")
    monkeypatch.chdir(tmp_path)
    wrong = CliRunner().invoke(main, ["check", str(folder), "--features", "mine"])
    assert wrong.exit_code == 2
    assert "MODULE:CALLABLE" in wrong.output
    said = CliRunner().invoke(main, ["diagnose", str(folder), "--no-report", "--features", "nowhere:embed"])
    assert said.exit_code == 0
    assert "nowhere:embed cannot be imported" in " ".join(said.output.split())
    line = CliRunner().invoke(main, ["check", str(folder), "--features", f"{HERE}:colours"]).output
    assert f"--features {HERE}:colours" in line


def test_a_file_cannot_name_an_embedding(tmp_path: Path) -> None:
    from gandoctor.config import read_config

    path = tmp_path / "gandoctor.toml"
    path.write_text('features = "os:system"\n')
    with pytest.raises(UserError, match="unknown key"):
        read_config(path)
    assert replace(Config(), features="a:b").features == "a:b"
