"""Measurements on a running game, from samples and held-out reals; nothing here changes the training."""

from __future__ import annotations

import torch
from torch import Tensor

from gandoctor.capture.measures import pair_accuracy, spread
from gandoctor.trainer.game import Game
from gandoctor.trainer.objectives import slope

SAMPLES = {"ring8": 2_500, "grid25": 2_500, "glyphs": 1_024}


@torch.no_grad()
def measure(game: Game, last: Tensor | None) -> tuple[dict[str, Tensor], Tensor]:
    """Measure each run once: name -> (E,), and the histogram over modes (E, K) for the next call.

    cov: share of modes with at least 20% of their fair share of the good samples. q: share of good
    samples. top: largest mode's share. div: mean distance of pairs, std: norm of the standard
    deviations, both over the reals'. flow: total variation from the last histogram (NaN the first
    time). auc, auc_train: how well D's output parts held-out and training reals from fakes.
    slope: median |grad C| half way between reals and fakes. clipped: share of D's weights within 1% of
    the clipping bound, NaN without one.
    """
    data, fakes = game.data, game.measured_fakes(SAMPLES[game.data.name])
    mode, good = data.score(fakes)
    hits = torch.nn.functional.one_hot(mode, data.modes).float()  # (E, n, K)
    histogram = hits.mean(1)
    good_hits = (hits * good.unsqueeze(-1)).mean(1)
    q = good.float().mean(1)
    fair = q[:, None] / data.modes
    found = {
        "cov": ((good_hits >= 0.2 * fair) & (good_hits > 0)).float().mean(1),
        "q": q,
        "top": histogram.amax(1),
        "div": _distance(fakes) / _distance(game.held_out),
        "std": spread(fakes) / spread(game.held_out),
        "flow": torch.full_like(q, torch.nan) if last is None else 0.5 * (histogram - last).abs().sum(1),
    }
    on_fakes = game.outputs(fakes)
    for name, reals in (("auc", game.held_out), ("auc_train", game.train[:, :2_000])):
        found[name] = pair_accuracy(game.outputs(game.present(reals)), on_fakes)
    found["slope"] = _slope(game, fakes[:, :256])
    found["clipped"] = torch.full_like(q, torch.nan)
    if game.clip is not None:
        share = (game.discriminator.flat.abs() >= 0.99 * game.clip).float().mean(1)
        found["clipped"] = share.where(game.clip[:, 0].isfinite(), torch.nan)
    return found, histogram


def _distance(samples: Tensor) -> Tensor:
    """Mean distance between the first half of the samples and the second, (E,)."""
    half = samples.shape[1] // 2
    distances: Tensor = (samples[:, :half] - samples[:, half : 2 * half]).norm(dim=-1)
    return distances.mean(1)


def _slope(game: Game, fakes: Tensor) -> Tensor:
    """Median of |grad C| at the middle of pairs of held-out reals and fakes, (E,)."""
    reals = game.present(game.held_out[:, : fakes.shape[1]])
    with torch.enable_grad():
        between = (0.5 * (reals + fakes)).requires_grad_()
        gradient = game.packed(slope(game.outputs(between), between))
    median: Tensor = gradient.detach().norm(dim=-1).median(1).values
    return median
