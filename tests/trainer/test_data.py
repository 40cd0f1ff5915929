from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gandoctor.trainer import data  # noqa: E402


@pytest.mark.parametrize(
    ("name", "modes", "good"), [("ring8", 8, 0.98), ("grid25", 25, 0.98), ("glyphs", 10, 0.99)]
)
def test_reals_are_good_and_even(name: str, modes: int, good: float) -> None:
    it = data.load(name)
    samples = it.draw(5_000, torch.Generator().manual_seed(1))
    mode, ok = it.score(samples)
    share = torch.bincount(mode, minlength=modes) / 5_000
    assert samples.shape == (5_000, it.dim)
    assert it.modes == modes
    assert float(ok.float().mean()) >= good
    assert float((share * modes - 1).abs().max()) < 0.25


def test_noise_is_not_good() -> None:
    for name in ("ring8", "glyphs"):
        it = data.load(name)
        noise = torch.randn(500, it.dim, generator=torch.Generator().manual_seed(2))
        assert float(it.score(noise)[1].float().mean()) < 0.1


def test_blank_images_are_not_good() -> None:
    assert not data.load("glyphs").score(torch.full((3, 64), -1.0))[1].any()


def test_score_keeps_leading_dimensions() -> None:
    mode, good = data.load("ring8").score(torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[1.16, 0.0], [0.0, 0.0]]]))
    assert mode[0].tolist() == [0, 2]
    assert good.tolist() == [[True, True], [False, False]]  # 0.16 is just over 3 x 0.05
