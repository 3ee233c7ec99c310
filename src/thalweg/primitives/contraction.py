"""The contraction: one primitive for matrix products, batched products and einsum.

`spec` names the axes of both operands and of the result, as einsum does: "mk,nk->mn" is x W^T.
An index in both operands but not in the result is summed over. Every index of an operand
stands in the other operand or in the result, once; the callers sum out or expand the others.
So the VJP of a contraction is a contraction with the names exchanged. A convolution contracts
`windows`, "nchwij,ocij->nohw"; NumPy evaluates it image by image, each as one matrix product.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from thalweg.errors import ShapeError
from thalweg.primitives._stacks import stack_of_products
from thalweg.primitives.core import Abstract, Shape, check_kind, primitive, same_dtype

__all__ = [
    "contraction",
    "parse",
]


@cache
def parse(spec: str) -> tuple[str, str, str]:
    """The axis names of the left operand, the right operand and the result.

    >>> parse("mk,nk->mn")
    ('mk', 'nk', 'mn')
    """
    operands, result = spec.split("->")
    left, right = operands.split(",")
    return left, right, result


def _infer(a: Abstract, b: Abstract, *, spec: str) -> tuple[Shape, np.dtype[Any]]:
    left, right, result = parse(spec)
    if len(left) != len(a.shape) or len(right) != len(b.shape):
        raise ShapeError(
            f"contraction {spec}: got operands of shapes {a.shape} and {b.shape}, expected "
            f"{len(left)} and {len(right)} dimensions"
        )
    size = dict(zip(left, a.shape, strict=True))
    for name, count in zip(right, b.shape, strict=True):
        if size.setdefault(name, count) != count:
            raise ShapeError(
                f"shapes {a.shape} and {b.shape} do not fit in a product: dimension "
                f"{left.index(name)} of the first ({size[name]}) must equal "
                f"dimension {right.index(name)} of the second ({count})"
            )
    check_kind(f"contraction {spec}", a.dtype, "fiub")
    return tuple(size[name] for name in result), same_dtype(f"contraction {spec}", a, b)


@cache
def _plan(spec: str) -> Callable[[Any, Any], Any]:
    """How NumPy evaluates `spec`: directly for two matrices, else as a stack of products."""
    left, right, result = parse(spec)
    if len(left) == len(right) == len(result) == 2 and len({*left, *right}) == 3:
        return _matrix_plan(left, right, result)
    if left == right and len(left) == 1 and not result:
        return _inner_product

    def evaluate(a: Any, b: Any) -> Any:
        if a.dtype.names:
            raise ValueError  # the shape rule says why
        return stack_of_products(left, right, result, a.shape, b.shape)(a, b)

    return evaluate


def _inner_product(a: Any, b: Any) -> Any:
    if a.ndim != 1 or b.ndim != 1 or a.dtype.names:
        raise ValueError  # the shape rule says why
    return np.dot(a, b)


def _matrix_plan(left: str, right: str, result: str) -> Callable[[Any, Any], Any]:
    """Two matrices: BLAS reads transposed operands as they lie, nothing is copied."""
    (inner,) = set(left) & set(right)
    swap = result[0] in right  # (A B)^T = B^T A^T
    if swap:
        left, right = right, left
    flip_first, flip_second = left[0] == inner, right[1] == inner

    def evaluate(a: Any, b: Any) -> Any:
        if a.ndim != 2 or b.ndim != 2 or a.dtype.names:
            raise ValueError  # the shape rule says why
        if swap:
            a, b = b, a
        return np.dot(a.T if flip_first else a, b.T if flip_second else b)

    return evaluate


def _evaluate(a: Any, b: Any, *, spec: str) -> Any:
    return _plan(spec)(a, b)


@cache
def _transposed(spec: str) -> tuple[str, str]:
    """The specs of both VJPs, given (g, other operand)."""
    left, right, result = parse(spec)
    return f"{result},{right}->{left}", f"{result},{left}->{right}"


def _jvp(apply: Any, tangents: Any, out: Any, a: Any, b: Any, *, spec: str) -> Any:
    """A product's rule: dA B + A dB."""
    da, db = tangents
    first = None if da is None else apply(da, b, spec=spec)
    second = None if db is None else apply(a, db, spec=spec)
    if first is None or second is None:
        return second if first is None else first
    return first + second


@cache
def _with_cases(spec: str, first: bool, second: bool) -> str:
    """`spec` with one more name, in front of the operands that have cases and of the result."""
    left, right, result = parse(spec)
    name = next(n for n in string.ascii_letters if n not in spec)
    return f"{name * first}{left},{name * second}{right}->{name}{result}"


def _batch(apply: Any, size: int, batched: Any, a: Any, b: Any, *, spec: str) -> Any:
    return apply(a, b, spec=_with_cases(spec, *batched))


contraction = primitive(
    "contraction",
    _infer,
    _evaluate,
    (
        lambda g, out, a, b, *, spec: g.contract(b, _transposed(spec)[0]),
        lambda g, out, a, b, *, spec: g.contract(a, _transposed(spec)[1]),
    ),
    _jvp,
    _batch,
)
