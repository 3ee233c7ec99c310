"""What a primitive is: a name and its rules, one row.

A row holds, side by side:

    name      what the graph prints
    infer     the shape-and-dtype rule: abstract operands to an abstract result
    evaluate  the NumPy evaluation
    vjp       one vector-Jacobian product an operand: rule(g, out, *operands, **attributes),
              where g is the cotangent of the result; None where there is no derivative
    jvp       the Jacobian-vector product: rule(apply, tangents, out, *operands, **attributes) gives
              the tangent of the result; `tangents` holds one an operand, None where it is zero
    batch     many cases at once: rule(apply, size, batched, *operands, **attributes), where an
              operand that `batched` marks has an axis of `size` cases in front, gives a result
              with that axis in front

In the last two, `apply(*operands, **attributes)` is the primitive itself, on tensors. A row that
has a vjp and no jvp has it by transposition: the vjp is linear in g. Where one calculation gives
the cotangents of all operands, the vjp column is `AllOperands`.

Operands are positional, attributes keyword-only and hashable. Rules are written with the methods
that users call on tensors, so they differentiate, trace and compile like anything else. Lowering
stands in the compiler, by name.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from thalweg.errors import DTypeError, OutOfRangeError, ShapeError

__all__ = [
    "Abstract",
    "AllOperands",
    "AnyOperand",
    "Primitive",
    "REGISTRY",
    "Rule",
    "VJP",
    "broadcast_shapes",
    "check_kind",
    "leading",
    "linear",
    "lined_up",
    "normalize_axis",
    "outside",
    "primitive",
    "same_dtype",
    "spoken",
]

Shape = tuple[int, ...]
Rule = Callable[..., Any]


class Abstract(Protocol):
    """What shape rules see: anything with a shape and a NumPy dtype."""

    @property
    def shape(self) -> Shape:
        """The size of each axis."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the stored elements."""


class AnyOperand:
    """The VJP column of a primitive with any number of operands: rule(position, g, out, ...)."""

    __slots__ = ("rule",)

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    def __getitem__(self, position: int) -> Rule:
        return partial(self.rule, position)


class AllOperands:
    """The VJP column where all cotangents come together: rule(g, out, *operands, **attributes)
    gives a sequence of them, one an operand, None where it has none.
    """

    __slots__ = ("rule",)

    def __init__(self, rule: Rule) -> None:
        self.rule = rule


VJP = Sequence[Rule | None] | AnyOperand | AllOperands | None


@dataclass(frozen=True, eq=False, slots=True)
class Primitive:
    """One row of the op table."""

    name: str
    infer: Callable[..., tuple[Shape, np.dtype[Any]]]
    evaluate: Callable[..., Any]
    vjp: VJP
    jvp: Rule | None = None
    batch: Rule | None = None

    def __repr__(self) -> str:
        return self.name


REGISTRY: dict[str, Primitive] = {}


def primitive(
    name: str,
    infer: Callable[..., tuple[Shape, np.dtype[Any]]],
    evaluate: Callable[..., Any],
    vjp: VJP,
    jvp: Rule | None = None,
    batch: Rule | None = None,
) -> Primitive:
    """Enter a row into the table."""
    assert name not in REGISTRY, name
    REGISTRY[name] = row = Primitive(name, infer, evaluate, vjp, jvp, batch)
    return row


# --- rules of forward mode and batching that several families share --------------------------


def linear(apply: Any, tangents: Sequence[Any], out: Any, *operands: Any, **attributes: Any) -> Any:
    """The JVP of what is linear in its first operand, and has no derivative in any other."""
    first = tangents[0]
    return None if first is None else apply(first, *operands[1:], **attributes)


def leading(
    apply: Any, size: int, batched: Sequence[bool], *operands: Any, **attributes: Any
) -> Any:
    """The batching rule of what computes all leading axes alike: one more, for every operand."""
    pairs = zip(operands, batched, strict=True)
    full = [x if b else x.expand((size, *x._value.shape)) for x, b in pairs]
    return apply(*full, **attributes)


