"""Activation checkpointing: memory for time.

What a part of a network computes on the way is not kept for the backward pass, but computed again
when that arrives. Source: Chen, Xu, Zhang, Guestrin, "Training deep nets with sublinear memory
cost" (2016).
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from thalweg.autodiff.borrowing import borrowed
from thalweg.autodiff.reverse import cotangents_of, recorded, source
from thalweg.compiler.tracing.structure import flatten
from thalweg.errors import ConfigError
from thalweg.ops.joining import cat
from thalweg.primitives.core import AllOperands, Primitive
from thalweg.primitives.movement import hold
from thalweg.tape import Composite, Level, Lifted, Node, TensorBase, bind, mode, wrap

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["checkpoint", "checkpoint_sequential"]


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """function(*args, **kwargs), computed again in the backward pass rather than remembered.

    Arguments and results may be nested; tensors that the function uses from around it, such as a
    module's parameters, get their gradients too. In the second computation every tensor from
    around has the value it had in the first: dropout repeats, and running statistics are updated
    once. Only where `preserve_rng_state` is False are new random numbers drawn.

    `use_reentrant` is accepted and means nothing: there is one way. Inside `vmap` and `jvp` it
    saves the memory of what is differentiated inside, as in vmap(grad(f)); where the derivative is
    taken outside, the function simply runs.

    >>> import thalweg as tw
    >>> block = tw.nn.Sequential(tw.nn.Linear(8, 32), tw.nn.ReLU(), tw.nn.Linear(32, 8))
    >>> x = tw.ones(4, 8)
    >>> loss = tw.utils.checkpoint.checkpoint(block, x).square().mean()
    >>> loss.backward()

    Source: `torch.utils.checkpoint.checkpoint`.
    """
    if not mode.grad:
        return function(*args, **kwargs)
    watch = _Watch(flatten((args, kwargs))[0])
    with watch.watching():
        result = function(*args, **kwargs)
    if watch.is_wanted_outside:
        for x, before in watch.state(()):
            x._value = before
        return function(*args, **kwargs)
    leaves, structure = flatten(result)
    state = watch.state(leaves) if preserve_rng_state else []
    again = _Again(lambda: flatten(function(*args, **kwargs))[0], watch, state)
    return structure.build(again.connected(leaves))


class _Watch:
    """What a function uses from around it: tensors that it reads, and state.

    used     tensors: the arguments, and those that operations were given and none made; each with
             the value it had when it was first read
    written  tensors that were given new values, and the values before
    is_wanted_outside   whether something outside of a transform is recording what happens here
    """

    def __init__(self, arguments: Sequence[Any]) -> None:
        tensors: list[Any] = [x for x in arguments if isinstance(x, TensorBase)]
        if mode.trace is not None:
            for x in tensors:
                mode.trace.touch(x)
        self.used = {id(x): (x, x._value) for x in tensors}
        self.given = frozenset(self.used)
        self.made: set[int] = set()  # the identities of values
        self.written: dict[int, tuple[weakref.ref[Tensor], Any]] = {}
        self.is_wanted_outside = False
        self._outer = mode.written

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Nothing is recorded in this block, and what is used is noted."""
        interpret, level = mode.interpret, mode.level
        before = interpret, mode.written, mode.watched, mode.grad

        def noting(
            primitive: Primitive, inputs: tuple[Tensor, ...], attributes: dict[str, Any]
        ) -> Any:
            for x in inputs:
                if id(x) not in self.used and id(x._value) not in self.made:
                    if mode.trace is not None:
                        mode.trace.touch(x)
                    self.used[id(x)] = x, x._value
                if level is not None and _is_recorded_outside(x, level):
                    self.is_wanted_outside = True
            value = interpret(primitive, inputs, attributes)
            self.made.add(id(value))
            return value

        mode.interpret, mode.written, mode.watched, mode.grad = noting, self._note, True, False
        try:
            yield
        finally:
            mode.interpret, mode.written, mode.watched, mode.grad = before

    def _note(self, x: Tensor) -> None:
        """`x` is about to be given a new value."""
        if self._outer is not None:
            self._outer(x)
        known = self.written.get(id(x))
        if known is None or known[0]() is not x:
            self.written[id(x)] = weakref.ref(x), x._value

    def state(self, results: Sequence[Any]) -> list[tuple[Tensor, Any]]:
        """The tensors from around that were given new values, and their values before."""
        made = {id(x) for x in results}
        there = [(ref(), before) for ref, before in self.written.values()]
        return [(x, before) for x, before in there if x is not None and id(x) not in made]


def _is_recorded_outside(x: Tensor, level: Level) -> bool:
    """Whether the tape outside of a transform goes through the value of `x`."""
    if not level.records:
        return False
    if not level.owns(x):
        return bool(x._requires_grad)
    return any(map(_is_recorded, x._value.tensors()))


