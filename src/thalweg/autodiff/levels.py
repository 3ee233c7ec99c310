"""What function transforms have in common: a level, at which values are lifted.

Inside `vmap` or `jvp` a tensor's value is not an array: it is `Lifted`, made of tensors of the
level outside. The transform takes NumPy's place as the interpreter. It unwraps the values of its
own level, applies the operation's rule to the tensors within, in the context outside, and wraps
the result. So the tape, a trace and the transforms outside see every operation, and levels nest in
any order. Values of other levels, and arrays, pass through as they are.
"""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

from thalweg.compiler.tracing.structure import Structure, flatten
from thalweg.errors import ThalwegError, TransformError
from thalweg.primitives.core import Primitive
from thalweg.tape import (
    Attributes,
    Composite,
    Inputs,
    Lifted,
    TensorBase,
    bind,
    compose,
    mode,
    not_a_tensor,
    wrap,
)

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

T = TypeVar("T")

__all__ = ["RESULT", "Transform", "alias", "application", "drop", "tensors_of"]

RESULT = "a transformed function's result"


@cache
def application(primitive: Primitive) -> Callable[..., Tensor]:
    """What rules call `apply`: the primitive, on tensors."""
    return partial(bind, primitive)


def tensors_of(name: str, value: Any) -> tuple[list[Tensor], Structure]:
    """The tensors of a nested value, and its structure; anything else in it is an error."""
    leaves, structure = flatten(value)
    for x in leaves:
        if not isinstance(x, TensorBase):
            raise not_a_tensor(name, *leaves)
    return leaves, structure


State = tuple[Any, ...]  # of a tensor: value, node, requires_grad, gradient
Context = dict[str, Any]  # what of the mode belongs to a level
_FIELDS = ("interpret", "trace", "watched", "level", "cases")


def _context() -> Context:
    here = mode.__dict__
    return {name: here[name] for name in _FIELDS}


