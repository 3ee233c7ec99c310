"""The same code in both frameworks: a check is a function of the module, `torch` or `thalweg`.

Arguments are NumPy arrays and plain values. An array of floats becomes a tensor that requires a
gradient, in the dtype of the check; one in `Fixed` does not; integers and bools keep their type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

import thalweg

__all__ = [
    "BOTH",
    "DTYPES",
    "TOLERANCES",
    "Case",
    "Fixed",
    "Results",
    "Tolerance",
    "assert_close",
    "case",
    "compare",
    "copied",
    "derive",
    "dtype_name",
    "flat",
    "numbers",
    "plain",
    "tensors",
]

BOTH = (thalweg, torch)
DTYPES = ("float32", "float64")


class Tolerance(NamedTuple):
    """|ours - theirs| <= rtol |theirs| + atol."""

    rtol: float
    atol: float


# How near Thalweg must be to PyTorch, by what is compared and its dtype. "value": one operation
# and its first derivatives; "second": their derivatives; "trajectory": parameters at each of fifty
# steps, where differences in rounding grow from step to step.
TOLERANCES = {
    ("value", "float32"): Tolerance(1e-5, 2e-6),
    ("value", "float64"): Tolerance(1e-11, 1e-12),
    ("second", "float32"): Tolerance(1e-4, 2e-5),
    ("second", "float64"): Tolerance(1e-10, 1e-11),
    ("trajectory", "float32"): Tolerance(5e-5, 5e-6),
    ("trajectory", "float64"): Tolerance(1e-11, 1e-13),
}


@dataclass(frozen=True)
class Fixed:
    """An array of floats, in the dtype of the check, that does not require a gradient."""

    array: Any


@dataclass(frozen=True)
class Case:
    """What is compared: `run(tw, *arguments)` gives a tensor, a number or a sequence of them."""

    name: str
    run: Callable[..., Any]
    arguments: tuple[Any, ...]
    differentiable: bool = True  # False: compared off the tape
    second: bool = True

    def __repr__(self) -> str:
        return self.name


def case(run: Callable[..., Any], *arguments: Any, name: str = "", **options: Any) -> Case:
    """A `Case`, named after its function unless `name` says more."""
    return Case(name or run.__name__.strip("_"), run, arguments, **options)


class Results(NamedTuple):
    """What a case gave in one framework."""

    outputs: list[Any]
    gradients: list[Any]
    seconds: list[Any]


# --- in ------------------------------------------------------------------------------------------


def tensors(tw: Any, argument: Any, dtype: str, differentiable: bool = True) -> Any:
    """The arrays in `argument` as tensors of `tw`; whatever else is in it stays as it is."""
    if isinstance(argument, Fixed):
        return tw.tensor(argument.array.astype(dtype))
    if isinstance(argument, np.ndarray):
        if argument.dtype.kind != "f":
            return tw.tensor(argument)
        return tw.tensor(argument.astype(dtype), requires_grad=differentiable)
    if isinstance(argument, list | tuple):
        return type(argument)(tensors(tw, part, dtype, differentiable) for part in argument)
    return argument


def copied(tw: Any, state: dict[str, Any]) -> dict[str, Any]:
    """A state dict of either framework as one of `tw`, by way of NumPy."""
    return {name: tw.tensor(plain(value)) for name, value in state.items()}


# --- out -----------------------------------------------------------------------------------------


def flat(outputs: Any) -> list[Any]:
    """Tensors and numbers out of nested sequences, in order."""
    if isinstance(outputs, list | tuple) and not isinstance(outputs, torch.Size | thalweg.Size):
        return [leaf for part in outputs for leaf in flat(part)]
    return [outputs]


def plain(x: Any) -> Any:
    """A tensor as an array, anything else as it is."""
    if isinstance(x, torch.Tensor):
        return x.numpy(force=True)  # PyTorch's symbolic zeros ask for force
    return x.detach().numpy() if isinstance(x, thalweg.Tensor) else x


def dtype_name(x: Any) -> str:
    """ "float32" of a tensor of either framework."""
    return str(x.dtype).rpartition(".")[2]


def numbers(count: int, start: float = 0.3) -> Any:
    """`count` fixed numbers between 1/2 and 2, in no order."""
    return 1.25 + 0.75 * np.cos(start + 2.3 * np.arange(count))


def _weights(tw: Any, y: Any, start: float) -> Any:
    """A cotangent of the shape and dtype of `y`."""
    array = numbers(int(y.numel()), start).reshape(tuple(y.shape)).astype(dtype_name(y))
    return tw.tensor(array, requires_grad=True)


def _recorded(parts: Sequence[Any]) -> list[Any]:
    return [y for y in parts if getattr(y, "requires_grad", False)]


def derive(tw: Any, this: Case, dtype: str) -> Results:
    """The outputs of a case, and v^T J, and w^T of the derivative of that, for fixed v and w."""
    arguments = [tensors(tw, x, dtype, this.differentiable) for x in this.arguments]
    outputs = flat(this.run(tw, *arguments))
    leaves = _recorded(flat(arguments))
    recorded = _recorded(outputs)
    if not (leaves and recorded):
        return Results(outputs, [], [])
    seeds = [_weights(tw, y, 0.3) for y in recorded]
    firsts = _gradients(tw, recorded, leaves, seeds, create_graph=this.second)
    if not this.second:
        return Results(outputs, firsts, [])
    again = _recorded(firsts)
    weights = [_weights(tw, g, 1.1) for g in again]
    return Results(outputs, firsts, _gradients(tw, again, [*leaves, *seeds], weights))


def _gradients(
    tw: Any, outputs: list[Any], leaves: list[Any], seeds: list[Any], create_graph: bool = False
) -> list[Any]:
    """`autograd.grad`, with zeros where a leaf does not take part."""
    found = [None] * len(leaves)
    if outputs:
        found = tw.autograd.grad(
            outputs, leaves, seeds, create_graph=create_graph, allow_unused=True
        )
    return [
        tw.zeros_like(leaf) if gradient is None else gradient
        for leaf, gradient in zip(leaves, found, strict=True)
    ]


# --- against each other --------------------------------------------------------------------------


def assert_close(ours: Any, theirs: Any, tolerance: Tolerance, what: str) -> None:
    """Equal shapes, dtypes and, within `tolerance`, values."""
    assert hasattr(ours, "detach") == hasattr(theirs, "detach"), what
    if not hasattr(ours, "detach"):
        if isinstance(ours, float):
            np.testing.assert_allclose(ours, theirs, *tolerance, err_msg=what)
        else:
            assert (type(ours).__name__, ours) == (type(theirs).__name__, theirs), what
        return
    assert tuple(ours.shape) == tuple(theirs.shape), f"{what}: shapes"
    assert dtype_name(ours) == dtype_name(theirs), f"{what}: dtypes"
    x, y = plain(ours), plain(theirs)
    # A sum that nearly cancels is as far off as its terms are large; the largest sums tell of them.
    largest = np.abs(y[np.isfinite(y)]).max(initial=0) if y.dtype.kind == "f" else 0
    atol = tolerance.atol * max(1.0, largest / 4)
    np.testing.assert_allclose(x, y, tolerance.rtol, atol, err_msg=what)


def _assert_all_close(ours: list[Any], theirs: list[Any], kind: str, what: str) -> None:
    assert len(ours) == len(theirs), f"{what}: {len(ours)} and {len(theirs)}"
    for position, (x, y) in enumerate(zip(ours, theirs, strict=True)):
        dtype = dtype_name(y) if hasattr(y, "detach") else "float64"
        tolerance = TOLERANCES.get((kind, dtype), Tolerance(0, 0))
        assert_close(x, y, tolerance, f"{what} {position}")


def compare(this: Case, dtype: str) -> None:
    """The same outputs, gradients and second derivatives in both frameworks."""
    ours, theirs = derive(thalweg, this, dtype), derive(torch, this, dtype)
    recorded = [[getattr(y, "requires_grad", False) for y in r.outputs] for r in (ours, theirs)]
    assert recorded[0] == recorded[1], "which outputs require a gradient"
    _assert_all_close(ours.outputs, theirs.outputs, "value", "output")
    _assert_all_close(ours.gradients, theirs.gradients, "value", "gradient")
    _assert_all_close(ours.seconds, theirs.seconds, "second", "second derivative")
