"""`scan` while a function is traced: its body is traced once, and is an attribute of one equation.

What the body reads of the world around it is an operand, a constant of the loop; what it gives
another value is carried from round to round beside the carry, and has its last value afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from thalweg._tensor import Tensor
from thalweg.compiler.subgraph import Subgraph
from thalweg.compiler.tracing.inner import InnerTracer
from thalweg.primitives import loops
from thalweg.tape import bind, mode

__all__ = ["items", "scan"]

Tensors: TypeAlias = list[Tensor]


def scan(
    step: Callable[[Tensors, Tensors], tuple[Tensors, Tensors]],
    carry: Sequence[Tensor],
    slices: Sequence[Tensor],
    length: int,
    reverse: bool,
) -> tuple[Tensors, Tensors]:
    """The last carry and the stacked outputs of carry, y = step(carry, slices), as one equation.

    Slices are along axis 0 of each of `slices`, `length` of them. Results are off the tape.
    """
    inner = InnerTracer(mode.trace)
    with inner.tracing():
        state = [inner.argument(x._value.shape, x._value.dtype) for x in carry]
        parts = [inner.argument(x._value.shape[1:], x._value.dtype) for x in slices]
        after, ys = step(list(state), list(parts))
        outputs = [inner.atom(x) for x in (*after, *ys)]
        new = [slot.tensor for slot in inner.changed("scan")]
        outputs[len(after) : len(after)] = [inner.atom(x) for x in new]
    known = {id(x) for x in new}  # == of tensors would be computed
    fixed = [slot.tensor for key, slot in inner.slots.items() if key not in known]
    consts, more = ([inner.leaves[id(x)] for x in xs] for xs in (fixed, new))
    leaves = [*consts, *state, *more, *parts]
    body = Subgraph(inner.program([leaf._value for leaf in leaves], outputs))
    how = {
        "length": length,
        "reverse": reverse,
        "consts": len(fixed),
        "carry": len(outputs) - len(ys),
    }
    results = items(bind(loops.scan, *fixed, *carry, *new, *slices, body=body, **how))
    for x, value in zip(new, results[len(state) :], strict=False):
        x._value, x._node, x._requires_grad = value._value, None, False
    return results[: len(state)], results[len(state) + len(new) :]


def items(bundle: Tensor) -> Tensors:
    """The values of a bundle."""
    count = len(loops.parts_of(bundle._value))
    return [bind(loops.item, bundle, index=number) for number in range(count)]
