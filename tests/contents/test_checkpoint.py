"""Checkpoints as data: what torch.load and numpy give for the same files, tensor by tensor."""

from __future__ import annotations

import argparse
import collections
import datetime
import io
import json
import pickle
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gandoctor.contents.checkpoint import Inert, Tensor, Unreadable, open_checkpoint
from tests.contents.trees import tensors_of

torch = pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "../shared/corpus"
TYPES = (
    "float32", "float64", "float16", "bfloat16", "uint8", "int8", "int16", "int32", "int64", "bool", "complex64",
    "complex128", "uint16", "uint32", "uint64",
)  # fmt: skip
KINDS = pytest.mark.parametrize("kind", ["torch", "torch-legacy"])


def saved(tmp_path: Path, tree: object, kind: str, **options: Any) -> Path:
    path = tmp_path / "checkpoint.pt"
    torch.save(tree, path, _use_new_zipfile_serialization=kind == "torch", **options)
    return path


def both(tmp_path: Path, tree: object, kind: str) -> Any:
    """Our tree, after it was held against torch's, and against what was saved."""
    path = saved(tmp_path, tree, kind)
    ours = open_checkpoint(path, kind)
    check(ours, tree)
    if not (
        kind == "torch-legacy" and b"UntypedStorage" in path.read_bytes()
    ):  # PyTorch cannot read these itself
        check(ours, torch.load(path, weights_only=False, map_location="cpu"))
    return ours


def check(ours: object, theirs: Any, name: str = "root") -> None:
    """Hold a tree against what PyTorch and numpy read."""
    if isinstance(theirs, torch.Tensor):
        assert isinstance(ours, Tensor), name
        values = theirs.detach()
        assert ours.problem == "", name
        assert ours.shape == tuple(values.shape), name
        assert ours.stored == str(values.dtype).removeprefix("torch."), name
        check_array(ours, values.float().numpy() if values.dtype == torch.bfloat16 else values.numpy(), name)
    elif isinstance(theirs, np.ndarray):
        assert isinstance(ours, Tensor), name
        assert ours.problem == "", name
        check_array(ours, theirs, name)
    elif isinstance(theirs, dict):
        assert isinstance(ours, dict), name
        assert list(ours) == list(theirs), name
        for key in theirs:
            check(ours[key], theirs[key], f"{name}.{key}")
    elif isinstance(theirs, list | tuple):
        assert type(ours) is (list if isinstance(theirs, list) else tuple), name
        assert len(ours) == len(theirs), name  # type: ignore[arg-type]
        for i, item in enumerate(theirs):
            check(ours[i], item, f"{name}.{i}")  # type: ignore[index]
    elif isinstance(theirs, np.generic):
        assert ours == theirs.item() or (ours != ours and theirs != theirs), name
    elif isinstance(theirs, torch.device):
        assert ours == str(theirs), name
    elif isinstance(theirs, str | bytes | int | float | complex | None):
        assert type(ours) is type(theirs), name
        assert ours == theirs, name
    else:
        assert isinstance(ours, Inert), (name, type(theirs))
        assert ours.name == type(theirs).__qualname__, name
        if isinstance(ours.state, dict) and hasattr(theirs, "__dict__"):
            for key, value in ours.state.items():
                if isinstance(key, str) and key in vars(theirs):
                    check(value, vars(theirs)[key], f"{name}.{key}")


def check_array(ours: Tensor, theirs: Any, name: str = "") -> None:
    array = ours.array()
    assert array.dtype == ours.dtype, name
    assert array.dtype == theirs.dtype.newbyteorder("="), name
    assert array.shape == ours.shape == theirs.shape, name
    np.testing.assert_array_equal(array, theirs)
    gathered = [piece.copy() for piece in ours.chunks(7)]
    flat = np.concatenate(gathered) if gathered else np.empty(0, array.dtype)
    np.testing.assert_array_equal(np.sort(flat), np.sort(theirs, axis=None))


