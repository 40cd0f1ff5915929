"""Configuration beside the logs: YAML, JSON, TOML, INI, printed options and Python literals.

    lr: 0.0002                                        hparams.yaml, config.yaml, W&B's {lr: {value: 0.0002}}
    {"batch": 32, "G_opt_kwargs": {"lr": 0.0025}}     training_options.json, args.json
    ----------------- Options ---------------         pix2pix's train_opt.txt
               batch_size: 1              [default: 4]
    Namespace(lr=0.0002, b1=0.5)                      args.txt

Only settings come from these files. A file is one by its name, or because it names two
hyperparameters; what is a log goes to the readers of logs, which are asked first. Objects in YAML
become plain lists, dicts and texts: nothing is built or run.
"""

from __future__ import annotations

import ast
import configparser
import json
import re
import tomllib
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from gandoctor.readers.faults import Faults
from gandoctor.readers.head import Head
from gandoctor.readers.settings import settings_of
from gandoctor.readers.text import parts_of
from gandoctor.run import RunParts

KIND = "config"
ORDER = 50

MAX_BYTES = 256 << 10
_LONGEST_YAML = 64 << 10  # PyYAML reads 30 to 100 KB in a second
_MAX_ALIASES = 100
_LARGEST_ALIASED = 64  # scalars in a list or mapping that stands for itself elsewhere
_LONGEST_LITERAL = 64 << 10

_NAME = re.compile(
    r"(?<![a-z])(config(uration)?s?|cfg|conf|args|arguments|opts?|options?|params?|parameters|hparams"
    r"|hyper_?param(eter)?s?|hps|settings|flags)(?![a-z])"
)
_OTHER = re.compile(
    r"(test[-_]|tokenizer|preprocessor|setup\.cfg|tox\.ini|pytest\.ini|mypy\.ini|pyproject\.toml|package)"
    r"|summary|metadata|schema"
)
_KEY = re.compile(r"""(?:^|[\s{,(\[])["']?(?P<key>[A-Za-z][A-Za-z0-9_.-]{0,40})["']?\s*[:=]""", re.MULTILINE)
_HYPERPARAMETERS = frozenset({
    "lr", "lrg", "lrd", "glr", "dlr", "learningrate", "batchsize", "batch", "epochs", "nepochs",
    "numepochs", "maxepochs", "maxsteps", "totalkimg", "kimg", "beta1", "beta2", "betas", "b1", "b2",
    "optimizer", "optimizerg", "optimizerd", "weightdecay", "latentdim", "zdim", "nz", "ngf", "ndf",
    "ncritic", "criticiter", "ganmode", "ganloss", "losstype", "adversarialloss", "lambdagp", "gpweight",
    "r1gamma", "lambdal1", "clipvalue", "imgsize", "imagesize",
})  # fmt: skip
_FEWEST_KEYS = 2
_HEADER = re.compile(r"^[-=*]{4,} *(options|arguments|config\w*|parameters) *[-=*]{4,}\s*$", re.I | re.M)
_OPTION = re.compile(r"^[ \t]*(?P<name>[A-Za-z_][\w.-]{0,60})[ \t]*[:=][ \t]*\S.*$", re.MULTILINE)
_CALL = re.compile(r"\s*\w*(Namespace|Config|Args)\(")
_TEXT = re.compile(r"""\"(?:[^"\\\n]|\\.)*\"|'[^'\n]*'""")
_DEEP_KEY = re.compile(r"(?<![\w-])[\w-]+(?:[ \t]*\.[ \t]*[\w-]+){32}")
_EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$")  # a number to people, a text to YAML 1.1


Parser = Callable[[str, Faults], object]


