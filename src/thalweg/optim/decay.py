"""Weight decay in its two forms: a penalty's gradient, and a share that parameters shrink by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thalweg._tensor import Tensor

__all__ = ["decayed", "penalized"]


def penalized(p: Tensor, g: Tensor, group: Mapping[str, Any]) -> Tensor:
    """g + lambda p: with the gradient of the penalty lambda/2 ||p||^2, lambda = "weight_decay".

    >>> import thalweg as tw
    >>> penalized(tw.tensor([2.0]), tw.tensor([1.0]), {"weight_decay": 0.5})
    tensor([2.])
    """
    decay: float = group["weight_decay"]
    return g + decay * p if decay else g


def decayed(p: Tensor, g: Tensor, group: Mapping[str, Any], kept: Tensor | float) -> Tensor:
    """The gradient with the penalty's added, or, decoupled, `p` shrunk to its share `kept`."""
    if not group["decoupled_weight_decay"]:
        return penalized(p, g, group)
    if group["weight_decay"]:
        p *= kept
    return g
