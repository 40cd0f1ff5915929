from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto

from gandoctor.contents.histograms import Distributions, distributions
from gandoctor.readers.load import load_all
from gandoctor.readers.tensorboard import read
from gandoctor.run import Histogram, Run, Values
from tests.histograms import proto, write
from tests.readers import wandb_file

RNG = np.random.default_rng(0)
NORMAL = RNG.normal(0, 0.02, 5_000)
CLIPPED = np.clip(RNG.normal(0, 0.02, 5_000), -0.01, 0.01)
AT_ENDS = [np.mean(CLIPPED == -0.01), np.mean(CLIPPED == 0.01)]
SHAPES = {
    "normal": NORMAL,
    "uniform": RNG.uniform(-0.3, 0.3, 5_000),
    "laplace": RNG.laplace(0, 1, 5_000),
    "positive": RNG.exponential(1, 5_000),
    "offset": RNG.normal(3, 0.1, 5_000),
    "few": RNG.normal(0, 1, 20),
    "zero": np.zeros(50),
    "one": np.ones(64),
}


def from_events(folder: Path, values: list[Summary.Value]) -> dict[str, Distributions]:
    [parts] = read(write(folder / "events.out.tfevents.1.h", [(10, values)]))
    found, problems = distributions(parts.histograms)
    assert problems == []
    return found


def as_message(values: Values) -> Summary.Value:
    return Summary.Value(tag="w", histo=proto(values))


def as_tensor(values: Values, dtype: int = 2) -> Summary.Value:
    counts, edges = np.histogram(values, bins=30)
    table = np.stack([edges[:-1], edges[1:], counts], axis=1)
    tensor = TensorProto(
        dtype=dtype,
        tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=n) for n in table.shape]),
        tensor_content=table.astype("<f8" if dtype == 2 else "<f4").tobytes(),
    )
    plugin = SummaryMetadata.PluginData(plugin_name="histograms")
    return Summary.Value(tag="w", tensor=tensor, metadata=SummaryMetadata(plugin_data=plugin))


def from_wandb(folder: Path, values: Values, packed: bool = False) -> dict[str, Distributions]:
    counts, edges = np.histogram(values, bins=64)
    said: dict[str, object] = {"_type": "histogram", "values": counts.tolist()}
    if packed:
        said["packedBins"] = {"min": edges[0], "size": edges[1] - edges[0], "count": 64}
    else:
        said["bins"] = edges.tolist()
    path = folder / "run-1.wandb"
    path.write_bytes(
        wandb_file.log([wandb_file.history({"_step": 10, "loss_D": 1.0, "w": said, "other": said})])
    )
    [parts] = wandb_log_parts(path)
    found, problems = distributions(parts)
    assert problems == []
    return found


def wandb_log_parts(path: Path) -> list[list[Histogram]]:
    from gandoctor.readers.wandb_log import read as read_wandb

    return [parts.histograms for parts in read_wandb(path)]


@pytest.mark.parametrize("name", SHAPES)
def test_the_sums_of_a_message_are_exact(tmp_path: Path, name: str) -> None:
    values = SHAPES[name]
    one = from_events(tmp_path, [as_message(values)])["w"]
    assert one.exact
    assert (one.steps.tolist(), one.num.tolist(), one.logged) == ([10], [len(values)], 1)
    assert (one.low[0], one.high[0]) == (values.min(), values.max())
    assert one.largest[0] == np.abs(values).max()
    assert one.norm[0] == pytest.approx(np.linalg.norm(values), rel=1e-12)


@pytest.mark.parametrize("name", ["normal", "uniform", "laplace", "positive", "offset"])
def test_from_bins_alone_they_are_close_and_said_to_be_so(tmp_path: Path, name: str) -> None:
    values = SHAPES[name]
    size = np.sqrt(np.mean(values**2))
    for one in (
        from_events(tmp_path, [as_tensor(values)])["w"],
        from_events(tmp_path, [as_tensor(values, dtype=1)])["w"],
        from_wandb(tmp_path, values)["w"],
        from_wandb(tmp_path, values, packed=True)["w"],
    ):
        assert not one.exact
        assert one.rms[0] == pytest.approx(size, rel=0.05)
        assert (one.low[0], one.high[0]) == pytest.approx((values.min(), values.max()), rel=1e-5)


