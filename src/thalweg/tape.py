"""The one door every operation goes through, and the tape it leaves behind.

`bind(primitive, *inputs, **attributes)` gives the primitive's values to the interpreter in
force (NumPy, or a trace) and, where a gradient is wanted, adds a node to the tape. Nothing
else in the tree asks which mode it is in.

A node is what the decks call an expression node: the value, the operation, the values it was
computed from, and back-pointers to the nodes those came from. Leaves, the tensors on which
`requires_grad` was set, are pointed to directly.
"""

from __future__ import annotations

import contextvars
import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeAlias, TypeVar

import numpy as np

from thalweg.errors import DTypeError, ThalwegError, TraceError, TransformError
from thalweg.primitives.core import VJP, Primitive, Rule

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = [
    "Attributes",
    "Composite",
    "ESCAPED",
    "Inputs",
    "Level",
    "Lifted",
    "Node",
    "TensorBase",
    "TraceNotes",
    "bind",
    "compose",
    "composite",
    "concretely",
    "enable_grad",
    "inference_mode",
    "is_grad_enabled",
    "mode",
    "no_grad",
    "no_trace_here",
    "not_a_tensor",
    "set_grad_enabled",
    "tracing",
    "wrap",
]

P = ParamSpec("P")
R = TypeVar("R")
_ndarray = np.ndarray
ESCAPED = (
    "a value of a trace that has ended was used. Return it from the compiled function, or assign "
    "it to a tensor that was there before (x.copy_(y))"
)
_created = itertools.count()


Inputs: TypeAlias = "tuple[Tensor, ...]"
Attributes = dict[str, Any]
# Gives the value of primitive(*inputs, **attributes): an array, or a variable of a trace.
Interpreter = Callable[[Primitive, Inputs, Attributes], Any]


def _numpy_interpreter() -> Interpreter:
    """Eager evaluation with NumPy, silent about overflow and 0/0: they give inf and NaN.

    NumPy keeps that setting in a context variable. A context of our own costs a tenth of
    `np.errstate`, and leaves the user's setting alone.
    """
    context = contextvars.copy_context()
    context.run(np.seterr, all="ignore")
    run = context.run

    def evaluate(primitive: Primitive, inputs: Inputs, attributes: Attributes) -> Any:
        match inputs:  # the usual numbers of operands, without a list of them
            case (x,):
                out = run(primitive.evaluate, x._value, **attributes)
            case (x, y):
                out = run(primitive.evaluate, x._value, y._value, **attributes)
            case _:
                out = run(primitive.evaluate, *[x._value for x in inputs], **attributes)
        return out if out.__class__ is _ndarray else np.asarray(out)

    return evaluate


class TraceNotes(Protocol):
    """What a trace is told, beside the primitives: by those who change or depend on the world."""

    def touch(self, x: Tensor) -> None:
        """The value of `x` is about to be taken, or replaced, other than by a primitive."""

    def guard(self, owner: Any, name: str, value: Any) -> None:
        """What is done depends on owner.name, which is no tensor and has this value."""


class Lifted:
    """A value inside a function transform, as the transformed function sees it.

    It has a shape and a dtype, and holds tensors of the level outside: many cases, or a value and
    its tangent. The tape outside goes through those.
    """

    __slots__ = ("dtype", "level", "shape")

    shape: tuple[int, ...]
    dtype: Any
    level: Any  # the transform that it is a value of

    def tensors(self) -> tuple[Tensor, ...]:
        """What it holds, of the level outside."""
        raise NotImplementedError

    def concrete(self, what: str) -> Any:
        """The array that `what` needs now, or an error."""
        raise NotImplementedError

    def detached(self) -> Any:
        """The value that no derivative goes through."""
        raise NotImplementedError

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TransformError(
            "a value was used outside of the vmap, jvp or other transform that it belongs to: it "
            "escaped through an attribute or a global. Return it instead"
        )


class Level(Protocol):
    """A function transform in force, as the door sees it; it interprets primitives too."""

    records: bool  # whether the tape was on where the transformed function was called

    def owns(self, x: Tensor) -> bool:
        """Whether the value of `x` is of this level."""

    def lifted(self, x: Tensor) -> Any:
        """A value from outside as one of this level, to be differentiated by inside."""

    def compose(self, op: Composite, inputs: Inputs, attributes: Attributes) -> Any:
        """The value of a composite operation on this level's values."""


class _Mode(threading.local):
    """What holds in this thread: whether the tape records, and who interprets primitives."""

    def __init__(self) -> None:
        self.grad = True
        self.interpret = _numpy_interpreter()
        self.trace: TraceNotes | None = None  # while a function is traced
        self.watched = False  # each value is looked at as it comes: nothing runs natively
        self.recorded = False  # what happens is differentiated by a function transform
        self.level: Level | None = None  # the innermost function transform
        self.written: Callable[[Tensor], None] | None = None  # told of assignments to tensors
        self.cases = 1  # how many cases draw random numbers of their own