def _is_recorded(x: Tensor) -> bool:
    value = x._value
    return bool(x._requires_grad) or (
        isinstance(value, Lifted) and any(map(_is_recorded, value.tensors()))
    )


class _Again:
    """The second computation, as the VJP of the first."""

    def __init__(self, function: Callable[[], list[Any]], watch: _Watch, state: Any) -> None:
        self.function = function
        self.state = [(x, wrap(before)) for x, before in state]
        used = [(x, v) for place, (x, v) in watch.used.items() if place not in watch.written]
        self.used = [x for x, _ in used]
        self.operands = tuple(x if x._value is v else wrap(v) for x, v in used)
        self.wanted = [k for k, x in enumerate(self.operands) if x._requires_grad]
        # What depends on parameters alone may be remembered: it is no larger than they are.
        self.held = [id(x) in watch.given or x._node is not None for x in self.used]
        self.places: list[int] = []
        self.shapes: list[tuple[int, ...]] = []

    def connected(self, leaves: list[Any]) -> list[Any]:
        """The results on the tape: one node, of which several results are parts."""
        known = {id(x) for x in self.used}  # what was only passed through
        self.places = [
            k
            for k, y in enumerate(leaves)
            if isinstance(y, TensorBase) and y._value.dtype.kind == "f" and id(y) not in known
        ]
        if not self.places or not self.wanted:
            return leaves
        live = [leaves[k] for k in self.places]
        self.shapes = [tuple(y._value.shape) for y in live]
        if len({y._value.dtype for y in live}) > 1:
            raise ConfigError("checkpoint: results of one floating type expected; cast them")
        joint = wrap(live[0]._value if len(live) == 1 else cat([y.flatten() for y in live])._value)
        op = Composite("checkpoint", AllOperands(self.cotangents), held=self.before)
        joint._node = Node(op, self.operands, joint._value, {})
        joint._requires_grad = True
        leaves = list(leaves)
        for k, y in zip(self.places, self.parts(joint), strict=True):
            leaves[k] = y
        return leaves

    def before(self) -> Sequence[Tensor]:
        """What is read beside the operands: state as it was."""
        return [x for _, x in self.state]

    def parts(self, joint: Tensor) -> Sequence[Tensor]:
        """The results that stand in a joint tensor."""
        if len(self.shapes) == 1:
            return [joint]
        parts = joint.split([math.prod(shape) for shape in self.shapes])
        return [p.reshape(shape) for p, shape in zip(parts, self.shapes, strict=True)]

    def cotangents(self, g: Tensor, out: Tensor, *operands: Tensor) -> list[Tensor | None]:
        """Compute again, with everything as it was, and go back through that."""
        given = [_held(x, g) if held else x for x, held in zip(operands, self.held, strict=True)]
        sources = [source(given[k], "checkpoint") for k in self.wanted]
        for k, x in zip(self.wanted, sources, strict=True):
            given[k] = x
        state = [(x, _held(before, g)) for x, before in self.state]
        with borrowed([*state, *zip(self.used, given, strict=True)]):
            leaves, _ = recorded(self.function)
        outputs = [leaves[k] for k in self.places]
        found = cotangents_of(sources, list(zip(outputs, self.parts(g), strict=True)))
        arrived: list[Tensor | None] = [None] * len(operands)
        for k, cotangent in zip(self.wanted, found, strict=True):
            arrived[k] = cotangent
        return arrived


def _held(x: Tensor, after: Tensor) -> Tensor:
    """`x`, in a program not before `after`: what is computed from it is computed again."""
    if mode.trace is None:
        return x
    while isinstance(after._value, Lifted):  # whose cases would become those of `x`
        after = after._value.tensors()[0]
    return bind(hold, x, after)


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """A chain of functions, such as a `Sequential`, as so many checkpointed `segments`.

    The last segment is remembered as usual: its backward pass comes at once.

    >>> import thalweg as tw
    >>> net = tw.nn.Sequential(*[tw.nn.Linear(4, 4) for _ in range(6)])
    >>> tw.utils.checkpoint.checkpoint_sequential(net, 3, tw.ones(2, 4)).shape
    Size([2, 4])

    Source: `torch.utils.checkpoint.checkpoint_sequential`.
    """
    chain = list(functions)
    if not 1 <= segments <= len(chain):
        raise ConfigError(
            f"checkpoint_sequential: {segments} segments of {len(chain)} functions; expected 1 to "
            f"{len(chain)}"
        )
    size = len(chain) // segments

    def run(part: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
        def segment(x: Any) -> Any:
            for function in part:
                x = function(x)
            return x

        return segment

    for k in range(segments - 1):
        part = chain[k * size : (k + 1) * size]
        input = checkpoint(run(part), input, use_reentrant=use_reentrant, **kwargs)
    return run(chain[(segments - 1) * size :])(input)
