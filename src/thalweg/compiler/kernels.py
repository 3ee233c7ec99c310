"""Kernels: what fusion makes of a graph, and what lowering turns into native code.

    Plan    ::=  buffers  Kernel*                         in order of execution
    Kernel  ::=  Loop | Chain | Contraction | Scatter | Sort | Scan | Host | Repeat | Branch
    Loop    ::=  for every point of `space`: body; stores; over `reduced` axes: reduce; tail; stores
    body    ::=  Scalar*                                  a straight-line list, like the graph
    Chain   ::=  for every few rows: Loop*                what lies between stays in a cache
    Repeat  ::=  Kernel*; then `count` times: Kernel*     over slices of buffers
    Branch  ::=  Kernel* or Kernel*

Everything here is about scalars and addresses. A value at a point of the loops is read from a
buffer at an affine address,

    address = offset + sum over axes of stride[axis] * i[axis] (+ computed indices * strides),

so that transposition, slicing, broadcasting, flipping and (where strides allow) reshaping cost
nothing: they are other strides. All sizes are static; all offsets and strides count elements.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

from thalweg.compiler.graph import Origin

__all__ = [
    "Access",
    "Ahead",
    "Axis",
    "Branch",
    "Buffer",
    "Chain",
    "Contraction",
    "Host",
    "Indirect",
    "Kernel",
    "Link",
    "Loop",
    "Margin",
    "Places",
    "Plan",
    "Reduce",
    "Repeat",
    "Scalar",
    "Scan",
    "Scatter",
    "Sort",
    "Store",
    "View",
    "leaves",
]

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Buffer:
    """A stretch of memory of `size` elements. Two distinct buffers of a kernel never overlap.

    kind    "input" (given by the caller), "output" (given by the caller, written),
            "state" (given, read and written in place), "temporary" (in the arena, at `place` bytes)
    """

    name: str
    size: int
    dtype: np.dtype[Any]
    kind: Literal["input", "output", "state", "temporary"]
    place: int = 0

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class View:
    """A tensor laid over a buffer: element [i, j, ..] stands at offset + i s0 + j s1 + .."""

    buffer: Buffer
    offset: int
    shape: Shape
    strides: Shape


@dataclass(frozen=True, slots=True)
class Indirect:
    """A computed part of an address: scalar number `index` (an integer) times `stride`.

    The index must be in [0, size), or with `wrap` in [-size, size); what is outside is an error:
    the kernel raises the program's error flag and reads (or adds to) element 0 instead.
    """

    index: int
    stride: int
    size: int
    wrap: bool


@dataclass(frozen=True, slots=True)
class Access:
    """An address at each point of the loops: a stride for every loop axis, 0 if it is constant."""

    buffer: Buffer
    offset: int
    strides: Shape
    indirect: tuple[Indirect, ...] = ()


@dataclass(frozen=True, slots=True)
class Scalar:
    """One scalar operation of a body; operands are numbers of earlier scalars of the same kernel.

    op is the name of an elementwise primitive of the op table ("add", "exp", "select", "cast",
    "scalar_power", ...) with its attributes, or one of

        "load"      attributes: access            the element there
        "literal"   attributes: value
        "index"     attributes: axis              the loop counter, int64
        "bits"      inputs: key, counter, n       word n (int64) of the Philox stream, uint32
        "reduced"   attributes: number            in a tail: the result of reductions[number]
        "sum"       in a contraction's epilogue: the finished element of the product
    """

    op: str
    inputs: tuple[int, ...]
    dtype: np.dtype[Any]
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reduce:
    """Combine scalar number `value` over the reduced axes; argmax and argmin give the position
    (int64) along the one reduced axis, the first of equals."""

    kind: Literal["sum", "prod", "max", "min", "argmax", "argmin"]
    value: int
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class Store:
    """Write scalar number `value` to `access`."""

    value: int
    access: Access


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop nest over `space`.

    At each point `body`, and the stores of its scalars. Over the axes in `reduced` the reductions
    combine what is there; then, at each point of the other axes, `tail` and the stores of its
    scalars. Scalars are numbered through body and tail, and so belongs a store to one or the other.
    Accesses have a stride for every axis of `space`, 0 for reduced ones in the tail and its stores.
    Points may be visited in any order; reductions combine in a fixed one, the same for any number
    of threads.
    """

    space: Shape
    body: tuple[Scalar, ...]
    stores: tuple[Store, ...]
    reduced: tuple[int, ...] = ()
    reductions: tuple[Reduce, ...] = ()
    tail: tuple[Scalar, ...] = ()
    origins: tuple[Origin, ...] = ()
    label: str = ""

    @property
    def body_stores(self) -> tuple[Store, ...]:
        """Those at each point."""
        return tuple(store for store in self.stores if store.value < len(self.body))

    @property
    def tail_stores(self) -> tuple[Store, ...]:
        """Those after the reductions."""
        return tuple(store for store in self.stores if store.value >= len(self.body))


