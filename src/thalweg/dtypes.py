"""Element types, and how they combine.

Arithmetic happens in `float32` (the default), `float64`, the integers and `bool`.
`float16` and `bfloat16` are storage: they can be moved, saved and cast, not computed with.

Promotion follows the Array API where it is defined, PyTorch where it mixes kinds:
within a kind the wider type wins, a floating type wins over an integer, an integer over
`bool`; a Python scalar is weak and never widens a type of its own kind.
"""

from __future__ import annotations

import builtins
from functools import cache
from typing import Any, Final

import numpy as np

from thalweg.errors import DTypeError, nearest

__all__ = [
    "DType",
    "as_dtype",
    "bfloat16",
    "bool",
    "double",
    "finfo",
    "float",
    "float16",
    "float32",
    "float64",
    "get_default_dtype",
    "half",
    "iinfo",
    "int",
    "int32",
    "int64",
    "long",
    "promote_types",
    "scalar_dtype",
    "set_default_dtype",
    "uint32",
    "uint8",
]

_KINDS: Final = {"bool": 0, "integer": 1, "float": 2}


class DType:
    """An element type: `tw.float32`, `tw.int64`, ... `numpy` is the type of the stored array."""

    __slots__ = ("is_storage", "kind", "name", "numpy")

    def __init__(self, name: str, numpy: Any, kind: str, is_storage: builtins.bool = False) -> None:
        self.name = name
        self.numpy: np.dtype[Any] = np.dtype(numpy)
        self.kind = kind
        self.is_storage = is_storage

    @property
    def is_floating_point(self) -> builtins.bool:
        """Whether this is one of the floating types, storage types included."""
        return self.kind == "float"

    @property
    def itemsize(self) -> builtins.int:
        """Bytes an element takes."""
        return self.numpy.itemsize

    def __repr__(self) -> str:
        return f"thalweg.{self.name}"

    def __reduce__(self) -> str:
        return self.name


bool = DType("bool", np.bool_, "bool")
uint8 = DType("uint8", np.uint8, "integer")
uint32 = DType("uint32", np.uint32, "integer")
int32 = DType("int32", np.int32, "integer")
int64 = DType("int64", np.int64, "integer")
# Storage types are one-field records: they move, slice and join like any array, and cannot be
# computed with by mistake. bfloat16, which NumPy lacks, is the upper half of a float32.
float16 = DType("float16", [("float16", "<f2")], "float", is_storage=True)
bfloat16 = DType("bfloat16", [("bfloat16", "<u2")], "float", is_storage=True)
float32 = DType("float32", np.float32, "float")
float64 = DType("float64", np.float64, "float")

half, float, double, int, long = float16, float32, float64, int32, int64

ALL: Final = (bool, uint8, uint32, int32, int64, float16, bfloat16, float32, float64)
_FROM_NUMPY: Final[dict[np.dtype[Any], DType]] = {dtype.numpy: dtype for dtype in ALL}
_FROM_NUMPY[np.dtype(np.float16)] = float16
_FROM_NAME: Final = {dtype.name: dtype for dtype in ALL} | {
    "float": float,
    "double": double,
    "half": half,
    "int": int,
    "long": long,
}
_FROM_PYTHON: Final[dict[Any, DType]] = {
    builtins.bool: bool,
    builtins.int: int64,
    builtins.float: float32,
}

_default = float32


class finfo:
    """The limits of a floating type: bits, eps, max, min and tiny (the smallest normal number).

    >>> finfo(float32).eps == 2**-23
    True
    """

    def __init__(self, dtype: DType | None = None) -> None:
        self.dtype = _default if dtype is None else dtype
        if not self.dtype.is_floating_point:
            raise DTypeError(f"finfo: a floating type expected, got {dtype!r}; see iinfo")
        self.bits = 8 * self.dtype.itemsize
        if self.dtype is bfloat16:
            self.eps, self.tiny, self.max = 2.0**-7, 2.0**-126, (2 - 2.0**-7) * 2.0**127
        else:
            limits = np.finfo(np.float16 if self.dtype is float16 else self.dtype.numpy)
            numbers = (limits.eps, limits.tiny, limits.max)
            self.eps, self.tiny, self.max = (builtins.float(x) for x in numbers)
        self.min = -self.max

    def __repr__(self) -> str:
        return f"finfo(bits={self.bits}, eps={self.eps:g}, max={self.max:g}, tiny={self.tiny:g})"


