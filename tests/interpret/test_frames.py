from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gandoctor.api import diagnose, load
from gandoctor.interpret import frames as module
from gandoctor.interpret.frames import Shows, shows
from gandoctor.run import ImageGrid, Run, Unit
from tests.drawn import drawn, faces, nearer, ring, save, scenes
from tests.runs import level, make_run, view_of


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("fixed", Shows.FIXED), ("fixed_noise", Shows.FIXED), ("random", Shows.RANDOM), ("sample", Shows.NOISE),
        ("fakes", Shows.NOISE), ("fake_samples_epoch", Shows.NOISE), ("Epoch", Shows.NOISE), ("images", Shows.NOISE),
        ("GAN Interpolations", Shows.INTERPOLATION), ("slerp", Shows.INTERPOLATION), ("reals", Shows.REAL),
        ("real", Shows.REAL), ("gt/y", Shows.REAL), ("real_A_fake_B", Shows.PAIRS), ("GAN Reconstructions", Shows.PAIRS),
        ("trainSamples", Shows.NOISE), ("generated/y_hat_spec", Shows.OTHER), ("attention", Shows.OTHER),
        ("cycleA", Shows.PAIRS), ("fakes_init", Shows.OTHER), ("realistic", Shows.NOISE),
    ],
)  # fmt: skip
def test_names(name: str, what: Shows) -> None:
    assert shows(name) is what


def test_nothing_is_opened_before_it_is_asked_for() -> None:
    run = make_run({"loss_D": level(1), "loss_G": level(1)})
    run.images = [ImageGrid("fixed", step, Path("/nowhere/fixed.npy")) for step in range(0, 10_000, 10)]
    view = view_of(run)
    assert len(view.frames) == 1_000
    assert view.sample_problems == ()
    assert view.frames.streams[0].last() is None
    assert {problem.kind for problem in view.sample_problems} == {"unreadable-picture"}


@pytest.mark.parametrize("at", [0.13, 0.6, 0.87])
def test_a_late_collapse_is_dated_by_bisection(monkeypatch: pytest.MonkeyPatch, at: float) -> None:
    """Of 10,000 frames some twenty are opened, and the onset is exact."""
    steps = range(2, 20_001, 2)
    good, bad = (
        [save("x", 0, faces(i)) for i in range(3)],
        [save("x", 0, nearer(faces(i), 0.1)) for i in range(3)],
    )
    run = drawn({})
    for number, step in enumerate(steps):
        source = (good if step < at * 20_000 else bad)[number % 3].source
        run.images.append(ImageGrid("random", step, source, offset=number))  # each its own reference
    opened = []
    read = module.read_batch
    monkeypatch.setattr(module, "read_batch", lambda image: opened.append(image) or read(image))
    diagnosis = diagnose(run)
    [finding] = [one.finding for one in diagnosis.findings if one.finding.code == "GD401"]
    assert finding.stretch.onset == pytest.approx(at * 20_000, abs=2)
    assert (
        len(opened) < 9 + 2 * 11 + 8 * 20
    )  # and the few beginnings on which it is asked when it could be known


def test_noise_is_fixed_where_tiles_stay_themselves() -> None:
    def fixed(batches: list[np.ndarray]) -> bool:
        [stream] = view_of(drawn({"fakes": batches})).frames.streams
        return stream.fixed

    assert fixed([scenes(0), nearer(scenes(0), 0.8), nearer(scenes(0), 0.7)])
    assert not fixed([scenes(i) for i in range(3)])
    assert not fixed([ring(i) for i in range(3)])
    assert not fixed([scenes(0)])


def test_epochs_beside_iterations_are_stretched_to_the_end() -> None:
    run = make_run({"loss_D": level(1), "loss_G": level(1)})
    run.images = [save("fake_samples_epoch", epoch, scenes(0)) for epoch in (0, 5, 10)]
    assert [frame.step for frame in view_of(run).frames.streams[0].frames] == [0, 10_000, 20_000]
    run.images = [save("fakes", step, scenes(0)) for step in (0, 4_000, 9_000)]  # that ended early
    assert [frame.step for frame in view_of(run).frames.streams[0].frames] == [0, 4_000, 9_000]
    run.images = [save("GAN samples", epoch, scenes(0)) for epoch in range(0, 41, 5)]  # and not called epochs
    assert [frame.step for frame in view_of(run).frames.streams[0].frames][-1] == 20_000
    epochs = make_run({"loss_D": level(1), "loss_G": level(1)}, points=100, every=1, unit=Unit.EPOCH)
    epochs.images = [save("epoch", epoch, scenes(0)) for epoch in (0, 5, 10)]
    assert [frame.step for frame in view_of(epochs).frames.streams[0].frames] == [0, 5, 10]


