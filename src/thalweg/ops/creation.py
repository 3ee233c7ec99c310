"""Making tensors: from data, filled, counted, and like another one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg import dtypes
from thalweg.devices import check_device
from thalweg.dtypes import DType, as_dtype, scalar_dtype
from thalweg.errors import ConfigError, DTypeError, ShapeError
from thalweg.ops.lift import to_dtype
from thalweg.primitives import sources
from thalweg.tape import TensorBase, bind, not_a_tensor, wrap

if TYPE_CHECKING:
    from thalweg._tensor import Tensor

__all__ = [
    "Creation",
    "arange",
    "as_tensor",
    "empty",
    "empty_like",
    "eye",
    "from_numpy",
    "full",
    "full_like",
    "linspace",
    "logspace",
    "meshgrid",
    "one_hot",
    "ones",
    "ones_like",
    "shape_of",
    "tensor",
    "tril_indices",
    "triu_indices",
    "zeros",
    "zeros_like",
]


def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A tensor with a copy of `data`: numbers, nested sequences, a NumPy array or a tensor.

    Python floats become the default dtype, ints int64, bools bool; an array keeps its dtype.

    >>> import thalweg as tw
    >>> tw.tensor([[1.0, 2.0], [3.0, 4.0]]).shape
    Size([2, 2])
    """
    check_device(device)
    out = wrap(_array(data, None if dtype is None else as_dtype(dtype)))
    return out.requires_grad_() if requires_grad else out


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """`data` itself if it is a tensor (of that dtype), else `tensor(data)`."""
    check_device(device)
    given: Any = data
    if isinstance(data, TensorBase):
        return given if dtype is None else to_dtype(given, as_dtype(dtype))
    return tensor(data, dtype=dtype)


def from_numpy(array: np.ndarray[Any, Any]) -> Tensor:
    """A tensor with a copy of a NumPy array, in its dtype.

    >>> import thalweg as tw
    >>> import numpy as np
    >>> tw.from_numpy(np.array([1.5, 2.5], np.float32))
    tensor([1.5000, 2.5000])
    """
    return tensor(array)


def _array(data: Any, dtype: DType | None) -> np.ndarray[Any, Any]:
    given: Any = data
    if isinstance(data, TensorBase):
        held: np.ndarray[Any, Any] = to_dtype(given, dtype or given.dtype)._value
        return held
    if isinstance(data, np.ndarray | np.generic):
        return _from_numpy(np.asarray(data), dtype)
    array = _from_sequence(data)
    if dtype is None:
        if array.dtype.kind == "f":
            dtype = dtypes.get_default_dtype()
        else:
            dtype = as_dtype(array.dtype) if array.size else dtypes.get_default_dtype()
    return _from_numpy(array, dtype)


def _from_numpy(array: np.ndarray[Any, Any], dtype: DType | None) -> np.ndarray[Any, Any]:
    own = as_dtype(array.dtype)
    plain = np.array(array, dtype=np.float16 if own is dtypes.float16 else own.numpy, order="C")
    value = plain.view(own.numpy) if own is dtypes.float16 and not plain.dtype.names else plain
    return value if dtype is None else to_dtype(wrap(value), dtype)._value


def _from_sequence(data: Any) -> np.ndarray[Any, Any]:
    if isinstance(data, list | tuple):
        data = _plain(data)
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ShapeError(
            f"tensor: nested sequences must have equal lengths at each depth (NumPy says: {error})"
        ) from error
    if array.dtype.kind not in "fiub":
        raise DTypeError(
            f"tensor: numbers or bools expected, got {type(data).__name__} "
            f"of {array.dtype.name} elements: {str(data)[:60]!r}"
        )
    return array


def _plain(data: Any) -> Any:
    """Nested sequences with the tensors in them as NumPy arrays."""
    if isinstance(data, list | tuple):
        return [_plain(entry) for entry in data]
    given: Any = data
    if not isinstance(data, TensorBase):
        return data
    given._concrete("a tensor of tensors")
    return given.numpy()


def shape_of(name: str, size: tuple[Any, ...]) -> tuple[int, ...]:
    """Sizes given one by one or as one sequence, checked."""
    if len(size) == 1 and isinstance(size[0], Sequence):
        size = tuple(size[0])
    traced: list[Any] = [n for n in size if isinstance(n, TensorBase)]
    for n in traced:
        n._concrete("a size")
    if not all(isinstance(n, int | np.integer) and n >= 0 for n in size):
        raise ShapeError(f"{name}: sizes are integers, 0 or more; got {size}")
    return tuple(int(n) for n in size)