@KINDS
@pytest.mark.parametrize("name", TYPES)
def test_types(tmp_path: Path, kind: str, name: str) -> None:
    values = (
        torch.arange(-6, 18).reshape(2, 3, 4) if "uint" not in name else torch.arange(24).reshape(2, 3, 4)
    )
    both(
        tmp_path,
        {"x": values.to(getattr(torch, name)), "none": torch.empty(0, dtype=getattr(torch, name))},
        kind,
    )


@KINDS
def test_views(tmp_path: Path, kind: str) -> None:
    base = torch.randn(6, 8)
    both(
        tmp_path,
        {
            "base": base, "transposed": base.T, "row": base[3], "column": base[:, 2], "corner": base[2:4, 1:5],
            "every other": base[::2, ::3], "permuted": torch.randn(2, 3, 4).permute(2, 0, 1),
            "expanded": torch.randn(3, 1).expand(3, 5), "scalar": torch.tensor(3.5), "one": base[1, 1],
            "empty": torch.empty(0, 3), "empty view": base[6:], "ones": torch.randn(1, 1, 1).expand(1, 1, 1),
            "parameter": torch.nn.Parameter(base), "conjugate": torch.view_as_real(torch.randn(2, 2) + 1j),
            "channels last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        },
        kind,
    )  # fmt: skip


class Options:
    """A user's class, with attributes and slots."""

    __slots__ = ("__dict__", "depth")

    def __init__(self) -> None:
        self.depth, self.width = 3, 64


class Settings(dict):  # type: ignore[type-arg]
    """A dict with attributes, as EasyDict and many more."""


@KINDS
def test_what_weights_only_refuses(tmp_path: Path, kind: str) -> None:
    when = datetime.datetime(2024, 5, 6, 7, 8, 9)
    settings_of = Settings(lr=0.1, betas=(0.0, 0.9))
    settings_of.note = "x"  # type: ignore[attr-defined]
    tree = {
        "args": argparse.Namespace(
            lr=2e-4, betas=(0.5, 0.999), device=torch.device("cpu"), nested=argparse.Namespace(z=100)
        ),
        "best": np.float64(3.25),
        "fid": np.float32(12.5),
        "count": np.int64(2**40),
        "flag": np.bool_(True),
        "half": np.float16(0.5),
        "array": np.arange(12.0).reshape(3, 4),
        "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "big endian": np.arange(5, dtype=">f4"),
        "large": np.random.default_rng(0).standard_normal((40, 50)),
        "losses": collections.defaultdict(list, {"D": [0.5, 1.0], "G": [2.0]}),
        "counted": collections.Counter("aab"),
        "ordered": collections.OrderedDict(a=1, b=2),
        "complex": 1 + 2j,
        "bytes": b"\x00\xff",
        "big": 2**70,
        "none": None,
    }
    both(tmp_path, tree, kind)
    odd = {
        "path": Path("/data/run/7"),
        "relative": Path("a/b"),
        "when": when,
        "day": when.date(),
        "set": {3},
        "frozen": frozenset([4]),
        "device": torch.device("cuda", 1),
        "dtype": torch.bfloat16,
        "size": torch.Size([2, 3]),
        "deque": collections.deque([1, 2], 5),
        "options": Options(),
        "settings": settings_of,
        "simple": types.SimpleNamespace(a=1),
        "function": json.dumps,
        "class": Options,
        (64, 64): "tuple key",
        None: 0,
    }
    ours: Any = open_checkpoint(saved(tmp_path, odd, kind), kind)
    assert list(ours) == list(odd)
    assert ours["path"] == "/data/run/7"
    assert ours["relative"] == "a/b"
    assert ours["when"] == "2024-05-06T07:08:09"
    assert ours["day"] == "2024-05-06"
    assert (ours["set"], ours["frozen"], ours["deque"]) == ([3], [4], [1, 2])
    assert (ours["device"], ours["dtype"], ours["size"]) == ("cuda:1", "torch.bfloat16", (2, 3))
    assert ours["options"].state == {"depth": 3, "width": 64}
    assert (ours["settings"].items, ours["settings"].state) == (
        {"lr": 0.1, "betas": (0.0, 0.9)},
        {"note": "x"},
    )
    assert ours["simple"].state == {"a": 1}
    assert (ours["function"].module, ours["function"].name, ours["function"].args) == ("json", "dumps", None)
    assert ours["class"].name == "Options"


def gan() -> tuple[Any, Any]:
    generator = torch.nn.Sequential(
        torch.nn.ConvTranspose2d(16, 8, 4),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(),
        torch.nn.ConvTranspose2d(8, 3, 4, 2),
    )
    critic = torch.nn.Sequential(
        torch.nn.utils.parametrizations.spectral_norm(torch.nn.Conv2d(3, 8, 4, 2)),
        torch.nn.LeakyReLU(0.2),
        torch.nn.Conv2d(8, 1, 4),
    )
    return generator, critic


def trained(network: Any) -> Any:
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
    network(torch.randn(2, 16, 1, 1)).square().mean().backward()
    optimiser.step()
    return optimiser


@KINDS
def test_networks_and_optimisers(tmp_path: Path, kind: str) -> None:
    generator, critic = gan()
    optimiser = trained(generator)
    ours = both(
        tmp_path,
        {
            "netG": generator.state_dict(), "netD": critic.state_dict(), "optG": optimiser.state_dict(), "epoch": 3,
            "parallel": torch.nn.DataParallel(generator).state_dict(),
        },
        kind,
    )  # fmt: skip
    assert ours["optG"]["param_groups"][0]["betas"] == (0.5, 0.999)
    assert ours["optG"]["state"][0]["step"].array() == 1


@KINDS
@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
def test_modules_saved_whole(tmp_path: Path, kind: str) -> None:
    generator, _ = gan()
    optimiser = trained(generator)
    path = saved(tmp_path, {"G": generator, "opt": optimiser}, kind)
    ours: Any = open_checkpoint(path, kind)
    found = dict(tensors_of(ours["G"]))
    state = generator.state_dict()
    assert set(found) == set(state)
    for name, tensor in state.items():
        check(found[name], tensor, name)
    assert ours["G"].name == "Sequential"
    moments = [name for name, _ in tensors_of(ours["opt"]) if name.endswith("exp_avg")]
    assert ours["opt"].state["param_groups"][0]["lr"] == 2e-4
    assert len(moments) in (0, 6)  # keyed by the parameters themselves


def lightning(generator: Any, critic: Any) -> dict[str, Any]:
    state = {f"generator.{k}": v for k, v in generator.state_dict().items()}
    state |= {f"discriminator.{k}": v for k, v in critic.state_dict().items()}
    return {
        "epoch": 1,
        "global_step": 48,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": collections.OrderedDict(state),
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"best": torch.tensor(2.0), "dirpath": Path("/x")}},
        "optimizer_states": [trained(generator).state_dict()],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": {
            "lr": 2e-4,
            "latent_dim": 16,
            "b1": np.float64(0.5),
            "args": argparse.Namespace(seed=1),
        },
    }


