"""Files of torch.save without PyTorch: what they hold, and pickles that are up to something.

What PyTorch itself writes is read in tests/reference/test_torch_files.py.
"""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import CheckpointError
from thalweg.interop import safetensors
from thalweg.interop.torch_files import load, load_file


class _Name:
    """Pickled as the name of something of PyTorch's, called with arguments."""

    def __init__(self, module: str, name: str, *arguments: Any) -> None:
        self.module, self.name, self.arguments = module, name, arguments


class _Storage(_Name):
    def __init__(self, kind: str, key: str, count: int) -> None:
        super().__init__("torch", kind)
        self.key, self.count = key, count


class _Pickler(pickle._Pickler):  # type: ignore[name-defined]  # the one in Python can be led
    """Writes names that cannot be imported here."""

    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, _Storage):
            return ("storage", _Name("torch", obj.name), obj.key, "cpu", obj.count)
        return None

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, _Name) and not isinstance(obj, _Storage):
            self.write(f"c{obj.module}\n{obj.name}\n".encode())
            if obj.arguments:
                self.save(obj.arguments)
                self.write(pickle.REDUCE)
            return
        super().save(obj, save_persistent_id)


def pickled(content: Any) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, 2).dump(content)
    return buffer.getvalue()


def written(path: Path, content: Any, records: dict[str, bytes] | None = None) -> Path:
    data = content if isinstance(content, bytes) else pickled(content)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", data)
        for name, record in (records or {}).items():
            archive.writestr(f"m/{name}", record)
    return path


def tensor(
    shape: Any = (2, 3), strides: Any = (3, 1), offset: Any = 0, count: int = 6, kind: str = "Float"
) -> _Name:
    storage = _Storage(f"{kind}Storage", "0", count)
    arguments = (storage, offset, shape, strides, False, OrderedDict())
    return _Name("torch._utils", "_rebuild_tensor_v2", *arguments)


SIX = {"data/0": np.arange(6, dtype=np.float32).tobytes()}


def refused(path: Path, message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_views_of_one_storage_become_values(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.pt",
        {"whole": tensor(), "turned": tensor((3, 2), (1, 3)), "part": tensor((2,), (3,), 1)},
        SIX,
    )
    found = load_file(path)
    assert found["whole"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert found["part"].tolist() == [1, 4]
    found["whole"] += 1
    assert found["part"].tolist() == [1, 4]


def test_structures(tmp_path: Path) -> None:
    shared = [1, 2.5, None, True, "text", (3,)]
    content = {"a": shared, "b": (shared, {"c": tensor()}), 7: OrderedDict(x=1)}
    found = load(written(tmp_path / "a.pt", content, SIX))
    assert found["a"] == shared
    assert found["b"][0] is found["a"]
    assert found["b"][1]["c"].shape == (2, 3)
    assert found[7] == {"x": 1}


def test_big_endian(tmp_path: Path) -> None:
    records = {"data/0": np.arange(6, dtype=">f4").tobytes(), "byteorder": b"big"}
    assert load(written(tmp_path / "a.pt", tensor(), records)).tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tensor(strides=(4, 1)), "goes beyond its 6 elements"),
        (tensor(offset=1), "goes beyond its 6 elements"),
        (tensor((2, 6), (0, 1)), r"repeats its 6 elements.*contiguous"),
        (tensor(shape=(2, -3)), "describes a tensor of shape"),
        (tensor(strides=(3,)), "describes a tensor of shape"),
        (tensor(offset="0"), "describes a tensor of shape"),
        (tensor(count=7), "has 24 bytes, not 28 bytes"),
        (tensor(count=5, shape=(5,), strides=(1,)), "has 24 bytes, not 20"),
        (tensor(count=-1), "names a storage as"),
        (tensor((0,), (1,), count=-1), "names a storage as"),
        (tensor(kind="Short"), r"names torch\.ShortStorage, which is no tensor"),
        (tensor(kind="Bool", count=24, shape=(24,), strides=(1,)), "other than 0 and 1"),
        (_Name("torch", "FloatStorage", 3), "FloatStorage is called"),
        (_Storage("FloatStorage", "0", 6), "holds a _Storage by itself"),
        (_Name("torch.nn.modules.linear", "Linear"), r"names torch\.nn\..*state_dict\(\)"),
        (b"\x80\x02}q\x00X", "structure cannot be read"),
        (b"no pickle", "has the instruction|structure cannot be read"),
    ],
)
def test_what_contradicts_itself(content: Any, message: str, tmp_path: Path) -> None:
    refused(written(tmp_path / "a.pt", content, SIX), message)


