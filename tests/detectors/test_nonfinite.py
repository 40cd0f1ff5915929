from __future__ import annotations

import numpy as np
import pytest

from gandoctor.detectors.nonfinite import non_finite
from gandoctor.findings import Kind, Severity
from gandoctor.run import Run, Values
from tests.runs import hears, level, make_run, measured, noisy, one_finding

sick = hears(non_finite)

CALM = noisy(level(1.0), 0.2)(np.linspace(0, 1, 400))


def holed(*where: int | slice, by: float = float("nan")) -> Values:
    """A calm series with values that are not finite at some points."""
    values = CALM.copy()
    for one in where:
        values[one] = by
    return values


def run_of(**series: Values) -> Run:
    calm = {"loss_D": CALM, "loss_G": CALM, "grad_norm_G": CALM, "fid": CALM}
    return make_run(calm | series)


FIRES = {"non_finite": run_of(loss_D=holed(slice(270, None)))}
SILENT = {"non_finite": run_of(fid=holed(slice(0, 400, 2)))}  # a metric that is NaN is GD505


def test_a_loss_that_is_nan_to_the_end_is_an_overwhelming_error() -> None:
    finding = one_finding(sick(run_of(loss_D=holed(slice(270, None)))))
    assert (finding.severity, finding.overwhelming) == (Severity.ERROR, True)
    assert (finding.stretch.onset, finding.stretch.onset_interval, finding.stretch.end) == (
        271 * 50,
        (270 * 50, 271 * 50),
        None,
    )
    assert finding.params["tag"] == "loss_D"
    assert measured(finding) == pytest.approx({"share of points that are not finite": 130 / 400})
    assert finding.evidence[0].kind is Kind.GAME


def test_a_loss_that_is_nan_at_its_last_point_ended_the_run() -> None:
    assert one_finding(sick(run_of(loss_G=holed(-1)))).severity is Severity.ERROR


def test_a_nan_that_recovered_is_a_warning_with_its_end() -> None:
    finding = one_finding(sick(run_of(loss_D=holed(100, 101, 250))))
    assert finding.severity is Severity.WARNING
    assert (finding.stretch.onset, finding.stretch.end) == (101 * 50, 251 * 50)


@pytest.mark.parametrize("where", [(100, 200), (0, 200), (100, 399)])
def test_odd_steps_skipped_under_mixed_precision_are_no_illness(where: tuple[int, ...]) -> None:
    finding = one_finding(sick(run_of(grad_norm_G=holed(*where, by=float("inf")))))
    assert (finding.severity, finding.overwhelming) == (Severity.INFO, False)


@pytest.mark.parametrize(("count", "severity"), [(8, Severity.INFO), (9, Severity.WARNING)])  # 2% of 400
def test_many_skipped_steps_are_a_warning(count: int, severity: Severity) -> None:
    where = range(50, 50 + 7 * count, 7)
    assert one_finding(sick(run_of(grad_norm_G=holed(*where, by=float("inf"))))).severity is severity


def test_a_first_point_before_the_scale_settled_is_info() -> None:
    assert one_finding(sick(run_of(grad_norm_G=holed(0)))).severity is Severity.INFO
    assert one_finding(sick(run_of(loss_D=holed(0)))).severity is Severity.INFO


def test_one_point_alone_tells_nothing() -> None:
    assert one_finding(sick(make_run({"loss_D": [np.nan]}))).severity is Severity.INFO  # type: ignore[dict-item]


def test_of_several_the_first_to_die_is_named() -> None:
    # The gradient overflowed once at 100, long before; the loss died at 300, the gradient at 302.
    run = run_of(grad_norm_G=holed(100, slice(302, None), by=float("inf")), loss_G=holed(slice(300, None)))
    finding = one_finding(sick(run))
    assert (finding.params["tag"], finding.stretch.onset) == ("loss_G", 301 * 50)


def test_a_death_outranks_an_earlier_blip() -> None:
    run = run_of(loss_D=holed(50), loss_G=holed(slice(300, None)))
    finding = one_finding(sick(run))
    assert (finding.params["tag"], finding.severity) == ("loss_G", Severity.ERROR)


def test_a_loss_outranks_an_earlier_skipped_step() -> None:
    run = run_of(grad_norm_G=holed(50, by=float("inf")), loss_D=holed(200))
    finding = one_finding(sick(run))
    assert (finding.params["tag"], finding.severity) == ("loss_D", Severity.WARNING)


def test_nan_from_the_first_point_on() -> None:
    finding = one_finding(sick(run_of(loss_D=holed(slice(None)))))
    assert (finding.severity, finding.stretch.onset, finding.stretch.share) == (Severity.ERROR, 50, 1.0)


def test_the_series_that_ran_away_before_is_named() -> None:
    growing = CALM.copy()
    growing[285:300] *= np.geomspace(2, 1e4, 15)
    growing[300:] = np.inf
    finding = one_finding(sick(run_of(grad_norm_G=growing, loss_D=holed(slice(300, None)))))
    assert finding.params["precursor"] == "grad_norm_G"
    assert finding.stretch.onset == 301 * 50


def test_calm_series_are_no_precursors() -> None:
    assert "precursor" not in one_finding(sick(run_of(loss_D=holed(slice(300, None))))).params


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("D(x)", Kind.GAME),
        ("grad_norm_D", Kind.GRADIENTS),
        ("weight_norm/G", Kind.WEIGHTS),
        ("samples/fake_std", Kind.SAMPLES),
    ],
)
def test_every_kind_of_series_is_looked_at(tag: str, kind: Kind) -> None:
    finding = one_finding(sick(run_of(**{tag: holed(slice(200, None))})))
    assert (finding.evidence[0].kind, finding.severity) == (kind, Severity.ERROR)
