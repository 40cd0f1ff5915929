"""Folders of PNG grids, degraded in a known way, from the files to the diagnosis: what pictures alone tell.

The reference trainer's images are too small for checkerboards, noise and patches that do not belong together.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gandoctor
from gandoctor.findings import Severity, State
from tests.bench.grids import Pixels
from tests.bench.samples import STUDIES, jumping, pool_of

TILES, SIDE = 36, 32

# study of tests/bench/samples.py → dose, the code to be found
ILL = {
    "kernel 3, stride 2": (0.8, "GD501"),
    "noise": (9.0, "GD502"),
    "blank tiles": (1.0, "GD503"),
    "copies of one tile": (1.0, "GD401"),
    "patches of other tiles, reals beside": (1.0, "GD506"),
    "jumps of interpolations": (1.0, "GD404"),
}
CODES = sorted({code for _, code in ILL.values()})


def saved(root: Path, study: str, dose: float, data: str) -> Path:
    """A run's samples: four frames of random noise, one of reals, and strips where the study is of strips."""
    place = root / "run" / "samples"
    place.mkdir(parents=True)
    degrade, random, pool = STUDIES[study][0], np.random.default_rng(0), pool_of(data, 0, SIDE)
    for frame in range(4):
        tiles = pool[TILES * frame : TILES * (frame + 1)]
        step = f"{2_500 * (frame + 1):06d}"
        if degrade is jumping:
            picture(degrade(tiles, dose, random), 8).save(place / f"interpolation_{step}.png")
        else:
            tiles = degrade(tiles, dose, random)
        picture(tiles, 6).save(place / f"random_{step}.png")
    picture(pool[4 * TILES :], 6).save(place / "real_000000.png")
    return root / "run"


def picture(tiles: Pixels, columns: int) -> Image.Image:
    """Tiles (n, h, w, c) in rows, with 2 black pixels around each."""
    padded = np.pad(tiles, ((0, 0), (2, 0), (2, 0), (0, 0)))
    n, height, width, channels = padded.shape
    rows = padded.reshape(n // columns, columns, height, width, channels).swapaxes(1, 2)
    grid = rows.reshape(n // columns * height, columns * width, channels)
    return Image.fromarray(np.pad(grid, ((0, 2), (0, 2), (0, 0))))


def found(run: Path) -> tuple[set[str], set[str]]:
    """The codes that were found, and those that were looked for."""
    diagnosis = gandoctor.diagnose(run)
    ill = {j.finding.code for j in diagnosis.findings if j.finding.severity >= Severity.WARNING}
    return ill, {line.code for line in diagnosis.coverage if line.state is State.EXAMINED}


@pytest.mark.parametrize("study", ILL)
def test_what_pictures_show_is_found(tmp_path: Path, study: str) -> None:
    dose, code = ILL[study]
    ill, examined = found(saved(tmp_path, study, dose, "faces"))
    assert code in ill
    assert code in examined


@pytest.mark.parametrize("data", ["faces", "scenes"])
@pytest.mark.parametrize("study", ["kernel 3, stride 2", "jumps of interpolations"])
def test_pictures_that_are_well_stay_quiet(tmp_path: Path, study: str, data: str) -> None:
    ill, examined = found(saved(tmp_path, study, 0.0, data))
    assert ill == set()
    assert {"GD401", "GD402", "GD501", "GD502", "GD503", "GD506"} <= examined
    assert ("GD404" in examined) == (study == "jumps of interpolations")