def sniff(head: Head) -> bool:
    """Whether this is a configuration of training: a format we read, and a telling name or two such keys."""
    text = head.text
    if text is None or head.size > MAX_BYTES or _OTHER.search(head.name) or _parser(head.path, text) is None:
        return False
    keys = {re.sub(r"[^a-z0-9]", "", found["key"].lower()) for found in _KEY.finditer(text)}
    return bool(keys) and (
        _NAME.search(head.name) is not None or len(keys & _HYPERPARAMETERS) >= _FEWEST_KEYS
    )


def read(path: Path) -> list[RunParts]:
    """Read all settings, by their path joined with dots."""
    faults = Faults(path)
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        faults.add("", "too-large", f"a configuration of more than {MAX_BYTES >> 10} KiB is not read")
        return [RunParts(problems=faults.problems())]
    text = Head(path, len(data), data).text
    parser = _parser(path, text or "")
    if text is None or parser is None:
        faults.add("", "unreadable", "no text of a configuration")
        return [RunParts(problems=faults.problems())]
    tree = parser(text, faults)
    if isinstance(tree, dict):
        tree = _without_wandb(tree)
    return [RunParts(settings=settings_of(tree, path), problems=faults.problems())]


def _parser(path: Path, text: str) -> Parser | None:
    """Who can read this text, by the suffix and the first characters."""
    suffix = path.suffix.lower()
    if suffix in (".yaml", ".yml"):
        return _yaml
    if suffix == ".json":
        return _json if text.lstrip().startswith("{") else None
    if suffix == ".toml":
        return _toml
    if suffix in (".ini", ".cfg"):
        return _ini
    if suffix in (".txt", ".log", ".opt", ".args", ""):
        return _printed if _is_printed(text) else None
    return None


def _is_printed(text: str) -> bool:
    """Whether text is printed options: a header, a Namespace, a dict, or a list of different names."""
    if _HEADER.search(text[:1000]) or _CALL.match(text) or re.match(r"\s*\{\s*['\"]\w", text):
        return True
    names = [found["name"] for found in _OPTION.finditer(text)]
    lines = sum(not line.isspace() for line in text.splitlines())
    return len(names) >= lines - 1 > 0 and len(set(names)) == len(names)


def _without_wandb(tree: dict[Any, Any]) -> dict[Any, Any]:
    """W&B's config.yaml holds {lr: {desc: null, value: 0.0002}, wandb_version: 1, _wandb: …}."""
    return {
        key: value["value"]
        if isinstance(value, dict) and "value" in value and value.keys() <= {"desc", "value"}
        else value
        for key, value in tree.items()
        if key not in ("_wandb", "wandb_version")
    }


def _json(text: str, faults: Faults) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as fault:
        tree = _literal(text)  # Python's repr under the wrong name
        if tree is None:
            faults.add(f"line {fault.lineno}", "bad-syntax", fault.msg)
        return tree
    except (ValueError, RecursionError) as fault:
        faults.add("", "bad-syntax", str(fault))
    return None


def _toml(text: str, faults: Faults) -> object:
    if _DEEP_KEY.search(_TEXT.sub("s", text.replace('"""', " ").replace("'''", " "))):
        faults.add("", "too-deep", "a key of more than 32 parts")  # tomllib takes n² memory for such a key
        return None
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as fault:
        faults.add("", "bad-syntax", str(fault))
    return None


def _ini(text: str, faults: Faults) -> object:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        try:
            parser.read_string(text)
        except configparser.MissingSectionHeaderError:
            parser.read_string(f"[{parser.default_section}]\n{text}")
    except (configparser.Error, AttributeError) as fault:  # the latter where a key without value goes on
        faults.add("", "bad-syntax", str(fault).replace("\n", " "))
    tree: dict[str, object] = {name: _scalar(value) for name, value in parser.defaults().items()}
    for section in parser.sections():
        own = [name for name in parser.options(section) if name not in parser.defaults()]
        tree[section] = {name: _scalar(parser.get(section, name)) for name in own}
    return tree


