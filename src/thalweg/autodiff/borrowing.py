"""Tensors that hold another's value for a while: parameters of a module, inputs of a function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from thalweg.tape import mode

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["borrowed"]


@contextmanager
def borrowed(pairs: Iterable[tuple[Tensor, Tensor]]) -> Iterator[None]:
    """In this block each first tensor of a pair has the value, and the tape, of the second.

    What is assigned to it is assigned to the second. Afterwards it is as it was.
    """
    chosen = list(pairs)
    kept = []
    for x, y in chosen:
        if mode.trace is not None:
            mode.trace.touch(x)
            mode.trace.touch(y)
        kept.append((x._value, x._node, x._requires_grad))
    lent = [y._value for _, y in chosen]
    for x, y in chosen:
        x._value, x._requires_grad = y._value, y._requires_grad
        x._node = y if y._node is None and y._requires_grad else y._node  # a leaf stays the leaf
    try:
        yield
        for (x, y), value in zip(chosen, lent, strict=True):
            if x._value is not value:
                y._value, y._node, y._requires_grad = x._value, x._node, x._requires_grad
    finally:
        for (x, _), (value, node, requires) in zip(chosen, kept, strict=True):
            x._value, x._node, x._requires_grad = value, node, requires
