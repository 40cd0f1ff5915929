"""What really happened in a run, measured on samples and on the full state, never assumed from the fault.

Two layers: `outcome`, from samples alone, and `codes`, the mechanisms. `diagnose` never reads the file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FILE = "truth.json"
LATE = 0.4  # the last 40% of a run decide
NEAR_DATA = 0.05  # share of good samples from which the modes of the rest count
Array = npt.NDArray[np.float64]

TRUE, FALSE, GREY, UNKNOWN = "true", "false", "grey", "unknown"

# Codes that make a run ill by its samples or its end; the others are mechanisms that may do no harm.
OUTCOME_CODES = ("GD105", "GD401", "GD402", "GD102", "GD201", "GD202", "GD204", "GD104")


@dataclass(frozen=True, slots=True)
class State:
    """Whether one symptom was there. onset: the step from which it held, None if it did not."""

    state: str  # "true", "false", "grey" (too near the border to score) or "unknown" (not measured)
    onset: int | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """The measured truth of one run."""

    outcome: str  # "healthy", "ill" or "grey"
    outcome_later: str  # the same after the overtime, "" where there is none
    codes: Mapping[str, State]
    acceptable_primaries: tuple[str, ...]  # a diagnosis whose primary is one of these is right
    visible: bool  # whether one of them leaves a trace in the scalars and settings that this run logs
    fault: str
    dose: float
    family: str
    data: str
    seed: int
    late: Mapping[str, float]  # medians of the sample statistics over the last 40%
    measurements: Mapping[str, Sequence[float]]  # the sample statistics, and the steps they were taken at
    seconds: float  # of training, shared by the runs that trained side by side

    def write(self, folder: Path) -> None:
        """Write truth.json into the run's folder; non-finite numbers as null."""
        record = _finite(asdict(self))
        lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(item)}" for key, item in record.items())
        (folder / FILE).write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Measured:
    """What the trainer measured along one run, the input of `conclude`.

    samples: name -> (m,) at `sample_steps`: cov, q, top, div, std, flow, auc, auc_train, slope
        (|grad C| between reals and fakes), clipped (share of D's weights at the clipping bound, NaN
        without one).
    state: name -> (n,) at `state_steps`: loss_d, loss_g, grad_d, grad_g, weight_d, weight_g, penalty.
    moved: how far each network went from its first weights, relative to their norm.
    """

    sample_steps: npt.NDArray[np.int64]
    samples: Mapping[str, Array]
    state_steps: npt.NDArray[np.int64]
    state: Mapping[str, Array]
    moved: tuple[float, float]  # G, D
    family: str

    def until(self, steps: int) -> Measured:
        """What had been measured after so many steps; `moved` is of the end of the run without its overtime."""
        early, before = self.sample_steps <= steps, self.state_steps < steps
        return replace(
            self,
            sample_steps=self.sample_steps[early],
            samples={name: values[early] for name, values in self.samples.items()},
            state_steps=self.state_steps[before],
            state={name: values[before] for name, values in self.state.items()},
        )


def conclude(measured: Measured) -> tuple[str, dict[str, State], dict[str, float]]:
    """Return the outcome, the state of each code and the late medians of a run."""
    late = {name: _late_median(values) for name, values in measured.samples.items()}
    codes = {"GD105": _non_finite(measured)}
    if codes["GD105"].state == TRUE:  # what came before is not scored: all late statistics are gone
        return "ill", codes, late
    codes |= _from_samples(measured, late)
    codes |= _from_state(measured)
    healthy = late["cov"] >= 0.85 and late["q"] >= 0.7 and late["flow"] < 0.15
    if any(codes[code].state == TRUE for code in OUTCOME_CODES) or late["q"] < 0.5:
        return "ill", codes, late
    return ("healthy" if healthy else "grey"), codes, late


