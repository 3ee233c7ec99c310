"""Reductions: sum, product, maximum, minimum, argmax, argmin and the cumulative sum.

`axes` is a sorted tuple of non-negative axes; the result drops them (`keepdims` is a reshape).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.errors import DTypeError, ShapeError
from thalweg.primitives.core import Abstract, Primitive, Rule, primitive

__all__ = ["kept"]

Axes = tuple[int, ...]
_INT64 = np.dtype(np.int64)


def _reduced(shape: Axes, axes: Axes) -> Axes:
    return tuple(size for axis, size in enumerate(shape) if axis not in axes)


def _reduction(
    name: str,
    evaluate: Callable[..., Any],
    vjp: Rule | None,
    *,
    kinds: str = "fiu",
    has_identity: bool = True,
) -> Primitive:
    def infer(x: Abstract, *, axes: Axes) -> tuple[Axes, np.dtype[Any]]:
        if x.dtype.kind not in kinds:
            raise DTypeError(f"{name}: {x.dtype} cannot be reduced. Cast first, e.g. x.float()")
        if not has_identity and any(x.shape[axis] == 0 for axis in axes):
            raise ShapeError(
                f"{name}: nothing to reduce: dimensions {axes} of shape {x.shape} hold no element"
            )
        return _reduced(x.shape, axes), x.dtype

    return primitive(name, infer, evaluate, None if vjp is None else (vjp,))


def kept(g: Any, shape: Axes, axes: Axes) -> Any:
    """`g` with the reduced `axes` put back as size 1, so that it broadcasts against `shape`."""
    return g.reshape(tuple(1 if axis in axes else size for axis, size in enumerate(shape)))


def _sum_vjp(g: Any, out: Any, x: Any, *, axes: Axes) -> Any:
    shape = x._value.shape
    leading = axes == tuple(range(len(axes)))  # expanding adds dimensions in front by itself
    return (g if leading else kept(g, shape, axes)).expand(shape)


def _extremum_vjp(g: Any, out: Any, x: Any, *, axes: Axes) -> Any:
    """Ties share the gradient evenly."""
    shape = x._value.shape
    hits = (x == kept(out, shape, axes)).to(x.dtype)
    return kept(g / hits.sum(axes), shape, axes) * hits


def _prod_vjp(g: Any, out: Any, x: Any, *, axes: Axes) -> Any:
    """The product of all the others, without dividing: right at zeros too.

    Left and right partial products, doubling the reach at each step.
    """
    shape = x._value.shape
    last = tuple(axis for axis in range(len(shape)) if axis not in axes) + axes
    flat = x.permute(last).reshape((*out._value.shape, -1))
    others = _exclusive_product(flat) * _exclusive_product(flat.flip(-1)).flip(-1)
    back = tuple(int(axis) for axis in np.argsort(last))
    moved = others.reshape(tuple(shape[axis] for axis in last)).permute(back)
    return kept(g, shape, axes) * moved


def _exclusive_product(x: Any) -> Any:
    """y[i] = x[0] ... x[i-1] along the last axis, by log2(n) shifted products."""
    size = x._value.shape[-1]
    y = x.shifted(1, 1)
    reach = 1
    while reach < size:
        y = y * y.shifted(reach, 1)
        reach *= 2
    return y


def _cumsum_vjp(g: Any, out: Any, x: Any, *, axis: int) -> Any:
    return g.flip(axis).cumsum(axis).flip(axis)


def _arg_infer(x: Abstract, *, axis: int) -> tuple[Axes, np.dtype[Any]]:
    if x.shape[axis] == 0:
        raise ShapeError(f"argmax: dimension {axis} of shape {x.shape} holds no element")
    return _reduced(x.shape, (axis,)), _INT64


# fmt: off
sum  = _reduction("sum",  lambda x, *, axes: np.add.reduce(x, axis=axes, dtype=x.dtype),     _sum_vjp)
prod = _reduction("prod", lambda x, *, axes: np.multiply.reduce(x, axis=axes, dtype=x.dtype), _prod_vjp)
max  = _reduction("max",  lambda x, *, axes: np.maximum.reduce(x, axis=axes),  _extremum_vjp, kinds="fiub", has_identity=False)
min  = _reduction("min",  lambda x, *, axes: np.minimum.reduce(x, axis=axes),  _extremum_vjp, kinds="fiub", has_identity=False)

argmax = primitive("argmax", _arg_infer, lambda x, *, axis: np.argmax(x, axis=axis), None)
argmin = primitive("argmin", _arg_infer, lambda x, *, axis: np.argmin(x, axis=axis), None)
cumsum = primitive("cumsum", lambda x, *, axis: (x.shape, x.dtype),
                   lambda x, *, axis: np.add.accumulate(x, axis=axis, dtype=x.dtype), (_cumsum_vjp,))
# fmt: on
