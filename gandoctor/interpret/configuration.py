"""From the configuration beside the logs to facts: `optim_d.lr: 0.0004` → lr_D = 0.0004."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from gandoctor.interpret.facts import FACTS
from gandoctor.run import Run, Scalar, Setting


@dataclass(frozen=True, slots=True)
class FactValue:
    """A fact of this run. source: where it comes from ("config.json: lr_g", "the logs", "you").

    measured: whether it was read off saved networks and optimisers, not off a configuration.
    """

    value: Scalar
    source: str
    measured: bool = False


_G = r"(?:g|gen|generator|netg|optg|g_?opt\w*|optim\w*_?g)"
_D = r"(?:d|dis|disc|discriminator|netd|critic|optd|d_?opt\w*|optim\w*_?d)"
_LR = r"(?:lr|learning_?rate|init_lr)"
# Fact → patterns of a setting's whole name (lower case, parts joined with dots), surest first.
_NAMES: dict[str, tuple[str, ...]] = {
    "lr_G": (rf"{_LR}_?{_G}", rf"{_G}_?{_LR}", rf"{_G}\b[\w.]*\.{_LR}"),
    "lr_D": (rf"{_LR}_?{_D}", rf"{_D}_?{_LR}", rf"{_D}\b[\w.]*\.{_LR}"),
    "beta1_G": (rf"beta_?1_?{_G}", rf"{_G}_?b(?:eta)?_?1", rf"{_G}\b[\w.]*\.(?:betas\.0|beta_?1)"),
    "beta1_D": (rf"beta_?1_?{_D}", rf"{_D}_?b(?:eta)?_?1", rf"{_D}\b[\w.]*\.(?:betas\.0|beta_?1)"),
    "beta1": (r"(?:adam_?)?beta_?1", r"b1", r"betas\.0", r"\w+\.betas\.0"),
    "beta2": (r"(?:adam_?)?beta_?2", r"b2", r"betas\.1", r"\w+\.betas\.1"),
    "optimizer": (r"optim(?:izer)?(?:_?g)?", r"opt(?:imizer)?\.(?:name|type|class_name)"),
    "optimizer_D": (r"optim(?:izer)?_?d",),
    "batch_size": (r"(?:train_?|total_?)?batch_?size", r"batch", r"bs", r"batch_?size_?per_?gpu", r"[\w.]+\.batch_?size"),
    "n_critic": (r"n_?critic", r"critic_?(?:iters?|steps|iterations)", r"(?:num_?)?d_?(?:steps|iters|updates)", r"n_?dis",
                 r"n_?d_?steps"),
    "g_steps": (r"(?:num_?|n_?)?g_?(?:steps|iters|updates)", r"n_?gen"),
    "family": (r"gan_?mode", r"gan_?type", r"(?:gan|adv|adversarial)_?loss(?:_?type)?", r"loss_?(?:type|fn|mode|name)?",
               r"objective", r"loss_?family", r"[\w.]+\.gan_type", r"model"),
    "penalty": (r"(?:grad(?:ient)?_?)?penalty(?:_?type)?", r"regulari[sz](?:er|ation)"),
    "penalty_weight": (r"lambda_?gp", r"gp_?(?:weight|lambda|coef\w*)", r"r1_?gamma", r"[\w.]+\.r1_gamma", r"gamma_?r1",
                       r"r1_?(?:weight|lambda)", r"penalty_?(?:weight|lambda)", r"(?:lambda|gp)_?penalty", r"gamma"),
    "clip_value": (r"clip_?value", r"weight_?clip(?:ping)?(?:_?(?:value|limit))?", r"clip_?(?:limit|c)", r"clip"),
    "spectral_norm": (r"(?:use_?)?(?:spectral_?norm(?:ali[sz]ation)?|sn)(?:_?d)?", r"d_?(?:sn|spectral_?norm)"),
    "weight_decay": (r"(?:\w+\.)?weight_?decay(?:_?d)?", r"wd"),
    "label_smoothing": (r"(?:one_?sided_?)?label_?smooth(?:ing)?",),
    "instance_noise": (r"(?:instance|input|d)_?noise(?:_?(?:std|sigma))?",),
    "dropout_D": (r"d_?dropout", r"dropout_?d(?:isc\w*)?", r"disc\w*_?dropout"),
    "augmentation": (r"aug(?:ment(?:ation)?)?", r"diff_?aug(?:ment)?", r"ada", r"[\w.]+\.aug"),
    "amp": (r"(?:use_?)?(?:amp|mixed_?precision)", r"(?:\w+\.)?fp16(?:_?run)?"),
    "precision": (r"precision", r"dtype"),
    "batch_norm_D": (r"(?:use_?)?(?:bn|batch_?norm)_?d", r"d_?(?:bn|batch_?norm)"),
    "batch_norm_G": (r"(?:use_?)?(?:bn|batch_?norm)_?g", r"g_?(?:bn|batch_?norm)"),
    "n_subdiscriminators": (r"num_?d", r"n_?(?:sub_?)?discriminators",),
    "adversarial_weight": (r"(?:lambda|w|weight)_?(?:gan|adv\w*)", r"(?:gan|adv\w*)_?(?:weight|lambda|coef\w*)",
                           r"disc_?weight", r"[\w.]+\.gan_opt\.loss_weight"),
    "d_start_step": (r"disc_?start", r"discriminator_?(?:train_?)?start(?:_?steps?)?", r"d_?start_?(?:step|iter)s?",
                     r"[\w.]+\.disc_start", r"(?:\w+\.)?net_d_init_iters"),
    "packing": (r"pac", r"packing",),
    "ema": (r"(?:use_?)?ema",),
    "ema_decay": (r"(?:g_?)?ema_?(?:decay|beta|rate|momentum)(?:_?g)?", r"(?:decay|beta)_?ema", r"polyak\w*"),
    "z_dim": (r"(?:z|latent|noise)_?dim(?:s|ension)?", r"n?z", r"latent_?(?:size|vector_?size)", r"[\w.]+\.z_dim"),
    "grad_clip": (r"(?:grad(?:ient)?_?clip(?:ping)?|clip_?grad(?:ient)?)(?:_?(?:norm|val(?:ue)?|max_norm))?",
                  r"max_?grad_?norm"),
    "steps": (r"(?:total_?|max_?|num_?|n_?)?(?:steps|iter(?:ation)?s)", r"total_?iter", r"max_?iter"),
    "data": (r"data_?set(?:_?name)?", r"data", r"data_?root"),
    "lr_schedule": (r"lr_?(?:policy|schedul(?:e|er)|decay_?type)", r"schedul(?:e|er)"),
}  # fmt: skip
_COMPILED = {fact: tuple(re.compile(p) for p in patterns) for fact, patterns in _NAMES.items()}
_BOTH_RATES = re.compile(rf"(?:\w+\.)*{_LR}")
_FAMILY_WORDS = (
    (r"wgan[-_ ]?gp|gradient", "wgan-gp"), (r"wgan|wasserstein", "wgan"), (r"ls[-_ ]?gan|least|mse", "lsgan"),
    (r"hinge", "hinge"), (r"ra[-_ ]?gan|rp[-_ ]?gan|relativ|rpgan", "relativistic"),
    (r"minimax|^mm$|^saturating|zero[-_ ]?sum", "minimax"),
    (r"vanilla|bce|^ns|non[-_ ]?sat|logistic|softplus|^gan$|dcgan|standard", "non-saturating"),
)  # fmt: skip


def facts_of(run: Run) -> dict[str, FactValue]:
    """What the configuration beside the logs says, by the vocabulary of `facts.py`."""
    return facts_in(run.settings)


def facts_in(settings: Mapping[str, Setting]) -> dict[str, FactValue]:
    """What settings say, by the vocabulary of `facts.py`.

    A value that does not fit its fact (a word where a number belongs, a number out of range) is left
    out. Where several settings could give a fact, the surest name wins, then the shortest.
    """
    found: dict[str, tuple[tuple[int, int], FactValue]] = {}
    for name, setting in settings.items():
        plain = re.sub(r"[-\s/]", "_", name.strip()).lower()
        for fact, patterns in _COMPILED.items():
            rank = next((n for n, pattern in enumerate(patterns) if pattern.fullmatch(plain)), None)
            if rank is None:
                continue
            value = _value(fact, setting.value)
            key = (rank, len(name))
            if value is not None and (fact not in found or key < found[fact][0]):
                found[fact] = (key, FactValue(value, f"{setting.source.name}: {name}"))
    facts = {fact: value for fact, (_, value) in found.items()}
    _shared_rates(settings, facts)
    _flags(settings, facts)
    return {**facts, **ratio_of(facts)}


def _value(fact: str, raw: Scalar) -> Scalar:
    """A setting's value as the fact's kind, or None if it does not fit."""
    known = FACTS[fact]
    if fact == "family":
        return _family(raw)
    if known.kind == "flag":
        if isinstance(raw, str) and raw.strip().lower() in (
            "true",
            "yes",
            "on",
            "false",
            "no",
            "off",
            "none",
        ):
            return raw.strip().lower() in ("true", "yes", "on")
        return bool(raw) if isinstance(raw, bool | int | float) else None
    if known.numeric:
        return _number(fact, raw)
    if not isinstance(raw, str) or not raw.strip():
        return None
    word = raw.strip().lower()
    return word if not known.choices or word in known.choices else None if fact != "optimizer" else "other"


def _number(fact: str, raw: Scalar) -> Scalar:
    known = FACTS[fact]
    if isinstance(raw, str):
        try:
            raw = float(raw)
        except ValueError:
            return None
    if raw is None or isinstance(raw, bool) or not math.isfinite(raw) or not known.low <= raw <= known.high:
        return None
    return int(raw) if known.kind == "integer" else float(raw)


def _family(raw: Scalar) -> str | None:
    if not isinstance(raw, str):
        return None
    text = raw.strip().lower()
    return next((family for pattern, family in _FAMILY_WORDS if re.search(pattern, text)), None)


def _shared_rates(settings: Mapping[str, Setting], facts: dict[str, FactValue]) -> None:
    """One learning rate for both networks, where none is given for one of them."""
    one = [*_COMPILED["lr_G"], *_COMPILED["lr_D"]]
    for name in sorted(settings, key=len):
        if (
            _BOTH_RATES.fullmatch(name.lower())
            and not any(pattern.fullmatch(name.lower()) for pattern in one)
            and (value := _number("lr_G", settings[name].value)) is not None
        ):
            source = FactValue(value, f"{settings[name].source.name}: {name}")
            facts.setdefault("lr_G", source)
            facts.setdefault("lr_D", source)
            return


def _flags(settings: Mapping[str, Setting], facts: dict[str, FactValue]) -> None:
    """Old pix2pix: `no_lsgan: True` means vanilla."""
    for name, setting in settings.items():
        if name.lower() == "no_lsgan" and "family" not in facts:
            vanilla = str(setting.value).lower() == "true"
            facts["family"] = FactValue(
                "non-saturating" if vanilla else "lsgan", f"{setting.source.name}: {name}"
            )


def ratio_of(facts: Mapping[str, FactValue]) -> dict[str, FactValue]:
    """lr_ratio, where both learning rates are known."""
    g, d = facts.get("lr_G"), facts.get("lr_D")
    if (
        g is None
        or d is None
        or not isinstance(g.value, float)
        or not isinstance(d.value, float)
        or g.value <= 0
    ):
        return {}
    return {"lr_ratio": FactValue(d.value / g.value, d.source, measured=g.measured and d.measured)}
