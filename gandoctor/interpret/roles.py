"""What a tag means: network, quantity, part, layer, pair.

A tag is cut into words (`lossD_epoch` → loss, d, epoch), the words are looked up in the tables below,
and a few well-known spellings that words cannot tell (`D(G(z))`) stand in a table of their own.
The names are those of the field's repositories; the user's word (`--map TAG=ROLE`) outranks them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from gandoctor.errors import UserError

QUANTITIES = (
    "loss", "heldout_loss", "score", "score_std", "accuracy", "pair_accuracy", "sign_rate", "grad_norm",
    "weight_norm", "step_norm", "penalty", "lr", "sample_std", "diversity", "metric", "augment_p",
    "loss_scale", "balance", "time", "progress", "probed", "other",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Role:
    """The meaning of one tag.

    network: "G", "D" or "-". quantity: one of QUANTITIES.
    part: "real", "fake", "total", "adversarial", "auxiliary", or the name of a metric ("fid").
    certainty: 0 to 1. how: "name", "values" or "you".
    """

    network: str
    quantity: str
    part: str = ""
    layer: str = ""
    pair: str = ""
    certainty: float = 1.0
    how: str = "name"

    def __str__(self) -> str:
        """`D.loss.real`: network, quantity, part, layer, as in `--map TAG=ROLE`."""
        return ".".join(filter(None, (self.network, self.quantity, self.part, self.layer)))


OTHER = Role("-", "other", certainty=0.0)

_D_OUTPUT = frozenset(
    {"score", "scores", "logit", "logits", "out", "output", "outputs", "pred", "preds", "prob", "probs"}
)

# Spellings that words cannot tell, on the tag without case and without its folders.
_SPELLINGS: tuple[tuple[re.Pattern[str], Role], ...] = tuple(
    (re.compile(pattern), role)
    for pattern, role in (
        (r"^d\(x\)|^d_x_?$|^dx$|^score_d$|^real_score$|^d_real_score$", Role("D", "score", "real")),
        (r"^d\(g\(z\)\)|^d_g_z_*\d?_*$|^dgz\d?$|^score_g$|^fake_score$|^d_fake_score$", Role("D", "score", "fake")),
        (r"^(w_dist|w_distance|wasserstein|wasserstein[_ -]?d(ist(ance)?)?|emd?_distance|em_dist)$",
         Role("D", "balance", "distance")),
        (r"^(k|kt|k_t)$", Role("-", "balance", "k")),
        (r"^d_g$", Role("D", "loss", "fake")),
        (r"^(d|disc|discriminator)_(weight|factor|start)$", Role("-", "other")),
        (r"^(measure|m_global|convergence([_ ]measure)?|global_measure)$", Role("-", "metric", "began-measure")),
    )
)  # fmt: skip

# What `gandoctor probe` writes: a measure of G's samples at a snapshot, some by layer.
_PROBED = re.compile(r"probe/G/(?P<what>[a-z_]+)(?:/(?P<layer>.+))?")

_D = frozenset(
    {"d", "disc", "discriminator", "dis", "discr", "critic", "netd", "dnet", "discrim", "descriminator"}
)
_G = frozenset({"g", "gen", "generator", "netg", "gnet", "generators", "actor"})
_LOSS = frozenset({"loss", "losses", "err", "error", "cost", "criterion", "objective"})
_REAL = frozenset({"real", "reals", "r", "true", "gt", "x"})
_FAKE = frozenset({"fake", "fakes", "generated", "synth", "synthetic", "gz"})
_ADVERSARIAL = frozenset({"gan", "adv", "adversarial", "hinge", "ragan", "wgan"})
_TOTAL = frozenset({"total", "all", "sum", "full", "overall", "combined"})
_AUXILIARY = frozenset(
    {
        "l1", "l2", "mse", "mae", "huber", "pix", "pixel", "pixelwise", "vgg", "percep", "perceptual", "feat",
        "feature", "features", "fm", "mel", "kl", "dur", "duration", "cycle", "cyc", "idt", "identity", "id",
        "ident", "rec", "recon", "recons", "reconstruction", "cls", "class", "classification", "aux", "style",
        "content", "tv", "mono", "s2s", "slm", "ce", "color", "colour", "edge", "match", "matching", "ds",
        "pl", "path", "ortho", "info", "condition", "texture", "gram", "nce", "geom", "mask", "seg", "bce_aux",
        "stft", "f0", "pitch", "charbonnier", "commit", "codebook", "latent", "kld", "supervised",
    }
)  # fmt: skip
_PENALTY = frozenset({"gp", "penalty", "r1", "r2", "gradient_penalty", "gradpen", "slope"})
_HELDOUT = frozenset({"val", "valid", "validation", "dev", "test", "eval", "heldout"})
_STEPWISE = frozenset(
    {"epoch", "step", "iter", "train", "training", "avg", "mean", "running", "batch", "smooth"}
)
_TIME = frozenset(
    {"time", "sec", "secs", "seconds", "hours", "days", "elapsed", "eta", "fps", "timing", "runtime", "timestamp",
     "ms", "speed", "throughput", "resources", "memory", "mem", "gb", "gpu", "cpu", "walltime", "duration_sec"}
)  # fmt: skip
_PROGRESS = frozenset({"epoch", "epochs", "kimg", "tick", "iteration", "iterations", "iters", "iter", "nimg", "step",
                       "steps", "global"})  # fmt: skip
METRICS: dict[str, bool] = {  # name → whether higher is better
    "fid": False, "kid": False, "is": True, "inception": True, "psnr": True, "ssim": True, "lpips": False,
    "precision": True, "recall": True, "density": True, "coverage": True, "ppl": False, "fvd": False, "miou": True,
    "swd": False, "mmd": False, "nll": False, "prd": True, "mode_coverage": True, "modes": True, "mel": False,
    "began-measure": False, "clip_score": True, "quality": True,
}  # fmt: skip
_METRIC_WORDS = {
    "fid": "fid", "fid50k": "fid", "kid": "kid", "kid50k": "kid", "inception": "is", "psnr": "psnr",
    "lpips": "lpips", "precision": "precision", "recall": "recall", "density": "density", "coverage": "coverage",
    "ppl": "ppl", "ppl2": "ppl", "fvd": "fvd", "fvd2048": "fvd", "swd": "swd", "mmd": "mmd", "prd": "prd",
    "modes": "modes", "pr50k3": "precision", "is50k": "is", "miou": "miou", "quality": "quality",
}  # fmt: skip
_DIVERSITY = frozenset({"diversity", "vendi", "msssim", "duplicates", "duplicate", "uniqueness"})
# Two words that code writes as one.
_GLUED = {
    "dloss": "d loss", "gloss": "g loss", "lossd": "loss d", "lossg": "loss g", "errd": "err d", "errg": "err g",
    "dreal": "d real", "dfake": "d fake", "lossgan": "loss gan", "ganloss": "gan loss", "lossdis": "loss dis",
    "lossgen": "loss gen", "genloss": "gen loss", "disloss": "dis loss", "discloss": "disc loss",
    "derr": "d err", "gerr": "g err", "lrg": "lr g", "lrd": "lr d", "glr": "g lr", "dlr": "d lr", "dacc": "d acc",
    "gacc": "g acc", "accd": "acc d", "accg": "acc g", "dcost": "d cost", "gcost": "g cost", "advloss": "adv loss",
    "lossadv": "loss adv", "criticloss": "critic loss", "gradnorm": "grad norm", "lossdreal": "loss d real",
    "lossdfake": "loss d fake", "wdist": "w distance", "msssim": "msssim", "dlossreal": "d loss real",
    "dlossfake": "d loss fake", "realloss": "real loss", "fakeloss": "fake loss", "ganl": "gan l",
    "discriminatorloss": "discriminator loss", "generatorloss": "generator loss", "gadv": "g adv",
    "dx": "score real", "errdreal": "err d real", "errdfake": "err d fake", "ggan": "g gan", "lossgp": "loss gp",
}  # fmt: skip
_PAIR_WORDS = {
    "a": "A", "b": "B", "xy": "XY", "yx": "YX", "a2b": "B", "b2a": "A", "ab": "B", "ba": "A", "da": "A", "db": "B",
    "ga": "A", "gb": "B", "x2y": "Y", "y2x": "X", "s": "S", "t": "T",
}  # fmt: skip


def words(tag: str) -> list[str]:
    """The words of a tag, in lower case.

    >>> words("Train/lossD_epoch"), words("GLoss"), words("D_real+fake")
    (['train', 'loss', 'd', 'epoch'], ['g', 'loss'], ['d', 'real', 'fake'])
    """
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", tag)
    spaced = re.sub(r"([A-Z])([A-Z][a-z])", r"\1 \2", spaced)
    numbered = re.sub(r"\b([dg]|loss|err)(\d+)\b", r"\1 \2", spaced.lower().replace("_", " "))  # l_d1, g2
    found = [word for word in re.split(r"[^a-z0-9]+", numbered) if word]
    return [piece for word in found for piece in _GLUED.get(word, word).split()]


def resolve(tags: Iterable[str], given: Mapping[str, str] | None = None) -> dict[str, Role]:
    """The role of every tag. given: the user's word, tag → "D.loss.real".

    Raises UserError if the user's word names no tag or no role.
    """
    tags = list(tags)
    roles = {tag: role_of(tag) for tag in tags}
    for tag, text in (given or {}).items():
        if tag not in roles:
            hint = "the tags are: " + ", ".join(sorted(roles)[:12])
            raise UserError(f"no tag is called '{tag}'", where="--map", hint=hint)
        roles[tag] = parse_role(text)
    return _in_company(roles)


def named(given: Mapping[str, str], tags: Iterable[str]) -> dict[str, str]:
    """The user's roles by the tags that they name: a tag itself or, with `*` for anything, all that fit.

    A tag itself outranks a pattern, an earlier pattern a later one. What names no tag stays as it is.

    >>> named({"d*": "D.loss", "x": "G.loss"}, ["d1", "d2"])
    {'x': 'G.loss', 'd1': 'D.loss', 'd2': 'D.loss'}
    """
    known = list(tags)
    found = {tag: role for tag, role in given.items() if tag in known}
    for pattern, role in given.items():
        fits = [tag for tag in known if _fits(pattern, tag)] if pattern not in found else [pattern]
        if not fits:
            found = {pattern: role, **found}
        for tag in fits:
            found.setdefault(tag, role)
    return found


def names_one(pattern: str, tags: Iterable[str]) -> bool:
    """Whether a tag or pattern of the user's names any of the tags."""
    return any(tag == pattern or _fits(pattern, tag) for tag in tags)


