"""What is measured on one generator: variety, dependence on z, paths, the Jacobian, dead units.

Every measure uses the same z for all snapshots, so that what differs between them is the weights. Samples are
drawn in evaluation mode, with full float32 precision; x below is a sample as one row of d values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from gandoctor.capture.grids import undisturbed
from gandoctor.errors import UserError
from gandoctor.probe.generator import user_fault
from gandoctor.stats import vendi_score

Matrix = npt.NDArray[np.float64]
Measures = dict[str, float]
Features = Callable[[Tensor], Any]

SIDE = 32  # pixels to which images are averaged for distances, as in `interpret/features.py`
NEAR = 0.15  # of the usual distance of two samples: nearer ones are near-duplicates
EPSILON = 1e-4  # of a path: the step over which its speed is taken (Karras et al. 2019, arXiv:1812.04948)
PATHS, SEGMENTS, HALVINGS = 8, 16, 6
POINTS = 8  # z at which the Jacobian is taken
DIRECTIONS = 16  # of z in which it is taken, and up to which it is exact
ROUNDS = 6  # of power iteration for its largest singular value
_RESOLUTION = 1e-6  # of float32, after a network's roundings: relative sizes below it are 0
_CHUNK = 32  # samples that are drawn at once
_COLUMNS = 1 << 16  # values of a sample that are made float64 at once
_FEW_UNITS = 8  # in a layer of fewer a share of them says little
_RELUS = (nn.ReLU, nn.ReLU6, nn.Threshold)


class Generator:
    """The user's generator on its device: z (n, *latent) → samples (n, ...), in small batches.

    labels: number of classes of a conditional generator G(z, y) with y int64 (n,), 0 for G(z).
    """

    def __init__(self, module: nn.Module, device: torch.device, labels: int = 0) -> None:
        self.module, self.device, self.labels = module.to(device), device, labels
        for parameter in module.parameters():
            parameter.requires_grad_(False)

    def __call__(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Samples of some z, on the device. Without y, classes take turns."""
        y = self.turns(len(z)) if y is None else y
        parts = []
        for at in range(0, len(z), _CHUNK):
            parts.append(self.forward(z[at : at + _CHUNK], y[at : at + _CHUNK]))
        return torch.cat(parts)

    def turns(self, n: int) -> Tensor:
        """Classes by turns, int64 (n,)."""
        return torch.arange(n) % max(1, self.labels)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """Samples of one batch; differentiable. Raises UserError where the user's code fails."""
        try:
            inputs = (z.to(self.device), y.to(self.device)) if self.labels else (z.to(self.device),)
            made = self.module(*inputs)
        except Exception as fault:
            raise _no_samples(tuple(z.shape[1:]), fault) from fault
        while isinstance(made, list | tuple | Mapping) and made:
            made = next(iter(made.values())) if isinstance(made, Mapping) else made[0]
        if not isinstance(made, Tensor) or made.dim() < 2 or len(made) != len(z):
            what = f"shape {tuple(made.shape)}" if isinstance(made, Tensor) else type(made).__name__
            raise UserError(f"the generator gives {what} for {len(z)} z, not a tensor of {len(z)} samples",
                            where="--generator")  # fmt: skip
        return made.float()

    @contextmanager
    def sampling(self, seed: int) -> Iterator[None]:
        """Evaluation mode without gradients, in full precision, with random numbers that begin at `seed`."""
        exact = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
        with undisturbed([self.module], self.device):
            torch.manual_seed(seed)
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
            try:
                yield
            finally:
                torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = exact


def _no_samples(shape: tuple[int, ...], fault: Exception) -> UserError:
    made = user_fault(f"no samples can be drawn from z of shape {shape}", "--generator", fault)
    made.hint = (
        "--latent 100,1,1 is a DCGAN's; --labels K gives G(z, y) a class; for anything else let build()"
        " return a module that takes z alone"
    )
    return made