def _from_samples(measured: Measured, late: Mapping[str, float]) -> dict[str, State]:
    """The symptoms that samples show, each with its limits for ill and for grey."""
    s, steps = measured.samples, measured.sample_steps
    still = measured.moved[0] < 1e-3 or measured.moved[1] < 1e-3
    half = len(steps) // 2
    gain = float(np.median(s["q"][-3:]) - np.median(s["q"][half - 1 : half + 2]))
    flat = (s["flow"] < 0.1) & (gain < 0.05)

    def code(ill: npt.NDArray[np.bool_], late_ill: bool, late_grey: bool) -> State:
        if late_ill:
            return State(TRUE, _onset(steps, ill))
        return State(GREY if late_grey else FALSE)

    # The nearest mode of samples that lie near none says nothing of collapse: grey.
    one = (s["div"] < 0.35) | ((s["top"] >= 0.5) & (s["q"] >= NEAR_DATA))
    codes = {
        "GD401": code(
            one,
            late["div"] < 0.35 or (late["top"] >= 0.5 and late["q"] >= NEAR_DATA),
            late["div"] < 0.5 or late["top"] >= 0.35,
        )
    }
    collapsed = codes["GD401"].state == TRUE
    codes["GD402"] = code(
        ~one & (s["cov"] <= 0.75) & (s["q"] >= 0.25),
        not collapsed and late["cov"] <= 0.75 and late["q"] >= 0.25,
        not collapsed and late["cov"] <= 0.85 and late["q"] >= 0.25,
    )
    codes["GD102"] = code(s["flow"] >= 0.25, late["flow"] >= 0.25, late["flow"] >= 0.15)
    codes["GD201"] = code(
        (s["auc"] >= 0.95) & (s["q"] < 0.3),
        late["auc"] >= 0.95 and late["q"] < 0.3,
        late["auc"] >= 0.9 and late["q"] < 0.5,
    )
    codes["GD202"] = code(
        (s["auc"] <= 0.65) & (s["q"] < 0.5) & (s["flow"] >= 0.25),
        late["auc"] <= 0.65 and late["q"] < 0.5 and late["flow"] >= 0.25,
        late["auc"] <= 0.75 and late["q"] < 0.5 and late["flow"] >= 0.1,
    )
    codes["GD204"] = State(TRUE, 0) if still else State(GREY if min(measured.moved) < 1e-2 else FALSE)
    other = still or codes["GD201"].state == TRUE
    codes["GD104"] = code(
        flat & (s["q"] < 0.5),
        not other and late["q"] < 0.5 and late["flow"] < 0.1 and gain < 0.05,
        not other and late["q"] < 0.7 and late["flow"] < 0.15,
    )
    gap = s["auc_train"] - s["auc"]
    late_gap = late["auc_train"] - late["auc"]
    codes["GD203"] = code(gap >= 0.1, late_gap >= 0.1, late_gap >= 0.05)
    return codes


