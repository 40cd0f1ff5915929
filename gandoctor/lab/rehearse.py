"""A rehearsal: the nearest configuration of the reference trainer, ill as the run is, and what cures it there.

A small GAN on simple data is not the run: it shares the loss, the optimiser, the balance and the penalties, not the
networks or the data. So it must show the same symptom first, by measured truth; if it does not, nothing is tried.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gandoctor.errors import UserError
from gandoctor.interpret.facts import FACTS
from gandoctor.judge.baseline import settings_of
from gandoctor.judge.diagnose import diagnose_run
from gandoctor.judge.diagnosis import Baseline, Diagnosis, Judged
from gandoctor.judge.prescription import facts_for
from gandoctor.judge.rules import Rule, applies
from gandoctor.lab.knobs import FAMILY, facts_of, turned, with_remedy
from gandoctor.reports.texts import clean, number, say, sentences
from gandoctor.run import Scalar
from gandoctor.stats import newcombe, wilson
from gandoctor.trainer.config import BASELINES, DATA, LogConfig, TrainConfig, baseline
from gandoctor.trainer.truth import FALSE, FILE, TRUE

VERSION = 1
SHOWN = 0.5  # the share of seeds that must be ill and show the symptom
USUAL_LR, USUAL_CLIP = 2e-4, 0.01  # of DCGAN (arXiv:1511.06434) and WGAN (arXiv:1701.07875)
_FARTHEST = 1e3  # a rate is not carried over further than by this factor

# Facts that mean the same in a small GAN as in a large one.
_AS_THEY_ARE = (
    "beta1", "beta2", "n_critic", "g_steps", "weight_decay", "spectral_norm", "batch_norm_D", "dropout_D",
    "label_smoothing", "instance_noise", "packing", "grad_clip", "lr_schedule", "optimizer",
)  # fmt: skip
_SCALED = ("lr_G", "lr_D", "penalty_weight", "clip_value")  # by how far they stand from what is usual
_OWN_ONLY = ("batch_size", "z_dim")  # only where the run is one of the trainer's
# Values that change nothing, or are not to be carried over so: the trainer has Adam and what stands on it.
_OFF: dict[str, tuple[Scalar, ...]] = {
    "label_smoothing": (0,), "grad_clip": (0,), "instance_noise": (0,), "optimizer": ("rmsprop",),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Carried:
    """A fact of the run, and what stands for it in the rehearsal. assumed: the run does not tell it."""

    fact: str
    own: Scalar
    here: Scalar
    assumed: bool = False


@dataclass(frozen=True, slots=True)
class Tried:
    """A remedy, or the control: of so many seeds, the cured ones and those without the symptom."""

    remedy: str
    cured: int
    gone: int
    tried: int


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What came of it.

    carried: what was taken over. left: facts of the run that have no counterpart. ill, shown: of `seeds` runs
    without a change, those that were ill, and those that showed the symptom. tried: empty unless reproduced.
    skipped: remedies that the trainer cannot make.
    """

    path: Path
    code: str
    config: TrainConfig
    carried: tuple[Carried, ...]
    left: tuple[str, ...]
    seeds: int
    ill: int
    shown: int
    control: Tried
    tried: tuple[Tried, ...] = ()
    skipped: tuple[str, ...] = ()

    @property
    def reproduced(self) -> bool:
        """Whether enough seeds were ill and showed the run's symptom."""
        return min(self.ill, self.shown) >= SHOWN * self.seeds


Tell = Callable[[str], None]


def rehearse(
    diagnosis: Diagnosis, rules: Mapping[str, Rule], *, seeds: int = 5, top: int = 3, steps: int | None = None,
    tell: Tell = lambda text: None,
) -> Rehearsal:  # fmt: skip
    """Rehearse a diagnosed run: `seeds` runs without a change, and with each of the `top` remedies that can be made.

    tell: called with what is being trained. Raises UserError where the run has no primary symptom.
    """
    if diagnosis.primary is None:
        raise UserError("there is no symptom to rehearse", where=str(diagnosis.run.path))
    code = diagnosis.primary.finding.code
    facts = _facts(diagnosis, diagnosis.primary)
    config, carried, left = nearest_config(facts, diagnosis.baseline)
    config = replace(config, steps=steps or config.steps)
    with tempfile.TemporaryDirectory() as root:
        tell("")
        runs = _train(config, seeds, Path(root) / "control")
        shown = sum(_shows(truth, folder, code) for truth, folder in runs)
        first = Rehearsal(
            diagnosis.run.path, code, config, carried, left, seeds,
            sum(truth["outcome"] == "ill" for truth, _ in runs), shown, _counted("", runs, code),
        )  # fmt: skip
        if not first.reproduced:
            return first
        tried: list[Tried] = []
        skipped: list[str] = []
        for id in (remedy.id for remedy in diagnosis.prescription if remedy.code == code):
            remedy = next(one for one in rules[code].remedies if one.id == id)
            made = with_remedy(config, remedy) if applies(remedy, facts_of(config)) else None
            if made is None:
                skipped.append(id)
            elif len(tried) < top:
                tell(id)
                tried.append(_counted(id, _train(made, seeds, Path(root) / id), code))
    return replace(first, tried=tuple(tried), skipped=tuple(skipped))


