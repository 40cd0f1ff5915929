from __future__ import annotations

import copy

import numpy as np
import pytest

from gandoctor.detectors.normalization import (
    statistics_absurd,
    statistics_never_updated,
    statistics_stand_still,
)
from gandoctor.findings import Severity
from gandoctor.judge.diagnose import diagnose_run
from gandoctor.run import Run
from tests.checkpoints import Net, Tree, healthy, saved
from tests.runs import hears, measured, one_finding, refusal

absurd, untouched, asleep = map(hears, (statistics_absurd, statistics_never_updated, statistics_stand_still))


def normed(
    batches: tuple[int, ...] = (4_000, 8_000, 12_000), mean: float = 0.3, var: float = 2.0, empty: int = 0,
    before: bool = False, steps: int | None = None,
) -> Run:  # fmt: skip
    """Snapshots of a generator with a batch norm after its first layer (or before it)."""
    made: dict[int, Tree] = healthy(len(batches))
    for (step, tree), count in zip(made.items(), batches, strict=True):
        g: Net = tree["G"]
        variances = np.full(48, var, np.float32)
        variances[:empty] = 0
        norm = {
            "1.weight": np.ones(48, np.float32), "1.bias": np.zeros(48, np.float32),
            "1.running_mean": np.full(48, mean, np.float32), "1.running_var": variances,
            "1.num_batches_tracked": np.array(count),
        }  # fmt: skip
        first = {"0.weight": g["0.weight"], "0.bias": g["0.bias"]}
        rest = {key: value for key, value in g.items() if key not in first}
        tree["G"] = {**norm, **g} if before else {**first, **norm, **rest}
        if steps is not None:
            del tree["opt_G"], tree["opt_D"]
        tree["step"] = step
    return saved(made)


FIRES = {
    "statistics_absurd": normed(var=1e8),
    "statistics_never_updated": normed((0, 0, 0), mean=0.0, var=1.0),
    "statistics_stand_still": normed((4_000, 6_000, 6_000)),
}
SILENT = {
    "statistics_absurd": normed(var=3e4, empty=10),
    "statistics_never_updated": normed(),
    "statistics_stand_still": normed(),
}


def test_a_variance_of_a_hundred_million_is_a_warning() -> None:
    finding = one_finding(absurd(FIRES["statistics_absurd"]))
    assert (finding.severity, finding.params["layer"]) == (Severity.WARNING, "G.1")
    assert measured(finding)["largest running variance"] == pytest.approx(1e8)


def test_raw_inputs_may_have_a_large_variance() -> None:
    assert absurd(normed(var=1e8, before=True)) == []


@pytest.mark.parametrize(("empty", "fires"), [(20, 0), (30, 1)])
def test_half_of_the_channels_without_variance_decide(empty: int, fires: int) -> None:
    assert len(absurd(normed(empty=empty))) == fires


def test_statistics_that_no_batch_has_touched() -> None:
    finding = one_finding(untouched(FIRES["statistics_never_updated"]))
    assert (finding.severity, finding.params["layer"]) == (Severity.WARNING, "G.1")


def test_a_checkpoint_from_before_the_first_step_is_quiet() -> None:
    assert untouched(normed((0,), mean=0.0, var=1.0, steps=0)) == []


def test_weights_that_move_tell_training_without_an_optimizer() -> None:
    assert len(untouched(normed((0, 0), mean=0.0, var=1.0, steps=0))) == 1


def test_a_count_that_stands_still_has_its_onset() -> None:
    finding = one_finding(asleep(FIRES["statistics_stand_still"]))
    assert finding.stretch.onset == 8_000
    assert measured(finding)["steps without a batch in batch norm's count"] == 4_000


def test_networks_without_batch_norm_are_not_examined() -> None:
    for hear in (absurd, untouched, asleep):
        assert refusal(hear(saved(healthy(2)))) == (
            "not-examinable", "no-running-statistics", "checkpoints",
        )  # fmt: skip


def trained(asleep_since: int) -> Run:
    """Snapshots of a small G with batch norm and a D that PyTorch trains; G is in eval() from a step on."""
    torch = pytest.importorskip("torch")
    nn = torch.nn
    torch.manual_seed(0)
    g = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2))
    d = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
    opts = [torch.optim.Adam(one.parameters(), 1e-3, betas=(0.5, 0.9)) for one in (g, d)]
    loss = nn.functional.softplus
    trees = {}
    for step in range(1, 151):
        g.train(step <= asleep_since)
        fake = g(torch.randn(32, 4))
        real = 1 + 0.1 * torch.randn(32, 2)
        for opt, value in ((opts[1], loss(-d(real)).mean() + loss(d(fake.detach())).mean()), (opts[0], None)):
            opt.zero_grad()
            (loss(-d(fake)).mean() if value is None else value).backward()
            opt.step()
        if step % 50 == 0:
            trees[step] = {name: one.state_dict() for name, one in zip(("G", "D", "opt_G", "opt_D"), (g, d, *opts),
                                                                       strict=True)}  # fmt: skip
            trees[step] = copy.deepcopy(trees[step])
    return saved(trees)


def test_networks_that_pytorch_trains_are_examined() -> None:
    for since, found in ((1_000, []), (60, ["GD606"]), (0, ["GD606"])):
        diagnosis = diagnose_run(trained(since))
        assert [one.finding.code for one in diagnosis.findings if one.finding.code == "GD606"] == found
        states = {line.code: line.state for line in diagnosis.coverage}
        assert {states[f"GD{code}"] for code in (301, 302, 303, 601, 602, 603, 605, 606)} == {"examined"}


def test_without_batch_norm_that_is_the_reason_at_any_number_of_snapshots() -> None:
    for count in (1, 3):
        [line] = [one for one in diagnose_run(saved(healthy(count))).coverage if one.code == "GD606"]
        assert line.reason == "no-running-statistics"