def _from_state(measured: Measured) -> dict[str, State]:
    """The mechanisms that losses, gradients and weights show."""
    steps, state = measured.state_steps, measured.state
    settled = (steps >= 0.1 * steps[-1]) & (steps <= 0.3 * steps[-1])
    bounded = not measured.family.startswith("wgan")  # losses with a value at equilibrium
    settled |= not settled.any()  # a run of a few steps has no such stretch
    codes: dict[str, list[State]] = {"GD301": [], "GD302": [], "GD101": [], "GD601": []}

    def grows(values: Array, factor: float, ceiling: float, border: float = 3.0) -> State:
        """Late median over `factor` times the settled one, or over a ceiling that no healthy run nears.

        Within a factor `border` below the limit: grey.
        """
        limit = min(factor * max(float(np.median(values[settled])), 1e-12), ceiling)
        late = _late_median(values)
        if late > limit:
            return State(TRUE, _onset(steps, values > limit))
        return State(GREY if late > limit / border else FALSE)

    def vanishes(values: Array) -> State:
        limit = max(1e-3 * float(np.median(values[settled])), 1e-6)
        late = _late_median(values)
        if late < limit:
            return State(TRUE, _onset(steps, values < limit))
        return State(GREY if late < 3 * limit else FALSE)

    for net in ("d", "g"):
        codes["GD301"].append(vanishes(state[f"grad_{net}"]))
        codes["GD302"].append(grows(state[f"grad_{net}"], 10, 100 if bounded else np.inf))
        codes["GD101"].append(grows(np.abs(state[f"loss_{net}"]), 10, 30 if bounded else 100))
        codes["GD601"].append(grows(state[f"weight_{net}"], 4, np.inf, border=2))
    found = {code: _worst(states) for code, states in codes.items()}
    if measured.family == "wgan-gp":  # the penalty's target is |grad C| = 1; healthy runs end below 2
        slope = measured.samples["slope"]
        far = np.maximum(slope, 1 / np.maximum(slope, 1e-12))
        late = _late_median(far)
        onset = _onset(measured.sample_steps, far > 4)
        found["GD604"] = State(TRUE, onset) if late > 4 else State(GREY if late > 2 else FALSE)
    clipped = measured.samples["clipped"]
    if np.isfinite(clipped).all():
        share = _late_median(clipped)
        onset = _onset(measured.sample_steps, clipped >= 0.6)
        found["GD603"] = State(TRUE, onset) if share >= 0.6 else State(GREY if share >= 0.45 else FALSE)
    return found


def _worst(states: Sequence[State]) -> State:
    """The state of a code that holds if it holds for either network; the earlier onset."""
    true = [state for state in states if state.state == TRUE]
    if true:
        return min(true, key=lambda state: state.onset or 0)
    return State(GREY if any(state.state == GREY for state in states) else FALSE)


def _non_finite(measured: Measured) -> State:
    bad = np.zeros(len(measured.state_steps), bool)
    for values in measured.state.values():
        bad |= ~np.isfinite(values)
    return State(TRUE, int(measured.state_steps[bad.argmax()])) if bad.any() else State(FALSE)


def _onset(steps: npt.NDArray[np.int64], ill: npt.NDArray[np.bool_]) -> int | None:
    """The first step from which a condition holds on at least 80% of the measurements to the end.

    A symptom that comes and goes may never hold so well, though it holds at the late median: then half
    of them will do.
    """
    left = np.arange(len(ill), 0, -1)
    share = np.cumsum(ill[::-1])[::-1] / left
    for enough in (0.8, 0.5):
        holds = ill & (share >= enough)
        if holds[:-1].any():  # the last measurement alone is no onset
            return int(steps[holds.argmax()])
    return int(steps[ill.argmax()]) if ill.any() else None


def _late_median(values: Array) -> float:
    return float(np.median(values[-max(1, round(LATE * len(values))) :]))


def primaries(
    codes: Mapping[str, State],
    causes: Sequence[str],
    known: Sequence[str],
    auc: float,
    visible: Callable[[str], bool],
) -> tuple[str, ...]:
    """The codes that count as a right primary: the fault's causes that are true, else all true codes.

    A cause that is grey is not scored as wrong. GD201 is true only where the samples are bad; of a fault
    that makes D too strong it is a right name also where G is left with one good mode: D parts reals from
    fakes there too. Where none of these is visible in what the run logs, its visible consequences count as
    well: the primary is the earliest cause visible. auc: late median, over the reals of training, which are
    those that a log shows.
    """
    true = {code for code, state in codes.items() if state.state == TRUE}
    grey = {code for code, state in codes.items() if state.state == GREY}
    won = {"GD201"} if auc >= 0.95 else set()
    right = tuple(code for code in causes if code in true | grey | won or code in known)
    if not set(right) & (true | won | set(known)):
        right += tuple(sorted(true.difference(right)))
    if any(map(visible, right)):
        return right
    return right + tuple(code for code in sorted(true) if visible(code))


def _finite(value: Any) -> Any:
    """Replace non-finite numbers, which JSON does not have, by None."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
