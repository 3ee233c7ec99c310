"""Loops and branches as primitives: `scan` carries values through the slices of others, `cond` does
one of two things; `item` takes a result.

They have several results, and an equation has one. So their result is a bundle: of the type
`Bundle`, where other values have a dtype, and of rank 0. `item` takes the values out, one by one.
The cotangent of a bundle is a `Cotangents`: those of the values that have any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from thalweg.errors import DTypeError, ShapeError
from thalweg.primitives.core import Abstract, Shape, primitive

__all__ = ["Body", "Bundle", "Cotangents", "cond", "item", "parts_of", "results", "scan"]

Result = tuple[Shape, np.dtype[Any]]


class Body(Protocol):
    """What a scan does with each slice, or a branch: a program of operands to results.

    A scan's inputs are the constants, the carry, the slices; its outputs the next carry, then what
    is stacked.
    """

    @property
    def inputs(self) -> Sequence[Abstract]:
        """The types of the operands."""

    @property
    def outputs(self) -> Sequence[Abstract]:
        """The types of the results."""

    def evaluate(self, arrays: Sequence[Any]) -> Sequence[Any]:
        """The results, by NumPy."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """The type of a value made of several: a shape and a dtype for each."""

    parts: tuple[Result, ...]
    kind: ClassVar[str] = "V"
    names: ClassVar[None] = None
    name: ClassVar[str] = "bundle"


class Cotangents(dict[int, Any]):
    """The cotangents of a bundle's values, by their numbers; those of one value add up."""

    def __add__(self, other: Cotangents) -> Cotangents:
        total = Cotangents(self)
        for number, g in other.items():
            total[number] = total[number] + g if number in total else g
        return total


def _scan_infer(
    *operands: Abstract,
    body: Body,
    length: int,
    reverse: bool,
    consts: int,
    carry: int,
    kept: tuple[int, ...] = (),
) -> tuple[Shape, Any]:
    if len(operands) != len(body.inputs):
        raise ShapeError(f"scan: {len(body.inputs)} operands expected, got {len(operands)}")
    for number, (x, inside) in enumerate(zip(operands, body.inputs, strict=True)):
        lead = (length,) if number >= consts + carry else ()
        if tuple(x.shape) != (*lead, *inside.shape) or x.dtype != inside.dtype:
            raise ShapeError(
                f"scan: operand {number} is {x.dtype} of shape {tuple(x.shape)}, expected "
                f"{inside.dtype} of shape {(*lead, *inside.shape)}"
            )
    for before, after in zip(body.inputs[consts : consts + carry], body.outputs, strict=False):
        if (before.shape, before.dtype) != (after.shape, after.dtype):
            raise ShapeError(
                f"scan: a carry of {before.dtype}{before.shape} becomes {after.dtype}{after.shape}"
            )
    return (), results(body, length, carry, kept)


def results(body: Body, length: int, carry: int, kept: tuple[int, ...] = ()) -> Bundle:
    """The type of what a scan gives: the last carry, then stacked outputs.

    Of carries in `kept`, by their numbers, it gives all there were: the first and `length` more,
    in the order of the slices. A pass asks for that, no trace.
    """
    lead: list[Shape] = [()] * carry + [(length,)] * (len(body.outputs) - carry)
    for number in kept:
        lead[number] = (length + 1,)
    parts = zip(lead, body.outputs, strict=True)
    return Bundle(tuple(((*n, *x.shape), x.dtype) for n, x in parts))


def _scan_evaluate(
    *operands: Any,
    body: Body,
    length: int,
    reverse: bool,
    consts: int,
    carry: int,
    kept: tuple[int, ...] = (),
) -> Any:
    fixed, state, slices = (
        operands[:consts],
        list(operands[consts : consts + carry]),
        operands[consts + carry :],
    )
    stacks = [np.empty((length, *y.shape), y.dtype) for y in body.outputs[carry:]]
    histories = {number: [state[number]] for number in kept}
    for t in range(length - 1, -1, -1) if reverse else range(length):
        results = body.evaluate([*fixed, *state, *(x[t] for x in slices)])
        state = list(results[:carry])
        for stack, y in zip(stacks, results[carry:], strict=True):
            stack[t] = y
        for number, history in histories.items():
            history.append(state[number])
    for number, history in histories.items():
        state[number] = np.stack(history[::-1] if reverse else history)
    return _bundled([*state, *stacks])


def _bundled(values: Sequence[Any]) -> Any:
    """Several arrays as one NumPy value: an object of rank 0."""
    bundle = np.empty((), object)
    bundle[()] = tuple(values)
    return bundle


def parts_of(value: Any) -> tuple[Result, ...]:
    """The types of the values in a bundle; of another value nothing."""
    return value.dtype.parts if isinstance(value.dtype, Bundle) else ()


def _cond_infer(pred: Abstract, *operands: Abstract, true: Body, false: Body) -> tuple[Shape, Any]:
    if pred.shape != () or pred.dtype != np.bool_:
        raise DTypeError(f"cond: pred is a bool of rank 0, got {pred.dtype}{pred.shape}")
    types = [tuple((tuple(x.shape), x.dtype) for x in side.outputs) for side in (true, false)]
    given = tuple((tuple(x.shape), x.dtype) for x in operands)
    inside = [tuple((tuple(x.shape), x.dtype) for x in side.inputs) for side in (true, false)]
    if types[0] != types[1] or inside != [given, given]:
        raise ShapeError("cond: both functions take the operands, and give results of one type")
    return (), Bundle(types[0])


def _item_infer(bundle: Abstract, *, index: int) -> Result:
    parts = parts_of(bundle)
    if index >= len(parts):
        raise DTypeError(f"item {index}: a bundle of more values expected, got {bundle.dtype}")
    return parts[index]


# On the tape a scan and a cond are operations of the functions that they are made of, see
# autodiff/rounds.py and autodiff/either.py; inside a function transform they are others outside.
# fmt: off
scan = primitive("scan", _scan_infer, _scan_evaluate, None)
cond = primitive("cond", _cond_infer,
                 lambda pred, *operands, true, false: _bundled((true if pred else false).evaluate(operands)),
                 None)
item = primitive("item", _item_infer, lambda bundle, *, index: np.asarray(bundle[()][index]),
                 (lambda g, out, bundle, *, index: Cotangents({index: g}),))
# fmt: on
