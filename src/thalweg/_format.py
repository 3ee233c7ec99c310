"""How tensors print: as PyTorch prints them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.tape import Node

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["format_tensor"]

_MANY, _EDGE = 1000, 3


def format_tensor(x: Tensor) -> str:
    """`tensor(...)` with the values, the dtype where it is not the usual one, and the tape."""
    from thalweg import dtypes

    name = type(x).__name__
    suffix = []
    usual = [dtypes.get_default_dtype()]
    usual += [dtypes.int64, dtypes.bool] if x.numel() else []
    if not x.numel() and x.ndim != 1:
        suffix.append(f"size={tuple(x.shape)}")
    if x.dtype not in usual:
        suffix.append(f"dtype={x.dtype!r}")
    if isinstance(x._node, Node):
        suffix.append(f"grad_fn=<{x._node.name}>")
    elif x.requires_grad and name != "Parameter":
        suffix.append("requires_grad=True")
    if not isinstance(x._value, np.ndarray):
        return f"tensor(<traced>, size={tuple(x.shape)}, dtype={x.dtype!r})"
    opening = "Parameter containing:\ntensor(" if name == "Parameter" else "tensor("
    body = _numbers(x._plain("print"))
    if name == "Parameter":
        suffix.append("requires_grad=True" if x.requires_grad else "requires_grad=False")
    return opening + ", ".join([body, *suffix]) + ")"


def _numbers(array: Any) -> str:
    flat = _shown(array)
    spell = _speller(flat)
    width = max((len(spell(v)) for v in flat), default=0) if array.ndim else 0
    text = np.array2string(
        array,
        separator=", ",
        prefix="tensor(",
        max_line_width=80,
        threshold=_MANY,
        edgeitems=_EDGE,
        formatter={"all": lambda v: spell(v).rjust(width)},
    )
    return text.replace(", ..., ", ",  ..., ")


def _shown(array: Any) -> list[Any]:
    """The elements that are printed."""
    if array.size > _MANY:
        for axis, size in enumerate(array.shape):
            if size > 2 * _EDGE:
                ends = [*range(_EDGE), *range(size - _EDGE, size)]
                array = array.take(ends, axis=axis)
    return list(array.reshape(-1))


def _speller(flat: list[Any]) -> Any:
    """How the numbers are spelled: whole, with four decimals, or with an exponent.

    PyTorch takes to exponents where the largest is 1,000 times the smallest; here it is 100,000.
    """
    if not flat or flat[0].dtype.kind != "f":
        return str
    finite = [abs(float(v)) for v in flat if np.isfinite(v)]
    if all(v == int(v) for v in finite) and max(finite, default=0) <= 1e8:
        return lambda v: f"{v:.0f}." if np.isfinite(v) else str(v)
    nonzero = [v for v in finite if v] or [1.0]
    if max(nonzero) > 1e8 or min(nonzero) < 1e-4 or max(nonzero) / min(nonzero) > 1e5:
        return lambda v: f"{v:.4e}" if np.isfinite(v) else str(v)
    return lambda v: f"{v:.4f}" if np.isfinite(v) else str(v)