def _fits(pattern: str, tag: str) -> bool:
    if "*" not in pattern:
        return False
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), tag, re.DOTALL) is not None


def parse_role(text: str, where: str = "--map") -> Role:
    """`D.loss.real` as a role. where: what gave it. Raises UserError if it is none."""
    network, _, rest = text.partition(".")
    quantity, _, part = rest.partition(".")
    part, _, layer = part.partition(".")
    if network not in ("G", "D", "-") or quantity not in QUANTITIES:
        raise UserError(
            f"'{text}' is no role",
            where=where,
            hint="a role is NETWORK.QUANTITY[.PART], e.g. D.loss.real, G.loss, -.metric.fid; quantities: "
            + ", ".join(QUANTITIES),
        )
    if quantity.endswith("loss") and not part:
        part = "total"
    return Role(network, quantity, part, layer, certainty=1.0, how="you")


def role_of(tag: str) -> Role:
    """The role of one tag by its name alone."""
    if found := _PROBED.fullmatch(tag.strip()):
        return Role("G", "probed", found["what"].replace("_", "-"), found["layer"] or "")
    base = re.sub(r"\.(mean|avg)$", "", tag.strip().lower())
    last = re.split(r"[/\\]", base)[-1].strip()
    if base.endswith(".std"):
        mean = role_of(base[: -len(".std")])
        return replace(mean, quantity="score_std") if mean.quantity == "score" else OTHER
    if last.isdigit() and "/" in tag:  # one number for each sub-discriminator: loss/d_r/0, loss/g/0
        inner, _, number = tag.rpartition("/")
        whole = role_of(inner)
        if whole.quantity == "loss" and whole.network != "-":
            part = "adversarial" if whole.network == "G" and whole.part == "total" else whole.part
            return replace(whole, part=part, layer=number)
    for pattern, role in _SPELLINGS:
        if pattern.search(last):
            return role
    said = words(tag)
    return _from_words(said, set(said)) if said else OTHER