@dataclass(frozen=True, slots=True)
class Noise:
    """The z of a probe. fixed: (n, *latent), for grids and variety. ends: (2 m, *latent), for paths."""

    fixed: Tensor
    ends: Tensor
    directions: Tensor  # (k, p), orthonormal, of the flat z

    @classmethod
    def of(cls, latent: Sequence[int], samples: int, seed: int) -> Noise:
        """Standard normal z by a stream of its own."""
        stream = torch.Generator().manual_seed(seed)
        size = math.prod(latent)
        fixed = torch.randn(samples, *latent, generator=stream)
        ends = torch.randn(2 * max(samples, PATHS), *latent, generator=stream)
        normal = torch.randn(size, min(size, DIRECTIONS), generator=stream, dtype=torch.float64)
        return cls(fixed, ends, torch.linalg.qr(normal).Q.float())


@dataclass(slots=True)
class Measured:
    """What was measured of one snapshot. squares: squared distances of the fixed samples, (n, n), mean over d.

    layers: share of dead units by layer. notes: what was not measured, and why.
    """

    measures: Measures = field(default_factory=dict)
    layers: dict[str, float] = field(default_factory=dict)
    squares: Matrix | None = None
    notes: list[str] = field(default_factory=list)


def measure(
    generator: Generator, noise: Noise, features: Features | None, *, linear: bool, seed: int
) -> tuple[Measured, Tensor]:
    """Measure a generator as it stands; also gives the samples of the fixed z, on the processor.

    Raises UserError where the user's code fails.
    """
    made = Measured()
    with generator.sampling(seed):
        with _watched(generator.module) as dead:
            samples = generator(noise.fixed)
        good = torch.isfinite(samples.flatten(1)).all(dim=1)
        if not bool(good.all()):
            share = 1 - float(good.float().mean())
            made.measures |= {"sample_std": math.nan}
            made.notes.append(f"{share:.0%} of the samples are not finite: nothing else was measured")
            return made, samples.cpu()
        _dead_units(made, dead)
        varies, centre = moments(samples)
        made.measures["sample_std"] = math.sqrt(varies)
        made.squares = squared_distances(_embedded(samples, features, small=True))
        own = _own_noise(generator, noise)
        _z_share(made, generator, noise, varies, centre, own)
        if own > 0:
            made.measures["noise_share"] = own
            made.notes.append(
                "G draws random numbers of its own: paths and Jacobian tell nothing and were left out"
            )
            return made, samples.cpu()
        _paths(made, generator, noise, features, linear)
        _jacobian(made, generator, noise)
    return made, samples.cpu()


# --- variety --------------------------------------------------------------------------------------------


def moments(samples: Tensor) -> tuple[float, float]:
    """Total variance of samples (n, ...), and the squared norm of their mean: sums over the values of a sample."""
    varies = centre = 0.0
    for part in torch.split(samples.flatten(1), _COLUMNS, dim=1):
        wide = part.double()
        varies += float(wide.var(dim=0).sum())
        centre += float(wide.mean(dim=0).square().sum())
    return varies, centre


def _rows(samples: Tensor) -> Matrix:
    return samples.flatten(1).double().cpu().numpy()


def _embedded(samples: Tensor, features: Features | None, *, small: bool = False) -> Matrix:
    """Samples in the space of distances, float64 (n, k): the user's, else pixels (small: averaged to 32 x 32)."""
    if features is None:
        if small and samples.dim() == 4 and max(samples.shape[2:]) > SIDE:
            high, wide = (min(SIDE, size) for size in samples.shape[2:])
            samples = nn.functional.adaptive_avg_pool2d(samples, (high, wide))
        return _rows(samples)
    parts = []
    for at in range(0, len(samples), _CHUNK):
        try:
            made = features(samples[at : at + _CHUNK])
            part = made.detach().cpu().numpy() if isinstance(made, Tensor) else np.asarray(made)
            parts.append(part.reshape(len(part), -1).astype(np.float64))
        except Exception as fault:
            raise user_fault("the features failed", "--features", fault) from fault
    found = np.concatenate(parts)
    if len(found) != len(samples) or not found.size or not np.isfinite(found).all():
        raise UserError(
            f"the features of {len(samples)} samples are no finite rows, one a sample, but {found.shape}",
            where="--features",
        )
    return found


def squared_distances(x: Matrix) -> Matrix:
    """Mean squared difference of every two rows, float64 (n, n)."""
    x = x - x.mean(axis=0)
    size = np.einsum("ij,ij->i", x, x)
    found: Matrix = np.maximum(size[:, None] + size[None, :] - 2 * (x @ x.T), 0) / x.shape[1]
    np.fill_diagonal(found, 0)
    return found


