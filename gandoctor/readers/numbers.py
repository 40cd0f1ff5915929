"""Numbers as people's logs spell them: `tensor(0.53, grad_fn=…)`, `nan`, `1.#INF`, `50.0%`, `[0.5]`."""

from __future__ import annotations

import re

# A number in running text. The lookarounds keep it off identifiers and dates ("G_2", "2024-01-02").
NUMBER = (
    r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
    r"|[-+]?(?:nan|NaN|NAN|inf|Inf|INF|infinity|Infinity|INFINITY)\b"
    r"|[-+]?1\.#(?:INF|IND|QNAN|SNAN)\d*"
)
_WRAPPED = re.compile(
    r"""^\s*(?:<?tf\.Tensor[:(]?|tensor\(|np\.float\d*\(|numpy\.float\d*\(|array\(|Variable\(|jnp\.\w+\()?
        [\s\[(]*(?P<number>"""
    + NUMBER
    + r""")\s*(?P<percent>%)?[\s\])]*(?:,\s*(?:device|grad_fn|dtype|requires_grad|shape|numpy)\s*=.*)?
        [\s\])>]*$""",
    re.VERBOSE | re.DOTALL,
)
MISSING = frozenset({"", "na", "n/a", "none", "null", "-", "--", "<na>"})


def to_number(text: str) -> float | None:
    """The number that a cell holds, or None if it holds none.

    Per cent are divided by 100. "NA", "None" and blanks are None (missing, not NaN).

    >>> to_number("tensor(10.5290, grad_fn=<AddBackward0>)"), to_number("50.0%"), to_number("1.#INF")
    (10.529, 0.5, inf)
    >>> to_number("NA") is None, to_number("epoch") is None
    (True, True)
    """
    try:
        return float(text) if "_" not in text else None  # float() takes "1_000"
    except ValueError:
        pass
    found = _WRAPPED.match(text)
    if found is None:
        return None
    number = found["number"]
    if "#" in number:
        value = float("inf") if "INF" in number else float("nan")
        value = -value if number.startswith("-") else value
    else:
        value = float(number)
    return value / 100 if found["percent"] else value