@pytest.mark.parametrize("name", SHAPES)
def test_no_smooth_distribution_is_piled_up_at_its_ends(tmp_path: Path, name: str) -> None:
    values = SHAPES[name]
    both = [from_events(tmp_path, [as_message(values)])["w"]]
    if np.ptp(values):
        both += [from_events(tmp_path, [as_tensor(values)])["w"], from_wandb(tmp_path, values)["w"]]
    for one in both:
        assert one.at_high[0] < 0.06
        # Exponential numbers are densest at their end, and fall within the width of one of 30 bins.
        assert one.at_low[0] < (0.12 if name == "positive" else 0.06)


def test_what_clipping_cuts_off_is_piled_up_at_the_ends(tmp_path: Path) -> None:
    exact = from_events(tmp_path, [as_message(CLIPPED)])["w"]
    assert [exact.at_low[0], exact.at_high[0]] == pytest.approx(AT_ENDS, abs=0.01)
    for one in (from_events(tmp_path, [as_tensor(CLIPPED)])["w"], from_wandb(tmp_path, CLIPPED)["w"]):
        assert [one.at_low[0], one.at_high[0]] == pytest.approx(AT_ENDS, abs=0.02)


def test_the_share_near_zero(tmp_path: Path) -> None:
    values = np.concatenate([np.zeros(300), RNG.normal(0, 1, 700)])
    assert from_events(tmp_path, [as_message(values)])["w"].near_zero[0] == pytest.approx(0.3, abs=0.01)
    assert from_events(tmp_path, [as_message(np.zeros(9))])["w"].near_zero[0] == 1.0
    assert from_events(tmp_path, [as_message(np.full(9, 2.0))])["w"].near_zero[0] == 0.0