def test_lightning(tmp_path: Path) -> None:
    path = saved(tmp_path, lightning(*gan()), "torch")
    ours: Any = open_checkpoint(path, "torch")
    theirs = torch.load(path, weights_only=False)
    check(ours["state_dict"], theirs["state_dict"])
    check(ours["optimizer_states"], theirs["optimizer_states"])
    assert ours["global_step"] == 48
    assert ours["hyper_parameters"]["args"].state == {"seed": 1}


@pytest.mark.parametrize("protocol", range(2, 6))
def test_pickle_protocols(tmp_path: Path, protocol: int) -> None:
    tree = {
        "x": torch.randn(3),
        "a": np.arange(4),
        "n": argparse.Namespace(a=1),
        "b": b"abc",
        "s": [1.5, "é", 2**40],
    }
    path = saved(tmp_path, tree, "torch", pickle_protocol=protocol)
    check(open_checkpoint(path, "torch"), torch.load(path, weights_only=False))


@KINDS
@pytest.mark.filterwarnings("ignore:Sparse", "ignore:torch.quantize_per_tensor")
def test_tensors_that_are_not_read_spoil_nothing_else(tmp_path: Path, kind: str) -> None:
    tree = {
        "quantised": torch.quantize_per_tensor(torch.randn(4), 0.1, 0, torch.qint8),
        "sparse": torch.eye(3).to_sparse(),
        "csr": torch.eye(3).to_sparse_csr(),
        "meta": torch.empty(3, device="meta"),
        "float8": torch.randn(4).to(torch.float8_e4m3fn),
        "conjugate": torch.tensor([1j, 2]).conj(),
        "negative": torch.tensor([1j, 2]).conj().imag,
        "objects": np.array([1, "a"], dtype=object),
        "text": np.array(["a"]),
        "good": torch.ones(3),
    }
    ours: Any = open_checkpoint(saved(tmp_path, tree, kind), kind)
    assert ours["good"].array().tolist() == [1, 1, 1]
    for name in tree:
        if name != "good":
            assert ours[name].problem, name
            with pytest.raises(Unreadable, match=r"."):
                ours[name].array()