class _Runs:
    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("function", [os.mkdir, eval, exec, print, getattr, __import__])
def test_nothing_is_run(function: Callable[..., Any], protocol: int, tmp_path: Path) -> None:
    mark = tmp_path / "run"
    text = str(mark) if function is os.mkdir else f"__import__('os').mkdir({str(mark)!r})"
    evil = pickle.dumps({"w": _Runs(function, text)}, protocol)
    refused(written(tmp_path / "a.pt", evil, SIX), "names .*can have any function called")
    assert not mark.exists()


def test_instances_are_refused(tmp_path: Path) -> None:
    evil = pickle.dumps([OrderedDict(), io.StringIO()], 2)
    refused(written(tmp_path / "a.pt", evil), "names|instruction")
    evil = b"\x80\x02ccollections\nOrderedDict\n)\x81."
    refused(written(tmp_path / "a.pt", evil), "instruction NEWOBJ, as whole models")


def test_what_stands_for_a_name_cannot_be_changed(tmp_path: Path) -> None:
    evil = b"\x80\x02ctorch\nSize\n}X\x04\x00\x00\x00callX\x01\x00\x00\x00xsb."
    refused(written(tmp_path / "a.pt", evil), "structure cannot be read")
    assert load(written(tmp_path / "b.pt", _Name("torch", "Size", (2, 3)))) == (2, 3)


def test_a_structure_that_contains_itself_ends(tmp_path: Path) -> None:
    around: list[Any] = [1]
    around.append(around)
    assert load(written(tmp_path / "a.pt", pickle.dumps(around, 2)))[0] == 1
    wide: Any = []
    for _ in range(60):
        wide = [wide, wide]
    assert len(load(written(tmp_path / "a.pt", pickle.dumps(wide, 2)))) == 2


def test_other_files(tmp_path: Path) -> None:
    refused(tmp_path / "none.pt", "no such file")
    refused(tmp_path, "is a folder")
    (tmp_path / "old.pt").write_bytes(pickle.dumps({"w": [1.0] * 9}, 2))
    refused(tmp_path / "old.pt", "not a PyTorch file: .*old versions of torch")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a.txt", "text")
    refused(tmp_path / "other.zip", "a zip archive, but not of torch")
    refused(written(tmp_path / "script.pt", {}, {"constants.pkl": b""}), "TorchScript")
    whole = written(tmp_path / "a.pt", tensor(), SIX).read_bytes()
    for length in range(2, len(whole), 7):
        (tmp_path / "cut.pt").write_bytes(whole[:length])
        refused(tmp_path / "cut.pt", "damaged or cut short")
    refused(written(tmp_path / "b.pt", tensor(), {}), "no record 'data/0'")


def test_a_state_and_other_things(tmp_path: Path) -> None:
    nested = written(tmp_path / "a.pt", {"model": {"w": tensor()}, "epoch": 3}, SIX)
    with pytest.raises(CheckpointError, match=r"'model' is a dict.*torch_files\.load\(path\)"):
        load_file(nested)
    with pytest.raises(CheckpointError, match="holds a list, not a dictionary"):
        load_file(written(tmp_path / "b.pt", [1]))
    with pytest.raises(CheckpointError, match=r"torch_files\.load_file"):
        safetensors.load_file(nested)
    net = tw.nn.Linear(3, 2, bias=False)
    net.load_state_dict({"weight": load(nested)["model"]["w"]})
    assert net.weight.tolist() == [[0, 1, 2], [3, 4, 5]]