def _filled(shape: tuple[int, ...], value: Any, dtype: Any, requires_grad: bool) -> Tensor:
    dtype = _default(dtype)
    if dtype.is_storage:
        out = to_dtype(_filled(shape, value, dtypes.float32, False), dtype)
    else:
        try:
            out = bind(sources.full, shape=shape, value=value, dtype=dtype.numpy)
        except OverflowError:
            raise DTypeError(f"{value!r} does not fit into {dtype!r}") from None
    return out.requires_grad_() if requires_grad else out


def zeros(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of zeros, of the default dtype unless given.

    >>> import thalweg as tw
    >>> tw.zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    check_device(device)
    return _filled(shape_of("zeros", size), 0, dtype, requires_grad)


def ones(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of ones, of the default dtype unless given."""
    check_device(device)
    return _filled(shape_of("ones", size), 1, dtype, requires_grad)


def empty(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros: a tensor is a value, and has no uninitialized one."""
    check_device(device)
    return _filled(shape_of("empty", size), 0, dtype, requires_grad)


def full(
    size: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor filled with a number; its dtype follows the number unless given.

    >>> import thalweg as tw
    >>> tw.full((2, 2), 7)
    tensor([[7, 7],
            [7, 7]])
    """
    check_device(device)
    if dtype is None:
        dtype = scalar_dtype(fill_value, None)
    return _filled(
        shape_of("full", (size,) if isinstance(size, int) else tuple(size)),
        fill_value,
        dtype,
        requires_grad,
    )


def zeros_like(
    x: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Zeros of the shape and, unless given, the dtype of `x`."""
    check_device(device)
    return _filled(x._value.shape, 0, dtype or x.dtype, requires_grad)


def ones_like(
    x: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Ones of the shape and, unless given, the dtype of `x`."""
    check_device(device)
    return _filled(x._value.shape, 1, dtype or x.dtype, requires_grad)


def empty_like(
    x: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Zeros of the shape and, unless given, the dtype of `x`."""
    check_device(device)
    return zeros_like(x, dtype=dtype, requires_grad=requires_grad)


def full_like(
    x: Tensor,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`fill_value` in the shape and, unless given, the dtype of `x`."""
    check_device(device)
    return _filled(x._value.shape, fill_value, dtype or x.dtype, requires_grad)


def arange(
    start: float,
    end: float | None = None,
    step: float = 1,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """start, start + step, ... up to, without, end: ceil((end - start) / step) numbers.

    >>> import thalweg as tw
    >>> tw.arange(3), tw.arange(1, 2, 0.5)
    (tensor([0, 1, 2]), tensor([1.0000, 1.5000]))
    """
    check_device(device)
    if end is None:
        start, end = 0, start
    if step == 0 or (end - start) / step < 0:
        raise ShapeError(f"arange: from {start} by steps of {step} never comes to {end}")
    numbers = (start, end, step)
    if dtype is None:
        whole = all(isinstance(n, int | np.integer) for n in numbers)
        dtype = dtypes.int64 if whole else dtypes.get_default_dtype()
    dtype = as_dtype(dtype)
    count = math.ceil((end - start) / step)
    wide = dtypes.int64 if dtype.kind != "float" else dtypes.float64
    line = bind(sources.iota, shape=(count,), axis=0, dtype=wide.numpy)
    out = to_dtype(line * step + start if (start, step) != (0, 1) else line, dtype)
    return out.requires_grad_() if requires_grad else out


def linspace(
    start: float,
    end: float,
    steps: int,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`steps` numbers in equal distances from start to end, both included.

    >>> import thalweg as tw
    >>> tw.linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    check_device(device)
    (steps,) = shape_of("linspace", (steps,))
    line = bind(sources.iota, shape=(steps,), axis=0, dtype=dtypes.float64.numpy)
    share = line / max(steps - 1, 1)
    out = to_dtype((1 - share) * start + share * end, _default(dtype))
    return out.requires_grad_() if requires_grad else out


def logspace(
    start: float, end: float, steps: int, base: float = 10, *, dtype: Any = None, device: Any = None
) -> Tensor:
    """`steps` numbers from base^start to base^end, whose logarithms lie in equal distances."""
    check_device(device)
    exponents = linspace(start, end, steps, dtype=dtypes.float64)
    return to_dtype(base**exponents, _default(dtype))


def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The (n, m) matrix with ones on the diagonal.

    >>> import thalweg as tw
    >>> tw.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    check_device(device)
    n, m = shape_of("eye", (n, n if m is None else m))
    rows = bind(sources.iota, shape=(n, 1), axis=0, dtype=dtypes.int64.numpy)
    columns = bind(sources.iota, shape=(1, m), axis=1, dtype=dtypes.int64.numpy)
    out = to_dtype(rows.eq(columns), _default(dtype))
    return out.requires_grad_() if requires_grad else out


def tril_indices(row: int, col: int, offset: int = 0) -> Tensor:
    """(2, n), int64: the places of the lower triangle of a (row, col) matrix, row by row."""
    return wrap(np.stack(np.tril_indices(row, offset, col)).astype(np.int64))


def triu_indices(row: int, col: int, offset: int = 0) -> Tensor:
    """(2, n), int64: the places of the upper triangle of a (row, col) matrix, row by row.

    >>> import thalweg as tw
    >>> tw.triu_indices(2, 3, 1)
    tensor([[0, 0, 1],
            [1, 2, 2]])
    """
    return wrap(np.stack(np.triu_indices(row, offset, col)).astype(np.int64))


def _default(dtype: Any) -> DType:
    return dtypes.get_default_dtype() if dtype is None else as_dtype(dtype)


def one_hot(labels: Tensor, num_classes: int = -1) -> Tensor:
    """int64 of shape (*labels.shape, classes): 1 where the class is the label, else 0.

    `num_classes` is one more than the largest label unless given. `nn.functional.one_hot` checks
    that the labels are in range.
    """
    if num_classes < 0:
        found = labels._concrete("one_hot without num_classes")
        num_classes = int(found.max()) + 1 if found.size else 0
    line = bind(sources.iota, shape=(num_classes,), axis=0, dtype=dtypes.int64.numpy)
    return to_dtype(labels.unsqueeze(-1).eq(line), dtypes.int64)


def meshgrid(*vectors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Grids of coordinates: out[k][i, j, ..] is vectors[k] at the k-th index.

    With `indexing="xy"`, not "ij", the first two dimensions are exchanged.

    >>> import thalweg as tw
    >>> rows, columns = tw.meshgrid(tw.arange(2), tw.arange(3))
    >>> columns
    tensor([[0, 1, 2],
            [0, 1, 2]])
    """
    if indexing not in ("ij", "xy"):
        raise ConfigError(f'meshgrid: indexing is "ij" or "xy", got {indexing!r}')
    if len(vectors) == 1 and isinstance(vectors[0], list | tuple):
        vectors = tuple(vectors[0])
    if not all(isinstance(v, TensorBase) for v in vectors):
        raise not_a_tensor("meshgrid", *vectors)
    if any(len(v._value.shape) > 1 for v in vectors):
        raise ShapeError(
            f"meshgrid: vectors expected, got shapes {[tuple(v.shape) for v in vectors]}"
        )
    shape = tuple(v.numel() for v in vectors)
    rank = len(shape)
    grids = [
        v.reshape(tuple(-1 if k == axis else 1 for k in range(rank))).expand(shape)
        for axis, v in enumerate(vectors)
    ]
    return tuple(g.transpose(0, 1) if indexing == "xy" and rank > 1 else g for g in grids)


class Creation:
    """Tensor's constructors of others like itself."""

    __slots__ = ()

    zeros_like = zeros_like

    def new_zeros(self: Tensor, *size: Any, dtype: Any = None, device: Any = None) -> Tensor:
        """Zeros of another shape in the dtype of self."""
        check_device(device)
        return zeros(*size, dtype=dtype or self.dtype)

    def new_empty(self: Tensor, *size: Any, dtype: Any = None, device: Any = None) -> Tensor:
        """Zeros of another shape in the dtype of self."""
        check_device(device)
        return empty(*size, dtype=dtype or self.dtype)

    def new_ones(self: Tensor, *size: Any, dtype: Any = None, device: Any = None) -> Tensor:
        """Ones of another shape in the dtype of self."""
        check_device(device)
        return ones(*size, dtype=dtype or self.dtype)

    def new_full(
        self: Tensor, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None
    ) -> Tensor:
        """`fill_value` in another shape in the dtype of self."""
        check_device(device)
        return full(size, fill_value, dtype=dtype or self.dtype)

    def new_tensor(self: Tensor, data: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
        """`tensor(data)` in the dtype of self."""
        check_device(device)
        return tensor(data, dtype=dtype or self.dtype)