class Transform(ABC):
    """A level: the interpreter inside a transformed function, and what it is told as a trace is."""

    cases = 1  # how many of them draw random numbers of their own
    records = True  # whether the tape was on where the function was called

    def __init__(self) -> None:
        self._around: Context = {}
        self._here: Context = {}
        self._direct: Any = None
        self._touched: dict[int, tuple[weakref.ref[Tensor], State]] = {}

    def owns(self, x: Tensor) -> bool:
        """Whether the value of `x` is of this level."""
        value = x._value
        return isinstance(value, Lifted) and value.level is self

    # --- contexts --------------------------------------------------------------------------------

    @contextmanager
    def inside(self, records: bool | None = None) -> Iterator[None]:
        """The context of the transformed function; `records`, where it was called before."""
        before = self._enter(records)
        try:
            yield
        finally:
            self._leave(before)

    def _enter(self, records: bool | None = None) -> tuple[Any, ...]:
        before = self._around, self._here, self._direct, self.records
        self.records = mode.grad if records is None else records
        self._around = around = _context()
        self._direct = around["interpret"] if around["level"] is None else None
        self._here = {**around, "interpret": self, "trace": self, "level": self}
        self._here["cases"] *= self.cases
        mode.__dict__.update(self._here)
        return before

    def _leave(self, before: tuple[Any, ...]) -> None:
        mode.__dict__.update(self._around)
        self._around, self._here, self._direct, self.records = before

    @contextmanager
    def outside(self) -> Iterator[None]:
        """The context that the transformed function was called in."""
        state, interpret = mode.__dict__, mode.interpret
        state.update(self._around)
        try:
            yield
        finally:
            state.update(self._here)
            state["interpret"] = interpret

    def run(
        self, function: Callable[[], Any], unwrap: Callable[[Tensor], T]
    ) -> tuple[list[T], Structure]:
        """The results of `function` inside, unwrapped; no tensor from outside stays lifted."""
        before = self._enter()
        try:
            results, structure = tensors_of(RESULT, function())
        except BaseException:
            _restore(self._from_outside())
            raise
        finally:
            self._leave(before)
        found = [unwrap(x) for x in results]
        del results  # what was made inside is gone now
        there = self._from_outside()
        for x, _ in there:
            if self._is_lifted(x) and (problem := self.escaped(x)) is not None:
                _restore(there)
                raise problem
        return found, structure

    # --- what an operation does ------------------------------------------------------------------

    def __call__(self, primitive: Primitive, inputs: Inputs, attributes: Attributes) -> Any:
        state, direct = mode.__dict__, self._direct
        interpret = state["interpret"]  # which may be one that looks on
        if direct is None:
            state.update(self._around)
        else:
            state["interpret"] = direct  # where no level is outside, a rule depends on nothing else
        try:
            return self.apply(primitive, inputs, attributes)
        except ThalwegError:
            primitive.infer(*[x._value for x in inputs], **attributes)  # in the shapes seen inside
            raise
        finally:
            if direct is None:
                state.update(self._here)
            state["interpret"] = interpret

    @abstractmethod
    def apply(self, primitive: Primitive, inputs: Inputs, attributes: Attributes) -> Any:
        """The value of an operation, outside."""

    def compose(self, op: Composite, inputs: Inputs, attributes: Attributes) -> Any:
        """The value of a composite operation; its own derivative holds outside too."""
        is_mine = any(map(self.owns, inputs))
        with self.outside():
            if not is_mine:
                return compose(op, inputs, attributes)._value
            return self.apply_composite(op, inputs, attributes)

    @abstractmethod
    def apply_composite(self, op: Composite, inputs: Inputs, attributes: Attributes) -> Any:
        """As `apply`, for a composite operation on at least one value of this level."""

    # --- loops -----------------------------------------------------------------------------------

    @property
    def is_traced(self) -> bool:
        """Whether what happens here ends up in a trace."""
        trace = self.trace_outside
        return trace.is_traced if isinstance(trace, Transform) else trace is not None

    @property
    def trace_outside(self) -> Any:
        """What is told of what happens here: a trace, a level around this one, or None."""
        return self._around["trace"]

    @abstractmethod
    def opened(self, x: Tensor, is_stacked: bool, is_full: bool) -> tuple[list[Tensor], bool]:
        """The tensors outside that `x` is made of, and whether it varies: has cases, or a tangent.

        Those of a stack have the axis of rounds in front. With `is_full` there is all that there
        may be in another round.
        """

    @abstractmethod
    def closed(self, parts: Sequence[Tensor], varies: bool, is_stacked: bool) -> Tensor:
        """The tensor that is made of such parts."""

    @abstractmethod
    def again(self) -> Transform:
        """A level like this."""

    @abstractmethod
    def key(self) -> tuple[Any, ...]:
        """What levels like this have in common."""

    # --- what a trace is told, and a level -------------------------------------------------------

    def touch(self, x: Tensor) -> None:
        """The value of `x` is about to be taken, or replaced, other than by a primitive."""
        if self.owns(x):
            return
        trace = self.trace_outside
        if trace is not None:
            trace.touch(x)
        known = self._touched.get(id(x))
        if known is None or known[0]() is not x:
            state = x._value, x._node, x._requires_grad, x._grad
            self._touched[id(x)] = weakref.ref(x), state

    def guard(self, owner: Any, name: str, value: Any) -> None:
        """What is done depends on owner.name, which is no tensor and has this value."""
        trace = self.trace_outside
        if trace is not None:
            trace.guard(owner, name, value)

    def _from_outside(self) -> list[tuple[Tensor, State]]:
        """The tensors that were there before, as far as they were touched, and what they held."""
        there = [(ref(), before) for ref, before in self._touched.values()]
        self._touched.clear()
        return [(x, before) for x, before in there if x is not None]

    def _is_lifted(self, x: Tensor) -> bool:
        return self.owns(x) or (x._grad is not None and self.owns(x._grad))

    @abstractmethod
    def lifted(self, x: Tensor) -> Any:
        """A value from outside as one of this level, to be differentiated by inside."""

    @abstractmethod
    def escaped(self, x: Tensor) -> TransformError | None:
        """A tensor from outside has a value of this level: give it one of the level outside, or say
        what is wrong with that.
        """


def _restore(there: Iterable[tuple[Tensor, State]]) -> None:
    for x, (value, node, requires_grad, gradient) in there:
        x._value, x._node, x._requires_grad, x._grad = value, node, requires_grad, gradient


def alias(x: Tensor) -> Tensor:
    """Another tensor in the place of `x` on the tape: `x` itself may be lent a value that is made
    of it, as parameters of a module are by `functional_call`."""
    if mode.trace is not None:
        mode.trace.touch(x)
    y = wrap(x._value)
    y._requires_grad = x._requires_grad
    y._node = x if x._node is None and x._requires_grad else x._node  # a leaf stays the leaf
    return y


def drop(x: Tensor, outside: Callable[[Tensor], Tensor]) -> None:
    """Let `x` hold what is left of its value, and of its gradient's, outside."""
    y = outside(x)
    x._value, x._node, x._requires_grad = y._value, y._node, y._requires_grad
    if x._grad is not None:
        x._grad = outside(x._grad)
