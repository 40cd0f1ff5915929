"""The fixture `gandoctor`: what a failing test says, and that pytest's start stays light."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gandoctor import cli
from tests.test_api import failing
from tests.test_cli import healthy, short

pytest_plugins = ["pytester"]
PLUGIN = ("-p", "gandoctor.pytest_plugin", "-p", "no:cacheprovider")


@pytest.fixture(autouse=True)
def light(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def test_a_healthy_run_passes_and_an_ill_one_tells_why(pytester: pytest.Pytester) -> None:
    healthy(pytester.path / "good/log.csv")
    failing(pytester.path / "bad/log.csv")
    pytester.makepyfile("""
        def test_good(gandoctor):
            [diagnosis] = gandoctor.assert_healthy("good")
            assert diagnosis.verdict == "healthy"

        def test_bad(gandoctor):
            gandoctor.assert_healthy("bad")
    """)
    result = pytester.runpytest(*PLUGIN)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "bad is not healthy",
            "GD201 The discriminator overpowers the generator",
            "D has won since step *",
            "Onset: step *, confidence 0.*",
            "Evidence: * (limit *)",
            "Do first: *",
        ]
    )
    assert "Traceback" not in result.stdout.str()


def test_what_counts_can_be_chosen(pytester: pytest.Pytester) -> None:
    failing(pytester.path / "bad/log.csv")
    healthy(pytester.path / "good/log.csv")
    short(pytester.path / "short/log.csv")
    pytester.makepyfile("""
        import pytest
        import gandoctor as package

        def test_ignored(gandoctor):
            gandoctor.assert_healthy("bad", ignore=["GD2", "GD1", "GD7"])

        def test_other_codes(gandoctor):
            gandoctor.assert_healthy("bad", fail_on="GD401")

        def test_code(gandoctor):
            with pytest.raises(pytest.fail.Exception, match="GD201"):
                gandoctor.assert_healthy("bad", fail_on=["GD2"])

        def test_required(gandoctor):
            with pytest.raises(pytest.fail.Exception, match="not logged: G.grad_norm"):
                gandoctor.assert_healthy("good", require=["G.grad_norm"])

        def test_unknown(gandoctor):
            with pytest.raises(pytest.fail.Exception, match="cannot be judged"):
                gandoctor.assert_healthy("short")
            gandoctor.assert_healthy("short", allow_unknown=True)

        def test_nothing_there(gandoctor, tmp_path):
            with pytest.raises(pytest.fail.Exception, match="no training log"):
                gandoctor.assert_healthy(tmp_path)
            with pytest.raises(package.UserError, match="no such file"):
                gandoctor.assert_healthy(tmp_path / "no")
            with pytest.raises(package.UserError, match="no code begins with"):
                gandoctor.assert_healthy("good", ignore=["GD999"])
    """)
    pytester.runpytest(*PLUGIN).assert_outcomes(passed=6)


def test_the_configuration_nearby_counts(pytester: pytest.Pytester) -> None:
    failing(pytester.path / "bad/log.csv")
    (pytester.path / "gandoctor.toml").write_text(
        'lang = "zh"\n[per-path.bad]\nignore = ["GD101"]\n', "utf-8"
    )
    pytester.makepyfile("def test_bad(gandoctor): gandoctor.assert_healthy('bad')")
    result = pytester.runpytest(*PLUGIN)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["bad 未通过检查", "GD201 *", "*", "起点：*", "证据：*", "先做：*"])


def test_a_baseline_in_the_configuration_counts(pytester: pytest.Pytester) -> None:
    failing(pytester.path / "bad/log.csv")
    assert CliRunner().invoke(cli.main, ["check", "bad", "--write-baseline", "accepted.json"]).exit_code == 0
    (pytester.path / "gandoctor.toml").write_text('baseline = "accepted.json"\n')
    pytester.makepyfile("def test_bad(gandoctor): gandoctor.assert_healthy('bad')")
    pytester.runpytest(*PLUGIN).assert_outcomes(passed=1)


def test_loading_the_plugin_loads_nothing_heavy() -> None:
    code = "import json, sys, gandoctor.pytest_plugin; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(json.loads(done.stdout))
    assert modules.isdisjoint({"numpy", "scipy", "pandas", "torch", "rich", "msgspec", "click", "tomllib"})
    assert {name for name in modules if name.startswith("gandoctor")} == {
        "gandoctor",
        "gandoctor.pytest_plugin",
    }


def test_the_plugin_is_an_entry_point() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"gandoctor": "gandoctor.pytest_plugin"}
