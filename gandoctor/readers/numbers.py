"""Numbers as people's logs spell them: `tensor(0.53, grad_fn=…)`, `nan`, `1.#INF`, `50.0%`, `[0.5]`."""

from __future__ import annotations

import re

# A number in running text. Whoever searches with it must keep it off identifiers and dates
# ("G_2", "2024-01-02") by lookarounds of their own.
NUMBER = (
    r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?(?:nan|NaN|NAN|inf|Inf|INF|infinity|Infinity|INFINITY)\b(?:\((?:ind|snan)\))?"
    r"|[-+]?1\.#(?:INF|IND|QNAN|SNAN)[0-9]*"
)
_TYPE = r"(?:\w+\.)*(?:tensor|Tensor|EagerTensor|Variable|array|Array|DeviceArray|float\d*|int\d*)"
_WRAPPED = re.compile(
    rf"(?:{_TYPE}\()?[\s\[(]*(?P<number>{NUMBER})\s*(?P<percent>%)?[\s\])]*"
    r"(?:,\s*(?:device|grad_fn|dtype|requires_grad|shape)\s*=.*|<NDArray .*)?[\s\])>]*",
    re.DOTALL,
)
# TensorFlow: <tf.Tensor: shape=(), dtype=float32, numpy=0.53>
_NUMPY = re.compile(rf"<tf\.\w+\b.*\bnumpy=(?P<number>{NUMBER})(?P<percent>%)?>", re.DOTALL)
MISSING = frozenset({"", "na", "n/a", "none", "null", "-", "--", "<na>"})
_LONGEST = 256  # characters: a printed number is shorter; keeps the pattern's backtracking small


def to_number(text: str) -> float | None:
    """The number that a cell holds, or None if it holds none.

    Per cent are divided by 100. "NA", "None" and blanks are None (missing, not NaN).

    >>> to_number("tensor(10.5290, grad_fn=<AddBackward0>)"), to_number("50.0%"), to_number("1.#INF")
    (10.529, 0.5, inf)
    >>> to_number("NA") is None, to_number("epoch") is None
    (True, True)
    """
    if "_" not in text and text.isascii():  # float() takes "1_000" and digits of any script
        try:
            return float(text)
        except ValueError:
            pass
    text = text.strip()
    if len(text) > _LONGEST:
        return None
    found = _WRAPPED.fullmatch(text) or _NUMPY.fullmatch(text)
    if found is None:
        return None
    number = found["number"]
    if "#" in number:
        value = float("inf") if "INF" in number else float("nan")
        value = -value if number.startswith("-") else value
    else:
        value = float(number.partition("(")[0])
    return value / 100 if found["percent"] else value
