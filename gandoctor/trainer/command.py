"""What `gandoctor train` does: from options to a run, and the tables of what can be trained."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from gandoctor.trainer.config import DATA, FAMILIES, LogConfig, TrainConfig
from gandoctor.trainer.faults import FAULTS, configure


def fault_table() -> str:
    """The data sets, loss families and faults, a line each with what it is."""
    tables = (
        ("Data sets (--data)", DATA),
        ("Loss families (--family)", FAMILIES),
        ("Faults (--fault)", {fault.name: fault.summary for fault in FAULTS.values()}),
    )
    parts = [
        "\n".join([title, *(f"  {name:16}{text}" for name, text in table.items())]) for title, table in tables
    ]
    return "\n\n".join(parts)


def settings(
    *,
    family: str | None = None,
    data: str | None = None,
    fault: str | None = None,
    steps: int | None = None,
    seed: int = 0,
    log_format: str = "tensorboard",
    level: str = "all",
    device: str = "cpu",
) -> TrainConfig:
    """The configuration that the command's options mean; without a family or data, the fault's own first.

    Raises UserError for names that do not exist or do not go together.
    """
    log = LogConfig(level=level, format=log_format)
    length = {} if steps is None else {"steps": steps}
    return configure(family, data, fault or "", seed=seed, device=device, log=log, **length)


def run(folder: Path, **options: Any) -> None:
    """Train one run into `folder` with the options of `settings`; say on standard error what came of it.

    Raises UserError as `settings` and `train` do.
    """
    config = settings(**options)
    from gandoctor.trainer import train  # says what to install where torch is missing

    truth = train(config, folder, progress=True)
    ill = f" with {config.fault}" if config.fault else ""
    print(
        f"{config.family} on {config.data}{ill}: {config.steps} steps in {truth.seconds:.1f} s."
        f" The samples say: {truth.outcome}.\nNow: gandoctor diagnose {folder}",
        file=sys.stderr,
    )
