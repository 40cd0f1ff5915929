"""Configuration: every spelling that trainers use, nothing that is a log, and nothing that runs."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gandoctor.readers.config import read, sniff
from gandoctor.readers.head import head_of
from gandoctor.run import RunParts
from tests.limits import finishes


def saved(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def read_one(path: Path) -> RunParts:
    [parts] = read(path)
    assert parts.series == []
    return parts


def values(path: Path) -> dict[str, object]:
    assert sniff(head_of(path))
    parts = read_one(path)
    assert parts.problems == []
    return {name: setting.value for name, setting in parts.settings.items()}


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        (
            "hparams.yaml",
            "lr: 2e-4\nbetas:\n- 0.5\n- 0.999\nG: {ngf: 64, norm: batch}\ngpus: null\namp: false\n"
            "when: 2024-99-99\n",
            {"lr": 2e-4, "betas.0": 0.5, "betas.1": 0.999, "G.ngf": 64, "G.norm": "batch",
             "gpus": None, "amp": False, "when": "2024-99-99"},
        ),
        (
            "config.yaml",
            "wandb_version: 1\n_wandb:\n  value: {python_version: 3.11}\nlr:\n  desc: null\n  value: 0.0002\n"
            "opt:\n  value:\n    name: adam\n",
            {"lr": 0.0002, "opt.name": "adam"},
        ),
        (
            "training_options.json",
            '{"batch": 32, "G_opt_kwargs": {"lr": 0.0025, "betas": [0, 0.99]}, "resume": null,'
            '"max": Infinity}',
            {"batch": 32, "G_opt_kwargs.lr": 0.0025, "G_opt_kwargs.betas.0": 0, "G_opt_kwargs.betas.1": 0.99,
             "resume": None, "max": math.inf},
        ),
        ("run.json", '{"lr": 0.1, "batch_size": 4}', {"lr": 0.1, "batch_size": 4}),
        ("args.json", "{'lr': 0.1, 'cuda': True}", {"lr": 0.1, "cuda": True}),
        ("gan.toml", "lr = 1e-4\n[adam]\nbetas = [0.5, 0.9]\n",
         {"lr": 1e-4, "adam.betas.0": 0.5, "adam.betas.1": 0.9}),
        ("train.ini", "[Adam]\nlr = 0.0002\nbeta1: 0.5\nname = %(x)s\nflag\n",
         {"Adam.lr": 0.0002, "Adam.beta1": 0.5, "Adam.name": "%(x)s", "Adam.flag": None}),
        ("config.ini", "lr = 0.1\nBatch = 3\n", {"lr": 0.1, "Batch": 3}),
        (
            "train_opt.txt",
            "----------------- Options ---------------\n"
            "               batch_size: 1                             \n"
            "                    beta1: 0.5                           \t[default: 0.9]\n"
            "                 gan_mode: lsgan                         \n"
            "              load_size: [286, 256]\n"
            "                  isTrain: True                          \t[default: None]\n"
            "----------------- End -------------------\n",
            {"batch_size": 1, "beta1": 0.5, "gan_mode": "lsgan", "load_size.0": 286, "load_size.1": 256,
             "isTrain": True},
        ),
        ("args.txt", "Namespace(lr=0.0002, b1=0.5, name='dcgan', device=device(type='cuda'))\n",
         {"lr": 0.0002, "b1": 0.5, "name": "dcgan"}),
        ("opt.txt", "lr: 0.0002\nn_critic: 5\ndataset: celeba\n",
         {"lr": 0.0002, "n_critic": 5, "dataset": "celeba"}),
        ("params.txt", "{\n 'lr': 0.1,\n 'adam': {'b1': 0.5}}\n", {"lr": 0.1, "adam.b1": 0.5}),
    ],
)  # fmt: skip
def test_spellings(tmp_path: Path, name: str, text: str, wanted: dict[str, object]) -> None:
    assert values(saved(tmp_path, name, text)) == wanted


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("losses.json", json.dumps({"d": [1.0, 2.0], "g": [1.0, 2.0]})),
        ("results.json", '{"fid": 12.3, "kid": 0.1}'),
        ("wandb-summary.json", '{"lr": 0.1, "batch_size": 4}'),
        ("list.json", "[1, 2]"),
        ("docker-compose.yml", "services:\n  web:\n    image: x\n"),
        ("pyproject.toml", "[tool.x]\nlr = 1\nbatch_size = 2\n"),
        ("notes.txt", "We set lr: 0.1 and batch_size: 4.\nIt went well.\n"),
        ("opt_log.txt", "epoch: 1 loss: 0.5\nepoch: 2 loss: 0.4\nepoch: 3 loss: 0.3\n"),
        ("test_opt.txt", "----------------- Options ---------------\n lr: 0.1\n"),
        ("config.yaml", ""),
        ("config.py", "lr = 0.1\nbatch_size = 3\n"),
    ],
)
def test_others_are_left_alone(tmp_path: Path, name: str, text: str) -> None:
    assert not sniff(head_of(saved(tmp_path, name, text)))


def test_objects_in_yaml_stay_inert(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    text = f"""
lr: 0.1
evil: !!python/object/apply:os.system ["touch {flag}"]
new: !!python/object/new:os.system ["touch {flag}"]
mod: !!python/module:os
betas: !!python/tuple [0.5, 0.999]
args: !!python/object:argparse.Namespace {{n_critic: 5}}
act: !!python/name:torch.nn.ReLU ''
mine: !Custom {{a: 1}}
"""
    found = values(saved(tmp_path, "hparams.yaml", text))
    assert not flag.exists()
    assert (found["lr"], found["betas.1"], found["args.n_critic"], found["mine.a"]) == (0.1, 0.999, 5, 1)
    assert found["act"] == "python/name:torch.nn.ReLU"


def test_shared_values_are_kept_and_bombs_are_not(tmp_path: Path) -> None:
    betas = [0.5, 0.999]
    dumped = yaml.safe_dump({"betas": betas, "betas_d": betas})
    assert "*id001" in dumped
    assert values(saved(tmp_path, "hparams.yaml", dumped))["betas_d.1"] == 0.999
    lines = ["lr: 0.1", "a0: &a0 {x: 1, y: 2}"] + [
        f"a{i}: &a{i} {{{', '.join(f'k{j}: *a{i - 1}' for j in range(9))}}}" for i in range(1, 12)
    ]
    merges = ["b0: &b0 {x: 1}"] + [
        f"b{i}: &b{i} {{<<: [{', '.join([f'*b{i - 1}'] * 9)}], y: {i}}}" for i in range(1, 12)
    ]
    loop = ["loop: &loop [1, *loop]", "last: 2"]
    with finishes():
        parts = read_one(saved(tmp_path, "config.yaml", "\n".join([*lines, *merges, *loop])))
    assert [problem.kind for problem in parts.problems] == ["yaml-alias"]
    assert (parts.settings["lr"].value, parts.settings["last"].value) == (0.1, 2)
    assert len(parts.settings) < 1000


def test_what_stands_before_a_fault_is_kept(tmp_path: Path) -> None:
    parts = read_one(saved(tmp_path, "config.yaml", "lr: 0.1\nbatch: 4\nopt: {a: [1,\n"))
    assert {name: one.value for name, one in parts.settings.items()} == {"lr": 0.1, "batch": 4}
    assert [(problem.kind, problem.place) for problem in parts.problems] == [("bad-syntax", "line 4")]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.json", '{"lr": 0.1, '),
        ("config.json", '{"lr": ' + "[" * 100_000),
        ("config.yaml", "lr: " + "[" * 5_000),
        ("config.yaml", "lr: " + "{a: " * 5_000),
        ("config.yaml", "- " * 5_000 + "lr: 1"),
        ("config.yaml", "a: !!int ''\nb: !!bool x\n"),
        ("config.yaml", "? [a]\n: 1\n"),
        ("config.yaml", "a: *nothing\n"),
        ("config.toml", "lr = [[[\n"),
        ("config.toml", "lr = " + "[" * 100_000),
        ("config.toml", "a" + ".a" * 100_000 + " = 1"),
        ("config.toml", 'x = ["""\n""", {a' + ".'a'" * 50_000 + ' = 1}, ""]'),
        ("config.ini", "[[[\n=\n"),
        ("config.txt", "{'lr': " + "(" * 50_000),
        ("config.txt", "{'lr': open('/etc/passwd').read()}"),
        ("config.yaml", "lr: 0.1\n" * 20_000),
    ],
)
def test_hostile_text_is_a_problem_and_quick(tmp_path: Path, name: str, text: str) -> None:
    path = saved(tmp_path, name, text)
    with finishes():
        sniff(head_of(path))
        parts = read_one(path)
    assert len(parts.problems) >= (name != "config.txt")


def test_encodings(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    for encoding in ("utf-8-sig", "utf-16"):
        path.write_bytes("lr: 0.1\nname: 判别器\n".encode(encoding))
        assert values(path) == {"lr": 0.1, "name": "判别器"}
    path.write_bytes(b"lr: 0.1\nname: \xff\xfe\n")
    assert values(path)["lr"] == 0.1
    path.write_bytes(b"lr: 0.1\0")
    assert not sniff(head_of(path))
    assert read_one(path).problems[0].kind == "unreadable"


TEXTS = {
    "config.yaml": "lr: &a 0.1\nb: *a\nc: [1, {d: e}]\nf: !!python/tuple [1]\n",
    "config.json": '{"lr": 0.1, "b": {"c": [1, 2]}}',
    "config.toml": 'lr = 0.1\n[b]\nc = "d"\n',
    "config.ini": "[a]\nlr = 0.1\n",
    "opt.txt": "------- Options -------\nlr: 0.1\nb: [1]\n------- End -------\n",
}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(TEXTS)), st.data())
def test_no_mutation_raises(tmp_path: Path, name: str, data: st.DataObject) -> None:
    text = TEXTS[name]
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        inserted = data.draw(st.text(st.sampled_from("\t\n -:!&*?{}[]<>|%@'\"`#,0e1_a\\~=é\x00"), max_size=4))
        text = text[:at] + inserted + text[at + data.draw(st.integers(0, 2)) :]
    path = saved(tmp_path, name, text)
    sniff(head_of(path))
    read(path)
