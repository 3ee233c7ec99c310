"""`scan` while a function is traced: its body is traced once, and is an attribute of one equation.

What the body reads of the world around it is an operand, a constant of the loop; what it gives
another value is carried from round to round beside the carry, and has its last value afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

from thalweg._tensor import Tensor
from thalweg.compiler.graph import Atom, Graph, Variable
from thalweg.compiler.inner import InnerTracer
from thalweg.compiler.subgraph import Subgraph, Tape, parent_of
from thalweg.dtypes import as_dtype
from thalweg.ops.lift import _literal
from thalweg.ops.loops import cond_of_lists, scan_along_0
from thalweg.primitives import loops
from thalweg.primitives.core import Primitive
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
    """The operations of a graph, applied to tensors within a function transform."""
    known: dict[Atom, Any] = dict(zip(graph.inputs, operands, strict=True))

    def tensor(atom: Atom) -> Any:
        if isinstance(atom, Variable):
            return known[atom]
        return _literal(atom.value, as_dtype(atom.dtype))

    for e in graph.equations:
        given = [tensor(atom) for atom in e.inputs]
        known[e.output] = _OF_BUNDLES.get(e.op, partial(bind, e.op))(*given, **e.attributes)
    return [tensor(atom) for atom in graph.outputs]


def _scanned(
    *given: Tensor, body: Subgraph, length: int, reverse: bool, consts: int, carry: int
) -> Tensors:
    fixed, state, slices = given[:consts], given[consts : consts + carry], given[consts + carry :]
    return scanned(body, list(fixed), list(state), list(slices), length, reverse)


def _chosen(pred: Tensor, *operands: Tensor, true: Subgraph, false: Subgraph) -> Tensors:
    sides = [partial(_applied, side.graph, list(operands)) for side in (true, false)]
    return cond_of_lists(pred, *sides)


# Within a function transform the value of a bundle is the list of its values.
_OF_BUNDLES: dict[Primitive, Callable[..., Any]] = {
    loops.scan: _scanned,
    loops.cond: _chosen,
    loops.item: lambda bundle, *, index: bundle[index],
}


def items(bundle: Tensor) -> Tensors:
    """The values of a bundle."""
    count = len(loops.parts_of(bundle._value))
    return [bind(loops.item, bundle, index=number) for number in range(count)]