def test_byte_order(tmp_path: Path) -> None:
    tree = {"x": torch.arange(5.0), "y": torch.arange(3).to(torch.bfloat16)}
    previous = torch.serialization.get_default_load_endianness()
    path = saved(tmp_path, tree, "torch")
    data = path.read_bytes()
    assert data.count(b"little") == 1  # of the same length as no other word: the entry is written anew below
    import zipfile

    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "big.pt", "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename.endswith("byteorder"):
                content = b"big"
            elif "/data/" in entry.filename:
                width = 4 if len(content) == 20 else 2
                content = np.frombuffer(content, f"<u{width}").astype(f">u{width}").tobytes()
            new.writestr(entry.filename, content)
    check(open_checkpoint(tmp_path / "big.pt", "torch"), tree)
    assert torch.serialization.get_default_load_endianness() == previous


def test_storages_alone(tmp_path: Path) -> None:
    for kind in ("torch", "torch-legacy"):
        ours: Any = open_checkpoint(saved(tmp_path, {"s": torch.arange(4.0).untyped_storage()}, kind), kind)
        assert ours["s"].array().tobytes() == np.arange(4, dtype="f4").tobytes()


FIXTURES = sorted((ROOT / "fixtures").glob("*/checkpoints/*.pt"))


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.parts[-3])
def test_the_trainers_checkpoints(path: Path) -> None:
    check(open_checkpoint(path, "torch"), torch.load(path, weights_only=True))


@pytest.mark.parametrize("run", ["checkpoint-dcgan", "checkpoint-wgan-weight-clipping"])
def test_corpus(run: str) -> None:
    path = CORPUS / run / "discriminator.pth"
    if not path.exists():
        pytest.skip("the corpus is not here")
    check(open_checkpoint(path, "torch"), torch.load(path, weights_only=False, map_location="cpu"))


# -- StyleGAN's pickles.


def _reconstruct_persistent_obj(meta: Any) -> Any:
    raise AssertionError("code of a checkpoint was run")


class Persistent:
    """Pickles as torch_utils.persistence does: a call with source code and state."""

    def __init__(self, name: str, state: dict[str, Any]) -> None:
        self.name, self.state = name, state

    def __reduce__(self) -> Any:
        meta = Settings(
            type="class",
            version=6,
            module_src="raise AssertionError('run')",
            class_name=self.name,
            state=self.state,
        )
        return _reconstruct_persistent_obj, (meta,)


