"""Scatter kernels: target[computed places] += value, point after point in row-major order.

Vectors run along an axis that the target has side by side and no index depends on (the columns of
an embedding's gradient); without one, points are added one at a time. Such an axis may stand
innermost, because the points that meet in one element keep their order.
"""

from __future__ import annotations

from thalweg.compiler.kernels import Loop, Scatter
from thalweg.compiler.lower.body import Body, Turn
from thalweg.compiler.lower.emit import Builder
from thalweg.compiler.lower.lowered import Lowered, finished
from thalweg.compiler.lower.nest import Vectors, accesses, dependencies, in_order
from thalweg.compiler.lower.work import work_of
from thalweg.compiler.machine import Machine

__all__ = ["lower_scatter"]


def lower_scatter(kernel: Scatter, name: str, machine: Machine) -> Lowered:
    """The native code of a scatter kernel."""
    loop = in_order(Loop(kernel.space, kernel.body, (kernel.store,)))
    buffers = tuple(dict.fromkeys(access.buffer for access in accesses(loop)))
    b = Builder()
    _fill(b, kernel)
    if 0 not in loop.space:
        vectors = _vectors(loop, machine)
        body = Body(b, loop.body, dependencies(loop), vectors, buffers)
        _Points(b, loop, vectors, body).emit()
    work = work_of(loop, machine)
    moved = work.bytes + kernel.target_size * kernel.store.access.buffer.dtype.itemsize
    return finished(name, buffers, b, 1, work.flops, moved)


def _fill(b: Builder, kernel: Scatter) -> None:
    b.declarations.add("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
    bytes = kernel.target_size * kernel.store.access.buffer.dtype.itemsize
    b.emit(f"call void @llvm.memset.p0.i64(ptr %b0, i8 0, i64 {bytes}, i1 false)")


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
            self._along_vectors(axis, depth)
            return
        with self.b.loop(0, self.loop.space[axis]) as turn:
            self.body.counters[axis] = turn.index
            self.body.compute(self.levels[depth + 1], [self.root], {})
            self._loop(depth + 1)

    def _along_vectors(self, axis: int, depth: int) -> None:
        size, lanes = self.loop.space[axis], self.vectors.lanes
        full = size // lanes * lanes
        if full:
            with self.b.loop(0, full, lanes) as loop:
                self._vector(Turn(loop.index, None, dict(self.root.values)), depth)
        if rest := size - full:
            mask = self.b.first_lanes(rest, lanes)
            self._vector(Turn(self.b.integer(full), mask, dict(self.root.values)), depth)

    def _vector(self, turn: Turn, depth: int) -> None:
        self.body.compute(self.levels[depth + 1], [turn], {})
        self._point(turn)

    def _point(self, turn: Turn) -> None:
        store = self.loop.stores[0]
        self.body.add(turn.values[store.value], store.access, turn)
