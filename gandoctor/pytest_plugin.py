"""The pytest plugin: a fixture `gandoctor`, so that a test of a training script can ask for a healthy run.

    def test_training(gandoctor, tmp_path):
        train(tmp_path)
        gandoctor.assert_healthy(tmp_path, ignore=["GD504"])

pytest loads this module at each start: what is heavy is imported when a test asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gandoctor.config import Config
    from gandoctor.judge.diagnosis import Diagnosis


class Doctor:
    """What the fixture `gandoctor` gives."""

    def assert_healthy(
        self, path: str | Path, *, ignore: Sequence[str] = (), fail_on: Sequence[str] | str = (),
        require: Sequence[str] = (), min_confidence: float | None = None, allow_unknown: bool = False,
        config: Config | None = None,
    ) -> list[Diagnosis]:  # fmt: skip
        """The diagnoses of the runs at or below `path`, if none of them fails; else the test fails and says why.

        ignore: codes that do not count ("GD5" means all GD5xx). fail_on: "error" (the default), "warning" or
        codes. require: roles that each run must log ("G.grad_norm"). allow_unknown: a run that cannot be judged,
        or no run at all, passes. config: settings beyond these; by default those found near the working
        directory. Raises UserError if an argument names what does not exist, or the path is not there.
        """
        __tracebackhide__ = True
        from gandoctor.api import check_config, diagnose_all
        from gandoctor.config import find_config
        from gandoctor.reports._alarm import ills

        named = (fail_on,) if isinstance(fail_on, str) else tuple(fail_on)
        found = find_config(Path.cwd()) if config is None else config
        made = found.changed(
            ignore=tuple(ignore), fail_on=tuple(filter(None, named)), require=tuple(require),
            min_confidence=min_confidence,
        )  # fmt: skip
        check_config(made)
        diagnoses = diagnose_all(path, made)
        text = ills(diagnoses, str(path), made, allow_unknown)
        if text:
            pytest.fail(text, pytrace=False)
        return diagnoses


@pytest.fixture(scope="session")
def gandoctor() -> Doctor:
    """`gandoctor.assert_healthy(path, ignore=[…], fail_on=…)`: fails the test if a GAN training run is ill."""
    return Doctor()
