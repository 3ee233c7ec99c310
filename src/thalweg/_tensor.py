"""The Tensor: an immutable value with a name's conveniences.

The value is a NumPy array, or a symbolic variable while a program is traced. The operations
stand in `thalweg.ops`, a family a file; here is what a tensor is: its shape, dtype and place on
the tape, how it turns into Python and NumPy, and how a backward pass starts from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from thalweg import devices, dtypes, tape
from thalweg._format import format_tensor
from thalweg.dtypes import DType, as_dtype
from thalweg.errors import DTypeError, GradientError, ShapeError, TraceError
from thalweg.ops.activations import Activations
from thalweg.ops.arithmetic import Arithmetic
from thalweg.ops.creation import Creation
from thalweg.ops.indexing import Indexing
from thalweg.ops.inplace import InPlace
from thalweg.ops.lift import to_dtype
from thalweg.ops.linalg import Linalg
from thalweg.ops.maths import Maths
from thalweg.ops.products import Products
from thalweg.ops.rarer import Rarer
from thalweg.ops.reductions import Reductions
from thalweg.ops.shape import Shape
from thalweg.ops.sorting import Sorting
from thalweg.ops.untraceable import no_values
from thalweg.ops.windows import Windows
from thalweg.primitives import movement
from thalweg.primitives.core import normalize_axis
from thalweg.tape import Lifted, TensorBase, bind, mode, wrap

if TYPE_CHECKING:
    from thalweg.autodiff.backward import HookHandle

__all__ = ["Parameter", "Size", "Tensor"]


# What == compares elementwise; with anything else, such as None, a tensor is simply not equal.
_COMPARABLE: tuple[Any, ...] = (TensorBase, float, int, np.generic, np.ndarray)


class Size(tuple[int, ...]):
    """A shape: a tuple of sizes."""

    __slots__ = ()

    def numel(self) -> int:
        """The product of the sizes."""
        return math.prod(self)

    def __repr__(self) -> str:
        return f"Size([{', '.join(map(str, self))}])"


class Tensor(
    Arithmetic,
    Maths,
    Activations,
    Reductions,
    Products,
    Linalg,
    Shape,
    Indexing,
    Sorting,
    Windows,
    InPlace,
    Creation,
    Rarer,
    TensorBase,
):
    """A multi-dimensional array that remembers how it was computed.

    `Tensor(data)` copies data in the default dtype; `tw.tensor(data)` keeps its own dtype.

    >>> import thalweg as tw
    >>> a = tw.Tensor([[1, 2], [3, 4]])
    >>> a ** 2
    tensor([[ 1.,  4.],
            [ 9., 16.]])
    """

    __slots__ = ()
    __array_priority__ = 1000  # NumPy arrays leave mixed arithmetic to us
    __array_ufunc__ = None

    def __init__(self, data: Any = (), *more: Any) -> None:
        if isinstance(data, int):
            given = ", ".join(map(str, (data, *more)))
            raise ShapeError(
                f"Tensor({given}) could mean numbers or sizes; use tw.tensor([{given}]) "
                f"or tw.zeros({given})"
            )
        from thalweg.ops.creation import tensor

        self._value = tensor(data, dtype=dtypes.get_default_dtype())._value
        self._node, self._requires_grad, self._grad = None, False, None

    # --- what it is --------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        """The sizes of the dimensions."""
        return Size(self._value.shape)

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dimension."""
        if dim is None:
            return self.shape
        return self._value.shape[normalize_axis("size", dim, len(self._value.shape))]

    @property
    def dtype(self) -> DType:
        """The element type."""
        return dtypes._FROM_NUMPY[self._value.dtype]

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self._value.shape)

    def dim(self) -> int:
        """The number of dimensions."""
        return len(self._value.shape)

    def numel(self) -> int:
        """The number of elements."""
        return math.prod(self._value.shape)

    nelement = numel

    def element_size(self) -> int:
        """The bytes an element takes."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """The bytes the elements take."""
        return self.numel() * self.dtype.itemsize

    @property
    def device(self) -> devices.device:
        """Where the values are: "cpu"."""
        return devices.CPU

    def is_floating_point(self) -> bool:
        """Whether the dtype is a floating type."""
        return self.dtype.is_floating_point

    def __len__(self) -> int:
        if not self._value.shape:
            raise ShapeError("len() of a tensor of rank 0")
        return int(self._value.shape[0])

    def __iter__(self) -> Iterator[Tensor]:
        if not self._value.shape:
            raise ShapeError("a tensor of rank 0 cannot be iterated over")
        return iter(self.unbind(0))

    def __repr__(self) -> str:
        return format_tensor(self)

    def __format__(self, spec: str) -> str:
        one = self.numel() == 1 and (spec or not self._value.shape)
        return format(self.item() if one else str(self), spec)

    __hash__ = object.__hash__  # by identity: what == gives is no bool

    # Elementwise, as NumPy's, where Python expects a bool.

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]  # no bool
        operand: Any = other
        return self.eq(operand) if isinstance(other, _COMPARABLE) else NotImplemented

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]  # no bool
        operand: Any = other
        return self.ne(operand) if isinstance(other, _COMPARABLE) else NotImplemented

    def __contains__(self, element: Any) -> bool:
        return bool(self.eq(element).any())

    # --- out into Python and NumPy ---------------------------------------------------------------

    def _concrete(self, what: str) -> Any:
        """The array, for something that needs the values now."""
        if mode.trace is not None:
            mode.trace.touch(self)
        if isinstance(self._value, Lifted):
            return self._value.concrete(what)
        if not isinstance(self._value, np.ndarray) and tape.no_trace_here():
            if not isinstance(self._value, np.ndarray):
                raise TraceError(f"{what}: {tape.ESCAPED}")
        elif not isinstance(self._value, np.ndarray):
            raise no_values(what)
        return self._value

    def item(self) -> Any:
        """The one element as a Python number."""
        if self.numel() != 1:
            raise ShapeError(f"item: one element expected, got shape {tuple(self._value.shape)}")
        return self._plain("item()").reshape(()).item()

    def _plain(self, what: str) -> np.ndarray[Any, Any]:
        """The values as NumPy has them: storage types as float16 or float32."""
        wide = to_dtype(self, dtypes.float32) if self.dtype is dtypes.bfloat16 else self
        array: np.ndarray[Any, Any] = wide._concrete(what)
        return array["float16"] if self.dtype is dtypes.float16 else array

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        return self._plain("tolist()").tolist()

    def numpy(self) -> np.ndarray[Any, Any]:
        """A NumPy array with a copy of the values (bfloat16 as float32)."""
        if self._requires_grad:
            raise GradientError(
                "numpy() of a tensor that requires a gradient would lose the gradient; "
                "say that you mean it: x.detach().numpy()"
            )
        return self._plain("numpy()").copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.asarray(self.numpy(), dtype=dtype)

    def _scalar(self, what: str) -> Any:
        if self.numel() != 1:
            raise ShapeError(
                f"{what} of a tensor of shape {tuple(self._value.shape)} is ambiguous: "
                "it has not one element. Use x.any(), x.all() or an index"
            )
        return self._plain(what).reshape(()).item()

    def __bool__(self) -> bool:
        return bool(self._scalar("bool()"))

    def __int__(self) -> int:
        return int(self._scalar("int()"))

    def __float__(self) -> float:
        return float(self._scalar("float()"))

    def __index__(self) -> int:
        if self.dtype.kind != "integer":
            raise DTypeError(f"an integer tensor is needed as an index, got {self.dtype!r}")
        return int(self._scalar("an index"))

    # --- element types -----------------------------------------------------------------------

    def to(
        self,
        *args: Any,
        dtype: Any = None,
        device: Any = None,
        non_blocking: Any = False,
        copy: Any = False,
    ) -> Tensor:
        """This tensor in another dtype. `to("cpu")` is the tensor itself: values need no copies.

        >>> import thalweg as tw
        >>> tw.tensor([0.5, 2.7]).to(tw.int64)
        tensor([0, 2])
        """
        for argument in args:
            if isinstance(argument, Tensor):
                dtype = argument.dtype
            elif isinstance(argument, str) and argument.split(":")[0] in ("cpu", "cuda", "mps"):
                device = argument
            else:
                dtype = argument
        devices.check_device(device)
        return self if dtype is None else to_dtype(self, as_dtype(dtype))

    type = to

    def type_as(self, other: Tensor) -> Tensor:
        """This tensor in the dtype of `other`."""
        return to_dtype(self, other.dtype)

    def float(self) -> Tensor:
        """This tensor as float32."""
        return to_dtype(self, dtypes.float32)

    def double(self) -> Tensor:
        """This tensor as float64."""
        return to_dtype(self, dtypes.float64)

    def half(self) -> Tensor:
        """This tensor as float16, to store."""
        return to_dtype(self, dtypes.float16)

    def bfloat16(self) -> Tensor:
        """This tensor as bfloat16, to store."""
        return to_dtype(self, dtypes.bfloat16)

    def byte(self) -> Tensor:
        """This tensor as uint8."""
        return to_dtype(self, dtypes.uint8)

    def long(self) -> Tensor:
        """This tensor as int64, rounded towards 0."""
        return to_dtype(self, dtypes.int64)

    def int(self) -> Tensor:
        """This tensor as int32, rounded towards 0."""
        return to_dtype(self, dtypes.int32)

    def bool(self) -> Tensor:
        """Whether each element is nonzero."""
        return to_dtype(self, dtypes.bool)

    def cpu(self) -> Tensor:
        """The tensor itself: it is on the CPU."""
        return self

    def contiguous(self) -> Tensor:
        """The tensor itself: how a value lies in memory is not the caller's concern."""
        return self

    def is_contiguous(self) -> Any:
        """True, as for what `contiguous` gives."""
        return True

    # --- gradients ---------------------------------------------------------------------------

    @property
    def requires_grad(self) -> Any:
        """Whether operations on this tensor are recorded for a backward pass."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: Any) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: Any = True) -> Self:
        """Record operations on this tensor, or stop."""
        if not self.is_leaf:
            raise GradientError(
                "requires_grad can be set on leaves only; this tensor is the result of "
                f"{self._node!r}. Use x.detach() to cut it off"
            )
        if requires_grad and self._value.dtype.kind != "f":
            raise DTypeError(
                f"only float32 and float64 tensors can require a gradient, not {self.dtype!r}: "
                "use x.float()"
            )
        self._requires_grad = bool(requires_grad)
        return self

    @property
    def is_leaf(self) -> Any:
        """Whether this tensor was not computed by a recorded operation."""
        return self._node is None

    @property
    def grad_fn(self) -> Any:
        """The recorded operation this tensor came from, or None."""
        return self._node

    def detach(self) -> Tensor:
        """The same value, off the tape."""
        if mode.trace is not None:
            mode.trace.touch(self)
            if isinstance(self._value, Lifted):
                return wrap(self._value.detached())
        return wrap(self._value)

    def clone(self) -> Tensor:
        """The same value, on the tape: gradients pass through."""
        return bind(movement.reshape, self, shape=self._value.shape)

    def detach_(self) -> Self:
        """Take this tensor off the tape: what led to it gets no gradient through it."""
        self._node, self._requires_grad = None, False
        return self

    @property
    def data(self) -> Tensor:
        """The same value, off the tape; in-place operations on it reach this tensor."""
        return _Data(self)

    @data.setter
    def data(self, value: Tensor) -> None:
        if mode.trace is not None:
            mode.trace.touch(self)
            mode.trace.touch(value)
        self._value = value._value

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: Any = None,
        create_graph: Any = False,
    ) -> None:
        """Add d self / d leaf to the `.grad` of every leaf that self was computed from.

        A scalar starts from 1; any other shape needs `gradient`, the cotangent v of
        v^T J, of the same shape. The recorded values are freed unless `retain_graph`.

        >>> import thalweg as tw
        >>> a = tw.tensor([2.0, 3.0], requires_grad=True)
        >>> q = 3 * a**3
        >>> q.backward(gradient=tw.tensor([1.0, 1.0]))
        >>> a.grad
        tensor([36., 81.])
        """
        from thalweg.autodiff.backward import backward

        backward(self, gradient, retain_graph, create_graph)

    def retain_grad(self) -> None:
        """Let backward set `.grad` of this computed tensor too."""
        from thalweg.autodiff.backward import retain_grad

        retain_grad(self)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> HookHandle:
        """Call `hook(cotangent)` in backward; what it returns, if not None, takes its place.

        >>> import thalweg as tw
        >>> w = tw.tensor([3.0, -4.0], requires_grad=True)
        >>> handle = w.register_hook(lambda g: g.clamp(-1, 1))
        >>> (w * w).sum().backward()
        >>> w.grad
        tensor([ 1., -1.])
        >>> handle.remove()
        """
        from thalweg.autodiff.backward import register_hook

        return register_hook(self, hook)

    def __deepcopy__(self, memo: dict[Any, Any]) -> Self:
        if not self.is_leaf:
            raise GradientError(
                "only leaves can be copied with deepcopy; use x.detach() or x.clone()"
            )
        kind: Any = Tensor if isinstance(self, _Data) else type(self)
        copy: Self = object.__new__(kind)
        copy._value, copy._node, copy._requires_grad = self._value, None, self._requires_grad
        copy._grad = None if self.grad is None else self.grad.detach()
        memo[id(self)] = copy
        return copy

    def __reduce__(self) -> Any:
        return _rebuild, (type(self), self.detach().numpy(), self.dtype, self._requires_grad)


def _rebuild(kind: type[Tensor], array: Any, dtype: DType, requires_grad: bool) -> Tensor:
    from thalweg.ops.creation import tensor

    out = object.__new__(kind)
    out._value, out._node = tensor(array, dtype=dtype)._value, None
    out._requires_grad, out._grad = requires_grad, None
    return out


class Parameter(Tensor):
    """A tensor that a module trains: a leaf that requires a gradient unless told otherwise."""

    __slots__ = ()

    def __init__(self, data: Tensor, requires_grad: bool = True) -> None:
        self._value = data._value
        self._node, self._requires_grad, self._grad = None, False, None
        if requires_grad:
            self.requires_grad_()


class _Data(Tensor):
    """What `x.data` gives: in-place operations on it give the owner the new value."""

    __slots__ = ("_owner",)

    def __init__(self, owner: Tensor) -> None:
        if mode.trace is not None:
            mode.trace.touch(owner)
        self._value, self._node, self._requires_grad, self._grad = owner._value, None, False, None
        self._owner = owner

    def _assign(self, new: Tensor) -> Tensor:
        super()._assign(new)
        self._owner._value = self._value
        return self


tape._tensor_class = Tensor
