"""Batching: `vmap` makes a function of one case a function of many, without a loop.

Inside, a tensor that has cases holds `Batched`: a tensor of the level outside with the axis of
cases in front. Each operation is applied once, by the batching rule of its row in the op table, or
by what that rule has done to operands of the same shapes before. One case is the function itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

from thalweg.autodiff.levels import RESULT, Transform, application, drop, tensors_of
from thalweg.autodiff.plans import Plan, learned
from thalweg.compiler.tracing.structure import Structure, flatten
from thalweg.errors import ConfigError, ShapeError, TransformError
from thalweg.ops.joining import cat
from thalweg.primitives.core import (
    AllOperands,
    AnyOperand,
    Primitive,
    Rule,
    normalize_axis,
)
from thalweg.primitives.movement import reshape
from thalweg.primitives.sources import blocks, random_bits
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

__all__ = ["Batched", "Batching", "vmap"]

_RANDOMNESS = ("error", "different", "same")
_plans: dict[Any, Plan] = {}


class Batched(Lifted):
    """Many cases of a value: `tensor` of the level outside has them along its first axis.

    Or, without `has_cases`, one value for all of them, which something inside is differentiated by.
    """

    __slots__ = ("has_cases", "tensor")

    def __init__(self, level: Batching, tensor: Tensor, has_cases: bool = True) -> None:
        self.level, self.tensor, self.has_cases = level, tensor, has_cases
        shape = tensor._value.shape
        self.shape = shape[1:] if has_cases else shape
        self.dtype = tensor._value.dtype

    def tensors(self) -> tuple[Tensor, ...]:
        """All cases."""
        return (self.tensor,)

    def concrete(self, what: str) -> Any:
        """The array, where it is the same for all cases."""
        if not self.has_cases:
            return self.tensor._concrete(what)
        raise TransformError(
            f"{what} inside vmap needs one value, and there are {self.level.size}: one for each "
            "case. Use tw.where instead of a Python branch, or leave this outside of vmap"
        )

    def detached(self) -> Any:
        """The same cases, off the tape outside."""
        return Batched(self.level, self.tensor.detach(), self.has_cases)

    def __repr__(self) -> str:
        return f"<{self.level.size} cases of {self.dtype} {self.shape}>"


class Batching(Transform):
    """The level of one `vmap`: `size` cases, along a first axis."""

    def __init__(self, size: int, randomness: str) -> None:
        super().__init__()
        self.size, self.randomness = size, randomness
        self.cases = size if randomness == "different" else 1

    def wrap(self, x: Tensor) -> Tensor:
        """What the function sees of `x`, whose first axis is that of cases."""
        return wrap(Batched(self, x))

    def unwrap(self, x: Tensor) -> Tensor:
        """The tensor outside, with the axis of cases in front."""
        if self.owns(x):
            value: Batched = x._value
            if value.has_cases:
                return value.tensor
            x = value.tensor
        return x.expand((self.size, *x._value.shape))

    def lifted(self, x: Tensor) -> Any:
        """A value from outside as one of this level."""
        return Batched(self, x, has_cases=False)

    def opened(self, x: Tensor, is_stacked: bool, is_full: bool) -> tuple[list[Tensor], bool]:
        """All cases, in front or behind the rounds; or the one value for all of them."""
        has_cases = self.owns(x) and x._value.has_cases
        if not has_cases and not is_full:
            return [x._value.tensor if self.owns(x) else x], False
        cases = self.unwrap(x)
        return [cases.movedim(0, 1) if is_stacked else cases], True

    def closed(self, parts: Sequence[Tensor], varies: bool, is_stacked: bool) -> Tensor:
        """The tensor of these cases, or of the one value for all."""
        if not varies:
            return wrap(self.lifted(parts[0]))
        return self.wrap(parts[0].movedim(1, 0) if is_stacked else parts[0])

    def again(self) -> Batching:
        """A level of as many cases."""
        return type(self)(self.size, self.randomness)

    def key(self) -> tuple[Any, ...]:
        """How many cases there are, and what random numbers they draw."""
        return type(self), self.size, self.randomness

    def _parts(self, inputs: Sequence[Tensor]) -> tuple[bool, list[Tensor], list[bool]]:
        """Whether any is of this level, the tensors outside, and which of them have cases."""
        is_mine, tensors, cases = False, [], []
        for x in inputs:
            value = x._value
            if value.__class__ is Batched and value.level is self:
                is_mine = True
                tensors.append(value.tensor)
                cases.append(value.has_cases)
            else:
                tensors.append(x)
                cases.append(False)
        return is_mine, tensors, cases

    def _check_draws(self) -> None:
        if self.randomness == "error":
            raise TransformError(
                "random numbers inside vmap: are they to be the same for all cases, or different? "
                'Say vmap(f, randomness="same") or "different", or draw them outside'
            )

    def _drawn(self, key: Tensor, counter: Tensor, *, shape: tuple[int, ...]) -> Any:
        """Random numbers for each case: those that a loop over the cases would draw."""
        self._check_draws()
        count = math.prod(shape)
        bits = bind(random_bits, key, counter, shape=(self.size, 4 * blocks(count)))
        return Batched(self, bits.narrow(1, 0, count).reshape((self.size, *shape)))

    def __call__(self, primitive: Primitive, inputs: Inputs, attributes: Attributes) -> Any:
        """As `apply`, or by a plan, where nothing outside is another level or a trace.

        Once for every operation: so it is one loop, and does nothing twice.
        """
        outside = self._direct
        if outside is None or self._around["trace"] is not None:
            return super().__call__(primitive, inputs, attributes)
        held: list[Tensor] = []
        key: list[Any] = [primitive]
        is_recorded = False
        for x in inputs:
            value = x._value
            if value.__class__ is Batched and value.level is self:
                x = value.tensor
                key.append(value.has_cases)
            else:
                key.append(None)
            is_recorded |= x._requires_grad
            key.append(x._value.shape)
            held.append(x)
        if True not in key:
            is_here = False in key or is_recorded or primitive is random_bits
            return (super().__call__ if is_here else outside)(primitive, inputs, attributes)
        if attributes:
            key.append(tuple(attributes.items()))
        try:
            known = tuple(key)
            plan = _plans.get(known) or self._learned(known, primitive, inputs, attributes)
            if plan.is_known:
                apply = self._recorded if is_recorded else self._unrecorded
                operands = tuple(held) if plan.is_straight else plan.applied_to(apply, held)
                given = attributes | plan.changed if plan.changed else attributes
                return Batched(self, apply(primitive, operands, given))
        except Exception:  # which `apply` says more about
            pass
        return super().__call__(primitive, inputs, attributes)

    def _unrecorded(self, primitive: Primitive, inputs: Inputs, attributes: Attributes) -> Tensor:
        """An operation outside, on nothing that requires a gradient."""
        return wrap(self._direct(primitive, inputs, attributes))

    def _recorded(self, primitive: Primitive, inputs: Inputs, attributes: Attributes) -> Tensor:
        """An operation outside, on the tape."""
        here = mode.__dict__
        inside = here["interpret"]
        here["interpret"] = self._direct
        try:
            return bind(primitive, *inputs, **attributes)
        finally:
            here["interpret"] = inside

    def _learned(
        self, key: Any, primitive: Primitive, inputs: Inputs, attributes: Attributes
    ) -> Plan:
        """What the batching rule does to operands and with attributes like these."""
        if len(_plans) >= 4096:
            _plans.clear()
        _, held, cases = self._parts(inputs)
        with self.outside():
            plan = learned(primitive, self.size, cases, held, attributes)
        return _plans.setdefault(key, plan)

    def apply(self, primitive: Primitive, inputs: Inputs, attributes: Attributes) -> Any:
        """All cases at once, by the batching rule."""
        is_mine, tensors, cases = self._parts(inputs)
        if True not in cases:
            if primitive is random_bits and self.randomness != "same":
                return self._drawn(*tensors, **attributes)
            if not is_mine:
                return mode.interpret(primitive, inputs, attributes)
            return Batched(self, bind(primitive, *tensors, **attributes), has_cases=False)
        if primitive.batch is None:
            raise TransformError(
                f"{primitive.name} has no batching rule for these operands: it cannot be used on "
                "cases of a vmap. Compute it outside, or loop over the cases"
            )
        apply = application(primitive)
        return Batched(self, primitive.batch(apply, self.size, cases, *tensors, **attributes))

    # --- composite operations --------------------------------------------------------------------

    def compose(self, op: Composite, inputs: Inputs, attributes: Attributes) -> Any:
        """Where nothing outside is differentiated, nobody asks for the derivative of all cases."""
        if self._around["level"] is not None or (
            mode.grad and True in [x._requires_grad for x in self._parts(inputs)[1]]
        ):
            return super().compose(op, inputs, attributes)
        before, mode.grad = mode.grad, False
        try:
            return op.function(*inputs, **attributes)._value
        finally:
            mode.grad = before

    def apply_composite(self, op: Composite, inputs: Inputs, attributes: Attributes) -> Any:
        """The operation of all cases is a composite one too: its rules are batched likewise."""
        _, tensors, cases = self._parts(inputs)
        if True not in cases:
            return Batched(self, compose(op, tuple(tensors), attributes), False)

        def batched(*operands: Tensor, **attributes: Any) -> Tensor:
            with self.inside():
                result = op.function(*self._seen_of(operands, cases), **attributes)
            return self.unwrap(result)

        held = None if op.held is None else lambda: self._held(op)
        rules = Composite(op.name, self._vjp(op.vjp, cases), batched, held)
        return Batched(self, compose(rules, tuple(tensors), attributes))

    def _held(self, op: Composite) -> Sequence[Tensor]:
        held = () if op.held is None else op.held()
        return [y for x in held for y in (x._value.tensors() if self.owns(x) else (x,))]

    def _seen_of(self, tensors: Sequence[Tensor], cases: Sequence[bool]) -> list[Tensor]:
        return [self.wrap(x) if has else x for x, has in zip(tensors, cases, strict=True)]

    def _vjp(self, vjp: Any, cases: Sequence[bool]) -> Any:
        """The VJP column of many cases."""
        if isinstance(vjp, AllOperands):
            return AllOperands(self._all_cotangents(vjp.rule, cases))
        if isinstance(vjp, AnyOperand):
            return AnyOperand(
                lambda k, *given, **attributes: self._cotangent(vjp[k], cases, k)(
                    *given, **attributes
                )
            )
        return tuple(
            None if rule is None else self._cotangent(rule, cases, k) for k, rule in enumerate(vjp)
        )

    def _cotangent(self, rule: Rule, cases: Sequence[bool], position: int) -> Rule:
        def batched(g: Tensor, out: Tensor, *operands: Tensor, **attributes: Any) -> Tensor:
            with self.inside():
                seen = self._seen_of((g, out, *operands), (True, True, *cases))
                found = rule(*seen, **attributes)
            return self._gathered(found, cases[position])

        return batched

    def _all_cotangents(self, rule: Rule, cases: Sequence[bool]) -> Rule:
        def batched(g: Tensor, out: Tensor, *operands: Tensor, **attributes: Any) -> list[Any]:
            with self.inside():
                seen = self._seen_of((g, out, *operands), (True, True, *cases))
                found = rule(*seen, **attributes)
            pairs = zip(found, cases, strict=True)
            return [None if x is None else self._gathered(x, mine) for x, mine in pairs]

        return batched

    def _gathered(self, cotangent: Tensor, is_batched: bool) -> Tensor:
        """The cotangent of an operand: of each case, or, if all cases share it, their sum."""
        found = self.unwrap(cotangent)
        return found if is_batched else found.sum(0)

    def escaped(self, x: Tensor) -> TransformError | None:
        """A tensor from outside cannot hold a value for each case."""
        gradient = x._grad
        values = [y._value for y in (x, gradient) if y is not None and self.owns(y)]
        if not any(value.has_cases for value in values):
            drop(x, lambda y: y._value.tensor if self.owns(y) else y)
            return None
        return TransformError(
            f"inside vmap a tensor of shape {tuple(x._value.shape)} from outside was given a value "
            "(or a .grad) that differs from case to case. Return the value instead, or detach it "
            "and reduce it over the cases outside. If it is running statistics of a norm: eval() "
            "leaves them as they are, and with track_running_stats=False there are none"
        )


# --- the transform -------------------------------------------------------------------------------


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """The function of many cases that a function of one case is: y[k] = func(x[k]), at once.

    `in_dims` says which dimension of each argument holds the cases, None that it is the same for
    all of them: an int for all arguments, or a tuple with an entry for each, which for nested
    arguments may itself be nested. Keyword arguments are the same for all cases. `out_dims` says
    where the results are to hold them. With `chunk_size` so many cases are computed at a time.

    `randomness`: whether random numbers drawn inside are an "error", "same" for all cases, or
    "different": those that a loop over the cases would draw.

    Of one case it is the function itself: there is one value, and what asks for it has it.

    >>> import thalweg as tw
    >>> a, b = tw.tensor([[1.0, 2.0], [3.0, 4.0]]), tw.tensor([10.0, 100.0])
    >>> tw.func.vmap(tw.dot, in_dims=(0, None))(a, b)
    tensor([210., 430.])

    A gradient for each sample of a batch is vmap of grad:

    >>> loss = lambda w, x: (w * x).sum() ** 2
    >>> tw.func.vmap(tw.func.grad(loss), in_dims=(None, 0))(b, a)
    tensor([[ 420.,  840.],
            [2580., 3440.]])

    Raises `ShapeError` where arguments differ in their number of cases, `ConfigError` for an
    option that does not fit, `TransformError` for what cannot be done for many cases at once:
    `.item()` and branches on values, writing to tensors from outside, random numbers unless one
    says which.

    Source: `torch.func.vmap`.
    """
    if randomness not in _RANDOMNESS:
        raise ConfigError(f"vmap: randomness is one of {_RANDOMNESS}, got {randomness!r}")
    if chunk_size is not None and chunk_size < 1:
        raise ConfigError(f"vmap: chunk_size is a positive int or None, got {chunk_size!r}")

    @wraps(func)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        leaves, structure = flatten((args, kwargs))
        dims = _dims_of_arguments(in_dims, args, kwargs, leaves)
        size = _size(leaves, dims)
        given = [x.movedim(d, 0) if d else x for x, d in zip(leaves, dims, strict=True)]

        def call(*leaves: Any) -> Any:
            args, kwargs = structure.build(leaves)
            return func(*args, **kwargs)

        if size == 1:
            found, inner = tensors_of(RESULT, call(*_each(_only, given, dims)))
            results = [bind(reshape, x, shape=(1, *x._value.shape)) for x in found]
        elif chunk_size is None or size <= chunk_size:
            results, inner = _mapped(call, given, dims, Batching(size, randomness))
        else:
            parts = []
            for start in range(0, size, chunk_size):
                count = min(chunk_size, size - start)
                some = _each(lambda x: x.narrow(0, start, count), given, dims)  # noqa: B023 (used at once)
                part, inner = _mapped(call, some, dims, Batching(count, randomness))
                parts.append(part)
            results = [cat(column) for column in zip(*parts, strict=True)]
        return inner.build(_placed(results, inner, out_dims))

    return mapped


def _mapped(
    call: Callable[..., Any], given: Sequence[Any], dims: Sequence[int | None], level: Batching
) -> tuple[list[Tensor], Structure]:
    """The results of the cases in front of what is given; so are these."""
    seen = _each(level.wrap, given, dims)
    found, inner = level.run(lambda: call(*seen), level.unwrap)
    return (found if mode.grad else [x.detach() for x in found]), inner


def _each(
    function: Callable[[Tensor], Tensor], given: Sequence[Any], dims: Sequence[int | None]
) -> list[Any]:
    """What is given, with the function of what has cases."""
    return [x if d is None else function(x) for x, d in zip(given, dims, strict=True)]


def _only(x: Tensor) -> Tensor:
    """The one case there is."""
    return bind(reshape, x, shape=x._value.shape[1:])


def _dims_of_arguments(
    in_dims: Any, args: Any, kwargs: Any, leaves: Sequence[Any]
) -> list[int | None]:
    """The dimension of cases of each leaf: first those of positional arguments, then the others."""
    if isinstance(in_dims, tuple | list):
        if len(in_dims) != len(args):
            raise ConfigError(
                f"vmap: in_dims has {len(in_dims)} entries for {len(args)} arguments; expected one "
                "for each, or one int for all"
            )
        in_dims = tuple(in_dims)
    if in_dims.__class__ is int and not kwargs:
        found: list[int | None] = [in_dims] * len(leaves)
    else:
        found = _spread(in_dims, args, "in_dims")
        found += [None] * (len(leaves) - len(found))
    for position, (x, dim) in enumerate(zip(leaves, found, strict=True)):
        if not isinstance(x, TensorBase):
            if dim is not None and in_dims != 0:
                raise not_a_tensor(f"vmap: an argument with in_dims {dim}", x)
            if dim is not None:
                raise not_a_tensor("vmap: an argument without in_dims None", x)
        elif dim is not None:
            rank = len(x._value.shape)
            found[position] = dim if 0 <= dim < rank else normalize_axis("vmap: in_dims", dim, rank)
    return found


def _spread(dims: Any, value: Any, name: str) -> list[int | None]:
    """A dimension for each leaf of `value`, of which `dims` may have the upper structure only."""
    if dims is None or (isinstance(dims, int) and not isinstance(dims, bool)):
        return [dims] * len(flatten(value)[0])
    if isinstance(dims, dict) and isinstance(value, dict) and dims.keys() == value.keys():
        return [d for key, part in value.items() for d in _spread(dims[key], part, name)]
    is_list = isinstance(dims, tuple | list) and isinstance(value, tuple | list)
    if is_list and len(dims) == len(value):
        return [d for e, part in zip(dims, value, strict=True) for d in _spread(e, part, name)]
    raise ConfigError(
        f"vmap: {name} is an int, None, or of the structure of what it describes; got {dims!r} "
        f"for {type(value).__name__}"
    )


def _size(leaves: Sequence[Any], dims: Sequence[int | None]) -> int:
    given = [(x, d) for x, d in zip(leaves, dims, strict=True) if d is not None]
    if not given:
        raise ConfigError("vmap: no argument has cases: at least one in_dims must not be None")
    sizes: list[int] = [x._value.shape[d] for x, d in given]
    if sizes.count(sizes[0]) != len(sizes):
        shapes = ", ".join(f"{tuple(x.shape)} in dimension {d}" for x, d in given)
        raise ShapeError(f"vmap: arguments with {sizes} cases: one number expected; got {shapes}")
    return sizes[0]


def _placed(results: list[Tensor], structure: Structure, out_dims: Any) -> list[Tensor]:
    """Results with their cases where `out_dims` wants them."""
    if out_dims == 0:
        return results
    outputs = structure.build(results)
    dims = _spread(out_dims, outputs, "out_dims")
    found = []
    for x, dim in zip(results, dims, strict=True):
        if dim is None:
            raise ConfigError("vmap: out_dims is an int for every result, got None")
        found.append(x.movedim(0, normalize_axis("vmap: out_dims", dim, len(x._value.shape))))
    return found
