"""How tensors print: as PyTorch prints them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.tape import Lifted, Node

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["format_tensor", "set_printoptions"]


@dataclass
class _Options:
    precision: int = 4
    threshold: int = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_options = _Options()


def set_printoptions(
    precision: int | None = None,
    threshold: int | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    sci_mode: bool | None = None,
) -> None:
    """How tensors print from here on; what is not given stays, without any all is as at first.

    `precision` is the number of decimals, more than `threshold` elements are shown by `edgeitems`
    at each end, lines have `linewidth` characters, and `sci_mode` says whether numbers have
    exponents (unless given, where they would be unreadable without).

    >>> import thalweg as tw
    >>> tw.set_printoptions(precision=2)
    >>> tw.tensor([3.14159])
    tensor([3.14])
    >>> tw.set_printoptions()
    >>> tw.tensor([3.14159])
    tensor([3.1416])
    """
    given = {name: value for name, value in locals().items() if value is not None}
    global _options
    _options = replace(_options if given else _Options(), **given)


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
    if isinstance(x._value, Lifted):
        return f"tensor({x._value!r})"
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
        max_line_width=_options.linewidth,
        threshold=_options.threshold,
        edgeitems=_options.edgeitems,
        formatter={"all": lambda v: spell(v).rjust(width)},
    )
    return text.replace(", ..., ", ",  ..., ")


def _shown(array: Any) -> list[Any]:
    """The elements that are printed."""
    edge = _options.edgeitems
    if array.size > _options.threshold:
        for axis, size in enumerate(array.shape):
            if size > 2 * edge:
                ends = [*range(edge), *range(size - edge, size)]
                array = array.take(ends, axis=axis)
    return list(array.reshape(-1))


def _speller(flat: list[Any]) -> Any:
    """How the numbers are spelled: whole, with decimals, or with an exponent.

    PyTorch takes to exponents where the largest is 1,000 times the smallest; here it is 100,000.
    """
    if not flat or flat[0].dtype.kind != "f":
        return str
    finite = [abs(float(v)) for v in flat if np.isfinite(v)]
    nonzero = [v for v in finite if v] or [1.0]
    whole = all(v == int(v) for v in finite)
    small = min(nonzero) < 1e-4 or max(nonzero) / min(nonzero) > 1e5
    has_exponent = max(nonzero) > 1e8 or (small and not whole)
    if has_exponent if _options.sci_mode is None else _options.sci_mode:
        form = f".{_options.precision}e"
    else:
        form = ".0f" if whole else f".{_options.precision}f"
    point = "." if form == ".0f" else ""
    return lambda v: format(v, form) + point if np.isfinite(v) else str(v)