@dataclass(frozen=True, slots=True)
class Chain:
    """Loops one after the other, for a few rows at a time.

    rows    the points of the first axes of each loop, the outermost of those that are kept
    loops   what one writes, another reads and writes at the same row only
    within  buffers that nobody else touches: only a few rows of them stand anywhere at a time
    """

    rows: int
    loops: tuple[Loop, ...]
    within: tuple[Buffer, ...] = ()
    origins: tuple[Origin, ...] = ()
    label: str = ""

    def lead(self, loop: Loop) -> int:
        """How many of the first axes of a loop count the rows."""
        count, axes = 1, 0
        while count < self.rows:
            count *= loop.space[axes]
            axes += 1
        return axes


@dataclass(frozen=True, slots=True)
class Axis:
    """A loop of a contraction: its size and its strides in both operands (0: does not occur)."""

    size: int
    a: int
    b: int


@dataclass(frozen=True, slots=True)
class Margin:
    """An operand is 0 where step * i + inside * j is not in [low, high): i counts the axis of size
    `count` and stride `row` in it, of A one of the rows, j that of `size` and stride `inner`, of A
    an inner one. Such products need not be made."""

    row: int
    count: int
    inner: int
    size: int
    step: int
    inside: int
    low: int
    high: int

    @property
    def share(self) -> float:
        """The part of all pairs i, j that is within: of the products that must be made."""
        pairs = itertools.product(range(self.count), range(self.size))
        places = [self.step * i + self.inside * j for i, j in pairs]
        return sum(self.low <= place < self.high for place in places) / max(1, len(places))


@dataclass(frozen=True, slots=True)
class Ahead:
    """Rows of `table` that the next run of the program will gather, asked for in this one's: number
    i < `count` of them is `length` neighbours from offset + stride * n on, where n, below `size`
    and counted from there where negative, is element start + step * i of what `index` will be."""

    index: Buffer
    start: int
    step: int
    count: int
    table: Buffer
    offset: int
    stride: int
    size: int
    length: int


@dataclass(frozen=True, slots=True)
class Places:
    """Where an operand (0: A, 1: B) stands along one axis, number `axis` of `role`: point i is at
    element buffer[i] from the operand's offset on. The axis' stride there says only how far apart
    neighbours would be if they were copied together."""

    operand: int
    role: Literal["rows", "columns", "inner"]
    axis: int
    buffer: Buffer


@dataclass(frozen=True, slots=True)
class Contraction:
    """sum over `inner` of A * B, for every point of batch x rows x columns, then the epilogue.

    batch axes occur in both operands, rows in A only, columns in B only, inner in both. With
    more than one inner axis, or rows of two axes, a convolution is of this form too: A's strides
    are those of the (padded) image, an element may be read several times; `margins` tell where
    that is padding. Where B is such an image, as in weight gradients, `others` tell of that:
    these products are made all the same.

    The epilogue is a body over the space (batch.., rows.., columns..) whose scalar 0 is the op
    "sum", the finished element; its accesses and `stores` have a stride for each of these axes.
    `final` are the numbers of stores that only the last run of a scan needs: where their buffer's
    address is null, they are left out. `places`: one operand's rows lie anywhere. `ahead` has no
    part in the result.
    """

    a: Buffer
    a_offset: int
    b: Buffer
    b_offset: int
    batch: tuple[Axis, ...]
    rows: tuple[Axis, ...]
    columns: tuple[Axis, ...]
    inner: tuple[Axis, ...]
    epilogue: tuple[Scalar, ...]
    stores: tuple[Store, ...]
    origins: tuple[Origin, ...] = ()
    label: str = ""
    margins: tuple[Margin, ...] = ()
    others: tuple[Margin, ...] = ()
    ahead: Ahead | None = None
    final: tuple[int, ...] = ()
    places: Places | None = None

    @property
    def share(self) -> float:
        """The part of all products that must be made."""
        return math.prod(margin.share for margin in (*self.margins, *self.others))