# The last word of a tensor's name: what is multiplied with the inputs, and what is added or scales.
_KERNELS = re.compile(r"(weights?|kernels?|w|embeddings?)(_orig|_v|_\d+)?|weight_[ih]h_l\d+|original1?")
_ADDED = re.compile(
    r"(bias(es)?|b|beta|gamma|alpha|scale|shift|offset|weight_g|original0|bias_[ih]h_l\d+|.*_strength)(_\d+)?"
)
_GRADIENT = frozenset({"grad", "grads", "gradient", "gradients"})
_TENSORS = frozenset(
    {"weight", "weights", "param", "params", "parameter", "parameters", "variable", "variables"}
)
_PLUMBING = frozenset(
    {"module", "model", "net", "network", "histogram", "histograms", "parametrizations", "hist"}
)


def role_of_histogram(tag: str) -> Role:
    """The role of a histogram's tag: the gradient or the weights of a network or of one of its tensors.

    `gradients/netG.main.0.weight` (W&B), `netD/conv1.weight.grad` (PyTorch), `layer/kernel_0` (Keras). The
    part is "kernel" for what multiplies the inputs, "added" for biases and scales, "" for a whole network;
    OTHER for what is neither, such as activations.
    """
    # W&B glues the number of the model watched to the name: gradients/graph_1conv.weight.
    cut = re.sub(r"^(gradients|parameters)/graph_\d+", r"\1/", tag)
    pieces = [piece for piece in re.split(r"[/.\\ :]+", cut) if piece and not piece.isspace()]
    said = [words(piece) for piece in pieces]
    gradient = any(_GRADIENT & set(one) for one in said)
    # What is left of the pieces without what names the kind, and the name of the tensor at the end.
    rest = [(piece, one) for piece, one in zip(pieces, said, strict=True)
            if one and not set(one) <= _GRADIENT | _PLUMBING]  # fmt: skip
    while len(rest) > 1 and rest[-1][0].isdigit() and _part(rest[-2][0]):
        rest.pop()  # kernel:0
    part = _part(rest[-1][0]) if rest else ""
    name = rest[:-1] if part else [(p, one) for p, one in rest if not set(one) <= _TENSORS]
    if not gradient and not part and len(name) == len(rest):
        return OTHER
    if len(name) > 1 and set(name[0][1]) <= _TENSORS:
        name = name[1:]  # parameters/main.0.weight
    network, layer, pair = _owner(name)
    if len(name) > (network != "-") and not part:
        part = "kernel"  # weights/G.fc: a layer
    elif not layer and part and not any(set(one) <= _TENSORS for _, one in rest[:-1]) and len(rest) < 2:
        return OTHER  # a lone "weight" is no tensor of a network
    quantity = "grad_norm" if gradient else "weight_norm"
    if part == "added":
        layer = ".".join(filter(None, (layer, rest[-1][0])))
    return Role(network, quantity, part if layer else "", layer, pair, 0.9 if network != "-" else 0.3)