def test_pytorchs_own_writer(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from torch.utils.tensorboard import SummaryWriter

    torch.manual_seed(0)
    tensors = [torch.randn(64, 32) * 0.1 / (step + 1) for step in range(30)]
    with SummaryWriter(str(tmp_path)) as writer:
        for step, tensor in enumerate(tensors):
            writer.add_scalar("loss/D", 1.0, step)
            writer.add_histogram("netD/conv.weight", tensor, step)
            writer.add_histogram("auto", tensor, step, bins="auto")
    [run] = load_all(tmp_path)
    found, problems = distributions(run.histograms)
    assert problems == []
    for tag in ("netD/conv.weight", "auto"):
        one = found[tag]
        assert one.steps.tolist() == list(range(30))
        assert one.norm == pytest.approx([float(t.norm()) for t in tensors], rel=1e-5)
        assert one.largest == pytest.approx([float(t.abs().max()) for t in tensors], rel=1e-6)


def test_the_last_written_of_a_step_counts_and_of_many_every_nth(tmp_path: Path) -> None:
    rows = [(step, [Summary.Value(tag="w", histo=proto(np.full(9, 1.0)))]) for step in range(1_000)]
    rows += [(0, [Summary.Value(tag="w", histo=proto(np.full(9, 7.0)))])]
    [parts] = read(write(tmp_path / "events.out.tfevents.1.h", rows))
    found, _ = distributions(parts.histograms)
    one = found["w"]
    assert (len(one), one.logged, one.high[0], one.high[1]) == (200, 1_001, 7.0, 1.0)
    assert np.all(np.diff(one.steps) == 5)


# --- bad input


BROKEN = {
    "limits": HistogramProto(min=0, max=1, num=3, sum_squares=1, bucket_limit=[0, 1, 2], bucket=[1, 2]),
    "counts": HistogramProto(min=0, max=1, num=3, sum_squares=1, bucket_limit=[0, 1], bucket=[-1, 4]),
    "nan": HistogramProto(min=0, max=1, num=3, sum_squares=1, bucket_limit=[0, 1], bucket=[1, float("nan")]),
    "ends": HistogramProto(min=1, max=0, num=3, sum_squares=1, bucket_limit=[0, 1], bucket=[1, 2]),
    "infinite": HistogramProto(
        min=0, max=float("inf"), num=3, sum_squares=1, bucket_limit=[0, 1], bucket=[1, 2]
    ),
    "order": HistogramProto(min=0, max=9, num=3, sum_squares=1, bucket_limit=[5, 1], bucket=[1, 2]),
    "squares": HistogramProto(min=0, max=1, num=3, sum_squares=900, bucket_limit=[0, 1], bucket=[1, 2]),
    "negative": HistogramProto(min=0, max=1, num=-3, sum_squares=1, bucket_limit=[0, 1], bucket=[1, 2]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_histogram_that_contradicts_itself_is_told_and_the_rest_is_read(tmp_path: Path, name: str) -> None:
    good = Summary.Value(tag="w", histo=proto(NORMAL))
    bad = Summary.Value(tag="w", histo=BROKEN[name])
    path = write(tmp_path / "events.out.tfevents.1.h", [(1, [good]), (2, [bad]), (3, [good])])
    [parts] = read(path)
    found, [problem] = distributions(parts.histograms)
    assert found["w"].steps.tolist() == [1, 3]
    assert (problem.file, problem.kind) == (path, "bad-histogram")
    assert problem.place == f"byte {parts.histograms[1].offset}"
    assert problem.message.startswith("w is not used: ")


def test_sums_beyond_float32_come_from_the_bins(tmp_path: Path) -> None:
    histo = HistogramProto(
        min=-1e20, max=1e20, num=2, sum_squares=float("inf"), bucket_limit=[0, 1e20], bucket=[1, 1]
    )
    one = from_events(tmp_path, [Summary.Value(tag="w", histo=histo)])["w"]
    assert one.rms[0] == pytest.approx(1e20 / np.sqrt(3))


def test_an_empty_histogram_is_no_point(tmp_path: Path) -> None:
    values = [Summary.Value(tag="w", histo=HistogramProto()), as_message(NORMAL)]
    assert len(from_events(tmp_path, values[:1])["w"]) == 0


def test_a_file_that_got_shorter_or_went_away_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "events.out.tfevents.1.h", [(s, [as_message(NORMAL)]) for s in range(5)])
    [parts] = read(path)
    path.write_bytes(path.read_bytes()[: parts.histograms[3].offset + 50])
    found, problems = distributions(parts.histograms)
    assert found["w"].steps.tolist() == [0, 1, 2]
    assert [one.kind for one in problems] == ["bad-histogram"] * 2
    assert "ends within it" in problems[0].message
    path.unlink()
    found, [problem] = distributions(parts.histograms)
    assert (len(found["w"]), problem.kind) == (0, "unreadable")


def test_a_histogram_of_absurd_length_is_not_read(tmp_path: Path) -> None:
    [parts] = read(write(tmp_path / "events.out.tfevents.1.h", [(0, [as_message(NORMAL)])]))
    _, [problem] = distributions([replace(parts.histograms[0], length=1 << 40)])
    assert "1,099,511,627,776 bytes" in problem.message


def test_a_wandb_record_without_the_histogram_is_told(tmp_path: Path) -> None:
    path = tmp_path / "run-1.wandb"
    path.write_bytes(wandb_file.log([
        wandb_file.history({"_step": 1, "h": {"_type": "histogram", "values": [1, 2], "bins": [0.0, 1.0]}}),
        wandb_file.history({"_step": 2, "h": {"_type": "histogram", "values": [10**400, 2], "bins": [0, 1, 2]}}),
        wandb_file.history({"_step": 3, "h": {"_type": "histogram", "values": [1, 2], "bins": [0.0, 1.0, 2.0]}}),
    ]))  # fmt: skip
    [references] = wandb_log_parts(path)
    found, problems = distributions(references)
    assert found["h"].steps.tolist() == [3]
    assert [one.kind for one in problems] == ["bad-histogram"] * 2


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_mutation_raises_or_gives_a_size_beyond_the_ends(tmp_path: Path, data: st.DataObject) -> None:
    value = data.draw(st.sampled_from([as_message(NORMAL[:50]), as_tensor(NORMAL)]))
    [parts] = read(write(tmp_path / "events.out.tfevents.1.h", [(0, [value])]))
    [reference] = parts.histograms
    raw = bytearray(reference.source.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = reference.offset + data.draw(st.integers(0, reference.length - 1))
        raw[at] = data.draw(st.integers(0, 255))
    reference.source.write_bytes(bytes(raw))
    one = distributions([reference])[0]["w"]
    assert np.isfinite(one.rms).all()
    assert np.all(one.rms <= 1.01 * one.largest)


def test_a_run_keeps_its_tags_once() -> None:
    run = Run(Path("x"), "x", histograms=[Histogram("w", 1, Path("y"), 0, 1, "tb-histo")] * 2)
    assert run.tags == ["w"]
