"""The frames that prove a finding, inside the report."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gandoctor.api import diagnose
from gandoctor.judge.diagnosis import Diagnosis
from gandoctor.reports import _pictures, html

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture(scope="module")
def collapsed() -> Diagnosis:
    return diagnose(FIXTURES / "constant-z")


def test_a_collapse_is_shown_by_its_frames_and_by_tiles_side_by_side(collapsed: Diagnosis) -> None:
    [shown] = _pictures.proofs(collapsed, "en").values()
    captions = [one.caption for one in shown]
    assert captions[0].startswith("random_000667.png · step 667 · 8 × 8 tiles")
    assert captions[1].startswith("random_002000.png · step 2,000")
    assert captions[2] == "tiles 1 and 2"
    for one in shown:
        kind, data = one.src.removeprefix("data:").split(";base64,")
        picture = Image.open(io.BytesIO(base64.b64decode(data)))
        assert (picture.width, picture.height) == (one.width, one.height)
        assert kind in ("image/png", "image/jpeg")
        assert max(picture.size) <= _pictures.SIDE
    pair = np.asarray(
        Image.open(io.BytesIO(base64.b64decode(shown[2].src.split(",")[1]))).convert("L"), float
    )
    third = pair.shape[1] * 8 // 18  # two tiles of 8 pixels and 2 between them
    assert np.abs(pair[:, :third] - pair[:, -third:]).mean() < 5


def test_the_page_holds_them_with_alternative_texts(collapsed: Diagnosis) -> None:
    out = io.StringIO()
    html.write([collapsed], out)
    images = re.findall(
        r'<img src="data:image/\w+;base64,[^"]+" width="\d+" height="\d+" alt="([^"]+)"', out.getvalue()
    )
    assert len(images) >= 3
    assert "tiles 1 and 2" in images


def test_points_are_drawn() -> None:
    hopping = diagnose(FIXTURES / "hopping-collapse")
    shown = [one for many in _pictures.proofs(hopping, "zh").values() for one in many]
    assert shown
    assert all(one.width == one.height for one in shown)


def test_what_is_gone_is_left_out(
    collapsed: Diagnosis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(image: object) -> None:
        raise _pictures.Unreadable("", "no such file")

    monkeypatch.setattr(_pictures, "read_picture", gone)
    assert _pictures.proofs(collapsed, "en") == {}
