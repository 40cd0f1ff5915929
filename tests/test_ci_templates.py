"""The GitHub action, its workflow and the GitLab template: valid, and their scripts do what they say."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.test_api import failing
from tests.test_cli import healthy, short

ROOT = Path(__file__).parents[1]
ACTION, WORKFLOW = ROOT / "action.yml", ROOT / ".github/workflows/gan.yml"
GITLAB = ROOT / "templates/gandoctor.gitlab-ci.yml"


def loaded(path: Path) -> dict[str, Any]:
    return yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)  # `on` is no boolean here


@pytest.mark.parametrize(
    ("path", "schema"),
    [(ACTION, "github-actions"), (WORKFLOW, "github-workflows"), (GITLAB, "gitlab-ci")],
    ids=["action", "workflow", "gitlab"],
)
def test_each_is_valid_by_its_schema(path: Path, schema: str) -> None:
    pytest.importorskip(
        "check_jsonschema", reason="check-jsonschema, which has the schemas, is not installed"
    )
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_input_is_used_and_every_use_is_an_input() -> None:
    action = loaded(ACTION)
    used = set(re.findall(r"inputs\.([\w-]+)", ACTION.read_text()))
    assert used == set(action["inputs"])
    assert all(one["description"] for one in action["inputs"].values())
    given = [step["with"] for step in loaded(WORKFLOW)["jobs"]["check"]["steps"] if step.get("uses") == "./"]
    assert len(given) == 2
    assert all(set(one) <= set(action["inputs"]) for one in given)


def test_no_input_is_pasted_into_a_script() -> None:
    for step in loaded(ACTION)["runs"]["steps"]:
        assert "${{" not in step["run"]


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory in which `gandoctor` is a command."""
    if shutil.which("bash") is None:
        pytest.skip("no bash")
    shim = tmp_path / "bin" / "gandoctor"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gandoctor "$@"\n')
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def act(folder: Path, **inputs: str) -> tuple[int, str, dict[str, str]]:
    """Run the action's check as GitHub does: exit code, standard output, outputs."""
    action = loaded(ACTION)
    [step] = [one for one in action["runs"]["steps"] if one.get("id") == "check"]
    values = {name: one.get("default", "") for name, one in action["inputs"].items()}
    values |= {name.replace("_", "-"): value for name, value in inputs.items()}
    made = {key: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda m: values[m[1]], text)
            for key, text in step["env"].items()}  # fmt: skip
    files = {"GITHUB_OUTPUT": str(folder / "output"), "GITHUB_STEP_SUMMARY": str(folder / "summary.md")}
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=folder, env={**os.environ, **made, **files}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    outputs = dict(line.split("=", 1) for line in (folder / "output").read_text().splitlines())
    return done.returncode, done.stdout + done.stderr, outputs


def test_the_action_fails_on_an_ill_run_and_says_so(tool: Path) -> None:
    failing(tool / "runs/bad/log.csv")
    healthy(tool / "runs/good/log.csv")
    code, said, outputs = act(tool, sarif="out.sarif", report="site/index.html")
    assert (code, outputs) == (1, {"exit-code": "1"})
    assert "::error file=runs/bad/log.csv,line=1,title=GD201 " in said
    assert "GD201" in (tool / "summary.md").read_text("utf-8")
    assert json.loads((tool / "out.sarif").read_text("utf-8"))["version"] == "2.1.0"
    assert (tool / "site/index.html").is_file()


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        ({"path": "runs/good"}, 0), ({"path": "runs/short"}, 3), ({"path": "runs/short", "allow_unknown": "true"}, 0),
        ({"path": "runs/none"}, 2), ({"path": "runs/bad", "fail_on": "GD4 GD5"}, 0),
        ({"path": "runs/bad", "fail_on": "GD4 GD2"}, 1), ({"path": "runs/bad", "min_confidence": "1"}, 0),
        ({"path": "runs/good", "require": "D.loss G.grad_norm"}, 1), ({"path": "runs/bad", "exit_zero": "true"}, 0),
        ({"path": "runs/bad", "baseline": "accepted.json"}, 0), ({"path": "runs/good\nruns/bad\n"}, 1),
        ({"path": "runs/a b; touch hacked"}, 2), ({"path": "--help"}, 2), ({"path": "runs/good", "lang": "zh"}, 0),
    ],
)  # fmt: skip
def test_inputs_of_the_action(tool: Path, inputs: dict[str, str], code: int) -> None:
    failing(tool / "runs/bad/log.csv")
    healthy(tool / "runs/good/log.csv")
    short(tool / "runs/short/log.csv")
    if "baseline" in inputs:
        subprocess.run(["gandoctor", "check", "runs/bad", "--write-baseline", "accepted.json"], check=True)
    found, _, outputs = act(tool, **inputs)
    assert (found, outputs["exit-code"]) == (code, str(code))
    assert not (tool / "hacked").exists()


def test_the_gitlab_job_writes_what_it_hands_over(tool: Path) -> None:
    failing(tool / "runs/bad/log.csv")
    job = loaded(GITLAB)[".gandoctor"]
    done = subprocess.run(
        ["bash", "-c", job["script"][-1]], cwd=tool, env={**os.environ, **job["variables"]},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    reports = job["artifacts"]["reports"]
    for file in (*job["artifacts"]["paths"], *reports.values()):
        assert (tool / file).stat().st_size > 100
    assert job["artifacts"]["when"] == "always"
    assert all(name in job["script"][0] + job["script"][1] for name in job["variables"])


def test_the_workflow_trains_what_the_trainer_knows() -> None:
    pytest.importorskip("torch", reason="the trainer needs torch")
    from gandoctor.trainer import FAULTS

    runs = [step["run"] for step in loaded(WORKFLOW)["jobs"]["check"]["steps"] if "run" in step]
    trained = [text for text in runs if text.startswith("gandoctor train")]
    assert len(trained) == 2
    [fault] = [text.split("--fault ")[1].split()[0] for text in trained if "--fault" in text]
    assert fault in FAULTS


def test_a_schema_refuses_a_mistake() -> None:
    schemas = pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed").__file__
    vendor = Path(schemas).parent / "builtin_schemas/vendor/github-actions.json"
    action = loaded(ACTION)
    del action["runs"]["using"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(action, json.loads(vendor.read_text("utf-8")))
