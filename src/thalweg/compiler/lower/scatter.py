"""Scatter kernels: target[computed places] += value, point after point in row-major order.

Vectors run along an axis that the target has side by side and no index depends on (the columns of
an embedding's gradient); without one, points are added one at a time. Such an axis may stand
innermost, because the points that meet in one element keep their order.

For the same reason axes along which all that may be added to is apart (the images and channels of
a pooling's gradient) stand outermost: whatever is computed of a place remains within a stretch of
the target, and threads share the stretches.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Literal

from thalweg.compiler.kernels import Loop, Scatter
from thalweg.compiler.lower.body import Body, Turn
from thalweg.compiler.lower.emit import BOOL, Builder
from thalweg.compiler.lower.lowered import Lowered, finished
from thalweg.compiler.lower.nest import Vectors, accesses, dependencies, in_order, points
from thalweg.compiler.lower.scan import rows_of_blocks
from thalweg.compiler.lower.work import work_of
from thalweg.compiler.machine import Machine

__all__ = ["lower_scatter"]


def lower_scatter(kernel: Scatter, name: str, machine: Machine) -> Lowered:
    """The native code of a scatter kernel."""
    loop = in_order(Loop(kernel.space, kernel.body, (kernel.store,)))
    buffers = tuple(dict.fromkeys(access.buffer for access in accesses(loop)))
    work = work_of(loop, machine)
    moved = work.bytes + kernel.target_size * kernel.store.access.buffer.dtype.itemsize
    b = Builder()
    if 0 in loop.space:
        _fill(b, kernel)
        return finished(name, buffers, b, 1, work.flops, moved)
    vectors = _vectors(loop, machine)
    body = Body(b, loop.body, dependencies(loop), vectors, buffers)
    nest = _Points(b, loop, vectors, body)
    if nest.stretch and nest.stretch * nest.stretches == kernel.target_size:
        nest.share_stretches(work.blocks)
    elif _in_columns(kernel, loop, vectors):
        nest.share_columns(work.blocks)
    if nest.shares == "columns":
        nest.fill(kernel.target_size)
    elif not nest.shares:
        _fill(b, kernel)
    nest.emit()
    return finished(name, buffers, b, nest.blocks, work.flops, moved)


def _fill(b: Builder, kernel: Scatter) -> None:
    _clear(b, "%b0", kernel.target_size * kernel.store.access.buffer.dtype.itemsize)


def _clear(b: Builder, pointer: str, bytes: int) -> None:
    b.declarations.add("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
    b.emit(f"call void @llvm.memset.p0.i64(ptr {pointer}, i8 0, i64 {bytes}, i1 false)")


def _apart(loop: Loop, vectors: Vectors) -> tuple[list[int], int]:
    """The axes, farthest steps first, of which each pair of points is added to other elements; and
    the stretch of the target that a point of these has, 0 if they are not side by side."""
    access, space = loop.stores[0].access, loop.space
    steps = {a: s for a, s in enumerate(access.strides) if s > 0 and a != vectors.axis}
    axes = sorted(steps, key=lambda axis: -steps[axis])
    inside = sum((part.size - 1) * abs(part.stride) for part in access.indirect)
    inside += sum((n - 1) * abs(s) for n, s in zip(space, access.strides, strict=True))
    apart: list[int] = []
    for axis in axes:
        within = inside - (space[axis] - 1) * steps[axis]
        if steps[axis] <= within:
            break
        apart.append(axis)
        inside = within
    beside = all(steps[a] == steps[b] * space[b] for a, b in pairwise(apart))
    stretch = steps[apart[-1]] if apart and beside else 0
    fits = min(access.strides, default=0) >= 0 and access.offset + inside < stretch
    return apart, stretch if fits else 0


def _in_columns(kernel: Scatter, loop: Loop, vectors: Vectors) -> bool:
    """Whether the target is a matrix whose columns are the vector axis: blocks can share them."""
    if vectors.axis is None:
        return False
    width, access = loop.space[vectors.axis], loop.stores[0].access
    others = [stride for axis, stride in enumerate(access.strides) if axis != vectors.axis]
    others += [indirect.stride for indirect in access.indirect]
    return not any(step % width for step in (access.offset, kernel.target_size, *others))


def _vectors(loop: Loop, machine: Machine) -> Vectors:
    """Along the axis of unit stride in the target, if no index depends on it."""
    depends = dependencies(loop)
    access = loop.stores[0].access
    used = frozenset().union(*(depends[indirect.index] for indirect in access.indirect))
    for axis, stride in enumerate(access.strides):
        if stride == 1 and axis not in used:
            lanes = machine.vector_bits // (8 * access.buffer.dtype.itemsize)
            return Vectors(axis, min(lanes, 1 << (loop.space[axis] - 1).bit_length()))
    return Vectors(None, 1)


class _Points:
    """All points in their order, but those of axes `apart` first; `shares` says what blocks are."""

    def __init__(self, b: Builder, loop: Loop, vectors: Vectors, body: Body) -> None:
        self.b, self.loop, self.vectors, self.body = b, loop, vectors, body
        self.apart, self.stretch = _apart(loop, vectors)
        inner = [axis for axis in range(len(loop.space)) if axis not in (*self.apart, vectors.axis)]
        self.order = [*self.apart, *inner]
        if vectors.axis is not None:
            self.order.append(vectors.axis)
        self.levels: list[list[int]] = [[] for _ in range(len(self.order) + 1)]
        for number, axes in enumerate(body.depends):
            level = max((self.order.index(axis) + 1 for axis in axes), default=0)
            self.levels[level].append(number)
        self.root = Turn(b.integer(0))
        self.shares: Literal["stretches", "columns"] | None = None
        self.blocks, self.low, self.high = 1, b.integer(0), b.integer(self._turns())

    @property
    def stretches(self) -> int:
        """The points of the axes whose parts of the target are apart."""
        return points([self.loop.space[axis] for axis in self.apart])

    def share_stretches(self, blocks: int) -> None:
        """Let blocks do a few stretches each."""
        self.shares = "stretches"
        self.blocks = -(-self.stretches // -(-self.stretches // blocks))

    def _turns(self) -> int:
        """Full vectors along the vector axis."""
        return 0 if self.vectors.axis is None else self._width() // self.vectors.lanes

    def _width(self) -> int:
        assert self.vectors.axis is not None
        return self.loop.space[self.vectors.axis]

    def share_columns(self, blocks: int) -> None:
        """Let blocks do a few columns each, in all rows, if there are enough."""
        turns = self._turns()
        blocks = min(blocks, turns)
        if blocks > 1:
            self.shares = "columns"
            self.blocks = -(-turns // -(-turns // blocks))
            self.low, self.high = rows_of_blocks(self.b, turns, blocks)

    def fill(self, size: int) -> None:
        """0 in the columns of the blocks."""
        access = self.loop.stores[0].access
        dtype, lanes, width = access.buffer.dtype, self.vectors.lanes, self._width()
        with self.b.loop(0, size // width) as row:

            def clear(turn: Turn) -> None:
                place = row.index * width + turn.start
                pointer = self.b.pointer("%b0", dtype, place)
                self.b.store(self.b.constant(0, dtype, lanes), pointer, turn.mask)

            self._columns(clear)

    def _columns(self, inside: Callable[[Turn], None]) -> None:
        """`inside` for the vectors of the blocks, the last one under a mask."""
        lanes = self.vectors.lanes
        full = self._turns() * lanes
        if full:
            low, high = self.low * lanes, self.high * lanes
            with self.b.loop(low, high, lanes, unrolled=False) as loop:
                inside(Turn(loop.index, None, dict(self.root.values)))
        if rest := self._width() - full:
            last = Turn(self.b.integer(full), self.b.first_lanes(rest, lanes))
            last.values = dict(self.root.values)
            if self.shares != "columns":
                inside(last)
                return
            with self.b.when(self.b.op(f"icmp eq i64 %high, {self.blocks}", BOOL)):
                inside(last)

    def emit(self) -> None:
        """All points."""
        self.body.compute(self.levels[0], [self.root], {})
        if self.shares != "stretches":
            self._loop(0)
            return
        access = self.loop.stores[0].access
        dtype = access.buffer.dtype
        low, high = rows_of_blocks(self.b, self.stretches, self.blocks)
        with self.b.loop(low, high, unrolled=False) as turn:
            start = self.b.pointer("%b0", dtype, turn.index * self.stretch)
            _clear(self.b, start, self.stretch * dtype.itemsize)
            self.body.count(turn.index, self.apart, self.loop.space)
            for level in range(1, len(self.apart) + 1):
                self.body.compute(self.levels[level], [self.root], {})
            self._loop(len(self.apart))

    def _loop(self, depth: int) -> None:
        if depth == len(self.order):
            self._point(self.root)
            return
        axis = self.order[depth]
        if axis == self.vectors.axis:
            self._columns(lambda turn: self._vector(turn, depth))
            return
        with self.b.loop(0, self.loop.space[axis]) as turn:
            self.body.counters[axis] = turn.index
            self.body.compute(self.levels[depth + 1], [self.root], {})
            self._loop(depth + 1)

    def _vector(self, turn: Turn, depth: int) -> None:
        self.body.compute(self.levels[depth + 1], [turn], {})
        self._point(turn)

    def _point(self, turn: Turn) -> None:
        store = self.loop.stores[0]
        self.body.add(turn.values[store.value], store.access, turn)