def _printed(text: str, faults: Faults) -> object:
    """Printed options are read like those at the head of a text log; a lone dict by itself."""
    tree = _literal(text)
    if isinstance(tree, dict):
        return tree
    if not _HEADER.search(text[:1000]):
        text = f"---------- Options ----------\n{text}"
    return {name: one.value for part in parts_of(text, faults.file) for name, one in part.settings.items()}


def _scalar(text: str | None) -> object:
    value = None if text is None else _literal(text)
    return text if value is None else value


def _literal(text: str) -> object:
    """A Python literal, None if the text is none."""
    if len(text) > _LONGEST_LITERAL:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" in a path
            return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


# -- YAML.

_BAD_YAML = (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError, OverflowError)


def _yaml(text: str, faults: Faults) -> object:
    """The first document; where its syntax breaks, the top-level entries before."""
    import yaml

    if len(text) > _LONGEST_YAML:
        faults.add("", "too-large", f"YAML of more than {_LONGEST_YAML >> 10} KiB is not read")
        return None
    parts = [text]
    for part in parts:  # grows once, where the whole text is no YAML
        try:
            loader = _inert_loader()(part)  # refuses control characters
            tree: object = loader.get_data()
        except yaml.MarkedYAMLError as fault:
            if part is text:
                line = fault.problem_mark.line if fault.problem_mark else 0
                faults.add(f"line {line + 1}", "bad-syntax", fault.problem or "no YAML")
                parts += _beginnings(text, line)
        except (yaml.YAMLError, *_BAD_YAML) as fault:
            faults.add("", "bad-syntax", str(fault)[:200])
            return None
        else:
            if loader.refused:
                faults.add("", "yaml-alias", "aliases that would multiply what they stand for are left out")
            return tree
    return None


def _beginnings(text: str, line: int) -> list[str]:
    """The text up to each of the last three lines, at or before `line`, that begin a top-level entry."""
    lines = text.splitlines(keepends=True)
    tops = [number for number, one in enumerate(lines[: line + 1]) if re.match(r"[\w\"']", one)]
    return ["".join(lines[:number]) for number in tops[:-4:-1] if number]


@cache
def _inert_loader() -> type[Any]:
    """A loader that builds plain values only, and lets no alias multiply."""
    import yaml

    class Inert(yaml.SafeLoader):
        def __init__(self, text: str) -> None:
            super().__init__(text)
            self.aliases = 0
            self.refused = False

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                event = self.peek_event()  # type: ignore[no-untyped-call]
                self.aliases += 1
                node = self.anchors.get(event.anchor)
                if self.aliases > _MAX_ALIASES or not _is_small(node):
                    self.get_event()  # type: ignore[no-untyped-call]
                    self.refused = True
                    return _emptied(node)
            return super().compose_node(parent, index)

    def _is_small(node: Any) -> bool:
        """Whether a node is a scalar, or a short list or mapping of scalars."""
        if node is None or isinstance(node, yaml.ScalarNode):
            return True  # an alias of nothing: the loader says so itself
        parts = [part for one in node.value for part in (one if isinstance(one, tuple) else (one,))]
        return len(parts) <= 2 * _LARGEST_ALIASED and all(isinstance(part, yaml.ScalarNode) for part in parts)

    def _emptied(node: Any) -> Any:
        kind = type(node)
        return kind(node.tag, "" if kind is yaml.ScalarNode else [], node.start_mark, node.end_mark)

    def plain(loader: Any, suffix: str, node: Any) -> object:
        """`!!python/tuple [0.5, 0.9]` and the like: what stands there, without the tag."""
        if isinstance(node, yaml.MappingNode):
            return loader.construct_mapping(node, deep=True)
        if isinstance(node, yaml.SequenceNode):
            return loader.construct_sequence(node, deep=True)
        return node.value or suffix.removeprefix("tag:yaml.org,2002:")

    Inert.add_multi_constructor("", plain)
    Inert.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: str(node.value))
    Inert.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+0123456789"))
    return Inert