def _part(name: str) -> str:
    """Whether the last word of a tensor's name is that of a kernel, of something added, or neither."""
    low = name.lower()
    low = re.sub(r"[_-]?grads?$", "", low) or low
    return "added" if _ADDED.fullmatch(low) else "kernel" if _KERNELS.fullmatch(low) else ""


def _owner(name: list[tuple[str, list[str]]]) -> tuple[str, str, str]:
    """The network that a tensor's name begins with, the layer, which is the rest of it, and the pair.

    A single letter counts in the first piece only: `attn.g.weight` is a layer of any network.
    """
    for at, (_, said) in enumerate(name):
        mine = [word for word in said if word in (_D | _G) and (at == 0 or len(word) > 1)]
        if mine:
            network = "D" if mine[0] in _D else "G"
            own = set(said) - _D - _G - _PLUMBING - _GRADIENT - _TENSORS
            pair = _PAIR_WORDS.get(next(iter(own)), "") if len(own) == 1 else ""  # netG_A.model.1.weight
            kept = [piece for i, (piece, _) in enumerate(name) if i != at or (own and not pair)]
            return network, ".".join(kept), pair
    return "-", ".".join(piece for piece, _ in name), ""


def _from_words(said: list[str], has: set[str]) -> Role:
    network = _network(said)
    pair = next((_PAIR_WORDS[word] for word in said if word in _PAIR_WORDS), "")
    real, fake = bool(has & _REAL), bool(has & _FAKE)
    side = "total" if real and fake else "real" if real else "fake" if fake else ""
    heldout = bool(has & _HELDOUT)

    if "lr" in has or {"learning", "rate"} <= has:
        return Role(network, "lr")
    if has & {"augment", "ada"} and not has & _LOSS:
        return Role("-", "augment_p")
    if {"loss", "scale"} <= has or "scaler" in has:
        return Role("-", "loss_scale")
    if "pair" in has and has & {"accuracy", "acc"}:
        return Role("D", "pair_accuracy")
    if has & {"sign", "signs", "rt"} and (side or "rt" in has):
        return Role("D", "sign_rate", side or "real")
    if has & {"grad", "grads", "gradient", "gradients"} and has & {"norm", "norms", "l2", "magnitude"}:
        return Role(network, "grad_norm", layer=_layer(said))
    moved = any(pair in (("step", "norm"), ("update", "norm")) for pair in pairwise(said))
    if has & {"weight", "weights", "param", "params", "parameter"} and has & {"norm", "norms"} and not moved:
        return Role(network, "weight_norm", layer=_layer(said))
    if has & {"step", "update", "updates"} and has & {"norm", "norms", "ratio"}:
        return Role(network, "step_norm", layer=_layer(said))
    if has & {"grad", "grads", "gradient", "gradients"} and network != "-" and not has & (_LOSS | _PENALTY):
        return Role(network, "grad_norm", layer=_layer(said), certainty=0.7)
    if has & _DIVERSITY or {"ms", "ssim"} <= has:
        return Role("-", "diversity", "ms-ssim" if has & {"msssim", "ms"} else "duplicates" if
                    has & {"duplicates", "duplicate"} else "diversity")  # fmt: skip
    metric = next((_METRIC_WORDS[word] for word in said if word in _METRIC_WORDS), "")
    if not metric and said[-1] == "ssim":
        metric = "ssim"
    if not metric and ("mel" in has and "error" in has):
        metric = "mel"
    if not metric and said[0] == "is" and (len(said) == 1 or said[1] in ("mean", "score")):
        metric = "is"
    if metric and not (has & _STD_WORDS):
        return Role("-", "metric", metric, certainty=0.9)
    if (side or heldout) and has & _D_OUTPUT:
        return Role("D", "score_std" if "std" in has else "score", side or "heldout")
    if side and "std" in has:
        return Role("-", "sample_std", side)
    if has & {"acc", "accuracy"}:
        if network == "D" or side:
            return Role("D", "accuracy", side, pair=pair, certainty=0.9)
        return Role(network, "accuracy", certainty=0.5)
    if has & _PENALTY and not has & {"without", "wo"}:
        return Role("D" if network == "-" else network, "penalty", "r1" if "r1" in has else "", certainty=0.9)
    if said[-2:] == ["d", "reg"] or said[-2:] == ["g", "reg"]:
        return Role(network, "other")
    if has & {"distance", "dist"} and has & {"w", "wasserstein", "emd", "em"}:
        return Role("D", "balance", "distance")
    if has & _TIME and not has & _LOSS:
        return Role("-", "time")
    return _loss(said, has, network, pair, side, heldout)