def _facts(diagnosis: Diagnosis, primary: Judged) -> dict[str, Scalar]:
    pair = primary.finding.subject.pair
    return facts_for(next((view for view in diagnosis.views if view.pair == pair), diagnosis.views[0]))


def nearest_config(
    facts: Mapping[str, Scalar], published: Baseline | None = None
) -> tuple[TrainConfig, tuple[Carried, ...], tuple[str, ...]]:
    """The trainer's configuration that is to this family's healthy one as the run is to what is usual.

    Where the run is one of the trainer's, on its data, numbers are taken as they are; else rates and weights by their
    distance from the nearest published setting. Returns it, what was carried over, and the facts left behind.
    """
    known = {name: value for name, value in facts.items() if value not in (None, "unknown")}
    own = str(known.get("data", "")) in DATA
    data = str(known["data"]) if own else "glyphs"
    named = str(known.get("family", ""))
    family = FAMILY.get(named, "ns")
    if (family, data) not in BASELINES:
        data = "glyphs"
    config = baseline(family, data)
    carried = [
        Carried("family", named or None, _told(config)["family"], named not in FAMILY),
        Carried("data", known.get("data"), data, not own),
    ]
    changes: dict[str, Scalar] = {}
    penalty = known.get("penalty")
    if penalty == "gp" and family != "wgan-gp":
        penalty = None  # a critic's penalty on another loss has no counterpart
    if penalty is not None and penalty != _told(config)["penalty"]:
        changes["penalty"] = penalty
    for name in _AS_THEY_ARE:
        if name in known and known[name] not in _OFF.get(name, ()):
            changes[name] = _schedule(known[name]) if name == "lr_schedule" else known[name]
    for name in _OWN_ONLY:
        if own and name in known:
            changes[name] = known[name]
    start = turned(config, {"penalty": changes.pop("penalty")} if "penalty" in changes else {}) or config
    for name in _SCALED:
        if name in known and (here := _told(start).get(name)) is not None:
            changes[name] = known[name] if own else _scaled(name, known[name], here, published)
    made, left = start, []
    for name, value in changes.items():
        changed = turned(made, {name: value})
        if changed is None:
            left.append(name)
            continue
        made = replace(changed, noise_end=1.0) if name == "instance_noise" else changed
        carried.append(Carried(name, known[name], value))
    if penalty is not None:
        carried.append(Carried("penalty", penalty, _told(made)["penalty"]))
    done = {one.fact for one in carried} | {"lr_ratio", "steps", "conditional", "family", "data"}
    told = _told(made)
    left += [
        name
        for name, value in known.items()
        if name in FACTS and name not in done and value not in (False, 0, "none", told.get(name))
    ]
    return made, tuple(carried), tuple(dict.fromkeys(left))


def _told(config: TrainConfig) -> dict[str, Scalar]:
    return facts_of(config)


def _schedule(value: Scalar) -> str:
    """The trainer's word for a schedule: all that end low are linear to it."""
    return str(value) if value in ("constant", "warmup") else "linear"


def _scaled(name: str, value: Scalar, here: Scalar, published: Baseline | None) -> float:
    """The trainer's healthy value times the run's over the usual one."""
    usual: Scalar = settings_of(published.id).get(name) if published else None
    usual = usual or {"lr_G": USUAL_LR, "lr_D": USUAL_LR, "clip_value": USUAL_CLIP}.get(name, value)
    if not (
        isinstance(value, int | float) and isinstance(usual, int | float) and isinstance(here, int | float)
    ):
        return float(here or 0)
    factor = value / usual if usual else 1.0
    return float(f"{here * min(max(factor, 1 / _FARTHEST), _FARTHEST):.6g}")


def _train(config: TrainConfig, seeds: int, root: Path) -> list[tuple[Mapping[str, Any], Path]]:
    from gandoctor.trainer import train_many

    log = LogConfig(format="csv", images=0, checkpoints=0)
    folders = [root / f"run{seed}" for seed in range(seeds)]
    train_many([replace(config, seed=seed, log=log) for seed in range(seeds)], folders)
    return [(json.loads((folder / FILE).read_text(encoding="utf-8")), folder) for folder in folders]


