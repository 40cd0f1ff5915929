"""The largest singular value of matrices that are seen block by block of rows, each block once a round."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

BLOCK = 1 << 16  # elements of a block: 256 KB, which stays in the cache of one core
_EXACT = 64  # up to this many rows or columns the matrix is squared, which costs their cube
_SMALL = 1 << 17
_WIDE = 1 << 16  # columns: directions of that length cost more than the Gram matrix of a few rows
_ROUNDS, _MOST = 3, 6
_FLAT = 30
_SETTLED, _RISING = 1.01, 1.07  # a round that adds less is the last: before, and from, the third one on


def is_small(rows: int, width: int) -> bool:
    """Whether a matrix is so small, or so thin, that its largest singular value is reckoned to 0.1%."""
    return min(rows, width) <= _EXACT and (rows * width <= _SMALL or width > _WIDE)


class Largest:
    """The largest singular value of a matrix (m, n), from below, by a Krylov space of WᵀW.

    Show it all rows by `see`, in blocks of whole rows, then call `turn`; again as long as that says so. Three
    rounds find some nine tenths of it where the spectrum is as flat as that of noise (two rounds, five sixths), and
    all of it where one direction stands out; where it rises still, there are up to six. Products with two vectors
    at a time are small enough for BLAS to stay on one thread, which is faster where the processors are busy.
    Source: Golub & Underwood 1977, The block Lanczos method for computing eigenvalues.

    width: n. starts: float32 (n,) each, directions that are known to be large. sigma: so far.
    """

    def __init__(self, width: int, starts: Sequence[Floats] = ()) -> None:
        self.sigma = 0.0
        self._rounds = self._used = 0
        first = _random(width) if not starts else _apart(np.column_stack([*starts, _random(width)]))
        most = min(_MOST * first.shape[1], width)
        self._space, self._image = np.empty((most, width)), np.empty((most, width))  # a direction a row
        self._begin(first)

    def _begin(self, directions: Doubles) -> None:
        self._right = directions.astype(np.float32)
        self._back = np.zeros_like(self._right)

    def see(self, rows: Floats) -> Floats:
        """Take the next rows (b, n); returns their products with this round's directions, (b, 2 or more)."""
        left: Floats = rows @ self._right
        self._back += rows.T @ left
        return left

    @property
    def back(self) -> Floats:
        """WᵀWV of the rows seen in this round, (n, 2 or more): 0 for a column of zeros."""
        return self._back

    def turn(self, norm: float = 0.0) -> bool:
        """End a round; returns whether another one would tell more.

        norm: of W, where two rounds are enough if its directions are many: σ₁² under 1/30 of its square.
        """
        before, self._used = self._used, min(self._used + self._right.shape[1], len(self._space))
        space, image = self._space[: self._used], self._image[: self._used]
        space[before:], image[before:] = (
            self._right.T[: len(space) - before],
            self._back.T[: len(space) - before],
        )
        inner = space @ image.T
        if not np.isfinite(inner).all():
            self.sigma = float("nan")
            return False
        values, vectors = np.linalg.eigh((inner + inner.T) / 2)
        square = float(values[-1])
        if not square > 0:
            return False
        # ‖WᵀWy‖ / ‖Wy‖ of the best y: nearer than ‖Wy‖, and still no more than σ₁
        best = vectors[:, -1] @ image
        found, self.sigma = self.sigma, float((best @ best) ** 0.5) / square**0.5
        self._rounds += 1
        grown = self.sigma > _SETTLED * found if self._rounds < _ROUNDS else self.sigma > _RISING * found
        flat = self._rounds > 1 and norm**2 > _FLAT * self.sigma**2
        if not grown or flat or self._used == len(self._space):
            return False
        rest = image[before:]
        for _ in range(2):
            rest = rest - (rest @ space.T) @ space
        turned, sizes = np.linalg.qr(rest.T)
        fresh = turned[:, np.abs(np.diag(sizes)) > 1e-5 * square]
        if not fresh.shape[1]:
            return False
        self._begin(fresh)
        return True


@lru_cache(maxsize=8)
def _random(width: int) -> Doubles:
    """Two fixed directions (n, 2), orthonormal; one where n is 1."""
    return _apart(np.random.default_rng(0).standard_normal((width, min(2, width))))


def _apart(columns: Doubles) -> Doubles:
    """Orthonormal columns that span the same; those that lie in the span of the ones before are left out."""
    made: list[Doubles] = []
    for column in columns.T:
        size = np.linalg.norm(column)
        for _ in range(2):
            for one in made:
                column = column - (one @ column) * one
        rest = np.linalg.norm(column)
        if rest > 1e-6 * size:
            made.append(column / rest)
    return np.column_stack(made) if made else columns[:, :0]


def exactly(matrix: Floats) -> float:
    """The largest singular value of a small matrix to 0.1%: of its Gram matrix, raised to the power 4096."""
    m, n = matrix.shape
    gram = (matrix @ matrix.T if m <= n else matrix.T @ matrix).astype(np.float64)
    power = gram
    for _ in range(12):  # only the first direction is left
        trace = float(np.trace(power))
        if not trace > 0:
            return 0.0
        power = power / trace
        power = power @ power
    first = power[int(np.argmax(np.diag(power)))]
    return float(np.sqrt(first @ gram @ first / (first @ first)))


def spectral_norm(matrix: Floats, starts: Sequence[Floats] = ()) -> float:
    """Return the largest singular value of a matrix, or a lower bound of it.

    matrix: float32 (m, n), finite. Right to 0.1% for a small matrix; else as `Largest` finds it. starts: (n,)
    each. Never too large but for rounding.

    >>> round(spectral_norm(np.diag([3.0, 2.0]).astype(np.float32)), 5)
    3.0
    """
    largest = float(np.abs(matrix).max(initial=0.0))
    if not largest > 0:
        return 0.0
    if not 1e-12 < largest < 1e12:  # so that squares fit float32
        return largest * spectral_norm((matrix / np.float32(largest)).astype(np.float32), starts)
    if is_small(*matrix.shape):
        return exactly(matrix)
    found = Largest(matrix.shape[1], starts)
    return finished(found, matrix, seen=False)


def finished(found: Largest, matrix: Floats, seen: bool = True, norm: float = 0.0) -> float:
    """The largest singular value, after the rounds that are left. seen: whether all rows were shown once. norm: as
    for `Largest.turn`.
    """
    rows = max(1, BLOCK // matrix.shape[1])
    while not seen or found.turn(norm):
        seen = True
        for at in range(0, len(matrix), rows):
            found.see(matrix[at : at + rows])
    return found.sigma
