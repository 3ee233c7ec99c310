"""Philox4x32-10, the counter-based generator of `primitives.sources`, bit for bit.

Word n of a stream is word n mod 4 of the block at counter + n div 4. Source: Salmon, Moraes,
Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

from collections.abc import Sequence

from thalweg.compiler.lower.emit import U32, U64, Value

__all__ = ["word", "words"]

_FIRST, _SECOND = 0xD2511F53, 0xCD9E8D57
_STEPS = (0x9E3779B9, 0xBB67AE85)
_LOW = 0xFFFFFFFF


def word(key: Value, counter: Value, n: Value) -> Value:
    """Word n of the stream, uint32; `n` may be a vector, key and counter are scalars."""
    block = counter.retyped(U64) + (n.retyped(U64) >> 2)
    w = _block(key.retyped(U64), block)
    odd, late = (n & 1).compare("ne", 0), (n & 2).compare("ne", 0)
    chosen = late.select(odd.select(w[3], w[2]), odd.select(w[1], w[0]))
    return chosen.convert("trunc", U32)


def words(key: Value, counter: Value, n: Value, lanes: int, vectors: int) -> list[Value]:
    """Words n, n + 1, .. in `vectors` vectors of `lanes`, where 4 divides n and `lanes`: the
    blocks are computed side by side, each once."""
    b, count = n.builder, lanes * vectors // 4
    first = counter.retyped(U64) + (n.retyped(U64) >> 2)
    blocks = first + b.lane_numbers(count).retyped(U64)
    parts = [part.convert("trunc", U32) for part in _block(key.retyped(U64), blocks)]
    if count == 1:
        return [_joined(parts)]
    pairs = [_side_by_side(parts[0], parts[1]), _side_by_side(parts[2], parts[3])]
    each = lanes // 4
    return [_in_turn(pairs, range(v * each, (v + 1) * each)) for v in range(vectors)]


def _in_turn(pairs: Sequence[Value], blocks: Sequence[int]) -> Value:
    """The four words of each of `blocks`, from two vectors that hold two parts of all blocks."""
    count, lanes = pairs[0].lanes // 2, 4 * len(blocks)
    order = ", ".join(f"i32 {part * count + block}" for block in blocks for part in range(4))
    text = f"shufflevector {pairs[0].typed}, {pairs[1].typed}, <{lanes} x i32> <{order}>"
    return pairs[0].builder.op(text, U32, lanes)


def _side_by_side(a: Value, b: Value) -> Value:
    order = ", ".join(f"i32 {lane}" for lane in range(2 * a.lanes))
    text = f"shufflevector {a.typed}, {b.typed}, <{2 * a.lanes} x i32> <{order}>"
    return a.builder.op(text, a.dtype, 2 * a.lanes)


def _joined(scalars: list[Value]) -> Value:
    b, lanes = scalars[0].builder, len(scalars)
    type = b.type(U32, lanes)
    vector = Value(b, "poison", U32, lanes)
    for lane, scalar in enumerate(scalars):
        text = f"insertelement {type} {vector.text}, {scalar.typed}, i64 {lane}"
        vector = b.op(text, U32, lanes)
    return vector


def _block(key: Value, counter: Value) -> list[Value]:
    """The four words of the blocks at `counter`, each in the low half of a uint64."""
    c0, c1 = counter & _LOW, counter >> 32
    c2 = c3 = counter.like(0)
    k0, k1 = key & _LOW, key >> 32
    for turn in range(10):
        first, second = c0 * _FIRST, c2 * _SECOND
        c0, c1, c2, c3 = (
            (second >> 32) ^ c1 ^ k0,
            second & _LOW,
            (first >> 32) ^ c3 ^ k1,
            first & _LOW,
        )
        if turn < 9:
            k0, k1 = (k0 + _STEPS[0]) & _LOW, (k1 + _STEPS[1]) & _LOW
    return [c0, c1, c2, c3]
