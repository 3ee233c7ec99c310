"""Safetensors files: what one framework writes, the other reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

import thalweg
from tests.reference.both import BOTH, dtype_name, plain
from tests.reference.cases_modules import MODELS
from thalweg.interop.safetensors import load_file, read_metadata, save_file

VALUES = np.array([[0.0, 1.0, 2.5], [-0.0, 100.0, 1 / 3]])
DTYPES = ("bool", "uint8", "int32", "int64", "float16", "bfloat16", "float32", "float64")


def tensor_of(tw: Any, name: str) -> Any:
    return tw.tensor(VALUES).to(getattr(tw, name))


def bits(x: Any) -> Any:
    """The values, storage types in float32, which holds both exactly."""
    return plain(x.float()) if dtype_name(x) in ("float16", "bfloat16") else plain(x)


def assert_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert set(ours) == set(theirs)
    for name, x in ours.items():
        assert dtype_name(x) == dtype_name(theirs[name]), name
        np.testing.assert_array_equal(bits(x), bits(theirs[name]), err_msg=name)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_written_by_pytorch(name: str, tmp_path: Path) -> None:
    ours, theirs = (MODELS[name].build(tw) for tw in BOTH)
    path = tmp_path / "model.safetensors"
    # Their package refuses one tensor under two names, as tied weights are.
    state = {key: x.clone() for key, x in theirs.state_dict().items()}
    safetensors.torch.save_file(state, path)
    loaded = load_file(path)
    assert_same(loaded, theirs.state_dict())
    ours.load_state_dict(loaded)
    assert_same(ours.state_dict(), theirs.state_dict())


@pytest.mark.parametrize("name", MODELS)
def test_a_model_written_by_thalweg(name: str, tmp_path: Path) -> None:
    ours, theirs = (MODELS[name].build(tw) for tw in BOTH)
    path = tmp_path / "model.safetensors"
    save_file(ours.state_dict(), path)
    loaded = safetensors.torch.load_file(path)
    assert_same(ours.state_dict(), loaded)
    theirs.load_state_dict(loaded)
    assert_same(ours.state_dict(), theirs.state_dict())


def test_every_dtype_to_pytorch(tmp_path: Path) -> None:
    ours, theirs = ({name: tensor_of(tw, name) for name in DTYPES} for tw in BOTH)
    save_file(ours, tmp_path / "a", {"epoch": "3"})
    assert_same(ours, safetensors.torch.load_file(tmp_path / "a"))
    assert_same(ours, theirs)


def test_every_dtype_from_pytorch(tmp_path: Path) -> None:
    theirs = {name: tensor_of(torch, name) for name in DTYPES}
    safetensors.torch.save_file(theirs, tmp_path / "a", {"epoch": "3"})
    assert_same(load_file(tmp_path / "a"), theirs)
    assert read_metadata(tmp_path / "a") == {"epoch": "3"}


def test_odd_shapes(tmp_path: Path) -> None:
    shapes = ((), (0,), (3, 0, 2), (1, 1, 1))
    save_file({str(shape): thalweg.ones(shape) for shape in shapes}, tmp_path / "a")
    loaded = safetensors.torch.load_file(tmp_path / "a")
    assert {name: str(tuple(x.shape)) for name, x in loaded.items()} == {
        str(shape): str(shape) for shape in shapes
    }


def test_what_torch_save_wrote_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}, path)
    state = thalweg.load(path, map_location="cpu", weights_only=True)
    assert state["epoch"] == 3
    assert_same(state["model"], model.state_dict())
    moments = state["optimizer"]["state"][0]
    assert_same(moments, optimizer.state_dict()["state"][0])
    thalweg.save(state["model"], tmp_path / "model.safetensors")
    assert_same(state["model"], safetensors.torch.load_file(tmp_path / "model.safetensors"))