def _state(truth: Mapping[str, Any], code: str) -> str:
    state: str = truth["codes"].get(code, {}).get("state", "")
    return state


def _shows(truth: Mapping[str, Any], folder: Path, code: str) -> bool:
    """Whether a run has the symptom, by truth; of a code that truth does not measure, by gandoctor itself."""
    if state := _state(truth, code):
        return state == TRUE
    from gandoctor.api import load

    primary = diagnose_run(load(folder)).primary
    return primary is not None and primary.finding.code == code


def _counted(id: str, runs: Sequence[tuple[Mapping[str, Any], Path]], code: str) -> Tried:
    return Tried(
        id,
        sum(truth["outcome"] == "healthy" for truth, _ in runs),
        sum(_state(truth, code) == FALSE or (not _state(truth, code) and not _shows(truth, folder, code))
            for truth, folder in runs),
        len(runs),
    )  # fmt: skip


# --- what is said ----------------------------------------------------------------------------------------


def as_json(done: Rehearsal, lang: str = "en") -> str:
    """The rehearsal as JSON; `version` grows with any change that breaks a reader."""

    def remedy(one: Tried) -> dict[str, Any]:
        lift = newcombe(one.cured, one.tried, done.control.cured, done.control.tried)
        return {
            "id": one.remedy, "cured": one.cured, "gone": one.gone, "tried": one.tried,
            "interval": [round(bound, 3) for bound in wilson(one.cured, one.tried)],
            "lift_interval": [round(bound, 3) for bound in lift],
        }  # fmt: skip

    record = {
        "version": VERSION,
        "run": clean(done.path.as_posix()),
        "code": done.code,
        "reproduced": done.reproduced,
        "seeds": done.seeds,
        "ill": done.ill,
        "shown": done.shown,
        "configuration": _told(done.config),
        "carried": [
            {"fact": one.fact, "run": one.own, "rehearsal": one.here, "assumed": one.assumed}
            for one in done.carried
        ],
        "left": list(done.left),
        "control": {"cured": done.control.cured, "gone": done.control.gone, "tried": done.control.tried},
        "remedies": [remedy(one) for one in done.tried],
        "skipped": list(done.skipped),
        "caveat": say("rehearse-caveat", lang),
    }  # fmt: skip
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def as_text(done: Rehearsal, rules: Mapping[str, Rule], lang: str = "en") -> str:
    """The rehearsal for a terminal."""
    rule = rules[done.code]
    lines = [
        say("rehearse-title", lang, code=done.code, title=rule.title.pick(lang), run=clean(done.path.name)),
        say(
            "rehearse-on",
            lang,
            family=done.config.family,
            data=done.config.data,
            steps=f"{done.config.steps:,}",
        ),
    ]
    unlike = [one for one in done.carried if one.own != one.here or one.assumed]
    lines += [say("rehearse-unlike", lang)] if unlike else []
    for one in unlike:
        key = "rehearse-assumed" if one.own is None else "rehearse-carried"
        own, here = (number(v) if isinstance(v, float) else clean(str(v)) for v in (one.own, one.here))
        lines.append("  " + say(key, lang, fact=one.fact, own=own, here=here))
    if done.left:
        lines.append(say("rehearse-left", lang, facts=", ".join(done.left)))
    counts = {"seeds": done.seeds, "ill": done.ill, "shown": done.shown, "code": done.code}
    lines.append(say("rehearse-shown" if done.reproduced else "rehearse-not-shown", lang, **counts))
    if done.reproduced:
        for each in done.tried:
            change = next(r.change.pick(lang) for r in rule.remedies if r.id == each.remedy)
            low, high = wilson(each.cured, each.tried)
            lines.append("  " + say(
                "rehearse-cured", lang, remedy=each.remedy, cured=each.cured, tried=each.tried, low=100 * low,
                high=100 * high, gone=each.gone, change=change.rstrip(".。"),
            ))  # fmt: skip
        c = done.control
        lines.append("  " + say("rehearse-control", lang, cured=c.cured, tried=c.tried, gone=c.gone))
        if not done.tried:
            lines.append(say("rehearse-none", lang))
        if done.skipped:
            lines.append(say("rehearse-skipped", lang, remedies=", ".join(done.skipped)))
    lines += ["", sentences([say("rehearse-caveat", lang)], lang)]
    return "\n".join(lines) + "\n"
