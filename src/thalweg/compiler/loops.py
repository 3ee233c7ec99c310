"""`scan` while a function is traced: its body is traced once, and is an attribute of one equation.

What the body reads of the world around it is an operand, a constant of the loop; what it gives
another value is carried from round to round beside the carry, and has its last value afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from thalweg._tensor import Tensor
from thalweg.compiler.graph import Atom, Graph, Variable
from thalweg.compiler.inner import InnerTracer
from thalweg.compiler.subgraph import Subgraph, Tape, parent_of
from thalweg.dtypes import as_dtype
from thalweg.ops.lift import _literal
from thalweg.ops.loops import scan_along_0
from thalweg.primitives import loops
from thalweg.tape import bind, mode

__all__ = ["items", "scan", "scanned"]

Tensors: TypeAlias = list[Tensor]


def scan(
    step: Callable[[Tensors, Tensors], tuple[Tensors, Tensors]],
    carry: Sequence[Tensor],
    slices: Sequence[Tensor],
    length: int,
    reverse: bool,
) -> tuple[Tensors, Tensors]:
    """The last carry and the stacked outputs of carry, y = step(carry, slices), as one equation.

    Slices are along axis 0 of each of `slices`, `length` of them.
    """
    inner = InnerTracer(mode.trace)
    with inner.tracing():
        # A carry that does not require a gradient at first may do so after a round.
        floating = [mode.grad and x._value.dtype.kind == "f" for x in carry]
        kinds = [(x._value.shape, x._value.dtype) for x in carry]
        state = [inner.argument(*k, grad) for k, grad in zip(kinds, floating, strict=True)]
        parts = [
            inner.argument(x._value.shape[1:], x._value.dtype, x._requires_grad) for x in slices
        ]
        after, ys = step(list(state), list(parts))
        outputs = [inner.atom(x) for x in (*after, *ys)]
        new = [slot.tensor for slot in inner.changed("scan")]
        outputs[len(after) : len(after)] = [inner.atom(x) for x in new]
        parents = [parent_of(x) for x in (*after, *new, *ys)]
    known = {id(x) for x in new}  # == of tensors would be computed
    fixed = [slot.tensor for key, slot in inner.slots.items() if key not in known]
    consts, more = ([inner.leaves[id(x)] for x in xs] for xs in (fixed, new))
    leaves = [*consts, *state, *more, *parts]
    graph = inner.program([leaf._value for leaf in leaves], outputs)
    results = items(
        bind(
            loops.scan,
            *fixed,
            *carry,
            *new,
            *slices,
            body=Subgraph(graph, Tape(leaves, parents)),
            length=length,
            reverse=reverse,
            consts=len(fixed),
            carry=len(state) + len(new),
        )
    )
    for x, value in zip(new, results[len(state) :], strict=False):
        x._value, x._node, x._requires_grad = value._value, value._node, value._requires_grad
    return results[: len(state)], results[len(state) + len(new) :]


def scanned(
    body: Subgraph,
    consts: Tensors,
    carry: Tensors,
    slices: Tensors,
    length: int,
    reverse: bool,
) -> Tensors:
    """The results of a scan over a body that is there: the last carry, then stacks.

    Within a function transform the body's operations are applied anew, by the rules of that.
    """
    if mode.level is None:
        how = {"length": length, "reverse": reverse, "consts": len(consts), "carry": len(carry)}
        return items(bind(loops.scan, *consts, *carry, *slices, body=body, **how))

    def step(state: Tensors, parts: Tensors) -> tuple[Tensors, Tensors]:
        results = _applied(body.graph, [*consts, *state, *parts])
        return results[: len(carry)], results[len(carry) :]

    return [x for part in scan_along_0(step, carry, slices, length, reverse) for x in part]


def _applied(graph: Graph, operands: Tensors) -> Tensors:
    """The operations of a graph, applied to tensors."""
    known: dict[Atom, Tensor] = dict(zip(graph.inputs, operands, strict=True))

    def tensor(atom: Atom) -> Tensor:
        return (
            known[atom]
            if isinstance(atom, Variable)
            else _literal(atom.value, as_dtype(atom.dtype))
        )

    for e in graph.equations:
        known[e.output] = bind(e.op, *map(tensor, e.inputs), **e.attributes)
    return [tensor(atom) for atom in graph.outputs]


def items(bundle: Tensor) -> Tensors:
    """The values of a bundle."""
    count = len(loops.parts_of(bundle._value))
    return [bind(loops.item, bundle, index=number) for number in range(count)]
