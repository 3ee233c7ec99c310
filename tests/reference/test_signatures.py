"""Arguments: every common function, layer, initializer, optimizer and schedule takes PyTorch's.

By name and in PyTorch's order, but for those that are left out everywhere, and a few by name.
"""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

import pytest
import torch

import thalweg

# There is one device, tensors are values, and one way runs an update; `size_average` and `reduce`
# are what PyTorch itself advises against. docs/differences.md says so.
LEFT_OUT = {
    *("device", "dtype", "inplace", "out", "size_average", "reduce", "sparse", "args", "kwargs"),
    *("foreach", "capturable", "differentiable", "fused", "modules", "self"),
}
ALSO: dict[str, set[str]] = {
    "functional.interpolate": {"antialias"},
    "functional.softmax": {"_stacklevel"},
    "functional.softmin": {"_stacklevel"},
    "functional.log_softmax": {"_stacklevel"},
    "nn.Embedding": {"_freeze"},
    "nn.EmbeddingBag": {"_weight"},
    "nn.Hardtanh": {"min_value", "max_value"},  # deprecated names of min_val, max_val
    "nn.ParameterDict": {"parameters"},  # whose items are not only parameters
    "nn.ParameterList": {"values"},
}
# Given by name alone, so that their order means nothing.
KEYWORD: dict[str, tuple[str, ...]] = {
    **{f"nn.{kind}Norm{rank}d": ("bias",) for kind in ("Batch", "Instance") for rank in (1, 2)},
    "nn.GroupNorm": ("bias",),
    "nn.Embedding": ("_weight",),
}
# Methods of a tensor, whose first argument is `self`.
OTHERWISE = {"functional.sigmoid", "functional.tanh"}
HOMES: dict[str, tuple[ModuleType, ModuleType]] = {
    "functional": (thalweg.nn.functional, torch.nn.functional),
    "nn": (thalweg.nn, torch.nn),
    "init": (thalweg.nn.init, torch.nn.init),
    "optim": (thalweg.optim, torch.optim),
    "lr_scheduler": (thalweg.optim.lr_scheduler, torch.optim.lr_scheduler),
    "utils": (thalweg.nn.utils, torch.nn.utils),
}


def arguments(function: Any) -> list[str] | None:
    """The names, or None where PyTorch's is not written in Python, or hides them in *args."""
    try:
        found = inspect.signature(function.__init__ if inspect.isclass(function) else function)
    except (TypeError, ValueError):
        return None
    names = [name for name in found.parameters if name != "self"]
    return None if set(names) <= {"args", "kwargs"} else names


def common() -> list[str]:
    return [
        f"{home}.{name}"
        for home, (ours, theirs) in HOMES.items()
        for name in ours.__all__
        if callable(getattr(theirs, name, None)) and arguments(getattr(theirs, name)) is not None
    ]


@pytest.mark.parametrize("path", [path for path in common() if path not in OTHERWISE])
def test_it_takes_pytorchs_arguments(path: str) -> None:
    home, name = path.split(".")
    ours, theirs = (arguments(getattr(module, name)) or [] for module in HOMES[home])
    missing = set(theirs) - set(ours) - LEFT_OUT
    assert missing == ALSO.get(path, set())
    shared = [name for name in theirs if name in ours and name not in LEFT_OUT]
    keyword = set(KEYWORD.get(path, ()))
    assert [n for n in ours if n in shared and n not in keyword] == [
        n for n in shared if n not in keyword
    ]


LAYERS = [
    name
    for name in thalweg.nn.__all__
    if getattr(getattr(torch.nn, name, None), "forward", None)
    not in (None, torch.nn.Module.forward)
]


@pytest.mark.parametrize("name", LAYERS)
def test_its_forward_takes_pytorchs_arguments(name: str) -> None:
    ours, theirs = (arguments(getattr(nn, name).forward) for nn in (thalweg.nn, torch.nn))
    assert ours == theirs


def test_many_are_compared() -> None:
    assert len(common()) > 200
    assert len(LAYERS) > 100
