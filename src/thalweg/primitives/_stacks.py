"""Any contraction as a stack of matrix products, which BLAS computes.

The names of the result split into those of the stack, those of the rows and those of the columns
of each product. Names in both operands are of the stack, and so may be leading ones of a single
operand: "nchwij,ocij->nohw" is a product (o) x (h w) for each n, and comes out in order.

Overlapping windows must be copied to be a matrix; many of them are taken in parts that fit into
the cache, a few images at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from itertools import takewhile
from typing import Any

import numpy as np

from thalweg.primitives.core import Shape

__all__ = ["stack_of_products"]

# A product with fewer elements is worth more as a part of a larger one.
_LEAST = 2048
# Windows of more elements are copied in parts of about a quarter of it.
_LARGE = 1 << 20

Arrays = Callable[[Any, Any], Any]
Matrices = Callable[[Any], Any]


@lru_cache(maxsize=4096)
def stack_of_products(left: str, right: str, result: str, a_shape: Shape, b_shape: Shape) -> Arrays:
    """The function of two arrays of these shapes that contracts them; see `contraction`."""
    size = dict(zip(left, a_shape, strict=True))
    if any(size.get(n, count) != count for n, count in zip(right, b_shape, strict=True)):
        raise ValueError  # the shape rule says which
    size.update(zip(right, b_shape, strict=True))
    whole = _product(left, right, result, size)
    if max(math.prod(a_shape), math.prod(b_shape)) < _LARGE:
        return whole

    def product(a: Any, b: Any) -> Any:
        for names, x in ((left, a), (right, b)):
            step = max(_LARGE // 4 * len(x) // max(x.size, 1), 1) if x.ndim else 1
            if x.size >= _LARGE and step < len(x) and _overlaps(x):
                return _in_parts((left, right, result), a, b, names[0], len(x), step)
        return whole(a, b)

    return product


def _overlaps(x: Any) -> bool:
    """Whether some elements of `x` are one in memory: there are more than there is room for."""
    reach = sum((n - 1) * abs(step) for n, step in zip(x.shape, x.strides, strict=True))
    return bool(x.size > reach // x.itemsize + 1)


def _in_parts(spec: tuple[str, str, str], a: Any, b: Any, name: str, count: int, step: int) -> Any:
    """The contraction along `name`, `step` at a time: put together, or, if summed over, added."""
    left, right, result = spec
    parts = []
    for start in range(0, count, step):
        some = slice(start, start + step)
        x = a[(slice(None),) * left.index(name) + (some,)] if name in left else a
        y = b[(slice(None),) * right.index(name) + (some,)] if name in right else b
        parts.append(stack_of_products(left, right, result, x.shape, y.shape)(x, y))
        if name not in result and len(parts) == 2:
            parts = [np.add(*parts)]
    return np.concatenate(parts, result.index(name)) if name in result else parts[0]


def _product(left: str, right: str, result: str, size: dict[str, int]) -> Arrays:
    """The contraction as one stack of products."""
    stack, rows, columns = _divided(left, right, result, size)
    if not (set(rows) <= set(left) and set(columns) <= set(right)):
        swapped = _product(right, left, result, size)
        return lambda a, b: swapped(b, a)
    inner = [n for n in left if n in right and n not in result]
    first = _matrices(left, stack, rows, inner, size)
    second = _matrices(right, stack, inner, columns, size)
    order = [*stack, *rows, *columns]
    shape = tuple(size[n] for n in order)
    axes = [order.index(n) for n in result]
    if axes != sorted(axes):
        return lambda a, b: np.matmul(first(a), second(b)).reshape(shape).transpose(axes)
    if len(rows) == len(columns) == 1:  # of that shape it is
        return lambda a, b: np.matmul(first(a), second(b))
    return lambda a, b: np.matmul(first(a), second(b)).reshape(shape)


def _divided(
    left: str, right: str, result: str, size: dict[str, int]
) -> tuple[list[str], list[str], list[str]]:
    """The names of the stack, of the rows and of the columns: the last ones of each operand, if
    that leaves products of a size worth it, else all of each."""
    both = {*left} & {*right}

    def last(names: str) -> str:
        """The names at the end that stand in the operand of the last of them only."""
        own = next((side for side in (left, right) if names and names[-1] in side), "")
        return "".join(takewhile(lambda n: n in own and n not in both, names[::-1]))[::-1]

    columns = last(result)
    rows = last(result.removesuffix(columns))
    stack = result.removesuffix(rows + columns)
    is_large = math.prod(size[n] for n in rows + columns) >= _LEAST
    if rows and columns and both.isdisjoint(rows + columns) and is_large:
        return [*stack], [*rows], [*columns]
    stack = "".join(n for n in result if n in both)
    rest = [n for n in result if n not in both]
    side = left if rest and rest[0] in left else right
    return [*stack], [n for n in rest if n in side], [n for n in rest if n not in side]


def _matrices(
    names: str, stack: list[str], rows: list[str], columns: list[str], size: dict[str, int]
) -> Matrices:
    """An array whose axes have `names` as a stack of matrices.

    Where that copies, the longest run of neighbours in memory stays one: it decides whether the
    matrices are laid out by rows or by columns.
    """
    lead = [n for n in stack if n in names]
    shape = tuple(size[n] if n in names else 1 for n in stack)
    m, k = (math.prod(size[n] for n in group) for group in (rows, columns))
    by_rows = [names.index(n) for n in (*lead, *rows, *columns)]
    by_columns = [names.index(n) for n in (*lead, *columns, *rows)]
    ends = [[names.index(n) for n in group if size[n] != 1][-1:] for group in (rows, columns)]
    whole = (*shape, m, k)
    if by_rows == sorted(by_rows) and (len(rows) <= 1 and len(columns) <= 1):  # nothing is copied
        return (lambda x: x) if len(names) == len(whole) else (lambda x: x.reshape(whole))

    def matrices(x: Any) -> Any:
        run, other = ((abs(x.strides[i]), -x.shape[i]) for (i,) in ends)
        if run < other:
            return x.transpose(by_columns).reshape((*shape, k, m)).swapaxes(-1, -2)
        return x.transpose(by_rows).reshape(whole)

    if not all(ends):
        return lambda x: x.transpose(by_rows).reshape(whole)
    return matrices