_STD_WORDS = frozenset({"std", "var", "stderr"})
_SCORE = frozenset(
    {"score", "scores", "logit", "logits", "out", "output", "outputs", "pred", "preds", "prob", "probs"}
)


def _loss(said: list[str], has: set[str], network: str, pair: str, side: str, heldout: bool) -> Role:
    """The role of a tag that is a loss by its words, or by a network that names nothing else."""
    named = bool(has & _LOSS)
    auxiliary, adversarial, total = bool(has & _AUXILIARY), bool(has & _ADVERSARIAL), bool(has & _TOTAL)
    quantity = "heldout_loss" if heldout else "loss"
    certainty = 0.95 if named else 0.8
    if auxiliary and not (side and network == "D" and not has & (_AUXILIARY - {"x"})):
        owner = network if network != "-" else "G"
        return Role(owner, quantity, "auxiliary", pair=pair, certainty=certainty) if named or network != "-" or pair \
            else OTHER  # fmt: skip
    if network == "D":
        known = side or ("total" if total or not set(said) - _D - _LOSS - _STEPWISE else "")
        extra = (
            set(said)
            - _D
            - _LOSS
            - _REAL
            - _FAKE
            - _ADVERSARIAL
            - _TOTAL
            - _STEPWISE
            - _HELDOUT
            - set(_PAIR_WORDS)
        )
        sure = certainty if len(extra) <= 1 else 0.5
        return Role("D", quantity, known or "total", pair=pair, certainty=sure)
    if network == "G":
        part = "adversarial" if adversarial or side == "fake" else "total"
        extra = (
            set(said) - _G - _LOSS - _FAKE - _ADVERSARIAL - _TOTAL - _STEPWISE - _HELDOUT - set(_PAIR_WORDS)
        )
        return Role("G", quantity, part, pair=pair, certainty=certainty if len(extra) <= 1 else 0.5)
    if named and side:
        return Role("D", quantity, side, pair=pair, certainty=0.7)
    if adversarial and (named or said[0] in _ADVERSARIAL):
        return Role("G", quantity, "adversarial", pair=pair, certainty=0.7)
    if has & _PROGRESS and not named:
        return Role("-", "progress")
    return OTHER