def test_pictures_of_one_step_are_tiles() -> None:
    run = Run(Path("run"), "run")
    for number in range(9):
        file = Path(save("x", 0, ring(0)).source).with_name(f"one{number}.png")
        Image.fromarray(scenes(number, 1)[0]).save(file)
        run.images.append(ImageGrid(f"samples/{number}", 100, file))
    [stream] = view_of(run).frames.streams
    last = stream.last()
    assert last is not None
    assert (stream.name, len(last[1]), last[1].side) == ("samples", 9, 32)


def test_a_view_of_a_beginning_sees_no_later_frame() -> None:
    view = view_of(drawn({"random": [scenes(i) for i in range(4)]}))
    assert len(view.frames) == 4
    assert [frame.step for frame in view.until(10_000).frames.streams[0].frames] == [5_000, 10_000]


def test_what_cannot_be_read_is_said_and_the_rest_is_seen(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(
        "step,loss_D,loss_G\n"
        + "".join(f"{i * 50},{1.3 + 0.01 * (i % 7)},{0.7 + 0.01 * (i % 5)}\n" for i in range(400))
    )
    grid = np.zeros((6 * 34 + 2, 6 * 34 + 2, 3), np.uint8)
    for at, tile in enumerate(nearer(faces(0), 0.02)):
        top, left = 2 + at // 6 * 34, 2 + at % 6 * 34
        grid[top : top + 32, left : left + 32] = tile
    for step in (5_000, 10_000, 15_000, 20_000):
        Image.fromarray(grid).save(tmp_path / f"random_{step}.png")
    whole = (tmp_path / "random_10000.png").read_bytes()
    (tmp_path / "random_10000.png").write_bytes(whole[: len(whole) // 2])
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (97, 101, 3), np.uint8)).save(tmp_path / "fixed_100.png")
    diagnosis = diagnose(load(tmp_path))
    assert [one.finding.code for one in diagnosis.findings] == ["GD401"]
    problems = {(problem.file.name, problem.kind) for problem in diagnosis.run.problems}
    assert ("random_10000.png", "unreadable-picture") in problems


def test_a_blank_picture_needs_no_layout(tmp_path: Path) -> None:
    run = drawn({})
    for step in (5_000, 10_000, 20_000):
        Image.new("RGB", (272, 272)).save(tmp_path / f"{step}.png")
        run.images.append(ImageGrid("random", step, tmp_path / f"{step}.png"))
    diagnosis = diagnose(run)
    assert [one.finding.code for one in diagnosis.findings] == ["GD503"]
    assert diagnosis.run.problems == []


def test_pictures_of_a_translation_are_no_samples_of_noise() -> None:
    run = make_run({"D_real": level(0.3), "D_fake": level(0.3), "G_GAN": level(1.0), "G_L1": level(20.0)})
    run.images = [save("sample", step, nearer(faces(0), 0.0)) for step in (5_000, 10_000, 20_000)]
    assert len(view_of(run).frames) == 0
    assert not [one for one in diagnose(run).findings if one.finding.code == "GD401"]


def test_one_pair_has_the_samples() -> None:
    tags = ("D_A", "G_A", "D_B", "G_B")
    run = make_run({tag: level(0.3) for tag in tags})
    run.images = [save("sample", 100, scenes(0))]
    from gandoctor.interpret.view import views_of

    assert [len(view.frames) for view in views_of(run)] == [1, 0]


def test_a_picture_without_a_step_speaks_only_alone() -> None:
    run = drawn({"random": [scenes(i) for i in range(3)]})
    run.images.append(save("overview", None, nearer(faces(0), 0.0)))
    run.images.append(save("fakes_init", None, nearer(faces(0), 0.0)))
    assert [stream.name for stream in view_of(run).frames.samples()] == ["random"]
    assert {stream.name for stream in view_of(run).frames.streams} == {"random", "fakes_init"}
    lone = drawn({})
    lone.images = [save("overview", None, scenes(0))]
    assert [frame.step for frame in view_of(lone).frames.streams[0].frames] == [20_000]
