"""Operations with a derivative of one's own: `autograd.Function`, as in PyTorch.

A function is one node on the tape. It is composed of ordinary operations, so transforms go through
it: `vmap` batches both its faces, `jvp` transposes its backward.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from thalweg.autodiff.batching import Batched, Batching
from thalweg.autodiff.levels import tensors_of
from thalweg.errors import ConfigError, GradientError, ShapeError
from thalweg.ops.creation import zeros
from thalweg.ops.joining import cat
from thalweg.primitives.core import AllOperands, broadcast_shapes
from thalweg.primitives.elementwise import unbroadcast
from thalweg.tape import Composite, TensorBase, compose, mode

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = ["Function", "FunctionCtx", "VmapInfo"]


class FunctionCtx:
    """What a `Function` hands from its forward to its backward."""

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self._saved: list[tuple[str, Any]] = []
        self._constant: list[int] = []
        self._now: dict[str, Sequence[Any]] = {}

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for backward; second derivatives go through inputs and outputs."""
        self._to_save = tensors

    save_for_forward = save_for_backward

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Outputs that no gradient goes through."""
        self._constant += [id(x) for x in tensors]

    def set_materialize_grads(self, value: bool) -> None:
        """Accepted for PyTorch's sake: a cotangent that does not arrive is always zeros."""

    def mark_dirty(self, *tensors: Tensor) -> None:
        """An error: a value is never written to."""
        raise GradientError(
            "mark_dirty: values are never written to, so a Function returns what it changes"
        )

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_backward` was given."""
        return tuple(
            place if kind == "other" else self._now[kind][place] for kind, place in self._saved
        )

    def _others(self) -> list[Tensor]:
        """Saved tensors that are neither inputs nor outputs."""
        others: list[Any] = [x for kind, x in self._saved if kind == "other" and _is_tensor(x)]
        return others

    def _settle(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        """Note which of the saved tensors are inputs, which outputs."""
        kinds = {id(x): ("output", k) for k, x in enumerate(outputs)}
        kinds |= {id(x): ("input", k) for k, x in enumerate(inputs)}
        saved = self.__dict__.pop("_to_save", ())
        self._saved = [kinds.get(id(x), ("other", x)) for x in saved]


class VmapInfo(NamedTuple):
    """What a rule for many cases is told: how many there are, and what random numbers they draw."""

    batch_size: int
    randomness: str


class Function:
    """An operation with a forward and a backward of its own.

    Define static methods `forward(ctx, *args)` and `backward(ctx, *cotangents)`, which gives a
    gradient for each argument of forward, None for what has none; or `forward(*args)` and
    `setup_context(ctx, inputs, output)`. Call `apply(*args)`. Arguments are tensors, or anything
    else; results are one tensor or a tuple. Both are made of ordinary operations, which run under
    transforms and compiled like any others. Where they are not, beside `setup_context` a static
    method `vmap(info, in_dims, *args)` may compute the results of many cases, and say along which
    dimensions they hold them: (results, out_dims). `in_dims` has the dimension of each argument's
    cases, or None; `info.batch_size` says how many there are.

    >>> import thalweg as tw
    >>> class Sign(tw.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x.sign()
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         (x,) = ctx.saved_tensors
    ...         return g * (x.abs() <= 1)  # as if it were the identity: straight through
    >>> x = tw.tensor([-2.0, 0.5], requires_grad=True)
    >>> Sign.apply(x).sum().backward()
    >>> x.grad
    tensor([0., 1.])

    Source: `torch.autograd.Function`.
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """The result. Define it in your class."""
        raise NotImplementedError("a Function defines forward as a static method")

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        """The gradients of the arguments. Define it in your class."""
        raise NotImplementedError("a Function defines backward as a static method")

    setup_context: Any = None
    vmap: Any = None

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """The function's result, on the tape as one operation."""
        places = [k for k, x in enumerate(args) if _is_tensor(x)]
        tensors: tuple[Any, ...] = tuple(args[k] for k in places)
        ctx = FunctionCtx(tuple(_needs(x) for x in args))
        call = _Call(cls, ctx, args, places)
        if not tensors:
            return call.run(args)
        op = Composite(cls.__name__, AllOperands(call.cotangents), call.forward, ctx._others)
        return call.results(compose(op, tensors, {}))


def _is_tensor(x: Any) -> bool:
    return isinstance(x, TensorBase)


def _has_cases(x: Any, level: Any) -> bool:
    """Whether `x` is a tensor with a value for each case of the innermost transform."""
    value = getattr(x, "_value", None)
    return isinstance(value, Batched) and value.level is level and value.has_cases


def _needs(x: Any) -> bool:
    """Inside a transform, something outside may want what the tape here does not."""
    if not isinstance(x, TensorBase) or x._value.dtype.kind != "f":
        return False
    return x._requires_grad or mode.level is not None


class _Call:
    """One call of a function. Its differentiable results stand in one tensor, if they are several,
    one after the other: a node on the tape has one result.
    """

    def __init__(self, cls: Any, ctx: FunctionCtx, args: Sequence[Any], places: list[int]) -> None:
        self.cls, self.ctx, self.args, self.places = cls, ctx, list(args), places
        self.outputs: list[Any] = []  # until they are given to the caller
        self.kinds: list[tuple[tuple[int, ...], Any]] = []  # their shapes and dtypes
        self.joined: list[int] = []  # which outputs are differentiable
        self.is_tuple = False

    def filled(self, tensors: Sequence[Tensor]) -> list[Any]:
        """The arguments, with these tensors."""
        args = list(self.args)
        for k, x in zip(self.places, tensors, strict=True):
            args[k] = x
        return args

    def run(self, args: Sequence[Any]) -> Any:
        """What forward gives."""
        if self.cls.setup_context is None:
            return self.cls.forward(self.ctx, *args)
        level: Any = mode.level
        dims = tuple(0 if _has_cases(x, level) else None for x in args)
        is_ruled = self.cls.vmap is not None and 0 in dims
        result = self._of_many(level, args, dims) if is_ruled else self.cls.forward(*args)
        self.cls.setup_context(self.ctx, tuple(args), result)
        return result

    def _of_many(self, level: Batching, args: Sequence[Any], dims: tuple[int | None, ...]) -> Any:
        """What the rule of the class gives for all cases at once."""
        name = f"{self.cls.__name__}.vmap"
        info = VmapInfo(level.size, level.randomness)
        with level.outside():
            given = [x._value.tensor if _is_tensor(x) and level.owns(x) else x for x in args]
            found = self.cls.vmap(info, dims, *given)
            if not isinstance(found, tuple) or len(found) != 2:
                raise ConfigError(f"{name} gives a pair (results, out_dims), got {found!r:.80}")
            results, structure = tensors_of(name, found[0])
            places = found[1] if isinstance(found[1], tuple) else (found[1],) * len(results)
            pairs = [
                (y if dim is None else y.movedim(dim, 0), dim is not None)
                for y, dim in zip(results, places, strict=True)
            ]
        return structure.build([level.closed([y], varies, False) for y, varies in pairs])

    def forward(self, *tensors: Tensor) -> Tensor:
        """The differentiable results as one tensor."""
        args = self.filled(tensors)
        result = self.run(args)
        self.is_tuple = isinstance(result, tuple)
        self.outputs = list(result) if self.is_tuple else [result]
        if not all(isinstance(y, TensorBase) for y in self.outputs):
            raise ConfigError(f"{self.cls.__name__}.forward gives a tensor or a tuple of tensors")
        self.ctx._settle(args, self.outputs)
        self.joined = [
            k
            for k, y in enumerate(self.outputs)
            if y._value.dtype.kind == "f" and id(y) not in self.ctx._constant
        ]
        self.kinds = [(tuple(y._value.shape), y.dtype) for y in self.outputs]
        self.args = [None if isinstance(x, TensorBase) else x for x in self.args]
        live = [self.outputs[k] for k in self.joined]
        if len({y._value.dtype for y in live}) > 1:
            raise ConfigError(
                f"{self.cls.__name__}: results of one floating type expected, got "
                f"{', '.join(repr(y.dtype) for y in live)}"
            )
        if len(live) == 1:
            only: Tensor = live[0]
            return only.clone() if any(only is x for x in tensors) else only
        return cat([y.flatten() for y in live]) if live else self.outputs[0].detach()

    def parts(self, joint: Tensor) -> list[Tensor]:
        """The tensors that stand in a joint one."""
        shapes = [self.kinds[k][0] for k in self.joined]
        if len(shapes) == 1:
            return [joint]
        found, start = [], 0
        for shape in shapes:
            size = math.prod(shape)
            found.append(joint.narrow(0, start, size).reshape(shape))
            start += size
        return found

    def results(self, joint: Tensor) -> Any:
        """What forward gave, connected to the tape."""
        found = [y.detach() for y in self.outputs]
        for k, y in zip(self.joined, self.parts(joint) if self.joined else [], strict=True):
            found[k] = y
        self.outputs = []
        return tuple(found) if self.is_tuple else found[0]

    def cotangents(self, g: Tensor, out: Tensor, *operands: Tensor) -> list[Tensor | None]:
        """What backward gives, for the arguments that are tensors."""
        ctx = self.ctx
        whole: list[Any] = [zeros(shape, dtype=dtype) for shape, dtype in self.kinds]
        values: list[Any] = list(whole)
        for k, y, v in zip(self.joined, self.parts(g), self.parts(out), strict=True):
            whole[k], values[k] = y, v
        ctx._now = {"input": self.filled(operands), "output": values}
        found = self.cls.backward(ctx, *whole)
        ctx._now = {}
        found = list(found) if isinstance(found, tuple | list) else [found]
        if len(found) != len(self.args):
            raise GradientError(
                f"{self.cls.__name__}.backward gives {len(found)} gradients for {len(self.args)} "
                "arguments of forward; give one for each, None for what has none"
            )
        pairs = zip(self.places, operands, strict=True)
        return [self._fitting(k, found[k], x) for k, x in pairs]

    def _fitting(self, number: int, g: Tensor | None, x: Tensor) -> Tensor | None:
        """The gradient of an argument in its shape: summed over what broadcasting repeated."""
        if g is None or g._value.shape == x._value.shape:
            return g
        try:
            fits = broadcast_shapes("", g._value.shape, x._value.shape) == g._value.shape
        except ShapeError:
            fits = False
        if not fits:
            raise ShapeError(
                f"{self.cls.__name__}.backward: the gradient of argument {number} has shape "
                f"{tuple(g._value.shape)}, expected {tuple(x._value.shape)}"
            )
        result: Tensor = unbroadcast(g, x)
        return result
