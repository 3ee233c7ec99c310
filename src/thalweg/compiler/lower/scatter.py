"""Scatter kernels: target[computed places] += value, point after point in row-major order.

Vectors run along an axis that the target has side by side and no index depends on (the columns of
an embedding's gradient); without one, points are added one at a time. Such an axis may stand
innermost, because the points that meet in one element keep their order.
"""

from __future__ import annotations

from collections.abc import Callable

from thalweg.compiler.kernels import Loop, Scatter
from thalweg.compiler.lower.body import Body, Turn
from thalweg.compiler.lower.emit import BOOL, Builder
from thalweg.compiler.lower.lowered import Lowered, finished
from thalweg.compiler.lower.nest import Vectors, accesses, dependencies, in_order
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
    points = _Points(b, loop, vectors, body)
    if _in_columns(kernel, loop, vectors):
        points.share(work.blocks)
    if points.blocks > 1:
        points.fill(kernel.target_size)
    else:
        _fill(b, kernel)
    points.emit()
    return finished(name, buffers, b, points.blocks, work.flops, moved)


def _fill(b: Builder, kernel: Scatter) -> None:
    b.declarations.add("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
    bytes = kernel.target_size * kernel.store.access.buffer.dtype.itemsize
    b.emit(f"call void @llvm.memset.p0.i64(ptr %b0, i8 0, i64 {bytes}, i1 false)")


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
    def __init__(self, b: Builder, loop: Loop, vectors: Vectors, body: Body) -> None:
        self.b, self.loop, self.vectors, self.body = b, loop, vectors, body
        self.order = [axis for axis in range(len(loop.space)) if axis != vectors.axis]
        if vectors.axis is not None:
            self.order.append(vectors.axis)
        self.levels: list[list[int]] = [[] for _ in range(len(self.order) + 1)]
        for number, axes in enumerate(body.depends):
            level = max((self.order.index(axis) + 1 for axis in axes), default=0)
            self.levels[level].append(number)
        self.root = Turn(b.integer(0))
        self.blocks, self.low, self.high = 1, b.integer(0), b.integer(self._turns())

    def _turns(self) -> int:
        """Full vectors along the vector axis."""
        return 0 if self.vectors.axis is None else self._width() // self.vectors.lanes

    def _width(self) -> int:
        assert self.vectors.axis is not None
        return self.loop.space[self.vectors.axis]

    def share(self, blocks: int) -> None:
        """Let blocks do a few columns each, in all rows."""
        turns = self._turns()
        blocks = min(blocks, turns)
        if blocks > 1:
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
            mask = self.b.first_lanes(rest, lanes)
            last = self.b.op(f"icmp eq i64 %high, {self.blocks}", BOOL)
            with self.b.when(last):
                inside(Turn(self.b.integer(full), mask, dict(self.root.values)))

    def emit(self) -> None:
        """All points."""
        self.body.compute(self.levels[0], [self.root], {})
        self._loop(0)

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