mode = _Mode()

# Held while a function is traced: its tensors hold variables then, and other threads wait.
tracing = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=tracing.acquire, after_in_parent=tracing.release, after_in_child=tracing.release
    )


def no_trace_here() -> bool:
    """Whether this thread traces nothing; then it waits until no other thread does."""
    if mode.trace is not None:
        return False
    with tracing:
        return True


@contextmanager
def concretely() -> Iterator[None]:
    """What is computed in this block has a value, also while a function is traced.

    So new state can be made when a traced step finds that it needs some: the program captures it,
    as it does all state. A value of the trace is of no use in the block but for its shape.
    """
    before = mode.interpret, mode.trace
    mode.interpret, mode.trace = _numpy_interpreter(), None
    try:
        yield
    finally:
        mode.interpret, mode.trace = before


class TensorBase:
    """What a tensor holds, without its operations."""

    __slots__ = ("__weakref__", "_grad", "_hooks", "_node", "_requires_grad", "_value")

    _value: Any  # an array that nobody writes to, or a traced variable
    _node: Node | Tensor | None  # where it came from: a recorded operation, or a leaf
    _requires_grad: bool
    _grad: Tensor | None
    _hooks: list[Callable[[Tensor], Tensor | None]]  # a leaf's, once it has any

    @property
    def grad(self) -> Tensor | None:
        """The gradient that `backward` has added up, or None."""
        if mode.trace is not None:
            mode.trace.touch(self)  # type: ignore[arg-type]  # every TensorBase is a Tensor
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if mode.trace is not None:
            mode.trace.touch(self)  # type: ignore[arg-type]  # every TensorBase is a Tensor
        self._grad = value


class Composite:
    """An operation composed of primitives with a VJP of its own: on the tape, not in the table.

    function   what it does; None where its results are there already
    held       gives the tensors that its rules read beside their operands; where it is None,
               function and rules are of their operands alone
    """

    __slots__ = ("function", "held", "name", "vjp")

    def __init__(
        self,
        name: str,
        vjp: VJP,
        function: Callable[..., Tensor] | None = None,
        held: Callable[[], Sequence[Tensor]] | None = None,
    ) -> None:
        self.name = name
        self.vjp = vjp
        self.function: Any = function
        self.held = held

    def __repr__(self) -> str:
        return self.name


class Node:
    """One recorded operation. `index` counts up in order of creation: a topological order.

    Backward sets `values` to None as it passes, which frees what the node held.
    """

    __slots__ = ("__weakref__", "attributes", "hooks", "index", "op", "output", "parents", "values")

    def __init__(
        self,
        op: Primitive | Composite,
        inputs: Inputs,
        output: Any,
        attributes: Attributes,
    ) -> None:
        self.op = op
        self.values: list[Any] | None = []
        # A parent is the node a value came from, or the leaf that it is.
        self.parents: list[Node | Tensor | None] = []
        for x in inputs:
            self.values.append(x._value)
            self.parents.append((x if x._node is None else x._node) if x._requires_grad else None)
        self.output = output
        self.attributes = attributes
        self.index = next(_created)
        self.hooks: list[Callable[[Tensor], Tensor | None]] | None = None

    @property
    def name(self) -> str:
        """What the graph prints: the operation's name."""
        return self.op.name

    def __repr__(self) -> str:
        return f"<Node {self.index}: {self.name}>"


def wrap(value: Any) -> Tensor:
    """A tensor of `value` (an array nobody else writes to, or a traced variable), off the tape."""
    tensor: Tensor = _new(_tensor_class)
    tensor._value = value
    tensor._node = None
    tensor._requires_grad = False
    tensor._grad = None
    return tensor


def bind(primitive: Primitive, *inputs: Tensor, **attributes: Any) -> Tensor:
    """Apply `primitive`: evaluate or trace it, and record it where a gradient is wanted."""
    here = mode.__dict__
    try:
        value = here["interpret"](primitive, inputs, attributes)
    except (ThalwegError, AttributeError, ValueError, TypeError, IndexError) as error:
        if not _has_waited(inputs):
            if not isinstance(error, ThalwegError):
                _explain(primitive, inputs, attributes)
            raise
        value = mode.interpret(primitive, inputs, attributes)
    out: Tensor = _new(_tensor_class)
    out._value = value
    out._grad = None
    if here["grad"] and primitive.vjp is not None:
        for x in inputs:
            if x._requires_grad and value.dtype.kind in "fV":  # V: storage
                out._node = Node(primitive, inputs, value, attributes)
                out._requires_grad = True
                return out
    out._node = None
    out._requires_grad = False
    return out


