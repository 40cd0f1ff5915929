"""The user's own code: the function that builds the generator, and the one that makes features of samples."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from gandoctor.errors import UserError


def built(spec: str, settings: Mapping[str, Any]) -> nn.Module:
    """The generator that `package.module:build` (or `file.py:build`) makes.

    build() takes nothing, or one argument: what the configuration beside the run says, by name. Raises UserError.
    """
    build = function_of(spec, "--generator")
    try:
        made = build(dict(settings)) if _takes_settings(build) else build()
    except (Exception, SystemExit) as fault:
        raise user_fault(f"{spec} failed", "--generator", fault) from fault
    if not isinstance(made, nn.Module):
        raise UserError(
            f"{spec} returned {type(made).__name__}, not a torch.nn.Module",
            where="--generator",
            hint="def build(): return Generator()",
        )
    return made


def _takes_settings(build: Callable[..., Any]) -> bool:
    """Whether a function needs an argument."""
    try:
        parameters = inspect.signature(build).parameters.values()
    except (TypeError, ValueError):
        return False
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(one.default is inspect.Parameter.empty and one.kind in places for one in parameters)


def function_of(spec: str, option: str) -> Callable[..., Any]:
    """What `package.module:name` or `path/to/file.py:name` names, with the working directory importable.

    Raises UserError if there is no such module or function, or if importing it fails.
    """
    where, colon, name = spec.rpartition(":")
    if not colon or not where or not name:
        raise UserError(
            f"'{spec}' is not MODULE:FUNCTION",
            where=option,
            hint=f"for example {option} models.dcgan:build, or models/dcgan.py:build",
        )
    module = _imported(where, option)
    found = getattr(module, name, None)
    if callable(found):
        return found  # type: ignore[no-any-return]
    known = [word for word, one in vars(module).items() if callable(one) and not word.startswith("_")]
    near = get_close_matches(name, known, n=3, cutoff=0.4) or known[:6]
    hint = f"it has {', '.join(near)}" if near else "it has no function"
    raise UserError(f"{where} has no function '{name}'", where=option, hint=hint)


def _imported(where: str, option: str) -> ModuleType:
    file = Path(where)
    is_file = where.endswith(".py") or os.sep in where
    if is_file and not file.is_file():
        raise UserError(f"there is no file {where}", where=option)
    paths = [str(Path.cwd()), *([str(file.absolute().parent)] if is_file else [])]
    sys.path[:0] = [path for path in paths if path not in sys.path]
    arguments, sys.argv = sys.argv, [where]  # a script that reads its arguments shall not read ours
    try:
        if not is_file:
            return importlib.import_module(where)
        spec = importlib.util.spec_from_file_location(file.stem, file)
        if spec is None or spec.loader is None:
            raise UserError(f"{where} is no Python file", where=option)
        module = importlib.util.module_from_spec(spec)
        sys.modules.setdefault(file.stem, module)
        spec.loader.exec_module(module)
        return module
    except ModuleNotFoundError as fault:
        if not is_file and fault.name is not None and f"{where}.".startswith(f"{fault.name}."):
            raise UserError(
                f"there is no module '{where}'",
                where=option,
                hint=f"modules are looked for in {Path.cwd()} and in this Python's packages",
            ) from fault
        raise user_fault(f"importing {where} failed", option, fault) from fault
    except SystemExit as fault:
        raise UserError(
            f"importing {where} ended the program: it runs a script",
            where=option,
            hint="put the function into a module of its own, or the script below `if __name__ == '__main__':`",
        ) from fault
    except UserError:
        raise
    except Exception as fault:
        raise user_fault(f"importing {where} failed", option, fault) from fault
    finally:
        sys.argv = arguments


def user_fault(what: str, where: str, fault: BaseException) -> UserError:
    """A fault in the user's code, with the last line of theirs (not of a library) that led to it."""
    frames = traceback.extract_tb(fault.__traceback__)
    ours = str(Path(__file__).parents[1])
    theirs = [
        frame for frame in frames
        if "site-packages" not in frame.filename and not frame.filename.startswith((ours, "<"))
        and "importlib" not in frame.filename
    ]  # fmt: skip
    place = f" ({theirs[-1].filename}:{theirs[-1].lineno})" if theirs else ""
    text = str(fault).strip().splitlines()
    told = f": {text[0]}" if text else ""
    return UserError(f"{what}: {type(fault).__name__}{told}{place}", where=where)