def lined_up(batched: Sequence[bool], operands: Sequence[Any]) -> list[Any]:
    """The operands, which broadcast, with the axis of cases in front of all others.

    A case of lower rank than another operand gets axes of size 1 behind it.
    """
    if len(operands) == 1:
        return [*operands]
    ranks = [len(x._value.shape) - b for x, b in zip(operands, batched)]  # noqa: B905 (strict: time)
    rank = max(ranks)
    if min(ranks) == rank:
        return [*operands]
    return [
        _raised(x, rank - own) if b and own < rank else x
        for x, b, own in zip(operands, batched, ranks, strict=True)
    ]


def _raised(x: Any, by: int) -> Any:
    """Axes of size 1 behind the first."""
    shape = x._value.shape
    return x.reshape((shape[0], *(1,) * by, *shape[1:]))


# --- shape rules that several families share -------------------------------------------------


def broadcast_shapes(name: str, *shapes: Shape) -> Shape:
    """The NumPy broadcast of `shapes`, or a `ShapeError` that names the dimension that is off.

    >>> broadcast_shapes("add", (3, 1), (4,))
    (3, 4)
    """
    rank = max(map(len, shapes), default=0)
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    result = []
    for axis, sizes in enumerate(zip(*padded, strict=True)):
        distinct = set(sizes) - {1}
        if len(distinct) > 1:
            given = " and ".join(str(shape) for shape in shapes)
            raise ShapeError(
                f"{name}: shapes {given} do not broadcast: sizes "
                f"{' and '.join(map(str, sizes))} meet at dimension {axis - rank}. "
                "They must be equal, or one of them 1 (unsqueeze or reshape to line them up)"
            )
        result.append(distinct.pop() if distinct else 1)
    return tuple(result)


def same_dtype(name: str, *operands: Abstract) -> np.dtype[Any]:
    """The one dtype of all `operands`, or a `DTypeError`."""
    first = operands[0].dtype
    for operand in operands[1:]:
        if operand.dtype != first:
            kinds = ", ".join(spoken(o.dtype) for o in operands)
            raise DTypeError(f"{name}: operands of one dtype expected, got {kinds}")
    return first


def spoken(dtype: np.dtype[Any]) -> str:
    """The name a user knows a stored dtype by: storage types are records of one field."""
    return dtype.names[0] if dtype.names else dtype.name


def check_kind(name: str, dtype: np.dtype[Any], kinds: str) -> None:
    """A `DTypeError` unless the NumPy kind of `dtype` is one of `kinds`: f, i, u or b."""
    if dtype.kind in kinds:
        return
    if dtype.names:
        raise DTypeError(f"{name}: {spoken(dtype)} is to store, not to compute: use x.float()")
    remedy = "use x.long()" if "f" not in kinds else "cast first, for example x.float()"
    raise DTypeError(f"{name}: {spoken(dtype)} is not an element type it takes; {remedy}")


def outside(index: int, axis: int, shape: Shape, wrap: bool = True) -> OutOfRangeError:
    """The error for an `index` that dimension `axis` of `shape` does not have.

    With `wrap`, negative indices, from the end, would have been right too.
    """
    size = shape[axis]
    negative = f", or -{size} to -1" if wrap else ""
    expected = f"0 to {size - 1}{negative}" if size else "none: it is empty"
    return OutOfRangeError(
        f"index {index} is out of range for dimension {axis} of shape {shape}; expected {expected}"
    )


def normalize_axis(name: str, axis: int, rank: int) -> int:
    """`axis` counted from the front, or a `ShapeError` with the range that would be right.

    >>> normalize_axis("sum", -1, 3)
    2
    """
    try:
        axis = operator.index(axis)
    except TypeError:
        raise ShapeError(f"{name}: a dimension is an int, got {axis!r}") from None
    if not -rank <= axis < rank:
        allowed = f"{-rank} to {rank - 1}" if rank else "none: the tensor has rank 0"
        raise ShapeError(f"{name}: dimension {axis} of a tensor of rank {rank}; allowed: {allowed}")
    return axis % rank