def usual_distance(squares: Matrix) -> float:
    """Root mean square distance of two samples."""
    n = len(squares)
    return math.sqrt(float(squares.sum()) / (n * (n - 1))) if n > 1 else 0.0


def variety(squares: Matrix, scale: float) -> Measures:
    """distance: root mean square distance of two samples. vendi: how many different samples there are, 1 to n.
    duplicates: share of samples that have another one nearby.

    scale: the usual distance, that of the varied snapshots; near is 0.15 of it, and the width of the Vendi score's
    Gaussian kernel.
    """
    n = len(squares)
    distance = usual_distance(squares)
    width = NEAR * scale
    if width <= 0:
        return {"distance": distance, "vendi": 1.0, "duplicates": 1.0}
    others = squares + np.diag(np.full(n, np.inf))
    near = float((others.min(axis=1) <= width**2).mean())
    return {
        "distance": distance,
        "vendi": vendi_score(np.exp(-squares / (2 * width**2))),
        "duplicates": near,
    }


# --- dependence on z ------------------------------------------------------------------------------------


def _own_noise(generator: Generator, noise: Noise) -> float:
    """The share of the samples' variance that comes of G's own random numbers, 0 where it draws none."""
    z = noise.fixed[:POINTS]
    first, second = generator(z), generator(z)
    change = float((first - second).double().square().sum()) / 2 / len(z)
    varies, centre = moments(first)
    if change <= (10 * _RESOLUTION) ** 2 * (varies + centre):
        return 0.0
    return min(1.0, change / varies) if varies > 0 else 1.0


