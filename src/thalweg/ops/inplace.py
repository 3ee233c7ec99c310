"""In-place spellings. A tensor is an immutable value: these give the *name* a new one.

`x.add_(y)` computes x + y and lets x be that. No other tensor changes, so nothing that was saved
for a backward pass can be overwritten.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

import numpy as np

from thalweg.errors import DTypeError, GradientError, ShapeError
from thalweg.ops.activations import Activations
from thalweg.ops.arithmetic import Arithmetic
from thalweg.ops.indexing import Indexing
from thalweg.ops.lift import Operand, lift
from thalweg.ops.maths import Maths
from thalweg.ops.reductions import Reductions
from thalweg.ops.shape import Shape
from thalweg.tape import TensorBase, mode, no_trace_here

if TYPE_CHECKING:
    from thalweg._tensor import Tensor
    from thalweg.ops.random import Generator

__all__ = ["InPlace"]

P = ParamSpec("P")
_ndarray = np.ndarray


def _kind(x: Tensor) -> int:
    return ("bool", "integer", "float").index(x.dtype.kind)


def _in_place(function: Callable[Concatenate[Tensor, P], Tensor]) -> Callable[..., Tensor]:
    """The in-place spelling of a method."""

    def method(self: Tensor, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        return self._assign(function(self, *args, **kwargs))

    method.__name__ = f"{function.__name__}_"
    method.__doc__ = f"self becomes `{function.__name__}` of it, with the same arguments."
    return method


class InPlace(TensorBase):
    """Tensor's in-place spellings."""

    __slots__ = ()

    def _assign(self: Tensor, new: Tensor) -> Tensor:
        """Let self be the value `new`, in self's dtype and shape; the tape follows."""
        if new._value.shape != self._value.shape:
            raise ShapeError(
                f"in-place: the result has shape {new._value.shape}, "
                f"the tensor keeps its shape {self._value.shape}"
            )
        if mode.trace is not None:
            mode.trace.touch(self)
            mode.trace.touch(new)
        elif self._value.__class__ is not _ndarray:
            no_trace_here()
        if mode.written is not None:
            mode.written(self)
        same = new._value.dtype is self._value.dtype
        if not same and _kind(new) > _kind(self):
            raise DTypeError(
                f"in-place: the result is {new.dtype!r}, the tensor keeps its dtype "
                f"{self.dtype!r}; compute a new tensor, or cast first"
            )
        if mode.grad:
            if self._requires_grad and self._node is None:
                raise GradientError(
                    "a leaf that requires a gradient was changed in place while recording. "
                    "Wrap the update in `with tw.no_grad():`, or compute a new tensor"
                )
            new = new.to(self.dtype)
            if new._requires_grad and new._node is None:
                new = new.clone()  # a copy of a leaf is no leaf: gradients pass on to that one
            self._node, self._requires_grad = new._node, new._requires_grad
        self._value = new._value if same else new.to(self.dtype)._value
        return self

    def add_(self: Tensor, other: Operand, *, alpha: float = 1) -> Tensor:
        """self becomes self + alpha * other."""
        return self._assign(self.add(other, alpha=alpha))

    def sub_(self: Tensor, other: Operand, *, alpha: float = 1) -> Tensor:
        """self becomes self - alpha * other."""
        return self._assign(self.sub(other, alpha=alpha))

    def mul_(self: Tensor, other: Operand) -> Tensor:
        """self becomes self * other."""
        return self._assign(self.mul(other))

    def div_(self: Tensor, other: Operand, *, rounding_mode: str | None = None) -> Tensor:
        """self becomes self / other."""
        return self._assign(self.div(other, rounding_mode=rounding_mode))

    def pow_(self: Tensor, exponent: Operand) -> Tensor:
        """self becomes self ** exponent."""
        return self._assign(self.pow(exponent))

    def neg_(self: Tensor) -> Tensor:
        """self becomes -self."""
        return self._assign(self.neg())

    def exp_(self: Tensor) -> Tensor:
        """self becomes e^self."""
        return self._assign(self.exp())

    def sqrt_(self: Tensor) -> Tensor:
        """self becomes its square root."""
        return self._assign(self.sqrt())

    def abs_(self: Tensor) -> Tensor:
        """self becomes |self|."""
        return self._assign(self.abs())

    def clamp_(self: Tensor, min: Operand | None = None, max: Operand | None = None) -> Tensor:
        """self becomes self limited to [min, max]."""
        return self._assign(self.clamp(min, max))

    def lerp_(self: Tensor, end: Tensor, weight: Operand) -> Tensor:
        """self becomes self + weight * (end - self)."""
        return self._assign(self.lerp(end, weight))

    def masked_fill_(self: Tensor, mask: Tensor, value: Operand) -> Tensor:
        """self becomes `value` where `mask` holds."""
        return self._assign(self.masked_fill(mask, value))

    def copy_(self: Tensor, source: Operand) -> Tensor:
        """self becomes `source`, broadcast to its shape, in its dtype."""
        return self._assign(lift(source, self).to(self.dtype).expand(self._value.shape))

    def fill_(self: Tensor, value: Operand) -> Tensor:
        """Every element becomes `value`."""
        return self.copy_(value)

    def zero_(self: Tensor) -> Tensor:
        """Every element becomes 0."""
        return self.copy_(0)

    # The rest, which no inner loop of training calls.
    addcdiv_ = _in_place(Arithmetic.addcdiv)
    addcmul_ = _in_place(Arithmetic.addcmul)
    ceil_ = _in_place(Maths.ceil)
    clamp_max_ = _in_place(Arithmetic.clamp_max)
    clamp_min_ = _in_place(Arithmetic.clamp_min)
    cos_ = _in_place(Maths.cos)
    cumsum_ = _in_place(Reductions.cumsum)
    erf_ = _in_place(Maths.erf)
    expm1_ = _in_place(Maths.expm1)
    floor_ = _in_place(Maths.floor)
    floor_divide_ = _in_place(Arithmetic.floor_divide)
    fmod_ = _in_place(Arithmetic.fmod)
    frac_ = _in_place(Maths.frac)
    index_add_ = _in_place(Indexing.index_add)
    index_copy_ = _in_place(Indexing.index_copy)
    index_fill_ = _in_place(Indexing.index_fill)
    log10_ = _in_place(Maths.log10)
    log1p_ = _in_place(Maths.log1p)
    log2_ = _in_place(Maths.log2)
    log_ = _in_place(Maths.log)
    logical_not_ = _in_place(Arithmetic.logical_not)
    nan_to_num_ = _in_place(Arithmetic.nan_to_num)
    reciprocal_ = _in_place(Arithmetic.reciprocal)
    relu_ = _in_place(Activations.relu)
    remainder_ = _in_place(Arithmetic.remainder)
    round_ = _in_place(Maths.round)
    rsqrt_ = _in_place(Maths.rsqrt)
    scatter_ = _in_place(Indexing.scatter)
    scatter_add_ = _in_place(Indexing.scatter_add)
    sigmoid_ = _in_place(Maths.sigmoid)
    sign_ = _in_place(Maths.sign)
    sin_ = _in_place(Maths.sin)
    square_ = _in_place(Arithmetic.square)
    tanh_ = _in_place(Maths.tanh)
    tril_ = _in_place(Shape.tril)
    triu_ = _in_place(Shape.triu)
    trunc_ = _in_place(Maths.trunc)

    def __iadd__(self: Tensor, other: Operand) -> Tensor:
        return self._assign(self.add(other))

    def __isub__(self: Tensor, other: Operand) -> Tensor:
        return self._assign(self.sub(other))

    def __imul__(self: Tensor, other: Operand) -> Tensor:
        return self._assign(self.mul(other))

    def __itruediv__(self: Tensor, other: Operand) -> Tensor:
        return self._assign(self.div(other))

    def __ipow__(self: Tensor, other: Any) -> Tensor:
        return self._assign(self.pow(other))

    def __imod__(self: Tensor, other: Operand) -> Tensor:
        return self._assign(self.remainder(other))

    def __ifloordiv__(self: Tensor, other: Operand) -> Tensor:
        return self._assign(self.floor_divide(other))

    def __iand__(self: Tensor, other: Operand) -> Tensor:
        return self._assign(self.bitwise_and(other))

    def __ior__(self: Tensor, other: Operand) -> Tensor:
        return self._assign(self.bitwise_or(other))

    def __ixor__(self: Tensor, other: Operand) -> Tensor:
        return self._assign(self.bitwise_xor(other))

    # --- random: imported when called, since a generator is itself made of tensors ---

    def normal_(
        self: Tensor, mean: float = 0, std: float = 1, *, generator: Generator | None = None
    ) -> Tensor:
        """Every element is drawn from N(mean, std^2)."""
        from thalweg.ops import random

        return self.copy_(
            random.randn(self.shape, dtype=self.dtype, generator=generator) * std + mean
        )

    def uniform_(
        self: Tensor, low: float = 0, high: float = 1, *, generator: Generator | None = None
    ) -> Tensor:
        """Every element is drawn from U[low, high)."""
        from thalweg.ops import random

        drawn = random.rand(self.shape, dtype=self.dtype, generator=generator)
        return self.copy_(drawn * (high - low) + low)

    def bernoulli(self: Tensor, *, generator: Generator | None = None) -> Tensor:
        """1 with the probability that self says, else 0."""
        from thalweg.ops import random

        return random.bernoulli(self, generator=generator)

    def multinomial(
        self: Tensor,
        num_samples: int,
        replacement: bool = False,
        *,
        generator: Generator | None = None,
    ) -> Tensor:
        """Indices drawn with probabilities proportional to self; see `tw.multinomial`."""
        from thalweg.ops import random

        return random.multinomial(self, num_samples, replacement, generator=generator)

    def bernoulli_(self: Tensor, p: float = 0.5, *, generator: Generator | None = None) -> Tensor:
        """Every element is 1 with probability p, else 0."""
        from thalweg.ops import random

        return self.copy_(random.rand(self.shape, generator=generator) < p)
