"""The slow interpreter of a plan: the oracle of fusion, of memory planning and of lowering.

Kernels run one by one, each as array operations of NumPy over all its points. Temporaries lie in
one arena of bytes, as in the native program, so that a plan that overlaps live buffers is wrong
here as well. With `poison`, a temporary is overwritten with garbage as soon as it is dead.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.compiler.hazards import check_rows
from thalweg.compiler.kernels import (
    Access,
    Axis,
    Branch,
    Buffer,
    Chain,
    Contraction,
    Host,
    Kernel,
    Loop,
    Places,
    Plan,
    Repeat,
    Scalar,
    Scan,
    Scatter,
    Sort,
    Store,
    View,
)
from thalweg.compiler.passes.plan.memory import lifetimes, reads_of, writes_of
from thalweg.errors import OutOfRangeError, TraceError
from thalweg.primitives import REGISTRY
from thalweg.primitives.sources import _philox

__all__ = ["check_hazards", "run"]

_POISON = 0xA5


def run(plan: Plan, arrays: Sequence[Any], poison: bool = True) -> list[Any]:
    """The outputs of `plan` for the values `arrays` of its inputs, which stay as they are.

    Raises `OutOfRangeError` where a computed index is outside its axis, and `TraceError` where a
    kernel reads what it overwrites at another point.
    """
    memory = _Memory(plan, arrays)
    lives = lifetimes(plan.kernels)
    for position, kernel in enumerate(plan.kernels):
        check_hazards(kernel)
        with np.errstate(all="ignore"):
            _run(kernel, memory)
        if poison:
            for buffer, (_, last) in lives.items():
                if last == position:
                    memory[buffer].view(np.uint8)[:] = _POISON
    return [memory.view(view).copy() for view in plan.outputs]


class _Memory:
    """The array of each buffer: of a temporary, a part of the arena."""

    def __init__(self, plan: Plan, arrays: Sequence[Any]) -> None:
        self.arena = np.full(plan.arena, _POISON, np.uint8)
        self.given: dict[Buffer, Any] = {}
        for buffer, array in zip(plan.inputs, arrays, strict=True):
            self.given[buffer] = np.array(array, buffer.dtype).reshape(-1)

    def __getitem__(self, buffer: Buffer) -> Any:
        if buffer.kind == "temporary" and buffer not in self.given:
            end = buffer.place + buffer.size * buffer.dtype.itemsize
            return self.arena[buffer.place : end].view(buffer.dtype)
        if buffer not in self.given:
            garbage = np.full(buffer.size * buffer.dtype.itemsize, _POISON, np.uint8)
            self.given[buffer] = garbage.view(buffer.dtype)
        return self.given[buffer]

    def view(self, view: View) -> Any:
        """The elements of a view, as an array of its shape."""
        return self[view.buffer][_grid(view.offset, view.shape, view.strides)]


def _grid(offset: int, sizes: Sequence[int], strides: Sequence[int]) -> Any:
    """The address at each point of loops."""
    total = np.full(tuple(sizes), offset, np.int64)
    for axis, (size, stride) in enumerate(zip(sizes, strides, strict=True)):
        shape = [1] * len(sizes)
        shape[axis] = size
        total += stride * np.arange(size).reshape(shape)
    return total


# --- kernels -------------------------------------------------------------------------------------


def _run(kernel: Kernel, memory: _Memory) -> None:
    if isinstance(kernel, Repeat):
        _repeat(kernel, memory)
    elif isinstance(kernel, Branch):
        _branch(kernel, memory)
    elif isinstance(kernel, Chain):
        _chain(kernel, memory)
    elif isinstance(kernel, Loop):
        _loop(kernel, memory)
    elif isinstance(kernel, Contraction):
        _contraction(kernel, memory)
    elif isinstance(kernel, Scatter):
        _scatter(kernel, memory)
    elif isinstance(kernel, Sort):
        source = memory.view(kernel.source)
        op = REGISTRY["argsort"].evaluate
        order = op(source, axis=source.ndim - 1, descending=kernel.descending)
        _write(kernel.target, order, memory)
    elif isinstance(kernel, Host):
        operands = [memory.view(view) for view in kernel.sources]
        result = REGISTRY[kernel.primitive].evaluate(*operands, **kernel.attributes)
        _write(kernel.target, result, memory)
    else:
        assert isinstance(kernel, Scan)
        source = memory.view(kernel.source)
        _write(kernel.target, np.add.accumulate(source, axis=-1, dtype=source.dtype), memory)


def _repeat(kernel: Repeat, memory: _Memory) -> None:
    for before in kernel.first:
        _run(before, memory)
    for turn in range(kernel.count):
        for link in kernel.links:
            start = link.offset + turn * link.step
            memory.given[link.inner] = memory[link.outer][start : start + link.inner.size]
        for inner in kernel.kernels:
            check_hazards(inner)
            _run(inner, memory)


def _branch(kernel: Branch, memory: _Memory) -> None:
    buffer, element = kernel.pred
    for link in kernel.links:
        end = link.offset + link.inner.size
        memory.given[link.inner] = memory[link.outer][link.offset : end]
    for inner in kernel.sides[0 if memory[buffer][element] else 1]:
        check_hazards(inner)
        _run(inner, memory)


def _chain(kernel: Chain, memory: _Memory) -> None:
    """One loop after the other, each over all rows."""
    for buffer in kernel.within:
        garbage = np.full(buffer.size * buffer.dtype.itemsize, _POISON, np.uint8)
        memory.given[buffer] = garbage.view(buffer.dtype)
    check_rows(kernel)
    for loop in kernel.loops:
        check_hazards(loop)
        _run(loop, memory)


def _write(view: View, values: Any, memory: _Memory) -> None:
    memory[view.buffer][_grid(view.offset, view.shape, view.strides)] = values


def _loop(kernel: Loop, memory: _Memory) -> None:
    points = _Points(kernel.space, memory)
    points.compute(kernel.body)
    points.store(kernel.body_stores)
    if kernel.reductions:
        results = [
            _reduced(points.values[r.value], kernel, r.kind, r.dtype) for r in kernel.reductions
        ]
        points.shape = results[0].shape
        points.reduced = results
        points.compute(kernel.tail)
        points.store(kernel.tail_stores)


def _reduced(values: Any, kernel: Loop, kind: str, dtype: Any) -> Any:
    values = np.broadcast_to(values, kernel.space)
    axes = kernel.reduced
    if kind in ("argmax", "argmin"):
        (axis,) = axes
        return np.expand_dims(getattr(np, kind)(values, axis=axis), axis)
    ufunc = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}[kind]
    options = {"dtype": dtype} if kind in ("sum", "prod") else {}
    return ufunc.reduce(values, axis=axes, keepdims=True, **options)


def _contraction(kernel: Contraction, memory: _Memory) -> None:
    outer = (*kernel.batch, *kernel.rows, *kernel.columns)
    every: tuple[Axis, ...] = (*outer, *kernel.inner)
    sizes = [axis.size for axis in every]
    steps = [axis.a for axis in every], [axis.b for axis in every]
    where = [kernel.a_offset, kernel.b_offset]
    if kernel.places is not None:
        _look_up(kernel, kernel.places, memory, steps, where)
    a, b = (
        memory[buffer][_grid(0, sizes, step) + start]
        for buffer, step, start in zip((kernel.a, kernel.b), steps, where, strict=True)
    )
    dtype = a.dtype
    wide = np.float64 if dtype.kind == "f" else dtype
    inner = tuple(range(len(outer), len(every)))
    product = np.multiply(a, b, dtype=wide)
    total = np.add.reduce(product, axis=inner, dtype=wide).astype(dtype)
    points = _Points(tuple(axis.size for axis in outer), memory)
    points.product = total
    points.compute(kernel.epilogue)
    points.store(kernel.stores)


def _look_up(
    kernel: Contraction,
    places: Places,
    memory: _Memory,
    steps: tuple[list[int], list[int]],
    where: list[Any],
) -> None:
    """Places instead of steps, along the axis that has them."""
    roles = {name: getattr(kernel, name) for name in ("batch", "rows", "columns", "inner")}
    before = [*itertools.takewhile(lambda name: name != places.role, roles)]
    number = sum(len(roles[name]) for name in before) + places.axis
    steps[places.operand][number] = 0
    rank = sum(map(len, roles.values()))
    shape = [-1 if axis == number else 1 for axis in range(rank)]
    where[places.operand] = where[places.operand] + memory[places.buffer].reshape(shape)


def _scatter(kernel: Scatter, memory: _Memory) -> None:
    target = memory[kernel.store.access.buffer]
    points = _Points(kernel.space, memory)
    points.compute(kernel.body)
    where = points.address(kernel.store.access)
    values = np.broadcast_to(points.values[kernel.store.value], kernel.space)
    target[:] = 0
    np.add.at(target, where.reshape(-1), values.reshape(-1))


class _Points:
    """The values of scalars at all points of a kernel, each an array."""

    def __init__(self, space: tuple[int, ...], memory: _Memory) -> None:
        self.space = self.shape = space
        self.memory = memory
        self.values: list[Any] = []
        self.reduced: list[Any] = []
        self.product: Any = None

    def compute(self, scalars: Sequence[Scalar]) -> None:
        """Append the values of `scalars`."""
        for scalar in scalars:
            value = np.asarray(self._value(scalar))
            assert value.dtype == scalar.dtype, (scalar, value.dtype)
            self.values.append(value)

    def _value(self, scalar: Scalar) -> Any:
        attributes = scalar.attributes
        operands = [self.values[number] for number in scalar.inputs]
        if scalar.op == "load":
            access = attributes["access"]
            return self.memory[access.buffer][self.address(access)]
        if scalar.op == "literal":
            return np.asarray(attributes["value"], scalar.dtype)
        if scalar.op == "index":
            axis = attributes["axis"]
            unit = [int(n == axis) for n in range(len(self.shape))]
            return _grid(0, self.shape, unit)
        if scalar.op == "bits":
            return _words(*operands)
        if scalar.op == "reduced":
            return self.reduced[attributes["number"]]
        if scalar.op == "sum":
            return self.product
        return REGISTRY[scalar.op].evaluate(*operands, **attributes)

    def address(self, access: Access) -> Any:
        """Where `access` leads at each point; indices are checked."""
        total = _grid(access.offset, self.shape, access.strides)
        for part in access.indirect:
            index = self.values[part.index]
            outside = (index < (-part.size if part.wrap else 0)) | (index >= part.size)
            if outside.any():
                raise OutOfRangeError(f"an index is out of range for an axis of size {part.size}")
            total = total + part.stride * np.where(index < 0, index + part.size, index)
        return total

    def store(self, stores: Sequence[Store]) -> None:
        """Write values where they belong; all addresses of a store differ."""
        for store in stores:
            where = self.address(store.access)
            assert np.unique(where).size == where.size, "a store writes an element twice"
            value = self.values[store.value]
            self.memory[store.access.buffer][where] = np.broadcast_to(value, where.shape)


def _words(key: Any, counter: Any, number: Any) -> Any:
    """Word `number` of the Philox stream that begins at `counter`."""
    blocks = np.asarray(counter).astype(np.uint64) + (number // 4).astype(np.uint64)
    words = _philox(np.asarray(key).reshape(-1)[0].astype(np.uint64), np.atleast_1d(blocks))
    within = np.atleast_1d(np.broadcast_to(number % 4, blocks.shape))
    return np.take_along_axis(words, within[..., None], axis=-1).reshape(blocks.shape)


# --- hazards -------------------------------------------------------------------------------------


def check_hazards(kernel: Kernel) -> None:
    """Raise `TraceError` if a kernel reads a buffer that it writes at another point."""
    both = set(reads_of(kernel)) & set(writes_of(kernel))
    if not both or isinstance(kernel, Chain | Repeat | Branch):
        return
    if not isinstance(kernel, Loop | Contraction):
        raise TraceError(f"{kernel.label}: reads and writes {both}")
    if isinstance(kernel, Contraction) and both & {kernel.a, kernel.b}:
        raise TraceError(f"{kernel.label}: writes its operand")
    if isinstance(kernel, Loop) and not math.prod(kernel.space):
        return
    for scalars, stores in _parts(kernel):
        written = {store.access.buffer: store.access for store in stores}
        for load in (scalar.attributes["access"] for scalar in scalars if scalar.op == "load"):
            if load.buffer in both and load != written.get(load.buffer):
                raise TraceError(
                    f"{kernel.label}: reads {load.buffer} at another point than it writes"
                )


def _parts(kernel: Loop | Contraction) -> list[tuple[Sequence[Scalar], Sequence[Store]]]:
    """What is computed at the same points, and what is stored there."""
    if isinstance(kernel, Contraction):
        return [(kernel.epilogue, kernel.stores)]
    return [(kernel.body, kernel.body_stores), (kernel.tail, kernel.tail_stores)]
