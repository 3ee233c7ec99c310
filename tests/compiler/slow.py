"""Kernels run by NumPy over all points at once: the oracle of lowering."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from thalweg.compiler.kernels import Access, Buffer, Loop, Scalar, Scatter, Store
from thalweg.primitives import sources
from thalweg.primitives.core import REGISTRY

Arrays = Mapping[Buffer, Any]
_REDUCED = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}


def places(access: Access, space: Sequence[int], values: Sequence[Any]) -> tuple[Any, bool]:
    """The address at every point, and whether a computed part was out of range."""
    address = np.full(tuple(space), access.offset, np.int64)
    for grid, stride in zip(np.indices(tuple(space)), access.strides, strict=True):
        address = address + grid * stride
    wrong = False
    for indirect in access.indirect:
        index = values[indirect.index].astype(np.int64)
        index = np.where((index < 0) & indirect.wrap, index + indirect.size, index)
        outside = (index < 0) | (index >= indirect.size)
        wrong |= bool(outside.any())
        address = address + np.where(outside, 0, index) * indirect.stride
    return address, wrong


class Points:
    """The scalars of a body, each an array over the space."""

    def __init__(self, space: Sequence[int], arrays: Arrays) -> None:
        self.space, self.arrays = tuple(space), arrays
        self.values: list[Any] = []
        self.wrong = False

    def run(self, scalars: Sequence[Scalar], reduced: Sequence[Any] = ()) -> None:
        for scalar in scalars:
            with np.errstate(all="ignore"):
                value = np.broadcast_to(self.scalar(scalar, reduced), self.space)
            assert value.dtype == scalar.dtype, scalar
            self.values.append(value)

    def scalar(self, scalar: Scalar, reduced: Sequence[Any]) -> Any:
        inputs = [self.values[number] for number in scalar.inputs]
        match scalar.op:
            case "load":
                access = scalar.attributes["access"]
                address, wrong = places(access, self.space, self.values)
                self.wrong |= wrong
                return self.arrays[access.buffer][address]
            case "literal":
                return np.array(scalar.attributes["value"], scalar.dtype)
            case "index":
                return np.indices(self.space)[scalar.attributes["axis"]].astype(scalar.dtype)
            case "bits":
                return bits(*inputs)
            case "reduced":
                return reduced[scalar.attributes["number"]]
        return REGISTRY[scalar.op].evaluate(*inputs, **scalar.attributes)

    def store(self, stores: Sequence[Store]) -> None:
        for store in stores:
            address, _ = places(store.access, self.space, self.values)
            self.arrays[store.access.buffer][address] = self.values[store.value]


def bits(key: Any, counter: Any, n: Any) -> Any:
    """Words of one stream; key and counter are the same at every point."""
    count = int(n.max()) + 1
    row = sources.random_bits.evaluate(key.flat[0], counter.flat[0], shape=(count,))
    return row[n]


def run_loop(loop: Loop, arrays: Arrays) -> bool:
    """Do `loop` on flat arrays; whether the error flag was raised."""
    points = Points(loop.space, arrays)
    points.run(loop.body)
    points.store(loop.body_stores)
    if loop.reduced or loop.reductions:
        results = [reduction(r.kind, points.values[r.value], loop) for r in loop.reductions]
        kept = tuple(1 if a in loop.reduced else n for a, n in enumerate(loop.space))
        after = Points(kept, arrays)
        first = tuple(slice(0, 1) if a in loop.reduced else slice(None) for a in range(len(kept)))
        after.values = [value[first] for value in points.values]
        after.run(loop.tail, results)
        after.wrong |= points.wrong
        points = after
        points.store(loop.tail_stores)
    return points.wrong


def reduction(kind: str, value: Any, loop: Loop) -> Any:
    """Over the reduced axes, which stay as axes of size 1."""
    if kind.startswith("arg"):
        return getattr(np, kind)(value, axis=loop.reduced[0], keepdims=True)
    with np.errstate(all="ignore"):
        return _REDUCED[kind].reduce(value, axis=loop.reduced, dtype=value.dtype, keepdims=True)


def run_scatter(kernel: Scatter, arrays: Arrays) -> bool:
    """Do `kernel`, point after point."""
    points = Points(kernel.space, arrays)
    points.run(kernel.body)
    access = kernel.store.access
    address, wrong = places(access, kernel.space, points.values)
    target = arrays[access.buffer]
    target[: kernel.target_size] = 0
    with np.errstate(all="ignore"):
        np.add.at(target, address.ravel(), points.values[kernel.store.value].ravel())
    return wrong or points.wrong
