"""Files of torch.save: structures of tensors of every dtype and layout; what is refused."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import thalweg
from tests.reference.both import dtype_name, plain
from tests.reference.cases_modules import MODELS
from thalweg.errors import CheckpointError
from thalweg.interop.torch_files import load, load_file

_BASE = torch.arange(24.0).reshape(2, 3, 4)
TENSORS: dict[str, Any] = {
    **{
        name: torch.tensor([0.0, 1.0, 2.5]).to(getattr(torch, name))
        for name in ("bool", "uint8", "int32", "int64", "float16", "bfloat16", "float32", "float64")
    },
    "scalar": torch.tensor(3),
    "empty": torch.zeros(0, 3),
    "transposed": _BASE.transpose(0, 2),
    "part": _BASE[1:, ::2, 1:3],
    "whole": _BASE,
    "last": _BASE[-1, -1, -1],
    "channels last": torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
}


def same(ours: Any, theirs: Any) -> None:
    assert isinstance(ours, thalweg.Tensor)
    assert (dtype_name(ours), tuple(ours.shape)) == (dtype_name(theirs), tuple(theirs.shape))
    assert ours.requires_grad == theirs.requires_grad
    as_numbers = [x.double() if dtype_name(x) == "bfloat16" else x for x in (ours, theirs)]
    np.testing.assert_array_equal(*(plain(x) for x in as_numbers))


@pytest.mark.parametrize("protocol", [2, 4])
def test_every_dtype_and_layout(protocol: int, tmp_path: Path) -> None:
    torch.save(TENSORS, tmp_path / "a.pt", pickle_protocol=protocol)
    found = load_file(tmp_path / "a.pt")
    assert list(found) == list(TENSORS)
    for name, x in TENSORS.items():
        same(found[name], x)


def test_a_checkpoint(tmp_path: Path) -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(3)).sum().backward()
    optimizer.step()
    content = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": 3,
        "best": 0.25,
        "notes": ["a", None, (True, {1: "b"})],
        "shape": torch.Size([2, 3]),
        "dtype": torch.float32,
        "device": torch.device("cuda", 1),
        "ordered": OrderedDict(a=1),
        "weight": model.weight,
        "wanted": torch.ones(2, requires_grad=True),
    }
    torch.save(content, tmp_path / "a.pt")
    found = load(tmp_path / "a.pt")
    assert {k: v for k, v in found.items() if k in ("epoch", "best", "notes", "ordered")} == {
        "epoch": 3, "best": 0.25, "notes": content["notes"], "ordered": {"a": 1},
    }  # fmt: skip
    assert (found["shape"], found["dtype"], found["device"]) == ((2, 3), "float32", "cuda:1")
    assert isinstance(found["weight"], thalweg.nn.Parameter)
    same(found["weight"], model.weight)
    same(found["wanted"], content["wanted"])
    same(found["model"]["bias"], model.bias.detach())
    moment = optimizer.state_dict()["state"][0]["exp_avg"]
    same(found["optimizer"]["state"][0]["exp_avg"], moment)
    assert found["optimizer"]["param_groups"][0]["lr"] == 1e-3


@pytest.mark.parametrize("name", MODELS)
def test_models(name: str, tmp_path: Path) -> None:
    theirs, ours = MODELS[name].build(torch), MODELS[name].build(thalweg)
    torch.save(theirs.state_dict(), tmp_path / "a.pt")
    ours.load_state_dict(load_file(tmp_path / "a.pt"))
    for key, x in theirs.state_dict().items():
        np.testing.assert_array_equal(plain(ours.state_dict()[key]), plain(x))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.nn.Linear(2, 2), "whole models"),
        (torch.ones(2, dtype=torch.int16), r"names torch\.ShortStorage"),
        (torch.ones(2, dtype=torch.complex64), r"names torch\.ComplexFloatStorage"),
        (torch.ones(3).expand(5, 3), r"x\.contiguous\(\)"),
        (torch.ones(3).to_sparse(), "names torch"),
    ],
)
def test_what_is_not_read(content: Any, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path / "a.pt")


def test_the_format_before(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(2)}, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match=r"old versions of torch\.save"):
        load(tmp_path / "a.pt")
