"""A method of a tensor as a function."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from thalweg.tape import TensorBase, not_a_tensor

__all__ = ["of_tensor"]

P = ParamSpec("P")
R = TypeVar("R")


def of_tensor(method: Callable[P, R]) -> Callable[P, R]:
    """A method as a function that says so if it is not given a tensor.

    Elementwise methods say so themselves, and stay as they are.
    """

    @wraps(method)
    def function(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except AttributeError:
            first = [*args, *kwargs.values()][:1]
            if not first or isinstance(first[0], TensorBase):
                raise
            raise not_a_tensor(method.__name__, *first) from None

    return function
