"""From named arrays to series: what .npy, .npz and pickled logs share.

Such files hold losses, and just as often data: labels, latents, statistics of a data set. Arrays
of three dimensions and more, wide or very long ones, and those whose name says so are data.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gandoctor.readers.columns import Columns
from gandoctor.run import Series, Values

MAX_VALUES = 10_000_000
WIDEST = 16  # columns of a table of losses

_LOG_NAME = re.compile(
    r"loss|err|acc(?!ess)|score|hist(?!ogram)|metric|cost|fid|psnr|ssim|grad|penalty|distance|result|curve|record|progress|perplex|elbo|divergence"
    r"|(?<![a-z])(log|logs|lr|step|steps|iter|iters|iteration|iterations|epoch|epochs|kl|mse|mae)(?![a-z])",
    re.IGNORECASE,
)
_DATA_NAME = re.compile(
    r"(?<![a-z])(data|dataset|images?|imgs?|pixels|labels?|targets?|class(es)?|latents?|z|zs|noise|seeds?"
    r"|features?|feats?|embeddings?|activations?|samples?|points|weights?|mu|sigma|cov|filenames?|paths?"
    r"|vocab|idx|ind(ex|ices)|splits?)(?![a-z])",
    re.IGNORECASE,
)


def is_log_name(name: str) -> bool:
    """Whether a file or key is called after something that is logged: "d_losses", "history"."""
    return _LOG_NAME.search(name) is not None


def is_data_name(name: str) -> bool:
    """Whether a file or key is called after data: "labels", "fixed_z". A "label_loss" is not.

    >>> is_data_name("labels"), is_data_name("label_loss"), is_data_name("D")
    (True, False, False)
    """
    return _DATA_NAME.search(name) is not None and not is_log_name(name)


def is_table(shape: tuple[int, ...]) -> bool:
    """Whether an array of this shape can be series: one long axis, and at most one short one beside it."""
    sizes = [size for i, size in enumerate(shape) if size != 1 or i == 0]
    return (
        len(sizes) in (1, 2)
        and 0 < math.prod(sizes) <= MAX_VALUES
        and (len(sizes) == 1 or min(sizes) <= WIDEST)
    )


def columns_of(name: str, array: npt.NDArray[Any]) -> dict[str, Values]:
    """The columns of a table of numbers, float64 (n,) each, by name; {} where the array is none.

    (n,) and (n, 1) give one column, `name`; (n, k) and (k, n) with k ≤ 16 give `name[0]` and so
    on; a structured array gives its numeric fields. Numbers are integers or real floats.
    """
    if not is_table(array.shape):
        return {}
    array = np.squeeze(array, axis=tuple(i for i, size in enumerate(array.shape) if size == 1 and i > 0))
    if array.dtype.names is not None:
        fields = {field: array[field] for field in array.dtype.names} if array.ndim == 1 else {}
        return {
            field: values.astype(np.float64)
            for field, values in fields.items()
            if values.dtype.kind in "iuf" and values.ndim == 1
        }
    if array.dtype.kind not in "iuf":
        return {}
    if array.ndim == 1:
        return {name: array.astype(np.float64)}
    if array.shape[0] < array.shape[1]:
        array = array.T
    if array.shape[1] == 1:
        return {name: array[:, 0].astype(np.float64)}
    return {f"{name}[{i}]": column.astype(np.float64) for i, column in enumerate(array.T)}


def series_of(columns: Mapping[str, Values], source: Path) -> list[Series]:
    """Series of named columns, (n,) each. Columns of one length share their rows and their clock."""
    tables: defaultdict[int, Columns] = defaultdict(Columns)
    for name, values in columns.items():
        tables[len(values)].add_column(name, np.arange(len(values), dtype=np.int64), values)
    return [series for table in tables.values() for series in table.series(source)]
