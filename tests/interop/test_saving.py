"""tw.save and tw.load: what goes in comes out, and others read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import CheckpointError, ConfigError


def test_a_checkpoint_as_it_is_usually_written(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    models = [tw.nn.Linear(3, 2) for _ in range(2)]
    optimizers = [tw.optim.Adam(m.parameters(), lr=0.1) for m in models]
    models[0](tw.ones(1, 3)).sum().backward()
    optimizers[0].step()
    tw.save(
        {"model": models[0].state_dict(), "optimizer": optimizers[0].state_dict(), "epoch": 7}, path
    )
    state = tw.load(path, map_location="cpu", weights_only=True)
    models[1].load_state_dict(state["model"])
    optimizers[1].load_state_dict(state["optimizer"])
    assert state["epoch"] == 7
    for m, o in zip(models, optimizers, strict=True):
        o.zero_grad()
        m(tw.ones(1, 3) * 2).sum().backward()
        o.step()
    assert tw.equal(models[0].weight, models[1].weight)


@pytest.mark.parametrize(
    "value",
    [{}, [], 3, None, {"a": [1, (2.5, "x")], 4: {"b": None}}, {"nan": float("inf")}, [True]],
)
def test_plain_values(tmp_path: Path, value: Any) -> None:
    tw.save(value, tmp_path / "x")
    assert tw.load(tmp_path / "x") == value


def test_a_state_dict_is_a_file_that_others_read(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    model = tw.nn.Sequential(tw.nn.Linear(3, 2), tw.nn.ReLU())
    tw.save(model.state_dict(), tmp_path / "model.safetensors")
    found = load_file(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(found["0.weight"], model.state_dict()["0.weight"].numpy())
    again = tw.load(tmp_path / "model.safetensors")
    assert list(again) == ["0.weight", "0.bias"]
    tw.save(tw.ones(2), tmp_path / "one")
    assert tw.load(tmp_path / "one").tolist() == [1, 1]


def test_what_cannot_be_saved_or_loaded(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    with pytest.raises(CheckpointError, match="save its state_dict"):
        tw.save(tw.nn.Linear(1, 1), path)
    with pytest.raises(CheckpointError, match="cannot be saved"):
        tw.save({"f": print}, path)
    assert not path.exists()
    with pytest.raises(CheckpointError, match="no such file"):
        tw.load(path)
    path.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(CheckpointError):
        tw.load(path)
    with pytest.raises(ConfigError, match="always True"):
        tw.load(path, weights_only=False)
    with pytest.raises(ConfigError, match="on the CPU"):
        tw.load(path, map_location="cuda")