def _z_share(
    made: Measured, generator: Generator, noise: Noise, varies: float, centre: float, own: float
) -> None:
    """z_share: the variance over z over the mean square of the samples: 0 where all are the same, 1 for a mean of 0.
    z_share_in_class: of a conditional G, the variance over z within a class over that and the variance over classes.

    varies, centre: of samples of many z. own: the share of variance that is G's own noise, which counts off.
    """
    if not generator.labels:
        by_z = varies * (1 - own)
        made.measures["z_share"] = by_z / (by_z + centre) if by_z + centre > 0 else 0.0
        return
    classes = min(generator.labels, 8)
    if classes < 2:
        return
    z = noise.fixed[: max(2, len(noise.fixed) // 2)]
    labels = torch.linspace(0, generator.labels - 1, classes).round().long()
    drawn = [generator(z, label.expand(len(z))) for label in labels]
    within = sum(moments(one)[0] for one in drawn) / classes
    of_means, _ = moments(torch.stack([one.mean(dim=0) for one in drawn]))
    between = max(0.0, of_means - within / len(z))
    if within + between > 0:
        made.measures["z_share_in_class"] = within * (1 - own) / (within + between)


# --- paths ----------------------------------------------------------------------------------------------


def on_path(first: Tensor, last: Tensor, t: Tensor, *, linear: bool) -> Tensor:
    """Points at t (n,) between z and z (n, ...): on the arc (spherical), or on the straight line.

    The arc keeps the norm that G is used to. White 2016, arXiv:1609.04468.
    """
    a, b, share = first.double().flatten(1), last.double().flatten(1), t.double()[:, None]
    if linear or a.shape[1] < 2:
        made = a + share * (b - a)
    else:
        cosine = nn.functional.cosine_similarity(a, b, dim=1).clamp(-1 + 1e-9, 1 - 1e-9)
        angle = cosine.arccos()[:, None]
        made = (((1 - share) * angle).sin() * a + (share * angle).sin() * b) / angle.sin()
    return made.float().reshape(first.shape)


def _paths(
    made: Measured, generator: Generator, noise: Noise, features: Features | None, linear: bool
) -> None:
    """ppl: E d²(G(z(t)), G(z(t + ε))) / ε², the perceptual path length of Karras et al. 2019 (arXiv:1812.04948) with
    the mean squared difference of pixels (or of the user's features) for d², t uniform in [0, 1].
    jumps: of the paths on which x moves, the share of those more than half of whose way lies within 1/1024 of the
    path: of 16 segments the longest is halved 6 times, each time keeping the longer half. What is smooth keeps 2^-6
    of it, a jump all of it.
    """
    half = len(noise.ends) // 2
    first, last = noise.ends[:half], noise.ends[half:]
    y = generator.turns(half)
    t = torch.rand(half, generator=torch.Generator().manual_seed(half)) * (1 - EPSILON)

    speeds = []
    for at in range(0, half, _CHUNK):
        chunk = slice(at, at + _CHUNK)
        ends = [
            on_path(first[chunk], last[chunk], t[chunk].double() + more, linear=linear)
            for more in (0, EPSILON)
        ]
        one, two = (_embedded(generator(z, y[chunk]), features) for z in ends)
        speeds += ((two - one) ** 2).mean(axis=1).tolist()
    made.measures["ppl"] = float(np.mean(speeds)) / EPSILON**2
    a, b, y = first[:PATHS], last[:PATHS], y[:PATHS]
    n = len(a)

    def shown_at(share: Tensor) -> Matrix:
        return _embedded(generator(on_path(a, b, share, linear=linear), y), features, small=True)

    stops = torch.linspace(0, 1, SEGMENTS + 1, dtype=torch.float64)
    shown = np.stack([shown_at(stop.expand(n)) for stop in stops])  # (segments + 1, paths, k)
    steps = np.sqrt(((shown[1:] - shown[:-1]) ** 2).mean(axis=2))
    way = steps.sum(axis=0)
    scale = np.sqrt((shown**2).mean(axis=(0, 2)))
    moves = way > 100 * _RESOLUTION * scale
    if 2 * np.count_nonzero(moves) < n:
        return  # G stands still on most paths: there is no way to speak of
    longest = steps.argmax(axis=0)
    left = longest / SEGMENTS
    width = 1 / SEGMENTS
    paths = np.arange(n)
    one, two = shown[longest, paths], shown[longest + 1, paths]
    for _ in range(HALVINGS):
        width /= 2
        middle = shown_at(torch.from_numpy(left + width))
        before = ((middle - one) ** 2).sum(axis=1) >= ((two - middle) ** 2).sum(axis=1)
        one, two = np.where(before[:, None], one, middle), np.where(before[:, None], middle, two)
        left = np.where(before, left, left + width)
    kept = np.sqrt(((two - one) ** 2).mean(axis=1)) / np.where(moves, way, 1)
    made.measures["jumps"] = float((kept[moves] > 0.5).mean())


# --- the Jacobian ---------------------------------------------------------------------------------------


def _jacobian(made: Measured, generator: Generator, noise: Noise) -> None:
    """Singular values of J = ∂x/∂z at some z, by Jacobian-vector products.

    Exact where z or x has at most 16 values. Else σ along 16 random orthonormal directions of z: by interlacing
    the largest of them is at most J's, the smallest at least, so that the condition number is a lower bound; its
    largest is raised by power iteration with JᵀJ.
    sigma_max, condition: medians over z of σ₁ and of σ₁/σ_r. log_volume, log_volume_spread: mean and standard
    deviation over z of the mean log σ. Odena et al. 2018, arXiv:1802.08768, where the condition number is that
    of JᵀJ, the square of this one.
    """
    z = noise.fixed[:POINTS]
    y = generator.turns(len(z))
    inputs = z[0].numel()
    outputs = generator(z[:1], y[:1]).numel()
    least = min(inputs, outputs)
    try:
        if outputs < inputs and outputs <= DIRECTIONS:
            rows = torch.eye(outputs, device=generator.device)
            products = [_backward(generator, z[i], y[i], rows) for i in range(len(z))]
        else:
            basis = torch.eye(inputs) if inputs <= DIRECTIONS else noise.directions
            products = [_forward(generator, z[i], y[i], basis) for i in range(len(z))]
    except (RuntimeError, NotImplementedError) as fault:
        made.notes.append(
            f"no Jacobian: G cannot be differentiated by z ({str(fault).splitlines()[0][:120]})"
        )
        return
    if not all(bool(torch.isfinite(one).all()) for one in products):
        made.notes.append("no Jacobian: its values are not finite")
        return
    found = [torch.linalg.svdvals(one.double().cpu()).numpy()[:least] for one in products]
    first = np.array([one[0] for one in found])
    exact = least <= DIRECTIONS
    if not exact:
        raised = [_raised(generator, z[i], y[i]) for i in range(len(z))]
        first = np.maximum(first, raised)
    made.measures["sigma_max"] = float(np.median(first))
    scale = float(generator(z, y).double().square().flatten(1).sum(dim=1).mean().sqrt())
    if not (first > _RESOLUTION * scale).all():
        return  # flat: neither condition nor volume
    last = np.maximum(np.array([one[-1] for one in found]), _RESOLUTION * first)
    made.measures["condition"] = float(np.median(first / last))
    logs = [
        float(np.log(np.maximum(one, _RESOLUTION * top)).mean())
        for one, top in zip(found, first, strict=True)
    ]
    made.measures["log_volume"] = float(np.mean(logs))
    made.measures["log_volume_spread"] = float(np.std(logs, ddof=1)) if len(logs) > 1 else 0.0


def _forward(generator: Generator, z: Tensor, y: Tensor, basis: Tensor) -> Tensor:
    """J times the columns of a basis (k, p), as rows: (p, d)."""
    parts = []
    for at in range(0, basis.shape[1], _CHUNK):
        columns = basis[:, at : at + _CHUNK].T.reshape(-1, *z.shape).to(generator.device)
        many = z.to(generator.device).expand_as(columns).contiguous()
        classes = y.expand(len(columns))

        def draw(points: Tensor, classes: Tensor = classes) -> Tensor:
            return generator.forward(points, classes).flatten(1)

        try:
            product = torch.func.jvp(draw, (many,), (columns,))[1]
        except (RuntimeError, NotImplementedError, UserError):  # an operation without a forward derivative
            product = (draw(many + 1e-3 * columns) - draw(many - 1e-3 * columns)) / 2e-3
        parts.append(product)
    return torch.cat(parts)


def _backward(generator: Generator, z: Tensor, y: Tensor, rows: Tensor) -> Tensor:
    """Jᵀ times rows (p, d), as rows: (p, k)."""
    with torch.enable_grad():
        many = z.to(generator.device).expand(len(rows), *z.shape).clone().requires_grad_()
        made = generator.forward(many, y.expand(len(rows))).flatten(1)
        (product,) = torch.autograd.grad((made * rows).sum(), many)
    return product.flatten(1)


def _raised(generator: Generator, z: Tensor, y: Tensor) -> float:
    """The largest singular value of J from below, by power iteration with JᵀJ."""
    stream = torch.Generator().manual_seed(0)
    right = torch.randn(1, z.numel(), generator=stream).to(generator.device)
    sigma = 0.0
    try:
        for _ in range(ROUNDS):
            right = right / right.norm().clamp(min=1e-30)
            left = _forward(generator, z, y, right.T.cpu())
            sigma = float(left.norm())
            right = _backward(generator, z, y, left)
    except RuntimeError:  # no derivative backwards: the directions alone tell
        return sigma
    return sigma


# --- units ----------------------------------------------------------------------------------------------


@contextmanager
def _watched(module: nn.Module) -> Iterator[dict[str, Tensor]]:
    """By each ReLU and its call: which units (channels) were active for any sample meanwhile, bool (c,)."""
    active: dict[str, Tensor] = {}
    calls: dict[str, int] = {}

    def watch(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if not isinstance(output, Tensor) or output.dim() < 2:
                return
            # A module that is used several times in one pass is several layers: they come in the same order.
            at = calls[name] = calls.get(name, -1) + 1
            on = (output.detach() > 0).transpose(0, 1).flatten(1).any(dim=1).cpu()
            key = f"{name}#{at}" if at else name
            active[key] = active[key] | on if key in active and len(active[key]) == len(on) else on

        return hook

    def begin(_module: nn.Module, _inputs: Any) -> None:
        calls.clear()

    handles = [module.register_forward_pre_hook(begin)]
    handles += [one.register_forward_hook(watch(name)) for name, one in module.named_modules()
                if isinstance(one, _RELUS)]  # fmt: skip
    try:
        yield active
    finally:
        for handle in handles:
            handle.remove()


def _dead_units(made: Measured, active: Mapping[str, Tensor]) -> None:
    if not active:
        made.notes.append("no ReLU modules: dead units are not told (functional ones cannot be seen)")
        return
    made.layers = {name: 1 - float(on.float().mean()) for name, on in active.items() if len(on) >= _FEW_UNITS}
    dead = sum(int((~on).sum()) for on in active.values())
    made.measures["dead_units"] = dead / sum(len(on) for on in active.values())