@dataclass(frozen=True, slots=True)
class Scatter:
    """target[..] += value at computed places, point after point in row-major order of `space`.

    The target, contiguous, is first filled with 0. `body` computes the value and the indices; the
    access of `store` has the indirect parts. Points that may meet in an element keep their order,
    so that the order of additions never changes; others may be visited in any, and by any thread.
    """

    space: Shape
    body: tuple[Scalar, ...]
    store: Store
    target_size: int
    origins: tuple[Origin, ...] = ()
    label: str = ""


@dataclass(frozen=True, slots=True)
class Sort:
    """The stable order (int64) that sorts `source` along its last axis; NaN counts as largest."""

    source: View
    target: View
    descending: bool
    origins: tuple[Origin, ...] = ()
    label: str = ""


@dataclass(frozen=True, slots=True)
class Scan:
    """The cumulative sum of `source` along its last axis."""

    source: View
    target: View
    origins: tuple[Origin, ...] = ()
    label: str = ""


@dataclass(frozen=True, slots=True)
class Host:
    """A primitive that NumPy evaluates, called back by the program: linear algebra, by LAPACK.

    The calling thread does it. It may fail, as on a singular matrix: then it raises the program's
    error flag.
    """

    primitive: str
    attributes: Mapping[str, Any]
    sources: tuple[View, ...]
    target: View
    origins: tuple[Origin, ...] = ()
    label: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """Where a buffer of a round, or of a branch, stands: in `outer`, from element `offset` on, and
    in each round `step` elements further."""

    inner: Buffer
    outer: Buffer
    offset: int = 0
    step: int = 0


@dataclass(frozen=True, slots=True)
class Repeat:
    """Rounds of kernels, one after the other.

    first    run once, before: they write what is carried from round to round
    kernels  of a round, over buffers of its own: those with a link, and temporaries
    arena    a stretch of memory, in bytes, that the temporaries of a round stand in
    """

    count: int
    first: tuple[Kernel, ...]
    kernels: tuple[Kernel, ...]
    links: tuple[Link, ...]
    arena: Buffer
    origins: tuple[Origin, ...] = ()
    label: str = ""


@dataclass(frozen=True, slots=True)
class Branch:
    """One of two lists of kernels.

    pred   a buffer and the number of an element in it, a bool: whether it is the first
    sides  their kernels, over buffers of their own: those with a link, and temporaries
    arena  a stretch of memory, in bytes, that the temporaries of the chosen side stand in
    """

    pred: tuple[Buffer, int]
    sides: tuple[tuple[Kernel, ...], tuple[Kernel, ...]]
    links: tuple[Link, ...]
    arena: Buffer
    origins: tuple[Origin, ...] = ()
    label: str = ""


Kernel: TypeAlias = Loop | Chain | Contraction | Scatter | Sort | Scan | Host | Repeat | Branch


def leaves(kernels: Iterable[Kernel], times: int = 1) -> Iterator[tuple[Kernel, int]]:
    """The kernels that are made of no others, in order, and how often each runs, if it does."""
    for kernel in kernels:
        if isinstance(kernel, Repeat):
            yield from leaves(kernel.first, times)
            yield from leaves(kernel.kernels, times * kernel.count)
        elif isinstance(kernel, Branch):
            for side in kernel.sides:
                yield from leaves(side, times)
        else:
            yield kernel, times


@dataclass(slots=True)
class Plan:
    """Kernels in order of execution, over buffers.

    inputs    the buffer of each graph input, in order
    outputs   where each output of the graph stands when all kernels have run, contiguous
    input_orders, output_orders   the axes in memory, outermost first, of those that do not lie in
              row-major order
    updates   for each state: (number of the graph input, number of the graph output) that share
              a buffer: the output is the input's new value, written in place
    arena     bytes of all temporaries together
    """

    kernels: list[Kernel]
    inputs: list[Buffer]
    outputs: list[View]
    updates: dict[int, int]
    arena: int
    input_orders: dict[int, tuple[int, ...]] = field(default_factory=dict)
    output_orders: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        from thalweg.compiler.describe import describe_plan  # which reads this module

        return describe_plan(self)
