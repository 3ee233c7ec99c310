"""Optimizers that take more than a table's row to compare with PyTorch's."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.reference.both import BOTH, DTYPES
from tests.reference.training import assert_same_trajectory, train

# --- Muon, for matrices alone --------------------------------------------------------------------


def _matrices(tw: Any) -> Any:
    nn = tw.nn
    layers = nn.Linear(6, 8, bias=False), nn.Tanh(), nn.Linear(8, 4, bias=False)
    return nn.Sequential(*layers)


# fmt: off
MUONS: dict[str, dict[str, Any]] = {
    "default":         {},
    "original":        {"lr": 0.01, "adjust_lr_fn": "original", "weight_decay": 0.0},
    "match_rms_adamw": {"lr": 0.01, "adjust_lr_fn": "match_rms_adamw"},
    "without look":    {"lr": 0.01, "nesterov": False, "momentum": 0.8},
    "coefficients":    {"lr": 0.01, "ns_coefficients": (2.0, -1.5, 0.5), "ns_steps": 7, "eps": 0.1},
}
# fmt: on


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", MUONS)
def test_muon(name: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's equations in the parameter's dtype: its cast to bfloat16 is left out."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda x: x.clone())

    def made(tw: Any, model: Any) -> Any:
        return tw.optim.Muon(model.parameters(), **MUONS[name])

    ours, theirs = (train(tw, made, dtype, build=_matrices) for tw in BOTH)
    assert_same_trajectory(ours, theirs, dtype)
