"""The summary of a probe for a terminal: a row a snapshot, a column a measure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from gandoctor.probe.probing import Probed

_COLUMNS = (
    ("distance", "distance", "{:.3g}"), ("vendi", "Vendi", "{:.1f}"), ("duplicates", "dup.", "{:.0%}"),
    ("z_share", "z", "{:.1%}"), ("z_share_in_class", "z in class", "{:.1%}"), ("ppl", "PPL", "{:.3g}"),
    ("jumps", "jumps", "{:.0%}"), ("condition", "cond.", "{:.3g}"), ("log_volume_spread", "vol.", "{:.2f}"),
    ("dead_units", "dead", "{:.0%}"),
)  # fmt: skip


def show(probed: Probed, console: Console) -> None:
    """Print the measures of each snapshot, what was not measured, and what to do next."""
    told = {name for one in probed.snapshots for name in one["measures"]}
    columns = [column for column in _COLUMNS if column[0] in told]
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for title in ("snapshot", *(title for _, title, _ in columns)):
        table.add_column(title, justify="right", no_wrap=True)
    for one in probed.snapshots:
        values = one["measures"]
        cells = [form.format(values[name]) if name in values else "–" for name, _, form in columns]
        table.add_row(f"{one['step']:,}", *cells)
    console.print(table)
    networks = dict.fromkeys(
        f"{one['network']}{' (average)' if one['ema'] else ''}" for one in probed.snapshots
    )
    how = probed.how
    latent = "x".join(map(str, how["latent"]))
    lines = [
        f"weights: {', '.join(networks)}; {how['samples']} z of {latent}; distances in {how['distances']};"
        f" {how['paths']} paths, ε {how['epsilon']:g}; Jacobian {how['jacobian']}",
        *dict.fromkeys(note for one in probed.snapshots for note in one["notes"]),
    ]
    for line in lines:
        console.print(Text(_clean(line)))
    console.print(Text(f"\nwritten to {_clean(str(probed.folder))}"), soft_wrap=True)


@contextmanager
def progress() -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal's stderr: told how many snapshots of how many are done."""
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("snapshots", total=None)
        yield lambda done, all_of: bar.update(task, completed=done, total=all_of)


def _clean(text: str) -> str:
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)
