"""Reverse mode as function transforms: `vjp`, `grad` and `grad_and_value`, by the tape.

Each input gets a node of its own, so that a closure over the same tensor counts separately. The
pullback visits the nodes between these and the results, and no other. It is recorded itself, to be
differentiated again, where something outside of the transform requires a gradient.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import wraps
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from thalweg.autodiff.backward import pulled
from thalweg.autodiff.levels import alias, tensors_of
from thalweg.compiler.tracing.structure import Structure, flatten
from thalweg.errors import ConfigError, DTypeError, ShapeError
from thalweg.ops.creation import zeros_like
from thalweg.ops.lift import literal
from thalweg.tape import Composite, Node, TensorBase, mode, not_a_tensor, wrap

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = [
    "chosen",
    "cotangents_of",
    "grad",
    "grad_and_value",
    "recorded",
    "source",
    "split_aux",
    "vjp",
]

_INPUT = Composite("input", (lambda g, out, x: g,))


def source(x: Tensor, name: str) -> Tensor:
    """The same value behind a node of its own."""
    if x._value.dtype.kind != "f":
        raise DTypeError(
            f"{name}: an input is {x.dtype!r}; only float32 and float64 have a derivative: cast it "
            "with x.float(), or leave it out of what is differentiated"
        )
    if mode.trace is not None:
        mode.trace.touch(x)
    level = mode.level
    if level is not None and not level.owns(x):
        x = wrap(level.lifted(alias(x) if mode.grad else x.detach()))  # the tape outside, too
    seen = wrap(x._value)
    behind = x if mode.grad else seen
    seen._node, seen._requires_grad = Node(_INPUT, (behind,), x._value, {}), True
    return seen


@dataclass
class _Span:
    """The nodes between inputs and results: those on the way, and those that lead elsewhere.

    inner    nodes that depend on the inputs
    outer    nodes that depend on something that was there before and requires a gradient
    """

    inner: set[Node]
    outer: set[Node]

    def leads_out(self, x: TensorBase) -> bool:
        """Whether something outside requires the gradient of `x`."""
        if not x._requires_grad:
            return False
        return x._node in self.outer or not isinstance(x._node, Node) or x._node not in self.inner


_index = attrgetter("index")


def _span(results: Iterable[TensorBase], sources: Sequence[Tensor]) -> _Span:
    starts: set[Any] = {x._node for x in sources}
    floor = min((node.index for node in starts), default=0)
    pending = [x._node for x in results if x._requires_grad]
    seen: set[Node] = set()
    while pending:
        node = pending.pop()
        if isinstance(node, Node) and node.index >= floor and node not in seen:
            seen.add(node)
            pending += node.parents
    inner: set[Any] = starts & seen
    outer: set[Any] = set()
    for node in sorted(seen, key=_index):
        for parent in node.parents:
            if parent is None:
                continue
            if parent in inner:
                inner.add(node)
            if parent not in seen or parent in outer:
                outer.add(node)
    return _Span(inner, outer)


def recorded(function: Callable[[], Any]) -> tuple[Any, list[weakref.ref[Tensor]]]:
    """What `function` gives, on the tape, and the tensors that it gave new values."""
    before = mode.grad, mode.recorded, mode.written
    written: list[weakref.ref[Tensor]] = []

    def note(x: Tensor) -> None:
        if before[2] is not None:
            before[2](x)
        written.append(weakref.ref(x))

    mode.grad, mode.recorded, mode.written = True, True, note
    try:
        return function(), written
    finally:
        mode.grad, mode.recorded, mode.written = before


def _release(
    written: Iterable[weakref.ref[Tensor]], results: Sequence[Any], sources: Sequence[Tensor]
) -> None:
    """Take tensors that were given values inside off the tape, which would be kept for them."""
    kept = {id(x) for x in results}
    for x in {id(x): x for ref in written if (x := ref()) is not None}.values():
        if x._requires_grad and isinstance(x._node, Node) and id(x) not in kept:
            span = _span([x], sources)
            if x._node in span.inner and not (mode.grad and span.leads_out(x)):
                x._node, x._requires_grad = None, False


def _closed(tensors: Sequence[Any], span: _Span) -> list[Any]:
    """Results as the caller sees them: off the tape, unless something outside wants them on it."""
    return [
        wrap(x._value) if isinstance(x, TensorBase) and not (mode.grad and span.leads_out(x)) else x
        for x in tensors
    ]


def _pulled(
    roots: Sequence[tuple[Tensor, Tensor]], sources: Sequence[Tensor], span: _Span, retain: bool
) -> list[Tensor]:
    """The cotangents of the sources, for cotangents of results."""
    connect = mode.grad and any(span.leads_out(y) for y, _ in roots)
    live = [(y, g) for y, g in roots if y._requires_grad and y._node in span.inner]
    starts: list[Any] = [x._node for x in sources]
    found = pulled(live, starts, span.inner, retain or connect, connect)
    return [zeros_like(x) if g is None else g for x, g in zip(sources, found, strict=True)]


def cotangents_of(
    sources: Sequence[Tensor], roots: Sequence[tuple[Tensor, Tensor]]
) -> list[Tensor]:
    """The cotangents of sources, by one walk back from results and their cotangents."""
    return _pulled(roots, sources, _span([y for y, _ in roots], sources), retain=False)


# --- the transforms ------------------------------------------------------------------------------


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """The value of `func` at `primals`, and the function that gives cotangents for its cotangents.

    Gives (func(*primals), pull), with `has_aux` (value, pull, aux). `pull(v)`, for v of the
    structure, shapes and dtypes of the value, is the tuple of v^T J for each argument, and may be
    called as often as one likes.

    >>> import thalweg as tw
    >>> value, pull = tw.func.vjp(lambda x: x * x, tw.tensor([1.0, 2.0]))
    >>> value, pull(tw.tensor([1.0, 10.0]))
    (tensor([1., 4.]), (tensor([ 2., 40.]),))

    Source: `torch.func.vjp`; deck 004, "Vector-Jacobian product".
    """
    leaves, structure = tensors_of("vjp: an argument", primals)
    sources = [source(x, "vjp") for x in leaves]
    (result, written), aux = recorded(lambda: func(*structure.build(sources))), None
    if has_aux:
        result, aux = split_aux("vjp", result)
    outputs, outer = tensors_of("vjp: the result of func", result)
    beside, inner = flatten(aux)
    span = _span([*outputs, *(x for x in beside if isinstance(x, TensorBase))], sources)
    _release(written, outputs, sources)

    def pull(*cotangents: Any) -> Any:
        given, other = tensors_of("vjp: a cotangent", _single(cotangents, outer))
        _check_cotangents(outputs, outer, given, other)
        roots = [(y, g.to(y.dtype)) for y, g in zip(outputs, given, strict=True)]
        found = _pulled(roots, sources, span, retain=True)
        return structure.build(found)

    value = outer.build(_closed(outputs, span))
    return (value, pull, inner.build(_closed(beside, span))) if has_aux else (value, pull)


def _single(cotangents: tuple[Any, ...], outer: Structure) -> Any:
    """The one cotangent that was given; several stand for a tuple of them."""
    return cotangents[0] if len(cotangents) == 1 else cotangents


def _check_cotangents(
    outputs: Sequence[Tensor], outer: Structure, given: Sequence[Tensor], other: Structure
) -> None:
    if outer != other:
        raise ShapeError(
            f"vjp: cotangents are of the structure of the value: {len(outputs)} tensors nested "
            f"alike, got {len(given)}"
        )
    for k, (y, g) in enumerate(zip(outputs, given, strict=True)):
        if y._value.shape != g._value.shape:
            raise ShapeError(
                f"vjp: cotangent {k} has shape {tuple(g.shape)}, expected that of the value, "
                f"{tuple(y.shape)}"
            )


def split_aux(name: str, result: Any) -> Any:
    """The value and what comes beside it, of a function that gives both."""
    if not isinstance(result, tuple) or len(result) != 2:
        raise ConfigError(
            f"{name}: with has_aux func gives a pair (value, aux), got {type(result).__name__}"
        )
    return result


def chosen(name: str, argnums: Any, count: int) -> tuple[int, ...]:
    """The positions of the arguments that `argnums`, an int or a tuple of them, names."""
    positions = argnums if isinstance(argnums, tuple | list) else (argnums,)
    for k in positions:
        if not isinstance(k, int) or not -count <= k < count:
            raise ConfigError(
                f"{name}: argnums {argnums!r} with {count} positional arguments; expected an int "
                f"from {-count} to {count - 1}, or a tuple of them"
            )
    found = tuple(k % count for k in positions)
    if len(set(found)) != len(found):
        raise ConfigError(f"{name}: argnums {argnums!r} names one argument twice")
    return found


def grad_and_value(
    func: Callable[..., Any], argnums: Any = 0, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """The function that gives the gradient of `func`, and its value.

    As `grad`; gives (gradient, value), with `has_aux` (gradient, (value, aux)).

    >>> import thalweg as tw
    >>> tw.func.grad_and_value(lambda x: (x * x).sum())(tw.tensor([1.0, 2.0]))
    (tensor([2., 4.]), tensor(5.))

    Source: `torch.func.grad_and_value`.
    """

    @wraps(func)
    def derivative(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        positions = chosen("grad", argnums, len(args))
        leaves, structure = tensors_of(
            "grad: an argument that is differentiated", tuple(args[k] for k in positions)
        )
        sources = [source(x, "grad") for x in leaves]
        seen = dict(zip(positions, structure.build(sources), strict=True))
        given = [seen.get(k, x) for k, x in enumerate(args)]
        (result, written), aux = recorded(lambda: func(*given, **kwargs)), None
        if has_aux:
            result, aux = split_aux("grad", result)
        _check_loss(result)
        beside, inner = flatten(aux)
        span = _span([result, *(x for x in beside if isinstance(x, TensorBase))], sources)
        closed = _closed([result, *beside], span)
        _release(written, [result], sources)
        kept = any(x._requires_grad for x in closed if isinstance(x, TensorBase))
        seed = literal(1, result.dtype)
        found = structure.build(_pulled([(result, seed)], sources, span, retain=kept))
        gradient = found if isinstance(argnums, tuple | list) else found[0]
        return gradient, (closed[0], inner.build(closed[1:])) if has_aux else closed[0]

    return derivative


def _check_loss(value: Any) -> None:
    if not isinstance(value, TensorBase):
        raise not_a_tensor("grad: the result of func", value)
    if value._value.shape:
        raise ShapeError(
            f"grad: func gives a tensor of shape {tuple(value._value.shape)}, expected one number, "
            "of shape (): reduce it, or use jacrev"
        )
    if value._value.dtype.kind != "f":
        raise DTypeError("grad: func gives an integer or bool, which has no gradient")


def grad(func: Callable[..., Any], argnums: Any = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The function that gives the gradient of `func`, whose value is one number.

    With respect to the argument that `argnums` numbers, or a tuple of gradients where `argnums` is
    a tuple; an argument may be a tensor, or nested tuples, lists and dicts of them. With `has_aux`
    `func` gives (value, aux), and the result is (gradient, aux). Gradients of gradients are
    `grad(grad(f))`.

    >>> import thalweg as tw
    >>> tw.func.grad(tw.sin)(tw.tensor(0.0))
    tensor(1.)
    >>> tw.func.grad(lambda w, x: (w * x).sum(), argnums=(0, 1))(tw.ones(2), tw.tensor([3.0, 4.0]))
    (tensor([3., 4.]), tensor([1., 1.]))

    Raises `ShapeError` where the value is not one number, `DTypeError` for an argument that is no
    floating tensor, `ConfigError` for an argument that is not there.

    Source: `torch.func.grad`; deck 000, "Gradient".
    """
    both = grad_and_value(func, argnums, has_aux)

    @wraps(func)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        found, value = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient
