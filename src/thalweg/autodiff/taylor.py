"""The first-order Taylor approximation of a function: its value and its slope at a point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thalweg.autodiff.jacobians import linearize
from thalweg.autodiff.levels import tensors_of
from thalweg.errors import ShapeError

__all__ = ["Approximation", "taylor"]


class Approximation:
    """A function of the same arguments as the one it approximates; see `taylor`.

    at      the point a, a tuple with an entry for each argument
    value   f(a)
    slope   the linear function t -> f'(a) t
    """

    def __init__(self, func: Callable[..., Any], at: tuple[Any, ...]) -> None:
        self.at = at
        self.value, self.slope = linearize(func, *at)

    def __call__(self, *points: Any) -> Any:
        here, structure = tensors_of("taylor: a", self.at)
        there, other = tensors_of("taylor: x", points)
        if structure != other or [x.shape for x in here] != [x.shape for x in there]:
            given = ", ".join(str(tuple(x.shape)) for x in there)
            expected = ", ".join(str(tuple(x.shape)) for x in here)
            raise ShapeError(
                f"taylor: x is like the point a, tensors of shapes {expected}; got {given}"
            )
        steps = structure.build([x - a for x, a in zip(there, here, strict=True)])
        values, outer = tensors_of("taylor", self.value)
        slopes, _ = tensors_of("taylor", self.slope(*steps))
        return outer.build([y + s for y, s in zip(values, slopes, strict=True)])


def taylor(func: Callable[..., Any], *at: Any) -> Approximation:
    """The first-order approximation of `func` around the point `at`.

        T(x) = f(a) + f'(a) (x - a)

    f' is the Jacobian; it is never formed. Arguments and results are tensors, or nested tuples,
    lists and dicts of them. `func` runs once, when the approximation is made. It has the parts
    `at`, `value`, which is f(a), and `slope`, the function t -> f'(a) t. `tw.inspect.tangent`
    draws it for a function of one number.

    >>> import thalweg as tw
    >>> near = tw.func.taylor(lambda x: x[0] * x[1] ** 2, tw.tensor([3.0, 2.0]))
    >>> near.value, near(tw.tensor([3.5, 2.0])), near(tw.tensor([3.0, 3.0]))
    (tensor(12.), tensor(14.), tensor(24.))

    Raises `ShapeError` where x is not like a.

    Source: deck 000, "Taylor approximation".
    """
    return Approximation(func, at)
