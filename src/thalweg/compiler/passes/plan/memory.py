"""Memory: temporaries placed in one arena, each only for the kernels between first and last use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from thalweg.compiler.kernels import (
    Access,
    Branch,
    Buffer,
    Chain,
    Contraction,
    Host,
    Kernel,
    Loop,
    Plan,
    Repeat,
    Scalar,
    Scatter,
    Store,
)
from thalweg.errors import TraceError

__all__ = [
    "ALIGNMENT",
    "arrange",
    "check_memory",
    "in_arena",
    "lifetimes",
    "reads_of",
    "with_buffers",
    "writes_of",
]

ALIGNMENT = 64

Exchange = Callable[[Buffer], Buffer]


def arrange(kernels: Sequence[Kernel]) -> tuple[dict[Buffer, int], int]:
    """The place of each temporary, in bytes from the start of the arena, and the arena's size.

    The largest are placed first, each in the smallest gap that is free while it lives.
    """
    lives = lifetimes(kernels)
    places: dict[Buffer, int] = {}
    for buffer in sorted(lives, key=_bytes, reverse=True):
        first, last = lives[buffer]
        beside = sorted(
            (place, place + _bytes(other))
            for other, place in places.items()
            if lives[other][0] <= last and first <= lives[other][1]
        )
        places[buffer] = _smallest_gap(beside, _bytes(buffer))
    return places, max((place + _bytes(b) for b, place in places.items()), default=0)


def _bytes(buffer: Buffer) -> int:
    """The size of a buffer, rounded up to whole lines."""
    return -(-buffer.size * buffer.dtype.itemsize // ALIGNMENT) * ALIGNMENT


def _smallest_gap(taken: Sequence[tuple[int, int]], size: int) -> int:
    """The start of the smallest gap of at least `size` bytes between `taken`, or after them."""
    best, at, end = None, 0, 0
    for start, stop in taken:
        if size <= start - end and (best is None or start - end < best):
            best, at = start - end, end
        end = max(end, stop)
    return end if best is None else at


def lifetimes(kernels: Sequence[Kernel]) -> dict[Buffer, tuple[int, int]]:
    """Of each temporary the positions of the first and the last kernel that touch it."""
    lives: dict[Buffer, tuple[int, int]] = {}
    for position, kernel in enumerate(kernels):
        for buffer in (*reads_of(kernel), *writes_of(kernel)):
            if buffer.kind == "temporary":
                lives[buffer] = (lives.get(buffer, (position, 0))[0], position)
    return lives


def check_memory(plan: Plan) -> None:
    """Raise `TraceError` if two temporaries overlap while both live, or one leaves the arena."""
    lives = list(lifetimes(plan.kernels).items())
    for number, (buffer, (first, last)) in enumerate(lives):
        end = buffer.place + buffer.size * buffer.dtype.itemsize
        if buffer.place % ALIGNMENT or end > plan.arena:
            raise TraceError(f"{buffer!r} at {buffer.place} is not within {plan.arena} bytes")
        for other, (begin, stop) in lives[:number]:
            other_end = other.place + other.size * other.dtype.itemsize
            if begin <= last and first <= stop and buffer.place < other_end and other.place < end:
                raise TraceError(f"{buffer!r} and {other!r} overlap in kernels {first} to {last}")


# --- the buffers of a kernel ---------------------------------------------------------------------


def _scalars(kernel: Kernel) -> tuple[Scalar, ...]:
    if isinstance(kernel, Loop):
        return kernel.body + kernel.tail
    if isinstance(kernel, Contraction):
        return kernel.epilogue
    return kernel.body if isinstance(kernel, Scatter) else ()


def reads_of(kernel: Kernel) -> list[Buffer]:
    """The buffers that a kernel reads, each once, in order of appearance."""
    if isinstance(kernel, Repeat):
        return _around(kernel, kernel.first, kernel.kernels, reads_of)
    if isinstance(kernel, Branch):
        inside = _around(kernel, (), [*kernel.sides[0], *kernel.sides[1]], reads_of)
        return list(dict.fromkeys([kernel.pred[0], *inside]))
    if isinstance(kernel, Chain):
        return _of_chain(kernel, reads_of)
    loads = [s.attributes["access"].buffer for s in _scalars(kernel) if s.op == "load"]
    if isinstance(kernel, Contraction):
        loads = [kernel.a, kernel.b, *([kernel.places.buffer] if kernel.places else []), *loads]
    elif isinstance(kernel, Host):
        loads = [view.buffer for view in kernel.sources]
    elif not isinstance(kernel, Loop | Scatter):
        loads = [kernel.source.buffer]
    return list(dict.fromkeys(loads))


def writes_of(kernel: Kernel) -> list[Buffer]:
    """The buffers that a kernel writes, each once."""
    if isinstance(kernel, Repeat):
        return _around(kernel, kernel.first, kernel.kernels, writes_of)
    if isinstance(kernel, Branch):
        return _around(kernel, (), [*kernel.sides[0], *kernel.sides[1]], writes_of)
    if isinstance(kernel, Chain):
        return _of_chain(kernel, writes_of)
    if isinstance(kernel, Loop | Contraction):
        return list(dict.fromkeys(store.access.buffer for store in kernel.stores))
    return [kernel.store.access.buffer if isinstance(kernel, Scatter) else kernel.target.buffer]


def _of_chain(chain: Chain, touched: Callable[[Kernel], list[Buffer]]) -> list[Buffer]:
    """The buffers that the loops of a chain read, or write, without those within it."""
    found = dict.fromkeys(buffer for loop in chain.loops for buffer in touched(loop))
    return [buffer for buffer in found if buffer not in chain.within]


def _around(
    whole: Repeat | Branch,
    first: Sequence[Kernel],
    kernels: Sequence[Kernel],
    touched: Callable[[Kernel], list[Buffer]],
) -> list[Buffer]:
    """The buffers around a loop, or a branch, that its kernels read, or write."""
    outer = {link.inner: link.outer for link in whole.links}
    inside = (outer.get(b, whole.arena) for kernel in kernels for b in touched(kernel))
    return list(dict.fromkeys([*(b for kernel in first for b in touched(kernel)), *inside]))


def in_arena(kernel: Kernel) -> Kernel:
    """`kernel`, whose buffers have their places, with those of its rounds in the same arena."""
    if not isinstance(kernel, Repeat | Branch):
        return kernel
    start, moved = kernel.arena.place, dict[Buffer, Buffer]()

    def move(buffer: Buffer) -> Buffer:
        if buffer.kind != "temporary":
            return buffer
        return moved.setdefault(buffer, replace(buffer, place=buffer.place + start))

    def inside(kernels: Sequence[Kernel]) -> tuple[Kernel, ...]:
        return tuple(in_arena(with_buffers(k, move)) for k in kernels)

    if isinstance(kernel, Repeat):
        return replace(kernel, kernels=inside(kernel.kernels))
    true, false = kernel.sides
    return replace(kernel, sides=(inside(true), inside(false)))


def with_buffers(kernel: Kernel, exchange: Exchange) -> Kernel:
    """`kernel` over other buffers; of a loop, those around it."""

    def access(old: Access) -> Access:
        return replace(old, buffer=exchange(old.buffer))

    def scalars(old: Sequence[Scalar]) -> tuple[Scalar, ...]:
        return tuple(
            replace(s, attributes={"access": access(s.attributes["access"])})
            if s.op == "load"
            else s
            for s in old
        )

    def store(old: Store) -> Store:
        return replace(old, access=access(old.access))

    changed: dict[str, Any]
    if isinstance(kernel, Repeat | Branch | Chain):
        changed = _around_with(kernel, exchange)
    elif isinstance(kernel, Loop):
        stores = tuple(map(store, kernel.stores))
        changed = {"body": scalars(kernel.body), "tail": scalars(kernel.tail), "stores": stores}
    elif isinstance(kernel, Contraction):
        places = kernel.places
        changed = {
            "a": exchange(kernel.a),
            "b": exchange(kernel.b),
            "places": places and replace(places, buffer=exchange(places.buffer)),
            "epilogue": scalars(kernel.epilogue),
            "stores": tuple(map(store, kernel.stores)),
        }
    elif isinstance(kernel, Scatter):
        changed = {"body": scalars(kernel.body), "store": store(kernel.store)}
    elif isinstance(kernel, Host):
        changed = {
            "sources": tuple(replace(v, buffer=exchange(v.buffer)) for v in kernel.sources),
            "target": replace(kernel.target, buffer=exchange(kernel.target.buffer)),
        }
    else:
        changed = {
            "source": replace(kernel.source, buffer=exchange(kernel.source.buffer)),
            "target": replace(kernel.target, buffer=exchange(kernel.target.buffer)),
        }
    return replace(kernel, **changed)


def _around_with(kernel: Repeat | Branch | Chain, exchange: Exchange) -> dict[str, Any]:
    """The fields of what is made of kernels, over other buffers."""
    if isinstance(kernel, Chain):
        loops = tuple(with_buffers(loop, exchange) for loop in kernel.loops)
        return {"loops": loops, "within": tuple(map(exchange, kernel.within))}
    changed: dict[str, Any] = {
        "links": tuple(replace(link, outer=exchange(link.outer)) for link in kernel.links),
        "arena": exchange(kernel.arena),
    }
    if isinstance(kernel, Repeat):
        return {"first": tuple(with_buffers(k, exchange) for k in kernel.first), **changed}
    return {"pred": (exchange(kernel.pred[0]), kernel.pred[1]), **changed}