class Renaming(pickle._Pickler):  # Python's own pickler, whose names can be replaced
    def save_global(self, obj: Any, name: str | None = None) -> None:
        if obj is _reconstruct_persistent_obj:
            self.write(b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n")
        elif obj is Settings:
            self.write(b"cdnnlib.util\nEasyDict\n")
        else:
            super().save_global(obj, name)

    dispatch = {**pickle._Pickler.dispatch, types.FunctionType: save_global, type: save_global}  # noqa: RUF012


def stylegan(count: int = 300) -> tuple[bytes, Any]:
    weight = torch.nn.Parameter(torch.randn(count, 8))
    average = torch.randn(count)
    inner = Persistent(
        "FullyConnectedLayer",
        {"_parameters": {"weight": weight, "bias": None}, "_buffers": {}, "_modules": {}},
    )
    mapping = Persistent(
        "MappingNetwork",
        {
            "_parameters": {},
            "_buffers": {"w_avg": average},
            "_modules": collections.OrderedDict(fc0=inner),
            "_init_kwargs": Settings(z_dim=512),
        },
    )
    out = io.BytesIO()
    Renaming(out, 4).dump(
        {"G": mapping, "G_ema": mapping, "augment_pipe": None, "training_set_kwargs": Settings(path="x.zip")}
    )
    return out.getvalue(), (weight.detach(), average)


def test_stylegan(tmp_path: Path) -> None:
    data, (weight, average) = stylegan()
    path = tmp_path / "network-snapshot-000040.pkl"
    path.write_bytes(data)
    ours: Any = open_checkpoint(path, "pickle")
    network = ours["G_ema"]
    assert (network.name, network.state["_init_kwargs"].items) == ("MappingNetwork", {"z_dim": 512})
    found = dict(tensors_of(network))
    assert set(found) == {"fc0.weight", "w_avg"}
    check(found["fc0.weight"], weight)
    check(found["w_avg"], average)
    assert ours["training_set_kwargs"].items == {"path": "x.zip"}


def test_stylegan_cut(tmp_path: Path) -> None:
    data, _ = stylegan()
    path = tmp_path / "network-snapshot-000040.pkl"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(Unreadable, match="ends early"):
        open_checkpoint(path, "pickle")


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_arrays(tmp_path: Path, protocol: int) -> None:
    tree = {
        "w": np.random.default_rng(1).standard_normal((60, 30)).astype("f4"),
        "b": [np.arange(3), np.float32(2)],
        "n": argparse.Namespace(a=1),
    }
    path = tmp_path / "weights.pkl"
    path.write_bytes(pickle.dumps(tree, protocol))
    ours: Any = open_checkpoint(path, "pickle")
    check(ours, tree)


# -- Formats without pickles.


def safetensors(tensors: dict[str, Any], metadata: dict[str, str] | None = None) -> bytes:
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
    data = b""
    for name, (kind, array) in tensors.items():
        raw = np.ascontiguousarray(array).tobytes()
        header[name] = {
            "dtype": kind,
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def test_safetensors(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((3, 4))
    bits = torch.randn(5).bfloat16()
    arrays = {
        "F32": values.astype("f4"),
        "F64": values,
        "F16": values.astype("f2"),
        "I64": np.arange(4),
        "U8": np.arange(4, dtype="u1"),
        "BOOL": np.array([True, False]),
        "I8": np.arange(-2, 2, dtype="i1"),
    }
    tensors = {f"x.{kind}": (kind, array) for kind, array in arrays.items()}
    tensors |= {
        "bf": ("BF16", bits.view(torch.int16).numpy()),
        "scalar": ("F32", np.float32(2).reshape(())),
        "none": ("F32", np.empty((0, 3), "f4")),
        "f8": ("F8_E4M3", np.zeros(4, "u1")),
    }
    path = tmp_path / "G.safetensors"
    path.write_bytes(safetensors(tensors, {"step": "4000"}))
    ours: Any = open_checkpoint(path, "safetensors")
    for kind, array in arrays.items():
        check(ours[f"x.{kind}"], array)
    check(ours["bf"], bits)
    assert ours["scalar"].array() == 2
    assert ours["none"].array().shape == (0, 3)
    assert "F8_E4M3" in ours["f8"].problem
    assert ours["__metadata__"] == {"step": "4000"}


def test_safetensors_by_its_own_library(tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors.numpy")
    tensors = {"a": np.random.default_rng(0).standard_normal((3, 4)).astype("f4"), "b": np.arange(7)}
    library.save_file(tensors, tmp_path / "x.safetensors")
    check(dict(sorted(open_checkpoint(tmp_path / "x.safetensors", "safetensors").items())), tensors)  # type: ignore[attr-defined]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path: Path, save: Any) -> None:
    arrays = {
        "predictor/conv1/W": np.random.default_rng(0).standard_normal((4, 3, 2)).astype("f4"),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.arange(5, dtype=">i4"),
        "scalar": np.array(3.0),
        "none": np.empty((0, 2)),
        "c": np.array([1 + 2j]),
    }
    save(tmp_path / "snapshot.npz", **arrays, text=np.array(["a"]), objects=np.array([None, 1]))
    ours: Any = open_checkpoint(tmp_path / "snapshot.npz", "npz")
    for name, array in arrays.items():
        check(ours[name], array, name)
    assert ours["text"].problem
    assert ours["objects"].problem


@pytest.mark.parametrize(
    ("kind", "way"),
    [
        ("hdf5", r"np\.savez"),
        ("keras", r"np\.savez"),
        ("tensorflow", r"np\.savez"),
        ("distcp", "dcp_to_torch_save"),
    ],
)
def test_how_to_export(tmp_path: Path, kind: str, way: str) -> None:
    with pytest.raises(Unreadable, match=way):
        open_checkpoint(tmp_path / "x", kind)


def trees() -> st.SearchStrategy[Any]:
    shape = st.lists(st.integers(0, 4), max_size=4).map(tuple)
    tensor = st.builds(
        lambda size, kind: torch.arange(float(np.prod(size))).reshape(size).to(getattr(torch, kind)),
        shape,
        st.sampled_from(TYPES),
    )
    tensor |= st.builds(
        lambda rows, columns: torch.randn(rows, columns).T, st.integers(1, 4), st.integers(1, 4)
    )
    leaf = (
        tensor
        | st.none()
        | st.booleans()
        | st.integers(-(2**70), 2**70)
        | st.floats(allow_nan=False)
        | st.text(max_size=5)
        | st.binary(max_size=5)
    )
    return st.recursive(
        leaf,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(max_size=4), inner, max_size=3)
            | st.tuples(inner, inner)
        ),
        max_leaves=8,
    )


@settings(deadline=None, max_examples=60)
@given(trees(), st.booleans())
def test_any_tree(tmp_path_factory: pytest.TempPathFactory, tree: Any, zipped: bool) -> None:
    both(tmp_path_factory.mktemp("tree"), tree, "torch" if zipped else "torch-legacy")


def test_nothing_needs_torch() -> None:
    import subprocess
    import sys

    code = "import sys, gandoctor.contents.checkpoint; assert not {'torch', 'pandas', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def walked(tree: Any) -> Iterator[str]:
    for name, _ in tensors_of(tree):
        yield name


def test_paths(tmp_path: Path) -> None:
    shared = {"w": torch.ones(1)}
    tree = {"G": shared, "again": shared, "list": [torch.ones(2), {"x": (torch.ones(3),)}]}
    ours: Any = open_checkpoint(saved(tmp_path, tree, "torch"), "torch")
    assert list(walked(ours)) == ["G.w", "list.0", "list.1.x.0"]
