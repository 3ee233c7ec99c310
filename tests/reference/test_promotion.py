"""The dtype of what is computed from operands of two types, and from a tensor and a number."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

import thalweg
from tests.reference.both import BOTH, dtype_name, plain

NAMES = ("bool", "uint8", "int32", "int64", "float32", "float64")
NUMBERS = (True, 2, 2.5)
VALUES = np.array([1, 0, 3, 2])
OTHERS = np.array([2, 1, 1, 3])

# fmt: off
OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod, "**": operator.pow, "<": operator.lt, "==": operator.eq,
    "&": operator.and_, "|": operator.or_,
}
METHODS: dict[str, Callable[[Any], Any]] = {
    "sum": lambda x: x.sum(), "sum(0)": lambda x: x.sum(0), "prod": lambda x: x.prod(),
    "cumsum": lambda x: x.cumsum(0),
    "mean": lambda x: x.mean(), "var": lambda x: x.var(), "amax": lambda x: x.amax(),
    "max(0)": lambda x: x.max(0).values,
    "argmax": lambda x: x.argmax(), "all": lambda x: x.all(), "any": lambda x: x.any(),
    "exp": lambda x: x.exp(),
    "sqrt": lambda x: x.sqrt(), "abs": lambda x: x.abs(), "neg": lambda x: -x,
    "floor": lambda x: x.floor(),
    "sign": lambda x: x.sign(), "square": lambda x: x.square(), "relu": lambda x: x.relu(),
    "sigmoid": lambda x: x.sigmoid(),
    "reciprocal": lambda x: x.reciprocal(), "clamp": lambda x: x.clamp(0, 2),
    "clamp by floats": lambda x: x.clamp(0.5, 1.5),
    "isnan": lambda x: x.isnan(), "~": lambda x: ~x, "sort": lambda x: x.sort().values,
    "flip": lambda x: x.flip(0),
    "logical_not": lambda x: x.logical_not(), "count_nonzero": lambda x: x.count_nonzero(),
    "masked_fill": lambda x: x.masked_fill(x == 0, 1),
}
# fmt: on

# Where the two depart, all of it, by operation: who alone gives a result, or that dtypes differ.
BESIDE_BOOL = {f"bool - {name}" for name in NAMES[1:]} | {f"{name} - bool" for name in NAMES[1:]}
WITH_TRUE = {f"True - {name}" for name in NAMES[1:]} | {f"{name} - True" for name in NAMES[1:]}
WITH_NUMBER = {"2 - bool", "2.5 - bool", "bool - 2", "bool - 2.5"}
DEPARTURES: dict[str, dict[str, str]] = {
    # PyTorch has no subtraction with a bool on either side; beside a number a bool is 0 or 1.
    "-": dict.fromkeys(BESIDE_BOOL | WITH_TRUE | WITH_NUMBER, "ours alone"),
    # PyTorch asks for a cast first; here integers count as the default floating type.
    "mean": dict.fromkeys(("bool", "uint8", "int32", "int64"), "ours alone"),
    "var": dict.fromkeys(("bool", "uint8", "int32", "int64"), "ours alone"),
    # Whether all or any are nonzero is a bool; PyTorch gives uint8 for uint8, as it once did.
    "all": {"uint8": "another dtype"},
    "any": {"uint8": "another dtype"},
    # Functions of bools that one of the two leaves out.
    "argmax": {"bool": "ours alone"},
    "abs": {"bool": "ours alone"},
    "relu": {"bool": "ours alone"},
    "sign": {"bool": "theirs alone"},
    "**": dict.fromkeys(("bool ** True", "bool ** 2"), "theirs alone"),
    # Here x * x, as for every other type; PyTorch's is x ** 2, which is int64.
    "square": {"bool": "another dtype"},
}


def _tensor(tw: Any, values: Any, name: str) -> Any:
    return tw.tensor(values.astype(name), dtype=getattr(tw, name))


def _result(compute: Callable[[], Any]) -> Any:
    """The result, or None where the framework refuses."""
    try:
        return compute()
    except (RuntimeError, TypeError):
        return None


def _departure(ours: Any, theirs: Any) -> str | None:
    """How two results differ; the values must be equal where both are there."""
    if ours is None or theirs is None:
        alone = "theirs alone" if ours is None else "ours alone"
        return None if ours is theirs else alone
    np.testing.assert_allclose(plain(ours), plain(theirs), rtol=1e-6)
    return None if dtype_name(ours) == dtype_name(theirs) else "another dtype"


def _departures(computations: dict[str, Callable[[Any], Any]]) -> dict[str, str]:
    """By name, each computation (a function of the framework) that does not agree."""
    found = {}
    for what, compute in computations.items():
        ours, theirs = (_result(partial(compute, tw)) for tw in BOTH)
        departure = _departure(ours, theirs)
        if departure:
            found[what] = departure
    return found


@pytest.mark.parametrize("operation", OPERATIONS)
def test_of_two_operands(operation: str) -> None:
    compute = OPERATIONS[operation]
    tensors = {
        f"{a} {operation} {b}": lambda tw, a=a, b=b: compute(
            _tensor(tw, VALUES, a), _tensor(tw, OTHERS, b)
        )
        for a, b in product(NAMES, NAMES)
    }
    numbers = {
        f"{name} {operation} {n}": lambda tw, name=name, n=n: compute(_tensor(tw, OTHERS, name), n)
        for name, n in product(NAMES, NUMBERS)
    }
    reflected = {
        f"{n} {operation} {name}": lambda tw, name=name, n=n: compute(n, _tensor(tw, OTHERS, name))
        for name, n in product(NAMES, NUMBERS)
    }
    assert _departures(tensors | numbers | reflected) == DEPARTURES.get(operation, {})


@pytest.mark.parametrize("method", METHODS)
def test_of_one_tensor(method: str) -> None:
    computations = {
        name: lambda tw, name=name: METHODS[method](_tensor(tw, VALUES, name)) for name in NAMES
    }
    assert _departures(computations) == DEPARTURES.get(method, {})


@pytest.mark.parametrize("join", ["cat", "stack"])
def test_of_joined_tensors(join: str) -> None:
    computations = {
        f"{a}, {b}": lambda tw, a=a, b=b: getattr(tw, join)(
            [_tensor(tw, VALUES, a), _tensor(tw, OTHERS, b)]
        )
        for a, b in product(NAMES, NAMES)
    }
    assert _departures(computations) == {}


def test_where() -> None:
    computations = {
        f"{a}, {b}": lambda tw, a=a, b=b: tw.where(
            _tensor(tw, VALUES, "bool"), _tensor(tw, VALUES, a), _tensor(tw, OTHERS, b)
        )
        for a, b in product(NAMES, NAMES)
    }
    assert _departures(computations) == {}


def test_promote_types() -> None:
    names = (*NAMES, "float16", "bfloat16")
    for a, b in product(names, names):
        ours, theirs = (tw.promote_types(getattr(tw, a), getattr(tw, b)) for tw in BOTH)
        assert str(ours).split(".")[1] == str(theirs).split(".")[1], (a, b)


def test_dtypes_have_the_same_names() -> None:
    for name in ("half", "float", "double", "int", "long", *NAMES):
        ours, theirs = getattr(thalweg, name), getattr(torch, name)
        assert str(ours).split(".")[1] == str(theirs).split(".")[1], name
        assert ours.itemsize == theirs.itemsize
        assert ours.is_floating_point == theirs.is_floating_point
