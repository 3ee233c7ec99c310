"""safetensors out and in: every dtype bit for bit, in order, and as the package itself reads it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

import thalweg as tw
from thalweg import dtypes
from thalweg.errors import CheckpointError, DTypeError
from thalweg.interop.safetensors import (
    load_file,
    load_file_with_metadata,
    read_metadata,
    save,
    save_file,
)
from thalweg.tape import wrap

FLOATS = [np.nan, np.inf, -np.inf, -0.0, 5e-324, 1e-45, 6e-8, 0.1, 65504.0]


def bits(tensor: tw.Tensor) -> bytes:
    return bytes(tensor._value.tobytes())


def sample(dtype: tw.DType) -> tw.Tensor:
    """Values of a dtype, special ones among them, NaNs with a payload too."""
    if dtype is dtypes.bool:
        return tw.tensor([[True, False, True]])
    if dtype.kind == "integer":
        limits = np.iinfo(dtype.numpy)
        return wrap(np.array([[limits.min, 0, limits.max]], dtype.numpy))
    random = np.random.default_rng(0).integers(0, 256, 7 * dtype.itemsize, np.uint8)
    return wrap(random.view(dtype.numpy).reshape(7, 1))


@pytest.mark.parametrize("dtype", dtypes.ALL, ids=lambda dtype: dtype.name)
def test_every_dtype_bit_for_bit(tmp_path: Path, dtype: tw.DType) -> None:
    given_tensor = sample(dtype)
    save_file({"x": given_tensor}, tmp_path / "x")
    back = load_file(tmp_path / "x")["x"]
    assert (back.dtype, back.shape) == (dtype, given_tensor.shape)
    assert bits(back) == bits(given_tensor)


@pytest.mark.parametrize("dtype", [tw.float32, tw.float64])
def test_special_floats(tmp_path: Path, dtype: tw.DType) -> None:
    given_tensor = wrap(np.array(FLOATS, dtype.numpy))
    save_file({"x": given_tensor}, tmp_path / "x")
    assert bits(load_file(tmp_path / "x")["x"]) == bits(given_tensor)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (2, 3, 4), (1,) * 20])
def test_every_rank(tmp_path: Path, shape: tuple[int, ...]) -> None:
    save_file({"x": tw.ones(*shape), "y": tw.tensor(2.0)}, tmp_path / "x")
    back = load_file(tmp_path / "x")
    assert tuple(back["x"].shape) == shape
    assert back["y"].item() == 2


def test_what_does_not_lie_dense(tmp_path: Path) -> None:
    x = wrap(np.arange(12.0).reshape(3, 4).T[::2, ::-1])
    save_file({"x": x}, tmp_path / "x")
    assert load_file(tmp_path / "x")["x"].tolist() == x.tolist()


def test_order_is_kept_and_data_aligned(tmp_path: Path) -> None:
    """Names in the caller's order, bytes by alignment, as the format wants it."""
    names = ["z", "a", "ü/β", "b.weight", ""]
    kinds = [dtypes.uint8, dtypes.float64, dtypes.bool, dtypes.bfloat16, dtypes.float32]
    tensors = {n: tw.ones(3).to(dtype) for n, dtype in zip(names, kinds, strict=True)}
    save_file(tensors, tmp_path / "x", {"b": "1", "a": "2"})
    back, metadata = load_file_with_metadata(tmp_path / "x")
    assert list(back) == names
    assert list(metadata) == ["b", "a"]
    content = (tmp_path / "x").read_bytes()
    length = int.from_bytes(content[:8], "little")
    assert length % 8 == 0
    header = json.loads(content[8 : 8 + length])
    for name, tensor in tensors.items():
        assert header[name]["data_offsets"][0] % tensor.dtype.itemsize == 0


def test_the_package_reads_ours(tmp_path: Path) -> None:
    tensors = {"b": tw.randn(2, 3), "a": tw.arange(4), "h": tw.randn(3).half()}
    save_file(tensors, tmp_path / "x", {"k": "v"})
    theirs = safetensors.numpy.load_file(tmp_path / "x")
    assert {n: a.tobytes() for n, a in theirs.items()} == {n: bits(t) for n, t in tensors.items()}
    with safetensors.safe_open(tmp_path / "x", "np") as file:
        assert file.metadata() == {"k": "v"}


def test_we_read_the_packages(tmp_path: Path) -> None:
    arrays = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array(3)}
    safetensors.numpy.save_file(arrays, tmp_path / "x", {"format": "pt"})
    back, metadata = load_file_with_metadata(tmp_path / "x")
    assert {n: t.tolist() for n, t in back.items()} == {n: a.tolist() for n, a in arrays.items()}
    assert metadata == {"format": "pt"}


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.dictionaries(texts, texts, max_size=4), st.lists(texts, unique=True, max_size=4))
def test_names_and_metadata(metadata: dict[str, str], names: list[str]) -> None:
    tensors = {name: tw.full((2,), i) for i, name in enumerate(names) if name != "__metadata__"}
    content = save(tensors, metadata)
    assert set(safetensors.numpy.load(content)) == set(tensors)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes(content)
        back, read = load_file_with_metadata(path)
    assert (list(back), read) == (list(tensors), metadata)


def test_save_gives_the_files_bytes(tmp_path: Path) -> None:
    tensors = {"w": tw.randn(3)}
    save_file(tensors, tmp_path / "x", {"a": "b"})
    assert (tmp_path / "x").read_bytes() == save(tensors, {"a": "b"})


def test_metadata_alone_is_read_from_the_header(tmp_path: Path) -> None:
    save_file({"w": tw.zeros(1000)}, tmp_path / "x", {"epoch": "3"})
    assert read_metadata(tmp_path / "x") == {"epoch": "3"}
    save_file({"w": tw.zeros(1000)}, tmp_path / "x")
    assert read_metadata(tmp_path / "x") == {}


def test_no_tensors(tmp_path: Path) -> None:
    save_file({}, tmp_path / "x")
    assert load_file(tmp_path / "x") == {}


def test_what_was_loaded_is_like_any_tensor(tmp_path: Path) -> None:
    save_file({"w": tw.ones(2, requires_grad=True)}, tmp_path / "x")
    w = load_file(tmp_path / "x")["w"]
    assert not w.requires_grad
    w += 1
    w[0] = 5
    assert w.tolist() == [5, 2]


@pytest.mark.parametrize(
    ("tensors", "metadata", "kind", "message"),
    [
        ({"a": np.ones(2)}, None, DTypeError, r"'a' is a ndarray; expected a Tensor: use tw\.tens"),
        ({1: tw.ones(2)}, None, DTypeError, "names and metadata are texts, got 1 of type int"),
        ({}, {"epoch": 1}, DTypeError, "names and metadata are texts, got 1 of type int"),
        ({"\ud800": tw.ones(2)}, None, CheckpointError, "cannot be written in UTF-8"),
        ({"__metadata__": tw.ones(2)}, None, CheckpointError, "is the format's own name"),
    ],
)
def test_what_cannot_be_saved(
    tmp_path: Path, tensors: object, metadata: object, kind: type[Exception], message: str
) -> None:
    (tmp_path / "x").write_bytes(b"former")
    with pytest.raises(kind, match=message):
        save_file(tensors, tmp_path / "x", metadata)  # type: ignore[arg-type]
    assert (tmp_path / "x").read_bytes() == b"former"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