class iinfo:
    """The limits of an integer type: bits, max and min.

    >>> iinfo(uint8).max
    255
    """

    def __init__(self, dtype: DType) -> None:
        if dtype.kind != "integer":
            raise DTypeError(f"iinfo: an integer type expected, got {dtype!r}; see finfo")
        limits = np.iinfo(dtype.numpy)
        self.dtype, self.bits = dtype, limits.bits
        self.max, self.min = builtins.int(limits.max), builtins.int(limits.min)

    def __repr__(self) -> str:
        return f"iinfo(bits={self.bits}, max={self.max}, min={self.min})"


def get_default_dtype() -> DType:
    """The type of tensors made from Python floats, `float32` unless changed."""
    return _default


def set_default_dtype(dtype: DType) -> None:
    """Make `float32` or `float64` the type of tensors made from Python floats."""
    global _default
    if dtype not in (float32, float64):
        raise DTypeError(f"the default dtype is float32 or float64, not {dtype!r}")
    _default = dtype


def as_dtype(dtype: Any) -> DType:
    """The `DType` of a `DType`, a NumPy type, a name such as "float32", or bool, int, float.

    Array types that no tensor has are mapped to the nearest one that holds them
    (int8 and int16 to int32, uint16 to int32); others are a `DTypeError`.
    """
    if isinstance(dtype, DType):
        return dtype
    if dtype is builtins.float:
        return _default
    try:
        if dtype in _FROM_PYTHON:
            return _FROM_PYTHON[dtype]
        if dtype in _FROM_NAME:
            return _FROM_NAME[dtype]
        if dtype is None:  # which NumPy takes for float64
            raise TypeError
        array_type = np.dtype(dtype).newbyteorder("=")
    except TypeError:
        given = nearest(dtype, _FROM_NAME) if isinstance(dtype, str) else "expected tw.float32, ..."
        raise DTypeError(f"{dtype!r} is not an element type; {given}") from None
    if array_type in _FROM_NUMPY:
        return _FROM_NUMPY[array_type]
    if array_type.kind in "iu" and array_type.itemsize < 4:
        return int32
    raise DTypeError(
        f"tensors cannot hold {array_type}: known are {', '.join(_FROM_NAME)}. "
        "Convert the array first, for example array.astype(numpy.float32)"
    )


@cache
def promote_types(a: DType, b: DType) -> DType:
    """The type of a result computed from operands of types `a` and `b`.

    >>> promote_types(int64, float32), promote_types(uint8, int32)
    (thalweg.float32, thalweg.int32)
    """
    if a is b:
        return a
    if a.kind != b.kind:
        return a if _KINDS[a.kind] > _KINDS[b.kind] else b
    if a.itemsize == b.itemsize:  # float16 with bfloat16, uint32 with int32
        return float32 if a.kind == "float" else int64
    return a if a.itemsize > b.itemsize else b


def scalar_dtype(scalar: Any, other: DType | None) -> DType:
    """The type a Python scalar takes beside a tensor of type `other` (None: on its own)."""
    own = _default if isinstance(scalar, builtins.float) else _FROM_PYTHON.get(type(scalar))
    if own is None:
        raise DTypeError(
            f"a {type(scalar).__name__} cannot be combined with a tensor: "
            "expected a Tensor, a bool, an int or a float"
        )
    if other is None or _KINDS[own.kind] > _KINDS[other.kind]:
        return own
    return other