def _network(said: list[str]) -> str:
    """Whose number it is: the first word that names a network. `D(G)`-like spellings come before."""
    for word in said:
        if word in _D or word in ("da", "db"):
            return "D"
        if word in _G or word in ("ga", "gb"):
            return "G"
    return "-"


def _layer(said: list[str]) -> str:
    noise = {"grad", "grads", "gradient", "gradients", "norm", "norms", "weight", "weights", "param", "params", "l2",
             "total", "step", "update", "updates", "ratio", "train", "all", "parameter", "net", "network",
             "model"}  # fmt: skip
    return ".".join(word for word in said if word not in noise and word not in _D and word not in _G)


def _in_company(roles: Mapping[str, Role]) -> dict[str, Role]:
    """Second thoughts that need the other tags.

    `loss_d_real`, `loss_g` make D and G sure. A lone `acc` beside a D loss is D's. Pairs exist only
    where two of them do: a lone `D_A` is no pair.
    """
    found = dict(roles)
    losses = [r for r in found.values() if r.quantity == "loss" and r.network != "-"]
    pairs = {r.pair for r in losses if r.pair and r.part != "auxiliary"}
    for tag, role in found.items():
        if role.pair and len(pairs) < 2:
            found[tag] = role = replace(role, pair="")
        if role.quantity == "accuracy" and role.network == "-" and any(r.network == "D" for r in losses):
            found[tag] = replace(role, network="D", certainty=0.6)
    return found
