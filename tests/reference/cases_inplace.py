"""In-place spellings: what the tensor is afterwards, and the gradients through it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.reference.both import Case, Fixed
from tests.reference.spelling import Call, Samples, call

__all__ = ["CASES", "FILLED", "IN_PLACE"]

_samples = Samples(5)
normal, positive, integers, truths = (
    _samples.normal,
    _samples.positive,
    _samples.integers,
    _samples.truths,
)

_X, _Y, _P = normal(3, 4), normal(4), positive(3, 4)
_U = np.tanh(_X)
_AT = np.array([2, 0])

# fmt: off
IN_PLACE: dict[str, list[Call]] = {
    "add_": [call(_X, _Y), call(_X, _Y, alpha=-0.5), call(integers(3), 2)],
    "sub_": [call(_X, _Y), call(_X, 2.5, alpha=2)],
    "mul_": [call(_X, _Y), call(integers(3), integers(3))],
    "div_": [call(_X, _P), call(_X, 4.0)],
    "pow_": [call(_X, 3), call(_P, 0.5)],
    "floor_divide_": [call(Fixed(_X), 0.3)],
    "remainder_": [call(_X, 0.3)],
    "fmod_": [call(_X, 0.3)],
    "clamp_": [call(_X, -0.5, 0.5), call(_X, min=0.0)],
    "clamp_min_": [call(_X, 0.25)],
    "clamp_max_": [call(_X, 0.25)],
    "lerp_": [call(_X, normal(3, 4), 0.3)],
    "addcmul_": [call(_X, normal(3, 4), _Y, value=0.5)],
    "addcdiv_": [call(_X, normal(3, 4), _P, value=0.5)],
    "masked_fill_": [call(_X, truths(3, 4), 2.0)],
    "copy_": [call(_X, _Y), call(_X, normal(3, 4))],
    "cumsum_": [call(_X, 1)],
    "triu_": [call(_X), call(_X, 1)],
    "tril_": [call(_X), call(_X, 1)],
    "nan_to_num_": [call(np.array([1.0, np.nan, np.inf]), 0.0, 5.0)],
    "index_add_": [call(_X, 0, _AT, normal(2, 4))],
    "index_copy_": [call(_X, 0, _AT, normal(2, 4))],
    "index_fill_": [call(_X, 0, _AT, 7.0)],
    "scatter_": [call(_X, 0, np.array([[0, 1, 2, 0]]), normal(1, 4))],
    "scatter_add_": [call(_X, 0, np.array([[0, 1, 2, 0], [0, 2, 2, 1]]), normal(2, 4))],
    **{f"{name}_": [call(_X)] for name in ("neg", "exp", "abs", "sin", "cos", "tanh", "sigmoid",
                    "erf", "square", "expm1",
                                            "floor", "round", "trunc", "sign", "ceil", "frac",
                                            "relu")},
    **{f"{name}_": [call(_P)] for name in ("sqrt", "rsqrt", "log", "log2", "log10", "log1p",
                    "reciprocal")},
}
# Compared off the tape: what is overwritten whole no longer depends on what it was.
FILLED: dict[str, list[Call]] = {
    "fill_": [call(_X, 1.5), call(integers(3), 2)],
    "zero_": [call(_X)],
    "logical_not_": [call(truths(3, 4))],
    "copy_": [call(_X, integers(3, 4)), call(integers(3, 4), Fixed(_X * 3))],
}
# fmt: on


def _changed(name: str, options: dict[str, Any]) -> Callable[..., Any]:
    """A copy of the first argument after `x.name(...)`, which must give that same tensor."""

    def run(tw: Any, x: Any, *rest: Any) -> Any:
        copy = x.clone()
        assert getattr(copy, name)(*rest, **options) is copy
        return [copy, x] if copy.dtype == tw.bool else [copy, copy * copy, x]

    return run


def _operators(tw: Any, x: Any, y: Any) -> Any:
    a, b, c, d, e = x.clone(), x.clone(), x.clone(), x.clone(), x.clone()
    a += y
    b -= y
    c *= y
    d /= y
    e **= 2
    return [a, b, c, d, e]


def _integer_operators(tw: Any, x: Any, y: Any) -> Any:
    a, b, c = x.clone(), x.clone(), x.clone()
    a += y
    b -= 2
    c *= y
    return [a, b, c]


def _data(tw: Any, x: Any) -> Any:
    """Writing through `.data` reaches the leaf itself, and leaves no trace on the tape."""
    x.data -= 0.5
    x.data.mul_(2)
    return x * x


def _detached_in_place(tw: Any, x: Any) -> Any:
    y = (x * 2).detach_()
    return [y * 3, y.requires_grad, y.is_leaf]


def _updated(tw: Any, x: Any) -> Any:
    """Steps of gradient descent as the decks write them."""
    w = x.detach().clone().requires_grad_()
    for _ in range(3):
        loss = (w * w).sum()
        loss.backward()
        with tw.no_grad():
            w -= 0.1 * w.grad
            w.grad.zero_()
    return [w.detach(), w.grad]


def _cases(table: dict[str, list[Call]], differentiable: bool) -> list[Case]:
    return [
        Case(f"{name}-{number}", _changed(name, options), arguments, differentiable)
        for name, calls in table.items()
        for number, (arguments, options, _) in enumerate(calls)
    ]


CASES = [
    *_cases(IN_PLACE, differentiable=True),
    *_cases(FILLED, differentiable=False),
    Case("operators in place", _operators, (_X, _P)),
    Case("operators in place on integers", _integer_operators, (integers(3), integers(3))),
    Case("x.data", _data, (_X,)),
    Case("detach_", _detached_in_place, (_X,)),
    Case("w -= lr * grad", _updated, (_X,)),
]
