"""Reductions to few results, in blocks: partial results of each, and a loop that combines them.

    over i < 10000019: sum    becomes    for b < 64, over i < 156224: sum to partial[b]
                                         over i < 1683: sum to partial[64]
                                         over b < 65: sum of partial[b]; the tail

The points that are left are shared out among threads as they are; where they are too few for the
work there is, one of the reduced axes becomes two. How many blocks there are depends on the sizes
only, so that the same things are added in the same order by any number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from thalweg.compiler.kernels import Access, Buffer, Indirect, Kernel, Loop, Reduce, Scalar, Store
from thalweg.compiler.passes.operations import COST, LOAD_COST, STORE_COST
from thalweg.compiler.passes.views import elements, row_major

__all__ = ["in_blocks", "over", "split_reductions"]

Terms: TypeAlias = Sequence[Sequence[tuple[int, int]]]
_INT64 = np.dtype(np.int64)
_BLOCK = 300_000  # tenths of a nanosecond, as all costs: what is worth another thread's while
_MOST_BLOCKS = 64
_ENOUGH = 16  # parts that the points which are left fall into
_NEIGHBOURS = 64  # of those, if they stand side by side, so many are one part
_COST = {**COST, "load": LOAD_COST, "bits": COST["random_bits"]}
_LINE = 64  # long blocks are a multiple of this
_STRIP = 512  # columns that are added up together, at most
_BLOCK_BYTES = 768 << 10  # of a few rows, of all that is read and written
_ROWS = 16  # at least: as many numbers become one partial result


def split_reductions(kernels: Sequence[Kernel]) -> list[Kernel]:
    """The same kernels, large reductions to few results as several loops."""
    return [part for kernel in kernels for part in _parts(kernel)]


def in_blocks(loop: Loop, axis: int, blocks: int, size: int) -> list[Loop]:
    """The loops that do the same as `loop`, whose reduced `axis` falls into `blocks` of `size` and
    what is left over: partial results, and what combines them.

    The blocks are the first axis of the parts; that of the first part is followed by the axes of
    `loop`. Their first stores are those of the body.
    """
    return [*_Split(loop, axis, blocks, size, loop.space[axis] - blocks * size).loops()]


def _parts(kernel: Kernel) -> Sequence[Kernel]:
    if not isinstance(kernel, Loop) or not kernel.reductions:
        return [kernel]
    worth, left = _worth(kernel), _parts_left(kernel)
    long = [axis for axis in kernel.reduced if kernel.space[axis] > 1]
    if worth < 2 or not long:
        return [kernel]
    blocks = -(-worth // left) if left < _ENOUGH else 1
    axis = max(long, key=lambda axis: _fitness(kernel, axis, blocks))
    blocks = max(min(blocks, kernel.space[axis]), _near(kernel, axis))
    if blocks < 2:
        return [kernel]
    size = kernel.space[axis] // blocks
    size -= size % _LINE if size >= _LINE * _ENOUGH else 0
    return in_blocks(kernel, axis, blocks, size)


def _worth(loop: Loop) -> int:
    """In how many blocks the work should fall."""
    cost = sum(_COST.get(scalar.op, 0) for scalar in loop.body)
    cost += len(loop.reductions) + STORE_COST * len(loop.body_stores)
    return min(_MOST_BLOCKS, cost * elements(loop.space) // _BLOCK)


def _kept(loop: Loop) -> list[int]:
    return [axis for axis in range(len(loop.space)) if axis not in loop.reduced]


def _parts_left(loop: Loop) -> int:
    """Into how many parts the points that are left fall."""
    beside = _beside(loop)
    sizes = ((axis, loop.space[axis]) for axis in _kept(loop))
    return math.prod(-(-n // _NEIGHBOURS) if a in beside else n for a, n in sizes)


def _beside(loop: Loop) -> set[int]:
    """Axes that are left, along which most of what is reduced stands side by side."""
    reduced = [a.strides for a in _accesses(loop) if any(a.strides[n] for n in loop.reduced)]

    def is_beside(axis: int) -> bool:
        steps = [abs(strides[axis]) for strides in reduced if strides[axis]]
        return 2 * steps.count(1) > len(steps)

    return {axis for axis in _kept(loop) if is_beside(axis)}


def _near(loop: Loop, axis: int) -> int:
    """How many blocks of long rows are so short that they stay in a cache: columns are added up a
    few at a time, and the rows of a block are gone through once for each of these."""
    row = math.prod(loop.space[a] for a in _beside(loop))
    if row < _STRIP:
        return 1
    bytes = sum(a.buffer.dtype.itemsize for a in _accesses(loop) if a.strides[axis])
    rows = max(_ROWS, _BLOCK_BYTES // (bytes * row))
    return loop.space[axis] // (1 << (rows.bit_length() - 1))


def _accesses(loop: Loop) -> list[Access]:
    """What is addressed at each point."""
    loads = [s.attributes["access"] for s in loop.body if s.op == "load"]
    return loads + [store.access for store in loop.body_stores]


def _fitness(loop: Loop, axis: int, blocks: int) -> tuple[bool, int, int]:
    """The outermost axis in memory is best, if it is long enough, else the longest."""
    size = loop.space[axis]
    step = sum(abs(access.strides[axis]) for access in _accesses(loop))
    return size >= 2 * blocks, step if size >= 2 * blocks else size, -axis


class _Scalars:
    """Scalars over other axes, numbered anew.

    terms   of each old axis the new ones, with the steps that its counter makes along each
    starts  where its counter begins
    """

    def __init__(
        self,
        rank: int,
        terms: Terms,
        starts: Sequence[int],
        first: int = 0,
    ) -> None:
        self.rank, self.terms, self.starts = rank, terms, starts
        self.first = first
        self.scalars: list[Scalar] = []
        self.numbers: dict[int, int] = {}

    def emit(self, op: str, inputs: tuple[int, ...], dtype: Any, /, **attributes: Any) -> int:
        """The number of one more scalar."""
        self.scalars.append(Scalar(op, inputs, dtype, attributes))
        return self.first + len(self.scalars) - 1

    def take(self, number: int, scalar: Scalar) -> None:
        """Take over scalar `number`."""
        attributes = scalar.attributes
        if scalar.op == "index":
            self.numbers[number] = self.counter(attributes["axis"])
            return
        if scalar.op == "load":
            attributes = {"access": self.access(attributes["access"])}
        inputs = tuple(self.numbers[n] for n in scalar.inputs)
        self.numbers[number] = self.emit(scalar.op, inputs, scalar.dtype, **attributes)

    def counter(self, axis: int) -> int:
        """The number of the scalar that is the counter of an old axis."""
        total = self.emit("literal", (), _INT64, value=self.starts[axis])
        for new, step in self.terms[axis]:
            term = self.emit("index", (), _INT64, axis=new)
            if step != 1:
                size = self.emit("literal", (), _INT64, value=step)
                term = self.emit("multiply", (term, size), _INT64)
            total = self.emit("add", (total, term), _INT64)
        return total

    def access(self, old: Access) -> Access:
        """The same address."""
        strides, offset = [0] * self.rank, old.offset
        for stride, terms, start in zip(old.strides, self.terms, self.starts, strict=True):
            offset += stride * start
            for new, step in terms:
                strides[new] += stride * step
        parts = tuple(replace(part, index=self.numbers[part.index]) for part in old.indirect)
        return Access(old.buffer, offset, tuple(strides), parts)

    def stores(self, old: Sequence[Store]) -> list[Store]:
        """The same stores."""
        return [Store(self.numbers[store.value], self.access(store.access)) for store in old]


def over(loop: Loop, space: tuple[int, ...], terms: Terms) -> Loop:
    """`loop` over the axes of `space`: `terms` has of each old axis the new ones it becomes, with
    the steps that its counter makes along each."""
    scalars = _Scalars(len(space), terms, [0] * len(loop.space))
    for number, scalar in enumerate(loop.body):
        scalars.take(number, scalar)
    count = len(scalars.scalars)
    for number, scalar in enumerate(loop.tail, len(loop.body)):
        scalars.take(number, scalar)
    return replace(
        loop,
        space=space,
        body=tuple(scalars.scalars[:count]),
        stores=tuple(scalars.stores(loop.stores)),
        reduced=tuple(sorted(new for axis in loop.reduced for new, _ in terms[axis])),
        reductions=tuple(replace(r, value=scalars.numbers[r.value]) for r in loop.reductions),
        tail=tuple(scalars.scalars[count:]),
    )


@dataclass(slots=True)
class _Split:
    """A loop whose reduced `axis` is `count` blocks of `size`, and a rest.

    In its parts the number of the block is the first axis, and is left.
    """

    loop: Loop
    axis: int
    count: int
    size: int
    rest: int

    def loops(self) -> Iterator[Loop]:
        """The blocks, the rest, and what combines them."""
        found = [self._buffer(f"{n}", r.dtype) for n, r in enumerate(self.loop.reductions)]
        best = {
            number: self._buffer(f"best{number}", self.loop.body[r.value].dtype)
            for number, r in enumerate(self.loop.reductions)
            if r.kind.startswith("arg")
        }
        yield self._blocks(0, self.count, self.size, found, best)
        if self.rest:
            part = self._blocks(self.count, 1, self.rest, found, best)
            yield replace(part, label=f"{self.loop.label}, rest")
        yield self._combined(found, best)

    def _buffer(self, name: str, dtype: Any) -> Buffer:
        """A number for each block and each point that is left."""
        whole = self.loop.tail_stores[0].access.buffer
        size = self._count() * elements(self._left())
        return Buffer(f"{whole!r}.{name}", size, dtype, "temporary")

    def _count(self) -> int:
        return self.count + (self.rest > 0)

    def _left(self) -> tuple[int, ...]:
        return tuple(self.loop.space[axis] for axis in _kept(self.loop))

    def _place(self, buffer: Buffer, first: int, axes: Sequence[int], rank: int) -> Access:
        """Where a partial result stands: by block, from the `first` on, then by the other axes."""
        strides = [0] * rank
        strides[0] = elements(self._left())
        for axis, stride in zip(axes, row_major(self._left()), strict=True):
            strides[axis] = stride
        return Access(buffer, first * strides[0], tuple(strides))

    def _blocks(
        self, first: int, count: int, size: int, found: list[Buffer], best: dict[int, Buffer]
    ) -> Loop:
        """`count` blocks of `size`, from the `first` on: their results, and of positions the
        elements that stand there."""
        loop, axis, rank = self.loop, self.axis, 1 + len(self.loop.space)
        terms = [[(1 + a, 1)] for a in range(len(loop.space))]
        start = [*terms[:axis], [(0, size)], *terms[axis + 1 :]]  # of a block
        terms[axis] = [(0, size), (1 + axis, 1)]
        starts = [0] * len(loop.space)
        starts[axis] = first * self.size
        body = _Scalars(rank, terms, starts)
        for number, scalar in enumerate(loop.body):
            body.take(number, scalar)
        stores = body.stores(loop.body_stores)
        reductions = [replace(r, value=body.numbers[r.value]) for r in loop.reductions]
        tail = _Scalars(rank, start, starts, len(body.scalars))
        places = [1 + a for a in _kept(loop)]
        for number, r in enumerate(loop.reductions):
            value = tail.emit("reduced", (), r.dtype, number=number)
            if number in best:
                value = tail.emit("add", (value, tail.counter(axis)), _INT64)
                element = best[number]
                again = Reduce(_extreme(r), reductions[number].value, element.dtype)
                at = tail.emit("reduced", (), element.dtype, number=len(reductions))
                reductions.append(again)
                stores.append(Store(at, self._place(element, first, places, rank)))
            stores.append(Store(value, self._place(found[number], first, places, rank)))
        return replace(
            loop,
            space=(count, *loop.space[:axis], size, *loop.space[axis + 1 :]),
            body=tuple(body.scalars),
            stores=tuple(stores),
            reduced=tuple(1 + a for a in loop.reduced),
            reductions=tuple(reductions),
            tail=tuple(tail.scalars),
        )

    def _combined(self, found: list[Buffer], best: dict[int, Buffer]) -> Loop:
        """Over all blocks, with the tail of the whole."""
        loop, kept = self.loop, _kept(self.loop)
        rank = 1 + len(kept)
        terms = [[(1 + kept.index(a), 1)] if a in kept else [] for a in range(len(loop.space))]
        nowhere = [0] * len(loop.space)
        body = _Scalars(rank, terms, nowhere)
        reductions = []
        for number, r in enumerate(loop.reductions):
            source = best.get(number, found[number])
            access = self._place(source, 0, range(1, rank), rank)
            value = body.emit("load", (), source.dtype, access=access)
            reductions.append(replace(r, value=value))
        tail = _Scalars(rank, terms, nowhere, len(body.scalars))
        for number, scalar in enumerate(loop.tail, len(loop.body)):
            tail.take(number, scalar)
            result = scalar.attributes.get("number")
            if scalar.op == "reduced" and result in best:
                access = self._place(found[result], 0, range(1, rank), rank)
                step, block = access.strides[0], tail.numbers[number]
                there = Indirect(block, step, self._count(), wrap=False)
                access = Access(found[result], 0, (0, *access.strides[1:]), (there,))
                tail.numbers[number] = tail.emit("load", (), _INT64, access=access)
        return replace(
            loop,
            space=(self._count(), *self._left()),
            body=tuple(body.scalars),
            stores=tuple(tail.stores(loop.tail_stores)),
            reduced=(0,),
            reductions=tuple(reductions),
            tail=tuple(tail.scalars),
            label=f"{loop.label}, joined",
        )


def _extreme(reduction: Reduce) -> Any:
    return "max" if reduction.kind == "argmax" else "min"