def _has_waited(inputs: Inputs) -> bool:
    """Whether all inputs have values now that another thread's trace is over."""
    held = [getattr(x, "_value", None) for x in inputs]
    if all(isinstance(x, np.ndarray) for x in held) or not no_trace_here():
        return False
    return all(isinstance(getattr(x, "_value", None), np.ndarray) for x in inputs)


def _explain(primitive: Primitive, inputs: Inputs, attributes: Attributes) -> None:
    """Let the shape rule say in our words what NumPy found wrong."""
    if not all(isinstance(x, TensorBase) for x in inputs):
        raise not_a_tensor(primitive.name, *inputs) from None
    for x in inputs:
        if isinstance(x._value, Lifted) and mode.level is None:
            x._value.__array__()
        if not isinstance(x._value, np.ndarray | Lifted):
            raise TraceError(f"{primitive.name}: {ESCAPED}") from None
    try:
        primitive.infer(*[x._value for x in inputs], **attributes)
    except ThalwegError as error:
        raise error from None


def not_a_tensor(name: str, *operands: Any) -> DTypeError:
    """The error for the first of `operands` that is no tensor."""
    odd = next(x for x in operands if not isinstance(x, TensorBase))
    given = f"a NumPy array of shape {odd.shape}" if isinstance(odd, np.ndarray) else repr(odd)[:40]
    return DTypeError(f"{name}: a tensor is expected, got {given}; make one with tw.tensor(...)")


def compose(op: Composite, inputs: Inputs, attributes: Attributes) -> Tensor:
    """Apply the function of `op`, whose derivative is that of `op`: one node on the tape."""
    try:
        recorded = mode.grad and True in [x._requires_grad for x in inputs]
    except AttributeError:
        raise not_a_tensor(op.name, *inputs) from None
    if mode.level is not None:
        value = mode.level.compose(op, inputs, attributes)
    elif not recorded:
        return op.function(*inputs, **attributes)  # type: ignore[no-any-return]  # a tensor
    else:
        mode.grad = False
        try:
            value = op.function(*inputs, **attributes)._value
        finally:
            mode.grad = True
    out = wrap(value)
    if recorded:
        out._node = Node(op, inputs, value, attributes)
        out._requires_grad = True
    return out


def composite(name: str, *vjp: Rule | None) -> Callable[[Callable[P, Tensor]], Callable[P, Tensor]]:
    """Declare a hand-written VJP for a function composed of primitives.

    The function's positional arguments are tensors, its keyword arguments attributes, and
    `vjp` holds one rule an argument, as in the op table. Used where the composed derivative is
    numerically worse or asks for much more work; the function itself stays what is traced.
    """

    def decorate(function: Callable[P, Tensor]) -> Callable[P, Tensor]:
        op = Composite(name, vjp, function)

        @wraps(function)
        def call(*inputs: Any, **attributes: Any) -> Tensor:
            return compose(op, inputs, attributes)

        return call

    return decorate


class _GradMode:
    """Recording on or off, as a context manager or a function decorator."""

    enabled: bool

    def __init__(self) -> None:
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(mode.grad)
        mode.grad = self.enabled

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        mode.grad = self._before.pop()

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            before, mode.grad = mode.grad, self.enabled
            try:
                return function(*args, **kwargs)
            finally:
                mode.grad = before

        return call


class no_grad(_GradMode):
    """Record nothing: results computed inside do not require a gradient.

    >>> import thalweg as tw
    >>> w = tw.tensor(1.0, requires_grad=True)
    >>> with tw.no_grad():
    ...     w -= 0.25
    >>> w
    tensor(0.7500, requires_grad=True)
    """

    enabled = False


class inference_mode(_GradMode):
    """`no_grad`, under the name that evaluation code gives it; `inference_mode(False)` records."""

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self.enabled = not mode


class enable_grad(_GradMode):
    """Record again inside a `no_grad` block."""

    enabled = True


class set_grad_enabled(_GradMode):
    """Turn recording on or off from here on, or, in a `with`, for the block.

    >>> import thalweg as tw
    >>> x = tw.tensor(2.0, requires_grad=True)
    >>> with tw.set_grad_enabled(False):
    ...     (x * x).requires_grad
    False
    """

    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled
        self._before = [mode.grad]
        mode.grad = enabled

    def __enter__(self) -> None:
        mode.grad = self.enabled


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread."""
    return mode.grad


_new = object.__new__
# The class of results. `thalweg._tensor`, which builds it on the operations, fills it in.
_tensor_class: Any = None
