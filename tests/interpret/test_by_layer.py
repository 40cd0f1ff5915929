from __future__ import annotations

import numpy as np

from gandoctor.run import Run
from tests.checkpoints import D_SIZES, G_SIZES, adam, healthy, net, saved
from tests.histograms import histogram_run
from tests.runs import level, make_run, ramp, view_of


def test_logged_norms_come_in_the_order_of_the_log() -> None:
    shapes = {f"grad_norm/G/main.{at}": level(size) for at, size in ((0, 0.1), (2, 0.2), (10, 0.4))}
    made = view_of(make_run(shapes | {"grad_norm/G": level(1.0)})).by_layer("G", "gradient")
    assert made is not None
    assert (made.layers, made.statistic, made.source) == (("main.0", "main.2", "main.10"), "norm", "log")
    assert made.values.shape == (3, len(made.steps))
    assert made.values[:, 0].tolist() == [0.1, 0.2, 0.4]
    assert len(made.steps) == 200  # 400 points, thinned


def test_a_logged_step_is_divided_by_its_layers_weights() -> None:
    shapes = {
        "step_norm/D/0": level(0.01), "step_norm/D/2": ramp(0.02, 0.04),
        "weight_norm/D/0": level(10.0), "weight_norm/D/2": level(2.0),
    }  # fmt: skip
    made = view_of(make_run(shapes, points=100)).by_layer("D", "update")
    assert made is not None
    assert made.statistic == "ratio"
    assert np.allclose(made.values[:, 0], [0.001, 0.01])
    assert np.allclose(made.values[:, -1], [0.001, 0.02])


def test_histograms_give_the_root_mean_square() -> None:
    rng = np.random.default_rng(0)
    rows = {
        f"netD.main.{at}.weight.grad": [rng.normal(0, 0.1 * 2**at, 256) for _ in range(30)] for at in (0, 2)
    }
    made = view_of(histogram_run(rows)).by_layer("D", "gradient")
    assert made is not None
    assert (made.source, made.statistic, made.layers) == ("histograms", "rms", ("main.0", "main.2"))
    assert np.allclose(np.median(made.values, axis=1), [0.1, 0.4], rtol=0.05)


def test_checkpoints_give_weights_gradients_and_the_next_step() -> None:
    view = view_of(saved(healthy(3)))
    weight, gradient, update = (view.by_layer("G", one) for one in ("weight", "gradient", "update"))
    assert weight is not None
    assert gradient is not None
    assert update is not None
    assert weight.layers == ("0", "2", "4", "6")
    assert weight.steps.tolist() == [4_000, 8_000, 12_000]
    first = net(G_SIZES, 1)["0.weight"]
    assert np.isclose(weight.values[0, 0], np.sqrt(np.mean(first.astype(float) ** 2)))
    assert np.allclose(gradient.values, 1e-2, rtol=0.2)
    noise = (0.5 / 1.5) ** 0.5  # RMS of m̂/√v̂ of noise at β₁ = 0.5
    assert np.allclose(update.values[:, 0], 1e-3 * noise / weight.values[:, 0], rtol=0.2)


def test_an_unknown_layer_or_network_is_none() -> None:
    d = net(D_SIZES)
    view = view_of(saved({1_000: {"D": d, "opt_D": adam(d, 1_000)}}))
    assert view.by_layer("G", "weight") is None
    assert view.by_layer("D", "weight") is not None
    assert view_of(make_run({"grad_norm/G/main.0": level(1.0)})).by_layer("G", "gradient") is None
    assert view_of(Run(view.run.path, "run")).by_layer("D", "weight") is None
